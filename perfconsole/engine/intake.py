"""What has come in since the last tick was closed: results of collectors become groups, readings and findings. No clock, no loop."""

from perfconsole.core.ports import Collector, Measured, Result
from perfconsole.core.tables import Table
from perfconsole.core.tick import Event, Group, Health, Reading, Stream, Tick


class Intake:
    """Takes results in, and gives them out as the content of a tick.

    Attributes:
        stream: What the next tick is to say anew about the stream; None for nothing.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], Group] = {}
        self._next_group = 1
        self._clear()

    def _clear(self) -> None:
        self._defined: list[Group] = []
        self._readings: list[Reading] = []
        self._tables: list[Table] = []
        self._events: list[Event] = []
        self._health: list[Health] = []
        self.stream: Stream | None = None

    def take(self, collector: Collector, result: Result, at: float) -> None:
        """Take what one run of a collector found out, at a wall-clock time.

        Raises:
            ValueError: When values and series do not match: found where it can be blamed, for the state would refuse the whole tick.
        """
        for measured in result.measured:
            self._measure(collector, measured, at)
        self._tables.extend(result.tables)
        self._events.extend(result.events)
        self._health.extend(result.health)

    def show(self, tables: list[Table]) -> None:
        """Take tables alone."""
        self._tables.extend(tables)

    def note(self, event: Event) -> None:
        """Take an event."""
        self._events.append(event)

    def find(self, health: Health) -> None:
        """Take how a collector does."""
        self._health.append(health)

    def _measure(self, collector: Collector, measured: Measured, at: float) -> None:
        if len(measured.values) != len(measured.series):
            message = f"{len(measured.values)} values for {len(measured.series)} series"
            raise ValueError(message)
        group = self._group(collector, measured)
        if group is not None:
            self._readings.append(Reading(group.id, at if measured.at is None else measured.at, measured.values, measured.began))

    def _group(self, collector: Collector, measured: Measured) -> Group | None:
        """The group of what was measured, defined anew where it is another than before; None where it ends."""
        place = (collector.name, measured.target)
        group = self._groups.get(place)
        interval_s = measured.interval_s or collector.interval_s
        same = group is not None and (group.series is measured.series or group.series == measured.series)
        if group is not None and same and group.interval_s == interval_s:  # what is a gap, and how long samples are kept, goes by it
            return group
        if group is None and not measured.series:
            return None
        group = Group(self._next_group, collector.name, measured.target, interval_s, measured.series)
        self._next_group += 1
        self._defined.append(group)
        if not measured.series:
            del self._groups[place]
            return None
        self._groups[place] = group
        return group

    def close(self, seq: int, at: float, boot: float) -> Tick:
        """A tick of what has come in, and begin anew."""
        tick = Tick(
            seq=seq,
            at=at,
            boot=boot,
            groups=self._defined,
            readings=self._readings,
            tables=self._tables,
            events=self._events,
            health=self._health,
            stream=self.stream,
        )
        self._clear()
        return tick
