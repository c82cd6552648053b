"""Every feature of a rule at its edges, through `AlertStage.step` alone: moments are exact, and nothing waits."""

from math import isnan, nan

import pytest
from msgspec.structs import replace

from perfconsole.core.alert_stats import STATS
from perfconsole.core.alerts import AlertStage
from perfconsole.core.metrics import METRICS
from perfconsole.core.shipped import SHIPPED, THRESHOLDS
from perfconsole.core.tick import SEVERITIES, Group, Reading, Rule, SeriesDef, Tick

WALL = 1.7e9
"""Wall clock minus CLOCK_BOOTTIME."""

E = 2.0**-10
"""A little, exact in a float beside `WALL`."""

METRIC = "system.load.1m"
BAD, WELL, LIMIT = 9.0, 1.0, 8.0
FOR = 60.0
MAX_GAP = 25.0
"""Of an interval of 10 s: two of them and 5 s."""

PENDS, FIRES, ENDS, RECOVERS = ("inactive", "pending"), ("pending", "firing"), ("firing", "resolved"), ("pending", "inactive")


def rule(name="loaded", severity="critical", **keys):
    return Rule(name, severity, METRIC, LIMIT, **({"for_s": FOR, "colour": False} | keys))


class Bench:
    """A stage, and one group of series that is measured every 10 s; a tick is closed when a test says so."""

    def __init__(self, *rules, metric=METRIC, series=None):
        self.stage, self.offset, self.told = AlertStage(rules), WALL, []
        self.series = series or (SeriesDef(metric),)
        self.tick(0.0, groups=[Group(1, "c", "host", 10.0, self.series)])

    def tick(self, boot, readings=(), groups=()):
        fresh = self.stage.step(Tick(1, boot + self.offset, boot, groups=list(groups), readings=list(readings)))
        self.told += fresh
        return fresh

    def sample(self, at, *values, began=None):
        """A tick that closes with a reading."""
        began = None if began is None else began + self.offset
        return self.tick(at, [Reading(1, at + self.offset, list(values), began)])

    def every_10_s(self, start, end, value):
        for at in range(int(start), int(end) + 1, 10):
            self.sample(at, value)

    @property
    def course(self):
        """Each transition: when, from, to."""
        return [(alert.at - self.offset, alert.before, alert.state) for alert in self.told if alert.before != alert.state]


def pending_at(end, **keys):
    """A bench at which it has been breaching from 0 until a last sample at `end`."""
    bench = Bench(rule(**keys))
    bench.every_10_s(0, end, BAD)
    assert bench.course == [(0.0, *PENDS)]
    return bench


def firing_at_60(**keys):
    bench = pending_at(50, **keys)
    bench.sample(60, BAD)
    assert bench.course[1:] == [(60.0, *FIRES)]
    return bench


# How long ---------------------------------------------------------------------------------------------------------------------------------


def test_it_fires_at_its_deadline_not_before_and_is_taken_at_the_next_beat():
    bench = pending_at(50)
    assert not bench.tick(60 - E)
    assert not bench.tick(60 - E / 2)
    (alert,) = bench.tick(60.5)
    assert (alert.at, alert.since, alert.fired_at, alert.state) == (WALL + 60, WALL, WALL + 60, "firing")


@pytest.mark.parametrize(
    ("well_at", "fires"),
    [(60 - E, False), (60, False), (60 + E, True)],  # at 60 itself, it was found to be over
)
def test_a_sample_that_is_well_around_the_deadline(well_at, fires):
    bench = pending_at(50, keep_s=1.0)
    bench.sample(well_at, WELL)
    assert bench.course[1:] == ([(60.0, *FIRES)] if fires else [(well_at, *RECOVERS)])


@pytest.mark.parametrize("at", [60, 60 + E, 70])
def test_a_breaching_sample_at_the_deadline_or_after_it_fires_it_at_the_deadline(at):
    bench = pending_at(50)
    bench.sample(at, BAD)
    assert bench.course[1:] == [(60.0, *FIRES)]


