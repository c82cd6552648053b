"""A collector that can be told what to measure, and an engine around it."""

import asyncio
import socket
import threading
import time

import pytest

from perfconsole.core.ports import Measured, Operation, Result
from perfconsole.core.requests import PROCESS_SIGNAL, Done
from perfconsole.core.tables import ProcessRow, ProcessTable
from perfconsole.core.tick import SeriesDef, Stream
from perfconsole.engine.engine import Engine
from perfconsole.engine.local import LocalSource
from perfconsole.engine.serve import serve
from perfconsole.sources.remote import RemoteSource

CPU = (SeriesDef("system.cpu.utilization"), SeriesDef("system.memory.utilization"))


def row(pid, cpu=0.0, **fields):
    plain = {"start": pid * 10, "ppid": 1, "name": f"p{pid}", "user": "u", "state": "S", "cpu_s": 1.0, "memory_bytes": pid * 1000.0}
    return ProcessRow(pid=pid, cpu=cpu, **(plain | {"threads": 1, "nice": 0, "started": 1.0} | fields))


class Scripted:
    """Collector: values are what `value` says; `fault` is raised, `hang` never comes back."""

    name, interval_s, first_after_s, targets = "scripted", 0.5, 0.0, ("host",)

    def __init__(self):
        self.value, self.fault, self.hang, self.runs, self.signalled = 0.1, None, False, 0, []
        self.series = CPU
        self.rows = [row(pid) for pid in range(1, 301)]
        self.views = ()
        self.operations = (Operation(PROCESS_SIGNAL, self.signal),)

    async def signal(self, args):
        self.signalled.append(args)
        return Done(f"sent {args.signal}")

    async def run(self, target, slot, views):
        self.runs, self.views = self.runs + 1, tuple(views)
        if self.hang:
            await asyncio.sleep(3600)
        if self.fault:
            raise self.fault
        return Result([Measured(target, self.series, [self.value] * len(self.series))], [self.table()] if views else ())

    async def look(self, views):
        self.views = tuple(views)
        return [self.table()] if views else []

    def table(self):
        return ProcessTable("host", time.time(), len(self.rows), self.rows)

    def close(self):
        pass


@pytest.fixture
def scripted():
    return Scripted()


@pytest.fixture
def make_engine():
    made = []

    def make(*collectors, **options):
        engine = Engine(collectors, Stream("testhost", "s1", "boot", "0", read_only=options.pop("read_only", False)), **options)
        engine.start()
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.stop()


@pytest.fixture(params=["local", "remote"])
def connect(request):
    """A source of an engine's ticks: in this process, or at the other end of a socket."""

    def make(engine, **options):
        if request.param == "local":
            return LocalSource(engine)
        near, far = socket.socketpair()
        serve(engine, far, **options)
        return RemoteSource(near)

    return make


class Follower:
    """A reader of a source: folds what comes, waits for a condition on real time (bounded)."""

    def __init__(self, source, state):
        self.source, self.state, self.ticks = source, state, []
        self._bell = threading.Event()
        source.subscribe(self._bell.set)

    def pull(self):
        for tick in self.source.drain():
            self.ticks.append(tick)
            self.state.apply(tick)

    def until(self, condition, timeout_s=60.0):
        end = time.monotonic() + timeout_s
        while True:
            self.pull()
            if condition():
                return
            left = end - time.monotonic()
            assert left > 0, "it did not happen in time"
            self._bell.wait(min(left, 0.5))
            self._bell.clear()


@pytest.fixture
def follow():
    from perfconsole.core.state import State

    made = []

    def make(source):
        made.append(source)
        return Follower(source, State())

    yield make
    for source in made:
        source.close()
