"""From one run of the engine to the next, at awkward moments: nothing fires that should not, and nothing stands for ever."""

from math import inf

import pytest
from msgspec.structs import replace

from perfconsole.core.alerts import UNCLAIMED_S, AlertStage
from perfconsole.core.tick import Group, Reading, Rule, SeriesDef, Tick

WALL = 1.7e9
UP = "httpcheck.up"
LABELS = (("endpoint", "shop"), ("service", "web"))
DOWN = Rule("down", "critical", UP, 0.5, above=False, match=(("endpoint", "*"), ("service", "*")), for_s=60.0, keep_s=20.0, colour=False)
TWICE = Rule("twice", "critical", UP, 0.5, above=False, match=DOWN.match, for_s=10.0, keep_s=0.0, min_events=3, colour=False)


class Run:
    """One run of a stage at one endpoint; boot goes on from one to the next."""

    def __init__(self, *rules, boot=0.0, metrics=(UP,), interval=10.0, labels=LABELS):
        self.stage, self.told, self.boot, self.latest = AlertStage(rules), [], boot, None
        self.group = Group(1, "c", "t", interval, tuple(SeriesDef(metric, labels) for metric in metrics))
        self.tick(boot, groups=[self.group])

    def tick(self, boot, *values, groups=()):
        self.boot = boot
        readings = [Reading(1, WALL + boot, list(values))] if values else []
        self.latest = (WALL + boot, values[0]) if values else self.latest
        self.told += self.stage.step(Tick(1, WALL + boot, boot, groups=list(groups), readings=readings))

    def restore(self, left):
        told = self.stage.restore(left, "b", Tick(1, WALL + self.boot, self.boot), lambda _: self.latest)
        self.told += told
        return [(alert.rule, alert.before, alert.state, alert.at - WALL) for alert in told]

    def beats(self, until):
        while self.boot < until:
            self.tick(self.boot + 0.5)

    @property
    def left(self):
        return self.stage.standings("b")

    @property
    def course(self):
        return [(alert.at - WALL, alert.before, alert.state) for alert in self.told if alert.before != alert.state]


def failed(*moments, rules=(DOWN,), **options):
    run = Run(*rules, **options)
    for moment in moments:
        run.tick(moment, 0.0)
    return run


def test_what_was_well_before_it_was_known_that_it_had_failed_does_not_fire():
    left = failed(0.5, 10.0, interval=60.0).left
    run = Run(DOWN, boot=20.0, interval=60.0)
    run.tick(20.25, 1.0)
    run.tick(21.0)
    assert run.restore(left) == [("down", "pending", "pending", 0.5), ("down", "pending", "inactive", 20.25)]
    run.beats(200.0)
    assert not [state for _, _, state in run.course if state == "firing"]
    assert run.left == []


def test_what_fired_and_was_well_since_is_quiet_from_then_on():
    left = failed(*range(1, 72, 10)).left
    run = Run(DOWN, boot=80.0)
    run.tick(80.5, 1.0)
    run.tick(82.0)
    assert run.restore(left) == [("down", "firing", "firing", 61.0)]
    run.tick(90.5, 1.0)
    run.beats(110.0)
    assert run.course == [(100.5, "firing", "resolved")]


def test_what_was_due_before_it_was_well_has_fired():
    left = failed(*range(1, 52, 10)).left
    run = Run(DOWN, boot=65.0)
    run.tick(70.0, 1.0)
    assert run.restore(left)[1:] == [("down", "pending", "firing", 61.0)]
    run.beats(100.0)
    assert run.course == [(61.0, "pending", "firing"), (90.0, "firing", "resolved")]


def test_quiet_that_was_noted_before_it_failed_again_ends_nothing():
    run = failed(*range(1, 72, 10))
    run.tick(81.0, 1.0)
    left = run.left  # as it was kept last; what follows was not
    assert left[0].deadline == 101.0
    again = Run(DOWN, boot=97.0)
    again.restore(left)
    again.tick(98.0, 0.0)
    again.beats(300.0)
    assert again.course == []


def test_failures_of_this_run_count_beside_those_of_the_last_one():
    left = failed(0.5, rules=[TWICE]).left
    run = Run(TWICE, boot=10.0)
    run.tick(10.5, 0.0)
    run.tick(11.0)
    run.restore(left)
    run.tick(20.5, 0.0)
    assert run.course[-1] == (20.5, "pending", "firing")


def test_what_began_anew_after_a_long_while_is_told_since_then():
    left = failed(0.5, 5.0).left
    run = Run(DOWN, boot=5000.0)
    run.restore(left)
    run.tick(5001.0, 0.0)
    run.tick(5002.0)
    pending = run.told[-1]
    assert (pending.state, pending.since) == ("pending", WALL + 5001.0)
    for moment in range(5011, 5062, 10):
        run.tick(float(moment), 0.0)
    assert run.course[-1] == (5061.0, "pending", "firing")


