"""Percentiles by nearest rank: exact ones of a window that is held, and of a great pool to within one in a hundred. Pure.

A percentile is a value that was measured: the smallest that at least so many of a hundred do not exceed, the ``ceil(p * n)``-th of them in
order. Nothing is interpolated, and of too few values nothing is said. A value that is known only to be longer (a timeout) counts as at
least what it lasted: the percentile is then a lower bound, as everything with a timeout in it is.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from math import ceil, exp, isnan, log, nan
from typing import Final, NamedTuple

LEAST: Final = {50: 3, 90: 10, 95: 20, 99: 100}
"""How many values a percentile takes: of fewer, the 99th of a hundred would be the greatest, and no percentile."""

_GROWTH: Final = log(1.02)
"""Width of a bucket: its middle is within 1 % of all that lies in it."""

_LEAST_S: Final = 1e-9
"""What is shorter shares the first bucket: no clock here tells it from nothing."""


class Percentiles(NamedTuple):
    """Percentiles of `n` values, in their unit; NaN where n is too small for one (`LEAST`)."""

    n: int = 0
    p50: float = nan
    p90: float = nan
    p95: float = nan
    p99: float = nan


def percentiles(values: Iterable[float]) -> Percentiles:
    """The percentiles of values; unknown ones (NaN) are left out.

    Args:
        values: In any order; sorted runs that follow each other are sorted faster.
    """
    known = sorted([value for value in values if not isnan(value)])
    n = len(known)
    return Percentiles(n, *(known[_rank(percent, n)] if n >= least else nan for percent, least in LEAST.items()))


def _rank(percent: int, n: int) -> int:
    """Index of the nearest rank; in whole numbers, because ``ceil(0.95 * 20)`` is 19 only by luck."""
    return -(-percent * n // 100) - 1


def bucketed(values: Iterable[float]) -> Counter[int]:
    """Counts of values by bucket of a logarithmic scale; unknown ones are left out. Counts of several are added to pool them."""
    return Counter(ceil(log(max(value, _LEAST_S)) / _GROWTH) for value in values if not isnan(value))


def of_buckets(counts: Mapping[int, int]) -> Percentiles:
    """The percentiles of pooled values to within 1 %, each the middle of the bucket in which it lies.

    Args:
        counts: As `bucketed` gives them.
    """
    n = sum(counts.values())
    found: dict[int, float] = dict.fromkeys(LEAST, nan)
    wanted = [(percent, _rank(percent, n)) for percent, least in LEAST.items() if n >= least]
    passed = 0
    for bucket in sorted(counts):
        passed += counts[bucket]
        while wanted and wanted[0][1] < passed:
            found[wanted.pop(0)[0]] = exp((bucket - 0.5) * _GROWTH)
    return Percentiles(n, *found.values())
