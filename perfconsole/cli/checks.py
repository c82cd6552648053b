"""The findings of ``doctor``: each looks at one thing that decides what this user can see, and knows its fix."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from perfconsole.config import places
from perfconsole.config.abilities import abilities
from perfconsole.config.load import load
from perfconsole.core.errors import ConfigError
from perfconsole.core.text import safe

_HOST_PID_NAMESPACE: Final = 0xEFFFFFFC
"""The inode of the machine's first pid namespace (PROC_PID_INIT_INO in the kernel's include/linux/proc_ns.h)."""

_LEAST_SIZE: Final = (60, 16)


class Finding(NamedTuple):
    """What one check found; `state` is ok, limited (works, but shows less) or error."""

    area: str
    name: str
    state: str
    found: str
    fix: str = ""


def every(config: str | None) -> list[Finding]:
    """All findings, grouped by area.

    Args:
        config: The file that was asked for with ``--config``.
    """
    sight = [check() for check in (_user, _processes, _namespace, _io, _pressure, _cgroup, _kernel_log)]
    keeping = [_configuration(config), _state_directory(config), _bytecode()]
    return [*sight, *terminal(os.environ), *keeping]


def versions() -> dict[str, str]:
    """Versions of what takes part, read from the packages' metadata: nothing is imported for them."""
    from importlib import metadata

    out = {"python": sys.version.split()[0], "platform": f"{os.uname().sysname} {os.uname().release} {os.uname().machine}"}
    for name in ("perfconsole", "textual", "msgspec", "psutil"):
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            out[name] = "not installed as a package"
    return out


# Sight ----------------------------------------------------------------------------------------------------------------------------


def _sight(name: str, limited: str, fine: str, fix: str) -> Finding:
    """Limited when there is something to say so."""
    return Finding("sight", name, "limited", limited, fix) if limited else Finding("sight", name, "ok", fine)


def _user() -> Finding:
    return _sight("user", "" if os.getuid() == 0 else f"uid {os.getuid()}: signals and nice values only for own processes",
                  "root: every process can be looked into and acted on", "sudo perfconsole, where more is needed")  # fmt: skip


def _processes() -> Finding:
    """``hidepid`` of proc(5): other users' processes are not there at all."""
    options = _proc_options()
    hidden = options.get("hidepid", "0") not in {"0", "off"}
    member = "gid" in options and int(options["gid"]) in {os.getgid(), *os.getgroups()}
    if hidden and os.getuid() and not member:
        group = f"add this user to the group with gid {options['gid']}" if "gid" in options else "mount -o remount,hidepid=0 /proc"
        return _sight("processes", f"only own ones: /proc is mounted with hidepid={options['hidepid']}", "", group + ", or run as root")
    return _sight("processes", "", "of every user", "")


def _proc_options() -> dict[str, str]:
    """The options /proc is mounted with: in proc_pid_mountinfo(5) field 5 is the mount point, those of the superblock come last."""
    options: dict[str, str] = {}
    for line in _read("/proc/self/mountinfo").splitlines():
        fields = line.split(" ")
        if len(fields) > 6 and fields[4] == "/proc":
            options = dict(option.partition("=")[::2] for option in (fields[5] + "," + fields[-1]).split(","))
    return options


def _namespace() -> Finding:
    try:
        inner = Path("/proc/self/ns/pid").stat().st_ino != _HOST_PID_NAMESPACE
    except OSError:
        inner = False
    return _sight("pid namespace", "only the processes of this container" if inner else "", "the machine's own",
                  "start the container with --pid=host to see the machine's")  # fmt: skip


def _io() -> Finding:
    denied = "" if _can_read("/proc/1/io") else "not of other users' processes (/proc/PID/io)"
    fix = "run as root" if os.getuid() else "root lacks CAP_SYS_PTRACE here: start the container with --cap-add SYS_PTRACE"
    return _sight("storage I/O", denied, "of every process", fix)


def _pressure() -> Finding:
    if _can_read("/proc/pressure/cpu"):
        return _sight("pressure (PSI)", "", "cpu, memory, io", "")
    there = Path("/proc/pressure").exists()
    return _sight("pressure (PSI)", "refused by the kernel" if there else "not in this kernel", "",
                  "boot with psi=1" if there else "a kernel from 4.20 on with CONFIG_PSI, booted with psi=1")  # fmt: skip


def _cgroup() -> Finding:
    """cgroups(7): one line ``0::/path`` is version 2, further lines are version 1, both hybrid."""
    lines = _read("/proc/self/cgroup").splitlines()
    unified = any(line.startswith("0::") for line in lines)
    version = ("hybrid" if len(lines) > 1 else "version 2") if unified else "version 1"
    mounted = lines and (_can_read("/sys/fs/cgroup/cgroup.controllers") or Path("/sys/fs/cgroup/memory").is_dir())
    return _sight("cgroup limits", "" if mounted else "not to be seen: limits of a container are not taken into account",
                  version, "mount /sys/fs/cgroup into the container, read-only will do")  # fmt: skip


def _kernel_log() -> Finding:
    restricted = _read("/proc/sys/kernel/dmesg_restrict").strip() == "1"
    denied = "" if _can_read("/dev/kmsg") else ("kernel.dmesg_restrict is 1" if restricted else "/dev/kmsg cannot be opened")
    fix = "give it CAP_SYSLOG (or run it as root), join the group adm or systemd-journal, or sysctl kernel.dmesg_restrict=0 for everybody"
    return _sight("kernel log", denied, "can be read", fix)


