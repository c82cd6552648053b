"""What processes run: real ones from /dev/shm, from memory, deleted, replaced, set-user-ID."""

import asyncio
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from math import nan
from pathlib import Path

import pytest

from perfconsole.collectors.access import AccessCollector, executables
from perfconsole.collectors.access.executables import Executables
from perfconsole.core.ports import Slot
from perfconsole.core.tick import SEVERITIES

SLEEP = shutil.which("sleep")
USERS = {os.getuid(): "me"}

pytestmark = pytest.mark.skipif(not Path("/proc/self/exe").exists() or not SLEEP, reason="no procfs")


@contextmanager
def running(path, *, keep=False, **options):
    """A process that sleeps, of a copy of sleep at a path; it has begun to run it when it is handed over."""
    path = str(path)
    if not keep:
        shutil.copy(os.path.realpath(SLEEP), path)
    with subprocess.Popen([path, "600"], **options) as process:
        try:
            deadline = time.monotonic() + 60
            while Path(path).name.encode()[:15] not in Path(f"/proc/{process.pid}/stat").read_bytes():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield process
        finally:
            process.kill()


class Looks:
    """Looks at /proc, 30 s after each other, of which only what one process does is told."""

    def __init__(self, proc="/proc"):
        self.executables = Executables(proc)
        self.at = time.time()

    def __call__(self, pid=None, name=None):
        before, self.at = self.at, self.at + 30
        found = asyncio.run(self.executables.look(before, self.at, USERS))
        return [one for one in found if (pid and f"pid {pid})" in one.text) or (name and name in one.text)]


@pytest.fixture
def shared():
    directory = tempfile.mkdtemp(dir="/dev/shm") if os.access("/dev/shm", os.W_OK) else None
    if directory is None or os.statvfs(directory).f_flag & os.ST_NOEXEC:
        pytest.skip("nothing can be run from /dev/shm here")
    yield Path(directory)
    shutil.rmtree(directory)


@pytest.fixture
def anywhere(monkeypatch, tmp_path):
    """A directory as good as any other, although pytest's are below /tmp."""
    monkeypatch.setattr(executables, "_place", lambda exe: "")
    return tmp_path


def test_what_runs_from_dev_shm_is_a_warning(shared):
    looks = Looks()
    looks()
    with running(shared / "miner") as process:
        (finding,) = looks(process.pid)
        assert looks(process.pid) == []
    assert (finding.kind, finding.severity) == ("executable", "warning")
    assert finding.text == f"miner of me runs from /dev/shm: {shared}/miner (pid {process.pid})"
    assert time.time() - 60 < finding.time_lo <= finding.time_hi


def test_it_is_told_even_if_it_ran_before_us(shared):
    with running(shared / "miner") as process:
        (finding,) = Looks()(process.pid)
    assert finding.severity == "warning"


def test_what_runs_from_memory_is_a_warning():
    descriptor = os.memfd_create("hidden", 0)
    try:
        os.write(descriptor, Path(SLEEP).read_bytes())
        looks = Looks()
        looks()
        with subprocess.Popen([f"/proc/self/fd/{descriptor}", "600"], pass_fds=[descriptor]) as process:
            deadline = time.monotonic() + 60
            while not str(Path(f"/proc/{process.pid}/exe").readlink()).startswith("/memfd:"):
                assert time.monotonic() < deadline
            (finding,) = looks(process.pid)
            process.kill()
    finally:
        os.close(descriptor)
    assert (finding.severity, finding.text.endswith(f"/memfd:hidden (pid {process.pid})")) == ("warning", True)


@pytest.mark.parametrize(
    ("exe", "place"),
    [
        ("/memfd:runc_cloned:/proc/self/exe (deleted)", ""),
        ("/memfd:x (deleted)", "memory"),
        ("/tmp/x", "temporary"),
        ("/var/tmp/a/b", "temporary"),
        ("/tmpx/x", ""),
        ("/usr/bin/tmp", ""),
        ("/run/shm/x", "shared"),
        ("", ""),
    ],
)
def test_where_something_runs_from(exe, place):
    assert executables._place(exe) == place


