"""Plans of statements that ran on a real server: whatever their constants were, with values, measured; and that nothing else happens."""

import asyncio
import contextlib
import re
import sys
import time
from math import isnan

import asyncpg
import pytest

from perfconsole.collectors.postgres import PostgresCollector
from perfconsole.collectors.postgres import plans as planning
from perfconsole.collectors.postgres.aside import Asides
from perfconsole.collectors.postgres.plans import explain
from perfconsole.collectors.postgres.plans.statement_detail import read
from perfconsole.collectors.postgres.plans.subject import Subject, Subjects
from perfconsole.core.errors import RequestError
from perfconsole.core.ports import Slot
from perfconsole.core.requests import ExplainArgs, StatementArgs

SCHEMA = (
    "CREATE SCHEMA sales",
    "CREATE TABLE sales.orders (id serial PRIMARY KEY, customer text, placed timestamptz, due date, note text)",
    "INSERT INTO sales.orders (customer, placed, due, note) "  # noqa: ISC004  one statement
    "SELECT 'c' || g % 1000, now() - g * interval '1 minute', current_date - g % 100, md5(g::text) FROM generate_series(1, 20000) g",
    "CREATE SEQUENCE sales.numbers",
    "CREATE VIEW sales.quiet AS SELECT o.id FROM sales.orders o, (VALUES (1), (2)) v",
    "CREATE VIEW sales.killing AS SELECT * FROM (VALUES (1, pg_terminate_backend(0)), (2, false)) v (number, done)",
    "CREATE FUNCTION sales.loud() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION sales.calm() RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'",
    "ANALYZE sales.orders",
    "CREATE EXTENSION pg_stat_statements",
    "GRANT USAGE ON SCHEMA sales TO reader", "GRANT SELECT ON sales.orders, sales.quiet, sales.killing TO reader",
)  # fmt: skip


@pytest.fixture(scope="module")
def shop(cluster):
    """A database with a table, and a role that may read it."""
    name = f"shop{time.monotonic_ns()}"

    async def make():
        await cluster.execute(
            f"CREATE DATABASE {name}", "CREATE ROLE reader LOGIN", "GRANT pg_monitor TO reader", "CREATE ROLE app LOGIN SUPERUSER",
            f"ALTER ROLE app IN DATABASE {name} SET search_path = sales, public",
        )  # fmt: skip
        await cluster.execute(*SCHEMA, database=name)

    asyncio.run(make())
    yield name
    asyncio.run(cluster.execute(f"DROP DATABASE {name} WITH (FORCE)", "DROP ROLE reader", "DROP ROLE app"))


class Desk:
    """Somebody who runs statements as `app`, and asks for their plans as another role."""

    def __init__(self, cluster, shop):
        self.cluster, self.shop, self.made = cluster, shop, []

    def subjects(self, user="postgres", database=None, **changes):
        subjects = Subjects(Asides(self.cluster.settings_of(database or self.shop, user, **changes)))
        self.made.append(subjects.asides)
        return subjects

    async def ran(self, sql, *args, user="app", database=None):
        """Run a statement, and say which it is."""
        connection = await self.cluster.connect(database or self.shop, user, statement_cache_size=0)
        try:
            with contextlib.suppress(asyncpg.PostgresError):
                await (connection.fetch(sql, *args) if args else connection.execute(sql))
            return await self.known(connection)
        finally:
            await connection.close()

    async def known(self, connection):
        """The statement that a session ran last."""
        row = await connection.fetchrow(
            "SELECT s.userid, s.dbid, s.queryid FROM pg_stat_statements s WHERE s.query NOT LIKE '%pg_stat_statements%' "
            "AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY s.calls LIMIT 1"
        )
        return StatementArgs("orders", row["userid"], row["dbid"], row["queryid"], True)

    async def plan(self, sql, *args, user="postgres", **how):
        statement = await self.statement(sql, *args)
        return await explain(self.subjects(user), ExplainArgs(statement, **how))

    async def statement(self, sql, *args, user="app"):
        await self.cluster.execute("SELECT pg_stat_statements_reset()", database=self.shop)
        return await self.ran(sql, *args, user=user)

    async def ask(self, sql, *args, database=None):
        connection = await self.cluster.connect(database or self.shop)
        try:
            return await connection.fetchval(sql, *args)
        finally:
            await connection.close()


@pytest.fixture
async def desk(cluster, shop):
    desk = Desk(cluster, shop)
    yield desk
    for asides in desk.made:
        asides.close()
    await asyncio.sleep(0.01)


def names(plan):
    return [node.name for node in plan.nodes]


