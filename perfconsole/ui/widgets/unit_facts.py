"""The upper part of a unit's screen: its state, its numbers against its limits, and their history."""

from collections.abc import Iterator, Sequence
from math import isnan
from typing import Final

from rich.cells import cell_len

from perfconsole.core import units
from perfconsole.core.state import State
from perfconsole.core.unit_rows import UnitRow, UnitTable
from perfconsole.ui.columns import cpu_text
from perfconsole.ui.line import Line
from perfconsole.ui.spark import Limits
from perfconsole.ui.subject import ENDED, UNSEEN
from perfconsole.ui.unit_rows import NEAR_LIMIT, THROTTLED, Unit, limit_text, outdated, quota_text, severities, state_role, trouble
from perfconsole.ui.widgets import chart
from perfconsole.ui.widgets.detail import day_and_time
from perfconsole.ui.widgets.facts import FactsGrid, Told
from perfconsole.ui.widgets.header import clock
from perfconsole.ui.widgets.measures import Measure, MeasureChart, TrendsPane

_LEAST: Final = 0.01
_NAME_LEAST, _STATE = 16, 32
"""Cells of its name, however long it is, that are left to it beside its state; and those of the latter: with a reason, and since when."""
_DAY_S: Final = 86_400.0
_SHORT, _SHORT_LINES = 20, 3
"""Lines of numbers on a screen of fewer rows."""


def what_became(subject: Unit) -> str:
    """What is to be said of a unit that is not there; empty while it is."""
    if subject.status == ENDED:
        return f"gone {clock(subject.ended_at)}, its last values are shown"
    return "not among the busiest now, its last values are shown" if subject.status == UNSEEN else ""


class UnitFacts(FactsGrid[Unit]):
    """Name and state, and its numbers now; as high as they take."""

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """The title, what is wrong with the numbers, and the grid."""
        table = state.table(UnitTable)
        told = [self.line().gap().put(text, "warning") for text in (trouble(state, table)[:1] if table else ())]
        facts = list(self._facts())
        deep = self.deep(len(facts), width)
        wanted = 1 + len(told) + (min(_SHORT_LINES, deep) if self.screen.size.height < _SHORT else deep)
        if self.size.height != wanted:
            self.styles.height = wanted
        return [self._title(state), *told, *self.grid(facts, width, height - 1 - len(told))]

    @property
    def faded(self) -> bool:
        """Whether these numbers were."""
        state = self.console_app.state
        table = state.table(UnitTable)
        return super().faded or table is None or outdated(state, table)

    def _title(self, state: State) -> Line:
        row, gone = self._subject.row, what_became(self._subject)
        line = self.line("panel").gap().put(row.kind.upper(), "title").gap()
        line.put(row.name, "accent", min(cell_len(row.name), max(_NAME_LEAST, line.left - _STATE))).gap(2)
        if gone:
            return line.put(f"{self.look.glyph('stale')} {gone}", "stale")
        sign = f"{self.look.glyph('critical')} " if row.state == "failed" else ""
        line.put(f"{sign}{row.state}", state_role(row) if row.state != "failed" else "critical")
        if row.result and row.result != "success":
            line.put(f" {row.result}", "critical_bar" if row.state == "failed" else "dim")
        if not isnan(row.since):
            line.put(f" for {units.duration(max(0.0, state.at - row.since))}", "foreground")
        if row.restarts > 0:
            line.put(f", {units.count(row.restarts)} restarts" if row.restarts > 1 else ", 1 restart", "foreground")
        if not isnan(row.since):
            since = f", since {clock(row.since) if state.at - row.since < _DAY_S else day_and_time(row.since)}"
            if line.left >= len(since):  # half a time is another time
                line.put(since, "dim")
        return line

    def _facts(self) -> Iterator[Told]:
        """Label, value and role of each, the most telling ones first."""
        row = self._subject.row
        cpus = self.console_app.state.value("system.cpu.logical.count")
        whole = "" if self.console_app.per_core or not cpus > 1 else f" of {cpus:.0f}"
        scale = 1.0 if self.console_app.per_core else max(1.0, cpus)
        none = "none" if row.path else units.UNKNOWN  # what does not run has no cgroup to say so
        yield "CPU", units.UNKNOWN if isnan(row.cpu) else f"{cpu_text(row.cpu / scale)}%{whole}", "foreground"
        yield "quota", quota_text(row) or none, "foreground"
        yield self._judged("throttle", "throttled", units.UNKNOWN if isnan(row.throttled) else f"{units.percent(row.throttled)} of periods")
        yield "memory", units.size(row.memory_bytes), "foreground"
        yield self._judged("limit", "memory", limit_text(row) or none)
        yield self._judged("OOM", "oom_kills", units.UNKNOWN if isnan(row.oom_kills) else f"{units.count(row.oom_kills)} killed")
        yield "PSI CPU", units.percent(row.pressure_cpu), "foreground"
        yield "PSI mem", units.percent(row.pressure_memory), "foreground"
        yield "PSI I/O", units.percent(row.pressure_io), "foreground"
        yield "read", units.rate(row.read_bytes_s), "foreground"
        yield "write", units.rate(row.write_bytes_s), "foreground"
        most = "" if isnan(row.tasks_limit) else f" of {units.count(row.tasks_limit)}"
        yield "tasks", units.count(row.tasks) + most, "foreground"

    def _judged(self, label: str, field: str, text: str) -> Told:
        """A number with the sign of its severity, where it is out of the ordinary."""
        found = severities(self._subject.row).get(field, "")
        return (label, f"{self.look.glyph(found)}{text}", found) if found else (label, text, "foreground")


