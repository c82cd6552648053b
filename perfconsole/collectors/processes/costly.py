"""The columns that cost a file of their own per process: storage I/O, proportional memory, open descriptors. Read only when looked at."""

import os
from math import nan
from time import monotonic
from typing import Final

from perfconsole.collectors.processes.files import read

PSS_BUDGET_S: Final = 0.5
"""smaps_rollup walks the page tables: 0.03 ms of a shell, 40 ms of a database with 16 GiB; what is not reached stays unknown."""


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


def pss_of(proc: str, pids: list[int], budget_s: float = PSS_BUDGET_S) -> dict[int, float]:
    """`pss` of each, as far as the time goes; meant for a thread, because one single read may take 40 ms, or hang."""
    found: dict[int, float] = {}
    until = monotonic() + budget_s
    for pid in pids:
        found[pid] = pss(proc, pid)
        if monotonic() > until:
            break
    return found
