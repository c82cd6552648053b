"""A chart of latencies, drawn by plotext. Pure: outcomes in, lines out. Imported when there is something to draw: it takes 40 ms."""

from collections.abc import Iterator, Sequence
from math import isnan
from typing import Final

import plotext

from perfconsole.core import units
from perfconsole.core.checks import Outcome
from perfconsole.outputs.paper import Paper

LEAST: Final = 3
"""Fewer are no picture."""

_ROWS: Final = 12
_AXES: Final = str.maketrans("│─┤├┬┴┼└┘┌┐", "|-++++++++-")


def chart(outcomes: Sequence[Outcome], paper: Paper) -> Iterator[str]:
    """Latencies from the first probe to the last, failures marked; nothing when there are fewer than `LEAST`, or no latency at all.

    What was given up stands at the top, since nobody knows how long it would have taken; a failure without a latency on the ground.
    What could not be measured is a gap.
    """
    told = [(number, outcome) for number, outcome in enumerate(outcomes, 1) if not outcome.unmeasured]
    top_s = _top_s([outcome for _, outcome in told])
    if len(told) < LEAST or not top_s:
        return
    failed = [(number, _height_s(outcome, top_s)) for number, outcome in told if not outcome.ok]
    mark = paper.char("×", "x")
    yield paper.ink("latency", "title") + (f"   {paper.ink(mark, 'critical')} failed" if failed else "")
    good = [(number, outcome.total_s) for number, outcome in told if outcome.ok]
    for line in _drawn(good, failed, top_s, len(outcomes), paper):
        yield line.replace(mark, paper.ink(mark, "critical"))


def _top_s(outcomes: Sequence[Outcome]) -> float:
    """The top of the scale: the longest that was measured to its end, else how long was waited."""
    known = [outcome for outcome in outcomes if not isnan(outcome.latency_s)]
    ended = [outcome.latency_s for outcome in known if not outcome.at_least]
    return max(ended or [outcome.latency_s for outcome in known], default=0.0)


def _height_s(failure: Outcome, top_s: float) -> float:
    if failure.at_least:
        return top_s
    return 0.0 if isnan(failure.latency_s) else failure.latency_s


Points = Sequence[tuple[int, float]]
"""Number of a probe, and seconds."""


def _drawn(good: Points, failed: Points, top_s: float, count: int, paper: Paper) -> list[str]:
    # plotext has one figure a process: whatever is in it goes first.
    plotext.clear_figure()
    plotext.limit_size(False, False)
    plotext.plot_size(paper.width, _ROWS)
    plotext.theme("clear")
    fine = "braille" if count > paper.width - 10 else "●"  # dots of which eight share a cell, once cells are too few
    for points, marker in ((good, paper.char(fine, "*")), (failed, paper.char("×", "x"))):
        if points:
            plotext.scatter([number for number, _ in points], [seconds for _, seconds in points], marker=marker)
    plotext.xlim(1, count)
    plotext.ylim(0, top_s)
    plotext.xaxes(True, False)
    plotext.yaxes(True, False)
    ticks = sorted({1, (count + 1) // 2, count})
    plotext.xticks(ticks, [str(tick) for tick in ticks])
    plotext.yticks([0, top_s / 2, top_s], ["0", units.latency(top_s / 2), units.latency(top_s)])
    drawn: str = plotext.uncolorize(plotext.build())
    plotext.clear_figure()
    return [line.rstrip() for line in (drawn.translate(_AXES) if paper.ascii else drawn).splitlines()]
