"""Moments as people write them on a command line: ``-5m``, ``14:02``, RFC 3339, epoch seconds. Nothing here asks what time it is."""

import re
from datetime import datetime, timedelta
from math import isfinite
from typing import Final

from perfconsole.core.text import safe
from perfconsole.core.units import parse_duration

ACCEPTED: Final = "-5m, 14:02, 14:02:31 (today), 2026-02-01T14:02:00+01:00, or epoch seconds"

_CLOCK: Final = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d(?:\.\d+)?))?")
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
_LATEST: Final = 253402300799.0
"""The end of the year 9999: epoch milliseconds are later, and are meant to be seconds by nobody."""


def moment(text: str, now: float, *, ago: bool = False) -> float:
    """The moment that is meant, epoch seconds; without an offset it is of the local time zone.

    Args:
        text: As somebody wrote it.
        now: Epoch seconds.
        ago: Whether ``2h`` means two hours ago, as ``-2h`` does.

    Raises:
        ValueError: Says what is accepted.
    """
    words = text.strip()
    try:
        if words.startswith("-") or (ago and _is_duration(words)):
            return now - parse_duration(words.removeprefix("-"))
        if words == "now":
            return now
        if _NUMBER.fullmatch(words):
            return _within(float(words))
        found = _CLOCK.fullmatch(words)
        if found:
            return _today(now, int(found[1]), int(found[2]), float(found[3] or 0))
        return _within(datetime.fromisoformat(words).timestamp())
    except (ValueError, OverflowError, OSError) as error:
        message = f"found {safe(text, 60)!r} (accepted: {ACCEPTED})"
        raise ValueError(message) from error


def _is_duration(text: str) -> bool:
    try:
        parse_duration(text)
    except ValueError:
        return False
    return True


def _today(now: float, hour: int, minute: int, second: float) -> float:
    midnight = datetime.fromtimestamp(now).astimezone().replace(hour=hour, minute=minute, second=0, microsecond=0, tzinfo=None)
    if not second < 60:
        raise ValueError(second)
    return (midnight + timedelta(seconds=second)).timestamp()


def _within(at: float) -> float:
    if not (isfinite(at) and 0 <= at <= _LATEST):
        raise ValueError(at)
    return at
