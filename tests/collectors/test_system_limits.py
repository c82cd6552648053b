"""CPU quotas: written trees for both cgroup versions, and real child cgroups where this test may make them."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from math import isnan
from pathlib import Path

import pytest
from quiet import measuring

V1_CPU = """32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
33 31 0:30 / /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct
"""


def unified_cpu(machine, quota, usage_usec, periods, throttled, throttled_usec):
    machine.write("sys/fs/cgroup/box/cpu.max", quota)
    stat = f"usage_usec {usage_usec}\nuser_usec 1\nnr_periods {periods}\nnr_throttled {throttled}\nthrottled_usec {throttled_usec}\n"
    machine.write("sys/fs/cgroup/box/cpu.stat", stat)


def test_a_quota_scales_the_total_and_its_throttling_is_shown(machine):
    machine.write("proc/self/cgroup", "0::/box/inner\n")
    machine.write("sys/fs/cgroup/box/inner/cpu.max", "max 100000\n")
    unified_cpu(machine, "50000 100000\n", 1_000_000, 100, 10, 2_000_000)
    collector = machine.collector()
    first = machine.run(collector)
    assert isnan(first("cpu.utilization"))
    assert isnan(first("cpu.throttled.ratio"))
    assert first("cpu.throttled.time") == pytest.approx(2.0)
    assert first("cpu.limit") == 0.5
    assert first("cpu.logical.count") == 2
    unified_cpu(machine, "50000 100000\n", 1_800_000, 120, 15, 3_000_000)
    values = machine.run(collector)  # 0.8 s of CPU in 2 s, where 1 s is allowed
    assert values("cpu.utilization") == pytest.approx(0.8)
    assert values("cpu.throttled.ratio") == pytest.approx(0.25)
    assert values("cpu.throttled.time") == pytest.approx(3.0)


def test_a_quota_above_the_machine_does_not_bind(machine):
    machine.write("proc/self/cgroup", "0::/box\n")
    unified_cpu(machine, "800000 100000\n", 1, 1, 0, 0)
    collector = machine.collector()
    machine.run(collector)
    machine.write("proc/stat", "cpu 400 20 100 1700 40 4 6 10 50 5\ncpu0 1 1 1 1\ncpu1 1 1 1 1\nintr 1\n")
    values = machine.run(collector)
    assert values("cpu.limit") == 2
    assert values("cpu.utilization") == pytest.approx(0.5)


def test_v1_quota_with_a_separate_accounting_controller(machine):
    machine.write("proc/self/mountinfo", V1_CPU)
    machine.write("proc/self/cgroup", "1:cpu:/a\n2:cpuacct:/a\n")
    machine.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    machine.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    machine.write("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "150000\n")
    machine.write("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n")
    machine.write("sys/fs/cgroup/cpu/a/cpu.stat", "nr_periods 10\nnr_throttled 0\nthrottled_time 3000000000\n")
    machine.write("sys/fs/cgroup/cpuacct/a/cpuacct.usage", "1000000000\n")
    collector = machine.collector()
    first = machine.run(collector)
    assert first("cpu.limit") == 1.5
    assert first("cpu.throttled.time") == pytest.approx(3.0)
    machine.write("sys/fs/cgroup/cpuacct/a/cpuacct.usage", "2500000000\n")
    assert machine.run(collector)("cpu.utilization") == pytest.approx(0.5)
    # Counters of a cgroup that was made anew: not a negative rate.
    machine.write("sys/fs/cgroup/cpuacct/a/cpuacct.usage", "5\n")
    assert isnan(machine.run(collector)("cpu.utilization"))


def test_accounts_of_another_cgroup_are_not_taken_for_ours(machine):
    machine.write("proc/self/mountinfo", V1_CPU)
    machine.write("proc/self/cgroup", "1:cpu:/a\n2:cpuacct:/\n")
    machine.write("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "100000\n")
    machine.write("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n")
    machine.write("sys/fs/cgroup/cpuacct/cpuacct.usage", "1\n")
    collector = machine.collector()
    machine.run(collector)
    assert isnan(machine.run(collector)("cpu.utilization"))


IDLE, BUSY = "0 0 0 100 0 0 0 0 0 0", "90 0 0 100 5 0 0 5 0 0"


def four_cpus(machine, *busy):
    """What four CPUs counted: nothing, or 100 ticks in which those were busy for 95, 5 of them stolen, and waited for 5."""
    rows = [f"cpu{n} {BUSY if n in busy else '0 0 0 200 0 0 0 0 0 0' if busy else IDLE}\n" for n in range(4)]
    machine.write("proc/stat", f"cpu {len(busy) * 90} 0 0 600 9 0 0 9 0 0\n" + "".join(rows) + "intr 1\n")


@pytest.mark.parametrize(
    "files",
    [
        {"proc/self/cgroup": "0::/box/inner\n", "sys/fs/cgroup/box/inner/cpu.max": "max 100000\n",
         "sys/fs/cgroup/box/cpuset.cpus.effective": "1-2\n"},
        {"proc/self/mountinfo": "34 31 0:31 /docker/x /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n",
         "proc/self/cgroup": "4:cpuset:/docker/x\n", "sys/fs/cgroup/cpuset/cpuset.effective_cpus": "1,2\n"},
        {"proc/self/mountinfo": "", "proc/self/status": "Name:\tx\nCpus_allowed_list:\t1-2\nMems_allowed_list:\t0\n"},
    ],
    ids=["unified", "v1", "no cgroup told"],
)  # fmt: skip
def test_the_total_is_that_of_the_cpu_set(machine, files):
    for path, text in {"proc/self/status": "Name:\tx\nCpus_allowed_list:\t0-3\n", **files}.items():
        machine.write(path, text)
    four_cpus(machine)
    collector = machine.collector()
    first = machine.run(collector)
    assert (first("cpu.limit"), first("cpu.logical.count")) == (2, 4)
    four_cpus(machine, 1, 2)
    values = machine.run(collector)
    assert values("cpu.utilization") == pytest.approx(0.95)
    assert values("cpu.iowait.ratio") == pytest.approx(0.05)
    assert values("cpu.steal.ratio") == pytest.approx(0.05)
    assert values("cpu.time", mode="user") == pytest.approx(1.8)
    assert values.labels("cpu.utilization", "cpu") == ["0", "1", "2", "3"]


def test_a_busy_neighbour_on_other_cpus_is_not_in_the_total(machine):
    machine.write("sys/fs/cgroup/cpuset.cpus.effective", "0\n")
    four_cpus(machine)
    collector = machine.collector()
    machine.run(collector)
    four_cpus(machine, 1, 2, 3)
    assert machine.run(collector)("cpu.utilization") == 0


def test_an_affinity_narrower_than_the_set_says_nothing_of_the_machine(machine):
    """isolcpus leaves two CPUs to those who do not ask for more; a monitor that shows only these is blind to what the others are for."""
    machine.write("proc/self/status", "Name:\tx\nCpus_allowed_list:\t0\n")
    machine.write("sys/fs/cgroup/cpuset.cpus.effective", "0-3\n")
    four_cpus(machine)
    assert machine.run(machine.collector())("cpu.limit") == 4


def test_a_set_that_changes_gives_no_rate_between_the_two(machine):
    machine.write("sys/fs/cgroup/cpuset.cpus.effective", "0\n")
    four_cpus(machine, 1, 2)
    collector = machine.collector(interval_s=15.0)
    before = machine.run(collector)
    machine.write("sys/fs/cgroup/cpuset.cpus.effective", "1-2\n")
    changed = machine.run(collector, after_s=31.0)
    assert changed("cpu.limit") == 2
    assert isnan(changed("cpu.utilization"))
    assert isnan(changed("cpu.time", mode="user"))
    assert isnan(changed("cpu.time"))
    assert (before("cpu.time", mode="user"), machine.run(collector, after_s=15.0)("cpu.time", mode="user")) == (0, pytest.approx(1.8))


def test_a_set_that_lxcfs_shows_as_a_machine_of_its_own_is_all_of_it(machine):
    machine.write("sys/fs/cgroup/cpuset.cpus.effective", "1-2\n")
    machine.write("proc/stat", f"cpu {IDLE}\ncpu0 {IDLE}\ncpu1 {IDLE}\nintr 1\n")
    collector = machine.collector()
    machine.run(collector)
    machine.write("proc/stat", f"cpu {BUSY}\ncpu0 {BUSY}\ncpu1 {IDLE}\nintr 1\n")
    assert machine.run(collector)("cpu.utilization") == pytest.approx(0.95)


def test_the_cpu_set_limits(machine):
    machine.write("proc/self/status", "Name:\tx\nCpus_allowed_list:\t1\nMems_allowed_list:\t0\n")
    assert machine.run(machine.collector())("cpu.limit") == 1
    machine.write("proc/self/status", "Name:\tx\n")
    assert machine.run(machine.collector())("cpu.limit") == 2


MEASURE = textwrap.dedent("""
    import asyncio, json, time
    from math import nan
    from perfconsole.collectors.system import SystemCollector
    from perfconsole.core.ports import Slot

    def now():
        return Slot(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), nan)

    held = bytearray(b"x" * (8 << 20))
    collector = SystemCollector(interval_s=1.0)
    asyncio.run(collector.run("host", now(), ()))
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        pass
    (measured,) = asyncio.run(collector.run("host", now(), ())).measured
    print(json.dumps({f"{s.name} {dict(s.labels)}": v for s, v in zip(measured.series, measured.values)}))
