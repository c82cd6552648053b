"""The engine, its local source, and the same over a socket."""

import asyncio
import math
import socket
import time

import msgspec
import pytest

from perfconsole.core import wire
from perfconsole.core.errors import CollectorError, RequestError
from perfconsole.core.ports import Measured, Operation, Result, Watch
from perfconsole.core.requests import PROCESS_DETAIL, ProcessDetail, ProcessId, SignalArgs
from perfconsole.core.shipped import THRESHOLDS
from perfconsole.core.state import State
from perfconsole.core.tables import ProcessTable, View
from perfconsole.core.tick import SeriesDef, Stream, Tick
from perfconsole.engine.engine import BEAT_S, Engine
from perfconsole.engine.local import LocalSource
from perfconsole.engine.mailbox import BOUND, Mailbox
from perfconsole.engine.serve import serve
from perfconsole.sources.remote import RemoteSource


def test_values_arrive_and_ticks_never_stop(scripted, make_engine, connect, follow):
    reader = follow(connect(make_engine(scripted)))
    reader.until(lambda: reader.state.value("system.cpu.utilization") == 0.1)
    assert reader.state.stream.host == "testhost"
    scripted.value = 0.5
    reader.until(lambda: reader.state.value("system.memory.utilization") == 0.5)
    seen = reader.state.seq
    reader.until(lambda: reader.state.seq > seen)
    assert [tick.seq for tick in reader.ticks] == list(range(reader.ticks[0].seq, reader.ticks[-1].seq + 1))


def test_a_watched_table_comes_at_once_and_an_unwatched_one_not_at_all(scripted, make_engine, connect, follow):
    source = connect(make_engine(scripted))
    reader = follow(source)
    reader.until(lambda: scripted.runs >= 2)
    assert reader.state.table(ProcessTable) is None
    source.watch(Watch((View("process", sort="memory_bytes", limit=5),)))
    reader.until(lambda: reader.state.table(ProcessTable) is not None)
    table = reader.state.table(ProcessTable)
    assert table.total == 300
    assert {row.pid for row in table.rows} >= {296, 297, 298, 299, 300}
    if isinstance(source, RemoteSource):
        assert len(table.rows) == 5


def test_a_failing_collector_is_a_state_with_its_fix_and_heals(scripted, make_engine, connect, follow):
    scripted.fault = CollectorError("may not", "join the group adm", state="denied")
    reader = follow(connect(make_engine(scripted)))
    reader.until(lambda: ("scripted", "host") in reader.state.health)
    health = reader.state.health["scripted", "host"]
    assert (health.state, health.error, health.fix) == ("denied", "may not", "join the group adm")
    scripted.fault = None
    reader.until(lambda: reader.state.health["scripted", "host"].state == "ok")


def test_an_unforeseen_error_is_shown_made_safe(scripted, make_engine, connect, follow):
    scripted.fault = ValueError("\x1b[31mboom")
    reader = follow(connect(make_engine(scripted)))
    reader.until(lambda: ("scripted", "host") in reader.state.health)
    assert "\x1b" not in reader.state.health["scripted", "host"].error


def test_thresholds_colour_and_end(scripted, make_engine, connect, follow):
    scripted.value = 0.95
    reader = follow(connect(make_engine(scripted, rules=THRESHOLDS)))
    reader.until(lambda: {alert.rule for alert in reader.state.alerts.values()} >= {"cpu-critical", "memory-warning"})
    assert all(alert.colour and alert.state == "firing" for alert in reader.state.alerts.values())
    scripted.value = 0.1
    reader.until(lambda: not reader.state.alerts)


def test_a_changed_set_of_series_keeps_what_is_known(scripted, make_engine, connect, follow):
    reader = follow(connect(make_engine(scripted)))
    reader.until(lambda: reader.state.value("system.cpu.utilization") == 0.1)
    scripted.series = (SeriesDef("system.load.1m"), *scripted.series)
    reader.until(lambda: reader.state.value("system.load.1m") == 0.1)
    _, loads = reader.state.find("system.load.1m").points()
    _, cpus = reader.state.find("system.cpu.utilization").points()
    assert math.isnan(loads[0])
    assert cpus[0] == 0.1
    scripted.series = ()
    reader.until(lambda: reader.state.find("system.cpu.utilization") is None)


