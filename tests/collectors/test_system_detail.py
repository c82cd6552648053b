"""What is read of the machine on demand, on written trees: sections, what is missing, what is hostile, what hangs."""

import asyncio
import os
from threading import Event

import pytest

from perfconsole.collectors.system import SystemCollector, detail, detail_devices
from perfconsole.collectors.system.detail_files import Writing
from perfconsole.collectors.system.detail_sockets import LISTEN, TIME_WAIT, read_sockets, text_of
from perfconsole.core.errors import RequestError
from perfconsole.core.requests import SYSTEM_DETAIL, Nothing

HEADING = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LINE = "{i:4}: {local} {peer} {state:02X} 00000000:{queue:08X} 00:00000000 00000000     0        0 {inode} 1 0 100 0 0 10 0\n"
MINE, THEIRS = "0100007F", "0200007F"
RANGE = (40000, 40099)


def tcp(*rows):
    """The text of /proc/net/tcp of (local, port, peer, port, state, queue, inode)."""
    return HEADING + "".join(
        LINE.format(i=i, local=f"{local}:{port:04X}", peer=f"{peer}:{peer_port:04X}", state=state, queue=queue, inode=inode)
        for i, (local, port, peer, peer_port, state, queue, inode) in enumerate(rows)
    )


class Tree:
    """A written machine with processes; `sections` reads its detail."""

    def __init__(self, machine):
        self.machine, self.write = machine, machine.write
        self.write("proc/1/comm", "init\n")
        self.write("proc/sys/net/ipv4/ip_local_port_range", f"{RANGE[0]}\t{RANGE[1]}\n")
        self.write("proc/net/tcp", tcp())

    def process(self, pid, name, links=(), limit="1024"):
        """A process with descriptors from 0 on that point to `links`."""
        self.write(f"proc/{pid}/comm", name + "\n")
        head = f"{'Limit':<26}{'Soft Limit':<21}{'Hard Limit':<21}Units\n"
        self.write(f"proc/{pid}/limits", head + f"{'Max open files':<26}{limit:<21}{'4096':<21}files\n")
        folder = self.machine.root / f"proc/{pid}/fd"
        folder.mkdir(parents=True, exist_ok=True)
        for fd, link in enumerate(links):
            (folder / str(fd)).symlink_to(link)

    def sections(self):
        collector = self.machine.collector()
        (operation,) = collector.operations
        assert operation.spec is SYSTEM_DETAIL
        answer = asyncio.run(operation.run(Nothing()))
        collector.close()
        assert [section.title for section in answer.sections] == list(detail.TITLES)
        for section in answer.sections:
            for fact in section.facts:
                assert (fact.name + fact.text + fact.fix + fact.note + section.note).isprintable()
        return {section.title: section for section in answer.sections}


@pytest.fixture
def tree(machine, monkeypatch):
    monkeypatch.setattr(detail, "_WINDOW_S", 0.0)
    monkeypatch.setattr("perfconsole.collectors.system.detail_files._APART_S", 0.0)
    return Tree(machine)


def facts(section):
    return [(fact.name, fact.text, fact.severity) for fact in section.facts]


def test_listeners_say_whose_they_are_what_waits_and_how_many_files_are_left(tree):
    tree.write("proc/net/tcp", tcp((MINE, 80, "00000000", 0, LISTEN, 3, 11), ("00000000", 22, "00000000", 0, LISTEN, 0, 12)))
    tree.write("proc/net/tcp6", tcp(("0" * 32, 443, "0" * 32, 0, LISTEN, 0, 13)))
    tree.process(812, "nginx", ["socket:[11]", "socket:[13]"], limit="4")
    tree.process(813, "nginx", ["socket:[11]"], limit="unlimited")
    section = tree.sections()["Listeners"]
    assert facts(section) == [
        ("127.0.0.1:80", "nginx (812) and 1 more  queue 3  descriptors 2 of 4", ""),
        ("0.0.0.0:22", "not seen whose  queue 0", ""),
        ("[::]:443", "nginx (812)  queue 0  descriptors 2 of 4", ""),
    ]
    assert "network namespaces" in section.note


def test_a_listener_that_runs_out_of_descriptors_comes_first(tree):
    tree.write("proc/net/tcp", tcp((MINE, 80, "00000000", 0, LISTEN, 0, 11), (MINE, 90, "00000000", 0, LISTEN, 0, 12)))
    tree.process(5, "well", ["socket:[11]"])
    tree.process(6, "full", ["socket:[12]", *["/dev/null"] * 18], limit="20")
    first, second = tree.sections()["Listeners"].facts
    assert (first.name, first.severity) == ("127.0.0.1:90", "critical")
    assert second.severity == ""


