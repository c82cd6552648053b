"""Facts read on request, in sections behind each other, the selected one in full below with what would mend it; a server's, a machine's."""

from collections.abc import Sequence
from typing import Any, ClassVar

from msgspec import Struct
from textual.app import ComposeResult
from textual.containers import Container

from perfconsole.core.requests import FactSection, Spec
from perfconsole.core.state import State
from perfconsole.ui.screens.sectioned import SectionedScreen
from perfconsole.ui.widgets.fact_sections import ChosenPane, FactsSection, sections_of
from perfconsole.ui.widgets.section import Answer, Section


class FactsScreen(SectionedScreen):
    """What is asked for once, and again by Enter.

    Args:
        subject: What the facts are of, in words.
        args: Of the request.

    Attributes:
        SPEC: The request; its result has `sections`.
    """

    HINTS: ClassVar[Sequence[tuple[str, str]]] = (
        ("back", "back"), ("pane.next", "section"), ("open", "read again"), ("copy", "copy the fix"), ("filter", "filter"),
        ("freeze", "freeze"), ("help", "help"), ("quit", "quit"),
    )  # fmt: skip
    CSS_PATH = "../styles/facts.tcss"
    SPEC: ClassVar[Spec]

    def __init__(self, subject: str, args: Struct) -> None:
        super().__init__()
        self.subject = subject
        self._args = args
        self.match = ""
        self.answer: Answer[Any] = Answer()
        self.parts: list[FactsSection] = [FactsSection(self.answer)]
        self.sections = self.parts

    def body(self) -> ComposeResult:
        """The findings; the other sections come with the answer."""
        with Container(id="sections"):
            yield from self.parts
        yield ChosenPane(id="chosen")

    def on_mount(self) -> None:
        """Ask at once, not with the next tick."""
        self.bring(self.parts[0])
        self.show(self.console_app.state)

    # Showing ----------------------------------------------------------------------------------------------------------------------

    @property
    def tabbed(self) -> bool:
        """They always lie behind each other: their lines need the width."""
        return True

    @property
    def front_part(self) -> FactsSection | None:
        """The section in front."""
        return next((part for part in self.parts if part.has_class("-front")), None)

    @property
    def detail_sections(self) -> Sequence[FactSection]:
        """What was read."""
        return self.answer.result.sections if self.answer.result else ()

    @property
    def reading(self) -> str:
        """What is said of a second reading, or of one that failed, while the first is shown, or what is known without any."""
        if self.answer.result is None:
            return self.answer.text if self.detail_sections else ""
        if self.answer.waiting:
            return f"reading {self.subject} again{self.console_app.look.glyphs.ellipsis}"
        return f"not read again: {self.answer.text}" if self.answer.trouble else ""

    @property
    def read_when(self) -> str:
        """When it was read."""
        return f"{self.subject}  {self.parts[0].read_at(self.answer)}" if self.answer.result else ""

    def show(self, state: State) -> None:
        """Ask, if that could not be done before; then bring the panes up to date."""
        if not self.answer.asked:
            self._read()
        self.have_sections()
        super().show(state)
        self.tell_chosen()

    def tell_chosen(self) -> None:
        """Bring the pane of the selected fact up to date: the sections decide which it is when they are drawn."""
        for pane in self.query(ChosenPane):
            pane.show(self.console_app.state)

    def bring(self, section: Section) -> None:
        """Bring a section to the front; the selected fact is another one then."""
        assert isinstance(section, FactsSection)
        super().bring(section)
        self.call_after_refresh(self.tell_chosen)

    def have_sections(self) -> None:
        """Mount the sections that have come, with this answer or this state; those that are gone stay, at the end."""
        parts = self.detail_sections
        new = sections_of(self.answer, parts, self.parts)
        if new:
            self.parts += new
            order = [part.title for part in parts]
            self.parts[1:] = sorted(self.parts[1:], key=lambda each: order.index(each.NAME) if each.NAME in order else len(order))
            self.query_one("#sections").mount(*new)

    # Reading ----------------------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        self.ask_for(self.answer, self.SPEC.name, self._args)

    # Actions ----------------------------------------------------------------------------------------------------------------------

    def do_open(self) -> None:
        """Read again."""
        if self.console_app.offers(self.SPEC.name):
            self._read()
            self.tell_chosen()
        else:
            self.console_app.tell("what is read on request cannot be had here now", "warning")

    async def back(self) -> None:
        """Esc takes the filter away, then closes the screen."""
        if self.match:
            self.filter("")
        else:
            await super().back()

    def filter(self, words: str) -> None:
        """Show what has these words in it, in every section."""
        self.match = words
        self.show(self.console_app.state)

    async def do_filter(self) -> None:
        """Ask for words to look for, showing matches while they are typed."""
        from perfconsole.ui.screens.prompt import ask_filter  # noqa: PLC0415  only when asked

        await ask_filter(self.app, self, "words in any section")
