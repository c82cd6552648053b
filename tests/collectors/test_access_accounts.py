"""Accounts, sudo's rules and keys: what changed in a tree of real files."""

import os

import pytest

from perfconsole.collectors.access.accounts import Accounts
from perfconsole.collectors.access.findings import listed, read_small
from perfconsole.collectors.access.keys import Keys

PASSWD = """root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
bob:x:1000:1000:Bob,,,:/home/bob:/bin/bash
"""
GROUP = "root:x:0:\nsudo:x:27:bob\nadm:x:4:\ndocker:x:999:\nbob:x:1000:\n"
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAI{:A>43}"


class Machine:
    """A tree with /etc and homes; each look is 30 s after the last, and files are written half way."""

    def __init__(self, root):
        self.root = root
        self.at = 1.7e9
        self.write("etc/passwd", PASSWD)
        self.write("etc/group", GROUP)
        self.write("etc/shadow", "root:*:1:0:99999:7:::\n")
        self.write("etc/sudoers", "root ALL=(ALL:ALL) ALL\n")
        self.write("etc/sudoers.d/README", "# nothing\n")
        self.accounts = Accounts(str(root))
        self.keys = Keys(str(root), str(root / "mountinfo"))

    def write(self, path, text, at=None):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name("." + file.name + ".new")  # as useradd and editors do: written aside and renamed
        fresh.write_text(text)
        os.utime(fresh, (self.at + 15 if at is None else at,) * 2)
        fresh.rename(file)

    def look(self):
        before, self.at = self.at, self.at + 30
        return self.accounts.look(before, self.at)

    def look_at_keys(self, *names):
        before, self.at = self.at, self.at + 30
        self.accounts.look(before, self.at)
        return self.keys.look({name: self.accounts.users[name] for name in names or self.accounts.users}, before, self.at)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def told(findings):
    return [(finding.text, finding.severity) for finding in findings]


# ---- users and groups


def test_what_is_there_at_first_is_not_told(machine):
    assert machine.look() == []
    assert machine.look() == []
    assert machine.accounts.names() == {0: "root", 1: "daemon", 33: "www-data", 1000: "bob"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("eve:x:1001:1001::/home/eve:/bin/bash", ("user eve was added (uid 1001)", "info")),
        ("postfix:x:105:110::/var/spool/postfix:/usr/sbin/nologin", ("user postfix was added (uid 105)", "")),
        ("toor:x:0:0::/root:/bin/sh", ("user toor was added with uid 0, as root has", "critical")),
        ("ev\x1b[2J:x:1001:1001::/home/eve:/bin/bash", ("user ev␛[2J was added (uid 1001)", "info")),
    ],
)
def test_a_new_user_is_told_with_the_moment(machine, line, expected):
    machine.look()
    machine.write("etc/passwd", PASSWD + line + "\n")
    (finding,) = machine.look()
    assert (finding.text, finding.severity) == expected
    assert (finding.kind, finding.time_lo, finding.time_hi, finding.source) == ("account", machine.at - 15, machine.at - 15, "/etc/passwd")


def test_a_file_with_an_older_stamp_changed_between_the_looks(machine):
    machine.look()
    machine.write("etc/passwd", PASSWD.replace("bob:", "rob:"), at=1e9)
    findings = machine.look()
    assert told(findings) == [("user rob was added (uid 1000)", "info"), ("user bob was removed (uid 1000)", "")]
    assert (findings[0].time_lo, findings[0].time_hi) == (machine.at - 30, machine.at)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("bob:x:1000", "bob:x:0", ("the uid of bob was 1000 and is 0", "critical")),
        ("bob:x:1000", "bob:x:1007", ("the uid of bob was 1000 and is 1007", "warning")),
        (
            "/var/www:/usr/sbin/nologin",
            "/var/www:/bin/sh",
            ("www-data may log in now: its shell was /usr/sbin/nologin and is /bin/sh", "info"),
        ),
        ("Bob,,,", "Robert,,,", None),
    ],
)
def test_what_a_user_becomes_is_told(machine, old, new, expected):
    machine.look()
    machine.write("etc/passwd", PASSWD.replace(old, new))
    assert told(machine.look()) == ([expected] if expected else [])


