"""The limits that bind inside a container: found by walking the own cgroup up to the root, in v1, v2 and hybrid layouts.

The smallest limit wins, wherever on the way up it is set, and it is compared with the usage of that same level: an ancestor's limit is
shared with everything else below it. What a level says is read in `Cpu` and `Memory`; this file only finds the levels.
See Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/, cgroups(7), cgroup_namespaces(7).
"""

from math import inf, isnan, nan
from os import fsdecode
from typing import Final, NamedTuple

from perfconsole.collectors.system import mountinfo
from perfconsole.collectors.system.files import is_there, read_once

REFRESH_S: Final = 30.0
"""Limits are set when a container starts and hardly ever afterwards; a walk costs some 0.3 ms."""

_NO_LIMIT: Final = 2**60
"""v1 has no word for "none", but a number near 2^63 that depends on the page size (9223372036854771712 with 4 KiB)."""

_WANTED: Final = frozenset((b"memory", b"cpu", b"cpuacct", b"cpuset"))


class MemoryLimit(NamedTuple):
    """The smallest memory limit, and the cgroup directory that sets it."""

    limit_bytes: float
    folder: str
    unified: bool


class CpuQuota(NamedTuple):
    """The smallest CPU quota in CPUs, the cgroup directory that sets it, and the file that counts what it used (empty: unknown)."""

    cpus: float
    folder: str
    usage: str
    unified: bool


class _Hierarchy(NamedTuple):
    """Where the own cgroup of one controller is: `folders` from it up to the root of what is mounted."""

    path: bytes
    folders: list[str]
    unified: bool


class Limits:
    """The limits of the own cgroup, refreshed now and then.

    Attributes:
        memory: None when no level sets any.
        quota: Likewise.
        cpus: The CPUs of the own CPU set, as ``/proc/stat`` names them; empty when unknown.
        pressure: Directory of the own cgroup's pressure files; empty when it has none of its own.
    """

    def __init__(self, proc: str, sys: str) -> None:
        self._proc, self._sys = proc, sys
        self._due = -inf
        self.memory: MemoryLimit | None = None
        self.quota: CpuQuota | None = None
        self.cpus: frozenset[bytes] = frozenset()
        self.pressure = ""

    def refresh(self, boot: float) -> None:
        """Look again when it is time to, or a level is gone (we were moved, and it was removed); `boot` is CLOCK_BOOTTIME."""
        levels = (self.memory, self.quota)
        if boot < self._due and all(is_there(level.folder) for level in levels if level):
            return
        self._due = boot + REFRESH_S
        found = _hierarchies(read_once(f"{self._proc}/self/cgroup"), read_once(f"{self._proc}/self/mountinfo"), self._sys)
        self.memory = _smallest_memory(found.get(b"memory"))
        self.quota = _smallest_quota(found.get(b"cpu"), found.get(b"cpuacct"))
        self.pressure = _pressure_folder(found.get(b""))
        self.cpus = _cpu_set(found.get(b"cpuset")) or _affinity(read_once(f"{self._proc}/self/status"))


def _cpu_set(found: _Hierarchy | None) -> frozenset[bytes]:
    """The CPUs of the innermost level that tells (cpuset(7)): it has no more than those above it."""
    for folder in found.folders if found else ():
        cpus = _cpus(read_once(f"{folder}/{'cpuset.cpus.effective' if found and found.unified else 'cpuset.effective_cpus'}"))
        if cpus:
            return cpus
    return frozenset()


def _affinity(status: bytes) -> frozenset[bytes]:
    """``Cpus_allowed_list:  0-3,8`` (proc(5)), for where no cgroup tells: a set is part of it, but so is what taskset and isolcpus say."""
    return _cpus(status.partition(b"\nCpus_allowed_list:")[2].partition(b"\n")[0])


def _cpus(text: bytes) -> frozenset[bytes]:
    """``0-3,8`` as names: cpu0 to cpu3, and cpu8."""
    spans = (span.partition(b"-") for span in text.strip().split(b","))
    return frozenset(b"cpu%d" % cpu for first, _, last in spans if first.isdigit() for cpu in range(int(first), int(last or first) + 1))


