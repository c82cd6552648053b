"""Pictures of the Alerts screen, of one alert, of its dialogs, and of Operations where alerts fire."""

import pytest
from alert_world import ALERTS, AlertWorld, storm
from world import HISTORY, Console, console_app, frozen_costs

SMALL, USUAL, WIDE, LARGE, HUGE = (60, 16), (80, 24), (120, 36), (160, 48), (200, 60)
MONO, ASCII = {"theme": "mono", "colours": 0}, {"theme": "terminal", "colours": 16, "ascii_only": True}
PAPER = {"theme": "paper"}
LIST = {
    "small": (("7", "j"), SMALL, {}),
    "usual": (("7", "j"), USUAL, {}),
    "wide": (("7", "j", "j"), WIDE, {}),
    "large": (("7", "j"), LARGE, {}),
    "huge": (("7", "j"), HUGE, {}),
    "filtered": (("7", "slash", *"state:pending", "enter"), USUAL, {}),
    "plain": (("7", "j"), USUAL, MONO),
    "ascii": (("7", "j"), USUAL, ASCII),
    "light": (("7", "j"), LARGE, PAPER),
    "acknowledge": (("7", "j", "a"), USUAL, {}),
    "silence": (("7", "j", "z"), USUAL, {}),
    "silence in vain": (("7", "j", "z", "enter"), USUAL, {}),
    "silence light": (("7", "j", "z"), USUAL, PAPER),
    "change a rule": (("7", "j", "j", "E", "ctrl+u", *"90%"), USUAL, {}),
    "end silence": (("7", "G", "z"), USUAL, {}),
}
ONE = {
    "small": (("7", "j", "enter"), SMALL, {}),
    "usual": (("7", "j", "enter"), USUAL, {}),
    "wide": (("7", "j", "j", "enter"), WIDE, {}),
    "large": (("7", "j", "enter"), LARGE, {}),
    "huge": (("7", "j", "j", "enter"), HUGE, {}),
    "rule": (("7", "j", "j", "enter", "tab"), USUAL, {}),
    "related": (("7", "j", "enter", "tab", "tab"), USUAL, {}),
    "notified": (("7", "j", "enter", "shift+tab"), USUAL, {}),
    "pending": (("7", "j", "j", "j", "j", "j", "enter"), USUAL, {}),
    "plain": (("7", "j", "enter"), USUAL, MONO),
    "ascii": (("7", "j", "j", "enter"), LARGE, ASCII),
    "light": (("7", "j", "j", "enter"), LARGE, PAPER),
}
OPERATIONS = {
    "small": ((), SMALL, {}),
    "usual": ((), USUAL, {}),
    "large": ((), LARGE, {}),
    "huge": ((), HUGE, {}),
    "expanded": (("tab", "tab", "e", "j"), LARGE, {}),
    "plain": ((), USUAL, MONO),
    "ascii": ((), LARGE, ASCII),
    "light": ((), LARGE, PAPER),
}
STORM = {"list": (("7", "j"), LARGE), "unfolded": (("7", "j", "enter"), USUAL), "operations": ((), USUAL)}


def of(*args, **options):
    with frozen_costs():
        return AlertWorld(*args, **options)


@pytest.fixture(scope="module")
def alarmed():
    world = of(HISTORY)
    yield world
    world.close()


@pytest.fixture(scope="module")
def stormy():
    world = of(60, alerts=[*ALERTS, *storm(500)])
    yield world
    world.close()


@pytest.fixture(scope="module")
def calm():
    world = of(60, alerts=[], silences=())
    yield world
    world.close()


def taken(world, snap_compare, keys, size, **changes):
    """Whether the picture after some keys is the one that was taken before."""
    app = console_app(world.connect("local"), user="kim", **changes)

    async def before(pilot):
        console = Console(app, pilot, world)
        await console.until(lambda: app.pump.live.stream is not None)
        await console.settled()
        for key in keys:
            await console.press(key)
        await console.until(lambda: not getattr(getattr(app.front, "history", None), "waiting", False))
        await console.settled()

    return snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("picture", LIST)
def test_alerts(alarmed, snap_compare, picture):
    keys, size, changes = LIST[picture]
    assert taken(alarmed, snap_compare, keys, size, **changes)


@pytest.mark.parametrize("picture", ONE)
def test_alert(alarmed, snap_compare, picture):
    keys, size, changes = ONE[picture]
    assert taken(alarmed, snap_compare, keys, size, **changes)


@pytest.mark.parametrize("picture", OPERATIONS)
def test_operations(alarmed, snap_compare, picture):
    keys, size, changes = OPERATIONS[picture]
    assert taken(alarmed, snap_compare, keys, size, **changes)


@pytest.mark.parametrize("picture", STORM)
def test_storm(stormy, snap_compare, picture):
    keys, size = STORM[picture]
    assert taken(stormy, snap_compare, keys, size)


@pytest.mark.parametrize("size", [SMALL, USUAL], ids="{0[0]}x{0[1]}".format)
def test_calm(calm, snap_compare, size):
    assert taken(calm, snap_compare, ("7",), size)
