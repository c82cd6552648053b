"""Statements of real servers: what was executed is what is counted, whatever happens to the counters; and what is said where it is not."""

import asyncio
import contextlib
import os
import re
import signal
from collections import Counter
from math import isnan

import pytest

from perfconsole.collectors.postgres.aside import Asides
from perfconsole.collectors.postgres.plans import explain
from perfconsole.collectors.postgres.plans.subject import Subjects
from perfconsole.collectors.postgres.statements.rows import MOST
from perfconsole.core.ports import Slot
from perfconsole.core.requests import ExplainArgs, StatementArgs
from perfconsole.core.tables import View

COUNTED = "SELECT count(*) FROM generate_series(1, $1::int)"
KNOWN_AS = "SELECT count(*) FROM generate_series($2, $1::int)"


async def version(cluster):
    connection = await cluster.connect()
    try:
        return connection.get_server_version().major
    finally:
        await connection.close()


async def calls(looker):
    """Calls by text; reads the texts first."""
    await looker.look()
    table = await looker.texts() or await looker.look()
    found = Counter()
    for row in table.rows:
        found[row.query] += row.calls
    return found


@pytest.mark.parametrize("pooled", [False, True])
async def test_what_was_executed_is_what_is_counted(victim, looker, pooled):
    one = looker(victim)
    one.server.pooled = pooled
    await one.look()
    connection = await victim.connect(statement_cache_size=0)
    for i in range(37):
        await connection.fetch(COUNTED, i)
        await connection.fetch("SELECT generate_series(1, $1::int)", 3)
    found = await calls(one)
    table = await one.look()
    await connection.close()
    assert found[KNOWN_AS] == 37
    assert found["SELECT generate_series($2, $1::int)"] == 37
    series = next(row for row in table.rows if row.query.startswith("SELECT generate_series"))
    assert series.rows == 111
    assert series.exec_s == pytest.approx(series.mean_s * 37)
    assert series.max_s >= series.mean_s
    assert (series.user, series.database, series.new, series.toplevel) == ("postgres", "postgres", True, True)
    assert sum(row.share for row in table.rows) == pytest.approx(1.0)
    assert not any("perfconsole" in row.query or "pg_stat_statements" in row.query for row in table.rows)


async def test_a_first_look_shows_no_rates_and_the_next_tick_only_what_ran(victim, looker):
    await victim.execute("SELECT 1", "SELECT 1")
    one = looker(victim).window("tick")
    first = await one.look()
    assert (first.rows, isnan(first.window_s)) == ([], True)
    assert first.total > 0
    assert not one.measured
    await victim.execute("SELECT 1")
    second = await one.look()
    assert second.window_s > 0
    assert any(row.calls == 1 for row in second.rows)
    assert (await one.look()).rows == []
    reset = (await one.window("reset").statements.look([one.window("reset").view]))[0]
    assert max(row.calls for row in reset.rows) >= 3


async def test_inside_of_a_function_is_not_the_same_as_at_top_level(make_cluster, looker):
    cluster = make_cluster(**{"pg_stat_statements.track": "all"}).start()
    await cluster.execute(
        "CREATE TABLE t (i int)",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..5 LOOP DELETE FROM t; END LOOP; END $$",
    )
    one = looker(cluster)
    await one.look()
    await cluster.execute("DELETE FROM t", "DELETE FROM t", "SELECT f()")
    await one.look()
    table = await one.texts()
    found = {row.toplevel: row.calls for row in table.rows if row.query == "DELETE FROM t"}
    assert found == ({True: 2, False: 5} if await version(cluster) >= 14 else {True: 7})


async def test_resets_lose_nothing_that_was_seen_and_double_nothing(victim, looker):
    one = looker(victim)
    connection = await victim.connect(statement_cache_size=0)
    await connection.fetch(COUNTED, 1)
    await one.look()
    for i in range(10):
        await connection.fetch(COUNTED, i)
    await one.look()
    await connection.execute("SELECT pg_stat_statements_reset()")
    for i in range(4):
        await connection.fetch(COUNTED, i)
    await one.look()
    await connection.execute("SELECT pg_stat_statements_reset(0, 0, queryid) FROM pg_stat_statements WHERE query LIKE 'SELECT count%'")
    for i in range(3):
        await connection.fetch(COUNTED, i)
    found = await calls(one)
    await connection.close()
    assert found[KNOWN_AS] == 17


