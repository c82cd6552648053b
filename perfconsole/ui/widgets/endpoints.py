"""The table of endpoints: by service, worst first, with the history of each; below it what changed last."""

from collections.abc import Mapping, Sequence
from math import isnan, nan
from typing import Any, ClassVar, Final

from rich.cells import cell_len

from perfconsole.core import units
from perfconsole.core.endpoint_alerts import alerting
from perfconsole.core.endpoint_samples import LEAST
from perfconsole.core.endpoints import CALM, TARGET, EndpointRow, EndpointTable, ServiceRow
from perfconsole.core.series import HELD_S
from perfconsole.core.state import State
from perfconsole.core.tables import Table, View
from perfconsole.core.tick import Event
from perfconsole.ui import endpoints
from perfconsole.ui.arrange import Item
from perfconsole.ui.columns import Column, fitting
from perfconsole.ui.endpoint_rows import (
    DETAIL_LEAST,
    DETAIL_MOST,
    EVERY,
    HISTORY_LEAST,
    HISTORY_MOST,
    NAME_LEAST,
    NAME_MOST,
    Service,
    by_service,
    counts,
)
from perfconsole.ui.line import Line
from perfconsole.ui.spark import SHORTEST_S, fitting_window
from perfconsole.ui.verdict import HTTP, checked
from perfconsole.ui.widgets.endpoint_facts import began
from perfconsole.ui.widgets.table import ALL, SLACK, TablePane

_HELD: Final = 200
"""Rows asked for until somebody goes beyond them: a thousand every second would be 200 kB over a wire."""

_JUMP: Final = 1 << 16
"""Moving by so many rows is going to the end."""

_CHANGES_LEAST, _CHANGES_MOST = 2, 10
_QUIET: Final = frozenset({"p50", "n", "since"})
_BOUNDED: Final = frozenset({"p50", "p95", "p99"})
_OF_SERVICES: Final = frozenset({"p50", "p95", "p99", "n", "error", "availability"})


