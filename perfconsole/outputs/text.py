"""One moment as text for a person in a pipe: no colour, no box, lines that grep finds. Pure: a state in, text out."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from math import isnan
from typing import Final

from perfconsole.core import units
from perfconsole.core.alert_order import worst_first
from perfconsole.core.endpoint_alerts import breach, counted
from perfconsole.core.endpoints import TARGET, EndpointRow, EndpointTable
from perfconsole.core.state import Series, State
from perfconsole.core.tables import ProcessRow, ProcessTable
from perfconsole.outputs.snapshot import sources

TOP: Final = 10
"""Processes that are listed."""

ENDPOINTS: Final = 20
"""Endpoints that are listed; JSON has all."""

_GLYPHS: Final = {"critical": "■ CRIT", "warning": "▲ WARN", "info": "● INFO"}


def text(state: State) -> str:
    """The moment in words and numbers, at most a screen or two."""
    blocks = (
        _header(state), _thresholds(state), _system(state), _filesystems(state), _flows(state), _endpoints(state), _processes(state),
        _troubles(state),
    )  # fmt: skip
    return "\n\n".join("\n".join(lines) for block in blocks if (lines := list(block))) + "\n"


def _header(state: State) -> Iterator[str]:
    host = state.stream.host if state.stream else "?"
    now = "" if isnan(state.at) else datetime.fromtimestamp(state.at).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    yield f"{host}   {now}   up {units.duration(state.value('system.uptime'))}"


def _thresholds(state: State) -> Iterator[str]:
    firing = [alert for alert in state.alerts.values() if alert.state == "firing"]
    for alert in worst_first(counted(state, firing)):
        yield f"{_GLYPHS[alert.severity]}  {breach(state, alert)}  ({alert.rule})"


def _system(state: State) -> Iterator[str]:
    cpus = units.count(state.value("system.cpu.limit"))
    shares = (("iowait", "system.cpu.iowait.ratio"), ("steal", "system.cpu.steal.ratio"), ("throttled", "system.cpu.throttled.ratio"))
    yield _line("CPU", units.percent(state.value("system.cpu.utilization")), f"of {cpus} CPUs", *_parts(state, shares))
    loads = " ".join(_number(state.value(f"system.load.{minutes}m")) for minutes in (1, 5, 15))
    yield _line("Load", loads, *_pressures(state))
    memory = state.value("system.memory.utilization")
    yield _line(
        "Memory", units.percent(memory), f"of {units.size(state.value('system.memory.limit'))}", *_states(state, "system.memory.usage")
    )
    swap = state.value("system.paging.utilization")
    if not isnan(swap):
        yield _line("Swap", units.percent(swap), *_states(state, "system.paging.usage"))
    connections, files = state.value("system.tcp.established"), state.value("system.fd.open")
    yield _line("Open", f"{units.count(files)} files", f"{units.count(connections)} TCP connections")


def _filesystems(state: State) -> Iterator[str]:
    for series in state.every("system.filesystem.utilization"):
        mount = series.labels.get("mountpoint")
        if mount is not None:
            used = state.value("system.filesystem.usage", mountpoint=mount, state="used")
            inodes = state.value("system.filesystem.inodes.utilization", mountpoint=mount)
            yield _line("Disk", units.percent(series.shown), f"used {units.size(used)}", f"inodes {units.percent(inodes)}", mount)


def _flows(state: State) -> Iterator[str]:
    """What moves: the disks and the network interfaces, and their totals."""
    for word, metric, label in (("I/O", "system.disk.io", "device"), ("Net", "system.network.io", "interface")):
        named: dict[str, list[Series]] = {}
        for series in state.every(metric):
            if "direction" in series.labels:
                named.setdefault(series.labels.get(label, "total"), []).append(series)
        for name, directions in named.items():
            yield _line(word, *(f"{s.labels.get('direction', '')} {units.rate(s.shown)}".strip() for s in directions), name)


def _endpoints(state: State) -> Iterator[str]:
    """Those first that ask for a look; of many that are well, how many."""
    table = state.table(EndpointTable, TARGET)
    rows = sorted(table.rows, key=lambda row: (-row.urgency, row.service, row.name)) if table else []
    for row in rows[:ENDPOINTS]:
        name = "" if row.name == row.url else f"{row.name}:"
        yield _line(row.kind.upper(), f"{row.state:<8}", *_checked(row, state.at), name, row.url)

    rest = Counter(row.state for row in rows[ENDPOINTS:])
    if rest:
        yield _line("", f"and {rest.total()} more: " + ", ".join(f"{number} {state}" for state, number in rest.items()))


def _checked(row: EndpointRow, now: float) -> Iterator[str]:
    if row.status:
        yield str(row.status)
    if not isnan(row.last_s):
        yield f"{'>=' if row.at_least else ''}{units.latency(row.last_s)}"
    if row.cause:
        yield f"{row.cause}: {row.error}"
    if row.blocked_by:
        yield f"{row.blocked_by} is down"
    if not isnan(row.expires):
        left_s = row.expires - now
        yield f"certificate {units.duration(abs(left_s))} {'left' if left_s > 0 else 'over'}"


def _processes(state: State) -> Iterator[str]:
    table = state.table(ProcessTable)
    if table is None:
        return
    hidden = ", some hidden from this user" if table.hidden else ""
    yield f"{'PID':>8} {'USER':<12} {'CPU':>6} {'MEMORY':>7}  COMMAND   ({table.total} processes{hidden}; 100% is one core)"
    for row in table.rows[:TOP]:
        yield _process(row)


def _process(row: ProcessRow) -> str:
    shown = row.command or (f"[{row.name}]" if row.kernel else row.name)
    return f"{row.pid:>8} {row.user[:12]:<12} {units.percent(row.cpu):>6} {units.size(row.memory_bytes):>7}  {shown[:100]}"


def _troubles(state: State) -> Iterator[str]:
    for source in sources(state):
        if source["state"] not in {"ok", "off"}:
            fix = f": {source['fix']}" if source["fix"] else ""
            yield f"? {source['name']} {source['state']}: {source['error']}{fix}"
    endpoints = state.table(EndpointTable, TARGET)
    waiting = endpoints.unchecked if endpoints else 0
    if waiting:
        yield f"? http: {waiting} endpoint{'s' * (waiting != 1)} not checked yet"


def _line(word: str, *parts: str) -> str:
    return f"{word:<8} " + "  ".join(part for part in parts if part)


def _parts(state: State, named: Iterable[tuple[str, str]]) -> list[str]:
    known = ((word, state.value(metric)) for word, metric in named)
    return [f"{word} {units.percent(ratio)}" for word, ratio in known if not isnan(ratio)]


def _pressures(state: State) -> list[str]:
    return _parts(state, ((f"{kind} pressure", f"system.pressure.{kind}.some") for kind in ("cpu", "memory", "io")))


def _states(state: State, metric: str) -> list[str]:
    labelled = ((series.labels.get("state", ""), series.shown) for series in state.every(metric))
    return [
        f"{word} {units.size(number)}" for word, number in labelled if word in {"used", "available", "cached", "free"} and not isnan(number)
    ]


def _number(number: float) -> str:
    return units.UNKNOWN if isnan(number) else f"{number:.2f}"
