"""The events database: what has to outlive the process about alerts and what changed, kept by a thread of its own. Who puts never waits.

Everything that waits is committed together, each call whole, and synced. What cannot be written is held in memory and tried again; a
damaged file is put aside and a new one begun with what is held. SQLite itself is loaded by the thread, not by who imports this.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from math import inf
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from perfconsole.core.change_requests import EventList, EventsArgs
from perfconsole.core.changes import listed
from perfconsole.core.notices import Changes, Notice, Saved
from perfconsole.core.text import safe
from perfconsole.core.tick import Alert
from perfconsole.history.event_asking import Asking
from perfconsole.history.event_check import PageCheck
from perfconsole.history.event_faults import DamagedError, EventsError, set_aside
from perfconsole.history.event_memory import BOUND, Batch, Memory
from perfconsole.history.event_waiting import Waiting

if TYPE_CHECKING:
    from sqlite3 import Connection

    from perfconsole.history.event_database import EventDatabase
    from perfconsole.history.event_rows import Found

__all__ = ["MEMORY_ONLY", "EventFile", "EventsError", "read", "read_events"]

T = TypeVar("T")

NAME: Final = "events.db"
RETRY_S: Final = 1.0
PATIENCE_S: Final = 5.0
"""How long a disk may take: then whoever waits for what was put to be kept is told all the same, and a start goes on without."""

CLOSE_S: Final = 2.0
CHECK_S: Final = 20.0
"""After the start, every page is looked at once: not at the start, which is in a hurry."""

PRUNE_S: Final = 3600.0
PRUNE_PAUSE_S: Final = 0.05
ASIDE: Final = 5
"""Files that are put aside in one run, at most: a disk that damages every one is not to be filled with them."""

MEMORY_ONLY: Final = "alerts and events are kept in memory only: "
"""What the reason stands behind why nothing can be written down."""

_DAMAGED: Final = "it is damaged; the next console that records puts it aside"


class _Start:
    """A `load` under way."""

    def __init__(self) -> None:
        self.saved = Saved()
        self.over = threading.Event()
        self.given_up = False


class EventFile:
    """Keeps it in `events.db` in the state directory; see `core.notices.EventStore`. One at a time writes there: who holds the lease.

    Args:
        directory: The state directory; made with mode 0700 when it is not there.
        clock: Epoch seconds.
        retry_s: Seconds after a failed write until the next attempt.
        patience_s: Seconds until a disk that does not answer counts as one that failed.
        check_s: Seconds after the start until the file is looked through for damage.
        bound: Transitions, events, and settled notices, held while they cannot be written.

    Attributes:
        error: Why nothing is kept, in words; empty while all is well.
        said: What else happened to the file, in words, for whoever takes it from there: damage, things that could not be read.
    """

    def __init__(
        self,
        directory: str | PathLike[str],
        clock: Callable[[], float] = time.time,
        *,
        retry_s: float = RETRY_S,
        patience_s: float = PATIENCE_S,
        check_s: float = CHECK_S,
        bound: int = BOUND,
    ) -> None:
        self.error = ""
        self.said: deque[str] = deque(maxlen=20)
        self._path = Path(directory) / NAME
        self._clock = clock
        self._retry_s, self._patience_s = retry_s, patience_s
        self._lock = threading.Lock()  # of everything that is put; never held for long
        self._writing = threading.Lock()  # held while a batch goes to the disk
        self._memory = Memory(bound)
        self._asking = Asking(self._path, self._memory, self._lock, self._writing, self._suspected, lambda: self._aside)
        self._waiting = Waiting(patience_s, self._late, lambda error: self._say(f"telling what is kept: {type(error).__name__}: {error}"))
        self._start: _Start | None = None
        self._database: EventDatabase | None = None
        self._suspect = ""
        self._aside = 0
        self._check_s = check_s
        self._check_at = time.monotonic() + check_s
        self._prune_at = self._check_at
        self._check: PageCheck | None = None
        self._closing = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._thread_main, name="events", daemon=True)
        self._thread.start()

    def load(self) -> Saved:
        """What earlier runs left; nothing where it cannot be read (`error` says why), or not in time."""
        start = _Start()
        self._start = start
        self._wake.set()
        if not start.over.wait(self._patience_s):
            with self._lock:
                start.given_up = not start.over.is_set()
            if start.given_up:
                self._say(f"{self._path} did not answer within {self._patience_s:.0f} s: what it holds of earlier runs is not known")
        return Saved() if start.given_up else start.saved

    def put(self, changes: Changes, kept: Callable[[], None] | None = None) -> None:
        """Have it kept; returns at once. After `close` nothing is."""
        with self._lock:
            if self._closing:
                return
            self._memory.take(changes)
            if kept:
                self._waiting.add(kept)
        self._wake.set()

    def history(self, alert_id: str, limit: int) -> tuple[list[Alert], list[Notice]]:
        """The newest that was told of an alert, and of notices, newest first; of all alerts where the id is empty.

        From the caller's thread: see `event_asking`.
        """
        return self._asking.history(alert_id, limit)

    def events(self, wanted: EventsArgs) -> EventList:
        """The newest events that are asked for; from the caller's thread, as `history`."""
        return self._asking.events(wanted)

    def close(self) -> None:
        """Write everything that was given, and end; a disk that hangs is not waited for."""
        with self._lock:
            self._closing = True
        if self._check:
            self._check.end()
        self._waiting.close()
        self._wake.set()
        self._thread.join(CLOSE_S)

    def _say(self, text: str) -> None:
        self.said.append(safe(text, 400))

    # The thread --------------------------------------------------------------------------------------------------------------------

    def _thread_main(self) -> None:
        closing = False
        while not closing:
            self._wake.wait(self._idle_s())
            self._wake.clear()
            closing = self._closing
            try:
                self._step()
            except DamagedError as error:
                if self._put_aside(str(error)):
                    closing = False  # what is owed can be written now
            except Exception as error:  # noqa: BLE001  whatever is wrong with this file, it is said on a pane and ends nothing else
                self._fail(error)
        self._drop()

    def _idle_s(self) -> float:
        due_s = max(0.0, min(self._check_at, self._prune_at) - time.monotonic())
        return min(due_s, self._retry_s) if self.error else due_s

    def _step(self) -> None:
        start, self._start = self._start, None
        if start:
            self._load(start)
        if self._suspect:
            raise DamagedError(self._suspect)
        with self._lock:
            owing, newest = self._memory.owing, self._waiting.newest
        if owing or self.error:
            database = self._open()  # first: a new file is owed everything
            with self._lock:
                batch, newest = self._memory.begin(), self._waiting.newest
            if batch:
                self._write(database, batch)
        self.error = ""  # before: whoever is told may ask for it
        self._waiting.tell(newest)
        self._recovered()
        if not self._closing:
            self._look_after()

    def _write(self, database: "EventDatabase", batch: Batch) -> None:
        with self._writing:
            database.write(batch, self._clock())
            stand = {standing.alert.id for standing in batch.standings or ()}
            with self._lock:
                self._memory.done(stand)

    def _open(self) -> "EventDatabase":
        from perfconsole.history.event_database import EventDatabase  # noqa: PLC0415  loads SQLite, in this thread

        if self._database and self._database.gone:
            self._say(f"{self._path} was taken away: a new one is begun")
            self._drop()
        if not self._database:
            with self._writing:
                self._database = EventDatabase(self._path, self._clock())
            if self._database.made:
                with self._lock:
                    self._memory.owe_all()
        return self._database

    def _drop(self) -> None:
        database, self._database = self._database, None
        if database:
            database.close()

    def _load(self, start: _Start) -> None:
        found = None
        try:
            if not self._nothing_yet():
                found = self._found()
        finally:  # whoever waits is not left waiting
            with self._lock:
                if found and not start.given_up:
                    self._memory.restore(found.saved)
                    start.saved = found.saved
                start.over.set()
        if found is None:
            return
        if found.skipped:
            self._say(f"{self._path}: {found.skipped} entries of another version could not be read")
        if found.damage:
            raise DamagedError(found.damage)

    def _nothing_yet(self) -> bool:
        """Whether nothing was ever kept, and it could be: SQLite and a file (3 MiB) are for those where something has changed."""
        here = self._path.parent
        return (
            here.is_dir() and here.stat().st_uid == os.getuid() and os.access(here, os.W_OK | os.X_OK) and not os.path.lexists(self._path)
        )

    def _found(self) -> "Found":
        from perfconsole.history import event_opening, event_rows  # noqa: PLC0415  loads SQLite, in this thread

        now = self._clock()
        try:
            return event_rows.load(self._open().connection, now)
        except EventsError as error:
            self._fail(error)
            self._drop()
            with event_opening.reading(self._path, alone=True) as connection:
                return event_rows.load(connection, now) if connection else event_rows.Found(Saved(), 0, "")

    def _recovered(self) -> None:
        self.error = ""
        with self._lock:
            let_go = ((self._memory.let_go, "transitions"), (self._memory.events_let_go, "events"))
            self._memory.let_go = self._memory.events_let_go = 0
        for count, what in let_go:
            if count:
                self._say(f"{count} {what} were let go while {self._path} could not be written")
        if self._database and self._database.refused:
            self._say(f"{self._path}: {self._database.refused} things could not be written down")
            self._database.refused = 0

    def _fail(self, error: Exception) -> None:
        reopen, fix = True, ""
        if isinstance(error, EventsError):
            reason, fix, reopen = error.message, error.fix, error.reopen
        else:
            reason = (error.strerror if isinstance(error, OSError) else None) or f"{type(error).__name__}: {error}"
        if reopen:
            self._drop()
        with self._lock:
            self._memory.failed()
            let_go = self._memory.let_go
        lost = f"; {let_go} transitions were let go" if let_go else ""
        self.error = safe(f"{MEMORY_ONLY}{reason} ({self._path}){lost}" + (f": {fix}" if fix else ""), 400)
        self._waiting.tell()

    def _put_aside(self, reason: str) -> bool:
        if self._aside >= ASIDE:
            self._fail(EventsError(f"damaged again and again: {reason}", "look at the disk, and start anew"))
            return False
        try:
            aside = set_aside(self._path, self._clock())
        except OSError as error:
            self._fail(error)
            return False
        self._aside += 1
        self._suspect = ""
        self._drop()  # only now: it would be written to, and what is beside it removed
        with self._lock:
            self._memory.failed()
            self._memory.owe_all()
        self._say(f"{self._path} was damaged ({reason}): it is kept as {aside.name}, and a new one begun")
        self._wake.set()
        return True

    def _late(self) -> None:
        text = f"{MEMORY_ONLY}the disk has not answered for {self._patience_s:.0f} s ({self._path})"
        self.error = safe(text, 400)

    def _suspected(self, damage: str, file: int) -> None:
        """Have a file put aside that was found damaged by another thread, unless it was already."""
        if file == self._aside:
            self._suspect = damage
            self._wake.set()

    def _look_after(self) -> None:
        now = time.monotonic()
        if now < min(self._prune_at, self._check_at):
            return
        if not self._database and self._nothing_yet():
            self._check_at = self._prune_at = now + self._check_s  # nothing to look after yet
        elif now >= self._prune_at:
            self._prune_at = now + PRUNE_S
            if self._open().prune(self._clock()):
                self._prune_at = now + PRUNE_PAUSE_S
        if now >= self._check_at:
            self._check_at = inf
            file = self._aside
            self._check = PageCheck(self._path, lambda damage: self._suspected(damage, file))


