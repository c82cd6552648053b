"""The last failure of an endpoint: when and why, what was expected and found, by which way, and what was answered, as it was sent."""

from collections.abc import Iterator, Sequence
from math import isnan
from textwrap import wrap
from typing import Final

from rich.cells import chop_cells

from perfconsole.core import units
from perfconsole.core.checks import PHASES, Outcome
from perfconsole.core.requests import EndpointDetail
from perfconsole.core.state import State
from perfconsole.core.text import safe
from perfconsole.ui.endpoint import Endpoint
from perfconsole.ui.line import Parts
from perfconsole.ui.markdown import fenced, moment, plain, table_of
from perfconsole.ui.widgets.endpoint_facts import began
from perfconsole.ui.widgets.section import Answer, AnswerSection

_LEAST: Final = 12
_LABEL: Final = 9
_NOTICED_S: Final = 0.01


def chopped(text: str, cells: int) -> list[str]:
    """Foreign text over as many lines as it takes, nothing of it left out: no line is broken anew, no space is lost."""
    return [part for line in text.splitlines() for part in chop_cells(safe(line), max(_LEAST, cells)) or [""]]


def worded(text: str, cells: int) -> list[str]:
    """Words over as many lines as they take."""
    return [part for line in wrap(text, max(_LEAST, cells)) for part in chopped(line, cells)]


def took(outcome: Outcome) -> str:
    """How long it lasted, as at least where it was given up."""
    if isnan(outcome.total_s):
        return ""
    return f"{'>=' if outcome.at_least else ''}{units.latency(outcome.total_s)}"


def way(outcome: Outcome) -> str:
    """Where it connected to, what was spoken there, and how much was received."""
    size = "" if isnan(outcome.size_bytes) else units.size(outcome.size_bytes)
    return "  ".join(filter(None, (outcome.address or "no connection", outcome.protocol, size)))


def ours(outcome: Outcome) -> str:
    """What of the delay is, or may be, the console's own, where anybody would notice."""
    late = f"started {units.latency(outcome.late_s)} late" if outcome.late_s >= _NOTICED_S else ""
    waited = f"waited {units.latency(outcome.slot_wait_s)} for its turn" if outcome.slot_wait_s >= _NOTICED_S else ""
    doubt = f"up to {units.latency(outcome.doubt_s)} of it may be the console's" if outcome.doubt_s >= _NOTICED_S else ""
    return ", ".join(filter(None, (late, waited, doubt)))


