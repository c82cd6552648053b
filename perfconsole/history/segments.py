"""Where the segments of a recording are put: a directory used as a ring, or one file. Files are the caller's alone (0600 in 0700).

What is in a segment, `core.segment` knows.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from perfconsole.core.errors import RecordingError
from perfconsole.core.segment import HEADER_BYTES, SUFFIX, Header, Writer
from perfconsole.core.tick import Tick
from perfconsole.history.lease import give_lock, make_private, take_lock

SPAN_S: Final = 600.0
"""Seconds told by one segment: the least that a seek has to read, and the most that a damaged one loses."""

SEGMENT_BYTES: Final = 4 * 10**6

_LOCK: Final = "lock"


class Segment:
    """One segment that is being written.

    Args:
        fd: Descriptor of its file; closed by whoever opened it.
        offset: Where in the file it begins.
        start: Time of the keyframe that will be its first tick.

    Attributes:
        header: What was flushed of it.
    """

    def __init__(self, fd: int, offset: int, start: float) -> None:
        self.header = Header(start, start, 0)
        self.fd = fd
        self._offset = offset
        self._end = start
        self._stream = Writer()
        self._ready: list[bytes] = []

    def add(self, tick: Tick) -> None:
        """Take a tick; nothing is written before `flush`."""
        self._ready.append(self._stream.add(tick))
        self._end = tick.at

    def flush(self, *, finish: bool = False) -> None:
        """Write what was taken: from then on it survives the end of this process.

        Raises:
            OSError: When it cannot be written; the segment then takes no more, and `close` leaves what was flushed before.
        """
        if not self.header.length:  # from its first bytes on the file is seen to be a recording
            os.pwrite(self.fd, self.header.encode(), self._offset)
        self._ready.append(self._stream.finish() if finish else self._stream.flush())
        data = memoryview(b"".join(self._ready))
        at = self._offset + HEADER_BYTES + self.header.length
        while data:
            written = os.pwrite(self.fd, data, at)
            data, at = data[written:], at + written
        self._ready.clear()
        # The header last: it never promises what is not there.
        header = Header(self.header.start, self._end, at - self._offset - HEADER_BYTES)
        os.pwrite(self.fd, header.encode(), self._offset)
        self.header = header

    @property
    def end_offset(self) -> int:
        """Where in the file what was flushed ends: nowhere beyond its beginning when that is nothing."""
        return self._offset + (HEADER_BYTES + self.header.length if self.header.length else 0)


class _Kept(NamedTuple):
    """A segment that lies in the ring."""

    name: str
    start: float
    end: float
    size: int


class Ring:
    """A directory in which the oldest segments make room for new ones. One process at a time writes to it.

    Args:
        directory: Made when it is not there.
        keep_s: How far back it reaches.
        size_bytes: The most it takes on disk.

    Raises:
        RecordingError: When another process records there, or it cannot be written to.
    """

    def __init__(self, directory: Path, keep_s: float, size_bytes: int) -> None:
        self.place = directory
        self.span_s = min(SPAN_S, keep_s / 6)
        self.segment_bytes = min(SEGMENT_BYTES, size_bytes // 8)
        self._keep_s = keep_s
        self._size_bytes = size_bytes
        try:
            make_private(directory)
            held = take_lock(directory / _LOCK)
        except OSError as error:
            if error.filename is None:
                raise RecordingError(f"cannot lock {directory}: {error.strerror}", "use a directory on a local disk") from error
            raise RecordingError(
                f"cannot record in {directory}: {error.strerror}", 'set another [history] dir, or recording = "off" under [console]'
            ) from error
        if held is None:
            raise RecordingError(f"recorded by pid {_pid(directory / _LOCK)} already ({directory})")
        self._lock_fd = held
        with suppress(OSError):  # a full disk: what is lost is a number in a message
            os.ftruncate(held, 0)
            os.pwrite(held, f"{os.getpid()}\n".encode(), 0)

    def begin(self, start: float) -> Segment:
        """A new segment in a file of its own, after making room for it.

        Raises:
            OSError: When that is not possible.
        """
        make_private(self.place)  # whoever cleared the state directory did not mean to end the recording
        self._make_room(start)
        stamp = int(start * 1000)
        while True:
            try:
                path = self.place / f"{stamp}{SUFFIX}"
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            except FileExistsError:  # the clock was set back onto a moment that is recorded
                stamp += 1
                continue
            self._current = path
            return Segment(fd, 0, start)

    def end(self, segment: Segment) -> None:
        """Close a segment's file; one of which nothing was written is removed."""
        try:
            if segment.header.length:
                os.ftruncate(segment.fd, segment.end_offset)
            else:
                self._current.unlink(missing_ok=True)
        finally:
            os.close(segment.fd)

    def close(self) -> None:
        """Let others record."""
        give_lock(self._lock_fd)

    def _make_room(self, now: float) -> None:
        kept = self._kept()
        # What claims to come from the future was written before the clock was set back: it goes first.
        kept.sort(key=lambda one: (one.start <= now, one.start))
        size = sum(one.size for one in kept)
        for one in kept:
            if size <= self._size_bytes - 2 * self.segment_bytes and one.end >= now - self._keep_s:
                continue
            (self.place / one.name).unlink(missing_ok=True)
            size -= one.size

    def _kept(self) -> list[_Kept]:
        kept = []
        with os.scandir(self.place) as entries:
            for entry in entries:
                stamp = entry.name.removesuffix(SUFFIX)
                if not (stamp.isdecimal() and entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False)):
                    continue
                start = int(stamp) / 1000
                kept.append(_Kept(entry.name, start, _end_of(Path(entry.path), start), entry.stat().st_size))
        return kept


class SingleFile:
    """One file that holds a whole recording, segment after segment.

    Args:
        path: Must not exist.

    Raises:
        RecordingError: When it exists, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.place = path
        self.span_s = SPAN_S
        self.segment_bytes = SEGMENT_BYTES
        self._end = 0
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise RecordingError(f"{path} exists already", "name a new file, or remove this one first") from error
        except OSError as error:
            raise RecordingError(f"cannot record to {path}: {error.strerror}", "name a file in a directory you can write to") from error

    def begin(self, start: float) -> Segment:
        """A new segment after those that are there."""
        return Segment(self._fd, self._end, start)

    def end(self, segment: Segment) -> None:
        """Go on behind a segment."""
        self._end = segment.end_offset
        os.ftruncate(self._fd, self._end)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def _end_of(path: Path, start: float) -> float:
    """When a segment ends, by its header; a damaged one by its beginning."""
    try:
        with path.open("rb", buffering=0) as file:
            return max(start, Header.decode(file.read(HEADER_BYTES)).end)
    except (OSError, RecordingError):
        return start


def _pid(lock: Path) -> str:
    """Who holds a lock, as it wrote there itself."""
    try:
        with lock.open("rb", buffering=0) as file:
            return file.read(20).decode("ascii", "replace").strip() or "unknown"
    except OSError:
        return "unknown"
