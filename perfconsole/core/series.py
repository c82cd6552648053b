"""Rings sized by time, one time axis for all columns of a group; gaps; counters to rates.

A counter is stored as a counter: rates are derived here, on read. A gap (more than two intervals without a reading) never yields a rate,
and a counter that ran backwards was reset: neither does that.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from math import inf, isnan, nan
from typing import Final

HELD_S: Final = 1800.0
"""Seconds of samples a ring holds."""

GAP: Final = 2.0
"""Intervals without a reading that make a gap."""

STALE: Final = 3.0
"""Intervals without a reading after which the last one no longer tells of the present."""

_SLACK: Final = 64
"""Expired samples that may pile up before memory is moved: trimming costs one memmove every 64 readings, not one a reading."""


class Ring:
    """The samples of one group: ``times`` and one column a series, oldest first, at most `HELD_S` seconds of them.

    Attributes:
        interval_s: The interval at which readings are due.
    """

    __slots__ = ("_columns", "_start", "_times", "interval_s")

    def __init__(self, width: int, interval_s: float) -> None:
        self.interval_s = interval_s
        self._times = array("d")
        self._columns = [array("d") for _ in range(width)]
        self._start = 0

    def __len__(self) -> int:
        return len(self._times) - self._start

    @property
    def width(self) -> int:
        """Number of series."""
        return len(self._columns)

    @property
    def last(self) -> float:
        """Time of the newest sample; NaN when there is none."""
        return self._times[-1] if self._times else nan

    @property
    def first(self) -> float:
        """Time of the oldest sample; NaN when there is none."""
        return self._times[self._start] if len(self) else nan

    def stale(self, now: float) -> bool:
        """Whether the newest sample is too old to tell of the present; not so where there is none."""
        return now - self.last > STALE * self.interval_s

    def append(self, at: float, values: Sequence[float]) -> None:
        """Add one reading; a second one of the same time is dropped.

        One from before the last means that the clock was set back: what lies ahead of it was never the time, and is let go. To drop the
        reading instead would show the values of then until the clock has caught up, an hour perhaps.

        Raises:
            ValueError: When the number of values is not the ring's width.
        """
        if len(values) != len(self._columns):
            message = f"{len(values)} values for {len(self._columns)} series"
            raise ValueError(message)
        if self._times and at <= self._times[-1]:
            if at == self._times[-1]:
                return
            self._cut(at)
        self._times.append(at)
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)
        self._start = bisect_left(self._times, at - HELD_S, self._start)
        if self._start > _SLACK:
            del self._times[: self._start]
            for column in self._columns:
                del column[: self._start]
            self._start = 0

    def _cut(self, at: float) -> None:
        """Let go of the samples from a time on."""
        first = bisect_left(self._times, at, self._start)
        del self._times[first:]
        for column in self._columns:
            del column[first:]

    def rearranged(self, sources: Sequence[int | None], interval_s: float) -> "Ring":
        """A ring of other series over the same time axis: column i is this ring's column ``sources[i]``, or unknown throughout."""
        ring = Ring(0, interval_s)
        ring._times = self._times[self._start :]
        unknown = array("d", [nan]) * len(ring._times)
        ring._columns = [unknown[:] if source is None else self._columns[source][self._start :] for source in sources]
        return ring

    def extend(self, newer: "Ring") -> None:
        """Add the samples of a ring of the same series; those that are held already are dropped."""
        times, columns = newer.dump()
        last = self.last if newer.last >= self.last else -inf  # the clock was set back between them
        for at, *values in zip(array("d", times), *(array("d", column) for column in columns), strict=True):
            if at > last:
                self.append(at, values)

    def latest(self, column: int) -> float:
        """The newest value; NaN when there is none."""
        values = self._columns[column]
        return values[-1] if values else nan

    def points(self, column: int, since: float = 0.0) -> tuple[Sequence[float], Sequence[float]]:
        """Times and values from `since` on."""
        first = bisect_left(self._times, since, self._start)
        return self._times[first:], self._columns[column][first:]

    def rates(self, column: int, since: float = 0.0) -> tuple[Sequence[float], Sequence[float]]:
        """Times and per-second rates of a counter from `since` on; NaN across gaps, unknown values and resets."""
        first = max(bisect_left(self._times, since, self._start), self._start)
        times, values = self._times, self._columns[column]
        longest = self._longest_step_s
        out = array("d")
        for i in range(first, len(times)):
            out.append(_rate(times, values, i, longest) if i > self._start else nan)
        return times[first:], out

    def rate(self, column: int) -> float:
        """The newest per-second rate of a counter; NaN when there is none."""
        if len(self) < 2:
            return nan
        return _rate(self._times, self._columns[column], len(self._times) - 1, self._longest_step_s)

    @property
    def _longest_step_s(self) -> float:
        # The half interval over: a reading that came a little late ends two intervals after the one before the one that is missing.
        return (GAP + 0.5) * self.interval_s

    def dump(self, points: int | None = None) -> tuple[bytes, list[bytes]]:
        """Time axis and columns as native float64 bytes, the newest `points` of them (all when None)."""
        first = self._start if points is None else max(self._start, len(self._times) - points)
        return self._times[first:].tobytes(), [column[first:].tobytes() for column in self._columns]

    def load(self, times: bytes, columns: Iterable[bytes]) -> None:
        """Replace everything by what `dump` gave.

        Raises:
            ValueError: When the columns are not as many, or not as long, as they must be.
        """
        axis = array("d", times)
        loaded = [array("d", column) for column in columns]
        if len(loaded) != len(self._columns) or any(len(column) != len(axis) for column in loaded):
            message = f"a backlog of {len(loaded)} columns for {len(self._columns)} series, or of unequal length"
            raise ValueError(message)
        self._times, self._columns, self._start = axis, loaded, 0


def _rate(times: Sequence[float], values: Sequence[float], i: int, longest_s: float) -> float:
    step_s = times[i] - times[i - 1]
    grown = values[i] - values[i - 1]
    return grown / step_s if grown >= 0 and 0 < step_s <= longest_s else nan


def buckets(times: Sequence[float], values: Sequence[float], first: int, count: int, width_s: float) -> list[float]:
    """The highest value in each of `count` aligned buckets: bucket k covers ``[k * width_s, (k + 1) * width_s)``.

    Aligned to absolute time, so that a drawn bucket keeps its value when the window moves on: only the newest column of a chart changes.
    The highest, because a spike must not be averaged away.

    Args:
        times: Ascending epoch seconds.
        values: As many values; unknown ones are skipped.
        first: Index of the first bucket.
        count: Number of buckets.
        width_s: Seconds a bucket covers.

    Returns:
        `count` values, NaN for a bucket in which nothing is known.
    """
    out = [nan] * count
    lo = bisect_left(times, first * width_s)
    hi = bisect_right(times, (first + count) * width_s)
    for i in range(lo, hi):
        value = values[i]
        if isnan(value):
            continue
        k = int(times[i] // width_s) - first
        if 0 <= k < count and not out[k] >= value:
            out[k] = value
    return out