class FailureSection(AnswerSection[Endpoint, EndpointDetail]):
    """The last failure.

    Args:
        subject: The endpoint.
        answer: What was read of it.
    """

    TITLE = NAME = "Failure"

    def __init__(self, subject: Endpoint, answer: Answer[EndpointDetail]) -> None:
        super().__init__(subject, answer)
        self._lines: list[Parts] = []
        self._of: tuple[object, ...] = ()

    @property
    def outcome(self) -> Outcome | None:
        """The failure, once that was read."""
        return self._answer.result.failure if self._answer.result else None

    def rows(self, state: State, width: int) -> Sequence[Parts]:
        """The failure; what the table says of the last check where it cannot be read."""
        outcome, trouble = self.outcome, self._answer.trouble
        if outcome is None:
            return [*self._of_row(state, width), *self._why_none(width)]
        of = (outcome, width, self.look, self.console_app.discreet, began(outcome.at, state.at))
        if self._of != of:
            self._lines, self._of = list(self._told(outcome, state, width)), of
        return [*(self.paragraph(self._answer.text, width, "warning_bar") if trouble else ()), *self._lines]

    def _of_row(self, state: State, width: int) -> list[Parts]:
        row = self._subject.row
        if not row.cause:
            return []
        when = f", at {began(row.at, state.at)}," if not isnan(row.at) else ""
        if row.cause != "unmeasured":
            return self.paragraph(f"the last check{when} failed: {row.cause}: {row.error}", width, "foreground")
        health = state.health.get(("http", row.name))
        told = self.paragraph(f"the last check{when} told nothing: {row.error}", width, "foreground")
        return [*told, *self.paragraph(health.fix if health and health.fix not in row.error else "", width, "accent")]

    def _why_none(self, width: int) -> list[Parts]:
        if self._answer.result is None:
            return self.unanswered(self._answer, width)
        return [] if self._subject.row.cause else self.paragraph("no check has failed since this endpoint is checked", width, "dim")

    def _told(self, outcome: Outcome, state: State, width: int) -> Iterator[Parts]:
        own = outcome.unmeasured
        yield from self._labelled("when", began(outcome.at, state.at) + ("" if own else f"  {took(outcome)}"), width)
        cause = "not measured" if own else "  ".join(filter(None, (outcome.cause, str(outcome.status) if outcome.status else "")))
        yield from self._labelled("cause", cause, width, "warning_bar" if own else "critical_bar")
        yield from self._labelled("error", outcome.error, width)
        yield from self._labelled("to", "" if own else way(outcome), width)
        phases = "  ".join(
            f"{phase} {units.latency(seconds)}"
            for phase in PHASES
            if not isnan(seconds := getattr(outcome.phases, phase))
        )  # fmt: skip
        yield from self._labelled("phases", phases, width)
        yield from self._labelled("ours", ours(outcome), width)
        for hop in outcome.hops:
            yield from self._labelled("hop", f"{hop.status or units.UNKNOWN}  {units.latency(hop.seconds)}  {hop.url}", width)
        for assertion in outcome.assertions:
            sign = self.look.glyph("ok") if assertion.ok else self.look.glyphs.failed
            found = f"  found: {self._shown(assertion.found)}" if assertion.found else ""
            role = "foreground" if assertion.ok else "critical_bar"
            yield from self._labelled("expected", f"{sign} {assertion.expected}{found}", width, role)
        yield from self._answered(outcome, width)

    def _answered(self, outcome: Outcome, width: int) -> Iterator[Parts]:
        """Headers and body, verbatim."""
        if outcome.headers:
            yield [("response headers", 0, "title")]
        for name, value in outcome.headers:
            for at, part in enumerate(chopped(f"{name}: {self._shown(value)}", width - 2)):
                head, colon, rest = part.partition(":") if at == 0 else ("", "", part)
                yield [(f"{head}{colon}", 0, "dim"), (rest, 0, "foreground")]
        if outcome.body:
            yield [("start of the body", 0, "title")]
            for part in chopped(self._shown(outcome.body), width - 2):
                yield [(part, 0, "foreground")]

    def _shown(self, answered: str) -> str:
        """What a server answered, as it may be shown now: it may be somebody's data, which no picture takes along."""
        return f"{len(answered)} characters" if self.console_app.discreet else answered

    def _labelled(self, label: str, text: str, width: int, role: str = "foreground") -> Iterator[Parts]:
        for at, part in enumerate(worded(text, width - _LABEL - 2)):
            yield [("" if at else label, _LABEL, "dim"), (part, 0, role)]

    def note(self, state: State) -> str:  # noqa: ARG002  what was read stays as it was
        """When it was read, and that it is read again."""
        return f"reading{self.look.glyphs.ellipsis}" if self._answer.waiting and self.outcome else self.read_at(self._answer)

    def copied(self) -> str:
        """The whole of it, ready for an issue or a chat."""
        outcome, row = self.outcome, self._subject.row
        if outcome is not None:
            return failure_text(row.url, outcome)
        if not row.cause:
            return ""
        return f"**{plain(row.name)}** failed {moment(row.at)}: {plain(row.cause)}: {plain(row.error)}\n\n- {plain(row.url)}"


def failure_text(url: str, outcome: Outcome) -> str:
    """A failure as Markdown."""
    what = "was not measured" if outcome.unmeasured else "failed"
    cause = "" if outcome.unmeasured else f"{plain(outcome.cause)}: "
    lines = [f"**{plain(outcome.name)}** {what} {moment(outcome.at)}: {cause}{plain(outcome.error)}", "", f"- {plain(url)}"]
    lines += [] if outcome.unmeasured else [f"- to {plain(way(outcome))}", f"- took {plain(took(outcome) or 'an unknown time')}"]
    lines += [f"- status {outcome.status}"] if outcome.status else []
    lines += [f"- hop: {hop.status or units.UNKNOWN} in {units.latency(hop.seconds)}, {plain(hop.url)}" for hop in outcome.hops]
    for assertion in outcome.assertions:
        found = f", found {plain(assertion.found)}" if assertion.found else ""
        lines.append(f"- [{'x' if assertion.ok else ' '}] {plain(assertion.expected)}{found}")
    phases = [(phase, seconds) for phase in PHASES if not isnan(seconds := getattr(outcome.phases, phase))]
    if phases:
        lines += ["", table_of([phase for phase, _ in phases], [[units.latency(seconds) for _, seconds in phases]])]
    if outcome.headers or outcome.body:
        headers = "\n".join(f"{name}: {value}" for name, value in outcome.headers)
        lines += ["", fenced("\n\n".join(filter(None, (headers, outcome.body))))]
    return "\n".join(lines)
