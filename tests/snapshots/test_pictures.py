"""Pictures of every screen, to be looked at when they change: `pytest tests/snapshots --snapshot-update` takes them anew."""

import pytest
from world import Console, console_app

SCREENS = {
    "operations": (),
    "processes": ("6", "j", "j"),
    "process": ("6", "j", "enter"),
    "help": ("question_mark",),
}
SMALL, USUAL, LARGE = (60, 16), (80, 24), (160, 48)
LOOKS = {
    "midnight": {},
    "mono": {"theme": "mono", "colours": 0},
    "terminal": {"theme": "terminal", "colours": 16},
    "ascii": {"theme": "terminal", "colours": 16, "ascii_only": True},
}
PICTURES = [
    *[("midnight", screen, size) for size in (SMALL, USUAL, LARGE) for screen in SCREENS],
    *[(look, screen, USUAL) for look in ("mono", "terminal") for screen in SCREENS],
    ("mono", "operations", LARGE),
    ("terminal", "operations", LARGE),
    ("ascii", "operations", USUAL),
]
KEYS = {"tree": ("6", "t"), "units": ("6", "u"), "signal": ("6", "j", "x"), "expanded": ("tab", "e")}


@pytest.mark.parametrize(("look", "screen", "size"), PICTURES, ids=lambda part: f"{part[0]}x{part[1]}" if isinstance(part, tuple) else part)
def test_screen(night, snap_compare, look, screen, size):
    assert taken(night, snap_compare, SCREENS[screen], size, **LOOKS[look])


@pytest.mark.parametrize("scene", KEYS)
def test_scene(night, snap_compare, scene):
    assert taken(night, snap_compare, KEYS[scene], USUAL)


def taken(night, snap_compare, keys, size, **changes):
    """Whether the picture after some keys is the one that was taken before."""
    app = console_app(night.connect("local"), **changes)

    async def before(pilot):
        console = Console(app, pilot, night)
        await console.until(lambda: app.pump.live.stream is not None)
        await console.press(*keys)
        await console.settled()

    return snap_compare(app, terminal_size=size, run_before=before)
