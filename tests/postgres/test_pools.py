"""A real pgbouncer: who waits in its pools, every way to log in, and what is said when it cannot be asked."""

import asyncio
import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from math import isnan

import pytest
from vacant import closed_port, vacant_port

from perfconsole.collectors.postgres import PostgresCollector, detail
from perfconsole.collectors.postgres.faults import ServerError
from perfconsole.collectors.postgres.pools import Pooler, Pools, by_database, utilization
from perfconsole.collectors.postgres.pools.logins import LoginError, Scram, md5_answer, password_from_file
from perfconsole.config.servers import ServerSettings
from perfconsole.core.errors import RequestError
from perfconsole.core.metrics import METRICS
from perfconsole.core.ports import Slot
from perfconsole.core.requests import POSTGRES_DETAIL, ServerArgs
from perfconsole.core.tick import SeriesDef

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason="NO PGBOUNCER: apt-get install pgbouncer")

HARD = "pa ß:s\\w"
USERS = '"watcher" "pa ß:s\\w"\n"boss" "secret"\n"app" "app"\n"postgres" ""\n'


class Bouncer:
    """One pgbouncer before a cluster, with a pool of two for the database `shop`."""

    def __init__(self, directory, cluster, **settings):
        self.directory, self.cluster, self.port = directory, cluster, vacant_port()
        self.settings = {"auth_type": "trust", "stats_users": "watcher", "admin_users": "boss", "pool_mode": "transaction"} | settings
        self.process = None

    def start(self):
        directory = self.directory
        directory.mkdir(exist_ok=True)
        (directory / "users").write_text(USERS)
        databases = f"[databases]\nshop = host=127.0.0.1 port={self.cluster.port} dbname=postgres user=postgres pool_size=2\n"
        own = {
            "listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": directory, "auth_file": directory / "users",
        } | self.settings  # fmt: skip
        (directory / "ini").write_text(databases + "[pgbouncer]\n" + "".join(f"{name} = {value}\n" for name, value in own.items()))
        identity = self.cluster.identity()
        if identity:
            for path in [directory, *directory.iterdir()]:
                os.chown(path, identity["user"], identity["group"])
        self.process = subprocess.Popen(
            [PGBOUNCER, "-q", str(directory / "ini")], **identity, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.wait()
        return self

    def wait(self):
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, "pgbouncer did not start"
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait(60)
            self.process = None

    def settings_of(self, user="watcher", password="", more="", **changes):
        words = f"host=127.0.0.1 port={self.port} dbname=pgbouncer user={user} {more}"
        if password:
            quoted = password.replace("\\", "\\\\")
            words += f" password='{quoted}'"
        return ServerSettings(**{"name": "pool", "dsn": words, **changes})

    async def client(self, user="postgres"):
        import asyncpg

        where = {"host": "127.0.0.1", "port": self.port, "database": "shop", "user": user}
        return await asyncpg.connect(**where, statement_cache_size=0, ssl=False)


@pytest.fixture
def make_bouncer(cluster, pg_directory):
    made = []

    def make(**settings):
        made.append(Bouncer(pg_directory / f"pool{time.monotonic_ns()}", cluster, **settings))
        return made[-1].start()

    yield make
    for bouncer in made:
        bouncer.stop()


@pytest.fixture
async def ask():
    made = []

    def ask(settings, **kwargs):
        made.append(Pooler(settings, **kwargs))
        return made[-1]

    yield ask
    for server in made:
        server.close()
    await asyncio.sleep(0.01)


def of(measured, name, **labels):
    told = dict(zip(measured.series, measured.values, strict=True))
    return told[SeriesDef(f"postgresql.{name}", tuple(sorted({"server": "pool", **labels}.items())))]


# Numbers --------------------------------------------------------------------------------------------------------------------------


@needs_pgbouncer
async def test_clients_that_wait_are_counted_and_said_and_heal(make_bouncer, ask):
    bouncer = make_bouncer()
    pools = Pools(ask(bouncer.settings_of()))
    measured, said = await pools.measure(1.0)
    assert (of(measured, "up"), of(measured, "pool.waiting"), of(measured, "pool.max_wait"), said) == (1.0, 0.0, 0.0, [])
    clients = [await bouncer.client() for _ in range(5)]
    try:
        for client in clients[:2]:
            await client.execute("BEGIN")  # in transaction mode that takes a connection, and keeps it
        waiting = [asyncio.create_task(client.execute("SELECT 1")) for client in clients[2:]]
        measured, said = await _until(pools, lambda measured, said: said)
        assert of(measured, "connections.utilization") == 1.0
        assert of(measured, "pool.waiting") == of(measured, "pool.waiting", database="shop") == 3.0
        assert of(measured, "pool.max_wait") == of(measured, "pool.max_wait", database="shop") >= 1.0
        assert of(measured, "connections", database="shop") == 5.0
        (health,) = said
        assert (health.collector, health.target, health.state) == ("postgres.pools", "pool", "error")
        assert re.match(r"3 clients wait for a connection to shop, the longest for [1-9]\d*\.", health.error)
        for client in clients[:2]:
            await client.execute("ROLLBACK")
        await asyncio.gather(*waiting)
        measured, said = await pools.measure(2.0)
        assert of(measured, "pool.waiting") == of(measured, "connections.utilization") == 0.0
        assert [health.state for health in said] == ["ok"]
        assert (await pools.measure(3.0))[1] == []
    finally:
        for client in clients:
            client.terminate()
        await asyncio.sleep(0.01)
    assert {series.name for series in measured.series} <= set(METRICS)


async def _until(pools, condition, within_s=60.0):
    deadline = time.monotonic() + within_s
    while not condition(*(found := await pools.measure(time.time()))):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.1)
    return found


