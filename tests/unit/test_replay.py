"""Replay: any moment of a recording is what a state was then, and it cannot be acted upon."""

import os
import random
import threading
from itertools import pairwise
from math import isnan

import pytest

from perfconsole.core.errors import RecordingError, RequestError
from perfconsole.core.ports import Watch
from perfconsole.core.requests import EVENT_LIST, ProcessId
from perfconsole.core.series import HELD_S
from perfconsole.core.state import State
from perfconsole.history.segments import Ring, SingleFile
from perfconsole.sources.playback import Playback
from perfconsole.sources.replay import BOUND, FRAME_S, Player, ReplaySource
from perfconsole.sources.segments import index, ticks

START = 1.7e9
HOUR = 3600


@pytest.fixture(scope="module")
def hour(tmp_path_factory, machine):
    """An hour of recording, in segments of ten minutes."""
    path = tmp_path_factory.mktemp("hour") / "hour.pcr"
    box = machine(START)
    first = box.state.keyframe()
    return path, [first, *box.write(path, HOUR)]


def fold(ticks, until=float("inf")):
    state = State()
    for tick in ticks:
        if tick.at <= until:
            state.apply(tick)
    return state


def fed(state, ticks):
    for tick in ticks:
        state.apply(tick)
    return state


@pytest.mark.parametrize("after_s", [0.5, 1.0, 100, 599.5, 600.5, 1201, 1799, 2000, 3599, 3600])
def test_a_moment_is_what_the_state_was_then(hour, told, after_s):
    path, ticks = hour
    assert told(fed(State(), Playback(path).seek(START + after_s))) == told(fold(ticks, START + after_s))


def test_the_half_hour_before_is_there_and_no_more(hour):
    playback = Playback(hour[0])
    playback.seek(START + 3000)
    times = next(playback.state.all_series()).ring.points(0)[0]
    assert times[-1] - times[0] == pytest.approx(HELD_S, abs=2)


def test_before_the_first_is_the_first_and_after_the_last_is_the_last(hour):
    playback = Playback(hour[0])
    first, last = playback.recorded
    assert playback.seek(0.0)[0].at == first == START + 0.5
    assert playback.seek(9e9)[0].at == playback.seek(None)[0].at == last == START + HOUR


def test_going_anywhere_in_any_order(hour, told):
    path, ticks = hour
    playback, reader = Playback(path), State()
    order = random.Random(7)
    at = START + 1800
    for _ in range(25):
        at = min(max(START + 1, at + order.choice((-2, 2, 2, 30, -400, 119, 900, 0.5))), START + HOUR)
        fed(reader, playback.seek(at))
        assert told(reader) == told(playback.state)
        assert told(reader) == told(fold(ticks, at))


def test_it_is_the_past_and_can_be_asked_for_events_alone(hour):
    playback = Playback(hour[0])
    (key,) = playback.seek(START + 50)
    assert (key.key, key.past) == (True, True)
    assert (key.stream.ops, key.stream.read_only, key.stream.recorder, key.stream.host) == ({EVENT_LIST.name}, True, "", "box")
    assert key.stream.recorded == (START + 0.5, START + HOUR)
    (later,) = playback.seek(START + 52)
    assert (later.key, later.past) == (False, True)


def test_what_was_not_recorded_is_seen_to_be_old(tmp_path, machine, told):
    ring = Ring(tmp_path, 1e6, 10**9)
    boxes = [machine(START), machine(START + 400, session="second")]
    for box in boxes:
        segment = ring.begin(box.start)
        segment.add(box.state.keyframe())
        for tick in box.ticks(60):
            segment.add(tick)
        segment.flush(finish=True)
        ring.end(segment)
    ring.close()
    playback = Playback(tmp_path)
    reader = fed(State(), playback.seek(START + 200))
    assert reader.at == START + 200
    assert reader.age_s("system") > 100
    fed(reader, playback.seek(START + 430))
    assert (reader.at, reader.stream.session) == (START + 430, "second")
    assert told(reader) == told(fed(State(), Playback(tmp_path).seek(START + 430)))
    counter = reader.find("system.disk.io")
    times, rates = counter.points()
    gap = next(i for i, at in enumerate(times) if at > START + 60)
    assert gap > 20  # what was known before the gap is still drawn
    assert times[gap] == START + 400  # nothing of it is known when the second run begins
    assert isnan(counter.points()[1][gap])
    assert [isnan(rate) for rate in rates[gap - 1 : gap + 3]] == [False, True, True, False]


def test_another_host_begins_afresh(tmp_path, machine):
    ring = Ring(tmp_path, 1e6, 10**9)
    for start, host in ((START, "one"), (START + 100, "two")):
        box = machine(start, host=host)
        segment = ring.begin(start)
        segment.add(box.state.keyframe())
        for tick in box.ticks(20):
            segment.add(tick)
        segment.flush(finish=True)
        ring.end(segment)
    ring.close()
    playback = Playback(tmp_path)
    playback.seek(None)
    assert playback.state.stream.host == "two"
    assert next(playback.state.all_series()).ring.points(0)[0][0] > START + 100


