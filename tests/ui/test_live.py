"""What goes on while one looks: a moment held, a source that falls silent, a terminal that stalls, rows that move and end."""

from types import SimpleNamespace

import msgspec
import pyte
import pytest
from textual._compositor import ChopsUpdate
from world import START, Told, rows

from perfconsole.core.tick import Tick
from perfconsole.engine.mailbox import BOUND
from perfconsole.ui.app import ConsoleApp
from perfconsole.ui.driver import BUSY
from perfconsole.ui.emit import Changes, Pen
from perfconsole.ui.screens.operations import OperationsScreen
from perfconsole.ui.screens.processes import ProcessesScreen

# Freezing ---------------------------------------------------------------------------------------------------------------------------


async def test_a_held_moment_stands_while_the_present_goes_on(make_world, open_console, kind):
    world = make_world(258)  # six steps before the CPU burns
    async with open_console(world, kind, (120, 30)) as console:
        await console.press("6", "j", "space")
        held = console.lines
        assert "FROZEN 03:12:00" in held[0]
        await console.step(12)
        assert console.lines[1:] == held[1:]
        assert "FROZEN 03:12:00  live +24s" in console.lines[0]
        assert "now ■ 2" in console.lines[0], "what begins meanwhile is seen"
        await console.press("space")
        assert "FROZEN" not in console.text
        assert "03:12:24" in console.lines[0]
        assert "CPU 9" in console.lines[1]
        assert console.lines[4:] != held[4:]


async def test_rows_of_a_held_moment_are_sorted_filtered_and_arranged(world, open_console, kind):
    async with open_console(world, kind, (160, 40)) as console:
        await console.press("6", "space")
        held = {row.pid: row for row in rows(world.processes.step)}
        await console.step(5)
        await console.press("M")
        memory = [item.row.memory_bytes for item in console.table._items]
        assert memory == sorted(memory, reverse=True)
        assert all(item.row.cpu == held[item.row.pid].cpu for item in console.table._items)
        await console.press("slash", *"nginx", "enter")
        assert {item.row.name for item in console.table._items} == {"nginx"}
        await console.press("escape", "u")
        assert "by unit" in console.lines[2]
        await console.press("u", "C", "1")
        assert "FROZEN" in console.lines[0]
        await console.press("L", "6")
        assert console.table._items[0].row.cpu != held[console.table._items[0].row.pid].cpu


