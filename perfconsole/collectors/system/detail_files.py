"""Who writes now, and which deleted files take up space, on demand.

Which filesystem a descriptor is on is told by ``/proc/PID/fdinfo`` (proc(5), ``mnt_id``), so that no path is followed; only files on local
filesystems are asked for their size, for a dead server would not answer.
"""

import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from math import nan
from time import monotonic, sleep
from typing import Final, NamedTuple

from perfconsole.collectors.system import mountinfo
from perfconsole.collectors.system.detail_descriptors import Deleted, pids
from perfconsole.collectors.system.files import read_once
from perfconsole.core.text import safe

_REMOTE: Final = (b"nfs", b"cifs", b"smb", b"fuse", b"ceph", b"9p", b"afs", b"lustre", b"gfs", b"ocfs", b"glusterfs", b"virtiofs")
"""How the types of filesystems begin that may not answer."""

_BLOCK_BYTES: Final = 512
"""What ``st_blocks`` counts in, whatever the filesystem's own blocks are."""

_APART_S: Final = 0.25
"""Between two looks at the positions of one process's descriptors."""

_FRESH_S: Final = 1.5
"""A file that was changed within the last so many seconds is one that is written."""

_MOST_WRITERS: Final = 15
_MOST_FILES: Final = 2000
"""Descriptors of one writer that are looked at."""

UNKNOWN: Final = "?"


class Held(NamedTuple):
    """A file without a name that takes up space: bytes on the filesystem, -1 unknown."""

    size: int
    pid: int
    holders: int
    name: str
    mount: str


class Writer(NamedTuple):
    """What one process writes to one filesystem, in bytes a second.

    Attributes:
        files: The files whose end moved, with rates, most first; without a rate (NaN) those that were written in place.
    """

    pid: int
    mount: str
    rate: float
    files: tuple[tuple[str, float], ...]


class Mounts:
    """Which filesystem a mount id is: of our own namespace, and of a process's."""

    def __init__(self, proc: str) -> None:
        self._proc = proc
        self._own = mountinfo.parse(read_once(f"{proc}/self/mountinfo"))
        self._by_id = {mount.id: mount for mount in self._own}
        self._points = {mount.device: mount for mount in sorted(self._own, key=lambda mount: -len(mount.point))}
        self._asked: set[int] = set()

    def of(self, pid: int, fdinfo: dict[bytes, bytes]) -> mountinfo.Mount | None:
        """The mount that a descriptor is on; None where nobody says."""
        wanted = fdinfo.get(b"mnt_id", b"")
        if wanted not in self._by_id and pid not in self._asked:
            self._asked.add(pid)
            for mount in mountinfo.parse(read_once(f"{self._proc}/{pid}/mountinfo")):
                self._by_id.setdefault(mount.id, mount)
        return self._by_id.get(wanted)

    def label(self, mount: mountinfo.Mount | None) -> str:
        """Where it is mounted here: by the shortest path; of one that only a container has, the path in there."""
        if mount is None:
            return UNKNOWN
        here = self._points.get(mount.device)
        return safe(here.point, 80) if here else f"{safe(mount.point, 80)} (of a container)"


def read_deleted(proc: str, found: list[Deleted], mounts: Mounts, until: float) -> list[Held]:
    """The deleted files among descriptors that take up space, largest first; several descriptors of one file are one."""
    sizes: dict[tuple[int, int], tuple[int, str]] = {}
    holders: dict[tuple[int, int], set[int]] = {}
    first: dict[tuple[int, int], Deleted] = {}
    for i, each in enumerate(found):
        if i % 100 == 99 and monotonic() > until:
            break
        mount = mounts.of(each.pid, _fdinfo(proc, each.pid, each.fd))
        key, size = (-1 - i, 0), -1
        if mount is not None and not mount.type.startswith(_REMOTE):
            with suppress(OSError):
                status = os.stat(f"{proc}/{each.pid}/fd/{each.fd}")  # noqa: PTH116  the house reads /proc with os
                if status.st_nlink or not stat.S_ISREG(status.st_mode):
                    continue  # it is called "... (deleted)", or is no file
                key, size = (status.st_dev, status.st_ino), status.st_blocks * _BLOCK_BYTES
                if not size:
                    continue
        sizes[key] = size, mounts.label(mount)
        holders.setdefault(key, set()).add(each.pid)
        first.setdefault(key, each)
    held = [Held(size, first[key].pid, len(holders[key]), safe(first[key].name, 200), mount) for key, (size, mount) in sizes.items()]
    return sorted(held, key=lambda each: (-each.size, each.name))


class _Written(NamedTuple):
    """What one process has written so far.

    Attributes:
        said: Its ``/proc/PID/io`` as it was read.
        stored: Bytes sent to storage.
        passed_on: Bytes handed to the kernel, for whatever it was.
        reaped: Page faults of its children that ended: it moves when one does.
    """

    said: bytes
    stored: int
    passed_on: int
    reaped: bytes


