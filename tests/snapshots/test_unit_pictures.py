"""Pictures of the Units tab, of one unit, and of the machine in detail."""

import pytest
from units_world import UnitsWorld, breached
from world import HISTORY, Console, console_app, frozen_costs

from perfconsole.ui.logins import ACCESS
from perfconsole.ui.screens.system import open_system
from perfconsole.ui.screens.unit import UnitScreen
from perfconsole.ui.widgets.units import UnitsPane

SMALL, USUAL, WIDE, LARGE = (60, 16), (80, 24), (120, 36), (160, 48)
MONO, ASCII = {"theme": "mono", "colours": 0}, {"theme": "terminal", "colours": 16, "ascii_only": True}
LIGHT = {"theme": "paper"}
UNITS = {
    "small": (("j",), SMALL, {}),
    "usual": (("j", "j"), USUAL, {}),
    "tree": (("t", "j", "j"), USUAL, {}),
    "filtered": (("slash", *"slice", "enter"), USUAL, {}),
    "wide": (("M",), WIDE, {}),
    "large": (("j",), LARGE, {}),
    "light": (("t",), WIDE, LIGHT),
    "plain": (("j",), USUAL, MONO),
    "ascii": (("t",), LARGE, ASCII),
}
UNIT = {
    "small": ("api.service", (), SMALL, {}),
    "processes": ("api.service", ("j",), USUAL, {}),
    "journal": ("api.service", ("tab",), USUAL, {}),
    "facts": ("api.service", ("tab", "tab"), USUAL, LIGHT),
    "failed": ("backup.service", (), USUAL, {}),
    "wide": ("postgresql.service", (), WIDE, {}),
    "large": ("api.service", ("tab",), LARGE, {}),
    "light": ("api.service", (), LARGE, LIGHT),
    "plain": ("sync.service", (), USUAL, MONO),
    "ascii": ("api.service", ("tab",), USUAL, ASCII),
}
SYSTEM = {
    "findings": ("", (), USUAL, {}),
    "access": (ACCESS, ("j", "j", "j"), USUAL, {}),
    "wide": (ACCESS, ("j", "j", "j"), WIDE, LIGHT),
    "large": ("", ("j",), LARGE, {}),
    "ascii": (ACCESS, ("G",), USUAL, ASCII),
}


@pytest.fixture(scope="module")
def busy():
    with frozen_costs():
        world = UnitsWorld(HISTORY)
    world.logins.table = breached
    world.units.notes = ("memory.events may not be read in user.slice: OOM kills there are unknown: join group adm",)
    yield world
    world.close()


def taken(world, snap_compare, size, changes, scene):
    """Whether the picture after a scene is the one that was taken before."""
    app = console_app(world.connect("local"), **changes)

    async def before(pilot):
        console = Console(app, pilot, world)
        await console.until(lambda: app.pump.live.stream is not None)
        await scene(console)
        await console.settled()

    return snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("picture", UNITS)
def test_units(busy, snap_compare, picture):
    keys, size, changes = UNITS[picture]

    async def scene(console):
        await console.press("U", *keys)

    assert taken(busy, snap_compare, size, {**changes, "screen": "processes"}, scene)


@pytest.mark.parametrize("picture", UNIT)
def test_unit(busy, snap_compare, picture):
    name, keys, size, changes = UNIT[picture]

    async def scene(console):
        await console.press("U")
        row = next(item.row for item in console.screen.query_one(UnitsPane)._items if item.row.name == name)
        await console.app.push_screen(UnitScreen(row))
        await console.until(lambda: console.screen.answer.result is not None)
        await console.settled()
        await console.press(*keys)

    assert taken(busy, snap_compare, size, {**changes, "screen": "processes"}, scene)


@pytest.mark.parametrize("picture", SYSTEM)
def test_system(busy, snap_compare, picture):
    first, keys, size, changes = SYSTEM[picture]

    async def scene(console):
        await open_system(console.app, first)
        await console.until(lambda: console.screen.answer.result is not None)
        await console.settled()
        await console.until(lambda: not first or first == console.screen.front_part.NAME)
        await console.press(*keys)

    assert taken(busy, snap_compare, size, changes, scene)
