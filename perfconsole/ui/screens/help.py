"""Help, made from what can really be done on the screen it was called from: keys, signs, and where the data comes from."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult

from perfconsole.config.actions import Action
from perfconsole.core import units
from perfconsole.core.state import State
from perfconsole.ui.line import Line
from perfconsole.ui.look import WORDS
from perfconsole.ui.screens.base import ConsoleScreen
from perfconsole.ui.widgets.pane import Pane

_SIGNS = ("ok", "warning", "critical", "stale", "unknown")


class HelpPane(Pane, can_focus=True):
    """A page that scrolls."""

    def __init__(self, actions: Sequence[Action]) -> None:
        super().__init__()
        self._actions = actions
        self._first = 0

    def move(self, rows: int) -> None:
        """Scroll."""
        self._first = max(0, self._first + rows)
        self.show(self.console_app.state)

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """Keys, then signs, then sources; in two columns where there is room."""
        page = [*self._keys(width), self.line(), *self._signs(), self.line(), *self._sources(state)]
        self._first = max(0, min(self._first, len(page) - height))
        return page[self._first : self._first + height]

    def _keys(self, width: int) -> list[Line]:
        columns = 2 if width >= 100 else 1
        each = width // columns
        keymap = self.console_app.keymap
        lines = [self.title_line("KEYS", "Esc closes")]
        rows = -(-len(self._actions) // columns)
        for i in range(rows):
            line = self.line()
            for action in self._actions[i::rows]:
                line.gap().put(keymap.signs(action.id), "accent", 16).put(action.title, "foreground", each - 18).gap()
            lines.append(line)
        return lines

    def _signs(self) -> list[Line]:
        line = self.line().gap()
        for severity in _SIGNS:
            line.put(f"{self.look.glyph(severity)} {WORDS[severity]}", severity).gap(3)
        gap = self.line().gap().put(self.look.glyphs.gap, "border", 3).put("in a sparkline: nothing was measured", "dim")
        return [self.title_line("SIGNS"), line, gap]

    def _sources(self, state: State) -> list[Line]:
        lines = [self.title_line("WHERE THE DATA COMES FROM", "age, cost of a run")]
        for health in state.health.values():
            severity = "ok" if health.state == "ok" else "unknown" if health.state == "off" else "warning"
            what = health.collector if health.target == "host" else f"{health.collector} {health.target}"
            line = self.line().gap().put(self.look.glyph(severity), f"{severity}_bar").gap().put(what, width=23).gap()
            if health.last_ok:
                line.put(units.duration(max(0.0, state.at - health.last_ok)), "dim", 8).put(units.latency(health.cost_s), "dim", 8)
            lines.append(line.put(health.error, "foreground").put(f"  {health.fix}" if health.fix else "", "dim"))
        if state.stream:
            recorder = state.stream.recorder
            text = f"recording to {recorder}" if recorder else "nothing is being recorded"
            lines.append(self.line().gap().put(text, "dim"))
        return lines


class HelpScreen(ConsoleScreen):
    """The page, over the screen it explains."""

    SCOPE = "help"
    HINTS: ClassVar[Sequence[tuple[str, str]]] = (("back", "close"), ("nav.down", "down"), ("quit", "quit"))

    def __init__(self, actions: Sequence[Action]) -> None:
        super().__init__()
        self._actions = actions

    def body(self) -> ComposeResult:
        """The page."""
        yield HelpPane(self._actions)

    def on_mount(self) -> None:
        """Keys scroll it."""
        self.query_one(HelpPane).focus()

    def do_help(self) -> None:
        self.dismiss()
