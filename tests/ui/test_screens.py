"""Every screen through both kinds of source: the same picture, text and styles, whether the engine is here or behind a socket."""

import re

import pytest
from world import rows

from perfconsole.core.tables import ProcessTable
from perfconsole.ui.screens.process import ProcessScreen
from perfconsole.ui.screens.processes import ProcessesScreen

SIZES = [(80, 24), (160, 48)]
HELD = 100
"""Steps of history: all of it fits into the keyframe of a far engine, which carries 120 samples a series."""

FILTERED = ("slash", *"nginx", "enter")
WALKS = {
    "operations": {
        "as it opens": (),
        "a narrower window": ("comma",),
        "processes expanded": ("e",),
        "a row selected": ("j",),
        "sorted by memory": ("s",),
        "reversed": ("r",),
        "back, system expanded": ("escape", "tab", "e"),
        "scrolled": ("pagedown",),
        "back, thresholds expanded": ("escape", "tab", "e"),
        "help": ("escape", "question_mark"),
        "help, to the end": ("G",),
        "the palette": ("escape", "colon"),
        "another theme": ("escape", "T"),
    },
    "processes": {
        "as it opens": ("6",),
        "second row": ("j", "j"),
        "to the end": ("G",),
        "up again": ("pageup", "k"),
        "reversed": ("r",),
        "by memory": ("M",),
        "by pid": ("P",),
        "by CPU": ("C",),
        "filtered": FILTERED,
        "filtered in vain": ("slash", "z", "z", "enter"),
        "a filter is being typed": ("escape", "slash", "n", "g"),
        "tree": ("escape", "t"),
        "tree, to the end": ("G",),
        "tree, filtered": FILTERED,
        "by program": ("escape", "b"),
        "by program, first row": ("g",),
        "by unit": ("u",),
        "by unit, filtered": FILTERED,
        "one process": ("escape", "escape", "g", "enter"),
        "frozen": ("escape", "space"),
    },
    "every column": {str(place): ("6",) if not place else ("s",) for place in range(13)},
}  # fmt: skip


def first_difference(one, other):
    """Both pictures at the first row in which they differ."""
    return next(((y, a, b) for y, (a, b) in enumerate(zip(one, other, strict=True)) if a != b), None)


async def walk(open_console, world, kind, size, scenes):
    """The pictures of scenes, each reached from the one before, with the machine going on in between."""
    pictures = {}
    async with open_console(world, kind, size) as console:
        for scene, keys in scenes.items():
            for key in keys:  # what one asked for is there before the next: what is frozen depends on it
                await console.press(key)
            await console.step()
            pictures[scene] = console.picture
    return pictures


@pytest.mark.parametrize(
    ("scenes", "size"),
    [("operations", (80, 24)), ("operations", (160, 48)), ("processes", (80, 24)), ("processes", (160, 48)), ("every column", (160, 48))],
    ids=str,
)
async def test_near_and_far_engines_make_the_same_pictures(open_console, make_world, scenes, size):
    near, far = [await walk(open_console, make_world(HELD), kind, size, WALKS[scenes]) for kind in ("local", "remote")]
    differences = {scene: first_difference(near[scene], far[scene]) for scene in near}
    assert {scene: difference for scene, difference in differences.items() if difference} == {}
    assert all(sum(len(text.strip()) for row in picture for text, _ in row) > 200 for picture in near.values())


async def test_each_column_sorts_by_what_it_shows(world, open_console):
    async with open_console(world, size=(200, 70)) as console:
        await console.press("6")
        columns = console.table.columns()
        assert len(columns) == 12
        for _ in columns:
            await console.press("s")
            known = [getattr(item.row, console.table.sort) for item in console.table._items]
            numbers = not isinstance(known[0], str)
            falling = numbers and console.table.sort not in {"pid", "nice"}
            texts = [text.lower() for text in known if text] if not numbers else known
            assert texts == sorted(texts, reverse=falling), console.table.sort
        assert console.table.sort == "cpu"


