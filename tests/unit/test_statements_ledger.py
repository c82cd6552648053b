"""Windows: how far they reach back, what they hold, and what a thrashing table does to them."""

import time
from math import isnan, nan

import pytest

from perfconsole.core import ledger as ledgers
from perfconsole.core.ledger import OTHERS, Ledger
from perfconsole.core.statements import CALLS, EXEC, Identity, Sample

HERE = Identity(10.0, 5.0)
KEY = (10, 5, -77, True)


def row(calls, exec_ms=0.0):
    return (calls, exec_ms, 0.0, 0, 0, 0, 0.0, 0, 0.0, 0.0, 0.0, None, None)


def take(ledger, at, rows, identity=HERE, **more):
    steps = ledger.take(Sample(at - 0.01, at, rows, identity, **{"dealloc": 0.0, **more}))
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value


def polled(count, every_s=5.0, start=1000.0):
    """A ledger after as many polls of a statement that runs once a second."""
    ledger = Ledger()
    for i in range(count):
        take(ledger, start + i * every_s, {KEY: row(i * every_s, i * every_s * 2.0)})
    return ledger


def test_a_first_sample_has_no_rates_in_any_window_but_the_one_since_the_reset():
    ledger = polled(1)
    for name in ("tick", "1m", "5m", "open", "mark"):
        assert ledger.window(name).sums == {}
        assert isnan(ledger.window(name).seconds)
    assert ledger.window("reset").seconds == 990.0
    assert Ledger().window("1m").sums == {}


@pytest.mark.parametrize(("name", "least", "most"), [("tick", 5, 5), ("1m", 60, 65), ("5m", 300, 330), ("open", 4995, 4995)])
def test_a_window_is_as_long_as_it_is_called_and_says_how_long(name, least, most):
    window = polled(1000).window(name)
    assert least <= window.seconds <= most
    assert window.sums[KEY][CALLS] == window.seconds
    assert window.name == name


def test_windows_that_have_not_begun_are_as_long_as_there_is_data():
    ledger = polled(4)
    assert [ledger.window(name).seconds for name in ("1m", "5m", "open", "mark")] == [15.0] * 4
    assert ledger.window("mark").name == "open"


def test_looks_a_second_apart_hold_no_more_moments_than_looks_five_apart():
    ledger = polled(1000, every_s=1.0)
    assert len(ledger._steps) <= 25
    assert 60 <= ledger.window("1m").seconds <= 65


def test_a_mark_counts_from_where_it_was_set():
    ledger = polled(3)
    ledger.mark()
    take(ledger, 1015.0, {KEY: row(17, 40.0)})
    assert ledger.window("mark").sums[KEY][CALLS] == 7
    assert ledger.window("mark").seconds == 5.0


def test_a_reset_inside_of_a_window_loses_and_doubles_nothing_counted_before_it():
    ledger = polled(4)
    take(ledger, 1020.0, {KEY: row(2, 4.0)}, Identity(1018.0, 5.0))
    assert ledger.window("1m").sums[KEY][CALLS] == 17
    assert ledger.window("reset").sums[KEY][CALLS] == 2
    assert ledger.window("reset").seconds == 2.0


def test_after_a_clock_was_set_back_time_goes_on_and_the_interval_of_unknown_length_is_left_out():
    ledger = polled(3)
    assert take(ledger, 900.0, {KEY: row(12, 24.0)}) is None
    assert take(ledger, 905.0, {KEY: row(14, 28.0)}).changes[KEY][CALLS] == 2
    assert ledger.window("open").sums[KEY][CALLS] == 12
    assert ledger.window("tick").seconds == 5.0
    assert ledger.window("open").seconds == 15.0
    assert ledger.window("reset").seconds == 895.0


def test_a_baseline_is_shown_once_there_is_one_and_follows_slowly():
    ledger = polled(30)
    assert isnan(ledger.baseline_s(KEY))
    ledger = polled(100)
    assert ledger.baseline_s(KEY) == pytest.approx(0.002)
    take(ledger, 1500.0, {KEY: row(100 * 5, 99 * 5 * 2.0 + 5 * 200.0)})
    assert 0.002 < ledger.baseline_s(KEY) < 0.01
    assert isnan(ledger.baseline_s((1, 1, 1, True)))


