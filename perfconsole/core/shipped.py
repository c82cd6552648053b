"""The rules that ship, in force unless a configuration says otherwise: thresholds, which colour at once, and alerts, which have to last.

Ratios and percentiles of endpoints are of our own checks. Their window is a minute, a fifth of the shortest duration: over a window as long
as the duration, one bad minute would count for five.
"""

from math import nan
from typing import Final, NotRequired, TypedDict, Unpack

from perfconsole.core.tick import Rule

KEPT_S: Final = 300.0
"""How long a value has to stay well for an alert to be over: a third of the time that it took to fire, and at most so long."""

RESPOND_S: Final = {"critical": 300.0, "warning": 3600.0, "info": nan}
"""Within what time somebody should answer."""

API: Final = "api-latency-warning"
CRITICAL: Final = "error-budget-warning"
MARKED: Final = frozenset({API, CRITICAL})
"""Of endpoints that are marked ``api``, or ``critical``, alone: which these are, only a configuration knows."""

_ENDPOINT: Final = (("endpoint", "*"), ("service", "*"))
_MOUNTED: Final = (("mountpoint", "*"),)
_SERVER: Final = (("server", "*"),)
_UNIT: Final = (("unit", "*"),)
_COLLECTED: Final = (("collector", "*"), ("target", "*"))
_TIME_TO_FULL: Final = "system.filesystem.time_to_full"
_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0
_DAY_S: Final = 86400.0


class _More(TypedDict):
    above: NotRequired[bool]
    match: NotRequired[tuple[tuple[str, str], ...]]
    stat: NotRequired[str]
    over_s: NotRequired[float]
    keep_s: NotRequired[float]
    min_samples: NotRequired[int]
    min_events: NotRequired[int]
    no_data: NotRequired[str]


def keep_s(for_s: float) -> float:
    """How long it stays well before an alert is over that takes so long to fire, unless it is said."""
    return min(for_s / 3, KEPT_S)


def _alert(name: str, metric: str, limit: float, for_s: float, **more: Unpack[_More]) -> Rule:
    severity = name.rpartition("-")[2]
    if "stat" in more:
        more.setdefault("over_s", _MINUTE_S)
    more.setdefault("keep_s", keep_s(for_s))
    return Rule(name, severity, metric, limit, for_s=for_s, respond_s=RESPOND_S[severity], colour=False, stretches=True, **more)


THRESHOLDS: Final = (
    Rule("cpu-warning", "warning", "system.cpu.utilization", 0.70),
    Rule("cpu-critical", "critical", "system.cpu.utilization", 0.90),
    Rule("memory-warning", "warning", "system.memory.utilization", 0.80),
    Rule("memory-critical", "critical", "system.memory.utilization", 0.90),
    Rule("disk-warning", "warning", "system.filesystem.utilization", 0.85, match=_MOUNTED),
    Rule("disk-critical", "critical", "system.filesystem.utilization", 0.95, match=_MOUNTED),
    # What does not fill up any more has no time left to tell: that is well, not unknown.
    Rule("filling-warning", "warning", _TIME_TO_FULL, 4 * _HOUR_S, above=False, match=_MOUNTED, no_data="ok"),
    Rule("filling-critical", "critical", _TIME_TO_FULL, _HOUR_S, above=False, match=_MOUNTED, no_data="ok"),
    Rule("conntrack-warning", "warning", "system.conntrack.utilization", 0.80),
    Rule("conntrack-critical", "critical", "system.conntrack.utilization", 0.95),
    Rule("accept-warning", "warning", "system.tcp.listen.drops", 0.0),
    Rule("tcp-memory-warning", "warning", "system.tcp.memory.utilization", 0.80),
    Rule("array-critical", "critical", "system.array.degraded", 0.5, match=(("device", "*"),)),
    Rule("unit-memory-warning", "warning", "cgroup.memory.utilization", 0.90, match=_UNIT),
    Rule("unit-throttled-warning", "warning", "cgroup.cpu.throttled.ratio", 0.25, match=_UNIT),
    Rule("endpoint-down", "critical", "httpcheck.up", 0.5, above=False, match=_ENDPOINT),
    Rule("response-warning", "warning", "httpcheck.duration", 0.5, match=_ENDPOINT),
    Rule("response-critical", "critical", "httpcheck.duration", 1.0, match=_ENDPOINT),
    Rule("certificate-warning", "warning", "httpcheck.tls.expiry", 14 * _DAY_S, above=False, match=_ENDPOINT),
    Rule("certificate-critical", "critical", "httpcheck.tls.expiry", 3 * _DAY_S, above=False, match=_ENDPOINT),
)

