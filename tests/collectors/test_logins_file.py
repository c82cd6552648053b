"""Logins where only a log file tells of them: stamps of three kinds, rotation, and words that anybody can have written."""

import asyncio
import grp
import os
import time
from datetime import UTC, datetime, timedelta, timezone
from math import isnan, nan

import pytest

from perfconsole.collectors.journal.entry import Entry
from perfconsole.collectors.logins.access import right
from perfconsole.collectors.logins.authlog import AuthLogCollector
from perfconsole.collectors.logins.counting import Logins
from perfconsole.collectors.logins.syslog import parse
from perfconsole.core.metrics import METRICS
from perfconsole.core.ports import Result, Slot

NOW = 1.7e9
ATTACKER = "203.0.113.7"


@pytest.fixture(params=["UTC", "America/St_Johns", "Pacific/Auckland"])
def zone(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def classic(at):
    return time.strftime("%b %d %H:%M:%S", time.localtime(at)).replace(" 0", "  ", 1)


def stamped(at):
    return datetime.fromtimestamp(at, timezone(timedelta(hours=2))).isoformat()


def five(at, program, pid, message):
    """RFC 5424 with structured data."""
    return rf'<86>1 {datetime.fromtimestamp(at, UTC).isoformat()} host {program} {pid} ID [a@1 b="\]"][c d="\\" e=""] {message}'


@pytest.mark.parametrize("ago", [0, 3600, 86400 * 30, 86400 * 200, 86400 * 330])
def test_a_stamp_without_year_is_of_the_last_twelve_months(zone, ago):
    written = parse(f"{classic(NOW - ago)} host sshd[12]: words and words".encode(), NOW)
    assert written == (NOW - ago, "sshd", 12, "words and words")


def test_around_new_year_the_stamp_is_not_a_year_off(zone):
    for at in (1735689600 - 3600, 1735689600 + 3600, 1735689600 + 14 * 3600):  # 2025-01-01 UTC
        for later in (0, 3600, 40000):
            assert parse(f"{classic(at)} host sshd[12]: x".encode(), at + later).at == at


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("2023-11-14T23:13:20.5+01:00 host sshd-session[7]: Invalid user x", (1.7e9 + 0.5, "sshd-session", 7, "Invalid user x")),
        ("2023-11-14T22:13:20Z host sudo:      bob : TTY=", (1.7e9, "sudo", -1, "     bob : TTY=")),
        ("<86>1 2023-11-14T22:13:20Z host sshd 7 - - words", (1.7e9, "sshd", 7, "words")),
        ('1 2023-11-14T22:13:20Z host sshd - - [a@1 b="x\\]"] \ufeffwords', (1.7e9, "sshd", -1, "words")),
        ('1 2023-11-14T22:13:20Z host sshd - - [a@1 b="x words', None),
        ("<86>1 - host sshd 7 - - no stamp", None),
        ("2023-11-14T25:13:20Z host sshd[7]: no such hour", None),
        ("Foo 14 22:13:20 host sshd[7]: no such month", None),
        ("Nov 14 22:13:20 host -- MARK --", None),
        ("", None),
        ("garbage", None),
        ("<86>1 x", None),
    ],
)  # fmt: skip
def test_stamps_with_year(line, expected):
    assert parse(line.encode(), NOW) == expected


def test_bytes_that_are_no_text_do_no_harm():
    assert parse(b"2023-11-14T22:13:20Z host sshd[7]: \xff\x1b[2J\0", NOW).message == "\ufffd␛[2J␀"
    assert parse(bytes(range(256)) * 20, NOW) is None


class File:
    """A log file, and a collector that follows it."""

    def __init__(self, path, **options):
        self.path = path
        self.told = False
        self.at = NOW
        self.collector = AuthLogCollector(lambda: self.told, paths=[str(path), str(path) + ".none"], **options)

    def write(self, *messages, program="sshd", pid=1, form=None):
        with self.path.open("a") as file:
            for i, message in enumerate(messages):
                line = f"{stamped(self.at)} host {program}[{pid + i}]: {message}"
                file.write((form(self.at, program, pid + i, message) if form else line) + "\n")

    def run(self, after_s=5.0):
        self.at += after_s
        return asyncio.run(self.collector.run("host", Slot(self.at, self.at, nan), ()))


