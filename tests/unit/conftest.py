"""Property tests run the same examples every time, and a busy machine is no failure. A machine that tells ticks."""

import time

import msgspec
import pytest
from hypothesis import HealthCheck, settings

from perfconsole.core.segment import KEYFRAME_POINTS, recorded
from perfconsole.core.state import State
from perfconsole.core.tables import ProcessRow, ProcessTable
from perfconsole.core.tick import Event, Group, Health, Reading, SeriesDef, Stream, Tick
from perfconsole.history.segments import SingleFile

settings.register_profile("house", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


class Machine:
    """What an engine would tell of a machine: two ticks a second, a reading and a table in every fourth. Its own state is `state`."""

    def __init__(self, start=1.7e9, session="first", host="box"):
        self.state = State()
        self.stream = Stream(host, session, "boot", "0", frozenset({"process.signal"}), recorder="me")
        self.start = start
        self.state.apply(Tick(0, start, 100.0, key=True, stream=self.stream))

    def ticks(self, seconds, rows=5):
        for _ in range(int(seconds * 2)):
            yield self._tick(rows)

    def _tick(self, rows):
        seq = self.state.seq + 1
        at = self.state.at + 0.5
        parts = {}
        if seq % 4 == 1:
            parts["readings"] = [Reading(1, at, [float(seq), seq * 10.0])]
            parts["tables"] = [ProcessTable("host", at, rows, [_row(pid, seq) for pid in range(rows)])]
            parts["health"] = [Health("system", "host", "ok", at, at)]
        if seq == 1:
            parts["groups"] = [Group(1, "system", "host", 2.0, (SeriesDef("system.load.1m"), SeriesDef("system.disk.io")))]
        if seq % 100 == 0:
            parts["events"] = [Event(at - 1, at, "mark", "host", f"event {seq}", "engine")]
        tick = Tick(seq, at, self.state.boot + 0.5, **parts)
        self.state.apply(tick)
        return tick

    def feed(self, sink, seconds, rows=5):
        """Feed a sink as the engine does."""
        for tick in self.ticks(seconds, rows):
            sink(self.state.keyframe(points=KEYFRAME_POINTS) if sink.wants_keyframe else tick)

    def write(self, path, seconds, rows=5, span_s=600.0):
        """Record into a new file, segment after segment, as the recorder's thread does; the ticks that were told."""
        store, current, told = SingleFile(path), None, []
        for tick in self.ticks(seconds, rows):
            told.append(tick)
            if current is None or tick.at - current.header.start >= span_s:
                if current:
                    current.flush(finish=True)
                    store.end(current)
                current = store.begin(tick.at)
                current.add(recorded(self.state.keyframe(points=KEYFRAME_POINTS)))
            else:
                current.add(recorded(tick))
        current.flush(finish=True)
        store.end(current)
        store.close()
        return told


def _row(pid, seq):
    return ProcessRow(pid, pid, 1, f"name{pid}", "root", "S", (pid * 7 + seq) % 13 / 10, 1.0, pid * 4096.0, 1, 0, 3.0)


@pytest.fixture(scope="session")
def machine():
    return Machine


@pytest.fixture(scope="session")
def told():
    """Everything a state knows as bytes, but who tells it: NaN equals NaN."""

    def told(state):
        return msgspec.msgpack.encode(msgspec.structs.replace(state.keyframe(), stream=None, past=False))

    return told


@pytest.fixture(scope="session")
def eventually():
    """Wait for what another thread or process does."""

    def eventually(condition, within_s=60.0):
        deadline = time.monotonic() + within_s
        while not (found := condition()):
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.005)
        return found

    return eventually
