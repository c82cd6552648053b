"""One process of Linux: /proc/PID/stat (proc(5)), the one file that every scan reads, and what is held of it between two scans."""

from collections.abc import Callable
from functools import partial
from time import CLOCK_BOOTTIME, clock_gettime
from typing import Final, NamedTuple

from perfconsole.core.tables import ProcessRow

PF_KTHREAD: Final = 0x0020_0000
"""include/linux/sched.h. The parent's pid would not do: in a container pid 2 is an ordinary process with ordinary children."""


class Stat(NamedTuple):
    """The fields that are used of it.

    Attributes:
        comm: The name as the kernel keeps it: at most 15 bytes of a program, 63 of a kernel worker; any bytes but NUL.
        state: Its letter.
        ticks: User and system time, in clock ticks.
        start: Start time in clock ticks since boot.
        rss_pages: Resident set size in pages.
    """

    comm: bytes
    state: str
    ppid: int
    kernel: bool
    ticks: int
    nice: int
    threads: int
    start: int
    rss_pages: int


def parse(data: bytes) -> Stat:
    """The fields of one file.

    A name may hold blanks, newlines and parentheses: it ends at the last ``)``, since only numbers follow.

    Raises:
        ValueError: When it is no such file, or was cut.
    """
    opened, closed = data.find(b"("), data.rfind(b")")
    fields = data[closed + 2 :].split(None, 22)
    if opened < 0 or closed < opened or len(fields) < 22:
        message = f"not a /proc/PID/stat: {data[:40]!r}"
        raise ValueError(message)
    return Stat(
        data[opened + 1 : closed],
        chr(fields[0][0]),
        int(fields[1]),
        bool(int(fields[6]) & PF_KTHREAD),
        int(fields[11]) + int(fields[12]),
        int(fields[16]),
        int(fields[17]),
        int(fields[19]),
        int(fields[21]),
    )


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
