"""Transitions of alerts as events: that one fired, or is over, in the words of messages; of a storm one event a rule. No clock, no loop."""

from collections.abc import Sequence
from typing import Final

from perfconsole.core import alert_words, words
from perfconsole.core.alert_order import rank
from perfconsole.core.tick import Alert, Event

SOURCE: Final = "alerts"
KIND: Final = "alert"

GATHERED_S: Final = 10.0
"""Endpoints fail within their interval of each other: after the first few, those of one rule are told together once so much has passed."""

_FIRED: Final = "fired"
_RESOLVED: Final = "resolved"


class _Run:
    """What one rule does within a while: the first few are told one by one, the rest is held."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.told = 0
        self.summed = False
        self.held: list[Alert] = []


class AlertEvents:
    """Makes events of transitions."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], _Run] = {}

    @property
    def waiting(self) -> bool:
        """Whether time alone may bring more."""
        return bool(self._runs)

    def step(self, transitions: Sequence[Alert], boot: float) -> list[Event]:
        """What is to be told now.

        Args:
            transitions: Of alerts, no thresholds among them, that came about since the last step.
            boot: Seconds of CLOCK_BOOTTIME.
        """
        told: list[Event] = []
        fresh: dict[tuple[str, str], list[Alert]] = {}
        for alert in transitions:
            what = _what(alert)
            if what:
                fresh.setdefault((alert.rule, what), []).append(alert)
        for (rule, what), alerts in fresh.items():
            run = self._runs.setdefault((rule, what), _Run(boot + GATHERED_S))
            if run.told + len(alerts) <= alert_words.GROUPED:
                run.told += len(alerts)
                told += [event(alert) for alert in alerts]
            elif run.summed:
                run.held += alerts
            else:
                run.summed = True
                told.append(gathered(alerts, what))
        return told + self._over(boot)

    def flush(self) -> list[Event]:
        """All that is held: nothing comes any more."""
        held = [gathered(run.held, what) for (_, what), run in self._runs.items() if run.held]
        self._runs.clear()
        return held

    def _over(self, boot: float) -> list[Event]:
        told: list[Event] = []
        for (rule, what), run in list(self._runs.items()):
            if 0 <= run.until - boot <= GATHERED_S and boot < run.until:
                continue
            if run.held:  # it goes on: one event each while
                told.append(gathered(run.held, what))
                run.held, run.until = [], boot + GATHERED_S
            else:
                del self._runs[rule, what]
        return told


def _what(alert: Alert) -> str:
    """What came about; empty where that is nothing to tell: it pends, or something else was said of it."""
    if alert.state == "firing" and alert.before != "firing":
        return _FIRED
    return _RESOLVED if alert.state == "resolved" and alert.before != "resolved" else ""


def event(alert: Alert) -> Event:
    """``service-down-critical fired: checkout is down (silenced by anna: works)``."""
    fired = _what(alert) == _FIRED
    said = words.breach(alert, alert.value) if fired else alert_words.ended(alert)
    quiet = alert_words.quiet(alert)
    text = f"{alert.rule} {_FIRED if fired else _RESOLVED}: {said}" + (f" ({_muted(quiet)})" if quiet else "")
    return Event(alert.at, alert.at, KIND, scope(alert), text, SOURCE, alert.severity if fired else "")


def gathered(alerts: Sequence[Alert], what: str) -> Event:
    """``service-down-critical: 498 alerts fired (checkout, cart, ... and 496 more)``, of alerts of one rule."""
    if len(alerts) == 1:
        return event(alerts[0])
    times = [alert.at for alert in alerts]
    scopes = {scope(alert) for alert in alerts}
    muted = sum(bool(alert_words.quiet(alert)) for alert in alerts)
    names = [alert_words.thing(alert) for alert in alerts[: alert_words.NAMED]]
    more = len(alerts) - len(names)
    named = ", ".join([*names, *([f"... and {more} more"] if more else [])])
    text = f"{alerts[0].rule}: {len(alerts)} alerts {what} ({named})" + (f", {muted} muted" if muted else "")
    severity = max((alert.severity for alert in alerts), key=rank) if what == _FIRED else ""
    return Event(min(times), max(times), KIND, scopes.pop() if len(scopes) == 1 else "host", text, SOURCE, severity)


def scope(alert: Alert) -> str:
    """What an alert is about, as events have it: an endpoint, ``postgres:NAME``, a unit, a path, else the host."""
    labels = dict(alert.labels)
    server = labels.get("server") or (labels.get("target", "") if labels.get("collector") == "postgres" else "")
    if server:
        return f"postgres:{server}"
    if labels.get("collector") == "http":
        return labels["target"]
    return next((labels[name] for name in ("endpoint", "unit", "mountpoint") if name in labels), "host")


def _muted(quiet: str) -> str:
    return quiet if quiet.startswith(("silenced", "inhibited")) else f"muted: {quiet}"
