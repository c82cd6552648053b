"""What becomes of events in the engine that makes the ticks: each once, bounded, kept, and people's own at once."""

import asyncio
import threading
import time
from math import inf, nan

import pytest
from msgspec.structs import replace

from perfconsole.core.change_requests import NOT_KEPT, EventList, EventsArgs, MarkArgs
from perfconsole.core.errors import RequestError
from perfconsole.core.notices import Saved
from perfconsole.core.requests import EVENT_LIST, EVENT_MARK
from perfconsole.core.state import EVENTS_HELD, State
from perfconsole.core.tick import Event, Group, Reading, Rule, SeriesDef, Tick
from perfconsole.engine.alert_events import GATHERED_S
from perfconsole.engine.alerting import Alerting
from perfconsole.engine.clock import Moment
from perfconsole.engine.flood import CRITICAL_MOST, MINUTE_MOST, TICK_MOST
from perfconsole.engine.timeline import EARLY_S, KEPT_S, Timeline
from perfconsole.history.events import EventFile

WALL = 1.7e9
HOT = Rule("hot", "critical", "httpcheck.up", 0.5, above=False, match=(("endpoint", "*"), ("service", "*")), colour=False)


class Clock:
    """Stands where a test puts it."""

    boot = 0.0

    def now(self):
        return Moment(WALL + self.boot, self.boot)


class Store:
    """Keeps in memory; says that something is kept when a test lets it."""

    def __init__(self, *, answers=True):
        self.put_events, self.error, self.waiting, self.answers = [], "", [], answers

    def put(self, changes, kept=None):
        self.put_events += changes.events
        if kept:
            (kept if self.answers else self.waiting.append)(*[] if self.answers else [kept])

    def close(self):
        pass


class Run:
    """One run of an engine's timeline, beat by beat, with alerts before it."""

    def __init__(self, *rules, boot=10.0, store=None, saved=Saved(), endpoints=1):  # noqa: B008  it is frozen
        self.clock, self.state, self.seq, self.hurried = Clock(), State(), 0, 0
        self.alerting = Alerting(rules, "b1", self.clock)
        self.timeline = Timeline(self.clock, lambda: self.state, self.hurry)
        self.series = tuple(SeriesDef("httpcheck.up", (("endpoint", f"e{n}"), ("service", "web"))) for n in range(endpoints))
        self.fold = State()
        self.tick(boot, key=True, groups=[Group(1, "c", "host", 10.0, self.series)])
        if store:
            self.keep(store, saved)

    def keep(self, store, saved=Saved()):  # noqa: B008  it is frozen
        self.alerting.keep(store, saved, None, None)
        self.timeline.keep(store, saved, None)

    def hurry(self):
        self.hurried += 1

    def tick(self, boot, *events, ups=None, **parts):
        self.seq, self.clock.boot = self.seq + 1, boot
        readings = [] if ups is None else [Reading(1, WALL + boot, ups)]
        tick = Tick(self.seq, WALL + boot, boot, events=list(events), readings=readings, **parts)
        self.state.apply(replace(tick, events=[]))
        tick = self.timeline.step(self.alerting.step(tick, self.state), self.alerting.transitions, self.state)
        self.fold.apply(tick)
        assert list(self.fold.events) == list(self.state.events)  # whoever reads the ticks knows the same
        return tick.events

    def texts(self, *args, **parts):
        return [event.text for event in self.tick(*args, **parts)]

    async def mark(self, text="deploy", **more):
        return (await self.timeline.operations[0].run(MarkArgs(text, **more))).text


def event(boot, text="nginx.service started", kind="unit", source="systemd", **more):
    lo = more.pop("lo", boot)
    return Event(WALL + lo, WALL + boot, kind, more.pop("scope", "nginx.service"), text, source, more.pop("severity", ""))


# Each once --------------------------------------------------------------------------------------------------------------------------


