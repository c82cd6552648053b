"""Sections about TCP on demand: listeners with their queues, and the ports that connections to one peer take up."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from math import isnan, nan
from typing import Final, NamedTuple

from perfconsole.collectors.system.detail_descriptors import Walk, limit_of, name_of
from perfconsole.collectors.system.detail_sockets import LISTEN, STATES, Socket, text_of
from perfconsole.collectors.system.files import read_once
from perfconsole.core import units
from perfconsole.core.requests import Fact, FactSection

_MOST_LISTENERS, _MOST_PEERS, _MOST_HOLDERS = 40, 10, 16
_QUEUE_WARNING: Final = 0.8
_PORTS_WARNING, _PORTS_CRITICAL = 0.70, 0.85
_FILES_WARNING, _FILES_CRITICAL = 0.80, 0.95
_GRADES: Final = ("critical", "warning", "")
_STUCK: Final = {b"T": "stopped", b"t": "stopped by a debugger", b"D": "waits for I/O"}
"""States of a process in which it accepts nothing (proc(5))."""

_NOT_ACCEPTING: Final = "it does not accept in time: see what it waits for; a longer queue only makes clients wait longer"
_RANGE: Final = "ports of net.ipv4.ip_local_port_range; TIME_WAIT keeps one for a minute"


class Peer(NamedTuple):
    """Connections from one address here to one port of one peer: each needs a port of its own."""

    address: bytes
    peer: bytes
    port: int
    sockets: list[Socket]


def by_peer(sockets: Iterable[Socket]) -> list[Peer]:
    """The peers to which most ports are taken, most first; what came to a listener of ours takes none.

    Args:
        sockets: Those that listen, and those whose port is one that connections from here are given.
    """
    sockets = list(sockets)
    listening = {each.port for each in sockets if each.state == LISTEN}
    found: dict[tuple[bytes, bytes, int], list[Socket]] = {}
    for each in sockets:
        if each.state != LISTEN and each.port not in listening and each.peer_port:
            found.setdefault((each.address, each.peer, each.peer_port), []).append(each)
    most = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))[:_MOST_PEERS]
    return [Peer(*key, those) for key, those in most]


def local_ports(proc: str) -> range:
    """The ports that connections from here are given."""
    words = read_once(f"{proc}/sys/net/ipv4/ip_local_port_range").split()
    if len(words) == 2 and all(word.isdigit() for word in words):
        return range(int(words[0]), int(words[1]) + 1)
    return range(32768, 61000)  # the kernel's own default


def listeners(proc: str, sockets: Iterable[Socket], walk: Walk, note: str) -> FactSection:
    """Who listens where, how full the accept queue is, and how many descriptors are left; what is worst comes first."""
    alike: dict[tuple[bytes, int, tuple[int, ...]], list[Socket]] = {}
    for each in sockets:
        if each.state == LISTEN:  # of several on one port (SO_REUSEPORT) each has a queue of its own
            holders = tuple(sorted(walk.holders.get(each.inode, ())))
            alike.setdefault((each.address, each.port, holders), []).append(each)
    rows = [
        (max(map(_fullness, those)), _listener(proc, f"{text_of(address)}:{port}", holders, those, walk), port)
        for (address, port, holders), those in alike.items()
    ]
    rows.sort(key=lambda row: (_GRADES.index(row[1].severity), -row[0], row[2], row[1].name))
    more = f"{len(rows) - _MOST_LISTENERS} more are not shown" if len(rows) > _MOST_LISTENERS else ""
    return FactSection("Listeners", [fact for _, fact, _ in rows[:_MOST_LISTENERS]], "; ".join(filter(None, (note, more))))


def ports_by_peer(proc: str, peers: Iterable[Peer], ports: range, walk: Walk, note: str) -> FactSection:
    """How many of the ports there are go to one port of one peer: when all are taken, no more connections to it can be made."""
    facts = [_peer(proc, peer, len(ports), walk) for peer in peers]
    return FactSection("Ports by peer", facts, "; ".join(filter(None, (f"{len(ports):,} {_RANGE}", note))))


def _fullness(each: Socket) -> float:
    """Share of the accept queue that waits. A backlog of 0 takes one connection: the kernel compares with "more than"."""
    return each.queue / max(each.backlog, 1.0) if each.backlog >= 0 else float(each.queue > 0) / 2


def _listener(proc: str, name: str, holders: tuple[int, ...], those: list[Socket], walk: Walk) -> Fact:
    fullest = max(those, key=_fullness)
    parts = [_whose(proc, holders)]
    halted = _STUCK.get(_state(proc, holders[0]), "") if len(holders) == 1 else ""
    parts += [halted] if halted else []
    if len(those) > 1:
        parts.append(f"{len(those)} sockets, the fullest:")
    waiting = f"queue {fullest.queue}" + ("" if isnan(fullest.backlog) else f" of {fullest.backlog:.0f}")
    share, files = _descriptors(proc, holders, walk)
    parts += [waiting, *([files] if files else [])]
    stuck = fullest.queue > 0 and _fullness(fullest) >= _QUEUE_WARNING
    full = fullest.queue > fullest.backlog > 0  # of a backlog of 0 one that waits is all, and may be accepted the next moment
    severity = "critical" if full or share >= _FILES_CRITICAL else "warning" if stuck or halted or share >= _FILES_WARNING else ""
    return Fact(name, "  ".join(parts), severity=severity, note=_NOT_ACCEPTING if stuck or full else "")


def _whose(proc: str, holders: tuple[int, ...]) -> str:
    if not holders:
        return "not seen whose"
    return name_of(proc, holders[0]) + (f" and {len(holders) - 1} more" if len(holders) > 1 else "")


def _state(proc: str, pid: int) -> bytes:
    return read_once(f"{proc}/{pid}/stat").rpartition(b") ")[2][:1]


def _descriptors(proc: str, holders: tuple[int, ...], walk: Walk) -> tuple[float, str]:
    """Of the holder that is closest to its limit: the share, and words."""
    worst, words = nan, ""
    for pid in holders[:_MOST_HOLDERS]:
        count, limit = walk.counts.get(pid), limit_of(proc, pid)
        if count is not None and limit and not count / limit <= worst:
            worst, words = count / limit, f"descriptors {count:,} of {limit:,}"
    return worst, words


def _peer(proc: str, peer: Peer, available: int, walk: Walk) -> Fact:
    taken = len({each.port for each in peer.sockets})
    share = taken / available if available else nan
    states = Counter(STATES.get(each.state, "?") for each in peer.sockets)
    owners = Counter(chain.from_iterable(walk.holders.get(each.inode, ())[:1] for each in peer.sockets if each.inode))
    parts = [
        f"{taken:,} port{'' if taken == 1 else 's'} ({units.percent(share)})",
        ", ".join(f"{count:,} {state}" for state, count in states.most_common()),
    ]
    if owners:
        pid, count = owners.most_common(1)[0]
        parts.append(f"{count:,} of {name_of(proc, pid)}")
    severity = "critical" if share >= _PORTS_CRITICAL else "warning" if share >= _PORTS_WARNING else ""
    return Fact(f"{text_of(peer.peer)}:{peer.port}", "  ".join([*parts, f"from {text_of(peer.address)}"]), severity=severity)
