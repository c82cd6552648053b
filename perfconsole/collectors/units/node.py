"""One cgroup: where it stands in the tree, what is held open of it, and what was last read."""

from math import nan
from typing import Final, NamedTuple

from perfconsole.collectors.units.names import ROOT, Place
from perfconsole.core.globs import Globs
from perfconsole.core.tables import Key
from perfconsole.core.unit_rows import identity


class Counts(NamedTuple):
    """What only grows, at a moment (CLOCK_BOOTTIME); NaN where it is not known."""

    at: float = nan
    usage_s: float = nan
    periods: float = nan
    throttled: float = nan
    throttled_s: float = nan


class Use(NamedTuple):
    """What was used over some time; NaN where it is not known.

    Attributes:
        cpu: Cores.
        throttled: Share of the quota's periods; `throttled_s` seconds a second.
    """

    cpu: float = nan
    throttled: float = nan
    throttled_s: float = nan


class Flow(NamedTuple):
    """Bytes read and written until a moment."""

    at: float = nan
    read_bytes: float = nan
    write_bytes: float = nan


UNKNOWN: Final = Counts()
NO_USE: Final = Use()
NO_FLOW: Final = Flow()


class Node:
    """One cgroup of the tree; one that was made anew under the same path is another.

    Attributes:
        inodes: By position of the hierarchy, where it exists in that.
        above: None for the root.
        below: Those that are followed.
        chosen: Whether it is among what is looked at; `asked` by a pattern that names it or one above, `refused` likewise.
        descriptors: By hierarchy and name of the file; -1 for one that is not there.
        counts: As of the last scan, `before` of the one before it, `base` of the last time that series were told.
        limits_at: When its limits were last read, CLOCK_BOOTTIME; NaN before it was read at all.
        own_limit: Of memory, whether or not one further up is smaller; `memory_limit` only if none is.
        memory: Share of the latter; NaN where nobody needed it.
        use: Between the last two scans.
        oom: Kills as the kernel counts them here; `oom_before` likewise at the last look.
        flow: Storage I/O when it was last looked at.
    """

    __slots__ = (
        "above", "asked", "base", "before", "below", "chosen", "counts", "cpu_limit", "depth", "descriptors", "flow", "inodes", "limits_at",
        "memory", "memory_bytes", "memory_limit", "oom", "oom_before", "own_limit", "place", "pressure", "read_bytes_s", "refused", "tasks",
        "tasks_limit", "use", "write_bytes_s",
    )  # fmt: skip

    def __init__(self, place: Place, above: "Node | None", inodes: dict[int, int], globs: Globs) -> None:
        self.place = place
        self.above = above
        self.below: list[Node] = []
        self.inodes = inodes
        self.depth: int = above.depth + 1 if above else 0
        self.refused: bool = globs.refuses(place.name) or (above is not None and above.refused)
        self.asked: bool = globs.names(place.name) or (above is not None and above.asked)
        self.chosen = not self.refused and (self.asked or place.name in globs)
        self.descriptors: dict[tuple[int, str], int] = {}
        self.counts = self.before = self.base = UNKNOWN
        self.use = NO_USE
        self.flow = NO_FLOW
        self.limits_at = nan
        self.cpu_limit = self.own_limit = self.memory_limit = self.tasks_limit = nan
        self.memory_bytes = self.memory = self.tasks = nan
        self.read_bytes_s = self.write_bytes_s = nan
        self.oom = self.oom_before = nan
        self.pressure = (nan, nan, nan)

    @property
    def key(self) -> Key:
        """Identity of its row."""
        return identity(self.place.shown_path)

    @property
    def is_root(self) -> bool:
        """Whether it is the root of what is seen."""
        return self.place is ROOT

    def limit_memory(self, limit_bytes: float) -> None:
        """Take its own limit, which binds if none further up is smaller."""
        self.own_limit = self.memory_limit = limit_bytes
        above = self.above
        while above is not None:
            if above.own_limit < limit_bytes:
                self.memory_limit = nan
            above = above.above
