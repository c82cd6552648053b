"""The cgroup tree, written as files: v2, v1, hybrid, a container's; what comes, goes and vanishes; and what is shown of it."""

import asyncio
import os
import resource
import shutil
import tempfile
from math import isnan, nan
from pathlib import Path

import pytest

from perfconsole.collectors.units import UnitsCollector
from perfconsole.collectors.units.branch import Branch
from perfconsole.collectors.units.hierarchies import Hierarchy
from perfconsole.core.globs import Globs
from perfconsole.core.ports import Slot
from perfconsole.core.tables import View
from perfconsole.core.tick import SeriesDef
from perfconsole.core.unit_rows import REST, identity

RECORDER = View("unit", target="", sort="cpu", limit=50)
LIVE = View("unit", columns=("live",))
V1 = """32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
37 31 0:34 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio
38 31 0:35 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
"""
UNIFIED = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
PSI = "some avg10={} avg60=1.00 avg300=0.10 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"


class Units:
    """A collector over written trees, and its clock."""

    def __init__(self, machine, **options):
        self.machine, self.now = machine, 5000.0
        self.options = options
        self.collector = UnitsCollector(
            proc=str(machine.root / "proc"), sys=str(machine.root / "sys"), run=str(machine.root / "run"), clock=lambda: self.now, **options
        )
        self.top = machine.root / "sys/fs/cgroup"
        self.result = None

    def write(self, path, **files):
        """Set files of a group: underscores are dots, the first of them."""
        for name, text in files.items():
            self.machine.write(f"sys/fs/cgroup{path}/{name.replace('_', '.', 1)}", f"{text}\n")

    def group(self, path, cpu_s=0.0, memory=1000, **more):
        """A group of v2."""
        stat = more.pop("stat", "")
        self.write(path, cpu_stat=f"usage_usec {round(cpu_s * 1e6)}\nuser_usec 1{stat}", memory_current=memory, **more)

    def end(self, path):
        """Take a group away."""
        shutil.rmtree(self.top / path.strip("/"))

    def run(self, after_s=10.0, *views):
        """One run, so long after the last."""
        self.now += after_s
        self.result = asyncio.run(self.collector.run("host", Slot(1.7e9 + self.now, self.now, nan), views or (RECORDER,)))
        return self.result

    def look(self, *views):
        return asyncio.run(self.collector.look(views))

    @property
    def table(self):
        (table,) = self.result.tables
        return table

    def rows(self):
        return {row.name: row for row in self.table.rows}

    def values(self):
        (measured,) = self.result.measured
        assert len(measured.series) == len(set(measured.series)) == len(measured.values)
        return {
            (series.name, dict(series.labels).get("unit")): value for series, value in zip(measured.series, measured.values, strict=True)
        }


@pytest.fixture
def units(machine):
    found = Units(machine)
    yield found
    found.collector.close()


@pytest.mark.parametrize("interval_s", [2.0, 30.0, 600.0])
def test_use_is_known_at_any_interval_and_not_over_a_gap(machine, interval_s):
    units, step_s = Units(machine, interval_s=interval_s), max(10.0, interval_s)
    for cpu_s in (0, step_s / 2, step_s):
        units.group("/system.slice", cpu_s)
        units.group("/system.slice/a.service", cpu_s)
        units.run(step_s)
    assert units.rows()["a.service"].cpu == pytest.approx(0.5)
    (measured,) = units.result.measured
    told = dict(zip(measured.series, measured.values, strict=True))
    assert told[SeriesDef("cgroup.cpu.utilization", (("unit", "a.service"),))] == pytest.approx(0.5)
    units.group("/system.slice/a.service", 10 * step_s)
    units.run(3 * step_s)
    assert isnan(units.rows()["a.service"].cpu)
    units.collector.close()


