"""The lease: one engine per state directory. Also what else here is one process's alone: locks on files, directories made for it.

A lock is flock's, never a pid in a file: the kernel gives it back however the holder ends, at once. It belongs to the open file, so
whatever inherits the descriptor would hold it on: it is closed on exec, and in children that are forked without one.
"""

import errno
import fcntl
import os
import stat
import time
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from perfconsole.core.errors import PerfconsoleError
from perfconsole.core.text import safe

NAME: Final = "lease"

_TRIES: Final = 3
_PAUSE_S: Final = 0.002
"""Who asks for the holder has the lock for microseconds; who wants it tries again rather than take that for a holder."""

_MOST_BYTES: Final = 16_384

_locks: set[int] = set()


class LeaseError(PerfconsoleError):
    """A state directory whose lease can be neither taken nor looked at."""


class Holder(Struct, frozen=True):
    """Who holds the lease, as it says itself; what it could not write down is empty.

    Attributes:
        pid: In its own pid namespace, which another container's is not.
        host: Name of its host.
        started: When it was started, epoch seconds.
        config: Digest of its configuration.
        socket: Path of the socket on which it serves.
    """

    pid: int = 0
    host: str = ""
    started: float = 0.0
    config: str = ""
    socket: str = ""


class Lease:
    """The lease of a state directory, held until it is released or the process ends. Made by `take`.

    Args:
        path: The file that is locked.
        fd: Its descriptor, locked.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd

    @classmethod
    def take(cls, directory: str | PathLike[str], holder: Holder) -> "Lease | None":
        """Take it; None when another holds it.

        Args:
            directory: The state directory; made, for the caller alone, when it is not there. One that is there must be the caller's, and
                nobody else's to write in: see `make_private`.
            holder: Written down for others to read. A full disk may keep it from them, and takes nothing from the lease.

        Raises:
            LeaseError: When it cannot be locked here: not the caller's, or others' to write in, no directory, no locks.
        """
        path = Path(directory) / NAME
        try:
            make_private(path.parent)
            fd = take_lock(path)
        except OSError as error:
            raise _failed(path, error) from error
        if fd is None:
            return None
        lease = cls(path, fd)
        lease.tell(holder)
        return lease

    def tell(self, holder: Holder) -> None:
        """Say of the holder what has changed, as a configuration that was read again; nothing after `release`."""
        if self._fd < 0:
            return
        line = msgspec.json.encode(holder) + b"\n"
        with suppress(OSError):
            os.pwrite(self._fd, line, 0)  # over what is there: on a full disk that needs no room
            os.ftruncate(self._fd, len(line))

    @property
    def lost(self) -> bool:
        """Whether the file was taken away: then another engine may hold a lease of the same directory."""
        return self._fd < 0 or not _is_at(self._fd, self._path)

    def release(self) -> None:
        """Let another have it. The file stays: who locks one that is removed meanwhile holds nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            give_lock(fd)


def holder(directory: str | PathLike[str]) -> Holder | None:
    """Who holds the lease of a state directory; None when nobody does, whatever the file says.

    Raises:
        LeaseError: When that cannot be found out.
    """
    path = Path(directory) / NAME
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed(path, error) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(fd)
    except OSError as error:
        raise _failed(path, error) from error
    finally:
        os.close(fd)
    return None


def _read(fd: int) -> Holder:
    """What the holder says of itself; nothing where it has not come to it yet, or could not."""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE_S)
        line, ended, _ = os.pread(fd, _MOST_BYTES, 0).partition(b"\n")
        with suppress(msgspec.DecodeError):
            told = msgspec.json.decode(line if ended else b"", type=Holder)
            return Holder(told.pid, safe(told.host), told.started, safe(told.config), told.socket)
    return Holder()


def _failed(path: Path, error: OSError) -> LeaseError:
    reason = error.strerror or str(error)
    if isinstance(error, PermissionError) or error.filename is not None:  # it was not opened; else there are no locks
        return LeaseError(f"cannot use {path}: {reason}", "set another [history] dir, one of your own")
    return LeaseError(f"cannot lock {path}: {reason}", "set a [history] dir on a local disk")


# What else is locked and made here -------------------------------------------------------------------------------------------------


def take_lock(path: Path) -> int | None:
    """Lock a file for this process and nobody else; made with mode 0600 when it is not there.

    Returns:
        Its descriptor, for `give_lock`; None when another holds it.

    Raises:
        OSError: When it cannot be opened (with a file name) or locked (without).
    """
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE_S)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            continue
        except OSError:
            os.close(fd)
            raise
        if _is_at(fd, path):
            _locks.add(fd)
            return fd
        os.close(fd)  # it was removed between opening and locking
    return None


def give_lock(fd: int) -> None:
    """Let others lock it."""
    _locks.discard(fd)
    os.close(fd)


def make_private(directory: Path) -> None:
    """Make a directory and what leads to it, for the caller alone whatever the umask; one that is there stays as it is.

    It may be anything that was named by mistake, as /tmp: its modes are not changed, and another user's is left without files of ours,
    which he could neither read nor remove.

    Raises:
        OSError: When it is not there and cannot be made. `PermissionError` in words: when others own it, or may write to it.
    """
    for missing in [*reversed(directory.parents), directory]:
        if not missing.exists():
            with suppress(FileExistsError):  # another made it at this moment
                missing.mkdir(0o700)
    found = directory.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(directory))
    if found.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, f"{directory} belongs to another user (uid {found.st_uid})", str(directory))
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(errno.EPERM, f"others may write to {directory} (chmod 700 {directory})", str(directory))


def _is_at(fd: int, path: Path) -> bool:
    """Whether an open file is the one that lies at a path."""
    try:
        return os.path.samestat(os.fstat(fd), path.lstat())
    except OSError:
        return False


def _forget_locks() -> None:
    """In a child that was forked without exec: closing its copies leaves the parent's locks, and no child keeps them alive."""
    while _locks:
        with suppress(OSError):
            os.close(_locks.pop())


os.register_at_fork(after_in_child=_forget_locks)
