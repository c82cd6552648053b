"""When a check is due: a phase of its own within its interval, the same at every start of the console, and 5 % to either side of it. Pure.

Whatever is checked is so at another moment than the rest, and never in step with something else that is periodic (a cron job's load).
"""

from typing import Final
from zlib import crc32

from perfconsole.core.checks import Check

JITTER: Final = 0.05
"""Share of the interval by which a start is moved to either side."""

_SOON: Final = 0.1
"""Share of the interval that lies between two starts at least: the first round of all comes off their phases."""


def next_start(check: Check, began: float, *, failing: bool) -> float:
    """When the next check is due.

    Args:
        check: What is checked.
        began: When the last began, in seconds of any steady clock.
        failing: Whether that failed: then the next comes `failing_s` later, because a phase could put it off by nearly twice that.
    """
    if failing:
        failing_s = min(check.failing_s, check.interval_s)
        return began + failing_s * (1 + _jitter(check.name, int(began * 1000)))
    interval_s = check.interval_s
    phase_s = _hash(check.name) * interval_s
    slot = int((began - phase_s) // interval_s)
    while True:
        slot += 1
        start = phase_s + (slot + _jitter(check.name, slot)) * interval_s
        if start > began + _SOON * interval_s:
            return start


def _jitter(name: str, number: int) -> float:
    return (2 * _hash(f"{name} {number}") - 1) * JITTER


def _hash(text: str) -> float:
    """A number from 0 to 1; the multiplication spreads what differs in its last letter only, which a CRC leaves close together."""
    return (crc32(text.encode()) * 2654435761 % 2**32) / 2**32
