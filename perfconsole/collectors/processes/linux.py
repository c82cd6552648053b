"""Processes of Linux, read from /proc (proc(5)).

Every scan reads one file of every process, through a kept descriptor, and leaves it unparsed when its bytes are those of the last scan:
so of 2,000 processes that sleep, 2,000 rows are the objects they were. The loop is given back every `loop.SLICE_S`.
"""

import asyncio
import errno
import os
import sys
from collections.abc import Callable
from math import isnan, nan
from typing import Final

from msgspec.structs import replace

from perfconsole.collectors.loop import SLICE_S, ask, paced
from perfconsole.collectors.processes import visibility
from perfconsole.collectors.processes.backend import Hidden, Want
from perfconsole.collectors.processes.commands import Commands
from perfconsole.collectors.processes.expensive import ExpensiveColumns, disk_io
from perfconsole.collectors.processes.files import STAT_BYTES, Descriptors, boot_wall_time, read
from perfconsole.collectors.processes.identity import Identity
from perfconsole.collectors.processes.process import Process, Stat, boottime, parse
from perfconsole.core.ports import Slot
from perfconsole.core.requests import Done, ProcessDetail, ProcessId, ReniceArgs, SignalArgs
from perfconsole.core.tables import Key, ProcessRow
from perfconsole.core.text import safe

FORGET_S: Final = 10.0
"""After this long without a scan (nobody looked, the machine slept) a CPU ratio would be a mean over what nobody saw: begin anew."""

YOUNG_S: Final = 2.0
"""A process this young may not have dropped its privileges, called exec or been moved to its cgroup yet: it is identified once more."""

HIDDEN_EVERY_S: Final = 60.0
"""How often the mount's options are read again; a remount is rare."""


