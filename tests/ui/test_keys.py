"""Every key does what its title says, where it applies; nothing else; and never by another name."""

import pytest
from textual.command import CommandPalette
from textual.events import MouseScrollDown, MouseScrollUp
from textual.keys import _character_to_key
from textual.widgets import Input
from world import settings

from perfconsole.config.actions import ACTIONS, BY_ID, GLOBAL, keymap
from perfconsole.core.errors import ConfigError
from perfconsole.ui.keymap import Keymap, sign, textual_key
from perfconsole.ui.screens.base import ConsoleScreen
from perfconsole.ui.screens.dialogs import ReniceDialog, SignalDialog
from perfconsole.ui.screens.help import HelpScreen
from perfconsole.ui.screens.operations import OperationsScreen
from perfconsole.ui.screens.process import ProcessScreen
from perfconsole.ui.screens.processes import ProcessesScreen
from perfconsole.ui.screens.prompt import Prompt
from perfconsole.ui.widgets.pane import Pane

EFFECTS = {}
PLACES = {"queries", "endpoints", "alerts"}
"""Screens of what a machine alone does not have."""

ELSEWHERE = {
    "quit", "time.back", "time.forward", "time.go", "replay.play", "reload", "screen.queries", "screen.endpoints", "screen.alerts", "mark",
    "alert.ack", "alert.silence", "alert.next", "alert.previous", "note", "screen.changes",
    "system.detail",
} | {action.id for action in ACTIONS if action.scope in PLACES}  # fmt: skip
"""Actions with tests of their own: they end the console, or need a recording, a configuration, an engine, endpoints, alerts or changes."""

BOTH = (OperationsScreen, ProcessesScreen)


def effect(*action_ids, on=BOTH):
    """Registers what is to be seen of an action: called with a console at rest and a function that presses the key."""

    def register(check):
        for action_id in action_ids:
            EFFECTS[action_id] = (on, check)
        return check

    return register


async def at_rest(console, screen):
    """The console as it opened, on a screen."""
    app = console.app
    while not isinstance(app.screen, BOTH):
        await app.pop_screen()
    if app.frozen:
        app.pump.thaw()
    app.window_s = 900.0
    await app.perform("screen.operations" if screen is OperationsScreen else "screen.processes")
    if screen is OperationsScreen:
        app.screen._collapse()
    table = console.table
    table.selected, table._selected_at, table._first, table.sort, table.reverse, table.match, table.shape = (
        None,
        0,
        0,
        "cpu",
        False,
        "",
        "list",
    )
    table.focus()
    table.repaint_rows()
    await console.settled()


@effect("screen.operations")
async def to_operations(console, press):
    await press()
    assert isinstance(console.screen, OperationsScreen)


@effect("screen.processes")
async def to_processes(console, press):
    await press()
    assert isinstance(console.screen, ProcessesScreen)


@effect("help")
async def help_opens_and_closes(console, press):
    before = console.picture
    await press()
    assert isinstance(console.screen, HelpScreen)
    assert "KEYS" in console.text
    await press()
    assert console.picture == before


@effect("back")
async def back_undoes_what_was_opened_last(console, press):
    if isinstance(console.screen, OperationsScreen):
        await console.press("e")
        await press()
        assert not console.screen.has_class("-expanded")
    else:
        await console.press("t", "slash", "n", "enter")
        await press()
        assert (console.table.match, console.table.shape) == ("", "tree")
        await press()
        assert (console.table.match, console.table.shape) == ("", "list")
        await press()
    for _ in range(3):
        await press()
        assert isinstance(console.screen, OperationsScreen)
    assert console.app.is_running


@effect("open")
async def open_shows_the_selected_process(console, press):
    await console.press("j", "j")
    chosen = console.table.row
    await press()
    assert isinstance(console.screen, ProcessScreen)
    assert console.screen.subject.row.key == chosen.key
    await console.press("escape")