async def test_an_eviction_storm_is_named_and_counts_no_more_than_was_executed(make_cluster, looker):
    cluster = make_cluster(**{"pg_stat_statements.max": "100"}).start()
    one = looker(cluster)
    await one.look()
    connection = await cluster.connect(statement_cache_size=0)
    for round_ in range(4):
        for i in range(90):
            columns = ", ".join(f"{i}::int AS c{n}" for n in range(1 + i % 45))
            await connection.fetch(f"SELECT {columns}" + (" WHERE true" if i >= 45 else ""))
            await connection.fetch(COUNTED, i)
        table = await one.look()
        await connection.execute(f"SET search_path = s{round_}") if round_ < 2 else None
    await connection.execute("DO $$ BEGIN FOR i IN 1..200 LOOP EXECUTE 'CREATE TEMP TABLE x' || i || ' (i int)'; END LOOP; END $$")
    for i in range(200):
        await connection.fetch(f"SELECT i FROM x{i + 1}")
    table = await one.look()
    mine = [row for row in table.rows if row.user == "postgres"]
    await connection.close()
    assert sum(row.calls for row in mine) <= 4 * 180 + 200 + 10
    assert max(row.calls for row in mine) == 360
    assert "ALTER SYSTEM SET pg_stat_statements.max = 10000" in table.notes[0]
    assert table.total <= 100


async def test_after_a_crash_restart_counts_begin_anew_and_are_added(victim, looker):
    one = looker(victim)
    await one.look()
    connection = await victim.connect(statement_cache_size=0)
    for i in range(5):
        await connection.fetch(COUNTED, i)
    await one.look()
    other = await victim.connect()
    os.kill(connection.get_server_pid(), signal.SIGKILL)
    while not other.is_closed():  # noqa: ASYNC110  the server ends the others as well, once it has seen it
        await asyncio.sleep(0.01)
    victim.wait()
    with contextlib.suppress(Exception):
        await connection.close(timeout=1)
    connection = await victim.connect(statement_cache_size=0)
    for i in range(2):
        await connection.fetch(COUNTED, i)
    for _ in range(600):
        with contextlib.suppress(Exception):
            table = await one.look()
            if table.rows:
                break
        await asyncio.sleep(0.1)
    found = await calls(one)
    await connection.close()
    assert found[KNOWN_AS] == (7 if await version(victim) >= 14 else found[KNOWN_AS])
    assert 5 <= found[KNOWN_AS] <= 7


async def test_a_statement_that_always_times_out_is_seen_while_it_runs_without_what_it_says(victim, looker):
    if await version(victim) < 14:
        pytest.skip("pg_stat_activity has no query_id")
    await victim.execute("ALTER SYSTEM SET compute_query_id = on", "SELECT pg_reload_conf()")
    one = looker(victim).window("tick")
    await one.look()
    connection = await victim.connect(statement_cache_size=0)
    await connection.execute("SET statement_timeout = '100s'")
    running = asyncio.create_task(connection.execute("SELECT pg_sleep(300), 'secret of  Anna' AS \"col 1\" -- why 42"))
    for _ in range(200):
        await asyncio.sleep(0.1)
        table = await one.look()
        if (rows := [row for row in table.rows if row.in_flight]) and rows[0].longest_s > 0.3:
            break
    (row,) = rows
    assert (row.calls, row.in_flight) == (0, 1)
    assert 0 < row.load <= 1  # it never ends, and is load all the same
    assert table.load == pytest.approx(sum(row.load for row in table.rows))
    assert 0.3 < row.longest_s < 100
    assert row.query == 'SELECT pg_sleep(?), ? AS "col 1"'
    load = one.measured["load:orders"]
    ages = [value for series, value in zip(load.series, load.values, strict=True) if series.name == "postgresql.statement.longest"]
    assert 0.3 < max(ages) < 100
    running.cancel()
    connection.terminate()
    with contextlib.suppress(BaseException):
        await running


async def test_a_long_first_execution_counts_when_it_ends(victim, looker):
    """Its entry is made when it begins (stats_since, 17), and shown when it ends."""
    one = looker(victim)
    await one.look()
    connection = await victim.connect(statement_cache_size=0)
    running = asyncio.create_task(connection.fetch("SELECT pg_sleep($1::float8)", 0.6))
    await asyncio.sleep(0.2)
    await one.look()
    await running
    await connection.close()
    table = await one.look()
    assert max(row.exec_s for row in table.rows) > 0.55


