"""The lower part of a process's screen: lists of its family, open files, memory, facts and limits.

All but the family are read once on request (`core.requests.ProcessDetail`), because they cost milliseconds and seldom change.
"""

from collections.abc import Iterator, Sequence
from math import nan
from textwrap import wrap
from typing import TYPE_CHECKING, ClassVar, Final

from rich.cells import chop_cells
from textual.events import Click, MouseScrollDown, MouseScrollUp

from perfconsole.core import units
from perfconsole.core.requests import ProcessDetail
from perfconsole.core.state import State
from perfconsole.core.tables import Key, ProcessRow, ProcessTable
from perfconsole.ui.arrange import Item
from perfconsole.ui.columns import command, cpu_text
from perfconsole.ui.line import Line
from perfconsole.ui.subject import Subject, family
from perfconsole.ui.widgets.header import clock
from perfconsole.ui.widgets.pane import Pane

if TYPE_CHECKING:
    from perfconsole.ui.screens.process import ProcessScreen

_OWN_WORDS: Final = (("open files", "files"), ("limits", "limits"), ("memory", "memory"), ("proportional memory", "memory"))
"""How a reason for something missing begins, and in which section it is told; all others under facts."""

_VALUE_LEAST: Final = 12


class Answer:
    """What was read of the process on request.

    Attributes:
        detail: None until it is there.
        at: When it was read, epoch seconds.
        trouble: Why there is nothing, in words.
        asked: Whether it was asked for.
    """

    def __init__(self) -> None:
        self.detail: ProcessDetail | None = None
        self.at = nan
        self.trouble = ""
        self.asked = False

    def denied(self, section: str) -> list[str]:
        """What could not be read of a section, and why."""
        reasons = self.detail.denied if self.detail else []
        return [text for text in reasons if dict(_OWN_WORDS).get(text.partition(":")[0], "facts") == section]


class Section(Pane, can_focus=True):
    """A list that scrolls.

    Attributes:
        NAME: Its name in the row of tabs, and in lower case in reasons.
    """

    NAME: ClassVar[str] = ""

    def __init__(self, subject: Subject, answer: Answer) -> None:
        super().__init__(id=self.NAME.lower())
        self._subject = subject
        self._answer = answer
        self._first = 0

    # What subclasses say ----------------------------------------------------------------------------------------------------------

    def entries(self, detail: ProcessDetail) -> Sequence[Sequence[tuple[str, int, str]]]:
        """The lines of what was read: spans of text, cells (0: what is left) and role."""
        raise NotImplementedError

    # Showing ----------------------------------------------------------------------------------------------------------------------

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """The title, and the lines from the first visible one on."""
        rows = self._rows(state, width)
        room = max(1, height - 1)
        self._first = max(0, min(self._first, len(rows) - room))
        return [self._title(self._note(rows, room)), *rows[self._first : self._first + room]]

    def _rows(self, state: State, width: int) -> list[Line]:  # noqa: ARG002  the family looks at the state
        answer = self._answer
        if answer.detail is None:
            return self._paragraph(answer.trouble or f"reading{self.look.glyphs.ellipsis}", width, "dim")
        faded = not self._subject.live
        rows = [line for reason in answer.denied(self.NAME.lower()) for line in self._paragraph(reason, width, "warning_bar")]
        for entry in self.entries(answer.detail):
            line = self.line().gap()
            for text, cells, role in entry:
                line.put(text, "stale" if faded else role, cells or None)
            rows.append(line)
        return rows or self._paragraph("none", width, "dim")

    def _paragraph(self, text: str, width: int, role: str) -> list[Line]:
        return [self.line().gap().put(part, role) for part in wrap(text, max(1, width - 2))]

    def _note(self, rows: Sequence[Line], room: int) -> str:
        if self._answer.detail is None:
            return ""
        read = f"read {clock(self._answer.at)}"
        return f"{self._first + 1}-{min(self._first + room, len(rows))} of {len(rows)}  {read}" if len(rows) > room else read

    def _title(self, note: str) -> Line:
        """Its name; where the sections lie behind each other, all their names."""
        screen = self._process_screen
        if not screen.tabbed:
            return self.title_line(self.NAME.upper(), note)
        line = self.line("panel")
        for section in screen.sections:
            marker = self.look.glyphs.marker if section is self else " "
            line.put(marker, "accent").put(section.NAME, "title" if section is self else "dim").gap()
        if note and line.left > len(note) + 2:
            line.to(line.width - len(note) - 1).put(note, "dim")
        return line

    @property
    def _process_screen(self) -> "ProcessScreen":
        """The screen, by its own type."""
        from perfconsole.ui.screens.process import ProcessScreen  # noqa: PLC0415  the screen mounts the sections

        assert isinstance(self.screen, ProcessScreen)
        return self.screen

    # Moving -----------------------------------------------------------------------------------------------------------------------

    def move(self, rows: int) -> None:
        """Scroll by some rows."""
        self._first = max(0, self._first + rows)
        self.show(self.console_app.state)

    def on_click(self, event: Click) -> None:
        """A name in the row of tabs brings that section to the front."""
        if event.y == 0 and self._process_screen.tabbed:
            x = 0
            for section in self._process_screen.sections:
                x += len(section.NAME) + 2
                if event.x < x:
                    self._process_screen.bring(section)
                    return

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Three rows down."""
        event.stop()
        self.move(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Three rows up."""
        event.stop()
        self.move(-3)


