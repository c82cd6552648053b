"""Following a file with everything that is done to logs: real files, rotated, emptied, deleted, forbidden, flooded."""

import os
import tracemalloc
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from perfconsole.collectors.tail import LONGEST_LINE_BYTES, Tail

AS_ROOT = os.geteuid() == 0


@pytest.fixture
def log(tmp_path):
    return tmp_path / "a.log"


@pytest.fixture
def follow(log):
    tails = []

    def make(path=log, **how):
        tails.append(Tail(str(path), **how))
        return tails[-1]

    yield make
    for tail in tails:
        tail.close()


def append(path, data):
    with path.open("ab") as file:
        file.write(data)


def test_whole_lines_that_came_since_the_last_read(log, follow):
    append(log, b"old\n")
    tail = follow()
    assert tail.read() == []
    append(log, b"one\ntwo\nthr")
    assert tail.read() == [b"one", b"two"]
    assert tail.read() == []
    append(log, b"ee\n\nfour\n")
    assert tail.read() == [b"three", b"", b"four"]
    assert tail.skipped_bytes == 0
    assert tail.error is None


def test_what_was_written_between_the_making_and_the_first_read_came(log, follow):
    append(log, b"old\n")
    tail = follow()
    append(log, b"new\n")
    assert tail.read() == [b"new"]


def test_from_the_beginning(log, follow):
    append(log, b"old\n")
    assert follow(from_end=False).read() == [b"old"]


def test_the_rest_of_a_line_whose_beginning_nobody_saw_is_no_line(log, follow):
    append(log, b"old\nhalf a li")
    tail = follow()
    append(log, b"ne\nwhole\n")
    assert tail.read() == [b"whole"]
    assert tail.skipped_bytes == 0


def test_a_file_that_comes_later_is_read_from_its_beginning(log, follow):
    tail = follow()
    assert tail.read() == []
    assert (tail.missing, tail.error) == (True, None)
    append(log, b"first\n")
    assert tail.read() == [b"first"]
    assert not tail.missing


def test_rotation_gives_the_rest_of_the_old_file_first(log, follow):
    append(log, b"")
    tail = follow()
    append(log, b"one\n")
    tail.read()
    append(log, b"two\nthree with")
    old = log.rename(log.with_suffix(".1"))
    append(log, b"new\n")
    assert tail.read() == [b"two", b"new"]
    append(old, b" a late end\nlater still\nno end")  # whoever writes has not opened the new one yet
    append(log, b"newer\n")
    assert tail.read() == [b"three with a late end", b"later still", b"no end", b"newer"]
    append(old, b"nobody reads this\n")
    assert tail.read() == []


def test_what_is_renamed_is_followed_until_the_next_file_is_there(log, follow):
    append(log, b"")
    tail = follow()
    old = log.rename(log.with_suffix(".1"))
    append(old, b"one\n")
    assert tail.read() == [b"one"]
    assert tail.missing
    append(old, b"two\n")
    append(log, b"three\n")
    assert tail.read() == [b"two", b"three"]


def test_what_is_deleted_is_read_to_its_end_and_let_go(log, follow):
    append(log, b"")
    tail = follow()
    append(log, b"one\nlast words")
    log.unlink()
    assert tail.read() == [b"one", b"last words"]
    assert not [link for link in _descriptors() if "a.log" in link]  # or its blocks would stay on the disk
    assert tail.missing
    append(log, b"again\n")
    assert tail.read() == [b"again"]


def _descriptors():
    links = []
    for number in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(number.readlink()))
        except FileNotFoundError:  # the one that listed them
            continue
    return links


def test_copytruncate(log, follow):
    append(log, b"")
    tail = follow()
    append(log, b"one\ntwo\nbegun")
    assert tail.read() == [b"one", b"two"]
    os.truncate(log, 0)
    append(log, b"x\n")
    assert tail.read() == [b"begun", b"x"]


def test_a_file_that_was_emptied_and_has_outgrown_the_place_is_read_anew(log, follow):
    append(log, b"")
    tail = follow()
    append(log, b"one\ntwo\n")
    tail.read()
    os.truncate(log, 0)
    append(log, b"three\nfour and more\n")
    assert tail.read() == [b"three", b"four and more"]


def test_a_file_written_anew_in_the_same_size_is_read_anew(log, follow):
    append(log, b"")
    tail = follow()
    append(log, b"one\n")
    tail.read()
    os.truncate(log, 0)
    append(log, b"two\n")
    os.utime(log, ns=(0, 1))  # the clock of a file system may be too coarse to tell
    assert tail.read() == [b"two"]


def test_a_writer_that_does_not_append_leaves_a_hole_before_its_line(log, follow):
    append(log, b"")
    tail = follow()
    with log.open("r+b", buffering=0) as writer:
        writer.write(b"one\n" * 10)
        assert len(tail.read()) == 10
        os.truncate(log, 0)
        writer.write(b"after\n")
    assert log.read_bytes() == b"\0" * 40 + b"after\n"
    assert tail.read() == [b"after"]


def test_more_than_may_be_read_is_passed_over_and_counted(log, follow):
    append(log, b"")
    tail = follow()
    lines = [b"%04d" % number for number in range(1000)]
    append(log, b"\n".join(lines) + b"\n")
    assert tail.read(most_bytes=23) == lines[-4:]
    assert tail.skipped_bytes == 5 * 996
    append(log, b"next\n")
    assert tail.read(most_bytes=23) == [b"next"]


