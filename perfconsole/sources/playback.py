"""A position in a recording, and the state as of it: seeking, and reading on. Knows files, but neither threads nor the time of day."""

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from math import inf
from pathlib import Path
from typing import Final

import msgspec

from perfconsole.core.errors import RecordingError
from perfconsole.core.requests import EVENT_LIST
from perfconsole.core.series import HELD_S
from perfconsole.core.state import State
from perfconsole.core.tick import Stream, Tick, merge
from perfconsole.sources.segments import Place, index, ticks

_NEAR_S: Final = 120.0
"""A step of up to this far ahead reads on (1 ms); any other seek folds the half hour before it (100 ms)."""

OFFERED: Final = frozenset({EVENT_LIST.name})
"""What can be asked of a recording: a moment knows only of what came before it. Nothing can be changed."""

_MANY: Final = 500
"""Ticks passed at once from which on a keyframe costs a reader less than all of them merged."""


class Playback:
    """A recording, opened at no particular moment.

    Args:
        path: A recording's file or directory.

    Attributes:
        state: What was known at the moment looked at.

    Raises:
        RecordingError: When there is nothing that can be read: says what was found, and what was expected.
    """

    def __init__(self, path: Path) -> None:
        self.state = State()
        self._path = path
        self._places = index(path)
        self._ahead: Iterator[Tick] = iter(())
        self._next: Tick | None = None
        self._stream = self._first_stream()

    def _first_stream(self) -> Stream:
        for place in self._places:
            first = next(ticks(place), None)
            if first and first.stream:
                return first.stream
        raise RecordingError(f"{self._path} is damaged from its beginning", "there is nothing in it that can be read")

    @property
    def recorded(self) -> tuple[float, float]:
        """The first and the last moment, epoch seconds."""
        last = max(place.end for place in self._places)
        return self._places[0].start, max(last, self.state.at) if self.state.seq >= 0 else last

    @property
    def next_at(self) -> float:
        """When the next tick was recorded; infinity at the end."""
        return self._next.at if self._next else inf

    def seek(self, at: float | None) -> list[Tick]:
        """Go to a moment; before the first is the first, and None the last.

        Returns:
            Ticks that leave a reader, whatever it saw before from here, with the state as of then.
        """
        if at is not None and 0 <= at - self.state.at <= _NEAR_S and self._next:
            told = self.advance(at)
        else:
            self._rewind(inf if at is None else at)
            told = [self.keyframe()]
        if at is not None and min(at, self.recorded[1]) - self.state.at > 1.0:
            told.append(self._silence(min(at, self.recorded[1])))
        return told

    def advance(self, to: float) -> list[Tick]:
        """Go on to a later moment: at most one tick, in which everything is merged."""
        run: list[Tick] = []
        anew = False
        while self._next and self._next.at <= to:
            anew = anew or self._next.key
            run.append(self._next)
            self._fold(self._next)
            self._next = next(self._ahead, None)
        if anew or len(run) > _MANY:
            return [self.keyframe()]
        return [msgspec.structs.replace(merge(run), past=True)] if run else []

    def keyframe(self) -> Tick:
        """Everything as of the moment looked at."""
        stream = msgspec.structs.replace(
            self.state.stream or self._stream, ops=OFFERED, read_only=True, recorded=self.recorded, recorder=""
        )
        return msgspec.structs.replace(self.state.keyframe(), past=True, stream=stream)

    def _silence(self, at: float) -> Tick:
        """Nothing was recorded at that moment: time has passed since what is known, so that it is seen to be old."""
        tick = Tick(self.state.seq, at, self.state.boot + at - self.state.at, past=True)
        self.state.apply(tick)
        return tick

    def _rewind(self, at: float) -> None:
        with suppress(RecordingError):  # gone meanwhile: what is open goes on
            self._places = index(self._path)
        places = self._places
        at = max(at, places[0].start)
        found = max(0, bisect_right([place.start for place in places], at) - 1)
        since = min(at, places[found].end) - HELD_S
        before = [place for place in places[:found] if place.end >= since]
        self.state = State()
        for tick in _told(before):
            self._fold(tick)
        self._ahead = _told(places[found:])
        self._next = next(self._ahead, None)
        while self._next and self._next.at <= at:
            self._fold(self._next)
            self._next = next(self._ahead, None)

    def _fold(self, tick: Tick) -> None:
        known = self.state.stream
        with suppress(ValueError):  # a reading that does not fit its group: damage that the checksum comes too late to tell
            if not tick.key:
                self.state.apply(tick)
            elif known and tick.stream and tick.stream.host == known.host:
                # Every segment begins with a keyframe, and so does the next run of the console: what was held before stays true.
                self.state.resume(tick)
            else:
                self.state.apply(tick)


def _told(places: list[Place]) -> Iterator[Tick]:
    return chain.from_iterable(map(ticks, places))
