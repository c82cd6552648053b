"""A unit that starts and stops every minute is told of in full once, and then in sums. Pure: the time is an argument."""

from typing import Final

from perfconsole.core.tick import Event
from perfconsole.core.units import duration

FIRST_S: Final = 600.0
"""What a unit does again within this is counted, and told in one line when it is over; then within twice that, up to `LONGEST_S`."""

LONGEST_S: Final = 3600.0

MOST: Final = 1000
"""Units followed at a time; beyond that the one that was first is forgotten."""

_BAD: Final = frozenset({"failed", "killed"})


class _Course:
    """What one unit did since `began`: told verbs, and counts of what was not told, from `first` to `last`."""

    __slots__ = ("began", "counts", "first", "last", "span_s", "told")

    def __init__(self, began: float) -> None:
        self.began, self.span_s = began, FIRST_S
        self.told: set[str] = set()
        self.counts: dict[str, int] = {}
        self.first = self.last = began


class Courses:
    """What units did, each verb once in full, then in sums."""

    def __init__(self) -> None:
        self._courses: dict[str, _Course] = {}

    def __len__(self) -> int:
        return len(self._courses)

    def is_new(self, unit: str, verb: str, at: float) -> bool:
        """Whether it is to be told now; otherwise it was counted.

        Args:
            unit: Its name.
            verb: ``started``, ``stopped``, ``failed``, ...
            at: When, epoch seconds.
        """
        course = self._courses.get(unit)
        if course is None:
            while len(self._courses) >= MOST:
                del self._courses[next(iter(self._courses))]
            course = self._courses[unit] = _Course(at)
        if verb not in course.told:
            course.told.add(verb)
            return True
        if not course.counts:
            course.first = at
        course.last = max(course.last, at)
        course.counts[verb] = course.counts.get(verb, 0) + 1
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
            course.began, course.span_s, course.counts = at, min(LONGEST_S, 2 * course.span_s), {}
        return found


def _words(unit: str, course: _Course) -> str:
    """``loop.service: failed 12 times, restarted 12 times more within 9m50s``."""
    counted = ", ".join(f"{verb} {_times(count)}" for verb, count in course.counts.items())
    span_s = course.last - course.first
    return f"{unit}: {counted}" + (f" within {duration(span_s)}" if span_s >= 1 else "")


def _times(count: int) -> str:
    return "once more" if count == 1 else f"{count} more times"
