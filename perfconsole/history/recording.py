"""Recording: the tick stream, appended to compressed segments by a thread of its own.

The engine hands ticks over and never waits. Written is every 5 s what came in since: a process that is killed loses less than 10 s, and
one that dies of a full disk loses nothing but what came after. Nothing is synced: a recording may lose its end to a power cut, and a
sync could hold up the disk that is being watched.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Final

from perfconsole.core.segment import recorded
from perfconsole.core.text import safe
from perfconsole.core.tick import Tick
from perfconsole.history.segments import Ring, Segment, SingleFile

FLUSH_S: Final = 5.0
RETRY_S: Final = 30.0
BOUND: Final = 64
"""Ticks held while the disk hangs; past that they are let go, and the recording goes on with a new keyframe when it no longer does."""


class _Recorder:
    """A sink that writes to a store; see `core.ports.Sink`.

    Args:
        store: Where segments go.
        flush_s: Seconds between two writes.
        retry_s: Seconds after a failed write until the next attempt.
        patience_s: How long `close` waits for the last write: a disk that hangs must not hold up the end of the program.
        clock: Monotonic seconds.

    Attributes:
        wants_keyframe: A segment can only begin with a keyframe: the engine gives one in place of the next tick.
        error: Why nothing is being recorded, in words; empty while all is well.
    """

    def __init__(
        self,
        store: Ring | SingleFile,
        flush_s: float,
        retry_s: float,
        patience_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.wants_keyframe = True
        self.error = ""
        self._store = store
        self._flush_s, self._retry_s, self._patience_s = flush_s, retry_s, patience_s
        self._clock = clock
        self._queue: deque[Tick] = deque()
        self._lock = threading.Lock()
        self._following = False  # whether a keyframe came, and everything since
        self._retry_at = 0.0
        self._segment: Segment | None = None
        self._newest = 0.0
        self._closing = False
        self._alarm = threading.Event()
        self._thread = threading.Thread(target=self._thread_main, name="recorder", daemon=True)
        self._thread.start()

    def __call__(self, tick: Tick) -> None:
        """Take one tick; never waits for the disk."""
        with self._lock:
            if tick.key:
                self.wants_keyframe, self._following = False, True
            elif not self._following:
                return
            if len(self._queue) < BOUND:
                self._queue.append(tick)
            else:
                self._queue.clear()
                self._following = False
            pressed = len(self._queue) >= BOUND // 2
        if pressed:
            self._alarm.set()

    def close(self) -> None:
        """Write everything taken, and end."""
        self._closing = True
        self._alarm.set()
        self._thread.join(self._patience_s)

    # The thread --------------------------------------------------------------------------------------------------------------------

    def _thread_main(self) -> None:
        closing = False
        while not closing:
            self._alarm.wait(self._flush_s)
            self._alarm.clear()
            closing = self._closing
            try:
                self._write(closing=closing)
            except Exception as error:  # noqa: BLE001  whatever is wrong with a recording, it is said on a pane and ends nothing else
                self._fail(error)
        self._store.close()

    def _write(self, *, closing: bool) -> None:
        with self._lock:
            ticks = list(self._queue)
            self._queue.clear()
            if not self._following and self._clock() >= self._retry_at:
                self.wants_keyframe = True
        for tick in ticks:
            if tick.key:
                self._end_segment()
                self._segment = self._store.begin(tick.at)
            if self._segment:
                self._segment.add(recorded(tick))
                self._newest = tick.at
        if closing:
            self._end_segment()
        elif ticks and self._segment:
            self._segment.flush()
            self.error = ""
            if self._full(self._segment):
                self.wants_keyframe = True

    def _full(self, segment: Segment) -> bool:
        told_s = self._newest - segment.header.start
        return not 0 <= told_s < self._store.span_s or segment.header.length >= self._store.segment_bytes

    def _end_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment:
            try:
                segment.flush(finish=True)
            finally:
                self._store.end(segment)

    def _fail(self, error: Exception) -> None:
        with self._lock:
            self._queue.clear()
            self._following = False
            self.wants_keyframe = False
            self._retry_at = self._clock() + self._retry_s
        segment, self._segment = self._segment, None
        if segment:
            with suppress(OSError):  # the same fault again; what the header says is there is sound
                self._store.end(segment)
        reason = (error.strerror if isinstance(error, OSError) else None) or f"{type(error).__name__}: {error}"
        self.error = safe(f"not recording: {reason} ({self._store.place})", 300)


class RecordingSink(_Recorder):
    """Records into a directory used as a ring.

    Args:
        directory: Made when it is not there; one process at a time records into it.
        keep_s: How far back it reaches.
        size_bytes: The most it takes on disk.
        flush_s: Seconds between two writes.
        retry_s: Seconds after a failed write until the next attempt.

    Raises:
        RecordingError: When another process records there (names it), or it cannot be written to.
    """

    def __init__(
        self,
        directory: str | PathLike[str],
        keep_s: float = 86400.0,
        size_bytes: int = 100 * 10**6,
        *,
        flush_s: float = FLUSH_S,
        retry_s: float = RETRY_S,
    ) -> None:
        super().__init__(Ring(Path(directory), keep_s, size_bytes), flush_s, retry_s, patience_s=0.4)


class FileRecordingSink(_Recorder):
    """Records into one new file.

    Args:
        path: Must not exist.
        flush_s: Seconds between two writes.
        retry_s: Seconds after a failed write until the next attempt.

    Raises:
        RecordingError: When it exists, or cannot be made.
    """

    def __init__(self, path: str | PathLike[str], *, flush_s: float = FLUSH_S, retry_s: float = RETRY_S) -> None:
        super().__init__(SingleFile(Path(path)), flush_s, retry_s, patience_s=5.0)
