"""The upper part of a process's screen: who it is in words, and what of it is drawn as charts and sparklines."""

from collections.abc import Iterator, Sequence
from math import isnan
from time import localtime, strftime
from typing import Final

from rich.cells import cell_len, chop_cells

from perfconsole.core import units
from perfconsole.core.state import State
from perfconsole.core.tables import ProcessTable
from perfconsole.ui.line import Line
from perfconsole.ui.spark import Limits
from perfconsole.ui.subject import ENDED, LATER, LIVE, STATES, UNSEEN, Subject
from perfconsole.ui.widgets.facts import FactsGrid
from perfconsole.ui.widgets.header import clock
from perfconsole.ui.widgets.measures import Measure

_COMMAND_LINES: Final = 3
_CPU_LEAST, _BYTES_LEAST = 0.01, float(1 << 20)


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


class FactsPane(FactsGrid[Subject]):
    """Identity and condition in words, and the command line."""

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """The title, facts in a grid, and what is left for the command line."""
        row = self._subject.row
        lines = [self._title(), *self.grid(list(self._facts(state)), width, min(height - 2, self.deep(12, width)))]
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


class CpuMeasure(Measure[Subject]):
    """CPU use, of the machine unless of a core is asked for."""

    def __init__(self) -> None:
        super().__init__("CPU", "process.cpu.utilization", _CPU_LEAST, lambda subject: subject.row.cpu, _percent)

    def scale(self, state: State, *, per_core: bool) -> float:
        """How many cores there are, where there are more than one."""
        cpus = state.value("system.cpu.logical.count")
        return cpus if cpus > 1 and not per_core else 1.0

    def unit(self, scale: float) -> str:
        """Of what it is a share."""
        return " of one core" if scale == 1.0 else f" of {scale:.0f} cores"


class MemoryMeasure(Measure[Subject]):
    """Resident memory."""

    def __init__(self) -> None:
        super().__init__("memory", "process.memory.usage", _BYTES_LEAST, lambda subject: subject.row.memory_bytes, units.size)

    def unit(self, scale: float) -> str:  # noqa: ARG002  bytes are bytes
        """Of which kind."""
        return " resident"

    def limits(self, state: State) -> Limits:
        """What may be used at most: a process that nears it is about to be killed."""
        limit = state.value("system.memory.limit")
        return () if isnan(limit) else ((limit, "critical"),)


def disk_measures() -> list[Measure[Subject]]:
    """Storage read and written."""
    return [
        Measure("read", "process.disk.io", _BYTES_LEAST, lambda subject: subject.row.read_bytes_s, units.rate, direction="read"),
        Measure("write", "process.disk.io", _BYTES_LEAST, lambda subject: subject.row.write_bytes_s, units.rate, direction="write"),
    ]


def _percent(ratio: float) -> str:
    return units.percent(ratio, 1 if ratio < 0.0995 else 0)
