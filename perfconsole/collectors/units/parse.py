"""What the files of cgroups say (cgroup-v2.rst, cgroup-v1/memory.rst, blkio-controller.rst, psi.rst). Pure; unknown is NaN."""

from collections.abc import Container
from math import nan
from typing import Final

_NO_LIMIT: Final = 2**60
"""v1 has no word for "none", but a number near 2^63 that depends on the page size (9223372036854771712 with 4 KiB)."""


def number(content: bytes) -> float:
    """A file of one number; NaN for ``max`` and ``-1``, which are no limit, and for what is no number."""
    text = content.strip()
    return float(text) if text.isdigit() else nan


def limit(content: bytes) -> float:
    """A limit in bytes; NaN for none."""
    found = number(content)
    return found if found < _NO_LIMIT else nan


def field(content: bytes, name: bytes) -> float:
    """A line ``name number`` of a flat keyed file; NaN when there is none."""
    key = name + b" "
    if content.startswith(key):
        start = len(key)
    else:
        start = content.find(b"\n" + key) + 1 + len(key)
        if start == len(key):
            return nan
    end = content.find(b"\n", start)
    text = content[start : end if end >= 0 else None]
    return float(text) if text.isdigit() else nan


def quota(content: bytes) -> float:
    """``cpu.max``: CPUs; NaN for none. Of v1 its two files, with a blank between."""
    share, _, period = content.strip().partition(b" ")
    return int(share) / int(period) if share.isdigit() and period.strip().isdigit() and int(period) else nan


def pressure(content: bytes) -> float:
    """Share of the last 10 s in which some task waited: ``some avg10=1.53 avg60=0.87 avg300=0.73 total=3460``."""
    start = content.find(b"avg10=") + 6
    try:
        return float(content[start : content.find(b" ", start)]) / 100 if content.startswith(b"some ") else nan
    except ValueError:
        return nan


def devices(content: bytes) -> set[bytes]:
    """The devices (``8:0``) that I/O is told of."""
    return {name for name, blank, _ in (line.partition(b" ") for line in content.splitlines()) if blank and b":" in name}


def io(content: bytes, *, unified: bool, passed_on: Container[bytes]) -> tuple[float, float]:
    """Bytes read and written of all devices.

    Args:
        content: ``io.stat`` (``8:0 rbytes=90112 wbytes=0 rios=22 ...``) or ``blkio.throttle.io_service_bytes`` (``8:0 Read 90112``).
        unified: Which of the two.
        passed_on: Devices that pass all on to others, where it is told again.
    """
    read_bytes = write_bytes = 0
    for line in content.splitlines():
        name, *fields = line.split()
        if name in passed_on or not fields:
            continue
        pairs = (field.partition(b"=")[::2] for field in fields) if unified else [(fields[0], fields[-1])]
        for key, value in pairs:
            if not value.isdigit():
                continue
            if key in (b"rbytes", b"Read"):
                read_bytes += int(value)
            elif key in (b"wbytes", b"Write"):
                write_bytes += int(value)
    return float(read_bytes), float(write_bytes)
