"""Who waits for something to be kept, and is told so: once, in order, and in time even where the thread that writes hangs in the disk."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

Kept = Callable[[], None]


class _One(NamedTuple):
    serial: int
    until: float
    kept: Kept


class Waiting:
    """Those who wait. Told by the thread that writes, or by one of its own when that takes longer than the patience.

    Args:
        patience_s: How long anybody waits.
        late: Called before those are told whom the disk kept waiting for so long.
        fault: Called with what was wrong with somebody who was told.
    """

    def __init__(self, patience_s: float, late: Callable[[], None], fault: Callable[[Exception], None]) -> None:
        self._patience_s = patience_s
        self._late, self._fault = late, fault
        self._lock = threading.Lock()
        self._queue: deque[_One] = deque()
        self._serial = 0
        self._asked, self._over = threading.Event(), threading.Event()
        threading.Thread(target=self._thread_main, name="events late", daemon=True).start()

    @property
    def newest(self) -> int:
        """The last who came."""
        return self._serial

    def add(self, kept: Kept) -> None:
        """Wait from now on; returns at once."""
        with self._lock:
            self._serial += 1
            self._queue.append(_One(self._serial, time.monotonic() + self._patience_s, kept))
        self._asked.set()

    def tell(self, newest: int | None = None) -> None:
        """Tell everybody, or who came up to one of them."""
        self._tell(lambda one: newest is None or one.serial <= newest)

    def close(self) -> None:
        """Have nobody told late any more."""
        self._over.set()
        self._asked.set()

    def _tell(self, which: Callable[[_One], bool], before: Callable[[], None] | None = None) -> None:
        told = []
        with self._lock:
            while self._queue and which(self._queue[0]):
                told.append(self._queue.popleft())
            if told and before:
                before()  # under the lock: whoever says otherwise after telling is then the last word
        for one in told:
            try:
                one.kept()
            except Exception as error:  # noqa: BLE001  a fault of who is told must not end the keeping
                self._fault(error)

    def _thread_main(self) -> None:
        while not self._over.is_set():
            self._asked.wait()
            self._asked.clear()
            while self._queue and not self._over.wait(self._patience_s / 10):
                now = time.monotonic()
                self._tell(lambda one, now=now: one.until <= now, self._late)  # type: ignore[misc]  # of a default in a lambda