def test_what_is_told_again_is_dropped():
    run = Run()
    one = event(11)
    assert run.tick(11.5, one, one) == [one]
    assert run.tick(12.0, one, event(12.9, lo=12)) == []  # a stamp made anew, off by less than 2 s
    again = event(14)
    assert run.tick(14.5, again) == [again]
    others = [event(14, source="kernel log"), event(14, kind="timer"), event(14, scope="x"), event(14, "nginx.service stopped")]
    assert run.tick(15.0, *others) == others
    assert run.tick(15.5, event(14, lo=11.5)) == [event(14, lo=11.5)]  # an interval that begins elsewhere is another


def test_what_an_earlier_run_knew_comes_first_and_nothing_twice():
    known = [event(2), event(5, "b.service failed")]
    store = Store()
    run = Run(store=store, saved=Saved(events=known))
    told = run.tick(11.0, event(5.5, "b.service failed"), event(10, "c.service started"))
    assert told == [*known, event(10, "c.service started")]
    assert run.tick(11.5, *known) == []
    run.tick(11.0 + KEPT_S)
    assert store.put_events == [event(10, "c.service started")]


def test_what_is_learnt_late_stands_where_it_belongs():
    run = Run()
    run.tick(100.0, event(99))
    late = [event(20 + n, "later") for n in range(0, 40, 3)]
    run.tick(101.0, *late)
    assert list(run.state.events) == [*late, event(99)]
    keyframe = State()
    keyframe.apply(run.state.keyframe())
    assert list(keyframe.events) == list(run.state.events)


def test_a_state_holds_the_newest_however_they_are_batched():
    events = [event(n * 3 % 997, f"e{n}") for n in range(EVENTS_HELD + 200)]
    one, many = State(), State()
    one.apply(Tick(1, WALL, 0.0, events=events))
    for n in range(0, len(events), 7):
        many.apply(Tick(n, WALL, 0.0, events=events[n : n + 7]))
    assert list(one.events) == list(many.events)
    assert len(one.events) == EVENTS_HELD


@pytest.mark.parametrize(
    ("lo", "hi", "expected"), [(5.0, 99.0, (5.0, 11.5)), (nan, 11.0, (11.0, 11.0)), (11.2, 11.0, (11.0, 11.0)), (-inf, inf, (11.5, 11.5))]
)
def test_times_that_make_no_sense_are_made_to(lo, hi, expected):
    (told,) = Run().tick(11.5, event(hi, lo=lo))
    assert (told.time_lo - WALL, told.time_hi - WALL) == expected


# A flood ----------------------------------------------------------------------------------------------------------------------------


def test_a_flood_in_one_tick_is_summed_the_graver_first():
    run = Run()
    events = [event(11, f"login {n} failed", "login", "sshd", scope="host") for n in range(479)]
    grave = event(11, "login of root after 50 failures", "login", "sshd", scope="host", severity="critical")
    told = run.tick(11.5, *events, grave)
    assert len(told) == TICK_MOST + 1
    assert told[0] == grave
    assert told[-1] == event(11, f"and {480 - TICK_MOST} more: {480 - TICK_MOST} login", "login", "sshd", scope="host")


def test_one_source_is_bounded_by_the_minute_and_others_are_heard():
    run = Run(boot=60.0)
    told = [one for n in range(100) for one in run.tick(60.5 + n / 2, *(event(60.5 + n / 2, f"{n} {k}") for k in range(20)))]
    assert sum("more" not in one.text for one in told) == MINUTE_MOST
    assert sum("more" in one.text for one in told) == 1
    assert run.texts(111.0, event(111, source="kernel log")) == ["nginx.service started"]
    critical = run.tick(112.0, *(event(112, f"{n}", severity="critical") for n in range(60)))
    assert len(critical) == CRITICAL_MOST
    (rest,) = run.tick(120.0)
    assert rest.text == f"and {2000 - MINUTE_MOST - 20 + 10} more: {2000 - MINUTE_MOST - 20 + 10} unit"
    assert (rest.severity, rest.time_lo < rest.time_hi) == ("critical", True)
    assert run.texts(121.0, event(121, "x")) == ["x"]


