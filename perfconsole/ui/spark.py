"""Sparklines: one cell a bucket of time, aligned to the clock, so that only the newest cell changes between two paints."""

from collections.abc import Sequence
from math import isnan, nan
from typing import Final

from perfconsole.core.series import GAP, buckets
from perfconsole.core.state import Series
from perfconsole.ui.line import Line
from perfconsole.ui.look import Look

Limits = tuple[tuple[float, str], ...]
"""Thresholds, mildest first: (value above which, severity)."""

_STEPS: Final = (1.0, 2.0, 5.0)


class Track:
    """The buckets of one series over a moving window; what is over is computed once.

    Args:
        cells: Number of buckets.
        window_s: Seconds they cover together.
    """

    __slots__ = ("_first", "_values", "cells", "width_s")

    def __init__(self, cells: int, window_s: float) -> None:
        self.cells = cells
        self.width_s = max(window_s / max(cells, 1), 1e-3)
        self._first = 0
        self._values: list[float] = []

    def values(self, series: Series, now: float) -> list[float]:
        """One value a bucket, the last one containing `now`; NaN where nothing is known."""
        if isnan(now) or self.cells < 1:
            return [nan] * self.cells
        first = int(now // self.width_s) - self.cells + 1
        shift = first - self._first
        # The newest bucket of last time was unfinished, and a rate may reach back by one sample: two are always made again.
        keep = self._values[shift:-2] if 0 <= shift < self.cells - 2 and len(self._values) == self.cells else []
        start = first + len(keep)
        times, values = series.points((start - 1) * self.width_s)
        self._values = keep + buckets(times, values, start, self.cells - len(keep), self.width_s)
        self._first = first
        return _held(self._values, int((GAP + 0.5) * series.ring.interval_s / self.width_s))


def _held(values: list[float], longest: int) -> list[float]:
    """Values that stand in buckets in which no reading was due yet: a gap is only what is longer."""
    out: list[float] = []
    missing = 0
    for value in values:
        missing = missing + 1 if isnan(value) else 0
        out.append(out[-1] if 0 < missing <= longest and out else value)
    return out


def put_spark(line: Line, look: Look, values: Sequence[float], top: float, limits: Limits = ()) -> None:
    """Draw values as bars, from 0 to `top`; cells over a limit in its severity.

    A gap is drawn as one; what lies before the first value is nothing that was missed, and stays empty. The newest cell is a span of its
    own: it is the one that changes.
    """
    bars = look.glyphs.bars
    cells: list[tuple[str, str]] = []
    begun = False
    for value in values:
        if isnan(value):
            cells.append((look.glyphs.gap if begun else " ", "border"))
            continue
        begun = True
        role = "chart"
        for limit, severity in limits:
            if value > limit:
                role = f"{severity}_bar"
        index = int(value / top * len(bars)) if top > 0 else 0
        cells.append((bars[max(0, min(index, len(bars) - 1))], role))
    start = 0
    for i in range(1, len(cells) + 1):
        if i == len(cells) or i == len(cells) - 1 or cells[i][1] != cells[start][1]:
            line.put("".join(char for char, _ in cells[start:i]), cells[start][1])
            start = i


def scale_top(values: Sequence[float], least: float) -> float:
    """The top of a scale for values without a natural one: the next of 1, 2, 5 x 10^n over the highest, so that it seldom moves."""
    highest = max((value for value in values if not isnan(value)), default=0.0)
    top = least
    while top < highest:
        for step in _STEPS:
            if top * step >= highest:
                return top * step
        top *= 10
    return top


def bar(look: Look, ratio: float, cells: int) -> str:
    """A horizontal bar of a ratio; any amount at all shows at least a sliver."""
    if isnan(ratio) or ratio <= 0:
        return ""
    full = min(1.0, ratio) * cells
    if look.ascii:
        return "=" * max(1, round(full))
    eighths: int = max(1, round(full * 8))
    whole, rest = divmod(eighths, 8)
    return "█" * whole + " ▏▎▍▌▋▊▉"[rest].strip()
