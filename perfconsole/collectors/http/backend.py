"""The network below httpx: one address, one attempt, and a stopwatch that tells DNS, TCP, TLS and the server apart.

httpcore's own backend resolves and connects in one step, and races addresses against each other: neither could be told of afterwards.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from math import isnan, nan
from time import monotonic
from typing import Any, Final, NamedTuple

import httpcore

from perfconsole.collectors.http import arrival
from perfconsole.collectors.http.faults import failure_of, timed_out
from perfconsole.collectors.http.names import Resolver, literal_family, plain, server_name
from perfconsole.collectors.http.prober import Failure
from perfconsole.collectors.http.stopwatch import Stopwatch
from perfconsole.core.checks import Check

_UNIX: Final = "unix:"
_HELD_BYTES: Final = 262_144
"""Received and not yet asked for: beyond that the server waits. An endless body must not fill the memory before it is cut."""


class Route(NamedTuple):
    """Where a hop goes, as far as its URL does not say.

    Attributes:
        connect_to: ``host:port`` or ``unix:/path`` in place of the URL's; empty for that.
        server_name: For SNI and verification, in place of the URL's host; empty for that.
        tunnels: Handshakes before which everything written and read belongs to a proxy: what that takes is a part of connecting.
        proxied: Whether the first handshake is with the proxy.
    """

    connect_to: str = ""
    server_name: str = ""
    tunnels: bool = False
    proxied: bool = False


class Backend(httpcore.AsyncNetworkBackend):
    """Connections of one probe at a time.

    Attributes:
        watch: The stopwatch of the probe.
        address: Where it connected to, or tried: ``192.0.2.7:443``; empty before.
        connected: Whether it did.
        secured: The TLS connection with the target; None before the handshake is done.
        refused: What verification raised, with the name it was for; None when it did not.
    """

    def __init__(self, check: Check, resolver: Resolver) -> None:
        self._check = check
        self._resolver = resolver
        self._lines: list[Line] = []
        self._route = Route()
        self._others = ""
        self.begin()

    def begin(self) -> None:
        """A new probe: nothing is known."""
        self.watch = Stopwatch()
        self.take(Route())

    def take(self, route: Route) -> None:
        """A new hop: what the one before it left is given back, but for its times."""
        self.close()
        self._route = route
        self._others = self.address = ""
        self.connected = False
        self.secured: ssl.SSLObject | None = None
        self.refused: tuple[ssl.SSLCertVerificationError, str] | None = None

    def close(self) -> None:
        """End every connection, at once."""
        for line in self._lines:
            line.end()
        self._lines.clear()

    @property
    def where(self) -> str:
        """The address for a sentence, and that there were others which were not tried."""
        return f"{self.address}{self._others}"

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109  # httpcore's; each phase has its own limit here
        local_address: str | None = None,  # noqa: ARG002  # httpcore's
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002  # httpcore's
    ) -> httpcore.AsyncNetworkStream:
        """Look the name up and connect to the first address.

        Raises:
            Failure: When either did not work.
        """
        instead = self._route.connect_to
        if instead.startswith(_UNIX):
            path = instead.removeprefix(_UNIX)
            return await self._connected(socket.AF_UNIX, path, instead)
        if instead:
            host, _, number = instead.rpartition(":")
            port = int(number)
        host = plain(host)
        if not literal_family(host):
            self.watch.enter("dns")
        found = await self._resolver.addresses(host, self._check.family, self._check.timeouts.dns)
        if len(found) > 1:
            self._others = f", the first of {len(found)} addresses"
        address = found[0]
        six = ":" in address
        return await self._connected(
            socket.AF_INET6 if six else socket.AF_INET, (address, port), f"[{address}]:{port}" if six else f"{address}:{port}"
        )

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        """Never asked for: a unix socket is a route here, so that it has phases like every other."""
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        """Never asked for: httpcore sleeps between retries, and there are none."""
        raise NotImplementedError

    async def _connected(self, family: int, where: Any, shown: str) -> "Line":
        watch, loop = self.watch, asyncio.get_running_loop()
        watch.enter("connect")
        self.address = shown
        connection: socket.socket | None = None
        try:
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.setblocking(False)
            began = monotonic()
            async with limited("connect", self._check.timeouts.connect):
                await loop.sock_connect(connection, where)
            known = arrival.handshake(connection)
            # The kernel's own round trip: a loop that came late to it made none of the target's time.
            watch.stand(None if known.repeated or isnan(known.seconds) else began + known.seconds)
            if self.tunnels:
                watch.enter("connect")
            _, wire = await loop.create_connection(lambda: Wire(watch), sock=connection)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, OSError):
                raise self._refusal(error) from None
            raise
        self.connected = True
        line = Line(self, wire, connection)
        self._lines.append(line)
        return line

    def _refusal(self, error: OSError) -> Failure:
        failure = failure_of(error, "connect")
        if failure.cause != "connect":
            return failure
        return Failure("connect", f"{failure.text}{' by' if failure.text.endswith('refused') else ':'} {self.where}")

    def handshakes(self, name: str) -> tuple[str, bool]:
        """The name for the next handshake, and whether it is the target's own and not a proxy's."""
        if self._route.proxied:
            self._route = self._route._replace(proxied=False)
            return name, False
        self._route = self._route._replace(tunnels=False)
        return self._route.server_name or name, True

    @property
    def tunnels(self) -> bool:
        """Whether what is written and read is a word with a proxy."""
        return self._route.tunnels

    @property
    def limits(self) -> Any:
        """The check's limits of each phase."""
        return self._check.timeouts


