"""Windows that go on in another process: what was packed and taken there is as if there had been one process all the time."""

from array import array
from itertools import pairwise
from math import isnan, nan
from random import Random

import pytest

from perfconsole.core.alert_stats import STATS

WINDOWED = [name for name in STATS if name != "last"]


def samples(random, count, share):
    """Values at moments that a float of four bytes tells exactly apart, with gaps now and then; sums of values are exact."""
    at, out = 0.0, []
    for _ in range(count):
        at += random.choice((1.0, 2.0, 2.0, 2.25, 40.0))
        out.append((at, float(random.random() < 0.8) if share else random.choice((0.25, 0.5, 0.75, random.randrange(1024) / 1024))))
    return out


def told(stat, value):
    return (None if isnan(value) else round(value, 12), stat.n, stat.events)


@pytest.mark.parametrize("name", WINDOWED)
@pytest.mark.parametrize("over_s", [5.0, 60.0, 400.0])
@pytest.mark.parametrize("early", [0, 1, 7])
def test_another_one_goes_on_as_the_same_would_have(name, over_s, early):
    """`early`: samples that the other one takes before it is told what was left."""
    random = Random(f"{name} {over_s} {early}")
    for _ in range(20):
        history = samples(random, 200, name == "ratio")
        cut, moved_s = random.randint(1, 150), random.choice((0.0, -1000.0, 4096.5))
        same, first, other = STATS[name](over_s), STATS[name](over_s), STATS[name](over_s)
        for at, value in history[:cut]:
            first.push(at, value)
            same.push(at + moved_s, value)
        left, known = history[cut:], nan
        for at, value in left[:early]:
            expected = same.push(at + moved_s, value)
            other.push(at + moved_s, value)
        known = other.refill(first.packed(), moved_s)
        if early:
            assert told(other, known) == told(same, expected)
        for at, value in left[early:]:
            assert told(other, other.push(at + moved_s, value)) == told(same, same.push(at + moved_s, value))


@pytest.mark.parametrize("name", WINDOWED)
def test_what_was_taken_twice_counts_once(name):
    first, other = STATS[name](60.0), STATS[name](60.0)
    for at in range(0, 100, 5):
        first.push(float(at), float(at % 2))
    for _ in range(2):
        other.refill(first.packed(), 0.0)
    assert (other.n, other.events) == (first.n, first.events)
    assert other.packed() == first.packed()


@pytest.mark.parametrize("name", list(STATS))
def test_where_nothing_was_left_or_it_is_damaged_it_goes_on_with_what_it_has(name):
    for packed in (b"", b"x", bytes(11), bytes(21) if name != "ratio" else bytes(11)):
        stat = STATS[name](60.0)
        stat.push(10.0, 1.0)
        stat.refill(packed, 0.0)
        stat.push(20.0, 1.0)
        assert stat.n == (1 if name == "last" else 2)
    assert STATS[name](60.0).packed() == b""


def test_it_is_small():
    """A share a whole day long at one check every ten seconds, and the processor of an hour."""
    share, hour = STATS["ratio"](86_400.0), STATS["avg"](3600.0)
    for second in range(0, 90_000, 10):
        share.push(float(second), 1.0)
        hour.push(float(second), 0.5)
    assert len(share.packed()) == 8640 * 5 + 4
    assert len(hour.packed()) == 360 * 12 + 4


def test_times_are_exact_enough():
    stat = STATS["avg"](7200.0)
    moments = [second + 0.123456 for second in range(0, 7200, 2)]
    for at in moments:
        stat.push(at, 1.0)
    other = STATS["avg"](7200.0)
    other.refill(stat.packed(), 0.0)
    kept = list(other._times)
    assert max(abs(one - other) for one, other in zip(kept, moments, strict=True)) < 0.001
    assert all(one < after for one, after in pairwise(kept))


@pytest.mark.parametrize("name", WINDOWED)
def test_of_one_whose_moments_or_values_are_none_nothing_is_taken(name):
    stat = STATS[name](600.0)
    for moment in range(0, 400, 10):
        stat.push(float(moment), 1.0)
    packed = stat.packed()
    unknown = array("d", [nan]).tobytes()
    damaged = [unknown + packed[8:], packed[:8] + array("f", [-60.0]).tobytes() + packed[12:], packed[:8] + unknown[4:] + packed[12:]]
    for broken in damaged if name == "ratio" else [*damaged, packed[:-8] + unknown]:
        other = STATS[name](600.0)
        other.push(500.0, 1.0)
        other.refill(broken, 0.0)
        assert other.n == 1


@pytest.mark.parametrize("name", WINDOWED)
def test_what_was_packed_at_two_moments_counts_once(name):
    """The window that an alert stands with, and the same as it was gathered minutes before."""
    for step_s in (2.0137, 9.9871, 10.0003):
        stat, packed = STATS[name](3600.0), []
        for number in range(300):
            stat.push(12345.678 + number * step_s, 1.0)
            if number >= 250:
                packed.append(stat.packed())
        for earlier in packed[:-1]:
            other = STATS[name](3600.0)
            other.refill(packed[-1], 0.0)
            other.refill(earlier, 0.0)
            assert other.n == 300
