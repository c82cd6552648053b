"""The collector in a running engine: a server that ends and comes back, actions refused and written down, other collectors undisturbed."""

import asyncio
import contextlib
import signal
import time

import asyncpg
import pytest

from perfconsole.collectors.postgres import PostgresCollector
from perfconsole.core.errors import RequestError
from perfconsole.core.ports import Watch
from perfconsole.core.requests import SessionArgs
from perfconsole.core.state import State
from perfconsole.core.tables import SessionTable, StatementTable, View
from perfconsole.core.tick import Stream
from perfconsole.engine.engine import Engine
from perfconsole.engine.local import LocalSource


class Console:
    """A reader of an engine that asks servers."""

    def __init__(self, *servers, read_only=False):
        self.audit = []
        self.engine = Engine(
            [PostgresCollector(servers)],
            Stream("box", "s", "b", "0", read_only=read_only),
            audit=lambda peer, op, args, outcome: self.audit.append((op, args, outcome)),
        )
        self.source = LocalSource(self.engine)
        self.state = State()
        self.engine.start()
        self.source.subscribe(lambda: None)

    def close(self):
        self.source.close()
        self.engine.stop()

    def until(self, condition, within_s=60.0):
        """Fold ticks until something holds. How soon that is, is the server's and the machine's business; the order of things is ours."""
        began = time.monotonic()
        while True:
            for tick in self.source.drain():
                self.state.apply(tick)
            if condition(self.state):
                return
            assert time.monotonic() - began < within_s, list(self.state.health.values())
            time.sleep(0.02)

    @property
    def health(self):
        return self.state.health.get(("postgres", "orders"))

    def up(self):
        return self.state.value("postgresql.up", server="orders")


@pytest.fixture
def console():
    made = []

    def console(*servers, **kwargs):
        made.append(Console(*servers, **kwargs))
        return made[-1]

    yield console
    for one in made:
        one.close()


def test_a_server_ends_and_comes_back_and_the_pane_says_so_in_time(victim, console):
    one = console(victim.settings_of(user="monitor"))
    one.until(lambda state: one.up() == 1.0)
    assert one.health.state == "ok"
    victim.kill()
    one.until(lambda state: one.health.state == "error")
    assert one.up() == 0.0
    assert "down" in one.health.error
    last_ok = one.health.last_ok
    victim.start()
    one.until(lambda state: one.health.state == "ok")
    one.until(lambda state: one.up() == 1.0)
    assert one.health.last_ok > last_ok > 0


def test_a_server_that_hangs_while_it_is_watched_is_named_before_its_time_is_up(victim, console):
    """A beat and the console's patience are two seconds: it is said to be late before it is given up."""
    one = console(victim.settings_of(user="monitor"))
    one.source.watch(Watch((View("session", "orders"),)))
    one.until(lambda state: state.table(SessionTable, "orders") is not None)
    victim.signal_all(signal.SIGSTOP)
    try:
        one.until(lambda state: one.health.state == "stale")
        assert one.up() == 1.0
        one.until(lambda state: one.health.state == "error")
        assert "no answer within" in one.health.error
    finally:
        victim.signal_all(signal.SIGCONT)
    one.until(lambda state: one.health.state == "ok")


async def test_actions_are_written_down_and_refused_where_nothing_may_be_changed(victim, console):
    shop = await victim.connect(user="plain", server_settings={"application_name": "shop"})
    looking = console(victim.settings_of(user="monitor"), read_only=True)
    assert not {"postgres.cancel", "postgres.terminate"} & looking.engine.stream.ops
    acting = console(victim.settings_of())
    acting.source.watch(Watch((View("session", "orders"),)))
    acting.until(lambda state: (table := state.table(SessionTable, "orders")) is not None and table.rows)
    (row,) = [row for row in acting.state.table(SessionTable, "orders").rows if row.application == "shop"]
    args = SessionArgs("orders", *row.key)
    with pytest.raises(RequestError, match="read-only"):
        await looking.source.request("postgres.terminate", args)
    assert looking.audit == []
    done = await acting.source.request("postgres.terminate", args)
    who = f"session {row.pid} (plain shop)"
    assert done.text in {f"terminated {who}", f"told {who} to end"}  # before 14 nothing tells whether it has
    assert acting.audit == [("postgres.terminate", args, ""), ("postgres.terminate", args, "done")]
    shop.terminate()