@effect("pane.next")
async def the_focus_goes_round(console, press):
    every = [pane for pane in console.screen.panes if pane.focusable]
    seen = []
    for _ in every:
        await press()
        marked = [line for line in console.lines if line.startswith("▸") and "  " in line and not line[1:].lstrip()[0].isdigit()]
        assert len(marked) == 1
        seen.append(console.pane)
    assert set(seen) == set(every)
    assert console.pane is console.table


@effect("nav.down", "nav.up")
async def one_row(console, press):
    await console.press("j", "j", "j")
    at = console.table._selected_at
    await press()
    assert abs(console.table._selected_at - at) == 1
    assert console.table.row.key == console.table.selected


@effect("nav.first", "nav.last")
async def to_an_end(console, press):
    await console.press("j", "j")
    await press()
    assert console.table._selected_at in {0, 59}
    assert console.table._first in {0, 60 - console.table.size.height + 2}


@effect("nav.page_down", "nav.page_up")
async def a_page(console, press):
    await console.press("G", "pageup")
    at = console.table._selected_at
    await press()
    assert abs(console.table._selected_at - at) == console.table.size.height - 3


@effect("filter", on=(ProcessesScreen,))
async def a_filter_shows_while_it_is_typed_and_esc_takes_it_back(console, press):
    await press()
    assert isinstance(console.screen, Prompt)
    await console.press("p", "y", "t")
    assert console.app.screen_stack[-2].table.match == "pyt"
    assert "gunicorn" in console.text
    assert "nginx" not in console.text
    await console.press("escape")
    assert console.table.match == ""
    await press()
    await console.press("p", "y", "enter")
    assert console.table.match == "py"


@effect("palette")
async def a_palette_opens(console, press):
    await press()
    assert isinstance(console.screen, CommandPalette)
    await console.press("escape")
    assert isinstance(console.screen, BOTH)


@effect("sort")
async def sorted_by_the_next_column(console, press):
    fields = [column.field for column in console.table.columns()]
    await press()
    assert console.table.sort == fields[fields.index("cpu") + 1]
    assert console.table.reverse is False


@effect("reverse")
async def the_order_turns(console, press):
    await press()
    assert (console.table.sort, console.table.reverse) == ("cpu", True)
    await press()
    assert console.table.reverse is False


@effect("freeze")
async def freezes_and_goes_on(console, press):
    await press()
    assert "FROZEN 03:" in console.lines[0]
    await press()
    assert "FROZEN" not in console.text


@effect("time.live")
async def back_to_live(console, press):
    await console.press("space")
    await press()
    assert "FROZEN" not in console.text
    await press()
    assert not console.app.frozen


@effect("expand", on=(OperationsScreen,))
async def the_pane_gets_the_screen(console, press):
    for pane in [pane for pane in console.screen.panes if pane.TITLE]:
        pane.focus()
        await console.settled()
        before = pane.size.height
        await press()
        assert pane.size.height == 21 > before
        assert [other for other in console.screen.panes if other.TITLE and other.size.height] == [pane]
        await press()
        assert pane.size.height == before


@effect("copy")
async def copies_pid_and_command(console, press):
    await console.press("j")
    await press()
    assert console.app.clipboard == f"{console.table.row.pid} {console.table.row.command}"
    assert "copied: " in console.lines[-1]


@effect("time.narrower")
async def a_narrower_window(console, press):
    await press()
    assert console.app.window_s == 300.0
    for _ in range(5):
        await press()
    assert console.app.window_s == 120.0
    assert "time window" in console.lines[-1]


@effect("time.wider")
async def a_wider_window(console, press):
    await press()
    await press()
    assert console.app.window_s == 1800.0
    assert "time window 30m" in console.lines[-1]


@effect("theme")
async def the_next_theme(console, press):
    themes = list(console.app.settings.themes)
    for _ in themes:
        before = console.app.look.spec.name
        await press()
        assert console.app.look.spec.name == themes[(themes.index(before) + 1) % len(themes)]
        background = console.app.look.style("foreground").bgcolor
        assert all(segment.style.bgcolor for strip in console.strips for segment in strip)
        assert any(segment.style.bgcolor == background for strip in console.strips for segment in strip)
    assert console.app.look.spec.name == "midnight"


