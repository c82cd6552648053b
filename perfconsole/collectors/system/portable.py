"""The system collector where there is no procfs (macOS, the BSDs): what psutil knows, under the same names. The rest is not claimed."""

from collections.abc import Sequence
from math import isnan, nan
from typing import TYPE_CHECKING, Any, Final

from perfconsole.collectors.loop import ask
from perfconsole.collectors.system.mounts import Filesystem
from perfconsole.collectors.system.parts import Counts, Sums, define, distinct, ratio
from perfconsole.core.globs import Globs
from perfconsole.core.ports import Measured, Operation, Result, Slot
from perfconsole.core.tables import Table, View
from perfconsole.core.text import safe
from perfconsole.core.tick import SeriesDef

if TYPE_CHECKING:
    from types import ModuleType

_HOST: Final = "host"
_EVERYTHING: Final = Globs()
_LOOPBACK: Final = ("lo", "lo0")
_MEMORY_STATES: Final = ("used", "free", "available", "cached", "buffers")
_NETWORK: Final = ("system.network.io", "system.network.packets", "system.network.errors", "system.network.dropped")

Point = tuple[SeriesDef, float]


class PortableCollector:
    """CPU, load, memory, swap, disks, networks and uptime through psutil.

    Args:
        interval_s: Seconds between runs.
        disks: Devices that are looked at.
        networks: Interfaces that are looked at.
    """

    name = "system"
    first_after_s = 0.0
    targets: Sequence[str] = (_HOST,)
    operations: Sequence[Operation] = ()

    def __init__(self, interval_s: float = 2.0, *, disks: Globs = _EVERYTHING, networks: Globs = _EVERYTHING) -> None:
        self.interval_s = interval_s
        self._disks, self._networks = disks, networks
        self._disk_sums, self._network_sums = Sums(), Sums()
        self._times: list[tuple[float, float]] = []
        self._series: tuple[SeriesDef, ...] = ()

    async def run(self, target: str, slot: Slot, views: Sequence[View]) -> Result:
        """See `Collector`. In a thread: the first run imports psutil, and device counters can take long on macOS."""
        del views
        points = await ask(lambda: self._measure(slot.at), "system")
        definitions = tuple(definition for definition, _ in points)
        if definitions != self._series:
            self._series = definitions
        return Result(measured=[Measured(target, self._series, [value for _, value in points])])

    async def look(self, views: Sequence[View]) -> Sequence[Table]:
        """Nothing here is a table."""
        del views
        return ()

    def close(self) -> None:
        """Nothing is held."""

    def _measure(self, at: float) -> list[Point]:
        import psutil  # noqa: PLC0415  # 30 ms, and not needed at all on Linux

        return [
            *self._cpu(psutil),
            *_levels(psutil, at),
            *_memory(psutil),
            *self._disk_io(psutil.disk_io_counters(perdisk=True) or {}),
            *self._network_io(psutil.net_io_counters(pernic=True) or {}),
        ]

    def _cpu(self, psutil: "ModuleType") -> list[Point]:
        total, cores = psutil.cpu_times(), psutil.cpu_times(percpu=True)
        rows = [_busy_and_total(times) for times in (total, *cores)]
        before = self._times if len(self._times) == len(rows) else [(nan, nan)] * len(rows)
        self._times = rows
        shares = [_share(new, old) for new, old in zip(rows, before, strict=True)]
        count = float(len(cores))
        return [
            (define("system.cpu.utilization"), shares[0]),
            (define("system.cpu.logical.count"), count),
            (define("system.cpu.limit"), count),
            (define("system.cpu.time"), rows[0][0]),
            *((define("system.cpu.time", mode=mode), seconds) for mode, seconds in _modes(total).items()),
            *((define("system.cpu.utilization", cpu=str(i)), share) for i, share in enumerate(shares[1:])),
        ]

    def _disk_io(self, counters: dict[str, Any]) -> list[Point]:
        counts: Counts = {
            name: (io.read_count, io.write_count, io.read_bytes, io.write_bytes)
            for name, io in sorted(counters.items())
            if name in self._disks
        }
        metrics = ("system.disk.operations", "system.disk.io")
        return _devices("device", metrics, ("read", "write"), counts, self._disk_sums.add(counts))

    def _network_io(self, counters: dict[str, Any]) -> list[Point]:
        counts: Counts = {
            name: (
                io.bytes_recv, io.bytes_sent, io.packets_recv, io.packets_sent, io.errin, io.errout, io.dropin, io.dropout
            )
            for name, io in sorted(counters.items())
            if name in self._networks
        }  # fmt: skip
        sums = self._network_sums.add({name: values for name, values in counts.items() if name not in _LOOPBACK})
        return _devices("interface", _NETWORK, ("receive", "transmit"), counts, sums)


