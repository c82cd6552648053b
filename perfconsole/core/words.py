"""Numbers and things in words, the same on screens, in text output and in messages."""

from math import isnan
from typing import Final

from perfconsole.core import units
from perfconsole.core.metrics import METRICS
from perfconsole.core.state import Labels
from perfconsole.core.tick import Alert

_NAMES: Final = {
    "system.cpu.utilization": "CPU",
    "system.memory.utilization": "memory",
    "system.paging.utilization": "swap",
    "system.filesystem.utilization": "disk",
    "system.filesystem.inodes.utilization": "inodes",
    "system.load.1m": "load",
    "system.fd.utilization": "open files",
    "system.filesystem.failed": "filesystem",
    "system.oom_kills": "OOM kills",
    "system.units.failed": "failed units",
    "system.cpu.steal.ratio": "CPU steal",
    "system.filesystem.time_to_full": "time until full of",
    "system.conntrack.utilization": "connection tracking",
    "system.tcp.listen.drops": "connections refused at a full queue",
    "system.tcp.memory.utilization": "TCP memory",
    "system.array.degraded": "array",
    "system.logins.breached": "log-ins after failures",
    "cgroup.memory.utilization": "memory of",
    "cgroup.cpu.throttled.ratio": "throttling of",
    "perfconsole.collector.blind": "monitoring of",
    "postgresql.up": "server",
    "postgresql.connections.utilization": "connections",
    "postgresql.sessions.blocked": "blocked sessions",
    "postgresql.statement.longest": "longest statement",
    "postgresql.statement.slowest": "slowest finished statement",
    "postgresql.statements.evictions": "evictions of statements",
    "postgresql.temp.live": "temporary files",
    "postgresql.checkpoints.requested.ratio": "requested checkpoints",
    "postgresql.transaction.longest": "longest transaction",
    "postgresql.transaction.idle": "idle transaction",
    "postgresql.cache.hit_ratio": "cache hits",
    "postgresql.replication.lag": "replication lag",
    "postgresql.replication.slot.retained": "log kept for a slot",
    "postgresql.replication.slots.lost": "slots that lose their log",
    "postgresql.xid.age": "transaction id age",
    "postgresql.pool.max_wait": "wait for the pool",
    "postgresql.pool.waiting": "clients that wait for the pool",
}
FAILED: Final = "system.filesystem.failed"
"""A filesystem that the kernel has made read-only is told in words, as something is that is down."""

BLIND: Final = "perfconsole.collector.blind"
"""Likewise what cannot be measured any more."""

_HAPPENED: Final = {
    "system.oom_kills": "the kernel killed a process because memory ran out",
    "system.logins.breached": "a log-in succeeded after failures",
    "system.tcp.listen.drops": "connections were refused at a full queue",
    "postgresql.statements.evictions": "statements of {} are forgotten: pg_stat_statements is full",
}
"""What is told by its being at all; how many a second it is says nothing to anybody."""

_COUNTED: Final = {
    "system.units.failed": ("1 unit has failed", "{0} units have failed"),
    "postgresql.sessions.blocked": ("1 session of {1} is blocked", "{0} sessions of {1} are blocked"),
    "postgresql.replication.slots.lost": ("1 slot of {1} loses its log", "{0} slots of {1} lose their log"),
}
"""What is counted, and of which there should be none."""

_OF_SERVERS: Final = "postgresql."
_UP: Final = ".up"
_DEGRADED: Final = "system.array.degraded"
_KILLS: Final = "system.oom_kills"
_LONG_S: Final = 600.0
_EXPIRY: Final = "httpcheck.tls.expiry"
_OF_ENDPOINTS: Final = frozenset({"httpcheck.up", "httpcheck.duration", _EXPIRY, "httpcheck.error.ratio"})


def measured(metric: str, value: float) -> str:
    """A value of a metric with its unit, as people read it; of a counter its rate per second."""
    known = METRICS.get(metric)
    if isnan(value) or known is None:
        return units.UNKNOWN if isnan(value) else units.count(value)
    per_second = "/s" if known.kind == "counter" else ""
    if known.unit == "1":
        return units.percent(value)
    if known.unit in {"By", "By/s"}:
        return units.size(value) + (per_second or "/s" * (known.unit == "By/s"))
    if known.unit == "s":
        return units.percent(value) if per_second else units.latency(value)
    if known.unit == "Cel":
        return f"{value:.0f}C"
    return units.count(value) + per_second


def thing(metric: str, labels: Labels) -> str:
    """What a series is about: ``memory``, ``disk /var``, ``load``, ``connections of orders``."""
    name = _NAMES.get(metric, metric.removeprefix("system.").removeprefix("postgresql."))
    values = " ".join(value for _, value in labels)
    if metric == BLIND:
        values = values.removesuffix(" host")  # what measures this machine is told by its own name
    if values and metric.startswith(_OF_SERVERS) and not metric.endswith(_UP):
        name += " of"  # else what a server is called reads as a part of the words before it
    return f"{name} {values}" if values else name


