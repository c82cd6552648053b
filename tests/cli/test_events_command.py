"""`events`: what changed, from the engine that runs, from what was kept, from a recording; for people and for programs."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from datetime import datetime
from math import inf, nan

import pytest

from perfconsole.cli import engines
from perfconsole.cli.dispatch import dispatch
from perfconsole.core.change_requests import EventList, EventsArgs
from perfconsole.core.notices import Changes
from perfconsole.core.segment import Header, Writer
from perfconsole.core.tick import Event, Stream, Tick
from perfconsole.engine.engine import Engine
from perfconsole.engine.listen import Listener
from perfconsole.history.audit import AuditFile
from perfconsole.history.events import EventFile
from perfconsole.history.lease import Holder, Lease
from perfconsole.outputs.events import in_json, text, when
from perfconsole.outputs.paper import Paper

NOW = datetime(2026, 2, 3, 15, 30, 10).astimezone().timestamp()


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / "state" / "perfconsole"


class Serving:
    """An engine that holds the lease of the state directory, listens there, and keeps what it knows."""

    def __init__(self, state_dir):
        path = state_dir / "engine.sock"
        self.lease = Lease.take(state_dir, Holder(os.getpid(), "here", time.time(), "digest", str(path)))
        self.engine = Engine([], Stream("testhost", "s1", "boot", "0"), audit=AuditFile(state_dir / "audit.log"))
        self.engine.start()
        store = EventFile(state_dir)

        async def listing(wanted):
            return await asyncio.to_thread(store.events, wanted)

        self.engine.keep_alerts(store, store.load(), None, None, listing)
        self.listener = Listener(self.engine, path)

    def close(self):
        self.listener.close()
        self.engine.stop()
        self.lease.release()


def until(true, within_s=60.0):
    patience = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < patience, "it did not happen"
        time.sleep(0.02)


def keep(state_dir, *events):
    store = EventFile(state_dir)
    store.put(Changes(events=events))
    store.close()
    assert not store.error


def event(ago_s, text, kind="unit", lo=0.0, **more):
    at = time.time() - ago_s
    return Event(at - lo, at, kind, more.pop("scope", "nginx.service"), text, more.pop("source", "systemd"), more.pop("severity", ""))


def listed(ran):
    found = json.loads(ran.out)
    return [one["text"] for one in found["events"]], found["more"]


# As it is typed ---------------------------------------------------------------------------------------------------------------------


def test_nothing_was_ever_kept(perfconsole):
    ran = perfconsole("events")
    assert (ran.code, ran.err) == (0, "")
    assert re.fullmatch(r"nothing changed since (\d\d-\d\d )?\d\d:\d\d:\d\d that was seen\n", ran.out)
    assert listed(perfconsole("events", "--json")) == ([], False)


def test_what_was_kept_is_told_newest_last(perfconsole, state_dir):
    keep(
        state_dir,
        event(60, "nginx.service failed", severity="critical"),
        event(600, "openssl 3.0.1 -> 3.0.2", "package", scope="openssl", source="/var/log/dpkg.log"),
        event(10_000, "too long ago"),
        event(30, "/etc/nginx.conf changed", "file", lo=200, scope="/etc/nginx.conf", source="watch"),
    )
    ran = perfconsole("events")
    assert (ran.code, ran.err) == (0, "")
    first, second, third = ran.out.splitlines()
    assert re.fullmatch(r"(\S+ )?\d\d:\d\d:\d\d +package +openssl +openssl 3.0.1 -> 3.0.2  \[/var/log/dpkg.log\]", first)
    assert re.fullmatch(r"(\S+ )?\d\d:\d\d:\d\d +unit +CRIT +nginx.service +nginx.service failed  \[systemd\]", second)
    assert re.fullmatch(r"(\S+ )?\d\d:\d\d-(\S+ )?\d\d:\d\d +file +/etc/nginx.conf  /etc/nginx.conf changed  \[watch\]", third)
    found = json.loads(perfconsole("events", "--json").out)
    assert (found["schema"], found["host"]) == ("perfconsole.events/1", os.uname().nodename)
    assert list(found) == ["schema", "generated_at", "host", "events", "more"]
    assert found["events"][1] == {
        "time_lo": found["events"][1]["time_hi"], "time_hi": found["events"][1]["time_hi"], "kind": "unit", "scope": "nginx.service",
        "text": "nginx.service failed", "source": "systemd", "severity": "critical",
    }  # fmt: skip
    assert [one["severity"] for one in found["events"]] == [None, "critical", None]
    assert found["events"][2]["time_lo"] < found["events"][2]["time_hi"]


def test_they_are_chosen_by_time_kind_and_number(perfconsole, state_dir):
    keep(state_dir, *(event(60 * n, f"{n}", "mark" if n % 2 else "unit") for n in range(1, 200)))
    assert listed(perfconsole("events", "--json", "--since", "5m")) == (["4", "3", "2", "1"], False)
    assert listed(perfconsole("events", "--json", "--since", "-5m", "--until", "-3m"))[0] == ["4", "3"]
    assert listed(perfconsole("events", "--json", "--limit", "2")) == (["2", "1"], True)
    assert listed(perfconsole("events", "--json", "--kind", "mark", "--limit", "2")) == (["3", "1"], True)
    assert listed(perfconsole("events", "--json", "--kind", "mark", "--kind", "note", "--since", "6m"))[0] == ["5", "3", "1"]
    told = perfconsole("events", "--limit", "2").out.splitlines()
    assert told[0] == "... older ones are left out: --limit is 2"
    assert len(told) == 3


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["--since", "soon"], "--since: found 'soon' (accepted: "),
        (["--until", "25:61"], "--until: found '25:61'"),
        (["--since", "1m", "--until", "-5m"], "--until is before --since"),
        (["--kind", "marc"], 'nothing is of kind "marc": did you mean "mark"? (there are: mark note '),
        (["--limit", "0"], "--limit: found 0: accepted: 1 to 10000"),
        (["--limit", "many"], "argument --limit"),
    ],
)
def test_what_makes_no_sense_is_64_and_one_line(perfconsole, args, why):
    ran = perfconsole("events", *args)
    assert (ran.code, ran.out) == (64, "")
    assert why in ran.err
    assert ran.err.count("\n") == 1


def test_a_file_that_cannot_be_read_is_3(perfconsole, state_dir):
    state_dir.mkdir(parents=True, mode=0o700)
    (state_dir / "events.db").write_text("this is no database\n" * 100)
    ran = perfconsole("events")
    assert (ran.code, ran.out) == (3, "")
    assert "cannot read " in ran.err
    assert ran.err.count("\n") == 1


def test_it_imports_no_terminal_ui_and_no_client(environment, tmp_path, state_dir):
    keep(state_dir, event(5, "x"))
    unwanted = {"textual", "rich", "httpx", "asyncpg", "plotext", "psutil", "asyncio"}
    code = (
        "import sys\nfrom perfconsole.__main__ import main\ncode = main()\n"
        f"print(code, sorted({{name.partition('.')[0] for name in sys.modules}} & {unwanted}), file=sys.stderr)"
    )
    argv = [sys.executable, "-c", code, "events"]
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, timeout=120, check=False)
    assert done.stderr.decode() == "0 []\n"


# Whom it asks -----------------------------------------------------------------------------------------------------------------------


def test_an_engine_that_runs_is_asked(perfconsole, state_dir):
    serving = Serving(state_dir)
    try:
        serving.engine.loop.call_soon_threadsafe(lambda: serving.engine._intake.note(event(5, "told this moment")))
        until(lambda: serving.engine.state.events)
        assert perfconsole("mark", "deploy").code == 0
        assert listed(perfconsole("events", "--json")) == (["told this moment", "deploy"], False)
        assert listed(perfconsole("events", "--json", "--kind", "mark", "--limit", "1")) == (["deploy"], False)
    finally:
        serving.close()
    assert listed(perfconsole("events", "--json")) == (["told this moment", "deploy"], False)


def test_beside_an_engine_that_does_not_answer_what_was_kept_is_told(state_dir, monkeypatch, capsys):
    keep(state_dir, event(5, "kept"))
    monkeypatch.setenv("XDG_STATE_HOME", str(state_dir.parent))
    monkeypatch.chdir(state_dir)
    monkeypatch.setattr(engines, "PATIENCE_S", 0.1)
    lease = Lease.take(state_dir, Holder(os.getpid(), os.uname().nodename, time.time(), "", ""))
    code = dispatch(["events"])
    lease.release()
    told = capsys.readouterr()
    assert code == 0
    assert "kept" in told.out
    assert "the engine was not to be asked" in told.err


def test_a_recording_tells_what_it_holds(perfconsole, tmp_path):
    at = time.time() - 40 * 86400  # what is asked for is meant from its end, not from today
    known = Event(at - 9000, at - 9000, "boot", "host", "booted", "engine")
    stream = Stream("far.example", "s1", "boot", "0")
    news = [Event(at + n, at + n, "mark", "host", f"m{n}", "ci") for n in range(3)]
    ticks = [Tick(1, at, 1.0, key=True, stream=stream, events=[known]), Tick(2, at + 1, 2.0, events=news), Tick(3, at + 2, 3.0)]
    for name, first in (("a.pcr", ticks), ("b.pcr", [Tick(4, at + 9, 9.0, key=True, stream=stream, events=[known, *news])])):
        writer = Writer()
        data = b"".join(writer.add(tick) for tick in first) + writer.finish()
        header = Header(first[0].at, first[-1].at, len(data))
        (tmp_path / "rec").mkdir(exist_ok=True)
        (tmp_path / "rec" / name).write_bytes(header.encode() + data)
    ran = perfconsole("events", "--recording", "rec", "--json")
    assert listed(ran) == (["booted", "m0", "m1", "m2"], False)
    assert json.loads(ran.out)["host"] == "far.example"
    assert listed(perfconsole("events", "--recording", "rec/a.pcr", "--kind", "mark", "--limit", "2", "--json")) == (["m1", "m2"], True)
    assert listed(perfconsole("events", "--recording", "rec", "--since", "30s", "--json")) == (["m0", "m1", "m2"], False)
    gone = perfconsole("events", "--recording", "nowhere.pcr")
    assert (gone.code, gone.out) == (3, "")
    assert gone.err.count("\n") == 1


# In words ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lo", "hi", "expected"),
    [
        (0.0, 0.0, "15:30:10"), (-1.5, 0.0, "15:30:10"), (-20.0, 0.0, "15:29:50-15:30:10"), (-180.0, 0.0, "15:27-15:30"),
        (-86400.0, -86400.0, "02-02 15:30:10"), (-86400.0, 0.0, "02-02 15:30-15:30"), (-86400.0, -86280.0, "02-02 15:30-15:32"),
        (-90000.0, -57600.0, "02-02 14:30-23:30"), (-86400.0 * 60, -86400.0 * 60, "2025-12-05 15:30:10"),
        (nan, 0.0, "15:30:10"), (0.0, nan, "?"), (-inf, 0.0, "15:30:10"), (0.0, 1e300, "?"),
    ],
)  # fmt: skip
def test_when_it_was_in_words(lo, hi, expected):
    assert when(NOW + lo, NOW + hi, NOW) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (EventsArgs(NOW - 60, inf), "nothing changed since 15:29:10 that was seen\n"),
        (EventsArgs(NOW - 60, NOW - 10), "nothing changed between 15:29:10 and 15:30:00 that was seen\n"),
        (EventsArgs(NOW - 60, inf, kinds=("login", "sudo")), "nothing of kind login or sudo was seen since 15:29:10\n"),
    ],
)
def test_that_nothing_was_found_says_no_more_than_was_looked_for(wanted, expected):
    assert text(EventList([]), wanted, NOW, Paper()) == expected


@pytest.mark.parametrize("at", [1e300, -1e15, inf, nan])
def test_what_is_no_moment_breaks_neither_output(at):
    one = EventList([Event(at, at, "mark", "host", "x", "ci")])
    assert in_json(one, NOW, "h")["events"][0]["time_hi"] is None
    assert text(one, EventsArgs(NOW - 60, inf), NOW, Paper()).startswith("?")


def test_hostile_text_cannot_break_the_terminal():
    evil = Event(NOW, NOW, "x\x1b[2J" * 20, "\x1b]0;owned\x07" * 20, "a\nb\r\x9b31m\u202eevil", "\x1b[31m", "\x1b[5m")
    for paper in (Paper(), Paper(ascii=True)):
        told = text(EventList([evil], more=True), EventsArgs(NOW - 60, inf), NOW, paper)
        assert told.count("\n") == 2
        assert all(line.isprintable() for line in told.splitlines())
        assert told.isascii() or not paper.ascii
    assert "\x1b" not in json.dumps(in_json(EventList([evil]), NOW, "h\x1b"), ensure_ascii=False)
