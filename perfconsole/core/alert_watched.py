"""One rule at one series, as the stage carries it: its course, what is told of it, and what outlives the process. Pure."""

from math import inf, isnan, nan
from typing import Final

from perfconsole.core import metrics
from perfconsole.core.alert_course import Course, Phase, Stand, Turn
from perfconsole.core.notices import Standing
from perfconsole.core.tick import Alert, Rule, SeriesDef

_STATES: Final = ("inactive", "pending", "firing")

LONG_S: Final = 300.0
"""A window so long is kept for the next run whatever the rule has come to: one of a minute is soon full again."""

_ELSEWHERE: Final = "postgresql."
"""What is counted by who may not be the same the next time."""


class Watched:
    """One rule at one series.

    Attributes:
        rule: The rule, as it is for this series.
        order: Its place among those that are due at the same moment.
        peers: All alerts about the series, this one included if it is one.
        column: Where its value stands in a reading.
        low: From here to `high` lie the values that change nothing now; none do while it is not inactive.
        due: The next moment for which the stage has it down: never after what its course says.
        told: The alert as it was told last; None before.
    """

    __slots__ = (
        "_began", "_last_at", "_last_value", "column", "counter", "course", "definition", "due", "fired_at", "high", "id", "low",
        "muted", "order", "peers", "rule", "since", "told",
    )  # fmt: skip

    def __init__(self, rule: Rule, definition: SeriesDef, order: int, peers: "list[Watched]") -> None:
        self.rule, self.definition, self.order, self.peers = rule, definition, order, peers
        self.course = Course(rule, rule.max_gap_s)
        self.counter = metrics.is_counter(definition.name)
        self.column = 0
        self.due = inf
        self._last_at = self._last_value = nan
        self._began = self.since = self.fired_at = nan
        self.muted = ""
        self.told: Alert | None = None
        self.id = identity(rule.name, definition.labels)
        self.set_well()

    def set_well(self) -> None:
        """Say which values change nothing: those on the good side, while it is inactive and neither windows nor silence matter."""
        rule = self.rule
        self.low, self.high = inf, -inf
        if rule.stat == "last" and not self.counter and rule.no_data == "keep" and not self.course.phase:
            self.low, self.high = (-inf, rule.limit) if rule.above else (rule.limit, inf)

    def rate(self, at: float, value: float) -> float:
        """Of a counter: its rate per second since the last known reading; NaN across a gap, and where it ran backwards.

        Of a server also across an unknown one: that is how it is told that another server answers, which counts from elsewhere.
        """
        if isnan(value):
            if self.definition.name.startswith(_ELSEWHERE):
                self._last_value = nan
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
            muted=self.muted, flapping=course.flapping, text=turn.ended,
            stat=rule.stat, over_s=rule.over_s,
        )  # fmt: skip
        return self.told

    def standing(self, boot_id: str, offset_s: float, *, window: bool = True) -> Standing | None:
        """Where it stands, for another run to go on from; None where it is inactive.

        Args:
            boot_id: Of this boot.
            offset_s: Wall clock minus CLOCK_BOOTTIME.
            window: Whether with the samples of its window.
        """
        stand = self.course.stand
        if not self.told or not stand.phase:
            return None
        return Standing(
            self.told, shape(self.rule), boot_id, offset_s, stand.since, stand.last, stand.deadline, stand.missing, stand.turns,
            self.course.window if window else b"",
        )  # fmt: skip

    @property
    def long(self) -> bool:
        """Whether its window is to outlive the process even where nothing is the matter."""
        return self.rule.over_s >= LONG_S

    def windowed(self, boot_id: str, offset_s: float) -> Standing:
        """Its window alone, for another run; as of an alert of another name that stands nowhere."""
        rule = self.rule
        alert = Alert(
            id=f"window of {self.id}", rule=rule.name, metric=rule.metric, labels=self.definition.labels, severity=rule.severity,
            state="inactive", before="inactive", at=nan, since=nan, value=nan, limit=rule.limit,
        )  # fmt: skip
        return Standing(alert, shape(rule), boot_id, offset_s, nan, nan, inf, window=self.course.window)

    def refill(self, standing: Standing, moved_s: float) -> None:
        """Have the samples of another run before its own; see `resume`."""
        if shape(self.rule) == standing.shape:
            self.course.refill(standing.window, moved_s)

    def resume(self, standing: Standing, offset_s: float, moved_s: float) -> Turn | None:
        """Go on from where another run stood; nothing of it is told yet.

        Args:
            standing: Of this rule at this series.
            offset_s: Wall clock minus CLOCK_BOOTTIME.
            moved_s: What is to be added to the standing's moments to have them in this boot's seconds.

        Returns:
            What the samples since this run began have made of it.
        """
        alert = standing.alert
        phase = Phase.FIRING if alert.state == "firing" else Phase.PENDING
        began = standing.since + moved_s
        turns = tuple(turn + moved_s for turn in standing.turns)
        before = self.course.phase
        moments = (began, standing.last + moved_s, standing.deadline + moved_s)
        bad = False if self.rule.stat == "last" else self.course.refill(standing.window, moved_s)
        turn = self.course.resume(Stand(phase, *moments, standing.missing, turns, alert.value, alert.n, alert.flapping), bad=bad)
        if before is Phase.FIRING and phase is Phase.PENDING:
            return None
        since = self.course.since
        self._began, self.since = since, alert.since if turn or since == began else since + offset_s
        self.fired_at = alert.fired_at
        self.set_well()
        return turn

    def stands(self, alert: Alert, offset_s: float) -> Turn:
        """The turn that tells where it stands, of an alert that another run told last: nothing came about."""
        phase = Phase.FIRING if alert.state == "firing" else Phase.PENDING
        return Turn(alert.at - offset_s, phase, phase, alert.value)


def identity(rule: str, labels: tuple[tuple[str, str], ...]) -> str:
    """The id of the alert of a rule about the series with these labels."""
    return f"{rule}{{{','.join(f'{name}={text}' for name, text in labels)}}}"


def shape(rule: Rule) -> str:
    """What of a rule decides: where another run stood with a rule of another shape says nothing of this one."""
    decides = (
        rule.metric, rule.limit, rule.above, rule.stat, rule.over_s, rule.for_s, rule.clear, rule.keep_s, rule.min_samples, rule.min_events,
        rule.no_data, rule.severity,
    )  # fmt: skip
    return " ".join(map(str, decides))
