"""Whether other users' processes are kept from us: the ``hidepid`` option of the proc mount (proc(5)), or a sandbox."""

from typing import Final

from perfconsole.collectors.processes.backend import Hidden
from perfconsole.collectors.processes.files import read_all

_CAP_SYS_PTRACE: Final = 19
_OFF: Final = frozenset({"", "0", "off"})
_PTRACEABLE: Final = frozenset({"4", "ptraceable"})


def hidden(proc: str, *, init_listed: bool) -> Hidden | None:
    """Why processes are hidden; None when they are not.

    Args:
        proc: Where /proc is mounted.
        init_listed: Whether pid 1 could be read: there always is one.
    """
    options = _mount_options(f"{proc}/self/mountinfo", proc)
    mode, gid = options.get("hidepid", ""), options.get("gid", "")
    if mode in _OFF:
        if init_listed:
            return None
        return Hidden(f"{proc} does not show the processes of other users (a sandbox?)", "run perfconsole outside of it, or as root")
    groups, may_trace = _rights(f"{proc}/self/status")
    if may_trace or (gid in groups and mode not in _PTRACEABLE):
        return None
    if gid not in ("", "0") and mode not in _PTRACEABLE:
        fix = f"add this user to group {gid} (the mount's gid=), or run as root"
    else:
        fix = f"as root: mount -o remount,hidepid=0 {proc}; or run as root"
    return Hidden(f"{proc} is mounted with hidepid={mode}: processes of other users are not shown", fix)


def _mount_options(mountinfo: str, proc: str) -> dict[str, str]:
    """The options of the proc filesystem mounted there: those of the superblock, where hidepid is kept."""
    try:
        lines = read_all(mountinfo).decode("utf-8", "replace").splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        fields = line.split(" ")
        if "-" not in fields or len(fields) < 10 or fields[4] != proc:
            continue
        kind, _, options = fields[fields.index("-") + 1 :][:3]
        if kind == "proc":  # the last one covers those before
            found = dict(option.partition("=")[::2] for option in options.split(","))
    return found


def _rights(status: str) -> tuple[set[str], bool]:
    """Our groups, and whether we hold CAP_SYS_PTRACE; from the effective sets."""
    groups: set[str] = set()
    may_trace = False
    try:
        lines = read_all(status).decode("utf-8", "replace").splitlines()
    except OSError:
        return groups, may_trace
    for line in lines:
        name, _, value = line.partition(":")
        if name in ("Gid", "Groups"):
            groups.update(value.split())
        elif name == "CapEff":
            may_trace = bool(int(value, 16) >> _CAP_SYS_PTRACE & 1)
    return groups, may_trace
