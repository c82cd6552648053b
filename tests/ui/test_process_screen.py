"""The screen of one process: facts, history, family, what is read on request; alive, ended, in a recording, in a terminal without a dot."""

import os

import pytest

from perfconsole.config import actions, themes
from perfconsole.core.errors import RequestError
from perfconsole.core.requests import OpenFile, ProcessDetail
from perfconsole.core.tables import ProcessRow, ProcessTable
from perfconsole.core.tick import Group, Reading, SeriesDef, Stream, Tick
from perfconsole.ui.app import ConsoleApp
from perfconsole.ui.look import Abilities
from perfconsole.ui.screens.process import ProcessScreen
from perfconsole.ui.settings import Settings

NOW = 1_700_000_000.0
COLOURED = Abilities(ascii=False, colours=1 << 24)
OPS = frozenset({"process.detail", "process.signal", "process.renice"})


def row(pid, **fields):
    plain = {"start": pid * 10, "ppid": 1, "name": f"p{pid}", "user": "ada", "state": "S", "cpu": 0.25, "cpu_s": 3.0}
    more = {"memory_bytes": 64.0 * (1 << 20), "threads": 2, "nice": 0, "started": NOW - 3600}
    return ProcessRow(pid=pid, **(plain | more | fields))


DETAIL = ProcessDetail(
    [OpenFile(0, "device", "/dev/null"), OpenFile(3, "socket", "tcp 127.0.0.1:80 LISTEN")],
    [("Max open files", "1024", "4096 files")],
    [("Rss", 65536.0)],
    [("executable", "/usr/bin/p7")],
    ["working directory: the process belongs to bob; needs root or CAP_SYS_PTRACE"],
)


class Told:
    """A source that tells what it is told to."""

    def __init__(self, ops=OPS):
        self.ops, self.ticks, self.watches, self.asked, self.answers = ops, [], [], [], {"process.detail": DETAIL}
        self.seq, self.wake = 0, lambda: None

    def subscribe(self, wake):
        self.wake = wake
        wake()

    def close(self):
        self.wake = lambda: None

    def drain(self):
        ticks, self.ticks = self.ticks, []
        return ticks

    def watch(self, watch):
        self.watches.append(watch)

    async def request(self, op, args):
        self.asked.append((op, args))
        answer = self.answers[op]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def tell(self, rows=None, *, at=0.0, key=False, past=False, total=None, **parts):
        self.seq += 1
        stream = Stream("box", "s1", "b", "0", self.ops, began=NOW - 60) if key else None
        tables = [] if rows is None else [ProcessTable("host", NOW + at, len(rows) if total is None else total, rows)]
        self.ticks.append(Tick(self.seq, NOW + at, at, key, past, tables=tables, stream=stream, **parts))
        self.wake()


@pytest.fixture
def told():
    return Told()


def console(source, *, theme="midnight", can=COLOURED):
    def load(name):
        return themes.load_theme(name, env=os.environ).spec

    return ConsoleApp(source, Settings(load(theme), themes.names(os.environ), load, actions.keymap({}), can, screen="processes"))


def lines(app):
    """What is on the screen, as text."""
    return ["".join(segment.text for segment in strip).rstrip() for strip in app.screen._compositor.render_strips()]


def text(app):
    return "\n".join(lines(app))


SERVER = row(7, ppid=5, name="server", command="server --port 80")
FAMILY = [row(1, ppid=0, name="init"), row(5, name="shell"), SERVER, row(9, ppid=7, name="worker")]


async def opened(pilot, source, subject=SERVER, rows=FAMILY, **how):
    source.tell(rows, key=True, **how)
    await pilot.pause()
    await pilot.app.push_screen(ProcessScreen(subject))
    await pilot.pause()
    return pilot.app


WHO = (("pid", "7"), ("start", "70"))
GROUP = Group(
    1, "processes", "7:70", 2.0,
    (SeriesDef("process.cpu.utilization", WHO), SeriesDef("process.memory.usage", WHO),
     SeriesDef("process.disk.io", (("direction", "read"), *WHO)), SeriesDef("process.disk.io", (("direction", "write"), *WHO))),
)  # fmt: skip


