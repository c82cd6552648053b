"""A recording, tried: what an engine told while it was recorded comes out again, over keyframes, runs, boots, and damage."""

import threading
from pathlib import Path

import pytest

from perfconsole.core.backtest import Backtest
from perfconsole.core.errors import RecordingError
from perfconsole.core.ports import Measured, Result
from perfconsole.core.segment import HEADER_BYTES, recorded
from perfconsole.core.state import State
from perfconsole.core.tick import Group, Reading, Rule, SeriesDef, Stream, Tick
from perfconsole.engine.engine import Engine
from perfconsole.engine.local import LocalSource
from perfconsole.history.recording import FileRecordingSink
from perfconsole.history.segments import SingleFile
from perfconsole.sources.recorded import RecordedSamples

START = 1_770_000_000.0
CPU, IO = SeriesDef("system.cpu.utilization"), SeriesDef("system.disk.io")


def rule(name="busy", **fields):
    return Rule(name, "critical", CPU.name, 0.9, colour=False, **({"for_s": 60.0, "keep_s": 20.0} | fields))


def transitions(path, *rules):
    source, backtest = RecordedSamples(Path(path)), Backtest(rules)
    return [one for one in backtest.run(source.ticks()) if one], source, backtest


def plain(alerts, since=START):
    return [(one.at - since, one.rule, one.before, one.state) for one in alerts]


# The real engine ------------------------------------------------------------------------------------------------------------------


class Waves:
    """Collector: quiet until it is `going`, then busy every other second and a half, and a counter that grows faster then."""

    name, interval_s, first_after_s, targets, operations = "waves", 0.5, 0.0, ("host",), ()

    def __init__(self):
        self.runs, self.written, self.going = 0, 0.0, False

    async def run(self, target, slot, views):
        self.runs += self.going
        busy = self.runs // 3 % 2
        self.written += 1000.0 if busy else 1.0
        return Result([Measured(target, (CPU, IO), [0.95 if busy else 0.1, self.written], began=slot.at - 0.2)])

    async def look(self, views):
        return []

    def close(self):
        pass


LIVE = (
    rule("lasting", for_s=0.8, keep_s=0.3),
    rule("average", for_s=0.3, keep_s=0.0, stat="avg", over_s=1.0),
    Rule("writes", "warning", IO.name, 500.0, for_s=0.6, keep_s=0.2, colour=False),
    Rule("colours", "warning", CPU.name, 0.9),
)


@pytest.mark.slow
def test_what_an_engine_told_live_is_told_again(tmp_path):
    waves = Waves()
    engine = Engine([waves], Stream("box", "s1", "boot", "0"), rules=LIVE)
    engine.start()
    source, woken, live, ticks = LocalSource(engine), threading.Event(), [], []
    sink = FileRecordingSink(tmp_path / "live.rec")
    try:
        engine.add_sink("recording", sink)
        source.subscribe(woken.set)
        while len(live) < 24:
            assert woken.wait(60), "the engine tells nothing"
            woken.clear()
            ticks += source.drain()
            waves.going = not sink.wants_keyframe
            live = [alert for tick in ticks if not tick.key for alert in tick.alerts if alert.state != alert.before]
    finally:
        source.close()
        engine.stop()
    told, recording, _ = transitions(tmp_path / "live.rec", *LIVE)
    assert {one.rule for one in live} == {one.name for one in LIVE}
    assert repr(told[: len(live)]) == repr(live)  # to the last bit: when, since when, of what value and how many samples
    assert (recording.host, recording.notes) == ("box", [])


# What a recording is made of ------------------------------------------------------------------------------------------------------


class Writer:
    """Writes what an engine would have told, in segments."""

    def __init__(self, path):
        self.path, self.store, self.segment = path, SingleFile(path), None

    def add(self, tick):
        if tick.key:
            self.end()
            self.segment = self.store.begin(tick.at)
        self.segment.add(recorded(tick))

    def end(self):
        if self.segment:
            self.segment.flush(finish=True)
            self.store.end(self.segment)
        self.segment = None

    def close(self):
        self.end()
        self.store.close()


class Run:
    """One run of an engine: a group `measured` of CPU, beside others; every 10 s a reading."""

    def __init__(self, session, boot_id="boot", at=START, boot=1000.0, groups=None):
        self.state = State()
        self.groups = groups or [Group(1, "system", "host", 10.0, (CPU,), at)]
        self.stream = Stream("box", session, boot_id, "0")
        self.state.apply(Tick(0, at, boot, key=True, stream=self.stream))

    def told(self, values, key_at=(0,)):
        """A tick a value of the first group; those of `key_at` are told as keyframes in their place."""
        for number, value in enumerate(values):
            state = self.state
            at, boot = state.at + 10, state.boot + 10
            readings = [Reading(group.id, at, [value, *[0.0] * (len(group.series) - 1)]) for group in self.groups]
            tick = Tick(state.seq + 1, at, boot, groups=self.groups if state.seq == 0 else [], readings=readings)
            state.apply(tick)
            yield state.keyframe(points=2) if number in key_at else tick


