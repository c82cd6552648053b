r"""The kernel's ring buffer of lines, record by record (Documentation/ABI/testing/dev-kmsg), and the times of its stamps.

A record is ``level|facility<<3,sequence,microseconds,flags[,more];text``; what is not printable is written ``\xNN``, and lines of
``KEY=value`` follow. Only the kernel's own facility counts: whoever may write to the device (root) is given another one, always.
"""

import os
import re
import stat
from collections.abc import Iterator
from errno import EINVAL, EPIPE
from typing import Final, NamedTuple

from perfconsole.core.text import safe

LONGEST_BYTES: Final = 8192
"""Of one record, prefix and dictionary included; CONSOLE_EXT_LOG_MAX in kernel/printk."""

_KMSG: Final = os.makedev(1, 11)
_ESCAPE: Final = re.compile(rb"\\x([0-9a-f]{2})")
_TEXT: Final = 1024

_DRIFT: Final = 3e-5
"""The clock of the stamps is not disciplined: 30 ppm off are common, 8 s after three days."""
_EXACT_S: Final = 1.0


class Record(NamedTuple):
    """One line: its number, unique since boot, seconds since boot without suspensions, and the text as it came."""

    number: int
    stamp_s: float
    raw: bytes

    def text(self) -> str:
        """The text, safe."""
        raw = self.raw[: 4 * _TEXT]
        return safe(_ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), raw) if b"\\x" in raw else raw, _TEXT)


class NotTheKernelLogError(Exception):
    """What is at the path is something else: containers have FIFOs and links to a console there."""


def open_ring(path: str) -> int:
    """A descriptor that reads from the oldest line on, and never waits.

    Raises:
        OSError: When it is missing or may not be read.
        NotTheKernelLogError: When it is something else.
    """
    if os.stat(path).st_rdev != _KMSG or not stat.S_ISCHR(os.stat(path).st_mode):  # noqa: PTH116  # before an open could have an effect
        raise NotTheKernelLogError(path)
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


class Ring:
    """Reads what is in the buffer, and what comes.

    Attributes:
        lost: How often lines were overwritten before they were read.
    """

    def __init__(self, descriptor: int) -> None:
        """Take over a descriptor."""
        self._descriptor = descriptor
        self.lost = 0

    def records(self) -> Iterator[Record | None]:
        """What is there now, one by one; None for what is not the kernel's own, so that whoever paces this can.

        Raises:
            OSError: When it cannot be read any more.
        """
        while True:
            try:
                data = os.read(self._descriptor, LONGEST_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == EPIPE:
                    self.lost += 1
                elif error.errno != EINVAL:  # a record longer than any: it is passed over by having been asked for
                    raise
                yield None
                continue
            if not data:
                return
            yield parse(data)

    def skip(self) -> None:
        """Go on with what comes from now on."""
        os.lseek(self._descriptor, 0, os.SEEK_END)

    def close(self) -> None:
        """Give back the descriptor."""
        os.close(self._descriptor)


def parse(data: bytes) -> Record | None:
    """A record; None where it is not of the kernel's own facility, or none at all."""
    head, semicolon, rest = data.partition(b";")
    fields = head.split(b",", 3)
    if not semicolon or len(fields) < 3:
        return None
    try:
        level, number, microseconds = int(fields[0]), int(fields[1]), int(fields[2])
    except ValueError:
        return None
    return None if level >> 3 else Record(number, microseconds / 1e6, rest.partition(b"\n")[0])


class Clocks(NamedTuple):
    """The clocks at one moment: the wall's (epoch seconds), CLOCK_MONOTONIC, and CLOCK_BOOTTIME, which counts suspensions, too."""

    wall: float
    monotonic: float
    boot: float


def when(stamp_s: float, now: Clocks, since: float | None) -> tuple[float, float]:
    """The wall clock's time of a stamp, as an interval where it is not known to a second.

    Args:
        stamp_s: Of a record. Its clock stands still while the machine is suspended, as CLOCK_MONOTONIC does, but runs by itself.
        now: The clocks after the record was read.
        since: When the buffer was last found empty, epoch seconds: a record read later was written later. None at the start.

    Returns:
        The times between which it was written, epoch seconds.
    """
    told = now.wall - max(0.0, now.monotonic - stamp_s)
    if since is not None:
        since = min(since, now.wall)
        if since - _EXACT_S <= told:
            return max(since, told), max(since, told)
        return since, now.wall
    suspended_s, drift_s = now.boot - now.monotonic, _DRIFT * now.monotonic
    if suspended_s < _EXACT_S and drift_s < _EXACT_S:
        return told, told
    return told - drift_s - (suspended_s if suspended_s >= _EXACT_S else 0.0), min(now.wall, told + drift_s)
