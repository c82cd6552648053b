"""The far end of a `RemoteSource`: one engine's ticks, and its operations, over a connected socket.

A peer sees only what it watches: each table is cut to its views by the same `select` that the screen runs. A peer that stops reading
holds up nothing: its mailbox overflows into a keyframe.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import Final

import msgspec

from perfconsole.core import tables, wire
from perfconsole.core.errors import PerfconsoleError
from perfconsole.core.ports import Watch
from perfconsole.core.requests import SPECS
from perfconsole.core.tables import View
from perfconsole.core.tick import Tick
from perfconsole.engine.engine import Engine
from perfconsole.engine.mailbox import Mailbox

POINTS: Final = 120
"""Samples a series in a peer's keyframe: what a chart of 120 columns shows; 22 kB turn into 505 kB with them, 3.6 MB with all."""

_CHUNK: Final = 65536
_MOST_ANSWERS: Final = 16
"""Requests of one peer under way; a peer that asks on without reading the answers is not listened to meanwhile."""


def serve(engine: Engine, sock: socket.socket, *, read_only: bool = False, peer: str = "remote") -> None:
    """Serve one connected socket until either end closes it; returns at once, from any thread.

    Args:
        engine: A running engine.
        sock: A connected stream socket; taken over.
        read_only: Refuse operations that change something to this peer.
        peer: Who it is, for the audit file.
    """
    asyncio.run_coroutine_threadsafe(Peer(engine, read_only=read_only, name=peer).run(sock), engine.loop)


class Peer:
    """One connection.

    Args:
        engine: A running engine.
        read_only: Refuse operations that change something.
        name: Who it is, for the audit file.
    """

    def __init__(self, engine: Engine, *, read_only: bool, name: str) -> None:
        self._engine = engine
        self._read_only = read_only
        self._name = name
        self._ready = asyncio.Event()
        self._answers: set[asyncio.Task[None]] = set()

    async def run(self, sock: socket.socket) -> None:
        """Serve a connected socket, which is taken over, until either end closes it; on the engine's loop."""
        sock.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=sock)
        box = self._engine.attach(self._ready.set, points=POINTS)
        told = asyncio.create_task(self._tell(box, writer))
        told.add_done_callback(lambda _: writer.close())  # it cannot be told any more: it is not to wait for that
        try:
            await self._listen(box, reader, writer)
        except (wire.WireError, OSError):
            pass  # a peer that speaks nonsense, or is gone, is dropped; the next one starts afresh
        finally:
            self._engine.detach(box)
            for task in (told, *self._answers):
                task.cancel()
            await asyncio.gather(told, *self._answers, return_exceptions=True)
            writer.close()

    async def _tell(self, box: Mailbox, writer: asyncio.StreamWriter) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            for tick in box.drain():
                writer.write(wire.encode(self._cut(tick, box.watch.views)))
            await writer.drain()

    def _cut(self, tick: Tick, views: Sequence[View]) -> Tick:
        """The tick with its tables cut to what is watched, and a stream that offers only what this peer may do."""
        if tick.stream and self._read_only:
            ops = frozenset(op for op in tick.stream.ops if not SPECS[op].changes)
            tick = msgspec.structs.replace(tick, stream=msgspec.structs.replace(tick.stream, ops=ops, read_only=True))
        if not tick.tables:
            return tick
        return msgspec.structs.replace(tick, tables=[part for table in tick.tables if (part := tables.cut(table, views))])

    async def _listen(self, box: Mailbox, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        splitter = wire.Splitter(wire.PEER_LIMIT)
        while data := await reader.read(_CHUNK):
            for message in splitter.feed(data):
                if isinstance(message, Watch):
                    self._engine.watch(box, message)
                elif isinstance(message, wire.Request):
                    task = asyncio.create_task(self._answer(message, writer))
                    self._answers.add(task)
                    task.add_done_callback(self._leave)
                    if len(self._answers) >= _MOST_ANSWERS:
                        await asyncio.wait(self._answers, return_when=asyncio.FIRST_COMPLETED)

    def _leave(self, task: asyncio.Task[None]) -> None:
        self._answers.discard(task)
        if not task.cancelled():
            task.exception()  # taken note of: else asyncio would write it across the screen

    async def _answer(self, request: wire.Request, writer: asyncio.StreamWriter) -> None:
        try:
            spec = SPECS.get(request.op)
            if spec is None:
                response = wire.Response(request.id, error=f"{request.op} is not offered here")
            else:
                args = msgspec.msgpack.decode(request.args, type=spec.args)
                result = await self._engine.dispatch(request.op, args, peer=self._name, read_only=self._read_only)
                response = wire.Response(request.id, result=wire.pack(result))
        except wire.UNREADABLE as error:
            response = wire.Response(request.id, error=f"{request.op}: {error}")
        except PerfconsoleError as error:
            response = wire.Response(request.id, error=error.message, fix=error.fix)
        writer.write(wire.encode(response))
        await writer.drain()
