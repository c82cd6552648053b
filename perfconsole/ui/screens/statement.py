"""One statement in detail: its numbers and their history, its text, its plan, who runs it now, and the tables it touches."""

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Container, Horizontal

from perfconsole.core.requests import (
    BY_HAND,
    POSTGRES_CANCEL,
    POSTGRES_EXPLAIN,
    POSTGRES_STATEMENT,
    POSTGRES_TERMINATE,
    ExplainArgs,
    Plan,
    StatementArgs,
    StatementDetail,
)
from perfconsole.core.state import State
from perfconsole.core.tables import WINDOWS, StatementRow, View
from perfconsole.ui.screens.sectioned import SectionedScreen
from perfconsole.ui.statement import Statement, reads
from perfconsole.ui.widgets.measures import MeasureChart, TrendsPane
from perfconsole.ui.widgets.section import Answer, Section
from perfconsole.ui.widgets.statement_facts import StatementFacts, measures
from perfconsole.ui.widgets.statement_sections import NowSection, PlanSection, TablesSection, TextSection

_EXPLAINS = frozenset({"query.plan", "query.live_plan", "query.analyze"})


class StatementScreen(SectionedScreen):
    """A statement, followed by user, database and queryid: one that is not executed any more keeps its last numbers.

    Args:
        row: The statement, as it was when this was opened.
        server: Its server.
        window: What its numbers are taken over.
        first: The action to begin with, e.g. ``query.plan``; empty for its text.
    """

    SCOPE = "queries"
    HINTS: ClassVar[Sequence[tuple[str, str]]] = (
        ("back", "back"), ("pane.next", "section"), ("query.plan", "plan"), ("query.live_plan", "live values"),
        ("query.analyze", "measure"), ("postgres.end", "cancel"), ("copy", "copy"), ("open", "read again"),
        ("time.wider", "window"), ("freeze", "freeze"), ("help", "help"), ("quit", "quit"),
    )  # fmt: skip
    CSS_PATH = "../styles/statement.tcss"
    ONLY_LIVE = "a recording does not hold this: it is asked of a live server only"

    def __init__(self, row: StatementRow, server: str, window: str, first: str = "") -> None:
        super().__init__()
        self.subject = Statement(row, server, window)
        self.detail: Answer[StatementDetail] = Answer()
        self.plan: Answer[Plan] = Answer()
        self.text_section = TextSection(self.subject, self.detail)
        self.plan_section = PlanSection(self.plan)
        self.now_section = NowSection(self.subject)
        self.sections = [self.text_section, self.plan_section, self.now_section, TablesSection(self.detail)]
        self._begin = first
        self._explained = ExplainArgs(self._identity)
        self._values: tuple[str, ...] = ()
        self._then = ""

    def body(self) -> ComposeResult:
        """Facts and charts above, sections below."""
        load, mean, calls = measures()
        yield StatementFacts(self.subject)
        with Horizontal(id="charts"):
            yield MeasureChart(self.subject, load)
            yield MeasureChart(self.subject, mean)
            yield MeasureChart(self.subject, calls, id="calls")
        yield TrendsPane(self.subject, *measures(), id="trends")
        yield TrendsPane(self.subject, measures()[2], id="rate")
        with Container(id="sections"):
            yield from self.sections

    async def on_mount(self) -> None:
        """What is known already is shown, what is not asked for: at once, not with the next tick."""
        self.bring(self.plan_section if self._begin else self.text_section)
        self.show(self.console_app.state)
        if self._begin and self.can(self._begin):
            await self._plan_first(self._begin)

    async def _plan_first(self, action_id: str) -> None:
        """Begin with the plan of the kind whose key opened this: before it is mounted nothing is performed for the asking."""
        if action_id == "query.analyze":
            await self.do_query_analyze()
        elif action_id == "query.live_plan":
            await self.do_query_live_plan()
        else:
            self.do_query_plan()

    @property
    def concern(self) -> tuple[str, str]:
        """What alerts are to be about to be meant here."""
        return "server", self.subject.server

    def hints(self) -> Sequence[tuple[str, str]]:
        """Enter does another thing in a plan where an index can be tried."""
        return [(action, "try an index" if action == "open" and self._can_try else title) for action, title in self.HINTS]

    @property
    def _can_try(self) -> bool:
        """Whether Enter tries an index."""
        return self.pane is self.plan_section and self.plan.result is not None and self.plan.result.can_try

    @property
    def _identity(self) -> StatementArgs:
        row = self.subject.row
        return StatementArgs(self.subject.server, row.userid, row.dbid, row.queryid, row.toplevel)

    # Showing ----------------------------------------------------------------------------------------------------------------------

    def views(self) -> list[View]:
        """The statements as they are looked at on the screen below, this one among them in any case; and the sessions."""
        subject = self.subject
        return [
            View("statement", subject.server, sort="load", keys=(subject.row.key,), window=subject.window),
            View("session", subject.server),
        ]

    def show(self, state: State) -> None:
        """Follow the statement, ask for what is on view and was not asked for, then bring the panes up to date."""
        self.subject.follow(state)
        if not self.detail.asked:
            self.ask_for(self.detail, POSTGRES_STATEMENT.name, self._identity)
        if not self.plan.asked and self.plan_section.display and self.plan_section.size:
            self._explain("generic")
        super().show(state)

    def bring(self, section: Section) -> None:
        """Bring a section to the front; the footer tells what can be done there."""
        super().bring(section)
        self.call_after_refresh(self.show, self.console_app.state)

    def do_time_narrower(self) -> None:
        self._turn_window(-1)

    def do_time_wider(self) -> None:
        self._turn_window(1)

    def _turn_window(self, steps: int) -> None:
        known = WINDOWS.index(self.subject.window) if self.subject.window in WINDOWS else 0
        self.subject.turn(WINDOWS[max(0, min(len(WINDOWS) - 1, known + steps))])
        self.console_app.look_at()
        self.show(self.console_app.state)

    # Plans ------------------------------------------------------------------------------------------------------------------------

    def can(self, action_id: str) -> bool:
        """Plans need a source that makes them, running it one that only reads; ending a session one that is selected."""
        offers = self.console_app.offers
        if action_id in _EXPLAINS:
            return offers(POSTGRES_EXPLAIN.name) and (action_id != "query.analyze" or reads(self.text_section.text))
        if action_id == "postgres.end":
            ends = offers(POSTGRES_CANCEL.name) or offers(POSTGRES_TERMINATE.name)
            return ends and self.pane is self.now_section and self.now_section.chosen is not None
        return True

    def _explain(self, how: str, values: tuple[str, ...] = (), index: str = "") -> None:
        if self.plan.waiting:
            self.console_app.tell("the server is still asked for a plan", "warning")
            return
        # A plan with an index that is not there is no other plan of the server's, and none to remember.
        before = "" if index else self.console_app.plan_hashes.get((self.subject.server, self.subject.row.key, how), "")
        args = ExplainArgs(self._identity, how, values, index, before)
        if self.ask_for(self.plan, POSTGRES_EXPLAIN.name, args):
            self._explained = args

    def answered(self, answer: Answer[Any]) -> None:
        """Remember the shape of a plan for the next look; where values were missing, ask for some."""
        args, plan = self._explained, self.plan.result
        if answer is not self.plan:
            return
        if self._then:
            then, self._then = self._then, ""
            self.run_worker(self._ask_values(then))
        elif answer.trouble and args.how != "generic" and BY_HAND in answer.fix:
            self.run_worker(self._ask_values(args.how))
        if plan is None or answer.trouble:
            return
        self.plan_section.given = args.values
        if not args.index:
            self.console_app.plan_hashes[self.subject.server, self.subject.row.key, args.how] = plan.hash

    def do_query_plan(self) -> None:
        self.bring(self.plan_section)
        self._explain("generic")

    async def do_query_live_plan(self) -> None:
        """With the values of a session; once some were given by hand, with others, or with none for a session's again."""
        self.bring(self.plan_section)
        if self._values:
            await self._ask_values("live")
        else:
            self._explain("live")

    async def do_query_analyze(self) -> None:
        """Run it, once that was confirmed."""
        self.bring(self.plan_section)
        await self._confirm()

    async def _confirm(self) -> None:
        from perfconsole.ui.screens.measure import MeasureDialog  # noqa: PLC0415  only when asked

        def confirmed(sure: bool | None) -> None:
            if sure:
                self._explain("analyze", self._values)

        await self.app.push_screen(MeasureDialog(self.subject, self.text_section.text, self._values), confirmed)

    async def _ask_values(self, how: str) -> None:
        """Ask for values, after the generic plan has said of which types they are; then plan with them, or have it confirmed to run."""
        from perfconsole.ui.screens.prompt import Prompt  # noqa: PLC0415  only when asked

        if self.plan.result is None and self._explained.how != "generic":
            self._then = how
            self._explain("generic")
            return
        types = self.plan.result.types if self.plan.result else ()
        what = ", ".join(f"${number} {name}" for number, name in enumerate(types, 1)) or "one a parameter, commas between"

        def taken(text: str | None) -> None:
            if text is None:
                return
            self._values = values_of(text)
            if how == "analyze":
                self.call_later(self._confirm)
            else:
                self._explain(how, self._values)

        await self.app.push_screen(Prompt(f"values: {what}", _joined(self._values)), taken)

    async def _try_index(self) -> None:
        from perfconsole.ui.screens.prompt import Prompt  # noqa: PLC0415  only when asked

        def taken(text: str | None) -> None:
            if text and text.strip():
                before = self._explained
                self._explain("live" if before.how == "live" or before.values else "generic", before.values, text.strip())

        await self.app.push_screen(Prompt("an index to try: schema.table (column, ...)", self._explained.index), taken)

    # Other actions ----------------------------------------------------------------------------------------------------------------

    async def do_open(self) -> None:
        """In a plan: try an index, where that can be done; elsewhere read again."""
        app = self.console_app
        op = POSTGRES_EXPLAIN.name if self.pane is self.plan_section else POSTGRES_STATEMENT.name
        if not app.offers(op):
            app.tell("what is read on request cannot be had here now", "warning")
        elif self.pane is not self.plan_section:
            self.ask_for(self.detail, op, self._identity)
        elif self._can_try:
            await self._try_index()
        else:
            self._explain("generic")

    async def do_postgres_end(self) -> None:
        """End what a session does, or the session."""
        from perfconsole.ui.screens.session_dialog import end_session  # noqa: PLC0415  only when asked

        if self.now_section.chosen:
            await end_session(self.console_app, self.subject.server, self.now_section.chosen)


def values_of(text: str) -> tuple[str, ...]:
    """Values as they are written on one line: ``ada, 2026-01-01, "a, b"``."""
    from csv import reader  # noqa: PLC0415  only when asked

    return tuple(value.strip() for value in next(reader([text], skipinitialspace=True), []))


def _joined(values: Sequence[str]) -> str:
    return ", ".join(f'"{value}"' if "," in value else value for value in values)
