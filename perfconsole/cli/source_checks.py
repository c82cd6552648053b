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
_ROOT_LACKS: Final = "root lacks {0} here: run on the host, or start the container with {0} and --pid=host"
_GRANT: Final = "run as root, or with {0} (of a service: AmbientCapabilities={0})"


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
    from perfconsole.collectors.logins.access import NO_FILE, right

    if trouble is None:
        return Finding(AREA, "logins", "ok", "by the journal")
    there = [path for path in paths if Path(path).is_file()]
    if readable := [path for path in there if os.access(path, os.R_OK)]:
        found = f"by {' and '.join(readable)} alone, which every user of this machine can write to with logger"
        return Finding(AREA, "logins", "limited", found, trouble.fix)
    if there:
        return Finding(AREA, "logins", "limited", f"not seen: neither the journal nor {there[0]} may be read", right(there[0]))
    return Finding(AREA, "logins", "limited", f"not seen: no journal can be read, and there is no {' and no '.join(paths)}", NO_FILE)


def executables(proc: str) -> Finding:
    """Whether one sees what runs the first process, and so that of every user."""
    try:
        Path(proc, "1/exe").readlink()
    except OSError:
        found = "what processes of other users run is not seen: none is told of that runs from /tmp, memory or a deleted file"
        return Finding(AREA, "executables", "limited", found, _right("CAP_SYS_PTRACE"))
    return Finding(AREA, "executables", "ok", "of every process")


def open_files(proc: str) -> Finding:
    """Whether the details of the system can say who holds deleted files, listens, and writes."""
    place = Path(proc, "1/fd")
    try:
        for link in list(place.iterdir())[:1]:
            link.readlink()
    except OSError:
        found = "those of other users are not seen: who holds deleted files or a socket stays unknown in the details of the system"
        return Finding(AREA, "open files", "limited", found, _right("CAP_SYS_PTRACE CAP_DAC_READ_SEARCH"))
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


def _right(names: str) -> str:
    return (_GRANT if os.geteuid() else _ROOT_LACKS).format(names)
