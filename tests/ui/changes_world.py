"""The machine of `world`, on which things change as a test says; what becomes of that is the engine's own timeline."""

from contextlib import asynccontextmanager

import pytest
from world import START, Console, World, console_app

from perfconsole.core.tick import Event


def event(ago, kind, text, severity="", scope="host", source="systemd", within=0.0):
    """Something that changed so many seconds before the machine's present (03:12:00)."""
    return Event(START - ago - within, START - ago, kind, scope, text, source, severity)


DEPLOY = event(600, "mark", "deploy 1.4.2", source="anna")
FOUND = event(240, "note", "the batch job was started by hand", source="kim")
FAILED = event(560, "unit", "api.service failed: exit status 1", "warning", "api.service")
STARTED = event(555, "unit", "api.service started", scope="api.service")
PACKAGE = event(3000, "package", "libssl3 upgraded from 3.0.11 to 3.0.13", source="/var/log/dpkg.log")
FILE = event(1000, "file", "/etc/nginx/nginx.conf changed", scope="/etc/nginx/nginx.conf", source="files", within=200.0)
OOM = event(360, "oom", "java (1041) of docker-9f31c2.scope was killed: memory limit 512M", "critical", "docker-9f31c2.scope", "kernel log")
LOGIN = event(120, "login", "deploy logged in from 203.0.113.7", source="sshd")
TIMER = event(60, "timer", "logrotate.timer fired", scope="logrotate.timer")
DOWN = event(300, "endpoint", "checkout: 200 became 503", "critical", "checkout", "checks")
RELOAD = event(480, "postgres", "work_mem is 64MB, was 4MB", scope="postgres:orders", source="orders")
YESTERDAY = event(90_000, "boot", "started", within=40.0)
MORNING = event(10_000, "package", "nginx upgraded to 1.24", source="/var/log/dpkg.log")
ALL = (DEPLOY, FOUND, FAILED, STARTED, PACKAGE, FILE, OOM, LOGIN, TIMER, DOWN, RELOAD, YESTERDAY, MORNING)


def tell(world, *events):
    """Something changed on a machine: no time passes."""

    async def noting():
        for one in events:
            world.engine._intake.note(one)

    world.run(noting())
    world.beat(0.0)


class ChangesWorld(World):
    """That machine.

    Args:
        steps: How much has happened already.
        events: What changed meanwhile, and is told at the end of it.
    """

    def __init__(self, steps=10, events=ALL, **options):
        super().__init__(steps, **options)
        tell(self, *events)

    def tell(self, *events):
        """Something changed: the machine goes on by a step."""
        tell(self, *events)
        self.advance()


@pytest.fixture
def make_changes_world():
    """Makes such machines."""
    made = []

    def make(*args, **options):
        made.append(ChangesWorld(*args, **options))
        return made[-1]

    yield make
    for world in made:
        world.close()


@asynccontextmanager
async def changes_screen(world, kind="local", size=(120, 36), **changes):
    """A console on the Changes screen."""
    app = console_app(world.connect(kind), **{"user": "kim", "screen": "changes", **changes})
    async with app.run_test(size=size) as pilot:
        console = Console(app, pilot, world)
        await console.until(lambda: app.pump.live.stream is not None)
        await console.settled()
        yield console
