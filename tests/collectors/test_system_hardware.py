"""Links, md arrays and the clock: series, events for what changes, and a real link that goes down."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import textwrap
from math import isnan, nan
from threading import Event

import pytest

from perfconsole.collectors.system import HardwareCollector
from perfconsole.collectors.system.arrays import changed, describe, parse
from perfconsole.collectors.system.clock import Discipline, read_clock
from perfconsole.core.changes import KINDS
from perfconsole.core.errors import CollectorError
from perfconsole.core.globs import Globs
from perfconsole.core.metrics import METRICS
from perfconsole.core.ports import Slot
from perfconsole.core.tick import SEVERITIES

KEPT = Discipline(1.0, 0.002)
NET = "sys/class/net/eth0"


class Host:
    """A collector over written trees, and the runs of it."""

    def __init__(self, machine, values_of):
        self.machine, self.values_of = machine, values_of
        self.clock = KEPT
        self.at = 1.7e9
        self.write = machine.write

    def build(self, **options):
        root = self.machine.root
        self.collector = HardwareCollector(proc=str(root / "proc"), sys=str(root / "sys"), clock=lambda: self.clock, **options)
        return self.look()

    def look(self):
        self.at += 10.0
        return self.values_of(asyncio.run(self.collector.run("host", Slot(self.at, self.at, nan), ())))

    def events(self):
        return [(event.kind, event.scope, event.text, event.severity) for event in self.look().result.events]


@pytest.fixture
def host(machine, values_of):
    return Host(machine, values_of)


def test_links_have_their_series(host):
    values = host.build()
    assert values("network.speed", interface="eth0") == 125e6
    assert values("network.up") == values("network.up", interface="eth0") == 1
    assert values("network.full_duplex") == values("network.full_duplex", interface="eth0") == 1
    assert values("network.carrier_changes") == values("network.carrier_changes", interface="eth0") == 4
    assert values.labels("network.up", "interface") == ["eth0"]  # what has no device comes and goes with every container
    assert {series.name for series in values.by_series} <= METRICS.keys()
    assert host.look().result.measured[0].series is values.result.measured[0].series
    assert not values.result.events


@pytest.mark.parametrize("speed", ["-1\n", "0\n", "", "fast\n"])
def test_a_link_without_a_speed(host, speed):
    host.write(f"{NET}/speed", speed)
    assert isnan(host.build()("network.speed", interface="eth0"))


def test_in_a_container_all_links_are_looked_at_but_bridges_and_the_loopback(host):
    (host.machine.root / f"{NET}/device/vendor").unlink()
    (host.machine.root / f"{NET}/device").rmdir()
    host.write("sys/class/net/bonding_masters", "\n")  # a file among the interfaces
    values = host.build()
    assert values.labels("network.up", "interface") == ["eth0"]  # veth12 is the end of a container in this one
    assert not values.labels("network.speed", "interface")


def test_links_are_chosen_by_globs_and_bonds_are_links(host):
    host.write("sys/class/net/bond0/bonding/mode", "x")
    host.write("sys/class/net/bond0/carrier", "1\n")
    assert host.build().labels("network.up", "interface") == ["bond0", "eth0"]
    assert host.build(networks=Globs(["veth*"])).labels("network.up", "interface") == ["veth12"]
    assert host.build(networks=Globs(["!eth*"])).labels("network.up", "interface") == ["bond0"]


def test_without_sysfs_there_are_no_links(host):
    shutil.rmtree(host.machine.root / "sys")
    values = host.build()
    assert {series.name for series in values.by_series} == {"system.clock.synchronized", "system.clock.error"}


def test_a_carrier_that_goes_is_an_event_and_so_is_its_return(host):
    host.build()
    assert host.events() == []
    host.write(f"{NET}/carrier", "0\n")
    host.write(f"{NET}/speed", "-1\n")
    host.write(f"{NET}/duplex", "unknown\n")
    host.write(f"{NET}/carrier_changes", "5\n")
    assert host.events() == [("link", "interface:eth0", "eth0: carrier lost", "warning")]
    values = host.look()
    assert values("network.up") == 0
    assert isnan(values("network.full_duplex"))
    assert not values.result.events
    for name, text in (("carrier", "1"), ("speed", "1000"), ("duplex", "full"), ("carrier_changes", "6")):
        host.write(f"{NET}/{name}", text + "\n")
    assert host.events() == [("link", "interface:eth0", "eth0: up, 1 Gbit/s, full duplex", "info")]


def test_an_event_tells_between_what_times_it_was(host):
    host.build()
    host.look()
    host.write(f"{NET}/carrier", "0\n")
    (event,) = host.look().result.events
    assert (event.time_lo, event.time_hi) == (host.at - 10, host.at)
    assert event.kind in KINDS
    assert event.severity in SEVERITIES


def test_a_link_that_is_taken_down_says_so(host):
    host.build()
    (host.machine.root / f"{NET}/carrier").unlink()  # EINVAL
    host.write(f"{NET}/flags", "0x1002\n")
    assert host.events() == [("link", "interface:eth0", "eth0: taken down", "warning")]
    assert host.look()("network.up") == 0


def test_a_carrier_that_cannot_be_read_is_unknown_and_no_event(host):
    host.build()
    (host.machine.root / f"{NET}/carrier").unlink()
    assert host.events() == []
    assert isnan(host.look()("network.up"))


@pytest.mark.parametrize(("changes", "words"), [(6, "carrier lost and back"), (10, "carrier lost and back 3 times")])
def test_a_carrier_that_went_and_came_between_two_looks_is_noticed(host, changes, words):
    host.build()
    host.write(f"{NET}/carrier_changes", f"{changes}\n")
    assert host.events() == [("link", "interface:eth0", f"eth0: {words}", "warning")]


def test_a_change_that_came_while_a_link_was_read_is_not_told_twice(host):
    host.write(f"{NET}/carrier", "0\n")
    host.build()
    host.write(f"{NET}/carrier", "1\n")  # the count was read before that, and is found at the next look
    assert [event[2:] for event in host.events()] == [("eth0: up, 1 Gbit/s, full duplex", "info")]
    host.write(f"{NET}/carrier_changes", "5\n")
    assert host.events() == []


@pytest.mark.parametrize(
    ("name", "text", "words", "severity"),
    [
        ("speed", "100", "speed 1 Gbit/s -> 100 Mbit/s", "warning"),
        ("speed", "2500", "speed 1 Gbit/s -> 2.5 Gbit/s", "info"),
        ("duplex", "half", "full -> half duplex", "warning"),
    ],
)
def test_speed_and_duplex_that_change_are_events(host, name, text, words, severity):
    host.build()
    host.write(f"{NET}/{name}", text + "\n")
    assert host.events() == [("link", "interface:eth0", f"eth0: {words}", severity)]


def test_interfaces_that_come_and_go_are_events_and_no_change_of_carriers(host):
    host.build()
    for name, text in (("device/vendor", "x"), ("carrier", "1\n"), ("carrier_changes", "9000\n")):
        host.write(f"sys/class/net/eth1/{name}", text)
    assert host.events() == [("link", "interface:eth1", "eth1: a new interface, up", "")]
    assert host.look()("network.carrier_changes") == 4
    shutil.rmtree(host.machine.root / "sys/class/net/eth1")
    assert host.events() == [("link", "interface:eth1", "eth1: the interface is gone", "warning")]


def test_many_links_at_once_are_told_in_few_events(host):
    for i in range(60):
        host.write(f"sys/class/net/eth{i}/device/vendor", "x")
        host.write(f"sys/class/net/eth{i}/carrier", "1\n")
    host.build()
    for i in range(60):
        host.write(f"sys/class/net/eth{i}/carrier", "0\n")
    events = host.events()
    assert len(events) == 21
    assert events[-1] == ("link", "host", "40 more links changed", "warning")


def test_hostile_names_of_interfaces_are_cleaned_and_stay_apart(host):
    for name in ("a\x1b[31m", "b\x07", "b\u2407"):
        host.write(f"sys/class/net/{name}/device/vendor", "x")
    labels = host.build().labels("network.up", "interface")
    assert len(labels) == 4
    assert all(label.isprintable() for label in labels)


# Arrays.

MDSTAT = b"""Personalities : [raid1] [raid6] [raid5] [raid4]
md0 : active raid1 sdb1[1] sda1[0]
      1046528 blocks super 1.2 [2/2] [UU]
      bitmap: 0/1 pages [0KB], 65536KB chunk

