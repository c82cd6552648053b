"""Listening sockets: which are there, which are new, whose they are. Needs no right but for the names of other users' processes.

Those of this network namespace: what listens inside of a container that has its own is not seen.
"""

import os
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Final, NamedTuple, Protocol

from perfconsole.collectors.access.findings import Finding, listed
from perfconsole.collectors.loop import ask, paced
from perfconsole.core.text import safe

FIRST_USER: Final = 1000
"""Users from here on are people's, below they are services' (login.defs(5): UID_MIN)."""

_FAMILIES: Final = ("tcp", "tcp6", "udp", "udp6")
_LISTEN: Final = b"0A"
_UNCONNECTED: Final = b"07"
_READ_BYTES: Final = 1 << 16
_MOST_BYTES: Final = 1 << 20
"""Of one family's file: 7,000 sockets."""

_MOST_LINKS: Final = 20_000
"""Descriptors looked at to find a listener's process: 60 ms, when there is a new one."""

_MOST_FINDINGS: Final = 20


class Listener(NamedTuple):
    """A socket that waits for others: `protocol` ``tcp`` or ``udp``, its address and port, the user who made it."""

    protocol: str
    address: str
    port: int
    uid: int

    @property
    def family(self) -> str:
        """Of which file of /proc/net it stands."""
        return f"{self.protocol}6" if ":" in self.address else self.protocol


class Suspicion(Protocol):
    """What is thought of a listening program by where it runs from."""

    def __call__(self, exe: str, *, is_open: bool) -> str:
        """One of `SEVERITIES`, or empty."""


class Owner(NamedTuple):
    """The process that has it open."""

    pid: int
    name: str
    exe: str = ""


class _Change(NamedTuple):
    """Seen, or missed, for the first time: between which looks, and which inode it had."""

    before: float
    at: float
    inode: int = 0


class Listeners:
    """What changed among the listening sockets. One counts as new, or as gone, only when it is so at two looks.

    Args:
        proc: Where procfs is.
        suspicion: How severe it is that a program which runs from a path listens, to others or to this machine alone.
        shown: How an address is shown that is neither any nor this machine's own loop.
    """

    def __init__(self, proc: str, suspicion: "Suspicion", shown: Callable[[str], str]) -> None:
        self._proc, self._suspicion, self._shown = proc, suspicion, shown
        self._known: dict[Listener, str] = {}
        self._begun: set[str] = set()
        self._whole: set[str] = set()
        """Families that were read at any look, and those that were read to their end at the last: of others nothing is missed."""
        self._coming: dict[Listener, _Change] = {}
        self._going: dict[Listener, _Change] = {}
        self.readable = True

    async def look(self, before: float, at: float, users: dict[int, str]) -> list[Finding]:
        """What is new since `before` (epoch seconds), with the names of users by uid."""
        found = await self._read()
        if not self.readable:
            return []
        self._known.update((key, "") for key in found if key.family not in self._begun)
        self._begun |= self._whole
        new = {key: self._coming[key] for key in found if key in self._coming}
        self._coming = {key: _Change(before, at, found[key]) for key in found if key not in self._known and key not in new}
        missed = [key for key in self._known if key not in found and key.family in self._whole]
        gone = {key: self._going[key] for key in missed if key in self._going}
        self._going = {key: _Change(before, at) for key in missed if key not in gone}
        findings = [self._ended(group, users) for group in _grouped(gone)]
        owners = await self._owners({key: found[key] for key in new}) if new else {}
        for key in new:
            self._known[key] = owners[key].name if key in owners else ""
        findings += [self._began(group, owners, users) for group in _grouped(new)]
        for key in gone:
            del self._known[key]
        return _bounded(findings)

    async def _read(self) -> dict[Listener, int]:
        """The listening sockets with their inodes.

        In a thread: the kernel goes through its whole table of connections for it, empty or not, which grows with the memory (2 ms on a
        small machine), and nobody can be given a turn meanwhile.
        """
        low, high = self._ephemeral()
        told = await ask(partial(_read_families, self._proc), "listeners")
        self.readable = any(whole for _, whole in told.values())
        self._whole = {family for family, (_, whole) in told.items() if whole}
        found: dict[Listener, int] = {}
        async for family, line in paced(((family, line) for family, (lines, _) in told.items() for line in lines), time.perf_counter):
            fields = line.split(None, 10)
            if len(fields) < 10 or fields[3] not in (_LISTEN, _UNCONNECTED):
                continue
            listener = _parse(family[:3], fields)
            if listener is None or (family[:3] == "udp" and (not fields[2].endswith(b":0000") or low <= listener.port <= high)):
                continue  # a client's: it will be another in a minute
            found[listener] = int(fields[9])
        return found

    def _ephemeral(self) -> tuple[int, int]:
        try:
            with open(f"{self._proc}/sys/net/ipv4/ip_local_port_range", "rb") as file:  # noqa: PTH123  the house reads /proc with open
                low, high = file.read().split()
        except (OSError, ValueError):
            return 32768, 60999
        return int(low), int(high)

    async def _owners(self, wanted: dict[Listener, int]) -> dict[Listener, Owner]:
        """Which processes have them open: those of the same user first, and then the others, newest first."""
        uids = {key.uid for key in wanted}
        links = {f"socket:[{inode}]": key for key, inode in wanted.items()}
        found: dict[Listener, Owner] = {}
        theirs: list[int] = []
        others: list[int] = []
        async for pid in paced(sorted((int(name) for name in _names(self._proc) if name.isdigit()), reverse=True), time.perf_counter):
            (theirs if _uid(f"{self._proc}/{pid}") in uids else others).append(pid)
        async for pid, link in paced(islice(_held(self._proc, theirs + others), _MOST_LINKS), time.perf_counter):
            key = links.get(link)
            if key is not None and key not in found:
                found[key] = Owner(pid, _name(f"{self._proc}/{pid}/comm"), _link(f"{self._proc}/{pid}/exe"))
            if len(found) == len(links):
                break
        return found

    def _began(self, group: dict[Listener, _Change], owners: dict[Listener, Owner], users: dict[int, str]) -> Finding:
        first = next(iter(group))
        owner = next((owners[key] for key in group if key in owners), None)
        user = users.get(first.uid, f"uid {first.uid}")
        who = f"{owner.name} (pid {owner.pid}, {user})" if owner else f"a process of {user}"
        is_open = not all(_is_loopback(key.address) for key in group)
        severity = "info" if first.uid >= FIRST_USER and is_open else ""
        severity = (owner and self._suspicion(owner.exe, is_open=is_open)) or severity
        change = group[first]
        return Finding("listener", f"{who} listens on {self._places(group)}", severity, change.before, change.at, f"{self._proc}/net")

    def _ended(self, group: dict[Listener, _Change], users: dict[int, str]) -> Finding:
        first = next(iter(group))
        name = next((self._known[key] for key in group if self._known.get(key)), "")
        user = users.get(first.uid, f"uid {first.uid}")
        was = f"it was {name} of {user}" if name else f"it was {user}'s"
        change = group[first]
        text = f"nothing listens on {self._places(group)} any more; {was}"
        return Finding("listener", text, "", change.before, change.at, f"{self._proc}/net")

    def _places(self, group: Iterable[Listener]) -> str:
        places = []
        for key in group:
            plain = key.address in {"0.0.0.0", "::"} or _is_loopback(key.address)  # noqa: S104  read, not bound
            address = key.address if plain else self._shown(key.address)
            places.append(f"{key.protocol} {f'[{address}]' if ':' in address else address}:{key.port}")
        return listed(places, 3)