async def test_an_operation_is_audited_before_and_after(scripted, make_engine, connect, follow):
    written = []
    source = connect(make_engine(scripted, audit=lambda *entry: written.append((*entry, len(scripted.signalled)))))
    reader = follow(source)
    reader.until(lambda: reader.state.stream is not None)
    assert "process.signal" in reader.state.stream.ops
    done = await source.request("process.signal", SignalArgs(5, 50, 15))
    assert done.text == "sent 15"
    assert [(entry[1], entry[3], entry[4]) for entry in written] == [("process.signal", "", 0), ("process.signal", "done", 1)]


@pytest.mark.parametrize("how", ["engine", "no audit", "unknown", "wrong args"])
async def test_an_operation_is_refused_and_nothing_is_done(scripted, make_engine, connect, follow, how):
    audit = None if how == "no audit" else (lambda *_: None)
    source = connect(make_engine(scripted, read_only=how == "engine", audit=audit))
    reader = follow(source)
    reader.until(lambda: reader.state.stream is not None)
    assert ("process.signal" in reader.state.stream.ops) == (how != "engine")
    op = "process.detail" if how == "unknown" else "process.signal"
    args = ProcessId(1, 2) if how in ("unknown", "wrong args") else SignalArgs(5, 50, 15)
    why = {"engine": "read-only", "no audit": "no audit file", "unknown": "not offered", "wrong args": "."}[how]
    with pytest.raises(RequestError, match=why):
        await source.request(op, args)
    assert scripted.signalled == []


async def test_a_read_only_peer_is_refused_and_not_offered(scripted, make_engine, follow):
    near, far = socket.socketpair()
    serve(make_engine(scripted, audit=lambda *_: None), far, read_only=True)
    source = RemoteSource(near)
    reader = follow(source)
    reader.until(lambda: reader.state.stream is not None)
    assert reader.state.stream.ops == {"alert.history", "alert.watching", "event.list"}  # which change nothing
    with pytest.raises(RequestError, match="read-only"):
        await source.request("process.signal", SignalArgs(5, 50, 15))
    assert scripted.signalled == []


async def test_an_action_that_cannot_be_audited_is_not_done(scripted, make_engine, connect, follow):
    def audit(*_):
        raise RequestError("the audit file is full")

    source = connect(make_engine(scripted, audit=audit))
    follow(source).until(lambda: True)
    with pytest.raises(RequestError, match="full"):
        await source.request("process.signal", SignalArgs(5, 50, 15))
    assert scripted.signalled == []


def test_a_reader_that_stalled_ends_with_the_engines_state(scripted, make_engine, follow):
    engine = make_engine(scripted)
    reader = follow(LocalSource(engine))
    reader.until(lambda: reader.state.seq > 0)

    async def storm():
        for value in range(3 * BOUND):
            scripted.value = float(value)
            engine.close_tick()

    asyncio.run_coroutine_threadsafe(storm(), engine.loop).result(60)

    async def compare():
        reader.pull()
        encode = msgspec.msgpack.Encoder().encode
        return encode(reader.state.keyframe()), encode(engine.state.keyframe())

    mine, theirs = asyncio.run_coroutine_threadsafe(compare(), engine.loop).result(60)
    assert reader.ticks[-1].seq >= 3 * BOUND
    assert any(tick.key for tick in reader.ticks[1:])
    assert mine == theirs


def test_a_mailbox_is_bounded_and_wakes_once():
    wakes, state = [], State()
    box = Mailbox(state.keyframe, lambda: wakes.append(1))
    for seq in range(BOUND + 1):
        tick = Tick(seq, 1.0 + seq, 1.0 + seq)
        state.apply(tick)
        box.put(tick)
    ticks = box.drain()
    assert (len(ticks), ticks[0].key, ticks[0].seq) == (1, True, BOUND)
    assert len(wakes) == 1
    box.close()
    box.put(Tick(99, 1.0, 1.0))
    assert box.drain() == []


def test_a_remote_reader_that_stalls_is_resynchronised(scripted, make_engine, follow):
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    engine = make_engine(scripted)
    serve(engine, far)
    reader = follow(RemoteSource(near))
    reader.until(lambda: reader.state.seq > 0)

    async def storm():
        for _ in range(30000):
            engine.close_tick()
            await asyncio.sleep(0)

    asyncio.run_coroutine_threadsafe(storm(), engine.loop).result(60)
    last = engine.state.seq
    reader.until(lambda: reader.state.seq >= last)
    assert any(tick.key for tick in reader.ticks[1:])
    assert len(reader.ticks) < 30000


