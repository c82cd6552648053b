"""What is over its threshold now and counts, worst first, in words; and what that makes of the machine and of its endpoints. Pure.

Header and lists ask here, so that all of them tell the same.
"""

from collections.abc import Sequence
from typing import Final

from perfconsole.core import words
from perfconsole.core.alerts import worst_first
from perfconsole.core.endpoints import TARGET, EndpointTable, identity
from perfconsole.core.requests import HTTP_DETAIL
from perfconsole.core.state import State
from perfconsole.core.tables import View
from perfconsole.core.tick import Alert

HTTP: Final = "http"
"""The collector of endpoints, as health and groups name it."""

_ENDPOINTS: Final = "httpcheck."

_KNOWN: Final = 20
"""More alerts than this are on no screen."""


def of_endpoints(alert: Alert) -> bool:
    """Whether an alert is about what is checked, and not about this machine."""
    return alert.metric.startswith(_ENDPOINTS)


def firing(state: State) -> list[Alert]:
    """The alerts that count, by severity, then age; see `endpoint_alerts.counted` for those that do not."""
    alerts = [alert for alert in state.alerts.values() if alert.state == "firing"]
    if any(map(of_endpoints, alerts)):
        from perfconsole.core.endpoint_alerts import counted  # noqa: PLC0415  not where nothing is checked

        alerts = counted(state, alerts)
    return worst_first(alerts)


def present(state: State, alert: Alert) -> bool:
    """Whether what an alert says is of the present: what it goes by is still measured."""
    found = state.find(alert.metric, **dict(alert.labels))
    return found is not None and not found.ring.stale(state.at)


def said(state: State, alert: Alert) -> str:
    """An alert in words: what is where now, and the threshold that it crossed."""
    if of_endpoints(alert):
        from perfconsole.core.endpoint_alerts import breach  # noqa: PLC0415  as above

        return breach(state, alert)
    return words.breach(alert, state.value(alert.metric, **dict(alert.labels)))


def views(state: State) -> list[View]:
    """What is to be known of the worst endpoints with an alert wherever their alerts are told: why they fail, and whether it counts."""
    names = [dict(alert.labels).get("endpoint", "") for alert in firing(state) if of_endpoints(alert)]
    keys = sorted({identity(name) for name in names[:_KNOWN] if name})
    return [View("endpoint", TARGET, limit=0, keys=tuple(keys))] if keys else []


def system_severity(state: State, alerts: Sequence[Alert]) -> str:
    """The state of the machine as a whole: unknown before the first reading, stale without new ones, else the worst threshold."""
    health = state.health.get(("system", "host"))
    if health is None or not health.last_ok:
        return "unknown"
    if state.stale("system"):
        return "stale"
    return next((alert.severity for alert in alerts if not of_endpoints(alert)), "ok")


def checked(state: State) -> bool:
    """Whether there are endpoints: by their table; before that was told, by who tells it."""
    table = state.table(EndpointTable, TARGET)
    if table is not None:
        return table.total > 0
    offered = state.stream is not None and HTTP_DETAIL.name in state.stream.ops
    return offered or (HTTP, TARGET) in state.health or any(group.collector == HTTP for group in state.groups.values())


def http_severity(state: State, alerts: Sequence[Alert]) -> str:
    """The state of all endpoints together, where there are any: the worst threshold; unknown where one cannot be measured, or none was yet.

    Returns:
        A severity; ``stale`` when the checks have ceased; empty where nothing is checked.
    """
    if not checked(state):
        return ""
    health = state.health.get((HTTP, TARGET))
    if health is None or not health.last_ok:
        return "unknown"
    if state.stale(HTTP, TARGET) or health.state in {"error", "stale"}:
        return "stale"
    found = next((alert.severity for alert in alerts if of_endpoints(alert)), "")
    return found or ("unknown" if unmeasured(state) else "ok")


def unmeasured(state: State) -> bool:
    """Whether an endpoint cannot be measured, by the console's own fault."""
    return any(collector == HTTP and health.state == "error" for (collector, _), health in state.health.items())
