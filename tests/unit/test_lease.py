"""The lease: one holder, told by the lock alone, free at once however the holder ends, and never kept alive by a child."""

import errno
import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from perfconsole.core.errors import PerfconsoleError
from perfconsole.history import lease as module
from perfconsole.history.lease import Holder, Lease, LeaseError, holder

ME = Holder(os.getpid(), "box", 1.7e9, "digest", "/run/engine.sock")

CHILD = """
import os, sys
sys.path.insert(0, sys.argv[1])
from perfconsole.history.lease import Holder, Lease
lease = Lease.take(sys.argv[2], Holder(os.getpid(), "other", 1.0, "c", "s"))
print("taken" if lease else "refused", flush=True)
sys.stdin.read()
if lease and len(sys.argv) > 3:
    lease.release()
    print("released", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Other processes that try to take it; those that still run are killed at the end."""
    children = []

    def other(directory=tmp_path):
        command = [sys.executable, "-c", CHILD, Path.cwd(), directory]
        children.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return children[-1], children[-1].stdout.readline().strip()

    yield other
    for child in children:
        child.kill()
        child.communicate()


@pytest.fixture
def taken():
    """Takes leases; those still held are released at the end."""
    leases = []

    def taken(directory, who=ME):
        found = Lease.take(directory, who)
        if found:
            leases.append(found)
        return found

    yield taken
    for one in leases:
        one.release()


def test_one_holds_it_and_the_others_learn_who(tmp_path, taken, other):
    place = tmp_path / "new" / "state"
    assert holder(place) is None
    lease = taken(place)
    assert holder(place) == ME
    assert taken(place) is None
    assert other(place)[1] == "refused"
    lease.release()
    assert holder(place) is None
    child, answer = other(place)
    assert answer == "taken"
    assert holder(place) == Holder(child.pid, "other", 1.0, "c", "s")
    assert taken(place) is None


def test_it_is_ours_alone(tmp_path, taken):
    taken(tmp_path / "a" / "b")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a", tmp_path / "a" / "b")} == {0o700}
    assert stat.S_IMODE((tmp_path / "a" / "b" / "lease").stat().st_mode) == 0o600
    assert json.loads((tmp_path / "a" / "b" / "lease").read_text()) == {
        "pid": os.getpid(), "host": "box", "started": 1.7e9, "config": "digest", "socket": "/run/engine.sock",
    }  # fmt: skip


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")


@pytest.mark.parametrize("mode", [0o1777, 0o777, 0o775])
def test_a_directory_that_others_may_write_to_is_refused_and_left_as_it_is(tmp_path, mode):
    """It may be /tmp: made private, it would be nobody else's any more."""
    place = tmp_path / "shared"
    place.mkdir()
    place.chmod(mode)
    said = rf"cannot use {place}/lease: others may write to {place} \(chmod 700 {place}\): set another \[history\] dir, one of your own"
    with pytest.raises(LeaseError, match=said):
        Lease.take(place, ME)
    assert (stat.S_IMODE(place.stat().st_mode), list(place.iterdir())) == (mode, [])


def test_a_directory_that_others_may_read_is_left_as_it_is(tmp_path, taken):
    place = tmp_path / "mine"
    place.mkdir()
    place.chmod(0o755)
    assert taken(place)
    assert stat.S_IMODE(place.stat().st_mode) == 0o755
    assert stat.S_IMODE((place / "lease").stat().st_mode) == 0o600


@needs_root
def test_another_users_directory_is_left_without_files_of_ours(tmp_path):
    """Root's lease in it would keep its owner out."""
    os.chown(tmp_path, 65534, 65534)
    with pytest.raises(LeaseError, match=rf"cannot use .*: {tmp_path} belongs to another user \(uid 65534\)"):
        Lease.take(tmp_path, ME)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_another_makes_at_the_same_moment_is_no_fault(tmp_path):
    failures = []

    def make(directory):
        with suppress(BaseException):
            module.make_private(directory)
            return
        failures.append(directory)

    for number in range(100):
        directory = tmp_path / str(number) / "a" / "b" / "c"
        makers = [threading.Thread(target=make, args=(directory,)) for _ in range(4)]
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join()
        assert directory.is_dir()
    assert failures == []


def test_killed_it_is_free_at_once(tmp_path, taken, other):
    child, answer = other()
    assert answer == "taken"
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert holder(tmp_path) is None  # whatever the file says
    assert json.loads((tmp_path / "lease").read_text())["pid"] == child.pid
    assert taken(tmp_path)
    assert holder(tmp_path) == ME


def test_what_the_holder_says_may_change(tmp_path, taken):
    lease = taken(tmp_path, Holder(1, "a-long-name" * 20, 1.0, "one", "/somewhere"))
    lease.tell(ME)
    assert holder(tmp_path) == ME
    assert json.loads((tmp_path / "lease").read_text())["host"] == "box"  # and nothing of the longer name behind it
    lease.release()
    lease.release()
    lease.tell(ME)
    assert holder(tmp_path) is None


