"""What may have changed: the kinds of events, how they are worded, and the order in which a timeline tells of them. Pure.

An event (`tick.Event`) is a fact that somebody saw, with the time between which it must have come about; none is a cause of anything.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from perfconsole.core.change_requests import EventList, EventsArgs
from perfconsole.core.tick import SEVERITIES, Event


class Kind(NamedTuple):
    """A kind of event.

    Attributes:
        title: What stands before its words, in one short word.
        rank: What is shown first where not all fits: the higher, the sooner; severity comes before it.
    """

    title: str
    rank: int = 1


KINDS: Final = {
    "mark": Kind("mark", 9),
    "note": Kind("note", 8),
    "alert": Kind("alert", 7),
    "oom": Kind("oom", 7),
    "boot": Kind("boot", 7),
    "kernel": Kind("kernel", 6),
    "unit": Kind("unit", 5),
    "process": Kind("process", 5),
    "package": Kind("package", 5),
    "file": Kind("file", 5),
    "postgres": Kind("postgres", 5),
    "schema": Kind("schema", 5),
    "endpoint": Kind("endpoint", 5),
    "certificate": Kind("cert", 5),
    "mount": Kind("mount", 4),
    "link": Kind("link", 4),
    "array": Kind("array", 4),
    "account": Kind("account", 4),
    "executable": Kind("exec", 3),
    "listener": Kind("listen", 3),
    "login": Kind("login", 2),
    "sudo": Kind("sudo", 2),
    "clock": Kind("clock", 4),
    "suspend": Kind("suspend", 4),
    "timer": Kind("timer", 1),
    "checker": Kind("checker", 1),
}
"""By `Event.kind`. Whoever makes an event of another kind adds it here: a test holds this table and the rooms together.

``mark`` and ``note`` are people's; ``alert`` a transition; ``oom`` a process killed because memory ran out, ``kernel`` another line of the
kernel log; ``unit`` a unit of systemd that was started, stopped, failed; ``process`` a main process or its executable replaced; ``file`` a
watched configuration file; ``link`` an interface's carrier, speed or duplex; ``array`` an md array; ``executable`` one that runs from where
none should; ``checker`` the checker of endpoints itself.
"""

SECURITY: Final = frozenset({"login", "sudo", "account", "executable", "listener"})
"""Observations about access; they say that something was seen, not that somebody broke in."""

PEOPLES: Final = frozenset({"mark", "note"})

SAME_S: Final = 2.0
"""What is told again (a log read anew, the kernel's ring buffer after a start) has times that differ by no more than this."""

KNOWN: Final = 4000
"""Events that are remembered to tell what was told already: eight times what a state holds."""


class Known:
    """What was told already; bounded, the oldest is forgotten first.

    Args:
        bound: Events remembered.
    """

    def __init__(self, bound: int = KNOWN) -> None:
        self._bound = bound
        self._times: dict[tuple[str, str, str, str], deque[tuple[float, float]]] = {}
        self._order: deque[tuple[str, str, str, str]] = deque()

    def knows(self, event: Event) -> bool:
        """Whether it is one of them: of the same kind, about the same, in the same words, from the same source, at the same time."""
        times = self._times.get(identity(event), ())
        return any(_at_once(event, lo, hi) for lo, hi in times)

    def take(self, event: Event) -> bool:
        """Remember it; whether it is news."""
        if self.knows(event):
            return False
        name = identity(event)
        self._times.setdefault(name, deque()).append((event.time_lo, event.time_hi))
        self._order.append(name)
        if len(self._order) > self._bound:
            oldest = self._order.popleft()
            self._times[oldest].popleft()
            if not self._times[oldest]:
                del self._times[oldest]
        return True


def _at_once(event: Event, low: float, high: float) -> bool:
    """Whether two accounts of when something was may be of the same thing: close together, or one within the other.

    What was read as it came has its moment, and out of the kernel's buffer after a restart an interval around it. Two looks that follow
    each other have intervals that meet, and each may have seen something.
    """
    near = abs(event.time_hi - high) <= SAME_S and abs(event.time_lo - low) <= SAME_S
    return near or (event.time_lo < high and low < event.time_hi)


def identity(event: Event) -> tuple[str, str, str, str]:
    """What two events have in common that are one, but for their times."""
    return event.kind, event.scope, event.text, event.source


def rank(event: Event) -> tuple[int, int]:
    """What of several is shown first, where there is room for one: the greater."""
    severity = SEVERITIES.index(event.severity) + 1 if event.severity in SEVERITIES else 0
    return max(0, severity - 1), KINDS[event.kind].rank if event.kind in KINDS else 0


def in_order(events: Iterable[Event]) -> list[Event]:
    """Oldest first, by when each was over at the latest: what was learnt late stands where it belongs."""
    return sorted(events, key=lambda event: (event.time_hi, event.time_lo))


def meant(event: Event, wanted: EventsArgs) -> bool:
    """Whether an event is asked for."""
    return event.time_hi >= wanted.since and event.time_lo <= wanted.until and (not wanted.kinds or event.kind in wanted.kinds)


def listed(events: Iterable[Event], wanted: EventsArgs) -> EventList:
    """Those that are asked for in the order of time, each once, and of too many the newest."""
    found = [event for event in events if meant(event, wanted)]
    known = Known(len(found) + 1)
    ordered = in_order(event for event in found if known.take(event))
    return EventList(ordered[max(0, len(ordered) - wanted.limit) :], more=len(ordered) > wanted.limit)
