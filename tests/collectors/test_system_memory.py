"""Memory arithmetic on written trees."""

from math import isnan

import pytest

KIB = 1024


def test_memory_counts_what_is_available(machine):
    values = machine.run(machine.collector())
    assert values("memory.utilization") == pytest.approx(0.4)
    assert values("memory.limit") == values("memory.total") == 1000000 * KIB
    states = {state: values("memory.usage", state=state) / KIB for state in values.labels("memory.usage", "state")}
    arc = states.pop("arc")
    assert isnan(arc)
    assert states == {
        "used": 400000, "free": 200000, "available": 600000, "cached": 330000, "buffers": 10000, "slab": 50000, "zswap": 7000,
    }  # fmt: skip


def test_swap_and_counters(machine):
    values = machine.run(machine.collector())
    assert values("paging.utilization") == pytest.approx(0.2)
    assert values("paging.usage", state="used") == 100000 * KIB
    assert values("paging.operations", direction="in") == 11
    assert values("paging.operations", direction="out") == 22
    assert values("paging.faults", type="major") == 33
    assert values("oom_kills") == 4


def test_no_swap_is_not_0_percent_of_it(machine):
    machine.write("proc/meminfo", "MemTotal: 100 kB\nMemFree: 50 kB\nMemAvailable: 60 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n")
    values = machine.run(machine.collector())
    assert isnan(values("paging.utilization"))
    assert values("paging.usage", state="used") == 0


def test_the_zfs_cache_counts_as_used_only_down_to_its_minimum(machine):
    arc = f"13 1 0x01 123 33456 1 2\nname type data\nhits 4 5\nc_min 4 {50000 * KIB}\nsize 4 {250000 * KIB}\nc_max 4 9\n"
    machine.write("proc/spl/kstat/zfs/arcstats", arc)
    values = machine.run(machine.collector())
    assert values("memory.usage", state="arc") == 250000 * KIB
    assert values("memory.usage", state="used") == 200000 * KIB
    assert values("memory.utilization") == pytest.approx(0.2)


def test_kernels_that_do_not_say_what_is_available(machine):
    machine.write(
        "proc/meminfo", "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 300 kB\nShmem: 100 kB\nSReclaimable: 50 kB\n"
    )
    assert machine.run(machine.collector())("memory.utilization") == pytest.approx(0.6)


def unified(machine, folder, **files):
    for name, text in files.items():
        machine.write(f"sys/fs/cgroup/{folder}/{name.replace('_', '.', 1)}", text)


def test_the_smallest_limit_on_the_way_up_wins_with_its_own_usage(machine):
    machine.write("proc/self/cgroup", "0::/pods/pod1/box\n")
    unified(machine, "pods/pod1/box", memory_max="max\n", memory_current="1\n", memory_stat="inactive_file 0\n")
    unified(machine, "pods/pod1", memory_max=f"{512 * 2**20}\n", memory_current=f"{400 * 2**20}\n",
            memory_stat=f"anon 1\nfile {150 * 2**20}\nslab 77\nzswap 88\ninactive_file {144 * 2**20}\n")  # fmt: skip
    unified(machine, "pods", memory_max=f"{700 * 2**20}\n", memory_current=f"{650 * 2**20}\n", memory_stat="inactive_file 0\n")
    values = machine.run(machine.collector())
    assert values("memory.limit") == 512 * 2**20
    assert values("memory.total") == 1000000 * KIB
    assert values("memory.utilization") == pytest.approx(0.5)
    assert values("memory.usage", state="used") == 256 * 2**20
    assert values("memory.usage", state="free") == 112 * 2**20
    assert values("memory.usage", state="cached") == 150 * 2**20
    assert values("memory.usage", state="slab") == 77
    assert values("memory.usage", state="zswap") == 88


def test_a_limit_above_what_is_installed_binds_nobody(machine):
    machine.write("proc/self/cgroup", "0::/big\n")
    unified(machine, "big", memory_max=f"{2**40}\n", memory_current="5\n", memory_stat="inactive_file 0\n")
    values = machine.run(machine.collector())
    assert values("memory.limit") == 1000000 * KIB
    assert values("memory.utilization") == pytest.approx(0.4)


