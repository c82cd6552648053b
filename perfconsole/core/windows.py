"""Maintenance windows: whether a moment lies in one, and until when that is so. Pure: the moment is an argument.

A window is told in local time, which some zones repeat and skip once a year. Where a limit of a window stands in such an hour, the earlier
reading begins it and the later ends it: an hour too much is excused once a year, and nobody is called for work that was announced.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from math import inf
from typing import Final

from perfconsole.core.checks import DAYS, Window

_AHEAD: Final = 8
"""Days within which a weekly window begins again."""


@lru_cache(maxsize=64)  # a thousand endpoints have the same window, and ask at the same moment: 40 us each
def until(windows: tuple[Window, ...], at: float) -> tuple[bool, float]:
    """Whether a moment lies in any of these windows, and for how long that is certain (epoch seconds; infinity: for good).

    The beginning of a window lies in it, its end does not.
    """
    inside, certain = False, inf
    for window in windows:
        for begin, end in _spells(window, at):
            if begin <= at < end:
                inside, certain = True, min(certain, end)
            elif at < begin:
                certain = min(certain, begin)
    return inside, certain


def _spells(window: Window, at: float) -> Iterator[tuple[float, float]]:
    """Begin and end of the occurrences of a window that have not passed and begin within a week."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415  most have no windows, and reading zones takes 3 ms

    zone = ZoneInfo(window.zone)
    if window.days:
        yield from _weekly(window, zone, at)
    else:
        yield _span(datetime.fromisoformat(window.begin), datetime.fromisoformat(window.end), zone)


def _weekly(window: Window, zone: tzinfo, at: float) -> Iterator[tuple[float, float]]:
    opens, closes = time.fromisoformat(window.begin), time.fromisoformat(window.end)
    over = timedelta(days=1 if closes <= opens else 0)
    days = {DAYS.index(day) for day in window.days}
    yesterday: date = datetime.fromtimestamp(at, zone).date() - timedelta(days=1)
    for ahead in range(_AHEAD + 1):
        day = yesterday + timedelta(days=ahead)
        if day.weekday() in days:
            yield _span(datetime.combine(day, opens), datetime.combine(day + over, closes), zone)


def _span(begin: datetime, end: datetime, zone: tzinfo) -> tuple[float, float]:
    return min(_readings(begin, zone)), max(_readings(end, zone))


def _readings(moment: datetime, zone: tzinfo) -> tuple[float, float]:
    """Both readings of a local time; they differ only in the hour that is repeated or skipped (PEP 495)."""
    if moment.tzinfo is not None:
        return moment.timestamp(), moment.timestamp()
    local = moment.replace(tzinfo=zone)
    return local.timestamp(), local.replace(fold=1).timestamp()
