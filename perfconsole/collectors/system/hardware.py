"""What changes seldom and matters when it does: network links, md arrays, and whether the clock is kept in step.

All are read in a thread: a link's speed is asked of its driver, under the kernel's one network lock. What reads them is imported there too.
"""

from asyncio import Future, wait
from collections.abc import Callable, Sequence
from math import isnan, nan
from typing import TYPE_CHECKING, Final

from perfconsole.collectors.loop import ask
from perfconsole.collectors.system.parts import Counts, Sums
from perfconsole.core.errors import CollectorError
from perfconsole.core.globs import Globs
from perfconsole.core.ports import Measured, Operation, Result, Slot
from perfconsole.core.tables import Table, View
from perfconsole.core.tick import Health, SeriesDef

if TYPE_CHECKING:
    from perfconsole.collectors.system.clock import Discipline
    from perfconsole.collectors.system.condition import Condition

_EVERYTHING: Final = Globs()
_HOST: Final = "host"
_SEALED: Final = "allow adjtimex in the seccomp profile of this container"


class HardwareCollector:
    """Carrier, speed and duplex of links, state of md arrays, synchronisation of the clock; and an event for each that changes.

    Args:
        interval_s: Seconds between runs.
        proc: Where procfs is.
        sys: Where sysfs is.
        networks: Interfaces that are looked at.
        deadline_s: Seconds after which a run gives up.
        clock: Asks how well the clock is kept; None asks the kernel.
    """

    name = "hardware"
    first_after_s = 2.0
    targets: Sequence[str] = (_HOST,)
    operations: Sequence[Operation] = ()

    def __init__(
        self,
        interval_s: float = 10.0,
        *,
        proc: str = "/proc",
        sys: str = "/sys",
        networks: Globs = _EVERYTHING,
        deadline_s: float = 5.0,
        clock: "Callable[[], Discipline] | None" = None,
    ) -> None:
        self.interval_s = interval_s
        self._proc, self._sys, self._networks, self._clock = proc, sys, networks, clock
        self._deadline_s = deadline_s
        self._asked: Future[Condition] | None = None
        self._series: tuple[SeriesDef, ...] = ()
        self._changes = Sums()
        self._last: Condition | None = None
        self._last_at = nan
        self._trouble = ""

    async def run(self, target: str, slot: Slot, views: Sequence[View]) -> Result:
        """See `Collector`.

        Raises:
            CollectorError: When a driver never answered: it is not asked again meanwhile, else a thread would hang for each time.
        """
        del views
        if self._asked is None or self._asked.done():
            self._asked = ask(self._look, "hardware")
        await wait((self._asked,), timeout=self._deadline_s)
        if not self._asked.done():
            raise CollectorError("a network driver does not answer", "see `dmesg` for the driver that hangs")
        from perfconsole.collectors.system import condition  # noqa: PLC0415  the thread has imported it

        found, before = self._asked.result(), self._last
        if before is None or found.shape != before.shape:
            self._series = condition.series(found)
        events = condition.events(before, found, self._last_at, slot.at) if before else []
        health = self._health(found.clock.trouble, slot.at)
        self._last, self._last_at = found, slot.at
        values = condition.values(found, self._all_changes(found))
        return Result(measured=[Measured(target, self._series, values)], events=events, health=health)

    async def look(self, views: Sequence[View]) -> Sequence[Table]:
        """Nothing here is a table."""
        del views
        return ()

    def close(self) -> None:
        """Nothing is held; a thread that hangs is a daemon and ends with the process."""

    def _look(self) -> "Condition":
        from perfconsole.collectors.system import condition  # noqa: PLC0415  2 ms that no first screen waits for

        return condition.read(self._proc, self._sys, self._networks, self._clock)

    def _all_changes(self, found: "Condition") -> float:
        """A link that is new brings along what happened to it before: as a sum that would be a change now."""
        counts: Counts = {name: (int(link.changes),) for name, link in found.links.items() if not isnan(link.changes)}
        return float(self._changes.add(counts)[0]) if counts else nan

    def _health(self, trouble: str, at: float) -> list[Health]:
        """Why the clock cannot be asked, once, and the end of that."""
        if trouble == self._trouble:
            return []
        self._trouble = trouble
        if not trouble:
            return [Health(self.name, "clock", "ok", at, at)]
        fix = _SEALED if trouble.endswith("permitted") else ""
        return [Health(self.name, "clock", "denied" if fix else "off", at, nan, error=trouble, fix=fix)]
