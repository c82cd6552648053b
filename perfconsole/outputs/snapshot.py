"""One moment as the JSON object ``perfconsole.snapshot/1``: a contract with other programs. Pure: a state in, plain values out."""

from datetime import UTC, datetime
from math import isfinite, isnan
from typing import Any, Final

import msgspec

from perfconsole.core import metrics
from perfconsole.core.endpoint_alerts import counted
from perfconsole.core.endpoints import TARGET, EndpointRow, EndpointTable, ServiceRow
from perfconsole.core.state import Series, State
from perfconsole.core.tables import ProcessRow, ProcessTable
from perfconsole.core.tick import Alert, Health
from perfconsole.core.unit_rows import UnitRow, UnitTable

SCHEMA: Final = "perfconsole.snapshot/1"


def snapshot(state: State) -> dict[str, Any]:
    """What is known now.

    Returns:
        Base units (seconds, bytes, ratios); None for what is unknown. Statistics of ``endpoints`` are of the ``n`` or ``checks`` probes of
        the last ``window_s``, those of ``services`` of all probes of theirs; percentiles not under ``bound_s`` are lower bounds: a check
        was given up there. ``failures`` are counted by class, or by status where that is why. ``alerts`` are those with a duration;
        ``thresholds`` are the rules without one whose limit a value is over at this moment.
    """
    table, endpoints, units = state.table(ProcessTable), state.table(EndpointTable, TARGET), state.table(UnitTable)
    standing = sorted(state.alerts.values(), key=lambda alert: alert.id)
    return {
        **heading(SCHEMA, state.at, state.stream.host if state.stream else ""),
        "metrics": [_metric(series) for series in state.all_series()],
        "processes": [_process(row) for row in table.rows] if table else [],
        "units": [_unit(row) for row in units.rows] if units else [],
        "endpoints": [_endpoint(row) for row in sorted(endpoints.rows, key=lambda row: (row.service, row.name))] if endpoints else [],
        "services": [_service(row) for row in endpoints.services] if endpoints else [],
        "sources": sources(state),
        "alerts": [_alert(alert, state) for alert in standing if not alert.colour],
        "thresholds": [_alert(alert, state) for alert in counted(state, standing) if alert.colour and alert.state == "firing"],
    }


def heading(schema: str, at: float, host: str) -> dict[str, Any]:
    """What every JSON object of ours begins with."""
    return {"schema": schema, "generated_at": rfc3339(at), "host": host}


def encode(value: Any) -> str:
    """JSON for people and programs alike: two spaces deep, UTF-8, NaN and infinities as null."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def rfc3339(at: float) -> str | None:
    """Epoch seconds as RFC 3339 in UTC, to the millisecond; None when unknown."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if isfinite(at) else None


def sources(state: State) -> list[dict[str, Any]]:
    """How each collector does: ``state`` is ok, stale, error, denied or off."""
    return [_source(state, health) for _, health in sorted(state.health.items())]


def _source(state: State, health: Health) -> dict[str, Any]:
    age_s = state.age_s(health.collector, health.target)
    late = health.state == "ok" and state.stale(health.collector, health.target)
    return {
        "name": health.collector if health.target == "host" else f"{health.collector}:{health.target}",
        "state": "stale" if late else health.state,
        "age_s": _known(age_s) if health.last_ok else None,  # never
        "error": health.error,
        "fix": health.fix,
    }


def _metric(series: Series) -> dict[str, Any]:
    name = series.definition.name
    metric = metrics.METRICS.get(name)
    out = {
        "name": name,
        "labels": series.labels,
        "unit": metric.unit if metric else "",
        "kind": "counter" if series.counter else "gauge",
        "value": _known(series.value),
    }
    if series.counter:
        out["rate"] = _known(series.shown)
    return out


def _process(row: ProcessRow) -> dict[str, Any]:
    return {
        "pid": row.pid,
        "start_time": rfc3339(row.started),
        "name": row.name,
        "user": row.user,
        "state": row.state,
        "cpu_ratio": _known(row.cpu),
        "memory_bytes": _known(row.memory_bytes),
        "threads": row.threads,
        "read_bytes_s": _known(row.read_bytes_s),
        "write_bytes_s": _known(row.write_bytes_s),
        "unit": row.unit,
        "command": row.command,
    }