def list_mounts(wanted: Globs) -> list[Filesystem]:
    """The physical filesystems as psutil lists them."""
    import psutil  # noqa: PLC0415  # not needed on Linux

    return [
        Filesystem(
            part.device.encode(),
            part.mountpoint.encode("utf-8", "surrogateescape"),
            part.device.encode(),
            read_only="ro" in part.opts.split(","),
            failed=False,
            in_memory=False,
        )
        for part in sorted(psutil.disk_partitions(all=False), key=lambda part: part.mountpoint)
        if part.mountpoint in wanted
    ]


def _levels(psutil: "ModuleType", at: float) -> list[Point]:
    names = ("system.load.1m", "system.load.5m", "system.load.15m")
    loads = [(define(name), load) for name, load in zip(names, psutil.getloadavg(), strict=True)]
    return [*loads, (define("system.uptime"), max(at - psutil.boot_time(), 0.0))]


def _memory(psutil: "ModuleType") -> list[Point]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    states = {state: float(getattr(memory, state, nan)) for state in _MEMORY_STATES}
    states["used"] = float(memory.total - memory.available)  # as on Linux; psutil's own notion differs by system
    return [
        (define("system.memory.utilization"), ratio(memory.total - memory.available, memory.total)),
        (define("system.memory.limit"), float(memory.total)),
        (define("system.memory.total"), float(memory.total)),
        (define("system.memory.usage"), states["used"]),
        *((define("system.memory.usage", state=state), value) for state, value in states.items()),
        (define("system.paging.utilization"), ratio(swap.used, swap.total)),
        (define("system.paging.usage"), float(swap.used)),
        (define("system.paging.usage", state="used"), float(swap.used)),
        (define("system.paging.usage", state="free"), float(swap.free)),
    ]


def _modes(times: Any) -> dict[str, float]:
    """Seconds by mode; guest time, where there is any, taken out of what it is part of."""
    modes = {str(mode): float(seconds) for mode, seconds in times._asdict().items()}
    for guest, host in (("guest", "user"), ("guest_nice", "nice")):
        if guest in modes:
            modes[host] -= modes[guest]
    return modes


def _busy_and_total(times: Any) -> tuple[float, float]:
    modes = _modes(times)
    total = sum(modes.values())
    return total - modes.get("idle", 0.0) - modes.get("iowait", 0.0), total


def _share(new: tuple[float, float], old: tuple[float, float]) -> float:
    share = ratio(new[0] - old[0], new[1] - old[1])
    return share if isnan(share) else min(max(share, 0.0), 1.0)


def _devices(kind: str, metrics: Sequence[str], directions: Sequence[str], counts: Counts, sums: list[int]) -> list[Point]:
    """Summed counters, both directions together and each, and those of each device: one value a metric and direction."""
    names = [(metric, direction) for metric in metrics for direction in directions]
    labels: list[dict[str, str]] = [{}, *({kind: name} for name in distinct([safe(name) for name in counts]))]
    rows: list[Sequence[float]] = [sums or [nan] * len(names), *counts.values()]
    width = len(directions)
    both = [(define(metric), float(sum(rows[0][i * width : (i + 1) * width]))) for i, metric in enumerate(metrics)]
    return both + [
        (define(metric, direction=direction, **label), float(value))
        for label, values in zip(labels, rows, strict=True)
        for (metric, direction), value in zip(names, values, strict=True)
    ]
