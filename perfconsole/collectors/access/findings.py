"""What the parts of this room have in common: how they say what they saw, and how a small file is read that may be anybody's."""

import os
import stat
from pathlib import Path
from typing import Final, NamedTuple

from perfconsole.core.tick import Event

_MOST_BYTES: Final = 1 << 20


class Finding(NamedTuple):
    """Something that changed between two moments (epoch seconds).

    Attributes:
        kind: One of `changes.SECURITY`.
        source: Who says so.
    """

    kind: str
    text: str
    severity: str
    time_lo: float
    time_hi: float
    source: str

    def event(self) -> Event:
        """As it travels."""
        return Event(self.time_lo, self.time_hi, self.kind, "host", self.text, self.source, self.severity)


def read_small(path: str) -> bytes | None:
    """The content of a regular file; None when it is no such file, or may not be read.

    As root this reads what users own: a FIFO must not hold it up, a device must not be touched, and nothing is ever long.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        content = b""
        while len(content) < _MOST_BYTES and (more := os.read(descriptor, _MOST_BYTES - len(content))):
            content += more
    except OSError:
        return None
    else:
        return content
    finally:
        os.close(descriptor)


def listed(names: list[str], most: int = 5) -> str:
    """Some names in words, as many as one reads."""
    shown = names if len(names) <= most + 1 else [*names[:most], f"{len(names) - most} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
