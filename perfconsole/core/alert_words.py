"""Alerts in words: the one wording of screens, messages and the command line. Built on `perfconsole.core.words`; pure, as that is.

What is told here of a storm is one line: five hundred endpoints that fail behind one gateway are one thing to know.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, isnan, nan
from typing import Final, NamedTuple

from perfconsole.core import units, words
from perfconsole.core.alert_order import rank
from perfconsole.core.tick import Alert, Rule, Silence

LEVELS: Final = {"critical": "CRIT", "warning": "WARN", "info": "INFO"}

GROUPED: Final = 8
"""Alerts of one rule that are still told one by one; more are one line."""

NAMED: Final = 2
"""Things that such a line names; the others are counted."""

_KINDS: Final = {
    "endpoint": "endpoints", "service": "services", "mountpoint": "filesystems", "server": "servers", "database": "databases",
    "device": "devices", "interface": "interfaces", "unit": "units", "cpu": "cores", "target": "targets",
}  # fmt: skip
"""What several things are called that differ by a label; the first label that is known decides."""

_EITHER: Final = {words.FAILED: ("writable", "read-only"), words.BLIND: ("well", "blind")}
"""What samples of 0 and of 1 mean, of metrics that tell that something is so or not; beside those of what is up or down."""

_SILENCED: Final = "silenced by "
"""How the reason begins that the engine gives for a silence."""

_SAMPLES: Final = re.compile(r" \(n \d+\)$")

_OF_ITSELF: Final = ("rule", "severity", "metric")
"""Names a silence can match beside the labels of the series."""


# One alert ------------------------------------------------------------------------------------------------------------------------


def subject(alert: Alert, told: str = "") -> str:
    """``CRIT checkout is down``: its one line for messages.

    Args:
        alert: The alert.
        told: What is to be told of it, where more is known than it says itself; see `words.breach`.
    """
    return f"{LEVELS.get(alert.severity, alert.severity)} {told or words.breach(alert, alert.value)}"


def thing(alert: Alert) -> str:
    """What tells it from others of its rule: ``checkout``, ``/var``, ``memory``."""
    labels = dict(alert.labels)
    return labels.get("endpoint") or labels.get("service") or " ".join(labels.values()) or words.thing(alert.metric, ())


def measure(alert: Alert) -> str:
    """What is measured of what: ``checkout``, ``checkout latency``, ``errors of checkout``, ``disk /var``."""
    labels = dict(alert.labels)
    name = labels.get("endpoint") or labels.get("service")
    if not name:
        return words.thing(alert.metric, alert.labels)
    if alert.stat == "ratio" or alert.metric == "httpcheck.error.ratio":
        return f"errors of {name}"
    kinds = {"httpcheck.duration": f"{name} latency", "httpcheck.tls.expiry": f"certificate of {name}"}
    return kinds.get(alert.metric, name)


def ended(alert: Alert) -> str:
    """``checkout is up again``, ``memory 72%, was > 90%``: what there is to say of an alert that is over."""
    what = measure(alert)
    if alert.text:  # no value says so
        return f"{what}: {alert.text}"
    if _conditions(alert):
        return f"{what} is {_conditions(alert)[not alert.above]} again"
    return f"{what} {decided(alert)}, was {threshold(alert)}"


def threshold(alert: Alert) -> str:
    """``> 90%``; of what is up or down that."""
    if _conditions(alert):
        return _conditions(alert)[alert.above]
    limit = units.percent(alert.limit, 1) if alert.stat == "ratio" else words.measured(alert.metric, alert.limit)
    return f"{'>' if alert.above else '<'} {limit}"


def decided(alert: Alert) -> str:
    """What decided: ``92%``, of a share with a digit more; of something that is up or down that."""
    return units.percent(alert.value, 1) if alert.stat == "ratio" else shown(alert, alert.value)


def shown(alert: Alert, value: float) -> str:
    """A value of its metric: ``92%``; of something that is up or down that."""
    if _conditions(alert):
        return units.UNKNOWN if isnan(value) else _conditions(alert)[value >= 1]
    return words.measured(alert.metric, value)


def statistic(alert: Alert) -> str:
    """``avg over 1m n 30``; of samples that were taken alone ``last sample``, or how many in a row."""
    if alert.stat == "last":
        return f"last, {alert.n} in a row" if alert.n > 1 else "last sample"
    return f"{alert.stat} over {short(alert.over_s)} n {alert.n}"


def either_or(alert: Alert) -> bool:
    """Whether its samples tell that something is so or not, and not how much of it there is."""
    return bool(_conditions(alert))


def _conditions(alert: Alert) -> tuple[str, ...]:
    """What samples of 0 and of 1 mean, where they mean that; else nothing."""
    if alert.stat != "last":
        return ()
    return ("down", "up") if alert.metric.endswith(".up") else _EITHER.get(alert.metric, ())


def without_n(text: str) -> str:
    """What was said of an alert, without the number of samples at its end."""
    return _SAMPLES.sub("", text)


def rule_name(alert: Alert) -> str:
    """The rule without the severity, where its name ends in that: it stands beside it."""
    return alert.rule.removesuffix(f"-{alert.severity}") or alert.rule


def lasting(alert: Alert, now: float, began: float) -> str:
    """``for 6m12s``; see `words.lasting`. What was kept of an earlier run of the engine is known exactly, though it is older than this one.

    Args:
        alert: A firing alert.
        now: Epoch seconds.
        began: When the engine started, epoch seconds.
    """
    return words.lasting(alert, now, nan if not alert.colour and alert.since < began else began)


def quiet(alert: Alert) -> str:
    """Why it notifies nobody, in words; empty when it does."""
    return alert.muted or ("silenced" if alert.silence else "")


def only_silenced(alert: Alert) -> bool:
    """Whether nothing but a silence keeps it quiet: that is somebody's wish, and makes nothing well."""
    return bool(alert.silence) and (not alert.muted or alert.muted.startswith(_SILENCED))


