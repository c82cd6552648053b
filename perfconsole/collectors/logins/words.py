"""How logins are worded and shown: rows and sentences of what was counted, with addresses masked where that is wished. Pure."""

import socket
from collections.abc import Callable, Sequence
from math import isnan
from typing import Final

from msgspec.structs import replace

from perfconsole.collectors.journal.entry import Entry
from perfconsole.collectors.logins import lines
from perfconsole.collectors.logins.floods import MANY, Beginning, End
from perfconsole.collectors.logins.sources import Source
from perfconsole.core.login_rows import LoginRow
from perfconsole.core.text import safe
from perfconsole.core.tick import Event

Mask = Callable[[str], str]

_NAMES: Final = 5


def plain(source: str) -> str:
    """An address as it is usually written: an IPv4 one that came through an IPv6 socket without what stands before it."""
    return source[7:] if source[:7].lower() == "::ffff:" and "." in source else source


def mask(source: str) -> str:
    """The network of an address (/24, /64), the domain of a host name; what is neither (a user, a terminal) as it is."""
    text = plain(source)
    try:
        return socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, text)[:3] + b"\0") + "/24"
    except (OSError, ValueError):
        pass
    try:
        return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, text.partition("%")[0])[:8] + bytes(8)) + "/64"
    except (OSError, ValueError):
        pass
    labels = text.rstrip(".").split(".")
    return f"*.{'.'.join(labels[-2:])}" if len(labels) > 2 else text


def describe(attempt: lines.Attempt, mask_source: Mask) -> str:
    """What somebody did who got in, or ran something, or was refused."""
    user, source = attempt.user or "?", attempt.source
    if attempt.outcome == lines.REFUSED:
        return f"{source} tried to run {attempt.detail or 'something'} as {user}, which sudo does not allow"
    if attempt.outcome == lines.RAN:
        return f"{source} ran {attempt.detail or 'something'} as {user} (sudo)"
    if attempt.service == "su":
        return f"{source} became {user} (su)"
    if attempt.service == "login":
        return f"{user} logged in at {source}"
    return f"{user} logged in from {mask_source(source)}" + (f" ({attempt.detail})" if attempt.detail else "")


def row(source: Source, mask_source: Mask) -> LoginRow:
    """The row of a source."""
    counts = source.names
    names = sorted(counts, key=lambda name: (-counts[name], name))
    more = max(0, len(names) - _NAMES) + source.others
    shown = source.name if source.service in {"sudo", "su", "login"} else mask_source(source.name)
    return LoginRow(
        source.service, shown, tuple(names[:_NAMES]), more, source.failed, source.succeeded, source.first, source.last, source.breached
    )


def distinct(rows: Sequence[LoginRow]) -> list[LoginRow]:
    """The rows with those made one that look the same once they are masked."""
    kept: dict[tuple[str, str], LoginRow] = {}
    for new in rows:
        old = kept.get((new.service, new.source))
        kept[new.service, new.source] = new if old is None else _joined(old, new)
    return list(kept.values())


def _joined(old: LoginRow, new: LoginRow) -> LoginRow:
    names = tuple(dict.fromkeys((*old.users, *new.users)))
    return replace(
        old, users=names[:_NAMES], more=max(old.more, new.more) + max(0, len(names) - _NAMES), failed=old.failed + new.failed,
        succeeded=old.succeeded + new.succeeded, first=min(old.first, new.first), last=max(old.last, new.last),
        breached=old.breached or new.breached,
    )  # fmt: skip


def flooded(service: str, news: Beginning, log: str) -> Event:
    """A flood of failures began."""
    usual = "what is usual is not known yet" if isnan(news.usual) else f"usually {news.usual:.0f}"
    text = f"{news.failures:,} failed logins at {service} within a minute, {usual}"
    return Event(news.at, news.at, "login", "host", text, log, "warning" if news.failures >= MANY else "info")


def ended(service: str, news: End, log: str, mask_source: Mask) -> Event:
    """A flood of failures is over."""
    name, most = news.top
    sources = "one source" if news.sources == 1 else f"{news.sources} sources"
    text = f"failed logins at {service} are as usual again: {news.failures:,} in {span(news.at - news.since)} from {sources}"
    return Event(news.at, news.at, "login", "host", f"{text}, {most:,} of them from {mask_source(name)}", log)


def span(seconds: float) -> str:
    """A time in words, as coarse as it is long."""
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"


def times(count: int) -> str:
    """``once`` more, or so many times."""
    return "once more" if count == 1 else f"{count:,} times more"


class Forgery:
    """Lines that claimed to be another program's: how many, and whose they were.

    Attributes:
        fresh: Whether there are some that nobody has been told of.
    """

    def __init__(self) -> None:
        self.fresh = False
        self._count = 0
        self._last: tuple[float, str, str] = (0.0, "", "")
        self._first = 0.0

    def add(self, entry: Entry) -> None:
        """One more."""
        self._first = self._first if self.fresh else entry.at
        self.fresh = True
        self._count += 1
        self._last = entry.at, safe(entry.identifier, 32), f"uid {entry.uid} ({safe(entry.comm, 32) or 'its process has ended'})"

    def told(self) -> Event:
        """What is to be said of those that nobody was told of."""
        self.fresh = False
        at, identifier, who = self._last
        return Event(self._first, at, "login", "host", f"somebody logs as {identifier}: {who}; it is not believed", "journal", "warning")

    def notes(self) -> list[str]:
        """What stands beside the table."""
        if not self._count:
            return []
        lines_ = "1 line" if self._count == 1 else f"{self._count:,} lines"
        return [f"{lines_} not believed: not written by the program they name, last as {self._last[1]} by {self._last[2]}"]
