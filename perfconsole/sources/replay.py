"""The source that is a recording: any moment of it, standing still or told again at any speed.

It opens at its end, standing still. Who replays a recording wants the last that was known before the machine died, or the moment of an
incident, which is named or stepped to from there; nobody wants the first minute of yesterday. The banner over every screen names the
keys that step, jump and play.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from os import PathLike
from pathlib import Path
from typing import Final

from msgspec import Struct

from perfconsole.core.change_requests import EventList, EventsArgs
from perfconsole.core.errors import PerfconsoleError, RequestError
from perfconsole.core.ports import Watch
from perfconsole.core.tick import Tick
from perfconsole.sources.playback import OFFERED, Playback
from perfconsole.sources.recorded_events import RecordedEvents

FRAME_S: Final = 0.25
"""At most four ticks a second are told, however fast: more than that nobody can follow."""

BOUND: Final = 64
"""Ticks held for a reader that does not drain; past that it gets a keyframe."""

_SKIP_S: Final = 10.0
"""A longer stretch without a tick was not recorded (the engine ticks twice a second): it is skipped, not sat through."""


class Player:
    """Follows watches over time; see `ReplaySource`. The time is an argument: monotonic seconds."""

    def __init__(self, playback: Playback) -> None:
        self._playback = playback
        self._asked: float | None = None
        self._speed = 0.0
        self._position = 0.0
        self._since = 0.0

    def begin(self) -> list[Tick]:
        """The end of the recording."""
        return self._playback.seek(None)

    def turn(self, watch: Watch, now: float) -> tuple[list[Tick], float | None]:
        """What a watch makes of the time since the last turn.

        A watch with another moment than the last one's goes there; with the same moment it only plays, stands or changes speed from
        where it is.

        Returns:
            What is to be told, and the seconds until the next turn: None while it stands.
        """
        told: list[Tick] = []
        if watch.at != self._asked:
            told = self._playback.seek(watch.at)
            self._asked, self._position, self._since = watch.at, self._playback.state.at, now
        else:
            self._position += (now - self._since) * self._speed
            self._since = now
        self._speed = watch.speed if watch.at is not None and watch.speed > 0 else 0.0
        if not self._speed:
            return told, None
        if _SKIP_S < self._playback.next_at - self._position < inf:
            self._position = self._playback.next_at
        told += self._playback.advance(self._position)
        ahead_s = self._playback.next_at - self._position
        if ahead_s == inf:
            self._position, self._speed = self._playback.state.at, 0.0
            return told, None
        return told, max(FRAME_S, ahead_s / watch.speed) if ahead_s <= _SKIP_S else FRAME_S


class ReplaySource:
    """A reader of a recording; see `core.ports.Source`. It can be asked what changed in all of it, and nothing else.

    Args:
        path: The file of a recording, or the directory of one.
        clock: Monotonic seconds.

    Raises:
        RecordingError: When it is not a recording, or none that this version reads.
    """

    def __init__(self, path: str | PathLike[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._playback = Playback(Path(path))
        self._events = RecordedEvents(Path(path))
        self._clock = clock
        self._watch = Watch()
        self._wake: Callable[[], None] = lambda: None
        self._ticks: list[Tick] = []
        self._open = True
        self._lock = threading.RLock()  # a wake may drain at once
        self._alarm = threading.Event()
        self._thread = threading.Thread(target=self._thread_main, name="replay", daemon=True)

    @property
    def recorded(self) -> tuple[float, float]:
        """The first and the last moment, epoch seconds."""
        return self._playback.recorded

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Start, on a thread of its own."""
        self._wake = wake
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        with self._lock:
            self._open = False
            self._ticks = []
        self._alarm.set()
        if self._thread.is_alive():
            self._thread.join(0.3)

    def drain(self) -> list[Tick]:
        """The ticks since the last drain."""
        with self._lock:
            told, self._ticks = self._ticks, []
        return told

    def watch(self, watch: Watch) -> None:
        """Say which moment is looked at, and how fast it goes on. Views change nothing: every row that was recorded is told."""
        self._watch = watch
        self._alarm.set()

    async def request(self, op: str, args: Struct) -> Struct:
        """List events; whatever else is refused: what is over can neither be asked nor changed.

        Raises:
            RequestError: When it is refused, or the recording can no longer be read.
        """
        if op not in OFFERED or not isinstance(args, EventsArgs):
            raise RequestError(f"{op} is not offered in a recording")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[EventList] = loop.create_future()
        threading.Thread(target=self._list, args=(args, loop, answer), name="replay-events", daemon=True).start()
        return await answer

    def _list(self, wanted: EventsArgs, loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[EventList]") -> None:
        """Look through the recording, in a thread of its own: of a day it takes 0.2 s, for which no step through time waits."""
        found: EventList | None = None
        error = RequestError("the recording cannot be read")
        try:
            found = self._events.listed(wanted, lambda: self._open)
        except PerfconsoleError as failure:
            error = RequestError(failure.message, failure.fix)
        except Exception as failure:  # noqa: BLE001  whatever it is, it belongs to the one who asked
            error = RequestError(f"the recording cannot be read: {type(failure).__name__}: {failure}")

        def settle() -> None:
            if answer.done():  # nobody waits any more
                return
            if found is None:
                answer.set_exception(error)
            else:
                answer.set_result(found)

        with suppress(RuntimeError):  # the loop is closed: the answer came after the end
            loop.call_soon_threadsafe(settle)

    def _thread_main(self) -> None:
        player = Player(self._playback)
        self._tell(player.begin())
        wait_s: float | None = 0.0
        while self._open:
            self._alarm.wait(wait_s)
            self._alarm.clear()
            told, wait_s = player.turn(self._watch, self._clock())
            self._tell(told)

    def _tell(self, told: list[Tick]) -> None:
        with self._lock:
            if not self._open or not told:
                return
            idle = not self._ticks
            if told[0].key:
                self._ticks = []
            self._ticks += told
            if len(self._ticks) > BOUND:
                self._ticks = [self._playback.keyframe()]
            if idle:
                self._wake()
