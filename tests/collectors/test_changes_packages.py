"""What package managers write down, as events: one a run, however often apt calls dpkg."""

import os
import time
from datetime import UTC, datetime

import pytest

from perfconsole.collectors.changes.packages import Change, Packages, dnf, dpkg, pacman, worded

NOW = 1_750_000_000.0


@pytest.fixture(autouse=True)
def zone(monkeypatch):
    """dpkg writes local time."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def local(at):
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)).encode()


class Root:
    """A root directory with a log of dpkg."""

    def __init__(self, path):
        self.path = path
        self.log = path / "var/log/dpkg.log"
        self.log.parent.mkdir(parents=True)
        self.log.touch()

    def write(self, at, *lines):
        with self.log.open("ab") as file:
            file.writelines(local(at) + b" " + line + b"\n" for line in lines)


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path)


@pytest.fixture
def packages(root):
    made = Packages(str(root.path))
    assert made.look(NOW) == []
    yield made
    made.close()


def test_a_run_of_apt_is_one_event(root, packages):
    root.write(
        NOW + 1, b"startup archives unpack", b"upgrade openssl:amd64 3.0.1-1 3.0.2-1", b"status half-configured openssl:amd64 3.0.1-1"
    )
    root.write(NOW + 2, b"configure openssl:amd64 3.0.2-1 <none>", b"install jq:amd64 <none> 1.6-2")
    assert packages.look(NOW + 10) == []
    root.write(
        NOW + 12,
        b"startup archives unpack",
        b"upgrade libc6:amd64 2.36-9 2.36-10",
        b"remove vim:amd64 9.0 <none>",
        b"purge vim:amd64 9.0 <none>",
    )
    assert packages.look(NOW + 20) == []
    assert packages.look(NOW + 40) == []
    [event] = packages.look(NOW + 50)
    assert event.text == "2 packages upgraded: openssl 3.0.1-1 -> 3.0.2-1, libc6 2.36-9 -> 2.36-10; 1 installed: jq 1.6-2; 1 removed: vim"
    assert (event.time_lo, event.time_hi) == (NOW + 1, NOW + 12)
    assert (event.kind, event.scope, event.source) == ("package", "host", "/var/log/dpkg.log")
    assert packages.look(NOW + 60) == []
    again = Packages(str(root.path))
    assert again.look(NOW + 70) == [event]  # after a start the log says the same
    again.close()


def test_runs_a_minute_apart_are_two(root, packages):
    root.write(NOW + 1, b"install a:amd64 <none> 1")
    root.write(NOW + 90, b"install b:amd64 <none> 1")
    [first] = packages.look(NOW + 91)
    [second] = packages.look(NOW + 130)
    assert (first.text, second.text) == ("1 package installed: a 1", "1 package installed: b 1")


def test_a_run_that_takes_an_hour_is_told_before_its_end(root, packages):
    told = []
    for second in range(0, 1200, 10):
        root.write(NOW + second, b"install a%d:amd64 <none> 1" % second)
        told += packages.look(NOW + second)
    assert told
    assert "packages installed: a0 1" in told[0].text


def test_at_the_start_the_last_day_is_told(root):
    root.write(NOW - 90_000, b"install old:amd64 <none> 1")
    root.write(NOW - 7200, b"upgrade openssl:amd64 3.0.1 3.0.2")
    root.write(NOW - 3600, b"install jq:amd64 <none> 1.6")
    packages = Packages(str(root.path))
    events = packages.look(NOW)
    packages.close()
    assert [(event.time_lo, event.text) for event in events] == [
        (NOW - 7200, "1 package upgraded: openssl 3.0.1 -> 3.0.2"),
        (NOW - 3600, "1 package installed: jq 1.6"),
    ]


def test_a_rotated_log_loses_nothing(root, packages):
    root.write(NOW + 1, b"install a:amd64 <none> 1")
    root.log.rename(root.log.with_suffix(".1"))
    root.log.touch()
    root.write(NOW + 2, b"install b:amd64 <none> 1")
    packages.look(NOW + 3)
    [event] = packages.look(NOW + 40)
    assert event.text == "2 packages installed: a 1, b 1"


def test_stamps_of_another_zone_do_not_hold_a_run_back_for_ever(root, packages):
    root.write(NOW + 7200, b"install a:amd64 <none> 1")
    assert packages.look(NOW + 10) == []
    assert len(packages.look(NOW + 50)) == 1


def test_hostile_lines(root, packages):
    root.write(
        NOW + 1, b"install a\x1b[31m:amd64 <none> 1\xff", b"install", b"upgrade x", b"\0" * 100, b"install " + b"n" * 100_000 + b" <none> 1"
    )
    with root.log.open("ab") as file:
        file.write(b"9999-99-99 99:99:99 install a:amd64 <none> 1\n")
        file.write(local(NOW + 1) + b" install " + b"m" * 5000 + b":amd64 <none> 1\n")
    packages.look(NOW + 2)
    [event] = packages.look(NOW + 40)
    assert event.text.startswith("2 packages installed: a␛[31m 1\ufffd, mmm")
    assert event.text.isprintable()
    assert len(event.text) <= 600


def test_many_packages_are_counted():
    text = worded(Change(NOW, "upgraded", f"p{number}", "1", "2") for number in range(12))
    assert text == "12 packages upgraded: " + ", ".join(f"p{number} 1 -> 2" for number in range(6)) + " and 6 more"


def test_a_log_that_may_not_be_read_is_told_with_its_fix(root):
    root.log.unlink()
    root.log.mkdir()
    packages = Packages(str(root.path))
    packages.look(NOW)
    state, error, fix = packages.troubles()["/var/log/dpkg.log"]
    assert (state, error) == ("error", "package changes are not seen: /var/log/dpkg.log: Is a directory")
    assert "adm" in fix


def test_lines_of_dpkg():
    assert dpkg(b"2025-06-24 14:36:25 upgrade libudev1:amd64 252.36-1~deb12u1 252.38-1~deb12u1") == Change(
        datetime(2025, 6, 24, 12, 36, 25, tzinfo=UTC).timestamp(), "upgraded", "libudev1", "252.36-1~deb12u1", "252.38-1~deb12u1"
    )
    assert dpkg(b"2025-06-24 14:36:25 configure libudev1:amd64 252.38-1~deb12u1 <none>") is None
    assert dpkg(b"2025-06-24 14:36:25 status installed libudev1:amd64 252.38-1~deb12u1") is None


def test_lines_of_dnf():
    lines = [
        b"2024-01-01T10:00:00+0000 INFO --- logging initialized ---",
        b"2024-01-01T10:00:00+0000 SUBDEBUG Upgrade: openssl-1:3.0.7-27.el9.x86_64",
        b"2024-01-01T10:00:01Z SUBDEBUG Upgraded: openssl-1:3.0.7-24.el9.x86_64",
        b"2024-01-01T10:00:02+0000 SUBDEBUG Installed: python3-dnf-plugins-core-4.3.0-11.el9.noarch",
        b"2024-01-01T10:00:02+0000 SUBDEBUG Erase: nano-5.6.1-5.el9.x86_64",
    ]
    changes = [change for line in lines if (change := dnf(line))]
    assert worded(changes) == (
        "1 package upgraded: openssl 1:3.0.7-24.el9 -> 1:3.0.7-27.el9; 1 installed: python3-dnf-plugins-core 4.3.0-11.el9; 1 removed: nano"
    )
    assert changes[1].at - changes[0].at == 1.0


def test_lines_of_pacman():
    lines = [
        b"[2024-01-01T10:00:00+0100] [ALPM] upgraded openssl (3.0.1-1 -> 3.0.2-1)",
        b"[2024-01-01T10:00:00+0100] [ALPM] installed jq (1.6-4)",
        b"[2024-01-01T10:00+0100] [ALPM] removed vi (1:070224-6)",
        b"[2024-01-01T10:00:00+0100] [PACMAN] Running 'pacman -Syu'",
    ]
    changes = [change for line in lines if (change := pacman(line))]
    assert worded(changes) == "1 package upgraded: openssl 3.0.1-1 -> 3.0.2-1; 1 installed: jq 1.6-4; 1 removed: vi"
    assert changes[0].at == datetime(2024, 1, 1, 9, tzinfo=UTC).timestamp() == changes[2].at


def test_apks_list_is_compared(tmp_path):
    place = tmp_path / "lib/apk/db/installed"
    place.parent.mkdir(parents=True)
    place.write_text("C:Q1\nP:musl\nV:1.2.4-r2\n\nP:zlib\nV:1.3-r2\n\nP:vim\nV:9\n")
    packages = Packages(str(tmp_path))
    assert packages.look(NOW) == []
    place.write_text("P:musl\nV:1.2.5-r0\n\nP:zlib\nV:1.3-r2\n\nP:jq\nV:1.7\n")
    os.utime(place, (NOW + 5, NOW + 5))
    [event] = packages.look(NOW + 10)
    assert event.text == "1 package upgraded: musl 1.2.4-r2 -> 1.2.5-r0; 1 installed: jq 1.7; 1 removed: vim"
    assert event.time_lo == event.time_hi == NOW + 5
    assert packages.look(NOW + 20) == []


def test_a_database_of_rpm_says_only_that_something_changed(tmp_path):
    place = tmp_path / "var/lib/rpm/rpmdb.sqlite"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"1")
    os.utime(place, (NOW - 5, NOW - 5))
    packages = Packages(str(tmp_path))
    assert packages.look(NOW) == []
    os.utime(place, (NOW + 5, NOW + 5))
    assert packages.look(NOW + 10) == []
    [event] = packages.look(NOW + 60)
    assert (event.time_lo, event.text) == (NOW + 5, "rpm packages were installed, upgraded or removed")
    assert packages.look(NOW + 70) == []


def test_where_dnf_tells_which_its_database_says_nothing_more(tmp_path):
    place = tmp_path / "var/lib/rpm/rpmdb.sqlite"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"1")
    log = tmp_path / "var/log/dnf.rpm.log"
    log.parent.mkdir(parents=True)
    packages = Packages(str(tmp_path))
    packages.look(NOW)
    log.write_bytes(
        datetime.fromtimestamp(NOW + 4, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode() + b" SUBDEBUG Installed: jq-1.6-2.el9.x86_64\n"
    )
    os.utime(place, (NOW + 5, NOW + 5))
    events = [event for second in range(10, 100, 10) for event in packages.look(NOW + second)]
    packages.close()
    assert [event.text for event in events] == ["1 package installed: jq 1.6-2.el9"]


def test_a_machine_without_any_of_them(tmp_path):
    packages = Packages(str(tmp_path))
    assert packages.look(NOW) == []
    assert packages.troubles() == {}
