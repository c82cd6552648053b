"""A connection that was made, plain or secured, on a bare socket: what comes in on it has the kernel's time.

asyncio's own transports read for themselves, and TLS on them hides the socket: neither leaves a way to the stamps.
"""

import asyncio
import socket
import ssl
from math import isnan
from time import monotonic
from typing import Final

from perfconsole.collectors.http import stamps
from perfconsole.collectors.http.lag import Lag

_READ_BYTES: Final = 65_536
_CLOSED_GRACE_S: Final = 0.001
"""A stamp may be so much before what it answers: the two clocks are read one after the other."""


class Line:
    """One connection; it owns the socket.

    Attributes:
        at: When the last bytes came in, seconds of `time.monotonic`.
        doubt_s: How much of the time that was waited for may be this loop's: 0 with the kernel's stamps.
        secured: The TLS connection; None before its handshake is done.
    """

    __slots__ = ("_connection", "_incoming", "_lag", "_loop", "_outgoing", "_since", "_stamped", "at", "doubt_s", "secured", "tls")

    def __init__(self, connection: socket.socket, lag: Lag) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._lag = lag
        self._stamped = stamps.wanted(connection)
        self._since = self.at = monotonic()
        self.doubt_s = 0.0
        self.secured = False

    async def secure(self, context: ssl.SSLContext, name: str) -> ssl.SSLObject:
        """Speak TLS from here on.

        Raises:
            OSError: When the handshake failed; `ssl.SSLError` likewise.
        """
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name or None)
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
                continue
            except ssl.SSLError:
                await self._last_words()
                raise
            break
        self.secured = True
        return self.tls

    async def send(self, data: bytes) -> None:
        """Hand everything to the kernel; what TLS still has to say of its handshake goes with it.

        Raises:
            OSError: When the connection is over.
        """
        if not self.secured:
            await self._push(data)
            return
        at = 0
        while at < len(data):
            try:
                at += self.tls.write(memoryview(data)[at : at + _READ_BYTES])
            except ssl.SSLWantReadError:  # a TLS 1.2 server that renegotiates
                await self._fill()
            await self._flush()

    async def receive(self) -> bytes:
        """What comes next; empty at the end.

        Raises:
            OSError: When the connection broke; `ssl.SSLError` likewise.
        """
        if not self.secured:
            return await self._pull()
        while True:
            try:
                return self.tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    def close(self) -> None:
        """End the connection, at once: nobody waits for a goodbye."""
        if self._connection.fileno() >= 0:
            self._loop.remove_reader(self._connection)
            self._loop.remove_writer(self._connection)
            self._connection.close()

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._push(self._outgoing.read())

    async def _fill(self) -> None:
        data = await self._pull()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _last_words(self) -> None:
        """Tell the server why: it may log that its certificate was not accepted."""
        try:
            await self._flush()
        except OSError:
            return

    async def _push(self, data: bytes) -> None:
        self._since = monotonic()
        try:
            sent = self._connection.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        if sent < len(data):
            await self._loop.sock_sendall(self._connection, memoryview(data)[sent:])
            self._since = monotonic()

    async def _pull(self) -> bytes:
        """The next bytes; notes when they came."""
        waits = None if self._stamped else self._lag.begin()
        arrival: asyncio.Future[tuple[bytes, float]] = self._loop.create_future()
        self._loop.add_reader(self._connection, self._ready, arrival)
        try:
            data, at = await arrival
        finally:
            if self._connection.fileno() >= 0:
                self._loop.remove_reader(self._connection)
            worst_s = 0.0 if waits is None else self._lag.end(waits)
        now = monotonic()
        if isnan(at) or not self._since - _CLOSED_GRACE_S <= at <= now:  # none, or a wall clock that was set meanwhile
            at = now
            self.doubt_s += worst_s
        self.at = max(at, self.at)
        return data

    def _ready(self, arrival: "asyncio.Future[tuple[bytes, float]]") -> None:
        if arrival.done():
            return
        try:
            arrival.set_result(stamps.received(self._connection, _READ_BYTES))
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            arrival.set_exception(error)

    @property
    def handed_at(self) -> float:
        """When the kernel had the last of what was sent."""
        return self._since
