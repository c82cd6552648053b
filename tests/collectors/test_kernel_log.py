"""The kernel log as it is read: the real device where it may be read, and a written one for what no test should do to a machine."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from errno import EINVAL, EIO, EPIPE
from pathlib import Path

import pytest

import perfconsole.collectors.kernellog as room
from perfconsole.collectors.kernellog import KernelLogCollector
from perfconsole.collectors.kernellog.folding import Folding
from perfconsole.collectors.kernellog.ring import Clocks, NotTheKernelLogError, Ring, open_ring
from perfconsole.collectors.kernellog.unnamed import WAIT_S
from perfconsole.core.changes import KINDS
from perfconsole.core.ports import Slot
from perfconsole.core.tick import SEVERITIES

ERROR = "I/O error, dev sda, sector {} op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2"
OOM = (
    (
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a.slice,task_memcg=/a.slice/b.service,"
        "task=python3,pid=7,uid=0"
    ),
    "Memory cgroup out of memory: Killed process 7 (python3) total-vm:9kB, anon-rss:1024kB, file-rss:0kB, shmem-rss:0kB, UID:0",
)


def readable():
    try:
        os.close(open_ring("/dev/kmsg"))
    except (OSError, NotTheKernelLogError):
        return False
    return True


real = pytest.mark.skipif(not readable(), reason="the kernel log may not be read here")


class Machine:
    """A kernel log in a list, and clocks that stand still until they are moved."""

    def __init__(self, tmp_path, monkeypatch):
        self.up_s = 100_000.0
        self.epoch_s = 1_700_000_000.0
        self.records = []
        self.faults = []
        self.number = 0
        self.proc = tmp_path
        self.refused = None
        monkeypatch.setattr(room, "open_ring", self.open)
        monkeypatch.setattr(room, "Ring", lambda descriptor: Written(descriptor, self))
        self.count(0)

    def open(self, path):
        if self.refused:
            raise self.refused
        return os.open(os.devnull, os.O_RDONLY)

    def write(self, text, level=3, ago_s=0.0):
        self.number += 1
        self.records.append(b"%d,%d,%d,-;%s\n" % (level, self.number, (self.up_s - ago_s) * 1e6, text.encode()))

    def count(self, kills):
        (self.proc / "vmstat").write_text(f"nr_free_pages 1\noom_kill {kills}\nlast 2\n")

    def clocks(self):
        return Clocks(self.epoch_s + self.up_s, self.up_s, self.up_s)

    def collector(self, **how):
        return KernelLogCollector(proc=str(self.proc), clocks=self.clocks, **how)

    def run(self, collector, after_s=2.0):
        self.up_s += after_s
        return asyncio.run(collector.run("host", Slot(self.epoch_s + self.up_s, self.up_s, 0.0), ()))


class Written(Ring):
    """A ring whose records are the machine's; it skips as the real one does."""

    def __init__(self, descriptor, machine):
        super().__init__(descriptor)
        self.machine = machine

    def records(self):
        self.at = 0
        read, real_read = self._next, os.read
        os.read = read
        try:
            yield from super().records()
        finally:
            os.read = real_read

    def _next(self, descriptor, size):
        if self.machine.faults:
            raise OSError(self.machine.faults.pop(0), "fault")
        if not self.machine.records:
            raise BlockingIOError
        return self.machine.records.pop(0)

    def skip(self):
        self.machine.records.clear()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)


def test_a_line_becomes_an_event_with_its_own_time(machine):
    collector = machine.collector()
    machine.run(collector)
    machine.write(ERROR.format(5))
    written = machine.epoch_s + machine.up_s
    result = machine.run(collector)
    [event] = result.events
    assert (event.kind, event.scope, event.severity, event.source) == ("kernel", "/dev/sda", "critical", "kernel log")
    assert event.text == "sda: I/O error reading sector 5"
    assert event.time_lo == event.time_hi == pytest.approx(written, abs=0.01)
    assert result.health == ()
    assert machine.run(collector).events == []


