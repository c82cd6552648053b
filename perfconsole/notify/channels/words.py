"""An alert in words for people who are not at the console: a subject line, and what follows it. The same for every channel. Pure.

What is returned is plain text of printable lines; each channel escapes what its own format would obey.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha1
from math import isfinite
from typing import Final

from perfconsole.core import alert_words, units, words
from perfconsole.core.notices import Notice
from perfconsole.core.text import safe
from perfconsole.core.tick import SEVERITIES, Alert
from perfconsole.notify.channel import Message

RunbookOf = Callable[[Alert], str]
"""Where it is written what to do about an alert; empty where nowhere."""

WORST: Final = 20
"""Alerts that a text lists; the others are counted."""

TEST_RULE: Final = "perfconsole-test"
"""The rule of alerts that are none: sent to try a channel."""

threshold = alert_words.threshold
"""``> 90%``; of what is up or down that."""

_SUBJECT_CHARS: Final = 250
_EXPIRY: Final = "httpcheck.tls.expiry"


def over(notice: Notice) -> bool:
    """Whether it says that an alert is over."""
    return notice.status == "resolved"


def severity(message: Message) -> str:
    """The worst severity of what fires, or of what is over where nothing does."""
    return max((notice.alert.severity for notice in _standing(message) or message.notices), key=SEVERITIES.index)


def resolved(message: Message) -> bool:
    """Whether everything in it is over."""
    return not _standing(message)


# The subject ----------------------------------------------------------------------------------------------------------------------


def subject(message: Message) -> str:
    """``[CRIT] db1: memory avg 92% > 90% over 1m, for 10m``, ``[CRIT] db1: 2 alerts: service-down: 2 endpoints (cart, checkout)``."""
    if len(message.notices) == 1:
        text = sentence(message.notices[0])
    else:
        parts = []
        for status, what in (("firing", "alert"), ("overdue", "still nobody on"), ("resolved", "resolved")):
            found = [notice for notice in message.notices if notice.status == status]
            if found:
                parts.append(f"{len(found)} {what}{'s' * (status == 'firing' and len(found) > 1)}: {_gathered(found)}")
        text = "; ".join(parts)
    return safe(f"[{mark(message)}] {message.host}: {text}", _SUBJECT_CHARS)


def mark(message: Message) -> str:
    """``CRIT``, ``WARN``, ``INFO``, ``OK``; ``TEST`` for what only tries a channel."""
    if is_test(message):
        return "TEST"
    return "OK" if resolved(message) else alert_words.LEVELS[severity(message)]


def is_test(message: Message) -> bool:
    """Whether it only tries a channel."""
    return all(notice.alert.rule == TEST_RULE for notice in message.notices)


def sentence(notice: Notice) -> str:
    """One alert in a few words: what is where, and for how long; or that it is over, and how long it was."""
    alert = notice.alert
    if alert.rule == TEST_RULE:
        return "this tries the channel, nothing is wrong"
    if over(notice):
        return _ended(alert)
    what = alert_words.without_n(words.breach(alert, alert.value))
    lasted = _lasting(notice.made_at - alert.since)
    told = f"{what}, for {lasted}" if lasted and alert.metric != _EXPIRY else what
    return told + ", still nobody on it" * (notice.status == "overdue") + " (flapping)" * alert.flapping


def _lasting(seconds: float) -> str:
    """``10m``, ``6m12s``; nothing of less than a second."""
    return alert_words.short(seconds) if isfinite(seconds) and seconds >= 1 else ""


def _ended(alert: Alert) -> str:
    lasted = _lasting(alert.at - alert.since)
    return alert_words.ended(alert) + (f", resolved after {lasted}" if lasted else ", resolved")


def _standing(message: Message) -> list[Notice]:
    return [notice for notice in message.notices if not over(notice)]


def _gathered(notices: Sequence[Notice]) -> str:
    """``service-down: 500 endpoints (checkout, cart, ... and 498 more), memory-critical``: by rule, the most frequent first.

    Where they are not of one severity each line of several begins with its own: the mark of the subject tells the worst alone.
    """
    groups = alert_words.gathered([notice.alert for notice in notices], most=1)
    mixed = len({notice.alert.severity for notice in notices}) > 1
    return ", ".join(_line(group, mixed=mixed) for group in sorted(groups, key=len, reverse=True))


def _line(group: Sequence[Alert], *, mixed: bool) -> str:
    if len(group) == 1:
        return group[0].rule
    return (alert_words.LEVELS[group[0].severity] + " ") * mixed + alert_words.group_line(group)


# What follows ---------------------------------------------------------------------------------------------------------------------


def body(message: Message, runbook_of: RunbookOf) -> str:
    """The worst `WORST` alerts, some lines each, and how many there are beside them."""
    lines: list[str] = []
    for notice in message.notices[:WORST]:
        lines += [*paragraph(notice, message.host, runbook_of), ""]
    rest = message.notices[WORST:]
    if rest:
        lines += [f"... and {len(rest)} more: {safe(_gathered(rest))}", ""]
    return "\n".join(lines)


def paragraph(notice: Notice, host: str, runbook_of: RunbookOf) -> list[str]:
    """One alert: the sentence, then one fact a line."""
    alert = notice.alert
    level = "TEST" if alert.rule == TEST_RULE else "OK" if over(notice) else alert_words.LEVELS[alert.severity]
    return [safe(f"{level}  {sentence(notice)}"), *(safe(f"      {name}: {text}") for name, text in facts(notice, host, runbook_of))]


def facts(notice: Notice, host: str, runbook_of: RunbookOf) -> list[tuple[str, str]]:
    """What there is to know of an alert, each with its name."""
    alert = notice.alert
    found = [("rule", f"{alert.rule} ({alert.severity})"), ("host", host), ("since", moment(alert.since))]
    found += [("resolved", moment(alert.at))] if over(notice) else [("why", alert.text)] * bool(alert.text and alert.rule != TEST_RULE)
    if alert.rule != TEST_RULE:
        found += [("value", value(alert)), ("threshold", threshold(alert))]
    if alert.ack is not None:
        found.append(("acknowledged", f"{alert.ack.by}, {moment(alert.ack.at)}" + (f": {alert.ack.text}" if alert.ack.text else "")))
    elif notice.status == "overdue":
        found.append(("acknowledged", "by nobody, and that is overdue"))
    runbook = runbook_of(alert)
    return [*found, ("runbook", runbook)] if runbook else found


def value(alert: Alert) -> str:
    """What decided, with its unit: ``92% (avg over 1m, n 30)``."""
    shown = alert_words.decided(alert)
    return f"{shown} ({alert.stat} over {alert_words.short(alert.over_s)}, n {alert.n})" if alert.stat != "last" else shown


def moment(at: float) -> str:
    """``2026-02-02 02:40:07 UTC``; ``-`` when unknown."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if isfinite(at) else units.UNKNOWN


