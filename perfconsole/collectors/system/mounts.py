"""Which mounts are filesystems worth a row: real ones, each once. Pure: what is mounted comes in as bytes."""

from collections.abc import Iterable
from os import statvfs_result
from typing import Final, NamedTuple

from perfconsole.collectors.system import mountinfo
from perfconsole.core.globs import Globs

_PSEUDO: Final = frozenset(
    b"""autofs bdev binder binfmt_misc bpf cgroup cgroup2 configfs cpuset debugfs devpts devtmpfs efivarfs fuse.gvfsd-fuse fuse.lxcfs
    fuse.portal fusectl hugetlbfs mqueue none nfsd nsfs proc pstore rootfs rpc_pipefs securityfs selinuxfs smackfs sysfs tracefs""".split()
)
"""They hold no data of anyone's. autofs must not even be asked: that would mount it."""

_IMAGES: Final = frozenset(
    b"""squashfs iso9660 udf erofs cramfs romfs fuse.squashfuse fuse.squashfuse_ll fuse.snapfuse fuse.erofsfuse fuse.fuseiso
    fuse.dwarfs""".split()
)
"""Read-only images are full by nature: a machine with snaps has thirty, all at 100 %."""

_APP_IMAGE: Final = b".AppImage"
"""Programs that mount themselves, each as a type of its own: ``fuse.Name-1.2.AppImage``."""

_MEMORY: Final = frozenset((b"tmpfs", b"ramfs"))
_INJECTED: Final = frozenset((b"/etc/hosts", b"/etc/hostname", b"/etc/resolv.conf", b"/dev/termination-log"))
"""Single files that container runtimes bind from the host's disk."""

_BIG_BYTES: Final = 256 * 2**20


class Filesystem(NamedTuple):
    """A filesystem that is looked at. `in_memory` ones are shown once they are big; `failed` ones the kernel has made read-only."""

    id: bytes
    point: bytes
    source: bytes
    read_only: bool
    failed: bool
    in_memory: bool

    @property
    def key(self) -> tuple[bytes, bytes]:
        """Identity: a later mount at the same place is another one."""
        return self.id, self.point


def from_mountinfo(content: bytes, wanted: Globs) -> list[Filesystem]:
    """The filesystems of ``/proc/self/mountinfo``, by mount point.

    What is mounted over something hides it. Of several mounts of one device (bind mounts, a container's volumes) the one with the shortest
    path stands for all. Where mounts are asked for by name, these and only these are given, whatever they are.
    """
    mounts = mountinfo.parse(content)
    places = {(mount.parent, mount.point) for mount in mounts}
    top = {mount.point: mount for mount in mounts if not _is_covered(mount, places)}
    named, others = [], []
    for mount in top.values():
        name = mount.point.decode("utf-8", "surrogateescape")
        if name not in wanted or mount.type == b"autofs":
            continue
        if wanted.names(name):
            named.append(mount)
        elif _is_real(mount):
            others.append(mount)
    chosen = [*named, *_folded(others)]
    return [
        Filesystem(mount.id, mount.point, mount.source, mount.read_only, mount.failed, mount.type in _MEMORY and mount not in named)
        for mount in sorted(chosen, key=lambda mount: mount.point)
    ]


def is_big(answer: statvfs_result) -> bool:
    """Whether a filesystem in memory is worth a row: it holds much, or is half full (/run full stops a machine)."""
    used = answer.f_blocks - answer.f_bfree
    return used * answer.f_frsize >= _BIG_BYTES or used * 2 >= answer.f_blocks > 0 < used


def _is_covered(mount: mountinfo.Mount, places: set[tuple[bytes, bytes]]) -> bool:
    """Whether another mount on the same parent stands on the way to this one: its path leads elsewhere then."""
    way = mount.point.rpartition(b"/")[0]
    while way:
        if (mount.parent, way) in places:
            return True
        way = way.rpartition(b"/")[0]
    return False


def _is_real(mount: mountinfo.Mount) -> bool:
    if mount.type == b"overlay":
        return mount.point == b"/"  # a container's own root; on the host one of its many layers
    if mount.type in _IMAGES or mount.type.endswith(_APP_IMAGE):
        return False
    return mount.type not in _PSEUDO and mount.point not in _INJECTED


def _folded(mounts: Iterable[mountinfo.Mount]) -> list[mountinfo.Mount]:
    best: dict[bytes, mountinfo.Mount] = {}
    for mount in mounts:
        held = best.get(mount.device)
        if held is None or (len(mount.point), mount.point) < (len(held.point), held.point):
            best[mount.device] = mount
    return list(best.values())
