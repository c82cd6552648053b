"""How the planner would run a statement of pg_stat_statements: for any values, with those of a session, or measured.

All of it happens in one transaction that is read-only and rolled back, on a connection beside the one that polls. A text reaches the server
as the body of PREPARE, in the extended protocol: what follows a semicolon in it is refused, not run.
"""

import asyncio
from typing import Any, Final, NamedTuple

import msgspec

from perfconsole.collectors.postgres.aside import RefusedError, Transaction
from perfconsole.collectors.postgres.connection import MARKER
from perfconsole.collectors.postgres.faults import ServerError
from perfconsole.collectors.postgres.plans import acting, sqltext, trial
from perfconsole.collectors.postgres.plans.ladder import prepared
from perfconsole.collectors.postgres.plans.live import values_of_a_session
from perfconsole.collectors.postgres.plans.subject import Subject, Subjects, refused
from perfconsole.collectors.postgres.plans.unplanned import why
from perfconsole.core import plans
from perfconsole.core.errors import RequestError
from perfconsole.core.plan_steps import Node, Table
from perfconsole.core.plans import Picture
from perfconsole.core.requests import MEASURED_S, ExplainArgs, Plan

GENERIC: Final = "generic"
LIVE: Final = "live"
ANALYZE: Final = "analyze"
PLANNABLE: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "VALUES", "TABLE"})
"""What PREPARE takes (its documentation, and MERGE from 15 on)."""

_READ: Final = 1 << 17
"""Characters of the longest text that is planned: looking for its parameters holds the loop, 0.1 s at the worst that can be written."""

_PLAN_S: Final = 10.0
_MOST_NODES: Final = 2000
_SETTINGS: Final = """
SELECT set_config('plan_cache_mode', $1, true),
       CASE WHEN current_setting('is_superuser') = 'on' THEN set_config('pg_stat_statements.track', 'none', true) END
"""
"""Where nested statements are tracked, one that is planned counts as one that ran: who may, has it not counted."""

_ROWS: Final = """
SELECT n.nspname::text, c.relname::text, c.reltuples::float8 FROM unnest($1::text[], $2::text[]) AS asked (schema, name)
JOIN pg_namespace n ON n.nspname = asked.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = asked.name
WHERE c.reltuples >= 0
"""


class Question(NamedTuple):
    """What is to be planned: a text, its values (none: for any), whether to run it, and an index to try."""

    text: str
    values: tuple[str, ...] = ()
    analyze: bool = False
    tried: str = ""


class Answer(NamedTuple):
    """What the planner said."""

    document: list[Node]
    rows: dict[Table, float]
    types: tuple[str, ...]
    notes: tuple[str, ...]
    can_try: bool = False
    effect: str = ""
    ddl: str = ""

    @property
    def picture(self) -> Picture:
        """As it is shown."""
        return plans.picture(self.document, self.rows)


async def explain(subjects: Subjects, args: ExplainArgs) -> Plan:
    """Plan a statement (see `core.requests.POSTGRES_EXPLAIN`).

    Args:
        subjects: Finds the statement, and the connections.
        args: Whose conditions hold values, the plan of those shows them: it belongs on the screen of who asked, and nowhere else.

    Raises:
        RequestError: When there is no plan; says why, and what would mend it.
    """
    _check(args)
    try:
        subject = await subjects.get(args.statement)
        question, notes = await _question(subjects, plannable(subject.text), args)
        answer = await ask(subjects, subject, question)
    except ServerError as error:
        raise refused(error) from None
    return await asyncio.to_thread(_plan, args, answer, notes)  # over thousands of partitions it takes a second


def _check(args: ExplainArgs) -> None:
    if args.how not in {GENERIC, LIVE, ANALYZE}:
        raise RequestError(f"no such plan: {args.how!r}", f"there are: {GENERIC} {LIVE} {ANALYZE}")
    if args.index and args.how == ANALYZE:
        raise RequestError("an index that is not there cannot be measured", "try it without ANALYZE")
    if any("\0" in value for value in (*args.values, args.index)):
        raise RequestError("a NUL is in no value of PostgreSQL")


def plannable(text: str) -> str:
    """The part of a text that can be planned.

    Raises:
        RequestError: When there is none; says why.
    """
    query = sqltext.body(text)
    word = sqltext.first_word(query)
    if word not in PLANNABLE:
        raise RequestError(f"no plan: {word or 'it'} is a utility statement", "only SELECT, INSERT, UPDATE, DELETE and MERGE are planned")
    if len(text) > _READ:
        raise RequestError(f"no plan: its text is longer than {_READ} characters")
    return query