def test_what_fires_by_itself_already_goes_on_as_that():
    left = failed(0.5).left
    run = Run(DOWN, boot=10.0)
    for moment in range(10, 81, 10):
        run.tick(moment + 0.5, 0.0)
    assert run.course[-1] == (70.5, "pending", "firing")
    run.restore(left)
    assert run.told[-1].fired_at == WALL + 70.5
    run.beats(90.0)
    assert run.course[-1] == (70.5, "pending", "firing")


@pytest.mark.parametrize("known", [True, False])
def test_a_warning_stays_superfluous(known):
    mild = Rule("mild", "warning", UP, 0.7, above=False, match=DOWN.match, for_s=60.0, colour=False)
    first = failed(*range(1, 72, 10), rules=(mild, DOWN))
    assert {standing.alert.rule: standing.alert.muted for standing in first.left} == {"mild": "inhibited by down", "down": ""}
    for order in (1, -1):
        run = Run(mild, DOWN, boot=75.0, metrics=(UP,) if known else ("httpcheck.duration",))
        if known:
            run.tick(75.5, 0.0)
        run.restore(first.left[::order])
        if not known:
            run.tick(76.0, 0.0, groups=[Group(2, "c", "u", 10.0, (SeriesDef(UP, LABELS),))])
        assert {alert.rule: alert.muted for alert in run.told if alert.state == "firing"} == {"mild": "inhibited by down", "down": ""}


def test_one_that_pends_ceases_to_be_superfluous_with_what_made_it_so():
    hot = Rule("hot", "critical", UP, 0.5, above=False, match=DOWN.match, for_s=5.0, keep_s=0.0, colour=False)
    mild = Rule("mild", "warning", UP, 0.7, above=False, match=DOWN.match, for_s=600.0, colour=False)
    run = failed(1.0, 11.0, rules=(hot, mild))
    assert run.told[-1].muted == "inhibited by hot"
    run.tick(21.0, 0.6)
    assert [(alert.rule, alert.state, alert.muted) for alert in run.told[-2:]] == [("hot", "resolved", ""), ("mild", "pending", "")]


def test_what_pended_by_a_rule_that_is_gone_or_another_now_is_over():
    left = failed(0.5).left
    for rules in ((), (Rule("down", "critical", UP, 0.4, above=False, match=DOWN.match, for_s=60.0, colour=False),)):
        for early in (True, False):
            run = Run(*rules, boot=500.0, metrics=(UP,) if early else ("httpcheck.status",))
            told = run.restore(left)
            if not early:
                run.tick(505.0, groups=[Group(2, "c", "u", 10.0, (SeriesDef(UP, LABELS),))])
                told += [(alert.rule, alert.before, alert.state, alert.at - WALL) for alert in run.told if alert.state == "inactive"]
            assert ("down", "pending", "inactive", 500.0) in told or ("down", "pending", "inactive", 505.0) in told
            assert run.left == []


def test_what_is_over_by_another_rule_is_over_when_that_is_known():
    left = failed(*range(1, 72, 10)).left
    run = Run(boot=500.0)
    assert run.restore(left) == [("down", "firing", "resolved", 500.0)]


def test_what_is_measured_otherwise_may_yet_tell_and_what_is_gone_never_will():
    expiry = Rule("ends", "critical", "httpcheck.tls.expiry", 3e5, above=False, match=DOWN.match, for_s=10.0, colour=False)
    first = Run(expiry, metrics=("httpcheck.tls.expiry",))
    for moment in (1.0, 11.0):
        first.tick(moment, 1e5)
    assert [standing.alert.state for standing in first.left] == ["firing"]
    waits = Run(expiry, boot=100.0)  # the endpoint is down: nobody saw its certificate yet
    waits.restore(first.left)
    waits.tick(100.0 + UNCLAIMED_S)
    assert waits.course == []
    assert len(waits.left) == 1
    waits.tick(5000.0, 1.0, 2e5, groups=[Group(1, "c", "t", 10.0, (SeriesDef(UP, LABELS), SeriesDef(expiry.metric, LABELS)))])
    assert [standing.alert.state for standing in waits.left] == ["firing"]
    gone = Run(expiry, boot=100.0, labels=(("endpoint", "other"), ("service", "web")))
    gone.restore(first.left)
    gone.tick(100.0 + UNCLAIMED_S)
    assert gone.course == [(100.0 + UNCLAIMED_S, "firing", "resolved")]
    assert gone.left == []


