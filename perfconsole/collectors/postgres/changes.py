"""What changed at a server: restarts, promotion, settings, reset statistics, tables and indexes made, dropped and altered.

One small question every half minute tells whether anything did; only then is asked what. The schema is that of the database connected to:
another one's catalogs cannot be read from here.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

from perfconsole.collectors.postgres.connection import Server, raw
from perfconsole.collectors.postgres.faults import QUERY, ServerError
from perfconsole.core.text import safe
from perfconsole.core.tick import Event

EVERY_S: Final = 30.0
_SLOWLY_S: Final = 300.0
_SLOW_S: Final = 0.05
"""What a catalog may cost to be looked through every half minute: one of 100,000 relations takes longer, and is looked at more seldom."""

_FRESH_S: Final = 86400.0
"""A start so long ago at most is told by whoever comes later: it carries its own clock."""

_LISTED: Final = 8
"""Changes of one look that are told one by one; of a deployment that makes hundreds, the rest is counted."""

_MOST: Final = 20_000
"""Relations whose names are kept, 2 MB; beyond that only their number is compared."""

_WORDS: Final = 80

# reset_val: what a session of this role begins with. The session's own limits are ours, and would be no news.
_SETTINGS: Final = f"SELECT name, {raw('coalesce(reset_val, setting)')} AS value, unit FROM pg_settings"  # noqa: S608  a constant
_SECRET: Final = ("conninfo", "passphrase", "command", "password", "secret", "key")
"""Settings with one of these in their name are told to have changed, and not to what."""

_MEANT: Final = (
    "c.relkind IN ('r', 'p', 'i', 'I', 'm') AND c.relpersistence <> 't' AND c.relnamespace NOT IN "
    "(SELECT oid FROM pg_namespace WHERE nspname = 'information_schema' OR nspname LIKE 'pg\\_%')"
)
_RELATIONS: Final = f"""
SELECT c.oid::int8 AS oid, {raw("n.nspname::text")} AS schema, {raw("c.relname::text")} AS name, c.relkind::text AS kind,
       c.relnatts::int AS columns, {raw("t.relname::text")} AS table, coalesce(i.indisvalid, true) AS valid
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_class t ON t.oid = i.indrelid
WHERE {_MEANT}
"""  # noqa: S608  constants
_LOOK: Final = f"""
SELECT pg_postmaster_start_time() AS started, pg_conf_load_time() AS loaded, pg_is_in_recovery() AS standby,
       (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()) AS reset, clock_timestamp() AS now,
       inet_server_addr()::text AS address, current_setting('server_version') AS version, r.count::int8 AS relations, r.sum::text AS hash,
       (SELECT coalesce(sum(hashtext(concat_ws(' ', s.setdatabase, s.setrole, s.setconfig))::int8), 0)::text
        FROM pg_db_role_setting s) AS roles, date_part('epoch', clock_timestamp() - statement_timestamp()) AS took
FROM (SELECT count(*), coalesce(sum(hashtext(concat_ws(' ', c.oid, c.relname, c.relnatts, i.indisvalid))::int8), 0) AS sum
      FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid WHERE {_MEANT}) r
