"""The source that goes on: when the engine it reads from is gone, another takes its place, with a keyframe, and the screen stays."""

import threading
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from perfconsole.core.errors import RequestError
from perfconsole.core.ports import Source, Watch
from perfconsole.core.tick import Tick
from perfconsole.sources.remote import ENDED, RemoteSource

FIRST_PAUSE_S: Final = 0.1
MOST_PAUSE_S: Final = 2.0


class Succession:
    """Relays to one source after the other; see `core.ports.Source`.

    Args:
        first: What it begins with; None has `following` asked at once.
        following: Gives the next source, not yet subscribed to, or None when there is none yet. Called on a thread of its own, where it
            may take its time, until it gives one; an error is the same as None.
    """

    def __init__(self, first: Source | None, following: Callable[[], Source | None]) -> None:
        self._current = first
        self._gone: Source | None = None  # the one that has ended
        self._following = following
        self._wake: Callable[[], None] = lambda: None
        self._watch: Watch | None = None
        self._closed = threading.Event()
        self._life = threading.RLock()  # of opening, watching and closing, each of which is over in milliseconds; never of a wake

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Start."""
        self._wake = wake
        with self._life:
            if self._current:
                self._open(self._current)
            else:
                self._begin_search()

    def close(self) -> None:
        """Stop; also what is being looked for when it is found."""
        with self._life:
            self._closed.set()
            current = self._current
        if current:
            current.close()

    def drain(self) -> list[Tick]:
        """The ticks since the last drain."""
        current = self._current
        return current.drain() if current else []

    def watch(self, watch: Watch) -> None:
        """Say what is looked at; whoever comes next is told too."""
        with self._life:
            self._watch = watch
            if self._current:
                self._current.watch(watch)

    async def request(self, op: str, args: Struct) -> Struct:
        """Run an operation.

        Raises:
            RequestError: When it was refused or failed, nobody is there to be asked, or who was asked ended before the answer.
        """
        current = self._current
        if current is None or current is self._gone:
            raise RequestError(f"{op}: no engine to ask: the last one has ended", "try again in a moment")
        try:
            return await current.request(op, args)
        except RequestError as error:
            if error.message != ENDED:
                raise
            raise RequestError(f"{op}: the engine ended before it answered", "look whether it was done before you try again") from error

    # From other threads -----------------------------------------------------------------------------------------------------------

    def _open(self, source: Source) -> None:
        if isinstance(source, RemoteSource):
            source.ended = lambda: self._lose(source)
        source.subscribe(self._wake)  # which no source calls once it has ended, nor after its `close`

    def _lose(self, source: Source) -> None:
        """The current source has ended. What it told last can still be drained until another is there."""
        self._gone = source
        if not self._closed.is_set():
            self._begin_search()

    def _begin_search(self) -> None:
        threading.Thread(target=self._search, name="succession", daemon=True).start()

    def _search(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._closed.is_set():
            try:
                found = self._following()
                if found:
                    self._follow(found)
                    return
            except Exception:  # noqa: BLE001, S110  whatever it is, the next attempt may not meet it; the screen says since when there is no data
                pass
            self._closed.wait(pause_s)
            pause_s = min(2 * pause_s, MOST_PAUSE_S)

    def _follow(self, source: Source) -> None:
        with self._life:
            if self._closed.is_set():
                source.close()
                return
            before, self._current = self._current, source
            try:
                self._open(source)
            except RuntimeError:  # no thread can be started: it is tried again
                self._gone = source
                raise
            if self._watch:
                source.watch(self._watch)
        if before:
            before.close()
