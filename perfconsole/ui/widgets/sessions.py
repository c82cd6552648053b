"""The sessions of a PostgreSQL server: who is blocked by whom, who holds a transaction open, who works."""

from collections.abc import Iterator, Sequence
from math import inf, isnan, nan
from typing import Any, Final

from perfconsole.core import units
from perfconsole.core.state import State
from perfconsole.core.tables import SessionRow, SessionTable, Table, View
from perfconsole.ui.arrange import Item
from perfconsole.ui.columns import Column, by_pane, fitting
from perfconsole.ui.look import Glyphs
from perfconsole.ui.widgets.places import long_ago, pooler, trouble
from perfconsole.ui.widgets.table import TablePane

_LONG_S: Final = 60.0
"""A transaction that idles, or is the oldest of all, for longer than this stands out."""

_HELD: Final = 300
"""Sessions kept where not all are sent: with 1,000 of them every second would be 300 kB."""

_LEAST_QUERY: Final = 30

_BRIEF_S: Final = 10.0
"""Sessions that began what they do, or ended it, less long ago stand still: a pool's look busy and idle by turns, every second."""


def state_text(row: SessionRow) -> str:
    """Its state in twelve cells; one that waits for another session does not look as busy as it says."""
    return "blocked" if row.blocked_by else row.state.replace("idle in transaction", "idle in xact")


COLUMNS: Final = (
    Column("pid", "PID", "pid", 7, 0, lambda row: "2PC" if row.prepared else str(row.pid)),
    Column("state", "STATE", "state", 12, 0, state_text, right=False),
    Column("for", "FOR", "state_change", 6, 0, by_pane),
    Column("xact", "XACT", "xact_start", 7, 1, by_pane),
    Column("wait", "WAITS FOR", "wait", 16, 2, lambda row: row.wait, right=False),
    Column("blocks", "BLOCKS", "blocks", 6, 1, by_pane),
    Column("application", "APPLICATION", "application", 14, 5, lambda row: row.application, right=False),
    Column("user", "USER", "user", 10, 7, lambda row: row.user, right=False),
    Column("database", "DATABASE", "database", 12, 8, lambda row: row.database, right=False),
    Column("client", "CLIENT", "client", 15, 9, lambda row: row.client, right=False),
    Column("query", "QUERY", "query", 0, 0, by_pane, right=False),
)


def arranged(rows: Sequence[SessionRow], glyphs: Glyphs, now: float = nan) -> list[Item]:
    """What needs somebody first.

    Blocking trees, the widest on top, each root before those that wait for it; then transactions that idle, the longest first; then what
    works; then a busy pool, by pid; then the rest.

    Args:
        rows: The sessions.
        glyphs: What trees are drawn with.
        now: The moment they are of, by the server's clock.
    """
    tied = [row for row in rows if row.blocks or row.blocked_by]
    loose = [row for row in rows if not (row.blocks or row.blocked_by)]

    def place(row: SessionRow) -> tuple[float, ...]:
        since = row.query_start if row.state == "active" else row.state_change
        if now - since < _BRIEF_S and not now - row.xact_start >= _BRIEF_S:
            return (-0.5, 0.0, row.pid)
        return (-row.urgency, inf if isnan(since) else since, row.pid)

    return [*_trees(tied, glyphs), *map(Item, sorted(loose, key=place))]


def _trees(rows: Sequence[SessionRow], glyphs: Glyphs) -> Iterator[Item]:
    """Each session under the one it waits for; under the one nearest to the root, where it waits for several."""
    by_pid = {row.pid: row for row in rows}
    below: dict[int, list[SessionRow]] = {}
    roots: list[SessionRow] = []
    for row in rows:
        holders = [by_pid[pid] for pid in row.blocked_by if pid in by_pid and pid != row.pid]
        if holders:
            below.setdefault(min(holders, key=lambda holder: (holder.depth, holder.pid)).pid, []).append(row)
        else:
            roots.append(row)
    seen: set[int] = set()
    # A circle, which the server is about to break, has no root: it begins with whoever is found first.
    for root in [*sorted(roots, key=lambda row: (-row.blocks, row.pid)), *sorted(rows, key=lambda row: (row.depth, row.pid))]:
        stack = [(root, "", "")]
        while stack:
            row, prefix, trunk = stack.pop()
            if row.pid in seen:
                continue
            seen.add(row.pid)
            yield Item(row, prefix)
            waiting = sorted(below.get(row.pid, ()), key=lambda row: (row.blocks, -row.query_start, -row.pid))
            for i, each in enumerate(waiting):
                branch, on = (glyphs.last_branch, "  ") if i == 0 else (glyphs.branch, glyphs.trunk)
                stack.append((each, trunk + branch, trunk + on))


def blocked_count(table: SessionTable) -> int:
    """How many wait for another session."""
    return sum(bool(row.blocked_by) for row in table.rows)


