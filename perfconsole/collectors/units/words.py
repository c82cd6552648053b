"""What limits the table of units and what is wrong, in words, each with its fix; and the words of a kill."""

from math import isnan
from typing import Final, Protocol

from perfconsole.collectors.units.branch import MOST
from perfconsole.collectors.units.hierarchies import Layout
from perfconsole.collectors.units.node import Node
from perfconsole.collectors.units.scan import Scan
from perfconsole.core.tick import Event
from perfconsole.core.units import size

_MANY: Final = 5
Trouble = tuple[str, str, str]
"""State, error and fix of a health."""


class Told(Protocol):
    """What is known of systemd."""

    denied: int

    @property
    def trouble(self) -> Trouble | None:
        """Of its health."""


def troubles(layout: Layout, scan: Scan | None, services: Told, *, looked: bool) -> dict[str, Trouble]:
    """By part, what is wrong."""
    found: dict[str, Trouble] = {}
    if looked and not layout.hierarchies:
        found["cgroups"] = ("off", "no cgroup filesystem is mounted: units and containers cannot be seen", _mount_fix())
    if scan is not None and (scan.tree.denied or scan.denied):
        what = ", ".join((scan.tree.denied + sorted(scan.denied))[:_MANY])
        found["cgroups"] = ("denied", f"of the cgroups may not be read: {what}", "run perfconsole as a user who may read them")
    if services.trouble:
        found["systemd"] = services.trouble
    return found


def _mount_fix() -> str:
    return "mount it: mount -t cgroup2 none /sys/fs/cgroup (into a container: docker run -v /sys/fs/cgroup:/sys/fs/cgroup:ro)"


def notes(layout: Layout, scan: Scan | None, services: Told) -> tuple[str, ...]:
    """What limits the table."""
    if not layout.hierarchies:
        return (f"no cgroup filesystem is mounted: units and containers cannot be seen: {_mount_fix()}",)
    found: list[str] = []
    if layout.contained:
        found.append("this is a container: only what is below its own group can be seen; run perfconsole on the host for the rest")
    if scan is not None:
        found += _blanks(layout, scan)
        if scan.tree.cut:
            found.append(f"there are more groups than the {MOST} that are looked at: choose with units in [system]")
        if scan.tree.denied:
            found.append(f"may not be listed: {', '.join(scan.tree.denied[:_MANY])}: run perfconsole as root")
    if services.trouble and services.trouble[0] != "off":
        found.append(services.trouble[1])
    if services.denied:
        found.append(f"executables of {services.denied} services cannot be compared with the disk: run as root or with CAP_SYS_PTRACE")
    return tuple(found)


def _blanks(layout: Layout, scan: Scan) -> list[str]:
    """Columns that no unit has, and why."""
    units = [node for node in scan.nodes if node.depth]
    if not units:
        return []
    found = []
    v1 = layout.name != "v2"
    if all(isnan(node.counts.usage_s) for node in units):
        found.append("CPU use of units is not counted: enable the cpu controller (systemd: DefaultCPUAccounting=yes)")
    if all(isnan(node.memory_bytes) for node in units):
        boot = "; some kernels want cgroup_enable=memory on their command line" if not v1 else ""
        found.append(f"memory of units is not counted: enable the memory controller (systemd: DefaultMemoryAccounting=yes{boot})")
    if scan.shown and all(isnan(value) for node in scan.shown for value in node.pressure):
        found.append("no pressure by unit: it needs a cgroup v2 hierarchy that holds the units (systemd.unified_cgroup_hierarchy=1)")
    if v1 and "io" in layout.where:
        found.append("cgroup v1 does not say whose the written bytes are that went through the page cache: writes are of direct I/O only")
    return found


def killed(node: Node, count: int, before: float, at: float) -> Event:
    """Processes of a unit were killed between two looks."""
    name = node.place.name
    who = "a process" if count == 1 else f"{count} processes"
    inside = ", or of a unit in it that has ended," if node.below else ""
    limit = "" if isnan(node.memory_limit) else f"; its limit is {size(node.memory_limit)}"
    text = f"{who} of {name}{inside} {'was' if count == 1 else 'were'} killed because memory ran out{limit}"
    return Event(before, at, "oom", name, text, "cgroup", "critical")
