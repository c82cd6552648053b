"""Filesystems: what df says, which mounts get a row, and mounts that do not answer."""

import asyncio
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from math import isnan, nan
from pathlib import Path
from threading import Event

import pytest

from perfconsole.collectors.system import FilesystemCollector
from perfconsole.collectors.system.mountinfo import parse
from perfconsole.collectors.system.mounts import from_mountinfo
from perfconsole.core.errors import CollectorError
from perfconsole.core.globs import Globs
from perfconsole.core.ports import Slot

DISK = os.statvfs_result((4096, 4096, 1000, 400, 300, 500, 100, 100, 0, 255))
SMALL = os.statvfs_result((4096, 4096, 100000, 99999, 99999, 500, 100, 100, 0, 255))


def at(boot):
    return Slot(1.7e9 + boot, boot, nan)


def mountinfo(*rows):
    """Lines of mountinfo from (device, point, type) and, if it matters, root, options and super options."""
    lines = []
    for i, (device, point, kind, *rest) in enumerate(rows):
        root, options, super_options = (*rest, *("/", "rw,relatime", "rw")[len(rest) :])
        lines.append(f"{i} 1 {device} {root} {point} {options} shared:1 - {kind} /dev/source {super_options}\n")
    return "".join(lines)


@pytest.fixture
def mounted(tmp_path):
    """A collector over a written mountinfo; returns it and a function that writes another one."""
    (tmp_path / "self").mkdir()

    def write(*rows):
        (tmp_path / "self/mountinfo").write_text(mountinfo(*rows))

    def build(*rows, **options):
        write(*rows)
        options.setdefault("statvfs", lambda point: DISK)
        return FilesystemCollector(proc=str(tmp_path), deadline_s=options.pop("deadline_s", 0.05), **options)

    build.write = write
    return build


def points(*rows, wanted=()):
    return [mount.point.decode() for mount in from_mountinfo(mountinfo(*rows).encode(), Globs(wanted))]


def test_only_real_filesystems_have_a_row_and_each_once():
    rows = [
        ("0:1", "/proc", "proc"), ("0:2", "/sys/fs/cgroup", "cgroup2"), ("0:3", "/net", "autofs"), ("0:4", "/snap/core/1", "squashfs"),
        ("8:1", "/var/lib/docker/volumes/x", "ext4"), ("8:1", "/", "ext4"), ("8:1", "/etc/hosts", "ext4"), ("8:2", "/home", "xfs"),
        ("0:9", "/var/lib/docker/overlay2/1/merged", "overlay"), ("0:10", "/mnt/nfs", "nfs4"), ("0:11", "/tank", "zfs"),
    ]  # fmt: skip
    assert points(*rows) == ["/", "/home", "/mnt/nfs", "/tank"]


def test_a_containers_root_is_its_overlay():
    rows = [("0:9", "/", "overlay"), ("8:1", "/etc/hosts", "ext4"), ("8:1", "/etc/resolv.conf", "ext4"), ("8:1", "/data", "ext4")]
    assert points(*rows) == ["/", "/data"]


def test_what_is_asked_for_by_name_has_a_row():
    rows = [("8:1", "/", "ext4"), ("8:1", "/bind", "ext4"), ("0:4", "/snap/core/1", "squashfs"), ("0:5", "/net", "autofs")]
    assert points(*rows, wanted=["/snap/*", "/bind", "/net"]) == ["/bind", "/snap/core/1"]
    assert points(*rows, wanted=["!/"]) == ["/bind"]


