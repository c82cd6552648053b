"""What changed, in words and in order; ticks on time axes, and labels that step aside for them."""

import os
from math import inf, nan

import pytest
from changes_world import ALL, DEPLOY, DOWN, FAILED, FILE, FOUND, LOGIN, OOM, PACKAGE, RELOAD, STARTED, TIMER, YESTERDAY, event
from msgspec import structs
from rich.color import ColorSystem
from world import START

from perfconsole.config import themes
from perfconsole.config.abilities import Abilities
from perfconsole.core import units
from perfconsole.core.tick import Event
from perfconsole.ui import changes
from perfconsole.ui.changes import Timeline
from perfconsole.ui.emit import Pen
from perfconsole.ui.line import Line, changed, part
from perfconsole.ui.look import Look
from perfconsole.ui.ticks import MACHINE, Label, of_endpoint, of_labels, of_server, put_axis, spread, tick, ticks
from perfconsole.ui.widgets.chart import AXIS, Plot, chart_lines


@pytest.fixture
def look():
    return Look(themes.load_theme("midnight", env=os.environ).spec, Abilities(ascii=False, colours=1 << 24))


@pytest.fixture
def plain(look):
    return Look(look.spec, Abilities(ascii=True, colours=0))


# In words ---------------------------------------------------------------------------------------------------------------------------

DAY = 86_400.0


@pytest.mark.parametrize(
    ("lo", "hi", "said"),
    [
        (-600, -600, "03:02"),
        (-603, -600, "03:02"),  # a few seconds are no interval
        (-601, -599, "03:02"),
        (-720, -660, "03:00-01"),
        (-1200, -1000, "02:52-55"),
        (-3600, -600, "02:12-03:02"),
        (-DAY, -DAY, "03 Mar 03:12"),
        (-DAY - 300, -DAY, "03 Mar 03:07-12"),
        (-DAY, -600, "03 Mar 03:12-03:02"),
        (-2 * DAY, -DAY, "02 Mar 03:12-03 Mar 03:12"),
    ],
)
def test_when_it_was_is_told_as_well_as_it_is_known(lo, hi, said):
    assert changes.when(Event(START + lo, START + hi, "file", "host", "", ""), START) == said


def test_moments_are_exact_and_say_how_wide_an_interval_is():
    assert changes.moments(DEPLOY, START) == "03:02:00"
    assert changes.moments(FILE, START) == "between 02:52:00 and 02:55:20 (3m20s)"
    assert changes.moments(YESTERDAY, START) == "between Tue 03 Mar 02:11:20 and Tue 03 Mar 02:12:00 (40s)"
    assert changes.moments(DEPLOY, nan) == "03:02:00"
    assert changes.said(DEPLOY, START) == "03:02:00 mark deploy 1.4.2"
    assert changes.said(YESTERDAY, START) == "Tue 03 Mar 02:12:00 boot started"


def test_a_kind_nobody_knows_is_told_by_its_own_name():
    assert changes.title(structs.replace(DEPLOY, kind="rain")) == "rain"
    assert changes.title(structs.replace(DEPLOY, kind="certificate")) == "cert"


def test_markdown_means_what_it_says():
    assert changes.markdown(OOM) == (
        "- 2026-03-04 03:06:00 UTC: critical **oom** java (1041) of docker-9f31c2.scope was killed: memory limit 512M"
        " (docker-9f31c2.scope, kernel log)"
    )
    assert changes.markdown(FILE).startswith("- between 2026-03-04 02:52:00 UTC and 2026-03-04 02:55:20 UTC: **file** ")
    hostile = event(1, "login", "*root*|<b>", scope="", source="")
    assert changes.markdown(hostile) == "- 2026-03-04 03:11:59 UTC: **login** \\*root\\*\\|\\<b>"


@pytest.mark.parametrize(
    ("match", "found"),
    [
        ("", ALL), ("kind:login", [LOGIN]), ("KIND:Mark", [DEPLOY]), ("severity:critical", [OOM, DOWN]), ("api.service", [FAILED, STARTED]),
        ("api.service failed", [FAILED]), ("source:kim", [FOUND]), ("scope:postgres", [RELOAD]), ("kind:unit severity:warning", [FAILED]),
        ("text:deploy", [DEPLOY, LOGIN]), ("nothing:such", []), ("cert", []),
    ],
)  # fmt: skip
def test_a_filter_finds_words_anywhere_or_in_one_field(match, found):
    assert [one for one in ALL if changes.matches(one, match)] == list(found)


# What is shown -----------------------------------------------------------------------------------------------------------------------


def test_recent_is_the_last_two_hours_newest_first_and_each_once():
    told = changes.recent([*ALL, DEPLOY], START)
    assert told[:3] == [TIMER, LOGIN, FOUND]
    assert [one.time_hi for one in told] == sorted((one.time_hi for one in told), reverse=True)
    assert YESTERDAY not in told
    assert len(told) == len(ALL) - 2
    assert changes.recent(ALL, nan) == []