class LinuxProcesses:
    """The backend for Linux.

    Args:
        proc: Where /proc is mounted.
        clock: CLOCK_BOOTTIME.
    """

    def __init__(self, proc: str = "/proc", clock: Callable[[], float] = boottime) -> None:
        self._proc = proc
        self._clock = clock
        self._hz = os.sysconf("SC_CLK_TCK")
        self._page_bytes = os.sysconf("SC_PAGESIZE")
        self._identity = Identity(proc)
        self._commands = Commands(self._identity, clock)
        self._expensive = ExpensiveColumns(proc, clock)
        self._descriptors: Descriptors | None = None
        self._processes: dict[int, Process] = {}
        self._listed: list[Process] = []
        self._young: list[Process] = []
        self._began = nan
        self._btime = nan
        self._wall_offset = nan
        self._init_listed = True
        """As of the last scan: after a pause nothing is listed, and nothing hidden for it."""
        self._hidden: Hidden | None = None
        self._hidden_at = nan

    # The scan ---------------------------------------------------------------------------------------------------------------------

    async def count(self) -> int:
        """How many processes there are."""
        await self._forget_old()
        return len(await self._pids())

    async def scan(self, want: Want, slot: Slot) -> list[ProcessRow]:
        """A row of every process in pid order; the same objects as last time where nothing changed."""
        await self._forget_old()
        began = self._clock()
        self._set_clocks(slot)
        pids = await self._pids()
        async for pid in paced(self._processes.keys() - set(pids), self._clock):
            self._drop(pid)
        young, self._young = self._young, []
        self._listed = await self._read_each(pids)
        self._init_listed = 1 in self._processes
        self._began = began
        await self._identify_again(young)
        await self._read_shown(want)
        return [process.row for process in self._listed]

    async def _pids(self) -> list[int]:
        """The pids listed, ascending. By scandir, since listdir holds the loop for 0.4 ms per 1,000 processes at a stretch."""
        pids: list[int] = []
        pause_at = self._clock() + SLICE_S
        with os.scandir(self._proc) as entries:
            for entry in entries:
                name = entry.name
                if name.isdecimal():
                    pids.append(int(name))
                    if not len(pids) & 127 and self._clock() > pause_at:
                        await asyncio.sleep(0)
                        pause_at = self._clock() + SLICE_S
        pids.sort()
        await asyncio.sleep(0)
        return pids

    async def _read_each(self, pids: list[int]) -> list[Process]:
        """The hot loop: what it does beside the read takes 0.5 us a process."""
        processes, clock, pread = self._processes, self._clock, os.pread
        alive: list[Process] = []
        pause_at = clock() + SLICE_S
        for pid in pids:
            now = clock()
            if now > pause_at:
                await asyncio.sleep(0)
                now = clock()
                pause_at = now + SLICE_S
            process = processes.get(pid)
            if process is None:
                process = self._admit(pid, now)
            else:
                try:
                    data = pread(process.fd, STAT_BYTES, 0) if process.fd >= 0 else self._read(pid)
                except OSError:  # it is gone; and as the pid is listed, perhaps another's already
                    self._drop(pid)
                    process = self._admit(pid, now)
                else:
                    if data != process.data:
                        process = self._follow(process, data, now)
                    else:
                        process.read_at = now
                        if process.row.cpu != 0.0:
                            process.row = replace(process.row, cpu=0.0)
            if process is not None:
                alive.append(process)
        return alive

    def _follow(self, process: Process, data: bytes, now: float) -> Process | None:
        """Take up what changed of a process, or the other one that has its pid now."""
        try:
            stat = parse(data)
        except ValueError:
            self._drop(process.pid)
            return None
        before, row, elapsed_s = process.stat, process.row, now - process.read_at
        if stat.start != before.start:
            self._drop(process.pid)
            return self._admit(process.pid, now)
        cpu = max(0, stat.ticks - before.ticks) / self._hz / elapsed_s if elapsed_s > 0 else nan
        process.data, process.stat, process.read_at = data, stat, now
        if stat.comm != before.comm:  # exec, or it renamed itself
            row = self._identified(replace(row, name=_name(stat)), process)
        if stat != before or cpu != row.cpu:
            row = self._measured(row, stat, cpu)
        process.row = row
        return process

    def _admit(self, pid: int, now: float) -> Process | None:
        """Take up a process that was not known; None when it has gone, or may not be read."""
        fd = -1
        try:
            fd = self._keep(f"{self._proc}/{pid}/stat")
            data = os.pread(fd, STAT_BYTES, 0) if fd >= 0 else self._read(pid)
            stat = parse(data)
        except (OSError, ValueError):
            self._release(fd)
            return None
        born = stat.start / self._hz
        tick_s = 1 / self._hz
        # Unknown, unless it began after the last scan did: then all its CPU time is of this interval.
        cpu = stat.ticks * tick_s / max(now - born, tick_s) if born >= self._began - tick_s else nan
        row = ProcessRow(pid, stat.start, 0, _name(stat), "", "", nan, nan, nan, 0, 0, self._btime + born, kernel=stat.kernel)
        process = self._processes[pid] = Process(pid, fd, data, stat, now, row)
        process.row = self._measured(self._identified(row, process), stat, cpu)
        if now - born < YOUNG_S:
            self._young.append(process)
        return process

    def _measured(self, row: ProcessRow, stat: Stat, cpu: float) -> ProcessRow:
        memory_bytes = float(stat.rss_pages * self._page_bytes)
        return ProcessRow(
            row.pid, row.start, stat.ppid, row.name, row.user, stat.state, cpu, stat.ticks / self._hz, memory_bytes, stat.threads,
            stat.nice, row.started, row.unit, row.command, row.kernel, row.read_bytes_s, row.write_bytes_s, row.pss_bytes, row.fds,
        )  # fmt: skip

    # Who they are -----------------------------------------------------------------------------------------------------------------

    def _identified(self, row: ProcessRow, process: Process) -> ProcessRow:
        user = self._identity.owner(row.pid) or row.user
        self._commands.want(process)
        return replace(row, user=user, unit=self._identity.unit(row.pid), command=row.command or f"[{row.name}]")

    async def _identify_again(self, young: list[Process]) -> None:
        again = [process for process in young if self._processes.get(process.pid) is process]
        if self._identity.names_learnt():
            again += [process for process in self._listed if process.row.user.isdecimal()]
        async for process in paced(again, self._clock):
            row = self._identified(process.row, process)
            if row.user != process.row.user or row.unit != process.row.unit:
                process.row = row

    # What is looked at ------------------------------------------------------------------------------------------------------------

    async def look(self, want: Want) -> list[ProcessRow]:
        """The rows of the last scan, the expensive columns read of those that are newly on the screen; empty before the first scan."""
        listed = self._listed
        await self._expensive.add([(process, want.columns(key)) for key in want.shown if (process := self._find(key))])
        return [process.row for process in listed]

    def disk_io(self, key: Key) -> tuple[float, float]:
        """Storage bytes a process has read and written since it started; NaN when unknown."""
        return disk_io(self._proc, key[0]) if self._find(key) else (nan, nan)

    async def _read_shown(self, want: Want) -> None:
        shown = [process for key in want.shown if (process := self._find(key))]
        await self._commands.read(shown)
        wide = self._listed if want.everywhere else shown
        await self._expensive.change([(process, want.columns(process.row.key)) async for process in paced(wide, self._clock)])

    def _find(self, key: Key) -> Process | None:
        process = self._processes.get(key[0])
        return process if process and process.row.key == key else None

    # Clocks, rights, descriptors --------------------------------------------------------------------------------------------------

    def _set_clocks(self, slot: Slot) -> None:
        """Follow steps of the wall clock: the boot time is read again, and every start time with it."""
        offset = slot.at - slot.boot
        if abs(offset - self._wall_offset) < 1.0:
            return
        self._wall_offset = offset
        btime = boot_wall_time(self._proc)
        if isnan(btime):
            btime = offset
        if btime == self._btime:
            return
        self._btime = btime
        for process in self._processes.values():
            process.row = replace(process.row, started=btime + process.stat.start / self._hz)

    def hidden(self) -> Hidden | None:
        """Whether processes are kept from us."""
        now = self._clock()
        if not now - self._hidden_at < HIDDEN_EVERY_S:
            self._hidden_at = now
            self._hidden = visibility.hidden(self._proc, init_listed=self._init_listed)
        return self._hidden

    def _read(self, pid: int) -> bytes:
        path = f"{self._proc}/{pid}/stat"
        try:
            return read(path)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
        self._shed(0)  # others have used up the rest meanwhile
        return read(path)

    def _keep(self, path: str) -> int:
        if self._descriptors is None:
            self._descriptors = Descriptors()
        fd = self._descriptors.keep(path)
        if self._descriptors.crowded:
            self._descriptors.crowded = False
            self._shed(self._descriptors.budget)
        return fd

    def _shed(self, budget: int) -> None:
        """Close kept descriptors until no more than `budget` are left, for good: it was too many."""
        if self._descriptors is None:
            return
        self._descriptors.budget = budget
        for process in self._processes.values():
            if self._descriptors.kept <= budget:
                break
            self._descriptors.drop(process.fd)
            process.fd = -1

    def _release(self, fd: int) -> None:
        if self._descriptors is not None:
            self._descriptors.drop(fd)

    def _drop(self, pid: int) -> None:
        process = self._processes.pop(pid)
        self._release(process.fd)
        process.fd = -1
        self._commands.forget(pid)
        self._expensive.forget(pid)

    async def _forget_old(self) -> None:
        """Begin anew after a pause; sliced, because closing 2,000 descriptors takes 5 ms."""
        if self._clock() - self._began > FORGET_S:
            async for pid in paced(list(self._processes), self._clock):
                self._drop(pid)
            self.close()

    def close(self) -> None:
        """Close the kept descriptors and forget everything; the next scan is a first one."""
        for pid in list(self._processes):
            self._drop(pid)
        self._listed, self._young, self._began = [], [], nan

    # On request -------------------------------------------------------------------------------------------------------------------

    async def detail(self, args: ProcessId) -> ProcessDetail:
        """Everything that is read of one process on demand."""
        from perfconsole.collectors.processes.detail import read_detail  # noqa: PLC0415 - first used when somebody asks

        return await ask(lambda: read_detail(self._proc, args.pid, args.start), "processes-detail")

    async def signal(self, args: SignalArgs) -> Done:
        """Send a signal to exactly this process."""
        from perfconsole.collectors.processes.control import send  # noqa: PLC0415 - first used when somebody asks

        return send(self._proc, args.pid, args.start, args.signal)

    async def renice(self, args: ReniceArgs) -> Done:
        """Set the nice value of exactly this process."""
        from perfconsole.collectors.processes.control import renice  # noqa: PLC0415 - first used when somebody asks

        return renice(self._proc, args.pid, args.start, args.nice)


def _name(stat: Stat) -> str:
    return sys.intern(safe(stat.comm, 64))
