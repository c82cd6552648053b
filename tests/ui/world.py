"""A machine that is the same every time: a real engine whose clock stands still until a test moves it, real process rows from a script.

Only what would differ from run to run is scripted: the values of the system's series, the rows of the process table, the clock and the
cost of a run. Everything between them and the screen is the console's own: engine, alert stage, mailboxes, wire, states, panes.
"""

import asyncio
import socket
from math import inf, isnan, nan, sin
from types import SimpleNamespace
from unittest import mock

import msgspec
from textual.strip import Strip

from perfconsole.collectors.processes import ProcessCollector
from perfconsole.config import themes
from perfconsole.config.abilities import Abilities
from perfconsole.config.actions import keymap
from perfconsole.core.errors import CollectorError
from perfconsole.core.ports import Measured, Result, Slot
from perfconsole.core.requests import Done, OpenFile, ProcessDetail
from perfconsole.core.shipped import SHIPPED
from perfconsole.core.state import State
from perfconsole.core.tables import EXPENSIVE, ProcessRow, View
from perfconsole.core.tick import Health, SeriesDef, Stream
from perfconsole.engine.clock import Clock, Moment
from perfconsole.engine.engine import Engine
from perfconsole.engine.local import LocalSource
from perfconsole.engine.schedule import Job
from perfconsole.engine.serve import serve
from perfconsole.sources.remote import RemoteSource
from perfconsole.ui.app import ConsoleApp
from perfconsole.ui.settings import Settings

START = 1_772_593_920.0
"""Wednesday 4 March 2026, 03:12:00 UTC."""

INTERVAL_S = 2.0
HISTORY = 450
"""Steps that fill the 15 minutes a screen shows."""

GIB, MIB = float(1 << 30), float(1 << 20)
COLOURS = 1 << 24
PATIENCE_S = 60.0
"""What is waited for is there in milliseconds; on a busy machine it takes longer, and only what never comes is a fault."""

NOWHERE = {"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent"}


class HeldClock(Clock):
    """Time that passes when a test says so."""

    def __init__(self):
        self.moment = Moment(START, 86_400.0 * 41)

    def now(self):
        return self.moment

    def follow(self):
        return 0.0

    def slept(self):
        return 0.0

    def step(self, seconds):
        self.moment = Moment(self.moment.at + seconds, self.moment.boot + seconds)


def _wave(step, period, low, high):
    return low + (high - low) * (0.5 + 0.5 * sin(step * 6.28318 / period))


def _gauges(step):
    """Values of gauges: a quiet night, and from step 264 on (six minutes before the end of a full history) a burning CPU."""
    busy = step >= 264
    yield "system.cpu.utilization", {}, _wave(step, 17, 0.91, 0.99) if busy else _wave(step, 60, 0.12, 0.55)
    for core in range(4):
        yield (
            "system.cpu.utilization",
            {"cpu": str(core)},
            _wave(step + 9 * core, 23, 0.8, 1.0) if busy else _wave(step + core, 40, 0.1, 0.6),
        )
    for minutes, period in ((1, 50), (5, 150), (15, 400)):
        yield f"system.load.{minutes}m", {}, _wave(step, period, 0.5, 6.25)
    yield "system.cpu.logical.count", {}, 4.0
    yield "system.cpu.limit", {}, 4.0
    for kind, high in (("cpu", 0.4), ("memory", 0.02), ("io", 0.12)):
        yield f"system.pressure.{kind}.some", {}, _wave(step, 31, 0.0, high)
        yield f"system.pressure.{kind}.full", {}, _wave(step, 31, 0.0, high / 4)
    yield "system.memory.utilization", {}, _wave(step, 300, 0.55, 0.62)
    for state, share in (("used", 0.6), ("cached", 0.25), ("free", 0.1), ("available", 0.4)):
        yield "system.memory.usage", {"state": state}, share * 16 * GIB
    yield "system.memory.limit", {}, 16 * GIB
    yield "system.memory.total", {}, 16 * GIB
    yield "system.paging.utilization", {}, 0.07
    for mountpoint, used, inodes in (("/", 0.47, 0.11), ("/var", 0.91, 0.34), ("/srv/データ", 0.63, 0.02)):
        yield "system.filesystem.utilization", {"mountpoint": mountpoint}, used
        yield "system.filesystem.inodes.utilization", {"mountpoint": mountpoint}, inodes
        yield "system.filesystem.usage", {"mountpoint": mountpoint, "state": "free"}, (1 - used) * 100 * GIB
        yield "system.filesystem.read_only", {"mountpoint": mountpoint}, float(mountpoint == "/")
    yield "system.filesystem.utilization", {}, 0.91
    yield "system.disk.wait", {"device": "nvme0n1"}, _wave(step, 29, 0.0003, 0.012)
    yield "system.network.speed", {"interface": "eth0"}, 125e6
    yield "system.tcp.established", {}, 318.0
    yield "system.fd.utilization", {}, 0.021
    yield "system.fd.open", {}, 20_480.0
    yield "system.temperature", {}, _wave(step, 90, 48, 71)
    yield "system.temperature", {"sensor": "coretemp package"}, _wave(step, 90, 48, 71)
    yield "system.temperature", {"sensor": "nvme"}, 41.0
    yield "system.uptime", {}, 86_400.0 * 41 + step * INTERVAL_S


