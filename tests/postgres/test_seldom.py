"""Temporary files that exist now, and evictions from pg_stat_statements: against the disk, and against the server's own count."""

import asyncio
from math import isnan

import pytest

from perfconsole.collectors.postgres import PostgresCollector
from perfconsole.collectors.postgres.faults import QUERY, SILENT, ServerError
from perfconsole.collectors.postgres.seldom import AGAIN_S, EVICTIONS_S, TEMP_S, Seldom
from perfconsole.core.ports import Slot

TEMP, EVICTIONS = "postgresql.temp.live", "postgresql.statements.evictions"
SORTED = "DECLARE c CURSOR FOR SELECT i, repeat('x', 100) FROM generate_series(1, 50000) i ORDER BY i DESC"


class Looks:
    """Looks by a clock of the test's own."""

    def __init__(self, server):
        self.server, self.seldom, self.boot = server, Seldom(server), 1000.0
        self.health, self.asked = [], []
        plain = server.fetch

        async def fetch(sql, *args, **kwargs):
            self.asked.append(sql)
            return await plain(sql, *args, **kwargs)

        server.fetch = fetch

    async def __call__(self, step_s=TEMP_S):
        """The values by name, of what was due."""
        self.boot += step_s
        measured, self.health = await self.seldom.look(self.boot + 5e8, self.boot)
        return {one.series[0].name: one.values[0] for one in measured}


@pytest.fixture
def looks(serve):
    return lambda settings: Looks(serve(settings))


def on_disk(cluster):
    """What lies in directories for temporary files; what parallel workers share is left out, as the server leaves it out."""
    return sum(path.stat().st_size for path in cluster.directory.rglob("pgsql_tmp/*") if path.is_file())


@pytest.fixture
async def sorting(victim):
    """A session of few means."""
    connection = await victim.connect()
    await connection.execute("SET work_mem = '64kB'")
    await connection.execute("SET max_parallel_workers_per_gather = 0")
    yield connection
    await connection.close()


async def version(cluster):
    connection = await cluster.connect()
    try:
        return connection.get_server_version().major
    finally:
        await connection.close()


# Temporary files ------------------------------------------------------------------------------------------------------------------------


async def test_what_a_sort_has_on_disk_is_known_while_it_is_there(victim, looks, sorting):
    look = looks(victim.settings_of(user="monitor"))
    assert (await look())[TEMP] == 0.0
    await sorting.execute(f"BEGIN; {SORTED}")
    await sorting.fetch("FETCH 1 FROM c")
    assert (await look())[TEMP] == on_disk(victim) > 5e6
    await sorting.execute("ROLLBACK")
    assert (await look())[TEMP] == on_disk(victim) == 0.0
    assert look.health == []


async def test_every_tablespace_counts_once(victim, looks, sorting):
    place = victim.directory / "elsewhere"
    place.mkdir()
    victim.owned(place)
    await victim.execute(f"CREATE TABLESPACE elsewhere LOCATION '{place}'")
    await sorting.execute("SET temp_tablespaces = 'elsewhere'")
    await sorting.execute(f"BEGIN; {SORTED}")
    await sorting.fetch("FETCH 1 FROM c")
    await sorting.execute("SET LOCAL temp_tablespaces = ''")
    await sorting.execute(SORTED.replace(" c ", " d "))
    await sorting.fetch("FETCH 1 FROM d")
    assert (await looks(victim.settings_of(user="monitor"))())[TEMP] == on_disk(victim) > 1e7


async def test_a_standby_tells_its_own(standby, looks):
    assert (await looks(standby.settings_of(user="monitor"))())[TEMP] == 0.0


async def test_who_may_not_list_them_is_told_the_grant_and_asks_seldom(victim, looks):
    look = looks(victim.settings_of(user="plain"))
    assert isnan((await look())[TEMP])
    (said,) = look.health
    assert (said.collector, said.target, said.state, said.fix) == ("postgres.temp", "orders", "denied", 'GRANT pg_monitor TO "plain"')
    assert said.error.startswith("temporary files unknown: permission denied")
    asked = len(look.asked)
    await look(AGAIN_S / 2)
    assert not [sql for sql in look.asked[asked:] if "pg_ls_tmpdir" in sql]
    await victim.execute('GRANT pg_monitor TO "plain"')
    assert (await look(AGAIN_S))[TEMP] == 0.0
    assert [(health.collector, health.state) for health in look.health] == [("postgres.temp", "ok")]
    await look()
    assert look.health == []


