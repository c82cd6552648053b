"""How a server does: connections, transactions, cache, write-ahead log, checkpoints, replication, transaction ids.

Four questions a look. Each stands alone: one that a right or the version does not allow leaves its own numbers unknown, says so with the
grant that mends it, and is asked again a minute later, lest the server's log fills with refusals. A standby answers all of them.
"""

from collections.abc import Mapping, Sequence
from math import nan
from typing import Any, Final, NamedTuple

from perfconsole.collectors.postgres.checkpoints import Checkpoints, Counted
from perfconsole.collectors.postgres.connection import Server, raw
from perfconsole.collectors.postgres.faults import ANSWERED, FULL, QUERY, ServerError
from perfconsole.core.globs import Globs
from perfconsole.core.ports import Measured
from perfconsole.core.text import safe
from perfconsole.core.tick import Health, SeriesDef

NAME: Final = "postgres"
_STATES: Final = ("active", "idle", "idle in transaction", "other")
_MOST_APPLICATIONS: Final = 10
_MOST_DATABASES: Final = 12
_ASK_AGAIN_S: Final = 60.0
_MEANS_SOMETHING: Final = 100
"""Blocks of which a hit ratio can be told: of three of them, two thirds say nothing of a cache."""

NONE: Final = Globs()

Values = dict[tuple[str, str, str], float]
"""Metric name without its prefix, label, value of the label."""

_FIXED: Final = (
    ("up", "", ""),
    ("connections", "", ""),
    ("connections.utilization", "", ""),
    *(("sessions", "state", state) for state in _STATES),
    ("sessions.blocked", "", ""),
    ("transaction.longest", "", ""),
    ("transaction.idle", "", ""),
    ("statement.longest", "", ""),
    *((name, "", "") for name in ("transactions", "rollbacks", "deadlocks", "blocks.hit", "blocks.read", "cache.hit_ratio", "temp.bytes")),
    ("xid.age", "", ""),
    ("wal.bytes", "", ""),
    ("checkpoints", "mode", "timed"),
    ("checkpoints", "mode", "requested"),
    ("checkpoints.requested.ratio", "", ""),
    ("archiver.failures", "", ""),
    ("replication.lag", "", ""),
    ("replication.slot.retained", "", ""),
    ("replication.slots.lost", "", ""),
)
"""Series that every server has, whether it can tell them or not."""

# A role without pg_read_all_stats sees of other roles' sessions the pid, the role, the database and the application; all else is NULL.
# Those that count against max_connections have a role and a database (a walsender or the launcher of logical workers lacks one).
_ACTIVITY: Final = r"""
SELECT application_name AS application, state, backend_start IS NULL AS hidden, count(*)::int AS sessions,
       count(*) FILTER (WHERE pid = pg_backend_pid())::int AS own,
       count(*) FILTER (WHERE wait_event_type = 'Lock')::int AS blocked,
       extract(epoch FROM clock_timestamp() - min(xact_start) FILTER (WHERE pid <> pg_backend_pid()))::float8 AS longest,
       extract(epoch FROM clock_timestamp() - min(state_change) FILTER (WHERE state LIKE 'idle in transaction%'))::float8 AS idle,
       extract(epoch FROM clock_timestamp() - min(query_start)
           FILTER (WHERE state = 'active' AND pid <> pg_backend_pid() AND query !~* '^\s*copy\M'))::float8 AS running,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true)::int, 0) AS room
FROM pg_stat_activity
WHERE usesysid IS NOT NULL AND datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
GROUP BY 1, 2, 3
"""

_DATABASES: Final = f"""
SELECT {raw("s.datname::text")} AS name, s.numbackends::float8 AS connections,
       (s.xact_commit + s.xact_rollback)::float8 AS transactions, s.xact_rollback::float8 AS rollbacks, s.deadlocks::float8 AS deadlocks,
       s.blks_hit::float8 AS "blocks.hit", s.blks_read::float8 AS "blocks.read", s.temp_bytes::float8 AS "temp.bytes",
       age(d.datfrozenxid)::float8 AS "xid.age", d.datistemplate AS template, pg_postmaster_start_time() AS started
FROM pg_stat_database s LEFT JOIN pg_database d ON d.oid = s.datid
"""  # noqa: S608  what is put in are constants of this project
_SUMMED: Final = ("transactions", "rollbacks", "deadlocks", "blocks.hit", "blocks.read", "temp.bytes")
_COUNTERS: Final = frozenset({*_SUMMED, "wal.bytes", "checkpoints", "archiver.failures"})

