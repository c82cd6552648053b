"""Users, groups and who may use sudo: /etc/passwd, /etc/group, sudoers; of /etc/shadow only that it changed. Reads files; no clock.

Files are parsed only when they changed. No password, and no hash of one, is ever read.
"""

import os
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from perfconsole.collectors.access.findings import Finding, listed, read_small
from perfconsole.core.text import safe

PRIVILEGED: Final = frozenset({"root", "sudo", "wheel", "admin", "docker", "lxd", "incus", "libvirt", "disk", "shadow", "kmem"})
"""Groups whose members are root, or can make themselves root."""

_NO_LOGIN: Final = ("nologin", "false", "sync", "halt", "shutdown")
_FIRST_USER: Final = 1000
_MOST_FINDINGS: Final = 10
_NAME: Final = 64

Stamp = tuple[int, int, int]
"""Inode, size and time of change in ns: another one means that it may say something else."""


class User(NamedTuple):
    """A line of /etc/passwd, as far as it is looked at."""

    uid: int
    home: str
    shell: str

    @property
    def may_log_in(self) -> bool:
        """Whether its shell is one."""
        return not self.shell.endswith(_NO_LOGIN)


class Accounts:
    """What changed among accounts.

    Args:
        root: What stands before ``/etc``; empty for the machine itself.
    """

    def __init__(self, root: str = "") -> None:
        self._root = root
        self._stamps: dict[str, Stamp] = {}
        self._digests: dict[str, bytes] = {}
        self._begun = False
        self.users: dict[str, User] = {}
        self._groups: dict[str, frozenset[str]] = {}
        self.denied: list[str] = []
        """What of sudoers may only be looked at from outside."""

    def look(self, before: float, at: float) -> list[Finding]:
        """What changed since `before` (epoch seconds). May block for as long as the disk does."""
        passwd = self._look_passwd(before, at)
        found = [*passwd, *self._look_group(before, at), *self._look_sudoers(before, at)]
        if self._moved("/etc/shadow") and not passwd and self._begun:
            found.append(self._finding("/etc/shadow", "passwords changed in /etc/shadow", "", before, at))
        self._begun = True
        return found

    def names(self) -> dict[int, str]:
        """Users by uid."""
        return {user.uid: name for name, user in reversed(self.users.items())}

    def _look_passwd(self, before: float, at: float) -> list[Finding]:
        path = "/etc/passwd"
        if not self._moved(path):
            return []
        users = _parse_passwd(read_small(self._root + path) or b"")
        if not users:
            return []  # being written just now
        old, self.users = self.users, users
        if not self._begun:
            roots = [name for name, user in users.items() if user.uid == 0 and name != "root"]
            return [self._finding(path, f"{listed(roots)} has uid 0, as root has", "warning", at, at)] if roots else []
        said = [*_added_users(old, users), *_changed_users(old, users)]
        said += [(f"user {name} was removed (uid {old[name].uid})", "") for name in old if name not in users]
        return self._bounded(path, said, before, at)

    def _look_group(self, before: float, at: float) -> list[Finding]:
        path = "/etc/group"
        if not self._moved(path):
            return []
        groups = _parse_group(read_small(self._root + path) or b"")
        if not groups:
            return []
        old, self._groups = self._groups, groups
        if not self._begun:
            return []
        said = []
        for name, members in groups.items():
            severity = "warning" if name in PRIVILEGED else ""
            if joined := sorted(members - old.get(name, frozenset())):
                said.append((f"{listed(joined)} joined group {name}", severity))
            if left := sorted(old.get(name, frozenset()) - members):
                said.append((f"{listed(left)} left group {name}", ""))
        said += [(f"group {name} was removed", "") for name in old if name not in groups]
        return self._bounded(path, said, before, at)

    def _look_sudoers(self, before: float, at: float) -> list[Finding]:
        """Who may do what with sudo: files are compared where they may be read, else only their time of change."""
        denied: list[str] = []
        directory = "/etc/sudoers.d"
        paths = ["/etc/sudoers"]
        try:
            # sudo leaves out names with a dot and those that end in ~ (sudoers(5)).
            names = sorted(os.listdir(self._root + directory))  # noqa: PTH208  names only
            paths += [f"{directory}/{name}" for name in names if "." not in name and not name.endswith("~")]
        except FileNotFoundError:
            pass
        except OSError:
            denied.append(directory)
            paths.append(directory)
        said = []
        for path in paths:
            was_there = path in self._stamps
            place = self._root + path
            if path not in denied and os.access(place, os.F_OK) and not os.access(place, os.R_OK):
                denied.append(path)
            if self._moved(path) and self._differs(path):
                word = "was removed" if path not in self._stamps else "changed" if was_there else "was added"
                said.append((path, f"sudo's rules: {safe(path, 200)} {word}"))
        self.denied = denied  # at once: the loop looks at it from another thread
        gone = [path for path in self._stamps if path.startswith(f"{directory}/") and path not in paths]
        for path in gone:
            self._stamps.pop(path)
            self._digests.pop(path, None)
            said.append((path, f"sudo's rules: {safe(path, 200)} was removed"))
        return [self._finding(path, text, "warning", before, at) for path, text in said if self._begun][:_MOST_FINDINGS]

    def _differs(self, path: str) -> bool:
        """Whether a file that was touched says anything else now; of one that may not be read that is assumed."""
        content = read_small(self._root + path) if Path(self._root + path).is_file() else None
        if content is None:
            return True
        digest = blake2b(content, digest_size=16).digest()
        known, self._digests[path] = self._digests.get(path), digest
        return digest != known

    def _moved(self, path: str) -> bool:
        """Whether a file is another one than at the last look, or was written to, or has gone."""
        try:
            status = Path(self._root + path).stat()
        except OSError:
            return self._stamps.pop(path, None) is not None
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
        moved = self._stamps.get(path) != stamp
        self._stamps[path] = stamp
        return moved

    def _bounded(self, path: str, said: list[tuple[str, str]], before: float, at: float) -> list[Finding]:
        if len(said) > _MOST_FINDINGS:
            rest = said[_MOST_FINDINGS - 1 :]
            worst = next((level for level in ("critical", "warning", "info") if any(severity == level for _, severity in rest)), "")
            said = [*said[: _MOST_FINDINGS - 1], (f"{len(rest)} more changes in {path}", worst)]
        return [self._finding(path, text, severity, before, at) for text, severity in said]

    def _finding(self, path: str, text: str, severity: str, before: float, at: float) -> Finding:
        """When exactly, the file says, unless it was put there with an older stamp."""
        changed = self._stamps.get(path, (0, 0, 0))[2] / 1e9
        first, last = (changed, changed) if before <= changed <= at else (before, at)
        return Finding("account", text, severity, first, last, path)


