"""What changed, in the events database: kept once, found by time and kind, bounded; and files of the version that had none."""

import os
import sqlite3
import subprocess
import sys
import threading
from math import inf, nan

import msgspec
import pytest

from perfconsole.core.change_requests import EventList, EventsArgs, MarkArgs
from perfconsole.core.changes import KNOWN, Known, in_order
from perfconsole.core.marks import marked
from perfconsole.core.notices import Changes, Notice, Saved, Standing
from perfconsole.core.tick import Alert, Event, Silence
from perfconsole.history import event_database, event_opening, events
from perfconsole.history.event_memory import Memory
from perfconsole.history.events import EventFile, EventsError, read, read_events

NOW = 1.7e9
ALL = EventsArgs(0.0, inf)


def event(number, at=None, kind="unit", lo=None, **more):
    at = NOW - 1000 + number if at is None else at
    return Event(at if lo is None else lo, at, kind, "nginx.service", more.pop("text", f"started {number}"), "systemd", **more)


@pytest.fixture
def opened(tmp_path):
    files = []

    def opened(directory=tmp_path / "state", now=NOW, **options):
        files.append(EventFile(directory, lambda: now, **{"patience_s": 60.0, **options}))  # a busy disk is none that hangs
        return files[-1]

    yield opened
    for file in files:
        file.close()


def kept(file, *found, **more):
    told = threading.Event()
    file.put(Changes(events=found, **more), told.set)
    assert told.wait(60), "nobody was told"


# Kept -------------------------------------------------------------------------------------------------------------------------------


def test_what_is_put_is_found_again_in_the_order_of_time(opened, tmp_path):
    put = [event(3), event(1), event(2, lo=NOW - 2000), event(5, severity="critical", kind="oom")]
    file = opened()
    kept(file, *put)
    assert file.events(ALL) == EventList(in_order(put))
    file.close()
    assert list(opened().load().events) == in_order(put)
    assert read_events(tmp_path / "state", ALL) == EventList(in_order(put))
    assert list(read(tmp_path / "state", NOW).events) == in_order(put)


def test_what_is_there_is_not_added_again(opened):
    file = opened()
    kept(file, event(1), event(1), event(1, at=NOW - 998))
    kept(file, event(1, at=NOW - 1000.5), event(1, kind="timer"), event(1, at=NOW - 990))
    file.close()
    found = opened().events(ALL).events
    assert found == in_order([event(1), event(1, kind="timer"), event(1, at=NOW - 990)])


def test_they_are_found_by_time_kind_and_number(opened, tmp_path):
    file = opened()
    kept(file, *(event(10 * n, lo=NOW - 1005 + 10 * n, kind="mark" if n % 10 == 0 else "unit") for n in range(50)))
    for ask in (file.events, lambda wanted: read_events(tmp_path / "state", wanted, alone=False)):
        assert [one.text for one in ask(EventsArgs(NOW - 990, NOW - 970)).events] == ["started 10", "started 20", "started 30"]
        newest = ask(EventsArgs(0.0, inf, 2))
        assert ([one.text for one in newest.events], newest.more) == (["started 480", "started 490"], True)
        marks = ask(EventsArgs(0.0, inf, 5, ("mark", "note")))
        assert ([one.text for one in marks.events], marks.more) == ([f"started {n}" for n in range(0, 500, 100)], False)
        assert ask(EventsArgs(NOW, inf)) == EventList([])
    file.close()


def test_what_is_on_its_way_to_the_disk_is_found_once(opened, monkeypatch):
    write, begun, released = event_database.EventDatabase.write, threading.Event(), threading.Event()
    file = opened()
    kept(file, event(1))

    def slow(database, batch, now):
        begun.set()
        released.wait(60)
        write(database, batch, now)

    monkeypatch.setattr(event_database.EventDatabase, "write", slow)
    monkeypatch.setattr("perfconsole.history.event_asking.PAUSE_S", 0.02)
    file.put(Changes(events=[event(2)]))
    assert begun.wait(60)
    file.put(Changes(events=[event(3), event(1)]))
    assert [one.text for one in file.events(ALL).events] == ["started 1", "started 2", "started 3"]
    assert file.events(EventsArgs(0.0, inf, 2)).more
    released.set()


def test_a_start_is_told_the_newest_of_a_day(opened):
    kept(opened(), *(event(n, at=NOW - 90_000 + 20 * n) for n in range(1000)))
    found = opened(now=NOW - 75_000).load().events
    assert [one.time_hi for one in found] == [NOW - 90_000 + 20 * n for n in range(251, 751)]
    assert len(opened(now=NOW + 90_000).load().events) == 0


