"""The statements of a PostgreSQL server, by what they load it with."""

from math import isnan, nan
from typing import ClassVar, Final

from perfconsole.core import units
from perfconsole.core.state import State
from perfconsole.core.tables import StatementRow, StatementTable, Table, View
from perfconsole.ui.arrange import Item
from perfconsole.ui.columns import Column, by_pane
from perfconsole.ui.spark import bar
from perfconsole.ui.widgets.table import TablePane

WINDOWS: Final = ("tick", "1m", "5m", "open", "reset")
"""What rates are taken over, narrowest first."""

_REGRESSED: Final = 2.0
_ENOUGH_CALLS: Final = 20
"""A mean is only held against its own past when it is twice that, over at least this many calls."""

_BAR: Final = 8
_QUIET: Final = frozenset({"database", "user", "max", "hit", "io", "temp", "wal"})


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else nan


def _average(value: float) -> str:
    return units.UNKNOWN if isnan(value) else f"{value:.2f}"


def hit_ratio(row: StatementRow) -> float:
    """Share of blocks found in the buffer; of too few (a hundred) it says nothing."""
    blocks = row.shared_hit + row.shared_read
    return _ratio(row.shared_hit, blocks) if blocks > 100 else nan


def one_line(row: StatementRow) -> str:
    """The text on one line, or why there is none."""
    return " ".join(row.query.split()) or f"queryid {row.queryid}"


def change_text(row: StatementRow) -> str:
    """How many times its own past mean."""
    change = _ratio(row.mean_s, row.baseline_s)
    return units.UNKNOWN if isnan(change) else f"{change:.1f}x"


COLUMNS: Final = (
    Column("load", "LOAD", "load", 6, 0, lambda row: _average(row.load)),
    Column("share", "SHARE", "share", 5, 1, lambda row: units.percent(row.share)),
    Column("bar", "", "share", _BAR, 9, by_pane),
    Column("calls", "CALLS/s", "calls", 8, 1, by_pane),
    Column("mean", "MEAN", "mean_s", 6, 0, lambda row: units.latency(row.mean_s)),
    Column("change", "xBASE", "baseline_s", 6, 6, change_text),
    Column("max", "MAX", "max_s", 6, 8, lambda row: units.latency(row.max_s)),
    Column("rows", "ROWS/c", "rows", 6, 7, lambda row: units.count(_ratio(row.rows, row.calls))),
    Column("hit", "HIT", "shared_hit", 5, 10, lambda row: units.percent(hit_ratio(row))),
    Column("io", "I/O", "io_s", 5, 11, lambda row: units.percent(_ratio(row.io_s, row.exec_s))),
    Column("temp", "TEMP/s", "temp_written", 7, 13, by_pane),
    Column("wal", "WAL/s", "wal_bytes", 7, 12, by_pane),
    Column("flight", "NOW", "in_flight", 4, 5, lambda row: str(row.in_flight) if row.in_flight else ""),
    Column("database", "DATABASE", "database", 12, 4, lambda row: row.database, right=False),
    Column("user", "USER", "user", 10, 14, lambda row: row.user, right=False),
    Column("query", "QUERY", "query", 0, 0, one_line, right=False),
)


class QueriesPane(TablePane):
    """Statements of one server.

    Attributes:
        target: The server.
        window: What the rates are taken over.
    """

    TITLE = "Queries"
    KIND = "statement"
    TREMBLING: ClassVar[frozenset[str]] = frozenset({"load", "share", "calls", "exec_s"})
    EMPTY = "no statement was executed in this window"

    def __init__(self, target: str = "", *, id: str | None = None) -> None:  # noqa: A002  Textual's word
        super().__init__("QUERIES", COLUMNS, "load", detailed=True, id=id)
        self.target = target
        self.window = "1m"

    def table(self, state: State) -> StatementTable | None:
        """The statements of the server, if they are of the window asked for."""
        return state.table(StatementTable, self.target)

    def waiting(self, state: State) -> str:
        """Why there are none yet."""
        health = state.health.get(("postgres", self.target))
        if health is None:
            return "no server is configured: [[postgres]] in config.toml, or --dsn"
        return f"{health.error}  {health.fix}".strip() or f"collecting{self.look.glyphs.ellipsis}: a rate needs two samples"

    def view(self) -> View:
        """Of this server, over this window."""
        view = super().view()
        return View(view.table, self.target, view.sort, view.reverse, view.match, view.limit, view.keys, view.columns, self.window)

    def turn_window(self, step: int) -> None:
        """A narrower or wider window."""
        at = WINDOWS.index(self.window) + step
        if 0 <= at < len(WINDOWS):
            self.window, self._order = WINDOWS[at], []
            self.repaint_rows()

    def notes(self, state: State, table: Table) -> list[str]:  # noqa: ARG002  what is said stands in the table
        """The window, the load of the whole, and what limits what can be seen."""
        if not isinstance(table, StatementTable):
            return []
        total = sum(row.load for row in table.rows if not isnan(row.load))
        window = f"{table.window} ({units.duration(table.window_s)})" if not isnan(table.window_s) else table.window
        return [*table.notes[:1], f"load {total:.2f}", f"window {window}", self.target]

    def cell(self, item: Item, column: Column, state: State) -> tuple[str, str]:
        """Rates by the window's length; what is twice its own past stands out."""
        row: StatementRow = item.row
        if column.id == "bar":
            return bar(self.look, row.share, _BAR), "chart"
        if column.id == "change" and row.calls >= _ENOUGH_CALLS and _ratio(row.mean_s, row.baseline_s) >= _REGRESSED:
            return f"{self.look.glyph('warning')}{change_text(row)}", "warning"
        text = self._rate(row, column.id, self.table(state)) if column.text is by_pane else column.text(row)
        if column.id == "query" and not row.toplevel:
            text = self.look.glyphs.last_branch + text
        return text, "accent" if column.id == "flight" else "dim" if column.id in _QUIET else "foreground"

    def _rate(self, row: StatementRow, column: str, table: StatementTable | None) -> str:
        window_s = table.window_s if table else nan
        block = table.block_bytes if table else nan
        amount = {"calls": row.calls, "temp": row.temp_written * block, "wal": row.wal_bytes}[column]
        rate = _ratio(amount, window_s)
        return units.count(rate) if column == "calls" else units.size(rate)

    def copied(self) -> str:
        """The whole text of the selected statement."""
        row: StatementRow | None = self.row
        return row.query or str(row.queryid) if row else ""