"""  # noqa: S608  likewise

_KINDS: Final = {"r": "table", "p": "table", "i": "index", "I": "index", "m": "materialized view"}


class _Relation(NamedTuple):
    schema: str
    name: str
    kind: str
    columns: int
    table: str
    valid: bool

    @property
    def called(self) -> str:
        """``index orders_cust on public.orders``."""
        name = f"{self.schema}.{self.name}"
        return f"index {self.name} on {self.schema}.{self.table}" if self.table else f"{_KINDS[self.kind]} {name}"


class ServerChanges:
    """Looks at one server now and then, and tells what is other than at the last look.

    Args:
        server: Whom to ask.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._due = 0.0
        self._at = 0.0
        self._last: Mapping[str, Any] | None = None
        self._settings: dict[str, str] = {}
        self._relations: dict[int, _Relation] | None = None

    def due(self, boot: float) -> bool:
        """Whether it is time to look."""
        return boot >= self._due

    async def look(self, at: float, boot: float) -> list[Event]:
        """What changed since the last look; nothing while it is not due, or not allowed.

        Args:
            at: Wall-clock time, epoch seconds.
            boot: CLOCK_BOOTTIME.

        Raises:
            ServerError: When the server cannot be asked at all.
        """
        if not self.due(boot):
            return []
        self._due = boot + EVERY_S
        try:
            return await self._compare(at, boot)
        except ServerError as error:
            if error.cause != QUERY:
                raise
            self._due = boot + _SLOWLY_S  # a function that may not be called: the next version of it may
            return []

    async def _compare(self, at: float, boot: float) -> list[Event]:
        (now,) = await self._server.fetch(_LOOK)
        if now["took"] > _SLOW_S:  # there: a network that is slow costs nobody anything
            self._due = boot + _SLOWLY_S
        last, low, self._last, self._at = self._last, self._at, now, at
        if last is None:
            self._settings = await self._read_settings()
            self._relations = await self._read_relations(now["relations"])
            started = _ago(now, "started", at)
            return [self._event(started, started, "postgres", _started(now))] if at - started < _FRESH_S else []
        events = [self._event(*when, "postgres", text, severity) for when, text, severity in self._turns(last, now, low, at)]
        if now["loaded"] != last["loaded"] or now["started"] != last["started"]:
            events += await self._other_settings(low, at, again=now["started"] == last["started"])
        if (now["relations"], now["hash"]) != (last["relations"], last["hash"]):
            events += await self._other_relations(last["relations"], now["relations"], low, at)
        return events

    def _event(self, low: float, high: float, kind: str, text: str, severity: str = "") -> Event:
        return Event(min(low, high), high, kind, f"postgres:{self._server.name}", text, f"postgres {self._server.name}", severity)

    @staticmethod
    def _turns(last: Mapping[str, Any], now: Mapping[str, Any], low: float, at: float) -> Iterator[tuple[tuple[float, float], str, str]]:
        """What the server itself is now that it was not."""
        if now["address"] != last["address"]:
            yield (low, at), f"another server answers: {now['address']}, {last['address']} before", "warning"
        if now["started"] != last["started"]:
            started = _ago(now, "started", at)
            yield (started, started), _started(now), "warning"
        if now["standby"] != last["standby"]:
            yield (low, at), "is a standby now" if now["standby"] else "was promoted: is no standby any more", "warning"
        if now["reset"] not in {last["reset"], None}:
            reset = _ago(now, "reset", at)
            yield (reset, reset), "statistics were reset", ""
        if now["roles"] != last["roles"]:
            yield (low, at), "settings of a role or a database changed (ALTER ROLE or DATABASE ... SET)", ""

    # Settings ---------------------------------------------------------------------------------------------------------------------

    async def _read_settings(self) -> dict[str, str]:
        rows = await self._server.fetch(_SETTINGS)
        return {safe(row["name"], 64): f"{safe(row['value'] or '', _WORDS)}{row['unit'] or ''}" for row in rows}

    async def _other_settings(self, low: float, at: float, *, again: bool) -> list[Event]:
        before, self._settings = self._settings, await self._read_settings()
        told = [_setting(name, before.get(name), value) for name, value in self._settings.items() if before.get(name) != value]
        if not (told or again):
            return []
        more = f" and {len(told) - _LISTED} more" if len(told) > _LISTED else ""
        text = ", ".join(told[:_LISTED]) + more or "no value changed"
        return [self._event(low, at, "postgres", f"configuration read again: {text}" if again else f"started with {text}")]

    # Schema -----------------------------------------------------------------------------------------------------------------------

    async def _read_relations(self, count: int) -> dict[int, _Relation] | None:
        """By oid; None where there are too many to keep."""
        if count > _MOST:
            return None
        rows = await self._server.fetch(_RELATIONS)
        return {
            row["oid"]: _Relation(
                safe(row["schema"], 64), safe(row["name"], 64), row["kind"], row["columns"], safe(row["table"] or "", 64), row["valid"]
            )
            for row in rows
        }

    async def _other_relations(self, count_before: int, count: int, low: float, at: float) -> list[Event]:
        before, self._relations = self._relations, await self._read_relations(count)
        if before is None or self._relations is None:
            return [self._event(low, at, "schema", f"tables and indexes: {count} where there were {count_before}")]
        told = list(_differences(before, self._relations))
        events = [self._event(low, at, "schema", text, severity) for text, severity in told[:_LISTED]]
        if len(told) > _LISTED:
            events.append(self._event(low, at, "schema", f"and {len(told) - _LISTED} more changes of tables and indexes"))
        return events


def _ago(now: Mapping[str, Any], what: str, at: float) -> float:
    """When that was by our clock: the server's may be another."""
    elapsed: timedelta = now["now"] - now[what]
    return at - elapsed.total_seconds()


def _started(now: Mapping[str, Any]) -> str:
    return f"started: PostgreSQL {safe(now['version'], 40)}"


def _setting(name: str, before: str | None, value: str) -> str:
    if any(word in name for word in _SECRET):
        return f"{name} changed"
    return f"{name} {before or 'unset'} -> {value or 'empty'}"


def _differences(before: Mapping[int, _Relation], after: Mapping[int, _Relation]) -> Iterator[tuple[str, str]]:
    """What was dropped first: that is what slows a query down. Indexes go and come with their table, and are not told beside it."""
    gone = [before[oid] for oid in before.keys() - after.keys()]
    new = [after[oid] for oid in after.keys() - before.keys()]
    made_again = {(one.schema, one.name) for one in gone} & {(one.schema, one.name) for one in new}
    for verb, some in (("dropped", gone), ("created", new)):
        tables = {(one.schema, one.name) for one in some if not one.table}
        for one in sorted(some, key=lambda one: (not one.table, one)):
            if (one.schema, one.name) in made_again:
                if verb == "created":
                    yield f"{one.called} made anew", ""
            elif not one.table or (one.schema, one.table) not in tables:
                yield f"{one.called} {verb}", "warning" if one.table and verb == "dropped" else ""
    for oid in before.keys() & after.keys():
        was, is_ = before[oid], after[oid]
        if (was.schema, was.name) != (is_.schema, is_.name):
            yield f"{was.called} is {is_.schema}.{is_.name} now", ""
        if was.columns < is_.columns and not is_.table:
            yield f"{is_.called}: {is_.columns - was.columns} columns more", ""
        if was.valid != is_.valid:
            yield (
                f"{is_.called} is {'valid now' if is_.valid else 'invalid: it is maintained and not used'}",
                "" if is_.valid else "warning",
            )
