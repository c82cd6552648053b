"""One endpoint in detail: its state, its latency, where the time goes, why it failed last, its past states and its certificates."""

from collections.abc import Sequence
from math import nan
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Container

from perfconsole.core.endpoints import TARGET, EndpointRow
from perfconsole.core.errors import RequestError
from perfconsole.core.requests import HTTP_CHECK, HTTP_DETAIL, Done, EndpointArgs, EndpointDetail
from perfconsole.core.state import State
from perfconsole.core.tables import View
from perfconsole.ui.endpoint import Endpoint
from perfconsole.ui.screens.sectioned import SectionedScreen
from perfconsole.ui.widgets.endpoint_facts import EndpointFacts, HistoryStrip
from perfconsole.ui.widgets.endpoint_sections import CertificatesSection, ChangesSection, HowSection, PercentilesSection
from perfconsole.ui.widgets.failure import FailureSection
from perfconsole.ui.widgets.latency import LatencyChart
from perfconsole.ui.widgets.phases import PhasesSection
from perfconsole.ui.widgets.section import Answer

_HELD = 200
"""Rows looked at beside this one: as many as the table below begins with, so that going back there finds it as it was."""


_AGAIN_S = 10.0
"""What fails is read again after so long, though it fails as before."""


def _told(row: EndpointRow) -> tuple[object, ...]:
    """What the table says of it that more can be read of: its state, and why it fails."""
    return (row.state, row.cause, row.status if row.cause else 0, row.error)


class EndpointScreen(SectionedScreen):
    """An endpoint, followed by its name: one that is not checked any more keeps what was last known of it.

    Args:
        row: The endpoint, as it was when this was opened.
    """

    SCOPE = "endpoints"
    HINTS: ClassVar[Sequence[tuple[str, str]]] = (
        ("back", "back"), ("pane.next", "section"), ("endpoint.check", "check now"), ("copy", "copy"), ("open", "read again"),
        ("endpoint.runbook", "runbook"), ("time.wider", "window"), ("freeze", "freeze"), ("help", "help"), ("quit", "quit"),
    )  # fmt: skip
    CSS_PATH = "../styles/endpoint.tcss"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-medium"), (30, "-tall"), (42, "-high")]  # six sections side by side take the height
    ONLY_LIVE = "a recording does not hold this: it is read of the running checks only"

    def __init__(self, row: EndpointRow) -> None:
        super().__init__()
        self.subject = Endpoint(row)
        self.detail: Answer[EndpointDetail] = Answer()
        self.checking = False
        self._told, self._read_at = _told(row), nan
        failure, phases = FailureSection(self.subject, self.detail), PhasesSection(self.subject)
        self._first = failure if row.cause else phases
        self.sections = [
            failure, phases, PercentilesSection(self.subject), ChangesSection(self.subject, self.detail),
            CertificatesSection(self.subject, self.detail), HowSection(self.subject, self.detail),
        ]  # fmt: skip

    def body(self) -> ComposeResult:
        """Facts and the latency above, sections below."""
        yield EndpointFacts(self.subject)
        yield HistoryStrip(self.subject)
        yield LatencyChart(self.subject)
        with Container(id="sections"):
            yield from self.sections

    def on_mount(self) -> None:
        """What is known already is shown, what is not asked for: at once, not with the next tick."""
        self.bring(self._first)
        self.show(self.console_app.state)

    @property
    def tabbed(self) -> bool:
        """Whether the sections lie behind each other."""
        return not (self.has_class("-wide") and self.has_class("-high"))

    @property
    def concern(self) -> tuple[str, str]:
        """What alerts are to be about to be meant here."""
        return "endpoint", self.subject.row.name

    # Showing ----------------------------------------------------------------------------------------------------------------------

    def views(self) -> list[View]:
        """The endpoints as they are looked at on the screen below, this one among them in any case."""
        return [View("endpoint", TARGET, limit=_HELD, keys=(self.subject.row.key,))]

    def show(self, state: State) -> None:
        """Follow the endpoint, read what a failure or another state brought, then bring the panes up to date."""
        self.subject.follow(state)
        if not self.detail.asked or (not self.detail.waiting and self._outdated(state)):
            self._read()
        super().show(state)

    def _outdated(self, state: State) -> bool:
        """Whether there is more to be read than was: while it fails, headers and body change without any word of that."""
        row = self.subject.row
        if _told(row) != self._told:
            return True
        return bool(row.cause) and self.subject.live and abs(state.at - self._read_at) >= _AGAIN_S

    def _read(self) -> None:
        if self.ask_for(self.detail, HTTP_DETAIL.name, EndpointArgs(self.subject.row.name)):
            self._told, self._read_at = _told(self.subject.row), self.console_app.state.at

    def answered(self, answer: Answer[Any]) -> None:
        """Outcomes tell after what time a check is given up."""
        if answer is self.detail and self.detail.result:
            self.subject.learn((self.detail.result.last, self.detail.result.failure))

    # Actions ----------------------------------------------------------------------------------------------------------------------

    def can(self, action_id: str) -> bool:
        """A check needs a source that carries it out, a runbook's address to be known."""
        if action_id == "endpoint.check":
            return self.console_app.offers(HTTP_CHECK.name) and self.subject.live
        return action_id != "endpoint.runbook" or bool(self.subject.row.runbook)

    def do_open(self) -> None:
        """Read again."""
        if self.console_app.offers(HTTP_DETAIL.name):
            self._read()
            self.show(self.console_app.state)
        else:
            self.console_app.tell("what is read on request cannot be had here now", "warning")

    def do_endpoint_check(self) -> None:
        """Check it now, tell what came of it, and read it again."""
        app, name = self.console_app, self.subject.row.name
        if self.checking:
            app.tell(f"{name} is being checked", "warning")
            return
        self.checking = True
        app.tell(f"{name}: checking{app.look.glyphs.ellipsis}")
        self.run_worker(self._check(name), group=HTTP_CHECK.name)

    async def _check(self, name: str) -> None:
        app = self.console_app
        try:
            done = await app.source.request(HTTP_CHECK.name, EndpointArgs(name))
        except RequestError as error:
            app.tell(str(error), "critical")
        else:
            app.tell(done.text if isinstance(done, Done) else "checked")
            self._read()
        finally:
            self.checking = False

    def do_endpoint_runbook(self) -> None:
        """Copy the address of its runbook."""
        self.console_app.copy_to_clipboard(self.subject.row.runbook)
        self.console_app.tell(f"copied: {self.subject.row.runbook}")
