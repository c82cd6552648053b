"""The course of one rule at one series: inactive, pending, firing, and back. Pure: every moment is an argument.

Moments are seconds of CLOCK_BOOTTIME, so that no step of the wall clock completes a duration.

- A breach that lasts for `for_s` fires: at the first moment at which it has, also between two samples.
- Time that nobody observed never counts. A gap of up to `max_gap_s` between two samples is taken for the continuation of what the first one
  said; of a longer one nothing counts, and one of more than twice `for_s` begins the breach anew.
- Firing ends when the value has been past `clear` for `keep_s`; it never ends by silence, unless the rule says that silence is well.
- Who fired and ended again and again within an hour is kept firing until it was quiet for twice `for_s`.
"""

from collections import deque
from enum import IntEnum
from math import inf, isnan, nan
from typing import Final, NamedTuple

from perfconsole.core.alert_stats import STATS
from perfconsole.core.tick import Rule

FLAPS: Final = 4
"""Transitions between firing and not within `FLAPS_S` that make a flapping alert."""

FLAPS_S: Final = 3600.0


class Phase(IntEnum):
    """Where a course stands."""

    INACTIVE = 0
    PENDING = 1
    FIRING = 2


class Turn(NamedTuple):
    """A transition: when it was, and the value that brought it; NaN where silence did.

    Attributes:
        ended: Why a firing alert is over where no value says so: its series has ended.
    """

    at: float
    before: Phase
    after: Phase
    value: float
    ended: bool = False


class Course:
    """One rule at one series.

    Args:
        rule: The rule.
        interval_s: Seconds between two samples of the series.

    Attributes:
        phase: Where it stands.
        since: When the breach began, or when it fired for the first time it was seen; NaN while inactive.
        fired_at: When it fired; NaN while it does not.
        value: The last known statistic; `n` of how many samples, `events` of them against it.
        due: The moment at which the next transition takes place if nothing else happens before; infinity for none.
        flapping: Whether it fired and ended too often within an hour.
    """

    __slots__ = (
        "_above", "_clear", "_due", "_keep_s", "_last", "_limit", "_max_gap_s", "_min_samples", "_silence", "_stat", "_turns",
        "calm", "events", "fired_at", "flapping", "n", "phase", "rule", "since", "value",
    )  # fmt: skip

    def __init__(self, rule: Rule, interval_s: float) -> None:
        self.rule = rule
        self._above, self._limit = rule.above, rule.limit
        self._clear = rule.limit if isnan(rule.clear) else rule.clear
        self._keep_s = rule.keep_s
        self._max_gap_s = rule.gap_s(interval_s)
        self._min_samples = rule.min_samples
        self._stat = STATS[rule.stat](rule.over_s)
        self._last = self._due = nan
        self._silence = False
        self._turns: deque[float] = deque()
        self.phase = Phase.INACTIVE
        self.since = self.fired_at = self.calm = self.value = nan
        self.n = self.events = 0
        self.flapping = False

    # What happens -----------------------------------------------------------------------------------------------------------------

    def sample(self, at: float, began: float, sample: float) -> Turn | None:
        """Take a sample.

        Args:
            at: When it was true, after the last one.
            began: Since when what it says is so, at most `at`.
            sample: NaN for unknown, which changes nothing.
        """
        if isnan(sample):
            return None
        value = self._stat.push(at, sample)
        if isnan(value) or self._stat.n < self._min_samples:
            self.n = self._stat.n
            return None
        self.value, self.n, self.events = value, self._stat.n, self._stat.events
        gap_s, self._last, self._silence = at - self._last, at, False
        if self.phase and gap_s > self._max_gap_s:
            self._unseen(gap_s, began)
        bad = value > self._limit if self._above else value < self._limit
        return self._take(at, began, bad=bad and self.events >= self.rule.min_events)

    def expire(self, now: float) -> Turn | None:
        """What time alone has brought by now: a breach that lasts, quiet that lasts, or a silence where that counts."""
        due = self.due
        if due > now:
            return None
        if due != self._due:  # silence, which counts as the rule has it
            self._silence = True
            return self._take(due, due, bad=self.rule.no_data == "alert", value=nan)
        return self._fire(due) if self.phase is Phase.PENDING else self._end(due, self.value)

    @property
    def due(self) -> float:
        """See the class."""
        seen_until = self._last + self._max_gap_s
        if self._due <= seen_until or (self._silence and self._due == self._due):
            return self._due
        silent = self.rule.no_data != "keep" and not self._silence and not isnan(seen_until)
        return seen_until if silent and self._matters else inf

    def end(self, at: float) -> Turn | None:
        """Its series has ended."""
        before = self.phase
        if before is Phase.INACTIVE:
            return None
        turn = Turn(at, before, Phase.INACTIVE, nan, ended=True)
        self._forget()
        return turn

    # How ----------------------------------------------------------------------------------------------------------------------------

    @property
    def _matters(self) -> bool:
        """Whether silence would change anything."""
        alert = self.rule.no_data == "alert"
        return alert if self.phase is Phase.INACTIVE else alert == (not isnan(self.calm)) or not alert

    def _take(self, at: float, began: float, *, bad: bool, value: float | None = None) -> Turn | None:
        if self.phase is Phase.INACTIVE:
            return self._begin(at, began) if bad else None
        if self.phase is Phase.PENDING:
            if bad:
                return self._fire(self._due) if self._due <= at else None
            turn = Turn(at, Phase.PENDING, Phase.INACTIVE, self.value if value is None else value)
            self._forget()
            return turn
        return self._calm_down(at, bad=bad)

    def _begin(self, at: float, began: float) -> Turn | None:
        self.since = began
        self._due = began + self.rule.for_s
        if self._due <= at:
            self.phase = Phase.PENDING
            turn = self._fire(at)
            return turn._replace(before=Phase.INACTIVE)
        self.phase = Phase.PENDING
        return Turn(at, Phase.INACTIVE, Phase.PENDING, self.value)

    def _fire(self, at: float) -> Turn:
        self.phase, self.fired_at, self.calm, self._due = Phase.FIRING, at, nan, nan
        self._note(at)
        return Turn(at, Phase.PENDING, Phase.FIRING, self.value)

    def _calm_down(self, at: float, *, bad: bool) -> Turn | None:
        past = self.value <= self._clear if self._above else self.value >= self._clear
        if self._silence:
            past = not bad
        elif bad:
            past = False
        if not past:
            self.calm = self._due = nan
            return None
        if isnan(self.calm):
            self.calm = at
            self._due = at + (max(self._keep_s, 2 * self.rule.for_s) if self.flapping else self._keep_s)
        return self._end(max(self._due, self.calm), self.value) if self._due <= at else None

    def _end(self, at: float, value: float) -> Turn:
        turn = Turn(at, Phase.FIRING, Phase.INACTIVE, value)
        self._forget()
        self._note(at)
        return turn

    def _forget(self) -> None:
        self.phase = Phase.INACTIVE
        self.since = self.fired_at = self.calm = self._due = nan

    def _note(self, at: float) -> None:
        turns = self._turns
        turns.append(at)
        while turns[0] <= at - FLAPS_S:
            turns.popleft()
        self.flapping = len(turns) >= FLAPS

    def _unseen(self, gap_s: float, began: float) -> None:
        """Time in which nothing was observed: it counts for nothing, neither for a breach nor for quiet."""
        if self.phase is Phase.PENDING and gap_s > 2 * self.rule.for_s:
            self.since, self._due = began, began + self.rule.for_s
        elif not isnan(self._due):
            self._due += gap_s
