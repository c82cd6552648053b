"""The slow-query inspector's numbers: pg_stat_statements of one server, read while somebody looks or records, as a table and as series."""

import asyncio
import gc
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import nan
from typing import Final, TypeVar

from perfconsole.collectors.postgres.connection import Server
from perfconsole.collectors.postgres.faults import QUERY, ServerError
from perfconsole.collectors.postgres.statements.awaited import Awaited
from perfconsole.collectors.postgres.statements.rows import SEARCHED, Known, notes, rows
from perfconsole.collectors.postgres.statements.series import Histories
from perfconsole.collectors.postgres.statements.source import UNREADABLE, Extension, Flights, find, flights, own_by_text, parsed
from perfconsole.collectors.postgres.statements.texts import Names, Place, Texts
from perfconsole.core.globs import Globs
from perfconsole.core.ledger import Ledger
from perfconsole.core.ports import Measured, Result, Slot
from perfconsole.core.tables import TICK, Key, StatementRow, StatementTable, Table, View, select
from perfconsole.core.text import safe

RECORD_S: Final = 30.0
"""Between two looks while there is only a recorder: a view without a window is one."""

_SHARE: Final = 100.0
"""A look is followed by a hundred times as long without one: 1 % of a core of the server."""

_LONGEST_S: Final = 60.0
_WARM_UP_S: Final = 0.9
_FIND_S: Final = 60.0
"""Between two looks for the extension while all is well: settings change, and it can be updated."""

_LEARN_S: Final = 600.0
_LONG_MS: Final = 500.0
"""Whose execution took so long has its text read at once: of a copy that nobody waits for, an alert could not be taken back."""

_EARLY_S: Final = 0.25
_OFTEN_S: Final = 1.5
"""An interval within which there may be no second run."""

NO_MARK: Final = "no mark is set (m sets one): counted since it was first looked at"

_UNSEEN: Final = 50
"""Texts read before a screen has said which rows it shows."""

T = TypeVar("T")


