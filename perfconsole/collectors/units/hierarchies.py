"""Which cgroup hierarchies there are, where they are mounted, and what of them tells what (cgroups(7), cgroup-v2.rst, cgroup-v1/).

Three layouts: v2 alone; v1 with a hierarchy a controller or two; and v1 with a v2 hierarchy beside it (hybrid), which knows pressure and
the CPU time that was used whether or not it has controllers.
"""

from collections.abc import Mapping
from os import fsdecode
from typing import Final, NamedTuple

from perfconsole.collectors.system import mountinfo
from perfconsole.collectors.system.files import is_there

_V1: Final = {"usage": b"cpuacct", "cpu": b"cpu", "memory": b"memory", "tasks": b"pids", "io": b"blkio"}
"""What is measured, and the controller of v1 that does; where v1 does not have it, v2 does."""


class Hierarchy(NamedTuple):
    """One mounted hierarchy.

    Attributes:
        top: The directory at which it is mounted.
        whole: Whether that is the root of the machine's; else it is that of a container.
    """

    top: str
    unified: bool
    whole: bool


class Layout(NamedTuple):
    """All of them.

    Attributes:
        name: As `UnitTable.layout`.
        where: For what is measured, the position of the hierarchy that tells it; missing where none does.
    """

    name: str
    hierarchies: tuple[Hierarchy, ...]
    where: Mapping[str, int]

    @property
    def contained(self) -> bool:
        """Whether only a container's own subtree is seen."""
        return any(not hierarchy.whole for hierarchy in self.hierarchies)


NOTHING: Final = Layout("", (), {})


def find(mounts: bytes, sys: str) -> Layout:
    """The layout, from the content of ``/proc/self/mountinfo``; `NOTHING` where no cgroup filesystem can be seen.

    Args:
        mounts: That content.
        sys: Where sysfs is, for mounts below ``/sys``.
    """
    lines = b"\n".join(line for line in mounts.splitlines() if b" - cgroup" in line)
    mounted = mountinfo.parse(lines)
    tops: list[Hierarchy] = []
    where: dict[str, int] = {}
    unified = _add(tops, [mount for mount in mounted if mount.type == b"cgroup2"], sys)
    for measured, controller in _V1.items():
        position = _add(tops, [mount for mount in mounted if _holds(mount, controller)], sys)
        position = unified if position is None else position
        if position is not None:
            where[measured] = position
    # Services without a controller of their own are known here alone: systemd of v1 makes a group of each in its named hierarchy.
    _add(tops, [mount for mount in mounted if _holds(mount, b"name=systemd")], sys)
    if unified is not None:
        where["pressure"] = unified
    if not tops:
        return NOTHING
    old = any(not hierarchy.unified for hierarchy in tops)
    return Layout("v2" if not old else "v1" if unified is None else "hybrid", tuple(tops), where)


def _holds(mount: mountinfo.Mount, controller: bytes) -> bool:
    return mount.type == b"cgroup" and controller in mount.super_options.split(b",")


def _add(tops: list[Hierarchy], mounts: list[mountinfo.Mount], sys: str) -> int | None:
    """The position of the hierarchy that shows most: containers' engines leave mounts of parts of it about."""
    for mount in sorted(mounts, key=lambda mount: (len(mount.root), not mount.point.startswith(b"/sys/fs/cgroup"), len(mount.point))):
        point = fsdecode(mount.point)
        top = sys + point[4:] if point.startswith("/sys/") else point
        known = next((i for i, hierarchy in enumerate(tops) if hierarchy.top == top), None)
        if known is not None:
            return known
        if is_there(top):
            unified = mount.type == b"cgroup2"
            tops.append(Hierarchy(top, unified, whole=_is_whole(top, unified=unified)))
            return len(tops) - 1
    return None


def _is_whole(top: str, *, unified: bool) -> bool:
    """The machine's own root lacks what every other group of v2 has, and has what none other of v1 has."""
    return not is_there(f"{top}/cgroup.events") if unified else is_there(f"{top}/release_agent")
