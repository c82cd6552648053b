"""Mounts that come, go and become read-only, without those of container runtimes; the real table in a namespace of its own."""

import os
import subprocess
import sys

import pytest

from perfconsole.collectors.changes.mounts import Mounts

ROOT = b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
DATA = b"30 22 8:17 / /data rw,relatime shared:2 - ext4 /dev/sdb1 rw\n"
NOW = 1_700_000_000.0


@pytest.fixture
def table(tmp_path):
    class Table:
        """A written table of mounts."""

        path = tmp_path / "self" / "mountinfo"
        mounts = Mounts(str(tmp_path))
        now = NOW

        def look(self, *lines):
            self.path.write_bytes(b"".join(lines))
            self.now += 10
            self.mounts.changed()
            return [(event.scope, event.text, event.severity) for event in self.mounts.look(self.now)]

    Table.path.parent.mkdir()
    Table.path.touch()
    yield Table()
    Table.mounts.close()


def test_mounted_and_unmounted(table):
    assert table.look(ROOT) == []
    assert table.look(ROOT, DATA) == [("/data", "/data mounted (ext4 from /dev/sdb1)", "")]
    assert table.look(ROOT, DATA) == []
    assert table.look(ROOT) == [("/data", "/data unmounted (ext4 from /dev/sdb1)", "")]


def test_the_time_is_between_two_looks(table):
    table.look(ROOT)
    table.mounts.still(NOW + 15)
    table.path.write_bytes(ROOT + DATA)
    [event] = table.mounts.look(NOW + 20)
    assert (event.time_lo, event.time_hi, event.kind) == (NOW + 15, NOW + 20, "mount")


def test_remounted(table):
    table.look(ROOT, DATA)
    read_only = DATA.replace(b"rw,relatime", b"ro,relatime")
    assert table.look(ROOT, read_only) == [("/data", "/data remounted read-only (ext4 from /dev/sdb1)", "warning")]
    assert table.look(ROOT, DATA) == [("/data", "/data remounted for writing (ext4 from /dev/sdb1)", "")]


def test_made_read_only_by_an_error(table):
    table.look(ROOT, DATA)
    failed = DATA.replace(b"/dev/sdb1 rw", b"/dev/sdb1 ro")
    assert table.look(ROOT, failed) == [
        ("/data", "/data was made read-only by the kernel after an error (ext4 from /dev/sdb1)", "critical")
    ]


def test_what_the_kernel_made_read_only_is_found_though_it_says_nothing(table):
    """A file is never said to have changed by poll(2), as the real table is not for this."""
    table.look(ROOT, DATA)
    read = table.now
    table.path.write_bytes(ROOT + DATA.replace(b"/dev/sdb1 rw", b"/dev/sdb1 ro"))
    told = []
    while not told and table.now < read + 100:
        table.now += 10
        if table.mounts.changed():
            told = table.mounts.look(table.now)
        else:
            table.mounts.still(table.now)
    [event] = told
    assert "made read-only by the kernel" in event.text
    assert (event.time_lo, event.time_hi) == (read, read + 60)


def test_another_filesystem_at_the_same_place(table):
    table.look(ROOT, DATA)
    assert table.look(ROOT, DATA.replace(b"30 22 8:17", b"31 22 8:33").replace(b"sdb1", b"sdc1")) == [
        ("/data", "/data is another filesystem now (ext4 from /dev/sdc1)", "")
    ]
    assert table.look(ROOT, DATA.replace(b"30 22 8:17", b"32 22 8:33").replace(b"sdb1", b"sdc1"))[0][1].startswith(
        "/data unmounted and mounted again"
    )


