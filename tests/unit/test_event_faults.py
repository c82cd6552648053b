"""The events database when things go wrong: killed at any moment, no room, no right, no disk that answers, somebody else's bytes."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from math import inf
from pathlib import Path

import msgspec
import pytest

from perfconsole.core.notices import Changes, Notice, Saved, Standing
from perfconsole.core.tick import Alert, Silence
from perfconsole.history import event_asking, event_database, event_memory, event_rows, events
from perfconsole.history.events import EventFile, EventsError, read

NOW = 1.7e9


def alert(number, state="firing", at=NOW, **more):
    labels = (("endpoint", f"e{number}"),)
    return Alert(f"slow{{endpoint=e{number}}}", "slow", "x", labels, "warning", state, "pending", at, NOW - 60, 2.0, 1.0, **more)


def standing(number, **more):
    return Standing(alert(number, **more), "shape", "boot", offset_s=NOW, since=40.0, last=100.0, deadline=inf)


def silence(number):
    return Silence(f"{number:08x}", (("rule", "slow*"),), NOW - 60, NOW + 3600, "me", "deploy")


def notice(number, state="waiting", **more):
    return Notice(f"key-{number}", "hook", "firing", alert(number, **more), NOW, state)


def same(found, expected):
    return msgspec.msgpack.encode(found) == msgspec.msgpack.encode(expected)


KNOWN = Changes([alert(1)], [standing(1)], [silence(1)], [notice(1, "sent"), notice(2)])


def whole(saved):
    """Whether what matters of `KNOWN` is there."""
    return same((saved.standings, saved.silences, saved.notices), (KNOWN.standings, KNOWN.silences, KNOWN.notices))


@pytest.fixture
def opened():
    files = []

    def opened(directory, **options):
        files.append(EventFile(directory, lambda: NOW, **{"patience_s": 60.0, **options}))  # a busy disk is none that hangs
        return files[-1]

    yield opened
    for file in files:
        file.close()


def kept(file, changes=Changes(), within_s=60.0):  # noqa: B008  a constant
    told = threading.Event()
    file.put(changes, told.set)
    assert told.wait(within_s), "nobody was told"


def filled(directory, count=1):
    """A database that was closed."""
    file = EventFile(directory, lambda: NOW)
    for number in range(count):
        file.put(Changes([alert(number % 50, at=NOW + number / 1000)]))
    kept(file, KNOWN)
    file.close()
    return directory / "events.db"


# Killed --------------------------------------------------------------------------------------------------------------------------

CHILD = """
import os, sys, threading
from math import inf
sys.path.insert(0, sys.argv[1])
from perfconsole.core.notices import Changes, Notice, Standing
from perfconsole.core.tick import Alert, Silence
from perfconsole.history.events import EventFile

NOW = 1.7e9
file = EventFile(sys.argv[2], lambda: NOW)
file.load()
room = threading.Semaphore(int(sys.argv[4]))

def kept(number):
    os.write(1, b"%d\\n" % number)
    room.release()

for number in range(int(sys.argv[3]), 10**9):
    room.acquire()
    one = Alert(f"r{number % 5}", "r", "m", (), "warning", "firing", "pending", NOW, NOW, float(number), 1.0)
    two = Alert("other", "r", "m", (), "warning", "firing", "pending", NOW, NOW, float(number), 1.0)
    where = Standing(one, "s", "b", offset_s=NOW, since=1.0, last=float(number), deadline=inf)
    quiet = Silence(f"{number:08x}", (), NOW, NOW + 1, "me", "why")
    file.put(Changes([one, two], [where], [quiet], [Notice(f"k{number}", "hook", "firing", one, NOW)]), lambda number=number: kept(number))
