"""What changed at a real server, as it is told: each change by itself, once, with the time between which it came about."""

import asyncio
import time

import pytest

from perfconsole.collectors.postgres.changes import EVERY_S, ServerChanges

AT = 1_700_000_000.0


class Looks:
    """Looks at a server by a clock of the test's own: every look is due."""

    def __init__(self, server):
        self.changes = ServerChanges(server)
        self.boot = 100.0

    async def __call__(self):
        self.boot += EVERY_S
        return await self.changes.look(AT + self.boot, self.boot)

    async def texts(self):
        return [event.text for event in await self()]


@pytest.fixture
async def looks(server):
    looks = Looks(server)
    await looks()
    return looks


async def test_nothing_is_told_where_nothing_changed_and_nothing_asked_before_it_is_due(looks):
    assert await looks() == []
    assert await looks.changes.look(AT, looks.boot + EVERY_S - 1.0) == []


async def test_tables_and_indexes_that_come_change_and_go(looks, cluster, database):
    run = lambda *statements: cluster.execute(*statements, database=database)  # noqa: E731  short
    await run("CREATE TABLE orders (id int PRIMARY KEY, customer int)", "CREATE INDEX orders_customer ON orders (customer)")
    (created,) = await looks()
    assert (created.text, created.kind, created.scope, created.severity) == (
        "table public.orders created",
        "schema",
        "postgres:orders",
        "",
    )
    assert created.time_hi - created.time_lo == EVERY_S
    await run("DROP INDEX orders_customer")
    (dropped,) = await looks()
    assert (dropped.text, dropped.severity) == ("index orders_customer on public.orders dropped", "warning")
    await run("CREATE INDEX again ON orders (customer)")
    assert await looks.texts() == ["index again on public.orders created"]
    await run("REINDEX INDEX again")
    assert await looks() == []  # the same index, in another file
    await run("REINDEX INDEX CONCURRENTLY again")
    assert await looks.texts() == ["index again on public.orders made anew"]
    await run("ALTER TABLE orders ADD COLUMN note text")
    assert await looks.texts() == ["table public.orders: 1 columns more"]
    await run("ALTER TABLE orders RENAME TO purchases")
    assert await looks.texts() == ["table public.orders is public.purchases now"]
    await run("DROP TABLE purchases")
    assert await looks.texts() == ["table public.purchases dropped"]


async def test_a_temporary_table_is_no_change(looks, cluster, database):
    connection = await cluster.connect(database)
    try:
        await connection.execute("CREATE TEMP TABLE passing (id int PRIMARY KEY)")
        assert await looks() == []
    finally:
        await connection.close()


async def test_an_index_that_is_not_used_any_more_is_told(looks, cluster, database):
    run = lambda *statements: cluster.execute(*statements, database=database)  # noqa: E731  short
    await run("CREATE TABLE t (id int)", "CREATE INDEX t_id ON t (id)")
    await looks()
    await run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_id'::regclass")
    assert await looks.texts() == ["index t_id on public.t is invalid: it is maintained and not used"]


async def test_of_a_deployment_that_makes_hundreds_the_rest_is_counted(looks, cluster, database):
    await cluster.execute(*(f"CREATE TABLE t{number} (id int)" for number in range(30)), database=database)
    texts = await looks.texts()
    assert len(texts) == 9
    assert texts[-1] == "and 22 more changes of tables and indexes"


async def test_a_name_that_would_write_on_the_terminal_does_not(looks, cluster, database):
    await cluster.execute('CREATE TABLE "a\x1b[2Jb" (id int)', database=database)
    (text,) = await looks.texts()
    assert "\x1b" not in text
    assert text.startswith("table public.a")


async def test_settings_are_told_with_their_values_and_secrets_without(victim, serve):
    looks = Looks(serve(victim.settings_of(user="postgres")))
    await looks()
    await victim.execute(
        "ALTER SYSTEM SET work_mem = '64MB'", "ALTER SYSTEM SET primary_conninfo = 'password=hunter2'", "SELECT pg_reload_conf()"
    )
    deadline = time.monotonic() + 60
    while not (texts := await looks.texts()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    assert texts == ["configuration read again: primary_conninfo changed, work_mem 4096kB -> 65536kB"]
    await victim.execute("ALTER ROLE writer SET work_mem = '1MB'")
    assert await looks.texts() == ["settings of a role or a database changed (ALTER ROLE or DATABASE ... SET)"]
    await victim.execute("SELECT 1", "SELECT pg_reload_conf()")
    while not (texts := await looks.texts()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    assert texts == ["configuration read again: no value changed"]


async def test_statistics_that_were_reset_have_the_time_of_the_server(victim, serve):
    looks = Looks(serve(victim.settings_of(user="monitor")))
    await victim.execute("SELECT pg_stat_reset()")
    await looks()
    await victim.execute("SELECT pg_stat_reset()")
    (event,) = await looks()
    assert event.text == "statistics were reset"
    assert 0.0 <= AT + looks.boot - event.time_hi < 100.0
    assert event.time_lo == event.time_hi


async def test_a_restart_is_told_with_what_it_brought_and_a_late_comer_knows_of_the_start(victim, serve):
    looks = Looks(serve(victim.settings_of(user="postgres")))
    (begun,) = await looks()
    assert begun.text.startswith("started: PostgreSQL ")
    assert begun.severity == ""
    await victim.execute("ALTER SYSTEM SET work_mem = '24MB'")
    victim.stop()
    victim.start()
    started, settings = await looks()
    assert started.text.startswith("started: PostgreSQL ")
    assert started.severity == "warning"
    assert settings.text == "started with work_mem 4096kB -> 24576kB"
    assert await looks() == []


async def test_a_standby_that_is_promoted_is_told(standby, serve):
    looks = Looks(serve(standby.settings_of(user="postgres")))
    await looks()
    await standby.execute("SELECT pg_promote()")
    assert "was promoted: is no standby any more" in await looks.texts()


async def test_a_role_that_may_see_little_is_told_what_it_may(cluster, database, serve):
    looks = Looks(serve(cluster.settings_of(database, "plain")))
    await looks()
    await cluster.execute("CREATE TABLE t (id int)", database=database)
    assert await looks.texts() == ["table public.t created"]
