"""The machine of `world` with units, logins and what is read of a machine on request: rows and answers are a script, all else is real."""

from math import nan, sin

import pytest
from msgspec import structs
from world import GIB, MIB, START, Scripted, World

from perfconsole.core.change_requests import LogLine, UnitDetail
from perfconsole.core.login_rows import LoginRow, LoginTable
from perfconsole.core.ports import Measured, Operation, Result
from perfconsole.core.requests import SYSTEM_DETAIL, UNIT_DETAIL, Fact, FactSection, SystemDetail
from perfconsole.core.tick import Health, SeriesDef
from perfconsole.core.unit_rows import REST, UnitRow, UnitTable


def wave(step, period, low, high):
    """Up and down between two values."""
    return low + (high - low) * (0.5 + 0.5 * sin(step * 6.28318 / period))


def unit(path, kind="service", step=0, **fields):
    """A unit at a path: quiet, without limits, active for a day."""
    name = path.rpartition("/")[2]
    parent = path.rpartition("/")[0]
    plain = {
        "cpu": 0.01, "memory_bytes": 20 * MIB, "oom_kills": 0.0, "pressure_cpu": 0.0, "pressure_memory": 0.0, "pressure_io": 0.0,
        "read_bytes_s": 0.0, "write_bytes_s": 0.0, "tasks": 4.0, "state": "active", "restarts": 0.0, "since": START - 86_400.0,
    }  # fmt: skip
    return UnitRow(path, fields.pop("name", name), kind, path.count("/") - 1, parent, **(plain | fields))


def units(step):
    """Services with and without limits, one that failed, one that is held back, slices, a container, a pod, and what is left over."""
    cpu = wave(step, 30, 0.42, 0.49)
    api = unit(
        "/system.slice/api.service", cpu=cpu, cpu_limit=0.5, throttled=wave(step, 25, 0.28, 0.44), throttled_s=0.2,
        memory_bytes=180 * MIB, pressure_cpu=0.31, tasks=9.0, tasks_limit=512.0, restarts=3.0, since=START - 900.0,
    )  # fmt: skip
    return [
        unit("/system.slice", "slice", cpu=2.1, memory_bytes=3 * GIB, tasks=212.0),
        api,
        unit("/system.slice/postgresql.service", cpu=wave(step, 40, 0.8, 1.2), memory_bytes=1.4 * GIB, memory_limit=1.5 * GIB,
             memory=0.934, pressure_io=0.12, read_bytes_s=2.1 * MIB, write_bytes_s=8.4 * MIB, tasks=31.0),
        unit("/system.slice/nginx.service", cpu=0.08, memory_bytes=14 * MIB, memory_limit=256 * MIB, memory=0.055),
        unit("/system.slice/sync.service", cpu=0.0, name="sync.service", oom_kills=2.0, memory_bytes=44 * MIB, memory_limit=64 * MIB,
             memory=0.61),
        unit("/system.slice/ssh.service", cpu=0.0, memory_bytes=6 * MIB),
        unit("", "service", name="backup.service", cpu=nan, memory_bytes=nan, oom_kills=nan, pressure_cpu=nan, pressure_memory=nan,
             pressure_io=nan, read_bytes_s=nan, write_bytes_s=nan, tasks=nan, state="failed", result="exit-code", restarts=5.0,
             since=START - 3600.0),
        unit("/system.slice/docker-9f31c2aa77e1.scope", "container", name="docker-9f31c2.scope", cpu=0.31, memory_bytes=2 * GIB,
             memory_limit=3 * GIB, memory=0.66, state="", since=nan, restarts=nan),
        unit("/user.slice", "slice", cpu=0.05, memory_bytes=300 * MIB, tasks=20.0),
        unit("/user.slice/user-1000.slice", "slice", cpu=0.05, memory_bytes=300 * MIB, memory_limit=8 * GIB, memory=0.036),
        unit("/user.slice/user-1000.slice/session-4.scope", "scope", cpu=0.05, memory_bytes=300 * MIB),
        unit("/kubepods.slice/pod1a2b", "pod", name="pod:1a2b3c4d5e6f", cpu=0.12, cpu_limit=1.0, throttled=0.02, memory_bytes=120 * MIB,
             memory_limit=128 * MIB, memory=0.71, state="", since=nan, restarts=nan),
        UnitRow("", REST, "rest", cpu=0.02, memory_bytes=210 * MIB, tasks=61.0),
    ]  # fmt: skip


def numbered(step, count=80):
    """Many services, each with less use than the one before."""
    return [unit(f"/system.slice/worker{i:03}.service", cpu=1.0 / (1 + i)) for i in range(count)]


NOTES = ("memory.events may not be read: OOM kills are unknown: join group adm",)

DETAIL = UnitDetail(
    [
        ("state", "active (running)"), ("main process", "4711 gunicorn"), ("limits", "CPU 50%, tasks 512"),
        ("defined in", "/etc/systemd/system/api.service"), ("restart", "on-failure, 3 times so far"),
    ],
    [
        LogLine(START - 960.0, 6, "systemd", "Stopping api.service - shop API..."),
        LogLine(START - 900.0, 6, "systemd", "Started api.service - shop API."),
        LogLine(START - 610.0, 4, "gunicorn", "worker 4 took 31 s to answer: restarting it"),
        LogLine(START - 300.0, 3, "gunicorn", "ERROR shop.orders: could not reserve: connection pool exhausted, 20 of 20 in use, "
                "oldest borrowed 31 s ago by POST /checkout (request 5f1c) and not given back"),
        LogLine(START - 20.0, 6, "gunicorn", "GET /health 200"),
    ],
    ["limits of its processes: only root and the owner see them: run as root"],
)  # fmt: skip

