"""Pictures of the Endpoints screen, and of Operations where endpoints are checked."""

import pytest
from http_world import WELL, HttpWorld, many
from world import HISTORY, Console, console_app, frozen_costs

from perfconsole.core.errors import CollectorError

SMALL, USUAL, WIDE, LARGE, HUGE = (60, 16), (80, 24), (120, 36), (160, 48), (200, 60)
MONO, ASCII = {"theme": "mono", "colours": 0}, {"theme": "terminal", "colours": 16, "ascii_only": True}
ENDPOINTS = {
    "small": (("5",), SMALL, {}),
    "usual": (("5", "j", "j"), USUAL, {}),
    "large": (("5", "j", "j"), LARGE, {}),
    "wide": (("5",), WIDE, {}),
    "folded": (("5", "j", "enter"), USUAL, {}),
    "flat": (("5", "b"), USUAL, {}),
    "filtered": (("5", "slash", *"state:down", "enter"), USUAL, {}),
    "filtered in vain": (("5", "slash", *"nobody", "enter"), USUAL, {}),
    "plain": (("5", "j", "j"), USUAL, MONO),
    "ascii": (("5", "j", "j"), USUAL, ASCII),
    "ascii large": (("5", "j", "j"), LARGE, ASCII),
}
OPERATIONS = {
    "small": ((), SMALL, {}),
    "usual": ((), USUAL, {}),
    "wide": ((), WIDE, {}),
    "large": ((), LARGE, {}),
    "huge": ((), HUGE, {}),
    "selected": (("tab",) * 4 + ("j", "j"), USUAL, {}),
    "expanded": (("tab",) * 4 + ("e",), USUAL, {}),
    "plain": ((), USUAL, MONO),
    "ascii": ((), USUAL, ASCII),
    "ascii large": ((), LARGE, ASCII),
}


def fifteen_minutes(*scripts):
    with frozen_costs():
        return HttpWorld(HISTORY, *scripts)


@pytest.fixture(scope="module")
def watched():
    world = fifteen_minutes()
    yield world
    world.close()


@pytest.fixture(scope="module")
def well():
    world = fifteen_minutes(WELL)
    yield world
    world.close()


@pytest.fixture
def blind():
    """Two minutes after checks ceased."""
    with frozen_costs():
        world = HttpWorld(60)
        world.http.fault = CollectorError("too many open files", "raise ulimit -n")
        world.advance(60)
    yield world
    world.close()


@pytest.fixture
def crowd():
    with frozen_costs():
        world = HttpWorld(60, many(60))
    yield world
    world.close()


def taken(world, snap_compare, keys, size, **changes):
    """Whether the picture after some keys is the one that was taken before."""
    app = console_app(world.connect("local"), **changes)

    async def before(pilot):
        console = Console(app, pilot, world)
        await console.until(lambda: app.pump.live.stream is not None)
        await console.settled()
        for key in keys:
            await console.press(key)
        await console.settled()

    return snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("picture", ENDPOINTS)
def test_endpoints(watched, snap_compare, picture):
    keys, size, changes = ENDPOINTS[picture]
    assert taken(watched, snap_compare, keys, size, **changes)


@pytest.mark.parametrize("picture", OPERATIONS)
def test_operations(watched, snap_compare, picture):
    keys, size, changes = OPERATIONS[picture]
    assert taken(watched, snap_compare, keys, size, **changes)


@pytest.mark.parametrize("size", [SMALL, USUAL, LARGE], ids="{0[0]}x{0[1]}".format)
def test_all_well(well, snap_compare, size):
    assert taken(well, snap_compare, (), size)


@pytest.mark.parametrize("keys", [(), ("5",)], ids=["operations", "endpoints"])
def test_checks_that_ceased(blind, snap_compare, keys):
    assert taken(blind, snap_compare, keys, USUAL)


@pytest.mark.parametrize("keys", [(), ("5",)], ids=["operations", "endpoints"])
def test_many(crowd, snap_compare, keys):
    assert taken(crowd, snap_compare, keys, LARGE)
