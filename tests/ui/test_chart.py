"""Charts: heights, gaps, thresholds, labels, ASCII, and that only the newest column changes."""

import os
import re
import time
from math import nan

import pytest

from perfconsole.config import themes
from perfconsole.core import units
from perfconsole.core.series import Ring
from perfconsole.core.state import Series
from perfconsole.core.tick import SeriesDef
from perfconsole.ui.line import changed
from perfconsole.ui.look import Abilities, Look
from perfconsole.ui.spark import Track, begun, bridged
from perfconsole.ui.widgets.chart import AXIS, Plot, chart_lines, columns


@pytest.fixture
def look():
    return Look(themes.load_theme("midnight", env=os.environ).spec, Abilities(ascii=False, colours=1 << 24))


def drawn(look, values, *, width=16, height=5, top=1.0, **more):
    lines = chart_lines(look, width, height, Plot(values, top, units.percent, 120.0, **more))
    return [line.strip().text for line in lines]


def area(rows):
    return [row[AXIS:] for row in rows[:-1]]


def test_a_ramp_fills_dots_from_below(look):
    rows = area(drawn(look, [(i + 1) / 16 for i in range(16)], width=AXIS + 8))
    assert rows == ["      ⣠⣾", "    ⣠⣾⣿⣿", "  ⣠⣾⣿⣿⣿⣿", "⣠⣾⣿⣿⣿⣿⣿⣿"]


def test_nothing_is_zero_and_zero_is_not_nothing(look):
    rows = area(drawn(look, [0.0] * 4 + [nan] * 4 + [0.0] * 4 + [1.0] * 8))
    assert rows[-1] == "⣀⣀··⣀⣀⣿⣿⣿⣿"
    assert rows[0] == "      ⣿⣿⣿⣿"


def test_what_is_beyond_the_scale_stays_inside(look):
    assert area(drawn(look, [9.0] * 20)) == ["⣿" * 10] * 4
    assert area(drawn(look, [-9.0] * 20))[-1] == "⣀" * 10


def test_too_few_values_leave_room_at_the_left(look):
    assert area(drawn(look, [1.0, 1.0]))[0] == " " * 9 + "⣿"


def test_ascii_and_only_ascii(look):
    look = Look(look.spec, Abilities(ascii=True, colours=0))
    rows = drawn(look, [0.25] * 4 + [nan] * 4 + [1.0] * 12, limits=((0.6, "warning"),))
    assert all(row.isascii() for row in rows)
    assert [row[AXIS:] for row in rows[:-1]] == ["    ######", "- - ######", "    ######", "##  ######"]


@pytest.mark.parametrize(("limit", "row", "dash"), [(0.99, 0, "⠉"), (0.5, 1, "⣀"), (0.3, 2, "⣀"), (0.0, 3, "⣀"), (1.0, 0, "⠉")])
def test_a_threshold_is_a_dashed_line_at_its_height(look, limit, row, dash):
    rows = area(drawn(look, [nan] * 20, limits=((limit, "critical"),)))
    assert rows[row] == (dash + " ") * 5
    assert sum(dash in other for other in rows) == 1


def test_a_threshold_beyond_the_scale_is_not_drawn(look):
    assert area(drawn(look, [nan] * 20, limits=((2.0, "critical"),))) == [" " * 10] * 3 + ["·" * 10]


def test_what_rises_above_a_threshold_has_its_colour_and_a_row_is_one_run(look):
    lines = chart_lines(look, 60, 9, Plot([1.0] * 108, 1.0, units.percent, 120.0, limits=((0.5, "warning"), (0.75, "critical"))))
    roles = [
        {look.style(name) for name in ("critical_bar", "warning_bar", "chart")} & {s for _, s, _ in line.strip()} for line in lines[:-1]
    ]
    assert roles == [{look.style("critical_bar")}] * 2 + [{look.style("warning_bar")}] * 2 + [{look.style("chart")}] * 4
    assert all(len(list(line.strip())) <= 4 for line in lines[:-1])  # scale, axis, all but the newest cell, the newest


def test_the_scale_and_the_times_are_told(look):
    rows = drawn(look, [0.5] * 200, width=AXIS + 80, height=9)
    assert rows[0].startswith(" 100%│")
    assert rows[3].startswith("  50%│")
    assert rows[7].startswith("    0│")
    assert re.findall(r"\S+", rows[8]) == ["-2m", "-1m30s", "-1m", "-30s", "now"]
    assert rows[8].endswith("now")
    assert rows[8][AXIS:].startswith("-2m")


