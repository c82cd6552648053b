"""What is over its threshold now, worst first, and since when; and what could not be measured, with the fix."""

from collections.abc import Sequence
from operator import itemgetter

from perfconsole.core import words
from perfconsole.core.endpoints import TARGET
from perfconsole.core.state import State
from perfconsole.core.tick import Alert, Health
from perfconsole.ui.line import Line
from perfconsole.ui.look import WORDS
from perfconsole.ui.verdict import HTTP, firing, present, said
from perfconsole.ui.widgets.header import clock
from perfconsole.ui.widgets.pane import Pane

_ROOMY = 50
_TROUBLE = {"error": "critical", "denied": "warning", "stale": "stale"}


def troubles(state: State) -> list[Health]:
    """Collectors that fail, and parts of them; what is merely not there (``off``) is none."""
    return [health for health in state.health.values() if health.state in _TROUBLE]


class OverPane(Pane, can_focus=True):
    """A list; empty is good news and takes one line."""

    TITLE = "Over threshold now"

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """The title with the count, then a line each."""
        alerts, failing = firing(state), troubles(state)
        told = sorted(((alert, not present(state, alert)) for alert in alerts), key=itemgetter(1))
        total = len(alerts) + len(failing)
        severity = "ok" if not told else "stale" if told[0][1] else told[0][0].severity
        lines = [self.title_line("OVER THRESHOLD NOW", "since" if alerts else "", severity)]
        lines += [self._breach(state, alert, width, was=was) for alert, was in told[:height]]
        lines += [self._trouble(health) for health in failing[:height]]
        if not total:
            lines.append(self.line().gap().put("nothing", "dim"))
        if total >= height > 2:  # with one line beside the title the worst thing says more than a number
            lines = [*lines[: height - 1], self.line().gap().put(f"and {total - height + 2} more", "dim")]
        return lines

    def _breach(self, state: State, alert: Alert, width: int, *, was: bool) -> Line:
        line = self.line().gap()
        line.put(f"{self.look.glyph(alert.severity)} {WORDS[alert.severity]}", "stale" if was else alert.severity, 6).gap()
        since = words.lasting(alert, state.at, state.stream.began if state.stream else 0.0).removeprefix("for ")
        if since and width >= _ROOMY:  # else what is over its threshold matters more than the hour at which it began
            since += f"  {clock(alert.since)}"
        told, role = (f"was: {said(state, alert)}", "stale") if was else (said(state, alert), "foreground")
        return line.put(told, role, max(0, line.left - len(since) - 2)).gap().put(since, "dim")

    def _trouble(self, health: Health) -> Line:
        # Of one endpoint: it is the console that cannot measure it, and nothing is the matter with it as far as is known.
        severity = "unknown" if health.collector == HTTP and health.target != TARGET else _TROUBLE[health.state]
        line = self.line().gap().put(self.look.glyph(severity), f"{severity}_bar").gap()
        what = health.collector if health.target in {"host", TARGET} else f"{health.collector} {health.target}"
        line.put(what, "title").put(f"  {health.error}", "foreground")
        return line.put(f"  {health.fix}" if health.fix else "", "dim")