def _counters(step):
    """Rates of counters, added up by the collector."""
    for mode, rate in (("user", 2.1), ("system", 0.6), ("iowait", 0.2), ("idle", 1.0), ("steal", 0.1)):
        yield "system.cpu.time", {"mode": mode}, rate
    for direction, high in (("read", 9e6), ("write", 31e6)):
        yield "system.disk.io", {"direction": direction}, _wave(step, 37, 0, high)
        yield "system.disk.io", {"direction": direction, "device": "nvme0n1"}, _wave(step, 37, 0, high)
    yield "system.disk.io_time", {"device": "nvme0n1"}, _wave(step, 37, 0.01, 0.55)
    for direction, high in (("receive", 1.1e6), ("transmit", 5.2e6)):
        yield "system.network.io", {"direction": direction}, _wave(step, 43, 2e5, high)
        yield "system.network.io", {"direction": direction, "interface": "eth0"}, _wave(step, 43, 2e5, high)
    yield "system.network.errors", {"interface": "eth0", "direction": "receive"}, 0.0
    yield "system.tcp.retransmits", {}, 0.5
    yield "system.paging.operations", {"direction": "in"}, 0.0
    yield "system.paging.operations", {"direction": "out"}, 12.0


def _definition(name, labels):
    return SeriesDef(name, tuple(sorted(labels.items())))


class Scripted:
    """A collector whose run is a function of the step.

    Attributes:
        fault: Raised in place of a result.
        missing: Names of series that are not measured (of which values are unknown).
    """

    first_after_s = inf  # the schedule never runs it: the test does
    interval_s = INTERVAL_S
    targets = ("host",)
    operations = ()

    def __init__(self, name):
        self.name = name
        self.step = -1
        self.fault = None
        self.missing = frozenset()

    async def run(self, target, slot, views):
        self.step += 1
        if self.fault:
            raise self.fault
        return self.measure(target, slot)

    def measure(self, target, slot):
        return Result()

    async def look(self, views):
        return ()

    def close(self):
        pass


class System(Scripted):
    """CPU, load, memory, filesystems, disks, networks, pressure and sensors; a mount that hangs, a sensor that may not be read."""

    def __init__(self):
        super().__init__("system")
        gauges, counters = list(_gauges(0)), list(_counters(0))
        self._series = tuple(_definition(name, labels) for name, labels, _ in gauges + counters)
        self._counted = [1e6] * len(counters)

    def measure(self, target, slot):
        self._counted = [known + rate * INTERVAL_S for known, (_, _, rate) in zip(self._counted, _counters(self.step), strict=True)]
        values = [value for _, _, value in _gauges(self.step)] + self._counted
        values = [nan if definition.name in self.missing else value for definition, value in zip(self._series, values, strict=True)]
        health = Health("system", "hwmon2", "denied", slot.at, nan, error="temp1_input may not be read", fix="run as root")
        return Result([Measured(target, self._series, values)], health=[health])


