"""The process table: sorted, filtered, as a tree or in groups; a selection that sticks to the process, not to the line."""

from collections.abc import Sequence
from typing import Final

from textual.events import Click, MouseScrollDown, MouseScrollUp

from perfconsole.core import units
from perfconsole.core.state import State
from perfconsole.core.tables import EXPENSIVE, Key, ProcessRow, ProcessTable, View, select
from perfconsole.ui.arrange import Item, grouped, settle, tree
from perfconsole.ui.columns import BRIEF, COLUMNS, Column, fitting
from perfconsole.ui.line import Line
from perfconsole.ui.widgets.pane import Pane

_ALL: Final = 1 << 20
_SLACK: Final = 20
"""Rows around the visible ones that are watched along, so that a step or two of scrolling asks for nothing new."""

_SETTLED: Final = frozenset({"cpu", "read_bytes_s", "write_bytes_s"})
"""Fields that tremble from one reading to the next."""


class ProcessPane(Pane, can_focus=True):
    """A table of processes.

    Attributes:
        sort: The field it is sorted by.
        reverse: The other way round.
        match: The filter.
        shape: ``list``, ``tree``, ``name`` or ``unit``: how rows are arranged.
    """

    TITLE = "Processes"

    def __init__(self, title: str = "PROCESSES", columns: Sequence[str] = BRIEF, *, detailed: bool = False, id: str | None = None) -> None:  # noqa: A002  Textual's word
        super().__init__(id=id)
        self._title = title
        self._wanted = columns
        self._detailed = detailed
        self.sort = "cpu"
        self.reverse = False
        self.match = ""
        self.shape = "list"
        self.selected: Key | None = None
        self._selected_at = 0
        self._first = 0
        self._items: list[Item] = []
        self._order: list[Key] = []
        self._watched: frozenset[Key] = frozenset()

    # What it looks at -------------------------------------------------------------------------------------------------------------

    def view(self) -> View:
        """What the engine is to deliver for this pane."""
        whole = self.shape != "list"
        return View(
            "process",
            sort=self.sort,
            reverse=self.reverse,
            match=self.match,
            limit=_ALL if whole else 200,
            keys=tuple(sorted(self._watched)) if self._detailed else (),
            columns=tuple(sorted(column.field for column in self._columns() if column.expensive)),
        )

    def _columns(self) -> list[Column]:
        return fitting(self._wanted, max(self.size.width - 2, 1))

    def copied(self) -> str:
        """Pid and command line of the selected process."""
        return f"{self.row.pid} {self.row.command or self.row.name}" if self.row else ""

    # Moving -----------------------------------------------------------------------------------------------------------------------

    @property
    def row(self) -> ProcessRow | None:
        """The selected process."""
        return next((item.row for item in self._items if item.row.key == self.selected), None)

    def move(self, rows: int) -> None:
        """Move the selection; far jumps end at the first or last row."""
        if not self._items:
            return
        at = self._selected_at if self.selected is not None else -1 if rows > 0 else 0
        self._select(max(0, min(len(self._items) - 1, at + rows)))
        self.repaint_rows()

    def _select(self, at: int) -> None:
        self._selected_at = at
        self.selected = self._items[at].row.key

    def repaint_rows(self) -> None:
        """Show the last data again, after something about how it is shown changed."""
        self.show(self.console_app.state)
        self.console_app.look_at()

    def order_by(self, field: str) -> None:
        """Sort by a field; by the same one again turns the order round."""
        self.reverse = not self.reverse if self.sort == field else False
        self.sort = field
        self._order = []
        self.repaint_rows()

    def next_sort(self) -> None:
        """Sort by the next column that is shown."""
        fields = [column.field for column in self._columns()]
        at = fields.index(self.sort) if self.sort in fields else -1
        self.reverse, self._order = False, []
        self.sort = fields[(at + 1) % len(fields)]
        self.repaint_rows()

    def lay_out(self, kind: str) -> None:
        """Show as ``tree``, or grouped by ``name`` or ``unit``; the same kind again is a plain list."""
        self.shape = "list" if self.shape == kind else kind
        self.repaint_rows()

    def filter(self, match: str) -> None:
        """Show only rows that match."""
        self.match = match
        self._first = 0
        self.repaint_rows()

    # Showing ----------------------------------------------------------------------------------------------------------------------

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002  columns know the width
        """The title, the column heads, and the rows around the selection."""
        table = state.table(ProcessTable)
        title = self.title_line(self._title, self._note(state, table))
        columns = self._columns()
        head = self._head(columns)
        if table is None:
            health = state.health.get(("processes", "host"))
            waiting = health.error if health and health.error else f"collecting{self.look.glyphs.ellipsis}"
            return [title, head, self.line().gap().put(waiting, "dim")]
        room = max(height - 2, 1)
        self._items = self._arranged(table.rows, room)
        self._follow_selection(room)
        shown = self._items[self._first : self._first + room]
        self._watch_rows(room)
        scale = 1.0 if self.console_app.per_core else max(1.0, state.value("system.cpu.logical.count"))
        if not shown:
            empty = f"nothing matches {self.match!r}" if self.match else "no processes"
            return [title, head, self.line().gap().put(empty, "dim")]
        return [title, head, *(self._row(item, columns, scale) for item in shown)]

    def _note(self, state: State, table: ProcessTable | None) -> str:
        if table is None:
            return ""
        parts = [f"{len(self._items)} of {table.total}" if self.match else f"{table.total}"]
        if len(table.rows) < table.total and not self.match:
            parts[0] = f"{len(table.rows)} of {table.total} held"
        if self.match:
            parts.append(f"filter {self.match!r}")
        if self.shape != "list":
            parts.append({"tree": "tree", "name": "by program", "unit": "by unit"}[self.shape])
        health = state.health.get(("processes", "host"))
        if self.sort in EXPENSIVE and health:
            parts.append(f"read of every process: {units.latency(health.cost_s)} a scan")
        if table.hidden:
            parts.append("others hidden")
        parts.append("% of one core" if self.console_app.per_core else "% of the machine")
        return "  ".join(parts)

    def _head(self, columns: Sequence[Column]) -> Line:
        line = self.line().gap()
        for column in columns:
            role = "accent" if column.field == self.sort else "dim"
            arrow = (self.look.glyphs.up if self.reverse else self.look.glyphs.down) if column.field == self.sort else ""
            width = column.width or line.left
            title = column.title + arrow if len(column.title + arrow) <= width else column.title
            line.put(title, role, width, right=column.right).gap()
        return line

    def _arranged(self, rows: Sequence[ProcessRow], room: int) -> list[Item]:
        if self.shape in {"name", "unit"}:
            matching = select(rows, View("process", match=self.match, limit=_ALL))
            items = grouped(matching, self.shape)
            order = {row.key: i for i, row in enumerate(select([item.row for item in items], self._all_view()))}
            return sorted(items, key=lambda item: order[item.row.key])
        ordered = select(rows, self._all_view())
        if self.shape == "tree":
            return tree(ordered, self.look.glyphs)
        if self.sort in _SETTLED and not self.reverse:
            head = self._first + room + _SLACK
            settled = settle(self._order, ordered[:head], self.sort)
            self._order = [row.key for row in settled]
            ordered = settled + ordered[head:]
        return [Item(row) for row in ordered]

    def _all_view(self) -> View:
        match = "" if self.shape in {"name", "unit"} else self.match
        return View("process", sort=self.sort, reverse=self.reverse, match=match, limit=_ALL)

    def _follow_selection(self, room: int) -> None:
        """Find the selected process again, wherever it moved; when it is gone its place stays selected."""
        if self.selected is not None and self._items:
            at = next((i for i, item in enumerate(self._items) if item.row.key == self.selected), None)
            self._select(min(self._selected_at, len(self._items) - 1) if at is None else at)
            self._first = max(self._selected_at - room + 1, min(self._first, self._selected_at))
        self._first = max(0, min(self._first, len(self._items) - room))

    def _watch_rows(self, room: int) -> None:
        """Tell the engine which rows are on the screen; with some to spare, so that not every tick is a new watch."""
        if not self._detailed:
            return
        visible = {item.row.key for item in self._items[self._first : self._first + room]}
        if not visible <= self._watched:
            start = max(0, self._first - _SLACK)
            self._watched = frozenset(item.row.key for item in self._items[start : self._first + room + _SLACK])
            self.call_later(self.console_app.look_at)

    def _row(self, item: Item, columns: Sequence[Column], scale: float) -> Line:
        row = item.row
        chosen = row.key == self.selected and (self.has_focus or self._detailed)
        line = self.line("selection" if chosen else "background")
        line.put(self.look.glyphs.marker if chosen else " ", "accent")
        quiet = row.cpu == 0
        for column in columns:
            text = _scaled(row, scale) if column.id == "cpu" else column.text(row)
            if column.id == "command" and item.prefix:
                line.put(item.prefix, "border").put(text, "dim" if row.kernel else "foreground", line.left)
                continue
            role = "dim" if row.kernel or column.id in {"pid", "user"} or (quiet and column.id == "cpu") else "foreground"
            line.put(text, role, column.width or line.left, right=column.right).gap()
        return line

    # Mouse ------------------------------------------------------------------------------------------------------------------------

    def on_click(self, event: Click) -> None:
        """Select a row, open it when it was selected; a column's head sorts by it."""
        if event.y == 1:
            x = 1
            for column in self._columns():
                width = column.width or self.size.width
                if x <= event.x < x + width + 1:
                    self.order_by(column.field)
                    return
                x += width + 1
        at = self._first + event.y - 2
        if event.y >= 2 and at < len(self._items):
            again = self._items[at].row.key == self.selected
            self._select(at)
            self.repaint_rows()
            if again:
                self.post_message(self.Opened(self, self.selected))

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Three rows down."""
        event.stop()
        self.move(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Three rows up."""
        event.stop()
        self.move(-3)


def _scaled(row: ProcessRow, scale: float) -> str:
    return COLUMNS["cpu"].text(row) if scale == 1.0 else units.percent(row.cpu / scale, 1).removesuffix("%")
