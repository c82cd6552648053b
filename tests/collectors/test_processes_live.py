"""The scan over real processes of our own: compared with ps, with the kernel's nanoseconds, and under hostile names."""

# ruff: noqa: ASYNC222, ASYNC240, ASYNC251, PTH208 - the test waits for real processes, and nothing else runs on its loop

import ctypes
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from math import isnan
from pathlib import Path

import pytest
from quiet import measuring

from perfconsole.collectors.processes import ProcessCollector
from perfconsole.core.ports import Slot
from perfconsole.core.tables import View

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc here")

ALL = (View("process"),)
HOSTILE = "x) R \n\x1b[31m"  # 10 bytes of the 15 a name can have


def slot():
    boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    return Slot(time.time(), boot, boot + 2)


@pytest.fixture
def collector():
    made = ProcessCollector()
    yield made
    made.close()


async def scan(collector, views=ALL):
    result = await collector.run("host", slot(), views)
    return {row.pid: row for row in result.tables[0].rows}


async def identified(collector, *pids, other_than=""):
    """The rows once the command lines of these are known: what a busy machine leaves no time for comes with the next scan."""
    patience = time.monotonic() + 60
    while True:
        rows = await scan(collector)
        if all(rows[pid].command not in {other_than, f"[{rows[pid].name}]"} for pid in pids):
            return rows
        assert time.monotonic() < patience


@contextmanager
def child(work):
    """A forked child that says it is ready, then runs `work`; gone afterwards."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work(told)
        finally:
            os._exit(0)
    os.close(told)
    os.read(ready, 1)
    os.close(ready)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextmanager
def spawned(arguments, **options):
    """A program, ended whatever becomes of the test."""
    with subprocess.Popen(arguments, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def sleeper(told):
    os.write(told, b"x")
    time.sleep(60)


def spinner(told):
    os.write(told, b"x")
    while True:
        pass


def renamed(told):
    ctypes.CDLL(None).prctl(15, HOSTILE.encode(), 0, 0, 0)  # PR_SET_NAME
    sleeper(told)


def until(true):
    """Wait for what another process does at once; it never takes long, and never for ever."""
    patience = time.monotonic() + 60
    while not true():
        assert time.monotonic() < patience
        time.sleep(0.001)


def run_ns(pid):
    """Nanoseconds on a CPU (schedstat): a clock a million times finer than ticks, kept apart from them."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def ps(pid, field):
    """What ps says; one field at a time, because only the last column is not cut."""
    said = subprocess.run(["ps", "-ww", "-p", str(pid), "-o", f"{field}="], capture_output=True, text=True, check=True)
    return said.stdout.strip()


@measuring
async def test_agrees_with_ps(collector):
    with spawned(["sleep", "60"]) as sleeping, child(sleeper) as other:
        until(lambda: Path(f"/proc/{sleeping.pid}/comm").read_text() == "sleep\n")
        rows = await identified(collector, os.getpid(), sleeping.pid, other)
        for pid in (os.getpid(), sleeping.pid, other):
            row = rows[pid]
            assert [row.pid, row.ppid, row.threads, row.nice] == [int(ps(pid, field)) for field in ("pid", "ppid", "nlwp", "ni")]
            assert row.user == pwd.getpwuid(int(ps(pid, "uid"))).pw_name
            assert row.name == ps(pid, "comm")
            assert row.command == ps(pid, "args")
            assert time.time() - row.started == pytest.approx(int(ps(pid, "etimes")), abs=2.1)
        assert rows[sleeping.pid].command == "sleep 60"
        assert rows[sleeping.pid].state == ps(sleeping.pid, "state") == "S"
        assert rows[other].memory_bytes == pytest.approx(int(ps(other, "rss")) * 1024, rel=0.02)  # it is still waking up


@measuring
async def test_a_busy_loop_reads_what_the_kernel_counted(collector):
    with child(spinner) as pid:
        await scan(collector)
        ran, at = run_ns(pid), time.clock_gettime(time.CLOCK_BOOTTIME)
        first = (await scan(collector))[pid]
        time.sleep(0.5)
        second = (await scan(collector))[pid]
        spent, elapsed = (run_ns(pid) - ran) / 1e9, time.clock_gettime(time.CLOCK_BOOTTIME) - at
    assert first.cpu_s < second.cpu_s
    assert second.cpu == pytest.approx(spent / elapsed, abs=0.1)  # two ticks of 10 ms in 0.5 s, and what lies between the two reads
    assert 0 < second.cpu <= 1.05


