"""Over a window, the sums are what the load generator did: calls, rows, time, blocks, WAL, whatever happens to the server's counters.

Calls and rows are counted by the generator itself. Time, blocks and WAL only the server knows: they are read from pg_stat_statements
around each stretch of load, and added up here in the simplest way there is.
"""

import asyncio
import contextlib
import os
import re
import signal

import pytest

LOAD = {
    "point": "SELECT /* load:point */ i FROM load WHERE i = {i}",
    "range": "SELECT /* load:range */ i FROM load WHERE i BETWEEN 100 AND 109 + {i} * 0",
    "sort": "SELECT /* load:sort */ i FROM load ORDER BY filler || {i}::text OFFSET 2995",
    "insert": "INSERT /* load:insert */ INTO grown SELECT generate_series(1, 7), {i}",
    "update": "UPDATE /* load:update */ load SET filler = filler WHERE i BETWEEN 1 AND 3 + {i} * 0",
}
ROWS = {"point": 1, "range": 10, "sort": 5, "insert": 7, "update": 3}
COUNTED = ("exec_ms", "hit", "read", "temp", "wal")
COUNTERS = """
SELECT queryid, substring(query FROM 'load:(\\w+)') AS name, total_exec_time AS exec_ms, calls,
       shared_blks_hit AS hit, shared_blks_read AS read, temp_blks_written AS temp, wal_bytes::float8 AS wal
FROM pg_stat_statements WHERE query LIKE '%load:%' AND query NOT LIKE '%load:(%'
      AND userid = (SELECT oid FROM pg_roles WHERE rolname = $1)
"""


class Generator:
    """A load that is known exactly."""

    def __init__(self, cluster, user="postgres", port=None):
        self.cluster, self.user, self.port = cluster, user, port
        self.calls = dict.fromkeys(LOAD, 0)
        self.sums = {name: dict.fromkeys(COUNTED, 0.0) for name in LOAD}
        self.connection = self.reader = None

    async def start(self):
        """Connect, anew where a connection is left."""
        await self.stop()
        import asyncpg

        dsn = self.cluster.dsn("postgres", self.user, self.port)
        self.connection = await asyncpg.connect(dsn, statement_cache_size=0, timeout=60)
        self.reader = await self.cluster.connect(statement_cache_size=0)

    async def stop(self):
        for connection in (self.connection, self.reader):
            if connection is not None:
                with contextlib.suppress(Exception):
                    await connection.close(timeout=1)
        self.connection = self.reader = None

    async def counters(self):
        return {row["name"]: dict(row) for row in await self.reader.fetch(COUNTERS, self.user)}

    async def run(self, times, names=tuple(LOAD)):
        """A stretch of load; nothing may be reset within it."""
        before = await self.counters()
        for i in range(times):
            for name in names:
                async with self.connection.transaction():
                    if name == "sort":
                        await self.connection.execute("SET LOCAL work_mem = '64kB'")
                    await self.connection.execute(LOAD[name].format(i=i))
                self.calls[name] += 1
        after = await self.counters()
        for name in names:
            for field in COUNTED:
                self.sums[name][field] += float(after[name][field]) - float(before.get(name, {field: 0})[field])


@pytest.fixture
async def generator():
    made = []

    def make(*args, **kwargs):
        made.append(Generator(*args, **kwargs))
        return made[-1]

    yield make
    for one in made:
        await one.stop()


async def prepared(cluster, generator, **kwargs):
    await cluster.execute(
        "CREATE TABLE load AS SELECT i, repeat('x', 300) AS filler FROM generate_series(0, 2999) i",
        "CREATE INDEX ON load (i)",
        "CREATE TABLE grown (i int, n int)",
        "GRANT ALL ON load, grown TO PUBLIC",
        "VACUUM ANALYZE load",
        "CHECKPOINT",  # a crash loses what was not yet written
        "SELECT pg_stat_statements_reset()",
    )
    load = generator(cluster, **kwargs)
    await load.start()
    return load


async def version(cluster):
    connection = await cluster.connect()
    try:
        return connection.get_server_version().major
    finally:
        await connection.close()


async def look(one):
    """Look, as often as a server that comes back lets wait for."""
    for _ in range(100):
        with contextlib.suppress(Exception):
            one.server._retry_at = 0.0
            return await one.look()
        await asyncio.sleep(0.1)
    raise AssertionError("no look")


async def told(one):
    """The rows of the load, by name; texts read first."""
    await look(one)
    await one.texts()
    table = await look(one)
    found = {}
    for row in table.rows:
        if name := re.search(r"load:(\w+)", row.query):
            assert name[1] not in found, "one statement, two rows"
            found[name[1]] = row
    return table, found


def exact(found, load, names=tuple(LOAD)):
    for name in names:
        row, sums = found[name], load.sums[name]
        assert (name, row.calls) == (name, load.calls[name])
        assert (name, row.rows) == (name, load.calls[name] * ROWS[name])
        assert (name, row.exec_s) == (name, pytest.approx(sums["exec_ms"] / 1e3, rel=1e-6))
        assert (name, row.shared_hit, row.shared_read, row.temp_written, row.wal_bytes) == (
            name, sums["hit"], sums["read"], sums["temp"], sums["wal"],
        )  # fmt: skip
        assert row.mean_s == pytest.approx(row.exec_s / row.calls)


# What may happen in the middle ---------------------------------------------------------------------------------------------------------


async def nothing(cluster, load):
    pass


async def a_reset(cluster, load):
    await load.reader.execute("SELECT pg_stat_statements_reset()")


async def a_reset_of_some_entries(cluster, load):
    for name, row in (await load.counters()).items():
        if name in {"point", "sort"}:
            await load.reader.execute(f"SELECT pg_stat_statements_reset(0, 0, {row['queryid']})")


