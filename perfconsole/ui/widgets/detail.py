"""The upper part of a process's screen: who it is in words, and its last minutes as charts, or as sparklines where there is little room."""

from collections.abc import Callable, Iterator, Sequence
from math import isnan
from time import localtime, strftime
from typing import Final

from rich.cells import cell_len, chop_cells

from perfconsole.core import units
from perfconsole.core.state import State
from perfconsole.core.tables import ProcessTable
from perfconsole.ui.line import Line
from perfconsole.ui.spark import Limits, put_spark, scale_top
from perfconsole.ui.subject import ENDED, LATER, LIVE, STATES, UNSEEN, Subject, Trend
from perfconsole.ui.widgets import chart
from perfconsole.ui.widgets.header import clock
from perfconsole.ui.widgets.pane import Pane

_FACT, _LABEL = 26, 9
"""Cells of a fact, and of its label in it."""

_COMMAND_LINES: Final = 3
_CPU_LEAST, _BYTES_LEAST = 0.01, float(1 << 20)

_DIMMED: Final[Limits] = ((-1.0, "stale"),)
"""A threshold that every value is over: the whole history in the colour of what is no longer so."""


def day_and_time(at: float) -> str:
    """``24 Oct 09:12``, local time."""
    return units.UNKNOWN if isnan(at) else strftime("%d %b %H:%M", localtime(at))


def what_became(subject: Subject) -> str:
    """What is to be said of a process that is not there; empty while it is."""
    return {
        LIVE: "",
        ENDED: f"ended {clock(subject.ended_at)}",
        UNSEEN: "not among the processes known at this moment",
        LATER: "not yet started at this moment",
    }[subject.status]


