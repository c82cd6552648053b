"""The alert stage: readings in, transitions out. Pure: time enters only through ticks, so live, replay and any batching agree.

Rules read series, never tables. Elapsed time is counted by CLOCK_BOOTTIME; what is told of it has wall-clock times, each as it was told
first. A deadline that passed before a reading is taken before it, and stamped exactly. Unknown is neither breach nor recovery.

What a tick tells of lies between the tick before and itself (`engine.intake` sees to that), and its offset of wall clock to CLOCK_BOOTTIME
is that of all its readings: ticks between which the clock was set are the only ones that cannot be merged without loss.

A rule without duration and notification is a threshold: it colours a value and fills "over threshold now", and never counts as an alert.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from itertools import count
from math import inf, isnan, nan
from operator import attrgetter

from perfconsole.core import metrics
from perfconsole.core.alert_course import Course, Phase, Turn
from perfconsole.core.shipped import SHIPPED
from perfconsole.core.tick import SEVERITIES, Alert, Group, Rule, SeriesDef, Tick

__all__ = ["SHIPPED", "AlertStage", "rank", "worst_first"]

_STATES = ("inactive", "pending", "firing")
_ORDER = attrgetter("at", "group")


class _Watched:
    """One rule at one series.

    Attributes:
        order: Its place among those that are due at the same moment.
        peers: All alerts about the series, this one included if it is one.
        column: Where its value stands in a reading.
        low: From here to `high` lie the values that change nothing now; none do while it is not inactive.
        due: The next moment for which the stage has it down: never after what its course says.
        told: The alert as it was told last; None before.
    """

    __slots__ = (
        "_began", "_last_at", "_last_value", "column", "counter", "course", "definition", "due", "fired_at", "high", "id", "low", "muted",
        "order", "peers", "rule", "since", "told",
    )  # fmt: skip

    def __init__(self, rule: Rule, definition: SeriesDef, order: int, peers: "list[_Watched]") -> None:
        self.rule, self.definition, self.order, self.peers = rule, definition, order, peers
        self.course = Course(rule, rule.max_gap_s)
        self.counter = metrics.is_counter(definition.name)
        self.column = 0
        self.due = inf
        self._last_at = self._last_value = nan
        self._began = self.since = self.fired_at = nan
        self.muted = ""
        self.told: Alert | None = None
        named = ",".join(f"{name}={text}" for name, text in definition.labels)
        self.id = f"{rule.name}{{{named}}}"
        self.set_well()

    def set_well(self) -> None:
        """Say which values change nothing: those on the good side, while it is inactive and neither windows nor silence matter."""
        rule = self.rule
        self.low, self.high = inf, -inf
        if rule.stat == "last" and not self.counter and rule.no_data == "keep" and not self.course.phase:
            self.low, self.high = (-inf, rule.limit) if rule.above else (rule.limit, inf)

    def rate(self, at: float, value: float) -> float:
        """Of a counter: its rate per second since the last known reading; NaN across a gap, and where it ran backwards."""
        if isnan(value):
            return nan
        grown, passed_s = value - self._last_value, at - self._last_at
        self._last_at, self._last_value = at, value
        return grown / passed_s if grown >= 0 and 0 < passed_s <= self.course.max_gap_s else nan

    def turned(self, turn: Turn, offset_s: float) -> Alert:
        """What is told of a transition.

        Args:
            turn: The transition.
            offset_s: Wall clock minus CLOCK_BOOTTIME.
        """
        course, rule = self.course, self.rule
        if turn.before is Phase.INACTIVE:
            self.fired_at = nan
        if turn.after and course.since != self._began:
            self._began, self.since = course.since, course.since + offset_s
        if turn.after is Phase.FIRING and turn.before is not turn.after:
            self.fired_at = turn.at + offset_s
        if not turn.after:
            self._began = nan
        ended = turn.before is Phase.FIRING and turn.after is Phase.INACTIVE and not rule.colour
        self.told = Alert(
            id=self.id, rule=rule.name, metric=rule.metric, labels=self.definition.labels, severity=rule.severity,
            state="resolved" if ended else _STATES[turn.after], before=_STATES[turn.before], at=turn.at + offset_s, since=self.since,
            value=turn.value, limit=rule.limit, above=rule.above, colour=rule.colour, n=max(course.n, 1),
            due=course.deadline + offset_s if turn.after is Phase.PENDING else nan, fired_at=self.fired_at,
            muted=self.muted, flapping=course.flapping, text="it is not measured any more" if turn.ended else "",
            stat=rule.stat, over_s=rule.over_s,
        )  # fmt: skip
        return self.told


class AlertStage:
    """Evaluates rules over the readings of ticks.

    Rules are bound to series by position when a group is defined: a step then costs one comparison a rule and series that is well.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules: dict[str, list[Rule]] = {}
        for rule in rules:
            self._rules.setdefault(rule.metric, []).append(rule)
        self._bound: dict[int, list[_Watched]] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._dues: list[tuple[float, int, int, _Watched]] = []
        self._serial = count()
        self._peers: dict[SeriesDef, list[_Watched]] = {}
        self._offset_s = 0.0
        self._out: list[Alert] = []

    def step(self, tick: Tick) -> list[Alert]:
        """The transitions a tick makes, in the order in which they came about."""
        self._out = []
        self._offset_s = offset_s = tick.at - tick.boot
        dues, bound = self._dues, self._bound
        coming = deque(tick.groups)
        for reading in sorted(tick.readings, key=_ORDER):
            at = reading.at - offset_s
            while coming and (coming[0].id <= reading.group or 0 < coming[0].at <= reading.at):
                self._define(coming.popleft(), at)
            if dues and dues[0][0] < at:
                self._expire(at, before=True)
            began = at if reading.began is None else min(at, reading.began - offset_s)
            values = reading.values
            for one in bound.get(reading.group, ()):
                value = values[one.column]
                if not one.low <= value <= one.high:
                    self._sample(one, at, began, value)
        for group in coming:
            self._define(group, tick.boot)
        if dues and dues[0][0] <= tick.boot:
            self._expire(tick.boot, before=False)
        return self._out

    def _sample(self, one: _Watched, at: float, began: float, value: float) -> None:
        course = one.course
        turn = course.sample(at, began, one.rate(at, value) if one.counter else value)
        if turn:
            self._turned(one, turn)
        if course.phase or one.rule.no_data == "alert":
            self._note_due(one)

    def _note_due(self, one: _Watched) -> None:
        """Put it down for when something happens next. An entry that is too early stays: when it comes up, it is put down anew."""
        due = one.course.due
        if due < one.due:
            one.due = due
            heappush(self._dues, (due, one.order, next(self._serial), one))

    def _expire(self, now: float, *, before: bool) -> None:
        """Take the deadlines that passed, in their order: those before a reading, or up to the end of a tick."""
        dues = self._dues
        while dues and (dues[0][0] < now if before else dues[0][0] <= now):
            due, _, _, one = heappop(dues)
            if due != one.due:
                continue
            one.due = inf
            turn = one.course.expire(due)
            if turn:
                self._turned(one, turn)
            self._note_due(one)

    def _turned(self, one: _Watched, turn: Turn) -> None:
        if not one.rule.colour:
            one.muted = _inhibited(one)
        self._out.append(one.turned(turn, self._offset_s))
        one.set_well()
        if one.rule.severity == "critical" and not one.rule.colour and turn.after is not turn.before:
            self._mute_peers(one, turn.at)

    def _mute_peers(self, one: _Watched, at: float) -> None:
        """Tell of each that fires and begins, or ceases, to be superfluous."""
        for peer in one.peers:
            muted = _inhibited(peer)
            if peer.told and muted != peer.muted and peer.course.phase is Phase.FIRING:
                peer.muted = muted
                self._out.append(peer.turned(Turn(at, Phase.FIRING, Phase.FIRING, peer.told.value), self._offset_s))

    # Binding ------------------------------------------------------------------------------------------------------------------------

    def _define(self, group: Group, at: float) -> None:
        """Bind a group's series; what was known of a series that is in the group's new shape too goes on, what is gone ends.

        Args:
            group: The group.
            at: The latest moment at which it was defined, if it does not say itself.
        """
        if group.at:
            at = min(at, group.at - self._offset_s)
        self._expire(at, before=True)
        place = (group.collector, group.target)
        old = {(one.rule.name, one.definition): one for one in self._bound.pop(self._ids.pop(place, -1), ())}
        bound: list[_Watched] = []
        for column, definition in enumerate(group.series):
            for rule in self._rules.get(definition.name, ()):
                if rule.covers(definition):
                    one = old.pop((rule.name, definition), None) or self._begun(rule.fitted(group.interval_s), definition)
                    one.column, one.course.max_gap_s = column, rule.gap_s(group.interval_s)
                    self._note_due(one)  # another interval is another gap
                    bound.append(one)
        if group.series:
            self._bound[group.id], self._ids[place] = bound, group.id
        for gone in old.values():
            self._gone(gone, at)

    def _begun(self, rule: Rule, definition: SeriesDef) -> _Watched:
        peers = [] if rule.colour else self._peers.setdefault(definition, [])
        one = _Watched(rule, definition, next(self._serial), peers)
        if not rule.colour:
            peers.append(one)
        return one

    def _gone(self, one: _Watched, at: float) -> None:
        one.due = inf
        turn = one.course.end(at)
        if turn:
            self._turned(one, turn)
        if not one.rule.colour:
            one.peers.remove(one)
            if not one.peers:
                self._peers.pop(one.definition, None)


def _inhibited(one: _Watched) -> str:
    """Which critical alert about the very same series makes a milder one superfluous; empty for none."""
    if one.rule.severity == "critical":
        return ""
    graver = (peer.rule.name for peer in one.peers if peer.rule.severity == "critical" and peer.course.phase is Phase.FIRING)
    return next((f"inhibited by {name}" for name in graver), "")


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


def rank(severity: str) -> int:
    """0 for info, 1 for warning, 2 for critical."""
    return SEVERITIES.index(severity)
