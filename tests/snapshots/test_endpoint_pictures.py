"""Pictures of the screen of one endpoint."""

import pytest
from http_world import CHECKOUT, LEGACY, PARTNER, SCRIPTS, HttpWorld, row
from world import HISTORY, Console, console_app, frozen_costs

from perfconsole.ui.screens.endpoint import EndpointScreen

SMALL, USUAL, WIDE, LARGE = (60, 16), (80, 24), (120, 36), (160, 48)
MONO, ASCII = {"theme": "mono", "colours": 0}, {"theme": "terminal", "colours": 16, "ascii_only": True}
PICTURES = {
    "small": (CHECKOUT, (), SMALL, {}),
    "failure": (CHECKOUT, (), USUAL, {}),
    "phases": (CHECKOUT, ("tab",), USUAL, {}),
    "percentiles": (CHECKOUT, ("tab",) * 2, USUAL, {}),
    "history": (CHECKOUT, ("tab",) * 3, USUAL, {}),
    "certificates": (CHECKOUT, ("tab",) * 4, USUAL, {}),
    "gaps": (LEGACY, ("tab",), USUAL, {}),
    "unmeasured": (PARTNER, (), USUAL, {}),
    "suppressed": ("reports", (), USUAL, {}),
    "slow": ("cart", (), WIDE, {}),
    "large": (CHECKOUT, (), LARGE, {}),
    "well": ("api", (), LARGE, {}),
    "plain": (CHECKOUT, ("tab",), USUAL, MONO),
    "ascii": (CHECKOUT, (), LARGE, ASCII),
}


@pytest.fixture(scope="module")
def watched():
    with frozen_costs():
        world = HttpWorld(HISTORY)
    yield world
    world.close()


@pytest.mark.parametrize("picture", PICTURES)
def test_endpoint(watched, snap_compare, picture):
    name, keys, size, changes = PICTURES[picture]
    app = console_app(watched.connect("local"), **changes)

    async def before(pilot):
        console = Console(app, pilot, watched)
        await console.until(lambda: app.pump.live.stream is not None)
        await console.press("5")
        await app.push_screen(EndpointScreen(row(next(script for script in SCRIPTS if script.name == name))))
        await console.settled()
        await console.until(lambda: not app.front.detail.waiting)
        await console.press(*keys)
        await console.settled()

    assert snap_compare(app, terminal_size=size, run_before=before)
