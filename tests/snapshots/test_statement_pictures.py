"""Pictures of the screen of one statement."""

import pytest
from postgres_world import PostgresWorld
from world import HISTORY, Console, console_app, frozen_costs

from perfconsole.ui.screens.statement import StatementScreen

SMALL, USUAL, LARGE = (60, 16), (80, 24), (160, 48)
MONO, ASCII = {"theme": "mono", "colours": 0}, {"theme": "terminal", "colours": 16, "ascii_only": True}
PICTURES = {
    "small": (("enter",), SMALL, {}),
    "text": (("enter",), USUAL, {}),
    "plan": (("p", "j", "j", "j"), USUAL, {}),
    "tables": (("enter", "shift+tab"), USUAL, {}),
    "measure": (("p", "A"), USUAL, {}),
    "large": (("enter", "tab", "tab"), LARGE, {}),
    "plain": (("p",), USUAL, MONO),
    "ascii": (("p",), LARGE, ASCII),
}


@pytest.fixture(scope="module")
def busy():
    with frozen_costs():
        world = PostgresWorld(HISTORY)
    yield world
    world.close()


@pytest.mark.parametrize("picture", PICTURES)
def test_statement(busy, snap_compare, picture):
    keys, size, changes = PICTURES[picture]
    app = console_app(busy.connect("local"), **changes)

    async def before(pilot):
        console = Console(app, pilot, busy)
        await console.until(lambda: app.pump.live.stream is not None)
        await console.press("4")
        await console.until(lambda: "SELECT o.id" in console.text)
        await console.press("g", keys[0])
        screen = app.front
        assert isinstance(screen, StatementScreen)
        await console.until(lambda: screen.text_section._of[1] or screen.tabbed)
        await console.until(lambda: screen.plan.result or not (screen.plan_section.display and screen.plan_section.size))
        await console.press(*keys[1:])
        await console.until(lambda: not screen.detail.waiting and not screen.plan.waiting)
        await console.settled()

    assert snap_compare(app, terminal_size=size, run_before=before)
