"""Logins: whose words are believed, how attempts are counted, and what is worth an event."""

from math import nan

import pytest

from perfconsole.collectors.journal.entry import Entry
from perfconsole.collectors.logins.counting import Logins
from perfconsole.collectors.logins.words import mask
from perfconsole.core.login_rows import LoginTable

T0 = 1.7e9 - 1.7e9 % 3600
SSHD = {"identifier": "sshd", "comm": "sshd", "exe": "/usr/sbin/sshd", "uid": 0, "unit": "ssh.service"}
SUDO = {"identifier": "sudo", "comm": "sudo", "exe": "/usr/bin/sudo", "uid": 1000}
SU = {"identifier": "su", "comm": "su", "exe": "/usr/bin/su", "uid": 1000}
ATTACKER = "203.0.113.7"


def entry(at, message, pid=1, **fields):
    return Entry(T0 + at, "", message, pid=pid, **(SSHD | fields))


def failure(at, pid, user="root", source=ATTACKER, **fields):
    return entry(at, f"Failed password for {user} from {source} port {1024 + pid % 60000} ssh2", pid, **fields)


def success(at, pid=9000, user="bob", source=ATTACKER, **fields):
    return entry(at, f"Accepted password for {user} from {source} port 22 ssh2", pid, **fields)


class Told:
    """What logins make of entries by a moment."""

    def __init__(self, logins, at):
        self.tables, self.events = logins.result(T0 + at, 1.0)

    @property
    def table(self):
        (table,) = self.tables
        assert isinstance(table, LoginTable)
        return table

    @property
    def row(self):
        (row,) = self.table.rows
        return row

    @property
    def texts(self):
        return [event.text for event in self.events]


def after(*entries, at=60.0, logins=None):
    logins = logins or Logins()
    for one in entries:
        logins.take(one)
    return Told(logins, at)


# ---- whose words are believed


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"identifier": "sshd-session", "comm": "sshd-session", "exe": "/usr/lib/openssh/sshd-session"},
        {
            "identifier": "sshd-auth",
            "comm": "sshd-auth",
            "exe": "/usr/libexec/sshd-auth",
            "unit": "ssh@1-192.0.2.1:22-203.0.113.7:4.service",
        },
        {"exe": "", "unit": ""},
        {"comm": "", "exe": "/usr/sbin/sshd (deleted)"},
        {"comm": "", "exe": "", "unit": "sshd.service"},
    ],
)
def test_sshd_is_believed_by_what_journald_saw_of_it(fields):
    assert after(failure(1, 1, **fields)).table.failed == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"uid": 1000, "comm": "logger", "exe": "/usr/bin/logger", "unit": "session-3.scope"},
        {"uid": 1000, "exe": "/srv/bob/sshd"},
        {"uid": 1000, "comm": "", "exe": "", "unit": "ssh.service"},  # logged in without a session of its own, its process gone
        {"uid": 0, "comm": "logger", "exe": "/usr/bin/logger", "unit": "cron.service"},
        {"uid": 0, "comm": "logger", "exe": "/usr/bin/logger"},
        {"identifier": "sudo", "uid": 1000, "comm": "sudo", "exe": "/srv/bob/sudo"},
        {"identifier": "su", "uid": 1000, "comm": "logger", "exe": "/usr/bin/logger"},
        {"identifier": "su", "uid": 0, "comm": "logger", "exe": ""},
    ],
)
def test_what_somebody_else_logs_as_sshd_is_not_believed_but_told(fields):
    messages = {
        "sshd": (f"Failed password for root from {ATTACKER} port 9 ssh2", f"Accepted password for bob from {ATTACKER} port 9 ssh2"),
        "sudo": ("eve : TTY=pts/0 ; USER=root ; COMMAND=/bin/sh", "bob : TTY=pts/0 ; USER=root ; COMMAND=/bin/sh"),
        "su": ("FAILED SU (to root) bob on pts/0", "(to root) bob on pts/0"),
    }[fields.get("identifier", "sshd")]
    told = after(*(entry(at, message, at, **fields) for at, message in enumerate(messages, 1)))
    assert (told.table.failed, told.table.succeeded, told.table.rows) == (0, 0, [])
    (event,) = told.events
    assert (event.kind, event.severity) == ("login", "warning")
    assert event.text.startswith(f"somebody logs as {fields.get('identifier', 'sshd')}: uid {fields['uid']} (")
    assert told.table.notes[0].startswith("2 lines not believed")


