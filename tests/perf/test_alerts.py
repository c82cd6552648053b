"""What the alert stage costs through `step(tick)`, in time of the CPU, of which a busy machine takes none away.

Figures are printed, whether they please or not; only what no machine excuses fails: a tenth of what is promised.
"""

import time
from random import Random

import pytest

from perfconsole.core.alerts import AlertStage
from perfconsole.core.tick import Group, Reading, Rule, SeriesDef, Tick

pytestmark = pytest.mark.slow

METRIC = "httpcheck.duration"
MATCH = (("endpoint", "*"), ("service", "*"))
SERIES, GROUP, INTERVAL_S = 1000, 50, 2.0
WALL = 1.7e9

KINDS = {
    "last": [Rule("slow", "warning", METRIC, 0.5, match=MATCH), Rule("very slow", "critical", METRIC, 1.0, match=MATCH)],
    "avg over 60 s": [Rule("average", "warning", METRIC, 0.5, match=MATCH, stat="avg", over_s=60.0, for_s=900.0, colour=False)],
    "p95 over 60 s": [Rule("p95", "critical", METRIC, 1.0, match=MATCH, stat="p95", over_s=60.0, for_s=300.0, colour=False)],
}


def world(rules):
    """A stage that knows a thousand series, and the ticks of the minutes that follow; one value in a hundred is bad."""
    stage, random = AlertStage(rules), Random(1)
    definitions = [SeriesDef(METRIC, (("endpoint", f"e{i}"), ("service", "shop"))) for i in range(SERIES)]
    groups = [Group(i + 1, "http", f"g{i}", INTERVAL_S, tuple(definitions[i * GROUP : (i + 1) * GROUP])) for i in range(SERIES // GROUP)]
    stage.step(Tick(0, WALL, 0.0, groups=groups))

    def ticks(start, count):
        for number in range(start, start + count):
            boot = number * INTERVAL_S
            yield Tick(number, WALL + boot, boot, readings=[Reading(group.id, WALL + boot, values(), None) for group in groups])

    def values():
        return [random.uniform(2.0, 3.0) if random.random() < 0.01 else random.uniform(0.0, 0.4) for _ in range(GROUP)]

    return stage, ticks


def evaluations_a_second(rules, ticks=40):
    """The best of three runs, windows full."""
    stage, following = world(rules)
    for tick in following(1, 60):
        stage.step(tick)
    best = 0.0
    for run in range(3):
        made = list(following(61 + run * ticks, ticks))
        began = time.process_time()
        for tick in made:
            stage.step(tick)
        best = max(best, len(rules) * SERIES * ticks / (time.process_time() - began))
    return best


def test_evaluations(tell):
    """One comparison for most; a window for each of the others. Together is what a set of rules is like: two thresholds, two alerts."""
    for name, rules in KINDS.items():
        tell(f"alerts: evaluations/s, {name}", f"{evaluations_a_second(rules):,.0f}")
    together = evaluations_a_second([rule for rules in KINDS.values() for rule in rules])
    tell("alerts: evaluations/s, all of them", f"{together:,.0f}", "", "500,000")
    assert together > 50_000


WARNING = Rule("slow", "warning", METRIC, 0.5, match=MATCH, colour=False)
CRITICAL = Rule("very slow", "critical", METRIC, 1.0, match=MATCH, colour=False)
STORMS = {
    "1,000 alerts": ([CRITICAL], 2.0),
    "1,000 alerts that mute 1,000": ([WARNING, CRITICAL], 2.0),
    "1,000 deadlines": ([Rule("long", "critical", METRIC, 1.0, match=MATCH, for_s=3.0, colour=False)], 5.0),
}
"""Rules, and when all of it is told: at the readings of 2 s, or at the deadline that lies 3 s after them."""


@pytest.mark.parametrize("storm", STORMS)
def test_a_storm(tell, storm):
    """Everything is bad at once."""
    rules, told_at = STORMS[storm]
    took_s = []
    for _ in range(5):
        stage, _ = world(rules)
        bad = Tick(1, WALL + 2, 2.0, readings=[Reading(i + 1, WALL + 2, [5.0] * GROUP) for i in range(SERIES // GROUP)])
        later = Tick(2, WALL + 5, 5.0)
        began = time.process_time()
        told = stage.step(bad)
        if told_at > bad.boot:
            began = time.process_time()
            told = stage.step(later)
        took_s.append(time.process_time() - began)
        assert sum(alert.state == "firing" and alert.before != "firing" for alert in told) == SERIES * len(rules)
    tell(f"alerts: a storm of {storm}", f"{min(took_s) * 1e3:.1f} ms", "", "50 ms")
    assert min(took_s) < 0.5
