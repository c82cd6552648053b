"""What keeps a server healthy: what runs of it now and how far it is, the workers, transaction ids, and what holds vacuum back."""

from typing import Final

from perfconsole.collectors.postgres.connection import raw
from perfconsole.collectors.postgres.detail.facts import (
    NAMED,
    Inquiry,
    Page,
    Row,
    joined,
    literal,
    name_of,
    setting,
    shell_word,
    statement,
    text_of,
)
from perfconsole.core.requests import FactSection
from perfconsole.core.text import safe
from perfconsole.core.units import count, duration, percent

TITLE: Final = "Upkeep"
_LONG_S: Final = 3600.0
_OLD_XID: Final = 1e9
"""Half of the way to where the server refuses writes."""

_BEHIND: Final = 1.5
"""Times autovacuum_freeze_max_age: vacuum began at once, and has not kept up."""

_ANALYZE: Final = """SELECT 'ANALYZE' AS kind, pid, datname, relid, phase, sample_blks_scanned AS done, sample_blks_total AS total
FROM pg_stat_progress_analyze"""
_INDEX: Final = """SELECT command, pid, datname, relid, phase, CASE WHEN blocks_total > 0 THEN blocks_done ELSE tuples_done END,
       CASE WHEN blocks_total > 0 THEN blocks_total ELSE tuples_total END FROM pg_stat_progress_create_index"""
_CLUSTER: Final = "SELECT command, pid, datname, relid, phase, heap_blks_scanned, heap_blks_total FROM pg_stat_progress_cluster"
_BACKUP: Final = "SELECT 'BASE BACKUP', pid, NULL, NULL, phase, backup_streamed, backup_total FROM pg_stat_progress_basebackup"
_VACUUM: Final = """SELECT 'VACUUM', pid, datname, relid, phase, CASE phase WHEN 'vacuuming heap' THEN heap_blks_vacuumed
       ELSE heap_blks_scanned END, heap_blks_total FROM pg_stat_progress_vacuum"""
_VACUUM_17: Final = """SELECT 'VACUUM', pid, datname, relid, phase,
       CASE WHEN phase IN ('vacuuming indexes', 'cleaning up indexes') THEN indexes_processed
            WHEN phase = 'vacuuming heap' THEN heap_blks_vacuumed ELSE heap_blks_scanned END,
       CASE WHEN phase IN ('vacuuming indexes', 'cleaning up indexes') THEN indexes_total ELSE heap_blks_total END
FROM pg_stat_progress_vacuum"""
_COPY_14: Final = "SELECT command, pid, datname, relid, 'running', bytes_processed, bytes_total FROM pg_stat_progress_copy"

# Only of workers the text is looked at: theirs is the server's own, others' may be in any encoding.
_PROGRESS: Final = f"""
SELECT p.kind, p.pid, {raw("p.datname::text")} AS database, {NAMED} AS relation, p.phase, p.done::float8, p.total::float8,
       a.backend_type = 'autovacuum worker' AS auto,
       extract(epoch FROM clock_timestamp() - coalesce(a.query_start, a.backend_start))::float8 AS since,
       CASE WHEN a.backend_type = 'autovacuum worker' THEN a.query LIKE '%%wraparound%%' END AS urgent
FROM (%s) p LEFT JOIN pg_stat_activity a USING (pid)
     LEFT JOIN pg_class c ON c.oid = p.relid AND p.datname = current_database() LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY since DESC NULLS LAST LIMIT 40
"""  # noqa: S608  what is put in are constants of this file
_WORKERS: Final = """
SELECT count(*) FILTER (WHERE backend_type = 'autovacuum worker')::int AS busy, count(*) FILTER (WHERE backend_type IS NULL)::int AS hidden,
       current_setting('autovacuum_max_workers')::int AS most, current_setting('autovacuum_worker_slots', true)::int AS slots,
       current_setting('autovacuum') AS enabled, current_setting('track_counts') AS counts
FROM pg_stat_activity
"""
_AGES: Final = f"""
SELECT {raw("datname::text")} AS name, datname = current_database() AS here, age(datfrozenxid)::float8 AS xids,
       mxid_age(datminmxid)::float8 AS multixacts,
       current_setting('autovacuum_freeze_max_age')::float8 AS freeze,
       current_setting('autovacuum_multixact_freeze_max_age')::float8 AS freeze_multi
FROM pg_database ORDER BY greatest(age(datfrozenxid), mxid_age(datminmxid)) DESC LIMIT 5
"""  # noqa: S608  likewise
_OLDEST_TABLES: Final = f"""
SELECT {NAMED} AS name, greatest(age(c.relfrozenxid), age(t.relfrozenxid))::float8 AS xids
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
WHERE c.relkind IN ('r', 'm') ORDER BY 2 DESC LIMIT 3
"""  # noqa: S608  likewise
_SESSIONS: Final = f"""
SELECT pid, state, application_name AS application, {raw("usename::text")} AS username,
       extract(epoch FROM clock_timestamp() - xact_start)::float8 AS since, greatest(age(backend_xmin), age(backend_xid))::float8 AS xids
FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND xact_start IS NOT NULL AND backend_type = 'client backend'
ORDER BY xact_start LIMIT 3
"""  # noqa: S608  likewise
_SLOTS: Final = """
SELECT slot_name::text AS name, active, greatest(age(xmin), age(catalog_xmin))::float8 AS xids
FROM pg_replication_slots WHERE xmin IS NOT NULL OR catalog_xmin IS NOT NULL ORDER BY 3 DESC LIMIT 3
"""
_PREPARED: Final = f"""
SELECT {raw("gid")} AS gid, {raw("database::text")} AS database, extract(epoch FROM clock_timestamp() - prepared)::float8 AS since,
       age(transaction)::float8 AS xids
FROM pg_prepared_xacts ORDER BY prepared LIMIT 5
"""  # noqa: S608  likewise
_FEEDBACK: Final = """
SELECT application_name AS name, age(backend_xmin)::float8 AS xids FROM pg_stat_replication WHERE backend_xmin IS NOT NULL
ORDER BY 2 DESC LIMIT 3
"""