# The position in the log, not pg_stat_wal: it exists on every version, and no reset of statistics takes it back.
_HERE: Final = """CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
            ELSE pg_current_wal_lsn() END"""
_LOG: Final = f"""
SELECT pg_wal_lsn_diff({_HERE}, '0/0')::float8 AS wal, c.timed::float8, c.requested::float8, a.failed_count::float8 AS failures,
       date_part('epoch', clock_timestamp()) AS now, date_part('epoch', c.stats_reset) AS reset, pg_is_in_recovery() AS standby
FROM pg_stat_archiver a, (SELECT %s) c
"""  # noqa: S608  the one thing put in is a constant of this file
_CHECKPOINTS_17: Final = "num_timed AS timed, num_requested AS requested, stats_reset FROM pg_stat_checkpointer"
_CHECKPOINTS: Final = "checkpoints_timed AS timed, checkpoints_req AS requested, stats_reset FROM pg_stat_bgwriter"

# By time the lag of an idle primary's standby would grow for ever: when all that was received is replayed it is 0, whatever the clock says.
_REPLICATION: Final = f"""
WITH here AS (SELECT {_HERE} AS lsn, pg_is_in_recovery() AS standby)
SELECT here.standby, r.standbys, r.hidden, s.retained, s.lost, s.losing,
       CASE WHEN NOT here.standby THEN r.lag
            WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
            ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 END AS lag,
       CASE WHEN here.standby THEN pg_is_wal_replay_paused() END AS paused
FROM here,
     LATERAL (SELECT count(*)::int AS standbys, count(*) FILTER (WHERE state IS NULL)::int AS hidden,
                     max(CASE WHEN state IS NOT NULL THEN coalesce(extract(epoch FROM replay_lag)::float8, 0) END) AS lag
              FROM pg_stat_replication) r,
     LATERAL (SELECT max(pg_wal_lsn_diff(here.lsn, restart_lsn))::float8 AS retained,
                     string_agg(slot_name, ', ') FILTER (WHERE wal_status IN ('unreserved', 'lost')) AS lost,
                     (count(*) FILTER (WHERE wal_status IN ('unreserved', 'lost')))::float8 AS losing
              FROM pg_replication_slots) s
"""  # noqa: S608  likewise


class _Question(NamedTuple):
    """What is asked, and the values that the answer gives; unknown where it is refused."""

    part: str
    about: str


ACTIVITY: Final = _Question("activity", "connections and sessions")
DATABASES: Final = _Question("databases", "transactions and cache")
LOG: Final = _Question("log", "write-ahead log and checkpoints")
REPLICATION: Final = _Question("replication", "replication")