def breach(alert: Alert, value: float) -> str:
    """``memory 83% > 80%``: what is where now, and the threshold it crossed; where it is over no more, or unknown, what it was then.

    An alert goes on for a while after its value is well again: that this is so is told beside it, and never as ``79% > 80%``.
    """
    if alert.stat != "last":
        return _of_statistic(alert)
    over = value > alert.limit if alert.above else value < alert.limit
    value = value if over else alert.value
    if alert.metric in _OF_ENDPOINTS:
        return _of_endpoint(alert, value)
    if alert.metric.endswith(_UP) or alert.metric in {FAILED, BLIND, _DEGRADED}:
        return _of_condition(alert)
    if alert.above and not alert.limit and (told := _of_happening(alert, value)):
        return told
    shown = measured(alert.metric, value)
    return f"{thing(alert.metric, alert.labels)} {shown} {'>' if alert.above else '<'} {measured(alert.metric, alert.limit)}"


def _of_statistic(alert: Alert) -> str:
    """``memory avg 92% > 90% over 1m (n 30)``, ``probe errors of checkout 12.5% > 1.0% over 1m (n 8)``: what it was when it was told."""
    sign, over = ">" if alert.above else "<", f"over {units.duration(alert.over_s).removesuffix('00s')} (n {alert.n})"
    if alert.metric == _KILLS and alert.stat == "max" and alert.above and not alert.limit:
        return f"memory ran out and the kernel killed processes within {units.duration(alert.over_s).removesuffix('00s')}"
    labels = dict(alert.labels)
    name = labels.get("endpoint") or labels.get("service") or labels.get("server")
    if alert.stat == "ratio":
        decimals = 1 if units.percent(alert.value, 1) != units.percent(alert.limit, 1) else 2  # never as 0.1% > 0.1%
        share, limit = units.percent(alert.value, decimals), units.percent(alert.limit, decimals)
        return f"probe errors of {name or 'all endpoints'} {share} {sign} {limit} {over}"
    what = f"{name} probe" if name and alert.metric == "httpcheck.duration" else thing(alert.metric, alert.labels)
    return f"{what} {alert.stat} {measured(alert.metric, alert.value)} {sign} {measured(alert.metric, alert.limit)} {over}"


def _of_condition(alert: Alert) -> str:
    """``orders is down``, ``/var was made read-only by the kernel``, ``monitoring of postgres orders is blind``."""
    name = " ".join(value for _, value in alert.labels)
    if alert.metric == BLIND:
        return f"{thing(BLIND, alert.labels)} is{'' if alert.above else ' not'} blind"
    if alert.metric == _DEGRADED:
        return f"{f'array {name}' if name else 'an array'} is{'' if alert.above else ' not'} degraded"
    if alert.metric == FAILED:
        return f"{name or 'a filesystem'} was{'' if alert.above else ' not'} made read-only by the kernel"
    return f"{name or 'a server'} is {'up' if alert.above else 'down'}"


def _of_happening(alert: Alert, value: float) -> str:
    """``3 sessions of orders are blocked``; empty for what has no words of its own."""
    name = " ".join(value for _, value in alert.labels)
    if alert.metric in _HAPPENED:
        return _HAPPENED[alert.metric].format(name or "a server")
    if alert.metric in _COUNTED and not isnan(value):
        one, many = _COUNTED[alert.metric]
        return (one if value == 1 else many).format(units.count(value), name or "a server")
    return ""


def _of_endpoint(alert: Alert, value: float) -> str:
    """``checkout is down``, ``checkout took 812ms > 500ms``, ``certificate of checkout ends in 2d3h``."""
    labels = dict(alert.labels)
    name = labels.get("endpoint") or labels.get("service")
    limit = measured(alert.metric, alert.limit)
    if alert.metric == "httpcheck.up":
        return f"{name or 'an endpoint'} is {'up' if alert.above else 'down'}"
    if alert.metric == _EXPIRY:
        left = f"ends in {units.duration(value)}" if value > 0 else f"ended {units.duration(-value)} ago"
        return f"certificate of {name} {left}" if name else f"a certificate {left}"
    if alert.metric == "httpcheck.duration":
        return f"{name or 'the slowest endpoint'} took {measured(alert.metric, value)} {'>' if alert.above else '<'} {limit}"
    return f"errors of {name or 'all endpoints'} {units.percent(value, 1)} {'>' if alert.above else '<'} {limit}"


def lasting(alert: Alert, now: float, began: float) -> str:
    """``for 6m12s``; of what was already so when the engine started, only that it is older than that; nothing of a date that comes or went.

    Args:
        alert: A firing alert.
        now: Epoch seconds.
        began: When the engine started, epoch seconds.
    """
    if alert.metric == _EXPIRY:
        return ""  # `breach` says when it ends: since when that is soon is a number of nothing
    if now - alert.since < 1:
        return "now"
    before = alert.since - began < 2.5  # its first look, or the second, which is the first that gives rates
    return f"for over {roughly(now - alert.since)}" if before else f"for {roughly(now - alert.since)}"


def roughly(seconds: float) -> str:
    """A duration; from ten minutes on without the seconds: they tell nothing then, and a list of them is painted anew every time."""
    return f"{seconds // 60:.0f}m" if _LONG_S <= seconds < 3600 else units.duration(seconds)
