"""The alert stage: readings in, transitions out. Pure: time enters only through ticks, so live, replay and any batching agree.

Rules read series, never tables. Elapsed time is counted by CLOCK_BOOTTIME; what is told of it has wall-clock times. A deadline that passed
before a reading is taken before it, and stamped exactly. Unknown is neither breach nor recovery.

A rule without duration and notification is a threshold: it colours a value and fills "over threshold now", and never counts as an alert.
"""

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from itertools import count
from math import inf, nan

from perfconsole.core import metrics
from perfconsole.core.alert_course import Course, Phase, Turn
from perfconsole.core.shipped import SHIPPED
from perfconsole.core.tick import SEVERITIES, Alert, Group, Rule, SeriesDef, Tick

__all__ = ["SHIPPED", "AlertStage", "rank", "worst_first"]

_STATES = ("inactive", "pending", "firing")


class _Watched:
    """One rule at one series.

    Attributes:
        column: Where its value stands in a reading.
        quick: Whether a sample on the good side changes nothing while it is inactive.
        due: What the stage has it down for.
        told: The alert as it was told last; None before.
    """

    __slots__ = (
        "above",
        "column",
        "counter",
        "course",
        "definition",
        "due",
        "id",
        "last_at",
        "last_value",
        "limit",
        "muted",
        "quick",
        "rule",
        "told",
    )

    def __init__(self, rule: Rule, definition: SeriesDef, interval_s: float) -> None:
        self.rule, self.definition = rule, definition
        self.course = Course(rule, interval_s)
        self.counter = metrics.is_counter(definition.name)
        self.quick = rule.stat == "last" and not self.counter and rule.no_data == "keep"
        self.above, self.limit = rule.above, rule.limit
        self.column = 0
        self.due = inf
        self.last_at = self.last_value = nan
        self.muted = ""
        self.told: Alert | None = None
        named = ",".join(f"{name}={text}" for name, text in definition.labels)
        self.id = f"{rule.name}{{{named}}}"

    def rate(self, at: float, value: float) -> float:
        """Of a counter: its rate per second since the last reading; NaN where it ran backwards, or there is none."""
        grown, passed = value - self.last_value, at - self.last_at
        self.last_at, self.last_value = at, value
        return grown / passed if grown >= 0 and passed > 0 else nan

    def turned(self, turn: Turn, offset_s: float) -> Alert:
        """What is told of a transition.

        Args:
            turn: The transition.
            offset_s: Wall clock minus CLOCK_BOOTTIME.
        """
        course, rule = self.course, self.rule
        after = _STATES[turn.after]
        if turn.before is Phase.FIRING and turn.after is Phase.INACTIVE and not rule.colour:
            after = "resolved"
        since = course.since + offset_s if turn.after else self.told.since if self.told else turn.at + offset_s
        self.told = Alert(
            id=self.id, rule=rule.name, metric=rule.metric, labels=self.definition.labels, severity=rule.severity,
            state=after, before=_STATES[turn.before], at=turn.at + offset_s, since=since, value=turn.value, limit=rule.limit,
            above=rule.above, colour=rule.colour, n=max(course.n, 1), due=self._due(offset_s), fired_at=course.fired_at + offset_s,
            muted=self.muted, flapping=course.flapping, text="it is not measured any more" if turn.ended else "",
        )  # fmt: skip
        return self.told

    def _due(self, offset_s: float) -> float:
        due = self.course.due if self.course.phase is Phase.PENDING else nan
        return due + offset_s if due < inf else nan