# For any values --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "types", "last"),
    [
        ("SELECT * FROM orders WHERE id = 5", ("integer",), "Index Scan using orders_pkey on sales.orders"),
        ("UPDATE orders SET note = 'x' WHERE id = 5", ("text", "integer"), "Index Scan using orders_pkey on sales.orders"),
        ("INSERT INTO orders (customer, placed) VALUES ('a', now())", ("text",), "Result"),
        ("DELETE FROM orders WHERE id = 0", ("integer",), "Index Scan using orders_pkey on sales.orders"),
        ("SELECT count(*) FROM orders WHERE placed > now() - interval '1 day'", ("interval",), "Seq Scan on sales.orders"),
        ("SELECT date '2026-01-01', timestamp with time zone '2026-01-01'", ("date", "timestamp with time zone"), "Result"),
        ("SELECT count(*) FROM orders WHERE ('a' IS NULL OR customer = 'b')", ("text", "text"), "Seq Scan on sales.orders"),
        ("SELECT count(*) FROM orders WHERE due > current_date - 7", ("integer",), "Seq Scan on sales.orders"),
        ("SELECT * FROM generate_series(1, 10)", ("integer", "integer"), "Function Scan on generate_series"),
        ("SELECT '$7', /* $8 */ note FROM orders WHERE id = 1 -- $9", ("text", "integer"), "Index Scan using orders_pkey on sales.orders"),
        ("WITH gone AS (DELETE FROM orders WHERE id = 0 RETURNING id) SELECT * FROM gone", ("integer",),
         "Index Scan using orders_pkey on sales.orders"),
    ],
)  # fmt: skip
async def test_a_normalised_text_has_a_plan(desk, sql, types, last):
    plan = await desk.plan(sql)
    assert plan.types == types
    assert names(plan)[-1] == last
    assert plan.how == "generic"
    assert plan.planning_s > 0
    assert isnan(plan.execution_s)


async def test_an_interval_that_was_bound_is_found_by_what_the_server_says(desk):
    text = "SELECT count(*) FROM orders WHERE placed > now() - $1 AND id > $2 - 1"
    connection = await desk.cluster.connect(desk.shop, "app", statement_cache_size=0)
    await connection.execute("SELECT pg_stat_statements_reset()")
    await connection.execute(f"PREPARE bound (interval, int) AS {text}; EXECUTE bound ('1 day', 5)")
    statement = await desk.known(connection)
    await connection.close()
    plan = await explain(desk.subjects(), ExplainArgs(statement))
    assert plan.types[:2] == ("interval", "integer")
    assert "$1 was taken for interval" in plan.notes


async def test_a_plan_that_became_another_is_told(desk):
    statement = await desk.statement("SELECT * FROM orders WHERE id = 5")
    subjects = desk.subjects()
    first = await explain(subjects, ExplainArgs(statement))
    assert not first.changed
    assert not (await explain(subjects, ExplainArgs(statement, last_hash=first.hash))).changed
    assert (await explain(subjects, ExplainArgs(statement, last_hash="other"))).changed


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("VACUUM sales.orders", "no plan: VACUUM is a utility statement"),
        ("SET work_mem = '5MB'", "no plan: SET is a utility statement"),
        ("CREATE TABLE IF NOT EXISTS sales.orders ()", "no plan: CREATE is a utility statement"),
    ],
)
async def test_what_is_no_query_is_refused_before_asking(desk, sql, said):
    with pytest.raises(RequestError, match=said):
        await desk.plan(sql)


# Where its names are looked up, and with which rights ------------------------------------------------------------------------------


async def test_a_path_that_only_the_session_knew_is_guessed_and_told(desk):
    await desk.cluster.execute(
        "CREATE SCHEMA IF NOT EXISTS one", "CREATE SCHEMA IF NOT EXISTS two", "CREATE TABLE one.parts (id int)",
        "CREATE TABLE two.parts (id int)", "INSERT INTO two.parts SELECT generate_series(1, 5000)", "ANALYZE two.parts", database=desk.shop,
    )  # fmt: skip
    await desk.cluster.execute("SELECT pg_stat_statements_reset()", database=desk.shop)
    connection = await desk.cluster.connect(desk.shop, "app", statement_cache_size=0)
    await connection.execute("SET search_path = two, public")
    await connection.execute("SELECT pg_stat_statements_reset()")
    await connection.execute("SELECT * FROM parts WHERE id = 1")
    statement = await desk.known(connection)
    await connection.close()
    plan = await explain(desk.subjects(), ExplainArgs(statement))
    assert names(plan) == ["Seq Scan on two.parts"]
    assert plan.notes == ("parts was taken from schema two, the largest of 2 such: it is not in the search_path that is known of its user",)
    await desk.cluster.execute("DROP SCHEMA one CASCADE", "DROP SCHEMA two CASCADE", database=desk.shop)


async def test_a_missing_right_is_named_with_the_statement_that_gives_it(desk, cluster):
    statement = await desk.statement("SELECT * FROM orders WHERE id = 5")

    async def refused(statement=statement):
        with pytest.raises(RequestError) as caught:
            await explain(desk.subjects("monitor"), ExplainArgs(statement))
        return caught.value

    error = await refused()
    assert error.fix == 'GRANT USAGE ON SCHEMA sales TO "monitor"'
    await cluster.execute(error.fix, database=desk.shop)
    error = await refused()
    assert error.message == "not allowed: permission denied for table orders"
    assert error.fix.startswith('GRANT SELECT ON sales.orders TO "monitor"')
    await cluster.execute('GRANT SELECT ON sales.orders TO "monitor"', database=desk.shop)
    assert (await explain(desk.subjects("monitor"), ExplainArgs(statement))).nodes
    error = await refused(await desk.statement("UPDATE orders SET note = 'x' WHERE id = 5"))
    assert 'GRANT SELECT, UPDATE ON sales.orders TO "monitor"' in error.fix
    await cluster.execute("REVOKE ALL ON sales.orders FROM monitor", "REVOKE ALL ON SCHEMA sales FROM monitor", database=desk.shop)