md1 : active raid5 sdd1[3](F) sdc1[2] sdb2[1] sda2[0](S)
      3139584 blocks super 1.2 level 5, 512k chunk, algorithm 2 [3/2] [UU_]
      [===>.................]  recovery = 16.8% (176128/1046528) finish=0.3min speed=44032K/sec

md2 : active (auto-read-only) raid10 sdf1[1] sde1[0]
      1046528 blocks 2 near-copies [2/2] [UU]
      \tresync=PENDING

md127 : inactive sdg[0](S)
      104320 blocks super external:imsm

md3 : broken raid0 sdh1[0] sdi1[1]
      2093056 blocks super 1.2 512k chunks

unused devices: <none>
"""


def test_mdstat_is_read_as_the_kernel_writes_it():
    found = parse(MDSTAT)
    assert list(found) == ["md0", "md1", "md2", "md127", "md3"]
    assert {name: array.degraded for name, array in found.items()} == {
        "md0": False, "md1": True, "md2": False, "md127": False, "md3": True,
    }  # fmt: skip
    assert describe(found["md0"]) == "raid1, 2 of 2 devices work [UU]"
    assert describe(found["md1"]) == "raid5, 2 of 3 devices work [UU_], failed: sdd1, recovery 17%"
    assert describe(found["md2"]) == "raid10, 2 of 2 devices work [UU], resync waits"
    assert describe(found["md127"]) == "container"  # every machine with such a firmware has one, and nothing is wrong with it
    assert parse(MDSTAT.replace(b"external:imsm", b"1.2"))["md127"].degraded
    assert describe(found["md3"]) == "broken, raid0"


@pytest.mark.parametrize("end", range(0, len(MDSTAT), 7))
def test_mdstat_that_is_cut_anywhere_is_survived(end):
    for array in parse(MDSTAT[:end]).values():
        assert describe(array).isprintable()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x00\xff\xfe : active",
        b"md0 : ", b"md0 : \n", b"  [2/1] [U_]\n", b"md0 : active raid1 a[99999999999999999999]\n [9999999/1] [U_]",
        b"md0 : active raid1 \x1b]52;c;x\x07[0](F)\n [2/1] [U_]\n", b"md0 : active raid1\n      recovery = 999.9%\n",
        b"md0 : x : y\n" * 1000,
    ],
)  # fmt: skip
def test_hostile_mdstat_is_survived_and_cleaned(content):
    found = parse(content)
    assert len(found) <= 256
    for name, array in found.items():
        assert (name + describe(array)).isprintable()
        assert isnan(array.done) or 0 <= array.done <= 1


def test_arrays_have_their_series_only_where_there_are_any(host):
    assert not [series for series in host.build().by_series if "array" in series.name]
    host.write("proc/mdstat", MDSTAT.decode())
    values = host.build()
    assert values.labels("array.degraded", "device") == ["md0", "md1", "md127", "md2", "md3"]
    assert values("array.degraded") == values("array.degraded", device="md1") == 1
    assert values("array.degraded", device="md0") == 0
    assert values("array.failed") == values("array.failed", device="md1") == 1
    assert values("array.sync") == values("array.sync", device="md1") == pytest.approx(0.168)
    assert isnan(values("array.sync", device="md2"))
    assert {series.name for series in values.by_series} <= METRICS.keys()


WHOLE = "md0 : active raid1 sdb1[1] sda1[0]\n      1 blocks [2/2] [UU]\n"
LESS = "md0 : active raid1 sdb1[1](F) sda1[0]\n      1 blocks [2/1] [U_]\n"
AGAIN = "md0 : active raid1 sdc1[2] sda1[0]\n      1 blocks [2/1] [U_]\n      [=>..]  recovery = 1.0% (1/2) finish=1min speed=1K/sec\n"


def test_the_life_of_an_array_is_told_in_events(host):
    host.write("proc/mdstat", WHOLE)
    host.build()
    assert host.events() == []
    host.write("proc/mdstat", LESS)
    assert host.events() == [("array", "array:md0", "md0: sdb1 failed, 1 of 2 devices work [U_]", "critical")]
    assert host.events() == []
    host.write("proc/mdstat", AGAIN)
    assert host.events() == [("array", "array:md0", "md0: recovery began", "")]
    host.write("proc/mdstat", WHOLE)
    assert host.events() == [("array", "array:md0", "md0: 2 of 2 devices work [UU], recovery ended", "info")]
    host.write("proc/mdstat", "")
    assert host.events() == [("array", "array:md0", "md0: the array was stopped", "warning")]
    host.write("proc/mdstat", LESS)
    assert host.events() == [("array", "array:md0", "md0: a new array, raid1, 1 of 2 devices work [U_], failed: sdb1", "critical")]


def test_an_array_that_does_not_run_any_more_is_critical():
    before, now = (parse(f"md3 : {state} raid0 sdh1[0]\n".encode()) for state in ("active", "broken"))
    assert list(changed(before, now)) == [("md3", "md3: active -> broken", "critical")]


# The clock.


def test_a_clock_that_is_no_longer_kept_is_an_event(host):
    assert host.build()("clock.synchronized") == 1
    host.clock = Discipline(0.0, 16.0)
    assert host.events() == [("clock", "host", "nothing keeps the clock in step any more", "warning")]
    assert host.look()("clock.error") == 16
    host.clock = KEPT
    assert host.events() == [("clock", "host", "the clock is kept in step again", "info")]


def test_a_clock_that_may_not_be_asked_is_unknown_and_told_once(host):
    host.clock = Discipline(nan, nan, "adjtimex: Operation not permitted")
    values = host.build()
    assert isnan(values("clock.synchronized"))
    health = values.health["clock"]
    assert (health.state, health.error) == ("denied", "adjtimex: Operation not permitted")
    assert "seccomp" in health.fix
    assert not host.look().health
    host.clock = KEPT
    values = host.look()
    assert values.health["clock"].state == "ok"
    assert not values.result.events  # it was unknown, not out of step


def test_the_real_clock_is_what_the_kernel_says():
    found = read_clock()
    if found.trouble:
        pytest.skip(found.trouble)
    assert found.synchronized in (0.0, 1.0)
    assert 0 <= found.error_s <= 3600
    if not shutil.which("adjtimex"):
        assert (found.error_s >= 16) <= (found.synchronized == 0)
        return
    told = subprocess.run(["adjtimex", "--print"], capture_output=True, text=True, check=True).stdout
    assert ("return value = 5" in told) == (found.synchronized == 0)


def test_the_real_clock_against_a_raw_system_call():
    """The layout of the struct, by another way: the status word says STA_UNSYNC (0x40) wherever adjtimex returns TIME_ERROR for that."""
    import ctypes

    words = (ctypes.c_long * 64)()
    if ctypes.CDLL(None).adjtimex(words) < 0 or ctypes.sizeof(ctypes.c_long) != 8:
        pytest.skip("may not be asked, or not a 64-bit machine")
    found = read_clock()
    assert found.error_s == pytest.approx(words[3] / 1e6, abs=0.1)
    if words[5] & 0x40:
        assert found.synchronized == 0


def test_a_driver_that_hangs_costs_one_thread_and_heals(machine):
    answer, asked = Event(), []

    def clock():
        asked.append(1)
        answer.wait(20)
        return KEPT

    collector = HardwareCollector(proc=str(machine.root / "proc"), sys=str(machine.root / "sys"), clock=clock, deadline_s=0.02)

    async def look():
        for _ in range(3):
            with pytest.raises(CollectorError, match="does not answer"):
                await collector.run("host", Slot(0.0, 0.0, nan), ())
        answer.set()
        collector._deadline_s = 20.0
        return await collector.run("host", Slot(0.0, 0.0, nan), ())

    assert asyncio.run(look()).measured
    assert len(asked) == 1
    collector.close()


def test_what_reads_hardware_is_not_imported_before_it_is_read():
    program = """
