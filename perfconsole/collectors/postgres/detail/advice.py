"""What could be better: indexes that are not used, redundant, broken or missing, tables nobody analyzed.

Each piece of advice carries its caveat, and the exact statement to copy; nothing is executed. Counters tell of the time since they were
reset, on this server alone. Sizes are the catalog's page counts: no index is locked for advice.
"""

from collections.abc import Sequence
from typing import Final

from perfconsole.collectors.postgres.connection import raw
from perfconsole.collectors.postgres.detail.facts import NAMED, Inquiry, Page, Row, ago, joined, name_of, statement
from perfconsole.collectors.postgres.detail.redundancy import Index, redundant
from perfconsole.core.requests import FactSection
from perfconsole.core.units import count, duration, size

TITLE: Final = "Advice"
_MOST: Final = 10
_SHORT_S: Final = 7 * 86400.0
"""Counters younger than this have not seen a month's end, and hardly a week's."""

_INDEXES: Final = 20_000
_CANDIDATES: Final = 100
_PAGES: Final = "c.relpages * current_setting('block_size')::float8"
_NEEDED: Final = "(i.indisprimary OR i.indisreplident OR i.indexrelid IN (SELECT conindid FROM pg_constraint))"
"""As IN, of which the server makes a hash: EXISTS in an OR it looks up again for each index, 1.4 s for 4,000 of them."""

_OURS: Final = "c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"
"""Temporary tables are their sessions' own."""

_SINCE: Final = """
SELECT extract(epoch FROM clock_timestamp() - stats_reset)::float8 AS since, (SELECT count(*)::int FROM pg_stat_replication) AS standbys
FROM pg_stat_database WHERE datname = current_database()
"""
_UNUSED: Final = f"""
SELECT i.indexrelid::oid AS oid, {NAMED} AS name, {raw("t.relname::text")} AS table, {_PAGES} AS size
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class t ON t.oid = i.indrelid
WHERE c.relkind = 'i' AND {_OURS} AND pg_stat_get_numscans(i.indexrelid) = 0 AND i.indisvalid AND NOT i.indisunique AND NOT i.indisexclusion
      AND NOT {_NEEDED} AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)
ORDER BY c.relpages DESC LIMIT {_CANDIDATES}
"""  # noqa: S608  what is put in are constants of this project; a part of a partitioned index cannot be dropped alone
# While a table is reindexed concurrently, all its new indexes wait for their turn; without the right to see whose it is, it may be any.
_INVALID: Final = f"""
SELECT {NAMED} AS name, c.relname ~ '_cc(new|old)[0-9]*$' AND NOT {_NEEDED} AS leftover, {_PAGES} AS size
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'i' AND c.relpersistence <> 't' AND NOT i.indisvalid
      AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p
                      WHERE p.datname = current_database() AND coalesce(p.relid, i.indrelid) = i.indrelid)
LIMIT {_MOST}
"""  # noqa: S608  likewise
_EVERY: Final = f"""
SELECT i.indexrelid::oid AS oid, i.indrelid::oid AS table, {NAMED} AS name, a.amname::text AS method, i.indkey::text AS columns,
       i.indnkeyatts::int AS keys, i.indclass::text AS classes, i.indcollation::text AS collations, i.indoption::text AS options,
       coalesce(i.indexprs::text, '') AS expressions, coalesce(i.indpred::text, '') AS predicate,
       i.indisunique AS unique, %s AS one_null,
       {_NEEDED} OR EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid) AS needed,
       i.indisvalid AND i.indisready AND i.indislive AS usable, {_PAGES} AS size
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam
WHERE c.relkind = 'i' AND {_OURS} AND i.indrelid IN (SELECT indrelid FROM pg_index GROUP BY indrelid HAVING count(*) > 1)
LIMIT {_INDEXES}
"""  # noqa: S608  likewise
# A key of another table is looked up in this one whenever a row there is deleted: without an index by reading all of it.
_FOREIGN: Final = f"""
SELECT {NAMED} AS name, {raw("f.relname::text")} AS target, greatest(c.reltuples, pg_stat_get_live_tuples(c.oid))::float8 AS rows,
       (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.place) FROM unnest(x.conkey) WITH ORDINALITY k(number, place)
        JOIN pg_attribute a ON a.attrelid = x.conrelid AND a.attnum = k.number) AS columns
FROM pg_constraint x JOIN pg_class c ON c.oid = x.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_class f ON f.oid = x.confrelid
WHERE x.contype = 'f' AND c.relkind = 'r' AND c.relpersistence <> 't' AND x.conparentid = 0
      AND greatest(c.reltuples, pg_stat_get_live_tuples(c.oid)) >= 10000
      AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = x.conrelid AND i.indisvalid AND i.indpred IS NULL
                      AND i.indnkeyatts >= cardinality(x.conkey)
                      AND (string_to_array(i.indkey::text, ' ')::int2[])[1:cardinality(x.conkey)] @> x.conkey)
ORDER BY 3 DESC LIMIT {_MOST}
"""  # noqa: S608  likewise
_SCANNED: Final = f"""
SELECT {NAMED} AS name, s.seq_scan::float8 AS scans, s.seq_tup_read::float8 AS read, coalesce(s.idx_scan, 0)::float8 AS by_index
FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't' AND s.seq_scan >= 100 AND s.seq_tup_read / s.seq_scan >= 10000
ORDER BY s.seq_tup_read DESC LIMIT {_MOST}
"""  # noqa: S608  likewise
_UNANALYZED: Final = f"""
SELECT {NAMED} AS name, CASE WHEN s.n_live_tup > 0 THEN s.n_live_tup ELSE s.n_mod_since_analyze END::float8 AS rows
FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't' AND s.last_analyze IS NULL AND s.last_autoanalyze IS NULL
      AND greatest(s.n_live_tup, s.n_mod_since_analyze) >= 50
ORDER BY 2 DESC LIMIT {_MOST}
"""  # noqa: S608  likewise


