"""Sessions and who waits for whom, made with real locks; and ending exactly the one that was meant."""

import asyncio
import re
import time
from math import isnan

import asyncpg
import pytest

from perfconsole.collectors.postgres.actions import cancel, terminate
from perfconsole.collectors.postgres.faults import ServerError
from perfconsole.collectors.postgres.sessions import Sessions, dress, shown
from perfconsole.core.errors import RequestError
from perfconsole.core.requests import SPECS, SessionArgs
from perfconsole.core.tables import SessionRow, View, select

NAN = float("nan")


def row(pid, *blocked_by):
    return SessionRow(pid, 1.0, "client backend", "d", "u", "a", "c", "active", "", "", NAN, NAN, NAN, blocked_by)


def tree(rows):
    return {row.pid: (row.depth, row.blocks) for row in dress(rows)}


# The tree, without a server -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row(1), row(2)], {1: (0, 0), 2: (0, 0)}),
        ([row(1), row(2, 1), row(3, 2), row(4, 3)], {1: (0, 3), 2: (1, 2), 3: (2, 1), 4: (3, 0)}),
        ([row(1), row(2, 1), row(3, 1, 2)], {1: (0, 2), 2: (1, 1), 3: (1, 0)}),
        ([row(1), row(2), row(3, 1, 2)], {1: (0, 1), 2: (0, 1), 3: (1, 0)}),
        ([row(2, 0), row(3, 2)], {2: (1, 1), 3: (2, 0)}),  # a prepared transaction is the root
        ([row(1, 2), row(2, 1), row(3, 1)], {1: (1, 2), 2: (1, 2), 3: (2, 0)}),  # a deadlock not yet broken
        ([row(3, 99)], {3: (1, 0)}),  # a blocker that is not to be seen
        ([], {}),
    ],
)
def test_depth_and_number_of_waiting_follow_the_way_to_the_root(rows, expected):
    assert tree(rows) == expected


def test_a_thousand_that_wait_for_each_other_in_a_row_take_no_time():
    rows = [row(1), *(row(pid, pid - 1) for pid in range(2, 501))]
    began = time.perf_counter()
    assert tree(rows)[500] == (499, 0)
    assert time.perf_counter() - began < 5  # a millisecond; where every way to the root is gone anew, minutes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"ALTER ROLE app PASSWORD 'hun''ter2' LOGIN", "ALTER ROLE app PASSWORD *** LOGIN"),
        (b"CREATE USER a WITH ENCRYPTED PASSWORD $x$hunter2$x$", "CREATE USER a WITH ENCRYPTED PASSWORD ***"),
        (b"SELECT dblink('host=a password=hunter2')", "SELECT dblink('host=a password=***"),
        (b"SELECT 'password' FROM t", "SELECT 'password' FROM t"),
        (b"SELECT '\x1b[31m\xff'\n\t-- [red]", "SELECT '␛[31m\ufffd'  -- [red]"),
    ],
)
def test_texts_are_safe_and_passwords_set_in_them_hidden(text, expected):
    assert shown(text) == expected


# Real sessions --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def people(cluster, database):
    """Makes connections to the test's database, each with a name; all end with the test."""
    made = []

    async def people(*names, user="postgres"):
        new = [await cluster.connect(database, user, server_settings={"application_name": name}) for name in names]
        made.extend(new)
        return new

    yield people
    for connection in made:
        connection.terminate()
    await asyncio.sleep(0.01)


@pytest.fixture
def sessions(server, database):
    """Looks at the sessions of the test's database only: others run tests on the same server."""
    looked_at = Sessions(server)

    async def look():
        table = await looked_at.measure(1.0)
        return {row.application: row for row in table.rows if row.database == database}

    look.sessions = looked_at
    return look


async def until(look, condition, within_s=60.0):
    deadline = time.monotonic() + within_s
    while True:
        found = await look()
        try:
            if condition(found):
                return found
        except KeyError:
            pass
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.02)


async def again(server, within_s=60.0):
    deadline = time.monotonic() + within_s
    while True:
        try:
            return await server.fetch("SELECT 1 AS one")
        except ServerError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def in_background(connection, sql):
    task = asyncio.create_task(connection.execute(sql))
    await asyncio.sleep(0)
    return task


