"""What goes wrong with a server, made for real: each fault has its words, its fix, and an end."""

import asyncio
import shutil
import signal
import socket
import subprocess
import time

import pytest
from vacant import closed_port, vacant_port

from perfconsole.collectors.postgres.faults import ServerError
from perfconsole.config.servers import ServerSettings
from perfconsole.core.errors import CollectorError


async def fault(server, sql="SELECT 1", **kwargs):
    with pytest.raises(ServerError) as caught:
        await server.fetch(sql, **kwargs)
    return caught.value


async def again(server, within_s=60.0):
    """Ask until there is an answer, as the collector does."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return await server.fetch("SELECT 1 AS one")
        except ServerError:
            assert time.monotonic() < deadline, "it did not come back"
            await asyncio.sleep(0.1)


def on_port(port, **changes):
    return ServerSettings("orders", f"postgresql://monitor@127.0.0.1:{port}/postgres?sslmode=disable", **changes)


# Not reached ----------------------------------------------------------------------------------------------------------------------


async def test_nobody_listens(serve, pg_directory):
    port = closed_port()
    said = await fault(serve(on_port(port)))
    assert (said.cause, said.state) == ("down", "error")
    assert said.message == f"127.0.0.1:{port}: down: connection refused"
    assert "start it" in said.fix
    said = await fault(serve(ServerSettings("orders", f"host={pg_directory} user=monitor")))
    assert (said.cause, said.message) == ("down", f"{pg_directory}:5432: down: no server listens on this socket")
    said = await fault(serve(ServerSettings("orders", "host=nowhere.invalid user=monitor")))
    assert said.cause == "down"
    assert "no such host" in said.message


async def test_somebody_listens_who_says_nothing(serve):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        said = await fault(serve(on_port(mute.getsockname()[1])), timeout_s=0.5)
        assert 0.4 < time.monotonic() - began < 30  # without a limit, for ever
    assert said.cause == "silent"
    assert "no answer to a connection within 0.5 s" in said.message


@pytest.mark.parametrize(
    ("attributes", "found"), [("", True), ("&target_session_attrs=primary", True), ("&target_session_attrs=standby", False)]
)
async def test_of_several_hosts_one_that_says_nothing_and_one_that_is_down_leave_time_for_the_next(cluster, serve, attributes, found):
    silent = socket.create_server(("127.0.0.1", 0))
    ports = silent.getsockname()[1], closed_port(), cluster.port
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    server = serve(ServerSettings("orders", f"postgresql://monitor@{hosts}/postgres?sslmode=disable{attributes}"))
    try:
        if found:
            assert (await server.fetch("SELECT 1 AS one"))[0]["one"] == 1
        else:
            assert "target" in (await fault(server)).message
    finally:
        server.close()
        silent.close()


async def test_somebody_listens_who_speaks_another_language(serve):
    async def answer(reader, writer):
        await reader.read(64)
        writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        writer.close()

    web = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with web:
        said = await fault(serve(on_port(web.sockets[0].getsockname()[1])))
    assert isinstance(said, CollectorError)
    assert said.message.startswith("127.0.0.1:")


async def test_a_failure_is_repeated_without_asking_until_it_is_time(serve):
    port = vacant_port()
    server = serve(on_port(port))
    first = await fault(server)
    server._retry_at += 600  # not due yet, however long the rest of the test takes
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.setblocking(False)
        assert await fault(server) is first
        with pytest.raises(BlockingIOError):
            listener.accept()


# Refused --------------------------------------------------------------------------------------------------------------------------


async def test_a_database_or_a_role_that_does_not_exist(cluster, serve):
    said = await fault(serve(cluster.settings_of("nowhere", "monitor")))
    assert (said.cause, said.code) == ("refused", "3D000")
    assert "no such database" in said.message
    assert "dsn" in said.fix
    said = await fault(serve(cluster.settings_of("postgres", "nobody_at_all")))
    assert (said.cause, said.state) == ("refused", "denied")
    assert "init --postgres" in said.fix


async def test_a_wrong_password_and_none_and_the_right_one(make_cluster, serve, tmp_path, monkeypatch):
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    victim = make_cluster(password_encryption="scram-sha-256")
    hba = victim.data / "pg_hba.conf"
    hba.write_text("host all monitor 127.0.0.1/32 scram-sha-256\nlocal all all trust\nhost all postgres 127.0.0.1/32 trust\n")
    victim.start()
    await victim.execute("ALTER ROLE monitor PASSWORD 'rig/ht@1'")
    for password in ("", " password=wrong"):
        said = await fault(serve(ServerSettings("orders", f"host=127.0.0.1 port={victim.port} user=monitor dbname=postgres{password}")))
        assert (said.cause, said.state) == ("refused", "denied")
        assert "login failed" in said.message
        assert "~/.pgpass" in said.fix
        assert "wrong" not in str(said)
    right = ServerSettings("orders", f"postgresql://monitor:${{PW}}@127.0.0.1:{victim.port}/postgres")
    assert await serve(right, env={"PW": "rig/ht@1"}).fetch("SELECT 1")
    (tmp_path / "pgpass").write_text(f"127.0.0.1:{victim.port}:*:monitor:rig/ht@1\n")
    (tmp_path / "pgpass").chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    assert await serve(on_port(victim.port)).fetch("SELECT 1")
    said = await fault(serve(ServerSettings("orders", f"host=127.0.0.1 port={victim.port} user=plain dbname=postgres")))
    assert said.state == "denied"
    assert "pg_hba.conf" in said.message + said.fix


async def test_tls_is_required_and_is_had(make_cluster, serve):
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    victim = make_cluster(ssl="on")
    subprocess.run(  # noqa: ASYNC221  nothing else runs in this test
        ["openssl", "req", "-new", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", str(victim.data / "server.key"), "-out", str(victim.data / "server.crt")],
        check=True, capture_output=True,
    )  # fmt: skip
    (victim.data / "server.key").chmod(0o600)
    for name in ("server.key", "server.crt"):
        victim.owned(victim.data / name)
    (victim.data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust\n")
    victim.start()
    where = f"host=localhost port={victim.port} user=monitor dbname=postgres"
    said = await fault(serve(ServerSettings("orders", where, tls="disable")))
    assert said.state == "denied"
    assert "TLS is required" in said.message
    assert 'tls = "require"' in said.fix
    encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    for mode in ("prefer", "require"):
        assert (await serve(ServerSettings("orders", where, tls=mode)).fetch(encrypted))[0]["ssl"]
    trusted = f"{where} sslrootcert={victim.data}/server.crt"
    assert await serve(ServerSettings("orders", trusted, tls="verify-full")).fetch("SELECT 1")
    elsewhere = trusted.replace("host=localhost", "host=127.0.0.1")
    said = await fault(serve(ServerSettings("orders", elsewhere, tls="verify-full")))
    assert "TLS failed" in said.message


async def test_a_server_without_tls_that_must_have_it(cluster, serve):
    said = await fault(serve(cluster.settings_of("postgres", "monitor", tls="require")))
    assert said.cause == "refused"
    assert "TLS" in said.message
    assert "tls =" in said.fix


async def test_a_full_server_is_full_and_not_unknown(make_cluster, serve):
    victim = make_cluster(max_connections="6", superuser_reserved_connections="2", max_wal_senders="0").start()
    held = [await victim.connect(user="plain") for _ in range(4)]
    said = await fault(serve(victim.settings_of(user="monitor")))
    assert (said.cause, said.code) == ("full", "53300")
    assert "full" in said.message
    assert "max_connections" in said.fix
    server = serve(victim.settings_of(user="monitor"))
    assert (await fault(server)).cause == "full"
    for connection in held:
        await connection.close()
    assert (await again(server))[0]["one"] == 1


# Lost and found again -------------------------------------------------------------------------------------------------------------


async def test_a_server_that_is_killed_is_down_and_found_again_when_it_is_back(victim, serve):
    server = serve(victim.settings_of(user="monitor"))
    await server.fetch("SELECT 1")
    victim.kill()
    said = await fault(server)
    assert said.cause in {"down", "ended"}
    assert (await fault(server)).cause in {"down", "ended"}
    victim.start()
    assert (await again(server))[0]["one"] == 1
    assert server.connects == 2


async def test_a_restart_is_seen_as_what_it_is(victim, serve):
    server = serve(victim.settings_of(user="monitor"))
    await server.fetch("SELECT 1")
    port = victim.port
    victim.stop()
    seen = {(await fault(server)).cause}
    victim.start(wait=False)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        server._retry_at = 0.0
        try:
            await server.fetch("SELECT 1")
            break
        except ServerError as error:
            seen.add(error.cause)
            await asyncio.sleep(0.01)
    assert victim.port == port
    assert seen <= {"ended", "down", "starting"}
    assert server.connects == 2


async def test_a_server_that_starts_says_so(make_cluster, serve):
    # A standby that is not to be connected to stays in the state that others only pass through.
    victim = make_cluster(hot_standby="off", primary_conninfo="host=127.0.0.1 port=1")
    victim.owned(victim.data / "standby.signal")
    victim.start(wait=False)
    server = serve(victim.settings_of(user="monitor"))
    deadline = time.monotonic() + 60
    while (said := await fault(server)).cause != "starting":
        assert said.cause == "down"
        assert time.monotonic() < deadline
        server._retry_at = 0.0
        await asyncio.sleep(0.05)
    assert said.code == "57P03"
    assert "not ready" in said.message


async def test_a_connection_that_an_administrator_ends_is_made_again_at_once(cluster, server):
    before = (await server.fetch("SELECT pg_backend_pid() AS pid"))[0]["pid"]
    await cluster.execute(f"SELECT pg_terminate_backend({before})")
    assert (await server.fetch("SELECT pg_backend_pid() AS pid"))[0]["pid"] != before
    assert server.connects == 2


async def test_a_server_that_hangs_holds_nobody_up_and_is_found_again(victim, serve):
    server = serve(victim.settings_of(user="monitor"))
    await server.fetch("SELECT 1")
    victim.signal_all(signal.SIGSTOP)
    try:
        said = await fault(server, timeout_s=0.5)
        assert (said.cause, said.message) == ("silent", f"127.0.0.1:{victim.port}: no answer within 0.5 s")
        server._retry_at = 0.0
        assert "no answer to a connection" in (await fault(server, timeout_s=0.5)).message
    finally:
        victim.signal_all(signal.SIGCONT)
    assert (await again(server))[0]["one"] == 1


# One question -------------------------------------------------------------------------------------------------------------------------


async def test_a_question_that_fails_leaves_the_connection(server):
    for sql, code in (("SELECT * FROM nowhere", "42P01"), ("SELECT pg_read_file('x')", "42501"), ("SELECT pg_sleep(5)", "57014")):
        said = await fault(server, sql, timeout_s=4.0)
        assert (said.cause, said.code) == ("query", code)
    assert server.connects == 1
    assert await server.fetch("SELECT 1")
    assert server.connects == 1


async def test_a_right_that_is_missing_is_denied_with_the_grant(server):
    said = await fault(server, "SELECT pg_read_file('x')")
    assert (said.state, said.fix) == ("denied", 'GRANT pg_monitor TO "monitor"')


async def test_nothing_can_be_changed(cluster, database, serve):
    await cluster.execute("CREATE TABLE t (a int)", "GRANT ALL ON t TO writer", "GRANT ALL ON SCHEMA public TO writer", database=database)
    server = serve(cluster.settings_of(database, "writer"))
    for sql in ("INSERT INTO public.t VALUES (1)", "CREATE TABLE public.u (a int)", "DROP TABLE public.t", "SELECT 1; DROP TABLE public.t"):
        said = await fault(server, sql)
        assert said.code in {"25006", "42601"}, sql
    assert (await server.fetch("SELECT count(*) FROM public.t"))[0][0] == 0


async def test_who_locks_everything_holds_up_a_question_for_200_ms(cluster, database, serve):
    await cluster.execute("CREATE TABLE t (a int)", "GRANT ALL ON t TO monitor", database=database)
    holder = await cluster.connect(database)
    server = serve(cluster.settings_of(database, "monitor"))
    await server.fetch("SELECT 1")
    try:
        await holder.execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        assert (await fault(server, "SELECT * FROM public.t")).code == "55P03"
        assert (await server.fetch("SELECT current_setting('lock_timeout')"))[0][0] == "200ms"
    finally:
        await holder.close()


async def test_questions_wait_for_one_another(server):
    answers = await asyncio.gather(*(server.fetch("SELECT $1::int AS n, pg_sleep(0.01)", n) for n in range(5)))
    assert [rows[0]["n"] for rows in answers] == list(range(5))
    assert server.connects == 1


async def test_who_waits_for_another_question_has_its_whole_time_left(server):
    await server.fetch("SELECT 1")
    await asyncio.gather(*(server.fetch("SELECT pg_sleep(0.2)", timeout_s=1.1) for _ in range(6)))
    assert server.connects == 1


async def test_one_that_is_given_up_does_not_disturb_the_next(server):
    await server.fetch("SELECT 1")
    task = asyncio.create_task(server.fetch("SELECT pg_sleep(1)"))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await server.fetch("SELECT 1 AS one"))[0]["one"] == 1


# A pooler -----------------------------------------------------------------------------------------------------------------------------


SETTINGS_IN_FORCE = """SELECT current_setting('statement_timeout') AS timeout, current_setting('transaction_read_only') AS read_only,
                              current_setting('search_path') AS path, current_setting('application_name') AS application"""


SWALLOWED = "statement_timeout,lock_timeout,idle_in_transaction_session_timeout,default_transaction_read_only,jit,search_path"


@pytest.mark.parametrize("extra", ["", f"ignore_startup_parameters = {SWALLOWED}"], ids=["refuses settings", "swallows settings"])
async def test_behind_a_pooler_the_limits_travel_with_each_question_and_stay_with_nobody(pooler, serve, cluster, extra):
    import asyncpg

    port = pooler(extra)
    server = serve(on_port(port))
    assert tuple((await server.fetch(SETTINGS_IN_FORCE))[0]) == ("2s", "on", "pg_catalog", "perfconsole")
    assert server.pooled
    assert (await fault(server, "CREATE TABLE public.t (a int)")).code == "25006"
    assert (await fault(server, "SELECT pg_sleep(5)", timeout_s=4.0)).code == "57014"
    assert (await server.fetch("SELECT $1::int AS n", 7))[0]["n"] == 7
    other = await asyncpg.connect(f"postgresql://monitor@127.0.0.1:{port}/postgres?sslmode=disable", statement_cache_size=0)
    try:
        row = await other.fetchrow(SETTINGS_IN_FORCE)
    finally:
        await other.close()
    assert (row["timeout"], row["read_only"]) == ("0", "off")


async def test_a_pooler_whose_server_is_gone_says_so(pooler, serve, cluster, make_cluster):
    victim = make_cluster().start()
    port = pooler("server_login_retry = 1", f"gone = host=127.0.0.1 port={victim.port} dbname=postgres")
    server = serve(ServerSettings("orders", f"postgresql://monitor@127.0.0.1:{port}/gone?sslmode=disable"))
    await server.fetch("SELECT 1")
    victim.kill()
    said = await fault(server)
    assert said.cause in {"ended", "silent", "down"}, said
    victim.start()
    assert (await again(server))[0]["one"] == 1
