"""The way to an engine that listens at a unix socket: connected and greeted, or why not. The other end is `engine.listen`."""

import os
import socket
import struct
from pathlib import Path
from typing import Final

from perfconsole.config.places import socket_address
from perfconsole.core import wire
from perfconsole.core.errors import PerfconsoleError
from perfconsole.sources.remote import RemoteSource

ANSWER_S: Final = 1.0
"""An engine greets within a millisecond; one that is stopped, or hangs, never does."""

SILENCE_S: Final = 10.0
"""An engine that was stopped (ctrl+z in its console) keeps its lease and its connections, and tells nothing: it is left after this."""

_CREDENTIALS: Final = struct.Struct("3i")


class ConnectError(PerfconsoleError):
    """An engine that cannot be reached.

    Attributes:
        passing: Whether nobody listens just now: it may have been asked too early, or too late.
    """

    def __init__(self, message: str, fix: str = "", *, passing: bool = False) -> None:
        super().__init__(message, fix)
        self.passing = passing


def connect(path: Path, *, read_only: bool = False, within_s: float = ANSWER_S) -> RemoteSource:
    """A reader of the engine that listens at a path.

    Args:
        path: Of its socket.
        read_only: Have whatever changes something refused there.
        within_s: The longest this may take.

    Raises:
        ConnectError: When nobody answers in time, or who does speaks another version, or is another user.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(within_s)
        _greet(sock, path, wire.greeting(read_only=read_only))
    except TimeoutError as error:
        sock.close()
        raise ConnectError(f"{path}: no answer within {within_s:g} s") from error
    except OSError as error:
        sock.close()
        raise ConnectError(f"{path}: {error.strerror or error}", passing=True) from error
    except PerfconsoleError:
        sock.close()
        raise
    return RemoteSource(sock, SILENCE_S)


def _greet(sock: socket.socket, path: Path, greeting: bytes) -> None:
    with socket_address(path) as address:
        sock.connect(address)
    _judge(sock, path)
    sock.sendall(greeting)
    line = sock.recv(wire.GREETING_BYTES)
    if not line:
        raise ConnectError(f"{path}: the engine hung up", "it ends, or has enough readers", passing=True)
    try:
        wire.read_greeting(line)
    except wire.WireError as error:
        raise ConnectError(f"{path}: {error}", "end it, and start it again") from error


def _judge(sock: socket.socket, path: Path) -> None:
    """Believe nobody but this user, and root: what is told there is shown, and what is typed goes there."""
    uid = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[1]
    if uid not in {os.getuid(), 0}:
        raise ConnectError(f"{path}: it is another user (uid {uid}) who listens there", "use a state directory of your own")
