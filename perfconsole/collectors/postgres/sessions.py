"""The sessions of a server: who waits for whom, who holds a transaction open, what active ones wait for; and ending one of them.

Asked once a second, and only while somebody looks.
"""

import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from math import nan
from typing import Any, Final

from perfconsole.collectors.postgres.connection import Server, raw
from perfconsole.collectors.postgres.faults import QUERY, ServerError
from perfconsole.core.globs import Globs
from perfconsole.core.redact import MASK, redact
from perfconsole.core.tables import SessionRow, SessionTable
from perfconsole.core.text import safe

_SAMPLES: Final = 60
"""Seconds over which waits are counted."""

_QUERY_BYTES: Final = 16384

# Pids travel as text: the driver would ask for the type of an array. pg_blocking_pids locks all partitions of the lock table, so it is
# called only for those that wait for a lock.
_SQL: Final = """
SELECT extract(epoch FROM t.now)::float8 AS now, a.pid, extract(epoch FROM a.backend_start)::float8 AS backend_start,
       a.backend_type AS kind,
       {database} AS database, {user} AS username,
       a.application_name AS application, coalesce(host(a.client_addr), CASE WHEN a.client_port = -1 THEN 'local' END) AS client,
       a.state, a.wait_event_type AS wait_type, a.wait_event AS wait,
       extract(epoch FROM a.xact_start)::float8 AS xact_start, extract(epoch FROM a.query_start)::float8 AS query_start,
       extract(epoch FROM a.state_change)::float8 AS state_change,
       CASE WHEN a.wait_event_type = 'Lock' THEN array_to_string(pg_blocking_pids(a.pid), ',') END AS blocked_by,
       {queryid} AS queryid, a.leader_pid AS leader,
       substr({query}, 1, {bytes}) AS query, a.usesysid IS NOT NULL AND a.backend_start IS NULL AS hidden
FROM (SELECT clock_timestamp() AS now) t
LEFT JOIN pg_stat_activity a ON a.pid <> pg_backend_pid() AND (a.datid IS NOT NULL OR a.backend_type = 'walsender')
"""
_PARTS: Final = {"database": raw("a.datname::text"), "user": raw("a.usename::text"), "query": raw("a.query"), "bytes": _QUERY_BYTES}
_SQL_14: Final = _SQL.format(queryid="a.query_id", **_PARTS)
_SQL_13: Final = _SQL.format(queryid="NULL::bigint", **_PARTS)

# A prepared transaction has no pid: which one holds a lock is told by the lock on its own id that the same virtual transaction holds.
# Asked only while somebody waits for one.
_PREPARED: Final = """
SELECT DISTINCT w.pid AS waiting, p.transaction::text::bigint AS xid, textsend(p.gid) AS gid, textsend(p.owner::text) AS owner,
       textsend(p.database::text) AS database, extract(epoch FROM p.prepared)::float8 AS prepared
FROM pg_locks w
JOIN pg_locks h ON h.granted AND h.pid IS NULL AND h.locktype = w.locktype
     AND (h.database, h.relation, h.page, h.tuple, h.transactionid, h.classid, h.objid, h.objsubid)
         IS NOT DISTINCT FROM (w.database, w.relation, w.page, w.tuple, w.transactionid, w.classid, w.objid, w.objsubid)
JOIN pg_locks own ON own.pid IS NULL AND own.locktype = 'transactionid' AND own.virtualtransaction = h.virtualtransaction
JOIN pg_prepared_xacts p ON p.transaction = own.transactionid
WHERE NOT w.granted
"""

_PASSWORD: Final = re.compile(r"(\bpassword\s{1,8})(?:E?'(?:[^']|''){0,4096}'?|\$(\w{0,32})\$.{0,4096})", re.IGNORECASE)
"""``ALTER ROLE app PASSWORD 'secret'``: SQL has no sign between the word and the value, which `redact` looks for."""


class Sessions:
    """The sessions of one server.

    Args:
        server: Whom to ask.
        exclude: Globs of applications that are left out.
    """

    def __init__(self, server: Server, exclude: Sequence[str] = ()) -> None:
        self._server = server
        self._exclude = Globs(exclude) if exclude else None
        self._samples: deque[Counter[str]] = deque(maxlen=_SAMPLES)
        self.table: SessionTable | None = None

    async def measure(self, at: float) -> SessionTable:
        """Ask once.

        Args:
            at: Wall-clock time, epoch seconds.

        Raises:
            ServerError: When there is no answer.
        """
        await self._server.ready()
        found = await self._server.fetch(_SQL_14 if self._server.version >= 140000 else _SQL_13)
        rows = [_row(record) for record in found if record["pid"] is not None and not self._left_out(record)]
        self._samples.append(Counter(row.wait_type or "CPU" for row in rows if row.state == "active"))
        total = len(rows)
        if any(0 in row.blocked_by for row in rows):
            rows = with_prepared(rows, await self._prepared())
        rows = dress(rows)
        hidden = sum(bool(record["hidden"]) for record in found)
        notes = (f'{hidden} sessions are another role\'s: GRANT pg_monitor TO "{self._server.user}"',) if hidden else ()
        self.table = SessionTable(self._server.name, at, found[0]["now"], total, rows, hidden, _shares(self._samples), notes)
        return self.table

    async def _prepared(self) -> Sequence[Mapping[str, Any]]:
        """Who waits for which prepared transaction. Not being told costs the sessions nothing."""
        try:
            return await self._server.fetch(_PREPARED)
        except ServerError as error:
            if error.cause != QUERY:
                raise
            return ()

    def forget(self) -> None:
        """Nobody looks any more: what was seen last is no longer so."""
        self.table = None
        self._samples.clear()

    def _left_out(self, record: Mapping[str, Any]) -> bool:
        return self._exclude is not None and self._exclude.names(record["application"] or "")


