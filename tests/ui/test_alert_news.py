"""What fires newly is told on every screen until somebody looks; and the terminal calls somebody, if that is wanted, but not on and on."""

import asyncio
import os
import shlex
import shutil
import subprocess
from html import escape

import pytest
from alert_world import ALERTS, CPU, DOWN, RULES, SOON, alert_world, alerts_screen, make_alert_world, storm
from msgspec import structs
from world import START, Console, Told, console_app

from perfconsole.core.state import State
from perfconsole.core.text import safe
from perfconsole.core.tick import Stream, Tick
from perfconsole.ui import desktop
from perfconsole.ui.bell import EVERY_S, Bell, sequence
from perfconsole.ui.newly import Newly, news

__all__ = ["alert_world", "make_alert_world"]

FIRES = structs.replace(SOON, state="firing", before="pending", at=START, fired_at=START)
STREAM = Stream("box", "s", "b", "0", began=START - 5000, rules=RULES)


def state_of(*alerts, stream=STREAM):
    state = State()
    state.apply(Tick(1, START, 0.0, key=True, alerts=list(alerts), stream=stream))
    return state


def later(state, *alerts, seconds=1.0):
    state.apply(Tick(state.seq + 1, state.at + seconds, 0.0, alerts=list(alerts)))
    return state


# Which ones are new -----------------------------------------------------------------------------------------------------------------


def test_what_fires_at_the_first_look_is_no_news():
    newly, state = Newly(), state_of(DOWN, CPU)
    assert newly.look(state) == []
    assert newly.look(later(state, FIRES)) == [FIRES]
    assert newly.look(later(state)) == []


def test_before_the_stream_is_known_there_is_no_first_look():
    newly = Newly()
    assert newly.look(State()) == []
    assert newly.look(state_of(DOWN)) == []


@pytest.mark.parametrize(
    "one",
    [
        structs.replace(FIRES, colour=True),
        structs.replace(FIRES, silence="5f00aa01"),
        structs.replace(FIRES, muted="inhibited by other"),
        structs.replace(FIRES, fired_at=STREAM.began - 1),  # restored: it fired in an earlier run
        structs.replace(FIRES, fired_at=START - 1000),  # an hour's link was broken
        SOON,
    ],
)
def test_what_is_no_news_to_anybody(one):
    newly, state = Newly(), state_of()
    newly.look(state)
    assert newly.look(later(state, one)) == []


def test_what_ended_and_fires_again_is_news_and_what_is_acknowledged_is_not():
    newly, state = Newly(), state_of()
    newly.look(state)
    assert newly.look(later(state, FIRES)) == [FIRES]
    assert newly.look(later(state, structs.replace(FIRES, before="firing", ack=CPU.ack))) == []
    assert newly.look(later(state, structs.replace(FIRES, state="resolved", before="firing"))) == []
    again = structs.replace(FIRES, since=START + 2, fired_at=START + 3)
    assert newly.look(later(state, again)) == [again]


def test_several_are_told_in_one_line():
    state = state_of(*storm(20), FIRES)
    assert news(state, [FIRES]) == ("critical", "memory avg 92% > 90% over 1m (n 30)")
    told = news(state, [*storm(20), FIRES])
    assert told.text == "service-down: 20 endpoints (endpoint-000, endpoint-001, ... and 18 more) and 1 more"


# The banner -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def later_s(monkeypatch):
    """The clock that banners go by, as a list of the one time it is: it stands still unless a test moves it."""
    time_s = [1000.0]
    monkeypatch.setattr("perfconsole.ui.alarms.monotonic", lambda: time_s[0])
    return time_s


@pytest.mark.parametrize("screen", ["1", "5", "6"])
async def test_it_stands_in_the_footer_until_a_key_is_pressed(alert_world, kind, screen, later_s):
    async with alerts_screen(alert_world, kind, (80, 24)) as console:
        await console.press(screen)
        assert "shows it" not in console.text
        alert_world.say(FIRES)
        await console.settled()
        assert console.lines[-1].startswith(" ■ CRIT memory avg 92% > 90% over 1m (n 30)  7 shows it")
        await console.step(2)
        assert "7 shows it" in console.lines[-1]
        later_s[0] += 2.0
        await console.press("j")
        assert "shows it" not in console.text
        assert "q quit" in console.lines[-1]


