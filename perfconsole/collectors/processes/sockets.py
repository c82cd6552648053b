"""The sockets of a process: inode numbers to addresses and states, from /proc/PID/net (proc(5)), its own network namespace."""

from collections.abc import Collection
from contextlib import suppress
from typing import Final

from perfconsole.core.text import safe

_STATES: Final = (
    "?", "established", "syn sent", "syn received", "fin wait 1", "fin wait 2", "time wait", "closed", "close wait", "last ack",
    "listening", "closing", "syn received",
)  # fmt: skip
"""include/net/tcp_states.h, by number."""

_UNIX_KINDS: Final = {"0001": "stream", "0002": "datagram", "0005": "packets"}

_READ_BYTES: Final = 1 << 18


def describe(proc: str, pid: int, inodes: Collection[int]) -> dict[int, str]:
    """What the sockets with these inodes are.

    Args:
        proc: Where /proc is mounted.
        pid: Whose network namespace is read.
        inodes: The sockets asked for.

    Returns:
        Protocol, addresses and state of those found; of other families (netlink, packet) nothing.
    """
    wanted = {b"%d" % inode for inode in inodes}
    found: dict[int, str] = {}
    for family, column in (("tcp", 9), ("tcp6", 9), ("udp", 9), ("udp6", 9), ("unix", 6)):
        if len(found) == len(wanted):
            break
        for fields in _lines(f"{proc}/{pid}/net/{family}", column, wanted):
            # A socket's path may hold a newline, and what follows it any words: a line like that is not to be believed, nor to stop us.
            with suppress(ValueError):
                found[int(fields[column])] = safe(_unix(fields) if family == "unix" else _inet(family, fields), 300)
    return found


def _lines(path: str, column: int, wanted: Collection[bytes]) -> "list[list[bytes]]":
    """The lines about wanted inodes. A busy machine has 10^5 of them: they are read in pieces, and only those wanted are kept."""
    kept: list[list[bytes]] = []
    try:
        with open(path, "rb", buffering=_READ_BYTES) as file:  # noqa: PTH123 - the house reads /proc with open
            next(file, None)  # the heading
            for line in file:
                fields = line.split(None, column + 1)
                if len(fields) > column and fields[column].rstrip() in wanted:
                    kept.append(line.split())
    except OSError:
        pass  # no such family in this kernel; of the rest the inode is all that is known
    return kept


def _inet(family: str, fields: list[bytes]) -> str:
    local, remote = _address(fields[1]), _address(fields[2])
    number = int(fields[3], 16)
    if family.startswith("udp"):
        return f"{family} {local}" if remote.endswith(":*") else f"{family} {local} -> {remote}"
    state = _STATES[number] if number < len(_STATES) else "?"
    return f"{family} {local} {state}" if remote.endswith(":*") else f"{family} {local} -> {remote} {state}"


def _address(field: bytes) -> str:
    """``127.0.0.1:80`` of ``0100007F:0050``: the kernel prints each 32-bit word in the machine's byte order."""
    import socket  # noqa: PLC0415 - first used when somebody asks
    import sys  # noqa: PLC0415 - likewise

    host, _, port = field.partition(b":")
    words = [int(host[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(host), 8)]
    packed = b"".join(words)
    text = socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
    number = int(port, 16)
    return f"{f'[{text}]' if ':' in text else text}:{number or '*'}"


def _unix(fields: list[bytes]) -> str:
    kind = _UNIX_KINDS.get(fields[4].decode("ascii", "replace"), "")
    listening = int(fields[3], 16) & 0x10000  # __SO_ACCEPTCON
    path = b" ".join(fields[7:]).decode("utf-8", "replace")
    return " ".join(part for part in ("unix", kind, path, "listening" if listening else "") if part)
