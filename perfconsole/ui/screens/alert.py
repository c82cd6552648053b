"""One alert in detail: what its rule looks at over time, its course, the rule as written, what is related, and who was told."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Container

from perfconsole.core.alert_requests import AlertArgs, AlertHistory
from perfconsole.core.requests import ALERT_HISTORY
from perfconsole.core.state import State
from perfconsole.core.tables import View
from perfconsole.core.tick import Alert
from perfconsole.ui import alerts
from perfconsole.ui.alert import Subject, spans
from perfconsole.ui.alert_markdown import markdown
from perfconsole.ui.screens.alert_target import go_to_target, wanted_views
from perfconsole.ui.screens.sectioned import SectionedScreen
from perfconsole.ui.verdict import runbook
from perfconsole.ui.widgets.alert_facts import AlertChart, AlertFacts
from perfconsole.ui.widgets.alert_sections import CourseSection, NoticesSection, RelatedSection, RuleSection
from perfconsole.ui.widgets.pane import Pane
from perfconsole.ui.widgets.section import Answer


class AlertScreen(SectionedScreen):
    """An alert, followed by its id: one that is over keeps what was last known of it.

    Args:
        alert: As it was when this was opened.
    """

    SCOPE = "alerts"
    HINTS: ClassVar[Sequence[tuple[str, str]]] = (
        ("back", "back"), ("pane.next", "section"), ("alert.ack", "acknowledge"), ("alert.silence", "silence"),
        ("alert.target", "where it is"), ("alert.next", "next"), ("copy", "copy"), ("alert.runbook", "runbook"),
        ("alert.edit", "change the rule"), ("time.wider", "window"), ("help", "help"), ("open", "open"), ("quit", "quit"),
    )  # fmt: skip
    CSS_PATH = "../styles/alert.tcss"
    ONLY_LIVE = "what is kept of alerts is read of the running engine, not of a recording"

    def __init__(self, alert: Alert) -> None:
        super().__init__()
        self.subject = Subject(alert)
        self.history: Answer[AlertHistory] = Answer()
        self._told: tuple[object, ...] = ()
        self._facts, self._chart = AlertFacts(self.subject), AlertChart(self.subject)
        self._course = CourseSection(self.subject, self.history)
        self.related = RelatedSection(self.subject)
        self.sections = [self._course, RuleSection(self.subject), self.related, NoticesSection(self.subject, self.history)]

    def body(self) -> ComposeResult:
        """Facts and the chart above, sections below."""
        yield self._facts
        yield self._chart
        with Container(id="sections"):
            yield from self.sections

    def on_mount(self) -> None:
        """What is known already is shown, what is not asked for: at once, not with the next tick."""
        self.bring(self._course)
        self.show(self.console_app.state)

    @property
    def chosen(self) -> tuple[Alert, ...]:
        """The alert that is meant."""
        return (self.subject.alert,)

    # Showing ----------------------------------------------------------------------------------------------------------------------

    def views(self) -> list[View]:
        """Of the endpoint it is about, what that one's own screen needs."""
        return wanted_views(self.subject.alert)

    def show(self, state: State) -> None:
        """Follow it, read what is kept of it again when something came about, then bring the panes up to date."""
        self.subject.follow(state)
        alert = self.subject.alert
        told = (alert.id, alert.at, alert.state, alert.ack, alert.silence)
        news, self._told = told != self._told, told
        if not self.history.asked or (news and not self.history.waiting):
            self._read()
        self._chart.spans = spans(self._course.steps(), state.at)
        super().show(state)

    def _read(self) -> None:
        self.ask_for(self.history, ALERT_HISTORY.name, AlertArgs(self.subject.alert.id))

    def turn_to(self, alert: Alert) -> None:
        """Show another alert."""
        self.subject.alert = alert
        self.history.result, self.history.asked, self.history.waiting = None, False, False
        self.show(self.console_app.state)
        self.console_app.look_at()

    # Actions ----------------------------------------------------------------------------------------------------------------------

    def can(self, action_id: str) -> bool:
        """A runbook's address has to be known."""
        return action_id != "alert.runbook" or bool(runbook(self.console_app.state, self.subject.alert))

    def do_open(self) -> None:
        """The selected one of the related alerts; else read again."""
        if self.pane is self.related and self.related.chosen:
            self.turn_to(self.related.chosen.alert)
        elif self.console_app.offers(ALERT_HISTORY.name):
            self._read()
            self.show(self.console_app.state)
        else:
            self.console_app.tell("what is kept of alerts cannot be had here now", "warning")

    def on_pane_opened(self, event: Pane.Opened) -> None:
        """A click on the selected one of the related alerts."""
        event.stop()
        if self.related.chosen:
            self.turn_to(self.related.chosen.alert)

    def do_copy(self) -> None:
        """Copy the alert as Markdown; of what is kept of it the section that has the keys."""
        app = self.console_app
        text = markdown(app.state, self.subject.alert)
        told = self.pane.copied() if self.pane is not None and self.pane is not self._course else self._course.copied()
        app.copy_text(f"{text}\n\n{told}" if told else text)

    def do_alert_next(self) -> None:
        self._step(1)

    def do_alert_previous(self) -> None:
        self._step(-1)

    def _step(self, steps: int) -> None:
        """Another alert, in the order of the list."""
        every = [alert for entry in alerts.table(self.console_app.state).rows for alert in entry.members]
        if not every:
            self.console_app.tell("there is no other alert", "warning")
            return
        at = next((i for i, alert in enumerate(every) if alert.id == self.subject.alert.id), -1 if steps > 0 else 0)
        self.turn_to(every[(at + steps) % len(every)])

    async def do_alert_target(self) -> None:
        """Go where it is."""
        await go_to_target(self.console_app, self.subject.alert)

    def do_alert_runbook(self) -> None:
        """Copy the address of its runbook."""
        self.console_app.copy_runbook(self.subject.alert)