# History --------------------------------------------------------------------------------------------------------------------------


class CpuMeasure(Measure[Unit]):
    """CPU use: of its quota, where it has one, else in cores."""

    def __init__(self, subject: Unit) -> None:
        super().__init__("CPU", "cgroup.cpu.utilization", _LEAST, _cpu, _share)
        self._subject = subject

    def unit(self, scale: float) -> str:  # noqa: ARG002  the values have their own
        """Of what it is a share."""
        return " of its quota" if self._subject.row.cpu_limit > 0 else " of one core"


class ThrottledMeasure(Measure[Unit]):
    """How often it was held back."""

    def __init__(self) -> None:
        super().__init__("thr", "cgroup.cpu.throttled.ratio", _LEAST, lambda subject: subject.row.throttled, _share)

    def limits(self, state: State) -> Limits:  # noqa: ARG002  always the same
        """From where on it is noticed."""
        return ((THROTTLED, "warning"),)

    def unit(self, scale: float) -> str:  # noqa: ARG002  a share is a share
        """Of what it is a share."""
        return " of the periods throttled"


class MemoryMeasure(Measure[Unit]):
    """Memory, as a share of its own limit."""

    def __init__(self) -> None:
        super().__init__("memory", "cgroup.memory.utilization", _LEAST, lambda subject: subject.row.memory, _share)

    def unit(self, scale: float) -> str:  # noqa: ARG002  a share is a share
        """Of what it is a share."""
        return " of its limit"

    def limits(self, state: State) -> Limits:  # noqa: ARG002  always the same
        """From where on it is about to lack some."""
        return ((NEAR_LIMIT, "warning"),)


def _cpu(subject: Unit) -> float:
    row: UnitRow = subject.row
    return row.cpu / row.cpu_limit if row.cpu_limit > 0 else row.cpu


def _share(ratio: float) -> str:
    return units.percent(ratio, 1 if ratio < 0.0995 else 0)


def lacking(subject: Unit, measure: Measure[Unit], state: State) -> str:
    """Why there is nothing to draw of a value, and never will be; empty where there is, or may be."""
    row = subject.row
    if not row.path:
        return "it does not run: it has no cgroup"
    if isinstance(measure, MemoryMeasure) and isnan(row.memory):
        return "no limit of its own to be a share of" if isnan(row.memory_limit) else "its memory cannot be read"
    if isinstance(measure, ThrottledMeasure) and isnan(row.throttled):
        return "no quota: it is never throttled" if isnan(row.cpu_limit) else "how often it is throttled cannot be read"
    held = state.every("cgroup.cpu.utilization")
    if held and not any(series.labels.get("unit") == row.name for series in held):
        return "no history: it is held of the busiest units"
    return ""


class UnitChart(MeasureChart):
    """One of its values as a chart; where there is none, why.

    Args:
        subject: The unit.
        measure: What is drawn of it.
    """

    def __init__(self, subject: Unit, measure: Measure[Unit], id: str | None = None) -> None:  # noqa: A002  Textual's word
        super().__init__(subject, measure, id=id)
        self._of, self._measure = subject, measure

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """The chart."""
        why = lacking(self._of, self._measure, state)
        if not why:
            return super().lines(state, width, height)
        return [self.line("panel").gap().put(self._measure.label, "title"), self.line().gap(chart.AXIS).put(why, "dim")]


class UnitTrends(TrendsPane):
    """Its values as sparklines; where there is none, why.

    Args:
        subject: The unit.
        measures: What is drawn of it.
    """

    def __init__(self, subject: Unit, *measures: Measure[Unit], id: str | None = None) -> None:  # noqa: A002  Textual's word
        super().__init__(subject, *measures, id=id)
        self._of = subject

    def _row(self, measure: Measure[Unit], state: State, width: int, *, first: bool) -> Line:
        why = lacking(self._of, measure, state)
        return self.line().gap().put(measure.label, "dim", 7).put(why, "dim") if why else super()._row(measure, state, width, first=first)
