"""Sections of the machine's detail that need no process: interfaces, arrays, the clock, tracked connections."""

from math import isnan
from typing import Final

from perfconsole.collectors.system import arrays, links
from perfconsole.collectors.system.clock import Discipline
from perfconsole.collectors.system.files import read_once
from perfconsole.core import units
from perfconsole.core.globs import Globs
from perfconsole.core.requests import Fact, FactSection

_MOST: Final = 64
_EVERYTHING: Final = Globs()
_COUNTERS: Final = ("rx_errors", "tx_errors", "rx_dropped", "tx_dropped")
_CONNTRACK_WARNING, _CONNTRACK_CRITICAL = 0.80, 0.95
_DROP, _EARLY_DROP, _INSERT_FAILED = "drop", "early_drop", "insert_failed"
_NETFILTER: Final = "nf_conntrack"


def interfaces(sys: str) -> FactSection:
    """Every interface: carrier, speed, duplex, and what went wrong since it was made."""
    try:
        found = links.read_links(sys, _EVERYTHING, every=True)
    except OSError as error:
        return FactSection("Interfaces", [], f"{sys}/class/net: {error.strerror}; mount sysfs")
    order = sorted(found, key=lambda name: (not found[name].device, name))
    facts = [_interface(sys, name, found[name]) for name in order[:_MOST]]
    notes = ["counts are since the interface was made"]
    if len(order) > _MOST:
        notes.append(f"{len(order) - _MOST} more are not shown")
    return FactSection("Interfaces", facts, "; ".join(notes))


def _interface(sys: str, name: str, link: links.Link) -> Fact:
    counts = {counter: read_once(f"{sys}/class/net/{name}/statistics/{counter}").strip() for counter in _COUNTERS}
    parts = [links.describe(link)]
    if not isnan(link.changes):
        parts.append(f"carrier changed {link.changes:.0f} times" if link.changes != 1 else "carrier changed once")
    for what in ("errors", "dropped"):
        received, sent = counts[f"rx_{what}"], counts[f"tx_{what}"]
        if received.isdigit() and sent.isdigit() and int(received) + int(sent):
            parts.append(f"{what} {units.count(int(received))} in, {units.count(int(sent))} out")
    lost = link.state == links.NO_CARRIER and not link.changes <= 1  # nobody has ever plugged anything into the others
    severity = "warning" if link.device and (lost or link.duplex == "half") else ""
    return Fact(name, ", ".join(parts), severity=severity)


def md_arrays(proc: str) -> FactSection:
    """The md arrays."""
    content = read_once(f"{proc}/mdstat")
    found = arrays.parse(content)
    if not found:
        why = "no array" if content else "this kernel has no md arrays"
        return FactSection("Arrays", [], f"{why}; hardware controllers and ZFS pools are not looked at")
    facts = []
    for name, array in found.items():
        severity = "critical" if array.degraded else "warning" if array.failed else "ok"
        facts.append(Fact(name, arrays.describe(array), severity=severity))
    return FactSection("Arrays", facts)


def clock(discipline: Discipline) -> FactSection:
    """Whether the clock is kept in step."""
    if discipline.trouble:
        return FactSection("Clock", [Fact("synchronised", f"unknown: {discipline.trouble}", severity="unknown")])
    kept = bool(discipline.synchronized)
    fix = "" if kept else "timedatectl set-ntp true"
    facts = [
        Fact("synchronised", "yes" if kept else "no: nothing keeps it in step", fix, "ok" if kept else "warning"),
        Fact("greatest error", f"{units.latency(discipline.error_s)}{'' if kept else ' or more'}"),
    ]
    note = "" if kept else "a virtual machine may be kept in step by its host all the same: the kernel does not know"
    return FactSection("Clock", facts, note)


def conntrack(proc: str) -> FactSection:
    """How full the table of tracked connections is, and what that has cost."""
    folder = f"{proc}/sys/net/netfilter/{_NETFILTER}"
    count, most = (read_once(f"{folder}_{name}").strip() for name in ("count", "max"))
    if not (count.isdigit() and most.isdigit()):
        return FactSection("Conntrack", [], "this network namespace tracks no connections (nf_conntrack is not loaded)")
    share = int(count) / int(most) if int(most) else 0.0
    severity = "critical" if share >= _CONNTRACK_CRITICAL else "warning" if share >= _CONNTRACK_WARNING else ""
    fix = f"sysctl -w net.netfilter.nf_conntrack_max={int(most) * 2}" if severity else ""
    note = "each entry takes some 300 bytes of the kernel's memory" if severity else ""
    facts = [Fact("entries", f"{int(count):,} of {int(most):,} ({units.percent(share)})", fix, severity, note)]
    dropped = _conntrack_drops(read_once(f"{proc}/net/stat/{_NETFILTER}"))
    facts += [Fact(name.replace("_", " "), f"{number:,} since boot", severity="warning" if number else "") for name, number in dropped]
    return FactSection("Conntrack", facts)


def _conntrack_drops(content: bytes) -> list[tuple[str, int]]:
    """What was dropped, summed over the CPUs: a row a CPU, in hexadecimal, under a heading."""
    heading, *rows = content.decode("ascii", "replace").splitlines() or [""]
    names = heading.split()
    sums = []
    for name in (_DROP, _EARLY_DROP, _INSERT_FAILED):
        if name in names:
            at = names.index(name)
            try:
                sums.append((name, sum(int(row.split()[at], 16) for row in rows)))
            except (ValueError, IndexError):
                continue
    return sums
