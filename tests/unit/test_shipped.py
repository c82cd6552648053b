"""Every rule that ships, at the edges of what it promises: exactly after its duration, and not for any other reason."""

from math import inf, isnan
from random import Random

import pytest
from msgspec.structs import replace

from perfconsole.core.alert_watched import LONG_S
from perfconsole.core.alerts import UNCLAIMED_S, AlertStage
from perfconsole.core.metrics import is_counter
from perfconsole.core.shipped import SHIPPED
from perfconsole.core.tick import Group, Reading, SeriesDef, Tick
from perfconsole.core.words import breach

WALL = 1.7e9
E = 2.0**-10
"""A little, exact in a float beside `WALL`."""

BOOT_ID = "this boot"
ALERTS = [rule for rule in SHIPPED if not rule.colour]

every_alert = pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule.name)
every_quick = pytest.mark.parametrize("rule", [rule for rule in ALERTS if rule.for_s and rule.min_samples == 1], ids=lambda rule: rule.name)
"""Those that are well at once when what they are about is: a share of a thousand checks is not."""

every_lasting = pytest.mark.parametrize("rule", [rule for rule in ALERTS if rule.for_s], ids=lambda rule: rule.name)


SELDOM_S = {"postgresql.temp.live": 15.0, "postgresql.statements.evictions": 120.0}


def interval_of(rule):
    return (
        SELDOM_S.get(rule.metric)
        or {"system": 2.0, "httpcheck": 10.0, "postgresql": 5.0, "cgroup": 10.0, "perfconsole": 10.0}[rule.metric.partition(".")[0]]
    )


class Bench:
    """One rule at one series of the kind it is about, measured at the interval that such series have."""

    def __init__(self, rule, standings=(), boot=0.0, boot_id=BOOT_ID):
        self.rule, self.interval, self.told, self.offset = rule, interval_of(rule), [], WALL
        labels = tuple((name, "x") for name, _ in rule.match)
        self.stage, self.boot, self.counted = AlertStage([rule]), boot, 0.0
        self.group = Group(1, "c", "t", self.interval, (SeriesDef(rule.metric, labels),))
        self.tick(boot)
        self.told += self.stage.restore(standings, boot_id, Tick(1, boot + self.offset, boot))
        self.tick(boot, groups=[self.group])
        self.gap = rule.gap_s(self.interval)
        self.bad, self.well = self._values()

    def _values(self):
        rule = self.rule
        if rule.stat == "ratio":
            return 0.0, 1.0
        return (rule.limit * 1.5 + 1, rule.limit / 4 - 1) if rule.above else (rule.limit / 4 - 1, rule.limit * 1.5 + 1)

    def tick(self, boot, values=(), groups=()):
        self.boot = boot
        readings = [Reading(1, boot + self.offset, [value]) for value in values]
        self.told += self.stage.step(Tick(1, boot + self.offset, boot, groups=list(groups), readings=readings))

    def sample(self, at, value):
        if is_counter(self.rule.metric):
            self.counted += 5.0 if value == self.bad else 0.0
            value = self.counted
        self.tick(at, [value])

    def until(self, end, value, beat=0.5):
        """Samples at their interval, and a beat between them, until a moment (that one not included)."""
        at = self.boot // beat * beat
        while at + beat < end:
            at += beat
            if at % self.interval:
                self.tick(at)
            else:
                self.sample(at, value)

    def well_for_good(self, at):
        """So many good samples within an instant, which ends then, that whatever it is made of is well."""
        count = {"last": 1, "max": 3, "ratio": 40_000}.get(self.rule.stat, 4000)
        for i in range(1 - count, 1):
            self.sample(at + i * 2.0**-28, self.well)

    @property
    def since(self):
        return next(alert.since - WALL for alert in self.told if alert.state == "pending")

    def times(self, state):
        return [alert.at - WALL for alert in self.told if alert.state == state and alert.before != state]


def pending(rule, beat=0.5):
    """A bench whose rule has just begun to pend."""
    bench = Bench(rule)
    for _ in range(3000):
        bench.until(bench.boot + bench.interval + beat / 2, bench.bad, beat)
        if bench.times("pending"):
            return bench
    raise AssertionError(rule.name)


# Exactly after its duration ---------------------------------------------------------------------------------------------------------------


@every_lasting
def test_it_fires_when_it_has_lasted_and_not_before(rule):
    bench = pending(rule)
    due = bench.since + rule.for_s
    bench.until(due, bench.bad)
    assert not bench.times("firing")
    bench.until(due + bench.interval + 1, bench.bad)
    assert bench.times("firing") == [due]


