"""Lines of the journal as journalctl writes them, and as somebody might who means no good; what is asked for; what is spent on them."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfconsole.collectors.journal.budget import Budget, Share
from perfconsole.collectors.journal.lines import MOST_BYTES, TOO_LONG, Splitter, entry_of
from perfconsole.collectors.journal.parts import LOGIN_PROGRAMS, matches

REAL = (  # journalctl 252, of a line that holds an escape sequence and a line break
    b'{"_PID":"99","__CURSOR":"s=0b061f5bf64d410c97ede9d75a3f5f11;i=4;b=dd9cea327ad5439ea1b6c47d35f4bee0;m=989680;t=60a2418b6d680;x=c6413",'
    b'"__REALTIME_TIMESTAMP":"1700000010000000","_COMM":"sshd","MESSAGE":[104,105,27,91,51,49,109,10,120],'
    b'"__MONOTONIC_TIMESTAMP":"10000000","_BOOT_ID":"dd9cea327ad5439ea1b6c47d35f4bee0","_UID":"0","_EXE":"/usr/sbin/sshd",'
    b'"PRIORITY":"5","SYSLOG_IDENTIFIER":"sshd","_SYSTEMD_UNIT":"ssh.service","_TRANSPORT":"syslog","UNIT":"x.service","OTHER":"y"}'
)


def line(**fields):
    return json.dumps({"__CURSOR": "c", "__REALTIME_TIMESTAMP": "1700000010500000", **fields}).encode()


def test_a_line_that_journalctl_wrote():
    entry = entry_of(REAL)
    assert entry.at == 1700000010.0
    assert entry.cursor.startswith("s=0b061f5bf64d410c97ede9d75a3f5f11;i=4;")
    assert entry.message == "hi\u241b[31m x"  # an escape sequence is seen, not obeyed
    assert (entry.priority, entry.identifier, entry.comm, entry.exe) == (5, "sshd", "sshd", "/usr/sbin/sshd")
    assert (entry.uid, entry.pid, entry.unit, entry.transport) == (0, 99, "ssh.service", "syslog")
    assert entry.fields == {"UNIT": "x.service"}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("plain", "plain"),
        (None, TOO_LONG),
        (["a", "b"], "a b"),
        ([[97, 10], "b"], "a  b"),
        ([255, 254], "\ufffd\ufffd"),
        ([], ""),
        ([300], ""),
        ([1, "x"], ""),
        ([None, {}], " "),
        ([[[]]], ""),
        ({"a": 1}, ""),
        (7, ""),
        (True, ""),
        ("x" * 9000, "x" * 4095 + "…"),
    ],
)
def test_forms_of_a_message(message, text):
    assert entry_of(line(MESSAGE=message)).message == text


def test_of_a_repeated_message_not_all_is_read():
    assert entry_of(line(MESSAGE=["a"] * 1000)).message == " ".join("a" * 8)


def test_what_is_missing_is_empty():
    entry = entry_of(line())
    assert (entry.message, entry.priority, entry.uid, entry.pid, entry.comm, entry.fields) == ("", 6, -1, -1, "", {})


@pytest.mark.parametrize("number", ["-1", "", "１", "9" * 17, "0x1", " 1", ["1", "2"], None, 1])
def test_numbers_that_are_none(number):
    assert entry_of(line(_PID=number)).pid == (1 if number == ["1", "2"] else -1)


def test_a_priority_that_is_none_is_the_usual():
    assert [entry_of(line(PRIORITY=value)).priority for value in ("0", "7", "8", "x")] == [0, 7, 6, 6]


@pytest.mark.parametrize(
    "garbage",
    [
        b"", b"x", b"{}", b"[]", b"null", b'{"__CURSOR":"c"}', b'{"__REALTIME_TIMESTAMP":"1"}', b"\xff\xfe", b"-- No entries --",
        b'{"__CURSOR":"c","__REALTIME_TIMESTAMP":"1","MESSAGE":"\xff"}', b'{"__CURSOR":"","__REALTIME_TIMESTAMP":"1"}',
        b"[" * 30_000, b'{"a":' * 10_000, b'{"__CURSOR":"c","__REALTIME_TIMESTAMP":"soon"}',
    ],
)  # fmt: skip
def test_garbage_is_no_entry(garbage):
    assert entry_of(garbage) is None


@settings(deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(["MESSAGE", "_PID", "_UID", "PRIORITY", "__CURSOR", "__REALTIME_TIMESTAMP", "_COMM", "UNIT"]),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=4), max_leaves=8),
    )
)
def test_anything_gives_safe_text_or_nothing(fields):
    entry = entry_of(json.dumps(fields).encode())
    if entry:
        assert all(value.isprintable() for value in (*entry.fields.values(), entry.message, entry.comm, entry.cursor))


def test_lines_come_in_any_pieces():
    text = b"one\n\ntwo\nthree\nfour"
    for size in range(1, len(text)):
        splitter = Splitter()
        found = [line for at in range(0, len(text), size) for line in splitter.feed(text[at : at + size])]
        assert found == [b"one", b"two", b"three"]


def test_an_endless_line_is_thrown_away_and_the_next_is_read():
    splitter = Splitter()
    assert list(splitter.feed(b"a\n" + b"x" * 40_000)) == [b"a"]
    assert list(splitter.feed(b"x" * 40_000)) == []
    assert splitter.oversized == 1
    for _ in range(100):
        assert list(splitter.feed(b"x" * 40_000)) == []
        assert len(splitter._rest) == 0
    assert list(splitter.feed(b"x\nb\n")) == [b"b"]
    assert list(splitter.feed(b"y" * (MOST_BYTES + 1) + b"\nc\n")) == [b"c"]
    assert list(splitter.feed(b"z" * MOST_BYTES + b"\n")) == [b"z" * MOST_BYTES]
    assert splitter.oversized == 2


def test_what_is_asked_for():
    assert matches(logins=False, kernel=False) == ["_PID=1"]
    assert matches(logins=False, kernel=True) == ["_PID=1", "+", "_TRANSPORT=kernel", "SYSLOG_FACILITY=0"]
    asked = matches(logins=True, kernel=False)
    assert asked[:3] == ["_PID=1", "+", "_COMM=sshd"]
    assert asked.count("+") == 2
    assert {"_COMM=sshd-session", "SYSLOG_IDENTIFIER=sshd-session", "_COMM=sudo", "SYSLOG_IDENTIFIER=su"} <= set(asked)
    assert all(len(program) <= 15 for program in LOGIN_PROGRAMS)  # what the kernel keeps of a name


def test_a_budget_saves_up_and_does_not_overdraw():
    budget = Budget(10.0, 30.0)
    budget.fill(100.0)
    assert sum(budget.spend() for _ in range(100)) == 30
    budget.fill(100.5)
    assert sum(budget.spend() for _ in range(100)) == 5
    budget.fill(1000.0)
    assert sum(budget.spend() for _ in range(100)) == 30


def test_the_share_is_that_of_the_last_minute():
    share = Share()
    assert share.ratio(0.0) == 1.0
    share.count(10.0, 1, 4, 0.0)
    share.count(11.0, 3, 4, 4.0)  # that it took some seconds to come is no loss
    assert share.ratio(12.0) == 0.5
    assert share.ratio(70.5) == 0.75
    assert share.ratio(80.0) == 1.0


def test_what_falls_behind_is_not_read_however_much_of_the_rest_is():
    share = Share()
    for second in range(60):
        share.count(float(second), 10, 10, 5 + second * 0.5)
    assert share.ratio(59.0) == pytest.approx(1 - 29.5 / 60)
    share.count(59.0, 10, 10, 0.0)  # it caught up: nothing was lost
    assert share.ratio(59.0) == 1.0


def test_what_is_given_up_stays_lost():
    share = Share()
    share.count(0.0, 10, 10, 35.0)
    share.jump()
    share.count(1.0, 10, 10, 0.0)
    assert share.ratio(2.0) == 0.5
