"""Configuration files that changed, came or went. Only that they did: what is in them is summed up, and never kept or shown."""

import os
import stat
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from zlib import crc32

from perfconsole.collectors.changes.globbing import Walk
from perfconsole.core.text import safe
from perfconsole.core.tick import Event

BEFORE_S: Final = 86_400.0
"""A file that was written so shortly before the start is told of: its stamp says when, whoever looked."""

_EXPAND_S: Final = 60.0
"""Between two looks for files that are new; those that are known are looked at every time."""

_FILES: Final = 1000
_ENTRIES: Final = 20_000
_HASHED_BYTES: Final = 1_048_576
_UNREADABLE: Final = -1
_FOLDED: Final = 10
_APART_S: Final = 60.0
_TOLD: Final = 50
SOURCE: Final = "file watch"
_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class _Known(NamedTuple):
    """A file as it was: who and where it is, when it was written to, and a sum over what is in it (-1 where it may not be read).

    A sum of 32 bits tells a touch from a change; a library of cryptography would cost more memory than everything else here.
    """

    identity: tuple[int, int]
    stamps: tuple[int, int, int]
    mode: int
    owner: tuple[int, int]
    digest: int


class Watched:
    """Files by path and glob, compared from look to look.

    Attributes:
        too_many: Why not everything that matches is looked at; empty while it is.
        denied: What may not be looked at, in words; empty when nothing is.
    """

    def __init__(self, patterns: Sequence[str] = (), own: Sequence[str] = ()) -> None:
        """Watch files.

        Args:
            patterns: Paths and globs.
            own: Paths of this console's own configuration.
        """
        self._patterns = tuple(patterns)
        self._own = tuple(map(os.path.abspath, own))
        self._known: dict[str, _Known] = {}
        self._gone: dict[str, tuple[_Known, float]] = {}
        self._paths: list[str] = []
        self._expanded: float | None = None
        self._looked: float | None = None
        self.too_many = self.denied = ""

    def look(self, now: float) -> list[Event]:
        """What has changed since the last look (epoch seconds); at the first, what was written to in the last 24 h."""
        if not self._patterns and not self._own:
            return []
        since, self._looked = self._looked, now
        fresh: set[str] = set()
        if self._expanded is None or not 0 <= now - self._expanded < _EXPAND_S:
            fresh = self._expand(now)
        found = [event for path in self._paths for event in self._compare(path, since, now, fresh)]
        return [event for run in _runs(found) for event in _folded(run)][-_TOLD:]

    def _expand(self, now: float) -> set[str]:
        """Look for files; which are new since the last time."""
        walk = Walk(_ENTRIES)
        matching = dict.fromkeys(self._own)
        self.too_many = self.denied = ""
        for pattern in self._patterns:
            for path in walk.files(pattern):
                if len(matching) >= _FILES:
                    break
                matching[path] = None
        if len(matching) >= _FILES:
            self.too_many = f"more than {_FILES:,} files match [events] watch: only the first {_FILES:,} are looked at"
        elif walk.left <= 0:
            self.too_many = f"[events] watch reaches over more than {_ENTRIES:,} files and directories: not all are looked at"
        if walk.denied:
            more = f" and {len(walk.denied) - 1} more" if len(walk.denied) > 1 else ""
            self.denied = f"watched files cannot be seen: {safe(walk.denied[0], 200)}{more}: Permission denied"
        fresh = matching.keys() - set(self._paths)
        for path in self._known.keys() - matching.keys():
            if os.path.lexists(path):  # others have taken its place among those that are looked at
                del self._known[path]
        self._paths = list(dict.fromkeys([*matching, *self._known, *self._gone]))
        self._expanded = now
        return fresh

    def _compare(self, path: str, since: float | None, now: float, fresh: set[str]) -> list[Event]:
        before = self._known.get(path)
        try:
            after = _known(path, before)
        except OSError:  # its directory may not be looked into any more, its server is gone: nobody can say that it was removed
            return []
        if after is None:
            return self._missing(path, before, since, now)
        self._known[path] = after
        came_back, _ = self._gone.pop(path, (None, 0.0))
        before = before or came_back
        written = after.stamps[0] / 1e9
        if since is None:
            return [self._event(path, "changed", written, written)] if 0 <= now - written <= BEFORE_S else []
        if before is None:
            # What a pattern finds for the first time came since the last time it was tried.
            lo = max(since - _EXPAND_S, 0.0) if path in fresh else since
            return [self._event(path, "created", *_between(after, lo, now))]
        what = _difference(before, after)
        return [self._event(path, what, *_between(after, since, now))] if what else []

    def _missing(self, path: str, before: _Known | None, since: float | None, now: float) -> list[Event]:
        """A file that is not there: one that is replaced may be missing for a moment, and is given until the next look."""
        if before is not None:
            del self._known[path]
            self._gone[path] = before, now if since is None else since
            return []
        if path not in self._gone:
            return []
        _, last_there = self._gone.pop(path)
        return [self._event(path, "removed", last_there, since or now)]

    def _event(self, path: str, what: str, lo: float, hi: float) -> Event:
        name = safe(path, 300)
        whose = " (this console's configuration)" if path in self._own else ""
        return Event(lo, hi, "file", name, f"{name}{whose} {what}", SOURCE)


