"""The dialog before a statement is run to measure its plan: it says exactly what will happen, and its first button is no."""

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from textual.events import Click

from perfconsole.core.requests import MEASURED_S
from perfconsole.core.state import State
from perfconsole.ui.line import Line
from perfconsole.ui.screens.dialogs import Dialog

if TYPE_CHECKING:
    from perfconsole.ui.statement import Statement

_CHOICES: Final = (("no", "nothing is run"), ("run it", "and measure what each part of its plan takes"))
_TEXT_LINES: Final = 2


class MeasureDialog(Dialog[bool]):
    """Whether to run a statement: dismissed with True when it was confirmed.

    Args:
        subject: The statement.
        text: The whole of it.
        values: Its values, given by hand; none where those of a session that runs it are taken.
    """

    TITLE_TEXT = "Run it and measure"
    wanted_height = 14

    def __init__(self, subject: "Statement", text: str, values: Sequence[str]) -> None:
        super().__init__()
        self._statement = subject
        self._text = text
        self._values = values
        self._at = 0

    def who(self, state: State, *, brief: bool) -> list[Line]:  # noqa: ARG002  it is what it was when it was asked
        """The statement, and what it would be run with."""
        row, box = self._statement.row, self.box
        width = box.size.width - 4
        first = box.inner().put("as asked on ", "dim").put(self._statement.server, "accent").put(" in ", "dim").put(row.database, "accent")
        text = wrap(" ".join(self._text[:2000].split()), width)[: 1 if brief else _TEXT_LINES]
        lines = [first, *(box.inner().put(part, "foreground") for part in text)]
        if self._values:
            lines.append(box.inner().put("with ", "dim").put(", ".join(self._values), "foreground", width - 5))
        elif "$1" in self._text:
            lines.append(box.inner().put("with the values of a session that runs it, or ran it", "dim"))
        return lines if brief else [*lines, box.inner()]

    def content(self, height: int) -> list[Line]:
        """What will happen, and both buttons."""
        box = self.box
        told = (
            f"EXPLAIN ANALYZE really runs it: it costs the server what it costs, for at most {MEASURED_S} s, "
            "in a read-only transaction that is rolled back."
        )
        words = [box.inner().put(part, "warning_bar") for part in wrap(told, max(1, box.size.width - 4))]
        buttons = [self._button(i) for i in range(len(_CHOICES))]
        room = max(0, height - len(buttons))
        return [*words[:room], *([box.inner()] if room > len(words) else []), *buttons]

    def _button(self, at: int) -> Line:
        chosen = at == self._at
        line = self.box.inner("selection" if chosen else "background")
        line.put(self.box.look.glyphs.marker if chosen else " ", "accent").put(_CHOICES[at][0], "foreground", 8)
        return line.put(_CHOICES[at][1], "foreground" if chosen else "dim")

    def keys(self) -> str:
        """What Enter would do now."""
        return f"Enter {_CHOICES[self._at][0]}   Esc leave it"

    def move(self, steps: int) -> None:
        """The other button."""
        self._at = max(0, min(len(_CHOICES) - 1, self._at + steps))

    def accept(self) -> None:
        """What was chosen."""
        self.dismiss(self._at == 1)

    def on_click(self, event: Click) -> None:
        """A click chooses, and never runs anything."""
        at = event.y - (self.box.size.height - 2 - len(_CHOICES))
        if event.widget is self.box and 0 <= at < len(_CHOICES):
            self._at = at
            self.redraw()
