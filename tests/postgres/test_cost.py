"""What looking costs the server, by its own account, and the console: counts and temporary blocks are judged, times are told."""

import asyncio
import gc
import os
import time
from pathlib import Path

import pytest

from perfconsole.collectors.postgres import PostgresCollector
from perfconsole.core.ports import Slot
from perfconsole.core.tables import View

pytestmark = pytest.mark.slow

FILL = """
DO $$ BEGIN FOR i IN 1..{entries} LOOP
    EXECUTE (SELECT 'SELECT ' || string_agg('c' || n, ',') || ' FROM t /*' || repeat('x', {padding}) || '*/ LIMIT 0'
             FROM generate_series(0, 15) n WHERE (i >> n) & 1 = 1);
END LOOP; END $$
"""
BEATS = 30
INTERVAL_S = 5.0
OWN = """
SELECT sum(calls)::int AS calls, sum(total_exec_time) AS ms, sum(temp_blks_written)::int AS temp
FROM pg_stat_statements WHERE query LIKE '%/* perfconsole */%'
"""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


async def stalls(longest):
    """The longest time that the loop was held."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        longest.append(time.perf_counter() - before)


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


class Run:
    """A collector through so many beats, by a clock of its own."""

    def __init__(self, cluster):
        self.collector = PostgresCollector([cluster.settings_of(user="monitor", interval_s=INTERVAL_S)])
        self.server = self.collector._targets["orders"].server
        self.asked, self.boot = 0, 1000.0
        plain = self.server.fetch

        async def fetch(*args, **kwargs):
            self.asked += 1
            return await plain(*args, **kwargs)

        self.server.fetch = fetch

    async def beats(self, count, *views):
        """Run once a second of that clock; statements asked in each, and what texts there are."""
        asked, tables = [], []
        for _ in range(count):
            before, self.boot = self.asked, self.boot + 1.0
            result = await self.collector.run("orders", Slot(self.boot, self.boot, self.boot + 5), views)
            while self.collector._targets["orders"].asking is not None:  # late: the next run has it
                result = await self.collector.run("orders", Slot(self.boot, self.boot, self.boot + 5), views)
            tables += result.tables
            asked.append(self.asked - before)
        return asked, tables


@pytest.mark.parametrize(("entries", "padding"), [(5_000, 600), (50_000, 60), (5_000, 20_000)], ids=["5k", "50k", "100 MB of texts"])
async def test_what_looking_costs(make_cluster, tell, request, entries, padding):
    cluster = make_cluster(**{"pg_stat_statements.max": str(entries + 1000), "pg_stat_statements.track": "all"}).start()
    await cluster.execute(f"CREATE TABLE t ({', '.join(f'c{n} int' for n in range(16))})", FILL.format(entries=entries, padding=padding))
    run = Run(cluster)
    connection = await cluster.connect(statement_cache_size=0)
    try:
        unwatched, _ = await run.beats(int(2 * INTERVAL_S))
        pid = await connection.fetchval("SELECT pid FROM pg_stat_activity WHERE application_name = 'perfconsole'")
        watched = (View("statement", "orders", "load", window="1m"), View("session", "orders"))
        await run.beats(3, *watched)
        gc.collect()
        gc.freeze()  # what the tests hold is no burden of the console's
        before, spent, used, longest = await connection.fetchrow(OWN), cpu_s(pid), time.process_time(), []
        ticker = asyncio.create_task(stalls(longest))
        asked, tables = [], []
        for _ in range(BEATS // int(INTERVAL_S)):
            await connection.execute(FILL.format(entries=entries // 50, padding=padding))
            more, found = await run.beats(int(INTERVAL_S), *watched)
            asked, tables = asked + more, tables + found
        ticker.cancel()
        used, spent = time.process_time() - used, cpu_s(pid) - spent
        after = await connection.fetchrow(OWN)
    finally:
        gc.unfreeze()
        await connection.close()
        run.collector.close()
        await asyncio.sleep(0)
    looks = BEATS / INTERVAL_S
    name = f"PostgreSQL, {request.node.callspec.id}"
    each_ms, own_ms, stall_ms = (figure * 1e3 for figure in (spent / looks, used / looks, max(longest)))
    tell(f"{name}: CPU of its backend in 5 s, all looked at", f"{each_ms:.0f} ms", "10 ms a look at 5k")
    tell(f"{name}: CPU of the console likewise, longest stall", f"{own_ms:.0f} ms, {stall_ms:.0f} ms", "15 ms at 5k, 50 ms")
    tell(f"{name}: statements in 2 s, temporary blocks", f"{sum(asked) / BEATS * 2:.1f}, {after['temp'] - before['temp']}", "5, 0")
    assert max(unwatched) <= 4
    assert sum(asked) / BEATS * 2 <= 5
    if padding < 1000:  # 100 MB of texts are read through files, at most every ten seconds, for what is on a screen
        assert after["temp"] == before["temp"]
    assert any(getattr(table, "total", 0) >= entries for table in tables)
