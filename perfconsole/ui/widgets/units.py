"""The table of units and containers: a list by use, or the tree they are in; each against its own limits."""

from collections.abc import Sequence
from math import isnan
from typing import Final

from perfconsole.core import units
from perfconsole.core.state import State
from perfconsole.core.tables import Table, View, select
from perfconsole.core.unit_rows import REST, UnitRow, UnitTable
from perfconsole.ui.arrange import Item
from perfconsole.ui.columns import Column, by_pane, cpu_text, fitting
from perfconsole.ui.line import Line
from perfconsole.ui.spark import bar
from perfconsole.ui.unit_rows import (
    COLLECTOR,
    REST_KEY,
    ailing,
    limit_text,
    listed,
    outdated,
    quota_text,
    severities,
    state_role,
    tree,
    trouble,
    without_sums,
)
from perfconsole.ui.widgets.table import ALL, TablePane

_HELD: Final = 200
_NAME_LEAST, _NAME_MOST = 26, 44
_BAR: Final = 8
_ROOMY: Final = 150
"""Cells of the pane from which on states have their reasons and shares of a limit a bar."""


def _pressure(share: float) -> str:
    return units.UNKNOWN if isnan(share) else units.percent(share)


COLUMNS: Final = (
    Column("name", "UNIT", "name", 0, 0, lambda row: row.name, right=False),
    Column("state", "STATE", "state", 12, 0, by_pane, right=False),
    Column("cpu", "CPU%", "cpu", 6, 0, by_pane),
    Column("quota", "OF QUOTA", "", 11, 5, quota_text),
    Column("throttled", "THR%", "throttled", 5, 1, lambda row: units.percent(row.throttled)),
    Column("memory", "MEM", "memory_bytes", 5, 2, lambda row: units.size(row.memory_bytes)),
    Column("limit", "LIMIT%", "memory", 6, 0, lambda row: units.percent(row.memory)),
    Column("oom", "OOM", "oom_kills", 4, 3, lambda row: units.count(row.oom_kills)),
    Column("pressure_cpu", "PSI CPU", "pressure_cpu", 7, 6, lambda row: _pressure(row.pressure_cpu)),
    Column("pressure_memory", "PSI MEM", "pressure_memory", 7, 6, lambda row: _pressure(row.pressure_memory)),
    Column("pressure_io", "PSI IO", "pressure_io", 6, 6, lambda row: _pressure(row.pressure_io)),
    Column("read", "READ/s", "read_bytes_s", 6, 7, lambda row: units.size(row.read_bytes_s)),
    Column("write", "WRITE/s", "write_bytes_s", 7, 7, lambda row: units.size(row.write_bytes_s)),
    Column("tasks", "TASKS", "tasks", 5, 4, lambda row: units.count(row.tasks)),
    Column("restarts", "RST", "restarts", 4, 8, lambda row: units.count(row.restarts)),
)

_WIDER: Final = {"state": 20, "limit": _BAR + 13}
_SEVERE: Final = {"state": "state", "throttled": "throttled", "limit": "memory", "oom": "oom_kills"}
"""Columns by the field that is judged in them."""

_QUIET_AT_ZERO: Final = {
    "throttled": "throttled", "oom": "oom_kills", "pressure_cpu": "pressure_cpu", "pressure_memory": "pressure_memory",
    "pressure_io": "pressure_io", "read": "read_bytes_s", "write": "write_bytes_s", "cpu": "cpu", "restarts": "restarts",
}  # fmt: skip


