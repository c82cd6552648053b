"""What an engine tells while it goes on, and what its recording tells afterwards by the same rules: the same transitions, to the moment.

The live side is the engine's own: intake, state and alerting, beat by beat. The recording is of several segments, as a recorder makes them,
and is read back as `alerts backtest` reads it.
"""

from random import Random
from types import SimpleNamespace

import pytest

from perfconsole.core.backtest import Backtest
from perfconsole.core.ports import Measured, Result
from perfconsole.core.segment import KEYFRAME_POINTS, recorded
from perfconsole.core.shipped import SHIPPED
from perfconsole.core.state import State
from perfconsole.core.tick import SeriesDef, Stream
from perfconsole.engine.alerting import Alerting
from perfconsole.engine.intake import Intake
from perfconsole.history.segments import SingleFile
from perfconsole.sources.recorded import RecordedSamples

WALL = 1.7e9
SEGMENT_S = 600.0
ENDPOINT = (("endpoint", "shop"), ("service", "web"))
SYSTEM = tuple(SeriesDef(f"system.{name}") for name in ("cpu.utilization", "memory.utilization", "oom_kills"))
CHECK = (SeriesDef("httpcheck.up", ENDPOINT), SeriesDef("httpcheck.duration", ENDPOINT))
DATABASE = (SeriesDef("postgresql.up", (("server", "db"),)), SeriesDef("postgresql.sessions.blocked", (("server", "db"),)))


class World:
    """Values that lie above their limits for some time, and then below; an endpoint that hangs, a database that goes away for good."""

    def __init__(self, random):
        self.random, self.bad, self.until, self.oom = random, {}, {}, 0.0

    def value(self, name, boot, well, bad):
        if boot >= self.until.get(name, 0.0):
            self.until[name] = boot + self.random.choice((15, 60, 130, 400, 1000))
            self.bad[name] = self.random.random() < 0.5
        return self.random.choice(bad if self.bad[name] else well)

    def measured(self, boot):
        """What comes in with a beat."""
        out = []
        if boot % 2 == 0:
            self.oom += self.value("oom", boot, (0,), (0, 0, 0, 1))
            busy = (self.value("cpu", boot, (0.2, 0.69), (0.91, 0.99)), self.value("memory", boot, (0.5, float("nan")), (0.95,)), self.oom)
            out.append(("system", Measured("host", SYSTEM, list(busy))))
        if boot % 10 == 4.5 and self.random.random() < 0.95:
            up = self.value("shop", boot, (1.0,), (0.0, 0.0, 0.0, 1.0))
            took = 0.3 if up else 4.0
            out.append(("http", Measured("shop", CHECK, [up, took], WALL + boot - took, 10.0, WALL + boot, 5.0, 3)))
        if boot % 5 == 2.5:
            gone = 3000.0 <= boot < 4000.0
            known = () if gone else DATABASE
            up = self.value("db", boot, (1.0,), (0.0,))
            out.append(("postgres", Measured("db", known, [] if gone else [up, float(up < 1)], interval_s=5.0)))
        return out


def live(seed, path, beats=14_000):
    """An engine's transitions, and its recording in a file."""
    world, intake, state = World(Random(seed)), Intake(), State()
    rules = [rule for rule in SHIPPED if not rule.colour]
    alerting, told, offset, segment = Alerting(rules, "b", SimpleNamespace()), [], WALL, None
    store = SingleFile(path)
    intake.stream = Stream("h", "s1", "b", "0")
    for beat in range(1, beats):
        boot = beat / 2
        if beat == 5001:
            offset += 3600.0
        for name, measured in world.measured(boot):
            moved = measured._replace(at=None if measured.at is None else boot + offset)
            moved = moved._replace(began=None if measured.began is None else measured.began - WALL + offset)
            intake.take(SimpleNamespace(name=name, interval_s=2.0), Result([moved]), boot + offset)
        tick = intake.close(beat, boot + offset, boot)
        state.apply(tick)
        tick = alerting.step(tick, state)
        told += [(alert.id, alert.before, alert.state, round(alert.at, 6)) for alert in alerting.transitions]
        if segment is None or (boot % SEGMENT_S == 0.5):
            if segment:
                segment.flush(finish=True)
                store.end(segment)
            segment, tick = store.begin(tick.at), state.keyframe(points=KEYFRAME_POINTS)
        segment.add(recorded(tick))
    segment.flush(finish=True)
    store.end(segment)
    store.close()
    return rules, told


@pytest.mark.parametrize("seed", range(3))
def test_a_recording_tells_what_was_told_live(tmp_path, seed):
    rules, told = live(seed, tmp_path / "world.pcr")
    backtest = Backtest(rules)
    found = [
        (alert.id, alert.before, alert.state, round(alert.at, 6)) for alert in backtest.run(RecordedSamples(tmp_path / "world.pcr").ticks())
    ]
    assert found == told
    assert len({rule for rule, _, after, _ in told if after == "firing"}) >= 6, told
    assert len(told) > 40


def test_it_would_be_seen_if_one_sample_were_another(tmp_path):
    rules, told = live(0, tmp_path / "world.pcr", beats=4000)
    source = RecordedSamples(tmp_path / "world.pcr")
    ticks = list(source.ticks())
    first = next(at for _, _, after, at in told if after == "pending")
    for tick in ticks:
        if any(abs(reading.at - first) < 0.01 for reading in tick.readings):
            tick.readings.clear()
    found = [(alert.id, alert.before, alert.state, round(alert.at, 6)) for alert in Backtest(rules).run(ticks)]
    assert found != told
