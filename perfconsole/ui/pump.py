"""The pump: one for the whole app. Takes ticks from the source, folds them, and has the current screen show what changed."""

import time
from collections.abc import Callable
from typing import Final

from perfconsole.core.ports import Source
from perfconsole.core.state import State
from perfconsole.core.tick import Tick

SILENT_S: Final = 3.0
"""Without any tick for this long (they come every half second) the source itself is lost, not merely a collector."""


class Pump:
    """Two states: live keeps folding while the past is looked at, so that what begins now is still seen.

    Args:
        source: Where ticks come from.
        shown: Called after a drain, with whether anything but time has passed.

    Attributes:
        live: The present.
        past: The moment that is looked at instead; None is now.
    """

    def __init__(self, source: Source, shown: Callable[[bool], None]) -> None:
        self._source = source
        self._shown = shown
        self._arrived = time.monotonic()
        self.live = State()
        self.past: State | None = None

    @property
    def state(self) -> State:
        """The state that is drawn."""
        return self.past or self.live

    def drain(self) -> None:
        """Fold what has come."""
        ticks = self._source.drain()
        if not ticks:
            return
        self._arrived = time.monotonic()
        for tick in ticks:
            self._fold(tick)
        self._shown(any(not tick.empty for tick in ticks))

    def _fold(self, tick: Tick) -> None:
        if not tick.past:
            self.live.apply(tick)
            return
        if self.past is None:
            self.past = State()
        self.past.apply(tick)

    def freeze(self) -> None:
        """Look at this moment until `thaw`: a past made here, from a local keyframe."""
        self.past = State()
        self.past.apply(self.live.keyframe())

    def thaw(self) -> None:
        """Look at the present again."""
        self.past = None

    def silent_s(self) -> float:
        """Seconds since the last tick, once that is too long; else 0."""
        silent = time.monotonic() - self._arrived
        return silent if silent > SILENT_S else 0.0
