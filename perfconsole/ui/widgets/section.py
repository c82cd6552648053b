"""The lower part of a screen about one thing: lists that scroll, side by side, or behind each other with a row of tabs.

What a section shows may have been asked for; then it tells why there is nothing yet in the place where the answer will be.
"""

from collections.abc import Sequence
from math import nan
from textwrap import wrap
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from textual.events import Click, MouseScrollDown, MouseScrollUp

from perfconsole.core.state import State
from perfconsole.core.tables import Key
from perfconsole.ui.line import Line, Parts
from perfconsole.ui.widgets.header import clock
from perfconsole.ui.widgets.pane import Pane

if TYPE_CHECKING:
    from perfconsole.ui.screens.sectioned import SectionedScreen

T = TypeVar("T")


class Answer(Generic[T]):
    """What was asked for, and what came of it.

    Attributes:
        result: None until it is there; then the last one.
        at: When it was read, epoch seconds.
        trouble: Why there is nothing, or nothing newer, in words; `fix` what would mend it.
        asked: Whether it was asked for.
        waiting: Whether it is asked for now.
    """

    def __init__(self) -> None:
        self.result: T | None = None
        self.at = nan
        self.trouble = ""
        self.fix = ""
        self.asked = False
        self.waiting = False

    @property
    def text(self) -> str:
        """Why there is nothing, with what would mend it."""
        return f"{self.trouble}: {self.fix}" if self.fix else self.trouble


class Section(Pane, can_focus=True):
    """A list that scrolls.

    Attributes:
        NAME: Its name in the row of tabs, and in lower case its id; one that is named when it is made has none.
    """

    NAME: str = ""

    def __init__(self) -> None:
        super().__init__(id=self.NAME.lower() or None)
        self._first = 0

    # What subclasses say ----------------------------------------------------------------------------------------------------------

    def rows(self, state: State, width: int) -> Sequence[Parts]:
        """All its lines; only those that are visible are drawn."""
        raise NotImplementedError

    def note(self, state: State) -> str:  # noqa: ARG002  nothing, unless there is something
        """What stands at the right of the title."""
        return ""

    @property
    def faded(self) -> bool:
        """Whether what it shows is no longer so."""
        return False

    # What they use ----------------------------------------------------------------------------------------------------------------

    def paragraph(self, text: str, width: int, role: str) -> list[Parts]:
        """Words over as many lines as they need."""
        return [((part, 0, role),) for part in wrap(text, max(1, width - 2))]

    def unanswered(self, answer: Answer[T], width: int) -> list[Parts]:
        """Why there is no answer (yet)."""
        if not answer.trouble:
            return self.paragraph(f"reading{self.look.glyphs.ellipsis}", width, "dim")
        return [*self.paragraph(answer.trouble, width, "dim"), *self.paragraph(answer.fix, width, "accent")]

    def read_at(self, answer: Answer[T]) -> str:
        """When the answer was read."""
        return f"read {clock(answer.at)}" if answer.result is not None else ""

    # Showing ----------------------------------------------------------------------------------------------------------------------

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """The title, and the lines from the first visible one on."""
        rows = self.rows(state, width)
        room = max(1, height - 1)
        self._first = max(0, min(self._first, len(rows) - room))
        note = self.note(state)
        if len(rows) > room:
            note = f"{self._first + 1}-{min(self._first + room, len(rows))} of {len(rows)}  {note}".rstrip()
        return [self.title(note), *(self._drawn(row) for row in rows[self._first : self._first + room])]

    def _drawn(self, row: Parts) -> Line:
        line = self.line().gap()
        for text, cells, role in row:
            line.put(text, "stale" if self.faded else role, cells or None)
        return line

    def title(self, note: str) -> Line:
        """Its name; where the sections lie behind each other, all their names."""
        screen = self.sectioned
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
    def sectioned(self) -> "SectionedScreen":
        """The screen, by its own type."""
        from perfconsole.ui.screens.sectioned import SectionedScreen  # noqa: PLC0415  the screen mounts the sections

        assert isinstance(self.screen, SectionedScreen)
        return self.screen

    # Moving -----------------------------------------------------------------------------------------------------------------------

    def move(self, rows: int) -> None:
        """Scroll by some rows."""
        self._first = max(0, self._first + rows)
        self.show(self.console_app.state)

    def on_click(self, event: Click) -> None:
        """A name in the row of tabs brings that section to the front."""
        if event.y == 0 and self.sectioned.tabbed:
            x = 0
            for section in self.sectioned.sections:
                x += len(section.NAME) + 2
                if event.x < x:
                    self.sectioned.bring(section)
                    return

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Three rows down."""
        event.stop()
        self.move(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Three rows up."""
        event.stop()
        self.move(-3)