def test_deadlines_of_the_same_moment_are_taken_in_the_order_of_the_rules():
    """Not in that in which they became known: which one that is would depend on when a tick was closed."""
    bench = Bench(Rule("short", "warning", METRIC, 10.0, for_s=5.0, colour=False), rule("long", for_s=10.0))
    bench.sample(0, BAD)
    bench.sample(5, 20.0)
    assert [(alert.rule, alert.at - WALL) for alert in bench.tick(10)] == [("short", 10.0), ("long", 10.0), ("short", 10.0)]


def test_a_deadline_that_moves_on_with_every_sample_is_put_down_once():
    bench = Bench(rule(no_data="alert"))
    bench.every_10_s(0, 10_000, WELL)
    assert len(bench.stage._dues) == 1
    bench.tick(10_000 + MAX_GAP)
    assert bench.course == [(10_000 + MAX_GAP, *PENDS)]


def test_what_is_pending_says_until_when():
    bench = pending_at(50)
    (alert,) = bench.told
    assert (alert.state, alert.at, alert.due) == ("pending", WALL, WALL + 60)
    assert isnan(alert.fired_at)


def test_a_dip_to_exactly_the_limit_is_no_breach_and_all_begins_anew():
    bench = pending_at(20)
    bench.sample(30, LIMIT)
    bench.every_10_s(40, 100, BAD)
    assert bench.course[1:] == [(30.0, *RECOVERS), (40.0, *PENDS), (100.0, *FIRES)]


@pytest.mark.parametrize(("value", "state"), [(LIMIT, []), (LIMIT - E, [(0.0, "inactive", "firing")])])
def test_below_is_strict_as_well(value, state):
    bench = Bench(Rule("low", "critical", METRIC, LIMIT, above=False))
    bench.sample(0, value)
    assert bench.course == state


def test_without_a_duration_it_fires_and_ends_at_once():
    bench = Bench(rule(for_s=0.0))
    bench.sample(0, BAD)
    bench.sample(10, WELL)
    assert bench.course == [(0.0, "inactive", "firing"), (10.0, *ENDS)]


# What is not seen -------------------------------------------------------------------------------------------------------------------------


def test_a_gap_of_max_gap_is_bridged():
    bench = pending_at(20)
    bench.sample(20 + MAX_GAP, BAD)
    bench.sample(55, BAD)
    bench.tick(60)
    assert bench.course[1:] == [(60.0, *FIRES)]


def test_of_a_longer_gap_nothing_counts_and_the_new_deadline_is_told():
    bench = pending_at(20)
    gap = MAX_GAP + E
    (alert,) = bench.sample(20 + gap, BAD)
    assert (alert.before, alert.state, alert.since, alert.due) == ("pending", "pending", WALL, WALL + 60 + gap)
    bench.sample(60, BAD)
    bench.sample(80, BAD)
    bench.tick(100)
    assert bench.course[1:] == [(60 + gap, *FIRES)]


@pytest.mark.parametrize(("gap", "fires_at"), [(120.0, 180.0), (120 + E, 200 + E)])
def test_a_gap_of_over_twice_the_duration_begins_it_anew(gap, fires_at):
    bench = pending_at(20)
    told = bench.sample(20 + gap, BAD)
    assert told[0].since == (WALL if gap == 120 else WALL + 20 + gap)
    for later in range(10, 90, 10):
        bench.sample(20 + gap + later, BAD)
    assert bench.course[1:] == [(fires_at, *FIRES)]


@pytest.mark.parametrize(("last", "fires"), [(35.0, True), (35 - E, False)])
def test_a_deadline_is_taken_up_to_max_gap_after_the_last_sample(last, fires):
    bench = pending_at(30)
    bench.sample(last, BAD)
    bench.tick(1000)
    assert bench.course[1:] == ([(60.0, *FIRES)] if fires else [])


def test_max_gap_of_a_rule_counts_in_place_of_the_usual_one():
    bench = pending_at(20, max_gap_s=100.0)
    bench.tick(59)
    bench.tick(61)
    assert bench.course[1:] == [(60.0, *FIRES)]


