"""What is asked of a server less often than its other numbers: temporary files that exist now, and evictions from pg_stat_statements.

Temporary files are counted by the server when they go (`postgresql.temp.bytes`): while a query fills a disk, that says nothing. Listing
them costs it one stat() a file, so a server that has very many is asked more seldom. What parallel workers share lies in directories of its
own, which no function shows to a role that is no superuser: it is not counted.
"""

from math import nan
from typing import Final

from perfconsole.collectors.postgres.connection import Server
from perfconsole.collectors.postgres.faults import QUERY, SILENT, ServerError
from perfconsole.collectors.postgres.health import NAME
from perfconsole.core.ports import Measured
from perfconsole.core.tick import Health, SeriesDef

TEMP_S: Final = 15.0
EVICTIONS_S: Final = 120.0
"""An entry takes its place by the eviction of a twentieth of all: of a table that is too small there is one in every two minutes."""

AGAIN_S: Final = 600.0
"""Until something that is missing (a right, the extension) is asked for again on the same connection."""

_SHARE: Final = 100.0
"""A question is followed by a hundred times as long without it: 1 % of a core of the server."""

_TIMED_OUT: Final = "57014"
_LASTING: Final = frozenset({"42", "0A"})
"""Classes of codes: a right or a function is missing, or a provider does not support it."""

_GONE: Final = "42704"
"""A tablespace that was dropped just now."""

_LIMIT_S: Final = 2.0
_SINCE: Final = 120000
"""From here on pg_ls_tmpdir exists, and pg_monitor may call it."""

# Of pg_global the function lists what is pg_default's. One query, and no other in it: where it is refused, all of it is.
_TEMP: Final = """
SELECT coalesce(sum(f.size), 0)::float8 AS bytes, date_part('epoch', clock_timestamp() - statement_timestamp()) AS took
FROM pg_tablespace t CROSS JOIN LATERAL pg_ls_tmpdir(t.oid) f WHERE t.spcname <> 'pg_global'
"""
_INFO: Final = """
SELECT quote_ident(n.nspname) AS schema
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
     JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'pg_stat_statements_info'
WHERE e.extname = 'pg_stat_statements'
"""


class Seldom:
    """These numbers of one server, each asked for when it is due.

    Args:
        server: Whom to ask.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        labels = (("server", server.name),)
        self._temp = (SeriesDef("postgresql.temp.live", labels),)
        self._evictions = (SeriesDef("postgresql.statements.evictions", labels),)
        self._temp_due = self._evictions_due = self._hung_until = 0.0
        self._took_s = (0.0, 0.0)
        self._told = False
        self._schema = ""
        self._counted = False
        self._connects = 0

    async def look(self, at: float, boot: float) -> tuple[list[Measured], list[Health]]:
        """What is due: nothing, mostly.

        Args:
            at: Wall-clock time, epoch seconds.
            boot: CLOCK_BOOTTIME.

        Raises:
            ServerError: When the server cannot be asked at all.
        """
        await self._server.ready()
        if self._connects != self._server.connects:  # another role, another database, another server: what it lacked may be there
            self._connects, self._schema = self._server.connects, ""
            self._temp_due = self._evictions_due = 0.0
        measured: list[Measured] = []
        health: list[Health] = []
        if boot >= max(self._temp_due, self._hung_until) and self._server.version >= _SINCE:
            live, health = await self._look_at_temp(at, boot)
            measured.append(live)
        if boot >= self._evictions_due:
            measured += await self._look_at_evictions(boot)
        return measured, health

    # Temporary files --------------------------------------------------------------------------------------------------------------

    async def _look_at_temp(self, at: float, boot: float) -> tuple[Measured, list[Health]]:
        name, place = f"temp:{self._server.name}", (f"{NAME}.temp", self._server.name)
        try:
            (row,) = await self._server.fetch(_TEMP)
        except ServerError as error:
            if error.cause == SILENT:  # a disk that hangs ends no statement by its limit, and would take every connection after this one
                self._hung_until = boot + AGAIN_S
            if error.cause != QUERY:
                raise
            if error.code == _TIMED_OUT:
                self._took_s = (_LIMIT_S, _LIMIT_S)
            every_s = AGAIN_S if error.code[:2] in _LASTING and error.code != _GONE else self._every_s()
            self._temp_due, self._told = boot + every_s, True
            said = f"temporary files unknown: {error.message}"
            return Measured(name, self._temp, [nan], interval_s=every_s), [Health(*place, error.state, at, nan, 0.0, said, error.fix)]
        self._took_s = (self._took_s[1], row["took"])
        every_s = self._every_s()
        told, self._temp_due, self._told = self._told, boot + every_s, False
        return Measured(name, self._temp, [row["bytes"]], interval_s=every_s), [Health(*place, "ok", at, at)] if told else []

    def _every_s(self) -> float:
        """Doubled, not stretched to measure: a history is kept by its interval."""
        every_s = TEMP_S
        while every_s < min(min(self._took_s) * _SHARE, AGAIN_S):
            every_s = min(2 * every_s, AGAIN_S)
        return every_s

    # Evictions --------------------------------------------------------------------------------------------------------------------

    async def _look_at_evictions(self, boot: float) -> list[Measured]:
        """Nothing where there is no extension, or one that does not tell (before 1.9): who looks at statements is told of that."""
        value = nan
        try:
            self._schema = self._schema or await self._find()
            if self._schema:
                sql = f"SELECT dealloc::float8 AS evictions FROM {self._schema}.pg_stat_statements_info()"  # noqa: S608  quoted by the server
                value = (await self._server.fetch(sql))[0]["evictions"]
                self._counted = True
        except ServerError as error:
            if error.cause != QUERY:
                raise
            self._schema = ""
        self._evictions_due = boot + (EVICTIONS_S if self._schema else AGAIN_S)
        if not self._counted:
            return []
        return [Measured(f"evictions:{self._server.name}", self._evictions, [value], interval_s=EVICTIONS_S)]

    async def _find(self) -> str:
        rows = await self._server.fetch(_INFO)
        return rows[0]["schema"] if rows else ""
