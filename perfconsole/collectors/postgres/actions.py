"""Ending what a session does, or the session itself: exactly the one that was meant.

A pid alone is reused. So pid and start are compared by the very statement that acts: between the two nothing can come.
"""

from collections.abc import Mapping
from typing import Any, Final

from perfconsole.collectors.postgres.connection import Server
from perfconsole.collectors.postgres.faults import ServerError
from perfconsole.core.errors import RequestError
from perfconsole.core.requests import Done, SessionArgs
from perfconsole.core.text import safe
from perfconsole.core.units import duration

_SAME: Final = "round(extract(epoch FROM backend_start)::float8 * 1000000)::bigint = $2"
_WHO: Final = """usename::text AS username, application_name AS application, state,
       extract(epoch FROM clock_timestamp() - state_change)::float8 AS since"""
_ACT: Final = f"""
SELECT %s AS done, {_WHO} FROM pg_stat_activity WHERE pid = $1 AND pid <> pg_backend_pid() AND {_SAME}
"""  # noqa: S608  what is put in are constants of this file
_CANCEL: Final = _ACT % "CASE WHEN state NOT LIKE 'idle%' THEN pg_cancel_backend(pid) END"
_TERMINATE_14: Final = _ACT % "pg_terminate_backend(pid, 1000)"
_TERMINATE_13: Final = _ACT % "pg_terminate_backend(pid)"
_WAITS: Final = 140000
"""From this version on terminating can wait, and tells whether the session is gone."""

_OTHER: Final = "SELECT pid = pg_backend_pid() AS own FROM pg_stat_activity WHERE pid = $1"


async def cancel(server: Server, args: SessionArgs) -> Done:
    """Cancel the statement that a session runs.

    Raises:
        RequestError: When it has ended, runs none, may not be cancelled, or the server cannot be asked.
    """
    row = await _act(server, args, _CANCEL)
    who = _who(args.pid, row)
    if row["done"] is None:
        idle = f"{who} runs nothing: {row['state']} for {duration(row['since'])}"
        raise RequestError(idle, "only terminating it helps" if row["state"] != "idle" else "nothing was done")
    if not row["done"]:
        raise RequestError(f"{who}: the signal could not be sent", "it has most likely ended")
    return Done(f"cancelled what {who} was running")


async def terminate(server: Server, args: SessionArgs) -> Done:
    """End a session.

    Raises:
        RequestError: When it has ended, may not be ended, does not end within a second, or the server cannot be asked.
    """
    row = await _act(server, args, _TERMINATE_14, _TERMINATE_13)
    who = _who(args.pid, row)
    if not row["done"]:
        raise RequestError(
            f"{who} was told to end, and has not within 1 s", "it ends when it next looks up, or at once from the server's host"
        )
    return Done(f"terminated {who}" if server.version >= _WAITS else f"told {who} to end")


async def _act(server: Server, args: SessionArgs, sql: str, before_14: str = "") -> Mapping[str, Any]:
    try:
        await server.ready()
        rows = await server.fetch(sql if server.version >= _WAITS else before_14 or sql, args.pid, args.start_us)
        row: Mapping[str, Any] | None = rows[0] if rows else None
        if row is not None:
            return row
        others = await server.fetch(_OTHER, args.pid)
    except ServerError as error:
        raise _refused(server, args.pid, error) from None
    if not others:
        raise RequestError(f"session {args.pid} has ended", "nothing was done")
    if others[0]["own"]:
        raise RequestError(f"refused: session {args.pid} is perfconsole's own")
    raise RequestError(f"session {args.pid} has ended; its pid belongs to another one now", "nothing was done")


def _refused(server: Server, pid: int, error: ServerError) -> RequestError:
    if error.code != "42501":
        return RequestError(error.message, error.fix)
    fix = f'GRANT pg_signal_backend TO "{server.user}"; a superuser\'s session only a superuser can end'
    return RequestError(f"not allowed: session {pid}: {error.message}", fix)


def _who(pid: int, row: Mapping[str, Any]) -> str:
    application = f" {safe(row['application'], 64)}" if row["application"] else ""
    return f"session {pid} ({safe(row['username'] or '', 64)}{application})"