@effect("screenshot")
async def a_picture_is_written(console, press):
    await press()
    assert "screenshot: " in console.lines[-1]


@effect("process.tree", "process.group_program", "process.group_unit", on=(ProcessesScreen,))
async def arranged_and_back(console, press):
    await press()
    assert console.table.shape in {"tree", "name", "unit"}
    assert {"tree": "tree", "name": "by program", "unit": "by unit"}[console.table.shape] in console.lines[2]
    assert {"tree": "├─", "name": " x9", "unit": "nginx.service  x"}[console.table.shape] in console.text
    await press()
    assert console.table.shape == "list"


@effect("process.units", on=(ProcessesScreen,))
async def the_other_tab_and_back(console, press):
    await press()
    assert console.screen.units is not None
    await press()
    assert console.screen.units is None


@effect("process.sort_memory", "process.sort_cpu", "process.sort_pid", on=(ProcessesScreen,))
async def sorted_by(console, press):
    await console.press("s")  # by memory: pressed again, it turns round
    await press()
    values = [getattr(item.row, console.table.sort) for item in console.table._items]
    assert values in (sorted(values), sorted(values, reverse=True))


@effect("process.signal", "process.renice", on=(ProcessesScreen,))
async def a_dialog_that_esc_leaves(console, press):
    await press()
    assert isinstance(console.screen, ProcessesScreen)  # nobody is selected
    await console.press("j")
    await press()
    assert isinstance(console.screen, (SignalDialog, ReniceDialog))
    await console.press("escape")
    assert isinstance(console.screen, ProcessesScreen)
    assert console.world.processes.done == []


DIRECTIONS = {
    "nav.down": lambda table: table._selected_at == 3,
    "nav.up": lambda table: table._selected_at == 1,
    "nav.first": lambda table: table._selected_at == 0,
    "nav.last": lambda table: table._selected_at == 59,
    "process.tree": lambda table: table.shape == "tree",
    "process.group_program": lambda table: table.shape == "name",
    "process.group_unit": lambda table: table.shape == "unit",
    "process.sort_memory": lambda table: table.sort == "memory_bytes",
    "process.sort_cpu": lambda table: table.sort == "cpu",
    "process.sort_pid": lambda table: table.sort == "pid",
}
"""What tells actions apart that share a check, after two steps down and the key."""


@pytest.mark.parametrize("key", [chr(code) for code in range(0x21, 0x7F)] + ["é", "ж", "ß"])
def test_a_key_has_the_name_that_textual_gives_it(key):
    assert textual_key(key) == _character_to_key(key)


def test_every_action_has_a_test():
    assert set(EFFECTS) | ELSEWHERE == set(BY_ID)


@pytest.mark.parametrize("check", dict.fromkeys(check for _, check in EFFECTS.values()), ids=lambda check: check.__name__)
async def test_a_key_does_what_its_title_says(world, open_console, monkeypatch, tmp_path, check):
    monkeypatch.chdir(tmp_path)
    async with open_console(world) as console:
        for action_id, (screens, its_check) in EFFECTS.items():
            for key in BY_ID[action_id].keys if its_check is check else ():
                for screen in screens:
                    await try_key(console, screen, action_id, textual_key(key))
    if check is a_picture_is_written:
        assert next(tmp_path.glob("perfconsole-*.svg")).read_text().startswith("<svg")


async def try_key(console, screen, action_id, key):
    """One key of one action on one screen."""

    async def press():
        await console.press(key)

    await at_rest(console, screen)
    await EFFECTS[action_id][1](console, press)
    if action_id in DIRECTIONS:
        await at_rest(console, screen)
        await console.press("j", "j", "j", key)
        assert DIRECTIONS[action_id](console.table), key


# Quitting ---------------------------------------------------------------------------------------------------------------------------

ANYWHERE = {
    "operations": (), "processes": ("6",), "expanded": ("tab", "e"), "help": ("question_mark",), "the palette": ("colon",),
    "a prompt": ("6", "slash", "x"), "frozen": ("space",), "one process": ("6", "j", "enter"), "a dialog": ("6", "j", "x"),
    "another dialog": ("6", "j", "w"),
}  # fmt: skip


