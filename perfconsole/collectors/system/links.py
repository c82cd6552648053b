"""Network links from ``/sys/class/net`` (Documentation/ABI/testing/sysfs-class-net): carrier, speed, duplex, and what changed of them.

Carrier, speed and duplex are asked of the driver under the kernel's one network lock: reading them is meant for a thread.
"""

import os
from collections.abc import Iterator, Mapping
from math import isnan, nan
from typing import Final, NamedTuple

from perfconsole.collectors.system.files import is_there, read_once
from perfconsole.collectors.system.networks import PAIRED
from perfconsole.collectors.system.parts import distinct
from perfconsole.core.globs import Globs
from perfconsole.core.text import safe

_MEGABIT_BYTES: Final = 1e6 / 8
_IFF_UP: Final = 1
UP, NO_CARRIER, DOWN, UNKNOWN = "up", "no carrier", "down", ""


class Link(NamedTuple):
    """One interface as it is now.

    Attributes:
        state: ``up``, ``no carrier``, ``down`` (taken down by somebody), or empty where the kernel does not say.
        speed: Bytes a second; NaN where the driver does not know (-1, or EINVAL while the link is down), and of virtual ones.
        duplex: ``full``, ``half``, or empty.
        changes: How often the carrier came or went since the interface was made; NaN before Linux 3.15.
        device: Whether there is a device behind it, or several as one (a bond).
    """

    state: str
    speed: float
    duplex: str
    changes: float
    device: bool

    @property
    def up(self) -> float:
        """1 with a carrier, 0 without, NaN unknown."""
        return nan if self.state == UNKNOWN else float(self.state == UP)

    @property
    def full_duplex(self) -> float:
        """1 full, 0 half, NaN unknown."""
        return {"full": 1.0, "half": 0.0}.get(self.duplex, nan)


def read_links(sys: str, wanted: Globs, *, every: bool = False) -> dict[str, Link]:
    """The links that matter, by name as it is shown.

    Those with a device behind them, bonds, and what is asked for by name. Where there is no such thing, as in a container, all but the
    loopback, bridges, and the ends of containers' own: these come and go with every container, and a bridge loses its carrier with the
    last one.

    Args:
        sys: Where sysfs is.
        wanted: Interfaces that are looked at.
        every: All of those, whatever they are.

    Raises:
        OSError: When they cannot be listed.
    """
    top = f"{sys}/class/net"
    names = sorted(name for name in os.listdir(top) if name in wanted and is_there(f"{top}/{name}/."))  # noqa: PTH208  no paths for names
    devices = {name for name in names if is_there(f"{top}/{name}/device") or is_there(f"{top}/{name}/bonding")}
    chosen = [name for name in names if every or name in devices or wanted.names(name)]
    chosen = chosen or [name for name in names if name != "lo" and not name.startswith(PAIRED) and not is_there(f"{top}/{name}/bridge")]
    labels = distinct([safe(name) for name in chosen])
    return {label: _read(f"{top}/{name}", device=name in devices) for label, name in zip(labels, chosen, strict=True)}


def changed(before: Mapping[str, Link], now: Mapping[str, Link]) -> Iterator[tuple[str, str, str]]:
    """What changed between two looks: interface, words, severity."""
    for name in before.keys() - now.keys():
        yield name, f"{name}: the interface is gone", "warning" if before[name].device else ""
    for name, link in now.items():
        old = before.get(name)
        if old is None:
            yield name, f"{name}: a new interface, {describe(link)}", ""
            continue
        words, severity = _difference(old, link)
        if words:
            yield name, f"{name}: {words}", severity


def describe(link: Link) -> str:
    """``up, 1 Gbit/s, full duplex``."""
    parts = [link.state or "state unknown"]
    if link.state == UP:
        parts += [] if isnan(link.speed) else [bits(link.speed)]
        parts += [f"{link.duplex} duplex"] if link.duplex else []
    return ", ".join(parts)


def bits(speed: float) -> str:
    """Bytes a second as links are sold: ``100 Mbit/s``, ``2.5 Gbit/s``."""
    megabits = speed / _MEGABIT_BYTES
    return f"{megabits / 1000:g} Gbit/s" if megabits >= 1000 else f"{megabits:g} Mbit/s"


def _difference(old: Link, new: Link) -> tuple[str, str]:
    """Words and severity; no words where nothing is worth any."""
    if old.state != new.state and UNKNOWN not in (old.state, new.state):
        if new.state == UP:
            return describe(new), "info"
        return ("carrier lost" if new.state == NO_CARRIER else "taken down"), "warning"
    words = []
    worse = False
    # One alone is the rest of a change that came while the link was read: count and carrier are two files.
    if new.changes - old.changes > 1 and new.state == UP:
        words.append("carrier lost and back" + (f" {count} times" if (count := int(new.changes - old.changes) // 2) > 1 else ""))
        worse = True
    if new.speed != old.speed and not (isnan(new.speed) or isnan(old.speed)):
        words.append(f"speed {bits(old.speed)} -> {bits(new.speed)}")
        worse |= new.speed < old.speed
    if new.duplex != old.duplex and new.duplex and old.duplex:
        words.append(f"{old.duplex} -> {new.duplex} duplex")
        worse |= new.duplex == "half"
    return ", ".join(words), "warning" if worse else "info"


def _read(folder: str, *, device: bool) -> Link:
    changes = read_once(f"{folder}/carrier_changes").strip()
    megabits, duplex = (read_once(f"{folder}/{name}").strip() if device else b"" for name in ("speed", "duplex"))
    return Link(
        _state(folder),
        int(megabits) * _MEGABIT_BYTES if megabits.isdigit() and int(megabits) else nan,
        duplex.decode() if duplex in (b"full", b"half") else "",
        float(changes) if changes.isdigit() else nan,
        device,
    )


def _state(folder: str) -> str:
    carrier = read_once(f"{folder}/carrier").strip()
    if carrier in (b"0", b"1"):
        return UP if carrier == b"1" else NO_CARRIER
    flags = read_once(f"{folder}/flags").strip()  # of one that is taken down the carrier cannot be read
    try:
        return UNKNOWN if int(flags, 16) & _IFF_UP else DOWN
    except ValueError:
        return UNKNOWN