def test_v2_use_limits_pressure_and_io(units):
    units.group("/system.slice", 10)
    units.group("/system.slice/a.service", 1, 600, cpu_max="50000 100000", memory_max=1000, pids_current=3, pids_max=10)
    units.write(
        "/system.slice/a.service",
        memory_stat="anon 1\ninactive_file 200\nactive_file 5", memory_events="low 0\noom_kill 0", cpu_pressure=PSI.format("25.00"),
        io_pressure=PSI.format("50.00"), io_stat="8:0 rbytes=1000 wbytes=2000 rios=1", cpu_stat="usage_usec 1000000\nnr_periods 10\n"
        "nr_throttled 1\nthrottled_usec 500000",
    )  # fmt: skip
    units.run()
    first = units.rows()["a.service"]
    assert isnan(first.cpu)
    assert isnan(first.throttled)
    assert (first.path, first.parent, first.kind, first.depth) == ("/system.slice/a.service", "/system.slice", "service", 2)
    assert (first.cpu_limit, first.memory_limit, first.memory, first.memory_bytes) == (0.5, 1000, 0.4, 600)
    assert (first.tasks, first.tasks_limit, first.oom_kills) == (3, 10, 0)
    assert (first.pressure_cpu, first.pressure_io, isnan(first.pressure_memory), isnan(first.read_bytes_s)) == (0.25, 0.5, True, True)
    units.group("/system.slice", 14)
    units.write("/system.slice/a.service", cpu_stat="usage_usec 4000000\nnr_periods 110\nnr_throttled 51\nthrottled_usec 2500000",
                io_stat="8:0 rbytes=21000 wbytes=42000 rios=9")  # fmt: skip
    units.run()
    row, above = units.rows()["a.service"], units.rows()["system.slice"]
    assert (row.cpu, row.throttled, row.throttled_s) == pytest.approx((0.3, 0.5, 0.2))
    assert (row.read_bytes_s, row.write_bytes_s) == pytest.approx((2000, 4000))
    assert (above.cpu, above.depth, above.parent) == (pytest.approx(0.4), 1, "")
    assert units.table.layout == "v2"
    assert units.table.total == 2
    assert units.values()["cgroup.cpu.utilization", "a.service"] == pytest.approx(0.6)
    assert units.values()["cgroup.cpu.throttled.ratio", "a.service"] == pytest.approx(0.5)
    assert units.values()["cgroup.memory.utilization", "a.service"] == pytest.approx(0.4)


def v1(units, path, usage_ns, memory, **more):
    units.write(f"/cpu,cpuacct{path}", cpuacct_usage=usage_ns, cpu_cfs_quota_us=-1, cpu_cfs_period_us=100000)
    limit = more.pop("limit", 9223372036854771712)
    units.write(f"/memory{path}", memory_usage_in_bytes=memory, memory_limit_in_bytes=limit, memory_oom_control="under_oom 0\noom_kill 0")
    units.write(f"/pids{path}", pids_current=4, pids_max="max")


def whole(units):
    """The files that only the machine's own root has."""
    for name in ("cpu,cpuacct", "memory", "blkio", "pids"):
        units.machine.write(f"sys/fs/cgroup/{name}/release_agent", "")


