"""Disks and networks on written trees: what is summed, what is only shown, and what no counter may do."""

from math import isnan

import pytest

from perfconsole.collectors.system.parts import distinct
from perfconsole.core.globs import Globs

SDA = "   8       0 sda {reads} 0 {sectors} {read_ms} 50 0 1000 250 0 {busy} 750\n"


def test_disks_sum_physical_devices_and_show_those_above_them(machine):
    values = machine.run(machine.collector())
    assert values.labels("disk.io", "device") == ["dm-0", "sda"]  # neither a partition, a loop nor a dm that was never used
    assert values("disk.io", direction="read") == values("disk.io", device="sda", direction="read") == 2000 * 512
    assert values("disk.io", device="sda", direction="write") == 1000 * 512
    assert values("disk.operations", direction="write") == 50
    assert values("disk.io_time", device="sda") == pytest.approx(0.6)
    assert values("disk.io_time") == pytest.approx(0.6)
    assert values("disk.io", device="dm-0", direction="write") == 40 * 512


def test_await_is_of_the_last_interval(machine):
    collector = machine.collector()
    machine.run(collector)
    machine.write("proc/diskstats", SDA.format(reads=110, sectors=2000, read_ms=700, busy=700))
    values = machine.run(collector)
    assert values("disk.wait", device="sda") == pytest.approx(0.020)
    assert values("disk.wait") == pytest.approx(0.020)
    assert isnan(machine.run(collector)("disk.wait"))  # nothing was done: there is no mean


def test_a_disk_that_joins_leaves_or_starts_anew_is_no_traffic(machine):
    collector = machine.collector()
    first = machine.run(collector)("disk.io", direction="read")
    machine.write("sys/block/sdb/device/model", "usb")
    machine.write("proc/diskstats", SDA.format(reads=100, sectors=2000, read_ms=500, busy=600) + "   8 16 sdb 9 0 99999 1 9 0 9 1 0 1 1\n")
    assert machine.run(collector)("disk.io", direction="read") == first
    machine.write("proc/diskstats", SDA.format(reads=100, sectors=2010, read_ms=500, busy=600))
    assert machine.run(collector)("disk.io", direction="read") == first + 10 * 512
    machine.write("proc/diskstats", SDA.format(reads=1, sectors=4, read_ms=5, busy=6))
    values = machine.run(collector)
    assert values("disk.io", direction="read") == first + 10 * 512
    assert isnan(values("disk.wait", device="sda"))


def test_disks_are_chosen_by_globs(machine):
    values = machine.run(machine.collector(disks=Globs(["loop*", "sda1"])))
    assert values.labels("disk.io", "device") == ["loop0", "sda1"]
    assert machine.run(machine.collector(disks=Globs(["!dm-*"]))).labels("disk.io", "device") == ["sda"]


def test_a_path_to_a_disk_is_not_a_second_disk(machine):
    """nvme0n1 stands for its paths and counts what goes over them; both have a device."""
    for name, hidden in (("nvme0n1", "0"), ("nvme0c0n1", "1")):
        machine.write(f"sys/block/{name}/hidden", hidden + "\n")
        machine.write(f"sys/block/{name}/device/model", "x")
    line = " 259 {} {} 100 0 2000 500 50 0 1000 250 0 600 750\n"
    machine.write("proc/diskstats", line.format(0, "nvme0n1") + line.format(1, "nvme0c0n1"))
    values = machine.run(machine.collector())
    assert values.labels("disk.io", "device") == ["nvme0n1"]
    assert values("disk.io", direction="read") == 2000 * 512
    asked = machine.run(machine.collector(disks=Globs(["nvme0c*"])))
    assert asked.labels("disk.io", "device") == ["nvme0c0n1"]


def test_without_physical_disks_the_sum_is_unknown(machine):
    machine.remove("sys/block/sda/device/model")
    (machine.root / "sys/block/sda/device").rmdir()
    assert isnan(machine.run(machine.collector())("disk.io", direction="read"))


def test_what_an_interface_counts_of_another_is_counted_once(machine):
    """netvsc adds up what its virtual function carried; a bond is no physical interface, and its members are."""
    line = "{}: {} 1 0 0 0 0 0 0 {} 1 0 0 0 0 0 0\n"
    for name in ("enP1", "eth1"):
        machine.write(f"sys/class/net/{name}/device/vendor", "x")
    machine.write("sys/class/net/bond0/mtu", "1500")
    machine.write(
        "proc/net/dev",
        "a\nb\n" + "".join(line.format(name, n, n) for name, n in (("eth0", 900), ("enP1", 800), ("eth1", 70), ("bond0", 70))),
    )
    (machine.root / "sys/class/net/enP1/master").symlink_to("../eth0")
    (machine.root / "sys/class/net/eth1/master").symlink_to("../bond0")
    values = machine.run(machine.collector())
    assert values("network.io", direction="receive") == 970
    assert values("network.io", direction="receive", interface="enP1") == 800


def test_names_that_cleaning_made_alike_are_told_apart():
    assert distinct(["a", "a~2", "a", "a", "b"]) == ["a", "a~2", "a~3", "a~4", "b"]
    assert distinct(["a", "a", "a~2"]) == ["a", "a~2", "a~2~2"]


def test_networks_sum_physical_interfaces_and_show_the_others(machine):
    values = machine.run(machine.collector())
    assert values.labels("network.io", "interface") == ["docker0", "eth0", "lo", "veth12"]
    assert values("network.io", direction="receive") == values("network.io", interface="eth0", direction="receive") == 10000
    assert values("network.packets", direction="transmit") == 200
    assert values("network.errors", direction="receive") == 1
    assert values("network.dropped", direction="transmit") == 4
    assert values("network.io", interface="docker0", direction="transmit") == 800
    assert values.labels("network.errors", "interface") == ["docker0", "eth0", "lo"]  # one end of many pairs: its bytes only


