"""A machine written as files: procfs and sysfs trees that say what a test wants them to say."""

import asyncio
from math import nan
from pathlib import Path

import pytest

from perfconsole.collectors.system import SystemCollector
from perfconsole.core.ports import Result, Slot

STAT = """cpu  300 20 100 1600 40 4 6 10 50 5
cpu0 200 10 60 700 20 2 3 5 50 5
cpu1 100 10 40 900 20 2 3 5 0 0
intr 5 0 0
ctxt 1
procs_running 4
procs_blocked 2
softirq 9 0 1
"""
MEMINFO = """MemTotal:       1000000 kB
MemFree:         200000 kB
MemAvailable:    600000 kB
Buffers:          10000 kB
Cached:          300000 kB
Shmem:            40000 kB
SReclaimable:     30000 kB
Slab:             50000 kB
SwapTotal:       500000 kB
SwapFree:        400000 kB
Zswap:             7000 kB
HugePages_Total:       0
"""
DISKSTATS = """   8       0 sda 100 0 2000 500 50 0 1000 250 0 600 750
   8       1 sda1 90 0 1900 400 50 0 1000 250 0 500 650
   7       0 loop0 5 0 40 1 0 0 0 0 0 1 1
 253       0 dm-0 10 0 80 20 5 0 40 10 0 25 30
 253       1 dm-1 0 0 0 0 0 0 0 0 0 0 0
"""
NET = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     500       5    0    0    0     0          0         0      500       5    0    0    0     0       0          0
  eth0:   10000     100    1    2    0     0          0         0    20000     200    3    4    0     0       0          0
docker0:    700       7    0    0    0     0          0         0      800       8    0    0    0     0       0          0
 veth12:    300       3    0    0    0     0          0         0      400       4    0    0    0     0       0          0
 dummy0:      0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
"""
SNMP = """Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs
Tcp: 1 -1 700 800 9 6 12 5000 4000 33
"""
TCPEXT = {
    "SyncookiesSent": 1, "ListenOverflows": 20, "ListenDrops": 25, "TCPTimeouts": 7, "TCPAbortOnData": 100, "TCPAbortOnClose": 200,
    "TCPAbortOnMemory": 3, "TCPAbortOnTimeout": 40, "TCPAbortOnLinger": 5, "TCPAbortFailed": 6, "TCPReqQFullDrop": 8, "TCPSynRetrans": 11,
}  # fmt: skip
NETSTAT = f"""TcpExt: {" ".join(TCPEXT)}
TcpExt: {" ".join(map(str, TCPEXT.values()))}
IpExt: InNoRoutes InOctets
IpExt: 1 2
"""
SOCKSTAT = """sockets: used 38
TCP: inuse 4 orphan 2 tw 167 alloc 4 mem 50
UDP: inuse 0 mem 0
"""
SOFTNET = """00b5ec3f 0000000a 00000001 0 0 0 0 0 0 0 0 00000000 00000000 0 0
009ad5f4 00000001 0000000f 0 0 0 0 0 0 0 0 00000001 00000001 0 0
"""
VMSTAT = """nr_free_pages 1
pswpin 11
pswpout 22
pgmajfault 33
allocstall_dma 0
allocstall_normal 5
allocstall_movable 6
oom_kill 4
last 1
"""
PRESSURE = """some avg10=12.50 avg60=1.00 avg300=0.10 total={some}
full avg10=2.00 avg60=0.50 avg300=0.05 total={full}
"""
FILES = {
    "proc/stat": STAT,
    "proc/meminfo": MEMINFO,
    "proc/vmstat": VMSTAT,
    "proc/diskstats": DISKSTATS,
    "proc/net/dev": NET,
    "proc/net/snmp": SNMP,
    "proc/net/netstat": NETSTAT,
    "proc/net/sockstat": SOCKSTAT,
    "proc/net/softnet_stat": SOFTNET,
    "proc/sys/net/ipv4/tcp_mem": "100\t150\t200\n",
    "proc/loadavg": "0.50 0.25 0.10 1/87 4442\n",
    "proc/uptime": "964.40 1875.96\n",
    "proc/sys/fs/file-nr": "500\t100\t1000\n",
    "proc/pressure/cpu": PRESSURE.format(some=1000000, full=0),
    "proc/pressure/memory": PRESSURE.format(some=2000000, full=500000),
    "proc/pressure/io": PRESSURE.format(some=3000000, full=0),
    "proc/self/cgroup": "0::/\n",
    "proc/self/mountinfo": "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    "proc/self/status": "Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t0-1\nMems_allowed_list:\t0\n",
    "sys/block/sda/device/model": "disk",
    "sys/block/loop0/size": "0",
    "sys/block/dm-0/size": "0",
    "sys/block/dm-1/size": "0",
    "sys/class/net/eth0/device/vendor": "x",
    "sys/class/net/eth0/speed": "1000\n",
    "sys/class/net/eth0/duplex": "full\n",
    "sys/class/net/eth0/carrier": "1\n",
    "sys/class/net/eth0/carrier_changes": "4\n",
    "sys/class/net/eth0/flags": "0x1003\n",
    "sys/class/net/docker0/bridge/x": "",
    "sys/class/net/veth12/speed": "10000\n",
    "sys/class/net/lo/mtu": "65536\n",
    "sys/fs/cgroup/cpu.stat": "usage_usec 1\n",
}


class Values:
    """The values of one run, by name and labels."""

    def __init__(self, result: Result) -> None:
        self.result = result
        (measured,) = result.measured
        assert len(measured.series) == len(measured.values)
        self.by_series = dict(zip(measured.series, measured.values, strict=True))
        assert len(self.by_series) == len(measured.series), "two series share name and labels"
        self.health = {health.target: health for health in result.health}

    def __call__(self, name: str, **labels: str) -> float:
        wanted = ("system." + name, tuple(sorted(labels.items())))
        return next(value for series, value in self.by_series.items() if (series.name, series.labels) == wanted)

    def labels(self, name: str, label: str) -> list[str]:
        """The values that a label takes on a metric."""
        return sorted(
            {dict(series.labels)[label] for series in self.by_series if series.name == "system." + name and label in dict(series.labels)}
        )


class Machine:
    """Trees of files below `root`; `at` is the CLOCK_BOOTTIME of the next run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.boot = 1000.0
        for path, text in FILES.items():
            self.write(path, text)

    def write(self, path: str, text: str) -> None:
        """Set what a file says."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def remove(self, path: str) -> None:
        """Take a file away."""
        (self.root / path).unlink()

    def collector(self, **options) -> SystemCollector:
        """A collector that looks at these files."""
        return SystemCollector(proc=str(self.root / "proc"), sys=str(self.root / "sys"), **options)

    def run(self, collector: SystemCollector, after_s: float = 2.0) -> Values:
        """One run, `after_s` after the last."""
        self.boot += after_s
        return Values(asyncio.run(collector.run("host", Slot(1.7e9 + self.boot, self.boot, nan), ())))


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def values_of():
    return Values