async def test_hidden_statements_are_counted_and_said_and_a_grant_is_no_burst_of_load(victim, looker):
    await victim.execute(*["SELECT 1"] * 50)
    one = looker(victim, "plain")
    await one.look()
    await victim.execute("SELECT 1")
    table = await one.look()
    assert table.hidden > 0
    assert any('GRANT pg_monitor TO "plain"' in note for note in table.notes)
    assert not any(row.user == "postgres" for row in table.rows)
    await victim.execute("GRANT pg_monitor TO plain")
    table = await one.look()
    assert (table.hidden, table.notes) == (0, ())
    assert sum(row.calls for row in table.rows if row.user == "postgres") <= 5
    await victim.execute(*["SELECT 1"] * 3)
    assert (await calls(one))["SELECT $1"] == 3


async def test_each_way_to_have_no_statements_says_what_mends_it_and_heals(make_cluster, looker):
    cluster = make_cluster().start()
    await cluster.execute("CREATE DATABASE other")
    one = looker(cluster, database="other")
    table = await one.look()
    assert re.search(r'not in database "other": CREATE EXTENSION pg_stat_statements', table.notes[0])
    await cluster.execute("CREATE EXTENSION pg_stat_statements", database="other")
    assert (await one.look()).notes == ()
    await cluster.execute("DROP EXTENSION pg_stat_statements", database="other")
    assert "cannot be read" in (await one.look()).notes[0]
    assert "CREATE EXTENSION" in (await one.look()).notes[0]
    await cluster.execute('CREATE SCHEMA "we ird"', 'CREATE EXTENSION pg_stat_statements SCHEMA "we ird"', database="other")
    assert 'GRANT USAGE ON SCHEMA "we ird" TO "monitor"' in (await one.look()).notes[0]
    await cluster.execute('GRANT USAGE ON SCHEMA "we ird" TO monitor', database="other")
    assert (await one.look()).notes == ()


async def test_created_but_not_preloaded_is_said_beside_what_is_preloaded(make_cluster, looker):
    cluster = make_cluster(shared_preload_libraries="auto_explain").start()
    table = await looker(cluster).look()
    assert "created but not preloaded" in table.notes[0]
    assert "shared_preload_libraries = 'auto_explain', 'pg_stat_statements'" in table.notes[0]
    await cluster.execute("DROP EXTENSION pg_stat_statements")
    table = await looker(cluster, "plain").look()
    assert "not installed: ALTER SYSTEM" in table.notes[0]
    assert "(beside what is there)" in table.notes[0]


async def test_an_extension_left_behind_by_an_upgrade_is_read_and_merged_and_healed_by_its_update(make_cluster, looker):
    cluster = make_cluster(**{"pg_stat_statements.track": "all"}).start()
    if await version(cluster) < 14:
        pytest.skip("no older extension to be left behind")
    await cluster.execute("DROP EXTENSION pg_stat_statements", "CREATE EXTENSION pg_stat_statements VERSION '1.8'")
    await cluster.execute("CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t; END $$", "CREATE TABLE t (i int)")
    await cluster.execute("DELETE FROM t", "SELECT f()")
    one = looker(cluster)
    table = await one.look()
    assert any("ALTER EXTENSION pg_stat_statements UPDATE" in note for note in table.notes)
    assert isnan(table.dealloc)
    await cluster.execute("DELETE FROM t", "SELECT f()")
    assert (await calls(one))["DELETE FROM t"] == 2
    await cluster.execute("ALTER EXTENSION pg_stat_statements UPDATE")
    one.statements._found_at = -1000.0
    await one.look()
    table = await one.look()
    assert table.notes == ()
    assert not isnan(table.dealloc)


async def test_without_a_view_nothing_is_asked_and_a_recorder_asks_every_half_minute(victim, looker):
    one = looker(victim)
    for view in ((), [View("session", "orders")], [View("statement", "elsewhere", window="tick")]):
        assert (await one.statements.run(Slot(1.0, 1.0, 5.0), view)) == ((), (), (), ())
    assert not one.server.connected
    one.view = View("statement", "", "load", limit=40)
    for _ in range(70):
        await one.look(1.0)
    connection = await victim.connect()
    looks = await connection.fetchval("SELECT calls FROM pg_stat_statements WHERE query LIKE '%perfconsole%pg_postmaster_start_time%'")
    await connection.close()
    assert looks == 4  # at once, a second later, and two half minutes after that
    one.window("tick")
    assert await one.look(6.0) is not None