@every_quick
@pytest.mark.parametrize("early", [E, 0.0])
def test_what_is_well_in_time_never_fires(rule, early):
    bench = pending(rule)
    due = bench.since + rule.for_s
    bench.until(due - early - 0.25, bench.bad)
    bench.well_for_good(due - early)
    bench.until(due + 100, bench.well)
    assert not bench.times("firing")
    assert len(bench.times("inactive")) == 1


@every_quick
def test_what_is_well_too_late_fires_exactly_then(rule):
    bench = pending(rule)
    due = bench.since + rule.for_s
    bench.until(due, bench.bad)
    bench.well_for_good(due + E)
    assert bench.times("firing") == [due]
    bench.until(due + E + rule.keep_s + 2 * bench.interval, bench.well)
    (over,) = bench.times("resolved")
    assert over == pytest.approx(due + E + rule.keep_s, abs=0.001)


@pytest.mark.parametrize("rule", [rule for rule in ALERTS if rule.stat != "ratio"], ids=lambda rule: rule.name)
def test_exactly_the_threshold_is_none(rule):
    bench = Bench(rule)
    for i in range(2500):
        bench.tick((i + 1) * bench.interval, [7.0 if is_counter(rule.metric) else rule.limit])
    assert not bench.told


@pytest.mark.parametrize("rule", [rule for rule in ALERTS if rule.for_s and rule.stat == "last"], ids=lambda rule: rule.name)
def test_a_dip_to_exactly_the_threshold_begins_it_anew(rule):
    """Of a statistic over many samples, one alone is no dip."""
    bench = pending(rule)
    first = bench.since
    half = first + max(bench.interval, rule.for_s / 2 // bench.interval * bench.interval)
    bench.until(half, bench.bad)
    bench.sample(half, rule.limit)
    assert bench.times("inactive") == [half]
    bench.until(half + bench.interval + 0.25, bench.bad)
    again = half + bench.interval
    bench.until(again + rule.for_s + 1, bench.bad)
    assert bench.times("pending") == [first, again]
    assert bench.times("firing") == [max(again + rule.for_s, again + (rule.min_events - 1) * bench.interval)]


# Time that nobody observed ----------------------------------------------------------------------------------------------------------------


def silent_for(bench, gap):
    """No sample for so long after the last one, as the beats go on."""
    last = bench.boot
    while bench.boot + 0.5 < last + gap:
        bench.tick(bench.boot + 0.5)
    bench.sample(last + gap, bench.bad)


@every_lasting
def test_a_gap_that_is_short_enough_counts_and_a_longer_one_does_not(rule):
    for more, counts in ((-E, True), (0.0, True), (E, False)):
        bench = pending(rule)
        due, gap = bench.since + rule.for_s, bench.gap + more
        silent_for(bench, gap)
        if bench.since + gap >= due:  # it fired on what is taken to go on, before anybody could know how long the gap would be
            assert bench.times("firing") == [due]
            continue
        at = bench.boot
        while bench.boot < due + gap + 2 * bench.interval:
            at += bench.interval
            bench.sample(at, bench.bad)
        anew = gap > 2 * rule.for_s
        lost = gap + (bench.interval if is_counter(rule.metric) else 0.0)  # of a counter no rate is made across it
        assert bench.times("firing") == [due if counts else bench.since + rule.for_s if anew else due + lost], (more, gap)


@every_lasting
@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_no_step_of_the_wall_clock_completes_or_delays_it(rule, step):
    bench = pending(rule)
    due = bench.since + rule.for_s
    bench.until(bench.since + rule.for_s / 2 + 0.25, bench.bad)
    bench.offset += step
    bench.until(due + bench.interval + 1, bench.bad)
    assert bench.times("firing") == [due + step]
    pended, fired = (next(alert for alert in bench.told if alert.state == state) for state in ("pending", "firing"))
    assert fired.since == pended.since  # as it was told first


@every_lasting
def test_half_an_hour_of_sleep_counts_for_nothing(rule):
    bench = pending(rule)
    slept = 1800.0
    awake = bench.boot + slept
    bench.tick(awake, [])
    if rule.for_s <= bench.gap:
        assert bench.times("firing")  # as far as anybody could know, it went on
        return
    assert not bench.times("firing")
    at = awake // bench.interval * bench.interval
    while not bench.times("firing") and at < awake + 3 * rule.for_s + 3 * max(rule.over_s, 1.0) + rule.min_samples * bench.interval * 2:
        at += bench.interval
        bench.sample(at, bench.bad)
    (fired,) = bench.times("firing")
    assert fired >= awake + rule.for_s / 2


def test_a_slow_query_that_ended_does_not_stand_for_ever_when_nobody_reads_statements_any_more():
    bench = Bench(next(rule for rule in ALERTS if rule.name == "slow-query-ended-warning"))
    bench.sample(5.0, 1.2)
    assert bench.times("firing") == [5.0]
    while bench.boot < 300.0:
        bench.tick(bench.boot + 0.5)
    assert bench.times("resolved") == [5.0 + bench.gap + bench.rule.keep_s]


def test_a_slow_query_that_ended_is_told_with_its_own_time_as_long_as_it_is_told():
    bench = Bench(next(rule for rule in ALERTS if rule.name == "slow-query-ended-warning"))
    for at, value in ((5.0, 0.3), (10.0, 1.2), (15.0, 0.0), (20.0, 0.0)):
        bench.sample(at, value)
    (fired,) = [alert for alert in bench.told if alert.state == "firing"]
    assert breach(fired, 0.0) == "slowest finished statement of x max 1.2s > 1.0s over 1m (n 2)"
    bench.until(300.0, 0.0)
    (over,) = bench.times("resolved")
    assert over == pytest.approx(10.0 + bench.rule.over_s + bench.rule.keep_s, abs=bench.interval)


# From one run to the next -----------------------------------------------------------------------------------------------------------------


@every_lasting
def test_a_restart_half_way_delays_nothing(rule):
    first = pending(rule)
    due = first.since + rule.for_s
    first.until(first.since + rule.for_s / 2 + 0.25, first.bad)
    standings = first.stage.standings(BOOT_ID)
    again = Bench(rule, standings, boot=first.boot + 3.0)
    again.until(due + 4 * again.interval + 4, again.bad)
    assert again.times("firing") == [due]
    assert again.told[-1].since == first.since + WALL
    assert not again.times("resolved")


@pytest.mark.parametrize("rule", [rule for rule in ALERTS if rule.for_s and rule.stat != "last"], ids=lambda rule: rule.name)
@pytest.mark.parametrize("value", ["bad", "well"])
def test_what_was_measured_before_it_is_known_what_was_left_counts_with_that(rule, value):
    """A console measures for a second or two before it has the state directory: a window of one sample alone is none."""
    first = pending(rule)
    due = first.since + rule.for_s
    first.until(first.since + rule.for_s / 2 + 0.25, first.bad)
    again = Bench(rule, boot=first.boot + 1.0)
    again.sample(again.boot + 1.0, getattr(again, value))
    again.told += again.stage.restore(first.stage.standings(BOOT_ID), BOOT_ID, Tick(1, again.boot + WALL, again.boot))
    again.until(due + 4 * again.interval + 4, again.bad)
    assert again.times("firing") == [due]


@pytest.mark.parametrize("rule", [rule for rule in ALERTS if rule.over_s >= LONG_S], ids=lambda rule: rule.name)
def test_a_long_window_is_not_blind_after_a_restart(rule):
    """All was well for as long as it takes; started again, it begins to pend with the sample with which it would have without."""
    length = rule.over_s + rule.needed * interval_of(rule)
    first = Bench(rule)
    first.until(length, first.well)
    same = Bench(rule)
    same.until(length, same.well)
    kept = list(first.stage.windows(BOOT_ID))
    assert [(one.alert.state, bool(one.window)) for one in kept] == [("inactive", True)]
    again = Bench(rule, kept, boot=length + 1.0)
    for bench in (same, again):
        bench.until(length + 2.5, bench.well)
        while not bench.times("pending"):
            bench.until(bench.boot + bench.interval, bench.bad)
    assert again.times("pending") == pytest.approx(same.times("pending"), abs=again.interval)
    assert again.told[-1].n == same.told[-1].n - 1  # the one that fell between the two runs


def test_of_an_hour_that_nobody_observed_no_window_knows_anything():
    rule = next(rule for rule in ALERTS if rule.name == "cpu-hour-warning")
    first = Bench(rule)
    first.until(2 * rule.over_s, first.bad)
    left = [*first.stage.standings(BOOT_ID), *first.stage.windows(BOOT_ID)]
    assert [one.alert.state for one in left] == ["firing", "inactive"]
    again = Bench(rule, left[1:], boot=first.boot + 0.6 * rule.over_s)
    again.until(again.boot + 0.3 * rule.over_s, again.bad)
    assert not again.told
    again.until(again.boot + 0.7 * rule.over_s, again.bad)
    assert len(again.times("pending")) == 1


@every_alert
def test_what_fires_is_not_fired_again_after_a_restart_and_its_end_is_told(rule):
    first = pending(rule) if rule.for_s else Bench(rule)
    while not first.times("firing"):
        first.until(first.boot + first.interval + 0.75, first.bad)
    again = Bench(rule, first.stage.standings(BOOT_ID), boot=first.boot + 3.0)
    assert [(alert.state, alert.before) for alert in again.told][:1] == [("firing", "firing")]
    assert not again.times("firing")
    assert again.told[0].fired_at == first.told[-1].fired_at
    again.well_for_good(again.boot + again.interval)
    again.until(again.boot + rule.over_s + rule.keep_s + 5 * again.interval, again.well)
    assert len(again.times("resolved")) == 1


def test_a_minute_of_outage_with_a_kill_between_is_a_minute():
    """Killed at 30 s of it, started again at 45: it fires at 60, once."""
    rule = next(rule for rule in ALERTS if rule.name == "service-down-critical")
    first = Bench(rule)
    for at in (10.0, 20.0, 30.0, 40.0):
        first.sample(at, 0.0)
    again = Bench(rule, first.stage.standings(BOOT_ID), boot=55.0)
    again.sample(55.5, 0.0)
    again.until(100.0, 0.0)
    assert again.times("firing") == [70.0]
    assert not first.times("firing")


def test_another_boot_goes_on_by_the_wall_clock():
    rule = next(rule for rule in ALERTS if rule.name == "service-down-critical")
    first = Bench(rule, boot=10_000.0)
    for at in (10_010.0, 10_020.0):
        first.sample(at, 0.0)
    again = Bench(rule)
    again.told.clear()
    again.stage = AlertStage([rule])
    again.offset = WALL + 10_030.0  # it was started again 30 s after the one before had counted 10,000
    again.stage.step(Tick(1, again.offset, 0.0))
    again.told += again.stage.restore(first.stage.standings(BOOT_ID), "another boot", Tick(1, again.offset, 0.0))
    again.tick(0.5, groups=[again.group])
    again.sample(1.0, 0.0)
    again.until(60.0, 0.0)
    assert again.times("firing") == [10_070.0]


def test_whose_rule_changed_or_is_gone_is_over_and_who_is_not_measured_any_more_too():
    rule = next(rule for rule in ALERTS if rule.name == "service-down-critical")
    first = Bench(rule)
    for at in range(10, 90, 10):
        first.sample(float(at), 0.0)
    standings = first.stage.standings(BOOT_ID)
    gone = AlertStage([])
    told = gone.restore(standings, BOOT_ID, Tick(1, WALL + 100, 100.0))
    assert [(alert.state, alert.text) for alert in told] == [("resolved", "its rule has changed")]
    unmeasured = AlertStage([rule])
    told = unmeasured.restore(standings, BOOT_ID, Tick(1, WALL + 100, 100.0))
    assert [(alert.state, alert.before) for alert in told] == [("firing", "firing")]
    assert len(unmeasured.standings(BOOT_ID)) == 1
    assert unmeasured.step(Tick(2, WALL + 99 + UNCLAIMED_S, 99 + UNCLAIMED_S)) == []
    (over,) = unmeasured.step(Tick(3, WALL + 100.5 + UNCLAIMED_S, 100.5 + UNCLAIMED_S))
    assert (over.state, over.at, over.text) == ("resolved", WALL + 100 + UNCLAIMED_S, "it is not measured any more")
    assert unmeasured.standings(BOOT_ID) == []


# What they need ---------------------------------------------------------------------------------------------------------------------------


def test_one_failed_check_is_no_outage_however_seldom_it_is_checked():
    rule = next(rule for rule in ALERTS if rule.name == "service-down-critical")
    stage, told = AlertStage([rule]), []
    group = Group(1, "c", "t", 3600.0, (SeriesDef(rule.metric, (("endpoint", "x"), ("service", "s"))),))
    stage.step(Tick(1, WALL, 0.0, groups=[group]))
    for at in (0.5, 1800.0, 3600.5):
        readings = [Reading(1, WALL + at, [0.0])] if at % 1 else []
        told += stage.step(Tick(1, WALL + at, at, readings=readings))
    assert [(alert.at - WALL, alert.state) for alert in told] == [(0.5, "pending"), (3600.5, "firing")]


HANGING = [5.0, 20.0, 24.0, 26.0, 30.0, 40.0, 60.0]


def hanging(rule, timeout, until, interval=10.0):
    """The transitions of an endpoint that was well at 0, and of which every check is given up after its timeout from then on."""
    stage, told, began = AlertStage([rule]), [], interval
    group = Group(1, "c", "t", interval, (SeriesDef(rule.metric, (("endpoint", "x"), ("service", "s"))),), 0.0, timeout, 2)
    stage.step(Tick(1, WALL, 0.0, groups=[group], readings=[Reading(1, WALL, [0.01 if rule.metric.endswith("duration") else 1.0])]))
    given_up, at = began + timeout, 0.0
    while at < until:
        at += 0.5
        readings = []
        if at >= given_up:
            value = timeout if rule.metric.endswith("duration") else 0.0
            readings = [Reading(1, WALL + given_up, [value], WALL + began)]
            began = max(given_up, began + interval / 2)
            given_up = began + timeout
        told += stage.step(Tick(1, WALL + at, at, readings=readings))
    return [(alert.at - WALL, alert.state) for alert in told if alert.before != alert.state]


@pytest.mark.parametrize("timeout", HANGING)
def test_an_endpoint_that_hangs_is_down_a_minute_after_its_first_check_that_did_and_the_second_has_failed(timeout):
    rule = next(rule for rule in ALERTS if rule.name == "service-down-critical")
    course = hanging(rule, timeout, 400.0)
    assert [state for _, state in course] == ["pending", "firing"]
    assert course[1][0] == max(10.0 + 60.0, 10.0 + 2 * max(timeout, 5.0))


@pytest.mark.parametrize("timeout", HANGING)
@pytest.mark.parametrize("name", ["error-rate-critical", "response-time-critical", "error-rate-warning"])
def test_of_an_endpoint_that_hangs_the_statistics_know_as_much(name, timeout):
    rule = next(rule for rule in ALERTS if rule.name == name)
    course = hanging(rule, timeout, 3 * rule.for_s)
    assert [state for _, state in course] == ["pending", "firing"]
    assert course[1][0] - course[0][0] <= rule.for_s + timeout


@pytest.mark.parametrize(("failures", "fires_at"), [(1, 60.0), (2, 60.0), (9, 80.0), (40, 390.0)])
def test_it_takes_as_many_failures_as_make_the_endpoint_down(failures, fires_at):
    rule = next(rule for rule in ALERTS if rule.name == "service-down-critical")
    stage, told = AlertStage([rule]), []
    group = Group(1, "c", "t", 10.0, (SeriesDef(rule.metric, (("endpoint", "x"), ("service", "s"))),), failures=failures)
    for at in range(0, 500, 10):
        told += stage.step(Tick(1, WALL + at, float(at), groups=[] if at else [group], readings=[Reading(1, WALL + at, [0.0])]))
    assert [alert.at - WALL for alert in told if alert.state == "firing"] == [fires_at]


def test_a_rule_that_somebody_wrote_takes_as_many_as_it_says():
    rule = replace(next(rule for rule in ALERTS if rule.name == "service-down-critical"), stretches=False)
    assert rule.fitted(10.0, 5.0, 40) is rule


@pytest.mark.parametrize(("percent", "within_min"), [(5, 40), (10, 25), (20, 20)])
def test_what_fails_now_and_then_is_found(percent, within_min):
    rule = next(rule for rule in ALERTS if rule.name == "intermittent-errors-warning")
    for seed in range(5):
        random, bench = Random(seed), Bench(rule)
        while not bench.times("firing") and bench.boot < 6 * 3600:
            bench.sample(bench.boot + bench.interval, float(random.random() * 100 >= percent))
        assert bench.boot <= within_min * 60, (seed, bench.boot)


def test_one_failure_an_hour_is_nothing_to_wake_anybody_for():
    rule = next(rule for rule in ALERTS if rule.name == "intermittent-errors-warning")
    bench = Bench(rule)
    for at in range(10, 12 * 3600, 10):
        bench.sample(float(at), float(at % 3600 > 20))  # two in a row, in fact
    assert not bench.told


def test_a_window_stretches_over_as_many_samples_as_it_takes():
    slow = next(rule for rule in ALERTS if rule.name == "response-time-critical")
    assert slow.fitted(10.0) is slow
    usual = [rule for rule in ALERTS if rule.metric.startswith("httpcheck.") and rule.stat != "last"]
    assert [rule.fitted(10.0).over_s for rule in usual] == [rule.over_s for rule in usual]  # at the interval that they are written for
    share = next(rule for rule in ALERTS if rule.name == "error-rate-critical")
    assert share.fitted(30.0).over_s == pytest.approx(180.0)
    assert slow.fitted(60.0).over_s == pytest.approx(189.0)
    budget = next(rule for rule in ALERTS if rule.min_samples == 1000)
    assert budget.fitted(60.0).over_s == pytest.approx(63_000.0)
    assert all(rule.fitted(inf if rule.stat == "last" else 1.0) for rule in ALERTS)
    assert not any(isnan(rule.keep_s) for rule in ALERTS)
