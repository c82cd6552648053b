"""Dialogs with something to write in: fields one below the other, one of which has the keys. Enter does it, Esc leaves all as it was.

Letters are text here: only arrows and Tab go from field to field.
"""

from textwrap import wrap
from typing import ClassVar, Final

from textual.events import Key, Paste

from perfconsole.core.text import safe
from perfconsole.ui.line import Line
from perfconsole.ui.screens.dialogs import Dialog

_LONGEST: Final = 400
_NAME: Final = 8


class Field:
    """A text that is being written.

    Attributes:
        name: What it is.
        text: What stands there.
        presets: What left and right choose from.
        hint: What is accepted, told while it is empty.
    """

    def __init__(self, name: str, text: str = "", *, presets: tuple[str, ...] = (), hint: str = "") -> None:
        self.name, self.text, self.presets, self.hint = name, text, presets, hint
        self._fresh = bool(presets)

    def type(self, characters: str) -> None:
        """Add text; what a preset put there is replaced by it."""
        if self._fresh:
            self.text = ""
        self._fresh = False
        self.text = (self.text + safe(characters))[:_LONGEST]

    def erase(self, *, word: bool = False, everything: bool = False) -> None:
        """Take the last character back, or the last word, or all."""
        self._fresh = False
        kept = self.text.rstrip()
        self.text = "" if everything else kept[: kept.rfind(" ") + 1] if word else self.text[:-1]

    def turn(self, steps: int) -> None:
        """Another of the presets."""
        if self.presets:
            at = self.presets.index(self.text) if self.text in self.presets else -1 if steps > 0 else 0
            self.text, self._fresh = self.presets[(at + steps) % len(self.presets)], True


class FormDialog(Dialog[None]):
    """A dialog with fields.

    Attributes:
        fields: Its fields; none where there is only to be confirmed.
        trouble: Why it cannot be done as it stands, in one line.
        TROUBLE_LINES: How many lines of the dialog that may take.
    """

    TROUBLE_LINES: ClassVar[int] = 2

    def __init__(self) -> None:
        super().__init__()
        self.fields: list[Field] = []
        self.trouble = ""
        self._at = 0

    @property
    def field(self) -> Field | None:
        """The field with the keys."""
        return self.fields[self._at] if self.fields else None

    def do(self) -> bool:
        """Do it.

        Returns:
            Whether the dialog is done with; where it is not, `trouble` says why.
        """
        raise NotImplementedError

    def rest(self) -> list[Line]:
        """What stands below the fields."""
        return []

    # Drawing ----------------------------------------------------------------------------------------------------------------------

    def content(self, height: int) -> list[Line]:
        """The fields, and what came of them."""
        lines = [self._drawn(field) for field in self.fields]
        told = wrap(self.trouble, self.box.size.width - 4)[: self.TROUBLE_LINES]
        trouble = [self.box.inner().put(part, "warning_bar") for part in told]
        lines += [*self.rest(), *trouble, *(self.box.inner() for _ in range(self.TROUBLE_LINES - len(trouble)))]
        # Where not all of it has room, why it cannot be done comes before what it would do.
        return [*lines[: height - len(trouble)], *trouble] if trouble and height < len(lines) else lines[:height]

    def _drawn(self, field: Field) -> Line:
        mine = field is self.field
        line, names = self.box.inner("selection" if mine else "background"), max(_NAME, *(len(other.name) + 1 for other in self.fields))
        line.put(self.box.look.glyphs.marker if mine else " ", "accent").put(field.name, "dim", names)
        cursor = "_" if mine else ""
        presets = "  ".join(field.presets)
        room = max(4, line.left - len(presets) - 2 * bool(presets) - len(cursor))
        shown = field.text if len(field.text) <= room else self.box.look.glyphs.ellipsis + field.text[1 - room :]
        line.put(shown, "foreground").put(cursor, "accent")
        if not field.text and field.hint:
            line.put(field.hint if mine else f" {field.hint}", "dim")
        for preset in field.presets if presets and line.left > len(presets) + 2 else ():
            line.to(max(line.x, line.width - len(presets))) if preset is field.presets[0] else line.gap(2)
            line.put(preset, "accent" if preset == field.text else "dim")
        return line

    # Keys -------------------------------------------------------------------------------------------------------------------------

    def on_key(self, event: Key) -> None:
        """Enter does it, Esc leaves; all else is text, or goes to another field."""
        event.stop()
        event.prevent_default()
        if event.key == "escape":
            self.dismiss(None)
            return
        if event.key == "enter":
            self.accept()
        else:
            self.trouble = ""
            self.press(event.key, event.character)
        if self.is_current:
            self.redraw()

    def accept(self) -> None:
        """Do it."""
        self.trouble = ""
        if self.do():
            self.dismiss(None)

    def move(self, steps: int) -> None:
        """Another field."""
        if self.fields:
            self._at = (self._at + steps) % len(self.fields)

    def press(self, key: str, character: str | None) -> None:
        """Write, erase, or choose."""
        field = self.field
        if field is None:
            return
        if key in {"down", "tab", "up", "shift+tab"}:
            self.move(1 if key in {"down", "tab"} else -1)
        elif key in {"left", "right"}:
            field.turn(1 if key == "right" else -1)
        elif key in {"backspace", "ctrl+h"}:
            field.erase()
        elif key in {"ctrl+w", "ctrl+u"}:
            field.erase(word=key == "ctrl+w", everything=key == "ctrl+u")
        elif character and character.isprintable():
            field.type(character)

    def on_paste(self, event: Paste) -> None:
        """What is pasted is one line of text."""
        event.stop()
        if self.field:
            self.field.type(" ".join(event.text.split()))
            self.redraw()
