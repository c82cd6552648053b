"""One process in detail: who it is, what it has used since this was opened, its family, and what is read of it on request."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal

from perfconsole.core.errors import RequestError
from perfconsole.core.requests import PROCESS_DETAIL, PROCESS_RENICE, PROCESS_SIGNAL, ProcessDetail, ProcessId
from perfconsole.core.state import State
from perfconsole.core.tables import EXPENSIVE, ProcessRow, View
from perfconsole.ui.screens.base import ConsoleScreen
from perfconsole.ui.subject import Subject
from perfconsole.ui.widgets.detail import FactsPane, ProcessChart, TrendsPane, cpu_measure, disk_measures, memory_measure, what_became
from perfconsole.ui.widgets.pane import Pane
from perfconsole.ui.widgets.sections import Answer, FamilySection, Section, sections

_EVERY_ROW = 1 << 20
_NEEDS = {"process.signal": PROCESS_SIGNAL.name, "process.renice": PROCESS_RENICE.name}


class ProcessScreen(ConsoleScreen, inherit_bindings=False):
    """A process, followed by pid and start time: when it ends its last values stay.

    Args:
        row: The process, as it was when this was opened.
    """

    SCOPE = "processes"
    HINTS: ClassVar[Sequence[tuple[str, str]]] = (
        ("back", "back"), ("pane.next", "section"), ("open", "open, read again"), ("process.signal", "signal"),
        ("process.renice", "renice"), ("freeze", "freeze"), ("time.wider", "window"), ("help", "help"), ("quit", "quit"),
    )  # fmt: skip
    # Textual's own Tab goes to what can be seen, and would never reach a section that lies behind.
    BINDINGS: ClassVar[list[BindingType]] = [Binding("shift+tab", "section_before", show=False)]
    CSS_PATH = "../styles/process.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-medium"), (30, "-tall")]

    def __init__(self, row: ProcessRow) -> None:
        super().__init__()
        self.subject = Subject(row)
        self.answer = Answer()
        self.sections = list(sections(self.subject, self.answer))

    def body(self) -> ComposeResult:
        """Facts and charts above, sections below."""
        yield FactsPane(self.subject)
        with Horizontal(id="charts"):
            yield ProcessChart(self.subject, cpu_measure())
            yield ProcessChart(self.subject, memory_measure())
        yield TrendsPane(self.subject, cpu_measure(), memory_measure(), *disk_measures(), id="trends")
        yield TrendsPane(self.subject, *disk_measures(), id="disk")
        with Container(id="sections"):
            yield from self.sections

    def on_mount(self) -> None:
        """The family is known already; what is not is asked for at once, not with the next tick."""
        self.bring(self.sections[0])
        self.show(self.console_app.state)

    # Showing ----------------------------------------------------------------------------------------------------------------------

    @property
    def tabbed(self) -> bool:
        """Whether the sections lie behind each other."""
        return not (self.has_class("-wide") and self.has_class("-tall"))

    def views(self) -> list[View]:
        """All processes, of which this one is measured closely and its values kept."""
        return [View("process", limit=_EVERY_ROW, keys=(self.subject.row.key,), columns=(*sorted(EXPENSIVE), "history"))]

    def show(self, state: State) -> None:
        """Follow the process, then bring the panes up to date."""
        self.subject.follow(state)
        if not self.answer.asked and self.subject.live:
            self._read()
        super().show(state)

    def bring(self, section: Section) -> None:
        """Bring a section to the front and give it the keys."""
        for other in self.sections:
            other.set_class(other is section, "-front")
        section.focus()

    # Reading on request -----------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Ask for what is read on request; where that cannot be had now, say why."""
        app = self.console_app
        if app.offers(PROCESS_DETAIL.name):
            self.answer.asked = True
            self.run_worker(self._fetch(), group="detail", exclusive=True)
        elif app.replaying:
            self.answer.trouble = "a recording does not hold this: it is read of a live process only"
        elif app.frozen:
            self.answer.trouble = "not read while a moment is held; it is as soon as that ends"
        elif app.state.stream:
            self.answer.trouble = "this source does not offer it"

    async def _fetch(self) -> None:
        row, answer = self.subject.row, self.answer
        try:
            # Not `ask`: a refusal belongs where the result would be, and stays there.
            result = await self.console_app.source.request(PROCESS_DETAIL.name, ProcessId(row.pid, row.start))
        except RequestError as error:
            answer.trouble = str(error)
        else:
            assert isinstance(result, ProcessDetail)
            answer.detail, answer.at = result, self.console_app.state.at
        super().show(self.console_app.state)

    # Actions ----------------------------------------------------------------------------------------------------------------------

    def can(self, action_id: str) -> bool:
        """Actions need a source that offers them, and a process that is there."""
        op = _NEEDS.get(action_id)
        return op is None or (self.console_app.offers(op) and self.subject.live)

    def do_pane_next(self) -> None:
        self._turn(1)

    def action_section_before(self) -> None:
        """The section before this one."""
        self._turn(-1)

    def _turn(self, steps: int) -> None:
        front = next((i for i, section in enumerate(self.sections) if section.has_focus), -1)
        self.bring(self.sections[(front + steps) % len(self.sections)])

    async def do_open(self) -> None:
        """Open a relative; elsewhere read again."""
        pane = self.pane
        if isinstance(pane, FamilySection):
            if pane.row:
                await self.app.push_screen(ProcessScreen(pane.row))
        elif not self.subject.live:
            self.console_app.tell(f"process {self.subject.row.pid}: {what_became(self.subject)}", "warning")
        elif self.console_app.offers(PROCESS_DETAIL.name):
            self._read()
        else:
            self.console_app.tell("what is read on request cannot be had here now", "warning")

    async def on_pane_opened(self, event: Pane.Opened) -> None:
        """A click on the selected relative."""
        event.stop()
        await self.do_open()

    async def do_process_signal(self) -> None:
        from perfconsole.ui.screens.dialogs import send_signal  # noqa: PLC0415  only when asked

        await send_signal(self.console_app, self.subject.row)

    async def do_process_renice(self) -> None:
        from perfconsole.ui.screens.dialogs import renice  # noqa: PLC0415  only when asked

        await renice(self.console_app, self.subject.row)
