"""The door of an engine: a unix socket in its state directory, at which other consoles and commands of the same user attach to it.

Who holds the lease of the directory listens there, and nobody else does: so a socket that lies there already was left by one that died.
No network: the socket is 0600 in a directory that is its owner's alone, and the kernel says who comes.
"""

import asyncio
import os
import pwd
import socket
import stat
import struct
import threading
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Final

from perfconsole.config.places import socket_address
from perfconsole.core import wire
from perfconsole.core.errors import PerfconsoleError
from perfconsole.engine.engine import Engine
from perfconsole.engine.serve import Peer

MOST_PEERS: Final = 16
"""Each may hold some megabytes that it does not read; the seventeenth is turned away, and collects for itself."""

_GREETING_S: Final = 2.0
_RETRY_S: Final = 1.0
_QUIT_S: Final = 0.2
_CREDENTIALS: Final = struct.Struct("3i")
"""Of SO_PEERCRED: pid (0 where it is in a pid namespace beside ours), uid, gid."""


class ListenError(PerfconsoleError):
    """A place at which an engine cannot listen."""


class Listener:
    """Lets peers in, and serves them, from its making until `close`.

    Args:
        engine: A running engine; on its loop peers are served.
        path: Of the socket; a socket that is there is replaced. May be longer than an address.
        read_only: Refuse operations that change something to every peer.

    Raises:
        ListenError: When nobody can listen there: others may write to the directory, something else lies there, or the system refuses.
    """

    def __init__(self, engine: Engine, path: Path, *, read_only: bool = False) -> None:
        self._engine = engine
        self._path = path
        self._read_only = read_only
        self._names = {0: "root", os.getuid(): _user(os.getuid())}
        self._peers: set[asyncio.Task[None]] = set()
        self._socket, self._inode = _bound(path)
        self._accepting: Future[None] | None = None
        accepting = self._accept()
        try:
            self._accepting = asyncio.run_coroutine_threadsafe(accepting, engine.loop)
        except RuntimeError:  # the engine has ended meanwhile: nobody is let in, and `close` takes the socket away
            accepting.close()

    def close(self) -> None:
        """Let nobody in any more, hang up on who is there, and take the socket away; bounded in time."""
        ending = self._end()
        try:
            ended = asyncio.run_coroutine_threadsafe(ending, self._engine.loop)
        except RuntimeError:  # the engine has ended, and its peers with it
            ending.close()
        else:
            with suppress(TimeoutError):
                ended.result(_QUIT_S)
        removing = threading.Thread(target=self._remove, name="listener", daemon=True)  # the directory may be on a server that died
        removing.start()
        removing.join(_QUIT_S)
        self._socket.close()  # not before: as long as it is open, no other socket has its inode

    def _remove(self) -> None:
        with suppress(OSError):
            if self._path.lstat().st_ino == self._inode:
                self._path.unlink()

    # On the engine's loop ---------------------------------------------------------------------------------------------------------

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(self._socket)
            except OSError:  # out of descriptors: those who come wait in line
                await asyncio.sleep(_RETRY_S)
                continue
            name = self._name(sock)
            if not name or len(self._peers) >= MOST_PEERS:
                sock.close()
                continue
            task = asyncio.create_task(self._receive(sock, name))
            self._peers.add(task)
            task.add_done_callback(self._leave)

    def _name(self, sock: socket.socket) -> str:
        """Who a peer is, as the kernel says: ``user (pid N)``; empty for one who has no business here."""
        pid, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        user = self._names.get(uid)
        return f"{user} (pid {pid})" if user else ""

    async def _receive(self, sock: socket.socket, name: str) -> None:
        """Greet a peer, and serve it. One that says nothing is not waited for, and one of another version is told ours, no more."""
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        try:
            async with asyncio.timeout(_GREETING_S):
                await loop.sock_sendall(sock, wire.greeting(read_only=self._read_only))
                read_only = wire.read_greeting(await loop.sock_recv(sock, wire.GREETING_BYTES))
        except (OSError, wire.WireError):  # of which TimeoutError is one
            sock.close()
            return
        except asyncio.CancelledError:
            sock.close()
            raise
        await Peer(self._engine, read_only=read_only or self._read_only, name=name).run(sock)

    def _leave(self, task: asyncio.Task[None]) -> None:
        self._peers.discard(task)
        if not task.cancelled():
            task.exception()  # taken note of: else asyncio would write it across the screen

    async def _end(self) -> None:
        if self._accepting:
            self._accepting.cancel()
        for task in self._peers:
            task.cancel()
        if self._peers:
            await asyncio.wait(self._peers)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _bound(path: Path) -> tuple[socket.socket, int]:
    """A listening socket at a path, and the inode it has there."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _check(path)
        sock.setblocking(False)
        os.fchmod(sock.fileno(), 0o600)  # before it has a name: there is no moment at which others could connect
        with socket_address(path) as address:
            sock.bind(address)
        sock.listen(MOST_PEERS)
        return sock, path.lstat().st_ino
    except OSError as error:
        sock.close()
        raise ListenError(f"cannot listen on {path}: {error.strerror or error}", "set a [history] dir on a local disk") from error
    except ListenError:
        sock.close()
        raise


def _check(path: Path) -> None:
    """Make room for a socket, in a directory that is ours alone: who may write to it could put a door of his own there.

    Raises:
        ListenError: When it is not.
        OSError: When the directory cannot be looked at.
    """
    directory = path.parent.stat()
    if directory.st_uid not in {os.getuid(), 0} or directory.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ListenError(f"does not listen on {path}: others may write to that directory", f"chmod 700 {path.parent}")
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ListenError(f"cannot listen on {path}: something that is no socket lies there", "move it away")
        path.unlink()
