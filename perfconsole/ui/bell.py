"""What makes a terminal call somebody: its bell, or a notification of the desktop by way of it (OSC 9, OSC 777). Pure.

The words are foreign text in a place where terminals obey: nothing but printable characters goes in. tmux passes on what is wrapped for
it (where ``allow-passthrough`` is on), and keeps the rest to itself.
"""

from math import inf
from typing import Final

from perfconsole.core.text import safe

KINDS: Final = ("bell", "osc9", "osc777")
DESKTOP: Final = "desktop"
"""What `perfconsole.ui.desktop` does, and no terminal."""

EVERY_S: Final = 10.0
"""At most one so often: a storm rings once."""

_LONGEST: Final = 160
_TITLE: Final = "perfconsole"
_BELL, _ESC = "\a", "\x1b"


def sequence(kind: str, text: str, *, tmux: bool = False) -> str:
    """What to write to the terminal.

    Args:
        kind: One of `KINDS`; of others the terminal is told nothing.
        text: The words; a bell has none.
        tmux: Whether tmux lies in between.

    Returns:
        Empty for any other kind.
    """
    if kind == "bell":
        return _BELL  # tmux has one of its own
    told = "".join(char for char in safe(text, _LONGEST) if char.isprintable())
    if kind == "osc9":
        # ConEmu takes what begins with a number and a semicolon for an order, such as a progress bar.
        out = f"{_ESC}]9;{' ' if told[:1].isdigit() else ''}{told}{_BELL}"
    elif kind == "osc777":
        out = f"{_ESC}]777;notify;{_TITLE};{told.replace(';', ',')}{_BELL}"
    else:
        return ""
    return f"{_ESC}Ptmux;{out.replace(_ESC, _ESC * 2)}{_ESC}\\" if tmux else out


class Bell:
    """Rings, but not without end."""

    def __init__(self) -> None:
        self._rung_at = -inf

    def may_ring(self, now: float) -> bool:
        """Whether it has been silent for long enough; from now on it has not.

        Args:
            now: Seconds of a clock that is never set.
        """
        if now - self._rung_at < EVERY_S:
            return False
        self._rung_at = now
        return True
