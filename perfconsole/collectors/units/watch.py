"""What a run of the collector of units does: looks at the groups when it is time to, and puts what systemd says beside them."""

import asyncio
from collections.abc import Callable, Sequence
from math import inf, isnan, nan
from typing import Final

from perfconsole.collectors.system.files import is_there, read_once
from perfconsole.collectors.units import words
from perfconsole.collectors.units.choice import Wish, wish
from perfconsole.collectors.units.containers import Containers
from perfconsole.collectors.units.hierarchies import NOTHING, find
from perfconsole.collectors.units.node import Node
from perfconsole.collectors.units.readings import LONGEST
from perfconsole.collectors.units.roster import Roster
from perfconsole.collectors.units.scan import Scan, troubled
from perfconsole.collectors.units.services import Services
from perfconsole.core.globs import Globs
from perfconsole.core.ports import Measured, Result, Slot
from perfconsole.core.tables import Table, View
from perfconsole.core.tick import Event, Health, SeriesDef
from perfconsole.core.unit_rows import UnitRow, UnitTable

NAME: Final = "units"
HOST: Final = "host"
_SECOND_S: Final = 2.0
"""The second look follows this soon after the first: rates need two."""

_SLACK_S: Final = 0.25
"""A look that is due within that much is taken now: slots of both intervals fall together."""

_NEW_S: Final = 0.5
"""Within so long nothing is looked at again: a rate over less says little."""

_MOUNTS_S: Final = 300.0
_NO_MOUNTS_S: Final = 60.0