def test_v1_has_a_tree_for_each_controller(units):
    units.machine.write("proc/self/mountinfo", V1)
    whole(units)
    v1(units, "/system.slice", (9e9).__int__(), 5000)
    v1(units, "/system.slice/a.service", 1_000_000_000, 700, limit=1000)
    units.write("/cpu,cpuacct/system.slice/a.service", cpu_cfs_quota_us=20000, cpu_stat="nr_periods 10\nnr_throttled 0\nthrottled_time 0")
    units.write("/memory/system.slice/a.service", memory_stat="inactive_file 1\ntotal_inactive_file 200")
    units.write("/blkio/system.slice/a.service", blkio_throttle_io_service_bytes_recursive="8:0 Read 10\n8:0 Write 0\nTotal 10")
    blkio = units.top / "blkio/system.slice/a.service"  # of whose names only the first underscore was turned
    (blkio / "blkio.throttle_io_service_bytes_recursive").rename(blkio / "blkio.throttle.io_service_bytes_recursive")
    v1(units, "/only.in.memory", 0, 50)
    shutil.rmtree(units.top / "cpu,cpuacct/only.in.memory")
    units.run()
    units.write("/cpu,cpuacct/system.slice/a.service", cpuacct_usage=2_500_000_000,
                cpu_stat="nr_periods 110\nnr_throttled 100\nthrottled_time 4000000000")  # fmt: skip
    units.run()
    row = units.rows()["a.service"]
    assert (row.cpu, row.cpu_limit, row.throttled, row.throttled_s) == pytest.approx((0.15, 0.2, 1.0, 0.4))
    assert (row.memory_bytes, row.memory_limit, row.memory, row.tasks) == (700, 1000, 0.5, 4)
    assert isnan(row.tasks_limit)
    assert isnan(row.pressure_cpu)
    assert row.read_bytes_s == 0
    assert isnan(units.rows()["only.in.memory"].cpu)
    assert "(this container)" not in units.rows()
    assert isnan(units.rows()["system.slice"].memory_limit)
    assert units.table.layout == "v1"
    assert any("no pressure by unit" in note for note in units.table.notes)
    assert any("page cache" in note for note in units.table.notes)


def test_hybrid_takes_pressure_and_missing_accounts_from_beside(units):
    units.machine.write("proc/self/mountinfo", V1 + UNIFIED)
    whole(units)
    v1(units, "/system.slice", 0, 5000)
    v1(units, "/system.slice/a.service", 1_000_000_000, 700)
    for cpu_s in (1, 6):
        units.write("/unified/system.slice/a.service", cpu_stat="usage_usec 1", cpu_pressure=PSI.format("10.00"))
        units.write("/unified/system.slice/b.service", cpu_stat=f"usage_usec {cpu_s}000000", cpu_pressure=PSI.format("20.00"))
        units.run()
    a, b = units.rows()["a.service"], units.rows()["b.service"]
    assert (a.cpu, a.pressure_cpu) == (0, 0.1)  # v1 counts it: what v2 says of it is not mixed in
    assert (b.cpu, b.pressure_cpu) == (0.5, 0.2)
    assert isnan(b.memory_bytes)
    assert units.table.layout == "hybrid"


def test_a_container_sees_its_own_subtree(units):
    units.group("", 1, 300, cgroup_events="populated 1", memory_max=1000)
    units.group("/init.scope", 1)
    units.run()
    units.group("", 3, 300)
    units.run()
    row = units.rows()["(this container)"]
    assert (row.path, row.kind, row.depth, row.parent, row.cpu, row.memory) == ("/", "container", 0, "", pytest.approx(0.2), 0.3)
    assert units.rows()["init.scope"].parent == "/"
    assert any("this is a container" in note for note in units.table.notes)
    assert units.values()["cgroup.memory.utilization", "(this container)"] == 0.3


def test_where_one_controller_is_contained_the_others_tell_of_no_container(units):
    units.machine.write("proc/self/mountinfo", V1)
    whole(units)
    (units.top / "memory/release_agent").unlink()
    for usage_ns in (1_000_000_000, 9_000_000_000):
        v1(units, "", usage_ns, 700)
        units.run()
    row = units.rows()["(this container)"]
    assert row.memory_bytes == 700
    assert isnan(row.cpu)  # that is the machine's
    assert isnan(row.tasks)


def test_the_machines_own_root_has_no_row(units):
    units.group("/a.slice")
    units.run()
    assert [row.name for row in units.table.rows] == ["a.slice"]
    assert units.table.rows[0].parent == ""


def test_a_limit_is_its_own_only_if_none_further_up_is_smaller(units):
    units.group("/p.slice", memory_max=500)
    units.group("/p.slice/a.service", 0, 400, memory_max=800)
    units.group("/p.slice/b.service", 0, 60, memory_max=100)
    units.group("/p.slice/c.service", 0, 60, memory_max="max")
    units.run()
    limits = {name: row.memory_limit for name, row in units.rows().items()}
    assert limits["p.slice"] == 500
    assert limits["b.service"] == 100
    assert isnan(limits["a.service"])
    assert isnan(limits["c.service"])
    assert isnan(units.rows()["a.service"].memory)


