"""Rules tried on what was: the transitions, whatever the batching, and what the rules had nothing to decide by."""

import random
from collections import deque
from contextlib import closing
from io import BufferedReader, BytesIO
from itertools import islice
from math import isnan

import pytest

from perfconsole.core.alerts import AlertStage
from perfconsole.core.backtest import Backtest
from perfconsole.core.tick import Group, Reading, Rule, SeriesDef, Tick
from perfconsole.sources.samples import SampleFile

T = 1_770_000_000
CPU = "system.cpu.utilization"
UP = "httpcheck.up"
ENDPOINT = (("endpoint", "*"), ("service", "*"))


def alert(name="busy", metric=CPU, limit=0.9, severity="critical", **fields):
    return Rule(name, severity, metric, limit, colour=False, **({"for_s": 60.0, "keep_s": 20.0} | fields))


def read(lines, rules, header="time,metric,value"):
    file = BufferedReader(BytesIO("\n".join([header, *lines]).encode()))
    return SampleFile(file, "f.csv", lambda series: any(rule.covers(series) for rule in rules))


def tried(lines, *rules, header="time,metric,value", batch=512):
    """The transitions as (seconds after T, rule, from, to, value, n), and the backtest, and its warnings."""
    backtest = Backtest(rules)
    with closing(read(lines, rules, header)) as samples:
        told = [(one.at - T, one.rule, one.before, one.state, one.value, one.n) for one in backtest.run(samples.ticks(batch))]
        return told, backtest, [*samples.notes, *backtest.warnings(samples.shapes)]


def cpu(values, every_s=10):
    return [f"{T + number * every_s},{CPU},{value}" for number, value in enumerate(values)]


def test_every_transition_is_stamped_with_its_exact_moment():
    told, backtest, warnings = tried(cpu([0.5] * 3 + [0.95] * 9 + [0.5] * 6), alert(for_s=65.0))
    assert told == [
        (30, "busy", "inactive", "pending", 0.95, 1),
        (95, "busy", "pending", "firing", 0.95, 1),  # 65 s after the first breach, between two samples
        (140, "busy", "firing", "resolved", 0.5, 1),  # well from 120 on, for 20 s
    ]
    assert backtest.standing == {}
    assert backtest.fired == {"busy": (1, 45.0)}
    assert warnings == []


