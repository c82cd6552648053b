"""Operations: is it the box, the service or the database, since when, and what should be looked at first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.containers import Vertical

from perfconsole.core.endpoints import EndpointRow
from perfconsole.core.login_rows import LoginTable
from perfconsole.core.requests import SYSTEM_DETAIL
from perfconsole.core.state import State
from perfconsole.core.tables import View
from perfconsole.core.tick import Alert, Event
from perfconsole.ui.changes import ALERT, RECENT_S
from perfconsole.ui.screens.base import ConsoleScreen
from perfconsole.ui.verdict import checked
from perfconsole.ui.widgets.over import OverPane
from perfconsole.ui.widgets.pane import Pane
from perfconsole.ui.widgets.places import PlacesPane
from perfconsole.ui.widgets.processes import ProcessPane
from perfconsole.ui.widgets.system import SystemPane
from perfconsole.ui.widgets.table import TablePane

if TYPE_CHECKING:
    from perfconsole.ui.widgets.changes import ChangesPane
    from perfconsole.ui.widgets.http import HttpPane


_LOGINS: Final = View("login", "", "failed", limit=100)
"""As `ui.logins` has it, which is imported once there are any."""


class OperationsScreen(ConsoleScreen):
    """System rows, what is over its threshold, what changed of late, the worst endpoints, top processes; PostgreSQL has its place."""

    SCOPE = "operations"
    AUTO_FOCUS = "#top"
    """Keys go to the processes first: they are what one drills into."""
    HINTS: ClassVar[Sequence[tuple[str, str]]] = (
        ("screen.queries", "Queries"), ("screen.endpoints", "Endpoints"), ("screen.processes", "Processes"), ("screen.alerts", "Alerts"),
        ("pane.next", "pane"), ("expand", "expand"), ("freeze", "freeze"), ("time.wider", "window"), ("screen.changes", "Changes"),
        ("system.detail", "this machine"), ("mark", "mark"), ("note", "note"), ("help", "help"), ("quit", "quit"),
    )  # fmt: skip
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]

    _http: "HttpPane | None" = None
    _changes: "ChangesPane | None" = None

    def body(self) -> ComposeResult:
        """System and thresholds above, processes and places below."""
        with Vertical(id="upper"):
            yield SystemPane(id="system")
            with Vertical(id="beside"):
                yield OverPane(id="over")
        yield ProcessPane("TOP PROCESSES", id="top")
        yield PlacesPane()

    def views(self) -> list[View]:
        """The top processes, and the worst endpoints."""
        views = [*(top.view() for top in self.walk_children(ProcessPane) if top.display), _LOGINS]
        return [*views, *(self._http.views() if self._http is not None and self._http.display else [])]

    def show(self, state: State) -> None:
        """Bring all panes up to date, that of endpoints too as soon as there are any."""
        self._have_all(state)
        super().show(state)

    def repaint(self) -> None:
        """Likewise."""
        self._have_all(self.console_app.state)
        super().repaint()

    def _have_all(self, state: State) -> None:
        """Have the panes of which there is something to tell."""
        self._have_http(state)
        self._have_changes(state)
        if state.table(LoginTable):
            from perfconsole.ui.widgets.logins import have_line  # noqa: PLC0415  what it imports is nobody's business before

            have_line(self, state, "#top")

    def _have_http(self, state: State) -> None:
        """Have a pane for endpoints where there are any: what it imports is nobody's business before."""
        there = checked(state)
        if there and self._http is None:
            from perfconsole.ui.widgets.http import HttpPane  # noqa: PLC0415  see above

            self._http = HttpPane()
            self.mount(self._http, before="#top")
        if self.has_class("-http") != there:
            self.set_class(there, "-http")
            self.call_after_refresh(self.console_app.look_at)

    def _have_changes(self, state: State) -> None:
        """Have a pane for what changed as soon as something has, of late; alerts alone have a list of their own."""
        there = any(event.time_hi > state.at - RECENT_S and event.kind != ALERT for event in state.events)
        if there and self._changes is None:
            from perfconsole.ui.widgets.changes import ChangesPane  # noqa: PLC0415  as above

            self._changes = ChangesPane(id="changes")
            self.query_one("#beside").mount(self._changes)
        if self.has_class("-changes") != there:
            self.set_class(there, "-changes")

    def can(self, action_id: str) -> bool:
        """The machine in detail is read of a live one; who tried to get in is known of a past one, too."""
        return action_id != "system.detail" or self.console_app.offers(SYSTEM_DETAIL.name) or self.console_app.replaying

    async def do_system_detail(self) -> None:
        from perfconsole.ui.screens.system import open_system  # noqa: PLC0415  only when asked

        await open_system(self.console_app)

    def choose_change(self, event: Event) -> None:
        """Select something that changed, if it is among what is told here."""
        if self._changes is not None:
            self._changes.choose(event)

    @property
    def chosen(self) -> tuple[Alert, ...]:
        """The alerts of the selected line, while the list of them has the keys."""
        entry = self.pane.entry if isinstance(self.pane, OverPane) else None
        return entry.members if entry and not entry.alert.colour else ()

    @property
    def concern(self) -> tuple[str, str] | None:
        """What alerts are to be about to be meant here: the endpoint that is selected, while endpoints have the keys."""
        row = self.pane.endpoint if self._http is not None and self.pane is self._http else None
        return ("endpoint", row.name) if row else None

    def do_expand(self) -> None:
        """Give the whole screen to the pane with the focus, or back."""
        pane = self.pane
        if self.has_class("-expanded"):
            self._collapse()
        elif pane is not None and pane.TITLE:
            self.add_class("-expanded")
            pane.add_class("-large")
            for place in self.query("#upper, #beside"):
                place.set_class(pane not in place.query(Pane), "-aside")
            self._expand(pane, large=True)

    def _collapse(self) -> None:
        for pane in self.query(".-large").results(Pane):
            pane.remove_class("-large")
            self._expand(pane, large=False)
        self.remove_class("-expanded")
        self.query("#upper, #beside").remove_class("-aside")

    def _expand(self, pane: Pane, *, large: bool) -> None:
        if isinstance(pane, SystemPane):
            pane.expanded = large
        for other in (self._http, self._changes):
            if other is not None and pane is other:
                other.expanded = large

    async def back(self) -> None:
        """Esc gives an expanded pane's room back."""
        if self.has_class("-expanded"):
            self._collapse()
        else:
            await super().back()

    async def do_open(self) -> None:
        """Open the selected process, endpoint or alert; all endpoints or alerts where none is selected; or expand."""
        pane = self.pane
        if isinstance(pane, ProcessPane) and pane.selected:
            await self._open_process(pane)
        elif pane is not None and pane is self._http:
            await self._open_endpoint(self._http)
        elif isinstance(pane, OverPane) and pane.entry:
            await self._open_alert(pane)
        elif pane is not None and pane is self._changes:
            await self._open_changes(self._changes)
        else:
            self.do_expand()

    async def _open_changes(self, pane: "ChangesPane") -> None:
        """All that changed, with the selected one chosen."""
        from perfconsole.ui.screens.changes import ChangesScreen  # noqa: PLC0415  only when opened

        event = pane.chosen
        await self.console_app.do_screen_changes()
        if event is not None and isinstance(self.console_app.front, ChangesScreen):
            self.console_app.front.choose_change(event)

    async def _open_alert(self, pane: OverPane) -> None:
        """The alert; of several that are told together, and of a threshold, the list, or what it is about."""
        from perfconsole.ui.screens.alert import AlertScreen  # noqa: PLC0415  only when opened
        from perfconsole.ui.screens.alert_target import go_to_target  # noqa: PLC0415  likewise

        if pane.alert:
            await self.app.push_screen(AlertScreen(pane.alert))
        elif pane.entry and pane.entry.alert.colour:
            await go_to_target(self.console_app, pane.entry.alert)
        else:
            await self.console_app.do_screen_alerts()

    async def _open_endpoint(self, pane: "HttpPane") -> None:
        from perfconsole.ui.screens.endpoint import EndpointScreen  # noqa: PLC0415  only when opened

        if isinstance(pane.row, EndpointRow):
            await self.app.push_screen(EndpointScreen(pane.row))
        else:
            await self.console_app.do_screen_endpoints()

    async def _open_process(self, pane: ProcessPane) -> None:
        from perfconsole.ui.screens.process import ProcessScreen  # noqa: PLC0415  only when opened

        if pane.row:
            await self.app.push_screen(ProcessScreen(pane.row))

    async def on_pane_opened(self, event: Pane.Opened) -> None:
        """Enter and click lead to the same place."""
        if isinstance(event.pane, ProcessPane):
            await self._open_process(event.pane)
        elif event.pane is self._http and self._http is not None:
            await self._open_endpoint(self._http)
        elif isinstance(event.pane, OverPane):
            await self._open_alert(event.pane)
        elif event.pane is self._changes and self._changes is not None:
            await self._open_changes(self._changes)

    @property
    def _table(self) -> TablePane:
        """The table that has the focus; the processes where none has."""
        return self.pane if isinstance(self.pane, TablePane) else self.query_one(ProcessPane)

    def do_sort(self) -> None:
        self._table.next_sort()

    def do_reverse(self) -> None:
        self._table.order_by(self._table.sort)
