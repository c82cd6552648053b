"""The sections of an endpoint's screen beside phases and failure: percentiles, changes of its state, certificates, how it is checked."""

from collections.abc import Iterator, Sequence
from math import isnan, nan
from time import localtime, strftime
from typing import ClassVar, Final, NamedTuple

from msgspec import structs
from rich.cells import cell_len

from perfconsole.core import units
from perfconsole.core.checks import Certificate, Outcome, TlsFacts
from perfconsole.core.endpoint_samples import LATE
from perfconsole.core.percentiles import Percentiles, percentiles
from perfconsole.core.requests import EndpointChange, EndpointDetail
from perfconsole.core.series import HELD_S
from perfconsole.core.state import EVENTS_HELD, State
from perfconsole.ui import endpoints
from perfconsole.ui.endpoint import Endpoint, least_cut, windows, within
from perfconsole.ui.line import Parts
from perfconsole.ui.markdown import moment, plain, table_of
from perfconsole.ui.widgets.endpoint_facts import began
from perfconsole.ui.widgets.failure import chopped
from perfconsole.ui.widgets.section import AnswerSection, SubjectSection

_EVERY: Final = ("p50", "p90", "p95", "p99", "max")
_FEW: Final = ("p50", "p95", "p99")
"""Percentiles where there is little room; all take 53 cells."""

_WIDE: Final = 53
_NAMES_SHOWN: Final = 40


class Numbers(NamedTuple):
    """One window in numbers: latencies as text, errors as a ratio."""

    name: str
    found: Percentiles
    most_s: float
    cut_s: float
    error_ratio: float

    def text(self, column: str) -> str:
        """A percentile or the maximum; at least so long where a check that was given up is in it."""
        value: float = self.most_s if column == "max" else getattr(self.found, column)
        return f">={units.latency(value)}" if value >= self.cut_s else units.latency(value)


class PercentilesSection(SubjectSection[Endpoint]):
    """Probe percentiles over the windows that are held."""

    TITLE = NAME = "Percentiles"

    def numbers(self, state: State) -> list[Numbers]:
        """One a window."""
        first, interval_s = self._subject.held(state)
        if isnan(first):
            return []
        checks = self._subject.checks(state)
        made = []
        for name, window_s in windows(state.at - first, interval_s):
            inside = within(checks, state.at - window_s)
            latencies = [check.latency_s for check in inside if not isnan(check.latency_s)]
            told = [check.up < 1 for check in inside if not isnan(check.up)]
            ratio = sum(told) / len(told) if told else nan
            made.append(Numbers(name, percentiles(latencies), max(latencies, default=nan), least_cut(inside), ratio))
        return [*made, *self._beyond(state.at - first + interval_s)]

    def _beyond(self, held_s: float) -> list[Numbers]:
        """What the table knows of what is checked so rarely that its series hold few checks."""
        row = self._subject.row
        if row.held_s <= max(HELD_S * LATE, held_s):
            return []
        found = Percentiles(row.n, row.p50_s, row.p90_s, row.p95_s, row.p99_s)
        return [Numbers(units.duration(row.held_s)[:5], found, nan, row.cut_s, row.error_ratio)]

    @property
    def faded(self) -> bool:
        """Numbers of what is not checked any more are no news."""
        return not self._subject.live

    def rows(self, state: State, width: int) -> Sequence[Parts]:
        """A row a window."""
        numbers = self.numbers(state)
        if not numbers:
            return self.paragraph("no checks are held yet", width, "dim")
        columns = _EVERY if width >= _WIDE else _FEW
        head = "".join(f"{column:>7}" for column in columns)
        rows: list[Parts] = [[(f"{'over':<6}{'n':>5}{head}{'err%':>6}", 0, "dim")]]
        for window in numbers:
            latencies = "".join(f"{window.text(column):>7}" for column in columns)
            error = endpoints.error_text(window.error_ratio)
            role = "critical_bar" if window.error_ratio > 0 else "foreground"
            rows.append(
                [(window.name, 6, "accent"), (f"{window.found.n:>5}", 0, "dim"), (latencies, 0, "foreground"), (f"{error:>6}", 0, role)]
            )
        if any(window.cut_s > 0 for window in numbers):
            rows += self.paragraph(">= given up: the truth is longer", width, "dim")
        return rows + self._why(width)

    def _why(self, width: int) -> list[Parts]:
        """Why checks failed: 25 timeouts are another matter than 25 answers of 503."""
        row = self._subject.row
        if not row.failures:
            return []
        return self.paragraph(f"failed in {endpoints.lasting(row.held_s)}: {endpoints.failures_text(row)}", width, "foreground")

    def note(self, state: State) -> str:  # noqa: ARG002  it is always so
        """Of what: no request but the probes' is known."""
        return "probe latencies"

    def copied(self) -> str:
        """A table."""
        numbers = self.numbers(self.console_app.state)
        rows = [
            [one.name, str(one.found.n), *(one.text(column) for column in _EVERY), endpoints.error_text(one.error_ratio)] for one in numbers
        ]
        why = endpoints.failures_text(self._subject.row)
        told = f"\n\nfailed: {plain(why)}" if why else ""
        return f"**{plain(self._subject.row.name)}**: probe latencies\n\n" + table_of(["over", "n", *_EVERY, "error %"], rows) + told