def test_what_came_since_used_all_it_has_since(units):
    units.group("/system.slice", 0)
    units.group("/system.slice/a.service", 100)
    units.run()
    units.group("/system.slice/new.service", 5)
    units.run()
    assert units.rows()["new.service"].cpu == pytest.approx(0.5)
    # Made anew under the same name: another one, and its counters began at zero.
    old = units.top / "system.slice/a.service"
    old.rename(units.machine.root / "gone")
    units.group("/system.slice/a.service", 2)
    units.run()
    assert units.rows()["a.service"].cpu == pytest.approx(0.2)


def test_one_in_place_of_another_is_found_though_the_count_is_the_same(units):
    units.group("/system.slice", 0)
    units.group("/system.slice/a.service")
    units.run()
    shutil.rmtree(units.top / "system.slice/a.service")
    units.group("/system.slice/b.service")
    units.run()
    assert set(units.rows()) == {"system.slice", "b.service"}


def test_a_counter_that_ran_backwards_is_no_rate(units):
    units.group("/a.slice", 50)
    units.run()
    units.group("/a.slice", 5)
    units.run()
    assert isnan(units.rows()["a.slice"].cpu)


def test_over_a_gap_no_rate_is_told(units):
    units.group("/a.slice", 50)
    units.run()
    units.group("/a.slice", 60)
    units.run(3600)
    assert isnan(units.rows()["a.slice"].cpu)


def test_files_that_vanish_cost_their_values_alone(units):
    units.group("/system.slice", 0)
    units.group("/system.slice/a.service", 1, memory_max=100)
    units.run()
    scan = units.collector._watch._scan
    node = scan.tree.nodes["/system.slice/a.service"]
    real = scan.tree.walk

    async def walk(**how):
        await real(**how)
        for descriptor in node.descriptors.values():
            if descriptor >= 0:
                os.dup2(os.open(units.top, os.O_RDONLY), descriptor)  # reading a directory fails as a removed group's file does
        shutil.rmtree(units.top / "system.slice/a.service")

    scan.tree.walk = walk
    units.run()
    assert isnan(units.rows()["a.service"].memory_bytes)
    scan.tree.walk = real
    units.run()
    assert set(units.rows()) == {"system.slice"}
    assert units.result.health == []


def test_a_filesystem_that_does_not_count_links_is_listed_every_time(units, monkeypatch):
    units.group("/system.slice", 0)
    branch = Branch(Hierarchy(str(units.top), unified=True, whole=True), {})
    list(branch.walk())
    real = os.stat

    def one_link(path, **more):
        return os.stat_result((*real(path, **more)[:3], 1, *real(path, **more)[4:]))

    monkeypatch.setattr(os, "stat", one_link)
    for name in ("a", "b"):
        units.group(f"/system.slice/{name}.service")
        list(branch.walk())
        assert f"/system.slice/{name}.service" in branch.known


def test_the_busiest_are_shown_and_the_rest_is_summed(units):
    units.group("/system.slice", 0)
    for number in range(80):
        units.group(f"/system.slice/s{number:02}.service", 0, 1000 + number)
    units.run()
    for number in range(80):
        units.group(f"/system.slice/s{number:02}.service", number / 10, 1000 + number)
    units.run()
    rows = units.rows()
    assert len(rows) == 51
    assert "s79.service" in rows
    assert "s31.service" in rows
    assert "s30.service" not in rows  # the slice above takes a row, too
    assert units.table.total == 81
    rest = rows[REST]
    assert rest.kind == "rest"
    assert rest.cpu == pytest.approx(sum(range(31)) / 100)
    assert rest.memory_bytes == sum(range(1000, 1031))
    shown = sum(row.cpu for row in rows.values() if row.kind == "service")
    assert shown + rest.cpu == pytest.approx(sum(range(80)) / 100)


