"""Bytes to the terminal, over ticks that are always the same: a budget that no busy machine can break, and no careless widget keep."""

import sys
from pathlib import Path

import pytest
from harness import ROOT

pytestmark = pytest.mark.slow

STAGED = (sys.executable, str(ROOT / "tests" / "terminal" / "staged.py"))
TICK_S = 0.06
READING_S = 4 * TICK_S
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
SHOWN = {"alerts": r"load-critical"}


@pytest.mark.parametrize(("screen", "kind"), BUDGETS, ids=["-".join(each) for each in BUDGETS])
def test_bytes_a_reading(spawn, tell, screen, kind):
    """At 160x48 with fifteen minutes of history; the mean over 25 readings, in which every sparkline has moved on three times."""
    assert Path(STAGED[1]).exists()
    pty = spawn([*STAGED, kind, str(TICK_S)])
    pty.wait_stream(r"TOP PROCESSES")
    pty.read(1.0)
    if screen in KEYS:
        pty.send(KEYS[screen])
        if screen in SHOWN:
            pty.wait_stream(SHOWN[screen])
        pty.read(1.0)
    used = pty.cost(READINGS * READING_S)
    each = used.bytes_s * READING_S
    budget = BUDGETS[screen, kind]
    tell(f"bytes/s, {screen}, {kind} machine", f"{each / INTERVAL_S:.0f}", "", f"{budget / INTERVAL_S:.0f}")
    assert each <= budget
    assert kind.endswith("still") or each > 50, "nothing is painted: this measures nothing"
