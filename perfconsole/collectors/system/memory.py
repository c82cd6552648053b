"""Memory, swap and paging: ``/proc/meminfo``, ``/proc/vmstat``, the ZFS cache, and the memory cgroup where its limit binds."""

from math import nan
from typing import Final

from perfconsole.collectors.system.files import Files
from perfconsole.collectors.system.limits import Limits, MemoryLimit
from perfconsole.collectors.system.parts import define, ratio

_STATES: Final = ("used", "free", "available", "cached", "buffers", "slab", "arc", "zswap")
_KIB: Final = 1024


class Memory:
    """Memory and swap, as they count against the limit that binds.

    ``used`` is total less available (what ``free`` says), ``cached`` includes reclaimable slab (likewise), ``slab`` is all of it.
    """

    def __init__(self, files: Files, proc: str, limits: Limits) -> None:
        self._files, self._proc, self._limits = files, proc, limits
        self.series = (
            define("system.memory.utilization"),
            define("system.memory.limit"),
            define("system.memory.total"),
            define("system.memory.usage"),
            *(define("system.memory.usage", state=state) for state in _STATES),
            define("system.paging.utilization"),
            define("system.paging.usage"),
            define("system.paging.usage", state="used"),
            define("system.paging.usage", state="free"),
        )

    def read(self, step_s: float) -> list[float]:  # noqa: ARG002  # the shape of a part; levels need no time
        """See `Part`."""
        fields = _fields(self._files.read(f"{self._proc}/meminfo"))
        total = fields.get(b"MemTotal", nan)
        limit = self._limits.memory
        if limit and not limit.limit_bytes >= total:
            top, states = limit.limit_bytes, self._in_group(limit)
        else:
            top, states = total, self._in_machine(fields, total)
        return [ratio(top - states[2], top), top, total, states[0], *states, *_swap(fields)]

    def _in_machine(self, fields: dict[bytes, float], total: float) -> list[float]:
        free, buffers = fields.get(b"MemFree", nan), fields.get(b"Buffers", nan)
        cached = fields.get(b"Cached", nan) + fields.get(b"SReclaimable", 0.0)
        # Kernels before 3.14 do not say what is available; shared memory is in Cached, and cannot be given back.
        available = fields.get(b"MemAvailable", free + buffers + cached - fields.get(b"Shmem", 0.0))
        arc, arc_min = self._arc()
        if arc > arc_min:
            # The ZFS cache gives way down to its minimum, yet the kernel counts it as used: without this every ZFS host looks full.
            available = min(available + arc - arc_min, total)
        slab, zswap = fields.get(b"Slab", nan), fields.get(b"Zswap", nan)
        return [total - available, free, available, cached, buffers, slab, arc, zswap]

    def _arc(self) -> tuple[float, float]:
        """Size and minimum of the ZFS cache; NaN without ZFS."""
        size = least = nan
        for line in self._files.read_optional(f"{self._proc}/spl/kstat/zfs/arcstats").splitlines():
            if line.startswith((b"size ", b"c_min ")):
                name, _, value = line.split()
                size, least = (float(value), least) if name == b"size" else (size, float(value))
        return size, least

    def _in_group(self, limit: MemoryLimit) -> list[float]:
        """The states of the cgroup whose limit binds: what is used is its working set, for inactive file pages go before any process."""
        stat = self._files.read(f"{limit.folder}/memory.stat")
        counted = self._files.read(f"{limit.folder}/{'memory.current' if limit.unified else 'memory.usage_in_bytes'}").strip()
        fields = dict(line.split(b" ", 1) for line in stat.splitlines() if b" " in line)
        prefix = b"" if limit.unified else b"total_"  # v1 counts the cgroups below only there

        def field(name: bytes) -> float:
            value = fields.get(prefix + name, b"")
            return float(value) if value.isdigit() else nan

        current = float(counted) if counted.isdigit() else nan
        used = max(current - field(b"inactive_file"), 0.0)
        cached = field(b"file") if limit.unified else field(b"cache")
        slab, zswap = (field(b"slab"), field(b"zswap")) if limit.unified else (nan, nan)
        return [used, max(limit.limit_bytes - current, 0.0), max(limit.limit_bytes - used, 0.0), cached, nan, slab, nan, zswap]


class Paging:
    """Swapping, page faults, waits for free memory and the processes that were killed for it: counters of ``/proc/vmstat``."""

    def __init__(self, files: Files, proc: str) -> None:
        self._files, self._path = files, f"{proc}/vmstat"
        self.series = (
            define("system.paging.operations"),
            define("system.paging.operations", direction="in"),
            define("system.paging.operations", direction="out"),
            define("system.paging.faults"),
            define("system.paging.faults", type="major"),
            define("system.oom_kills"),
            define("system.memory.stalls"),
        )

    def read(self, step_s: float) -> list[float]:  # noqa: ARG002  # the shape of a part; counters are made rates on read
        """See `Part`."""
        content = self._files.read(self._path)
        # A few of some 200 lines: finding them is cheaper than splitting all.
        into, out, faults, kills = (_after(content, name) for name in (b"\npswpin ", b"\npswpout ", b"\npgmajfault ", b"\noom_kill "))
        return [into + out, into, out, faults, faults, kills, _stalls(content)]


def _stalls(content: bytes) -> float:
    """Of all zones together: kernels before 4.10 count them as one. The lines, some five, stand one after another."""
    first = content.find(b"\nallocstall")
    if first < 0:
        return nan
    total = 0.0
    for line in content[first + 1 : first + 512].splitlines():
        if not line.startswith(b"allocstall"):
            break
        total += float(line.partition(b" ")[2])
    return total


def _after(content: bytes, name: bytes) -> float:
    start = content.find(name)
    if start < 0:
        return nan
    start += len(name)
    end = content.find(b"\n", start)
    return float(content[start : end if end >= 0 else None])


def _fields(content: bytes) -> dict[bytes, float]:
    """Bytes by name."""
    fields = {}
    for line in content.splitlines():
        name, _, rest = line.partition(b":")
        fields[name] = float(rest.split(None, 1)[0]) * _KIB
    return fields


def _swap(fields: dict[bytes, float]) -> list[float]:
    total, free = fields.get(b"SwapTotal", nan), fields.get(b"SwapFree", nan)
    used = total - free
    return [ratio(used, total), used, used, free]
