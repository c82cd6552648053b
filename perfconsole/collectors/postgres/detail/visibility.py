"""Settings that hide things: what the server does not measure, keep or name, nobody can look at."""

from typing import Final

from perfconsole.collectors.postgres.detail.facts import Inquiry, Page, grant, setting
from perfconsole.core.requests import FactSection
from perfconsole.core.text import safe
from perfconsole.core.units import size

TITLE: Final = "Settings"
_SHORT_BYTES: Final = 2048
_FEW: Final = 1000

_NAMES: Final = (
    "track_activities", "track_counts", "track_io_timing", "track_activity_query_size", "compute_query_id", "shared_preload_libraries",
    "log_lock_waits", "pg_stat_statements.max", "pg_stat_statements.track", "pg_stat_statements.track_utility",
    "pg_stat_statements.track_planning", "pg_stat_statements.save",
)  # fmt: skip
_SETTINGS: Final = "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])"
_PENDING: Final = "SELECT name, setting FROM pg_settings WHERE pending_restart ORDER BY name LIMIT 10"
_EXTENSION: Final = "SELECT extversion AS version FROM pg_extension WHERE extname = 'pg_stat_statements'"
_SWITCHES: Final = (
    # name, what it is like when it is off, severity
    ("track_activities", "off: what sessions run cannot be seen", "critical"),
    ("track_counts", "off: nothing is counted of tables, and autovacuum is blind", "critical"),
    ("track_io_timing", "off: the time of reads and writes is unknown", "warning"),
    ("log_lock_waits", "off: waits for a lock leave no line in the server's log", ""),
)


async def read(inquiry: Inquiry) -> FactSection:
    """What is hidden first, then what is as it should be."""
    page = Page(inquiry, TITLE)
    values = {row["name"]: row["setting"] for row in await page.ask("settings", _SETTINGS, list(_NAMES))}
    if values:
        _put_switches(page, values)
        _put_texts(page, values)
        await _put_statements(page, values)
    for row in await page.ask("pending", _PENDING):
        page.put(safe(row["name"]), f"{safe(row['setting'], 80)} until the server restarts: another value waits", severity="warning")
    page.note("on a managed server its parameter group takes the same names; otherwise postgresql.conf does: name = value")
    return page.section()


def _put_switches(page: Page, values: dict[str, str]) -> None:
    for name, hides, severity in _SWITCHES:
        if values.get(name) == "off":
            page.put(name, hides, setting(name, "on"), severity)
        elif name in values:
            page.put(name, values[name])


def _put_texts(page: Page, values: dict[str, str]) -> None:
    length = int(values.get("track_activity_query_size", _SHORT_BYTES))
    short = length < _SHORT_BYTES
    fix = setting("track_activity_query_size", "4096", restart=True) if short else ""
    says = f"{size(length)}: what a session runs is cut there" + (", too short for most frameworks" if short else "")
    page.put("track_activity_query_size", says, fix, "warning" if short else "")
    kept = values.get("compute_query_id")
    if kept == "off":
        says = "off: running statements cannot be told apart"
        page.put("compute_query_id", says, setting("compute_query_id", "auto"), "warning")
    elif kept is not None:
        page.put("compute_query_id", kept)


async def _put_statements(page: Page, values: dict[str, str]) -> None:
    libraries = values.get("shared_preload_libraries")
    loaded = "pg_stat_statements.max" in values
    if not loaded and libraries is None:
        page.put("pg_stat_statements", "whether it is loaded cannot be seen", grant(page.server.user), "unknown")
        return
    if not loaded:
        names = ",".join(filter(None, (libraries or "", "pg_stat_statements")))
        fix = setting("shared_preload_libraries", f"'{safe(names)}'", restart=True)
        page.put("pg_stat_statements", "not loaded: statements are not counted", fix, "warning")
        return
    if not await page.ask("pg_stat_statements", _EXTENSION):
        fix = "CREATE EXTENSION pg_stat_statements"
        page.put("pg_stat_statements", f"loaded, but not created in {page.server.database}", fix, "warning")
    most = int(values["pg_stat_statements.max"])
    few = most < _FEW
    fix = setting("pg_stat_statements.max", "5000", restart=True) if few else ""
    page.put("pg_stat_statements.max", f"{most} statements" + (": the rarest are forgotten" if few else ""), fix, "warning" if few else "")
    track = values.get("pg_stat_statements.track", "")
    if track == "none":
        page.put("pg_stat_statements.track", "none: nothing is counted", setting("pg_stat_statements.track", "top"), "warning")
    else:
        inside = ": what functions run inside is counted as theirs" if track == "top" else ""
        page.put("pg_stat_statements.track", track + inside, setting("pg_stat_statements.track", "'all'") if inside else "")
    if values.get("pg_stat_statements.track_planning") == "off":
        fix = setting("pg_stat_statements.track_planning", "on")
        page.put(
            "pg_stat_statements.track_planning",
            "off: time spent planning is not counted; on, it costs contention where plans are many",
            fix,
        )
    if values.get("pg_stat_statements.save") == "off":
        page.put("pg_stat_statements.save", "off: a restart forgets all", setting("pg_stat_statements.save", "on"))
