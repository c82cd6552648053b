"""When the kernel took in what is read here: SO_TIMESTAMPNS (socket(7)) on Linux, exact to a microsecond however late the loop was.

Of several segments that wait together only the last one's time is known: while a loop is held up, the end of an answer is exact, and its
first byte is no earlier than it says.
"""

import socket
import struct
import sys
import time
from collections.abc import Sequence
from functools import cache
from math import nan
from typing import Final

_AVAILABLE: Final = sys.platform == "linux"
_TIMESTAMPNS: Final = 35
"""SO_TIMESTAMPNS_OLD in asm-generic/socket.h: the socket module does not name it. Its message is a ``struct timespec``."""

_TIMESPEC: Final = struct.Struct("@ll")
ANCILLARY_BYTES: Final = socket.CMSG_SPACE(_TIMESPEC.size)

_SAME_MOMENT_S: Final = 0.00005
"""Two clocks read within this are read at one moment; between them another thread may have run."""


def available() -> bool:
    """Whether the kernel stamps what comes in here."""
    if not _AVAILABLE:
        return False
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


def wanted(connection: socket.socket) -> bool:
    """Ask for stamps on a connection; False where there are none."""
    if not _AVAILABLE or connection.family == socket.AF_UNIX:
        return False
    _keep_stamping()
    try:
        connection.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


@cache
def _keep_stamping() -> None:
    """Have the kernel stamp from now on: it begins when the first socket asks, a little later than it is asked, and ends with the last."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as lasting:
            lasting.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
            lasting.detach()  # kept until the process ends
    except OSError:
        return


def arrived(ancillary: Sequence[tuple[int, int, bytes]]) -> float:
    """When what `recvmsg` returned had arrived, seconds of `time.monotonic`; NaN where the kernel does not say."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return _monotonic(seconds + nanoseconds / 1e9)
    return nan


def _monotonic(at: float) -> float:
    """A moment on the wall clock just now, on the other one."""
    for _ in range(3):
        before = time.monotonic()
        wall = time.time()
        now = time.monotonic()
        if now - before < _SAME_MOMENT_S:
            break
    return before - (wall - at)


def received(connection: socket.socket, size: int) -> tuple[bytes, float]:
    """What a connection holds, and when the last of it arrived, seconds of `time.monotonic`; NaN where nobody knows.

    Raises:
        OSError: As `socket.recvmsg`.
    """
    data, ancillary, *_ = connection.recvmsg(size, ANCILLARY_BYTES)
    return data, arrived(ancillary)
