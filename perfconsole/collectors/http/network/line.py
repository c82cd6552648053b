"""A connection that was made, plain or secured, on a bare socket: what comes in on it has the kernel's time.

asyncio's own transports read for themselves, and TLS on them hides the socket: neither leaves a way to the stamps.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from functools import lru_cache, partial
from math import isnan
from time import monotonic
from typing import Final, Protocol, TypeVar

from perfconsole.collectors.http.network import stamps
from perfconsole.collectors.http.network.lag import Lag

_T = TypeVar("_T")

_READ_BYTES: Final = 65_536
_CLOCKS_APART_S: Final = 0.001
"""A stamp may be so much before what it answers: the two clocks are read one after the other."""


class _Layer(Protocol):
    """What carries bytes: the socket, or TLS on what does."""

    async def push(self, data: bytes) -> None:
        """Hand everything to the kernel."""

    async def pull(self) -> bytes:
        """What comes next; empty at the end."""


class Line:
    """One connection; it owns the socket.

    Attributes:
        secured: Whether TLS is spoken.
    """

    __slots__ = ("_top", "_wire", "secured")

    def __init__(self, connection: socket.socket, lag: Lag) -> None:
        self._wire = _Wire(connection, lag)
        self._top: _Layer = self._wire
        self.secured = False

    async def secure(self, context: ssl.SSLContext, name: str) -> ssl.SSLObject:
        """Speak TLS from here on; of a line that is secured, within what is spoken there: with whom a proxy leads to.

        Raises:
            OSError: When the handshake failed; `ssl.SSLError` likewise.
        """
        secure = _Secure(self._top, context, name)
        await secure.shake()
        self._top, self.secured = secure, True
        return secure.tls

    async def send(self, data: bytes) -> None:
        """Hand everything to the kernel; what TLS still has to say of its handshake goes with it.

        Raises:
            OSError: When the connection is over.
        """
        await self._top.push(data)

    async def receive(self) -> bytes:
        """What comes next; empty at the end.

        Raises:
            OSError: When the connection broke; `ssl.SSLError` likewise.
        """
        return await self._top.pull()

    def close(self) -> None:
        """End the connection, at once: nobody waits for a goodbye."""
        self._wire.close()

    @property
    def at(self) -> float:
        """When the last bytes came in, seconds of `time.monotonic`."""
        return self._wire.at

    @property
    def handed_at(self) -> float:
        """When the kernel had the last of what was sent."""
        return self._wire.since

    @property
    def torn(self) -> bool:
        """Whether TLS ended without saying that it would: somebody may have cut off what was on its way."""
        return isinstance(self._top, _Secure) and self._top.torn

    def take_doubt_s(self) -> float:
        """How much of the time that was waited for since this was last asked may be this loop's: 0 with the kernel's stamps."""
        doubt_s, self._wire.doubt_s = self._wire.doubt_s, 0.0
        return doubt_s


class _Wire:
    """The socket.

    Attributes:
        at: When the last bytes came in, seconds of `time.monotonic`.
        since: When the last were sent.
        doubt_s: How much of the time that was waited for may be this loop's.
    """

    __slots__ = ("_arrival", "_connection", "_fills", "_lag", "_loop", "_number", "_reads", "_stamped", "at", "doubt_s", "since")

    def __init__(self, connection: socket.socket, lag: Lag) -> None:
        self._connection = connection
        # A number: asked for a socket it does not know yet, the selector puts that into words, with two system calls.
        self._number = connection.fileno()
        self._loop = asyncio.get_running_loop()
        self._arrival: asyncio.Future[tuple[bytes, float]] | None = None
        self._reads = self._fills = False
        self._lag = lag
        self._stamped = stamps.wanted(connection)
        self.since = self.at = monotonic()
        self.doubt_s = 0.0

    async def push(self, data: bytes) -> None:
        self.since = monotonic()
        try:
            sent = self._connection.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        if sent < len(data):
            self._fills = True
            await self._loop.sock_sendall(self._connection, memoryview(data)[sent:])
            self.since = monotonic()

    async def pull(self) -> bytes:
        """The next bytes; notes when they came."""
        began = monotonic()
        # The first of an answer has a stamp; what follows it may be the end, which has none, as little as anything where none are given.
        measured = self._lag.always or not self._stamped or self.at > self.since
        waits = self._lag.begin() if measured else None
        arrival: asyncio.Future[tuple[bytes, float]] = self._loop.create_future()
        self._arrival = arrival
        if not self._reads:
            self._reads = True
            self._loop.add_reader(self._number, self._ready)
        try:
            data, at = await arrival
        finally:
            self._arrival = None
            late_s = None if waits is None else self._lag.end(waits)
        now = monotonic()
        if isnan(at) or not self.since - _CLOCKS_APART_S <= at <= now:  # none, or a wall clock that was set meanwhile
            # A stamp that was promised, and did not come: nobody measured the loop. From now on it is.
            self._lag.always |= self._stamped and bool(data) and isnan(at)
            if late_s is not None:  # and an end may have been there since the last bytes were
                self.doubt_s += late_s + (max(0.0, began - self.at) if self.at > self.since else 0.0)
            elif data:
                self.doubt_s += now - began
            at = now
        self.at = max(at, self.at)
        return data

    def close(self) -> None:
        if self._connection.fileno() < 0:
            return
        self._rest()
        if self._fills:
            self._loop.remove_writer(self._number)
        self._connection.close()

    def _rest(self) -> None:
        if self._reads:
            self._reads = False
            self._loop.remove_reader(self._number)

    def _ready(self) -> None:
        arrival = self._arrival
        if arrival is None:  # something is there, and nobody wants it yet: what is watched on would be told of in every turn
            self._rest()
            return
        if arrival.done():
            return
        try:
            arrival.set_result(stamps.received(self._connection, _READ_BYTES))
        except (BlockingIOError, InterruptedError):
            return
        except Exception as error:  # noqa: BLE001  whoever waits is to hear of it: the loop would write it down, and they wait on
            arrival.set_exception(error)


@lru_cache(1024)
def _asked_for(name: str) -> bytes | None:
    """A server's name for a handshake: given as a text, it would be encoded by IDNA each time, which Python does in Python."""
    return name.encode("idna") or None


class _Secure:
    """TLS on a layer below.

    Attributes:
        torn: Whether the layer below ended, and TLS had not said that it would: what was received may be a part.
    """

    __slots__ = ("_below", "_incoming", "_outgoing", "_over", "tls", "torn")

    def __init__(self, below: _Layer, context: ssl.SSLContext, name: str) -> None:
        self._below = below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=_asked_for(name))
        self._over = self.torn = False

    async def shake(self) -> None:
        try:
            await self._done(self.tls.do_handshake)
        except ssl.SSLError:
            await self._last_words()
            raise

    async def push(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            at += await self._done(partial(self.tls.write, memoryview(data)[at : at + _READ_BYTES]))
            await self._flush()
        await self._flush()

    async def pull(self) -> bytes:
        try:
            return await self._done(partial(self.tls.read, _READ_BYTES))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self.torn = self._over  # Python has OpenSSL take an end without a word for one with it
            return b""

    async def _done(self, step: Callable[[], _T]) -> _T:
        """What a step of TLS returns, once the other side has said all that it waits for."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._below.push(self._outgoing.read())

    async def _fill(self) -> None:
        data = await self._below.pull()
        if data:
            self._incoming.write(data)
        else:
            self._over = True
            self._incoming.write_eof()

    async def _last_words(self) -> None:
        """Tell the server why: it may log that its certificate was not accepted."""
        try:
            await self._flush()
        except OSError:
            return