def counts(alert: Alert) -> bool:
    """Whether it is one of those that are counted as firing: no threshold, and nothing keeps it quiet."""
    return alert.state == "firing" and not alert.colour and not quiet(alert)


def acked(alert: Alert) -> str:
    """``acked by ops``; empty while nobody has taken it on."""
    return f"acked by {alert.ack.by}" if alert.ack else ""


def overdue_s(alert: Alert, respond_s: float, now: float) -> float:
    """Seconds since somebody should have answered; 0 while there is time, somebody has, or nobody was to be told.

    Args:
        alert: The alert.
        respond_s: Within what time somebody should (`Rule.respond_s`); NaN where no time is set.
        now: Epoch seconds.
    """
    if not counts(alert) or alert.ack or isnan(respond_s) or isnan(alert.fired_at):
        return 0.0
    return max(0.0, now - alert.fired_at - respond_s)


def overdue(alert: Alert, respond_s: float, now: float) -> str:
    """``overdue 12m``: by whole minutes, which is all that matters of it; empty when it is not."""
    late_s = overdue_s(alert, respond_s, now)
    return "" if not late_s else "overdue" if late_s < 60 else f"overdue {short(late_s // 60 * 60)}"


class Progress(NamedTuple):
    """How far a pending alert is: `ratio` of its duration has passed, it fires in `left_s` seconds unless it recovers. NaN: unknown."""

    ratio: float
    left_s: float


def progress(alert: Alert, for_s: float, now: float) -> Progress:
    """How far a pending alert is.

    Args:
        alert: The alert.
        for_s: How long it has to last (`Rule.for_s`); NaN where the rule is not known.
        now: Epoch seconds. Time that nobody observed moves `Alert.due` on, and does not count.
    """
    if not isfinite(alert.due):
        return Progress(nan, nan)
    left_s = max(0.0, alert.due - now)
    whole_s = for_s if for_s > 0 else alert.due - alert.since
    return Progress(max(0.0, min(1.0, 1 - left_s / whole_s)) if whole_s > 0 else nan, left_s)


def short(seconds: float) -> str:
    """A duration without a part that is nothing: ``5m``, ``6m12s``, ``2h05m``."""
    if not isfinite(seconds):
        return units.UNKNOWN
    text = units.duration(seconds) if seconds >= 10 or seconds != int(seconds) else f"{seconds:.0f}s"
    return text.removesuffix("00s") if text.endswith("m00s") else text.removesuffix("00m") if text.endswith("h00m") else text


# Several ---------------------------------------------------------------------------------------------------------------------------


def in_order(alerts: Iterable[Alert]) -> list[Alert]:
    """The worst first, of those the oldest."""
    return sorted(alerts, key=lambda alert: (-rank(alert.severity), alert.since, alert.id))


