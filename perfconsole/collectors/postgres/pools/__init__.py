"""pgbouncer: who waits for a connection of a pool, and for how long. A server whose database is ``pgbouncer`` is its admin console.

Asked are SHOW POOLS and SHOW STATS, which a role of ``stats_users`` may. What else such a console can do (PAUSE, KILL, RELOAD) is not in
this program.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import isnan, nan
from typing import TYPE_CHECKING, Any, Final

from perfconsole.collectors.postgres.connection import MARKER, Server
from perfconsole.collectors.postgres.faults import ANSWERED, QUERY, ServerError
from perfconsole.collectors.postgres.pools import simple_query
from perfconsole.core.errors import RequestError
from perfconsole.core.ports import Measured
from perfconsole.core.requests import Fact, FactSection, ServerDetail
from perfconsole.core.text import safe
from perfconsole.core.tick import Health, SeriesDef
from perfconsole.core.units import count, duration, latency

if TYPE_CHECKING:
    import asyncpg

CONSOLE: Final = "pgbouncer"
_PART: Final = "postgres.pools"
_MOST_DATABASES: Final = 50
_LONG_S: Final = 1.0
"""A client that waits for a second has met a pool that is too small, or connections that are held."""

_NAMES: Final = ("pool.waiting", "pool.max_wait", "connections", "transactions")
_SETTINGS: Final = ("pool_mode", "max_client_conn", "default_pool_size", "reserve_pool_size", "query_wait_timeout", "server_idle_timeout")


class Pooler(Server):
    """The console, with the discipline of any server: one connection, made when it is needed, again with back-off.

    Attributes:
        product: Name and version, as it says them.
    """

    product = ""

    async def _log_in(self, uri: str) -> "asyncpg.Connection[Any]":  # noqa: ARG002  the driver's form of what is known as words
        return await simple_query.connect(self._settings.keywords(self._env))

    async def _greet(self, connection: "asyncpg.Connection[Any]") -> None:
        """Learn its version; a PostgreSQL server with a database of that name is told from a pooler here."""
        try:
            rows = await connection.fetch("SHOW VERSION")
            await connection.fetch("SHOW POOLS")
        except simple_query.Refusal as error:
            fix = "name another database in its dsn: pgbouncer is the admin console of a pooler"
            raise ServerError(f"{self.where}: not the console of a pgbouncer: {error.message}", fix) from None
        self.product = safe(next((value for row in rows for value in row.values()), CONSOLE), 60)

    @staticmethod
    async def _ask_plainly(connection: "asyncpg.Connection[Any]", sql: str, args: tuple[Any, ...]) -> "list[asyncpg.Record]":  # noqa: ARG004  its commands have none
        rows: list[asyncpg.Record] = await connection.fetch(sql.replace(f" {MARKER}", ""))  # its parser knows no comments
        return rows


class Pools:
    """The numbers of one pooler; the same shape as `health.ServerHealth`.

    Args:
        server: Its console.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._known: dict[str, None] = {}
        self._series: tuple[SeriesDef, ...] = ()
        self._waited = False

    async def measure(self, at: float) -> tuple[Measured, list[Health]]:
        """Ask both.

        Args:
            at: Wall-clock time, epoch seconds: for health.

        Raises:
            ServerError: When it cannot be asked.
        """
        rows = await self._server.fetch("SHOW POOLS")
        pools = by_database(rows)
        try:
            stats = await self._server.fetch("SHOW STATS")
        except ServerError as error:
            if error.cause != QUERY:
                raise
            stats = []
        values = {name: {**pool, "transactions": nan} for name, pool in pools.items()}
        used = utilization(rows, await self._server.fetch("SHOW DATABASES"))
        for row in stats:
            name = safe(row.get("database", ""), 64)
            if name in values:
                values[name]["transactions"] = _number(row.get("total_xact_count"))
        return self._measured(1.0, used, values), self._said(pools, at)

    def unreachable(self, failure: ServerError) -> Measured:
        """What is known of one that cannot be asked."""
        answered = failure.cause in ANSWERED
        return self._measured((1.0 if failure.code else nan) if answered else 0.0, nan, None)

    def _measured(self, up: float, used: float, values: Mapping[str, Mapping[str, float]] | None) -> Measured:
        """Databases that were seen once stay: those without a pool have nobody waiting. Without values nothing is known of any."""
        new = [name for name in values or () if name not in self._known][: _MOST_DATABASES - len(self._known)]
        if new or not self._series:
            self._known |= dict.fromkeys(new)
            places: list[tuple[tuple[str, str], ...]] = [(("server", self._server.name),)]
            places += [(("database", name), ("server", self._server.name)) for name in self._known]
            self._series = (
                SeriesDef("postgresql.up", places[0]),
                SeriesDef("postgresql.connections.utilization", places[0]),
                *(SeriesDef(f"postgresql.{name}", place) for place in places for name in _NAMES),
            )
        idle = {"pool.waiting": 0.0, "pool.max_wait": 0.0, "connections": 0.0, "transactions": nan}
        unknown = dict.fromkeys(_NAMES, nan)
        told = [up, used, *((_total(values.values(), name) if values is not None else nan) for name in _NAMES)]
        for database in self._known:
            pool = values.get(database, idle) if values is not None else unknown
            told += [pool[name] for name in _NAMES]
        return Measured(self._server.name, self._series, told)

    def _said(self, pools: Mapping[str, Mapping[str, float]], at: float) -> list[Health]:
        """Who waits for long; once that it is over."""
        long = {name: pool for name, pool in pools.items() if pool["pool.max_wait"] >= _LONG_S}
        if not long:
            over, self._waited = self._waited, False
            return [Health(_PART, self._server.name, "ok", at, at)] if over else []
        self._waited = True
        name, worst = max(long.items(), key=lambda each: each[1]["pool.max_wait"])
        clients = "client waits" if worst["pool.waiting"] == 1 else "clients wait"
        says = f"{worst['pool.waiting']:.0f} {clients} for a connection to {name}, the longest for {duration(worst['pool.max_wait'])}"
        fix = "see what holds its connections (idle in transaction, long statements), or raise pool_size"
        return [Health(_PART, self._server.name, "error", at, 0.0, 0.0, says, fix)]


