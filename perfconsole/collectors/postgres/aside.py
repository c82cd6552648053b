"""Connections beside the one that polls: a plan that takes its time holds up no number on the screen.

They are made when something is asked for. The one to the configured database is kept for `IDLE_S` after that; one to another database is
closed at once. Several questions share one transaction, which is read-only and always rolled back: behind a pooler, only within it do they
reach the same session.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from perfconsole.collectors.postgres import faults
from perfconsole.collectors.postgres.connection import BEGIN, LIMITS, Server, marked
from perfconsole.collectors.postgres.faults import ENDED, ServerError
from perfconsole.config.servers import ServerSettings
from perfconsole.core.errors import PerfconsoleError
from perfconsole.core.text import safe

if TYPE_CHECKING:
    import asyncpg

IDLE_S: Final = 30.0
_AT_ONCE: Final = 2
_PATH: Final = "SELECT set_config('search_path', $1, true)"
_OWN_PATH: Final = f"SET LOCAL search_path = {LIMITS['search_path']}"


class RefusedError(ServerError):
    """The server said no to one question.

    Attributes:
        said: Its own words.
        position: The character of the question that it points at, from 1; 0 where it points at none.
    """

    said = ""
    position = 0


class Transaction:
    """Questions in one transaction."""

    def __init__(self, server: Server, connection: "asyncpg.Connection[Any]") -> None:
        self.server = server
        self._connection = connection

    async def fetch(self, sql: str, *args: Any) -> "list[asyncpg.Record]":
        """Ask one question (extended protocol: a second statement in it is refused).

        Raises:
            RefusedError: The server's no; the transaction goes on from a savepoint only.
        """
        try:
            rows: list[asyncpg.Record] = await self._connection.fetch(marked(sql), *args)
        except TimeoutError:
            raise
        except Exception as error:  # noqa: BLE001  a driver raises many kinds; each becomes words
            known = faults.translate(error, self.server.where, self.server.user)
            refusal = RefusedError(known.message, known.fix, known.state, cause=known.cause, code=known.code)
            refusal.said = safe(str(getattr(error, "message", None) or error), 500)
            refusal.position = int(getattr(error, "position", None) or 0)
            raise refusal from None
        return rows

    async def attempt(self, sql: str, *args: Any, path: str = "") -> "list[asyncpg.Record]":
        """Ask what may be refused; after a refusal the transaction goes on as if it had not been asked.

        Args:
            sql: One question.
            args: Its parameters.
            path: The search_path that its names are looked up in. It is in force for this question alone: whoever may create in one of
                its schemas could have a function there that our own questions would call (CVE-2018-1058).

        Raises:
            RefusedError: The server's no.
        """
        await self.say("SAVEPOINT perfconsole")
        try:
            if path:
                await self.fetch(_PATH, path)
            rows = await self.fetch(sql, *args)
        except RefusedError:
            if not self._connection.is_closed():
                await self.say("ROLLBACK TO SAVEPOINT perfconsole")
            raise
        if path:
            await self.say(_OWN_PATH)
        return rows

    async def say(self, sql: str) -> None:
        """Run words of our own; nothing foreign may be in them (simple protocol: a second statement would be run)."""
        try:
            await self._connection.execute(marked(sql))
        except TimeoutError:
            raise
        except Exception as error:  # noqa: BLE001  likewise
            raise faults.translate(error, self.server.where, self.server.user) from None

    @asynccontextmanager
    async def undoing(self, sql: str) -> AsyncIterator[None]:
        """Run a statement at the end, whatever was refused: what it undoes outlives a rollback.

        Where it cannot be run (no time is left, the transaction is broken) the session is ended, and with it what was to be undone.
        """
        try:
            yield
        except PerfconsoleError:
            await self._undo(sql)
            raise
        await self._undo(sql)

    async def _undo(self, sql: str) -> None:
        try:
            await self.fetch(sql)
        except ServerError:
            self._connection.terminate()

    async def roll_back(self) -> None:
        """End the transaction; of one that broke nothing is left to end."""
        if not self._connection.is_closed():
            await self.say("ROLLBACK")


class Aside(Server):
    """A connection for requests, used by one at a time."""

    @asynccontextmanager
    async def transaction(self, timeout_s: float) -> AsyncIterator[Transaction]:
        """A read-only transaction under the limits, rolled back at the end.

        Args:
            timeout_s: For all of it. After that the connection is dropped, and the server ends what it was doing by its own limits.

        Raises:
            ServerError: When the server is not to be reached, or does not answer.
        """
        async with self._guarded(timeout_s):
            begun = await self._begun()
            sound = False
            try:
                try:
                    yield begun
                except PerfconsoleError:
                    await begun.roll_back()
                    sound = True
                    raise
                await begun.roll_back()
                sound = True
            finally:
                if not sound:
                    self.close()

    async def _begun(self) -> Transaction:
        """A transaction; once more where the connection turns out to have ended while it was idle."""
        kept = self.connected
        begun = Transaction(self, await self._ready())
        try:
            await begun.say(BEGIN)
        except ServerError as failure:
            self.close()
            if failure.cause != ENDED or not kept:
                raise
            begun = Transaction(self, await self._ready())
            await begun.say(BEGIN)
        return begun


class Asides:
    """The connections aside of one server.

    Args:
        settings: Of the server.
    """

    def __init__(self, settings: ServerSettings, env: Mapping[str, str] = os.environ) -> None:
        self._settings = settings
        self._env = env
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._idle: Aside | None = None
        self._used: set[Aside] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def open(self) -> int:
        """Connections there are now."""
        return sum(one.connected for one in [*self._used, *([self._idle] if self._idle else [])])

    @asynccontextmanager
    async def use(self, database: str = "") -> AsyncIterator[Aside]:
        """A connection, for one request; waits while two are under way.

        Args:
            database: The one to connect to; empty for the configured one.
        """
        async with self._free:
            aside = self._taken() if not database else None
            aside = aside or Aside(self._settings._replace(database=database or self._settings.database), self._env)
            self._used.add(aside)
            try:
                yield aside
            finally:
                self._used.discard(aside)
                if database or self._idle is not None or not aside.connected:
                    aside.close()
                else:
                    self._keep(aside)

    def close(self) -> None:
        """Drop them all, at once."""
        kept = self._taken()
        for aside in [*self._used, *([kept] if kept else [])]:
            aside.close()

    def _keep(self, aside: Aside) -> None:
        self._idle = aside
        self._timer = asyncio.get_running_loop().call_later(IDLE_S, self.close_idle)

    def close_idle(self) -> None:
        """Close the connection that nobody uses."""
        kept = self._taken()
        if kept is not None:
            kept.close()

    def _taken(self) -> Aside | None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        aside, self._idle = self._idle, None
        return aside
