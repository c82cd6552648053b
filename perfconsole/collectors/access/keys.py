"""Keys that let somebody in: the authorized_keys of this user, as root of all users. Reads files; no clock.

Of a key only a digest is kept, to tell it from others, and only its comment is shown: whose it claims to be.
"""

import re
from hashlib import blake2b
from pathlib import Path
from typing import Final

from perfconsole.collectors.access.accounts import Stamp, User
from perfconsole.collectors.access.findings import Finding, listed, read_small
from perfconsole.core.text import safe

_FILES: Final = (".ssh/authorized_keys", ".ssh/authorized_keys2")
_KEY: Final = re.compile(rb"(?:^|[\s,])((?:ssh-|ecdsa-sha2-|sk-ssh-|sk-ecdsa-)[\w.@-]+) +(AAAA[\w+/]+=*)(?:[ \t]+(.*))?$")
_MOST_USERS: Final = 2000
_FAR: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "autofs", "ceph", "glusterfs", "lustre", "afs", "9p", "fuse.sshfs"})
"""Where to look is to ask another machine, or to have a home mounted that nobody uses."""


class Keys:
    """What changed among the keys.

    Args:
        root: What stands before each path; empty for the machine itself.
        mountinfo: Path of the list of mounts; see proc(5).
    """

    def __init__(self, root: str = "", mountinfo: str = "/proc/self/mountinfo") -> None:
        self._root, self._mountinfo = root, mountinfo
        self._stamps: dict[str, Stamp] = {}
        self._keys: dict[str, dict[bytes, str]] = {}
        self._seen: set[str] = set()
        self.far = 0
        """Homes that are not looked at because they lie on another machine."""

    def look(self, users: dict[str, User], before: float, at: float) -> list[Finding]:
        """What changed since `before` (epoch seconds) in the files of some users. May block for as long as the disk does.

        Args:
            users: Whose homes are looked at, by name.
            before: When this was looked at last.
            at: Now.
        """
        far = self._far_places()
        homes: dict[str, tuple[str, User]] = {}
        for name, user in list(users.items())[:_MOST_USERS]:
            if user.home.startswith("/") and user.home != "/":
                homes.setdefault(user.home, (name, user))
        near = {home: who for home, who in homes.items() if not any(home == place or home.startswith(place + "/") for place in far)}
        self.far = len(homes) - len(near)
        found = []
        for home, (name, user) in near.items():
            for file in _FILES:
                path = f"{self._root}{home}/{file}"
                if finding := self._look_at(path, name, user, before, at):
                    found.append(finding)
        return found

    def _look_at(self, path: str, name: str, user: User, before: float, at: float) -> Finding | None:
        try:
            status = Path(path).stat()
            stamp: Stamp | None = (status.st_ino, status.st_size, status.st_mtime_ns)
        except FileNotFoundError:
            stamp = None
        except (OSError, ValueError):
            return None  # not ours to see
        is_first = path not in self._seen
        self._seen.add(path)
        if stamp == self._stamps.get(path):
            return None
        content = read_small(path) if stamp else b""
        if content is None:
            return None
        if stamp:
            self._stamps[path] = stamp
        else:
            del self._stamps[path]
        old, new = self._keys.pop(path, {}), _parse(content)
        if new:
            self._keys[path] = new
        if is_first or old.keys() == new.keys():
            return None
        moment = stamp[2] / 1e9 if stamp and before <= stamp[2] / 1e9 <= at else 0.0
        text, severity = _worded(name, user, old, new)
        return Finding("account", text, severity, moment or before, moment or at, "authorized_keys")

    def _far_places(self) -> list[str]:
        content = (read_small(self._mountinfo) or b"").decode("utf-8", "surrogateescape")
        places = []
        for line in content.splitlines():
            fields = line.split(" ")
            if "-" in fields and fields[fields.index("-") + 1 :][:1] and fields[fields.index("-") + 1] in _FAR and len(fields) > 4:
                places.append(fields[4].replace("\\040", " ").rstrip("/"))
        return [place for place in places if place]


def _parse(content: bytes) -> dict[bytes, str]:
    """The comments of keys by their digests."""
    keys = {}
    for line in content.split(b"\n"):
        if line.lstrip()[:1] != b"#" and (found := _KEY.search(line.strip())):
            keys[blake2b(found[2], digest_size=12).digest()] = safe(found[3] or b"", 60) or "no comment"
    return keys


def _worded(name: str, user: User, old: dict[bytes, str], new: dict[bytes, str]) -> tuple[str, str]:
    added = [comment for digest, comment in new.items() if digest not in old]
    removed = [comment for digest, comment in old.items() if digest not in new]
    parts = [
        f"{len(comments)} key{'s' if len(comments) > 1 else ''} {word} ({listed(comments)})"
        for comments, word in ((added, "added"), (removed, "removed"))
        if comments
    ]
    severity = ("warning" if user.uid == 0 else "info") if added else ""
    return f"authorized_keys of {name}: {', '.join(parts)}; {len(new)} now", severity
