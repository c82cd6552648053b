"""One line of the journal, as far as it is looked at.

Fields that begin with an underscore are journald's own and cannot be forged (systemd.journal-fields(7)); the others say what the program
that logged wished to be believed.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Entry(NamedTuple):
    """A line of the journal. Texts are safe; empty, or -1, where a field is missing.

    Attributes:
        at: When journald received it, epoch seconds.
        cursor: Where it stands in the journal.
        message: What it says.
        priority: syslog's 0 (emergency) to 7 (debug); 6 where it does not say.
        identifier: What the program calls itself: anybody can call himself ``sshd``.
        comm: ``_COMM``, the name of the process that logged; `exe` its executable, `uid` its user, `pid` its process.
        unit: ``_SYSTEMD_UNIT``, the unit it belongs to.
        transport: How it came: ``journal``, ``syslog``, ``kernel``, ``stdout``, ``audit``.
        fields: The rest that is looked at: ``MESSAGE_ID``, ``UNIT``, ``UNIT_RESULT``, ``JOB_RESULT``, ``JOB_TYPE``, ...
    """

    at: float
    cursor: str
    message: str
    priority: int = 6
    identifier: str = ""
    comm: str = ""
    exe: str = ""
    uid: int = -1
    pid: int = -1
    unit: str = ""
    transport: str = ""
    fields: Mapping[str, str] = {}
