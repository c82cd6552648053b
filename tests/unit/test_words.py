"""Alerts in words."""

from math import nan

import pytest

from perfconsole.core.tick import Alert
from perfconsole.core.words import breach, lasting

BEGAN = 1000.0


def alert(since=BEGAN, metric="system.memory.utilization", labels=(), value=0.82, limit=0.8, *, above=True):
    return Alert("id", "rule", metric, labels, "warning", "firing", "inactive", since, since, value, limit, above)


@pytest.mark.parametrize(
    ("since", "now", "words"),
    [
        (BEGAN, BEGAN + 0.4, "now"),  # nothing is over "now"
        (BEGAN + 2, BEGAN + 92, "for over 1m30s"),
        (BEGAN + 60, BEGAN + 60.9, "now"),
        (BEGAN + 60, BEGAN + 72, "for 12s"),
        (BEGAN + 60, BEGAN + 59, "now"),  # the clock was set
    ],
)
def test_how_long_an_alert_lasts(since, now, words):
    assert lasting(alert(since), now, BEGAN) == words


def test_a_breach_names_what_is_where_and_which_threshold_it_crossed():
    assert breach(alert(), 0.834) == "memory 83% > 80%"
    assert breach(alert(), nan) == "memory 82% > 80%"
    assert breach(alert(metric="system.filesystem.utilization", labels=(("mountpoint", "/var"),)), 0.91) == "disk /var 91% > 80%"
    assert breach(alert(metric="system.load.1m", value=0.1, limit=0.5, above=False), 0.2) == "load 0.2 < 0.5"
