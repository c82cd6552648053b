"""How long each phase of a check took. Every moment belongs to the phase that is entered, to the check alone, or to nobody.

What the console does between phases (parsing, loading certificates, a loop that was held up) is nobody's: the target did not take it.
"""

import time
from collections.abc import Callable
from math import nan

from perfconsole.core.checks import PHASES, Phases


class Stopwatch:
    """Adds time to one phase at a time, over all hops of a check.

    Attributes:
        phase: The one entered; the last one that was, while it stands still.
    """

    __slots__ = ("_clock", "_runs", "_since", "_spent", "phase")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spent: dict[str, float] = {}
        self._runs = False
        self._since = clock()
        self.phase = PHASES[0]

    def enter(self, phase: str, at: float | None = None) -> None:
        """Begin a phase, now, and end the one before it `at` a moment that may have passed already; no phase ends before it began."""
        now = self._clock()
        if self._runs:
            self._add(now if at is None else at)
        self.phase = phase
        self._since = now if at is None else max(at, self._since)
        self._spent.setdefault(phase, 0.0)
        self._runs = True

    def stand(self, at: float | None = None) -> None:
        """End the phase without beginning another."""
        if self._runs:
            self._add(self._clock() if at is None else at)
            self._runs = False

    def _add(self, at: float) -> None:
        at = max(at, self._since)
        self._spent[self.phase] += at - self._since
        self._since = at

    @property
    def last_at(self) -> float:
        """The last moment that was noted: of a transfer, when its last byte came."""
        return self._since

    @property
    def stands(self) -> bool:
        """Whether no phase runs."""
        return not self._runs

    @property
    def total_s(self) -> float:
        """What the phases took together, up to now."""
        return sum(self._spent.values()) + (max(0.0, self._clock() - self._since) if self._runs else 0.0)

    def spent_s(self, phase: str) -> float:
        """What a phase took so far, up to the last moment that was noted."""
        return self._spent.get(phase, 0.0)

    def phases(self) -> Phases:
        """Seconds of each; NaN for those not entered."""
        return Phases(*(self._spent.get(phase, nan) for phase in PHASES))