@pytest.mark.parametrize("gone", [False, True])
def test_that_sshd_speaks_as_who_logged_in_is_no_forgery(gone):
    """As it does of the end of each session: of a process that has ended by then."""
    fields = {"uid": 1000, "unit": "session-3.scope"} | ({"comm": "", "exe": ""} if gone else {})
    said = ("Received disconnect from 203.0.113.7 port 51234:11: disconnected by user", "Disconnected from user bob 203.0.113.7 port 51234")
    told = after(*(entry(at, message, 77, **fields) for at, message in enumerate(said)))
    assert (told.events, told.table.notes, told.table.failed) == ([], (), 0)


def test_a_user_s_own_sshd_counts_for_nothing():
    told = after(failure(1, 1, uid=1000, unit="session-3.scope"), success(2, 2, uid=1000, unit="session-3.scope"))
    assert (told.events, told.table.notes, told.table.failed, told.table.rows) == ([], (), 0, [])


def test_a_forger_is_told_of_once_in_ten_minutes():
    logins = Logins()
    texts = []
    for at in range(0, 1800, 30):
        texts += after(failure(at, at, uid=1000, comm="logger", exe="/usr/bin/logger"), at=at + 1, logins=logins).texts
    assert len(texts) == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"uid": -1, "comm": "", "exe": ""},
        {"comm": "", "exe": "", "unit": ""},
        {**SUDO, "exe": ""},
        {"identifier": "sudo", "comm": "ls", "exe": "/usr/bin/ls"},  # sudo became it
    ],
)
def test_of_a_process_that_was_gone_too_soon_nothing_is_said(fields):
    told = after(failure(1, 1, **fields))
    assert (told.table.failed, told.events, told.table.notes) == (0, [], ())


# ---- counting


def test_several_lines_about_one_attempt_are_one():
    told = after(
        entry(1, "Invalid user admin from ::1 port 42944"),
        entry(2, "Failed none for invalid user admin from ::1 port 42944 ssh2"),
        entry(3, "Failed password for invalid user admin from ::1 port 42944 ssh2"),
        entry(4, "Connection closed by invalid user admin ::1 port 42944 [preauth]"),
    )
    assert (told.row.failed, told.row.users, told.row.source, told.row.service) == (1, ("admin",), "::1", "sshd")
    assert told.events == []


def test_several_passwords_of_one_connection_are_several():
    told = after(
        entry(1, "Invalid user admin from ::1 port 42944"),
        entry(2, "Failed password for invalid user admin from ::1 port 42944 ssh2"),
        entry(3, "Failed password for invalid user admin from ::1 port 42944 ssh2"),
        entry(4, "maximum authentication attempts exceeded for invalid user admin from ::1 port 42944 ssh2 [preauth]"),
        entry(5, "Disconnecting invalid user admin ::1 port 42944: Too many authentication failures [preauth]"),
    )
    assert told.row.failed == 2


def test_where_only_keys_are_accepted_each_connection_counts():
    lines = [entry(i, f"Connection closed by authenticating user root {ATTACKER} port {i} [preauth]", i) for i in range(1, 8)]
    assert after(*lines).row.failed == 7


def test_a_process_id_is_another_connections_after_a_while():
    assert after(failure(1, 7), entry(3000, f"Invalid user x from {ATTACKER} port 9", 7), at=3001).row.failed == 2


def test_sudos_own_sum_is_not_added_to_what_pam_told():
    pam = "logname=bob uid=1000 euid=0 tty=/dev/pts/0 ruser=bob rhost=  user=bob"
    told = after(
        entry(1, f"pam_unix(sudo:auth): authentication failure; {pam}", 5, **SUDO),
        entry(9, f"pam_unix(sudo:auth): 2 more authentication failures; {pam}", 5, **SUDO),
        entry(9, "bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls", 5, **SUDO),
    )
    assert (told.row.service, told.row.source, told.row.failed, told.row.users) == ("sudo", "bob", 3, ("root",))
    assert told.events == []


def test_the_window_is_an_hour():
    logins = Logins()
    after(*(failure(i, i) for i in range(4)), at=10, logins=logins)
    assert after(failure(1800, 99), at=1801, logins=logins).row.failed == 5
    assert after(at=3700, logins=logins).row.failed == 1
    assert after(at=7300, logins=logins).table.rows == []
    assert after(at=7340, logins=logins).table.failed == 0