def test_what_was_born_inside_of_a_window_is_new_in_it():
    ledger = polled(3)
    born = (10, 5, 99, True)
    take(ledger, 1015.0, {KEY: row(10), born: row(3)})
    assert ledger.new_since(born, ledger.window("tick").since)
    assert not ledger.new_since(KEY, 0.0)
    take(ledger, 1020.0, {KEY: row(10), born: row(4)})
    assert not ledger.new_since(born, ledger.window("tick").since)
    assert ledger.new_since(born, ledger.window("open").since)


def test_evictions_are_those_of_the_window():
    ledger = polled(3)
    take(ledger, 1015.0, {}, dealloc=4.0)
    take(ledger, 1020.0, {KEY: row(1)}, dealloc=6.0)
    assert (ledger.window("tick").dealloc, ledger.window("open").dealloc, ledger.window("open").vanished) == (2.0, 6.0, 1)
    take(ledger, 1025.0, {KEY: row(1)}, dealloc=nan)
    assert isnan(ledger.window("open").dealloc)


def test_a_thrashing_table_does_not_fill_the_ledger_and_nothing_is_lost():
    ledger, executed, held = Ledger(), 0, 0
    take(ledger, 1000.0, {})
    ledger.mark()
    for i in range(1, 300):
        take(ledger, 1000.0 + 5 * i, {(1, 1, i * 100 + n, True): row(2, 1.0) for n in range(90)})
        executed += 180
        ledger.mark() if i == 150 else None
        held = max(held, len(ledger._totals))
        for name in ("1m", "5m"):  # also those that left the table within it
            window = ledger.window(name)
            assert sum(sums[CALLS] for sums in window.sums.values()) == window.seconds / 5 * 180
    assert held < 2500
    assert ledger.window("open").sums[OTHERS][CALLS] > 0
    assert sum(sums[CALLS] for sums in ledger.window("open").sums.values()) == executed
    assert sum(sums[CALLS] for sums in ledger.window("mark").sums.values()) == 149 * 180
    assert sum(sums[CALLS] for sums in ledger.window("tick").sums.values()) == 180


def test_what_is_held_of_the_past_is_bounded(monkeypatch):
    monkeypatch.setattr(ledgers, "_HELD", 500)
    ledger = Ledger()
    for i in range(200):
        take(ledger, 1000.0 + 5 * i, {(1, 1, n, True): row(i, i * 2.0) for n in range(200)})
    assert len(ledger._steps) <= ledgers._FEWEST + 1
    window = ledger.window("1m")
    assert all(sums[CALLS] * 5 == window.seconds and sums[EXEC] == 2 * sums[CALLS] for sums in window.sums.values())
    assert ledger.window("5m").seconds >= 300


def test_what_leaves_a_large_table_is_forgotten_in_slices():
    ledger = Ledger()
    take(ledger, 1000.0, {(1, 1, n, True): row(1) for n in range(5000)})
    take(ledger, 1005.0, {(1, 1, n, True): row(2) for n in range(5000)})
    took, moments = 0, ledger.take(Sample(1009.0, 1010.0, {(1, 1, n, True): row(1) for n in range(9000, 9100)}, HERE))
    for _ in moments:
        took += 1
    assert took >= 5000 / 500
    assert len(ledger._totals) == 100


def test_ten_thousand_changes_of_fifty_thousand_never_hold_a_loop_long():
    before = {(1, 1, n, True): row(n, n * 1.0) for n in range(50_000)}
    after = {key: row(old[0] + (not n % 5), old[1] + (not n % 5)) for n, (key, old) in enumerate(before.items())}
    ledger = Ledger()
    take(ledger, 1000.0, before)
    steps = ledger.take(Sample(1009.0, 1010.0, after, HERE))
    held = []
    try:
        while True:
            began = time.thread_time()
            next(steps)
            held.append(time.thread_time() - began)
    except StopIteration:
        pass
    assert len(held) >= 30
    assert sorted(held)[len(held) // 2] < 0.02
    assert len(ledger.window("tick").sums) == 10_000
