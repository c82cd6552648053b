"""What is asked of the events database: what earlier runs left, the history of an alert, what changed. Rows in, structs out.

A body that another version wrote so that this one cannot read it is left out and counted.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import isnan
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from perfconsole.core.change_requests import EventsArgs
from perfconsole.core.notices import Notice, Saved, Standing
from perfconsole.core.text import safe
from perfconsole.core.tick import Alert, Event, Silence
from perfconsole.history.event_faults import DamagedError, EventsError

RESOLVED_S: Final = 86400.0
RESOLVED: Final = 200
"""Alerts that resolved within a day, and so many at most, are told of at the start."""

EVENTS_S: Final = 86400.0
EVENTS: Final = 500
"""Of what changed within a day the newest are told of at the start."""

_LOOKED_AT: Final = 20_000
"""Rows of those looked through for them: a storm must not hold up a start."""

_UNENDED_S: Final = 7 * 86400.0
"""So old at most is word that an alert fires for its end to be told after a start, where that does not stand any more."""

_OF_ONE: Final = 50
"""Notices of one alert to one channel that are looked through for where it stands."""

_WORDS: Final = {
    sqlite3.SQLITE_PERM: "it may not be written to",
    sqlite3.SQLITE_BUSY: "another program keeps it locked",
    sqlite3.SQLITE_LOCKED: "another program keeps it locked",
    sqlite3.SQLITE_READONLY: "it cannot be written to",
    sqlite3.SQLITE_IOERR: "the disk fails",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_IOERR_SHMSIZE: "the disk is full",
}
_DAMAGE: Final = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_ERROR}
)  # the last: our own statements do not fit what is there

_HELD: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

_alerts = msgspec.msgpack.Decoder(Alert)
_standings = msgspec.msgpack.Decoder(Standing)
_silences = msgspec.msgpack.Decoder(Silence)
_notices = msgspec.msgpack.Decoder(Notice)
_events = msgspec.msgpack.Decoder(Event)

_STANDS: Final = "state IN ('pending', 'firing')"
_NOTICES: Final = f"""
    SELECT body FROM notices WHERE state = 'waiting' OR seq IN (
        SELECT n.seq FROM standings AS s JOIN notices AS n ON n.alert = s.alert
        WHERE s.{_STANDS} AND n.state IN ('sent', 'failed') AND (s.since IS NULL OR n.since = s.since OR n.made_at >= s.since)
    ) ORDER BY seq
"""  # noqa: S608  a constant

_LAST_SENT: Final = """
    SELECT body, max(seq) FROM notices WHERE state = 'sent' AND seq > (SELECT max(seq) FROM notices) - ? GROUP BY alert, channel
