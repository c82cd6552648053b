"""What processes run: from where none should (/tmp, /dev/shm, memory), deleted files, and as root without being root's.

As root all processes are seen, else one's own; how many are not is counted. A process is looked at when it is new, and a tenth of those
that are known at each look, so that a file that was replaced under a process is noticed within ten.
"""

import os
import time
from asyncio import wait
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from perfconsole.collectors.access.findings import Finding, listed
from perfconsole.collectors.logins.folds import Folds
from perfconsole.collectors.loop import ask, paced
from perfconsole.core.text import safe

_TURNS: Final = 10
_KERNEL_THREAD: Final = 0x00200000
"""PF_KTHREAD of include/linux/sched.h, in the flags of /proc/PID/stat."""

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_DELETED: Final = " (deleted)"
_WAIT_S: Final = 1.0
_TOLD_S: Final = 600.0

_SETUID: Final = frozenset({
    "sudo", "sudo-rs", "su", "su-rs", "doas", "pkexec", "passwd", "chsh", "chfn", "chage", "gpasswd", "newgrp", "sg", "expiry", "mount",
    "umount", "mount.nfs", "mount.cifs", "mount.ecryptfs_private", "fusermount", "fusermount3", "ntfs-3g", "ping", "ping6",
    "traceroute", "traceroute6", "mtr-packet", "crontab", "at", "ssh-keysign", "unix_chkpwd", "unix2_chkpwd",
    "dbus-daemon-launch-helper", "polkit-agent-helper-1", "newuidmap", "newgidmap", "Xorg", "Xorg.wrap", "snap-confine",
    "chrome-sandbox", "bwrap", "screen", "tmux", "pppd", "exim4", "sendmail", "procmail", "suexec", "staprun", "starter-suid",
    "userhelper", "usernetctl", "nvidia-modprobe", "qemu-bridge-helper", "lxc-user-nic", "firejail", "slock", "fping", "arping",
    "spice-client-glib-usb-acl-helper", "pam_timestamp_check", "grub2-set-bootflag", "cockpit-session", "vmware-user-suid-wrapper",
    "VBoxHeadless", "VirtualBoxVM", "ssh-agent", "utempter",
})  # fmt: skip
"""Programs that are usually set-user-ID root, as Debian, Fedora, SUSE and Arch ship them."""

_SYSTEM: Final = ("/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/opt/", "/snap/", "/nix/store/", "/run/wrappers/", "/gnu/store/")
_OWN_MEMORY: Final = ("/memfd:runc_cloned:", "/memfd:crun")
"""Container runtimes run from memory, so that no container can write to them (CVE-2019-5736)."""


class _Known(NamedTuple):
    """A process that was looked at.

    Attributes:
        start: In clock ticks since boot.
        verdict: What is odd about it (`_WORDS`), ``""`` for nothing, ``unseen`` where that may not be known.
    """

    start: int
    verdict: str
    name: str = ""


class _Seen(NamedTuple):
    """What there is to know of one process."""

    pid: int
    start: int
    name: str
    exe: str
    uid: int
    effective: int


_WORDS: Final = {
    "memory": ("runs from memory that no file belongs to", "warning"),
    "shared": ("runs from /dev/shm", "warning"),
    "temporary": ("runs from a directory for temporary files", "info"),
    "deleted": ("runs an executable that was deleted", "info"),
    "setuid": ("runs as root for", "warning"),
}
_ALARMING: Final = frozenset({"memory", "shared"})
"""What is told even if it was there before us."""


def suspicion(exe: str, *, is_open: bool) -> str:
    """How severe it is that a program which runs from there listens, too, to others or to this machine alone; empty for nothing."""
    place = _place(exe)
    if place == "temporary" and not is_open:
        return "info"  # what a compiler's tests do, and programs that unpack themselves
    return "warning" if place else ""


