"""The events database: what is put is found again, whole, newest first, bounded; whoever puts something never waits."""

import sqlite3
import stat
import subprocess
import sys
import threading
import time
from math import inf

import msgspec
import pytest

from perfconsole.core.notices import Changes, EventStore, Notice, Saved, Standing
from perfconsole.core.tick import Ack, Alert, Silence
from perfconsole.history import event_database
from perfconsole.history.event_memory import Memory
from perfconsole.history.events import EventFile, read

NOW = 1.7e9


def alert(number, state="firing", at=NOW, since=NOW - 60, **more):
    name = f"slow{{endpoint=e{number}}}"
    before = more.pop("before", "pending")
    return Alert(name, "slow", "httpcheck.duration", (("endpoint", f"e{number}"),), "warning", state, before, at, since, 2.0, 1.0, **more)


def standing(number, state="firing", **more):
    return Standing(alert(number, state, **more), "shape", "boot", offset_s=NOW, since=40.0, last=100.0, deadline=inf, turns=(60.0,))


def silence(number, until=NOW + 3600):
    return Silence(f"{number:08x}", (("rule", "slow*"),), NOW - 60, until, "me", "deploy")


def notice(number, state="waiting", status="firing", made_at=NOW, **more):
    return Notice(f"key-{number}-{status}", "hook", status, alert(number, **more), made_at, state, made_at)


def same(found, expected):
    """NaN equals NaN: compared as bytes."""
    return msgspec.msgpack.encode(found) == msgspec.msgpack.encode(expected)


@pytest.fixture
def opened(tmp_path):
    """Opens event files; those still open are closed at the end."""
    files = []

    def opened(directory=tmp_path / "state", now=NOW, **options):
        clock = (lambda: now) if isinstance(now, float) else now
        files.append(EventFile(directory, clock, **{"patience_s": 60.0, **options}))  # a busy disk is none that hangs
        return files[-1]

    yield opened
    for file in files:
        file.close()


def kept(file, changes, within_s=60.0):
    """Put, and wait until told."""
    told = threading.Event()
    file.put(changes, told.set)
    assert told.wait(within_s), "nobody was told"


def put_and_close(file, *changes):
    for one in changes:
        file.put(one)
    file.close()
    assert not file.error


def test_it_is_an_event_store(opened):
    store: EventStore = opened()
    assert store.load() == Saved([], [], [], [])
    assert store.error == ""


def test_what_is_put_is_found_again(opened):
    saved = Saved(
        [standing(1), standing(2, "pending", due=NOW + 30), standing(3, "inactive")],
        [silence(1)],
        [notice(1), notice(2)],
        [alert(4, "resolved", before="firing", at=NOW - 10)],
    )
    first = opened()
    first.load()
    put_and_close(first, Changes(saved.told, saved.standings, saved.silences, saved.notices))
    assert same(opened().load(), saved)


def test_standings_and_silences_are_replaced_and_none_leaves_them(opened):
    file = opened()
    put_and_close(
        file,
        Changes(standings=[standing(1), standing(2)], silences=[silence(1)]),
        Changes(standings=[standing(2), standing(3)]),
        Changes(told=[alert(9)]),
    )
    saved = opened().load()
    assert same(saved.standings, [standing(2), standing(3)])
    assert saved.silences == [silence(1)]


def test_only_standings_that_changed_are_written(opened, tmp_path):
    file = opened()
    many = [standing(number) for number in range(500)]
    kept(file, Changes(standings=many))
    kept(file, Changes(standings=many))
    changed = [*many[:100], standing(100, "pending"), *many[102:]]
    before = file._database.connection.total_changes  # read while the thread is idle
    kept(file, Changes(standings=changed))
    assert file._database.connection.total_changes - before == 2
    file.close()
    assert {one.alert.id: one.alert.state for one in opened().load().standings} == {one.alert.id: one.alert.state for one in changed}


def test_a_notice_replaces_the_one_with_its_key(opened):
    put_and_close(opened(), Changes(standings=[standing(1)], notices=[notice(1)]), Changes(notices=[notice(1, "sent"), notice(2)]))
    assert same(opened().load().notices, [notice(1, "sent"), notice(2)])


