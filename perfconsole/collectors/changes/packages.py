"""Packages installed, upgraded and removed, as package managers write it down: dpkg, dnf and pacman in logs, apk in its list of packages.

Where only a database of rpm says that something changed (dnf 5, zypper, rpm itself), that is all that is told. Nothing is run.
"""

import os
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from math import nan
from pathlib import Path
from typing import Final, NamedTuple

from perfconsole.collectors.tail import Tail
from perfconsole.core.text import safe
from perfconsole.core.tick import Event

BEFORE_S: Final = 86_400.0
"""How far back a log is told of at the start."""

_APART_S: Final = 30.0
"""Two changes further apart than this are of two runs of the package manager: apt calls dpkg many times, some seconds apart.

Only stamps decide: the same log read again after a start gives the same events.
"""

_LONGEST_S: Final = 600.0
_READ_BYTES: Final = 131_072
"""Of a log at a time: what dpkg writes of 150 packages."""

_NAMED: Final = 6
_APK_BYTES: Final = 4_000_000


class Change(NamedTuple):
    """One package: what was done (``installed``, ``upgraded``, ``removed``), its name, and versions (empty where there is none)."""

    at: float
    done: str
    name: str
    before: str = ""
    after: str = ""


_DPKG: Final = rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (install|upgrade|remove|purge) (\S+) (\S+) (\S+)"
_DNF: Final = rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d{4})) SUBDEBUG (Installed|Upgrade|Upgraded|Erase|Downgrade|Downgraded): (\S+)"
_NEVRA: Final = r"(.+)-(?:0:)?([^-]+-[^-]+)\.(\w+)"
_PACMAN: Final = (
    rb"\[(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?[+-]\d{4})\] \[ALPM\] (installed|upgraded|downgraded|removed) (\S+) \((\S+?)(?: -> (\S+))?\)"
)


def dpkg(line: bytes) -> Change | None:
    """A line of /var/log/dpkg.log: local time, ``upgrade NAME:ARCH OLD NEW``; ``<none>`` for no version (dpkg(1))."""
    if b" status " in line or not (found := re.match(_DPKG, line)):
        return None
    at = _local(found[1].decode())
    name, before, after = (safe(part, 80) for part in found.groups()[2:])
    before, after = before.replace("<none>", ""), after.replace("<none>", "")
    done = {b"install": "installed", b"upgrade": "upgraded", b"remove": "removed", b"purge": "removed"}[found[2]]
    return Change(at, done, name.partition(":")[0], "" if done == "installed" else before, after)


def dnf(line: bytes) -> Change | None:
    """A line of /var/log/dnf.rpm.log: an upgrade is two of them, first of the new package, then of the old."""
    if not (found := re.match(_DNF, line)):
        return None
    split = re.fullmatch(_NEVRA, safe(found[3], 160))
    name, version = (split[1], split[2]) if split else (safe(found[3], 160), "")
    at, sort = _zoned(found[1].decode(), "%Y-%m-%dT%H:%M:%S%z"), found[2]
    if sort in (b"Upgraded", b"Downgraded"):
        return Change(at, "upgraded", name, before=version)
    return Change(at, {b"Installed": "installed", b"Erase": "removed"}.get(sort, "upgraded"), name, after=version)


def pacman(line: bytes) -> Change | None:
    """A line of /var/log/pacman.log."""
    if not (found := re.match(_PACMAN, line)):
        return None
    at = _zoned(found[1].decode(), "%Y-%m-%dT%H:%M:%S%z" if len(found[1]) > 22 else "%Y-%m-%dT%H:%M%z")
    done = found[2].decode().replace("downgraded", "upgraded")
    name, one, two = safe(found[3], 80), safe(found[4], 80), safe(found[5] or b"", 80)
    return Change(at, done, name, one if two else "", two or one)


def _local(text: str) -> float:
    try:  # by hand: strptime() takes ten times as long, and there may be thousands
        date, clock = text[:10].split("-"), text[11:].split(":")
        return time.mktime((int(date[0]), int(date[1]), int(date[2]), int(clock[0]), int(clock[1]), int(clock[2]), 0, 0, -1))
    except (ValueError, OverflowError):
        return nan


def _zoned(text: str, form: str) -> float:
    try:
        return datetime.strptime(text, form).timestamp()  # noqa: DTZ007  # the zone is in the form
    except (ValueError, OverflowError):
        return nan


def worded(changes: Iterable[Change]) -> str:
    """What one run did, in words: ``2 packages upgraded: openssl 3.0.1 -> 3.0.2, curl 7 -> 8; 1 installed: jq 1.6``."""
    done: dict[str, dict[str, Change]] = {}
    for change in changes:
        of = done.setdefault(change.done, {})
        known = of.get(change.name, change)
        of[change.name] = change._replace(before=known.before or change.before, after=change.after or known.after)
    upgraded = done.get("upgraded", {})
    for name in upgraded.keys() & done.get("installed", {}).keys():  # as rpm says of a kernel: both stay
        del upgraded[name]
    parts = [(word, done[word]) for word in ("upgraded", "installed", "removed") if done.get(word)]
    texts = []
    for number, (word, of) in enumerate(parts):
        count = len(of)
        noun = "" if number else " package" if count == 1 else " packages"
        names = ", ".join(_named(change) for change in list(of.values())[:_NAMED])
        more = f" and {count - _NAMED} more" if count > _NAMED else ""
        texts.append(f"{count}{noun} {word}: {names}{more}")
    return "; ".join(texts)


def _named(change: Change) -> str:
    if change.done == "upgraded" and change.before and change.after:
        return f"{change.name} {change.before} -> {change.after}"
    version = "" if change.done == "removed" else change.after or change.before
    return f"{change.name} {version}".rstrip()


