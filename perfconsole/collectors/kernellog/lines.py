"""Lines of the kernel log that say something: a table of patterns, each with the place in the kernel that prints it. Pure.

OOM kills, which are several lines, are in `oom`; what a form means is in `meanings`.

Only whole forms from the beginning of a line count, because much of a line may be somebody's to choose: a process names itself, and
``[pid]: segfault at`` follows that name. Words are looked for before patterns: 40 of those cost less than one pattern, and a pattern is
compiled when its word is first seen, because all of them take longer (20 ms) than a start may.

Links that lose their carrier and arrays that lose a disk are not among them: whoever may read no log sees those as well, and more of them
(`collectors.system`); told by both, they would be told twice.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple

from perfconsole.collectors.kernellog.meanings import (
    CRITICAL,
    WARNING,
    Finding,
    btrfs,
    buffer_error,
    bus,
    disk,
    edac,
    host,
    io_error,
    machine_check,
    nvme_late,
    platform_error,
    segfault,
    trap,
    watchdog,
    writeback,
)


class _Form(NamedTuple):
    """A form of line: a word it has to hold, its pattern, and what it means."""

    word: str
    pattern: str
    meaning: Callable[[re.Match[str]], Finding | None]


def classify(message: str) -> Finding | None:
    """What a line of the kernel's says; None where it is nothing to tell of.

    Args:
        message: Without level and stamp; safe text.
    """
    for word, pattern, meaning in _FORMS:
        if word in message and (match := compiled(pattern).match(message)):
            return meaning(match)
    return None


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern, compiled when it is first needed."""
    return re.compile(pattern)


def _form(word: str, pattern: str, meaning: Callable[[re.Match[str]], Finding | None]) -> _Form:
    return _Form(word, pattern, meaning)


_NET: Final = r"(?:[^\s:]\S* [0-9a-fA-F:.\-]+ )?"
"""netdev_printk(): driver and place on its bus, before the name of an interface; net/core/dev.c."""