def test_notices_of_alerts_that_stand_and_those_that_wait_are_found(opened):
    old = notice(1, "sent", made_at=NOW - 7200, since=NOW - 7260)  # of an earlier occurrence
    old = msgspec.structs.replace(old, key="old")
    put_and_close(
        opened(),
        Changes(
            standings=[standing(1), standing(3, "inactive")],
            notices=[old, notice(1, "sent"), notice(2, "sent"), notice(2, status="resolved"), notice(3, "failed"),
                     notice(1, "failed", "overdue"), notice(4, "dropped")],
        ),
    )  # fmt: skip
    assert [one.key for one in opened().load().notices] == ["key-1-firing", "key-2-resolved", "key-1-overdue"]


def of(status, fired_at, state="sent", made_at=None, **more):
    told = alert(1, since=fired_at - 60, fired_at=fired_at, **more)
    return Notice(f"{status}-{fired_at - NOW:.0f}", "hook", status, told, fired_at if made_at is None else made_at, state)


@pytest.mark.parametrize("damaged", [False, True])
def test_what_was_sent_is_found_until_its_end_is_owed(opened, tmp_path, damaged):
    def found(notices, standings=(), now=NOW):
        directory = tmp_path / str(len(list(tmp_path.iterdir())))
        put_and_close(opened(directory), Changes(standings=standings, notices=notices))
        if damaged:
            spoil(directory / "events.db")
        file = opened(directory, now=now)
        keys = sorted(one.key for one in file.load().notices)
        file.close()
        assert bool(file.said) is damaged
        return keys

    first = of("firing", NOW - 900, flapping=True)
    again = [standing(1, fired_at=NOW - 100, since=NOW - 160, flapping=True)]
    assert found([first]) == ["firing--900"], "it has ended for now, and nobody was told"
    assert found([first], again) == ["firing--900"], "it fires again, and nobody was told"
    assert found([first, of("overdue", NOW - 900, made_at=NOW - 500)]) == ["firing--900", "overdue--900"]
    assert found([first, of("overdue", NOW - 900, "dropped")]) == ["firing--900"]
    for state in ("sent", "failed", "dropped"):
        assert found([first, of("resolved", NOW - 900, state, made_at=NOW - 50)]) == [], state
    assert found([first, of("resolved", NOW - 950, made_at=NOW - 850)]) == [], "some channels are told only of a later firing"
    assert found([of("resolved", NOW - 950, made_at=NOW - 900), first]) == ["firing--900"]
    assert found([of("firing", NOW - 900, "failed")]) == []
    assert found([first], now=NOW + 8 * 86400) == [], "that is too long ago"


def spoil(path):
    """An index of what is looked through at the start is not one any more."""
    with sqlite3.connect(path) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_silences_1'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with path.open("r+b") as raw:
        raw.seek((root - 1) * size)
        raw.write(b"\xaa" * size)


def test_silences_that_ended_are_left_out(opened):
    put_and_close(opened(), Changes(silences=[silence(1, NOW + 1), silence(2, NOW - 1)]))
    assert opened().load().silences == [silence(1, NOW + 1)]
    assert opened(now=NOW + 2).load().silences == []


def test_alerts_that_resolved_within_a_day_are_found_once_each(opened):
    def resolved(number, at):
        return alert(number, "resolved", at=at, before="firing")

    told = [resolved(1, NOW - 90_000), resolved(2, NOW - 300), resolved(3, NOW - 200), resolved(2, NOW - 100), resolved(4, NOW - 50),
            alert(4, "firing", at=NOW), alert(5, "firing", at=NOW)]  # fmt: skip
    put_and_close(opened(), Changes(told, [standing(4), standing(5)]))
    assert same(opened().load().told, [resolved(3, NOW - 200), resolved(2, NOW - 100)])


def test_of_many_that_resolved_the_newest_are_found(opened):
    put_and_close(opened(), Changes([alert(number, "resolved", at=NOW - 1000 + number) for number in range(500)]))
    assert [one.at for one in opened().load().told] == [NOW - 1000 + number for number in range(300, 500)]


def test_history_is_newest_first_and_of_one_alert_or_all(opened):
    file = opened()
    for number in range(20):
        kept(file, Changes([alert(number % 2, at=NOW + number, ack=Ack("me", NOW, "mine"))], notices=[notice(number % 2, made_at=NOW)]))
    told, notices = file.history(alert(1).id, 3)
    assert [one.at for one in told] == [NOW + 19, NOW + 17, NOW + 15]
    assert told[0].ack == Ack("me", NOW, "mine")
    assert [one.key for one in notices] == ["key-1-firing"]
    told, notices = file.history("", 100)
    assert [one.at for one in told] == [NOW + number for number in reversed(range(20))]
    assert {one.key for one in notices} == {"key-0-firing", "key-1-firing"}


