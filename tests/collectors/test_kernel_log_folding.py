"""Repetition in the kernel log: one event, then counts; and the times of stamps."""

import pytest

from perfconsole.collectors.kernellog.folding import Folding
from perfconsole.collectors.kernellog.meanings import Finding
from perfconsole.collectors.kernellog.ring import Clocks, parse, when


def finding(subject="io", scope="/dev/sda", text="sda: I/O error"):
    return Finding("kernel", scope, text, "critical", subject)


def test_the_first_is_told_at_once_and_the_rest_is_counted():
    folding = Folding()
    [first] = folding.add(100.0, 100.0, finding(text="sda: sector 1"))
    assert (first.kind, first.scope, first.text, first.severity) == ("kernel", "/dev/sda", "sda: sector 1", "critical")
    for number in range(57):
        assert folding.add(101.0 + number, 101.0 + number, finding(text=f"sda: sector {number}")) == []
    assert folding.due(159.0) == []
    [rest] = folding.due(160.0)
    assert rest.text == "sda: sector 56 (and 56 more in 57 s)"
    assert (rest.time_lo, rest.time_hi) == (101.0, 157.0)


def test_one_that_came_alone_is_told_once():
    folding = Folding()
    folding.add(100.0, 100.0, finding())
    assert folding.due(1000.0) == []
    assert folding.add(1000.0, 1000.0, finding()) != []


def test_a_second_alone_is_told_in_its_own_words():
    folding = Folding()
    folding.add(100.0, 100.0, finding(text="one"))
    folding.add(110.0, 110.0, finding(text="two"))
    [event] = folding.due(160.0)
    assert (event.text, event.time_lo) == ("two", 110.0)


def test_while_it_goes_on_it_is_told_ever_more_seldom():
    folding = Folding()
    told = []
    for second in range(8 * 3600):
        told += folding.add(1000.0 + second, 1000.0 + second, finding())
        told += folding.due(1000.0 + second)
    assert [event.time_hi - 1000.0 for event in told[:6]] == [0.0, 59.0, 179.0, 419.0, 899.0, 1499.0]
    assert len(told) < 60


def test_what_was_before_the_start_folds_by_its_own_time():
    folding = Folding()
    told = [event for at in (100.0, 101.0, 102.0, 500.0) for event in folding.add(at, at, finding())]
    told += folding.due(9000.0)
    assert [event.time_hi for event in told] == [100.0, 102.0, 500.0]


def test_the_same_lines_read_again_after_a_start_become_the_same_events():
    times = [1000.0, 1030.0, 1059.5, 1061.5, 1119.9, 1121.0, 1300.0, 1301.0, 1500.0]
    live, again = Folding(), Folding()
    told = []
    for beat in range(500):
        now = 1001.0 + 2 * beat
        for at in times:
            if now - 2 < at <= now:
                told += live.add(at, at, finding(text=f"at {at}"))
        told += live.due(now)
    after = [event for at in times for event in again.add(at, at, finding(text=f"at {at}"))] + again.due(2000.0)
    assert told == after
    assert [event.time_hi for event in told] == [1000.0, 1059.5, 1121.0, 1301.0, 1500.0]


def test_other_things_are_other_events():
    folding = Folding()
    assert folding.add(100.0, 100.0, finding())
    assert folding.add(100.0, 100.0, finding(scope="/dev/sdb"))
    assert folding.add(100.0, 100.0, finding(subject="buffer"))


def test_names_without_end_are_folded_together():
    folding = Folding()
    told = [event for number in range(10_000) for event in folding.add(100.0, 100.0, finding(subject=f"crash {number}"))]
    assert len(told) == 201


def test_a_clock_that_was_set_back_ends_a_window():
    folding = Folding()
    folding.add(10_000.0, 10_000.0, finding())
    assert folding.due(5000.0) == []
    assert folding.add(5000.0, 5000.0, finding())


@pytest.mark.parametrize(
    ("data", "number", "text"),
    [
        (b"6,339,5140900,-;NET: Registered PF_INET6\n SUBSYSTEM=net\n DEVICE=+x\n", 339, "NET: Registered PF_INET6"),
        (b"4,1,25842901573,-,caller=T1;x;y\n", 1, "x;y"),
        (b"0,2,1,c;cont\n", 2, "cont"),
        (b"3,3,1,-;a\\x09b\\xc3\\xa9 \\x1b[31m\\xff\n", 3, "a bé ␛[31m\ufffd"),
        (b"3,3,1,-;line one\\x0aline two\n", 3, "line one line two"),
    ],
)
def test_records(data, number, text):
    record = parse(data)
    assert record is not None
    assert (record.number, record.text()) == (number, text)


@pytest.mark.parametrize(
    "data",
    [
        b"11,431,25842911672,-;Out of memory: Killed process 1 (x) forged\n",  # what root writes to /dev/kmsg, whatever level he says
        b"30,431,25842911672,-;systemd[1]: Started x\n",
        b"",
        b";",
        b"x,y,z,-;a",
        b"6,1",
        b"6,1;a",
    ],
)
def test_what_is_no_record_of_the_kernels_own(data):
    assert parse(data) is None


def test_a_line_of_megabytes_is_cut():
    record = parse(b"6,1,1,-;" + b"\\x41" * 1_000_000)
    assert record is not None
    assert len(record.text()) <= 1024


def test_a_stamp_is_a_time_when_the_clocks_agree():
    assert when(900.0, Clocks(10_000.0, 1000.0, 1000.0), None) == (9900.0, 9900.0)


def test_after_a_suspension_only_an_interval_is_known():
    lo, hi = when(900.0, Clocks(10_000.0, 1000.0, 4600.0), None)
    assert lo == pytest.approx(9900.0 - 3600.0, abs=0.1)
    assert hi == pytest.approx(9900.0, abs=0.1)


def test_after_weeks_the_stamps_clock_has_drifted():
    weeks_s = 30 * 86_400.0
    lo, hi = when(weeks_s - 100.0, Clocks(9e8, weeks_s, weeks_s), None)
    assert lo == pytest.approx(9e8 - 100.0 - 78, abs=1)
    assert hi == pytest.approx(9e8 - 100.0 + 78, abs=1)
    assert when(weeks_s, Clocks(9e8, weeks_s, weeks_s), None)[1] <= 9e8


def test_what_came_since_the_last_look_came_since_then_however_the_clock_runs():
    now = Clocks(10_000.0, 1000.0, 1000.0)
    assert when(999.0, now, 9998.0) == (9999.0, 9999.0)
    assert when(1005.0, now, 9998.0) == (10_000.0, 10_000.0)  # not in the future
    assert when(997.9, now, 9998.0) == (9998.0, 9998.0)
    assert when(900.0, now, 9998.0) == (9998.0, 10_000.0)  # drifted by more than a look
    assert when(999.0, now, 10_500.0) == (10_000.0, 10_000.0)  # the wall clock was set back
