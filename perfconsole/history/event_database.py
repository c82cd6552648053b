"""The file `events.db`: how it is opened and made, written in one piece, and kept from growing. Used by one thread at a time.

Journalled ahead (WAL), synced at each commit: one sync instead of three, readers and the writer never wait for each other (a reader that
was stopped would hold up every commit of a rollback journal, a disk that hangs every reader), and what a power cut tears off at the end
is recognised by its checksums. The price is that it wants a local disk, and room for its index to be opened at all: `reading` gets round
that where the disk is full or read-only.
"""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from perfconsole.core.changes import SAME_S, identity
from perfconsole.core.notices import Notice, Standing
from perfconsole.core.tick import Alert, Event, Silence
from perfconsole.history.event_faults import EventsError
from perfconsole.history.event_memory import Batch
from perfconsole.history.event_opening import APPLICATION, SCHEMA, connect, is_ours, prepare
from perfconsole.history.event_rows import faults_in_words

EVENTS_KEEP_S: Final = 30 * 86400.0
EVENTS_MOST: Final = 50_000

KEEP_S: Final = 90 * 86400.0
MOST: Final = 100_000
"""Transitions kept, and notices."""

SURE: Final = 1000
"""Age is counted from what was written so many rows ago, never from the present alone: a clock that is wrong for a while must not take the
history with it. So that many are kept, however old they are."""

PRUNED: Final = 300
"""Rows removed with one commit, at most: 1 ms."""

_TABLE_OF_EVENTS: Final = (
    "CREATE TABLE events (seq INTEGER PRIMARY KEY, time_lo REAL, time_hi REAL, kind TEXT, digest BLOB, body BLOB)",
    "CREATE INDEX events_at ON events (time_hi)",
    "CREATE INDEX events_digest ON events (digest, time_hi)",
)
_TABLES: Final = (
    "CREATE TABLE standings (alert TEXT PRIMARY KEY, state TEXT, since REAL, body BLOB)",
    "CREATE TABLE silences (id TEXT PRIMARY KEY, until REAL, body BLOB)",
    "CREATE TABLE told (seq INTEGER PRIMARY KEY, alert TEXT, at REAL, state TEXT, body BLOB)",
    "CREATE INDEX told_alert ON told (alert)",
    "CREATE INDEX told_at ON told (at)",
    "CREATE INDEX told_resolved ON told (at, alert) WHERE state = 'resolved'",
    """CREATE TABLE notices (
        seq INTEGER PRIMARY KEY, key TEXT UNIQUE, channel TEXT, alert TEXT, state TEXT, made_at REAL, since REAL, body BLOB
    )""",
    "CREATE INDEX notices_alert ON notices (alert)",
    "CREATE INDEX notices_made ON notices (made_at)",
    "CREATE INDEX notices_waiting ON notices (seq) WHERE state = 'waiting'",
    *_TABLE_OF_EVENTS,
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {SCHEMA}",
)
_UPGRADES: Final = {1: (*_TABLE_OF_EVENTS, "PRAGMA user_version = 2")}
"""What makes a file of a version one of the next: what is in it stays as it is."""

_SETTINGS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 256",
    "PRAGMA journal_size_limit = 2097152",
)
_OLD: Final = (
    ("told", "seq IN (SELECT seq FROM told WHERE at < {before} ORDER BY at LIMIT :left)"),
    ("told", "seq IN (SELECT seq FROM told WHERE seq <= (SELECT max(seq) FROM told) - :kept ORDER BY seq LIMIT :left)"),
    ("notices", "seq IN (SELECT seq FROM notices AS n WHERE made_at < {before} {over} ORDER BY made_at LIMIT :left)"),
    (
        "notices",
        "seq IN (SELECT seq FROM notices AS n WHERE seq <= (SELECT max(seq) FROM notices) - :kept {over} ORDER BY seq LIMIT :left)",
    ),
    ("events", "seq IN (SELECT seq FROM events WHERE time_hi < {before} ORDER BY time_hi LIMIT :left)"),
    ("events", "seq IN (SELECT seq FROM events WHERE seq <= (SELECT max(seq) FROM events) - :kept ORDER BY seq LIMIT :left)"),
)
_BEFORE: Final = (
    "(SELECT min(:now, {at}) - :keep_s FROM {table} WHERE seq <= (SELECT max(seq) FROM {table}) - :sure ORDER BY seq DESC LIMIT 1)"
)
_MOMENT: Final = {"told": "at", "notices": "made_at", "events": "time_hi"}
_OVER: Final = (
    "AND state <> 'waiting' AND NOT EXISTS (SELECT 1 FROM standings AS s WHERE s.alert = n.alert AND s.state IN ('pending', 'firing'))"
)

