"""Intervals of pg_stat_statements: every way in which its counters lie about what happened in between."""

from math import isnan, nan

import pytest

from perfconsole.core.statements import (
    CALLS,
    EXEC,
    MAX,
    Identity,
    Sample,
    delta,
    deviation_s,
    finished,
    gathered,
    load,
    sliced,
)
from perfconsole.core.tables import StatementRow

KEY = (10, 5, -77, True)
OTHER = (10, 5, 88, True)
HERE = Identity(100.0, 50.0)


def row(calls, exec_ms, *, plan_ms=0.0, deviation_ms=0.0, since=None, blocks=0):
    return (calls, exec_ms, plan_ms, calls * 3, blocks, 0, 0.0, 0, 0.0, deviation_ms, exec_ms, since, since)


def sample(at, rows, identity=HERE, **more):
    return Sample(at - 0.01, at, rows, identity, **{"dealloc": 0.0, **more})


def counted(before, after):
    return {key: (sums[CALLS], sums[EXEC]) for key, sums in delta(before, after).changes.items()}


def test_only_what_ran_is_in_an_interval_with_what_it_ran():
    interval = delta(sample(200, {KEY: row(5, 50.0), OTHER: row(1, 1.0)}), sample(205, {KEY: row(7, 90.0), OTHER: row(1, 1.0)}))
    assert interval.changes == {KEY: (2, 40.0, 0.0, 6, 0, 0, 0.0, 0, 0.0, pytest.approx(90**2 / 7 - 50**2 / 5))}
    assert (interval.since, interval.until, interval.reset, interval.vanished, interval.dealloc) == (200, 205, False, 0, 0.0)
    assert not interval.new


def test_the_same_statement_at_top_level_and_inside_of_a_function_is_two():
    nested = (*KEY[:3], False)
    before, after = {KEY: row(1, 1.0), nested: row(1, 1.0)}, {KEY: row(1, 1.0), nested: row(3, 5.0)}
    assert counted(sample(200, before), sample(205, after)) == {nested: (2, 4.0)}


def test_a_new_entry_of_a_complete_sample_was_executed_since_and_is_new():
    interval = delta(sample(200, {}), sample(205, {KEY: row(4, 8.0)}))
    assert interval.changes[KEY][CALLS] == 4
    assert interval.new == {KEY}


def test_a_first_execution_that_took_minutes_is_counted_although_its_entry_is_older():
    """pg_stat_statements makes the entry when the execution begins, and shows it when it ends."""
    assert counted(sample(900, {}), sample(905, {KEY: row(1, 612e3, since=300.0)})) == {KEY: (1, 612e3)}


@pytest.mark.parametrize("blind", [{"complete": False}, {"hidden": 3}])
def test_what_was_cut_off_or_hidden_is_not_taken_for_new(blind):
    before = sample(200, {}, **blind)
    assert counted(before, sample(205, {KEY: row(4000, 8e6)})) == {}
    assert counted(before, sample(205, {KEY: row(4000, 8e6, since=150.0)})) == {}
    assert counted(before, sample(205, {KEY: row(4, 8.0, since=202.0)})) == {KEY: (4, 8.0)}


def test_while_others_stay_hidden_an_own_new_statement_is_counted():
    assert counted(sample(200, {}, hidden=3), sample(205, {KEY: row(4, 8.0)}, hidden=3)) == {KEY: (4, 8.0)}


def test_an_entry_reset_by_itself_is_counted_from_nothing():
    assert counted(sample(200, {KEY: row(500, 900.0)}), sample(205, {KEY: row(3, 7.0)})) == {KEY: (3, 7.0)}


def test_a_counter_that_fell_tells_of_a_reset_even_where_calls_grew():
    assert counted(sample(200, {KEY: row(5, 900.0)}), sample(205, {KEY: row(6, 7.0)})) == {KEY: (6, 7.0)}
    assert counted(sample(200, {KEY: row(5, 900.0)}), sample(205, {KEY: row(5, 7.0)})) == {KEY: (5, 7.0)}


