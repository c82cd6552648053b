"""A server's numbers, held against what was done to it; on a standby, with few rights, and when there is nobody to ask."""

import asyncio
import signal
import subprocess
import sys
import time
from math import isnan

import pytest

from perfconsole.collectors.postgres import NAME, PostgresCollector, checkpoints
from perfconsole.collectors.postgres.health import ServerHealth
from perfconsole.config.servers import ServerSettings
from perfconsole.core.globs import Globs
from perfconsole.core.metrics import METRICS
from perfconsole.core.ports import Slot
from perfconsole.core.tables import SessionTable, View
from perfconsole.core.tick import SeriesDef


def values(measured):
    return dict(zip(measured.series, measured.values, strict=True))


def of(measured, name, **labels):
    return values(measured)[SeriesDef(f"postgresql.{name}", tuple(sorted({"server": "orders", **labels}.items())))]


async def settled(look, condition, within_s=60.0):
    """Look until what the server counts late has arrived (a backend tells its statistics at most once a second)."""
    deadline = time.monotonic() + within_s
    while not condition(measured := await look()):
        assert time.monotonic() < deadline, measured
        await asyncio.sleep(0.1)
    return measured


@pytest.fixture
def health_of(serve):
    def health_of(settings):
        return ServerHealth(serve(settings), Globs(settings.databases))

    return health_of


# Against what was done ------------------------------------------------------------------------------------------------------------


async def test_connections_and_sessions_are_counted_by_state_and_application(victim, health_of):
    health = health_of(victim.settings_of(user="monitor"))
    shop = [await victim.connect(user="plain", server_settings={"application_name": "shop"}) for _ in range(3)]
    await shop[0].execute("BEGIN; SELECT 1")
    busy = asyncio.create_task(shop[1].execute("SELECT pg_sleep(600)"))
    try:
        await settled(lambda: _numbers(health), lambda measured: of(measured, "statement.longest") > 0.1)
        measured, said = await health.measure(1.0)
        assert said == []
        assert of(measured, "up") == 1.0
        assert of(measured, "connections") == 4.0
        assert of(measured, "connections", application="shop") == 3.0
        assert of(measured, "connections", application="perfconsole") == 1.0
        assert of(measured, "connections.utilization") == 4 / 37
        states = {state: of(measured, "sessions", state=state) for state in ("active", "idle", "idle in transaction", "other")}
        assert states == {"active": 1.0, "idle": 1.0, "idle in transaction": 1.0, "other": 0.0}
        assert 0.1 < of(measured, "transaction.longest") < 100
        assert 0.1 < of(measured, "transaction.idle") <= of(measured, "transaction.longest")
        assert 0.1 < of(measured, "statement.longest") < 100
        assert of(measured, "sessions.blocked") == 0.0
    finally:
        busy.cancel()
        for connection in shop:
            connection.terminate()
        await asyncio.gather(busy, return_exceptions=True)


async def test_what_may_last_is_not_the_longest_statement(victim, serve):
    """COPY, applications that are left out, and whoever idles: none of them is a statement that somebody waits for."""
    health = ServerHealth(serve(victim.settings_of(user="monitor")), Globs(), Globs(["pg_dump*"]))
    dump = await victim.connect(user="plain", server_settings={"application_name": "pg_dumpall"})
    copier = await victim.connect(server_settings={"application_name": "shop"})
    busy = [
        asyncio.create_task(dump.execute("SELECT pg_sleep(600)")),
        asyncio.create_task(copier.execute("COPY (SELECT pg_sleep(600)) TO PROGRAM 'cat >/dev/null'")),
    ]
    try:
        await settled(lambda: _numbers(health), lambda measured: of(measured, "sessions", state="active") == 2.0)
        measured, _ = await health.measure(1.0)
        assert of(measured, "transaction.longest") > 0
        assert of(measured, "statement.longest") == of(measured, "transaction.idle") == 0.0
    finally:
        for task, connection in zip(busy, (dump, copier), strict=True):
            task.cancel()
            connection.terminate()
        await asyncio.gather(*busy, return_exceptions=True)


async def test_an_application_that_goes_away_has_none_and_its_series_stays(victim, health_of):
    health = health_of(victim.settings_of(user="monitor"))
    shop = await victim.connect(server_settings={"application_name": "shop"})
    first, _ = await health.measure(1.0)
    await shop.close()
    after = await settled(lambda: _numbers(health), lambda measured: of(measured, "connections", application="shop") == 0.0)
    assert after.series is first.series