async def test_texts_of_others_need_a_right(desk):
    statement = await desk.statement("SELECT * FROM orders WHERE id = 5")
    with pytest.raises(RequestError) as caught:
        await explain(desk.subjects("plain"), ExplainArgs(statement))
    assert caught.value.fix == 'GRANT pg_read_all_stats TO "plain"'


async def test_a_statement_that_was_evicted_is_named(desk):
    statement = await desk.statement("SELECT * FROM orders WHERE id = 5")
    await desk.cluster.execute("SELECT pg_stat_statements_reset()", database=desk.shop)
    with pytest.raises(RequestError, match="not in pg_stat_statements any more"):
        await explain(desk.subjects(), ExplainArgs(statement))


async def test_a_table_that_was_dropped_is_named(desk, cluster):
    await cluster.execute("CREATE TABLE sales.brief (id int)", database=desk.shop)
    statement = await desk.statement("SELECT * FROM brief WHERE id = 5")
    await cluster.execute("DROP TABLE sales.brief", database=desk.shop)
    with pytest.raises(RequestError, match='relation "brief" does not exist') as caught:
        await explain(desk.subjects(), ExplainArgs(statement))
    assert "looked for in: sales, public" in caught.value.fix


async def test_a_table_under_a_lock_is_named_soon(desk, cluster):
    statement = await desk.statement("SELECT * FROM orders WHERE id = 5")
    holder = await cluster.connect(desk.shop)
    await holder.execute("BEGIN; LOCK TABLE sales.orders IN ACCESS EXCLUSIVE MODE")
    with pytest.raises(RequestError, match="lock timeout"):  # that of 200 ms, long before the statement's own limit
        await explain(desk.subjects(), ExplainArgs(statement))
    await holder.close()


# With values -----------------------------------------------------------------------------------------------------------------------


async def test_values_by_hand(desk):
    statement = await desk.statement("SELECT * FROM orders WHERE customer = 'a' AND id < 10")
    subjects = desk.subjects()
    plan = await explain(subjects, ExplainArgs(statement, values=("O'Brien\\", "7")))
    assert plan.how == "live"
    assert "orders.customer = 'O''Brien\\'::text" in dict(plan.nodes[0].details)["Filter"]
    folded = await explain(subjects, ExplainArgs(statement, values=("NULL", "7")))
    assert names(folded) == ["Result"]
    with pytest.raises(RequestError, match="has 2 parameters, given were 1"):
        await explain(subjects, ExplainArgs(statement, values=("a",)))
    with pytest.raises(RequestError, match="no plan with these values: invalid input syntax for type integer"):
        await explain(subjects, ExplainArgs(statement, values=("a", "seven")))
    with pytest.raises(RequestError, match="NUL"):
        await explain(subjects, ExplainArgs(statement, values=("a\0", "7")))


async def tells_sessions(desk, statement):
    """Whether the server says which session runs a statement; where it does not, that is what is said."""
    if await desk.ask("SELECT current_setting('server_version_num')::int") >= 140000:
        return True
    with pytest.raises(RequestError, match="from 14 on"):
        await explain(desk.subjects("reader"), ExplainArgs(statement, how="live"))
    return False


async def test_values_of_a_session(desk):
    statement = await desk.statement("SELECT * FROM orders WHERE customer = 'c5' AND id < 10")
    if not await tells_sessions(desk, statement):
        return
    with pytest.raises(RequestError, match="no session runs it now"):
        await explain(desk.subjects("reader"), ExplainArgs(statement, how="live"))
    session = await desk.cluster.connect(desk.shop, "app", statement_cache_size=0)
    await session.execute("SELECT * FROM orders WHERE customer = 'c7' AND id < 11")
    plan = await explain(desk.subjects("reader"), ExplainArgs(statement, how="live"))
    assert plan.how == "live"
    assert "'c7'::text" in dict(plan.nodes[0].details)["Filter"]
    assert plan.notes[0].startswith(f"values of session {session.get_server_pid()} (no name), which ran it 0.")
    await session.execute(f"SELECT * FROM orders WHERE customer = '{'x' * 2000}' AND id < 11")
    with pytest.raises(RequestError, match="texts of its sessions are cut"):
        await explain(desk.subjects("reader"), ExplainArgs(statement, how="live"))
    await session.close()