def _parse_passwd(content: bytes) -> dict[str, User]:
    users = {}
    for line in content.split(b"\n"):
        fields = line.split(b":")
        if len(fields) == 7 and fields[2].isdigit() and len(fields[2]) <= 10:
            home = fields[5].decode("utf-8", "surrogateescape")
            users[safe(fields[0], _NAME)] = User(int(fields[2]), home, safe(fields[6], 200))
    return users


def _parse_group(content: bytes) -> dict[str, frozenset[str]]:
    groups = {}
    for line in content.split(b"\n"):
        fields = line.split(b":")
        if len(fields) == 4:
            members = (safe(name.strip(), _NAME) for name in fields[3].split(b",") if name.strip())
            groups[safe(fields[0], _NAME)] = frozenset(members)
    return groups


def _added_users(old: dict[str, User], new: dict[str, User]) -> list[tuple[str, str]]:
    said = []
    for name, user in new.items():
        if name in old:
            continue
        if user.uid == 0:
            said.append((f"user {name} was added with uid 0, as root has", "critical"))
        else:
            severity = "info" if user.uid >= _FIRST_USER or user.may_log_in else ""  # a package's service is nobody who logs in
            said.append((f"user {name} was added (uid {user.uid})", severity))
    return said


def _changed_users(old: dict[str, User], new: dict[str, User]) -> list[tuple[str, str]]:
    said = []
    for name, user in new.items():
        was = old.get(name, user)
        if was.uid != user.uid:
            said.append((f"the uid of {name} was {was.uid} and is {user.uid}", "critical" if user.uid == 0 else "warning"))
        if user.may_log_in and not was.may_log_in:
            said.append((f"{name} may log in now: its shell was {was.shell} and is {user.shell}", "info"))
    return said