async def test_a_process_born_between_two_scans_has_a_ratio_at_once(collector):
    await scan(collector)
    began = time.time()
    with child(spinner) as pid:
        until(lambda: run_ns(pid) > 200e6)
        row = (await scan(collector))[pid]
    assert 0 < row.cpu <= 1.2
    assert began - 1 <= row.started <= time.time() + 1


async def test_a_hostile_name_and_arguments(collector):
    arguments = ["evil\x1b]0;owned\x07", "-c", "import time; time.sleep(60)", "--password=hunter2", "a\nb", "\udcff", "x" * 10_000]
    encoded = [argument.encode("utf-8", "surrogateescape") for argument in arguments]
    with spawned(encoded, executable=sys.executable) as evil, child(renamed) as pid:
        until(lambda: b"evil" in Path(f"/proc/{evil.pid}/cmdline").read_bytes())
        rows = await identified(collector, evil.pid)
    assert rows[pid].name == "x) R  ␛[31m"
    assert rows[pid].state in "SR"
    assert rows[pid].ppid == os.getpid()
    command = rows[evil.pid].command
    assert command.startswith("evil␛]0;owned␇ -c import time; time.sleep(60) --password=*** a b \ufffd xxx")
    assert len(command) <= 4096
    assert all(row.command.isprintable() and row.name.isprintable() for row in rows.values())


