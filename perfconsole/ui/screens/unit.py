"""One unit or container in detail: its numbers against its limits, its history, its processes, and what the journal says of it."""

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Container, Horizontal

from perfconsole.core.change_requests import UnitArgs, UnitDetail
from perfconsole.core.requests import UNIT_DETAIL
from perfconsole.core.state import State
from perfconsole.core.tables import View
from perfconsole.core.unit_rows import UnitRow
from perfconsole.ui.screens.sectioned import SectionedScreen
from perfconsole.ui.unit_rows import REST_KEY, Unit
from perfconsole.ui.widgets.pane import Pane
from perfconsole.ui.widgets.section import Answer
from perfconsole.ui.widgets.unit_facts import CpuMeasure, MemoryMeasure, ThrottledMeasure, UnitChart, UnitFacts, UnitTrends
from perfconsole.ui.widgets.unit_sections import FactsSection, JournalSection, ProcessesSection

_HELD = 200
"""Units looked at beside this one: as many as the table below begins with, so that going back there finds it as it was."""

_EVERY_ROW = 1 << 20


class UnitScreen(SectionedScreen):
    """A unit, followed by the path of its cgroup: when it is gone its last values stay.

    Args:
        row: The unit, as it was when this was opened.
    """

    SCOPE = "processes"
    HINTS: ClassVar[Sequence[tuple[str, str]]] = (
        ("back", "back"), ("pane.next", "section"), ("open", "open, read again"), ("copy", "copy"), ("freeze", "freeze"),
        ("time.wider", "window"), ("help", "help"), ("quit", "quit"),
    )  # fmt: skip
    CSS_PATH = "../styles/unit.tcss"
    ONLY_LIVE = "a recording does not hold this: it is read of a live machine only"

    def __init__(self, row: UnitRow) -> None:
        super().__init__()
        self.subject = Unit(row)
        self.answer: Answer[UnitDetail] = Answer()
        self.journal = JournalSection(self.subject, self.answer)
        self.processes = ProcessesSection(self.subject)
        self.sections = [self.processes, self.journal, FactsSection(self.subject, self.answer)]

    def body(self) -> ComposeResult:
        """Numbers and charts above, sections below."""
        yield UnitFacts(self.subject)
        with Horizontal(id="charts"):
            yield UnitChart(self.subject, CpuMeasure(self.subject))
            yield UnitChart(self.subject, ThrottledMeasure(), id="throttled")
            yield UnitChart(self.subject, MemoryMeasure())
        yield UnitTrends(self.subject, CpuMeasure(self.subject), ThrottledMeasure(), MemoryMeasure(), id="trends")
        with Container(id="sections"):
            yield from self.sections

    def on_mount(self) -> None:
        """What failed is asked why; of others the processes come first. At once, not with the next tick."""
        self.bring(self.journal if self.subject.row.state == "failed" else self.processes)
        self.show(self.console_app.state)

    @property
    def concern(self) -> tuple[str, str]:
        """What alerts are to be about to be meant here."""
        return "unit", self.subject.row.name

    # Showing ----------------------------------------------------------------------------------------------------------------------

    def views(self) -> list[View]:
        """The units, this one among them in any case, and all processes: what is in a slice carries the names of its units."""
        keys = tuple(sorted({REST_KEY, self.subject.row.key}))
        return [View("unit", "", limit=_HELD, keys=keys, columns=("live",)), View("process", limit=_EVERY_ROW)]

    def show(self, state: State) -> None:
        """Follow the unit, then bring the panes up to date."""
        self.subject.follow(state)
        if not self.answer.asked:
            self._read()
        super().show(state)

    def _read(self) -> None:
        row = self.subject.row
        self.ask_for(self.answer, UNIT_DETAIL.name, UnitArgs(row.name, row.path))

    def answered(self, answer: Answer[Any]) -> None:  # noqa: ARG002  there is one
        """The newest lines are those that were asked for."""
        self.journal.to_end()

    # Actions ----------------------------------------------------------------------------------------------------------------------

    async def do_open(self) -> None:
        """Open a process; elsewhere read again."""
        if isinstance(self.pane, ProcessesSection):
            if self.pane.chosen:
                from perfconsole.ui.screens.process import ProcessScreen  # noqa: PLC0415  only when opened

                await self.app.push_screen(ProcessScreen(self.pane.chosen))
        elif self.console_app.offers(UNIT_DETAIL.name):
            self._read()
            self.show(self.console_app.state)
        else:
            self.console_app.tell("what is read on request cannot be had here now", "warning")

    async def on_pane_opened(self, event: Pane.Opened) -> None:
        """A click on the selected process."""
        event.stop()
        await self.do_open()