def test_what_contains_others_is_not_counted_beside_them(units):
    for step in (0, 1):
        for number in range(60):
            pod = f"/kubepods.slice/kubepods-pod{number:08x}_0000_0000_0000_000000000000.slice"
            units.group(pod, step * number, 1000)
            units.group(f"{pod}/cri-containerd-{number:012x}{0:052x}.scope", step * number, 900)
        units.run()
    rows = list(units.rows().values())
    containers = [row for row in rows if row.kind == "container"]
    assert len(rows) <= 51
    assert {row.kind for row in rows} == {"slice", "pod", "container", "rest"}
    assert all(row.parent in {other.path for other in rows} for row in rows if row.kind in {"pod", "container"})
    rest = units.rows()[REST]
    assert sum(row.cpu for row in containers) + rest.cpu == pytest.approx(sum(range(60)) / 10)
    assert rest.memory_bytes == 900 * (60 - len(containers))


def test_trouble_is_shown_however_little_it_uses(units):
    units.machine.write("proc/vmstat", "oom_kill 4\n")
    units.group("/system.slice", 0)
    for number in range(80):
        units.group(f"/system.slice/s{number:02}.service", 0, 10**6)
    quiet = "/system.slice/quiet{}.service"
    stat = "\nnr_periods {}\nnr_throttled {}\nthrottled_usec 0"
    units.group(quiet.format("-throttled"), 0, 1, cpu_max="1000 100000", stat=stat.format(10, 0))
    units.group(quiet.format("-full"), 0, 95, memory_max=100, memory_stat="inactive_file 1")
    units.group(quiet.format("-cached"), 0, 95, memory_max=100, memory_stat="inactive_file 50")
    units.group(quiet.format("-killed"), 0, 1, memory_events="oom_kill 2")
    units.group(quiet.format(""), 0, 1)
    units.run()
    units.group(quiet.format("-throttled"), 0, 1, stat=stat.format(20, 1))
    for number in range(80):
        units.group(f"/system.slice/s{number:02}.service", 1, 10**6)
    units.run()
    assert {name for name in units.rows() if name.startswith("quiet")} == {
        f"quiet-{why}.service" for why in ("throttled", "full", "killed")
    }
    assert units.values()["cgroup.memory.utilization", None] == pytest.approx(0.94)
    assert units.values()["cgroup.cpu.throttled.ratio", None] == pytest.approx(0.1)
    assert units.values()["cgroup.oom_kills", None] == 2


def test_what_is_looked_for_is_shown_too(units):
    units.group("/system.slice", 0)
    for number in range(80):
        units.group(f"/system.slice/s{number:02}.service", 0, 1000 + number)
    units.run()
    wanted = View("unit", columns=("live",), keys=(identity("/system.slice/s03.service"),))
    units.run(10, wanted, View("unit", match="S05 service"))
    assert {"s03.service", "s05.service"} <= set(units.rows())
    assert "s04.service" not in units.rows()


def test_units_are_chosen_by_name(machine):
    for globs, expected in (
        (["a*"], {"system.slice", "a.service"}),
        (["system.slice", "!b*"], {"system.slice", "a.service", "c.service"}),
        (["!system.slice"], {"user.slice", "user-1.slice"}),
        (["!b*", "!user.slice"], {"system.slice", "a.service", "c.service"}),
    ):
        units = Units(machine, units=Globs(globs))
        for path in (
            "system.slice",
            "system.slice/a.service",
            "system.slice/b.service",
            "system.slice/c.service",
            "user.slice/user-1.slice",
        ):
            units.group(f"/{path}")
        units.run()
        assert set(units.rows()) == expected, globs
        units.collector.close()