def _read_families(proc: str) -> dict[str, tuple[list[bytes], bool]]:
    """The lines of each family, and whether they are all. Of TCP the kernel tells the listening ones first: no others are read."""
    return {family: _read_lines(f"{proc}/net/{family}", until_connected=family[:3] == "tcp") for family in _FAMILIES}


def _read_lines(path: str, *, until_connected: bool) -> tuple[list[bytes], bool]:
    kept: list[bytes] = []
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return kept, False
    try:
        rest, taken = b"", 0
        while taken < _MOST_BYTES and (more := os.read(descriptor, _READ_BYTES)):
            taken += len(more)
            *lines, rest = (rest + more).split(b"\n")
            kept += lines
            if until_connected and lines and _is_connection(lines[-1]):
                break
    except OSError:
        return kept, False
    else:
        return kept, taken < _MOST_BYTES
    finally:
        os.close(descriptor)


def _grouped(changes: dict[Listener, _Change]) -> list[dict[Listener, _Change]]:
    """Those that one program makes of one port: for any IPv4 address, any IPv6 one, each of its own."""
    groups: dict[tuple[str, int, int], dict[Listener, _Change]] = {}
    for key, change in changes.items():
        groups.setdefault((key.protocol, key.port, key.uid), {})[key] = change
    return list(groups.values())


def _bounded(findings: list[Finding]) -> list[Finding]:
    if len(findings) <= _MOST_FINDINGS:
        return findings
    rest = findings[_MOST_FINDINGS - 1 :]
    severity = "warning" if any(finding.severity == "warning" for finding in rest) else ""
    sum_of_them = rest[0]._replace(text=f"{len(rest)} more listening sockets came or went", severity=severity)
    return [*findings[: _MOST_FINDINGS - 1], sum_of_them]


def _parse(protocol: str, fields: list[bytes]) -> Listener | None:
    """Of a line of /proc/net/tcp: each 32-bit word of an address is in the machine's byte order (proc(5))."""
    host, _, port = fields[1].partition(b":")
    try:
        packed = b"".join(int(host[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(host), 8))
        address = socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
        listener = Listener(protocol, address, int(port, 16), int(fields[7]))
    except (ValueError, OverflowError):
        return None  # the heading
    return listener if 0 < listener.port < 65536 else None


def _is_connection(line: bytes) -> bool:
    fields = line.split(None, 4)
    return len(fields) > 4 and fields[0][:-1].isdigit() and fields[3] != _LISTEN


def _is_loopback(address: str) -> bool:
    return address.startswith(("127.", "::ffff:127.")) or address == "::1"


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208  thousands of names, without a Path for each
    except OSError:
        return []


def _held(proc: str, pids: Iterable[int]) -> Iterator[tuple[int, str]]:
    """What processes have open, as links; of one there may be a million."""
    for pid in pids:
        with suppress(OSError), os.scandir(f"{proc}/{pid}/fd") as entries:
            for entry in entries:
                yield pid, _link(entry.path)


def _link(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115  likewise
    except OSError:
        return ""


def _uid(path: str) -> int:
    try:
        return os.stat(path).st_uid  # noqa: PTH116  likewise
    except OSError:
        return -1


def _name(path: str) -> str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  the house reads /proc with open
            return safe(file.read(64).strip(), 32)
    except OSError:
        return "a process that has ended"