def test_what_is_mounted_over_something_hides_it():
    rows = [("0:5", "/data", "autofs"), ("0:6", "/data", "nfs4"), ("8:1", "/mnt", "ext4"), ("8:2", "/mnt", "xfs")]
    assert points(*rows) == ["/data", "/mnt"]
    assert parse(mountinfo(*rows).encode())[1].type == b"nfs4"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_mount_below_one_that_came_later_is_hidden():
    """Its path leads into the later one, and statvfs would tell of that, or find nothing."""
    script = (
        "from pathlib import Path\nfrom perfconsole.collectors.system.mounts import from_mountinfo\n"
        "from perfconsole.core.globs import Globs\n"
        "found = from_mountinfo(Path('/proc/self/mountinfo').read_bytes(), Globs())\n"
        "print(*(mount.point.decode() for mount in found if mount.point.startswith(b'/mnt')))"
    )
    mount = "mount -t tmpfs none"
    shell = (
        f"{mount} /mnt && mkdir -p /mnt/a/b /mnt/c && {mount} /mnt/a/b && {mount} /mnt/c && {mount} /mnt/a "
        f'&& mkdir /mnt/a/d && {mount} /mnt/a/d && {sys.executable} -c "{script}"'
    )
    probe = subprocess.run(["unshare", "--mount", "sh", "-c", f"{mount} /mnt"], capture_output=True, text=True, timeout=120, check=False)
    if probe.returncode:
        pytest.skip(f"may not mount in a namespace of its own: {probe.stderr.strip()}")
    done = subprocess.run(["unshare", "--mount", "sh", "-c", shell], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["/mnt", "/mnt/a", "/mnt/a/d", "/mnt/c"]


def test_images_are_no_filesystems():
    """They are full by nature: a workstation with one AppImage open would be critical."""
    images = [
        ("0:50", "/snap/core/1", "fuse.squashfuse"),
        ("0:51", "/snap/x/2", "fuse.snapfuse"),
        ("0:52", "/tmp/.mount_O", "fuse.O-1.4.AppImage"),
    ]
    assert points(("8:1", "/", "ext4"), *images) == ["/"]
    assert points(*images, wanted=["/snap/core/1"]) == ["/snap/core/1"]


def test_octal_escapes_are_names():
    (mount,) = parse(b"1 1 8:1 / /mnt/a\\040b\\011c\\012d\\134e rw - ext4 /dev/x\\040y rw\n")
    assert mount.point == b"/mnt/a b\tc\nd\\e"
    assert mount.source == b"/dev/x y"


@pytest.mark.parametrize(
    ("line", "read_only", "failed"),
    [
        (b"rw - ext4 /dev/x rw", False, False), (b"ro - ext4 /dev/x ro", True, False), (b"ro - ext4 /dev/x rw", True, False),
        (b"rw - ext4 /dev/x ro,errors=remount-ro", True, True), (b"rw,relatime - ext4 /dev/x rw,emergency_ro", True, True),
        (b"rw - xfs /dev/x rw,shutdown", True, True), (b"rw - squashfs /dev/x ro", True, False),
    ],
)  # fmt: skip
def test_what_the_kernel_gave_up_is_told_from_what_is_mounted_so(line, read_only, failed):
    (mount,) = parse(b"1 1 8:1 / /mnt " + line + b"\n")
    assert (mount.read_only, mount.failed) == (read_only, failed)


def test_malformed_lines_are_left_out():
    assert parse(b"\n1 2 3\n1 1 8:1 / /x rw - ext4\nnonsense - a b c\n") == []


async def test_utilisation_is_counted_as_df_does(mounted, values_of):
    collector = mounted(
        ("8:1", "/", "ext4"), ("8:2", "/ro", "ext4", "/", "ro,relatime"), ("8:3", "/broken", "ext4", "/", "rw", "ro,errors=remount-ro")
    )
    values = values_of(await collector.run("host", at(1), ()))
    assert values("filesystem.utilization", mountpoint="/") == pytest.approx(600 / 900)
    assert values("filesystem.utilization") == pytest.approx(600 / 900)
    assert values("filesystem.inodes.utilization", mountpoint="/") == pytest.approx(0.8)
    usage = {state: values("filesystem.usage", mountpoint="/", state=state) for state in ("used", "free", "reserved")}
    assert usage == {"used": 600 * 4096, "free": 300 * 4096, "reserved": 100 * 4096}
    assert [values("filesystem.read_only", mountpoint=point) for point in ("/", "/ro", "/broken")] == [0, 1, 1]
    assert values("filesystem.read_only") == 1
    assert [values("filesystem.failed", mountpoint=point) for point in ("/", "/ro", "/broken")] == [0, 0, 1]
    assert values("filesystem.failed") == 1
    fullest = max(("/", "/ro"), key=lambda point: values("filesystem.utilization", mountpoint=point))
    assert values("filesystem.usage") == values("filesystem.usage", mountpoint=fullest, state="used")


async def test_without_inodes_there_is_no_share_of_them(mounted, values_of):
    answer = os.statvfs_result((4096, 4096, 1000, 400, 400, 0, 0, 0, 0, 255))
    values = values_of(await mounted(("8:1", "/", "btrfs"), statvfs=lambda point: answer).run("host", at(1), ()))
    assert isnan(values("filesystem.inodes.utilization"))


async def test_filesystems_in_memory_are_shown_once_they_are_big(mounted, values_of):
    answers = {b"/run": SMALL, b"/": DISK}
    collector = mounted(("8:1", "/", "ext4"), ("0:5", "/run", "tmpfs"), statvfs=lambda point: answers[point])
    first = values_of(await collector.run("host", at(1), ()))
    assert first.labels("filesystem.utilization", "mountpoint") == ["/"]
    answers[b"/run"] = DISK
    assert values_of(await collector.run("host", at(11), ())).labels("filesystem.utilization", "mountpoint") == ["/", "/run"]
    answers[b"/run"] = SMALL
    third = await collector.run("host", at(21), ())
    assert values_of(third).labels("filesystem.utilization", "mountpoint") == ["/", "/run"]  # rows do not flicker
    assert (await collector.run("host", at(31), ())).measured[0].series is third.measured[0].series


async def test_hundreds_of_filesystems_in_memory_are_one_question(mounted, values_of):
    threads = set()

    def statvfs(point):
        threads.add(threading.current_thread())
        return SMALL

    volumes = [(f"0:{number}", f"/var/lib/kubelet/pods/{number}/token", "tmpfs") for number in range(100, 900)]
    collector = mounted(("8:1", "/", "ext4"), ("8:2", "/data", "xfs"), *volumes, statvfs=statvfs, deadline_s=30)
    for boot in (1, 11):
        threads.clear()
        values = values_of(await collector.run("host", at(boot), ()))
        assert values.labels("filesystem.utilization", "mountpoint") == ["/", "/data"]
        assert len(threads) == 3


async def test_a_mount_that_hangs_is_told_left_alone_and_heals(mounted, values_of):
    release, asked = Event(), []

    def statvfs(point):
        asked.append(point)
        if point == b"/dead":
            release.wait(300)
        return DISK

    collector = mounted(("8:1", "/", "ext4"), ("0:7", "/dead", "nfs4"), statvfs=statvfs)
    began = time.monotonic()
    first = values_of(await collector.run("host", at(100), ()))
    assert first("filesystem.utilization", mountpoint="/") == pytest.approx(600 / 900)
    assert isnan(first("filesystem.utilization", mountpoint="/dead"))
    assert first.health["/dead"].state == "error"
    second = values_of(await collector.run("host", at(112), ()))
    health = second.health["/dead"]
    assert (health.collector, health.error) == ("filesystems", "statvfs has not answered for 12 s")
    assert "/dead" in health.fix
    assert "/dev/source" in health.fix
    assert second("filesystem.utilization", mountpoint="/") == second("filesystem.utilization") == pytest.approx(600 / 900)
    assert asked.count(b"/dead") == 1
    assert asked.count(b"/") == 2
    assert time.monotonic() - began < 60  # it hangs for five minutes
    release.set()
    for boot in range(122, 20_000, 10):  # the late answer is on its way through the loop
        await asyncio.sleep(0.01)
        healed = values_of(await collector.run("host", at(boot), ()))
        if healed("filesystem.utilization", mountpoint="/dead") > 0:
            break
    assert healed("filesystem.utilization", mountpoint="/dead") == pytest.approx(600 / 900)
    assert healed.health["/dead"].state == "ok"
    assert asked.count(b"/dead") == 2
    assert not (await collector.run("host", at(20_000), ())).health


async def test_a_stuck_mount_delays_only_its_first_run(mounted):
    release = Event()
    collector = mounted(
        ("8:1", "/", "ext4"), ("0:7", "/dead", "nfs4"), deadline_s=0.1, statvfs=lambda point: DISK if point == b"/" else release.wait(300)
    )
    try:
        await collector.run("host", at(1), ())
        collector._deadline_s = 300.0
        before = time.monotonic()
        await collector.run("host", at(11), ())
        assert time.monotonic() - before < 60
    finally:
        release.set()


async def test_a_stuck_mount_that_is_unmounted_is_forgotten(mounted, values_of):
    release = Event()
    collector = mounted(("8:1", "/", "ext4"), ("0:7", "/dead", "nfs4"), statvfs=lambda point: DISK if point == b"/" else release.wait(300))
    try:
        assert (await collector.run("host", at(1), ())).health
        mounted.write(("8:1", "/", "ext4"))
        values = values_of(await collector.run("host", at(11), ()))
        assert values.labels("filesystem.utilization", "mountpoint") == ["/"]
        assert values.health["/dead"].state == "ok"
    finally:
        release.set()


@pytest.mark.parametrize(("errno", "state"), [(13, "denied"), (5, "error")])
async def test_a_mount_that_refuses_says_why(mounted, values_of, errno, state):
    def statvfs(point):
        raise OSError(errno, os.strerror(errno))

    values = values_of(await mounted(("0:7", "/x", "fuse.sshfs"), statvfs=statvfs).run("host", at(1), ()))
    assert isnan(values("filesystem.utilization"))
    assert values.health["/x"].state == state
    assert os.strerror(errno) in values.health["/x"].error


async def test_hostile_mount_names(mounted, values_of):
    collector = mounted(
        ("8:1", "/a\\033[31m", "ext4"), ("8:2", "/b\\007", "ext4"), ("8:3", "/b\\342\\220\\207", "ext4"), ("8:4", "/c\\377", "ext4")
    )
    values = values_of(await collector.run("host", at(1), ()))
    labels = values.labels("filesystem.utilization", "mountpoint")
    assert len(labels) == 4
    assert all(label.isprintable() for label in labels)


async def test_without_a_mountinfo_it_says_so(tmp_path):
    with pytest.raises(CollectorError, match="mountinfo"):
        await FilesystemCollector(proc=str(tmp_path)).run("host", at(1), ())


def test_a_stuck_mount_does_not_keep_the_process(tmp_path):
    (tmp_path / "self").mkdir()
    (tmp_path / "self/mountinfo").write_text(mountinfo(("0:7", "/dead", "nfs4")))
    program = textwrap.dedent(f"""
        import asyncio, time
        from math import nan
        from perfconsole.collectors.system import FilesystemCollector
        from perfconsole.core.ports import Slot
        collector = FilesystemCollector(proc={str(tmp_path)!r}, deadline_s=0.05, statvfs=lambda point: time.sleep(600))
        result = asyncio.run(collector.run("host", Slot(1.0, 1.0, nan), ()))
        collector.close()
        print(result.health[0].error)
    """)
    before = time.monotonic()
    done = subprocess.run([sys.executable, "-X", "dev", "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.strip() == "statvfs has not answered for 50ms"
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - before < 60


@pytest.mark.skipif(not shutil.which("df"), reason="df is not installed")
def test_the_real_mounts_are_what_df_says(values_of):
    values = values_of(asyncio.run(FilesystemCollector().run("host", at(1), ())))
    shown = values.labels("filesystem.utilization", "mountpoint")
    assert "/" in shown
    for point in shown:
        _, row, *_ = subprocess.run(
            ["df", "-B1", "--output=used,avail,pcent,ipcent", point], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        used, free, percent, inodes = row.split()
        assert values("filesystem.usage", mountpoint=point, state="used") == pytest.approx(int(used), abs=64 * 2**20)
        assert values("filesystem.usage", mountpoint=point, state="free") == pytest.approx(int(free), abs=64 * 2**20)
        if percent != "-":
            assert values("filesystem.utilization", mountpoint=point) * 100 == pytest.approx(
                int(percent.rstrip("%")), abs=1.01
            )  # df rounds up
        if inodes != "-":
            assert values("filesystem.inodes.utilization", mountpoint=point) * 100 == pytest.approx(int(inodes.rstrip("%")), abs=1.01)


IN_NAMESPACE = textwrap.dedent("""
    import asyncio, subprocess, sys
    from math import nan
    from perfconsole.collectors.system import FilesystemCollector
    from perfconsole.core.globs import Globs
    from perfconsole.core.ports import Slot
    point = sys.argv[1]
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "perfconsole-test", point], check=True)
    with open(point + "/data", "wb") as file:
        file.write(bytes(512 * 1024))
    subprocess.run(["mount", "-o", "remount,ro", point], check=True)
    for wanted in (Globs(), Globs([point])):
        (measured,) = asyncio.run(FilesystemCollector(mounts=wanted).run("host", Slot(1.0, 1.0, nan), ())).measured
        for series, value in zip(measured.series, measured.values, strict=True):
            if dict(series.labels).get("mountpoint") == point and "state" not in dict(series.labels):
                print(series.name, round(value, 3))
""")


def test_a_real_read_only_mount(tmp_path):
    point = tmp_path / "with space"
    point.mkdir()
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root may mount, in a namespace of its own")
    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"may not make a mount namespace: {probe.stderr.strip()}")
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", IN_NAMESPACE, str(point)], capture_output=True, text=True, check=True
    )
    rows = [line.rsplit(" ", 1) for line in done.stdout.splitlines()]
    # Half full: big enough to be shown unasked, and of course when asked for.
    assert len(rows) == 10
    for name, value in rows:
        if name == "system.filesystem.utilization":
            assert float(value) == pytest.approx(0.5, abs=0.01)
        if name == "system.filesystem.read_only":
            assert float(value) == 1
        if name == "system.filesystem.failed":
            assert float(value) == 0  # somebody wanted that
        if name == "system.filesystem.time_to_full":
            assert isnan(float(value))  # nothing can fill it
    assert str(point) not in Path("/proc/self/mountinfo").read_text()


def test_an_answer_after_the_end_is_dropped_quietly(mounted, monkeypatch):
    release, complaints = Event(), []
    monkeypatch.setattr(threading, "excepthook", complaints.append)
    collector = mounted(("0:7", "/dead", "nfs4"), statvfs=lambda point: release.wait(300))
    asyncio.run(collector.run("host", at(1), ()))
    (stuck,) = [thread for thread in threading.enumerate() if thread.name == "statvfs"]
    release.set()
    stuck.join(60)
    assert not stuck.is_alive()
    assert not complaints
