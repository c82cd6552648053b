"""Processes where there is no /proc (macOS, the BSDs), through psutil: the same rows with what it has."""

import asyncio
from collections.abc import Callable
from math import isnan, nan
from time import monotonic
from typing import Any, Final, TypeVar

import psutil
from msgspec.structs import astuple, replace

from perfconsole.collectors.loop import SLICE_S
from perfconsole.collectors.processes.backend import IO_COLUMNS, Hidden, Want
from perfconsole.collectors.processes.control import refuse_signal, signal_name
from perfconsole.core.errors import RequestError
from perfconsole.core.ports import Slot
from perfconsole.core.redact import redact_command
from perfconsole.core.requests import Done, OpenFile, ProcessDetail, ProcessId, ReniceArgs, SignalArgs
from perfconsole.core.tables import Key, ProcessRow
from perfconsole.core.text import safe

T = TypeVar("T")

_TICKS: Final = 100
"""Start times are told in hundredths of a second since the epoch here: as good an identity as ticks since boot."""

_LETTERS: Final = {
    psutil.STATUS_RUNNING: "R",
    psutil.STATUS_SLEEPING: "S",
    psutil.STATUS_DISK_SLEEP: "D",
    psutil.STATUS_STOPPED: "T",
    psutil.STATUS_TRACING_STOP: "t",
    psutil.STATUS_ZOMBIE: "Z",
    psutil.STATUS_IDLE: "I",
}

FORGET_S: Final = 10.0
"""As on Linux: after this long without a scan CPU ratios begin anew."""


class _Known:
    """What is held of one process between scans."""

    __slots__ = ("io", "process", "read_at", "row")

    def __init__(self, process: psutil.Process, row: ProcessRow) -> None:
        self.process = process
        self.row = row
        self.read_at = nan
        self.io: tuple[float, float, float] | None = None


