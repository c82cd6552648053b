"""Reads a group's files into its node: of all groups what use is ranked by, of those that are shown the rest.

CPU and memory cost two reads a group; what else there is costs six more, and limits are read once a minute: they hardly ever change.
"""

import os
from collections.abc import Callable
from math import isnan, nan
from typing import Final

from perfconsole.collectors.system.files import is_there, read_once
from perfconsole.collectors.units import parse
from perfconsole.collectors.units.files import Files
from perfconsole.collectors.units.hierarchies import Layout
from perfconsole.collectors.units.node import UNKNOWN, Counts, Flow, Node, Use

LIMITS_S: Final = 60.0
"""How long limits are believed."""

LONGEST: Final = 2.5
"""Over more intervals than that no rate is told: the machine slept, or nobody looked."""

_MICRO: Final = 1e-6
_NANO: Final = 1e-9
_RESOURCES: Final = ("cpu", "memory", "io")
_LOOP: Final = b"7"
"""Major number of loop devices: what they do, the filesystem below does (Documentation/admin-guide/devices.txt)."""

_NAMES: Final[dict[str, tuple[str, str]]] = {
    "usage": ("cpuacct.usage", "cpu.stat"),
    "memory": ("memory.usage_in_bytes", "memory.current"),
    "limit": ("memory.limit_in_bytes", "memory.max"),
    "kills": ("memory.oom_control", "memory.events"),
    "io": ("blkio.throttle.io_service_bytes_recursive", "io.stat"),
}
"""File names in v1 and in v2."""

ALWAYS: Final = frozenset({"cpu.stat", "cpuacct.usage", "memory.current", "memory.usage_in_bytes"})
"""What is read of every group at every scan, and so kept open."""


