"""A window of a ledger as rows of a table, and what limits it in words. Asks nobody."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from heapq import nlargest
from itertools import islice
from math import isnan, nan
from typing import Final, NamedTuple, TypeVar

from perfconsole.collectors.postgres.statements.source import Extension, Flights
from perfconsole.collectors.postgres.statements.texts import Names, Place, Texts
from perfconsole.core.ledger import OTHERS, Ledger, Window
from perfconsole.core.statements import CALLS, EXEC, HIT, IO, MAX, MAX_SINCE, PLAN, READ, ROWS, STDDEV, TEMP, WAL, Sums, deviation_s, load
from perfconsole.core.tables import Key, StatementRow, View

MOST: Final = 500
SEARCHED: Final = 2000
"""Rows of one table, and of one that is searched by words. Beyond them are statements that nobody scrolls to; each costs 10 us."""

T = TypeVar("T")

_SLICE: Final = 300
_SORTS: Final[Mapping[str, int]] = {
    "calls": CALLS, "rows": ROWS, "shared_hit": HIT, "shared_read": READ, "io_s": IO, "temp_written": TEMP, "wal_bytes": WAL,
}  # fmt: skip
_RATIOS: Final[Mapping[str, tuple[int, int]]] = {
    "mean_s": (EXEC, CALLS), "change": (EXEC, CALLS), "rows_per_call": (ROWS, CALLS), "io_ratio": (IO, EXEC), "hit_ratio": (HIT, READ),
}  # fmt: skip


class Known(NamedTuple):
    """What is known of one server besides the counters."""

    ledger: Ledger
    extension: Extension
    flights: Flights
    texts: Texts
    names: Names
    own: frozenset[Place]
    planned: frozenset[Place] = frozenset()

    def others(self, sums: Mapping[Key, T]) -> dict[Key, T]:
        """What is not this project's own."""
        kept = dict(sums)
        for place in self.own:
            kept.pop((*place, True), None)
            kept.pop((*place, False), None)
        for place in self.planned:
            kept.pop((*place, False), None)
        return kept


def rows(known: Known, window: Window, views: Sequence[View]) -> Generator[None, None, tuple[list[StatementRow], float]]:
    """Rows of a table in the order of their keys, giving way every few hundred; and the load of all statements.

    Those executed in the window or running now, not our own; of very many the first by what the views sort by.
    """
    sums, running = known.others(window.sums), known.others(known.flights.running)
    seconds = window.seconds
    whole = (yield from _total(sums, seconds)) + sum(at_work(known.flights, key, seconds, ended=key in sums) for key in running)
    ordered = sorted((yield from _chosen(sums, running, views)))
    shown = Shown(known, window, running, seconds, whole)
    made: list[StatementRow] = []
    for first in range(0, len(ordered), _SLICE):
        made += [_row(shown, key, sums.get(key)) for key in ordered[first : first + _SLICE]]
        yield
    return made, whole


def at_work(flights: Flights, key: Key, seconds: float, *, ended: bool) -> float:
    """What calls that have not ended add to a load: a statement that is stuck, or always times out, loads a server like any other.

    Of a statement that ended within the window (`ended`) only calls that were running all through it: what had begun before it is in the
    time of those that ended, and would on average be counted twice.
    """
    ages_s = flights.ages_s.get(key, ())
    if ended:
        return float(sum(age_s >= seconds for age_s in ages_s))
    return sum(min(age_s, seconds) for age_s in ages_s) / seconds


class Shown(NamedTuple):
    """What all rows of a table have in common."""

    known: Known
    window: Window
    running: dict[Key, tuple[int, float, str]]
    seconds: float
    whole: float


def _total(sums: Mapping[Key, Sums], seconds: float) -> Generator[None, None, float]:
    """The load of all; NaN while there is no interval."""
    if isnan(seconds):
        return nan
    whole = 0.0
    left = iter(sums.values())
    while chunk := list(islice(left, 10 * _SLICE)):
        whole += sum([load(each, seconds) for each in chunk])
        yield
    return whole


