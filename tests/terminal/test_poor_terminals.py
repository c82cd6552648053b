"""Terminals and locales that can do less: the screen stays readable, and nothing is sent that they do not know."""

import re
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.slow

LIVE = r"CPU +\S.*\d+%"
SGR = re.compile(rb"\x1b\[([0-9;:]*)m")


class Poor(NamedTuple):
    """What is known of a terminal: the environment, the kinds of colour it takes, whether only ASCII may be sent."""

    env: dict
    colours: set = frozenset({"true"})
    ascii: bool = False


POOR = {
    "good": Poor({}),
    "C locale": Poor({"LC_ALL": "C"}, ascii=True),
    "POSIX": Poor({"LANG": "POSIX"}, ascii=True),
    "latin-1": Poor({"LC_ALL": "en_US.ISO-8859-1"}, ascii=True),
    "console": Poor({"TERM": "linux", "COLORTERM": None}, {"16"}, ascii=True),
    "vt100": Poor({"TERM": "vt100", "COLORTERM": None}, {"16"}, ascii=True),
    "dumb": Poor({"TERM": "dumb", "COLORTERM": None}, {"16"}, ascii=True),
    "no TERM": Poor({"TERM": None, "COLORTERM": None}, {"16", "256"}),
    "unknown TERM": Poor({"TERM": "kaypro-10", "COLORTERM": None}, {"16", "256"}),
    "16 colours": Poor({"TERM": "xterm", "COLORTERM": None}, {"16"}),
    "256 colours": Poor({"COLORTERM": None}, {"16", "256"}),
    "screen": Poor({"TERM": "screen-256color", "COLORTERM": None}, {"16", "256"}),
    "NO_COLOR": Poor({"NO_COLOR": "1"}, set()),
    "NO_COLOR empty": Poor({"NO_COLOR": ""}),
    "NO_COLOR console": Poor({"NO_COLOR": "1", "TERM": "linux", "COLORTERM": None}, set(), ascii=True),
}


def colours(raw):
    """Kinds of colour in a stream: 16, 256, true."""
    kinds = set()
    for match in SGR.finditer(raw):
        numbers = iter(match[1].replace(b":", b";").split(b";"))
        for number in numbers:
            code = int(number or 0)
            if code in {38, 48}:
                kind = int(next(numbers))
                kinds.add("true" if kind == 2 else "256")
                for _ in range(3 if kind == 2 else 1):
                    next(numbers)
            elif 30 <= code <= 37 or 40 <= code <= 47 or 90 <= code <= 107:
                kinds.add("16")
    return kinds


def test_the_kinds_of_colour_are_told_apart():
    assert colours(b"\x1b[1;38;2;30;31;32mx\x1b[0m") == {"true"}
    assert colours(b"\x1b[38;5;31;7m") == {"256"}
    assert colours(b"\x1b[1;96m\x1b[48:5:3m") == {"16", "256"}
    assert colours(b"\x1b[0;1;7;39;49m") == set()


@pytest.mark.parametrize("kind", POOR)
def test_is_readable(spawn, kind):
    """Its words are there, in no character and no colour that the terminal lacks, none in the colour it stands on; it leaves well."""
    poor = POOR[kind]
    pty = spawn("--no-record", **poor.env)
    pty.wait_text(LIVE)
    _reads_well(pty, "SYSTEM", "memory", "TOP PROCESSES", "COMMAND", "quit")
    pty.send("6")
    pty.wait_text(r"(?m)^.PROCESSES")
    pty.send("j?")
    pty.wait_text("(?m)^.KEYS")
    _reads_well(pty)
    pty.send("\x1b")
    pty.wait_text(r"(?m)^.PROCESSES")  # an Esc that the next key came with would be no Esc
    pty.send("1")
    pty.wait_text("SYSTEM")
    code, _ = pty.leave()
    assert (code, pty.unrestored()) == (0, [])
    assert "Error" not in pty.text()
    assert colours(pty.raw) <= poor.colours
    if poor.colours:
        assert colours(pty.raw)
    if poor.ascii:
        assert {char for char in pty.raw.decode("utf-8", "replace") if not char.isascii()} == set()


def _reads_well(pty, *words):
    for word in words:
        pty.wait_text(word)
    screen = pty.screen()
    assert "\ufffd" not in screen
    assert "???" not in screen
    assert [cell for row in pty.cells() for cell in row if cell.data.strip() and cell.fg == cell.bg != "default"] == []
