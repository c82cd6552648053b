"""TCP of both address families as the kernel counts it: ``/proc/net/snmp``, ``/proc/net/netstat`` and ``/proc/net/sockstat``.

What each counter means is in Documentation/networking/snmp_counter.rst. All are of the own network namespace, but for orphans and memory,
which are the machine's.
"""

import os
from math import nan
from typing import Final

from perfconsole.collectors.system.files import Files
from perfconsole.collectors.system.parts import define, ratio

_REFRESH: Final = 15
"""Readings between looks at the limit of memory for TCP: it is set at boot, and hardly ever afterwards."""

_SEGMENTS: Final = {
    b"RetransSegs": "system.tcp.retransmits",
    b"CurrEstab": "system.tcp.established",
    b"OutSegs": "system.tcp.segments.sent",
    b"ActiveOpens": "system.tcp.opens.active",
    b"PassiveOpens": "system.tcp.opens.passive",
    b"AttemptFails": "system.tcp.opens.failed",
    b"EstabResets": "system.tcp.resets",
}
_QUEUES: Final = {
    b"ListenOverflows": "system.tcp.listen.overflows",
    b"ListenDrops": "system.tcp.listen.drops",
    b"TCPTimeouts": "system.tcp.timeouts",
    b"TCPSynRetrans": "system.tcp.syn.retransmits",
    b"SyncookiesSent": "system.tcp.syn.cookies",
    b"TCPReqQFullDrop": "system.tcp.syn.dropped",
}
_ABORTS: Final = (b"TCPAbortOnMemory", b"TCPAbortOnTimeout", b"TCPAbortOnData", b"TCPAbortOnClose", b"TCPAbortOnLinger", b"TCPAbortFailed")
"""Connections given up. Those on data and on close are programs' doing: they close with something unread."""


class Tcp:
    """Segments, and connections opened, failed, reset and established."""

    def __init__(self, files: Files, proc: str) -> None:
        self._rows = _Rows(files, f"{proc}/net/snmp", b"Tcp:", tuple(_SEGMENTS))
        self.series = tuple(map(define, _SEGMENTS.values()))

    def read(self, step_s: float) -> list[float]:  # noqa: ARG002  # the shape of a part; counters are made rates on read
        """See `Part`."""
        return self._rows.read()


class Netstat:
    """Accept queues that were full, connections that were given up, and what has become of SYNs."""

    def __init__(self, files: Files, proc: str) -> None:
        self._rows = _Rows(files, f"{proc}/net/netstat", b"TcpExt:", (*_QUEUES, *_ABORTS))
        self.series = (
            *map(define, _QUEUES.values()),
            define("system.tcp.aborts"),
            define("system.tcp.aborts", type="memory"),
            define("system.tcp.aborts", type="timeout"),
        )

    def read(self, step_s: float) -> list[float]:  # noqa: ARG002  # likewise
        """See `Part`."""
        values = self._rows.read()
        aborts = values[len(_QUEUES) :]
        return [*values[: len(_QUEUES)], sum(aborts), *aborts[:2]]


class Sockstat:
    """Sockets that belong to no program any more, and the memory that all of TCP holds.

    ``/proc/net/sockstat6`` adds nothing: what is here is counted for both families.
    """

    def __init__(self, files: Files, proc: str) -> None:
        self._files, self._path, self._limits = files, f"{proc}/net/sockstat", f"{proc}/sys/net/ipv4/tcp_mem"
        self._page_bytes = os.sysconf("SC_PAGESIZE")
        self._most_pages = nan
        self._reads = 0
        self.series = (
            define("system.tcp.time_wait"),
            define("system.tcp.orphans"),
            define("system.tcp.memory.usage"),
            define("system.tcp.memory.utilization"),
        )

    def read(self, step_s: float) -> list[float]:  # noqa: ARG002  # the shape of a part; levels need no time
        """See `Part`."""
        if self._reads % _REFRESH == 0:
            limits = self._files.read_optional(self._limits).split()  # only where no namespace hides it
            self._most_pages = float(limits[2]) if len(limits) == 3 else nan
        self._reads += 1
        line = next((line for line in self._files.read(self._path).splitlines() if line.startswith(b"TCP:")), b"")
        words = line.split()[1:]
        counts = dict(zip(words[::2], map(float, words[1::2]), strict=True))
        waiting, orphans, pages = (counts.get(name, nan) for name in (b"tw", b"orphan", b"mem"))
        return [waiting, orphans, pages * self._page_bytes, ratio(pages, self._most_pages)]


class _Rows:
    """Some columns of two lines that begin alike: one names the columns, the next has the numbers.

    There are some 130, and which one is where changes with the kernel, not from one reading to the next.
    """

    def __init__(self, files: Files, path: str, start: bytes, wanted: tuple[bytes, ...]) -> None:
        self._files, self._path, self._start, self._wanted = files, path, start, wanted
        self._heading = b""
        self._width = 0
        self._places: list[int | None] = []

    def read(self) -> list[float]:
        """The numbers in the order in which they are wanted; NaN for what this kernel does not count.

        Raises:
            ValueError: When the lines do not fit each other.
        """
        lines = [line for line in self._files.read(self._path).splitlines() if line.startswith(self._start)]
        if len(lines) != 2:
            return [nan] * len(self._wanted)
        heading, numbers = lines
        if heading != self._heading:
            names = heading.split()
            places = {name: i for i, name in enumerate(names)}
            self._heading, self._width, self._places = heading, len(names), [places.get(name) for name in self._wanted]
        found = numbers.split()
        if len(found) != self._width:
            message = f"{self._width} names, {len(found)} numbers"
            raise ValueError(message)
        return [nan if place is None else float(found[place]) for place in self._places]