async def read(inquiry: Inquiry) -> FactSection:
    """What is under way first, then what should be."""
    page = Page(inquiry, TITLE)
    for row in await page.ask("progress", _PROGRESS % progress(page.server.version)):
        _put_progress(page, row)
    if page.empty:
        page.put("under way", "nothing: no vacuum, analyze, index build, copy or backup")
    for row in await page.ask("autovacuum", _WORKERS):
        _put_workers(page, row)
    await _put_ages(page)
    await _put_holders(page)
    return page.section()


def progress(version: int) -> str:
    """The views of progress that a version has, in one shape."""
    views = [_ANALYZE, _VACUUM_17 if version >= 170000 else _VACUUM, _INDEX, _CLUSTER, _BACKUP]
    return " UNION ALL ".join([*views, _COPY_14] if version >= 140000 else views)


def _put_progress(page: Page, row: Row) -> None:
    what = " ".join(filter(None, ("autovacuum:" if row["auto"] else "", row["kind"])))
    where = (
        name_of(row["relation"]) if row["relation"] is not None else f"in {name_of(row['database'])}" if row["database"] is not None else ""
    )
    if row["phase"] is None:
        page.denied(what, f"pid {row['pid']}: another role's, how far it is cannot be seen")
        return
    share = percent(row["done"] / row["total"]) if row["total"] and row["done"] is not None else ""
    since = f"for {duration(row['since'])}" if row["since"] is not None else ""
    urgent = "to prevent wraparound" if row["urgent"] else ""
    page.put(what, joined(f"{share:>4}", row["phase"], where, since, f"pid {row['pid']}", urgent), severity="warning" if urgent else "")


def _put_workers(page: Page, row: Row) -> None:
    if page.server.standby:
        page.put("autovacuum", "runs on the primary only")
        return
    if row["enabled"] != "on":
        page.put("autovacuum", "off: dead rows stay, and planner statistics grow old", setting("autovacuum", "on"), "critical")
        return
    if row["counts"] != "on":
        page.put("autovacuum", "blind: track_counts is off", setting("track_counts", "on"), "critical")
        return
    if row["hidden"]:
        page.denied("autovacuum workers", "cannot be seen")
        return
    most = min(row["most"], row["slots"] or row["most"])
    all_busy = row["busy"] >= most
    # From 18 on the number may grow while the server runs, as far as there are slots.
    fix = setting("autovacuum_max_workers", str(most * 2), restart=(row["slots"] or 0) < most * 2) if all_busy else ""
    note = "more workers share one budget: autovacuum_vacuum_cost_limit should grow with their number" if all_busy else ""
    says = f"{row['busy']} of {most} busy"
    page.put("autovacuum workers", f"all {says}: tables wait for a vacuum" if all_busy else says, fix, "warning" if all_busy else "", note)


async def _put_ages(page: Page) -> None:
    rows = await page.ask("transaction ids", _AGES)
    for row in rows:
        limit, age, kind = max(
            ((row["freeze"], row["xids"], "transactions"), (row["freeze_multi"], row["multixacts"], "multixacts")),
            key=lambda one: one[1] / one[0],
        )
        severity = "critical" if age > _OLD_XID else "warning" if age > limit * _BEHIND else ""
        fix = statement("vacuumdb --freeze --dbname={}", shell_word(text_of(row["name"]))) if severity else ""
        page.put(
            f"age {name_of(row['name'])}",
            f"{count(age)} {kind}, {percent(age / limit)} of where a vacuum against wraparound begins",
            fix,
            severity,
        )
    if any(row["here"] and row["xids"] > row["freeze"] for row in rows):
        for row in await page.ask("oldest tables", _OLDEST_TABLES):
            page.put(f"oldest {name_of(row['name'])}", f"{count(row['xids'])} transactions", statement("VACUUM (FREEZE) {}", row["name"]))


async def _put_holders(page: Page) -> None:
    """What keeps rows from being vacuumed away: transactions, slots, prepared transactions, feedback of standbys."""
    for row in await page.ask("open transactions", _SESSIONS):
        who = joined(f"pid {row['pid']}", name_of(row["username"] or ""), safe(row["application"] or "", 64), row["state"] or "")
        held = f"xmin {count(row['xids'])} transactions back" if row["xids"] is not None else ""
        page.put(
            "open transaction", joined(f"for {duration(row['since'])}", who, held), severity="warning" if row["since"] > _LONG_S else ""
        )
    for row in await page.ask("prepared transactions", _PREPARED):
        fix = statement("ROLLBACK PREPARED {}", literal(text_of(row["gid"])))
        text = joined(
            f"for {duration(row['since'])}",
            name_of(row["gid"]),
            f"in {name_of(row['database'])}",
            f"xmin {count(row['xids'])} transactions back",
        )
        page.put("prepared transaction", text, fix, "warning" if row["since"] > _LONG_S else "")
    for row in await page.ask("slots", _SLOTS):
        text = joined(safe(row["name"]), "active" if row["active"] else "inactive", f"xmin {count(row['xids'])} transactions back")
        page.put("slot", text, severity="" if row["active"] else "warning")
    for row in await page.ask("feedback of standbys", _FEEDBACK):
        page.put("standby", joined(safe(row["name"], 64), f"its queries keep xmin {count(row['xids'])} transactions back"))
