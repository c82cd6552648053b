"""Dialogs that act: bound to the identity that a process had (pid and start time) when they opened, and done by Enter alone.

A bare letter never does anything here but move; what cannot be taken back (KILL) wants Enter twice. They are drawn as panes are, so that
they look the same with every theme, without colours, and in ASCII.
"""

import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, TypeVar

from msgspec import Struct
from textual.app import ComposeResult
from textual.events import Click, Key
from textual.screen import ModalScreen

from perfconsole.core import units
from perfconsole.core.requests import PROCESS_RENICE, PROCESS_SIGNAL, Done, ReniceArgs, SignalArgs
from perfconsole.core.state import State
from perfconsole.core.tables import ProcessRow
from perfconsole.ui.line import Line
from perfconsole.ui.subject import Subject
from perfconsole.ui.widgets.detail import day_and_time, what_became
from perfconsole.ui.widgets.pane import Pane

if TYPE_CHECKING:
    from perfconsole.ui.app import ConsoleApp

T = TypeVar("T")

_WIDTH: Final = 58
_CORNERS: Final = "┌┐└┘"
_ASCII_CORNERS: Final = "++++"
_REFRESH_S: Final = 1.0
_LEAST_NICE, _MOST_NICE = -20, 19


class Choice(NamedTuple):
    """A signal, and what it does in words."""

    number: signal.Signals
    text: str

    @property
    def name(self) -> str:
        """``TERM``."""
        return self.number.name.removeprefix("SIG")


CHOICES: Final = (
    Choice(signal.SIGTERM, "end, after cleaning up"),
    Choice(signal.SIGHUP, "hang up; many daemons reread their settings"),
    Choice(signal.SIGINT, "interrupt, as ctrl+c does"),
    Choice(signal.SIGQUIT, "end and leave a core; a JVM lists threads"),
    Choice(signal.SIGKILL, "end at once: no cleaning up, no saving"),
    Choice(signal.SIGSTOP, "stand still until CONT"),
    Choice(signal.SIGCONT, "go on after STOP"),
    Choice(signal.SIGUSR1, "what the program makes of it; else it ends"),
    Choice(signal.SIGUSR2, "what the program makes of it; else it ends"),
)


async def send_signal(app: "ConsoleApp", row: ProcessRow) -> None:
    """Have a signal chosen and sent to exactly this process; returns when the dialog is open.

    Nothing waits for the dialog: an action that did would hold up the keys it waits for.
    """

    def chosen(number: int | None) -> None:
        if number is not None:
            app.run_worker(_act(app, PROCESS_SIGNAL.name, SignalArgs(row.pid, row.start, number)))

    await app.push_screen(SignalDialog(row), chosen)


async def renice(app: "ConsoleApp", row: ProcessRow) -> None:
    """Have a nice value chosen and set for exactly this process; returns when the dialog is open."""

    def chosen(nice: int | None) -> None:
        if nice is not None:
            app.run_worker(_act(app, PROCESS_RENICE.name, ReniceArgs(row.pid, row.start, nice)))

    await app.push_screen(ReniceDialog(row), chosen)


async def _act(app: "ConsoleApp", op: str, args: Struct) -> None:
    done = await app.ask(op, args)
    if isinstance(done, Done):
        app.tell(done.text)


