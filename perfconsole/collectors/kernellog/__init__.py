"""The kernel log as events: processes killed for memory, disks, filesystems and cards that fail, tasks that hang, programs that crash.

Here is when what is read; what lines mean is in `lines` and `oom`, how repetition is told in `folding`, the buffer in `ring`. Nothing is
written to the log, and no line is kept. Who may not read it is still told *that* processes were killed, from a counter.
"""

import os
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from math import nan
from typing import Final

from perfconsole.collectors.kernellog.folding import SOURCE, Folding
from perfconsole.collectors.kernellog.lines import classify
from perfconsole.collectors.kernellog.meanings import Finding
from perfconsole.collectors.kernellog.oom import Kills
from perfconsole.collectors.kernellog.ring import Clocks, NotTheKernelLogError, Record, Ring, open_ring, when
from perfconsole.collectors.kernellog.unnamed import Unnamed, Waiting
from perfconsole.collectors.loop import paced
from perfconsole.core.ports import Operation, Result, Slot
from perfconsole.core.tables import Table, View
from perfconsole.core.text import safe
from perfconsole.core.tick import Event, Health

NAME: Final = SOURCE

_BEFORE_S: Final = 7200.0
_BEFORE: Final = 50
"""What is told of what lies before the start: so far back, and so many events, the newest."""

_LINES: Final = 4000
"""Looked at in one run, 25 ms together: more than a usual buffer of 256 KiB holds, so that the kernel is the first to lose any."""

_OOM_KILL: Final = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)

_LOST: Final = Finding("kernel", "host", "lines of the kernel log were lost: more came than could be read", "warning", "lost")
_FIX: Final = (
    "give it the capability CAP_SYSLOG (run it as root, or AmbientCapabilities=CAP_SYSLOG in its unit), join the group adm or "
    "systemd-journal (the journal has a copy: journalctl -k), or allow everybody: sysctl kernel.dmesg_restrict=0"
)
_OUTSIDE: Final = "run it on the host itself, or give the container the device /dev/kmsg and CAP_SYSLOG"


def _now() -> Clocks:
    boot = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return Clocks(time.time(), time.clock_gettime(time.CLOCK_MONOTONIC), time.clock_gettime(boot))


