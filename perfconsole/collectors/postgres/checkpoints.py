"""Which share of the checkpoints was requested, for want of room in the log, and not due by the clock. Asks nobody, and has no clock.

Checkpoints are seldom: of a healthy server five minutes apart, or half an hour. So a share is one over at least ten minutes, and over as
long as three of them take: of one that was requested (a CHECKPOINT, a backup that begins) nothing follows.
"""

from collections import deque
from math import nan
from typing import Final, NamedTuple

WINDOW_S: Final = 600.0
FURTHEST_S: Final = 3600.0
"""How far back the window reaches at most for enough of them: the last hour is told, not the last day."""

ENOUGH: Final = 3


class Counted(NamedTuple):
    """The counters at a moment of the server's clock, epoch seconds; `reset` says which count they are."""

    at: float
    timed: float
    requested: float
    reset: float | None


class Checkpoints:
    """The counters of the last hour, one entry for each time that they moved."""

    def __init__(self) -> None:
        self._past: deque[Counted] = deque()
        self._last_at = 0.0

    def forget(self) -> None:
        """It is another server's count from here on."""
        self._past.clear()

    def take(self, now: Counted) -> float:
        """The share of requested ones in the window that ends here; NaN while that is not known.

        It is 0 when for ten minutes none was requested, however few there were: that is well.
        """
        past = self._past
        if past and (now.at < self._last_at or now.reset != past[-1].reset or now[1] < past[-1].timed or now[2] < past[-1].requested):
            past.clear()
        self._last_at = now.at
        if not past or now[1:3] != past[-1][1:3]:
            past.append(now)
        while len(past) > 1 and past[1].at <= now.at - FURTHEST_S:
            past.popleft()
        return self._share(now)

    def _share(self, now: Counted) -> float:
        since = next((i for i in reversed(range(len(self._past))) if self._past[i].at <= now.at - WINDOW_S), -1)
        if since >= 0 and now.requested == self._past[since].requested:
            return 0.0
        for i in range(max(since, 0), -1, -1):
            begun = self._past[i]
            requested = now.requested - begun.requested
            count = requested + now.timed - begun.timed
            if count >= ENOUGH:
                return requested / count
        return nan
