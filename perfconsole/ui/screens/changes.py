"""Changes: all that is known to have changed, as far back as anybody remembers; from there to the moment, or to what it is about."""

from collections.abc import Sequence
from math import inf, isnan
from typing import ClassVar

from textual.app import ComposeResult

from perfconsole.core.change_requests import EventList, EventsArgs
from perfconsole.core.changes import SECURITY
from perfconsole.core.endpoints import TARGET, EndpointTable, identity
from perfconsole.core.errors import RequestError
from perfconsole.core.requests import EVENT_LIST
from perfconsole.core.state import State
from perfconsole.core.tables import View
from perfconsole.core.tick import Event
from perfconsole.ui import changes
from perfconsole.ui.logins import ACCESS
from perfconsole.ui.screens.base import ConsoleScreen
from perfconsole.ui.widgets.change_table import ChangesTable
from perfconsole.ui.widgets.pane import Pane

_PAGE = 1000
_OF_UNITS = frozenset({"unit", "oom"})
_HOST = "host"


class ChangesScreen(ConsoleScreen):
    """One table. What this console was not told itself is asked for: within the window, then a page with each arrival at its end."""

    SCOPE = "changes"
    HINTS: ClassVar[Sequence[tuple[str, str]]] = (
        ("screen.operations", "Operations"), ("open", "open"), ("filter", "filter"), ("time.wider", "further back"), ("note", "note"),
        ("mark", "mark"), ("alert.next", "next alert or mark"), ("sort", "sort"), ("copy", "copy"), ("help", "help"), ("freeze", "freeze"),
        ("quit", "quit"),
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.trouble = ""
        self._known_since = inf
        self._waiting = False
        self._more = False

    def hints(self) -> Sequence[tuple[str, str]]:
        """In a recording the footer begins with the keys that go through it."""
        return [hint for hint in self.HINTS if hint[0] != "alert.next" or not self.console_app.replaying]

    def body(self) -> ComposeResult:
        """The table."""
        yield ChangesTable(id="changes")

    @property
    def table(self) -> ChangesTable:
        """The table."""
        return self.query_one(ChangesTable)

    def on_mount(self) -> None:
        """Keys go to the table."""
        self.table.focus()

    def views(self) -> list[View]:
        """Of the endpoint that the selected line is about, what its own screen needs."""
        row = self.table.row if self.is_mounted and self.query(ChangesTable) else None
        named = row is not None and row.event.kind in {"endpoint", "certificate"}
        return [View("endpoint", TARGET, limit=0, keys=(identity(row.event.scope),))] if row is not None and named else []

    # What there is ----------------------------------------------------------------------------------------------------------------

    def show(self, state: State) -> None:
        """Learn what the state tells, and ask for what lies before it."""
        self._learn(state)
        self._ask()
        super().show(state)

    def repaint(self) -> None:
        """Likewise."""
        self._learn(self.console_app.state)
        self._ask()
        super().repaint()

    def _learn(self, state: State) -> None:
        """A state holds the newest events alone: where more came than that while nobody looked, what was asked for is asked again."""
        timeline = self.console_app.timeline
        if not timeline.reaches(state.events):
            self._known_since, self._more = inf, False
        timeline.learn(state.events)

    @property
    def reading(self) -> str:
        """What is said of what else there may be."""
        if self._waiting:
            return f"reading{self.console_app.look.glyphs.ellipsis}"
        return self.trouble or ("older ones below the last" if self._more else "")

    def reached(self, end: bool) -> None:
        """Whether the selection is at the end of the list: what is older is asked for there."""
        if end and self._more and not self._waiting and not self.trouble:
            self._read(self._since)

    @property
    def _since(self) -> float:
        """The beginning of the window, epoch seconds."""
        return max(0.0, self.console_app.state.at - self.table.window_s)

    def _ask(self) -> None:
        """Ask for what the window has come to reach back to."""
        if self._waiting or self._more or self.trouble or isnan(self.console_app.state.at) or not self.query(ChangesTable):
            return
        if self._since < self._known_since and self.console_app.offers(EVENT_LIST.name):
            self._read(self._since)

    def _read(self, since: float) -> None:
        self._waiting = True
        self.run_worker(self._answered(since), group=EVENT_LIST.name, exclusive=True)

    async def _answered(self, since: float) -> None:
        app = self.console_app
        until = min(self._known_since, app.state.at)
        try:
            found = await app.source.request(EVENT_LIST.name, EventsArgs(since, until, _PAGE))
        except RequestError as error:
            self.trouble = f"older ones cannot be had: {error}".splitlines()[0]
        else:
            if isinstance(found, EventList):
                fresh = app.timeline.learn(found.events)
                oldest = min((event.time_hi for event in found.events), default=since)
                # One that makes no headway has no end: a page full of one instant.
                self._more = found.more and (fresh or oldest < until)
                self._known_since = oldest if self._more else since
        self._waiting = False
        self.show(app.state)

    # Actions ----------------------------------------------------------------------------------------------------------------------

    def choose_change(self, event: Event) -> None:
        """Select an event."""
        self.console_app.timeline.learn([event])
        if event.time_hi <= self.console_app.state.at - self.table.window_s:
            self.table.window_s = inf
        if self.table.match and not changes.matches(event, self.table.match):
            self.table.filter("")
        self.table.choose(changes.change(event).key)

    async def back(self) -> None:
        """Esc takes the filter away, then goes back to Operations."""
        if self.table.match:
            self.table.filter("")
        else:
            await self.console_app.do_screen_operations()

    async def do_open(self) -> None:
        """Go to the moment of the selected one; where only the present is known, to what it is about."""
        app, row = self.console_app, self.table.row
        if row is None:
            app.tell("nothing has changed that is known", "warning")
        elif app.go_to_event(row.event):
            app.tell(f"at {changes.said(row.event, app.state.at)}")
        else:
            await self._open_subject(row.event)

    async def _open_subject(self, event: Event) -> None:
        app = self.console_app
        table = app.state.table(EndpointTable, TARGET)
        found = next((row for row in table.rows if row.name == event.scope), None) if table else None
        server = event.scope.removeprefix("postgres:") if event.scope.startswith("postgres:") else ""
        if found is not None:
            from perfconsole.ui.screens.endpoint import EndpointScreen  # noqa: PLC0415  only when opened

            await app.push_screen(EndpointScreen(found))
        elif server:
            from perfconsole.ui.screens.queries import QueriesScreen  # noqa: PLC0415  likewise

            await app.do_screen_queries()
            if isinstance(app.front, QueriesScreen):
                app.front.choose(server)
        elif event.kind in _OF_UNITS and event.scope != _HOST:
            from perfconsole.ui.screens.alert_target import open_unit  # noqa: PLC0415  likewise

            await open_unit(app, event.scope)
        elif event.kind in SECURITY:
            from perfconsole.ui.screens.system import open_system  # noqa: PLC0415  likewise

            await open_system(app, ACCESS)
        elif event.kind == "alert":
            await app.do_screen_alerts()
        else:
            app.tell("this is the present alone: perfconsole replay goes back to that moment", "warning")

    async def on_pane_opened(self, event: Pane.Opened) -> None:
        """A click on the selected row."""
        event.stop()
        await self.do_open()

    async def do_alert_next(self) -> None:
        await self._step(1)

    async def do_alert_previous(self) -> None:
        await self._step(-1)

    async def _step(self, steps: int) -> None:
        """Of the present the selection alone goes on; in the past the moment too."""
        app = self.console_app
        if app.replaying:
            await (app.do_alert_next() if steps > 0 else app.do_alert_previous())
        elif self.table.step(steps) is None:
            app.tell(f"no {'later' if steps > 0 else 'earlier'} alert or mark is listed", "warning")

    def do_time_wider(self) -> None:
        self._window(1)

    def do_time_narrower(self) -> None:
        self._window(-1)

    def _window(self, steps: int) -> None:
        at = changes.WINDOWS.index(self.table.window_s) + steps
        if 0 <= at < len(changes.WINDOWS):
            self.table.window_s = changes.WINDOWS[at]
            self._more, self.trouble = False, ""
            self.show(self.console_app.state)

    async def do_filter(self) -> None:
        """Ask for words to look for, showing matches while they are typed."""
        from perfconsole.ui.screens.prompt import ask_filter  # noqa: PLC0415  only when asked

        await ask_filter(self.app, self.table, "words  kind:login  severity:critical  scope:nginx.service  source:systemd")

    def do_sort(self) -> None:
        self.table.next_sort()

    def do_reverse(self) -> None:
        self.table.order_by(self.table.sort)
