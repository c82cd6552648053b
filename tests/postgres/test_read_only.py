"""The console cannot change a database: every screen, every key and every command as a role that may do anything, and the server's own log.

New keys and screens are in the walk by themselves: it takes its keys from the table of actions. What cannot ask a server is left out by
name, below; an action that must not be confirmed is left with Esc like every other.
"""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import threading
import time

import pytest
from world import console_app

from perfconsole import assembly
from perfconsole.config.actions import ACTIONS
from perfconsole.config.load import load
from perfconsole.core.tables import SessionTable, StatementTable
from perfconsole.engine.local import LocalSource
from perfconsole.ui.widgets.queries import QueriesPane

ASKS_NOBODY = {
    "help", "quit", "back", "palette", "theme", "screenshot", "reload", "copy", "replay.play",
    "filter", "sort", "reverse", "freeze", "expand", "time.back", "time.forward", "time.narrower", "time.go", "time.live",
    *(action.id for action in ACTIONS if action.id.startswith(("nav.", "screen.", "process."))),
}  # fmt: skip
READS = re.compile(
    r"(SELECT|WITH|EXPLAIN|PREPARE|DEALLOCATE|ROLLBACK|SHOW|SAVEPOINT)\b|BEGIN( ISOLATION LEVEL \w+ ?\w*)? READ ONLY\b|SET LOCAL\b"
)
WRITES = re.compile(
    r"\b(pg_cancel_backend|pg_terminate_backend|pg_stat_reset\w*|pg_stat_statements_reset|pg_reload_conf|pg_switch_wal|pg_create_\w+"
    r"|pg_drop_\w+|pg_wal_replay_(pause|resume)|pg_promote|pg_advisory_\w+|nextval|setval|lo_\w+|dblink\w*|txid_current\b|pg_current_xact_id\b"
    r"|FOR (UPDATE|SHARE|NO KEY UPDATE|KEY SHARE)|INTO)\b"
)
TRAP = 'SELECT /* ; DROP TABLE precious; */ count(*) AS "; DROP TABLE precious; --" FROM precious WHERE id < $1::int'


@pytest.fixture
def busy(make_cluster):
    """A server that writes down what it is asked, with a table to lose, statements to plan, and sessions that wait for one another."""
    cluster = make_cluster(log_statement="all", log_line_prefix="<%a|%p> ").start()
    asyncio.run(
        cluster.execute(
            "ALTER ROLE writer SUPERUSER",
            "CREATE TABLE precious AS SELECT generate_series(1, 1000) AS id, 'x' AS name",
            "CREATE INDEX ON precious (id)",
            "ANALYZE precious",
        )
    )
    ending, begun = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(load_it(cluster, ending, begun)))
    thread.start()
    assert begun.wait(60)
    yield cluster
    ending.set()
    thread.join()


async def load_it(cluster, ending, begun):
    """Reads until it is told to end; two sessions, one of which waits for the other."""
    app, holder, waiter = [await cluster.connect(server_settings={"application_name": "shop"}, statement_cache_size=0) for _ in range(3)]
    await holder.execute("BEGIN; LOCK TABLE precious IN ROW EXCLUSIVE MODE")
    waiting = asyncio.create_task(waiter.execute("BEGIN; LOCK TABLE precious IN SHARE MODE"))
    begun.set()
    while not ending.is_set():
        await app.fetch(TRAP, 10)
        await app.fetch(TRAP, 20)
        await app.fetch("SELECT name FROM precious WHERE id = $1", 7)
        await app.fetch("SELECT pg_sleep(0.02)")
    for connection in (holder, app, waiter):
        connection.terminate()
    with contextlib.suppress(Exception):
        await waiting


async def counters(cluster):
    """What any change would move: no transaction got an id, no table was touched, no setting or statistic was made anew."""
    connection = await cluster.connect()
    try:
        return tuple(
            [
                await connection.fetchval(sql)
                for sql in (
                    "SELECT txid_snapshot_xmax(txid_current_snapshot())",
                    "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables",
                    "SELECT md5(string_agg(name || setting, ',' ORDER BY name)) FROM pg_settings WHERE source <> 'client'",
                    "SELECT stats_reset FROM pg_stat_bgwriter",
                    "SELECT count(*) FROM precious",
                )
            ]
        )
    finally:
        await connection.close()


def asked(cluster):
    """Every statement that perfconsole sent, one by one."""
    entries = re.split(r"(?m)^(?=<[^|\n]*\|\d+> )", (cluster.directory / "log").read_text(errors="replace"))
    for entry in entries:
        found = re.match(r"<perfconsole\|\d+> LOG:  (?:statement|execute [^:]*): (.*)", entry, re.DOTALL)
        if found:
            yield from _split(found[1])


