"""The Queries screen over real servers: what it ends really ends, what was found is connected to when asked, groups keep their history."""

import asyncio
import os
import socket
import time
from contextlib import asynccontextmanager

import pytest

from perfconsole import assembly
from perfconsole.collectors.postgres import PostgresCollector
from perfconsole.config import found, themes
from perfconsole.config.abilities import Abilities
from perfconsole.config.actions import keymap
from perfconsole.config.schema import Config
from perfconsole.config.servers import of_socket
from perfconsole.core.ports import Watch
from perfconsole.core.tables import SessionTable, StatementTable, View
from perfconsole.core.tick import Stream
from perfconsole.engine.engine import Engine
from perfconsole.engine.local import LocalSource
from perfconsole.ui.app import ConsoleApp
from perfconsole.ui.settings import Settings
from perfconsole.ui.widgets.queries import QueriesPane
from perfconsole.ui.widgets.sessions import SessionsPane

NOWHERE = {"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent"}


@asynccontextmanager
async def queries(*servers, size=(120, 40), read_only=False):
    """The console on its Queries screen, over an engine that asks these servers."""
    theme = themes.load_theme("mono", env=NOWHERE).spec
    settings = Settings(
        theme=theme, themes=("mono",), load=lambda name: theme, keys=keymap({}), abilities=Abilities(ascii=False, colours=0), host="box"
    )
    audit = []
    engine = Engine([PostgresCollector(servers)], Stream("box", "s", "b", "0", read_only=read_only), audit=lambda *line: audit.append(line))
    app = ConsoleApp(LocalSource(engine), settings)
    engine.start()
    try:
        async with app.run_test(size=size) as pilot:
            await pilot.press("4")
            await pilot.pause()
            yield Screen(app, pilot, audit)
    finally:
        engine.stop()


class Screen:
    def __init__(self, app, pilot, audit):
        self.app, self.pilot, self.audit = app, pilot, audit

    async def until(self, condition, within_s=60.0):
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, self.text
            await asyncio.sleep(0.02)
        await self.pilot.pause()

    @property
    def text(self):
        update = self.app.screen._compositor.render_update(full=True, screen_stack=self.app._background_screens)
        return "\n".join("".join(segment.text for segment in strip) for parts in update.strips for strip in [[s for p in parts for s in p]])

    @property
    def sessions(self):
        return next(screen for screen in self.app.screen_stack if screen.query(SessionsPane)).query_one(SessionsPane)

    def row(self, application):
        table = self.app.state.table(SessionTable, "orders")
        return next((row for row in table.rows if row.application == application), None) if table else None

    async def choose(self, application):
        """Select a session of the pane, as somebody does who goes through the rows."""
        await self.until(lambda: self.row(application) is not None)
        if not isinstance(self.app.screen.focused, SessionsPane):
            await self.pilot.press("tab")
        await self.pilot.press("g")
        for _ in range(len(self.sessions._items)):
            if self.sessions.row.application == application:
                return
            await self.pilot.press("j")
        raise AssertionError(application)


@pytest.fixture
async def people(victim):
    made = []

    async def people(*names, database="postgres"):
        new = [
            await victim.connect(database, "plain", server_settings={"application_name": name}, statement_cache_size=0) for name in names
        ]
        made.extend(new)
        return new

    yield people
    for connection in made:
        connection.terminate()
    await asyncio.sleep(0.01)


async def one_value(cluster, sql, *args):
    connection = await cluster.connect()
    try:
        return await connection.fetchval(sql, *args)
    finally:
        await connection.close()


async def test_a_cancel_ends_the_statement_and_the_session_goes_on(victim, people):
    (busy,) = await people("busy")
    running = asyncio.create_task(busy.execute("SELECT pg_sleep(600)"))
    async with queries(victim.settings_of()) as screen:
        await screen.until(lambda: (row := screen.row("busy")) is not None and row.state == "active")
        await screen.choose("busy")
        await screen.pilot.press("x")
        assert "SELECT pg_sleep(600)" in screen.text
        await screen.pilot.press("enter")
        with pytest.raises(Exception, match="canceling statement due to user request"):
            await asyncio.wait_for(running, 60)
        await screen.until(lambda: not screen.app.screen.is_modal)  # it closes when it has seen that it helped
        assert "cancelled what session" in screen.text
        assert [line[1:] for line in screen.audit][-1][-1] == "done"
    assert await busy.fetchval("SELECT 1") == 1


