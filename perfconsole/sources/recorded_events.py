"""What changed in the whole time that a recording tells of, found without reading most of it.

A segment begins with a keyframe, and a keyframe holds the newest events that were known: the next segment's first tick tells what came
about in this one. Read as a whole are only the last segment of each run, and those in which more came about than a keyframe holds. So a
day is looked through in 0.2 s, where all of it takes 2 and more.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from math import inf
from pathlib import Path
from typing import Final, NamedTuple

from perfconsole.core.change_requests import EventList, EventsArgs
from perfconsole.core.changes import in_order, listed
from perfconsole.core.state import EVENTS_HELD
from perfconsole.core.tick import Event, Tick
from perfconsole.sources.segments import Place, index, ticks

MOST: Final = 20_000
"""Events held: 8 MiB. Past that the oldest are let go, and what is listed of that time says so."""


class _Start(NamedTuple):
    """What the keyframe says with which a segment begins.

    Attributes:
        at: When it was told; `session` by which run.
        since: It holds all that was known to have come about after this.
    """

    at: float
    session: str
    since: float


class RecordedEvents:
    """The events of a recording, learnt when somebody asks and kept; from any thread.

    Args:
        path: Its file, or its directory.

    Attributes:
        hosts: Those that it tells of, as far as was read, in order.
    """

    def __init__(self, path: Path) -> None:
        self.hosts: dict[str, None] = {}
        self._path = path
        self._lock = threading.Lock()  # of reading: who asks meanwhile finds it done
        self._events: dict[Event, None] = {}
        self._let_go = -inf
        self._starts: dict[tuple[Path, int], _Start | None] = {}
        self._read: dict[tuple[Path, int], float] = {}  # up to when a segment was read as a whole

    def ends_at(self) -> float:
        """The last moment that it tells of, epoch seconds.

        Raises:
            RecordingError: As `listed`.
        """
        return max(place.end for place in index(self._path))

    def listed(self, wanted: EventsArgs, goes_on: Callable[[], bool] = lambda: True) -> EventList:
        """Those that are asked for, each once. Reads the disk, and what was recorded since it was last asked.

        Args:
            wanted: Which.
            goes_on: Whether anybody still waits; asked between two segments.

        Raises:
            RecordingError: When there is nothing that can be read any more.
        """
        with self._lock:
            places = index(self._path)
            for place, following in zip(places, [*places[1:], None], strict=True):
                if not goes_on():
                    break
                if not self._told_by(self._start(place), following):
                    self._read_whole(place)
            self._forget(places)
            found = listed(self._events, wanted)
            return EventList(found.events, more=found.more or wanted.since <= self._let_go)

    def _start(self, place: Place) -> _Start | None:
        """What it begins with; None of one that is damaged there."""
        key = (place.path, place.offset)
        if key not in self._starts:
            self._starts[key] = _start(self._learn(tick) for tick in ticks(place))
        return self._starts[key]

    def _told_by(self, start: _Start | None, following: Place | None) -> bool:
        """Whether the beginning of the next segment tells all of this one."""
        after = self._start(following) if following else None
        return start is not None and after is not None and start.session == after.session and after.since < start.at

    def _read_whole(self, place: Place) -> None:
        key = (place.path, place.offset)
        if self._read.get(key) != place.end:
            self._read[key] = place.end
            for tick in ticks(place):
                for event in tick.events:  # those of one instant stand as they were told, whatever the next keyframe held of them
                    self._events.pop(event, None)
                self._learn(tick)

    def _learn(self, tick: Tick) -> Tick:
        self._events.update(dict.fromkeys(tick.events))
        if tick.stream:
            self.hosts[tick.stream.host] = None
        if len(self._events) > 2 * MOST:
            self._let_oldest_go()
        return tick

    def _let_oldest_go(self) -> None:
        ordered = in_order(self._events)
        kept = ordered[-MOST:]
        self._let_go = max([self._let_go, *(event.time_hi for event in ordered[: len(ordered) - len(kept)])])
        self._events = dict.fromkeys(kept)

    def _forget(self, places: Sequence[Place]) -> None:
        """What a ring has let go is not looked for again; what it told stays known."""
        here = {(place.path, place.offset) for place in places}
        for known in (self._starts, self._read):
            for key in [key for key in known if key not in here]:
                del known[key]
        if len(self._events) > MOST:
            self._let_oldest_go()


def _start(told: Iterator[Tick]) -> _Start | None:
    first = next(told, None)
    if first is None or not first.key or first.stream is None:
        return None
    held = len(first.events) >= EVENTS_HELD
    return _Start(first.at, first.stream.session, min(event.time_hi for event in first.events) if held else -inf)
