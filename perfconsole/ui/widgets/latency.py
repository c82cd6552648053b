"""An endpoint's latency over time: its thresholds, what was given up as at least so long, failed checks on the time axis, gaps as gaps."""

from collections.abc import Sequence
from math import isnan, nan
from typing import Final

from perfconsole.core import units
from perfconsole.core.state import State
from perfconsole.ui import endpoints
from perfconsole.ui.endpoint import Columns, Endpoint, columns, within
from perfconsole.ui.line import Line
from perfconsole.ui.look import WORDS
from perfconsole.ui.spark import Limits, fitting_window, put_cells, scale_top
from perfconsole.ui.ticks import ticks
from perfconsole.ui.widgets import chart
from perfconsole.ui.widgets.header import clock
from perfconsole.ui.widgets.pane import Pane

_FLATTEST: Final = 6.0
"""A threshold that lies so many times higher than half of what was measured is told, not drawn: that would be a line at the bottom."""

_LEAST_S: Final = 0.001
"""The top of the scale at the least: a port is connected to in a tenth of that."""

_ABOVE: Final = 1.2
"""How far the scale goes beyond a threshold."""


def top_of(values: Sequence[float], limits: Limits) -> float:
    """The top of the scale: over what was measured, and over the thresholds that can be drawn without flattening that."""
    known = sorted(value for value in values if not isnan(value))
    usual = known[(len(known) - 1) // 2] if known else 0.0
    near = [limit * _ABOVE for limit, _ in limits if limit <= _FLATTEST * usual]
    return max(scale_top(known[-1:], _LEAST_S if known else endpoints.LEAST_S), *near, 0.0)


class LatencyChart(Pane):
    """The chart.

    Args:
        subject: The endpoint.
    """

    def __init__(self, subject: Endpoint) -> None:
        super().__init__(id="latency")
        self._subject = subject

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """A title, the area, what failed, and the times."""
        subject, app = self._subject, self.console_app
        limits = endpoints.limits(state, subject.row)
        began, interval_s = subject.held(state)
        if isnan(began):
            present = subject.live and not app.pump.past
            words = f"collecting{self.look.glyphs.ellipsis}" if present else "no history at this moment"
            return [self._title(limits, ""), self.line().gap(chart.AXIS).put(words, "dim")]
        window_s = fitting_window(state.at - began, app.window_s)
        count = chart.columns(width)
        width_s = max(window_s / max(count, 1), 1e-3)
        checks = subject.checks(state, state.at - window_s - 3 * interval_s)
        shown = columns(checks, state.at, count, width_s, interval_s)
        told = [check for check in within(checks, state.at - window_s) if not isnan(check.up)]
        failed = sum(check.up < 1 for check in told)
        counted = f"{failed} of {len(told)} failed  " if told else ""
        note = f"{counted}last {chart.ago(window_s)}"
        edge = clock(state.at) if app.pump.past or not subject.live else "now"
        role = "chart" if subject.live else "stale_bar"
        plot = chart.Plot(
            shown.values, top_of(shown.values, limits), units.latency, window_s, edge, limits, role, shown.rising,
            ticks=ticks(state.events, subject.about, state.at, count // 2, width_s, 2),
        )  # fmt: skip
        drawn = chart.chart_lines(self.look, width, height - 2, plot)
        return [self._title(limits, note), *drawn[:-1], self._marks(shown, count), *drawn[-1:]] if drawn else [self._title(limits, note)]

    def _title(self, limits: Limits, note: str) -> Line:
        """The newest latency, and its thresholds in words: they need not be on the scale."""
        subject = self._subject
        line = self.line("panel").gap().put("LATENCY", "title").gap()
        over = [severity for limit, severity in limits if subject.row.last_s > limit]
        newest = endpoints.last_text(subject.row)
        line.put(newest, "stale" if not subject.live else over[-1] if over else "foreground").gap()
        for severity in WORDS:
            mildest = min((limit for limit, found in limits if found == severity), default=nan)
            text = f" {self.look.glyph(severity)} over {units.latency(mildest)}"
            if not isnan(mildest) and line.left > len(text) + len(note) + 2:
                line.put(text, "dim")
        return line.to(max(line.x + 1, line.width - len(note) - 1)).put(note, "dim")

    def _marks(self, shown: Columns, count: int) -> Line:
        """The time axis, with a mark where a check failed."""
        line = self.line().put("failed" if shown.failed else "", "critical_bar" if shown.failed else "dim", chart.AXIS)
        glyphs = self.look.glyphs
        cells = [(glyphs.failed, "critical_bar") if {at, at + 1} & shown.failed else (glyphs.rule, "border") for at in range(0, count, 2)]
        put_cells(line, cells)
        return line