async def test_a_far_engine_sends_only_the_rows_that_are_looked_at_and_says_so(world, open_console):
    world.processes.rows = lambda step: rows(step, 300)
    async with open_console(world, "remote", (120, 30)) as console:
        await console.press("6")
        await console.step()
        assert "200 of 300 held" in console.lines[2]
        assert len(console.app.state.table(ProcessTable).rows) < 300
        await console.press("t")
        await console.step()
        assert len(console.table._items) == 300


@pytest.mark.parametrize(
    ("steps", "told"), [(1, "time window 30m, 0.0s held so far"), (90, "time window 30m, 2m58s held so far"), (900, "time window 30m")]
)
async def test_a_window_wider_than_what_is_known_is_said_to_be(make_world, open_console, steps, told):
    async with open_console(make_world(steps)) as console:
        await console.press("full_stop")
        assert console.lines[-1].strip() == told
        assert ("last 30m" in console.text) == (steps == 900)
        for _ in range(3):
            await console.press("comma")
        assert console.lines[-1].strip() == "time window 2m"


async def test_what_is_collected_is_what_is_looked_at(world, open_console, kind):
    async with open_console(world, kind, (160, 30)) as console:
        await console.press("6", "G")
        shown = {item.row.key for item in console.table._items[-20:]}
        read = {row.key for row in console.app.state.table(ProcessTable).rows if row.read_bytes_s == row.read_bytes_s}
        assert shown <= read
        assert len(read) < 60
        first = [line for line in console.lines[4:-1] if line.split()[0].isdigit() or line.startswith("▸")]
        assert len(first) > 20


async def test_operations_says_what_is_the_matter(make_world, open_console, kind):
    async with open_console(make_world(300), kind, (80, 24)) as console:
        top, worst = console.lines[:2]
        assert "web-3.example  ▲ 1 WARN  over ■ 1  SYS ■ CRIT" in top
        assert worst.startswith(" ▲ WARN  disk /var 91% > 85%  for over 9m58s  ■ over: CPU 9")
        assert worst.endswith("> 90%")
        await console.press("tab", "tab", "e")
        assert "/mnt/nfs does not answer for 12 s" in console.text
        assert "temp1_input may not be read  run as root" in console.text


@pytest.fixture
def healthy(make_world):
    """A world whose disks are not measured, so that nothing is over its threshold."""
    world = make_world(0)
    world.system.missing = frozenset({"system.filesystem.utilization"})
    world.advance(3)
    return world


async def test_the_smallest_screen_still_names_the_worst_thing(make_world, open_console):
    async with open_console(make_world(300), size=(60, 16)) as console:
        at = next(y for y, line in enumerate(console.lines) if "ALERTS" in line)
        assert "WARN disk /var 91% > 85%" in console.lines[at + 1]
        assert "over ■ 1" in console.lines[0]


@pytest.mark.parametrize("keys", [(), ("6",), ("6", "j", "enter")], ids=" ".join)
@pytest.mark.parametrize("width", [60, 80, 119])
async def test_every_width_says_how_to_get_help_and_out(world, open_console, width, keys):
    async with open_console(world, size=(width, 16)) as console:
        await console.press(*keys)
        hints = console.lines[-1].split("  ")
        assert hints[-1] == "q quit"
        assert "? help" in hints
        assert len(hints) > 3


async def test_a_healthy_machine_says_so(healthy, open_console):
    async with open_console(healthy) as console:
        assert "SYS ● OK" in console.lines[0]
        assert "nothing is over its threshold" in console.lines[1]


async def test_before_the_first_reading_nothing_is_claimed(make_world, open_console, kind):
    async with open_console(make_world(0), kind) as console:
        assert "SYS ? UNKNOWN" in console.lines[0]
        assert "collecting" in console.text
        await console.press("6")
        assert "collecting" in console.text
        await console.press("j", "G", "enter", "s", "r", "t", "b", "u", "y", "x", "escape", "escape")