async def _numbers(health):
    return (await health.measure(time.time()))[0]


async def test_transactions_rollbacks_deadlocks_blocks_and_temporary_files(cluster, database, health_of):
    health = health_of(cluster.settings_of("postgres", "monitor", databases=(database,)))
    before, _ = await health.measure(1.0)
    connection = await cluster.connect(database)
    await connection.execute("CREATE TABLE t (a int)")
    await connection.execute("INSERT INTO t SELECT generate_series(1, 50000)")
    for _ in range(7):
        await connection.execute("BEGIN; SELECT 1; ROLLBACK")
    await connection.execute("SET work_mem = '64kB'")
    await connection.execute("SELECT * FROM t ORDER BY a DESC OFFSET 49999")
    await connection.close()

    def done(measured):
        return of(measured, "temp.bytes", database=database) > 0

    after = await settled(lambda: _numbers(health), done)
    assert of(after, "rollbacks", database=database) == 7.0
    assert of(after, "rollbacks") - of(before, "rollbacks") >= 7.0
    assert of(after, "transactions", database=database) >= 11.0
    assert of(after, "deadlocks", database=database) == 0.0
    assert of(after, "wal.bytes") - of(before, "wal.bytes") > 50_000 * 30
    assert of(after, "blocks.hit", database=database) > 200
    assert of(after, "xid.age") >= of(after, "xid.age", database=database) > 0
    assert {dict(series.labels).get("database") for series in after.series} == {None, database}


async def test_the_hit_ratio_is_of_the_interval_and_a_reset_gives_none(cluster, database, health_of):
    await cluster.execute("CREATE TABLE t AS SELECT generate_series(1, 20000) AS a", database=database)
    health = health_of(cluster.settings_of("postgres", "monitor", databases=(database,)))
    first, _ = await health.measure(1.0)
    assert isnan(of(first, "cache.hit_ratio"))
    connection = await cluster.connect(database)
    await connection.execute("SELECT count(*) FROM t")
    await connection.close()
    ratio = await settled(lambda: _numbers(health), lambda measured: of(measured, "cache.hit_ratio", database=database) > 0)
    assert 0.5 < of(ratio, "cache.hit_ratio", database=database) <= 1.0
    await cluster.execute("SELECT pg_stat_reset()", database=database)
    again = await settled(lambda: _numbers(health), lambda measured: of(measured, "blocks.hit", database=database) < 100)
    ratio = of(again, "cache.hit_ratio", database=database)
    assert isnan(ratio) or 0 <= ratio <= 1


async def test_counters_of_another_server_behind_the_same_name_make_no_rate(victim, make_cluster, serve):
    server = serve(victim.settings_of(user="monitor"))
    health = ServerHealth(server, Globs(()))
    await settled(lambda: _numbers(health), lambda measured: of(measured, "blocks.hit") > 0)
    server.close()
    server._settings = make_cluster().start().settings_of(user="monitor")
    counters = [name for name, metric in METRICS.items() if metric.kind == "counter"]
    after, again = await _numbers(health), await _numbers(health)
    assert of(after, "up") == of(again, "up") == 1.0
    assert {series.name for series, value in values(after).items() if not isnan(value)}.isdisjoint(counters)
    assert isnan(of(after, "cache.hit_ratio"))
    assert of(again, "transactions") > 0
    assert of(again, "wal.bytes") > 0


async def test_checkpoints_are_counted(victim, health_of):
    health = health_of(victim.settings_of(user="monitor"))
    before, _ = await health.measure(1.0)
    await victim.execute("CHECKPOINT", "CHECKPOINT")
    requested = of(before, "checkpoints", mode="requested")
    await settled(lambda: _numbers(health), lambda measured: of(measured, "checkpoints", mode="requested") >= requested + 2)
    assert of(before, "archiver.failures") == 0.0


async def test_checkpoints_that_are_asked_for_again_and_again_are_most_of_them(victim, health_of):
    health = health_of(victim.settings_of(user="monitor"))
    before, _ = await health.measure(1.0)
    assert isnan(of(before, "checkpoints.requested.ratio"))
    requested = of(before, "checkpoints", mode="requested")
    await victim.execute("CHECKPOINT", "CHECKPOINT")
    two = await settled(lambda: _numbers(health), lambda measured: of(measured, "checkpoints", mode="requested") == requested + 2)
    assert isnan(of(two, "checkpoints.requested.ratio"))
    await victim.execute("CHECKPOINT")
    three = await settled(lambda: _numbers(health), lambda measured: of(measured, "checkpoints", mode="requested") == requested + 3)
    assert of(three, "checkpoints.requested.ratio") == 1.0
    view = "checkpointer" if health._server.version >= 170000 else "bgwriter"
    await victim.execute(f"SELECT pg_stat_reset_shared('{view}')")
    reset = await settled(lambda: _numbers(health), lambda measured: of(measured, "checkpoints", mode="requested") == 0.0)
    assert isnan(of(reset, "checkpoints.requested.ratio"))


