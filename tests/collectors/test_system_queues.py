"""Queues and waits on written trees: tasks, TCP, packets, tracked connections; and a listener that really overflows."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from math import isnan, nan
from pathlib import Path

import pytest

from perfconsole.collectors.system import SystemCollector
from perfconsole.core.metrics import METRICS
from perfconsole.core.ports import Slot


def test_tasks_that_run_or_wait_are_counted_without_the_one_that_counts(machine):
    values = machine.run(machine.collector())
    assert values("tasks.runnable") == 3
    assert values("tasks.blocked") == 2
    machine.write("proc/stat", "cpu  1 1 1 1\ncpu0 1 1 1 1\nprocs_running 0\n")  # lxcfs counts those of the container
    values = machine.run(machine.collector())
    assert values("tasks.runnable") == 0
    assert isnan(values("tasks.blocked"))


def test_stalls_are_those_of_all_zones(machine):
    assert machine.run(machine.collector())("memory.stalls") == 11
    machine.write("proc/vmstat", "pswpin 1\nallocstall 7\nallocated 9\n")  # before 4.10
    assert machine.run(machine.collector())("memory.stalls") == 7
    machine.write("proc/vmstat", "pswpin 1\n")
    assert isnan(machine.run(machine.collector())("memory.stalls"))


def test_what_tcp_counts_has_its_names(machine):
    values = machine.run(machine.collector())
    expected = {
        "opens.active": 700, "opens.passive": 800, "opens.failed": 9, "resets": 6, "segments.sent": 4000, "listen.overflows": 20,
        "listen.drops": 25, "timeouts": 7, "syn.cookies": 1, "syn.dropped": 8, "syn.retransmits": 11, "aborts": 354,
        "time_wait": 167, "orphans": 2, "memory.usage": 50 * os.sysconf("SC_PAGESIZE"), "memory.utilization": 0.25,
    }  # fmt: skip
    assert {name: values(f"tcp.{name}") for name in expected} == expected
    assert values("tcp.aborts", type="memory") == 3
    assert values("tcp.aborts", type="timeout") == 40
    assert {series.name for series in values.by_series} <= METRICS.keys()


def test_columns_that_a_kernel_lacks_are_unknown_and_others_are_not(machine):
    machine.write("proc/net/netstat", "TcpExt: ListenDrops A TCPTimeouts\nTcpExt: 5 6 7\n")
    values = machine.run(machine.collector())
    assert (values("tcp.listen.drops"), values("tcp.timeouts")) == (5, 7)
    assert isnan(values("tcp.listen.overflows"))
    assert isnan(values("tcp.aborts"))


def test_columns_that_move_are_found_again(machine):
    collector = machine.collector()
    machine.run(collector)
    machine.write("proc/net/netstat", "TcpExt: TCPTimeouts ListenDrops\nTcpExt: 70 50\n")
    values = machine.run(collector)
    assert (values("tcp.listen.drops"), values("tcp.timeouts")) == (50, 70)


@pytest.mark.parametrize("text", ["TcpExt: ListenDrops A\nTcpExt: 5\n", "TcpExt: ListenDrops\nTcpExt: many\n"])
def test_a_cut_line_is_named_and_costs_only_its_own(machine, text):
    machine.write("proc/net/netstat", text)
    values = machine.run(machine.collector())
    assert isnan(values("tcp.listen.drops"))
    assert values("tcp.retransmits") == 33
    assert values("tcp.time_wait") == 167
    assert values.health["netstat"].state == "error"


def test_without_a_limit_memory_has_no_share(machine):
    machine.remove("proc/sys/net/ipv4/tcp_mem")  # a network namespace of its own does not show it
    values = machine.run(machine.collector())
    assert isnan(values("tcp.memory.utilization"))
    assert values("tcp.memory.usage") > 0
    assert not values.health


def test_softnet_is_summed_over_the_cpus_whichever_are_there(machine):
    collector = machine.collector()
    values = machine.run(collector)
    assert values("network.softnet.dropped") == 11
    assert values("network.softnet.squeezed") == 16
    # CPU 0 goes offline: what is left in the first line is CPU 1, not a CPU 0 that counts anew.
    machine.write("proc/net/softnet_stat", "009ad5f4 00000003 0000000f 0 0 0 0 0 0 0 0 00000001 00000001 0 0\n")
    assert machine.run(collector)("network.softnet.dropped") == 13
    machine.write("proc/net/softnet_stat", "")
    assert isnan(machine.run(collector)("network.softnet.dropped"))


@pytest.mark.parametrize("text", ["zz\n", "00000001 00000002\n", "1 2 3 0 0 0 0 0 0 0 0 0 notanumber\n"])
def test_softnet_that_is_cut_or_odd_takes_no_other_along(machine, text):
    machine.write("proc/net/softnet_stat", text)
    values = machine.run(machine.collector())
    assert isnan(values("network.softnet.dropped"))
    assert values("tcp.established") == 12
    assert values.health["softnet"].state == "error"


def test_tracked_connections_have_series_only_where_there_are_any(machine):
    collector = machine.collector()
    values = machine.run(collector)
    assert not [series for series in values.by_series if "conntrack" in series.name]
    assert not values.health
    machine.write("proc/sys/net/netfilter/nf_conntrack_count", "900\n")
    machine.write("proc/sys/net/netfilter/nf_conntrack_max", "1000\n")
    values = machine.run(collector)
    assert values("conntrack.utilization") == pytest.approx(0.9)
    assert (values("conntrack.entries"), values("conntrack.limit")) == (900, 1000)
    machine.write("proc/sys/net/netfilter/nf_conntrack_count", "")  # as when the module is unloaded: a kept descriptor reads nothing
    assert isnan(machine.run(collector)("conntrack.utilization"))
    machine.write("proc/sys/net/netfilter/nf_conntrack_count", "many\n")
    assert machine.run(collector).health["conntrack"].state == "error"


# The real thing.

STOPPED = """
import signal, socket, sys
server = socket.create_server(("127.0.0.1", 0), backlog=1)
print(server.getsockname()[1], flush=True)
signal.pause()
"""


@pytest.fixture
def stopped_server():
    """The port of a listener with a backlog of 1 whose process is stopped, and its pid."""
    child = subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True)
    try:
        port = int(child.stdout.readline())
        child.send_signal(signal.SIGSTOP)
        yield port, child.pid
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def overflow(port, seen, give_up_s=60.0):
    """Connect until `seen()`; returns the sockets, whether they came through or not."""
    clients = []
    end = time.monotonic() + give_up_s
    while not seen() and time.monotonic() < end:
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", port))
        clients.append(client)
        time.sleep(0.02)
    return clients


def here():
    return Slot(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), nan)


@pytest.mark.skipif(not Path("/proc/net/netstat").exists(), reason="this machine has no /proc/net/netstat")
def test_a_stopped_server_overflows_its_queue(stopped_server, values_of):
    port, _ = stopped_server
    collector = SystemCollector()
    run = lambda: values_of(asyncio.run(collector.run("host", here(), ())))  # noqa: E731
    before = run()
    if isnan(before("tcp.listen.overflows")):
        pytest.skip("this kernel does not count overflows")
    clients = overflow(port, lambda: run()("tcp.listen.overflows") > before("tcp.listen.overflows"))
    after = run()
    collector.close()
    for client in clients:
        client.close()
    assert after("tcp.listen.overflows") > before("tcp.listen.overflows")
    assert after("tcp.listen.drops") > before("tcp.listen.drops")


def test_the_real_numbers_are_there(values_of):
    collector = SystemCollector()
    values = values_of(asyncio.run(collector.run("host", here(), ())))
    collector.close()
    assert not [health for health in values.health.values() if health.state == "error"]
    for name in ("tasks.runnable", "tasks.blocked", "tcp.opens.passive", "tcp.segments.sent", "tcp.time_wait", "tcp.memory.usage"):
        assert values(name) >= 0, name
