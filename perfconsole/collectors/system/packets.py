"""Packets before any socket sees them: the queues between driver and stack, and the table of tracked connections."""

from math import nan
from typing import Final

from perfconsole.collectors.system.files import Files
from perfconsole.collectors.system.parts import Counts, Sums, define, ratio
from perfconsole.core.tick import SeriesDef

_CPU: Final = 12
"""The column of ``softnet_stat`` that says which CPU a row is of (Linux 5.14); before, rows are counted."""


class Softnet:
    """Packets dropped because a CPU's queue was full, and the times it ran out of its budget with work left.

    ``/proc/net/softnet_stat`` is a row a CPU that is online, in hexadecimal, without a heading (net/core/net-procfs.c): packets, drops,
    squeezes, ... They are the machine's, whatever the namespace.
    """

    def __init__(self, files: Files, proc: str) -> None:
        self._files, self._path = files, f"{proc}/net/softnet_stat"
        self._sums = Sums()
        self.series = (define("system.network.softnet.dropped"), define("system.network.softnet.squeezed"))

    def read(self, step_s: float) -> list[float]:  # noqa: ARG002  # the shape of a part; counters are made rates on read
        """See `Part`."""
        counts: Counts = {}
        for i, line in enumerate(self._files.read(self._path).splitlines()):
            columns = line.split()
            cpu = int(columns[_CPU], 16) if len(columns) > _CPU else i
            counts[str(cpu)] = (int(columns[1], 16), int(columns[2], 16))
        return [float(total) for total in self._sums.add(counts)] if counts else [nan, nan]


class Conntrack:
    """How full the table of tracked connections is: when it is full, new ones are dropped, and nobody is told but the kernel log.

    Without a firewall or NAT there is no such table, and there are no such series.
    """

    _SERIES = (define("system.conntrack.entries"), define("system.conntrack.limit"), define("system.conntrack.utilization"))

    def __init__(self, files: Files, proc: str) -> None:
        self._files, self._folder = files, f"{proc}/sys/net/netfilter"
        self.series: tuple[SeriesDef, ...] = ()

    def read(self, step_s: float) -> list[float]:  # noqa: ARG002  # the shape of a part; levels need no time
        """See `Part`."""
        count = self._files.read_optional(f"{self._folder}/nf_conntrack_count").strip()
        if not count and not self.series:
            return []
        self.series = self._SERIES
        most = self._files.read_optional(f"{self._folder}/nf_conntrack_max").strip() if count else b""
        entries, limit = (float(text) if text else nan for text in (count, most))
        return [entries, limit, ratio(entries, limit)]