async def test_texts_are_read_once_for_what_is_on_the_screen_and_never_twice_in_ten_seconds(victim, looker):
    one = looker(victim)
    await one.look()
    await victim.execute('SELECT 1 -- first\n, 2 AS "a\x1b[2J"', "SELECT 3, 4, 5", "SELECT '\u202eevil'")
    table = await one.look()
    only = next(row for row in table.rows if row.user == "postgres")
    one.view = View("statement", "orders", "load", window="open", keys=(only.key,))
    asked = []
    plain = one.server.fetch

    async def fetch(sql, *args, **kwargs):
        asked.append(sql)
        return await plain(sql, *args, **kwargs)

    one.server.fetch = fetch
    table = await one.look(1.0)
    assert [sql for sql in asked if "(true)" in sql] == asked
    assert {row.key for row in table.rows if row.query} == {only.key}
    one.view = View("statement", "orders", "load", window="open")
    assert await one.look(1.0) is None
    one.boot += 10
    await one.look(0)
    table = await one.look(1.0)
    texts = [row.query for row in table.rows]
    assert 'SELECT $1 -- first\n, $2 AS "a\u241b[2J"' in texts
    assert all(line.isprintable() for text in texts for line in text.split("\n"))
    assert len([sql for sql in asked if "(true)" in sql]) == 2


