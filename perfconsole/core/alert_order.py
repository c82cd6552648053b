"""Which alerts come before others: the one order of screens, messages and the command line. Pure."""

from collections.abc import Iterable

from perfconsole.core.tick import SEVERITIES, Alert


def rank(severity: str) -> int:
    """0 for info, 1 for warning, 2 for critical."""
    return SEVERITIES.index(severity)


def coming(alerts: Iterable[Alert]) -> list[Alert]:
    """Those that pend and would tell something new: none that a firing one about the same thing makes superfluous."""
    return [alert for alert in alerts if alert.state == "pending" and not alert.colour and not alert.muted.startswith("inhibited by ")]


def worst_first(alerts: Iterable[Alert]) -> list[Alert]:
    """Firing alerts by severity, then age; of several about one series only the most severe.

    Of an endpoint that is down it is not told that it is slow as well: a check that was given up took as long as its timeout.
    """
    firing = [alert for alert in alerts if alert.state == "firing"]
    down = {alert.labels for alert in firing if alert.metric == "httpcheck.up" and alert.stat == "last"}
    worst: dict[tuple[str, tuple[tuple[str, str], ...]], Alert] = {}
    for alert in firing:
        if alert.metric == "httpcheck.duration" and alert.labels in down:
            continue
        known = worst.get((alert.metric, alert.labels))
        if known is None or rank(alert.severity) > rank(known.severity):
            worst[alert.metric, alert.labels] = alert
    return sorted(worst.values(), key=lambda alert: (-rank(alert.severity), alert.since, alert.id))
