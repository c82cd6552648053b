"""One look at all groups: the tree, what use is ranked by, then what is read of those that are shown; and the rows that come of it."""

from collections.abc import Callable, Container, Mapping, Sequence
from math import inf, isnan, nan
from typing import Final

from perfconsole.collectors.loop import paced
from perfconsole.collectors.system.parts import higher
from perfconsole.collectors.units import choice
from perfconsole.collectors.units.choice import NEAR, Wish
from perfconsole.collectors.units.files import Files
from perfconsole.collectors.units.hierarchies import Layout
from perfconsole.collectors.units.node import Node
from perfconsole.collectors.units.readings import ALWAYS, Readings, kills_told
from perfconsole.collectors.units.states import UnitState
from perfconsole.collectors.units.tree import Tree
from perfconsole.core.globs import Globs
from perfconsole.core.text import safe
from perfconsole.core.unit_rows import UnitRow

_TURNS: Final = 5

States = Mapping[str, UnitState]
"""What systemd says, by path of the unit's group."""


class Scan:
    """Looks at all groups, again and again.

    Args:
        layout: Where they are.
        globs: Which are looked at.
        places: Where procfs and sysfs are.
        clock: CLOCK_BOOTTIME.
        longest_s: Over more time than that no rate is told.

    Attributes:
        at: When it last looked, CLOCK_BOOTTIME; -inf before that.
        nodes: Those that are read.
        shown: Those with a row.
        kills: Processes that were killed, in all groups; grows only. NaN where no group tells.
        worst_memory: The highest share of a limit.
    """

    def __init__(self, layout: Layout, globs: Globs, places: tuple[str, str], clock: Callable[[], float], longest_s: float) -> None:
        self._proc, sys = places
        self._clock = clock
        self._layout = layout
        self._files = Files(layout)
        self._tree = Tree(layout, globs, self._files, clock)
        self._readings = Readings(layout, self._files, sys, clock, longest_s)
        self._told = nan
        self._owed: dict[str, float] = {}
        self._turn = 0
        self._missing = False
        self.at = -inf
        self.nodes: list[Node] = []
        self.shown: list[Node] = []
        self.kills = nan
        self.worst_memory = nan

    @property
    def tree(self) -> Tree:
        """The groups."""
        return self._tree

    @property
    def denied(self) -> set[str]:
        """Names of files that may not be read."""
        return self._files.denied

    async def look(self, wanted: Wish, states: States, followed: Container[str] = (), *, whole: bool = True) -> list[tuple[Node, int]]:
        """Look once.

        Args:
            whole: At every group; else at those with a row, and at a fifth of the others in turn, unless the last look found one gone.
            wanted: What somebody looks at.
            states: What systemd says.
            followed: Paths of those whose memory is told whether or not they have a row.

        Returns:
            Groups in which processes were killed since the last look, and how many.
        """
        first = self.at == -inf
        whole, self._missing = whole or self._missing, False
        self._files.denied.clear()
        await self._tree.walk(whole=whole)
        self.nodes = [node for node in self._tree.nodes.values() if not node.refused and (node.depth or self._layout.contained)]
        async for node in paced(self.nodes if whole else self._some(), self._clock):
            self._readings.read(node)
            self._missing = self._missing or (isnan(node.counts.usage_s) and not isnan(node.before.usage_s))
        killed = await self._look_for_kills(first=first)
        self.at = self._clock()
        self.shown = choice.choose(self.nodes, wanted, lambda node: self._is_urgent(node, states))
        await self._read_shown(followed)
        return killed

    def _some(self) -> list[Node]:
        shown, self._turn = set(self.shown), (self._turn + 1) % _TURNS
        return [node for i, node in enumerate(self.nodes) if i % _TURNS == self._turn or node in shown or isnan(node.limits_at)]

    async def _look_for_kills(self, *, first: bool) -> list[tuple[Node, int]]:
        before, self._told = self._told, kills_told(self._proc)
        moved = first or isnan(self._told) or self._told != before
        nodes = self.nodes if moved else [node for node in self._tree.came if not node.refused]
        async for node in paced(nodes, self._clock):
            self._readings.read_kills(node)
        if first:
            known = [node.oom for node in self._counted()]
            self.kills = sum(known) if known else nan
            return []
        killed = [(node, self._own_kills(node)) for node in nodes]
        killed = [(node, count) for node, count in killed if count > 0]
        new = sum(count for _, count in killed)
        self.kills = new + (0.0 if isnan(self.kills) and new else self.kills)
        return killed

    def _counted(self) -> list[Node]:
        """Groups whose kills add up to all: where a group's contain those below it, the topmost that are told."""
        told = [node for node in self.nodes if not isnan(node.oom)]
        return [node for node in told if not _is_told_above(node)] if self._readings.nested_kills else told

    def _own_kills(self, node: Node) -> int:
        """How many more were killed in a group than at the last look, those counted further down left out."""
        growth = _growth(node)
        if self._readings.nested_kills and not isnan(node.oom):
            # One killed between the two reads is counted below already and here not yet: it is owed to the next look.
            growth -= sum(_growth(below) for below in node.below) + self._owed.pop(node.place.path, 0.0)
            if growth < 0:
                self._owed[node.place.path] = -growth
        return max(0, int(growth))

    def _is_urgent(self, node: Node, states: States) -> bool:
        if node.use.throttled > 0 or node.oom > 0:
            return True
        if node.memory_bytes > NEAR * node.memory_limit:
            return self._readings.read_share(node) > NEAR
        state = states.get(node.place.path)
        return state is not None and state.is_troubled

    async def _read_shown(self, followed: Container[str]) -> None:
        shown = set(self.shown)
        worst = nan
        async for node in paced(self.shown, self._clock):
            self._readings.read_rest(node)
            worst = higher(self._readings.read_share(node), worst)
        limited = [node for node in self.nodes if node not in shown and not isnan(node.memory_limit)]
        async for node in paced(sorted(limited, key=_bound, reverse=True), self._clock):
            # What it uses at most, caches included: once that is below the worst, nothing further can be worse.
            if not _bound(node) <= worst or node.place.path in followed:
                worst = higher(self._readings.read_share(node), worst)
        self.worst_memory = worst
        async for node in paced(self.nodes, self._clock):
            if node not in shown and len(node.descriptors) > len(ALWAYS):
                self._files.release(node, ALWAYS)

    def rows(self, states: States) -> list[UnitRow]:
        """The rows of the last look."""
        rows = [_row(node, states.get(node.place.path), contained=self._layout.contained) for node in self.shown]
        others = choice.rest(self.nodes, self.shown)
        return [*rows, others] if others else rows

    def close(self) -> None:
        """Give all descriptors back."""
        for node in self._tree.nodes.values():
            self._files.forget(node)