async def test_the_heaviest_have_series_of_their_own(victim, looker):
    one = looker(victim)
    await one.look()
    await victim.execute("SELECT count(*) FROM generate_series(1, 100000)", "SELECT 1")
    await one.look()
    spent, heaviest = one.measured["load:orders"], one.measured["statements:orders"]
    by = {(definition.name, definition.labels): value for definition, value in zip(spent.series, spent.values, strict=True)}
    total = by["postgresql.statement.load", (("server", "orders"),)]
    assert total == pytest.approx(by["postgresql.statement.load", (("database", "postgres"), ("server", "orders"))])
    assert total == pytest.approx(sum(heaviest.values[::2]))
    assert [name for name, _ in heaviest.series[0].labels] == ["database", "queryid", "server", "user"]
    series = heaviest.series
    await one.look()
    assert one.measured["statements:orders"].series is series
    assert one.measured["statements:orders"].values[::2] == [0.0] * (len(series) // 2)


async def test_a_lost_connection_is_the_connections_fault(victim, looker):
    one = looker(victim)
    await one.look()
    victim.stop(signal.SIGQUIT)
    with pytest.raises(Exception, match=r"down|lost|ended|refused"):
        await one.look()
    victim.start()


@pytest.mark.slow
async def test_what_five_thousand_statements_cost(make_cluster, looker):
    cluster = make_cluster(**{"pg_stat_statements.max": "6000"}).start()
    connection = await cluster.connect(statement_cache_size=0)
    await connection.execute(f"CREATE TABLE t ({', '.join(f'c{n} int' for n in range(13))})")
    for first in range(1, 5001, 100):
        await connection.execute(
            ";".join(
                f"SELECT {', '.join(f'c{n}' for n in range(13) if i >> n & 1)} FROM t /*{'x' * 400}*/ WHERE c0 = 1"
                for i in range(first, first + 100)
            )
        )
    one = looker(cluster).window("1m")
    for i in range(6):
        await connection.execute(
            ";".join(
                f"SELECT {', '.join(f'c{n}' for n in range(13) if i >> n & 1)} FROM t /*{'x' * 400}*/ WHERE c0 = 1" for i in range(1, 501)
            )
        )
        table = await one.look()
    assert table.total >= 5000
    assert len(table.rows) == MOST
    row = await connection.fetchrow(
        "SELECT calls, mean_exec_time, temp_blks_written FROM pg_stat_statements WHERE query LIKE '%perfconsole%pg_postmaster_start_time%'"
    )
    await connection.close()
    print(f"\nserver {row['mean_exec_time']:.1f} ms a look, {row['temp_blks_written']} temp blocks")
    assert row["calls"] == 6
    assert row["temp_blks_written"] == 0


async def test_two_readers_look_at_two_windows_at_once_and_each_has_its_own(victim, looker):
    """A local console and a remote one: the engine asks for the union of what they watch."""
    one = looker(victim)
    views = [View("statement", "orders", window="tick"), View("statement", "", window="open"), View("statement", "orders", window="mark")]

    async def look(step_s=6.0):
        one.boot += step_s
        result = await one.statements.run(Slot(one.boot, one.boot, one.boot + 5), views)
        return {table.window: table for table in result.tables}

    assert not await one.statements.mark()
    await look()
    await victim.execute("SELECT 1", "SELECT 1")
    await look()
    assert await one.statements.mark()
    await victim.execute("SELECT 1")
    await look()
    tables = await look()
    assert list(tables) == ["tick", "open", "mark"]
    calls = {window: max((row.calls for row in table.rows), default=0) for window, table in tables.items()}
    assert calls == {"tick": 0, "open": 3, "mark": 1}
    assert tables["open"].since < tables["mark"].since < tables["tick"].since
    assert tables["open"].load == pytest.approx(sum(row.load for row in tables["open"].rows))
    assert {table.window for table in await one.statements.look(views[:1])} == {"tick"}


async def test_without_a_mark_its_window_says_so(victim, looker):
    one = looker(victim).window("mark")
    await one.look()
    table = await one.look()
    assert table.window == "mark"
    assert table.notes[0].startswith("no mark is set")


async def test_an_interval_that_is_stretched_is_doubled_so_that_a_history_keeps_its_own(victim, looker):
    one = looker(victim)
    watched, unwatched = [one.view], [View("statement", "orders")]
    intervals = []
    for cost_s in (0.0, 0.04, 0.051, 0.06, 0.099, 0.11, 0.5, 9.0):
        one.statements._costs_s = (cost_s, cost_s)
        intervals.append(one.statements._interval_s(watched))
    assert intervals == [5.0, 5.0, 10.0, 10.0, 10.0, 20.0, 60.0, 60.0]
    one.statements._costs_s = (0.0, 0.0)
    assert one.statements._interval_s(unwatched) == 30.0


@pytest.mark.parametrize("theirs_is_gone", [False, True])
async def test_what_was_planned_as_the_role_that_runs_it_is_still_the_applications(make_cluster, looker, theirs_is_gone):
    """Where nested statements are tracked, a plan leaves an entry of the same id with the text of our PREPARE."""
    cluster = make_cluster(**{"pg_stat_statements.track": "all"}).start()
    one = looker(cluster)
    connection = await cluster.connect(user="monitor", statement_cache_size=0)
    sql = "SELECT count(*) FROM pg_class WHERE relname = $1"
    subjects = Subjects(Asides(cluster.settings_of("postgres", "monitor")))
    try:
        await connection.fetchval(sql, "one")
        known = "SELECT userid, dbid, queryid FROM pg_stat_statements WHERE query = $1"
        statement = StatementArgs("orders", *await connection.fetchrow(known, sql), True)
        await one.look()
        await explain(subjects, ExplainArgs(statement, "analyze", ("two",)))
        if theirs_is_gone:
            await cluster.execute(f"SELECT pg_stat_statements_reset({statement.userid}, {statement.dbid}, {statement.queryid})")
            await explain(subjects, ExplainArgs(statement, "analyze", ("two",)))
        await connection.fetchval(sql, "three")
        entries = await connection.fetch("SELECT query FROM pg_stat_statements WHERE queryid = $1", statement.queryid)
        await one.look()
        await one.texts()
        found = [(row.toplevel, row.calls, row.query) for row in (await one.look()).rows if row.queryid == statement.queryid]
    finally:
        subjects.asides.close()
        await connection.close()
    told_apart = await version(cluster) >= 14  # before, a nested call and one of the application share an entry
    assert len(entries) == 1 + told_apart
    assert [(toplevel, text) for toplevel, _, text in found] == [(True, sql)]
    assert found[0][1] == 1 or not told_apart


async def test_a_session_of_ours_that_plans_a_statement_does_not_make_it_ours(victim, looker):
    """Of a PREPARE the server may tell the id of what is prepared."""
    one = looker(victim)
    sql = "SELECT count(*) FROM pg_class WHERE relname = $1"
    theirs = await victim.connect(user="monitor", statement_cache_size=0)
    ours = await victim.connect(user="monitor", statement_cache_size=0, server_settings={"application_name": "perfconsole"})
    try:
        await one.look()
        await theirs.fetchval(sql, "one")
        await ours.execute(f"PREPARE /* perfconsole */ perfconsole_plan AS {sql}")
        await one.look()
        await one.texts()
        shown = [row.query for row in (await one.look()).rows]
    finally:
        await theirs.close()
        await ours.close()
    assert sql in shown
