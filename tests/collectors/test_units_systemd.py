"""What systemd says: a `systemctl` of our own first on the PATH, run as a child like the real one, with the real one's output."""

import asyncio
import os
import shutil
import stat
import subprocess
import sys
import time
from math import isnan, nan
from pathlib import Path

import pytest

from perfconsole.collectors.units import UnitsCollector, systemd
from perfconsole.collectors.units.courses import Courses
from perfconsole.collectors.units.states import UnitState
from perfconsole.core.globs import Globs
from perfconsole.core.ports import Slot
from perfconsole.core.tables import View

SCRIPT = """#!/bin/sh
printf '%s\\n' "$LC_ALL $TZ $*" >>'{root}/asked'
case "$*" in
  *--timestamp=unix*) [ -e '{root}/old' ] && {{ echo "systemctl: unrecognized option '--timestamp=unix'" >&2; exit 1; }};;
esac
[ -e '{root}/hangs' ] && exec sleep 600
[ -e '{root}/slow' ] && sleep 0.6
[ -e '{root}/refuses' ] && {{ echo 'Failed to connect to bus: Permission denied' >&2; exit 1; }}
case "$*" in
  *--state=failed*) cat '{root}/failed';;
  *) cat '{root}/services';;
esac
"""
WALL = 1.73e9


