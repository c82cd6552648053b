"""What series there are of each metric, by the names of their labels, and how often they are measured. Pure; what measures is elsewhere.

A rule means the series with exactly the labels that it names: one that names others waits for ever, and looks as if all were well.
"""

from typing import Final

from perfconsole.core.metrics import METRICS

Shape = tuple[str, ...]
"""Label names, sorted; empty for the unlabelled series."""

_USUAL: Final = {
    "system": "-", "cgroup": "- unit", "process": "pid+start", "httpcheck": "endpoint+service", "postgresql": "server",
    "perfconsole": "-",
}  # fmt: skip
"""By the first part of a metric's name: `-` for the unlabelled series, a `+` between labels of one."""

_OWN: Final = {
    "system.cpu.utilization": "- cpu",
    "system.cpu.time": "- mode",
    "system.memory.usage": "- state",
    "system.paging.usage": "- state",
    "system.paging.operations": "- direction",
    "system.paging.faults": "- type",
    "system.filesystem.utilization": "- mountpoint",
    "system.filesystem.usage": "- mountpoint+state",
    "system.filesystem.inodes.utilization": "- mountpoint",
    "system.filesystem.read_only": "- mountpoint",
    "system.filesystem.failed": "- mountpoint",
    "system.filesystem.time_to_full": "- mountpoint",
    "system.disk.io": "- direction device+direction",
    "system.disk.operations": "- direction device+direction",
    "system.disk.io_time": "- device",
    "system.disk.wait": "- device",
    "system.network.io": "- direction direction+interface",
    "system.network.packets": "- direction direction+interface",
    "system.network.errors": "- direction direction+interface",
    "system.network.dropped": "- direction direction+interface",
    "system.network.speed": "interface",
    "system.network.up": "- interface",
    "system.network.full_duplex": "- interface",
    "system.network.carrier_changes": "- interface",
    "system.tcp.aborts": "- type",
    "system.temperature": "- sensor",
    "system.array.degraded": "- device",
    "system.array.failed": "- device",
    "system.array.sync": "- device",
    "process.count": "- state",
    "process.disk.io": "direction+pid+start",
    "httpcheck.up": "- service endpoint+service",
    "httpcheck.duration": "- endpoint+service",
    "httpcheck.error.ratio": "- service endpoint+service",
    "httpcheck.tls.expiry": "- endpoint+service",
    "httpcheck.phase.duration": "endpoint+phase+service",
    "postgresql.connections": "server application+server database+server",
    "postgresql.sessions": "server+state",
    "postgresql.transactions": "server database+server",
    "postgresql.rollbacks": "server database+server",
    "postgresql.deadlocks": "server database+server",
    "postgresql.blocks.hit": "server database+server",
    "postgresql.blocks.read": "server database+server",
    "postgresql.temp.bytes": "server database+server",
    "postgresql.cache.hit_ratio": "server database+server",
    "postgresql.xid.age": "server database+server",
    "postgresql.checkpoints": "mode+server",
    "postgresql.pool.waiting": "server database+server",
    "postgresql.pool.max_wait": "server database+server",
    "postgresql.statement.load": "server database+server database+queryid+server+user database+queryid+server+toplevel+user",
    "postgresql.statement.mean": "server database+server database+queryid+server+user database+queryid+server+toplevel+user",
    "postgresql.statement.longest": "server database+server",
    "postgresql.statement.slowest": "server database+server",
    "perfconsole.collector.blind": "collector+target",
}

_EVERY_S: Final = {
    "system.filesystem.": 10.0, "system.temperature": 10.0, "system.battery.": 10.0, "system.clock.": 10.0, "system.array.": 10.0,
    "system.network.up": 10.0, "system.network.speed": 10.0, "system.network.full_duplex": 10.0, "system.network.carrier_changes": 10.0,
    "system.logins.": 5.0, "postgresql.temp.live": 15.0, "postgresql.statements.evictions": 120.0,
}  # fmt: skip
"""What is measured at an interval of its own, whatever is configured, by the beginning of its name."""

_AT_LEAST_S: Final = {"cgroup.": 10.0, "system.units.": 10.0, "perfconsole.collector.": 10.0}
"""What is measured at the console's interval, and not more often than this."""


def shapes(metric: str) -> list[Shape]:
    """The label names of the series that there may be of a metric, in the order in which they are told."""
    usual = _USUAL.get(metric.partition(".")[0], "-")
    return [() if shape == "-" else tuple(shape.split("+")) for shape in _OWN.get(metric, usual).split()]


def every_s(metric: str, interval_s: float) -> float:
    """How often a metric of this machine, or of a database, is measured at most: seconds between two samples.

    Args:
        metric: Its name.
        interval_s: The one that is configured for what measures it.
    """
    fixed = next((seconds for begin, seconds in _EVERY_S.items() if metric.startswith(begin)), 0.0)
    least = next((seconds for begin, seconds in _AT_LEAST_S.items() if metric.startswith(begin)), 0.0)
    return fixed or max(interval_s, least)


assert _OWN.keys() <= METRICS.keys()