def _split(text):
    plain = re.sub(r"/\* perfconsole \*/ ?", "", text).strip()
    if plain.startswith("BEGIN"):  # ours, and sent together
        return [part.strip() for part in plain.split(";") if part.strip()]
    return [plain]


def only_reads(statements):
    assert len(statements) > 20
    for text in statements:
        assert READS.match(text), text
        if not text.startswith(("PREPARE", "EXPLAIN")):
            assert not WRITES.search(re.sub(r"'(?:[^']|'')*'", "''", text)), text
        assert not re.match(r"EXPLAIN\b[^)]*\bANALYZE\b(?! *(false|off))", text), text


def configured(cluster, path):
    path.write_text(f'[[postgres]]\nname = "orders"\ndsn = "{cluster.dsn(user="writer")}"\ninterval = "1s"\n')
    path.chmod(0o600)
    return path


async def test_walking_through_every_screen_and_key(busy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("textual._wait.SLEEP_GRANULARITY", 0.002)  # 20 ms twice a key are most of a test's time
    before = await counters(busy)
    config = load(str(configured(busy, tmp_path / "pc.toml")), env={}).config
    engine = assembly.build_engine(config)
    engine.start()
    try:
        app = console_app(LocalSource(engine))
        async with app.run_test(size=(160, 48)) as pilot:
            for way in ("1", "4", "4 tab", "4 enter", "4 d"):
                await walk(app, pilot, way.split())
            state = app.pump.live
            assert any("precious" in row.query for row in state.table(StatementTable, "orders").rows)
            assert any(row.blocked_by for row in state.table(SessionTable, "orders").rows)
    finally:
        engine.stop()
    statements = list(asked(busy))
    only_reads(statements)
    assert any("pg_stat_statements" in text for text in statements)
    assert any("pg_blocking_pids" in text for text in statements)
    assert any(text.startswith("EXPLAIN") for text in statements), "no plan was asked for: the walk has lost its way"
    assert await counters(busy) == before


async def walk(app, pilot, way):
    """Every key at one place, each followed by Esc; the place is found again before each."""
    for action in ACTIONS:
        if action.id in ASKS_NOBODY:
            continue
        for _ in range(100):  # however deep the last key led
            if len(app.screen_stack) == 1:
                break
            await pilot.press("escape")
            await answered(app, pilot)
        else:
            raise AssertionError(f"Esc does not lead out of {app.screen_stack}")
        for step in way:
            await pilot.press(step)
            if step == "4":
                await pilot.pause()
                pane = app.front.query_one(QueriesPane)
                if pane.sort != "calls":  # first then is one that can be planned, and had better not be run
                    pane.order_by("calls")
                for _ in range(600):
                    await pilot.press("g")
                    if pane.row and "DROP TABLE" in pane.row.query:
                        break
                    await pilot.pause(0.1)
                else:
                    raise AssertionError([(row.calls, row.query) for row in pane.table(app.state).rows])
        await pilot.press(named(action.keys[0]))
        await answered(app, pilot)
        await pilot.press("escape", "escape")


async def answered(app, pilot):
    """Wait until whatever a key asked for is there: a plan takes several questions."""
    await pilot.pause()
    patience = time.monotonic() + 60.0
    while any(not worker.is_finished for worker in app.workers):
        assert time.monotonic() < patience, list(app.workers)
        await asyncio.sleep(0.002)
    await pilot.pause()


def named(key):
    """As Textual calls it."""
    return {"[": "left_square_bracket", "]": "right_square_bracket", ",": "comma", ".": "full_stop", "/": "slash"}.get(key, key)


def commands():
    """What there is, as the program itself tells."""
    text = subprocess.run([sys.executable, "-m", "perfconsole", "--help"], check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"(?m)^    ([a-z]+) +[a-z]", text))


def test_every_command(busy, tmp_path):
    config = configured(busy, tmp_path / "pc.toml")
    env = os.environ | {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    before = asyncio.run(counters(busy))
    tried = set()

    def run(*words, code=0):
        tried.add(words[0])
        argv = [sys.executable, "-m", "perfconsole", *words[:1], "--config", str(config), *words[1:]]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=120, env=env, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        return done.stdout

    assert '"postgresql.up"' in run("snapshot", "--json")
    told = run("queries", "--window", "1s", "--json")
    assert "precious" in told, told
    queryid = re.search(r'"queryid": "(-?\d+)"(?:(?!queryid).)*precious', told, re.DOTALL)[1]
    assert "precious" in run("queries", "explain", queryid)
    run("record", "night.rec", "--for", "1s")
    run("doctor")
    asks_nobody = {"alerts", "config", "events", "init", "keys", "mark", "notify", "probe", "themes", "replay"}  # no server, that is
    assert commands() - asks_nobody == tried
    statements = list(asked(busy))
    only_reads(statements)
    assert any(text.startswith("EXPLAIN") for text in statements)
    assert asyncio.run(counters(busy)) == before