class UnitWatch:
    """Looks, and tells.

    Args:
        interval_s: Seconds between looks while a screen shows units.
        leisure_s: Seconds between looks else, and between values of series.
        places: Where procfs, sysfs and ``/run`` are.
        units: Names that are looked at.
        told: Whether the journal tells of units, and the kernel log of kills.
        clock: CLOCK_BOOTTIME.

    Attributes:
        kills_told: Processes killed for memory that were told from here, with their units.
    """

    def __init__(
        self,
        interval_s: float,
        leisure_s: float,
        places: tuple[str, str, str],
        units: Globs,
        told: tuple[Callable[[], bool], Callable[[], bool]],
        clock: Callable[[], float],
    ) -> None:
        self._interval_s, self._leisure_s = interval_s, max(interval_s, leisure_s)
        self._proc, self._sys, run = places
        self._units, self._clock = units, clock
        journal_told, self._kernel_told = told
        self._services = Services(self._proc, run, journal_told, clock)
        self._longest_s = LONGEST * self._leisure_s
        self._roster = Roster(self._longest_s)
        self._containers = Containers()
        self._layout = NOTHING
        self._mounts_due = -inf
        self._scan: Scan | None = None
        self._next = -inf
        self._looked_at = nan
        self._table: UnitTable | None = None
        self._events: list[Event] = []
        self._told: dict[str, tuple[str, str, str]] = {}
        self._one_at_a_time = asyncio.Lock()
        self.kills_told = 0

    async def run(self, slot: Slot, views: Sequence[View]) -> Result:
        """See `Collector`."""
        wanted = wish(views)
        now = self._clock()
        due = now >= self._next - _SLACK_S
        answers = self._services.answers
        events = await self._services.step(slot.at)
        if not due and not (wanted and wanted.live and self._is_old(now)):
            tables = self._restated(wanted) if self._services.answers > answers else ()
            return Result(tables=tables, events=[*events, *self._noted()], health=self._health(slot.at))
        async with self._one_at_a_time:
            await self._look(wanted or Wish(), slot.at, whole=due)
            measured = self._measure(now) if due else ()
        events += self._noted()
        tables = [self._table] if wanted and self._table else []
        return Result(measured=measured, tables=tables, events=events, health=self._health(slot.at))

    async def show(self, views: Sequence[View]) -> Sequence[Table]:
        """See `UnitsCollector.look`."""
        wanted = wish(views)
        if wanted is None:
            return ()
        async with self._one_at_a_time:
            if wanted.live and self._is_old(self._clock()):
                await self._look(wanted, self._services.wall(), whole=False)
        return (self._table,) if self._table else ()

    def _noted(self) -> list[Event]:
        """What looks have found that nobody was told of yet: a table that is asked for tells of no events."""
        events, self._events = self._events, []
        return events

    def _is_old(self, now: float) -> bool:
        return self._scan is None or now - self._scan.at > _NEW_S

    def close(self) -> None:
        """Give back descriptors, and end the child."""
        self._services.close()
        if self._scan is not None:
            self._scan.close()
            self._scan = None

    async def _look(self, wanted: Wish, at: float, *, whole: bool) -> None:
        self._find_layout()
        scan = self._scan
        if scan is None:
            self._table = self._made((), at)
            return
        before, self._looked_at = self._looked_at, at
        by_path = self._services.by_path(scan.tree.nodes)
        killed = await scan.look(wanted, by_path, self._roster, whole=whole)
        if any(node.place.kind == "service" for node in (*scan.tree.came, *scan.tree.went)) and not isnan(before):
            self._services.hurry()
        if not isnan(before):
            self._events += self._containers.follow(scan.tree.came, scan.tree.went, min(before, at), at)
        if killed and not self._kernel_told():
            self.kills_told += sum(count for _, count in killed)
            self._events += [words.killed(node, count, min(before, at), at) for node, count in killed]
        self._table = self._made(scan.rows(self._services.by_path(scan.tree.nodes)), at)

    def _restated(self, wanted: Wish | None) -> Sequence[Table]:
        """The table of the last look, with what systemd has said since: that a unit failed is not kept for the next."""
        table, scan = self._table, self._scan
        if table is None or self._one_at_a_time.locked():
            return ()
        rows = scan.rows(self._services.by_path(scan.tree.nodes)) if scan else ()
        self._table = self._made(rows, table.at)
        return (self._table,) if wanted else ()

    def _made(self, rows: Sequence[UnitRow], at: float) -> UnitTable:
        nodes: dict[str, Node] = self._scan.tree.nodes if self._scan else {}
        others = troubled(self._services.states, lambda state: bool(self._services.path_of(state, nodes)))
        others = [row for row in others if row.name in self._units]
        notes = words.notes(self._layout, self._scan, self._services)
        return UnitTable(HOST, at, max(0, len(nodes) - 1), [*rows, *others], self._layout.name, notes)

    def _find_layout(self) -> None:
        """Look for mounts, now and then: a container's are there before we are, and a host's hardly ever change."""
        now = self._clock()
        if now < self._mounts_due and all(is_there(hierarchy.top) for hierarchy in self._layout.hierarchies):
            return
        layout = find(read_once(f"{self._proc}/self/mountinfo"), self._sys)
        self._mounts_due = now + (_MOUNTS_S if layout.hierarchies else _NO_MOUNTS_S)
        if layout == self._layout:
            return
        self._layout = layout
        if self._scan is not None:
            self._scan.close()
        places = (self._proc, self._sys)
        self._scan = Scan(layout, self._units, places, self._clock, self._longest_s) if layout.hierarchies else None

    def _measure(self, now: float) -> Sequence[Measured]:
        first = self._next == -inf
        slot = int((now + _SLACK_S) / self._leisure_s) + 1
        self._next = now + _SECOND_S if first else slot * self._leisure_s
        scan = self._scan
        if scan is None:
            return ()
        nodes: dict[str, Node] = {node.place.path: node for node in scan.nodes}
        self._roster.follow(nodes, scan.shown, now)
        series: tuple[SeriesDef, ...] = self._roster.series
        values = self._roster.values(scan.nodes, nodes, scan.worst_memory, scan.kills, self._services.failed(self._units))
        return (Measured(HOST, series, values, interval_s=self._leisure_s),)

    def _health(self, at: float) -> list[Health]:
        """What broke and what works again since the last run."""
        troubles = words.troubles(self._layout, self._scan, self._services, looked=self._table is not None)
        out = [
            Health(NAME, subject, state, at, nan, error=error, fix=fix)
            for subject, (state, error, fix) in troubles.items()
            if self._told.get(subject) != (state, error, fix)
        ]
        out += [Health(NAME, subject, "ok", at, at) for subject in self._told if subject not in troubles]
        self._told = troubles
        return out
