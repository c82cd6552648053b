"""A terminal that stops reading: a frozen SSH link, a scrolled tmux, ctrl+s. Nothing that measures or records may wait for it."""

import os
import time
from itertools import pairwise
from pathlib import Path

import pytest

from perfconsole.sources.segments import index, ticks

pytestmark = pytest.mark.slow

STALL_S = 60.0 if os.environ.get("PERFCONSOLE_LONG") else 8.0
HELD_BYTES = 15 << 20
LIVE = r"CPU +\S.*\d+%"


def told(path):
    """All ticks of a recording."""
    return [tick for place in index(Path(path)) for tick in ticks(place)]


def test_a_stalled_terminal_delays_nothing(spawn, tmp_path):
    """Every beat is recorded while the terminal does not read; what is held meanwhile is bounded; then the screen is right again."""
    pty = spawn("--record", str(tmp_path / "stall.pcr"), "--interval", "500ms", size=(160, 48))
    pty.wait_text(LIVE)
    pty.read(2.5)
    before = pty.pss_bytes()
    held = _stall(pty, STALL_S)
    print(f"\nstalled {STALL_S:g} s: {(held - before) / 2**20:.1f} MiB held")
    assert held - before < HELD_BYTES
    pty.read(3)
    pty.send(" ")  # freeze, so that two pictures can be compared
    pty.wait_text("FROZEN")
    pty.read(0.5)
    shown = _below_the_clock(pty)
    pty.resize((161, 48))  # forces everything to be painted anew
    pty.read(0.7)
    pty.resize((160, 48))
    pty.read(0.7)
    assert _below_the_clock(pty) == shown
    code, took_s = pty.leave()
    assert (code, pty.unrestored()) == (0, [])
    assert took_s < 0.5
    beats = [tick.at for tick in told(tmp_path / "stall.pcr")]
    gaps = [later - earlier for earlier, later in pairwise(beats)]
    assert beats[-1] - beats[0] > STALL_S
    assert max(gaps) < 1.0, f"{max(gaps):.2f} s between two ticks"


def _below_the_clock(pty):
    """The picture without the header's first line, which says how far the present has gone on."""
    return pty.screen().splitlines()[1:]


def _stall(pty, seconds):
    """Not read for so long while keys are typed; the memory at the end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pty.send("jk")
        time.sleep(0.25)
    return pty.pss_bytes()


@pytest.mark.parametrize("number", [15, 1], ids=["SIGTERM", "SIGHUP"])
def test_a_stalled_terminal_cannot_keep_it(spawn, number):
    """Ended while the terminal does not read: still gone in half a second."""
    pty = spawn("--interval", "500ms", size=(250, 80))
    pty.wait_text(LIVE)
    _fill(pty)
    pty.kill(number)
    took_s, code = pty.wait_gone()
    assert code == 128 + number
    assert took_s < 0.5


def test_quitting_a_stalled_terminal(spawn):
    pty = spawn("--interval", "500ms", size=(250, 80))
    pty.wait_text(LIVE)
    _fill(pty)
    pty.send("q")
    took_s, code = pty.wait_gone()
    assert code == 0
    assert took_s < 0.5


def _fill(pty):
    """Have it write more than the pty takes, unread."""
    for _ in range(6):
        pty.send("6")
        time.sleep(0.15)
        pty.send("1")
        time.sleep(0.15)
