"""What the kernel writes about a process, as text: names that try to break the line, and the many ways to spell a container."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfconsole.collectors.processes.backend import wanted
from perfconsole.collectors.processes.process import parse
from perfconsole.collectors.processes.units import unit_of
from perfconsole.core.tables import View

AFTER = b" 7 42 42 0 -1 4194560 100 0 0 0 250 150 9 9 20 5 3 0 123456 8192000 300 18446744073709551615 1 1 0"
HEX = "1a2b3c4d5e6f" + "0" * 52


def line(comm, state=b"S"):
    return b"42 (" + comm + b") " + state + AFTER


@pytest.mark.parametrize("comm", [b"sleep", b"a) R 1 (b", b"x\ny", b"\x1b[31m", b")", b"", b"tmux: server", b"\xff\xfe"])
def test_a_name_ends_at_the_last_parenthesis(comm):
    stat = parse(line(comm))
    assert stat == (comm, "S", 7, False, 400, 5, 3, 123456, 300)


@given(st.binary(max_size=64).filter(lambda name: b"\0" not in name))
def test_any_name_at_all(comm):
    assert parse(line(comm)).comm == comm


def test_a_kernel_thread_is_told_by_its_flag_not_by_its_parent():
    kernel = line(b"kworker/0:1").replace(b"4194560", b"69238880")
    assert parse(kernel).kernel
    assert not parse(line(b"sh").replace(b" 7 42", b" 2 42")).kernel  # pid 2 of a container has ordinary children


@pytest.mark.parametrize("data", [b"", b"42", b"42 (sleep", b"42 (sleep) S 7", line(b"x")[:60], b"42 (x) S " + b"y " * 30])
def test_what_is_no_stat_is_refused(data):
    with pytest.raises(ValueError):
        parse(data)


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/", ""),
        ("", ""),
        ("0::/system.slice/nginx.service", "nginx.service"),
        ("0::/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"),
        ("0::/init.scope", "init.scope"),
        ("0::/user.slice/user-1000.slice/session-3.scope", "session-3.scope"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-shell-7.scope", "app-shell-7.scope"),
        ("0::/system.slice/web.service/workers", "web.service"),
        ("0::/machine.slice", "machine.slice"),
        ("0::/batch/job 7", "batch/job 7"),
        (f"0::/system.slice/docker-{HEX}.scope", "docker:1a2b3c4d5e6f"),
        (f"0::/system.slice/docker-{HEX}.scope/system.slice/cron.service", "docker:1a2b3c4d5e6f"),
        (f"0::/docker/{HEX}", "docker:1a2b3c4d5e6f"),
        (f"12:pids:/docker/{HEX}\n1:name=systemd:/docker/{HEX}\n0::/system.slice/containerd.service", "containerd.service"),
        (f"12:pids:/docker/{HEX}\n1:name=systemd:/docker/{HEX}\n0::/", "docker:1a2b3c4d5e6f"),
        ("4:memory:/jobs/7\n1:name=systemd:/system.slice/cron.service", "cron.service"),
        ("9:name=systemd:/\n4:memory:/jobs/7\n0::/", "jobs/7"),
        (f"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12.slice/cri-containerd-{HEX}.scope", "pod:1a2b3c4d5e6f"),
        (f"11:cpu:/kubepods/besteffort/pod12-34/{HEX}", "pod:1a2b3c4d5e6f"),
        (f"0::/kubepods.slice/kubepods-pod12.slice/crio-{HEX}.scope", "pod:1a2b3c4d5e6f"),
        (f"0::/machine.slice/libpod-{HEX}.scope/container", "podman:1a2b3c4d5e6f"),
        (f"0::/libpod_parent/libpod-{HEX}", "podman:1a2b3c4d5e6f"),
        ("0::/lxc.payload.web/system.slice/nginx.service", "lxc:web"),
        ("2:cpu:/lxc/web/init.scope", "lxc:web"),
        (f"0::/ecs/task/{HEX}", "container:1a2b3c4d5e6f"),
        (f"0::/../../docker-{HEX}.scope (deleted)", "docker:1a2b3c4d5e6f"),
        ("0::/../..", ""),
        ("garbage", ""),
    ],
)
def test_unit_or_container(cgroup, unit):
    assert unit_of(cgroup + "\n") == unit


@given(st.text())
def test_any_cgroup_text(text):
    assert isinstance(unit_of(text), str)


def test_views_are_united_without_mixing_their_columns():
    a = View("process", keys=((1, 10), (2, 20)), columns=("fds", "no such"))
    b = View("process", keys=((2, 20), (3, 30)), columns=("pss_bytes", "history"), sort="read_bytes_s")
    want = wanted([View("sessions", keys=((9, 9),)), a, b])
    assert want.shown == {(1, 10): {"fds"}, (2, 20): {"fds", "pss_bytes"}, (3, 30): {"pss_bytes"}}
    assert want.everywhere == {"read_bytes_s"}
    assert want.histories == ((2, 20), (3, 30))
    assert want.columns((5, 50)) == {"read_bytes_s"}
    assert wanted([View("sessions")]) is None
