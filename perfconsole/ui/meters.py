"""What the system pane shows of a state: one `Meter` a row, in the order in which they are read. Pure."""

from collections.abc import Callable, Iterator
from math import isnan
from typing import Final, NamedTuple

from perfconsole.core import units, words
from perfconsole.core.state import Series, State

_MODES: Final = (
    ("user", "usr"), ("nice", "nice"), ("system", "sys"), ("iowait", "iow"), ("irq", "irq"), ("softirq", "sirq"), ("steal", "st"),
)  # fmt: skip


_CROWDED: Final = 2.0
"""Runnable tasks a CPU from which on they are told."""

_LATELY_S: Final = 120.0
_TRACKED: Final = 0.5
"""Share of the connection tracking table from which on it has a row."""


class Meter(NamedTuple):
    """One row: a label, the series whose history it draws, and words beside it.

    Attributes:
        top: The fixed top of its scale; NaN: the next round number over the highest value in the window.
        least: The least top of a scale without a fixed one.
        rank: Which rows stay when there is little room: the lowest.
        text: The value where the metric's unit does not say how it is read.
    """

    label: str
    series: Series
    top: float
    detail: str
    rank: int
    least: float = 1.0
    text: str = ""

    @property
    def value(self) -> str:
        """The newest value, in words."""
        return self.text or words.measured(self.series.definition.name, self.series.shown)


def meters(state: State, *, every: bool) -> list[Meter]:
    """The rows for a state.

    Args:
        state: What is known.
        every: Also each core, filesystem, device, interface and sensor.
    """
    rows = [meter for build in _BUILDERS for meter in build(state)]
    if every:
        rows += [meter for build in _DETAILS for meter in build(state)]
    return rows


def _one(state: State, label: str, metric: str, rank: int, detail: str = "", *, top: float = 1.0, **labels: str) -> Iterator[Meter]:
    series = state.find(metric, **labels)
    if series is not None:
        yield Meter(label, series, top, detail, rank)


def cpu_modes(state: State) -> str:
    """``usr 20 sys 8 iow 1``: shares of all CPU time in percent, those that are not nothing."""
    rates = {series.labels["mode"]: series.shown for series in state.every("system.cpu.time") if "mode" in series.labels}
    total = sum(rate for rate in rates.values() if not isnan(rate))
    if not total:
        return ""
    shares = [(short, 100 * rates.get(mode, 0.0) / total) for mode, short in _MODES]
    return "  ".join(f"{short} {share:.0f}" for short, share in shares if share >= 0.5 or short in {"usr", "sys", "iow"})


def _cpu(state: State) -> Iterator[Meter]:
    throttled = state.value("system.cpu.throttled.ratio")
    detail = cpu_modes(state)
    if throttled > 0:
        detail = f"throttled {units.percent(throttled)}  {detail}"
    yield from _one(state, "CPU", "system.cpu.utilization", 0, detail)


def _load(state: State) -> Iterator[Meter]:
    series = state.find("system.load.1m")
    if series is not None:
        cpus = state.value("system.cpu.logical.count")
        later = f"5m {_load_text(state.value('system.load.5m'))}  15m {_load_text(state.value('system.load.15m'))}"
        detail = later if isnan(cpus) else f"{later}  {cpus:.0f} CPUs"
        detail = "  ".join(filter(None, (_crowd(state, cpus), detail)))
        least = 1.0 if isnan(cpus) else cpus
        yield Meter("load", series, float("nan"), detail, 3, least=least, text=_load_text(series.shown))


def _crowd(state: State, cpus: float) -> str:
    """``9 run  2 blocked``, where that is more than the machine takes on at once: load alone does not say which of the two it is."""
    runnable, blocked = state.value("system.tasks.runnable"), state.value("system.tasks.blocked")
    if not (runnable > _CROWDED * cpus or blocked > 0):
        return ""
    return f"{units.count(runnable)} run  {units.count(blocked)} blocked"


def _load_text(value: float) -> str:
    return units.UNKNOWN if isnan(value) else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _memory(state: State) -> Iterator[Meter]:
    used, limit = state.value("system.memory.usage", state="used"), state.value("system.memory.limit")
    cached = state.value("system.memory.usage", state="cached")
    detail = f"{units.size(used)} of {units.size(limit)}  cache {units.size(cached)}"
    yield from _one(state, "memory", "system.memory.utilization", 1, detail)


def _swap(state: State) -> Iterator[Meter]:
    into, out = (state.value("system.paging.operations", direction=way) for way in ("in", "out"))
    if not isnan(state.value("system.paging.utilization")):  # unknown: there is no swap space
        detail = f"in {units.count(into)}/s  out {units.count(out)}/s"
        yield from _one(state, "swap", "system.paging.utilization", 7, detail)


def _pressure(state: State) -> Iterator[Meter]:
    for kind, rank in (("cpu", 8), ("memory", 10), ("io", 9)):
        full = state.value(f"system.pressure.{kind}.full")
        detail = "some wait" if isnan(full) else f"some wait  all wait {units.percent(full)}"
        yield from _one(state, f"{'mem' if kind == 'memory' else kind} PSI", f"system.pressure.{kind}.some", rank, detail)


def _disk(state: State) -> Iterator[Meter]:
    each = [series for series in state.every("system.filesystem.utilization") if series.definition.labels]
    worst = max(each, key=lambda series: -1.0 if isnan(series.shown) else series.shown, default=None)
    if worst is not None and not isnan(worst.shown):
        mountpoint = worst.labels.get("mountpoint", "")
        more = f"  +{len(each) - 1} more" if len(each) > 1 else ""
        yield Meter("disk", worst, 1.0, f"{_filling(state)}{mountpoint} {_space(state, mountpoint)}{more}", 2)