# What is not a recording, and what is left of one ------------------------------------------------------------------------------------


def test_what_is_not_a_recording_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("buy milk\n" * 20)
    (tmp_path / "empty.pcr").touch()
    with pytest.raises(RecordingError, match=r"notes\.txt: not a recording: expected a \.pcr file or a directory"):
        Playback(tmp_path / "notes.txt")
    with pytest.raises(RecordingError, match=r"empty\.pcr: not a recording"):
        Playback(tmp_path)
    with pytest.raises(RecordingError, match=r"cannot read .*nowhere: No such file"):
        Playback(tmp_path / "nowhere")
    (tmp_path / "dir").mkdir()
    with pytest.raises(RecordingError, match=r"no recording in .*dir: expected \.pcr files"):
        Playback(tmp_path / "dir")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RecordingError, match="pipe is neither a file nor a directory"):
        Playback(tmp_path / "pipe")


def test_a_recording_cut_anywhere_plays_as_far_as_it_goes(tmp_path, machine, told):
    box = machine(START)
    whole = tmp_path / "whole.pcr"
    ticks = [box.state.keyframe(), *box.write(whole, 60, span_s=20)]
    data = whole.read_bytes()
    cut = tmp_path / "cut.pcr"
    reached = []
    for size in range(0, len(data), 37):
        cut.write_bytes(data[:size])
        try:
            playback = Playback(cut)
        except RecordingError:
            continue
        playback.seek(None)
        assert told(playback.state) == told(fold(ticks, playback.state.at))
        reached.append(playback.state.at)
    assert reached == sorted(reached)
    assert reached[-1] > START + 55
    assert len(set(reached)) >= 3


def test_damage_anywhere_raises_nothing_but_a_recording_error(tmp_path, machine):
    box = machine(START)
    whole = tmp_path / "whole.pcr"
    box.write(whole, 30, span_s=10)
    data = whole.read_bytes()
    chance = random.Random(3)
    played = 0
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(data))] = chance.randrange(256)
        (tmp_path / "damaged.pcr").write_bytes(damaged)
        try:
            playback = Playback(tmp_path / "damaged.pcr")
        except RecordingError:
            continue
        playback.seek(None)
        playback.seek(START + 15)
        played += 1
    assert played > 50


def test_a_damaged_segment_loses_itself_alone(hour, tmp_path):
    data = bytearray(hour[0].read_bytes())
    third = Playback(hour[0])._places[2]
    data[third.offset + 500 : third.offset + 600] = bytes(100)
    (tmp_path / "damaged.pcr").write_bytes(data)
    playback = Playback(tmp_path / "damaged.pcr")
    playback.seek(None)
    assert playback.state.at == START + HOUR
    times = list(next(playback.state.all_series()).ring.points(0)[0])
    assert max(b - a for a, b in pairwise(times)) < 610


def test_a_segment_that_could_not_be_finished_loses_nothing_to_the_one_behind_it(tmp_path, machine):
    box = machine(START)
    store = SingleFile(tmp_path / "two.pcr")
    for _ in range(2):
        segment = store.begin(box.state.at)
        segment.add(box.state.keyframe())
        for tick in box.ticks(60):
            segment.add(tick)
        segment.flush()  # and then the disk was full: there is no end of the stream
        store.end(segment)
    store.close()
    first, second = index(tmp_path / "two.pcr")
    assert len(list(ticks(first))) == len(list(ticks(second))) == 121


def test_an_unreadable_segment_in_a_directory_is_passed_over(tmp_path, machine):
    machine(START).write(tmp_path / "1.pcr", 30)
    (tmp_path / "2.pcr").write_bytes(b"garbage")
    (tmp_path / "3.pcr").symlink_to(tmp_path / "gone")
    assert Playback(tmp_path).seek(None)[0].at == START + 30


def test_what_is_recorded_meanwhile_is_found_by_the_next_seek(tmp_path, machine):
    box = machine(START)
    box.write(tmp_path / "1.pcr", 30)
    playback = Playback(tmp_path)
    playback.seek(None)
    box.write(tmp_path / "2.pcr", 30)
    assert playback.seek(None)[0].at == START + 60
    (tmp_path / "1.pcr").unlink()
    (tmp_path / "2.pcr").unlink()
    assert playback.seek(START + 10)[0].key  # everything is gone, and nothing falls over


# Playing -----------------------------------------------------------------------------------------------------------------------------


def test_it_opens_at_the_end_and_stands(hour):
    player = Player(Playback(hour[0]))
    (key,) = player.begin()
    assert key.at == START + HOUR
    assert player.turn(Watch(), 0.0) == ([], None)