def test_the_pool_that_is_used_most_counts_and_what_may_come_beside_it_too():
    databases = [
        {"name": "shop", "pool_size": "2", "reserve_pool": "2"}, {"name": "bare", "pool_size": "0"},
        {"name": "pgbouncer", "pool_size": "2"}, {"name": "new", "pool_size": "10", "reserve_pool_size": "0"},
    ]  # fmt: skip
    pools = [("shop", "3"), ("shop", "1"), ("bare", "9"), ("pgbouncer", "2"), ("new", "5"), ("gone", "1")]
    assert utilization([{"database": name, "sv_active": active} for name, active in pools], databases) == 0.75
    assert isnan(utilization([{"database": "bare", "sv_active": "1"}], databases))


def test_pools_of_one_database_are_one_and_the_console_is_none():
    rows = [
        {"database": "shop", "user": "a", "cl_active": "3", "cl_waiting": "2", "maxwait": "1", "maxwait_us": "500000"},
        {"database": "shop", "user": "b", "cl_active": "1", "cl_waiting": "1", "maxwait": "0", "maxwait_us": "900"},
        {"database": "pgbouncer", "user": "c", "cl_active": "1", "cl_waiting": "0", "maxwait": "0"},
        {"database": "old", "user": "a", "cl_active": "not a number"},
    ]  # fmt: skip
    found = by_database(rows)
    assert found == {
        "shop": {"pool.waiting": 3.0, "pool.max_wait": 1.5, "connections": 7.0},
        "old": {"pool.waiting": 0.0, "pool.max_wait": 0.0, "connections": 0.0},
    }


# As a target of the collector -----------------------------------------------------------------------------------------------------


@needs_pgbouncer
async def test_the_collector_finds_out_by_the_database_and_reads_it_on_request(make_bouncer):
    bouncer = make_bouncer()
    client = await bouncer.client()
    collector = PostgresCollector([bouncer.settings_of()])
    try:
        result = await collector.run("pool", Slot(time.time(), 100.0, 110.0), ())
        (measured,) = result.measured
        assert of(measured, "up") == 1.0
        assert of(measured, "connections", database="shop") == 1.0
        read = next(op.run for op in collector.operations if op.spec is POSTGRES_DETAIL)
        sections = {section.title: section for section in (await read(ServerArgs("pool"))).sections}
        assert list(sections) == ["Pools", "Databases", "Settings"]
        (pool,) = sections["Pools"].facts
        assert pool.name == "shop postgres"
        assert pool.text.startswith("1 clients, 0 waiting")
        assert any("pool_size 2" in fact.text for fact in sections["Databases"].facts)
        assert sections["Settings"].facts[0].text.startswith("PgBouncer 1.")
    finally:
        client.terminate()
        collector.close()
        await asyncio.sleep(0.01)


