"""What the parts of the system collector have in common: their shape, and arithmetic in which unknown stays unknown."""

from math import isnan, nan
from typing import Protocol

from perfconsole.core.tick import SeriesDef

Counts = dict[str, tuple[int, ...]]
"""Counters of named devices, all in the same order."""


class Part(Protocol):
    """One family of metrics."""

    @property
    def series(self) -> tuple[SeriesDef, ...]:
        """What the values are of: the same object while the set of series is unchanged; another one only after `read`."""

    def read(self, step_s: float) -> list[float]:
        """Measure.

        Args:
            step_s: Seconds since the last read; NaN at the first and after a gap.

        Returns:
            One value a series.

        Raises:
            ValueError: When a file does not read as proc(5) says.
        """


def define(name: str, **labels: str) -> SeriesDef:
    """A series; labels are sorted by name, as everywhere."""
    return SeriesDef(name, tuple(sorted(labels.items())))


def ratio(part: float, whole: float) -> float:
    """A share; NaN when there is nothing to have a share in."""
    return part / whole if whole > 0 else nan


def higher(one: float, other: float) -> float:
    """The higher of two values of which either may be unknown."""
    return one if one >= other or isnan(other) else other


def growth(new: int, old: int | None) -> int | None:
    """What a counter grew by; None when it was not known before or ran backwards."""
    return None if old is None or new < old else new - old


class Sums:
    """The counters of several devices as one set of counters that never jumps.

    A device that joins brings a lifetime of counts, one that leaves takes them away, and one may start again from zero: none of these is
    traffic. So the sums grow by what each device grew by while it was looked at.
    """

    def __init__(self) -> None:
        self._last: Counts = {}
        self._sums: list[int] = []

    def add(self, counts: Counts) -> list[int]:
        """Take the newest counters; returns the sums, empty while no device was ever seen."""
        if not self._sums and counts:
            self._sums = [sum(column) for column in zip(*counts.values(), strict=True)]
        for name, values in counts.items():
            before = self._last.get(name)
            if before is None:
                continue
            for i, (new, old) in enumerate(zip(values, before, strict=True)):
                self._sums[i] += new - old if new > old else 0
        self._last = counts
        return self._sums


def distinct(names: list[str]) -> list[str]:
    """The same names, made unlike each other where cleaning made two of them alike: no two series may share their labels."""
    taken: dict[str, None] = {}
    for name in names:
        unlike, count = name, 1
        while unlike in taken:  # also by one that is really called so
            count += 1
            unlike = f"{name}~{count}"
        taken[unlike] = None
    return list(taken)
