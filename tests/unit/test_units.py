"""What people write, and what they read."""

from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfconsole.core import units

POSITIVE = st.floats(0, 1e18) | st.integers(0, 10**7).map(float) | st.floats(0, 2000)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("10s", 10), ("5m", 300), ("24h", 86400), ("30d", 2592000), ("1h30m", 5400), ("1.5h", 5400), ("2w", 1209600)],
)
def test_durations_that_are_accepted(text, seconds):
    assert units.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "5 m", "5x", "1h 30m", "5s!", "inf", "nan", "9" * 400 + "s"])
def test_durations_that_are_not(text):
    with pytest.raises(ValueError, match="not a duration"):
        units.parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("512MB", 512 * 10**6), ("64MiB", 64 * 2**20), ("0B", 0), ("1.5 KiB", 1536), (" 2TB ", 2 * 10**12)]
)
def test_sizes_that_are_accepted(text, size):
    assert units.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "5", "MB", "-5MB", "5mb", "5 M", "5MB 3KB", "9" * 400 + "B"])
def test_sizes_that_are_not(text):
    with pytest.raises(ValueError, match="not a size"):
        units.parse_size(text)


@pytest.mark.parametrize(("text", "ratio"), [("90%", 0.9), ("0.9", 0.9), (0.9, 0.9), (1, 1.0), ("12.5%", 0.125)])
def test_ratios_that_are_accepted(text, ratio):
    assert units.parse_ratio(text) == pytest.approx(ratio)


@pytest.mark.parametrize("text", ["", "%", "x", "90 percent", "nan", "inf", nan, inf])
def test_ratios_that_are_not(text):
    with pytest.raises(ValueError, match="not a ratio"):
        units.parse_ratio(text)


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (units.percent, 0.344, "34%"), (units.percent, 1.0, "100%"), (units.percent, nan, "-"),
        (units.size, 0, "0B"), (units.size, 812, "812B"), (units.size, 999, "999B"), (units.size, 9318, "9.1K"),
        (units.size, 310 * 2**20, "310M"), (units.size, 1.2 * 2**30, "1.2G"), (units.size, nan, "-"), (units.size, -2048, "-2.0K"),
        (units.rate, 4.1 * 2**20, "4.1M/s"), (units.rate, nan, "-"),
        (units.count, 0, "0"), (units.count, 0.34, "0.3"), (units.count, 7, "7"), (units.count, 9999, "9999"), (units.count, 12345, "12k"),
        (units.count, 310_000, "310k"), (units.count, 1.2e6, "1.2M"), (units.count, nan, "-"),
        (units.duration, 0.4, "0.4s"), (units.duration, 48, "48s"), (units.duration, 59.6, "1m00s"), (units.duration, 372, "6m12s"),
        (units.duration, 7500, "2h05m"), (units.duration, 4 * 86400 + 3 * 3600, "4d3h"), (units.duration, 41 * 86400, "41d"),
        (units.duration, nan, "-"), (units.duration, inf, "-"), (units.duration, -5, "-5.0s"),
        (units.latency, 0.00034, "340us"), (units.latency, 0.0082, "8.2ms"), (units.latency, 0.31, "310ms"), (units.latency, 2.1, "2.1s"),
        (units.latency, nan, "-"),
    ],
)  # fmt: skip
def test_what_is_written(write, value, text):
    assert write(value) == text


@given(POSITIVE)
def test_widths_are_kept(value):
    assert len(units.size(min(value, 900 * 2.0**60))) <= 5
    assert len(units.count(min(value, 9e14))) <= 5
    assert len(units.duration(min(value, 8.6e8))) <= 6
    assert len(units.latency(min(value, 8.6e8))) <= 6


def numeric(text):
    """What a text of one of the writers says, in base units."""
    if text[-1] == "B" or text[-1].isdigit():
        return float(text.rstrip("B"))
    if text[-1] in "KMGTPE":
        return float(text[:-1]) * 1024.0 ** ("KMGTPE".index(text[-1]) + 1)
    return float(text[:-1]) * 1000.0 ** ("kMGT".index(text[-1]) + 1)


@given(POSITIVE)
def test_what_is_read_is_near_the_value(value):
    assert numeric(units.size(value)) == pytest.approx(value, rel=0.06, abs=0.5)
    if not (0 < value < 0.05):
        decimal = units.count(value)
        read = float(decimal[:-1]) * 1000.0 ** ("kMGT".index(decimal[-1]) + 1) if decimal[-1] in "kMGT" else float(decimal)
        assert read == pytest.approx(value, rel=0.06, abs=0.051)


@given(st.floats(0, 8.6e8))
def test_durations_round_trip(value):
    written = units.duration(value)
    assert units.parse_duration(written) == pytest.approx(value, rel=0.1, abs=0.051)
    assert units.parse_duration(units.duration(units.parse_duration(written))) == units.parse_duration(written)
    if value < 3600:
        assert units.parse_duration(written) == pytest.approx(value, abs=0.55)


@given(st.lists(st.floats(0, 8.6e8), min_size=2, max_size=20))
def test_more_never_reads_as_less(values):
    for lower, higher in pairwise(sorted(values)):
        assert numeric(units.size(lower)) <= numeric(units.size(higher))
        assert units.parse_duration(units.duration(lower)) <= units.parse_duration(units.duration(higher))
        assert units.parse_ratio(units.percent(lower)) <= units.parse_ratio(units.percent(higher))
