"""What can be wrong with the events database, in words; and how a damaged one is put aside. Needs no database to say so."""

import os
import time
from pathlib import Path
from typing import Final

from perfconsole.core.errors import PerfconsoleError

BESIDE: Final = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database: of one that is put aside it must not be left to the next."""


class EventsError(PerfconsoleError):
    """The events database cannot be used, for now or as long as nobody mends that (`fix`); it is left as it is.

    Attributes:
        reopen: Whether a new connection might do better than this one.
    """

    def __init__(self, message: str, fix: str = "", *, reopen: bool = True) -> None:
        super().__init__(message, fix)
        self.reopen = reopen


class DamagedError(Exception):
    """The file is not what was written to it."""


def set_aside(path: Path, at: float) -> Path:
    """Rename a database, and what is beside it, out of the way: nothing is deleted.

    Args:
        path: The database; what is left beside one that is not there any more is put aside as well.
        at: Epoch seconds, for its name.

    Returns:
        What it is called now.

    Raises:
        OSError: When it cannot be renamed.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    name, count = f"{path.name}.damaged-{stamp}", 1
    while any(os.path.lexists(path.with_name(name + suffix)) for suffix in ("", *BESIDE)):
        count += 1
        name = f"{path.name}.damaged-{stamp}-{count}"
    # The database first: if this ends half way, what is left beside it is found when the next one is made.
    for suffix in ("", *BESIDE):
        old = path.with_name(path.name + suffix)
        if os.path.lexists(old):
            old.rename(path.with_name(name + suffix))
    return path.with_name(name)
