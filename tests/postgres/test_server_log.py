"""Refused log-ins of a real server, as its log tells of them."""

import asyncio
import contextlib
import time

import asyncpg
import pytest

from perfconsole.collectors.postgres.server_log import UNKNOWN, ServerLog

AT = 1_700_000_000.0


@pytest.fixture
def logging_cluster(make_cluster):
    """A server with the logging collector on, which asks `locked` for a password."""

    def start(**settings):
        cluster = make_cluster(logging_collector="on", log_directory="log", **settings)
        rules = cluster.data / "pg_hba.conf"
        rules.write_text("host all locked 127.0.0.1/32 scram-sha-256\nhost all banned 127.0.0.1/32 reject\n" + rules.read_text())
        return cluster.start()

    return start


@pytest.fixture
def follow(serve):
    """Follows the log of a cluster; gives the list of what was refused."""
    made = []

    def follow(cluster, user="postgres"):
        refused = []
        log = ServerLog(serve(cluster.settings_of(user=user)), lambda *failure: refused.append(failure))
        made.append(log)
        return log, refused

    yield follow
    for log in made:
        log.close()


async def try_as(cluster, user, password="wrong"):
    with contextlib.suppress(asyncpg.PostgresError):
        connection = await cluster.connect(user=user, password=password)
        await connection.close()


async def refusals(log, refused, count):
    deadline = time.monotonic() + 10.0
    while len(refused) < count:
        assert time.monotonic() < deadline, refused
        await log.look(AT, 1.0)
        await asyncio.sleep(0.02)
    return refused


async def test_each_refusal_is_told_with_its_user_and_where_it_came_from(logging_cluster, follow):
    cluster = logging_cluster(log_connections="on")
    await cluster.execute("CREATE ROLE locked LOGIN PASSWORD 'right'", "CREATE ROLE banned LOGIN")
    await try_as(cluster, "locked")
    log, refused = follow(cluster)
    await log.look(AT, 1.0)
    assert refused == []  # what was written before is history
    await try_as(cluster, "locked")
    await try_as(cluster, "nobody-knows-him")
    await try_as(cluster, "banned")
    await try_as(cluster, "locked", "right")
    await try_as(cluster, "locked")
    assert await refusals(log, refused, 4) == [
        ("postgresql", "127.0.0.1", user, AT) for user in ("locked", "nobody-knows-him", "banned", "locked")
    ]


async def test_without_the_address_in_the_log_it_is_not_made_up(logging_cluster, follow):
    cluster = logging_cluster(log_connections="off")
    log, refused = follow(cluster)
    await log.look(AT, 1.0)
    await try_as(cluster, "who", "x")
    assert await refusals(log, refused, 1) == [("postgresql", UNKNOWN, "who", AT)]


async def test_with_the_address_in_the_prefix_it_is_taken_from_there(logging_cluster, follow):
    cluster = logging_cluster(log_connections="off", log_line_prefix="%t %r ")
    log, refused = follow(cluster)
    await log.look(AT, 1.0)
    await try_as(cluster, "who", "x")
    assert await refusals(log, refused, 1) == [("postgresql", "127.0.0.1", "who", AT)]


async def test_what_users_write_into_the_log_is_not_believed(logging_cluster, follow):
    cluster = logging_cluster()
    log, refused = follow(cluster)
    await log.look(AT, 1.0)
    said = 'FATAL:  password authentication failed for user "victim"'
    with contextlib.suppress(asyncpg.PostgresError):
        await cluster.execute(f"SELECT 1 /*\n{said}\n*/ / 0", f"SELECT 2/*{said}*/")
    await cluster.execute(f"DO $$BEGIN RAISE LOG E'x\\n{said}'; RAISE WARNING '{said}'; END$$")
    await try_as(cluster, "who", "x")
    assert await refusals(log, refused, 1) == [("postgresql", UNKNOWN, "who", AT)]


async def test_the_next_log_is_read_from_its_beginning_and_the_rest_of_the_last_one_too(logging_cluster, follow):
    cluster = logging_cluster(log_filename="first.log")
    log, refused = follow(cluster)
    await log.look(AT, 1.0)
    await try_as(cluster, "one", "x")
    await cluster.execute("SELECT pg_reload_conf()")
    first = cluster.data / "log" / "first.log"
    deadline = time.monotonic() + 10.0
    while "one" not in first.read_text():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    second = cluster.data / "log" / "second.log"
    (cluster.data / "current_logfiles").write_text("stderr log/second.log\n")
    second.write_text('2026-01-01 00:00:00 UTC [7] FATAL:  role "two" does not exist\n')
    await log.look(AT, 10_000.0)
    assert [user for _, _, user, _ in refused] == ["one", "two"]


async def test_who_may_not_know_where_the_log_lies_is_left_in_peace(cluster, follow):
    log, refused = follow(cluster, user="plain")
    await log.look(AT, 1.0)
    await log.look(AT, 2.0)
    assert refused == []


async def test_debians_log_is_found_by_the_name_of_the_cluster(make_cluster, serve, tmp_path):
    cluster = make_cluster(cluster_name="15/main").start()
    refused = []
    log = ServerLog(serve(cluster.settings_of()), lambda *failure: refused.append(failure), debian=str(tmp_path))
    written = tmp_path / "postgresql-15-main.log"
    written.write_text("")
    await log.look(AT, 1.0)
    line = (
        '2026-01-01 00:00:00.000 UTC [9] bob@shop FATAL:  no pg_hba.conf entry for host "192.0.2.7", user "bob", database "shop", SSL off\n'
    )
    written.write_text(line)
    await log.look(AT, 2.0)
    log.close()
    assert refused == [("postgresql", "192.0.2.7", "bob", AT)]
