"""What can be asked about what changed, and added to it: arguments and results of those operations (see `perfconsole.core.requests`)."""

from math import nan
from typing import Final

from msgspec import Struct

from perfconsole.core.tick import Event

NOT_KEPT: Final = "it is not kept: nobody knows of it once this console has ended"
"""Stands in what is answered to a mark where there is nothing to keep it in."""


class MarkArgs(Struct, frozen=True, array_like=True):
    """Put something on the timeline.

    Attributes:
        text: What happened, in words; may be empty for a mark.
        kind: ``mark`` (something was done) or ``note`` (something was found out).
        by: Who says so; empty for whoever asks.
        at: When it happened, epoch seconds; NaN is now.
    """

    text: str
    kind: str = "mark"
    by: str = ""
    at: float = nan


class EventsArgs(Struct, frozen=True, array_like=True):
    """The newest events from `since` to `until` (epoch seconds), at most `limit`; of these `kinds`, of all where there are none."""

    since: float
    until: float
    limit: int = 1000
    kinds: tuple[str, ...] = ()


class EventList(Struct, frozen=True, array_like=True):
    """Events, oldest first; `more` says that there are older ones within the time asked for."""

    events: list[Event]
    more: bool = False


class UnitArgs(Struct, frozen=True, array_like=True):
    """A unit, by the name and path of its row."""

    name: str
    path: str = ""


class LogLine(Struct, frozen=True, array_like=True):
    """A line of a log: when (epoch seconds), how urgent (syslog's 0 to 7), who, and what it says."""

    at: float
    priority: int
    who: str
    text: str


class UnitDetail(Struct, frozen=True, array_like=True):
    """What is read of one unit on demand.

    Attributes:
        facts: Name and text: state, result, main process, limits, where it is defined.
        lines: Its newest lines in the journal, oldest first, at most twenty.
        denied: What could not be read, and why, with the fix.
    """

    facts: list[tuple[str, str]]
    lines: list[LogLine]
    denied: list[str]
