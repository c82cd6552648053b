"""`mark`: from a deploy script, at a console that runs or without one; kept once it says so, and an exit code that says whether."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime
from math import inf

import pytest
from harness import CONSOLE, Pty
from harness import environment as terminal_environment

from perfconsole.cli import engines
from perfconsole.cli.dispatch import dispatch
from perfconsole.cli.times import moment
from perfconsole.core.change_requests import EventsArgs
from perfconsole.core.state import State
from perfconsole.core.tick import Stream
from perfconsole.engine import timeline
from perfconsole.engine.actor import actor
from perfconsole.engine.engine import Engine
from perfconsole.engine.listen import Listener
from perfconsole.history.audit import AuditFile
from perfconsole.history.events import EventFile, read_events
from perfconsole.history.lease import Holder, Lease
from perfconsole.sources.connect import connect

ALL = EventsArgs(0.0, inf)


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / "state" / "perfconsole"


@pytest.fixture
def running(state_dir):
    """An engine that holds the lease of the state directory, listens there, and keeps what it knows."""
    with_engine = Serving(state_dir)
    yield with_engine.engine
    with_engine.close()


class Serving:
    """Such an engine."""

    def __init__(self, state_dir, *, read_only=False, kept=True):
        path = state_dir / "engine.sock"
        self.lease = Lease.take(state_dir, Holder(os.getpid(), "here", time.time(), "digest", str(path)))
        self.engine = Engine([], Stream("testhost", "s1", "boot", "0", read_only=read_only), audit=AuditFile(state_dir / "audit.log"))
        self.engine.start()
        if kept:
            store = EventFile(state_dir)
            self.engine.keep_alerts(store, store.load(), None, None)
        self.listener = Listener(self.engine, path)

    def close(self):
        self.listener.close()
        self.engine.stop()
        self.lease.release()


def marks(state_dir):
    return [one for one in read_events(state_dir, ALL, alone=False).events if one.kind in {"mark", "note"}]


def until(true, within_s=60.0):
    patience = time.monotonic() + within_s
    while not (found := true()):
        assert time.monotonic() < patience, "it did not happen"
        time.sleep(0.02)
    return found


# Without an engine ------------------------------------------------------------------------------------------------------------------


def test_a_mark_is_there_for_the_next_console(perfconsole, state_dir):
    before = time.time()
    assert perfconsole("mark", "deploy", "1.4.2") == (0, "mark: deploy 1.4.2\n", "")
    assert perfconsole("mark") == (0, "mark: mark\n", "")
    assert perfconsole("mark", "--note", "it was the cache", "--by", "anna", "--at", "-5m") == (0, "note: it was the cache\n", "")
    note, deploy, plain = marks(state_dir)
    assert (deploy.kind, deploy.text, deploy.scope, deploy.source) == ("mark", "deploy 1.4.2", "host", actor())
    assert before <= deploy.time_lo == deploy.time_hi <= plain.time_hi <= time.time()
    assert (note.kind, note.source) == ("note", "anna")
    assert note.time_hi == pytest.approx(before - 300, abs=30)
    lines = [json.loads(line) for line in (state_dir / "audit.log").read_text().splitlines()]
    assert [(line["op"], line["outcome"]) for line in lines] == [("event.mark", ""), ("event.mark", "done")] * 3
    assert lines[0]["args"]["text"] == "deploy 1.4.2"
    assert sorted(path.name for path in state_dir.iterdir()) == ["audit.log", "events.db", "lease"]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["--note"], "a note needs words: say what was found out"),
        (["x", "--at", "soon"], "--at: found 'soon' (accepted: -5m, 14:02, "),
        (["x", "--at", ""], "--at: found '' (accepted: "),
        (["x", "--at", "25:00"], "--at: found '25:00'"),
        (["x", "--at", "5m"], "--at: found '5m'"),
        (["x", "--at", "-soon"], "expected one argument"),
        (["x", "--at", "2031-01-01"], "a mark of what has yet to happen is refused"),
        (["x", "--at", "-31d"], "that is too long ago: events are kept for 30d"),
        (["--nonsense"], "unrecognized arguments"),
    ],
)
def test_what_makes_no_sense_is_64_and_one_line(perfconsole, state_dir, args, why):
    ran = perfconsole("mark", *args)
    assert (ran.code, ran.out) == (64, ""), ran
    assert why in ran.err
    assert ran.err.count("\n") == 1
    assert not state_dir.exists()


NOW = datetime(2026, 2, 3, 15, 30, 10).astimezone().timestamp()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-5m", NOW - 300), ("-1h30m", NOW - 5400), ("now", NOW), ("14:02", NOW - 88 * 60 - 10), ("14:02:31", NOW - 88 * 60 + 21),
        ("9:00", NOW - 6.5 * 3600 - 10), ("1770000000", 1770000000.0), ("1770000000.25", 1770000000.25),
        ("2026-02-01T14:02:00Z", 1769954520.0), ("2026-02-01T15:02:00+01:00", 1769954520.0),
        (" 2026-02-01 14:02:00.5+00:00 ", 1769954520.5),
    ],
)  # fmt: skip
def test_moments_are_read_as_people_write_them(text, expected):
    assert moment(text, NOW) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    "text", ["", "-", "--5m", "24:00", "14:60", "14:02:60", "1e400", "nan", "1770000000000", "2026-13-01", "yesterday", "5m"]
)
def test_what_is_no_moment_says_what_is(text):
    with pytest.raises(ValueError, match=r"accepted: -5m, 14:02"):
        moment(text, NOW)


def test_a_duration_is_ago_where_that_is_asked_for():
    assert moment("2h", NOW, ago=True) == moment("-2h", NOW, ago=True) == NOW - 7200


# Wherever it is called from ---------------------------------------------------------------------------------------------------------


def test_from_a_script_with_everything_closed(environment, tmp_path, state_dir):
    command = f"exec {sys.executable} -m perfconsole mark deploy"
    for number, closed in enumerate(("<&-", "<&- >&- 2>&-", ">/dev/full", "| true")):
        done = subprocess.run(["/bin/sh", "-c", f"{command} {number} {closed}"], cwd=tmp_path, env=environment, capture_output=True,
                              timeout=120, check=False, start_new_session=True)  # fmt: skip
        assert b"Traceback" not in done.stderr
        assert [one.text for one in marks(state_dir)][-1] == f"deploy {number}"


def test_hostile_and_foreign_bytes_are_text(environment, tmp_path, state_dir):
    argv = [sys.executable, "-m", "perfconsole", "mark", b"caf\xe9 \x1b]0;owned\x07 \xe2\x80\xaeb", "--by", b"\xff\n"]
    for env in (environment, environment | {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}):
        done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert b"\x1b" not in done.stdout
    assert all(one.text.isprintable() and one.source.isprintable() for one in marks(state_dir))
    assert len(marks(state_dir)) >= 1


def test_with_a_configuration_that_may_change_nothing_it_is_kept_still(perfconsole, config_file, state_dir):
    """As a silence is: the console that is read-only is another process."""
    config_file("[console]\nread_only = true\n")
    assert perfconsole("mark", "x").code == 0
    assert len(marks(state_dir)) == 1


def test_several_at_once_wait_for_each_other(state_dir, tmp_path, environment):
    several(state_dir, tmp_path, environment, 5)


def several(state_dir, tmp_path, environment, count):
    command = [sys.executable, "-m", "perfconsole", "mark"]
    ways = {"cwd": tmp_path, "env": environment, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    children = [subprocess.Popen([*command, f"deploy {number}"], **ways) for number in range(count)]
    told = [child.communicate(timeout=60) for child in children]
    assert [child.returncode for child in children] == [0] * count, told
    assert sorted(one.text for one in marks(state_dir)) == [f"deploy {number}" for number in range(count)]


def test_it_imports_next_to_nothing(environment, tmp_path):
    unwanted = {"textual", "rich", "httpx", "asyncpg", "plotext", "psutil", "asyncio", "tomllib", "subprocess"}
    code = (
        "import sys\nfrom perfconsole.__main__ import main\ncode = main()\n"
        f"print(code, sorted({{name.partition('.')[0] for name in sys.modules}} & {unwanted}), file=sys.stderr)"
    )
    argv = [sys.executable, "-c", code, "mark", "x"]
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, timeout=120, check=False)
    assert done.stderr.decode() == "0 []\n"


# Not kept ---------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB, in place of the state directory's parent."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a small disk")
    place = tmp_path / "state"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(disk, left=0):
    """Leave no room, or so many bytes."""
    with (disk / "ballast").open("ab", buffering=0) as ballast:
        while True:
            try:
                ballast.write(bytes(4096))
            except OSError:
                break
        ballast.truncate(max(0, ballast.tell() - left))


@pytest.mark.parametrize(("written", "why"), [(4000, "cannot be written down"), (10, "could not be kept: the disk is full")])
def test_on_a_full_disk_it_says_that_it_could_not_be_kept(small_disk, perfconsole, state_dir, written, why):
    """Where the audit file has no room it is refused; where that has some, the mark itself finds none."""
    assert perfconsole("mark", "first").code == 0
    (state_dir / "audit.log").write_text("x" * written)
    fill(small_disk)
    ran = perfconsole("mark", "second")
    assert (ran.code, ran.out) == (3, ""), ran
    assert why in ran.err
    assert ran.err.count("\n") == 1
    (small_disk / "ballast").unlink()
    assert perfconsole("mark", "third").code == 0
    assert [one.text for one in marks(state_dir)] == ["first", "third"]


def test_on_a_full_disk_an_engine_shows_it_and_says_that_it_is_not_kept(small_disk, perfconsole, state_dir):
    serving = Serving(state_dir)
    try:
        assert perfconsole("mark", "first").code == 0
        (state_dir / "audit.log").write_text("x")  # which has room for four marks
        fill(small_disk)
        ran = perfconsole("mark", "second")
        while ran.code == 0:
            ran = perfconsole("mark", "second")  # the file had a page of its own left
        assert (ran.code, ran.out) == (3, ""), ran
        assert "the mark is shown, but could not be kept yet: " in ran.err
        assert "the disk is full" in ran.err
        assert any(one.text == "second" for one in serving.engine.state.events)
        (small_disk / "ballast").unlink()
        until(lambda: perfconsole("mark", "later").code == 0)
        kept = [one.text for one in marks(state_dir)]
        assert kept[:1] == ["first"]
        assert kept[-1] == "later"
    finally:
        serving.close()


def test_a_directory_of_another_is_named(perfconsole, config_file):
    config_file('[history]\ndir = "/dev/null/below"\n')
    ran = perfconsole("mark", "x")
    assert (ran.code, ran.out) == (3, ""), ran
    assert ran.err.count("\n") == 1
    assert "/dev/null" in ran.err


def test_a_holder_that_never_answers_is_named(state_dir, monkeypatch, capsys):
    monkeypatch.setenv("XDG_STATE_HOME", str(state_dir.parent))
    monkeypatch.setattr(engines, "PATIENCE_S", 0.25)
    lease = Lease.take(state_dir, Holder(os.getpid(), os.uname().nodename, time.time(), "", ""))
    monkeypatch.chdir(state_dir)
    code = dispatch(["mark", "x"])
    lease.release()
    told = capsys.readouterr()
    assert (code, told.out) == (3, "")
    assert told.err.startswith(f"perfconsole: PID {os.getpid()} holds {state_dir / 'lease'}, and cannot be asked: ")
    assert not (state_dir / "events.db").exists()


# At an engine that runs -------------------------------------------------------------------------------------------------------------


def test_at_an_engine_it_is_on_the_timeline_at_once_and_kept(running, perfconsole, state_dir):
    assert perfconsole("mark", "deploy 1.4.2", "--by", "ci") == (0, "mark: deploy 1.4.2\n", "")
    (kept,) = marks(state_dir)
    until(lambda: running.state.events)
    assert list(running.state.events) == [kept]
    assert (kept.text, kept.source) == ("deploy 1.4.2", "ci")
    assert (state_dir / "audit.log").read_text().count('"event.mark"') == 2


def test_several_at_once_at_an_engine_are_all_there(running, state_dir, tmp_path, environment):
    several(state_dir, tmp_path, environment, 5)
    until(lambda: len(running.state.events) == 5)


def test_an_engine_that_is_read_only_refuses(state_dir, perfconsole):
    serving = Serving(state_dir, read_only=True)
    ran = perfconsole("mark", "x")
    serving.close()
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == "perfconsole: event.mark changes something, and this console is read-only\n"


def test_an_engine_that_keeps_nothing_is_no_success(state_dir, perfconsole, monkeypatch):
    monkeypatch.setattr(timeline, "_KEEPING_S", 0.1)
    serving = Serving(state_dir, kept=False)
    ran = perfconsole("mark", "x")
    serving.close()
    assert ran.code == 3
    assert "it is not kept: nobody knows of it once this console has ended" in ran.out


@pytest.mark.slow
def test_a_real_console_has_it_and_killed_after_that_it_is_kept(tmp_path, environment):
    """And who is attached to it sees it."""
    env = terminal_environment(tmp_path)
    state_dir = tmp_path / "state" / "perfconsole"
    console = Pty(CONSOLE, env, (100, 30))
    try:
        until((state_dir / "engine.sock").exists)
        other, bell = State(), threading.Event()
        source = until(lambda: quietly(lambda: connect(state_dir / "engine.sock")))
        source.subscribe(bell.set)
        argv = [sys.executable, "-m", "perfconsole", "mark", "deploy 1.4.2"]
        done = subprocess.run(argv, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
        assert (done.returncode, done.stdout) == (0, b"mark: deploy 1.4.2\n"), done
        console.kill(signal.SIGKILL)
        until(lambda: seen(source, other))
        source.close()
    finally:
        console.close()
    assert [one.text for one in marks(state_dir)] == ["deploy 1.4.2"]


def seen(source, state):
    for tick in source.drain():
        state.apply(tick)
    return any(one.text == "deploy 1.4.2" for one in state.events)


def quietly(make):
    try:
        return make()
    except Exception:  # noqa: BLE001  not there yet
        return None
