"""When the kernel had what a loop came to late. Linux only (tcp(7), ``struct tcp_info`` in linux/tcp.h); elsewhere nothing is known.

A loop that was held up for 400 ms reads an answer 400 ms late; the kernel noted when its last segment came in.
"""

import socket
import sys
import time
from math import nan
from typing import Final, NamedTuple

_AVAILABLE: Final = sys.platform == "linux" and hasattr(socket, "TCP_INFO")
_SIZE: Final = 104
_LAST_DATA_RECV: Final = 52
_RTT: Final = 68
_TOTAL_RETRANS: Final = 100


def _jiffy_s() -> float:
    """How exact `since_s` is: 4 ms where the kernel ticks 250 times a second."""
    coarse = getattr(time, "CLOCK_MONOTONIC_COARSE", 6)
    try:
        return time.clock_getres(coarse) if _AVAILABLE else nan
    except OSError:
        return 0.01


JIFFY_S: Final = _jiffy_s()


class Handshake(NamedTuple):
    """How the kernel saw a connection being made: its first round trip in seconds, and whether a segment had to be sent again."""

    seconds: float
    repeated: bool


def since_s(connection: socket.socket) -> float:
    """Seconds since the last data arrived, exact to a jiffy and never too many; 0 where nobody knows."""
    info = _info(connection)
    if not info:
        return 0.0
    return max(0.0, int.from_bytes(info[_LAST_DATA_RECV : _LAST_DATA_RECV + 4], sys.byteorder) / 1000 - JIFFY_S)


def handshake(connection: socket.socket) -> Handshake:
    """The making of a connection that was made just now; NaN where nobody knows."""
    info = _info(connection)
    if len(info) < _SIZE:
        return Handshake(nan, repeated=True)
    rtt_us = int.from_bytes(info[_RTT : _RTT + 4], sys.byteorder)
    return Handshake(rtt_us / 1e6 if rtt_us else nan, info[_TOTAL_RETRANS : _TOTAL_RETRANS + 4] != b"\0\0\0\0")


def _info(connection: socket.socket) -> bytes:
    if not _AVAILABLE or connection.family == socket.AF_UNIX:
        return b""
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    except OSError:  # closed meanwhile
        return b""
