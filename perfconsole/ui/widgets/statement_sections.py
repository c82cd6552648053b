"""The sections of a statement's screen: its text, its plan, who runs it now, and the tables it touches."""

import asyncio
from collections.abc import Iterator, Sequence
from math import isnan, nan
from typing import Final

from msgspec import structs

from perfconsole.core import units
from perfconsole.core.literals import hide
from perfconsole.core.requests import Plan, Relation, StatementDetail
from perfconsole.core.state import State
from perfconsole.core.tables import SessionRow, SessionTable
from perfconsole.ui.line import Line, Parts
from perfconsole.ui.plan import plan_lines
from perfconsole.ui.sql import Uncut, laid_out, long, plain, wrapped
from perfconsole.ui.statement import HIDDEN, Statement
from perfconsole.ui.widgets.section import Answer, AnswerSection, ChoiceSection, Section

_AT_ONCE: Final = 2000
"""Characters of a text that are shown as they are while it is laid out."""

_FEW: Final = 200
"""Nodes of a plan that are drawn at once; 2,000, a plan over as many partitions, take 0.2 s, and a thread."""

_PICTURED: Final = 200
"""Nodes of a plan that are in a picture: more than any terminal shows."""

_DEAD: Final = 0.2
_DEAD_ROWS: Final = 1000.0
"""A fifth of a table dead, and not few: where autovacuum acts by its defaults, and has not."""


class TextSection(AnswerSection[Statement, StatementDetail]):
    """The statement's text, laid out for reading; copied as it is.

    Laying it out takes up to a second for a hostile one, and is done in a thread; a long one is shown as it is.
    """

    TITLE = NAME = "Text"

    def __init__(self, subject: Statement, answer: Answer[StatementDetail]) -> None:
        super().__init__(subject, answer)
        self._lines: Sequence[Parts] = []
        self._of = ("", 0)
        self._wanted = ("", 0)

    @property
    def text(self) -> str:
        """The whole text; until it was read what the table has of it."""
        return self._answer.result.query if self._answer.result else self._subject.text

    def rows(self, state: State, width: int) -> Sequence[Parts]:  # noqa: ARG002  a statement's text stays what it is
        """The text; why there is none; and what could not be read."""
        text, answer = self.text, self._answer
        if not text:
            return self.unanswered(answer, width)
        if text == HIDDEN:
            return self.paragraph("its text may not be seen: GRANT pg_read_all_stats (or pg_monitor) to the role that asks", width, "dim")
        pictured = self.console_app.said(text)
        if pictured != text:  # what is no query, the server keeps with its literals
            return _parts(wrapped(plain(pictured[:_AT_ONCE]), width - 2))
        if long(text):
            if self._of != (text, width):
                self._lines, self._of = Uncut(text, width - 2), (text, width)
            return self._lines
        below = self.paragraph(answer.text, width, "dim") if answer.trouble else []
        if self._of == (text, width):
            return [*self._lines, *below]
        if self._wanted != (text, width):
            self._wanted = (text, width)
            self.run_worker(self._lay_out(text, width), group="text", exclusive=True)
        return [*_parts(wrapped(plain(text[:_AT_ONCE]), width - 2)), *below]

    def note(self, state: State) -> str:  # noqa: ARG002  likewise
        """That a long text is shown as it is, and not laid out."""
        return f"{units.size(len(self.text))}: shown as it was sent" if long(self.text) else ""

    async def _lay_out(self, text: str, width: int) -> None:
        lines = await asyncio.to_thread(lambda: _parts(wrapped(laid_out(text), width - 2)))
        self._lines, self._of = lines, (text, width)
        self.show(self.console_app.state)

    def copied(self) -> str:
        """The text as the server has it."""
        return self.text


def _parts(lines: Sequence[Sequence[tuple[str, str]]]) -> list[Parts]:
    return [[(text, 0, role) for text, role in line] for line in lines]


