"""Processes: the whole table, with filter, tree, groups, detail and actions."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult

from perfconsole.core.requests import PROCESS_RENICE, PROCESS_SIGNAL
from perfconsole.core.tables import View
from perfconsole.ui.columns import DEFAULT, PROCESS
from perfconsole.ui.screens.base import ConsoleScreen
from perfconsole.ui.widgets.pane import Pane
from perfconsole.ui.widgets.processes import ProcessPane

_NEEDS = {"process.signal": PROCESS_SIGNAL.name, "process.renice": PROCESS_RENICE.name}


class ProcessesScreen(ConsoleScreen):
    """One table."""

    SCOPE = "processes"
    HINTS: ClassVar[Sequence[tuple[str, str]]] = (
        ("screen.operations", "Operations"), ("filter", "filter"), ("sort", "sort"), ("open", "open"), ("process.tree", "tree"),
        ("process.signal", "signal"), ("freeze", "freeze"), ("help", "help"), ("process.group_program", "by program"),
        ("process.group_unit", "by unit"), ("process.renice", "renice"), ("quit", "quit"),
    )  # fmt: skip

    def body(self) -> ComposeResult:
        """The table."""
        yield ProcessPane("PROCESSES", self._columns(), detailed=True, id="table")

    def _columns(self) -> Sequence[str]:
        return self.console_app.settings.columns or DEFAULT

    @property
    def table(self) -> ProcessPane:
        """The table."""
        return self.query_one(ProcessPane)

    def on_mount(self) -> None:
        """As configured."""
        settings = self.console_app.settings
        self.table.sort = PROCESS[settings.sort].field
        self.table.shape = "tree" if settings.tree else "list"
        self.table.focus()

    def views(self) -> list[View]:
        """What the table shows."""
        return [table.view() for table in self.query(ProcessPane)]

    def can(self, action_id: str) -> bool:
        """Actions on a process need a source that offers them, and a process."""
        op = _NEEDS.get(action_id)
        return op is None or (self.console_app.offers(op) and self.table.shape in {"list", "tree"})

    async def back(self) -> None:
        """Esc takes the filter away, then the arrangement, then goes back to Operations."""
        if self.table.match:
            self.table.filter("")
        elif self.table.shape != "list":
            self.table.lay_out(self.table.shape)
        else:
            await self.console_app.do_screen_operations()

    async def do_open(self) -> None:
        """The selected process in detail."""
        from perfconsole.ui.screens.process import ProcessScreen  # noqa: PLC0415  only when opened

        if self.table.row:
            await self.app.push_screen(ProcessScreen(self.table.row))

    async def on_pane_opened(self, event: Pane.Opened) -> None:
        """A click on the selected row."""
        event.stop()
        await self.do_open()

    async def do_filter(self) -> None:
        """Ask for words to look for, showing matches while they are typed."""
        from perfconsole.ui.screens.prompt import Prompt  # noqa: PLC0415  only when asked

        before = self.table.match

        def take(found: str | None) -> None:
            self.table.filter(before if found is None else found)

        await self.app.push_screen(Prompt("filter: words in name, command, user, unit or pid", before, changed=self.table.filter), take)

    def do_sort(self) -> None:
        self.table.next_sort()

    def do_reverse(self) -> None:
        self.table.order_by(self.table.sort)

    def do_process_tree(self) -> None:
        self.table.lay_out("tree")

    def do_process_group_program(self) -> None:
        self.table.lay_out("name")

    def do_process_group_unit(self) -> None:
        self.table.lay_out("unit")

    def do_process_sort_memory(self) -> None:
        self.table.order_by("memory_bytes")

    def do_process_sort_cpu(self) -> None:
        self.table.order_by("cpu")

    def do_process_sort_pid(self) -> None:
        self.table.order_by("pid")

    async def do_process_signal(self) -> None:
        """Choose a signal for the selected process."""
        from perfconsole.ui.screens.dialogs import send_signal  # noqa: PLC0415  only when asked

        if self.table.row:
            await send_signal(self.console_app, self.table.row)

    async def do_process_renice(self) -> None:
        """Set the nice value of the selected process."""
        from perfconsole.ui.screens.dialogs import renice  # noqa: PLC0415  only when asked

        if self.table.row:
            await renice(self.console_app, self.table.row)