def test_the_usual_max_gap_follows_the_interval_of_the_group():
    bench = pending_at(20)
    bench.tick(21, groups=[Group(2, "c", "host", 30.0, bench.series)])  # 65 s from now on
    bench.tick(60)
    assert bench.course[1:] == [(60.0, *FIRES)]


def test_unknown_is_neither_breach_nor_recovery_but_like_no_sample():
    bench = pending_at(20)
    bench.sample(30, nan)
    bench.sample(40, nan)
    bench.sample(45, BAD)  # 25 s after the last known one: bridged
    bench.sample(50, nan)
    bench.tick(60)
    assert bench.course[1:] == [(60.0, *FIRES)]
    bench.every_10_s(70, 200, nan)
    assert len(bench.course) == 2


def test_firing_never_ends_by_silence():
    bench = firing_at_60(keep_s=20.0)
    bench.tick(100_000)
    assert len(bench.course) == 2


def test_quiet_that_nobody_observed_does_not_count_either():
    bench = firing_at_60(keep_s=40.0)
    bench.sample(70, WELL)
    bench.sample(70 + 100, WELL)  # of the gap, nothing
    bench.every_10_s(180, 230, WELL)
    assert bench.course[2:] == [(210.0, *ENDS)]


def test_a_suspend_completes_nothing_and_loses_nothing():
    bench = pending_at(30)
    bench.tick(1830)  # half an hour asleep
    bench.sample(1831, BAD)
    assert bench.course[1:] == []
    assert bench.told[-1].since == WALL + 1831  # over twice the duration: anew
    bench = pending_at(30, for_s=3600.0)
    bench.sample(1830, BAD)
    assert bench.told[-1].due == WALL + 3600 + 1800


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_the_wall_clock_set_between_ticks_completes_nothing_and_loses_nothing(step):
    bench = pending_at(30)
    bench.offset += step
    bench.every_10_s(40, 50, BAD)
    assert not bench.told[1:]
    (alert,) = bench.sample(60, BAD)
    assert (alert.at, alert.fired_at) == (WALL + step + 60,) * 2
    assert alert.since == WALL  # as it was told first


@pytest.mark.parametrize(
    ("no_data", "course"),
    [
        ("keep", []),
        ("ok", []),
        ("alert", [(25.0, *PENDS), (85.0, *FIRES)]),
    ],
)
def test_silence_while_all_was_well(no_data, course):
    bench = Bench(rule(no_data=no_data))
    bench.sample(0, WELL)
    bench.tick(1000)
    assert bench.course == course
    assert all(isnan(alert.value) for alert in bench.told)  # it was silence that decided


@pytest.mark.parametrize(
    ("no_data", "course"),
    [
        ("keep", []),
        ("ok", [(45.0, *RECOVERS)]),
        ("alert", [(60.0, *FIRES)]),  # the breach goes on
    ],
)
def test_silence_while_it_is_pending(no_data, course):
    bench = pending_at(20, no_data=no_data)
    bench.tick(44)
    bench.tick(1000)
    assert bench.course[1:] == course
    assert bench.told[0].due == WALL + 60


@pytest.mark.parametrize(("no_data", "course"), [("keep", []), ("ok", [(60 + MAX_GAP + 20, *ENDS)]), ("alert", [])])
def test_silence_while_it_fires(no_data, course):
    bench = firing_at_60(no_data=no_data, keep_s=20.0)
    bench.tick(1000)
    assert bench.course[2:] == course


def test_silence_that_is_a_breach_counts_when_samples_come_again():
    bench = Bench(rule(no_data="alert"))
    bench.sample(0, WELL)
    bench.tick(70)
    bench.sample(75, BAD)
    bench.sample(80, BAD)
    bench.tick(90)
    assert bench.course == [(25.0, *PENDS), (85.0, *FIRES)]
    assert bench.told[-1].since == WALL + 25