def gathered(alerts: Sequence[Alert], most: int = GROUPED) -> list[tuple[Alert, ...]]:
    """Alerts as they are told: one by one, or all of a rule that has more than `most` together, where the first of them stands."""
    crowds = Counter(alert.rule for alert in alerts)
    out: dict[str, list[Alert]] = {}
    for alert in alerts:
        out.setdefault(alert.rule if crowds[alert.rule] > most else f"\0{alert.id}", []).append(alert)
    return [tuple(members) for members in out.values()]


def group_line(alerts: Sequence[Alert]) -> str:
    """``service-down: 500 endpoints (checkout, cart, ... and 498 more)``, of alerts of one rule."""
    names = [thing(alert) for alert in alerts[:NAMED]]
    more = len(alerts) - len(names)
    told = ", ".join([*names, *([f"... and {more} more"] if more > 0 else [])])
    return f"{rule_name(alerts[0])}: {len(alerts)} {_kind(alerts[0])} ({told})"


def _kind(alert: Alert) -> str:
    known = dict(alert.labels)
    return next((plural for label, plural in _KINDS.items() if label in known), "series")


def tally(alerts: Iterable[Alert]) -> str:
    """``3 silenced, 2 muted, 1 acked``: what is not waiting for anybody, each by one reason alone; empty when everything is."""
    several = list(alerts)
    found = {
        "silenced": sum(bool(alert.silence) for alert in several),
        "muted": sum(bool(alert.muted) and not alert.silence for alert in several),
        "acked": sum(alert.ack is not None for alert in several),
    }
    return ", ".join(f"{number} {name}" for name, number in found.items() if number)


# Rules and silences ---------------------------------------------------------------------------------------------------------------


def by_name(rules: Iterable[Rule]) -> dict[str, Rule]:
    """Rules by their names."""
    return {rule.name: rule for rule in rules}


def written(rule: Rule | None) -> str:
    """Where a rule is written: ``perfconsole.toml:12``, or that it ships."""
    return "not in force any more" if rule is None else rule.source or "shipped"


def about(alert: Alert) -> tuple[tuple[str, str], ...]:
    """What matches an alert and others of its rule about the same thing: its rule and labels, with what globs mean taken literally."""
    return tuple((name, _literally(text)) for name, text in (("rule", alert.rule), *alert.labels))


def _literally(text: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in text)


def matcher(match: Sequence[tuple[str, str]]) -> str:
    """``rule=service-down-critical endpoint=checkout``; a value with a space in it stands between quotes."""
    return " ".join(f'{name}="{glob}"' if not glob or " " in glob else f"{name}={glob}" for name, glob in match)


def read_matcher(text: str, known: Sequence[str] = ()) -> tuple[tuple[str, str], ...]:
    """The pairs that are meant by what somebody wrote; see `matcher`.

    Args:
        text: ``label=glob`` pairs.
        known: Labels there are, for what the error says; any is accepted.

    Raises:
        ValueError: Says what is accepted.
    """
    found: dict[str, str] = {}
    names = ", ".join(dict.fromkeys([*_OF_ITSELF, *known]))
    for word in _words(text):
        name, equals, glob = word.partition("=")
        if not equals or not name or not glob:
            raise ValueError(f"{word!r} is no label=glob (such as endpoint=shop-*; labels: {names})")
        if name in found:
            raise ValueError(f"{name} stands there twice: all pairs have to match, so one of them is enough")
        found[name] = glob
    if not found:
        raise ValueError(f"nothing to match: label=glob pairs are needed, all of which have to match (labels: {names})")
    if all(not glob.strip("*") for glob in found.values()) and set(found) <= set(_OF_ITSELF):
        raise ValueError("this would silence everything there is: name a rule, or a label")
    return tuple(found.items())


def _words(text: str) -> list[str]:
    """Words; between quotes a space is none."""
    found, quoted = [""], False
    for char in text:
        if char == '"':
            quoted = not quoted
        elif char in " ," and not quoted:
            found.append("")
        else:
            found[-1] += char
    if quoted:
        raise ValueError("a quote is opened and not closed")
    return [word for word in found if word]


def covered(silence: Silence, alerts: Mapping[str, Alert]) -> list[Alert]:
    """The firing and pending alerts that lie under a silence."""
    return [alert for alert in alerts.values() if not alert.colour and alert.state in {"firing", "pending"} and silence.covers(alert)]
