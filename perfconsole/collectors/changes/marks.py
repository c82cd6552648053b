"""Marks that are files: whoever deploys puts one into a directory, and what its first line says stands on the timeline.

Only a directory that not everybody may write to counts, and in it only regular files, which are opened without following links.
"""

import os
import pwd
import stat
from collections.abc import Iterator
from typing import Final

from perfconsole.core.text import safe
from perfconsole.core.tick import Event

DEFAULT: Final = "run/perfconsole/marks.d"
BEFORE_S: Final = 86_400.0
"""Marks older than this at the start are of another time."""

_STEADY_S: Final = 10.0
_ENTRIES: Final = 10_000
_MANY: Final = 1000
"""Beyond so many, files are looked at only when the directory itself says that one came or went."""

_TOLD: Final = 50
_TEXT: Final = 200
_READ_BYTES: Final = 4096
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_UNFINISHED: Final = ("~", ".tmp", ".swp", ".part", ".swx")


class Marks:
    """A directory of marks, each of which is told once.

    Attributes:
        trouble: State, error and fix while it cannot be used; None otherwise.
    """

    def __init__(self, place: str, *, asked_for: bool) -> None:
        """Look at a directory.

        Args:
            place: Its path.
            asked_for: Whether it has to exist.
        """
        self._place = place
        self._asked_for = asked_for
        self._told: set[int] = set()
        self._pending: dict[str, tuple[int, int, int]] = {}
        self._stamp = -1
        self._first = True
        self._owners: dict[int, str] = {}
        self.trouble: tuple[str, str, str] | None = None

    def look(self, now: float) -> list[Event]:
        """Marks that were put there since the last look, and are not being written to any more."""
        self.trouble = None
        try:
            descriptor = os.open(self._place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            self.trouble = self._missing() if self._asked_for else None
            return []
        except OSError as error:
            state = "denied" if isinstance(error, PermissionError) else "error"
            self.trouble = (
                state,
                f"marks cannot be read: {safe(self._place, 200)}: {error.strerror}",
                "let it be read: chmod o+rx, or chgrp",
            )
            return []
        try:
            return self._look(descriptor, now)
        except OSError as error:
            self.trouble = "error", f"marks cannot be read: {safe(self._place, 200)}: {error.strerror}", ""
            return []
        finally:
            os.close(descriptor)

    def _missing(self) -> tuple[str, str, str]:
        name = safe(self._place, 200)
        return "error", f"there is no directory {name} ([events] marks_dir)", f"mkdir -p {name}, writable by whoever deploys"

    def _look(self, directory: int, now: float) -> list[Event]:
        status = os.fstat(directory)
        if status.st_mode & stat.S_IWOTH:
            name = safe(self._place, 200)
            self.trouble = "error", f"marks are not believed: everybody may write to {name}", f"chmod o-w {name}"
            return []
        first, self._first = self._first, False
        if len(self._told) > _MANY and status.st_mtime_ns == self._stamp and not self._pending:
            return []
        self._stamp = status.st_mtime_ns
        found: list[tuple[float, str]] = []
        told, pending = self._told, self._pending
        self._told, self._pending = set(), {}
        for name, entry in self._entries(directory):
            state = entry.st_mtime_ns, entry.st_size, entry.st_ino
            identity = hash((name, entry.st_mtime_ns, entry.st_ino))
            written = entry.st_mtime
            if identity in told:
                self._told.add(identity)
            elif not 0 <= now - written < _STEADY_S or pending.get(name) == state:
                self._told.add(identity)
                if first and now - written > BEFORE_S:
                    continue
                at = written if 0 <= now - written <= BEFORE_S else min(now, entry.st_ctime)
                found.append((at, name))
            else:
                self._pending[name] = state
        return self._events(directory, sorted(found))

    def _entries(self, directory: int) -> Iterator[tuple[str, os.stat_result]]:
        """Names and status of what may be marks."""
        seen = 0
        with os.scandir(directory) as entries:
            for entry in entries:
                seen += 1
                if seen > _ENTRIES:
                    error = f"more than {_ENTRIES:,} files in {safe(self._place, 200)}: some marks may be missing"
                    self.trouble = "error", error, "remove old ones"
                    return
                if entry.name.startswith(".") or entry.name.endswith(_UNFINISHED):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:  # another name of a file shows what is not meant to be shown
                    yield entry.name, status

    def _events(self, directory: int, found: list[tuple[float, str]]) -> list[Event]:
        events = []
        if len(found) > _TOLD:
            rest, found = found[:-_TOLD], found[-_TOLD:]
            text = f"{len(rest)} marks more in {safe(self._place, 200)}"
            events.append(Event(rest[0][0], rest[-1][0], "mark", "host", text, safe(self._place, 200)))
        for at, name in found:
            said, owner = self._read(directory, name)
            events.append(Event(at, at, "mark", "host", said or safe(name, _TEXT), owner))
        return events

    def _read(self, directory: int, name: str) -> tuple[str, str]:
        """The first line of a mark that is not empty, and whose it is."""
        try:
            descriptor = os.open(name, _FLAGS, dir_fd=directory)
        except OSError:
            return "", safe(self._place, 200)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:  # put in its place since it was looked at
                return "", safe(self._place, 200)
            lines = os.read(descriptor, _READ_BYTES).split(b"\n")
        except OSError:
            return "", safe(self._place, 200)
        finally:
            os.close(descriptor)
        first = next((line.strip() for line in lines if line.strip()), b"")
        return safe(first, _TEXT), self._owner(status.st_uid)

    def _owner(self, uid: int) -> str:
        if uid not in self._owners:
            try:
                self._owners[uid] = safe(pwd.getpwuid(uid).pw_name, 64)
            except KeyError:
                self._owners[uid] = f"uid {uid}"
        return self._owners[uid]
