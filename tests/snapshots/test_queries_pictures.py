"""Pictures of the Queries screen: both tables, a dialog, a server that was only found."""

import pytest
from postgres_world import PostgresWorld
from world import Console, console_app, frozen_costs

SMALL, USUAL, LARGE = (60, 16), (80, 24), (160, 48)
LOOKS = {
    "midnight": {},
    "mono": {"theme": "mono", "colours": 0},
    "ascii": {"theme": "terminal", "colours": 16, "ascii_only": True},
}
SCENES = {
    "statements": ("j",),
    "sessions": ("tab", "j", "j"),
    "cancel": ("tab", "j", "j", "x"),
    "terminate": ("tab", "j", "x", "enter"),
    "filtered": ("slash", "o", "r", "d", "e", "r", "s", "enter"),
}
PICTURES = [
    *[("midnight", scene, USUAL) for scene in SCENES],
    *[("midnight", scene, LARGE) for scene in ("statements", "terminate")],
    *[("midnight", scene, SMALL) for scene in ("statements", "sessions")],
    *[(look, scene, USUAL) for look in ("mono", "ascii") for scene in ("statements", "sessions", "cancel")],
]


@pytest.fixture(scope="module")
def storm():
    """Seven minutes of a night in which three sessions wait for a fourth."""
    with frozen_costs():
        world = PostgresWorld(200)
    yield world
    world.close()


@pytest.mark.parametrize(("look", "scene", "size"), PICTURES, ids=lambda part: f"{part[0]}x{part[1]}" if isinstance(part, tuple) else part)
def test_scene(storm, snap_compare, look, scene, size):
    app = console_app(storm.connect("local"), **LOOKS[look])

    async def before(pilot):
        console = Console(app, pilot, storm)
        await console.until(lambda: app.pump.live.stream is not None)
        await console.press("4", *SCENES[scene])
        await console.settled()

    assert snap_compare(app, terminal_size=size, run_before=before)