def test_time_without_a_call_or_a_shorter_longest_call_tells_of_a_reset_too():
    assert counted(sample(200, {KEY: row(5, 10.0)}), sample(205, {KEY: row(5, 12.0)})) == {KEY: (5, 12.0)}
    longest = (*row(5, 10.0)[:MAX], 9.0, None, None)
    assert counted(sample(200, {KEY: longest}), sample(205, {KEY: (*row(7, 12.0)[:MAX], 3.0, None, None)})) == {KEY: (7, 12.0)}


def test_an_entry_that_outgrew_its_past_since_its_reset_is_known_by_its_birth():
    before, after = {KEY: row(5, 10.0, since=110.0)}, {KEY: row(50, 100.0, since=202.0)}
    assert counted(sample(200, before), sample(205, after)) == {KEY: (50, 100.0)}


def test_a_full_reset_counts_all_there_is_since():
    before, after = sample(200, {KEY: row(5, 10.0)}), sample(205, {KEY: row(50, 100.0)}, Identity(202.0, 50.0), dealloc=2.0)
    interval = delta(before, after)
    assert interval.changes[KEY][:2] == (50, 100.0)
    assert interval.reset
    assert interval.dealloc == 2.0


def test_another_server_behind_the_same_name_is_not_what_was_executed_since():
    before = sample(200, {KEY: row(5, 10.0)})
    older = Identity(120.0, 60.0)
    interval = delta(before, sample(205, {KEY: row(5000, 1e6), OTHER: row(3, 4.0, since=203.0)}, older))
    assert {key: sums[CALLS] for key, sums in interval.changes.items()} == {OTHER: 3}
    assert isnan(interval.dealloc)


def test_a_restart_that_kept_the_counters_changes_nothing():
    assert counted(sample(200, {KEY: row(5, 10.0)}), sample(205, {KEY: row(6, 12.0)}, Identity(100.0, 203.0))) == {KEY: (1, 2.0)}


def test_without_a_reset_time_the_entries_tell_whether_a_restart_kept_the_counters():
    """Extension 1.8."""
    before = sample(200, {KEY: row(5, 10.0), OTHER: row(9, 9.0)}, Identity(None, 50.0), dealloc=nan)
    restarted = Identity(None, 203.0)
    kept = {KEY: row(6, 12.0), OTHER: row(9, 9.0)}
    assert counted(before, sample(205, kept, restarted, dealloc=nan)) == {KEY: (1, 2.0)}
    assert counted(before, sample(205, {KEY: row(3, 6.0)}, restarted, dealloc=nan)) == {KEY: (3, 6.0)}
    assert counted(before, sample(205, {KEY: row(3, 6.0)}, Identity(None, 120.0), dealloc=nan)) == {}  # another server
    assert counted(before, sample(205, {KEY: row(1, 2.0)}, Identity(None, 50.0), dealloc=nan)) == {KEY: (1, 2.0)}


def test_an_update_of_the_extension_that_tells_since_when_is_no_burst():
    before = sample(200, {KEY: row(5, 10.0), OTHER: row(9, 9.0)}, Identity(None, 50.0), dealloc=nan)
    after = sample(205, {KEY: row(6, 12.0, since=90.0), OTHER: row(9, 9.0, since=90.0)}, Identity(80.0, 50.0))
    assert counted(before, after) == {KEY: (1, 2.0)}


def test_an_evicted_entry_that_comes_back_is_counted_once():
    full, without, again = {KEY: row(5, 10.0)}, {}, {KEY: row(2, 4.0)}
    gone = delta(sample(200, full), sample(205, without, dealloc=1.0))
    assert (gone.changes, gone.vanished, gone.dealloc) == ({}, 1, 1.0)
    assert counted(sample(205, without, dealloc=1.0), sample(210, again, dealloc=1.0)) == {KEY: (2, 4.0)}


