"""The process table: as a list, as a tree, or added up by program or unit."""

from collections.abc import Sequence

from msgspec import structs

from perfconsole.core import units
from perfconsole.core.state import State
from perfconsole.core.tables import EXPENSIVE, ProcessRow, ProcessTable, Table, View, select
from perfconsole.ui.arrange import Item, grouped, tree
from perfconsole.ui.columns import BRIEF, PROCESS, Column
from perfconsole.ui.line import Line
from perfconsole.ui.widgets.table import ALL, TablePane

_Drawn = tuple[ProcessRow, object, Line]
"""A row, what else is in its line, and the line."""

_SHAPES = {"tree": "tree", "name": "by program", "unit": "by unit"}


class ProcessPane(TablePane):
    """A table of processes.

    Attributes:
        shape: ``list``, ``tree``, ``name`` or ``unit``: how rows are arranged.
    """

    TITLE = "Processes"
    KIND = "process"
    TREMBLING = frozenset({"cpu", "read_bytes_s", "write_bytes_s"})
    EMPTY = "no processes"

    def __init__(self, title: str = "PROCESSES", columns: Sequence[str] = BRIEF, *, detailed: bool = False, id: str | None = None) -> None:  # noqa: A002  Textual's word
        super().__init__(title, [PROCESS[name] for name in columns], "cpu", detailed=detailed, id=id)
        self.shape = "list"
        self._drawn: dict[int, _Drawn] = {}
        self._before: dict[int, _Drawn] = {}

    def table(self, state: State) -> ProcessTable | None:
        """The processes of the machine."""
        return state.table(ProcessTable)

    def waiting(self, state: State) -> str:
        """Why there are none yet."""
        health = state.health.get(("processes", "host"))
        return health.error if health and health.error else f"collecting{self.look.glyphs.ellipsis}"

    def view(self) -> View:
        """A tree, and sums, need every row."""
        view = super().view()
        return view if self.shape == "list" else structs.replace(view, limit=ALL)

    def order(self) -> View:
        """Groups are filtered before they are added up."""
        order = super().order()
        return View("process", sort=order.sort, reverse=order.reverse, limit=ALL) if self._grouped else order

    @property
    def _grouped(self) -> bool:
        return self.shape in {"name", "unit"}

    def copied(self) -> str:
        """Pid and command line of the selected process."""
        row: ProcessRow | None = self.row
        return f"{row.pid} {row.command or row.name}" if row else ""

    def lay_out(self, kind: str) -> None:
        """Show as ``tree``, or grouped by ``name`` or ``unit``; the same kind again is a plain list."""
        self.shape = "list" if self.shape == kind else kind
        self.repaint_rows()

    def notes(self, state: State, table: Table) -> list[str]:
        """How it is arranged, what that costs, what cannot be seen, and what 100 % is."""
        parts = [_SHAPES[self.shape]] if self.shape in _SHAPES else []
        health = state.health.get(("processes", "host"))
        if self.sort in EXPENSIVE and health:
            parts.append(f"read of every process: {units.latency(health.cost_s)} a scan")
        if isinstance(table, ProcessTable) and table.hidden:
            parts.append("others hidden")
        return [*parts, "CPU% of one core" if self.console_app.per_core else "CPU% of the machine"]

    def arranged(self, rows: Sequence[ProcessRow], room: int) -> list[Item]:
        """As the shape asks."""
        if self._grouped:
            items = grouped(select(rows, View("process", match=self.match, limit=ALL)), self.shape)
            order = {row.key: i for i, row in enumerate(select([item.row for item in items], self.order()))}
            return sorted(items, key=lambda item: order[item.row.key])
        if self.shape == "tree":
            return tree(select(rows, self.order()), self.look.glyphs)
        return super().arranged(rows, room)

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """Of the rows the lines are kept, until they are drawn again."""
        self._before, self._drawn = self._drawn, {}
        return super().lines(state, width, height)

    def _row(self, item: Item, columns: Sequence[Column], state: State) -> Line:
        """A process that did nothing since it was drawn is the row that it was: it keeps its line, which takes 50 us to make."""
        row: ProcessRow = item.row
        chosen = row.key == self.selected and (self.has_focus or self._detailed)
        seen = (item.prefix, chosen, self._width, self.look, columns, self.console_app.per_core, state.value("system.cpu.logical.count"))
        known = self._before.get(row.pid)
        line = known[2] if known and known[0] is row and known[1] == seen else super()._row(item, columns, state)
        self._drawn[row.pid] = (row, seen, line)
        return line

    def cell(self, item: Item, column: Column, state: State) -> tuple[str, str]:
        """Kernel threads, and what is zero, are of lesser weight."""
        row: ProcessRow = item.row
        quiet = row.kernel or column.id in {"pid", "user"} or (column.id == "cpu" and row.cpu == 0)
        text = column.text(row)
        if column.id == "cpu" and not self.console_app.per_core:
            text = units.percent(row.cpu / max(1.0, state.value("system.cpu.logical.count")), 1).removesuffix("%")
        return text, "dim" if quiet else "foreground"
