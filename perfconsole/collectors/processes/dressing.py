"""Puts the expensive columns on the rows that are looked at, and takes them off those that no longer are: old values are not values."""

from collections.abc import Callable, Iterable
from math import isnan, nan
from typing import Final

from msgspec.structs import replace

from perfconsole.collectors.processes.aside import aside
from perfconsole.collectors.processes.backend import IO_COLUMNS
from perfconsole.collectors.processes.costly import PSS_BUDGET_S, count_fds, disk_io, pss_of
from perfconsole.collectors.processes.pace import paced
from perfconsole.collectors.processes.process import Process

LOOK_ROWS: Final = 40
LOOK_S: Final = 0.0015
"""Bounds of what a changed watch reads at once: a screen of rows."""

Columns = frozenset[str]
Todo = list[tuple[Process, Columns]]

_NONE: Final[Columns] = frozenset()


class Dressing:
    """Reads expensive columns below one /proc.

    Args:
        proc: Where it is mounted.
        clock: CLOCK_BOOTTIME.
    """

    def __init__(self, proc: str, clock: Callable[[], float]) -> None:
        self._proc = proc
        self._clock = clock
        self._worn: dict[int, tuple[Process, Columns]] = {}

    def forget(self, pid: int) -> None:
        """A process has gone."""
        self._worn.pop(pid, None)

    async def change(self, todo: Todo) -> None:
        """Read these columns of these processes, and undress every other.

        Args:
            todo: Each process once.
        """
        wanted = {process.pid for process, columns in todo if columns}
        for process, _ in [worn for pid, worn in self._worn.items() if pid not in wanted]:
            self._dress(process, _NONE, nan)
        todo = [(process, columns) for process, columns in todo if columns]
        sizes = await self._sizes(todo, PSS_BUDGET_S)
        async for process, columns in paced(todo, self._clock):
            self._dress(process, columns, sizes.get(process.pid, nan))

    async def add(self, todo: Todo) -> None:
        """Read of these processes what was not read yet, within `LOOK_ROWS` and `LOOK_S`; the rest waits for the next scan."""
        new = [(process, columns) for process, columns in todo if columns - self._worn.get(process.pid, (process, _NONE))[1]][:LOOK_ROWS]
        sizes = await self._sizes(new, LOOK_S)
        until = self._clock() + LOOK_S
        for process, columns in new:
            self._dress(process, columns, sizes.get(process.pid, nan))
            if self._clock() > until:
                break

    async def _sizes(self, todo: Todo, budget_s: float) -> dict[int, float]:
        pids = [process.pid for process, columns in todo if "pss_bytes" in columns and not process.locked]
        return await aside(lambda: pss_of(self._proc, pids, budget_s)) if pids else {}

    def _dress(self, process: Process, columns: Columns, size: float) -> None:
        row = process.row
        read_s = write_s = nan
        if columns & IO_COLUMNS:
            read_s, write_s = self._io_rates(process)
        else:
            process.io = None
        fds = count_fds(self._proc, process.pid) if "fds" in columns else nan
        if _differ((read_s, write_s, size, fds), (row.read_bytes_s, row.write_bytes_s, row.pss_bytes, row.fds)):
            process.row = replace(row, read_bytes_s=read_s, write_bytes_s=write_s, pss_bytes=size, fds=fds)
        if columns:
            self._worn[process.pid] = process, columns
        else:
            self._worn.pop(process.pid, None)

    def _io_rates(self, process: Process) -> tuple[float, float]:
        before, now = process.io, self._clock()
        done = disk_io(self._proc, process.pid)
        process.io = now, *done
        if before is None or now <= before[0]:
            return nan, nan
        elapsed_s = now - before[0]
        read_s, write_s = (done[0] - before[1]) / elapsed_s, (done[1] - before[2]) / elapsed_s
        return (read_s if read_s >= 0 else nan), (write_s if write_s >= 0 else nan)


def _differ(new: Iterable[float], old: Iterable[float]) -> bool:
    """Whether two rows of numbers differ, unknown being equal to unknown."""
    return any(a != b and not (isnan(a) and isnan(b)) for a, b in zip(new, old, strict=True))
