"""What has come in since the last tick was closed: results of collectors become groups, readings and findings. No clock, no loop.

A tick tells of the time since the one before, and of no other: what is told late, by another process or by a clock that was set meanwhile,
counts as of the first moment of that time, and what is told of the future as of its last. Otherwise what an alert comes to would depend on
which deadlines had been taken before it was told.
"""

from math import inf
from typing import Final

import msgspec

from perfconsole.core.ports import Collector, Measured, Result
from perfconsole.core.tables import Table
from perfconsole.core.tick import Event, Group, Health, Reading, Stream, Tick
from perfconsole.engine.clock import STEP_S

APART_S: Final = 1e-6
"""What late readings of a group are apart, and the first from the tick before: four times the resolution of epoch seconds as floats."""


class Intake:
    """Takes results in, and gives them out as the content of a tick.

    Attributes:
        stream: What the next tick is to say anew about the stream; None for nothing.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], Group] = {}
        self._next_group = 1
        self._boot = -inf
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
        at = at if measured.at is None else measured.at
        group = self._group(collector, measured, at)
        if group is not None:
            self._readings.append(Reading(group.id, at, measured.values, measured.began))

    def _group(self, collector: Collector, measured: Measured, at: float) -> Group | None:
        """The group of what was measured, defined anew where it is another than before; None where it ends."""
        place = (collector.name, measured.target)
        group = self._groups.get(place)
        interval_s = measured.interval_s or collector.interval_s
        same = group is not None and (group.series is measured.series or group.series == measured.series)
        judged_by = (interval_s, measured.timeout_s, measured.failures)  # what is a gap, what is down, and how long samples are kept
        if group is not None and same and (group.interval_s, group.timeout_s, group.failures) == judged_by:
            return group
        if group is None and not measured.series:
            return None
        group = Group(self._next_group, collector.name, measured.target, interval_s, measured.series, at, *judged_by[1:])
        self._next_group += 1
        self._defined.append(group)
        if not measured.series:
            del self._groups[place]
            return None
        self._groups[place] = group
        return group

    def close(self, seq: int, at: float, boot: float) -> Tick:
        """A tick of what has come in, and begin anew.

        Readings and groups that are not of the time since the tick before are moved into it. Late ones of a group stay apart, and in their
        order.
        """
        after, self._boot = at - (boot - self._boot) + APART_S, boot
        tick = Tick(
            seq=seq,
            at=at,
            boot=boot,
            groups=[_settled(group, after, at) for group in self._defined],
            readings=_in_order(self._readings, after, at),
            tables=self._tables,
            events=self._events,
            health=self._health,
            stream=self.stream,
        )
        self._clear()
        return tick


def _in_order(readings: list[Reading], after: float, until: float) -> list[Reading]:
    """Readings from `after` to `until`, those of a group one after the other."""
    first: dict[int, float] = {}
    out = []
    for reading in readings:
        at = min(max(reading.at, first.get(reading.group, after)), until)
        first[reading.group] = at + APART_S
        out.append(reading if at == reading.at else _moved(reading, at))
    return out


def _moved(reading: Reading, at: float) -> Reading:
    """A reading as of another time.

    One that just missed a tick began when it says. One that is off by more than that is of a clock that was set, or came by a long way:
    how long it took is all that can be believed, and an hour of being down is not told of the first failure.
    """
    moved_s, began = at - reading.at, reading.began
    if began is not None and abs(moved_s) > STEP_S:
        began += moved_s
    return Reading(reading.group, at, reading.values, began)


def _settled(group: Group, after: float, until: float) -> Group:
    at = min(max(group.at, after), until)
    return group if at == group.at else msgspec.structs.replace(group, at=at)
