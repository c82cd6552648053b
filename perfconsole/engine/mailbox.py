"""The mailbox between the engine and one reader: bounded, never blocking, and never out of step.

A reader that stalls costs at most `BOUND` ticks of memory: past that the box is emptied and gets a keyframe, so that the reader ends with
the state of one that never stalled.
"""

import threading
from collections.abc import Callable
from typing import Final

from perfconsole.core.ports import Watch
from perfconsole.core.tick import Tick

BOUND: Final = 64


class Mailbox:
    """Ticks on their way to one reader.

    Args:
        keyframe: Makes a keyframe of what the engine knows; called on the engine's thread.
        wake: Called when there is something to drain, once until it is drained; from the engine's thread.

    Attributes:
        watch: What this reader looks at.
    """

    def __init__(self, keyframe: Callable[[], Tick], wake: Callable[[], None]) -> None:
        self.watch = Watch()
        self._keyframe = keyframe
        self._wake = wake
        self._ticks: list[Tick] = []
        self._lock = threading.RLock()  # a wake may drain at once
        self._open = True

    def put(self, tick: Tick) -> None:
        """Hand over one tick; on the engine's thread, after its state has it."""
        with self._lock:
            if not self._open:
                return
            idle = not self._ticks
            if len(self._ticks) < BOUND:
                self._ticks.append(tick)
            else:
                self._ticks = [self._keyframe()]
            if idle:  # under the lock: a wake after `close` would find its reader's loop gone
                try:
                    self._wake()
                except RuntimeError:  # it is gone without a word: nobody will drain this any more
                    self._open, self._ticks = False, []

    def drain(self) -> list[Tick]:
        """Everything since the last drain; from any thread, never blocks for longer than a keyframe takes (1 ms)."""
        with self._lock:
            ticks, self._ticks = self._ticks, []
        return ticks

    def close(self) -> None:
        """No more ticks, no more wakes."""
        with self._lock:
            self._open = False
            self._ticks = []
