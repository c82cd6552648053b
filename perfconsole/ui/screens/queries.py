"""Queries: what loads the database, and the sessions behind it. Both where there is room, else one at a time."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.events import DescendantFocus

from perfconsole.core.requests import (
    POSTGRES_CANCEL,
    POSTGRES_CONNECT,
    POSTGRES_DETAIL,
    POSTGRES_TERMINATE,
    Done,
    ServerArgs,
)
from perfconsole.core.state import State
from perfconsole.core.tables import SessionRow, SessionTable, StatementRow, View
from perfconsole.ui.screens.base import ConsoleScreen
from perfconsole.ui.widgets.pane import Pane
from perfconsole.ui.widgets.places import offered, servers
from perfconsole.ui.widgets.queries import QueriesPane
from perfconsole.ui.widgets.server_line import ServerLine
from perfconsole.ui.widgets.sessions import SessionsPane
from perfconsole.ui.widgets.table import TablePane


def names(state: State) -> list[str]:
    """The PostgreSQL servers that are looked at, then those that were found."""
    return [health.target for health in (*servers(state), *offered(state))]


class QueriesScreen(ConsoleScreen):
    """Statements above, sessions below; of one server at a time. On a low screen they share the room, Tab turns from one to the other."""

    CSS_PATH = "../styles/queries.tcss"
    SCOPE = "queries"
    AUTO_FOCUS = "#statements"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (36, "-tall")]
    HINTS: ClassVar[Sequence[tuple[str, str]]] = (
        ("postgres.connect", "connect"), ("postgres.server", "server"), ("pane.next", "pane"), ("open", "open"), ("postgres.end", "cancel"),
        ("time.wider", "window"), ("mark", "mark"), ("help", "help"), ("sort", "sort"), ("filter", "filter"), ("freeze", "freeze"),
        ("screen.operations", "Operations"), ("quit", "quit"),
    )  # fmt: skip

    def body(self) -> ComposeResult:
        """The server, and the two tables."""
        yield ServerLine(self)
        yield QueriesPane(id="statements").add_class("-front")
        yield SessionsPane(id="sessions")

    @property
    def tables(self) -> list[QueriesPane | SessionsPane]:
        """Both tables."""
        return [*self.query(QueriesPane), *self.query(SessionsPane)]

    def show(self, state: State) -> None:
        """Look at the first server that there is, until another is chosen."""
        known = names(state)
        if known and self.tables and self.server not in known:
            self._turn_to(known[0])
        super().show(state)

    def _turn_to(self, server: str) -> None:
        for table in self.tables:
            table.turn_to(server)
        self.console_app.look_at()

    def known(self) -> Sequence[str]:
        """All servers that there are."""
        return names(self.console_app.state)

    @property
    def server(self) -> str:
        """The server that is looked at; empty while there is none."""
        return self.query_one(QueriesPane).target

    @property
    def concern(self) -> tuple[str, str] | None:
        """What alerts are to be about to be meant here."""
        return ("server", self.server) if self.server else None

    def tabs(self) -> Sequence[tuple[str, bool]]:
        """Titles of the tables, and which is in front; nothing where both can be seen."""
        if all(table.display for table in self.tables):
            return ()
        return [(table.TITLE.upper() if table.has_class("-front") else table.TITLE, table.has_class("-front")) for table in self.tables]

    def views(self) -> list[View]:
        """What both show; nothing while there is no server."""
        return [table.view() for table in self.tables if table.target]

    def can(self, action_id: str) -> bool:
        """Another server only where there is one; what is asked of one where the source asks it."""
        app = self.console_app
        asked = bool(self.server) and not self._only_found
        sensible = {
            "postgres.detail": bool(self.server) and (app.offers(POSTGRES_DETAIL.name) or app.replaying),
            "postgres.server": len(self.known()) > 1,
            "postgres.connect": app.offers(POSTGRES_CONNECT.name) and self._only_found,
            "postgres.end": asked and (app.offers(POSTGRES_CANCEL.name) or app.offers(POSTGRES_TERMINATE.name)),
            "expand": not self.has_class("-short"),
        }
        return sensible.get(action_id, True)

    @property
    def _only_found(self) -> bool:
        """Whether the server that is looked at is not connected to."""
        return self.server in {health.target for health in offered(self.console_app.state)}

    async def back(self) -> None:
        """Esc takes the filter away, gives an expanded table's room back, then goes back to Operations."""
        table = self._table
        if table.match:
            table.filter("")
        elif self.has_class("-expanded"):
            self.do_expand()
        else:
            await self.console_app.do_screen_operations()

    @property
    def pane(self) -> Pane:
        """The table in front. The focus follows a moment later: what is typed right after Tab is meant for where that leads."""
        return self._table

    @property
    def _table(self) -> QueriesPane | SessionsPane:
        return next((table for table in self.tables if table.has_class("-front")), self.query_one(QueriesPane))

    def do_postgres_server(self) -> None:
        known = self.known()
        at = known.index(self.server) if self.server in known else -1
        self._turn_to(known[(at + 1) % len(known)])
        self.show(self.console_app.state)

    def choose(self, server: str) -> None:
        """Look at a server, if there is one of that name."""
        if server in self.known():
            self._turn_to(server)
            self.show(self.console_app.state)

    async def do_postgres_detail(self) -> None:
        from perfconsole.ui.screens.server import ServerScreen  # noqa: PLC0415  only when asked

        await self.app.push_screen(ServerScreen(self.server))

    async def do_open(self) -> None:
        """The selected statement, or that of the selected session, else the first, in detail."""
        self._table.choose_one()
        await self._open_statement()

    async def do_query_plan(self) -> None:
        await self._open_statement("query.plan")

    async def do_query_live_plan(self) -> None:
        await self._open_statement("query.live_plan")

    async def do_query_analyze(self) -> None:
        await self._open_statement("query.analyze")

    async def _open_statement(self, first: str = "") -> None:
        from perfconsole.ui.screens.statement import StatementScreen  # noqa: PLC0415  only when opened

        table = self._table
        row = table.row if isinstance(table, QueriesPane) else self._executed(table)
        if row:
            await self.app.push_screen(StatementScreen(row, self.server, self.query_one(QueriesPane).window, first))
        elif table.row is None:
            self._nothing_selected()
        else:
            self.console_app.tell("what this session runs is not among the statements of this window", "warning")

    def _executed(self, table: SessionsPane) -> StatementRow | None:
        """The statement that the selected session executes, or did last, if it is known."""
        session, statements = table.row, self.query_one(QueriesPane).table(self.console_app.state)
        if session is None or statements is None or not session.queryid:
            return None
        same = [row for row in statements.rows if (row.queryid, row.database) == (session.queryid, session.database)]
        return next((row for row in same if row.user == session.user), same[0] if same else None)  # after SET ROLE it is another's

    async def on_pane_opened(self, event: Pane.Opened) -> None:
        """A click on the selected row."""
        event.stop()
        await self.do_open()

    def do_time_narrower(self) -> None:
        self.query_one(QueriesPane).turn_window(-1)

    def do_time_wider(self) -> None:
        self.query_one(QueriesPane).turn_window(1)

    async def do_filter(self) -> None:
        """Ask for words to look for, showing matches while they are typed."""
        from perfconsole.ui.screens.prompt import ask_filter  # noqa: PLC0415  only when asked

        await ask_filter(self.app, self._table, "words  user:app  db:shop")

    # Tables -----------------------------------------------------------------------------------------------------------------------

    def do_pane_next(self) -> None:
        """The other table."""
        first, second = self.tables
        self._bring(second if first.has_class("-front") else first)

    def _bring(self, front: TablePane) -> None:
        for table in self.tables:
            table.set_class(table is front, "-front")
        front.focus()
        self.call_after_refresh(self.show, self.console_app.state)

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """A click brings a table to the front, too."""
        if isinstance(event.widget, TablePane) and not event.widget.has_class("-front"):
            self._bring(event.widget)

    def do_expand(self) -> None:
        """Give all the room to the table in front, or back."""
        self.toggle_class("-expanded")
        self.call_after_refresh(self.show, self.console_app.state)

    # Acting -----------------------------------------------------------------------------------------------------------------------

    async def do_postgres_end(self) -> None:
        """Cancel or terminate the selected session, or the one that has been running the selected statement for longest."""
        from perfconsole.ui.screens.session_dialog import end_session  # noqa: PLC0415  only when asked

        table = self._table
        row = self._runner(table) if isinstance(table, QueriesPane) else table.row
        if isinstance(row, SessionRow):
            await end_session(self.console_app, self.server, row)
        elif table.row is None:
            self._nothing_selected()
        else:
            self.console_app.tell("no session that can be seen runs it now", "warning")

    def _nothing_selected(self) -> None:
        down, up = (self.console_app.keymap.sign(action) for action in ("nav.down", "nav.up"))
        self.console_app.tell(f"nothing is selected: {down} and {up} choose", "warning")

    def _runner(self, table: QueriesPane) -> SessionRow | None:
        sessions = self.console_app.state.table(SessionTable, self.server)
        if sessions is None or table.row is None:
            return None
        busy = [row for row in sessions.rows if row.queryid == table.row.queryid and row.state == "active"]
        return min(busy, key=lambda row: row.query_start, default=None)

    @property
    def counted(self) -> Sequence[str]:
        """The server whose statements a mark counts from."""
        return [self.server] if self.server and not self._only_found else []

    def marked(self, server: str) -> None:
        """They are counted from here on: that is the window to look at."""
        if self.server == server:
            self.query_one(QueriesPane).mark()

    async def do_postgres_connect(self) -> None:
        """Connect to the server that was found."""
        server = self.server
        self.console_app.tell(f"connecting to {server}")

        async def connect() -> None:
            done = await self.console_app.ask(POSTGRES_CONNECT.name, ServerArgs(server))
            if isinstance(done, Done):
                self.console_app.tell(done.text)

        self.console_app.run_worker(connect())

    def do_sort(self) -> None:
        self._table.next_sort()

    def do_reverse(self) -> None:
        self._table.order_by(self._table.sort)