class FactsPane(Pane):
    """Identity and condition in words, and the command line.

    Args:
        subject: The process.
    """

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self._subject = subject

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """The title, facts in a grid, and what is left for the command line."""
        subject = self._subject
        row, across = subject.row, max(1, width // _FACT)
        deep = max(1, min(-(-12 // across), height - 2))
        facts = list(self._facts(state))[: across * deep]
        lines = [self._title()]
        for start in range(0, len(facts), across):
            line = self.line().gap()
            for i, (label, value, role) in enumerate(facts[start : start + across]):
                line.to(1 + i * (width - 1) // across).put(label, "dim", _LABEL)
                line.put(value, role if subject.live else "stale", (width - 1) // across - _LABEL - 1)
            lines.append(line)
        command = row.command or (f"[{row.name}]  a kernel thread: it has no command line" if row.kernel else row.name)
        return lines + self._wrapped(command, min(_COMMAND_LINES, height - len(lines)))

    def _title(self) -> Line:
        row, gone = self._subject.row, what_became(self._subject)
        line = self.line("panel").gap().put(f"PROCESS {row.pid}", "title").gap(2).put(row.name, "accent")
        if gone:
            stale = self.look.glyph("stale")
            line.gap(2).put(f"{stale} {gone}", "stale")
            if self._subject.status == ENDED:
                line.put(", its last values are shown", "dim")
        return line

    def _facts(self, state: State) -> Iterator[tuple[str, str, str]]:
        """Label, value and role of each, the most telling ones first."""
        row = self._subject.row
        until = self._subject.ended_at if self._subject.status == ENDED else state.at
        table = state.table(ProcessTable)
        parent = next((other.name for other in table.rows if other.pid == row.ppid), "") if table else ""
        yield "state", STATES.get(row.state, row.state), "warning" if row.state in "DZ" else "foreground"
        yield "user", row.user or units.UNKNOWN, "foreground"
        yield "started", day_and_time(row.started), "foreground"
        yield "age", units.duration(max(0.0, until - row.started)), "foreground"
        yield "parent", f"{row.ppid} {parent}".strip() if row.ppid else "none", "foreground"
        yield "unit", row.unit or units.UNKNOWN, "foreground"
        yield "threads", str(row.threads), "foreground"
        yield "nice", str(row.nice), "foreground"
        yield "CPU time", units.duration(row.cpu_s), "foreground"
        yield "files", units.UNKNOWN if isnan(row.fds) else f"{units.count(row.fds)} open", "foreground"
        yield "memory", f"{units.size(row.memory_bytes)} resident", "foreground"
        yield "PSS", units.UNKNOWN if isnan(row.pss_bytes) else f"{units.size(row.pss_bytes)} its share", "foreground"

    def _wrapped(self, command: str, most: int) -> list[Line]:
        """The command line over at most so many lines; what does not fit ends in an ellipsis."""
        room = max(1, self.size.width - 2)
        role = "foreground" if self._subject.live else "stale"
        parts = [command] if cell_len(command) <= room else chop_cells(command, room)
        if len(parts) > most > 0:
            parts[most - 1] += parts[most]
        return [self.line().gap().put(part, role, room) for part in parts[: max(0, most)]]


class Measure:
    """One measured value of the process: its history, and how it is read.

    Args:
        label: What it is called.
        metric: Its series.
        least: The least top of its scale.
        value: The field of the row that has its newest value.
        text: A value in words.
    """

    def __init__(self, label: str, metric: str, least: float, value: str, text: Callable[[float], str], **labels: str) -> None:
        self.label = label
        self.least = least
        self._value = value
        self.text = text
        self.trend = Trend(metric, **labels)

    def value(self, subject: Subject) -> float:
        """The newest value."""
        value: float = getattr(subject.row, self._value)
        return value


def cpu_measure() -> Measure:
    """CPU use."""
    return Measure("CPU", "process.cpu.utilization", _CPU_LEAST, "cpu", _percent)


def memory_measure() -> Measure:
    """Resident memory."""
    return Measure("memory", "process.memory.usage", _BYTES_LEAST, "memory_bytes", units.size)


def disk_measures() -> list[Measure]:
    """Storage read and written."""
    return [
        Measure("read", "process.disk.io", _BYTES_LEAST, "read_bytes_s", units.rate, direction="read"),
        Measure("write", "process.disk.io", _BYTES_LEAST, "write_bytes_s", units.rate, direction="write"),
    ]


def _percent(ratio: float) -> str:
    return units.percent(ratio, 1 if ratio < 0.0995 else 0)


class MeasuresPane(Pane):
    """What panes that draw measures have in common.

    Args:
        subject: The process.
        measures: What is drawn.
    """

    def __init__(self, subject: Subject, *measures: Measure, id: str | None = None) -> None:  # noqa: A002  Textual's word
        super().__init__(id=id)
        self._subject = subject
        self._measures = measures

    def _scale(self, measure: Measure, state: State) -> float:
        """By what its values are divided: CPU is shown as a share of the machine, unless of a core is asked for."""
        cpus = state.value("system.cpu.logical.count")
        return cpus if measure.label == "CPU" and cpus > 1 and not self.console_app.per_core else 1.0

    def _window(self, measure: Measure, state: State, cells: int) -> tuple[list[float], float, float]:
        """Values as they are shown, seconds of the window, and when the history begins where that is inside."""
        values, window_s, began = measure.trend.values(self._subject, state, cells, self.console_app.window_s)
        scale = self._scale(measure, state)
        return values if scale == 1.0 else [value / scale for value in values], window_s, began

    def _now(self, measure: Measure, state: State) -> str:
        return measure.text(measure.value(self._subject) / self._scale(measure, state))

    def _span(self, window_s: float, began: float) -> str:
        """What time is shown. History begins when somebody looks: before that only the present is measured of each process."""
        return f"last {chart.ago(window_s)}" if isnan(began) else f"since opened {clock(began)}"

    def _nothing(self) -> str:
        """What stands where there is no history yet, or none at all."""
        present = self._subject.live and not self.console_app.pump.past
        return f"collecting{self.look.glyphs.ellipsis}" if present else "no history at this moment"


class TrendsPane(MeasuresPane):
    """A sparkline a row, with its value and the top of its scale."""

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """As many rows as there is room for."""
        return [self._row(measure, state, width, first=i == 0) for i, measure in enumerate(self._measures[:height])]

    def _row(self, measure: Measure, state: State, width: int, *, first: bool) -> Line:
        aside = 31 if width >= 76 and len(self._measures) > 2 else 9  # beside charts the time is told already
        cells = max(1, width - 8 - 8 - aside)
        values, window_s, began = self._window(measure, state, cells)
        top = scale_top(values, measure.least)
        line = self.line().gap().put(measure.label, "dim", 7)
        if measure.trend.begun:
            put_spark(line, self.look, values, top, () if self._subject.live else _DIMMED)
        else:
            line.put(self._nothing(), "dim", cells)
        line.put(self._now(measure, state), "foreground" if self._subject.live else "stale", 8, right=True)
        known = not all(map(isnan, values))
        line.gap().put(f"of {measure.text(top).removesuffix('/s')}" if known else "", "dim", 7)
        return line.gap().put(self._span(window_s, began), "dim") if first and aside > 9 and measure.trend.begun else line


class ProcessChart(MeasuresPane):
    """One measure as a chart."""

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """A title with the value, and the chart."""
        (measure,) = self._measures
        values, window_s, began = self._window(measure, state, chart.columns(width))
        note = self._span(window_s, began) if measure.trend.begun else ""
        title = self.line("panel").gap().put(measure.label, "title").gap()
        title.put(self._now(measure, state), "foreground" if self._subject.live else "stale").put(self._unit(measure, state), "dim")
        title.to(max(title.x + 1, width - len(note) - 1)).put(note, "dim")
        if not measure.trend.begun:
            return [title, self.line().gap(chart.AXIS).put(self._nothing(), "dim")]
        top = scale_top(values, measure.least)
        edge = "now" if self._subject.live and not self.console_app.pump.past else clock(self._edge(state))
        role = "chart" if self._subject.live else "stale_bar"
        plot = chart.Plot(values, top, measure.text, window_s, edge, self._limits(measure, state), role)
        return [title, *chart.chart_lines(self.look, width, height - 1, plot)]

    def _unit(self, measure: Measure, state: State) -> str:
        cpus = self._scale(measure, state)
        if measure.label != "CPU":
            return " resident"
        return " of one core" if cpus == 1.0 else f" of {cpus:.0f} cores"

    def _edge(self, state: State) -> float:
        return self._subject.ended_at if self._subject.status == ENDED else state.at

    def _limits(self, measure: Measure, state: State) -> Limits:
        """For memory, what may be used at most: a process that nears it is about to be killed."""
        if measure.label != "memory":
            return ()
        limit = state.value("system.memory.limit")
        return () if isnan(limit) else ((limit, "critical"),)
