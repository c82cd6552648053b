"""The findings of ``doctor`` about PostgreSQL: whether each configured server can be reached, and what may be seen there."""

from typing import TYPE_CHECKING, Final

from perfconsole.cli.checks import Finding
from perfconsole.config.schema import Config
from perfconsole.core.errors import CollectorError

if TYPE_CHECKING:
    from perfconsole.collectors.postgres.connection import Server

AREA: Final = "PostgreSQL"
_OLDEST: Final = 130000
_RIGHTS: Final = """
SELECT pg_has_role(current_user, 'pg_monitor', 'USAGE') OR pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees,
       pg_has_role(current_user, 'pg_signal_backend', 'USAGE') AS ends, current_setting('track_io_timing') = 'on' AS io
"""


def every(config: Config) -> list[Finding]:
    """Ask each server, all at once; none configured is none asked, and nothing imported for it."""
    if not config.postgres:
        return []
    import asyncio

    return asyncio.run(_ask(config))


async def _ask(config: Config) -> list[Finding]:
    import asyncio

    from perfconsole.collectors.postgres.connection import Server
    from perfconsole.config.servers import servers

    asked = [Server(settings) for settings in servers(config)]
    try:
        found = await asyncio.gather(*map(_look_at, asked))
    finally:
        for server in asked:
            server.close()
        await asyncio.sleep(0)  # transports close in the turn of the loop after that
    return [finding for findings in found for finding in findings]


async def _look_at(server: "Server") -> list[Finding]:
    try:
        await server.ready()
        if server.database == "pgbouncer":
            return [Finding(AREA, server.name, "ok", f"{server.where}: the admin console of pgbouncer")]
        return [_reached(server), *await _rights(server), await _statements(server)]
    except CollectorError as error:
        return [Finding(AREA, server.name, "error", error.message, error.fix)]


def _reached(server: "Server") -> Finding:
    version = f"{server.version // 10000}.{server.version % 10000}"
    where = f"{server.where}: PostgreSQL {version}{', a standby' if server.standby else ''}, as {server.user} in {server.database}"
    if server.version < _OLDEST:
        return Finding(AREA, server.name, "limited", where, "statements are known from PostgreSQL 13 on")
    if server.pooled:
        return Finding(AREA, server.name, "limited", f"{where}, through a pooler", "connect to the server itself: it costs less")
    return Finding(AREA, server.name, "ok", where)


async def _rights(server: "Server") -> list[Finding]:
    (row,) = await server.fetch(_RIGHTS)
    sees = Finding(AREA, "  sight", "ok", "sessions and statements of every role")
    if not row["sees"]:
        sees = Finding(AREA, "  sight", "limited", "sessions and statements of this role alone", f'GRANT pg_monitor TO "{server.user}"')
    ends = Finding(AREA, "  cancel, terminate", "ok", "sessions of every role but superusers")
    if not row["ends"]:
        fix = f'GRANT pg_signal_backend TO "{server.user}", where that is wanted'
        ends = Finding(AREA, "  cancel, terminate", "ok", "sessions of this role alone", fix)
    timed = Finding(AREA, "  I/O times", "ok", "measured")
    if not row["io"]:
        timed = Finding(AREA, "  I/O times", "limited", "not measured", "ALTER SYSTEM SET track_io_timing = on; SELECT pg_reload_conf()")
    return [sees, ends, timed]


async def _statements(server: "Server") -> Finding:
    from perfconsole.collectors.postgres.statements.source import find

    found = await find(server)
    if isinstance(found, str):
        says, _, fix = found.partition(": ")
        return Finding(AREA, "  statements", "limited", says, fix)
    return Finding(AREA, "  statements", "ok", f"pg_stat_statements {found.version}, up to {found.entries} of them")
