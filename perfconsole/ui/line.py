"""Building one line of the screen out of spans at fixed places, so that what did not change can be left alone."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from perfconsole.core.text import safe
from perfconsole.ui.look import Look

Spans = list[tuple[int, int]]

Parts = Sequence[tuple[str, int, str]]
"""A line to be drawn: text, cells (0: as many as it needs) and role of its parts."""

_NEAR: Final = 6
"""Unchanged cells between two changed spans that are painted along: a jump and a new style cost more bytes than they do."""

_ONE_CELL: Final = re.compile("[\x20-\u02ff\u2026\u2500-\u25fc\u25ff\u2800-\u28ff]*")
"""Latin letters, box and block drawing, braille: what is one cell wide on every terminal (U+25FD and U+25FE are two)."""


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
        if self._look.ascii:
            text = self._look.text(text)
        cells = _cells(text)
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
        room = min(cells, self.left)
        if room > 0:
            self._segments.append(Segment(" " * room, self._look.style("foreground", self._on)))
            self.x += room
        return self

    def to(self, x: int) -> "Line":
        """Fill with empty cells up to a column."""
        return self.gap(x - self.x) if x > self.x else self

    def strip(self, before: Strip | None = None) -> Strip:
        """The finished line, filled to its width; `before` itself, with all that is known of it, where it says the same."""
        self.to(self.width)
        same = before is not None and before.cell_length == self.width and list(before) == self._segments
        return before if before is not None and same else Strip(self._segments, self.width)


def placed(strip: Strip) -> Iterator[tuple[int, str, Style | None]]:
    """The spans of a strip with their columns."""
    x = 0
    for text, style, _ in strip:
        yield x, text, style
        x += _cells(text)


def part(strip: Strip, start: int, stop: int) -> list[tuple[str, Style | None]]:
    """The texts of a strip between two columns, with their styles. `Strip.crop` measures each text by Rich's table; see `_cells`."""
    out: list[tuple[str, Style | None]] = []
    x = 0
    for text, style, _ in strip:
        if x >= stop:
            break
        if not _even(text):
            return [(piece, ink) for piece, ink, _ in strip.crop(start, stop)]
        if piece := text[max(0, start - x) : stop - x]:
            out.append((piece, style))
        x += len(text)
    return out


def changed(old: Strip, new: Strip) -> Spans:
    """The columns (from, to) at which a line differs from what was there; near ones joined.

    Cell by cell where every character is one cell wide, for which a sparkline that moved on sends its edges and not itself. With wide
    characters in it, span by span.
    """
    if old is new:
        return []
    before, after = list(old), list(new)
    head = _alike(before, after)
    if head == len(before) == len(after):
        return []
    tail = _alike(before[head:][::-1], after[head:][::-1])
    was, now = before[head : len(before) - tail], after[head : len(after) - tail]
    texts = ["".join(text for text, _, _ in segments) for segments in (was, now)]
    if len(texts[0]) == len(texts[1]) and all(map(_even, texts)):
        return _joined(_different_cells(was, now, sum(_cells(text) for text, _, _ in before[:head])))
    return _joined(_different_spans(old, new))


def _alike(old: Iterable[Segment], new: Iterable[Segment]) -> int:
    """How many segments two lines begin with that are the same."""
    alike = 0
    for was, now in zip(old, new, strict=False):
        if was != now:
            break
        alike += 1
    return alike


def _different_cells(old: Sequence[Segment], new: Sequence[Segment], x: int) -> Iterator[tuple[int, int]]:
    """Where segments of as many characters of one cell differ: run by run, and character by character where only the text does.

    Args:
        old: What was there.
        new: What comes in its place.
        x: The column at which they begin.
    """
    at = 0
    before = iter(old)
    was, ink = "", None
    for text, style, _ in new:
        start = 0
        while start < len(text):
            if at == len(was):
                was, ink, _ = next(before)
                at = 0
                continue
            cells = min(len(text) - start, len(was) - at)
            if style is not ink and style != ink:
                yield x, x + cells
            elif text[start : start + cells] != was[at : at + cells]:
                yield from _different_characters(was[at : at + cells], text[start : start + cells], x)
            x, start, at = x + cells, start + cells, at + cells


def _different_characters(old: str, new: str, x: int) -> Iterator[tuple[int, int]]:
    """Where two texts of one length, which begin at a column, differ."""
    begun = -1
    for at, (was, now) in enumerate(zip(old, new, strict=True), x):
        if was == now:
            if begun >= 0:
                yield begun, at
                begun = -1
        elif begun < 0:
            begun = at
    if begun >= 0:
        yield begun, x + len(new)


def _even(text: str) -> bool:
    """Whether every character certainly takes one cell."""
    return text.isascii() or _ONE_CELL.fullmatch(text) is not None


def _cells(text: str) -> int:
    """The cells that a text takes. Rich's table of widths (0.1 MiB) is loaded by the first text that needs it."""
    return len(text) if _even(text) else cell_len(text)


def _different_spans(old: Strip, new: Strip) -> Iterator[tuple[int, int]]:
    before = set(placed(old))
    for x, text, style in placed(new):
        if (x, text, style) not in before:
            yield x, x + _cells(text)


def _joined(spans: Iterable[tuple[int, int]]) -> Spans:
    out: Spans = []
    for start, end in spans:
        if out and start - out[-1][1] < _NEAR:
            out[-1] = (out[-1][0], end)
        else:
            out.append((start, end))
    return out
