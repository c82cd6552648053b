"""A terminal that stops reading: a frozen SSH link, a scrolled tmux, ctrl+s. Nothing that measures or records may wait for it."""

import os
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest
from harness import PATIENCE_S

from perfconsole.sources.segments import index, ticks

pytestmark = pytest.mark.slow

STALL_S = 60.0 if os.environ.get("PERFCONSOLE_LONG") else 6.0
HELD_BYTES = 15 << 20
GAP_S = 0.7 * STALL_S
"""Between two ticks lies half a second, and on a busy machine more; what waits for the terminal has one as long as the stall."""
ENTERED = b"\x1b[?1049h"
"""The alternate screen is taken."""

LIVE = r"CPU +\S.*\d+%"


def told(path):
    """All ticks of a recording."""
    return [tick for place in index(Path(path)) for tick in ticks(place)]


def test_a_stalled_terminal_delays_nothing(spawn, tell, tmp_path):
    """Every beat is recorded while the terminal does not read; what is held meanwhile is bounded; then the screen is right again."""
    pty = spawn("--record", str(tmp_path / "stall.pcr"), "--interval", "500ms", size=(160, 48))
    pty.wait_text(LIVE)
    pty.read(2.0)
    before = pty.own_bytes()
    held = _stall(pty, STALL_S)
    tell(f"held while the terminal does not read for {STALL_S:g} s", f"{(held - before) / 2**20:.1f} MiB", "15 MiB in 60 s")
    assert held - before < HELD_BYTES
    pty.send(" ")  # freeze, so that two pictures can be compared
    pty.wait_text("FROZEN")
    shown = pty.steady(lambda: _below_the_clock(pty))
    for size in ((161, 48), (160, 48)):  # forces everything to be painted anew
        pty.resize(size)
        pty.wipe()
        pty.wait_text("TOP PROCESSES")
    assert pty.until(lambda: _below_the_clock(pty) == shown), pty.screen()
    code, _ = pty.leave()
    assert (code, pty.unrestored()) == (0, [])
    beats = [tick.at for tick in told(tmp_path / "stall.pcr")]
    gaps = [later - earlier for earlier, later in pairwise(beats)]
    assert beats[-1] - beats[0] > STALL_S
    assert max(gaps) < GAP_S, f"{max(gaps):.2f} s between two ticks"


def _below_the_clock(pty):
    """The picture without the first line, which says how far the present has gone on, and the last, where things are said in passing."""
    return pty.screen().splitlines()[1:-1]


def _stall(pty, seconds):
    """Not read for so long while keys are typed; the memory at the end."""
    _fill(pty)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pty.send("jk")
        time.sleep(0.25)
    assert pty.is_full
    return pty.own_bytes()


@pytest.mark.parametrize("number", [15, 1], ids=["SIGTERM", "SIGHUP"])
def test_a_stalled_terminal_cannot_keep_it(spawn, tell, number):
    """Ended while the terminal does not read: gone nevertheless."""
    pty = spawn("--interval", "500ms", size=(250, 80))
    pty.wait_text(LIVE)
    _fill(pty)
    pty.kill(number)
    took_s, code = pty.wait_gone()
    tell(f"gone after {signal.Signals(number).name}, terminal stalled", f"{took_s * 1e3:.0f} ms", "500 ms")
    assert code == 128 + number


def test_going_on_after_a_stop_in_a_stalled_terminal(spawn):
    """What waited is written once the terminal reads again, and what comes after it, too."""
    pty = spawn("--interval", "500ms", size=(160, 48))
    pty.wait_text(LIVE)
    _fill(pty)
    entered = pty.raw.count(ENTERED)
    pty.kill(signal.SIGSTOP)
    time.sleep(0.2)
    pty.kill(signal.SIGCONT)
    time.sleep(0.5)  # it takes the terminal while that does not read
    assert pty.until(lambda: pty.raw.count(ENTERED) > entered)
    pty.wait_stream(LIVE, start=pty.raw.rindex(ENTERED))
    assert (pty.leave()[0], pty.unrestored()) == (0, [])


def test_quitting_a_stalled_terminal(spawn, tell):
    pty = spawn("--interval", "500ms", size=(250, 80))
    pty.wait_text(LIVE)
    _fill(pty)
    pty.send("q")
    took_s, code = pty.wait_gone()
    tell("gone after q, terminal stalled", f"{took_s * 1e3:.0f} ms", "500 ms")
    assert code == 0


def _fill(pty):
    """Have it write more than the pty takes, unread: until it has to wait, and goes on to."""
    end = time.monotonic() + PATIENCE_S
    while not pty.is_full:
        assert time.monotonic() < end, "the terminal is never full"
        pty.send("T")  # another theme: everything is painted anew
        time.sleep(0.1)
    pty.send("T6T1T")
    time.sleep(0.3)
    assert pty.is_full
