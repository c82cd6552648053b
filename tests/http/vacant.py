"""Ports that stay what a test takes them for, whatever else runs on the machine.

A port that the kernel picked and that was given back is one that the next connection of any test may leave from, or the next server of any
other run may listen on. So a port where nobody is to listen is held, bound and without a listener; and one that another program is to
listen on lies below those the kernel picks, in an order of this process's own.
"""

import random
import socket
from pathlib import Path

_BEGIN = 10_000
_HELD = []
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def closed_port():
    """A TCP port of 127.0.0.1 where every connection is refused, to the end of this process."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    _HELD.append(held)
    return held.getsockname()[1]


def vacant_port(kind=socket.SOCK_STREAM):
    """A port that nobody holds, for a program that is given it by number; or for datagrams, which a held one would swallow."""
    for port in _ORDER:
        with socket.socket(type=kind) as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port
    raise RuntimeError("no vacant port")


def _shuffled():
    end = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32_768
    ports = list(range(_BEGIN, end if end > _BEGIN + 1000 else 32_768))
    random.SystemRandom().shuffle(ports)  # two processes of one run, and two runs, ask at the same time
    return iter(ports)


_ORDER = _shuffled()