_FORMS: Final = (
    # block/blk-mq.c blk_print_req_error(); blk_update_request (3.x to 5.x) and end_request (2.6, 3.x) in block/blk-core.c. What a device
    # does not support, and a reservation that another host holds, are no errors of it.
    _form(
        " error, dev ",
        r"(?:blk_update_request: |print_req_error: |end_request: )?(?P<sort>I/O|timeout|critical (?:medium|target|nexus|space allocation)|"
        r"recoverable transport|protection|kernel resource) error, dev (?P<device>\S+), sector (?P<sector>\d+)"
        r"(?: op 0x\w+:\((?P<operation>\w+)\))?",
        io_error,
    ),
    # fs/buffer.c buffer_io_error()
    _form(
        "Buffer I/O error on dev",
        r"Buffer I/O error on dev(?:ice)? (?P<device>\S+), logical block (?P<block>\d+)(?P<what>.*)",
        buffer_error,
    ),
    # drivers/nvme/host/pci.c nvme_timeout()
    _form(
        "nvme",
        r"nvme (nvme\d+): (?:I/O (?:tag )?\d+ .*timeout(, completion polled)?|controller is down)",
        nvme_late,
    ),
    # drivers/scsi/scsi_lib.c, scsi_error.c
    _form(
        "offline",
        r"sd (?:[\d:]+: \[)?([\w:]+?)(?:\]|:) (?:Device offlined|rejecting I/O to offline device)",
        host("offline {0}", CRITICAL, "disk {0} was taken offline after errors"),
    ),
    # drivers/ata/libata-eh.c ata_eh_link_report()
    _form("exception Emask", r"(ata[\d.]+): exception Emask", host("{0}", WARNING, "{0}: the disk at this port reported an error")),
    # fs/ext4/super.c __ext4_error() and __ext4_std_error(); ext2 and ext3 alike
    _form("-fs error", r"EXT\d-fs error \(device ([^)]+)\)(?: in)?:? (.*)", disk("ext", CRITICAL, "EXT4 error on {0}: {1}")),
    _form(
        "ead-only",
        r"\S+ \(([^)]+)\): (?:[Rr]emounting (?:filesystem )?|Filesystem has been set )read-only",
        disk("read-only", CRITICAL, "{0}: the filesystem was made read-only after an error"),
    ),
    _form("Data will be lost", r"EXT4-fs \(([^)]+)\): This should not happen", disk("lost", CRITICAL, "{0}: written data is lost")),
    # fs/ext4/page-io.c ext4_end_bio(); fs/iomap/buffered-io.c, for XFS and others
    _form(
        "error",
        r"EXT4-fs warning \(device ([^)]+)\): ext4_end_bio:\d+: I/O error -?\d+ writing to inode (\d+)",
        disk("lost", CRITICAL, "{0}: written data is lost: inode {1}"),
    ),
    _form(
        ": writeback error on inode ",
        r"(?:XFS \(([\w-]+)\)|([\w-]+)): writeback error on inode (\d+)",
        writeback,
    ),
    # fs/jbd2/journal.c
    _form(
        "Aborting journal",
        r"Aborting journal on device (\S+?)(?:-\d+)?\.",
        disk("journal", CRITICAL, "{0}: the filesystem gave up its journal"),
    ),
    # fs/xfs: xfs_fsops.c xfs_do_force_shutdown(), xfs_error.c, xfs_buf.c
    _form(
        "XFS (",
        r"XFS \(([^)]+)\): ((?:.*(?:[Cc]orruption|CRC error|Internal error|I/O [Ee]rror|has been shut down|[Ss]hutting down)).*)",
        disk("xfs", CRITICAL, "XFS error on {0}: {1}"),
    ),
    # fs/btrfs/messages.c
    _form(
        "BTRFS",
        r"BTRFS:? (?:error|critical|alert|emergency) \(device (?P<device>[^\s):]+)[^)]*\)(?: in [^:]+:\d+)?: (?P<what>.*)",
        btrfs,
    ),
    _form("BTRFS", r"BTRFS info \(device (?P<device>[^\s):]+)[^)]*\): (?P<what>forced readonly.*)", btrfs),
    # fs/btrfs/compression.c, inode.c: btrfs_print_data_csum_error()
    _form(
        "csum failed",
        r"BTRFS warning \(device ([^\s):]+)[^)]*\): csum failed (root .*?ino \d+)",
        disk("btrfs csum", CRITICAL, "BTRFS on {0}: data is not what was written: {1}"),
    ),
    # drivers/md/dm-thin.c notify_of_pool_mode_change()
    _form(
        "device-mapper: thin: ",
        r"device-mapper: thin: (\S+): switching pool to (out-of-data-space[^:]*|read-only|fail) mode",
        host("thin {0}", CRITICAL, "thin pool {0} is in mode {1}: what is written to its volumes waits or fails"),
    ),
    # drivers/md/dm-mpath.c fail_path()
    _form(
        "Failing path ",
        r"device-mapper: multipath: (?:\S+: )?Failing path (\S+?)\.",
        host("path {0}", WARNING, "a path to a disk failed: {0} (multipath)"),
    ),
    # net/sunrpc, fs/nfs: rpc_check_timeout(); fs/smb/client/connect.c server_unresponsive()
    _form("not responding", r"nfs: server (\S+) not responding", host("nfs {0}", WARNING, "NFS server {0} does not answer")),
    _form(
        "has not responded in",
        r"CIFS:? VFS: (?:Server )?(\S+) has not responded in \d+ seconds",
        host("cifs {0}", WARNING, "SMB server {0} does not answer"),
    ),
    # kernel/cgroup/pids.c pids_event()
    _form(
        "fork rejected",
        r"cgroup: fork rejected by pids controller in (\S+)",
        host("pids {0}", CRITICAL, "no process can be started in {0}: its limit of tasks is reached"),
    ),
    # fs/file_table.c alloc_empty_file()
    _form(
        "file-max",
        r"VFS: file-max limit (\d+) reached",
        host("file-max", CRITICAL, "no file can be opened: all {0} of fs.file-max are in use"),
    ),
    # kernel/hung_task.c check_hung_task()
    _form(
        "blocked ",
        r"INFO: task (.+):(\d+) blocked (?:in I/O wait )?for more than (\d+) seconds",
        host("hung {0}", WARNING, "{0} (pid {1}) hangs in the kernel: blocked for more than {2} s"),
    ),
    # kernel/rcu/tree_stall.h
    _form(
        "rcu",
        r"(?:rcu: )?INFO: (rcu\w*)(?::)? .*detected (?:expedited )?stall",
        host("rcu", CRITICAL, "a CPU does not come to rest: {0} stall"),
    ),
    # kernel/watchdog.c, watchdog_perf.c
    _form(
        "soft lockup",
        r"(?:NMI )?(?:watchdog: )?BUG: soft lockup - CPU#(\d+) stuck for (\d+)s! \[(.+):(\d+)\]",
        host("soft lockup", CRITICAL, "CPU {0} was stuck in the kernel for {1} s in {2} (pid {3})"),
    ),
    _form(
        "hard LOCKUP",
        r"(?:NMI )?(?:watchdog: )?(?:CPU\d+: )?Watchdog detected hard LOCKUP on cpu (\d+)",
        host("hard lockup", CRITICAL, "CPU {0} was stuck in the kernel and took no interrupts"),
    ),
    # arch/x86/mm/fault.c show_fault_oops(), lib/bug.c, kernel/panic.c
    _form("BUG: ", r"BUG: ((?:unable to handle|kernel NULL pointer) .*)", host("oops", CRITICAL, "fault in the kernel: {0}")),
    _form("kernel BUG at", r"kernel BUG at (\S+?)!", host("oops", CRITICAL, "fault in the kernel at {0}")),
    _form("Oops: ", r"(?:Internal error: )?(Oops: .*)", host("oops", CRITICAL, "fault in the kernel: {0}")),
    # net/netfilter/nf_conntrack_core.c __nf_conntrack_alloc()
    _form(
        "table full",
        r"(?:(?:nf|ip)_conntrack: )+table full(?: in netns \d+)?, dropping packet",
        host("conntrack", CRITICAL, "packets are dropped: the table of connections (nf_conntrack) is full"),
    ),
    # net/core/neighbour.c neigh_alloc()
    _form(
        "table overflow",
        r"neighbou?r: (\w+): neighbou?r table overflow",
        host("{0}", WARNING, "packets are dropped: the neighbour table ({0}) is full"),
    ),
    # net/ipv4/tcp_input.c tcp_syn_flood_action()
    _form(
        "SYN flooding",
        r"(?:TCP: )?(?:request_sock_TCP\w*: )?[Pp]ossible SYN flooding on port (\S+?)\. ",
        host("syn {0}", WARNING, "more connections than port {0} takes: its queue is full, or a SYN flood"),
    ),
    # net/ipv4/tcp.c tcp_check_oom()
    _form("TCP: out of memory", r"TCP: out of memory", host("tcp memory", CRITICAL, "TCP ran out of memory (net.ipv4.tcp_mem)")),
    # mm/page_alloc.c warn_alloc()
    _form(
        "page allocation failure",
        r"(.{1,63}?): page allocation failure[.:] order:(\d+)",
        host("allocation", WARNING, "the kernel could not get memory for {0} (2^{1} pages in a row)"),
    ),
    # arch/x86/mm/fault.c show_signal_msg()
    _form(
        "]: segfault at ",
        r"(?P<name>.{1,63}?)\[(?P<pid>\d+)\]: segfault at \w+ ip \w+ sp \w+ error \w+(?: in (?P<where>[^\[,]+))?",
        segfault,
    ),
    # arch/x86/kernel/traps.c show_signal()
    _form(
        "traps: ",
        r"traps: (?P<name>.{1,63}?)\[(?P<pid>\d+)\] (?:trap )?(?P<what>[a-z0-9 ]+?)(?: fault)? ip:\w+ sp:\w+ error:\w+"
        r"(?: in (?P<where>[^\[,]+))?",
        trap,
    ),
    # arch/arm64/kernel/traps.c arm64_show_signal()
    _form("]: unhandled ", r"(?P<name>.{1,63}?)\[(?P<pid>\d+)\]: unhandled (?P<what>.+?) \(\d+\) at 0x\w+(?P<where>)", trap),
    # arch/powerpc/kernel/traps.c show_signal_msg()
    _form(
        " nip ",
        r"(?P<name>.{1,63}?)\[(?P<pid>\d+)\]: (?P<what>[a-z ]+?) \(\d+\) at \w+ nip \w+ lr \w+ code \w+(?: in (?P<where>[^\[,]+))?",
        trap,
    ),
    # net/sched/sch_generic.c dev_watchdog()
    _form(
        "NETDEV WATCHDOG: ",
        rf"(?:NETDEV WATCHDOG: (?P<old>\S+) \([^)]*\)|{_NET}(?P<new>[^\s:]+)(?: \([^)]*\))?: NETDEV WATCHDOG: CPU: \d+)"
        r": transmit queue (?P<queue>\d+) timed out",
        watchdog,
    ),
    # drivers/net/ethernet/intel/e1000e/netdev.c
    _form("Unit Hang", rf"{_NET}([^\s:]+): Detected Hardware Unit Hang", host("hang {0}", CRITICAL, "{0}: the network card hangs")),
    # drivers/edac/edac_mc.c edac_mc_printk()
    _form("EDAC ", r"EDAC (\S+): (\d+) (CE|UE) (.*)", edac),
    # mm/memory-failure.c kill_proc()
    _form(
        "hardware memory corruption",
        r"Memory failure: 0x\w+: .*?[Kk]illing (.+):(\d+) due to hardware memory corruption",
        host("memory failure", CRITICAL, "{0} (pid {1}) was killed: its memory is defective"),
    ),
    # arch/x86/kernel/cpu/mce/core.c
    _form("[Hardware Error]", r"mce: \[Hardware Error\]: (Machine check events logged|CPU \d+: Machine Check.*)", machine_check),
    # drivers/firmware/efi/cper.c cper_estatus_print(), for drivers/acpi/apei/ghes.c
    _form("[Hardware Error]", r"\{\d+\}\[Hardware Error\]: event severity: (corrected|recoverable|fatal|info)", platform_error),
    # drivers/pci/pcie/aer.c aer_print_error()
    _form("PCIe Bus Error", r"\S+ (\S+): (?:AER: )?PCIe Bus Error: severity=([^,]+),", bus),
    # drivers/thermal/intel/therm_throt.c
    _form(
        "temperature",
        r"(?:mce: )?CPU(\d+): (?:Core|Package) temperature (?:is )?above threshold, cpu clock (?:is )?throttled",
        host("hot", WARNING, "CPU {0} is too hot and was slowed down"),
    ),
    # drivers/thermal/thermal_core.c handle_critical_trips()
    _form(
        "temperature reached",
        r"(?:thermal )?(\S+): critical temperature reached",
        host("critical heat", CRITICAL, "{0}: critical temperature: the machine shuts down"),
    ),
    # kernel/time/clocksource.c clocksource_verify_percpu() and its watchdog
    _form(
        "clocksource",
        r"clocksource: timekeeping watchdog on CPU\d+: Marking clocksource '(\w+)' as unstable",
        host("clocksource", WARNING, "the clock source {0} is unstable and not used any more: reading the time is slower"),
    ),
)