def _unit(row: UnitRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "kind": row.kind,
        "path": row.path or None,
        "parent": row.parent or None,
        "state": row.state or None,
        "result": row.result or None,
        "since": rfc3339(row.since),
        "restarts": _known(row.restarts),
        "cpu_cores": _known(row.cpu),
        "cpu_limit_cores": _known(row.cpu_limit),
        "throttled_ratio": _known(row.throttled),
        "memory_bytes": _known(row.memory_bytes),
        "memory_limit_bytes": _known(row.memory_limit),
        "memory_ratio": _known(row.memory),
        "oom_kills": _known(row.oom_kills),
        "pressure": {"cpu": _known(row.pressure_cpu), "memory": _known(row.pressure_memory), "io": _known(row.pressure_io)},
        "read_bytes_s": _known(row.read_bytes_s),
        "write_bytes_s": _known(row.write_bytes_s),
        "tasks": _known(row.tasks),
        "tasks_limit": _known(row.tasks_limit),
    }


def _service(row: ServiceRow) -> dict[str, Any]:
    return {"name": row.name, "endpoints": row.endpoints, "down": row.down, **_statistics(row)}


def _statistics(row: EndpointRow | ServiceRow) -> dict[str, Any]:
    return {
        "p50_s": _known(row.p50_s),
        "p90_s": _known(row.p90_s),
        "p95_s": _known(row.p95_s),
        "p99_s": _known(row.p99_s),
        "bound_s": _known(row.cut_s),
        "n": row.n,
        "checks": row.checks,
        "failed": row.failed,
        "error_ratio": _known(row.error_ratio),
        "availability": _known(row.availability),
    }


def _endpoint(row: EndpointRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "kind": row.kind,
        "service": row.service,
        "group": row.group or None,
        "labels": dict(row.pairs),
        "url": row.url,
        "state": row.state,
        "since": rfc3339(row.since),
        "class": row.cause or None,
        "error": row.error or None,
        "blocked_by": row.blocked_by or None,
        "checked_at": rfc3339(row.at),
        "status": row.status or None,
        "address": row.address or None,
        "http_version": row.protocol.removeprefix("HTTP/") if row.protocol.startswith("HTTP/") else None,
        "bytes": _known(row.size_bytes),
        "last_s": _known(row.last_s),
        "at_least": row.at_least,
        **_statistics(row),
        "failures": dict(row.failures),
        "interval_s": row.interval_s,
        "window_s": row.held_s,
        "not_after": rfc3339(row.expires),
        "verified": None if isnan(row.expires) else row.verified,
        "critical": row.critical,
        "api": row.api,
        "unit": row.unit or None,
        "database": row.database or None,
        "runbook": row.runbook or None,
    }


def _alert(alert: Alert, state: State) -> dict[str, Any]:
    return alert_in_json(alert, state.value(alert.metric, **dict(alert.labels)))


def alert_in_json(alert: Alert, value: float) -> dict[str, Any]:
    """An alert; ``value`` is that of its series now, ``decided`` that of the statistic when it was told last, of ``n`` samples."""
    return {
        "id": alert.id,
        "name": alert.rule,
        "severity": alert.severity,
        "state": alert.state,
        "metric": alert.metric,
        "labels": dict(alert.labels),
        "since": rfc3339(alert.since),
        "fired_at": rfc3339(alert.fired_at),
        "fires_at": rfc3339(alert.due),
        "resolved_at": rfc3339(alert.at) if alert.state == "resolved" else None,
        "value": _known(value),
        "limit": alert.limit,
        "above": alert.above,
        "stat": alert.stat,
        "over_s": alert.over_s,
        "decided": _known(alert.value),
        "n": alert.n,
        "muted": alert.muted or None,
        "silence": alert.silence or None,
        "flapping": alert.flapping,
        "ack": {"by": alert.ack.by, "at": rfc3339(alert.ack.at), "text": alert.ack.text} if alert.ack else None,
    }


def _known(value: float) -> float | None:
    return value if isfinite(value) else None