def test_silence_that_is_well_counts_as_quiet_when_samples_come_again():
    bench = firing_at_60(no_data="ok", keep_s=40.0)
    bench.tick(110)  # silent since 85
    bench.sample(115, WELL)
    bench.sample(124, WELL)
    bench.tick(126)
    assert bench.course[2:] == [(125.0, *ENDS)]


def test_silence_that_is_a_breach_ends_quiet():
    bench = firing_at_60(no_data="alert", keep_s=30.0)
    bench.sample(70, WELL)
    bench.tick(1000)
    assert bench.course[2:] == []


def test_a_series_of_which_nothing_was_ever_known_is_not_silent():
    bench = Bench(rule(no_data="alert"))
    bench.every_10_s(0, 500, nan)
    assert bench.course == []


# Until when -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "ends"), [(6.0, True), (6 + E, False), (LIMIT, False)])
def test_what_has_to_come_back_to_clear_does_not_end_before(value, ends):
    bench = firing_at_60(clear=6.0)
    bench.sample(70, value)
    assert bench.course[2:] == ([(70.0, *ENDS)] if ends else [])


def test_between_clear_and_the_limit_nothing_begins_and_what_is_pending_is_over():
    bench = pending_at(20, clear=6.0)
    bench.sample(30, 7.0)
    assert bench.course[1:] == [(30.0, *RECOVERS)]


def test_clear_of_a_rule_below():
    bench = Bench(Rule("low", "critical", METRIC, LIMIT, above=False, for_s=0.0, clear=10.0, colour=False))
    bench.sample(0, 1.0)
    bench.sample(10, 10 - E)
    bench.sample(20, 10.0)
    assert bench.course == [(0.0, "inactive", "firing"), (20.0, *ENDS)]


@pytest.mark.parametrize("relapse", [90 - E, 90.0])
def test_a_relapse_before_quiet_lasted_goes_on_as_one_alert(relapse):
    bench = firing_at_60(keep_s=20.0)
    bench.sample(70, WELL)
    bench.sample(relapse, BAD)
    bench.sample(100, WELL)
    bench.tick(200)
    assert bench.course[2:] == [(120.0, *ENDS)]
    assert (bench.told[-1].since, bench.told[-1].fired_at) == (WALL, WALL + 60)


def test_what_recovers_is_shown_firing_and_a_relapse_after_that_is_another_alert():
    bench = firing_at_60(keep_s=20.0)
    assert not bench.sample(70, WELL)
    assert bench.tick(90)[0].state == "resolved"
    bench.sample(90 + E, BAD)
    assert bench.course[2:] == [(90.0, *ENDS), (90 + E, *PENDS)]
    assert isnan(bench.told[-1].fired_at)


def test_back_over_clear_but_not_over_the_limit_is_a_relapse_of_what_recovers():
    bench = firing_at_60(keep_s=20.0, clear=6.0)
    bench.sample(70, WELL)
    bench.sample(80, 7.0)
    bench.sample(90, WELL)
    bench.tick(200)
    assert bench.course[2:] == [(110.0, *ENDS)]


def flaps(bench, start, times, apart=10.0):
    """Fire and end so many times, beginning at a moment."""
    for turn in range(times):
        bench.sample(start + turn * 2 * apart, BAD)
        bench.sample(start + (turn * 2 + 1) * apart, WELL)


def turns(bench):
    return [(alert.at - WALL, alert.state, alert.flapping) for alert in bench.told if alert.state in ("firing", "resolved")]


def three_times_bad(**keys):
    """Bad for 5 s, then well for 15, three times."""
    bench = Bench(rule(for_s=5.0, **keys))
    for start in (0, 20, 40):
        for at, value in ((0, BAD), (5, BAD), (10, WELL), (12, WELL)):
            bench.sample(start + at, value)
    return bench


