"""The program that carries out checks in a process of its own: told which, and telling what came of them, on its standard input, a socket.

It loads what its checks need and nothing else, speaks to no terminal, and ends when the console's end of the socket is closed, whatever
closed it: there is no other way for a console to end that it would have to know.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final

from perfconsole import __version__
from perfconsole.collectors.http.apart import pipe
from perfconsole.collectors.http.apart.backlog import Backlog
from perfconsole.collectors.http.apart.descriptors import allow_many
from perfconsole.collectors.http.attempts.shared import Shared
from perfconsole.collectors.http.checking.checker import Checker
from perfconsole.collectors.http.checking.probers import prober_of, warm_up
from perfconsole.collectors.http.network.prober import Prober
from perfconsole.core.checks import Check, Outcome

BATCH_S: Final = 0.1
"""Between an outcome and its telling: a hundred a second wake the console ten times, and are still told before its next beat."""

BATCH_BYTES: Final = 32_768
"""Of one batch: read by the console in 1 ms."""

ALIVE_S: Final = 5.0
"""Something is told at least so often."""

_READ_BYTES: Final = 65_536
_SWITCH_S: Final = 0.001
"""Threads that look names up give the loop back so soon."""


class _Noted:
    """A prober whose check is noted while it is under way; `begun` is called when it begins."""

    def __init__(self, name: str, prober: Prober, under_way: set[str], begun: Callable[[], None]) -> None:
        self._name = name
        self._prober = prober
        self._under_way = under_way
        self._begun = begun

    async def probe(self) -> Outcome:
        self._under_way.add(self._name)
        self._begun()
        try:
            return await self._prober.probe()
        finally:
            self._under_way.discard(self._name)

    def close(self) -> None:
        self._prober.close()


class Worker:
    """Carries out checks for whoever is at the other end of a connection.

    Args:
        reader: Where orders come from.
        writer: Where reports go to.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._backlog = Backlog()
        self._checker = Checker(self._take, make=self._prober, warm_up=warm_up)
        self._serial = 0
        self._under_way: set[str] = set()
        self._known: set[str] = set()
        self._asked: dict[int, str] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._gone: list[int] = []
        self._news, self._urgent = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Until the other end is closed."""
        self._writer.write(pipe.frame(pipe.Hello(__version__)))
        telling, listening = asyncio.create_task(self._tell()), asyncio.create_task(self._listen())
        done, _ = await asyncio.wait({telling, listening}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            with suppress(ConnectionError):
                task.result()

    async def _listen(self) -> None:
        splitter = pipe.Splitter()
        while data := await self._reader.read(_READ_BYTES):
            for body in splitter.feed(data):
                self._obey(pipe.order_of(body))

    def _obey(self, order: pipe.Order) -> None:
        if isinstance(order, pipe.Configure):
            self._configure(order)
        elif isinstance(order, pipe.Soon):
            self._checker.soon(order.name)
        else:
            self._asked[order.id] = order.name
            task = asyncio.create_task(self._answer(order))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    def _configure(self, order: pipe.Configure) -> None:
        self._serial = order.serial
        self._known.clear()  # as the console does
        self._checker.configure(order.checks)
        # What lasts is looked at by no later collection: a thousand checks would be 20 ms of each, in which all others are late.
        gc.unfreeze()
        gc.collect()
        gc.freeze()

    async def _answer(self, question: pipe.Now) -> None:
        """Have a check carried out; its outcome answers every question about it."""
        try:
            await self._checker.now(question.name)
        except KeyError:
            if self._asked.pop(question.id, None) is not None:
                self._gone.append(question.id)
                self._wake(urgent=True)

    def _prober(self, check: Check, shared: Shared) -> Prober:
        return _Noted(check.name, prober_of(check, shared), self._under_way, self._news.set)

    def _take(self, outcome: Outcome) -> None:
        ids = [id_ for id_, name in self._asked.items() if name == outcome.name]
        for id_ in ids:
            del self._asked[id_]
        self._known.discard(outcome.name)
        self._backlog.put(outcome, self._serial, ids)
        self._wake(urgent=bool(ids))

    def _wake(self, *, urgent: bool) -> None:
        self._news.set()
        if urgent:
            self._urgent.set()

    async def _tell(self) -> None:
        while True:
            await _within(self._news, ALIVE_S)
            await _within(self._urgent, BATCH_S)
            self._news.clear()
            self._urgent.clear()
            self._writer.write(pipe.frame(self._batch()))
            await self._writer.drain()
            if len(self._backlog):
                self._wake(urgent=True)

    def _batch(self) -> pipe.Packed:
        told = self._backlog.take(BATCH_BYTES)
        gone, self._gone = tuple(self._gone), []
        if len(self._backlog):  # what is under way comes after what is told: the console takes an outcome for the end of it
            return pipe.Packed(told, gone=gone)
        begun = self._under_way - self._known
        self._known |= begun
        return pipe.Packed(told, tuple(begun), gone, self._backlog.note())


async def _within(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _serve(connection: socket.socket) -> None:
    connection.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=connection)
    try:
        await Worker(reader, writer).run()
    except Exception as error:  # noqa: BLE001  # whatever it is, the console tells it: there is nobody else to tell
        writer.write(pipe.frame(pipe.Fault(f"{type(error).__name__} in {_place(error.__traceback__)}")))
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await writer.drain()
    finally:
        os._exit(0)  # at once: what is under way, and lookups that hang in threads, are waited for by nobody


def _place(traceback: TracebackType | None) -> str:
    """Where an error was raised: ``worker.py:120``. What it says may quote what it was about."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return "?"
    return f"{os.path.basename(traceback.tb_frame.f_code.co_filename)}:{traceback.tb_lineno}"  # noqa: PTH119  # pathlib for one name


def main() -> None:
    """Serve the console at the other end of standard input."""
    # ctrl+c is for the console, which ends this process by closing the connection when it likes to.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    allow_many()
    sys.setswitchinterval(_SWITCH_S)
    asyncio.run(_serve(socket.socket(fileno=0)))


if __name__ == "__main__":
    main()
