"""The journal of this machine: what systemd says of its units, and who logs in, as they happen; a unit's own lines on demand.

Follows the one journal that journald keeps, through journalctl; decides nothing about what it says. Files in /var/log are another's.
"""

import os
import time
from collections.abc import Sequence
from math import nan
from typing import TYPE_CHECKING, Final

from perfconsole.collectors.journal.entry import Entry
from perfconsole.collectors.journal.parts import HOST, Kernel, Logins, matches
from perfconsole.collectors.journal.units import Units
from perfconsole.core.change_requests import UnitArgs, UnitDetail
from perfconsole.core.ports import Operation, Result, Slot
from perfconsole.core.requests import UNIT_DETAIL
from perfconsole.core.tables import Table, View
from perfconsole.core.tick import Event, Health
from perfconsole.core.units import percent

if TYPE_CHECKING:
    from perfconsole.collectors.journal.access import Trouble
    from perfconsole.collectors.journal.reader import Reader

__all__ = ["JournalCollector", "Logins"]

_LOOK_S: Final = 60.0
"""Between two looks at whether the journal may be read now."""

_UNIT_FILES: Final = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/transient",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
"""Where a timer may be defined (systemd.unit(5))."""

_SAMPLED: Final = "sampled"
_FEW: Final = 0.995
"""From there on it rounds to 100 %."""


class JournalCollector:
    """Events of units, and lines for those who read logins and the kernel's log.

    Args:
        logins: Is handed lines about logins, and asked for its table and events while the journal is read; None where nobody is.
        kernel: Is handed the kernel's lines; None where they are read elsewhere: then they are not asked for.
        program: journalctl; `systemctl` likewise.
        places: Directories with journals; None for journald's.
        machine_id: The file that says which is this machine's; None for systemd's.
        unit_files: Directories in which a timer may be defined.
    """

    name = "journal"
    interval_s = 2.0
    first_after_s = 2.0
    targets: Sequence[str] = (HOST,)

    def __init__(
        self,
        *,
        logins: Logins | None = None,
        kernel: Kernel | None = None,
        program: str = "journalctl",
        systemctl: str = "systemctl",
        places: Sequence[str] | None = None,
        machine_id: str | None = None,
        unit_files: Sequence[str] = _UNIT_FILES,
    ) -> None:
        self._logins, self._kernel = logins, kernel
        self._program, self._systemctl = program, systemctl
        self._places, self._machine_id = places, machine_id
        self._unit_files = unit_files
        self._units = Units(self._has_timer)
        self._reader: Reader | None = None
        self._trouble: Trouble | None = None
        self._look_at = float("-inf")
        self._from: float | None = None
        """Where it is followed from, once it is known that it may be read."""
        self._closed = self._told_sampled = False
        self.operations: Sequence[Operation] = (Operation(UNIT_DETAIL, self._detail),)

    @property
    def told(self) -> bool:
        """Whether the journal is being read: what it says need not be looked for elsewhere."""
        return self._reader is not None and self._reader.reading

    @property
    def sampled(self) -> float:
        """Share of the lines asked for that was read over the last minute, 0 to 1; NaN while none is."""
        return self._reader.sampled if self._reader and self.told else nan

    async def run(self, target: str, slot: Slot, views: Sequence[View]) -> Result:
        """See `Collector`; what stands in the way is told as health, by a run that never fails: the next is not to wait longer for it."""
        del views
        events: list[Event] = []
        if self._reader is None and slot.boot >= self._look_at:
            from perfconsole.collectors.loop import ask  # noqa: PLC0415  # asyncio, which who only asks `access` does without

            self._look_at = slot.boot + _LOOK_S
            self._trouble = await ask(self._look, "perfconsole-journal")
            if self._trouble is None:
                self._look_at = slot.boot
                if self._from is None:  # once: where that hangs, the next run does without
                    self._from = slot.at
                    events += await self._before(slot.at)
                from perfconsole.collectors.journal.reader import Reader  # noqa: PLC0415  # subprocess, for those who have a journal

                asked = matches(logins=self._logins is not None, kernel=self._kernel is not None)
                self._reader = Reader(self._hear, asked, self._program, since=self._from)
        if self._reader and not self._closed:
            self._reader.tend()
        events += self._units.result(slot.at)
        tables: Sequence[Table] = ()
        if self._logins and self.told:
            tables, logins = self._logins.result(slot.at, self.sampled)
            events += logins
        return Result(tables=tables, events=events, health=self._health(target, slot.at))

    async def look(self, views: Sequence[View]) -> Sequence[Table]:
        """Nothing that would be other than at the last run."""
        del views
        return ()

    def close(self) -> None:
        """End journalctl."""
        self._closed = True
        if self._reader:
            self._reader.close()

    def _hear(self, entry: Entry) -> None:
        if entry.transport == "kernel":
            if self._kernel:
                self._kernel(entry.at, entry.message)
        elif entry.pid == 1:
            self._units.take(entry)
        elif self._logins:
            self._logins.take(entry)

    def _health(self, target: str, at: float) -> list[Health]:
        if self._reader is None:
            trouble = self._trouble
            return [Health(self.name, target, trouble.state, at, 0.0, 0.0, trouble.error, trouble.fix)] if trouble else []
        if self._reader.error:
            return [Health(self.name, target, "error", at, 0.0, 0.0, self._reader.error, f"it is tried again; see `{self._program} -f`")]
        sampled = self._reader.sampled
        if sampled < _FEW:
            self._told_sampled = True
            text = f"{percent(sampled, 0 if sampled >= 0.01 else 1)} of the lines were read in the last minute, there are too many"
            return [Health(self.name, _SAMPLED, "stale", at, nan, 0.0, text, f"`{self._program} -f` shows who writes them")]
        if self._told_sampled:
            self._told_sampled = False
            return [Health(self.name, _SAMPLED, "ok", at, at)]
        return []

    def _look(self) -> "Trouble | None":
        from perfconsole.collectors.journal import access  # noqa: PLC0415  # in a thread that may wait, once

        return access.trouble(self._program, self._places or access.PLACES, self._machine_id or access.MACHINE_ID)

    async def _before(self, until: float) -> list[Event]:
        """What was said until then, told as it would have been: what belongs together is a matter of seconds."""
        from perfconsole.collectors.journal.past import past  # noqa: PLC0415  # once
        from perfconsole.collectors.loop import ask, paced  # noqa: PLC0415  # as above

        told: list[Event] = []
        async for entry in paced(await ask(lambda: past(self._program, until), "perfconsole-journal"), time.perf_counter):
            told += self._units.result(entry.at)
            self._units.take(entry)
        return told

    def _has_timer(self, stem: str) -> bool:
        """Whether a service has a timer of its name, its own or its template's."""
        template = f"{stem.partition('@')[0]}@" if "@" in stem else stem
        return any(
            os.path.exists(f"{place}/{name}.timer")  # noqa: PTH110  # ten names without a Path for each
            for place in self._unit_files
            for name in {stem, template}
        )

    async def _detail(self, args: UnitArgs) -> UnitDetail:
        from perfconsole.collectors.journal.detail import unit_detail  # noqa: PLC0415  # on demand

        return await unit_detail(args, self._program, self._systemctl, self._look)