def test_planned_but_never_executed_entries_divide_nothing():
    interval = delta(sample(200, {}), sample(205, {KEY: row(0, 0.0, plan_ms=20.0)}))
    assert load(interval.changes[KEY], 5.0) == pytest.approx(0.004)
    assert isnan(deviation_s(interval.changes[KEY]))


def test_hidden_entries_are_counted_and_nothing_else():
    seen = [(*row(1, 1.0), *KEY), (*row(9, 9.0), 11, 5, None, True), (*row(8, 9.0), 11, 5, None, True)]
    rows, hidden, merged = exhausted(gathered(seen, lambda record: record[13:17]))
    assert (set(rows), hidden, merged) == ({KEY}, 2, frozenset())


def test_entries_that_an_old_extension_cannot_tell_apart_are_added_up():
    seen = [(*row(2, 4.0, deviation_ms=0.0), *KEY), (*row(1, 8.0), *KEY), (*row(1, 1.0), *OTHER)]
    rows, _, merged = exhausted(gathered(seen, lambda record: record[13:17]))
    assert rows[KEY][:2] == (3, 12.0)
    assert rows[KEY][9] == pytest.approx(((2 + 2 + 8 - 12) ** 2 + (2 * (2 - 4) ** 2 + (8 - 4) ** 2) / 3) ** 0.5)
    assert merged == {KEY}


def test_of_merged_entries_one_that_went_is_not_taken_for_a_reset():
    before = sample(200, {KEY: row(900, 9e3)}, merged=frozenset({KEY}))
    assert counted(before, sample(205, {KEY: row(400, 4e3)})) == {}
    assert counted(before, sample(205, {KEY: row(901, 9001.0)}, merged=frozenset({KEY}))) == {KEY: (1, 1.0)}


def test_the_deviation_of_an_interval_is_of_its_own_executions():
    def of(times):
        mean = sum(times) / len(times)
        return row(len(times), sum(times), deviation_ms=(sum((t - mean) ** 2 for t in times) / len(times)) ** 0.5)

    interval = delta(sample(200, {KEY: of([1.0, 900.0, 3.0])}), sample(205, {KEY: of([1.0, 900.0, 3.0, 10.0, 20.0, 30.0])}))
    assert deviation_s(interval.changes[KEY]) == pytest.approx(0.00816496, rel=1e-4)


def test_a_long_call_that_ended_is_no_load_it_did_not_cause():
    sums = delta(sample(200, {}), sample(205, {KEY: row(1, 612e3)})).changes[KEY]
    assert load(sums, 5.0) == 1
    ended = StatementRow(10, 5, -77, True, "", "", 1, 612.0, 1.0, 1.0, 612.0)
    assert finished(ended, 5.0) == "finished: 1 x 612 s"
    assert finished(ended, 900.0) == ""
    assert finished(ended, nan) == ""


# The longest execution of an interval --------------------------------------------------------------------------------------------------


def executed(*times_ms, since=None, max_since=None, before=()):
    """An entry that has executed these, its maximum of those since it was set back (all, where `before` is empty)."""
    whole = (*before, *times_ms)
    mean = sum(whole) / len(whole)
    deviation = (sum((each - mean) ** 2 for each in whole) / len(whole)) ** 0.5
    counters = (len(whole), sum(whole), 0.0, len(whole), 0, 0, 0.0, 0, 0.0)
    return (*counters, deviation, max(times_ms, default=0.0), since, since if max_since is None else max_since)


def longest(before, after):
    return delta(before, after).longest


def test_a_maximum_that_rose_is_how_long_one_execution_took_that_ended_since():
    before, after = sample(200, {KEY: executed(5.0, 300.0)}), sample(205, {KEY: executed(5.0, 300.0, 1200.0, 1.0)})
    assert longest(before, after) == {KEY: 1200.0}


def test_nothing_is_told_of_what_did_not_run_whatever_its_maximum_is():
    rows = {KEY: executed(5000.0), OTHER: executed(1.0)}
    assert longest(sample(200, rows), sample(205, rows | {OTHER: executed(1.0, 2.0)})) == {OTHER: 2.0}