async def test_another_connection_may_do_what_the_last_one_might_not(victim, looks):
    look = looks(victim.settings_of(user="plain"))
    await look()
    await victim.execute('GRANT pg_monitor TO "plain"')
    look.server.close()
    assert (await look())[TEMP] == 0.0


async def test_ten_thousand_of_them_are_counted_and_looked_at_no_more_often_than_they_may_cost(victim, looks, tell):
    directory = victim.data / "base" / "pgsql_tmp"
    directory.mkdir(exist_ok=True)
    for i in range(10_000):
        (directory / f"pgsql_tmp{i}.0").write_bytes(b"x")
    victim.owned(directory)
    look = looks(victim.settings_of(user="monitor"))
    assert (await look())[TEMP] == 10_000.0
    tell("PostgreSQL: listing 10,000 temporary files", f"{look.seldom._took_s[1] * 1e3:.0f} ms of the server", "1 % of a core")
    assert (await look())[TEMP] == 10_000.0
    least_s = min(look.seldom._took_s)
    assert (await look(max(TEMP_S, 2.1 * least_s * 100)))[TEMP] == 10_000.0


class Slow:
    """A server whose answers take so long, or none comes."""

    name, user, version, connects = "orders", "monitor", 150000, 1

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), 0

    async def ready(self):
        pass

    async def fetch(self, sql):
        if "pg_ls_tmpdir" not in sql:
            return []
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [{"bytes": 7.0, "took": answer}]


async def test_who_takes_long_to_list_them_is_asked_seldom():
    server = Slow(0.9, 0.5, 0.7, 0.001, 9.0, 0.9)
    seldom, asked = Seldom(server), []
    for boot in range(1000, 1200, 5):
        measured, _ = await seldom.look(0.0, float(boot))
        asked += [(boot, one.interval_s) for one in measured]
    # The cheaper of the last two decides: one that happened to take long says little.
    assert asked == [(1000, TEMP_S), (1015, 60.0), (1075, 60.0), (1135, TEMP_S), (1150, TEMP_S), (1165, 120.0)]


@pytest.mark.parametrize(("code", "again_s"), [("42501", AGAIN_S), ("42883", AGAIN_S), ("0A000", AGAIN_S), ("42704", TEMP_S)])
async def test_what_is_missing_is_asked_for_seldom_and_a_tablespace_that_went_makes_no_difference(code, again_s):
    server = Slow(ServerError("no", cause=QUERY, code=code), 0.001)
    seldom = Seldom(server)
    measured, (said,) = await seldom.look(0.0, 1000.0)
    assert (isnan(measured[0].values[0]), said.error) == (True, "temporary files unknown: no")
    await seldom.look(0.0, 1000.0 + again_s - 1)
    assert server.asked == 1
    measured, (said,) = await seldom.look(0.0, 1000.0 + again_s)
    assert (measured[0].values, said.state) == ([7.0], "ok")


async def test_a_list_that_is_given_up_is_said_and_tried_again_later():
    server = Slow(ServerError("a question was given up", "it is asked again", cause=QUERY, code="57014"), 0.001, 0.001)
    seldom = Seldom(server)
    measured, (said,) = await seldom.look(0.0, 1000.0)
    assert isnan(measured[0].values[0])
    assert (said.state, said.error) == ("error", "temporary files unknown: a question was given up")
    assert 200 < measured[0].interval_s <= AGAIN_S
    await seldom.look(0.0, 1000.0 + measured[0].interval_s - 1)
    assert server.asked == 1
    measured, (said,) = await seldom.look(0.0, 1000.0 + measured[0].interval_s)
    assert (measured[0].values, said.state) == ([7.0], "ok")


async def test_a_disk_that_hangs_is_left_alone_whatever_connections_it_takes():
    server = Slow(ServerError("no answer", cause=SILENT), 0.001)
    seldom = Seldom(server)
    with pytest.raises(ServerError):
        await seldom.look(0.0, 1000.0)
    server.connects = 2
    await seldom.look(0.0, 1015.0)
    assert server.asked == 1
    await seldom.look(0.0, 1000.0 + AGAIN_S)
    assert server.asked == 2


# Evictions ------------------------------------------------------------------------------------------------------------------------------


