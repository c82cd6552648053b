"""What is done to a process, and what is read of one on request: exactly that one, and a plain line when it cannot be."""

# ruff: noqa: ASYNC220, ASYNC222, ASYNC240, PTH109, PTH208 - the test waits for real processes, and nothing else runs on its loop

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from perfconsole.collectors.processes import ProcessCollector, control, sockets
from perfconsole.core.errors import RequestError
from perfconsole.core.requests import ProcessId, ReniceArgs, SignalArgs

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc here")


@pytest.fixture
def operations():
    collector = ProcessCollector()
    yield {operation.spec.name: operation.run for operation in collector.operations}
    collector.close()


@pytest.fixture
def sleeping():
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def start_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


async def test_a_signal_reaches_its_process_and_no_other(operations, sleeping):
    with subprocess.Popen(["sleep", "60"]) as other:
        done = await operations["process.signal"](SignalArgs(sleeping.pid, start_of(sleeping.pid), signal.SIGUSR1))
        assert done.text.startswith(f"sent SIGUSR1 to {sleeping.pid} (")
        assert sleeping.wait(60) == -signal.SIGUSR1
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize("pidfd", [True, False])
async def test_refused_when_the_identity_changed(operations, sleeping, monkeypatch, pidfd):
    if not pidfd:
        monkeypatch.delattr(os, "pidfd_open")
    with pytest.raises(RequestError, match="belongs to another process now"):
        await operations["process.signal"](SignalArgs(sleeping.pid, start_of(sleeping.pid) - 1, signal.SIGKILL))
    with pytest.raises(RequestError, match="belongs to another process now"):
        await operations["process.renice"](ReniceArgs(sleeping.pid, start_of(sleeping.pid) - 1, 5))
    assert sleeping.poll() is None
    await operations["process.signal"](SignalArgs(sleeping.pid, start_of(sleeping.pid), signal.SIGTERM))
    assert sleeping.wait(60) == -signal.SIGTERM


async def test_refused_when_it_is_gone(operations, sleeping):
    start = start_of(sleeping.pid)
    sleeping.kill()
    sleeping.wait(60)
    for name, args in (
        ("process.signal", SignalArgs(sleeping.pid, start, 15)),
        ("process.renice", ReniceArgs(sleeping.pid, start, 5)),
        ("process.detail", ProcessId(sleeping.pid, start)),
    ):
        with pytest.raises(RequestError, match=f"process {sleeping.pid} has ended"):
            await operations[name](args)


async def test_a_zombie_is_told_from_the_living(operations):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(RequestError, match=f"until its parent {os.getpid()} reaps it"):
        await operations["process.signal"](SignalArgs(pid, start_of(pid), 9))
    os.waitpid(pid, 0)


@pytest.mark.parametrize(
    ("pid", "number", "said"),
    [
        (1, 15, "init"),
        (0, 15, "group"),
        (-1, 9, "group"),
        pytest.param(os.getpid(), 15, "perfconsole itself", id="itself"),
        (99, 0, "no signal"),
        (99, 65, "no signal"),
    ],
)
async def test_what_is_never_meant(operations, pid, number, said):
    with pytest.raises(RequestError, match=said):
        await operations["process.signal"](SignalArgs(pid, 1, number))


@pytest.mark.parametrize(
    ("pid", "nice", "said"), [(0, 5, "group"), (-5, 5, "group"), (99, 20, "no nice value"), (99, -21, "no nice value")]
)
async def test_what_is_no_nice_value(operations, pid, nice, said):
    with pytest.raises(RequestError, match=said):
        await operations["process.renice"](ReniceArgs(pid, 1, nice))


async def test_renice_reaches_every_thread(operations):
    start = "[threading.Thread(target=time.sleep, args=(60,), daemon=True).start() for _ in range(3)]"
    script = f"import threading, time; {start}; print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        process.stdout.read(1)
        done = await operations["process.renice"](ReniceArgs(process.pid, start_of(process.pid), 7))
        nices = [os.getpriority(os.PRIO_PROCESS, int(thread)) for thread in os.listdir(f"/proc/{process.pid}/task")]
        process.kill()
    assert nices == [7, 7, 7, 7]
    assert done.text.startswith(f"nice 7 for {process.pid} (")


