"""Pictures of what changed: on Operations, on its own screen, at the time axes of charts."""

import pytest
from changes_world import ChangesWorld
from world import HISTORY, Console, console_app, frozen_costs

SMALL, USUAL, WIDE, LARGE, HUGE = (60, 16), (80, 24), (120, 36), (160, 48), (200, 60)
MONO, ASCII = {"theme": "mono", "colours": 0}, {"theme": "terminal", "colours": 16, "ascii_only": True}
PAPER = {"theme": "paper"}
SCENES = {
    "operations small": ((), SMALL, {}),
    "operations usual": ((), USUAL, {}),
    "operations wide": ((), WIDE, {}),
    "operations large": ((), LARGE, {}),
    "operations ascii": ((), USUAL, ASCII),
    "operations plain": ((), LARGE, MONO),
    "operations light": ((), LARGE, PAPER),
    "selected": (("tab", "tab", "tab", "j", "j"), LARGE, {}),
    "expanded": (("tab", "tab", "tab", "e", "j"), WIDE, {}),
    "held": (("space", "N", "N"), LARGE, {}),
    "list small": (("8",), SMALL, {}),
    "list usual": (("8", "j", "j"), USUAL, {}),
    "list wide": (("8", "j", "j", "j"), WIDE, {}),
    "list large": (("8", "full_stop", "full_stop", "full_stop", "G"), LARGE, {}),
    "list huge": (("8", "j"), HUGE, {}),
    "list filtered": (("8", "slash", *"severity:critical", "enter"), USUAL, {}),
    "list ascii": (("8", "j", "j"), USUAL, ASCII),
    "list plain": (("8", "j", "j"), USUAL, MONO),
    "list light": (("8", "G", "k"), LARGE, PAPER),
    "note": (("i", *"the batch job"), USUAL, {}),
    "chart": (("7", "j", "enter"), USUAL, {}),
    "chart ascii": (("7", "j", "enter"), WIDE, ASCII),
    "chart light": (("7", "j", "enter"), LARGE, PAPER),
}


@pytest.fixture(scope="module")
def changed():
    """Fifteen minutes in which a deploy went wrong."""
    with frozen_costs():
        world = ChangesWorld(HISTORY)
    yield world
    world.close()


@pytest.mark.parametrize("scene", SCENES)
def test_changes(changed, snap_compare, scene):
    keys, size, changes = SCENES[scene]
    if keys[:1] == ("8",):  # Operations need not be made first
        keys, changes = keys[1:], {**changes, "screen": "changes"}
    app = console_app(changed.connect("local"), **{"user": "kim", **changes})

    async def before(pilot):
        console = Console(app, pilot, changed)
        await console.until(lambda: app.pump.live.stream is not None)
        await console.press(*keys)
        await console.settled()

    assert snap_compare(app, terminal_size=size, run_before=before)