class PortableProcesses:
    """The backend on top of psutil.

    Args:
        clock: A clock that does not step, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._known: dict[int, _Known] = {}
        self._listed: list[_Known] = []
        self._carrying: set[Key] = set()
        self._began = nan
        self._began_at = nan

    async def count(self) -> int:
        """How many processes there are."""
        return len(psutil.pids())

    async def scan(self, want: Want, slot: Slot) -> list[ProcessRow]:
        """A row of every process in pid order; the same objects as last time where nothing changed."""
        began = self._clock()
        if began - self._began > FORGET_S:
            self.close()
        listed: list[_Known] = []
        pause_at = began + SLICE_S
        for pid in sorted(psutil.pids()):
            if self._clock() > pause_at:
                await asyncio.sleep(0)
                pause_at = self._clock() + SLICE_S
            known = self._read(pid, slot)
            if known:
                self._put(known, want.columns(known.row.key))
                listed.append(known)
        self._known = {known.row.pid: known for known in listed}
        self._listed, self._began, self._began_at = listed, began, slot.at
        return [known.row for known in listed]

    async def look(self, want: Want) -> list[ProcessRow]:
        """The rows of the last scan, the expensive columns read of those that are newly on the screen; empty before the first scan."""
        for key in want.shown:
            known = self._find(key)
            if known and key not in self._carrying:
                self._put(known, want.columns(key))
        return [known.row for known in self._listed]

    def disk_io(self, key: Key) -> tuple[float, float]:
        """Storage bytes a process has read and written since it started; NaN when unknown."""
        known = self._find(key)
        return _disk_io(known.process) if known else (nan, nan)

    def hidden(self) -> Hidden | None:
        """Nothing is known to be hidden."""
        return None

    def close(self) -> None:
        """Forget everything; the next scan is a first one."""
        self._known, self._listed, self._began, self._began_at = {}, [], nan, nan

    # One process ------------------------------------------------------------------------------------------------------------------

    def _find(self, key: Key) -> _Known | None:
        known = self._known.get(key[0])
        return known if known and known.row.key == key else None

    def _read(self, pid: int, slot: Slot) -> _Known | None:
        try:
            known = self._known.get(pid)
            if known is None or not known.process.is_running():  # it compares the start time: the pid may be another's
                process = psutil.Process(pid)
                known = _Known(process, _identified(process))
            return self._measured(known, slot)
        except (psutil.Error, OSError):
            return None  # it has gone, or may not be seen

    def _measured(self, known: _Known, slot: Slot) -> _Known:
        process, row, now = known.process, known.row, self._clock()
        with process.oneshot():
            times = _or(process.cpu_times, None)
            cpu_s = times.user + times.system if times else nan
            memory = _or(process.memory_info, None)
            state = _LETTERS.get(process.status(), "S")
            new = ProcessRow(
                row.pid, row.start, process.ppid() or 0, safe(process.name(), 64), row.user, state, self._ratio(known, cpu_s, now, slot),
                cpu_s, float(memory.rss) if memory else nan, _or(process.num_threads, 0), _or(process.nice, 0), row.started, "",
                row.command, False, row.read_bytes_s, row.write_bytes_s, row.pss_bytes, row.fds,
            )  # fmt: skip
        known.read_at = now
        if not _same(new, row):
            known.row = new
        return known

    def _ratio(self, known: _Known, cpu_s: float, now: float, slot: Slot) -> float:
        """CPU used of the interval; of a process that began in it, of its life."""
        elapsed = now - known.read_at
        if elapsed > 0:
            return max(0.0, (cpu_s - known.row.cpu_s) / elapsed) if not isnan(cpu_s) else nan
        age = slot.at - known.row.started
        return cpu_s / max(age, 1 / _TICKS) if known.row.started >= self._began_at else nan

    def _put(self, known: _Known, columns: frozenset[str]) -> None:
        key = known.row.key
        if not columns and key not in self._carrying:
            return
        read_s = write_s = nan
        if columns & IO_COLUMNS:
            now, done = self._clock(), _disk_io(known.process)
            before, known.io = known.io, (now, *done)
            if before and now > before[0]:
                read_s, write_s = ((done[i] - before[i + 1]) / (now - before[0]) for i in (0, 1))
        fds = float(_or(known.process.num_fds, nan)) if "fds" in columns else nan
        size = float(getattr(_or(known.process.memory_full_info, None), "pss", nan)) if "pss_bytes" in columns else nan
        new = replace(known.row, read_bytes_s=read_s, write_bytes_s=write_s, pss_bytes=size, fds=fds)
        known.row = known.row if _same(new, known.row) else new
        (self._carrying.add if columns else self._carrying.discard)(key)

    # On request -------------------------------------------------------------------------------------------------------------------

    async def detail(self, args: ProcessId) -> ProcessDetail:
        """What psutil tells of one process."""
        process = _identify(args.pid, args.start)
        denied: list[str] = []
        none: list[OpenFile] = []
        files = _told("open files", lambda: _open_files(process), none, denied) + _told("sockets", lambda: _sockets(process), none, denied)
        memory = _told("memory", process.memory_info, None, denied)
        facts = [
            ("executable", safe(_told("executable", process.exe, "", denied))),
            ("working directory", safe(_told("working directory", process.cwd, "", denied))),
            ("threads", str(_told("threads", process.num_threads, 0, denied) or "")),
        ]
        sizes = [(name, float(value)) for name, value in memory._asdict().items() if name in ("rss", "vms")] if memory else []
        return ProcessDetail(files, [], sizes, [fact for fact in facts if fact[1]], denied)

    async def signal(self, args: SignalArgs) -> Done:
        """Send a signal to exactly this process: psutil compares the start time once more before it does."""
        refuse_signal(args.pid, args.signal)
        process = _identify(args.pid, args.start)
        name = _act(process, lambda: process.send_signal(args.signal))
        return Done(f"sent {signal_name(args.signal)} to {args.pid} ({name})")

    async def renice(self, args: ReniceArgs) -> Done:
        """Set the nice value of exactly this process."""
        process = _identify(args.pid, args.start)
        name = _act(process, lambda: process.nice(args.nice))
        return Done(f"nice {args.nice} for {args.pid} ({name})")


def _identified(process: psutil.Process) -> ProcessRow:
    started = process.create_time()
    name = safe(process.name(), 64)
    none: list[str] = []
    arguments = _or(process.cmdline, none)
    command = safe(redact_command(arguments)) if any(arguments) else f"[{name}]"
    user = safe(_or(process.username, ""), 64)
    return ProcessRow(process.pid, _start(started), 0, name, user, "", nan, nan, nan, 0, 0, started, command=command)


def _start(created: float) -> int:
    return round(created * _TICKS)


def _or(getter: Callable[[], T], otherwise: T) -> T:
    """What may be known, else `otherwise`; that the process has gone is for the caller."""
    try:
        return getter()
    except (psutil.AccessDenied, psutil.ZombieProcess, NotImplementedError, AttributeError):
        return otherwise


def _disk_io(process: psutil.Process) -> tuple[float, float]:
    try:
        counters = process.io_counters()
    except (psutil.Error, OSError, AttributeError):  # macOS has none
        return nan, nan
    return float(counters.read_bytes), float(counters.write_bytes)


def _same(new: ProcessRow, old: ProcessRow) -> bool:
    """Whether two rows say the same, unknown being equal to unknown."""
    return all(a == b or (a != a and b != b) for a, b in zip(astuple(new), astuple(old), strict=True))  # noqa: PLR0124 - NaN


def _identify(pid: int, start: int) -> psutil.Process:
    """The process with this pid and start time.

    Raises:
        RequestError: When it has ended, or its pid is another's now.
    """
    try:
        process = psutil.Process(pid)
        same = _start(process.create_time()) == start
    except psutil.NoSuchProcess:
        raise RequestError(f"process {pid} has ended") from None
    except psutil.AccessDenied:
        raise RequestError(f"process {pid} may not be looked at", "run as its owner or as root") from None
    if not same:
        raise RequestError(f"process {pid} has ended; its pid belongs to another process now", "nothing was done")
    return process


def _act(process: psutil.Process, action: Callable[[], object]) -> str:
    """Do it, and return the name of the process it was done to.

    Raises:
        RequestError: When it is gone, or not allowed.
    """
    try:
        name = safe(process.name(), 64)
        action()
    except psutil.NoSuchProcess:
        raise RequestError(f"process {process.pid} has ended") from None
    except (psutil.AccessDenied, PermissionError):
        user = safe(_or(process.username, "another user"), 64)
        raise RequestError(f"not allowed: process {process.pid} belongs to {user}", "run as that user or as root") from None
    return name


def _told(what: str, getter: Callable[[], T], otherwise: T, denied: list[str]) -> T:
    """What may be known; `otherwise`, and a reason, when it may not."""
    try:
        return getter()
    except psutil.AccessDenied:
        denied.append(f"{what}: not allowed; run as the process's owner or as root")
    except psutil.NoSuchProcess as error:
        raise RequestError(f"process {error.pid} has ended") from None
    except (OSError, NotImplementedError, AttributeError):
        denied.append(f"{what}: not available on this system")
    return otherwise


def _open_files(process: psutil.Process) -> list[OpenFile]:
    return [OpenFile(file.fd, "file", safe(file.path)) for file in process.open_files()]


def _sockets(process: psutil.Process) -> list[OpenFile]:
    return [OpenFile(link.fd, "socket", safe(_words(link))) for link in process.net_connections("all")]


def _words(link: Any) -> str:
    local, remote = (f"{end[0]}:{end[1]}" if isinstance(end, tuple) and end else str(end or "") for end in (link.laddr, link.raddr))
    state = "" if link.status == psutil.CONN_NONE else link.status.lower().replace("_", " ")
    return " ".join(part for part in (local, f"-> {remote}" if remote else "", state) if part)
