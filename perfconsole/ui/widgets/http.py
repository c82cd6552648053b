"""HTTP on the Operations screen: the endpoints that ask for a look first; above them how many are well, and the worst of their numbers."""

from collections.abc import Iterator, Sequence
from math import isnan
from typing import Final

from rich.cells import cell_len

from perfconsole.core import units
from perfconsole.core.endpoints import EndpointRow, EndpointTable
from perfconsole.core.state import State
from perfconsole.core.tables import Table
from perfconsole.ui import endpoints
from perfconsole.ui.arrange import Item
from perfconsole.ui.columns import Column
from perfconsole.ui.endpoint_rows import BRIEF, slowest
from perfconsole.ui.line import Line
from perfconsole.ui.widgets.endpoints import EndpointsPane

_HELD: Final = 20
"""Of the most urgent ones; those with an alert are known beside them, see `verdict.views`."""

_HEADED: Final = 6
"""Lines from which on one of them is spent on the heads of columns."""

_SHORT: Final = 20
_TALL: Final = 30
_FEW: Final = 3
_OTHERS: Final = 18
"""Rows of a tall screen that belong to the machine; of the rest a third is for endpoints."""

_ROOMY: Final = 100
_STATE_CELLS: Final = 13


def room(rows: int) -> int:
    """How many endpoints a screen of so many rows has a line for."""
    return 1 if rows < _SHORT else _FEW if rows < _TALL else max(_FEW, (rows - _OTHERS) // 3)


class HttpPane(EndpointsPane):
    """The worst endpoints.

    Attributes:
        expanded: It has the whole screen.
    """

    TITLE = "HTTP"

    def __init__(self) -> None:
        super().__init__("HTTP", BRIEF, detailed=False, held=_HELD, id="http")
        self.grouped = False
        self._expanded = False
        self._asked = 0
        self._columns: frozenset[str] = frozenset()

    def on_mount(self) -> None:
        """It comes when there is something to show: that has to be asked for."""
        self.console_app.look_at()

    @property
    def expanded(self) -> bool:
        """Whether it has the whole screen."""
        return self._expanded

    @expanded.setter
    def expanded(self, large: bool) -> None:
        self._expanded, self._asked = large, 0
        if large:
            self.styles.height = None  # what the style sheet says of a large pane

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """A title and as many of them as the screen has room for."""
        table = self.table(state)
        known = min(room(self.screen.size.height), table.total if table else 1)
        self.headed = self._expanded or known + 2 >= _HEADED
        wanted = 1 + int(self.headed) + known
        if not self._expanded and self._asked != wanted:
            self._asked = wanted
            self.styles.height = wanted
        return super().lines(state, width, height)

    def columns(self) -> list[Column]:
        """Those that fit; cells of others say what there is no column for."""
        columns = super().columns()
        self._columns = frozenset(column.id for column in columns)
        return columns

    def heading(self, state: State, table: Table) -> Line:
        """How many are in which state; then the slowest, the share of errors, the certificate that ends first."""
        assert isinstance(table, EndpointTable)
        line = self.title_line(self._title).gap(2)
        facts = list(self._facts(state, table))
        self.put_counts(line, state, table, cell_len(facts[0][0]) if facts else 0)
        told, left = [], line.left - 1
        for fact in facts:
            if cell_len(fact[0]) <= left:
                told.append(fact)
                left -= cell_len(fact[0]) + 2
        line.to(line.width - 1 - sum(cell_len(text) + 2 for text, _ in told) + 2 * bool(told))
        for text, role in told:
            line.put(text, role).gap(2)
        return line

    def _facts(self, state: State, table: EndpointTable) -> Iterator[tuple[str, str]]:
        """What is known of all of them together, the most telling first."""
        remarks = super().remarks(state, table)
        if remarks:
            told = remarks[0] if self.size.width >= _ROOMY else f"as of {endpoints.lasting(state.at - table.at)} ago"
            yield f"{self.look.glyph('stale')} {told}", "stale"
            return
        row = slowest(table)
        if row is not None:
            worst = "worst probe" if self.size.width >= _ROOMY else "probe"
            yield f"{worst} p95 {endpoints.bound_text(row.p95_s, row.cut_s)} {row.name} n {units.count(row.n)}", "foreground"
        errors = state.value("httpcheck.error.ratio")
        if not isnan(errors):
            yield f"errors {endpoints.error_text(errors)}% in 1m", "foreground" if errors else "dim"
        ends = [row for row in table.rows if not isnan(row.expires)]
        if ends:
            first = min(ends, key=lambda row: row.expires)
            severity = endpoints.certificate_severity(state, first, state.at)
            left = endpoints.days_text(abs(first.expires - state.at))
            yield f"cert {first.name} " + (f"ends in {left}" if first.expires > state.at else f"ended {left} ago"), severity or "dim"

    def remarks(self, state: State, table: Table) -> Sequence[str]:
        """Those stand in the title, unless there is room for them."""
        return super().remarks(state, table) if self._expanded else ()

    def foot(self, state: State, table: Table) -> list[Line]:
        """What changed last, where there is room for it."""
        return super().foot(state, table) if self._expanded else []

    def cell(self, item: Item, column: Column, state: State) -> tuple[str, str]:
        """Since when something is the matter stands with what is, where there is no column for it."""
        text, role = super().cell(item, column, state)
        if column.id == "state" and role in {"critical", "warning"} and "since" not in self._columns:
            since = endpoints.lasting(state.at - item.row.since)
            return (f"{text} {since}", role) if len(text) + len(since) < _STATE_CELLS else (text, role)
        return text, role

    def _detail(self, row: EndpointRow, state: State) -> tuple[str, str]:
        """What is the matter; of one that is well its numbers, where there are no columns for them."""
        if "p95" in self._columns or endpoints.why(row, state.at):
            return super()._detail(row, state)
        return endpoints.numbers(row, state.at), "dim"
