"""/proc/PID/stat (proc(5)): the one file that is read of every process on every scan. Parsing only."""

from typing import Final, NamedTuple

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