@pytest.fixture
def log(tmp_path):
    (tmp_path / "auth.log").touch()
    made = File(tmp_path / "auth.log")
    yield made
    made.collector.close()


def failed(count, first=1):
    return [f"Failed password for root from {ATTACKER} port {first + i} ssh2" for i in range(count)]


def accepted(user="bob"):
    return f"Accepted password for {user} from {ATTACKER} port 22 ssh2"


@pytest.mark.parametrize("form", [None, five, lambda at, program, pid, message: f"{classic(at)} host {program}[{pid}]: {message}"])
def test_a_file_is_followed_and_never_more_than_a_warning(log, form):
    log.run()
    log.write(*failed(7), form=form)
    log.write(accepted(), pid=99, form=form)
    result = log.run()
    (table,) = result.tables
    (row,) = table.rows
    assert (row.failed, row.succeeded, row.breached, row.source) == (7, 1, True, ATTACKER)
    (event,) = result.events
    assert event.severity == "warning"
    assert event.source == str(log.path)
    assert f"as written in {log.path}, which any user of this machine can write to with logger" in table.notes


def test_what_was_there_before_is_counted_but_not_told(log):
    log.at -= 7200
    log.write(*failed(3))
    log.at += 6000
    log.write(*failed(6, 100), pid=100)
    log.write(accepted(), pid=999)
    log.at += 1200
    result = log.run()
    assert result.tables[0].rows[0].failed == 6
    assert result.tables[0].rows[0].breached
    assert result.events == []
    log.write(accepted("eve"), pid=77)
    assert [event.text.split()[0] for event in log.run().events] == ["eve"]


def test_a_stamp_ahead_of_time_is_now(log):
    log.run()
    log.at += 400
    log.write(accepted())
    log.at -= 400
    (event,) = log.run().events
    assert event.time_hi == log.at


def test_rotation_truncation_and_vanishing_lose_nothing_and_count_nothing_twice(log):
    log.run()
    log.write(*failed(2))
    assert log.run().tables[0].failed == 2
    log.write(*failed(1, 50), pid=50)
    log.path.rename(log.path.with_suffix(".1"))
    log.path.touch()
    log.write(*failed(1, 60), pid=60)
    log.run()
    log.run()
    log.write(*failed(1, 70), pid=70)
    assert log.run().tables[0].failed == 5
    os.truncate(log.path, 0)
    log.write(*failed(1, 80), pid=80)
    assert log.run().tables[0].failed == 6
    log.path.unlink()
    result = log.run()
    assert result.health[0].state == "off"
    log.write(*failed(1, 90), pid=90)
    result = log.run()
    assert (result.tables[0].failed, result.health) == (7, ())


def test_while_the_journal_tells_nothing_is_read(log):
    log.told = True
    log.write(*failed(3))
    result = log.run()
    assert result == Result()
    log.told = False
    assert log.run().tables[0].failed == 3


def test_su_as_util_linux_and_pam_wrote_it_counts_once(log):
    """Real lines: PAM's have no process id."""
    log.run()
    with log.path.open("a") as file:
        for at in (log.at + 1, log.at + 2):
            pam = "pam_unix(su:auth): authentication failure; logname= uid=65534 euid=0 tty=/dev/pts/0 ruser=nobody rhost=  user=root"
            file.write(f"{stamped(at)} host su: {pam}\n{stamped(at)} host su[21154]: FAILED SU (to root) nobody on pts/0\n")
        file.write(f"{stamped(log.at + 3)} host su[21222]: (to nobody) root on pts/1\n")
        file.write(f"{stamped(log.at + 3)} host su[21222]: pam_unix(su:session): session opened for user nobody(uid=65534) by (uid=0)\n")
    result = log.run()
    rows = {row.source: row for row in result.tables[0].rows}
    assert (rows["nobody"].failed, rows["nobody"].users, rows["root"].succeeded) == (2, ("root",), 1)
    assert result.events == []


