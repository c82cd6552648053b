"""What the console itself costs: shown in its own header, because a monitor must not be the problem."""

import os
import resource
import time
from collections.abc import Callable, Sequence
from math import nan
from typing import Final

from perfconsole.collectors.blindness import Blindness
from perfconsole.core.ports import Measured, Operation, Result, Slot
from perfconsole.core.tables import Table, View
from perfconsole.core.tick import SeriesDef

_SERIES: Final = tuple(SeriesDef(f"perfconsole.{name}") for name in ("cpu.utilization", "memory.usage", "tick.lateness", "terminal.bytes"))


_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class OwnCollector:
    """Measures this process, and those that it began: a checker of many endpoints.

    Args:
        interval_s: Seconds between runs.
        lateness_s: How late the last collection started.
        terminal_bytes: Bytes written to the terminal so far; NaN without one.
        blindness: Says what the console cannot see any more; told with its own cost, for that needs no wake-up of its own.
    """

    name = "perfconsole"
    first_after_s = 0.0
    targets: Sequence[str] = ("host",)
    operations: Sequence[Operation] = ()

    def __init__(
        self,
        interval_s: float,
        lateness_s: Callable[[], float],
        terminal_bytes: Callable[[], float],
        blindness: Blindness | None = None,
    ) -> None:
        self.interval_s = interval_s
        self._blindness = blindness
        self._lateness_s = lateness_s
        self._terminal_bytes = terminal_bytes
        self._used_s = self._at = nan
        self._children: dict[int, float] = {}
        self._page = resource.getpagesize()

    async def run(self, target: str, slot: Slot, views: Sequence[View]) -> Result:  # noqa: ARG002  there is one target, always measured
        """CPU since the last run (getrusage(2)), resident memory (proc(5): statm), lateness, terminal output."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        used_s, now = used.ru_utime + used.ru_stime, time.monotonic()
        children = {pid: _used_s(pid) for pid in _children()}
        theirs_s = sum(used - self._children.get(pid, 0.0) for pid, used in children.items())
        ratio = (used_s - self._used_s + theirs_s) / (now - self._at)
        self._used_s, self._at, self._children = used_s, now, children
        resident = self._resident_bytes("self") + sum(self._resident_bytes(str(pid)) for pid in children)
        own = Measured(target, _SERIES, [ratio, resident, self._lateness_s(), self._terminal_bytes()])
        blind = self._blindness.measured(slot.boot, self.interval_s) if self._blindness else None
        return Result([own, blind] if blind else [own])

    def _resident_bytes(self, pid: str) -> float:
        fields = _read(f"/proc/{pid}/statm").split()
        return float(fields[1]) * self._page if len(fields) > 1 else nan if pid == "self" else 0.0

    async def look(self, views: Sequence[View]) -> Sequence[Table]:  # noqa: ARG002  there is no table
        """Nothing."""
        return ()

    def close(self) -> None:
        """Nothing is held."""


def _children() -> list[int]:
    """Processes that this one's threads began (proc(5): task/TID/children); none where the kernel does not tell."""
    try:
        tasks = os.listdir("/proc/self/task")  # noqa: PTH208  a dozen names every 2 s, without a Path for each
    except OSError:
        return []
    return [int(pid) for task in tasks for pid in _read(f"/proc/self/task/{task}/children").split()]


def _used_s(pid: int) -> float:
    """CPU that a process used so far (proc(5): fields 14 and 15 of stat, after a name that may hold anything); 0 for one that is gone."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S if len(fields) > 12 else 0.0


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, 4096)
    except OSError:  # gone meanwhile
        return b""
    finally:
        os.close(fd)
