"""The table of endpoints: by service, worst first, with the history of each."""

from collections import Counter
from collections.abc import Sequence
from math import isnan, nan
from typing import Any, ClassVar, Final, NamedTuple
from zlib import crc32

from msgspec import structs
from rich.cells import cell_len

from perfconsole.core import units
from perfconsole.core.endpoints import STATES, TARGET, EndpointRow, EndpointTable, ServiceRow
from perfconsole.core.state import State
from perfconsole.core.tables import Key, Table, View
from perfconsole.ui import endpoints
from perfconsole.ui.arrange import Item
from perfconsole.ui.columns import Column, by_pane, fitting
from perfconsole.ui.line import Line
from perfconsole.ui.spark import fitting_window
from perfconsole.ui.widgets.table import ALL, SLACK, TablePane

_HELD: Final = 200
"""Rows asked for until somebody goes beyond them: a thousand every second would be 200 kB over a wire."""

_JUMP: Final = 1 << 16
"""Moving by so many rows is going to the end."""

_NAME_LEAST, _NAME_MOST = 8, 24
_HISTORY_LEAST, _HISTORY_MOST = 12, 90
_DETAIL_LEAST, _DETAIL_MOST = 24, 48

COLUMNS: Final = (
    Column("state", "STATE", "urgency", 13, 0, by_pane, right=False),
    Column("name", "NAME", "name", _NAME_LEAST, 0, by_pane, right=False),
    Column("code", "CODE", "status", 7, 1, endpoints.code_text, right=False),
    Column("last", "LAST", "last_s", 7, 1, endpoints.last_text),
    Column("history", "HISTORY", "", _HISTORY_LEAST, 3, by_pane, right=False),
    Column("p50", "P50", "p50_s", 5, 9, lambda row: units.latency(row.p50_s)),
    Column("p95", "P95", "p95_s", 5, 1, lambda row: units.latency(row.p95_s)),
    Column("p99", "P99", "p99_s", 5, 8, lambda row: units.latency(row.p99_s)),
    Column("n", "N", "n", 4, 7, lambda row: units.count(row.n) if row.n else ""),
    Column("error", "ERR%", "error_ratio", 4, 2, lambda row: endpoints.error_text(row.error_ratio)),
    Column("availability", "AVAIL%", "availability", 6, 5, lambda row: endpoints.availability_text(row.availability)),
    Column("certificate", "CERT", "expires", 6, 6, by_pane),
    Column("since", "FOR", "since", 6, 4, by_pane),
    Column("detail", "WHY, OR WHERE", "", 0, 10, by_pane, right=False),
)
_QUIET: Final = frozenset({"p50", "n"})
_OF_SERVICES: Final = frozenset({"p50", "p95", "p99", "n", "error", "availability"})


class Service(NamedTuple):
    """The line above the endpoints of a service.

    Attributes:
        row: What is known of it as a whole.
        worst: The most urgent state of its endpoints.
        hidden: How many of them are not listed below it.
    """

    row: ServiceRow
    worst: str
    hidden: int

    @property
    def key(self) -> Key:
        """Identity: of no endpoint's form."""
        return (crc32(self.row.name.encode()), len(self.row.name))