def _filling(state: State) -> str:
    """``/var full in 42m  ``: the filesystem that is full soonest, at the pace of the last minutes; empty where none fills up."""
    each = [series for series in state.every("system.filesystem.time_to_full") if series.definition.labels and not isnan(series.shown)]
    soonest = min(each, key=lambda series: series.shown, default=None)
    return f"{soonest.labels.get('mountpoint', '')} full in {words.roughly(soonest.shown)}  " if soonest else ""


def _space(state: State, mountpoint: str) -> str:
    sizes = {series.labels.get("state"): series.shown for series in state.every("system.filesystem.usage")
             if series.labels.get("mountpoint") == mountpoint}  # fmt: skip
    return f"{units.size(sizes.get('free', float('nan')))} free"


def _io(state: State) -> Iterator[Meter]:
    busiest = max((series.shown for series in state.every("system.disk.io_time") if not isnan(series.shown)), default=float("nan"))
    wait = max((series.shown for series in state.every("system.disk.wait") if not isnan(series.shown)), default=float("nan"))
    details = {"read": f"busiest {units.percent(busiest)}", "write": f"wait {units.latency(wait) if wait else units.UNKNOWN}"}
    for way, rank in (("read", 6), ("write", 6)):
        yield from _flow(state, f"disk {way}", "system.disk.io", way, rank, details[way])


def _network(state: State) -> Iterator[Meter]:
    retransmits = state.value("system.tcp.retransmits")
    # The totals alone: each interface is in them already.
    known = [state.value(name) for name in ("system.network.errors", "system.network.dropped")]
    bad = sum(rate for rate in known if not isnan(rate))
    established = state.value("system.tcp.established")
    details = {
        "receive": f"errors, drops {units.count(bad)}/s",
        "transmit": f"retrans {units.count(retransmits)}/s  TCP {units.count(established)}",
    }
    for way, label, rank in (("receive", "net in", 4), ("transmit", "net out", 5)):
        yield from _flow(state, label, "system.network.io", way, rank, details[way])


def _flow(state: State, label: str, metric: str, direction: str, rank: int, detail: str, **labels: str) -> Iterator[Meter]:
    series = state.find(metric, direction=direction, **labels)
    if series is not None:
        yield Meter(label, series, float("nan"), detail, rank, least=float(1 << 20))


def _queues(state: State) -> Iterator[Meter]:
    """Connections turned away because a listener did not take them, and those that are tracked: rows only where there is a matter."""
    drops = state.find("system.tcp.listen.drops")
    if drops is not None and any(rate > 0 for rate in drops.points(state.at - _LATELY_S)[1]):
        waits = f"TIME_WAIT {units.count(state.value('system.tcp.time_wait'))}"
        yield Meter("refused", drops, float("nan"), f"a full accept queue  {waits}", 2)
    if state.value("system.conntrack.utilization") >= _TRACKED:
        yield from _one(
            state, "conntrack", "system.conntrack.utilization", 2, f"{units.count(state.value('system.conntrack.entries'))} tracked"
        )


def _files(state: State) -> Iterator[Meter]:
    yield from _one(state, "files", "system.fd.utilization", 11, f"{units.count(state.value('system.fd.open'))} open")


def _heat(state: State) -> Iterator[Meter]:
    yield from _one(state, "heat", "system.temperature", 12, "hottest sensor", top=100.0)
    plugged = state.value("system.battery.plugged")
    yield from _one(state, "battery", "system.battery.charge", 13, "" if isnan(plugged) else "on mains" if plugged else "discharging")


def _cores(state: State) -> Iterator[Meter]:
    for series in state.every("system.cpu.utilization"):
        if series.definition.labels:
            yield Meter(f"cpu {series.labels.get('cpu', '')}", series, 1.0, "", 20)


def _filesystems(state: State) -> Iterator[Meter]:
    for series in state.every("system.filesystem.utilization"):
        mountpoint = series.labels.get("mountpoint")
        if mountpoint:
            inodes = state.value("system.filesystem.inodes.utilization", **series.labels)
            read_only = "  read-only" if state.value("system.filesystem.read_only", **series.labels) > 0 else ""
            detail = f"{mountpoint}  {_space(state, mountpoint)}  inodes {units.percent(inodes)}{read_only}"
            yield Meter("fs", series, 1.0, detail, 21)


def _devices(state: State) -> Iterator[Meter]:
    for series in state.every("system.disk.io"):
        device = series.labels.get("device")
        if device:
            busy = state.value("system.disk.io_time", device=device)
            detail = f"{device}  busy {units.percent(busy)}"
            yield Meter(f"dev {series.labels.get('direction', '')}"[:9], series, float("nan"), detail, 22, least=float(1 << 20))
    for series in state.every("system.network.io"):
        interface = series.labels.get("interface")
        if interface:
            way = "in" if series.labels.get("direction") == "receive" else "out"
            speed = state.value("system.network.speed", interface=interface)
            detail = interface if isnan(speed) else f"{interface}  link {units.rate(speed)}"
            yield Meter(f"net {way}", series, float("nan"), detail, 23, least=float(1 << 20))


def _sensors(state: State) -> Iterator[Meter]:
    for series in state.every("system.temperature"):
        if series.definition.labels:
            yield Meter("heat", series, 100.0, " ".join(value for _, value in series.definition.labels), 24)


_BUILDERS: Final[tuple[Callable[[State], Iterator[Meter]], ...]] = (
    _cpu, _load, _memory, _swap, _disk, _io, _network, _queues, _pressure, _files, _heat,
)  # fmt: skip
_DETAILS: Final[tuple[Callable[[State], Iterator[Meter]], ...]] = (_cores, _filesystems, _devices, _sensors)
