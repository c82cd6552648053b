"""What is over its threshold now, worst first, and since when; and what could not be measured, with the fix."""

from collections.abc import Sequence

from perfconsole.core import words
from perfconsole.core.alerts import worst_first
from perfconsole.core.state import State
from perfconsole.core.tick import Health
from perfconsole.ui.line import Line
from perfconsole.ui.look import WORDS
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
        firing, failing = worst_first(state.alerts.values()), troubles(state)
        total = len(firing) + len(failing)
        title = self.title_line("OVER THRESHOLD NOW", "since" if firing else "", firing[0].severity if firing else "ok")
        lines = [title]
        began = state.stream.began if state.stream else 0.0
        for alert in firing:
            line = self.line().gap().put(f"{self.look.glyph(alert.severity)} {WORDS[alert.severity]}", alert.severity, 6).gap()
            since = words.lasting(alert, state.at, began).removeprefix("for ")
            if width >= _ROOMY:  # else what is over its threshold matters more than the hour at which it began
                since += f"  {clock(alert.since)}"
            value = state.value(alert.metric, **dict(alert.labels))
            line.put(words.breach(alert, value), width=max(0, line.left - len(since) - 2)).gap()
            lines.append(line.put(since, "dim"))
        for health in failing:
            severity = _TROUBLE[health.state]
            line = self.line().gap().put(self.look.glyph(severity), f"{severity}_bar").gap()
            what = health.collector if health.target == "host" else f"{health.collector} {health.target}"
            line.put(what, "title").put(f"  {health.error}", "foreground")
            lines.append(line.put(f"  {health.fix}" if health.fix else "", "dim"))
        if not total:
            lines.append(self.line().gap().put("nothing", "dim"))
        if len(lines) > height > 2:  # with one line beside the title the worst thing says more than a number
            lines = [*lines[: height - 1], self.line().gap().put(f"and {total - height + 2} more", "dim")]
        return lines