def test_what_runtimes_mount_is_left_out(table):
    noise = [
        b"40 22 0:50 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw\n",
        b"59 22 0:31 /@/.snapshots/7/snapshot /.snapshots/7/snapshot rw - btrfs /dev/sda2 rw\n",
        b"60 22 0:31 /@/srv/.snapshots/7/snapshot /srv/.snapshots/7/snapshot rw - btrfs /dev/sda2 rw\n",
        b"41 22 0:51 / /run/user/1000 rw - tmpfs tmpfs rw\n",
        b"42 22 0:4 net:[1] /run/netns/a rw - nsfs nsfs rw\n",
        b"43 22 8:1 /srv/www /var/www rw - ext4 /dev/sda1 rw\n",
        b"44 22 0:52 / /var/lib/kubelet/pods/1/volumes/x rw - tmpfs tmpfs rw\n",
        b"45 22 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro\n",
        b"46 22 0:53 / /mnt/auto rw - autofs systemd-1 rw\n",
        b"47 22 0:54 / /var/snap/microk8s/common/var/lib/kubelet/pods/1/volumes/x rw - tmpfs tmpfs rw\n",
        b"48 22 0:55 / /var/lib/k0s/kubelet/pods/1/volumes/x rw - tmpfs tmpfs rw\n",
        b"49 22 0:56 / /data/docker/containers/%s/mounts/shm rw - tmpfs shm rw\n" % (b"0a" * 32),
        b"50 22 0:57 / /srv/%s rw - tmpfs shm rw\n" % (b"0a" * 32),
        b"nonsense\n",
    ]
    table.look(ROOT)
    assert table.look(ROOT, *noise) == []
    assert table.look(ROOT) == []
    assert len(table.look(ROOT, b"51 22 8:49 / /run/media/u/STICK rw - vfat /dev/sdd1 rw\n")) == 1
    assert len(table.look(ROOT, b"52 22 0:60 /@home /home rw - btrfs /dev/sde1 rw\n")) == 2


def test_hostile_mount_points(table):
    table.look(ROOT)
    [(scope, text, _)] = table.look(ROOT, rb"30 22 8:17 / /mnt/\033[31m\012x rw - ext4 /dev/sd\134b1 rw" + b"\n")
    assert scope == "/mnt/␛[31m x"
    assert text == "/mnt/␛[31m x mounted (ext4 from /dev/sd\\b1)"


def test_a_storm_is_one_event(table):
    table.look(ROOT)
    many = [b"%d 22 8:17 / /mnt/%d rw - ext4 /dev/sdb1 rw\n" % (number + 100, number) for number in range(1000)]
    [(scope, text, _)] = table.look(ROOT, *many)
    assert scope == "host"
    assert text.startswith("1000 mounts changed: /mnt/0 mounted")
    assert text.endswith("and 997 more")


SCRIPT = """
import os, subprocess, sys
from perfconsole.collectors.changes.mounts import Mounts
mounts = Mounts()
assert mounts.changed()
assert mounts.look(100.0) == []
assert not mounts.changed()
place = sys.argv[1]
def do(*command):
    subprocess.run(command, check=True)
    assert mounts.changed(), command
    [event] = mounts.look(110.0)
    assert not mounts.changed()
    print(event.text.replace(place, "PLACE"))
do("mount", "-t", "tmpfs", "none", place)
do("mount", "-o", "remount,ro", place)
do("umount", place)
mounts.close()
"""


def test_the_real_table_says_itself_that_it_changed(tmp_path):
    place = tmp_path / "mnt"
    place.mkdir()
    apart = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    try:
        trial = 'mount -t tmpfs none "$0" && exec "$1" -c ""'
        possible = subprocess.run([*apart, "sh", "-c", trial, str(place), sys.executable], check=False, capture_output=True, timeout=60)
    except OSError:
        pytest.skip("there is no unshare(1) here")
    if possible.returncode:
        pytest.skip(f"nothing can be mounted here: {possible.stderr.decode(errors='replace')}")
    done = subprocess.run([*apart, sys.executable, "-c", SCRIPT, str(place)], check=False, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "PLACE mounted (tmpfs from none)",
        "PLACE remounted read-only (tmpfs from none)",
        "PLACE unmounted (tmpfs from none)",
    ]
