"""Connections that come about, and those that do not: the kernel's own word for why, and none where there is no connection."""

import errno
import socket

import pytest
from vacant import closed_port

from perfconsole.collectors.http.network import dialing


def unconnected(family=socket.AF_INET):
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.setblocking(False)
    return connection


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
async def test_one_on_this_machine_is_made_by_the_time_it_is_asked_for(family, address):
    try:
        listener = socket.create_server((address, 0), family=family)
    except OSError as error:
        if family == socket.AF_INET:
            raise
        pytest.skip(f"no {address} here: {error}")
    with listener, unconnected(family) as connection:
        known = await dialing.tcp(connection, listener.getsockname())
        assert (known.made, known.repeated) == (True, False)
        assert connection.getpeername()[:2] == listener.getsockname()[:2]


async def test_one_that_is_refused_says_so():
    with unconnected() as connection:
        with pytest.raises(ConnectionRefusedError) as caught:
            await dialing.tcp(connection, ("127.0.0.1", closed_port()))
        assert caught.value.errno == errno.ECONNREFUSED


class Unbegun(socket.socket):
    """A socket of a kernel that cannot even begin just now, as one that waits for its keys (IPsec) says."""

    def connect_ex(self, address):
        return errno.EAGAIN


async def test_one_that_was_never_begun_is_none():
    with Unbegun() as connection:
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            await dialing.tcp(connection, ("127.0.0.1", 9))
