"""Alerts in words."""

from math import nan

import pytest
from msgspec import structs

from perfconsole.core.alerts import worst_first
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
        (BEGAN + 60, BEGAN + 659, "for 9m59s"),
        (BEGAN + 60, BEGAN + 719, "for 10m"),
        (BEGAN, BEGAN + 3_599, "for over 59m"),
        (BEGAN + 60, BEGAN + 3_660, "for 1h00m"),
    ],
)
def test_how_long_an_alert_lasts(since, now, words):
    assert lasting(alert(since), now, BEGAN) == words


def test_since_when_a_certificate_ends_soon_is_not_told():
    assert lasting(alert(metric="httpcheck.tls.expiry", above=False), BEGAN + 90, 0.0) == ""


def test_a_breach_names_what_is_where_and_which_threshold_it_crossed():
    assert breach(alert(), 0.834) == "memory 83% > 80%"
    assert breach(alert(), nan) == "memory 82% > 80%"
    assert breach(alert(metric="system.filesystem.utilization", labels=(("mountpoint", "/var"),)), 0.91) == "disk /var 91% > 80%"
    assert breach(alert(metric="system.load.1m", value=0.1, limit=0.5, above=False), 0.2) == "load 0.2 < 0.5"


ENDPOINT = (("endpoint", "checkout"), ("service", "shop"))


@pytest.mark.parametrize(
    ("metric", "labels", "value", "said"),
    [
        ("httpcheck.up", ENDPOINT, 0.0, "checkout is down"),
        ("httpcheck.up", (("service", "shop"),), 0.0, "shop is down"),
        ("httpcheck.up", (), 0.0, "an endpoint is down"),
        ("httpcheck.duration", ENDPOINT, 0.812, "checkout took 812ms > 500ms"),
        ("httpcheck.duration", (), 0.812, "the slowest endpoint took 812ms > 500ms"),
        ("httpcheck.error.ratio", (("service", "shop"),), 0.512, "errors of shop 51.2% > 50%"),
        ("httpcheck.tls.expiry", ENDPOINT, 2.2 * 86400, "certificate of checkout ends in 2d4h"),
        ("httpcheck.tls.expiry", ENDPOINT, -90000.0, "certificate of checkout ended 1d1h ago"),
        ("httpcheck.tls.expiry", (), 3600.0, "a certificate ends in 1h00m"),
    ],
)
def test_what_is_the_matter_with_an_endpoint_is_said_as_people_would(metric, labels, value, said):
    above = metric in {"httpcheck.duration", "httpcheck.error.ratio"}
    assert breach(alert(metric=metric, labels=labels, value=value, limit=0.5, above=above), value) == said


def test_an_endpoint_that_is_down_is_not_told_to_be_slow_as_well():
    down = alert(metric="httpcheck.up", labels=ENDPOINT, above=False)
    slow = alert(metric="httpcheck.duration", labels=ENDPOINT)
    other = alert(metric="httpcheck.duration", labels=(("endpoint", "cart"), ("service", "shop")))
    assert worst_first([slow, other, down]) == [other, down]
    assert worst_first([slow, other]) == [slow, other]


def test_a_statistic_is_told_with_its_window_and_of_how_many_samples_it_is():
    of = {"stat": "avg", "over_s": 60.0, "n": 30}
    assert breach(structs.replace(alert(), **of), 0.2) == "memory avg 82% > 80% over 1m (n 30)"
    labels = (("endpoint", "shop"), ("service", "web"))
    slow = alert(metric="httpcheck.duration", labels=labels, value=1.25, limit=1.0)
    assert breach(structs.replace(slow, stat="p95", over_s=300.0, n=31), nan) == "shop probe p95 1.2s > 1.0s over 5m (n 31)"
    errors = structs.replace(alert(metric="httpcheck.up", labels=labels, value=0.125, limit=0.01), stat="ratio", over_s=60.0, n=8)
    assert breach(errors, 0.0) == "probe errors of shop 12.5% > 1.0% over 1m (n 8)"
    assert worst_first([errors, slow]) == [errors, slow]  # an endpoint with errors is not down: that it is slow is told, too
