"""Building one line of the screen out of spans at fixed places, so that what did not change can be left alone."""

from collections.abc import Iterator
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from perfconsole.core.text import safe
from perfconsole.ui.look import Look

Spans = list[tuple[int, int]]

_NEAR: Final = 6
"""Unchanged cells between two changed spans that are painted along: a jump and a new style cost more bytes than they do."""


class Line:
    """A line under construction, filled from the left; every cell gets a style.

    Args:
        look: Styles and glyphs.
        width: Cells of the line.
        on: The ground it is drawn on: ``background``, ``panel`` or ``selection``.
    """

    __slots__ = ("_look", "_on", "_segments", "width", "x")

    def __init__(self, look: Look, width: int, on: str = "background") -> None:
        self._look = look
        self._on = on
        self._segments: list[Segment] = []
        self.width = width
        self.x = 0

    @property
    def left(self) -> int:
        """Cells that are still free."""
        return self.width - self.x

    def put(self, text: str, role: str = "foreground", width: int | None = None, *, right: bool = False) -> "Line":
        """Add a span of text; what does not fit is cut with an ellipsis.

        Args:
            text: One line of safe text.
            role: What it is, for its style.
            width: Cells it takes; as many as it needs when None.
            right: Right-aligned in those cells.
        """
        return self.styled(text, self._look.style(role, self._on), width, right=right)

    def styled(self, text: str, style: Style, width: int | None = None, *, right: bool = False) -> "Line":
        """Add a span of text in a given style; see `put`."""
        if not text.isprintable():  # collectors made it safe; a recording or a peer may be another's work, and ESC must stop here
            text = safe(text)
        text = self._look.text(text)
        cells = len(text) if text.isascii() else cell_len(text)
        room = min(self.left, cells if width is None else width)
        if room <= 0:
            return self
        if cells > room:
            text = set_cell_size(text, room - 1) + self._look.glyphs.ellipsis if room > 1 else set_cell_size(text, room)
        elif cells < room:
            text = " " * (room - cells) + text if right else text + " " * (room - cells)
        self._segments.append(Segment(text, style))
        self.x += room
        return self

    def gap(self, cells: int = 1) -> "Line":
        """Add empty cells."""
        return self.put("", width=cells)

    def to(self, x: int) -> "Line":
        """Fill with empty cells up to a column."""
        return self.gap(x - self.x) if x > self.x else self

    def strip(self) -> Strip:
        """The finished line, filled to its width."""
        self.to(self.width)
        return Strip(self._segments, self.width)


def placed(strip: Strip) -> Iterator[tuple[int, str, Style | None]]:
    """The spans of a strip with their columns."""
    x = 0
    for text, style, _ in strip:
        yield x, text, style
        x += len(text) if text.isascii() else cell_len(text)


def changed(old: Strip, new: Strip) -> Spans:
    """The columns (from, to) at which a line differs from what was there; near ones joined."""
    before = {(x, style, len(text)): text for x, text, style in placed(old)}
    spans: Spans = []
    for x, text, style in placed(new):
        was = before.get((x, style, len(text)))
        if was == text:
            continue
        if was is not None and text.isascii() and was.isascii():
            first = next(i for i in range(len(text)) if text[i] != was[i])
            last = next(i for i in range(len(text), 0, -1) if text[i - 1] != was[i - 1])
            start, end = x + first, x + last
        else:
            start, end = x, x + (len(text) if text.isascii() else cell_len(text))
        if spans and start - spans[-1][1] < _NEAR:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans
