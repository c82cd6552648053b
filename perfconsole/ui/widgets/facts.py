"""Facts in a grid: a label and a value each, as many abreast as there is room for, the most telling ones first."""

from collections.abc import Sequence
from typing import Final, Generic, Protocol, TypeVar

from perfconsole.ui.line import Line
from perfconsole.ui.widgets.pane import Pane

_FACT: Final = 26
_LABEL: Final = 9
"""Cells of a fact, and of its label in it."""

Told = tuple[str, str, str]
"""Label, value and role."""


class Live(Protocol):
    """What is followed through states, and may not be there any more."""

    @property
    def live(self) -> bool:
        """Whether it is there."""


S = TypeVar("S", bound=Live)


class FactsGrid(Pane, Generic[S]):
    """A pane with facts in it.

    Args:
        subject: What they are of.
    """

    def __init__(self, subject: S) -> None:
        super().__init__()
        self._subject = subject

    @property
    def faded(self) -> bool:
        """Whether these are the last facts of something that is not there any more."""
        return not self._subject.live

    def deep(self, count: int, width: int) -> int:
        """Lines that so many facts take."""
        return -(-count // max(1, width // _FACT))

    def grid(self, facts: Sequence[Told], width: int, most: int) -> list[Line]:
        """At most so many lines of facts; what does not fit is left out."""
        across = max(1, width // _FACT)
        shown = facts[: across * max(1, most)]
        lines = []
        for start in range(0, len(shown), across):
            line = self.line().gap()
            for i, (label, value, role) in enumerate(shown[start : start + across]):
                line.to(1 + i * (width - 1) // across).put(label, "dim", _LABEL)
                line.put(value, "stale" if self.faded else role, (width - 1) // across - _LABEL - 1)
            lines.append(line)
        return lines
