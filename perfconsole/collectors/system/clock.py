"""Whether something keeps the clock in step: adjtimex(2), which anybody may ask."""

import os
import struct
from math import nan
from typing import Final, NamedTuple

_TIME_ERROR: Final = 5
"""What adjtimex returns of a clock that nothing keeps in step, or not well enough."""

_TIMEX: Final = "@Illlli"
"""The beginning of ``struct timex``: modes, offset, freq, maxerror, esterror (microseconds), status."""

_TIMEX_BYTES: Final = 512
"""More than any architecture's: the kernel writes the whole of it."""


class Discipline(NamedTuple):
    """How well the clock is kept.

    Attributes:
        synchronized: 1 when something keeps it in step, 0 when nothing does, NaN when it cannot be asked.
        error_s: How far it may be off at most; the kernel lets it grow by half a millisecond a second, up to 16 s.
        trouble: Why it cannot be asked; empty when it can.
    """

    synchronized: float
    error_s: float
    trouble: str = ""


def read_clock() -> Discipline:
    """Ask the kernel. The first time takes 3 ms: Python itself has no such function."""
    try:
        import ctypes  # noqa: PLC0415  not before the first tick
    except ImportError:
        return Discipline(nan, nan, "this Python was built without ctypes")
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (AttributeError, OSError):
        return Discipline(nan, nan, "the C library has no adjtimex")
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)  # all zero: it is asked, not set
    answer = adjtimex(buffer)
    if answer < 0:
        return Discipline(nan, nan, f"adjtimex: {os.strerror(ctypes.get_errno())}")
    _, _, _, most_us, _, _ = struct.unpack_from(_TIMEX, buffer.raw)
    return Discipline(float(answer != _TIME_ERROR), most_us / 1e6)
