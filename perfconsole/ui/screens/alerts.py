"""Alerts: what fires and what is about to, what somebody keeps quiet, what is over, and the silences."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult

from perfconsole.core.requests import ALERT_UNSILENCE
from perfconsole.core.tables import View
from perfconsole.core.tick import Alert
from perfconsole.ui.alerts import Entry
from perfconsole.ui.screens.alert_target import go_to_target, wanted_views
from perfconsole.ui.screens.base import ConsoleScreen
from perfconsole.ui.widgets.alerts import AlertsPane
from perfconsole.ui.widgets.pane import Pane


class AlertsScreen(ConsoleScreen):
    """One table."""

    SCOPE = "alerts"
    HINTS: ClassVar[Sequence[tuple[str, str]]] = (
        ("screen.operations", "Operations"), ("open", "open"), ("alert.ack", "acknowledge"), ("alert.silence", "silence"),
        ("filter", "filter"), ("sort", "sort"), ("alert.target", "where it is"), ("help", "help"), ("copy", "copy"), ("freeze", "freeze"),
        ("alert.runbook", "runbook"), ("alert.edit", "change the rule"), ("time.wider", "window"), ("quit", "quit"),
    )  # fmt: skip

    def body(self) -> ComposeResult:
        """The table."""
        yield AlertsPane(id="table")

    @property
    def table(self) -> AlertsPane:
        """The table."""
        return self.query_one(AlertsPane)

    @property
    def chosen(self) -> tuple[Alert, ...]:
        """The alerts that are meant: the selected one, or all of the selected line."""
        entry = self.table.entry
        return entry.members if entry else ()

    def on_mount(self) -> None:
        """Keys go to the table."""
        self.table.focus()

    def views(self) -> list[View]:
        """Of the endpoint that the selected alert is about, what its own screen needs."""
        return wanted_views(self.chosen[0]) if self.chosen else []

    async def back(self) -> None:
        """Esc takes the filter away, then goes back to Operations."""
        if self.table.match:
            self.table.filter("")
        else:
            await self.console_app.do_screen_operations()

    async def do_open(self) -> None:
        """The selected alert, or the first, in detail; of several of one rule, these below their line, or away; a silence is ended."""
        self.table.choose_one()
        entry = self.table.entry
        if entry is None:
            self.console_app.tell("there is no alert to open", "warning")
        elif entry.silence:
            await self._end(entry)
        elif entry.alert:
            from perfconsole.ui.screens.alert import AlertScreen  # noqa: PLC0415  only when opened

            await self.app.push_screen(AlertScreen(entry.alert))
        else:
            self.table.fold(entry.key)

    async def on_pane_opened(self, event: Pane.Opened) -> None:
        """A click on the selected row."""
        event.stop()
        await self.do_open()

    async def _end(self, entry: Entry) -> None:
        from perfconsole.ui.screens.alert_dialogs import end_silence  # noqa: PLC0415  only when asked

        assert entry.silence
        if self.console_app.offers(ALERT_UNSILENCE.name):
            await end_silence(self.console_app, entry.silence)
        else:
            self.console_app.tell("a silence cannot be ended from here: it is not the present, or the source is read-only", "warning")

    async def do_alert_silence(self) -> None:
        """Silence what is selected; on a silence, end it."""
        entry = self.table.entry
        if entry and entry.silence:
            await self._end(entry)
        else:
            await self.console_app.do_alert_silence()

    def do_alert_next(self) -> None:
        self.table.step(1)

    def do_alert_previous(self) -> None:
        self.table.step(-1)

    async def do_alert_target(self) -> None:
        """Go where the selected alert is."""
        if self.chosen:
            await go_to_target(self.console_app, self.chosen[0])
        else:
            self._nothing_selected()

    def do_alert_runbook(self) -> None:
        """Copy the address of the runbook of the selected alert."""
        if self.chosen:
            self.console_app.copy_runbook(self.chosen[0])
        else:
            self._nothing_selected()

    async def do_filter(self) -> None:
        """Ask for words to look for, showing matches while they are typed."""
        from perfconsole.ui.screens.prompt import ask_filter  # noqa: PLC0415  only when asked

        await ask_filter(self.app, self.table, "words  state:firing  severity:critical  rule:down  endpoint:shop")

    def do_sort(self) -> None:
        self.table.next_sort()

    def do_reverse(self) -> None:
        self.table.order_by(self.table.sort)

    def _nothing_selected(self) -> None:
        down, up = (self.console_app.keymap.sign(action) for action in ("nav.down", "nav.up"))
        self.console_app.tell(f"no alert is selected: {down} and {up} choose", "warning")