S = TypeVar("S")


class SubjectSection(Section, Generic[S]):
    """A list about what the screen is about.

    Args:
        subject: What that is.
    """

    def __init__(self, subject: S) -> None:
        super().__init__()
        self._subject = subject


class AnswerSection(SubjectSection[S], Generic[S, T]):
    """A list of what was read of it on request.

    Args:
        subject: What the screen is about.
        answer: What was read.
    """

    def __init__(self, subject: S, answer: Answer[T]) -> None:
        super().__init__(subject)
        self._answer = answer

    def note(self, state: State) -> str:  # noqa: ARG002  what was read stays as it was
        """When it was read."""
        return self.read_at(self._answer)


class Keyed(Protocol):
    """What has an identity."""

    @property
    def key(self) -> Key:
        """The identity."""


K = TypeVar("K", bound=Keyed)


class ChoiceSection(Section, Generic[K]):
    """A list of things, one of which is selected: by what it is, not by the line it stands on."""

    def __init__(self) -> None:
        super().__init__()
        self.selected: Key | None = None
        self._members: list[K] = []

    # What subclasses say ----------------------------------------------------------------------------------------------------------

    def members(self, state: State) -> list[K]:
        """What there is to choose from, in order."""
        raise NotImplementedError

    def member(self, at: int, width: int, *, chosen: bool) -> Line:
        """The line of one of them, on the ground of a selection if it is chosen and the section has the keys."""
        raise NotImplementedError

    def empty(self, width: int) -> list[Parts]:
        """What is said when there is none."""
        return self.paragraph("none", width, "dim")

    def start(self) -> int:
        """Which one is selected at first, and when the selected one is gone."""
        return 0

    # Showing ----------------------------------------------------------------------------------------------------------------------

    @property
    def chosen(self) -> K | None:
        """The selected one."""
        return next((member for member in self._members if member.key == self.selected), None)

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """The members around the selection."""
        self._members = self.members(state)
        title = self.title(self.note(state))
        if not self._members:
            return [title, *(self._drawn(row) for row in self.empty(width))]
        room, at = max(1, height - 1), self._at()
        self.selected = self._members[at].key
        self._first = max(0, at - room + 1, min(self._first, at, len(self._members) - room))
        shown = range(self._first, min(self._first + room, len(self._members)))
        return [title, *(self.member(i, width, chosen=i == at and self.has_focus) for i in shown)]

    def _at(self) -> int:
        return next((i for i, member in enumerate(self._members) if member.key == self.selected), self.start())

    def move(self, rows: int) -> None:
        """Move the selection. In a section that was just brought to the front there is none yet: it was not drawn."""
        self._members = self.members(self.console_app.state)
        if self._members:
            self.selected = self._members[max(0, min(len(self._members) - 1, self._at() + rows))].key
            self.show(self.console_app.state)

    def on_click(self, event: Click) -> None:
        """Select one, open it when it was selected."""
        at = self._first + event.y - 1
        if event.y < 1 or at >= len(self._members):
            super().on_click(event)
            return
        again = self._members[at].key == self.selected
        self.selected = self._members[at].key
        self.show(self.console_app.state)
        if again:
            self.post_message(self.Opened(self, self.selected))