def live_for(source, seconds, rows=FAMILY):
    """Histories as the collector measures them: a reading every two seconds."""
    for at in range(2, seconds + 1, 2):
        values = [0.5, 64.0 * (1 << 20), at * 1024.0 * 1024, 0.0]
        source.tell(rows, at=at, groups=[GROUP] if at == 2 else [], readings=[Reading(1, NOW + at, values)])


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (160, 48)])
async def test_every_size_shows_who_it_is_how_it_fares_and_its_family(told, size):
    async with console(told).run_test(size=size) as pilot:
        app = await opened(pilot, told)
        shown = text(app)
        for words in ("PROCESS 7", "sleeping", "ada", "1h00m", "server --port 80", "CPU", "memory", "64M", "read", "write", "Esc"):
            assert words in shown, words
        assert "└─7 server" in shown
        assert len(lines(app)) == size[1]
        assert ("FILES" in shown) == (size[0] == 160)  # side by side where there is room, behind each other where there is not


async def test_the_collector_is_told_to_measure_this_one_process_closely(told):
    async with console(told).run_test() as pilot:
        await opened(pilot, told)
        (view,) = told.watches[-1].views
        assert view.keys == ((7, 70),)
        assert {"history", "read_bytes_s", "write_bytes_s", "pss_bytes", "fds"} == set(view.columns)
        assert view.limit > 100_000  # the family may be anywhere


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (160, 48)])
async def test_before_its_first_sample_a_history_is_being_collected(told, size):
    app = console(told)

    def collecting():
        return "\n".join(lines(app)[2:]).count("collecting…")

    async with app.run_test(size=size) as pilot:
        await opened(pilot, told)
        assert collecting() == 4
        assert "since opened" not in text(app)
        live_for(told, 2)
        await pilot.pause()
        assert collecting() == 2, "a rate needs two samples"
        told.tell(FAMILY, at=4, readings=[Reading(1, NOW + 4, [0.5, 1e6, 2e6, 0.0])])
        await pilot.pause()
        assert not collecting()


async def test_a_moment_without_a_history_does_not_promise_one(told):
    app = console(told)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, told, past=True)
        assert "no history at this moment" in text(app)
        assert "collecting" not in "\n".join(lines(app)[2:])


async def test_history_is_drawn_and_says_since_when(told):
    async with console(told).run_test(size=(160, 48)) as pilot:
        app = await opened(pilot, told)
        live_for(told, 60)
        await pilot.pause()
        shown = text(app)
        assert "⣿" in shown
        assert "since opened 22:13:22" in shown
        live_for(told, 160)
        await pilot.pause()
        assert "-4m" in text(app)  # twice the window, once two minutes are not enough


async def test_an_ended_process_keeps_its_last_values_and_becomes_nobody_else(told):
    async with console(told).run_test(size=(80, 24)) as pilot:
        app = await opened(pilot, told)
        live_for(told, 20)
        await pilot.pause()
        other = row(7, start=999, name="impostor", command="impostor")
        told.tell([FAMILY[0], FAMILY[1], other], at=22, groups=[Group(2, "processes", "7:70", 2.0, ())])
        await pilot.pause()
        shown = text(app)
        assert "◌ ended 22:13:42" in shown
        assert "server --port 80" in shown
        assert "PROCESS 7  server" in shown
        assert "impostor" not in shown
        assert any(line.startswith(" memory ") and "█" in line.replace("▆", "█") for line in lines(app))
        told.tell([FAMILY[0]], at=62)
        await pilot.pause()
        assert "◌ ended 22:13:42" in text(app)
        await pilot.press("x")
        assert isinstance(app.screen, ProcessScreen)  # nothing to signal any more


async def test_what_is_not_among_rows_that_are_a_selection_has_not_ended(told):
    async with console(told).run_test() as pilot:
        app = await opened(pilot, told)
        told.tell(FAMILY[:1], at=2, total=300)
        await pilot.pause()
        assert "ended" not in text(app)
        assert "not among the processes known at this moment" in text(app)
        told.tell(FAMILY, at=4)
        await pilot.pause()
        assert "not among" not in text(app)


