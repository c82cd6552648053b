"""Rows of the table of units: systemd's services, scopes and slices, pods and containers, as the cgroup tree has them (cgroups(7))."""

from math import nan
from typing import ClassVar
from zlib import crc32

from msgspec import Struct

REST = "(others)"
"""The name of the row that sums up what is beyond the limit of the table."""


def identity(path: str) -> tuple[int, ...]:
    """The key of a unit's row: of its path, which names it for as long as it lives."""
    encoded = path.encode(errors="surrogatepass")
    return (crc32(encoded), len(encoded), crc32(encoded[::-1]))


class UnitRow(Struct, frozen=True, array_like=True, gc=False):
    """One unit or container. NaN where it is not known: a controller that is not enabled, a file that may not be read, no interval yet.

    Attributes:
        path: Of its cgroup, from the root; empty for a unit that has none because it does not run, and for the sum of the others.
        name: As systemd, the kubelet or the runtime named it: ``nginx.service``, ``pod:1a2b3c4d5e6f``, ``docker:1a2b3c4d5e6f``.
        kind: ``service``, ``scope``, ``slice``, ``pod``, ``container``, ``group`` (somebody's own) or ``rest``.
        depth: Steps below the root, for the tree.
        parent: Path of the cgroup above; empty at the top.
        cpu: CPU use in cores over the last interval.
        cpu_limit: Quota in cores; NaN for none.
        throttled: Share of the quota's periods in which it was throttled, over the last interval; `throttled_s` seconds a second.
        memory_bytes: What counts against the limit (v2 ``memory.current``), caches that can be dropped included.
        memory_limit: Bytes; NaN for none.
        memory: Share of its own limit, caches that can be dropped left out; NaN without a limit.
        oom_kills: Processes killed in it because memory ran out, since it was made.
        pressure_cpu, pressure_memory, pressure_io: Share of the last 10 s in which some task waited (PSI).
        read_bytes_s, write_bytes_s: Storage I/O.
        tasks: Processes and threads; `tasks_limit` how many it may have, NaN for none.
        state: As systemd says, ``active``, ``failed``, ``activating``, ...; empty where it does not say. `result` why it failed.
        restarts: How often systemd restarted it by itself.
        since: When it came into its state, epoch seconds.
    """

    TEXTS: ClassVar[frozenset[str]] = frozenset({"name", "path", "kind", "state", "result", "parent"})
    DERIVED: ClassVar[frozenset[str]] = frozenset()
    ASCENDING: ClassVar[frozenset[str]] = frozenset({"depth", "since"})
    FIRST: ClassVar[str] = "cpu"
    TIES: ClassVar[str] = "memory_bytes"

    path: str
    name: str
    kind: str
    depth: int = 0
    parent: str = ""
    cpu: float = nan
    cpu_limit: float = nan
    throttled: float = nan
    throttled_s: float = nan
    memory_bytes: float = nan
    memory_limit: float = nan
    memory: float = nan
    oom_kills: float = nan
    pressure_cpu: float = nan
    pressure_memory: float = nan
    pressure_io: float = nan
    read_bytes_s: float = nan
    write_bytes_s: float = nan
    tasks: float = nan
    tasks_limit: float = nan
    state: str = ""
    result: str = ""
    restarts: float = nan
    since: float = nan

    @property
    def key(self) -> tuple[int, ...]:
        """Identity."""
        return identity(self.path or self.name)

    def text(self) -> str:
        """Everything a filter looks at."""
        return f"{self.name} {self.kind} {self.state} {self.result} {self.path}"


class UnitTable(Struct, frozen=True, array_like=True, tag="unit"):
    """The units at one moment: those with the highest use, and what the rest comes to.

    Attributes:
        total: Cgroups there are.
        layout: ``v2``, ``v1`` or ``hybrid``; empty where no cgroup filesystem is mounted.
        notes: What limits this table, in words, each with its fix.
    """

    window: ClassVar[str] = ""

    target: str
    at: float
    total: int
    rows: list[UnitRow]
    layout: str = ""
    notes: tuple[str, ...] = ()