def test_series_stay_while_rows_come_and_go(units):
    units.group("/system.slice", 0)
    for number in range(60):
        units.group(f"/system.slice/s{number:02}.service", 0, 1000 + number)
    units.run()
    (first,) = units.result.measured
    assert first.interval_s == 10
    labels = {dict(series.labels).get("unit") for series in first.series}
    assert len(labels) == 1 + 49  # the totals, and those shown but the slice
    for turn in range(4):
        for number in range(60):
            units.group(f"/system.slice/s{number:02}.service", turn + (number * turn % 7), 1000 + number * turn % 97)
        units.run()
        assert units.result.measured[0].series is first.series
    for _ in range(2):  # there is a place, which is given after a minute
        units.run(25)
    (again,) = units.result.measured
    kept = again.series
    assert len({dict(series.labels).get("unit") for series in kept}) == 1 + 50
    # One that ended keeps its place, without values, until it is needed.
    gone = next(label for label in labels if label)
    shutil.rmtree(units.top / "system.slice" / gone)
    units.run()
    assert units.result.measured[0].series is kept
    assert isnan(units.values()["cgroup.cpu.utilization", gone])
    for _ in range(40):
        units.run()
    assert gone not in {dict(series.labels).get("unit") for series in units.result.measured[0].series}


def test_units_of_one_name_have_series_of_their_own(units):
    for user in ("1000", "1001"):
        units.group(f"/user.slice/user-{user}.slice/app.service", 1)
    units.run()
    assert {label for _, label in units.values()} >= {"app.service", "app.service (user-1001.slice)"}


def test_cpu_that_is_not_counted_has_no_series(units):
    units.write("/a.slice/a.service", memory_current=5)
    units.run()
    assert {name for name, unit in units.values() if unit} == set()
    assert {name for name, _ in units.values() if name.startswith("cgroup.")} == {
        f"cgroup.{name}" for name in ("cpu.utilization", "cpu.throttled.ratio", "memory.utilization", "oom_kills")
    }
    assert any("CPU use of units is not counted" in note for note in units.table.notes)


def test_looked_at_on_a_screen_it_looks_more_often(units):
    units.group("/a.slice", 0)
    units.run()
    units.run(2)
    assert units.result.measured  # the second look follows at once: rates need two
    for _ in range(4):
        assert not units.run(1).tables
    units.run(1, LIVE)
    assert units.table.at == pytest.approx(1.7e9 + units.now)
    assert not units.result.measured  # series keep their interval
    assert units.look(RECORDER)[0] is units.table
    units.now += 2
    units.group("/a.slice", 1)
    (shown,) = units.look(LIVE)
    assert shown.rows[0].cpu == pytest.approx(0.5)
    assert units.look(View("process")) == ()
    assert not units.run(10, View("process")).tables


def test_between_two_whole_looks_the_others_are_read_in_turn(units):
    units.group("/system.slice", 0)
    for number in range(80):
        units.group(f"/system.slice/s{number:02}.service", 0, 1000 + number)
    units.run()
    units.run(2, LIVE)
    for number in range(80):
        units.group(f"/system.slice/s{number:02}.service", 5, 1000 + number)
    units.group("/system.slice/new.service", 5)
    units.run(2, LIVE)
    by_path = {node.place.raw: node for node in units.collector._watch._scan.nodes}
    assert by_path["s79.service"].use.cpu == pytest.approx(2.5)
    assert by_path["new.service"].use.cpu == pytest.approx(2.5)
    read = [name for name, node in by_path.items() if node.use.cpu > 0]
    assert 50 < len(read) < 70
    for _ in range(4):
        units.run(1, LIVE)
    assert all(node.counts.usage_s == 5 for name, node in by_path.items() if name != "system.slice")


def test_killed_for_memory(units):
    units.machine.write("proc/vmstat", "oom_kill 4\n")
    for path, kills in (("/system.slice", 2), ("/system.slice/a.service", 1), ("/system.slice/b.service", 0)):
        units.group(path, 0, 1, memory_events=f"oom 9\noom_kill {kills}", memory_max=2048)
    units.run()
    assert not units.result.events
    assert units.values()["cgroup.oom_kills", None] == 2
    # v2 counts upwards: one of a's, and one of a unit that is gone already.
    for path, kills in (("/system.slice", 4), ("/system.slice/a.service", 2)):
        units.group(path, 0, 1, memory_events=f"oom_kill {kills}")
    units.run()
    assert not units.result.events  # the machine counts none: nobody was asked
    units.machine.write("proc/vmstat", "oom_kill 6\n")
    units.run()
    events = {event.scope: event for event in units.result.events}
    assert set(events) == {"system.slice", "a.service"}
    event = events["a.service"]
    assert (event.kind, event.severity, event.source) == ("oom", "critical", "cgroup")
    assert event.text == "a process of a.service was killed because memory ran out; its limit is 2.0K"
    assert event.time_hi - event.time_lo == pytest.approx(10)
    assert "or of a unit in it that has ended" in events["system.slice"].text
    assert units.values()["cgroup.oom_kills", None] == 4
    assert units.values()["cgroup.oom_kills", "a.service"] == 2
    assert units.rows()["a.service"].oom_kills == 2