class EndpointsPane(TablePane):
    """All endpoints.

    Attributes:
        grouped: Those of one service stand together, under a line of its own where they are several.
    """

    TITLE = "Endpoints"
    KIND = "endpoint"
    TREMBLING: ClassVar[frozenset[str]] = frozenset({"last_s", "p50_s", "p95_s", "p99_s"})
    EMPTY = endpoints.NONE

    def __init__(
        self,
        title: str = "ENDPOINTS",
        columns: Sequence[Column] = EVERY,
        *,
        detailed: bool = True,
        held: int = _HELD,
        id: str | None = None,  # noqa: A002  Textual's word
    ) -> None:
        super().__init__(title, columns, "urgency", detailed=detailed, id=id)
        self.grouped = True
        self._held = held
        self._to_end = False
        self._folded: set[str] = set()
        self._several: frozenset[str] = frozenset()
        self._name_cells = NAME_LEAST
        self._bounded: Mapping[str, int] = {}
        self._window_s = SHORTEST_S

    def table(self, state: State) -> EndpointTable | None:
        """The table of all."""
        return endpoints.table(state)

    def waiting(self, state: State) -> str:
        """Why there is none yet."""
        if not checked(state):
            return endpoints.NONE
        health = state.health.get((HTTP, TARGET))
        return f"{health.error}  {health.fix}".strip() if health and health.error else f"collecting{self.look.glyphs.ellipsis}"

    def view(self) -> View:
        """The worst of them, or all where somebody went beyond those."""
        return View(self.KIND, TARGET, self.sort, self.reverse, self.match, self._held, tuple(sorted(self._watched)))

    def views(self) -> list[View]:
        """The same, and without the filter: how many are in which state is told of all."""
        return [self.view(), *([View(self.KIND, TARGET, "urgency", limit=self._held)] if self.match or self.sort != "urgency" else [])]

    def move(self, rows: int) -> None:
        """Where the end of those that are held comes near, ask for the others."""
        super().move(rows)
        table = self.table(self.console_app.state)
        if table and len(table.rows) < table.total and self._selected_at >= len(self._items) - SLACK and self._held != ALL:
            self._held, self._to_end = ALL, rows >= _JUMP
            self.console_app.look_at()

    # Columns ----------------------------------------------------------------------------------------------------------------------

    def columns(self) -> list[Column]:
        """Those that fit; what is sorted by is among them. Names take what they need, histories what is left."""
        width = max(self.size.width - 2, 1)
        wanted = [column._replace(rank=0) if column.field == self.sort else column for column in self._wanted]
        widths = {"name": self._name_cells, **self._bounded}
        sized = [column._replace(width=widths.get(column.id, column.width)) for column in wanted]
        columns = fitting(sized, width, DETAIL_LEAST)
        spare = max(width - sum((column.width or DETAIL_LEAST) + 1 for column in columns), 0)
        cells = HISTORY_LEAST + spare
        if any(column.id == "detail" for column in columns):  # words and bars share what is left
            cells = HISTORY_LEAST + max(spare // 2, spare - (DETAIL_MOST - DETAIL_LEAST))
        cells = min(cells, HISTORY_MOST)
        window = f"HISTORY {units.duration(self._window_s).removesuffix('00s')}"
        return [column._replace(width=cells, title=window) if column.id == "history" else column for column in columns]

    def sorts(self) -> list[str]:
        """All there are: what is sorted by is shown."""
        return [column.field for column in self._wanted if column.field]

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """The table, its histories over one window: how much of a thousand endpoints is held is not asked for every row."""
        self._window_s = fitting_window(state.held_s, self.console_app.window_s)
        return super().lines(state, width, height)

    # Rows -------------------------------------------------------------------------------------------------------------------------

    def arranged(self, rows: Sequence[Any], room: int) -> list[Item]:
        """By name where nothing else tells two apart; with their services, which stand where the first of their endpoints does."""
        table = self.table(self.console_app.state)
        services = [service for service in table.services if service.endpoints > 1] if self.grouped and table else []
        self._several = frozenset(service.name for service in services)
        longest = max((*(cell_len(row.name) + 1 for row in rows), *map(cell_len, self._several)), default=0)
        self._name_cells = max(NAME_LEAST, min(longest, NAME_MOST))
        self._bounded = self._widened([*rows, *services])
        items = super().arranged(sorted(rows, key=lambda row: row.name), room)
        state = self.console_app.state
        if self.sort == "urgency" and not self.reverse:
            alerts = alerting(state)
            items.sort(key=lambda item: -endpoints.unrest(item.row, state.at, alerts))
        if services:
            items = by_service(items, services, self._folded, state.at)
        if self._to_end and items and table and len(table.rows) >= table.total:
            self._to_end, self.selected = False, items[-1].row.key
        return items

    def _widened(self, rows: Sequence[EndpointRow | ServiceRow]) -> Mapping[str, int]:
        """Widths of percentiles of which one is a lower bound: nowhere else is there room for its sign."""
        cut = [row for row in rows if not isnan(row.cut_s)]
        columns = [column for column in self._wanted if column.id in _BOUNDED] if cut else []
        return {column.id: max(column.width, *(len(column.text(row)) for row in cut)) for column in columns}

    def turn(self) -> None:
        """Group by service, or not."""
        self.grouped = not self.grouped
        self.repaint_rows()

    def fold(self, service: str) -> None:
        """Hide the endpoints of a service, or show them again."""
        self._folded ^= {service}
        self.repaint_rows()

    @property
    def endpoint(self) -> EndpointRow | None:
        """The selected endpoint."""
        row = self.row
        return row if isinstance(row, EndpointRow) else None

    # Words ------------------------------------------------------------------------------------------------------------------------

    def heading(self, state: State, table: Table) -> Line:
        """How many, how many of them in which state, and over what time the numbers are."""
        assert isinstance(table, EndpointTable)
        filtered = f"{sum(isinstance(item.row, EndpointRow) for item in self._items)} of {table.total}  filter {self.match!r}"
        held = f"{len(table.rows)} of {table.total} held" if len(table.rows) < table.total else f"{table.total}"
        line = self.title_line(self._title).gap(2).put(filtered if self.match else held, "dim").gap(2)
        notes = self._notes(table)
        self.put_counts(line, state, table, len(notes[-1]))
        note = next((note for note in notes if line.left > len(note) + 1), "")
        return line.to(max(line.x, line.width - len(note) - 1)).put(note, "dim")

    def _notes(self, table: EndpointTable) -> list[str]:
        """Over what time the numbers are, the longest first; that what is checked rarely has its last hundred checks is said if it fits."""
        usual = [row.held_s for row in table.rows if LEAST * row.interval_s <= HELD_S and row.held_s > 0]
        over = max(usual or [row.held_s for row in table.rows], default=nan)
        if not over > 0:
            return [""]
        lasted = endpoints.lasting(over).removeprefix("<")
        rare = any(row.held_s > max(HELD_S, over) for row in table.rows) if usual else False
        last = f"up to {lasted}" if not usual else f"the last {lasted}"
        whole = f"probe percentiles over {last}"
        longest = [f"{whole}, of rare checks over 100 of them"] if rare else []
        return [*longest, whole, f"probe p95, {last.removeprefix('the ')}", "probe p95"]

    def put_counts(self, line: Line, state: State, table: EndpointTable, spared: int) -> None:
        """How many are in which state, as many as there is room for; `spared` cells matter more than those that ask for no look."""
        for name, count in counts(table, state.at, self._held):
            glyph, word, role = endpoints.sign(self.look, name)
            text = f"{glyph} {count} {word}"
            if line.left > len(text) + 2 + (spared + 2 if name in CALM else 0):
                line.put(text, role).gap(2)

    def remarks(self, state: State, table: Table) -> Sequence[str]:
        """Why what is shown is not what is."""
        health = state.health.get(("http", TARGET))
        if health is None or health.state not in {"error", "denied", "stale"}:
            return ()
        age = f"shown is what was known {endpoints.lasting(state.at - table.at)} ago"
        return [": ".join(filter(None, (health.error, health.fix, age)))]

    def foot(self, state: State, table: Table) -> list[Line]:
        """Where there is no column for it, what is the matter with the selected one, or with the worst; with room left, what changed."""
        assert isinstance(table, EndpointTable)
        below = super().foot(state, table)
        shown = {column.id for column in self.columns()}
        if table.worst is not None and "detail" not in shown:
            chosen = next((item.row for item in self._items if item.row.key == self.selected), table.worst)
            below = [self._about(chosen, state, counted="n" in shown), *below]
        return [*self._changes(state, self.size.height - 3 - len(self._items) - len(below)), *below]

    def _about(self, chosen: EndpointRow | Service, state: State, *, counted: bool) -> Line:
        """One of them in a line, with the number of its probes unless there is a column for that."""
        row = chosen.row if isinstance(chosen, Service) else chosen
        told = (f"{row.down} of {row.endpoints} down", "foreground") if isinstance(row, ServiceRow) else self._detail(row, state)
        n = "" if counted or not row.n else f"{units.count(row.n)} probes"
        line = self.line("panel").gap().put(row.name, "title").gap(2)
        line.put(*told, min(cell_len(told[0]), line.left - len(n) - 2))
        return line.to(line.width - len(n) - 1).put(n, "dim")

    def _changes(self, state: State, room: int) -> list[Line]:
        """What changed last, the newest first."""
        names = {item.row.name for item in self._items if isinstance(item.row, EndpointRow)}
        found = endpoints.changes(state, names, min(room - 1, _CHANGES_MOST)) if room > _CHANGES_LEAST else []
        return [self.line("panel").gap().put("CHANGED LAST", "title"), *(self._change(event, state) for event in found)] if found else []

    def _change(self, event: Event, state: State) -> Line:
        change = endpoints.change(event)
        glyph, word, role = endpoints.sign(self.look, change.state)
        line = self.line().gap().put(began(change.at, state.at), "dim").gap(2)
        text = f"{glyph} {word}"
        line.put(text, f"{role}_bar").gap(max(1, 14 - len(text))).put(event.scope, "foreground", self._name_cells).gap()
        return line.put(change.text, "dim")

    def _detail(self, row: EndpointRow, state: State) -> tuple[str, str]:
        """What is the matter, or where it is."""
        found = endpoints.why(row, state.at)
        return (found, "foreground" if endpoints.ails(row, state.at) else "dim") if found else (row.url, "dim")

    # Cells ------------------------------------------------------------------------------------------------------------------------

    def cell(self, item: Item, column: Column, state: State) -> tuple[str, str]:
        """What is the matter stands out; what counts for nothing now is dimmed."""
        if isinstance(item.row, Service):
            return self._of_service(item.row, column)
        row: EndpointRow = item.row
        now = endpoints.state_of(row, state.at)
        if column.id == "state":
            glyph, word, role = endpoints.sign(self.look, now)
            return f"{glyph} {word}", role
        text, role = self._of_endpoint(row, column, state)
        return text, "stale" if now == "stale" else "dim" if now in CALM else role

    def _of_endpoint(self, row: EndpointRow, column: Column, state: State) -> tuple[str, str]:
        if column.id == "last":
            over = [severity for limit, severity in endpoints.limits(state, row) if row.last_s > limit]
            return column.text(row), over[-1] if over else "foreground"
        if column.id == "certificate":
            severity = endpoints.certificate_severity(state, row, state.at)
            text = endpoints.days_text(row.expires - state.at) + ("" if row.verified else "!")
            return f"{self.look.glyph(severity)}{text}" if severity else text, severity or "dim"
        if column.id == "detail":
            return self._detail(row, state)
        texts = {"name": f" {row.name}" if row.service in self._several else row.name, "since": endpoints.lasting(state.at - row.since)}
        quiet = column.id in _QUIET or (column.id == "code" and not row.cause)
        return texts.get(column.id) or column.text(row), "dim" if quiet else "foreground"

    def _of_service(self, service: Service, column: Column) -> tuple[str, str]:
        row = service.row
        if column.id == "state":
            glyph, _, role = endpoints.sign(self.look, service.worst)
            return f"{glyph} {row.down}/{row.endpoints} down" if row.down else f"{glyph} {row.endpoints}", role
        if column.id == "name":
            return row.name, "title"
        if column.id == "history":
            return f"{service.hidden} not shown" if service.hidden else "", "dim"
        return (column.text(row), "foreground") if column.id in _OF_SERVICES else ("", "dim")

    def _put(self, line: Line, item: Item, column: Column, state: State) -> None:
        """A history has a style a cell; a state is no block of its colour."""
        start = line.x
        if column.id == "history" and isinstance(item.row, EndpointRow):
            values = endpoints.history(state, item.row, column.width, self._window_s)
            endpoints.put_history(line, self.look, values, endpoints.limits(state, item.row))
        elif column.id == "state":
            text, role = self.cell(item, column, state)
            line.put(text, role, min(cell_len(text), column.width))
        else:
            super()._put(line, item, column, state)
            return
        line.to(start + column.width).gap()

    def copied(self) -> str:
        """What the selected line tells."""
        row = self.row
        if isinstance(row, EndpointRow):
            return endpoints.copied(row, self.console_app.state.at)
        return f"{row.row.name}: {row.row.down} of {row.row.endpoints} down" if isinstance(row, Service) else ""
