"""Following a log as it grows: whole lines of bytes, whatever is done to the file meanwhile. What the lines mean is the caller's.

Polled, not woken: one stat() and one fstat() a look, which is less than what inotify would hold for a file that may vanish. A file on a
dead network server blocks whoever asks: a path that may lie there is looked at from a thread of its own (`loop.ask`).
"""

import os
import stat
from contextlib import suppress
from errno import EINVAL, EISDIR
from pathlib import Path
from typing import Final

LONGEST_LINE_BYTES: Final = 65_536
"""A line is cut here. Journald cuts at 48 KiB, rsyslog at 8 KiB: what is longer is no log line."""

_MARK_BYTES: Final = 64
"""So much of what was read last is compared, to tell a file that grew from one that was emptied and has grown past the place since."""

_NOWHERE: Final = (-1, -1)
_REFUSED: Final = (EISDIR, EINVAL)
_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class _Held:
    """An open file, and how far it has been read.

    Attributes:
        seen: Size and time of change at the last look: the same again means that nothing came.
        mark: The last bytes before `position`.
        begun: A line whose end has not come yet.
        midway: Reading goes on inside of a line whose beginning is not known: what comes before its end is no line.
        counted: Whether what is lost so was passed over, rather than written before anybody looked.
    """

    __slots__ = ("begun", "counted", "descriptor", "identity", "mark", "midway", "position", "seen")

    def __init__(self, descriptor: int, status: os.stat_result, position: int) -> None:
        """Begin at a position; a byte before it decides whether a line begins there."""
        self.descriptor = descriptor
        self.identity = (status.st_dev, status.st_ino)
        self.seen: tuple[int, int] | None = None
        self.begun = b""
        self.counted = False
        self.start(position)

    def start(self, position: int) -> None:
        """Go on somewhere else, with the next line that begins there or later."""
        self.midway = position > 0
        self.position = max(0, position - 1)
        first = max(0, self.position - _MARK_BYTES)
        self.mark = os.pread(self.descriptor, self.position - first, first)

    def as_left(self) -> bool:
        """Whether what was read last still stands where it stood."""
        size = len(self.mark)
        return os.pread(self.descriptor, size, self.position - size) == self.mark

    def rest(self) -> list[bytes]:
        """The line that got no end before the file did."""
        begun, self.begun = self.begun, b""
        return [begun] if begun else []

    def close(self) -> None:
        """Give back the descriptor."""
        with suppress(OSError):
            os.close(self.descriptor)