async def test_files_memory_facts_and_limits_are_read_once_and_again_by_enter(told):
    async with console(told).run_test(size=(80, 24)) as pilot:
        app = await opened(pilot, told)
        told.tell(FAMILY, at=2)
        await pilot.pause()
        seen = []
        for _ in range(4):
            await pilot.press("tab")
            await pilot.pause()
            seen.append(text(app))
        for words, shown in zip(("tcp 127.0.0.1:80 LISTEN", "Rss", "/usr/bin/p7", "open files"), seen, strict=True):
            assert words in shown
        assert "working directory: the process belongs to bob; needs root or CAP_SYS_PTRACE" in seen[2]
        assert [op for op, _ in told.asked] == ["process.detail"]
        assert (told.asked[0][1].pid, told.asked[0][1].start) == (7, 70)
        await pilot.press("enter")
        await pilot.pause()
        assert len(told.asked) == 2


async def test_a_refusal_stands_where_the_result_would(told):
    told.answers["process.detail"] = RequestError("process 7 may not be looked at", "run as its owner or as root")
    async with console(told).run_test() as pilot:
        app = await opened(pilot, told)
        await pilot.press("tab")
        await pilot.pause()
        assert "process 7 may not be looked at: run as its owner or as root" in text(app)


async def test_a_recording_says_what_it_does_not_hold():
    told = Told(ops=frozenset())
    async with console(told).run_test() as pilot:
        app = await opened(pilot, told, past=True)
        await pilot.press("tab")
        await pilot.pause()
        assert "a recording does not hold this" in text(app)
        assert not told.asked
        told.tell([FAMILY[0]], at=-7200, past=True, key=True)
        await pilot.pause()
        assert "not yet started at this moment" in text(app)


async def test_a_held_moment_is_read_when_it_ends(told):
    async with console(told).run_test() as pilot:
        told.tell(FAMILY, key=True)
        await pilot.pause()
        await pilot.press("space")
        await pilot.app.push_screen(ProcessScreen(SERVER))
        await pilot.pause()
        await pilot.press("tab")
        await pilot.pause()
        assert "not read while a moment is held" in text(pilot.app)
        await pilot.press("space")
        await pilot.pause()
        assert "/dev/null" in text(pilot.app)


async def test_a_relative_is_opened_and_left_again(told):
    async with console(told).run_test(size=(80, 24)) as pilot:
        app = await opened(pilot, told)
        await pilot.press("j", "enter")
        await pilot.pause()
        assert "PROCESS 9  worker" in text(app)
        assert told.watches[-1].views[0].keys == ((9, 90),)
        await pilot.press("escape")
        await pilot.pause()
        assert "PROCESS 7  server" in text(app)
        assert told.watches[-1].views[0].keys == ((7, 70),)
        await pilot.press("g", "enter")
        await pilot.pause()
        assert "PROCESS 1  init" in text(app)


async def test_a_family_that_contradicts_itself_ends(told):
    loop = [row(7, ppid=9, name="server"), row(9, ppid=7, name="worker"), row(5, ppid=5, name="own"), row(6, ppid=8), row(8, start=6000)]
    async with console(told).run_test(size=(80, 24)) as pilot:
        await opened(pilot, told, loop[0], loop)
        for subject in loop[2:]:
            await pilot.app.push_screen(ProcessScreen(subject))
            await pilot.pause()
            assert f"PROCESS {subject.pid}" in text(pilot.app)
            assert subject.pid != 6 or "8 p8" not in "\n".join(lines(pilot.app)[13:])  # younger than its child: another one


async def test_a_long_command_line_takes_at_most_three_lines(told):
    long = row(7, command="server " + "x" * 5000)
    async with console(told).run_test(size=(80, 24)) as pilot:
        app = await opened(pilot, told, long, [long])
        assert sum("xxxx" in line for line in lines(app)[:9]) in {2, 3}
        assert "…" in text(app)


@pytest.mark.parametrize("theme", ["mono", "terminal"])
async def test_ascii_without_colours_shows_the_same(told, theme):
    app = console(told, theme=theme, can=Abilities(ascii=True, colours=0))
    async with app.run_test(size=(160, 48)) as pilot:
        await opened(pilot, told)
        live_for(told, 60)
        await pilot.press("x")
        await pilot.pause()
        assert text(app).isascii()
        assert "Send a signal to" in text(app)
        assert "####" in text(app)