class Readings:
    """Reads nodes.

    Args:
        layout: Where the files are.
        files: Reads them.
        sys: Where sysfs is.
        clock: CLOCK_BOOTTIME.
        longest_s: Over more time than that no rate is told.
    """

    def __init__(self, layout: Layout, files: Files, sys: str, clock: Callable[[], float], longest_s: float) -> None:
        self._files, self._sys, self._clock = files, sys, clock
        self._longest_s = longest_s
        self._where = layout.where
        self._unified = [hierarchy.unified for hierarchy in layout.hierarchies]
        self._passed_on: dict[bytes, bool] = {}
        self.nested_kills = self._is_unified("memory")
        """Whether a group's kills contain those of the groups below it."""

    def _is_unified(self, measured: str) -> bool:
        position = self._where.get(measured)
        return position is not None and self._unified[position]

    def _read(self, node: Node, measured: str, what: str, *, keep: bool = True) -> bytes:
        position = self._where.get(measured)
        if position is None:
            return b""
        name = _NAMES[what][self._unified[position]]
        return self._files.read(node, position, name) if keep else self._files.read_once(node, position, name)

    # Of every group ---------------------------------------------------------------------------------------------------------------

    def read(self, node: Node) -> None:
        """CPU and memory, limits once a minute."""
        now = self._clock()
        if not now - node.limits_at < LIMITS_S:
            node.limits_at = now
            self._read_limits(node)
        node.before, node.counts = node.counts, self._counts(node, now)
        node.use = use(node.counts, node.before, node.cpu_limit, self._longest_s)
        node.memory_bytes = parse.number(self._read(node, "memory", "memory"))
        node.memory = nan

    def _read_limits(self, node: Node) -> None:
        self._files.look_again(node)
        node.limit_memory(parse.limit(self._read(node, "memory", "limit", keep=False)))
        tasks = self._where.get("tasks")
        node.tasks_limit = nan if tasks is None else parse.number(self._files.read_once(node, tasks, "pids.max"))
        cpu = self._where.get("cpu")
        if cpu is None:
            node.cpu_limit = nan
        elif self._unified[cpu]:
            node.cpu_limit = parse.quota(self._files.read_once(node, cpu, "cpu.max"))
        else:
            halves = [self._files.read_once(node, cpu, name).strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]
            node.cpu_limit = parse.quota(b" ".join(halves))

    def _counts(self, node: Node, now: float) -> Counts:
        usage, cpu = self._where.get("usage"), self._where.get("cpu")
        if usage is None:
            return UNKNOWN
        if self._unified[usage]:
            stat = self._files.read(node, usage, "cpu.stat")
            usage_s = parse.field(stat, b"usage_usec") * _MICRO
        else:
            stat = b""
            usage_s = parse.number(self._files.read(node, usage, "cpuacct.usage")) * _NANO
            if isnan(usage_s) and (beside := self._where.get("pressure")) is not None:  # hybrid: systemd gave it no controller
                usage_s = parse.field(self._files.read(node, beside, "cpu.stat"), b"usage_usec") * _MICRO
        if isnan(node.cpu_limit) or cpu is None:
            return Counts(now, usage_s)
        if not self._unified[cpu]:
            stat = self._files.read(node, cpu, "cpu.stat")
            throttled_s = parse.field(stat, b"throttled_time") * _NANO
        else:
            throttled_s = parse.field(stat, b"throttled_usec") * _MICRO
        return Counts(now, usage_s, parse.field(stat, b"nr_periods"), parse.field(stat, b"nr_throttled"), throttled_s)

    # Of some ----------------------------------------------------------------------------------------------------------------------

    def read_kills(self, node: Node) -> None:
        """Processes killed because memory ran out."""
        kills = parse.field(self._read(node, "memory", "kills", keep=False), b"oom_kill")
        node.oom_before, node.oom = node.oom, kills

    def read_share(self, node: Node) -> float:
        """The share of its own limit that is in use, caches that can be dropped left out; NaN without a limit."""
        position = self._where.get("memory")
        if position is None or isnan(node.memory_limit):
            return nan
        key = b"inactive_file" if self._unified[position] else b"total_inactive_file"
        inactive = parse.field(self._files.read(node, position, "memory.stat"), key)
        used = node.memory_bytes - (0.0 if isnan(inactive) else inactive)
        node.memory = max(0.0, used) / node.memory_limit if node.memory_limit else nan
        return node.memory

    def read_rest(self, node: Node) -> None:
        """What is shown beside: tasks, pressure, storage I/O."""
        tasks = self._where.get("tasks")
        node.tasks = nan if tasks is None else parse.number(self._files.read(node, tasks, "pids.current"))
        beside = self._where.get("pressure")
        if beside is not None:
            cpu, memory, io = (parse.pressure(self._files.read(node, beside, f"{name}.pressure")) for name in _RESOURCES)
            node.pressure = (cpu, memory, io)
        self._read_flow(node)

    def _read_flow(self, node: Node) -> None:
        content = self._read(node, "io", "io")
        now, before = self._clock(), node.flow
        if not content and not self._tells_io(node):
            node.read_bytes_s = node.write_bytes_s = nan
            return
        passed_on = {device for device in parse.devices(content) if self._passes_on(device)}
        read_bytes, write_bytes = parse.io(content, unified=self._is_unified("io"), passed_on=passed_on)
        node.flow = Flow(now, read_bytes, write_bytes)
        node.read_bytes_s = _rate(read_bytes, before.read_bytes, now - before.at, self._longest_s)
        node.write_bytes_s = _rate(write_bytes, before.write_bytes, now - before.at, self._longest_s)

    def _tells_io(self, node: Node) -> bool:
        """An empty file is one of no I/O; one that is not there says nothing."""
        position = self._where.get("io")
        return position is not None and node.descriptors.get((position, _NAMES["io"][self._unified[position]]), -1) >= 0

    def _passes_on(self, device: bytes) -> bool:
        """Whether a device (md, dm, loop) has others below it, which are told of too."""
        known = self._passed_on.get(device)
        if known is None:
            slaves = f"{self._sys}/dev/block/{device.decode('ascii', 'replace')}/slaves"
            known = device.partition(b":")[0] == _LOOP or (is_there(slaves) and _is_filled(slaves))
            self._passed_on[device] = known
        return known


def use(now: Counts, then: Counts, quota: float, longest_s: float) -> Use:
    """What was used between two moments; nothing is known over more than `longest_s`."""
    step_s = now.at - then.at
    cpu = _rate(now.usage_s, then.usage_s, step_s, longest_s)
    if isnan(quota):
        return Use(cpu)
    periods, throttled = _rate(now.periods, then.periods, step_s, longest_s), _rate(now.throttled, then.throttled, step_s, longest_s)
    # A group at rest has no periods, and was not throttled in any.
    share = min(1.0, throttled / periods) if periods > 0 else 0.0 if periods == 0 else nan
    return Use(cpu, share, _rate(now.throttled_s, then.throttled_s, step_s, longest_s))


def _rate(new: float, old: float, step_s: float, longest_s: float) -> float:
    """Growth a second; NaN over too long a time, and for what ran backwards."""
    return (new - old) / step_s if 0 < step_s <= longest_s and new >= old else nan


def kills_told(proc: str) -> float:
    """Kills of the whole machine (``/proc/vmstat``): while that number stands still, no group has to be asked; NaN where it is not told."""
    return parse.field(read_once(f"{proc}/vmstat"), b"oom_kill")


def _is_filled(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(True for _ in entries)
    except OSError:
        return False
