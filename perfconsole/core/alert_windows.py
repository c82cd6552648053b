"""Long windows that an earlier run left, until the series they are about are measured, and taken some at a time. Pure.

A window of an hour would be blind for most of an hour after every start. What it holds was measured, and what was not measured meanwhile
stays a gap in it.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from perfconsole.core.alert_watched import Watched
from perfconsole.core.notices import Standing
from perfconsole.core.tick import SeriesDef

_AT_ONCE: Final = 2000
"""Samples that are taken with one tick, about: a millisecond."""


class LeftWindows:
    """What is left of windows: by rule and series, or with who takes it next."""

    def __init__(self) -> None:
        self._unclaimed: dict[tuple[str, SeriesDef], Standing] = {}
        self._claimed: deque[tuple[Watched, Standing]] = deque()

    def leave(self, rule: str, series: SeriesDef, standing: Standing, known: Watched | None) -> None:
        """Take one over, for who watches the series, if that is known yet."""
        if known is None:
            self._unclaimed[rule, series] = standing
        else:
            self._claimed.append((known, standing))

    def claim(self, one: Watched) -> None:
        """Have it that this one watches its series from now on."""
        if self._unclaimed:
            standing = self._unclaimed.pop((one.rule.name, one.definition), None)
            if standing:
                self._claimed.append((one, standing))

    def refill(self, moved_s: Callable[[Standing], float]) -> None:
        """Have some of those that were claimed taken.

        Args:
            moved_s: What is to be added to the moments of one to have them in this boot's seconds.
        """
        room = _AT_ONCE
        while self._claimed and room > 0:
            one, standing = self._claimed.popleft()
            room -= len(standing.window) // 5  # bytes of a sample, at least
            one.refill(standing, moved_s(standing))

    def forget(self) -> None:
        """Let go of those that nobody claimed."""
        self._unclaimed.clear()

    def __bool__(self) -> bool:
        return bool(self._claimed)

    def __iter__(self) -> Iterator[Standing]:
        yield from list(self._unclaimed.values())
        yield from [standing for _, standing in self._claimed]