NOBODY = """
import os, sys
from perfconsole.collectors.processes import control, detail
from perfconsole.core.errors import RequestError
os.setgroups([]); os.setgid(65534); os.setuid(65534)
pid, start = int(sys.argv[1]), int(sys.argv[2])
for act in (lambda: control.send("/proc", pid, start, 15), lambda: control.renice("/proc", pid, start, 5)):
    try:
        act()
    except RequestError as error:
        print(error)
own = os.fork()
if own == 0:
    os.nice(5)
    import time; time.sleep(30)
import time
for _ in range(1000):
    if os.getpriority(os.PRIO_PROCESS, own) == 5: break
    time.sleep(0.01)
try:
    control.renice("/proc", own, int(open(f"/proc/{own}/stat").read().rpartition(")")[2].split()[19]), 0)
except RequestError as error:
    print(error)
os.kill(own, 9)
print(*detail.read_detail("/proc", pid, start).denied, sep="\\n")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_is_not_allowed_says_whose_it_is(sleeping):
    done = subprocess.run(
        [sys.executable, "-c", NOBODY, str(sleeping.pid), str(start_of(sleeping.pid))],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert f"process {sleeping.pid} (sleep) belongs to root: run as that user or as root (CAP_KILL)" in lines[0]
    assert "belongs to root" in lines[1]
    assert "only root may lower a nice value (5 to 0)" in lines[2]
    assert any(line.startswith("open files: the process belongs to root; needs root") for line in lines[3:])
    assert sleeping.poll() is None


async def test_detail_of_ourselves(operations, tmp_path):
    path = tmp_path / "open\x1bfile"
    path.write_text("x")
    with path.open() as file, socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(str(tmp_path / "sock"))
        unix.listen()
        udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        udp.bind(("::1", 0))
        reader, writer = os.pipe()
        detail = await operations["process.detail"](ProcessId(os.getpid(), start_of(os.getpid())))
        files = {opened.fd: opened for opened in detail.files}
        port, own = server.getsockname()[1], client.getsockname()[1]
        assert (files[file.fileno()].kind, files[file.fileno()].text) == ("file", str(tmp_path / "open␛file"))
        assert (files[server.fileno()].kind, files[server.fileno()].text) == ("socket", f"tcp 127.0.0.1:{port} listening")
        assert files[client.fileno()].text == f"tcp 127.0.0.1:{own} -> 127.0.0.1:{port} established"
        assert files[unix.fileno()].text == f"unix stream {tmp_path}/sock listening"
        assert files[udp.fileno()].text == f"udp6 [::1]:{udp.getsockname()[1]}"
        assert files[reader].kind == "pipe"
        unix.close()
        udp.close()
        os.close(reader)
        os.close(writer)
    facts, memory, limits = dict(detail.facts), dict(detail.memory), {name: soft for name, soft, _ in detail.limits}
    assert facts["working directory"] == os.getcwd()
    assert facts["executable"] == os.path.realpath("/proc/self/exe")
    assert int(facts["threads"]) >= threading.active_count()
    assert facts["OOM score"].endswith(")")
    began = time.mktime(time.strptime(facts["started"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    assert began == pytest.approx(
        time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + start_of(os.getpid()) / os.sysconf("SC_CLK_TCK"), abs=2
    )
    assert memory["VmRSS"] > 2**20
    assert memory["Pss"] > 2**20
    assert limits["Max open files"].isdecimal() or limits["Max open files"] == "unlimited"
    assert detail.denied == []
    assert "PATH=" not in str(detail)


async def test_detail_of_a_kernel_thread(operations):
    if not Path("/proc/2/comm").exists() or Path("/proc/2/comm").read_text() != "kthreadd\n" or os.geteuid() != 0:
        pytest.skip("there is none, or it may not be read")
    detail = await operations["process.detail"](ProcessId(2, start_of(2)))
    assert (detail.files, detail.memory) == ([], [])


def test_addresses_as_the_kernel_prints_them():
    if sys.byteorder != "little":
        pytest.skip("the examples are of a little-endian machine")
    assert sockets._address(b"0100007F:1F90") == "127.0.0.1:8080"
    assert sockets._address(b"00000000:0000") == "0.0.0.0:*"
    assert sockets._address(b"00000000000000000000000001000000:0016") == "[::1]:22"
    assert sockets._address(b"B80D0120000000000000000001000000:01BB") == "[2001:db8::1]:443"


def test_signal_names():
    assert control.signal_name(15) == "SIGTERM"
    assert control.signal_name(50) == "signal 50"


@pytest.mark.skipif(os.geteuid() != 0, reason="a pid namespace needs root")
def test_nothing_is_done_where_proc_numbers_processes_as_another_namespace_does():
    """After ``unshare --pid`` the number 2 of /proc is somebody else than the 2 that kill(2) would reach."""
    script = (
        "import os, sys\n"
        "from perfconsole.collectors.processes import control\n"
        "from perfconsole.core.errors import RequestError\n"
        "pid = os.fork() or os.execvp('sleep', ['sleep', '60'])\n"
        "start = int(open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[19])\n"
        "for act in (lambda: control.send('/proc', pid, start, 9), lambda: control.renice('/proc', pid, start, 5)):\n"
        "    try:\n"
        "        print('did', act())\n"
        "    except RequestError as error:\n"
        "        print(error)\n"
        "print('alive' if os.waitpid(pid, os.WNOHANG) == (0, 0) else 'killed')\n"
        "os.kill(pid, 9)\n"
    )
    done = subprocess.run(
        ["unshare", "--pid", "--fork", sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    if "unshare failed" in done.stderr:
        pytest.skip(done.stderr)
    assert done.stdout.count("another namespace") == 2, done
    assert done.stdout.endswith("alive\n")


def test_a_forged_line_among_the_sockets_stops_nobody():
    """The name of an abstract socket may hold a newline, so that anybody can write lines into /proc/net/unix."""
    with socket.socket(socket.AF_UNIX) as victim, socket.socket(socket.AF_UNIX) as forger:
        inode = os.fstat(victim.fileno()).st_ino
        forger.bind(f"\0x{os.getpid()}\n0: zz zz zz zz zz {inode} /forged".encode())
        victim.bind(f"\0honest{os.getpid()}".encode())
        assert sockets.describe("/proc", os.getpid(), {inode})[inode] == f"unix stream @honest{os.getpid()}"