@pytest.mark.parametrize(("state", "word"), [("D", "waits for I/O"), ("T", "stopped"), ("S", "")])
def test_a_listener_that_cannot_run_says_so(tree, state, word):
    tree.write("proc/net/tcp", tcp((MINE, 80, "00000000", 0, LISTEN, 0, 11)))
    tree.process(5, "hung", ["socket:[11]"])
    tree.write("proc/5/stat", f"5 (a) T b) {state} 1 1\n")
    (fact,) = tree.sections()["Listeners"].facts
    assert fact.text == "  ".join(filter(None, ("hung (5)", word, "queue 0", "descriptors 1 of 1,024")))
    assert fact.severity == ("warning" if word else "")


def test_ports_are_counted_by_peer_with_those_that_wait(tree):
    rows = [(MINE, 40000 + i, THEIRS, 5432, TIME_WAIT if i % 2 else 1, 0, 0 if i % 2 else 100 + i) for i in range(90)]
    rows += [(MINE, 40095, THEIRS, 6379, 1, 0, 300)]
    rows += [(MINE, 8080, THEIRS, 40001, 1, 0, 301), (MINE, 8080, "00000000", 0, LISTEN, 0, 302)]  # they came to us: no port of ours
    rows += [(MINE, 39999, THEIRS, 1, 1, 0, 303)]  # bound by the program itself
    tree.write("proc/net/tcp", tcp(*rows))
    tree.process(7, "app", [f"socket:[{100 + i}]" for i in range(0, 60, 2)])
    tree.process(8, "other", [f"socket:[{100 + i}]" for i in range(60, 90, 2)])
    section = tree.sections()["Ports by peer"]
    assert facts(section) == [
        ("127.0.0.2:5432", "90 ports (90%)  45 established, 45 time wait  30 of app (7)  from 127.0.0.1", "critical"),
        ("127.0.0.2:6379", "1 port (1%)  1 established  from 127.0.0.1", ""),
    ]
    assert section.note.startswith("100 ports")


def test_ports_from_a_listener_in_the_range_are_not_taken(tree):
    tree.write("proc/net/tcp", tcp((MINE, 40001, "00000000", 0, LISTEN, 0, 1), (MINE, 40001, THEIRS, 9, 1, 0, 2)))
    assert tree.sections()["Ports by peer"].facts == []


def test_deleted_files_are_found_with_their_size(tree, tmp_path):
    """A written tree cannot have a file without a name: one that is called so is none."""
    data = tmp_path / "log (deleted)"
    remote = tmp_path / "old (deleted)"
    for file in (data, remote):
        file.write_bytes(bytes(100_000))
    tree.process(9, "d\x1b]0;x\x07", [str(data), "/memfd:x (deleted)", "/SYSV00000000 (deleted)", str(remote)])
    tree.write("proc/9/fdinfo/0", "pos:\t0\nflags:\t0100002\nmnt_id:\t31\n")
    tree.write("proc/9/fdinfo/3", "pos:\t0\nflags:\t0100002\nmnt_id:\t32\n")
    tree.write("proc/self/mountinfo", "31 1 8:1 / / rw - ext4 /dev/x rw\n32 1 0:9 / /mnt/nfs rw - nfs4 srv:/ rw\n")
    (fact,) = tree.sections()["Deleted, still open"].facts  # the one on the server, which nobody asks
    assert fact.name == "not asked"
    assert fact.text.endswith("/old  on /mnt/nfs")


IO = "rchar: 0\nwchar: {wchar}\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: {stored}\ncancelled_write_bytes: 0\n"
STAT = "{pid} (a) b) S 1 1 1 0 -1 0 10 {reaped} 0 0\n"


class Ticking:
    """A clock that is moved by pauses; `then` is done at each."""

    def __init__(self, *then):
        self.now, self.then = 0.0, list(then)

    def __call__(self):
        return self.now

    def pause(self, passed_s):
        self.now += passed_s
        if self.then:
            self.then.pop(0)()


def write_io(tree, pid, wchar=0, stored=0, reaped=0):
    tree.write(f"proc/{pid}/io", IO.format(wchar=wchar, stored=stored))
    tree.write(f"proc/{pid}/stat", STAT.format(pid=pid, reaped=reaped))


def written(tree, *then):
    from perfconsole.collectors.system.detail_files import Mounts

    clock = Ticking(*then)
    writing = Writing(str(tree.machine.root / "proc"), clock, clock.pause)
    found = writing.finish(Mounts(str(tree.machine.root / "proc")), 1.0)
    return [(writer.pid, writer.mount, writer.rate, writer.files) for writer in found], writing


