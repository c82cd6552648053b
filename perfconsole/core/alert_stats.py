"""Statistics over the last samples of a series, for rules: one value after each sample, and of how many it is made. Pure.

A window holds the samples of ``(at - over_s, at]``; unknown ones (NaN) never enter. With a window of 0 there is the sample alone.

Samples lie in arrays, 16 bytes each, of a share 9: an hour at one every 2 s is 29 KB, and would be 190 KB as a deque of pairs.
"""

from array import array
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable, MutableSequence
from itertools import accumulate, chain
from math import inf, isfinite, isnan, nan
from operator import sub
from typing import Final, Protocol

from perfconsole.core.percentiles import LEAST

_AFRESH: Final = 512
"""Samples after which a running sum is added up anew: what floats lose in between is in the sixteenth digit."""

_SAME_S: Final = 1e-3
"""What is so near to a sample is that sample, packed at two moments."""

_SLACK: Final = 16
"""Samples that have left a window and may lie before it until memory is moved."""


class Statistic(Protocol):
    """A statistic over a window of samples.

    Attributes:
        n: Samples in the window after the last `push`.
        events: Of a ratio, those among them that count against it; else `n`.
    """

    n: int
    events: int

    def push(self, at: float, value: float) -> float:
        """Take a known sample, later than the one before; the statistic over the window that ends with it."""

    def packed(self) -> bytes:
        """The samples of the window, for `refill` of another one of its kind; empty where there is nothing to say of them."""

    def refill(self, packed: bytes, moved_s: float) -> float:
        """Take what another one had packed for the time before the first sample of this one.

        Args:
            packed: Of a statistic of the same kind over a window of the same length.
            moved_s: What is to be added to its moments.

        Returns:
            The statistic as of the last sample of this one; NaN where this one has none, or nothing was packed.
        """


class Last:
    """The sample itself."""

    __slots__ = ("events", "n")

    def __init__(self) -> None:
        self.n = self.events = 0

    def push(self, at: float, value: float) -> float:
        """As `Statistic.push`."""
        del at
        self.n = self.events = 1
        return value

    def packed(self) -> bytes:
        """As `Statistic.packed`."""
        return b""

    def refill(self, packed: bytes, moved_s: float) -> float:
        """As `Statistic.refill`."""
        del packed, moved_s
        return nan


class _Window:
    """The samples of a window, oldest first: those from `_start` on."""

    __slots__ = ("_over_s", "_start", "_times", "_values", "events", "n")

    _value_bytes = 8

    def __init__(self, over_s: float) -> None:
        self._over_s = over_s
        self._clear()

    def _clear(self) -> None:
        self._times = array("d")
        self._values: MutableSequence[float] = array("d")
        self._start = 0
        self.n = self.events = 0

    def push(self, at: float, value: float) -> float:
        """As `Statistic.push`."""
        raise NotImplementedError

    def _let_go(self, start: int) -> None:
        """Have the window begin with a later one of its samples."""
        if start > _SLACK:
            del self._times[:start], self._values[:start]
            start = 0
        self._start = start

    def _held(self) -> tuple["array[float]", MutableSequence[float]]:
        return self._times[self._start :], self._values[self._start :]

    def packed(self) -> bytes:
        """As `Statistic.packed`: the newest moment, the time between each two from there back, and the values, oldest first.

        Times between samples are kept to seven digits: a tenth of a millisecond in an hour and a half.
        """
        times, values = self._held()
        if not times:
            return b""
        apart = array("f", map(sub, times[:0:-1], times[-2::-1]))
        return array("d", times[-1:]).tobytes() + apart.tobytes() + _encoded(values)

    def refill(self, packed: bytes, moved_s: float) -> float:
        """As `Statistic.refill`."""
        times, values = self._held()
        first = times[0] if times else nan
        self._clear()
        for at, value in _unpacked(packed, self._value_bytes, moved_s):
            if not at > first - _SAME_S:
                self.push(at, value)
        known = nan
        for at, value in zip(times, values, strict=True):
            known = self.push(at, value)
        return known


class Average(_Window):
    """The mean of the samples."""

    __slots__ = ("_sum", "_until_afresh")

    def _clear(self) -> None:
        super()._clear()
        self._sum = 0.0
        self._until_afresh = _AFRESH

    def push(self, at: float, value: float) -> float:
        """As `Statistic.push`."""
        times, values, oldest = self._times, self._values, at - self._over_s
        times.append(at)
        values.append(value)
        self._sum += value
        start, last = self._start, len(times) - 1
        if times[start] <= oldest:
            while start < last and times[start] <= oldest:
                self._sum -= values[start]
                start += 1
            self._let_go(start)
        self.n = self.events = n = len(times) - self._start
        self._until_afresh -= 1
        if not self._until_afresh or n == 1 or self._sum != self._sum:  # NaN: an infinity has left
            self._sum, self._until_afresh = sum(values[self._start :]), _AFRESH
        return self._sum / n


