"""The Protocols between rooms, and the small types that pass through them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from perfconsole.core.requests import Spec
from perfconsole.core.tables import Table, View
from perfconsole.core.tick import Event, Health, SeriesDef, Tick


class Watch(Struct, frozen=True, array_like=True, tag="watch"):
    """What a reader looks at, and when; replaces its last watch.

    Attributes:
        at: A moment in the recording, epoch seconds; None is now.
        speed: Recorded seconds told per second; 0 stands still.
    """

    views: tuple[View, ...] = ()
    at: float | None = None
    speed: float = 1.0


class Source(Protocol):
    """Where ticks come from: this process, another one, a recording. A screen cannot tell which."""

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Start; `wake` is called from another thread, coalesced, when there is something to drain; never after `close`."""

    def close(self) -> None:
        """Stop, at once."""

    def drain(self) -> list[Tick]:
        """The ticks since the last drain; never blocks. After an overflow it begins with a keyframe."""

    def watch(self, watch: Watch) -> None:
        """Say what is looked at; returns at once."""

    async def request(self, op: str, args: Struct) -> Struct:
        """Run an operation and wait for its result.

        Raises:
            RequestError: When it was refused or failed.
        """


class Slot(NamedTuple):
    """When a collector runs: wall clock and CLOCK_BOOTTIME at its start, and the CLOCK_BOOTTIME by which it must be done."""

    at: float
    boot: float
    deadline: float


class Measured(NamedTuple):
    """The values of one group. `series` is compared by identity first: keep and reuse the tuple while the set of series is unchanged.

    Attributes:
        target: The target of the group; empty series end it.
        interval_s: 0 means the collector's interval.
        at: When the values were true, epoch seconds; None is when the engine takes them.
        timeout_s: As `Group.timeout_s`; `failures` likewise.
    """

    target: str
    series: tuple[SeriesDef, ...]
    values: list[float]
    began: float | None = None
    interval_s: float = 0.0
    at: float | None = None
    timeout_s: float = 0.0
    failures: int = 0


class Result(NamedTuple):
    """What one collector run found out.

    Attributes:
        health: Speaks of parts (one mount, one sensor): that the target itself is ok is implied, unless there is one of its own
            name and target. Such a finding does not count as a failed run, and delays no later one.
    """

    measured: Sequence[Measured] = ()
    tables: Sequence[Table] = ()
    events: Sequence[Event] = ()
    health: Sequence[Health] = ()


class Operation(NamedTuple):
    """An operation bound to whoever carries it out. Whether it changes something is in its `Spec` and tested in the dispatcher."""

    spec: Spec
    run: Callable[[Any], Awaitable[Struct]]


class Collector(Protocol):
    """Measures one kind of thing at each of its targets. The scheduler runs (collector, target) pairs, one run of a pair at a time.

    Attributes:
        name: Its name in health and groups.
        interval_s: Seconds between runs.
        first_after_s: Seconds after the start before the first run; 0 is at once.
        targets: Names of what it looks at; ``host`` for the machine itself.
        operations: What it can do on request.
    """

    name: str
    interval_s: float
    first_after_s: float
    targets: Sequence[str]
    operations: Sequence[Operation]

    async def run(self, target: str, slot: Slot, views: Sequence[View]) -> Result:
        """Measure once. Must not block the loop for more than 3 ms at a stretch.

        Raises:
            CollectorError: When the run as a whole failed.
        """

    async def look(self, views: Sequence[View]) -> Sequence[Table]:
        """Tables that a changed watch asks for, from the last data; nothing when there is none."""

    def close(self) -> None:
        """Give back what is held (descriptors, connections)."""


class Sink(Protocol):
    """A consumer of closed ticks inside the engine; never blocks.

    Attributes:
        wants_keyframe: Set while it can only go on from a keyframe (at its start, after a fault): it is given one in place of the tick.
        error: Why it does not do its work, in words; empty while it does.
    """

    wants_keyframe: bool
    error: str

    def __call__(self, tick: Tick) -> None:
        """Take one tick."""

    def close(self) -> None:
        """Finish: everything taken is kept."""