MOUNTS = "31 1 8:1 / / rw - ext4 /dev/x rw\n40 1 8:2 / /var/log rw - ext4 /dev/y rw\n"


def test_who_writes_is_told_with_the_file_and_where_it_is(tree, tmp_path, monkeypatch):
    monkeypatch.setattr("perfconsole.collectors.system.detail_files._APART_S", 0.5)
    log = tmp_path / "a.log"
    log.write_text("")
    tree.process(10, "logger", [str(log), str(log), "/dev/null"])
    tree.write("proc/self/mountinfo", MOUNTS)
    tree.write("proc/10/fdinfo/0", "pos:\t100\nflags:\t0102001\nmnt_id:\t40\n")
    tree.write("proc/10/fdinfo/1", "pos:\t100\nflags:\t0100000\nmnt_id:\t40\n")  # only read
    write_io(tree, 10)

    def later():
        write_io(tree, 10, wchar=1000, stored=0)

    def moved():
        for fd, flags in ((0, "0102001"), (1, "0100000")):
            tree.write(f"proc/10/fdinfo/{fd}", f"pos:\t1100\nflags:\t{flags}\nmnt_id:\t40\n")

    found, writing = written(tree, later, moved)
    assert found == [(10, "/var/log", 2000.0, ((str(log), 2000.0),))]
    assert writing.denied == 1  # init, whose /proc/PID/io is not there


def test_what_is_written_in_place_is_told_by_the_kernels_count(tree, tmp_path, monkeypatch):
    monkeypatch.setattr("perfconsole.collectors.system.detail_files._APART_S", 0.5)
    base, old = tmp_path / "base", tmp_path / "old"
    for file in (base, old):
        file.write_text("")
    os.utime(old, (1e9, 1e9))
    tree.process(11, "postgres", [str(base), str(old)])
    tree.write("proc/self/mountinfo", MOUNTS)
    for fd in (0, 1):
        tree.write(f"proc/11/fdinfo/{fd}", "pos:\t0\nflags:\t0100002\nmnt_id:\t31\n")
    write_io(tree, 11)
    ((pid, mount, rate, files),), _ = written(tree, lambda: write_io(tree, 11, wchar=5000, stored=8192))
    assert (pid, mount, rate) == (11, "/", 8192.0)
    assert [name for name, _ in files] == [str(base)]


def test_what_a_child_wrote_before_it_ended_is_not_its_parents(tree):
    tree.process(12, "sh", [])
    write_io(tree, 12)
    found, _ = written(tree, lambda: write_io(tree, 12, stored=10**9, reaped=55))
    assert found == []


def test_nobody_who_writes_is_no_section_of_zeros(tree):
    section = tree.sections()["Writers now"]
    assert section.facts == []
    assert "1 process" in section.note  # init cannot be looked into


def test_devices_have_their_sections(tree):
    tree.write("proc/mdstat", "md0 : active raid1 sdb1[1](F) sda1[0]\n      1 blocks [2/1] [U_]\n")
    tree.write("proc/sys/net/netfilter/nf_conntrack_count", "990\n")
    tree.write("proc/sys/net/netfilter/nf_conntrack_max", "1000\n")
    tree.write(
        "proc/net/stat/nf_conntrack",
        "entries  drop early_drop insert_failed\n00000001  00000002 00000000 0000000a\n00000001  00000003 0 0\n",
    )
    tree.write("sys/class/net/eth0/statistics/rx_errors", "5\n")
    tree.write("sys/class/net/eth0/statistics/tx_errors", "1\n")
    tree.write("sys/class/net/eth0/duplex", "half\n")
    found = tree.sections()
    assert facts(found["Arrays"]) == [("md0", "raid1, 1 of 2 devices work [U_], failed: sdb1", "critical")]
    entries, *drops = found["Conntrack"].facts
    assert (entries.text, entries.severity) == ("990 of 1,000 (99%)", "critical")
    assert entries.fix == "sysctl -w net.netfilter.nf_conntrack_max=2000"
    assert [(fact.name, fact.text) for fact in drops] == [
        ("drop", "5 since boot"), ("early drop", "0 since boot"), ("insert failed", "10 since boot")
    ]  # fmt: skip
    first = found["Interfaces"].facts[0]
    assert (first.name, first.text, first.severity) == (
        "eth0", "up, 1 Gbit/s, half duplex, carrier changed 4 times, errors 5 in, 1 out", "warning"
    )  # fmt: skip
    assert [fact.name for fact in found["Clock"].facts][:1] == ["synchronised"]


