"""``/proc/self/mountinfo`` (proc(5)), as bytes: mount points are file names and may hold anything but NUL."""

import re
from typing import Final, NamedTuple

_GIVES_UP: Final = frozenset({b"ext2", b"ext3", b"ext4", b"btrfs", b"f2fs", b"vfat", b"exfat", b"jfs", b"nilfs2"})
"""Types that the kernel makes read-only after an error (``errors=remount-ro`` and the like): others are so by nature, or shut down."""

_GAVE_UP: Final = frozenset({b"ro", b"emergency_ro", b"shutdown"})
"""How a filesystem says that it takes nothing any more; ext4 leaves ``rw`` beside the second since Linux 6.15."""

_ESCAPE: Final = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    """One mount.

    Attributes:
        id: Unique among the mounts there are now.
        parent: The mount on which this one stands.
        device: ``major:minor`` of the filesystem, the same for all its bind mounts.
        root: The directory of the filesystem that is mounted.
        options: Of this mount; `super_options` are the filesystem's.
    """

    id: bytes
    parent: bytes
    device: bytes
    root: bytes
    point: bytes
    options: bytes
    type: bytes
    source: bytes
    super_options: bytes

    @property
    def read_only(self) -> bool:
        """Whether this mount, or the whole filesystem (as after an I/O error), refuses writes."""
        return b"ro" in self.options.split(b",") or not _GAVE_UP.isdisjoint(self.super_options.split(b","))

    @property
    def failed(self) -> bool:
        """Whether it was mounted for writing, and the kernel has made it read-only: ``mount -o ro`` says so of the mount, too."""
        said = self.super_options.split(b",")
        remounted = self.type in _GIVES_UP and b"ro" in said and b"ro" not in self.options.split(b",")
        return remounted or b"emergency_ro" in said or b"shutdown" in said


def parse(content: bytes) -> list[Mount]:
    """The mounts in the order in which they were made; a line that does not read as proc(5) says is left out."""
    mounts = []
    for line in content.splitlines():
        head, dash, tail = line.partition(b" - ")
        fields, rest = head.split(b" "), tail.split(b" ")
        if not dash or len(fields) < 6 or len(rest) < 3:
            continue
        identity, parent, device, root, point, options = fields[:6]
        mounts.append(Mount(identity, parent, device, _unescaped(root), _unescaped(point), options, rest[0], _unescaped(rest[1]), rest[2]))
    return mounts


def _unescaped(field: bytes) -> bytes:
    if b"\\" not in field:
        return field
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), field)