def rfc3339(at: float) -> str | None:
    """Epoch seconds as RFC 3339 in UTC, to the millisecond; None when unknown."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if isfinite(at) else None


def known(number: float) -> float | None:
    """A number for JSON; None when unknown."""
    return number if isfinite(number) else None


def began(alert: Alert) -> float:
    """When it fired; of what never did, when its breach began."""
    return alert.fired_at if isfinite(alert.fired_at) else alert.since


def occurrence(alert: Alert, host: str) -> str:
    """One firing of one alert on one host, as 40 hexadecimal digits: the same from its beginning to its end."""
    return sha1(f"{host}\0{alert.id}\0{began(alert):.3f}".encode(), usedforsecurity=False).hexdigest()


def fingerprint(alert: Alert, host: str) -> str:
    """An alert, whenever it fires, as 16 hexadecimal digits."""
    return sha1(f"{host}\0{alert.id}".encode(), usedforsecurity=False).hexdigest()[:16]


def labels(alert: Alert, host: str) -> dict[str, str]:
    """The labels that Prometheus and its kin know an alert by; ours go before those of a series that are called the same."""
    series = {re.sub(r"\W", "_", name, flags=re.ASCII): text for name, text in alert.labels}
    ours = {"alertname": alert.rule, "severity": alert.severity, "host": host}
    return {**series, **ours}


def annotations(notice: Notice, host: str, runbook_of: RunbookOf) -> dict[str, str]:
    """What is said of an alert beside its labels."""
    alert = notice.alert
    runbook = runbook_of(alert)
    return {
        "summary": safe(sentence(notice)),
        "description": "\n".join(paragraph(notice, host, runbook_of)),
        "value": value(alert),
        "threshold": threshold(alert),
        **({"runbook_url": runbook} if runbook else {}),
    }