class FilesSection(Section):
    """Open descriptors: files, sockets with their addresses, pipes."""

    TITLE = NAME = "Files"

    def entries(self, detail: ProcessDetail) -> Sequence[Sequence[tuple[str, int, str]]]:
        """Number, kind, and what it is."""
        return [((str(file.fd), 6, "dim"), (file.kind, 7, "accent"), (file.text, 0, "foreground")) for file in detail.files]


class MemorySection(Section):
    """Where its memory is."""

    TITLE = NAME = "Memory"

    def entries(self, detail: ProcessDetail) -> Sequence[Sequence[tuple[str, int, str]]]:
        """Name and size, those that are nothing left out."""
        wide = max(len(name) for name, _ in detail.memory) + 2 if detail.memory else 0
        return [((name, wide, "dim"), (units.size(size), 0, "foreground")) for name, size in detail.memory if size]


class FactsSection(Section):
    """Executable, working directory, cgroup and the like."""

    TITLE = NAME = "Facts"

    def entries(self, detail: ProcessDetail) -> Sequence[Sequence[tuple[str, int, str]]]:
        """Name and text."""
        wide = max(len(name) for name, _ in detail.facts) + 2 if detail.facts else 0
        room = max(_VALUE_LEAST, self.size.width - wide - 2)
        return [
            ((name if part == 0 else "", wide, "dim"), (text, 0, "foreground"))
            for name, value in detail.facts
            for part, text in enumerate(chop_cells(value, room))
        ]


class LimitsSection(Section):
    """Resource limits as the kernel words them."""

    TITLE = NAME = "Limits"

    def entries(self, detail: ProcessDetail) -> Sequence[Sequence[tuple[str, int, str]]]:
        """Name, soft and hard limit."""
        wide = max((len(name) for name, _, _ in detail.limits), default=0) - 3
        soft = max((len(limit) for _, limit, _ in detail.limits), default=0) + 2
        shown = [(name.removeprefix("Max "), soft_limit, hard) for name, soft_limit, hard in detail.limits]
        return [((name, wide, "dim"), (limit, soft, "foreground"), (hard, 0, "dim")) for name, limit, hard in shown]


class FamilySection(Section):
    """Ancestors, itself and children, alive: one of them can be opened."""

    TITLE = NAME = "Family"

    def __init__(self, subject: Subject, answer: Answer) -> None:
        super().__init__(subject, answer)
        self._items: list[Item] = []
        self._selected: Key = subject.row.key

    @property
    def row(self) -> ProcessRow | None:
        """The selected relative; None while it is the process itself."""
        return next((item.row for item in self._items if item.row.key == self._selected != self._subject.row.key), None)

    def move(self, rows: int) -> None:
        """Move the selection."""
        if self._items:
            at = max(0, min(len(self._items) - 1, self._at() + rows))
            self._selected = self._items[at].row.key
            self.show(self.console_app.state)

    def _at(self) -> int:
        own = next((i for i, item in enumerate(self._items) if item.row.key == self._subject.row.key), 0)
        return next((i for i, item in enumerate(self._items) if item.row.key == self._selected), own)

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """The tree around the selection."""
        table = state.table(ProcessTable)
        self._items = family(self._subject.row, table.rows if table else [], self.look.glyphs)
        room, at = max(1, height - 1), self._at()
        self._selected = self._items[at].row.key
        self._first = max(at - room + 1, min(self._first, at))
        return super().lines(state, width, height)

    def _rows(self, state: State, width: int) -> list[Line]:
        cpus = state.value("system.cpu.logical.count")
        scale = cpus if cpus > 1 and not self.console_app.per_core else 1.0
        return [self._relative(item, scale, width) for item in self._items]

    def _relative(self, item: Item, scale: float, width: int) -> Line:
        row, itself = item.row, item.row.key == self._subject.row.key
        chosen = row.key == self._selected and self.has_focus
        faded = itself and not self._subject.live
        line = self.line("selection" if chosen else "background")
        line.put(self.look.glyphs.marker if chosen else " ", "accent").put(item.prefix, "border")
        line.put(f"{row.pid} ", "stale" if faded else "dim").put(row.name, "stale" if faded else "title" if itself else "foreground")
        aside = 15 if width >= 40 else 0
        if line.left > aside + 4 and not itself:
            line.gap(2).put(command(row), "dim", line.left - aside)
        numbers = "" if faded else f"{cpu_text(row.cpu / scale)}% {units.size(row.memory_bytes):>5}"
        return line.to(width - aside).put(numbers, "dim", aside - 1, right=True) if aside else line

    def _note(self, rows: Sequence[Line], room: int) -> str:  # noqa: ARG002  it is never too long to count
        children = sum(item.row.ppid == self._subject.row.pid for item in self._items)
        return f"{children} children" if children != 1 else "1 child"

    def on_click(self, event: Click) -> None:
        """Select a relative, open it when it was selected."""
        at = self._first + event.y - 1
        if event.y < 1 or at >= len(self._items):
            super().on_click(event)
            return
        again = self._items[at].row.key == self._selected
        self._selected = self._items[at].row.key
        self.show(self.console_app.state)
        if again:
            self.post_message(self.Opened(self, self._selected))


def sections(subject: Subject, answer: Answer) -> Iterator[Section]:
    """All of them, in the order in which Tab visits them."""
    for kind in (FamilySection, FilesSection, MemorySection, FactsSection, LimitsSection):
        yield kind(subject, answer)