class Executables:
    """What is odd about what runs.

    Args:
        proc: Where procfs is.
    """

    def __init__(self, proc: str) -> None:
        self._proc = proc
        self._known: dict[int, _Known] = {}
        self._turn = 0
        self._begun = False
        self._folds: Folds[tuple[str, str]] = Folds()
        self._replaced: frozenset[str] = frozenset()
        self._replaced_at = -_TOLD_S
        self.total = self.unseen = 0
        """Processes there are, kernel threads left out, and those of them whose executable may not be seen."""
        self.hidden = False
        """Whether not even all processes are listed: there always is one with the number 1."""

    async def look(self, before: float, at: float, users: dict[int, str]) -> list[Finding]:
        """What is odd since `before` (epoch seconds), with the names of users by uid."""
        pids = [int(name) for name in _names(self._proc) if name.isdigit()]
        self._turn = (self._turn + 1) % _TURNS
        seen: list[_Seen] = []
        known: dict[int, _Known] = {}
        async for pid in paced(pids, time.perf_counter):
            old = self._known.get(pid)
            if old is not None and pid % _TURNS != self._turn:
                known[pid] = old
            elif looked := self._examine(pid):
                seen.append(looked)
        deleted, replaced = await self._deleted(seen)
        findings: list[Finding] = []
        async for process in paced(seen, time.perf_counter):
            verdict = _verdict(process, deleted, replaced)
            new = _Known(process.start, verdict, process.name if verdict == "replaced" else "")
            old = self._known.get(process.pid)
            known[process.pid] = new
            if new.verdict in _WORDS and not (old and (old.start, old.verdict) == (new.start, new.verdict)):
                # What was looked at before has changed since; what is new can have done it from its start on.
                since = self._booted(at) + process.start / _TICKS_PER_S if old is None else at - _TURNS * (at - before)
                findings += self._tell(process, new.verdict, since, at, users)
        self._known = known
        self.hidden = 1 not in known
        self.total = sum(process.verdict != "kernel" for process in known.values())
        self.unseen = sum(process.verdict == "unseen" for process in known.values())
        findings += self._tell_replaced(before, at)
        for fold in self._folds.due(at):
            text, severity = fold.what
            findings.append(Finding("executable", f"{text}: {fold.times:,} more so", severity, fold.first, fold.last, self._proc))
        self._begun = True
        return findings

    def _booted(self, at: float) -> float:
        """When the machine was booted, epoch seconds: process starts are counted from there."""
        fields = _read(f"{self._proc}/uptime").split()
        return at - float(fields[0]) if fields else 0.0

    def _examine(self, pid: int) -> _Seen | None:
        """None for one that has ended."""
        base = f"{self._proc}/{pid}"
        head, _, tail = _read(f"{base}/stat").rpartition(b")")
        fields = tail.split()
        if len(fields) < 20:
            return None
        name = safe(head.partition(b"(")[2], 32)
        start = int(fields[19])
        if int(fields[6]) & _KERNEL_THREAD:
            return _Seen(pid, start, name, "kernel", 0, 0)
        try:
            effective = os.stat(base).st_uid  # noqa: PTH116  thousands of them
        except OSError:
            return None
        real, effective = self._uids(base) if effective == 0 else (effective, effective)
        try:
            exe = os.readlink(f"{base}/exe")  # noqa: PTH115  likewise
        except PermissionError:
            exe = ""
        except OSError:
            return None
        return _Seen(pid, start, name, exe, real, effective)

    def _uids(self, base: str) -> tuple[int, int]:
        """Real and effective: the owner of a process's files is root as well when it may not be dumped."""
        for line in _read(f"{base}/status").split(b"\n"):
            if line.startswith(b"Uid:"):
                fields = line.split()
                return int(fields[1]), int(fields[2])
        return 0, 0

    async def _deleted(self, seen: Iterable[_Seen]) -> tuple[set[int], set[int]]:
        """Processes whose file is gone, and those of them at whose path another one stands: a package was upgraded.

        Asked in a thread: what was deleted may lie on a server that does not answer. Then nothing is said of it.
        """
        doubtful = [process for process in seen if process.exe.endswith(_DELETED) and not process.exe.startswith("/memfd:")]
        if not doubtful:
            return set(), set()
        answer = ask(partial(_sort_deleted, self._proc, doubtful), "executables")
        await wait([answer], timeout=_WAIT_S)
        return answer.result() if answer.done() else (set(), set())

    def _tell(self, process: _Seen, verdict: str, before: float, at: float, users: dict[int, str]) -> list[Finding]:
        if not self._begun and verdict not in _ALARMING:
            return []
        words, severity = _WORDS[verdict]
        user = users.get(process.uid, f"uid {process.uid}")
        exe = safe(process.exe.removesuffix(_DELETED), 200) or process.name
        text = f"{process.name} of {user} {words}: {exe}"
        if verdict == "setuid":
            text = f"{exe} {words} {user}, which it usually does not"
        if verdict == "temporary" and process.effective == 0:
            severity = "warning"
        # A compiler's tests are a new name each: of them is told whose they are.
        key = (verdict, process.uid, "" if verdict == "temporary" else process.name)
        if not self._folds.admit(key, (text, severity), at):
            return []
        return [Finding("executable", f"{text} (pid {process.pid})", severity, min(before, at), at, self._proc)]

    def _tell_replaced(self, before: float, at: float) -> list[Finding]:
        """Programs that run what a package upgrade has replaced: no harm, but they run the old code until they are restarted."""
        running = sorted({process.name for process in self._known.values() if process.verdict == "replaced"})
        names = frozenset(running)
        if not self._begun or names <= self._replaced:
            self._replaced = names
            return []
        if at - self._replaced_at < _TOLD_S:
            return []
        self._replaced, self._replaced_at = names, at
        count = sum(process.verdict == "replaced" for process in self._known.values())
        what = "process runs a replaced executable" if count == 1 else "processes run replaced executables"
        text = f"{count} {what}: restart {listed(running, 8)}"
        return [Finding("executable", text, "", at - _TURNS * (at - before), at, self._proc)]


