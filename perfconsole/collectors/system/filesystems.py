"""Filesystems: space and inodes as df counts them, and when they will be full; each mount asked in its own thread with its own deadline.

Only those in memory are asked together, in one thread: they answer at once, and a node of Kubernetes has hundreds, for which threads would
hold the loop for 0.1 s.

``statvfs`` on a dead NFS server never returns. Such a mount is told with its age, is not asked again while the earlier call is stuck, and
heals by itself; none delays the others, nor the end of the process.
"""

import os
from asyncio import Future, wait
from collections.abc import Callable, Iterable, Sequence
from errno import EACCES, EPERM
from functools import partial
from math import isnan, nan
from time import perf_counter
from typing import Final

from perfconsole.collectors.loop import ask, paced
from perfconsole.collectors.system.files import Files
from perfconsole.collectors.system.filling import Filling
from perfconsole.collectors.system.mounts import Filesystem, from_mountinfo, is_big
from perfconsole.collectors.system.parts import define, distinct, ratio
from perfconsole.core import units
from perfconsole.core.errors import CollectorError
from perfconsole.core.globs import Globs
from perfconsole.core.ports import Measured, Operation, Result, Slot
from perfconsole.core.tables import Table, View
from perfconsole.core.text import safe
from perfconsole.core.tick import Health, SeriesDef

Answer = os.statvfs_result | OSError
Key = tuple[bytes, bytes]

_EVERYTHING: Final = Globs()
_HOST: Final = "host"
_STATES: Final = ("used", "free", "reserved")
_WORST: Final = (
    define("system.filesystem.utilization"),
    define("system.filesystem.inodes.utilization"),
    define("system.filesystem.usage"),
    define("system.filesystem.read_only"),
    define("system.filesystem.failed"),
    define("system.filesystem.time_to_full"),
)
_UNKNOWN: Final = (nan,) * 5


class _Call:
    """A question under way, or answered; `asked` is CLOCK_BOOTTIME."""

    __slots__ = ("asked", "future")

    def __init__(self, future: "Future[dict[Key, Answer]]", asked: float) -> None:
        self.future = future
        self.asked = asked

    def answer(self, mount: Filesystem) -> Answer | None:
        """What was answered about a mount; None while nothing was."""
        return self.future.result()[mount.key] if self.future.done() else None


