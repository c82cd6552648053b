"""Connecting a socket, with what the kernel says of it.

Not by the loop's own `sock_connect`: that waits a turn of the loop also for a peer on this machine, which is connected to by then. A kernel
that tells of a connection tells also that it is made.
"""

import asyncio
import errno
import os
import socket
from math import nan
from typing import Any, Final

from perfconsole.collectors.http.network.arrival import Handshake, handshake

_BACKLOG_S: Final = 0.01
_UNDER_WAY: Final = frozenset({errno.EINPROGRESS, errno.EINTR})
"""Not EAGAIN: then nothing was begun, and a socket that nobody connects can be written to at once, and has no error."""


async def tcp(connection: socket.socket, place: Any) -> Handshake:
    """Connect to an address.

    Raises:
        OSError: When it cannot be.
    """
    number = connection.connect_ex(place)
    if number in _UNDER_WAY:
        known = handshake(connection)
        if known.made:
            return known
        await _writable(connection)
        number = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, os.strerror(number))
    return handshake(connection)


async def _writable(connection: socket.socket) -> None:
    loop, number = asyncio.get_running_loop(), connection.fileno()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(number, _settle, ready)
    try:
        await ready
    finally:
        loop.remove_writer(number)


def _settle(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


async def unix(connection: socket.socket, path: str) -> Handshake:
    """Connect to a unix socket. Where its backlog is full connect(2) says EAGAIN, and there is nothing to wait for.

    Raises:
        OSError: When it cannot be.
    """
    while True:
        try:
            connection.connect(path)
        except BlockingIOError:
            await asyncio.sleep(_BACKLOG_S)
        else:
            return Handshake(made=True, seconds=nan, repeated=False)