async def test_who_types_just_then_does_not_miss_it(alert_world, later_s):
    async with alerts_screen(alert_world) as console:
        await console.press("6", "slash", "x")
        timers = []
        console.app.set_timer = lambda seconds, call: timers.append((seconds, call))
        alert_world.say(FIRES)
        await console.settled()
        later_s[0] += 0.5
        await console.press("y", "z", "enter")
        assert "7 shows it" in console.lines[-1], "those keys were on their way"
        assert [seconds for seconds, _ in timers[:2]] == [10.0, 1.5], "then it goes"
        timers[1][1]()
        await console.settled()
        assert "shows it" not in console.text


async def test_a_later_one_is_not_taken_away_with_the_one_before(alert_world, later_s):
    async with alerts_screen(alert_world) as console:
        await console.press("1")
        timers = []
        console.app.set_timer = lambda seconds, call: timers.append((seconds, call))
        alert_world.say(FIRES)
        await console.settled()
        await console.press("j")
        again = structs.replace(FIRES, id="other", rule="other", fired_at=START)
        alert_world.say(again)
        await console.settled()
        for _, call in timers[:2]:
            call()
        await console.settled()
        assert "7 shows it" in console.lines[-1]


async def test_it_goes_by_itself(alert_world):
    async with alerts_screen(alert_world) as console:
        await console.press("1")
        timers = []
        console.app.set_timer = lambda seconds, call: timers.append((seconds, call))
        alert_world.say(FIRES)
        await console.settled()
        assert "7 shows it" in console.lines[-1]
        ((seconds, call),) = timers
        assert seconds == 10.0
        call()
        await console.settled()
        assert "shows it" not in console.text


async def test_on_the_screen_that_shows_it_there_is_none(alert_world):
    async with alerts_screen(alert_world) as console:
        alert_world.say(FIRES)
        await console.settled()
        assert "shows it" not in console.text
        await console.press("space")
        alert_world.say(structs.replace(FIRES, fired_at=START + 1, since=START))
        await console.settled()
        assert "7 shows it" in console.lines[-1], "while a moment is held it does not"


async def test_under_a_dialog_it_is_told_too_and_seven_leads_there(alert_world, later_s):
    async with alerts_screen(alert_world) as console:
        await console.press("6", "j", "x")
        alert_world.say(FIRES)
        await console.settled()
        assert "7 shows it" in console.text
        later_s[0] += 2.0
        await console.press("escape")
        assert "shows it" not in console.text
        await console.press("7")
        assert "memory avg 92% > 90%" in console.text


async def test_while_the_past_is_looked_at_it_is_of_the_present(alert_world):
    async with alerts_screen(alert_world) as console:
        await console.press("1", "space")
        alert_world.say(FIRES)
        await console.settled()
        assert "FROZEN" in console.lines[0]
        assert "7 shows it" in console.lines[-1]


async def test_what_fired_before_the_console_was_opened_is_not_told():
    app = console_app(Told(Tick(1, START, 9.0, key=True, stream=STREAM, alerts=list(ALERTS))))
    async with app.run_test(size=(80, 24)) as pilot:
        console = Console(app, pilot)
        await console.pilot.pause()
        assert "shows it" not in console.text


# The bell ---------------------------------------------------------------------------------------------------------------------------


async def rung(world, monkeypatch, *alerts, **changes):
    """What was written to the terminal for these."""
    async with alerts_screen(world, **changes) as console:
        written = []
        monkeypatch.setattr(console.app._driver, "write", written.append)
        for one in alerts:
            world.say(one)
            await console.settled()
        return [text for text in written if "\a" in text]