def _hierarchies(own: bytes, mounts: bytes, sys: str) -> dict[bytes, _Hierarchy]:
    """The hierarchy of each controller; the unified one under the empty name, and under every controller that v1 does not hold."""
    lines = b"\n".join(line for line in mounts.splitlines() if b" - cgroup" in line)
    mounted = mountinfo.parse(lines)
    found: dict[bytes, _Hierarchy] = {}
    for line in own.splitlines():
        identity, _, rest = line.partition(b":")
        names, _, path = rest.partition(b":")
        unified = identity == b"0" and not names
        for name in (b"",) if unified else _WANTED.intersection(names.split(b",")):
            folders = _folders(path, [mount for mount in mounted if _holds(mount, name)], sys)
            if folders:
                found[name] = _Hierarchy(path, folders, unified)
    for name in (b"memory", b"cpu", b"cpuset"):
        if name not in found and b"" in found:
            found[name] = found[b""]
    return found


def _holds(mount: mountinfo.Mount, name: bytes) -> bool:
    if not name:
        return mount.type == b"cgroup2"
    return mount.type == b"cgroup" and name in mount.super_options.split(b",")


def _folders(path: bytes, mounted: list[mountinfo.Mount], sys: str) -> list[str]:
    """The directories from the own cgroup up to the mount that shows most of the way; none when nothing is mounted."""
    best: list[str] = []
    for mount in mounted:
        point = fsdecode(mount.point)
        top = sys + point[4:] if point.startswith("/sys/") else point
        below = [name for name in fsdecode(_relative(path, mount.root)).split("/") if name]
        chain = [top]
        for name in below:
            chain.append(f"{chain[-1]}/{name}")
        if not is_there(chain[-1]):
            # The path is another namespace's, or that cgroup is gone: what holds for the root of the mount holds for us.
            chain = [top] if is_there(top) else []
        if len(chain) > len(best):
            best = chain
    return best[::-1]


def _relative(path: bytes, root: bytes) -> bytes:
    """The cgroup path as seen from the mount: a container without a cgroup namespace has the same prefix in both."""
    if root == b"/":
        return b"" if b".." in path.split(b"/") else path
    if path == root or path.startswith(root + b"/"):
        return path[len(root) :]
    return b""


def _smallest_memory(found: _Hierarchy | None) -> MemoryLimit | None:
    best: MemoryLimit | None = None
    for folder in found.folders if found else ():
        text = read_once(f"{folder}/{'memory.max' if found and found.unified else 'memory.limit_in_bytes'}").strip()
        # Of equal limits the outer one binds: it is shared.
        if text.isdigit() and int(text) < _NO_LIMIT and found and (best is None or int(text) <= best.limit_bytes):
            best = MemoryLimit(float(text), folder, found.unified)
    return best


def _smallest_quota(found: _Hierarchy | None, accounts: _Hierarchy | None) -> CpuQuota | None:
    best: CpuQuota | None = None
    for depth, folder in enumerate(found.folders if found else ()):
        cpus = _quota(folder, unified=bool(found and found.unified))
        if found and not isnan(cpus) and (best is None or cpus <= best.cpus):
            best = CpuQuota(cpus, folder, _usage_file(found, accounts, depth), found.unified)
    return best


def _quota(folder: str, *, unified: bool) -> float:
    if unified:
        quota, _, period = read_once(f"{folder}/cpu.max").strip().partition(b" ")
    else:
        quota, period = read_once(f"{folder}/cpu.cfs_quota_us").strip(), read_once(f"{folder}/cpu.cfs_period_us").strip()
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else nan  # "max" and -1 are none


def _usage_file(found: _Hierarchy, accounts: _Hierarchy | None, depth: int) -> str:
    """The file that counts the CPU time of the level that sets the quota. In v1 another controller counts, perhaps of another cgroup."""
    if found.unified:
        return f"{found.folders[depth]}/cpu.stat"
    if accounts and accounts.path == found.path and depth < len(accounts.folders):
        return f"{accounts.folders[depth]}/cpuacct.usage"
    return ""


def _pressure_folder(found: _Hierarchy | None) -> str:
    # The real root has no cgroup.events; its pressure is the host's.
    own = found.folders[0] if found else ""
    return own if own and read_once(f"{own}/cgroup.events") else ""