def test_where_there_is_little_room_the_graver_then_the_more_telling_is_shown():
    told = changes.recent(ALL, START)
    assert changes.telling(told, 20) == told
    assert changes.telling(told, 1) == [OOM]  # of two critical ones the kind decides
    assert changes.telling(told, 3) == [FOUND, DOWN, OOM]  # in the order of time, whatever decided
    assert changes.telling(told, 0) == []


def test_one_line_is_for_what_somebody_said_last_however_much_goes_wrong():
    bad = [event(i, "unit", f"{i} failed", "critical") for i in range(20)]
    assert changes.telling([*bad, DEPLOY], 4) == [*bad[:3], DEPLOY]
    assert changes.telling([*bad, DEPLOY], 1) == bad[:1]
    assert changes.telling(bad, 4) == bad[:4]
    said = [event(100 + i, "mark", f"deploy {i}") for i in range(5)]
    assert changes.telling([*bad, *said], 9) == [*bad[:6], *said[:3]], "of many lines a third"
    assert changes.telling([*said, bad[0]], 4) == [said[0], said[1], said[2], bad[0]]


def test_alerts_come_last_for_they_have_a_list_of_their_own():
    fires = [event(i, "alert", f"{i} fired", "critical") for i in range(5)]
    assert changes.telling([*fires, LOGIN, STARTED], 3) == [fires[0], LOGIN, STARTED]
    assert changes.telling(fires, 2) == fires[:2]


def test_of_equals_the_newest_is_shown():
    same = [event(i, "timer", f"t{i}") for i in range(9)]
    assert changes.telling(same, 3) == same[:3]


@pytest.mark.parametrize(
    ("one", "stops"),
    [(DEPLOY, True), (FOUND, True), (FAILED, True), (OOM, True), (STARTED, False), (LOGIN, False), (event(1, "alert", "x resolved"), True),
     (event(1, "unit", "x", "info"), False)],
)  # fmt: skip
def test_steps_stop_at_alerts_marks_notes_and_warnings(one, stops):
    assert changes.notable(one) is stops


def test_signs_differ_without_colours(plain, look):
    assert [changes.sign(plain, one) for one in (DEPLOY, FAILED, OOM, STARTED)] == [
        ("*", "accent"), ("!", "warning_bar"), ("X", "critical_bar"), (" ", "dim"),
    ]  # fmt: skip
    assert [tick(plain, one)[0] for one in (DEPLOY, OOM)] == ["*", "^"]
    assert [tick(plain, one, above=True)[0] for one in (DEPLOY, OOM)] == ["*", "v"]
    assert tick(look, STARTED) == ("▴", "foreground")
    assert tick(look, OOM, above=True) == ("▾", "critical_bar")


# Steps -------------------------------------------------------------------------------------------------------------------------------


def test_steps_lead_to_the_neighbour_in_time():
    events = [PACKAGE, FILE, DEPLOY, FAILED]
    assert changes.stepped(events, START, None, -1) == 3
    assert changes.stepped(events, START, None, 1) is None
    assert changes.stepped(events, START - 1000, None, 1) == 2
    assert changes.stepped(events, START - 1000, None, -1) == 1
    assert changes.stepped(events, START - 9999, None, -1) is None
    assert changes.stepped([], START, None, 1) is None


def test_what_came_about_at_one_instant_is_stepped_through_one_by_one():
    twins = [event(5, "alert", name) for name in "abc"]
    assert changes.stepped(twins, START - 4, None, -1) == 2
    assert changes.stepped(twins, START - 4, twins[2], -1) == 1
    assert changes.stepped(twins, START - 4, twins[1], -1) == 0
    assert changes.stepped(twins, START - 4, twins[0], -1) is None
    assert changes.stepped(twins, START - 4, twins[0], 1) == 1
    assert changes.stepped(twins, START - 4, DEPLOY, -1) == 2  # where one stood is not known any more


def test_a_timeline_learns_each_once_in_order_and_forgets_the_oldest(monkeypatch):
    line = Timeline()
    assert line.learn([FAILED, DEPLOY])
    assert not line.learn([DEPLOY])
    assert line.learn([PACKAGE, DEPLOY])
    assert [one.event for one in line.changes] == [PACKAGE, DEPLOY, FAILED]
    assert len({one.key for one in line.changes}) == 3
    monkeypatch.setattr(changes, "MOST", 2)
    assert line.learn([FOUND])
    assert [one.event for one in line.changes] == [FAILED, FOUND]
    assert line.learn([PACKAGE])  # it was let go
    assert [one.event for one in line.changes] == [FAILED, FOUND]


# Ticks -------------------------------------------------------------------------------------------------------------------------------