"""


def numbers(saved, told):
    """Which changes are there, by every trace that they leave; that they agree is what is tested."""
    by_told = sorted(int(one.value) for one in told if one.id != "other")
    assert by_told == sorted(int(one.value) for one in told if one.id == "other")
    assert by_told == [int(one.key[1:]) for one in saved.notices]
    last = by_told[-1] if by_told else None
    assert [int(one.alert.value) for one in saved.standings] == [last] * (last is not None)
    assert [int(one.id, 16) for one in saved.silences] == [last] * (last is not None)
    return by_told


def test_killed_at_any_moment_everything_acknowledged_is_there_and_whole(tmp_path, opened):
    dice = random.Random(5)
    acknowledged = -1
    for _ in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, Path.cwd(), tmp_path, str(acknowledged + 1000), "50"], stdout=subprocess.PIPE
        )
        with child:
            assert child.stdout.readline()
            time.sleep(dice.random() * 0.1)
            child.send_signal(signal.SIGKILL)
            lines = child.stdout.read().splitlines()
        # What another process would find next, before anything is mended by the one that writes.
        assert read(tmp_path, NOW).standings
        if lines:
            acknowledged = int(lines[-1])
        file = opened(tmp_path)
        saved = file.load()
        found = numbers(saved, file.history("", 10**6)[0])
        file.close()
        assert acknowledged in found
        run = [number for number in found if number > acknowledged - 900]
        assert run == list(range(run[0], run[-1] + 1))
        acknowledged = found[-1]


def test_a_torn_end_takes_whole_changes_only(tmp_path, opened):
    """A power cut may leave any part of what was not synced."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, Path.cwd(), tmp_path / "one", "1", "2"], stdout=subprocess.PIPE)
    with child:
        while int(child.stdout.readline()) < 60:
            pass
        child.kill()
    ahead = (tmp_path / "one" / "events.db-wal").read_bytes()
    dice = random.Random(7)
    found = set()
    for number in range(25):
        place = tmp_path / f"torn{number}"
        shutil.copytree(tmp_path / "one", place)
        cut = dice.randrange(len(ahead) // 4, len(ahead))
        garbage = dice.randbytes(len(ahead) - cut) if number % 2 else b""
        (place / "events.db-wal").write_bytes(ahead[:cut] + garbage)
        file = opened(place)
        saved = file.load()
        found.add(len(numbers(saved, file.history("", 10**6)[0])))
        assert not file.error
        assert not file.said
    assert len(found) > 3


# No room -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(disk):
    """Leave no room at all."""
    with (disk / "ballast").open("ab", buffering=0) as ballast:
        while True:
            try:
                ballast.write(bytes(4096))
            except OSError:
                return


def test_a_full_disk_is_said_and_survived(small_disk, opened, eventually):
    file = opened(small_disk / "state", retry_s=0.02)
    kept(file, KNOWN)
    fill(small_disk)
    count = 0
    while not file.error:
        count += 1
        kept(file, Changes([alert(3, at=NOW + count, text="x" * 2000)]))  # told, kept or not
    assert file.error == f"alerts and events are kept in memory only: the disk is full ({small_disk}/state/events.db)"
    kept(file, Changes([alert(4)], [standing(1), standing(4)], [silence(1), silence(2)], [notice(3)]))
    kept(file, Changes(notices=[notice(3, "sent")]))
    assert file.error
    told, notices = file.history("", 10**6)
    assert [one.id for one in told] == [alert(4).id, *[alert(3).id] * count, alert(1).id]
    assert [one.key for one in notices] == ["key-3", "key-2", "key-1"]
    assert notices[0].state == "sent"
    (small_disk / "ballast").unlink()
    eventually(lambda: not file.error)
    assert same(read(small_disk / "state", NOW).standings, [standing(1), standing(4)])
    file.close()
    file = opened(small_disk / "state")
    saved = file.load()
    assert saved.silences == [silence(1), silence(2)]
    assert [one.key for one in saved.notices] == ["key-1", "key-2", "key-3"]  # the alert of the third does not stand: its end is owed
    assert [one.id for one in file.history("", 10**6)[0]] == [alert(4).id, *[alert(3).id] * count, alert(1).id]


@pytest.mark.parametrize("killed", [False, True])
def test_what_was_kept_is_found_on_a_disk_that_is_full_at_the_start(small_disk, opened, eventually, killed):
    """Opening needs room that is not there; who was told must not be told again for that."""
    place = small_disk / "state"
    file = opened(place)
    kept(file, KNOWN)
    if killed:
        for suffix in ("", "-wal"):
            shutil.copy(place / f"events.db{suffix}", small_disk)
    file.close()
    if killed:
        for suffix in ("", "-wal"):
            os.replace(small_disk / f"events.db{suffix}", place / f"events.db{suffix}")  # noqa: PTH105
    fill(small_disk)
    assert whole(read(place, NOW))
    file = opened(place, retry_s=0.02)
    assert whole(file.load())
    assert file.error == f"alerts and events are kept in memory only: the disk is full ({place}/events.db)"
    kept(file, Changes([alert(5)]))
    (small_disk / "ballast").unlink()
    eventually(lambda: not file.error)
    file.close()
    assert whole(read(place, NOW))
    assert [path.name for path in place.iterdir()] == ["events.db"]


WRITER = """
import os, sys, threading
import msgspec
sys.path.insert(0, sys.argv[1])
from perfconsole.core.notices import Changes
from perfconsole.history.events import EventFile
file = EventFile(sys.argv[2], lambda: 1.7e9)
told = threading.Event()
file.put(msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Changes), told.set)
told.wait(60)
os._exit(0) if sys.argv[3] else file.close()
"""


@pytest.mark.parametrize("killed", [False, True])
def test_what_was_kept_is_found_on_a_disk_that_became_read_only(small_disk, opened, eventually, killed):
    place = small_disk / "state"
    child = [sys.executable, "-c", WRITER, Path.cwd(), place, "killed" if killed else ""]
    subprocess.run(child, input=msgspec.msgpack.encode(KNOWN), check=True)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    file = opened(place, retry_s=0.02)
    assert whole(file.load())
    kept(file, Changes([alert(5)]))
    assert file.error.startswith("alerts and events are kept in memory only: it cannot be ")
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    eventually(lambda: not file.error)
    assert [one.id for one in file.history("", 1)[0]] == [alert(5).id]


def test_what_is_held_is_bounded(tmp_path, opened, eventually):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "events.db").symlink_to(tmp_path / "nowhere")
    file = opened(tmp_path / "state", bound=100, retry_s=0.02)
    for number in range(300):
        file.put(Changes([alert(1, at=NOW + number)], notices=[notice(number, "sent" if number % 2 else "waiting")]))
    kept(file)
    assert "; 200 transitions were let go" in file.error
    told, notices = file.history("", 1000)
    assert [one.at for one in told] == [NOW + number for number in reversed(range(200, 300))]
    assert [one.key for one in notices if one.state == "waiting"] == [f"key-{number}" for number in range(298, -1, -2)], "none is let go"
    settled = [one.key for one in notices if one.state != "waiting"]
    assert 90 <= len(settled) <= 100
    assert settled == [f"key-{number}" for number in range(299, 299 - 2 * len(settled), -2)]
    (tmp_path / "state" / "events.db").unlink()
    eventually(lambda: not file.error)
    eventually(lambda: file.said)
    assert file.said[0] == f"200 transitions were let go while {tmp_path}/state/events.db could not be written"


