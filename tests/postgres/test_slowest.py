"""A statement that began and ended between two looks: how long it took, whose it was, and as what it is told."""

import asyncio
import re
import time
from math import isnan

import pytest

from perfconsole.collectors.postgres import PostgresCollector
from perfconsole.collectors.postgres.statements import Statements, series
from perfconsole.core import words
from perfconsole.core.ports import Watch
from perfconsole.core.shipped import SHIPPED
from perfconsole.core.state import State
from perfconsole.core.tables import View
from perfconsole.core.tick import Stream
from perfconsole.engine.engine import Engine
from perfconsole.engine.local import LocalSource

SLEEP = "SELECT pg_sleep($1::float8)"


async def slowest(one, database=None, look=True):
    """What the look tells of the interval that ends with it."""
    if look:
        one.measured = {}
        await one.look()
    load = one.measured["load:orders"]
    labels = {"server": "orders"} | ({"database": database} if database else {})
    (value,) = [
        value
        for definition, value in zip(load.series, load.values, strict=True)
        if definition.name == "postgresql.statement.slowest" and dict(definition.labels) == labels
    ]
    return value


async def version(cluster):
    connection = await cluster.connect()
    try:
        return connection.get_server_version().major
    finally:
        await connection.close()


@pytest.fixture
async def shop(victim):
    connection = await victim.connect(statement_cache_size=0, server_settings={"application_name": "shop"})
    yield connection
    await connection.close()


@pytest.fixture
async def one(victim, looker):
    one = looker(victim)
    await one.look()
    return one


async def test_it_is_known_in_the_interval_in_which_it_ended_and_in_no_other(one, shop):
    await shop.fetch(SLEEP, 0.4)
    assert 0.4 <= await slowest(one) < 30
    assert await slowest(one, "postgres", look=False) == await slowest(one, look=False)
    assert await slowest(one) < 0.4
    await shop.fetch(SLEEP, 0.01)
    assert 0.01 <= await slowest(one) < 0.4


async def test_one_that_was_slower_before_hides_none_that_comes_after_it(one, shop):
    await shop.fetch(SLEEP, 0.8)
    await slowest(one)
    await shop.fetch(SLEEP, 0.5)
    for _ in range(20):
        await shop.fetch(SLEEP, 0.0)
    assert 0.4 < await slowest(one) < 0.8


async def test_what_was_slow_before_the_first_look_is_no_news(victim, looker, shop):
    await shop.fetch(SLEEP, 0.4)
    one = looker(victim)
    await one.look()
    assert await slowest(one) < 0.4
    assert not isnan(await slowest(one))


async def test_a_maximum_that_was_reset_with_its_entry_or_alone_does_not_come_again(one, shop, victim):
    await shop.fetch(SLEEP, 0.5)
    await slowest(one)
    await shop.execute("SELECT pg_stat_statements_reset(0, 0, queryid) FROM pg_stat_statements WHERE query LIKE 'SELECT pg_sleep%'")
    await shop.fetch(SLEEP, 0.1)
    assert 0.1 <= await slowest(one) < 0.5
    await shop.execute("SELECT pg_stat_statements_reset()")
    await shop.fetch(SLEEP, 0.2)
    assert 0.2 <= await slowest(one) < 0.5
    if await version(victim) < 17:
        return
    await shop.fetch(SLEEP, 0.5)
    await slowest(one)
    await shop.execute("SELECT pg_stat_statements_reset(minmax_only => true)")
    await shop.fetch(SLEEP, 0.1)
    await shop.fetch(SLEEP, 0.2)
    assert 0.2 <= await slowest(one) < 0.5


async def test_an_entry_that_was_evicted_and_comes_back_brings_no_old_maximum(make_cluster, looker):
    cluster = make_cluster(**{"pg_stat_statements.max": "100"}).start()
    one = looker(cluster)
    connection = await cluster.connect(statement_cache_size=0)
    await one.look()
    await connection.fetch(SLEEP, 0.5)
    assert await slowest(one) >= 0.5
    for look in range(3):
        for i in range(300):
            columns = ", ".join(f"{n}::int" for n in range(1 + i % 100))
            await connection.fetch(f"SELECT {columns}" + " WHERE true" * (i >= 100) + " LIMIT 1" * (i >= 200))
        if look == 1:
            await connection.fetch(SLEEP, 0.05)
        assert await slowest(one) < 0.5
    await connection.close()