def test_the_fourth_turn_within_an_hour_makes_it_flap_and_then_it_is_held_for_twice_its_duration():
    bench = three_times_bad(keep_s=1.0)
    assert turns(bench) == [
        (5.0, "firing", False), (11.0, "resolved", False), (25.0, "firing", False), (31.0, "resolved", True), (45.0, "firing", True),
    ]  # fmt: skip
    assert not bench.tick(60 - E)
    assert bench.tick(60)[0].state == "resolved"  # ten seconds after it was well at 50


def test_who_asks_for_the_plain_rule_is_told_that_it_flaps_and_not_held():
    bench = three_times_bad(keep_s=0.0)
    assert turns(bench)[3:] == [(30.0, "resolved", True), (45.0, "firing", True), (50.0, "resolved", True)]


@pytest.mark.parametrize(("apart", "flapping"), [(1200.0, False), (1200 - E, True)])
def test_four_turns_flap_within_less_than_an_hour(apart, flapping):
    bench = Bench(rule(for_s=0.0))
    flaps(bench, 0, 2, apart)
    assert [alert.flapping for alert in bench.told] == [False, False, False, flapping]


def test_thresholds_never_flap():
    bench = Bench(rule(for_s=0.0, colour=True))
    flaps(bench, 0, 5)
    assert len(bench.told) == 10
    assert not any(alert.flapping for alert in bench.told)


# What is compared -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stat", "samples", "value"),
    [
        ("last", [1, 2, 3, 4], 4.0),
        ("avg", [9, 2, 3, 4], 3.0),  # the first has left a window of 30 s: it is 30 s old
        ("min", [0, 5, 3, 4], 3.0),
        ("max", [9, 2, 6, 4], 6.0),
        ("p50", [9, 2, 3, 4], 3.0),
        ("ratio", [0, 1, 0, 1], 1 / 3),
    ],
)
def test_statistics_over_a_window(stat, samples, value):
    bench = Bench(Rule("r", "info", METRIC, -1.0, stat=stat, over_s=30.0, for_s=100.0, colour=False, min_samples=1))
    for at, sample in enumerate(samples):
        bench.sample(at * 10, float(sample))
    course = bench.stage._bound[1][0].course
    assert course.value == value


@pytest.mark.parametrize(("stat", "least"), [("p50", 3), ("p90", 10), ("p95", 20), ("p99", 100)])
def test_a_percentile_of_too_few_samples_is_not_known(stat, least):
    bench = Bench(rule(stat=stat, over_s=5000.0, for_s=0.0))
    bench.every_10_s(0, (least - 1) * 10, BAD)
    assert bench.course == [((least - 1) * 10.0, "inactive", "firing")]
    assert bench.told[0].n == least


def test_a_percentile_is_by_nearest_rank():
    bench = Bench(rule(stat="p90", over_s=100.0, for_s=0.0))
    values = [1, 2, 3, 4, 5, 6, 7, 8, 20, 30]  # the ninth of ten
    for at, value in enumerate(reversed(values)):
        bench.sample(at * 10, float(value))
    assert [alert.value for alert in bench.told] == [20.0]


def test_min_samples_are_waited_for():
    bench = Bench(rule(stat="avg", over_s=60.0, for_s=0.0, min_samples=3))
    bench.sample(0, BAD)
    bench.sample(10, nan)
    bench.sample(20, BAD)
    assert not bench.told
    assert bench.sample(30, BAD)[0].n == 3


def test_min_events_must_count_against_a_ratio():
    bench = Bench(Rule("errors", "critical", METRIC, 0.01, stat="ratio", over_s=60.0, min_events=2))
    for at, up in ((0, 1.0), (10, 0.0), (20, 1.0)):
        bench.sample(at, up)
    assert not bench.told
    bench.sample(30, 0.0)
    bench.sample(65, 1.0)
    bench.sample(75, 1.0)  # one of four is still over the limit: that ends nothing
    assert bench.course == [(30.0, "inactive", "firing")]
    bench.sample(95, 1.0)
    assert bench.course[1:] == [(95.0, "firing", "inactive")]


COUNTER = "system.oom_kills"


