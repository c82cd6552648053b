"""Network traffic from ``/proc/net/dev``: every interface, physical ones summed.

What goes through a bridge, a veth or a tunnel goes through a physical interface too, or never leaves the machine: these are shown, and not
added up. Inside a container no interface is physical; then all but the loopback and bridges are.
"""

import os
from math import nan
from os import fsdecode
from typing import Final

from perfconsole.collectors.system.files import Files, is_there
from perfconsole.collectors.system.parts import Counts, Sums, define, distinct
from perfconsole.core.globs import Globs
from perfconsole.core.text import safe
from perfconsole.core.tick import SeriesDef

_METRICS: Final = ("system.network.io", "system.network.packets", "system.network.errors", "system.network.dropped")
PAIRED: Final = ("veth", "cali", "lxc", "tap", "vnet")
"""One a container or guest: a node may have hundreds, so only their bytes are kept unless they are asked for by name."""

_REFRESH: Final = 15
"""Readings between looks at what an interface is: a device that is enslaved keeps its name."""


class Networks:
    """Bytes, packets, errors and drops, by interface and summed. What a link is like is another's: its driver has to be asked."""

    def __init__(self, files: Files, proc: str, sys: str, wanted: Globs) -> None:
        self._files, self._path, self._sys, self._wanted = files, f"{proc}/net/dev", sys, wanted
        self._sums = Sums()
        self._shown: list[str] = []
        self._reads = 0
        self._widths: dict[str, int] = {}
        self._summed: list[str] = []
        self.series: tuple[SeriesDef, ...] = _series({}, {})

    def read(self, step_s: float) -> list[float]:  # noqa: ARG002  # the shape of a part; counters are made rates on read
        """See `Part`."""
        counts = self._chosen(self._files.read(self._path))
        names = list(counts)
        if names != self._shown or self._reads % _REFRESH == 0:
            self._classify(names)
        self._reads += 1
        totals = self._sums.add({name: counts[name] for name in self._summed})
        # Both directions together, then each: the counters stand in pairs.
        both = [received + sent for received, sent in zip(totals[::2], totals[1::2], strict=True)]
        values = [*map(float, both), *map(float, totals)] or [nan] * (len(_METRICS) + 8)
        for name, now in counts.items():
            values += map(float, now[: self._widths[name]])
        return values

    def _chosen(self, content: bytes) -> Counts:
        """Counters by interface: received and transmitted bytes, packets, errors, drops."""
        counts: Counts = {}
        for line in content.splitlines()[2:]:
            head, _, tail = line.rpartition(b":")  # an old alias holds a colon itself
            name = fsdecode(head.strip())
            if name not in self._wanted:
                continue
            numbers = list(map(int, tail.split()))
            idle = not numbers[0] and not numbers[8]
            if idle and not self._wanted.names(name) and not self._physical(name):
                continue
            counts[name] = (
                numbers[0],
                numbers[8],
                numbers[1],
                numbers[9],
                numbers[2],
                numbers[10],
                numbers[3],
                numbers[11],
            )
        return counts

    def _classify(self, names: list[str]) -> None:
        physical = [name for name in names if self._physical(name)]
        self._summed = [name for name in physical if not self._counted_above(name)] or [
            name for name in names if name != "lo" and not self._is(name, "bridge")
        ]
        self._widths = {name: 2 if name.startswith(PAIRED) and not self._wanted.names(name) else 8 for name in names}
        if names != self._shown:
            labels = dict(zip(names, distinct([safe(name) for name in names]), strict=True))
            self.series = _series(labels, self._widths)
        self._shown = names

    def _physical(self, name: str) -> bool:
        return self._is(name, "device")

    def _counted_above(self, name: str) -> bool:
        """Whether another physical interface counts this one's traffic as its own: so Hyper-V's and Azure's do for their fast path.

        A bond or a bridge counts that of its members too, but is none itself.
        """
        try:
            above = os.readlink(f"{self._folder(name)}/master").rpartition("/")[2]  # noqa: PTH115  a link that is usually not there
        except OSError:
            return False
        return self._physical(above)

    def _is(self, name: str, mark: str) -> bool:
        return "/" not in name and is_there(f"{self._folder(name)}/{mark}")

    def _folder(self, name: str) -> str:
        return f"{self._sys}/class/net/{name}"


def _series(labels: dict[str, str], widths: dict[str, int]) -> tuple[SeriesDef, ...]:
    out = [*map(define, _METRICS), *_directions({})]
    for name, label in labels.items():
        out += _directions({"interface": label})[: widths[name]]
    return tuple(out)


def _directions(label: dict[str, str]) -> list[SeriesDef]:
    return [define(metric, direction=direction, **label) for metric in _METRICS for direction in ("receive", "transmit")]
