"""When each (collector, target) pair runs: deadlines on CLOCK_BOOTTIME, aligned slots, one run of a pair at a time, back-off.

Collectors of this machine share slots (multiples of their interval), so that one wake-up serves them all.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from perfconsole.core.ports import Collector

WARM_UP_S: Final = 0.5
"""The second run follows this soon after the first: rates need two samples, and a console that opens should not show dashes for 2 s."""

_PATIENCE: Final = 3
"""Intervals a run may take before it is given up."""

_LEAST_TIMEOUT_S: Final = 5.0
_LONGEST_BACK_OFF_S: Final = 60.0
_MOST_DOUBLINGS: Final = 7
"""From half a second to the longest back-off; without a bound the power no longer fits a float after 17 hours of failures."""


class Job:
    """One collector at one target.

    Attributes:
        due: CLOCK_BOOTTIME of its next run.
        task: The run under way, or None.
        last_ok: Wall-clock time of its last success; 0 when there was none.
    """

    __slots__ = ("collector", "due", "failures", "last_ok", "runs", "target", "task")

    def __init__(self, collector: Collector, target: str, due: float) -> None:
        self.collector = collector
        self.target = target
        self.due = due
        self.task: asyncio.Task[None] | None = None
        self.runs = 0
        self.failures = 0
        self.last_ok = 0.0

    @property
    def timeout_s(self) -> float:
        """How long a run may take."""
        return max(_PATIENCE * self.collector.interval_s, _LEAST_TIMEOUT_S)

    def started(self, boot: float) -> None:
        """Set the next deadline: the next slot, sooner after the first run, later after failures."""
        interval_s = self.collector.interval_s
        self.runs += 1
        if self.runs == 1 and interval_s >= WARM_UP_S:
            self.due = boot + WARM_UP_S
            return
        back_off_s = min(interval_s * 2 ** min(self.failures, _MOST_DOUBLINGS), _LONGEST_BACK_OFF_S)
        # Not the slot that is about to begin: a run off the slots (the first two, a late one) and one 10 ms later make no rate.
        apart_s = max(back_off_s - interval_s, min(WARM_UP_S, interval_s / 2))
        slot = int((boot + apart_s) / interval_s + 1e-6) + 1
        self.due = slot * interval_s


class Schedule:
    """All jobs of an engine."""

    def __init__(self, collectors: Iterable[Collector], boot: float) -> None:
        self.jobs: list[Job] = []
        for collector in collectors:
            self.add(collector, boot)

    def add(self, collector: Collector, boot: float) -> None:
        """The jobs of one more collector."""
        self.jobs += [Job(collector, target, boot + collector.first_after_s) for target in collector.targets]

    def due(self, boot: float) -> list[Job]:
        """The jobs to start now. One that still runs is left out: it catches up at a later slot."""
        return [job for job in self.jobs if job.due <= boot and job.task is None]

    def next_due(self) -> float:
        """CLOCK_BOOTTIME of the earliest deadline among the jobs that are not running; infinity when there is none."""
        return min((job.due for job in self.jobs if job.task is None), default=float("inf"))