def by_database(rows: Sequence[Mapping[str, str]]) -> dict[str, dict[str, float]]:
    """The pools of each database together: a pool is of a database and a user."""
    pools: dict[str, dict[str, float]] = {}
    for row in rows:
        name = safe(row.get("database", ""), 64)
        if name == CONSOLE:
            continue
        pool = pools.setdefault(name, dict.fromkeys(_NAMES[:3], 0.0))
        waiting = _number(row.get("cl_waiting"))
        pool["pool.waiting"] += waiting
        pool["pool.max_wait"] = max(pool["pool.max_wait"], _longest(row))
        pool["connections"] += _number(row.get("cl_active")) + waiting
    return pools


def utilization(pools: Iterable[Mapping[str, str]], databases: Iterable[Mapping[str, str]]) -> float:
    """The share of its connections that is in use, of the pool that uses most; NaN where no pool has a size.

    A pool is of one database and one user, and each may have as many connections as its database's pool_size and reserve say.
    """
    sizes = {
        row.get("name"): _number(row.get("pool_size")) + _number(row.get("reserve_pool") or row.get("reserve_pool_size"))
        for row in databases
    }
    shares = [
        _number(row.get("sv_active")) / sizes[row.get("database")]
        for row in pools
        if row.get("database") != CONSOLE and sizes.get(row.get("database"), 0.0) > 0
    ]
    return max(shares, default=nan)


def _longest(row: Mapping[str, str]) -> float:
    """How long the first in the queue has waited: whole seconds, and microseconds beside them."""
    return _number(row.get("maxwait")) + _number(row.get("maxwait_us")) / 1e6


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _total(pools: Iterable[Mapping[str, float]], name: str) -> float:
    """Of all pools together: the longest wait, the sum of all else; of transactions only where they are known."""
    known = [pool[name] for pool in pools if not isnan(pool[name])]
    if name == "pool.max_wait":
        return max(known, default=0.0)
    return sum(known) if known or name != "transactions" else nan


# On request -----------------------------------------------------------------------------------------------------------------------


async def read(server: Pooler) -> ServerDetail:
    """Pools, databases and settings of a pooler.

    Raises:
        RequestError: When it cannot be asked.
    """
    try:
        pools = await server.fetch("SHOW POOLS")
        databases = await server.fetch("SHOW DATABASES")
    except ServerError as error:
        raise RequestError(error.message, error.fix) from None
    try:
        settings = {row["key"]: row["value"] for row in await server.fetch("SHOW CONFIG")}
    except (ServerError, KeyError):
        settings = {}
    return ServerDetail(
        [
            FactSection("Pools", [_pool(row) for row in pools if row.get("database") != CONSOLE], "a pool is of one database and one user"),
            FactSection("Databases", [_database(row) for row in databases if row.get("name") != CONSOLE]),
            FactSection(
                "Settings",
                [Fact(CONSOLE, server.product), *(Fact(name, safe(settings[name], 80)) for name in _SETTINGS if name in settings)],
            ),
        ]
    )


def _pool(row: Mapping[str, str]) -> Fact:
    waiting, longest = _number(row.get("cl_waiting")), _longest(row)
    active, idle = _number(row.get("sv_active")), _number(row.get("sv_idle")) + _number(row.get("sv_used"))
    clients = f"{count(_number(row.get('cl_active')))} clients, {count(waiting)} waiting"
    text = f"{clients}  {count(active)} connections active, {count(idle)} idle  {safe(row.get('pool_mode', ''), 20)}"
    text += f"  the longest waits for {latency(longest)}" if waiting else ""
    return Fact(
        f"{safe(row.get('database', ''), 64)} {safe(row.get('user', ''), 64)}", text, severity="warning" if longest >= _LONG_S else ""
    )


def _database(row: Mapping[str, str]) -> Fact:
    used, size = _number(row.get("current_connections")), _number(row.get("pool_size"))
    stopped = "paused" if row.get("paused") == "1" else "disabled" if row.get("disabled") == "1" else ""
    where = f"{safe(row.get('host') or 'local', 64)}:{safe(row.get('port', ''), 8)}/{safe(row.get('database', ''), 64)}"
    text = f"{count(used)} connections, pool_size {count(size)}  {where}" + (f"  {stopped}" if stopped else "")
    fix = f"{'RESUME' if stopped == 'paused' else 'ENABLE'} {safe(row.get('name', ''), 64)}" if stopped else ""
    return Fact(safe(row.get("name", ""), 64), text, fix, "warning" if stopped else "")