def test_a_hundred_thousand_in_one_tick_hold_up_nobody():
    run = Run()
    events = [event(11, f"line {n}") for n in range(100_000)]
    began = time.process_time()
    assert len(run.tick(11.5, *events)) == TICK_MOST + 1
    assert time.process_time() - began < 15  # 0.4 s; where each is looked for among all, hours


# Alerts -----------------------------------------------------------------------------------------------------------------------------


def test_an_alert_that_fires_and_ends_is_an_event_and_a_threshold_is_none():
    run = Run(HOT, replace(HOT, name="colour", colour=True), replace(HOT, name="slow", for_s=60.0))
    run.tick(20.0)
    (fired,) = run.tick(21.0, ups=[0.0])
    assert fired == Event(WALL + 21, WALL + 21, "alert", "e0", "hot fired: e0 is down", "alerts", "critical")
    (over,) = run.tick(22.0, ups=[1.0])
    assert over == Event(WALL + 22, WALL + 22, "alert", "e0", "hot resolved: e0 is up again", "alerts")


def test_an_alert_that_notifies_nobody_says_why():
    run = Run(HOT, replace(HOT, name="warm", severity="warning"))
    run.tick(20.0)
    told = run.tick(21.0, ups=[0.0])
    assert [one.text for one in told] == ["hot fired: e0 is down", "warm fired: e0 is down (inhibited by hot)"]


def test_a_storm_is_one_event_a_rule():
    run = Run(HOT, endpoints=500)
    run.tick(20.0)
    (told,) = run.tick(21.0, ups=[0.0] * 500)
    assert (told.text, told.severity, told.scope) == ("hot: 500 alerts fired (e0, e1, ... and 498 more)", "critical", "host")
    (over,) = run.tick(60.0, ups=[1.0] * 500)
    assert over.text == "hot: 500 alerts resolved (e0, e1, ... and 498 more)"


def test_a_storm_that_takes_its_time_is_a_few_events():
    run = Run(HOT, endpoints=500)
    run.tick(20.0)
    told = []
    for n in range(0, 500, 20):
        told += run.texts(21.0 + n / 40, ups=[0.0 if k < n else 1.0 for k in range(500)])
    told += run.texts(22.0 + GATHERED_S * 2)
    assert told[0] == "hot: 20 alerts fired (e0, e1, ... and 18 more)"
    assert 2 <= len(told) <= 3
    assert sum(int(text.split()[1]) for text in told) == 480


def test_what_seems_to_begin_at_a_start_is_told_when_that_is_known():
    before = Run(HOT)
    before.tick(10.5, ups=[0.0])
    # Kept by the last run: it goes on, and nothing is news.
    run = Run(HOT, boot=20.0)
    assert run.tick(20.5, ups=[0.0]) == []
    run.keep(Store(), Saved(before.alerting._standings()))
    assert run.tick(21.0) == []
    assert run.state.alerts["hot{endpoint=e0,service=web}"].since == WALL + 10.5
    # Nobody keeps anything here: it is told once that is clear.
    run = Run(HOT)
    assert run.tick(10.5, ups=[0.0]) == []
    assert run.texts(10.0 + EARLY_S) == ["hot fired: e0 is down"]
    # And where nothing was kept of it, as soon as that is known.
    run = Run(HOT)
    run.tick(10.5, ups=[0.0])
    run.keep(Store())
    assert run.texts(11.0) == ["hot fired: e0 is down"]


# Marks ------------------------------------------------------------------------------------------------------------------------------


