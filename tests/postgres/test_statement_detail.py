"""The whole text of a statement, and its tables as the server counts them."""

import asyncio
import time
from math import isnan

import pytest

from perfconsole.collectors.postgres import PostgresCollector
from perfconsole.collectors.postgres.aside import Asides
from perfconsole.collectors.postgres.plans.statement_detail import read
from perfconsole.collectors.postgres.plans.subject import LONGEST, Subjects
from perfconsole.core.errors import RequestError
from perfconsole.core.requests import POSTGRES_EXPLAIN, POSTGRES_STATEMENT, ExplainArgs, StatementArgs

SCHEMA = (
    "CREATE EXTENSION pg_stat_statements",
    "CREATE TABLE big (id serial PRIMARY KEY, small int, note text)",
    "CREATE TABLE small (id int PRIMARY KEY)",
    "INSERT INTO big (small, note) SELECT g % 10, md5(g::text) FROM generate_series(1, 5000) g",
    "INSERT INTO small SELECT generate_series(0, 9)",
    "CREATE INDEX notes ON big (lower(note)) WHERE small = 3",
)


@pytest.fixture
async def filled(cluster, database):
    await cluster.execute(*SCHEMA, database=database)
    # A session of its own: what one has inserted is counted up to a second later, or at its end.
    await cluster.execute("ANALYZE big", "ANALYZE small", "VACUUM small", database=database)
    counted = "SELECT count(last_vacuum) + count(last_analyze) FROM pg_stat_user_tables"
    for _ in range(1000):  # before 15 they are counted by another process, which writes them down twice a second
        connection = await cluster.connect(database)
        known = await connection.fetchval(counted)
        await connection.close()
        if known == 3:
            break
        await asyncio.sleep(0.05)
    assert known == 3
    return database


@pytest.fixture
async def subjects(cluster, filled):
    subjects = Subjects(Asides(cluster.settings_of(filled)))
    yield subjects
    subjects.asides.close()
    await asyncio.sleep(0.01)


async def ran(cluster, database, sql):
    """Run a statement, and say which it is."""
    connection = await cluster.connect(database, statement_cache_size=0)
    try:
        await connection.execute("SELECT pg_stat_statements_reset()")
        await connection.execute(sql)
        row = await connection.fetchrow(
            "SELECT userid, dbid, queryid FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat_statements%' "
            "AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return StatementArgs("orders", row["userid"], row["dbid"], row["queryid"], True)
    finally:
        await connection.close()


async def test_tables_of_a_statement_with_their_sizes_and_indexes(cluster, filled, subjects):
    began = time.time()
    statement = await ran(cluster, filled, "SELECT count(*) FROM big JOIN small ON small.id = big.small WHERE big.note > 'a'")
    detail = await read(subjects, statement)
    assert detail.query == "SELECT count(*) FROM big JOIN small ON small.id = big.small WHERE big.note > $1"
    assert detail.notes == ()
    big, small = detail.relations
    assert (big.schema, big.name, big.rows) == ("public", "big", 5000.0)
    assert (small.name, small.rows) == ("small", 10.0)
    assert big.size_bytes > 250_000 > small.size_bytes > 0
    assert big.index_bytes > 0
    assert any("USING btree (lower(note)) WHERE (small = 3)" in text for text in big.indexes)
    assert isnan(big.vacuumed)
    assert abs(small.vacuumed - began) < 60
    assert abs(big.analyzed - began) < 60


async def test_a_statement_without_a_plan_has_its_text_all_the_same(cluster, filled, subjects):
    detail = await read(subjects, await ran(cluster, filled, "CREATE TABLE more ()"))
    assert detail.query == "CREATE TABLE more ()"
    assert detail.relations == []
    assert detail.notes[0].startswith("its tables are not known: no plan: CREATE is a utility statement")


async def test_without_rights_to_its_tables_there_is_the_grant(cluster, filled):
    statement = await ran(cluster, filled, "SELECT * FROM small WHERE id = 1")
    subjects = Subjects(Asides(cluster.settings_of(filled, "monitor")))
    detail = await read(subjects, statement)
    subjects.asides.close()
    assert detail.query == "SELECT * FROM small WHERE id = $1"
    assert 'GRANT SELECT ON public.small TO "monitor"' in detail.notes[0]


async def test_what_is_in_a_text_is_shown_not_obeyed(cluster, filled, subjects):
    sql = 'SELECT 1 AS "\x1b[2J\u202e[bold]", 2 -- \x07 to the end\n, 3 AS é'
    detail = await read(subjects, await ran(cluster, filled, sql))
    assert all(line.isprintable() for line in detail.query.split("\n"))
    assert "␛[2J\ufffd[bold]" in detail.query
    assert detail.query.endswith("\n, $3 AS é")


async def test_a_password_in_a_text_is_not_shown(cluster, filled, subjects):
    detail = await read(subjects, await ran(cluster, filled, "ALTER ROLE plain PASSWORD 'hunter2'"))
    assert detail.query == "ALTER ROLE plain PASSWORD ?"


async def test_a_text_of_a_megabyte_and_one_that_is_longer(cluster, filled, subjects):
    whole = "SELECT 1 /* " + "x" * (LONGEST - 100) + " */"
    detail = await read(subjects, await ran(cluster, filled, whole))
    assert len(detail.query) == len(whole) + 1  # $1
    assert detail.notes == ("its tables are not known: no plan: its text is longer than 131072 characters",)
    detail = await read(subjects, await ran(cluster, filled, "SELECT 2, 3 /* " + "x" * LONGEST + " */"))
    assert len(detail.query) == LONGEST + 1
    assert detail.query.endswith("…")
    assert detail.notes[0] == f"its text is longer than {LONGEST} characters: cut"
    assert detail.notes[1].endswith("no plan: its text is longer than 131072 characters")


async def test_a_table_under_a_lock_is_told_without_its_size(cluster, filled, subjects):
    statement = await ran(cluster, filled, "SELECT * FROM small WHERE id = 1")
    await read(subjects, statement)
    holder = await cluster.connect(filled)
    await holder.execute("BEGIN; LOCK TABLE small IN ACCESS EXCLUSIVE MODE")
    detail = await read(subjects, statement)
    assert "lock timeout" in detail.notes[0]
    await holder.close()


async def test_the_collector_offers_both(cluster, filled):
    statement = await ran(cluster, filled, "SELECT * FROM small WHERE id = 1")
    collector = PostgresCollector([cluster.settings_of(filled)])
    offered = {operation.spec.name: operation.run for operation in collector.operations}
    assert (await offered[POSTGRES_STATEMENT.name](statement)).relations[0].name == "small"
    assert (await offered[POSTGRES_EXPLAIN.name](ExplainArgs(statement))).nodes
    with pytest.raises(RequestError, match="no server is called 'else'"):
        await offered[POSTGRES_STATEMENT.name](StatementArgs("else", 1, 2, 3, True))
    collector.close()
    await asyncio.sleep(0.01)


async def test_a_server_that_is_gone_is_said(make_cluster):
    cluster = make_cluster().start()
    await cluster.execute("CREATE TABLE small (id int)")
    statement = await ran(cluster, "postgres", "SELECT * FROM small WHERE id = 1")
    subjects = Subjects(Asides(cluster.settings_of()))
    assert (await read(subjects, statement)).relations
    cluster.stop()
    other = StatementArgs("orders", statement.userid, statement.dbid, 4711, True)
    with pytest.raises(RequestError, match="down: connection refused"):
        await read(subjects, other)
    subjects.asides.close()
    await asyncio.sleep(0.01)
