"""What people put on the timeline, checked: the event that a mark or a note becomes, wherever it is taken. Pure."""

from math import isnan
from typing import Final

from perfconsole.core import units
from perfconsole.core.change_requests import MarkArgs
from perfconsole.core.changes import PEOPLES
from perfconsole.core.errors import RequestError
from perfconsole.core.text import safe
from perfconsole.core.tick import Event

WORDS: Final = 500
"""Characters of a mark; a longer text is cut, and shows it."""

_AHEAD_S: Final = 60.0
"""Two clocks may differ by so much; what is ahead then counts as now."""

_OLDEST_S: Final = 30 * 86400.0


def marked(args: MarkArgs, peer: str, now: float) -> Event:
    """The event that somebody wants to have on the timeline.

    Args:
        args: What is wanted.
        peer: Who asks.
        now: Epoch seconds.

    Raises:
        RequestError: When it makes no sense.
    """
    if args.kind not in PEOPLES:
        raise RequestError(f"{safe(args.kind, 50)} is no mark", "mark or note")
    at = now if isnan(args.at) else args.at
    if not at <= now + _AHEAD_S:
        raise RequestError("a mark of what has yet to happen is refused", "say when it was, or nothing for now")
    if at < now - _OLDEST_S:
        raise RequestError("that is too long ago", f"events are kept for {units.duration(_OLDEST_S)}")
    text = safe(args.text.strip(), WORDS).strip()
    if not text and args.kind != "mark":
        raise RequestError("a note needs words", "say what was found out")
    at = min(at, now)
    return Event(at, at, args.kind, "host", text or "mark", safe(args.by or peer, 100) or "somebody")
