"""Whether this machine's journal may be read by this user: asked of the files, since journalctl would show him his own lines and no fault.

journald keeps ``system.journal`` in /var/log/journal or, until the next boot, in /run/log/journal, readable by the group systemd-journal
(systemd-journald.service(8)); Debian and Fedora let the group adm read it too.
"""

import os
import pwd
import shutil
from collections.abc import Sequence
from typing import Final, NamedTuple

from perfconsole.core.text import safe

PLACES: Final = ("/var/log/journal", "/run/log/journal")
MACHINE_ID: Final = "/etc/machine-id"


class Trouble(NamedTuple):
    """Why the journal is not read: the state of its health, words, and what mends it."""

    state: str
    error: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.error}: {self.fix}" if self.fix else self.error


def trouble(program: str, places: Sequence[str] = PLACES, machine_id: str = MACHINE_ID) -> Trouble | None:
    """Why the journal cannot be read, or None where it can. Looks at files and for a user's name: may block.

    Args:
        program: The name or path of journalctl.
        places: Directories in which journals are kept.
        machine_id: The file that names this machine's own below them (machine-id(5)).
    """
    if shutil.which(program) is None:
        return Trouble("off", f"{program} is not here", "where systemd runs, it comes with it; in a container, run perfconsole on the host")
    try:
        with open(machine_id, encoding="utf-8", errors="replace") as file:  # noqa: PTH123  # as all small files are read here
            machine = file.read(64).strip()
    except OSError as error:
        return Trouble(
            "off", f"it is not known which journal is this machine's: {machine_id}: {error.strerror}", "systemd-machine-id-setup"
        )
    denied = False
    for place in places if machine.isalnum() else ():
        try:
            os.close(os.open(f"{place}/{machine}/system.journal", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
        except PermissionError:
            denied = True
        except OSError:  # none here
            continue
        else:
            return None
    if denied:
        return Trouble("denied", "the system's journal may not be read by this user", _grant())
    return Trouble(
        "off", f"no journal is kept here (no system.journal in {' or '.join(places)})", "in a container, run perfconsole on the host"
    )


def _grant() -> str:
    uid = os.geteuid()
    if uid == 0:  # of a container, or without the capabilities that make it root
        return "run it on the host, or with the capability CAP_DAC_READ_SEARCH"
    try:
        name = safe(pwd.getpwuid(uid).pw_name, 64)
    except KeyError:  # a user without a name cannot be in a group by name
        return f"run it as a user in the group systemd-journal (this one, {uid}, has no name)"
    return f"usermod -aG systemd-journal {name} (and log in again)"
