"""What must not stop the engine, and what must not be told otherwise than it was: faults, clock steps, readers that leave."""

import asyncio
import os
import pwd
import socket
import threading
import time
from contextlib import suppress

import pytest

from perfconsole.core import wire
from perfconsole.core.errors import RequestError
from perfconsole.core.notices import Saved
from perfconsole.core.ports import Operation, Watch
from perfconsole.core.requests import PROCESS_SIGNAL, Done, SignalArgs
from perfconsole.core.tables import View
from perfconsole.core.tick import Tick
from perfconsole.engine import actor, scribe
from perfconsole.engine.clock import Clock, Moment
from perfconsole.engine.local import LocalSource
from perfconsole.engine.mailbox import BOUND, Mailbox
from perfconsole.engine.schedule import Job
from perfconsole.engine.serve import serve
from perfconsole.sources.remote import RemoteSource


def test_a_collector_whose_values_do_not_fit_its_series_is_named(scripted, make_engine, follow):
    class Short(type(scripted)):
        async def run(self, target, slot, views):
            result = await super().run(target, slot, views)
            return result._replace(measured=[result.measured[0]._replace(values=[0.5])])

    reader = follow(LocalSource(make_engine(Short())))
    reader.until(lambda: ("scripted", "host") in reader.state.health)
    assert reader.state.health["scripted", "host"].error == "ValueError: 1 values for 2 series"
    seen = reader.state.seq
    reader.until(lambda: reader.state.seq > seen)


def test_a_look_that_fails_takes_no_other_collectors_tables(scripted, make_engine, follow):
    class Broken(type(scripted)):
        name = "broken"

        async def look(self, views):
            raise ZeroDivisionError

    broken = Broken()
    broken.interval_s = scripted.interval_s = 60.0  # only looks bring tables
    source = LocalSource(make_engine(broken, scripted))
    reader = follow(source)
    reader.until(lambda: scripted.runs >= 2)
    source.watch(Watch((View("process"),)))
    reader.until(lambda: any(tick.tables for tick in reader.ticks))


@pytest.mark.parametrize("interval_s", [0.5, 2.0, 60.0, 3600.0])
def test_a_collector_that_never_works_is_tried_for_ever(scripted, interval_s):
    scripted.interval_s = interval_s
    job = Job(scripted, "host", 0.0)
    for failures in range(5000):
        job.failures, boot = failures, job.due
        job.started(boot)
        assert boot < job.due <= boot + max(60.0, interval_s) + interval_s


@pytest.mark.parametrize("interval_s", [0.5, 2.0, 5.0])
@pytest.mark.parametrize("boot", [100.0, 100.26, 101.49, 101.99])
def test_two_runs_are_never_so_close_that_their_rate_means_nothing(scripted, interval_s, boot):
    scripted.interval_s = interval_s
    job = Job(scripted, "host", boot)
    gaps = []
    for _ in range(5):
        begun = job.due
        job.started(begun)
        gaps.append(job.due - begun)
    assert gaps[0] == pytest.approx(0.5)
    assert min(gaps) >= 0.25
    assert gaps[-1] == pytest.approx(interval_s)


class SteppedClock(Clock):
    """A clock that somebody sets by `step_s`, on a machine that slept `asleep_s`."""

    step_s = asleep_s = 0.0

    def now(self):
        moment = super().now()
        return Moment(moment.at, moment.boot + self.asleep_s)

    def follow(self):
        step_s, self.step_s = self.step_s, 0.0
        self._anchor += step_s
        return step_s


def test_values_go_on_when_the_clock_is_set_back(scripted, make_engine, follow):
    clock = SteppedClock()
    reader = follow(LocalSource(make_engine(scripted, clock=clock)))
    reader.until(lambda: reader.state.value("system.cpu.utilization") == 0.1)
    clock.step_s, scripted.value = -3600.0, 0.7
    reader.until(lambda: any(event.kind == "clock" for event in reader.state.events))
    reader.until(lambda: reader.state.value("system.cpu.utilization") == 0.7)
    times, _ = reader.state.find("system.cpu.utilization").points()
    assert max(times) <= reader.state.at


