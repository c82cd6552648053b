"""Bytes to the terminal, over ticks that are always the same: a budget that no busy machine can break, and no careless widget keep."""

import re
import sys
from pathlib import Path

import pytest
from harness import ROOT

pytestmark = pytest.mark.slow

STAGED = (sys.executable, str(ROOT / "tests" / "terminal" / "staged.py"))
TICK_S = 0.04
READINGS = 25
INTERVAL_S = 2.0
"""What one reading stands for: the console's default interval."""

BUDGETS = {  # bytes a reading: the promise a second, times the interval
    ("operations", "busy"): 1500 * INTERVAL_S,
    ("operations", "quiet"): 1000 * INTERVAL_S,
    ("operations", "still"): 100 * INTERVAL_S,
    ("processes", "busy"): 3000 * INTERVAL_S,
    ("operations", "endpoints-busy"): 1500 * INTERVAL_S,
    ("operations", "endpoints-still"): 100 * INTERVAL_S,
    ("endpoints", "endpoints-busy"): 3000 * INTERVAL_S,
    ("endpoints", "endpoints-still"): 100 * INTERVAL_S,
    ("alerts", "alerts-still"): 100 * INTERVAL_S,
}
KEYS = {"processes": "6", "endpoints": "5", "alerts": "7"}
SHOWN = {"processes": r"(?m)^.PROCESSES", "endpoints": r"(?m)^.ENDPOINTS", "alerts": r"load-critical"}
CLOCK = re.compile(r"^.*\b(\d\d):(\d\d):(\d\d)\b")
"""On the first line: the time of the newest reading that is shown."""

SETTLING = 4
"""Readings after which all is painted that is not news."""


@pytest.mark.parametrize(("screen", "kind"), BUDGETS, ids=["-".join(each) for each in BUDGETS])
def test_bytes_a_reading(spawn, tell, screen, kind):
    """At 160x48 with fifteen minutes of history; the mean over 25 readings, in which every sparkline has moved on three times.

    Readings are counted by the clock of what is painted: how fast they come is of no matter.
    """
    assert Path(STAGED[1]).exists()
    pty = spawn([*STAGED, kind, str(TICK_S)])
    pty.wait_text("TOP PROCESSES")
    if screen in KEYS:
        pty.send(KEYS[screen])
        pty.wait_text(SHOWN[screen])
    pty.wait_text(CLOCK)
    _read_on(pty, SETTLING)
    before = len(pty.raw)
    count = _read_on(pty, READINGS)
    each = (len(pty.raw) - before) / count
    budget = BUDGETS[screen, kind]
    tell(f"bytes/s, {screen}, {kind} machine", f"{each / INTERVAL_S:.0f}", "", f"{budget / INTERVAL_S:.0f}")
    assert each <= budget
    assert kind.endswith("still") or each > 50, "nothing is painted: this measures nothing"


def _read_on(pty, count):
    """Read until at least so many readings more are painted; how many they are."""
    began = _clock_s(pty)
    assert pty.until(lambda: _clock_s(pty) >= began + count * INTERVAL_S), pty.screen()
    return (_clock_s(pty) - began) / INTERVAL_S


def _clock_s(pty):
    hours, minutes, seconds = CLOCK.search(pty.screen()).groups()
    return 3600 * int(hours) + 60 * int(minutes) + int(seconds)