class KernelLogCollector:
    """Reads the kernel's lines and tells what happened; takes them from elsewhere (the journal) while it may not read them itself.

    Args:
        kmsg: Path of the device.
        proc: Where procfs is.
        fed: Whether somebody hands the kernel's lines to `take`; the device's being unreadable is then nothing to speak of.
        named: How many processes killed for memory were told by who knows their units; while no line can be read those are told there.
        named_every_s: How often they look.
        clocks: The clocks now.
    """

    name = NAME
    interval_s = 2.0
    first_after_s = 1.5
    targets: Sequence[str] = ("host",)
    operations: Sequence[Operation] = ()

    def __init__(
        self,
        kmsg: str = "/dev/kmsg",
        proc: str = "/proc",
        *,
        fed: Callable[[], bool] = lambda: False,
        named: Callable[[], int] = lambda: 0,
        named_every_s: float = 0.0,
        clocks: Callable[[], Clocks] = _now,
    ) -> None:
        self._kmsg = kmsg
        self._vmstat = f"{proc}/vmstat"
        self._fed, self._named = fed, named
        self._clocks = clocks
        self._ring: Ring | None = None
        self._trouble: tuple[str, str, str] | None = None
        self._number = -1
        self._since: float | None = None
        self._looked = nan
        self._counted: int | None = None
        self._told_kills = self._balance = 0
        self._kills = Kills()
        self._waiting = Waiting(named_every_s)
        self._folding = Folding()
        self._ready: deque[Event] = deque(maxlen=4 * _BEFORE)

    async def run(self, target: str, slot: Slot, views: Sequence[View]) -> Result:
        """Read what came; what was there before, the first time."""
        del views
        counter = self._kills_counted()
        lost = False
        if self._ring is None:
            self._open()
        first = self._since is None
        if self._ring:
            lost = await self._read(self._ring)
        now = self._clocks().wall
        if late := self._kills.leftover(now):
            began, finding = late
            self._tell(min(began, now), now, finding)
        self._ready.extend(self._folding.due(now))
        self._compare(counter, lost=lost, now=now)
        self._waiting.named(self._named(), now)
        self._ready.extend(self._unnamed(kills) for kills in self._waiting.due(now))
        events = list(self._ready)
        self._ready.clear()
        self._looked = now
        return Result(events=events[-_BEFORE:] if first else events, health=self._health(target, slot.at))

    def take(self, at: float, message: str) -> None:
        """A line of the kernel's that somebody else read; nothing is done with it while the kernel log is read here.

        Only lines that the kernel wrote itself may come here: in the journal those with ``_TRANSPORT=kernel`` and
        ``SYSLOG_FACILITY=0``; what root writes to /dev/kmsg has another facility.

        Args:
            at: When it was written, epoch seconds.
            message: The line without stamp and level.
        """
        if self._ring is None:
            text = safe(message, 1024)
            if finding := self._kills.take(at, text) or classify(text):
                self._tell(at, at, finding)

    async def look(self, views: Sequence[View]) -> Sequence[Table]:
        """Nothing here is a table."""
        del views
        return ()

    def close(self) -> None:
        """See `Collector`."""
        if self._ring:
            self._ring.close()
            self._ring = None

    # Reading ----------------------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            self._ring = Ring(open_ring(self._kmsg))
        except NotTheKernelLogError:
            self._trouble = "off", f"the kernel log is not visible here: {self._kmsg} is something else, as in a container", _OUTSIDE
        except (FileNotFoundError, NotADirectoryError):
            self._trouble = "off", f"the kernel log is not visible here: there is no {self._kmsg}, as in a container", _OUTSIDE
        except PermissionError:
            self._trouble = "denied", "the kernel log may not be read: who was killed for memory, and what failed, is not known", _FIX
        except OSError as error:
            self._trouble = "error", f"the kernel log cannot be read: {self._kmsg}: {error.strerror}", ""
        else:
            self._trouble = None

    async def _read(self, ring: Ring) -> bool:
        """Look at what the buffer holds; whether lines were lost."""
        lost, taken = ring.lost, 0
        now = self._clocks()
        earliest_s = now.monotonic - _BEFORE_S if self._since is None else 0.0
        try:
            async for record in paced(ring.records(), time.perf_counter):
                if record is None or record.stamp_s < earliest_s or record.number <= self._number:
                    continue
                self._number = record.number
                self._interpret(record, now.wall - now.monotonic)
                taken += 1
                if taken == _LINES and self._since is not None:
                    ring.lost += 1
                    ring.skip()
                    break
        except OSError as error:
            self._trouble = "error", f"the kernel log cannot be read: {self._kmsg}: {error.strerror}", ""
            self.close()
        lost_any = ring.lost > lost and self._since is not None
        now = self._clocks()
        if self._since is not None and lost_any:
            self._tell(self._since, now.wall, _LOST)
        self._since = now.wall
        return lost_any

    def _interpret(self, record: Record, epoch_s: float) -> None:
        text = record.text()
        if finding := self._kills.take(epoch_s + record.stamp_s, text) or classify(text):
            self._tell(*when(record.stamp_s, self._clocks(), self._since), finding)

    def _tell(self, lo: float, hi: float, finding: Finding) -> None:
        self._ready.extend(self._folding.add(lo, hi, finding))

    # The counter ------------------------------------------------------------------------------------------------------------------

    def _kills_counted(self) -> int | None:
        """How many processes were killed for memory since boot (/proc/vmstat: oom_kill, Linux 4.13); a limit's victims count, too."""
        try:
            descriptor = os.open(self._vmstat, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            content = b""
            while more := os.read(descriptor, 65536):  # a page at a time, whatever is asked for, and large machines have more than one
                content += more
        except OSError:
            return None
        finally:
            os.close(descriptor)
        found = _OOM_KILL.search(content)
        return int(found[1]) if found else None

    def _compare(self, counter: int | None, *, lost: bool, now: float) -> None:
        """Tell of kills that no line spoke of, because lines may not be read or were lost.

        The count is read before the lines: what is in only one of both is in the other one run later, and then forgotten.
        """
        seen, self._told_kills = self._kills.seen - self._told_kills, self._kills.seen
        before, self._counted = self._counted, counter
        if counter is None or before is None or counter < before:
            return
        counted = counter - before
        self._balance = max(-seen, min(counted, self._balance + counted - seen))
        silent = self._ring is None and not self._fed()
        if self._balance <= 0 or not (silent or lost):
            return
        kills = Unnamed(self._balance, self._looked, now)
        if silent:
            self._waiting.counted(kills)
        else:
            self._ready.append(self._unnamed(kills))
        self._balance = 0

    def _unnamed(self, kills: Unnamed) -> Event:
        who = f"{kills.killed} processes were" if kills.killed > 1 else "a process was"
        denied = self._trouble is not None and self._trouble[0] == "denied"
        hidden = "the kernel log may not be read here without CAP_SYSLOG" if denied else "the kernel log is not visible here"
        why = "lines of the kernel log were lost" if self._ring else hidden
        text = f"{who} killed because memory ran out; which, is not known: {why}"
        return Event(kills.lo, kills.hi, "oom", "host", text, self._vmstat, "critical")

    def _health(self, target: str, at: float) -> tuple[Health, ...]:
        if self._trouble is None or (self._ring is None and self._fed()):
            return ()
        state, error, fix = self._trouble
        return (Health(NAME, target, state, at, nan, error=error, fix=fix),)