def test_users_are_counted_and_bounded():
    told = after(*(failure(i / 100, i, user=f"u{i % 40}" if i % 2 else "root") for i in range(200)))
    assert (told.row.users[0], len(told.row.users)) == ("root", 5)
    assert told.row.more == 20 + 1 - 5
    assert told.table.users[0] == ("root", 100)


def test_a_lot_of_names_is_estimated():
    told = after(*(failure(i / 100, i, user=f"u{i}") for i in range(400)))
    assert 300 <= told.row.more + 5 <= 500


def test_addresses_through_an_ipv6_socket_are_one_with_themselves():
    assert after(failure(1, 1, source="::ffff:203.0.113.7"), failure(2, 2)).row.source == ATTACKER


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("p5b2.dip0.t-ipconnect.de", "*.t-ipconnect.de"),
        ("localhost", "localhost"),
        ("tty1", "tty1"),
        ("[local]", "[local]"),
        ("", ""),
    ],
)
def test_masking_leaves_the_network(source, shown):
    assert mask(source) == shown


def test_masked_nothing_tells_an_address():
    logins = Logins(mask_ips=True)
    for i in range(60):
        logins.take(failure(i / 10, i, source=f"203.0.113.{i}"))
        logins.take(failure(i / 10, 100 + i, source="2001:db8::7"))
    logins.take(success(7, source="2001:db8::7"))
    logins.take(success(8, user="eve", source="198.51.100.23"))
    told = Told(logins, 600)
    assert sorted(row.source for row in told.table.rows) == ["198.51.100.0/24", "2001:db8::/64", "203.0.113.0/24"]
    assert next(row.failed for row in told.table.rows if row.source == "203.0.113.0/24") == 60
    words = repr((told.tables, told.events))
    assert "203.0.113.1" not in words
    assert "db8::7" not in words
    assert "198.51.100.23" not in words
    assert "bob logged in from 2001:db8::/64" in words


def test_sources_beyond_the_bound_are_summed_up_and_those_of_many_failures_kept():
    logins = Logins()
    for i in range(50):
        logins.take(failure(i / 100, i))
    for i in range(3200):
        logins.take(failure(1 + i / 100, 100 + i, source=f"198.51.{i // 250}.{i % 250}"))
    told = Told(logins, 60)
    assert told.table.total == 3001
    assert told.table.failed == 3250
    assert len(told.table.rows) == 200
    assert next(row.failed for row in told.table.rows if row.source == ATTACKER) == 50
    assert next(row.failed for row in told.table.rows if row.source == "(others)") > 200
    assert any("(others)" in note for note in told.table.notes)


def test_a_servers_failures_stand_beside():
    logins = Logins()
    logins.take_failure("postgresql", "::ffff:203.0.113.9", "bob\x1b", T0 + 1)
    told = Told(logins, 2)
    assert (told.row.service, told.row.source, told.row.users, told.row.failed) == ("postgresql", "203.0.113.9", ("bob␛",), 1)
    assert logins.failed_total == 1


# ---- what is told


def test_a_success_after_failures_is_told_at_once():
    logins = Logins()
    for i in range(57):
        logins.take(failure(i * 7, i, user=f"u{i % 9}"))
    Told(logins, 400)
    logins.take(success(401))
    told = Told(logins, 402)
    (event,) = [event for event in told.events if event.severity == "critical"]
    assert (event.kind, event.scope, event.source, event.time_lo, event.time_hi) == ("login", "host", "journal", T0 + 401, T0 + 401)
    assert event.text == "bob logged in from 203.0.113.7 (password) after 57 failures within 7 min"
    assert (told.row.breached, told.row.failed, told.row.succeeded) == (True, 57, 1)
    assert [logins.breaches(T0 + at) for at in (400, 402, 4000, 4002)] == [0, 1, 1, 0]


@pytest.mark.parametrize(("failures", "breached"), [(4, False), (5, True)])
def test_fewer_than_five_failures_are_a_mistyped_password(failures, breached):
    told = after(*(failure(i, i, user="bob") for i in range(failures)), success(10))
    assert told.row.breached is breached
    assert [event.severity for event in told.events] == (["critical"] if breached else [""])


