"""Whatever ends the console, and whenever: the terminal is given back, with the exit code a shell expects, and it does not hang.

That it takes under half a second is promised, and told in the table of what it costs: a busy machine takes longer, and that is no fault.
"""

import os
import signal
import time
from contextlib import suppress

import pytest
from harness import CONSOLE, SIGNALS

pytestmark = pytest.mark.slow

START_UP_S = (0.005, 0.02, 0.04, 0.06, 0.09, 0.13, 0.18, 0.25, 0.32, 0.4, 0.6)
"""From the interpreter's own start over the first frame, the imports and the first paint to the first numbers."""

INTERPRETER = 1
"""What the interpreter itself ends with where an interrupt meets it before a line of this program has run: nothing to give back yet."""

LIVE = r"\d+%"


def ends_well(pty, codes):
    """The seconds it took."""
    began = pty.now_s
    code = pty.wait_exit()
    assert code in codes, pty.screen()
    assert pty.unrestored() == []
    return pty.ended_s - began


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_while_it_is_live(spawn, tell, number):
    pty = spawn()
    pty.wait_text(LIVE)
    pty.kill(number)
    took_s = ends_well(pty, {SIGNALS[number]})
    tell(f"gone after {number.name}", f"{took_s * 1e3:.0f} ms", "500 ms")
    assert "Traceback" not in pty.text()


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_at_any_moment_of_the_start(spawn, number):
    for delay_s in START_UP_S:
        pty = spawn()
        pty.read(delay_s)
        ours = pty.first_byte_s is not None
        pty.kill(number)
        ends_well(pty, {SIGNALS[number]} if ours else {SIGNALS[number], INTERPRETER})
        assert not ours or "Traceback" not in pty.text(), f"after {delay_s} s:\n{pty.text()}"
        pty.close()


def test_ctrl_c_at_any_moment_of_the_start(spawn):
    """Before the console reads keys ctrl+c is the terminal's interrupt (130); from then on it is the key that always quits (0)."""
    for delay_s in START_UP_S:
        pty = spawn()
        pty.read(delay_s)
        ours = pty.first_byte_s is not None
        pty.send("\x03")
        ends_well(pty, {0, 130} if ours else {0, 130, INTERPRETER})
        assert not ours or "Traceback" not in pty.text(), f"after {delay_s} s:\n{pty.text()}"
        pty.close()


@pytest.mark.parametrize("keys", ["q", "\x03"], ids=["q", "ctrl+c"])
def test_leaving_by_key_is_clean(spawn, tell, keys):
    pty = spawn()
    pty.wait_text(LIVE)
    code, took_s = pty.leave(keys)
    tell("gone after q" if keys == "q" else "gone after ctrl+c", f"{took_s * 1e3:.0f} ms", "500 ms")
    assert (code, pty.unrestored()) == (0, [])


def test_every_mode_a_modern_terminal_was_asked_for_is_taken_back(spawn):
    """A terminal that answers the queries is put into more modes: in-band resize, the mouse by pixels, the keyboard protocol."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        pty = spawn(answers=True)
        pty.wait_text(LIVE)
        assert {"1016", "2048"} <= {number for number, on in pty.modes().items() if on}
        pty.kill(number)
        ends_well(pty, {SIGNALS[number]})


@pytest.mark.parametrize("delay_s", [0.03, 0.15, 0.3, 1.5])
def test_a_terminal_that_goes_away(spawn, delay_s):
    """The window is closed, the link breaks: SIGHUP, and a terminal that fails every call."""
    pty = spawn()
    pty.read(delay_s)
    pty.hang_up()
    assert pty.wait_gone()[1] == SIGNALS[signal.SIGHUP]


def test_a_terminal_that_goes_away_while_the_shell_that_leads_its_session_stays(spawn):
    """Nobody but the leader of a session is told that its terminal hung up: under one that ignores it a console would read for ever."""
    shell = spawn("-c", f"trap '' HUP; {' '.join(CONSOLE)}; exit $?", program=("/bin/sh",))
    shell.wait_text(LIVE)
    shell.hang_up()
    _, code = shell.wait_gone()
    assert code == SIGNALS[signal.SIGHUP]


def test_stop_and_go_on(spawn):
    """SIGTSTP under a shell with job control: the terminal is the shell's while stopped, and painted anew on `fg`."""
    shell = spawn("--norc", "--noprofile", "-i", program=("/bin/bash",), size=(90, 24), PS1="ready> ")
    shell.wait_text("ready>")
    shell.send(" ".join(CONSOLE) + "\r")
    shell.wait_text(LIVE)
    shell.wait_text("TOP PROCESSES")
    shell.send("\x1a")
    shell.wait_text("Stopped")
    modes = shell.modes()
    assert [number for number in ("1049", "1000", "1003", "1004") if modes.get(number)] == []
    assert modes["25"]
    assert "TOP PROCESSES" not in shell.screen()
    shell.send("echo sum $((40+2))\r")
    shell.wait_text("sum 42")
    shell.send("fg\r")
    shell.wait_text("TOP PROCESSES")
    painted = len(shell.raw)
    shell.wait_stream(LIVE, start=painted)
    shell.send("q")
    shell.wait_text(r"ready>\s*\Z")
    shell.send("echo left $?\r")
    shell.wait_text("left 0")
    shell.send("exit\r")
    assert shell.wait_exit() == 0


def test_standard_output_that_is_a_closed_pipe(spawn):
    """`perfconsole | head -0`: no terminal on one side, so the line that says what to use, and no complaint of the interpreter."""
    reader, writer = os.pipe()
    os.close(reader)
    pty = spawn(stdout=writer)
    os.close(writer)
    assert pty.wait_exit() == 64
    assert "snapshot" in pty.text()
    assert pty.unrestored() == []


def test_two_signals_at_once(spawn):
    pty = spawn()
    pty.wait_text(LIVE)
    pty.kill(signal.SIGTERM)
    time.sleep(0.05)
    pty.kill(signal.SIGHUP)
    ends_well(pty, {143, 129})


@pytest.mark.parametrize("amid", [0.0, 0.02, 0.04, 0.06, 0.08, 0.12])
def test_a_second_signal_while_it_ends(spawn, amid):
    """The terminal is given back before what takes time."""
    pty = spawn()
    pty.wait_text(LIVE)
    pty.kill(signal.SIGTERM)
    assert pty.until(lambda: b"\x1b[?1049l" in pty.raw)  # Textual has ended; what it does not know of is still to come
    pty.read(amid)
    with suppress(ProcessLookupError):
        pty.kill(signal.SIGHUP)
    ends_well(pty, {143, 129})


def test_whoever_was_stopped_without_a_warning_reads_its_keys_alone(spawn):
    """SIGSTOP, which nobody can prepare for: afterwards nothing that was there before reads the terminal beside what is there now."""
    pty = spawn()
    pty.wait_text("memory")
    for _ in range(4):
        pty.kill(signal.SIGSTOP)
        pty.read(0.3)
        before = len(pty.raw)
        pty.kill(signal.SIGCONT)
        pty.wait_stream(r"\d", start=before)
    for key, told in (("6", "PROCESSES"), ("1", "SYSTEM")) * 2:
        pty.send(key)
        pty.wait_text(told)
    assert pty.leave()[0] == 0
    assert pty.unrestored() == []