class ReadSection(AnswerSection[Endpoint, EndpointDetail]):
    """What was read of the endpoint.

    Attributes:
        NOTHING: What is said where that is nothing.
    """

    NOTHING: ClassVar[str] = "none"

    def entries(self, detail: EndpointDetail, state: State, width: int) -> Sequence[Parts]:
        """The lines of what was read."""
        raise NotImplementedError

    def known(self, state: State, width: int) -> Sequence[Parts]:  # noqa: ARG002  nothing, unless a section knows something
        """What is known without reading, where that cannot be done."""
        return ()

    def rows(self, state: State, width: int) -> Sequence[Parts]:
        """What was read; before it why it is not newer, or why there is nothing."""
        detail = self._answer.result
        if detail is None:
            return [*self.known(state, width), *self.unanswered(self._answer, width)]
        trouble = self.paragraph(self._answer.text, width, "warning_bar") if self._answer.trouble else []
        return [*trouble, *(self.entries(detail, state, width) or self.paragraph(self.NOTHING, width, "dim"))]

    def pairs(self, facts: Sequence[tuple[str, str]], width: int) -> Iterator[Parts]:
        """Names and texts, the texts over as many lines as they take."""
        wide = max((cell_len(name) for name, _ in facts), default=0) + 2
        for name, text in facts:
            for at, part in enumerate(chopped(text, width - wide - 2)):
                yield [("" if at else name, wide, "dim"), (part, 0, "foreground")]


class ChangesSection(ReadSection):
    """Changes of its state, newest first, and how long each lasted."""

    TITLE = NAME = "History"
    NOTHING = "its state has not changed since it is checked"

    def entries(self, detail: EndpointDetail, state: State, width: int) -> Sequence[Parts]:  # noqa: ARG002  a line is cut where it ends
        """When, what, how long, why."""
        return self._listed(detail.changes, state)

    def known(self, state: State, width: int) -> Sequence[Parts]:  # noqa: ARG002  likewise
        """Those that were told as events: a recording holds them."""
        events = endpoints.changes(state, {self._subject.row.name}, EVENTS_HELD)
        return self._listed([endpoints.change(event) for event in reversed(events)], state)

    def _listed(self, changes: Sequence[EndpointChange], state: State) -> list[Parts]:
        wide = max((len(began(change.at, state.at)) for change in changes), default=0) + 1
        return [self._row(change, lasted, state, wide) for change, lasted in self._spans(changes, state)]

    def _row(self, change: EndpointChange, lasted: str, state: State, wide: int) -> Parts:
        glyph, word, role = endpoints.sign(self.look, change.state)
        row: list[tuple[str, int, str]] = [
            (began(change.at, state.at), wide, "dim"), (f"{glyph} {word}", 0, role),
            (" " * max(1, 14 - len(glyph) - len(word)), 0, "foreground"), (f"{lasted:<8}", 0, "foreground"),
        ]  # fmt: skip
        return [*row, (endpoints.once(change.text), 0, "dim")]

    def _spans(self, changes: Sequence[EndpointChange], state: State) -> Iterator[tuple[EndpointChange, str]]:
        """Each change, and how long the state lasted that began with it; of one that still lasts: so far."""
        until = state.at
        for change in reversed(changes):
            yield change, units.duration(max(0.0, until - change.at))
            until = change.at

    def copied(self) -> str:
        """A list."""
        detail, state = self._answer.result, self.console_app.state
        if detail is None:
            return ""
        lines = [
            f"- {moment(change.at)}: {change.state} for {lasted}{f', {plain(change.text)}' if change.text else ''}"
            for change, lasted in self._spans(detail.changes, state)
        ]
        return "\n".join([f"**{plain(self._subject.row.name)}**: changes of its state", "", *lines])