@pytest.mark.parametrize(("breached_s", "fires"), [(290, False), (300, False), (310, True)])
def test_a_breach_that_is_a_sample_short_fires_not(breached_s, fires):
    """Well again at the very moment of the deadline is well in time: it was breached for less than that."""
    values = [0.5, *[0.95] * (breached_s // 10), 0.5, 0.5]
    told, _, _ = tried(cpu(values), alert(for_s=300.0))
    assert [turn[3] for turn in told].count("firing") == fires


def test_equality_is_no_breach():
    told, _, _ = tried(cpu([0.9] * 100), alert())
    assert told == []


def test_a_statistic_says_of_how_many_samples_it_is():
    lines = [f"{T + at},{UP},web,shop,{0 if at in {100, 110} else 1}" for at in range(0, 200, 10)]
    rule = alert("errors", UP, 0.01, stat="ratio", over_s=60.0, min_events=2, match=ENDPOINT, for_s=30.0, keep_s=0.0)
    told, _, _ = tried(lines, rule, header="time,metric,endpoint,service,value")
    assert told == [
        (110, "errors", "inactive", "pending", 2 / 6, 6),
        (140, "errors", "pending", "firing", 2 / 6, 6),
        (170, "errors", "firing", "resolved", 0.0, 6),
    ]


def test_what_still_stands_at_the_end_is_known():
    told, backtest, _ = tried(cpu([0.95] * 13), alert("fires"), alert("waits", for_s=200.0), alert("sleeps", limit=0.99))
    assert [(one.rule, one.state, one.since) for one in backtest.standing.values()] == [("waits", "pending", T), ("fires", "firing", T)]
    assert len(told) == 3
    assert backtest.fired == {"fires": (1, 60.0)}  # it counts up to the end, at 120 s


def test_time_goes_on_with_the_samples_of_others():
    """The one that is breached tells nothing for 20 s: that is a gap that counts, and the deadline lies within it."""
    lines = [f"{T},{CPU},,0.95", f"{T + 10},{CPU},,0.95", f"{T + 29},system.load.1m,,1", f"{T + 30},system.load.1m,,1"]
    told, _, _ = tried(lines, alert(for_s=30.0), header="time,metric,cpu,value")
    assert told == [(0, "busy", "inactive", "pending", 0.95, 1), (30, "busy", "pending", "firing", 0.95, 1)]


@pytest.mark.parametrize(("gap_s", "fired_at"), [(25, 60), (26, 86)])
def test_the_interval_of_a_series_is_the_median_step_and_says_what_a_gap_is(gap_s, fired_at):
    """Every 10 s: up to 25 s without a sample count, and of a longer gap nothing does."""
    times = [0, 10, 20, *range(20 + gap_s, 20 + gap_s + 80, 10)]
    told, _, _ = tried([f"{T + at},{CPU},0.95" for at in times], alert())
    assert [turn[0] for turn in told if turn[3] == "firing"] == [fired_at]


def test_a_counter_is_its_rate():
    lines = [f"{T + at},system.disk.io,{at * (200 if at > 50 else 1)}" for at in range(0, 200, 10)]
    told, _, _ = tried(lines, alert("io", "system.disk.io", 150.0))
    assert [(at, state) for at, _, _, state, _, _ in told] == [(60, "pending"), (120, "firing")]


# Batching -------------------------------------------------------------------------------------------------------------------------


def history(seed):
    """Samples of three endpoints, with gaps, unknown values and outages, each with a clock of its own."""
    dice = random.Random(seed)
    moments = []
    for endpoint in ("a", "b", "c"):
        at, bad = float(T), False
        for _ in range(200):
            at += dice.choice([5, 10, 10, 10, 10.5, 60])
            bad = bad if dice.random() < 0.9 else not bad
            moments.append((at, endpoint, dice.choice(["", "NaN"]) if dice.random() < 0.05 else str(int(not bad))))
    return [f"{at},{UP},{endpoint},shop,{value}" for at, endpoint, value in sorted(moments)]


RULES = (
    Rule("down", "critical", UP, 0.5, above=False, match=ENDPOINT, for_s=60.0, keep_s=20.0, colour=False),
    Rule("errors", "warning", UP, 0.3, match=ENDPOINT, stat="ratio", over_s=60.0, for_s=45.0, keep_s=15.0, min_events=2, colour=False),
    Rule("silent", "info", UP, 0.5, above=False, match=ENDPOINT, for_s=30.0, no_data="alert", max_gap_s=20.0, colour=False),
)


@pytest.mark.parametrize("seed", range(8))
def test_the_batching_changes_nothing(seed):
    lines, header = history(seed), "time,metric,endpoint,service,value"
    whole = tried(lines, *RULES, header=header)
    assert len(whole[0]) > 20
    for batch in (1, 7, 100):
        assert repr(tried(lines, *RULES, header=header, batch=batch)[0]) == repr(whole[0])
    with closing(read(lines, RULES, header)) as samples:
        assert repr(beaten(samples)) == repr(whole[0])


def beaten(samples):
    """The same as an engine tells it: a tick every half second, whether there is something to tell or not."""
    whole = list(samples.ticks(1))
    stage = AlertStage(RULES)
    readings = deque(reading for tick in whole for reading in tick.readings)
    told = stage.step(Tick(0, T, T, groups=whole[0].groups))
    at = float(T)
    while at < whole[-1].at:
        at += 0.5
        due = [readings.popleft() for _ in range(sum(reading.at <= at for reading in islice(readings, 9)))]
        told += stage.step(Tick(0, at, at, readings=due))
    assert not readings
    turns = [one for one in told if one.state != one.before]
    return [(one.at - T, one.rule, one.before, one.state, one.value, one.n) for one in turns]


# Warnings -------------------------------------------------------------------------------------------------------------------------


def of_endpoint(values, every_s=10):
    return [f"{T + number * every_s},{UP},web,{value}" for number, value in enumerate(values)]


UNSEEN = "max_gap is 9 s, and time that nobody observed never counts: for is 60 s"


@pytest.mark.parametrize(
    ("lines", "rule", "expected"),
    [
        (cpu([1]), alert("down", UP, match=ENDPOINT), ["no samples of httpcheck.up: down was not tried"]),
        (cpu([1] * 90), alert(match=(("cpu", "*"),)),
         [f"busy: {CPU} has samples without labels, and the rule is about those labelled cpu: it was not tried"]),
        (cpu([1] * 90), alert(stat="p95", over_s=60.0),
         [f"busy: could never fire: {CPU}: 60 s held 6 samples at most, one every 10 s, and 20 are needed"]),
        (cpu([1] * 90), alert(stat="avg", over_s=60.0, min_samples=7),
         [f"busy: could never fire: {CPU}: 60 s held 6 samples at most, one every 10 s, and 7 are needed"]),
        (cpu([1] * 90), alert(stat="avg", over_s=60.0, min_samples=6), []),
        (cpu([1] * 6), alert(), [f"busy: could never fire: {CPU}: its first sample is 50 s before the end, and for is 60 s"]),
        (cpu([1] * 7), alert(), []),
        (cpu([1] * 90), alert(max_gap_s=9.0), [f"busy: could never fire: {CPU}: its samples are 10 s apart or more, {UNSEEN}"]),
        (cpu(["NaN"] * 90), alert(), ["90 samples (the first on line 2) are no number: unknown, which is neither a breach nor a recovery",
                                      f"busy: could never fire: {CPU}: no value is known"]),
        ([f"{T},system.disk.io,1"], alert(metric="system.disk.io"),
         ["busy: could never fire: system.disk.io: of one sample there is no rate"]),
    ],
)  # fmt: skip
def test_a_rule_that_could_tell_nothing_is_told_with_the_arithmetic(lines, rule, expected):
    told, _, warnings = tried(lines, rule)
    assert warnings == expected
    assert not expected or not [turn for turn in told if turn[3] == "firing"]


def test_labels_that_match_nothing_are_told():
    rule = alert("down", UP, match=(("endpoint", "api*"),))
    _, _, warnings = tried(of_endpoint([1] * 30), rule, header="time,metric,endpoint,value")
    assert warnings == ["down: httpcheck.up has samples, but none with endpoint=api*: it was not tried"]


def test_a_rule_that_is_blind_at_some_of_its_series_is_told_at_how_many():
    lines = [f"{T + at},{UP},{endpoint},{1}" for at in range(0, 200, 10) for endpoint in ("a", "b") if endpoint == "a" or at > 150]
    _, _, warnings = tried(lines, alert("down", UP, match=(("endpoint", "*"),)), header="time,metric,endpoint,value")
    assert warnings == [
        "down: could never fire at 1 of 2 series: httpcheck.up{endpoint=b}: its first sample is 30 s before the end, and for is 60 s"
    ]


def test_rules_that_need_the_same_missing_metric_share_a_line():
    _, _, warnings = tried(cpu([1] * 30), alert("a", UP), alert("b", UP), alert("c"))
    assert warnings == ["no samples of httpcheck.up: a, b were not tried"]


def test_without_samples_there_is_neither_begin_nor_end():
    told, backtest, warnings = tried([], alert())
    assert (told, backtest.series, warnings) == ([], 0, [f"no samples of {CPU}: busy was not tried"])
    assert isnan(backtest.begin)


def test_a_group_that_ends_ends_what_fires():
    stream = [
        Tick(0, T, T, groups=[Group(1, "system", "host", 10.0, (SeriesDef(CPU),))]),
        Tick(1, T + 80, T + 80, readings=[Reading(1, T + at, [0.95]) for at in range(0, 80, 10)]),
        Tick(2, T + 90, T + 90, groups=[Group(2, "system", "host", 10.0, (), T + 85)]),
    ]
    backtest = Backtest([alert()])
    told = [(one.at - T, one.state, one.text) for one in backtest.run(stream)]
    assert told == [(0, "pending", ""), (60, "firing", ""), (85, "resolved", "it is not measured any more")]
    assert backtest.fired == {"busy": (1, 25.0)}
