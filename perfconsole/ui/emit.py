"""What a changed screen sends to the terminal: exactly the changed spans, and of each style only what differs from the one before.

Textual sends a line from the widget's left edge up to the end of each changed span, and sets and resets both colours for every segment
(Textualize/textual#5625): 18 KB for the 60 values that change on a busy Operations screen, of which 2 KB are news.
"""

from typing import Final

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate
from textual.strip import SGR_STYLES

from perfconsole.ui.line import part

_RESET: Final = "\x1b[0m"


class Pen:
    """Knows which style the terminal is in, and how to get from there to another."""

    def __init__(self, colours: ColorSystem) -> None:
        self._colours = colours
        self._codes: dict[Style, tuple[frozenset[str], str, str]] = {}
        self._turns: dict[tuple[Style | None, Style], str] = {}
        self._now: Style | None = None

    def lift(self) -> None:
        """Begin anew: the terminal is in no style."""
        self._now = None

    def ink(self, style: Style) -> str:
        """The escape sequence that leads from the last style to this one; empty when it is the same."""
        turn = (self._now, style)
        sequence = self._turns.get(turn)
        if sequence is None:
            sequence = self._turns[turn] = self._turn(*turn)
        self._now = style
        return sequence

    def _turn(self, before: Style | None, after: Style) -> str:
        had, old_ink, old_ground = self._coded(before) if before else (frozenset(), "39", "49")
        has, ink, ground = self._coded(after)
        parts: list[str] = []
        if had - has:  # an attribute is only taken back together with everything else
            parts.append("0")
            had, old_ink, old_ground = frozenset(), "39", "49"
        parts += sorted(has - had)
        if ink != old_ink:
            parts.append(ink)
        if ground != old_ground:
            parts.append(ground)
        return f"\x1b[{';'.join(parts)}m" if parts else ""

    def _coded(self, style: Style) -> tuple[frozenset[str], str, str]:
        """Attributes, foreground and background of a style as SGR parameters."""
        codes = self._codes.get(style)
        if codes is None:
            on = style._attributes & style._set_attributes  # noqa: SLF001  Rich says it nowhere else in one number
            attributes = frozenset(sign for bit, sign in enumerate(SGR_STYLES) if on & (1 << bit))
            ink = style.color.downgrade(self._colours).get_ansi_codes() if style.color else ("39",)
            ground = style.bgcolor.downgrade(self._colours).get_ansi_codes(foreground=False) if style.bgcolor else ("49",)
            codes = self._codes[style] = (attributes, ";".join(ink), ";".join(ground))
        return codes


class Changes(ChopsUpdate):
    """Textual's partial update, sent as the changed spans and nothing else.

    Args:
        update: What Textual would send.
        pen: Kept from frame to frame, for what it has worked out.
    """

    def __init__(self, update: ChopsUpdate, pen: Pen) -> None:
        super().__init__(update.chops, update.spans, update.chop_ends)
        self._pen = pen

    def render_segments(self, console: Console) -> str:  # noqa: ARG002  the pen knows the colours
        """The bytes for the terminal."""
        out: list[str] = []
        pen = self._pen
        pen.lift()
        at_x = at_y = -1
        for y, x1, x2 in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                start, stop = max(x, x1), min(end, x2)
                if strip is None or start >= stop:
                    continue
                if (at_x, at_y) != (start, y):
                    out.append(f"\x1b[{start - at_x}C" if at_y == y and start > at_x else f"\x1b[{y + 1};{start + 1}H")
                for text, style in part(strip, start - x, stop - x):
                    out.append(pen.ink(style or Style.null()))
                    out.append(text)
                at_x, at_y = stop, y
        out.append(_RESET)
        return "".join(out)