def test_a_counter_is_compared_by_its_rate():
    bench = Bench(Rule("r", "critical", COUNTER, 2.0, colour=True), metric=COUNTER)
    bench.sample(0, 100.0)  # of one sample, none
    bench.sample(10, 120.0)  # 2 a second: the limit exactly
    bench.sample(20, 141.0)
    assert [(alert.at - WALL, alert.value) for alert in bench.told] == [(20.0, 2.1)]


def test_a_counter_that_was_reset_has_no_rate_until_the_next_sample():
    bench = Bench(Rule("r", "critical", COUNTER, 2.0, colour=False, for_s=30.0), metric=COUNTER)
    for at, total in ((0, 0), (10, 50), (20, 100), (30, 10), (40, 60)):
        bench.sample(at, float(total))
    assert bench.course == [(10.0, *PENDS), (40.0, *FIRES)]  # the reset is unknown, and bridged


def test_a_counter_has_no_rate_across_a_gap_and_one_across_an_unknown_sample():
    bench = Bench(Rule("r", "critical", COUNTER, 2.0), metric=COUNTER)
    bench.sample(0, 0.0)
    bench.sample(MAX_GAP + E, 1000.0)
    assert not bench.told
    bench.sample(30, nan)
    bench.sample(40, 2000.0)
    assert bench.course == [(40.0, "inactive", "firing")]


def test_of_two_servers_behind_one_name_no_rate_is_made():
    """That another one answers is told by counters that are unknown once."""
    deadlocks = "postgresql.deadlocks"
    bench = Bench(Rule("r", "critical", deadlocks, 2.0), metric=deadlocks)
    for at, total in ((0, 5.0), (10, 5.0), (15, nan), (20, 1e6), (30, 1e6)):
        bench.sample(at, total)
    assert bench.told == []
    bench.sample(40, 1e6 + 50)
    assert [alert.value for alert in bench.told] == [5.0]


@pytest.mark.parametrize("over", ["avg", "p95", "max"])
def test_what_was_infinite_once_is_forgotten_with_its_window(over):
    bench = Bench(rule(stat=over, over_s=300.0, for_s=0.0))
    bench.sample(0, float("inf"))
    bench.every_10_s(10, 700, WELL)
    course = bench.stage._bound[1][0].course
    assert course.value == WELL


# Since when -------------------------------------------------------------------------------------------------------------------------------


def test_a_check_that_began_before_it_failed_counts_from_its_start():
    bench = Bench(rule(for_s=60.0))
    (alert,) = bench.sample(10, BAD, began=0)  # it took 10 s to time out
    assert (alert.at, alert.since, alert.due) == (WALL + 10, WALL, WALL + 60)
    bench.sample(30, BAD, began=20)
    bench.sample(50, BAD, began=40)
    bench.tick(61)
    assert bench.course[1:] == [(60.0, *FIRES)]


def test_a_breach_that_lasted_long_enough_when_it_is_told_fires_then():
    bench = Bench(rule(for_s=5.0))
    (alert,) = bench.sample(10, BAD, began=0)
    assert (alert.before, alert.state, alert.at, alert.since) == ("inactive", "firing", WALL + 10, WALL)


def test_a_start_after_the_sample_is_none():
    bench = Bench(rule())
    assert bench.sample(10, BAD, began=11)[0].since == WALL + 10


# One about another ------------------------------------------------------------------------------------------------------------------------


def test_a_critical_alert_mutes_the_warning_of_the_same_series_and_tells_it_again_when_that_changes():
    warning = Rule("warm", "warning", METRIC, 5.0, for_s=10.0, colour=False)
    bench = Bench(warning, rule("hot", for_s=20.0))
    bench.every_10_s(0, 20, BAD)
    told = [(alert.at - WALL, alert.rule, alert.before, alert.state, alert.muted) for alert in bench.told[2:]]
    assert told == [
        (10.0, "warm", "pending", "firing", ""),
        (20.0, "hot", "pending", "firing", ""),
        (20.0, "warm", "firing", "firing", "inhibited by hot"),
    ]
    bench.told.clear()
    bench.sample(30, 6.0)  # well for the one, not for the other
    told = [(alert.at - WALL, alert.rule, alert.before, alert.state, alert.muted, alert.value) for alert in bench.told]
    assert told == [(30.0, "hot", "firing", "resolved", "", 6.0), (30.0, "warm", "firing", "firing", "", 9.0)]