class _Log:
    """One log: changes are gathered until their run is over."""

    def __init__(self, path: str, source: str, parse: Callable[[bytes], Change | None]) -> None:
        self.source = source
        self.told_at = -BEFORE_S
        self._tail = Tail(path, from_end=False)
        self._parse = parse
        self._run: list[Change] = []
        self._came_at = 0.0
        self._first = True

    @property
    def error(self) -> OSError | None:
        return self._tail.error

    def look(self, now: float) -> list[Event]:
        """Runs that are over."""
        events = []
        earliest = now - BEFORE_S if self._first else -1.0
        self._first = False
        for line in self._tail.read(_READ_BYTES):
            change = self._parse(line)
            if change is None or not earliest <= change.at <= now + BEFORE_S:  # the zone of the stamps may be another, the day not
                continue
            if self._run and (abs(change.at - self._run[-1].at) > _APART_S or change.at - self._run[0].at > _LONGEST_S):
                events.append(self._over())
            self._run.append(change)
            self._came_at = now
        if self._run:
            last = self._run[-1].at if self._run[-1].at <= now else self._came_at
            if not 0 <= now - min(self._came_at, last) <= _APART_S:
                events.append(self._over())
        return events

    def _over(self) -> Event:
        run, self._run = self._run, []
        times = [change.at for change in run]
        self.told_at = max(times)
        return Event(min(times), max(times), "package", "host", safe(worded(run), 600), self.source)

    def close(self) -> None:
        self._tail.close()


_LATE_S: Final = 20.0
"""A log's run is told up to two looks after its end: so long a database waits for it."""


class _Database:
    """What changes whenever packages do, and says no more: told unless a log tells of it."""

    def __init__(self, root: str, path: str) -> None:
        self.source = f"/{path}"
        self._place = Path(root, path)
        self._seen = self._changed()
        self._due = nan

    def _changed(self) -> float | None:
        try:
            return self._place.stat().st_mtime
        except OSError:
            return None

    def look(self, now: float, logged_at: float) -> list[Event]:
        changed = self._changed()
        if changed != self._seen and changed is not None and self._seen is not None:
            self._due = changed
        self._seen = changed
        if not now - self._due > _APART_S + _LATE_S:
            return []
        at, self._due = self._due, nan
        if abs(at - logged_at) < _LONGEST_S:
            return []
        return [Event(at, at, "package", "host", "rpm packages were installed, upgraded or removed", self.source)]


class _Apk:
    """Alpine's list of what is installed, compared before and after."""

    def __init__(self, root: str) -> None:
        self._place = Path(root, "lib/apk/db/installed")
        self._stamp: tuple[int, int] | None = None
        self._installed: dict[str, str] | None = None

    def look(self, now: float) -> list[Event]:
        try:
            status = self._place.stat()
            stamp = status.st_mtime_ns, status.st_size
            if stamp == self._stamp or status.st_size > _APK_BYTES:
                return []
            installed = _apk_installed(self._place.read_bytes())
        except OSError:
            return []
        self._stamp = stamp
        before, self._installed = self._installed, installed
        if before is None or before == installed:
            return []
        at = min(now, status.st_mtime)
        changes = [Change(at, "upgraded", name, before[name], new) for name, new in installed.items() if before.get(name, new) != new]
        changes += [Change(at, "installed", name, "", installed[name]) for name in installed if name not in before]
        changes += [Change(at, "removed", name, before[name]) for name in before if name not in installed]
        return [Event(at, at, "package", "host", safe(worded(changes), 600), "/lib/apk/db/installed")]


def _apk_installed(content: bytes) -> dict[str, str]:
    """Name and version of each package: the lines ``P:`` and ``V:`` of each paragraph (apk(5))."""
    installed, name = {}, ""
    for line in content.split(b"\n"):
        if line.startswith(b"P:"):
            name = safe(line[2:], 80)
        elif line.startswith(b"V:"):
            installed[name] = safe(line[2:], 80)
    return installed


class Packages:
    """Every package manager's traces on this machine."""

    def __init__(self, root: str = "/") -> None:
        """Look below a directory."""
        places = [("var/log/dpkg.log", dpkg), ("var/log/dnf.rpm.log", dnf), ("var/log/pacman.log", pacman)]
        self._logs = [_Log(os.path.join(root, path), f"/{path}", parse) for path, parse in places]  # noqa: PTH118  # Tail takes text
        databases = [
            "usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/Packages.db", "var/lib/rpm/Packages",
        ]  # fmt: skip
        self._databases = [_Database(root, path) for path in databases if Path(root, path).exists()][:1]
        self._apk = _Apk(root)

    def look(self, now: float) -> list[Event]:
        """What was done to packages since the last look; at the first, in the last 24 h, as far as a log tells."""
        events = [event for log in self._logs for event in log.look(now)]
        logged_at = max(log.told_at for log in self._logs)
        events += [event for database in self._databases for event in database.look(now, logged_at)]
        return events + self._apk.look(now)

    def troubles(self) -> dict[str, tuple[str, str, str]]:
        """By log what cannot be read: state, error and fix."""
        return {
            log.source: (
                "denied" if isinstance(log.error, PermissionError) else "error",
                f"package changes are not seen: {log.source}: {log.error.strerror}",
                f"let it be read: join the group adm, or setfacl -m u:USER:r {log.source}",
            )
            for log in self._logs
            if log.error
        }

    def close(self) -> None:
        """Give back what is held."""
        for log in self._logs:
            with suppress(OSError):
                log.close()
