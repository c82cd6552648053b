"""Acting on a process: signals and nice values, to exactly the one that was meant.

A pid alone is reused. So the start time is compared after a pidfd is open (pidfd_open(2), Linux 5.3): from then on the descriptor means
that process and no other. Where there is none, and for nice values, it is compared immediately before; what is left is microseconds.
"""

import contextlib
import os
import signal as signals
from typing import Final

from perfconsole.collectors.processes.files import read
from perfconsole.collectors.processes.identity import Users
from perfconsole.collectors.processes.process import Stat, parse
from perfconsole.core.errors import RequestError
from perfconsole.core.requests import Done
from perfconsole.core.text import safe

_SIGNALS: Final = range(1, 65)


def identify(proc: str, pid: int, start: int) -> Stat:
    """The process with this pid and start time.

    Raises:
        RequestError: When it has ended, or its pid is another's now.
    """
    try:
        stat = parse(read(f"{proc}/{pid}/stat"))
    except FileNotFoundError:
        raise RequestError(f"process {pid} has ended") from None
    except PermissionError:
        raise RequestError(f"process {pid} may not be looked at", "run as its owner or as root") from None
    except (OSError, ValueError):  # ESRCH: reaped while it was read
        raise RequestError(f"process {pid} has ended") from None
    if stat.start != start:
        raise RequestError(f"process {pid} has ended; its pid belongs to another process now ({safe(stat.comm, 64)})", "nothing was done")
    return stat


def owner(proc: str, pid: int) -> str:
    """The name of a process's user, for messages."""
    try:
        return Users("/etc/passwd").name(os.stat(f"{proc}/{pid}").st_uid)  # noqa: PTH116 - the house reads /proc with os
    except OSError:
        return "another user"


def refuse_signal(pid: int, number: int) -> None:
    """Refuse what is never meant.

    Raises:
        RequestError: For a pid that stands for a group or everything, for init, for this process, for what is no signal.
    """
    if pid < 1:
        raise RequestError(f"refused: {pid} is not a process but a group of them")
    if pid == 1:
        raise RequestError("refused: pid 1 is the system's init, everything hangs on it", "use systemctl or shutdown")
    if pid == os.getpid():
        raise RequestError("refused: that is perfconsole itself", "press q to quit")
    if number not in _SIGNALS:
        raise RequestError(f"refused: {number} is no signal", "1 to 64; kill -l lists them")


def _refuse_other_numbers(proc: str) -> None:
    """Refuse where /proc numbers processes as another pid namespace does (pid_namespaces(7)): kill(2) would reach somebody else.

    So it is after ``unshare --pid`` without a /proc of its own, and in a container that was given the host's.

    Raises:
        RequestError: When it does.
    """
    try:
        own = os.readlink(f"{proc}/self")  # noqa: PTH115 - the house reads /proc with os
    except OSError:
        own = "none"
    if own != str(os.getpid()):
        raise RequestError(f"refused: {proc} shows the pids of another namespace, a signal would reach another process", "run it outside")


def send(proc: str, pid: int, start: int, number: int) -> Done:
    """Send a signal to exactly the process with this pid and start time.

    Raises:
        RequestError: When it is gone, was replaced, has ended already, belongs to somebody else, or is never meant.
    """
    refuse_signal(pid, number)
    _refuse_other_numbers(proc)
    fd = _pidfd(pid)
    try:
        stat = identify(proc, pid, start)
        name = safe(stat.comm, 64)
        if stat.state == "Z":
            raise RequestError(f"process {pid} ({name}) has ended already", f"it is a zombie until its parent {stat.ppid} reaps it")
        try:
            if fd >= 0:
                signals.pidfd_send_signal(fd, number)
            else:
                os.kill(pid, number)
        except ProcessLookupError:
            raise RequestError(f"process {pid} ({name}) has ended") from None
        except PermissionError:
            message = f"not allowed: process {pid} ({name}) belongs to {owner(proc, pid)}"
            raise RequestError(message, "run as that user or as root (CAP_KILL)") from None
    finally:
        if fd >= 0:
            os.close(fd)
    return Done(f"sent {signal_name(number)} to {pid} ({name})")


def renice(proc: str, pid: int, start: int, nice: int) -> Done:
    """Set the nice value of exactly the process with this pid and start time, of all its threads.

    Linux keeps a nice value per thread, and setpriority(2) with a pid changes the first one only: of a JVM that is the one that sleeps.

    Raises:
        RequestError: When it is gone, was replaced, or may not be changed.
    """
    if pid < 1:
        raise RequestError(f"refused: {pid} is not a process but a group of them")
    if not -20 <= nice <= 19:
        raise RequestError(f"refused: {nice} is no nice value", "-20 (most CPU) to 19 (least)")
    _refuse_other_numbers(proc)
    stat = identify(proc, pid, start)
    name = safe(stat.comm, 64)
    try:
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    except ProcessLookupError:
        raise RequestError(f"process {pid} ({name}) has ended") from None
    except PermissionError:
        raise RequestError(*_not_allowed(proc, pid, name, stat.nice, nice)) from None
    for thread in _threads(proc, pid):
        with contextlib.suppress(OSError):  # it ended meanwhile
            os.setpriority(os.PRIO_PROCESS, thread, nice)
    return Done(f"nice {nice} for {pid} ({name}), was {stat.nice}")


def _not_allowed(proc: str, pid: int, name: str, before: int, nice: int) -> tuple[str, str]:
    try:
        mine = os.stat(f"{proc}/{pid}").st_uid == os.geteuid()  # noqa: PTH116 - the house reads /proc with os
    except OSError:
        mine = False
    if mine and nice < before:
        return f"not allowed: only root may lower a nice value ({before} to {nice})", "run as root (CAP_SYS_NICE)"
    return f"not allowed: process {pid} ({name}) belongs to {owner(proc, pid)}", "run as that user or as root (CAP_SYS_NICE)"


def signal_name(number: int) -> str:
    """``SIGTERM`` of 15."""
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _pidfd(pid: int) -> int:
    """A descriptor that means the process that has this pid now; -1 where there is no such thing.

    Raises:
        RequestError: When there is no such process.
    """
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise RequestError(f"process {pid} has ended") from None
    except (AttributeError, OSError):  # not Linux, before 5.3, or forbidden by a sandbox's filter
        return -1


def _threads(proc: str, pid: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"{proc}/{pid}/task")]  # noqa: PTH208 - the house reads /proc with os
    except OSError:
        return []