def test_what_is_old_goes_and_of_too_many_the_oldest(tmp_path, monkeypatch):
    monkeypatch.setattr(event_database, "EVENTS_MOST", 900)
    monkeypatch.setattr(event_database, "EVENTS_KEEP_S", 1500.0)
    database = event_database.EventDatabase(tmp_path / "events.db", NOW, sure=0)
    memory = Memory()
    memory.take(Changes([alert()], events=[event(n, at=NOW - 2000 + n) for n in range(2000)]))
    database.write(memory.begin(), NOW)
    (left,) = database.connection.execute("SELECT count(*) FROM events").fetchone()
    assert left == 2000 - event_database.PRUNED
    while database.prune(NOW):
        pass
    assert database.connection.execute("SELECT min(time_hi), count(*) FROM events").fetchone() == (NOW - 900, 900)
    memory.take(Changes(events=[event(1, at=NOW + 1000)]))
    database.write(memory.begin(), NOW + 1000)
    while database.prune(NOW + 1000):
        pass
    database.prune(NOW + 1000)
    assert database.connection.execute("SELECT min(time_hi) FROM events").fetchone() == (NOW - 500,)
    assert database.connection.execute("SELECT count(*) FROM told").fetchone() == (1,)  # whose time is another
    database.close()


def test_what_cannot_be_written_is_held_bounded_and_written_later(tmp_path, opened, eventually):
    place = tmp_path / "state"
    place.mkdir(mode=0o700)
    (place / "events.db").mkdir()
    file = opened(place, retry_s=0.02, bound=100)
    kept(file, *(event(n) for n in range(150)))
    assert file.error
    assert [one.text for one in file.events(ALL).events] == [f"started {n}" for n in range(50, 150)]
    (place / "events.db").rmdir()
    eventually(lambda: not file.error)
    assert "50 events were let go" in file.said[0]
    file.close()
    assert [one.text for one in read_events(place, ALL).events] == [f"started {n}" for n in range(50, 150)]


def test_what_failed_is_owed_before_what_came_since():
    memory = Memory()
    memory.take(Changes(events=[event(1)]))
    memory.begin()
    memory.take(Changes(events=[event(2)]))
    assert memory.events() == [event(1), event(2)]
    memory.failed()
    assert list(memory.begin().events) == [event(1), event(2)]
    memory.done(set())
    assert not memory.owing


def test_whoever_is_told_that_it_is_kept_finds_no_error_left(tmp_path, opened):
    """It was full, and is not any more: the first to be told asks at once."""
    place = tmp_path / "state"
    place.mkdir(mode=0o700)
    (place / "events.db").mkdir()
    file = opened(place, retry_s=60)
    kept(file, event(1))
    (place / "events.db").rmdir()
    seen, told = [], threading.Event()
    file.put(Changes(events=[event(2)]), lambda: (seen.append(file.error), told.set()))
    assert told.wait(60)
    assert seen == [""]


def test_text_that_is_none_takes_nothing_else_with_it(opened):
    file = opened()
    kept(file, event(1, text="\udcff"), event(2))
    assert [one.text for one in file.events(ALL).events] == ["started 2"]
    assert "1 things could not be written down" in file.said[0]


# A file of the version before -------------------------------------------------------------------------------------------------------

VERSION_1 = (
    "PRAGMA journal_mode = WAL",
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
    "PRAGMA application_id = 1885562230",
    "PRAGMA user_version = 1",
)


def alert():
    return Alert("down{}", "down", "x", (), "critical", "firing", "pending", NOW - 60, NOW - 60, 0.0, 1.0)


@pytest.fixture
def old_file(tmp_path):
    """A file as the version before events wrote it, with an alert that fires, a silence, and a notice that waits."""
    encode = msgspec.msgpack.encode
    path = tmp_path / "state" / "events.db"
    path.parent.mkdir(mode=0o700)
    standing = Standing(alert(), "shape", "boot", NOW, 1.0, 2.0, inf)
    silence = Silence("0000000a", (("rule", "x"),), NOW, NOW + 60, "me", "why")
    notice = Notice("key", "hook", "firing", alert(), NOW)
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in VERSION_1:
        connection.execute(statement)
    connection.execute("INSERT INTO standings VALUES (?, ?, ?, ?)", ("down{}", "firing", NOW - 60, encode(standing)))
    connection.execute("INSERT INTO silences VALUES (?, ?, ?)", (silence.id, silence.until, encode(silence)))
    connection.execute("INSERT INTO told VALUES (1, ?, ?, ?, ?)", ("down{}", NOW - 60, "firing", encode(alert())))
    connection.execute("INSERT INTO notices VALUES (1, 'key', 'hook', 'down{}', 'waiting', ?, ?, ?)", (NOW, NOW - 60, encode(notice)))
    connection.close()
    path.chmod(0o600)
    return path


def whole(saved):
    return [len(part) for part in saved[:3]] == [1, 1, 1] and saved.standings[0].alert.rule == "down"


def test_the_number_of_the_application_is_what_it_was():
    assert event_opening.APPLICATION == 1885562230


def test_an_older_file_is_upgraded_in_place(old_file, opened):
    file = opened()
    saved = file.load()
    assert whole(saved)
    assert saved.events == ()
    kept(file, event(1))
    assert not file.error
    assert not file.said
    assert [one.id for one in file.history("", 10)[0]] == ["down{}"]
    file.close()
    assert [path.name for path in old_file.parent.iterdir()] == ["events.db"]
    with sqlite3.connect(old_file) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    connection.close()
    saved = opened().load()
    assert whole(saved)
    assert list(saved.events) == [event(1)]


