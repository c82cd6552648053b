"""What processes hold open, on demand: one walk over all descriptors for all who ask, bounded in time.

Links are read, never followed: what they point to may be on a server that is dead.
"""

import os
from collections.abc import Collection
from time import monotonic
from typing import Final, NamedTuple

from perfconsole.collectors.system.files import read_once
from perfconsole.core.text import safe

_DELETED: Final = b" (deleted)"
_NO_FILE: Final = (b"/memfd:", b"/SYSV", b"/dev/zero", b"/i915", b"/drm mm", b"/anon_hugepage", b"/[aio]", b"/dmabuf")
"""What the kernel names like a deleted file, and is memory."""

MOST_DELETED: Final = 5000
"""Deleted files that are looked at: each is asked for its size."""


def right() -> str:
    """What would show the processes that cannot be looked into; even root may not see those that have rights it has not."""
    if os.geteuid() == 0:
        return "they have rights that this root lacks, as in a container; run on the host"
    return "run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"


class Deleted(NamedTuple):
    """A descriptor of a file that has no name any more, and the name it had."""

    pid: int
    fd: str
    name: bytes


class Walk:
    """The descriptors of all processes that may be seen.

    Attributes:
        holders: The processes that hold the sockets asked for, by inode.
        deleted: Descriptors of files that were deleted.
        counts: Open descriptors by process.
        denied: Processes that may not be looked at; `unread` those that there was no time for.
    """

    def __init__(self) -> None:
        self.holders: dict[int, list[int]] = {}
        self.deleted: list[Deleted] = []
        self.counts: dict[int, int] = {}
        self.denied = 0
        self.unread = 0

    def note(self) -> str:
        """What could not be seen, and what right would show it; empty when all was."""
        notes = []
        if self.denied:
            notes.append(f"{processes(self.denied)} of others cannot be looked into: {right()}")
        if self.unread:
            notes.append(f"{processes(self.unread)} not looked into: there was no time")
        return "; ".join(notes)


def processes(count: int) -> str:
    """``1 process``, ``2 processes``."""
    return f"{count} process" if count == 1 else f"{count:,} processes"


def pids(proc: str) -> list[int]:
    """All that are shown.

    Raises:
        OSError: When there is no such procfs.
    """
    return [int(name) for name in os.listdir(proc) if name.isdigit()]  # noqa: PTH208  the house reads /proc with os


def walk(proc: str, sockets: Collection[int], until: float) -> Walk:
    """Look into every process.

    Args:
        proc: Where procfs is.
        sockets: Inodes of the sockets whose holders are wanted.
        until: When to stop (`time.monotonic`).
    """
    found = Walk()
    wanted = {b"socket:[%d]" % inode: inode for inode in sockets}
    each = pids(proc)
    for i, pid in enumerate(each):
        if monotonic() > until:
            found.unread = len(each) - i
            break
        try:
            folder = os.open(f"{proc}/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except PermissionError:
            found.denied += 1
            continue
        except OSError:
            continue  # it has ended
        try:
            _look(found, pid, folder, wanted, until)
        finally:
            os.close(folder)
    return found


def _look(found: Walk, pid: int, folder: int, wanted: dict[bytes, int], until: float) -> None:
    try:
        names = os.listdir(folder)
    except OSError:
        found.denied += 1  # it may be listed by its owner only, whatever the folder says
        return
    found.counts[pid] = len(names)
    for i, name in enumerate(names):
        if i % 1000 == 999 and monotonic() > until:
            return
        try:
            link = os.readlink(name.encode(), dir_fd=folder)
        except PermissionError:
            found.denied += 1
            del found.counts[pid]
            return
        except OSError:
            continue  # closed meanwhile
        inode = wanted.get(link)
        if inode is not None:
            found.holders.setdefault(inode, []).append(pid)
        elif link.endswith(_DELETED) and link[:1] == b"/" and not link.startswith(_NO_FILE) and len(found.deleted) < MOST_DELETED:
            found.deleted.append(Deleted(pid, name, link.removesuffix(_DELETED)))


def name_of(proc: str, pid: int) -> str:
    """``nginx (812)``."""
    name = safe(read_once(f"{proc}/{pid}/comm").rstrip(b"\n"), 40)
    return f"{name} ({pid})" if name else f"({pid})"


def limit_of(proc: str, pid: int) -> int | None:
    """How many descriptors a process may have; None for any number, and where nobody says."""
    for line in read_once(f"{proc}/{pid}/limits").splitlines():
        if line.startswith(b"Max open files"):
            soft = line[26:47].strip()  # columns of fixed width, see proc(5)
            return int(soft) if soft.isdigit() else None
    return None