class FilesystemCollector:
    """Space, inodes and read-only state of mounted filesystems.

    Args:
        interval_s: Seconds between runs.
        proc: Where procfs is.
        mounts: Mount points that are looked at; one that is named is shown whatever its type.
        deadline_s: Seconds after which a run goes on without a mount that has not answered.
        statvfs: Asks one mount point; see statvfs(3).
        listed: Gives the filesystems where there is no procfs; asked in a thread too.
    """

    name = "filesystems"
    first_after_s = 0.0
    targets: Sequence[str] = (_HOST,)
    operations: Sequence[Operation] = ()

    def __init__(
        self,
        interval_s: float = 10.0,
        *,
        proc: str = "/proc",
        mounts: Globs = _EVERYTHING,
        deadline_s: float = 1.0,
        statvfs: Callable[[bytes], os.statvfs_result] = os.statvfs,
        listed: Callable[[Globs], list[Filesystem]] | None = None,
    ) -> None:
        self.interval_s = interval_s
        self._path, self._wanted, self._deadline_s = f"{proc}/self/mountinfo", mounts, deadline_s
        self._statvfs, self._listed = statvfs, listed
        self._files = Files()
        self._content = b""
        self._known: list[Filesystem] = []
        self._calls: dict[Key, _Call] = {}
        self._big: set[Key] = set()
        self._filling: dict[Key, Filling] = {}
        self._points: list[bytes] = []
        self._labels: list[str] = []
        self._series: tuple[SeriesDef, ...] = _WORST
        self._told: set[str] = set()

    async def run(self, target: str, slot: Slot, views: Sequence[View]) -> Result:
        """See `Collector`."""
        del views
        await self._find()
        await self._ask_all(slot.boot)
        shown = [mount for mount in self._known if self._is_shown(mount)]
        self._describe([mount.point for mount in shown])
        rows = [_row(self._calls[mount.key].answer(mount)) for mount in shown]
        times = [self._time_to_full(mount, row[3], slot.boot) for mount, row in zip(shown, rows, strict=True)]
        fullest = max((row for row in rows if not isnan(row[0])), key=lambda row: row[0], default=_UNKNOWN)
        values = [fullest[0], _worst(row[1] for row in rows), fullest[2]]
        values += (_worst(float(mount.read_only) for mount in shown), _worst(float(mount.failed) for mount in shown))
        values.append(min((known for known in times if not isnan(known)), default=nan))
        for mount, row, time_s in zip(shown, rows, times, strict=True):
            values += (*row, float(mount.read_only), float(mount.failed), time_s)
        return Result(measured=[Measured(target, self._series, values)], health=self._health(shown, slot))

    async def look(self, views: Sequence[View]) -> Sequence[Table]:
        """Nothing here is a table."""
        del views
        return ()

    def close(self) -> None:
        """Let go; a thread that is stuck is a daemon and ends with the process."""
        self._files.close()
        self._calls.clear()

    async def _find(self) -> None:
        """The mounts there are now; read anew only when the kernel's list has changed."""
        if self._listed:
            self._known = await ask(partial(self._listed, self._wanted), "mounts")
        else:
            self._files.forget_failures()
            content = self._files.read(self._path)
            if not content:
                failure = self._files.failed.get(self._path)
                raise CollectorError(f"{self._path}: {failure.strerror if failure else 'empty'}", "mount procfs, or let this user read it")
            if content != self._content:  # a thousand mounts take 20 ms
                self._known = await ask(partial(from_mountinfo, content, self._wanted), "mounts")
                self._content = content
        keys = {mount.key for mount in self._known}
        self._calls = {key: call for key, call in self._calls.items() if key in keys}
        self._big &= keys
        self._filling = {key: filling for key, filling in self._filling.items() if key in keys}

    async def _ask_all(self, boot: float) -> None:
        """Ask every mount but those where the earlier call is stuck, and wait for the answers until the deadline."""
        asked = []
        idle = [mount for mount in self._known if mount.key not in self._calls or self._calls[mount.key].future.done()]
        together = [mount for mount in idle if mount.in_memory]
        alone = [[mount] for mount in idle if not mount.in_memory]
        async for mounts in paced([*alone, together] if together else alone, perf_counter):
            future = ask(partial(_answers, self._statvfs, mounts), "statvfs")
            asked.append(future)
            call = _Call(future, boot)
            self._calls.update((mount.key, call) for mount in mounts)
        if asked:
            await wait(asked, timeout=self._deadline_s)

    def _is_shown(self, mount: Filesystem) -> bool:
        if not mount.in_memory:
            return True
        answer = self._calls[mount.key].answer(mount)
        if isinstance(answer, os.statvfs_result) and is_big(answer):
            self._big.add(mount.key)  # and stays: a row that comes and goes with its size would be worse
        return mount.key in self._big

    def _time_to_full(self, mount: Filesystem, free_bytes: float, boot: float) -> float:
        filling = self._filling.get(mount.key)
        if filling is None:
            filling = self._filling[mount.key] = Filling()
        # What cannot be written to does not fill.
        return filling.add(boot, nan if mount.read_only else free_bytes)

    def _describe(self, points: list[bytes]) -> None:
        if points != self._points:
            self._points = points
            self._labels = distinct([safe(point) for point in points])
            self._series = (*_WORST, *(definition for label in self._labels for definition in _series(label)))

    def _health(self, shown: list[Filesystem], slot: Slot) -> list[Health]:
        """The mounts that do not answer, every time; those that do again, or are gone, once."""
        out = []
        told = set()
        for mount, label in zip(shown, self._labels, strict=True):
            call = self._calls[mount.key]
            answer = call.answer(mount)
            if isinstance(answer, os.statvfs_result):
                continue
            told.add(label)
            if answer is None:
                age_s = max(slot.boot - call.asked, self._deadline_s)
                error = f"statvfs has not answered for {units.latency(age_s) if age_s < 1 else f'{age_s:.0f} s'}"
                fix = f"see whether {safe(mount.source, 80)} can be reached; umount -l {label} lets go of it"
                out.append(Health(self.name, label, "error", slot.at, nan, error=error, fix=fix))
            else:
                state = "denied" if answer.errno in (EACCES, EPERM) else "error"
                fix = f'leave it out with mounts = ["!{label}"] in [system]'
                out.append(Health(self.name, label, state, slot.at, nan, error=f"statvfs: {answer.strerror}", fix=fix))
        out += [Health(self.name, label, "ok", slot.at, slot.at) for label in sorted(self._told - told)]
        self._told = told
        return out


def _answers(statvfs: Callable[[bytes], os.statvfs_result], mounts: Iterable[Filesystem]) -> dict[Key, Answer]:
    return {mount.key: _answer(statvfs, mount.point) for mount in mounts}


def _answer(statvfs: Callable[[bytes], os.statvfs_result], point: bytes) -> Answer:
    # An error is an answer: a future whose exception nobody fetched would complain at some other time.
    try:
        return statvfs(point)
    except OSError as error:
        return error


def _series(label: str) -> list[SeriesDef]:
    # No label for the device: rules mean the series with exactly their labels, and the mount point is who it is.
    return [
        define("system.filesystem.utilization", mountpoint=label),
        define("system.filesystem.inodes.utilization", mountpoint=label),
        *(define("system.filesystem.usage", mountpoint=label, state=state) for state in _STATES),
        define("system.filesystem.read_only", mountpoint=label),
        define("system.filesystem.failed", mountpoint=label),
        define("system.filesystem.time_to_full", mountpoint=label),
    ]


def _row(answer: Answer | None) -> tuple[float, ...]:
    """Utilisation of space and of inodes, and the bytes used, free and reserved for root."""
    if not isinstance(answer, os.statvfs_result):
        return _UNKNOWN
    block = answer.f_frsize or answer.f_bsize
    used, free = (answer.f_blocks - answer.f_bfree) * block, answer.f_bavail * block
    reserved = (answer.f_bfree - answer.f_bavail) * block
    # What root keeps for itself is neither used nor to be had: full means that nobody else can write.
    return ratio(used, used + free), ratio(answer.f_files - answer.f_ffree, answer.f_files), *map(float, (used, free, reserved))


def _worst(ratios: Iterable[float]) -> float:
    return max((known for known in ratios if not isnan(known)), default=nan)