async def test_exec_is_noticed(collector):
    script = "read x; exec sleep 60"
    with spawned(["sh", "-c", script], stdin=subprocess.PIPE) as process:
        until(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sh\n")
        before = (await identified(collector, process.pid))[process.pid]
        process.stdin.write(b"go\n")
        process.stdin.flush()
        until(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n")
        after = (await identified(collector, process.pid, other_than=before.command))[process.pid]
    assert (before.name, before.command) == ("sh", f"sh -c {script}")
    assert (after.name, after.command) == ("sleep", "sleep 60")
    assert after.key == before.key


async def test_a_zombie_is_shown_and_then_gone(collector):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    row = (await scan(collector))[pid]
    assert row.state == "Z"
    os.waitpid(pid, 0)
    assert pid not in await scan(collector)


async def test_expensive_columns_of_our_own(collector, tmp_path):
    me = os.getpid()
    start = (await scan(collector))[me].start
    view = (View("process", keys=((me, start),), columns=("fds", "pss_bytes", "read_bytes_s", "write_bytes_s")),)
    await scan(collector, view)
    row = (await scan(collector, view))[me]
    assert row.fds == pytest.approx(len(os.listdir("/proc/self/fd")), abs=2)
    rollup = Path("/proc/self/smaps_rollup").read_text()
    pss = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) * 1024
    assert row.pss_bytes == pytest.approx(pss, rel=0.2)
    assert row.write_bytes_s >= 0
    assert row.pss_bytes <= row.memory_bytes * 1.1


async def test_a_kernel_thread(collector):
    kthreadd = Path("/proc/2/comm")
    if not kthreadd.exists() or kthreadd.read_text() != "kthreadd\n":
        pytest.skip("in a container there are none")
    rows = await scan(collector)
    assert rows[2].kernel
    assert rows[2].command == "[kthreadd]"
    assert not rows[os.getpid()].kernel


def test_known_without_importing_psutil_or_anything_slow():
    script = "import sys, perfconsole.collectors.processes as p; p.ProcessCollector(); print(' '.join(sys.modules))"
    loaded = set(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split())
    assert not {"psutil", "pwd", "resource", "subprocess", "inspect", "dataclasses", "tempfile", "shutil"} & (loaded - _with_asyncio())


def _with_asyncio():
    """What asyncio brings along by itself, which the engine needs anyway."""
    script = "import sys, asyncio, msgspec; print(' '.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split())


# In a process of its own, since it changes limits, users and namespaces ----------------------------------------------------------

PRELUDE = """
import asyncio, json, os, resource, signal, sys, time
from math import isnan
from perfconsole.collectors.processes import ProcessCollector
from perfconsole.core.errors import RequestError
from perfconsole.core.ports import Slot
from perfconsole.core.requests import PROCESS_SIGNAL, SignalArgs
from perfconsole.core.tables import View
def slot():
    boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    return Slot(time.time(), boot, boot + 2)
async def scan(collector, views=(View("process"),)):
    result = await collector.run("host", slot(), views)
    return result, {row.pid: row for row in result.tables[0].rows}
"""


def apart(script, *prefix):
    done = subprocess.run([*prefix, sys.executable, "-c", PRELUDE + script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_near_the_descriptor_limit():
    said = apart("""
async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 60))
    kids = []
    for _ in range(80):
        pid = os.fork()
        if pid == 0:
            time.sleep(300); os._exit(0)
        kids.append(pid)
    collector = ProcessCollector()
    _, first = await scan(collector)
    kept = len(os.listdir("/proc/self/fd"))
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))  # the rest of the program needs them all
    except OSError:
        pass
    os.close(taken.pop())
    _, second = await scan(collector)
    after = collector._backend._descriptors.kept
    for fd in taken:
        os.close(fd)
    _, third = await scan(collector)
    collector.close()
    for pid in kids:
        os.kill(pid, signal.SIGKILL)
    seen = [len(set(kids) & set(rows)) for rows in (first, second, third)]
    print(json.dumps([soft, kept, after, seen, len(os.listdir("/proc/self/fd"))]))
asyncio.run(main())
""")
    soft, kept, after, seen, left = said
    assert soft == 60  # raised to the hard limit
    assert kept <= 30 + 10  # half of it, beside what the program itself has open
    assert seen == [80, 80, 80]
    assert after <= 30
    assert left < 12  # everything was given back


def unshare(*options):
    """A prefix that runs a command in namespaces of its own; skips where that is not allowed."""
    if not shutil.which("unshare") or subprocess.run(["unshare", *options, "true"], capture_output=True, check=False).returncode:
        pytest.skip("namespaces may not be made here")
    return ["unshare", *options]


def test_a_pid_that_is_really_reused():
    said = apart(
        """
def sleeper(pid_wanted=None):
    if pid_wanted:
        with open("/proc/sys/kernel/ns_last_pid", "w") as file:
            file.write(str(pid_wanted - 1))
    pid = os.fork()
    if pid == 0:
        time.sleep(30); os._exit(0)
    return pid
async def main():
    collector = ProcessCollector()
    old = sleeper()
    _, rows = await scan(collector)
    before = rows[old]
    os.kill(old, signal.SIGKILL)
    os.waitpid(old, 0)
    time.sleep(0.05)
    new = sleeper(old)
    run = {op.spec.name: op.run for op in collector.operations}["process.signal"]
    try:
        await run(SignalArgs(old, before.start, 9))
        refused = ""
    except RequestError as error:
        refused = str(error)
    _, rows = await scan(collector)
    after = rows[new]
    alive = os.waitpid(new, os.WNOHANG) == (0, 0)
    done = (await run(SignalArgs(new, after.start, 9))).text
    ended = os.waitstatus_to_exitcode(os.waitpid(new, 0)[1])
    print(json.dumps([old == new, before.start, after.start, isnan(after.cpu), after.cpu, refused, alive, done, ended]))
asyncio.run(main())
""",
        *unshare("-p", "-f", "--mount-proc"),
    )
    same_pid, before, after, unknown, cpu, refused, alive, done, ended = said
    assert same_pid
    assert before < after
    assert unknown is False
    assert cpu >= 0
    assert "belongs to another process now" in refused
    assert alive
    assert done.startswith("sent SIGKILL to ")
    assert ended == -9


def test_hidepid_for_real():
    said = apart(
        """
os.system("mount -t proc -o hidepid=2 proc /proc")
collector = ProcessCollector()
pid = os.fork()
if pid:
    os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
os.setgroups([]); os.setgid(65534); os.setuid(65534)
async def main():
    result, rows = await scan(collector)
    health = [[h.target, h.state, h.error, h.fix] for h in result.health]
    print(json.dumps([result.tables[0].hidden, health, 1 in rows, os.getpid() in rows]))
asyncio.run(main())
""",
        *unshare("-m", "-p", "-f"),
    )
    hidden, health, init, own = said
    assert hidden
    assert not init
    assert own
    assert health[0][:2] == ["hidepid", "denied"]
    assert "hidepid=" in health[0][2]
    assert "hidepid=0" in health[0][3]


async def test_first_scan_does_not_guess(collector):
    rows = await scan(collector)
    assert all(isnan(row.cpu) for row in rows.values())
    assert list(rows) == sorted(rows)