def _row(record: Mapping[str, Any]) -> SessionRow:
    return SessionRow(
        pid=record["pid"],
        backend_start=_time(record["backend_start"]),
        kind=record["kind"] or "",
        database=safe(record["database"] or b"", 64),
        user=safe(record["username"] or b"", 64),
        application=safe(record["application"] or "", 64),
        client=record["client"] or "",
        state=record["state"] or "",
        wait_type=record["wait_type"] or "",
        wait=safe(record["wait"] or "", 64),
        xact_start=_time(record["xact_start"]),
        query_start=_time(record["query_start"]),
        state_change=_time(record["state_change"]),
        blocked_by=tuple(dict.fromkeys(int(pid) for pid in (record["blocked_by"] or "").split(",") if pid)),
        queryid=record["queryid"] or 0,
        leader=record["leader"] or 0,
        query=shown(record["query"] or b""),
    )


def _time(value: float | None) -> float:
    return nan if value is None else value


def shown(query: bytes) -> str:
    """A statement as it may be shown: safe, and without the passwords that are set in it."""
    return redact(_PASSWORD.sub(rf"\1{MASK}", safe(query)))


def with_prepared(rows: Sequence[SessionRow], found: Iterable[Mapping[str, Any]]) -> list[SessionRow]:
    """Sessions with the prepared transactions that some of them wait for, as rows of their own; waiters name those in place of pid 0.

    What was committed or rolled back between the two questions stays pid 0.
    """
    from msgspec.structs import replace  # noqa: PLC0415  only while somebody is blocked

    holders: dict[int, list[int]] = {}
    made: dict[int, SessionRow] = {}
    for record in found:
        row = _prepared_row(record)
        made[row.pid] = row
        holders.setdefault(record["waiting"], []).append(row.pid)

    def named(row: SessionRow) -> SessionRow:
        if 0 not in row.blocked_by or row.pid not in holders:
            return row
        others = [pid for pid in row.blocked_by if pid]
        return replace(row, blocked_by=(*sorted(holders[row.pid]), *others))

    return [*made.values(), *map(named, rows)]


def _prepared_row(record: Mapping[str, Any]) -> SessionRow:
    at = _time(record["prepared"])
    ends = "ROLLBACK PREPARED '" + safe(record["gid"], 200).replace("'", "''") + "'"
    owner, database = safe(record["owner"] or b"", 64), safe(record["database"] or b"", 64)
    return SessionRow(-record["xid"], at, "prepared transaction", database, owner, "", "", "prepared", "", "", at, at, at, query=ends)


def dress(rows: Sequence[SessionRow]) -> list[SessionRow]:
    """Rows in the order of their pids, with how deep each stands in its blocking tree and how many wait for it.

    The second to wait for a row waits for the first (on its ``tuple`` lock), not for who holds the row: so the way up is walked. A circle,
    which the server breaks after ``deadlock_timeout``, ends where it began. Pid 0 is a prepared transaction, a root without a session.
    """
    if not any(row.blocked_by for row in rows):
        return sorted(rows, key=lambda row: row.pid)
    blockers = {row.pid: row.blocked_by for row in rows}
    above = {row.pid: _above(row.pid, blockers) for row in rows if row.blocked_by}
    waiting = Counter(pid for steps in above.values() for pid in steps)
    from msgspec.structs import replace  # noqa: PLC0415  only while somebody is blocked

    return sorted(
        (replace(row, depth=max(above.get(row.pid, {}).values(), default=0), blocks=waiting[row.pid]) for row in rows),
        key=lambda row: row.pid,
    )


def _above(pid: int, blockers: Mapping[int, tuple[int, ...]]) -> dict[int, int]:
    """Everyone that a session waits for, directly or not, and how many steps away the nearest way leads there."""
    steps = {pid: 0}
    queue = deque([pid])
    while queue:
        here = queue.popleft()
        for blocker in blockers.get(here, ()):
            if blocker not in steps:
                steps[blocker] = steps[here] + 1
                queue.append(blocker)
    del steps[pid]
    return steps


def _shares(samples: Iterable[Counter[str]]) -> tuple[tuple[str, float], ...]:
    total: Counter[str] = Counter()
    for sample in samples:
        total.update(sample)
    whole = total.total()
    return tuple((name, count / whole) for name, count in total.most_common())
