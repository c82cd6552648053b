"""Where the time of a check went: its phases as stacked bars, of the last check and of the usual one, with their times."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Final

from perfconsole.core import units
from perfconsole.core.checks import PHASES
from perfconsole.core.state import State
from perfconsole.ui import endpoints
from perfconsole.ui.endpoint import Endpoint, last_phases, own_delays, usual_phases
from perfconsole.ui.line import Parts
from perfconsole.ui.look import Look
from perfconsole.ui.markdown import plain, table_of
from perfconsole.ui.spark import fitting_window
from perfconsole.ui.widgets import chart
from perfconsole.ui.widgets.section import SubjectSection

LETTERS: Final = dict(zip(PHASES, "DCTSWX", strict=True))
"""What stands at the beginning of each part: it reads without colour."""

_ROLES: Final = dict(zip(PHASES, ("unknown_bar", "ok_bar", "foreground", "stale_bar", "chart", "dim"), strict=True))
"""Neighbours differ; none has the colour of a warning, which a phase is not."""

_BAR_LEAST: Final = 6


def stacked(look: Look, phases: Mapping[str, float], longest_s: float, cells: int) -> list[tuple[str, int, str]]:
    """The parts of a bar of which `longest_s` would take all cells; each phase that took any time has a cell at least."""
    known = {phase: seconds for phase, seconds in phases.items() if seconds > 0}
    if not known or not longest_s > 0:
        return []
    sizes = {phase: max(1, round(seconds / longest_s * cells)) for phase, seconds in known.items()}
    while sum(sizes.values()) > max(cells, len(sizes)):  # those that were widened to be seen are paid for by the longest
        sizes[max(sizes, key=lambda phase: sizes[phase])] -= 1
    fill = "=" if look.ascii else "█"
    return [(LETTERS[phase] + fill * (size - 1), 0, _ROLES[phase]) for phase, size in sizes.items()]


def total(phases: Mapping[str, float]) -> float:
    """The sum of what is known; NaN where nothing is."""
    known = [seconds for seconds in phases.values() if not isnan(seconds)]
    return sum(known) if known else float("nan")


class PhasesSection(SubjectSection[Endpoint]):
    """Phases of the last check and of the usual one."""

    TITLE = NAME = "Phases"

    @property
    def faded(self) -> bool:
        """What is not checked any more has no last check."""
        return not self._subject.live

    def rows(self, state: State, width: int) -> Sequence[Parts]:
        """Two bars on one scale, and a row a phase."""
        last, (usual, n) = last_phases(self._subject, state), self._usual(state)
        longest = max((seconds for seconds in (total(last), total(usual)) if not isnan(seconds)), default=0.0)
        if not longest:
            return self.paragraph("no phases are known: no check has told any yet", width, "dim")
        cells = max(_BAR_LEAST, width - 18)
        rows: list[Parts] = [
            [("last", 7, "dim"), (self._last_text(last), 8, "foreground"), *stacked(self.look, last, longest, cells)],
            [("median", 7, "dim"), (units.latency(total(usual)), 8, "foreground"), *stacked(self.look, usual, longest, cells)],
        ]
        head, own = f"{'':11}{'last':>7}{'':5}{'median':>8}  n {n}", self._own(state)
        fits = len(head) + len(own) + 4 < width
        rows.append([(f"{head}   {own}" if fits else head, 0, "dim")])
        rows += [self._row(phase, last, usual) for phase in PHASES if not (isnan(last[phase]) and isnan(usual[phase]))]
        return rows if fits else [*rows, [(own, 0, "dim")]]

    def _own(self, state: State) -> str:
        """What is not the target's: in no phase where it is late or waited, and in one where it is in doubt."""
        told = [f"{name} {units.latency(seconds)}" for name, seconds in own_delays(self._subject, state)]
        return f"ours: {'  '.join(told)}" if told else ""

    def _row(self, phase: str, last: Mapping[str, float], usual: Mapping[str, float]) -> Parts:
        share = last[phase] / total(last) if total(last) > 0 else float("nan")
        return [
            (f"{LETTERS[phase]} {phase}", 11, _ROLES[phase]),
            (f"{units.latency(last[phase]):>7}", 0, "foreground"),
            (f"{'' if isnan(share) else units.percent(share):>5}", 0, "dim"),
            (f"{units.latency(usual[phase]):>8}", 0, "foreground"),
        ]

    def _usual(self, state: State) -> tuple[dict[str, float], int]:
        return usual_phases(self._subject, state, state.at - self._window_s(state))

    def _window_s(self, state: State) -> float:
        began, _ = self._subject.held(state)
        return fitting_window(0.0 if isnan(began) else state.at - began, self.console_app.window_s)

    def _last_text(self, last: Mapping[str, float]) -> str:
        row = self._subject.row
        return endpoints.last_text(row) if row.at_least else units.latency(total(last))

    def note(self, state: State) -> str:
        """Over what time the median is."""
        return f"median of last {chart.ago(self._window_s(state))}"

    def copied(self) -> str:
        """A table."""
        state = self.console_app.state
        last, (usual, n) = last_phases(self._subject, state), self._usual(state)
        known = [phase for phase in PHASES if not (isnan(last[phase]) and isnan(usual[phase]))]
        rows = [[phase, units.latency(last[phase]), units.latency(usual[phase])] for phase in known]
        return f"**{plain(self._subject.row.name)}**: phases\n\n" + table_of(["phase", "last check", f"median (n {n})"], rows)
