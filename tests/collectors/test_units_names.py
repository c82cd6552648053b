"""What groups are called, and what their files say: parsing alone."""

from math import isnan, nan

import pytest

from perfconsole.collectors.processes.units import unescaped, unit_of
from perfconsole.collectors.units import parse
from perfconsole.collectors.units.hierarchies import find
from perfconsole.collectors.units.names import ROOT, is_followed, place
from perfconsole.collectors.units.states import parse as parse_states
from perfconsole.collectors.units.states import stamp

ID = "1a2b3c4d5e6f" + "0" * 52
UID = "6d7f1c2e_aaaa_bbbb_cccc_0123456789ab"


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/system.slice", "system.slice", "slice"),
        ("/system.slice/nginx.service", "nginx.service", "service"),
        ("/system.slice/system-serial\\x2dgetty.slice/serial-getty@ttyS0.service", "serial-getty@ttyS0.service", "service"),
        ("/system.slice/system-serial\\x2dgetty.slice", "system-serial-getty.slice", "slice"),
        ("/user.slice/user-1000.slice/session-3.scope", "session-3.scope", "scope"),
        (f"/system.slice/docker-{ID}.scope", "docker:1a2b3c4d5e6f", "container"),
        (f"/docker/{ID}", "docker:1a2b3c4d5e6f", "container"),
        (f"/machine.slice/libpod-{ID}.scope", "podman:1a2b3c4d5e6f", "container"),
        (f"/machine.slice/libpod-conmon-{ID}.scope", "podman:1a2b3c4d5e6f", "scope"),
        ("/lxc.payload.web", "lxc:web", "container"),
        ("/lxc.monitor.web", "lxc:web", "scope"),
        (f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID}.slice", "pod:6d7f1c2e-aaaa", "pod"),
        (f"/kubepods.slice/kubepods-pod{UID}.slice/cri-containerd-{ID}.scope", "pod:1a2b3c4d5e6f", "container"),
        (f"/kubepods/besteffort/pod{UID.replace('_', '-')}", "pod:6d7f1c2e-aaaa", "pod"),
        (f"/kubepods/besteffort/pod{UID.replace('_', '-')}/{ID}", "pod:1a2b3c4d5e6f", "container"),
        ("/kubepods/pod0123456789abcdef0123456789abcdef", "pod:0123456789ab", "pod"),
        ("/jobs/batch", "jobs/batch", "group"),
    ],
)
def test_groups_by_name(path, name, kind):
    found = place(path)
    assert (found.name, found.kind, found.path) == (name, kind, path)


@pytest.mark.parametrize("path", ["/system.slice/nginx.service", f"/docker/{ID}", f"/kubepods/podx/{ID}", "/system.slice/a\\x2db.service"])
def test_a_unit_is_called_as_its_processes_say(path):
    assert place(path).name == unit_of(f"0::{path}\n")


def test_what_is_hostile_in_a_name_is_not_obeyed():
    found = place("/system.slice/a\\x1b]0;x\\x07\u202e.service")
    assert found.name.isprintable()
    assert "␛" in found.name
    assert place("/x\n\ud800/y").shown_path.isprintable()
    assert unescaped("a\\xZZ\\x2d\\xff") == "a\\xZZ-\ufffd"


def test_what_a_service_keeps_in_its_group_is_a_part_of_it():
    service, container = place("/system.slice/a.service"), place(f"/docker/{ID}")
    assert not is_followed(service, place("/system.slice/a.service/worker"))
    assert is_followed(place("/user.slice/user@1.service"), place("/user.slice/user@1.service/app.slice"))
    assert is_followed(place("/system.slice/k.service"), place(f"/system.slice/k.service/docker-{ID}.scope"))
    assert not is_followed(container, place(f"/docker/{ID}/init.scope"))
    assert is_followed(ROOT, place("/anything"))


def test_numbers_limits_and_fields():
    assert parse.number(b"123\n") == 123
    assert isnan(parse.number(b"max\n"))
    assert isnan(parse.number(b""))
    assert isnan(parse.limit(b"9223372036854771712\n"))
    assert parse.limit(b"1048576\n") == 1048576
    assert parse.quota(b"50000 100000\n") == 0.5
    assert parse.quota(b"150000 100000") == 1.5
    assert [isnan(parse.quota(text)) for text in (b"max 100000\n", b"-1 100000", b"", b"1 0", b"x y")] == [True] * 5
    stat = b"usage_usec 12\nuser_usec 3\nnr_throttled 7\n"
    assert (parse.field(stat, b"usage_usec"), parse.field(stat, b"user_usec"), parse.field(stat, b"nr_throttled")) == (12, 3, 7)
    assert isnan(parse.field(stat, b"usec"))
    assert isnan(parse.field(b"inactive_file 5", b"file"))
    assert parse.field(b"total 1\nlast 9", b"last") == 9


