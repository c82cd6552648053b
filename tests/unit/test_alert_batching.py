"""The same ticks give the same transitions: one by one, merged in any way, over the wire, with the readings of a tick in any order."""

from math import nan
from random import Random

import msgspec
import pytest

from perfconsole.core import wire
from perfconsole.core.alerts import AlertStage
from perfconsole.core.ports import Measured, Result
from perfconsole.core.tick import Reading, Rule, SeriesDef, merge
from perfconsole.engine.intake import APART_S, Intake

WALL = 1.7e9
BEAT_S = 0.5
LOAD, KILLS, UP = "system.load.1m", "system.oom_kills", "httpcheck.up"
ENDPOINT = (("endpoint", "*"), ("service", "*"))

RULES = (
    Rule("colour", "warning", LOAD, 1.0),
    Rule("loaded", "critical", LOAD, 1.0, for_s=8.0, keep_s=3.0, colour=False),
    Rule("busy", "warning", LOAD, 0.75, stat="avg", over_s=6.0, for_s=5.0, clear=0.5, colour=False),
    Rule("killing", "critical", KILLS, 0.5, for_s=4.0, keep_s=1.0, colour=False),
    Rule("down", "critical", UP, 0.5, above=False, match=ENDPOINT, for_s=6.0, keep_s=2.0, no_data="alert", colour=False),
    Rule("failing", "warning", UP, 0.3, match=ENDPOINT, stat="ratio", over_s=20.0, min_events=2, for_s=2.0, no_data="ok", colour=False),
)


class Told:
    """A collector as the intake sees it."""

    def __init__(self, name, interval_s):
        self.name, self.interval_s = name, interval_s


HOST, CHECKS = Told("system", 2.0), Told("http", 1.0)


def endpoint(name, *more):
    labels = (("endpoint", name), ("service", "shop"))
    return (SeriesDef(UP, labels), *(SeriesDef(f"httpcheck.{one}", labels) for one in more))


def a_stream(random, beats=160):
    """Ticks as an engine closes them: late readings, endpoints that come, change and go, a machine that is not asked for a while."""
    intake, ticks, total, boot = Intake(), [], 0.0, 100.0
    shapes = {name: endpoint(name) for name in ("a", "b")}
    mood = {"load": 0.5, "a": 1.0, "b": 1.0}
    for seq in range(beats):
        boot += BEAT_S if random.random() > 0.02 else 30.0
        now = WALL + boot
        for name in mood:
            if random.random() < 0.08:
                mood[name] = random.choice((0.5, 1.0, 1.5)) if name == "load" else random.choice((0.0, 1.0))
        if random.random() < 0.4:
            total = total + random.choice((0, 0, 1, 3)) if random.random() < 0.95 else 0.0
            values = [random.choice((mood["load"], mood["load"] + 0.25, nan)), total]
            intake.take(HOST, Result([Measured("host", (SeriesDef(LOAD), SeriesDef(KILLS)), values)]), now - random.random() * BEAT_S)
        for name in list(shapes):
            if random.random() < 0.5:
                at = now - random.choice((0.0, 0.25, 0.375, 3.0))  # some are told late
                intake.take(CHECKS, Result([Measured(name, shapes[name], [mood[name]] * len(shapes[name]), at - 0.25, 1.0, at)]), now)
            elif random.random() < 0.05:
                intake.take(CHECKS, Result([Measured(name, (), [])]), now)
            elif random.random() < 0.05:
                shapes[name] = endpoint(name) if len(shapes[name]) > 1 else endpoint(name, "duration", "size")
        ticks.append(intake.close(seq + 1, now, boot))
    return ticks


def transitions(ticks):
    stage = AlertStage(RULES)
    return [alert for tick in ticks for alert in stage.step(tick)]


def as_bytes(alerts):
    return [msgspec.json.encode(alert) for alert in alerts]  # NaN equals NaN


def merged(ticks, random):
    """In pieces of any length."""
    rest = list(ticks)
    while rest:
        length = random.choice((1, 1, 2, 5, 17, 80))
        yield merge(rest[:length])
        del rest[:length]


def shuffled(tick, random):
    readings = list(tick.readings)
    random.shuffle(readings)
    return msgspec.structs.replace(tick, readings=readings)


def decoded(tick):
    (frame,) = wire.Splitter().feed(wire.encode(tick))
    return frame


def test_however_they_come_the_same_ticks_give_the_same_transitions():
    kinds = set()
    for seed in range(60):
        random = Random(seed)
        ticks = a_stream(random)
        expected = transitions(ticks)
        kinds |= {(alert.rule, alert.before, alert.state, bool(alert.text), bool(alert.muted)) for alert in expected}
        told = as_bytes(expected)
        assert as_bytes(transitions([merge(ticks)])) == told, f"stream {seed}: all in one"
        for _ in range(3):
            assert as_bytes(transitions(list(merged(ticks, random)))) == told, f"stream {seed}: merged"
        assert as_bytes(transitions([shuffled(tick, random) for tick in merged(ticks, random)])) == told, f"stream {seed}: in any order"
        assert as_bytes(transitions([decoded(tick) for tick in ticks])) == told, f"stream {seed}: over the wire"
    for rule in RULES[1:]:
        assert (rule.name, "pending", "firing", False, False) in kinds
        assert (rule.name, "firing", "resolved", False, False) in kinds
    assert {kind[0] for kind in kinds if kind[3]} >= {"down", "failing"}, "some ended with their series"
    assert ("busy", "firing", "firing", False, True) in kinds, "some were muted, and told again"


