"""The collector of changes as a whole: its parts together, what does not answer, and what it costs."""

import asyncio
import os
import threading
import time

import pytest

import perfconsole.collectors.changes as room
from perfconsole.collectors.changes import ChangesCollector
from perfconsole.core.changes import KINDS
from perfconsole.core.errors import CollectorError
from perfconsole.core.ports import Slot


class Machine:
    """A root directory and a procfs, and a clock that is moved."""

    def __init__(self, path):
        self.root = path / "root"
        self.proc = path / "proc"
        self.now = time.time()
        (self.root / "var/log").mkdir(parents=True)
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "stat").write_text("cpu 1 2 3\nbtime 1700000000\nprocesses 5\n")
        (self.proc / "self/mountinfo").write_text("22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n")
        self.collectors = []

    def collector(self, **how):
        self.collectors.append(ChangesCollector(proc=str(self.proc), root=str(self.root), **how))
        return self.collectors[-1]

    def run(self, collector, after_s=10.0):
        self.now += after_s
        return asyncio.run(collector.run("host", Slot(self.now, 0.0, 0.0), ()))


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    yield made
    for collector in made.collectors:
        collector.close()


def test_everything_together(machine, tmp_path):
    watched = tmp_path / "a.conf"
    watched.write_text("one")
    os.utime(watched, (1, 1))
    marks = machine.root / "run/perfconsole/marks.d"
    marks.mkdir(parents=True)
    collector = machine.collector(watch=[str(watched)])
    first = machine.run(collector)
    assert [(event.kind, event.time_lo) for event in first.events] == [("boot", 1700000000.0)]
    assert first.health == []
    watched.write_text("two")
    os.utime(watched, (machine.now + 1, machine.now + 1))
    (marks / "1").write_text("deploy 1.4.2")
    os.utime(marks / "1", (machine.now, machine.now))
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(machine.now))
    (machine.root / "var/log/dpkg.log").write_text(f"{stamp} install jq:amd64 <none> 1.6\n")
    events = [event for _ in range(4) for event in machine.run(collector).events]
    assert {event.kind: event.text for event in events} == {
        "file": f"{watched} changed",
        "mark": "deploy 1.4.2",
        "package": "1 package installed: jq 1.6",
    }
    assert len(events) == 3
    assert {event.kind for event in [*events, *first.events]} <= set(KINDS)


def test_nothing_there_is_nothing_told(tmp_path):
    collector = ChangesCollector(proc=str(tmp_path), root=str(tmp_path))
    result = asyncio.run(collector.run("host", Slot(time.time(), 0.0, 0.0), ()))
    assert result.events == []
    assert [(health.target, health.state) for health in result.health] == [("mounts", "error")]
    collector.close()


def test_troubles_are_told_when_they_come_and_when_they_go(machine, tmp_path):
    marks = tmp_path / "marks"
    collector = machine.collector(marks_dir=str(marks))
    [health] = machine.run(collector).health
    assert (health.collector, health.target, health.state) == ("changes", "marks", "error")
    assert health.fix.startswith(f"mkdir -p {marks}")
    assert machine.run(collector).health == []
    marks.mkdir(mode=0o755)
    assert [health.state for health in machine.run(collector).health] == ["ok"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_what_may_not_be_looked_into_is_told_with_what_would_help(machine, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.conf").touch()
    (tmp_path / "a").chmod(0)
    (tmp_path / "b").chmod(0)
    collector = machine.collector(watch=[f"{tmp_path}/a/x.conf", f"{tmp_path}/b/*.conf"])
    [health] = machine.run(collector).health
    assert (health.target, health.state) == ("watch", "denied")
    assert health.error == f"watched files cannot be seen: {tmp_path}/a/x.conf and 1 more: Permission denied"
    assert "setfacl" in health.fix
    (tmp_path / "a").chmod(0o700)
    (tmp_path / "b").chmod(0o700)
    assert [health.state for health in machine.run(collector, 60.0).health] == ["ok"]


def test_a_file_that_does_not_answer_holds_nothing_up(machine, monkeypatch):
    monkeypatch.setattr(room, "_PATIENCE_S", 0.05)
    answers = threading.Event()
    collector = machine.collector(own=["/etc/hosts"])
    looked = collector._watched.look
    monkeypatch.setattr(collector._watched, "look", lambda now: (answers.wait(60), looked(now))[1])

    async def runs():
        for _ in range(2):  # the second waits for the same answer, and asks nobody else
            with pytest.raises(CollectorError) as caught:
                await collector.run("host", Slot(machine.now, 0.0, 0.0), ())
            assert "does not answer" in caught.value.message
        assert [thread.name for thread in threading.enumerate()].count("changes") == 1
        collector.close()  # must not take anything from under the thread
        answers.set()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                return await collector.run("host", Slot(machine.now, 0.0, 0.0), ())
            except CollectorError:
                continue
        return None

    result = asyncio.run(runs())
    assert result is not None
    assert any(event.kind == "boot" for event in result.events)


def test_a_run_in_which_nothing_changed_costs_little(machine, tmp_path):
    for number in range(100):
        (tmp_path / f"{number}.conf").write_text("x")
    collector = machine.collector(watch=[f"{tmp_path}/*.conf"])
    machine.run(collector)

    async def quiet():
        for _ in range(20):
            await collector.run("host", Slot(machine.now, 0.0, 0.0), ())

    began = time.process_time()
    asyncio.run(quiet())
    assert (time.process_time() - began) / 20 < 0.02  # 1 ms here, every 10 s


def test_the_real_machine():
    collector = ChangesCollector(watch=["/etc/*.conf"])

    async def look():
        first = await collector.run("host", Slot(time.time(), 0.0, 0.0), ())
        return first, await collector.run("host", Slot(time.time(), 0.0, 0.0), ())

    first, second = asyncio.run(look())
    collector.close()
    boots = [event for event in first.events if event.kind == "boot"]
    assert all(0 < event.time_lo < time.time() for event in boots)
    assert all(event.text.isprintable() and event.text for event in first.events)
    assert "boot" not in {event.kind for event in second.events}
