"""Sparklines: one cell a bucket of time, aligned to the clock, so that only the newest cell changes between two paints."""

from collections.abc import Sequence
from itertools import groupby
from math import fsum, isnan, nan
from operator import itemgetter
from typing import Final

from perfconsole.core.series import GAP, buckets
from perfconsole.core.state import Series
from perfconsole.ui.line import Line
from perfconsole.ui.look import Look

Limits = tuple[tuple[float, str], ...]
"""Thresholds, mildest first: (value above which, severity)."""

_STEPS: Final = (1.0, 2.0, 5.0)
SHORTEST_S: Final = 120.0


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
        return bridged(
            self._values, self.width_s, series.ring.interval_s, begun=begun(series.ring.last, now, self.width_s, series.ring.interval_s)
        )


def begun(last: float, now: float, width_s: float, interval_s: float) -> bool:
    """Whether the bucket that contains `now` has no sample yet only because it has just begun: the last one, at `last`, is no gap ago."""
    return last < now // width_s * width_s and now - last <= GAP * interval_s


def bridged(values: Sequence[float], width_s: float, interval_s: float, *, begun: bool = False) -> list[float]:
    """Buckets with the holes filled in which no sample was due: only what is longer is a gap.

    A value measured over an interval stands for all of it, so that the later neighbour fills a hole; the newest buckets, whose sample is
    still to come, keep the value before.

    Args:
        values: One a bucket; NaN where no sample fell into it.
        width_s: Seconds a bucket covers.
        interval_s: Seconds between samples.
        begun: The newest bucket has only just begun, see `begun`.
    """
    out = list(values)
    if not any(map(isnan, out)):
        return out
    longest = int((GAP + 0.5) * interval_s / width_s)
    last = -1
    for i, value in enumerate(values):
        if isnan(value):
            continue
        if last >= 0 and 1 < i - last <= longest:
            out[last + 1 : i] = [value] * (i - last - 1)
        last = i
    if last >= 0 and len(out) - 1 - last <= max(longest, int(begun)):
        out[last + 1 :] = [out[last]] * (len(out) - 1 - last)
    return out


def fitting_window(held_s: float, longest_s: float) -> float:
    """The window that shows so many seconds: two minutes, doubled as they pass. A history that has just begun is not a dot at the edge."""
    window_s = SHORTEST_S
    while window_s < held_s:
        window_s *= 2
    return min(window_s, longest_s)


def put_spark(line: Line, look: Look, values: Sequence[float], top: float, limits: Limits = (), floors: Limits = ()) -> None:
    """Draw values as bars, from 0 to `top`; cells over a limit, or under a floor, in its severity, and nothing at all as a failure.

    A gap is drawn as one; what lies before the first value is nothing that was missed, and stays empty.
    """
    known = [value for value in values if not isnan(value)]
    begun = len(values) - len(known)
    ordinary = known and top > 0 and min(known) >= 0 and not floors and not any(max(known) > limit for limit, _ in limits)
    if ordinary and not isnan(fsum(values[begun:])):  # all in one role, and no gap: most are, and take a third of the time
        _put_bars(line.put(" " * begun, "border"), look.glyphs.bars, known, top)
        return
    bars, gap = look.glyphs.bars, (" ", "border")
    steps, highest = len(bars), bars[-1]
    cells: list[tuple[str, str]] = []
    for value in values:
        if isnan(value):
            cells.append(gap)
            continue
        gap = (look.glyphs.gap, "border")
        role = "chart"
        for limit, severity in limits:
            if value > limit:
                role = f"{severity}_bar"
        for floor, severity in floors:
            if value < floor:
                role = f"{severity}_bar"
        index = int(value / top * steps) if top > 0 and value > 0 else 0
        failed = floors and value <= 0
        cells.append((look.glyphs.failed if failed else bars[index] if index < steps else highest, role))
    put_cells(line, cells)


def _put_bars(line: Line, bars: str, values: Sequence[float], top: float) -> None:
    """Bars of values that are known, not negative, and within their limits."""
    highest = len(bars) - 1
    text = "".join([bars[min(int(value / top * len(bars)), highest)] for value in values])
    line.put(text[:-1], "chart").put(text[-1:], "chart")


def put_cells(line: Line, cells: Sequence[tuple[str, str]]) -> None:
    """Draw characters with their roles, run by run. The newest cell is a span of its own: it is the one that changes."""
    for role, run in groupby(cells[:-1], itemgetter(1)):
        line.put("".join(map(itemgetter(0), run)), role)
    for char, role in cells[-1:]:
        line.put(char, role)


def drawn(look: Look, values: Sequence[float], top: float) -> str:
    """As `put_spark` draws them, without limits: one text in one style."""
    bars = look.glyphs.bars
    first = next((i for i, value in enumerate(values) if not isnan(value)), len(values))
    cells = [
        look.glyphs.gap if isnan(value) else bars[max(0, min(int(value / top * len(bars)), len(bars) - 1))] for value in values[first:]
    ]
    return " " * first + "".join(cells)


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