import sys
from perfconsole.collectors.system import system_collectors
system_collectors()
print(*(name in sys.modules for name in ("ctypes", "perfconsole.collectors.system.arrays", "perfconsole.collectors.system.detail")))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"] * 3


REAL_LINK = textwrap.dedent("""
    import asyncio, json, subprocess, sys, time
    from math import nan
    from perfconsole.collectors.system import HardwareCollector
    from perfconsole.core.ports import Slot

    def ip(*words):
        subprocess.run(["ip", *words], check=True)

    def look(at, until):
        end = time.monotonic() + 60
        while True:
            result = asyncio.run(collector.run("host", Slot(at, at, nan), ()))
            (measured,) = result.measured
            pairs = zip(measured.series, measured.values)
            values = {series.name: value for series, value in pairs if dict(series.labels) == {"interface": "perf0"}}
            found.extend(event.text for event in result.events if event.scope == "interface:perf0")
            if values.get("system.network.up") == until or time.monotonic() > end:
                return values.get("system.network.up")
            time.sleep(0.05)

    subprocess.run(["mount", "-t", "sysfs", "none", "/sys"], check=True)
    ip("link", "add", "perf0", "type", "veth", "peer", "name", "perf1")
    ip("link", "set", "perf0", "up")
    ip("link", "set", "perf1", "up")
    found, seen, collector = [], [], HardwareCollector()
    seen.append(look(1.0, 1.0))
    ip("link", "set", "perf1", "down")
    seen.append(look(2.0, 0.0))
    ip("link", "set", "perf1", "up")
    seen.append(look(3.0, 1.0))
    ip("link", "del", "perf0")
    asyncio.run(asyncio.sleep(0))
    result = asyncio.run(collector.run("host", Slot(4.0, 4.0, nan), ()))
    found.extend(event.text for event in result.events if event.scope == "interface:perf0")
    print(json.dumps([seen, found]))
""")


def test_a_real_link_that_goes_down_and_comes_back():
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("only root may make links, in a network namespace of its own")
    ways = ["unshare", "--mount", "--net"]
    probe = subprocess.run([*ways, "sh", "-c", "mount -t sysfs none /sys && ip link add perf0 type veth peer name perf1"],
                           capture_output=True, text=True, check=False)  # fmt: skip
    if probe.returncode:
        pytest.skip(f"may not make a network namespace with links: {probe.stderr.strip()}")
    done = subprocess.run([*ways, sys.executable, "-c", REAL_LINK], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    seen, found = json.loads(done.stdout)
    assert seen == [1.0, 0.0, 1.0]
    assert [text.partition(",")[0] for text in found] == ["perf0: carrier lost", "perf0: up", "perf0: the interface is gone"]