def test_they_are_told_in_the_order_in_which_they_came_about():
    for seed in range(20):
        moments = [alert.at for alert in transitions(a_stream(Random(seed)))]
        assert moments == sorted(moments)


# What a tick may tell of ------------------------------------------------------------------------------------------------------------------


def closed(at_by_tick, boots=(100.0, 100.5), step=0.0):
    """Readings with such times, taken between two ticks; the wall clock was set by `step` before the second."""
    intake = Intake()
    intake.close(1, WALL + boots[0], boots[0])
    for at in at_by_tick:
        measured = Measured("a", endpoint("a"), [1.0], WALL + at - 0.25, 1.0, WALL + at)
        intake.take(CHECKS, Result([measured]), WALL + boots[1])
    return intake.close(2, WALL + step + boots[1], boots[1])


def test_what_is_of_the_time_between_two_ticks_stays_as_it_is():
    tick = closed([100.25, 100.5])
    assert [(one.at, one.began) for one in tick.readings] == [(WALL + 100.25, WALL + 100), (WALL + 100.5, WALL + 100.25)]
    assert tick.groups[0].at == WALL + 100.25


def test_what_is_told_late_is_of_the_first_moment_and_none_is_lost():
    tick = closed([97.0, 99.0, 100.0, 100.25])
    moments = [one.at for one in tick.readings]
    first = WALL + 100 + APART_S
    assert moments == [first, first + APART_S, first + 2 * APART_S, WALL + 100.25]
    assert tick.groups[0].at == first


@pytest.mark.parametrize(
    ("at", "began"),
    [
        (99.75, 99.5),  # it just missed the tick
        (99.625, 99.375),
        (99.25, 99.75),  # by a long way: a quarter of a second is what it took
        (97.0, 99.75),
    ],
)
def test_a_late_reading_began_when_it_says_unless_it_is_off_by_more_than_clocks_are(at, began):
    (reading,) = closed([at]).readings
    assert reading.at == WALL + 100 + APART_S
    assert reading.began == pytest.approx(WALL + began, abs=2 * APART_S)


def test_what_is_told_of_the_future_is_of_now():
    (reading,) = closed([3700.0]).readings
    assert (reading.at, reading.began) == (WALL + 100.5, WALL + 100.25)


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_what_was_taken_before_the_clock_was_set_is_of_this_tick_as_well(step):
    (reading,) = closed([100.25], step=step).readings
    tick_before = WALL + step + 100
    assert tick_before < reading.at <= tick_before + 0.5
    assert reading.at - reading.began == pytest.approx(0.25, abs=1e-6)


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_clock_that_is_set_while_a_check_runs_makes_no_alert(step):
    """The reading is of the clock before: without the intake an hour of being down would be told of the first failure."""
    intake, stage = Intake(), AlertStage(RULES)
    told = []
    for seq, boot in enumerate((100.0, 101.0, 102.0)):
        failed = boot > 101
        measured = Measured("a", endpoint("a"), [0.0 if failed else 1.0], WALL + boot - 0.75, 1.0, WALL + boot - 0.5)
        intake.take(CHECKS, Result([measured]), WALL + boot)
        told += stage.step(intake.close(seq, WALL + boot + (step if failed else 0.0), boot))
    down = [alert for alert in told if alert.rule == "down"]
    assert [(alert.before, alert.state) for alert in down] == [("inactive", "pending")]
    assert down[0].at - down[0].since == pytest.approx(0.25, abs=1e-5)


def test_a_late_failure_does_not_undo_what_was_taken_meanwhile():
    """A deadline that was taken stays taken: the sample that would have said otherwise was not there."""
    rule = Rule("down", "critical", UP, 0.5, above=False, match=ENDPOINT, for_s=6.0, colour=False)
    intake, stage = Intake(), AlertStage([rule])
    told = []
    for seq in range(1, 20):
        boot = seq * BEAT_S
        if seq == 1:
            intake.take(CHECKS, Result([Measured("a", endpoint("a"), [0.0], None, 1.0, WALL + boot)]), WALL + boot)
        if seq == 14:  # 7.0 s: at 6.25 s it was well
            intake.take(CHECKS, Result([Measured("a", endpoint("a"), [1.0], None, 1.0, WALL + 6.25)]), WALL + boot)
        told += stage.step(intake.close(seq, WALL + boot, boot))
    assert [(alert.at - WALL, alert.state) for alert in told] == [
        (0.5, "pending"),
        (6.5, "firing"),
        (pytest.approx(6.5, abs=1e-5), "resolved"),
    ]


def test_two_groups_that_are_measured_at_the_same_moment_are_taken_by_their_numbers():
    rules = (Rule("a", "critical", LOAD, 1.0), Rule("b", "critical", UP, 0.5, above=False, match=ENDPOINT))
    intake = Intake()
    intake.take(HOST, Result([Measured("host", (SeriesDef(LOAD),), [2.0])]), WALL + 1)
    intake.take(CHECKS, Result([Measured("x", endpoint("x"), [0.0])]), WALL + 1)
    tick = intake.close(1, WALL + 1, 1.0)
    backwards = msgspec.structs.replace(tick, readings=tick.readings[::-1])
    told = [[alert.rule for alert in AlertStage(rules).step(one)] for one in (tick, backwards)]
    assert told == [["a", "b"]] * 2


def test_readings_of_a_group_that_is_not_known_are_nobodys():
    assert AlertStage(RULES).step(merge([intake_tick()])) == []


def intake_tick():
    tick = Intake().close(1, WALL, 0.0)
    return msgspec.structs.replace(tick, readings=[Reading(9, WALL, [9.0])])