async def test_an_idle_transaction_is_terminated_and_frees_the_chain(victim, people):
    await victim.execute("CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)", "GRANT ALL ON t TO plain")
    root, first, second = await people("root", "first", "second")
    await root.execute("BEGIN; UPDATE t SET a = 2")
    waiting = [asyncio.create_task(first.execute("UPDATE t SET a = 3"))]
    while not await one_value(victim, "SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110  the second comes after it
        await asyncio.sleep(0.01)
    waiting.append(asyncio.create_task(second.execute("UPDATE t SET a = 4")))
    async with queries(victim.settings_of()) as screen:
        await screen.until(lambda: (row := screen.row("second")) is not None and row.depth == 2)
        tree = [(item.row.application, item.prefix) for item in screen.sessions._items[:3]]
        assert tree == [("root", ""), ("first", "└─"), ("second", "  └─")]
        await screen.choose("root")
        await screen.pilot.press("x")
        assert "only terminating it helps" in screen.text
        assert "cancel " not in screen.app.screen.box.lines(screen.app.state, 76, 20)[-2].strip().text
        await screen.pilot.press("enter")
        assert screen.app.screen.is_modal  # once is not enough
        await screen.pilot.press("enter")
        await asyncio.wait_for(asyncio.gather(*waiting), 60)
        await screen.until(lambda: "terminated session" in screen.text or "told session" in screen.text)
    with pytest.raises(Exception, match=r"connection|terminat"):
        await root.execute("SELECT 1")


async def test_what_a_prepared_transaction_holds_is_told_and_not_touched(victim, people):
    await victim.execute("CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)", "GRANT ALL ON t TO plain")
    one, other = await people("one", "other")
    await one.execute("BEGIN; UPDATE t SET a = 2; PREPARE TRANSACTION 'order 7'")
    waiting = asyncio.create_task(other.execute("UPDATE t SET a = 3"))
    async with queries(victim.settings_of()) as screen:
        await screen.until(lambda: screen.row("") is not None and screen.row("").prepared)
        await screen.pilot.press("tab", "g", "x")
        assert "ROLLBACK PREPARED 'order 7'" in screen.text
        await screen.pilot.press("enter", "enter", "escape")
        assert not screen.app.screen.is_modal
        assert screen.audit == []
    assert not waiting.done()
    await one.execute("ROLLBACK PREPARED 'order 7'")
    await waiting


async def test_the_one_that_was_meant_has_ended_and_its_pid_is_not_taken_for_it(victim, people):
    (gone,) = await people("gone")
    pid = gone.get_server_pid()
    async with queries(victim.settings_of()) as screen:
        await screen.choose("gone")
        await screen.pilot.press("x")
        await gone.close()
        while await one_value(victim, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid):  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.01)
        await screen.pilot.press("enter", "enter")
        await screen.until(lambda: "has ended" in screen.text)


async def test_a_mark_counts_what_ran_after_it(victim, people):
    (busy,) = await people("busy")
    async with queries(victim.settings_of(interval_s=1.0)) as screen:
        pane = screen.app.screen.query_one(QueriesPane)
        await busy.fetch("SELECT 'before'")
        await screen.until(lambda: (table := pane.table(screen.app.state)) is not None and table.window_s > 0)
        await screen.pilot.press("m", "enter")
        await screen.until(lambda: pane.window == "mark")
        for _ in range(3):
            await busy.fetch("SELECT count(*), 'after' FROM pg_class")

        def counted():
            table = screen.app.state.table(StatementTable, "orders", "mark")
            return [row.calls for row in table.rows if row.user == "plain"] if table else []

        await screen.until(lambda: sum(counted()) >= 3)  # they may come to lie in two samples
        await screen.until(lambda: "since mark" in screen.text)
        assert counted() == [3]


