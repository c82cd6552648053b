"""The sections of a unit's screen: its processes, its newest lines in the journal, and facts; the latter two are read on request."""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from time import localtime, strftime
from typing import Final

from rich.cells import chop_cells

from perfconsole.core import units
from perfconsole.core.change_requests import LogLine, UnitDetail
from perfconsole.core.state import State
from perfconsole.core.tables import ProcessRow, View, select
from perfconsole.core.unit_rows import REST, UnitTable
from perfconsole.ui.arrange import settle
from perfconsole.ui.columns import command, cpu_text
from perfconsole.ui.line import Line, Parts
from perfconsole.ui.unit_rows import Unit
from perfconsole.ui.widgets.detail import day_and_time
from perfconsole.ui.widgets.header import clock
from perfconsole.ui.widgets.section import Answer, AnswerSection, ChoiceSection

_DAY_S: Final = 86_400.0
_ERROR, _WARNING = 3, 4
"""Priorities of syslog(3) down to which a line stands out."""

_LOGS: Final = frozenset({"log", "journal"})
"""How a reason begins that the newest lines could not be read for; all others are told under facts."""

_WHO_MOST: Final = 16
_LINES_EACH: Final = 4
_VALUE_LEAST: Final = 12
_ROOMY: Final = 60
"""Cells from which on the user of a process has room beside its command."""

_EVERY_ROW: Final = 1 << 20


class ProcessesSection(ChoiceSection[ProcessRow]):
    """The processes in it, by CPU use: one of them can be opened."""

    TITLE = NAME = "Processes"

    def __init__(self, subject: Unit) -> None:
        super().__init__()
        self._subject = subject
        self._scale = 1.0

    def members(self, state: State) -> list[ProcessRow]:
        """In the order in which they stand on the screen, unless one clearly beats its neighbour."""
        cpus = state.value("system.cpu.logical.count")
        self._scale = cpus if cpus > 1 and not self.console_app.per_core else 1.0
        found = select(self._subject.processes(state), View("process", limit=_EVERY_ROW))
        return settle([row.key for row in self._members], found, "cpu")

    def member(self, at: int, width: int, *, chosen: bool) -> Line:
        """One process."""
        row = self._members[at]
        line = self.line("selection" if chosen else "background")
        line.put(self.look.glyphs.marker if chosen else " ", "accent")
        line.put(str(row.pid), "dim", 7, right=True).gap().put(row.state, "warning" if row.state in "DZ" else "dim").gap()
        line.put(f"{cpu_text(row.cpu / self._scale)}", "dim" if row.cpu == 0 else "foreground", 5, right=True).put("%", "dim").gap()
        line.put(units.size(row.memory_bytes), "foreground", 5, right=True).gap(2)
        if width >= _ROOMY:
            line.put(row.user, "dim", 9).gap()
        return line.put(command(row), "foreground")

    def copied(self) -> str:
        """Pid and command line of the selected one."""
        return f"{self.chosen.pid} {self.chosen.command or self.chosen.name}" if self.chosen else ""

    def empty(self, width: int) -> list[Parts]:
        """That none is known is not that there is none."""
        tasks = self._subject.row.tasks
        if self._subject.live and tasks == 0:
            return self.paragraph("none: it does not run", width, "dim")
        return self.paragraph("none that is known: processes of others may be hidden, or their unit cannot be read", width, "dim")

    def note(self, state: State) -> str:
        """How many; of what is in it only those are known that are among the units shown."""
        table = state.table(UnitTable)
        partly = self._subject.row.kind in {"slice", "pod"} and table is not None and any(row.name == REST for row in table.rows)
        return f"{len(self._members)} of the units shown" if partly else str(len(self._members))


class ReadSection(AnswerSection[Unit, UnitDetail]):
    """What was read of it on request; before it what could not be."""

    def entries(self, detail: UnitDetail, width: int) -> Sequence[Parts]:
        """The lines of what was read."""
        raise NotImplementedError

    def rows(self, state: State, width: int) -> Sequence[Parts]:  # noqa: ARG002  what was read stays as it was
        """What was read; why there is nothing, or nothing newer."""
        detail = self._answer.result
        if detail is None:
            return self.unanswered(self._answer, width)
        again = self.paragraph(f"not read again: {self._answer.text}", width, "warning_bar") if self._answer.trouble else []
        denied = [line for reason in detail.denied if self.tells(reason) for line in self.paragraph(reason, width, "warning_bar")]
        return [*again, *denied, *self.entries(detail, width)] or self.paragraph(self.none(detail), width, "dim")

    def tells(self, reason: str) -> bool:
        """Whether what could not be read belongs here."""
        return _of_journal(reason) == (self.NAME == JournalSection.NAME)

    def none(self, detail: UnitDetail) -> str:  # noqa: ARG002  the same, unless it says more
        """What is said of nothing."""
        return "none"


def _of_journal(reason: str) -> bool:
    return reason.partition(":")[0] in _LOGS


class JournalSection(ReadSection):
    """Its newest lines in the journal, the newest at the end, where one begins to read."""

    TITLE = NAME = "Journal"

    def __init__(self, subject: Unit, answer: Answer[UnitDetail]) -> None:
        super().__init__(subject, answer)
        self.to_end()

    def to_end(self) -> None:
        """Show the newest lines."""
        self._first = _EVERY_ROW

    def entries(self, detail: UnitDetail, width: int) -> Sequence[Parts]:
        """Time, who, and what they say, over a few lines where it is long."""
        now = detail.lines[-1].at if detail.lines else 0.0
        return [part for line in detail.lines for part in self._told(line, width, now)]

    def _told(self, line: LogLine, width: int, now: float) -> Iterator[Parts]:
        severity = "critical" if line.priority <= _ERROR else "warning" if line.priority == _WARNING else ""
        role = f"{severity}_bar" if severity else "foreground"
        sign = self.look.glyph(severity) if severity else " "
        when = clock(line.at) if now - line.at < _DAY_S else day_and_time(line.at)
        who = f"{line.who[:_WHO_MOST]} " if line.who else ""
        ahead = len(when) + len(who) + 3
        texts = wrap(line.text, max(_VALUE_LEAST, width - ahead - 2), max_lines=_LINES_EACH, placeholder=" ...") or [""]
        yield ((f"{when} ", 0, "dim"), (f"{sign} ", 0, role), (who, 0, "accent"), (texts[0], 0, role))
        for text in texts[1:]:
            yield ((" " * ahead, 0, "dim"), (text, 0, role))

    def none(self, detail: UnitDetail) -> str:  # noqa: ARG002  always the same
        """What is said of nothing."""
        return "no lines in the journal"

    def copied(self) -> str:
        """All of them, as they would stand in a file."""
        lines = self._answer.result.lines if self._answer.result else []
        return "\n".join(f"{strftime('%Y-%m-%d %H:%M:%S', localtime(line.at))} {line.who}: {line.text}" for line in lines)


class FactsSection(ReadSection):
    """State, result, main process, limits, where it is defined."""

    TITLE = NAME = "Facts"

    def entries(self, detail: UnitDetail, width: int) -> Sequence[Parts]:
        """Name and text."""
        wide = max((len(name) for name, _ in detail.facts), default=0) + 2
        room = max(_VALUE_LEAST, width - wide - 2)
        return [
            ((name if part == 0 else "", wide, "dim"), (text, 0, "foreground"))
            for name, value in detail.facts
            for part, text in enumerate(chop_cells(value, room) or [""])
        ]

    def copied(self) -> str:
        """All of them."""
        return "\n".join(f"{name}: {text}" for name, text in self._answer.result.facts) if self._answer.result else ""
