"""What `perfconsole doctor` says of what tells of changes and of access: each limit with its fix."""

import os
import sys

import pytest

from perfconsole.cli import source_checks
from perfconsole.collectors.journal.access import trouble

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="these sources are Linux's")

MACHINE = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def journal(tmp_path):
    """Looks at a journal of our own; its path is given."""
    path = tmp_path / "journals" / MACHINE / "system.journal"
    path.parent.mkdir(parents=True)
    (tmp_path / "machine-id").write_text(MACHINE)
    return path


def looked(journal):
    return trouble(sys.executable, [str(journal.parents[1])], str(journal.parents[2] / "machine-id"))


def test_a_journal_that_can_be_read_is_all_that_is_needed(journal, tmp_path):
    journal.touch()
    for finding in (source_checks.journal(looked(journal)), source_checks.logins(looked(journal), [str(tmp_path / "auth.log")])):
        assert (finding.state, finding.fix) == ("ok", "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_journal_that_may_not_be_read_names_the_group(journal, tmp_path):
    journal.touch(mode=0)
    for finding in (source_checks.journal(looked(journal)), source_checks.logins(looked(journal), [str(tmp_path / "auth.log")])):
        assert finding.state == "limited"
        assert finding.fix.startswith("usermod -aG systemd-journal ")
    (tmp_path / "auth.log").touch(mode=0)
    finding = source_checks.logins(looked(journal), [str(tmp_path / "auth.log")])
    assert (finding.found, finding.state) == (f"not seen: neither the journal nor {tmp_path}/auth.log may be read", "limited")


def test_without_a_journal_a_file_will_do_but_may_lie(journal, tmp_path):
    none = looked(journal)
    assert none
    found = source_checks.journal(none)
    assert (found.state, found.fix) == ("limited", "in a container, run perfconsole on the host")
    path = tmp_path / "auth.log"
    found = source_checks.logins(none, [str(tmp_path / "secure"), str(path)])
    assert found.found.endswith(f"there is no {tmp_path}/secure and no {path}")
    assert found.fix.endswith(f"or have rsyslog write {tmp_path}/secure")
    path.touch()
    found = source_checks.logins(none, [str(tmp_path / "secure"), str(path)])
    assert (found.state, found.found) == ("limited", f"by {path} alone, which every user of this machine can write to with logger")


def proc(tmp_path, *, exe, fd):
    """A procfs with a first process; of a link that may not be read there is none."""
    (tmp_path / "1/fd").mkdir(parents=True)
    if exe:
        (tmp_path / "1/exe").symlink_to("/sbin/init")
    (tmp_path / "1/fd/0").symlink_to("/dev/null") if fd else (tmp_path / "1/fd/0").touch()
    return str(tmp_path)


@pytest.mark.parametrize("uid", [0, 1000])
def test_what_processes_run_and_hold_takes_rights(tmp_path, monkeypatch, uid):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    seen, unseen = proc(tmp_path / "a", exe=True, fd=True), proc(tmp_path / "b", exe=False, fd=False)
    assert [look(seen).state for look in (source_checks.executables, source_checks.open_files)] == ["ok", "ok"]
    executables, files = source_checks.executables(unseen), source_checks.open_files(unseen)
    assert [executables.state, files.state] == ["limited", "limited"]
    if uid:
        assert executables.fix == "run as root, or with CAP_SYS_PTRACE (a service: AmbientCapabilities=CAP_SYS_PTRACE)"
        assert "with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH (a service: AmbientCapabilities=CAP_SYS_PTRACE CAP_DAC_READ" in files.fix
    else:
        assert executables.fix == "run on the host, or start the container with --pid=host --cap-add SYS_PTRACE"
        assert files.fix.endswith("--cap-add SYS_PTRACE --cap-add DAC_READ_SEARCH")


def test_units_take_a_mounted_cgroup_filesystem_and_systemd(tmp_path, monkeypatch):
    mounts, run = tmp_path / "proc/self/mountinfo", tmp_path / "run"
    mounts.parent.mkdir(parents=True)

    def told():
        finding = source_checks.units(str(tmp_path / "proc"), str(run))
        return finding.state, finding.fix.partition(" ")[0]

    assert told() == ("limited", "mount")
    mounts.write_text("22 21 0:20 / /sys rw - sysfs sysfs rw\n")
    assert told() == ("limited", "mount")
    mounts.write_text("30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n")
    assert told() == ("ok", "")
    (run / "systemd/system").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert told() == ("limited", "install")
    (tmp_path / "systemctl").touch(mode=0o755)
    assert told() == ("ok", "")


def test_nothing_is_said_of_what_is_switched_off():
    assert [finding.name for finding in source_checks.every(security=False)] == ["journal", "units", "open files"]
    found = source_checks.every()
    assert [finding.name for finding in found] == ["journal", "logins", "executables", "units", "open files"]
    assert all(finding.fix for finding in found if finding.state != "ok")
