"""How large things are: databases, and the largest tables with TOAST, indexes, dead rows and their last vacuum and analyze.

The size of a table is asked of the file system under a lock on the table: of thousands it would take seconds, of one that is being altered
it would wait. So the catalog's page counts choose which few are measured, and what somebody holds exclusively is left at that estimate.
"""

from collections.abc import Sequence
from math import nan
from typing import Final, NamedTuple

from perfconsole.collectors.postgres.connection import raw
from perfconsole.collectors.postgres.detail.facts import NAMED, Inquiry, Page, Row, ago, joined, name_of, quoted, statement, text_of
from perfconsole.core.requests import FactSection
from perfconsole.core.units import count, percent, size

DATABASES: Final = "Databases"
TABLES: Final = "Tables"
_MOST: Final = 30
_ONE_BY_ONE: Final = 8
_SLOW: Final = 2
"""Databases that may run into the limit of 2 s each: the time is all sections'."""

_DEAD_ROWS: Final = 10_000
_DEAD_RATIO: Final = 0.2
_SYSTEM_PAGES: Final = 2048
"""16 MiB: a catalog below that interests nobody; one above is full of dead rows, or of a hundred thousand tables."""

_MAY: Final = "has_database_privilege(d.oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE')"
_LISTED: Final = f"""
SELECT d.oid, {raw("d.datname::text")} AS name, d.datistemplate AS template, d.datconnlimit = -2 AS broken,
       ({_MAY}) AS allowed, s.numbackends::int AS sessions, %s AS size
FROM pg_database d LEFT JOIN pg_stat_database s ON s.datid = d.oid
ORDER BY size DESC NULLS LAST, s.xact_commit DESC NULLS LAST
"""  # noqa: S608  what is put in are constants of this project
_MEASURED: Final = _LISTED % f"CASE WHEN {_MAY} THEN pg_database_size(d.oid)::float8 END"
_UNMEASURED: Final = _LISTED % "NULL::float8"
_ONE: Final = "SELECT pg_database_size($1::oid)::float8 AS size"

# Page counts are of the last vacuum or analyze: a table that was just loaded has none, and is found by its rows; on a standby, which
# counts none, because it is among the newest.
_CANDIDATES: Final = f"""
WITH every AS MATERIALIZED (
    SELECT c.oid, c.relnamespace, c.relname, c.relpages + coalesce(t.relpages, 0) AS pages, c.reltuples,
           pg_stat_get_live_tuples(c.oid) AS live, pg_stat_get_dead_tuples(c.oid) AS dead
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
    WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
          AND (n.nspname NOT IN ('pg_catalog', 'information_schema') OR c.relpages + coalesce(t.relpages, 0) > {_SYSTEM_PAGES})),
chosen AS (
    (SELECT oid FROM every ORDER BY pages DESC LIMIT {_MOST}) UNION (SELECT oid FROM every ORDER BY live + dead DESC LIMIT {_MOST // 2})
    UNION (SELECT oid FROM every WHERE pages = 0 ORDER BY oid DESC LIMIT {_MOST // 2}))
SELECT c.oid, {NAMED} AS name, (SELECT count(*)::int FROM every) AS tables,
       c.pages * current_setting('block_size')::float8 AS estimate, c.reltuples::float8 AS planned, c.live::float8, c.dead::float8,
       extract(epoch FROM clock_timestamp()
               - greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)))::float8 AS vacuumed,
       extract(epoch FROM clock_timestamp()
               - greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)))::float8 AS analyzed
FROM chosen JOIN every c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
"""  # noqa: S608  likewise
_SIZES: Final = """
WITH held AS MATERIALIZED (SELECT relation FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL)
SELECT c.oid, pg_table_size(c.oid)::float8 AS whole, pg_indexes_size(c.oid)::float8 AS indexes,
       CASE WHEN c.reltoastrelid <> 0 THEN pg_total_relation_size(c.reltoastrelid)::float8 ELSE 0 END AS toast
FROM pg_class c
WHERE c.oid = ANY($1::oid[]) AND NOT EXISTS (
    SELECT FROM held h WHERE h.relation IN (c.oid, c.reltoastrelid)
    OR h.relation IN (SELECT indexrelid FROM pg_index WHERE indrelid IN (c.oid, c.reltoastrelid)))
"""