@pytest.mark.skipif(not tempfile.gettempdir().startswith(("/tmp", "/var/tmp")), reason="temporary files are elsewhere")
def test_what_runs_from_tmp_is_told_once_and_not_of_before(tmp_path):
    with running(tmp_path / "before"):
        looks = Looks()
        assert looks(name="before") == []
        with running(tmp_path / "one") as one, running(tmp_path / "two") as two:
            found = looks(one.pid) + looks(two.pid)
            assert len(found) == 1
            assert found[0].severity == ("warning" if os.getuid() == 0 else "info")
            for _ in range(25):
                found += looks(name="temporary files")
    assert found[-1].text.endswith("1 more so")
    assert len(found) == 2


def test_a_deleted_executable_is_told_and_a_replaced_one_only_for_restarts(anywhere):
    looks = Looks()
    looks()
    with running(anywhere / "gone1") as gone, running(anywhere / "upgraded1") as upgraded, running(anywhere / "upgraded2"):
        assert looks(gone.pid) + looks(upgraded.pid) == []
        (anywhere / "gone1").unlink()
        for name in ("upgraded1", "upgraded2"):  # as dpkg does it
            shutil.copy(os.path.realpath(SLEEP), anywhere / "new")
            (anywhere / "new").rename(anywhere / name)
        found = []
        for _ in range(45):
            found += looks(gone.pid, "replaced")
    texts = [(one.text, one.severity) for one in found]
    assert (f"gone1 of me runs an executable that was deleted: {anywhere}/gone1 (pid {gone.pid})", "info") in texts
    last = [text for text in texts if "replaced" in text[0]][-1]
    assert last[0].startswith("2 processes run replaced executables: restart ")
    assert ("upgraded1" in last[0], "upgraded2" in last[0], last[1]) == (True, True, "")
    assert len(texts) <= 3


def test_a_file_that_is_only_called_deleted_is_not(anywhere):
    looks = Looks()
    looks()
    with running(anywhere / "x (deleted)") as process:
        assert looks(process.pid) == []


@pytest.fixture
def setuid_sleep():
    """A copy of sleep that is set-user-ID root, where anybody may run it."""
    if os.geteuid() != 0:
        pytest.skip("only root can make such a file")
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    shutil.copy(os.path.realpath(SLEEP), directory / "sleepy")
    (directory / "sleepy").chmod(0o4755)
    if os.statvfs(directory).f_flag & os.ST_NOSUID:
        pytest.skip("mounted nosuid")
    yield directory / "sleepy"
    shutil.rmtree(directory)


def test_who_is_root_without_being_so_is_a_warning(setuid_sleep):
    nobody = pwd.getpwnam("nobody").pw_uid
    looks = Looks()
    looks()
    with running(setuid_sleep, keep=True, user=nobody) as process:
        if "\t0\t" not in Path(f"/proc/{process.pid}/status").read_text().partition("Uid:")[2].partition("\n")[0]:
            pytest.skip("no set-user-ID here (no_new_privs)")
        (finding,) = looks(process.pid)
    assert (finding.severity, finding.text) == (
        "warning", f"{setuid_sleep} runs as root for uid {nobody}, which it usually does not (pid {process.pid})",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("exe", "name", "usual"),
    [
        ("/usr/bin/sudo", "sudo", True),
        ("/usr/lib/cargo/bin/sudo", "sudo", True),
        ("/srv/x/sudo", "sudo", False),
        ("/usr/bin/vim", "vim", False),
        ("", "su", True),
        ("", "dbus-daemon-lau", True),
        ("", "sh", False),
        ("/usr/bin/passwd (deleted)", "passwd", True),
    ],
)
def test_programs_that_usually_run_as_root_for_others(exe, name, usual):
    process = executables._Seen(1, 1, name, exe, 1000, 0)
    assert (executables._verdict(process, set(), set()) != "setuid") is usual


# ---- a machine of a hundred processes