def test_where_the_first_line_that_may_be_read_begins_just_there_none_is_lost(log, follow):
    append(log, b"")
    tail = follow()
    append(log, b"aaaa\nbbbb\ncccc\n")
    assert tail.read(most_bytes=10) == [b"bbbb", b"cccc"]
    assert tail.skipped_bytes == 5


def test_a_line_of_megabytes_is_cut_and_held_in_little(log, follow):
    append(log, b"")
    tail = follow()
    tracemalloc.start()
    for _ in range(100):
        append(log, b"x" * 100_000)
        assert tail.read() == []
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    append(log, b"\nshort\n")
    long, short = tail.read()
    assert (long, short) == (b"x" * LONGEST_LINE_BYTES, b"short")
    assert tail.skipped_bytes == 10_000_000 - LONGEST_LINE_BYTES
    assert most < 1_000_000


def test_a_gigabyte_at_once_is_not_read(log, follow):
    append(log, b"")
    tail = follow()
    os.truncate(log, 2**30)  # sparse
    append(log, b"\nlast\n")
    assert tail.read() == [b"last"]
    assert tail.skipped_bytes == 2**30 + 1


def test_hostile_bytes_are_the_callers(log, follow):
    append(log, b"")
    tail = follow()
    hostile = b"a\0b\x1b]0;title\x07\xff\xfe\r"
    append(log, hostile + b"\n")
    assert tail.read() == [hostile]


@pytest.mark.parametrize("kind", ["fifo", "directory", "device", "link to a device"])
def test_what_is_no_regular_file_is_refused_unopened(log, follow, kind):
    path = "/dev/null" if kind == "device" else log
    if kind == "fifo":
        os.mkfifo(log)
    elif kind == "directory":
        log.mkdir()
    elif kind == "link to a device":
        log.symlink_to("/dev/null")
    tail = follow(path)
    assert tail.read() == []
    assert "Is a directory" in str(tail.error) if kind == "directory" else "Not a regular file" in str(tail.error)
    assert not tail.missing


def test_what_replaces_something_refused_is_read_from_its_beginning(log, follow):
    log.mkdir()
    tail = follow()
    log.rmdir()
    append(log, b"one\n")
    assert tail.read() == [b"one"]
    assert tail.error is None


def test_a_link_is_followed_to_where_it_points_now(log, follow, tmp_path):
    append(tmp_path / "1", b"")
    append(tmp_path / "2", b"two\n")
    log.symlink_to(tmp_path / "1")
    tail = follow()
    append(tmp_path / "1", b"one\n")
    assert tail.read() == [b"one"]
    log.unlink()
    log.symlink_to(tmp_path / "2")
    assert tail.read() == [b"two"]


def test_a_path_that_is_none(follow):
    tail = follow("/no\0where")
    assert tail.read() == []
    assert tail.error is not None


@pytest.mark.skipif(AS_ROOT, reason="root may read everything")
def test_permissions_come_and_go(log, follow):
    append(log, b"old\n")
    log.chmod(0)
    tail = follow()
    assert tail.read() == []
    assert isinstance(tail.error, PermissionError)
    append_anyhow(log, b"one\n")
    log.chmod(0o600)
    assert tail.read() == [b"one"]
    assert tail.error is None
    log.chmod(0)
    append_anyhow(log, b"two\n")
    assert tail.read() == [b"two"]  # held open


def append_anyhow(path, data):
    mode = path.stat().st_mode
    path.chmod(0o600)
    append(path, data)
    path.chmod(mode)


@pytest.mark.skipif(not AS_ROOT, reason="only root can become somebody else")
def test_permissions_come_and_go_for_somebody_else(follow):
    with TemporaryDirectory() as place, ExitStack() as afterwards:
        afterwards.callback(os.seteuid, 0)
        log = Path(place) / "a.log"
        append(log, b"old\n")
        log.chmod(0o600)
        Path(place).chmod(0o755)
        os.seteuid(65534)
        tail = follow(log)
        assert tail.read() == []
        assert isinstance(tail.error, PermissionError)
        os.seteuid(0)
        append(log, b"one\n")
        log.chmod(0o644)
        os.seteuid(65534)
        assert tail.read() == [b"one"]
        assert tail.error is None
        os.seteuid(0)
        Path(place).chmod(0o700)
        append(log, b"two\n")
        os.seteuid(65534)
        assert tail.read() == [b"two"]  # held open; whether it is still the one at the path nobody can tell
        assert isinstance(tail.error, PermissionError)
        unseen = follow(log)
        os.seteuid(0)
        Path(place).chmod(0o755)
        os.seteuid(65534)
        assert unseen.read() == []  # nobody knows what of it came since
        os.seteuid(0)
        append(log, b"three\n")
        os.seteuid(65534)
        assert unseen.read() == [b"three"]


def test_after_a_close_it_goes_on_where_it_was(log, follow):
    append(log, b"old\n")
    tail = follow()
    append(log, b"one\nbeg")
    assert tail.read() == [b"one"]
    tail.close()
    append(log, b"un\ntwo\n")
    assert tail.read() == [b"begun", b"two"]


def test_a_look_at_a_file_that_is_still_costs_two_status_calls(log, follow, monkeypatch):
    append(log, b"one\n")
    tail = follow()
    tail.read()
    monkeypatch.setattr(os, "pread", None)
    assert tail.read() == []