class Host:
    """A machine where systemd runs, and its collector."""

    def __init__(self, machine, **options):
        self.machine, self.root = machine, machine.root
        self.now = 5000.0
        for folder in ("run/systemd/system", "bin", "sys/fs/cgroup/system.slice"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        program = self.root / "bin/systemctl"
        program.write_text(SCRIPT.format(root=self.root))
        program.chmod(0o755)
        self.say()
        self.collector = UnitsCollector(
            proc=options.pop("proc", str(self.root / "proc")), sys=str(self.root / "sys"), run=str(self.root / "run"),
            clock=lambda: self.now, **options,
        )  # fmt: skip

    def say(self, *services, failed=()):
        """Set what systemctl says: blocks of what `unit` makes."""
        for name, blocks in (("services", services), ("failed", failed)):
            self.machine.write(name, "\n".join(blocks))

    def group(self, name):
        for file in ("cpu.stat", "memory.current"):
            self.machine.write(f"sys/fs/cgroup/system.slice/{name}/{file}", "usage_usec 1\n")

    @property
    def asked(self):
        path = self.root / "asked"
        return path.read_text().splitlines() if path.exists() else []

    async def run(self, after_s=30.0):
        """One run, and further ones of the same moment until what was asked is answered."""
        self.now += after_s
        events, health, self.failed = [], [], nan
        until = time.monotonic() + 30
        while True:
            result = await self.collector.run("host", Slot(WALL + self.now, self.now, nan), (View("unit", columns=("live",)),))
            events += result.events
            health += result.health
            told = {series.name: value for one in result.measured for series, value in zip(one.series, one.values, strict=True)}
            self.failed = told.get("system.units.failed", self.failed)
            services = self.collector._watch._services
            if (not services._systemd.asks and services._looking is None) or time.monotonic() > until:
                return events, {health.target: health for health in health}
            await asyncio.sleep(0.01)

    async def rows(self):
        (table,) = await self.collector.look((View("unit"),))
        return {row.name: row for row in table.rows}


def unit(  # noqa: PLR0913  what a test does not speak of has a value of its own
    name, active="active", sub="running", *, result="success", restarts=0, pid=0, began=1, since=None, ended=0, main=None,
):  # fmt: skip
    """A block as `systemctl show` prints it; times are seconds of the test's clock."""
    group = f"/system.slice/{name}" if active in {"active", "activating"} and sub != "auto-restart" else ""
    times = {"StateChange": began if since is None else since, "ActiveEnter": began, "InactiveEnter": ended, "ExecMainStart": main or began}
    stamps = "".join(f"{key}Timestamp={f'@{int(WALL + at)}' if at else ''}\n" for key, at in times.items())
    return (
        f"ExecMainStartTimestamp=x\nMainPID={pid}\nNRestarts={restarts}\nResult={result}\nControlGroup={group}\nId={name}\n"
        f"ActiveState={active}\nSubState={sub}\n{stamps}"
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """On a busy machine an answer may take so long that the next is not asked for in half a minute."""
    monkeypatch.setattr(systemd, "_SHARE", 1e9)
    monkeypatch.setattr(systemd, "_SHARE_SOON", 1e9)


@pytest.fixture
def host(machine, monkeypatch):
    monkeypatch.setenv("PATH", f"{machine.root}/bin:{os.environ['PATH']}")
    found = Host(machine)
    yield found
    found.collector.close()


def told(events):
    return [(event.scope, event.text) for event in events]


async def test_states_stand_beside_what_units_use(host):
    host.group("a.service")
    host.group("b\\x2dc.service")
    waiting = unit("loops.service", "activating", "auto-restart", result="exit-code", restarts=7, began=4000, ended=4900)
    host.say(
        unit("a.service", restarts=2, pid=3, began=4321), unit("b\\x2dc.service"), waiting,
        unit("bad.service", "failed", "failed", result="signal"),
        failed=[unit("bad.service", "failed", "failed", result="signal"), unit("data.mount", "failed", "failed", result="exit-code")],
    )  # fmt: skip
    events, health = await host.run()
    rows = await host.rows()
    await host.run(10)
    assert host.failed == 2
    assert events == []  # nothing changed: it was so before we came
    assert health == {}
    assert (rows["a.service"].state, rows["a.service"].restarts, rows["a.service"].since) == ("active", 2, WALL + 4321)
    assert rows["b-c.service"].state == "active"
    assert (rows["bad.service"].state, rows["bad.service"].result, rows["bad.service"].path) == ("failed", "signal", "")
    assert isnan(rows["bad.service"].cpu)
    assert (rows["data.mount"].state, rows["data.mount"].kind) == ("failed", "mount")
    assert (rows["loops.service"].state, rows["loops.service"].restarts) == ("activating", 7)
    first, second = host.asked[:2]
    assert first.startswith("C UTC --no-pager --timestamp=unix --property=Id,")
    assert first.endswith(" show *.service")
    assert second.endswith(" show --state=failed *")


async def test_failed_units_are_chosen_by_name_too(machine, monkeypatch):
    monkeypatch.setenv("PATH", f"{machine.root}/bin:{os.environ['PATH']}")
    host = Host(machine, units=Globs(["a*"]))
    host.say(unit("a.service", "failed", "failed"), unit("b.service", "failed", "failed"), unit("ab.service"))
    await host.run()
    assert host.failed == 1
    assert "b.service" not in await host.rows()
    assert "a.service" in await host.rows()
    host.collector.close()


async def test_it_is_asked_every_half_minute_and_sooner_after_a_change(host):
    host.group("a.service")
    await host.run()
    for _ in range(4):
        await host.run(7)
    assert len(host.asked) == 2
    await host.run(2)
    assert len(host.asked) == 4
    host.group("new.service")
    await host.run(4)
    assert len(host.asked) == 4  # seen now; but the last answer is 4 s old
    await host.run(4)
    assert len(host.asked) == 4
    await host.run(4)
    assert len(host.asked) == 6


async def test_starts_stops_and_failures(host):
    host.say(unit("a.service"), unit("b.service"), unit("c.service"))
    await host.run()
    host.say(
        unit("b.service", "failed", "failed", result="exit-code", since=host.now + 5), unit("c.service", began=host.now + 7),
        unit("d.service", began=host.now + 9), unit("once.service", "activating", "start"),
    )  # fmt: skip
    before = host.now
    events, _ = await host.run()
    assert {event.kind for event in events} == {"unit"}
    assert {event.source for event in events} == {"systemd"}
    by_scope = {event.scope: event for event in events}
    assert {scope: event.text for scope, event in by_scope.items()} == {
        "a.service": "a.service was stopped",
        "b.service": "b.service failed (exit-code)",
        "c.service": "c.service was stopped and started",
        "d.service": "d.service was started",
    }
    assert (by_scope["b.service"].time_lo, by_scope["b.service"].time_hi) == pytest.approx((WALL + before + 5, WALL + before + 6), abs=1)
    assert (by_scope["a.service"].time_lo, by_scope["a.service"].time_hi) == (WALL + before, WALL + host.now)
    assert (by_scope["b.service"].severity, by_scope["a.service"].severity) == ("warning", "")
    assert (await host.run())[0] == []
    # A job that came to its end while nobody looked, and one that was reset, are nothing to speak of.
    host.say(unit("c.service", began=before + 7), unit("d.service", began=before + 9))
    assert (await host.run())[0] == []
    host.say(unit("c.service", began=before + 7), unit("d.service", "deactivating", "stop-sigterm", began=before + 9))
    assert (await host.run())[0] == []
    host.say(unit("c.service", began=before + 7))
    assert told((await host.run())[0]) == [("d.service", "d.service was stopped")]


async def test_a_loop_is_told_once_as_long_as_it_goes_on(host):
    host.say(unit("a.service", restarts=1))
    await host.run()
    host.say(unit("a.service", restarts=2, began=host.now + 3, result="exit-code"))
    assert told((await host.run())[0]) == [("a.service", "a.service was restarted by systemd (exit-code)")]
    host.say(unit("a.service", "activating", "auto-restart", restarts=9, result="exit-code"))
    events, _ = await host.run()
    restarted, loop = sorted(events, key=lambda event: event.severity == "critical")
    assert restarted.text == "a.service was restarted 7 times by systemd (exit-code)"
    assert restarted.severity == "warning"
    assert (loop.text, loop.severity, loop.kind) == ("a.service restarts again and again: 8 times in 60 s", "critical", "unit")
    for restarts in (10, 12):
        host.say(unit("a.service", restarts=restarts))
        assert ["again and again" in event.text for event in (await host.run())[0]] == [False]
    host.say(unit("a.service", "failed", "failed", result="start-limit-hit", restarts=12, since=host.now + 1))
    (failed,) = (await host.run())[0]
    assert failed.severity == "critical"
    assert "start-limit-hit" in failed.text
    # Somebody starts it: the count begins anew, and after ten quiet minutes a loop is another one.
    host.say(unit("a.service", restarts=0, began=host.now + 5))
    assert told((await host.run())[0]) == [("a.service", "a.service was started")]
    assert (await host.run(700))[0] == []
    host.say(unit("a.service", restarts=3))
    assert any("again and again: 3 times" in event.text for event in (await host.run())[0])


def test_slow_restarts_are_no_loop():
    courses, found = Courses(), []
    for minute in range(60):
        state = UnitState("a.service", "active", restarts=float(minute // 6))
        found += courses.follow({"a.service": state}, WALL + 60 * minute, told=False)
    assert len(found) == 9
    assert not any("again and again" in event.text for event in found)


async def test_where_the_journal_tells_only_what_it_does_not_know_is_told(machine, monkeypatch):
    monkeypatch.setenv("PATH", f"{machine.root}/bin:{os.environ['PATH']}")
    host = Host(machine, journal_told=lambda: True)
    host.say(unit("a.service"), unit("b.service", pid=10))
    await host.run()
    host.say(unit("a.service", restarts=5, began=host.now), unit("b.service", pid=11), unit("c.service"))
    events, _ = await host.run()
    assert told(events) == [
        ("a.service", "a.service restarts again and again: 5 times in 30 s"),
        ("b.service", "b.service goes on with another main process: 11, which was 10"),
    ]
    assert [event.kind for event in events] == ["unit", "process"]
    host.collector.close()


async def test_a_main_process_of_a_start_is_no_news(host):
    host.say(unit("a.service", pid=10), unit("b.service", pid=20), unit("c.service", pid=30))
    await host.run()
    host.say(unit("a.service", pid=11, began=host.now + 5), unit("b.service", pid=21, restarts=1), unit("c.service"))
    assert {event.kind for event in (await host.run())[0]} == {"unit"}


async def test_an_older_systemctl_prints_dates(host):
    (host.root / "old").touch()
    block = unit("a.service").replace(f"@{int(WALL + 1)}", "Sun 2024-10-27 03:33:20 UTC")
    host.say(block)
    host.group("a.service")
    await host.run()
    await host.run(2)
    assert (await host.rows())["a.service"].since == 1730000000
    before = len(host.asked)
    await host.run()
    assert not any("--timestamp" in asked for asked in host.asked[before:])  # it was told once


async def test_one_that_lists_what_is_inactive_too(host):
    """Before systemd 243 a property that was asked for meant all units."""
    host.say(unit("a.service", "inactive", "dead"), unit("b.service"))
    await host.run()
    host.say(unit("a.service"), unit("b.service", "inactive", "dead"))
    assert sorted(told((await host.run())[0])) == [("a.service", "a.service was started"), ("b.service", "b.service was stopped")]


async def test_no_answer_is_ended_and_told(host, monkeypatch):
    (host.root / "hangs").touch()
    host.group("a.service")
    host.now += 30
    slot = Slot(WALL + host.now, host.now, nan)
    began = time.monotonic()
    await host.collector.run("host", slot, (View("unit", columns=("live",)),))
    assert time.monotonic() - began < 60  # a run does not wait for it: it takes ten minutes
    child = host.collector._watch._services._systemd._child
    assert child is not None
    host.now += systemd.LIMIT_S + 1
    result = await host.collector.run("host", slot, ())
    assert [(health.target, health.state, health.error) for health in result.health] == [
        ("systemd", "error", "systemctl did not answer within 5 s")
    ]
    assert child._process.returncode is not None
    assert "a.service" in await host.rows()
    (host.root / "hangs").unlink()
    _, health = await host.run()
    assert health["systemd"].state == "ok"


async def test_an_answer_that_came_late_is_in_the_table_at_once(host):
    host.say(unit("a.service", "failed", "failed"))
    (host.root / "slow").touch()
    host.now += 30
    slot, views = Slot(WALL + host.now, host.now, nan), (View("unit"),)
    first = await host.collector.run("host", slot, views)
    assert "a.service" not in {row.name for row in first.tables[0].rows}
    later, until = [], time.monotonic() + 30
    while not later and time.monotonic() < until:
        later = (await host.collector.run("host", slot, views)).tables
    assert "a.service" in {row.name for row in later[0].rows}
    assert later[0].at == first.tables[0].at


async def test_a_refusal_is_told_in_its_own_words(host):
    (host.root / "refuses").touch()
    _, health = await host.run()
    assert (health["systemd"].state, health["systemd"].error) == ("error", "systemctl: Failed to connect to bus: Permission denied")
    (table,) = await host.collector.look((View("unit"),))
    assert "systemctl: Failed to connect to bus: Permission denied" in table.notes


async def test_how_many_have_failed_is_unknown_while_systemd_refuses_to_say(host):
    host.say(unit("a.service", "failed", "failed"))
    await host.run()
    await host.run(10)
    assert host.failed == 1
    (host.root / "refuses").touch()
    await host.run()
    await host.run(10)
    assert isnan(host.failed)
    (host.root / "refuses").unlink()
    await host.run()
    await host.run(10)
    assert host.failed == 1


async def test_without_systemd_there_is_nothing_to_ask(host):
    shutil.rmtree(host.root / "run")
    host.say(unit("a.service", "failed", "failed"))
    events, health = await host.run()
    assert (health["systemd"].state, events, host.asked) == ("off", [], [])
    assert "no systemd runs here" in health["systemd"].error
    assert await host.rows() == {"system.slice": (await host.rows())["system.slice"]}


async def test_without_systemctl_there_is_nobody_to_ask(host, monkeypatch):
    monkeypatch.setenv("PATH", f"bin:{host.root}/nowhere")
    _, health = await host.run()
    assert health["systemd"].state == "off"
    assert "systemctl was not found" in health["systemd"].error


async def test_the_end_ends_a_child(host):
    (host.root / "hangs").touch()
    host.now += 30
    await host.collector.run("host", Slot(WALL, host.now, nan), ())
    child = host.collector._watch._services._systemd._child
    host.collector.close()
    assert child._process.returncode is not None
    host.collector.close()


async def test_a_container_systemd_may_know_groups_by_the_hosts_path(host):
    host.group("a.service")
    host.say(unit("a.service").replace("/system.slice", "/docker/123/system.slice"))
    await host.run()
    assert (await host.rows())["a.service"].state == "active"


async def test_asking_costs_a_share_at_most(host, monkeypatch):
    monkeypatch.setattr(systemd, "_SHARE", 1e-5)  # any answer takes so long that it is asked for every 5 minutes
    await host.run()
    await host.run(100)
    assert len(host.asked) == 2
    await host.run(201)
    assert len(host.asked) == 4


async def test_where_services_come_and_go_all_the_time_it_costs_a_share_at_most_too(host, monkeypatch):
    monkeypatch.setattr(systemd, "_SHARE_SOON", 1e-5)
    await host.run()
    for number in range(6):  # a timer's, every ten seconds
        host.group(f"run-{number}.service")
        await host.run(10)
    assert len(host.asked) == 2 * 3  # as if none came
    monkeypatch.setattr(systemd, "_SHARE_SOON", 1e9)
    await host.run(20)
    for number in range(6, 10):
        host.group(f"run-{number}.service")
        await host.run(10)
    assert len(host.asked) >= 2 * 6


# Executables, of real processes --------------------------------------------------------------------------------------------------------


def started(path):
    process = subprocess.Popen([path, "60"])
    until = time.monotonic() + 30
    while Path(f"/proc/{process.pid}/exe").readlink() != path and time.monotonic() < until:
        time.sleep(0.005)
    return process


@pytest.fixture
def sleeper(tmp_path):
    """A program of our own that sleeps, and how to run it."""
    real = shutil.which("sleep")
    if real is None or not sys.platform.startswith("linux"):
        pytest.skip("there is no sleep to copy")
    path = tmp_path / "bin" / "slee per"
    path.parent.mkdir(exist_ok=True)
    shutil.copy(real, path)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    processes = []

    def run():
        processes.append(started(path))
        return processes[-1].pid

    yield path, run
    for process in processes:
        process.kill()
        process.wait()


async def test_an_executable_that_was_replaced_while_it_runs(machine, monkeypatch, sleeper):
    path, run = sleeper
    monkeypatch.setenv("PATH", f"{machine.root}/bin:{os.environ['PATH']}")
    host = Host(machine, proc="/proc")
    pid = run()
    began = time.time() - WALL
    host.say(unit("a.service", pid=pid, main=began))
    assert (await host.run())[0] == []
    new = path.with_name("new")
    shutil.copy(path, new)
    new.replace(path)
    host.now = time.time() - WALL  # what a filesystem stamps is the real time
    (event,) = (await host.run())[0]
    assert (event.kind, event.scope, event.severity, event.source) == ("process", "a.service", "info", "/proc")
    assert event.text == f"a.service runs an executable that was replaced on disk: {path}"
    assert event.time_lo == event.time_hi == pytest.approx(path.stat().st_ctime)
    assert (await host.run())[0] == []
    path.unlink()
    assert (await host.run())[0] == []  # of this process that is no news
    host.collector.close()


async def test_an_executable_that_was_removed(machine, monkeypatch, sleeper):
    path, run = sleeper
    monkeypatch.setenv("PATH", f"{machine.root}/bin:{os.environ['PATH']}")
    host = Host(machine, proc="/proc")
    pid = run()
    path.unlink()
    host.say(unit("a.service", pid=pid))
    (event,) = (await host.run())[0]
    assert event.text == f"a.service runs an executable that was removed from disk: {path}"
    host.collector.close()


async def test_an_upgrade_of_many_is_one_event(machine, monkeypatch, sleeper):
    path, run = sleeper
    monkeypatch.setenv("PATH", f"{machine.root}/bin:{os.environ['PATH']}")
    host = Host(machine, proc="/proc")
    pid = run()
    path.unlink()
    host.say(*(unit(f"s{number}.service", pid=pid) for number in range(12)))
    (event,) = (await host.run())[0]
    assert event.scope == "host"
    assert event.text.startswith("12 services run executables that were replaced on disk: s0.service, ")
    host.collector.close()
