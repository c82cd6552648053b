"""What changed, as screens tell it: when, what of it where there is room for little, and what a step through it leads to. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from math import inf, isnan
from time import localtime, strftime
from typing import Final, NamedTuple

from perfconsole.core import units
from perfconsole.core.changes import KINDS, PEOPLES, in_order, rank
from perfconsole.core.endpoints import identity
from perfconsole.core.tables import Key
from perfconsole.core.tick import Event
from perfconsole.ui.look import Look
from perfconsole.ui.markdown import moment, plain

RECENT_S: Final = 7200.0
"""How far Operations looks back."""

WINDOWS: Final = (RECENT_S, 21_600.0, 86_400.0, inf)
"""How far the list of all looks back."""

MOST: Final = 5000
"""Events that a console holds of what it was told and what it asked for: 3 MiB."""

AFTER_S: Final = 1.0
"""A moment is gone to so long after an event: it is told with the next beat, and what it brought about is known then."""

_VAGUE_S: Final = 60.0
"""What is known to the minute is told as a moment, what is known less well as an interval."""

ALERT: Final = "alert"
_TOLD: Final = frozenset({"warning", "critical"})


class Change(NamedTuple):
    """An event with its identity, as a line of a list."""

    event: Event
    key: Key


def change(event: Event) -> Change:
    """The line of an event."""
    return Change(event, identity(f"{event.time_lo} {event.time_hi} {event.kind} {event.scope} {event.text} {event.source}"))


class Timeline:
    """All that was learnt of what changed, whichever moment it was learnt at; the oldest is let go past `MOST`.

    Attributes:
        changes: Oldest first.
    """

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self._known: dict[Event, Change] = {}

    def reaches(self, events: Sequence[Event]) -> bool:
        """Whether nothing can lie between what is known and these, the oldest of which comes first: it is known, or nothing is yet."""
        return not self.changes or not events or events[0] in self._known

    def learn(self, events: Iterable[Event]) -> bool:
        """Learn of events.

        Returns:
            Whether one of them is new.
        """
        fresh = {event: change(event) for event in events if event not in self._known}
        if fresh:
            every = in_order([*self._known, *fresh])[-MOST:]
            both = self._known | fresh
            self.changes = [both[event] for event in every]
            self._known = {one.event: one for one in self.changes}
        return bool(fresh)


# What is shown ---------------------------------------------------------------------------------------------------------------------


def recent(events: Iterable[Event], now: float, window_s: float = RECENT_S) -> list[Event]:
    """Those of the last seconds, newest first; each once."""
    found = dict.fromkeys(event for event in events if event.time_hi > now - window_s)
    return in_order(found)[::-1]


def telling(events: Sequence[Event], most: int) -> list[Event]:
    """The most telling of them, by severity and rank, of equals the newest; in the order given, which is newest first.

    Alerts come last, for they have a list of their own. Of several lines one, and of many a third, is for what people said last, however
    much else there is: who sets a mark looks for it, and a deploy explains more than any one thing that came of it.
    """
    if len(events) <= most:
        return list(events)
    best = sorted(events, key=lambda event: (event.kind != ALERT, *rank(event)), reverse=True)[: max(0, most)]
    said = [event for event in events if event.kind in PEOPLES][: max(1, most // 3) if most > 1 else 0]
    others = [event for event in best if event not in said]
    best = [*said, *others[: max(0, most) - len(said)]]
    kept = {id(event) for event in best}
    return [event for event in events if id(event) in kept]


def notable(event: Event) -> bool:
    """Whether a step through time stops at it: alerts, marks and notes, and what is worth a warning."""
    return event.kind == ALERT or event.kind in PEOPLES or event.severity in _TOLD


def title(event: Event) -> str:
    """The word that stands before its words."""
    return KINDS[event.kind].title if event.kind in KINDS else event.kind


def sign(look: Look, event: Event) -> tuple[str, str]:
    """Its glyph and the role of that; neither of what is neither good nor bad. What people say is marked as theirs."""
    if event.kind in PEOPLES:
        return look.glyphs.mark, "accent"
    return (look.glyph(event.severity), f"{event.severity}_bar") if event.severity else (" ", "dim")


def when(event: Event, now: float) -> str:
    """``14:02``; ``14:02-05`` where it is not known to the minute; with the day where that is not today: ``03 Mar 14:02``."""
    lo, hi = localtime(event.time_lo), localtime(event.time_hi)
    today = localtime(now)[:3] if not isnan(now) else hi[:3]
    vague = event.time_hi - event.time_lo >= _VAGUE_S
    day = strftime("%d %b ", lo if vague else hi) if (lo if vague else hi)[:3] != today else ""
    if not vague:
        return day + strftime("%H:%M", hi)
    end = strftime("%M", hi) if lo[:4] == hi[:4] else strftime("%H:%M", hi)
    other = strftime("%d %b ", hi) if lo[:3] != hi[:3] and hi[:3] != today else ""
    return f"{day}{strftime('%H:%M', lo)}-{other}{end}"


def moments(event: Event, now: float) -> str:
    """``14:02:11``, ``between 14:02:11 and 14:05:40 (3m29s)``; with the day where that is not today."""
    at = strftime(_format(event.time_hi, now), localtime(event.time_hi))
    if event.time_hi - event.time_lo < 1:
        return at
    since = strftime(_format(event.time_lo, now), localtime(event.time_lo))
    return f"between {since} and {at} ({units.duration(event.time_hi - event.time_lo)})"


def _format(at: float, now: float) -> str:
    same = isnan(now) or localtime(at)[:3] == localtime(now)[:3]
    return "%H:%M:%S" if same else "%a %d %b %H:%M:%S"


def said(event: Event, now: float) -> str:
    """``14:02:11 mark deploy 1.4.2``."""
    return f"{strftime(_format(event.time_hi, now), localtime(event.time_hi))} {title(event)} {event.text}".rstrip()


def window_text(window_s: float) -> str:
    """``2h``; ``all`` of one without an end."""
    return "all" if window_s == inf else f"{window_s / 3600:.0f}h"


def markdown(event: Event) -> str:
    """A line of a list in Markdown."""
    at = moment(event.time_hi)
    if event.time_hi - event.time_lo >= 1:
        at = f"between {moment(event.time_lo)} and {at}"
    who = ", ".join(filter(None, (event.scope, event.source)))
    severity = f"{event.severity} " if event.severity else ""
    return f"- {at}: {severity}**{plain(title(event))}** {plain(event.text)}" + (f" ({plain(who)})" if who else "")


# Filter ----------------------------------------------------------------------------------------------------------------------------


def matches(event: Event, match: str) -> bool:
    """Whether every word is found; ``kind:login`` in that field alone."""
    fields = {
        "kind": f"{event.kind} {title(event)}", "severity": event.severity, "scope": event.scope, "source": event.source,
        "text": event.text,
    }  # fmt: skip
    fields = {name: text.lower() for name, text in fields.items()}
    every = " ".join(fields.values())
    for word in match.lower().split():
        name, colon, text = word.partition(":")
        if word not in every if not colon or name not in fields else text not in fields[name]:
            return False
    return True


# Steps -----------------------------------------------------------------------------------------------------------------------------


def stepped(events: Sequence[Event], now: float, standing: Event | None, steps: int) -> int | None:
    """Which event a step leads to.

    Args:
        events: Oldest first.
        now: The moment that is looked at, epoch seconds.
        standing: The one that the last step led to, while that moment is still looked at: several may be of one instant.
        steps: 1 on, -1 back.

    Returns:
        Its place among them; None where there is none in that direction.
    """
    if standing in events:
        at = events.index(standing) + steps
    else:
        # Of the moment itself as well: what came about in the second before has just been told.
        at = bisect_right(events, now, key=lambda event: event.time_hi) + (0 if steps > 0 else -1)
    return at if 0 <= at < len(events) else None