class Writing:
    """Who writes: what each process has written is read twice, and of those that wrote, where the ends of their files are.

    Args:
        proc: Where procfs is.
        clock: Seconds, as `time.monotonic`; `pause` waits for some.
        pause: See `clock`.
    """

    def __init__(self, proc: str, clock: Callable[[], float] = monotonic, pause: Callable[[float], None] = sleep) -> None:
        self._proc, self._clock, self._pause = proc, clock, pause
        self.denied = 0
        self._at = clock()
        self._before = self._written({})

    def finish(self, mounts: Mounts, least_s: float) -> list[Writer]:
        """Look again, at least `least_s` after the first time; most first."""
        self._pause(max(0.0, self._at + least_s - self._clock()))
        self.denied = 0
        now, passed_s = self._written(self._before), self._clock() - self._at
        grown: dict[int, tuple[float, float]] = {}
        for pid, written in now.items():
            was = self._before.get(pid, written)
            # With a child that ended, all that this ever wrote has become its parent's: not what the parent writes now.
            own = max(0, written.stored - was.stored) if written.reaped == was.reaped else 0
            grown[pid] = own / passed_s, max(0, written.passed_on - was.passed_on) / passed_s
        # Who writes much to sockets is not to keep those who write to files from being looked at.
        most = [sorted(grown, key=lambda pid: -grown[pid][kind])[:_MOST_WRITERS] for kind in (0, 1)]
        writers = [pid for pid in dict.fromkeys(most[0] + most[1]) if max(grown[pid]) > 0]
        return sorted(self._attributed(writers, grown, mounts), key=lambda writer: -writer.rate)

    def _written(self, before: Mapping[int, _Written]) -> dict[int, _Written]:
        """By process; most have done nothing since `before`."""
        found: dict[int, _Written] = {}
        for pid in pids(self._proc):
            said = read_once(f"{self._proc}/{pid}/io")
            same = before.get(pid)
            if same and same.said == said:
                found[pid] = same
                continue
            fields = dict(line.split(b": ", 1) for line in said.splitlines() if b": " in line)
            try:
                stored = int(fields[b"write_bytes"]) - int(fields.get(b"cancelled_write_bytes", 0))
                after_name = read_once(f"{self._proc}/{pid}/stat").rpartition(b")")[2].split(None, 9)
                found[pid] = _Written(said, stored, int(fields[b"wchar"]), after_name[8])
            except (KeyError, ValueError, IndexError):
                self.denied += 1
        return found

    def _attributed(self, writers: list[int], grown: dict[int, tuple[float, float]], mounts: Mounts) -> Iterator[Writer]:
        """What each wrote, by filesystem, as the ends of its files tell; what they do not is told without a file."""
        at = self._clock()
        before = {pid: self._positions(pid) for pid in writers}
        self._pause(_APART_S)
        passed_s = max(self._clock() - at, 1e-3)
        for pid in writers:
            files: dict[str, Counter[str]] = {}
            still: list[tuple[str, dict[bytes, bytes]]] = []
            for fd, (position, fdinfo) in self._positions(pid).items():
                moved = position - before[pid].get(fd, (position, fdinfo))[0]
                if moved > 0:
                    files.setdefault(mounts.label(mounts.of(pid, fdinfo)), Counter())[self._file(pid, fd)] += moved
                else:
                    still.append((fd, fdinfo))
            seen = 0.0
            for mount, moves in files.items():
                rate = sum(moves.values()) / passed_s
                seen += rate
                yield Writer(pid, mount, rate, tuple((name, moved / passed_s) for name, moved in moves.most_common()))
            stored = grown[pid][0]
            if stored > 2 * seen:
                yield self._in_place(pid, still, stored - seen, mounts)

    def _in_place(self, pid: int, still: list[tuple[str, dict[bytes, bytes]]], rate: float, mounts: Mounts) -> Writer:
        """Of what is written in place, or through a mapping, no position moves: the files were changed a moment ago."""
        found: list[tuple[float, str, str]] = []
        for fd, fdinfo in still:
            mount = mounts.of(pid, fdinfo)
            if mount is None or mount.type.startswith(_REMOTE):
                continue
            with suppress(OSError):
                changed = os.stat(f"{self._proc}/{pid}/fd/{fd}").st_mtime  # noqa: PTH116  the house reads /proc with os
                if time.time() - changed < _FRESH_S:
                    found.append((-changed, self._file(pid, fd), mounts.label(mount)))
        places = {mount for _, _, mount in found}
        names = dict.fromkeys(name for _, name, _ in sorted(found))  # what was changed last first
        return Writer(pid, places.pop() if len(places) == 1 else UNKNOWN, rate, tuple((name, nan) for name in names))

    def _positions(self, pid: int) -> dict[str, tuple[int, dict[bytes, bytes]]]:
        """Of regular files that are open for writing: where the next byte goes."""
        found: dict[str, tuple[int, dict[bytes, bytes]]] = {}
        try:
            names = os.listdir(f"{self._proc}/{pid}/fd")[:_MOST_FILES]  # noqa: PTH208  the house reads /proc with os
        except OSError:
            return found
        for name in names:
            with suppress(OSError, KeyError, ValueError):
                link = os.readlink(f"{self._proc}/{pid}/fd/{name}")  # noqa: PTH115  likewise
                if not link.startswith("/") or link.startswith(("/dev/", "/proc/", "/memfd:")):
                    continue
                fdinfo = _fdinfo(self._proc, pid, name)
                if int(fdinfo[b"flags"], 8) & os.O_ACCMODE:
                    found[name] = int(fdinfo[b"pos"]), fdinfo
        return found

    def _file(self, pid: int, fd: str) -> str:
        try:
            return safe(os.readlink(f"{self._proc}/{pid}/fd/{fd}"), 200)  # noqa: PTH115  likewise
        except OSError:
            return UNKNOWN


def _fdinfo(proc: str, pid: int, fd: str) -> dict[bytes, bytes]:
    lines = read_once(f"{proc}/{pid}/fdinfo/{fd}").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(b":") for line in lines)}
