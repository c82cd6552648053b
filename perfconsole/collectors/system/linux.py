"""The system collector of Linux: its parts read in turn, their values laid end to end. What each measures is in its own file."""

from collections.abc import Sequence
from errno import EACCES, ENOENT, EOPNOTSUPP, EPERM
from math import nan
from typing import TYPE_CHECKING, Final

from perfconsole.collectors.loop import ask
from perfconsole.collectors.system.cpu import Cpu
from perfconsole.collectors.system.disks import Disks
from perfconsole.collectors.system.files import Files
from perfconsole.collectors.system.kernel import Kernel
from perfconsole.collectors.system.limits import Limits
from perfconsole.collectors.system.memory import Memory, Paging
from perfconsole.collectors.system.networks import Networks
from perfconsole.collectors.system.packets import Conntrack, Softnet
from perfconsole.collectors.system.parts import Part
from perfconsole.collectors.system.pressure import Pressure
from perfconsole.collectors.system.tcp import Netstat, Sockstat, Tcp
from perfconsole.core.globs import Globs
from perfconsole.core.ports import Measured, Operation, Result, Slot
from perfconsole.core.requests import SYSTEM_DETAIL, Nothing, SystemDetail
from perfconsole.core.series import GAP
from perfconsole.core.tables import Table, View
from perfconsole.core.tick import Health, SeriesDef

if TYPE_CHECKING:
    from perfconsole.collectors.system.detail import DetailReader

EVERYTHING: Final = Globs()
HOST: Final = "host"


class SystemCollector:
    """CPU, pressure, memory, paging, disks, networks, TCP and its queues, load, open files, uptime, and the limits that bind.

    A file that cannot be read costs its own metrics (NaN) and is told once, as the health of that file.

    Args:
        interval_s: Seconds between runs.
        proc: Where procfs is.
        sys: Where sysfs is.
        disks: Devices that are looked at.
        networks: Interfaces that are looked at.
    """

    name = "system"
    first_after_s = 0.0
    targets: Sequence[str] = (HOST,)

    def __init__(
        self,
        interval_s: float = 2.0,
        *,
        proc: str = "/proc",
        sys: str = "/sys",
        disks: Globs = EVERYTHING,
        networks: Globs = EVERYTHING,
    ) -> None:
        self.interval_s = interval_s
        self._files = files = Files()
        self._limits = limits = Limits(proc, sys)
        self._parts: tuple[Part, ...] = (
            Cpu(files, proc, limits),
            Kernel(files, proc),
            Pressure(files, proc, limits),
            Memory(files, proc, limits),
            Paging(files, proc),
            Disks(files, proc, sys, disks),
            Networks(files, proc, sys, networks),
            Tcp(files, proc),
            Netstat(files, proc),
            Sockstat(files, proc),
            Softnet(files, proc),
            Conntrack(files, proc),
        )
        self._pieces: tuple[tuple[SeriesDef, ...], ...] = ()
        self._series: tuple[SeriesDef, ...] = ()
        self._told: dict[str, str] = {}
        self._boot = nan
        self._places = (proc, sys)
        self._detail: DetailReader | None = None
        self.operations: Sequence[Operation] = (Operation(SYSTEM_DETAIL, self._read_detail),)

    async def run(self, target: str, slot: Slot, views: Sequence[View]) -> Result:
        """See `Collector`."""
        del views
        step_s = slot.boot - self._boot
        self._boot = slot.boot
        # After a gap (suspend, a stopped process) no interval can be told: the clock ran on where the counters may not have.
        if not 0 < step_s <= (GAP + 0.5) * self.interval_s:
            step_s = nan
        self._files.forget_failures()
        self._limits.refresh(slot.boot)
        values: list[float] = []
        troubles: dict[str, tuple[str, str, str]] = {}
        for part in self._parts:
            values += _read(part, step_s, troubles)
        for path, error in self._files.failed.items():
            # A kernel without PSI lacks three files, which is one thing to tell.
            subject = path.rpartition("/")[0] if "/pressure/" in path else path
            troubles[subject] = _trouble(subject, error)
        pieces = tuple(part.series for part in self._parts)
        if len(pieces) != len(self._pieces) or any(new is not old for new, old in zip(pieces, self._pieces, strict=True)):
            self._pieces = pieces
            self._series = tuple(definition for piece in pieces for definition in piece)
        return Result(measured=[Measured(target, self._series, values)], health=self._changes(troubles, slot.at))

    async def look(self, views: Sequence[View]) -> Sequence[Table]:
        """Nothing here is a table."""
        del views
        return ()

    def close(self) -> None:
        """See `Collector`."""
        self._files.close()

    async def _read_detail(self, args: Nothing) -> SystemDetail:
        """Everything that is read on demand."""
        del args
        if self._detail is None:
            self._detail = await ask(lambda: _detail_reader(*self._places), "system-detail")
        return await self._detail.read()

    def _changes(self, troubles: dict[str, tuple[str, str, str]], at: float) -> list[Health]:
        """What broke and what works again since the last run."""
        out = [
            Health(self.name, subject, state, at, nan, error=error, fix=fix)
            for subject, (state, error, fix) in troubles.items()
            if self._told.get(subject) != error
        ]
        out += [Health(self.name, subject, "ok", at, at) for subject in self._told if subject not in troubles]
        self._told = {subject: error for subject, (_, error, _) in troubles.items()}
        return out


def _detail_reader(proc: str, sys: str) -> "DetailReader":
    """In a thread: the import takes longer than the loop may be held."""
    from perfconsole.collectors.system.detail import DetailReader  # noqa: PLC0415  first used when somebody asks

    return DetailReader(proc, sys)


def _read(part: Part, step_s: float, troubles: dict[str, tuple[str, str, str]]) -> list[float]:
    """A part's values; unknown, and a trouble, when what it read makes no sense."""
    try:
        return part.read(step_s)
    except (ValueError, IndexError) as error:
        # Seen with lxcfs and gVisor, which imitate these files: one that differs must not take the others along.
        subject = type(part).__name__.lower()
        troubles[subject] = ("error", f"{subject}: a kernel file does not read as proc(5) says: {error}", "")
        return [nan] * len(part.series)


def _trouble(path: str, error: OSError) -> tuple[str, str, str]:
    """State, error and fix for a file that cannot be read."""
    if path.endswith("/pressure") and error.errno in (ENOENT, EOPNOTSUPP):
        return "off", f"{path}: this kernel keeps no pressure statistics", "boot with psi=1 (kernel 4.20 or later, CONFIG_PSI)"
    if error.errno in (EACCES, EPERM):
        return "denied", f"{path}: {error.strerror}", f"let this user read {path}, or run perfconsole as one who may"
    return "error", f"{path}: {error.strerror}", ""
