"""What screens about one thing have in common: facts and charts above, sections below, and answers that stand in them."""

from collections.abc import Sequence
from typing import Any, ClassVar

from msgspec import Struct
from textual.binding import Binding, BindingType

from perfconsole.core.errors import RequestError
from perfconsole.ui.screens.base import ConsoleScreen
from perfconsole.ui.widgets.pane import Pane
from perfconsole.ui.widgets.section import Answer, Section


class SectionedScreen(ConsoleScreen, inherit_bindings=False):
    """A screen with sections: side by side where there is room, else behind each other, with a row of tabs.

    Attributes:
        ONLY_LIVE: What a recording lacks, in words, for what is asked of a live thing only.
    """

    # Textual's own Tab goes to what can be seen, and would never reach a section that lies behind.
    BINDINGS: ClassVar[list[BindingType]] = [Binding("shift+tab", "section_before", show=False)]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-medium"), (30, "-tall")]
    ONLY_LIVE: ClassVar[str] = ""
    AUTO_FOCUS = ""
    """Each brings a section of its own choice: another that had the keys first would take what is typed right after."""

    sections: Sequence[Section]
    _brought: Section | None = None

    @property
    def pane(self) -> Pane | None:
        """The section with the focus, or that was given it: it comes a moment later, and what is typed right after Tab is meant for it."""
        return self._brought or super().pane

    def on_descendant_focus(self) -> None:
        """It has come."""
        self._brought = None

    @property
    def tabbed(self) -> bool:
        """Whether the sections lie behind each other."""
        return not (self.has_class("-wide") and self.has_class("-tall"))

    def bring(self, section: Section) -> None:
        """Bring a section to the front and give it the keys."""
        for other in self.sections:
            other.set_class(other is section, "-front")
        self._brought = section
        section.focus()

    def do_pane_next(self) -> None:
        self._turn(1)

    def action_section_before(self) -> None:
        """The section before this one."""
        self._turn(-1)

    def _turn(self, steps: int) -> None:
        front = next((i for i, section in enumerate(self.sections) if section is self.pane), -1)
        self.bring(self.sections[(front + steps) % len(self.sections)])

    # Asking -----------------------------------------------------------------------------------------------------------------------

    def ask_for(self, answer: Answer[Any], op: str, args: Struct) -> bool:
        """Ask for what is read on request; where that cannot be had now, have the answer say why.

        Returns:
            Whether it was asked for.
        """
        app = self.console_app
        if app.offers(op):
            answer.asked = answer.waiting = True
            answer.trouble = answer.fix = ""
            self.run_worker(self._answered(answer, op, args), group=op, exclusive=True)
            return True
        if app.replaying:
            answer.trouble = self.ONLY_LIVE
        elif app.frozen:
            answer.trouble = "not read while a moment is held; it is as soon as that ends"
        elif app.state.stream:
            answer.trouble = "this source does not offer it"
        answer.fix = ""
        return False

    async def _answered(self, answer: Answer[Any], op: str, args: Struct) -> None:
        app = self.console_app
        try:
            # Not the app's `ask`: a refusal belongs where the result would be, and stays there.
            answer.result = await app.source.request(op, args)
        except RequestError as error:
            answer.trouble, answer.fix = error.message, error.fix
        else:
            answer.trouble = answer.fix = ""
            answer.at = app.state.at
        answer.waiting = False
        self.answered(answer)
        self.show(app.state)

    def answered(self, answer: Answer[Any]) -> None:
        """Called when an answer or a refusal is there."""
