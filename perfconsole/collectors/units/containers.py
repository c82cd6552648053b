"""Containers and pods that came and went, as events: the first few with their names, then in sums. Pure: the time is an argument.

Their groups are all that is known of them here: who made them is asked for nothing. A container of a pod that comes with it is part of
that; one that comes into a pod that was there is told, for so a container that crashes comes back.
"""

from collections.abc import Iterable, Sequence
from math import inf
from typing import Final

from perfconsole.collectors.units.node import Node
from perfconsole.core.tick import Event
from perfconsole.core.units import duration

SPAN_S: Final = 600.0
MOST: Final = 10
"""So many are told within `SPAN_S`; where there were more they are one line each `SPAN_S`, until there are fewer again: a machine that
builds or runs jobs has thousands a day."""

_KINDS: Final = frozenset({"container", "pod"})
_SOURCE: Final = "cgroup"


class Containers:
    """Tells of them from look to look."""

    def __init__(self) -> None:
        self._began = -inf
        self._room = MOST
        self._untold: dict[str, int] = {}
        self._since = inf

    def follow(self, came: Sequence[Node], went: Sequence[Node], before: float, at: float) -> list[Event]:
        """What happened between two looks (epoch seconds), and the sum of what was not told when it is time for it."""
        events = self._sum(at)
        ended, begun = _names(went), _names(came)
        were, are = frozenset(ended), frozenset(begun)
        for verb, names in (
            ("was started again", [name for name in begun if name in were]),
            ("ended", [name for name in ended if name not in are]),
            ("was started", [name for name in begun if name not in were]),
        ):
            for name in names:
                if self._room > 0:
                    self._room -= 1
                    events.append(Event(before, at, "unit", name, f"{name} {verb}", _SOURCE))
                else:
                    self._untold[verb] = self._untold.get(verb, 0) + 1
                    self._since = min(self._since, before)
        return events

    def _sum(self, at: float) -> list[Event]:
        if 0 <= at - self._began < SPAN_S:
            return []
        counted, since = self._untold, self._since
        self._began, self._untold, self._since = at, {}, inf
        self._room = 0 if sum(counted.values()) > MOST else MOST
        if not counted:
            return []
        words = {"was started again": "were started again", "was started": "were started"}
        what = ", ".join(f"{count} {words.get(verb, verb)}" for verb, count in counted.items())
        text = f"further containers and pods: {what} within {duration(at - since)}"
        return [Event(since, at, "unit", "host", text, _SOURCE)]


def _names(nodes: Iterable[Node]) -> list[str]:
    """Of containers and pods that are looked at, those alone whose pod is not among them, too."""
    pods = {node.place.path for node in nodes if node.place.kind == "pod"}
    return [
        node.place.name
        for node in nodes
        if node.place.kind in _KINDS and node.chosen and not node.is_root and not (node.above and node.above.place.path in pods)
    ]