async def given_up(task):
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_a_session_is_and_does(people, sessions, database):
    (shop,) = await people("shop")
    await shop.execute("BEGIN")
    await shop.execute("SELECT 'first' /* [red] \x1b[31m */")
    row = (await sessions())["shop"]
    assert (row.user, row.database, row.state, row.kind) == ("postgres", database, "idle in transaction", "client backend")
    assert row.client == "127.0.0.1"
    assert "'first'" in row.query
    assert "\x1b" not in row.query
    assert row.pid == shop.get_server_pid()
    table = sessions.sessions.table
    assert 0 <= table.server_at - row.xact_start < 5
    assert row.backend_start <= row.xact_start <= row.query_start <= row.state_change <= table.server_at


async def test_own_sessions_are_left_out_and_another_consoles_are_not(people, sessions, server):
    await people("perfconsole")
    found = await sessions()
    assert list(found) == ["perfconsole"]
    own = (await server.fetch("SELECT pg_backend_pid() AS pid"))[0]["pid"]
    assert found["perfconsole"].pid != own


async def test_applications_that_are_excluded_are_left_out(people, server, database):
    await people("pgbench", "shop")
    table = await Sessions(server, ("pgb*",)).measure(1.0)
    assert {row.application for row in table.rows if row.database == database} == {"shop"}


async def test_a_chain_of_three_has_its_root_on_top(people, sessions, cluster, database):
    await cluster.execute("CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)", database=database)
    root, first, second, third = await people("root", "first", "second", "third")
    await root.execute("BEGIN; UPDATE t SET a = 2")
    waiting = []
    for name, connection in (("first", first), ("second", second), ("third", third)):
        waiting.append(await in_background(connection, "UPDATE t SET a = 3"))
        await until(sessions, lambda found, name=name: found[name].blocked_by)
    found = await sessions()
    assert (found["root"].depth, found["root"].blocks, found["root"].blocked_by) == (0, 3, ())
    assert found["first"].depth == 1
    assert found["second"].blocked_by == (found["first"].pid,)  # on its tuple lock, not on the root
    assert found["second"].depth == 2
    assert found["third"].depth in {2, 3}
    assert found["first"].wait_type == "Lock"
    ordered = select(list(found.values()), View("session", sort="blocks"))
    assert ordered[0].application == "root"
    await root.execute("ROLLBACK")
    await asyncio.gather(*waiting)


async def test_a_lock_storm_is_one_tree(people, sessions, cluster, database):
    await cluster.execute("CREATE TABLE t (a int)", database=database)
    (root,) = await people("root")
    await root.execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    crowd = await people(*(f"w{i}" for i in range(15)))
    tasks = [await in_background(connection, "SELECT * FROM t") for connection in crowd]
    found = await until(sessions, lambda found: sum(bool(row.blocked_by) for row in found.values()) == 15)
    assert found["root"].blocks == 15
    assert all(found[f"w{i}"].blocked_by == (found["root"].pid,) for i in range(15))
    await root.execute("COMMIT")
    await asyncio.gather(*tasks)


async def test_a_prepared_transaction_is_the_root_with_what_would_end_it(people, sessions, cluster, database):
    """pg_blocking_pids says 0 of it: whose it is, and how it is called, is asked only then."""
    await cluster.execute("CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)", database=database)
    one, first, second = await people("one", "first", "second")
    await one.execute(f"BEGIN; UPDATE t SET a = 2; PREPARE TRANSACTION '{database} it''s'")
    waiting = [await in_background(first, "UPDATE t SET a = 3")]
    await until(sessions, lambda found: found["first"].blocked_by)
    waiting.append(await in_background(second, "UPDATE t SET a = 4"))
    found = await until(sessions, lambda found: found["second"].blocked_by)
    root = found[""]
    assert root.prepared
    assert (root.kind, root.state, root.user, root.database) == ("prepared transaction", "prepared", "postgres", database)
    assert root.query == f"ROLLBACK PREPARED '{database} it''s'"
    assert 0 <= sessions.sessions.table.server_at - root.xact_start < 5
    assert (root.depth, root.blocks) == (0, 2)
    assert (found["first"].blocked_by, found["first"].depth) == ((root.pid,), 1)
    assert found["second"].depth == 2
    assert sessions.sessions.table.total == len(sessions.sessions.table.rows) - 1
    await one.execute(root.query)
    await asyncio.gather(*waiting)
    assert "" not in await sessions()