async def read(inquiry: Inquiry) -> FactSection:
    """What is broken, then what is superfluous, then what is missing."""
    page = Page(inquiry, TITLE)
    for row in await page.ask("invalid indexes", _INVALID):
        again = "DROP INDEX CONCURRENTLY {}" if row["leftover"] else "REINDEX INDEX CONCURRENTLY {}"
        says = "left by a REINDEX that failed" if row["leftover"] else "its build failed: no query uses it, each write pays for it"
        page.put(f"invalid index {name_of(row['name'])}", joined(says, f"~{size(row['size'])}"), statement(again, row["name"]), "warning")
    await _put_unused(page, await _put_redundant(page))
    await _put_missing(page)
    if page.server.standby:
        page.note("changes are made on the primary; it counts its own use of tables and indexes")
    elif not await _put_unanalyzed(page) and page.empty:
        page.put("nothing", "nothing unused, redundant, broken or missing was found", severity="ok")
    page.note(f"of {page.server.database} only; sizes are estimates")
    return page.section()


async def _put_redundant(page: Page) -> set[int]:
    """Those another one makes superfluous; returns them and those others: of these none is to be called unused as well."""
    rows = await page.ask("redundant indexes", _EVERY % ("i.indnullsnotdistinct" if page.server.version >= 150000 else "false"))
    sizes = {row["oid"]: row["size"] for row in rows}
    found = sorted(redundant(map(_index, rows)), key=lambda one: -sizes[one.which.oid])
    for one in found[:_MOST]:
        by = name_of(one.by.name)
        says = f"the same as {by}" if one.exact else f"{by} begins with its columns"
        text = joined(says, f"~{size(sizes[one.which.oid])}")
        fix = statement("DROP INDEX CONCURRENTLY {}", one.which.name)
        note = "" if one.exact else "it is the smaller one to read: where a hot query needs no more than it, it may stay"
        page.put(f"redundant index {name_of(one.which.name)}", text, fix, "warning" if one.exact else "", note)
    if len(found) > _MOST:
        page.note(f"{len(found) - _MOST} further redundant indexes are smaller")
    return {oid for one in found for oid in (one.which.oid, one.by.oid)}


def _index(row: Row) -> Index:
    return Index(
        row["oid"], row["table"], row["name"], row["method"], _numbers(row["columns"]), row["keys"], _numbers(row["classes"]),
        _numbers(row["collations"]), _numbers(row["options"]), row["expressions"], row["predicate"],
        row["unique"], row["needed"], row["usable"], row["one_null"],
    )  # fmt: skip


def _numbers(vector: str) -> tuple[int, ...]:
    return tuple(map(int, vector.split()))


async def _put_unused(page: Page, told: set[int]) -> None:
    since = await page.ask("counters", _SINCE)
    rows = [row for row in await page.ask("unused indexes", _UNUSED) if row["oid"] not in told]
    if not rows:
        return
    age = since[0]["since"] if since else None
    when = f"in {duration(age)}" if age is not None else "since its counters began"
    standbys = f"its standbys ({since[0]['standbys']})" if since and since[0]["standbys"] else "standbys, if there are any,"
    note = f"counted on this server only: {standbys} count for themselves, look there before dropping"
    if age is not None and age < _SHORT_S:
        note += f"; the counters were reset {ago(age)}, too short to judge by"
    for row in rows[:_MOST]:
        text = joined(f"not used {when}", f"on {name_of(row['table'])}", f"~{size(row['size'])}")
        page.put(f"unused index {name_of(row['name'])}", text, statement("DROP INDEX CONCURRENTLY {}", row["name"]), note=note)
    if len(rows) > _MOST:
        page.note(f"the {_MOST} largest unused indexes are shown")


async def _put_missing(page: Page) -> None:
    for row in await page.ask("foreign keys", _FOREIGN):
        target = name_of(row["target"])
        fix = statement("CREATE INDEX CONCURRENTLY ON {} ({})", row["name"], row["columns"])
        text = joined(f"({name_of(row['columns'])}) refers to {target}", f"{count(row['rows'])} rows are read for each row deleted there")
        note = f"worth it where rows of {target} are deleted or joined to; where they never are it only costs writes"
        page.put(f"foreign key without an index {name_of(row['name'])}", text, fix, "warning", note)
    for row in await page.ask("sequential scans", _SCANNED):
        often = f"read whole {count(row['scans'])} times, {count(row['read'] / row['scans'])} rows each"
        text = joined(often, f"{count(row['by_index'])} times by index")
        fix = statement("CREATE INDEX CONCURRENTLY ON {} (COLUMN)", row["name"])
        note = "COLUMN is to be filled in: the plan (p) of the statements on it marks their filter; what needs every row needs no index"
        page.put(f"missing index {name_of(row['name'])}", text, fix, "warning", note)


async def _put_unanalyzed(page: Page) -> Sequence[Row]:
    rows = await page.ask("never analyzed", _UNANALYZED)
    for row in rows:
        page.put(
            f"never analyzed {name_of(row['name'])}",
            f"{count(row['rows'])} rows: the planner guesses",
            statement("ANALYZE {}", row["name"]),
            "warning",
        )
    return rows
