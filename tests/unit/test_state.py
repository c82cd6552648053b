"""Whoever applied the same ticks, in whatever pieces, by whatever way they came, has the same state."""

from itertools import pairwise
from math import isnan, nan

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from perfconsole.core import segment, wire
from perfconsole.core.state import EVENTS_HELD, State
from perfconsole.core.tables import ProcessRow, ProcessTable
from perfconsole.core.tick import Alert, Event, Group, Health, Reading, SeriesDef, Stream, Tick, merge

PLACES = (("system", "host"), ("http", "shop"), ("http", "blog"))
NAMES = ("system.cpu.utilization", "system.disk.io", "system.load.1m")
STREAM = Stream("box", "session", "boot", "0")
VALUES = st.floats(allow_infinity=False) | st.just(nan) | st.integers(0, 100).map(float)


class Teller:
    """Tells ticks as an engine would: readings only of groups that stand, every other set of series under a new id."""

    def __init__(self, draw):
        self.draw = draw
        self.standing = {}
        self.ids = 0
        self.at = 1_000_000.0
        self.seq = 0

    def tick(self):
        self.at += self.draw(st.sampled_from((0.5, 2.0, 30.0, 900.0, 2000.0)))
        self.seq += 1
        parts = {"groups": [], "readings": [], "tables": [], "alerts": [], "events": [], "health": []}
        for act in self.draw(st.lists(st.sampled_from((self.group, self.end, self.read, self.other)), max_size=6)):
            act(parts)
        return Tick(self.seq, self.at, self.at - 999_000, **parts)

    def group(self, parts):
        place = self.draw(st.sampled_from(PLACES))
        names = self.draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
        self.ids += 1
        group = Group(self.ids, *place, self.draw(st.sampled_from((2.0, 10.0))), tuple(SeriesDef(name) for name in names))
        self.standing[place] = group
        parts["groups"].append(group)

    def end(self, parts):
        place = self.draw(st.sampled_from(PLACES))
        if self.standing.pop(place, None):
            self.ids += 1
            parts["groups"].append(Group(self.ids, *place, 2.0, ()))

    def read(self, parts):
        for group in self.standing.values():
            values = self.draw(st.lists(VALUES, min_size=len(group.series), max_size=len(group.series)))
            at = self.at - self.draw(st.sampled_from((0.0, 0.1, 5.0)))
            parts["readings"].append(Reading(group.id, at, values))

    def other(self, parts):
        kind = self.draw(st.sampled_from(("tables", "alerts", "events", "health")))
        parts[kind].append(getattr(self, kind)())

    def tables(self):
        cpu = self.draw(VALUES)
        rows = [ProcessRow(pid, pid, 1, "name", "root", "S", cpu, 1.0, 2.0, 1, 0, 3.0) for pid in range(self.draw(st.integers(0, 3)))]
        return ProcessTable(self.draw(st.sampled_from(("host", "other"))), self.at, len(rows), rows)

    def alerts(self):
        name, state = self.draw(st.sampled_from("abc")), self.draw(st.sampled_from(("pending", "firing", "inactive")))
        return Alert(name, name, NAMES[0], (), "warning", state, "inactive", self.at, self.at, self.draw(VALUES), 0.9)

    def events(self):
        return Event(self.at - 1, self.at, "mark", "host", f"event {self.seq}", "engine")

    def health(self):
        return Health(*self.draw(st.sampled_from(PLACES)), "error", self.at, self.at - 2)


@st.composite
def streams(draw):
    """Ticks of one engine, from its first keyframe on."""
    teller = Teller(draw)
    first = Tick(0, teller.at, 1.0, key=True, stream=STREAM)
    return [first, *(teller.tick() for _ in range(draw(st.integers(1, 12))))]


def fold(ticks):
    state = State()
    for tick in ticks:
        state.apply(tick)
    return state


def told(state):
    """Everything a state knows, as bytes: NaN equals NaN."""
    return msgspec.msgpack.encode(state.keyframe())


def pieces(items, cuts):
    edges = sorted({0, len(items), *(cut % len(items) for cut in cuts)})
    return [items[a:b] for a, b in pairwise(edges)]


CUTS = st.lists(st.integers(0, 10_000), max_size=6)


@given(streams(), CUTS)
def test_any_merging_ends_in_the_same_state(ticks, cuts):
    assert told(fold(merge(part) for part in pieces(ticks, cuts))) == told(fold(ticks))


@given(streams(), st.data())
def test_joining_in_the_middle_ends_in_the_same_state(ticks, data):
    joined = data.draw(st.integers(1, len(ticks)))
    assert told(fold([fold(ticks[:joined]).keyframe(), *ticks[joined:]])) == told(fold(ticks))


@given(streams(), st.data())
def test_an_overflow_ends_in_the_same_state(ticks, data):
    lost = data.draw(st.integers(1, len(ticks)))
    kept = data.draw(st.integers(0, lost))
    assert told(fold([*ticks[:kept], fold(ticks[:lost]).keyframe(), *ticks[lost:]])) == told(fold(ticks))


@given(streams(), st.data(), CUTS)
def test_keyframes_anywhere_merged_with_what_follows(ticks, data, cuts):
    at = data.draw(st.sets(st.integers(1, len(ticks))))
    mixed = [fold(ticks[:i]).keyframe() if i in at else ticks[i - 1] for i in range(1, len(ticks) + 1)]
    assert told(fold(merge(part) for part in pieces(mixed, cuts))) == told(fold(ticks))