async def test_two_prepared_transactions_are_told_apart_also_on_other_locks(people, sessions, cluster, database):
    await cluster.execute("CREATE TABLE t (a int)", "CREATE TABLE u (a int)", database=database)
    one, other, of_t, of_u = await people("one", "other", "of t", "of u")
    await one.execute(f"BEGIN; LOCK t IN EXCLUSIVE MODE; PREPARE TRANSACTION '{database} t'")
    await other.execute(f"BEGIN; SELECT pg_advisory_xact_lock(77); PREPARE TRANSACTION '{database} u'")
    waiting = [await in_background(of_t, "INSERT INTO t VALUES (1)"), await in_background(of_u, "SELECT pg_advisory_xact_lock(77)")]
    await until(sessions, lambda found: found["of t"].blocked_by and found["of u"].blocked_by)
    rows = {row.pid: row for row in sessions.sessions.table.rows}
    found = await sessions()
    assert [rows[found[name].blocked_by[0]].query[-3:] for name in ("of t", "of u")] == [" t'", " u'"]
    await one.execute(f"ROLLBACK PREPARED '{database} t'")
    await other.execute(f"ROLLBACK PREPARED '{database} u'")
    await asyncio.gather(*waiting)


async def test_waits_are_shares_of_what_was_seen_of_active_sessions(people, sessions):
    sleeper, _ = await people("sleeper", "idle")
    task = await in_background(sleeper, "SELECT pg_sleep(600)")
    await until(sessions, lambda found: found["sleeper"].wait == "PgSleep")
    sessions.sessions.forget()
    await sessions()
    await sessions()
    shares = dict(sessions.sessions.table.waits)
    assert shares["Timeout"] > 0.4
    assert sum(shares.values()) == pytest.approx(1.0)
    await given_up(task)


@pytest.mark.parametrize("seen_from", ["utf-8", "sql_ascii"])
async def test_a_text_in_another_encoding_breaks_nothing(cluster, server, serve, seen_from):
    await cluster.execute("CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        with cluster.psql("bytes", b"SELECT pg_sleep(600) /* \xff\xfe caf\xe9 */;"):
            looked_at = Sessions(server if seen_from == "utf-8" else serve(cluster.settings_of("bytes", "monitor")))

            async def look():
                return [row for row in (await looked_at.measure(1.0)).rows if row.database == "bytes"]

            (row,) = await until(look, lambda found: found and "caf" in found[0].query)
            assert "\ufffd" in row.query
            with pytest.raises(ServerError) as caught:  # and where somebody forgets, that question alone fails
                await server.fetch("SELECT query FROM pg_stat_activity")
            assert caught.value.cause == "query"
        assert (await again(server))[0]["one"] == 1
    finally:
        await cluster.execute("DROP DATABASE bytes WITH (FORCE)")


async def test_a_plain_role_sees_that_there_are_others_and_is_told_the_grant(people, cluster, database, serve):
    await people("shop")
    table = await Sessions(serve(cluster.settings_of(database, "plain"))).measure(1.0)
    (row,) = [row for row in table.rows if row.database == database]
    assert (row.application, row.state, isnan(row.backend_start)) == ("shop", "", True)
    assert row.key == (row.pid, 0)
    assert table.hidden >= 1
    assert 'GRANT pg_monitor TO "plain"' in table.notes[0]


# Ending one -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def signaller(cluster, database, serve):
    """The server seen by a role that may signal."""
    await cluster.execute("GRANT pg_signal_backend TO monitor")
    yield serve(cluster.settings_of(database, "monitor"))
    await cluster.execute("REVOKE pg_signal_backend FROM monitor")


def args(row):
    pid, start_us = row.key
    return SessionArgs("orders", pid, start_us)


async def test_both_are_known_to_change_something():
    assert SPECS["postgres.cancel"].changes
    assert SPECS["postgres.terminate"].changes


async def test_cancel_ends_the_statement_and_leaves_the_session(people, sessions, signaller):
    (shop,) = await people("shop", user="plain")
    task = await in_background(shop, "SELECT pg_sleep(600)")
    found = await until(sessions, lambda found: found["shop"].wait == "PgSleep")
    done = await cancel(signaller, args(found["shop"]))
    assert done.text == f"cancelled what session {found['shop'].pid} (plain shop) was running"
    with pytest.raises(asyncpg.QueryCanceledError):
        await task
    assert await shop.fetchval("SELECT 1") == 1


async def test_an_idle_transaction_is_only_helped_by_terminating_and_that_frees_who_waits(people, sessions, signaller, cluster, database):
    await cluster.execute("CREATE TABLE t (a int)", "GRANT ALL ON t TO plain", "INSERT INTO t VALUES (1)", database=database)
    root, other = await people("root", "other", user="plain")
    await root.execute("BEGIN; UPDATE t SET a = 2")
    waiting = await in_background(other, "UPDATE t SET a = 3")
    found = await until(sessions, lambda found: found["other"].blocked_by)
    with pytest.raises(RequestError, match=r"runs nothing: idle in transaction for .*: only terminating it helps"):
        await cancel(signaller, args(found["root"]))
    who = f"session {found['root'].pid} (plain root)"
    assert (await terminate(signaller, args(found["root"]))).text in {f"terminated {who}", f"told {who} to end"}
    assert await waiting == "UPDATE 1"
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)):
        await root.execute("SELECT 1")