def waits_text(table: SessionTable, most: int = 4) -> str:
    """``Lock 61% CPU 30%``: what active sessions did over the last minute."""
    return " ".join(f"{name} {units.percent(share)}" for name, share in table.waits[:most] if share >= 0.005)


class SessionsPane(TablePane):
    """Sessions of one server.

    Attributes:
        target: The server.
    """

    TITLE = "Sessions"
    KIND = "session"
    EMPTY = "no sessions but our own"

    def __init__(self, target: str = "", *, id: str | None = None) -> None:  # noqa: A002  Textual's word
        super().__init__("SESSIONS", COLUMNS, "", id=id)
        self.target = target
        self._oldest: SessionRow | None = None

    def turn_to(self, server: str) -> None:
        """Show another server's."""
        self.target, self.selected = server, None

    def table(self, state: State) -> SessionTable | None:
        """The sessions of the server."""
        return state.table(SessionTable, self.target)

    def waiting(self, state: State) -> str:
        """Why there are none yet."""
        health = state.health.get(("postgres.sessions", self.target)) or state.health.get(("postgres", self.target))
        if pooler(state, self.target):
            return "a pooler: its pools are read in detail; the server behind it has the sessions"
        return "; ".join(filter(None, (health.error, health.fix))) if health and health.error else f"collecting{self.look.glyphs.ellipsis}"

    def view(self) -> View:
        """Of this server; where not all are sent, a blocking tree as a whole."""
        return View(self.KIND, self.target, self.sort or "urgency", self.reverse, self.match, _HELD)

    def columns(self) -> list[Column]:
        """The columns that fit: who blocks matters more than the end of a statement."""
        return fitting(self._wanted, max(self.size.width - 2, 1), _LEAST_QUERY)

    def sorts(self) -> list[str]:
        """As a tree, or by a column."""
        return ["", *super().sorts()]

    def arranged(self, rows: Sequence[Any], room: int) -> list[Item]:
        """What needs somebody first, until a column is chosen to sort by."""
        open_since = [row for row in rows if not isnan(row.xact_start)]
        self._oldest = min(open_since, key=lambda row: row.xact_start, default=None)
        items = super().arranged(rows, room)
        if self.sort:
            return items
        table = self.table(self.console_app.state)
        return arranged([item.row for item in items], self.look.glyphs, table.server_at if table else nan)

    def notes(self, state: State, table: Table) -> list[str]:  # noqa: ARG002  what is said stands in the table
        """How many wait, and how many hold a transaction open while they do nothing."""
        if not isinstance(table, SessionTable):
            return []
        blocked = blocked_count(table)
        idle = sum(row.state.startswith("idle in transaction") for row in table.rows)
        return [*([f"{blocked} blocked"] if blocked else []), *([f"{idle} idle in transaction"] if idle else [])]

    def remarks(self, state: State, table: Table) -> Sequence[str]:
        """What limits what can be seen."""
        said = table.notes if isinstance(table, SessionTable) else ()
        return [*trouble(state, self.target, table.at), *long_ago(state, self.target, table.at), *said]

    def cell(self, item: Item, column: Column, state: State) -> tuple[str, str]:
        """Ages by the server's clock; what blocks, and what idles in a transaction, stands out."""
        row: SessionRow = item.row
        table = self.table(state)
        now = table.server_at if table else nan
        idle = row.state.startswith("idle in transaction")
        if column.id == "for":
            began = row.query_start if row.state == "active" else row.state_change
            return units.duration(now - began), "warning" if idle and now - began > _LONG_S else "foreground"
        if column.id == "xact":
            return self._transaction(row, now)
        if column.id == "blocks":
            return (str(row.blocks), "critical_bar") if row.blocks else ("", "dim")
        if column.id == "query":
            text = " ".join(self.console_app.said(row.query).split())
            return (f"ended by {text}", "warning") if row.prepared else (text, "foreground")
        if column.id == "state":
            return column.text(row), "warning" if idle or row.blocked_by or row.prepared else "ok_bar" if row.state == "active" else "dim"
        return column.text(row), "dim" if column.id in {"pid", "user", "database", "client"} else "foreground"

    def _transaction(self, row: SessionRow, now: float) -> tuple[str, str]:
        """Since when it holds back what vacuum may remove; the oldest of all decides, and stands out."""
        age_s = now - row.xact_start
        oldest = self._oldest is not None and self._oldest.key == row.key
        if oldest and age_s > _LONG_S:
            return f"{self.look.glyph('warning')}{units.duration(age_s)}", "warning"
        return "" if isnan(row.xact_start) else units.duration(age_s), "dim"

    def copied(self) -> str:
        """Pid and text of the selected session; of a prepared transaction, what would end it."""
        row: SessionRow | None = self.row
        return "" if row is None else row.query if row.prepared else f"{row.pid} {row.query}"
