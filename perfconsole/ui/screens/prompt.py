"""A line to type into at the bottom of the screen: filters, and moments in a recording."""

import re
import time
from collections.abc import Callable
from typing import Any, ClassVar, Final, Protocol

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Input

from perfconsole.core import units

_CLOCK: Final = re.compile(r"(?:(\d{4}-\d\d-\d\d)[ T])?(\d{1,2}):(\d\d)(?::(\d\d))?")
_DAY_S: Final = 86400.0


class Prompt(ModalScreen[str | None]):
    """Asks for one line; Enter takes it, Esc gives None.

    Args:
        label: What is asked for.
        text: What stands there already.
        changed: Called with every change, to show what it would do.
    """

    CSS = """
    Prompt { align: left bottom; background: transparent; }
    Prompt Input { width: 1fr; height: 1; border: none; padding: 0 1; background: $panel; color: $foreground; }
    Prompt Input:focus { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", show=False)]

    def __init__(self, label: str, text: str = "", changed: Callable[[str], None] | None = None) -> None:
        super().__init__()
        self._label = label
        self._text = text
        self._changed = changed

    def compose(self) -> ComposeResult:
        """One input, at the bottom."""
        yield Input(self._text, placeholder=self._label, compact=True, select_on_focus=False)

    def on_mount(self) -> None:
        """A blinking cursor would be the only thing on the screen that repaints for nothing."""
        self.query_one(Input).cursor_blink = False

    def take(self, key: Key) -> bool:
        """Take a key that was typed before this stood there, e.g. in one go with the key that opened it.

        Returns:
            Whether it is done with; one that is no character means from now on what it means in the input.
        """
        for line in self.query(Input):
            self.set_focus(line)
            if key.is_printable and key.character:  # those that the input was given itself do not get past it
                line.insert_text_at_cursor(key.character)
                return True
        return False

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what it would do."""
        if self._changed:
            self._changed(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take it."""
        self._end(event.value)

    def action_cancel(self) -> None:
        """Leave everything as it was."""
        self._end(None)

    def _end(self, text: str | None) -> None:
        """Nothing is shown of what was typed from here on: of a change one may hear only after the end."""
        self._changed = None
        if self.app.screen is self:  # of two keys in one go the first has ended it
            self.dismiss(text)


class Filtered(Protocol):
    """What shows only what matches some words."""

    @property
    def match(self) -> str:
        """The words; empty for everything."""

    def filter(self, match: str) -> None:
        """Look for other words."""


async def ask_filter(app: App[Any], what: Filtered, words: str) -> None:
    """Ask for words to look for, showing matches while they are typed; Esc leaves those of before.

    Args:
        app: The app.
        what: Is filtered.
        words: What may be written, for who asks himself.
    """
    before = what.match

    def take(found: str | None) -> None:
        what.filter(before if found is None else found)

    await app.push_screen(Prompt(f"filter: {words}", before, changed=what.filter), take)


def read_time(text: str, around: float) -> float:
    """The moment that is meant, epoch seconds.

    Args:
        text: ``14:02``, ``14:02:30``, ``2026-11-23 14:02``, or from where one stands ``-5m``, ``+30s``.
        around: The moment one stands at: a time of day means the one nearest to it.

    Raises:
        ValueError: Says what is accepted.
    """
    text = text.strip()
    if text[:1] in {"+", "-"}:
        return around + units.parse_duration(text[1:].strip()) * (1 if text[0] == "+" else -1)
    found = _CLOCK.fullmatch(text)
    if not found:
        raise ValueError(f"not a time: {text!r} (accepted: 14:02  14:02:30  2026-11-23 14:02  -5m  +30s)")
    day = found[1] or time.strftime("%Y-%m-%d", time.localtime(around))
    try:
        at = time.mktime(time.strptime(f"{day} {found[2]}:{found[3]}:{found[4] or '00'}", "%Y-%m-%d %H:%M:%S"))
    except ValueError as error:
        raise ValueError(f"not a time: {text!r} (there is no such day, or hour)") from error
    if found[1]:
        return at
    return min((at - _DAY_S, at, at + _DAY_S), key=lambda moment: abs(moment - around))