"""
_NEWEST_OF: Final = "SELECT body FROM notices WHERE alert = ? AND channel = ? ORDER BY seq DESC LIMIT ?"

T = TypeVar("T")


class Found(NamedTuple):
    """What was found: `skipped` bodies could not be read, and `damage` says what else could not, in words."""

    saved: Saved
    skipped: int
    damage: str


@contextmanager
def faults_in_words() -> Iterator[None]:
    """Turn what SQLite raises into an `EventsError`, or a `DamagedError`."""
    try:
        yield
    except sqlite3.Error as error:
        code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        said = safe(str(error), 200)
        if code & 0xFF in _DAMAGE:
            raise DamagedError(said) from error
        words = _WORDS.get(code) or _WORDS.get(code & 0xFF)
        # On a full disk a connection is worth more than a new one, which needs room to be opened.
        raise EventsError(words or said, reopen=code & 0xFF not in _HELD) from error


def load(connection: sqlite3.Connection, now: float) -> Found:
    """What earlier runs left, as much of it as can be read.

    Args:
        connection: To the database.
        now: Epoch seconds: silences that ended before are left out.

    Raises:
        EventsError: When it cannot be read at all for now.
    """
    skipped, damage = [0], []

    def part(rows: Callable[[], Iterable[T]]) -> list[T]:
        kept: list[T] = []
        try:
            with faults_in_words():
                kept.extend(rows())  # of damaged ones, what comes before the damage
        except DamagedError as error:
            damage.append(str(error))
        return kept

    def rows(decoder: "msgspec.msgpack.Decoder[T]", sql: str, *values: float) -> Callable[[], Iterable[T]]:
        return lambda: _decoded(decoder, connection.execute(sql, values), skipped)

    for table in ("standings", "silences"):  # the others may be large: they are looked through later
        part(lambda table=table: [_check(connection, table)])  # type: ignore[misc]  # of a default in a lambda
    standings = part(rows(_standings, "SELECT body FROM standings ORDER BY rowid"))
    silences = part(rows(_silences, "SELECT body FROM silences WHERE until > ? ORDER BY rowid", now))
    stand = {one.alert.id: one.alert for one in standings}
    notices = part(rows(_notices, _NOTICES))
    unended = part(lambda: _unended(connection, stand, now))
    if damage:  # without any index
        every = part(rows(_notices, "SELECT body FROM notices NOT INDEXED ORDER BY seq"))
        notices = [notice for notice in every if _matters(notice, stand)]
        unended = [notice for chain in _chains(every) for notice in open_end(chain) if _recent(notice, stand, now)]
    known = {notice.key for notice in notices}
    notices += [notice for notice in unended if notice.key not in known]
    told = part(lambda: _resolved(connection, now, skipped))
    events = part(lambda: newest_events(connection, EventsArgs(now - EVENTS_S, now, EVENTS), skipped))
    return Found(Saved(standings, silences, notices, told, tuple(events)), skipped[0], damage[0] if damage else "")


def hold_still(connection: sqlite3.Connection) -> None:
    """See what is there now, whatever is written from here on."""
    with faults_in_words():
        connection.execute("BEGIN")
        connection.execute("SELECT 1 FROM told LIMIT 1").fetchall()


def history(connection: sqlite3.Connection, alert_id: str, limit: int) -> tuple[list[Alert], list[Notice]]:
    """See `core.notices.EventStore.history`.

    Raises:
        EventsError: When it cannot be read for now.
        DamagedError: When the file is damaged.
    """
    of, values = ("WHERE alert = ?", (alert_id, limit)) if alert_id else ("", (limit,))
    skipped = [0]
    with faults_in_words():
        told = connection.execute(f"SELECT body FROM told {of} ORDER BY seq DESC LIMIT ?", values)  # noqa: S608  one of two constants
        alerts = list(_decoded(_alerts, told, skipped))
        sent = connection.execute(f"SELECT body FROM notices {of} ORDER BY seq DESC LIMIT ?", values)  # noqa: S608  likewise
        return alerts, list(_decoded(_notices, sent, skipped))


def events(connection: sqlite3.Connection, wanted: EventsArgs) -> list[Event]:
    """What is asked for of what changed, oldest first.

    Raises:
        EventsError: When it cannot be read for now.
        DamagedError: When the file is damaged.
    """
    with faults_in_words():
        return newest_events(connection, wanted, [0])


def newest_events(connection: sqlite3.Connection, wanted: EventsArgs, skipped: list[int]) -> list[Event]:
    """As `events`, but for its errors; none where an older version wrote the file."""
    (known,) = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'events' AND type = 'table'").fetchone()
    if not known:
        return []
    kinds = f"AND kind IN ({', '.join('?' * len(wanted.kinds))})" if wanted.kinds else ""
    rows = connection.execute(
        f"SELECT body FROM events WHERE time_hi >= ? AND time_lo <= ? {kinds} ORDER BY time_hi DESC, seq DESC LIMIT ?",  # noqa: S608  marks
        (wanted.since, wanted.until, *wanted.kinds, wanted.limit),
    )
    return list(_decoded(_events, rows, skipped))[::-1]


def check(connection: sqlite3.Connection) -> str:
    """What is damaged in the whole of it, in words; empty when nothing is. Reads every page."""
    try:
        with faults_in_words():
            return _check(connection)
    except DamagedError as error:
        return str(error)


def _check(connection: sqlite3.Connection, table: str = "") -> str:
    of = f"('{table}')" if table else ""
    (found,) = connection.execute(f"PRAGMA quick_check{of}").fetchone()
    if found != "ok":
        raise DamagedError(safe(str(found).partition("\n")[2] or str(found), 200))
    return ""


def _matters(notice: Notice, standings: dict[str, Alert]) -> bool:
    """As `_NOTICES` has it."""
    stands = standings.get(notice.alert.id)
    if stands is None or stands.state not in ("pending", "firing") or notice.state not in ("sent", "failed"):
        return notice.state == "waiting"
    return notice.alert.since == stands.since or not notice.made_at < stands.since


def open_end(newest_first: Iterable[Notice]) -> list[Notice]:
    """Of what one channel was told of one alert what was sent of an occurrence whose end it is not owed yet; oldest first.

    An alert that flaps has ended, and fired again, without a word since: neither where it stands nor since when leads to it. Nor does that
    for one that ended while there was nobody to tell.
    """
    ends: list[Notice] = []
    overdue: list[Notice] = []
    for notice in newest_first:
        if notice.status == "resolved":
            ends.append(notice)
        elif notice.state == "sent" and notice.status == "firing":
            if any(_same(end, notice) or end.made_at > notice.made_at for end in ends):
                return []
            return [notice, *(one for one in reversed(overdue) if _same(one, notice))]
        elif notice.state == "sent":
            overdue.append(notice)
    return []


def _same(one: Notice, other: Notice) -> bool:
    """Whether they are about the same occurrence."""
    a, b = one.alert.fired_at, other.alert.fired_at
    return abs(a - b) < 1e-3 or (isnan(a) and isnan(b))


def _recent(notice: Notice, standings: Mapping[str, Alert], now: float) -> bool:
    stands = standings.get(notice.alert.id)
    return notice.made_at > now - _UNENDED_S or bool(stands and stands.state == "firing")


def _unended(connection: sqlite3.Connection, standings: Mapping[str, Alert], now: float) -> Iterator[Notice]:
    """See `open_end`."""
    skipped = [0]  # they are counted elsewhere, or do not matter
    last = _decoded(_notices, ((body,) for body, _ in connection.execute(_LAST_SENT, (_LOOKED_AT,))), skipped)
    for one in [one for one in last if one.status != "resolved" and _recent(one, standings, now)]:
        rows = connection.execute(_NEWEST_OF, (one.alert.id, one.channel, _OF_ONE))
        yield from open_end(_decoded(_notices, rows, skipped))


def _chains(notices: Iterable[Notice]) -> Iterable[list[Notice]]:
    """By alert and channel, newest first."""
    chains: dict[tuple[str, str], list[Notice]] = {}
    for notice in notices:
        chains.setdefault((notice.alert.id, notice.channel), []).append(notice)
    return [chain[::-1] for chain in chains.values()]


def _resolved(connection: sqlite3.Connection, now: float, skipped: list[int]) -> Iterable[Alert]:
    """Of alerts that resolved lately and do not stand again the newest, oldest first."""
    stand = {name for (name,) in connection.execute(f"SELECT CAST(alert AS BLOB) FROM standings WHERE {_STANDS}")}  # noqa: S608  a constant
    newest: dict[bytes, int] = {}
    rows = connection.execute(
        "SELECT CAST(alert AS BLOB), seq FROM told WHERE state = 'resolved' AND at > ? ORDER BY at DESC, seq DESC LIMIT ?",
        (now - RESOLVED_S, _LOOKED_AT),
    )
    for name, seq in rows:
        if name not in stand:
            newest.setdefault(name, seq)
        if len(newest) >= RESOLVED:
            break
    for seq in reversed(newest.values()):
        yield from _decoded(_alerts, connection.execute("SELECT body FROM told WHERE seq = ?", (seq,)), skipped)


def _decoded(decoder: "msgspec.msgpack.Decoder[T]", rows: Iterable[tuple[Any, ...]], skipped: list[int]) -> Iterator[T]:
    for (body,) in rows:
        try:
            found = decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
            skipped[0] += 1
        else:
            yield found
