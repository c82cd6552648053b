"""The sections of an alert's screen: its course, its rule as it is written, what else there is about the same, and who was told."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Final

from perfconsole.config.rule_text import rule_lines
from perfconsole.core import alert_words, units
from perfconsole.core.alert_requests import AlertHistory
from perfconsole.core.state import State
from perfconsole.ui.alert import Related, Step, Subject, course, notice_line, related
from perfconsole.ui.alerts import ago
from perfconsole.ui.line import Line, Parts
from perfconsole.ui.look import WORDS
from perfconsole.ui.markdown import fenced, moment, plain
from perfconsole.ui.verdict import said
from perfconsole.ui.widgets.alert_facts import moment as shown_moment
from perfconsole.ui.widgets.failure import chopped
from perfconsole.ui.widgets.section import AnswerSection, ChoiceSection, SubjectSection

_NOTICE_ROLES: Final = {"sent": "foreground", "waiting": "accent", "failed": "critical_bar", "dropped": "dim"}
_STEP_ROLES: Final = {"resolved": "ok_bar", "inactive": "ok_bar", "": "foreground"}


class CourseSection(AnswerSection[Subject, AlertHistory]):
    """What came about, newest first."""

    TITLE = NAME = "Timeline"

    def steps(self) -> list[Step]:
        """Its course, as far as it is known."""
        told = self._answer.result.told if self._answer.result else ()
        return course(self._subject.alert, [one for one in told if one.id == self._subject.alert.id])

    def rows(self, state: State, width: int) -> Sequence[Parts]:
        """A line each."""
        severity = self._subject.alert.severity
        wide = 12 if any(state.at - step.at > 86_400.0 for step in self.steps()) else 8
        rows: list[Parts] = []
        for step in self.steps():
            glyph = self.look.glyph("ok" if step.state in {"resolved", "inactive"} else severity) if step.state else " "
            role = _STEP_ROLES.get(step.state, f"{severity}_bar")
            text = [(shown_moment(step.at, state.at), wide + 1, "dim"), (f"{glyph} ", 0, role), (step.state, 9, role)]
            rows.append([*text, (step.text, 0, "foreground" if not step.state or step.state == "firing" else "dim")])
        if self._answer.trouble:
            rows += self.paragraph(f"only what is told now is known: {self._answer.text}", width, "dim")
        return rows

    def copied(self) -> str:
        """A list."""
        lines = [f"- {moment(step.at)}: {' '.join(filter(None, (step.state, plain(step.text))))}" for step in self.steps()]
        return "\n".join([f"**{plain(self._subject.alert.rule)}**: what came about", "", *lines])


class RuleSection(SubjectSection[Subject]):
    """The rule as it is written."""

    TITLE = NAME = "Rule"

    def rows(self, state: State, width: int) -> Sequence[Parts]:  # noqa: ARG002  a rule has no time
        """Its lines."""
        rule = self._subject.rule
        if rule is None:
            return self.paragraph("not in force any more: the alert ends when it is seen to be well, or with the engine", width, "dim")
        rows: list[Parts] = []
        for line in rule_lines(rule):
            name, equals, value = line.partition(" = ")
            if not equals:
                rows.append([(line, 0, "dim" if line.startswith("#") else "title")])
                continue
            for i, part in enumerate(chopped(value, max(8, width - len(name) - 5))):
                rows.append([(f"{name} = " if not i else " " * (len(name) + 3), 0, "accent"), (part, 0, "foreground")])
        return rows

    def note(self, state: State) -> str:  # noqa: ARG002  likewise
        """Where it is written."""
        return alert_words.written(self._subject.rule)

    def copied(self) -> str:
        """As it would stand in a configuration."""
        return fenced("\n".join(rule_lines(self._subject.rule))) if self._subject.rule else ""


class RelatedSection(ChoiceSection[Related]):
    """Other alerts about the same thing, or by the same rule.

    Args:
        subject: The alert.
    """

    TITLE = NAME = "Related"

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self._subject = subject

    def members(self, state: State) -> list[Related]:
        """All of them."""
        return related(self._subject.alert, state)

    def member(self, at: int, width: int, *, chosen: bool) -> Line:  # noqa: ARG002  a line knows its width
        """What it is, how it is, and why it stands here."""
        one, state = self._members[at], self.console_app.state
        alert = one.alert
        line = self.line("selection" if chosen else "background").put(self.look.glyphs.marker if chosen else " ", "accent")
        over = alert.state == "resolved"
        firing = alert.state == "firing" and not alert_words.quiet(alert)
        word = WORDS[alert.severity] if firing else "mute" if alert.state == "firing" else "ended" if over else "pend"
        line.put(f"{self.look.glyph('ok' if over else alert.severity)} {word}", f"{'ok' if over else alert.severity}_bar", 8)
        when = f"{ago(max(0.0, state.at - (alert.at if over else alert.since)))}{' ago' if over else ''}"
        right = f"{one.why}  {when}"
        text = alert_words.ended(alert) if over else said(state, alert)
        line.put(text, "foreground" if firing else "dim", max(4, line.left - len(right) - 2)).gap()
        return line.put(right, "dim")

    def empty(self, width: int) -> list[Parts]:
        """That it stands alone."""
        return self.paragraph("no other alert is about the same thing, or by the same rule", width, "dim")

    def copied(self) -> str:
        """A list."""
        state = self.console_app.state
        lines = [f"- {alert_words.subject(one.alert, plain(said(state, one.alert)))} ({one.why})" for one in self.members(state)]
        return "\n".join([f"**{plain(self._subject.alert.rule)}**: related alerts", "", *lines])


class NoticesSection(AnswerSection[Subject, AlertHistory]):
    """Who was told, by which channel, and what came of it."""

    TITLE = NAME = "Notified"

    def rows(self, state: State, width: int) -> Sequence[Parts]:
        """A line each, the newest first."""
        if self._answer.result is None:
            return self.unanswered(self._answer, width)
        rows: list[Parts] = []
        for notice in self._answer.result.notices:
            at = notice.made_at if notice.state != "sent" else notice.sent_at
            role = _NOTICE_ROLES.get(notice.state, "foreground")
            head = [(shown_moment(at, state.at), 9, "dim"), (notice.channel, 14, "title"), (f" {notice.status}", 10, "dim")]
            first, *others = wrap(notice_line(notice), max(12, width - 36)) or [""]
            rows.append([*head, (first, 0, role)])
            rows += [[(" " * 33, 0, "dim"), (other, 0, role)] for other in others]
            if notice.state == "waiting" and notice.due_at > state.at:
                rows.append([(" " * 33, 0, "dim"), (f"next attempt in {units.duration(notice.due_at - state.at)}", 0, "dim")])
        return rows or self._nobody(width)

    def _nobody(self, width: int) -> list[Parts]:
        rule, alert = self._subject.rule, self._subject.alert
        if alert_words.quiet(alert):
            return self.paragraph(f"nobody was told: {alert_words.quiet(alert)}", width, "dim")
        if rule is not None and not rule.notify:
            return self.paragraph("nobody is told: the rule names no channel ([alerts] notify, or notify in its [[alert]])", width, "dim")
        return self.paragraph("nobody was told yet", width, "dim")

    def copied(self) -> str:
        """A list."""
        notices = self._answer.result.notices if self._answer.result else ()
        lines = [f"- {moment(one.made_at)}: {plain(one.channel)}, {one.status}, {plain(notice_line(one))}" for one in notices]
        return "\n".join([f"**{plain(self._subject.alert.rule)}**: who was told", "", *(lines or ["- nobody"])])
