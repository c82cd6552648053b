"""The sections of a process's screen: lists of its family, open files, memory, facts and limits.

All but the family are read once on request (`core.requests.ProcessDetail`), because they cost milliseconds and seldom change.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.cells import chop_cells

from perfconsole.core import units
from perfconsole.core.requests import ProcessDetail
from perfconsole.core.state import State
from perfconsole.core.tables import ProcessRow, ProcessTable
from perfconsole.ui.arrange import Item
from perfconsole.ui.columns import command, cpu_text
from perfconsole.ui.line import Line, Parts
from perfconsole.ui.subject import Subject, family
from perfconsole.ui.widgets.section import Answer, AnswerSection, ChoiceSection, Section

_OWN_WORDS: Final = (("open files", "files"), ("limits", "limits"), ("memory", "memory"), ("proportional memory", "memory"))
"""How a reason for something missing begins, and in which section it is told; all others under facts."""

_VALUE_LEAST: Final = 12


class ReadSection(AnswerSection[Subject, ProcessDetail]):
    """A list of what was read of the process."""

    def entries(self, detail: ProcessDetail) -> Sequence[Parts]:
        """The lines of what was read."""
        raise NotImplementedError

    @property
    def faded(self) -> bool:
        """What was read of a process that is gone is no longer so."""
        return not self._subject.live

    def rows(self, state: State, width: int) -> Sequence[Parts]:  # noqa: ARG002  what was read stays as it was
        """What was read; before it what could not be, and why."""
        detail = self._answer.result
        if detail is None:
            return self.paragraph(self._answer.text or f"reading{self.look.glyphs.ellipsis}", width, "dim")
        denied = [line for reason in self._denied(detail) for line in self.paragraph(reason, width, "warning_bar")]
        return [*denied, *self.entries(detail)] or self.paragraph("none", width, "dim")

    def _denied(self, detail: ProcessDetail) -> list[str]:
        own = self.NAME.lower()
        return [text for text in detail.denied if dict(_OWN_WORDS).get(text.partition(":")[0], "facts") == own]


class FilesSection(ReadSection):
    """Open descriptors: files, sockets with their addresses, pipes."""

    TITLE = NAME = "Files"

    def entries(self, detail: ProcessDetail) -> Sequence[Parts]:
        """Number, kind, and what it is."""
        return [((str(file.fd), 6, "dim"), (file.kind, 7, "accent"), (file.text, 0, "foreground")) for file in detail.files]


class MemorySection(ReadSection):
    """Where its memory is."""

    TITLE = NAME = "Memory"

    def entries(self, detail: ProcessDetail) -> Sequence[Parts]:
        """Name and size, those that are nothing left out."""
        wide = max(len(name) for name, _ in detail.memory) + 2 if detail.memory else 0
        return [((name, wide, "dim"), (units.size(size), 0, "foreground")) for name, size in detail.memory if size]


class FactsSection(ReadSection):
    """Executable, working directory, cgroup and the like."""

    TITLE = NAME = "Facts"

    def entries(self, detail: ProcessDetail) -> Sequence[Parts]:
        """Name and text."""
        wide = max(len(name) for name, _ in detail.facts) + 2 if detail.facts else 0
        room = max(_VALUE_LEAST, self.size.width - wide - 2)
        return [
            ((name if part == 0 else "", wide, "dim"), (text, 0, "foreground"))
            for name, value in detail.facts
            for part, text in enumerate(chop_cells(value, room))
        ]


class LimitsSection(ReadSection):
    """Resource limits as the kernel words them."""

    TITLE = NAME = "Limits"

    def entries(self, detail: ProcessDetail) -> Sequence[Parts]:
        """Name, soft and hard limit."""
        wide = max((len(name) for name, _, _ in detail.limits), default=0) - 3
        soft = max((len(limit) for _, limit, _ in detail.limits), default=0) + 2
        shown = [(name.removeprefix("Max "), soft_limit, hard) for name, soft_limit, hard in detail.limits]
        return [((name, wide, "dim"), (limit, soft, "foreground"), (hard, 0, "dim")) for name, limit, hard in shown]


class FamilySection(ChoiceSection[ProcessRow]):
    """Ancestors, itself and children, alive: one of them can be opened."""

    TITLE = NAME = "Family"

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self._subject = subject
        self._items: list[Item] = []
        self._scale = 1.0
        self.selected = subject.row.key

    @property
    def row(self) -> ProcessRow | None:
        """The selected relative; None while it is the process itself."""
        return None if self.selected == self._subject.row.key else self.chosen

    def members(self, state: State) -> list[ProcessRow]:
        """The tree from the first ancestor down."""
        table = state.table(ProcessTable)
        self._items = family(self._subject.row, table.rows if table else [], self.look.glyphs)
        cpus = state.value("system.cpu.logical.count")
        self._scale = cpus if cpus > 1 and not self.console_app.per_core else 1.0
        return [item.row for item in self._items]

    def start(self) -> int:
        """At first the process itself."""
        return next((i for i, item in enumerate(self._items) if item.row.key == self._subject.row.key), 0)

    def member(self, at: int, width: int, *, chosen: bool) -> Line:
        """One relative."""
        item = self._items[at]
        row, itself = item.row, item.row.key == self._subject.row.key
        faded = itself and not self._subject.live
        line = self.line("selection" if chosen else "background")
        line.put(self.look.glyphs.marker if chosen else " ", "accent").put(item.prefix, "border")
        line.put(f"{row.pid} ", "stale" if faded else "dim").put(row.name, "stale" if faded else "title" if itself else "foreground")
        aside = 15 if width >= 40 else 0
        if line.left > aside + 4 and not itself:
            line.gap(2).put(command(row), "dim", line.left - aside)
        numbers = "" if faded else f"{cpu_text(row.cpu / self._scale)}% {units.size(row.memory_bytes):>5}"
        return line.to(width - aside).put(numbers, "dim", aside - 1, right=True) if aside else line

    def note(self, state: State) -> str:  # noqa: ARG002  the family was just made of it
        """How many children."""
        children = sum(item.row.ppid == self._subject.row.pid for item in self._items)
        return f"{children} children" if children != 1 else "1 child"


def sections(subject: Subject, answer: Answer[ProcessDetail]) -> Iterator[Section]:
    """All of them, in the order in which Tab visits them."""
    yield FamilySection(subject)
    for kind in (FilesSection, MemorySection, FactsSection, LimitsSection):
        yield kind(subject, answer)