async def shapes(connection, count=300):
    for i in range(count):
        columns = ", ".join(f"{n}::int" for n in range(1 + i % 100))
        await connection.fetch(f"SELECT {columns}" + " WHERE true" * (i % 300 >= 100) + " LIMIT 1" * (i % 300 >= 200))


async def test_a_table_that_is_too_small_evicts_and_that_is_counted(make_cluster, looks):
    cluster = make_cluster(**{"pg_stat_statements.max": "100"}).start()
    look = looks(cluster.settings_of(user="monitor"))
    first = await look()
    if await version(cluster) < 14:
        assert EVICTIONS not in first
        return
    connection = await cluster.connect(statement_cache_size=0)
    await shapes(connection)
    assert EVICTIONS not in await look()
    after = await look(EVICTIONS_S)
    assert after[EVICTIONS] == await connection.fetchval("SELECT dealloc FROM pg_stat_statements_info") > first[EVICTIONS]
    await connection.execute("SELECT pg_stat_statements_reset()")
    assert (await look(EVICTIONS_S))[EVICTIONS] <= 1.0
    assert look.health == []
    await connection.close()


@pytest.mark.parametrize("how", ["none", "old", "not preloaded", "elsewhere"])
async def test_where_it_is_not_told_nothing_is_asked_again_and_again(make_cluster, looks, how):
    cluster = make_cluster(**({"shared_preload_libraries": ""} if how == "not preloaded" else {})).start()
    if how != "not preloaded":
        await cluster.execute("DROP EXTENSION pg_stat_statements")
    if how == "old":
        await cluster.execute("CREATE EXTENSION pg_stat_statements VERSION '1.8'")
    if how == "elsewhere":
        await cluster.execute("CREATE DATABASE shop")
        await cluster.execute("CREATE EXTENSION pg_stat_statements", database="shop")
    look = looks(cluster.settings_of(user="monitor"))
    for _ in range(int(AGAIN_S / TEMP_S)):
        assert EVICTIONS not in await look()
        assert look.health == []
    others = [sql for sql in look.asked if "pg_ls_tmpdir" not in sql]
    assert len(others) <= 2
    await look()
    if how == "none" and await version(cluster) >= 14:
        await cluster.execute("CREATE EXTENSION pg_stat_statements")
        assert (await look(AGAIN_S))[EVICTIONS] >= 0.0


async def test_an_extension_that_is_dropped_leaves_it_unknown(victim, looks):
    look = looks(victim.settings_of(user="monitor"))
    asked = await victim.connect(user="postgres")
    version = asked.get_server_version().major
    await asked.close()
    if version < 14:
        pytest.skip("before extension 1.9, of PostgreSQL 14, nothing tells")
    assert EVICTIONS in await look()
    await victim.execute("DROP EXTENSION pg_stat_statements")
    assert isnan((await look(EVICTIONS_S))[EVICTIONS])
    await victim.execute('CREATE SCHEMA "my stats"', 'CREATE EXTENSION pg_stat_statements SCHEMA "my stats"')
    await victim.execute('GRANT USAGE ON SCHEMA "my stats" TO PUBLIC')
    assert (await look(AGAIN_S))[EVICTIONS] >= 0.0


# In the collector -----------------------------------------------------------------------------------------------------------------------


async def test_unwatched_the_statements_themselves_are_never_read(victim):
    collector = PostgresCollector([victim.settings_of(user="monitor")])
    names = set()
    try:
        for boot in range(10, 140):
            slot = Slot(1000.0 + boot, float(boot), boot + 5.0)
            result = await collector.run("orders", slot, ())
            while collector._targets["orders"].asking is not None:
                result = await collector.run("orders", slot, ())
            names |= {series.name for one in result.measured for series in one.series}
    finally:
        collector.close()
        await asyncio.sleep(0)
    assert {TEMP} <= names
    connection = await victim.connect()
    try:
        texts = await connection.fetch(
            "SELECT query, calls FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid WHERE rolname = 'monitor'"
        )
    finally:
        await connection.close()
    read = {row["query"]: row["calls"] for row in texts}
    assert not [text for text in read if "pg_stat_statements(" in text]
    calls = [calls for text, calls in read.items() if "pg_stat_statements_info()" in text]
    assert sum(calls) == (2 if EVICTIONS in names else 0)
    assert sum(calls for text, calls in read.items() if "pg_ls_tmpdir" in text) in {8, 9}