@pytest.mark.parametrize("speed", [0.5, 1.0, 10.0, 600.0])
def test_playing_keeps_time_and_tells_everything(hour, told, speed):
    path, ticks = hour
    player, reader, now = Player(Playback(path)), State(), 50.0
    watch = Watch(at=START + 700, speed=speed)
    for _ in range(12):
        out, wait_s = player.turn(watch, now)
        fed(reader, out)
        expected = min(START + 700 + (now - 50.0) * speed, START + HOUR)
        assert expected - reader.at < 0.51
        assert told(reader) == told(fold(ticks, expected))
        if reader.at == START + HOUR:
            break
        assert wait_s >= FRAME_S
        assert len(out) <= 2
        now += wait_s


def test_standing_playing_and_going_on_from_there(hour):
    player = Player(Playback(hour[0]))
    at = START + 100
    assert player.turn(Watch(at=at, speed=0.0), 0.0)[1] is None
    assert player.turn(Watch(at=at, speed=0.0), 100.0) == ([], None)
    assert player.turn(Watch(at=at, speed=1.0), 100.0)[1] == pytest.approx(0.5)
    (tick,), _ = player.turn(Watch(at=at, speed=1.0), 110.0)
    assert tick.at == at + 10
    assert player.turn(Watch(at=at, speed=0.0), 110.0) == ([], None)
    player.turn(Watch(at=at, speed=60.0), 500.0)
    (tick,), _ = player.turn(Watch(at=at, speed=60.0), 501.0)
    assert tick.at == at + 70
    (key,), wait = player.turn(Watch(at=at - 50, speed=0.0), 600.0)
    assert (key.key, key.at, wait) == (True, at - 50, None)


def test_at_the_end_it_stands(hour):
    player = Player(Playback(hour[0]))
    watch = Watch(at=START + HOUR - 3, speed=1.0)
    player.turn(watch, 0.0)
    (tick,), wait = player.turn(watch, 60.0)
    assert (tick.at, wait) == (START + HOUR, None)


def test_a_stretch_without_a_recording_is_skipped(tmp_path, machine):
    machine(START).write(tmp_path / "1.pcr", 30)
    machine(START + 5000).write(tmp_path / "2.pcr", 30)
    player = Player(Playback(tmp_path))
    watch = Watch(at=START + 25, speed=1.0)
    now, seen = 0.0, []
    wait = FRAME_S
    while wait is not None:
        out, wait = player.turn(watch, now)
        seen += [tick.at for tick in out]
        now += wait or 0.0
    assert seen[-1] == START + 5030
    assert now == pytest.approx(35, abs=2)


# The source --------------------------------------------------------------------------------------------------------------------------


class Reader:
    def __init__(self, path):
        self.source = ReplaySource(path)
        self.state = State()
        self.woken = 0
        self.wake = threading.Event()

    def __enter__(self):
        self.source.subscribe(self.on_wake)
        return self

    def __exit__(self, *_):
        self.source.close()

    def on_wake(self):
        self.woken += 1
        self.wake.set()

    def drained(self):
        assert self.wake.wait(60)
        self.wake.clear()
        return fed(self.state, self.source.drain())


def test_a_source_opens_at_the_end_and_goes_where_it_is_told(hour, told):
    path, ticks = hour
    with Reader(path) as reader:
        assert reader.drained().at == START + HOUR
        reader.source.watch(Watch(at=START + 1000, speed=0.0))
        assert told(reader.drained()) == told(fold(ticks, START + 1000))
        assert reader.state.past
        reader.source.watch(Watch(at=START + 1000, speed=20.0))
        while reader.state.at < START + 1010:
            reader.drained()
        assert told(reader.state) == told(fold(ticks, reader.state.at))
        assert reader.source.recorded == (START + 0.5, START + HOUR)


def test_wakes_are_coalesced_and_a_reader_that_never_drains_holds_little(hour, eventually, told):
    path, ticks = hour
    with Reader(path) as reader:
        reader.wake.wait(60)
        for i in range(BOUND * 3):
            with reader.source._lock:
                reader.source._tell(reader.source._playback.seek(START + 100 + i))
        assert len(reader.source._ticks) <= BOUND
        assert reader.woken == 1
        assert told(reader.drained()) == told(fold(ticks, START + 100 + BOUND * 3 - 1))


def test_after_close_there_is_neither_wake_nor_tick(hour):
    with Reader(hour[0]) as reader:
        reader.drained()
    woken = reader.woken
    reader.source.watch(Watch(at=START + 5, speed=1.0))
    assert not reader.source._thread.is_alive()
    assert reader.source.drain() == []
    assert reader.woken == woken


async def test_nothing_else_is_offered_in_a_recording(hour):
    with pytest.raises(RequestError, match=r"process\.signal is not offered in a recording"):
        await ReplaySource(hour[0]).request("process.signal", ProcessId(1, 1))
