"""Interval maths of pg_stat_statements: what was executed between two looks at counters that are reset, evicted, hidden and come back.

Pure: samples in, intervals out; no clock but the server's, no connection. The rule that decides every doubt: an interval may count less
than what was executed (where the server forgot it), never more.
"""

from collections.abc import Generator, Iterable, Sequence
from itertools import islice
from math import isnan, nan, sqrt
from operator import add, itemgetter, sub
from typing import Any, Final, NamedTuple

from perfconsole.core.tables import Key, StatementRow

CALLS, EXEC, PLAN, ROWS, HIT, READ, IO, TEMP, WAL = range(9)
STDDEV, MAX, SINCE, MAX_SINCE = range(9, 13)
"""Where things stand in a `Row`: nine counters, and what is no counter. Times are milliseconds, as the server counts them; the last two
are epoch seconds, None before extension 1.11."""

COUNTERS: Final = 9
SQUARES: Final = 9
"""In `Sums`, behind the counters: the sum of the squares of all execution times, which adds up where a deviation does not."""

SLICE: Final = 2000
"""Rows compared at a stretch: under 3 ms even if every one of them changed."""

Row = Sequence[Any]
Sums = tuple[float, ...]
NOTHING: Final[Sums] = (0,) * 10


class Identity(NamedTuple):
    """Which count this is: `reset` (pg_stat_statements_info, epoch seconds; None before extension 1.9) and when the server started."""

    reset: float | None
    started: float


class Sample(NamedTuple):
    """The counters at one moment of the server's clock.

    Attributes:
        began: Before the first row was read; `at` after the last. Both epoch seconds.
        rows: What may be seen, by (userid, dbid, queryid, toplevel).
        dealloc: Evictions since the reset; NaN before extension 1.9.
        hidden: Entries that this role may not see (their queryid is NULL).
        merged: Keys that stand for more than one entry: an extension before 1.9 on a server from 14 does not tell toplevel.
        complete: Every entry is there: one that is absent did not exist.
    """

    began: float
    at: float
    rows: dict[Key, Row]
    identity: Identity
    dealloc: float = nan
    hidden: int = 0
    merged: frozenset[Key] = frozenset()
    complete: bool = True


class Interval(NamedTuple):
    """What was executed between two samples: increments of those statements that were.

    Attributes:
        new: Entries that the first sample did not have.
        vanished: Entries that the second one no longer has.
        dealloc: Evictions; NaN where the server does not say.
        reset: The counters began anew in between.
        longest: How long, ms, the longest execution was of each of them, at least; see `longest_ms`.
    """

    since: float
    until: float
    changes: dict[Key, Sums]
    new: frozenset[Key] = frozenset()
    vanished: int = 0
    dealloc: float = nan
    reset: bool = False
    longest: dict[Key, float] = {}


def delta(before: Sample, after: Sample) -> Interval:
    """What was executed between two samples of one server."""
    steps = sliced(before, after)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            interval: Interval = done.value
            return interval


def sliced(before: Sample, after: Sample, size: int = SLICE) -> Generator[None, None, Interval]:
    """As `delta`, giving way after every `size` rows."""
    comparison = _Comparison(before, after)
    left = iter(after.rows.items())
    while chunk := list(islice(left, size)):
        comparison.take(chunk)
        yield
    return comparison.interval()


