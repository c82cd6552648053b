"""The findings of ``doctor`` about what tells of changes and of access: the journal, logins, programs, units. Asks files, in a few ms."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from perfconsole.cli.checks import Finding

if TYPE_CHECKING:
    from perfconsole.collectors.journal.access import Trouble

AREA: Final = "sources"


def every(*, security: bool = True) -> list[Finding]:
    """All of them; without `security` nobody looks at logins and executables."""
    if not sys.platform.startswith("linux"):
        return []
    from perfconsole.collectors.journal.access import trouble
    from perfconsole.collectors.logins.access import PATHS

    found = trouble("journalctl")
    access = [logins(found, PATHS), executables("/proc")] if security else []
    return [journal(found), *access, units("/proc", "/run"), open_files("/proc")]


def journal(trouble: "Trouble | None") -> Finding:
    """Whether what systemd says of its units is read as it happens."""
    if trouble is None:
        return Finding(AREA, "journal", "ok", "can be read")
    return Finding(AREA, "journal", "limited", f"{trouble.error}: what units do is seen late, their lines are not", trouble.fix)


def logins(trouble: "Trouble | None", paths: Sequence[str]) -> Finding:
    """Whether logins are seen: in the journal, else in a file that anybody may have written to."""
    from perfconsole.collectors.logins.access import right

    if trouble is None:
        return Finding(AREA, "logins", "ok", "by the journal")
    there = [path for path in paths if Path(path).is_file()]
    if readable := [path for path in there if os.access(path, os.R_OK)]:
        found = f"by {' and '.join(readable)} alone, which every user of this machine can write to with logger"
        return Finding(AREA, "logins", "limited", found, trouble.fix)
    if there:
        return Finding(AREA, "logins", "limited", f"not seen: neither the journal nor {there[0]} may be read", right(there[0]))
    found = f"not seen: no journal can be read, and there is no {' and no '.join(paths)}"
    return Finding(AREA, "logins", "limited", found, f"{trouble.fix}; or have rsyslog write {paths[0]}")


def executables(proc: str) -> Finding:
    """Whether one sees what runs the first process, and so that of every user."""
    try:
        Path(proc, "1/exe").readlink()
    except OSError:
        found = f"not seen of {_others()}: what of them runs from /tmp, from memory or a deleted file is not told"
        return Finding(AREA, "executables", "limited", found, _right("SYS_PTRACE"))
    return Finding(AREA, "executables", "ok", "of every process")


def open_files(proc: str) -> Finding:
    """Whether the details of the system can say who holds deleted files, listens, and writes."""
    place = Path(proc, "1/fd")
    try:
        for link in list(place.iterdir())[:1]:
            link.readlink()
    except OSError:
        found = f"not seen of {_others()}: the details of the system cannot say which of them hold deleted files or sockets"
        return Finding(AREA, "open files", "limited", found, _right("SYS_PTRACE", "DAC_READ_SEARCH"))
    return Finding(AREA, "open files", "ok", "of every process")


def units(proc: str, run: str) -> Finding:
    """Whether units and containers are seen, and whether systemd says how they are."""
    try:
        mounts = Path(proc, "self/mountinfo").read_bytes()
    except OSError:
        mounts = b""
    if b" - cgroup" not in mounts:
        found = "neither these nor containers are seen: no cgroup filesystem is mounted here"
        return Finding(AREA, "units", "limited", found, "mount /sys/fs/cgroup (into the container: read-only will do)")
    if not Path(run, "systemd/system").is_dir():
        return Finding(AREA, "units", "ok", "by their control groups; no systemd runs here: none has a state")
    if shutil.which("systemctl") is None:
        found = "by their control groups alone: systemctl was not found, neither failures nor restarts are seen"
        return Finding(AREA, "units", "limited", found, "install systemd's systemctl, or put it in PATH")
    return Finding(AREA, "units", "ok", "by their control groups, and systemd says how they are")


def _others() -> str:
    return "other users' processes" if os.geteuid() else "processes that have rights which root lacks here"


def _right(*capabilities: str) -> str:
    names = [f"CAP_{name}" for name in capabilities]
    if os.geteuid():
        return f"run as root, or with {' and '.join(names)} (a service: AmbientCapabilities={' '.join(names)})"
    return f"run on the host, or start the container with --pid=host {' '.join(f'--cap-add {name}' for name in capabilities)}"