def test_a_kill_that_is_counted_above_a_look_later_is_told_once(units):
    units.machine.write("proc/vmstat", "nr_free_pages 1\n")  # does not tell: every group is asked
    units.group("/s.slice", memory_events="oom_kill 0")
    units.group("/s.slice/a.service", memory_events="oom_kill 0")
    units.run()
    units.group("/s.slice/a.service", memory_events="oom_kill 1")
    assert [event.scope for event in units.run().events] == ["a.service"]
    units.group("/s.slice", memory_events="oom_kill 1")
    assert not units.run().events


def test_a_kill_that_a_table_found_is_told_by_the_next_run(units):
    units.machine.write("proc/vmstat", "nr_free_pages 1\n")
    units.group("/a.slice", memory_events="oom_kill 0")
    units.run()
    units.run(2)
    units.group("/a.slice", memory_events="oom_kill 1")
    units.now += 1
    units.look(LIVE)
    assert [event.scope for event in units.run(1).events] == ["a.slice"]
    assert not units.run(1).events


def test_the_kernel_log_tells_of_kills_where_it_can_be_read(machine):
    units = Units(machine, kernel_told=lambda: True)
    machine.write("proc/vmstat", "nothing 1\n")
    units.group("/a.slice", memory_events="oom_kill 0")
    units.run()
    units.group("/a.slice", memory_events="oom_kill 1")
    assert not units.run().events
    assert units.values()["cgroup.oom_kills", None] == 1
    units.collector.close()


def test_without_cgroups_the_table_says_so(units):
    units.machine.write("proc/self/mountinfo", "1 2 0:3 / / rw - ext4 x rw\n")
    units.run()
    assert (units.table.rows, units.table.layout, units.table.total) == ([], "", 0)
    assert "no cgroup filesystem is mounted" in units.table.notes[0]
    health = {health.target: health for health in units.result.health}
    assert (health["cgroups"].state, health["systemd"].state) == ("off", "off")
    assert "mount it" in health["cgroups"].fix
    assert units.result.measured == ()
    units.machine.write("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    units.group("/a.slice")
    units.run(60)
    assert set(units.rows()) == {"a.slice"}
    assert [(health.target, health.state) for health in units.result.health] == [("cgroups", "ok")]


def test_groups_that_may_not_be_read(machine):
    """As somebody who is not root: in a directory that such a one can reach."""
    root = Path(tempfile.mkdtemp(prefix="units-"))
    try:
        shutil.copytree(machine.root, root, dirs_exist_ok=True)
        machine.root = root
        units = Units(machine)
        for path in ("/open.slice", "/shut.slice/a.service"):
            units.group(path)
        units.write("/open.slice", memory_max=5)
        (units.top / "open.slice/memory.current").chmod(0)
        (units.top / "shut.slice").chmod(0o311)
        for folder, _, _ in os.walk(root):
            if not folder.endswith("shut.slice"):
                Path(folder).chmod(0o755)
        own = os.geteuid()
        units.collector._watching()  # what it is made of may lie where only root reads
        if own == 0:
            os.seteuid(65534)
        try:
            units.run()
        finally:
            os.seteuid(own)
        assert isnan(units.rows()["open.slice"].memory_bytes)
        assert units.rows()["open.slice"].memory_limit == 5
        assert set(units.rows()) == {"open.slice", "shut.slice"}
        health = {health.target: health for health in units.result.health}["cgroups"]
        assert (health.state, "/shut.slice" in health.error, "memory.current" in health.error) == ("denied", True, True)
        assert health.fix
        assert any("may not be listed: /shut.slice" in note for note in units.table.notes)
        units.collector.close()
    finally:
        (root / "sys/fs/cgroup/shut.slice").chmod(0o755)
        shutil.rmtree(root)


def test_hostile_names_reach_no_screen(units):
    name = "a\x1b[2J\u202e\udcff.service"
    (units.top / name).mkdir(parents=True)
    units.run()
    (row,) = units.table.rows
    assert row.name.isprintable()
    assert row.path.isprintable()
    row.path.encode()


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_descriptors_are_kept_within_a_share_and_given_back(units):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = open_files()
    for number in range(60):
        units.group(f"/s{number}.slice", number, number)
    limit = before + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, hard), hard))
    try:
        units.run()
        assert open_files() - before <= limit // 4
        units.group("/s59.slice", 69)
        units.run()
        assert units.rows()["s59.slice"].cpu == pytest.approx(1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    kept = open_files()
    for number in range(60):
        shutil.rmtree(units.top / f"s{number}.slice")
    units.run()
    assert open_files() < kept - 20
    units.collector.close()
    assert open_files() <= before


def test_without_a_descriptor_to_be_had_nothing_is_raised(units):
    for number in range(10):
        units.group(f"/s{number}.slice", number, number)
    units.run()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = open_files()
    for number in range(10, 20):
        units.group(f"/s{number}.slice", number, number)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))
    try:
        units.run()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    units.run()
    assert units.rows()["s19.slice"].memory_bytes == 19


