"""The columns of tables: what each shows, how wide, and when there is room for it. Pure."""

from collections.abc import Callable, Sequence
from math import isnan
from time import localtime, strftime
from typing import Any, Final, NamedTuple

from perfconsole.core import units
from perfconsole.core.tables import EXPENSIVE, ProcessRow


class Column(NamedTuple):
    """A column.

    Attributes:
        id: As it is named in a configuration.
        field: The field of the row that it shows and sorts by; empty where there is nothing to sort by.
        width: Cells; 0 takes what is left.
        rank: Dropped first where it is highest; see `fitting`.
        text: The cell of a row.
    """

    id: str
    title: str
    field: str
    width: int
    rank: int
    text: Callable[[Any], str]
    right: bool = True

    @property
    def expensive(self) -> bool:
        """Read for the rows on the screen only."""
        return self.field in EXPENSIVE


def by_pane(row: object) -> str:  # noqa: ARG001  the signature of a column's text
    """The text of a cell that takes more than its row to know; the pane fills it in."""
    return ""


def cpu_text(ratio: float) -> str:
    """Percent with one digit where it fits in five characters."""
    return units.UNKNOWN if isnan(ratio) else units.percent(ratio, 1)[:-1] if ratio < 9.995 else units.percent(ratio)[:-1]


def _time(row: ProcessRow) -> str:
    return units.duration(row.cpu_s)


def _started(row: ProcessRow) -> str:
    return strftime("%d %b %H:%M", localtime(row.started))


def command(row: ProcessRow) -> str:
    """The command line without the directory of its program, which would push what tells programs apart off the screen."""
    program, space, arguments = (row.command or row.name).partition(" ")
    return f"{program.rpartition('/')[2] or program}{space}{arguments}" if program.startswith("/") else row.command or row.name


PROCESS: Final = {
    column.id: column
    for column in (
        Column("pid", "PID", "pid", 7, 0, lambda row: str(row.pid)),
        Column("user", "USER", "user", 9, 4, lambda row: row.user, right=False),
        Column("state", "S", "state", 1, 7, lambda row: row.state, right=False),
        Column("cpu", "CPU%", "cpu", 6, 0, lambda row: cpu_text(row.cpu)),
        Column("time", "TIME", "cpu_s", 7, 8, _time),
        Column("memory", "MEM", "memory_bytes", 5, 1, lambda row: units.size(row.memory_bytes)),
        Column("pss", "PSS", "pss_bytes", 5, 13, lambda row: units.size(row.pss_bytes)),
        Column("threads", "THR", "threads", 4, 10, lambda row: str(row.threads)),
        Column("nice", "NI", "nice", 3, 9, lambda row: str(row.nice)),
        Column("read", "READ/s", "read_bytes_s", 6, 5, lambda row: units.size(row.read_bytes_s)),
        Column("write", "WRITE/s", "write_bytes_s", 7, 5, lambda row: units.size(row.write_bytes_s)),
        Column("files", "FILES", "fds", 5, 14, lambda row: units.count(row.fds)),
        Column("started", "STARTED", "started", 12, 12, _started),
        Column("unit", "UNIT", "unit", 20, 6, lambda row: row.unit, right=False),
        Column("name", "NAME", "name", 15, 15, lambda row: row.name, right=False),
        Column("command", "COMMAND", "command", 0, 0, command, right=False),
    )
}

DEFAULT: Final = ("pid", "user", "state", "cpu", "memory", "time", "threads", "nice", "read", "write", "unit", "command")
BRIEF: Final = ("pid", "user", "cpu", "memory", "command")
_LEAST_LAST: Final = 36
"""Cells the last column keeps before others are dropped for it: enough to tell a command by."""


def fitting(wanted: Sequence[Column], width: int, least_last: int = _LEAST_LAST) -> list[Column]:
    """The columns that fit, the least important ones dropped.

    Args:
        wanted: The columns wanted, in order; at least one.
        width: Cells of a row.
        least_last: Cells that the last column keeps before others are dropped for it.
    """
    columns = list(wanted)
    while len(columns) > 1 and sum((column.width or least_last) + 1 for column in columns) > width:
        worst = max(columns, key=lambda column: column.rank)
        if not worst.rank:
            break
        columns = [column for column in columns if column.rank != worst.rank]
    return columns
