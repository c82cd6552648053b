"""A file that is missing, empty or odd costs its own metrics, and is told once."""

import gc
from math import isnan
from pathlib import Path

import pytest

from perfconsole.collectors.system.files import Files

# Which metrics stand on which file.
OWN = {
    "proc/stat": "cpu.utilization cpu.iowait.ratio cpu.steal.ratio cpu.time cpu.logical.count tasks.runnable tasks.blocked",
    "proc/meminfo": "memory.utilization memory.limit memory.total memory.usage paging.utilization paging.usage",
    "proc/vmstat": "paging.operations paging.faults oom_kills memory.stalls",
    "proc/diskstats": "disk.io disk.operations disk.io_time disk.wait",
    "proc/net/dev": "network.io network.packets network.errors network.dropped",
    "proc/net/snmp": "tcp.retransmits tcp.established tcp.segments.sent tcp.opens.active tcp.opens.passive tcp.opens.failed tcp.resets",
    "proc/net/netstat": "tcp.listen.overflows tcp.listen.drops tcp.timeouts tcp.aborts tcp.syn.retransmits tcp.syn.cookies tcp.syn.dropped",
    "proc/net/sockstat": "tcp.time_wait tcp.orphans tcp.memory.usage tcp.memory.utilization",
    "proc/net/softnet_stat": "network.softnet.dropped network.softnet.squeezed",
    "proc/loadavg": "load.1m load.5m load.15m",
    "proc/uptime": "uptime",
    "proc/sys/fs/file-nr": "fd.open fd.utilization",
    "proc/pressure/io": "pressure.io.some pressure.io.full",
    "proc/self/cgroup": "",
    "proc/self/mountinfo": "",
    "proc/self/status": "",
}


def known(values):
    return {series for series, value in values.by_series.items() if not isnan(value)}


@pytest.mark.parametrize("path", OWN)
def test_a_missing_file_costs_only_its_own_metrics(machine, path):
    whole = known(machine.run(machine.collector()))
    machine.remove(path)
    values = machine.run(machine.collector())
    lost = whole - known(values)
    assert {series.name.removeprefix("system.") for series in lost} <= set(OWN[path].split())
    assert lost or not OWN[path]
    assert bool(values.health) == bool(OWN[path])


@pytest.mark.parametrize("path", [path for path in OWN if OWN[path]])
@pytest.mark.parametrize("text", ["", "nonsense\n\nTcp: x\nTcp: y\n", "cpu x y\nMemTotal: many kB\npswpin no\n\n a: b c\n"])
def test_odd_content_is_survived_and_takes_at_most_its_part_along(machine, path, text):
    machine.write(path, text)
    collector = machine.collector()
    machine.run(collector)
    values = machine.run(collector)
    assert values("cpu.logical.count" if path != "proc/stat" else "oom_kills") >= 2


def test_trouble_is_told_once_and_so_is_its_end(machine):
    for resource in ("cpu", "memory", "io"):
        machine.remove(f"proc/pressure/{resource}")
    collector = machine.collector()
    (health,) = machine.run(collector).result.health
    assert (health.state, health.target) == ("off", str(machine.root / "proc/pressure"))
    assert "psi=1" in health.fix
    assert not machine.run(collector).result.health
    for resource in ("cpu", "memory", "io"):
        machine.write(f"proc/pressure/{resource}", "some avg10=1.00 avg60=0.00 avg300=0.00 total=1\n")
    (health,) = machine.run(collector).result.health
    assert health.state == "ok"
    assert not machine.run(collector).result.health


def test_a_malformed_file_is_named(machine):
    machine.write("proc/stat", "cpu one two\n")
    (health,) = machine.run(machine.collector()).result.health
    assert health.state == "error"
    assert "cpu" in health.error


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_closing_gives_the_descriptors_back(machine):
    gc.collect()  # what other tests left behind
    before = open_files()
    collector = machine.collector()
    machine.run(collector)
    assert open_files() > before
    collector.close()
    assert open_files() == before


def test_a_kernel_file_that_comes_page_by_page_is_read_to_its_end():
    files = Files()
    content = files.read("/proc/self/maps")
    files.close()
    assert len(content) > 2 * 4096
    assert content.splitlines()[-1] == Path("/proc/self/maps").read_bytes().splitlines()[-1]
