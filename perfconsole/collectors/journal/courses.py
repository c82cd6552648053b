"""A unit that starts and stops every minute is told of in full a few times, and then in sums. Pure: the time is an argument."""

from typing import Final

from perfconsole.core.tick import Event
from perfconsole.core.units import duration

IN_FULL: Final = 3
"""So often what a unit does is told with its time and its cause: a deploy, its rollback and the crash after it are three things."""

FIRST_S: Final = 600.0
"""What it does more often within this is counted, and told in one line when it is over; then within twice that, up to `LONGEST_S`."""

LONGEST_S: Final = 3600.0

MOST: Final = 1000
"""Units followed at a time; beyond that the one that was first is forgotten."""

_BAD: Final = frozenset({"failed", "given up", "killed"})

_CAUSES: Final = 3
"""Causes named in a sum: the last ones that differ."""


class _Course:
    """What one unit did since `began`: how often it was told, and counts and causes of what was not, from `first` to `last`."""

    __slots__ = ("began", "causes", "counts", "first", "last", "span_s", "told")

    def __init__(self, began: float) -> None:
        self.began, self.span_s = began, FIRST_S
        self.told: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        self.causes: dict[str, None] = {}
        self.first = self.last = began


class Courses:
    """What units did, each verb a few times in full, then in sums."""

    def __init__(self) -> None:
        self._courses: dict[str, _Course] = {}

    def __len__(self) -> int:
        return len(self._courses)

    def is_new(self, unit: str, verb: str, at: float, cause: str = "") -> bool:
        """Whether it is to be told now; otherwise it was counted.

        Args:
            unit: Its name.
            verb: ``started``, ``stopped``, ``failed``, ...
            at: When, epoch seconds.
            cause: Why it failed.
        """
        course = self._courses.get(unit)
        if course is None:
            while len(self._courses) >= MOST:
                del self._courses[next(iter(self._courses))]
            course = self._courses[unit] = _Course(at)
        times = course.told[verb] = course.told.get(verb, 0) + 1
        if times <= IN_FULL:
            return True
        if not course.counts:
            course.first = at
        course.last = max(course.last, at)
        course.counts[verb] = course.counts.get(verb, 0) + 1
        if cause:
            course.causes.pop(cause, None)
            course.causes[cause] = None
            if len(course.causes) > _CAUSES:
                del course.causes[next(iter(course.causes))]
        return False

    def sums(self, at: float) -> list[Event]:
        """What was counted where the time of counting is over by `at`; who was quiet that long is told in full the next time."""
        found = []
        for unit, course in list(self._courses.items()):
            if 0 <= at - course.began < course.span_s:  # before: the clock was set back
                continue
            if not course.counts:
                del self._courses[unit]
                continue
            severity = "" if _BAD.isdisjoint(course.counts) else "warning"
            found.append(Event(course.first, course.last, "unit", unit, _words(unit, course), "systemd", severity))
            course.began, course.span_s, course.counts, course.causes = at, min(LONGEST_S, 2 * course.span_s), {}, {}
        return found


def _words(unit: str, course: _Course) -> str:
    """``loop.service: failed 12 more times (status 1), restarted 12 more times within 9m50s``."""
    why = f" ({', '.join(course.causes)})" if course.causes else ""
    counted = ", ".join(f"{verb} {_times(count)}{why if verb == 'failed' else ''}" for verb, count in course.counts.items())
    span_s = course.last - course.first
    return f"{unit}: {counted}" + (f" within {duration(span_s)}" if span_s >= 1 else "")


def _times(count: int) -> str:
    return "once more" if count == 1 else f"{count} more times"
