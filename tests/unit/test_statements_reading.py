"""How pg_stat_statements is asked for: columns of every version, a reset in the middle of a reading, a server that is too slow."""

import asyncio
from math import isnan

import pytest

from perfconsole.collectors.postgres.faults import DOWN, ServerError
from perfconsole.collectors.postgres.statements import Statements
from perfconsole.collectors.postgres.statements.source import find, parsed
from perfconsole.core.ports import Slot
from perfconsole.core.tables import View

OLD = [
    "userid", "dbid", "queryid", "query", "plans", "total_plan_time", "calls", "total_exec_time", "stddev_exec_time", "max_exec_time",
    "rows", "shared_blks_hit", "shared_blks_read", "temp_blks_written", "blk_read_time", "blk_write_time", "wal_bytes",
]  # fmt: skip
NEW = [
    *(name for name in OLD if not name.startswith("blk")), "toplevel", "shared_blk_read_time", "shared_blk_write_time",
    "local_blk_read_time", "temp_blk_read_time", "stats_since", "minmax_stats_since",
]  # fmt: skip
FOUND = {
    "version": "1.11", "schema": "public", "columns": " ".join(NEW), "info": True, "entries": "5000", "planning": "off", "io": "on",
    "block": 8192, "preloaded": "pg_stat_statements", "available": None,
}  # fmt: skip
VIEW = View("statement", "db", "load", window="tick")


class Server:
    """Answers each question as it is told to."""

    name, user, database, version, connects, connected = "db", "monitor", "shop", 170000, 1, True

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def fetch(self, sql, *_, **__):
        self.asked.append(sql)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def edge(at, reset=50.0):
    return (0, at, reset, 4711, None, None, 40.0, None, None, None, None, None, None, 10, 5, None, None)


def answer(at, calls, reset=50.0):
    row = (calls, calls * 2.0, 0.0, calls, 0, 0, 0.0, 0, 0, 0.0, 2.0, 60.0, 60.0, 10, 5, 77, True)
    return [edge(at - 0.01, reset), row, edge(at, reset)]


async def test_the_columns_asked_for_are_those_that_there_are():
    newest = await find(Server([FOUND]))
    assert "shared_blk_read_time + shared_blk_write_time + local_blk_read_time + temp_blk_read_time, " in newest.sql
    assert "date_part('epoch', stats_since)" in newest.sql
    oldest = await find(Server([FOUND | {"version": "1.8", "schema": '"my schema"', "columns": " ".join(OLD), "info": False, "io": "off"}]))
    assert " blk_read_time + blk_write_time, " in oldest.sql
    assert "stats_since" not in oldest.sql
    assert "pg_stat_statements_info" not in oldest.sql
    assert 'true FROM "my schema".pg_stat_statements(false)' in oldest.sql
    assert "toplevel" not in oldest.sql


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"version": None, "available": False, "entries": None, "preloaded": ""}, "install PostgreSQL's contrib package"),
        (
            {"version": None, "available": True, "entries": None, "preloaded": None},
            "(beside what is there), restart the server, then CREATE",
        ),
        ({"version": None, "available": True}, 'is not in database "shop"'),
        (
            {"entries": None, "preloaded": 'a, "b c"'},
            "ALTER SYSTEM SET shared_preload_libraries = 'a', 'b c', 'pg_stat_statements', restart",
        ),
        ({"version": "1.6", "columns": "total_time"}, "1.6 is too old: ALTER EXTENSION pg_stat_statements UPDATE"),
    ],
)
async def test_what_is_missing_is_said_with_the_statement_that_mends_it(found, said):
    assert said in await find(Server([FOUND | found]))


def test_a_reset_in_the_middle_of_a_reading_makes_it_none():
    torn = [edge(100.0), *answer(100.0, 3)[1:2], edge(100.1, reset=100.05)]
    steps = parsed(torn)
    with pytest.raises(StopIteration) as done:
        next(steps)
    assert done.value.value.sample is None
    assert done.value.value.own == (10, 5, 4711)


async def test_after_a_torn_reading_the_next_counts_from_the_last_good_one():
    torn = [edge(105.0), *answer(105.0, 9)[1:2], edge(105.1, reset=105.05)]
    server = Server([FOUND], answer(100.0, 3), [], [], torn, [], answer(110.0, 8, reset=105.05), [])
    statements = Statements(server)
    for boot in (1000.0, 1006.0, 1012.0):
        table = (await statements.run(Slot(boot, boot, boot + 5), [VIEW])).tables[0]
    assert [(row.calls, table.window_s) for row in table.rows] == [(8, 10.0)]


async def test_a_server_that_takes_too_long_is_asked_more_seldom_and_says_why():
    slow = ServerError("db: a question was given up", "it is asked again", code="57014")
    server = Server([FOUND], answer(100.0, 3), [], [], slow)
    statements = Statements(server)
    await statements.run(Slot(0, 1000.0, 1005), [VIEW])
    table = (await statements.run(Slot(0, 1006.0, 1011), [VIEW])).tables[0]
    assert "given up" in table.notes[0]
    assert isnan(table.window_s)
    asked = len(server.asked)
    assert (await statements.run(Slot(0, 1012.0, 1017), [VIEW])).tables == ()
    assert len(server.asked) == asked
    server.answers = [answer(116.0, 5), [], answer(121.0, 6), []]
    table = (await statements.run(Slot(0, 1016.5, 1021), [VIEW])).tables[0]
    assert ([row.calls for row in table.rows], table.window_s, table.notes) == ([2], 16.0, ())
    assert (await statements.run(Slot(0, 1022.0, 1027), [VIEW])).tables


async def test_a_server_that_is_down_is_no_matter_of_statements():
    server = Server(ServerError("db: down", cause=DOWN))
    with pytest.raises(ServerError):
        await Statements(server).run(Slot(0, 1000.0, 1005), [VIEW])


async def test_who_looks_while_an_interval_is_added_up_sees_all_of_it_or_nothing():
    view = View("statement", "db", "load", window="open")
    for turns in range(12):
        server = Server([FOUND], answer(100.0, 100), [], [], answer(110.0, 110), [], answer(120.0, 120), [])
        statements = Statements(server)
        for boot in (1000.0, 1006.0):
            await statements.run(Slot(boot, boot, boot + 5), [view])
        adding = asyncio.create_task(statements.run(Slot(1012.0, 1012.0, 1017.0), [view]))
        for _ in range(turns):
            await asyncio.sleep(0)
        table = (await statements.look([view]))[0]
        assert [row.calls for row in table.rows] == [table.window_s], turns
        await adding


@pytest.mark.parametrize(
    ("window", "cost_s", "said"), [("tick", 0.01, ""), ("", 0.01, ""), ("tick", 0.08, "every 10 s"), ("", 0.5, "every 60 s")]
)
async def test_that_a_look_is_dear_is_said_where_it_is_and_not_of_a_recorder_that_looks_seldom(window, cost_s, said):
    def read(at, calls):
        return [edge(at - cost_s), *answer(at, calls)[1:]]

    server = Server([FOUND], read(100.0, 100), [], [], read(110.0, 110), [])
    statements = Statements(server)
    for boot in (1000.0, 1040.0):
        table = (await statements.run(Slot(boot, boot, boot + 5), [View("statement", "db", "load", window=window)])).tables[0]
    assert ("read every" in " ".join(table.notes)) == bool(said)
    assert said in " ".join(table.notes)