def test_to_have_slept_is_not_to_be_late(scripted, make_engine, follow):
    clock = SteppedClock()
    engine = make_engine(scripted, clock=clock)
    reader = follow(LocalSource(engine))
    reader.until(lambda: reader.state.seq >= 2)
    clock.asleep_s = 3600.0
    seen, late = reader.state.seq, []
    reader.until(lambda: late.append(engine.lateness_s) or reader.state.seq > seen + 2)
    assert max(late) < 600  # of the hour


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [(ZeroDivisionError("x"), "ZeroDivisionError: x"), (PermissionError(1, "no"), "PermissionError: [Errno 1] no")],
)
async def test_what_failed_is_not_written_down_as_done(scripted, make_engine, follow, fault, outcome):
    async def fail(args):
        raise fault

    scripted.operations = (Operation(PROCESS_SIGNAL, fail),)
    written = []
    source = LocalSource(make_engine(scripted, audit=lambda *entry: written.append(entry[3])))
    follow(source)
    with pytest.raises(RequestError, match=r"process\.signal: "):
        await source.request("process.signal", SignalArgs(5, 50, 15))
    assert written[0] == ""
    assert written[1] in {outcome, outcome.partition(": ")[2]}


async def test_what_was_broken_off_is_not_written_down_as_done(scripted, make_engine):
    begun = threading.Event()

    async def hang(args):
        begun.set()
        await asyncio.sleep(3600)

    scripted.operations = (Operation(PROCESS_SIGNAL, hang),)
    written = []
    engine = make_engine(scripted, audit=lambda *entry: written.append(entry[3]))
    running = asyncio.run_coroutine_threadsafe(engine.dispatch("process.signal", SignalArgs(5, 50, 15), peer="p"), engine.loop)
    assert begun.wait(60)
    engine.stop()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wrap_future(running)
    assert written == ["", "not finished"]


class Sluggish:
    """An audit that takes what it is given when it is let: `gate`."""

    def __init__(self):
        self.asked, self.written, self.gate = [], [], threading.Event()

    def __call__(self, peer, op, args, outcome):
        self.asked.append(args.pid)
        assert self.gate.wait(60)
        self.written.append((args.pid, outcome))


async def test_an_audit_file_that_hangs_refuses_actions_and_holds_up_nothing_else(scripted, make_engine, follow, monkeypatch):
    monkeypatch.setattr(scribe, "PATIENCE_S", 0.2)
    audit = Sluggish()
    source = LocalSource(make_engine(scripted, audit=audit))
    reader = follow(source)
    reader.until(lambda: reader.state.stream is not None)
    for pid in (5, 6, 7):
        seen = reader.state.seq
        with pytest.raises(RequestError, match=r"process\.signal is refused.*does not answer"):
            await source.request("process.signal", SignalArgs(pid, 50, 15))
    assert audit.asked == [5], "one thread hangs, and not three"
    reader.until(lambda: reader.state.seq > seen)
    assert (scripted.signalled, audit.written) == ([], [])
    audit.gate.set()
    while len(audit.written) < 2:  # noqa: ASYNC110  it is told to nobody
        await asyncio.sleep(0.005)
    assert audit.written == [(5, ""), (5, "not done")]
    await source.request("process.signal", SignalArgs(8, 50, 15))
    assert audit.written[2:] == [(8, ""), (8, "done")]


async def test_what_is_done_is_told_although_that_cannot_be_written_down_yet(scripted, make_engine, follow, monkeypatch):
    monkeypatch.setattr(scribe, "PATIENCE_S", 0.2)
    audit = Sluggish()
    audit.gate.set()

    async def signal(args):
        audit.gate.clear()
        return Done("sent")

    scripted.operations = (Operation(PROCESS_SIGNAL, signal),)
    source = LocalSource(make_engine(scripted, audit=audit))
    follow(source)
    assert (await source.request("process.signal", SignalArgs(5, 50, 15))).text == "sent"
    assert audit.written == [(5, "")]
    with pytest.raises(RequestError, match="does not answer"):
        await source.request("process.signal", SignalArgs(6, 50, 15))
    audit.gate.set()
    while len(audit.written) < 2:  # noqa: ASYNC110  it is told to nobody
        await asyncio.sleep(0.005)
    assert audit.written == [(5, ""), (5, "done")]


async def test_what_is_broken_off_before_it_was_written_down_is_not_done(scripted, make_engine):
    audit = Sluggish()
    engine = make_engine(scripted, audit=audit)
    running = asyncio.run_coroutine_threadsafe(engine.dispatch("process.signal", SignalArgs(5, 50, 15), peer="p"), engine.loop)
    while not engine._dispatcher._scribe._busy:  # noqa: ASYNC110  it is told to nobody
        await asyncio.sleep(0.005)
    running.cancel()
    while engine._dispatcher._busy:  # noqa: ASYNC110  likewise
        await asyncio.sleep(0.005)
    audit.gate.set()
    while len(audit.written) < 2:  # noqa: ASYNC110  likewise
        await asyncio.sleep(0.005)
    assert (audit.written, scripted.signalled) == ([(5, ""), (5, "not done")], [])


