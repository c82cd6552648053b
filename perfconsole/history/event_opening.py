"""How the events database is opened, by whoever writes it and whoever only reads, and whether it is one that may be touched."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from stat import S_ISREG
from typing import Final, NamedTuple

from perfconsole.history.event_faults import BESIDE, DamagedError, EventsError, set_aside
from perfconsole.history.event_rows import faults_in_words
from perfconsole.history.lease import make_private

SCHEMA: Final = 2
"""1 had no events."""

APPLICATION: Final = 0x70636576
"""In the file's header: "pcev"."""

BUSY_S: Final = 0.5
"""How long another's lock is waited for."""

_SETTINGS: Final = ("trusted_schema = OFF", "cell_size_check = ON", "cache_size = -512", "temp_store = MEMORY")


@contextmanager
def reading(path: Path, *, alone: bool = False) -> Iterator[sqlite3.Connection | None]:
    """A connection for reading beside whoever writes; None when there is no database.

    Args:
        path: The file.
        alone: Nobody else in this process has it open, and it may be opened in ways that keep others out for the moment: it can then be
            read where the disk is full, or read-only, too.

    Raises:
        EventsError: When it cannot be opened for now, or is not to be touched.
        DamagedError: When it is damaged, or another program's.
    """
    try:
        if not _is_there(path):
            yield None
            return
    except OSError as error:
        raise EventsError(f"{error.strerror}") from error
    connection, ours = _opened(path, _WAYS[:1] if not alone else _WAYS)
    with closing(connection):
        yield connection if ours else None


class _Way(NamedTuple):
    """How to open it for reading; which fits what was written ahead, there is or there is none of it."""

    mode: str
    first: tuple[str, ...] = ()
    ahead: bool | None = None


_WAYS: Final = (
    _Way("rw"),
    _Way("immutable", ahead=False),  # the file is all there is
    _Way("rw", ("locking_mode = EXCLUSIVE",), ahead=True),  # the index of what is ahead is made in memory, if nobody else is there
)


def _opened(path: Path, ways: Sequence[_Way]) -> tuple[sqlite3.Connection, bool]:
    """A connection, in the first way that works, and whether there is anything in the database."""
    refusal: EventsError | None = None
    ahead = _is_ahead(path)
    for way in ways:
        if way.ahead not in (None, ahead):
            continue
        try:
            connection = connect(path, way.mode, (*way.first, "query_only = 1"))
        except EventsError as error:
            refusal = refusal or error
            continue
        try:
            with faults_in_words():
                return connection, is_ours(connection)
        except EventsError as error:
            connection.close()
            refusal = refusal or error
            if error.fix:  # it can be read, and is not to be
                break
        except BaseException:
            connection.close()
            raise
    assert refusal
    raise refusal


def _is_ahead(path: Path) -> bool:
    try:
        return path.with_name(path.name + BESIDE[0]).stat().st_size > 0
    except OSError:
        return False


def connect(path: Path, mode: str = "rw", first: Sequence[str] = ()) -> sqlite3.Connection:
    """A connection to a file that is there.

    Args:
        path: The file.
        mode: ``rw``, or ``immutable`` for one that nobody writes.
        first: Settings that have to come before all others.

    Raises:
        EventsError: When it cannot be opened for now.
        DamagedError: When it is no database.
    """
    how = "immutable=1" if mode == "immutable" else f"mode={mode}"
    with faults_in_words():
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{how}",
            timeout=BUSY_S,
            isolation_level=None,
            uri=True,
            check_same_thread=False,  # one thread at a time, as it is, but not always the same
        )
        try:
            for setting in (*first, *_SETTINGS):
                connection.execute(f"PRAGMA {setting}")
        except BaseException:
            connection.close()
            raise
    return connection


def is_ours(connection: sqlite3.Connection) -> bool:
    """Whether it is such a database already, of this version or an older one; false when it is empty still.

    Raises:
        EventsError: When a newer version wrote it.
        DamagedError: When it is something else.
    """
    connection.execute("BEGIN")  # in one piece: it may be made at this moment
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    connection.execute("COMMIT")
    if application == APPLICATION and version > SCHEMA:
        raise EventsError(
            f"a newer perfconsole wrote it (schema {version}, this one knows {SCHEMA})", "use that one, or another [history] dir"
        )
    if tables and not (application == APPLICATION and version >= 1):
        raise DamagedError("it is no events database")
    return bool(tables)


def prepare(path: Path, now: float) -> None:
    """Have a file of our own to open, without ever opening one that is there: closing it would let go what SQLite locked of it.

    Raises:
        EventsError: When what is there is not to be touched.
        OSError: When there is nothing and nothing can be made.
    """
    with suppress(FileNotFoundError):
        owner = path.parent.stat().st_uid
        if owner != os.geteuid():
            raise EventsError(f"the directory belongs to uid {owner}", "set another [history] dir, one of your own")
    make_private(path.parent)
    if not _is_there(path):
        if any(os.path.lexists(path.with_name(path.name + suffix)) for suffix in BESIDE):
            set_aside(path, now)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _is_there(path: Path) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    if not S_ISREG(found.st_mode):
        raise EventsError("it is no regular file", "remove what is there: perfconsole makes its own")
    if found.st_uid != os.geteuid():
        raise EventsError(f"it belongs to uid {found.st_uid}", "set another [history] dir, one of your own")
    if found.st_mode & 0o077:
        with suppress(OSError):
            path.chmod(0o600)
    return True
