"""One process in detail: who it is, what it has used since this was opened, its family, and what is read of it on request."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Container, Horizontal

from perfconsole.core.requests import PROCESS_DETAIL, PROCESS_RENICE, PROCESS_SIGNAL, ProcessDetail, ProcessId
from perfconsole.core.state import State
from perfconsole.core.tables import EXPENSIVE, ProcessRow, View
from perfconsole.ui.screens.sectioned import SectionedScreen
from perfconsole.ui.subject import Subject
from perfconsole.ui.widgets.detail import CpuMeasure, FactsPane, MemoryMeasure, disk_measures, what_became
from perfconsole.ui.widgets.measures import MeasureChart, TrendsPane
from perfconsole.ui.widgets.pane import Pane
from perfconsole.ui.widgets.section import Answer
from perfconsole.ui.widgets.sections import FamilySection, sections

_EVERY_ROW = 1 << 20
_NEEDS = {"process.signal": PROCESS_SIGNAL.name, "process.renice": PROCESS_RENICE.name}


class ProcessScreen(SectionedScreen):
    """A process, followed by pid and start time: when it ends its last values stay.

    Args:
        row: The process, as it was when this was opened.
    """

    SCOPE = "processes"
    HINTS: ClassVar[Sequence[tuple[str, str]]] = (
        ("back", "back"), ("pane.next", "section"), ("open", "open, read again"), ("process.signal", "signal"),
        ("process.renice", "renice"), ("freeze", "freeze"), ("time.wider", "window"), ("help", "help"), ("quit", "quit"),
    )  # fmt: skip
    CSS_PATH = "../styles/process.tcss"
    ONLY_LIVE = "a recording does not hold this: it is read of a live process only"

    def __init__(self, row: ProcessRow) -> None:
        super().__init__()
        self.subject = Subject(row)
        self.answer: Answer[ProcessDetail] = Answer()
        self.sections = list(sections(self.subject, self.answer))

    def body(self) -> ComposeResult:
        """Facts and charts above, sections below."""
        yield FactsPane(self.subject)
        with Horizontal(id="charts"):
            yield MeasureChart(self.subject, CpuMeasure())
            yield MeasureChart(self.subject, MemoryMeasure())
        yield TrendsPane(self.subject, CpuMeasure(), MemoryMeasure(), *disk_measures(), id="trends")
        yield TrendsPane(self.subject, *disk_measures(), id="disk")
        with Container(id="sections"):
            yield from self.sections

    def on_mount(self) -> None:
        """The family is known already; what is not is asked for at once, not with the next tick."""
        self.bring(self.sections[0])
        self.show(self.console_app.state)

    # Showing ----------------------------------------------------------------------------------------------------------------------

    def views(self) -> list[View]:
        """All processes, of which this one is measured closely and its values kept."""
        return [View("process", limit=_EVERY_ROW, keys=(self.subject.row.key,), columns=(*sorted(EXPENSIVE), "history"))]

    def show(self, state: State) -> None:
        """Follow the process, then bring the panes up to date."""
        self.subject.follow(state)
        if not self.answer.asked and self.subject.live:
            self._read()
        super().show(state)

    def _read(self) -> None:
        row = self.subject.row
        self.ask_for(self.answer, PROCESS_DETAIL.name, ProcessId(row.pid, row.start))

    # Actions ----------------------------------------------------------------------------------------------------------------------

    def can(self, action_id: str) -> bool:
        """Actions need a source that offers them, and a process that is there."""
        op = _NEEDS.get(action_id)
        return op is None or (self.console_app.offers(op) and self.subject.live)

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
