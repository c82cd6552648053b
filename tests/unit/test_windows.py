"""Maintenance windows, also in the hours that a zone repeats (2026-10-25, 02:00 to 03:00 in Berlin) and skips (2026-03-29)."""

from datetime import UTC, datetime, timedelta
from math import inf
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfconsole.core.checks import DAYS, Window
from perfconsole.core.windows import until

BERLIN = "Europe/Berlin"
ALL_DAYS = DAYS


def in_window(window, at):
    return until((window,), at)[0]


def ends(window, at):
    """When the window in which a moment lies ends."""
    inside, certain = until((window,), at)
    assert inside
    return certain


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def local(text, zone=BERLIN):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def test_once():
    window = Window("2026-11-24T22:00", "2026-11-24T23:30", zone=BERLIN)
    begin, end = utc("2026-11-24T21:00"), utc("2026-11-24T22:30")
    assert [in_window(window, at) for at in (begin - 1, begin, end - 1, end)] == [False, True, True, False]
    assert ends(window, begin) == end
    assert until((window,), begin - 1) == (False, begin)
    assert until((window,), begin) == (True, end)
    assert until((window,), end) == (False, inf)


def test_an_offset_that_is_given_is_taken():
    window = Window("2026-11-24T22:00+00:00", "2026-11-24T23:00+00:00", zone=BERLIN)
    assert in_window(window, utc("2026-11-24T22:30"))


def test_weekly_is_in_local_time_summer_and_winter():
    window = Window("03:00", "04:00", ("tue",), BERLIN)
    for text in ("2026-11-24T03:30", "2026-07-07T03:30"):  # both are Tuesdays
        assert in_window(window, local(text))
        assert not in_window(window, local(text) + 86_400)
    assert not in_window(window, utc("2026-11-24T03:30"))


def test_over_midnight_belongs_to_the_day_on_which_it_begins():
    window = Window("23:00", "01:00", ("sat",), BERLIN)
    sunday = local("2026-11-22T00:30")
    assert in_window(window, sunday)
    assert ends(window, sunday) == local("2026-11-22T01:00")
    assert not in_window(window, local("2026-11-22T23:30"))
    assert not in_window(window, local("2026-11-21T00:30"))


def test_the_same_time_twice_is_a_whole_day():
    window = Window("06:00", "06:00", ("mon",))
    assert in_window(window, utc("2026-11-24T05:59"))
    assert not in_window(window, utc("2026-11-24T06:00"))


def test_the_hour_that_comes_twice_is_covered_both_times():
    window = Window("02:15", "02:45", ("sun",), BERLIN)
    first, second = utc("2026-10-25T00:15"), utc("2026-10-25T01:45")
    assert [in_window(window, at) for at in (first - 1, first, first + 3_600, second - 1, second)] == [False, True, True, True, False]
    assert ends(window, first) == second


def test_the_hour_that_is_skipped_still_has_its_window():
    window = Window("02:15", "02:45", ("sun",), BERLIN)
    inside = utc("2026-03-29T01:00")  # 03:00 summer time: what cron and systemd make of 02:15
    assert in_window(window, inside)
    assert ends(window, inside) == utc("2026-03-29T01:45")


def test_a_day_of_23_hours_and_one_of_25():
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25)):
        window = Window(f"{day}T00:00", f"{datetime.fromisoformat(day).date() + timedelta(days=1)}T00:00", zone=BERLIN)
        begin = local(f"{day}T00:00")
        assert ends(window, begin) - begin == hours * 3_600


def test_another_continent():
    window = Window("22:00", "23:00", ("wed",), "Pacific/Auckland")
    assert in_window(window, utc("2026-11-25T09:30"))  # Wednesday 22:30 there, in summer


times = st.integers(0, 24 * 60 - 1).map(lambda minutes: f"{minutes // 60:02}:{minutes % 60:02}")
windows = st.builds(
    Window, times, times, st.lists(st.sampled_from(ALL_DAYS), min_size=1, unique=True).map(tuple), st.sampled_from([BERLIN, "UTC"])
)


@given(windows, st.integers(int(utc("2026-01-01")), int(utc("2027-01-01"))))
def test_until_is_the_next_change(window, at):
    """What holds now holds to the end of what was said, and not always after; all seen by the wall clock alone."""
    inside, certain = until((window,), float(at))
    assert inside == in_window(window, at)
    assert at < certain <= at + 8 * 86_400 + 3_600
    assert in_window(window, (at + certain) / 2) == in_window(window, certain - 1) == inside
    local_time = datetime.fromtimestamp(at, ZoneInfo(window.zone))
    clock, over = f"{local_time:%H:%M}", window.end <= window.begin
    today, before = DAYS[local_time.weekday()] in window.days, DAYS[local_time.weekday() - 1] in window.days
    expected = (today and clock >= window.begin and (over or clock < window.end)) or (before and over and clock < window.end)
    if not expected:
        changing = abs(local_time.utcoffset() - (local_time + timedelta(hours=3)).utcoffset()) or abs(
            local_time.utcoffset() - (local_time - timedelta(hours=3)).utcoffset()
        )
        assert not inside or changing
    else:
        assert inside


@pytest.mark.parametrize("zone", ["UTC", BERLIN])
def test_several_windows(zone):
    first, second = Window("01:00", "02:00", ("mon",), zone), Window("01:30", "03:00", ("mon",), zone)
    at = local("2026-11-23T01:45", zone)
    assert until((first, second), at) == (True, local("2026-11-23T02:00", zone))
    assert until((first, second), local("2026-11-23T02:00", zone)) == (True, local("2026-11-23T03:00", zone))