@needs_pgbouncer
async def test_one_that_is_gone_is_said_and_comes_back_by_itself(make_bouncer):
    bouncer = make_bouncer()
    collector = PostgresCollector([bouncer.settings_of()])
    try:
        boot = 100.0
        await collector.run("pool", Slot(time.time(), boot, boot + 10), ())
        bouncer.stop()
        result = await collector.run("pool", Slot(time.time(), boot + 5, boot + 15), ())
        assert of(result.measured[0], "up") == 0.0
        assert isnan(of(result.measured[0], "pool.waiting"))
        assert "connection refused" in result.health[0].error
        with pytest.raises(RequestError, match="connection refused"):
            await collector._detail(ServerArgs("pool"))
        bouncer.start()
        collector._targets["pool"].server._retry_at = 0.0  # the first back-off is over
        result = await collector.run("pool", Slot(time.time(), boot + 10, boot + 20), ())
        assert of(result.measured[0], "up") == 1.0
    finally:
        collector.close()
        await asyncio.sleep(0.01)


@needs_pgbouncer
async def test_a_server_is_read_in_detail_through_a_pooler(make_bouncer, serve):
    bouncer = make_bouncer(ignore_startup_parameters="extra_float_digits")
    server = serve(ServerSettings("shop", f"host=127.0.0.1 port={bouncer.port} dbname=shop user=postgres"))
    found = (await detail.read(server)).sections
    assert server.pooled
    assert [fact for section in found for fact in section.facts if fact.severity == "unknown"] == []


async def test_a_database_of_that_name_is_not_a_pooler(cluster, ask):
    await cluster.execute("CREATE DATABASE pgbouncer")
    try:
        server = ask(cluster.settings_of("pgbouncer", "plain"))
        with pytest.raises(ServerError, match="not the console of a pgbouncer") as caught:
            await server.fetch("SHOW POOLS")
        assert "name another database" in caught.value.fix
        server.close()
    finally:
        await asyncio.sleep(0.05)
        await cluster.execute("DROP DATABASE pgbouncer WITH (FORCE)")


# Logging in -----------------------------------------------------------------------------------------------------------------------


@needs_pgbouncer
@pytest.mark.parametrize("kind", ["trust", "plain", "md5", "scram-sha-256"])
async def test_every_kind_of_login(make_bouncer, ask, kind):
    bouncer = make_bouncer(auth_type=kind)
    server = ask(bouncer.settings_of(password=HARD))
    assert await server.fetch("SHOW POOLS") is not None
    assert server.product.startswith("PgBouncer")
    if kind == "trust":
        return
    with pytest.raises(ServerError, match="login failed") as caught:
        await ask(bouncer.settings_of(password="wrong")).fetch("SHOW POOLS")
    assert (caught.value.state, caught.value.code) == ("denied", "28P01")
    with pytest.raises(ServerError, match="a password is needed") as caught:
        await ask(bouncer.settings_of(more="passfile=/nonexistent")).fetch("SHOW POOLS")
    assert ".pgpass" in caught.value.fix


@needs_pgbouncer
async def test_passwords_from_a_file_and_a_socket(make_bouncer, ask, tmp_path):
    bouncer = make_bouncer(auth_type="scram-sha-256")
    file = tmp_path / "pgpass"
    escaped = HARD.replace("\\", "\\\\").replace(":", "\\:")
    file.write_text(f"# a comment\nother:*:*:*:no\nlocalhost:{bouncer.port}:pgbouncer:watcher:{escaped}\n")
    file.chmod(0o600)
    settings = ServerSettings("pool", f"host={bouncer.directory} port={bouncer.port} dbname=pgbouncer user=watcher passfile={file}")
    assert await ask(settings).fetch("SHOW POOLS") is not None
    file.chmod(0o644)
    with pytest.raises(ServerError, match="a password is needed"):
        await ask(settings).fetch("SHOW POOLS")