async def test_bound_values_are_nowhere_to_be_read(desk):
    session = await desk.cluster.connect(desk.shop, "app", statement_cache_size=0)
    await session.execute("SELECT pg_stat_statements_reset()")
    await session.fetch("SELECT * FROM orders WHERE customer = $1 AND id < $2", "c7", 11)
    other = await desk.cluster.connect(desk.shop)
    statement = await desk.known(other)
    await other.close()
    if await tells_sessions(desk, statement):
        with pytest.raises(RequestError, match="apart from its text"):
            await explain(desk.subjects("reader"), ExplainArgs(statement, how="live"))
    await session.close()


# Measured --------------------------------------------------------------------------------------------------------------------------


async def test_a_select_is_measured(desk):
    plan = await desk.plan("SELECT count(*) FROM orders WHERE customer = 'c5'", how="analyze", values=("c6",), user="reader")
    assert plan.how == "analyze"
    assert plan.execution_s > 0
    assert plan.nodes[-1].actual_rows == 20
    assert "filter without an index: keeps 20 of 20k rows" in plan.nodes[-1].findings


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT random(), clock_timestamp(), gen_random_uuid() FROM orders LIMIT 1",
        "SELECT sales.calm(), upper(customer) FROM orders WHERE id = 5",
        "SELECT count(*) FROM quiet",
    ],
)
async def test_what_only_reads_is_measured(desk, sql):
    statement = await desk.statement(sql)
    count = sql.count("1") + sql.count("5") if "calm" not in sql else 1
    assert (await explain(desk.subjects(), ExplainArgs(statement, how="analyze", values=("1",) * count))).execution_s >= 0


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE orders SET note = 'x' WHERE id = 5", "only a SELECT"),
        ("WITH gone AS (DELETE FROM orders WHERE id = 1 RETURNING id) SELECT * FROM gone", "it writes"),
        ("SELECT * FROM orders WHERE id = 1 FOR UPDATE", "it locks rows"),
        ("SELECT nextval('numbers')", "pg_catalog.nextval is VOLATILE"),
        ("SELECT pg_terminate_backend /* /* */ */ (0)", "pg_catalog.pg_terminate_backend is VOLATILE"),
        ("SELECT * FROM killing WHERE number = 1", "pg_catalog.pg_terminate_backend is VOLATILE"),
        ("SELECT sales.loud()", "sales.loud is VOLATILE"),
        ("SELECT note FROM orders LIMIT loud()", "sales.loud is VOLATILE"),
        ("SELECT set_config('application_name', 'x', false)", "set_config is VOLATILE"),
        ("SELECT lo_create(0)", "lo_create is VOLATILE"),
        ("SELECT pg_advisory_lock(1)", "pg_advisory_lock is VOLATILE"),
        ("SELECT pg_stat_reset_single_table_counters(0)", "pg_stat_reset_single_table_counters is VOLATILE"),
    ],
)
async def test_what_acts_is_not_measured(desk, sql, said):
    statement = await desk.statement(sql)
    subjects = desk.subjects()
    count = len((await explain(subjects, ExplainArgs(statement))).types)
    types = (await explain(subjects, ExplainArgs(statement))).types
    values = tuple({"boolean": "true", "regclass": "sales.numbers"}.get(kind, "0") for kind in types)
    assert len(values) == count
    with pytest.raises(RequestError, match=said):
        await explain(subjects, ExplainArgs(statement, how="analyze", values=values))


async def test_what_makes_a_table_is_not_measured(desk):
    with pytest.raises(RequestError, match=r"makes a table|utility statements cannot be prepared"):  # the latter before 15
        await desk.plan("SELECT id INTO TEMP kept FROM orders", how="analyze")


