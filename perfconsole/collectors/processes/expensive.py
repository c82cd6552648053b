"""The columns that cost a file of their own per process: storage I/O, proportional memory, open descriptors.

They are read of the rows that are looked at, and taken off those that no longer are: old values are not values.
"""

import os
from collections.abc import Callable, Iterable
from functools import partial
from math import isnan, nan
from typing import Final

from msgspec.structs import replace

from perfconsole.collectors.loop import paced
from perfconsole.collectors.processes.backend import IO_COLUMNS
from perfconsole.collectors.processes.files import read
from perfconsole.collectors.processes.patience import Patience
from perfconsole.collectors.processes.process import Process

LOOK_ROWS: Final = 40
LOOK_S: Final = 0.0015
"""Bounds of what a changed watch reads at once: a screen of rows."""

PSS_BUDGET_S: Final = 0.5
"""smaps_rollup walks the page tables: 0.03 ms of a shell, 40 ms of a database with 16 GiB; what is not reached stays unknown."""

Columns = frozenset[str]
Todo = list[tuple[Process, Columns]]

_NONE: Final[Columns] = frozenset()


class ExpensiveColumns:
    """Reads them below one /proc, and knows which rows carry which.

    Args:
        proc: Where it is mounted.
        clock: CLOCK_BOOTTIME.
    """

    def __init__(self, proc: str, clock: Callable[[], float]) -> None:
        self._proc = proc
        self._clock = clock
        self._carried: dict[int, tuple[Process, Columns]] = {}
        self._sizes = Patience(partial(pss, proc), "processes-pss")

    def forget(self, pid: int) -> None:
        """A process has gone."""
        self._carried.pop(pid, None)

    async def change(self, todo: Todo) -> None:
        """Read these columns of these processes, and take them off every other.

        Args:
            todo: Each process once.
        """
        wanted = {process.pid for process, columns in todo if columns}
        async for process, _ in paced([held for pid, held in self._carried.items() if pid not in wanted], self._clock):
            self._put(process, _NONE, nan)
        todo = [(process, columns) for process, columns in todo if columns]
        sizes = await self._ask_sizes(todo, PSS_BUDGET_S)
        async for process, columns in paced(todo, self._clock):
            self._put(process, columns, sizes.get(process.pid, nan))

    async def add(self, todo: Todo) -> None:
        """Read of these processes what was not read yet, within `LOOK_ROWS` and `LOOK_S`; the rest waits for the next scan."""
        new = [(process, columns) for process, columns in todo if columns - self._carried.get(process.pid, (process, _NONE))[1]][:LOOK_ROWS]
        sizes = await self._ask_sizes(new, LOOK_S)
        until = self._clock() + LOOK_S
        for process, columns in new:
            self._put(process, columns, sizes.get(process.pid, nan))
            if self._clock() > until:
                break

    async def _ask_sizes(self, todo: Todo, budget_s: float) -> dict[int, float]:
        return await self._sizes.ask([process.pid for process, columns in todo if "pss_bytes" in columns and not process.locked], budget_s)

    def _put(self, process: Process, columns: Columns, size: float) -> None:
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
            self._carried[process.pid] = process, columns
        else:
            self._carried.pop(process.pid, None)

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


def disk_io(proc: str, pid: int) -> tuple[float, float]:
    """Bytes a process made storage read and write (``read_bytes``, ``write_bytes`` of /proc/PID/io); NaN when we may not know.

    What it wrote and then deleted before it reached the disk (``cancelled_write_bytes``) is left in: taking it off makes a counter fall.
    """
    try:
        lines = read(f"{proc}/{pid}/io").split(b"\n")
        fields = dict(line.split(b": ") for line in lines if line)
        return float(fields[b"read_bytes"]), float(fields[b"write_bytes"])
    except (OSError, ValueError, KeyError):
        return nan, nan


def count_fds(proc: str, pid: int) -> float:
    """Open descriptors of a process; NaN when we may not know.

    Since Linux 6.2 the directory's size is their number, at a twentieth of the cost of listing a thousand of them.
    """
    path = f"{proc}/{pid}/fd"
    try:
        size = os.stat(path).st_size  # noqa: PTH116 - pathlib doubles the cost
        return float(size or len(os.listdir(path)))  # noqa: PTH208 - likewise
    except OSError:
        return nan


def pss(proc: str, pid: int) -> float:
    """Proportional set size in bytes; NaN when we may not know, or it has no memory."""
    try:
        for line in read(f"{proc}/{pid}/smaps_rollup", 4096).split(b"\n"):
            if line.startswith(b"Pss:"):
                return float(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return nan
