"""What changed, as a table for people and as the JSON object ``perfconsole.events/1``. Pure: events in, plain values or lines out.

What is printed is made safe once more: it may have been written down by another program than the one that reads it.
"""

from datetime import datetime
from math import isfinite
from typing import Any, Final

from msgspec.structs import replace

from perfconsole.core.change_requests import EventList, EventsArgs
from perfconsole.core.changes import KINDS
from perfconsole.core.text import safe
from perfconsole.core.tick import SEVERITIES, Event
from perfconsole.outputs.paper import WORDS, Paper
from perfconsole.outputs.snapshot import heading, rfc3339

SCHEMA: Final = "perfconsole.events/1"

EXACT_S: Final = 2.0
"""Of an event whose times are no further apart, one is told."""

_TO_THE_MINUTE_S: Final = 120.0
_SCOPE: Final = 30
_UNKNOWN: Final = "?"


def in_json(found: EventList, at: float, host: str) -> dict[str, Any]:
    """Oldest first; ``more`` says that there are older ones within the time asked for."""
    return {
        **heading(SCHEMA, at, safe(host)),
        "events": [
            {
                "time_lo": _stamp(event.time_lo), "time_hi": _stamp(event.time_hi), "kind": event.kind, "scope": event.scope,
                "text": event.text, "source": event.source, "severity": event.severity or None,
            }
            for event in map(_safe, found.events)
        ],
        "more": found.more,
    }  # fmt: skip


def text(found: EventList, wanted: EventsArgs, now: float, paper: Paper) -> str:
    """A line an event, newest last: when, what kind, how bad, what it is about, what happened, who says so.

    Args:
        found: The events.
        wanted: What was asked for.
        now: Epoch seconds: of today the date is left out.
        paper: What it is printed on.
    """
    if not found.events:
        return paper.printable(f"{_nothing(wanted, now)}\n")
    rows = [_row(_safe(event), now) for event in found.events]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False) if width]
        lines.append("  ".join([*cells, *row[4:]]))
    if found.more:
        lines.insert(0, f"... older ones are left out: --limit is {len(found.events)}")
    return "".join(f"{paper.printable(line)}\n" for line in lines)


def _nothing(wanted: EventsArgs, now: float) -> str:
    """``nothing of kind login was seen between 14:02:00 and 14:30:00``: no more than was looked for."""
    since, until = (when(at, at, now) for at in (wanted.since, wanted.until))
    span = f"between {since} and {until}" if isfinite(wanted.until) else f"since {since}"
    if wanted.kinds:
        return f"nothing of kind {' or '.join(wanted.kinds)} was seen {span}"
    return f"nothing changed {span} that was seen"


def _row(event: Event, now: float) -> tuple[str, ...]:
    kind = KINDS[event.kind].title if event.kind in KINDS else event.kind[:12]
    word = WORDS[event.severity] if event.severity in SEVERITIES and event.severity != SEVERITIES[0] else ""
    scope = event.scope if len(event.scope) <= _SCOPE else event.scope[: _SCOPE - 1] + "…"
    return when(event.time_lo, event.time_hi, now), kind, word, scope, event.text, f"[{event.source}]"


def _safe(event: Event) -> Event:
    return replace(event, kind=safe(event.kind, 40), scope=safe(event.scope), text=safe(event.text), source=safe(event.source, 200))


def when(lo: float, hi: float, now: float) -> str:
    """``14:02:31``, ``14:02-14:05`` where it is known no better, with the date where that is not today's; local time."""
    first, last, today = _local(lo), _local(hi), _local(now)
    if last is None:
        return _UNKNOWN
    if first is None or hi - lo <= EXACT_S:
        return _date(last, today) + last.strftime("%H:%M:%S")
    form = "%H:%M" if hi - lo >= _TO_THE_MINUTE_S else "%H:%M:%S"
    end = ("" if last.date() == first.date() else _date(last, today)) + last.strftime(form)
    return f"{_date(first, today)}{first.strftime(form)}-{end}"


def _stamp(at: float) -> str | None:
    """As `rfc3339`; None for what is no moment, too: a damaged file may say anything."""
    return rfc3339(at) if _local(at) else None


def _date(moment: datetime, today: datetime | None) -> str:
    if today is None or moment.year != today.year:
        return moment.strftime("%Y-%m-%d ")
    return "" if moment.date() == today.date() else moment.strftime("%m-%d ")


def _local(at: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(at).astimezone() if isfinite(at) else None
    except (ValueError, OverflowError, OSError):
        return None
