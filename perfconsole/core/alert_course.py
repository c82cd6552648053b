"""The course of one rule at one series: inactive, pending, firing, and back. Pure: every moment is an argument.

Moments are seconds of CLOCK_BOOTTIME, so that no step of the wall clock completes a duration.

- What a sample says holds until the next one, that moment not included: a breach that began at 0 has not lasted for 60 s when a sample at
  60 is well, and has when that is another breach, or when there is none.
- A breach that lasts for `for_s` fires: at the first moment at which it has, also between two samples. It is counted from when its first
  sample *began*, and one that has lasted long enough when it is told fires when it is told: no alert is stamped before what was known.
- Time that nobody observed never counts. A gap of up to `max_gap_s` between two samples is taken for the continuation of what the first one
  said; of a longer one nothing counts, and one of more than twice `for_s` begins the breach anew. A deadline within `max_gap_s` of the last
  sample is taken when it comes: how long the gap will be is not known then.
- Unknown samples, statistics of too few samples included, are as none. So is a ratio above its limit by fewer than `min_events`, unless it
  fires: then it is not well yet.
- Firing ends when the value has been past `clear` for `keep_s`, counted in the same way; it never ends by silence, unless the rule says
  that silence is well.
- Where samples count alone (``last``), so many of them in a row must breach before it fires: one failed check an hour ago is no outage.
- Where a rule says what silence is, that is so from `max_gap_s` after the last sample on, and counts as observed. A series of which
  nothing was ever known is not silent: what cannot be measured at all is for its collector's health to say.
- Who fired and ended again and again within an hour is kept firing until it was quiet for twice `for_s`; not so with a `keep_s` of 0, which
  asks for the plain rule that Prometheus has.
"""

from collections import deque
from enum import IntEnum
from math import inf, isnan, nan
from typing import Final, NamedTuple

from perfconsole.core.alert_stats import STATS
from perfconsole.core.tick import Rule

_NEAR: Final = 1e-12
"""An average this near to the limit, as a share of it, is at it: the mean of thirty times 0.9 is not quite 0.9 in floats."""

FLAPS: Final = 4
"""Transitions between firing and not within `FLAPS_S` that make a flapping alert."""

FLAPS_S: Final = 3600.0


class Phase(IntEnum):
    """Where a course stands."""

    INACTIVE = 0
    PENDING = 1
    FIRING = 2


class Turn(NamedTuple):
    """A transition, or a change of what is said (`before` is then `after`): when it was, and the value that brought it.

    Attributes:
        value: NaN where silence did.
        ended: Why it is over where no value says so; else empty.
    """

    at: float
    before: Phase
    after: Phase
    value: float
    ended: str = ""


class Stand(NamedTuple):
    """Where a course stands, for another one to go on from: attributes of `Course`, and three beside them.

    Attributes:
        last: The last sample that was known; infinity before the first.
        missing: How many more samples must breach in a row before it can fire.
        turns: When it fired and ended lately.
    """

    phase: Phase
    since: float
    last: float
    deadline: float
    missing: int
    turns: tuple[float, ...]
    value: float
    n: int
    flapping: bool


