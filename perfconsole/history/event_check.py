"""Looks through every page of the events database once, beside whoever writes it; can be ended at any moment."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from perfconsole.history.event_faults import DamagedError, EventsError


class PageCheck:
    """One look through the file, in a thread of its own that starts at once.

    Args:
        path: The file.
        damaged: Called from that thread with what is damaged, in words.
    """

    def __init__(self, path: Path, damaged: Callable[[str], None]) -> None:
        self._path = path
        self._damaged = damaged
        self._interrupt: Callable[[], None] | None = None
        threading.Thread(target=self._thread_main, name="events check", daemon=True).start()

    def end(self) -> None:
        """Look no further."""
        interrupt = self._interrupt
        if interrupt:
            with suppress(Exception):  # it ended just now
                interrupt()

    def _thread_main(self) -> None:
        from perfconsole.history import event_opening, event_rows  # noqa: PLC0415  loads SQLite

        damage = ""
        try:
            with event_opening.reading(self._path) as connection:
                if connection:
                    self._interrupt = connection.interrupt
                    damage = event_rows.check(connection)
        except EventsError:  # ended, or what the store finds out for itself
            return
        except DamagedError as error:
            damage = str(error)
        finally:
            self._interrupt = None
        if damage:
            self._damaged(damage)
