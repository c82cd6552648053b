"""The scan over a tree of files that stands for /proc: what cannot be arranged with real processes, and a clock of our own."""

import asyncio
import os
import shutil
from math import isnan

import pytest

from perfconsole.collectors.processes import ProcessCollector, commands, expensive, patience
from perfconsole.collectors.processes.linux import LinuxProcesses
from perfconsole.core.errors import CollectorError
from perfconsole.core.ports import Slot
from perfconsole.core.tables import View

HZ = os.sysconf("SC_CLK_TCK")
BTIME = 1_700_000_000
ALL = (View("process"),)


class Tree:
    """A /proc of files. `now` is its CLOCK_BOOTTIME."""

    def __init__(self, root):
        self.root = root
        self.now = 1000.0
        self.wall = BTIME + self.now
        (root / "stat").write_text(f"cpu 1 2 3\nbtime {BTIME}\nprocesses 9\n")
        (root / "loadavg").write_text("0 0 0 1/1 1\n")
        self.put(1, "init", start=0)

    def put(self, pid, name="app", *, ticks=0, start=100, state="S", flags=0x400000, args=None, cgroup="0::/", rss=10, ppid=1):  # noqa: PLR0913 - the fields of a stat, each with a usual value
        folder = self.root / str(pid)
        folder.mkdir(exist_ok=True)
        fields = f"{ppid} 1 1 0 -1 {flags} 0 0 0 0 {ticks} 0 0 0 20 0 1 0 {start * HZ // 100} 1000 {rss} 0"
        (folder / "stat").write_bytes(f"{pid} ({name}) {state} {fields}\n".encode())
        (folder / "cmdline").write_bytes(b"\0".join(a.encode() for a in (args if args is not None else [name])) + b"\0")
        (folder / "cgroup").write_text(cgroup + "\n")
        (folder / "io").write_text("rchar: 5\nread_bytes: 1000\nwrite_bytes: 2000\ncancelled_write_bytes: 0\n")
        (folder / "smaps_rollup").write_text("x\nRss: 9 kB\nPss:                 123 kB\n")

    def remove(self, pid):
        shutil.rmtree(self.root / str(pid))

    def slot(self):
        return Slot(self.wall, self.now, self.now + 2)

    def clock(self):
        return self.now

    def step(self, seconds):
        self.now += seconds
        self.wall += seconds


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


