"""What all screens of the console share: header, footer, panes, and the actions that work on the pane with the focus."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.screen import Screen
from textual.widget import Widget

from perfconsole.core.state import State
from perfconsole.core.tables import View
from perfconsole.ui.widgets.footer import Footer
from perfconsole.ui.widgets.header import LEAST_HEIGHT, LEAST_WIDTH, Header
from perfconsole.ui.widgets.pane import Pane

if TYPE_CHECKING:
    from perfconsole.ui.app import ConsoleApp


class ConsoleScreen(Screen[None], inherit_bindings=False):
    """A screen made of panes. Keys mean what the table of actions says, not what Textual binds: Tab can be another key.

    Attributes:
        SCOPE: Its name in the table of actions.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("shift+tab", "app.focus_previous", show=False)]
    SCOPE: ClassVar[str] = ""
    HINTS: ClassVar[Sequence[tuple[str, str]]] = ()
    """Action ids and short titles for the footer, the most useful first."""

    _had_focus: Widget | None = None

    def compose(self) -> ComposeResult:
        """Header, body, footer."""
        yield Header()
        yield from self.body()
        yield Footer()

    def body(self) -> ComposeResult:
        """The panes between header and footer."""
        raise NotImplementedError

    def views(self) -> list[View]:
        """What of the tables is looked at here."""
        return []

    def hints(self) -> Sequence[tuple[str, str]]:
        """`HINTS`, as they are to be worded here and now."""
        return self.HINTS

    def can(self, action_id: str) -> bool:  # noqa: ARG002  all of them, unless a screen says otherwise
        """Whether an action can be done here and now; what cannot is neither bound nor shown."""
        return True

    @property
    def console_app(self) -> "ConsoleApp":
        """The app, by its own type."""
        from perfconsole.ui.app import ConsoleApp  # noqa: PLC0415  the app mounts the screens

        assert isinstance(self.app, ConsoleApp)
        return self.app

    @property
    def footer(self) -> Footer:
        """The footer."""
        return self.query_one(Footer)

    @property
    def panes(self) -> list[Pane]:
        """All panes."""
        return list(self.walk_children(Pane, with_self=False))  # a query takes a selector apart, and matches every node with it

    @property
    def pane(self) -> Pane | None:
        """The pane with the focus."""
        return self.focused if isinstance(self.focused, Pane) else None

    def show(self, state: State) -> None:
        """Bring every pane that can be seen up to date."""
        for pane in self.panes:
            if pane.display:
                pane.show(state)

    def repaint(self) -> None:
        """Draw everything again."""
        for pane in self.panes:
            pane.repaint()

    def on_screen_resume(self) -> None:
        """What happened while it was hidden, or before it was first painted, is shown at once."""
        self.console_app.pump.drain()
        self.repaint()
        self.console_app.look_at()

    def on_resize(self, event: Resize) -> None:
        """Below the least size only the header is left, which says so; the focus, which a hidden pane loses, is given back after."""
        tiny = event.size.width < LEAST_WIDTH or event.size.height < LEAST_HEIGHT
        if tiny and self.focused:
            self._had_focus = self.focused
        self.set_class(tiny, "-tiny")
        if self._had_focus and not tiny:
            self.call_after_refresh(self._had_focus.focus)
            self._had_focus = None

    async def back(self) -> None:
        """Esc: what was opened last is closed; never quits."""
        if len(self.app.screen_stack) > 1:
            self.dismiss()

    # Actions on the pane with the focus ---------------------------------------------------------------------------------------------

    def _move(self, rows: int) -> None:
        move = getattr(self.pane, "move", None)
        if move:
            move(rows)

    def do_nav_down(self) -> None:
        self._move(1)

    def do_nav_up(self) -> None:
        self._move(-1)

    def do_nav_first(self) -> None:
        self._move(-(1 << 20))

    def do_nav_last(self) -> None:
        self._move(1 << 20)

    def do_nav_page_down(self) -> None:
        self._move(self._page())

    def do_nav_page_up(self) -> None:
        self._move(-self._page())

    def _page(self) -> int:
        return max(1, self.pane.size.height - 3) if self.pane else 1

    def do_pane_next(self) -> None:
        self.focus_next()