class DialogPane(Pane, can_focus=True):
    """The box of a dialog: a border, who is meant, and what the dialog has to say."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """The box, its content cut to the height."""
        screen = self.screen
        assert isinstance(screen, Dialog)
        who = screen.who(state, brief=height < screen.wanted_height)
        keys = self.inner().put(screen.keys(), "dim")
        content = screen.content(height - len(who) - 3)
        return [self._edge(width, top=True), *map(self._framed, [*who, *content, keys]), self._edge(width, top=False)]

    def inner(self, on: str = "background") -> Line:
        """A line inside the border."""
        return Line(self.look, self.size.width - 4, on)

    def _edge(self, width: int, *, top: bool) -> Line:
        corners = _ASCII_CORNERS if self.look.ascii else _CORNERS
        left, right = (corners[0], corners[1]) if top else (corners[2], corners[3])
        line = self.line().put(left + self.look.glyphs.rule, "border")
        if top:
            line.put(f" {self._title} ", "title")
        return line.put(self.look.glyphs.rule * (width - line.x - 1), "border").put(right, "border")

    def _framed(self, inside: Line) -> Line:
        line = self.line().put(self.look.glyphs.side, "border").gap()
        for text, style, _ in inside.strip():
            line.styled(text, style) if style else line.put(text)
        return line.to(self.size.width - 2).gap().put(self.look.glyphs.side, "border")


class Dialog(ModalScreen[T]):
    """A dialog about one thing.

    Attributes:
        wanted_height: Lines with nothing left out.
    """

    CSS_PATH = "../styles/dialogs.tcss"
    TITLE_TEXT: ClassVar[str] = ""
    wanted_height: int = 0

    def compose(self) -> ComposeResult:
        """The box."""
        yield DialogPane(self.TITLE_TEXT)

    def on_mount(self) -> None:
        """It takes the keys, and goes on watching whether the process is there."""
        self.box.styles.height = self.wanted_height
        self.box.focus()
        self.set_interval(_REFRESH_S, self.redraw)

    @property
    def box(self) -> DialogPane:
        """The box."""
        return self.query_one(DialogPane)

    @property
    def console_app(self) -> "ConsoleApp":
        """The app, by its own type."""
        return self.box.console_app

    def redraw(self) -> None:
        """Show what has changed."""
        self.box.show(self.console_app.state)

    def who(self, state: State, *, brief: bool) -> list[Line]:
        """Who is meant, and what became of it."""
        raise NotImplementedError

    def content(self, height: int) -> list[Line]:
        """What there is to choose, in so many lines."""
        raise NotImplementedError

    def keys(self) -> str:
        """What the keys do."""
        raise NotImplementedError

    def press(self, key: str, character: str | None) -> None:
        """Take a key that neither closes nor moves."""

    def move(self, steps: int) -> None:
        """Choose another one."""
        raise NotImplementedError

    def accept(self) -> None:
        """Enter."""
        raise NotImplementedError

    def on_key(self, event: Key) -> None:
        """Enter acts, Esc leaves, arrows and the keys for up and down choose; no other key does anything here."""
        event.stop()
        event.prevent_default()
        if self.app.screen is not self:
            return  # it was on its way here when the one before it ended the dialog: nothing is done twice
        action = self.console_app.keymap.resolve(event.key, "", replay=False)
        meant = action.id if action else ""
        if event.key == "enter":
            self.accept()
        elif event.key == "escape":
            self.dismiss(None)
            return
        elif event.key == "down" or meant == "nav.down":
            self.move(1)
        elif event.key == "up" or meant == "nav.up":
            self.move(-1)
        else:
            self.press(event.key, event.character)
        if self.is_current:
            self.redraw()


class ProcessDialog(Dialog[T]):
    """A dialog about one process."""

    def __init__(self, row: ProcessRow) -> None:
        super().__init__()
        self.subject = Subject(row)

    def who(self, state: State, *, brief: bool) -> list[Line]:
        """The process, and whether it is there."""
        self.subject.follow(state)
        row, gone, box = self.subject.row, what_became(self.subject), self.box
        first = box.inner().put(f"{row.pid} ", "title").put(row.name, "accent")
        if gone:
            first.gap(2).put(f"{box.look.glyph('stale')} {gone}", "stale")
        second = box.inner().put("of ", "dim").put(row.user or units.UNKNOWN).put("  started ", "dim").put(day_and_time(row.started))
        third = box.inner().put(row.command or f"[{row.name}]", "dim", box.size.width - 4)
        return [first, second, third] if brief else [first, second, third, box.inner()]


class SignalDialog(ProcessDialog[int]):
    """Choose a signal: dismissed with its number, or None."""

    TITLE_TEXT = "Send a signal to"
    wanted_height = 16

    def __init__(self, row: ProcessRow) -> None:
        super().__init__(row)
        self._at = 0
        self._first = 0
        self._sure = False

    def content(self, height: int) -> list[Line]:
        """A signal a line."""
        self._first = max(self._at - height + 1, min(self._first, self._at), 0)
        return [self._line(choice, chosen=choice is CHOICES[self._at]) for choice in CHOICES[self._first : self._first + height]]

    def _line(self, choice: Choice, *, chosen: bool) -> Line:
        line = self.box.inner("selection" if chosen else "background")
        line.put(self.box.look.glyphs.marker if chosen else " ", "accent").put(choice.name, "foreground", 5)
        line.put(str(int(choice.number)), "dim", 2, right=True).gap(2)
        if chosen and self._sure:
            return line.put("press Enter again to kill", "critical")
        return line.put(choice.text, "foreground" if chosen else "dim")

    def keys(self) -> str:
        """What Enter would do now."""
        return f"Enter send {CHOICES[self._at].name}   Esc cancel"

    def move(self, steps: int) -> None:
        """Another signal; what was confirmed half is not."""
        self._at = max(0, min(len(CHOICES) - 1, self._at + steps))
        self._sure = False

    def accept(self) -> None:
        """Send it; KILL at the second time."""
        number = CHOICES[self._at].number
        if number == signal.SIGKILL and not self._sure:
            self._sure = True
            return
        self.dismiss(int(number))

    def press(self, key: str, character: str | None) -> None:  # noqa: ARG002  whatever it was
        """Any other key takes the half confirmation back."""
        self._sure = False

    def on_click(self, event: Click) -> None:
        """A click chooses, and never sends."""
        if event.widget is self.box:
            at = self._first + event.y - (self.wanted_height - len(CHOICES) - 2 if self.box.size.height >= self.wanted_height else 4)
            if 0 <= at < len(CHOICES):
                self.move(at - self._at)
                self.redraw()


class ReniceDialog(ProcessDialog[int]):
    """Choose a nice value: dismissed with it, or None."""

    TITLE_TEXT = "Set the nice value of"
    wanted_height = 11

    def __init__(self, row: ProcessRow) -> None:
        super().__init__(row)
        self._text = str(row.nice)
        self._fresh = True
        self._trouble = ""

    @property
    def _value(self) -> int | None:
        """What is written, if it is a nice value."""
        try:
            value = int(self._text)
        except ValueError:
            return None
        return value if _LEAST_NICE <= value <= _MOST_NICE else None

    def content(self, height: int) -> list[Line]:
        """The value, what it means, and where it lies."""
        box, value, now = self.box, self._value, self.subject.row.nice
        chosen = box.inner().put("nice ", "dim").put(f" {self._text} ", "title").put(f"  is {now} now", "dim")
        scale = box.inner().put("-20 ", "dim")
        for nice in range(_LEAST_NICE, _MOST_NICE + 1):
            at = box.look.glyphs.marker if nice == value else box.look.glyphs.side if nice == now else box.look.glyphs.rule
            scale.put(at, "accent" if nice == value else "border")
        scale.put(" 19", "dim")
        meaning = box.inner().put(self._trouble or self._meaning(value), "warning_bar" if self._trouble else "dim")
        return [chosen, scale, meaning, box.inner()][:height]

    def _meaning(self, value: int | None) -> str:
        if value is None:
            return f"{_LEAST_NICE} to {_MOST_NICE}"
        now = self.subject.row.nice
        if value == now:
            return "-20 gets the most CPU when it is short, 19 the least"
        return "less CPU than now when it is short" if value > now else "more CPU than now when it is short; needs root"

    def keys(self) -> str:
        """How a value is chosen."""
        return "arrows or digits   Enter set   Esc cancel"

    def move(self, steps: int) -> None:
        """A value that many lower: up is more, as right is on the scale."""
        before = self.subject.row.nice if self._value is None else self._value
        self._text, self._fresh, self._trouble = str(max(_LEAST_NICE, min(_MOST_NICE, before - steps))), True, ""

    def accept(self) -> None:
        """Set it, if it is one."""
        if self._value is None:
            self._trouble = f"{self._text or 'nothing'} is no nice value: {_LEAST_NICE} to {_MOST_NICE}"
        else:
            self.dismiss(self._value)

    def press(self, key: str, character: str | None) -> None:
        """Digits and the sign replace what was there, then add to it."""
        if key in {"left", "right"}:
            self.move(1 if key == "left" else -1)
            return
        if key == "backspace":
            self._text = self._text[:-1]
        elif character and (character.isdecimal() or character == "-"):
            self._text = (character if self._fresh else self._text + character)[:3]
        else:
            return
        self._fresh, self._trouble = False, ""
