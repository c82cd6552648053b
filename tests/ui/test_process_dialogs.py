"""Signals and nice values from the screen: meant for exactly one process, done by Enter alone, told afterwards."""

import asyncio
import getpass
import os
import signal
import subprocess
import sys

import pytest
from textual.events import Key
from world import PATIENCE_S

from perfconsole.collectors.processes import ProcessCollector
from perfconsole.config import actions, themes
from perfconsole.core.errors import RequestError
from perfconsole.core.requests import PROCESS_RENICE, PROCESS_SIGNAL, Done
from perfconsole.core.tables import ProcessRow, ProcessTable
from perfconsole.core.tick import Stream, Tick
from perfconsole.engine.engine import Engine
from perfconsole.engine.local import LocalSource
from perfconsole.ui.app import ConsoleApp
from perfconsole.ui.look import Abilities
from perfconsole.ui.screens.dialogs import CHOICES, Dialog, ReniceDialog, SignalDialog, renice, send_signal
from perfconsole.ui.settings import Settings

NOW = 1_700_000_000.0
COLOURED = Abilities(ascii=False, colours=1 << 24)
ROW = ProcessRow(7, 70, 1, "server", "ada", "S", 0.1, 3.0, 1e6, 2, 3, NOW - 3600, command="server --port 80")


class Asked:
    """A source with one process that notes what it is asked to do."""

    def __init__(self, answer=None):
        self.answer, self.asked, self.ticks, self.wake = answer or Done("it was done"), [], [], lambda: None

    def subscribe(self, wake):
        self.wake = wake
        self.tell([ROW], key=True)

    def tell(self, rows, *, key=False):
        stream = Stream("box", "s", "b", "0", frozenset({PROCESS_SIGNAL.name, PROCESS_RENICE.name}))
        self.ticks.append(Tick(1, NOW, 0.0, key, tables=[ProcessTable("host", NOW, len(rows), rows)], stream=stream))
        self.wake()

    def close(self):
        self.wake = lambda: None

    def drain(self):
        ticks, self.ticks = self.ticks, []
        return ticks

    def watch(self, watch):
        pass

    async def request(self, op, args):
        self.asked.append((op, tuple(getattr(args, name) for name in args.__struct_fields__)))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def console(source, *, keys=None, theme="midnight", can=COLOURED):
    def load(name):
        return themes.load_theme(name, env=os.environ).spec

    keymap = actions.keymap(keys or {})
    return ConsoleApp(source, Settings(load(theme), themes.names(os.environ), load, keymap, can, screen="processes"))


def text(app):
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in app.screen._compositor.render_strips())


async def settled(pilot):
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def test_it_says_who_is_meant_and_sends_term_by_default():
    source = Asked()
    async with console(source).run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await send_signal(pilot.app, ROW)
        await pilot.pause()
        shown = text(pilot.app)
        for words in ("7 server", "ada", "14 Nov 21:13", "server --port 80", "▸TERM 15", *(choice.name for choice in CHOICES)):
            assert words in shown, words
        assert all(choice.text in shown for choice in CHOICES)
        await pilot.press("enter")
        await settled(pilot)
        assert source.asked == [("process.signal", (7, 70, signal.SIGTERM))]
        assert "it was done" in text(pilot.app)


async def test_kill_wants_enter_twice_in_a_row():
    source = Asked()
    async with console(source).run_test() as pilot:
        await pilot.pause()
        await send_signal(pilot.app, ROW)
        await pilot.press("j", "j", "down", "down", "enter")
        assert not source.asked
        assert "press Enter again to kill" in text(pilot.app)
        await pilot.press("k", "j", "enter")  # moved away and back: asked again
        await settled(pilot)
        assert not source.asked
        await pilot.press("enter")
        await settled(pilot)
        assert source.asked == [("process.signal", (7, 70, signal.SIGKILL))]


async def test_no_letter_does_anything_and_escape_leaves():
    source = Asked()
    async with console(source, keys={"open": ("o",), "nav.down": ("n",)}).run_test() as pilot:
        await pilot.pause()
        await send_signal(pilot.app, ROW)
        await pilot.pause()
        dialog = pilot.app.screen
        for key in "abcdefghiklmopqrstuvwxyzABCKGTX0123456789":
            await pilot.press(key)
        assert pilot.app.screen is dialog
        await pilot.press("n")
        assert "▸HUP" in text(pilot.app)  # remapped keys choose here, too
        await pilot.press("escape")
        await settled(pilot)
        assert not isinstance(pilot.app.screen, Dialog)
        assert not source.asked


async def test_a_refusal_is_told():
    source = Asked(RequestError("process 7 has ended; its pid belongs to another process now (cron)", "nothing was done"))
    async with console(source).run_test(size=(120, 24)) as pilot:
        await pilot.pause()
        await send_signal(pilot.app, ROW)
        await pilot.press("enter")
        await settled(pilot)
        assert "process 7 has ended; its pid belongs to another process now (cron): nothing was done" in text(pilot.app)


