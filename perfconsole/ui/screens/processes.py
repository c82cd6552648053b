"""Processes: the whole table, with filter, tree, groups, detail and actions; behind it that of the units they are in."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult

from perfconsole.core.requests import PROCESS_RENICE, PROCESS_SIGNAL
from perfconsole.core.tables import View
from perfconsole.core.unit_rows import REST
from perfconsole.ui.columns import DEFAULT, PROCESS
from perfconsole.ui.screens.base import ConsoleScreen
from perfconsole.ui.widgets.pane import Pane
from perfconsole.ui.widgets.processes import ProcessPane
from perfconsole.ui.widgets.table import TablePane

if TYPE_CHECKING:
    from perfconsole.ui.widgets.units import UnitsPane

_TABS: Final = ("PROCESSES", "UNITS")
_OF_PROCESSES: Final = frozenset({"process.signal", "process.renice", "process.sort_pid", "process.group_program", "process.group_unit"})
"""What has no meaning for units."""

_NEEDS = {"process.signal": PROCESS_SIGNAL.name, "process.renice": PROCESS_RENICE.name}


class ProcessesScreen(ConsoleScreen):
    """One table at a time: processes, or units and containers."""

    SCOPE = "processes"
    HINTS: ClassVar[Sequence[tuple[str, str]]] = (
        ("screen.operations", "Operations"), ("filter", "filter"), ("open", "open"), ("process.units", "units"), ("process.tree", "tree"),
        ("process.signal", "signal"), ("sort", "sort"), ("freeze", "freeze"), ("help", "help"), ("process.group_program", "by program"),
        ("process.group_unit", "by unit"), ("process.renice", "renice"), ("quit", "quit"),
    )  # fmt: skip
    _units: "UnitsPane | None" = None

    def body(self) -> ComposeResult:
        """The table."""
        table = ProcessPane(_TABS[0], self._columns(), detailed=True, id="table")
        table.tabs = _TABS
        yield table

    def _columns(self) -> Sequence[str]:
        return self.console_app.settings.columns or DEFAULT

    @property
    def table(self) -> ProcessPane:
        """The table of processes."""
        return self.query_one(ProcessPane)

    @property
    def units(self) -> "UnitsPane | None":
        """The table of units, while it is in front."""
        return self._units if self._units is not None and self._units.display else None

    @property
    def front(self) -> "ProcessPane | UnitsPane":
        """The table in front."""
        return self.units or self.table

    @property
    def pane(self) -> Pane | None:
        """The table in front: the focus follows a moment later, and what is typed right after is meant for where that leads."""
        return self.units or super().pane

    def on_mount(self) -> None:
        """As configured."""
        settings = self.console_app.settings
        self.table.sort = PROCESS[settings.sort].field
        self.table.shape = "tree" if settings.tree else "list"
        self.table.focus()

    def views(self) -> list[View]:
        """What the table in front shows."""
        return [self.front.view()] if self.query(ProcessPane) else []

    def hints(self) -> Sequence[tuple[str, str]]:
        """The other table by its name."""
        return [(action, "processes" if action == "process.units" and self.units else title) for action, title in self.HINTS]

    def can(self, action_id: str) -> bool:
        """Actions on a process need a source that offers them, and a process."""
        if self.units and action_id in _OF_PROCESSES:
            return False
        op = _NEEDS.get(action_id)
        return op is None or (self.console_app.offers(op) and self.table.shape in {"list", "tree"})

    async def back(self) -> None:
        """Esc takes the filter away, then the arrangement, then leads from units to processes, then to Operations."""
        if self.front.match:
            self.front.filter("")
        elif self.units:
            if self.units.as_tree:
                self.units.lay_out()
            else:
                self.do_process_units()
        elif self.table.shape != "list":
            self.table.lay_out(self.table.shape)
        else:
            await self.console_app.do_screen_operations()

    def do_process_units(self) -> None:
        """Turn from one table to the other."""
        if self._units is None:
            from perfconsole.ui.widgets.units import UnitsPane  # noqa: PLC0415  only where somebody looks

            self._units = UnitsPane(id="units")
            self._units.tabs, self._units.display = _TABS, False
            self.mount(self._units, after=self.table)
        self._bring(self.table if self._units.display else self._units)

    def _bring(self, front: TablePane) -> None:
        for table in self.query(TablePane):
            table.display = table is front
        self.set_focus(front)
        self.console_app.look_at()
        self.call_after_refresh(self.show, self.console_app.state)

    def on_table_pane_tab_chosen(self, event: TablePane.TabChosen) -> None:
        """A click on a title."""
        if bool(event.place) != bool(self.units):
            self.do_process_units()

    async def do_open(self) -> None:
        """The selected process or unit, else the first, in detail."""
        self.front.choose_one()
        if self.units:
            await self._open_unit(self.units)
            return
        from perfconsole.ui.screens.process import ProcessScreen  # noqa: PLC0415  only when opened

        if self.table.row:
            await self.app.push_screen(ProcessScreen(self.table.row))

    async def _open_unit(self, table: "UnitsPane") -> None:
        from perfconsole.ui.screens.unit import UnitScreen  # noqa: PLC0415  only when opened

        if table.row and table.row.name != REST:
            await self.app.push_screen(UnitScreen(table.row))
        elif table.row:
            self.console_app.tell("the sum of those that are not shown: a filter finds each of them that is held", "warning")

    async def on_pane_opened(self, event: Pane.Opened) -> None:
        """A click on the selected row."""
        event.stop()
        await self.do_open()

    async def do_filter(self) -> None:
        """Ask for words to look for, showing matches while they are typed."""
        from perfconsole.ui.screens.prompt import ask_filter  # noqa: PLC0415  only when asked

        where = "name, kind, state or path" if self.units else "name, command, user, unit or pid"
        await ask_filter(self.app, self.front, f"words in {where}")

    def do_sort(self) -> None:
        self.front.next_sort()

    def do_reverse(self) -> None:
        self.front.order_by(self.front.sort)

    def do_process_tree(self) -> None:
        if self.units:
            self.units.lay_out()
        else:
            self.table.lay_out("tree")

    def do_process_group_program(self) -> None:
        self.table.lay_out("name")

    def do_process_group_unit(self) -> None:
        self.table.lay_out("unit")

    def do_process_sort_memory(self) -> None:
        self.front.order_by("memory_bytes")

    def do_process_sort_cpu(self) -> None:
        self.front.order_by("cpu")

    def do_process_sort_pid(self) -> None:
        self.table.order_by("pid")

    async def do_process_signal(self) -> None:
        """Choose a signal for the selected process."""
        from perfconsole.ui.screens.dialogs import send_signal  # noqa: PLC0415  only when asked

        if self.table.row:
            await send_signal(self.console_app, self.table.row)
        else:
            self._nothing_selected()

    async def do_process_renice(self) -> None:
        """Set the nice value of the selected process."""
        from perfconsole.ui.screens.dialogs import renice  # noqa: PLC0415  only when asked

        if self.table.row:
            await renice(self.console_app, self.table.row)
        else:
            self._nothing_selected()

    def _nothing_selected(self) -> None:
        """Such a thing is never done to one that nobody chose."""
        down, up = (self.console_app.keymap.sign(action) for action in ("nav.down", "nav.up"))
        self.console_app.tell(f"no process is selected: {down} and {up} choose", "warning")
