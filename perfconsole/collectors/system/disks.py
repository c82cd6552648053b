"""Disk I/O from ``/proc/diskstats`` (Documentation/admin-guide/iostats.rst): whole devices, physical ones summed, the busiest one.

Partitions are parts of what is already counted; dm, md and loop devices stand on physical ones: they are shown, and not added up.
"""

from math import nan
from os import fsdecode
from typing import Final

from perfconsole.collectors.system.files import Files, is_there, read_once
from perfconsole.collectors.system.parts import Counts, Sums, define, distinct, growth
from perfconsole.core.globs import Globs
from perfconsole.core.text import safe
from perfconsole.core.tick import SeriesDef

_SECTOR_BYTES: Final = 512
"""Of every device, whatever its own sectors are."""

_QUIET: Final = (b"loop", b"ram", b"zram", b"fd", b"sr")
"""Shown only when asked for by name: a machine with snaps has thirty loop devices."""

_OPERATIONS, _BYTES, _BUSY_MS, _WAIT_MS = slice(0, 2), slice(2, 4), 4, 5

_BOTH: Final = (define("system.disk.operations"), define("system.disk.io"))
"""Reads and writes together."""


class Disks:
    """Bytes, operations, busy time and mean wait, by device and summed."""

    def __init__(self, files: Files, proc: str, sys: str, wanted: Globs) -> None:
        self._files, self._path, self._sys, self._wanted = files, f"{proc}/diskstats", sys, wanted
        self._kinds: dict[bytes, str] = {}
        self._sums, self._busiest = Sums(), Busiest()
        self._last: Counts = {}
        self._last_sum: tuple[int, ...] | None = None
        self._shown: list[str] = []
        self.series: tuple[SeriesDef, ...] = _series({})

    def read(self, step_s: float) -> list[float]:  # noqa: ARG002  # the shape of a part; the wait is a ratio of two counters
        """See `Part`."""
        counts, physical = self._chosen(self._files.read(self._path))
        if list(counts) != self._shown:
            self._shown = list(counts)
            self.series = _series(dict(zip(counts, distinct([safe(name) for name in counts]), strict=True)))
        summed = {name: counts[name] for name in physical}
        busiest_ms = self._busiest.add({name: now[_BUSY_MS] for name, now in summed.items()})
        total = tuple(self._sums.add(summed))
        values = _both(total, busiest_ms, self._last_sum) if total else [nan] * len(_BOTH) + [nan] * 6
        for name, now in counts.items():
            values += _values(now, self._last.get(name))
        self._last, self._last_sum = counts, total
        return values

    def _chosen(self, content: bytes) -> tuple[Counts, list[str]]:
        """The counters of the devices that are shown, and the names of the physical ones among them."""
        counts: Counts = {}
        physical: list[str] = []
        for line in content.splitlines():
            fields = line.split()
            kind = self._kind(fields[2])
            # A virtual device that was never used is furniture (dm and md appear with their first I/O).
            if not kind or (kind == "virtual" and fields[3] == fields[7] == b"0"):
                continue
            reads, _, read_sectors, read_ms, writes, _, written_sectors, write_ms, _, busy_ms = map(int, fields[3:13])
            name = fsdecode(fields[2])
            counts[name] = (
                reads,
                writes,
                read_sectors * _SECTOR_BYTES,
                written_sectors * _SECTOR_BYTES,
                busy_ms,
                read_ms + write_ms,
            )
            if kind == "physical":
                physical.append(name)
        return counts, physical

    def _kind(self, raw: bytes) -> str:
        """``physical``, ``virtual`` or, for partitions and what is not wanted, nothing.

        The kernel marks as hidden the paths to an NVMe disk (``nvme0c0n1``) that stands for all of them (``nvme0n1``) and counts the same.
        """
        kind = self._kinds.get(raw)
        if kind is None:
            name = fsdecode(raw)
            folder = f"{self._sys}/block/{name.replace('/', '!')}"
            named = self._wanted.names(name)
            shown = is_there(folder) and not raw.startswith(_QUIET) and read_once(f"{folder}/hidden") != b"1\n"
            kind = ""
            if name in self._wanted and (named or shown):
                kind = "physical" if is_there(f"{folder}/device") else "virtual"
            self._kinds[raw] = kind
        return kind


class Busiest:
    """The busy time of several devices as one counter, which grows by what the busiest grew by.

    Its rate is a utilisation: that of four disks added up would be 400 %, which no threshold fits.
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._busy_ms: int | None = None

    def add(self, busy_ms: dict[str, int]) -> int:
        """Take the newest counters by device; returns the counter, 0 while no device was ever seen."""
        if self._busy_ms is None and busy_ms:
            self._busy_ms = max(busy_ms.values())
        elif self._busy_ms is not None:
            self._busy_ms += max((growth(now, self._last.get(name)) or 0 for name, now in busy_ms.items()), default=0)
        self._last = busy_ms
        return self._busy_ms or 0


def _both(total: tuple[int, ...], busiest_ms: int, before: tuple[int, ...] | None) -> list[float]:
    """The values of all physical devices: both directions together, then as `_values`, with the busy time of the busiest."""
    values = _values(total, before)
    values[_BUSY_MS] = busiest_ms / 1000
    return [float(sum(total[_OPERATIONS])), float(sum(total[_BYTES])), *values]


def _series(names: dict[str, str]) -> tuple[SeriesDef, ...]:
    out: list[SeriesDef] = [*_BOTH]
    for label in ({}, *({"device": name} for name in names.values())):
        for metric in ("system.disk.operations", "system.disk.io"):
            out += (define(metric, direction="read", **label), define(metric, direction="write", **label))
        out += (define("system.disk.io_time", **label), define("system.disk.wait", **label))
    return tuple(out)


def _values(now: tuple[int, ...], before: tuple[int, ...] | None) -> list[float]:
    """The values of one device, in the order of `_series`."""
    return [*map(float, now[_OPERATIONS]), *map(float, now[_BYTES]), now[_BUSY_MS] / 1000, _wait_s(now, before)]


def _wait_s(now: tuple[int, ...], before: tuple[int, ...] | None) -> float:
    """Seconds an operation took in the mean since the last reading; NaN when none was completed."""
    if not before:
        return nan
    done = growth(sum(now[_OPERATIONS]), sum(before[_OPERATIONS]))
    waited_ms = growth(now[_WAIT_MS], before[_WAIT_MS])
    return waited_ms / 1000 / done if done and waited_ms is not None else nan
