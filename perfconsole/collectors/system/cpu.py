"""CPU time from ``/proc/stat``: total, per core and by mode; the tasks that wait; and the own cgroup's time where a quota binds.

proc(5): guest time is already part of user, guest_nice of nice; iowait is idle time with I/O outstanding and may run backwards.
"""

import os
from itertools import starmap
from math import isnan, nan
from operator import sub
from typing import Final

from perfconsole.collectors.system.files import Files
from perfconsole.collectors.system.limits import CpuQuota, Limits
from perfconsole.collectors.system.parts import define, ratio
from perfconsole.core.tick import SeriesDef

_MODES: Final = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
"""In the order of the columns of ``/proc/stat``; kernels before 2.6.33 have fewer."""

_IDLE, _IOWAIT, _STEAL = 3, 4, 7
_USER, _NICE, _GUEST, _GUEST_NICE = 0, 1, 8, 9
_JITTER_S: Final = 1.0
"""A mode that runs back by less than this, per core, has not been reset: idle and iowait are estimates while a core sleeps."""

_TOTALS: Final = (
    define("system.cpu.utilization"),
    define("system.cpu.iowait.ratio"),
    define("system.cpu.steal.ratio"),
    define("system.cpu.logical.count"),
    define("system.cpu.limit"),
    define("system.cpu.time"),
    *(define("system.cpu.time", mode=mode) for mode in _MODES),
    define("system.tasks.runnable"),
    define("system.tasks.blocked"),
)
_QUOTA: Final = (define("system.cpu.throttled.ratio"), define("system.cpu.throttled.time"))


class Cpu:
    """CPU time, its limit and throttling, and how many tasks run or wait."""

    def __init__(self, files: Files, proc: str, limits: Limits) -> None:
        self._files, self._path, self._limits = files, f"{proc}/stat", limits
        self._hz = os.sysconf("SC_CLK_TCK")
        self._last: dict[bytes, list[int]] = {}
        self._shape: tuple[list[bytes], bool] | None = None
        self._seconds: list[float] = [nan] * len(_MODES)
        self._bound: frozenset[bytes] | None = None
        self._group = _Group(files)
        self.series: tuple[SeriesDef, ...] = _TOTALS

    def read(self, step_s: float) -> list[float]:
        """See `Part`."""
        content = self._files.read(self._path)
        now = _parse(content)
        total = now.pop(b"cpu", [])
        self._describe(list(now), quota=self._limits.quota is not None)
        changed = self._bind(now)
        if self._bound:
            total = list(map(sum, zip(*(now[name] for name in self._bound), strict=True)))
        modes = [nan] * len(_MODES) if changed else self._by_mode(total, len(self._bound or now))
        shares = _shares(total, self._last.get(b"cpu", []))
        cores = [_shares(counts, self._last.get(name, []))[0] for name, counts in now.items()]
        count = float(len(now)) if now else nan
        quota = self._limits.quota
        allowed = float(len(self._limits.cpus)) or nan
        limit = min((known for known in (count, allowed, quota.cpus if quota else nan) if not isnan(known)), default=nan)
        busy_s = sum(modes) - modes[_IDLE] - modes[_IOWAIT]
        values = [*shares, count, limit, busy_s, *modes, *_tasks(content), *cores]
        if quota:
            used_s, *throttling = self._group.read(quota)
            if quota.cpus <= limit:
                values[0] = min(ratio(used_s, quota.cpus * step_s), 1.0)
            values += throttling
        self._last = {b"cpu": total, **now}
        return values

    def _bind(self, now: dict[bytes, list[int]]) -> bool:
        """See whether less than all CPUs may be used: the total is then theirs alone, or idle neighbours would hide how busy they are.

        Returns:
            Whether they are others than before: no share and no rate leads from the counters of some CPUs to those of others.
        """
        allowed = self._limits.cpus
        # lxcfs shows the CPUs of a set as a machine of its own, numbered anew: there are as many, and the names mean others.
        bound = allowed.intersection(now) if len(allowed) < len(now) else frozenset[bytes]()
        changed = self._bound not in (None, bound)
        if changed:
            self._last.pop(b"cpu", None)
            self._seconds = [nan] * len(_MODES)
        self._bound = bound
        return changed

    def _describe(self, names: list[bytes], *, quota: bool) -> None:
        """Cores come and go (hotplug), and a quota may be set: only then are the series others."""
        if self._shape == (names, quota):
            return
        self._shape = (names, quota)
        cores = (define("system.cpu.utilization", cpu=name[3:].decode()) for name in names)
        self.series = (*_TOTALS, *cores, *(_QUOTA if quota else ()))

    def _by_mode(self, counts: list[int], cores: int) -> list[float]:
        """Seconds in each mode, guest taken out of what it is part of, and held where they run back by jitter only."""
        if not counts:
            return [nan] * len(_MODES)
        seconds = [count / self._hz for count in counts]
        seconds[_USER] -= seconds[_GUEST]
        seconds[_NICE] -= seconds[_GUEST_NICE]
        jitter = _JITTER_S * max(cores, 1)
        self._seconds = [old if 0 < old - new < jitter else new for new, old in zip(seconds, self._seconds, strict=True)]
        return self._seconds