def test_two_lines_of_a_kill_are_one_event_even_a_run_apart(machine):
    collector = machine.collector()
    machine.run(collector)
    machine.write(OOM[0])
    assert machine.run(collector).events == []
    machine.write(OOM[1])
    [event] = machine.run(collector).events
    assert (event.kind, event.scope, event.severity) == ("oom", "b.service", "critical")
    assert event.text == "python3 of b.service was killed: the memory limit of a.slice was reached; it held 1.0M (pid 7, uid 0)"


def test_a_kill_whose_second_line_never_comes_is_told_all_the_same(machine):
    collector = machine.collector()
    machine.run(collector)
    machine.write(OOM[0])
    written = machine.epoch_s + machine.up_s
    assert machine.run(collector).events == []
    [event] = machine.run(collector, 10.0).events
    assert event.text == "python3 of b.service was killed: the memory limit of a.slice was reached (pid 7, uid 0)"
    assert (event.time_lo, event.time_hi) == (pytest.approx(written, abs=0.01), pytest.approx(written + 12.0, abs=0.01))


def test_what_lies_before_the_start_is_told_for_two_hours(machine):
    machine.write(ERROR.format(1), ago_s=7300.0)
    machine.write(ERROR.format(2), ago_s=7100.0)
    machine.write(ERROR.format(3), ago_s=600.0)
    result = machine.run(machine.collector())
    assert [event.text[-1] for event in result.events] == ["2", "3"]
    now = machine.epoch_s + machine.up_s
    assert now - 620 < result.events[1].time_lo <= result.events[1].time_hi < now - 590


def test_of_what_lies_before_the_start_fifty_events_at_most_are_told(machine):
    for number in range(80):
        machine.write(ERROR.replace("sda", f"sd{number}").format(1), ago_s=1000.0 - number)
    events = machine.run(machine.collector()).events
    assert len(events) == 50
    assert events[-1].scope == "/dev/sd79"


def test_a_storm_costs_little_and_tells_little(machine):
    collector = machine.collector()
    machine.run(collector)
    told, took_s = [], 0.0
    for _ in range(40):
        for _ in range(20_000):
            machine.number += 1
            machine.records.append(b"3,%d,%d,-;I/O error, dev sda, sector 1\n" % (machine.number, machine.up_s * 1e6))
        began = time.process_time()
        told += machine.run(collector).events
        took_s += time.process_time() - began
    io = [event for event in told if event.scope == "/dev/sda"]
    lost = [event for event in told if event.scope == "host"]
    assert len(io) == len(lost) == 2
    assert "more in 58 s" in io[1].text
    assert lost[0].text == "lines of the kernel log were lost: more came than could be read"
    assert took_s / 40 < 2  # 0.03 s; with words for each of them, a minute


def test_overwritten_lines_are_told_once(machine):
    collector = machine.collector()
    machine.run(collector)
    machine.faults = [EPIPE]
    machine.write(ERROR.format(1))
    assert [event.scope for event in machine.run(collector).events] == ["host", "/dev/sda"][::-1]
    machine.faults = [EPIPE]
    assert machine.run(collector).events == []


def test_at_the_start_an_overwritten_line_is_no_loss(machine):
    machine.faults = [EPIPE]
    assert machine.run(machine.collector()).events == []


def test_a_record_too_long_is_passed_over(machine):
    collector = machine.collector()
    machine.run(collector)
    machine.faults = [EINVAL]
    machine.write(ERROR.format(1))
    assert len(machine.run(collector).events) == 1


def test_a_log_that_breaks_is_opened_again_and_nothing_told_twice(machine):
    collector = machine.collector()
    machine.write(ERROR.format(1))
    machine.run(collector)
    machine.faults = [EIO]
    [health] = machine.run(collector).health
    assert (health.state, health.error) == ("error", "the kernel log cannot be read: /dev/kmsg: fault")
    machine.number = 0
    machine.write(ERROR.replace("sda", "sdz").format(1))  # what has that number was read
    machine.write(ERROR.replace("sda", "sdb").format(1))
    result = machine.run(collector)
    assert [event.scope for event in result.events] == ["/dev/sdb"]
    assert result.health == ()


