"""From what journalctl writes to entries: one line of JSON each (journal-export-formats(7)), of which anything may be expected."""

from collections.abc import Iterator
from typing import Any, Final

from msgspec import MsgspecError
from msgspec.json import Decoder

from perfconsole.collectors.journal.entry import Entry
from perfconsole.collectors.journal.parts import KEPT
from perfconsole.core.text import safe

MOST_BYTES: Final = 65_536
"""Of one line: journalctl writes null for a field of more than 4 KiB, but a field may be repeated a thousand times."""

TOO_LONG: Final = "(a message too long to be read)"
"""Stands in place of a message that journalctl left out: of more than 4 KiB."""

_NAME: Final = 256
"""Characters kept of a name; systemd's own are no longer (systemd.unit(5))."""

_FURTHER: Final = 8
"""Of a message that is given several times, so many are read."""

_NUMBER: Final = 16
"""Digits of a time in microseconds; a process or user has fewer."""

_decode: Final = Decoder(dict[str, Any]).decode


class Splitter:
    """Cuts what comes from a pipe into lines.

    Attributes:
        oversized: Lines so far that were longer than `MOST_BYTES` and thrown away unread.
    """

    __slots__ = ("_rest", "_skipping", "oversized")

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False
        self.oversized = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that are complete now."""
        *complete, rest = data.split(b"\n")
        for line in complete:
            whole, self._rest = (self._rest + line if self._rest else line), b""
            if self._skipping:
                self._skipping = False
            elif len(whole) > MOST_BYTES:
                self.oversized += 1
            elif whole:
                yield whole
        if self._skipping or len(self._rest) + len(rest) > MOST_BYTES:
            self.oversized += not self._skipping
            self._skipping, self._rest = True, b""
        else:
            self._rest += rest


def entry_of(line: bytes) -> Entry | None:
    """The entry that a line is; None for what is no entry: garbage, or one that says neither when it came nor where it stands."""
    try:
        fields = _decode(line)
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    at, cursor = _number(fields.get("__REALTIME_TIMESTAMP")), _text(fields.get("__CURSOR"))
    if at < 0 or not cursor:
        return None
    priority = _number(fields.get("PRIORITY"))
    return Entry(
        at / 1e6,
        cursor,
        _message(fields),
        priority if 0 <= priority <= 7 else 6,
        _text(fields.get("SYSLOG_IDENTIFIER")),
        _text(fields.get("_COMM")),
        _text(fields.get("_EXE"), 4096),
        _number(fields.get("_UID")),
        _number(fields.get("_PID")),
        _text(fields.get("_SYSTEMD_UNIT")),
        _text(fields.get("_TRANSPORT")),
        {name: _text(fields[name]) for name in KEPT if name in fields},
    )


def _message(fields: dict[str, Any]) -> str:
    value = fields.get("MESSAGE", "")
    if value is None:
        return TOO_LONG
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return safe(" ".join(_raw(part) for part in value[:_FURTHER]))
    return safe(_raw(value))


def _text(value: object, limit: int = _NAME) -> str:
    return safe(_raw(value), limit)


def _raw(value: object) -> str:
    """What a field says: text; numbers are the bytes of one that is not; of one given several times, the first."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        return ""
    if isinstance(value[0], int):
        try:
            return bytes(value).decode("utf-8", "replace")
        except (ValueError, TypeError):
            return ""
    first = value[0]
    return _raw(first) if isinstance(first, str) or (isinstance(first, list) and first and isinstance(first[0], int)) else ""


def _number(value: object) -> int:
    text = _raw(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _NUMBER else -1
