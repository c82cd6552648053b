"""Marks that are files: each told once, and nothing believed that anybody could have put there, or that leads elsewhere."""

import os
import pwd
import time
from pathlib import Path

import pytest

from perfconsole.collectors.changes import marks as room
from perfconsole.collectors.changes.marks import Marks

NOW = time.time()


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "marks.d"
    path.mkdir(mode=0o755)
    return path


@pytest.fixture
def marks(place):
    made = Marks(str(place), asked_for=True)
    assert made.look(NOW) == []
    assert made.trouble is None
    return made


def put(place, name, text="", at=NOW):
    path = place / name
    if isinstance(text, bytes):
        path.write_bytes(text)
    else:
        path.write_text(text)
    os.utime(path, (at, at))
    return path


def texts(events):
    return [event.text for event in events]


def test_a_mark_is_told_once_with_its_first_line_time_and_owner(place, marks):
    put(place, "1", "\n deploy 1.4.2\nby the pipeline\n", NOW + 5)
    assert marks.look(NOW + 10) == []  # it may still be written to
    [event] = marks.look(NOW + 20)
    assert (event.kind, event.scope, event.text) == ("mark", "host", "deploy 1.4.2")
    assert event.time_lo == event.time_hi == pytest.approx(NOW + 5, abs=0.01)
    try:
        assert event.source == pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        assert event.source == f"uid {os.geteuid()}"
    assert marks.look(NOW + 30) == []


def test_an_empty_one_is_told_by_its_name(place, marks):
    put(place, "deploy-1.4.2", "", NOW + 5)
    marks.look(NOW + 10)
    assert texts(marks.look(NOW + 20)) == ["deploy-1.4.2"]


def test_one_that_is_being_written_is_waited_for(place, marks):
    put(place, "1", "dep", NOW + 5)
    assert marks.look(NOW + 10) == []
    put(place, "1", "deploy 1.4", NOW + 14)
    assert marks.look(NOW + 20) == []
    assert texts(marks.look(NOW + 30)) == ["deploy 1.4"]


def test_one_written_anew_is_another(place, marks):
    put(place, "deploy", "1.4.2", NOW + 5)
    marks.look(NOW + 20)
    put(place, "deploy", "1.4.3", NOW + 65)
    assert texts(marks.look(NOW + 80)) == ["1.4.3"]
    (place / "deploy").unlink()
    assert marks.look(NOW + 90) == []


def test_at_the_start_those_of_the_last_day_are_told(place):
    put(place, "old", "last week", NOW - 90_000)
    put(place, "new", "this morning", NOW - 7200)
    marks = Marks(str(place), asked_for=True)
    [event] = marks.look(NOW)
    assert (event.text, event.time_lo) == ("this morning", pytest.approx(NOW - 7200, abs=0.01))
    assert marks.look(NOW + 10) == []


def test_a_stamp_that_was_copied_along_is_not_when_it_was_put(place, marks):
    before = time.time()
    put(place, "1", "deploy", NOW - 1_000_000)
    [event] = marks.look(time.time() + 10)
    assert before - 1 <= event.time_lo <= time.time()
    put(place, "2", "deploy", NOW + 1_000_000)
    [event] = marks.look(NOW + 10)
    assert event.time_lo <= NOW + 10


def test_files_that_are_not_finished_are_no_marks(place, marks):
    for name in (".hidden", "a~", "a.tmp", "a.swp"):
        put(place, name, "no")
    assert marks.look(NOW + 60) == []


def test_hostile_names_and_texts(place, marks):
    put(place, "\x1b[31m\nred", "", NOW + 1)
    put(place, "2", b"\x1b]0;title\x07\xff deploy" + b"x" * 100_000, NOW + 2)
    put(place, "3", b"\0" * 5000, NOW + 3)
    put(place, os.fsdecode(b"\xff\xfe"), "", NOW + 4)
    found = texts(marks.look(NOW + 60))
    assert found[0] == "␛[31m red"
    assert found[1].startswith("␛]0;title␇\ufffd deployxxx")
    assert len(found) == 4
    assert all(text.isprintable() and len(text) <= 200 and text.encode() for text in found)


def test_links_pipes_and_directories_are_no_marks(place, marks, tmp_path):
    secret = put(tmp_path, "secret", "root:$6$hash", NOW)
    (place / "link").symlink_to(secret)
    (place / "hard").hardlink_to(secret)
    (place / "loop").symlink_to("loop")
    os.mkfifo(place / "pipe")
    (place / "directory").mkdir()
    assert marks.look(NOW + 60) == []
    assert marks.trouble is None
    directory = os.open(place, os.O_RDONLY)
    try:  # nor are those that took the place of one since it was looked at
        assert [marks._read(directory, name) for name in ("link", "hard", "pipe")] == [("", str(place))] * 3
    finally:
        os.close(directory)


def test_a_directory_that_everybody_may_write_to_is_not_believed(place, marks):
    put(place, "1", "forged", NOW)
    place.chmod(0o1777)
    assert marks.look(NOW + 60) == []
    state, error, fix = marks.trouble
    assert (state, error, fix) == ("error", f"marks are not believed: everybody may write to {place}", f"chmod o-w {place}")
    place.chmod(0o775)
    assert texts(marks.look(NOW + 70)) == ["forged"]
    assert marks.trouble is None


def test_a_directory_that_is_missing_is_only_missed_where_it_was_asked_for(tmp_path):
    for asked_for in (True, False):
        marks = Marks(str(tmp_path / "none"), asked_for=asked_for)
        assert marks.look(NOW) == []
        assert bool(marks.trouble) == asked_for
    marks = Marks(str(put(tmp_path, "file")), asked_for=True)
    assert marks.look(NOW) == []
    assert marks.trouble is not None


def test_a_directory_that_comes_and_goes(place, marks):
    place.rmdir()
    assert marks.look(NOW + 10) == []
    place.mkdir(mode=0o755)
    put(place, "1", "back", NOW + 15)
    assert texts(marks.look(NOW + 30)) == ["back"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_directory_and_a_mark_that_may_not_be_read(place, marks):
    put(place, "1", "unseen", NOW).chmod(0)
    assert texts(marks.look(NOW + 60)) == ["1"]
    place.chmod(0)
    assert marks.look(NOW + 70) == []
    assert marks.trouble[0] == "denied"
    place.chmod(0o700)


def test_more_files_than_are_looked_at(place, marks, monkeypatch):
    monkeypatch.setattr(room, "_ENTRIES", 1000)  # ten thousand, but they take seconds to make
    monkeypatch.setattr(room, "_MANY", 100)
    for number in range(1100):
        put(place, f"{number:05}")
    assert len(marks.look(NOW + 100)) == 51
    assert marks.trouble is not None
    assert "more than 1,000 files" in marks.trouble[1]
    for number in range(900, 1100):
        Path(f"{place}/{number:05}").unlink()
    marks.look(NOW + 110)
    monkeypatch.setattr(Marks, "_entries", None)
    assert marks.look(NOW + 120) == []  # nothing came or went: no file is looked at
    monkeypatch.undo()
    put(place, "new", "deploy", NOW + 150)
    assert texts(marks.look(NOW + 200)) == ["deploy"]
