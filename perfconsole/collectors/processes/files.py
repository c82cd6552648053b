"""Reading /proc: small files at once, and descriptors that are kept.

A kept descriptor of /proc/PID/stat costs 4.6 us a scan where open, read and close cost 12; and it fails with ESRCH once its process is
reaped, even if the pid was given to another one since.
"""

import errno
import os
from math import nan
from typing import Final

STAT_BYTES: Final = 1024
"""More than /proc/PID/stat can have: 52 numbers, most of them short."""


def read(path: str, size: int = STAT_BYTES) -> bytes:
    """The beginning of a file, in one read.

    Raises:
        OSError: As the system says; also when the process has gone in between (ESRCH).
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, size)
    finally:
        os.close(fd)


def read_all(path: str) -> bytes:
    """A whole file.

    Raises:
        OSError: As `read`.
    """
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - pathlib costs ten times the read
        return file.read()


def boot_wall_time(proc: str) -> float:
    """Epoch seconds of the boot (``btime`` of /proc/stat, whole seconds); NaN when it is not told."""
    try:
        for line in read_all(f"{proc}/stat").split(b"\n"):
            if line.startswith(b"btime "):
                return float(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return nan


class Descriptors:
    """A share of the descriptors this process may have: at most half, because everything else here needs some too.

    Attributes:
        budget: How many may be kept.
        kept: How many are.
        crowded: The limit was met nevertheless; the owner is to drop until no more than `budget` are kept.
    """

    def __init__(self) -> None:
        self.budget = _raised_limit() // 2
        self.kept = 0
        self.crowded = False

    def keep(self, path: str) -> int:
        """Open a file to be kept; -1 when there is no room.

        Raises:
            OSError: When the file cannot be opened for a reason of its own.
        """
        if self.kept >= self.budget:
            return -1
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self.budget, self.crowded = self.kept // 2, True
            return -1
        self.kept += 1
        return fd

    def drop(self, fd: int) -> None:
        """Close one that was kept; -1 is none."""
        if fd >= 0:
            os.close(fd)
            self.kept -= 1


def _raised_limit() -> int:
    """The soft limit of open files, after raising it to the hard one (1,024 is usual for the soft one, 4,096 to 10^6 for the hard)."""
    import resource  # noqa: PLC0415 - only Linux comes here, and only once

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):  # a sandbox may forbid it
            pass
    return soft if soft != resource.RLIM_INFINITY else 1 << 20
