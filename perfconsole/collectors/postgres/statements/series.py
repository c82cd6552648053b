"""Series of statements: what a server and each of its databases spend on them, and those that were ever among the heaviest."""

from collections.abc import Generator
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
        self, interval: Interval, changes: dict[Key, Sums], flights: Flights, interval_s: float
    ) -> Generator[None, None, list[Measured]]:
        """Both groups, giving way every few thousand rows.

        Args:
            interval: The last one.
            changes: Its increments, our own statements left out.
            flights: What runs now.
            interval_s: Until the next look.
        """
        seconds = interval.until - interval.since
        spent = yield from self._spent(changes, flights, seconds)
        heaviest = self._of_heaviest(changes, seconds, interval.until)
        return [
            Measured(f"load:{self._server}", self._of_databases(), spent, interval_s=interval_s),
            Measured(f"statements:{self._server}", self._series, heaviest, interval_s=interval_s),
        ]

    def _spent(self, changes: dict[Key, Sums], flights: Flights, seconds: float) -> Generator[None, None, list[float]]:
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
        values = [active, exec_ms / calls / 1e3 if calls else nan]
        for oid in self._databases:
            active, exec_ms, calls = by.get(oid, (0.0, 0.0, 0.0))
            values += [active, exec_ms / calls / 1e3 if calls else nan, longest[oid]]
        return values

    def _of_databases(self) -> tuple[SeriesDef, ...]:
        names = tuple(self._names.database(oid) for oid in self._databases)
        if names != self._named or not self._totals:
            self._named = names
            labels = [(("database", name), ("server", self._server)) for name in names]
            of_each = tuple(SeriesDef(name, label) for label in labels for name in (*_METRICS, "postgresql.statement.longest"))
            # The longest of all databases is asked for whether anybody looks at statements or not: `health` tells it.
            self._totals = (*(SeriesDef(name, (("server", self._server),)) for name in _METRICS), *of_each)
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
