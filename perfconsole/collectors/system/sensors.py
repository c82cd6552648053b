"""Temperatures and batteries; where there are no files to read them from (see `hwmon`) through psutil, which takes 30 ms to import.

Asked for when the first ticks are out, and in a thread, for a driver may hang.
"""

from asyncio import Future, wait
from collections.abc import Callable, Sequence
from math import isfinite, nan
from typing import Final

from perfconsole.collectors.loop import ask
from perfconsole.collectors.system.parts import define, distinct
from perfconsole.core.errors import CollectorError
from perfconsole.core.ports import Measured, Operation, Result, Slot
from perfconsole.core.tables import Table, View
from perfconsole.core.text import safe
from perfconsole.core.tick import SeriesDef

_HOST: Final = "host"


class Sensors:
    """What was found at one time: Celsius by sensor name, and charge (ratio) and plugged (1 or 0, NaN unknown) of a battery."""

    __slots__ = ("charge", "plugged", "temperatures")

    def __init__(self, temperatures: list[tuple[str, float]], charge: float | None, plugged: float) -> None:
        self.temperatures = temperatures
        self.charge = charge
        self.plugged = plugged


class SensorCollector:
    """Temperatures of this machine's sensors, and its battery.

    Args:
        interval_s: Seconds between runs.
        deadline_s: Seconds after which a run gives up.
        read: Asks them; may block.
    """

    name = "sensors"
    first_after_s = 1.0
    targets: Sequence[str] = (_HOST,)
    operations: Sequence[Operation] = ()

    def __init__(self, interval_s: float = 10.0, *, deadline_s: float = 5.0, read: "Callable[[], Sensors] | None" = None) -> None:
        self.interval_s = interval_s
        self._deadline_s, self._read = deadline_s, read or read_sensors
        self._names: tuple[list[str], bool] = ([], False)
        self._series: tuple[SeriesDef, ...] = ()
        self._asked: Future[Sensors] | None = None

    async def run(self, target: str, slot: Slot, views: Sequence[View]) -> Result:
        """See `Collector`.

        Raises:
            CollectorError: With state ``off`` when this machine has neither sensors nor a battery, as virtual ones have not; when a driver
                never answered: it is not asked again meanwhile, else a thread would hang for each time.
        """
        del slot, views
        if self._asked is None or self._asked.done():
            self._asked = ask(self._read, "sensors")
        await wait((self._asked,), timeout=self._deadline_s)
        if not self._asked.done():
            raise CollectorError("a sensor's driver does not answer", "see `dmesg` for the driver that hangs")
        found = self._asked.result()
        if not found.temperatures and found.charge is None:
            raise CollectorError("this machine shows no temperature sensors and no battery", state="off")
        names = [name for name, _ in found.temperatures]
        if not self._series or self._names != (names, found.charge is not None):
            self._names = (names, found.charge is not None)
            self._series = _series(names, battery=found.charge is not None)
        values = [degrees for _, degrees in found.temperatures]
        values = [max((known for known in values if isfinite(known)), default=nan), *values] if values else []
        if found.charge is not None:
            values += (found.charge, found.plugged)
        return Result(measured=[Measured(target, self._series, values)])

    async def look(self, views: Sequence[View]) -> Sequence[Table]:
        """Nothing here is a table."""
        del views
        return ()

    def close(self) -> None:
        """Nothing is held."""


def read_sensors() -> Sensors:
    """Ask psutil; where it knows no sensors (some systems lack the functions) there are none."""
    import psutil  # noqa: PLC0415  # see the module's first line

    temperatures: list[tuple[str, float]] = []
    for chip, entries in getattr(psutil, "sensors_temperatures", dict)().items():
        for entry in entries:
            degrees = entry.current if entry.current is not None and isfinite(entry.current) else nan
            temperatures.append((f"{chip} {entry.label}".strip(), degrees))
    battery = getattr(psutil, "sensors_battery", lambda: None)()
    if battery is None:
        return Sensors(temperatures, None, nan)
    plugged = nan if battery.power_plugged is None else float(battery.power_plugged)
    return Sensors(temperatures, battery.percent / 100, plugged)


def _series(names: list[str], *, battery: bool) -> tuple[SeriesDef, ...]:
    labelled = [define("system.temperature", sensor=name) for name in distinct([safe(name, 80) for name in names])]
    hottest = [define("system.temperature")] if names else []
    charge = [define("system.battery.charge"), define("system.battery.plugged")] if battery else []
    return (*hottest, *labelled, *charge)