def _known(path: str, before: _Known | None) -> _Known | None:
    """A regular file as it is now; None when there is none. It is read only if its stamps differ.

    Raises:
        OSError: When nobody can say whether there is one.
    """
    try:
        status = os.stat(path)  # noqa: PTH116  # a thousand of them, without a Path for each
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    identity, owner = (status.st_dev, status.st_ino), (status.st_uid, status.st_gid)
    stamps = status.st_mtime_ns, status.st_ctime_ns, status.st_size
    mode = stat.S_IMODE(status.st_mode)
    same = before is not None and (before.identity, before.stamps) == (identity, stamps)
    return _Known(identity, stamps, mode, owner, before.digest if before and same else _digest(path))


def _digest(path: str) -> int:
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError:
        return _UNREADABLE
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return _UNREADABLE
        digest = 0
        left = _HASHED_BYTES
        while left > 0 and (data := os.read(descriptor, min(left, 65_536))):
            digest = crc32(data, digest)
            left -= len(data)
    except OSError:
        return _UNREADABLE
    else:
        return digest
    finally:
        os.close(descriptor)


def _difference(before: _Known, after: _Known) -> str:
    """In words; empty for a file that was only touched, or replaced by the same."""
    size = after.stamps[2]
    if _UNREADABLE not in (before.digest, after.digest) and size <= _HASHED_BYTES:
        written = (before.digest, before.stamps[2]) != (after.digest, size)
    else:  # unreadable, or too large to tell a touch from a change by what is hashed of it
        written = (before.digest, before.stamps[0], before.stamps[2]) != (after.digest, after.stamps[0], size)
    if written:
        return "changed"
    if before.mode != after.mode:
        return f"changed its permissions: {before.mode:04o} -> {after.mode:04o}"
    return "changed its owner" if before.owner != after.owner else ""


def _between(known: _Known, since: float, now: float) -> tuple[float, float]:
    """When a change came about: by the file's own stamps where they fit, that of its content first, which whoever copies may set."""
    for stamp in known.stamps[:2]:
        if since - 1 <= stamp / 1e9 <= now + 1:
            return stamp / 1e9, stamp / 1e9
    return min(since, now), now


def _runs(found: list[Event]) -> list[list[Event]]:
    """What changed at about the same time, oldest first."""
    runs: list[list[Event]] = []
    for event in sorted(found, key=lambda event: (event.time_hi, event.time_lo)):
        if not runs or event.time_hi - runs[-1][-1].time_hi > _APART_S:
            runs.append([])
        runs[-1].append(event)
    return runs


def _folded(found: list[Event]) -> list[Event]:
    """One event for many files that changed at a look: a deployment, a package's upgrade."""
    if len(found) <= _FOLDED:
        return found
    place = os.path.commonpath([event.scope for event in found])
    names = ", ".join(_names(found[:3]))
    text = f"{len(found)} watched files changed in {place}: {names} and {len(found) - 3} more"
    lo, hi = min(event.time_lo for event in found), max(event.time_hi for event in found)
    return [Event(lo, hi, "file", place, text, SOURCE)]


def _names(events: Iterable[Event]) -> list[str]:
    return [event.scope.rpartition("/")[2] for event in events]