def test_pressure_and_io():
    assert parse.pressure(b"some avg10=12.50 avg60=1.00 avg300=0.10 total=99\nfull avg10=1.00 avg60=0 avg300=0 total=0\n") == 0.125
    assert isnan(parse.pressure(b""))
    assert isnan(parse.pressure(b"some avg10=x avg60=1"))
    v2 = b"8:0 rbytes=100 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n253:0 rbytes=100 wbytes=20 rios=1\n8:16 \n"
    assert parse.devices(v2) == {b"8:0", b"253:0", b"8:16"}
    assert parse.io(v2, unified=True, passed_on={b"253:0"}) == (100, 20)
    v1 = b"8:0 Read 100\n8:0 Write 20\n8:0 Sync 5\n8:0 Total 120\nTotal 120\n"
    assert parse.io(v1, unified=False, passed_on=()) == (100, 20)
    assert parse.io(b"", unified=True, passed_on=()) == (0, 0)


V2 = b"31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
V1 = b"""32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
"""


def test_layouts(tmp_path):
    for folder in ("cpu,cpuacct", "memory", "systemd", "unified"):
        (tmp_path / "sys/fs/cgroup" / folder).mkdir(parents=True)
    sys = str(tmp_path / "sys")
    v2 = find(V2, sys)
    assert v2.name == "v2"
    assert set(v2.where) == {"usage", "cpu", "memory", "tasks", "io", "pressure"}
    assert set(v2.where.values()) == {0}
    v1 = find(V1, sys)
    assert (v1.name, len(v1.hierarchies)) == ("v1", 3)
    assert v1.where["usage"] == v1.where["cpu"] != v1.where["memory"]
    assert {"tasks", "io", "pressure"}.isdisjoint(v1.where)
    hybrid = find(V1 + V2.replace(b"/sys/fs/cgroup ", b"/sys/fs/cgroup/unified "), sys)
    assert (hybrid.name, len(hybrid.hierarchies)) == ("hybrid", 4)
    assert hybrid.where["pressure"] == hybrid.where["tasks"] != hybrid.where["usage"]
    assert find(b"1 2 0:3 / / rw - ext4 x rw\n", sys).name == ""
    # An engine's mount of one container does not hide the rest.
    assert find(b"50 31 0:28 /docker/x /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n" + V2, sys).hierarchies[0].top.endswith("/cgroup")


def test_what_systemd_says():
    output = b"""Id=nginx.service
ActiveState=active
SubState=running
Result=success
NRestarts=2
MainPID=812
ControlGroup=/system.slice/nginx.service
StateChangeTimestamp=@1730000000
ActiveEnterTimestamp=@1729990000
InactiveEnterTimestamp=
ExecMainStartTimestamp=@1729989999

Warning: The unit file of x.service changed on disk.
Id=x.service
ActiveState=failed
SubState=failed
Result=exit-code
NRestarts=5
MainPID=0
ControlGroup=

Id=data.mount
ActiveState=failed
Result=exit-code
StateChangeTimestamp=n/a
"""
    nginx, failed, mount = parse_states(output)
    assert (nginx.id, nginx.runs, nginx.result, nginx.restarts, nginx.pid, nginx.since) == ("nginx.service", True, "", 2, 812, 1730000000)
    assert (nginx.began, nginx.main_began, nginx.group) == (1729990000, 1729989999, "/system.slice/nginx.service")
    assert isnan(nginx.ended)
    assert (failed.active, failed.result, failed.is_troubled, failed.kind) == ("failed", "exit-code", True, "service")
    assert (mount.kind, mount.pid, isnan(mount.since), isnan(mount.restarts)) == ("mount", 0, True, True)
    assert list(parse_states(b"")) == []


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("@1730000000", 1730000000),
        ("Sun 2024-10-27 03:33:20 UTC", 1730000000),
        ("Sun 2024-10-27 03:33:20.123456 UTC", 1730000000),
        ("", nan),
        ("n/a", nan),
        ("@0", nan),
        ("Sun 2024-10-27 03:33:20 CEST", nan),
        ("Sun 2024-10-xx 03:33:20 UTC", nan),
    ],
)
def test_stamps(text, at):
    assert stamp(text) == at or (isnan(at) and isnan(stamp(text)))
