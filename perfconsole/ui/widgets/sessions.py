"""The sessions of a PostgreSQL server: who is blocked by whom, who holds a transaction open, who works."""

from collections.abc import Sequence
from math import isnan, nan
from typing import Any, Final

from perfconsole.core import units
from perfconsole.core.state import State
from perfconsole.core.tables import SessionRow, SessionTable, Table, View
from perfconsole.ui.arrange import Item
from perfconsole.ui.columns import Column, by_pane
from perfconsole.ui.widgets.table import TablePane

_IDLE_LONG_S: Final = 60.0

COLUMNS: Final = (
    Column("pid", "PID", "pid", 7, 0, lambda row: str(row.pid)),
    Column("state", "STATE", "state", 12, 0, lambda row: row.state.replace("idle in transaction", "idle in xact"), right=False),
    Column("for", "FOR", "state_change", 6, 0, by_pane),
    Column("xact", "XACT", "xact_start", 6, 3, by_pane),
    Column("wait", "WAITS FOR", "wait", 16, 2, lambda row: row.wait, right=False),
    Column("blocks", "BLOCKS", "blocks", 6, 4, lambda row: str(row.blocks) if row.blocks else ""),
    Column("application", "APPLICATION", "application", 14, 5, lambda row: row.application, right=False),
    Column("user", "USER", "user", 10, 7, lambda row: row.user, right=False),
    Column("database", "DATABASE", "database", 12, 8, lambda row: row.database, right=False),
    Column("client", "CLIENT", "client", 15, 9, lambda row: row.client, right=False),
    Column("query", "QUERY", "query", 0, 0, lambda row: " ".join(row.query.split()), right=False),
)


def order(rows: list[SessionRow]) -> list[SessionRow]:
    """Blocking trees first, the widest on top and each root before those that wait for it; then long idle transactions, then the active."""
    by_pid = {row.pid: row for row in rows}

    def root(row: SessionRow) -> SessionRow:
        seen = {row.pid}
        while row.blocked_by and (holder := by_pid.get(row.blocked_by[0])) and holder.pid not in seen:
            seen.add(holder.pid)
            row = holder
        return row

    def place(row: SessionRow) -> tuple[float, ...]:
        if row.blocks or row.blocked_by:
            head = root(row)
            return (0, -head.blocks, head.pid, row.depth, row.pid)
        if row.state.startswith("idle in transaction"):
            return (1, _known(row.state_change), row.pid)
        if row.state == "active":
            return (2, _known(row.query_start), row.pid)
        return (3, _known(row.state_change), row.pid)

    return sorted(rows, key=place)


def _known(value: float) -> float:
    return float("inf") if isnan(value) else value


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

    def table(self, state: State) -> SessionTable | None:
        """The sessions of the server."""
        return state.table(SessionTable, self.target)

    def waiting(self, state: State) -> str:
        """Why there are none yet."""
        health = state.health.get(("postgres", self.target))
        return health.error if health and health.error else f"collecting{self.look.glyphs.ellipsis}"

    def view(self) -> View:
        """Of this server."""
        return View(self.KIND, self.target, self.sort, self.reverse, self.match)

    def arranged(self, rows: Sequence[Any], room: int) -> list[Item]:
        """What needs somebody first, until a column is chosen to sort by."""
        items = super().arranged(rows, room)
        if self.sort:
            return items
        glyphs = self.look.glyphs
        ordered = order([item.row for item in items])
        return [Item(row, "  " * (row.depth - 1) + glyphs.last_branch if row.depth else "") for row in ordered]

    def notes(self, state: State, table: Table) -> list[str]:  # noqa: ARG002  what is said stands in the table
        """How many wait, and whose sessions they are."""
        blocked = sum(bool(row.blocked_by) for row in table.rows if isinstance(row, SessionRow))
        return [*([f"{blocked} blocked"] if blocked else []), self.target]

    def cell(self, item: Item, column: Column, state: State) -> tuple[str, str]:
        """Ages by the server's clock; what blocks, and what idles in a transaction, stands out."""
        row: SessionRow = item.row
        table = self.table(state)
        now = table.server_at if table else nan
        idle = row.state.startswith("idle in transaction")
        if column.id == "for":
            began = row.query_start if row.state == "active" else row.state_change
            long = idle and now - began > _IDLE_LONG_S
            return units.duration(now - began), "warning" if long else "foreground"
        if column.id == "xact":
            return units.duration(now - row.xact_start), "dim"
        if column.id == "blocks" and row.blocks:
            return str(row.blocks), "critical"
        if column.id == "state":
            role = "warning" if idle or row.blocked_by else "ok_bar" if row.state == "active" else "dim"
            return column.text(row), role
        return column.text(row), "dim" if column.id in {"pid", "user", "database", "client"} else "foreground"

    def copied(self) -> str:
        """Pid and text of the selected session."""
        row: SessionRow | None = self.row
        return f"{row.pid} {row.query}" if row else ""
