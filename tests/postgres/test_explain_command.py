"""`perfconsole queries explain` as somebody types it, against a real server."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time

import pytest

SCHEMA = (
    "CREATE EXTENSION pg_stat_statements",
    "CREATE ROLE one LOGIN SUPERUSER",
    "CREATE ROLE two LOGIN SUPERUSER",
    "CREATE TABLE orders (id serial PRIMARY KEY, customer text)",
    "INSERT INTO orders (customer) SELECT 'c' || g % 1000 FROM generate_series(1, 20000) g",
    "ANALYZE orders",
)
ID = "SELECT queryid FROM pg_stat_statements WHERE query = 'SELECT * FROM orders WHERE customer = $1' AND calls = 3"


@pytest.fixture(scope="module")
def shop(cluster):
    """A database in which two roles ran one statement, and its id."""
    name = f"explain{time.monotonic_ns()}"

    async def make():
        await cluster.execute(f"CREATE DATABASE {name}")
        await cluster.execute(*SCHEMA, "SELECT pg_stat_statements_reset()", database=name)
        for user, calls in (("one", 1), ("two", 3)):
            await cluster.execute(*["SELECT * FROM orders WHERE customer = 'c5'"] * calls, database=name, user=user)
        connection = await cluster.connect(name)
        queryid = await connection.fetchval(ID)
        await connection.close()
        return queryid

    yield name, str(asyncio.run(make()))
    asyncio.run(cluster.execute(f"DROP DATABASE {name} WITH (FORCE)", "DROP ROLE one", "DROP ROLE two"))


@pytest.fixture
def explain(cluster, shop, tmp_path):
    def run(*args, dsn=None, command=("queries", "explain")):
        env = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        return subprocess.run(
            [sys.executable, "-m", "perfconsole", *command, "--dsn", dsn or cluster.dsn(shop[0]), *args],
            env=env | {"HOME": str(tmp_path), "LANG": "C.UTF-8"}, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip

    return run


def test_a_tree_for_people_and_the_one_that_took_most_time(explain, shop):
    done = explain(shop[1])
    assert done.returncode == 0
    assert "Seq Scan on orders  <- filter without an index: keeps 20 of 20k rows" in done.stdout
    assert "Filter: (orders.customer = $1)" in done.stdout
    assert "for any values" in done.stdout
    assert "CREATE UNIQUE INDEX orders_pkey" in done.stdout
    assert "is known 2 times: taken is that of user two in database" in done.stderr


def test_json_for_programs_and_one_of_two_users(explain, shop):
    done = explain(shop[1], "--json", "--user", "one", "--values", "c7", "--analyze")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert told["schema"] == "perfconsole.explain/1"
    assert (told["queryid"], told["user"], told["how"]) == (shop[1], "one", "analyze")
    (node,) = told["nodes"]
    assert node["actual_rows"] == 20
    assert told["execution_s"] > 0
    assert told["query"] == "SELECT * FROM orders WHERE customer = $1"
    assert told["relations"][0]["name"] == "orders"
    assert told["parameter_types"] == ["text"]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("1",), 3, "no statement has queryid 1"),
        (("ID", "--user", "nobody"), 3, "no statement of user nobody has queryid"),
        (("ID", "--live"), 3, "no session runs it now|tells which session runs a statement from 14 on"),
        (("ID", "--values", "a", "b"), 3, "the statement has 1 parameters, given were 2 values"),
        (("ID", "--live", "--values", "a"), 64, "--live and --values: one of them"),
        (("abc",), 64, "invalid int value: 'abc'"),
        ((), 64, "the following arguments are required: QUERYID"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_code(explain, shop, args, code, said):
    done = explain(*(shop[1] if arg == "ID" else arg for arg in args))
    assert (done.returncode, done.stdout) == (code, "")
    assert re.search(said, done.stderr.splitlines()[-1])


def test_a_server_that_is_not_there(explain):
    done = explain("5", dsn="postgresql://postgres@127.0.0.1:9/postgres")
    assert done.returncode == 3
    assert "down: connection refused: start it, or see that host and port are right" in done.stderr


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--window", "1s"), 3, "CREATE EXTENSION pg_stat_statements"),
        (("--limit", "-3"), 64, "--limit: found -3: accepted: 1 and more"),
        (("--window", "2h"), 64, "accepted: 1s to 1h"),
    ],
)
def test_what_loads_a_server_cannot_always_be_told(explain, cluster, args, code, said):
    done = explain(*args, dsn=cluster.dsn("template1"), command=("queries",))
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_without_the_extension_what_to_do_is_said(explain, cluster):
    done = explain("5", dsn=cluster.dsn("template1"))
    assert done.returncode == 3
    assert "CREATE EXTENSION pg_stat_statements" in done.stderr
