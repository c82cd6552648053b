"""The checks of one endpoint over the last half hour, as arrays: what its statistics are made of. Pure.

21 bytes a check: 4 KB an endpoint that is checked every 10 s. Outcomes with their texts are not kept here.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from math import nan
from typing import Final, NamedTuple

from perfconsole.core.series import HELD_S

MOST: Final = 3600
"""Checks held: one every half second. Of what is checked more often, less than `HELD_S` is held; how much is said."""

LATE: Final = 1.1
"""Intervals after which a check is overdue: starts are spread by 5 % to either side."""

MINUTE_S: Final = 60.0

FAILED, OK, UNKNOWN = 0, 1, -1
"""What a check told. Unknown: not measured, in maintenance, or not this endpoint's own fault."""

_SLACK: Final = 32
"""Expired checks that may pile up before memory is moved."""


class Counts(NamedTuple):
    """How many checks told something, and how many of them failed."""

    checks: int
    failed: int


class Samples:
    """Checks in the order of their starts.

    Args:
        well_s: How long a good result holds at most, in seconds; `failing_s` a bad one.
    """

    __slots__ = ("_failing_s", "_holds", "_latencies", "_start", "_starts", "_verdicts", "_well_s")

    def __init__(self, well_s: float, failing_s: float) -> None:
        self.configure(well_s, failing_s)
        self._starts = array("d")
        self._latencies = array("d")
        self._verdicts = array("b")
        self._holds = array("f")  # seconds: how long each holds at most, as it was configured then
        self._start = 0

    def __len__(self) -> int:
        return len(self._starts) - self._start

    def configure(self, well_s: float, failing_s: float) -> None:
        """Results hold so long from now on; of those that are held it is known how long they did."""
        self._well_s, self._failing_s = well_s, failing_s

    def append(self, start: float, verdict: int, latency_s: float) -> None:
        """Add a check.

        Args:
            start: When it began, epoch seconds; what lies ahead of it was never the time (the clock was set back), and is let go.
            verdict: `OK`, `FAILED` or `UNKNOWN`.
            latency_s: NaN when it tells none.
        """
        if self._starts and start < self._starts[-1]:
            self._delete(slice(bisect_left(self._starts, start, self._start), None))
        self._starts.append(start)
        self._latencies.append(latency_s)
        self._verdicts.append(verdict)
        self._holds.append(self._well_s if verdict == OK else self._failing_s)
        self._start = max(bisect_left(self._starts, start - HELD_S, self._start), len(self._starts) - MOST)
        if self._start > _SLACK:
            self._delete(slice(self._start))
            self._start = 0

    def _delete(self, which: slice) -> None:
        for column in (self._starts, self._latencies, self._verdicts, self._holds):
            del column[which]

    @property
    def latencies(self) -> Sequence[float]:
        """Of the checks that are held, in seconds; NaN for those that tell none."""
        return self._latencies[self._start :]

    def counts(self, since: float = 0.0) -> Counts:
        """Of the checks that began after a time."""
        told = self._verdicts[bisect_left(self._starts, since, self._start) :] if since else self._verdicts[self._start :]
        failed = told.count(FAILED)
        return Counts(failed + told.count(OK), failed)

    def last_minute(self, now: float) -> Counts:
        """Of the last minute; of what is checked less often, the last check."""
        last = self._starts[-1] if self._starts else now
        return self.counts(min(now - MINUTE_S, last))

    def held_s(self, now: float) -> float:
        """How far back the checks that are held reach."""
        return max(0.0, now - self._starts[self._start]) if len(self) else 0.0

    def availability(self, now: float) -> float:
        """Share of the time observed in which it was up; NaN when none was.

        A result holds until the next check, and no longer than to when that was due: what came after is not known, and in neither time.
        """
        up_s = down_s = 0.0
        starts, verdicts, holds = self._starts, self._verdicts, self._holds
        for i in range(self._start, len(starts)):
            verdict = verdicts[i]
            if verdict == UNKNOWN:
                continue
            until = starts[i + 1] if i + 1 < len(starts) else now
            lasted_s = max(0.0, min(until - starts[i], holds[i]))
            if verdict == OK:
                up_s += lasted_s
            else:
                down_s += lasted_s
        observed_s = up_s + down_s
        return up_s / observed_s if observed_s > 0 else nan