class _Group:
    """CPU time and throttling of the cgroup that sets the quota."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._last: tuple[str, float, float, float] = ("", nan, nan, nan)

    def read(self, quota: CpuQuota) -> tuple[float, float, float]:
        """CPU seconds used and share of periods throttled since the last read, and seconds throttled ever; NaN where unknown."""
        stat = _pairs(self._files.read(f"{quota.folder}/cpu.stat"))
        if quota.unified:
            used_s = stat.get(b"usage_usec", nan) / 1e6
            throttled_s = stat.get(b"throttled_usec", nan) / 1e6
        else:
            content = self._files.read(quota.usage) if quota.usage else b""
            used_s = int(content) / 1e9 if content else nan
            throttled_s = stat.get(b"throttled_time", nan) / 1e9
        periods, throttled = stat.get(b"nr_periods", nan), stat.get(b"nr_throttled", nan)
        folder, used_before, periods_before, throttled_before = self._last
        self._last = (quota.folder, used_s, periods, throttled)
        if folder != quota.folder:
            return nan, nan, throttled_s
        used = used_s - used_before
        share = ratio(max(throttled - throttled_before, 0.0), periods - periods_before) if periods != periods_before else 0.0
        return (used if used >= 0 else nan), min(share, 1.0), throttled_s


def _parse(content: bytes) -> dict[bytes, list[int]]:
    """The ``cpu`` lines at the head of ``/proc/stat``, in ticks, ten columns each."""
    rows: dict[bytes, list[int]] = {}
    for line in content.partition(b"\nintr")[0].splitlines():
        if not line.startswith(b"cpu"):
            break
        name, *columns = line.split()
        counts = list(map(int, columns[: len(_MODES)]))
        rows[name] = counts if len(counts) == len(_MODES) else counts + [0] * (len(_MODES) - len(counts))
    return rows


def _tasks(content: bytes) -> tuple[float, float]:
    """Tasks that run or wait for a CPU, and those that wait for I/O: at the end, behind the long line of interrupts.

    The one that reads this runs: it is not counted.
    """
    running, blocked = (_last(content, name) for name in (b"\nprocs_running ", b"\nprocs_blocked "))
    return running if isnan(running) else max(running - 1, 0.0), blocked


def _last(content: bytes, name: bytes) -> float:
    start = content.rfind(name)
    return float(content[start + len(name) :].partition(b"\n")[0]) if start >= 0 else nan


def _shares(new: list[int], old: list[int]) -> tuple[float, float, float]:
    """Busy, iowait and steal as shares of the time between two rows; NaN without two, or when a busy mode ran backwards (a reset)."""
    if not new or not old:
        return nan, nan, nan
    steps = list(starmap(sub, zip(new, old, strict=True)))
    idle, iowait = max(steps[_IDLE], 0), max(steps[_IOWAIT], 0)
    modes = (*steps[:_IDLE], *steps[_IOWAIT + 1 : _STEAL + 1])
    if min(modes) < 0:
        return nan, nan, nan
    busy = sum(modes)
    total = busy + idle + iowait
    return ratio(busy, total), ratio(iowait, total), ratio(steps[_STEAL], total)


def _pairs(content: bytes) -> dict[bytes, float]:
    return {name: float(value) for name, _, value in (line.partition(b" ") for line in content.splitlines()) if value.isdigit()}
