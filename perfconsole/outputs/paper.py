"""What text is printed on: how wide, in which characters, with or without colour. Pure.

Colours are the terminal's own sixteen: a theme is for screens, and what is printed stays in a scrollback of any ground.
"""

from textwrap import wrap
from typing import Final, NamedTuple

WORDS: Final = {"ok": "OK", "warning": "WARN", "critical": "CRIT", "unknown": "UNKNOWN", "info": "INFO"}
_GLYPHS: Final = {"ok": "●", "warning": "▲", "critical": "■", "unknown": "?", "info": "●"}
_ASCII_GLYPHS: Final = {"ok": ".", "warning": "!", "critical": "X", "unknown": "?", "info": "."}
_INKS: Final = {"ok": "32", "warning": "1;33", "critical": "1;31", "unknown": "1;35", "info": "36", "title": "1", "dim": "2", "bar": "36"}
_LEAST: Final = 12


class Paper(NamedTuple):
    """What is printed on.

    Attributes:
        width: Columns.
        ascii: Nothing but ASCII may be printed.
        coloured: Escape sequences for colours may be.
    """

    width: int = 80
    ascii: bool = False
    coloured: bool = False

    def ink(self, text: str, role: str) -> str:
        """Text in the colour of a severity, or of a ``title``, what is ``dim``, a ``bar``."""
        return f"\x1b[{_INKS[role]}m{text}\x1b[0m" if self.coloured and text.strip() else text

    def glyph(self, severity: str) -> str:
        """The sign of a severity."""
        return (_ASCII_GLYPHS if self.ascii else _GLYPHS)[severity]

    def char(self, unicode: str, ascii_: str) -> str:
        """Whichever of two characters can be printed."""
        return ascii_ if self.ascii else unicode

    def wrapped(self, text: str, indent: int) -> list[str]:
        """Words over as many lines as they take beside an indent; what is longer than a line is broken, and nothing left out."""
        return wrap(text, max(_LEAST, self.width - indent), break_on_hyphens=False) or [""]

    def chopped(self, text: str, indent: int) -> list[str]:
        """Lines of a foreign text over as many as they take: none is laid out anew, no blank is lost."""
        cells = max(_LEAST, self.width - indent)
        return [line[at : at + cells] for line in text.splitlines() for at in range(0, max(1, len(line)), cells)]

    def cut(self, text: str, columns: int) -> str:
        """Text in so many columns at most; a cut is marked."""
        return text if len(text) <= columns else text[: max(0, columns - 1)] + self.char("…", "~")

    def printable(self, text: str) -> str:
        """Text that may be printed on it: where only ASCII may, other characters become ``?``."""
        return text.replace("…", "~").encode("ascii", "replace").decode() if self.ascii else text