@pytest.mark.parametrize("keys", ANYWHERE.values(), ids=ANYWHERE)
async def test_ctrl_c_quits_wherever_one_is_and_esc_never_does(world, open_console, keys):
    async with open_console(world) as console:
        await console.press(*keys)
        for _ in range(5):
            await console.press("escape")
        assert console.app.is_running
        assert isinstance(console.screen, OperationsScreen)
        await console.press(*keys)
        await console.pilot.press("ctrl+q")
        assert console.app.is_running
        await console.pilot.press("ctrl+c")
        assert console.app.return_code == 0
        assert console.app._exit


async def test_q_quits_but_types_a_q_where_one_types(world, open_console):
    async with open_console(world) as console:
        await console.press("6", "slash", "q")
        assert console.screen.query_one(Input).value == "q"
        await console.press("escape", "colon", "q")
        assert console.screen.query_one(Input).value == "q"
        await console.press("escape")
        await console.pilot.press("q")
        assert console.app._exit


@pytest.mark.parametrize("place", [("6", "j"), ("6", "j", "enter"), ("6", "j", "x"), ("6", "j", "w"), ("question_mark",)], ids=" ".join)
async def test_no_single_letter_does_anything_to_a_process(world, open_console, place):
    letters = "abcdefghijklmnoprstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    async with open_console(world) as console:
        app = console.app
        await console.press(*place)
        there = type(app.screen)
        for letter in letters:
            await console.pilot.press(letter)
            if type(app.screen) is not there or app.frozen:
                if app.frozen:
                    await console.press("L")
                while len(app.screen_stack) > 1:
                    await app.pop_screen()
                await app.perform("screen.operations")
                await console.press(*place)
            assert type(app.screen) is there
        assert console.world.processes.done == []
        assert console.world.audited == []


# Which key means what ---------------------------------------------------------------------------------------------------------------

CONTRACT = {
    "1": "screen.operations", "4": "screen.queries", "5": "screen.endpoints", "6": "screen.processes", "?": "help", "q": "quit",
    "escape": "back", "enter": "open", "tab": "pane.next", "j": "nav.down", "k": "nav.up", "down": "nav.down", "up": "nav.up",
    "g": "nav.first", "G": "nav.last", "pagedown": "nav.page_down", "pageup": "nav.page_up", "/": "filter", ":": "palette",
    "ctrl+p": "palette", "s": "sort", "r": "reverse", "space": "freeze", "e": "expand", "y": "copy", "[": "time.back", "]": "time.forward",
    ",": "time.narrower", ".": "time.wider", "@": "time.go", "L": "time.live", "T": "theme", "ctrl+s": "screenshot", "ctrl+r": "reload",
}  # fmt: skip
RESERVED = "2345789azvnNmDi"
"""Keys the contract gives to features that do not exist yet: no screen may take one."""


def screens(kind=ConsoleScreen):
    return [kind, *(found for child in kind.__subclasses__() for found in screens(child))]


def widgets(kind):
    return [kind, *(found for child in kind.__subclasses__() for found in widgets(child))]


SCOPES = sorted({screen.SCOPE for screen in screens()} | {action.scope for action in ACTIONS})


@pytest.mark.parametrize("replay", [False, True])
@pytest.mark.parametrize("scope", SCOPES)
def test_global_keys_mean_the_same_on_every_screen(scope, replay):
    keys = Keymap(keymap({}))
    for key, action_id in CONTRACT.items():
        action = keys.resolve(textual_key(key), scope, replay=replay)
        assert (key, action.id, action.scope) == (key, action_id, GLOBAL)
    for key in RESERVED:
        action = keys.resolve(key, scope, replay=replay)
        assert action is None or action.scope == GLOBAL


