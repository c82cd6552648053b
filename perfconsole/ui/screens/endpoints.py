"""Endpoints: all that is checked, by service, worst first."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult

from perfconsole.core.endpoints import EndpointRow
from perfconsole.core.requests import HTTP_CHECK, Done, EndpointArgs
from perfconsole.core.tables import View
from perfconsole.ui.endpoint_rows import Service
from perfconsole.ui.screens.base import ConsoleScreen
from perfconsole.ui.widgets.endpoints import EndpointsPane
from perfconsole.ui.widgets.pane import Pane


class EndpointsScreen(ConsoleScreen):
    """One table."""

    SCOPE = "endpoints"
    HINTS: ClassVar[Sequence[tuple[str, str]]] = (
        ("screen.operations", "Operations"), ("open", "open"), ("endpoint.check", "check now"), ("filter", "filter"), ("sort", "sort"),
        ("endpoint.group", "by service"), ("help", "help"), ("freeze", "freeze"), ("time.wider", "window"), ("copy", "copy"),
        ("endpoint.runbook", "runbook"), ("quit", "quit"),
    )  # fmt: skip

    def body(self) -> ComposeResult:
        """The table."""
        yield EndpointsPane(id="table")

    @property
    def table(self) -> EndpointsPane:
        """The table."""
        return self.query_one(EndpointsPane)

    def on_mount(self) -> None:
        """Keys go to the table."""
        self.table.focus()

    def views(self) -> list[View]:
        """What the table shows."""
        return [view for table in self.query(EndpointsPane) for view in table.views()]

    @property
    def concern(self) -> tuple[str, str] | None:
        """What alerts are to be about to be meant here: the selected endpoint, or all of the selected service; None while none is."""
        row = self.table.row
        if row is None:
            return None
        return ("service", row.row.name) if isinstance(row, Service) else ("endpoint", row.name)

    def can(self, action_id: str) -> bool:
        """A check needs a source that carries it out."""
        return action_id != "endpoint.check" or self.console_app.offers(HTTP_CHECK.name)

    async def back(self) -> None:
        """Esc takes the filter away, then goes back to Operations."""
        if self.table.match:
            self.table.filter("")
        else:
            await self.console_app.do_screen_operations()

    async def do_open(self) -> None:
        """The selected endpoint, else the first, in detail; of a service, its endpoints away or back."""
        from perfconsole.ui.screens.endpoint import EndpointScreen  # noqa: PLC0415  only when opened

        table, chosen = self.table, self.table.selected is not None
        table.choose_one()
        if isinstance(table.row, Service) and not chosen:  # nobody asked for its endpoints to go away
            table.move(1)
        row = table.row
        if isinstance(row, EndpointRow):
            await self.app.push_screen(EndpointScreen(row))
        elif isinstance(row, Service):
            self.table.fold(row.row.name)
        else:
            self._nothing_selected()

    async def on_pane_opened(self, event: Pane.Opened) -> None:
        """A click on the selected row."""
        event.stop()
        await self.do_open()

    async def do_filter(self) -> None:
        """Ask for words to look for, showing matches while they are typed."""
        from perfconsole.ui.screens.prompt import ask_filter  # noqa: PLC0415  only when asked

        await ask_filter(self.app, self.table, "words  state:down  service:shop  cause:timeout")

    def do_sort(self) -> None:
        self.table.next_sort()

    def do_reverse(self) -> None:
        self.table.order_by(self.table.sort)

    def do_endpoint_group(self) -> None:
        self.table.turn()

    def do_endpoint_check(self) -> None:
        """Check the selected endpoint now."""
        app, row = self.console_app, self.table.endpoint
        if row is None:
            self._nothing_selected()
            return
        app.tell(f"{row.name}: checking{app.look.glyphs.ellipsis}")

        async def check() -> None:
            done = await app.ask(HTTP_CHECK.name, EndpointArgs(row.name))
            if isinstance(done, Done):
                app.tell(done.text)

        app.run_worker(check())

    def do_endpoint_runbook(self) -> None:
        """Copy the address of the selected endpoint's runbook."""
        app, row = self.console_app, self.table.endpoint
        if row is None:
            self._nothing_selected()
        elif row.runbook:
            app.copy_to_clipboard(row.runbook)
            app.tell(f"copied: {row.runbook}")
        else:
            app.tell(f'{row.name} has no runbook: runbook = "https://..." where it is configured', "warning")

    def _nothing_selected(self) -> None:
        down, up = (self.console_app.keymap.sign(action) for action in ("nav.down", "nav.up"))
        self.console_app.tell(f"no endpoint is selected: {down} and {up} choose", "warning")
