"""One alert followed through states: what it is now, its course as far as it is known, the statistic that decides over time. Pure."""

from collections.abc import Iterable, Sequence
from math import inf, isnan, nan
from typing import Final, NamedTuple

from msgspec.structs import replace

from perfconsole.core import alert_words, units, words
from perfconsole.core.alert_stats import STATS
from perfconsole.core.notices import Notice
from perfconsole.core.series import buckets
from perfconsole.core.state import Series, State
from perfconsole.core.tables import Key
from perfconsole.core.tick import Alert, Rule
from perfconsole.ui.alerts import alert_key
from perfconsole.ui.spark import begun, bridged
from perfconsole.ui.verdict import judge, rules

_KEPT: Final = ("endpoint", "server", "mountpoint", "unit", "service")
"""Labels by which two alerts are about one thing."""

_RELATED: Final = 60


class Subject:
    """An alert, by its id. One that is not told any more keeps what was last known of it.

    Attributes:
        alert: As it was told last.
        live: Whether the state that was followed last knows of it.
        rule: The rule, where it is in force.
    """

    def __init__(self, alert: Alert) -> None:
        self.alert = alert
        self.live = True
        self.rule: Rule | None = None
        self._of: tuple[object, ...] = ()
        self._points: tuple[Sequence[float], Sequence[float]] = ((), ())

    def follow(self, state: State) -> None:
        """Take what a state says of it; why it counts for nothing too, where no engine says that."""
        found = state.alerts.get(self.alert.id)
        self.live = found is not None
        if found is not None:
            self.alert = next((alert for alert in judge(state).muted if alert.id == found.id), found)
        self.rule = rules(state).get(self.alert.rule)

    def series(self, state: State) -> Series | None:
        """What its rule looks at."""
        return state.find(self.alert.metric, **dict(self.alert.labels))

    def points(self, state: State) -> tuple[Sequence[float], Sequence[float]]:
        """Times, and the statistic of the rule after each sample, as the alert stage has it; of samples alone these themselves."""
        series = self.series(state)
        if series is None or not len(series.ring):
            return (), ()
        of = (series.ring, series.ring.last, len(series.ring), self.alert.id)
        if self._of != of:
            self._points, self._of = self._made(series), of
        return self._points

    def _made(self, series: Series) -> tuple[Sequence[float], Sequence[float]]:
        times, values = series.points()
        if self.alert.stat == "last" or self.alert.stat not in STATS:
            return times, values
        window = STATS[self.alert.stat](self.alert.over_s)
        least = self.rule.min_samples if self.rule else 1
        out = []
        for at, value in zip(times, values, strict=True):
            told = nan if isnan(value) else window.push(at, value)
            out.append(told if window.n >= least else nan)
        return times, out


# Its course ------------------------------------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """Something that came about: when, the state that it led to (empty where that stayed), and in words."""

    at: float
    state: str
    text: str


def course(alert: Alert, told: Iterable[Alert]) -> list[Step]:
    """What came about, newest first.

    Args:
        alert: As it is now.
        told: What is kept of it, in any order; may be without the last word, or empty.
    """
    every = {(one.at, one.state, one.before, bool(one.ack), one.silence, one.muted): one for one in (*told, alert)}
    steps: list[Step] = []
    last: Alert | None = None
    for one in sorted(every.values(), key=lambda one: one.at):
        steps += _steps(one, last)
        last = one
    # Where nothing is kept the alert itself still says when its breach began, and when it fired.
    known = {(step.state, round(step.at)) for step in steps}
    if alert.fired_at <= alert.at and ("firing", round(alert.fired_at)) not in known:
        steps.append(Step(alert.fired_at, "firing", "fired"))
    if alert.since <= alert.at and ("pending", round(alert.since)) not in known:
        steps.append(Step(alert.since, "pending", "the breach began"))
    return sorted(steps, key=lambda step: step.at, reverse=True)