def test_no_wake_comes_after_close():
    waking, closed = threading.Event(), threading.Event()
    after = []

    def wake():
        waking.set()
        after.append(closed.wait(0.3))

    box = Mailbox(lambda: Tick(0, 0.0, 0.0, key=True), wake)
    putting = threading.Thread(target=box.put, args=(Tick(1, 1.0, 1.0),))
    putting.start()
    assert waking.wait(60)
    box.close()
    closed.set()
    putting.join(60)
    assert after == [False], "close returned while a wake was under way"


def test_the_actor_is_who_the_kernel_says(scripted, make_engine, follow, monkeypatch):
    monkeypatch.setenv("LOGNAME", "somebody-else")
    written = []
    source = LocalSource(make_engine(scripted, audit=lambda *entry: written.append(entry[0])))
    follow(source)
    asyncio.run(source.request("process.signal", SignalArgs(5, 50, 15)))
    assert set(written) == {pwd.getpwuid(os.getuid()).pw_name}


def test_an_actor_without_a_name_is_a_number(monkeypatch):
    monkeypatch.setattr(actor.os, "getuid", lambda: 3_999_999_999)
    assert actor.actor() == "uid 3999999999"


class Kept:
    """A sink."""

    wants_keyframe, error, closed = True, "", False

    def __call__(self, tick):
        self.wants_keyframe = False

    def close(self):
        self.closed, self.error = True, "the disk is full"


def test_a_sink_that_comes_too_late_is_closed(scripted, make_engine):
    engine, sink = make_engine(scripted), Kept()
    engine.stop()
    engine.add_sink("kept", sink)
    assert sink.closed


def test_stopping_tells_what_a_sink_could_not_finish(scripted, make_engine, follow):
    engine, sink = make_engine(scripted), Kept()
    engine.add_sink("kept", sink)
    reader = follow(LocalSource(engine))
    reader.until(lambda: ("kept", "host") in reader.state.health)
    assert engine.stop() == ["the disk is full"]


def test_a_remote_reader_that_leaves_with_ticks_undrained_ends_its_thread():
    near, far = socket.socketpair()
    source = RemoteSource(near)
    source.subscribe(lambda: None)
    far.sendall(b"".join(wire.encode(Tick(seq, 1.0, 1.0)) for seq in range(5 * BOUND)))
    end = time.monotonic() + 60
    while len(source._ticks) < BOUND and time.monotonic() < end:
        time.sleep(0.01)
    source.close()
    source._thread.join(60)
    assert not source._thread.is_alive()
    assert source.drain() == []
    far.close()


def test_a_remote_source_of_a_socket_that_is_dead_neither_hangs_nor_raises():
    near, far = socket.socketpair()
    source = RemoteSource(near)
    near.close()
    far.close()
    subscribed = threading.Thread(target=source.subscribe, args=(lambda: None,), daemon=True)
    subscribed.start()
    subscribed.join(60)
    assert not subscribed.is_alive()
    source.watch(Watch())
    source.close()


def test_a_remote_source_that_was_never_opened_gives_its_socket_back():
    near, far = socket.socketpair()
    RemoteSource(near).close()
    far.settimeout(60)
    assert far.recv(1) == b""
    far.close()


def test_a_peer_that_asks_without_end_and_reads_nothing_is_no_longer_listened_to(scripted, make_engine):
    from perfconsole.core import wire

    near, far = socket.socketpair()
    serve(make_engine(scripted), far)
    frame = wire.encode(wire.Request(1, "x" * 1000, wire.pack(SignalArgs(1, 2, 3))))
    near.settimeout(1.0)
    sent = 0
    with suppress(TimeoutError):
        while sent < 64 * 2**20:
            sent += near.send(frame * 50)
    assert sent < 16 * 2**20
    near.close()


def test_a_collector_that_fails_to_end_leaves_no_other_open(scripted, make_engine):
    class Faulty(type(scripted)):
        def close(self):
            raise RuntimeError("gone already")

    closed = threading.Event()
    scripted.close = closed.set
    make_engine(Faulty(), scripted).stop()
    assert closed.wait(60)


class Hung:
    """A store whose disk does not answer."""

    error = ""

    def __init__(self):
        self.closing, self.answers = threading.Event(), threading.Event()

    def put(self, changes, kept=None):
        pass

    def close(self):
        self.closing.set()
        self.answers.wait(20)


def test_to_let_go_of_what_hangs_holds_up_no_tick(scripted, make_engine, follow):
    store = Hung()
    engine = make_engine(scripted)
    reader = follow(LocalSource(engine))
    engine.keep_alerts(store, Saved(), None, None)
    try:
        engine.forget_alerts()
        assert store.closing.wait(60)
        seq = engine.state.seq
        reader.until(lambda: reader.state.seq > seq + 1)
        assert not store.answers.is_set()
    finally:
        store.answers.set()
