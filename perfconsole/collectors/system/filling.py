"""When a filesystem will be full, if it goes on as in the last minutes. Pure: what is left, and when that was, comes in as numbers."""

from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from math import isnan, nan
from typing import Final, NamedTuple

MINUTE_S: Final = 60.0
MINUTES: Final = 5
"""It has to fill in each of so many."""

_GAP_S: Final = 90.0
"""Without an answer for so long, what was before says nothing about now."""

_HOUR: Final = 60
"""Minutes whose levels are kept, to know a filesystem that fills and is emptied again and again."""

_STRAIGHT: Final = 0.5
"""Of all that what is left moves, down and up, so much has to be down in the end."""

_ALIKE: Final = 0.25
"""Two times that it was emptied are of a kind when the one gave back at least so much of what the other did."""

_SINKING: Final = 2
"""So often less has to be left than the time before: once is chance."""

HORIZON_S: Final = 86400.0
"""From minutes nobody can tell what tomorrow brings."""


class Tooth(NamedTuple):
    """A time at which a filesystem was emptied: the minute, the bytes that were left before, and those that were given back."""

    minute: int
    low: float
    freed: float


class Filling:
    """What is left on one filesystem over the last hour, and the time until that is nothing.

    It goes by what is left, not by what is used: datasets and volumes that share a pool take from each other. What it makes of that, minute
    by minute: `time_to_full`.
    """

    __slots__ = ("_at", "_began", "_left", "_levels", "_moved", "_moves")

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=_HOUR)
        self._moves: deque[float] = deque(maxlen=MINUTES)
        self._at = self._left = nan
        self._began, self._moved = nan, 0.0

    def add(self, at: float, left: float) -> float:
        """Take what is left now.

        Args:
            at: CLOCK_BOOTTIME.
            left: Bytes that may still be written; NaN when nobody knows.

        Returns:
            Seconds until nothing is left; NaN when that is not known.
        """
        if isnan(left):
            return nan
        if not 0 <= at - self._at <= _GAP_S:
            self._levels.clear()
            self._moves.clear()
            self._began, self._moved, self._left = at, 0.0, left
        elif at - self._began >= MINUTE_S:
            self._levels.append(self._left)
            self._moves.append(self._moved)
            self._began += MINUTE_S * int((at - self._began) / MINUTE_S)
            self._moved = 0.0
        self._moved += abs(left - self._left)
        self._at, self._left = at, left
        return time_to_full(tuple(self._levels), sum(self._moves), left)


def time_to_full(levels: Sequence[float], moved: float, left: float) -> float:
    """Seconds until nothing is left.

    There is an answer when less was left after each of the last five minutes than before, and what was taken is at least half of all that
    moved. The rate is the median of the five: one jump (a copy of a large file) does not count, and alone it is no filling at all.

    What is filled and emptied again and again (logs and their rotation, temporary files) goes by how much was left each time before it was
    emptied: when that gets less each time, until it is nothing. What falls well below the lowest of these is judged by its last minutes.

    Args:
        levels: Bytes that were left at the end of each minute, oldest first.
        moved: Bytes by which what is left went down or up in the last five minutes.
        left: Bytes that are left now.

    Returns:
        NaN when it does not fill steadily, when it would take more than a day, and while too few minutes are known.
    """
    if len(levels) <= MINUTES:
        return nan
    teeth = _teeth(levels)
    if len(teeth) > 1 and left > min(tooth.low - _ALIKE * tooth.freed for tooth in teeth):
        first, last = teeth[0], teeth[-1]
        sinks = len(teeth) > _SINKING and all(after.low < before.low for before, after in pairwise(teeth))
        seconds = _until(last.low, (first.low - last.low) / (last.minute - first.minute)) if sinks else nan
    else:
        recent = levels[-MINUTES - 1 :]
        taken = [before - after for before, after in pairwise(recent)]
        steady = min(taken) > 0 and sum(taken) >= _STRAIGHT * moved
        seconds = _until(left, sorted(taken)[MINUTES // 2]) if steady else nan
    return seconds if seconds <= HORIZON_S else nan


def _until(left: float, taken: float) -> float:
    """Seconds until so much is taken, at so much a minute."""
    return left / taken * MINUTE_S if taken > 0 else nan


def _teeth(levels: Sequence[float]) -> list[Tooth]:
    """The times it was emptied, of the largest kind: it gave back half of what it had taken, and about as much each time."""
    found: list[Tooth] = []
    high = low = levels[0]
    for minute, level in enumerate(levels):
        if level < low:
            low = level
        elif level - low >= (high - low) / 2 > 0:
            found.append(Tooth(minute, low, level - low))
            high = low = level
        elif low == high:  # it is being emptied still
            if found:
                found[-1] = found[-1]._replace(freed=found[-1].freed + level - high)
            high = low = level
    most = max((tooth.freed for tooth in found), default=0.0)
    return [tooth for tooth in found if tooth.freed >= _ALIKE * most]
