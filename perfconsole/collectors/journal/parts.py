"""What the rooms of the journal have in common: which of its lines are asked for, and who is handed them. Imports nothing heavy."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from perfconsole.collectors.journal.entry import Entry
from perfconsole.core.tables import Table
from perfconsole.core.tick import Event

HOST: Final = "host"

LOGIN_PROGRAMS: Final = ("sshd", "sshd-session", "sshd-auth", "sudo", "sudo-rs", "su", "su-l", "login")
"""Whose lines tell of logins. OpenSSH speaks as sshd-session since 9.8, as sshd-auth too since 10."""

FIELDS: Final = (
    "MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "_COMM", "_EXE", "_UID", "_PID", "_SYSTEMD_UNIT", "_TRANSPORT", "MESSAGE_ID",
    "UNIT", "UNIT_RESULT", "JOB_TYPE", "JOB_RESULT", "N_RESTARTS", "EXIT_CODE", "EXIT_STATUS",
)  # fmt: skip
"""What is asked for of a line (systemd.journal-fields(7)); without being asked, journalctl adds where it stands and when it came."""

KEPT: Final = ("MESSAGE_ID", "UNIT", "UNIT_RESULT", "JOB_TYPE", "JOB_RESULT", "N_RESTARTS", "EXIT_CODE", "EXIT_STATUS")
"""Those of them that are in `Entry.fields`."""

Kernel = Callable[[float, str], None]
"""Is handed a line of the kernel: when (epoch seconds), and what it says."""


class Logins(Protocol):
    """Who tried to get in: is handed lines of `LOGIN_PROGRAMS` as they come, and asked what it made of them.

    It is asked every run while the journal is read; otherwise whoever reads the log files instead asks it.
    """

    def take(self, entry: Entry) -> None:
        """Look at a line, which may be forged; never fails."""

    def result(self, at: float, sampled: float) -> tuple[Sequence[Table], Sequence[Event]]:
        """What is told now.

        Args:
            at: The time of this run, epoch seconds.
            sampled: The share of the lines that was read over the last minute.
        """


def matches(*, logins: bool, kernel: bool) -> list[str]:
    """What journald is asked for, so that it never sends the rest: fields side by side are "and", `+` is "or" (journalctl(1)).

    The system's manager is process 1. A program is asked for by the name of its process, and by what it calls itself: journald does not
    learn the name of a process that ends as soon as it has spoken. So what somebody forges with ``logger -t sshd`` is sent too; whose
    words a line is, its trusted fields say.

    Args:
        logins: Whether somebody takes lines about logins.
        kernel: Whether somebody takes the kernel's.
    """
    groups = [["_PID=1"]]
    if logins:
        groups += [
            [f"_COMM={program}" for program in LOGIN_PROGRAMS],
            [f"SYSLOG_IDENTIFIER={program}" for program in LOGIN_PROGRAMS],
        ]
    if kernel:
        groups.append(["_TRANSPORT=kernel", "SYSLOG_FACILITY=0"])  # with another facility it is root's, who may write to /dev/kmsg
    found = groups[0]
    for group in groups[1:]:
        found = [*found, "+", *group]
    return found
