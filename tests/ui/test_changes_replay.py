"""In a recording, `n` and `N` go from one alert, mark or warning to the next, and the list leads to its moments."""

import re

import pytest
from changes_world import ALL, event, make_changes_world
from world import START, Told

from perfconsole.core.change_requests import EventList, EventsArgs
from perfconsole.core.requests import EVENT_LIST
from perfconsole.core.state import State
from perfconsole.core.tables import View
from perfconsole.core.tick import Event, Stream, Tick
from perfconsole.history.recording import FileRecordingSink
from perfconsole.sources.replay import ReplaySource
from perfconsole.ui import changes

__all__ = ["make_changes_world"]

STORY = (
    (10, ("mark", "deploy 1.4.2", "", "host")),
    (10, ("unit", "api.service failed", "warning", "api.service")),
    (0, ("unit", "api.service started", "", "api.service")),
    (20, ("note", "rolled back", "", "host")),
    (19, ()),
)
"""What comes about after so many steps of two seconds from 03:12:00 on; each is told half a second later, as a beat does it."""


@pytest.fixture
def recording(make_changes_world, tmp_path):
    """Two minutes, in which things change."""
    world = make_changes_world(4, events=())
    path = tmp_path / "night.pcrec"
    sink = FileRecordingSink(path)
    world.engine.add_sink("recording", sink, (View("process", limit=40),), recorder=str(path))
    for steps, told in STORY:
        world.advance(steps)
        if told:
            kind, text, severity, scope = told
            at = world.clock.now().at
            world.run(noted(world, Event(at, at, kind, scope, text, "test", severity)))
            world.beat(0.5)
    world.engine.stop()
    assert not sink.error
    return path


async def noted(world, one):
    world.engine._intake.note(one)


async def at_the_end(console):
    await console.until(lambda: "REPLAY" in console.text)
    await console.until(lambda: shown_at(console) == "03:14:00")


def shown_at(console):
    """The time of day in the banner."""
    return re.search(r"REPLAY Wed 04 Mar (\d\d:\d\d:\d\d)", console.lines[0])[1]


async def step(console, key, clock, told):
    await console.press(key)
    await console.until(lambda: shown_at(console) == clock)
    assert told in console.lines[-1]


async def test_steps_go_to_the_moment_after_each(recording, open_console):
    async with open_console(ReplaySource(recording), size=(120, 36)) as console:
        await at_the_end(console)
        assert "n next alert or mark" in console.lines[-1]
        await step(console, "N", "03:13:22", "03:13:21 note rolled back (3 of 3)")
        await step(console, "N", "03:12:41", "03:12:40 unit api.service failed (2 of 3)")
        await step(console, "N", "03:12:20", "03:12:20 mark deploy 1.4.2 (1 of 3)")
        changed = "\n".join(console.lines[:-1])
        assert "deploy 1.4.2" in changed
        assert "rolled back" not in changed  # that is known, but not of this moment
        await console.press("N")
        assert "no earlier alert or mark is known" in console.lines[-1]
        assert shown_at(console) == "03:12:20"
        await step(console, "n", "03:12:41", "03:12:40 unit api.service failed (2 of 3)")
        await step(console, "n", "03:13:22", "03:13:21 note rolled back (3 of 3)")
        await console.press("n")
        assert "no later alert or mark is known" in console.lines[-1]


async def test_from_any_moment_a_step_leads_to_the_next(recording, open_console):
    async with open_console(ReplaySource(recording), size=(120, 36)) as console:
        await at_the_end(console)
        await console.press("at", *"03:13", "enter")
        await console.until(lambda: shown_at(console) == "03:12:59")
        await step(console, "n", "03:13:22", "rolled back (3 of 3)")
        await console.press("left_square_bracket")
        await console.until(lambda: shown_at(console) < "03:13:21")
        await step(console, "N", "03:12:41", "api.service failed (2 of 3)")
        await console.press("right_square_bracket")
        await console.until(lambda: shown_at(console) > "03:12:41")
        await step(console, "N", "03:12:41", "api.service failed (2 of 3)")


async def test_the_list_leads_to_its_moments_and_keeps_what_comes_after(recording, open_console):
    async with open_console(ReplaySource(recording), size=(120, 36)) as console:
        await at_the_end(console)
        await console.press("8")
        assert console.lines[-1].count("n next alert or mark") == 1
        await console.press("G", "enter")
        await console.until(lambda: shown_at(console) == "03:12:20")
        assert "at 03:12:20 mark deploy 1.4.2" in console.lines[-1]
        assert "rolled back" in console.text
        table = console.screen.table
        assert table.row.event.kind == "mark"
        inks = [table.cell(item, table.columns()[-1], console.app.state)[1] for item in table._items]
        assert inks == ["stale", "stale", "stale", "foreground"]
        await step(console, "n", "03:12:41", "api.service failed (2 of 3)")
        assert table.row.event.text == "api.service failed"
        await console.press("y")
        assert "copied: - 2026-03-04 03:12:40 UTC: warning **unit** api.service failed" in console.lines[-1]


async def test_a_recording_takes_no_marks(recording, open_console):
    async with open_console(ReplaySource(recording), size=(120, 30)) as console:
        await at_the_end(console)
        ids = {action.id for action in console.app.actions()}
        assert ids.isdisjoint({"mark", "note"})
        assert {"alert.next", "alert.previous", "screen.changes"} <= ids
        await console.press("m", "i")
        assert not console.app.screen.is_modal


class Listing(Told):
    """A recording that can be asked for all that was recorded."""

    def __init__(self, *ticks, events):
        super().__init__(*ticks)
        self.events, self.asked = events, []

    async def request(self, op, args):
        self.asked.append((op, args))
        return EventList(list(self.events))


def past(at, events, ops=frozenset({EVENT_LIST.name})):
    state = State()
    stream = Stream("web-3.example", "first", "boot", "1.2.3", ops=ops, read_only=True, recorded=(START - 3600, START))
    state.apply(Tick(1, at, 1.0, key=True, past=True, stream=stream, events=list(events)))
    return state.keyframe()


async def test_what_comes_after_the_moment_is_asked_for_where_it_can_be(open_console):
    told = sorted((one for one in ALL if one.time_hi > START - 3600), key=lambda one: one.time_hi)
    source = Listing(past(START - 580, [one for one in told if one.time_hi < START - 580]), events=told)
    async with open_console(source, size=(120, 30)) as console:
        await console.press("n")
        assert source.asked == [(EVENT_LIST.name, EventsArgs(START - 3600, START, changes.MOST))]
        assert "03:02:40 unit api.service failed: exit status 1 (2 of 5)" in console.lines[-1]
        assert source.watches[-1].at == START - 560 + changes.AFTER_S
        assert source.watches[-1].speed == 0
        source.tell(past(START - 559, [one for one in told if one.time_hi < START - 559]))
        await console.press("n")
        assert source.watches[-1].at == START - 360 + changes.AFTER_S
        assert len(source.asked) == 1


async def test_a_step_never_leaves_the_recording(open_console):
    last = event(0, "mark", "the end")
    source = Listing(past(START - 10, []), events=[last])
    async with open_console(source, size=(120, 30)) as console:
        await console.press("n")
        assert source.watches[-1].at == START
