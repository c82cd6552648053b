"""The source that is a recording, told once from its beginning to its end: what its series were, for rules to be tried on.

A recording is made of segments, each of which begins with a keyframe, and of runs of the engine, each of which counts its groups and, after
a boot, its seconds from the beginning. Here that is one stream: groups go on where they are the same, elapsed time only grows, and of a
keyframe those samples are told that stood in the tick whose place it took. When a check began is lost of those few: it is when it ended.
"""

from array import array
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from perfconsole.core.backtest import Shapes
from perfconsole.core.tick import Group, Reading, Tick
from perfconsole.sources.segments import index, ticks

_Spot = tuple[str, str]
"""Collector and target."""


class RecordedSamples:
    """The series of a recording.

    Args:
        path: Its file, or its directory.

    Attributes:
        shapes: The label names of the series of each metric that there were so far.
        notes: What is to be said about it so far, a line each.
        count: How many samples were told.
        host: Where it was recorded.

    Raises:
        RecordingError: When it is none, or none that this version reads.
    """

    def __init__(self, path: Path) -> None:
        self.shapes: Shapes = {}
        self.notes: list[str] = []
        self.count = 0
        self.host = ""
        self._places = index(path)
        self._ids: dict[int, Group] = {}
        self._newest: dict[_Spot, float] = {}
        self._session = self._boot_id = ""
        self._next = 0
        self._shift_s = 0.0
        self._at = self._boot = 0.0

    def close(self) -> None:
        """Nothing is held."""

    def ticks(self) -> Iterator[Tick]:
        """What was recorded: its groups and readings."""
        for place in self._places:
            at = place.start
            for tick in ticks(place):
                at = max(at, tick.at)
                yield self._joined(tick)
            if at < place.end:
                self.notes.append(f"{place.path}: damaged: what it says after {_clock(at)}, up to {_clock(place.end)}, was not tried")

    def _joined(self, tick: Tick) -> Tick:
        """A tick as a part of one stream."""
        groups: list[Group] = []
        if tick.key and tick.stream:
            self.host = tick.stream.host
            if tick.stream.session != self._session:
                self._begin_run(tick)
            else:
                groups += self._ended(tick)
        groups += [self._group(group) for group in tick.groups if not self._goes_on(group)]
        readings = [*self._backlog(tick), *self._readings(tick)]
        self._at, self._boot = tick.at, tick.boot + self._shift_s
        return Tick(tick.seq, tick.at, self._boot, groups=groups, readings=readings)

    def _begin_run(self, tick: Tick) -> None:
        """Another run of the engine: its ids are its own, and after a boot its clock is, too.

        What it has not measured yet may go on; by its next keyframe, minutes later, it has measured all that there is.
        """
        assert tick.stream is not None
        if self._session and (tick.stream.boot_id != self._boot_id or tick.boot + self._shift_s < self._boot):
            self._shift_s = self._boot + max(0.0, tick.at - self._at) - tick.boot
        self._session, self._boot_id = tick.stream.session, tick.stream.boot_id
        self._ids = {-number: group for number, group in enumerate(self._ids.values(), 1)}  # no run counts down

    def _ended(self, keyframe: Tick) -> list[Group]:
        """Groups that are gone: whoever recorded missed the tick that said so."""
        held = {(group.collector, group.target) for group in keyframe.groups}
        gone = [(id_, group) for id_, group in self._ids.items() if (group.collector, group.target) not in held]
        for id_, _ in gone:
            del self._ids[id_]
        return [self._told(replace(group, series=(), at=keyframe.at)) for _, group in gone]

    def _goes_on(self, group: Group) -> bool:
        known = self._ids.get(group.id)
        return known is not None and replace(group, id=known.id, at=known.at) == known

    def _group(self, group: Group) -> Group:
        for id_, known in list(self._ids.items()):
            if (known.collector, known.target) == (group.collector, group.target):
                del self._ids[id_]
        told = self._told(group)
        if group.series:
            self._ids[group.id] = told
        for series in group.series:
            self.shapes.setdefault(series.name, set()).add(tuple(label for label, _ in series.labels))
        return told

    def _told(self, group: Group) -> Group:
        """A group as it is told: with an id that no other has had, and, where a keyframe tells what was missed, not since before that."""
        self._next += 1
        return replace(group, id=self._next, at=max(group.at, self._at))

    def _readings(self, tick: Tick) -> Iterator[Reading]:
        for reading in tick.readings:
            group = self._ids.get(reading.group)
            if group is not None and len(reading.values) == len(group.series):  # else damage, which its checksum is too late to tell
                self._newest[group.collector, group.target] = reading.at
                self.count += len(reading.values)
                yield replace(reading, group=group.id)

    def _backlog(self, keyframe: Tick) -> Iterator[Reading]:
        """Of the samples that a keyframe carries those that were not told yet."""
        for part in keyframe.backlog:
            group = self._ids.get(part.group)
            if group is None:
                continue
            spot = (group.collector, group.target)
            newest = self._newest.get(spot, 0.0)
            for at, *values in zip(array("d", part.times), *(array("d", column) for column in part.columns), strict=False):
                if at > newest and len(values) == len(group.series):
                    self._newest[spot] = at
                    self.count += len(values)
                    yield Reading(group.id, at, values)


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