@pytest.mark.parametrize(
    ("window_s", "labels"), [(900, ["-15m", "-10m", "-5m"]), (1800, ["-30m", "-20m", "-10m"]), (300, ["-5m"]), (77, ["-1m17s"])]
)
def test_times_are_round(look, window_s, labels):
    plot = Plot([nan], 1.0, units.percent, float(window_s), edge="03:12:00")
    width = AXIS + (20 if len(labels) == 1 else 60)
    assert re.findall(r"\S+", chart_lines(look, width, 5, plot)[-1].strip().text) == [*labels, "03:12:00"]


@pytest.mark.parametrize("size", [(0, 0), (AXIS + 1, 5), (20, 1), (3, 3)])
def test_without_room_nothing_is_drawn(look, size):
    assert chart_lines(look, *size, Plot([1.0], 1.0, units.percent, 120.0)) == []
    assert columns(size[0]) >= 0


@pytest.mark.parametrize("size", [(AXIS + 2, 2), (60, 16), (200, 200)])
def test_every_line_is_as_wide_as_asked(look, size):
    lines = chart_lines(look, *size, Plot([0.7] * 500, 1.0, units.percent, 900.0, limits=((0.3, "warning"),)))
    assert {line.strip().cell_length for line in lines} == {size[0]}
    assert len(lines) <= size[1]


def test_buckets_between_samples_are_filled_as_far_as_that_is_no_gap():
    # Samples every 2 s in buckets of 0.5 s: up to two intervals and a half (5 s) are no gap.
    assert bridged([1.0, nan, nan, nan, 2.0], 0.5, 2.0) == [1.0, 2.0, 2.0, 2.0, 2.0]
    assert bridged([nan, 1.0, nan], 0.5, 2.0)[1] == 1.0
    assert str(bridged([nan, 1.0, nan], 0.5, 2.0)) == "[nan, 1.0, 1.0]"  # the next sample is still to come
    assert str(bridged([1.0, *[nan] * 11], 0.5, 2.0)[1:]) == str([nan] * 11)  # it should have come long ago
    late = [1.0, *[nan] * 10, 2.0]
    assert str(bridged(late, 0.5, 2.0)) == str(late)
    assert bridged([1.0, *[nan] * 9, 2.0], 0.5, 2.0)[1:10] == [2.0] * 9
    assert str(bridged([1.0, nan, 2.0], 9.0, 2.0)) == "[1.0, nan, 2.0]"  # a bucket of nine seconds without a sample is a gap


def test_a_bucket_that_has_only_just_begun_is_no_gap():
    assert begun(95.0, 100.5, 50.0, 2.0) is False  # the next one is overdue
    assert begun(98.9, 100.5, 50.0, 2.0)
    assert begun(100.1, 100.5, 50.0, 2.0) is False  # it has one of its own, which may be unknown
    assert bridged([1.0, 2.0, nan], 50.0, 2.0, begun=True) == [1.0, 2.0, 2.0]
    assert str(bridged([1.0, nan, nan], 50.0, 2.0, begun=True)) == "[1.0, nan, nan]"


def test_only_the_newest_column_changes(look):
    ring = Ring(1, 2.0)
    series = Series(SeriesDef("x"), ring, 0, counter=False)
    track = Track(columns(100), 900.0)
    width_s = track.width_s
    now = 1_700_000_000.0 // (2 * width_s) * (2 * width_s)
    for step in range(400):
        ring.append(now - 800 + 2 * step, [0.2 + (step * 37 % 11) / 20])

    def picture(at):
        values = track.values(series, at)
        return [line.strip() for line in chart_lines(look, 100, 15, Plot(values, 1.0, units.percent, 900.0))]

    before = picture(now + 0.5)
    ring.append(now + 2.0, [0.95])
    after = picture(now + 2.0)
    spans = [span for one, other in zip(before, after, strict=True) for span in changed(one, other)]
    assert spans
    assert set(spans) == {(99, 100)}


def test_it_takes_well_under_a_millisecond_of_the_cpu(look):
    """Which is promised of a quiet machine; ten times as much is too slow on any."""
    plot = Plot([0.4 + (i * 37 % 11) / 20 for i in range(188)], 1.0, units.percent, 900.0, limits=((0.7, "warning"), (0.9, "critical")))

    def once():
        began = time.thread_time()
        for line in chart_lines(look, 100, 15, plot):
            line.strip()
        return time.thread_time() - began

    assert min(once() for _ in range(100)) < 0.005  # 0.3 ms on a quiet machine