def test_nonsense_from_a_peer_ends_only_that_peer(scripted, make_engine, follow):
    engine = make_engine(scripted)
    near, far = socket.socketpair()
    serve(engine, far)
    near.sendall(b"\xff" * 64)
    near.settimeout(60)
    splitter = wire.Splitter()
    while data := near.recv(65536):
        list(splitter.feed(data))
    near.close()
    reader = follow(LocalSource(engine))
    reader.until(lambda: reader.state.seq > 0)


async def test_a_lost_connection_fails_requests_and_closes_at_once(scripted, make_engine, follow):
    near, far = socket.socketpair()
    serve(make_engine(scripted, audit=lambda *_: None), far)
    source = RemoteSource(near)
    reader = follow(source)
    reader.until(lambda: reader.state.seq > 0)
    near.shutdown(socket.SHUT_RDWR)
    reader.source._thread.join(60)
    with pytest.raises(RequestError, match="ended"):
        await source.request("process.signal", SignalArgs(5, 50, 15))
    began = time.monotonic()
    source.close()
    assert time.monotonic() - began < 20  # nobody answers any more: what is waited for would be waited for without end


def test_a_hanging_collector_delays_neither_ticks_nor_the_end(scripted, make_engine, follow):
    scripted.hang = True
    engine = make_engine(scripted)
    reader = follow(LocalSource(engine))
    reader.until(lambda: len(reader.ticks) >= 4)
    gaps = [b.boot - a.boot for a, b in zip(reader.ticks[1:], reader.ticks[2:], strict=False)]
    assert min(gaps) < 8 * BEAT_S  # each would wait for the end of the run, or its limit of five seconds
    assert scripted.runs == 1
    began = time.monotonic()
    engine.stop()
    assert time.monotonic() - began < 20  # it hangs for an hour


def test_what_outlives_its_beat_is_told_when_it_ends(scripted, make_engine, follow, monkeypatch):
    """And not with the next beat: there is none here for years."""
    monkeypatch.setattr("perfconsole.engine.engine.BEAT_S", 1e9)
    run = scripted.run

    async def slowly(*args):
        await asyncio.sleep(0.1)  # longer than a beat waits
        return await run(*args)

    scripted.run = slowly
    reader = follow(LocalSource(make_engine(scripted)))
    reader.until(lambda: sum(len(tick.readings) for tick in reader.ticks) >= 3)


def test_another_interval_begins_the_group_anew_and_keeps_what_was_measured(scripted, make_engine, connect, follow):
    """Gaps are told by the interval: a history that is read every 30 s while nobody looks is none of 5 s with holes."""
    every_s = [1.0]

    async def run(target, slot, views):
        return Result([Measured(target, scripted.series, [0.5, 0.5], interval_s=every_s[0])])

    scripted.run = run
    reader = follow(connect(make_engine(scripted)))
    reader.until(lambda: reader.state.value("system.cpu.utilization") == 0.5)
    assert [group.interval_s for group in reader.state.groups.values()] == [1.0]
    held = len(reader.state.find("system.cpu.utilization").ring)
    every_s[0] = 30.0
    reader.until(lambda: [group.interval_s for group in reader.state.groups.values()] == [30.0])
    assert len(reader.state.find("system.cpu.utilization").ring) > held


def test_a_collector_that_joins_later_is_run_and_who_listened_before_is_told_what_it_offers(scripted, make_engine, connect, follow):
    class Late:
        name, interval_s, first_after_s, targets = "late", 0.5, 0.0, ("host",)

        def __init__(self):
            self.operations = (Operation(PROCESS_DETAIL, self.detail),)

        async def detail(self, args):
            return ProcessDetail([], [], [], [("pid", str(args.pid))], [])

        async def run(self, target, slot, views):
            return Result([Measured(target, (SeriesDef("system.load.1m"),), [7.0])])

        async def look(self, views):
            return []

        def close(self):
            pass

    engine = make_engine(scripted)
    source = connect(engine)
    reader = follow(source)
    reader.until(lambda: reader.state.stream is not None)
    assert PROCESS_DETAIL.name not in reader.state.stream.ops
    engine.loop.call_soon_threadsafe(engine.adopt, Late())
    reader.until(lambda: reader.state.value("system.load.1m") == 7.0)
    assert PROCESS_DETAIL.name in reader.state.stream.ops
    detail = asyncio.run(source.request(PROCESS_DETAIL.name, ProcessId(7, 1)))
    assert detail.facts == [("pid", "7")]


def test_nothing_joins_an_engine_that_does_not_run(scripted):
    with pytest.raises(RuntimeError, match="not running"):
        Engine([], Stream("testhost", "s1", "boot", "0")).adopt(scripted)
