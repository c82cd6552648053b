"""Every rule that ships, at the edges of what it promises: exactly after its duration, and not for any other reason."""

from math import inf, isnan

import pytest

from perfconsole.core.alerts import UNCLAIMED_S, AlertStage
from perfconsole.core.metrics import is_counter
from perfconsole.core.shipped import SHIPPED
from perfconsole.core.tick import Group, Reading, SeriesDef, Tick

WALL = 1.7e9
E = 2.0**-10
"""A little, exact in a float beside `WALL`."""

BOOT_ID = "this boot"
ALERTS = [rule for rule in SHIPPED if not rule.colour]

every_alert = pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule.name)
every_quick = pytest.mark.parametrize("rule", [rule for rule in ALERTS if rule.for_s and rule.min_samples == 1], ids=lambda rule: rule.name)
"""Those that are well at once when what they are about is: a share of a thousand checks is not."""

every_lasting = pytest.mark.parametrize("rule", [rule for rule in ALERTS if rule.for_s], ids=lambda rule: rule.name)


def interval_of(rule):
    return {"system": 2.0, "httpcheck": 10.0, "postgresql": 5.0, "cgroup": 10.0}[rule.metric.partition(".")[0]]


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
        assert bench.times("firing") == [due if counts else bench.since + rule.for_s if anew else due + gap], (more, gap)


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


# From one run to the next -----------------------------------------------------------------------------------------------------------------


@every_lasting
def test_a_restart_half_way_delays_nothing(rule):
    first = pending(rule)
    due = first.since + rule.for_s
    first.until(first.since + rule.for_s / 2 + 0.25, first.bad)
    standings = first.stage.standings(BOOT_ID)
    again = Bench(rule, standings, boot=first.boot + 3.0)
    again.until(due + 4 * again.interval + 4, again.bad)
    if rule.stat == "last":
        assert again.times("firing") == [due]
        assert again.told[-1].since == first.since + WALL
    else:  # its window begins anew: until that knows something, there is nothing that goes on
        assert len(again.times("firing")) <= 1
        assert not again.times("firing") or again.times("firing")[0] >= due
    assert not again.times("resolved")


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
    again.until(again.boot + rule.keep_s + 5 * again.interval, again.well)
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