async def a_crash(cluster, load):
    os.kill(load.connection.get_server_pid(), signal.SIGKILL)
    while not load.reader.is_closed():  # noqa: ASYNC110  the server ends the others as well, once it has seen it
        await asyncio.sleep(0.01)
    cluster.wait()
    await load.start()


async def an_immediate_restart(cluster, load):
    cluster.stop(signal.SIGQUIT)
    cluster.start()
    await load.start()


async def a_restart(cluster, load):
    cluster.stop()
    cluster.start()
    await load.start()


@pytest.mark.parametrize("event", [nothing, a_reset, a_reset_of_some_entries, a_crash, an_immediate_restart, a_restart])
async def test_sums_are_what_was_done(victim, looker, generator, event):
    load = await prepared(victim, generator)
    one = looker(victim)
    await load.run(2)  # before anybody looks: no part of the window
    load.calls, load.sums = dict.fromkeys(LOAD, 0), {name: dict.fromkeys(COUNTED, 0.0) for name in LOAD}
    await one.look()
    await load.run(9)
    await one.look()
    await load.run(4)
    await one.look()
    await event(victim, load)
    await load.run(3)
    await look(one)
    await load.run(1)
    table, found = await told(one)
    exact(found, load)
    assert sum(row.share for row in table.rows) == pytest.approx(1.0)
    assert not any("perfconsole" in row.query for row in table.rows)


async def test_through_a_pooler(victim, looker, generator, pooler):
    port = pooler(cluster=victim)
    load = await prepared(victim, generator, port=port)
    one = looker(victim, port=port)
    await one.look()
    assert one.server.pooled
    await load.run(5)
    await one.look()
    await load.run(3)
    _, found = await told(one)
    exact(found, load)


async def test_what_is_evicted_was_counted_before_and_what_comes_back_is_counted_whole(make_cluster, looker, generator):
    cluster = make_cluster(**{"pg_stat_statements.max": "100"}).start()
    load = await prepared(cluster, generator)
    await load.reader.execute("DO $$ BEGIN FOR i IN 1..300 LOOP EXECUTE 'CREATE TABLE x' || i || ' (i int)'; END LOOP; END $$")
    one = looker(cluster)
    await one.look()
    await load.run(6)
    await one.look()
    connection = await cluster.connect(statement_cache_size=0)
    for i in range(300):
        for _ in range(8):  # often enough to be kept in place of the load
            await connection.fetch(f"SELECT i FROM x{i + 1}")
    await connection.close()
    assert len(await load.counters()) < len(LOAD), "nothing was evicted"
    assert "too small" in (await one.look()).notes[0]
    # Room again, or what comes back would push itself out.
    await load.reader.execute("SELECT pg_stat_statements_reset(0, 0, queryid) FROM pg_stat_statements WHERE query LIKE 'SELECT i FROM x%'")
    await load.run(1)
    await look(one)
    _, found = await told(one)
    exact(found, load)


async def test_of_hidden_statements_none_is_guessed_and_ones_own_are_exact(victim, looker, generator):
    mine, others = await prepared(victim, generator, user="plain"), generator(victim)
    await others.start()
    one = looker(victim, "plain")
    await one.look()
    await mine.run(3)
    await others.run(2)
    table, found = await told(one)
    exact(found, mine)
    assert table.hidden >= len(LOAD)
    await victim.execute("GRANT pg_monitor TO plain")
    await one.look()
    others.calls, others.sums = dict.fromkeys(LOAD, 0), {name: dict.fromkeys(COUNTED, 0.0) for name in LOAD}
    await others.run(2)
    await mine.run(2)
    await one.look()
    await one.texts()
    table = await one.look()
    for user, load in (("plain", mine), ("postgres", others)):
        exact({name: row for row in table.rows if row.user == user for name in re.findall(r"load:(\w+)", row.query)}, load)


async def test_across_an_update_of_the_extension(victim, looker, generator):
    if await version(victim) < 14:
        pytest.skip("no older extension to be updated")
    await victim.execute("DROP EXTENSION pg_stat_statements", "CREATE EXTENSION pg_stat_statements VERSION '1.8'")
    load = await prepared(victim, generator)
    one = looker(victim)
    await one.look()
    await load.run(4)
    await one.look()
    await victim.execute("ALTER EXTENSION pg_stat_statements UPDATE")
    await load.run(2)
    await look(one)  # the columns are not as they were
    one.statements._found_at = -1000.0
    await load.run(1)
    _, found = await told(one)
    exact(found, load)


async def test_our_own_statements_are_in_no_row_whoever_asks_them(victim, looker):
    """Also those of health and sessions, those of a console that was here before, and those of one that is connected as the application."""
    from perfconsole.collectors.postgres.health import ServerHealth
    from perfconsole.collectors.postgres.sessions import Sessions
    from perfconsole.core.globs import Globs

    for user in ("monitor", "postgres"):
        for _ in range(2):
            one = looker(victim, user)
            health, sessions = ServerHealth(one.server, Globs(())), Sessions(one.server)
            for _ in range(4):
                await health.measure(1.0)
                await sessions.measure(1.0)
                await one.look()
                await one.texts()
            await victim.execute("SELECT 'theirs'")
            for window in ("open", "reset", "1m"):
                table = await one.window(window).look()
                connection = await victim.connect()
                ours = {row[0] for row in await connection.fetch("SELECT queryid FROM pg_stat_statements WHERE query LIKE '%perfconsole%'")}
                await connection.close()
                assert len(ours) > 6
                assert not [row.query for row in table.rows if row.queryid in ours], (user, window)
                assert any(row.user == "postgres" for row in table.rows)