async def read_databases(inquiry: Inquiry) -> FactSection:
    """The databases, the largest first."""
    page = Page(inquiry, DATABASES)
    rows = await page.try_to(_MEASURED)
    sizes = {row["oid"]: row["size"] for row in rows} if rows is not None else {}
    if rows is None:  # one that is too large to be measured in time must not hide the others
        rows = await page.ask("databases", _UNMEASURED)
        slow = 0
        for row in [row for row in rows if row["allowed"]][:_ONE_BY_ONE]:
            found = await page.try_to(_ONE, row["oid"]) if slow < _SLOW else None
            sizes[row["oid"]] = found[0]["size"] if found else None
            slow += found is None
    for row in rows[:_MOST]:
        _put_database(page, row, sizes.get(row["oid"]))
    known = [value for value in sizes.values() if value is not None]
    if known:
        page.note(f"{len(rows)} databases, {size(sum(known))} together")
    return page.section()


def _put_database(page: Page, row: Row, measured: float | None) -> None:
    name = name_of(row["name"])
    if row["broken"]:
        fix = statement("DROP DATABASE {}", quoted(text_of(row["name"])))
        page.put(name, "broken: dropping it was interrupted; it can only be dropped again", fix, "warning")
    elif not row["allowed"]:
        page.denied(name, "its size may not be read")
    elif measured is None:
        page.put(name, "its size could not be measured within 2 s", severity="unknown")
    else:
        page.put(name, joined(f"{size(measured):>5}", f"{row['sessions'] or 0} sessions", "template" if row["template"] else ""))


class _Sizes(NamedTuple):
    """Bytes of a table; `table` without its TOAST. NaN where only the estimate is known."""

    total: float
    table: float = nan
    toast: float = nan
    indexes: float = nan


async def read_tables(inquiry: Inquiry) -> FactSection:
    """The largest tables of the database that is connected to."""
    page = Page(inquiry, TABLES)
    rows = await page.ask("tables", _CANDIDATES)
    if rows:
        exact = await page.ask("exact sizes", _SIZES, [row["oid"] for row in rows])
        _put_tables(page, rows, exact)
        page.note(f"the largest of {rows[0]['tables']} tables in {page.server.database}; another database is read where a dsn names it")
    elif page.empty:
        page.note(f"no tables in {page.server.database}")
    if page.server.standby:
        page.note("a standby counts no dead rows, vacuums and analyzes: those are known on the primary")
    return page.section()


def _put_tables(page: Page, rows: Sequence[Row], exact: Sequence[Row]) -> None:
    measured = {
        row["oid"]: _Sizes(row["whole"] + row["indexes"], row["whole"] - row["toast"], row["toast"], row["indexes"])
        for row in exact
        if row["whole"] is not None and row["indexes"] is not None and row["toast"] is not None  # dropped meanwhile
    }
    sizes = {row["oid"]: measured.get(row["oid"], _Sizes(row["estimate"])) for row in rows}
    for row in sorted(rows, key=lambda row: -sizes[row["oid"]].total)[:_MOST]:
        _put_table(page, row, sizes[row["oid"]])
    if exact and len(measured) < len(rows):
        page.note("~ is an estimate of the last vacuum: somebody holds the table exclusively")


def _put_table(page: Page, row: Row, sizes: _Sizes) -> None:
    exact = sizes.table == sizes.table
    parts = (
        f"table {size(sizes.table):>5}  TOAST {size(sizes.toast):>5}  indexes {size(sizes.indexes):>5}" if exact else "without its indexes"
    )
    live = max(row["planned"], 0.0) if page.server.standby else row["live"]
    dead = row["dead"] / (row["live"] + row["dead"]) if row["live"] + row["dead"] else 0.0
    heavy = row["dead"] > _DEAD_ROWS and dead > _DEAD_RATIO
    upkeep = "" if page.server.standby else f"dead {percent(dead)}  vacuumed {ago(row['vacuumed'])}  analyzed {ago(row['analyzed'])}"
    text = joined(f"{'' if exact else '~'}{size(sizes.total):>5}", parts, f"rows {count(live)}", upkeep)
    fix = statement("VACUUM (ANALYZE) {}", row["name"]) if heavy else ""
    page.put(name_of(row["name"]), text, fix, "warning" if heavy else "")