class Tail:
    r"""The lines that come into a file.

    It survives rotation (rename and a new file: the rest of the old one comes first, and what is still written to it until the next
    read), copytruncate, a file that vanishes and comes back, and permissions that come and go. Only regular files (symbolic links to them
    too) are opened.

    Attributes:
        error: Why it cannot be read now, or not be followed any more; a file that is missing is no error.
        missing: Whether there is no such file now.
        skipped_bytes: What was passed over in all, because more came between two reads than may be read (the newest is kept), or because
            a line was longer than `LONGEST_LINE_BYTES`.
    """

    error: OSError | None
    missing: bool
    skipped_bytes: int

    def __init__(self, path: str, *, from_end: bool = True) -> None:
        """Follow a file.

        Args:
            path: Of the file; it need not exist yet. One that comes into being later is read from its beginning.
            from_end: Pass over what is in it now.
        """
        self.path = path
        self._place = Path(path)
        self.error = None
        self.missing = False
        self.skipped_bytes = 0
        self._held: _Held | None = None
        self._replaced: _Held | None = None
        self._left: tuple[tuple[int, int], int] | None = None
        """A file that is not open, and from where on it counts; an identity of nowhere means: whichever it is, from its end."""
        if not from_end:
            return
        if status := self._status():
            self._left = (status.st_dev, status.st_ino), status.st_size
            self._open()
        elif self.error and self.error.errno not in _REFUSED:
            self._left = _NOWHERE, 0

    def read(self, most_bytes: int = 262_144) -> list[bytes]:
        r"""Whole lines that came since the last read, without their ``\n``; a line without an end waits for it, or for its file's end.

        Args:
            most_bytes: How much is read at most of a file; of more the newest.
        """
        lines: list[bytes] = []
        status = self._status()
        if replaced := self._replaced:  # whoever wrote to it may have noticed late
            lines += self._news(replaced, most_bytes)
            lines += replaced.rest()
            replaced.close()
            self._replaced = None
        if held := self._held:
            lines += self._news(held, most_bytes)
            self._judge(held, status, lines)
        if self._held is None and status:
            self._open()
            if self._held:
                lines += self._news(self._held, most_bytes)
        return lines

    def close(self) -> None:
        """Give back the descriptors; a read after it begins where this ended."""
        for held in (self._held, self._replaced):
            if held:
                held.close()
        if self._held:
            self._left = self._held.identity, self._held.position - len(self._held.begun)
        self._held = self._replaced = None

    def _status(self) -> os.stat_result | None:
        """What is at the path, if it may be opened: the look before the opening is what keeps a FIFO or a device untouched."""
        self.error = None
        self.missing = False
        try:
            status = self._place.stat()
        except (FileNotFoundError, NotADirectoryError):
            self.missing = True
            self._left = None if self._left and self._left[0] == _NOWHERE else self._left
        except OSError as error:
            self.error = error
        except ValueError:
            self.error = OSError(EINVAL, "Not a path", self.path)
        else:
            self.error = _refusal(status, self.path)
            return None if self.error else status
        return None

    def _open(self) -> None:
        try:
            descriptor = os.open(self.path, _FLAGS)
        except FileNotFoundError:
            self.missing = True
            return
        except OSError as error:
            self.error = error
            return
        try:
            status = os.fstat(descriptor)
            self.error = _refusal(status, self.path)
            if self.error is None:
                self._held = _Held(descriptor, status, self._from(status))
                self._left = None
                return
        except OSError as error:
            self.error = error
        with suppress(OSError):
            os.close(descriptor)

    def _from(self, status: os.stat_result) -> int:
        """Where reading begins in a file that has just been opened."""
        if self._left is None:
            return 0
        identity, position = self._left
        if identity == _NOWHERE:
            return status.st_size
        return position if identity == (status.st_dev, status.st_ino) and position <= status.st_size else 0

    def _judge(self, held: _Held, status: os.stat_result | None, lines: list[bytes]) -> None:
        """Whether a file is still the one at the path; if another is, or it exists no more, it is let go.

        To hold what was deleted would keep its blocks on the disk. What was only renamed is held until the next file is there.
        """
        if status and (status.st_dev, status.st_ino) != held.identity:
            self._held, self._replaced = None, held
            return
        try:
            gone = self.missing and os.fstat(held.descriptor).st_nlink == 0
        except OSError as error:
            self.error = error
            gone = True
        if gone:
            lines += held.rest()
            held.close()
            self._held = None

    def _news(self, held: _Held, most_bytes: int) -> list[bytes]:
        lines: list[bytes] = []
        try:
            status = os.fstat(held.descriptor)
            seen = status.st_size, status.st_mtime_ns
            if seen == held.seen:
                return lines
            if status.st_size < held.position or not held.as_left():
                lines += held.rest()
                held.start(0)
            behind = status.st_size - held.position
            if behind > most_bytes:
                passed = held.position - len(held.begun)
                held.begun, held.counted = b"", True
                held.start(status.st_size - most_bytes)
                self.skipped_bytes += held.position - passed
            data = os.pread(held.descriptor, status.st_size - held.position, held.position)
        except OSError as error:
            self.error = error
            return lines
        held.seen = seen
        held.position += len(data)
        held.mark = (held.mark + data[-_MARK_BYTES:])[-_MARK_BYTES:]
        return lines + self._lines(held, data)

    def _lines(self, held: _Held, data: bytes) -> list[bytes]:
        if held.midway:
            lost, end, data = data.partition(b"\n")
            self.skipped_bytes += len(lost) + len(end) if held.counted else 0
            held.midway = not end
        if held.midway:
            return []
        lines = data.split(b"\n")
        lines[0] = held.begun + lines[0]
        for place, line in enumerate(lines):
            if len(line) > LONGEST_LINE_BYTES:
                self.skipped_bytes += len(line) - LONGEST_LINE_BYTES
                lines[place] = line[:LONGEST_LINE_BYTES]
        held.begun = lines.pop()
        # A writer that does not append goes on at its old place in a file that was emptied: a hole of NUL bytes lies before its line.
        return [line.lstrip(b"\0") if line[:1] == b"\0" else line for line in lines]


def _refusal(status: os.stat_result, path: str) -> OSError | None:
    if stat.S_ISREG(status.st_mode):
        return None
    if stat.S_ISDIR(status.st_mode):
        return IsADirectoryError(EISDIR, "Is a directory", path)
    return OSError(EINVAL, "Not a regular file", path)