async def test_a_collector_that_stopped_is_stale_not_fine(healthy, open_console):
    async with open_console(healthy) as console:
        healthy.beat(30)
        await console.settled()
        console.app._check_silence()
        assert "SYS ◌ STALE" in console.lines[0]
        assert console.lines[1] == " ◌ no system data since 30s"


async def test_what_was_the_matter_before_a_collector_stopped_is_told_as_past(make_world, open_console):
    world = make_world(300)
    async with open_console(world) as console:
        lasting = re.search(r"for over \S+", console.lines[1])[0]
        world.beat(30)
        await console.settled()
        console.app._check_silence()
        assert "web-3.example  SYS ◌ STALE  03:12:30" in re.sub(" {3,}", "  ", console.lines[0])
        assert console.lines[1].startswith(" ◌ no system data since 30s  was ▲ WARN  disk /var 91% > 85%")
        assert f"  {lasting}" in console.lines[1], "as long as it was known to"


async def test_a_collector_that_failed_from_the_start_says_why(make_world, open_console):
    from perfconsole.core.errors import CollectorError

    world = make_world(0)
    world.system.fault = CollectorError("no /proc here", "mount it")
    async with open_console(world) as console:
        await console.step()
        assert "SYS ? UNKNOWN" in console.lines[0]
        assert "no /proc here" in console.lines[1]


async def test_what_is_done_to_a_process_is_never_done_to_one_that_nobody_chose(world, open_console):
    async with open_console(world) as console:
        for key in ("x", "w"):
            await console.press("6", key)
            assert isinstance(console.screen, ProcessesScreen)
            assert "no process is selected: j and k choose" in console.lines[-1]
        await console.press("enter")
        assert isinstance(console.screen, ProcessScreen), "what is only looked at is the one on top"


async def test_processes_kept_from_us_are_said_to_be(world, open_console):
    from perfconsole.collectors.processes.backend import Hidden

    world.processes.kept_from_us = Hidden("/proc is mounted with hidepid=2", "run as root")
    async with open_console(world) as console:
        await console.press("6")
        await console.step()
        assert "others hidden" in console.lines[2]


async def test_the_newest_row_of_a_picture_is_what_was_measured(world, open_console):
    async with open_console(world, size=(160, 48)) as console:
        await console.press("6")
        for _ in range(3):
            await console.step()
            shown = {int(line.split()[0].strip("▸")): line for line in console.lines[4:40] if line.split()[0].strip("▸").isdigit()}
            for row in rows(world.processes.step):
                if row.pid in shown and row.cpu / 4 >= 0.01:
                    assert f" {row.cpu / 4 * 100:.1f} " in shown[row.pid]


STORM = [(10, 3), (250, 80), (20, 5), (60, 16), (119, 19), (120, 20), (1, 1), (2, 2), (40, 80), (250, 4), (11, 24), (100, 30)]


@pytest.mark.parametrize("keys", [(), ("tab", "e"), ("6", "j", "enter"), ("6", "slash", "p")], ids=" ".join)
async def test_a_storm_of_resizes_leaves_a_right_picture(make_world, open_console, keys):
    async with open_console(make_world(30), size=(100, 30)) as console:
        await console.press(*keys)
        before = console.picture
        for width, height in STORM:
            await console.pilot.resize_terminal(width, height)
            await console.until(lambda size=(width, height): (console.strips[0].cell_length, len(console.strips)) == size)
            assert all(strip.cell_length == width for strip in console.strips)
        await console.settled()
        assert first_difference(before, console.picture) is None


async def test_a_footer_that_is_hidden_may_draw_its_keys_while_another_screen_is_just_being_made(world, open_console, monkeypatch):
    """A notice is over after some seconds, whatever is on view by then: of a screen that has no panes yet nothing is asked."""
    async with open_console(world) as console:
        footer, app = console.screen.footer, console.app
        assert app.can("process.signal") is False
        assert app.can("nav.down")
        footer.tell("in passing")
        monkeypatch.setattr(type(app), "front", property(lambda _: ProcessesScreen()))
        assert (app.can("process.signal"), app.can("nav.down"), app.hints()) == (False, False, [])
        footer._notice = ""
        footer.show(app.state)