def placed(events, about=MACHINE, cells=10, width_s=10.0, edge=START, parts=1):
    return {at: one.text for at, one in ticks(events, about, edge, cells, width_s, parts)}


def test_a_tick_stands_in_the_column_of_its_time_and_moves_with_it():
    one = event(25, "unit", "x")
    assert START % 10 == 0
    assert placed([one]) == {6: "x"}  # the last column is the one that has just begun
    assert placed([one], edge=START + 9.9) == {6: "x"}
    assert placed([one], edge=START + 10) == {5: "x"}
    assert placed([one], edge=START + 60) == {0: "x"}
    assert placed([one], edge=START + 70) == {}
    assert placed([one], edge=START - 26) == {}  # it has yet to come
    assert placed([one], parts=2, cells=5) == {3: "x"}
    assert placed([event(0, "unit", "x")]) == {9: "x"}
    assert placed([one], edge=nan) == placed([one], cells=0) == {}


def test_the_columns_are_those_of_samples():
    from perfconsole.core.series import Ring
    from perfconsole.core.state import Series
    from perfconsole.core.tick import SeriesDef
    from perfconsole.ui.spark import Track

    ring = Ring(1, 2.0)
    for at in range(100):
        ring.append(START - 198 + 2 * at, [float(at == 73)])  # 52 s ago
    for now in (START, START + 3, START + 61):
        values = Track(20, 137.0).values(Series(SeriesDef("x"), ring, 0, counter=False), now)
        ((column, _),) = ticks([event(52, "unit", "x")], MACHINE, now, 20, 137.0 / 20)
        assert values[column] == 1.0


def test_an_interval_stands_where_it_ends():
    assert placed([event(25, "unit", "x", within=60.0)]) == {6: "x"}


def test_one_column_shows_one_a_mark_before_the_graver_before_the_more_telling_before_the_newer():
    quiet, grave = event(22, "unit", "quiet"), event(28, "unit", "grave", "critical")
    assert placed([quiet, grave]) == placed([grave, quiet]) == {6: "grave"}
    assert placed([quiet, event(29, "oom", "oom")]) == {6: "oom"}
    assert placed([quiet, event(29, "unit", "older")]) == {6: "quiet"}
    assert placed([event(29, "unit", "older"), quiet]) == {6: "quiet"}
    assert placed([grave, event(29, "mark", "deploy")]) == {6: "deploy"}


SHOWN = {
    "machine": (MACHINE, [DEPLOY, FOUND, FAILED, STARTED, PACKAGE, FILE, OOM]),
    "endpoint": (of_endpoint("checkout"), [DEPLOY, FOUND, FAILED, PACKAGE, FILE, OOM, DOWN]),
    "other endpoint": (of_endpoint("cart"), [DEPLOY, FOUND, FAILED, PACKAGE, FILE, OOM]),
    "server": (of_server("orders"), [DEPLOY, FOUND, FAILED, PACKAGE, FILE, OOM, RELOAD]),
    "unit": (of_labels({"unit": "logrotate.timer"}), [DEPLOY, FOUND, FAILED, STARTED, PACKAGE, FILE, OOM, TIMER]),
}


@pytest.mark.parametrize("about", SHOWN)
def test_an_axis_shows_what_its_chart_is_about_and_what_may_have_to_do_with_it(about):
    about, shown = SHOWN[about]
    told = ALL[:-2]
    assert [one for one in told if about.concerns(one)] == sorted(shown, key=told.index)


@pytest.mark.parametrize(
    ("scope", "of_machine", "of_checkout", "of_orders"),
    [("host", True, False, False), ("/var", True, False, False), ("api.service", True, False, False), ("checkout", False, True, False),
     ("postgres:orders", False, False, True)],
)  # fmt: skip
def test_alerts_stand_on_the_axes_of_what_they_are_about(scope, of_machine, of_checkout, of_orders):
    one = event(1, "alert", "x fired", "critical", scope)
    abouts = (MACHINE, of_endpoint("checkout"), of_server("orders"))
    assert [about.concerns(one) for about in abouts] == [of_machine, of_checkout, of_orders]
    assert of_labels({"endpoint": "checkout", "service": "shop"}).concerns(one) is of_checkout
    assert of_labels({"server": "orders", "database": "shop"}).concerns(one) is of_orders
    assert of_labels({"service": "checkout"}).concerns(event(1, "alert", "x", "critical", "checkout"))
    assert of_labels({}) == MACHINE


def test_labels_step_aside_for_ticks_as_little_as_it_takes():
    label = Label(10, "-10m")
    assert spread([label], {30}, 0, 40) == [label]
    assert [found.at for found in spread([label], {10}, 0, 40)] == [12]  # a cell stays free between them
    assert [found.at for found in spread([label], {13}, 0, 40)] == [8]
    assert [found.at for found in spread([Label(0, "-15m")], {1}, 0, 40)] == [3]
    assert [found.at for found in spread([Label(37, "now")], {38}, 0, 40)] == [34]