def test_what_root_writes_to_the_log_is_not_the_kernels(machine):
    collector = machine.collector()
    machine.run(collector)
    for line in OOM:
        machine.write(line, level=11)
    assert machine.run(collector).events == []


def test_hostile_bytes_are_made_visible(machine):
    collector = machine.collector()
    machine.run(collector)
    machine.write("\\x1b]0;x\\x07\\xff[7]: segfault at 0 ip 0000 sp 0000 error 4")
    [event] = machine.run(collector).events
    assert event.text == "␛]0;x␇\ufffd (pid 7) crashed: segmentation fault"
    assert event.text.isprintable()


def test_who_may_not_read_it_is_told_what_would_help_and_still_that_a_process_was_killed(machine):
    machine.refused = PermissionError(1, "Operation not permitted")
    collector = machine.collector()
    [health] = machine.run(collector).health
    assert (health.collector, health.target, health.state) == ("kernel log", "host", "denied")
    for word in ("CAP_SYSLOG", "adm", "kernel.dmesg_restrict"):
        assert word in health.fix
    assert machine.run(collector).events == []
    machine.count(2)
    looked = machine.epoch_s + machine.up_s
    assert machine.run(collector).events == [], "who knows its unit may name it"
    [event] = machine.run(collector, WAIT_S).events
    assert (event.kind, event.scope, event.severity) == ("oom", "host", "critical")
    assert (
        event.text
        == "2 processes were killed because memory ran out; which, is not known: the kernel log may not be read here without CAP_SYSLOG"
    )
    assert (event.time_lo, event.time_hi) == (looked, looked + 2.0)
    machine.refused = None
    assert machine.run(collector).health == ()


@pytest.mark.parametrize("before", [True, False], ids=["named first", "counted first"])
def test_a_kill_that_is_told_with_its_unit_is_told_once(machine, before):
    machine.refused = PermissionError(1, "Operation not permitted")
    told = 0
    collector = machine.collector(named=lambda: told)
    machine.run(collector)
    if before:
        told = 2
        machine.run(collector)
    machine.count(3)
    machine.run(collector)
    told = 2
    assert machine.run(collector).events == []
    [event] = machine.run(collector, WAIT_S).events
    assert event.text.startswith("a process was killed because memory ran out"), "the third was in no unit"
    machine.count(4)
    machine.run(collector)
    assert len(machine.run(collector, WAIT_S).events) == 1, "what is named once is set against no other"


def test_where_units_are_looked_at_less_often_they_are_waited_for_longer(machine):
    machine.refused = PermissionError(1, "Operation not permitted")
    told = 0
    collector = machine.collector(named=lambda: told, named_every_s=30.0)
    machine.run(collector)
    machine.count(1)
    machine.run(collector)
    assert machine.run(collector, 30.0).events == []
    told = 1
    assert machine.run(collector).events == machine.run(collector, 60.0).events == []


def test_the_count_is_found_on_the_second_page_of_its_file(machine):
    machine.refused = PermissionError(1, "Operation not permitted")
    collector = machine.collector()
    pages = "".join(f"nr_something_{number} 123456789012\n" for number in range(5000))  # more than any one read gives
    for kills in (0, 1):
        (machine.proc / "vmstat").write_text(f"{pages}oom_kill {kills}\nlast 2\n")
        told = machine.run(collector, WAIT_S).events
    assert told == []
    assert [event.kind for event in machine.run(collector, WAIT_S).events] == ["oom"]


def test_kills_whose_lines_were_lost_are_counted(machine):
    collector = machine.collector()
    machine.run(collector)
    for line in OOM:
        machine.write(line)
    machine.faults = [EPIPE]
    machine.count(3)
    texts = [event.text for event in machine.run(collector).events if event.kind == "oom"]
    assert len(texts) == 2
    assert texts[1].startswith("2 processes were killed because memory ran out")