async def test_another_start_is_another_session_and_nothing_is_done(people, sessions, signaller):
    (shop,) = await people("shop", user="plain")
    row = (await sessions())["shop"]
    wrong = SessionArgs("orders", row.pid, row.key[1] - 1)
    for act in (cancel, terminate):
        with pytest.raises(RequestError, match="its pid belongs to another one now: nothing was done"):
            await act(signaller, wrong)
        with pytest.raises(RequestError, match="has ended: nothing was done"):
            await act(signaller, SessionArgs("orders", 2**22 + 5, 1))
    assert await shop.fetchval("SELECT 1") == 1


async def test_our_own_session_is_refused(signaller):
    own = (await signaller.fetch("SELECT pg_backend_pid() AS pid"))[0]["pid"]
    with pytest.raises(RequestError, match="perfconsole's own"):
        await terminate(signaller, SessionArgs("orders", own, 1))


async def test_without_the_right_it_is_refused_with_the_grant(people, sessions, server):
    (shop,) = await people("shop", user="plain")
    task = await in_background(shop, "SELECT pg_sleep(600)")
    found = await until(sessions, lambda found: found["shop"].wait == "PgSleep")
    for act in (cancel, terminate):
        with pytest.raises(RequestError, match='GRANT pg_signal_backend TO "monitor"'):
            await act(server, args(found["shop"]))
    assert (await sessions())["shop"].wait == "PgSleep"
    await given_up(task)


async def test_a_superusers_session_stays(people, sessions, signaller):
    (admin,) = await people("admin")
    task = await in_background(admin, "SELECT pg_sleep(600)")
    found = await until(sessions, lambda found: found["admin"].wait == "PgSleep")
    with pytest.raises(RequestError, match="only a superuser can end"):
        await terminate(signaller, args(found["admin"]))
    assert (await sessions())["admin"].wait == "PgSleep"
    await given_up(task)


async def test_the_collector_offers_both_and_knows_its_servers(people, sessions, cluster, database):
    from perfconsole.collectors.postgres import PostgresCollector

    await people("shop", user="plain")
    row = (await sessions())["shop"]
    collector = PostgresCollector([cluster.settings_of(database, "postgres")])
    run = {operation.spec.name: operation.run for operation in collector.operations}
    with pytest.raises(RequestError, match="no server is called 'elsewhere': there are: orders"):
        await run["postgres.terminate"](SessionArgs("elsewhere", *row.key))
    assert re.match("terminated|told", (await run["postgres.terminate"](args(row))).text)
    collector.close()
    await asyncio.sleep(0.01)
