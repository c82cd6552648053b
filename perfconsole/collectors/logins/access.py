"""Which files tell of logins where no journal can be read, and what lets this user read one. Looks at files; imports nothing heavy."""

import grp
import os
from pathlib import Path
from typing import Final

from perfconsole.core.text import safe

PATHS: Final = ("/var/log/auth.log", "/var/log/secure")
"""Debian's and Red Hat's; there is none where only journald runs."""


def no_file() -> str:
    """What mends that there is neither a journal nor a file."""
    write = f"have rsyslog write {PATHS[0]}"
    return f"as root: usermod -aG systemd-journal USER; or {write}" if os.geteuid() else f"{write}, or in a container run on its host"


def right(path: str) -> str:
    """What lets this user read a file: the group that may, if there is one."""
    try:
        status = Path(path).stat()
        group = safe(grp.getgrgid(status.st_gid).gr_name, 64)
    except (OSError, KeyError):
        return "as root: usermod -aG adm USER; or run perfconsole as root"
    if status.st_mode & 0o040 and status.st_gid and status.st_gid not in os.getgroups():
        return f"as root: usermod -aG {group} USER"
    return "run perfconsole as root"