def test_a_count_that_comes_before_its_line_is_no_second_kill(machine):
    collector = machine.collector()
    machine.run(collector)
    machine.count(1)
    assert machine.run(collector).events == []
    for line in OOM:
        machine.write(line)
    machine.faults = [EPIPE]
    assert [event.kind for event in machine.run(collector).events].count("oom") == 1


def test_a_line_that_comes_before_its_count_is_no_second_kill(machine):
    collector = machine.collector()
    machine.run(collector)
    for line in OOM:
        machine.write(line)
    machine.run(collector)
    machine.faults = [EPIPE]
    machine.count(1)
    assert [event.kind for event in machine.run(collector).events] == ["kernel"]


def test_old_kills_that_no_line_spoke_of_are_not_told_with_a_later_loss(machine):
    collector = machine.collector()
    machine.run(collector)
    machine.count(5)
    machine.run(collector)
    machine.run(collector)
    machine.faults = [EPIPE]
    assert [event.kind for event in machine.run(collector).events] == ["kernel"]


def test_the_journals_lines_take_the_place_of_a_log_that_may_not_be_read(machine):
    machine.refused = PermissionError(1, "Operation not permitted")
    collector = machine.collector(fed=lambda: True)
    assert machine.run(collector).health == ()
    for line in OOM:
        collector.take(1234.5, line)
    machine.count(1)
    [event] = machine.run(collector).events
    assert (event.kind, event.scope, event.time_lo, event.time_hi) == ("oom", "b.service", 1234.5, 1234.5)


def test_the_journals_lines_are_not_told_beside_the_logs_own(machine):
    collector = machine.collector(fed=lambda: True)
    machine.run(collector)
    collector.take(1234.5, ERROR.format(1))
    assert machine.run(collector).events == []


@pytest.mark.parametrize("kind", ["nothing", "fifo", "file", "device"])
def test_where_a_container_has_something_else_in_its_place_it_is_off(tmp_path, kind):
    path = tmp_path / "kmsg"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "file":
        path.write_text("3,1,1,-;I/O error, dev sda, sector 1\n")
    elif kind == "device":
        path = Path("/dev/null")
    collector = KernelLogCollector(kmsg=str(path), proc=str(tmp_path))
    result = asyncio.run(collector.run("host", Slot(0.0, 0.0, 0.0), ()))
    assert [(health.state, "not visible here" in health.error, "container" in health.fix) for health in result.health] == [
        ("off", True, True)
    ]
    assert result.events == []


def test_its_kinds_and_severities_are_known(machine):
    collector = machine.collector()
    machine.write(ERROR.format(1))
    for line in OOM:
        machine.write(line)
    events = machine.run(collector).events
    assert {event.kind for event in events} == {"kernel", "oom"}
    assert {event.kind for event in events} <= set(KINDS)
    assert {event.severity for event in events} <= set(SEVERITIES)


# The real log -------------------------------------------------------------------------------------------------------------------------