async def test_a_mark_is_in_the_next_tick_and_kept_before_it_is_said():
    store = Store(answers=False)
    run = Run(store=store)
    marking = asyncio.create_task(run.mark("deploy \x1b[31m1.4.2", by="anna"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    mark = Event(WALL + 10, WALL + 10, "mark", "host", "deploy ␛[31m1.4.2", "anna")
    assert run.hurried == 1
    assert run.tick(10.5) == [mark]
    assert run.tick(11.0) == []
    assert store.put_events == [mark]
    assert not marking.done()
    store.waiting[0]()
    assert await marking == "mark: deploy ␛[31m1.4.2"


async def test_a_mark_that_cannot_be_kept_is_shown_and_no_success():
    store = Store()
    run = Run(store=store)
    store.error = "alerts and events are kept in memory only: the disk is full"
    with pytest.raises(RequestError, match="shown, but could not be kept yet"):
        await run.mark()
    assert run.texts(10.5) == ["deploy"]


async def test_without_a_store_a_mark_is_of_this_console_alone():
    run = Run()
    run.clock.boot = 100.0
    assert await run.mark("x", kind="note") == f"note: x; {NOT_KEPT}"
    assert [one.kind for one in run.tick(100.5)] == ["note"]


async def test_a_mark_waits_for_a_store_that_is_about_to_be_there():
    run = Run()
    marking = asyncio.create_task(run.mark())
    await asyncio.sleep(0.01)
    assert run.texts(10.5) == ["deploy"]
    store = Store()
    run.keep(store)
    assert await marking == "mark: deploy"
    run.tick(11.0)
    run.tick(11.0 + KEPT_S)
    assert {one.text for one in store.put_events} == {"deploy"}


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (MarkArgs("x", kind="alert"), "alert is no mark: mark or note"),
        (MarkArgs(" ", kind="note"), "a note needs words"),
        (MarkArgs("x", at=WALL + 75), "has yet to happen"),
        (MarkArgs("x", at=inf), "has yet to happen"),
        (MarkArgs("x", at=WALL - 31 * 86400), "too long ago: events are kept for 30d"),
    ],
)
async def test_a_mark_that_makes_no_sense_is_refused(args, why):
    run = Run(store=Store())
    with pytest.raises(RequestError) as refused:
        await run.timeline.operations[0].run(args)
    assert why in str(refused.value)
    assert run.tick(10.5) == []


async def test_a_mark_is_bounded_has_a_name_and_is_never_ahead():
    run = Run(store=Store())
    await run.mark("x" * 3000, at=WALL + 60)
    await run.mark("")
    long, plain = run.tick(10.5)
    assert (len(long.text), long.time_hi, long.source) == (500, WALL + 10, "somebody")
    assert plain.text == "mark"
    for n in range(198):
        await run.mark(f"{n}")
    with pytest.raises(RequestError, match="more than 200 marks within a minute"):
        await run.mark("one too many")
    assert len(run.tick(11.0)) == 198  # none of those that were taken is summed away


async def test_what_is_held_is_listed_where_nothing_is_kept():
    run = Run()
    events = [event(11 + 3 * n, f"{n}", lo=10 + 3 * n) for n in range(20)]
    run.tick(100.0, *events, event(90, "m", kind="mark"))
    ask = run.timeline.operations[1].run
    assert await ask(EventsArgs(WALL + 20, WALL + 40)) == EventList(events[3:11])
    assert await ask(EventsArgs(0.0, inf, 3)) == EventList([*events[-2:], event(90, "m", kind="mark")], more=True)
    assert await ask(EventsArgs(0.0, inf, 3, ("mark",))) == EventList([event(90, "m", kind="mark")])
    assert await ask(EventsArgs(0.0, inf, 0)) == EventList([], more=True)
    with pytest.raises(RequestError):
        await ask(EventsArgs(nan, inf))


# In an engine -----------------------------------------------------------------------------------------------------------------------


async def test_what_stands_on_the_timeline_is_listed_whatever_the_file_says():
    """A database that cannot be read for now gives nothing; one that can gives more than a state holds."""
    run, found = Run(), []

    async def listing(_):
        return EventList(list(found))

    run.timeline.keep(Store(), Saved(), listing)
    run.tick(12.5, event(11), event(12, "ssh.service started"))
    wanted = EventsArgs(0.0, inf)
    assert len((await run.timeline._list(wanted)).events) == 2
    found[:] = run.state.events
    assert len((await run.timeline._list(wanted)).events) == 2
    found[:] = [event(n, f"e{n}") for n in range(5)]
    assert [one.text for one in (await run.timeline._list(wanted)).events] == ["e0", "e1", "e2", "e3", "e4"]
    assert (await run.timeline._list(EventsArgs(0.0, inf, kinds=("mark",)))).more is False