class Statements:
    """Everything that is asked of one server about its statements.

    Without a view of its statements nothing is asked. What `run` raises are faults of the connection; of one question it is a note.

    Args:
        server: Whom to ask.
        interval_s: Seconds between two looks while somebody watches.
        exclude: Globs of applications whose statements may last.
    """

    def __init__(self, server: Server, interval_s: float = 5.0, exclude: Sequence[str] = ()) -> None:
        self._server = server
        self._usual_s = interval_s
        self._ledger = Ledger()
        self._adding = asyncio.Lock()
        """Held while an interval is added up, and while a window is read: half of one would count in the window before it."""
        self._texts, self._names = Texts(), Names()
        self._left_out = Globs(exclude) if exclude else None
        self._awaited = Awaited(self._texts)
        self._histories = Histories(server.name, self._names)
        self._extension: Extension | None = None
        self._problem = ""
        self._found_at = -_FIND_S
        self._connects = 0
        self._flights = Flights({}, frozenset(), known=False)
        self._own: set[Place] = set()
        self._learnt_at = -_LEARN_S
        self._looked = self._due = 0.0
        self._costs_s = (0.0, 0.0)
        self._at = nan
        self._rows: dict[str, list[StatementRow]] = {}

    async def mark(self) -> bool:
        """From here on (the last sample) the window ``mark`` counts; False while there is no sample."""
        async with self._adding:
            self._ledger.mark()
        return self._ledger.sample is not None

    async def run(self, slot: Slot, views: Sequence[View]) -> Result:
        """Look, if it is time to and anybody watches; between two looks, read texts that a screen waits for.

        Raises:
            ServerError: When the server cannot be asked at all.
        """
        views = self._mine(views)
        if not views:
            return Result()
        interval_s = self._interval_s(views)
        early = slot.boot + _EARLY_S < min(self._due, self._looked + interval_s)
        if early or self._texts_first(slot, views):
            return await self._read_texts(slot, views)
        first = self._ledger.sample is None
        self._looked = slot.boot
        try:
            result = await self._look(slot, views, interval_s)
        except ServerError as error:
            result = self._failed(error, slot, views)
            self._due = slot.boot + self._interval_s(views)
            return result
        self._due = slot.boot + (_WARM_UP_S if first and self._ledger.sample else interval_s)
        return result

    def _texts_first(self, slot: Slot, views: Sequence[View]) -> bool:
        """Whether texts take the place of a look, once in a while: with as many looks as runs there would be no run between two of them."""
        return self._usual_s <= _OFTEN_S and self._ledger.last is not None and bool(self._texts.wanted(self._visible(views), slot.boot))

    async def look(self, views: Sequence[View]) -> Sequence[Table]:
        """The tables over the windows that are looked at now, from the last sample."""
        views = self._mine(views)
        if not views or self._ledger.sample is None or self._extension is None:
            return ()
        return await self._tables(self._at, views, self._extension)

    # Looking ----------------------------------------------------------------------------------------------------------------------

    def _mine(self, views: Sequence[View]) -> list[View]:
        return [view for view in views if view.table == "statement" and view.target in {"", self._server.name}]

    def _least_s(self, views: Sequence[View]) -> float:
        watched = any(view.window for view in views)
        return self._usual_s if watched else max(RECORD_S, self._usual_s)

    def _interval_s(self, views: Sequence[View]) -> float:
        interval_s = self._least_s(views)
        # Doubled, not stretched to measure: a history is kept by its interval, and another one begins its group anew.
        while interval_s < min(min(self._costs_s) * _SHARE, _LONGEST_S):
            interval_s = min(2 * interval_s, _LONGEST_S)
        return interval_s

    async def _look(self, slot: Slot, views: Sequence[View], interval_s: float) -> Result:
        extension = await self._find(slot.boot)
        if extension is None:
            return self._nothing(slot, views, self._problem)
        taken = await self._sample(extension)
        self._flights = await flights(self._server, self._left_out)
        self._own |= self._flights.own
        self._awaited.overhear(self._flights)
        self._at = slot.at
        if slot.boot >= self._learnt_at + _LEARN_S:
            self._learnt_at = slot.boot
            await self._learn(extension)
        last = self._ledger.last if taken else None
        if last and (keys := self._texts.wanted((key for key, ms in last.longest.items() if ms >= _LONG_MS), slot.boot)):
            await self._texts.load(self._server, extension.texts_sql, keys, slot.boot)
        known = self._known(extension)
        # At first of all statements, which the window since the reset shows; later of those that ran.
        named = last.changes if last else sample.rows if (sample := self._ledger.sample) else ()
        await self._names.load(self._server, [*named, *self._flights.running], slot.boot)
        measured: Sequence[Measured] = ()
        if last:
            running = self._flights._replace(running=known.others(self._flights.running))
            measured = await _gently(self._histories.measure(last, known.others(last.changes), running, self._awaited.for_, interval_s))
        return Result(measured, await self._tables(slot.at, views, extension))

    async def _find(self, now: float) -> Extension | None:
        """The extension as it is: looked for again while there is none, after every connection, and once in a while."""
        known = self._extension is not None and self._connects == self._server.connects and now - self._found_at < _FIND_S
        if not known:
            found = await find(self._server)
            self._found_at, self._connects = now, self._server.connects
            self._extension, self._problem = (None, found) if isinstance(found, str) else (found, "")
        return self._extension

    async def _sample(self, extension: Extension) -> bool:
        """Read the counters once. False when that ended no interval: the first, and one that a reset ran into."""
        with _without_collector():
            records = await self._server.fetch(extension.sql)
            read = await _gently(parsed(records))
            del records
        if read.own is not None:
            self._own.add(read.own)
        if read.sample is None:
            return False
        self._costs_s = (self._costs_s[1], read.sample.at - read.sample.began)
        async with self._adding:
            return await _gently(self._ledger.take(read.sample)) is not None

    async def _learn(self, extension: Extension) -> None:
        """Which statements are our own, where no id tells it. Texts too costly for that are told by who needs them."""
        try:
            self._own |= await own_by_text(self._server, extension)
        except ServerError as error:
            if error.cause != QUERY:
                raise

    def _failed(self, error: ServerError, slot: Slot, views: Sequence[View]) -> Result:
        """One question failed: said on the table, and mended by the next look. A server that is not to be reached is told by others."""
        if error.cause != QUERY:
            raise error
        extension = self._extension
        if extension is not None and error.code == "42501":
            fix = f'GRANT USAGE ON SCHEMA {extension.schema} TO "{self._server.user}"'
            return self._nothing(slot, views, f"statements cannot be read: {error.message}: {fix}")
        if error.code in UNREADABLE:
            self._extension = None
        if error.code == "57014":  # over 2 s: half as often, until it is answered again
            self._costs_s = (2 * self._interval_s(views) / _SHARE,) * 2
        return self._nothing(slot, views, f"statements cannot be read: {error}")

    def _nothing(self, slot: Slot, views: Sequence[View], note: str) -> Result:
        said = (safe(note, 500),)
        return Result(
            tables=[StatementTable(self._server.name, slot.at, name, nan, 0, 0, nan, 8192, [], said) for name in by_window(views)]
        )

    # Showing ----------------------------------------------------------------------------------------------------------------------

    def _known(self, extension: Extension) -> Known:
        own, planned = frozenset(self._own | self._texts.own), frozenset(self._texts.planned)
        return Known(self._ledger, extension, self._flights, self._texts, self._names, own, planned)

    async def _tables(self, at: float, views: Sequence[View], extension: Extension) -> list[StatementTable]:
        """One a window that anybody looks at: what one reader asks for is nothing to another."""
        asked = by_window(views)
        self._rows = {name: self._rows[name] for name in asked if name in self._rows}
        interval_s = self._interval_s(views)
        stretched_s = interval_s if interval_s > self._least_s(views) else 0.0
        return [await self._table(at, name, mine, extension, stretched_s) for name, mine in asked.items()]

    async def _table(self, at: float, name: str, views: Sequence[View], extension: Extension, stretched_s: float) -> StatementTable:
        known = self._known(extension)
        async with self._adding:
            window = await _gently(self._ledger.windowed(name))
            sample = self._ledger.sample
        assert sample is not None
        made, whole = await _gently(rows(known, window, views))
        self._rows[name] = made
        said = tuple(notes(known, window, self._server.user, stretched_s))
        return StatementTable(
            self._server.name, at, name, window.seconds, len(sample.rows) + sample.hidden, sample.hidden, window.dealloc,
            extension.block_bytes, made, said if window.name == name else (NO_MARK, *said), load=whole, since=window.since,
        )  # fmt: skip

    async def _read_texts(self, slot: Slot, views: Sequence[View]) -> Result:
        """Texts for the rows on a screen, in a run of their own: rates do not wait for them."""
        extension = self._extension
        # Not before there is an interval, and with it rows: after one question there is none for ten seconds.
        if extension is None or not (self._ledger.last or any(view.window == "reset" for view in views)):
            return Result()
        keys = self._texts.wanted(self._visible(views), slot.boot, self._suspects())
        if not keys:
            return Result()
        try:
            await self._texts.load(self._server, extension.texts_sql, keys, slot.boot)
        except ServerError as error:
            return self._failed(error, slot, views)
        return Result(tables=await self._tables(self._at, views, extension))

    def _visible(self, views: Sequence[View]) -> Iterable[Key]:
        """The rows on screens; and while one is searched by words or has not said yet what it shows, the first ones."""
        for view in views:
            yield from view.keys
            if view.match or not view.keys:
                first = View(view.table, sort=view.sort, reverse=view.reverse, limit=SEARCHED if view.match else _UNSEEN)
                yield from (row.key for row in select(self._rows.get(view.window or TICK, ()), first))

    def _suspects(self) -> Iterable[Key]:
        """What was executed by our role in our database, and may be our own."""
        places = {place[:2] for place in self._own}
        sample = self._ledger.sample
        return (key for key in (sample.rows if sample else ()) if key[:2] in places)


def by_window(views: Iterable[View]) -> dict[str, list[View]]:
    """Views by the window they are over; one without a window takes the last tick."""
    out: dict[str, list[View]] = {}
    for view in views:
        out.setdefault(view.window or TICK, []).append(view)
    return out


@contextmanager
def _without_collector() -> Iterator[None]:
    """The collector of garbage waits: among 50,000 records that come and go it finds nothing, and held the loop for 60 ms to look."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


async def _gently(steps: Generator[None, None, T]) -> T:
    """Run something to its end without holding the loop: thousands of rows take tens of milliseconds."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
        await asyncio.sleep(0)