@needs_pgbouncer
async def test_who_may_not_look_is_told_what_would_let_them(make_bouncer, ask):
    bouncer = make_bouncer(auth_type="md5")
    with pytest.raises(ServerError, match="not allowed") as caught:
        await ask(bouncer.settings_of("app", "app")).fetch("SHOW POOLS")
    assert caught.value.fix == "stats_users = app in pgbouncer.ini, then RELOAD"
    with pytest.raises(ServerError, match="login failed"):
        await ask(bouncer.settings_of("nobody", "x")).fetch("SHOW POOLS")


@pytest.fixture(scope="module")
def certificate(pg_directory):
    """The settings for TLS with a certificate for localhost that signs itself."""
    directory = pg_directory / "tls"
    directory.mkdir()
    key, crt = directory / "key", directory / "crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(crt)],
        check=True, capture_output=True,
    )  # fmt: skip
    for path in (directory, key, crt):
        path.chmod(0o755)
    return {"client_tls_sslmode": "require", "client_tls_key_file": key, "client_tls_cert_file": crt}


@needs_pgbouncer
async def test_tls_as_sslmode_words_it(make_bouncer, ask, certificate):
    bouncer = make_bouncer(auth_type="scram-sha-256", **certificate)

    def settings(mode, host="localhost", more=""):
        words = f"host={host} hostaddr=127.0.0.1 port={bouncer.port} dbname=pgbouncer user=watcher password='pa ß:s\\\\w' {more}"
        return ServerSettings("pool", words, tls=mode)

    for mode in ("prefer", "require"):
        assert await ask(settings(mode)).fetch("SHOW POOLS") is not None
    trusted = f"sslrootcert={certificate['client_tls_cert_file']}"
    assert await ask(settings("verify-full", more=trusted)).fetch("SHOW POOLS") is not None
    assert await ask(settings("verify-ca", "elsewhere", trusted)).fetch("SHOW POOLS") is not None
    for refused in (settings("verify-full", "elsewhere", trusted), settings("verify-ca")):
        with pytest.raises(ServerError, match="TLS failed"):
            await ask(refused).fetch("SHOW POOLS")
    with pytest.raises(ServerError) as caught:
        await ask(settings("disable")).fetch("SHOW POOLS")
    assert "tls = " in caught.value.fix


@needs_pgbouncer
async def test_of_several_hosts_each_is_known_by_its_own_name(make_bouncer, ask, certificate):
    bouncer = make_bouncer(**certificate)
    words = f"host=127.0.0.1,localhost port={closed_port()},{bouncer.port} dbname=pgbouncer user=watcher"
    words += f" sslrootcert={certificate['client_tls_cert_file']}"
    assert await ask(ServerSettings("pool", words, tls="verify-full")).fetch("SHOW POOLS") is not None


@needs_pgbouncer
async def test_tls_that_is_wanted_and_not_offered(make_bouncer, ask):
    with pytest.raises(ServerError, match="not offered"):
        await ask(make_bouncer().settings_of(tls="require")).fetch("SHOW POOLS")


