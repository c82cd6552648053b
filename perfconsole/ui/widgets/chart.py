"""Charts: an area over time in braille dots (2 x 4 a cell), with its scale, its thresholds and its gaps. Pure.

Columns are buckets aligned to the clock (`ui.spark.Track`), so that between two paints only the newest cell of each row changes; it is a
span of its own. Colour is by row: what rises above a threshold is drawn in its severity, and a row is one run of one style.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from operator import add
from typing import Final, NamedTuple

from perfconsole.core import units
from perfconsole.ui.line import Line
from perfconsole.ui.look import Look
from perfconsole.ui.spark import Limits
from perfconsole.ui.ticks import Label, Ticks, put_axis, spread

AXIS: Final = 6
"""Cells of the scale at the left: five for a number, one for the axis itself."""

_DOTS: Final = 4
_LEFT: Final = (0x00, 0x40, 0x44, 0x46, 0x47)
_RIGHT: Final = (0x00, 0x80, 0xA0, 0xB0, 0xB8)
"""Braille bits (Unicode, block 2800) of a dot column filled from below, by number of dots."""

_LEVELS: Final = ("⣀", "⠤", "⠒", "⠉")
"""A line at each dot row of a cell, from below."""

_BLANK: Final = " "
_CELLS: Final = tuple(chr(0x2800 + left + right) if left + right else _BLANK for left in _LEFT for right in _RIGHT)
_ASCII_CELLS: Final = tuple(" .::#"[max(left, right)] for left in range(5) for right in range(5))
"""By 5 * dots at the left + dots at the right."""

_RUNS: Final = re.compile(r" +|[^ ]+")

_PARTS: Final = (4, 3, 5, 2)
"""Into how many parts the time is divided, the best number first; those whose labels are not round are passed over."""

_MOST_ROWS: Final = 63
"""Heights in dots are bytes."""


class Plot(NamedTuple):
    """What a chart shows.

    Attributes:
        values: One a dot column, oldest first, two to a cell (see `columns`); NaN is a gap.
        top: The value at the upper end of the scale; above 0.
        text: A value as it is written at the scale, in at most five characters.
        window_s: Seconds from the left end to the right.
        edge: What is at the right end: ``now``, or a time of day.
        limits: Thresholds, mildest first.
        role: What it is drawn with.
        floors: Thresholds that values are to stay above, mildest first: drawn as lines, and nothing has their colour.
        rising: Places in `values` of those that are at least what they say: an arrow tops them.
        ticks: What changed meanwhile, by cell: stands at the time axis.
    """

    values: Sequence[float]
    top: float
    text: Callable[[float], str]
    window_s: float
    edge: str = "now"
    limits: Limits = ()
    role: str = "chart"
    rising: frozenset[int] = frozenset()
    floors: Limits = ()
    ticks: Ticks = ()


def columns(width: int) -> int:
    """How many values a chart of so many cells takes."""
    return 2 * max(0, width - AXIS)


def chart_lines(look: Look, width: int, height: int, plot: Plot) -> list[Line]:
    """The lines of a chart: the area with its scale at the left, and below it the times.

    Args:
        look: Styles and glyphs.
        width: Cells; below `AXIS` + 2 nothing is drawn.
        height: Lines, the one with the times included.
        plot: What is shown; too few values leave room at the left.
    """
    rows, cells = min(height - 1, _MOST_ROWS), width - AXIS
    if rows < 1 or cells < 2:
        return []
    dots = _heights(plot, rows * _DOTS, 2 * cells)
    marks = {rows - 1: plot.top, rows // 2: plot.top * (rows // 2) / rows} if rows > 3 else {rows - 1: plot.top}
    lines = []
    for row in range(rows - 1, -1, -1):
        line = Line(look, width).put(plot.text(marks[row]) if row in marks else "" if row else "0", "dim", AXIS - 1, right=True)
        line.put(look.glyphs.side, "border")
        runs = _row(look, plot, dots, row, rows)
        for text, role in _topped(look, runs, _peaks(plot, dots, row)) if plot.rising else runs:
            line.put(text, role)
        lines.append(line)
    lines.append(_times(look, width, plot))
    return lines


def _heights(plot: Plot, dots: int, count: int) -> bytes:
    """Dots a column is high, at least one where something is known; 0 is a gap."""
    scale = dots / plot.top
    heights = bytes([0 if value != value else max(1, min(dots, round(value * scale))) for value in plot.values[-count:]])  # noqa: PLR0124  NaN
    return bytes(count - len(heights)) + heights


@cache
def _within(base: int, weight: int) -> bytes:
    """A table from heights to the dots of them that lie in the row from `base` on, times `weight`."""
    return bytes(max(0, min(_DOTS, high - base)) * weight for high in range(256))


def _row(look: Look, plot: Plot, dots: bytes, row: int, rows: int) -> Iterator[tuple[str, str]]:
    """The runs of one row: a text and its role each. The newest cell is a run of its own."""
    cells = _ASCII_CELLS if look.ascii else _CELLS
    # A whole row at a time, in C: with a loop over its cells a chart takes twice as long.
    codes = map(add, dots[::2].translate(_within(row * _DOTS, 5)), dots[1::2].translate(_within(row * _DOTS, 1)))
    text = "".join(map(cells.__getitem__, codes))
    role, last = _role(plot, row, rows), len(text) - 1
    under, under_role = _under(look, plot, row, rows, len(text))
    for start, end in ((0, last), (last, last + 1)):
        if not under:
            yield text[start:end], role
            continue
        for found in _RUNS.finditer(text, start, end):
            yield (under[found.start() : found.end()], under_role) if found[0][0] == _BLANK else (found[0], role)


def _peaks(plot: Plot, dots: bytes, row: int) -> frozenset[int]:
    """The cells of a row in which a rising value ends."""
    columns = (at + len(dots) - len(plot.values) for at in plot.rising)
    return frozenset(at // 2 for at in columns if 0 <= at < len(dots) and dots[at] and (dots[at] - 1) // _DOTS == row)


def _topped(look: Look, runs: Iterator[tuple[str, str]], peaks: frozenset[int]) -> Iterator[tuple[str, str]]:
    """The runs of a row with an arrow in the cells of peaks."""
    x = 0
    for text, role in runs:
        start = 0
        for at in sorted(peak - x for peak in peaks if x <= peak < x + len(text)):
            if at > start:
                yield text[start:at], role
            yield look.glyphs.up, "critical_bar"
            start = at + 1
        if start < len(text):
            yield text[start:], role
        x += len(text)


def _role(plot: Plot, row: int, rows: int) -> str:
    """What a row is drawn with: the severity of the highest threshold that lies below it."""
    floor = plot.top * row / rows
    return next((f"{severity}_bar" for limit, severity in reversed(plot.limits) if floor >= limit), plot.role)


def _under(look: Look, plot: Plot, row: int, rows: int, cells: int) -> tuple[str, str]:
    """What shows where the area leaves a row bare, and its role: the dashes of a threshold, the gaps in the lowest row, else nothing."""
    for limit, severity in reversed(plot.limits + plot.floors):
        at = min(int(limit / plot.top * rows * _DOTS), rows * _DOTS - 1)
        if 0 <= limit <= plot.top and at // _DOTS == row:
            dash = "-" if look.ascii else _LEVELS[at % _DOTS]
            return (dash + _BLANK) * cells, f"{severity}_bar"
    return ("" if row else look.glyphs.gap * cells), "border"


def _times(look: Look, width: int, plot: Plot) -> Line:
    """How long ago, at fixed places: labels that moved along would be painted anew with every column. Only ticks make them step aside."""
    line = Line(look, width).gap(AXIS)
    labels = _labels(width, plot)
    marks = [(at + AXIS, event) for at, event in plot.ticks if 0 <= at < width - AXIS]
    return put_axis(line, look, marks, spread(labels, {at for at, _ in marks}, AXIS, width))


def _labels(width: int, plot: Plot) -> list[Label]:
    """What stands at the time axis; the right end first, which is the last to be left out."""
    room = width - AXIS - len(plot.edge)
    parts = next((parts for parts in _PARTS if _round(plot.window_s / parts) and room >= 12 * parts), 1)
    labels = [Label(width - len(plot.edge), plot.edge)]
    for part in range(parts):
        label = Label(AXIS + (width - AXIS) * part // parts, f"-{ago(plot.window_s * (parts - part) / parts)}")
        if label.at + len(label.text) < width - len(plot.edge):
            labels.append(label)
    return labels


def _round(seconds: float) -> bool:
    return seconds % 60 == 0 or seconds in {15.0, 30.0}


def ago(seconds: float) -> str:
    """``15m``, ``3m45s``: a duration without a part that is nothing."""
    text = units.duration(seconds)
    return text.removesuffix("00s") if text.endswith("m00s") else text.removesuffix("00m") if text.endswith("h00m") else text
