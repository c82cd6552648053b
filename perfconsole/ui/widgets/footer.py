"""The last row of every screen: the keys that matter here and now, and passing notices."""

from collections.abc import Sequence

from perfconsole.core.state import State
from perfconsole.ui.line import Line
from perfconsole.ui.widgets.pane import Pane


class Footer(Pane):
    """One row of keys; a notice takes its place for a few seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._notice = ""
        self._role = "foreground"

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
        """Keys and what they do, as many as fit."""
        line = self.line("panel").gap()
        if self._notice:
            return [line.put(self._notice, self._role)]
        for key, title in self.console_app.hints():
            if line.left < len(key) + len(title) + 3:
                break
            line.put(key, "accent").gap().put(title, "dim").gap(2)
        return [line]
