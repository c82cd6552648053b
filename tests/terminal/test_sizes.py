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
    pty.wait_text(r"q quit *\Z")  # the last line is the footer with its keys
    lines = pty.screen().splitlines()
    assert len(lines) == size[1]
    assert lines[0].strip()  # the header
    assert pty.leave()[0] == 0
    assert pty.unrestored() == []


@pytest.mark.parametrize("size", [(59, 16), (60, 15), (20, 5), (1, 1)], ids="{0[0]}x{0[1]}".format)
def test_too_small_is_no_crash(spawn, size):
    pty = spawn(size=size)
    assert pty.until(lambda: b"\x1b[?2004h" in pty.raw)  # Textual has the terminal
    pty.read(0.5)
    pty.resize((80, 24))
    pty.wait_text(LIVE)
    assert pty.leave()[0] == 0
    assert "Traceback" not in pty.text()


def test_a_storm_of_sizes_ends_with_the_picture_of_the_last(spawn):
    """A hundred sizes in a second, drawn or not; then the same picture as one that was opened at that size."""
    pty = spawn("--no-record")
    pty.wait_text(LIVE)
    dice = random.Random(1)
    for _ in range(100):
        pty.resize((dice.randint(2, 250), dice.randint(2, 80)))
        pty.read(0.01)
    pty.resize((100, 30))
    pty.wipe()
    fresh = spawn("--no-record", size=(100, 30))
    fresh.wait_text(LIVE)
    for _ in range(100):  # of what one has already measured there is a line less on the other
        pty.read(0.15)
        fresh.read(0.15)
        if _frame(pty) == _frame(fresh):
            break
    assert _frame(pty) == _frame(fresh)
    assert len(_frame(fresh)) > len(LABELS)
    assert pty.leave()[0] == 0
    assert pty.unrestored() == []


def _frame(pty):
    """What does not change with the numbers: titles and labels at their places. What is over a threshold depends on the machine."""
    lines = [(y, line[:8]) for y, line in enumerate(pty.screen().splitlines()) if line[:1] in {" ", "▸"} and line[1:4].isalpha()]
    return [(y, label) for y, label in lines if label[1:2].isupper() or label in LABELS]
