"""The alert stage: readings in, transitions out. Pure: time enters only through ticks, so live, replay and any batching agree.

A rule here is a threshold without a duration: it colours a value and fills "over threshold now", and never counts as an alert. Rules read
series, never tables. Unknown is neither breach nor recovery.
"""

from collections.abc import Iterable, Sequence
from math import isnan
from typing import Final

from perfconsole.core import metrics
from perfconsole.core.tick import SEVERITIES, Alert, Group, Rule, SeriesDef, Tick

_MOUNTED: Final = (("mountpoint", "*"),)
_ENDPOINT: Final = (("endpoint", "*"), ("service", "*"))
_DAY_S: Final = 86400.0

SHIPPED: Final = (
    Rule("cpu-warning", "warning", "system.cpu.utilization", 0.70),
    Rule("cpu-critical", "critical", "system.cpu.utilization", 0.90),
    Rule("memory-warning", "warning", "system.memory.utilization", 0.80),
    Rule("memory-critical", "critical", "system.memory.utilization", 0.90),
    Rule("disk-warning", "warning", "system.filesystem.utilization", 0.85, match=_MOUNTED),
    Rule("disk-critical", "critical", "system.filesystem.utilization", 0.95, match=_MOUNTED),
    Rule("endpoint-down", "critical", "httpcheck.up", 0.5, above=False, match=_ENDPOINT),
    Rule("response-warning", "warning", "httpcheck.duration", 0.5, match=_ENDPOINT),
    Rule("response-critical", "critical", "httpcheck.duration", 1.0, match=_ENDPOINT),
    Rule("certificate-warning", "warning", "httpcheck.tls.expiry", 14 * _DAY_S, above=False, match=_ENDPOINT),
    Rule("certificate-critical", "critical", "httpcheck.tls.expiry", 3 * _DAY_S, above=False, match=_ENDPOINT),
)
"""The thresholds that hold where nothing is configured."""


class _Bound:
    """One rule at one series: where its value stands in a reading, and what is known of it."""

    __slots__ = ("alert", "at", "column", "counter", "definition", "rule", "value")

    def __init__(self, rule: Rule, definition: SeriesDef, column: int) -> None:
        self.rule = rule
        self.definition = definition
        self.column = column
        self.counter = metrics.is_counter(definition.name)
        self.at = self.value = float("nan")
        self.alert: Alert | None = None

    def step(self, at: float, value: float) -> Alert | None:
        """Take one sample; the transition it makes, if any."""
        if self.counter:
            value, self.value, self.at = self._rate(at, value), value, at
        if isnan(value):
            return None
        breached = self.rule.breached(value)
        if breached == (self.alert is not None):
            return None
        if self.alert is None:
            self.alert = self._make("firing", "inactive", at, at, value)
            return self.alert
        return self.end(at, value)

    def end(self, at: float, value: float) -> Alert | None:
        """Back to inactive; None when it was not firing."""
        if self.alert is None:
            return None
        since, self.alert = self.alert.since, None
        return self._make("inactive", "firing", at, since, value)

    def _rate(self, at: float, value: float) -> float:
        grown = value - self.value
        return grown / (at - self.at) if grown >= 0 and at > self.at else float("nan")

    def _make(self, state: str, before: str, at: float, since: float, value: float) -> Alert:
        rule = self.rule
        labels = self.definition.labels
        named = ",".join(f"{name}={text}" for name, text in labels)
        return Alert(
            id=f"{rule.name}{{{named}}}",
            rule=rule.name,
            metric=rule.metric,
            labels=labels,
            severity=rule.severity,
            state=state,
            before=before,
            at=at,
            since=since,
            value=value,
            limit=rule.limit,
            above=rule.above,
            colour=True,
        )


class AlertStage:
    """Evaluates rules over the readings of ticks.

    Rules are bound to series by position when a group is defined: a step then costs one comparison a rule and series.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._bound: dict[int, list[_Bound]] = {}
        self._ids: dict[tuple[str, str], int] = {}

    def step(self, tick: Tick) -> list[Alert]:
        """The transitions a tick makes, in the order of its readings."""
        out = [ended for group in tick.groups for ended in self._define(group, tick.at)]
        for reading in sorted(tick.readings, key=lambda reading: reading.at):
            for bound in self._bound.get(reading.group, ()):
                alert = bound.step(reading.at, reading.values[bound.column])
                if alert:
                    out.append(alert)
        return out

    def _define(self, group: Group, at: float) -> Iterable[Alert]:
        """Bind a group's series; what was known of a series that is in the group's new shape too goes on, what is gone ends."""
        place = (group.collector, group.target)
        old = {(b.rule.name, b.definition): b for b in self._bound.pop(self._ids.pop(place, -1), ())}
        bound: list[_Bound] = []
        for column, definition in enumerate(group.series):
            for rule in self._rules:
                if rule.covers(definition):
                    known = old.pop((rule.name, definition), None) or _Bound(rule, definition, column)
                    known.column = column
                    bound.append(known)
        if group.series:
            self._bound[group.id], self._ids[place] = bound, group.id
        return [alert for gone in old.values() if (alert := gone.end(at, float("nan")))]


def worst_first(alerts: Iterable[Alert]) -> list[Alert]:
    """Firing alerts by severity, then age; of several about one series only the most severe.

    Of an endpoint that is down it is not told that it is slow as well: a check that was given up took as long as its timeout.
    """
    firing = [alert for alert in alerts if alert.state == "firing"]
    down = {alert.labels for alert in firing if alert.metric == "httpcheck.up"}
    worst: dict[tuple[str, tuple[tuple[str, str], ...]], Alert] = {}
    for alert in firing:
        if alert.metric == "httpcheck.duration" and alert.labels in down:
            continue
        known = worst.get((alert.metric, alert.labels))
        if known is None or rank(alert.severity) > rank(known.severity):
            worst[alert.metric, alert.labels] = alert
    return sorted(worst.values(), key=lambda alert: (-rank(alert.severity), alert.since, alert.id))


def rank(severity: str) -> int:
    """0 for info, 1 for warning, 2 for critical."""
    return SEVERITIES.index(severity)