def test_a_second_root_that_was_there_before_is_a_warning(machine):
    machine.write("etc/passwd", PASSWD + "toor:x:0:0::/root:/bin/sh\n")
    assert told(machine.look()) == [("toor has uid 0, as root has", "warning")]


def test_members_of_groups_are_told_and_those_of_roots_are_a_warning(machine):
    machine.look()
    machine.write("etc/group", GROUP.replace("sudo:x:27:bob", "sudo:x:27:eve,bob").replace("adm:x:4:", "adm:x:4:eve"))
    assert told(machine.look()) == [("eve joined group sudo", "warning"), ("eve joined group adm", "")]
    machine.write("etc/group", GROUP)
    assert told(machine.look()) == [("eve left group sudo", ""), ("eve left group adm", "")]


def test_many_changes_are_summed_up(machine):
    machine.look()
    machine.write(
        "etc/passwd", PASSWD + "".join(f"u{i}:x:{2000 + i}:1::/home/u{i}:/bin/sh\n" for i in range(400)) + "toor:x:0:0::/:/bin/sh\n"
    )
    findings = machine.look()
    assert len(findings) == 10
    assert told(findings)[-1] == ("392 more changes in /etc/passwd", "critical")


def test_a_file_that_is_being_written_is_not_believed(machine):
    machine.look()
    machine.write("etc/passwd", "")
    assert machine.look() == []
    machine.write("etc/passwd", PASSWD)
    assert machine.look() == []


def test_of_passwords_only_that_they_changed(machine):
    machine.look()
    machine.write("etc/shadow", "root:$y$secret:1:0:99999:7:::\n")
    assert told(machine.look()) == [("passwords changed in /etc/shadow", "")]
    machine.write("etc/shadow", "root:$y$other:1:0:99999:7:::\n")
    machine.write("etc/passwd", PASSWD + "eve:x:1001:1001::/home/eve:/bin/bash\n")
    assert len(machine.look()) == 1  # a new user has a new password


def test_without_any_file_nothing_is_said(tmp_path):
    accounts = Accounts(str(tmp_path))
    assert accounts.look(1, 2) == accounts.look(2, 3) == []


# ---- sudo's rules


def test_rules_of_sudo_that_come_change_and_go(machine):
    machine.look()
    machine.write("etc/sudoers.d/90-cloud", "bob ALL=(ALL) NOPASSWD: ALL\n")
    assert told(machine.look()) == [("sudo's rules: /etc/sudoers.d/90-cloud was added", "warning")]
    machine.write("etc/sudoers.d/90-cloud", "eve ALL=(ALL) NOPASSWD: ALL\n")
    assert told(machine.look()) == [("sudo's rules: /etc/sudoers.d/90-cloud changed", "warning")]
    (machine.root / "etc/sudoers.d/90-cloud").unlink()
    assert told(machine.look()) == [("sudo's rules: /etc/sudoers.d/90-cloud was removed", "warning")]
    machine.write("etc/sudoers", "root ALL=(ALL) ALL\n%eve ALL=(ALL) ALL\n")
    assert told(machine.look()) == [("sudo's rules: /etc/sudoers changed", "warning")]


def test_a_file_that_was_only_touched_says_nothing_new(machine):
    machine.look()
    machine.write("etc/sudoers", "root ALL=(ALL:ALL) ALL\n")
    machine.write("etc/sudoers.d/old.bak", "ignored by sudo\n")
    machine.write("etc/sudoers.d/old~", "likewise\n")
    assert machine.look() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_rules_that_may_not_be_read_are_looked_at_from_outside(machine):
    (machine.root / "etc/sudoers").chmod(0)
    (machine.root / "etc/sudoers.d").chmod(0o300)
    machine.look()
    assert machine.look() == []
    assert machine.accounts.denied == ["/etc/sudoers.d", "/etc/sudoers"]
    machine.write("etc/sudoers.d/new", "x\n")
    found = machine.look()
    (machine.root / "etc/sudoers.d").chmod(0o700)  # for whoever cleans up
    assert told(found) == [("sudo's rules: /etc/sudoers.d changed", "warning")]


