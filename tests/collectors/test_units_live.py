"""Real groups, made and removed here: throttled by a quota, near a limit, killed for memory, at a limit of tasks. Needs root."""

import asyncio
import os
import subprocess
import sys
import time
from contextlib import suppress
from math import isnan, nan
from pathlib import Path

import pytest

from perfconsole.collectors.units import UnitsCollector
from perfconsole.collectors.units.hierarchies import find
from perfconsole.core.globs import Globs
from perfconsole.core.ports import Slot
from perfconsole.core.tables import View

LIVE = View("unit", columns=("live",))
LONG_S = 60.0

root = pytest.mark.skipif(not sys.platform.startswith("linux") or os.geteuid() != 0, reason="makes cgroups, which only root may")


def until(holds, what):
    """Wait for something that another process brings about."""
    deadline = time.monotonic() + LONG_S
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


class Groups:
    """Groups of one name in every hierarchy that measures, below a slice of our own."""

    def __init__(self):
        self.layout = find(Path("/proc/self/mountinfo").read_bytes(), "/sys")
        self.slice = f"perfconsoletest{os.getpid()}.slice"
        self.children = []
        self.made = []

    def needs(self, *measured):
        """Skip where the kernel, or whoever set it up, does not measure this."""
        for what in measured:
            position = self.layout.where.get(what)
            if position is None:
                pytest.skip(f"no cgroup hierarchy here measures {what}")
            hierarchy = self.layout.hierarchies[position]
            controller = {"usage": "cpu", "tasks": "pids"}.get(what, what)
            if hierarchy.unified and controller not in Path(hierarchy.top, "cgroup.subtree_control").read_text().split():
                pytest.skip(f"the {controller} controller is not handed down here")

    def make(self, name):
        """A group of this name in each hierarchy."""
        for hierarchy in self.layout.hierarchies:
            above = Path(hierarchy.top, self.slice)
            for folder in (above, above / name):
                try:
                    folder.mkdir(exist_ok=True)
                except OSError as error:
                    pytest.skip(f"cgroups cannot be made here: {error}")
                if folder not in self.made:
                    self.made.append(folder)
            if hierarchy.unified and (given := Path(hierarchy.top, "cgroup.subtree_control").read_text().split()):
                (above / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in given))
        return name

    def set(self, name, measured, **files):
        """Set limits; `v1` and `v2` pairs of file and value."""
        hierarchy = self.layout.hierarchies[self.layout.where[measured]]
        file, value = files["v2" if hierarchy.unified else "v1"]
        Path(hierarchy.top, self.slice, name, file).write_text(value)

    def run(self, name, program, *, alone=False):
        """A child that begins in the group; `alone` waits for its end."""
        into = "".join(f"echo $$ >'{hierarchy.top}/{self.slice}/{name}/cgroup.procs' && " for hierarchy in self.layout.hierarchies)
        child = subprocess.Popen(["/bin/sh", "-c", f"{into} exec {program}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.children.append(child)
        if alone:
            child.wait(LONG_S)
        return child

    def remove(self):
        """Leave nothing behind."""
        for child in self.children:
            child.kill()
            child.wait(LONG_S)
        for folder in reversed(self.made):
            until(lambda folder=folder: removed(folder), f"{folder} does not become empty")


def removed(folder):
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:  # what was killed has not left it yet
        return False
    return True


@pytest.fixture
def groups():
    found = Groups()
    yield found
    found.remove()


class Watcher:
    """A collector that looks at our slice alone."""

    def __init__(self, groups, **options):
        self.collector = UnitsCollector(units=Globs([groups.slice]), run="/nowhere", **options)
        self.result = None
        self.next = 0.0

    def look(self):
        """The rows of a new look; of the same moment there is none."""
        time.sleep(max(0.0, self.next - time.monotonic()))
        self.next = time.monotonic() + 0.6
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.result = asyncio.run(self.collector.run("host", Slot(time.time(), now, nan), (LIVE,)))
        (table,) = self.result.tables
        return {row.name: row for row in table.rows}


@pytest.fixture
def watcher(groups):
    found = Watcher(groups)
    yield found
    found.collector.close()


@root
def test_a_quota_throttles(groups, watcher):
    groups.needs("usage", "cpu")
    name = groups.make("burns.service")
    groups.set(name, "cpu", v1=("cpu.cfs_quota_us", "10000"), v2=("cpu.max", "10000 100000"))
    watcher.look()
    groups.run(name, "sh -c 'while :; do :; done'")
    watcher.look()
    seen = []
    until(lambda: seen.append(watcher.look()) or seen[-1][name].throttled > 0, "it is not throttled")
    rows = seen[-1]
    row = rows[name]
    assert row.cpu_limit == pytest.approx(0.1)
    assert 0 < row.cpu < 0.2
    assert row.throttled_s > 0
    assert row.kind == "service"
    assert row.parent == f"/{groups.slice}"
    if "pressure" in groups.layout.where:
        assert not isnan(row.pressure_cpu)
    assert rows[groups.slice].cpu == pytest.approx(row.cpu, abs=0.05)


@root
def test_a_limit_of_memory_and_of_tasks(groups, watcher):
    groups.needs("memory", "tasks")
    name = groups.make("fills.service")
    groups.set(name, "memory", v1=("memory.limit_in_bytes", "67108864"), v2=("memory.max", "67108864"))
    groups.set(name, "tasks", v1=("pids.max", "7"), v2=("pids.max", "7"))
    groups.run(name, f"{sys.executable} -S -c 'import time; kept = bytearray(40 << 20); time.sleep(600)'")
    until(lambda: watcher.look()[name].memory_bytes > 40 << 20, "the child does not fill its memory")
    row = watcher.look()[name]
    assert row.memory_limit == 67108864
    assert 0.6 < row.memory <= 1.0
    assert (row.tasks, row.tasks_limit) == (1, 7)
    assert row.oom_kills == 0


@root
def test_one_that_is_killed_for_memory(groups, watcher):
    groups.needs("memory")
    if not any(line.startswith("oom_kill ") for line in Path("/proc/vmstat").read_text().splitlines()):
        pytest.skip("this kernel does not count kills")
    name = groups.make("dies.service")
    groups.set(name, "memory", v1=("memory.limit_in_bytes", "25165824"), v2=("memory.max", "25165824"))
    swap = {"v1": ("memory.memsw.limit_in_bytes", "25165824"), "v2": ("memory.swap.max", "0")}
    with suppress(OSError):  # without swap accounting, and then most likely without swap
        groups.set(name, "memory", **swap)
    watcher.look()
    child = groups.run(name, f"{sys.executable} -S -c 'kept = bytearray(200 << 20)'", alone=True)
    assert child.returncode == -9
    row = watcher.look()[name]
    assert row.oom_kills >= 1
    events = [event for event in watcher.result.events if event.kind == "oom" and event.scope == name]
    assert len(events) == 1
    assert "killed because memory ran out; its limit is 24M" in events[0].text


@root
def test_a_group_that_ends_and_one_that_begins(groups, watcher):
    groups.needs("usage")
    ends = groups.make("ends.service")
    groups.make("stays.service")
    assert {ends, "stays.service"} <= set(watcher.look())
    for hierarchy in groups.layout.hierarchies:
        Path(hierarchy.top, groups.slice, ends).rmdir()
    groups.make("begins.service")
    watcher.look()  # as many as before: that one is gone shows when it is read
    rows = watcher.look()
    assert ends not in rows
    assert "begins.service" in rows


def test_the_real_machine_is_read_without_complaint():
    collector = UnitsCollector(run="/nowhere")
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    result = asyncio.run(collector.run("host", Slot(time.time(), now, nan), (LIVE,)))
    (table,) = result.tables
    assert {health.target for health in result.health} == ({"systemd"} if table.layout else {"systemd", "cgroups"})
    collector.close()