# Silence ----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def monotonic(monkeypatch):
    """The pump's clock."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("perfconsole.ui.pump.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


async def test_a_source_that_falls_silent_is_said_to_be_until_it_speaks(make_world, open_console, monotonic):
    world = make_world()
    source = Told(world.engine.state.keyframe())
    async with open_console(source) as console:
        assert "no data since" not in console.text
        monotonic.now += 2.9
        console.app._check_silence()
        assert "no data since" not in console.text
        monotonic.now += 9.1
        console.app._check_silence()
        assert "no data since 12s" in console.lines[0]
        source.tell(Tick(world.engine.state.seq + 1, START + 12, 0.0))
        await console.pilot.pause()
        console.app._check_silence()
        assert "no data since" not in console.text


async def test_while_a_source_is_silent_no_alert_is_told_as_present(make_world, open_console, monotonic):
    source = Told(make_world(300).engine.state.keyframe())
    async with open_console(source, size=(120, 30)) as console:
        assert "▲ 1 WARN  over ■ 1" in console.lines[0]
        monotonic.now += 12
        console.app._check_silence()
        assert console.lines[0].startswith(" web-3.example  SYS ◌ STALE  no data since 12s")
        assert console.lines[1].startswith(" ◌ was ▲ WARN  disk /var 91% > 85%")
        styles = {str(segment.style) for segment in console.strips[1] if segment.text.strip()}
        assert styles <= {str(console.app.look.style(role)) for role in ("stale", "dim")}
        await console.press("space")
        console.app._check_silence()
        assert "now ◌ STALE" in console.lines[0]


async def test_a_source_that_falls_silent_on_a_healthy_machine_does_not_call_it_healthy(make_world, open_console, monotonic):
    world = make_world(0)
    world.system.missing = frozenset({"system.filesystem.utilization"})
    world.advance(3)
    async with open_console(Told(world.engine.state.keyframe())) as console:
        assert console.lines[1] == " ● nothing is over its threshold"
        monotonic.now += 12
        console.app._check_silence()
        assert console.lines[1] == " ◌ nothing was over its threshold"


async def test_a_lost_connection_is_silence(world, open_console, monotonic):
    async with open_console(world, "remote") as console:
        world.engine.stop()
        await console.until(lambda: not console.app.source._thread.is_alive())
        monotonic.now += 61
        console.app._check_silence()
        assert "no data since 1m01s" in console.lines[0]
        console.world = None
        await console.press("6", "j", "s", "x", "enter", "escape", "escape", "1")
        assert isinstance(console.screen, OperationsScreen)


# Stalls -----------------------------------------------------------------------------------------------------------------------------


async def fresh_picture(open_console, world, kind, size, *keys):
    async with open_console(world, kind, size) as console:
        await console.press(*keys)
        return console.picture


async def test_a_mailbox_that_ran_over_ends_in_the_right_picture(make_world, open_console, kind):
    world = make_world()
    world.processes.rows = lambda step: rows(3)  # rows that move are held where they were, which is another's place to test
    async with open_console(world, kind, (120, 40)) as console:
        seen = []
        drain = console.app.source.drain
        console.app.source.drain = lambda: seen.append(drain()) or seen[-1]
        world.advance(BOUND + 40)  # the screen's own loop stands still meanwhile
        await console.settled()
        assert kind == "remote" or seen[0][0].key
        picture = console.picture
    assert picture == await fresh_picture(open_console, world, kind, (120, 40))


async def test_nothing_is_painted_for_a_terminal_that_does_not_read(make_world, open_console, monkeypatch):
    world = make_world()
    world.processes.rows = lambda step: rows(3)
    outlet = SimpleNamespace(depth=0, lost=False, written=0)
    monkeypatch.setattr(ConsoleApp, "_outlet", outlet)
    async with open_console(world, size=(120, 40)) as console:
        before = console.lines
        outlet.depth = BUSY + 1
        await console.step(BOUND + 10)
        assert console.lines == before
        outlet.depth, outlet.lost = 1, True
        await console.step()
        assert console.lines == before, "something was dropped: what is under way has to be written first"
        outlet.depth = 0
        await console.step()
        assert not outlet.lost
        picture = console.picture
    assert picture == await fresh_picture(open_console, world, "local", (120, 40))


# Rows that move and end -------------------------------------------------------------------------------------------------------------


def reordered(*cpus):
    """Rows of which the first ones have these CPU values."""
    return [msgspec.structs.replace(row, cpu=cpu) for row, cpu in zip(rows(0), (*cpus, *[0.0] * 60), strict=False)]


async def test_the_selection_sticks_to_the_process_and_keeps_its_place_when_that_ends(world, open_console, kind):
    world.processes.rows = lambda step: reordered(2.0, 1.5, 1.0, 0.5)
    async with open_console(world, kind) as console:
        await console.press("6")
        await console.step()
        await console.press("j", "j")
        chosen = console.table.row.pid
        assert console.pids.index(chosen) == 1
        world.processes.rows = lambda step: reordered(2.0, 0.1, 1.0, 0.5)
        await console.step()
        assert console.table.row.pid == chosen
        assert console.pids.index(chosen) == 3
        assert f"▸{chosen:>7}" in console.text.replace(" " * 9, " " * 2) or console.lines[7].startswith("▸")
        world.processes.rows = lambda step: [row for row in reordered(2.0, 0.1, 1.0, 0.5) if row.pid != chosen]
        await console.step()
        assert console.table._selected_at == 3
        assert console.table.row.pid != chosen
        world.processes.rows = lambda step: rows(0)[:2]
        await console.step()
        assert console.table._selected_at == 1
        world.processes.rows = lambda step: []
        await console.step()
        await console.press("j", "k", "G", "enter", "x", "y")
        assert isinstance(console.screen, ProcessesScreen)


async def test_a_pid_that_another_process_got_is_not_the_selected_one(world, open_console):
    async with open_console(world) as console:
        await console.press("6", "P", "j", "j", "j")
        chosen = console.table.row
        world.processes.rows = lambda step: [
            msgspec.structs.replace(row, start=row.start + 1) if row.pid == chosen.pid else row for row in rows(step)
        ]
        await console.step()
        assert console.table.selected != chosen.key
        assert console.table._selected_at == 2


async def test_rows_that_tremble_stay_where_they_are(world, open_console, kind):
    world.processes.rows = lambda step: reordered(0.9, 0.50, 0.49) if step % 2 else reordered(0.9, 0.49, 0.50)
    async with open_console(world, kind) as console:
        await console.press("6")
        orders = set()
        for _ in range(4):
            await console.step()
            orders.add(tuple(console.pids[:3]))
        assert len(orders) == 1
        world.processes.rows = lambda step: reordered(0.9, 0.3, 0.6)
        await console.step()
        first = [row.pid for row in rows(0)]
        assert console.pids[:3] == [first[0], first[2], first[1]]
        world.processes.rows = lambda step: reordered(0.1, 0.3, 0.6, 2.0)
        await console.step()
        assert console.pids[:4] == [first[3], first[2], first[1], first[0]]


async def test_screens_keep_what_was_chosen_on_them(world, open_console):
    async with open_console(world) as console:
        await console.press("6", "j", "j", "M", "slash", *"a", "enter")
        chosen, order = console.table.selected, console.pids
        for _ in range(3):
            await console.press("1")
            assert isinstance(console.screen, OperationsScreen)
            await console.step()
            await console.press("6")
            assert (console.table.selected, console.table.match, console.table.sort) == (chosen, "a", "memory_bytes")
        assert set(console.pids) == set(order)


@pytest.mark.parametrize("over", [("question_mark",), ("6", "j", "enter"), ("6", "question_mark")], ids=" ".join)
async def test_a_screens_number_always_leads_to_that_screen(world, open_console, over):
    async with open_console(world) as console:
        for key, kind in (("1", OperationsScreen), ("6", ProcessesScreen)):
            await console.press(*over)
            await console.press(key)
            assert type(console.screen) is kind


async def test_a_prompt_lies_on_a_screen_that_goes_on(world, open_console):
    async with open_console(world) as console:
        await console.press("6", "slash", "n")
        world.advance()
        await console.until(lambda: "03:12:02" in console.lines[0])


# What is really sent ----------------------------------------------------------------------------------------------------------------


class Terminal:
    """A terminal to which every update of an app is sent, as the driver would."""

    def __init__(self, app):
        self.screen = pyte.Screen(*app.size)
        self.stream, self.pen, self.updates = pyte.Stream(self.screen), Pen(app.console._color_system), 0
        self.app, self.display = app, app._display
        app._display = self._display
        app.screen.refresh()

    def _display(self, screen, renderable):
        self.display(screen, renderable)
        if isinstance(renderable, ChopsUpdate):
            self.updates += 1
            renderable = Changes(renderable, self.pen)
        if renderable is not None:
            self.stream.feed(renderable.render_segments(self.app.console))

    def dirty_lines(self):
        """The lines on which it shows something else than the whole picture, sent at once."""
        whole = pyte.Screen(*self.app.size)
        update = self.app.screen._compositor.render_update(full=True, screen_stack=self.app._background_screens)
        pyte.Stream(whole).feed(update.render_segments(self.app.console))
        return [y for y, (shown, right) in enumerate(zip(cells(self.screen), cells(whole), strict=True)) if shown != right]


def cells(terminal):
    """Every cell with what can be seen of it."""
    return [
        [(cell.data, cell.fg, cell.bg, cell.bold, cell.reverse) for cell in (terminal.buffer[y][x] for x in range(terminal.columns))]
        for y in range(terminal.lines)
    ]


PLACES = (
    (), ("tab",), ("6",), ("j", "j"), ("G",), ("t",), ("u",), ("escape", "slash", "n", "g"), ("enter",), ("escape", "s"), ("1", "e"), ("T",)
)  # fmt: skip


@pytest.mark.parametrize("changes", [{}, {"theme": "terminal", "colours": 16, "ascii_only": True}], ids=str)
async def test_what_was_sent_bit_by_bit_is_the_whole_picture(make_world, open_console, changes):
    async with open_console(make_world(30), size=(120, 36), **changes) as console:
        terminal = Terminal(console.app)
        for keys in PLACES:
            await console.press(*keys)
            for _ in range(3):
                await console.step()
            await console.until(lambda: terminal.dirty_lines() == [])  # painting waits for a timer
        assert terminal.updates > 20