def test_history_while_writing_misses_and_doubles_nothing(opened):
    """What is on its way to the disk is in the answer once."""
    file = opened()
    put = [0]

    def write():
        while not ended.is_set():
            file.put(Changes([alert(1, at=NOW + put[0])]))
            put[0] += 1
            time.sleep(0.0005)

    ended = threading.Event()
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    asked = 0
    try:
        while asked < 40 or put[0] < 600:
            before = put[0]
            told = [one.at for one in file.history(alert(1).id, 10**6)[0]]
            assert told == [NOW + at for at in reversed(range(len(told)))]
            assert len(told) >= before
            asked += 1
    finally:
        ended.set()
        writer.join()


def test_all_that_waits_is_committed_at_once(opened, monkeypatch):
    sizes = []
    write = event_database.EventDatabase.write
    released = threading.Event()

    def slow(database, batch, now):
        sizes.append(len(batch.told))
        released.wait(100)
        write(database, batch, now)

    monkeypatch.setattr(event_database.EventDatabase, "write", slow)
    file = opened()
    order = []
    for number in range(50):
        file.put(Changes([alert(number)]), lambda number=number: order.append(number))
    time.sleep(0.05)
    assert order == []
    released.set()
    file.close()
    assert order == list(range(50))
    assert sum(sizes) == 50
    assert len(sizes) <= 3


def test_nobody_is_told_for_what_came_after_the_batch(opened, monkeypatch):
    write = event_database.EventDatabase.write
    begun, written = threading.Event(), []

    def slow(database, batch, now):
        begun.set()
        time.sleep(0.02)
        write(database, batch, now)
        written.append(len(batch.told))

    monkeypatch.setattr(event_database.EventDatabase, "write", slow)
    file = opened()
    told = []
    file.put(Changes([alert(1)]), lambda: told.append(sum(written)))
    assert begun.wait(60)
    file.put(Changes([alert(2)]), lambda: told.append(sum(written)))
    file.close()
    assert told == [1, 2]


def test_whoever_is_told_may_fail(opened, eventually):
    file = opened()
    file.put(Changes([alert(1)]), lambda: 1 / 0)
    kept(file, Changes([alert(2)]))
    assert any("ZeroDivisionError" in text for text in file.said)
    assert len(file.history("", 10)[0]) == 2


def test_files_are_ours_alone(opened, tmp_path):
    file = opened()
    kept(file, Changes([alert(1)]))
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    names = sorted(path.name for path in (tmp_path / "state").iterdir())
    assert names == ["events.db", "events.db-shm", "events.db-wal"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()} == {0o600}


def test_every_commit_is_synced(opened):
    file = opened()
    kept(file, Changes([alert(1)]))
    # Written by one thread, asked while it is idle.
    assert file._database.connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert file._database.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_what_is_old_goes_a_little_at_a_time(tmp_path):
    database = event_database.EventDatabase(tmp_path / "events.db", NOW, keep_s=1000.0, most=900, sure=0)
    memory = Memory()
    memory.take(
        Changes(
            [alert(number, at=NOW - 2000 + number) for number in range(2000)],
            [standing(1), standing(2, "inactive")],
            notices=[
                notice(1, "sent", made_at=NOW - 5000), notice(2, "sent", made_at=NOW - 5000), notice(3, made_at=NOW - 5000),
                notice(4, "sent", made_at=NOW),
            ],
        )
    )  # fmt: skip
    connection = database.connection
    database.write(memory.begin(), NOW)
    (left,) = connection.execute("SELECT count(*) FROM told").fetchone()
    assert left == 2000 - event_database.PRUNED
    rounds = 1
    while database.prune(NOW):
        rounds += 1
    database.prune(NOW)
    assert rounds >= 3
    assert connection.execute("SELECT min(at), count(*) FROM told").fetchone() == (NOW - 900, 900)
    assert [row[0] for row in connection.execute("SELECT key FROM notices ORDER BY seq")] == [
        "key-1-firing", "key-3-firing", "key-4-firing",
    ]  # fmt: skip
    database.close()


