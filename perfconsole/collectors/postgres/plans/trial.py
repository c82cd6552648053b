"""An index that is not there, tried with hypopg: what the planner would do if it were."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from perfconsole.collectors.postgres.aside import RefusedError, Transaction
from perfconsole.core import units
from perfconsole.core.errors import RequestError
from perfconsole.core.plans import Picture
from perfconsole.core.text import safe

_FIND: Final = """
SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'hypopg'
"""
_CREATE: Final = re.compile(r"CREATE (UNIQUE )?INDEX ", re.IGNORECASE)


class Tried(NamedTuple):
    """A hypothetical index: what would make it, and how big it would be by the planner's statistics (measured 44 % above the truth)."""

    ddl: str
    size_bytes: float


async def schema(transaction: Transaction) -> str:
    """Where hypopg is, quoted; empty where it is not installed."""
    rows = await transaction.fetch(_FIND)
    return str(rows[0][0]) if rows else ""


@asynccontextmanager
async def tried(transaction: Transaction, where: str, index: str, path: str) -> AsyncIterator[Tried]:
    """An index that the planner believes in.

    It is of this session alone, and outlives the transaction: so it is taken back at the end.

    Args:
        transaction: The one to plan in. A statement prepared before this keeps its plan.
        where: hypopg's schema, quoted.
        index: ``schema.table (column, ...)``; hypopg reads it and takes nothing but CREATE INDEX.
        path: Where a table without a schema is looked for.

    Raises:
        RequestError: When it is none.
    """
    if not where:
        raise RequestError("hypopg is not installed in this database", "CREATE EXTENSION hypopg, on the primary")
    async with transaction.undoing(f"SELECT {where}.hypopg_reset()"):
        try:
            create = f"SELECT indexrelid FROM {where}.hypopg_create_index($1)"  # noqa: S608  quoted by the server
            made = await transaction.attempt(create, f"CREATE INDEX ON {index}", path=path)
        except RefusedError as refusal:
            raise RequestError(f"no index: {refusal.said}", "written as: schema.table (column, ...)") from None
        if len(made) != 1:
            raise RequestError("no index: it takes one", "written as: schema.table (column, ...)")
        sql = f"SELECT {where}.hypopg_get_indexdef($1) AS ddl, {where}.hypopg_relation_size($1)::float8 AS size"
        row = (await transaction.fetch(sql, made[0][0]))[0]
        yield Tried(_CREATE.sub(r"CREATE \1INDEX CONCURRENTLY ", safe(row["ddl"] or "", 1000), count=1), row["size"])


def told(before: Picture, after: Picture, index: Tried) -> str:
    """What an index changed, in words."""
    was, now = before.nodes[0].cost, after.nodes[0].cost
    if not any("the tried index" in node.name for node in after.nodes):
        return f"the planner would not use it (cost {units.count(was)}; about {units.size(index.size_bytes)})"
    less = f", {units.count(was / now)}x less" if now > 0 and was > now else ""
    return f"cost {units.count(was)} to {units.count(now)}{less}; about {units.size(index.size_bytes)}"