def test_a_label_without_room_keeps_its_place_and_two_never_touch():
    label = Label(10, "-10m")
    assert spread([label], set(range(40)), 0, 40) == [label]
    near = [Label(20, "now"), Label(15, "-5m")]
    assert [found.at for found in spread(near, {15}, 0, 23)] == [20, 11]


def test_ticks_never_make_a_label_unreadable(look):
    marks = [(at, OOM) for at in range(40)]
    labels = spread([Label(37, "now"), Label(6, "-15m")], {at for at, _ in marks}, 0, 40)
    drawn = put_axis(Line(look, 40), look, marks, labels).strip().text
    assert drawn == "▴" * 6 + "-15m" + "▴" * 27 + "now"


def drawn(look, told, width=46, edge="now", window_s=900.0):
    cells = width - AXIS
    plot = Plot([0.5] * 2 * cells, 1.0, units.percent, window_s, edge, ticks=ticks(told, MACHINE, START, cells, window_s / cells / 2, 2))
    return chart_lines(look, width, 5, plot)


def test_a_chart_has_its_ticks_below_and_is_else_as_it_was(look):
    bare, ticked = drawn(look, []), drawn(look, [DEPLOY, OOM])
    assert [line.strip().text for line in bare[:-1]] == [line.strip().text for line in ticked[:-1]]
    assert bare[-1].strip().text == "      -15m         -10m         -5m        now"
    times = ticked[-1].strip()
    assert times.text.split() == ["-15m", "◆", "-10m", "▴", "-5m", "now"]
    cells = {at - AXIS: (text, style) for at, (text, style) in cells_of(times).items() if text in "◆▴"}
    assert cells == {column_of(600): ("◆", look.style("accent")), column_of(360): ("▴", look.style("critical_bar"))}


def column_of(ago, cells=40, window_s=900.0):
    width_s = window_s / cells / 2
    return (int((START - ago) // width_s) - (int(START // width_s) - 2 * cells + 1)) // 2


def cells_of(strip):
    found, x = {}, 0
    for text, style, _ in strip:
        for char in text:
            found[x] = (char, style)
            x += 1
    return found


def test_what_has_just_been_marked_is_seen_beside_now(look):
    times = drawn(look, [event(0, "mark", "deploy")])[-1].strip().text
    assert times.endswith("now ◆")
    times = drawn(look, [event(40, "mark", "deploy")], edge="03:12:00")[-1].strip().text
    assert "03:12:00" in times
    assert "◆" in times


def test_a_chart_in_ascii_has_ascii_ticks(plain):
    times = drawn(plain, [DEPLOY, OOM])[-1].strip().text
    assert times.isascii()
    assert "*" in times
    assert "^" in times


def test_a_column_that_moves_on_moves_its_tick(look):
    width_s = 900.0 / 80
    start = START // width_s * width_s + 0.1

    def axis(now):
        plot = Plot([0.5] * 80, 1.0, units.percent, 900.0, ticks=ticks([DEPLOY], MACHINE, now, 40, width_s, 2))
        return chart_lines(look, 46, 5, plot)[-1].strip()

    assert changed(axis(start), axis(start + width_s * 0.9)) == []
    moved = axis(start + 2 * width_s)
    assert moved.text.index("◆") == axis(start).text.index("◆") - 1


def test_a_mark_on_its_way_across_a_chart_costs_twenty_bytes_a_second_at_most(look):
    """Labels stay where they are but for the moment it passes by: an axis painted anew with every column would cost ten times that."""
    cells, window_s, step_s = 154, 900.0, 2.0

    def axis(now):
        plot = Plot([0.5] * 2 * cells, 1.0, units.percent, window_s, ticks=ticks([DEPLOY], MACHINE, now, cells, window_s / cells / 2, 2))
        return chart_lines(look, cells + AXIS, 5, plot)[-1].strip()

    at = DEPLOY.time_hi + 0.1
    before, written = axis(at), 0
    for step in range(1, int(window_s / step_s)):
        after = axis(at + step * step_s)
        written += sum(inked(after, *span) for span in changed(before, after))
        before = after
    assert 100 < written < 20 * window_s


def inked(strip, start, end):
    """Bytes that put a part of a line on the screen."""
    pen = Pen(ColorSystem.TRUECOLOR)
    return len("\x1b[48;160H") + sum(len(pen.ink(style)) + len(text.encode()) for text, style in part(strip, start, end))


def test_windows_are_named():
    assert [changes.window_text(window_s) for window_s in changes.WINDOWS] == ["2h", "6h", "24h", "all"]
    assert changes.WINDOWS[-1] == inf
