"""Watched files: what counts as a change, when it was, and how far a pattern may reach."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from perfconsole.collectors.changes.globbing import Walk
from perfconsole.collectors.changes.watched import Watched

NOW = time.time()
OLD = NOW - 1_000_000


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "a.conf"
    put(path, "one", OLD)
    return path


def put(path, text, at=None):
    path.write_text(text)
    if at is not None:
        os.utime(path, (at, at))


def texts(events):
    return [event.text for event in events]


def test_what_changed_is_told_with_its_own_time_and_never_its_content(config):
    watched = Watched([str(config)])
    assert watched.look(NOW) == []
    put(config, "secret", NOW + 5)
    [event] = watched.look(NOW + 10)
    assert (event.kind, event.scope, event.text) == ("file", str(config), f"{config} changed")
    assert event.time_lo == event.time_hi == pytest.approx(NOW + 5, abs=0.01)
    assert watched.look(NOW + 20) == []


def test_a_file_that_was_only_touched_did_not_change(config):
    watched = Watched([str(config)])
    watched.look(NOW)
    os.utime(config, (NOW + 5, NOW + 5))
    assert watched.look(NOW + 10) == []
    put(config, "two", NOW + 15)
    assert texts(watched.look(NOW + 20)) == [f"{config} changed"]


def test_a_file_that_is_replaced_by_another_changed_and_by_the_same_did_not(config, tmp_path):
    watched = Watched([str(config)])
    watched.look(time.time() - 20)
    put(tmp_path / "new", "one", OLD)
    (tmp_path / "new").rename(config)
    assert watched.look(time.time() - 10) == []
    put(tmp_path / "new", "two", OLD)
    (tmp_path / "new").rename(config)
    changed = config.stat().st_ctime
    [event] = watched.look(time.time())
    assert event.text == f"{config} changed"
    assert event.time_lo == event.time_hi == pytest.approx(changed, abs=0.001)  # not the time that the copy brought along


def test_a_change_whose_stamps_fit_no_interval_is_told_with_one(config):
    watched = Watched([str(config)])
    watched.look(NOW + 100_000)
    put(config, "two", OLD)
    [event] = watched.look(NOW + 100_010)
    assert (event.time_lo, event.time_hi) == (NOW + 100_000, NOW + 100_010)


def test_files_that_come_and_go(config, tmp_path):
    watched = Watched([f"{tmp_path}/*.conf"])
    watched.look(NOW)
    other = tmp_path / "b.conf"
    put(other, "x", NOW + 30)
    assert watched.look(NOW + 40) == []  # patterns are tried once a minute
    [event] = watched.look(NOW + 70)
    assert event.text == f"{other} created"
    assert event.time_lo == event.time_hi == pytest.approx(NOW + 30, abs=0.01)
    config.unlink()
    assert watched.look(NOW + 80) == []
    [event] = watched.look(NOW + 90)
    assert (event.text, event.time_lo, event.time_hi) == (f"{config} removed", NOW + 70, NOW + 80)
    assert watched.look(NOW + 200) == []


def test_a_file_that_is_missing_while_it_is_replaced_was_not_removed(config):
    watched = Watched([str(config)])
    watched.look(NOW)
    config.unlink()
    assert watched.look(NOW + 10) == []
    put(config, "two", NOW + 15)
    assert texts(watched.look(NOW + 20)) == [f"{config} changed"]


def test_permissions_and_owners(config):
    config.chmod(0o600)
    watched = Watched([str(config)])
    watched.look(NOW)
    config.chmod(0o666)
    assert texts(watched.look(NOW + 10)) == [f"{config} changed its permissions: 0600 -> 0666"]


def test_what_was_written_shortly_before_the_start_is_told(config, tmp_path):
    put(config, "x", NOW - 3600)
    put(tmp_path / "b.conf", "x", NOW - 90_000)
    [event] = Watched([f"{tmp_path}/*.conf"]).look(NOW)
    assert event.text == f"{config} changed"
    assert event.time_hi == pytest.approx(NOW - 3600, abs=0.01)


def test_a_console_watches_its_own_configuration(config):
    watched = Watched([], [str(config)])
    watched.look(NOW)
    put(config, "two", NOW + 5)
    assert texts(watched.look(NOW + 10)) == [f"{config} (this console's configuration) changed"]


def test_one_that_does_not_exist_yet(tmp_path):
    own = tmp_path / "config.toml"
    watched = Watched([], [str(own)])
    assert watched.look(NOW) == []
    put(own, "x", NOW + 15)
    assert texts(watched.look(NOW + 20)) == [f"{own} (this console's configuration) created"]


def test_a_file_that_may_not_be_read_is_known_by_its_stamps(config, monkeypatch):
    monkeypatch.setattr("perfconsole.collectors.changes.watched._digest", lambda path: -1)
    watched = Watched([str(config)])
    watched.look(NOW)
    put(config, "two", NOW + 5)
    assert texts(watched.look(NOW + 10)) == [f"{config} changed"]


def test_a_large_file_is_not_read_to_its_end(config):
    os.truncate(config, 2**34)  # sparse: 16 GiB
    os.utime(config, (OLD, OLD))
    watched = Watched([str(config)])
    began = time.process_time()
    watched.look(NOW)
    assert time.process_time() - began < 3  # reading holes takes 8 s of CPU, too
    with config.open("r+b") as file:
        file.seek(2**33)
        file.write(b"x")
    os.utime(config, (NOW + 5, NOW + 5))
    assert texts(watched.look(NOW + 10)) == [f"{config} changed"]


def test_many_files_at_once_are_one_event(tmp_path):
    for number in range(30):
        put(tmp_path / f"{number:02}.conf", "one", OLD)
    watched = Watched([f"{tmp_path}/*.conf"])
    assert watched.look(NOW) == []
    for number in range(30):
        put(tmp_path / f"{number:02}.conf", "two", NOW + 5)
    [event] = watched.look(NOW + 10)
    assert event.text == f"30 watched files changed in {tmp_path}: 00.conf, 01.conf, 02.conf and 27 more"
    assert event.scope == str(tmp_path)


def test_what_is_no_regular_file_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "a.conf")
    (tmp_path / "b.conf").mkdir()
    (tmp_path / "c.conf").symlink_to("/dev/zero")
    (tmp_path / "d.conf").symlink_to(tmp_path / "nothing")
    (tmp_path / "e.conf").symlink_to(tmp_path / "e.conf")
    watched = Watched([f"{tmp_path}/*.conf"])
    assert watched.look(time.time() + 10) == []
    assert watched.look(time.time() + 20) == []


def test_a_link_changes_with_what_it_points_to(tmp_path):
    put(tmp_path / "1", "one", OLD)
    put(tmp_path / "2", "two", OLD)
    link = tmp_path / "a.conf"
    link.symlink_to("1")
    watched = Watched([str(link)])
    watched.look(NOW)
    link.unlink()
    link.symlink_to("2")
    assert texts(watched.look(NOW + 10)) == [f"{link} changed"]


def test_a_file_that_may_not_be_looked_at_any_more_was_not_removed(tmp_path, monkeypatch):
    path = tmp_path / "d" / "a.conf"
    path.parent.mkdir()
    put(path, "one", OLD)
    watched = Watched([str(path)])
    watched.look(NOW)
    real, refused = os.stat, [True]

    def stat(name, *rest, **how):
        if name == str(path) and refused:
            raise PermissionError(13, "Permission denied", name)
        return real(name, *rest, **how)

    monkeypatch.setattr(os, "stat", stat)
    assert [watched.look(NOW + after) for after in (10, 20, 90)] == [[], [], []]
    refused.clear()
    assert watched.look(NOW + 100) == []
    put(path, "two", NOW + 105)
    assert texts(watched.look(NOW + 110)) == [f"{path} changed"]


def test_a_configuration_named_from_where_it_lies_is_watched_like_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(12):
        put(tmp_path / f"{number:02}.conf", "x", NOW - 10)
    [event] = Watched([f"{tmp_path}/*.conf"], ["00.conf"]).look(NOW)
    assert event.scope == str(tmp_path)
    assert event.text.startswith("12 watched files")


def test_what_has_no_room_among_those_that_are_looked_at_is_forgotten(tmp_path):
    for number in range(1000):
        put(tmp_path / f"b{number}", "", OLD)
    watched = Watched([f"{tmp_path}/*"])
    watched.look(NOW)
    for number in range(500):
        put(tmp_path / f"a{number}", "", OLD)
    events = watched.look(NOW + 60)
    assert not [event for event in events if "removed" in event.text]
    watched.look(NOW + 70)
    assert len(watched._known) == len(watched._paths) == 1000


def test_directories_deeper_than_python_calls(tmp_path):
    top = place = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("a", dir_fd=place)
        deeper = os.open("a", os.O_RDONLY, dir_fd=place)
        if place != top:
            os.close(place)
        place = deeper
    os.close(place)
    os.close(top)
    (tmp_path / "a" / "b.conf").touch()
    try:
        assert list(Walk(10_000).files(f"{tmp_path}/**/*.conf")) == [f"{tmp_path}/a/b.conf"]
    finally:
        subprocess.run(["rm", "-rf", f"{tmp_path}/a"], check=True)  # shutil, which would, calls itself as often


def test_a_pattern_that_is_no_path_finds_nothing():
    assert Watched(["/etc/\0*", "/\0/x", "/etc/\0"]).look(NOW) == []


def test_hostile_names(tmp_path):
    path = Path(f"{tmp_path}/a\n\x1b[31m.conf")
    put(path, "x", NOW - 10)
    [event] = Watched([f"{tmp_path}/*.conf"]).look(NOW)
    assert event.text == f"{tmp_path}/a ␛[31m.conf changed"
    raw = os.fsencode(tmp_path) + b"/\xff.conf"
    Path(os.fsdecode(raw)).write_text("x")
    assert all(event.text.isprintable() and event.text.encode() for event in Watched([f"{tmp_path}/*.conf"]).look(time.time()))


def test_too_many_files_are_said_and_not_looked_at(tmp_path):
    for number in range(1100):
        (tmp_path / f"{number}").touch()
    watched = Watched([f"{tmp_path}/*"])
    watched.look(NOW)
    assert watched.too_many.startswith("more than 1,000 files match")


def test_patterns(tmp_path):
    for name in ("a.conf", "b.txt", ".hidden.conf", "d/c.conf", "d/e/f.conf", ".git/g.conf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "loop").symlink_to(tmp_path)

    def found(pattern):
        return [path.removeprefix(f"{tmp_path}/") for path in Walk(1000).files(f"{tmp_path}/{pattern}")]

    assert found("*.conf") == ["a.conf"]
    assert found("**/*.conf") == ["a.conf", "d/c.conf", "d/e/f.conf"]
    assert found("d/**") == ["d/c.conf", "d/e", "d/e/f.conf"]
    assert found("[ab].*") == ["a.conf", "b.txt"]
    assert found("?.txt") == ["b.txt"]
    assert found(".*.conf") == [".hidden.conf"]
    assert found("*/c.conf") == ["d/c.conf"]
    assert found("a.conf") == ["a.conf"]
    assert found("nothing") == found("nothing/*") == found("a.conf/*") == []


def test_a_walk_ends(tmp_path):
    for number in range(200):
        (tmp_path / f"d{number}").mkdir()
    walk = Walk(100)
    assert len(list(walk.files(f"{tmp_path}/**/*"))) <= 100
    assert walk.left == 0
    watched = Watched(["/**/*.conf"])
    watched.look(NOW)
    assert "20,000" in watched.too_many or "1,000" in watched.too_many
