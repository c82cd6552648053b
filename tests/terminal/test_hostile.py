"""Text that means harm, in every place where foreign text is shown: nothing of it is obeyed by the terminal, and nothing falls over."""

import re
import sys
from pathlib import Path

import pytest
from staged import HARM

pytestmark = pytest.mark.slow

STAGED = (sys.executable, str(Path(__file__).with_name("staged.py")))
ALLOWED = re.compile(
    r"\x1b\[[0-9;]*m"  # styles
    r"|\x1b\[[0-9]+(?:;[0-9]+)?[HABCDG]"  # the cursor
    r"|\x1b\[\?(?:7|25|1000|1002|1003|1004|1006|1015|1016|1049|2004|2026|2048)[hl]"  # the modes Textual and the first frame set
    r"|\x1b\[\?(?:2026|2048)\$p|\x1b\[>[0-9]+u|\x1b\[<u"  # its questions, and the keyboard protocol
    r"|\x1b\]22;[a-z]+\x07"  # the shape of the mouse's pointer
    r"|[\r\n]"
)
FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

KEYS = (
    *("jjk", "e", "e", "\t", "e", "jj", "e", "\t", "\r", "jjjj", "\t", "e", "\x1b"),  # Operations, a process
    *("1", "\t", "\t", "\t", "e", "jjj", "e", "\r", "\t", "\t", "\t", "jjj", "\t", "\t", "\x1b"),  # endpoints on Operations, one of them
    *("5", "jjj", "b", "s", "r", "c", "\r", "jj", "\t", "c", "\x1b", "/", "a", "\x1b", "\x1b"),  # Endpoints
    *("6", "jj", "t", "jj", "t", "p", "u", "\x1b", "s", "s", "r", "/", "a", "\x1b", "\r", "jjj", "\x1b"),  # Processes
    *(
        "U",
        "jj",
        "t",
        "s",
        "r",
        "/",
        "a",
        "\x1b",
        "\x1b",
        "j",
        "\r",
        "\t",
        "jj",
        "\t",
        "\t",
        "\r",
        "\x1b",
        "\x1b",
        "U",
    ),  # Units, one of them
    *("8", "jjj", "/", "a", "\x1b", "\x1b", ".", ".", "n", "N"),  # Changes
    *("1", "m", "x", "\r", "i", "y", "\r", "d", "jjj", "\t", "jj", "\t", "\t", "\x1b", "6"),  # a mark, a note, the machine in detail
    *(
        "x",
        "j",
        "\x1b",
        "x",
        "\r",
        "\r",
        "\x1b",
        "w",
        "\x1b",
        ":",
        "sig",
        "\x1b",
        "?",
        "\x1b",
        " ",
        "6",
        "1",
        " ",
        "T",
        "T",
        "1",
    ),  # dialogs, themes
)


PAUSE_S = {"\x1b": 0.45, "\r": 0.3}
"""Esc would be taken for the beginning of the next key; and what is closing takes keys as long as it is there."""

NEW = ("UNIT", "CHANGES", "mark: ", "note: ", "Access")


def toggled(pty, key, pattern):
    """Press a key that turns something on and off until that is seen: what is closing still takes keys, and who knows how it stands."""
    for _ in range(5):
        before = len(pty.raw)
        pty.send(key)
        if pty.until(lambda: re.search(pattern, pty.text(before)), 2.0):  # noqa: B023  asked at once
            return
    raise AssertionError(f"{key!r} brought no {pattern}:\n{pty.text()[-3000:]}")


def leaked(pty):
    """What of the stream is neither text nor allowed, with what stands around it."""
    rest = ALLOWED.sub("\u0001", pty.raw.decode("utf-8", "surrogateescape")).replace("\u0001", "")
    return [rest[max(0, found.start() - 20) : found.end() + 20] for found in FORBIDDEN.finditer(rest)]


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (160, 48)], ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("kind", ["hostile", "raw"])
def test_nothing_of_it_reaches_the_terminal(spawn, kind, size):
    """Through every screen, pane, dialog and prompt, ten thousand texts; `raw`: as if neither collector nor recording had cleaned them."""
    pty = spawn(kind, program=STAGED, size=size)
    pty.wait_stream("SYSTEM")
    for keys in KEYS:
        pty.send(keys)
        pty.read(PAUSE_S.get(keys, 0.12))
        assert pty.process.poll() is None, f"ended after {keys!r}:\n{pty.text()[-3000:]}"
    pty.read(0.5)
    toggled(pty, "?", "KEYS")
    toggled(pty, "?", "PROCESSES")
    toggled(pty, " ", "FROZ|ROZE|OZEN")  # a letter that stood there already is not painted again
    code, _ = pty.leave("\x03")
    for seen in ("SYSTEM", "HTTP", "ENDPOINTS", "ENDPOINT ", "PROCESSES", "PROCESS ", "KILL", "nice", *NEW):  # it went there
        assert seen in pty.text(), seen
    assert leaked(pty) == []
    assert [bytes(pty.raw).count(mode) for mode in (b"\x1b[?1049l", b"\x1b[?1003h")] == [1, 2]  # what the console itself says
    assert "Traceback" not in pty.text(), pty.text()[-3000:]
    assert (code, pty.unrestored()) == (0, [])


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"LC_ALL": "C"}, {"TERM": "linux", "COLORTERM": None}], ids=["NO_COLOR", "C", "linux"])
def test_nor_where_the_terminal_can_do_less(spawn, env):
    pty = spawn("raw", program=STAGED, **env)
    pty.wait_stream("SYSTEM")
    for keys in ("e", "e", "\r", "\x1b", "6", "t", "/", "x", "\x1b", "?", "\x1b", "x", "\x1b"):
        pty.send(keys)
        pty.read(0.12)
    code, _ = pty.leave("\x03")
    assert (code, leaked(pty), pty.unrestored()) == (0, [], [])


@pytest.mark.parametrize("harm", [harm for harm in HARM if FORBIDDEN.search(harm) and harm.isascii()], ids=repr)
def test_the_list_finds_what_it_is_meant_to_find(spawn, harm):
    """Each would be seen if it got through, but for the modes that the console itself sets: those are counted."""
    pty = spawn("-c", "pass", program=(sys.executable,))
    pty.raw[:] = f"\x1b[1;1H\x1b[38;2;1;2;3m{harm}\x1b[0m".encode()
    assert leaked(pty) or ALLOWED.fullmatch(harm)
