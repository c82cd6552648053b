"""What is read of one statement on demand: its whole text, and the tables that its plan touches."""

from collections.abc import Sequence
from math import nan
from typing import Any, Final

from perfconsole.collectors.postgres.aside import RefusedError
from perfconsole.collectors.postgres.faults import ServerError
from perfconsole.collectors.postgres.plans import Question, ask, plannable
from perfconsole.collectors.postgres.plans.subject import LONGEST, Subject, Subjects, refused, shown
from perfconsole.core import plans
from perfconsole.core.errors import RequestError
from perfconsole.core.plan_steps import Table
from perfconsole.core.requests import Relation, StatementArgs, StatementDetail
from perfconsole.core.text import safe

_MOST: Final = 200
"""Tables: a plan over thousands of partitions would take their sizes one file at a time."""

_ANSWER_S: Final = 2.5
_LOCKED: Final = "55P03"
_TABLES: Final = """
SELECT n.nspname::text AS schema, c.relname::text AS name, {size}, c.reltuples::float8 AS planned,
       s.n_live_tup::float8 AS rows, s.n_dead_tup::float8 AS dead, s.seq_scan::float8 AS seq_scans, s.idx_scan::float8 AS index_scans,
       date_part('epoch', greatest(s.last_vacuum, s.last_autovacuum)) AS vacuumed,
       date_part('epoch', greatest(s.last_analyze, s.last_autoanalyze)) AS analyzed, {indexes} AS indexes
FROM unnest($1::text[], $2::text[]) AS asked (schema, name) JOIN pg_namespace n ON n.nspname = asked.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = asked.name LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
ORDER BY bytes DESC, 1, 2
"""
_WHOLE: Final = _TABLES.format(
    size="pg_table_size(c.oid)::float8 AS bytes, pg_indexes_size(c.oid)::float8 AS index_bytes",
    indexes="ARRAY(SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i WHERE i.indrelid = c.oid ORDER BY i.indexrelid)",
)
_ESTIMATED: Final = _TABLES.format(
    size="c.relpages * current_setting('block_size')::float8 AS bytes, NULL::float8 AS index_bytes", indexes="ARRAY[]::text[]"
)
"""Without a lock on the tables: what the last vacuum or analyze left in the catalog."""


async def read(subjects: Subjects, args: StatementArgs) -> StatementDetail:
    """Text and tables of a statement (see `core.requests.POSTGRES_STATEMENT`).

    Raises:
        RequestError: When it is not there any more, its text may not be read, or the server cannot be asked.
    """
    try:
        subject = await subjects.get(args)
    except ServerError as error:
        raise refused(error) from None
    notes = [f"its text is longer than {LONGEST} characters: cut"] if len(subject.text) > LONGEST else []
    relations: list[Relation] = []
    try:
        answer = await ask(subjects, subject, Question(plannable(subject.text)))
        relations, said = await _relations(subjects, subject, plans.tables(answer.document))
        notes += said
    except RequestError as error:
        notes.append(f"its tables are not known: {error}")
    except ServerError as error:
        notes.append(f"its tables are not known: {refused(error)}")
    return StatementDetail(shown(subject.text), relations, tuple(notes))


async def _relations(subjects: Subjects, subject: Subject, tables: Sequence[Table]) -> tuple[list[Relation], list[str]]:
    notes = [f"{len(tables) - _MOST} more tables are not shown"] if len(tables) > _MOST else []
    if not tables:
        return [], notes
    names = [schema for schema, _ in tables[:_MOST]], [name for _, name in tables[:_MOST]]
    async with subjects.asides.use(subject.database) as server:
        try:
            async with server.transaction(_ANSWER_S) as transaction:
                rows = await transaction.fetch(_WHOLE, *names)
        except RefusedError as refusal:
            if refusal.code not in {_LOCKED, "57014"}:
                raise
            rows = await server.fetch(_ESTIMATED, *names)
            why = "a session holds a lock on one of them" if refusal.code == _LOCKED else "measuring them takes over 2 s"
            notes.append(f"sizes are those of the last vacuum, and indexes are not known: {why}")
    return [_relation(row) for row in rows], notes


def _relation(row: Any) -> Relation:
    def known(column: str) -> float:
        return nan if row[column] is None else float(row[column])

    # A table that no statistics were gathered of says 0 live rows; the planner's number is of the last analyze.
    rows = known("rows") or (known("planned") if row["planned"] >= 0 else nan)
    return Relation(
        safe(row["schema"], 100), safe(row["name"], 100), known("bytes"), known("index_bytes"), rows, known("dead"), known("seq_scans"),
        known("index_scans"), known("vacuumed"), known("analyzed"), tuple(safe(text, 1000) for text in row["indexes"]),
    )  # fmt: skip