LONG = "x" * 70
HIDDEN = (
    "CREATE FUNCTION sales.same(int, int) RETURNS bool LANGUAGE sql AS 'SELECT $1 = $2'",
    "CREATE OPERATOR sales.=== (FUNCTION = sales.same, LEFTARG = int, RIGHTARG = int)",
    "CREATE FUNCTION sales.added(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1 + $2'",
    "CREATE AGGREGATE sales.summed(int) (SFUNC = sales.added, STYPE = int, INITCOND = 0)",
    "CREATE FUNCTION sales.fine(int) RETURNS bool LANGUAGE sql AS 'SELECT $1 > 0'",
    "CREATE DOMAIN sales.fines AS int CHECK (sales.fine(VALUE))", "CREATE DOMAIN sales.finest AS sales.fines",
    "CREATE TYPE sales.pair AS (a sales.fines, b int)",
    "CREATE FUNCTION sales.wrapped() RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN sales.deeper(); END'",
    "CREATE FUNCTION sales.deeper() RETURNS int STABLE LANGUAGE sql AS 'SELECT count(pg_notify(chr(65), chr(66)))::int'",
    f'CREATE FUNCTION sales."{LONG[:63]}"() RETURNS int LANGUAGE sql AS \'SELECT 1\'',
    "CREATE FUNCTION sales.É–() RETURNS int LANGUAGE sql AS 'SELECT 1'",
)  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "values", "said"),
    [
        ("SELECT id FROM orders WHERE id === 5", ("5",), "sales.same is VOLATILE"),
        ("SELECT * FROM (VALUES (1, 1 OPERATOR(sales.===) 2), (2, false)) v", ("1", "1", "2", "2", "false"), "sales.same is VOLATILE"),
        ("SELECT summed(id) FROM orders", (), "sales.summed is VOLATILE"),
        ("SELECT max(id::fines) FROM orders", (), "sales.fine is VOLATILE"),
        ("SELECT max(id::finest) FROM orders", (), "sales.fine is VOLATILE"),
        ("SELECT ROW(id, 1)::pair FROM orders", ("1",), "sales.fine is VOLATILE"),
        ("SELECT wrapped() FROM orders", (), "pg_catalog.pg_notify is VOLATILE"),
        ("SELECT table_to_xml('killing', false, false, '')", ("killing", "false", "false", ""), "table_to_xml runs what cannot be seen"),
        (f"SELECT * FROM (VALUES (1, {LONG}()), (2, 0)) v", ("1", "2", "0"), "sales.xxx"),
        ("SELECT * FROM (VALUES (1, É–()), (2, 0)) v", ("1", "2", "0"), "sales.*É–.* is VOLATILE"),
    ],
)  # fmt: skip
async def test_what_acts_without_its_name_in_the_plan_is_not_measured(desk, sql, values, said):
    await desk.cluster.execute(*HIDDEN, database=desk.shop)
    try:
        with pytest.raises(RequestError, match=said):
            await desk.plan(sql, how="analyze", values=values)
    finally:
        await desk.cluster.execute(
            "DROP AGGREGATE sales.summed(int)", "DROP OPERATOR sales.=== (int, int)", "DROP TYPE sales.pair",
            "DROP DOMAIN sales.fines CASCADE", "DROP FUNCTION sales.same, sales.added, sales.fine, sales.wrapped, sales.deeper",
            f'DROP FUNCTION sales."{LONG[:63]}", sales.É–', database=desk.shop,
        )  # fmt: skip


async def test_a_cast_that_acts_forbids_measuring_for_it_leaves_no_trace(desk):
    await desk.cluster.execute(
        "CREATE TYPE sales.mood AS ENUM ('good')",
        "CREATE FUNCTION sales.felt(sales.mood) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE CAST (sales.mood AS int) WITH FUNCTION sales.felt AS IMPLICIT", database=desk.shop,
    )  # fmt: skip
    try:
        with pytest.raises(RequestError, match=r"sales\.felt is VOLATILE"):
            await desk.plan("SELECT abs('good'::mood) FROM orders", how="analyze", values=("good",))
    finally:
        await desk.cluster.execute("DROP TYPE sales.mood CASCADE", "DROP FUNCTION IF EXISTS sales.felt", database=desk.shop)


async def test_what_takes_too_long_is_given_up_by_the_server(desk, monkeypatch):
    monkeypatch.setattr(planning, "MEASURED_S", 1)
    with pytest.raises(RequestError, match="given up"):
        await desk.plan("SELECT pg_sleep(0.01)", how="analyze", values=("3000",))
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid()"
    assert await desk.ask(running) == 0


@pytest.fixture
async def traps(desk):
    """Functions and a relation that a plain user put where the statement's names are looked up: what calls them says so."""
    bodies = {"quote_ident(name)": "text", "format(text, name, name)": "text", "current_setting(text)": "text", "unnest(text[])": "text"}
    await desk.cluster.execute(
        *(f"CREATE FUNCTION sales.{name} RETURNS {kind} LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''a trap''; END'"
          for name, kind in bodies.items()),
        "CREATE VIEW sales.pg_class AS SELECT 1 / 0 AS oid, 'a trap'::name AS relname",
        "CREATE TABLE public.hidden AS SELECT 5 AS id", "CREATE SCHEMA back", "CREATE TABLE back.away AS SELECT 5 AS id",
        f"ALTER ROLE app IN DATABASE {desk.shop} SET search_path = sales, public, pg_catalog", database=desk.shop,
    )  # fmt: skip
    yield
    await desk.cluster.execute(
        *(f"DROP FUNCTION sales.{name}" for name in bodies), "DROP VIEW sales.pg_class", "DROP TABLE public.hidden",
        "DROP SCHEMA back CASCADE", f"ALTER ROLE app IN DATABASE {desk.shop} SET search_path = sales, public", database=desk.shop,
    )  # fmt: skip


@pytest.mark.parametrize("how", ["generic", "analyze"])
async def test_where_names_are_looked_up_for_a_statement_they_are_not_for_our_own_questions(desk, traps, how):
    values = ("6",) if how == "analyze" else ()
    plan = await desk.plan("SELECT count(*) FROM orders WHERE id = 5", how=how, values=values)
    assert names(plan)[-1] == "Index Only Scan using orders_pkey on sales.orders"
    with pytest.raises(RequestError, match="nextval is VOLATILE"):
        await desk.plan("SELECT nextval('numbers')", how="analyze", values=("sales.numbers",))


