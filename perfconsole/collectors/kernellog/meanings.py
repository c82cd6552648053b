"""What the forms of `lines` mean, once their groups are known: whose it is, how bad, and in which words. Pure."""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

WARNING: Final = "warning"
CRITICAL: Final = "critical"
_DEVICE_BYTES: Final = 64

_OFFERED: Final = frozenset({"DISCARD", "SECURE_ERASE", "WRITE_SAME", "WRITE_ZEROES"})
"""What a disk that has no such thing refuses when it is first asked, by fstrim at night: nothing is lost, and the kernel does without."""


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


def _device(name: str) -> str:
    return f"/dev/{name[:_DEVICE_BYTES]}"


def _is_removable(device: str) -> bool:
    """The drives without a disk that virtual machines have: asked at every boot, and no loss."""
    return device[:2] in ("fd", "sr") and device[2:].isdigit()


def host(subject: str, severity: str, text: str) -> Callable[[re.Match[str]], Finding]:
    """About the machine; the text may name groups of the pattern as ``{0}``."""

    def meaning(match: re.Match[str]) -> Finding:
        said = [group or "" for group in match.groups()]
        return Finding("kernel", "host", text.format(*said), severity, subject.format(*said))

    return meaning


def disk(subject: str, severity: str, text: str) -> Callable[[re.Match[str]], Finding | None]:
    """About the block device that the first group names."""

    def meaning(match: re.Match[str]) -> Finding | None:
        said = [group or "" for group in match.groups()]
        if _is_removable(said[0]):
            return None
        return Finding("kernel", _device(said[0]), text.format(*said), severity, subject)

    return meaning


def io_error(match: re.Match[str]) -> Finding | None:
    """A request that a block device failed."""
    device, sort, sector, operation = match["device"], match["sort"], match["sector"], match["operation"]
    doing = {"READ": " reading", "WRITE": " writing", "FLUSH": " flushing"}.get(operation or "", "")
    if _is_removable(device) or (sort == "critical target" and operation in _OFFERED):
        return None
    return Finding("kernel", _device(device), f"{device}: {sort} error{doing} sector {sector}", CRITICAL, "io")


def buffer_error(match: re.Match[str]) -> Finding | None:
    """A block of a buffer that could not be read, or written."""
    device, block, what = match["device"], match["block"], match["what"] or ""
    if _is_removable(device):
        return None
    lost = "written data is lost" if "lost" in what else "I/O error"
    return Finding("kernel", _device(device), f"{device}: {lost} at block {block}", CRITICAL, "buffer")


def btrfs(match: re.Match[str]) -> Finding:
    """What BTRFS says of a device."""
    return Finding("kernel", _device(match["device"]), f"BTRFS error on {match['device']}: {match['what']}", CRITICAL, "btrfs")


def segfault(match: re.Match[str]) -> Finding:
    """A program that touched memory that it has not."""
    name, pid, where = match["name"], match["pid"], match["where"]
    text = f"{name} (pid {pid}) crashed: segmentation fault" + (f" in {where.strip()}" if where else "")
    return Finding("kernel", "host", text, WARNING, f"crash {name}")


def trap(match: re.Match[str]) -> Finding:
    """A program that the processor stopped for another reason."""
    name, pid, what, where = match["name"], match["pid"], match["what"], match["where"]
    text = f"{name} (pid {pid}) crashed: {what}" + (f" in {where.strip()}" if where else "")
    return Finding("kernel", "host", text, WARNING, f"crash {name}")


def watchdog(match: re.Match[str]) -> Finding:
    """A network card that does not send."""
    name = match["old"] or match["new"]
    return Finding("kernel", "host", f"{name}: sending hangs: transmit queue {match['queue']} timed out", CRITICAL, f"watchdog {name}")


def writeback(match: re.Match[str]) -> Finding | None:
    """Data that were taken and could not be written."""
    device = match[1] or match[2]
    return Finding("kernel", _device(device), f"{device}: written data is lost: inode {match[3]}", CRITICAL, "lost")


def edac(match: re.Match[str]) -> Finding:
    """Errors that a memory controller counted."""
    where, count, sort, what = match.groups()
    severity, word = (CRITICAL, "uncorrectable") if sort == "UE" else (WARNING, "corrected")
    return Finding("kernel", "host", f"memory {where}: {count} {word} errors: {what}", severity, f"edac {sort}")


def bus(match: re.Match[str]) -> Finding:
    """An error on the PCIe bus."""
    where, severity = match.groups()
    corrected = severity.startswith("Correct")  # nothing was lost, and some machines have one every second for years
    return Finding("kernel", "host", f"PCIe bus error at {where}: {severity.lower()}", "info" if corrected else CRITICAL, f"pcie {where}")


def machine_check(match: re.Match[str]) -> Finding:
    """Corrected errors of memory and bus are logged in the same words: only an exception is known to be none."""
    severity = CRITICAL if "Exception" in match[1] else WARNING
    return Finding("kernel", "host", f"hardware error: {match[1]}", severity, f"mce {severity}")


def platform_error(match: re.Match[str]) -> Finding:
    """An error that the firmware reports."""
    severity = {"corrected": WARNING, "info": "info"}.get(match[1], CRITICAL)
    return Finding("kernel", "host", f"hardware error: the firmware reports one that is {match[1]}", severity, f"firmware {severity}")


def nvme_late(match: re.Match[str]) -> Finding:
    """An NVMe controller that is late."""
    name = match[1]
    if match[2]:
        return Finding("kernel", _device(name), f"{name}: an interrupt was missed, and the answer found late", WARNING, "nvme interrupt")
    return Finding("kernel", _device(name), f"{name}: the controller does not answer in time", CRITICAL, "nvme")