class Own(Scripted):
    """What the console itself costs."""

    def __init__(self):
        super().__init__("perfconsole")

    def measure(self, target, slot):
        series = (SeriesDef("perfconsole.cpu.utilization"), SeriesDef("perfconsole.memory.usage"))
        return Result([Measured(target, series, [0.006, 34 * MIB])])


_PROGRAMS = (
    # name, user, unit, memory in MiB, command
    ("systemd", "root", "init.scope", 12, "/sbin/init splash"),
    ("postgres", "postgres", "postgresql.service", 310, "/usr/lib/postgresql/17/bin/postgres -D /var/lib/postgresql/17/main"),
    ("nginx", "www-data", "nginx.service", 14, "nginx: worker process"),
    ("python3", "app", "api.service", 180, "/usr/bin/python3 -m gunicorn -w 8 --bind unix:/run/api.sock shop.wsgi:app --log-level info"),
    ("java", "search", "docker-9f31c2.scope", 2048, "/opt/java/bin/java -Xmx2g -jar /srv/search/search.jar --spring.profiles.active=live"),
    ("kworker/u8:2", "root", "", 0, ""),
    ("データ同期", "app", "sync.service", 44, "/opt/同期/bin/データ同期 --から /srv/データ --へ 予備:/backup"),
    ("sshd", "root", "ssh.service", 6, "sshd: deploy [priv]"),
)  # fmt: skip


def rows(step, count=60):
    """The processes at a step: 60 with units, users, kernel threads, long commands and wide characters."""
    made = []
    for i in range(count):
        name, user, unit, memory, command = _PROGRAMS[0 if i == 0 else 1 + (i - 1) % (len(_PROGRAMS) - 1)]
        pid = 1 if i == 0 else 100 + 37 * i
        kernel = not command
        cpu = 0.0 if i % 3 == 2 or kernel else _wave(step + 7 * i, 19, 0.0, 4.2 / (1 + i))
        made.append(
            ProcessRow(
                pid=pid, start=500 * i + 1, ppid=0 if i == 0 else 1 if i < 12 else 100 + 37 * (i - 11), name=name, user=user,
                state="I" if kernel else "R" if cpu > 0.5 else "D" if i == 17 else "Z" if i == 23 else "S",
                cpu=cpu, cpu_s=3.7 * i * i + cpu * step * INTERVAL_S, memory_bytes=(memory + i % 5) * MIB, threads=1 + i % 9,
                nice=(0, 0, 5, -10)[i % 4], started=START - 86_400.0 + 60 * i, unit=unit, command=command, kernel=kernel,
                read_bytes_s=_wave(step + i, 13, 0, 2e6 / (1 + i)), write_bytes_s=_wave(step + i, 11, 0, 5e6 / (1 + i)),
                pss_bytes=(memory + i % 5) * MIB * 0.8, fds=float(5 + 3 * i),
            )
        )  # fmt: skip
    return made