class ServerHealth:
    """The numbers of one server.

    Args:
        server: Whom to ask.
        databases: Those told apart, at most a dozen of them, the busiest first.
        left_out: Globs of applications whose statements may last.
    """

    def __init__(self, server: Server, databases: Globs, left_out: Globs = NONE) -> None:
        self._server = server
        self._databases = databases
        self._left_out = left_out
        self._series: tuple[SeriesDef, ...] = ()
        self._keys: tuple[tuple[str, str, str], ...] = ()
        self._blocks: dict[str, tuple[float, float]] = {}
        self._checkpoints = Checkpoints()
        self._known_databases: dict[str, None] = {}
        self._known_applications: dict[str, None] = {}
        self._started: Any = None
        self._another = False
        self._refused: dict[str, tuple[float, int, ServerError]] = {}
        self._told: frozenset[str] = frozenset()

    async def measure(self, at: float) -> tuple[Measured, list[Health]]:
        """Ask everything.

        Args:
            at: Wall-clock time, epoch seconds: for health.

        Raises:
            ServerError: When the server cannot be asked at all.
        """
        values: Values = {("up", "", ""): 1.0}
        findings: dict[str, Health] = {}
        self._another = False
        await self._server.ready()
        checkpoints = _CHECKPOINTS_17 if self._server.version >= 170000 else _CHECKPOINTS
        for question, sql, read in (
            (ACTIVITY, _ACTIVITY, self._read_activity),
            (DATABASES, _DATABASES, self._read_databases),
            (LOG, _LOG % checkpoints, self._read_log),
            (REPLICATION, _REPLICATION, self._read_replication),
        ):
            try:
                found = read(values, await self._ask(question, sql, at))
            except ServerError as error:
                if error.cause != QUERY:
                    raise
                found = (error.state, f"{question.about} unknown: {error.message}", error.fix)
            if found:
                findings[question.part] = Health(f"{NAME}.{question.part}", self._server.name, found[0], at, nan, 0.0, *found[1:])
        if self._another:  # no rate is made of two servers' counters: behind one name, a failover needs no connection to fail
            values = {key: value for key, value in values.items() if key[0] not in _COUNTERS}
        return self._measured(values), self._told_too(findings, at)

    def unreachable(self, failure: ServerError) -> Measured:
        """What is known of a server that cannot be asked: a full one is full, not unknown."""
        answered = failure.cause in ANSWERED and (bool(failure.code) or failure.cause == FULL)
        known = {("up", "", ""): 1.0 if answered else nan if failure.cause in ANSWERED else 0.0}
        if failure.cause == FULL:
            known["connections.utilization", "", ""] = 1.0
        return self._measured(known)

    async def _ask(self, question: _Question, sql: str, at: float) -> Sequence[Mapping[str, Any]]:
        refused = self._refused.get(question.part)
        if refused and at < refused[0] and self._server.connects == refused[1]:
            raise refused[2]
        try:
            rows = await self._server.fetch(sql)
        except ServerError as error:
            if error.code[:2] == "42":  # a right, a function or a column is missing: that seldom changes while a connection lives
                self._refused[question.part] = (at + _ASK_AGAIN_S, self._server.connects, error)
            raise
        self._refused.pop(question.part, None)
        return rows

    def _told_too(self, findings: dict[str, Health], at: float) -> list[Health]:
        """What is found, and once for each that is found no more that it is well again."""
        ended = self._told - findings.keys()
        self._told = frozenset(findings)
        return [*findings.values(), *(Health(f"{NAME}.{part}", self._server.name, "ok", at, at) for part in sorted(ended))]

    # Series -----------------------------------------------------------------------------------------------------------------------

    def _measured(self, values: Values) -> Measured:
        """Values in the order of the series; a series once seen stays, so that a gap is a gap in it."""
        missing = [key for key in (*_FIXED, *values) if key not in self._keys]
        if missing:
            self._keys += tuple(dict.fromkeys(missing))
            self._series = tuple(_definition(self._server.name, *key) for key in self._keys)
        return Measured(self._server.name, self._series, [values.get(key, nan) for key in self._keys])

    # Answers ----------------------------------------------------------------------------------------------------------------------

    def _read_activity(self, values: Values, rows: Sequence[Mapping[str, Any]]) -> tuple[str, str, str] | None:
        total = sum(row["sessions"] for row in rows)
        values["connections", "", ""] = float(total)
        values["connections.utilization", "", ""] = total / rows[0]["room"] if rows and rows[0]["room"] > 0 else nan
        self._read_applications(values, rows)
        hidden = sum(row["sessions"] for row in rows if row["hidden"])
        if hidden:
            says = f"{hidden} of {total} sessions are another role's: their states, locks and transactions cannot be seen"
            return "denied", says, f'GRANT pg_monitor TO "{self._server.user}"'
        counts = dict.fromkeys(_STATES, 0)
        for row in rows:
            state = "idle in transaction" if str(row["state"]).startswith("idle in") else str(row["state"])
            counts[state if state in counts else "other"] += row["sessions"] - row["own"]
        values.update({("sessions", "state", state): float(count) for state, count in counts.items()})
        values["sessions.blocked", "", ""] = float(sum(row["blocked"] for row in rows))
        values["transaction.longest", "", ""] = _greatest(rows, "longest")
        values["transaction.idle", "", ""] = _greatest(rows, "idle")
        told = [row for row in rows if not self._left_out.names(row["application"] or "")]
        values["statement.longest", "", ""] = _greatest(told, "running")
        return None

    def _read_applications(self, values: Values, rows: Sequence[Mapping[str, Any]]) -> None:
        """Connections by application: the greatest when they were first met, ten at most, because a set that changes ends its group."""
        counts: dict[str, int] = {}
        for row in rows:
            name = safe(row["application"] or "", 64) or "(none)"
            counts[name] = counts.get(name, 0) + row["sessions"]
        for name in sorted(counts, key=lambda name: -counts[name]):
            if len(self._known_applications) < _MOST_APPLICATIONS:
                self._known_applications[name] = None
        for name in self._known_applications:
            values["connections", "application", name] = float(counts.get(name, 0))

    def _read_databases(self, values: Values, rows: Sequence[Mapping[str, Any]]) -> None:
        started = rows[0]["started"]
        self._another, self._started = self._started not in {None, started}, started
        if self._another:
            self._blocks.clear()
            self._checkpoints.forget()
        named = {safe(row["name"], 64): row for row in rows if row["name"] is not None and not row["template"]}
        for name in _SUMMED:
            values[name, "", ""] = sum(row[name] for row in rows)
        values["xid.age", "", ""] = max((row["xid.age"] for row in rows if row["xid.age"] is not None), default=nan)
        values["cache.hit_ratio", "", ""] = self._hit_ratio("", values["blocks.hit", "", ""], values["blocks.read", "", ""])
        for name in sorted(named, key=lambda name: -named[name]["transactions"]):
            if len(self._known_databases) < _MOST_DATABASES and name in self._databases:
                self._known_databases[name] = None
        for name in self._known_databases:
            if row := named.get(name):
                values.update({(metric, "database", name): row[metric] for metric in ("connections", *_SUMMED, "xid.age")})
                values["cache.hit_ratio", "database", name] = self._hit_ratio(name, row["blocks.hit"], row["blocks.read"])

    def _hit_ratio(self, name: str, hit: float, read: float) -> float:
        """Over the time since the last look: the one since the last reset moves no more after a week, whatever happens."""
        before = self._blocks.get(name)
        self._blocks[name] = (hit, read)
        if before is None or hit < before[0] or read < before[1]:
            return nan
        hits, reads = hit - before[0], read - before[1]
        return hits / (hits + reads) if hits + reads >= _MEANS_SOMETHING else nan

    def _read_log(self, values: Values, rows: Sequence[Mapping[str, Any]]) -> None:
        row = rows[0]
        values["wal.bytes", "", ""] = _known(row["wal"])
        values["checkpoints", "mode", "timed"] = _known(row["timed"])
        values["checkpoints", "mode", "requested"] = _known(row["requested"])
        values["archiver.failures", "", ""] = _known(row["failures"])
        # A standby has restartpoints, which follow the checkpoints of its primary; which counters they are in differs by version.
        if row["standby"] or row["timed"] is None:
            self._checkpoints.forget()
        else:
            counted = Counted(row["now"], row["timed"], row["requested"], row["reset"])
            values["checkpoints.requested.ratio", "", ""] = self._checkpoints.take(counted)

    def _read_replication(self, values: Values, rows: Sequence[Mapping[str, Any]]) -> tuple[str, str, str] | None:
        row = rows[0]
        values["replication.lag", "", ""] = _known(row["lag"]) if not row["hidden"] else nan
        values["replication.slot.retained", "", ""] = _known(row["retained"])
        values["replication.slots.lost", "", ""] = row["losing"]
        if row["paused"]:
            return "error", "replay is paused on this standby", "SELECT pg_wal_replay_resume()"
        if row["lost"]:
            slots = safe(row["lost"], 200)
            return "error", f"replication slots that lose their log: {slots}", "rebuild their standby, or raise max_slot_wal_keep_size"
        if row["hidden"]:
            return "denied", f"{row['standbys']} standbys whose lag cannot be seen", f'GRANT pg_monitor TO "{self._server.user}"'
        return None


def _greatest(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    return max((row[name] for row in rows if row[name] is not None), default=0.0)


def _known(value: float | None) -> float:
    return nan if value is None else value


def _definition(server: str, name: str, label: str, value: str) -> SeriesDef:
    labels = [("server", server), *([(label, value)] if label else [])]
    return SeriesDef(f"postgresql.{name}", tuple(sorted(labels)))