@pytest.fixture
def crowd(tmp_path):
    """A /proc of as many processes, among them kernel threads."""
    for pid in range(1, 101):
        base = tmp_path / str(pid)
        base.mkdir()
        flags = 0x00208040 if 2 <= pid < 12 else 0x00400040
        (base / "stat").write_text(f"{pid} (na) me) S 1 1 1 0 -1 {flags} " + "0 " * 12 + f"{pid * 10} 0 0\n")
        (base / "status").write_text("Name:\tx\nUid:\t0\t0\t0\t0\n")
        (base / "exe").symlink_to("/usr/bin/true")
    (tmp_path / "uptime").write_text("1000.0 1.0\n")
    return tmp_path


def test_of_known_processes_a_tenth_is_looked_at_again(crowd, monkeypatch):
    looks = Looks(str(crowd))
    read = []
    real = executables._read
    monkeypatch.setattr(executables, "_read", lambda path: read.append(path) or real(path))
    looks()
    first = sum(path.endswith("/stat") for path in read)
    assert (first, looks.executables.total, looks.executables.unseen) == (100, 90, 0)
    read.clear()
    for _ in range(10):
        before = len(read)
        looks()
        assert sum(path.endswith("/stat") for path in read[before:]) == 10
    assert len({path for path in read if path.endswith("/stat")}) == 100


def test_what_may_not_be_seen_is_counted(crowd, monkeypatch):
    real = os.readlink

    def readlink(path, **options):
        if str(path).startswith(str(crowd)) and int(path.split("/")[-2]) % 2:
            raise PermissionError(13, "Permission denied")
        return real(path, **options)

    monkeypatch.setattr(os, "readlink", readlink)
    collector = AccessCollector(proc=str(crowd), root=str(crowd))
    result = asyncio.run(collector.run("host", Slot(1.7e9, 1.0, nan), ()))
    health = {one.target: one for one in result.health}
    assert health["executables"].state == "denied"
    assert health["executables"].error == "what 45 of 90 processes run may not be seen by this user"
    assert "CAP_SYS_PTRACE" in health["executables"].fix
    monkeypatch.setattr(os, "readlink", real)
    for turn in range(1, 12):
        result = asyncio.run(collector.run("host", Slot(1.7e9 + 30 * turn, 30.0 * turn, nan), ()))
        health |= {one.target: one for one in result.health}
    assert (health["executables"].state, health["executables"].error) == ("ok", "")
    assert "executables" not in {one.target for one in result.health}
    assert health["listeners"].state == "off"


def test_hidden_processes_are_not_taken_for_none(crowd):
    shutil.rmtree(crowd / "1")
    result = asyncio.run(AccessCollector(proc=str(crowd), root=str(crowd)).run("host", Slot(1.7e9, 1.0, nan), ()))
    assert next(one.state for one in result.health if one.target == "processes") == "denied"


# ---- the collector


def test_all_parts_are_told_in_one_run(crowd):
    (crowd / "etc").mkdir()
    (crowd / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    collector = AccessCollector(proc=str(crowd), root=str(crowd))
    run = lambda at: asyncio.run(collector.run("host", Slot(at, at, nan), ())).events  # noqa: E731
    assert list(run(1.7e9)) == []
    (crowd / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\neve:x:0:0::/:/bin/sh\n")
    (crowd / "77/exe").unlink()
    (crowd / "77/exe").symlink_to("/dev/shm/x")
    events = [event for turn in range(11) for event in run(1.7e9 + 30 + 30 * turn)]
    assert sorted((event.kind, event.severity) for event in events) == [("account", "critical"), ("executable", "warning")]
    assert {event.scope for event in events} == {"host"}
    collector.close()


def test_here_and_now_it_holds_the_loop_for_moments_and_does_no_harm():
    collector = AccessCollector()

    async def looked():
        found = [await collector.run("host", Slot(time.time(), 1.0, nan), ()) for _ in range(3)]
        assert await collector.look(()) == ()
        return found

    for result in asyncio.run(looked()):
        assert all(event.severity in ("", *SEVERITIES) and event.text.isprintable() for event in result.events)
        assert all(event.time_lo <= event.time_hi for event in result.events)
        assert all(health.fix for health in result.health)


def test_nothing_heavy_is_loaded_with_it():
    code = "import sys, perfconsole.collectors.access, perfconsole.collectors.logins.authlog; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"psutil", "textual", "httpx", "asyncpg", "sqlite3"} & set(loaded)