class Processes:
    """A backend of the process collector (`collectors.processes.backend.Backend`) whose processes are a script.

    Attributes:
        rows: What there is at a step.
        done: What was asked for, of signals and nice values.
    """

    def __init__(self):
        self.step = -1
        self.rows = rows
        self.kept_from_us = None
        self.done = []

    async def count(self):
        self.step += 1
        return len(self.rows(self.step))

    async def scan(self, want, slot):
        self.step += 1
        return self._seen(want)

    async def look(self, want):
        return self._seen(want) if self.step >= 0 else []

    def _seen(self, want):
        """Expensive columns are unknown unless they are looked at, as it is with the real ones."""
        return [
            msgspec.structs.replace(row, **dict.fromkeys(EXPENSIVE - want.columns(row.key), nan)) for row in self.rows(max(self.step, 0))
        ]

    def disk_io(self, key):
        return self.step * 1e6, self.step * 3e6

    def hidden(self):
        return self.kept_from_us

    def close(self):
        pass

    async def detail(self, args):
        files = [OpenFile(0, "device", "/dev/null"), OpenFile(7, "socket", "tcp 10.0.0.5:5432 -> 10.0.0.9:41822 ESTABLISHED")]
        limits = [("Max open files", "1024", "524288"), ("Max processes", "63432", "63432")]
        memory = [("Rss", 310 * MIB), ("Pss", 248 * MIB), ("Shared_Clean", 60 * MIB)]
        return ProcessDetail(files, limits, memory, [("cwd", "/srv"), ("exe", "/usr/bin/python3.13")], ["environ: not ours"])

    async def signal(self, args):
        self.done.append(args)
        return Done(f"sent {args.signal} to {args.pid}")

    async def renice(self, args):
        self.done.append(args)
        return Done(f"{args.pid} is at {args.nice} now")


class World:
    """The engine over the scripted machine.

    Args:
        steps: How much has happened already: collector runs, `INTERVAL_S` apart.
        read_only: The engine refuses actions.
        more: Further collectors.
    """

    def __init__(self, steps=4, *, read_only=False, more=()):
        self.clock = HeldClock()
        self.clock.step(-steps * INTERVAL_S)
        self.system, self.own, self.processes = System(), Own(), Processes()
        with mock.patch("perfconsole.collectors.processes._backend", return_value=self.processes):
            self.table = ProcessCollector(INTERVAL_S)
        self.table.first_after_s = inf
        self.sensors = Scripted("filesystems")
        self.sensors.fault = CollectorError("/mnt/nfs does not answer for 12 s", "check the NFS server, or exclude it in [system] mounts")
        self.collectors = (self.system, self.table, self.own, self.sensors, *more)
        self.audited = []
        stream = Stream("web-3.example", "first", "boot", "1.2.3", read_only=read_only, interval_s=INTERVAL_S)
        self.engine = Engine(self.collectors, stream, rules=SHIPPED, audit=lambda *line: self.audited.append(line), clock=self.clock)
        self._jobs = [Job(collector, target, inf) for collector in self.collectors for target in collector.targets]
        self.engine._sink_views["recording"] = (View("process", limit=40),)  # as if it were recorded: processes are known from the start
        self.engine.start()
        self.advance(steps)

    def close(self):
        self.engine.stop()

    def advance(self, steps=1):
        """Let every collector run, `steps` times."""
        self.run(self._advance(steps))

    async def _advance(self, steps):
        for _ in range(steps):
            self.clock.step(INTERVAL_S)
            now = self.clock.now()
            for job in self._jobs:
                await self.engine._runs.run(job, Slot(now.at, now.boot, now.boot + 5.0))
            self.engine.close_tick()

    def beat(self, seconds):
        """Only time passes."""

        async def passing():
            self.clock.step(seconds)
            self.engine.close_tick()

        self.run(passing())

    def run(self, coroutine):
        """Run something on the engine's loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.engine.loop).result(PATIENCE_S)

    def told(self):
        """What the engine's readers were told last, and what the newest one looks at; None while it is about to tell more."""

        async def look():
            if self.engine._look is not None or self.engine._looking or not self.engine._boxes:
                return None
            return self.engine.state.seq, self.engine._boxes[-1].watch

        return self.run(look())

    def connect(self, kind, **options):
        """A source: ``local``, or ``remote`` over a socket."""
        if kind == "local":
            return LocalSource(self.engine)
        near, far = socket.socketpair()
        serve(self.engine, far, **options)
        return RemoteSource(near)