@pytest.mark.parametrize(
    ("bell", "sound"),
    [
        ((), []),
        (("bell",), ["\a"]),
        (("osc9",), ["\x1b]9;critical: memory avg 92% > 90% over 1m (n 30)\a"]),
        (("bell", "osc9"), ["\a\x1b]9;critical: memory avg 92% > 90% over 1m (n 30)\a"]),
        (("osc777",), ["\x1b]777;notify;perfconsole;critical: memory avg 92% > 90% over 1m (n 30)\a"]),
    ],
)
async def test_the_terminal_calls_as_it_was_told_to(alert_world, monkeypatch, bell, sound):
    monkeypatch.delenv("TMUX", raising=False)
    assert await rung(alert_world, monkeypatch, FIRES, bell=bell) == sound


async def test_through_tmux_it_is_wrapped(alert_world, monkeypatch):
    monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0")
    (sound,) = await rung(alert_world, monkeypatch, FIRES, bell=("osc9",))
    assert sound == "\x1bPtmux;\x1b\x1b]9;critical: memory avg 92% > 90% over 1m (n 30)\a\x1b\\"


async def test_a_storm_rings_once(make_alert_world, monkeypatch):
    every = [structs.replace(one, fired_at=START) for one in storm(20)]
    assert await rung(make_alert_world(4, alerts=[]), monkeypatch, *every, bell=("bell",)) == ["\a"]


def test_a_bell_is_silent_for_a_while():
    bell = Bell()
    rung = [at for at in (0.0, 1.0, EVERY_S - 0.1, EVERY_S, EVERY_S + 1, 3 * EVERY_S) if bell.may_ring(at)]
    assert rung == [0.0, EVERY_S, 3 * EVERY_S]


@pytest.mark.parametrize("kind", ["osc9", "osc777"])
@pytest.mark.parametrize("tmux", [False, True])
def test_foreign_words_give_no_orders(kind, tmux):
    harm = "4;1;90 \x1b]52;c;eA==\a \x9c\x9d \x07 \x18 \u202e;title;[x]"
    sound = sequence(kind, harm, tmux=tmux)
    inner = sound.removeprefix("\x1bPtmux;").removesuffix("\x1b\\").replace("\x1b\x1b", "\x1b") if tmux else sound
    assert inner.count("\x1b") == 1
    assert inner.startswith("\x1b]")
    assert inner.endswith("\a")
    body = inner[2:-1]
    assert body.isprintable()
    assert not body.startswith("9;4"), "which is a progress bar to some"
    assert kind == "osc9" or body.count(";") == 3, "number, word, title, text, and nothing after"


def test_words_are_not_without_end():
    assert len(sequence("osc9", "x" * 10_000)) < 200
    assert sequence("bell", "x") == "\a"
    assert sequence("off", "x") == ""


# The desktop ------------------------------------------------------------------------------------------------------------------------

HARM = "'\"; rm -rf / -- <b>&amp;</b> \\ \x1b]52;c;eA==\a \u202e @as ['x']"


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Programs of a desktop that write down their arguments; none is there before it is asked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(desktop.ADDRESS, "unix:path=/nowhere")

    def make(name, ends="exit 0"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\nfor one in "$@"; do printf \'%s\\n\' "$one"; done > {tmp_path}/{name}.new\n{ends}\n')
        program.chmod(0o755)
        return tmp_path / f"{name}.new"

    return make


async def eventually(true):
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  another process does it
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("bell", [("desktop",), ("bell", "desktop")])
async def test_the_desktop_is_told_beside_the_terminal(alert_world, monkeypatch, programs, bell):
    told = programs("notify-send")
    written = await rung(alert_world, monkeypatch, FIRES, bell=bell)
    await eventually(lambda: told.exists() and len(told.read_text().splitlines()) == 5)
    assert told.read_text().splitlines() == [
        "--app-name=perfconsole", "--urgency=critical", "--", "perfconsole", "critical: memory avg 92% &gt; 90% over 1m (n 30)",
    ]  # fmt: skip
    assert written == ["\a"] * ("bell" in bell)