async def test_every_metric_is_in_the_catalogue(cluster, health_of):
    measured, _ = await health_of(cluster.settings_of(user="monitor")).measure(1.0)
    assert {series.name for series in measured.series} <= set(METRICS)


# Replication ----------------------------------------------------------------------------------------------------------------------


async def test_a_standby_tells_its_numbers_and_how_far_it_is_behind(victim, standby, health_of, monkeypatch):
    monkeypatch.setattr(checkpoints, "WINDOW_S", 0.0)
    primary, copy = health_of(victim.settings_of(user="monitor")), health_of(standby.settings_of(user="monitor"))
    await victim.execute("CREATE TABLE t AS SELECT generate_series(1, 1000)")
    measured = await settled(lambda: _numbers(copy), lambda measured: of(measured, "replication.lag") == 0.0)
    assert of(measured, "wal.bytes") > 0
    assert of(measured, "up") == 1.0
    assert of(measured, "xid.age") > 0
    on_primary = await settled(lambda: _numbers(primary), lambda measured: not isnan(of(measured, "replication.lag")))
    assert of(on_primary, "replication.lag") < 5.0
    assert of(on_primary, "replication.slot.retained") < 1e9
    assert of(on_primary, "replication.slots.lost") == 0.0
    assert of(on_primary, "checkpoints.requested.ratio") == 0.0
    assert isnan(of(measured, "checkpoints.requested.ratio"))  # its restartpoints are not its own choice


async def test_a_replay_that_is_paused_is_said_and_falls_behind(victim, standby, health_of):
    copy = health_of(standby.settings_of(user="monitor"))
    await victim.execute("CREATE TABLE first (a int)")
    there = await standby.connect()
    # Without a first replayed commit there is no time to tell.
    await settled(lambda: there.fetchval("SELECT to_regclass('first') IS NOT NULL"), lambda replayed: replayed)
    await there.close()
    await standby.execute("SELECT pg_wal_replay_pause()")
    await victim.execute("CREATE TABLE t AS SELECT generate_series(1, 1000)")
    await settled(lambda: _numbers(copy), lambda measured: of(measured, "replication.lag") > 0.0)
    _, said = await copy.measure(1.0)
    assert [(health.collector, health.state, health.fix) for health in said] == [
        ("postgres.replication", "error", "SELECT pg_wal_replay_resume()")
    ]
    await standby.execute("SELECT pg_wal_replay_resume()")
    _, said = await copy.measure(2.0)
    assert [(health.collector, health.state) for health in said] == [("postgres.replication", "ok")]


async def test_a_slot_that_nobody_reads_keeps_log(victim, health_of):
    await victim.execute("SELECT pg_create_physical_replication_slot('left', true)", "CREATE TABLE t AS SELECT generate_series(1, 50000)")
    measured, _ = await health_of(victim.settings_of(user="monitor")).measure(1.0)
    assert of(measured, "replication.slot.retained") > 1e6
    assert of(measured, "replication.slots.lost") == 0.0


async def test_a_slot_that_loses_its_log_is_counted_and_named(make_cluster, health_of):
    cluster = make_cluster(max_slot_wal_keep_size="1MB", min_wal_size="32MB", max_wal_size="32MB").start()
    health = health_of(cluster.settings_of(user="plain"))  # no right is needed for it
    await cluster.execute("SELECT pg_create_physical_replication_slot('left_behind', true)", "CREATE TABLE t (i int)")
    assert of(await _numbers(health), "replication.slots.lost") == 0.0
    for _ in range(6):
        await cluster.execute("INSERT INTO t VALUES (1)", "SELECT pg_switch_wal()")
    measured, said = await health.measure(1.0)
    assert of(measured, "replication.slots.lost") == 1.0  # unreserved: from the next checkpoint on it is lost
    await cluster.execute("CHECKPOINT")
    measured, said = await health.measure(2.0)
    assert of(measured, "replication.slots.lost") == 1.0
    assert [one.error for one in said if one.collector == "postgres.replication"] == ["replication slots that lose their log: left_behind"]
    await cluster.execute("SELECT pg_drop_replication_slot('left_behind')")
    assert of(await _numbers(health), "replication.slots.lost") == 0.0


