"""How late a loop is: for what is timed by the loop alone, where no kernel says when something came in."""

import asyncio
from typing import Final

BEAT_S: Final = 0.01
"""Ten times a lateness that matters; runs only while somebody waits without stamps."""


class Wait:
    """Somebody who waits, and the worst lateness meanwhile, in seconds."""

    __slots__ = ("worst_s",)

    def __init__(self) -> None:
        self.worst_s = 0.0


class Lag:
    """Measures the running loop's lateness while somebody waits.

    Attributes:
        always: Whether it is wanted of all who wait: the kernel was found to stamp less than it promised.
    """

    def __init__(self) -> None:
        self.always = False
        self._waits: set[Wait] = set()
        self._beat: asyncio.TimerHandle | None = None
        self._due = 0.0

    def begin(self) -> Wait:
        """Begin to wait."""
        wait = Wait()
        self._waits.add(wait)
        if self._beat is None:
            self._next()
        return wait

    def end(self, wait: Wait) -> float:
        """End it; the worst lateness since it began, in seconds: that of a beat which is overdue now, too."""
        self._waits.discard(wait)
        late_s = max(wait.worst_s, asyncio.get_running_loop().time() - self._due)
        if not self._waits and self._beat is not None:
            self._beat.cancel()
            self._beat = None
        return max(0.0, late_s)

    def _next(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + BEAT_S
        self._beat = loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        late_s = asyncio.get_running_loop().time() - self._due
        for wait in self._waits:
            wait.worst_s = max(wait.worst_s, late_s)
        self._next()
