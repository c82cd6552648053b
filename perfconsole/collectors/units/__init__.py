"""Units and containers: the cgroup tree with what each uses of its own limits, and what systemd says of its services.

Reads the kernel's own files, and asks systemd alone of all programs; the kubelet's and the runtimes' containers are known by the names
of their groups. What units print is the journal's business, and another collector's.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from perfconsole.core.globs import Globs
from perfconsole.core.ports import Operation, Result, Slot
from perfconsole.core.tables import Table, View

if TYPE_CHECKING:
    from perfconsole.collectors.units.watch import UnitWatch

NAME: Final = "units"
HOST: Final = "host"
LEISURE_S: Final = 10.0
"""Seconds between two looks, and between two values of a series, while no screen shows units."""

_EVERYTHING: Final = Globs()


class UnitsCollector:
    """The collector of units (`core.ports.Collector`).

    It looks every `LEISURE_S`, whatever its interval: so often alone series are told. While a screen shows units (a view of the table
    ``unit`` with ``columns=("live",)``; a recorder's has none) it looks at its interval, and tells the table then, too.

    Args:
        interval_s: Seconds between runs.
        proc: Where procfs is.
        sys: Where sysfs is.
        run: Where ``/run`` is: systemd says there that it runs.
        units: Names that are looked at: of units and containers as rows have them, and with each all that is below it.
        journal_told: Whether the journal tells of starts, stops and failures of units, which are then not told from here.
        kernel_told: Whether the kernel log tells of processes killed because memory ran out, likewise.
        clock: CLOCK_BOOTTIME, unless a test has another.
    """

    name = NAME
    first_after_s = 3.0
    targets: Sequence[str] = (HOST,)
    operations: Sequence[Operation] = ()

    def __init__(  # noqa: PLR0913  keywords, of which a caller gives two or three
        self,
        interval_s: float = 2.0,
        *,
        proc: str = "/proc",
        sys: str = "/sys",
        run: str = "/run",
        units: Globs = _EVERYTHING,
        journal_told: Callable[[], bool] = lambda: False,
        kernel_told: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.interval_s = interval_s
        self._places = (proc, sys, run)
        self._units, self._clock = units, clock
        self._journal_told, self._kernel_told = journal_told, kernel_told
        self._watch: UnitWatch | None = None

    async def run(self, target: str, slot: Slot, views: Sequence[View]) -> Result:
        """See `Collector`; nothing but what systemd says between two looks."""
        del target  # there is one
        watch = self._watching()
        return await watch.run(slot, views)

    async def look(self, views: Sequence[View]) -> Sequence[Table]:
        """The table of the last look; of a new one, when a screen begins to show units and the last is too old for it."""
        return await self._watching().show(views) if any(view.table == "unit" for view in views) else ()

    def kills_told(self) -> int:
        """How many processes that were killed because memory ran out were told from here."""
        return self._watch.kills_told if self._watch is not None else 0

    def close(self) -> None:
        """See `Collector`."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _watching(self) -> "UnitWatch":
        if self._watch is None:
            from perfconsole.collectors.processes.process import boottime  # noqa: PLC0415  only Linux has such a clock
            from perfconsole.collectors.units.watch import UnitWatch  # noqa: PLC0415  no first screen waits for it

            proc, sys, run = self._places
            told = (self._journal_told, self._kernel_told)
            self._watch = UnitWatch(self.interval_s, LEISURE_S, (proc, sys, run), self._units, told, self._clock or boottime)
        return self._watch