class _Comparison:
    """Two samples being compared, some rows at a time."""

    __slots__ = ("_after", "_before", "_changes", "_known", "_longest", "_new", "_same", "_whole")

    def __init__(self, before: Sample, after: Sample) -> None:
        self._before, self._after = before, after
        self._changes: dict[Key, Sums] = {}
        self._longest: dict[Key, float] = {}
        self._new: set[Key] = set()
        self._known = 0
        self._same = _goes_on(before, after)
        # Another count that began after the last look counts from nothing within this interval. One that began before it belongs to
        # another server (a failover), or the clock was set back: nothing says when its counts were counted.
        begun = after.identity.started if after.identity.reset is None else after.identity.reset
        self._whole = not self._same and begun >= before.began

    def take(self, chunk: Iterable[tuple[Key, Row]]) -> None:
        if not self._same:
            self._begin(chunk)
            return
        get = self._before.rows.get
        created: list[tuple[Key, Row]] = []
        known = 0
        for key, row in chunk:
            old = get(key)
            if old is None:
                created.append((key, row))
                continue
            known += 1
            # Calls first: of 5,000 statements a few hundred moved. With the times it also catches one that was reset and has run as
            # often again.
            if _still(old, row) and row[SINCE] == old[SINCE]:
                continue
            self._grow(key, old, row)
        self._known += known
        self._create(created)

    def _grow(self, key: Key, old: Row, row: Row) -> None:
        """Take what an entry grew by; all of it where it was reset or evicted and came back in between, for then it began at nothing."""
        grown = (*map(sub, row[:COUNTERS], old[:COUNTERS]),)
        told = row[SINCE] is not None and old[SINCE] is not None  # an update of the extension begins to tell it
        if not told and _still(old, row):
            return
        # An unknown (NaN) counter is never the smallest: calls come first, and are known.
        if (row[SINCE] == old[SINCE] if told else _follows(grown, old, row)) and min(grown) >= 0:
            self._changes[key] = sums = (*grown, max(squares(row) - squares(old), 0.0))
            self._longest[key] = longest_ms(old, row, sums)
        elif key not in self._before.merged and key not in self._after.merged:
            self._take_whole(key, row)  # else one of several entries went: what is left is no count of this interval

    def _take_whole(self, key: Key, row: Row) -> None:
        self._changes[key], self._longest[key] = _entire(row), row[MAX]

    def _create(self, created: list[tuple[Key, Row]]) -> None:
        """Entries that were not there: executed since, if the last sample was able to show them.

        Not judged by the time of their creation: an entry is made when its first execution begins, and shown when that ends.
        """
        shown = self._before.complete and not (self._before.hidden and not self._after.hidden)
        for key, row in created:
            if shown or _since(row, self._before.began):
                self._take_whole(key, row)
                self._new.add(key)

    def _begin(self, chunk: Iterable[tuple[Key, Row]]) -> None:
        """Rows of another count."""
        for key, row in chunk:
            if self._whole or _since(row, self._before.began):
                self._take_whole(key, row)

    def interval(self) -> Interval:
        before, after = self._before, self._after
        vanished = len(before.rows) - self._known if self._same and after.complete else 0
        evicted = after.dealloc - before.dealloc if self._same else after.dealloc if self._whole else nan
        new = frozenset(self._new)
        return Interval(before.at, after.at, self._changes, new, vanished, evicted, reset=not self._same, longest=self._longest)


def longest_ms(old: Row, row: Row, grown: Sums) -> float:
    """How long the longest execution of an interval was, at least: exact where it was the only one, or the longest that there ever was.

    A maximum that rose is that of an execution which ended since, and so is one that was set back since, alone of its entry
    (pg_stat_statements_reset with minmax_only, from 17 on: minmax_stats_since is another). Of others none can be shorter than what the time
    itself was spent in on average, the sum of the squares by the sum: of one that took 3 s among a hundred of a millisecond that is 2.9 s.

    Args:
        old: An entry at the first sample.
        row: The same entry at the second one.
        grown: Its increment.
    """
    if not grown[CALLS] or not grown[EXEC]:
        return 0.0
    longest: float = row[MAX]
    since, was = row[MAX_SINCE], old[MAX_SINCE]  # an update of the extension begins to tell it
    if longest > old[MAX] or (since != was and since is not None and was is not None):
        return longest
    # What floats lose of squares that were added up for years must not make more of it than what is known for certain.
    return min(longest, grown[EXEC], grown[EXEC] if grown[CALLS] == 1 else grown[SQUARES] / grown[EXEC])


def _follows(grown: Sums, old: Row, row: Row) -> bool:
    """Whether nothing speaks against the same count, before the extension tells it (1.11): time without a call, a shorter longest call."""
    return bool((grown[CALLS] or not grown[EXEC]) and row[MAX] >= old[MAX])


def _still(old: Row, row: Row) -> bool:
    """Whether an entry did not move."""
    return bool(row[CALLS] == old[CALLS] and row[EXEC] == old[EXEC] and row[PLAN] == old[PLAN])


def _goes_on(before: Sample, after: Sample) -> bool:
    """Whether it is the same count.

    Before PostgreSQL 14 nothing says so across a start of the server: one after an orderly stop kept the count (pg_stat_statements.save),
    and most entries are there, none smaller; one after a crash began anew, and hardly any is.
    """
    one, other = before.identity, after.identity
    if one.reset is not None and other.reset is not None:
        return one.reset == other.reset
    if one.started == other.started:
        return True
    later = after.rows.get
    kept = [key for key, old in before.rows.items() if (row := later(key)) is not None and row[CALLS] >= old[CALLS]]
    return 2 * len(kept) > len(before.rows)


