"""A filesystem that fills up is told to somebody, the sooner it will be full the graver; one that stops to fill is well."""

from math import nan

import pytest

from perfconsole.core import words
from perfconsole.core.alerts import AlertStage
from perfconsole.core.shipped import SHIPPED
from perfconsole.core.tick import Group, Reading, SeriesDef, Tick

METRIC = "system.filesystem.time_to_full"
ALERTS = [rule for rule in SHIPPED if rule.metric == METRIC and not rule.colour]
WALL = 1.7e9


def lived(*spans):
    """What comes of a filesystem that is so far from full, in seconds, for so long each, measured every 10 s."""
    stage, out, boot = AlertStage(ALERTS), [], 0.0
    group = Group(1, "filesystems", "host", 10.0, (SeriesDef(METRIC, (("mountpoint", "/var"),)),))
    out += stage.step(Tick(0, WALL, 0.0, groups=[group]))
    for lasts_s, value in spans:
        for _ in range(int(lasts_s / 10)):
            boot += 10.0
            out += stage.step(Tick(1, WALL + boot, boot, readings=[Reading(1, WALL + boot, [value])]))
    return [(alert.rule, alert.state, alert.at - WALL) for alert in out if alert.state != alert.before], out


@pytest.mark.parametrize(
    ("left_s", "fires"),
    [(2 * 3600.0, ["disk-filling-warning"]), (1800.0, ["disk-filling-critical", "disk-filling-warning"]), (5 * 3600.0, []), (nan, [])],
)
def test_what_is_full_soon_fires_after_five_minutes(left_s, fires):
    turns, _ = lived((400.0, left_s))
    assert sorted(rule for rule, state, _ in turns if state == "firing") == fires
    assert {at for _, state, at in turns if state == "firing"} <= {310.0}


def test_what_stops_to_fill_is_well_though_nothing_is_known_of_when_it_would_be_full():
    turns, told = lived((200.0, 1800.0), (600.0, nan))
    assert {state for _, state, _ in turns} == {"pending", "inactive"}
    turns, told = lived((400.0, 1800.0), (600.0, nan))
    assert sorted(rule for rule, state, _ in turns if state == "resolved") == ["disk-filling-critical", "disk-filling-warning"]
    (fired,) = (alert for alert in told if alert.state == "firing" and alert.rule == "disk-filling-critical" and alert.before == "pending")
    assert words.breach(fired, fired.value).startswith("time until full of /var 30m")


def test_the_milder_one_is_muted_by_the_graver():
    _, told = lived((400.0, 1800.0))
    muted = {alert.rule: alert.muted for alert in told}
    assert muted["disk-filling-warning"] == "inhibited by disk-filling-critical"
