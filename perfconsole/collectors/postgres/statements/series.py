"""Series of statements: what a server and each of its databases spend on them, and those that were ever among the heaviest."""

from collections.abc import Callable, Generator
from heapq import nlargest
from itertools import islice
from math import nan
from typing import Final

from perfconsole.collectors.postgres.statements.source import Flights
from perfconsole.collectors.postgres.statements.texts import Names
from perfconsole.core.ports import Measured
from perfconsole.core.statements import CALLS, EXEC, Interval, Sums, load
from perfconsole.core.tables import Key
from perfconsole.core.tick import SeriesDef

HEAVIEST: Final = 50
_KEPT: Final = 100
"""Statements with a history: two columns each, 360 samples in half an hour."""

_SETTLE_S: Final = 10.0
"""Between two changes of who has one: a table that thrashes would define its group anew with every look."""

_DATABASES: Final = 100
_SLICE: Final = 2000
_METRICS: Final = ("postgresql.statement.load", "postgresql.statement.mean")
_SLOWEST: Final = "postgresql.statement.slowest"
_OF_ALL: Final = (*_METRICS, _SLOWEST)
_OF_EACH: Final = (*_METRICS, "postgresql.statement.longest", _SLOWEST)
"""Of a database. The longest of all databases is asked for whether anybody looks at statements or not: `health` tells it."""

_NEWS_S: Final = 150.0
"""What ended in an interval longer than two of the longest (and late ones) is no news: nobody looked, and it may be an hour ago."""


class Histories:
    """Makes the groups of one server.

    Args:
        server: Its name: the ``server`` label.
        names: Users and databases.
    """

    def __init__(self, server: str, names: Names) -> None:
        self._server = server
        self._names = names
        self._databases: dict[int, None] = {}
        self._totals: tuple[SeriesDef, ...] = ()
        self._keys: dict[Key, float] = {}
        self._series: tuple[SeriesDef, ...] = ()
        self._settled = -_SETTLE_S
        self._named: tuple[str, ...] = ()

    def measure(
        self, interval: Interval, changes: dict[Key, Sums], flights: Flights, awaited: Callable[[Key], bool], interval_s: float
    ) -> Generator[None, None, list[Measured]]:
        """Both groups, giving way every few thousand rows.

        Args:
            interval: The last one.
            changes: Its increments, our own statements left out.
            flights: What runs now.
            awaited: Whether somebody waits for a statement.
            interval_s: Until the next look.
        """
        seconds = interval.until - interval.since
        slowest = (yield from _slowest(interval.longest, changes, awaited)) if seconds <= _NEWS_S else None
        spent = yield from self._spent(changes, flights, slowest, seconds)
        heaviest = self._of_heaviest(changes, seconds, interval.until)
        return [
            Measured(f"load:{self._server}", self._of_databases(), spent, interval_s=interval_s),
            Measured(f"statements:{self._server}", self._series, heaviest, interval_s=interval_s),
        ]

    def _spent(
        self, changes: dict[Key, Sums], flights: Flights, slowest: dict[int, float] | None, seconds: float
    ) -> Generator[None, None, list[float]]:
        by: dict[int, list[float]] = {}
        left = iter(changes.items())
        while chunk := list(islice(left, _SLICE)):
            for key, sums in chunk:
                amounts = by.get(key[1]) or by.setdefault(key[1], [0.0, 0.0, 0.0])
                amounts[0] += load(sums, seconds)
                amounts[1] += sums[EXEC]
                amounts[2] += sums[CALLS]
            yield
        self._databases |= dict.fromkeys(list(by.keys() - self._databases.keys())[: _DATABASES - len(self._databases)])
        unknown = 0.0 if flights.known else nan
        longest = dict.fromkeys(self._databases, unknown)
        for key, (_, age_s, _) in flights.running.items():
            longest[key[1]] = max(longest.get(key[1], 0.0), age_s)
        active, exec_ms, calls = (sum(column) for column in zip(*by.values(), strict=True)) if by else (0.0, 0.0, 0.0)
        values = [active, exec_ms / calls / 1e3 if calls else nan, nan if slowest is None else max(slowest.values(), default=0.0)]
        for oid in self._databases:
            active, exec_ms, calls = by.get(oid, (0.0, 0.0, 0.0))
            values += [active, exec_ms / calls / 1e3 if calls else nan, longest[oid], nan if slowest is None else slowest.get(oid, 0.0)]
        return values

    def _of_databases(self) -> tuple[SeriesDef, ...]:
        names = tuple(self._names.database(oid) for oid in self._databases)
        if names != self._named or not self._totals:
            self._named = names
            labels = [(("database", name), ("server", self._server)) for name in names]
            of_each = tuple(SeriesDef(name, label) for label in labels for name in _OF_EACH)
            self._totals = (*(SeriesDef(name, (("server", self._server),)) for name in _OF_ALL), *of_each)
        return self._totals

    def _of_heaviest(self, changes: dict[Key, Sums], seconds: float, now: float) -> list[float]:
        heaviest = nlargest(HEAVIEST, changes, key=lambda key: changes[key][EXEC])
        for key in heaviest:
            if key in self._keys:
                self._keys[key] = now
        fresh = [key for key in heaviest if key not in self._keys]
        if fresh and now - self._settled >= _SETTLE_S:
            self._settled = now
            self._keys |= dict.fromkeys(fresh, now)
            stale = sorted(self._keys, key=self._keys.__getitem__)[: max(0, len(self._keys) - _KEPT)]
            for key in stale:
                del self._keys[key]
            self._series = tuple(SeriesDef(name, self._labels(key)) for key in self._keys for name in _METRICS)
        values: list[float] = []
        for key in self._keys:
            sums = changes.get(key)
            values += [load(sums, seconds), sums[EXEC] / sums[CALLS] / 1e3 if sums[CALLS] else nan] if sums else [0.0, nan]
        return values

    def _labels(self, key: Key) -> tuple[tuple[str, str], ...]:
        labels = {
            "database": self._names.database(key[1]),
            "queryid": str(key[2]),
            "server": self._server,
            "user": self._names.user(key[0]),
        }
        return tuple(sorted((labels if key[3] else labels | {"toplevel": "false"}).items()))


def _slowest(
    longest: dict[Key, float], changes: dict[Key, Sums], awaited: Callable[[Key], bool]
) -> Generator[None, None, dict[int, float]]:
    """The longest execution that ended, s, by database. A text is looked at only of what would be that."""
    by: dict[int, float] = {}
    left = iter(longest.items())
    while chunk := list(islice(left, _SLICE)):
        for key, ms in chunk:
            if ms > by.get(key[1], 0.0) and key in changes and awaited(key):
                by[key[1]] = ms
        yield
    return {oid: ms / 1e3 for oid, ms in by.items()}
