"""The last minutes of something followed: charts, or sparklines where there is little room."""

from collections.abc import Callable, Sequence
from math import isnan
from typing import Any, Final, Generic, TypeVar

from perfconsole.core.state import State
from perfconsole.ui.line import Line
from perfconsole.ui.spark import Limits, put_spark, scale_top
from perfconsole.ui.subject import ENDED, Followed, Trend, Window
from perfconsole.ui.ticks import ticks
from perfconsole.ui.widgets import chart
from perfconsole.ui.widgets.header import clock
from perfconsole.ui.widgets.pane import Pane

S = TypeVar("S", bound=Followed[Any])

_DIMMED: Final[Limits] = ((-1.0, "stale"),)
"""A threshold that every value is over: the whole history in the colour of what is no longer so."""


class Measure(Generic[S]):
    """One measured value of something followed: its history, and how it is read.

    Args:
        label: What it is called.
        metric: Its series.
        least: The least top of its scale.
        value: Its newest value.
        text: A value in words, in at most five characters.
    """

    def __init__(
        self, label: str, metric: str, least: float, value: Callable[[S], float], text: Callable[[float], str], **labels: str
    ) -> None:
        self.label = label
        self.least = least
        self.value = value
        self.text = text
        self.trend = Trend(metric, **labels)

    def scale(self, state: State, *, per_core: bool) -> float:  # noqa: ARG002  none, unless a measure has one
        """By what its values are divided."""
        return 1.0

    def unit(self, scale: float) -> str:  # noqa: ARG002  none, unless a measure has one
        """What stands behind the newest value above a chart."""
        return ""

    def limits(self, state: State) -> Limits:  # noqa: ARG002  none, unless a measure has some
        """Thresholds that a chart shows."""
        return ()


class MeasuresPane(Pane):
    """What panes that draw measures have in common.

    Args:
        subject: What is followed.
        measures: What is drawn of it.
    """

    def __init__(self, subject: Followed[Any], *measures: Measure[Any], id: str | None = None) -> None:  # noqa: A002  Textual's word
        super().__init__(id=id)
        self._subject = subject
        self._measures = measures

    def _window(self, measure: Measure[Any], state: State, cells: int) -> Window:
        """Values as they are shown, over the window that is looked at."""
        found = measure.trend.values(self._subject, state, cells, self.console_app.window_s)
        scale = self._scale(measure, state)
        return found if scale == 1.0 else found._replace(values=[value / scale for value in found.values])

    def _scale(self, measure: Measure[Any], state: State) -> float:
        return measure.scale(state, per_core=self.console_app.per_core)

    def _now(self, measure: Measure[Any], state: State) -> str:
        return measure.text(measure.value(self._subject) / self._scale(measure, state))

    def _span(self, window_s: float, began: float) -> str:
        """What time is shown; of most things history begins when somebody looks."""
        return f"last {chart.ago(window_s)}" if isnan(began) else f"{self._subject.BEGAN} {clock(began)}"

    def _nothing(self) -> str:
        """What stands where there is no history yet, or none at all."""
        present = self._subject.live and not self.console_app.pump.past
        return f"collecting{self.look.glyphs.ellipsis}" if present else "no history at this moment"


class TrendsPane(MeasuresPane):
    """A sparkline a row, with its value and the top of its scale."""

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """As many rows as there is room for."""
        return [self._row(measure, state, width, first=i == 0) for i, measure in enumerate(self._measures[:height])]

    def _row(self, measure: Measure[Any], state: State, width: int, *, first: bool) -> Line:
        aside = 31 if width >= 76 and len(self._measures) > 2 else 9  # beside charts the time is told already
        cells = max(1, width - 8 - 8 - aside)
        values, window_s, began, _ = self._window(measure, state, cells)
        top = scale_top(values, measure.least)
        line = self.line().gap().put(measure.label, "dim", 7)
        if measure.trend.begun:
            put_spark(line, self.look, values, top, () if self._subject.live else _DIMMED)
        else:
            line.put(self._nothing(), "dim", cells)
        line.put(self._now(measure, state), "foreground" if self._subject.live else "stale", 8, right=True)
        scale = "" if all(map(isnan, values)) else f"of {measure.text(top).removesuffix('/s')}"
        line.gap().put(scale, "dim", max(7, len(scale)))
        return line.gap().put(self._span(window_s, began), "dim") if first and aside > 9 and measure.trend.begun else line


class MeasureChart(MeasuresPane):
    """One measure as a chart."""

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """A title with the value, and the chart."""
        (measure,) = self._measures
        count = chart.columns(width)
        values, window_s, began, end = self._window(measure, state, count)
        note = self._span(window_s, began) if measure.trend.begun else ""
        title = self.line("panel").gap().put(measure.label, "title").gap()
        title.put(self._now(measure, state), "foreground" if self._subject.live else "stale")
        title.put(measure.unit(self._scale(measure, state)), "dim")
        title.to(max(title.x + 1, width - len(note) - 1)).put(note, "dim")
        if not measure.trend.begun:
            return [title, self.line().gap(chart.AXIS).put(self._nothing(), "dim")]
        top = scale_top(values, measure.least)
        edge = "now" if self._subject.live and not self.console_app.pump.past else clock(self._edge(state))
        role = "chart" if self._subject.live else "stale_bar"
        told = ticks(state.events, self._subject.about, end, count // 2, window_s / max(count, 1), 2)
        plot = chart.Plot(values, top, measure.text, window_s, edge, measure.limits(state), role, ticks=told)
        return [title, *chart.chart_lines(self.look, width, height - 1, plot)]

    def _edge(self, state: State) -> float:
        return self._subject.ended_at if self._subject.status == ENDED else state.at