def test_an_upgrade_is_made_whole_or_not_at_all(old_file, opened, monkeypatch, eventually):
    """Broken off half way, it is an older file still, and is upgraded the next time."""
    upgrades = event_database._UPGRADES
    monkeypatch.setattr(event_database, "_UPGRADES", {1: (*upgrades[1][:2], "SELECT 1 / nothing", "PRAGMA user_version = 2")})
    monkeypatch.setattr(events, "set_aside", lambda *_: (_ for _ in ()).throw(OSError(5, "not now")))
    file = opened(retry_s=0.02)
    file.load()
    assert file.error
    with sqlite3.connect(f"file:{old_file}?mode=ro", uri=True) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name LIKE 'events%'").fetchone() == (0,)
    connection.close()
    monkeypatch.undo()
    kept(file, event(1))
    eventually(lambda: not file.error)
    file.close()
    assert whole(read(old_file.parent, NOW))


def test_an_older_file_is_read_as_it_is(old_file):
    before = old_file.read_bytes()
    assert whole(read(old_file.parent, NOW))
    assert read_events(old_file.parent, ALL) == EventList([])
    assert old_file.read_bytes() == before


def test_an_older_file_that_cannot_be_written_is_read_all_the_same(old_file, opened):
    if os.geteuid() == 0:
        for name in ("events.db-wal", "events.db-shm"):
            (old_file.parent / name).unlink(missing_ok=True)
        done = subprocess.run(["chattr", "+i", old_file], capture_output=True, check=False)
        if done.returncode:
            pytest.skip("root may write everything here")
    else:
        old_file.chmod(0o400)
        old_file.parent.chmod(0o500)
    try:
        file = opened()
        assert whole(file.load())
        assert file.error
        file.close()
    finally:
        if os.geteuid() == 0:
            subprocess.run(["chattr", "-i", old_file], check=True)
        old_file.parent.chmod(0o700)


def test_a_newer_file_is_refused_in_words(old_file, opened):
    with sqlite3.connect(old_file) as connection:
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    file = opened(retry_s=60)
    assert file.load() == Saved()
    assert "a newer perfconsole wrote it (schema 3, this one knows 2)" in file.error
    with pytest.raises(EventsError, match="a newer perfconsole wrote it"):
        read_events(old_file.parent, ALL)


# What is known, and what is a mark --------------------------------------------------------------------------------------------------


def test_what_is_known_is_bounded_and_the_oldest_forgotten():
    known = Known(10)
    assert all(known.take(event(n)) for n in range(20))
    assert not known.knows(event(9))
    assert known.knows(event(10))
    assert all(known.take(event(0, at=NOW + 10 * n)) for n in range(20))
    assert not known.knows(event(0, at=NOW))
    assert known.knows(event(0, at=NOW + 190))
    assert len(known._times) == 1
    assert KNOWN > 500


LATER = (
    (NOW, NOW + 1.9, False),  # a moment, told again
    (NOW, NOW + 2.1, True),
    ((NOW - 60, NOW + 60), NOW, False),  # read as it came, and an interval around that
    (NOW, (NOW - 60, NOW + 60), False),
    ((NOW - 10, NOW), (NOW, NOW + 10), True),  # two looks, one after the other
    ((NOW - 60, NOW), (NOW - 30, NOW + 30), False),
)


@pytest.mark.parametrize(("first", "second", "news"), LATER)
def test_what_is_told_again_is_known_by_when_it_may_have_been(first, second, news, opened):
    one, other = (event(1, lo=at[0], at=at[1]) if isinstance(at, tuple) else event(1, at=at) for at in (first, second))
    known = Known()
    assert known.take(one)
    assert known.take(other) is news
    file = opened()
    file.load()
    kept(file, one, other)
    assert len(file.events(ALL).events) == 1 + news


def test_a_mark_is_an_event():
    args = MarkArgs(" deploy\t1.4.2\n", at=NOW - 5)
    assert marked(args, "ops", NOW) == Event(NOW - 5, NOW - 5, "mark", "host", "deploy 1.4.2", "ops")
    assert marked(MarkArgs("x", "note", "an\x1bna", nan), "ops", NOW) == Event(NOW, NOW, "note", "host", "x", "an␛na")


MARKS = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from perfconsole.core.notices import Changes
from perfconsole.core.tick import Event
from perfconsole.history.events import EventFile
file = EventFile(sys.argv[2], lambda: 1.7e9)
told = threading.Event()
file.put(Changes(events=[Event(1.7e9, 1.7e9, "mark", "host", "deploy", "me")]), told.set)
told.wait(60)
print(file.error, flush=True)
threading.Event().wait(30)
"""


def test_killed_once_it_is_told_the_mark_is_there(tmp_path):
    argv = [sys.executable, "-c", MARKS, os.getcwd(), tmp_path / "state"]  # noqa: PTH109
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"\n"
        child.kill()
    assert [one.text for one in read_events(tmp_path / "state", ALL).events] == ["deploy"]