def until(collector, wanted, within_s=60.0):
    """The first event that is wanted, of what comes."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        for event in asyncio.run(collector.run("host", Slot(time.time(), 0.0, 0.0), ())).events:
            if wanted(event):
                return event
        time.sleep(0.02)
    pytest.fail("the kernel log told nothing of it")


@pytest.fixture
def live():
    collector = KernelLogCollector()
    asyncio.run(collector.run("host", Slot(time.time(), 0.0, 0.0), ()))
    collector._folding = Folding()  # the same may have been provoked a moment ago
    yield collector
    collector.close()


@real
@pytest.mark.skipif(
    not Path("/proc/sys/debug/exception-trace").exists() or Path("/proc/sys/debug/exception-trace").read_text().strip() == "0",
    reason="the kernel does not log crashes of programs (debug.exception-trace)",
)
def test_a_program_that_crashes(live):
    began = time.time()
    name = f"crash{os.getpid()}"
    crash = f"import ctypes, resource; resource.setrlimit(4, (0, 0)); ctypes.CDLL(None).prctl(15, b'{name}', 0, 0, 0); ctypes.string_at(0)"
    child = subprocess.Popen([sys.executable, "-c", crash])
    assert child.wait(60) == -signal.SIGSEGV
    event = until(live, lambda event: f"{name} (pid {child.pid})" in event.text)
    assert "crashed: segmentation fault" in event.text
    assert (event.kind, event.severity) == ("kernel", "warning")
    assert began - 1 <= event.time_lo <= event.time_hi <= time.time() + 1


@pytest.fixture
def cgroup():
    """A memory cgroup with a limit of 30 MiB; its path below the hierarchy is its name."""
    name = f"perfconsole-test-{os.getpid()}"
    v1, v2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    root = v1 if (v1 / "memory.limit_in_bytes").exists() else v2
    group = root / name
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    try:
        limits = {"memory.limit_in_bytes": "31457280"} if root == v1 else {"memory.max": "31457280", "memory.swap.max": "0"}
        for file, value in limits.items():
            try:
                (group / file).write_text(value)
            except OSError as error:
                pytest.skip(f"no limit can be set here: {error}")
        yield group
    finally:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.05)


@real
def test_a_process_that_is_killed_at_a_memory_limit(live, cgroup):
    eater = "x = []\nwhile True: x.append(bytearray(1 << 20))"
    began = time.time()
    child = subprocess.Popen(["/bin/sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$1" -c "$2"', str(cgroup), sys.executable, eater])
    try:
        assert child.wait(60) == -signal.SIGKILL
    finally:
        child.kill()
        child.wait()
    event = until(live, lambda event: f"(pid {child.pid}, " in event.text)
    assert (event.kind, event.scope, event.severity) == ("oom", cgroup.name, "critical")
    assert f"the memory limit of {cgroup.name} was reached; it held " in event.text
    assert began - 1 <= event.time_lo <= event.time_hi <= time.time() + 1


BROKEN = """set -e
truncate -s 8M "$0/image"; mkfs.ext4 -q -F "$0/image"; mkdir "$0/mnt"; mount -o loop,errors=remount-ro "$0/image" "$0/mnt"
device=$(findmnt -no SOURCE "$0/mnt"); echo $device; echo x > "/sys/fs/ext4/${device#/dev/}/trigger_fs_error"
umount "$0/mnt" """


@real
def test_a_filesystem_with_an_error(live, tmp_path):
    try:
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", BROKEN, str(tmp_path)], check=False, capture_output=True, text=True, timeout=120
        )
    except OSError:
        pytest.skip("there is no unshare(1) here")
    if done.returncode:
        pytest.skip(f"no filesystem can be broken here: {done.stderr}")
    device = done.stdout.strip()
    event = until(live, lambda event: event.scope == device and "EXT4 error" in event.text)
    assert (event.kind, event.severity) == ("kernel", "critical")


@real
@pytest.mark.skipif(not os.access("/dev/kmsg", os.W_OK), reason="the kernel log may not be written to here")
def test_what_is_written_to_the_real_log_is_not_believed(live):
    with open("/dev/kmsg", "wb", buffering=0) as log:  # noqa: PTH123  # unbuffered
        log.write(b"<3>I/O error, dev perfconsole, sector 1\n")
    for _ in range(3):
        events = asyncio.run(live.run("host", Slot(time.time(), 0.0, 0.0), ())).events
        assert [event for event in events if "perfconsole" in event.scope] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.skipif(not Path("/dev/kmsg").exists(), reason="there is no kernel log here")
def test_as_somebody_else_the_real_log_is_denied():
    restricted = Path("/proc/sys/kernel/dmesg_restrict").read_text().strip() == "1"
    os.seteuid(65534)
    try:
        collector = KernelLogCollector()
        result = asyncio.run(collector.run("host", Slot(0.0, 0.0, 0.0), ()))
        collector.close()
    finally:
        os.seteuid(0)
    assert not restricted or [health.state for health in result.health] in (["denied"], ["off"])
