"""One connection to one server: made when first asked for, kept, made again with back-off. Everything that asks a server asks here.

Every question is one read-only transaction under limits. A direct connection carries them as settings of the session, so that a question
costs no statement but itself; through a pooler, where a setting would stay behind for the next client, each transaction begins with
``SET LOCAL``. The driver is imported by the first connection: it takes 80 ms, which no first frame waits for.
"""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from perfconsole.collectors.postgres import faults
from perfconsole.collectors.postgres.faults import ENDED, QUERY, REFUSED, ServerError
from perfconsole.collectors.postgres.hosts import each, uri, where
from perfconsole.config.servers import ServerSettings
from perfconsole.core.text import safe

if TYPE_CHECKING:
    import asyncpg

CONNECT_S: Final = 2.0
ANSWER_S: Final = 2.5
"""Longer than the server's own limit of 2 s: a server that is merely slow says so itself, one that says nothing hangs."""

APPLICATION: Final = "perfconsole"
LIMITS: Final = {
    "statement_timeout": "2s",
    "lock_timeout": "200ms",
    "idle_in_transaction_session_timeout": "10s",
    "default_transaction_read_only": "on",
    "jit": "off",
    "search_path": "pg_catalog",
}
"""Settings of every session. The path leads to the catalog alone: a function of that name in another schema is not called."""

_BACK_OFF_S: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
MARKER: Final = "/* perfconsole */"
"""In the text of every statement that is sent: it tells them from others in pg_stat_statements, in logs, and after years."""


def marked(sql: str) -> str:
    """A statement with the mark behind its first word: what stands before that, the server does not keep."""
    return sql if MARKER in sql else _FIRST_WORD.sub(rf"\1 {MARKER}", sql, count=1)


_FIRST_WORD: Final = re.compile(r"^\s*(\w+)")

_HELLO: Final = """
SELECT current_setting('server_version_num')::int AS version, pg_is_in_recovery() AS standby, pg_backend_pid() AS pid,
       current_setting('statement_timeout') AS timeout, current_database()::text AS database, current_user::text AS username
"""
BEGIN: Final = "; ".join(
    marked(statement)
    for statement in (
        "BEGIN READ ONLY",
        *(f"SET LOCAL {name} = '{value}'" for name, value in LIMITS.items() if not name.startswith("default_")),
    )
)


def raw(column: str) -> str:
    """SQL for the bytes of a text as they are stored.

    pg_stat_activity shows texts, and catalogs show names, that belong to databases in other encodings. One character that is none here
    would fail the whole answer: as text in the driver, in ``convert_to`` on a server in UTF-8, in ``textsend`` on one in SQL_ASCII.
    """
    return f"CASE WHEN getdatabaseencoding() = 'SQL_ASCII' THEN convert_to({column}, 'SQL_ASCII') ELSE textsend({column}) END"


