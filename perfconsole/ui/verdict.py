"""What is the matter now, worst first, in words; and what that makes of the machine and of its endpoints. Pure.

Alerts are told before thresholds, and a threshold not beside an alert that says the same of the same series. Header and lists ask here, so
that all of them tell the same.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from msgspec.structs import replace

from perfconsole.core import alert_words, words
from perfconsole.core.alert_order import coming, rank, worst_first
from perfconsole.core.endpoints import TARGET, EndpointTable, identity
from perfconsole.core.requests import HTTP_DETAIL
from perfconsole.core.state import State
from perfconsole.core.tables import View
from perfconsole.core.tick import Alert, Rule
from perfconsole.ui.spark import Limits

HTTP: Final = "http"
"""The collector of endpoints, as health and groups name it."""

_ENDPOINTS: Final = "httpcheck."
_DATABASES: Final = "postgresql."
_EXPIRY: Final = "httpcheck.tls.expiry"

_KNOWN: Final = 20
"""More alerts than this are on no screen."""


_JUDGED: "WeakKeyDictionary[State, tuple[object, Verdict]]" = WeakKeyDictionary()


class Verdict(NamedTuple):
    """What is the matter, each of it the worst first, then the oldest.

    Attributes:
        alerts: Those that fire and count.
        muted: Those that fire and notify nobody: silenced, inhibited, in maintenance, another's fault; `Alert.muted` says which.
        pending: Those that have not lasted for long enough.
        thresholds: What is over a threshold, unless an alert says it already.
    """

    alerts: list[Alert]
    muted: list[Alert]
    pending: list[Alert]
    thresholds: list[Alert]

    @property
    def over(self) -> list[Alert]:
        """Alerts, then thresholds."""
        return self.alerts + self.thresholds

    @property
    def matter(self) -> list[Alert]:
        """What makes a part of the machine unwell: a silence, and that somebody is on it, make nothing well.

        What counts for nothing by its nature does not: in maintenance, by the fault of another, beside a graver one that counts.
        """
        return self.over + [alert for alert in self.muted if alert_words.only_silenced(alert)]


def of_endpoints(alert: Alert) -> bool:
    """Whether an alert is about what is checked, and not about this machine."""
    return alert.metric.startswith(_ENDPOINTS)


def judge(state: State) -> Verdict:
    """All that is the matter; see `endpoint_alerts.counted` for what counts for nothing.

    Every pane asks, and in a storm of 500 alerts an answer takes 2 ms: it is given once a tick.
    """
    of = (state.seq, state.at, len(state.alerts))
    known = _JUDGED.get(state)
    if known is None or known[0] != of:
        known = _JUDGED[state] = (of, _judged(state))
    return known[1]


def _judged(state: State) -> Verdict:
    every = [alert for alert in state.alerts.values() if alert.state == "firing"]
    pending = coming(state.alerts.values())
    kept = every
    if any(map(of_endpoints, every)):
        from perfconsole.core.endpoint_alerts import counted  # noqa: PLC0415  not where nothing is checked

        kept = counted(state, every)
    ids = {alert.id for alert in kept}
    firing = [alert if alert.id in ids else _of_no_account(state, alert) for alert in every if not alert.colour]
    said: dict[tuple[str, object], int] = {}
    for alert in firing:
        said[alert.metric, alert.labels] = max(rank(alert.severity), said.get((alert.metric, alert.labels), 0))
    return Verdict(
        alert_words.in_order(alert for alert in firing if not alert_words.quiet(alert)),
        alert_words.in_order(alert for alert in firing if alert_words.quiet(alert)),
        alert_words.in_order(pending),
        [
            alert
            for alert in worst_first(alert for alert in kept if alert.colour)
            if said.get((alert.metric, alert.labels), -1) < rank(alert.severity)
        ],
    )


def _of_no_account(state: State, alert: Alert) -> Alert:
    """An alert that counts for nothing, with the reason; that it is silenced too is none."""
    known = "" if alert_words.only_silenced(alert) else alert.muted
    return replace(alert, muted=known or _why(state, alert))


def _why(state: State, alert: Alert) -> str:
    """Why an alert about an endpoint counts for nothing, where the engine has not said so."""
    table = state.table(EndpointTable, TARGET)
    name = dict(alert.labels).get("endpoint", "")
    row = next((row for row in table.rows if row.name == name), None) if table else None
    if row and row.state == "maintenance":
        return "in maintenance"
    if row and row.state == "suppressed":
        return f"{row.blocked_by or 'what it depends on'} is down"
    return "its endpoint is down" if alert.metric == _EXPIRY else "its endpoint counts for nothing now"


def firing(state: State) -> list[Alert]:
    """What is the matter and counts: alerts, then thresholds, each of them by severity, then age."""
    return judge(state).over


def rules(state: State) -> dict[str, Rule]:
    """The rules in force, by name."""
    return alert_words.by_name(state.stream.rules) if state.stream else {}


def runbook(state: State, alert: Alert) -> str:
    """Where it is written what to do about an alert: that of its endpoint, where it is known, else that of its rule, else nowhere."""
    name = dict(alert.labels).get("endpoint", "")
    table = state.table(EndpointTable, TARGET) if name else None
    own = next((row.runbook for row in table.rows if row.name == name), "") if table else ""
    rule = None if own else rules(state).get(alert.rule)
    return rule.runbook if rule else own


def began(state: State) -> float:
    """When the engine started, epoch seconds."""
    return state.stream.began if state.stream else 0.0


def overdue(state: State, alert: Alert) -> str:
    """That somebody should have answered by now, and since when; see `alert_words.overdue`."""
    if alert.colour or alert.ack or not state.stream:
        return ""
    rule = next((rule for rule in state.stream.rules if rule.name == alert.rule), None)
    return alert_words.overdue(alert, rule.respond_s, state.at) if rule else ""


def borders(alert: Alert) -> tuple[Limits, Limits]:
    """What samples are to stay under, and what over, for the alert not to be: of a share of failures each is to be none."""
    if alert.stat == "ratio":
        return (), ((1.0, alert.severity),)
    border = ((alert.limit, alert.severity),)
    return (border, ()) if alert.above else ((), border)


def worst_of(alerts: Iterable[Alert]) -> str:
    """The worst severity there is; empty without any."""
    return max((alert.severity for alert in alerts), key=rank, default="")


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
    names = [dict(alert.labels).get("endpoint", "") for alert in judge(state).matter if of_endpoints(alert)]
    keys = sorted({identity(name) for name in names[:_KNOWN] if name})
    return [View("endpoint", TARGET, limit=0, keys=tuple(keys))] if keys else []


def of_databases(alert: Alert) -> bool:
    """Whether an alert is about a PostgreSQL server, and not about this machine."""
    return alert.metric.startswith(_DATABASES)


def database_severity(alerts: Iterable[Alert]) -> str:
    """The worst that is the matter with a database; empty where nothing is: how servers do beside that is told by a line each."""
    return worst_of(filter(of_databases, alerts))


def system_severity(state: State, alerts: Iterable[Alert]) -> str:
    """The state of the machine as a whole: unknown before the first reading, stale without new ones, else the worst alert or threshold."""
    health = state.health.get(("system", "host"))
    if health is None or not health.last_ok:
        return "unknown"
    if state.stale("system"):
        return "stale"
    return worst_of(alert for alert in alerts if not of_endpoints(alert) and not of_databases(alert)) or "ok"


def checked(state: State) -> bool:
    """Whether there are endpoints: by their table; before that was told, by who tells it."""
    table = state.table(EndpointTable, TARGET)
    if table is not None:
        return table.total > 0
    offered = state.stream is not None and HTTP_DETAIL.name in state.stream.ops
    return offered or (HTTP, TARGET) in state.health or any(group.collector == HTTP for group in state.groups.values())


def http_severity(state: State, alerts: Iterable[Alert]) -> str:
    """The state of all endpoints together, if there are any: the worst there is; unknown where one cannot be measured, or none was yet.

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
    return worst_of(filter(of_endpoints, alerts)) or ("unknown" if unmeasured(state) else "ok")


def unmeasured(state: State) -> bool:
    """Whether an endpoint cannot be measured, by the console's own fault."""
    return any(collector == HTTP and health.state == "error" for (collector, _), health in state.health.items())
