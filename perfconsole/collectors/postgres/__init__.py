"""PostgreSQL: server health, sessions and statements. The only room that knows the driver; it asks, and changes nothing unasked."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from perfconsole.collectors.postgres import actions
from perfconsole.collectors.postgres.changes import ServerChanges
from perfconsole.collectors.postgres.connection import Server
from perfconsole.collectors.postgres.faults import QUERY, ServerError
from perfconsole.collectors.postgres.health import NAME, ServerHealth
from perfconsole.collectors.postgres.seldom import Seldom
from perfconsole.collectors.postgres.sessions import Sessions
from perfconsole.collectors.postgres.statements import Statements
from perfconsole.config.servers import ServerSettings
from perfconsole.core.errors import ConfigError, RequestError
from perfconsole.core.globs import Globs
from perfconsole.core.ports import Measured, Operation, Result, Slot
from perfconsole.core.requests import (
    POSTGRES_CANCEL,
    POSTGRES_CONNECT,
    POSTGRES_DETAIL,
    POSTGRES_EXPLAIN,
    POSTGRES_MARK,
    POSTGRES_STATEMENT,
    POSTGRES_TERMINATE,
    Done,
    ExplainArgs,
    Plan,
    ServerArgs,
    ServerDetail,
    SessionArgs,
    StatementArgs,
    StatementDetail,
)
from perfconsole.core.tables import Table, View
from perfconsole.core.tick import Event, Health

if TYPE_CHECKING:
    from perfconsole.collectors.postgres.plans.subject import Subjects
    from perfconsole.collectors.postgres.pools import Pooler, Pools
    from perfconsole.collectors.postgres.server_log import Failed, ServerLog

__all__ = ["NAME", "PostgresCollector", "Server", "ServerSettings"]

_BEAT_S: Final = 1.0
"""Sessions that are looked at are asked for once a second; all else has an interval of its own."""

_CONSOLE: Final = "pgbouncer"
"""The database that is no database but the admin console of that pooler."""

_PATIENCE_S: Final = 0.9
"""With the beat before it, within 2 s a server that hangs is named; one that answers 50,000 statements takes 0.6 s."""


_STANDING_BY_S: Final = 4.0
"""How often it is said again that a server was found: every time is a tick that has something in it."""


class _Target:
    """One server and everything asked of it."""

    def __init__(self, settings: ServerSettings, failed: "Failed | None") -> None:
        self.settings = settings
        self.wanted = asyncio.Event()
        """Set unless it was only found: then nothing is asked of it before somebody connects."""
        self.offered = False
        if not settings.offered:
            self.wanted.set()
        self.server = Server(settings)
        self.health: ServerHealth | Pools = ServerHealth(self.server, Globs(settings.databases), Globs(settings.exclude))
        self.pooler: Pooler | None = None
        self.known = False
        self.sessions = Sessions(self.server, settings.exclude)
        self.statements = Statements(self.server, settings.interval_s, settings.exclude)
        self.seldom = Seldom(self.server)
        self.changes = ServerChanges(self.server)
        self.log = _log(self.server, failed) if failed else None
        self.interval_s = settings.interval_s
        self.due = 0.0
        self.limited: frozenset[str] = frozenset()
        self.asking: asyncio.Task[Result] | None = None
        self.asked_at = 0.0
        self._subjects: Subjects | None = None

    def subjects(self) -> "Subjects":
        """Statements that requests are about, and the connections beside the polling one."""
        if self._subjects is None:
            from perfconsole.collectors.postgres.aside import Asides  # noqa: PLC0415  only when asked
            from perfconsole.collectors.postgres.plans.subject import Subjects  # noqa: PLC0415  likewise

            self._subjects = Subjects(Asides(self.settings))
        return self._subjects

    def close(self) -> None:
        """Drop the connections, and what is still asked through them."""
        if self.asking is not None:
            self.asking.cancel()
        if self._subjects is not None:
            self._subjects.asides.close()
        if self.log is not None:
            self.log.close()
        self.server.close()

    def find_out(self) -> None:
        """Whether it is a server or the console of a pooler: with the first question, when references are looked up."""
        if not self.known and _is_console(self.settings):
            from perfconsole.collectors.postgres.pools import Pooler, Pools  # noqa: PLC0415  most have no pooler

            self.server = self.pooler = Pooler(self.settings)
            self.health = Pools(self.pooler)
        self.known = True

    def wants_sessions(self, views: Sequence[View]) -> bool:
        """Whether anybody looks at its sessions."""
        return any(view.table == "session" and view.target in {"", self.server.name} for view in views)


class PostgresCollector:
    """The collector of PostgreSQL servers (`core.ports.Collector`).

    A server that cannot be asked is a finding, not a failed run: ``postgresql.up`` is 0 and its health says why. Connecting again has a
    back-off of its own.

    Args:
        servers: Whom to ask, by unique names.
        failed: Is given every log-in that a server of this machine refused, where its log can be read.
    """

    name = NAME
    interval_s = _BEAT_S
    first_after_s = 0.2

    def __init__(self, servers: Sequence[ServerSettings], failed: "Failed | None" = None) -> None:
        self._targets = {settings.name: _Target(settings, failed) for settings in servers}
        self.targets: Sequence[str] = tuple(self._targets)
        self.operations: Sequence[Operation] = (
            Operation(POSTGRES_CANCEL, self._on_session(actions.cancel)),
            Operation(POSTGRES_TERMINATE, self._on_session(actions.terminate)),
            Operation(POSTGRES_DETAIL, self._detail),
            Operation(POSTGRES_STATEMENT, self._statement),
            Operation(POSTGRES_EXPLAIN, self._explain),
            Operation(POSTGRES_MARK, self._mark),
            *([Operation(POSTGRES_CONNECT, self._connect)] if any(settings.offered for settings in servers) else []),
        )

    async def run(self, target: str, slot: Slot, views: Sequence[View]) -> Result:
        """Ask one server what is due: its numbers every few seconds, its sessions every second while somebody looks.

        What takes longer than `_PATIENCE_S` is said to be late, and waited for in the next runs: that a server hangs is known long before
        its time is up.
        """
        what = self._targets[target]
        if not what.wanted.is_set():
            return await self._stand_by(what, slot)
        if what.asking is None:
            what.asking, what.asked_at = asyncio.create_task(self._run(what, slot, views)), slot.boot
        done, _ = await asyncio.wait({what.asking}, timeout=_PATIENCE_S)
        if not done:
            late = f"{what.server.where}: no answer yet, after {slot.boot - what.asked_at + _PATIENCE_S:.1f} s"
            return Result(health=(Health(NAME, target, "stale", slot.at, 0.0, 0.0, late, "what was known before is shown"),))
        asked, what.asking = what.asking, None
        try:
            return asked.result()
        except ServerError as failure:
            what.due = 0.0
            what.sessions.forget()
            health = Health(NAME, target, failure.state, slot.at, 0.0, 0.0, failure.message, failure.fix)
            return Result((what.health.unreachable(failure),), health=(health,))

    @staticmethod
    async def _stand_by(what: _Target, slot: Slot) -> Result:
        """Say that it is there, at once and then every few seconds; ends when somebody wants it."""
        if what.offered:
            with suppress(TimeoutError):
                async with asyncio.timeout(_STANDING_BY_S):
                    await what.wanted.wait()
                return Result()
        what.offered = True
        return Result(health=(Health(NAME, what.server.name, "off", slot.at, 0.0, 0.0, what.settings.offered, "connect to it"),))

    async def _run(self, what: _Target, slot: Slot, views: Sequence[View]) -> Result:
        measured: list[Measured] = []
        tables: list[Table] = []
        health: list[Health] = []
        what.find_out()
        busy = slot.boot >= what.due or not what.server.connected
        if busy:
            numbers, found = await what.health.measure(slot.at)
            measured.append(numbers._replace(interval_s=what.interval_s))
            health += found
            # Aligned, so that several servers are asked in the same wake-up; the half beat is for a slot that came a little early.
            what.due = (int(slot.boot / what.interval_s + 1e-6) + 1) * what.interval_s - _BEAT_S / 2
        if what.pooler:
            return Result(measured, health=health)
        if what.wants_sessions(views):
            tables, said = await self._look_at_sessions(what, slot)
            health += said
        else:
            what.sessions.forget()
        statements = await what.statements.run(slot, views)
        # Between two looks at its numbers: there are never many questions at once. There is no such time where those are asked every beat.
        events: list[Event] = []
        if not busy or what.interval_s <= _BEAT_S:
            if what.changes.due(slot.boot):
                events = await what.changes.look(slot.at, slot.boot)
            else:
                more, said = await what.seldom.look(slot.at, slot.boot)
                measured += more
                health += said
            if what.log:
                health += await what.log.look(slot.at, slot.boot)
        return Result([*measured, *statements.measured], [*tables, *statements.tables], events, [*health, *statements.health])

    @staticmethod
    async def _look_at_sessions(what: _Target, slot: Slot) -> tuple[list[Table], list[Health]]:
        place = f"{NAME}.sessions", what.server.name
        try:
            table = await what.sessions.measure(slot.at)
        except ServerError as error:
            if error.cause != QUERY:
                raise
            what.limited |= {"sessions"}
            return [], [Health(*place, error.state, slot.at, 0.0, 0.0, f"sessions unknown: {error.message}", error.fix)]
        told, what.limited = what.limited, what.limited - {"sessions"}
        return [table], [Health(*place, "ok", slot.at, slot.at)] if "sessions" in told else []

    async def look(self, views: Sequence[View]) -> Sequence[Table]:
        """The sessions of the last second and the statements of the last sample; nothing is asked: one server would hold up the rest."""
        tables: list[Table] = []
        for what in self._targets.values():
            if what.sessions.table is not None and what.wants_sessions(views):
                tables.append(what.sessions.table)
            tables += await what.statements.look(views)
        return tables

    def close(self) -> None:
        """Drop the connections, and what is still asked through them."""
        for what in self._targets.values():
            what.close()

    async def _detail(self, args: ServerArgs) -> ServerDetail:
        from perfconsole.collectors.postgres import detail, pools  # noqa: PLC0415  only when asked

        what = self._named(args.server)
        what.find_out()
        if what.pooler:
            return await pools.read(what.pooler)
        async with what.subjects().asides.use() as aside:
            return await detail.read(aside)

    async def _statement(self, args: StatementArgs) -> StatementDetail:
        from perfconsole.collectors.postgres.plans import statement_detail  # noqa: PLC0415  only when asked

        return await statement_detail.read(self._named(args.server).subjects(), args)

    async def _explain(self, args: ExplainArgs) -> Plan:
        from perfconsole.collectors.postgres import plans  # noqa: PLC0415  only when asked

        return await plans.explain(self._named(args.statement.server).subjects(), args)

    async def _mark(self, args: ServerArgs) -> Done:
        if not await self._named(args.server).statements.mark():
            raise RequestError(f"{args.server}: its statements were not read yet", "nothing was marked; they are while somebody looks")
        return Done(f"{args.server}: marked; the window since mark counts from here")

    async def _connect(self, args: ServerArgs) -> Done:
        what = self._known(args.server)
        if not what.wanted.is_set():
            try:
                await what.server.ready()
            except ServerError as failure:
                raise RequestError(failure.message, failure.fix) from None
            what.wanted.set()
        return Done(f"connected to {what.server.where} as {what.server.user}")

    def _named(self, server: str) -> _Target:
        what = self._known(server)
        if not what.wanted.is_set():  # asking would connect
            raise RequestError(f"{server} was found on this machine, and is not connected to", "c on the Queries screen connects")
        return what

    def _known(self, server: str) -> _Target:
        what = self._targets.get(server)
        if what is None:
            raise RequestError(f"no server is called {server!r}", f"there are: {' '.join(self._targets)}")
        return what

    def _on_session(self, act: Callable[[Server, SessionArgs], Awaitable[Done]]) -> Callable[[SessionArgs], Awaitable[Done]]:
        async def run(args: SessionArgs) -> Done:
            return await act(self._named(args.server).server, args)

        return run


def _log(server: Server, failed: "Failed") -> "ServerLog":
    from perfconsole.collectors.postgres.server_log import ServerLog  # noqa: PLC0415  only where somebody counts

    return ServerLog(server, failed)


def _is_console(settings: ServerSettings) -> bool:
    """By the database that its DSN, its service or the environment names."""
    try:
        return settings.keywords().get("dbname") == _CONSOLE
    except ConfigError:
        return False  # connecting says what is wrong