def _is_told_above(node: Node) -> bool:
    above = node.above
    return above is not None and (not isnan(above.oom) or _is_told_above(above))


def _growth(node: Node) -> float:
    return node.oom - node.oom_before if node.oom > node.oom_before else 0.0


def _bound(node: Node) -> float:
    return node.memory_bytes / node.memory_limit if node.memory_bytes >= 0 and node.memory_limit else -1.0


def _row(node: Node, state: UnitState | None, *, contained: bool) -> UnitRow:
    cpu, memory, io = node.pressure
    above = node.above
    return UnitRow(
        node.place.shown_path,
        node.place.name,
        node.place.kind,
        node.depth,
        above.place.shown_path if above is not None and (above.depth or contained) else "",
        node.use.cpu,
        node.cpu_limit,
        node.use.throttled,
        node.use.throttled_s,
        node.memory_bytes,
        node.memory_limit,
        node.memory,
        node.oom,
        cpu,
        memory,
        io,
        node.read_bytes_s,
        node.write_bytes_s,
        node.tasks,
        node.tasks_limit,
        *((state.active, state.result, state.restarts, state.since) if state else ()),
    )


def row_without_group(state: UnitState) -> UnitRow:
    """The row of a unit that does not run, and so has no group."""
    return UnitRow("", safe(state.id, 200), state.kind, state=state.active, result=state.result, restarts=state.restarts, since=state.since)


def troubled(states: Sequence[UnitState], present: Callable[[UnitState], bool]) -> list[UnitRow]:
    """Rows of units that failed, or wait to be restarted, and have no group."""
    return [row_without_group(state) for state in states if state.is_troubled and not present(state)]
