"""The upper part of an endpoint's screen: its state in words, what is checked and how often, and its history in one line."""

from collections.abc import Iterator, Sequence
from math import isnan
from typing import Final

from perfconsole.core import units
from perfconsole.core.endpoint_samples import LATE
from perfconsole.core.endpoints import CALM, TARGET
from perfconsole.core.series import HELD_S
from perfconsole.core.state import State
from perfconsole.ui import endpoints
from perfconsole.ui.endpoint import Endpoint
from perfconsole.ui.line import Line
from perfconsole.ui.spark import fitting_window
from perfconsole.ui.subject import ENDED, UNSEEN
from perfconsole.ui.widgets import chart
from perfconsole.ui.widgets.detail import day_and_time
from perfconsole.ui.widgets.facts import FactsGrid, Told
from perfconsole.ui.widgets.header import clock
from perfconsole.ui.widgets.pane import Pane

_DAY_S: Final = 86_400.0
_SHORT: Final = 20
_TALL: Final = 30
_GRID_LINES: Final = 2
"""Lines of facts on a screen that is not tall; on a short one a single one."""


def began(at: float, now: float) -> str:
    """A time of day, with the date where that was another day."""
    return clock(at) if now - at < _DAY_S else day_and_time(at)


class EndpointFacts(FactsGrid[Endpoint]):
    """Name and state, what is checked, what came of it last, and facts."""

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """Title, target, words, grid."""
        deep = self.deep(12, width)
        rows = self.screen.size.height
        wanted = 3 + (1 if rows < _SHORT else min(_GRID_LINES, deep) if rows < _TALL else deep)
        if self.size.height != wanted:
            self.styles.height = wanted
        row = self._subject.row
        where = self.line().gap().put(row.url, "stale" if self.faded else "accent")
        words, role = self._words(state)
        told = self.line().gap().put(words, "stale" if self.faded else role)
        return [self._title(state), where, told, *self.grid(list(self._facts(state)), width, height - 3)]

    def _title(self, state: State) -> Line:
        subject, row = self._subject, self._subject.row
        line = self.line("panel").gap().put("ENDPOINT", "title").gap().put(row.name, "accent").gap(2)
        if subject.status == ENDED:
            return line.put(f"{self.look.glyph('stale')} not checked any more", "stale").put(", what was last known is shown", "dim")
        if subject.status == UNSEEN:
            return line.put(f"{self.look.glyph('stale')} not among the endpoints known at this moment", "stale")
        glyph, word, role = endpoints.sign(self.look, endpoints.state_of(row, state.at))
        line.put(f"{glyph} {word}", role)
        if not isnan(row.since):
            line.put(f" for {units.duration(max(0.0, state.at - row.since))}", "foreground")
            line.put(f", since {began(row.since, state.at)}", "dim")
        aside = "  ".join(filter(None, ("critical" if row.critical else "", row.group if row.group != row.service else "", row.labels)))
        return line.to(line.width - len(aside) - 1).put(aside, "dim") if line.left > len(aside) + 2 else line

    def _words(self, state: State) -> tuple[str, str]:
        """What is the matter with it, or that nothing is, and its role."""
        row = self._subject.row
        found = endpoints.why(row, state.at)
        of_all, own = state.health.get(("http", TARGET)), state.health.get(("http", row.name))
        health = of_all if of_all and of_all.state in {"error", "denied", "stale"} else own
        fix = f": {health.fix}" if health and row.cause == "unmeasured" and health.fix not in row.error else ""
        if health is of_all and health is not None and health.error:
            return f"{self.look.glyph('stale')} {health.error}: {health.fix}".removesuffix(": "), "stale"
        if row.state in CALM:
            return f"{row.state} {found}", "foreground"
        if found:
            return f"{found}{fix}", "warning_bar" if endpoints.ails(row, state.at) else "dim"
        return " ".join(
            filter(None, ("last check:", str(row.status) if row.status else "ok", f"in {endpoints.last_text(row)}"))
        ), "foreground"

    def _facts(self, state: State) -> Iterator[Told]:
        """Label, value and role of each, the most telling ones first."""
        row = self._subject.row
        over = [severity for limit, severity in endpoints.limits(state, row) if row.last_s > limit]
        certificate = endpoints.certificate_severity(state, row, state.at)
        ago = f" ({endpoints.lasting(state.at - row.at)})" if state.at - row.at >= 60 else ""
        yield "last", endpoints.last_text(row), f"{over[-1]}_bar" if over else "foreground"
        yield "error", f"{endpoints.error_text(row.error_ratio)}%".replace("-%", "-"), "foreground"
        yield "avail", f"{endpoints.availability_text(row.availability)}%".replace("-%", "-"), "foreground"
        ends = endpoints.days_text(row.expires - state.at)
        yield "cert", f"{ends or units.UNKNOWN}{'' if row.verified else ' not good'}", f"{certificate}_bar" if certificate else "foreground"
        held = f", {endpoints.lasting(row.held_s)}" if row.held_s > HELD_S * LATE else ""
        yield "p95", f"{endpoints.bound_text(row.p95_s, row.cut_s)} (n {units.count(row.n)}{held})", "foreground"
        yield "checked", f"{clock(row.at)}{ago}" if not isnan(row.at) else "not yet", "foreground"
        yield "every", units.duration(row.interval_s).removesuffix("00s").replace(".0s", "s"), "foreground"
        yield "service", row.service or units.UNKNOWN, "foreground"
        yield "address", row.address or units.UNKNOWN, "foreground"
        yield "protocol", row.protocol or row.kind, "foreground"
        yield "size", units.size(row.size_bytes), "foreground"
        yield "status", str(row.status) if row.status else units.UNKNOWN, "foreground"


class HistoryStrip(Pane):
    """Its history in one line, where there is no room for a chart.

    Args:
        subject: The endpoint.
    """

    def __init__(self, subject: Endpoint) -> None:
        super().__init__(id="strip")
        self._subject = subject

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002  one line
        """Bars by latency, marks for what failed."""
        window_s = fitting_window(state.held_s, self.console_app.window_s)
        span = f"last {chart.ago(window_s)}"
        values = endpoints.history(state, self._subject.row, max(1, width - len(span) - 4), window_s)
        line = self.line().gap()
        endpoints.put_history(line, self.look, values, endpoints.limits(state, self._subject.row))
        return [line.gap().put(span, "dim")]