# The terminal ---------------------------------------------------------------------------------------------------------------------


def terminal(env: Mapping[str, str]) -> list[Finding]:
    """What the terminal is known to be able to do; nothing is asked of it."""
    return [_tty(), _size(), _colours(env), _characters(env), _between(env)]


def _tty() -> Finding:
    both = all(stream is not None and stream.isatty() for stream in (sys.__stdin__, sys.__stdout__))
    return Finding("terminal", "terminal", "ok", "yes" if both else "no: the console needs one, `perfconsole snapshot` does not")


def _size() -> Finding:
    for stream in (sys.__stdout__, sys.__stdin__, sys.__stderr__):
        try:
            columns, lines = os.get_terminal_size(stream.fileno() if stream else -1)
        except (OSError, ValueError):
            continue
        small = columns < _LEAST_SIZE[0] or lines < _LEAST_SIZE[1]
        return Finding("terminal", "size", "limited" if small else "ok", f"{columns}x{lines}", "60x16 is the least" if small else "")
    return Finding("terminal", "size", "ok", "unknown")


def _colours(env: Mapping[str, str]) -> Finding:
    facts = " ".join(f"{name}={safe(env.get(name, ''), 40) or 'unset'}" for name in ("TERM", "COLORTERM"))
    amount = abilities(env).colours
    if amount == 0:
        return Finding("terminal", "colours", "ok", f"none: NO_COLOR is set ({facts})")
    if amount > 256:
        return Finding("terminal", "colours", "ok", f"true colour ({facts})")
    return Finding("terminal", "colours", "limited", f"{amount} ({facts})", "export COLORTERM=truecolor, if the terminal can do it")


def _characters(env: Mapping[str, str]) -> Finding:
    locale = next((f"{name}={safe(env[name], 40)}" for name in ("LC_ALL", "LC_CTYPE", "LANG") if env.get(name)), "no locale is set")
    if not abilities(env).ascii:
        return Finding("terminal", "characters", "ok", f"all ({locale})")
    fix = "a UTF-8 locale, such as LANG=C.UTF-8, and a terminal that shows it; or [console] ascii = false"
    return Finding("terminal", "characters", "limited", f"ASCII only ({locale})", fix)


def _between(env: Mapping[str, str]) -> Finding:
    names = [word for variable, word in (("TMUX", "tmux"), ("STY", "screen"), ("SSH_CONNECTION", "ssh")) if env.get(variable)]
    if "mosh-server" in _ancestors():
        names.append("mosh")
    return Finding("terminal", "between", "ok", ", ".join(names) or "nothing: a terminal of this machine")


def _ancestors() -> Iterator[str]:
    """Names of the processes above this one (proc_pid_stat(5): the name stands in parentheses, the parent is second after it)."""
    pid = os.getppid()
    while pid > 1:
        name, _, rest = _read(f"/proc/{pid}/stat").partition("(")[2].rpartition(")")
        yield name
        fields = rest.split()
        pid = int(fields[1]) if len(fields) > 1 else 0


# What is kept ---------------------------------------------------------------------------------------------------------------------


def _configuration(config: str | None) -> Finding:
    try:
        loaded = load(config, env=os.environ)
    except ConfigError as error:
        return Finding("files", "configuration", "error", str(error).splitlines()[0], "`perfconsole config check` tells all that is wrong")
    notices = "; ".join(loaded.notices)
    return Finding("files", "configuration", "limited" if notices else "ok", notices or loaded.path or "none: the defaults")


def _state_directory(config: str | None) -> Finding:
    try:
        configured = load(config, env=os.environ).config.history.dir
    except ConfigError:
        configured = ""
    directory = places.state_dir(os.environ, configured)
    existing = next(path for path in (directory, *directory.parents) if _really_there(path))
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return Finding("files", "state directory", "ok", f"{directory}{'' if existing == directory else ' (made when needed)'}")
    return Finding("files", "state directory", "limited", f"{directory} cannot be written: nothing is recorded, and no action can be taken",
                   f'[history] dir = "/a/directory/of/yours", or chown {existing}')  # fmt: skip


def _really_there(path: Path) -> bool:
    try:
        return path.exists() or path == Path("/")
    except OSError:
        return False


def _bytecode() -> Finding:
    """Without compiled files every start compiles Textual anew: 0.7 to 1 s."""
    from importlib.util import cache_from_source, find_spec

    missing = {}
    for name in ("perfconsole", "textual", "rich", "msgspec"):
        spec = find_spec(name)
        if spec and spec.origin and not Path(cache_from_source(spec.origin)).exists():
            missing[name] = str(Path(spec.origin).parent)
    if not missing:
        return Finding("files", "compiled files", "ok", "present")
    found = f"not of {', '.join(missing)}: every start is slower"
    return Finding("files", "compiled files", "limited", found, f"{sys.executable} -m compileall -q {' '.join(missing.values())}")


def _read(path: str) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def _can_read(path: str) -> bool:
    """Whether a first byte comes: some files open and refuse only then. O_NONBLOCK, because /dev/kmsg may have nothing to say."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.read(descriptor, 8192)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
