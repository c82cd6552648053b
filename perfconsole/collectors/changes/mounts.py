"""Filesystems that were mounted, unmounted or became read-only, without the thousand mounts that container runtimes make.

The kernel says that its table changed (poll(2) on /proc/self/mountinfo: POLLPRI | POLLERR, proc(5)); then it is read. It does not say so
when it has made a filesystem read-only itself, after an error: for that it is read now and then.
"""

import os
import re
import select
from typing import Final

from perfconsole.collectors.system import mountinfo
from perfconsole.core.text import safe
from perfconsole.core.tick import Event

_NOISE: Final = frozenset(
    b"""autofs bdev binder binfmt_misc bpf cgroup cgroup2 configfs cpuset debugfs devpts devtmpfs efivarfs fuse.gvfsd-fuse fuse.lxcfs
    fuse.portal fusectl hugetlbfs mqueue nsfs overlay proc pstore ramfs rootfs rpc_pipefs securityfs selinuxfs smackfs squashfs sysfs
    tracefs""".split()
)
_RUNTIMES: Final = (
    b"/var/lib/docker/", b"/var/lib/containers/", b"/var/lib/containerd/", b"/var/lib/kubelet/", b"/var/lib/lxc/", b"/var/lib/incus/",
    b"/var/lib/lxd/", b"/var/snap/lxd/", b"/var/lib/machines/", b"/run/", b"/var/run/", b"/dev/", b"/proc/", b"/sys/", b"/snap/",
    b"/tmp/systemd-private-", b"/tmp/.mount_",
)  # fmt: skip
_RUNTIME: Final = re.compile(rb"/\.snapshots/|/kubelet/pods/|/(?:docker|containerd|buildkit|k3s|overlay-containers)/|/[0-9a-f]{64}(?:/|$)")
"""Anywhere on the way: where their data is kept can be configured, and distributions of Kubernetes have places of their own."""

_MEDIA: Final = b"/run/media/"
"""What somebody plugged in."""

_UNASKED: Final = 6
"""The table is read at every so many looks, a minute, whatever the kernel says."""

_MOST: Final = 20
_CHUNK: Final = 65_536
_UNSAID: Final = "critical"
"""The severity of what the kernel does not say when it comes about: it may be as old as the last reading."""

_SUBVOLUMES: Final = b"btrfs"


class Mounts:
    """The mounts that are somebody's, compared from look to look."""

    def __init__(self, proc: str = "/proc") -> None:
        """Nothing has been looked at yet."""
        self._path = f"{proc}/self/mountinfo"
        self._descriptor = -1
        self._poll = select.poll()
        self._known: dict[bytes, mountinfo.Mount] | None = None
        self._looked = self._read = 0.0
        self._unread = self._content = 0

    def changed(self) -> bool:
        """Whether to look: the first time, when the kernel says that something changed, and now and then; costs one system call.

        Raises:
            OSError: When the table cannot be opened.
        """
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            self._poll.register(self._descriptor, select.POLLPRI | select.POLLERR)
            return True
        self._unread += 1
        return any(seen & (select.POLLPRI | select.POLLERR) for _, seen in self._poll.poll(0)) or self._unread >= _UNASKED

    def still(self, now: float) -> None:
        """The kernel says that nothing has changed by now (epoch seconds)."""
        self._looked = now

    def look(self, now: float) -> list[Event]:
        """What has changed since the last look; takes 10 ms where there are thousands.

        Raises:
            OSError: When the table cannot be read.
        """
        since, read = min(self._looked, now), min(self._read, now)
        self._looked, self._read, self._unread = now, now, 0
        content = b""
        while more := os.pread(self._descriptor, _CHUNK, len(content)):
            content += more
        before, self._content = self._content, hash(content)
        if self._content == before:
            return []
        mounts = {mount.point: mount for mount in mountinfo.parse(content) if _is_somebodys(mount)}  # the last one at a place covers others
        known, self._known = self._known, mounts
        if known is None:
            return []
        found = [_event(read if said[2] == _UNSAID else since, now, *said) for said in _differences(known, mounts)]
        if len(found) <= _MOST:
            return found
        text = f"{len(found)} mounts changed: {'; '.join(event.text for event in found[:3])} and {len(found) - 3} more"
        return [Event(since, now, "mount", "host", safe(text, 400), self._path)]

    def close(self) -> None:
        """Give back the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _event(since: float, now: float, point: str, text: str, severity: str) -> Event:
    return Event(since, now, "mount", point, text, "/proc/self/mountinfo", severity)


def _is_somebodys(mount: mountinfo.Mount) -> bool:
    """Neither the kernel's own, nor a runtime's, nor another view of what is mounted already (a bind mount)."""
    if mount.type in _NOISE or _is_a_runtimes(mount.point):
        return False
    return mount.root == b"/" or mount.type == _SUBVOLUMES


def _is_a_runtimes(point: bytes) -> bool:
    return not point.startswith(_MEDIA) and (point.startswith(_RUNTIMES) or _RUNTIME.search(point) is not None)


def _differences(before: dict[bytes, mountinfo.Mount], after: dict[bytes, mountinfo.Mount]) -> list[tuple[str, str, str]]:
    """Mount point, words and severity of each difference."""
    found = []
    for point, mount in after.items():
        name, was = safe(point, 200), before.get(point)
        what = f"{safe(mount.type, 40)} from {safe(mount.source, 200)}"
        if was is None:
            mode = ", read-only" if mount.read_only else ""
            found.append((name, f"{name} mounted ({what}{mode})", ""))
        elif (was.device, was.source, was.type) != (mount.device, mount.source, mount.type):
            found.append((name, f"{name} is another filesystem now ({what})", ""))
        elif mount.failed and not was.failed:
            found.append((name, f"{name} was made read-only by the kernel after an error ({what})", _UNSAID))
        elif mount.read_only != was.read_only:
            way, severity = ("read-only", "warning") if mount.read_only else ("for writing", "")
            found.append((name, f"{name} remounted {way} ({what})", severity))
        elif mount.id != was.id:
            found.append((name, f"{name} unmounted and mounted again ({what})", ""))
    for point, mount in before.items():
        if point not in after:
            name = safe(point, 200)
            found.append((name, f"{name} unmounted ({safe(mount.type, 40)} from {safe(mount.source, 200)})", ""))
    return found