async def test_without_a_session_bus_nothing_is_run(alert_world, monkeypatch, programs):
    told = programs("notify-send")
    monkeypatch.delenv(desktop.ADDRESS)
    assert await rung(alert_world, monkeypatch, FIRES, bell=("bell", "desktop")) == ["\a"]
    assert not told.exists()
    assert "DBUS_SESSION_BUS_ADDRESS is not set" in desktop.missing(os.environ)
    monkeypatch.setenv(desktop.ADDRESS, "unix:path=/nowhere")
    assert desktop.missing(os.environ) == ""


@pytest.mark.parametrize(
    ("ends", "why"),
    [("echo no bus here >&2; exit 1", "no bus here"), ("exit 3", "exit status 3"), (None, "neither notify-send nor gdbus is installed")],
)
async def test_why_the_desktop_was_not_told_is_told(alert_world, programs, ends, why):
    if ends:
        programs("notify-send", ends)
    else:
        assert "neither notify-send nor gdbus is installed" in desktop.missing(os.environ)
    async with alerts_screen(alert_world, bell=("desktop",), size=(160, 48)) as console:
        alert_world.say(FIRES)
        await eventually(lambda: f"the desktop was not told: {why}" in console.text)


async def test_a_desktop_that_hangs_holds_nothing_up(alert_world, monkeypatch, programs):
    monkeypatch.setattr(desktop, "_LIMIT_S", 0.2)
    programs("notify-send", "exec /bin/sleep 60")
    async with alerts_screen(alert_world, bell=("desktop",), size=(160, 48)) as console:
        alert_world.say(FIRES)
        await eventually(lambda: "the desktop was not told: it did not answer within 0.2 s" in console.text)


def test_foreign_words_are_one_argument_and_no_markup():
    for program in ("notify-send", "gdbus"):
        argv = desktop.command("warning", HARM, lambda name, program=program: name if name == program else None)
        assert argv.count("--") == 1
        (told,) = (one for one in argv[argv.index("--") :] if "rm -rf" in one)
        assert told.isprintable()
        assert "<" not in told
    assert desktop.command("warning", "x", lambda _: None) == []
    assert len(max(desktop.command("info", "x" * 10_000, str), key=len)) < 200


def test_what_notify_send_would_read_as_an_escape_is_none():
    """It unescapes what it is given as C would: octal digits would make markup of what holds none."""
    argv = desktop.command("warning", r"C:\new \074b\076", lambda name: name)
    assert argv[-1] == r"C:\\new \\074b\\076"


@pytest.mark.skipif(not all(map(shutil.which, ("dbus-run-session", "dbus-monitor", "gdbus"))), reason="no D-Bus is installed")
def test_a_real_bus_is_given_the_words_as_they_are(tmp_path):
    """Nobody shows notifications there: what was asked of the bus is what counts."""
    argv = desktop.command("critical", HARM, lambda name: shutil.which(name) if name == "gdbus" else None)
    script = (
        "dbus-monitor --session \"interface='org.freedesktop.Notifications'\" > log & monitor=$!\n"
        "while ! grep -q NameAcquired log; do sleep 0.02; done\n"
        f"{shlex.join(argv)}\nfor i in 1 2 3 4 5 6 7 8 9; do grep -q 'int32 -1' log || sleep 0.3; done\nkill $monitor\n"
    )
    subprocess.run(["dbus-run-session", "--", "/bin/sh", "-c", script], cwd=tmp_path, capture_output=True, timeout=60, check=False)
    log = (tmp_path / "log").read_text()
    shown = escape("".join(char for char in safe(HARM, 160) if char.isprintable()), quote=False)
    assert f'   string "{shown}"\n' in log
    assert "member=Notify" in log
    assert 'string "perfconsole"\n   uint32 0\n   string ""\n   string "perfconsole"' in log
    assert 'string "urgency"' in log
