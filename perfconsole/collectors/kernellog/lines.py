"""What a line of the kernel log means: a table of patterns, each with the place in the kernel that prints it. Pure; OOM kills are in `oom`.

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

_WARNING: Final = "warning"
_CRITICAL: Final = "critical"
_DEVICE_BYTES: Final = 64


class Finding(NamedTuple):
    """What one line says.

    Attributes:
        kind: Of the event; `scope`, `text` and `severity` are its, too.
        subject: What together with the kind and the scope is the same thing again.
    """

    kind: str
    scope: str
    text: str
    severity: str
    subject: str


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


def _device(name: str) -> str:
    return f"/dev/{name[:_DEVICE_BYTES]}"


def _is_removable(device: str) -> bool:
    """The drives without a disk that virtual machines have: asked at every boot, and no loss."""
    return device[:2] in ("fd", "sr") and device[2:].isdigit()


def _host(subject: str, severity: str, text: str) -> Callable[[re.Match[str]], Finding]:
    """About the machine; the text may name groups of the pattern as ``{0}``."""

    def meaning(match: re.Match[str]) -> Finding:
        said = [group or "" for group in match.groups()]
        return Finding("kernel", "host", text.format(*said), severity, subject.format(*said))

    return meaning


def _disk(subject: str, severity: str, text: str) -> Callable[[re.Match[str]], Finding | None]:
    """About the block device that the first group names."""

    def meaning(match: re.Match[str]) -> Finding | None:
        said = [group or "" for group in match.groups()]
        if _is_removable(said[0]):
            return None
        return Finding("kernel", _device(said[0]), text.format(*said), severity, subject)

    return meaning


def _io_error(match: re.Match[str]) -> Finding | None:
    device, sort, sector, operation = match["device"], match["sort"], match["sector"], match["operation"]
    doing = {"READ": " reading", "WRITE": " writing", "FLUSH": " flushing"}.get(operation or "", "")
    if _is_removable(device):
        return None
    return Finding("kernel", _device(device), f"{device}: {sort} error{doing} sector {sector}", _CRITICAL, "io")


def _buffer_error(match: re.Match[str]) -> Finding | None:
    device, block, what = match["device"], match["block"], match["what"] or ""
    if _is_removable(device):
        return None
    lost = "written data is lost" if "lost" in what else "I/O error"
    return Finding("kernel", _device(device), f"{device}: {lost} at block {block}", _CRITICAL, "buffer")


def _btrfs(match: re.Match[str]) -> Finding:
    return Finding("kernel", _device(match["device"]), f"BTRFS error on {match['device']}: {match['what']}", _CRITICAL, "btrfs")


def _segfault(match: re.Match[str]) -> Finding:
    name, pid, where = match["name"], match["pid"], match["where"]
    text = f"{name} (pid {pid}) crashed: segmentation fault" + (f" in {where.strip()}" if where else "")
    return Finding("kernel", "host", text, _WARNING, f"crash {name}")


def _trap(match: re.Match[str]) -> Finding:
    name, pid, what, where = match["name"], match["pid"], match["what"], match["where"]
    text = f"{name} (pid {pid}) crashed: {what}" + (f" in {where.strip()}" if where else "")
    return Finding("kernel", "host", text, _WARNING, f"crash {name}")


def _watchdog(match: re.Match[str]) -> Finding:
    name = match["old"] or match["new"]
    return Finding("kernel", "host", f"{name}: sending hangs: transmit queue {match['queue']} timed out", _CRITICAL, f"watchdog {name}")


def _edac(match: re.Match[str]) -> Finding:
    where, count, sort, what = match.groups()
    severity, word = (_CRITICAL, "uncorrectable") if sort == "UE" else (_WARNING, "corrected")
    return Finding("kernel", "host", f"memory {where}: {count} {word} errors: {what}", severity, f"edac {sort}")


def _bus(match: re.Match[str]) -> Finding:
    where, severity = match.groups()
    corrected = severity.startswith("Correct")  # nothing was lost, and some machines have one every second for years
    return Finding("kernel", "host", f"PCIe bus error at {where}: {severity.lower()}", "info" if corrected else _CRITICAL, f"pcie {where}")


def _machine_check(match: re.Match[str]) -> Finding:
    """Corrected errors of memory and bus are logged in the same words: only an exception is known to be none."""
    severity = _CRITICAL if "Exception" in match[1] else _WARNING
    return Finding("kernel", "host", f"hardware error: {match[1]}", severity, f"mce {severity}")


def _platform_error(match: re.Match[str]) -> Finding:
    severity = {"corrected": _WARNING, "info": "info"}.get(match[1], _CRITICAL)
    return Finding("kernel", "host", f"hardware error: the firmware reports one that is {match[1]}", severity, f"firmware {severity}")


def _nvme_late(match: re.Match[str]) -> Finding:
    name = match[1]
    if match[2]:
        return Finding("kernel", _device(name), f"{name}: an interrupt was missed, and the answer found late", _WARNING, "nvme interrupt")
    return Finding("kernel", _device(name), f"{name}: the controller does not answer in time", _CRITICAL, "nvme")


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
        _io_error,
    ),
    # fs/buffer.c buffer_io_error()
    _form(
        "Buffer I/O error on dev",
        r"Buffer I/O error on dev(?:ice)? (?P<device>\S+), logical block (?P<block>\d+)(?P<what>.*)",
        _buffer_error,
    ),
    # drivers/nvme/host/pci.c nvme_timeout()
    _form(
        "nvme",
        r"nvme (nvme\d+): (?:I/O (?:tag )?\d+ .*timeout(, completion polled)?|controller is down)",
        _nvme_late,
    ),
    # drivers/scsi/scsi_lib.c, scsi_error.c
    _form(
        "offline",
        r"sd (?:[\d:]+: \[)?([\w:]+?)(?:\]|:) (?:Device offlined|rejecting I/O to offline device)",
        _host("offline {0}", _CRITICAL, "disk {0} was taken offline after errors"),
    ),
    # drivers/ata/libata-eh.c ata_eh_link_report()
    _form("exception Emask", r"(ata[\d.]+): exception Emask", _host("{0}", _WARNING, "{0}: the disk at this port reported an error")),
    # fs/ext4/super.c __ext4_error() and __ext4_std_error(); ext2 and ext3 alike
    _form("-fs error", r"EXT\d-fs error \(device ([^)]+)\)(?: in)?:? (.*)", _disk("ext", _CRITICAL, "EXT4 error on {0}: {1}")),
    _form(
        "ead-only",
        r"\S+ \(([^)]+)\): (?:[Rr]emounting (?:filesystem )?|Filesystem has been set )read-only",
        _disk("read-only", _CRITICAL, "{0}: the filesystem was made read-only after an error"),
    ),
    _form("Data will be lost", r"EXT4-fs \(([^)]+)\): This should not happen", _disk("lost", _CRITICAL, "{0}: written data is lost")),
    # fs/jbd2/journal.c
    _form(
        "Aborting journal",
        r"Aborting journal on device (\S+?)(?:-\d+)?\.",
        _disk("journal", _CRITICAL, "{0}: the filesystem gave up its journal"),
    ),
    # fs/xfs: xfs_fsops.c xfs_do_force_shutdown(), xfs_error.c, xfs_buf.c
    _form(
        "XFS (",
        r"XFS \(([^)]+)\): ((?:.*(?:[Cc]orruption|CRC error|Internal error|I/O [Ee]rror|has been shut down|[Ss]hutting down)).*)",
        _disk("xfs", _CRITICAL, "XFS error on {0}: {1}"),
    ),
    # fs/btrfs/messages.c
    _form(
        "BTRFS",
        r"BTRFS:? (?:error|critical|alert|emergency) \(device (?P<device>[^\s)]+)[^)]*\)(?: in [^:]+:\d+)?: (?P<what>.*)",
        _btrfs,
    ),
    _form("BTRFS", r"BTRFS info \(device (?P<device>[^\s)]+)[^)]*\): (?P<what>forced readonly.*)", _btrfs),
    # net/sunrpc, fs/nfs: rpc_check_timeout()
    _form("not responding", r"nfs: server (\S+) not responding", _host("nfs {0}", _WARNING, "NFS server {0} does not answer")),
    # fs/file_table.c alloc_empty_file()
    _form(
        "file-max",
        r"VFS: file-max limit (\d+) reached",
        _host("file-max", _CRITICAL, "no file can be opened: all {0} of fs.file-max are in use"),
    ),
    # kernel/hung_task.c check_hung_task()
    _form(
        "blocked ",
        r"INFO: task (.+):(\d+) blocked (?:in I/O wait )?for more than (\d+) seconds",
        _host("hung {0}", _WARNING, "{0} (pid {1}) hangs in the kernel: blocked for more than {2} s"),
    ),
    # kernel/rcu/tree_stall.h
    _form(
        "rcu",
        r"(?:rcu: )?INFO: (rcu\w*)(?::)? .*detected (?:expedited )?stall",
        _host("rcu", _CRITICAL, "a CPU does not come to rest: {0} stall"),
    ),
    # kernel/watchdog.c, watchdog_perf.c
    _form(
        "soft lockup",
        r"(?:NMI )?(?:watchdog: )?BUG: soft lockup - CPU#(\d+) stuck for (\d+)s! \[(.+):(\d+)\]",
        _host("soft lockup", _CRITICAL, "CPU {0} was stuck in the kernel for {1} s in {2} (pid {3})"),
    ),
    _form(
        "hard LOCKUP",
        r"(?:NMI )?(?:watchdog: )?(?:CPU\d+: )?Watchdog detected hard LOCKUP on cpu (\d+)",
        _host("hard lockup", _CRITICAL, "CPU {0} was stuck in the kernel and took no interrupts"),
    ),
    # arch/x86/mm/fault.c show_fault_oops(), lib/bug.c, kernel/panic.c
    _form("BUG: ", r"BUG: ((?:unable to handle|kernel NULL pointer) .*)", _host("oops", _CRITICAL, "fault in the kernel: {0}")),
    _form("kernel BUG at", r"kernel BUG at (\S+?)!", _host("oops", _CRITICAL, "fault in the kernel at {0}")),
    _form("Oops: ", r"(?:Internal error: )?(Oops: .*)", _host("oops", _CRITICAL, "fault in the kernel: {0}")),
    # net/netfilter/nf_conntrack_core.c __nf_conntrack_alloc()
    _form(
        "table full",
        r"(?:(?:nf|ip)_conntrack: )+table full(?: in netns \d+)?, dropping packet",
        _host("conntrack", _CRITICAL, "packets are dropped: the table of connections (nf_conntrack) is full"),
    ),
    # net/core/neighbour.c neigh_alloc()
    _form(
        "table overflow",
        r"neighbou?r: (\w+): neighbou?r table overflow",
        _host("{0}", _WARNING, "packets are dropped: the neighbour table ({0}) is full"),
    ),
    # net/ipv4/tcp_input.c tcp_syn_flood_action()
    _form(
        "SYN flooding",
        r"(?:TCP: )?(?:request_sock_TCP\w*: )?[Pp]ossible SYN flooding on port (\S+?)\. ",
        _host("syn {0}", _WARNING, "more connections than port {0} takes: its queue is full, or a SYN flood"),
    ),
    # net/ipv4/tcp.c tcp_check_oom()
    _form("TCP: out of memory", r"TCP: out of memory", _host("tcp memory", _CRITICAL, "TCP ran out of memory (net.ipv4.tcp_mem)")),
    # mm/page_alloc.c warn_alloc()
    _form(
        "page allocation failure",
        r"(.{1,63}?): page allocation failure[.:] order:(\d+)",
        _host("allocation", _WARNING, "the kernel could not get memory for {0} (2^{1} pages in a row)"),
    ),
    # arch/x86/mm/fault.c show_signal_msg()
    _form(
        "]: segfault at ",
        r"(?P<name>.{1,63}?)\[(?P<pid>\d+)\]: segfault at \w+ ip \w+ sp \w+ error \w+(?: in (?P<where>[^\[,]+))?",
        _segfault,
    ),
    # arch/x86/kernel/traps.c show_signal()
    _form(
        "traps: ",
        r"traps: (?P<name>.{1,63}?)\[(?P<pid>\d+)\] (?:trap )?(?P<what>[a-z0-9 ]+?)(?: fault)? ip:\w+ sp:\w+ error:\w+"
        r"(?: in (?P<where>[^\[,]+))?",
        _trap,
    ),
    # arch/arm64/kernel/traps.c arm64_show_signal()
    _form("]: unhandled ", r"(?P<name>.{1,63}?)\[(?P<pid>\d+)\]: unhandled (?P<what>.+?) \(\d+\) at 0x\w+(?P<where>)", _trap),
    # net/sched/sch_generic.c dev_watchdog()
    _form(
        "NETDEV WATCHDOG: ",
        rf"(?:NETDEV WATCHDOG: (?P<old>\S+) \([^)]*\)|{_NET}(?P<new>[^\s:]+)(?: \([^)]*\))?: NETDEV WATCHDOG: CPU: \d+)"
        r": transmit queue (?P<queue>\d+) timed out",
        _watchdog,
    ),
    # drivers/net/ethernet/intel/e1000e/netdev.c
    _form("Unit Hang", rf"{_NET}([^\s:]+): Detected Hardware Unit Hang", _host("hang {0}", _CRITICAL, "{0}: the network card hangs")),
    # drivers/edac/edac_mc.c edac_mc_printk()
    _form("EDAC ", r"EDAC (\S+): (\d+) (CE|UE) (.*)", _edac),
    # mm/memory-failure.c kill_proc()
    _form(
        "hardware memory corruption",
        r"Memory failure: 0x\w+: .*?[Kk]illing (.+):(\d+) due to hardware memory corruption",
        _host("memory failure", _CRITICAL, "{0} (pid {1}) was killed: its memory is defective"),
    ),
    # arch/x86/kernel/cpu/mce/core.c
    _form("[Hardware Error]", r"mce: \[Hardware Error\]: (Machine check events logged|CPU \d+: Machine Check.*)", _machine_check),
    # drivers/firmware/efi/cper.c cper_estatus_print(), for drivers/acpi/apei/ghes.c
    _form("[Hardware Error]", r"\{\d+\}\[Hardware Error\]: event severity: (corrected|recoverable|fatal|info)", _platform_error),
    # drivers/pci/pcie/aer.c aer_print_error()
    _form("PCIe Bus Error", r"\S+ (\S+): (?:AER: )?PCIe Bus Error: severity=([^,]+),", _bus),
    # drivers/thermal/intel/therm_throt.c
    _form(
        "temperature",
        r"(?:mce: )?CPU(\d+): (?:Core|Package) temperature (?:is )?above threshold, cpu clock (?:is )?throttled",
        _host("hot", _WARNING, "CPU {0} is too hot and was slowed down"),
    ),
    # drivers/thermal/thermal_core.c handle_critical_trips()
    _form(
        "temperature reached",
        r"(?:thermal )?(\S+): critical temperature reached",
        _host("critical heat", _CRITICAL, "{0}: critical temperature: the machine shuts down"),
    ),
    # kernel/time/clocksource.c clocksource_verify_percpu() and its watchdog
    _form(
        "clocksource",
        r"clocksource: timekeeping watchdog on CPU\d+: Marking clocksource '(\w+)' as unstable",
        _host("clocksource", _WARNING, "the clock source {0} is unstable and not used any more: reading the time is slower"),
    ),
)