def test_networks_are_chosen_by_globs(machine):
    values = machine.run(machine.collector(networks=Globs(["veth*", "dummy0"])))
    assert values.labels("network.errors", "interface") == ["dummy0", "veth12"]


def test_in_a_container_the_interfaces_that_are_there_are_summed(machine):
    machine.remove("sys/class/net/eth0/device/vendor")
    (machine.root / "sys/class/net/eth0/device").rmdir()
    values = machine.run(machine.collector())
    assert values("network.io", direction="receive") == 10000 + 300  # not the loopback, and not the bridge over them


def test_an_interface_that_comes_and_goes(machine):
    head = "a\nb\n"
    line = "{name}: {rx} 1 0 0 0 0 0 0 {tx} 1 0 0 0 0 0 0\n"
    machine.write("sys/class/net/eth1/device/vendor", "x")
    machine.write("proc/net/dev", head + line.format(name="eth0", rx=100, tx=200))
    collector = machine.collector()
    assert machine.run(collector)("network.io", direction="receive") == 100
    machine.write("proc/net/dev", head + line.format(name="eth0", rx=110, tx=200) + line.format(name="eth1", rx=10**9, tx=1))
    values = machine.run(collector)
    assert values("network.io", direction="receive") == 110
    assert values("network.io", interface="eth1", direction="receive") == 10**9
    machine.write("proc/net/dev", head + line.format(name="eth1", rx=10**9 + 5, tx=1))
    assert machine.run(collector)("network.io", direction="receive") == 115


def test_hostile_names_are_cleaned_and_stay_apart(machine):
    names = ["a\x1b[31m", "b\x07", "b\u2407", "../../x", "al:ias", "\u202e", "\u202d"]
    machine.write("proc/net/dev", "a\nb\n" + "".join(f"{name}: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n" for name in names))
    machine.write("proc/diskstats", "   8 0 s\x1b]52;c;x\x07 1 0 1 1 1 0 1 1 0 1 1\n")
    machine.write("sys/block/s\x1b]52;c;x\x07/device/x", "")
    values = machine.run(machine.collector())
    labels = values.labels("network.io", "interface") + values.labels("disk.io", "device")
    assert len(labels) == len(names) + 1
    assert all(label.isprintable() for label in labels)
    assert "al:ias" in labels


def test_tcp_columns_are_found_by_name(machine):
    values = machine.run(machine.collector())
    assert values("tcp.retransmits") == 33
    assert values("tcp.established") == 12


def test_open_files(machine):
    values = machine.run(machine.collector())
    assert values("fd.open") == 400
    assert values("fd.utilization") == pytest.approx(0.4)
    assert values("uptime") == 964.4


def test_both_directions_have_one_unlabelled_sum(machine):
    values = machine.run(machine.collector())
    assert values("disk.io") == (2000 + 1000) * 512
    assert values("disk.operations") == 100 + 50
    assert values("network.io") == 10000 + 20000
    assert values("network.packets") == 100 + 200
    assert values("network.errors") == 1 + 3
    assert values("network.dropped") == 2 + 4
    assert values("paging.operations") == 11 + 22


def test_what_has_states_is_unlabelled_what_is_used_of_it(machine):
    values = machine.run(machine.collector())
    assert values("memory.usage") == values("memory.usage", state="used") == 400000 * 1024
    assert values("paging.usage") == values("paging.usage", state="used")
    busy = ("user", "nice", "system", "irq", "softirq", "steal", "guest", "guest_nice")
    assert values("cpu.time") == pytest.approx(sum(values("cpu.time", mode=mode) for mode in busy)) == pytest.approx(4.4)


def test_the_unlabelled_busy_time_grows_as_that_of_the_busiest_disk(machine):
    """Four disks at 30 % are not one at 120 %: a threshold on the utilisation would never fit."""
    machine.write("sys/block/sdb/device/model", "disk")
    two = SDA + SDA.replace("sda", "sdb").replace("{busy}", "{other}")
    busy = {"reads": 1, "sectors": 1, "read_ms": 1}
    machine.write("proc/diskstats", two.format(busy=600, other=900, **busy))
    collector = machine.collector()
    start = machine.run(collector)("disk.io_time")
    assert start == pytest.approx(0.9)
    machine.write("proc/diskstats", two.format(busy=1600, other=1000, **busy))
    assert machine.run(collector)("disk.io_time") == pytest.approx(start + 1.0)
    machine.write("proc/diskstats", two.format(busy=1700, other=2900, **busy))
    assert machine.run(collector)("disk.io_time") == pytest.approx(start + 2.9)
    machine.write("proc/diskstats", SDA.format(busy=1800, **busy))
    assert machine.run(collector)("disk.io_time") == pytest.approx(start + 3.0)  # one left
    machine.write("proc/diskstats", two.format(busy=5, other=10**6, **busy))
    assert machine.run(collector)("disk.io_time") == pytest.approx(start + 3.0)  # one starts anew, one joins


def test_every_metric_has_its_unlabelled_series(machine):
    first, again = (machine.run(collector) for collector in [machine.collector()] * 2)
    bare = {series.name for series in first.by_series if not series.labels}
    assert {series.name for series in first.by_series} == bare
    assert first.result.measured[0].series is again.result.measured[0].series


def test_without_devices_the_sums_are_unknown(machine):
    machine.write("proc/diskstats", "")
    machine.write("proc/net/dev", "a\nb\n")
    values = machine.run(machine.collector())
    for name in ("disk.io", "disk.operations", "disk.io_time", "network.io", "network.errors"):
        assert isnan(values(name))
