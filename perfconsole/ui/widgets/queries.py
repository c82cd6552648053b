"""The statements of a PostgreSQL server, by what they load it with."""

from collections.abc import Sequence
from math import isnan, nan
from time import localtime, strftime
from typing import Any, ClassVar, Final

from msgspec import structs

from perfconsole.core import units
from perfconsole.core.state import State
from perfconsole.core.tables import WINDOWS, Key, StatementRow, StatementTable, Table, View, select
from perfconsole.ui.arrange import Item
from perfconsole.ui.columns import Column, by_pane, fitting
from perfconsole.ui.line import Line
from perfconsole.ui.spark import Track, bar, drawn, fitting_window, scale_top
from perfconsole.ui.widgets.header import clock
from perfconsole.ui.widgets.places import offer, pooler, trouble
from perfconsole.ui.widgets.table import TablePane

__all__ = ["LEAST_LOAD", "SPOKEN", "WINDOWS", "QueriesPane", "change_text", "load_text", "one_line", "regressed"]

_REGRESSED: Final = 2.0
_ENOUGH_CALLS: Final = 20
"""A mean is only held against its own past when it is twice that, over at least this many calls."""

_BAR: Final = 8
_FLIGHT: Final = 7
_TREND: Final = 12
_TREND_S: Final = 900.0
_TRACKS: Final = 200
"""Rows whose trends are kept made; more are on no screen."""

LEAST_LOAD: Final = 0.01
"""The top of a trend's scale at the least: below it a statement that does next to nothing would draw mountains."""

_DAY_S: Final = 86_400.0
_LEAST_REST: Final = 0.0005
_QUIET: Final = frozenset({"database", "user", "max", "since", "read", "hit", "io", "temp", "wal"})
SPOKEN: Final = {"tick": "last tick", "open": "since opened", "mark": "since mark", "reset": "since reset"}
"""Windows that are not called by their length."""


def load_text(value: float) -> str:
    """Average active sessions in at most five characters."""
    return units.UNKNOWN if isnan(value) else f"{value:.2f}" if value < 99.995 else f"{value:.0f}"


def _rate(amount: float, window_s: float) -> float:
    return amount / window_s if window_s > 0 else nan


def one_line(row: StatementRow, text: str) -> str:
    """Its text, as it may be shown, on one line; what it is known by where there is none."""
    return " ".join(text.split()) or f"queryid {row.queryid}"


def regressed(row: StatementRow) -> bool:
    """Whether it is much slower than it used to be."""
    return row.calls >= _ENOUGH_CALLS and row.change >= _REGRESSED


def change_text(row: StatementRow) -> str:
    """How many times its own past mean; nothing while it has no past, or is new."""
    return f"{row.change:.1f}x" if not isnan(row.change) else "new" if row.new else ""


def flight_text(row: StatementRow) -> str:
    """How many run now, and for how long the longest."""
    if not row.in_flight:
        return ""
    age = "" if isnan(row.longest_s) else units.duration(row.longest_s)
    if row.in_flight == 1:
        return age or "1"
    text = f"{row.in_flight}x{age}"
    return text if len(text) <= _FLIGHT else f"{row.in_flight}x{_coarse(age)}"


def _coarse(age: str) -> str:
    """``15m`` of ``15m30s``."""
    unit = next((character for character in age if character.isalpha()), "")
    return age[: age.find(unit) + 1]


def moment(at: float, now: float) -> str:
    """``14:02:10``; of another day ``24 Oct 14:02``."""
    return clock(at) if now - at < _DAY_S else strftime("%d %b %H:%M", localtime(at))


def window_text(table: StatementTable) -> str:
    """``since mark 14:02:10 (2m05s)``."""
    name = SPOKEN.get(table.window, f"last {table.window}")
    if table.window in {"open", "mark", "reset"} and not isnan(table.since):
        name += f" {moment(table.since, table.at)}"
    return name if isnan(table.window_s) else f"{name} ({units.duration(table.window_s)})"


