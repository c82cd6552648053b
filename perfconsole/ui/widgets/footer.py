"""The last row of every screen: the keys that matter here and now, and passing notices."""

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len

from perfconsole.core.state import State
from perfconsole.ui.line import Line
from perfconsole.ui.look import WORDS
from perfconsole.ui.widgets.pane import Pane

_KEPT: Final = ("help", "quit")


class Footer(Pane):
    """One row of keys; a notice takes its place for a few seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._notice = ""
        self._role = "foreground"
        self._drawn: object = None
        self._keys: list[Line] = []

    def tell(self, text: str, role: str = "foreground", seconds: float = 6.0) -> None:
        """Show a notice in place of the keys for a while."""
        self._notice, self._role = text, role
        self.show(self.console_app.state)

        def over() -> None:
            if self._notice == text:
                self._notice = ""
                self.show(self.console_app.state)

        self.set_timer(seconds, over)

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002  one row, of the keymap's making
        """Keys and what they do, as many as fit; the ones that help a stranger on stay to the last. What has just fired comes before."""
        line = self.line("panel").gap()
        news, front = self.console_app.news, self.console_app.front
        if news and (front is None or front.SCOPE != "alerts" or self.console_app.pump.past):  # there the list shows it
            line = self.line().gap().put(f"{self.look.glyph(news.severity)} {WORDS[news.severity]}", news.severity).gap()
            shows = f"  {self.console_app.keymap.sign('screen.alerts')} shows it"
            return [line.put(news.text, "title", min(cell_len(news.text), line.left - len(shows))).put(shows, "dim")]
        if self._notice:
            return [line.put(self._notice, self._role)]
        hints = self.console_app.hints()
        drawn = (hints, width, self.look)
        if drawn != self._drawn:
            self._drawn, self._keys = drawn, [self._hinted(line, hints)]
        return self._keys

    def _hinted(self, line: Line, hints: Sequence[tuple[str, str]]) -> Line:
        """The keys, each with what it does."""
        kept = [hint for hint in hints if hint[0] in {self.console_app.keymap.sign(name) for name in _KEPT}]
        others = [hint for hint in hints if hint not in kept]
        while others and sum(map(_cells, kept + others)) > line.left:
            others.pop()
        for key, title in hints:
            if (key, title) in kept or (key, title) in others:
                line.put(key, "accent").gap().put(title, "dim").gap(2)
        return line


def _cells(hint: tuple[str, str]) -> int:
    key, title = hint
    return len(key) + len(title) + 3