class PlanSection(Section):
    """How the planner would run it, or did.

    Attributes:
        given: The values that were given by hand for the plan that is shown.
    """

    TITLE = NAME = "Plan"

    def __init__(self, answer: Answer[Plan]) -> None:
        super().__init__()
        self._answer = answer
        self.given: Sequence[str] = ()
        self._lines: list[Parts] = []
        self._of: tuple[object, ...] = ()
        self._wanted: tuple[object, ...] = ()

    def on_show(self) -> None:
        """A plan is asked for as soon as it can be seen, not with the next tick."""
        self.sectioned.show(self.console_app.state)

    def rows(self, state: State, width: int) -> Sequence[Parts]:  # noqa: ARG002  a plan stays what it was
        """A refusal, what can be tried, and the plan."""
        answer = self._answer
        plan = answer.result
        if plan is None and not answer.trouble:
            return self.paragraph(f"asking the planner{self.look.glyphs.ellipsis}", width, "dim")
        rows = self._refusal(width)
        if plan is None:
            return rows
        if self.console_app.discreet:
            return [*rows, *plan_lines(_without_values(plan), self.look, width)]
        of = (plan, self.given, width, self.look)
        if self._of != of and len(plan.nodes) <= _FEW:
            self._lines, self._of = plan_lines(plan, self.look, width, self.given), of
        elif self._of != of:
            if self._wanted != of:
                self._wanted = of
                self.run_worker(self._lay_out(plan, of), group="plan", exclusive=True)
            return [*rows, *self.paragraph(f"{len(plan.nodes)} nodes{self.look.glyphs.ellipsis}", width, "dim")]
        return [*rows, *self._lines, *self._index(width, plan)]

    async def _lay_out(self, plan: Plan, of: tuple[object, ...]) -> None:
        self._lines, self._of = await asyncio.to_thread(plan_lines, plan, self.look, self.size.width, self.given), of
        self.show(self.console_app.state)

    def _refusal(self, width: int) -> list[Parts]:
        """Why there is no plan, or none of the kind that was asked for last: then the one before is still below."""
        answer = self._answer
        if not answer.trouble:
            return []
        told = self.paragraph(f"{self.look.glyph('warning')} {answer.trouble}", width, "warning_bar")
        return [*told, *self.paragraph(answer.fix, width, "accent")]

    def _index(self, width: int, plan: Plan) -> list[Parts]:
        """What can be done about indexes."""
        signs = self.console_app.keymap.sign
        if plan.ddl:
            return self.paragraph(f"{signs('copy')} copies: {plan.ddl}", width, "accent")
        return self.paragraph(f"{signs('open')} tries an index that is not there", width, "dim") if plan.can_try else []

    def note(self, state: State) -> str:  # noqa: ARG002  a plan stays what it was
        """When it was made, and that another one is on its way."""
        return f"asking{self.look.glyphs.ellipsis}" if self._answer.waiting else self.read_at(self._answer)

    def copied(self) -> str:
        """What would make the tried index; else the plan as text."""
        plan = self._answer.result
        return (plan.ddl or "\n".join("  " * node.depth + node.name for node in plan.nodes)) if plan else ""


def _without_values(plan: Plan) -> Plan:
    nodes = [structs.replace(node, details=tuple((title, hide(text)) for title, text in node.details)) for node in plan.nodes[:_PICTURED]]
    return structs.replace(plan, nodes=nodes)


