"""Alerts in words."""

from math import nan

import pytest
from msgspec import structs

from perfconsole.core.alert_order import worst_first
from perfconsole.core.shipped import SHIPPED
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


SERVER, MOUNT = (("server", "orders"),), (("mountpoint", "/var"),)


@pytest.mark.parametrize(
    ("metric", "labels", "value", "limit", "above", "said"),
    [
        ("postgresql.up", SERVER, 0.0, 0.5, False, "orders is down"),
        ("postgresql.up", (), 0.0, 0.5, False, "a server is down"),
        ("postgresql.up", SERVER, 1.0, 0.5, True, "orders is up"),
        ("postgresql.connections.utilization", SERVER, 0.92, 0.8, True, "connections of orders 92% > 80%"),
        ("postgresql.connections", SERVER, 812.0, 500.0, True, "connections of orders 812 > 500"),
        ("postgresql.statement.longest", SERVER, 612.0, 1.0, True, "longest statement of orders 10m12s > 1.0s"),
        ("postgresql.statement.slowest", SERVER, 1.23, 1.0, True, "slowest finished statement of orders 1.2s > 1.0s"),
        ("postgresql.temp.live", SERVER, 12e9, 1e9, True, "temporary files of orders 11G > 954M"),
        ("postgresql.checkpoints.requested.ratio", SERVER, 0.8, 0.5, True, "requested checkpoints of orders 80% > 50%"),
        ("postgresql.statements.evictions", SERVER, 0.5, 0.0, True, "statements of orders are forgotten: pg_stat_statements is full"),
        ("postgresql.replication.slots.lost", SERVER, 2.0, 0.0, True, "2 slots of orders lose their log"),
        ("postgresql.cache.hit_ratio", SERVER, 0.91, 0.95, False, "cache hits of orders 91% < 95%"),
        ("postgresql.sessions.blocked", SERVER, 3.0, 0.0, True, "3 sessions of orders are blocked"),
        ("postgresql.sessions.blocked", (), 1.0, 0.0, True, "1 session of a server is blocked"),
        ("system.units.failed", (), 2.0, 0.0, True, "2 units have failed"),
        ("system.oom_kills", (), 0.5, 0.0, True, "the kernel killed a process because memory ran out"),
        ("system.logins.breached", (), 0.5, 0.0, True, "a log-in succeeded after failures"),
        ("system.array.degraded", (("device", "md0"),), 1.0, 0.5, True, "array md0 is degraded"),
        ("system.array.degraded", (), 1.0, 0.5, True, "an array is degraded"),
        ("postgresql.transaction.idle", SERVER, 130.0, 60.0, True, "idle transaction of orders 2m10s > 1m00s"),
        ("postgresql.transaction.longest", SERVER, 3700.0, 600.0, True, "longest transaction of orders 1h01m > 10m00s"),
        ("postgresql.replication.lag", SERVER, 45.0, 30.0, True, "replication lag of orders 45s > 30s"),
        ("postgresql.replication.slot.retained", SERVER, 12e9, 10e9, True, "log kept for a slot of orders 11G > 9.3G"),
        ("postgresql.xid.age", SERVER, 1.2e9, 1e9, True, "transaction id age of orders 1.2G > 1.0G"),
        ("postgresql.pool.max_wait", SERVER, 2.1, 1.0, True, "wait for the pool of orders 2.1s > 1.0s"),
        ("postgresql.pool.waiting", SERVER, 7.0, 5.0, True, "clients that wait for the pool of orders 7 > 5"),
        ("postgresql.deadlocks", SERVER, 0.5, 0.0, True, "deadlocks of orders 0.5/s > 0/s"),
        ("system.filesystem.failed", MOUNT, 1.0, 0.5, True, "/var was made read-only by the kernel"),
        ("system.filesystem.failed", (), 1.0, 0.5, True, "a filesystem was made read-only by the kernel"),
        ("system.uptime", (), 30.0, 60.0, False, "uptime 30s < 1m00s"),
        ("system.oom_kills", (), 0.5, 0.1, True, "OOM kills 0.5/s > 0.1/s"),
    ],
)
def test_no_metric_of_a_rule_is_told_by_its_name(metric, labels, value, limit, above, said):
    assert breach(alert(metric=metric, labels=labels, value=value, limit=limit, above=above), nan) == said


def test_of_no_shipped_rule_the_metric_is_told_by_its_name():
    for rule in SHIPPED:
        labels = tuple((name, "x") for name, _ in rule.match)
        one = structs.replace(
            alert(metric=rule.metric, labels=labels, limit=rule.limit, above=rule.above), stat=rule.stat, over_s=rule.over_s
        )
        assert rule.metric.partition(".")[2] not in breach(one, nan), rule.name
        assert rule.metric not in breach(one, nan), rule.name


def test_what_is_well_again_is_told_as_it_was_when_it_was_not():
    for rule in SHIPPED:
        labels = tuple((name, "x") for name, _ in rule.match)
        worse = rule.limit * 1.5 + 1 if rule.above else rule.limit / 2
        well = rule.limit / 2 if rule.above else rule.limit * 1.5
        one = structs.replace(
            alert(metric=rule.metric, labels=labels, value=worse, limit=rule.limit, above=rule.above), stat=rule.stat, over_s=rule.over_s
        )
        assert breach(one, well) == breach(one, nan) == breach(one, worse), rule.name


def test_statistics_of_what_is_no_share_have_words_of_their_own():
    killed = structs.replace(alert(metric="system.oom_kills", value=0.5, limit=0.0), stat="max", over_s=600.0, n=300)
    assert breach(killed, nan) == "memory ran out and the kernel killed processes within 10m"
    assert breach(structs.replace(killed, limit=0.1), nan) == "OOM kills max 0.5/s > 0.1/s over 10m (n 300)"
    steal = structs.replace(alert(metric="system.cpu.steal.ratio", value=0.15, limit=0.1), stat="avg", over_s=60.0, n=30)
    assert breach(steal, nan) == "CPU steal avg 15% > 10% over 1m (n 30)"
    failing = structs.replace(alert(metric="postgresql.up", labels=SERVER, value=0.125, limit=0.01), stat="ratio", over_s=60.0, n=8)
    assert breach(failing, nan) == "probe errors of orders 12.5% > 1.0% over 1m (n 8)"
    near = structs.replace(failing, value=2 / 1600, limit=0.001, n=1600)
    assert breach(near, nan) == "probe errors of orders 0.12% > 0.10% over 1m (n 1600)"