# No right ------------------------------------------------------------------------------------------------------------------------


def test_what_is_not_ours_is_not_touched(tmp_path, opened):
    (tmp_path / "target").write_bytes(b"precious")
    place = tmp_path / "state"
    place.mkdir()
    (place / "events.db").symlink_to(tmp_path / "target")
    file = opened(place)
    assert file.load() == Saved()
    assert file.error == (
        f"alerts and events are kept in memory only: it is no regular file ({place}/events.db): "
        "remove what is there: perfconsole makes its own"
    )
    kept(file, KNOWN)
    assert [one.id for one in file.history("", 9)[0]] == [alert(1).id]
    with pytest.raises(EventsError, match=rf"^cannot read {place}/events.db: it is no regular file: remove what is there"):
        read(place)
    file.close()
    assert (tmp_path / "target").read_bytes() == b"precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give things away")
@pytest.mark.parametrize(("given", "words"), [("", "the directory belongs to uid 65534"), ("events.db", "it belongs to uid 65534")])
def test_what_belongs_to_another_is_not_touched(tmp_path, opened, given, words):
    filled(tmp_path / "state")
    os.chown(tmp_path / "state" / given, 65534, -1)
    file = opened(tmp_path / "state")
    assert file.load() == Saved() or not given
    kept(file, KNOWN)
    assert words in file.error