# Few rights -----------------------------------------------------------------------------------------------------------------------


async def test_a_plain_role_sees_what_it_may_and_is_told_the_grant(victim, health_of):
    other = await victim.connect(user="writer", server_settings={"application_name": "shop"})
    try:
        measured, said = await health_of(victim.settings_of(user="plain")).measure(1.0)
    finally:
        await other.close()
    assert of(measured, "connections") == 2.0
    assert of(measured, "connections", application="shop") == 1.0
    assert isnan(of(measured, "sessions", state="idle"))
    assert isnan(of(measured, "transaction.longest"))
    assert of(measured, "transactions") > 0
    assert of(measured, "wal.bytes") > 0
    (health,) = said
    assert (health.collector, health.target, health.state) == ("postgres.activity", "orders", "denied")
    assert health.fix == 'GRANT pg_monitor TO "plain"'


async def test_one_question_that_is_refused_leaves_the_others_and_is_not_repeated_at_once(victim, health_of):
    await victim.execute("REVOKE SELECT ON pg_stat_archiver FROM public")
    health = health_of(victim.settings_of(user="monitor"))
    measured, said = await health.measure(1.0)
    assert [(one.collector, one.state) for one in said] == [("postgres.log", "denied")]
    assert "pg_stat_archiver" in said[0].error
    assert isnan(of(measured, "wal.bytes"))
    assert of(measured, "connections") == 1.0
    await victim.execute("GRANT SELECT ON pg_stat_archiver TO public")
    measured, said = await health.measure(30.0)
    assert said
    measured, said = await health.measure(62.0)
    assert [(one.collector, one.state) for one in said] == [("postgres.log", "ok")]
    assert of(measured, "wal.bytes") > 0


# Nobody to ask --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def collect():
    """Makes a collector and runs it as the engine does, by a clock of the test's."""
    made = []

    def collect(*settings):
        collector = PostgresCollector(settings)
        made.append(collector)

        async def run(boot, *views, target=None, patient=True):
            name, slot = target or settings[0].name, Slot(1000.0 + boot, boot, boot + 5)
            result = await collector.run(name, slot, views)
            while patient and collector._targets[name].asking is not None:  # late, on a busy machine: the next run has it
                result = await collector.run(name, slot, views)
            return result

        run.collector = collector
        return run

    yield collect
    for collector in made:
        collector.close()
    await asyncio.sleep(0.01)


async def test_a_server_that_is_down_is_a_reading_and_comes_back(victim, collect):
    run = collect(victim.settings_of(user="monitor"))
    first = await run(10.0)
    assert of(first.measured[0], "up") == 1.0
    assert not first.health
    victim.kill()
    while run.collector._targets["orders"].server.connected:  # noqa: ASYNC110  the loop learns that the connection has ended
        await asyncio.sleep(0.005)
    down = await run(11.0)  # no look is due: what ended is noticed all the same
    assert (down.health[0].collector, down.health[0].target, down.health[0].state) == (NAME, "orders", "error")
    assert "down: connection refused" in down.health[0].error
    assert of(down.measured[0], "up") == 0.0
    assert isnan(of(down.measured[0], "connections.utilization"))
    assert down.measured[0].series is first.measured[0].series
    victim.start()
    run.collector._targets["orders"].server._retry_at = 0.0
    back = await run(12.0)
    assert of(back.measured[0], "up") == 1.0
    assert not back.health


async def test_a_full_server_reads_100_percent(make_cluster, collect):
    victim = make_cluster(max_connections="5", superuser_reserved_connections="2", max_wal_senders="0").start()
    held = [await victim.connect(user="plain") for _ in range(3)]
    result = await collect(victim.settings_of(user="monitor"))(10.0)
    assert of(result.measured[0], "connections.utilization") == 1.0
    assert of(result.measured[0], "up") == 1.0
    assert "full" in result.health[0].error
    for connection in held:
        await connection.close()


async def test_a_login_that_fails_says_nothing_of_how_the_server_does(cluster, collect):
    result = await collect(cluster.settings_of(user="nobody_at_all"))(10.0)
    assert of(result.measured[0], "up") == 1.0
    assert isnan(of(result.measured[0], "connections.utilization"))
    assert result.health[0].state == "denied"
    result = await collect(ServerSettings("orders", "host=127.0.0.1 password=${NOT_SET_ANYWHERE}"))(10.0)
    assert isnan(of(result.measured[0], "up"))
    assert "${NOT_SET_ANYWHERE} is not set" in result.health[0].error