def test_the_counter_goes_on_whoever_tells(log):
    logins = Logins()
    log.collector = AuthLogCollector(lambda: log.told, logins=logins, paths=[str(log.path)])
    log.told = True
    logins.take_failure("postgresql", ATTACKER, "bob", NOW)
    assert log.run().measured[0].values == [1, 0]
    log.told = False
    log.write(*failed(6))
    log.write(accepted(), pid=99)
    (measured,) = log.run().measured
    assert ([series.name for series in measured.series], measured.values) == (["system.logins.failed", "system.logins.breached"], [7, 0])
    assert {series.name for series in measured.series} <= set(METRICS)
    log.path.unlink()
    assert all(isnan(value) for value in log.run().measured[0].values)


def test_what_the_journal_told_a_file_does_not_tell_again(tmp_path):
    """Both have it, where rsyslog runs: when the journal can be read no more, and when it can be again."""
    file = File(tmp_path / "auth.log", logins=Logins())
    logins, file.told = file.collector._logins, True

    def say(at, count, first):
        for pid in range(first, first + count):
            message = f"Failed password for root from {ATTACKER} port {pid} ssh2"
            logins.take(Entry(at, "", message, 6, "sshd", "sshd", "/usr/sbin/sshd", 0, pid))

    file.run()
    file.write(*failed(10))
    say(file.at - 0.2, 10, 1)
    file.run(60.0)
    assert logins.failed_total == 10
    file.told = False
    file.run()
    assert logins.failed_total == 10
    file.write(*failed(3, first=11), pid=11)
    file.run()
    assert logins.failed_total == 13
    file.told = True
    say(file.at - 5.1, 3, 11)
    say(file.at, 2, 20)
    file.run()
    assert logins.failed_total == 15
    file.collector.close()


def test_what_a_file_had_before_the_journal_was_read_is_not_news(log):
    log.told = True
    log.write(*failed(10))
    log.run(300.0)
    log.told = False
    log.run()
    assert log.collector._logins.failed_total == 0


@pytest.mark.parametrize(
    ("uid", "fix"), [(0, "have rsyslog write"), (1000, "as root: usermod -aG systemd-journal USER; or have rsyslog write")]
)
def test_without_a_file_it_is_said_what_would_help(tmp_path, monkeypatch, uid, fix):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    file = File(tmp_path / "nothing")
    (health,) = file.run().health
    assert (health.collector, health.target, health.state) == ("logins", "host", "off")
    assert "no journal can be read, and there is no" in health.error
    assert health.fix.startswith(fix)
    assert file.run().tables == ()


def test_without_a_file_a_servers_failures_are_shown_and_it_is_said_what_is_missing(tmp_path):
    file = File(tmp_path / "nothing")
    file.collector._logins.take_failure("postgresql", ATTACKER, "bob", NOW + 1)
    (table,) = file.run().tables
    assert (table.failed, table.notes[0][:41]) == (1, "logins at this machine are not seen: no j")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_names_the_group(log):
    log.path.chmod(0)
    (health,) = log.run().health
    assert (health.state, health.fix) == ("denied", "run perfconsole as root")


def test_a_directory_in_its_place_is_an_error_of_words(tmp_path):
    (tmp_path / "auth.log").mkdir()
    (health,) = File(tmp_path / "auth.log").run().health
    assert (health.state, health.error) == ("denied", f"{tmp_path}/auth.log: Is a directory")


def test_a_flood_of_lines_is_sampled_and_it_is_said(log):
    log.run()
    log.write(*failed(10_000))
    result = log.run()
    (table,) = result.tables
    assert 0 < table.failed < 10_000
    assert table.sampled == pytest.approx(table.failed / 10_000, rel=0.02)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_the_group_that_may_read_a_log_is_named(log):
    gid = next(group.gr_gid for group in grp.getgrall() if group.gr_gid and group.gr_gid not in os.getgroups())
    os.chown(log.path, 0, gid)
    log.path.chmod(0o640)
    assert right(str(log.path)) == f"as root: usermod -aG {grp.getgrgid(gid).gr_name} USER"