async def test_a_table_that_is_looked_for_or_denied_is_not_looked_up_in_traps(desk, traps):
    session = await desk.cluster.connect(desk.shop, "app", server_settings={"search_path": "back, public"})
    await session.execute("SELECT pg_stat_statements_reset()")
    await session.fetch("SELECT * FROM away WHERE id = 5")
    statement = await desk.known(session)
    await session.close()
    plan = await explain(desk.subjects(), ExplainArgs(statement))
    assert names(plan) == ["Seq Scan on back.away"]
    denied = await desk.statement("SELECT * FROM hidden WHERE id = 5")
    with pytest.raises(RequestError, match=r'GRANT SELECT ON public\.hidden TO "reader"'):
        await explain(desk.subjects("reader"), ExplainArgs(denied))


async def test_a_right_that_is_missing_is_told_in_a_statement_that_does_nothing_else(desk):
    name = "x;DROP/**/TABLE/**/sales.orders;--"
    await desk.cluster.execute(f'CREATE SCHEMA "{name}"', f'CREATE TABLE "{name}".t AS SELECT 5 AS id', database=desk.shop)
    try:
        with pytest.raises(RequestError) as raised:
            await desk.plan(f'SELECT * FROM "{name}".t WHERE id = 5', user="reader")
    finally:
        await desk.cluster.execute(f'DROP SCHEMA "{name}" CASCADE', database=desk.shop)
    assert raised.value.fix == f'GRANT USAGE ON SCHEMA "{name}" TO "reader"'


# An index that is not there --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def hypopg(desk):
    if not await desk.ask("SELECT count(*) FROM pg_available_extensions WHERE name = 'hypopg'"):
        pytest.skip("hypopg is not installed")
    await desk.cluster.execute("CREATE SCHEMA ext", "CREATE EXTENSION hypopg SCHEMA ext", database=desk.shop)
    await desk.cluster.execute("GRANT USAGE ON SCHEMA ext TO reader", database=desk.shop)
    yield
    await desk.cluster.execute("DROP EXTENSION hypopg", "DROP SCHEMA ext", database=desk.shop)


async def test_an_index_is_tried_and_taken_back(desk, hypopg):
    statement = await desk.statement("SELECT count(*) FROM orders WHERE customer = 'c5' AND placed > '2020-01-01'")
    subjects = desk.subjects("reader")
    before = await explain(subjects, ExplainArgs(statement))
    assert before.can_try
    tried = await explain(subjects, ExplainArgs(statement, index="sales.orders (customer, placed)"))
    assert tried.nodes[0].cost < before.nodes[0].cost / 5
    assert any("using the tried index" in name for name in names(tried))
    assert tried.index.startswith("cost ")
    assert tried.ddl == "CREATE INDEX CONCURRENTLY ON sales.orders USING btree (customer, placed)"
    again = await explain(subjects, ExplainArgs(statement, index="sales.orders (customer, placed)"))
    assert again.hash == tried.hash
    useless = await explain(subjects, ExplainArgs(statement, index="sales.orders (note)"))
    assert useless.index.startswith("the planner would not use it")
    after = await explain(subjects, ExplainArgs(statement))
    assert (after.hash, after.nodes[0].cost) == (before.hash, before.nodes[0].cost)


@pytest.mark.parametrize("index", ["sales.orders", "nowhere (id)", "sales.orders (nothing)", "x; DROP TABLE sales.orders"])
async def test_what_is_no_index_is_refused(desk, hypopg, index):
    with pytest.raises(RequestError, match="no index"):
        await desk.plan("SELECT count(*) FROM orders WHERE customer = 'c5'", index=index)
    assert await desk.ask("SELECT to_regclass('sales.orders') IS NOT NULL")


async def test_no_index_is_tried_without_hypopg_nor_measured(desk):
    statement = await desk.statement("SELECT count(*) FROM orders WHERE customer = 'c5'")
    assert not (await explain(desk.subjects(), ExplainArgs(statement))).can_try
    with pytest.raises(RequestError, match="hypopg is not installed"):
        await explain(desk.subjects(), ExplainArgs(statement, index="sales.orders (customer)"))
    with pytest.raises(RequestError, match="cannot be measured"):
        await explain(desk.subjects(), ExplainArgs(statement, how="analyze", index="sales.orders (customer)"))


# Large ones ------------------------------------------------------------------------------------------------------------------------


async def test_a_plan_that_is_nested_too_deeply_is_said(desk):
    statement = await desk.statement("SELECT * FROM (" * 600 + "SELECT 1 AS a" + ") a LIMIT 5" * 600)
    with pytest.raises(RequestError, match="nested too deeply"):
        await explain(desk.subjects(), ExplainArgs(statement))


@pytest.mark.parametrize("how", ["generic", "analyze"])
async def test_a_plan_over_thousands_of_partitions_holds_up_nothing(desk, monkeypatch, how):
    part = {"Node Type": "Seq Scan", "Schema": "sales", "Total Cost": 1.0, "Plan Rows": 1, "Output": ["id"], "Filter": "(f.id = 1)"}
    parts = [part | {"Relation Name": f"orders_{n}", "Alias": "f"} for n in range(5000)]

    async def explained(*_):
        return [{"Plan": {"Node Type": "Append", "Total Cost": 1.0, "Plan Rows": 1, "Plans": parts}}]

    monkeypatch.setattr(planning, "_explained", explained)
    statement = await desk.statement("SELECT * FROM orders WHERE id = 5")
    subjects = desk.subjects()
    made = 0

    def count(frame, event, argument):
        nonlocal made
        made += event in {"call", "c_call"} and frame.f_globals["__name__"].startswith("perfconsole.")

    sys.setprofile(count)  # of this thread alone: that of the loop
    try:
        plan = await explain(subjects, ExplainArgs(statement, how, ("5",) if how == "analyze" else ()))
    finally:
        sys.setprofile(None)
    assert plan.notes == ("3001 more nodes are not shown",)
    assert made < len(parts)  # nobody goes through the nodes there, not even once


