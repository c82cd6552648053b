"""What changed in a whole recording: every event of it once, without most of it being read."""

import threading
from math import inf

import pytest

from perfconsole.core.change_requests import EventsArgs
from perfconsole.core.changes import in_order
from perfconsole.core.errors import RecordingError, RequestError
from perfconsole.core.requests import EVENT_LIST, EVENT_MARK
from perfconsole.core.state import EVENTS_HELD
from perfconsole.core.tick import Event
from perfconsole.history.segments import SingleFile
from perfconsole.sources import recorded_events
from perfconsole.sources.recorded_events import RecordedEvents
from perfconsole.sources.replay import ReplaySource
from perfconsole.sources.segments import index, ticks

START = 1.7e9
EVERYTHING = EventsArgs(0.0, inf, 100_000)


@pytest.fixture(scope="module")
def hour(tmp_path_factory, machine):
    path = tmp_path_factory.mktemp("hour") / "hour.pcr"
    machine(START).write(path, 3600)
    return path


@pytest.fixture
def whole(monkeypatch):
    """Which segments were read beyond their keyframe, by where they begin."""
    read = []

    def noted(place):
        for number, tick in enumerate(ticks(place)):
            if number == 1:
                read.append(place.offset)
            yield tick

    monkeypatch.setattr(recorded_events, "ticks", noted)
    return read


def told(path):
    """All events that are in it."""
    return in_order({event: None for place in index(path) for tick in ticks(place) for event in tick.events})


def noisy(machine, path, often, session="first", start=START):
    """Two minutes in segments of 20 s, with so many events every half second."""
    box, store, segment = machine(start, session=session), SingleFile(path), None
    for number, tick in enumerate(box.ticks(120)):
        at = tick.at
        events = [Event(at, at, "unit", "host", f"{session} {number} {one}", "systemd") for one in range(often)]
        box.state.tell((), None, events)
        tick.events.extend(events)
        if number % 40 == 0:
            if segment:
                segment.flush(finish=True)
                store.end(segment)
            segment = store.begin(at)
            segment.add(box.state.keyframe(points=2))
        else:
            segment.add(tick)
    segment.flush(finish=True)
    store.end(segment)
    store.close()


def test_every_event_is_listed_and_next_to_nothing_read(hour, whole):
    places = index(hour)
    events = RecordedEvents(hour)
    found = events.listed(EVERYTHING)
    assert found.events == told(hour)
    assert (len(found.events), found.more, list(events.hosts)) == (72, False, ["box"])
    assert whole == [places[-1].offset]
    assert events.listed(EventsArgs(START + 600, START + 700, 10)).events == [
        one for one in found.events if 600 <= one.time_hi - START <= 701
    ]
    assert whole == [places[-1].offset]


def test_of_more_than_a_keyframe_holds_all_are_found(machine, tmp_path, whole):
    noisy(machine, tmp_path / "a.pcr", often=20)  # 800 a segment
    assert RecordedEvents(tmp_path).listed(EVERYTHING).events == told(tmp_path)
    assert len(told(tmp_path)) > 4 * EVENTS_HELD
    assert len(whole) == len(index(tmp_path))


def test_as_many_as_a_keyframe_holds_are_no_reason_to_read_a_segment(machine, tmp_path, whole):
    noisy(machine, tmp_path / "a.pcr", often=10)  # 400 a segment
    assert RecordedEvents(tmp_path).listed(EVERYTHING).events == told(tmp_path)
    assert len(whole) == 1


def test_what_a_run_told_last_the_next_need_not_know(machine, tmp_path, whole):
    noisy(machine, tmp_path / "a.pcr", often=1)
    noisy(machine, tmp_path / "b.pcr", often=1, session="second", start=START + 500)
    assert RecordedEvents(tmp_path).listed(EVERYTHING).events == told(tmp_path)
    assert len(whole) == 2


def test_damage_loses_what_it_hit_alone(hour, tmp_path):
    data = bytearray(hour.read_bytes())
    third = index(hour)[2]
    data[third.offset + 60 : third.offset + 160] = bytes(100)
    (tmp_path / "damaged.pcr").write_bytes(data)
    assert RecordedEvents(tmp_path / "damaged.pcr").listed(EVERYTHING).events == told(hour)  # the fourth's beginning tells of it


def test_past_the_bound_the_oldest_are_let_go_and_that_is_said(machine, tmp_path, monkeypatch):
    monkeypatch.setattr(recorded_events, "MOST", 300)
    noisy(machine, tmp_path / "a.pcr", often=10)
    events = RecordedEvents(tmp_path)
    found = events.listed(EVERYTHING)
    assert (found.events, found.more) == (told(tmp_path)[-300:], True)
    assert len(events._events) == 300
    assert not events.listed(EventsArgs(found.events[-1].time_hi, inf)).more
    early = events.listed(EventsArgs(START, START + 10))
    assert (early.events, early.more) == ([], True)


def test_what_is_recorded_meanwhile_is_found_and_what_is_gone_is_forgotten(machine, tmp_path):
    machine(START).write(tmp_path / "1.pcr", 300, span_s=100)
    events = RecordedEvents(tmp_path)
    assert len(events.listed(EVERYTHING).events) == 6
    machine(START + 300, session="second").write(tmp_path / "2.pcr", 100)
    (tmp_path / "1.pcr").unlink()
    assert len(events.listed(EVERYTHING).events) == 8
    assert {path.name for path, _ in events._starts} == {"2.pcr"}
    (tmp_path / "2.pcr").unlink()
    with pytest.raises(RecordingError, match="no recording in"):
        events.listed(EVERYTHING)


def test_nobody_waits_any_more(hour, whole):
    assert RecordedEvents(hour).listed(EVERYTHING, lambda: False).events == []
    assert whole == []


async def test_a_replay_tells_what_came_later_than_its_moment(hour, eventually):
    source = ReplaySource(hour)
    found = await source.request(EVENT_LIST.name, EventsArgs(START, START + 3600, 5000))
    assert found.events == told(hour)
    with pytest.raises(RequestError, match=r"event\.mark is not offered in a recording"):
        await source.request(EVENT_MARK.name, EventsArgs(START, START))
    hour.rename(hour.with_name("gone"))
    try:
        with pytest.raises(RequestError, match=r"cannot read .*hour\.pcr: No such file"):
            await source.request(EVENT_LIST.name, EVERYTHING)
    finally:
        hour.with_name("gone").rename(hour)
    eventually(lambda: "replay-events" not in {thread.name for thread in threading.enumerate()})