_STANDARD: Final = (
    # One failed check may be a hiccup of the network between: it takes two, however long the time between them.
    _alert("service-down-critical", "httpcheck.up", 0.5, _MINUTE_S, above=False, match=_ENDPOINT, min_events=2),
    _alert("error-rate-critical", "httpcheck.up", 0.01, 5 * _MINUTE_S, match=_ENDPOINT, stat="ratio", min_events=2),
    _alert("response-time-critical", "httpcheck.duration", 1.0, 5 * _MINUTE_S, match=_ENDPOINT, stat="p50"),
    _alert("memory-usage-critical", "system.memory.utilization", 0.90, 10 * _MINUTE_S, stat="avg"),
    _alert("cpu-usage-critical", "system.cpu.utilization", 0.90, 15 * _MINUTE_S, stat="avg"),
    _alert("response-time-warning", "httpcheck.duration", 0.5, 15 * _MINUTE_S, match=_ENDPOINT, stat="p50"),
    _alert("error-rate-warning", "httpcheck.up", 0.005, 15 * _MINUTE_S, match=_ENDPOINT, stat="ratio", min_events=2),
    _alert("pool-usage-warning", "postgresql.connections.utilization", 0.80, 10 * _MINUTE_S, match=_SERVER),
)

_BESIDE: Final = (
    # What fails now and then is hardly ever above its share at every moment of five minutes: one check in twenty is found within 20 minutes
    # by this, and never by the rules above. Of an outage that was told of it adds nothing (`core.muting`).
    _alert(
        "intermittent-errors-warning",
        "httpcheck.up",
        0.01,
        5 * _MINUTE_S,
        match=_ENDPOINT,
        stat="ratio",
        over_s=30 * _MINUTE_S,
        min_events=4,
    ),
    _alert(API, "httpcheck.duration", 0.2, 5 * _MINUTE_S, match=_ENDPOINT, stat="p95", over_s=10 * _MINUTE_S),
    # A promise of 99.9 % cannot be judged by fewer than a thousand checks: at one every 10 s those of three hours.
    _alert(
        CRITICAL, "httpcheck.up", 0.001, 5 * _MINUTE_S, match=_ENDPOINT, stat="ratio", over_s=3 * _HOUR_S, min_samples=1000, min_events=2
    ),
    _alert("slow-query-warning", "postgresql.statement.longest", 1.0, 0.0, match=_SERVER, keep_s=_MINUTE_S),
    # One that began and ended between two looks. Known while statements are read: when they are not any more, there is nothing to add.
    _alert(
        "slow-query-ended-warning",
        "postgresql.statement.slowest",
        1.0,
        0.0,
        match=_SERVER,
        stat="max",
        keep_s=_MINUTE_S,
        no_data="ok",
    ),
    _alert(
        "cache-hit-warning",
        "postgresql.cache.hit_ratio",
        0.95,
        10 * _MINUTE_S,
        above=False,
        match=_SERVER,
        stat="avg",
        over_s=5 * _MINUTE_S,
    ),
    _alert("cpu-hour-warning", "system.cpu.utilization", 0.70, 5 * _MINUTE_S, stat="avg", over_s=_HOUR_S),
    _alert("memory-buffer-warning", "system.memory.utilization", 0.80, 10 * _MINUTE_S, stat="avg"),
    _alert("disk-usage-critical", "system.filesystem.utilization", 0.95, 5 * _MINUTE_S, match=_MOUNTED),
    _alert("disk-usage-warning", "system.filesystem.utilization", 0.85, 5 * _MINUTE_S, match=_MOUNTED),
    # As the thresholds of the same name: what stops to fill up is well.
    _alert("disk-filling-critical", _TIME_TO_FULL, _HOUR_S, 5 * _MINUTE_S, above=False, match=_MOUNTED, no_data="ok"),
    _alert("disk-filling-warning", _TIME_TO_FULL, 4 * _HOUR_S, 5 * _MINUTE_S, above=False, match=_MOUNTED, no_data="ok"),
    _alert("filesystem-failed-critical", "system.filesystem.failed", 0.5, 10.0, match=_MOUNTED, keep_s=5.0),
    _alert("oom-kill-warning", "system.oom_kills", 0.0, 0.0, keep_s=10 * _MINUTE_S),
    _alert("array-degraded-critical", "system.array.degraded", 0.5, _MINUTE_S, match=(("device", "*"),)),
    _alert("conntrack-full-critical", "system.conntrack.utilization", 0.95, _MINUTE_S),
    _alert("units-failed-warning", "system.units.failed", 0.0, 5 * _MINUTE_S),
    _alert("unit-memory-limit-critical", "cgroup.memory.utilization", 0.95, 5 * _MINUTE_S, match=_UNIT, stat="avg"),
    _alert("unit-throttling-warning", "cgroup.cpu.throttled.ratio", 0.25, 5 * _MINUTE_S, match=_UNIT, stat="avg"),
    _alert("login-after-failures-critical", "system.logins.breached", 0.0, 0.0),
    _alert("cpu-steal-warning", "system.cpu.steal.ratio", 0.10, 5 * _MINUTE_S, stat="avg"),
    _alert("certificate-expiry-critical", "httpcheck.tls.expiry", 3 * _DAY_S, _MINUTE_S, above=False, match=_ENDPOINT),
    _alert("certificate-expiry-warning", "httpcheck.tls.expiry", 14 * _DAY_S, _MINUTE_S, above=False, match=_ENDPOINT),
    _alert("database-down-critical", "postgresql.up", 0.5, _MINUTE_S, above=False, match=_SERVER, min_events=2),
    # Sooner than of a pool that is 80% full: from here on it is not long until the server refuses.
    _alert("connections-scarce-warning", "postgresql.connections.utilization", 0.85, _MINUTE_S, match=_SERVER),
    _alert("sessions-blocked-warning", "postgresql.sessions.blocked", 0.0, 10.0, match=_SERVER, keep_s=5.0),
    _alert("idle-transaction-warning", "postgresql.transaction.idle", _MINUTE_S, 10.0, match=_SERVER, keep_s=5.0),
    _alert("pool-wait-warning", "postgresql.pool.max_wait", 1.0, 30.0, match=_SERVER),
    _alert("replication-lag-warning", "postgresql.replication.lag", 30.0, _MINUTE_S, match=_SERVER),
    _alert("slot-retained-warning", "postgresql.replication.slot.retained", 10e9, _MINUTE_S, match=_SERVER),
    # Lost for good, or from the next checkpoint on: what reads it has to be built anew.
    _alert("slot-lost-critical", "postgresql.replication.slots.lost", 0.0, 10.0, match=_SERVER, keep_s=5.0),
    _alert("temp-files-warning", "postgresql.temp.live", 1e9, 30.0, match=_SERVER),
    # More than half of them: the log grows too fast for max_wal_size.
    _alert("checkpoints-requested-warning", "postgresql.checkpoints.requested.ratio", 0.5, 10 * _MINUTE_S, match=_SERVER),
    _alert("statement-evictions-warning", "postgresql.statements.evictions", 0.0, 10 * _MINUTE_S, match=_SERVER),
    _alert("xid-age-warning", "postgresql.xid.age", 1e9, _MINUTE_S, match=_SERVER),
    _alert("monitoring-blind-warning", "perfconsole.collector.blind", 0.5, 5 * _MINUTE_S, match=_COLLECTED),
)

SHIPPED: Final = (*THRESHOLDS, *_STANDARD, *_BESIDE)
