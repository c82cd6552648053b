"""Everything that is read of one process on demand: open files, limits, memory, facts. Not its environment: secrets are there."""

import os
from collections.abc import Callable
from math import isnan
from time import gmtime, strftime
from typing import Final, TypeVar

from perfconsole.collectors.processes.control import identify, owner
from perfconsole.collectors.processes.files import boot_wall_time, read, read_all
from perfconsole.collectors.processes.sockets import describe
from perfconsole.core.requests import OpenFile, ProcessDetail
from perfconsole.core.text import safe

FILES: Final = 4096
"""Descriptors listed: more than anybody reads, and 60 ms of work."""

_MEMORY_STATUS: Final = ("VmRSS", "RssAnon", "RssFile", "RssShmem", "VmSwap", "VmPeak", "VmHWM", "VmSize", "VmLck", "HugetlbPages")

T = TypeVar("T")


def read_detail(proc: str, pid: int, start: int) -> ProcessDetail:
    """Read it all; takes milliseconds, or for ever when the process's memory lock is held: meant for a thread.

    Raises:
        RequestError: When the process is gone, or was replaced before this was done.
    """
    identify(proc, pid, start)
    base = f"{proc}/{pid}"
    denied = _Denied(proc, pid)
    detail = ProcessDetail(
        denied.unless("open files", lambda: _files(proc, pid), []),
        denied.unless("limits", lambda: _limits(base), []),
        _memory(base, denied),
        _facts(proc, base, start, denied),
        denied.reasons,
    )
    identify(proc, pid, start)  # else it may be half of one process and half of another
    return detail


class _Denied:
    """Collects what could not be read, in words."""

    def __init__(self, proc: str, pid: int) -> None:
        self._whose = (proc, pid)
        self.reasons: list[str] = []

    def unless(self, what: str, work: Callable[[], T], otherwise: T) -> T:
        """What `work` returns; `otherwise`, and a reason, when it may not."""
        try:
            return work()
        except PermissionError:
            self.reasons.append(f"{what}: the process belongs to {owner(*self._whose)}; needs root or CAP_SYS_PTRACE")
        except OSError as error:
            self.reasons.append(f"{what}: {error.strerror or error}")
        return otherwise


def _files(proc: str, pid: int) -> list[OpenFile]:
    found: list[tuple[int, str]] = []
    folder = f"{proc}/{pid}/fd"
    for name in sorted(map(int, os.listdir(folder)))[:FILES]:  # noqa: PTH208 - the house reads /proc with os
        try:
            found.append((name, os.readlink(f"{folder}/{name}")))  # noqa: PTH115 - likewise
        except FileNotFoundError:
            continue  # closed meanwhile
    inodes = {int(target[8:-1]) for _, target in found if target.startswith("socket:[")}
    sockets = describe(proc, pid, inodes) if inodes else {}
    return [_file(fd, target, sockets) for fd, target in found]


def _file(fd: int, target: str, sockets: dict[int, str]) -> OpenFile:
    """One descriptor, told by its link alone: a stat of what it points to would wait for a dead disk."""
    if target.startswith("socket:["):
        return OpenFile(fd, "socket", sockets.get(int(target[8:-1]), target))
    if target.startswith("pipe:["):
        return OpenFile(fd, "pipe", target)
    if target.startswith("/dev/"):
        return OpenFile(fd, "device", safe(target))
    return OpenFile(fd, "file" if target.startswith("/") and not target.startswith("/memfd:") else "other", safe(target))


def _limits(base: str) -> list[tuple[str, str, str]]:
    """The columns are as wide as proc(5) has them: 26 for the name, 21 for each limit."""
    lines = read_all(f"{base}/limits").decode("ascii", "replace").splitlines()[1:]
    return [
        (safe(line[:26].strip()), safe(line[26:47].strip()), safe(f"{line[47:68].strip()} {line[68:].strip()}".strip())) for line in lines
    ]


def _memory(base: str, denied: _Denied) -> list[tuple[str, float]]:
    status = denied.unless("memory", lambda: read(f"{base}/status", 8192), b"")
    sizes = [(name, size) for name, size in _sizes(status) if name in _MEMORY_STATUS]
    if not sizes:
        return []  # a kernel thread or a zombie: it has no memory
    rollup = denied.unless("proportional memory", lambda: read(f"{base}/smaps_rollup", 8192), b"")
    return _sizes(rollup) + sizes


def _sizes(text: bytes) -> list[tuple[str, float]]:
    """The lines ``Name:  123 kB`` in bytes."""
    found = []
    for line in text.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(":")
        number, _, unit = value.strip().partition(" ")
        if unit == "kB" and number.isdecimal():
            found.append((safe(name), float(number) * 1024))
    return found


def _facts(proc: str, base: str, start: int, denied: _Denied) -> list[tuple[str, str]]:
    status = denied.unless("status", lambda: read(f"{base}/status", 8192), b"").decode("utf-8", "replace")
    fields = dict(line.partition(":")[::2] for line in status.splitlines())
    began = boot_wall_time(proc) + start / os.sysconf("SC_CLK_TCK")
    facts = [
        ("executable", denied.unless("executable", lambda: _link(f"{base}/exe"), "")),
        ("working directory", denied.unless("working directory", lambda: _link(f"{base}/cwd"), "")),
        ("cgroup", denied.unless("cgroup", lambda: _cgroup(base), "")),
        ("started", "" if isnan(began) else strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(began))),
        ("threads", fields.get("Threads", "")),
        ("OOM score", denied.unless("OOM score", lambda: _oom(base), "")),
    ]
    return [(name, safe(text.strip())) for name, text in facts if text.strip()]


def _link(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 - the house reads /proc with os
    except FileNotFoundError:
        return ""  # a kernel thread or a zombie has none


def _cgroup(base: str) -> str:
    """The paths, each once: v1 repeats the same one for every controller."""
    lines = read_all(f"{base}/cgroup").decode("utf-8", "replace").splitlines()
    return " ".join(dict.fromkeys(line.split(":", 2)[-1] for line in lines))


def _oom(base: str) -> str:
    score, adjusted = (read(f"{base}/{name}").decode("ascii", "replace").strip() for name in ("oom_score", "oom_score_adj"))
    return f"{score} of 2000 (adjusted by {adjusted})"
