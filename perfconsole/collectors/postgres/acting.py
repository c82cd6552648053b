"""What a read-only transaction that is rolled back does not stop, and so is not run for the sake of a measurement.

The server refuses writes to tables, sequences (nextval) and locks of rows in it, and forgets what else is transactional (notifications,
settings, large objects). It stops no function that acts outside: signals to other sessions, other servers (dblink, foreign tables,
programs of file_fdw), files, locks until the end of the session, replication slots, counters that are reset. Such functions are VOLATILE;
hence none that is, is run, short of the few below. What is declared STABLE or IMMUTABLE and acts all the same, any planner may run.
"""

from collections.abc import Sequence
from typing import Any, Final

from perfconsole.collectors.postgres import sqltext
from perfconsole.collectors.postgres.aside import Transaction
from perfconsole.core import plans
from perfconsole.core.errors import RequestError
from perfconsole.core.plan_steps import Node
from perfconsole.core.text import safe

_HARMLESS: Final = (
    "random", "random_normal", "setseed", "clock_timestamp", "timeofday", "gen_random_uuid", "uuidv4", "uuidv7", "pg_sleep", "pg_sleep_for",
    "pg_sleep_until", "pg_relation_size", "pg_table_size", "pg_indexes_size", "pg_total_relation_size", "pg_database_size",
    "pg_tablespace_size", "pg_column_size", "gen_salt", "gen_random_bytes", "crypt", "uuid_generate_v1", "uuid_generate_v1mc",
    "uuid_generate_v4",
)  # fmt: skip
"""VOLATILE ones that do nothing; in C or of the server itself, which only a superuser can make."""

_VIEWS: Final = "SELECT pg_get_viewdef(oid) AS text FROM pg_class WHERE relkind = 'v' AND relname = ANY($1::text[])"
_VOLATILE: Final = """
SELECT DISTINCT format('%I.%I', n.nspname, p.proname)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE p.proname = ANY($1::text[]) AND p.provolatile = 'v' AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
  AND NOT (p.proname = ANY($2::text[]) AND (l.lanname IN ('internal', 'c') OR n.nspname = 'pg_catalog'))
ORDER BY 1 LIMIT 5
"""
_DEEPEST: Final = 10
_WRITING: Final = {
    "ModifyTable": "it writes",
    "LockRows": "it locks rows",
    "Foreign Scan": "it reads a foreign table: what that runs elsewhere, no transaction here binds",
}


async def check(transaction: Transaction, text: str, document: Sequence[Node]) -> None:
    """See that running a statement changes nothing.

    Args:
        transaction: Asks the catalog.
        text: The statement.
        document: Its plan, as EXPLAIN (VERBOSE, FORMAT JSON) tells it.

    Raises:
        RequestError: When it may; says what.
    """
    if sqltext.first_word(text) not in {"SELECT", "WITH", "VALUES", "TABLE"} or len(document) != 1:
        raise RequestError("ANALYZE runs the statement: only a SELECT is run", "its plan can be had without")
    if 'u&"' in text.lower():
        raise RequestError("ANALYZE runs the statement: names in Unicode escapes hide what it calls", "its plan can be had without")
    kinds = plans.kinds(document)
    for kind, why in _WRITING.items():
        if kind in kinds:
            raise RequestError(f"ANALYZE runs the statement: {why}", "its plan can be had without")
    called = await _called(transaction, text) | {name for said in plans.texts(document) for name in sqltext.calls(said)}
    acting = [safe(row[0], 200) for row in await transaction.fetch(_VOLATILE, sorted(called), list(_HARMLESS))]
    if acting:
        fix = "a function that only reads can be declared STABLE; its plan can be had without ANALYZE"
        raise RequestError(f"ANALYZE runs the statement: {', '.join(acting)} is VOLATILE, and may act beyond a rollback", fix)


async def _called(transaction: Transaction, text: str) -> set[str]:
    """Names of functions in a text and in the views it names, however deep."""
    called, names, new = sqltext.calls(text), set[str](), sqltext.words(text)
    for _ in range(_DEEPEST):
        rows: list[Any] = await transaction.fetch(_VIEWS, sorted(new))
        if not rows:
            return called
        names |= new
        called |= {name for row in rows for name in sqltext.calls(row["text"])}
        new = {name for row in rows for name in sqltext.words(row["text"])} - names
    raise RequestError("ANALYZE runs the statement: its views lie too deep to tell what they call")
