"""What changed of late, on the Operations screen: the most telling of it, newest first; in one line the most telling alone."""

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from textual.events import Click

from perfconsole.core.alert_words import gathered
from perfconsole.core.state import State
from perfconsole.core.tick import Event
from perfconsole.ui import changes
from perfconsole.ui.line import Line
from perfconsole.ui.verdict import judge
from perfconsole.ui.widgets.pane import Pane

_SHORT: Final = 20
_TALL: Final = 30
_HIGH: Final = 44
_BESIDE: Final = 15
"""Lines that it shares with the alerts on a wide screen; and what it has of them at the least, a title included."""
_LEAST: Final = 3


def room(wide: bool, rows: int) -> int:
    """Lines that a screen has for it, the title included: where there is little, alerts and processes matter more."""
    if rows < _SHORT:
        return 0
    if not wide and rows < _TALL:
        return 1
    return 5 if rows < _HIGH else 7


class ChangesPane(Pane, can_focus=True):
    """A list, and as high as it needs to be.

    Attributes:
        selected: The selected line; None for none.
        expanded: It has the whole screen.
    """

    TITLE = "Changes"

    def __init__(self, id: str | None = None) -> None:  # noqa: A002  Textual's word
        super().__init__(id=id)
        self.selected: Event | None = None
        self._expanded = False
        self._asked = 0
        self._first = 0
        self._listed: list[Event] = []

    @property
    def expanded(self) -> bool:
        """Whether it has the whole screen."""
        return self._expanded

    @expanded.setter
    def expanded(self, large: bool) -> None:
        self._expanded, self._asked = large, 0
        if large:
            self.styles.height = None  # what the style sheet says of a large pane
            state = self.console_app.state
            self._listed = changes.recent(state.events, state.at)  # for the key that comes before it is drawn

    @property
    def chosen(self) -> Event | None:
        """The selected one."""
        return self.selected if self.selected in self._listed else None

    def move(self, rows: int) -> None:
        """Move the selection; in one line, through all of them."""
        listed = self._listed
        if listed:
            at = listed.index(self.selected) if self.selected in listed else -1 if rows > 0 else 0
            self.selected = listed[max(0, min(len(listed) - 1, at + rows))]
            self.show(self.console_app.state)

    def choose(self, event: Event) -> None:
        """Select an event, if it is listed."""
        self.selected = event
        self.show(self.console_app.state)

    # Showing ----------------------------------------------------------------------------------------------------------------------

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002  lines know it
        """The title, and a line each."""
        every = changes.recent(state.events, state.at)
        if not self._expanded:
            self._take(min(self._room(state), 1 + len(every)))
        if height == 1:
            return [self._brief(every, state)]
        rows = max(1, height - 1)
        self._listed = every if self._expanded else changes.telling(every, rows)
        self._follow(rows)
        shown = self._listed[self._first : self._first + rows]
        cells = max((len(changes.when(event, state.at)) for event in shown), default=0)
        kinds = max((len(changes.title(event)) for event in shown), default=0)
        more = len(every) - len(self._listed)
        window = changes.window_text(changes.RECENT_S)
        title = self.title_line("CHANGES", f"last {window}" + (f"  +{more} more" if more else ""))
        lines = [title, *(self._line(event, cells, kinds, state) for event in shown)]
        return lines if shown else [title, self.line().gap().put(f"nothing known has changed in the last {window}", "dim")]

    def _room(self, state: State) -> int:
        """Lines that there are for it; where alerts stand above it, all that fire come first, but for the last lines."""
        wide = self.screen.has_class("-wide")
        lines = room(wide, self.screen.size.height)
        return max(_LEAST, min(lines, _BESIDE - 2 - len(gathered(judge(state).alerts)))) if wide else lines

    def _take(self, wanted: int) -> None:
        """Ask for so many lines; a layout costs as much as a screen, and is asked for only when that is another number."""
        wanted = max(1, wanted)
        if self._asked != wanted:
            self._asked = wanted
            self.styles.height = wanted

    def _follow(self, rows: int) -> None:
        at = self._listed.index(self.selected) if self.selected in self._listed else -1
        self._first = 0 if at < 0 else max(at - rows + 1, min(self._first, at))
        self._first = max(0, min(self._first, len(self._listed) - rows))

    def _line(self, event: Event, cells: int, kinds: int, state: State) -> Line:
        chosen = event == self.selected and (self.has_focus or self.console_app.pump.past is not None)
        line = self.line("selection" if chosen else "background").put(self.look.glyphs.marker if chosen else " ", "accent")
        line.put(changes.when(event, state.at), "dim", cells).gap()
        line.put(*changes.sign(self.look, event)).gap()
        return line.put(changes.title(event), "dim", kinds).gap().put(event.text)

    def _brief(self, every: Sequence[Event], state: State) -> Line:
        """The selected one, else the most telling, and how many there are: ``CHANGES  14:02 mark deploy 1.4.2   3 in 2h``."""
        self._listed = list(every)
        looking = self.has_focus or self.console_app.pump.past is not None
        told = self.chosen if looking else None
        told = told or next(iter(changes.telling(every, 1)), None)
        line = self.title_line("CHANGES").gap(2)
        note = f"{len(every)} in {changes.window_text(changes.RECENT_S)}"
        if told is not None:
            head = f"{changes.when(told, state.at)} "
            line.put(head, "dim").put(*changes.sign(self.look, told)).gap().put(changes.title(told), "dim").gap()
            line.put(told.text, "foreground", max(0, min(cell_len(told.text), line.left - len(note) - 3)))
        return line.to(max(line.x + 1, line.width - len(note) - 1)).put(note, "dim")

    # Mouse and clipboard ----------------------------------------------------------------------------------------------------------

    def copied(self) -> str:
        """The selected line as Markdown."""
        return changes.markdown(self.chosen) if self.chosen else ""

    def on_click(self, event: Click) -> None:
        """Select one, open it when it was selected; the one line opens at once."""
        at = self._first + event.y - 1
        if self.size.height == 1:
            self.post_message(self.Opened(self, self.selected))
        elif event.y >= 1 and at < len(self._listed):
            again = self._listed[at] == self.selected
            self.selected = self._listed[at]
            self.show(self.console_app.state)
            if again:
                self.post_message(self.Opened(self, self.selected))
