"""The checks of one endpoint over the last half hour, or the last hundred, as arrays: what its statistics are made of. Pure.

22 bytes a check: 4 KB an endpoint that is checked every 10 s. Outcomes with their texts are not kept here.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from math import isnan, nan
from typing import Final, NamedTuple

from perfconsole.core.checks import CLASSES
from perfconsole.core.series import HELD_S

MOST: Final = 3600
"""Checks held: one every half second. Of what is checked more often, less is held than half an hour; how much is said."""

LEAST: Final = 100
"""Intervals for which checks are held at the least: what is checked once an hour had no percentile in half of one, and never would."""

LATE: Final = 1.1
"""Intervals after which a check is overdue: starts are spread by 5 % to either side."""

MINUTE_S: Final = 60.0

FAILED, OK, UNKNOWN = 0, 1, -1
"""What a check told. Unknown: not measured, in maintenance, or not this endpoint's own fault. A failure is told by its `failure`."""

_CODES: Final = {cause: -2 - at for at, cause in enumerate(CLASSES)}
_NAMES: Final = {code: cause for cause, code in _CODES.items()} | {FAILED: "other"}
_TIMEOUT: Final = _CODES["timeout"]

_SLACK: Final = 32
"""Expired checks that may pile up before memory is moved."""


def failure(cause: str, status: int) -> int:
    """The verdict of a failed check: what it was answered where that is why, else its class, which is below `UNKNOWN`."""
    return status if cause == "status" and OK < status < 1000 else _CODES.get(cause, FAILED)


class Counts(NamedTuple):
    """How many checks told something, and how many of them failed."""

    checks: int
    failed: int


class Samples:
    """Checks in the order of their starts.

    Args:
        well_s: How long a good result holds at most, in seconds; `failing_s` a bad one.
        interval_s: Between two checks.
    """

    __slots__ = ("_failing_s", "_holds", "_kept_s", "_latencies", "_start", "_starts", "_verdicts", "_well_s")

    def __init__(self, well_s: float, failing_s: float, interval_s: float = 0.0) -> None:
        self.configure(well_s, failing_s, interval_s)
        self._starts = array("d")
        self._latencies = array("d")
        self._verdicts = array("h")
        self._holds = array("f")  # seconds: how long each holds at most, as it was configured then
        self._start = 0

    def __len__(self) -> int:
        return len(self._starts) - self._start

    def configure(self, well_s: float, failing_s: float, interval_s: float = 0.0) -> None:
        """Results hold so long from now on; of those that are held it is known how long they did."""
        self._well_s, self._failing_s = well_s, failing_s
        self._kept_s = max(HELD_S, LEAST * interval_s)

    def append(self, start: float, verdict: int, latency_s: float) -> None:
        """Add a check.

        Args:
            start: When it began, epoch seconds; what lies ahead of it was never the time (the clock was set back), and is let go.
            verdict: `OK`, `UNKNOWN`, or a `failure`.
            latency_s: NaN when it tells none.
        """
        if self._starts and start < self._starts[-1]:
            self._delete(slice(bisect_left(self._starts, start, self._start), None))
        self._starts.append(start)
        self._latencies.append(latency_s)
        self._verdicts.append(verdict)
        self._holds.append(self._well_s if verdict == OK else self._failing_s)
        self._start = max(bisect_left(self._starts, start - self._kept_s, self._start), len(self._starts) - MOST)
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

    @property
    def cut_s(self) -> float:
        """The shortest latency after which one of them was given up: a percentile from there on is at least what it says; NaN for none."""
        if _TIMEOUT not in self._verdicts:  # nearly always
            return nan
        pairs = zip(self._verdicts[self._start :], self._latencies[self._start :], strict=True)
        return min((latency for verdict, latency in pairs if verdict == _TIMEOUT and not isnan(latency)), default=nan)

    def counts(self, since: float = 0.0) -> Counts:
        """Of the checks that began after a time."""
        told = self._verdicts[bisect_left(self._starts, since, self._start) if since else self._start :]
        ok = told.count(OK)
        checks = len(told) - told.count(UNKNOWN)
        return Counts(checks, checks - ok)

    def failures(self) -> tuple[tuple[str, int], ...]:
        """Why those that are held failed, and how often: ``("timeout", 25), ("503", 5)``, the most frequent first."""
        told = Counter(verdict for verdict in self._verdicts[self._start :] if verdict not in {OK, UNKNOWN})
        named = [(_NAMES.get(verdict) or str(verdict), count) for verdict, count in told.items()]
        return tuple(sorted(named, key=lambda one: (-one[1], one[0])))

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