V1 = """32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 {root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""


def v1_memory(machine, folder, limit, usage=0, inactive=0):
    machine.write(f"sys/fs/cgroup/memory{folder}/memory.limit_in_bytes", f"{limit}\n")
    machine.write(f"sys/fs/cgroup/memory{folder}/memory.usage_in_bytes", f"{usage}\n")
    machine.write(
        f"sys/fs/cgroup/memory{folder}/memory.stat", f"cache 1\ninactive_file 3\ntotal_cache 44\ntotal_inactive_file {inactive}\n"
    )


def test_v1_counts_the_cgroups_below_and_its_sentinel_is_no_limit(machine):
    machine.write("proc/self/mountinfo", V1.format(root="/"))
    machine.write("proc/self/cgroup", "4:memory:/svc/worker\n1:cpu,cpuacct:/\n0::/\n")
    v1_memory(machine, "", 9223372036854771712, 10**12)
    v1_memory(machine, "/svc", 400 * 2**20, 300 * 2**20, 100 * 2**20)
    v1_memory(machine, "/svc/worker", 9223372036854771712)
    values = machine.run(machine.collector())
    assert values("memory.limit") == 400 * 2**20
    assert values("memory.utilization") == pytest.approx(0.5)
    assert values("memory.usage", state="cached") == 44


@pytest.mark.parametrize(
    ("root", "own", "folder"),
    [
        ("/docker/abc", "/docker/abc", ""),  # docker without a cgroup namespace: the mount shows only the container's part
        ("/docker/abc", "/docker/abc/init", "/init"),
        ("/", "/", ""),  # a cgroup namespace: both are seen from the container's root
        ("/..", "/", ""),  # mounted outside that namespace: what holds for the mount's root holds for us
        ("/", "/../../other", ""),  # a process moved out of its namespace's root
        ("/", "/kube/gone", ""),  # the cgroup is not in what is mounted here
    ],
)
def test_where_the_own_cgroup_is_in_a_container(machine, root, own, folder):
    machine.write("proc/self/mountinfo", V1.format(root=root))
    machine.write("proc/self/cgroup", f"4:memory:{own}\n0::/\n")
    v1_memory(machine, folder, 100 * 2**20, 30 * 2**20, 5 * 2**20)
    values = machine.run(machine.collector())
    assert values("memory.limit") == 100 * 2**20
    assert values("memory.utilization") == pytest.approx(0.25)


def test_hybrid_layouts_take_each_controller_from_where_it_is(machine):
    machine.write(
        "proc/self/mountinfo",
        V1.format(root="/").replace("32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n", ""),
    )
    machine.write("proc/self/cgroup", "4:memory:/m\n9:name=systemd:/x\n0::/u\n")
    v1_memory(machine, "/m", 100 * 2**20, 50 * 2**20)
    machine.write("sys/fs/cgroup/unified/u/cpu.max", "50000 100000\n")
    machine.write("sys/fs/cgroup/unified/u/cpu.stat", "usage_usec 1\nnr_periods 1\nnr_throttled 0\nthrottled_usec 0\n")
    values = machine.run(machine.collector())
    assert values("memory.limit") == 100 * 2**20
    assert values("cpu.limit") == 0.5


def test_a_limit_that_is_set_later_is_noticed(machine):
    collector = machine.collector()
    assert machine.run(collector)("memory.limit") == 1000000 * KIB
    machine.write("proc/self/cgroup", "0::/late\n")
    unified(machine, "late", memory_max="1048576\n", memory_current="524288\n", memory_stat="inactive_file 0\n")
    assert machine.run(collector, after_s=31.0)("memory.limit") == 1048576


def test_of_equal_limits_the_outer_one_binds_for_it_is_shared(machine):
    machine.write("proc/self/cgroup", "0::/pod/box\n")
    unified(machine, "pod/box", memory_max="1048576\n", memory_current="262144\n", memory_stat="inactive_file 0\n")
    unified(machine, "pod", memory_max="1048576\n", memory_current="786432\n", memory_stat="inactive_file 0\n")
    assert machine.run(machine.collector())("memory.utilization") == pytest.approx(0.75)


@pytest.mark.parametrize("swapped", [False, True])
def test_of_two_mounts_the_one_that_shows_more_of_the_way_up_is_walked(machine, swapped):
    rows = [
        "35 31 0:32 /pods/box /sys/fs/cgroup/narrow rw - cgroup cgroup rw,memory\n",
        "36 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
    ]
    machine.write("proc/self/mountinfo", "".join(reversed(rows) if swapped else rows))
    machine.write("proc/self/cgroup", "4:memory:/pods/box\n")
    machine.write("sys/fs/cgroup/narrow/memory.limit_in_bytes", "9223372036854771712\n")
    v1_memory(machine, "/pods/box", 9223372036854771712)
    v1_memory(machine, "/pods", 100 * 2**20, 50 * 2**20)
    assert machine.run(machine.collector())("memory.limit") == 100 * 2**20
