"""md arrays from ``/proc/mdstat`` (md(4), drivers/md/md.c, md_seq_show), and what changed of them. Pure: bytes in, words out.

A line a device, indented ones below it::

    md0 : active raid1 sdb1[1](F) sda1[0]
          1046528 blocks super 1.2 [2/1] [U_]
          [===>.................]  recovery = 16.8% (176128/1046528) finish=0.3min speed=44032K/sec
"""

import re
from collections.abc import Iterator, Mapping
from math import isnan, nan
from typing import Final, NamedTuple

from perfconsole.collectors.system.parts import distinct
from perfconsole.core.text import safe

_MOST: Final = 256
"""Arrays that are looked at."""

_WORKING: Final = re.compile(rb"\[(\d{1,4})/(\d{1,4})\](?:\s+\[([U_]{1,512})\])?")
_SYNC: Final = re.compile(rb"(resync|recovery|reshape|check|repair)\s*=\s*(?:(\d{1,3}(?:\.\d+)?)%|([A-Z]+))")
_CONTAINER: Final = re.compile(rb"super external:\w")
"""Disks whose description is a firmware's (imsm, ddf): never active, for the arrays of them are (``external:/md127/0``)."""

_DEVICE: Final = re.compile(rb"(\S+)\[\d+\]((?:\([A-Z]\))*)")


class Array(NamedTuple):
    """One array.

    Attributes:
        state: ``active``, ``inactive``, ``broken`` (one without redundancy that lost a device), ``container`` (of arrays, itself none).
        level: ``raid1``, ...; empty while it is inactive.
        wanted: Devices it is to have; 0 where it has no redundancy. `working` so many of them work.
        map: Which of them, ``U_``; empty where the kernel does not say.
        failed: The names of those that failed and are still listed.
        sync: What goes on: ``resync``, ``recovery``, ``reshape``, ``check``, ``repair``; empty when nothing does.
        done: The share of that which is done; NaN while it waits, and when nothing goes on.
    """

    state: str
    level: str
    wanted: int
    working: int
    map: str
    failed: tuple[str, ...]
    sync: str
    done: float

    @property
    def degraded(self) -> bool:
        """Whether it lacks a device, or does not run."""
        runs = self.state in ("active", "container")
        return not runs or self.working < self.wanted or bool(self.failed and not self.wanted)


def parse(content: bytes) -> dict[str, Array]:
    """The arrays by name; of what does not read as the kernel writes it, only what does."""
    found: list[tuple[bytes, Array]] = []
    for line in content.splitlines():
        name, colon, rest = line.partition(b" : ")
        if line[:1] not in b" \t" and colon and name != b"Personalities" and len(found) < _MOST:
            found.append((name, _begun(rest)))
        elif found and line[:1] in (b" ", b"\t"):
            name, array = found[-1]
            found[-1] = name, _continued(array, line)
    labels = distinct([safe(name, 80) for name, _ in found])
    return dict(zip(labels, (array for _, array in found), strict=True))


def changed(before: Mapping[str, Array], now: Mapping[str, Array]) -> Iterator[tuple[str, str, str]]:
    """What changed between two looks: array, words, severity."""
    for name in before.keys() - now.keys():
        yield name, f"{name}: the array was stopped", "warning"
    for name, array in now.items():
        old = before.get(name)
        if old is None:
            yield name, f"{name}: a new array, {describe(array)}", "critical" if array.degraded else ""
            continue
        words = list(_differences(old, array))
        if words:
            severities = [severity for _, severity in words]
            worst = next((severity for severity in ("critical", "warning", "info") if severity in severities), "")
            yield name, f"{name}: {', '.join(text for text, _ in words)}", worst


def describe(array: Array) -> str:
    """``raid1, 1 of 2 devices work [U_], recovery 17 %``."""
    parts = [array.level or array.state] if array.state == "active" else [array.state, *filter(None, [array.level])]
    if array.wanted:
        parts.append(f"{array.working} of {array.wanted} devices work" + (f" [{array.map}]" if array.map else ""))
    if array.failed:
        parts.append(f"failed: {' '.join(array.failed)}")
    if array.sync:
        parts.append(f"{array.sync} waits" if isnan(array.done) else f"{array.sync} {array.done:.0%}")
    return ", ".join(parts)


def _differences(old: Array, new: Array) -> Iterator[tuple[str, str]]:
    if old.state != new.state:
        yield f"{old.state} -> {new.state}", "info" if new.state in ("active", "container") else "critical"
    lost = [name for name in new.failed if name not in old.failed]
    if lost:
        yield f"{' '.join(lost)} failed", "critical"
    if (old.working, old.wanted) != (new.working, new.wanted) and new.wanted:
        severity = "critical" if new.working < new.wanted and new.working < old.working else "info"
        yield f"{new.working} of {new.wanted} devices work" + (f" [{new.map}]" if new.map else ""), severity
    if old.sync != new.sync:
        if old.sync:
            yield f"{old.sync} ended", ""
        if new.sync:
            yield f"{new.sync} began", ""


def _begun(rest: bytes) -> Array:
    words = rest.split()
    state = words[0].decode("ascii", "replace") if words else ""
    devices = _DEVICE.findall(rest)
    # Between the state and the first device: "(read-only)", "(auto-read-only)", and the level.
    level = next((word for word in words[1:] if not word.startswith(b"(") and b"[" not in word), b"")
    failed = tuple(safe(name, 80) for name, marks in devices if b"(F)" in marks)
    known = state if state in ("active", "inactive", "broken") else "inactive"
    return Array(known, safe(level, 20), 0, 0, "", failed, "", nan)


def _continued(array: Array, line: bytes) -> Array:
    working = _WORKING.search(line)
    if working and not array.wanted:
        array = array._replace(wanted=int(working[1]), working=int(working[2]), map=(working[3] or b"").decode())
    if array.state == "inactive" and _CONTAINER.search(line):
        array = array._replace(state="container")
    sync = _SYNC.search(line)
    if sync:
        array = array._replace(sync=sync[1].decode(), done=min(float(sync[2]) / 100, 1.0) if sync[2] else nan)
    return array
