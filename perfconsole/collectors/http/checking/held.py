"""Whether this loop was held up for long: a process that was stopped (ctrl+z, a debugger), or had no CPU, is not what its targets are.

The kernel's stamps keep that out of most latencies, but a limit that passed meanwhile is over, though the answer may have been there.
"""

import asyncio
from math import inf
from typing import Final

HELD_S: Final = 0.5
"""A loop that is late by more was held up: a collector holds it for 3 ms, a garbage collection for 30."""

BEAT_S: Final = 0.25
"""How often that is looked at: by so much more it may have been held up than it was late."""


class Held:
    """Notes when the running loop was held up, while it is asked to.

    Attributes:
        ended: When that ended last, by the loop's clock; `seconds` how long it took.
    """

    def __init__(self) -> None:
        self._beat: asyncio.TimerHandle | None = None
        self._due = inf
        self.ended, self.seconds = -inf, 0.0

    def begin(self) -> None:
        """Begin to look; doing so again changes nothing."""
        if self._beat is None:
            self._next()

    def end(self) -> None:
        """End it."""
        if self._beat is not None:
            self._beat.cancel()
            self._beat, self._due = None, inf

    def since(self, began: float) -> float:
        """Seconds for which it was held up, the last time that ended after a moment of the loop's clock; 0 for never."""
        self._look()  # a step that was under way when it happened comes before the beat
        return self.seconds if self.ended > began else 0.0

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._due > HELD_S:
            self.ended, self.seconds = now, now - self._due
            self._due = now

    def _next(self) -> None:
        self._look()
        loop = asyncio.get_running_loop()
        self._due = loop.time() + BEAT_S
        self._beat = loop.call_at(self._due, self._next)