class Extreme(_Window):
    """The greatest of the samples, or with a sign of -1 the least: those that a later one outdoes are not kept."""

    __slots__ = ("_outstanding", "_sign")

    def __init__(self, over_s: float, sign: int) -> None:
        self._sign = sign
        super().__init__(over_s)

    def _clear(self) -> None:
        super()._clear()
        self._outstanding: deque[tuple[float, float]] = deque()

    def push(self, at: float, value: float) -> float:
        """As `Statistic.push`."""
        outstanding, times, oldest, signed = self._outstanding, self._times, at - self._over_s, value * self._sign
        while outstanding and outstanding[-1][1] <= signed:
            outstanding.pop()
        outstanding.append((at, signed))
        while outstanding[0][0] <= oldest and len(outstanding) > 1:
            outstanding.popleft()
        times.append(at)
        start, last = self._start, len(times) - 1
        while start < last and times[start] <= oldest:
            start += 1
        self._let_go(start)
        self.n = self.events = len(times) - self._start
        return outstanding[0][1] * self._sign

    def _held(self) -> tuple["array[float]", MutableSequence[float]]:
        """Of those that were outdone nothing is known but that: each stands for what it was outdone by."""
        times, values, left = self._times[self._start :], array("d"), iter(self._outstanding)
        at, signed = next(left, (nan, nan))
        for moment in times:
            if moment > at:
                at, signed = next(left, (inf, signed))
            values.append(signed * self._sign)
        return times, values


class Percentile(_Window):
    """A percentile by nearest rank; of fewer samples than it takes (`core.percentiles.LEAST`) it is not known."""

    __slots__ = ("_least", "_ordered", "_percent")

    def __init__(self, over_s: float, percent: int) -> None:
        self._percent = percent
        self._least = LEAST[percent]
        super().__init__(over_s)

    def _clear(self) -> None:
        super()._clear()
        self._ordered: list[float] = []

    def push(self, at: float, value: float) -> float:
        """As `Statistic.push`."""
        times, values, ordered, oldest = self._times, self._values, self._ordered, at - self._over_s
        times.append(at)
        values.append(value)
        insort(ordered, value)
        start, last = self._start, len(times) - 1
        if times[start] <= oldest:
            while start < last and times[start] <= oldest:
                del ordered[bisect_left(ordered, values[start])]
                start += 1
            self._let_go(start)
        self.n = self.events = n = len(ordered)
        return ordered[-(-self._percent * n // 100) - 1] if n >= self._least else nan


class Ratio(_Window):
    """The share of the samples that are not 1: of a series that tells of each check whether it was well, the error rate."""

    __slots__ = ()

    _value_bytes = 1

    def _clear(self) -> None:
        super()._clear()
        self._values = bytearray()  # type: ignore[assignment]  # it takes 1, for what is well, and 0, and nothing else is put there

    def push(self, at: float, value: float) -> float:
        """As `Statistic.push`."""
        times, values, oldest = self._times, self._values, at - self._over_s
        bad = value < 1.0
        times.append(at)
        values.append(not bad)
        self.events += bad
        start, last = self._start, len(times) - 1
        if times[start] <= oldest:
            while start < last and times[start] <= oldest:
                self.events -= not values[start]
                start += 1
            self._let_go(start)
        self.n = n = len(times) - self._start
        return self.events / n


def _encoded(values: MutableSequence[float]) -> bytes:
    return values.tobytes() if isinstance(values, array) else bytes(values)  # type: ignore[arg-type]  # of Ratio: a bytearray


def _unpacked(packed: bytes, value_bytes: int, moved_s: float) -> Iterable[tuple[float, float]]:
    """The samples that `_Window.packed` wrote, oldest first; none where it is of another kind, or damaged."""
    count, rest = divmod(len(packed) - 4, 4 + value_bytes)
    if count < 1 or rest:
        return ()
    body = 8 + 4 * (count - 1)
    at, apart = newest(packed) + moved_s, array("f", packed[8:body])
    values = array("d", packed[body:]) if value_bytes == 8 else packed[body:]
    if not isfinite(at) or any(not 0 < step_s < inf for step_s in apart) or any(map(isnan, values)):
        return ()
    return zip(reversed(list(accumulate(chain((at,), apart), sub))), values, strict=True)


def newest(packed: bytes) -> float:
    """The moment of the newest sample that `Statistic.packed` wrote; NaN where there is none."""
    return array("d", packed[:8])[0] if len(packed) > 8 else nan


STATS: Final[dict[str, Callable[[float], Statistic]]] = {
    "last": lambda _: Last(),
    "avg": Average,
    "min": lambda over_s: Extreme(over_s, -1),
    "max": lambda over_s: Extreme(over_s, 1),
    "p50": lambda over_s: Percentile(over_s, 50),
    "p90": lambda over_s: Percentile(over_s, 90),
    "p95": lambda over_s: Percentile(over_s, 95),
    "p99": lambda over_s: Percentile(over_s, 99),
    "ratio": Ratio,
}
"""By the names that rules call them; each is made for a window of so many seconds."""
