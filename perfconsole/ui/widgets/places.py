"""The places of HTTP and PostgreSQL on the Operations screen: a line each that says how they are configured."""

from collections.abc import Sequence

from perfconsole.core.state import State
from perfconsole.ui.line import Line
from perfconsole.ui.widgets.pane import Pane


class PlacesPane(Pane):
    """Two lines."""

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002  nothing to measure yet
        """What is not watched, and how it would be."""
        return [
            self._place("HTTP", "no endpoints yet: [[http]] in config.toml, with a later version"),
            self._place("POSTGRESQL", "no servers yet: [[postgres]] in config.toml, with a later version"),
        ]

    def _place(self, name: str, text: str) -> Line:
        return self.line("panel").gap().put(name, "title", 12).put(text, "dim")