def test_a_clock_that_was_wrong_for_a_while_takes_nothing_with_it(opened):
    clock = [NOW]
    file = opened(now=lambda: clock[0])
    kept(file, Changes([alert(number) for number in range(250)], notices=[notice(number, "sent") for number in range(250)]))
    clock[0] += 365 * 86400.0
    kept(file, Changes([alert(250, at=clock[0])], notices=[notice(250, "sent", made_at=clock[0])]))
    kept(file, Changes([alert(251, at=clock[0])]))
    clock[0] = NOW
    kept(file, Changes([alert(252)]))
    assert [len(part) for part in file.history("", 1000)] == [253, 251]


def test_old_rows_go_also_when_nothing_is_put(opened, tmp_path, eventually):
    late = NOW + event_database.KEEP_S + 1
    new = [alert(number, at=late) for number in range(event_database.SURE + 1)]
    put_and_close(opened(), Changes([*(alert(number, at=NOW) for number in range(1000)), *new]))
    file = opened(now=late, check_s=0.01)
    eventually(lambda: {one.at for one in file.history("", 5000)[0]} == {late})
    assert len(file.history("", 5000)[0]) == len(new)


def test_bodies_of_another_version_are_left_out_and_counted(opened, tmp_path):
    put_and_close(opened(), Changes(standings=[standing(1), standing(2)], silences=[silence(1)]))
    with sqlite3.connect(tmp_path / "state" / "events.db") as connection:
        connection.execute("UPDATE standings SET body = ? WHERE alert = ?", (msgspec.msgpack.encode(["other"]), alert(1).id))
        connection.execute("UPDATE silences SET body = 'text'")
    connection.close()
    file = opened()
    saved = file.load()
    assert same(saved.standings, [standing(2)])
    assert saved.silences == []
    assert file.error == ""
    kept(file, Changes())
    assert [text.partition(": ")[2] for text in file.said] == ["2 entries of another version could not be read"]


def test_a_newer_body_with_more_fields_is_read(opened, tmp_path):
    put_and_close(opened(), Changes(silences=[silence(1)]))
    with sqlite3.connect(tmp_path / "state" / "events.db") as connection:
        connection.execute("UPDATE silences SET body = ?", (msgspec.msgpack.encode([*msgspec.structs.astuple(silence(1)), "more"]),))
    connection.close()
    assert opened().load().silences == [silence(1)]


def test_what_cannot_be_written_down_holds_up_nothing_else(opened):
    file = opened()
    kept(file, Changes([alert(1, text="\ud800"), alert(2)], [standing(1, text="\ud800"), standing(2)]))
    assert file.error == ""
    assert [one.id for one in file.history("", 10)[0]] == [alert(2).id]
    assert "2 things could not be written down" in file.said[0]


def test_reading_beside_the_writer(opened, tmp_path):
    assert read(tmp_path / "nowhere", NOW) == Saved()
    file = opened()
    kept(file, Changes(standings=[standing(1)], silences=[silence(1), silence(2, NOW - 1)]))
    saved = read(tmp_path / "state", NOW)
    assert same(saved.standings, [standing(1)])
    assert saved.silences == [silence(1)]
    kept(file, Changes(silences=[]))
    assert read(tmp_path / "state", NOW).silences == []
    assert read(tmp_path / "state").standings


def test_a_file_that_was_closed_reads_alike_and_leaves_nothing_beside_it(opened, tmp_path):
    put_and_close(opened(), Changes(silences=[silence(1)]))
    assert read(tmp_path / "state", NOW).silences == [silence(1)]
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["events.db"]


def test_opening_for_one_change_is_quick(tmp_path):
    """The command line: everything but loading Python. What is measured is its own work, for a disk may take its time."""
    took = []
    for number in range(7):
        used = time.process_time()
        file = EventFile(tmp_path, lambda: NOW)
        saved = file.load()
        kept(file, Changes(silences=[*saved.silences, silence(number)]))
        file.close()
        took.append(time.process_time() - used)
    assert len(read(tmp_path, NOW).silences) == 7
    assert min(took) < 0.1  # 2 ms on a quiet machine


def test_nothing_is_kept_after_the_end(opened, tmp_path):
    file = opened()
    file.close()
    file.close()
    told = threading.Event()
    file.put(Changes(silences=[silence(1)]), told.set)
    assert not told.wait(0.02)
    assert not file._memory.owing
    assert read(tmp_path / "state", NOW) == Saved()


def test_importing_it_loads_no_sqlite():
    code = "import sys; from perfconsole.history import events, lease; sys.exit('sqlite3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