@pytest.mark.parametrize(("changes", "severity"), [("1", ""), ("4", "warning"), ("", "warning")])
def test_a_port_into_which_nothing_was_ever_plugged_is_no_fault(tree, changes, severity):
    tree.write("sys/class/net/eth0/carrier", "0\n")
    tree.write("sys/class/net/eth0/carrier_changes", f"{changes}\n")
    first = tree.sections()["Interfaces"].facts[0]
    assert (first.name, first.severity) == ("eth0", severity)
    assert first.text.startswith("no carrier")


def test_what_is_not_there_says_so(tree):
    found = tree.sections()
    assert "no md arrays" in found["Arrays"].note
    assert "tracks no connections" in found["Conntrack"].note


@pytest.mark.parametrize("text", ["", "\x00\xff", "entries drop\nzz\n", "entries drop\n00000001\n"])
def test_odd_counts_of_tracked_connections_cost_only_themselves(tree, text):
    tree.write("proc/sys/net/netfilter/nf_conntrack_count", "1\n")
    tree.write("proc/sys/net/netfilter/nf_conntrack_max", "0\n")
    tree.write("proc/net/stat/nf_conntrack", text)
    assert [fact.name for fact in tree.sections()["Conntrack"].facts] == ["entries"]


@pytest.mark.parametrize("end", [0, 40, len(HEADING) + 3, len(HEADING) + 30, len(HEADING) + 60, len(HEADING) + 90, len(HEADING) + 200])
def test_a_list_of_sockets_that_is_cut_anywhere_is_survived(tree, end):
    text = tcp((MINE, 80, "00000000", 0, LISTEN, 3, 11), (MINE, 81, "00000000", 0, LISTEN, 3, 12))
    tree.write("proc/net/tcp", text[:end])
    tree.sections()


def test_without_a_list_of_sockets_it_is_unknown(tree):
    tree.machine.remove("proc/net/tcp")
    found = tree.sections()
    for title in ("Listeners", "Ports by peer"):
        (fact,) = found[title].facts
        assert fact.severity == "unknown"
        assert "net/tcp" in fact.text
    assert found["Interfaces"].facts


def test_what_hangs_is_told_as_such_and_the_rest_is_given(tree, monkeypatch):
    release = Event()
    monkeypatch.setattr(detail_devices, "clock", lambda discipline: release.wait(30))
    reader = detail.DetailReader(str(tree.machine.root / "proc"), str(tree.machine.root / "sys"))

    async def ask():
        answer = await reader.read(budget_s=0.3)
        with pytest.raises(RequestError, match="still hangs"):
            await reader.read(budget_s=0.3)
        release.set()
        return {section.title: section for section in answer.sections}

    found = asyncio.run(ask())
    assert found["Interfaces"].facts
    assert [fact.severity for fact in found["Clock"].facts] == ["unknown"]
    assert "does not answer" in found["Clock"].facts[0].text


def test_what_there_is_no_time_for_is_counted(tree, monkeypatch):
    monkeypatch.setattr(detail, "_WALK_S", -1.0)
    for pid in range(20, 30):
        tree.process(pid, "many", ["/dev/null"])
    assert "11 processes not looked into: there was no time" in tree.sections()["Listeners"].note


def test_hidden_processes_are_told_with_what_shows_them(tree):
    import shutil

    proc = tree.machine.root / "proc"
    shutil.rmtree(proc / "1")
    tree.write("proc/self/mountinfo", f"31 1 0:5 / {proc} rw - proc proc rw,hidepid=2\n")
    tree.write("proc/self/status", "Gid:\t1000\nGroups:\t1000\nCapEff:\t0000000000000000\n")
    found = tree.sections()
    for title in ("Listeners", "Deleted, still open", "Writers now"):
        assert "hidepid=2" in found[title].note, title
        assert "hidepid=0" in found[title].note, title


def test_addresses_are_written_as_people_write_them(tree):
    """An IPv4 peer of an IPv6 socket is the same peer."""
    mapped = "0000000000000000FFFF00000100007F"
    tree.write(
        "proc/net/tcp6", tcp((mapped, 40001, mapped, 80, 1, 0, 1), ("0" * 24 + "01000000", 40002, "0" * 24 + "01000000", 80, 1, 0, 1))
    )
    sockets, complete = read_sockets(str(tree.machine.root / "proc"), range(1, 65536), float("inf"), netlink=False)
    assert complete
    assert [text_of(each.peer) for each in sockets] == ["127.0.0.1", "[::1]"]


def test_only_linux_offers_it():
    from perfconsole.collectors.system.portable import PortableCollector

    assert [operation.spec for operation in SystemCollector().operations] == [SYSTEM_DETAIL]
    assert PortableCollector().operations == ()
