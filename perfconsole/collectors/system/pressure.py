"""Pressure stall information (Documentation/accounting/psi.rst) of the host and of the own cgroup: whichever says more binds.

A container can stand still (full 14 %) while the host's files say 0.
"""

from math import isnan, nan
from typing import Final

from perfconsole.collectors.system.files import Files
from perfconsole.collectors.system.limits import Limits
from perfconsole.collectors.system.parts import define, higher

_RESOURCES: Final = ("cpu", "memory", "io")
_MICRO: Final = 1e-6


class Pressure:
    """Share of time in which some, or all, tasks waited, over the interval; over the last 10 s (avg10) while there is no interval yet."""

    def __init__(self, files: Files, proc: str, limits: Limits) -> None:
        self._files, self._proc, self._limits = files, proc, limits
        self._totals: dict[tuple[str, bytes], float] = {}
        self.series = tuple(define(f"system.pressure.{resource}.{kind}") for resource in _RESOURCES for kind in ("some", "full"))

    def read(self, step_s: float) -> list[float]:
        """See `Part`."""
        values = []
        group = self._limits.pressure
        for resource in _RESOURCES:
            path = f"{self._proc}/pressure/{resource}"
            some, full = self._shares(path, self._files.read(path), step_s)
            if group:
                path = f"{group}/{resource}.pressure"
                own_some, own_full = self._shares(path, self._files.read_optional(path), step_s)
                some, full = higher(some, own_some), higher(full, own_full)
            values += [some, full]
        return values

    def _shares(self, path: str, content: bytes, step_s: float) -> tuple[float, float]:
        """Some and full of one file: ``some avg10=0.11 avg60=0.39 avg300=0.14 total=3755693`` (percent, microseconds)."""
        found = {b"some": nan, b"full": nan}  # kernels before 5.13 have no "full" for cpu
        for line in content.splitlines():
            kind, average, _, _, total = line.split()
            total_s = float(total[6:]) * _MICRO
            before_s = self._totals.get((path, kind), nan)
            self._totals[path, kind] = total_s
            share = (total_s - before_s) / step_s
            # Stalls are added to `total` when they end: a long one may come in late, and bring more than the interval.
            found[kind] = float(average[6:]) / 100 if isnan(share) or share < 0 else min(share, 1.0)
        return found[b"some"], found[b"full"]