async def test_a_question_that_no_database_can_take_is_refused():
    """SQLite's refusal of so many kinds looks like damage, and what is damaged is put aside."""
    run = Run()
    with pytest.raises(RequestError, match="events of 40000 kinds"):
        await run.timeline._list(EventsArgs(0.0, inf, kinds=tuple(map(str, range(40_000)))))


async def test_near_and_far_a_mark_is_made_by_who_asks_seen_by_all_and_written_down(scripted, make_engine, connect, follow):
    written = []
    engine = make_engine(scripted, audit=lambda *entry: written.append(entry))
    maker, other = connect(engine), connect(engine)
    follow(maker)
    reader = follow(other)
    engine.keep_alerts(Store(), Saved(), None, None)
    reader.until(lambda: reader.state.seq > 0)
    done = await asyncio.gather(*(maker.request(EVENT_MARK.name, MarkArgs(f"deploy {n}")) for n in range(3)))  # nobody waits for another
    assert [one.text for one in done] == [f"mark: deploy {n}" for n in range(3)]
    reader.until(lambda: len(reader.state.events) == 3)
    peer = written[0][0]
    assert {one.source for one in reader.state.events} == {peer} != {""}
    assert [entry[1] for entry in written] == ["event.mark"] * 6
    listed = await other.request(EVENT_LIST.name, EventsArgs(0.0, inf))
    assert sorted(one.text for one in listed.events) == ["deploy 0", "deploy 1", "deploy 2"]


async def test_a_mark_is_refused_where_nothing_may_be_changed(scripted, make_engine, connect, follow):
    source = connect(make_engine(scripted, read_only=True, audit=lambda *_: None))
    follow(source)
    with pytest.raises(RequestError, match="read-only"):
        await source.request(EVENT_MARK.name, MarkArgs("x"))


def test_what_an_engine_told_is_known_to_the_next(scripted, make_engine, connect, follow, tmp_path):
    """Through the file: told, kept, known at the next start, and not told anew."""
    now = time.time()
    line = Event(now - 50, now - 50, "kernel", "host", "sda: I/O error", "kernel log", "critical")

    def run(mark):
        store = EventFile(tmp_path)
        engine = make_engine(scripted, audit=lambda *_: None)
        reader = follow(connect(engine))
        reader.until(lambda: reader.state.seq > 0)
        asyncio.run_coroutine_threadsafe(note(engine), engine.loop).result(60)
        reader.until(lambda: reader.state.events)
        engine.keep_alerts(store, store.load(), None, None)
        asyncio.run_coroutine_threadsafe(note(engine), engine.loop).result(60)
        asyncio.run(reader.source.request(EVENT_MARK.name, MarkArgs(mark)))
        reader.until(lambda: any(one.text == mark for one in reader.state.events))
        engine.stop()
        return [one.text for one in reader.state.events]

    async def note(engine):
        engine._intake.note(line)

    assert run("m1") == ["sda: I/O error", "m1"]
    assert run("m2") == ["sda: I/O error", "m1", "m2"]
    store = EventFile(tmp_path)
    assert [one.text for one in store.load().events] == ["sda: I/O error", "m1", "m2"]
    store.close()


def test_events_are_kept_soon_and_at_the_end(scripted, make_engine):
    engine = make_engine(scripted)
    store, kept = Store(), threading.Event()
    engine.keep_alerts(store, Saved(), None, None)
    engine.loop.call_soon_threadsafe(lambda: (engine._intake.note(event(1)), kept.set()))
    assert kept.wait(60)
    patience = time.monotonic() + 60
    while not engine.state.events:
        assert time.monotonic() < patience
        time.sleep(0.01)
    engine.stop()
    assert [one.text for one in store.put_events] == ["nginx.service started"]
