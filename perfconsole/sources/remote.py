"""The source that is another process: an engine behind a connected socket, told and asked in frames."""

import asyncio
import itertools
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Struct

from perfconsole.core import wire
from perfconsole.core.errors import RequestError
from perfconsole.core.ports import Watch
from perfconsole.core.requests import SPECS
from perfconsole.core.tick import Tick

BOUND: Final = 64
"""Ticks held for a reader that does not drain. Past that the socket is no longer read: the far end's mailbox overflows into a keyframe,
so that the mechanism is the same one and memory stays bounded at both ends."""

_CHUNK: Final = 65536
_ANSWER_S: Final = 30.0
ENDED: Final = "the connection has ended"
"""What requests fail with whose answer cannot come any more."""


class RemoteSource:
    """A reader of an engine at the other end of a socket; see `core.ports.Source`.

    Args:
        sock: A connected stream socket; taken over.
        silence_s: After so many seconds without a byte the connection counts as ended: an engine tells something every half second.

    Attributes:
        ended: Called once, on the connection's thread, when the connection ends before `close`; to be set before `subscribe`.
    """

    def __init__(self, sock: socket.socket, silence_s: float | None = None) -> None:
        self.ended: Callable[[], None] = lambda: None
        self._sock = sock
        self._silence_s = silence_s
        self._wake: Callable[[], None] = lambda: None
        self._ticks: list[Tick] = []
        self._lock = threading.RLock()  # a wake may drain at once
        self._open = True
        self._handing = threading.Lock()  # of handing a request to the loop, against its end
        self._over = False
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[wire.Response]] = {}
        self._loop = asyncio.new_event_loop()
        self._writer: asyncio.StreamWriter | None = None
        self._room = asyncio.Event()
        self._connected = threading.Event()
        self._thread = threading.Thread(target=self._thread_main, name="remote", daemon=True)

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Start reading, on a thread of its own."""
        self._wake = wake
        self._thread.start()
        self._connected.wait()

    def close(self) -> None:
        """Stop; requests under way fail."""
        with self._lock:
            self._open, self._ticks = False, []
        if self._thread.is_alive():
            self._post(self._hang_up)
            self._thread.join(0.3)
        elif not self._thread.ident:  # never subscribed to
            self._sock.close()
            self._loop.close()

    def _hang_up(self) -> None:
        if self._writer:
            self._writer.close()
        self._room.set()

    def drain(self) -> list[Tick]:
        """The ticks since the last drain."""
        with self._lock:
            ticks, self._ticks = self._ticks, []
        if len(ticks) >= BOUND:
            self._post(self._room.set)
        return ticks

    def watch(self, watch: Watch) -> None:
        """Say what is looked at."""
        self._post(self._write, watch)

    async def request(self, op: str, args: Struct) -> Struct:
        """Run an operation at the far end.

        Raises:
            RequestError: When it was refused or failed, or the connection ended.
        """
        spec = SPECS.get(op)
        if spec is None:
            raise RequestError(f"{op} is not known")
        if not self._thread.is_alive():
            raise RequestError(ENDED)
        request = wire.Request(next(self._ids), op, wire.pack(args))
        with self._handing:
            if self._over:
                raise RequestError(ENDED)
            running = asyncio.run_coroutine_threadsafe(self._ask(request), self._loop)
        response = await asyncio.wrap_future(running)
        if response.error:
            raise RequestError(response.error, response.fix)
        try:
            result: Struct = msgspec.msgpack.decode(response.result, type=spec.result)
        except wire.UNREADABLE as error:
            raise RequestError(f"{op}: an answer that cannot be read: {error}") from error
        return result

    async def _ask(self, request: wire.Request) -> wire.Response:
        answer: asyncio.Future[wire.Response] = self._loop.create_future()
        self._waiting[request.id] = answer
        try:
            if not self._write(request):
                return wire.Response(request.id, error=ENDED)
            async with asyncio.timeout(_ANSWER_S):
                return await answer
        except TimeoutError:
            return wire.Response(request.id, error=f"no answer within {_ANSWER_S:g} s")
        finally:
            del self._waiting[request.id]

    # The connection's own thread ---------------------------------------------------------------------------------------------------

    def _thread_main(self) -> None:
        try:
            self._loop.run_until_complete(self._read())
        except OSError:
            pass  # the socket was dead before it began: as a link that is lost
        finally:
            with self._handing:
                self._over = True
            self._loop.run_until_complete(self._finish())
            self._loop.close()
            self._connected.set()  # whoever waits for it is not left waiting
            if self._open:
                self.ended()

    def _post(self, call: Callable[..., object], *args: object) -> None:
        """Have something done on the connection's thread; nothing once that has ended."""
        with suppress(RuntimeError):  # closed, perhaps this very moment
            self._loop.call_soon_threadsafe(call, *args)

    def _write(self, message: wire.Message) -> bool:
        if self._writer is None or self._writer.is_closing():
            return False
        self._writer.write(wire.encode(message))
        return True

    async def _read(self) -> None:
        self._sock.setblocking(False)
        reader, self._writer = await asyncio.open_connection(sock=self._sock)
        self._connected.set()
        splitter = wire.Splitter()
        try:
            while data := await self._hear(reader):
                for message in splitter.feed(data):
                    await self._take(message)
        except (OSError, wire.WireError):
            pass  # the link is lost: the reader sees it by ticks that no longer come
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_result(wire.Response(0, error=ENDED))
            self._writer.close()
            await asyncio.sleep(0)

    async def _finish(self) -> None:
        """Requests that were handed over while the link ended begin before this does: they find it closed, and are answered with that."""
        asking = asyncio.all_tasks() - {asyncio.current_task()}
        if asking:
            await asyncio.wait(asking)

    async def _hear(self, reader: asyncio.StreamReader) -> bytes:
        async with asyncio.timeout(self._silence_s):  # of which the TimeoutError is an OSError
            return await reader.read(_CHUNK)

    async def _take(self, message: wire.Message) -> None:
        if isinstance(message, wire.Response):
            answer = self._waiting.get(message.id)
            if answer and not answer.done():
                answer.set_result(message)
        elif isinstance(message, Tick):
            with self._lock:
                if not self._open:
                    return
                idle = not self._ticks
                self._ticks.append(message)
                if idle:  # under the lock: a wake after `close` would find its reader's loop gone
                    self._wake()
                full = len(self._ticks) >= BOUND
            if full:
                self._room.clear()
                await self._room.wait()
