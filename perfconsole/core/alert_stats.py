"""Statistics over the last samples of a series, for rules: one value after each sample, and of how many it is made. Pure.

A window holds the samples of ``(at - over_s, at]``; unknown ones (NaN) never enter. With a window of 0 there is the sample alone.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from math import nan
from typing import Final, Protocol

from perfconsole.core.percentiles import LEAST

_AFRESH: Final = 512
"""Samples after which a running sum is added up anew: what floats lose in between is in the sixteenth digit."""


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


class _Window:
    """The samples of a window, oldest first."""

    __slots__ = ("_over_s", "_samples", "events", "n")

    def __init__(self, over_s: float) -> None:
        self._over_s = over_s
        self._samples: deque[tuple[float, float]] = deque()
        self.n = self.events = 0


class Average(_Window):
    """The mean of the samples."""

    __slots__ = ("_sum", "_until_afresh")

    def __init__(self, over_s: float) -> None:
        super().__init__(over_s)
        self._sum = 0.0
        self._until_afresh = _AFRESH

    def push(self, at: float, value: float) -> float:
        """As `Statistic.push`."""
        samples, oldest = self._samples, at - self._over_s
        samples.append((at, value))
        self._sum += value
        while samples[0][0] <= oldest and len(samples) > 1:
            self._sum -= samples.popleft()[1]
        self.n = self.events = len(samples)
        self._until_afresh -= 1
        if not self._until_afresh or self.n == 1 or self._sum != self._sum:  # NaN: an infinity has left
            self._sum, self._until_afresh = sum(one for _, one in samples), _AFRESH
        return self._sum / self.n


class Extreme(_Window):
    """The greatest of the samples, or with a sign of -1 the least: those that a later one outdoes are not kept."""

    __slots__ = ("_sign", "_times")

    def __init__(self, over_s: float, sign: int) -> None:
        super().__init__(over_s)
        self._sign = sign
        self._times: deque[float] = deque()

    def push(self, at: float, value: float) -> float:
        """As `Statistic.push`."""
        samples, times, oldest, signed = self._samples, self._times, at - self._over_s, value * self._sign
        while samples and samples[-1][1] <= signed:
            samples.pop()
        samples.append((at, signed))
        times.append(at)
        while samples[0][0] <= oldest and len(samples) > 1:
            samples.popleft()
        while times[0] <= oldest and len(times) > 1:
            times.popleft()
        self.n = self.events = len(times)
        return samples[0][1] * self._sign


class Percentile(_Window):
    """A percentile by nearest rank; of fewer samples than it takes (`core.percentiles.LEAST`) it is not known."""

    __slots__ = ("_least", "_ordered", "_percent")

    def __init__(self, over_s: float, percent: int) -> None:
        super().__init__(over_s)
        self._percent = percent
        self._least = LEAST[percent]
        self._ordered: list[float] = []

    def push(self, at: float, value: float) -> float:
        """As `Statistic.push`."""
        samples, ordered, oldest = self._samples, self._ordered, at - self._over_s
        samples.append((at, value))
        insort(ordered, value)
        while samples[0][0] <= oldest and len(samples) > 1:
            del ordered[bisect_left(ordered, samples.popleft()[1])]
        self.n = self.events = n = len(ordered)
        return ordered[-(-self._percent * n // 100) - 1] if n >= self._least else nan


class Ratio(_Window):
    """The share of the samples that are not 1: of a series that tells of each check whether it was well, the error rate."""

    __slots__ = ()

    def push(self, at: float, value: float) -> float:
        """As `Statistic.push`."""
        samples, oldest, bad = self._samples, at - self._over_s, float(value < 1.0)
        samples.append((at, bad))
        self.events += int(bad)
        while samples[0][0] <= oldest and len(samples) > 1:
            self.events -= int(samples.popleft()[1])
        self.n = len(samples)
        return self.events / self.n


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