def test_of_executions_below_the_maximum_it_is_what_the_time_was_spent_in():
    past, hundred = [9000.0] * 10, [1.0] * 100
    alone = longest(sample(200, {KEY: executed(*past)}), sample(205, {KEY: executed(*past, 3000.0)}))
    assert alone == {KEY: pytest.approx(3000.0)}
    among = longest(sample(200, {KEY: executed(*past)}), sample(205, {KEY: executed(*past, 3000.0, *hundred)}))
    assert 2900.0 < among[KEY] < 3000.0
    quick = longest(sample(200, {KEY: executed(*past)}), sample(205, {KEY: executed(*past, *hundred)}))
    assert quick == {KEY: pytest.approx(1.0)}


def test_what_floats_lose_of_years_of_squares_makes_no_execution_longer():
    old = (10**9, 3.1e12, 0.0, 0, 0, 0, 0.0, 0, 0.0, 5e4, 3e7, None, None)
    new = (10**9 + 20, old[EXEC] + 4.0, *old[2:9], 5e4 * (1 + 1e-12), *old[10:])
    assert 0.0 <= longest(sample(200, {KEY: old}), sample(205, {KEY: new}))[KEY] <= 4.1


def test_what_began_anew_has_no_longer_execution_than_since_then():
    """Its first sight, an eviction and a reset of one entry and of all: what was longest before is not."""
    assert longest(sample(200, {}), sample(205, {KEY: executed(1200.0)})) == {KEY: 1200.0}
    evicted = sample(200, {KEY: executed(9000.0, since=110.0)}), sample(205, {KEY: executed(700.0, since=202.0)})
    assert longest(*evicted) == {KEY: 700.0}
    reset = sample(200, {KEY: executed(9000.0, 9000.0)}), sample(205, {KEY: executed(700.0)})
    assert longest(*reset) == {KEY: 700.0}
    whole = sample(200, {KEY: executed(9000.0)}), sample(205, {KEY: executed(700.0)}, Identity(202.0, 50.0))
    assert longest(*whole) == {KEY: 700.0}


def test_a_maximum_that_was_set_back_is_of_what_ran_since():
    """pg_stat_statements_reset with minmax_only, from 17 on: the counters go on."""
    past = (9000.0, 9000.0)
    before = sample(200, {KEY: executed(*past, since=110.0)})
    after = {KEY: executed(2000.0, 10.0, since=110.0, max_since=202.0, before=past)}
    assert longest(before, sample(205, after)) == {KEY: 2000.0}
    assert longest(before, sample(205, {KEY: executed(since=110.0, max_since=202.0, before=past)})) == {}


def test_a_maximum_that_merely_appears_again_is_none_that_rose():
    """Another server behind the same name, rights that came back, an update of the extension that begins to tell since when."""
    other = sample(205, {KEY: executed(9000.0)}, Identity(120.0, 60.0))
    assert longest(sample(200, {}), other) == {}
    assert longest(sample(200, {}, hidden=3), sample(205, {KEY: executed(9000.0)})) == {}
    updated = sample(205, {KEY: executed(9000.0, 1.0, since=110.0)})
    assert longest(sample(200, {KEY: executed(9000.0)}), updated) == {KEY: pytest.approx(1.0)}


def test_of_merged_entries_none_that_went_leaves_a_maximum_behind():
    before = sample(200, {KEY: executed(9000.0, 700.0)}, merged=frozenset({KEY}))
    assert longest(before, sample(205, {KEY: executed(700.0)})) == {}


def test_a_slice_gives_way_and_ends_with_the_same():
    before = sample(200, {(1, 1, i, True): row(1, 1.0) for i in range(10)})
    after = sample(205, {(1, 1, i, True): row(1 + i % 2, 1.0 + i) for i in range(12)})
    steps = sliced(before, after, 4)
    assert [next(steps), next(steps), next(steps)] == [None] * 3
    assert exhausted(steps) == delta(before, after)


def exhausted(steps):
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value