async def test_a_server_that_hangs_is_told_in_time_and_holds_up_no_other(victim, cluster, collect):
    run = collect(victim.settings_of(user="monitor"), cluster.settings_of(user="monitor", name="billing"))
    await run(10.0)
    victim.signal_all(signal.SIGSTOP)
    try:
        hung = asyncio.create_task(run(15.0, patient=False))
        other = await run(15.0, target="billing")
        assert not other.health
        result = await hung
        assert result.health[0].state == "stale"  # told before the time of the question is up
        assert "no answer yet, after 0.9 s" in result.health[0].error
        result = await run(16.0)
    finally:
        victim.signal_all(signal.SIGCONT)
    assert "no answer within" in result.health[0].error
    assert of(result.measured[0], "up") == 0.0


async def test_a_lock_on_the_catalog_is_told_and_passes(victim, collect):
    run = collect(victim.settings_of(user="monitor"))
    await run(10.0)
    holder = await victim.connect()
    await holder.execute("BEGIN; LOCK TABLE pg_catalog.pg_database, pg_catalog.pg_authid IN ACCESS EXCLUSIVE MODE")
    result = await run(15.0, View("session", "orders"))
    assert of(result.measured[0], "wal.bytes") > 0
    assert isnan(of(result.measured[0], "transactions"))
    assert {health.collector for health in result.health} >= {"postgres.databases"}
    assert all("given up" in health.error for health in result.health)
    await holder.close()
    result = await run(20.0, View("session", "orders"))
    assert {health.state for health in result.health} == {"ok"}
    assert of(result.measured[0], "transactions") > 0


# Cost -----------------------------------------------------------------------------------------------------------------------------


async def asked(victim):
    connection = await victim.connect()
    try:
        return await connection.fetchval(
            "SELECT sum(calls) FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid WHERE rolname = 'monitor'"
        )
    finally:
        await connection.close()


async def test_unwatched_a_look_is_four_statements_and_between_two_there_is_one_in_a_quarter_of_a_minute(victim, collect):
    run = collect(victim.settings_of(user="monitor"))
    await run(10.0)
    await run(11.0)  # with the first look at what may change: the next one is half a minute later
    await run(12.0)  # with the first one at what is asked seldom
    before = await asked(victim)
    for boot in range(15, 35):
        await run(float(boot))
    assert await asked(victim) - before == 4 * 4 + 1


async def test_what_may_change_is_one_more_in_half_a_minute(victim, collect):
    run = collect(victim.settings_of(user="monitor"))
    await run(10.0)
    await run(11.0)
    await run(12.0)
    before = await asked(victim)
    for boot in range(41, 44):  # between two looks; that at temporary files waits its turn
        await run(float(boot))
    assert await asked(victim) - before == 4 + 1 + 1


async def test_watched_there_is_one_more_a_second(victim, collect):
    run = collect(victim.settings_of(user="monitor"))
    view = View("session", "orders")
    await run(10.0, view)
    await run(11.0, view)
    await run(12.0, view)
    before = await asked(victim)
    for boot in range(15, 25):
        result = await run(float(boot), view)
        assert [type(table) for table in result.tables] == [SessionTable]
    assert await asked(victim) - before == 2 * 4 + 10


async def test_the_driver_is_not_imported_before_it_is_needed():
    code = (
        "import sys; from perfconsole.collectors.postgres import PostgresCollector; from perfconsole.config.servers import ServerSettings;"
        "PostgresCollector([ServerSettings('x', 'host=nowhere')]); print('asyncpg' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"  # noqa: ASYNC221


async def test_a_role_that_may_write_is_only_used_to_read(make_cluster, collect):
    victim = make_cluster(log_statement="all", log_line_prefix="[%a] ").start()
    await victim.execute("ALTER ROLE writer SUPERUSER")
    run = collect(victim.settings_of(user="writer"))
    for boot in (10.0, 16.0, 22.0):
        await run(boot, View("session", "orders"), View("statement", "orders", window="tick"))
    logged = (victim.directory / "log").read_text().split("[perfconsole] LOG:  ")[1:]
    statements = [text.split(":", 1)[1].split("\n[")[0].strip() for text in logged]
    assert len(statements) > 15
    assert all(text.startswith(("SELECT", "WITH", "BEGIN /* perfconsole */ READ ONLY;", "ROLLBACK")) for text in statements), statements