async def test_while_statements_are_watched_the_servers_numbers_keep_their_history(victim):
    async with queries(victim.settings_of(interval_s=1.0)) as screen:
        state = screen.app.state
        await screen.until(lambda: len(ring.ring) if (ring := state.find("postgresql.up", server="orders")) else 0)
        groups = set()
        for _ in range(3):
            held = len(state.find("postgresql.up", server="orders").ring)
            await screen.until(lambda held=held: len(state.find("postgresql.up", server="orders").ring) > held)
            groups |= {group.id for group in state.groups.values() if group.target == "orders"}
        assert len(groups) == 1
        assert state.find("postgresql.statement.load", server="orders") is not None


# Found servers --------------------------------------------------------------------------------------------------------------------


async def test_a_server_that_was_found_is_not_asked_before_somebody_connects(victim, monkeypatch):
    monkeypatch.setenv("PGUSER", "postgres")
    monkeypatch.setenv("PGDATABASE", "postgres")
    watcher = await victim.connect()
    ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'perfconsole'"
    async with queries(of_socket(str(victim.directory), str(victim.port))) as screen:
        await screen.until(lambda: "press c to connect" in screen.text)
        assert f"{victim.directory}:{victim.port}" in screen.text
        await screen.pilot.press("m", "enter", "d", "x", "tab", "x")
        await asyncio.sleep(0.3)
        assert await watcher.fetchval(ours) == 0
        await screen.pilot.press("escape", "4", "c")
        await screen.until(lambda: "connected to" in screen.text)
        await screen.until(lambda: "● OK" in screen.text and "of" in screen.text)
        assert await watcher.fetchval(ours) == 1
    await watcher.close()


async def test_a_socket_behind_which_nobody_listens_says_so_and_stays_offered(pg_directory):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(pg_directory / ".s.PGSQL.7777"))
    async with queries(of_socket(str(pg_directory), "7777")) as screen:
        await screen.until(lambda: "press c to connect" in screen.text)
        await screen.pilot.press("c")
        await screen.until(lambda: "refused" in screen.text)
        assert "press c to connect" in screen.text


def test_operations_says_which_key_leads_there(victim, monkeypatch):
    monkeypatch.setattr(found, "DIRECTORIES", (str(victim.directory),))
    monkeypatch.setattr(found.sockets, "__defaults__", ((str(victim.directory),),))
    engine = assembly.build_engine(Config(), offer=True)
    assert "postgres.connect" in engine.stream.ops
    assert "postgres.connect" not in assembly.build_engine(Config()).stream.ops


@pytest.mark.skipif(os.getuid() != 0, reason="sockets of other users are only made by root")
def test_a_socket_that_anybody_laid_out_where_all_may_write_is_none(tmp_path):
    tmp_path.chmod(0o1777)
    for port, owner in (("5432", 0), ("5433", 65534)):
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(tmp_path / f".s.PGSQL.{port}"))
        os.chown(tmp_path / f".s.PGSQL.{port}", owner, -1)
    (tmp_path / ".s.PGSQL.5432.lock").touch()
    (tmp_path / ".s.PGSQL.6000").touch()
    assert found.sockets((str(tmp_path),)) == [(str(tmp_path), "5432")]
    tmp_path.chmod(0o755)
    assert {port for _, port in found.sockets((str(tmp_path), "/nonexistent"))} == {"5432", "5433"}


async def test_two_consoles_over_one_engine_look_at_their_own_windows(victim, people):
    (busy,) = await people("busy")
    engine = Engine([PostgresCollector([victim.settings_of(interval_s=1.0)])], Stream("box", "s", "b", "0"))
    engine.start()
    try:
        readers = {window: LocalSource(engine) for window in ("tick", "open")}
        for window, reader in readers.items():
            reader.subscribe(lambda: None)
            reader.watch(Watch((View("statement", "orders", window=window),)))
        seen = set()
        deadline = time.monotonic() + 60
        while seen != {"tick", "open"} and time.monotonic() < deadline:
            await busy.fetch("SELECT 1")
            seen |= {table.window for tick in readers["tick"].drain() for table in tick.tables if isinstance(table, StatementTable)}
            await asyncio.sleep(0.1)
        assert seen == {"tick", "open"}
    finally:
        for reader in readers.values():
            reader.close()
        engine.stop()