def _since(row: Row, moment: float) -> bool:
    return row[SINCE] is not None and row[SINCE] >= moment


def _entire(row: Row) -> Sums:
    return (*row[:COUNTERS], squares(row))


def squares(row: Row) -> float:
    """The sum of the squares of the execution times, ms²: n(s²+m²) from mean and population deviation."""
    calls: float = row[CALLS]
    total: float = row[EXEC]
    deviation: float = row[STDDEV]
    return calls * deviation * deviation + total * total / calls if calls else 0.0


def plus(one: Sums | None, other: Sums) -> Sums:
    """Both together."""
    return other if one is None else tuple(map(add, one, other))


def minus(one: Sums, other: Sums | None) -> Sums:
    """What `one` has over `other`."""
    return one if other is None else tuple(map(sub, one, other))


def deviation_s(sums: Sums) -> float:
    """The standard deviation of an execution, seconds; NaN without executions."""
    calls = sums[CALLS]
    if not calls:
        return nan
    mean = sums[EXEC] / calls
    variance = max(sums[SQUARES] / calls - mean * mean, 0.0)
    return sqrt(variance) / 1e3


def load(sums: Sums, window_s: float) -> float:
    """Average active sessions: execution and planning time a second.

    A statement counts when it ends, with all its time. Calls that ended within a window were active in it at most from end to end: what is
    beyond that was spent before it began (see `finished`).
    """
    active = (sums[EXEC] + sums[PLAN]) / 1e3 / window_s
    return min(active, sums[CALLS]) if sums[CALLS] else active


def finished(row: StatementRow, window_s: float) -> str:
    """``finished: 1 x 612 s`` for a statement that was at work since before its window; empty for any other."""
    if not row.calls or isnan(window_s) or row.exec_s <= row.calls * window_s:
        return ""
    return f"finished: {row.calls:.0f} x {row.mean_s:.0f} s"


def gathered(records: Sequence[Row], key_of: Any, size: int = SLICE) -> Generator[None, None, tuple[dict[Key, Row], int, frozenset[Key]]]:
    """Rows by key, giving way after every few thousand: (rows, number of hidden ones, merged keys).

    Args:
        records: As `Row`, each with its key behind it.
        key_of: Finds (userid, dbid, queryid, toplevel) in one; queryid is None in hidden ones.
        size: Records taken at a stretch.
    """
    rows: dict[Key, Row] = {}
    merged: set[Key] = set()
    hidden = 0
    for first in range(0, len(records), size * 4):
        chunk = records[first : first + size * 4]
        keys = list(map(key_of, chunk))
        # Plain tuples of numbers, which the garbage collector soon leaves alone: with the driver's records it walks all 50,000 again and
        # again, and held a loop for 60 ms.
        chunk = list(map(_counts, chunk))
        fresh = dict(zip(keys, chunk, strict=True))
        if len(fresh) == len(chunk) and rows.keys().isdisjoint(fresh) and None not in map(_queryid, keys):
            rows |= fresh
        else:
            visible = [(key, row) for key, row in zip(keys, chunk, strict=True) if key[2] is not None]
            hidden += len(chunk) - len(visible)
            _merge(rows, visible, merged)
        yield
    return rows, hidden, frozenset(merged)


_queryid = itemgetter(2)
_counts = itemgetter(slice(MAX_SINCE + 1))


def _merge(rows: dict[Key, Row], found: Iterable[tuple[Key, Row]], merged: set[Key]) -> None:
    for key, row in found:
        old = rows.get(key)
        if old is None:
            rows[key] = row
            continue
        merged.add(key)
        both = (*map(add, old[:COUNTERS], row[:COUNTERS]),)
        rows[key] = (*both, _deviation(old, row), max(old[MAX], row[MAX]), old[SINCE], old[MAX_SINCE])


def _deviation(one: Row, other: Row) -> float:
    calls = one[CALLS] + other[CALLS]
    mean = (one[EXEC] + other[EXEC]) / calls if calls else 0.0
    return sqrt(max((squares(one) + squares(other)) / calls - mean * mean, 0.0)) if calls else 0.0
