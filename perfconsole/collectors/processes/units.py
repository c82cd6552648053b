"""/proc/PID/cgroup to the systemd unit or container a process belongs to (cgroups(7), systemd.unit(5)). Parsing only."""

import re
from typing import Final

_SHORT: Final = 12
"""Digits of a container's id that its tools show."""

_ID: Final = r"([0-9a-f]{12})[0-9a-f]{0,52}"

_CONTAINERS: Final = (
    ("docker", re.compile(rf"docker-{_ID}\.scope")),
    ("podman", re.compile(rf"libpod-(?:conmon-)?{_ID}(?:\.scope)?")),
    ("crio", re.compile(rf"crio-(?:conmon-)?{_ID}(?:\.scope)?")),
    ("containerd", re.compile(rf"(?:cri-containerd|nerdctl)-{_ID}(?:\.scope)?")),
    ("lxc", re.compile(r"lxc\.(?:payload|monitor)\.(.+)")),
)
_BARE_ID: Final = re.compile(r"([0-9a-f]{12})[0-9a-f]{52}")
_PARENTS: Final = {"docker": "docker", "libpod_parent": "podman", "lxc": "lxc", "lxc.payload": "lxc"}
_UNITS: Final = (".service", ".scope", ".slice")
_ESCAPE: Final = re.compile(rb"\\x([0-9a-fA-F]{2})")


def unit_of(cgroup: str) -> str:
    """The unit or container of a process.

    Args:
        cgroup: The content of /proc/PID/cgroup: ``0::PATH`` (v2), ``N:CONTROLLERS:PATH`` (v1), or both.

    Returns:
        ``nginx.service``, ``docker:1a2b3c4d5e6f``, ``pod:1a2b3c4d5e6f`` (the container's id, as crictl shows it), ``lxc:web``; another
        group's path as it is; empty for the root and for what cannot be read.
    """
    path = _path(cgroup)
    return _container(path) or unescaped(_systemd(path)) or path.strip("/")


def unescaped(unit: str) -> str:
    r"""A unit's name as its maker thought of it: ``serial\x2dgetty`` is ``serial-getty`` (systemd.unit(5), systemd-escape(1))."""
    if "\\x" not in unit:
        return unit
    raw = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), unit.encode("utf-8", "surrogatepass"))
    return raw.decode("utf-8", "replace")


def _path(cgroup: str) -> str:
    """The path that says most: that of v2, of systemd's own hierarchy, then of any; the root says nothing."""
    best, rank = "", 3
    for line in cgroup.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        path = path.removesuffix(" (deleted)")
        if not path.strip("/."):
            continue
        this = 0 if number == "0" else 1 if controllers == "name=systemd" else 2
        if this < rank:
            best, rank = path, this
    return best


def _container(path: str) -> str:
    """The innermost container; it wins over the units that run inside it."""
    parts = path.split("/")
    for i in range(len(parts) - 1, -1, -1):
        found = container_of(parts[i], parts[i - 1] if i else "")
        if found:
            kind, name = found
            return f"pod:{name}" if "kubepods" in path and kind != "lxc" else f"{kind}:{name}"
    return ""


def container_of(part: str, parent: str) -> tuple[str, str] | None:
    """Engine and short name of the container that a cgroup is, by its own name and that of the group above; None for any other."""
    for kind, pattern in _CONTAINERS:
        found = pattern.fullmatch(part)
        if found:
            return kind, found[1]
    bare = _BARE_ID.fullmatch(part)
    if bare:
        return _PARENTS.get(parent, "container"), bare[1]
    if parent in ("lxc", "lxc.payload") and part:
        return "lxc", part
    return None


def _systemd(path: str) -> str:
    """The innermost service or scope, else the innermost slice."""
    parts = [part for part in path.split("/") if part.endswith(_UNITS)]
    return next((part for part in reversed(parts) if not part.endswith(".slice")), parts[-1] if parts else "")
