"""Queries: what loads the database, and the sessions behind it."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult

from perfconsole.core.requests import POSTGRES_DETAIL
from perfconsole.core.state import State
from perfconsole.core.tables import View
from perfconsole.ui.screens.base import ConsoleScreen
from perfconsole.ui.widgets.places import servers
from perfconsole.ui.widgets.queries import QueriesPane
from perfconsole.ui.widgets.sessions import SessionsPane
from perfconsole.ui.widgets.table import TablePane


def names(state: State) -> list[str]:
    """The PostgreSQL servers that are looked at."""
    return [health.target for health in servers(state)]


class QueriesScreen(ConsoleScreen):
    """Statements above, sessions below; of one server at a time."""

    SCOPE = "queries"
    AUTO_FOCUS = "#statements"
    HINTS: ClassVar[Sequence[tuple[str, str]]] = (
        ("screen.operations", "Operations"), ("filter", "filter"), ("sort", "sort"), ("open", "open"), ("time.wider", "window"),
        ("pane.next", "sessions"), ("postgres.server", "server"), ("freeze", "freeze"), ("help", "help"), ("quit", "quit"),
    )  # fmt: skip

    def body(self) -> ComposeResult:
        """The two tables."""
        yield QueriesPane(id="statements")
        yield SessionsPane(id="sessions")

    @property
    def tables(self) -> list[QueriesPane | SessionsPane]:
        """Both tables."""
        return [*self.query(QueriesPane), *self.query(SessionsPane)]

    def show(self, state: State) -> None:
        """Look at the first server that there is, until another is chosen."""
        known = names(state)
        if known and self.tables and self.tables[0].target not in known:
            self._turn_to(known[0])
        super().show(state)

    def _turn_to(self, server: str) -> None:
        for table in self.tables:
            table.target = server
        self.console_app.look_at()

    def views(self) -> list[View]:
        """What both show; nothing while there is no server."""
        return [table.view() for table in self.tables if table.target]

    def can(self, action_id: str) -> bool:
        """Another server only where there is one; what is read of one where the source reads it."""
        if action_id == "postgres.detail":
            return bool(self.tables[0].target) and (self.console_app.offers(POSTGRES_DETAIL.name) or self.console_app.replaying)
        return action_id != "postgres.server" or len(names(self.console_app.state)) > 1

    async def back(self) -> None:
        """Esc takes the filter away, then goes back to Operations."""
        table = self._table
        if table.match:
            table.filter("")
        else:
            await self.console_app.do_screen_operations()

    @property
    def _table(self) -> TablePane:
        return self.pane if isinstance(self.pane, TablePane) else self.query_one(QueriesPane)

    def do_postgres_server(self) -> None:
        known = names(self.console_app.state)
        at = known.index(self.tables[0].target) if self.tables[0].target in known else -1
        self._turn_to(known[(at + 1) % len(known)])
        self.show(self.console_app.state)

    async def do_postgres_detail(self) -> None:
        from perfconsole.ui.screens.server import ServerScreen  # noqa: PLC0415  only when asked

        await self.app.push_screen(ServerScreen(self.tables[0].target))

    def do_time_narrower(self) -> None:
        self.query_one(QueriesPane).turn_window(-1)

    def do_time_wider(self) -> None:
        self.query_one(QueriesPane).turn_window(1)

    async def do_filter(self) -> None:
        """Ask for words to look for, showing matches while they are typed."""
        from perfconsole.ui.screens.prompt import Prompt  # noqa: PLC0415  only when asked

        table = self._table
        before = table.match

        def take(found: str | None) -> None:
            table.filter(before if found is None else found)

        await self.app.push_screen(Prompt("filter: words in query, user or database", before, changed=table.filter), take)

    def do_sort(self) -> None:
        self._table.next_sort()

    def do_reverse(self) -> None:
        self._table.order_by(self._table.sort)
