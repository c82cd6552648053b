"""Every size the console must work at, and a window that is dragged about."""

import random

import pytest

pytestmark = pytest.mark.slow

SIZES = [(60, 16), (80, 24), (100, 30), (120, 36), (160, 48), (200, 60), (250, 80)]
LIVE = r"CPU +\S.*\d+%"
LABELS = {" load   ", " memory ", " disk   ", " disk re", " disk wr", " net in ", " net out"}


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_opens_and_quits(spawn, size):
    pty = spawn(size=size)
    pty.wait_text(LIVE)
    lines = pty.screen().splitlines()
    assert len(lines) == size[1]
    assert lines[0].strip()  # the header, and the last line is the footer with its keys
    assert lines[-1].strip()
    assert pty.leave()[0] == 0
    assert pty.unrestored() == []


@pytest.mark.parametrize("size", [(59, 16), (60, 15), (20, 5), (1, 1)], ids="{0[0]}x{0[1]}".format)
def test_too_small_is_no_crash(spawn, size):
    pty = spawn(size=size)
    pty.read(1.5)
    pty.resize((80, 24))
    pty.wait_text(LIVE)
    assert pty.leave()[0] == 0
    assert "Traceback" not in pty.text()


def test_a_storm_of_sizes_ends_with_the_picture_of_the_last(spawn):
    """Two hundred sizes in two seconds, drawn or not; then the same picture as one that was opened at that size."""
    pty = spawn("--no-record")
    pty.wait_text(LIVE)
    dice = random.Random(1)
    for _ in range(200):
        pty.resize((dice.randint(2, 250), dice.randint(2, 80)))
        pty.read(0.01)
    pty.resize((100, 30))
    assert pty.until(lambda: "TOP PROCESSES" in pty.screen(), 5), pty.screen()
    pty.read(3)
    fresh = spawn("--no-record", size=(100, 30))
    fresh.wait_text(LIVE)
    fresh.read(3)
    assert _frame(pty) == _frame(fresh)
    assert pty.leave()[0] == 0
    assert pty.unrestored() == []


def _frame(pty):
    """What does not change with the numbers: titles and labels at their places. What is over a threshold depends on the machine."""
    lines = [(y, line[:8]) for y, line in enumerate(pty.screen().splitlines()) if line[:1] in {" ", "▸"} and line[1:4].isalpha()]
    return [(y, label) for y, label in lines if label[1:2].isupper() or label in LABELS]
