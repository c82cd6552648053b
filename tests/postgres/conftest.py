"""Real servers: a throw-away cluster a session, others for the tests that kill theirs. Without binaries one loud line, and no tests."""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from vacant import vacant_port

from perfconsole.collectors.postgres.connection import Server
from perfconsole.collectors.postgres.statements import Statements
from perfconsole.config.servers import ServerSettings
from perfconsole.core.ports import Slot
from perfconsole.core.tables import StatementTable, View

STOP_S = 60.0
ROOM_BYTES = 1 << 30
SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "max_wal_senders": "4",
    "autovacuum": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "max_prepared_transactions": "5",
}


def find_binaries():
    """The newest directory with initdb and postgres; None without."""
    asked = os.environ.get("PERFCONSOLE_TEST_PG_BIN")
    if asked:
        return Path(asked) if has_server(Path(asked)) else None
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    on_path = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    return next(filter(has_server, [*on_path, *installed]), None)


def has_server(path):
    return (path / "initdb").exists() and (path / "postgres").exists()


BINARIES = find_binaries()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if BINARIES is None:
        asked = os.environ.get("PERFCONSOLE_TEST_PG_BIN")
        pytest.skip(
            f"NO POSTGRESQL: PERFCONSOLE_TEST_PG_BIN={asked} has no initdb and postgres"
            if asked
            else "NO POSTGRESQL: apt-get install postgresql, or set PERFCONSOLE_TEST_PG_BIN to the directory of initdb and postgres"
        )


@pytest.fixture
def tell(request):
    """Add a line to the table of figures at the end: what, how much, what is promised."""
    return lambda *cells: request.node.user_properties.append(("figure", ("postgres", cells)))


def accepts(port):
    """Whether a server answers a login with anything but that it is not ready (57P03): what pg_isready tells, where it is installed."""
    hello = struct.pack("!i", 196608) + b"user\0postgres\0\0"
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0) as probe:
        probe.sendall(struct.pack("!i", len(hello) + 4) + hello)
        answer = probe.recv(4096)
        return answer[:1] == b"R" or (answer[:1] == b"E" and b"57P03" not in answer)
    return False