def test_a_started_program_does_not_hold_it_on(tmp_path, taken):
    """As the process that checks endpoints, which may outlive its engine for a moment."""
    lease = taken(tmp_path)
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        lease.release()
        assert holder(tmp_path) is None
    finally:
        child.kill()
        child.wait()


FORKER = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from perfconsole.history.lease import Holder, Lease
lease = Lease.take(sys.argv[2], Holder())
child = os.fork()
if not child:
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(60)
sys.stdin.read()
"""


def test_a_fork_does_not_hold_it_on(tmp_path):
    """Without exec the child has the descriptor, and closes it: the lease ends with its holder, and not before."""
    forker = subprocess.Popen([sys.executable, "-c", FORKER, Path.cwd(), tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child = int(forker.stdout.readline())
    try:
        assert holder(tmp_path) == Holder()
        forker.kill()
        forker.wait()
        assert holder(tmp_path) is None
    finally:
        os.kill(child, signal.SIGKILL)
        forker.stdin.close()
        forker.stdout.close()


ENDED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from perfconsole.history.lease import Holder, Lease, holder
lease = Lease.take(sys.argv[2], Holder(pid=7))
child = os.fork()
if not child:
    sys.exit()
os.waitpid(child, 0)
print(holder(sys.argv[2]).pid, lease.lost)
"""


def test_a_fork_that_ends_does_not_give_it_away(tmp_path):
    done = subprocess.run([sys.executable, "-c", ENDED, Path.cwd(), tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["7", "False"]


def test_of_many_that_want_it_one_gets_it(tmp_path):
    """While others look who holds it all the time."""
    ended = threading.Event()
    looks = [0]

    def look():
        while not ended.is_set():
            holder(tmp_path)
            looks[0] += 1

    watchers = [threading.Thread(target=look, daemon=True) for _ in range(2)]
    for watcher in watchers:
        watcher.start()
    failed = 0
    for _ in range(200):
        lease = Lease.take(tmp_path, ME)
        if lease:
            assert Lease.take(tmp_path, ME) is None
            lease.release()
        else:
            failed += 1
    ended.set()
    for watcher in watchers:
        watcher.join()
    assert looks[0] > 10
    assert failed <= 100  # a few; nobody else looks a thousand times a second, and never lets go of a busy machine


def test_who_only_looks_is_not_taken_for_a_holder(tmp_path, taken, monkeypatch):
    flock, calls = fcntl.flock, []

    def looked_at(fd, how):
        calls.append(how)
        if len(calls) == 1:
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK))
        flock(fd, how)

    monkeypatch.setattr(fcntl, "flock", looked_at)
    assert taken(tmp_path)


@pytest.mark.parametrize("content", [b"", b"garbage", b'{"pid": "x"}\n', b'{"pid": 1', b"\xff\n", b"[" * 100_000])
def test_who_says_nothing_sensible_holds_it_all_the_same(tmp_path, taken, content):
    taken(tmp_path)
    (tmp_path / "lease").write_bytes(content)
    assert holder(tmp_path) == Holder()


def test_what_the_holder_says_is_not_trusted(tmp_path, taken):
    taken(tmp_path, Holder(1, "\x1b[31mred"))
    assert "\x1b" not in holder(tmp_path).host


def test_a_file_that_was_taken_away_is_noticed(tmp_path, taken):
    lease = taken(tmp_path / "state")
    assert not lease.lost
    shutil.rmtree(tmp_path / "state")
    assert lease.lost
    assert taken(tmp_path / "state")
    assert lease.lost
    lease.release()
    assert lease.lost


def test_a_symbolic_link_is_not_followed(tmp_path):
    (tmp_path / "target").write_text("precious")
    (tmp_path / "lease").symlink_to(tmp_path / "target")
    for ask in (lambda: Lease.take(tmp_path, ME), lambda: holder(tmp_path)):
        with pytest.raises(LeaseError, match=rf"cannot use {tmp_path}/lease: .*: set another \[history\] dir, one of your own"):
            ask()
    assert (tmp_path / "target").read_text() == "precious"


def test_what_is_no_directory_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PerfconsoleError, match=r"cannot use .*/file/lease: Not a directory"):
        Lease.take(tmp_path / "file", ME)


def descriptors():
    return sorted(path.name for path in Path("/proc/self/fd").glob("*"))


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def no_locks(fd, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    before = descriptors()
    with pytest.raises(LeaseError, match=r"cannot lock .*: No locks available: set a \[history\] dir on a local disk"):
        Lease.take(tmp_path, ME)
    with pytest.raises(LeaseError, match="No locks available"):
        holder(tmp_path)
    assert descriptors() == before
    assert not module._locks


def test_a_full_disk_takes_nothing_from_it(tmp_path, taken, monkeypatch):
    def no_room(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", no_room)
        lease = taken(tmp_path)
    assert lease
    assert holder(tmp_path) == Holder()


def test_finding_out_is_quick(tmp_path, taken):
    taken(tmp_path)
    started = time.perf_counter()
    for _ in range(100):
        holder(tmp_path)
    assert time.perf_counter() - started < 10  # 10 ms; it never waits for anything