def _steps(one: Alert, last: Alert | None) -> list[Step]:
    value = f"{alert_words.decided(one)} {alert_words.threshold(one)}" if not alert_words.either_or(one) else ""
    value = f" at {value}" if value and not isnan(one.value) else ""
    if one.before != one.state:
        said = {
            "pending": "the breach began", "firing": f"fired{value}", "resolved": "resolved" + (f": {one.text}" if one.text else ""),
            "inactive": "well again before it fired",
        }  # fmt: skip
        first = [Step(one.at, one.state, said.get(one.state, one.state))]
    else:
        first = []
    was = last if last is not None and last.since == one.since else None
    changes = []
    if one.ack != (was.ack if was else None):
        took = one.ack
        changes.append(f"acknowledged by {took.by}" + (f": {took.text}" if took.text else "") if took else "given back")
    if one.silence != (was.silence if was else ""):
        changes.append((alert_words.only_silenced(one) and one.muted) or ("silenced" if one.silence else "not silenced any more"))
    reason, before = ("" if alert_words.only_silenced(told) else told.muted for told in (one, was or replace(one, muted="")))
    if reason != before:
        changes.append(f"quiet: {reason}" if reason else "not kept quiet any more")
    if one.flapping and not (was and was.flapping):
        changes.append("flapping: it is held until it has been well for longer")
    return first + [Step(one.ack.at if one.ack and text.startswith("acknowledged") else one.at, "", text) for text in changes]


class Span(NamedTuple):
    """A stretch of time in which it was in a state."""

    start: float
    end: float
    state: str


def spans(steps: Sequence[Step], now: float) -> list[Span]:
    """When it was pending and firing, oldest first."""
    out: list[Span] = []
    turns = [step for step in reversed(steps) if step.state]
    for step, following in zip(turns, [*turns[1:], None], strict=True):
        if step.state in {"pending", "firing"}:
            out.append(Span(step.at, following.at if following else now, step.state))
    return out


# On a chart ------------------------------------------------------------------------------------------------------------------------


def columns(subject: Subject, state: State, count: int, width_s: float) -> list[float]:
    """Its statistic in buckets aligned to the clock, the last one containing now: of each the value nearest to a breach, or beyond."""
    times, values = subject.points(state)
    series = subject.series(state)
    if series is None or not times:
        return [nan] * count
    sign = 1.0 if subject.alert.above else -1.0
    first = int(state.at // width_s) - count + 1
    found = buckets(times, [sign * value for value in values], first, count, width_s)
    interval_s = series.ring.interval_s
    filled = bridged(found, width_s, interval_s, begun=begun(series.ring.last, state.at, width_s, interval_s))
    return [sign * value for value in filled]


def scale_text(alert: Alert, value: float) -> str:
    """A value at the scale, in at most five characters."""
    if alert.stat == "ratio":
        return units.percent(value, 1 if value < 0.0995 else 0)
    return words.measured(alert.metric, value)[:5]


# Others ----------------------------------------------------------------------------------------------------------------------------


class Related(NamedTuple):
    """Another alert, and what it has to do with this one."""

    alert: Alert
    why: str

    @property
    def key(self) -> Key:
        """Its identity."""
        return alert_key(self.alert)


def related(alert: Alert, state: State) -> list[Related]:
    """Alerts about the same thing, then others of its rule: those that fire first, then those that are pending, then what is over."""
    mine = dict(alert.labels)
    order = {"firing": 0, "pending": 1, "resolved": 2}
    found = []
    for other in state.alerts.values():
        if other.colour or other.id == alert.id:
            continue
        theirs = dict(other.labels)
        same = next((name for name in _KEPT if name in mine and mine[name] == theirs.get(name)), "")
        if same or other.rule == alert.rule or (other.metric == alert.metric and other.labels == alert.labels):
            found.append(Related(other, f"same {same}" if same else "same rule" if other.rule == alert.rule else "same series"))
    found.sort(key=lambda one: (order.get(one.alert.state, 3), one.why == "same rule", -_recent(one.alert)))
    return found[:_RELATED]


def _recent(alert: Alert) -> float:
    return -inf if isnan(alert.at) else alert.at


def notice_line(notice: Notice) -> str:
    """How far a notification is, in words."""
    tries = f", {notice.tries} tries" if notice.tries > 1 else ""
    said = {
        "sent": f"sent{tries}", "waiting": f"waiting{tries}", "failed": f"given up{tries}", "dropped": "not sent: it was over, or quiet",
    }  # fmt: skip
    return said.get(notice.state, notice.state) + (f": {notice.error}" if notice.error else "")
