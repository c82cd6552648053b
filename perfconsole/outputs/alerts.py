"""Alerts and silences as text, and as the JSON object ``perfconsole.alerts/1``. Pure: what is known in, plain values or lines out."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf, isfinite, nan
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from perfconsole.core import alert_words, units, words
from perfconsole.core.tick import Alert, Rule, Silence
from perfconsole.outputs.paper import Paper
from perfconsole.outputs.snapshot import alert_in_json, heading, rfc3339

SCHEMA: Final = "perfconsole.alerts/1"

NOBODY: Final = "no console runs: as the last one left it"


class Known(NamedTuple):
    """What is known of alerts.

    Attributes:
        at: As of when, epoch seconds.
        live: Whether somebody evaluates them now; else it is what was kept.
        alerts: Those that pend, fire, or did lately; thresholds are none.
        rules: Those in force, by name.
        began: When the engine started that evaluates them, epoch seconds; NaN where none does.
        runbooks: Of endpoints that have one of their own, by name.
    """

    at: float
    host: str
    live: bool
    alerts: Sequence[Alert]
    silences: Sequence[Silence]
    rules: Mapping[str, Rule]
    began: float = nan
    runbooks: Mapping[str, str] = {}


def silenced_now(alerts: Iterable[Alert], silences: Sequence[Silence]) -> list[Alert]:
    """What another run left, with what silences do now: some of those that it knew have ended since, and others were made.

    Args:
        alerts: As they were told last.
        silences: Those in force.
    """
    return [_silenced(alert, silences) if alert.state in {"pending", "firing"} else alert for alert in alerts]


def _silenced(alert: Alert, silences: Sequence[Silence]) -> Alert:
    """As `core.muting` says it: a silence is why an alert is muted where nothing else is."""
    muted = "" if alert.silence and alert.muted.startswith("silenced by ") else alert.muted
    silence = next((silence for silence in silences if silence.covers(alert)), None)
    if silence is None:
        return replace(alert, muted=muted, silence="")
    return replace(alert, muted=muted or f"silenced by {silence.by}: {silence.reason}", silence=silence.id)


def unknown_labels(match: Sequence[tuple[str, str]], known: Known) -> str:
    """That a silence is about nothing, for nobody knows a label of it; empty where it covers an alert, or one may come."""
    silence = Silence("", tuple(match), known.at, inf, "", "")
    if alert_words.covered(silence, {alert.id: alert for alert in known.alerts}):
        return ""
    labels = {"rule", "severity", "metric"}
    labels |= {name for alert in known.alerts for name, _ in alert.labels}
    labels |= {name for rule in known.rules.values() for name, _ in rule.match}
    unknown = [name for name, _ in match if name not in labels]
    if not unknown:
        return ""
    there = ", ".join(sorted(labels))
    return f"it covers none of the alerts that stand now: no rule or alert has a label {', '.join(unknown)} (labels: {there})"


def in_json(known: Known) -> dict[str, Any]:
    """Base units; None for what is unknown. ``live`` is false where nobody evaluates alerts now, and this is what was kept."""
    return {
        **heading(SCHEMA, known.at, known.host),
        "live": known.live,
        "alerts": [alert_in_json(alert, alert.value) for alert in sorted(known.alerts, key=lambda alert: alert.id)],
        "silences": [
            {
                "id": silence.id, "match": dict(silence.match), "at": rfc3339(silence.at), "until": rfc3339(silence.until),
                "by": silence.by, "reason": silence.reason,
            }
            for silence in known.silences
        ],
    }  # fmt: skip


def text(known: Known, paper: Paper) -> str:
    """A line an alert, the worst first; then silences, with what they cover."""
    standing = {state: [alert for alert in known.alerts if alert.state == state] for state in ("firing", "pending", "resolved")}
    lines = [] if known.live else [NOBODY]
    lines += [_firing(alert, known) for alert in alert_words.in_order(standing["firing"])]
    for alert in sorted(standing["pending"], key=lambda alert: (alert.due, alert.id)):
        left_s = alert.due - known.at
        fires = f"fires in {units.duration(left_s)}" if isfinite(left_s) and left_s > 0 else "fires with the next breach"
        lines.append(_line(alert, "pending", "  ".join(filter(None, (fires, alert_words.quiet(alert))))))
    for alert in sorted(standing["resolved"], key=lambda alert: -alert.at):
        lasted = f"over for {units.duration(known.at - alert.at)}, lasted {units.duration(alert.at - alert.since)}"
        lines.append(_line(alert, "resolved", lasted))
    if not known.alerts:
        lines.append("no alert pends or fires")
    for silence in known.silences:
        left = units.duration(silence.until - known.at)
        covered = len(alert_words.covered(silence, {alert.id: alert for alert in known.alerts}))
        match = alert_words.matcher(silence.match)
        lines.append(f"silence {silence.id}  {match}  ends in {left}  covers {covered}  by {silence.by}: {silence.reason}")
    return "".join(f"{paper.printable(line)}\n" for line in lines)


def _firing(alert: Alert, known: Known) -> str:
    rule = known.rules.get(alert.rule)
    told = [
        words.lasting(alert, known.at, known.began),
        alert_words.quiet(alert),
        alert_words.acked(alert) + (f": {alert.ack.text}" if alert.ack and alert.ack.text else ""),
        alert_words.overdue(alert, rule.respond_s if rule else nan, known.at),
        known.runbooks.get(dict(alert.labels).get("endpoint", "")) or (rule.runbook if rule else ""),
    ]
    return _line(alert, "firing", "  ".join(filter(None, told)))


def _line(alert: Alert, state: str, told: str) -> str:
    return f"{alert_words.LEVELS[alert.severity]}  {state:<8}  {words.breach(alert, nan)}  {told}  [{alert.id}]"
