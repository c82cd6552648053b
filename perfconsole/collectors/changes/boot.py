"""When the machine booted (proc(5): btime of /proc/stat), told once at the start: whatever began then has its cause there."""

import os
from pathlib import Path

from perfconsole.core.text import safe
from perfconsole.core.tick import Event


def booted(proc: str = "/proc") -> Event | None:
    """The boot; None where the kernel does not tell.

    Its second is the wall clock's less the uptime, and may differ by one after the clock was set.
    """
    try:
        content = Path(proc, "stat").read_bytes()
    except OSError:
        return None
    for line in content.splitlines():
        if line.startswith(b"btime ") and line[6:].strip().isdigit():
            at = float(line[6:])
            return Event(
                at, at, "boot", "host", f"the machine booted ({safe(f'{os.uname().sysname} {os.uname().release}', 80)})", "/proc/stat"
            )
    return None
