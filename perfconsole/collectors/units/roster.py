"""Which units have series, and their values: a set that changes seldom, since with every change all of them are defined anew.

A unit joins when it has been shown twice in a row, and not more than once a minute any does; one in trouble joins at once. It leaves when
another needs its place and it has not been shown for some minutes, or ended; one that ended keeps it until then, without values.
"""

from collections.abc import Iterable, Sequence
from math import inf, isnan, nan
from typing import Final

from perfconsole.collectors.system.parts import higher
from perfconsole.collectors.units.choice import ROWS
from perfconsole.collectors.units.node import Counts, Node
from perfconsole.collectors.units.readings import use
from perfconsole.core.tick import SeriesDef

KEPT_S: Final = 300.0
"""How long a unit stays without being shown."""

APART_S: Final = 60.0
"""How long the set stays as it is, whoever comes and goes: containers may do so every second."""

_CPU: Final = "cgroup.cpu.utilization"
_THROTTLED: Final = "cgroup.cpu.throttled.ratio"
_MEMORY: Final = "cgroup.memory.utilization"
_KILLS: Final = "cgroup.oom_kills"
_NAMES: Final = (_CPU, _THROTTLED, _MEMORY, _KILLS)
_TOTALS: Final = tuple(SeriesDef(name) for name in (*_NAMES, "system.units.failed"))
_WHOLE: Final = frozenset({"service", "container", "pod"})
"""Kinds that somebody cares about by name; of scopes and others' groups those that contain no more of them, and whatever has a limit."""


class _Member:
    """One unit: its label, which of its metrics are told, and when it was last shown."""

    __slots__ = ("counted", "label", "limited", "quota", "seen_at", "tells_kills")

    def __init__(self, label: str, at: float) -> None:
        self.label = label
        self.counted = self.quota = self.limited = self.tells_kills = False
        self.seen_at = at


class Roster:
    """The units with series.

    Args:
        longest_s: Over more time than that no rate is told.

    Attributes:
        series: Of all of them; the same object while the set is unchanged.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._members: dict[str, _Member] = {}
        self._seen: set[str] = set()
        self._changed_at = -inf
        self.series: tuple[SeriesDef, ...] = _TOTALS

    def __contains__(self, path: object) -> bool:
        return path in self._members

    def follow(self, nodes: dict[str, Node], shown: Sequence[Node], at: float) -> None:
        """Take up who is shown at a moment (CLOCK_BOOTTIME), and who is there at all."""
        eligible = {node.place.path: node for node in shown if is_eligible(node)}
        first, rested = self._changed_at == -inf, at - self._changed_at >= APART_S
        changed = False
        for path, node in eligible.items():
            member = self._members.get(path)
            joins = first or _is_troubled(node) or (rested and path in self._seen)
            if member is None and joins and self._has_room(nodes, at):
                member = self._members[path] = _Member(self._label(node), at)
                changed = True
            if member is not None:
                member.seen_at = at
        self._seen = set(eligible)
        for path in [path for path, member in self._members.items() if rested and path not in nodes and at - member.seen_at > KEPT_S]:
            del self._members[path]
            changed = True
        for path, member in self._members.items():
            changed = self._note_limits(member, nodes.get(path)) or changed
        if changed:
            self._changed_at = at
            self.series = (*_TOTALS, *(definition for member in self._members.values() for definition in _definitions(member)))

    def _has_room(self, nodes: dict[str, Node], at: float) -> bool:
        """Whether there is a place, or one can be made."""
        if len(self._members) < ROWS:
            return True
        path, member = min(self._members.items(), key=lambda item: (item[0] in nodes, item[1].seen_at))
        if path in nodes and at - member.seen_at <= KEPT_S:
            return False
        del self._members[path]
        return True

    def _label(self, node: Node) -> str:
        """Its name; where another has that, with what it belongs to, and else its path."""
        taken = {member.label for member in self._members.values()}
        name = node.place.name
        names = [name, f"{name} ({node.above.place.name})" if node.above else name, node.place.shown_path]
        return next((label for label in names if label not in taken), f"{node.place.shown_path} {node.key[0]:08x}")

    @staticmethod
    def _note_limits(member: _Member, node: Node | None) -> bool:
        """Whether it has a metric that it had not; a limit that was taken away leaves its series without values."""
        if node is None:
            return False
        before = (member.counted, member.quota, member.limited, member.tells_kills)
        known = (node.counts.usage_s, node.cpu_limit, node.memory_limit, node.oom)
        now = tuple(had or not isnan(value) for had, value in zip(before, known, strict=True))
        member.counted, member.quota, member.limited, member.tells_kills = now
        return now != before

    def values(
        self, all_nodes: Iterable[Node], nodes: dict[str, Node], worst_memory: float, kills: float, failed: float = nan
    ) -> list[float]:
        """The values, and a new beginning for the next: what was used is told of the time since the last call.

        Args:
            all_nodes: Every unit of the tree.
            nodes: Those by their path.
            worst_memory: The highest share of a limit.
            kills: How many processes were killed for memory.
            failed: How many units systemd holds to have failed; NaN while it says nothing.
        """
        cpu = throttled = nan
        told: dict[str, tuple[float, float]] = {}
        for node in all_nodes:
            before, node.base = node.base, node.counts
            if isnan(node.cpu_limit) and node.place.path not in self._members:
                continue
            told[node.place.path] = found = self._use(node, before)
            if not isnan(node.cpu_limit):
                cpu, throttled = higher(found[0], cpu), higher(found[1], throttled)
        out = [cpu, throttled, worst_memory, kills, failed]
        for path, member in self._members.items():
            here = nodes.get(path)
            out += _values(member, here, told.get(path, (nan, nan)))
        return out

    def _use(self, node: Node, before: Counts) -> tuple[float, float]:
        """CPU, of a quota where there is one, and the share of throttled periods."""
        found = use(node.counts, before, node.cpu_limit, self._longest_s)
        return (found.cpu if isnan(node.cpu_limit) else found.cpu / node.cpu_limit), found.throttled


def is_eligible(node: Node) -> bool:
    """Whether a unit is one to have series."""
    return node.place.kind in _WHOLE or not node.below or not isnan(node.cpu_limit) or not isnan(node.memory_limit)


def _is_troubled(node: Node) -> bool:
    return node.use.throttled > 0 or node.oom > node.oom_before


def _definitions(member: _Member) -> list[SeriesDef]:
    labels = (("unit", member.label),)
    return [SeriesDef(name, labels) for name, told in zip(_NAMES, _told(member), strict=True) if told]


def _told(member: _Member) -> tuple[bool, ...]:
    """Which of `_NAMES` it has."""
    return (member.counted, member.quota, member.limited, member.tells_kills)


def _values(member: _Member, node: Node | None, used: tuple[float, float]) -> list[float]:
    memory, kills = (nan, nan) if node is None else (node.memory, node.oom)
    return [value for value, told in zip((*used, memory, kills), _told(member), strict=True) if told]
