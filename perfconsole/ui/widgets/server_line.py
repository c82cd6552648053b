"""The line on top of the Queries screen: which server, how it does, and which of the two tables is in front."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from perfconsole.core import units
from perfconsole.core.state import State
from perfconsole.core.tables import SessionTable
from perfconsole.ui.line import Line
from perfconsole.ui.look import WORDS
from perfconsole.ui.widgets.pane import Pane
from perfconsole.ui.widgets.places import LONG_S, SEVERITIES, server_severity, waiting_text
from perfconsole.ui.widgets.sessions import blocked_count, waits_text


class Tabbed(Protocol):
    """The screen it stands on."""

    def tabs(self) -> Sequence[tuple[str, bool]]:
        """Titles of what is in front and what is not; nothing where all can be seen."""

    def known(self) -> Sequence[str]:
        """All servers that there are."""

    @property
    def server(self) -> str:
        """The server that is looked at."""


class ServerLine(Pane):
    """One line; never focused."""

    def __init__(self, screen: Tabbed) -> None:
        super().__init__()
        self._on = screen

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002  always one
        """Name and state; the tabs; then the facts, the most telling first, as many as fit."""
        server = self._on.server
        line = self.line("panel").gap()
        health = state.health.get(("postgres", server))
        if health is None:
            return [line.put("PostgreSQL", "title")]
        severity = server_severity(state, health)
        line.put(server, "title").gap()
        known = self._on.known()
        if len(known) > 1 and server in known:
            line.put(f"{known.index(server) + 1}/{len(known)}", "dim").gap()
        tabs = self._on.tabs()
        line.put(f"{self.look.glyph(severity)} {WORDS[severity]}", severity).gap(1 if tabs else 2)  # a tab brings a cell of its own
        for title, front in tabs:
            line.put(self.look.glyphs.marker if front else " ", "accent").put(title, "title" if front else "dim").gap()
        line.gap()
        if health.state in SEVERITIES:
            return [line.put(health.error if health.state != "off" else "not connected", "dim")]
        for title, text, role in self._facts(state, server):
            if line.left >= len(title) + bool(title) + len(text):
                line.put(f"{title} " if title else "", "dim").put(text, role).gap(2)
        return [line]

    def _facts(self, state: State, server: str) -> Iterator[tuple[str, str, str]]:
        table = state.table(SessionTable, server)
        blocked = state.value("postgresql.sessions.blocked", server=server)
        if table and len(table.rows) >= table.total:  # looked at every second, the number every few: both are on this screen
            blocked = float(blocked_count(table))
        if blocked > 0:
            yield "", f"{self.look.glyph('critical')} {blocked:.0f} blocked", "critical"
        waiting, longest = (state.value(f"postgresql.pool.{name}", server=server) for name in ("waiting", "max_wait"))
        if waiting >= 0:
            yield "clients waiting", waiting_text(waiting, longest), "critical" if longest >= LONG_S else "foreground"
        if table and table.waits:
            yield "time in:", waits_text(table), "foreground"
        used = state.value("postgresql.connections.utilization", server=server)
        for title, text in (
            ("active", units.count(state.value("postgresql.sessions", server=server, state="active"))),
            ("connections", units.percent(used)),
            ("tps", units.count(state.value("postgresql.transactions", server=server))),
            ("cache", units.percent(state.value("postgresql.cache.hit_ratio", server=server))),
            ("", table.notes[0] if table and table.notes else ""),
        ):
            if text and text != units.UNKNOWN:
                yield title, text, "foreground"
