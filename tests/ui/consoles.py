"""Fixtures: a console over a scripted machine (see `world`), in UTC, without waiting, through both kinds of source."""

import os
import time
from contextlib import asynccontextmanager

import pytest
from textual.css.stylesheet import Stylesheet
from textual.widgets import Input
from world import Console, World, console_app, frozen_costs

_parse_rules = Stylesheet._parse_rules
_parsed = {}


def parsed_once(sheet, *args, **options):
    """What style sheets say, read once for all apps: Textual itself keeps it only as long as an app lives."""
    key = (args, tuple(options.items()), tuple(sheet._variables.items()))
    if key not in _parsed:
        _parsed[key] = _parse_rules(sheet, *args, **options)
    return _parsed[key]


@pytest.fixture(autouse=True)
def still(monkeypatch):
    """What would make a picture another every time: the zone, the cost of a run; and what would only take time."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    for name in ("NO_COLOR", "FORCE_COLOR", "TEXTUAL_ANIMATIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("perfconsole.engine.engine._DEBOUNCE_S", 0.0)
    monkeypatch.setattr("textual._wait.SLEEP_GRANULARITY", 0.002)  # 20 ms twice a key are most of a test's time
    monkeypatch.setattr(Stylesheet, "_parse_rules", parsed_once)
    monkeypatch.setattr(Input, "_toggle_cursor", lambda _: None)  # a cursor that blinks is in every other picture of a busy machine
    with frozen_costs():
        yield
    os.environ.pop("TZ", None)
    time.tzset()


@pytest.fixture
def make_world():
    made = []

    def make(*args, **options):
        made.append(World(*args, **options))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(make_world):
    return make_world()


@pytest.fixture(params=["local", "remote"])
def kind(request):
    return request.param


@pytest.fixture
def open_console():
    """A console over a world (or any source): ``async with open_console(world) as console``."""

    @asynccontextmanager
    async def opened(world, kind="local", size=(80, 24), **changes):
        source = world.connect(kind) if isinstance(world, World) else world
        app = console_app(source, **changes)
        async with app.run_test(size=size) as pilot:
            console = Console(app, pilot, world if isinstance(world, World) else None)
            if console.world:
                await console.until(lambda: app.pump.live.stream is not None)
            await console.settled()
            yield console

    return opened