UNPRIVILEGED = """
import os, sys, threading
sys.path.insert(0, sys.argv[1])
from perfconsole.core.notices import Changes
from perfconsole.history import event_database
from perfconsole.history.events import EventFile
os.setgroups([]); os.setgid(65534); os.setuid(65534)  # from here on it could not even read the modules
file = EventFile(sys.argv[2], lambda: 1.7e9)
print(file.load() == ((), (), (), (), ()))
told = threading.Event()
file.put(Changes(standings=[]), told.set)
print(told.wait(60))
print(list(file.said))
print(file.error)
file.close()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_directory_that_cannot_be_used_is_said(mode):
    with tempfile.TemporaryDirectory() as outside:  # what pytest makes is root's alone
        tmp_path = Path(outside)
        tmp_path.chmod(0o755)
        _cannot_be_used(tmp_path, mode)


def _cannot_be_used(tmp_path, mode):
    place = tmp_path / "locked"
    place.mkdir()
    os.chown(place, 65534, -1)
    place.chmod(mode)
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o755)
    answers = [
        subprocess.run(
            [sys.executable, "-c", UNPRIVILEGED, Path.cwd(), where], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        for where in (place / "below", tmp_path / "state")
    ]
    # That nothing could be read is said at once; a disk that does not answer would be waited for, and said to be one.
    assert answers[0][:3] == answers[1][:3] == ["True", "True", "[]"]
    assert "Permission denied" in answers[0][3]
    assert "the directory belongs to uid 0" in answers[1][3]


# Damage --------------------------------------------------------------------------------------------------------------------------


def no_header(path):
    path.write_bytes(b"garbage!" * 512 + path.read_bytes()[4096:])


def text(path):
    path.write_text("this is no database\n" * 500)


def cut(path):
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)


def random_pages(path):
    data = bytearray(path.read_bytes())
    dice = random.Random(3)
    for at in range(4096 * 2, len(data), 4096):
        data[at : at + 4096] = dice.randbytes(4096)
    path.write_bytes(data)


def another_program(path):
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (a)")
    connection.close()


def lost_table(path):
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE standings")
    connection.close()


@pytest.mark.parametrize("damage", [no_header, text, cut, random_pages, another_program, lost_table])
def test_a_damaged_file_is_put_aside_and_a_new_one_begun(tmp_path, opened, eventually, damage):
    path = filled(tmp_path, 2000)
    damage(path)
    before = path.read_bytes()
    with pytest.raises(EventsError, match=rf"cannot read {path}: .*: it is damaged; the next console that records puts it aside"):
        read(tmp_path, NOW)
    file = opened(tmp_path)
    file.load()
    kept(file, KNOWN)
    eventually(lambda: file.said)
    aside = tmp_path / "events.db.damaged-20231114T221320Z"
    assert file.said[0].startswith(f"{path} was damaged (")
    assert file.said[0].endswith(f"it is kept as {aside.name}, and a new one begun")
    assert file.error == ""
    assert whole(read(tmp_path, NOW))
    file.close()
    if damage is not lost_table:  # in which nothing is wrong with the pages
        assert aside.read_bytes() == before
    assert whole(opened(tmp_path).load())


def test_damage_that_is_met_at_the_end_loses_nothing(tmp_path):
    path = filled(tmp_path)
    text(path)
    file = EventFile(tmp_path, lambda: NOW)
    file.put(KNOWN)
    file.close()
    assert whole(read(tmp_path, NOW))


@pytest.mark.parametrize("part", ["told", "sqlite_autoindex_standings_1", "sqlite_autoindex_silences_1"])
def test_of_a_damaged_file_what_matters_is_saved(tmp_path, opened, eventually, part):
    """Found later, by who looks through all pages: what stands, silences and notices go to the new file."""
    path = filled(tmp_path, 3000)
    with sqlite3.connect(path) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (part,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with path.open("r+b") as raw:
        raw.seek((root - 1) * size)
        raw.write(random.Random(1).randbytes(size))
    file = opened(tmp_path, check_s=0.05 if part == "told" else 60.0)
    assert whole(file.load())
    eventually(lambda: file.said)
    kept(file, Changes([alert(8)]))
    assert file.error == ""
    assert whole(read(tmp_path, NOW))
    assert [one.id for one in file.history("", 10)[0]] == [alert(8).id]
    assert len(list(tmp_path.glob("events.db.damaged-*Z"))) == 1


def test_damage_that_history_meets_is_mended(tmp_path, opened, eventually):
    file = opened(tmp_path)
    kept(file, KNOWN)
    for number in range(500):
        file.put(Changes([alert(number % 10, at=NOW, text="x" * 500)]))
    kept(file)
    file._database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    path = tmp_path / "events.db"
    data = path.read_bytes()
    with path.open("r+b") as raw:
        raw.seek(4096 * 3)
        raw.write(random.Random(1).randbytes(len(data) - 4096 * 4))
    file.history("", 1000)
    eventually(lambda: file.said)
    kept(file)
    assert not file.error
    assert whole(read(tmp_path, NOW))


def test_a_disk_that_damages_every_file_is_not_filled_with_them(tmp_path, opened, monkeypatch, eventually):
    def damaged(database, batch, now):
        raise event_database.DamagedError("again")

    monkeypatch.setattr(event_database, "DamagedError", event_rows.DamagedError, raising=False)
    monkeypatch.setattr(event_database.EventDatabase, "write", damaged)
    file = opened(tmp_path, retry_s=0.01)
    kept(file, KNOWN)
    eventually(lambda: "damaged again and again: again" in file.error)
    time.sleep(0.1)  # it is tried again every 10 ms
    assert len([path for path in tmp_path.glob("events.db.damaged-*") if not path.name.endswith(("-wal", "-shm"))]) == events.ASIDE


def test_a_file_of_a_newer_version_is_left_alone(tmp_path, opened, eventually):
    path = filled(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    before = path.read_bytes()
    file = opened(tmp_path, retry_s=0.02)
    assert file.load() == Saved()
    kept(file, KNOWN)
    assert file.error == (
        f"alerts and events are kept in memory only: a newer perfconsole wrote it (schema 3, this one knows 2) ({path}): "
        "use that one, or another [history] dir"
    )
    with pytest.raises(EventsError, match="a newer perfconsole wrote it"):
        read(tmp_path)
    assert path.read_bytes() == before
    path.rename(tmp_path / "moved")
    eventually(lambda: not file.error)
    assert whole(read(tmp_path, NOW))


def test_a_file_that_is_taken_away_is_begun_anew(tmp_path, opened):
    file = opened(tmp_path / "state")
    kept(file, KNOWN)
    shutil.rmtree(tmp_path / "state")
    kept(file, Changes([alert(7)]))
    assert file.said[0] == f"{tmp_path}/state/events.db was taken away: a new one is begun"
    kept(file)
    assert whole(read(tmp_path / "state", NOW))


def test_what_an_ended_database_left_beside_it_is_not_taken_for_the_next(tmp_path, opened):
    first = opened(tmp_path / "one")
    kept(first, KNOWN)
    (tmp_path / "state").mkdir()
    shutil.copy(tmp_path / "one" / "events.db-wal", tmp_path / "state")
    file = opened(tmp_path / "state")
    kept(file, Changes([alert(9)]))
    assert file.load().standings == []
    assert (tmp_path / "state" / "events.db.damaged-20231114T221320Z-wal").is_file()


# No answer -----------------------------------------------------------------------------------------------------------------------

LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_locked_file_holds_up_nobody(tmp_path, opened, eventually):
    file = opened(tmp_path, retry_s=0.02)
    kept(file, KNOWN)
    locker = subprocess.Popen([sys.executable, "-c", LOCKER, tmp_path / "events.db"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with locker:
        locker.stdout.readline()
        told, began = [], time.monotonic()
        changes = Changes([alert(2)], [standing(number) for number in range(200)], [silence(1)], [notice(3)])
        for number in range(1000):
            file.put(changes, lambda number=number: told.append(number))
            time.sleep(0.001)
        assert time.monotonic() - began < 100  # the disk's answer takes half a second: each waiting for one, 500
        eventually(lambda: file.error)
        assert file.error == f"alerts and events are kept in memory only: another program keeps it locked ({tmp_path}/events.db)"
        eventually(lambda: len(told) == 1000)
        assert told == list(range(1000))
        assert len(file.history(alert(2).id, 10**4)[0]) == 1000
        assert [one.id for one in file.history(alert(1).id, 10)[0]] == [alert(1).id]
        assert whole(read(tmp_path, NOW))
        locker.stdin.close()
        locker.wait()
    eventually(lambda: not file.error)
    file.close()
    assert len(read(tmp_path, NOW).standings) == 200


def test_a_disk_that_hangs_keeps_nobody_waiting(tmp_path, opened, monkeypatch, eventually):
    """The thread that writes is in the disk; who waits is told all the same, once."""
    released = threading.Event()
    write = event_database.EventDatabase.write
    monkeypatch.setattr(event_database.EventDatabase, "write", lambda *args: released.wait(200) and write(*args))
    monkeypatch.setattr(events, "CLOSE_S", 0.1)
    monkeypatch.setattr(event_asking, "PAUSE_S", 0.05)
    file = opened(tmp_path, patience_s=0.1)
    told = []
    for number in range(5):
        file.put(Changes([alert(number)]), lambda number=number: told.append(number))
    eventually(lambda: len(told) == 5)
    assert file.error == f"alerts and events are kept in memory only: the disk has not answered for 0 s ({tmp_path}/events.db)"
    assert [one.id for one in file.history("", 9)[0]] == [alert(number).id for number in reversed(range(5))]
    released.set()
    eventually(lambda: not file.error)
    kept(file)
    assert told == [0, 1, 2, 3, 4]
    released.clear()
    file.put(Changes([alert(9)]))
    started = time.monotonic()
    file.close()
    assert time.monotonic() - started < 20  # the disk takes ten times as long
    released.set()


def test_a_start_goes_on_without_a_disk_that_hangs(tmp_path, opened, monkeypatch, eventually):
    filled(tmp_path)
    released = threading.Event()
    load = event_rows.load
    monkeypatch.setattr(event_rows, "load", lambda *args: released.wait(200) and load(*args))
    file = opened(tmp_path, patience_s=0.1)
    assert file.load() == Saved()
    assert "did not answer" in file.said[0]
    released.set()
    kept(file, Changes(standings=[standing(3)]))
    eventually(lambda: same(read(tmp_path, NOW).standings, [standing(3)]))  # a slow disk: told, and written later
    saved = read(tmp_path, NOW)
    assert saved.silences == [silence(1)]  # which nobody took back


def test_the_end_is_bounded_where_the_file_is_locked(tmp_path, opened):
    file = opened(tmp_path)
    kept(file, KNOWN)
    locker = subprocess.Popen([sys.executable, "-c", LOCKER, tmp_path / "events.db"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with locker:
        locker.stdout.readline()
        file.put(Changes([alert(2)]))
        started = time.monotonic()
        file.close()
        assert time.monotonic() - started < 30  # it is locked for ever
        locker.stdin.close()


def test_a_reader_that_stopped_holds_up_no_commit(tmp_path, opened):
    file = opened(tmp_path)
    kept(file, KNOWN)
    reader = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM told").fetchone()
    kept(file, Changes([alert(2)]))
    assert file.error == ""
    assert len(read(tmp_path, NOW).standings) == 1
    reader.close()


def test_a_new_file_is_owed_what_matters_on_and_no_more():
    memory = event_memory.Memory()
    memory.take(Changes(KNOWN.told, [standing(1), standing(2)], KNOWN.silences, [notice(1, "sent"), notice(2, "sent"), notice(3)]))
    memory.begin()
    memory.done({alert(1).id, alert(2).id})
    memory.take(Changes(standings=[standing(1)]))
    memory.begin()
    memory.done({alert(1).id})
    assert not memory.owing
    memory.owe_all()
    batch = memory.begin()
    assert same(batch, event_memory.Batch([], [standing(1)], KNOWN.silences, [notice(1, "sent"), notice(3)]))
    assert not memory.owing


def test_after_a_commit_that_failed_all_standings_are_written(tmp_path):
    """Whether it stands is not known then."""
    database = event_database.EventDatabase(tmp_path / "events.db", NOW)
    batch = event_memory.Batch([], [standing(1), standing(2)], None, [])
    database.write(batch, NOW)
    other = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(EventsError, match="another program keeps it locked"):
        database.write(batch, NOW)
    other.execute("DELETE FROM standings")
    other.execute("COMMIT")
    other.close()
    database.write(batch, NOW)
    database.close()
    assert same(read(tmp_path, NOW).standings, batch.standings)


def test_what_was_put_last_stands_last():
    memory = event_memory.Memory()
    memory.take(Changes(notices=[notice(1), notice(2)]))
    memory.take(Changes(notices=[notice(1, "sent")]))
    assert [one.key for one in memory.notices("")] == ["key-1", "key-2"]


def test_thousands_of_notices_that_wait_are_all_held_and_cost_each_the_same():
    memory = event_memory.Memory(bound=10, waiting_bound=20_000)
    many = [notice(number) for number in range(22_000)]
    began = time.perf_counter()
    memory.take(Changes(notices=many[:19_000]))
    for one in many[19_000:20_000]:
        memory.take(Changes(notices=[one]))
    took = time.perf_counter() - began
    assert [one.key for one in memory.notices("")] == [one.key for one in reversed(many[:20_000])]
    assert took < 10, "it was minutes where each was looked for among all"
    memory.take(Changes(notices=many[20_000:]))
    held = memory.notices("")
    assert 18_000 <= len(held) <= 20_000
    assert [one.key for one in held] == [one.key for one in reversed(many[-len(held) :])], "past that the newest"
    memory.take(Changes(notices=[notice(21_000, "sent")]))
    assert [one.key for one in memory.notices("")][:2] == ["key-21000", "key-21999"]


def test_what_failed_is_owed_before_what_came_since():
    memory = event_memory.Memory()
    memory.take(Changes([alert(1)], [standing(1)], notices=[notice(1), notice(2)]))
    memory.begin()
    memory.take(Changes([alert(2)], notices=[notice(1, "sent")]))
    memory.failed()
    assert same(memory.begin(), event_memory.Batch([alert(1), alert(2)], [standing(1)], None, [notice(1, "sent"), notice(2)]))