def test_scram_is_that_of_rfc_7677():
    scram = Scram("pencil")
    scram._nonce = "rOprNGfwEbeRWgbNEkqO"
    scram._first = "n=user,r=rOprNGfwEbeRWgbNEkqO"  # the example names its user and nonce
    proof = scram.final(b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    assert proof.endswith(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    scram.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    with pytest.raises(LoginError, match="does not know the password"):
        scram.check(b"v=AAAA")


@pytest.mark.parametrize(
    "challenge", [b"", b"\xff", b"r=other,s=QUFB,i=4096", b"s=QUFB", b"r=%s,s=QUFB,i=999999999", b"r=%s,s=QUFB,i=0", b"r=%n,s=QUFB,i=4096"]
)
def test_a_challenge_that_is_none_is_refused(challenge):
    scram = Scram("pencil")
    nonce = scram.first.split(b"r=")[1]
    with pytest.raises(LoginError):
        scram.final(challenge.replace(b"%s", nonce + b"server").replace(b"%n", nonce))


def test_a_server_that_skips_its_proof_is_not_believed():
    with pytest.raises(LoginError, match="does not know the password"):
        Scram("pencil").check(b"v=")


def test_md5_is_what_postgresql_stores():
    assert md5_answer("u", "p", b"salt").startswith("md5")
    assert len(md5_answer("u", "p", b"salt")) == 35


def test_a_password_file_that_is_none_has_no_password(tmp_path):
    assert password_from_file({"passfile": str(tmp_path)}, "h", "1") is None
    broken = tmp_path / "broken"
    broken.write_bytes(b"\xff\xfe")
    broken.chmod(0o600)
    assert password_from_file({"passfile": str(broken)}, "h", "1") is None


# What is not the protocol ---------------------------------------------------------------------------------------------------------

HOSTILE = {
    "nothing": b"",
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "endless": b"R" + (1 << 30).to_bytes(4, "big"),
    "negative": b"R\x00\x00\x00\x01",
    "unknown login": b"R\x00\x00\x00\x08\x00\x00\x00\x07",
    "cut": b"R\x00\x00\x00\x08\x00",
}


def to(port):
    return ServerSettings("pool", f"host=127.0.0.1 port={port} dbname=pgbouncer user=x password=y", tls="disable")


@contextlib.asynccontextmanager
async def listening(serve):
    """Somebody who is no pooler: what it does with its reader and writer; the port it listens on."""
    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await asyncio.sleep(0.01)


def frame(kind, body):
    return kind + (len(body) + 4).to_bytes(4, "big") + body


LET_IN = frame(b"R", bytes(4)) + frame(b"Z", b"I")


@pytest.mark.parametrize("said", HOSTILE.values(), ids=HOSTILE)
async def test_whoever_speaks_otherwise_is_an_error_in_words(ask, said):
    async def serve(reader, writer):
        await reader.read(64)
        writer.write(said)
        await writer.drain()
        writer.close()

    async with listening(serve) as port:
        with pytest.raises(ServerError) as caught:
            await ask(to(port)).fetch("SHOW POOLS")
    assert str(port) in str(caught.value)
    assert caught.value.message.isprintable()


async def test_one_that_lets_in_without_its_own_proof_is_not_believed(ask):
    async def serve(reader, writer):
        await reader.read(64)
        writer.write(frame(b"R", (10).to_bytes(4, "big") + b"SCRAM-SHA-256\0\0"))
        nonce = (await reader.read(256)).split(b"r=")[1]
        writer.write(frame(b"R", (11).to_bytes(4, "big") + b"r=" + nonce + b"x,s=QUFB,i=4096"))
        await reader.read(256)
        writer.write(LET_IN)
        await reader.read()
        writer.close()

    async with listening(serve) as port:
        with pytest.raises(ServerError, match="did not show that it knows the password"):
            await ask(to(port)).fetch("SHOW POOLS")


async def test_an_answer_without_end_is_not_held_in_memory(ask):
    async def serve(reader, writer):
        await reader.read(64)
        writer.write(LET_IN)
        await reader.read(64)
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(frame(b"D", bytes(1 << 19)))
                await writer.drain()
        writer.close()

    async with listening(serve) as port:
        with pytest.raises(ServerError, match="no end"):
            await ask(to(port)).fetch("SHOW POOLS")


async def test_one_that_says_nothing_is_given_up_in_time(ask):
    async def serve(reader, writer):
        await reader.read()
        writer.close()

    async with listening(serve) as port:
        with pytest.raises(ServerError, match="no answer"):
            await ask(to(port)._replace(tls="")).fetch("SHOW POOLS", timeout_s=0.3)
