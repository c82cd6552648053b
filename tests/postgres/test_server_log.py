"""Refused log-ins of a real server, as its log tells of them."""

import asyncio
import contextlib
import time

import asyncpg
import pytest

from perfconsole.collectors.postgres.log_lines import Refusal, Text
from perfconsole.collectors.postgres.server_log import UNKNOWN, ServerLog

AT = 1_700_000_000.0


@pytest.fixture
def logging_cluster(make_cluster):
    """A server with the logging collector on, which asks `locked` for a password."""

    def start(**settings):
        cluster = make_cluster(logging_collector="on", log_directory="log", **settings)
        if settings.get("log_destination") == "jsonlog" and int((cluster.data / "PG_VERSION").read_text()) < 15:
            pytest.skip("jsonlog came with PostgreSQL 15")
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
    deadline = time.monotonic() + 60
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
    deadline = time.monotonic() + 60
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


@pytest.mark.parametrize("destination", ["csvlog", "jsonlog"])
async def test_records_tell_who_and_from_where_whatever_the_prefix_is(logging_cluster, follow, destination):
    cluster = logging_cluster(log_connections="off", log_destination=destination)
    await cluster.execute("CREATE ROLE locked LOGIN PASSWORD 'right'", "CREATE ROLE banned LOGIN")
    log, refused = follow(cluster)
    assert await log.look(AT, 1.0) == []
    said = 'x\n2026-01-01 00:00:00.000 UTC,"victim","d",1,"9.9.9.9:1",1.1,1,"authentication",,,0,FATAL,28P01,"no"\n{"state_code":"28P01"}'
    await cluster.execute(
        f"DO $$BEGIN RAISE LOG '{said}'; RAISE LOG USING MESSAGE = '\"', ERRCODE = '28P01'; END$$",
    )
    await try_as(cluster, "locked")
    await try_as(cluster, 'odd "user", name')
    await try_as(cluster, "banned")
    assert await refusals(log, refused, 3) == [("postgresql", "127.0.0.1", user, AT) for user in ("locked", 'odd "user", name', "banned")]


@pytest.mark.parametrize(
    ("prefix", "written", "host"),
    [
        ("%m [%p] ", "2026-01-01 00:00:00.000 UTC [7] ", ""),
        ("%m [%p] %h ", "2026-01-01 00:00:00.000 UTC [7] 192.0.2.7 ", "192.0.2.7"),
        ("%t:%r:%u@%d:[%p]: ", "2026-01-01 00:00:00 UTC:192.0.2.7(5123):9.9.9.9(1) @x:[7]: ", "192.0.2.7"),
        ("%m [%p] %q%u@%d ", "2026-01-01 00:00:00.000 UTC [7] 9.9.9.9(1)@x ", ""),
        ("%m [%p] user=%u,db=%d,client=%h ", "2026-01-01 00:00:00.000 UTC [7] user=a,client=9.9.9.9 ,db=x,client=192.0.2.7 ", "192.0.2.7"),
        ("%u %h %d ", "a 9.9.9.9 x 192.0.2.7 y ", ""),
        ("%m %-16h|%u ", "2026-01-01 00:00:00.000 UTC 192.0.2.7       |a ", "192.0.2.7"),
        ("%h%%%p ", "2001:db8::7%7 ", "2001:db8::7"),
    ],
    ids=["none", "host", "before the user", "a user like a host", "after the user", "between", "padded", "IPv6"],
)
def test_an_address_is_taken_only_from_where_no_client_writes(prefix, written, host):
    take = Text(prefix)
    assert take(f'{written}FATAL:  password authentication failed for user "who"') == Refusal("who", host)


@pytest.mark.parametrize("prefix", ["%u %h %r ", "%r %h ", "%h %r %u "])
def test_an_address_may_stand_there_twice(prefix):
    written = prefix.replace("%u", "a").replace("%h", "192.0.2.7").replace("%r", "192.0.2.7(5123)")
    assert Text(prefix)(f'{written}FATAL:  role "who" does not exist') == Refusal("who", "192.0.2.7")


