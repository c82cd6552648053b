"""An alert as Markdown, for the channel in which people talk about an incident. Pure.

Times are with their zone, since those who read it sit elsewhere, and foreign text means nothing to Markdown.
"""

from collections.abc import Sequence
from math import isnan

from perfconsole.core import alert_words, units, words
from perfconsole.core.state import State
from perfconsole.core.tick import Alert, Silence
from perfconsole.ui.markdown import moment, plain
from perfconsole.ui.verdict import began, overdue, rules, runbook, said

_LISTED = 20


def markdown(state: State, alert: Alert) -> str:
    """One alert: what, how severe, since when, by which rule, and who is on it."""
    host = state.stream.host if state.stream else ""
    facts = [
        ("state", _state(state, alert)), ("since", moment(alert.since)), ("value", _value(state, alert)),
        ("statistic", alert_words.statistic(alert)), *_rule(state, alert), ("taken on", _ack(alert)), ("quiet", alert_words.quiet(alert)),
        ("host", host),
    ]  # fmt: skip
    level = alert_words.LEVELS.get(alert.severity, alert.severity)
    lines = [f"- {name}: {plain(text)}" for name, text in facts if text]
    told = alert_words.ended(alert) if alert.state == "resolved" else said(state, alert)
    return "\n".join([f"**{level}** {plain(told)}", "", *lines])


def _state(state: State, alert: Alert) -> str:
    if alert.state == "resolved":
        return f"resolved {moment(alert.at)}" + (f" ({alert.text})" if alert.text else "")
    if alert.state == "pending":
        return f"pending, fires {moment(alert.due)} unless it recovers"
    lasting = alert_words.lasting(alert, state.at, began(state))
    late = overdue(state, alert)
    return ", ".join(filter(None, (f"firing {lasting}".rstrip(), late, "flapping" if alert.flapping else "")))


def _value(state: State, alert: Alert) -> str:
    now = state.value(alert.metric, **dict(alert.labels))
    told = f"{alert_words.decided(alert)}, threshold {alert_words.threshold(alert)}"
    if alert_words.either_or(alert):
        return ""
    return told if isnan(now) or alert.stat == "ratio" else f"{told}; newest sample {words.measured(alert.metric, now)}"


def _rule(state: State, alert: Alert) -> list[tuple[str, str]]:
    rule = rules(state).get(alert.rule)
    lasts = f", for {alert_words.short(rule.for_s)}" if rule and rule.for_s else ""
    depends = ", ".join(rule.depends_on) if rule else ""
    told = [("rule", f"{alert.rule}{lasts} ({alert_words.written(rule)})"), ("depends on", depends)]
    return [*told, ("runbook", runbook(state, alert))]


def _ack(alert: Alert) -> str:
    if alert.ack is None:
        return "by nobody yet" if alert.state == "firing" else ""
    return f"by {alert.ack.by}, {moment(alert.ack.at)}" + (f": {alert.ack.text}" if alert.ack.text else "")


def group_markdown(state: State, alerts: Sequence[Alert]) -> str:
    """Several of one rule: the line that tells them, and the first of them by name."""
    level = alert_words.LEVELS.get(alerts[0].severity, alerts[0].severity)
    lines = [f"- {plain(said(state, alert))}, since {moment(alert.since)}" for alert in alerts[:_LISTED]]
    lines += [f"- and {len(alerts) - _LISTED} more"] if len(alerts) > _LISTED else []
    lines += [f"- host: {plain(state.stream.host)}"] if state.stream else []
    return "\n".join([f"**{level}** {plain(alert_words.group_line(alerts))}", "", *lines])


def silence_markdown(silence: Silence) -> str:
    """A silence: what it matches, until when, and who made it."""
    lasts = units.duration(silence.until - silence.at)
    head = f"**silence** {plain(alert_words.matcher(silence.match))}"
    return f"{head}\n\n- until: {moment(silence.until)} ({lasts} in all)\n- by: {plain(silence.by)}\n- reason: {plain(silence.reason)}"
