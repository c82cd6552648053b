"""Rings, gaps, rates and buckets."""

from array import array
from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfconsole.core.series import GAP, HELD_S, Ring, buckets

STEPS = st.lists(st.sampled_from((0.0, 0.1, 1.9, 2.0, 2.3, 4.9, 5.1, 60.0, 700.0, 1800.0, 1801.0)), max_size=40)
COUNTS = st.floats(0, 1e15) | st.just(nan) | st.integers(0, 10).map(float)


def times_of(steps, start=1e9):
    out = []
    for step in steps:
        start += step
        out.append(start)
    return out


def filled(times, values, interval_s=2.0):
    ring = Ring(1, interval_s)
    for at, value in zip(times, values, strict=True):
        ring.append(at, [value])
    return ring


@given(STEPS)
def test_a_ring_holds_exactly_half_an_hour(steps):
    times = times_of(steps)
    ring = filled(times, times)
    expected = [at for at in sorted(set(times)) if at >= times[-1] - HELD_S]
    assert list(ring.points(0)[0]) == list(ring.points(0)[1]) == expected
    assert len(ring) == len(expected)


def test_trimming_moves_memory_now_and_then_and_is_exact_all_the_same():
    ring = Ring(1, 1.0)
    for i in range(5000):
        ring.append(float(i), [float(i)])
        assert ring.points(0)[0][0] == max(0.0, i - HELD_S)
        assert len(ring._times) <= HELD_S + 66


@given(STEPS, st.data())
def test_rates_are_never_negative_and_a_gap_never_yields_one(steps, data):
    times = sorted(set(times_of(steps)))
    values = data.draw(st.lists(COUNTS, min_size=len(times), max_size=len(times)))
    ring = filled(times, values)
    held, rates = ring.rates(0)
    known = ring.points(0)[1]
    for i, rate in enumerate(rates):
        if i == 0 or held[i] - held[i - 1] > (GAP + 0.5) * 2.0 or not known[i] >= known[i - 1]:
            assert isnan(rate)
        else:
            assert rate == (known[i] - known[i - 1]) / (held[i] - held[i - 1]) >= 0
    assert repr(ring.rate(0)) == (repr(rates[-1]) if len(rates) > 1 else "nan")


@given(STEPS, st.data())
def test_dump_and_load(steps, data):
    times = sorted(set(times_of(steps)))
    ring = filled(times, data.draw(st.lists(COUNTS, min_size=len(times), max_size=len(times))))
    copy = Ring(1, 2.0)
    copy.load(*ring.dump())
    assert copy.dump() == ring.dump()
    assert len(array("d", ring.dump(points=2)[0])) == min(2, len(ring))
    assert ring.dump(points=0) == (b"", [b""])


def test_a_second_reading_of_the_same_time_is_dropped():
    ring = filled([10.0, 10.0, 12.0], [1.0, 2.0, 4.0])
    assert [list(part) for part in ring.points(0)] == [[10.0, 12.0], [1.0, 4.0]]


def test_when_the_clock_was_set_back_what_lies_ahead_is_let_go():
    ring = filled([10.0, 12.0, 14.0, 11.0, 13.0], [1.0, 2.0, 3.0, 4.0, 5.0])
    assert [list(part) for part in ring.points(0)] == [[10.0, 11.0, 13.0], [1.0, 4.0, 5.0]]
    ring.extend(filled([4.0, 6.0], [7.0, 8.0]))
    assert [list(part) for part in ring.points(0)] == [[4.0, 6.0], [7.0, 8.0]]


def test_points_since():
    ring = filled([10.0, 12.0, 14.0], [1.0, 2.0, 4.0])
    assert list(ring.points(0, since=12.0)[1]) == [2.0, 4.0]
    assert list(ring.rates(0, since=12.0)[1]) == [0.5, 1.0]
    assert list(ring.points(0, since=15.0)[1]) == []


def test_rearranging_carries_columns_over_and_knows_nothing_of_new_ones():
    ring = Ring(2, 2.0)
    ring.append(10.0, [1.0, 2.0])
    moved = ring.rearranged([1, None, 0], 5.0)
    assert (moved.latest(0), moved.latest(2), moved.width, moved.interval_s) == (2.0, 1.0, 3, 5.0)
    assert isnan(moved.latest(1))


def test_extending_drops_what_is_already_there():
    ring = filled([10.0, 12.0], [1.0, 2.0])
    ring.extend(filled([12.0, 14.0], [9.0, 3.0]))
    assert list(ring.points(0)[1]) == [1.0, 2.0, 3.0]


def test_wrong_widths_are_refused():
    with pytest.raises(ValueError, match="2 values for 1 series"):
        Ring(1, 2.0).append(1.0, [1.0, 2.0])
    with pytest.raises(ValueError, match="backlog of 2 columns for 1 series"):
        Ring(1, 2.0).load(b"", [b"", b""])
    with pytest.raises(ValueError, match="unequal length"):
        Ring(1, 2.0).load(array("d", [1.0]).tobytes(), [b""])


def test_an_empty_ring_knows_nothing():
    ring = Ring(1, 2.0)
    assert isnan(ring.latest(0))
    assert isnan(ring.rate(0))
    assert isnan(ring.last)
    assert isnan(filled([1.0], [1.0]).rate(0))


@given(
    st.lists(st.tuples(st.floats(1.7e9, 1.7e9 + 500), st.floats(0, 1) | st.just(nan)), max_size=60),
    st.sampled_from((0.5, 1.0, 2.0, 5.0, 7.0, 1800 / 77, 60.0)),
    st.integers(-3, 20),
    st.integers(1, 30),
)
def test_buckets_are_aligned_and_hold_the_highest(samples, width_s, ahead, count):
    samples.sort(key=lambda sample: sample[0])
    times = [at for at, _ in samples]
    first = int(1.7e9 // width_s) + ahead
    out = buckets(times, [value for _, value in samples], first, count, width_s)
    for k in range(count):
        inside = [value for at, value in samples if int(at // width_s) == first + k and not isnan(value)]
        assert repr(out[k]) == repr(max(inside, default=nan))
    moved = buckets(times, [value for _, value in samples], first + 1, count, width_s)
    assert repr(moved[:-1]) == repr(out[1:])