@pytest.mark.parametrize(
    ("prefix", "first", "other", "host"),
    [
        ("%m [%p] ", "2026-01-01 00:00:00.000 UTC [7] ", "2026-01-01 00:00:00.000 UTC [8] ", "192.0.2.7"),
        ("%t ", "2026-01-01 00:00:00 UTC ", "2026-01-01 00:00:00 UTC ", ""),
        ("%t %p %u ", "2026-01-01 00:00:00 UTC 7 who ", "2026-01-01 00:00:00 UTC 8 [unknown] ", "192.0.2.7"),
        ("%u@%d [%p] ", "x[8]@y [7] ", "[unknown]@[unknown] [8] ", "192.0.2.7"),
        ("%u [%p] %d ", "x [8] y [7] z ", "[unknown] [8] [unknown] ", ""),
    ],
    ids=["usual", "no process", "without brackets", "a user like a process", "between"],
)
def test_an_address_that_was_logged_before_is_that_of_the_same_process(prefix, first, other, host):
    take = Text(prefix)
    known = first.replace("x[8]@y", "[unknown]@[unknown]")
    assert take(f"{known}LOG:  connection received: host=192.0.2.7 port=1") is None
    assert take(f"{other}LOG:  connection received: host=9.9.9.9 port=2") is None
    assert take(f'{first}FATAL:  password authentication failed for user "who"') == Refusal("who", host)


@pytest.mark.parametrize("prefix", ["%m [%p] %q%u@%d %a ", "%a %m [%p] "])
def test_what_an_application_calls_itself_is_no_refusal(prefix):
    said = prefix.replace("%q", "").replace("%m", "2026-01-01 00:00:00.000 UTC").replace("%p", "7").replace("%u@%d", "joe@shop")
    take = Text(prefix)
    assert take(said.replace("%a", 'FATAL:  role "root" does not exist') + "ERROR:  division by zero") is None
    assert take(said.replace("%a", "[unknown]") + 'FATAL:  role "who" does not exist') == Refusal("who", "")


async def test_what_cannot_be_followed_is_said_with_what_would_help(make_cluster, logging_cluster, follow):
    quiet, _ = follow(make_cluster().start())
    [health] = await quiet.look(AT, 1.0)
    assert (health.collector, health.state) == ("postgres.log", "off")
    assert "logging_collector" in health.fix
    assert await quiet.look(AT, 2.0) == []
    logging = logging_cluster()
    poor, _ = follow(logging, user="plain")
    [health] = await poor.look(AT, 1.0)
    assert health.state == "denied"
    assert "pg_monitor" in health.fix
    foreign, _ = follow(logging)
    written = next((logging.data / "log").iterdir())
    aside = written.rename(logging.data / "aside")
    [health] = await foreign.look(AT, 1.0)
    assert (health.state, str(written) in health.error) == ("off", True)
    aside.rename(written)
    [health] = await foreign.look(AT, 2.0)
    assert (health.state, health.error) == ("ok", "")


@pytest.mark.parametrize(
    ("language", "state"),
    [("C.UTF-8", "ok"), ("en_US.UTF-8", "ok"), ("POSIX", "ok"), ("", "ok"), ("cs_CZ.UTF-8", "off"), ("ca_ES", "off"), ("de_DE", "off")],
)
async def test_words_of_another_language_are_not_taken_for_silence(tmp_path, language, state):
    written = tmp_path / "log"
    written.touch()

    class Server:
        name = "orders"

        async def fetch(self, sql):
            shown = {"directory": str(tmp_path), "file": "log", "cluster": "", "prefix": "%m [%p] ", "language": language, "address": None}
            return [shown]

    log = ServerLog(Server(), None)
    told = await log.look(AT, 1.0)
    log.close()
    assert [health.state for health in told] == ([] if state == "ok" else [state])
