"""What a read-only transaction that is rolled back does not stop, and so is not run for the sake of a measurement.

The server refuses writes to tables, sequences (nextval) and locks of rows in it, and forgets what else is transactional (notifications,
settings, large objects). It stops no function that acts outside: signals to other sessions, other servers (dblink, foreign tables,
programs of file_fdw), files, locks until the end of the session, replication slots, counters that are reset. Such functions are VOLATILE;
hence none that is, is run, short of the few below: whether it is called by its name, by an operator, a cast, an aggregate or the CHECK of
a domain, in the statement, in its plan, or in a view or function that these name. What is declared STABLE or IMMUTABLE and hides in a text
of its own what it runs, any planner may run.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from perfconsole.collectors.postgres.aside import Transaction
from perfconsole.collectors.postgres.plans import sqltext
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

_RUNNERS: Final = frozenset({
    "table_to_xml", "table_to_xml_and_xmlschema", "schema_to_xml", "schema_to_xml_and_xmlschema", "database_to_xml",
    "database_to_xml_and_xmlschema", "crosstab", "crosstab2", "crosstab3", "crosstab4", "connectby", "xpath_table",
})  # fmt: skip
"""STABLE ones that run a query from a text, or read whatever views there are."""

_INSIDE: Final = """
SELECT pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'v' AND relname = ANY($1::text[]::name[])
UNION ALL
SELECT pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.proname = ANY($2::text[]::name[]) AND p.prokind IN ('f', 'w') AND p.provolatile <> 'v' AND l.lanname NOT IN ('internal', 'c')
  AND p.pronamespace <> 'pg_catalog'::regnamespace
UNION ALL
SELECT concat_ws(' ', pg_get_constraintdef(c.oid), format_type(t.typbasetype, NULL)) FROM pg_type t
LEFT JOIN pg_constraint c ON c.contypid = t.oid
WHERE t.typtype = 'd' AND t.typname = ANY($1::text[]::name[])
UNION ALL
SELECT format_type(a.atttypid, NULL) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind = 'c' AND c.relname = ANY($1::text[]::name[])
"""
"""As names, which the server cuts at 63 bytes, wherever they stand."""

_VOLATILE: Final = """
SELECT DISTINCT format('%I.%I', n.nspname, p.proname)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
     LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
WHERE p.proname = ANY($1::text[]::name[]) AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
  AND (p.provolatile = 'v' AND NOT (p.proname = ANY($2::text[]) AND (l.lanname IN ('internal', 'c') OR n.nspname = 'pg_catalog'))
       OR EXISTS (SELECT FROM pg_proc s WHERE s.provolatile = 'v' AND s.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn,
                  a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)))
ORDER BY 1 LIMIT 5
"""
_UNNAMED: Final = """
SELECT o.oprname::text AS sign, format('%I.%I', n.nspname, p.proname) AS name
FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.provolatile = 'v'
UNION ALL
SELECT '', format('%I.%I', n.nspname, p.proname)
FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.provolatile = 'v'
"""
"""VOLATILE functions that are called without being named. PostgreSQL and its extensions have none; casts may leave no trace in a text."""

_IMPLIED: Final = frozenset({"", "=", "<>", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*"})
"""Operators that words stand for: IN, BETWEEN, LIKE, CASE."""

_DEEPEST: Final = 10
_TOLD: Final = 5
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
    if "into" in sqltext.words(text):  # prepared and explained, the server makes the table even where nothing may be written (seen on 15)
        raise RequestError("ANALYZE runs the statement: SELECT INTO makes a table", "its plan can be had without")
    kinds, said = await asyncio.to_thread(lambda: (plans.kinds(document), list(plans.texts(document))))
    for kind, why in _WRITING.items():
        if kind in kinds:
            raise RequestError(f"ANALYZE runs the statement: {why}", "its plan can be had without")
    texts, called = await _read(transaction, [text, *said])
    if running := sorted(called & _RUNNERS):
        raise RequestError(f"ANALYZE runs the statement: {running[0]} runs what cannot be seen from here", "its plan can be had without")
    acting = {row[0] for row in await transaction.fetch(_VOLATILE, sorted(called), list(_HARMLESS))}
    unnamed = await transaction.fetch(_UNNAMED)
    acting |= {row["name"] for row in unnamed if row["sign"] in _IMPLIED or any(row["sign"] in one for one in texts)}
    if acting:
        names = ", ".join(safe(name, 200) for name in sorted(acting)[:_TOLD])
        fix = "a function that only reads can be declared STABLE; its plan can be had without ANALYZE"
        raise RequestError(f"ANALYZE runs the statement: {names} is VOLATILE, and may act beyond a rollback", fix)


async def _read(transaction: Transaction, texts: list[str]) -> tuple[list[str], set[str]]:
    """Texts, and those of the views, functions and domains that they name, however deep; and what is called in them."""
    read, new = list(texts), texts
    named, called = set[str](), set[str]()
    for _ in range(_DEEPEST):
        words, calls = await asyncio.to_thread(_names, new)  # of a plan over thousands of partitions it takes a second
        rows = await transaction.fetch(_INSIDE, sorted(words - named), sorted(calls - called))
        named, called = named | words, called | calls
        new = [row[0] for row in rows if row[0]]
        if not new:
            return read, called
        read += new
    raise RequestError("ANALYZE runs the statement: its views and functions lie too deep to tell what they call")


def _names(texts: Sequence[str]) -> tuple[set[str], set[str]]:
    """Names in texts, and those of them that could be called."""
    return {name for text in texts for name in sqltext.words(text)}, {name for text in texts for name in sqltext.calls(text)}