class Server:
    """A server and the connection to it.

    Attributes:
        name: As configured.
        where: Host and port as people call it.
        version: ``server_version_num`` (150004 is 15.4); 0 before the first connection.
        database: The one connected to.
        user: The role connected as.
        standby: In recovery when it was connected to.
        pooled: Behind a pooler: limits travel in each transaction.
        connects: Connections made so far; another number means that what was learnt of the server may be out of date.
    """

    def __init__(self, settings: ServerSettings, env: Mapping[str, str] = os.environ) -> None:
        self.name = settings.name
        self.where = safe(settings.name, 80)
        self.version = 0
        self.database = self.user = ""
        self.standby = self.pooled = False
        self.connects = 0
        self._settings = settings
        self._env = env
        self._connection: asyncpg.Connection[Any] | None = None
        self._connecting = False
        self._turn = asyncio.Lock()
        self._failures = 0
        self._failed: ServerError | None = None
        self._retry_at = 0.0

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known without asking."""
        return self._connection is not None and not self._connection.is_closed()

    async def fetch(self, sql: str, *args: Any, timeout_s: float = ANSWER_S) -> "list[asyncpg.Record]":
        """Ask one question, in a read-only transaction of its own, under the limits.

        Args:
            sql: One statement (extended protocol: a second one is refused); names outside of pg_catalog carry their schema. It is marked
                as this project's.
            args: Its parameters.
            timeout_s: For connecting where that is needed, and the answer; whoever asked before has had as long.

        Raises:
            ServerError: Whatever went wrong, with what mends it. While a server is not to be reached, at once what the last attempt said.
        """
        async with self._guarded(timeout_s):
            return await self._answered(sql, args)

    async def ready(self) -> None:
        """Connect, where there is no connection: then `version` is that of the server which is asked next.

        Raises:
            ServerError: As `fetch`.
        """
        async with self._guarded(ANSWER_S):
            await self._ready()

    def close(self) -> None:
        """Drop the connection, at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    @asynccontextmanager
    async def _guarded(self, timeout_s: float) -> AsyncIterator[None]:
        """A turn at the connection, for so long; whatever goes wrong is remembered where it leaves none."""
        try:
            # The time runs from the turn on: who only waited would take the connection from the one that is being answered.
            async with self._turn, asyncio.timeout(timeout_s):
                yield
        except ServerError as failure:
            raise (failure if self.connected or failure is self._failed else self._fail(failure)) from None
        except TimeoutError:
            raise self._fail(faults.silent(self.where, timeout_s, connecting=self._connecting)) from None

    # Asking -----------------------------------------------------------------------------------------------------------------------

    async def _answered(self, sql: str, args: tuple[Any, ...]) -> "list[asyncpg.Record]":
        """Ask; once more where the connection turns out to have ended since the last time (a restart, an administrator)."""
        kept = self.connected
        connection = await self._ready()
        try:
            return await self._ask(connection, sql, args)
        except ServerError as failure:
            if failure.cause != ENDED or not kept:
                raise
        return await self._ask(await self._ready(), sql, args)

    async def _ask(self, connection: "asyncpg.Connection[Any]", sql: str, args: tuple[Any, ...]) -> "list[asyncpg.Record]":
        answered = False
        try:
            rows: list[asyncpg.Record] = await (self._ask_locally if self.pooled else self._ask_plainly)(connection, marked(sql), args)
            answered = True
        except TimeoutError:
            raise
        except Exception as error:  # noqa: BLE001  a driver raises many kinds; each becomes words
            failure = faults.translate(error, self.where, self.user)
            answered = failure.cause == QUERY and bool(failure.code)  # without a code the driver choked on the answer
            raise failure from None
        finally:
            # Given up in the middle (no time left, or cancelled): what state it is in, only the server knows. Its limits end it there.
            if not answered:
                self.close()
        return rows

    @staticmethod
    async def _ask_plainly(connection: "asyncpg.Connection[Any]", sql: str, args: tuple[Any, ...]) -> "list[asyncpg.Record]":
        rows: list[asyncpg.Record] = await connection.fetch(sql, *args)
        return rows

    @staticmethod
    async def _ask_locally(connection: "asyncpg.Connection[Any]", sql: str, args: tuple[Any, ...]) -> "list[asyncpg.Record]":
        await connection.execute(BEGIN)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(sql, *args)
            return rows
        finally:
            if not connection.is_closed():
                await connection.execute(marked("ROLLBACK"))

    # Connecting -------------------------------------------------------------------------------------------------------------------

    async def _ready(self) -> "asyncpg.Connection[Any]":
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        ended, self._connection = self._connection is not None, None  # of one that ended since, one more attempt costs nothing
        if self._failed is not None and not ended and time.monotonic() < self._retry_at:
            raise self._failed
        self._connecting = True
        connection = await self._connect()
        self._connection, self._connecting = connection, False
        self._failed, self._failures = None, 0
        self.connects += 1
        return connection

    def _fail(self, failure: ServerError) -> ServerError:
        """Remember why there is no connection, and for how long none is tried."""
        self.close()
        self._failed = failure
        self._retry_at = time.monotonic() + _BACK_OFF_S[min(self._failures, len(_BACK_OFF_S) - 1)]
        self._failures += 1
        return failure

    async def _connect(self) -> "asyncpg.Connection[Any]":
        try:
            words = self._settings.keywords(self._env)
            self.user, self.database = words.get("user", ""), words.get("dbname", "")
            self.where = where(words)
            connection = await self._log_in_somewhere(each(words))
            try:
                await self._greet(connection)
            except BaseException:
                connection.terminate()
                raise
        except TimeoutError:
            raise
        except Exception as error:  # noqa: BLE001  likewise
            failure = faults.translate(error, self.where, self.user)
            failure.cause = REFUSED if failure.cause == QUERY else failure.cause
            raise failure from None
        return connection

    async def _log_in_somewhere(self, hosts: Sequence[Mapping[str, str]]) -> "asyncpg.Connection[Any]":
        """Connect to the first of several hosts that answers as asked; each has its share of the time, for one that is off says nothing."""
        for words in hosts[:-1]:
            try:
                async with asyncio.timeout(CONNECT_S / len(hosts)):
                    return await self._log_in(uri(words))
            except Exception as error:
                if faults.translate(error, self.where, self.user).cause == REFUSED:
                    raise  # the next one would refuse the login too
        return await self._log_in(uri(hosts[-1]))

    async def _log_in(self, uri: str) -> "asyncpg.Connection[Any]":
        """Connect with the limits as settings; without them where a pooler refuses (08P01: unsupported startup parameter)."""
        driver = await asyncio.to_thread(_driver)
        connection: asyncpg.Connection[Any]
        try:
            connection = await driver.connect(uri, **_OPTIONS, server_settings={"application_name": APPLICATION, **LIMITS})
            self.pooled = False
        except driver.PostgresError as error:
            if "startup parameter" not in str(error):
                raise
            connection = await driver.connect(uri, **_OPTIONS, server_settings={"application_name": APPLICATION})
            self.pooled = True
        return connection

    async def _greet(self, connection: "asyncpg.Connection[Any]") -> None:
        """Learn who answers. A pooler invents the pid it announces, and may swallow the settings (ignore_startup_parameters)."""
        hello = (await self._ask_locally(connection, marked(_HELLO), ()))[0]
        self.pooled = self.pooled or hello["pid"] != connection.get_server_pid() or hello["timeout"] != LIMITS["statement_timeout"]
        self.version, self.standby = hello["version"], hello["standby"]
        self.database, self.user = safe(hello["database"], 80), safe(hello["username"], 80)


_OPTIONS: Final[dict[str, Any]] = {"statement_cache_size": 0, "timeout": CONNECT_S}
"""No cache of prepared statements: behind a pooler they belong to another client's session."""


def _driver() -> Any:
    """asyncpg, imported by the first connection. It warns of a password file that others can read: a terminal UI has no place for that."""
    import warnings  # noqa: PLC0415  only with the driver

    import asyncpg  # noqa: PLC0415  80 ms that only a server should cost

    warnings.filterwarnings("ignore", message="password file")
    return asyncpg