_encode = msgspec.msgpack.Encoder().encode


class EventDatabase:
    """The database, open for writing. Made with mode 0600 in a directory of mode 0700 when it is not there.

    Args:
        path: The file.
        now: Epoch seconds.
        keep_s: How long transitions and notices are kept; events for `EVENTS_KEEP_S` at most.
        most: How many of each, at most; of events `EVENTS_MOST` at most.
        sure: How many of each, whatever the clock says.

    Attributes:
        connection: For reading.
        made: Whether there was nothing in it.
        refused: Things that could not be written down whatever the disk does; they are left out.

    Raises:
        EventsError: When it cannot be opened for now, or is not to be touched.
        DamagedError: When it is damaged, or another program's.
    """

    def __init__(self, path: Path, now: float, keep_s: float = KEEP_S, most: int = MOST, sure: int = SURE) -> None:
        self.refused = 0
        self._path = path
        self._keep_s, self._most, self._sure = keep_s, most, sure
        self._standings: dict[str, int] | None = None  # digests of what is on the disk; None: not known
        try:
            prepare(path, now)
        except OSError as error:
            raise EventsError(f"{error.strerror}") from error
        self.connection = connect(path)
        try:
            with faults_in_words():
                self.made = not is_ours(self.connection)  # first: another's is left as it is
                for setting in _SETTINGS:
                    self.connection.execute(setting).fetchall()
                missing = _TABLES if self.made else self._upgrade()
                if missing:
                    with self._transaction() as run:
                        for statement in missing:
                            run(statement)
            self._file = path.stat()
        except BaseException:
            self.connection.close()
            raise

    @property
    def gone(self) -> bool:
        """Whether the file was removed, or is another by now."""
        try:
            return not os.path.samestat(self._file, self._path.lstat())
        except OSError:
            return True

    def write(self, batch: Batch, now: float) -> None:
        """Write it in one piece, and remove some of what is too old.

        Raises:
            EventsError: When it cannot be written for now; nothing of it is.
            DamagedError: When the file is damaged.
        """
        standings, digests = self._changed(batch.standings)
        known, self._standings = self._standings, None  # until it stands: a failed commit may be one or not
        rows = [
            *standings,
            *(self._row(_told, alert) for alert in batch.told),
            *([("DELETE FROM silences", ())] if batch.silences is not None else []),
            *(self._row(_silence, silence) for silence in batch.silences or ()),
            *(self._row(_notice, notice) for notice in batch.notices),
            *(self._row(_event, event) for event in batch.events),
        ]
        with self._transaction() as run:
            for row in rows:
                if row:
                    run(*row)
            self._remove_old(now)
        self._standings = known if batch.standings is None else digests

    def prune(self, now: float) -> bool:
        """Remove some of what is too old; whether there may be more of it.

        Raises:
            EventsError: When that is not possible for now.
            DamagedError: When the file is damaged.
        """
        with self._transaction():
            return self._remove_old(now)

    def close(self) -> None:
        """Close it; what was written ahead is moved to its place."""
        with suppress(sqlite3.Error):
            self.connection.close()

    @contextmanager
    def _transaction(self) -> "Iterator[Callable[..., sqlite3.Cursor]]":
        run = self.connection.execute
        with faults_in_words():
            run("BEGIN IMMEDIATE")
            try:
                yield run
                run("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    run("ROLLBACK")
                raise

    def _upgrade(self) -> Sequence[str]:
        """What makes an older file one of this version."""
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        return [statement for number in range(version, SCHEMA) for statement in _UPGRADES[number]]

    def _changed(self, standings: Sequence[Standing] | None) -> "tuple[list[tuple[str, Any] | None], dict[str, int]]":
        """What has to be written that these be all, and their digests: of thousands a few change at a time."""
        if standings is None:
            return [], {}
        known = self._standings
        rows: list[tuple[str, Any] | None] = [] if known is not None else [("DELETE FROM standings", ())]
        digests: dict[str, int] = {}
        for standing in standings:
            row = self._row(_standing, standing)
            if row:
                digest = digests[standing.alert.id] = hash(row[1][-1])
                if known is None or known.get(standing.alert.id) != digest:
                    rows.append(row)
        over = known.keys() - digests.keys() if known is not None else ()
        return [*rows, *(("DELETE FROM standings WHERE alert = ?", (name,)) for name in over)], digests

    def _row(self, made: Any, thing: Any) -> tuple[str, Any] | None:
        try:
            return made(thing)  # type: ignore[no-any-return]  # one of those below
        except (UnicodeEncodeError, TypeError, ValueError):  # it would be refused for ever, and all that goes with it
            self.refused += 1
            return None

    def _remove_old(self, now: float) -> bool:
        left = PRUNED
        for table, which in _OLD:
            keep_s, most = self._keep_s, self._most
            if table == "events":
                keep_s, most = min(keep_s, EVENTS_KEEP_S), min(most, EVENTS_MOST)
            values = {"now": now, "keep_s": keep_s, "sure": self._sure, "kept": most, "left": left}
            where = which.format(over=_OVER, before=_BEFORE.format(table=table, at=_MOMENT[table]))
            left -= self.connection.execute(f"DELETE FROM {table} WHERE {where}", values).rowcount  # noqa: S608  constants
        return left <= 0


def _told(alert: Alert) -> tuple[str, Any]:
    return "INSERT INTO told (alert, at, state, body) VALUES (?, ?, ?, ?)", (alert.id, alert.at, alert.state, _encode(alert))


def _standing(standing: Standing) -> tuple[str, Any]:
    alert = standing.alert
    return "INSERT OR REPLACE INTO standings VALUES (?, ?, ?, ?)", (alert.id, alert.state, alert.since, _encode(standing))


def _silence(silence: Silence) -> tuple[str, Any]:
    return "INSERT OR REPLACE INTO silences VALUES (?, ?, ?)", (silence.id, silence.until, _encode(silence))


def _notice(notice: Notice) -> tuple[str, Any]:
    return (
        """INSERT INTO notices (key, channel, alert, state, made_at, since, body) VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (key) DO UPDATE SET state = excluded.state, body = excluded.body""",
        (notice.key, notice.channel, notice.alert.id, notice.state, notice.made_at, notice.alert.since, _encode(notice)),
    )


def _event(event: Event) -> tuple[str, Any]:
    """Unless it is there: a log that is read again tells it anew."""
    digest = hashlib.blake2b("\0".join(identity(event)).encode(), digest_size=8).digest()
    return (
        """INSERT INTO events (time_lo, time_hi, kind, digest, body) SELECT :lo, :hi, :kind, :digest, :body WHERE NOT EXISTS (
            SELECT 1 FROM events WHERE digest = :digest
            AND (time_hi BETWEEN :hi - :same AND :hi + :same AND time_lo BETWEEN :lo - :same AND :lo + :same
                 OR time_lo < :hi AND time_hi > :lo)
        )""",
        {
            "lo": event.time_lo, "hi": event.time_hi, "kind": event.kind, "digest": digest, "body": _encode(event), "same": SAME_S,
        },
    )  # fmt: skip
