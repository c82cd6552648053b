"""A table of rows: sorted, filtered, scrolled; a selection that sticks to what a row is about, not to the line it stands on."""

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, ClassVar, Final

from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message

from perfconsole.core.state import State
from perfconsole.core.tables import Key, Table, View, select
from perfconsole.ui.arrange import Item, settle
from perfconsole.ui.columns import Column, fitting
from perfconsole.ui.line import Line
from perfconsole.ui.widgets.pane import Pane

ALL: Final = 1 << 20
SLACK: Final = 20
"""Rows around the visible ones that are watched along, so that a step or two of scrolling asks for nothing new."""


_REMARKS: Final = 2
_REMARK_LINES: Final = 3


def wrapped(text: str, width: int) -> list[str]:
    """A text in lines broken between words, at most three; what is left over is cut off the last."""
    lines: list[str] = []
    for word in text.split():
        if lines and (len(lines) == _REMARK_LINES or len(lines[-1]) + 1 + len(word) <= width):
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


class TablePane(Pane, can_focus=True):
    """Rows of one kind of table.

    Subclasses say which (`KIND`), what its columns are, and what stands in the title.

    Args:
        title: What stands above it.
        columns: The columns wanted, in order.
        detailed: The rows on the screen are looked at closely: watched by key, and always with a selection.

    Attributes:
        KIND: The table's name in views.
        TREMBLING: Numeric fields that change a little with every reading: a row passes its neighbour only when it clearly beats it.
        headed: Whether the heads of the columns are shown.
        sort: The field it is sorted by.
        reverse: The other way round.
        match: The filter.
        tabs: Titles of tables that lie behind each other, of which this one is in front; none for a table that stands alone.
        selected: Identity of the selected row.
    """

    class TabChosen(Message):
        """Another tab was clicked; which, is the place in `TablePane.tabs`."""

        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

    KIND: ClassVar[str]
    TREMBLING: ClassVar[frozenset[str]] = frozenset()
    EMPTY: ClassVar[str] = "nothing"

    def __init__(self, title: str, columns: Sequence[Column], sort: str, *, detailed: bool = False, id: str | None = None) -> None:  # noqa: A002  Textual's word
        super().__init__(id=id)
        self._title = title
        self._wanted = columns
        self._detailed = detailed
        self.headed = True
        self.sort = sort
        self.reverse = False
        self.match = ""
        self.tabs: Sequence[str] = ()
        self.selected: Key | None = None
        self._selected_at = 0
        self._first = 0
        self._items: list[Item] = []
        self._order: list[Key] = []
        self._watched: frozenset[Key] = frozenset()
        self._shown = 0

    # What subclasses say ----------------------------------------------------------------------------------------------------------

    def table(self, state: State) -> Table | None:
        """The table it shows."""
        raise NotImplementedError

    def waiting(self, state: State) -> str:
        """Why there is no table yet, in words."""
        raise NotImplementedError

    def empty(self, table: Table) -> str:  # noqa: ARG002  the same, unless it says more
        """What is said of a table without rows."""
        return self.EMPTY

    def notes(self, state: State, table: Table) -> list[str]:  # noqa: ARG002  nothing, unless there is something
        """What stands at the right of the title, after the count."""
        return []

    def heading(self, state: State, table: Table) -> Line:
        """The bar on top: what it is, how many, and what is to be known of them."""
        return self._titled("  ".join([self._count(table), *self.notes(state, table)]))

    def _titled(self, note: str = "") -> Line:
        """Its title, among those of the tables that lie behind it; the note as far as there is room for it."""
        if not self.tabs:
            return self.title_line(self._title, note)
        line = self._tabbed()
        return line.to(max(line.x + 1, line.width - len(note) - 1)).put(note, "dim")

    def _tabbed(self) -> Line:
        """The beginning of a title: the tabs, its own in front."""
        line = self.line("panel")
        for title in self.tabs or (self._title,):
            front = title == self._title
            line.put(self.look.glyphs.marker if front else " ", "accent").put(title, "title" if front else "dim").gap()
        return line

    def remarks(self, state: State, table: Table) -> Sequence[str]:  # noqa: ARG002  nothing, unless there is something
        """What limits what can be seen, and what would mend it: stands in full below the rows."""
        return ()

    def foot(self, state: State, table: Table) -> list[Line]:
        """The lines below the rows."""
        return [line for remark in self.remarks(state, table)[:_REMARKS] for line in self._told(remark, "warning")]

    def _told(self, text: str, role: str) -> list[Line]:
        """Words over as many lines as they need, but not many."""
        return [self.line().gap().put(part, role) for part in wrapped(text, max(self.size.width - 2, 1))]

    def sorts(self) -> list[str]:
        """The fields that `next_sort` goes through: those of the columns that are shown."""
        return [column.field for column in self.columns() if column.field]

    def arranged(self, rows: Sequence[Any], room: int) -> list[Item]:
        """Rows in the order in which they are shown."""
        ordered = select(rows, self.order())
        if self.sort in self.TREMBLING and not self.reverse:
            head = self._first + room + SLACK
            settled = settle(self._order, ordered[:head], self.sort)
            self._order = [row.key for row in settled]
            ordered = settled + ordered[head:]
        return [Item(row) for row in ordered]

    def cell(self, item: Item, column: Column, state: State) -> tuple[str, str]:  # noqa: ARG002  a cell may depend on more than its row
        """Text and role of a cell."""
        return column.text(item.row), "foreground"

    # What it looks at -------------------------------------------------------------------------------------------------------------

    def view(self) -> View:
        """What the engine is to deliver for this pane."""
        return View(
            self.KIND,
            sort=self.sort,
            reverse=self.reverse,
            match=self.match,
            keys=tuple(sorted(self._watched)) if self._detailed else (),
            columns=tuple(sorted(column.field for column in self.columns() if column.expensive)),
        )

    def order(self) -> View:
        """The order and filter, over all rows that are held."""
        return View(self.KIND, sort=self.sort, reverse=self.reverse, match=self.match, limit=ALL)

    def columns(self) -> list[Column]:
        """The columns that fit."""
        return fitting(self._wanted, max(self.size.width - 2, 1))

    # Moving -----------------------------------------------------------------------------------------------------------------------

    @property
    def row(self) -> Any | None:
        """The selected row."""
        return next((item.row for item in self._items if item.row.key == self.selected), None)

    def move(self, rows: int) -> None:
        """Move the selection; far jumps end at the first or last row. In a table that was just brought to the front it is not drawn yet."""
        table = None if self._items else self.table(self.console_app.state)
        if table:
            self._items = self.arranged(table.rows, 1)
        if not self._items:
            return
        at = self._selected_at if self.selected is not None else -1 if rows > 0 else 0
        self._select(max(0, min(len(self._items) - 1, at + rows)))
        self.repaint_rows()

    def choose_one(self) -> None:
        """Select the first row, where none is: what is opened without a choice is the one on top."""
        if self.selected is None:
            self.move(1)

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
        """Sort by the next of `sorts`."""
        fields = self.sorts()
        at = fields.index(self.sort) if self.sort in fields else -1
        self.reverse, self._order = False, []
        self.sort = fields[(at + 1) % len(fields)]
        self.repaint_rows()

    def filter(self, match: str) -> None:
        """Show only rows that match."""
        self.match = match
        self._first = 0
        self.repaint_rows()

    # Showing ----------------------------------------------------------------------------------------------------------------------

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002  columns know the width
        """The title, the column heads, and the rows around the selection."""
        table = self.table(state)
        if table is None:
            heads = [self._head(self.columns())] if self.headed else []
            return [self._titled(), *heads, *self._told(self.waiting(state), "dim")]
        room = max(height - 1 - self.headed, 1)
        self._items = self.arranged(table.rows, room)
        columns = self.columns()  # how wide they are may depend on what is in them
        heads = [self._head(columns)] if self.headed else []
        title = self.heading(state, table)
        foot = self.foot(state, table)[: room - 1]
        room -= len(foot)
        self._follow_selection(room)
        self._watch_rows(room)
        shown = self._items[self._first : self._first + room]
        self._shown = len(shown)
        if not shown:
            empty = f"nothing matches {self.match!r}" if self.match else "" if foot else self.empty(table)
            return [title, *heads, *self._told(empty, "dim"), *foot]
        rows = [self._row(item, columns, state) for item in shown]
        return [title, *heads, *rows, *(self.line() for _ in range(room - len(rows) if foot else 0)), *foot]

    def _count(self, table: Table) -> str:
        if self.match:
            return f"{len(self._items)} of {table.total}  filter {self.match!r}"
        return f"{len(table.rows)} of {table.total} held" if len(table.rows) < table.total else f"{table.total}"

    def _head(self, columns: Sequence[Column]) -> Line:
        line = self.line().gap()
        for column in columns:
            role = "accent" if column.field == self.sort else "dim"
            arrow = (self.look.glyphs.up if self.reverse else self.look.glyphs.down) if column.field == self.sort else ""
            width = column.width or line.left
            title = column.title + arrow if len(column.title + arrow) <= width else column.title
            line.put(title, role, width, right=column.right).gap()
        return line

    def _row(self, item: Item, columns: Sequence[Column], state: State) -> Line:
        chosen = item.row.key == self.selected and (self.has_focus or self._detailed)
        line = self.line("selection" if chosen else "background")
        line.put(self.look.glyphs.marker if chosen else " ", "accent")
        for column in columns:
            self._put(line, item, column, state)
        return line

    def _put(self, line: Line, item: Item, column: Column, state: State) -> None:
        """Draw a cell."""
        text, role = self.cell(item, column, state)
        if not column.width and item.prefix:
            line.put(item.prefix, "border").put(text, role, line.left)
        else:
            line.put(text, role, column.width or line.left, right=column.right).gap()

    def _follow_selection(self, room: int) -> None:
        """Find the selected row again, wherever it moved; when it is gone its place stays selected."""
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
            start = max(0, self._first - SLACK)
            self._watched = frozenset(item.row.key for item in self._items[start : self._first + room + SLACK])
            self.call_later(self.console_app.look_at)

    # Mouse ------------------------------------------------------------------------------------------------------------------------

    def on_click(self, event: Click) -> None:
        """Select a row, open it when it was selected; a column's head sorts by it, a tab brings its table to the front."""
        if event.y == 0 and self.tabs:
            ends = list(accumulate(len(title) + 2 for title in self.tabs))
            if event.x < ends[-1]:
                self.post_message(self.TabChosen(bisect(ends, event.x)))
            return
        if event.y == 1 and self.headed:
            x = 1
            for column in self.columns():
                width = column.width or self.size.width
                if x <= event.x < x + width + 1:
                    if column.field:
                        self.order_by(column.field)
                    return
                x += width + 1
        above = 1 + self.headed
        at = self._first + event.y - above
        if above <= event.y < above + self._shown:
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