def test_a_rule_that_is_switched_off_ends_what_nobody_measured_yet():
    left = failed(*range(1, 72, 10)).left
    run = Run(DOWN, boot=100.0, metrics=("httpcheck.status",))
    run.restore(left)
    told = run.stage.use([], Tick(1, WALL + 101.0, 101.0))
    assert [(alert.state, alert.text) for alert in told] == [("resolved", "its rule has changed")]
    assert run.left == []


def test_what_its_last_sample_says_may_be_undecided_by_all_of_them_and_is_then_as_none():
    rate = Rule("rate", "critical", UP, 0.01, match=DOWN.match, stat="ratio", over_s=30.0, for_s=60.0, min_events=2, colour=False)
    left = failed(0.5, 10.5, rules=(rate,)).left
    run = Run(rate, boot=12.0)
    run.tick(35.0, 1.0)  # by itself it is well; of the two failures one is left, and one of two checks is neither
    assert run.restore(left) == [("rate", "pending", "pending", 10.5)]
    run.tick(36.0, 0.0)
    run.beats(100.0)
    assert [state for _, _, state in run.course][-1:] != ["inactive"]


def test_a_window_that_nobody_claimed_yet_is_handed_on_and_one_that_nobody_does_is_let_go():
    hour = Rule("hour", "warning", UP, 0.01, match=DOWN.match, stat="ratio", over_s=3600.0, for_s=60.0, min_events=2, colour=False)
    first = Run(hour)
    for moment in range(1, 100, 10):
        first.tick(float(moment), 1.0)
    kept = list(first.stage.windows("b"))
    waits = Run(hour, boot=200.0, metrics=("httpcheck.status",))
    assert waits.restore(kept) == []
    waits.tick(201.0)
    assert list(waits.stage.windows("b")) == kept
    waits.tick(202.0, groups=[Group(2, "c", "u", 10.0, (SeriesDef(UP, LABELS),))])
    assert [len(one.window) for one in waits.stage.windows("b")] == [len(kept[0].window)]
    gone = Run(hour, boot=200.0, metrics=("httpcheck.status",))
    gone.restore(kept)
    gone.tick(200.5 + UNCLAIMED_S)
    assert list(gone.stage.windows("b")) == []


def test_the_window_of_a_rule_that_decides_otherwise_now_says_nothing():
    hour = Rule("hour", "warning", UP, 0.01, match=DOWN.match, stat="ratio", over_s=3600.0, for_s=60.0, min_events=2, colour=False)
    first = Run(hour)
    for moment in range(1, 100, 10):
        first.tick(float(moment), 1.0)
    for rule, held in ((hour, 10), (replace(hour, over_s=1800.0), 0)):
        again = Run(rule, boot=200.0)
        again.restore(list(first.stage.windows("b")))
        again.tick(201.0)
        assert [one.course.held for one, _ in again.stage.watched()] == [held]


@pytest.mark.parametrize("stat", ["avg", "max", "p95", "ratio"])
def test_after_a_boot_with_a_clock_that_was_set_back_nothing_lies_in_the_future(stat):
    """A machine without a clock that lasts begins where its last one ended, or before."""
    hour = Rule("hour", "warning", UP, 0.01, match=DOWN.match, stat=stat, over_s=600.0, for_s=60.0, colour=False)
    first = Run(hour, boot=5000.0)
    for moment in range(5010, 5510, 10):
        first.tick(float(moment), 0.5 if moment % 50 else 1.0)
    left = [replace(one, boot_id="a", offset_s=WALL + 4000.0) for one in (*first.left, *first.stage.windows("b"))]
    again = Run(hour, boot=20.0)
    again.restore(left)
    for moment in range(30, 611, 10):
        again.tick(float(moment), 0.0)
        assert list(again.stage.windows("b"))
    ((one, _),) = again.stage.watched()
    assert one.course.held == 59  # what was before has left the window


def test_another_interval_is_another_window():
    slow = Rule("slow", "critical", "httpcheck.duration", 1.0, match=DOWN.match, stat="p50", over_s=60.0, for_s=60.0, colour=False,
                stretches=True)  # fmt: skip
    run = Run(slow, metrics=("httpcheck.duration",))
    run.tick(1.0, groups=[Group(2, "c", "t", 120.0, run.group.series)])
    for moment in range(100, 1100, 120):
        run.boot = float(moment)
        run.told += run.stage.step(Tick(1, WALL + moment, float(moment), readings=[Reading(2, WALL + moment, [5.0])]))
    assert [state for _, _, state in run.course] == ["pending", "firing"]


def test_no_due_is_lost_or_taken_twice():
    left = failed(0.5, 10.0).left
    run = Run(DOWN, boot=12.0)
    run.restore(left)
    run.restore([])
    run.beats(34.0)
    assert run.course == []  # 24 s after the last check nobody has looked for longer than counts
    assert left[0].deadline == 60.5
    assert inf not in {standing.last for standing in run.left}
