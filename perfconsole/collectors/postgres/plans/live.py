"""The values of a session: a statement as somebody runs it now, or ran it last, with its constants."""

from collections.abc import Sequence
from typing import Any, Final

from perfconsole.collectors.postgres.aside import Asides
from perfconsole.collectors.postgres.connection import raw
from perfconsole.collectors.postgres.plans import sqltext
from perfconsole.core.errors import RequestError
from perfconsole.core.requests import BY_HAND, StatementArgs
from perfconsole.core.text import safe
from perfconsole.core.units import duration

_QUERY_ID: Final = 140000
_SESSIONS: Final = f"""
SELECT {raw("query")} AS text, pid, state = 'active' AS running, application_name AS application,
       date_part('epoch', clock_timestamp() - query_start) AS age_s,
       octet_length(query) >= (SELECT setting::int FROM pg_settings WHERE name = 'track_activity_query_size') - 1 AS cut
FROM pg_stat_activity WHERE query_id = $1 AND usesysid = $2 AND datid = $3 AND pid <> pg_backend_pid() AND query <> ''
ORDER BY state = 'active' DESC, query_start DESC LIMIT 50
"""  # noqa: S608  a constant of this project


async def values_of_a_session(asides: Asides, statement: StatementArgs) -> tuple[str, str]:
    """The text of a statement with the constants of one execution, and a note on whose they are.

    Raises:
        RequestError: When there is none; says why.
    """
    async with asides.use() as server:
        await server.ready()
        if server.version < _QUERY_ID:
            raise RequestError("PostgreSQL tells which session runs a statement from 14 on", BY_HAND)
        rows = await server.fetch(_SESSIONS, statement.queryid, statement.userid, statement.dbid)
    return _chosen(rows)


def _chosen(rows: Sequence[Any]) -> tuple[str, str]:
    """The first of several that has all its constants: running ones are first, then those that ran last."""
    if not rows:
        raise RequestError("no session runs it now, and none ran it last", f"try again while it runs, or {BY_HAND}")
    whole = [row for row in rows if not row["cut"]]
    if not whole:
        fix = f"ALTER SYSTEM SET track_activity_query_size = '16kB', restart the server; or {BY_HAND}"
        raise RequestError("the texts of its sessions are cut", fix)
    for row in whole:
        text = bytes(row["text"]).decode("utf-8", "replace")
        if not sqltext.parameters(text):
            since = f"has run it for {duration(row['age_s'])}" if row["running"] else f"ran it {duration(row['age_s'])} ago"
            return text, f"values of session {row['pid']} ({safe(row['application'] or 'no name', 64)}), which {since}"
    raise RequestError("its sessions send their values apart from its text (bound parameters)", BY_HAND)