async def _question(subjects: Subjects, query: str, args: ExplainArgs) -> tuple[Question, tuple[str, ...]]:
    """What to ask, and what to know of its values."""
    count = max((number for _, number in sqltext.parameters(query)), default=0)
    analyze = args.how == ANALYZE
    if args.how == GENERIC and not args.values:
        return Question(query, tried=args.index), ()
    if args.values or not count:
        if len(args.values) != count:
            raise RequestError(f"the statement has {count} parameters, given were {len(args.values)} values")
        return Question(query, args.values, analyze, args.index), ()
    text, note = await values_of_a_session(subjects.asides, args.statement)
    return Question(plannable(text), (), analyze, args.index), (note,)


async def ask(subjects: Subjects, subject: Subject, question: Question) -> Answer:
    """Ask the planner.

    Raises:
        RequestError: When it refuses.
        ServerError: When the server cannot be asked.
    """
    limit_s = MEASURED_S + 5.0 if question.analyze else _PLAN_S
    async with subjects.asides.use(subject.database) as server, server.transaction(limit_s) as transaction:
        mode = "force_custom_plan" if question.values else "force_generic_plan"
        await transaction.fetch(_SETTINGS, mode)
        try:
            return await _asked(transaction, subject, question)
        except RefusedError as refusal:
            raise await why(transaction, refusal, subject, question.text) from None


async def _asked(transaction: Transaction, subject: Subject, question: Question) -> Answer:
    where = await trial.schema(transaction)
    answer = await _planned(transaction, subject, question)
    answer = answer._replace(can_try=bool(where))
    if question.tried:
        async with trial.tried(transaction, where, question.tried, subject.path) as index:
            after = await _planned(transaction, subject, question)
            effect = await asyncio.to_thread(lambda: trial.told(answer.picture, after.picture, index))
            return after._replace(can_try=True, effect=effect, ddl=index.ddl, notes=answer.notes)
    return answer


async def _planned(transaction: Transaction, subject: Subject, question: Question) -> Answer:
    async with prepared(transaction, question.text, subject.path) as statement:
        values = question.values or ("NULL",) * len(statement.types)
        given = f"({', '.join(map(sqltext.literal, values))})" if values else ""
        document = await _explained(transaction, "", statement.name + given, statement.path)
        if question.analyze:
            await acting.check(transaction, question.text, document)
            await transaction.say(f"SET LOCAL statement_timeout = '{MEASURED_S}s'")
            document = await _explained(transaction, ", ANALYZE, BUFFERS", statement.name + given, statement.path)
            await transaction.say("SET LOCAL statement_timeout = '2s'")
    found = await asyncio.to_thread(plans.tables, document)
    rows = await transaction.fetch(_ROWS, [schema for schema, _ in found], [name for _, name in found])
    known = {(schema, name): count for schema, name, count in rows}
    return Answer(document, known, statement.types, statement.notes)


async def _explained(transaction: Transaction, options: str, what: str, path: str) -> list[Any]:
    rows = await transaction.attempt(f"EXPLAIN {MARKER} (FORMAT JSON, VERBOSE, SUMMARY{options}) EXECUTE {what}", path=path)
    try:
        document: list[Any] = msgspec.json.decode(rows[0][0])
    except RecursionError:
        raise RequestError("no plan: it is nested too deeply to be read") from None
    planned = [one for one in document if isinstance(one, dict) and "Plan" in one]
    if not planned:
        raise RequestError("no plan: a rule turns the statement into nothing")
    return planned


def _plan(args: ExplainArgs, answer: Answer, notes: tuple[str, ...]) -> Plan:
    picture = answer.picture
    said = [*notes, *answer.notes]
    if len(answer.document) > 1:
        said.append(f"rules turn it into {len(answer.document)} statements: this is the first")
    if len(picture.nodes) > _MOST_NODES:
        said.append(f"{len(picture.nodes) - _MOST_NODES} more nodes are not shown")
    changed = bool(args.last_hash) and args.last_hash != picture.hash
    how = LIVE if args.values and args.how == GENERIC else args.how
    return Plan(
        how, picture.hash, picture.nodes[:_MOST_NODES], answer.types, changed, picture.planning_s, picture.execution_s, answer.effect,
        answer.can_try, tuple(said), answer.ddl,
    )  # fmt: skip