class Course:
    """One rule at one series.

    Args:
        rule: The rule.
        max_gap_s: The longest time between two samples that counts.

    Attributes:
        phase: Where it stands.
        since: When the breach began; NaN while inactive.
        value: The last known statistic; `n` of how many samples, `events` of them against it.
        deadline: When it fires, or has been quiet for long enough, if the last sample goes on to hold; infinity where neither is under way.
        flapping: Whether it fired and ended too often within an hour.
    """

    __slots__ = (
        "_above", "_clear", "_last", "_limit", "_min_events", "_min_samples", "_missing", "_near", "_needed", "_no_data", "_silent",
        "_stat", "_turns", "deadline", "events", "flapping", "max_gap_s", "n", "phase", "rule", "since", "value",
    )  # fmt: skip

    def __init__(self, rule: Rule, max_gap_s: float) -> None:
        self.rule = rule
        self._above, self._limit = rule.above, rule.limit
        self._near = abs(rule.limit) * _NEAR if rule.stat == "avg" else -1.0
        self._clear = rule.limit if isnan(rule.clear) else rule.clear
        self.max_gap_s = max_gap_s
        alone = rule.stat == "last"
        self._min_samples, self._min_events = rule.min_samples, 0 if alone else rule.min_events
        self._needed = rule.min_events if alone else 0
        self._missing = 0  # of the breaching samples in a row that are needed
        self._no_data = rule.no_data
        self._stat = STATS[rule.stat](rule.over_s)
        self._last = inf  # none yet: no gap behind it is too long, and no silence begins after it
        self._silent = False
        self._turns: deque[float] = deque(maxlen=FLAPS)
        self.phase = Phase.INACTIVE
        self.since, self.deadline = nan, inf
        self.value = nan
        self.n = self.events = 0
        self.flapping = False

    # What happens -----------------------------------------------------------------------------------------------------------------

    def sample(self, at: float, began: float, sample: float) -> Turn | None:
        """Take a sample.

        Args:
            at: When it was true, after the last one and after every deadline that was taken.
            began: Since when what it says is so, at most `at`.
            sample: NaN for unknown, which changes nothing.
        """
        if sample != sample:  # noqa: PLR0124  NaN; a call costs as much as the rest of a sample that is well
            return None
        stat = self._stat
        value = stat.push(at, sample)
        if value != value or stat.n < self._min_samples:  # noqa: PLR0124  likewise
            return None
        if -self._near < value - self._limit < self._near:
            value = self._limit
        bad = value > self._limit if self._above else value < self._limit
        if bad and stat.events < self._min_events:
            if self.phase is not Phase.FIRING:
                return None
            bad = False
        self.value, self.n, self.events = value, stat.n, stat.events
        gap_s, self._last = at - self._last, at
        if not self.phase:
            self._silent = False
            return self._begin(at, began) if bad else None
        moved = gap_s > self.max_gap_s and not self._silent and self._move(gap_s, began)
        self._silent = False
        turn = self._take(at, bad=bad)
        return turn or (Turn(at, Phase.PENDING, Phase.PENDING, value) if moved else None)

    def expire(self, now: float) -> Turn | None:
        """What time alone has brought by now: a breach that lasts, quiet that lasts, or a silence where that says something."""
        due = self.due
        if due > now:
            return None
        if due < self.deadline or self._missing > 0:
            self._silent = True
            bad = self._no_data == "alert"
            self._missing = 0  # what a rule says of silence needs no sample
            return self._take(due, bad=bad) if self.phase else self._begin(due, due)
        return self._fire(due) if self.phase is Phase.PENDING else self._end(due)

    @property
    def due(self) -> float:
        """The moment at which something happens if no sample comes before; infinity for none. It moves on with every sample."""
        observed_until = self._last + self.max_gap_s
        deadline = inf if self._missing > 0 else self.deadline
        if self._silent or deadline <= observed_until:
            return deadline
        says = self._no_data == "alert" or (self._no_data == "ok" and self.phase)
        return observed_until if says else inf

    def end(self, at: float, why: str) -> Turn | None:
        """There is nothing any more that it could go on with."""
        before = self.phase
        self._forget()
        return Turn(at, before, Phase.INACTIVE, nan, why) if before else None

    # From one run to the next -----------------------------------------------------------------------------------------------------

    @property
    def stand(self) -> "Stand":
        """Where it stands."""
        return Stand(
            self.phase, self.since, self._last, self.deadline, self._missing, tuple(self._turns), self.value, self.n, self.flapping
        )

    @property
    def window(self) -> bytes:
        """The samples of its statistic, for `refill` of another run; empty where there are none to speak of."""
        return self._stat.packed()

    @property
    def held(self) -> int:
        """How many samples its statistic holds."""
        return self._stat.n

    def refill(self, window: bytes, moved_s: float) -> bool | None:
        """Put the samples of another run before those of this one: time that nobody observed between them stays that.

        Args:
            window: As it had them.
            moved_s: What is to be added to their moments.

        Returns:
            Whether the last sample of this run, if there is one, breaches by all of them; None where that is not known.
        """
        value, stat = self._stat.refill(window, moved_s), self._stat
        if isnan(value) or stat.n < self._min_samples:
            return None
        if -self._near < value - self._limit < self._near:
            value = self._limit
        bad = self.rule.breached(value)
        if bad and stat.events < self._min_events:
            return None
        self.value, self.n, self.events = value, stat.n, stat.events
        return bad

    def resume(self, stand: "Stand", *, bad: bool | None = False) -> Turn | None:
        """Go on from where another run stood, with what was made of the samples since this one began.

        Those end a gap after the last one of that run, of which nothing counts if it is too long; what they said is so. That it was quiet
        for a while counts for nothing: it may have failed again after that was noted.

        Args:
            stand: Where it stood.
            bad: Whether the last sample of this run breaches, if there is one and it is not known to pend; None for unknown.

        Returns:
            What they made of it, if it pends or fires no more.
        """
        live, known_since, counted = self.phase, self.since if self.phase else self._last, max(0, self._needed - self._missing)
        if live is Phase.FIRING and stand.phase is Phase.PENDING:
            return None  # it has come further by itself
        seen = known_since != inf and (bad is not None or bool(live))
        self.phase, self.since = stand.phase, stand.since
        self.deadline, self._missing = (inf, 0) if stand.phase is Phase.FIRING else (stand.deadline, stand.missing)
        self._turns.extend(stand.turns)
        self.flapping = stand.flapping
        if not seen:
            self._last = stand.last
            if self.n == 0:
                self.value, self.n = stand.value, stand.n
            return None
        if known_since - stand.last > self.max_gap_s:
            self._move(known_since - stand.last, known_since)
        if live:
            self._missing = max(0, self._missing - counted)
        return None if live or bad else self._take(self._last, bad=False)

    # How ----------------------------------------------------------------------------------------------------------------------------

    def _begin(self, at: float, began: float) -> Turn:
        self.phase, self.since, self.deadline = Phase.PENDING, began, began + self.rule.for_s
        self._missing = 0 if self._silent else self._needed - 1
        if self.deadline <= at and self._missing <= 0:
            return self._fire(at, Phase.INACTIVE)
        return Turn(at, Phase.INACTIVE, Phase.PENDING, self._said)

    def _take(self, at: float, *, bad: bool) -> Turn | None:
        """Take what a sample or silence says, while pending or firing."""
        if self.phase is Phase.FIRING:
            return self._calm_down(at, bad=bad)
        if bad:
            self._missing -= 1
            return self._fire(at) if self.deadline <= at and self._missing <= 0 else None
        self._forget()
        return Turn(at, Phase.PENDING, Phase.INACTIVE, self._said)

    def _fire(self, at: float, before: Phase = Phase.PENDING) -> Turn:
        self.phase, self.deadline, self._missing = Phase.FIRING, inf, 0
        self._note(at)
        return Turn(at, before, Phase.FIRING, self._said)

    def _calm_down(self, at: float, *, bad: bool) -> Turn | None:
        past = self._silent or (self.value <= self._clear if self._above else self.value >= self._clear)
        if bad or not past:
            self.deadline = inf
            return None
        if self.deadline == inf:
            keep_s = self.rule.keep_s
            self.deadline = at + (max(keep_s, 2 * self.rule.for_s) if self.flapping and keep_s else keep_s)
        return self._end(at) if self.deadline <= at else None

    def _end(self, at: float) -> Turn:
        self._forget()
        self._note(at)
        return Turn(at, Phase.FIRING, Phase.INACTIVE, self._said)

    def _forget(self) -> None:
        self.phase, self.since, self.deadline, self._missing = Phase.INACTIVE, nan, inf, 0

    def _note(self, at: float) -> None:
        turns = self._turns
        turns.append(at)
        self.flapping = not self.rule.colour and len(turns) == FLAPS and turns[0] > at - FLAPS_S

    def _move(self, gap_s: float, began: float) -> bool:
        """Let time in which nothing was observed count for nothing, neither for a breach nor for quiet; whether a breach moved."""
        if self.phase is Phase.PENDING and gap_s > 2 * self.rule.for_s:
            self.since, self.deadline, self._missing = began, began + self.rule.for_s, self._needed
        else:
            self.deadline += gap_s
        return self.phase is Phase.PENDING

    @property
    def _said(self) -> float:
        return nan if self._silent else self.value
