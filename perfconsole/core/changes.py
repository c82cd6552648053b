"""What may have changed: the kinds of events, how they are worded, and the order in which a timeline tells of them. Pure.

An event (`tick.Event`) is a fact that somebody saw, with the time between which it must have come about; none is a cause of anything.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

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


def rank(event: Event) -> tuple[int, int]:
    """What of several is shown first, where there is room for one: the greater."""
    severity = SEVERITIES.index(event.severity) + 1 if event.severity in SEVERITIES else 0
    return max(0, severity - 1), KINDS[event.kind].rank if event.kind in KINDS else 0


def in_order(events: Iterable[Event]) -> list[Event]:
    """Oldest first, by when each was over at the latest: what was learnt late stands where it belongs."""
    return sorted(events, key=lambda event: (event.time_hi, event.time_lo))
