"""What the collector asks of a machine, whatever its kind: the views boiled down, and the Protocol of a backend. No system call here."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from perfconsole.core.ports import Slot
from perfconsole.core.requests import Done, ProcessDetail, ProcessId, ReniceArgs, SignalArgs
from perfconsole.core.tables import EXPENSIVE, Key, ProcessRow, View

HISTORY: Final = "history"
"""In `View.columns`: the processes of `View.keys` are to be series as well."""

IO_COLUMNS: Final = frozenset({"read_bytes_s", "write_bytes_s"})

_NONE: Final[frozenset[str]] = frozenset()


class Want(NamedTuple):
    """What all views together look at.

    Attributes:
        shown: The processes on a screen, each with its expensive columns.
        everywhere: Expensive columns that are sorted by, and so read for every process.
        histories: Processes whose values are kept as series.
    """

    shown: dict[Key, frozenset[str]]
    everywhere: frozenset[str]
    histories: tuple[Key, ...]

    def columns(self, key: Key) -> frozenset[str]:
        """The expensive columns of one process."""
        return self.shown.get(key, _NONE) | self.everywhere


def wanted(views: Sequence[View]) -> Want | None:
    """The union of the views of processes; None when there is none."""
    mine = [view for view in views if view.table == "process"]
    if not mine:
        return None
    shown: dict[Key, frozenset[str]] = {}
    for view in mine:
        columns = EXPENSIVE.intersection(view.columns)
        for key in view.keys:
            shown[key] = shown.get(key, _NONE) | columns
    return Want(
        shown,
        EXPENSIVE.intersection(view.sort for view in mine),
        tuple(dict.fromkeys(key for view in mine if HISTORY in view.columns for key in view.keys)),
    )


class Hidden(NamedTuple):
    """Processes are kept from us: why, and what would show them."""

    error: str
    fix: str


class Backend(Protocol):
    """One way to look at processes. All but the operations are called from one loop, never two at a time except for `look`."""

    async def count(self) -> int:
        """How many processes there are, as cheaply as can be."""

    async def scan(self, want: Want, slot: Slot) -> list[ProcessRow]:
        """A row of every process in pid order; the same objects as last time where nothing changed."""

    async def look(self, want: Want) -> list[ProcessRow]:
        """The rows of the last scan, the expensive columns read of those that are newly on the screen; empty before the first scan."""

    def disk_io(self, key: Key) -> tuple[float, float]:
        """Storage bytes a process has read and written since it started; NaN when unknown."""

    def hidden(self) -> Hidden | None:
        """Whether processes are kept from us."""

    def close(self) -> None:
        """Give back what is held."""

    async def detail(self, args: ProcessId) -> ProcessDetail:
        """Everything that is read of one process on demand."""

    async def signal(self, args: SignalArgs) -> Done:
        """Send a signal to exactly this process."""

    async def renice(self, args: ReniceArgs) -> Done:
        """Set the nice value of exactly this process."""