COLUMNS: Final = (
    Column("load", "LOAD", "load", 6, 0, lambda row: load_text(row.load)),
    Column("share", "SHARE", "share", 5, 1, lambda row: units.percent(row.share)),
    Column("bar", "", "", _BAR, 9, by_pane, right=False),
    Column("trend", "TREND", "", _TREND, 5, by_pane, right=False),
    Column("calls", "CALLS/s", "calls", 7, 1, by_pane),
    Column("mean", "MEAN", "mean_s", 6, 0, lambda row: units.latency(row.mean_s)),
    Column("change", "xBASE", "change", 6, 3, change_text),
    Column("max", "MAX", "max_s", 6, 8, lambda row: units.latency(row.max_s)),
    Column("since", "MAX SINCE", "max_since", 12, 13, by_pane),
    Column("rows", "ROWS/c", "rows_per_call", 6, 7, lambda row: units.count(row.rows_per_call)),
    Column("read", "READ/s", "shared_read", 6, 10, by_pane),
    Column("hit", "HIT", "hit_ratio", 4, 10, lambda row: units.percent(row.hit_ratio)),
    Column("io", "I/O", "io_ratio", 4, 11, lambda row: units.percent(row.io_ratio)),
    Column("temp", "TEMP/s", "temp_written", 6, 12, by_pane),
    Column("wal", "WAL/s", "wal_bytes", 6, 12, by_pane),
    Column("flight", "NOW", "in_flight", _FLIGHT, 2, flight_text),
    Column("database", "DATABASE", "database", 12, 4, lambda row: row.database, right=False),
    Column("user", "USER", "user", 10, 14, lambda row: row.user, right=False),
    Column("query", "QUERY", "query", 0, 0, by_pane, right=False),
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
        self._kept: StatementRow | None = None
        self._tracks: dict[Key, Track] = {}
        self._marked_at = nan

    def turn_to(self, server: str) -> None:
        """Show another server's."""
        self.target, self.selected, self._kept, self._marked_at = server, None, None, nan
        self._order, self._tracks, self._watched = [], {}, frozenset()

    def table(self, state: State) -> StatementTable | None:
        """The statements of the server over the window asked for; until that is there, and in a recording, over the one there is."""
        return state.table(StatementTable, self.target, self.window) or state.table(StatementTable, self.target)

    def waiting(self, state: State) -> str:
        """Why there are none yet."""
        health = state.health.get(("postgres", self.target))
        if health is None:
            return "no server is configured: [[postgres]] in config.toml, or --dsn"
        if health.state == "off":
            return offer(health, "press c to connect")
        if pooler(state, self.target):
            return "a pooler: it has no statements of its own; its pools are read in detail"
        return "; ".join(filter(None, (health.error, health.fix))) or self._collecting

    def view(self) -> View:
        """Of this server, over this window."""
        return structs.replace(super().view(), target=self.target, window=self.window)

    def columns(self) -> list[Column]:
        """Those that fit; what is sorted by is among them."""
        wanted = [column._replace(rank=0) if column.field == self.sort else column for column in self._wanted]
        return fitting(wanted, max(self.size.width - 2, 1))

    def sorts(self) -> list[str]:
        """All there are: what is sorted by is shown."""
        return [column.field for column in self._wanted if column.field]

    def turn_window(self, step: int) -> None:
        """A narrower or wider window."""
        at = WINDOWS.index(self.window) + step
        if 0 <= at < len(WINDOWS):
            self.use_window(WINDOWS[at])

    def use_window(self, window: str) -> None:
        """Take rates over another window."""
        self.window, self._order = window, []
        self.repaint_rows()

    def mark(self) -> None:
        """Take rates since a mark that was set just now."""
        self._marked_at = self.console_app.state.at
        self.use_window("mark")

    # Rows -------------------------------------------------------------------------------------------------------------------------

    def arranged(self, rows: Sequence[Any], room: int) -> list[Item]:
        """In their order; the selected one also where it was not executed in this window."""
        items = super().arranged(rows, room)
        found = next((item.row for item in items if item.row.key == self.selected), None)
        if found is not None or self.selected is None:
            self._kept = found
        elif self._kept is not None and select([self._kept], self.order()):
            items.append(Item(_idle(self._kept)))
        return items

    def _count(self, table: Table) -> str:
        return f"{len(self._items)} of {table.total}" + (f"  filter {self.match!r}" if self.match else "")

    def empty(self, table: Table) -> str:
        """Until there is a rate that is no statement about the statements."""
        measured = isinstance(table, StatementTable) and not isnan(table.window_s)
        return self.EMPTY if measured else self._collecting

    @property
    def _collecting(self) -> str:
        return f"collecting{self.look.glyphs.ellipsis}: a rate needs two samples"

    def notes(self, state: State, table: Table) -> list[str]:  # noqa: ARG002  what is said stands in the table
        """The load of the whole, and the window; between a new mark and the next look all numbers are still of the one before."""
        if table.window == "mark" and table.at <= self._marked_at and not self.console_app.pump.past:
            return [f"since mark {clock(self._marked_at)}: with the next look"]
        return [f"load {load_text(table.load)}", window_text(table)] if isinstance(table, StatementTable) else []

    def remarks(self, state: State, table: Table) -> Sequence[str]:
        """What limits what can be seen."""
        return [*trouble(state, self.target, table.at), *(table.notes if isinstance(table, StatementTable) else ())]

    def foot(self, state: State, table: Table) -> list[Line]:
        """All that is not listed, so that the shares add up; and what limits what can be seen."""
        below = super().foot(state, table)
        whole = table.load if isinstance(table, StatementTable) else nan
        rest = whole - sum(item.row.load for item in self._items if not isnan(item.row.load))
        if not whole > 0 or rest / whole < _LEAST_REST:
            return below
        texts = {"load": load_text(rest), "share": units.percent(rest / whole), "bar": bar(self.look, rest / whole, _BAR)}
        texts["query"] = "others: statements that do not match" if self.match else "others: statements that are not listed"
        line = self.line().gap()
        for column in self.columns():
            line.put(texts.get(column.id, ""), "dim", column.width or line.left, right=column.right).gap()
        return [line, *below]

    def cell(self, item: Item, column: Column, state: State) -> tuple[str, str]:
        """Rates by the window's length; what is twice its own past stands out."""
        row: StatementRow = item.row
        if column.id == "bar":
            return bar(self.look, row.share, _BAR), "chart"
        if column.id == "trend":
            return self._trend(row, state), "chart"
        if column.id == "change" and regressed(row):
            return f"{self.look.glyph('warning')}{change_text(row)}", "warning"
        if column.id == "query":
            text = one_line(row, self.console_app.said(row.query))
            return ("" if row.toplevel else self.look.glyphs.last_branch) + text, "foreground" if row.query else "dim"
        text = self._by_window(row, column.id, state) if column.text is by_pane else column.text(row)
        return text, "accent" if column.id == "flight" else "dim" if column.id in _QUIET else "foreground"

    def _by_window(self, row: StatementRow, column: str, state: State) -> str:
        table = self.table(state)
        window_s, block, now = (table.window_s, table.block_bytes, table.at) if table else (nan, nan, nan)
        if column == "since":
            return "" if isnan(row.max_since) else moment(row.max_since, now)
        if column == "calls":
            return units.count(_rate(row.calls, window_s))
        amounts = {"read": row.shared_read * block, "temp": row.temp_written * block, "wal": row.wal_bytes}
        return units.size(_rate(amounts[column], window_s))

    def _trend(self, row: StatementRow, state: State) -> str:
        """Its load over the last minutes, where it was ever among the heaviest: those have a history."""
        labels = {"server": self.target, "database": row.database, "user": row.user, "queryid": str(row.queryid)}
        found = state.find("postgresql.statement.load", **labels, **({} if row.toplevel else {"toplevel": "false"}))
        if found is None or not len(found.ring):
            return ""
        window_s = fitting_window(state.held_s, _TREND_S)
        track = self._tracks.get(row.key)
        if track is None or track.width_s != window_s / _TREND:
            if len(self._tracks) >= _TRACKS:
                self._tracks.clear()
            track = self._tracks[row.key] = Track(_TREND, window_s)
        values = track.values(found, state.at)
        return drawn(self.look, values, scale_top(values, LEAST_LOAD))

    def copied(self) -> str:
        """The whole text of the selected statement."""
        row: StatementRow | None = self.row
        return row.query or str(row.queryid) if row else ""


def _idle(row: StatementRow) -> StatementRow:
    """A statement in a window in which it was not executed."""
    return structs.replace(
        row, calls=0.0, exec_s=0.0, load=0.0, share=0.0, mean_s=nan, plan_s=nan, rows=nan, shared_hit=nan, shared_read=nan, io_s=nan,
        temp_written=nan, wal_bytes=nan, in_flight=0, longest_s=nan, new=False, stddev_s=nan,
    )  # fmt: skip