def read(directory: str | PathLike[str], now: float | None = None) -> Saved:
    """What is kept, for a process that does not hold the lease; nothing where nothing was ever kept.

    Args:
        directory: The state directory.
        now: Epoch seconds; the present when not given.

    Raises:
        EventsError: When it cannot be read.
    """
    from perfconsole.history import event_rows  # noqa: PLC0415  loads SQLite

    at = time.time() if now is None else now
    found = _read(directory, lambda connection: event_rows.load(connection, at), alone=True)
    if found and found.damage:
        raise EventsError(f"cannot read {Path(directory) / NAME}: {found.damage}", _DAMAGED)
    return found.saved if found else Saved()


def read_events(directory: str | PathLike[str], wanted: EventsArgs, *, alone: bool = True) -> EventList:
    """What is asked for of what changed, for a process that does not hold the lease.

    Args:
        directory: The state directory.
        wanted: Which.
        alone: Nobody holds the lease.

    Raises:
        EventsError: When it cannot be read.
    """
    from perfconsole.history import event_rows  # noqa: PLC0415  loads SQLite

    one_more = EventsArgs(wanted.since, wanted.until, wanted.limit + 1, wanted.kinds)
    return listed(_read(directory, lambda connection: event_rows.events(connection, one_more), alone=alone) or [], wanted)


def _read(directory: str | PathLike[str], ask: "Callable[[Connection], T]", *, alone: bool) -> T | None:
    """What the file answers; None where nothing was ever kept."""
    from perfconsole.history import event_opening  # noqa: PLC0415  loads SQLite

    path = Path(directory) / NAME
    try:
        with event_opening.reading(path, alone=alone) as connection:
            return ask(connection) if connection else None
    except EventsError as error:
        raise EventsError(f"cannot read {path}: {error.message}", error.fix) from error
    except DamagedError as error:
        raise EventsError(f"cannot read {path}: {error}", _DAMAGED) from error