@given(streams(), CUTS)
def test_through_the_wire_in_any_pieces(ticks, cuts):
    data = b"".join(wire.encode(tick) for tick in ticks)
    splitter = wire.Splitter()
    assert told(fold(tick for part in pieces(data, cuts) for tick in splitter.feed(part))) == told(fold(ticks))


@given(streams(), CUTS)
def test_through_a_segment_in_any_pieces(ticks, cuts):
    writer, reader = segment.Writer(), segment.Reader()
    data = b"".join(writer.add(tick) + writer.flush() for tick in ticks) + writer.finish()
    assert told(fold(tick for part in pieces(data, cuts) for tick in reader.feed(part))) == told(fold(ticks))


@given(streams(), st.sets(st.integers(1, 12)))
def test_a_keyframe_that_resumes_loses_no_sample(ticks, begun_anew):
    """As a recording does it: now and then a keyframe with the newest samples stands in for a tick."""
    state = fold(ticks[:1])
    for i in range(1, len(ticks)):
        places = [(group.collector, group.target) for group in ticks[i].groups]
        if i in begun_anew and len(places) == len(set(places)):  # what came and went within one tick, a keyframe cannot tell
            state.resume(fold(ticks[: i + 1]).keyframe(points=6))  # as many as one of these ticks may hold
        else:
            state.apply(ticks[i])
    assert told(state) == told(fold(ticks))


@given(streams())
def test_no_shown_rate_is_negative(ticks):
    for series in fold(ticks).all_series():
        if series.counter:
            assert all(isnan(rate) or rate >= 0 for rate in series.points()[1])
            assert isnan(series.shown) or series.shown >= 0


def test_a_merged_tick_keeps_the_readings_of_a_group_that_was_replaced():
    one, two = SeriesDef("one"), SeriesDef("two")
    ticks = [
        Tick(1, 10.0, 10.0, groups=[Group(1, "c", "host", 2.0, (one, two))], readings=[Reading(1, 10.0, [1.0, 2.0])]),
        Tick(2, 12.0, 12.0, groups=[Group(2, "c", "host", 2.0, (two,))], readings=[Reading(2, 12.0, [3.0])]),
    ]
    found = fold([merge(ticks)]).find("two")
    assert found is not None
    assert [list(part) for part in found.points()] == [[10.0, 12.0], [2.0, 3.0]]


def test_health_ends_with_its_group_when_merged_too():
    group = Group(1, "http", "shop", 2.0, (SeriesDef("one"),))
    ticks = [
        Tick(1, 1.0, 1.0, groups=[group], health=[Health("http", "shop", "ok", 1.0, 1.0)]),
        Tick(2, 2.0, 2.0, groups=[Group(2, "http", "shop", 2.0, ())]),
    ]
    assert fold([merge(ticks)]).health == fold(ticks).health == {}


def test_readings_of_an_unknown_group_are_dropped():
    assert list(fold([Tick(1, 1.0, 1.0, readings=[Reading(7, 1.0, [1.0])])]).all_series()) == []


def test_events_are_bounded():
    events = [Event(i, i, "mark", "host", str(i), "engine") for i in range(EVENTS_HELD + 10)]
    held = fold([Tick(1, 1.0, 1.0, events=events)]).events
    assert (len(held), held[0].text) == (EVENTS_HELD, "10")


def test_finding_series_by_labels_whatever_their_order():
    group = Group(1, "system", "host", 2.0, (SeriesDef("system.disk.io", (("device", "sda"), ("direction", "read"))),))
    state = fold([Tick(1, 10.0, 10.0, groups=[group], readings=[Reading(1, 10.0, [100.0]), Reading(1, 12.0, [300.0])])])
    assert state.value("system.disk.io", direction="read", device="sda") == 100.0  # a counter: 200 bytes in 2 s
    assert isnan(state.value("system.disk.io", device="sda"))
    assert [series.labels["device"] for series in state.every("system.disk.io")] == ["sda"]


def test_age_counts_from_the_last_success():
    group = Group(1, "http", "shop", 10.0, (SeriesDef("one"),))
    state = fold([Tick(1, 100.0, 1.0, groups=[group], health=[Health("http", "shop", "error", 100.0, 60.0)])])
    assert state.age_s("http", "shop") == 40.0
    assert isnan(state.age_s("http", "nobody"))
    state.apply(Tick(2, 101.0, 2.0, health=[Health("http", "new", "error", 101.0, 0.0)]))
    assert isnan(state.age_s("http", "new"))


def test_what_is_silent_for_three_of_its_own_intervals_is_stale():
    groups = [Group(1, "system", "host", 2.0, (SeriesDef("one"),)), Group(2, "filesystems", "host", 10.0, (SeriesDef("two"),))]
    health = [Health(group.collector, "host", "ok", 100.0, 100.0) for group in groups]
    state = fold([Tick(1, 100.0, 1.0, groups=groups, health=health, readings=[Reading(1, 100.0, [1.0]), Reading(2, 100.0, [1.0])])])

    def stale(at):
        state.apply(Tick(2, at, 2.0))
        rings = [state.find(name).ring for name in ("one", "two")]
        known = [state.stale(group.collector) for group in groups]
        assert [ring.stale(state.at) for ring in rings] == known
        return known

    assert stale(106.0) == [False, False]
    assert stale(106.1) == [True, False]
    assert stale(130.1) == [True, True]
    state.apply(Tick(3, 131.0, 3.0, health=[Health("http", "new", "error", 131.0, 0.0)]))
    assert not state.stale("http", "new"), "it never was otherwise"
    assert not state.stale("nobody")
