"""What programs say about logins: real lines by version, and names that were chosen to mislead."""

import time

import pytest

from perfconsole.collectors.logins.lines import ACCEPTED, FAILED, RAN, REFUSED, read

HOSTILE = "x from 192.0.2.9 port 1 ssh2"
"""sshd writes such a name as it is."""

BOB = "logname=bob uid=1000 euid=0 tty=/dev/pts/0 ruser=bob rhost="
FTP = "logname= uid=0 euid=0 tty=ftp ruser=bob rhost=203.0.113.7"


def brief(attempt):
    return attempt and (attempt.outcome, attempt.user, attempt.source, attempt.times)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # OpenSSH 7.4 (RHEL 7), 8.x, 9.2: passwords
        ("Failed password for root from 127.0.0.1 port 60256 ssh2", (FAILED, "root", "127.0.0.1", 1)),
        ("Failed password for invalid user admin from ::1 port 42944 ssh2", (FAILED, "admin", "::1", 1)),
        ("Failed password for illegal user admin from 203.0.113.7 port 4 ssh2", (FAILED, "admin", "203.0.113.7", 1)),
        ("Failed password for invalid user  from 203.0.113.7 port 4 ssh2", (FAILED, "", "203.0.113.7", 1)),
        (
            "Failed keyboard-interactive/pam for bob from fe80::5054:ff:fe12:3456%eth0 port 22 ssh2",
            (FAILED, "bob", "fe80::5054:ff:fe12:3456%eth0", 1),
        ),
        ("Failed none for invalid user oracle from 203.0.113.7 port 4 ssh2", (FAILED, "oracle", "203.0.113.7", 1)),
        ("Failed publickey for bob from 203.0.113.7 port 4 ssh2: RSA SHA256:AbC+d/1", (FAILED, "bob", "203.0.113.7", 1)),
        ("error: PAM: Authentication failure for illegal user admin from 203.0.113.7", (FAILED, "admin", "203.0.113.7", 1)),
        ("PAM: User account has expired for bob from host.example.org", (FAILED, "bob", "host.example.org", 1)),
        # key-only hosts: no "Failed password" at all
        ("Invalid user admin from 203.0.113.7", (FAILED, "admin", "203.0.113.7", 1)),
        ("Invalid user admin from ::1 port 42944", (FAILED, "admin", "::1", 1)),
        ("Connection closed by invalid user root ::1 port 42960 [preauth]", (FAILED, "root", "::1", 1)),
        ("Connection closed by authenticating user root 203.0.113.7 port 34100 [preauth]", (FAILED, "root", "203.0.113.7", 1)),
        ("Connection reset by authenticating user bob 203.0.113.7 port 34100 [preauth]", (FAILED, "bob", "203.0.113.7", 1)),
        ("Disconnected from authenticating user root 203.0.113.7 port 34100 [preauth]", (FAILED, "root", "203.0.113.7", 1)),
        ("Disconnecting invalid user admin ::1 port 42944: Too many authentication failures [preauth]", (FAILED, "admin", "::1", 1)),
        ("maximum authentication attempts exceeded for invalid user admin from ::1 port 42944 ssh2 [preauth]", (FAILED, "admin", "::1", 1)),
        (
            "error: maximum authentication attempts exceeded for root from 203.0.113.7 port 4 ssh2 [preauth]",
            (FAILED, "root", "203.0.113.7", 1),
        ),
        ("User bob from 203.0.113.7 not allowed because not listed in AllowUsers", (FAILED, "bob", "203.0.113.7", 1)),
        ("ROOT LOGIN REFUSED FROM 203.0.113.7 port 4 [preauth]", (FAILED, "root", "203.0.113.7", 1)),
        ("message repeated 5 times: [ Failed password for root from 203.0.113.7 port 22 ssh2]", (FAILED, "root", "203.0.113.7", 5)),
        # somebody is in
        ("Accepted password for bob from 203.0.113.7 port 51188 ssh2", (ACCEPTED, "bob", "203.0.113.7", 1)),
        ("Accepted publickey for bob from 2001:db8::7 port 51188 ssh2: ED25519 SHA256:aB/c", (ACCEPTED, "bob", "2001:db8::7", 1)),
        (
            "Accepted publickey for bob from 203.0.113.7 port 5 ssh2: ED25519-CERT SHA256:aB ID bob@corp (serial 7) CA RSA SHA256:z",
            (ACCEPTED, "bob", "203.0.113.7", 1),
        ),
        # no attempt to log in
        ("Server listening on ::1 port 2299.", None),
        ("Connection closed by 203.0.113.7 port 22 [preauth]", None),
        ("User root not allowed because account is locked", None),
        ("Could not get shadow information for NOUSER", None),
        ("pam_unix(sshd:session): session opened for user bob(uid=1000) by (uid=0)", None),
        ("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=bob", None),
        ("banner exchange: Connection from 203.0.113.7 port 22: invalid format", None),
        ("drop connection #10 from [203.0.113.7]:4 on [192.0.2.1]:22 penalty: failed authentication", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("program", ["sshd", "sshd-session", "sshd-auth"])
def test_every_version_of_sshd_is_understood(program, line, expected):
    assert brief(read(program, line)) == expected


@pytest.mark.parametrize(
    ("line", "user"),
    [
        # as sshd 9.2 wrote them when it was asked for such users
        (f"Invalid user {HOSTILE} from 127.0.0.1 port 35400", HOSTILE),
        (f"Failed password for invalid user {HOSTILE} from 127.0.0.1 port 35400 ssh2", HOSTILE),
        (f"maximum authentication attempts exceeded for invalid user {HOSTILE} from 127.0.0.1 port 35400 ssh2 [preauth]", HOSTILE),
        (f"Disconnecting invalid user {HOSTILE} 127.0.0.1 port 35400: Too many authentication failures [preauth]", HOSTILE),
        ("Invalid user evil 1.2.3.4 port 22 from 127.0.0.1 port 35404", "evil 1.2.3.4 port 22"),
        ("Connection closed by invalid user evil 1.2.3.4 port 22 127.0.0.1 port 35404 [preauth]", "evil 1.2.3.4 port 22"),
        (
            "Failed password for invalid user invalid user root from 1.2.3.4 port 2 ssh2 from 127.0.0.1 port 3 ssh2",
            "invalid user root from 1.2.3.4 port 2 ssh2",
        ),
        (
            "Failed password for invalid user a from 1.2.3.4 port 2 ssh2: RSA SHA256:x from 127.0.0.1 port 3 ssh2",
            "a from 1.2.3.4 port 2 ssh2: RSA SHA256:x",
        ),
        ("Failed password for invalid user x\x1b[2J from 127.0.0.1 port 3 ssh2", "x␛[2J"),
    ],
)
def test_of_a_made_up_name_the_last_address_counts(line, user):
    attempt = read("sshd", line)
    assert (attempt.source, attempt.user) == ("127.0.0.1", user)


@pytest.mark.parametrize("outcome", ["Accepted publickey", "Failed publickey"])
@pytest.mark.parametrize("name", ["bob@corp", HOSTILE, f"{HOSTILE}: RSA SHA256:z ID y"])
def test_of_a_user_who_exists_the_first_address_counts_whatever_a_certificate_calls_itself(outcome, name):
    line = f"{outcome} for bob from 203.0.113.7 port 5 ssh2: ED25519-CERT SHA256:a ID {name} (serial 0) CA RSA SHA256:z"
    assert brief(read("sshd", line))[1:3] == ("bob", "203.0.113.7")


def test_a_name_that_looks_like_a_success_is_none():
    attempt = read("sshd", "Invalid user Accepted password for root from 192.0.2.9 port 1 ssh2 from 127.0.0.1 port 2")
    assert (attempt.outcome, attempt.source) == (FAILED, "127.0.0.1")


@pytest.mark.parametrize(
    ("line", "expected", "program"),
    [
        ("     bob : TTY=pts/0 ; PWD=/srv/bob ; USER=root ; COMMAND=/usr/bin/psql -c secret", (RAN, "root", "bob", 1), "/usr/bin/psql"),
        ("bob : HOST=web ; TTY=pts/0 ; PWD=/ ; USER=root ; GROUP=adm ; COMMAND=/bin/ls", (RAN, "root", "bob", 1), "/bin/ls"),
        ("bob : PWD=/ ; USER=root ; ENV=A=1 ; COMMAND=list", (RAN, "root", "bob", 1), "list"),
        ("bob : 1 incorrect password attempt ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls", (FAILED, "root", "bob", 1), "/bin/ls"),
        ("bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls", (FAILED, "root", "bob", 3), "/bin/ls"),
        (
            "bob : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/cat /etc/shadow",
            (REFUSED, "root", "bob", 1),
            "/bin/cat",
        ),
        ("bob : command not allowed ; TTY=pts/0 ; PWD=/ ; USER=www ; COMMAND=/bin/sh", (REFUSED, "www", "bob", 1), "/bin/sh"),
        ("bob : a password is required ; PWD=/ ; USER=root ; COMMAND=/bin/sh", None, ""),
        ("bob : (command continued) from 1.2.3.4", None, ""),
        # sudo-rs
        ("bob : TTY=/dev/pts/1 ; PWD=/srv/bob ; USER=root ; COMMAND=/usr/bin/true", (RAN, "root", "bob", 1), "/usr/bin/true"),
        ("bob :  PWD=/srv/bob ; USER=root ; COMMAND=/usr/bin/true", (RAN, "root", "bob", 1), "/usr/bin/true"),
        (f"pam_unix(sudo:auth): authentication failure; {BOB}  user=bob", (FAILED, "", "bob", 1), ""),
        (f"pam_unix(sudo:auth): 2 more authentication failures; {BOB}  user=bob", (FAILED, "", "bob", 2), ""),
        ("pam_unix(sudo:session): session opened for user root(uid=0) by bob(uid=1000)", None, ""),
        ("pam_unix(sudo:auth): auth could not identify password for [bob]", None, ""),
        # a directory that is called like the rest of the line
        ("bob : TTY=pts/0 ; PWD=/tmp/ ; USER=nobody ; USER=root ; COMMAND=/bin/ls", (RAN, "root", "bob", 1), "/bin/ls"),
    ],
)
def test_sudo_is_understood_and_arguments_are_never_kept(line, expected, program):
    attempt = read("sudo", line)
    assert brief(attempt) == expected
    assert attempt is None or attempt.detail == program
    assert "secret" not in repr(attempt)
    assert "shadow" not in repr(attempt)


@pytest.mark.parametrize(
    ("program", "line", "expected"),
    [
        ("su", "FAILED SU (to root) bob on pts/0", (FAILED, "root", "bob", 1)),  # util-linux
        ("su", "(to root) bob on pts/0", (ACCEPTED, "root", "bob", 1)),
        ("su", "FAILED su for root by bob", (FAILED, "root", "bob", 1)),  # shadow
        ("su", "Successful su for root by bob", (ACCEPTED, "root", "bob", 1)),
        ("su", f"pam_unix(su-l:auth): authentication failure; {BOB}  user=root", (FAILED, "root", "bob", 1)),
        ("su", "pam_unix(su:session): session opened for user root(uid=0) by bob(uid=1000)", None),
        ("login", "FAILED LOGIN (1) on '/dev/tty1' FOR 'bob', Authentication failure", (FAILED, "bob", "tty1", 1)),  # shadow
        (
            "login",
            "FAILED LOGIN (2) on '/dev/tty1' from 'host' FOR 'UNKNOWN', User not known to the underlying module",
            (FAILED, "UNKNOWN", "tty1", 1),
        ),
        ("login", "FAILED LOGIN 1 FROM tty1 FOR bob, Authentication failure", (FAILED, "bob", "tty1", 1)),  # util-linux
        ("login", "LOGIN ON tty1 BY bob", (ACCEPTED, "bob", "tty1", 1)),
        ("login", "ROOT LOGIN ON tty1", (ACCEPTED, "root", "tty1", 1)),
        ("vsftpd", f"pam_unix(vsftpd:auth): authentication failure; {FTP}  user=bob", (FAILED, "bob", "203.0.113.7", 1)),
        (
            "vsftpd",
            f"pam_unix(vsftpd:auth): authentication failure; {FTP}  user=x rhost=1.2.3.4  user=y",
            (FAILED, "x rhost=1.2.3.4  user=y", "203.0.113.7", 1),
        ),
        ("cron", "(root) CMD (sshd: Accepted password for root from 1.2.3.4 port 1 ssh2)", None),
        ("myapp", "Accepted password for bob from 203.0.113.7 port 51188 ssh2", None),
    ],
)
def test_su_login_and_pam_are_understood(program, line, expected):
    assert brief(read(program, line)) == expected


@pytest.mark.parametrize(
    "line",
    [
        "Failed password for invalid user " + " from 1.2.3.4 port 1 ssh2: RSA SHA256:x ID y (serial 0) CA" * 70,
        "Accepted publickey for " + "a from 1.2.3.4 port 1 ssh2: x y ID " * 110,
        "Connection closed by invalid user " + "1.2.3.4 port 22 " * 250,
        "bob : TTY=a ;" + " PWD=/ ;" * 500 + " USER=root ;",
        "PAM: " + " for x from " * 340,
        "message repeated 9 times: [ " * 140,
        "pam_unix(x:auth): authentication failure; logname= uid=0 euid=0 tty=" + " ruser= rhost=" * 290,
        "FAILED LOGIN 1 FROM tty1 FOR " + ", a" * 1300,
    ],
)
def test_no_line_takes_long(line):
    """Of patterns that try every way, some would never end."""
    began = time.perf_counter()
    for program in ("sshd", "sudo", "su", "login"):
        read(program, line)
    assert time.perf_counter() - began < 60