def test_no_screen_and_no_pane_binds_a_key_past_the_table():
    for kind in [*screens(), *widgets(Pane)]:
        bound = {binding if isinstance(binding, str) else binding.key for binding in kind.__dict__.get("BINDINGS", ())}
        assert bound <= {"shift+tab"}, kind
    for kind in screens():
        assert {textual_key(key) for key in CONTRACT}.isdisjoint(kind._merge_bindings().key_to_bindings)


@pytest.mark.parametrize(
    ("key", "shown"),
    [("escape", "Esc"), ("pagedown", "PgDn"), ("f5", "F5"), ("f12", "F12"), ("ctrl+s", "^S"), ("G", "G"), ("f", "f"), ("space", "Space"),
     ("down", "Down"), ("home", "Home"), ("?", "?"), (":", ":")],
)  # fmt: skip
def test_keys_are_shown_as_people_know_them(key, shown):
    assert sign(key) == shown


async def test_keys_can_be_other_keys(world, open_console):
    other = {"freeze": ("f6",), "help": ("h", "f1"), "pane.next": ("o",), "screen.processes": ("0",), "quit": (), "open": ("right",)}
    async with open_console(world, keys=other) as console:
        assert "F6 freeze" in console.lines[-1]
        assert "quit" not in console.lines[-1]
        focused = console.pane
        await console.press("space", "question_mark", "tab", "6", "q")
        assert isinstance(console.screen, OperationsScreen)
        assert not console.app.frozen
        assert console.pane is focused
        assert console.app.is_running
        await console.press("o")
        assert console.pane is not focused
        await console.press("f1")
        assert isinstance(console.screen, HelpScreen)
        assert " h F1 " in console.text
        await console.press("h", "0", "j", "right")
        assert isinstance(console.screen, ProcessScreen)
        await console.press("f6")
        assert console.app.frozen
        await console.pilot.press("ctrl+c")
        assert console.app._exit


# What is not offered ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["engine", "peer"])
async def test_a_read_only_source_has_no_keys_for_actions(make_world, open_console, how):
    from contextlib import asynccontextmanager

    from world import Console, console_app

    world = make_world(read_only=how == "engine")

    @asynccontextmanager
    async def opened():
        app = console_app(world.connect("remote", read_only=True))
        async with app.run_test(size=(200, 50)) as pilot:
            console = Console(app, pilot, world)
            await console.until(lambda: app.pump.live.stream is not None)
            await console.settled()
            yield console

    async with opened() if how == "peer" else open_console(world, size=(200, 50)) as console:
        for keys in (("6", "j"), ("6", "j", "enter")):
            await console.press(*keys)
            assert "signal" not in console.lines[-1]
            assert "renice" not in console.lines[-1]
            here = console.screen
            await console.press("x", "f9", "w", "f7")
            assert console.screen is here
            await console.press("question_mark")
            assert "Send a signal" not in console.text
            assert "Renice" not in console.text
            await console.press("escape", "colon", *"renice")
            assert "Renice" not in console.text
            await console.press("escape", "escape", "escape")
        assert world.processes.done == []


async def test_help_and_palette_list_exactly_what_can_be_done(world, open_console):
    absent = {"time.back", "time.forward", "time.go", "time.live", "replay.play", "reload", "screen.endpoints"}
    absent |= {"alert.ack", "alert.next", "alert.previous"}
    async with open_console(world, size=(160, 60)) as console:
        await console.press("6")
        ids = {action.id for action in console.app.actions()}
        assert ids == {action.id for action in ACTIONS if action.scope not in PLACES | {"operations"}} - absent - {"expand"}
        await console.press("question_mark")
        for action in ACTIONS:
            assert (action.title in console.text) == (action.id in ids), action.id
        await console.press("escape", "1")
        assert {action.id for action in console.app.actions()} == {action.id for action in ACTIONS if action.scope == GLOBAL} - absent - {
            "filter"
        }
        await console.press("left_square_bracket", "right_square_bracket", "at", "greater_than_sign", "t", "x", "ctrl+r", "L", "slash")
        assert isinstance(console.screen, OperationsScreen)
        assert console.app._watch.at is None