def test_a_warning_that_fires_under_a_critical_alert_is_muted_from_the_first():
    bench = Bench(rule("hot", for_s=0.0), rule("warm", "warning", for_s=10.0))
    bench.every_10_s(0, 10, BAD)
    assert [(alert.rule, alert.state, alert.muted) for alert in bench.told] == [
        ("hot", "firing", ""), ("warm", "pending", "inhibited by hot"), ("warm", "firing", "inhibited by hot"),
    ]  # fmt: skip


def test_another_series_is_not_muted_nor_a_threshold():
    labels = (("mountpoint", "*"),)
    metric = "system.filesystem.utilization"
    series = tuple(SeriesDef(metric, (("mountpoint", mount),)) for mount in ("/", "/srv"))
    rules = (
        Rule("full", "critical", metric, 0.9, match=labels, colour=False),
        Rule("filling", "warning", metric, 0.8, match=labels, colour=False),
        Rule("colour", "warning", metric, 0.8, match=labels),
    )
    bench = Bench(*rules, series=series)
    bench.sample(0, 0.95, 0.85)
    assert {(alert.id, alert.muted) for alert in bench.told} == {
        ("full{mountpoint=/}", ""),
        ("filling{mountpoint=/}", "inhibited by full"),
        ("colour{mountpoint=/}", ""),
        ("filling{mountpoint=/srv}", ""),
        ("colour{mountpoint=/srv}", ""),
    }


def test_a_critical_alert_whose_series_is_gone_mutes_no_more():
    bench = Bench(rule("hot", for_s=0.0), rule("warm", "warning", for_s=0.0))
    bench.sample(0, BAD)
    told = bench.tick(5, groups=[Group(2, "c", "host", 10.0, ())])
    assert [(alert.rule, alert.state) for alert in told if alert.before != alert.state] == [("hot", "resolved"), ("warm", "resolved")]
    assert not bench.stage._peers


# Series that come and go ------------------------------------------------------------------------------------------------------------------


def test_a_series_that_is_gone_resolves_in_words():
    bench = firing_at_60()
    (alert,) = bench.tick(65, groups=[Group(2, "c", "host", 10.0, ())])
    assert (alert.before, alert.state, alert.text, alert.at) == (*ENDS, "it is not measured any more", WALL + 65)
    assert (alert.since, alert.fired_at) == (WALL, WALL + 60)
    assert isnan(alert.value)
    assert not bench.tick(1000)


def test_a_series_that_is_gone_while_pending_is_inactive():
    bench = pending_at(20)
    (alert,) = bench.tick(25, groups=[Group(2, "c", "host", 10.0, ())])
    assert (alert.before, alert.state, alert.text) == (*RECOVERS, "it is not measured any more")


def test_what_the_new_shape_of_a_group_has_too_goes_on():
    bench = pending_at(20)
    wider = (SeriesDef("system.load.5m"), SeriesDef(METRIC))
    bench.tick(30, [Reading(2, WALL + 30, [0.0, BAD])], [Group(2, "c", "host", 10.0, wider)])
    bench.tick(50, [Reading(2, WALL + 50, [0.0, BAD])])
    bench.tick(60)
    assert bench.course[1:] == [(60.0, *FIRES)]


def test_the_end_of_a_group_is_as_of_when_it_ended_and_deadlines_before_are_taken_first():
    bench = pending_at(50)
    told = bench.tick(70, groups=[Group(2, "c", "host", 10.0, (), WALL + 65)])
    assert [(alert.at - WALL, alert.state) for alert in told] == [(60.0, "firing"), (65.0, "resolved")]


