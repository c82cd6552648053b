"""pg_stat_statements of one server: whether it can be read, with which columns, and one reading of it as a `Sample`.

Columns follow the version of the extension, which an upgraded server may have left behind; so they are looked up, never derived from the
server's version (PostgreSQL documentation, F.30).
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from perfconsole.collectors.postgres.connection import APPLICATION, MARKER, raw
from perfconsole.collectors.postgres.statements.texts import PLANNED, Place
from perfconsole.core.globs import Globs
from perfconsole.core.statements import CALLS, EXEC, IO, PLAN, ROWS, Identity, Sample, gathered
from perfconsole.core.text import safe

if TYPE_CHECKING:
    from collections.abc import Generator

    from perfconsole.collectors.postgres.connection import Server

UNREADABLE: Final = frozenset({"42P01", "42883", "42703", "3F000", "55000", "0A000"})
"""Codes that say the extension is not as it was found: dropped, moved, updated, not preloaded."""

_QUERY_ID: Final = 140000
"""From here on pg_stat_activity tells query_id."""

# No arrays here or in parameters: of each connection the driver would first ask what type that is, in a statement of 30 lines.
_FIND: Final = """
SELECT e.extversion AS version, quote_ident(n.nspname) AS schema,
       (SELECT string_agg(a.attname::text, ' ') FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = n.oid AND c.relname = 'pg_stat_statements' AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'pg_stat_statements_info') AS info,
       current_setting('pg_stat_statements.max', true) AS entries,
       current_setting('pg_stat_statements.track_planning', true) AS planning,
       current_setting('track_io_timing') AS io, current_setting('block_size')::int AS block,
       (SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries') AS preloaded,
       CASE WHEN e.oid IS NULL THEN EXISTS (SELECT FROM pg_available_extensions a WHERE a.name = 'pg_stat_statements') END AS available
FROM (SELECT 1) AS one LEFT JOIN pg_extension e ON e.extname = 'pg_stat_statements' LEFT JOIN pg_namespace n ON n.oid = e.extnamespace
"""

_FLIGHTS: Final = f"""
SELECT usesysid, datid, query_id, date_part('epoch', clock_timestamp() - query_start),
       CASE WHEN state = 'active' OR application_name = 'perfconsole' THEN substr({raw("query")}, 1, 1100) END,
       application_name, state = 'active'
FROM pg_stat_activity
WHERE query_id IS NOT NULL AND backend_type = 'client backend' AND (state = 'active' OR application_name = 'perfconsole' OR $1)
"""  # noqa: S608  what is put in is a constant of this project
"""What runs now; and what our own sessions ran last: statements to leave out. Where applications are left out, likewise what they ran."""

_MEMORY: Final = "length(set_config('work_mem', '32MB', true))::int8"
"""The function fills a tuplestore with all its columns: 17 MB at 50,000 entries, which the usual 4 MB of memory would send to a temporary
file. The setting is made by the first arm of the query, before the function is called, and ends with the transaction."""

_key_of = itemgetter(13, 14, 15, 16)
_hidden_of = itemgetter(15)


class Extension(NamedTuple):
    """As it was found on a server.

    Attributes:
        schema: Where it is, quoted.
        sql: Reads all counters; texts have a query of their own.
        entries: pg_stat_statements.max.
        plans: Planning is counted (track_planning).
        io: I/O is timed (track_io_timing).
    """

    version: str
    schema: str
    sql: str
    block_bytes: int
    entries: int
    plans: bool
    io: bool

    @property
    def texts_sql(self) -> str:
        """Texts of statements by queryid. Reads the whole file of texts on the server, however few are asked for."""
        return (
            f"SELECT NULL::oid, NULL::oid, {_MEMORY}, NULL::text UNION ALL SELECT userid, dbid, queryid, left(query, 16384) "  # noqa: S608  quoted by the server
            f"FROM {self.schema}.pg_stat_statements(true) WHERE queryid = ANY(string_to_array($1, ' ')::int8[])"
        )


async def find(server: "Server") -> Extension | str:
    """Look for the extension: as it is, or the sentence that says why it cannot be read and what to do."""
    found = (await server.fetch(_FIND))[0]
    problem = _problem(found, server)
    if problem:
        return problem
    columns: list[str] = found["columns"].split()
    sql = _reading(found["schema"], columns, info=found["info"], query_id=server.version >= _QUERY_ID)
    return Extension(
        found["version"], found["schema"], sql, found["block"], int(found["entries"]), found["planning"] == "on", found["io"] == "on"
    )


def _problem(found: Any, server: "Server") -> str:
    name = "pg_stat_statements"
    if found["version"] is None:
        if not found["available"]:
            return f"{name} is not on this server: install PostgreSQL's contrib package there, then {_preload(found)}"
        if found["entries"] is None:
            return f"{name} is not installed: {_preload(found)}, then CREATE EXTENSION {name}"
        return f'{name} is not in database "{server.database}": CREATE EXTENSION {name} there, or name a database that has it in the dsn'
    if found["entries"] is None:
        return f"{name} is created but not preloaded: {_preload(found)}"
    if "total_exec_time" not in (found["columns"] or "").split():
        update = f"ALTER EXTENSION {name} UPDATE" if server.version >= 130000 else "PostgreSQL 13 is needed"
        return f"{name} {safe(found['version'], 20)} is too old: {update}"
    return ""


def _preload(found: Any) -> str:
    """Beside the libraries that are there already: a list in one pair of quotes would be the name of one library, and end the server."""
    others = [part.strip().strip('"') for part in (found["preloaded"] or "").split(",") if part.strip()]
    libraries = ", ".join(f"'{safe(name, 60)}'" for name in dict.fromkeys([*others, "pg_stat_statements"]))
    unseen = "" if found["preloaded"] is not None else " (beside what is there)"
    return f"ALTER SYSTEM SET shared_preload_libraries = {libraries}{unseen}, restart the server"


def _reading(schema: str, columns: Sequence[str], *, info: bool, query_id: bool) -> str:
    """One statement: when and of which count, the rows, and again when and of which count, so that a reset in between is seen.

    Numeric is dear at thousands of rows: WAL bytes leave as bigint, times by date_part (extract gives numeric from 14 on: 3 ms).
    """

    def total(*names: str) -> str:
        return " + ".join(name for name in names if name in columns) or "'NaN'::float8"

    def epoch(name: str) -> str:
        return f"date_part('epoch', {name})" if name in columns else "NULL::float8"

    io = total(
        "shared_blk_read_time", "shared_blk_write_time", "blk_read_time", "blk_write_time", "local_blk_read_time", "local_blk_write_time",
        "temp_blk_read_time", "temp_blk_write_time",
    )  # fmt: skip
    count = "i.dealloc, date_part('epoch', clock_timestamp()), date_part('epoch', i.stats_reset)"
    source = f"{schema}.pg_stat_statements_info i"
    if not info:
        source = "(SELECT NULL::int8 AS dealloc, NULL::timestamptz AS stats_reset) i"
    own = "(SELECT a.query_id FROM pg_stat_get_activity(pg_backend_pid()) a)" if query_id else "NULL::int8"
    me = "(SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user)"
    here = "(SELECT d.oid FROM pg_database d WHERE d.datname = current_database())"
    started = "date_part('epoch', pg_postmaster_start_time())"
    edge = (
        f"SELECT {count}, {own}, %s, NULL::int8, {started}, NULL::int8, NULL::int8, NULL::float8, NULL::float8, "  # noqa: S608  quoted by the server
        f"NULL::float8, NULL::float8, {me}, {here}, NULL::int8, NULL::bool FROM {source}"
    )
    rows = (
        "SELECT calls, total_exec_time, total_plan_time, rows, shared_blks_hit, shared_blks_read, "  # noqa: S608  likewise
        f"{io}, temp_blks_written, wal_bytes::int8, stddev_exec_time, max_exec_time, {epoch('stats_since')}, "
        f"{epoch('minmax_stats_since')}, userid, dbid, queryid, {'toplevel' if 'toplevel' in columns else 'true'} "
        f"FROM {schema}.pg_stat_statements(false)"
    )
    return f"{edge % _MEMORY} UNION ALL {rows} UNION ALL {edge % 'NULL::int8'}"


async def own_by_text(server: "Server", extension: Extension) -> frozenset[Place]:
    """This project's statements where no server tells them: before PostgreSQL 14. Reads all texts."""
    if server.version >= _QUERY_ID:
        return frozenset()
    sql = (
        f"SELECT userid, dbid, queryid FROM {extension.schema}.pg_stat_statements(true) "  # noqa: S608  quoted by the server
        "WHERE strpos(query, $1) > 0 AND strpos(query, $2) <> 1"
    )
    return frozenset((userid, dbid, queryid) for userid, dbid, queryid in await server.fetch(sql, MARKER, PLANNED))


class Read(NamedTuple):
    """One reading: None for a sample that a reset ran into, and what our own statement is called there."""

    sample: Sample | None
    own: Place | None


def parsed(records: "Sequence[Any]") -> "Generator[None, None, Read]":
    """What `Extension.sql` answered, giving way every few thousand rows."""
    head, tail = records[0], records[-1]
    own = None if tail[ROWS] is None else (tail[13], tail[14], tail[ROWS])
    if head[PLAN] != tail[PLAN]:
        return Read(None, own)
    rows, hidden, merged = yield from gathered(records[1:-1], _key_of)
    dealloc = float("nan") if tail[CALLS] is None else float(tail[CALLS])
    return Read(Sample(head[EXEC], tail[EXEC], rows, Identity(tail[PLAN], tail[IO]), dealloc, hidden, merged), own)


class Flights(NamedTuple):
    """What runs now, by (userid, dbid, queryid, toplevel): how many, how long the longest, and its text with its literals.

    Attributes:
        own: This project's own statements.
        known: The server tells query_id.
        ages_s: For how long each of them has been running.
        left_out: What applications run or ran last that are left out; `others` what others do.
    """

    running: dict[tuple[int, ...], tuple[int, float, str]]
    own: frozenset[Place]
    known: bool
    ages_s: dict[tuple[int, ...], list[float]] = {}
    left_out: frozenset[Place] = frozenset()
    others: frozenset[Place] = frozenset()


async def flights(server: "Server", left_out: Globs | None = None) -> Flights:
    """Join what runs now to its statement; nothing before PostgreSQL 14.

    Args:
        server: Whom to ask.
        left_out: Globs of applications whose statements may last.
    """
    if server.version < _QUERY_ID:
        return Flights({}, frozenset(), known=False)
    running: dict[tuple[int, ...], tuple[int, float, str]] = {}
    own: set[Place] = set()
    ages_s: dict[tuple[int, ...], list[float]] = {}
    whose: tuple[set[Place], set[Place]] = set(), set()
    for userid, dbid, queryid, age_s, text, application, active in await server.fetch(_FLIGHTS, left_out is not None):
        if application == APPLICATION:
            # While a statement is planned or measured, its own id may be told here: that of the application.
            if not (text or b"").startswith((b"PREPARE", b"EXPLAIN")):
                own.add((userid, dbid, queryid))
            continue
        whose[left_out is not None and left_out.names(application or "")].add((userid, dbid, queryid))
        if not active:
            continue
        key = (userid, dbid, queryid, True)
        count, longest_s, _ = running.get(key, (0, 0.0, ""))
        ages_s.setdefault(key, []).append(age_s or 0.0)
        running[key] = (count + 1, max(longest_s, age_s or 0.0), (text or b"").decode("utf-8", "replace"))
    return Flights(running, frozenset(own), True, ages_s, frozenset(whose[True]), frozenset(whose[False]))