def program(name):
    """A client program: of these binaries, or else any there is."""
    places = [BINARIES, *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    found = next((place / name for place in places if (place / name).exists()), None) or shutil.which(name)
    if not found:
        pytest.skip(f"no {name}")
    return str(found)


def account():
    """Who runs the servers: PostgreSQL refuses to be root."""
    if os.getuid():
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("no account to run PostgreSQL as")


class Cluster:
    """One server process of ours, on a port of its own. The superuser is `postgres`; roles log in without a password (trust)."""

    def __init__(self, directory, **settings):
        self.directory = Path(directory)
        self.data = self.directory / "data"
        self.port = vacant_port()
        self.settings = SETTINGS | settings
        self.process = None
        self._account = account()

    def identity(self):
        """How a child of ours becomes the account."""
        if self._account is None:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    def command(self, *argv, **kwargs):
        """Run one of the server's programs, as the account."""
        argv = [str(BINARIES / argv[0]), *map(str, argv[1:])]
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(self.directory)}
        return subprocess.run(argv, **self.identity(), env=env, cwd=self.directory, capture_output=True, text=True, check=True, **kwargs)

    def owned(self, path):
        """A file or directory given to the account; it is made where there is none."""
        if not path.exists():
            path.touch()
        if self._account:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)
        return path

    def make(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        self.owned(self.directory)
        self.command("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        return self

    def start(self, *, wait=True):
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        self.log = (self.directory / "log").open("ab")
        self.process = subprocess.Popen(
            [str(BINARIES / "postgres"), "-D", str(self.data), "-p", str(self.port), "-k", str(self.directory), *options],
            **self.identity(), env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, cwd=self.directory,
            stdout=self.log, stderr=self.log, start_new_session=True,
        )  # fmt: skip
        if wait:
            self.wait()
        return self

    def wait(self, within_s=120.0):
        deadline = time.monotonic() + within_s
        while not accepts(self.port):
            assert self.process.poll() is None, (self.directory / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.02)

    def stop(self, number=signal.SIGINT):
        """Stop (SIGINT: fast, SIGQUIT: at once); killed when that takes too long."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGCONT)
            os.kill(self.process.pid, number)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.signal_all(signal.SIGKILL)
            self.process.wait(STOP_S)
        self.process = None
        self.log.close()

    def kill(self):
        """kill -9 of the server and everything it started."""
        self.signal_all(signal.SIGKILL)
        self.process.wait(STOP_S)
        self.process = None
        self.log.close()

    def signal_all(self, number):
        """A signal to the server and all its backends; each leads a process group of its own."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in [self.process.pid, *map(int, children)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def dsn(self, database="postgres", user="postgres", port=None):
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{database}?sslmode=disable"

    def settings_of(self, database="postgres", user="postgres", **changes):
        return ServerSettings(**{"name": "orders", "dsn": self.dsn(database, user), **changes})

    async def connect(self, database="postgres", user="postgres", **kwargs):
        import asyncpg

        return await asyncpg.connect(self.dsn(database, user), **{"timeout": 60, **kwargs})

    @contextlib.contextmanager
    def psql(self, database, script):
        """psql at work on some bytes that no driver would send; ended on leaving."""
        env = {"PATH": os.environ["PATH"], "PGCLIENTENCODING": "SQL_ASCII"}
        running = subprocess.Popen(
            [program("psql"), "-q", self.dsn(database)], env=env,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with running:
            running.stdin.write(script)
            running.stdin.close()
            try:
                yield
            finally:
                running.kill()

    async def execute(self, *statements, database="postgres", user="postgres"):
        """Run statements, each in a transaction of its own."""
        connection = await self.connect(database, user)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


ROLES = (
    "CREATE ROLE monitor LOGIN", "GRANT pg_monitor TO monitor",
    "CREATE ROLE plain LOGIN",
    "CREATE ROLE writer LOGIN",
)  # fmt: skip


@pytest.fixture(scope="session")
def pg_directory():
    """Short, for the path of a socket holds 107 bytes; and readable by the account that runs the servers."""
    memory = Path("/dev/shm")  # a cluster is 40 MB, copied for every second test
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > ROOM_BYTES
    path = Path(tempfile.mkdtemp(prefix="pc-pg-", dir=memory if roomy else "/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster(pg_directory):
    """The server that most tests share: nobody stops it, and each test has a database of its own."""
    cluster = Cluster(pg_directory / "shared").make().start()
    try:
        asyncio.run(cluster.execute(*ROLES, "CREATE EXTENSION pg_stat_statements"))
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def template(cluster, pg_directory):
    """A stopped copy of a fresh cluster with the roles: 0.1 s to copy, where initdb takes 1.5 s."""
    made = Cluster(pg_directory / "template").make().start()
    try:
        asyncio.run(made.execute(*ROLES, "CREATE EXTENSION pg_stat_statements"))
    finally:
        made.stop()
    return made.data


@pytest.fixture
def make_cluster(template, pg_directory):
    """Makes clusters that a test may kill, stop and fill; not yet started."""
    made = []

    def make(**settings):
        cluster = Cluster(pg_directory / f"own{time.monotonic_ns()}", **settings)
        cluster.directory.mkdir()
        cluster.owned(cluster.directory)
        subprocess.run(["cp", "-a", str(template), str(cluster.data)], check=True)
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.stop(signal.SIGQUIT)
        shutil.rmtree(cluster.directory, ignore_errors=True)


@pytest.fixture
def victim(make_cluster):
    """A running cluster of the test's own."""
    return make_cluster().start()


@pytest.fixture
def standby(victim, pg_directory):
    """A streaming standby of the victim, with a slot there; from a cold copy, for not every build brings pg_basebackup."""
    upstream = f"host=127.0.0.1 port={victim.port} user=postgres"
    copy = Cluster(pg_directory / f"standby{time.monotonic_ns()}", primary_conninfo=upstream, primary_slot_name="copy")
    copy.directory.mkdir()
    copy.owned(copy.directory)
    victim.stop()
    subprocess.run(["cp", "-a", str(victim.data), str(copy.data)], check=True)
    copy.owned(copy.data / "standby.signal")
    victim.start()
    asyncio.run(victim.execute("SELECT pg_create_physical_replication_slot('copy', true)"))
    yield copy.start()
    copy.stop(signal.SIGQUIT)


@pytest.fixture
async def database(cluster):
    """A fresh database of the shared cluster, dropped with whoever is still in it."""
    name = f"t{time.monotonic_ns()}"
    await cluster.execute(f"CREATE DATABASE {name}")
    yield name
    await cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def serve():
    """Makes `Server`s, closed at the end."""
    made = []

    def serve(settings, **kwargs):
        made.append(Server(settings, **kwargs))
        return made[-1]

    yield serve
    for server in made:
        server.close()
    await asyncio.sleep(0.01)  # transports close in the turns of the loop after that


@pytest.fixture
async def server(cluster, database, serve):
    """The shared server, seen by the monitor role."""
    return serve(cluster.settings_of(database, "monitor"))


class Looker:
    """Statements of a server, looked at by a clock of the test's own: every look is due."""

    def __init__(self, cluster, user="monitor", database="postgres", port=None, **view):
        self.server = Server(cluster.settings_of(database, user, dsn=cluster.dsn(database, user, port)))
        self.statements = Statements(self.server)
        self.view = View("statement", "orders", "load", **{"window": "open", **view})
        self.boot = 1000.0
        self.measured = {}

    async def look(self, step_s=6.0):
        self.boot += step_s
        result = await self.statements.run(Slot(self.boot, self.boot, self.boot + 5), [self.view])
        self.measured = {measured.target: measured for measured in result.measured} or self.measured
        return next((table for table in result.tables if isinstance(table, StatementTable)), None)

    async def texts(self):
        """A run between two looks, in which texts are read."""
        self.statements._texts._next = 0.0
        return await self.look(1.0)

    def window(self, name):
        self.view = View("statement", "orders", "load", window=name, keys=self.view.keys)
        return self


@pytest.fixture
async def looker():
    made = []

    def make(*args, **kwargs):
        made.append(Looker(*args, **kwargs))
        return made[-1]

    yield make
    for one in made:
        one.server.close()
    await asyncio.sleep(0)  # a transport that is dropped is closed by the loop


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def pooler(cluster, pg_directory):
    """Starts pgbouncer in front of the shared server, or another, in transaction mode, with one server connection."""
    program = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
    if not program:
        pytest.skip("no pgbouncer")
    port = vacant_port()
    place = pg_directory / f"pooler{port}"
    place.mkdir()

    def start(extra="", databases="", cluster=cluster):
        (place / "users").write_text('"monitor" ""\n"plain" ""\n"postgres" ""\n')
        server = f"host=127.0.0.1 port={cluster.port}"
        (place / "ini").write_text(
            f"[databases]\n* = {server}\n{databases}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n{extra}\n"
            f"auth_type = trust\nauth_file = {place}/users\nunix_socket_dir =\npool_mode = transaction\ndefault_pool_size = 1\n"
        )
        started = subprocess.Popen(
            [program, str(place / "ini")], **cluster.identity(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        running.append(started)
        deadline = time.monotonic() + 60
        while not answers(port):
            assert started.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return port

    running = []
    yield start
    for started in running:
        started.kill()
        started.wait(STOP_S)
