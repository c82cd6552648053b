"""A recording of the scripted machine under the console: where one is, steps, jumps, playing, and what cannot be done in the past."""

import re

import pytest
from world import START, rows

from perfconsole.core.tables import View
from perfconsole.history.recording import FileRecordingSink
from perfconsole.sources.replay import ReplaySource
from perfconsole.ui.screens.operations import OperationsScreen
from perfconsole.ui.screens.processes import ProcessesScreen
from perfconsole.ui.screens.prompt import Prompt

STEPS = 60


@pytest.fixture
def recording(make_world, tmp_path):
    """Two minutes up to 03:14:00."""
    world = make_world(4)
    path = tmp_path / "night.pcrec"
    sink = FileRecordingSink(path)
    world.engine.add_sink("recording", sink, (View("process", limit=40),), recorder=str(path))
    world.advance(STEPS)
    world.engine.stop()
    assert not sink.error
    return path


@pytest.fixture
def replay(recording, open_console):
    """A console over it, at its end."""

    def opened(**options):
        return open_console(ReplaySource(recording), size=(120, 30), **options)

    return opened


def shown_at(console):
    """The time of day in the banner."""
    return re.search(r"REPLAY Wed 04 Mar (\d\d:\d\d:\d\d)", console.lines[0])[1]


async def until_at(console, clock):
    await console.until(lambda: shown_at(console) == clock)


async def at_the_end(console):
    await console.until(lambda: "REPLAY" in console.text)
    await until_at(console, "03:14:00")


async def test_it_opens_at_its_end_standing_still_and_says_so(replay):
    async with replay() as console:
        await at_the_end(console)
        assert "web-3.example" in console.lines[0]
        assert re.search(r"of 03:12:0\d - 03:14:00  the end", console.lines[0])
        assert "postgres" in console.text


async def test_steps_and_jumps(replay):
    async with replay() as console:
        await at_the_end(console)
        await console.press("left_square_bracket")
        await until_at(console, "03:13:58")
        await console.press("left_square_bracket")
        await until_at(console, "03:13:56")
        await console.press("right_square_bracket")
        await until_at(console, "03:13:58")
        for typed, clock in (("03:13", "03:13:00"), ("-30s", "03:12:30"), ("+10s", "03:12:40"), ("2026-03-04 03:13:30", "03:13:30")):
            await console.press("at")
            assert isinstance(console.screen, Prompt)
            await console.press(*typed.replace(" ", "_").replace("_", " "))
            await console.press("enter")
            await until_at(console, clock)
        await console.press("at", *"half past", "enter")
        assert "not a time: 'half past'" in console.lines[-1]
        assert shown_at(console) == "03:13:30"
        await console.press("at", *"03:12", "escape")
        assert shown_at(console) == "03:13:30"
        for _ in range(3):
            await console.press("at", *"01:00", "enter")
            await console.until(lambda: shown_at(console).startswith("03:12:0"))
            await console.press("left_square_bracket")
        assert shown_at(console).startswith("03:12:0")


async def test_the_past_looks_as_the_present_did(recording, open_console):
    async with open_console(ReplaySource(recording), size=(120, 40)) as console:
        await at_the_end(console)
        await console.press("at", *"03:13", "enter")
        await until_at(console, "03:13:00")
        await console.press("6", "P")
        then = {item.row.pid: item.row.cpu for item in console.table._items}
    right = {row.pid: row.cpu for row in rows(3 + STEPS // 2)}
    assert len(then) >= 40
    assert then == {pid: right[pid] for pid in then}


async def test_it_plays_and_pauses(replay):
    async with replay() as console:
        await at_the_end(console)
        await console.press("at", *"03:12:30", "enter")
        await until_at(console, "03:12:30")
        await console.press("greater_than_sign")
        assert "playing" in console.lines[0]
        await console.until(lambda: shown_at(console) > "03:12:30")
        await console.press("greater_than_sign")
        assert "standing" in console.lines[0]
        await console.press("space")
        assert "playing" in console.lines[0]
        await console.press("space")
        assert "standing" in console.lines[0]


async def test_a_recording_offers_no_actions(replay):
    async with replay() as console:
        await at_the_end(console)
        await console.press("6", "j")
        assert "signal" not in console.lines[-1]
        await console.press("x", "w", "f9", "f7", "L")
        assert isinstance(console.screen, ProcessesScreen)
        await console.press("question_mark")
        for title in ("Play, pause", "A step back in time", "Go to a time"):
            assert title in console.text
        for title in ("Send a signal", "Renice", "Back to live", "Reload"):
            assert title not in console.text
        await console.press("escape", "j", "k", "M", "t", "t", "slash", *"nginx", "enter")
        assert {item.row.name for item in console.table._items} == {"nginx"}
        await console.press("escape", "escape", "escape")
        assert isinstance(console.screen, OperationsScreen)
        await console.pilot.press("ctrl+c")
        assert console.app._exit


def test_the_script_is_at_the_hour_it_says():
    assert START % 86_400 == 3 * 3600 + 12 * 60