# Connections -----------------------------------------------------------------------------------------------------------------------


async def test_another_database_is_asked_through_a_connection_that_is_closed_again(desk):
    statement = await desk.statement("SELECT * FROM orders WHERE id = 5")
    subjects = desk.subjects(database="postgres")
    plan = await explain(subjects, ExplainArgs(statement))
    assert names(plan) == ["Index Scan using orders_pkey on sales.orders"]
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'perfconsole' AND datname = $1"
    for _ in range(3000):
        if not (left := await desk.ask(count, desk.shop)):
            break
        await asyncio.sleep(0.02)
    assert left == 0
    assert subjects.asides.open == 1
    subjects.asides.close_idle()
    assert subjects.asides.open == 0
    assert (await explain(subjects, ExplainArgs(statement))).hash == plan.hash


async def test_an_idle_connection_that_the_server_ended_is_made_anew(desk):
    statement = await desk.statement("SELECT * FROM orders WHERE id = 5")
    subjects = desk.subjects()
    await explain(subjects, ExplainArgs(statement))
    await desk.ask(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'perfconsole' AND datname = $1", desk.shop
    )
    assert (await explain(subjects, ExplainArgs(statement))).nodes


async def test_what_cannot_be_undone_ends_the_session(desk, monkeypatch):
    statement = await desk.statement("SELECT * FROM orders WHERE id = 5")
    subjects = desk.subjects()
    with monkeypatch.context() as patched:
        patched.setattr(planning.acting, "_VOLATILE", "SELECT 1 / (0 * cardinality($1::text[])), $2::text[]")
        with pytest.raises(RequestError, match="division by zero"):
            await explain(subjects, ExplainArgs(statement, "analyze", ("5",)))
    assert subjects.asides.open == 0
    assert (await explain(subjects, ExplainArgs(statement))).nodes


async def test_several_at_once_use_two_connections(desk):
    statement = await desk.statement("SELECT * FROM orders WHERE id = 5")
    subjects = desk.subjects()
    made = await asyncio.gather(*(explain(subjects, ExplainArgs(statement)) for _ in range(6)))
    assert len({plan.hash for plan in made}) == 1
    assert subjects.asides.open == 1


async def test_behind_a_pooler_nothing_stays_in_the_session_it_shares(desk, pooler):
    good = await desk.statement("SELECT count(*) FROM orders WHERE customer = 'c5'")
    bad = await desk.ran("UPDATE orders SET note = 'x' WHERE id = 5", user="app")
    port = pooler()
    dsn = f"postgresql://postgres@127.0.0.1:{port}/{desk.shop}?sslmode=disable"
    subjects = desk.subjects(dsn=dsn)
    assert names(await explain(subjects, ExplainArgs(good)))[-1] == "Seq Scan on sales.orders"
    with pytest.raises(RequestError):
        await explain(subjects, ExplainArgs(bad, values=("x", "5"), how="analyze"))
    with pytest.raises(RequestError):
        await explain(subjects, ExplainArgs(bad, values=("x", "five")))
    client = await asyncpg.connect(dsn, statement_cache_size=0)
    await client.execute("PREPARE perfconsole_plan AS SELECT 1")  # as if one like this had been killed in the middle
    assert (await explain(subjects, ExplainArgs(good))).types == ("text",)
    rows = await client.fetchrow(
        "SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'perfconsole%'), current_setting('plan_cache_mode'), "
        "current_setting('search_path'), current_setting('transaction_read_only')"
    )
    await client.close()
    assert tuple(rows) == (0, "auto", '"$user", public', "off")


async def test_behind_a_pooler_a_tried_index_is_gone_also_when_it_failed(desk, pooler, hypopg):
    statement = await desk.statement("SELECT count(*) FROM orders WHERE customer = 'c5'")
    dsn = f"postgresql://postgres@127.0.0.1:{pooler()}/{desk.shop}?sslmode=disable"
    subjects = desk.subjects(dsn=dsn)
    assert (await explain(subjects, ExplainArgs(statement, index="sales.orders (customer)"))).ddl
    with pytest.raises(RequestError, match="no index"):
        await explain(subjects, ExplainArgs(statement, index="sales.orders (nothing)"))
    client = await asyncpg.connect(dsn, statement_cache_size=0)
    left = await client.fetchval("SELECT count(*) FROM ext.hypopg()")
    await client.close()
    assert left == 0