def test_failures_of_another_source_or_of_long_ago_do_not_count():
    told = after(*(failure(i, i, source="198.51.100.1") for i in range(9)), success(10))
    assert not any(row.breached for row in told.table.rows)
    told = after(*(failure(i, i) for i in range(9)), success(3900), at=3901)
    assert not told.row.breached
    assert told.texts == ["bob logged in from 203.0.113.7 (password)"]


@pytest.mark.parametrize("method", ["publickey", "gssapi-with-mic", "hostbased"])
def test_a_key_cannot_be_guessed(method):
    """An agent with many keys fails with most of them, at each login."""
    logins = Logins()
    told = after(
        *(entry(i, f"Failed {method} for bob from {ATTACKER} port 22 ssh2: ED25519 SHA256:{i}", i) for i in range(9)),
        entry(10, f"Accepted {method} for bob from {ATTACKER} port 22 ssh2", 10), logins=logins,
    )  # fmt: skip
    assert not told.row.breached
    assert [(event.severity, event.text) for event in told.events] == [
        ("info", f"bob logged in from {ATTACKER} ({method}) after 9 failures within 10 s")
    ]
    assert logins.breaches(T0 + 60) == 0
    logins.take(success(61))
    assert [event.severity for event in Told(logins, 62).events] == ["critical"]
    assert logins.breaches(T0 + 62) == 1


def test_a_clock_that_is_set_back_hides_nothing():
    logins = Logins()
    after(*(failure(86400 + i, i) for i in range(30)), success(86431), at=86432, logins=logins)
    told = Told(logins, 0)
    assert (told.table.failed, told.table.rows, logins.breaches(T0)) == (0, [], 0)
    texts = []
    for minute in range(60):
        texts += after(failure(minute * 60, minute), at=minute * 60 + 1, logins=logins).texts
    assert texts == []
    assert after(success(3601, source="198.51.100.1"), at=3602, logins=logins).texts == ["bob logged in from 198.51.100.1 (password)"]
    assert logins.failed_total == 90


def test_a_breach_is_told_once_for_each_user():
    told = after(*(failure(i, i) for i in range(9)), success(20), success(21), success(22, user="eve"))
    assert [event.text.split()[0] for event in told.events if event.severity == "critical"] == ["bob", "eve"]


def test_each_breach_counts_for_an_hour_whether_or_not_it_is_told():
    logins = Logins()
    after(*(failure(1700 + i, i) for i in range(9)), success(1720), success(1900, 9001), at=1901, logins=logins)
    assert [logins.breaches(T0 + at) for at in (1719, 1720, 1900, 5400, 5500)] == [0, 1, 2, 1, 0]


def test_a_user_at_the_machine_who_mistyped_is_a_warning():
    told = after(*(entry(i, "FAILED SU (to root) bob on pts/0", i, **SU) for i in range(6)), entry(9, "(to root) bob on pts/0", 99, **SU))
    assert [(event.severity, event.text) for event in told.events] == [("warning", "bob became root (su) after 6 failures within 9 s")]
    assert (told.row.failed, told.row.succeeded, told.row.breached) == (6, 1, False)


def test_a_login_is_told_and_its_like_summed_up():
    logins = Logins()
    told = after(*(success(i * 30, i) for i in range(10)), at=301, logins=logins)
    assert [(event.severity, event.text) for event in told.events] == [("", "bob logged in from 203.0.113.7 (password)")]
    (event,) = after(at=601, logins=logins).events
    assert event.text == "bob logged in from 203.0.113.7 (password), 9 times more"
    assert (event.time_lo, event.time_hi) == (T0 + 30, T0 + 270)
    assert after(at=5000, logins=logins).events == []
    assert after(success(5001), at=5002, logins=logins).texts == ["bob logged in from 203.0.113.7 (password)"]


def test_what_logs_in_all_day_is_told_once_an_hour():
    logins = Logins()
    texts = []
    for minute in range(300):
        texts += after(success(minute * 60, minute), at=minute * 60 + 1, logins=logins).texts
    assert [text.rpartition(", ")[2] for text in texts[1:]] == ["9 times more"] + ["60 times more"] * 4