""")


@contextmanager
def child_cgroups(**settings):
    """Real children of this test's own v1 cgroups, removed afterwards."""
    made = []
    try:
        for controller, files in settings.items():
            own = next(
                (line.split(":", 2)[2] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.split(":")[1] == controller),
                None,
            )
            if own is None:
                pytest.skip(f"no v1 {controller} controller here")
            folder = Path(f"/sys/fs/cgroup/{controller}{own.rstrip('/')}/perfconsole-test-{os.getpid()}")
            try:
                folder.mkdir()
                made.append(folder)
                for name, text in files.items():
                    (folder / name).write_text(text)
            except OSError as error:
                pytest.skip(f"may not make a cgroup here: {error}")
        yield made
    finally:
        for folder in made:
            folder.rmdir()


def measure_in(folders):
    def enter():
        for folder in folders:
            (folder / "cgroup.procs").write_text(str(os.getpid()))

    done = subprocess.run([sys.executable, "-c", MEASURE], preexec_fn=enter, capture_output=True, check=True, timeout=120)
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_real_memory_limit_binds():
    limit = 64 * 2**20
    with child_cgroups(memory={"memory.limit_in_bytes": str(limit)}) as folders:
        values = measure_in(folders)
    assert values["system.memory.limit {}"] == limit
    used = values["system.memory.usage {'state': 'used'}"]
    assert 8 * 2**20 < used < limit
    assert values["system.memory.utilization {}"] == pytest.approx(used / limit)
    assert values["system.memory.total {}"] == pytest.approx(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), rel=0.05)


