"""How the kernel saw a connection being made. Linux only (tcp(7), ``struct tcp_info`` in linux/tcp.h); elsewhere nothing is known.

A loop that was held up for 400 ms comes to a connection 400 ms late; the kernel noted how long its first round trip took.
"""

import socket
import sys
from math import nan
from typing import Final, NamedTuple

_AVAILABLE: Final = sys.platform == "linux" and hasattr(socket, "TCP_INFO")
_SIZE: Final = 104
_RTT: Final = 68
_TOTAL_RETRANS: Final = 100


class Handshake(NamedTuple):
    """How the kernel saw a connection being made: its first round trip in seconds, and whether a segment had to be sent again."""

    seconds: float
    repeated: bool


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
