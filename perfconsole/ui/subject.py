"""One thing followed through states: what was last known of it, and whether it is still there; a process first of all. Pure.

Identity of a process is pid and start time. A pid that belongs to another process now means that this one has ended, never that it became
the other.
"""

from collections.abc import Iterator, Sequence
from math import isnan, nan
from typing import ClassVar, Final, Generic, NamedTuple, TypeVar

from perfconsole.core.series import GAP
from perfconsole.core.state import Series, State
from perfconsole.core.tables import ProcessRow, ProcessTable, Row
from perfconsole.ui.arrange import Item
from perfconsole.ui.look import Glyphs
from perfconsole.ui.spark import SHORTEST_S, Track, fitting_window
from perfconsole.ui.ticks import MACHINE, About

R = TypeVar("R", bound=Row)

LIVE: Final = "live"
ENDED: Final = "ended"
UNSEEN: Final = "unseen"
"""Not among the rows that were sent or recorded, which are not all of them: nobody can say whether it is there."""

LATER: Final = "later"
"""The moment that is looked at lies before its start."""

STATES: Final = {
    "R": "running", "S": "sleeping", "D": "uninterruptible", "T": "stopped", "t": "traced", "Z": "zombie", "X": "dead", "I": "idle",
    "P": "parked", "W": "waking",
}  # fmt: skip
"""The letters of proc(5) in words."""


class Followed(Generic[R]):
    """Something with a row in a table.

    Attributes:
        BEGAN: How the beginning of its history is told, before the time of day.
        row: As it was last seen.
        status: `LIVE`, `ENDED`, `UNSEEN` or `LATER`, in the state that was followed last.
        ended_at: When it was first missing, epoch seconds; NaN while it is there.
    """

    BEGAN: ClassVar[str] = "since"

    def __init__(self, row: R) -> None:
        self.row = row
        self.status = LIVE
        self.ended_at = nan

    def follow(self, state: State) -> None:
        """Take what a state says of it."""
        raise NotImplementedError

    def series(self, state: State, metric: str, **labels: str) -> Series | None:
        """The history of one of its values, if there is one."""
        raise NotImplementedError

    @property
    def live(self) -> bool:
        """Whether it is there, as far as is known."""
        return self.status == LIVE

    @property
    def about(self) -> About:
        """What has to have changed for its charts to show it."""
        return MACHINE


class Subject(Followed[ProcessRow]):
    """A process."""

    BEGAN = "since opened"

    def follow(self, state: State) -> None:
        """Take what a state says of it."""
        table = state.table(ProcessTable)
        if table is None:
            return
        pid, start = self.row.pid, self.row.start
        found = next((row for row in table.rows if row.pid == pid and row.start == start), None)
        if found is not None:
            self.row, self.status, self.ended_at = found, LIVE, nan
            return
        replaced = any(row.pid == pid for row in table.rows)
        if table.at < self.row.started:
            self.status, self.ended_at = LATER, nan
        elif replaced or len(table.rows) >= table.total:
            if not self.ended_at <= table.at:
                self.ended_at = table.at
            self.status = ENDED
        else:
            self.status, self.ended_at = UNSEEN, nan

    def series(self, state: State, metric: str, **labels: str) -> Series | None:
        """The history of one of its values, which begins when somebody looks at it closely."""
        return state.find(metric, **labels, pid=str(self.row.pid), start=str(self.row.start))


class Trend:
    """The history of one value of something followed; what was measured is kept when that ends."""

    def __init__(self, metric: str, **labels: str) -> None:
        self._metric = metric
        self._labels = labels
        self._series: Series | None = None
        self._track: Track | None = None

    def values(self, subject: Followed[R], state: State, cells: int, longest_s: float) -> "Window":
        """Its values in buckets aligned to the clock, up to the newest sample, or to now when there has been none for too long."""
        found = subject.series(state, self._metric, **self._labels)
        if found and self._series and found.definition != self._series.definition:
            self._track = None
        self._series = found or (self._series if subject.status == ENDED else None)
        if self._series is None or not len(self._series.ring):
            return Window([nan] * cells, SHORTEST_S, state.at, state.at)
        ring = self._series.ring
        edge = state.at if subject.live and state.at - ring.last > GAP * ring.interval_s else ring.last
        began = self._series.points()[0][0]
        window_s = fitting_window(edge - began, longest_s)
        if self._track is None or (self._track.cells, self._track.width_s) != (cells, window_s / cells):
            self._track = Track(cells, window_s)
        values = self._track.values(self._series, edge)
        return Window(values, window_s, began if edge - began < window_s else nan, edge)

    @property
    def begun(self) -> bool:
        """Whether there was anything to draw when `values` was last called: a sample, of a counter two."""
        return self._series is not None and len(self._series.ring) > int(self._series.counter)


class Window(NamedTuple):
    """Values over a window of time; `began` is when the history begins, epoch seconds, where that is inside of it; `edge` its end."""

    values: list[float]
    window_s: float
    began: float
    edge: float


def family(row: ProcessRow, rows: Sequence[ProcessRow], glyphs: Glyphs) -> list[Item]:
    """Its ancestors from the first one down, itself, and its children in pid order, with the branches drawn."""
    by_pid = {other.pid: other for other in rows}
    chain = [*reversed(list(_ancestors(row, by_pid))), row]
    items = [Item(member, "" if depth == 0 else "  " * (depth - 1) + glyphs.last_branch) for depth, member in enumerate(chain)]
    children = sorted((other for other in rows if other.ppid == row.pid and other.key != row.key), key=lambda other: other.pid)
    trunk = "  " * (len(chain) - 1)
    items += [Item(child, trunk + (glyphs.last_branch if child is children[-1] else glyphs.branch)) for child in children]
    return items


def _ancestors(row: ProcessRow, by_pid: dict[int, ProcessRow]) -> Iterator[ProcessRow]:
    """Parents upwards; a row of another moment may name a pid that is another's by now, so that one younger than its child is none."""
    seen = {row.pid}
    child = row
    while child.ppid in by_pid and child.ppid not in seen:
        parent = by_pid[child.ppid]
        if parent.start > child.start and not isnan(parent.started):
            return
        seen.add(parent.pid)
        yield parent
        child = parent
