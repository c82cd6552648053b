"""What the console itself costs: shown in its own header, because a monitor must not be the problem."""

import os
import resource
import time
from collections.abc import Callable, Sequence
from math import nan
from typing import Final

from perfconsole.core.ports import Measured, Operation, Result, Slot
from perfconsole.core.tables import Table, View
from perfconsole.core.tick import SeriesDef

_SERIES: Final = tuple(SeriesDef(f"perfconsole.{name}") for name in ("cpu.utilization", "memory.usage", "tick.lateness", "terminal.bytes"))


class OwnCollector:
    """Measures this process.

    Args:
        interval_s: Seconds between runs.
        lateness_s: How late the last collection started.
        terminal_bytes: Bytes written to the terminal so far; NaN without one.
    """

    name = "perfconsole"
    first_after_s = 0.0
    targets: Sequence[str] = ("host",)
    operations: Sequence[Operation] = ()

    def __init__(self, interval_s: float, lateness_s: Callable[[], float], terminal_bytes: Callable[[], float]) -> None:
        self.interval_s = interval_s
        self._lateness_s = lateness_s
        self._terminal_bytes = terminal_bytes
        self._used_s = self._at = nan
        self._page = resource.getpagesize()

    async def run(self, target: str, slot: Slot, views: Sequence[View]) -> Result:  # noqa: ARG002  there is one target, always measured
        """CPU since the last run (getrusage(2)), resident memory (proc(5): statm), lateness, terminal output."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        used_s, now = used.ru_utime + used.ru_stime, time.monotonic()
        ratio = (used_s - self._used_s) / (now - self._at)
        self._used_s, self._at = used_s, now
        return Result([Measured(target, _SERIES, [ratio, self._resident_bytes(), self._lateness_s(), self._terminal_bytes()])])

    def _resident_bytes(self) -> float:
        try:
            fd = os.open("/proc/self/statm", os.O_RDONLY)
        except OSError:
            return nan
        try:
            return float(os.read(fd, 128).split()[1]) * self._page
        finally:
            os.close(fd)

    async def look(self, views: Sequence[View]) -> Sequence[Table]:  # noqa: ARG002  there is no table
        """Nothing."""
        return ()

    def close(self) -> None:
        """Nothing is held."""