def _chosen(sums: Mapping[Key, Sums], running: Mapping[Key, object], views: Sequence[View]) -> Generator[None, None, set[Key]]:
    most = SEARCHED if any(view.match for view in views) else MOST
    if len(sums) <= most:
        return {*sums, *running}
    kept = {key for view in views for key in view.keys if key in sums} | running.keys()
    orders = {view.sort if view.sort in _SORTS or view.sort in _RATIOS else "" for view in views} or {""}
    for field in orders:
        ranked: list[tuple[float, Key]] = []
        left = iter(sums.items())
        while chunk := list(islice(left, 10 * _SLICE)):
            ranked = nlargest(most // len(orders), [*ranked, *((_rank(field, each), key) for key, each in chunk)])
            yield
        kept |= {key for _, key in ranked}
    return kept


def _rank(field: str, sums: Sums) -> float:
    part, whole = _RATIOS.get(field, (-1, -1))
    if whole >= 0:
        return sums[part] / sums[whole] if sums[whole] > 0 else 0.0
    return sums[_SORTS.get(field, EXEC)]


def _row(shown: Shown, key: Key, sums: Sums | None) -> StatementRow:
    known, window, whole = shown.known, shown.window, shown.whole
    running = shown.running.get(key)
    if sums is None:
        return _in_flight(shown, key)
    calls, exec_ms = sums[CALLS], sums[EXEC]
    active = load(sums, shown.seconds) + (at_work(known.flights, key, shown.seconds, ended=True) if running else 0.0)
    max_s, max_since, deviation = _kept(known, window, key, sums)
    return StatementRow(
        key[0], key[1], key[2], bool(key[3]),
        known.names.user(key[0]), known.names.database(key[1]),
        calls, exec_ms / 1e3, active,
        active / whole if whole > 0 else nan,
        exec_ms / calls / 1e3 if calls else nan,
        sums[PLAN] / 1e3 if known.extension.plans else nan,
        known.ledger.baseline_s(key),
        max_s, max_since,
        sums[ROWS], sums[HIT], sums[READ],
        sums[IO] / 1e3 if known.extension.io or sums[IO] else nan,
        sums[TEMP], sums[WAL],
        running[0] if running else 0,
        running[1] if running else nan,
        known.ledger.new_since(key, window.since),
        known.texts.get(key) if key != OTHERS else "statements that left the table",
        deviation,
    )  # fmt: skip


def _kept(known: Known, window: Window, key: Key, sums: Sums) -> tuple[float, float, float]:
    """What is no increment: the longest call and since when it is that; and the deviation."""
    sample = known.ledger.sample
    row = sample.rows.get(key) if sample else None
    if row is None or sample is None:
        return nan, nan, deviation_s(sums)
    since = row[MAX_SINCE] if row[MAX_SINCE] is not None else sample.identity.reset
    deviation = row[STDDEV] / 1e3 if window.name == "reset" else deviation_s(sums)
    return row[MAX] / 1e3 if row[CALLS] else nan, nan if since is None else since, deviation


def _in_flight(shown: Shown, key: Key) -> StatementRow:
    """One that runs and has not ended within the window: pg_stat_statements knows nothing of it, however long it takes."""
    known = shown.known
    count, longest_s, _ = shown.running[key]
    max_s, max_since, _ = _kept(known, Window("", nan, nan, {}), key, (0,) * 10)
    active = at_work(known.flights, key, shown.seconds, ended=False)
    return StatementRow(
        key[0], key[1], key[2], bool(key[3]), known.names.user(key[0]), known.names.database(key[1]), 0, 0.0, active,
        active / shown.whole if shown.whole > 0 else nan, nan,
        baseline_s=known.ledger.baseline_s(key), max_s=max_s, max_since=max_since, in_flight=count, longest_s=longest_s,
        query=known.texts.get(key),
    )  # fmt: skip


def notes(known: Known, window: Window, user: str, stretched_s: float) -> Iterable[str]:
    """What limits what is shown, each with what mends it; what distorts numbers first.

    Args:
        known: What is known of the server.
        window: What is shown.
        user: The role that asks.
        stretched_s: Between two looks, where that is longer than it would be if the server answered faster; else 0.
    """
    sample, extension = known.ledger.sample, known.extension
    assert sample is not None
    more = max(2 * extension.entries, 10_000)
    full = window.name != "reset" and (window.dealloc > 0 or (isnan(window.dealloc) and window.vanished > 0 and _nearly_full(known)))
    if full:
        count = f"{window.dealloc:.0f} evictions" if window.dealloc > 0 else f"{window.vanished} statements gone"
        fix = f"ALTER SYSTEM SET pg_stat_statements.max = {more}, restart"
        yield f"the statement table is too small ({count}), totals are a lower bound: {fix}"
    if sample.hidden:
        yield f'{sample.hidden} statements are hidden: GRANT pg_monitor TO "{user}"'
    if sample.merged:
        yield "statements at top level and inside of functions are not told apart: ALTER EXTENSION pg_stat_statements UPDATE"
    if stretched_s:
        yield f"{len(sample.rows)} statements: read every {stretched_s:.0f} s, so that it costs the server under 1 % of a core"
    if known.texts.problem:
        yield known.texts.problem


def _nearly_full(known: Known) -> bool:
    sample = known.ledger.sample
    return sample is not None and len(sample.rows) + sample.hidden > 0.9 * known.extension.entries
