"""What is asked of the events database while it is written: what is on the disk, and what is on its way there, each once.

From the caller's thread; writes go on meanwhile. Where the file cannot be read, what is held in memory is all there is.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from perfconsole.core.change_requests import EventList, EventsArgs
from perfconsole.core.changes import listed
from perfconsole.core.notices import Notice
from perfconsole.core.tick import Alert
from perfconsole.history.event_faults import DamagedError, EventsError
from perfconsole.history.event_memory import Memory

if TYPE_CHECKING:
    import sqlite3

PAUSE_S: Final = 0.5
"""How long a reader waits for what is just being written."""

T = TypeVar("T")
H = TypeVar("H")


class Asking(NamedTuple):
    """Where to look.

    Attributes:
        path: The file.
        memory: What is on its way there; under `lock`.
        writing: Held while a batch goes to the disk.
        suspected: Called with what is damaged, in words, and which file of this run that was.
        file: Says which file of this run it is.
    """

    path: Path
    memory: Memory
    lock: threading.Lock
    writing: threading.Lock
    suspected: Callable[[str, int], None]
    file: Callable[[], int]

    def history(self, alert_id: str, limit: int) -> tuple[list[Alert], list[Notice]]:
        """See `core.notices.EventStore.history`."""
        from perfconsole.history import event_rows  # noqa: PLC0415  loads SQLite

        found, (told, owed) = self._both(
            lambda connection: event_rows.history(connection, alert_id, limit),
            lambda: (self.memory.told(alert_id), self.memory.notices(alert_id)),
        )
        kept_told, kept_notices = found or ([], [])
        keys = {notice.key for notice in owed}
        notices = owed + [notice for notice in kept_notices if notice.key not in keys]
        notices.sort(key=lambda notice: notice.made_at, reverse=True)
        return (told + kept_told)[:limit], notices[:limit]

    def events(self, wanted: EventsArgs) -> EventList:
        """See `core.notices.EventStore.events`."""
        from perfconsole.history import event_rows  # noqa: PLC0415  loads SQLite

        one_more = EventsArgs(wanted.since, wanted.until, wanted.limit + 1, wanted.kinds)
        found, owed = self._both(lambda connection: event_rows.events(connection, one_more), self.memory.events)
        return listed([*(found or []), *owed], wanted)

    def _both(self, kept: "Callable[[sqlite3.Connection], T]", held: Callable[[], H]) -> tuple[T | None, H]:
        """What is on the disk, if it can be read, and what is not known to be."""
        from perfconsole.history import event_opening, event_rows  # noqa: PLC0415  loads SQLite

        file = self.file()
        with ExitStack() as opened:
            on_its_way: list[H] = []
            try:
                with self._paused():  # what is on its way to the disk is then either there or here, unless the disk hangs
                    try:
                        connection = opened.enter_context(event_opening.reading(self.path))
                        if connection:
                            event_rows.hold_still(connection)
                    finally:
                        with self.lock:
                            on_its_way.append(held())
                return (kept(connection) if connection else None), on_its_way[0]
            except EventsError:
                pass  # the store finds out for itself
            except DamagedError as error:
                self.suspected(str(error), file)
            return None, on_its_way[0]

    @contextmanager
    def _paused(self) -> Iterator[None]:
        held = self.writing.acquire(timeout=PAUSE_S)
        try:
            yield
        finally:
            if held:
                self.writing.release()