async def test_while_a_moment_is_held_nothing_is_done_to_processes(world, open_console):
    async with open_console(world, size=(160, 30)) as console:
        await console.press("6", "j", "space")
        assert "signal" not in console.lines[-1]
        await console.press("x", "w")
        assert isinstance(console.screen, ProcessesScreen)
        await console.press("space", "x")
        assert isinstance(console.screen, SignalDialog)


async def test_groups_are_no_processes_to_act_on(world, open_console):
    async with open_console(world) as console:
        await console.press("6", "u", "j", "x", "w")
        assert isinstance(console.screen, ProcessesScreen)


# The palette, reloading, the mouse --------------------------------------------------------------------------------------------------


async def test_the_palette_does_what_is_chosen(world, open_console):
    async with open_console(world, size=(120, 40)) as console:
        await console.press("colon", *"processes s")
        await console.until(lambda: "Processes screen" in console.text)
        await console.press("enter")
        await console.until(lambda: isinstance(console.screen, (ProcessesScreen, CommandPalette)))
        if isinstance(console.screen, CommandPalette):
            await console.press("enter")
        await console.until(lambda: isinstance(console.screen, ProcessesScreen))
        await console.press("colon", *"theme paper")
        await console.until(lambda: "Theme paper" in console.text)
        await console.press("down", "enter")
        await console.until(lambda: console.app.look.spec.name == "paper")


async def test_a_reload_wears_the_new_configuration_and_survives_a_bad_one(world, open_console):
    told = []

    def reload():
        told.append(1)
        if len(told) == 1:
            raise ConfigError("config.toml:3: console.themes is not a key", "did you mean theme?\nsecond line")
        return settings("paper", keys={"freeze": ("f6",)}, per_core=True)._replace(reload=reload)

    async with open_console(world, reload=reload) as console:
        await console.press("ctrl+r")
        assert "config.toml:3" in console.lines[-1]
        assert console.app.look.spec.name == "midnight"
        await console.press("ctrl+r")
        assert console.app.look.spec.name == "paper"
        assert "configuration read again" in console.lines[-1]
        await console.press("space")
        assert not console.app.frozen
        await console.press("f6")
        assert console.app.frozen
        assert "% of one core" in console.text


async def test_the_mouse_selects_opens_sorts_and_scrolls(world, open_console):
    async with open_console(world) as console:
        await console.press("6")
        table = console.table
        await console.pilot.click(table, offset=(20, 5))
        assert table._selected_at == 3
        assert isinstance(console.screen, ProcessesScreen)
        await console.pilot.click(table, offset=(20, 5))
        await console.until(lambda: isinstance(console.screen, ProcessScreen))
        await console.press("escape")
        heads = console.lines[3]
        for head, field in (("MEM", "memory_bytes"), ("PID", "pid"), ("COMMAND", "command"), ("CPU%", "cpu")):
            await console.pilot.click(table, offset=(heads.index(head) + 1, 1))
            assert (table.sort, table.reverse) == (field, False)
        await console.pilot.click(table, offset=(heads.index("CPU%") + 1, 1))
        assert table.reverse
        await console.press("g")
        for event, at in ((MouseScrollDown, 3), (MouseScrollDown, 6), (MouseScrollUp, 3), (MouseScrollUp, 0), (MouseScrollUp, 0)):
            await console.pilot._post_mouse_events([event], table, button=0)
            assert table._selected_at == at
        await console.pilot.click(table, offset=(20, 0))
        assert table._selected_at == 0


async def test_a_click_below_the_rows_changes_nothing(world, open_console):
    async with open_console(world, size=(80, 40)) as console:
        await console.press("6", "slash", *"sshd", "enter", "j")
        chosen = console.table.selected
        await console.pilot.click(console.table, offset=(20, 30))
        assert console.table.selected == chosen


async def test_a_click_on_operations_takes_the_focus_and_opens(world, open_console):
    async with open_console(world) as console:
        await console.press("tab")
        await console.pilot.click(console.table, offset=(20, 3))
        assert console.pane is console.table
        await console.pilot.click(console.table, offset=(20, 3))
        await console.until(lambda: isinstance(console.screen, ProcessScreen))
