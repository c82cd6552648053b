"""Listening sockets: real ones, and those of machines that this one is not."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from perfconsole.collectors.access import listeners
from perfconsole.collectors.access.executables import suspicion
from perfconsole.collectors.access.listeners import Listeners
from perfconsole.collectors.logins.words import mask

USERS = {0: "root", 33: "www-data", 1000: "bob"}
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def hexed(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    return "".join(f"{int.from_bytes(packed[at : at + 4], sys.byteorder):08X}" for at in range(0, len(packed), 4))


def row(address, port, uid=0, inode=0, state="0A", remote=0):
    nothing = hexed("::" if ":" in address else "0.0.0.0")
    queues = "00000000:00000000 00:00000000 00000000"
    return f"   0: {hexed(address)}:{port:04X} {nothing}:{remote:04X} {state} {queues} {uid:5d}        0 {inode} 1 x\n"


class Net:
    """A /proc with the sockets that are written into it; each look is 30 s after the last."""

    def __init__(self, root, **options):
        self.root = root
        self.at = 1.7e9
        (root / "net").mkdir()
        (root / "sys/net/ipv4").mkdir(parents=True)
        (root / "sys/net/ipv4/ip_local_port_range").write_text("32768\t60999\n")
        self.listeners = Listeners(str(root), suspicion, options.get("shown", str))

    def write(self, **families):
        for family in ("tcp", "tcp6", "udp", "udp6"):
            (self.root / "net" / family).write_text(HEAD + "".join(families.get(family, [])))

    def look(self):
        before, self.at = self.at, self.at + 30
        return asyncio.run(self.listeners.look(before, self.at, USERS))

    def process(self, pid, name, exe, *inodes):
        base = self.root / str(pid)
        (base / "fd").mkdir(parents=True)
        (base / "comm").write_text(name + "\n")
        (base / "exe").symlink_to(exe)
        for number, inode in enumerate(inodes):
            (base / "fd" / str(number)).symlink_to(f"socket:[{inode}]")


@pytest.fixture
def net(tmp_path):
    made = Net(tmp_path)
    made.write()
    return made


def told(findings):
    return [(finding.text, finding.severity) for finding in findings]


def test_what_listens_at_first_is_not_told(net):
    net.write(tcp=[row("0.0.0.0", 22)], udp=[row("0.0.0.0", 53, state="07")])
    assert net.look() == net.look() == net.look() == []


def test_a_new_listener_is_told_when_it_is_there_twice(net):
    net.look()
    net.write(tcp=[row("0.0.0.0", 8080, 1000)])
    assert net.look() == []
    (finding,) = net.look()
    assert (finding.text, finding.severity, finding.kind) == ("a process of bob listens on tcp 0.0.0.0:8080", "info", "listener")
    assert (finding.time_lo, finding.time_hi) == (net.at - 60, net.at - 30)
    assert net.look() == []


def test_one_that_went_at_once_is_not_told(net):
    net.look()
    for _ in range(3):
        net.write(tcp=[row("0.0.0.0", 8080, 1000)])
        assert net.look() == []
        net.write()
        assert net.look() == []


def test_one_that_ended_is_told_and_a_restart_is_not(net):
    net.write(tcp=[row("0.0.0.0", 80, 33)])
    net.look()
    net.write()
    assert net.look() == []
    net.write(tcp=[row("0.0.0.0", 80, 33)])
    assert net.look() == net.look() == []
    net.write()
    net.look()
    (finding,) = net.look()
    assert (finding.text, finding.severity) == ("nothing listens on tcp 0.0.0.0:80 any more; it was www-data's", "")
    assert (finding.time_lo, finding.time_hi) == (net.at - 60, net.at - 30)


def test_what_cannot_be_read_for_a_while_has_not_ended(net):
    """As when the console has no descriptor left."""
    net.write(tcp=[row("0.0.0.0", 22)], tcp6=[row("::", 80)])
    net.look()
    for family in ("tcp", "tcp6"):
        (net.root / "net" / family).rename(net.root / family)
        assert net.look() == net.look() == net.look() == []
        (net.root / family).rename(net.root / "net" / family)
        assert net.look() == net.look() == net.look() == []


def test_what_could_not_be_read_at_first_is_not_new_when_it_can_be(net):
    net.write(tcp=[row("0.0.0.0", 22)], tcp6=[row("::", 80)])
    (net.root / "net/tcp6").rename(net.root / "tcp6")
    net.look()
    (net.root / "tcp6").rename(net.root / "net/tcp6")
    assert net.look() == net.look() == net.look() == []
    net.write(tcp=[row("0.0.0.0", 22)], tcp6=[row("::", 80), row("::", 81)])
    net.look()
    assert told(net.look()) == [("a process of root listens on tcp [::]:81", "")]


def test_of_more_sockets_than_are_read_none_is_missed(net, monkeypatch):
    rows = [row("0.0.0.0", port, state="07") for port in range(1, 2000)]
    net.write(udp=rows)
    net.look()
    monkeypatch.setattr(listeners, "_MOST_BYTES", 1 << 16)
    assert net.look() == net.look() == net.look() == []
    monkeypatch.undo()
    assert net.look() == net.look() == net.look() == []


@pytest.mark.parametrize(
    ("address", "uid", "severity"),
    [
        ("0.0.0.0", 1000, "info"),
        ("::", 1000, "info"),
        ("192.0.2.1", 1000, "info"),
        ("0.0.0.0", 0, ""),
        ("::", 33, ""),
        ("127.0.0.1", 1000, ""),
        ("127.0.0.53", 1000, ""),
        ("::1", 1000, ""),
        ("::ffff:127.0.0.1", 1000, ""),
    ],
)
def test_how_much_one_weighs(net, address, uid, severity):
    net.look()
    net.write(**{"tcp6" if ":" in address else "tcp": [row(address, 8080, uid)]})
    net.look()
    (finding,) = net.look()
    assert finding.severity == severity
    assert f"{f'[{address}]' if ':' in address else address}:8080" in finding.text


def test_its_process_is_named_and_one_that_runs_from_an_odd_place_is_a_warning(net):
    net.look()
    net.process(41, "nginx", "/usr/sbin/nginx", 1, 7)
    net.process(42, "ev\x1bil", "/dev/shm/evil", 9)
    net.process(43, "some.test", "/tmp/go-build/some.test", 10, 11)
    tests = [row("127.0.0.1", 5001, 1000, 10), row("0.0.0.0", 5002, 1000, 11)]
    net.write(tcp=[row("0.0.0.0", 80, 0, 7), row("127.0.0.1", 4444, 1000, 9), *tests], tcp6=[row("::", 80, 0, 8)])
    net.look()
    assert told(net.look()) == [
        ("nginx (pid 41, root) listens on tcp 0.0.0.0:80 and tcp [::]:80", ""),
        ("ev␛il (pid 42, bob) listens on tcp 127.0.0.1:4444", "warning"),
        ("some.test (pid 43, bob) listens on tcp 127.0.0.1:5001", "info"),
        ("some.test (pid 43, bob) listens on tcp 0.0.0.0:5002", "warning"),
    ]
    net.write()
    net.look()
    assert told(net.look())[0] == ("nothing listens on tcp 0.0.0.0:80 and tcp [::]:80 any more; it was nginx of root", "")


def test_a_process_with_very_many_descriptors_is_given_up(net, monkeypatch):
    net.look()
    net.process(41, "busy", "/usr/bin/busy", *range(1000, 2000))
    net.process(40, "web", "/usr/bin/web", 7)
    asked = []
    real = listeners._link
    monkeypatch.setattr(listeners, "_link", lambda path: asked.append(path) or real(path))
    monkeypatch.setattr(listeners, "_MOST_LINKS", 100)
    net.write(tcp=[row("0.0.0.0", 80, 33, 7)])
    net.look()
    assert told(net.look()) == [("a process of www-data listens on tcp 0.0.0.0:80", "")]
    assert len(asked) == 100


def test_of_udp_neither_clients_nor_their_ports_count(net):
    net.look()
    net.write(
        udp=[row("0.0.0.0", 5353, 1000, state="07"), row("0.0.0.0", 41000, 1000, state="07"), row("10.0.0.1", 500, state="07", remote=53)],
        udp6=[row("::", 546, 0, state="01")],
    )
    net.look()
    assert told(net.look()) == [("a process of bob listens on udp 0.0.0.0:5353", "info")]


def test_connections_are_not_listeners_and_those_after_them_are_not_read(net):
    """The kernel tells the listening ones first; a busy machine has 10^5 connections."""
    net.look()
    connections = [row("192.0.2.1", 22, state="01", remote=40000)] * 2000
    net.write(tcp=[row("0.0.0.0", 8080, 1000), *connections, row("0.0.0.0", 9090, 1000)])
    net.look()
    assert told(net.look()) == [("a process of bob listens on tcp 0.0.0.0:8080", "info")]


def test_many_at_once_are_summed_up(net):
    net.look()
    net.write(tcp=[row("0.0.0.0", 1000 + i, 1000) for i in range(300)])
    net.look()
    findings = net.look()
    assert len(findings) == 20
    assert findings[-1].text == "281 more listening sockets came or went"


def test_addresses_are_masked_but_those_that_are_nobodys(tmp_path):
    net = Net(tmp_path, shown=mask)
    net.write()
    net.look()
    net.write(tcp=[row("203.0.113.7", 80), row("0.0.0.0", 81), row("127.0.0.1", 82)])
    net.look()
    assert [finding.text.partition("tcp ")[2] for finding in net.look()] == ["203.0.113.0/24:80", "0.0.0.0:81", "127.0.0.1:82"]


def test_lines_that_are_none_do_no_harm(net):
    net.look()
    net.write(tcp=["garbage\n", "   0: zz:zz 0:0 0A 0 0 0 0 0 0\n", row("0.0.0.0", 80).replace(":0050", ":99999999"), "\n"])
    assert net.look() == net.look() == []


def test_without_procfs_nothing_is_said_and_nothing_is_taken_for_gone(net):
    net.write(tcp=[row("0.0.0.0", 22)])
    net.look()
    for file in (net.root / "net").iterdir():
        file.unlink()
    assert net.look() == net.look() == []
    assert not net.listeners.readable
    net.write(tcp=[row("0.0.0.0", 22)])
    assert net.look() == []
    assert net.listeners.readable


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="no procfs")
def test_a_real_listener_in_a_child_is_found_named_and_missed():
    listeners = Listeners("/proc", suspicion, str)

    def look(at):
        return [one for one in asyncio.run(listeners.look(at - 30, at, {os.getuid(): "me"})) if f":{port}" in one.text]

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    code = f"import socket, sys; s = socket.create_server(('127.0.0.1', {port})); print('ready', flush=True); sys.stdin.read()"
    asyncio.run(listeners.look(0, 30, {}))
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"ready\n"
        assert look(60) == []
        (finding,) = look(90)
        child.stdin.close()
    assert (finding.text.endswith(f"(pid {child.pid}, me) listens on tcp 127.0.0.1:{port}"), finding.severity) == (True, "")
    assert look(120) == []
    (finding,) = look(150)
    assert finding.text.startswith(f"nothing listens on tcp 127.0.0.1:{port} any more; it was python")