async def test_it_stays_bound_to_the_process_it_was_opened_for():
    source = Asked()
    async with console(source).run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await send_signal(pilot.app, ROW)
        await pilot.pause()
        source.tell([ProcessRow(7, 999, 1, "impostor", "bob", "S", 0.1, 3.0, 1e6, 2, 0, NOW)])
        await pilot.pause()
        pilot.app.screen.redraw()
        await pilot.pause()
        assert "◌ ended" in text(pilot.app)
        assert "7 server" in text(pilot.app)
        await pilot.press("enter")
        await settled(pilot)
        assert source.asked == [("process.signal", (7, 70, signal.SIGTERM))]  # whoever acts refuses it


@pytest.mark.parametrize(
    ("keys", "nice"),
    [((), 3), (("up",), 4), (("down", "j"), 1), (("1", "0"), 10), (("minus", "5"), -5), (("1", "2", "backspace"), 1), (("k",) * 30, 19)],
)
async def test_renice_by_arrows_and_by_typing(keys, nice):
    source = Asked()
    async with console(source).run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await renice(pilot.app, ROW)
        await pilot.pause()
        assert "is 3 now" in text(pilot.app)
        await pilot.press(*keys, "enter")
        await settled(pilot)
        assert source.asked == [("process.renice", (7, 70, nice))]


@pytest.mark.parametrize("last", ["enter", "escape"])
async def test_of_two_keys_in_one_go_the_second_does_nothing(last):
    source = Asked()
    async with console(source).run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await send_signal(pilot.app, ROW)
        await pilot.pause()
        dialog = pilot.app.screen
        for key in ("enter", last):
            dialog.on_key(Key(key, None))
        await settled(pilot)
        assert source.asked == [("process.signal", (7, 70, signal.SIGTERM))]
        assert pilot.app.is_running
        assert not isinstance(pilot.app.screen, Dialog)


async def test_what_is_no_nice_value_is_not_sent():
    source = Asked()
    async with console(source).run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await renice(pilot.app, ROW)
        await pilot.press("9", "9", "enter")
        assert isinstance(pilot.app.screen, ReniceDialog)
        assert "99 is no nice value: -20 to 19" in text(pilot.app)
        await pilot.press("escape")
        await settled(pilot)
        assert not source.asked


@pytest.mark.parametrize("theme", themes.names(os.environ))
@pytest.mark.parametrize("ascii_only", [False, True])
async def test_the_box_is_opaque_whole_and_within_the_smallest_screen(theme, ascii_only):
    can = Abilities(ascii_only, 0 if theme == "mono" else 1 << 24)
    async with console(Asked(), theme=theme, can=can).run_test(size=(60, 16)) as pilot:
        await pilot.pause()
        await send_signal(pilot.app, ROW)
        await pilot.pause()
        assert isinstance(pilot.app.screen, SignalDialog)
        strips = pilot.app.screen._compositor.render_strips()
        rows = ["".join(segment.text for segment in strip) for strip in strips]
        left, right = ("+", "+") if ascii_only else ("┌", "┐")
        assert (rows[0][1], rows[0][58]) == (left, right)
        side = "|" if ascii_only else "│"
        assert all((line[1], line[58]) == (side, side) for line in rows[1:15])
        assert rows[15][1] == ("+" if ascii_only else "└")
        assert all(segment.style is not None for strip in strips for segment in strip)
        assert not ascii_only or "".join(rows).isascii()


async def test_an_own_child_is_ended_by_hand():
    """A real process, a real engine, the keys a person presses."""
    audited = []

    def audit(peer, op, args, outcome):
        audited.append((peer, op, args.pid, outcome))

    engine = Engine([ProcessCollector(0.5)], Stream("box", "s", "b", "0"), audit=audit)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:  # noqa: ASYNC220  it is only started here
        engine.start()
        try:
            async with console(LocalSource(engine)).run_test(size=(80, 24)) as pilot:
                table = pilot.app.screen.table
                await pilot.press("slash", *str(child.pid), "enter")
                async with asyncio.timeout(PATIENCE_S):
                    while table.row is None or table.row.pid != child.pid:
                        await pilot.press("g")
                        await pilot.pause(0.02)
                await pilot.press("x")
                await pilot.pause()
                assert f"{child.pid} python" in text(pilot.app)
                await pilot.press("enter")
                await settled(pilot)
                assert f"sent SIGTERM to {child.pid}" in text(pilot.app)
            assert child.wait(10) == -signal.SIGTERM
        finally:
            engine.stop()
            child.kill()
    assert audited == [(getpass.getuser(), "process.signal", child.pid, outcome) for outcome in ("", "done")]
