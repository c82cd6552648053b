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


_ESTABLISHED: Final = 1
"""In net/tcp_states.h; the state is the first byte."""


class Handshake(NamedTuple):
    """How the kernel saw a connection being made: whether it is, its first round trip in seconds, and whether a segment was sent again."""

    made: bool
    seconds: float
    repeated: bool


_UNKNOWN: Final = Handshake(made=False, seconds=nan, repeated=True)


def handshake(connection: socket.socket) -> Handshake:
    """The making of a connection of TCP, so far; NaN where nobody knows."""
    info = _info(connection)
    if len(info) < _SIZE:
        return _UNKNOWN
    rtt_us = int.from_bytes(info[_RTT : _RTT + 4], sys.byteorder)
    repeated = info[_TOTAL_RETRANS : _TOTAL_RETRANS + 4] != b"\0\0\0\0"
    return Handshake(info[0] == _ESTABLISHED, rtt_us / 1e6 if rtt_us else nan, repeated)


def _info(connection: socket.socket) -> bytes:
    if not _AVAILABLE:
        return b""
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    except OSError:  # closed meanwhile, or a unix socket
        return b""
