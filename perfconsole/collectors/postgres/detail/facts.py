"""How a section of facts comes about: questions that stand alone, lines in words, and the statement that would mend what is wrong.

Nothing here changes a server: a fix is a text to copy. Those who write sections ask through an `Inquiry`, and put what they learn on a
`Page`.
"""

import time
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any, Final

from perfconsole.collectors.postgres.connection import Server, raw
from perfconsole.collectors.postgres.faults import ServerError
from perfconsole.core.requests import Fact, FactSection
from perfconsole.core.text import safe
from perfconsole.core.units import duration

Row = Mapping[str, Any]

_BUDGET_S: Final = 14.0
"""For all questions of a request, which has 20 s: with a server that lets each run into its limit, the last ones are not asked."""

_NAME: Final = 200
_NO_RIGHT: Final = "42501"
RESTART: Final = "restart the server"
RELOAD: Final = "SELECT pg_reload_conf()"

NAMED: Final = raw("quote_ident(n.nspname) || '.' || quote_ident(c.relname)")
"""SQL for the whole name of a relation `c` in a schema `n`, ready to be put into a statement. Unlike a cast to regclass, which waits for
whoever holds the relation, it takes no lock."""


class Inquiry:
    """Questions to one server for one request: the time they may take together, and what is known of the server.

    Args:
        server: Whom to ask; connected.
        budget_s: For all questions.
    """

    def __init__(self, server: Server, budget_s: float = _BUDGET_S) -> None:
        self.server = server
        self._ends = time.monotonic() + budget_s

    async def fetch(self, sql: str, *args: Any) -> Sequence[Row]:
        """One question.

        Raises:
            ServerError: When it failed, or there is no time left for it.
        """
        if time.monotonic() > self._ends:
            raise ServerError("not asked: the server was too slow with what was asked before", "read again")
        return await self.server.fetch(sql, *args)


class Page:
    """A section in the making.

    Args:
        inquiry: Where its questions go.
        title: Its title.
    """

    def __init__(self, inquiry: Inquiry, title: str) -> None:
        self.server = inquiry.server
        self._inquiry = inquiry
        self._title = title
        self._facts: list[Fact] = []
        self._notes: list[str] = []

    async def ask(self, about: str, sql: str, *args: Any) -> Sequence[Row]:
        """One question; one that fails becomes a line that says why, with what mends it, and has no rows.

        Args:
            about: What it is about, in few words.
            sql: One statement.
            args: Its parameters.
        """
        try:
            return await self._inquiry.fetch(sql, *args)
        except ServerError as error:
            self.unknown(about, error)
            return ()

    async def try_to(self, sql: str, *args: Any) -> Sequence[Row] | None:
        """A question whose failure says nothing, because there is another way; None where it failed."""
        try:
            return await self._inquiry.fetch(sql, *args)
        except ServerError:
            return None

    def unknown(self, about: str, error: ServerError) -> None:
        """A line for what could not be read."""
        self.put(about, f"unknown: {error.message}", error.fix, "unknown")

    def denied(self, about: str, text: str) -> None:
        """A line for what this role may not see."""
        self.put(about, text, grant(self.server.user), "unknown")

    def put(self, name: str, text: str, fix: str = "", severity: str = "", note: str = "") -> None:
        """A line, in words that are safe already; what would mend it stands in `fix`, what to know before that in `note`."""
        self._facts.append(Fact(name, text, fix, severity, note))

    def note(self, text: str) -> None:
        """A sentence on how the section is to be read."""
        self._notes.append(text)

    @property
    def empty(self) -> bool:
        """Whether there is no line yet."""
        return not self._facts

    def section(self) -> FactSection:
        """What was put on it."""
        return FactSection(self._title, self._facts, "; ".join(self._notes))


def grant(user: str) -> str:
    """The right that shows everything this project reads."""
    return f'GRANT pg_monitor TO "{user}"'


def setting(name: str, value: str, *, restart: bool = False) -> str:
    """The statements that change a setting; a managed server has its own place for it, and the same name."""
    return f"ALTER SYSTEM SET {name} = {value}; {'-- then ' + RESTART if restart else RELOAD}"


def name_of(value: bytes | str) -> str:
    """A name as it is shown."""
    return safe(value, _NAME)


def text_of(value: bytes | str) -> str:
    """A name as it is, not made safe: for a statement, which `statement` refuses to write where that makes a difference."""
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def statement(template: str, *names: bytes | str) -> str:
    r"""A statement with names in it, quoted already; empty where one of them cannot be written in one safe line.

    ``"a\nb"`` is shown as ``"a b"``, which may be another index: a statement with it would be about that one.
    """
    texts = [text_of(name) for name in names]
    if any(safe(text) != text or "\ufffd" in text for text in texts):
        return ""
    return template.format(*texts)


def quoted(name: str) -> str:
    """A name as an SQL identifier; for showing, never for asking."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal; likewise."""
    doubled = text.replace("'", "''")
    return "E'" + doubled.replace("\\", "\\\\") + "'" if "\\" in text else f"'{doubled}'"


def shell_word(text: str) -> str:
    """A text as one word of a shell command; likewise."""
    return text if text.isidentifier() else "'" + text.replace("'", "'\\''") + "'"


def ago(seconds: float | None) -> str:
    """``2h05m ago``; ``never`` where there is nothing."""
    if seconds is None or isnan(seconds):
        return "never"
    return f"{duration(max(0.0, seconds))} ago"


def joined(*parts: str) -> str:
    """What there is of several texts."""
    return "  ".join(part for part in parts if part)
