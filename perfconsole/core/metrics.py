"""The catalogue of metrics: one place for names, units (UCUM), kinds and help. OpenTelemetry names where they exist."""

from typing import Final, NamedTuple


class Metric(NamedTuple):
    """What a metric name means; `kind` is ``gauge`` or ``counter`` (only ever grows, until reset)."""

    name: str
    unit: str
    kind: str
    help: str


def _entry(name: str, unit: str, kind: str, text: str) -> tuple[str, Metric]:
    return name, Metric(name, unit, kind, text)


METRICS: Final[dict[str, Metric]] = dict(
    (
        _entry("system.cpu.utilization", "1", "gauge", "Busy share of the CPU time that may be used: 1 - idle - iowait, steal included"),
        _entry(
            "system.cpu.time", "s", "counter", "CPU time by mode, summed over the cores of the CPU set; unlabelled: all but idle and iowait"
        ),
        _entry("system.cpu.logical.count", "{cpu}", "gauge", "Logical CPUs online"),
        _entry("system.cpu.limit", "{cpu}", "gauge", "CPUs that may be used: the smallest of CPU quota, CPU set and CPUs online"),
        _entry("system.cpu.iowait.ratio", "1", "gauge", "Share of CPU time idle while I/O is outstanding"),
        _entry("system.cpu.steal.ratio", "1", "gauge", "Share of CPU time taken by the hypervisor"),
        _entry("system.cpu.throttled.ratio", "1", "gauge", "Share of CPU quota periods in which the own cgroup was throttled"),
        _entry("system.cpu.throttled.time", "s", "counter", "Time for which the own cgroup was throttled"),
        _entry("system.load.1m", "{thread}", "gauge", "Load average over 1 minute"),
        _entry("system.load.5m", "{thread}", "gauge", "Load average over 5 minutes"),
        _entry("system.load.15m", "{thread}", "gauge", "Load average over 15 minutes"),
        _entry("system.tasks.runnable", "{thread}", "gauge", "Tasks that run or wait for a CPU, our own left out"),
        _entry("system.tasks.blocked", "{thread}", "gauge", "Tasks that wait for I/O and cannot be interrupted"),
        _entry("system.pressure.cpu.some", "1", "gauge", "Share of time in which some task waited for CPU (PSI)"),
        _entry("system.pressure.cpu.full", "1", "gauge", "Share of time in which all tasks waited for CPU (PSI)"),
        _entry("system.pressure.memory.some", "1", "gauge", "Share of time in which some task waited for memory (PSI)"),
        _entry("system.pressure.memory.full", "1", "gauge", "Share of time in which all tasks waited for memory (PSI)"),
        _entry("system.pressure.io.some", "1", "gauge", "Share of time in which some task waited for I/O (PSI)"),
        _entry("system.pressure.io.full", "1", "gauge", "Share of time in which all tasks waited for I/O (PSI)"),
        _entry("system.memory.utilization", "1", "gauge", "1 - available / the limit that binds"),
        _entry("system.memory.usage", "By", "gauge", "Memory by state: used, available, cached, slab, arc, ...; unlabelled: used"),
        _entry("system.memory.limit", "By", "gauge", "Memory that may be used: the smallest cgroup limit, else what is installed"),
        _entry("system.memory.total", "By", "gauge", "Memory installed: what the limit is a part of"),
        _entry("system.memory.stalls", "{stall}", "counter", "Times a task had to free memory itself before it was given any"),
        _entry("system.paging.utilization", "1", "gauge", "Used share of the swap space"),
        _entry("system.paging.usage", "By", "gauge", "Swap space by state; unlabelled: used"),
        _entry("system.paging.operations", "{operation}", "counter", "Pages swapped, by direction; unlabelled: both"),
        _entry("system.paging.faults", "{fault}", "counter", "Page faults by type: major ones had to read from a disk; unlabelled: those"),
        _entry("system.filesystem.utilization", "1", "gauge", "Used share of a filesystem as df counts it; unlabelled: the worst one"),
        _entry("system.filesystem.usage", "By", "gauge", "Filesystem space by state; unlabelled: used on the fullest one"),
        _entry("system.filesystem.inodes.utilization", "1", "gauge", "Used share of the inodes; unlabelled: the worst one"),
        _entry("system.filesystem.read_only", "1", "gauge", "1 when mounted read-only; unlabelled: 1 when any is"),
        _entry(
            "system.filesystem.failed", "1", "gauge", "1 when the kernel has made it read-only after an error; unlabelled: 1 when any is"
        ),
        _entry(
            "system.filesystem.time_to_full",
            "s",
            "gauge",
            "Time until nothing is left if it goes on as in the last minutes, only where it fills steadily; unlabelled: the soonest",
        ),
        _entry("system.disk.io", "By", "counter", "Bytes read and written; by direction: physical devices summed; unlabelled: both"),
        _entry(
            "system.disk.operations",
            "{operation}",
            "counter",
            "Reads and writes completed; by direction: physical devices summed; unlabelled: both",
        ),
        _entry(
            "system.disk.io_time",
            "s",
            "counter",
            "Time with I/O outstanding: its rate is a utilisation; unlabelled: that of the busiest device",
        ),
        _entry("system.disk.wait", "s", "gauge", "Mean time of an operation, queueing included (await), over the last interval"),
        _entry(
            "system.network.io",
            "By",
            "counter",
            "Bytes received and transmitted; by direction: physical interfaces summed; unlabelled: both",
        ),
        _entry(
            "system.network.packets",
            "{packet}",
            "counter",
            "Packets received and transmitted; unlabelled: physical interfaces, both directions",
        ),
        _entry("system.network.errors", "{error}", "counter", "Packets with errors; unlabelled: physical interfaces, both directions"),
        _entry("system.network.dropped", "{packet}", "counter", "Packets dropped; unlabelled: physical interfaces, both directions"),
        _entry("system.network.speed", "By/s", "gauge", "Link speed"),
        _entry("system.network.up", "1", "gauge", "1 while an interface has a carrier; unlabelled: while any has"),
        _entry("system.network.full_duplex", "1", "gauge", "1 for full duplex, 0 for half; unlabelled: 0 when any is half"),
        _entry("system.network.carrier_changes", "{change}", "counter", "Times a link went up or down; unlabelled: of all"),
        _entry("system.network.softnet.dropped", "{packet}", "counter", "Received packets dropped because the queue of a CPU was full"),
        _entry("system.network.softnet.squeezed", "{time}", "counter", "Times a CPU ran out of its budget with received packets left"),
        _entry("system.conntrack.entries", "{connection}", "gauge", "Connections that the firewall tracks"),
        _entry("system.conntrack.limit", "{connection}", "gauge", "Connections that the firewall can track"),
        _entry("system.conntrack.utilization", "1", "gauge", "Used share of the table of tracked connections: when full, new ones fail"),
        _entry("system.tcp.retransmits", "{segment}", "counter", "TCP segments sent again"),
        _entry("system.tcp.established", "{connection}", "gauge", "TCP connections established"),
        _entry("system.tcp.segments.sent", "{segment}", "counter", "TCP segments sent, those sent again left out"),
        _entry("system.tcp.opens.active", "{connection}", "counter", "TCP connections begun from here"),
        _entry("system.tcp.opens.passive", "{connection}", "counter", "TCP connections begun from outside"),
        _entry("system.tcp.opens.failed", "{connection}", "counter", "TCP connections that were not established: refused, or no answer"),
        _entry("system.tcp.resets", "{connection}", "counter", "Established TCP connections that were reset"),
        _entry("system.tcp.listen.overflows", "{connection}", "counter", "TCP connections lost because a program did not accept in time"),
        _entry("system.tcp.listen.drops", "{connection}", "counter", "TCP connections lost before they were accepted, for any reason"),
        _entry("system.tcp.timeouts", "{timeout}", "counter", "TCP retransmission timers that ran out"),
        _entry("system.tcp.syn.retransmits", "{segment}", "counter", "TCP SYN segments sent again: the other end did not answer"),
        _entry("system.tcp.syn.cookies", "{segment}", "counter", "SYN cookies sent: the queue of half-open connections was full"),
        _entry("system.tcp.syn.dropped", "{segment}", "counter", "SYN segments dropped: the queue of half-open connections was full"),
        _entry(
            "system.tcp.aborts", "{connection}", "counter", "TCP connections given up; by type: memory, timeout; unlabelled: for any reason"
        ),
        _entry("system.tcp.time_wait", "{connection}", "gauge", "TCP connections that are over and keep their ports for a minute"),
        _entry("system.tcp.orphans", "{connection}", "gauge", "TCP connections that no program holds any more"),
        _entry("system.tcp.memory.usage", "By", "gauge", "Memory of all TCP sockets of the machine"),
        _entry("system.tcp.memory.utilization", "1", "gauge", "Memory of all TCP sockets as a share of what they may use"),
        _entry("system.fd.utilization", "1", "gauge", "Open files as a share of the system's limit"),
        _entry("system.fd.open", "{file}", "gauge", "Open files on the system"),
        _entry("system.temperature", "Cel", "gauge", "Temperature by sensor; unlabelled: the hottest one"),
        _entry("system.battery.charge", "1", "gauge", "Charge of the battery"),
        _entry("system.battery.plugged", "1", "gauge", "1 while the battery is on mains power"),
        _entry("system.uptime", "s", "gauge", "Time since boot"),
        _entry("system.oom_kills", "{process}", "counter", "Processes killed because memory ran out"),
        _entry(
            "system.logins.failed", "{attempt}", "counter", "Attempts to log in that failed, since the start; unknown while no log is read"
        ),
        _entry(
            "system.logins.breached",
            "{login}",
            "gauge",
            "Logins of the last hour that followed five failures or more of the same source, but for those with a key",
        ),
        _entry("system.array.degraded", "1", "gauge", "1 when an md array lacks a device or does not run; unlabelled: when any does"),
        _entry("system.array.failed", "{device}", "gauge", "Devices of an md array that failed; unlabelled: of all"),
        _entry("system.array.sync", "1", "gauge", "Done share of an md array's resync, recovery or check; unlabelled: the least"),
        _entry("system.clock.synchronized", "1", "gauge", "1 while something keeps the clock in step"),
        _entry("system.clock.error", "s", "gauge", "How far the clock may be off at most; of one that nothing keeps in step: at least 16"),
        _entry(
            "cgroup.cpu.utilization",
            "1",
            "gauge",
            "CPU use of a unit: of its quota, else in cores; unlabelled: the highest share of a quota",
        ),
        _entry(
            "cgroup.cpu.throttled.ratio",
            "1",
            "gauge",
            "Share of its quota's periods in which a unit was throttled; unlabelled: the highest",
        ),
        _entry(
            "cgroup.memory.utilization",
            "1",
            "gauge",
            "Share of its own limit that a unit uses, caches it can drop left out; unlabelled: the highest",
        ),
        _entry(
            "cgroup.oom_kills",
            "{process}",
            "counter",
            "Processes of a unit killed because memory ran out; unlabelled: of all units since they were made",
        ),
        _entry("system.units.failed", "{unit}", "gauge", "Units that failed and were neither started again nor reset (systemctl --failed)"),
        _entry("process.count", "{process}", "gauge", "Processes that exist; by state where labelled"),
        _entry("process.cpu.utilization", "1", "gauge", "CPU use of a process that is looked at, in cores"),
        _entry("process.memory.usage", "By", "gauge", "Resident set size of a process that is looked at"),
        _entry("process.disk.io", "By", "counter", "Storage bytes of a process that is looked at, by direction"),
        _entry("httpcheck.up", "1", "gauge", "1 when the last check found what is expected, 0 when not; of several: 1 when all were"),
        _entry("httpcheck.duration", "s", "gauge", "Latency of the last check; a timeout counts as long as it lasted, a quick failure not"),
        _entry("httpcheck.phase.duration", "s", "gauge", "Time of the last check by phase: dns, connect, tls, send, wait, transfer"),
        _entry("httpcheck.error.ratio", "1", "gauge", "Share of the checks of the last minute that failed"),
        _entry("httpcheck.status", "{code}", "gauge", "HTTP status of the last check"),
        _entry("httpcheck.size", "By", "gauge", "Bytes of the body of the last answer"),
        _entry("httpcheck.tls.expiry", "s", "gauge", "Time until the first certificate of the chain expires; below 0: since"),
        _entry("httpcheck.lateness", "s", "gauge", "How late the last check was started"),
        _entry("httpcheck.slot_wait", "s", "gauge", "How long the last check waited for its turn among the others; in no latency"),
        _entry("postgresql.up", "1", "gauge", "1 while the server answers, even if only to refuse; 0 when it does not, or is not ready"),
        _entry("postgresql.connections", "{connection}", "gauge", "Client connections, our own included; by application where labelled"),
        _entry(
            "postgresql.connections.utilization",
            "1",
            "gauge",
            "Client connections / (max_connections - reserved), 1 when it refuses; of a pooler: the fullest pool",
        ),
        _entry("postgresql.sessions", "{session}", "gauge", "Client sessions by state, our own left out"),
        _entry("postgresql.sessions.blocked", "{session}", "gauge", "Client sessions that wait for a lock"),
        _entry("postgresql.transactions", "{transaction}", "counter", "Transactions that ended, committed or rolled back"),
        _entry("postgresql.rollbacks", "{transaction}", "counter", "Transactions that were rolled back"),
        _entry("postgresql.deadlocks", "{deadlock}", "counter", "Deadlocks"),
        _entry("postgresql.cache.hit_ratio", "1", "gauge", "Share of blocks found in the server's buffers, over the last interval"),
        _entry("postgresql.blocks.read", "{block}", "counter", "Blocks read from outside the server's buffers"),
        _entry("postgresql.blocks.hit", "{block}", "counter", "Blocks found in the server's buffers"),
        _entry("postgresql.temp.bytes", "By", "counter", "Bytes written to temporary files"),
        _entry(
            "postgresql.temp.live", "By", "gauge", "Size of the temporary files there are now, those that parallel workers share left out"
        ),
        _entry("postgresql.wal.bytes", "By", "counter", "Write-ahead log position: written, or received by a standby"),
        _entry("postgresql.checkpoints", "{checkpoint}", "counter", "Checkpoints, timed and requested"),
        _entry(
            "postgresql.checkpoints.requested.ratio",
            "1",
            "gauge",
            "Share of the last checkpoints that was requested: of ten minutes, and of three at least; unknown on a standby",
        ),
        _entry("postgresql.archiver.failures", "{failure}", "counter", "Failed attempts to archive the write-ahead log"),
        _entry("postgresql.replication.lag", "s", "gauge", "How far replay is behind: here on a standby, else of the slowest standby"),
        _entry("postgresql.replication.slot.retained", "By", "gauge", "Log kept for the replication slot that is furthest behind"),
        _entry(
            "postgresql.replication.slots.lost",
            "{slot}",
            "gauge",
            "Replication slots whose log is gone, or goes with the next checkpoint (wal_status lost or unreserved)",
        ),
        _entry("postgresql.xid.age", "{transaction}", "gauge", "Age of the oldest transaction id not yet frozen; wraparound is at 2e9"),
        _entry("postgresql.transaction.longest", "s", "gauge", "Age of the oldest open transaction of a client, our own left out"),
        _entry("postgresql.transaction.idle", "s", "gauge", "How long the client that idles in a transaction for longest has done so"),
        _entry("postgresql.pool.waiting", "{client}", "gauge", "Clients of a pooler that wait for a connection to a server"),
        _entry("postgresql.pool.max_wait", "s", "gauge", "How long the client that is first in a pooler's queue has waited"),
        _entry("postgresql.statement.load", "1", "gauge", "Average active sessions: execution and planning time a second"),
        _entry("postgresql.statement.mean", "s", "gauge", "Mean execution time of a call over the last interval"),
        _entry(
            "postgresql.statement.longest",
            "s",
            "gauge",
            "Age of the oldest statement that runs now; in all databases: without COPY and our own",
        ),
        _entry(
            "postgresql.statement.slowest",
            "s",
            "gauge",
            "How long the longest execution took, at least, that ended in the last interval, while statements are read; without COPY, "
            "maintenance, what is excluded, and our own, as far as their texts are known",
        ),
        _entry("postgresql.statements.evictions", "{eviction}", "counter", "Evictions from pg_stat_statements: it is too small"),
        _entry("perfconsole.cpu.utilization", "1", "gauge", "CPU use of perfconsole itself, in cores"),
        _entry("perfconsole.memory.usage", "By", "gauge", "Resident set size of perfconsole itself"),
        _entry("perfconsole.collector.blind", "1", "gauge", "1 while a target cannot be measured that is configured, or could be before"),
        _entry("perfconsole.tick.lateness", "s", "gauge", "How late the last collection started"),
        _entry("perfconsole.terminal.bytes", "By", "counter", "Bytes written to the terminal"),
    )
)


def is_counter(name: str) -> bool:
    """Whether rates are to be made of a metric's samples; an unknown name is a gauge."""
    metric = METRICS.get(name)
    return metric is not None and metric.kind == "counter"
