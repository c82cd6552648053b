"""Time for the engine: a wall clock that only runs forward, anchored on CLOCK_BOOTTIME (which also counts while suspended)."""

import time
from typing import Final, NamedTuple

STEP_S: Final = 0.5
"""A difference to the wall clock that is a step, not drift."""

_FOLLOW_S: Final = 0.005
"""How much drift is taken up a beat: 1 % of a beat, twenty times what NTP may slew."""


class Moment(NamedTuple):
    """Wall-clock time in epoch seconds, and CLOCK_BOOTTIME in seconds."""

    at: float
    boot: float


def _boot() -> float:
    boottime = getattr(time, "CLOCK_BOOTTIME", None)  # Linux; elsewhere the monotonic clock is the nearest there is
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


class Clock:
    """Wall-clock time that never runs backwards under NTP, and that says so when somebody set it."""

    def __init__(self) -> None:
        self._anchor = time.time() - _boot()
        self._asleep = _boot() - time.monotonic()

    def now(self) -> Moment:
        """This moment."""
        boot = _boot()
        return Moment(self._anchor + boot, boot)

    def follow(self) -> float:
        """Follow the wall clock: drift gradually, a step at once.

        Returns:
            The seconds of a step, 0.0 when there was none.
        """
        drift = time.time() - _boot() - self._anchor
        if abs(drift) > STEP_S:
            self._anchor += drift
            return drift
        self._anchor += max(-_FOLLOW_S, min(_FOLLOW_S, drift))
        return 0.0

    def slept(self) -> float:
        """Seconds the machine was suspended since this was last asked."""
        asleep = _boot() - time.monotonic()
        slept, self._asleep = asleep - self._asleep, asleep
        return slept if slept > STEP_S else 0.0