def test_readings_of_a_group_and_of_the_one_that_replaces_it_may_stand_in_one_tick():
    bench = pending_at(30)
    other = (SeriesDef("system.load.5m"),)
    readings = [Reading(1, WALL + 40, [BAD]), Reading(1, WALL + 60, [BAD]), Reading(2, WALL + 70, [0.0])]
    told = bench.tick(70, readings, [Group(2, "c", "host", 10.0, other, WALL + 70)])
    assert [(alert.at - WALL, alert.state) for alert in told] == [(60.0, "firing"), (70.0, "resolved")]


def test_thresholds_are_firing_at_once_and_inactive_at_once():
    bench = Bench(*(shipped for shipped in THRESHOLDS if shipped.metric == "system.cpu.utilization"), metric="system.cpu.utilization")
    bench.sample(0, 0.95)
    bench.sample(10, 0.75)
    bench.sample(20, 0.70)
    bench.sample(30, 0.95)
    bench.tick(40, groups=[Group(2, "c", "host", 10.0, ())])
    assert [(alert.at - WALL, alert.rule, alert.before, alert.state, alert.muted) for alert in bench.told] == [
        (0.0, "cpu-warning", "inactive", "firing", ""), (0.0, "cpu-critical", "inactive", "firing", ""),
        (10.0, "cpu-critical", "firing", "inactive", ""), (20.0, "cpu-warning", "firing", "inactive", ""),
        (30.0, "cpu-warning", "inactive", "firing", ""), (30.0, "cpu-critical", "inactive", "firing", ""),
        (40.0, "cpu-warning", "firing", "inactive", ""), (40.0, "cpu-critical", "firing", "inactive", ""),
    ]  # fmt: skip


def test_what_ships_is_valid():
    assert len({shipped.name for shipped in SHIPPED}) == len(SHIPPED)
    for shipped in SHIPPED:
        assert shipped.metric in METRICS, shipped.name
        assert shipped.stat in STATS, shipped.name
        assert shipped.severity in SEVERITIES, shipped.name
        assert shipped.no_data in ("keep", "alert", "ok"), shipped.name
        assert shipped.colour == (shipped in THRESHOLDS), shipped.name
        assert not (shipped.colour and shipped.for_s), shipped.name
        assert shipped.keep_s <= 600, shipped.name
        assert isnan(shipped.clear) or (shipped.clear < shipped.limit) == shipped.above, shipped.name


# Other rules -----------------------------------------------------------------------------------------------------------------------------


def test_other_rules_leave_alone_what_goes_on_and_end_what_does_not():
    kept, stricter, gone = rule("kept"), rule("stricter", severity="warning"), rule("gone", severity="warning", for_s=0.0)
    bench = Bench(kept, stricter, gone)
    bench.every_10_s(0, 30, BAD)
    assert {(alert.rule, alert.state) for alert in bench.told} == {("kept", "pending"), ("stricter", "pending"), ("gone", "firing")}
    bench.told.clear()
    worded = replace(kept, runbook="https://wiki.example", notify=("ops",))
    bench.told += bench.stage.use([worded, replace(stricter, for_s=5.0), rule("new", for_s=20.0)], Tick(1, 35.0 + WALL, 35.0))
    assert {(alert.rule, alert.before, alert.state, alert.text) for alert in bench.told} == {
        ("stricter", "pending", "inactive", "its rule has changed"), ("gone", "firing", "resolved", "its rule has changed"),
    }  # fmt: skip
    bench.told.clear()
    bench.every_10_s(40, 70, BAD)
    assert [(alert.rule, alert.at - WALL) for alert in bench.told if alert.state == "firing" != alert.before] == [
        ("stricter", 45.0), ("kept", 60.0), ("new", 60.0),
    ]  # fmt: skip


def test_other_rules_find_the_series_that_are_measured_already():
    bench = Bench()
    bench.every_10_s(0, 20, BAD)
    assert bench.stage.use([rule(for_s=10.0)], Tick(1, 20.0 + WALL, 20.0)) == []
    bench.every_10_s(30, 40, BAD)
    assert bench.course == [(30.0, *PENDS), (40.0, *FIRES)]