async def test_what_copies_and_maintains_is_left_out_once_its_text_is_known(one, shop):
    await shop.execute("CREATE FUNCTION slow() RETURNS int LANGUAGE sql AS 'SELECT 1 FROM pg_sleep(0.3)'")
    await shop.execute("CREATE TABLE copied AS SELECT slow()")
    assert await slowest(one) >= 0.3  # its text was not read yet: what is not known excuses nothing
    await one.texts()
    await shop.execute("DROP TABLE copied")
    await shop.execute("CREATE TABLE copied AS SELECT slow()")
    assert await slowest(one) < 0.3


async def test_the_text_of_what_took_long_is_read_before_it_is_told(one, shop):
    await shop.execute("CREATE FUNCTION slow() RETURNS int LANGUAGE sql AS 'SELECT 1 FROM pg_sleep(0.7)'")
    await slowest(one)
    await shop.execute("CREATE TABLE copied AS SELECT slow()")
    assert await slowest(one) < 0.7
    await shop.fetch(SLEEP, 0.6)
    assert await slowest(one) >= 0.6


async def test_what_an_application_ran_that_is_left_out_is_left_out(victim, looker):
    if await version(victim) < 14:
        pytest.skip("pg_stat_activity has no query_id")
    one = looker(victim)
    one.statements = Statements(one.server, exclude=("batch*",))
    batch = await victim.connect(statement_cache_size=0, server_settings={"application_name": "batch-1"})
    await one.look()
    await batch.execute("SELECT 1 FROM pg_sleep(0.4)")
    assert await slowest(one) < 0.4
    shop = await victim.connect(statement_cache_size=0, server_settings={"application_name": "shop"})
    await shop.execute("SELECT 1 FROM pg_sleep(0.5)")
    assert await slowest(one) >= 0.5
    assert all(not row.in_flight for row in (await one.look()).rows)  # what idles is no statement in flight
    await batch.close()
    await shop.close()


async def test_our_own_statements_are_not_meant(one, victim):
    if await version(victim) < 14:
        pytest.skip("own statements are told by their texts, which are read seldom")
    own = await victim.connect(user="monitor", statement_cache_size=0, server_settings={"application_name": "perfconsole"})
    await own.execute("SELECT /* perfconsole */ pg_sleep(0.4)")
    assert await slowest(one) < 0.4
    await own.close()


async def test_what_ended_while_nobody_looked_is_unknown(one, shop, monkeypatch):
    await shop.fetch(SLEEP, 0.1)
    monkeypatch.setattr(series, "_NEWS_S", 0.0)
    assert isnan(await slowest(one))


def test_one_of_a_second_between_two_looks_is_an_alert_that_says_how_long_it_took(victim):
    collector = PostgresCollector([victim.settings_of(user="monitor", interval_s=1.0)])
    engine = Engine([collector], Stream("box", "s", "b", "0"), rules=SHIPPED)
    source, state = LocalSource(engine), State()
    engine.start()
    source.subscribe(lambda: None)
    source.watch(Watch((View("statement", "orders", window="tick"),)))

    def until(condition):
        deadline = time.monotonic() + 60
        while not condition():
            for tick in source.drain():
                state.apply(tick)
            assert time.monotonic() < deadline, list(state.health.values())
            time.sleep(0.02)

    def value():
        return state.value("postgresql.statement.slowest", server="orders")

    def alert():
        return next((one for one in state.alerts.values() if one.rule == "slow-query-ended-warning" and one.state == "firing"), None)

    try:
        until(lambda: not isnan(value()))
        assert alert() is None
        asyncio.run(victim.execute("SELECT pg_sleep(1.2)"))
        until(alert)
        assert 1.2 <= alert().value < 30
        assert re.fullmatch(r"slowest finished statement of orders max [\d.]+s > 1.0s over 1m \(n \d+\)", words.breach(alert(), 0.0))
    finally:
        source.close()
        engine.stop()