@pytest.mark.slow
@measuring
def test_a_real_quota_is_what_a_busy_loop_fills_and_is_throttled_at():
    # So little that it is to be had beside busy neighbours, too.
    with child_cgroups(cpu={"cpu.cfs_period_us": "50000", "cpu.cfs_quota_us": "10000"}, cpuacct={}) as folders:
        values = measure_in(folders)
    assert values["system.cpu.limit {}"] == pytest.approx(0.2)
    assert values["system.cpu.utilization {}"] > 0.3  # of the machine it is a tenth at most
    assert values["system.cpu.throttled.ratio {}"] > 0
    assert values["system.cpu.throttled.time {}"] > 0


@pytest.mark.slow
@measuring
def test_a_real_cpu_set_is_what_a_busy_loop_fills():
    last = os.cpu_count() - 1
    if not last:
        pytest.skip("one CPU has no part")
    with child_cgroups(cpuset={"cpuset.mems": "0", "cpuset.cpus": str(last)}) as folders:
        values = measure_in(folders)
    assert (values["system.cpu.limit {}"], values["system.cpu.logical.count {}"]) == (1, last + 1)
    assert values["system.cpu.utilization {}"] > 0.8
    assert values["system.cpu.utilization {}"] == pytest.approx(values[f"system.cpu.utilization {{'cpu': '{last}'}}"])


def test_when_another_level_comes_to_bind_its_counters_are_not_compared_with_the_old_ones(machine):
    machine.write("proc/self/cgroup", "0::/box/inner\n")
    machine.write("sys/fs/cgroup/box/inner/cpu.max", "max 100000\n")
    machine.write("sys/fs/cgroup/box/inner/cpu.stat", "usage_usec 9000000\nnr_periods 900\nnr_throttled 800\nthrottled_usec 5\n")
    unified_cpu(machine, "50000 100000\n", 1_000_000, 100, 10, 0)
    collector = machine.collector(interval_s=15.0)
    machine.run(collector)
    machine.write("sys/fs/cgroup/box/inner/cpu.max", "20000 100000\n")
    values = machine.run(collector, after_s=31.0)
    assert values("cpu.limit") == pytest.approx(0.2)
    assert isnan(values("cpu.utilization"))
    assert isnan(values("cpu.throttled.ratio"))


def test_a_limit_whose_cgroup_is_gone_is_looked_for_at_once(machine):
    """We were moved out of it and it was removed: until the next walk its files would be missed, and the wrong limit shown."""
    machine.write("proc/self/cgroup", "0::/box\n")
    unified_cpu(machine, "50000 100000\n", 1_000_000, 100, 10, 0)
    collector = machine.collector()
    assert machine.run(collector)("cpu.limit") == pytest.approx(0.5)
    machine.write("proc/self/cgroup", "0::/\n")
    shutil.rmtree(machine.root / "sys/fs/cgroup/box")
    values = machine.run(collector)
    assert values("cpu.limit") == 2.0
    assert not values.health