def write(path, *runs):
    writer = Writer(path)
    for ticks in runs:
        for tick in ticks:
            writer.add(tick)
    writer.close()
    return path


VALUES = [0.1, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 0.1, 0.1, 0.1, 0.95]
EXPECTED = [(20, "busy", "inactive", "pending"), (80, "busy", "pending", "firing"), (110, "busy", "firing", "resolved"),
            (120, "busy", "inactive", "pending")]  # fmt: skip


@pytest.mark.parametrize("key_at", [(0,), (0, 1), (0, 5), (0, 7, 8, 9), tuple(range(12))])
def test_a_keyframe_loses_no_sample_and_doubles_none(tmp_path, key_at):
    told, source, backtest = transitions(write(tmp_path / "r", Run("one").told(VALUES, key_at)), rule())
    assert plain(told) == EXPECTED
    assert source.count == len(VALUES)
    assert backtest.standing["busy{}"].since == START + 120


def test_another_run_counts_its_groups_anew_and_what_was_pending_goes_on(tmp_path):
    """Ids of the two runs collide, and mean other things."""
    other = Group(1, "disks", "host", 10.0, (IO,), START)
    first = Run("one", groups=[Group(1, "system", "host", 10.0, (CPU,), START), Group(2, "disks", "host", 10.0, (IO,), START)])
    second = Run("two", at=START + 50, boot=1050.0, groups=[other, Group(2, "system", "host", 10.0, (CPU,), START + 60)])
    path = write(tmp_path / "r", first.told(VALUES[:5]), second.told([0.95, 0.95, 0.95, 0.95]))
    told, _, backtest = transitions(path, rule())
    assert plain(told) == [(20, "busy", "inactive", "pending"), (80, "busy", "pending", "firing")]
    assert backtest.series == 1


def test_after_a_boot_elapsed_time_goes_on_with_the_wall_clock(tmp_path):
    second = Run("two", boot_id="another", at=START + 50, boot=3.0)
    told, _, _ = transitions(write(tmp_path / "r", Run("one").told(VALUES[:5]), second.told([0.95, 0.95, 0.95])), rule())
    assert plain(told) == [(20, "busy", "inactive", "pending"), (80, "busy", "pending", "firing")]


def test_time_in_which_nothing_was_recorded_never_counts(tmp_path):
    second = Run("two", at=START + 80, boot=1080.0)  # 40 s between two samples, where 25 s would count
    told, _, _ = transitions(write(tmp_path / "r", Run("one").told(VALUES[:5]), second.told([0.95] * 5)), rule())
    assert plain(told) == [(20, "busy", "inactive", "pending"), (120, "busy", "pending", "firing")]


def test_a_group_whose_end_was_missed_ends_with_the_next_keyframe(tmp_path):
    run = Run("one")
    ticks = list(run.told([0.95] * 8))
    run.state.apply(Tick(9, START + 85, 1085.0, groups=[Group(2, "system", "host", 10.0, (), START + 85)]))
    missed = run.state.keyframe(points=2)
    told, _, _ = transitions(write(tmp_path / "r", [*ticks, missed]), rule())
    assert plain(told) == [(10, "busy", "inactive", "pending"), (70, "busy", "pending", "firing"), (85, "busy", "firing", "resolved")]


def test_what_another_run_does_not_measure_ends_with_its_next_keyframe(tmp_path):
    first = Run("one", groups=[Group(1, "system", "host", 10.0, (CPU,), START), Group(2, "disks", "host", 10.0, (IO,), START)])
    second = Run("two", at=START + 80, boot=1080.0, groups=[Group(1, "disks", "host", 10.0, (IO,), START + 90)])
    path = write(tmp_path / "r", first.told([0.95] * 8), second.told([0.0] * 6, key_at=(0, 3)))
    told, _, _ = transitions(path, rule())
    assert plain(told) == [(10, "busy", "inactive", "pending"), (70, "busy", "pending", "firing"), (120, "busy", "firing", "resolved")]


def test_what_is_damaged_is_said(tmp_path):
    path = write(tmp_path / "r", Run("one").told([0.5] * 4000), Run("two", at=START + 50_000).told(VALUES))
    data = bytearray(path.read_bytes())
    middle = HEADER_BYTES + 2000
    data[middle : middle + 64] = bytes(64)
    path.write_bytes(data)
    told, source, _ = transitions(path, rule())
    assert plain(told, START + 50_000) == EXPECTED  # the other segment is sound
    (note,) = source.notes
    assert note.startswith(f"{path}: damaged: what it says after ")
    assert note.endswith(" was not tried")


def test_what_is_no_recording(tmp_path):
    with pytest.raises(RecordingError, match="no recording in"):
        RecordedSamples(tmp_path)