class CertificatesSection(ReadSection):
    """The chain of certificates, the leaf first: when they end, for whom and from whom, and whether it was found to be good."""

    TITLE = NAME = "Certificates"

    @property
    def facts(self) -> TlsFacts | None:
        """What the last handshake told; of the last failure where there was none since."""
        return self._outcome.tls if self._outcome else None

    @property
    def _outcome(self) -> Outcome | None:
        """The check that it is of."""
        detail = self._answer.result
        outcomes = (detail.last, detail.failure) if detail else ()
        return next((outcome for outcome in outcomes if outcome and outcome.tls), None)

    def entries(self, detail: EndpointDetail, state: State, width: int) -> Sequence[Parts]:  # noqa: ARG002  see `facts`
        """Whether it is good, and a few lines a certificate."""
        tls = self.facts
        if tls is None:
            return [*self.known(state, width), *self.paragraph("no handshake has told of any", width, "dim")]
        good = (f"{self.look.glyph('ok')} verified", "ok") if tls.verified else (self._not_good(tls), "critical_bar")
        spoken = "  ".join(filter(None, (tls.version, tls.cipher)))
        rows: list[Parts] = [[(part, 0, good[1])] for part in chopped(good[0], width - 2)]
        rows += [[(part, 0, "dim")] for part in chopped(spoken, width - 2)]
        for certificate in tls.chain:
            rows += self._certificate(certificate, state, width)
        for hop in self._outcome.hops[:-1] if self._outcome else ():
            if not isnan(hop.expires):
                rows += [[(part, 0, "title")] for part in chopped(f"on the way: {hop.url}", width - 2)]
                rows.append([self._ends(hop.expires, state)])
        return rows

    def _not_good(self, tls: TlsFacts) -> str:
        failed = self.look.glyphs.failed
        return f"{failed} not verified: {tls.error}" if tls.error else f"{failed} not verified: nobody asked (insecure)"

    def _certificate(self, certificate: Certificate, state: State, width: int) -> Iterator[Parts]:
        for part in chopped(certificate.subject or "no subject", width - 2):
            yield [(part, 0, "title")]
        yield [self._ends(certificate.not_after, state), (f"  from {day(certificate.not_before)}", 0, "dim")]
        for text in (f"issuer {certificate.issuer}", f"names {_listed(certificate.names)}" if certificate.names else ""):
            for part in chopped(text, width - 4):
                yield [(f"  {part}", 0, "dim")]

    def _ends(self, at: float, state: State) -> tuple[str, int, str]:
        """When a certificate ends, as grave as that is."""
        left_s = at - state.at
        role = endpoints.certificate_severity(state, structs.replace(self._subject.row, expires=at, verified=True), state.at)
        ends = f"{'ended' if left_s < 0 else 'ends'} {day(at)} ({endpoints.days_text(left_s) or units.UNKNOWN})"
        return f"  {f'{self.look.glyph(role)} ' if role else ''}{ends}", 0, f"{role}_bar" if role else "foreground"

    def known(self, state: State, width: int) -> Sequence[Parts]:
        """When the first one ends: the table says that."""
        row = self._subject.row
        if isnan(row.expires):
            return ()
        role = endpoints.certificate_severity(state, row, state.at)
        words = f"the first of its chain {'ended' if row.expires < state.at else 'ends'} {day(row.expires)}"
        words += f" ({endpoints.days_text(row.expires - state.at)}){'' if row.verified else ', and it was not found to be good'}"
        return self.paragraph(words, width, f"{role}_bar" if role else "foreground")

    def copied(self) -> str:
        """A list."""
        tls, state = self.facts, self.console_app.state
        if tls is None:
            return ""
        lines = [f"**{plain(self._subject.row.name)}**: {'verified' if tls.verified else plain(self._not_good(tls)[2:])}", ""]
        for certificate in tls.chain:
            left = endpoints.days_text(certificate.not_after - state.at)
            lines.append(f"- {plain(certificate.subject)}: until {moment(certificate.not_after)} ({left}), by {plain(certificate.issuer)}")
        return "\n".join(lines)


class HowSection(ReadSection):
    """How it is checked, as it is configured."""

    TITLE = NAME = "How"

    def entries(self, detail: EndpointDetail, state: State, width: int) -> Sequence[Parts]:  # noqa: ARG002  a configuration has no time
        """Name and text."""
        facts = [*detail.facts]
        if self._subject.row.runbook and not any(text == self._subject.row.runbook for _, text in facts):
            facts.append(("runbook", self._subject.row.runbook))
        return list(self.pairs(facts, width))

    def known(self, state: State, width: int) -> Sequence[Parts]:  # noqa: ARG002  likewise
        """What the table says of it."""
        row = self._subject.row
        facts = [
            (row.kind, row.url), ("interval", units.duration(row.interval_s)), ("group", row.group), ("labels", row.labels),
            ("runbook", row.runbook),
        ]  # fmt: skip
        return list(self.pairs([(name, text) for name, text in facts if text], width))

    def copied(self) -> str:
        """A list."""
        facts = self._answer.result.facts if self._answer.result else [("url", self._subject.row.url)]
        lines = [f"- {plain(name)}: {plain(text)}" for name, text in facts]
        return "\n".join([f"**{plain(self._subject.row.name)}** is checked so:", "", *lines])


def day(at: float) -> str:
    """``24 Oct 2026``; the year matters for a certificate."""
    return units.UNKNOWN if isnan(at) else strftime("%d %b %Y", localtime(at))


def _listed(names: Sequence[str]) -> str:
    """Names of a certificate: some carry hundreds."""
    rest = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