class Told:
    """A source of ticks that a test tells one by one."""

    def __init__(self, *ticks):
        self._ticks, self._wake, self.watches = list(ticks), lambda: None, []

    def subscribe(self, wake):
        self._wake = wake
        wake()

    def tell(self, *ticks):
        self._ticks += ticks
        self._wake()

    def drain(self):
        ticks, self._ticks = self._ticks, []
        return ticks

    def watch(self, watch):
        self.watches.append(watch)

    def close(self):
        self._wake = lambda: None


def settings(theme="midnight", *, ascii_only=False, colours=COLOURS, **changes):
    """Settings as `cli.console` makes them, without a machine's environment."""
    return Settings(
        theme=themes.load_theme(theme, env=NOWHERE).spec,
        themes=themes.names(NOWHERE),
        load=lambda name: themes.load_theme(name, env=NOWHERE).spec,
        keys=keymap(changes.pop("keys", {})),
        abilities=Abilities(ascii_only, colours),
        host="web-3.example",
    )._replace(**changes)


class Console:
    """A console in a test: its app, its pilot, and how to read it."""

    def __init__(self, app, pilot, world=None):
        self.app, self.pilot, self.world = app, pilot, world

    async def press(self, *keys):
        await self.pilot.press(*keys)
        await self.settled()

    async def step(self, steps=1):
        """The machine goes on, and the screen with it."""
        self.world.advance(steps)
        await self.settled()

    async def settled(self):
        """Wait until what the screen asks for was told, and is shown: twice, since what is shown may ask for more."""
        await self.pilot.pause()
        if self.world is None:
            return
        quiet = 0
        async with asyncio.timeout(PATIENCE_S):
            while quiet < 2:
                if self.world.told() == (self.app.pump.live.seq, self.app._watch) and self._painted():
                    quiet += 1
                    await self._handled()
                else:
                    quiet = 0
                    await asyncio.sleep(0.002)
        if self.app.screen.is_modal:
            self.app.screen.refresh()  # what a dialog lies on reaches its picture by way of a timer
            await self._handled()

    def _painted(self):
        """Whether everything that changed is on the screen: on a busy machine a new size may be painted only after the next tick."""
        screen = self.app.screen
        pending = (screen._dirty_widgets, screen._layout_required, screen._repaint_required)
        return not any(pending) and not any(
            node._layout_required or node._repaint_required for node in screen.walk_children() if node.display and node.size
        )

    async def _handled(self):
        """Wait until every widget on view has handled what waited for it."""
        events = []
        for screen in self.app.screen_stack:
            for node in screen.walk_children(with_self=True):
                event = asyncio.Event()
                if node.call_later(event.set):
                    events.append(event)
        for event in events:
            await event.wait()

    async def until(self, condition):
        """Wait for something another thread does."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110  what is waited for is told to nobody
                await asyncio.sleep(0.005)
        await self.pilot.pause()

    @property
    def strips(self):
        app = self.app
        update = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)
        return [Strip.join(parts).simplify() for parts in update.strips]

    @property
    def lines(self):
        """The screen as text, a string a row."""
        return [strip.text.rstrip() for strip in self.strips]

    @property
    def text(self):
        return "\n".join(self.lines)

    @property
    def picture(self):
        """The screen as text and styles."""
        return [[(segment.text, str(segment.style)) for segment in strip] for strip in self.strips]

    @property
    def screen(self):
        return self.app.screen

    @property
    def pane(self):
        return self.app.screen.focused

    @property
    def pids(self):
        """The pids of the rows of the table, in order."""
        return [item.row.pid for item in self.table._items]

    @property
    def table(self):
        return self.app.screen.query_one("ProcessPane")


def console_app(source, **changes):
    return ConsoleApp(source, settings(**changes))


def frozen_costs():
    """Cost of a run differs from run to run."""
    return mock.patch("perfconsole.engine.runs.time", SimpleNamespace(thread_time=lambda: 0.0))


__all__ = ["HISTORY", "START", "Console", "State", "Told", "World", "console_app", "frozen_costs", "isnan", "rows", "settings"]