@asynccontextmanager
async def limited(phase: str, seconds: float) -> AsyncIterator[None]:
    """At most so long for a phase; NaN for as long as the whole check has.

    Raises:
        Failure: ``timeout``, when that has passed.
    """
    if isnan(seconds):
        yield
        return
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise timed_out(phase, seconds) from None


class Line(httpcore.AsyncNetworkStream):
    """One connection, plain or secured."""

    def __init__(self, backend: Backend, wire: "Wire", connection: socket.socket) -> None:
        self._backend = backend
        self._wire = wire
        self._wire.connection = connection

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109  # httpcore's
        """What came in; empty at the end.

        Raises:
            Failure: When the first byte did not come in time.
            OSError: When the connection broke; `ssl.SSLError` likewise.
        """
        backend = self._backend
        limits = {"connect": backend.limits.connect, "wait": backend.limits.wait}  # of a proxy's word, and the first byte
        async with limited(backend.watch.phase, limits.get(backend.watch.phase, nan)):
            return await self._wire.read()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109  # httpcore's
        """Hand everything to the kernel.

        Raises:
            httpcore.WriteError: When that does not work: a server may have answered before, and httpcore looks.
        """
        if not buffer:
            return
        backend, wire = self._backend, self._wire
        wire.awaited = not backend.tunnels
        if wire.awaited and backend.watch.phase != "transfer":
            backend.watch.enter("send")
        try:
            await wire.write(buffer)
        except OSError as error:
            raise httpcore.WriteError from error
        finally:
            if wire.awaited and backend.watch.phase == "send":
                backend.watch.enter("wait")

    async def aclose(self) -> None:
        """End the connection, at once: nobody waits for a goodbye."""
        self.end()

    def end(self) -> None:
        """As `aclose`."""
        self._wire.transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109  # httpcore's
    ) -> httpcore.AsyncNetworkStream:
        """Speak TLS from here on.

        Raises:
            Failure: When the handshake took too long, or the other side spoke first.
            OSError: When it failed; `ssl.SSLError` likewise.
        """
        backend, wire = self._backend, self._wire
        name, targets = backend.handshakes(server_hostname or "")
        backend.watch.enter("tls")
        if wire.held:  # whoever speaks TLS waits for the client; left here, its words would be missing to the handshake, which then hangs
            raise Failure("tls", "this port does not speak TLS")
        loop = asyncio.get_running_loop()
        try:
            async with limited("tls", backend.limits.tls):
                transport = await loop.start_tls(wire.transport, wire, ssl_context, server_hostname=server_name(name) or None)
        except ssl.SSLCertVerificationError as error:
            backend.refused = (error, name)
            raise
        backend.watch.stand()
        if transport is None:  # closed in the same moment
            raise ConnectionResetError
        wire.use(transport)
        if targets:
            backend.secured = transport.get_extra_info("ssl_object")
        return self

    def get_extra_info(self, info: str) -> Any:
        """The TLS object, which httpcore asks for its protocol; nothing else is known here."""
        return self._wire.transport.get_extra_info("ssl_object") if info == "ssl_object" else None


class Wire(asyncio.Protocol):
    """What comes in on a connection, and when.

    Attributes:
        awaited: The answer is: what comes is its.
        held: Received, and not read yet.
        lost: What broke the connection; None while nothing did, or when it was closed as it should be.
    """

    transport: asyncio.Transport
    connection: socket.socket

    def __init__(self, watch: Stopwatch) -> None:
        self._watch = watch
        self._ended = False
        self._ended_at = nan
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self.awaited = False
        self.held: list[bytes] = []
        self._held_bytes = 0
        self.lost: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop's word that it reads."""
        assert isinstance(transport, asyncio.Transport)
        self.use(transport)

    def use(self, transport: asyncio.Transport) -> None:
        """Write to this one; sent is what the kernel has, not what a buffer holds."""
        self.transport = transport
        transport.set_write_buffer_limits(1)  # not 0: at that, asyncio's TLS takes an empty buffer for a full one

    def data_received(self, data: bytes) -> None:
        """Keep it, and note the time."""
        if self.awaited:
            at = monotonic() - arrival.since_s(self.connection)
            # Also while the request is still being sent: a server may refuse a body before it has it.
            self._watch.enter("transfer", at)
        self.held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > _HELD_BYTES and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """The other side is done; so is this."""
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self.lost = exc
        self._end()
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def pause_writing(self) -> None:
        """The kernel takes no more for now."""
        self._room = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """It has taken everything."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    def _end(self) -> None:
        if not self._ended:
            self._ended, self._ended_at = True, monotonic()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self) -> bytes:
        """Everything that is held; waits while that is nothing; empty at the end."""
        while not self.held:
            if self.lost is not None:
                raise self.lost
            if self._ended:
                if self._watch.phase == "transfer":  # of a body without a length this is the last byte
                    self._watch.enter("transfer", self._ended_at)
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = b"".join(self.held)
        self.held.clear()
        self._held_bytes = 0
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """Returns when the kernel has it.

        Raises:
            OSError: When the connection is over.
        """
        if self._ended or self.transport.is_closing():
            raise self.lost or ConnectionResetError
        self.transport.write(data)
        if self._room is not None:
            await self._room
        if self.lost is not None:
            raise self.lost