# What else happens to a server while it is looked at ------------------------------------------------------------------------------------

LOOKED_AT = Watch((View("session", "orders"), View("statement", "orders", window="tick")))


def watched(console, cluster, **settings):
    """A console that looks at all of a server, once it does."""
    one = console(cluster.settings_of(user="monitor", interval_s=1.0, **settings))
    one.source.watch(LOOKED_AT)
    one.until(lambda state: state.table(SessionTable, "orders") is not None and state.table(StatementTable, "orders") is not None)
    return one


def fresh(one):
    """Both tables told anew: it has recovered."""
    at = one.state.at
    one.until(lambda state: state.table(SessionTable, "orders").at > at and state.table(StatementTable, "orders").at > at)
    one.until(lambda _: one.health.state == "ok")


def test_a_server_that_refuses_from_now_on(victim, console):
    one = watched(console, victim)
    hba = victim.data / "pg_hba.conf"
    before = hba.read_text()
    hba.write_text("host all monitor all reject\n" + before)
    asyncio.run(victim.execute("SELECT pg_reload_conf()", ENDED))
    one.until(lambda _: one.health.state == "denied")
    assert "pg_hba.conf" in one.health.error + one.health.fix
    hba.write_text(before)
    asyncio.run(victim.execute("SELECT pg_reload_conf()"))
    fresh(one)


ENDED = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'monitor'"


def test_a_server_that_is_full_when_it_is_to_be_connected_to_again(make_cluster, console):
    victim = make_cluster(max_connections="6", superuser_reserved_connections="2", max_wal_senders="0").start()
    one = watched(console, victim)

    async def crowd():
        held = [await victim.connect(user="plain") for _ in range(3)]
        await victim.execute(ENDED)
        while len(held) < 4:  # the console is as quick as anybody to take the place
            with contextlib.suppress(asyncpg.TooManyConnectionsError):
                held.append(await victim.connect(user="plain"))
            await victim.execute(ENDED)
        await asyncio.to_thread(one.until, lambda _: "full" in one.health.error)
        assert one.state.value("postgresql.connections.utilization", server="orders") == 1.0
        for connection in held:
            await connection.close()

    asyncio.run(crowd())
    fresh(one)


def test_a_standby_is_looked_at_and_named_one_while_it_is_and_after_it_was_promoted(standby, console):
    one = watched(console, standby)
    assert one.health.state == "ok"
    asyncio.run(standby.execute("SELECT pg_promote()"))
    fresh(one)


@pytest.mark.parametrize(("relation", "held_up"), [("pg_stat_statements", False), ("pg_database", True), ("pg_authid", True)])
def test_behind_a_lock_storm_what_is_known_stays_and_what_holds_it_up_is_said(victim, console, relation, held_up):
    """The view of statements is not read, only its function; names come from catalogs."""
    one = watched(console, victim)

    def said_of(state):
        said = [health.error for health in state.health.values()] + list(state.table(StatementTable, "orders").notes)
        return any("something holds a lock" in text or "lock timeout" in text for text in said)

    async def storm():
        holder = await victim.connect()
        await holder.execute(f"BEGIN; LOCK TABLE {relation} IN ACCESS EXCLUSIVE MODE")
        began = one.state.at
        try:
            if held_up:
                await asyncio.to_thread(one.until, said_of)
            await asyncio.to_thread(one.until, lambda state: state.at > began + 2.5)  # the clock of the console goes on
            assert held_up or not said_of(one.state)
        finally:
            await holder.close()

    asyncio.run(storm())
    fresh(one)


def test_another_server_on_the_same_port_as_after_an_upgrade(victim, make_cluster, console):
    """With an older extension first: columns, identity and counters are another server's, and no rate is made of the two."""
    if asyncio.run(_version(victim)) >= 14:
        asyncio.run(victim.execute("DROP EXTENSION pg_stat_statements", "CREATE EXTENSION pg_stat_statements VERSION '1.8'"))
    one = watched(console, victim)
    victim.stop()
    one.until(lambda _: one.health.state == "error")
    after = make_cluster()
    after.port = victim.port
    after.start()
    fresh(one)
    assert all(row.calls < 1000 for row in one.state.table(StatementTable, "orders").rows)


async def _version(cluster):
    connection = await cluster.connect()
    try:
        return connection.get_server_version().major
    finally:
        await connection.close()
