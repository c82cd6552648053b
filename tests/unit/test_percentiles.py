"""Percentiles against an oracle that counts: the smallest value that at least p of a hundred do not exceed."""

from math import ceil, isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfconsole.core.percentiles import LEAST, bucketed, of_buckets, percentiles

seconds = st.floats(min_value=0, max_value=1e4)
values = st.lists(seconds | st.just(nan), max_size=250)


def oracle(known, percent):
    if len(known) < LEAST[percent]:
        return nan
    return min(value for value in known if sum(other <= value for other in known) * 100 >= percent * len(known))


def same(found, expected):
    return found == expected or (isnan(found) and isnan(expected))


@given(values)
def test_nearest_rank(given_values):
    known = [value for value in given_values if not isnan(value)]
    found = percentiles(given_values)
    assert found.n == len(known)
    assert all(same(getattr(found, f"p{percent}"), oracle(known, percent)) for percent in LEAST)


@pytest.mark.parametrize(("percent", "least"), LEAST.items())
def test_of_too_few_nothing_is_said(percent, least):
    assert isnan(getattr(percentiles([1.0] * (least - 1)), f"p{percent}"))
    assert getattr(percentiles([1.0] * least), f"p{percent}") == 1.0


def test_the_95th_of_twenty_is_the_nineteenth():
    assert percentiles(range(1, 21)).p95 == 19  # 0.95 * 20 is 19.000000000000004 somewhere
    assert percentiles(range(1, 101)).p99 == 99


def test_a_timeout_counts_as_at_least_what_it_lasted():
    """Five that were given up after 5 s among a hundred: the 95th is the slowest that was answered, the 99th is "at least 5 s"."""
    found = percentiles([0.1] * 95 + [5.0] * 5)
    assert (found.p95, found.p99) == (0.1, 5.0)


@given(st.lists(st.lists(st.floats(min_value=1e-6, max_value=1e3), max_size=60), max_size=6))
def test_pooled_buckets_are_within_one_percent(parts):
    pooled = sum((bucketed(part) for part in parts), bucketed([]))
    exact, found = percentiles([value for part in parts for value in part]), of_buckets(pooled)
    assert found.n == exact.n
    for percent in LEAST:
        one, other = getattr(found, f"p{percent}"), getattr(exact, f"p{percent}")
        assert same(one, other) or one == pytest.approx(other, rel=0.0101)


def test_buckets_take_what_is_no_time_at_all():
    assert of_buckets(bucketed([0.0, nan, 0.0, 0.0])).p50 == pytest.approx(0.0, abs=1e-8)


def test_the_rank_is_the_ceiling():
    for n in range(100, 400):
        assert percentiles(range(1, n + 1)).p99 == ceil(99 * n / 100)
