"""Measures processes: the table of all of them, series of those that are looked at closely, and what is done to one on request.

Linux is read from /proc; elsewhere psutil is asked. Neither knows the other, nor any screen.
"""

import os
import stat as modes
from collections import Counter
from collections.abc import Sequence
from math import nan
from operator import attrgetter
from typing import Final

from perfconsole.collectors.processes.backend import Backend, Want, wanted
from perfconsole.core.errors import CollectorError
from perfconsole.core.ports import Measured, Operation, Result, Slot
from perfconsole.core.requests import PROCESS_DETAIL, PROCESS_RENICE, PROCESS_SIGNAL
from perfconsole.core.tables import Key, ProcessRow, ProcessTable, Table, View
from perfconsole.core.tick import Health, SeriesDef

NAME: Final = "processes"
HOST: Final = "host"

_STATES: Final = {
    "R": "running", "S": "sleeping", "D": "uninterruptible", "T": "stopped", "t": "stopped", "Z": "zombie", "I": "idle", "P": "idle",
}  # fmt: skip
_STATE_NAMES: Final = tuple(dict.fromkeys(_STATES.values()))
_COUNTS: Final = (SeriesDef("process.count"), *(SeriesDef("process.count", (("state", name),)) for name in _STATE_NAMES))

_state = attrgetter("state")


class ProcessCollector:
    """The collector of processes (`core.ports.Collector`).

    Args:
        interval_s: Seconds between runs.
        proc: Where /proc is mounted; where there is none, psutil is used.
    """

    name = NAME
    first_after_s = 0.0
    targets: Sequence[str] = (HOST,)

    def __init__(self, interval_s: float = 2.0, *, proc: str = "/proc") -> None:
        self.interval_s = interval_s
        self._backend = _backend(proc)
        self._rows: list[ProcessRow] = []
        self._at = nan
        self._told_hidden = False
        self._histories: dict[Key, tuple[SeriesDef, ...]] = {}
        self.operations: Sequence[Operation] = (
            Operation(PROCESS_DETAIL, self._backend.detail),
            Operation(PROCESS_SIGNAL, self._backend.signal),
            Operation(PROCESS_RENICE, self._backend.renice),
        )

    async def run(self, target: str, slot: Slot, views: Sequence[View]) -> Result:  # noqa: ARG002 - there is one target
        """Scan, if somebody looks; else only count.

        Raises:
            CollectorError: When the processes cannot be listed.
        """
        want = wanted(views)
        try:
            if want is None:
                counts = [float(await self._backend.count()), *[nan] * len(_STATE_NAMES)]
                return Result((Measured(HOST, _COUNTS, counts), *self._ended(())))
            rows = await self._backend.scan(want, slot)
        except OSError as error:
            raise CollectorError(f"processes cannot be listed: {error}", "see that /proc is mounted and files may be opened") from error
        self._rows, self._at = rows, slot.at
        hidden = self._backend.hidden()
        health = self._hidden_health(slot.at)
        table = ProcessTable(HOST, slot.at, len(rows), rows, hidden is not None)
        return Result((Measured(HOST, _COUNTS, _counts(rows)), *self._measure_histories(want)), (table,), health=health)

    async def look(self, views: Sequence[View]) -> Sequence[Table]:
        """The table of the last scan, with the expensive columns of rows that have just come into view."""
        want = wanted(views)
        rows = await self._backend.look(want) if want is not None and self._rows else []
        if not rows:  # none yet; or a pause was so long that they are forgotten
            return ()
        return (ProcessTable(HOST, self._at, len(rows), rows, self._backend.hidden() is not None),)

    def close(self) -> None:
        """Close the kept descriptors."""
        self._backend.close()
        self._rows = []

    def _hidden_health(self, at: float) -> Sequence[Health]:
        """Says once that it has ended, and every time that it is so."""
        hidden = self._backend.hidden()
        told, self._told_hidden = self._told_hidden, hidden is not None
        if hidden:
            return (Health(NAME, "hidepid", "denied", at, nan, error=hidden.error, fix=hidden.fix),)
        return (Health(NAME, "hidepid", "ok", at, at),) if told else ()

    def _measure_histories(self, want: Want) -> list[Measured]:
        """A group for each process whose history is kept, and the end of those that ended or are no longer asked for."""
        if not (want.histories or self._histories):
            return []
        wanted_keys = frozenset(want.histories)
        found = {row.key: row for row in self._rows if row.key in wanted_keys}
        ended = self._ended(found)
        for key in found:
            self._histories.setdefault(key, _definitions(key))
        return ended + [
            Measured(_target(key), self._histories[key], [row.cpu, row.memory_bytes, *self._backend.disk_io(key)])
            for key, row in found.items()
        ]

    def _ended(self, kept: "Sequence[Key] | dict[Key, ProcessRow]") -> list[Measured]:
        gone = [key for key in self._histories if key not in kept]
        for key in gone:
            del self._histories[key]
        return [Measured(_target(key), (), []) for key in gone]


def _backend(proc: str) -> Backend:
    try:
        linux = modes.S_ISREG(os.stat(f"{proc}/stat").st_mode)  # noqa: PTH116 - the house reads /proc with os
    except OSError:
        linux = False
    if linux:
        from perfconsole.collectors.processes.linux import LinuxProcesses  # noqa: PLC0415 - either it or psutil

        return LinuxProcesses(proc)
    from perfconsole.collectors.processes.portable import PortableProcesses  # noqa: PLC0415 - psutil takes 20 ms to import

    return PortableProcesses()


def _counts(rows: Sequence[ProcessRow]) -> list[float]:
    by_name = Counter[str]()
    for letter, count in Counter(map(_state, rows)).items():
        by_name[_STATES.get(letter, "")] += count
    return [float(len(rows)), *(float(by_name[name]) for name in _STATE_NAMES)]


def _target(key: Key) -> str:
    return f"{key[0]}:{key[1]}"


def _definitions(key: Key) -> tuple[SeriesDef, ...]:
    who = (("pid", str(key[0])), ("start", str(key[1])))
    return (
        SeriesDef("process.cpu.utilization", who),
        SeriesDef("process.memory.usage", who),
        SeriesDef("process.disk.io", (("direction", "read"), *who)),
        SeriesDef("process.disk.io", (("direction", "write"), *who)),
    )