class AlertStage:
    """Evaluates rules over the readings of ticks.

    Rules are bound to series by position when a group is defined: a step then costs one comparison a rule and series that is well.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._bound: dict[int, list[_Watched]] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._dues: list[tuple[float, int, _Watched]] = []
        self._serial = count()
        self._peers: dict[SeriesDef, list[_Watched]] = {}

    def step(self, tick: Tick) -> list[Alert]:
        """The transitions a tick makes, in the order in which they came about."""
        out: list[Alert] = []
        offset_s = tick.at - tick.boot
        for group in tick.groups:
            self._define(group, tick.boot, offset_s, out)
        readings = tick.readings if len(tick.readings) < 2 else sorted(tick.readings, key=lambda reading: reading.at)
        for reading in readings:
            watched = self._bound.get(reading.group)
            if not watched:
                continue
            at = reading.at - offset_s
            if self._dues and self._dues[0][0] < at:
                self._expire(at, offset_s, out, before=True)
            began = at if reading.began is None else min(at, reading.began - offset_s)
            values = reading.values
            for one in watched:
                value = values[one.column]
                if one.quick and not one.course.phase and not (value > one.limit if one.above else value < one.limit):
                    continue
                self._sample(one, at, began, one.rate(at, value) if one.counter else value, offset_s, out)
        if self._dues and self._dues[0][0] <= tick.boot:
            self._expire(tick.boot, offset_s, out, before=False)
        return out

    def _sample(self, one: _Watched, at: float, began: float, value: float, offset_s: float, out: list[Alert]) -> None:
        turn = one.course.sample(at, began, value)
        if turn:
            self._turned(one, turn, offset_s, out)
        self._note_due(one)

    def _note_due(self, one: _Watched) -> None:
        due = one.course.due
        if due != one.due:
            one.due = due
            if due < inf:
                heappush(self._dues, (due, next(self._serial), one))

    def _expire(self, now: float, offset_s: float, out: list[Alert], *, before: bool) -> None:
        """Take the deadlines that passed, in their order: those before a reading, or up to the end of a tick."""
        dues = self._dues
        while dues and (dues[0][0] < now if before else dues[0][0] <= now):
            due, _, one = heappop(dues)
            if due != one.due:  # it has moved on meanwhile
                continue
            one.due = inf
            turn = one.course.expire(due)
            if turn:
                self._turned(one, turn, offset_s, out)
            self._note_due(one)

    def _turned(self, one: _Watched, turn: Turn, offset_s: float, out: list[Alert]) -> None:
        one.muted = self._inhibited(one)
        out.append(one.turned(turn, offset_s))
        if not one.rule.colour and one.rule.severity == "critical" and turn.after is not turn.before:
            self._mute_peers(one, turn.at, offset_s, out)

    # Inhibition -------------------------------------------------------------------------------------------------------------------

    def _inhibited(self, one: _Watched) -> str:
        """Which critical alert about the very same series makes a milder one superfluous; empty for none."""
        if one.rule.colour or one.rule.severity == "critical":
            return ""
        graver = (peer for peer in self._peers[one.definition] if peer.rule.severity == "critical" and peer.course.phase is Phase.FIRING)
        return next((f"inhibited by {peer.rule.name}" for peer in graver), "")

    def _mute_peers(self, one: _Watched, at: float, offset_s: float, out: list[Alert]) -> None:
        for peer in self._peers[one.definition]:
            muted = self._inhibited(peer)
            if muted != peer.muted and peer.course.phase is Phase.FIRING and peer.told:
                peer.muted = muted
                out.append(peer.turned(Turn(at, Phase.FIRING, Phase.FIRING, peer.course.value), offset_s))

    # Binding ------------------------------------------------------------------------------------------------------------------------

    def _define(self, group: Group, boot: float, offset_s: float, out: list[Alert]) -> None:
        """Bind a group's series; what was known of a series that is in the group's new shape too goes on, what is gone ends."""
        place = (group.collector, group.target)
        old = {(one.rule.name, one.definition): one for one in self._bound.pop(self._ids.pop(place, -1), ())}
        bound: list[_Watched] = []
        for column, definition in enumerate(group.series):
            for rule in self._rules:
                if rule.covers(definition):
                    one = old.pop((rule.name, definition), None) or self._begun(rule, definition, group.interval_s)
                    one.column = column
                    bound.append(one)
        if group.series:
            self._bound[group.id], self._ids[place] = bound, group.id
        for gone in old.values():
            self._gone(gone, boot, offset_s, out)

    def _begun(self, rule: Rule, definition: SeriesDef, interval_s: float) -> _Watched:
        one = _Watched(rule, definition, interval_s)
        if not rule.colour:
            self._peers.setdefault(definition, []).append(one)
        return one

    def _gone(self, one: _Watched, boot: float, offset_s: float, out: list[Alert]) -> None:
        one.due = inf
        turn = one.course.end(boot)
        if turn:
            self._turned(one, turn, offset_s, out)
        if not one.rule.colour:
            self._peers[one.definition].remove(one)


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