class UnitsPane(TablePane):
    """Units, services, slices, pods and containers."""

    TITLE = "Units"
    KIND = "unit"
    TREMBLING = frozenset({"cpu", "read_bytes_s", "write_bytes_s"})
    EMPTY = "no units: no cgroup is to be seen"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's word
        super().__init__("UNITS", COLUMNS, "cpu", detailed=True, id=id)
        self._outdated, self._ails, self._cpus = False, dict[str, str](), 1.0

    def table(self, state: State) -> UnitTable | None:
        """The units of the machine."""
        return state.table(UnitTable)

    def waiting(self, state: State) -> str:
        """Why there are none yet."""
        health = state.health.get((COLLECTOR, "host"))
        if health and health.error:
            return ": ".join(filter(None, (health.error, health.fix)))
        if state.past:
            return "no units are recorded at this moment"
        return f"collecting{self.look.glyphs.ellipsis}"

    def empty(self, table: Table) -> str:
        """Where there is no cgroup filesystem, that."""
        if isinstance(table, UnitTable) and not table.layout:
            return "no cgroup filesystem is mounted here: mount cgroup2 at /sys/fs/cgroup, or give the container the host's"
        return super().empty(table)

    def view(self) -> View:
        """The busiest, measured closely while somebody looks; the tree needs the ancestors too, the filter is the screen's."""
        keys = tuple(sorted({REST_KEY, *self._watched}))
        return View(self.KIND, "", self.sort, self.reverse, limit=_HELD, keys=keys, columns=("live",))

    # Order ------------------------------------------------------------------------------------------------------------------------

    @property
    def as_tree(self) -> bool:
        """Whether they stand in the tree they are in: by name."""
        return self.sort == "name"

    def arranged(self, rows: Sequence[UnitRow], room: int) -> list[Item]:
        """By name the tree; else a list in which sums do not stand above what they add up; the sum of the others last."""
        matching = select(rows, View(self.KIND, match=self.match, limit=ALL)) if self.match else list(rows)
        if self.as_tree:
            return tree(listed(matching, "name", reverse=self.reverse), self.look.glyphs)
        if not self.match:  # what was looked for is shown
            matching = without_sums(matching)
        rest = [Item(row) for row in matching if row.name == REST]
        own = [row for row in matching if row.name != REST]
        if self.sort == "state":
            return [*map(Item, listed(own, self.sort, reverse=self.reverse)), *rest]
        return [*super().arranged(own, room), *rest]

    def lay_out(self) -> None:
        """The tree, or the list again."""
        self.order_by("cpu" if self.as_tree else "name")

    def columns(self) -> list[Column]:
        """Those that fit; names share what is left."""
        width = max(self.size.width - 2, 1)
        roomy = width >= _ROOMY
        wanted = [column._replace(rank=0) if column.field == self.sort else column for column in self._wanted]
        if roomy:
            wanted = [column._replace(width=_WIDER.get(column.id, column.width)) for column in wanted]
            wanted = [column._replace(title="OF LIMIT", right=False) if column.id == "limit" else column for column in wanted]
        found = fitting(wanted, width, _NAME_LEAST)
        spare = width - sum(column.width + 1 for column in found[1:]) - 1
        return [found[0]._replace(width=max(1, min(spare, _NAME_MOST))), *found[1:]]

    def sorts(self) -> list[str]:
        """All there are: what is sorted by is shown."""
        return [column.field for column in self._wanted if column.field]

    # Words ------------------------------------------------------------------------------------------------------------------------

    def _count(self, table: Table) -> str:
        shown = sum(item.row.name != REST for item in self._items)
        counted = f"{shown} of {table.total}" if shown < table.total else f"{table.total}"
        return f"{counted}  filter {self.match!r}" if self.match else counted

    def heading(self, state: State, table: Table) -> Line:
        """The tabs, what ails how many, how many there are, and what 100 % is."""
        self._outdated = isinstance(table, UnitTable) and outdated(state, table)
        self._cpus = 1.0 if self.console_app.per_core else max(1.0, state.value("system.cpu.logical.count"))
        line = self._tabbed().gap()
        ills = ailing(table.rows) if isinstance(table, UnitTable) else []
        parts = [self._count(table), *self.notes(state, table)]
        if ills and line.left <= len(ills[0][0]) + len("  ".join(parts)) + 5:
            del parts[-1]  # what ails says more than what 100 % is
        notes = "  ".join(parts)
        for text, severity in ills:
            if line.left > len(text) + len(notes) + 5:
                line.put(f"{self.look.glyph(severity)} {text}", f"{severity}_bar").gap(2)
        return line.to(max(line.x, line.width - len(notes) - 1)).put(notes, "dim")

    def notes(self, state: State, table: Table) -> list[str]:  # noqa: ARG002  the same for all of them
        """How they are arranged, and what 100 % is."""
        return [*(["tree"] if self.as_tree else []), "CPU% of one core" if self.console_app.per_core else "CPU% of the machine"]

    def remarks(self, state: State, table: Table) -> Sequence[str]:
        """What is wrong with the table, and what limits it."""
        return [*trouble(state, table), *table.notes] if isinstance(table, UnitTable) else ()

    # Cells ------------------------------------------------------------------------------------------------------------------------

    def _row(self, item: Item, columns: Sequence[Column], state: State) -> Line:
        self._ails = severities(item.row)  # of all its cells at once
        return super()._row(item, columns, state)

    def cell(self, item: Item, column: Column, state: State) -> tuple[str, str]:  # noqa: ARG002  `heading` has looked at it
        """What is out of the ordinary with the sign of its severity, what is nothing in lesser weight."""
        row: UnitRow = item.row
        found = self._ails.get(_SEVERE.get(column.id, ""), "")
        text = self._text(row, column, self.look.glyph(found) if found else "")
        if self._outdated:
            return text, "stale"
        if column.id == "state":
            return text, state_role(row)
        if found:
            return text, found
        quiet = row.name == REST or text == units.UNKNOWN or getattr(row, _QUIET_AT_ZERO.get(column.id, ""), 1) == 0
        return text, "dim" if quiet else "foreground"

    def _text(self, row: UnitRow, column: Column, sign: str) -> str:
        if column.id == "cpu":
            return cpu_text(row.cpu / self._cpus)
        if column.id == "state":
            reason = f" {row.result}" if row.result and row.result != "success" and column.width > 12 else ""
            return f"{sign} {row.state}{reason}".lstrip()
        if column.id == "limit" and column.width > _BAR:
            text = limit_text(row)
            return f"{bar(self.look, row.memory, _BAR):<{_BAR}}{sign or ' '}{text}" if text else ""
        return sign + column.text(row)

    def _put(self, line: Line, item: Item, column: Column, state: State) -> None:
        if column.id != "name" or not item.prefix:
            super()._put(line, item, column, state)
            return
        text, role = self.cell(item, column, state)
        if item.row.kind == "group":  # called by its path, of which the tree tells all but the end
            text = text.rpartition("/")[2]
        start = line.x
        line.put(item.prefix, "border", min(len(item.prefix), column.width - 1))
        line.put(text, role, column.width - (line.x - start)).gap()

    def copied(self) -> str:
        """Its name, by which systemctl and the container's own tools know it."""
        row: UnitRow | None = self.row
        return row.name if row and row.name != REST else ""
