"""What is held of one process of Linux between two scans."""

from collections.abc import Callable
from functools import partial
from time import CLOCK_BOOTTIME, clock_gettime
from typing import Final

from perfconsole.collectors.processes.stat import Stat
from perfconsole.core.tables import ProcessRow


class Process:
    """One process of Linux.

    Attributes:
        fd: Kept descriptor of its stat file; -1 when there was no room for one, or it was closed.
        data: That file's bytes as last read, and `stat` their meaning.
        read_at: CLOCK_BOOTTIME of that read.
        row: Its row in the table; replaced, never changed.
        arguments: Its argument vector as last read, while it is on a screen.
        io: CLOCK_BOOTTIME and bytes read and written when its I/O was last looked at.
    """

    __slots__ = ("arguments", "data", "fd", "io", "pid", "read_at", "row", "stat")

    def __init__(self, pid: int, fd: int, data: bytes, stat: Stat, read_at: float, row: ProcessRow) -> None:
        self.pid = pid
        self.fd = fd
        self.data = data
        self.stat = stat
        self.read_at = read_at
        self.row = row
        self.arguments: bytes | None = None
        self.io: tuple[float, float, float] | None = None

    @property
    def locked(self) -> bool:
        """Whether files that need its memory lock are not to be read.

        One in state D may hold that lock for ever, and whoever reads its command line then hangs with it, as ps and top do.
        A zombie and a kernel thread have no memory.
        """
        return self.stat.kernel or self.stat.state in "DZ"


boottime: Final[Callable[[], float]] = partial(clock_gettime, CLOCK_BOOTTIME)
"""CLOCK_BOOTTIME in seconds: what start times in /proc count in, suspend included. No function of ours: it is asked once a process."""
