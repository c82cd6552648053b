"""The widget that all live panes are: finished lines, compared with what is on the screen, of which only changed spans are painted.

Measured against Textual's own table and sparkline: 2.5 KB a paint in place of 17, and 0.6 % of a core in place of 3.3.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, ClassVar

from textual.filter import LineFilter
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from perfconsole.core.state import State
from perfconsole.ui.line import Line, changed
from perfconsole.ui.look import Look

if TYPE_CHECKING:
    from perfconsole.ui.app import ConsoleApp


class Pane(Widget):
    """A rectangle of lines made from the state.

    Subclasses say what is in it in `lines`. What they are given is the state that is drawn: they do not know whether it is live, frozen,
    replayed or from another machine.
    """

    TITLE: ClassVar[str] = ""
    """What the pane is called in help and when it has the focus; a pane without a title cannot be expanded."""

    class Opened(Message):
        """Something in a pane was opened (Enter, click); the screen knows where that leads."""

        def __init__(self, pane: "Pane", key: object) -> None:
            super().__init__()
            self.pane = pane
            self.key = key

    def __init__(self, id: str | None = None) -> None:  # noqa: A002  Textual's word
        super().__init__(id=id)
        self._strips: list[Strip] = []
        self._width = 0

    # What subclasses say ----------------------------------------------------------------------------------------------------------

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """The pane's lines for a state; missing ones are left empty, those beyond `height` dropped."""
        raise NotImplementedError

    def copied(self) -> str:
        """What copying copies: text of what is selected."""
        return ""

    # What they use ----------------------------------------------------------------------------------------------------------------

    @cached_property
    def console_app(self) -> "ConsoleApp":
        """The app, by its own type."""
        from perfconsole.ui.app import ConsoleApp  # noqa: PLC0415  the app mounts the panes

        assert isinstance(self.app, ConsoleApp)
        return self.app

    @property
    def look(self) -> Look:
        """Styles and glyphs."""
        return self.console_app.look

    def line(self, on: str = "background") -> Line:
        """A new line, as wide as the pane."""
        return Line(self.look, self._width or self.size.width, on)

    def title_line(self, title: str, note: str = "", severity: str = "") -> Line:
        """The bar on top of a pane: its name, perhaps a state, a note at its right; marked while the pane has the focus."""
        line = self.line("panel")
        marker = self.look.glyphs.marker if self.has_focus else " "
        line.put(marker, "accent").put(title, "title")
        if severity:
            line.gap(2).put(self.look.glyph(severity), severity)
        if note:
            line.to(max(line.x + 2, line.width - len(note) - 1)).put(note, "dim")
        return line

    # Painting ---------------------------------------------------------------------------------------------------------------------

    def show(self, state: State) -> None:
        """Bring the screen up to date with a state; paints nothing where nothing changed."""
        width, height = self.size
        if not width or not height:
            return
        old, self._strips = self._strips, self._made(state)
        if len(old) != height or old[0].cell_length != width:
            self.refresh()
            return
        pairs = enumerate(zip(old, self._strips, strict=True))
        regions = [Region(x1, y, x2 - x1, 1) for y, (was, now) in pairs if was is not now for x1, x2 in changed(was, now)]
        if regions:
            self.refresh(*regions)

    def _made(self, state: State) -> list[Strip]:
        """The lines, as many as there is room for; those that say what they said before are the very same."""
        width, height = self.size
        self._width = width  # to ask Textual for it takes as long as half a line
        lines = list(self.lines(state, width, height)[:height])
        lines += [self.line() for _ in range(height - len(lines))]
        return [line.strip(before) for line, before in zip_longest(lines, self._strips[: len(lines)])]

    def repaint(self) -> None:
        """Draw everything again: another theme, another size, another selection."""
        self._strips = []
        self.show(self.console_app.state)

    def on_resize(self) -> None:
        """A new size is a new picture: it is made when it is painted, which Textual is about to do."""
        self._strips, self._width = [], 0

    def watch_has_focus(self, has_focus: bool) -> None:
        """The focus is shown in the title. Not on the events: those reach this class before `has_focus` has changed."""
        super().watch_has_focus(has_focus)
        self.show(self.console_app.state)

    def get_content_width(self, container: Size, viewport: Size) -> int:  # noqa: ARG002  Textual's signature
        """As wide as it may be: the content never asks for a layout."""
        return container.width

    def _set_dirty(self, *regions: Region) -> None:
        """Note what is to be painted; for Textual's own cache of lines, which a pane does without, it would be noted twice more.

        And there for good: over a day that is a set of all spans that ever changed, 10 MiB.
        """
        if regions:
            self._repaint_regions.update(regions)
        else:
            self._repaint_regions = {self.size.region}

    def get_line_filters(self) -> Sequence[LineFilter]:
        """None: the look already knows what the terminal can show."""
        return []

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines of a region, as they stand: no style cache in between, since there is neither border nor padding."""
        if not self._strips:
            self._strips = self._made(self.console_app.state)
        strips = self._strips[crop.y : crop.bottom]
        while len(strips) < crop.height:
            strips.append(self.line().strip())
        if crop.column_span == (0, self.size.width):
            return strips
        return [strip.crop(*crop.column_span) for strip in strips]
