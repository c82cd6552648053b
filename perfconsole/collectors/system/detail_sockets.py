"""TCP sockets on demand: who listens, whose accept queue is how full, and how many ports one peer takes up.

The kernel is asked over netlink (sock_diag(7)), which anybody may, and which alone says how long an accept queue may get; where that is
closed, ``/proc/net/tcp`` (proc(5)) says the rest. Both know the own network namespace only.
"""

import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from math import nan
from time import monotonic
from typing import Final, NamedTuple

LISTEN, TIME_WAIT, ESTABLISHED = 10, 6, 1
STATES: Final = {
    1: "established", 2: "syn sent", 3: "syn received", 4: "fin wait", 5: "fin wait", 6: "time wait", 7: "closed", 8: "close wait",
    9: "last ack", 11: "closing", 12: "syn received",
}  # fmt: skip
"""include/net/tcp_states.h, in words."""

MOST: Final = 100_000
"""Sockets that are kept: 25 MB."""

_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_DUMP: Final = 0x301
"""NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH."""

_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_HEADER: Final = struct.Struct("=IHHII")
_REQUEST: Final = struct.Struct("=BBBBI48s")
_MESSAGE: Final = struct.Struct("=BBBB2s2s16s16s12sIIIII")
"""struct inet_diag_msg (linux/inet_diag.h): family, state, timer, retries; ports and addresses; interface and cookie; expires, receive and
send queue, uid, inode."""

_WAIT_S: Final = 1.0
_MAPPED: Final = b"\x00" * 10 + b"\xff\xff"


class Socket(NamedTuple):
    """One TCP socket.

    Attributes:
        address: 4 or 16 bytes, of this end; `peer` of the other.
        queue: Of a listener: connections that wait to be accepted.
        backlog: Of a listener: how many may; NaN where nobody says.
        inode: 0 where no program holds it.
    """

    state: int
    address: bytes
    port: int
    peer: bytes
    peer_port: int
    queue: int
    backlog: float
    inode: int


def read_sockets(proc: str, ports: range, until: float, *, netlink: bool = True) -> tuple[list[Socket], bool]:
    """The TCP sockets of both address families that listen, or have a port of some.

    Those that came to a server are neither, and would be most: a busy one has 10^5.

    Args:
        proc: Where procfs is.
        ports: The ports that connections from here are given.
        until: When to stop (`time.monotonic`).
        netlink: Ask over netlink first.

    Returns:
        Them, and whether they are all.

    Raises:
        OSError: When neither netlink nor procfs tells.
    """
    if netlink:
        with suppress(OSError):
            return _taken((each for family in (socket.AF_INET, socket.AF_INET6) for each in _asked(family)), ports, until)
    return _taken((each for name in ("tcp", "tcp6") for each in _written(f"{proc}/net/{name}", optional=name == "tcp6")), ports, until)


def text_of(address: bytes) -> str:
    """An address as it is written; in brackets where a port can follow."""
    if len(address) == 4:
        return socket.inet_ntop(socket.AF_INET, address)
    return f"[{socket.inet_ntop(socket.AF_INET6, address)}]"


def _taken(found: Iterable[Socket], ports: range, until: float) -> tuple[list[Socket], bool]:
    sockets: list[Socket] = []
    for i, each in enumerate(found, 1):
        if each.state == LISTEN or each.port in ports:
            sockets.append(each)
        if len(sockets) >= MOST or (i % 1000 == 0 and monotonic() > until):
            return sockets, False
    return sockets, True


def _asked(family: int) -> Iterator[Socket]:
    """All of one address family, over netlink.

    Raises:
        OSError: When the kernel does not answer: a sandbox, or one without INET_DIAG.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as channel:
        channel.settimeout(_WAIT_S)
        request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF, b"")
        channel.sendto(_HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _DUMP, 1, 0) + request, (0, 0))
        while True:
            content = channel.recv(1 << 16)
            at = 0
            while at + _HEADER.size <= len(content):
                length, kind, _, _, _ = _HEADER.unpack_from(content, at)
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR or length < _HEADER.size:
                    raise OSError(-struct.unpack_from("=i", content, at + _HEADER.size)[0] if kind == _NLMSG_ERROR else 0, "sock_diag")
                if length >= _HEADER.size + _MESSAGE.size:
                    yield _told(_MESSAGE.unpack_from(content, at + _HEADER.size))
                at += (length + 3) & ~3


def _told(message: tuple[int, int, int, int, bytes, bytes, bytes, bytes, bytes, int, int, int, int, int]) -> Socket:
    family, state, _, _, port, peer_port, address, peer, _, _, queue, backlog, _, inode = message
    size = 4 if family == socket.AF_INET else 16
    listens = state == LISTEN
    return Socket(
        state, _plain(address[:size]), int.from_bytes(port, "big"), _plain(peer[:size]), int.from_bytes(peer_port, "big"),
        queue if listens else 0, float(backlog) if listens else nan, inode,
    )  # fmt: skip


def _written(path: str, *, optional: bool) -> Iterator[Socket]:
    try:
        file = open(path, "rb")  # noqa: PTH123, SIM115  the house reads /proc with open; closed below
    except FileNotFoundError:
        if optional:  # a kernel without IPv6
            return
        raise
    with file:
        next(file, None)  # the heading
        for line in file:
            fields = line.split(None, 10)
            # A line that is cut, or imitated badly, is no socket.
            with suppress(ValueError, IndexError):
                (address, port), (peer, peer_port) = _address(fields[1]), _address(fields[2])
                state, queue = int(fields[3], 16), int(fields[4].partition(b":")[2], 16)
                yield Socket(state, address, port, peer, peer_port, queue if state == LISTEN else 0, nan, int(fields[9]))


def _address(field: bytes) -> tuple[bytes, int]:
    """``0100007F:0050``: each 32-bit word is written in the machine's byte order."""
    host, _, port = field.partition(b":")
    if len(host) not in (8, 32):
        raise ValueError
    words = (int(host[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(host), 8))
    return _plain(b"".join(words)), int(port, 16)


def _plain(address: bytes) -> bytes:
    """An IPv4 peer of an IPv6 socket is the same peer."""
    return address[12:] if address[:12] == _MAPPED else address