class Tick:
    """A clock on which every look takes 1 ms, so that work in slices pauses after every second step."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        self.now += 0.001
        return self.now


@pytest.fixture
def collector(tree):
    made = ProcessCollector(proc=str(tree.root))
    made._backend = LinuxProcesses(str(tree.root), tree.clock)
    yield made
    made.close()


async def scan(collector, tree, views=ALL):
    result = await collector.run("host", tree.slot(), views)
    return {row.pid: row for row in result.tables[0].rows}


async def test_ratio_is_unknown_first_then_of_one_core(collector, tree):
    tree.put(7, ticks=500)
    assert isnan((await scan(collector, tree))[7].cpu)
    tree.step(2)
    tree.put(7, ticks=500 + HZ)
    row = (await scan(collector, tree))[7]
    assert row.cpu == pytest.approx(0.5)
    assert row.cpu_s == pytest.approx((500 + HZ) / HZ)
    tree.step(2)
    assert (await scan(collector, tree))[7].cpu == 0
    tree.step(1)
    tree.put(7, ticks=500 + 9 * HZ)
    assert (await scan(collector, tree))[7].cpu == pytest.approx(8)  # eight threads: nothing is clamped


async def test_one_that_started_since_is_measured_from_its_start(collector, tree):
    await scan(collector, tree)
    tree.step(2)
    tree.put(8, start=100_150, ticks=HZ // 4)  # half a second ago
    tree.put(9, start=50, ticks=HZ)  # was there all the time, but could not be seen
    rows = await scan(collector, tree)
    assert rows[8].cpu == pytest.approx(0.5)
    assert isnan(rows[9].cpu)


async def test_a_counter_that_falls_is_no_negative_use(collector, tree):
    tree.put(7, ticks=500)
    await scan(collector, tree)
    tree.step(2)
    tree.put(7, ticks=400)
    assert (await scan(collector, tree))[7].cpu == 0


async def test_unchanged_rows_are_the_same_objects(collector, tree):
    for pid in range(10, 20):
        tree.put(pid)
    await scan(collector, tree)
    tree.step(2)
    second = await scan(collector, tree)
    tree.step(2)
    tree.put(15, ticks=7)
    third = await scan(collector, tree)
    assert [pid for pid in third if third[pid] is not second[pid]] == [15]
    assert list(third) == sorted(third)


async def test_a_pid_that_was_reused_is_another_process(collector, tree):
    tree.put(7, "old", ticks=900, start=100, args=["old", "--x"])
    await scan(collector, tree)
    tree.step(2)
    tree.put(7, "new", ticks=HZ // 10, start=100_100, args=["new"])
    row = (await scan(collector, tree))[7]
    assert (row.key, row.name, row.command) == ((7, 100_100 * HZ // 100), "new", "new")
    assert row.cpu == pytest.approx(0.1)  # of its own life of a second, not of the other's counters


async def test_exec_brings_a_new_command_line(collector, tree):
    tree.put(7, "sh", args=["sh", "-c", "x"])
    await scan(collector, tree)
    tree.step(2)
    tree.put(7, "nginx", args=["nginx: master"], cgroup="0::/system.slice/nginx.service")
    row = (await scan(collector, tree))[7]
    assert (row.name, row.command, row.unit) == ("nginx", "nginx: master", "nginx.service")


async def test_command_lines_are_read_again_of_visible_rows_only(collector, tree):
    tree.put(7, "postgres", args=["postgres: idle"])
    tree.put(8, "postgres", args=["postgres: idle"])
    await scan(collector, tree)
    tree.step(2)
    for pid in (7, 8):
        tree.put(pid, "postgres", args=["postgres: SELECT"])
    rows = await scan(collector, tree, (View("process", keys=((7, HZ),)),))
    assert (rows[7].command, rows[8].command) == ("postgres: SELECT", "postgres: idle")


async def test_secrets_and_escapes_do_not_leave_the_collector(collector, tree):
    tree.put(7, "a)\n\x1b[1m", args=["app", "--password=hunter2", "\x1b]52;c;x\x07", "postgresql://u:hunter2@h/d"])
    row = (await scan(collector, tree))[7]
    assert row.name == "a) ␛[1m"
    assert row.command == "app --password=*** ␛]52;c;x␇ postgresql://u:***@h/d"


async def test_kernel_threads_and_zombies(collector, tree):
    tree.put(2, "kthreadd", flags=0x208040, args=[], ppid=0)
    tree.put(7, "app", args=["app", "--serve"])
    await scan(collector, tree)
    tree.step(2)
    tree.put(7, "app", args=[], state="Z")
    tree.put(8, "died", args=[], state="Z")
    rows = await scan(collector, tree, (View("process", keys=((7, HZ), (2, HZ))),))
    assert (rows[2].kernel, rows[2].command) == (True, "[kthreadd]")
    assert (rows[7].state, rows[7].command) == ("Z", "app --serve")  # what it was, not what is left of it
    assert rows[8].command == "[died]"


async def test_counts_by_state(collector, tree):
    tree.put(7, state="R")
    tree.put(8, state="Z")
    tree.put(9, state="t")
    result = await collector.run("host", tree.slot(), ALL)
    found = {series.labels: value for series, value in zip(result.measured[0].series, result.measured[0].values, strict=True)}
    assert found[()] == 4
    states = {labels[0][1]: value for labels, value in found.items() if labels}
    assert states == {"running": 1, "sleeping": 1, "uninterruptible": 0, "stopped": 1, "zombie": 1, "idle": 0}
    again = await collector.run("host", tree.slot(), ALL)
    assert again.measured[0].series is result.measured[0].series


async def test_nobody_looks_nothing_is_scanned(collector, tree):
    tree.put(7)
    result = await collector.run("host", tree.slot(), (View("sessions"),))
    assert (result.tables, result.measured[0].values[0]) == ((), 2)
    assert all(map(isnan, result.measured[0].values[1:]))
    assert not await collector.look(ALL)


async def test_after_a_pause_everything_begins_anew(collector, tree):
    tree.put(7, ticks=0)
    await scan(collector, tree)
    tree.step(3600)  # the lid was shut
    tree.put(7, ticks=100)
    assert isnan((await scan(collector, tree))[7].cpu)
    tree.step(3600)
    await collector.run("host", tree.slot(), ())
    assert collector._backend._processes == {}  # and the descriptors are closed


async def test_expensive_columns_follow_the_eye(collector, tree):
    for pid in (7, 8):
        tree.put(pid)
    columns = ("read_bytes_s", "write_bytes_s", "pss_bytes", "fds")
    seven = (View("process", keys=((7, HZ),), columns=columns),)
    rows = await scan(collector, tree, seven)
    assert rows[7].pss_bytes == 123 * 1024
    assert isnan(rows[7].read_bytes_s)
    assert isnan(rows[8].pss_bytes)
    tree.step(2)
    (tree.root / "7" / "io").write_text("read_bytes: 3000\nwrite_bytes: 2000\n")
    rows = await scan(collector, tree, seven)
    assert (rows[7].read_bytes_s, rows[7].write_bytes_s) == (1000, 0)
    (table,) = await collector.look((View("process", keys=((8, HZ),), columns=("pss_bytes",)),))
    assert table.at == tree.wall
    assert {row.pid: row.pss_bytes for row in table.rows}[8] == 123 * 1024
    rows = await scan(collector, tree)
    assert isnan(rows[7].pss_bytes)
    assert isnan(rows[7].read_bytes_s)  # old values are not values


async def test_all_rows_are_read_while_sorted_by_an_expensive_column(collector, tree):
    for pid in range(10, 90):
        tree.put(pid)
    rows = await scan(collector, tree, (View("process", sort="pss_bytes"),))
    assert all(row.pss_bytes == 123 * 1024 for row in rows.values())


async def test_a_look_reads_no_more_than_a_screen(collector, tree):
    for pid in range(10, 110):
        tree.put(pid)
    await scan(collector, tree)
    keys = tuple((pid, HZ) for pid in range(10, 110))
    (table,) = await collector.look((View("process", keys=keys, columns=("read_bytes_s", "pss_bytes")),))
    assert 1 <= sum(row.pss_bytes > 0 for row in table.rows) <= 40


def read_and_note(read, asked):
    """As `read`, with the pids it was called with."""

    def noting(pid):
        asked.append(pid)
        return read(pid)

    return noting


async def test_one_process_whose_memory_cannot_be_read_holds_up_no_other(collector, tree, monkeypatch):
    """A FIFO nobody writes to hangs as smaps_rollup does while another thread of that process holds its memory lock."""
    monkeypatch.setattr(patience, "PATIENCE_S", 0.4)
    monkeypatch.setattr(expensive, "PSS_BUDGET_S", 0.1)
    for pid in (7, 8, 9):
        tree.put(pid)
    hanging = tree.root / "8" / "smaps_rollup"
    hanging.unlink()
    os.mkfifo(hanging)
    asked, sizes = [], collector._backend._expensive._sizes
    monkeypatch.setattr(sizes, "_read", read_and_note(sizes._read, asked))
    by_size = (View("process", sort="pss_bytes"),)
    first = await scan(collector, tree, by_size)
    assert first[7].pss_bytes == 123 * 1024
    assert isnan(first[8].pss_bytes)
    for _ in range(3):
        rows = await scan(collector, tree, by_size)
    assert (rows[7].pss_bytes, rows[9].pss_bytes) == (123 * 1024, 123 * 1024)
    assert isnan(rows[8].pss_bytes)
    assert asked.count(8) == 1  # it is not asked again while it hangs
    with hanging.open("w") as fifo:
        fifo.write("Pss: 5 kB\n")
    hanging.unlink()
    hanging.write_text("Pss: 5 kB\n")
    for _ in range(500):  # until its thread has heard the answer
        rows = await scan(collector, tree, by_size)
        if rows[8].pss_bytes == 5 * 1024:
            break
        await asyncio.sleep(0.01)
    assert rows[8].pss_bytes == 5 * 1024


async def test_one_process_whose_command_line_cannot_be_read_holds_up_neither_the_loop_nor_another(collector, tree, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE_S", 0.4)
    monkeypatch.setattr(commands, "BUDGET_S", 0.1)
    for pid in (7, 8, 9):
        tree.put(pid, args=["app", str(pid)])
    hanging = tree.root / "8" / "cmdline"
    hanging.unlink()
    os.mkfifo(hanging)
    asked = []
    monkeypatch.setattr(collector._backend._commands._patience, "_read", read_and_note(collector._backend._identity.arguments, asked))
    first = asyncio.create_task(scan(collector, tree))
    for _ in range(5):
        await asyncio.sleep(0.01)  # the loop goes on
    assert not first.done()
    assert (await first)[8].command == "[app]"
    for _ in range(3):
        rows = await scan(collector, tree)
    assert [rows[pid].command for pid in (7, 8, 9)] == ["app 7", "[app]", "app 9"]
    assert asked.count(8) == 1
    assert asked.count(7) == 1, "what is known of others is not read again"
    with hanging.open("w") as fifo:
        fifo.write("app\0-8")
    hanging.unlink()
    hanging.write_text("app\0-8")
    for _ in range(500):  # until its thread has heard the answer
        rows = await scan(collector, tree)
        if rows[8].command == "app -8":
            break
        await asyncio.sleep(0.01)
    assert rows[8].command == "app -8"


async def test_one_that_sleeps_on_a_disk_is_asked_for_its_command_line_when_it_wakes(collector, tree):
    tree.put(7, state="D", args=["app", "7"])
    assert (await scan(collector, tree))[7].command == "[app]"
    tree.step(2)
    tree.put(7, args=["app", "7"])
    assert (await scan(collector, tree))[7].command == "app 7"


async def test_a_command_line_that_cannot_be_had_stays_what_it_was(collector, tree):
    tree.put(7, args=["server", "--port=1"])
    shown = (View("process", keys=((7, HZ),)),)
    await scan(collector, tree, shown)
    (tree.root / "7" / "cmdline").unlink()  # as when no descriptor is left, or the process ends just then
    assert (await scan(collector, tree, shown))[7].command == "server --port=1"


async def test_histories_begin_and_end(collector, tree):
    tree.put(7)
    watched = (View("process", keys=((7, HZ),), columns=("history",)),)
    first = (await collector.run("host", tree.slot(), watched)).measured[1]
    assert first.target == f"7:{HZ}"
    assert [series.name for series in first.series] == [
        "process.cpu.utilization",
        "process.memory.usage",
        "process.disk.io",
        "process.disk.io",
    ]
    assert first.series[2].labels == (("direction", "read"), ("pid", "7"), ("start", str(HZ)))
    assert first.values[1:] == [10 * os.sysconf("SC_PAGESIZE"), 1000, 2000]
    tree.step(2)
    second = (await collector.run("host", tree.slot(), watched)).measured[1]
    assert second.series is first.series
    ended = (await collector.run("host", tree.slot(), ALL)).measured[1]
    assert (ended.target, ended.series) == (first.target, ())
    assert len((await collector.run("host", tree.slot(), ALL)).measured) == 1
    await collector.run("host", tree.slot(), watched)
    tree.remove(7)
    tree.step(2)
    assert (await collector.run("host", tree.slot(), watched)).measured[1].series == ()


async def test_a_process_that_vanishes_while_it_is_read(collector, tree):
    for pid in range(10, 20):
        tree.put(pid)
    await scan(collector, tree)
    pids = await collector._backend._pids()
    tree.remove(15)  # after the listing

    async def listed():
        return [*pids, 21]  # and one that never got further than its directory

    collector._backend._pids = listed
    (tree.root / "21").mkdir()
    collector._backend._processes[15].fd = -1
    rows = await scan(collector, tree)
    assert 15 not in rows
    assert 21 not in rows
    assert 16 in rows


async def test_start_times_follow_the_wall_clock(collector, tree):
    tree.put(7, start=5000)
    assert (await scan(collector, tree))[7].started == BTIME + 50
    tree.step(2)
    tree.wall += 3600  # the clock was set
    (tree.root / "stat").write_text(f"btime {BTIME + 3600}\n")
    assert (await scan(collector, tree))[7].started == BTIME + 3650


MOUNT = "22 27 0:21 / {proc} rw,nosuid - proc proc rw{options}\n"
STATUS = "Name:\tx\nGid:\t100\t100\t100\t100\nGroups:\t100 4321 \nCapEff:\t{caps:016x}\n"


@pytest.mark.parametrize(
    ("options", "caps", "hidden"),
    [
        ("", 0, False),
        (",hidepid=0", 0, False),
        (",hidepid=off", 0, False),
        (",hidepid=invisible", 0, True),
        (",hidepid=2", 0, True),
        (",hidepid=1", 1 << 19, False),  # CAP_SYS_PTRACE
        (",gid=4321,hidepid=2", 0, False),
        (",gid=999,hidepid=2", 0, True),
        (",gid=4321,hidepid=ptraceable", 0, True),
    ],
)
async def test_hidepid(collector, tree, options, caps, hidden):
    (tree.root / "self").mkdir()
    (tree.root / "self" / "mountinfo").write_text(MOUNT.format(proc=tree.root, options=options))
    (tree.root / "self" / "status").write_text(STATUS.format(caps=caps))
    result = await collector.run("host", tree.slot(), ALL)
    assert result.tables[0].hidden is hidden
    assert [(health.target, health.state) for health in result.health] == ([("hidepid", "denied")] if hidden else [])
    if hidden:
        assert "hidepid=" in result.health[0].error
        assert "gid" in result.health[0].fix or "remount,hidepid=0" in result.health[0].fix
        (tree.root / "self" / "mountinfo").write_text(MOUNT.format(proc=tree.root, options=""))
        tree.step(61)
        result = await collector.run("host", tree.slot(), ALL)
        assert [(health.target, health.state) for health in result.health] == [("hidepid", "ok")]


async def test_after_a_pause_nothing_is_hidden_for_it(collector, tree):
    tree.put(7)
    await scan(collector, tree)
    tree.step(3600)
    await collector.run("host", tree.slot(), ())  # nobody looks: they are counted, and forgotten
    assert await collector.look(ALL) == (), "the rows of an hour ago are none"
    result = await collector.run("host", tree.slot(), ALL)
    assert not result.tables[0].hidden
    assert result.health == ()


async def test_others_not_listed_without_such_a_mount(collector, tree):
    tree.put(7)
    tree.remove(1)
    result = await collector.run("host", tree.slot(), ALL)
    assert result.tables[0].hidden
    assert "sandbox" in result.health[0].error


async def test_no_proc_any_more_is_an_error_with_its_fix(collector, tree):
    shutil.rmtree(tree.root)
    with pytest.raises(CollectorError) as caught:
        await collector.run("host", tree.slot(), ALL)
    assert "/proc is mounted" in caught.value.fix


async def test_three_thousand_processes_do_not_hold_the_loop(tmp_path):
    tree = Tree(tmp_path)
    for pid in range(100, 3100):
        tree.put(pid, args=[f"worker-{pid}", "--queue=orders"])
    collector = ProcessCollector(proc=str(tmp_path))
    turns = 0
    done = False

    async def watch():
        nonlocal turns
        while not done:
            await asyncio.sleep(0)
            turns += 1

    rows = await scan(collector, tree)
    assert len(rows) == 3001
    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0)
    begun = turns
    again = [await scan(collector, tree) for _ in range(3)][-1]
    came_round = turns - begun
    done = True
    await watcher
    collector.close()
    assert len(again) == 3001
    assert came_round > 10  # 25 to 40: a scan takes 20 ms, and the loop is held for 2 to 3; in one go, 7


async def test_what_many_processes_leave_behind_is_tidied_in_slices(tree):
    """2,000 that end at once held the loop for 5 ms, and so did the end of sorting them by an expensive column."""
    for pid in range(100, 200):
        tree.put(pid)
    backend = LinuxProcesses(str(tree.root), Tick())
    collector = ProcessCollector(proc=str(tree.root))
    collector._backend = backend
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def turns_of(work):
        nonlocal turns
        counter = asyncio.create_task(count())
        await asyncio.sleep(0)
        turns = 0
        await work
        counter.cancel()
        return turns

    await scan(collector, tree, (View("process", sort="fds"),))
    assert await turns_of(backend._expensive.change([])) >= 40
    for pid in range(100, 200):
        tree.remove(pid)
    assert await turns_of(scan(collector, tree)) >= 40
    collector.close()
