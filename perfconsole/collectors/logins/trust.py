"""Whose words about logins are believed: what journald saw of the process that logged, not what it calls itself. Pure.

Anybody can write ``logger -t sshd "Accepted password for root ..."``. Fields that begin with an underscore are journald's
(systemd.journal-fields(7)): ``_UID`` comes from the kernel with the message. The executable's path can be had by who mounts over it in a
user namespace of his own, but not together with user 0. A root user who forges can do anything else as well: of root's only the name of the
process is asked, so that a script's ``logger -t sshd`` counts for nothing either.
"""

from re import compile as pattern
from typing import Final

from perfconsole.collectors.journal.entry import Entry
from perfconsole.collectors.logins.lines import PROGRAMS, SSHD, SU, SUDO

BELIEVED: Final = "believed"
FORGED: Final = "forged"
UNKNOWN: Final = "unknown"

_SSH_UNIT: Final = pattern(r"sshd?(?:@.*)?\.service$")
_PLACES: Final = (
    "/usr/",
    "/bin/",
    "/sbin/",
    "/nix/store/",
    "/run/wrappers/bin/",
    "/run/current-system/",
    "/gnu/store/",
    "/run/setuid-programs/",
)
"""Where nobody but root puts programs. On Ubuntu sudo-rs is ``/usr/lib/cargo/bin/sudo``."""


def judge(entry: Entry) -> str:
    """Whether the program that a line claims to be of wrote it.

    Returns:
        `BELIEVED`; `FORGED` where another program or an ordinary user wrote it; `UNKNOWN` where the process was gone before journald could
        look at it, or where the line is about nobody we listen to.
    """
    names = _namesakes(entry.identifier)
    if entry.uid == 0:
        return _judge_roots(entry, names)
    if entry.uid < 0 or names is None:
        return UNKNOWN
    if names in (SUDO, SU) and entry.exe:  # they run for the user who called them: that is whose line it is
        return BELIEVED if _is_program(entry, names) else FORGED
    if names is SSHD and _is_program(entry, names):
        return UNKNOWN  # after a login it speaks as who logged in, but not of attempts: so does one that a user runs for himself
    return UNKNOWN if names in (SUDO, SU) and entry.comm in names else FORGED


def _judge_roots(entry: Entry, names: "frozenset[str] | None") -> str:
    """A line that root wrote: the name of the process decides."""
    if not entry.comm and not entry.exe:
        return BELIEVED if names is SSHD and _SSH_UNIT.match(entry.unit) else UNKNOWN
    if names is None or entry.comm in names or _program(entry) in names:
        return BELIEVED  # without a name that we know it is PAM, in the name of a service
    return FORGED if names is SSHD or entry.comm == "logger" else UNKNOWN  # sudo may have become what it was to run


def _is_program(entry: Entry, names: frozenset[str]) -> bool:
    """Whether it runs one of the programs, from where only root puts them."""
    return _program(entry) in names and entry.exe.startswith(_PLACES)


def _program(entry: Entry) -> str:
    return entry.exe.removesuffix(" (deleted)").rpartition("/")[2]  # after an upgrade it still runs


def _namesakes(identifier: str) -> "frozenset[str] | None":
    if identifier in SSHD:
        return SSHD
    if identifier in SUDO:
        return SUDO
    if identifier in SU:
        return SU
    return frozenset({identifier}) if identifier in PROGRAMS else None