def test_sudo_is_told_by_user_and_program_without_arguments():
    line = "bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/{} --password=secret"
    told = after(*(entry(i, line.format(("psql", "apt")[i % 2]), i, **SUDO) for i in range(6)))
    assert told.texts == ["bob ran /usr/bin/psql as root (sudo)", "bob ran /usr/bin/apt as root (sudo)"]
    assert {event.kind for event in told.events} == {"sudo"}
    assert "secret" not in repr((told.tables, told.events))


def test_who_may_not_use_sudo_is_a_warning():
    told = after(*(entry(i, "eve : user NOT in sudoers ; PWD=/ ; USER=root ; COMMAND=/bin/cat /etc/x", i, **SUDO) for i in range(3)))
    assert [(event.kind, event.severity) for event in told.events] == [("sudo", "warning")]
    assert told.texts == ["eve tried to run /bin/cat as root, which sudo does not allow"]
    assert told.row.failed == 3


def test_what_root_does_is_no_event():
    told = after(entry(1, "(to postgres) root on none", 1, **(SU | {"uid": 0})))
    assert (told.events, told.row.succeeded) == ([], 1)


# ---- floods


def test_a_burst_has_one_beginning_and_one_end():
    logins = Logins()
    events = []
    for i in range(10_000):
        logins.take(failure(i * 0.02, i, source=f"203.0.113.{i % 20}"))
        if i % 100 == 0:
            events += Told(logins, i * 0.02).events
    for at in range(200, 900, 20):
        events += Told(logins, at).events
    assert [event.severity for event in events] == ["warning", ""]
    assert events[0].text.endswith("failed logins at sshd within a minute, what is usual is not known yet")
    assert events[1].text.startswith(
        "failed logins at sshd are as usual again: 10,000 in 4 min from 20 sources, 500 of them from 203.0.113."
    )
    assert (events[0].time_lo, events[1].time_hi) == (T0, T0 + 240)


def test_a_burst_that_comes_at_once_is_a_warning():
    told = after(*(failure(i * 0.01, i) for i in range(1000)))
    assert [(event.severity, event.text[:5]) for event in told.events] == [("warning", "1,000")]


def test_the_usual_noise_is_no_event_and_more_than_it_is():
    logins = Logins()
    events = []
    pid = 0
    for minute in range(120):
        for i in range(30 if minute < 100 else 200 if minute < 105 else 30):
            pid += 1
            logins.take(failure(minute * 60 + i * 0.2, pid))
        events += Told(logins, minute * 60 + 59).events
    early = [event for event in events if event.time_hi < T0 + 600]
    late = [event for event in events if event.time_hi >= T0 + 600]
    assert len(early) <= 2  # what is usual had to be learnt
    assert [(event.time_lo - T0) // 60 for event in late] == [100, 105]
    assert "usually 30" in late[0].text


def test_a_flood_is_told_with_all_of_its_first_minute():
    logins = Logins()
    events = []
    for i in range(50):
        logins.take(failure(600 + i, i))
        events += Told(logins, 600 + i).events
    assert events == []
    (event,) = Told(logins, 661).events
    assert (event.text[:16], event.severity, event.time_hi) == ("50 failed logins", "info", T0 + 600)


def test_a_flood_of_very_many_is_a_warning_at_once():
    logins = Logins()
    for i in range(150):
        logins.take(failure(600 + i / 10, i))
    (event,) = Told(logins, 615).events
    assert (event.text[:17], event.severity) == ("150 failed logins", "warning")


def test_a_flood_of_every_minute_becomes_the_usual():
    logins = Logins()
    events = []
    for minute in range(150):
        for i in range(60):
            logins.take(failure(minute * 60 + i * 0.5, minute * 100 + i))
        events += Told(logins, minute * 60 + 59).events
    assert len(events) == 2


# ---- the table


def test_a_table_is_told_when_it_changed_or_is_old():
    logins = Logins()
    assert after(failure(1, 1), at=2, logins=logins).tables
    assert not after(at=4, logins=logins).tables
    assert after(failure(5, 2), at=6, logins=logins).tables
    assert after(at=40, logins=logins).tables


def test_while_nothing_is_read_there_is_no_table():
    logins = Logins()
    assert logins.result(T0, nan) == ((), [])
    logins.take(success(1))
    tables, events = logins.result(T0 + 2, nan)
    assert (tables, len(events)) == ((), 1)
    (table,), _ = logins.result(T0 + 4, 0.25)
    assert (table.sampled, table.since, table.span_s) == (0.25, T0, 3600)