SYSTEM = SystemDetail(
    [
        FactSection(
            "Listeners",
            [Fact("*:443", "nginx 80  queue 0 of 511"),
             Fact("127.0.0.1:8080", "gunicorn 4711  queue 128 of 128", "raise the backlog once its workers answer again", "critical")],
        ),
        FactSection("Writers", [Fact("/var", "postgres 3021  8.4M/s  full in 1h10m", "", "warning")], "of what may be seen"),
        FactSection("Deleted files", [Fact("cannot be read", "/proc/PID/fd of others", "run as root or with CAP_SYS_PTRACE", "unknown")]),
    ]
)  # fmt: skip


def logins(at):
    """An ordinary night on the internet."""
    rows = [
        LoginRow("sshd", "203.0.113.7", ("root", "admin", "test", "oracle"), 3, 9, 0, at - 3400.0, at - 60.0),
        LoginRow("sshd", "198.51.100.20", ("root",), 0, 2, 0, at - 1200.0, at - 1100.0),
        LoginRow("sudo", "deploy", ("root",), 0, 1, 4, at - 900.0, at - 800.0),
        LoginRow("sshd", "10.0.0.9", ("bob",), 0, 0, 1, at - 600.0, at - 600.0),
    ]
    users = (("root", 7), ("admin", 3), ("test", 2))
    return LoginTable("host", at, at - 7200.0, 3600.0, 4, rows, 12, 5, users)


def breached(at):
    """Somebody got in after many failures."""
    table = logins(at)
    rows = [structs.replace(table.rows[0], succeeded=1, failed=412, breached=True), *table.rows[1:]]
    return structs.replace(table, rows=rows, failed=415)


class Units(Scripted):
    """Units. Tables are made for who looks at them, as the real collector does.

    Attributes:
        rows: The rows at a step; `total` cgroups there are, as many as there are rows when None.
        answers: Operation to its result or an exception; `asked` what was asked for.
        looked: The views of every run.
    """

    def __init__(self):
        super().__init__("units")
        self.rows, self.total, self.layout, self.notes = units, 212, "v2", ()
        self.asked, self.looked, self.health = [], [], ()
        self.answers = {UNIT_DETAIL.name: DETAIL, SYSTEM_DETAIL.name: SYSTEM}
        self.operations = tuple(Operation(spec, self._answering(spec.name)) for spec in (UNIT_DETAIL, SYSTEM_DETAIL))
        self.at = START
        self.series_of = frozenset({"api.service", "postgresql.service", "sync.service", "nginx.service"})

    def _answering(self, op):
        async def run(args):
            self.asked.append((op, args))
            answer = self.answers[op]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return run

    async def run(self, target, slot, views):
        self.step += 1
        self.at = slot.at
        if self.fault:
            raise self.fault
        mine = [view for view in views if view.table == "unit"]
        self.looked.append(mine)
        rows = [row for row in self.rows(self.step) if row.name in self.series_of]
        series = tuple(
            SeriesDef(f"cgroup.{name}", (("unit", row.name),))
            for row in rows
            for name in ("cpu.utilization", "cpu.throttled.ratio", "memory.utilization", "oom_kills")
        )
        values = [
            value
            for row in rows
            for value in (row.cpu / row.cpu_limit if row.cpu_limit > 0 else row.cpu, row.throttled, row.memory, row.oom_kills)
        ]
        measured = [Measured(target, series, values)] if series else []
        return Result(measured, [self._table()] if mine else [], health=[Health(*each) for each in self.health])

    def _table(self):
        rows = self.rows(self.step)
        return UnitTable("host", self.at, len(rows) if self.total is None else self.total, rows, self.layout, self.notes)

    async def look(self, views):
        return [self._table()] if self.step >= 0 and any(view.table == "unit" for view in views) else []


class Logins(Scripted):
    """Logins of the last hour."""

    def __init__(self):
        super().__init__("logins")
        self.table, self.at = logins, START

    async def run(self, target, slot, views):
        self.step += 1
        self.at = slot.at
        return Result((), [self.table(self.at)] if any(view.table == "login" for view in views) else [])

    async def look(self, views):
        return [self.table(self.at)] if self.step >= 0 and any(view.table == "login" for view in views) else []


class UnitsWorld(World):
    """The machine with units and logins.

    Attributes:
        units, logins: The collectors.
    """

    def __init__(self, steps=4, **options):
        self.units, self.logins = Units(), Logins()
        super().__init__(steps, more=(self.units, self.logins), **options)


@pytest.fixture
def make_units_world():
    """Makes such machines: steps, options of `world.World`."""
    made = []

    def make(*args, **options):
        made.append(UnitsWorld(*args, **options))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def units_world(make_units_world):
    """One of them."""
    return make_units_world()