async def test_the_numbers_go_on_while_a_statement_is_measured(desk):
    """The polling connection answers while the other waits, for as long as it may."""
    statement = await desk.statement("SELECT pg_sleep(0.01)")
    collector = PostgresCollector([desk.cluster.settings_of(desk.shop)])
    offered = {operation.spec.name: operation.run for operation in collector.operations}
    await collector.run("orders", Slot(time.time(), time.monotonic(), 0.0), [])
    measured = asyncio.create_task(offered["postgres.explain"](ExplainArgs(statement, "analyze", ("5000",))))
    while not (waiting := await desk.ask("SELECT min(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = $1", desk.shop)):
        assert not measured.done()
        await asyncio.sleep(0.01)
    result = await collector.run("orders", Slot(time.time(), time.monotonic() + 60, 0.0), [])
    assert result.measured
    assert not measured.done()
    await desk.ask("SELECT pg_cancel_backend($1)", waiting)
    with pytest.raises(RequestError):
        await measured
    collector.close()
    await asyncio.sleep(0.01)


# Nothing changes -------------------------------------------------------------------------------------------------------------------

HOSTILE = [
    "SELECT 1; DROP TABLE sales.orders",
    "SELECT 1); DROP TABLE sales.orders; --",
    "SELECT nextval('sales.numbers')",
    "SELECT setval('sales.numbers', 99)",
    "INSERT INTO sales.orders (customer) VALUES ('a')",
    "UPDATE sales.orders SET note = ''",
    "DELETE FROM sales.orders",
    "WITH gone AS (DELETE FROM sales.orders RETURNING id) SELECT * FROM gone",
    "SELECT lo_create(4711)",
    "SELECT set_config('search_path', 'x', false)",
    "SELECT pg_notify('a', 'b')",
    "SELECT * FROM sales.orders FOR UPDATE",
    "SELECT pg_advisory_lock(4711)",
    "TRUNCATE sales.orders",
    "SELECT * INTO sales.copy FROM sales.orders",
    "DO $$ BEGIN DELETE FROM sales.orders; END $$",
    "EXPLAIN ANALYZE DELETE FROM sales.orders",
    "COPY sales.orders TO PROGRAM 'touch /tmp/perfconsole-was-here'",
]


async def test_hostile_texts_change_nothing_whoever_asks(victim):
    """A role that may do everything asks for every plan of every text; not a byte of the database is another afterwards."""
    await victim.execute(
        "CREATE DATABASE shop", "CREATE ROLE reader", "CREATE ROLE app LOGIN SUPERUSER", "ALTER SYSTEM SET log_statement = 'all'",
        "SELECT pg_reload_conf()",
    )  # fmt: skip
    await victim.execute(*SCHEMA, database="shop")
    before = await contents(victim)
    begun = (victim.directory / "log").stat().st_size
    subjects = Subjects(Asides(victim.settings_of("shop")))
    where = StatementArgs("orders", 10, 5, 1, True)
    refused = 0
    for text in HOSTILE:
        # As if pg_stat_statements had it: what it really has was run once, and that is what must not happen here.
        subjects._held[10, 5, 1] = Subject(text, "app", "", "sales, public")
        for args in (ExplainArgs(where), ExplainArgs(where, "live"), ExplainArgs(where, "analyze")):
            try:
                await explain(subjects, args)
            except RequestError:
                refused += 1
        await read(subjects, where)
    subjects.asides.close()
    assert refused >= 2 * len(HOSTILE) - 10
    with (victim.directory / "log").open() as log:
        log.seek(begun)
        ran = re.findall(r"LOG:  (?:statement|execute [^:]+): \s*(.*)", log.read())
    assert {line.split()[0] for line in ran} <= {"BEGIN", "SET", "SELECT", "SAVEPOINT", "PREPARE", "EXPLAIN", "DEALLOCATE", "ROLLBACK"}
    assert sum(line.startswith("PREPARE") for line in ran) > len(HOSTILE)
    assert all("perfconsole" in line for line in ran)
    assert await contents(victim) == before
    assert (await left_behind(victim)) == (0, 0, 1, False)


async def contents(victim):
    """Every row with its place and the transactions that made and locked it; and what the catalog says there is."""
    connection = await victim.connect("shop")
    try:
        return await connection.fetch(
            "SELECT md5(string_agg((o.ctid, o.xmin, o.xmax, o.*)::text, ',' ORDER BY id)) FROM sales.orders o "
            "UNION ALL SELECT md5(string_agg((oid, xmin, relname, relfilenode, relnatts)::text, ',' ORDER BY oid)) FROM pg_class "
            "UNION ALL SELECT md5(string_agg((oid, xmin, proname)::text, ',' ORDER BY oid)) FROM pg_proc "
            "UNION ALL SELECT count(*)::text FROM pg_db_role_setting UNION ALL SELECT count(*)::text FROM pg_database"
        )
    finally:
        await connection.close()


async def left_behind(victim):
    connection = await victim.connect("shop")
    try:
        return tuple(await connection.fetchrow(
            "SELECT (SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), "
            "last_value, is_called FROM sales.numbers"
        ))  # fmt: skip
    finally:
        await connection.close()