class NowSection(ChoiceSection[SessionRow]):
    """The sessions that run it now, the longest first."""

    TITLE = NAME = "Now"

    def __init__(self, subject: Statement) -> None:
        super().__init__()
        self._subject = subject
        self._shown: list[SessionRow] = []
        self._table: SessionTable | None = None

    def members(self, state: State) -> list[SessionRow]:
        """Who runs it."""
        self._table = state.table(SessionTable, self._subject.server)
        self._shown = self._subject.sessions(state)
        return self._shown

    def empty(self, width: int) -> list[Parts]:
        """Why there are none."""
        table = self._table
        if table is None:
            what = "not recorded at this moment" if self.console_app.replaying else f"collecting{self.look.glyphs.ellipsis}"
        elif table.rows and not any(row.queryid for row in table.rows):
            what = "the server does not say which statement a session runs: PostgreSQL 14 and compute_query_id = auto do"
        else:
            what = "no session runs it at this moment"
        return self.paragraph(what, width, "dim")

    def member(self, at: int, width: int, *, chosen: bool) -> Line:
        """Pid, for how long, what it waits for, who holds that, and whose it is."""
        row = self._shown[at]
        now = self._table.server_at if self._table else nan
        line = self.line("selection" if chosen else "background")
        line.put(self.look.glyphs.marker if chosen else " ", "accent").put(str(row.pid), "foreground", 8)
        line.put(units.duration(now - row.query_start), "foreground", 7, right=True).gap(2)
        wide = width >= 70
        held = f"held by {', '.join(map(_holder, row.blocked_by))}" if row.blocked_by else ""
        waits = f"{row.wait_type} {row.wait}".strip() or "on CPU"
        role = "critical_bar" if held else "dim" if row.wait_type else "ok_bar"
        line.put(f"{held}  {waits if wide else ''}" if held else waits, role, max(16, line.left - (44 if wide else 14))).gap(2)
        line.put(row.application or units.UNKNOWN, "foreground", 20 if wide else line.left).gap(2)
        return line.put(f"{row.user} {row.client}".strip(), "dim", max(0, line.left))

    def note(self, state: State) -> str:  # noqa: ARG002  they were just made of it
        """How many."""
        return f"{len(self._shown)} now" if self._shown else ""

    def copied(self) -> str:
        """Pid of the selected one."""
        return str(self.chosen.pid) if self.chosen else ""


class TablesSection(Section):
    """The tables its plan touches."""

    TITLE = NAME = "Tables"

    def __init__(self, answer: Answer[StatementDetail]) -> None:
        super().__init__()
        self._answer = answer

    def rows(self, state: State, width: int) -> Sequence[Parts]:
        """A few lines each, the largest first."""
        detail = self._answer.result
        if detail is None:
            return self.unanswered(self._answer, width)
        notes = [line for note in detail.notes for line in self.paragraph(note, width, "warning_bar")]
        rows = [line for relation in detail.relations for line in self._relation(relation, state.at, width)]
        return [*notes, *rows] or self.paragraph("it touches none", width, "dim")

    def _relation(self, relation: Relation, now: float, width: int) -> Iterator[Parts]:
        dead = relation.dead >= _DEAD_ROWS and relation.dead > _DEAD * relation.rows
        sizes = f"{units.size(relation.size_bytes)} + {units.size(relation.index_bytes)} indexes"
        yield [
            (f"{relation.schema}.{relation.name}", 0, "title"),
            (f"  {sizes}  {units.count(relation.rows)} rows", 0, "foreground"),
            (f"  {units.count(relation.dead)} dead", 0, "warning_bar" if dead else "dim"),
        ]
        scans = f"scanned {units.count(relation.seq_scans)} times whole, {units.count(relation.index_scans)} by index"
        kept = f"vacuumed {_ago(now - relation.vacuumed)}, analyzed {_ago(now - relation.analyzed)}"
        if len(scans) + len(kept) + 4 <= width:
            yield [(f"  {scans}; {kept}", 0, "dim")]
        else:
            yield [(f"  {scans}", 0, "dim")]
            yield [(f"  {kept}", 0, "dim")]
        for index in relation.indexes:
            yield [(f"  {_index(index)}", 0, "dim")]

    def note(self, state: State) -> str:  # noqa: ARG002  what was read stays as it was
        """When it was read."""
        return self.read_at(self._answer)

    def copied(self) -> str:
        """The definitions of all their indexes."""
        relations = self._answer.result.relations if self._answer.result else []
        return "\n".join(f"{index};" for relation in relations for index in relation.indexes)


def _holder(pid: int) -> str:
    """Who holds what is waited for; a prepared transaction has no pid."""
    return str(pid) if pid > 0 else "a prepared transaction"


def _ago(seconds: float) -> str:
    return "never" if isnan(seconds) else f"{units.duration(max(0.0, seconds))} ago"


def _index(definition: str) -> str:
    """``orders_pkey unique btree (id)``: a definition without what the line above says."""
    made, _, rest = definition.partition(" INDEX ")
    name, _, how = rest.partition(" ON ")
    kind = how.partition(" USING ")[2]
    return f"{name} {'unique ' if 'UNIQUE' in made else ''}{kind}" if kind else definition