def _place(exe: str) -> str:
    if exe.startswith("/memfd:"):
        return "" if exe.startswith(_OWN_MEMORY) else "memory"
    if exe.startswith(("/dev/shm/", "/run/shm/")):  # noqa: S108  looked for, not written to
        return "shared"
    return "temporary" if exe.startswith(("/tmp/", "/var/tmp/")) else ""  # noqa: S108  likewise


def _verdict(process: _Seen, deleted: set[int], replaced: set[int]) -> str:
    if process.exe == "kernel":
        return "kernel"
    if process.effective == 0 and process.uid != 0 and not _is_usual(process):
        return "setuid"
    if not process.exe:
        return "unseen"
    if place := _place(process.exe):
        return place
    return "replaced" if process.pid in replaced else "deleted" if process.pid in deleted else ""


def _is_usual(process: _Seen) -> bool:
    """Whether it is one of the programs that are set-user-ID; where only its name may be seen, by that."""
    path = process.exe.removesuffix(_DELETED)
    if not path:
        return process.name in _SETUID or process.name in {name[:15] for name in _SETUID}
    return path.startswith(_SYSTEM) and path.rpartition("/")[2] in _SETUID


def _sort_deleted(proc: str, doubtful: Iterable[_Seen]) -> tuple[set[int], set[int]]:
    deleted, replaced = set(), set()
    for process in doubtful:
        base = Path(proc, str(process.pid))
        try:
            if (base / "exe").stat().st_nlink:
                continue  # it is called so
            deleted.add(process.pid)
            if Path(f"{base}/root{process.exe.removesuffix(_DELETED)}").exists():
                replaced.add(process.pid)
        except (OSError, ValueError):
            continue
    return deleted, replaced


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208  thousands of names, without a Path for each
    except OSError:
        return []


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  the house reads /proc with open
            return file.read(4096)
    except OSError:
        return b""
