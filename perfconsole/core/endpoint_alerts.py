"""Alerts about endpoints: which of them count, how severe they make an endpoint, and in words. Pure.

A rule sees the last check alone. That it takes several failures to be down, and that what lies in maintenance or is another's fault counts
for nothing, is known to the endpoint's row; where that was not told lately, the series let conclude it.
"""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Final

from msgspec import structs

from perfconsole.core import words
from perfconsole.core.alert_order import rank
from perfconsole.core.endpoints import CALM, TARGET, EndpointRow, EndpointTable
from perfconsole.core.state import State
from perfconsole.core.tick import SEVERITIES, Alert

_FRESH_S: Final = 60.0
_UP: Final = "httpcheck.up"
_EXPIRY: Final = "httpcheck.tls.expiry"


def counted(state: State, alerts: Sequence[Alert]) -> list[Alert]:
    """Those of some firing alerts that count now.

    What is in maintenance, or fails by the fault of what it depends on, counts for nothing; its alerts would stay as they were, for what is
    unknown is no recovery. One that has failed, but not often enough to be down, is a warning. And of an endpoint that is down with its
    certificate it is enough to say that it is down.
    """
    rows = fresh(state)
    down = {alert.labels for alert in alerts if of_state(alert)}
    out = []
    for alert in alerts:
        now = _condition(state, alert, rows) if _endpoint(alert) else ""
        if alert.metric == _EXPIRY:
            if alert.labels not in down or state.value(_EXPIRY, **dict(alert.labels)) > 0:
                out.append(alert)
        elif now not in CALM:
            out.append(structs.replace(alert, severity="warning") if now == "failing" and of_state(alert) else alert)
    return out


def of_state(alert: Alert) -> bool:
    """Whether an alert is about an endpoint being up or down, and not about a share of its checks."""
    return alert.metric == _UP and alert.stat == "last"


def _endpoint(alert: Alert) -> str:
    """The endpoint it is about; empty for something else."""
    return dict(alert.labels).get("endpoint", "") if alert.metric.startswith("httpcheck.") else ""


def fresh(state: State) -> Mapping[str, EndpointRow]:
    """What was told of endpoints just now, by name."""
    found = state.table(EndpointTable, TARGET)
    return {} if found is None or state.at - found.at > _FRESH_S else {row.name: row for row in found.rows}


def _condition(state: State, alert: Alert, rows: Mapping[str, EndpointRow]) -> str:
    """The state of the endpoint that an alert is about; what its series let conclude where its row is not known; else empty."""
    name = _endpoint(alert)
    if name in rows:
        return rows[name].state
    found = state.find(_UP, **dict(alert.labels))
    ups = found.points(alert.since)[1] if found else ()
    if ups and isnan(ups[-1]):
        health = state.health.get(("http", name))
        return "unknown" if health and health.state == "error" else "suppressed"
    return "failing" if sum(up < 1 for up in ups) == 1 and ups[-1] < 1 else ""


def _failed_last(state: State, alert: Alert) -> int:
    """How many checks in a row have failed by now, of those since an alert began."""
    found = state.find(_UP, **dict(alert.labels))
    known = [up for up in found.points(alert.since)[1] if not isnan(up)] if found else []
    return next((count for count, up in enumerate(reversed(known)) if up >= 1), len(known))


def calm(state: State, alert: Alert, rows: Mapping[str, EndpointRow]) -> str:
    """Why an alert about an endpoint counts for nothing now, in words; empty where it counts.

    Args:
        state: What is known.
        alert: Any alert.
        rows: As `fresh` gives them.
    """
    if not _endpoint(alert) or alert.metric == _EXPIRY:
        return ""
    now = _condition(state, alert, rows)
    if now == "suppressed":
        row = rows.get(_endpoint(alert))
        return f"{row.blocked_by} is down" if row and row.blocked_by else "what it depends on is down, or it is in maintenance"
    return "in maintenance" if now == "maintenance" else ""


def breach(state: State, alert: Alert) -> str:
    """What is over its threshold, in words; of an endpoint that fails also why, where that is known."""
    text = words.breach(alert, state.value(alert.metric, **dict(alert.labels)))
    name = _endpoint(alert)
    if not of_state(alert) or not name:
        return text
    rows = fresh(state)
    if _condition(state, alert, rows) == "failing":
        count = _failed_last(state, alert)
        text = f"{name} has failed {count} checks" if count > 1 else f"{name} has failed a check"
    return f"{text} ({rows[name].cause})" if name in rows and rows[name].cause else text


def alerting(state: State) -> dict[str, str]:
    """Endpoints with an alert that counts, and the severity of the worst of each."""
    worst: dict[str, str] = {}
    for alert in counted(state, [alert for alert in state.alerts.values() if alert.state == "firing"]):
        name = _endpoint(alert)
        if name and rank(alert.severity) > rank(worst.get(name, SEVERITIES[0])):
            worst[name] = alert.severity
    return worst