class EndpointsPane(TablePane):
    """All endpoints.

    Attributes:
        grouped: Those of one service stand together, under a line of its own where they are several.
    """

    TITLE = "Endpoints"
    KIND = "endpoint"
    TREMBLING: ClassVar[frozenset[str]] = frozenset({"last_s", "p50_s", "p95_s", "p99_s"})
    EMPTY = endpoints.NONE

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's word
        super().__init__("ENDPOINTS", COLUMNS, "urgency", detailed=True, id=id)
        self.grouped = True
        self._held = _HELD
        self._to_end = False
        self._folded: set[str] = set()
        self._several: frozenset[str] = frozenset()
        self._name_cells = _NAME_LEAST

    def table(self, state: State) -> EndpointTable | None:
        """The table of all."""
        return state.table(EndpointTable, TARGET)

    def waiting(self, state: State) -> str:
        """Why there is none yet."""
        health = next((health for (collector, _), health in state.health.items() if collector == "http"), None)
        if health is None and not state.every("httpcheck.up"):
            return endpoints.NONE
        return f"{health.error}  {health.fix}".strip() if health and health.error else f"collecting{self.look.glyphs.ellipsis}"

    def view(self) -> View:
        """The worst of them, or all where somebody went beyond those."""
        return View(self.KIND, TARGET, self.sort, self.reverse, self.match, self._held, tuple(sorted(self._watched)))

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
        sized = [column._replace(width=self._name_cells) if column.id == "name" else column for column in wanted]
        columns = fitting(sized, width, _DETAIL_LEAST)
        spare = max(width - sum((column.width or _DETAIL_LEAST) + 1 for column in columns), 0)
        cells = _HISTORY_LEAST + spare
        if any(column.id == "detail" for column in columns):  # words and bars share what is left
            cells = _HISTORY_LEAST + max(spare // 2, spare - (_DETAIL_MOST - _DETAIL_LEAST))
        cells = min(cells, _HISTORY_MOST)
        window = f"HISTORY {units.duration(self._window_s).removesuffix('00s')}"
        return [column._replace(width=cells, title=window) if column.id == "history" else column for column in columns]

    @property
    def _window_s(self) -> float:
        app = self.console_app
        return fitting_window(app.state.held_s, app.window_s)

    def sorts(self) -> list[str]:
        """All there are: what is sorted by is shown."""
        return [column.field for column in self._wanted if column.field]

    # Rows -------------------------------------------------------------------------------------------------------------------------

    def arranged(self, rows: Sequence[Any], room: int) -> list[Item]:
        """By name where nothing else tells two apart; with their services, which stand where the first of their endpoints does."""
        longest = max((cell_len(row.name) + 1 for row in rows), default=0)
        self._name_cells = max(_NAME_LEAST, min(longest, _NAME_MOST))
        items = super().arranged(sorted(rows, key=lambda row: row.name), room)
        table = self.table(self.console_app.state)
        self._several = frozenset()
        if self.grouped and table:
            items = self._by_service(items, table.services)
        if self._to_end and items and table and len(table.rows) >= table.total:
            self._to_end, self.selected = False, items[-1].row.key
        return items

    def _by_service(self, items: Sequence[Item], services: Sequence[ServiceRow]) -> list[Item]:
        several = {service.name: service for service in services if service.endpoints > 1}
        self._several = frozenset(several)
        members: dict[str, list[Item]] = {}
        for item in items:
            service = item.row.service
            members.setdefault(service if service in several else f"\0{item.row.name}", []).append(item)
        out: list[Item] = []
        for service, group in members.items():
            if service in several:
                worst = min((item.row.state for item in group), key=_rank)
                shown = 0 if service in self._folded else len(group)
                out.append(Item(Service(several[service], worst, several[service].endpoints - shown)))
            if service not in self._folded:
                out += group
        return out

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
        held_s = max((row.held_s for row in table.rows), default=nan)
        over = f"over the last {endpoints.lasting(held_s).removeprefix('<')}" if held_s > 0 else ""
        filtered = f"{sum(isinstance(item.row, EndpointRow) for item in self._items)} of {table.total}  filter {self.match!r}"
        held = f"{len(table.rows)} of {table.total} held" if len(table.rows) < table.total else f"{table.total}"
        line = self.title_line(self._title).gap(2).put(filtered if self.match else held, "dim").gap(2)
        for name, count in counts(table, state.at):
            glyph, word, role = endpoints.sign(self.look, name)
            text = f"{glyph} {count} {word}"
            if line.left > len(text) + len(over) + 2:
                line.put(text, role).gap(2)
        note = f"probe percentiles {over}" if over and line.left > len(over) + 20 else over
        return line.to(max(line.x, line.width - len(note) - 1)).put(note, "dim")

    def remarks(self, state: State, table: Table) -> Sequence[str]:
        """Why what is shown is not what is."""
        health = state.health.get(("http", TARGET))
        if health is None or health.state not in {"error", "denied", "stale"}:
            return ()
        age = f"shown is what was known {endpoints.lasting(state.at - table.at)} ago"
        return [": ".join(filter(None, (health.error, health.fix, age)))]

    def foot(self, state: State, table: Table) -> list[Line]:
        """Where there is no column for it, what is the matter with the selected one, or with the worst."""
        below = super().foot(state, table)
        if any(column.id == "detail" for column in self.columns()) or not table.rows:
            return below
        chosen = next((item.row for item in self._items if item.row.key == self.selected), None)
        row = chosen if isinstance(chosen, EndpointRow) else table.worst if isinstance(table, EndpointTable) else None
        if row is None:
            return below
        text, role = self._detail(row, state)
        return [self.line("panel").gap().put(row.name, "title").gap(2).put(text, role), *below]

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
        return text, "stale" if now == "stale" else "dim" if now in endpoints.CALM else role

    def _of_endpoint(self, row: EndpointRow, column: Column, state: State) -> tuple[str, str]:
        if column.id == "name":
            return f" {row.name}" if row.service in self._several else row.name, "foreground"
        if column.id == "last":
            over = [severity for limit, severity in endpoints.limits(state, row) if row.last_s > limit]
            return column.text(row), over[-1] if over else "foreground"
        if column.id == "certificate":
            severity = endpoints.certificate_severity(state, row, state.at)
            text = endpoints.days_text(row.expires - state.at) + ("" if row.verified else "!")
            return f"{self.look.glyph(severity)}{text}" if severity else text, severity or "dim"
        if column.id == "since":
            return endpoints.lasting(state.at - row.since), "dim"
        if column.id == "detail":
            return self._detail(row, state)
        if column.id == "code":
            return column.text(row), "foreground" if row.cause else "dim"
        return column.text(row), "dim" if column.id in _QUIET else "foreground"

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


def _rank(state: str) -> int:
    return STATES.index(state) if state in STATES else len(STATES)


def counts(table: EndpointTable, now: float) -> list[tuple[str, int]]:
    """States and how many are in each, the worst first; of a part of the endpoints only how many of all are down."""
    if len(table.rows) < table.total:
        down = sum(service.down for service in table.services)
        return [("down", down)] if down else []
    found = Counter(endpoints.state_of(row, now) for row in table.rows)
    return [(state, found[state]) for state in ("down", "failing", "stale", *STATES[2:]) if found[state]]
