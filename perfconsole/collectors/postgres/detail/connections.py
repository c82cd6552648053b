"""Who is connected: against what the server lets in, by application and state, and against the limits of databases and roles."""

from collections.abc import Sequence
from typing import Final

from perfconsole.collectors.postgres.connection import raw
from perfconsole.collectors.postgres.detail.facts import Inquiry, Page, Row, name_of, setting
from perfconsole.core.requests import FactSection
from perfconsole.core.text import safe
from perfconsole.core.units import duration, percent

TITLE: Final = "Connections"
_MOST: Final = 20
_WARN: Final = 0.85
_FULL: Final = 0.95
_LONG_S: Final = 60.0

_CLIENTS: Final = """
SELECT application_name AS application, state, backend_start IS NULL AS hidden, count(*)::int AS sessions,
       extract(epoch FROM clock_timestamp() - min(state_change))::float8 AS since
FROM pg_stat_activity
WHERE datid IS NOT NULL AND usesysid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
GROUP BY 1, 2, 3
"""
_ROOM: Final = """
SELECT current_setting('max_connections')::int AS most, current_setting('superuser_reserved_connections')::int AS superusers,
       coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved
"""  # the second kind of reserve came with 16
_LIMITS: Final = f"""
SELECT 'database' AS kind, {raw("d.datname::text")} AS name, d.datconnlimit AS most, count(a.pid)::int AS used
FROM pg_database d LEFT JOIN pg_stat_activity a ON a.datid = d.oid WHERE d.datconnlimit >= 0 GROUP BY d.oid, d.datname, d.datconnlimit
UNION ALL
SELECT 'role', {raw("r.rolname::text")}, r.rolconnlimit, count(a.pid)::int
FROM pg_roles r LEFT JOIN pg_stat_activity a ON a.usesysid = r.oid WHERE r.rolconnlimit >= 0 GROUP BY r.oid, r.rolname, r.rolconnlimit
ORDER BY 4 DESC LIMIT 20
"""  # noqa: S608  what is put in are constants of this project


async def read(inquiry: Inquiry) -> FactSection:
    """Connections, the whole first."""
    page = Page(inquiry, TITLE)
    clients = await page.ask("connections", _CLIENTS)
    room = await page.ask("max_connections", _ROOM)
    total = sum(row["sessions"] for row in clients)
    if room and clients:
        _put_whole(page, total, room[0])
    hidden = sum(row["sessions"] for row in clients if row["hidden"])
    if hidden:
        page.denied("states", f"{hidden} of {total} sessions are other roles': their states cannot be seen")
    _put_applications(page, clients)
    for row in await page.ask("limits", _LIMITS):
        severity = _severity(row["used"] / row["most"] if row["most"] else 1.0)
        page.put(f"{row['kind']} {name_of(row['name'])}", f"{row['used']} of {row['most']}, its own limit", severity=severity)
    return page.section()


def _put_whole(page: Page, total: int, room: Row) -> None:
    kept = room["superusers"] + room["reserved"]
    left = room["most"] - kept
    used = total / left if left > 0 else 1.0
    severity = _severity(used)
    fix = setting("max_connections", str(room["most"] * 2), restart=True) if severity else ""
    note = "before more are allowed: a pooler, or fewer idle ones; each connection costs the server a process" if severity else ""
    page.put("in use", f"{total} of {left} ({percent(used)}): max_connections {room['most']} less {kept} reserved", fix, severity, note)


def _severity(used: float) -> str:
    return "critical" if used >= _FULL else "warning" if used >= _WARN else ""


def _put_applications(page: Page, clients: Sequence[Row]) -> None:
    """A line an application, the greatest first: how many are in which state; the longest of those that hold a transaction open."""
    by_name: dict[str, list[Row]] = {}
    for row in clients:
        by_name.setdefault(safe(row["application"] or "", 64) or "(no application_name)", []).append(row)
    sizes = {name: sum(row["sessions"] for row in rows) for name, rows in by_name.items()}
    for name in sorted(by_name, key=lambda name: (-sizes[name], name))[:_MOST]:
        states = sorted(by_name[name], key=lambda row: -row["sessions"])
        told = ", ".join(f"{row['sessions']} {row['state'] or ('hidden' if row['hidden'] else 'starting')}" for row in states)
        held = max((row["since"] or 0.0 for row in states if str(row["state"]).startswith("idle in")), default=0.0)
        if held > _LONG_S:
            fix = setting("idle_in_transaction_session_timeout", "'5min'")
            page.put(name, f"{sizes[name]}: {told}, the longest for {duration(held)}", fix, "warning")
        else:
            page.put(name, f"{sizes[name]}: {told}")
    if len(by_name) > _MOST:
        page.note(f"{len(by_name) - _MOST} further applications are left out")