def test_more_groups_than_are_looked_at(units, monkeypatch):
    from perfconsole.collectors.units import branch

    monkeypatch.setattr(branch, "MOST", 20)
    for number in range(40):
        units.group(f"/s{number:02}.slice")
    units.run()
    assert units.table.total <= 20
    assert any("more groups than" in note for note in units.table.notes)


def test_containers_and_pods_that_come_and_go_are_told(units):
    pod = "/kubepods.slice/kubepods-pod0123abcd_0123_0123_0123_0123456789ab.slice"
    first, second = (f"{pod}/cri-containerd-{letter * 64}.scope" for letter in "ab")
    docker = f"/system.slice/docker-{'c' * 64}.scope"
    units.group("/system.slice")
    units.group(docker)
    assert units.run().events == [], "what was there before is no news"
    for path in (pod, first):
        units.group(path)
    events = units.run().events
    assert [(event.kind, event.text) for event in events] == [("unit", "pod:0123abcd-0123 was started")]
    assert events[0].time_hi - events[0].time_lo == 10.0
    units.end(first)
    units.group(second)
    units.end(docker)
    assert [event.text for event in units.run().events] == [
        f"docker:{'c' * 12} ended", f"pod:{'a' * 12} ended", f"pod:{'b' * 12} was started",
    ]  # fmt: skip


def test_a_machine_that_runs_jobs_all_the_time_is_one_line(units):
    units.group("/system.slice")
    units.run()
    told = []
    for turn in range(75):
        path = f"/system.slice/docker-{turn:012d}{0:052d}.scope"
        units.group(path)
        told += units.run().events
        units.end(path)
    assert len(told) == 11
    assert told[10].text == "further containers and pods: 55 were started, 54 ended within 9m20s"
    for _ in range(121):
        told += units.run().events
    assert len(told) == 12
    units.group(path)
    assert [event.text for event in units.run().events] == ["docker:000000000074 was started"]


def test_one_that_comes_back_at_once_was_started_again(units):
    docker = f"/system.slice/docker-{'c' * 64}.scope"
    units.group(docker)
    units.run()
    aside = units.top / "aside"
    (units.top / docker.strip("/")).rename(aside)  # so that its inode is not given to the next
    units.group(docker)
    shutil.rmtree(aside)
    assert [event.text for event in units.run().events] == [f"docker:{'c' * 12} was started again"]