# ---- keys


def test_keys_that_come_and_go_are_told_by_their_comments_alone(machine):
    one, two = (KEY.format(i) for i in "12")
    machine.write("home/bob/.ssh/authorized_keys", f"ssh-ed25519 {one} bob@laptop\n")
    assert machine.look_at_keys() == []
    machine.write(
        "home/bob/.ssh/authorized_keys", f'# mine\nssh-ed25519 {one} bob@laptop\ncommand="sh -c x" ssh-ed25519 {two} eve@\x1bhome\n'
    )
    (finding,) = machine.look_at_keys()
    assert (finding.text, finding.severity) == ("authorized_keys of bob: 1 key added (eve@␛home); 2 now", "info")
    assert (finding.time_lo, finding.time_hi) == (machine.at - 15, machine.at - 15)
    machine.write("home/bob/.ssh/authorized_keys", f"ssh-ed25519 {two}\n")
    assert told(machine.look_at_keys()) == [("authorized_keys of bob: 1 key removed (bob@laptop); 1 now", "")]
    (machine.root / "home/bob/.ssh/authorized_keys").unlink()
    assert told(machine.look_at_keys()) == [("authorized_keys of bob: 1 key removed (no comment); 0 now", "")]
    assert one not in repr(vars(machine.keys))


def test_keys_of_root_are_a_warning(machine):
    machine.look_at_keys()
    machine.write("root/.ssh/authorized_keys2", f"ssh-rsa {KEY.format(1)} eve\nsk-ssh-ed25519@openssh.com {KEY.format(2)} eve2\n")
    assert told(machine.look_at_keys()) == [("authorized_keys of root: 2 keys added (eve and eve2); 2 now", "warning")]


def test_a_file_with_the_same_keys_says_nothing_new(machine):
    machine.write("home/bob/.ssh/authorized_keys", f"ssh-ed25519 {KEY.format(1)} a\n")
    machine.look_at_keys()
    machine.write("home/bob/.ssh/authorized_keys", f"# a comment\nssh-ed25519 {KEY.format(1)} another name\n")
    assert machine.look_at_keys() == []


def test_what_is_no_list_of_keys_is_not_shown(machine):
    """A user may link his file to one that only root may read."""
    machine.write("home/bob/.ssh/authorized_keys", "")
    machine.look_at_keys()
    machine.write("etc/secret", "root:$y$j9T$secret:19000:0:99999:7:::\n")
    (machine.root / "home/bob/.ssh/authorized_keys").unlink()
    (machine.root / "home/bob/.ssh/authorized_keys").symlink_to(machine.root / "etc/secret")
    assert machine.look_at_keys() == []
    assert "secret" not in repr(vars(machine.keys))


def test_neither_a_pipe_nor_a_device_holds_it_up(machine):
    (machine.root / "home/bob/.ssh").mkdir(parents=True)
    os.mkfifo(machine.root / "home/bob/.ssh/authorized_keys")
    (machine.root / "root/.ssh").mkdir(parents=True)
    (machine.root / "root/.ssh/authorized_keys").symlink_to("/dev/zero")
    assert machine.look_at_keys() == machine.look_at_keys() == []
    assert read_small("/dev/zero") is None
    assert read_small("a\0b") is None


def test_homes_on_other_machines_are_left_alone(machine):
    home = machine.root / "home"
    machine.write("home/bob/.ssh/authorized_keys", "")
    (machine.root / "mountinfo").write_text(
        "36 35 0:50 / /home rw shared:1 - nfs4 server:/home rw\n37 35 8:1 / / rw shared:2 - ext4 /dev/sda1 rw\n"
    )
    machine.look_at_keys()
    machine.write("home/bob/.ssh/authorized_keys", f"ssh-ed25519 {KEY.format(1)} a\n")
    assert machine.look_at_keys() == []
    assert machine.keys.far == 1
    assert home.exists()


def test_names_are_listed_as_one_reads_them():
    assert [listed(list("abcdefghi")[:count], 3) for count in (1, 2, 4, 9)] == ["a", "a and b", "a, b, c and d", "a, b, c and 6 more"]
