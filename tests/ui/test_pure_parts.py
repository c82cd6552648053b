"""The parts of the screen that are functions: sparklines, arrangements, columns, meters, abilities, and moments as people write them."""

import time
from itertools import pairwise
from math import inf, isnan, nan

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import NOWHERE, START, _counters, _gauges, rows

from perfconsole.config import themes
from perfconsole.config.abilities import Abilities, abilities
from perfconsole.config.schema import PROCESS_COLUMNS
from perfconsole.core.series import HELD_S, Ring
from perfconsole.core.state import Series, State
from perfconsole.core.tables import View, select
from perfconsole.core.tick import Group, Health, Reading, SeriesDef, Stream, Tick
from perfconsole.ui import columns, meters
from perfconsole.ui.arrange import grouped, settle, tree
from perfconsole.ui.line import Line
from perfconsole.ui.look import ASCII, UNICODE, Look
from perfconsole.ui.screens.prompt import read_time
from perfconsole.ui.spark import Track, put_spark, scale_top
from perfconsole.ui.widgets.places import long_ago
from perfconsole.ui.widgets.system import fitting

# Sparklines -------------------------------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from([2.0, 2.0, 2.0, 2.1, 0.5, 7.0, 30.0]),  # a step of time; some are gaps
        st.floats(0, 100) | st.just(nan),
        st.booleans(),  # whether it is looked at
    ),
    max_size=120,
)


@pytest.mark.parametrize("counter", [False, True])
@given(steps=STEPS, cells=st.integers(1, 60), window_s=st.sampled_from([120.0, 300.0, 900.0]))
def test_a_track_kept_up_shows_what_a_fresh_one_would(counter, steps, cells, window_s):
    ring, total, now = Ring(1, 2.0), 0.0, START
    series = Series(SeriesDef("system.cpu.time" if counter else "system.load.1m"), ring, 0, counter)
    track = Track(cells, window_s)
    for step_s, value, looked_at in steps:
        now += step_s
        total = total + value if counter and not isnan(value) else value
        ring.append(now, [total if not isnan(value) or not counter else nan])
        total = 0.0 if isnan(total) else total
        if looked_at:
            assert repr(track.values(series, now)) == repr(Track(cells, window_s).values(series, now))


def test_a_track_without_time_or_room_is_empty():
    series = Series(SeriesDef("x"), Ring(1, 2.0), 0, False)
    assert Track(0, 900.0).values(series, START) == []
    assert all(isnan(value) for value in Track(5, 900.0).values(series, nan))
    assert all(isnan(value) for value in Track(5, 900.0).values(series, START))


@given(st.lists(st.floats(0, 1e12) | st.just(nan), max_size=20), st.sampled_from([1.0, 4.0, float(1 << 20)]))
def test_the_top_of_a_scale_is_round_and_over_everything(values, least):
    top = scale_top(values, least)
    highest = max((value for value in values if not isnan(value)), default=0.0)
    assert top >= highest
    assert top >= least
    assert top == least or top / 2.5 < highest * (1 + 1e-9)


@pytest.mark.parametrize(
    ("highest", "least", "top"), [(0.0, 1.0, 1.0), (1.0, 1.0, 1.0), (1.1, 1.0, 2.0), (4.2, 4.0, 8.0), (6.0, 1.0, 10.0), (11, 1.0, 20.0)]
)
def test_tops_go_by_one_two_five(highest, least, top):
    assert scale_top([highest, nan], least) == top


def test_a_gap_is_drawn_as_one_and_what_was_before_the_first_value_is_not():
    line = Line(Look(themes.load_theme("midnight", env=NOWHERE).spec, Abilities(ascii=False, colours=256)), 20)
    put_spark(line, line._look, [nan, nan, 0.0, 0.5, nan, 1.0, 0.95], 1.0, ((0.4, "warning"), (0.9, "critical")))
    strip = line.strip()
    assert strip.text.rstrip() == "  ▁▅·██"
    assert [text for text, _, _ in strip][-2] == "█", "the newest cell is a span of its own"


# Arrangements -----------------------------------------------------------------------------------------------------------------------

ROWS = rows(5)


@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=14, unique_by=lambda pair: pair[0]), st.randoms())
def test_a_tree_shows_every_process_once_and_children_below_their_parent(pairs, random):
    """Whatever parents say: orphans, loops and a process that is its own parent."""
    made = [msgspec.structs.replace(ROWS[i], pid=pid + 1, ppid=ppid) for i, (pid, ppid) in enumerate(pairs)]
    random.shuffle(made)
    items = tree(made, UNICODE)
    pids = [item.row.pid for item in items]
    assert len(pids) == len(set(pids))
    assert set(pids) <= {row.pid for row in made}
    for item in items:
        if item.prefix:
            assert pids.index(item.row.ppid) < pids.index(item.row.pid)
            assert item.prefix.endswith((UNICODE.branch, UNICODE.last_branch))


def test_a_tree_is_drawn_with_its_branches():
    made = [msgspec.structs.replace(ROWS[i], pid=pid, ppid=ppid) for i, (pid, ppid) in enumerate([(1, 0), (2, 1), (3, 2), (4, 1), (9, 7)])]
    assert [(item.row.pid, item.prefix) for item in tree(made, ASCII)] == [(1, ""), (2, "|-"), (3, "| `-"), (4, "`-"), (9, "")]


def test_a_tree_deeper_than_pythons_stack():
    made = [msgspec.structs.replace(ROWS[0], pid=pid, ppid=pid - 1) for pid in range(1, 3000)]
    assert [item.row.pid for item in tree(made, ASCII)] == list(range(1, 3000))


@pytest.mark.parametrize("by", ["name", "unit"])
def test_groups_add_up(by):
    items = grouped(ROWS, by)
    assert sum(item.members for item in items) == len(ROWS)
    assert len({item.row.name for item in items}) == len(items)
    for field in ("cpu", "memory_bytes", "threads"):
        assert sum(getattr(item.row, field) for item in items) == pytest.approx(sum(getattr(row, field) for row in ROWS))
    unknown = [msgspec.structs.replace(row, cpu=nan) for row in ROWS[:2]]
    assert isnan(grouped(unknown, "state")[0].row.cpu)


@given(st.permutations(range(8)), st.lists(st.integers(0, 100) | st.just(nan), min_size=8, max_size=8), st.integers(0, 8))
def test_settled_rows_are_the_same_rows_and_none_clearly_beats_the_one_above(order, values, known):
    made = [msgspec.structs.replace(ROWS[i], cpu=float(value)) for i, value in enumerate(values)]
    previous = [made[i].key for i in order[:known]]
    ordered = select(made, View("process"))
    out = settle(previous, ordered, "cpu")
    assert sorted(row.pid for row in out) == sorted(row.pid for row in made)
    for upper, lower in pairwise(out):
        if upper.key in previous and lower.key in previous:
            assert not lower.cpu > 1.25 * upper.cpu + 0.01


def test_without_an_order_on_the_screen_rows_are_in_their_true_one():
    ordered = select(ROWS, View("process"))
    assert settle([], ordered, "cpu") == ordered


# Columns ----------------------------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(sorted(columns.PROCESS)), min_size=1, max_size=16, unique=True), st.integers(1, 300))
def test_fitting_columns_are_some_of_the_wanted_ones_in_their_order(ids, width):
    fitting = [column.id for column in columns.fitting([columns.PROCESS[name] for name in ids], width)]
    assert fitting
    assert fitting == [name for name in ids if name in fitting]
    assert {"pid", "cpu", "command"} & set(ids) <= set(fitting)


@pytest.mark.parametrize("width", [60, 78, 100, 118, 158, 198])
def test_default_columns_leave_the_command_readable(width):
    fitting = columns.fitting([columns.PROCESS[name] for name in columns.DEFAULT], width)
    assert width - sum(column.width + 1 for column in fitting[:-1]) >= (36 if width > 70 else 20)
    assert fitting[-1].id == "command"


def test_columns_are_those_that_can_be_configured():
    assert tuple(columns.PROCESS) == PROCESS_COLUMNS


@pytest.mark.parametrize("column", columns.PROCESS.values(), ids=lambda column: column.id)
def test_every_column_has_words_for_what_is_unknown_and_fits_what_is_not(column):
    blank = msgspec.structs.replace(
        ROWS[0], cpu=nan, cpu_s=nan, memory_bytes=nan, unit="", user="", command="", name="", state="", read_bytes_s=nan, write_bytes_s=nan
    )
    assert len(column.text(blank)) <= max(column.width, 12)
    for row in ROWS:
        if column.right:
            assert len(column.text(row)) <= column.width


@pytest.mark.parametrize(
    ("command", "name", "shown"),
    [("/usr/bin/python3 -m x", "python3", "python3 -m x"), ("nginx: worker /a", "nginx", "nginx: worker /a"), ("", "kworker", "kworker"),
     ("/", "x", "/"), ("/a/b/", "x", "/a/b/"), ("./run /etc", "run", "./run /etc")],
)  # fmt: skip
def test_commands_lose_their_directory_and_nothing_else(command, name, shown):
    assert columns.command(msgspec.structs.replace(ROWS[0], command=command, name=name)) == shown


# Meters -----------------------------------------------------------------------------------------------------------------------------

EVERY = [SeriesDef(name, tuple(sorted(labels.items()))) for name, labels, _ in [*_gauges(0), *_counters(0)]]


@given(st.sets(st.sampled_from(range(len(EVERY)))), st.lists(st.floats(0, 1e9) | st.sampled_from([nan, 0.0, inf]), min_size=1, max_size=9))
def test_meters_come_of_any_part_of_what_there_is(chosen, values):
    definitions = tuple(EVERY[i] for i in sorted(chosen))
    state = State()
    tick = Tick(1, START, 1.0, key=True, stream=Stream("h", "s", "b", "0"))
    state.apply(msgspec.structs.replace(tick, groups=[Group(1, "system", "host", 2.0, definitions)] if definitions else []))
    for step in range(3):
        numbers = [values[(i + step) % len(values)] for i in range(len(definitions))]
        state.apply(Tick(2 + step, START + 2 * step, 1.0, readings=[Reading(1, START + 2 * step, numbers)] if definitions else []))
        for every in (False, True):
            for meter in meters.meters(state, every=every):
                assert meter.series.definition in definitions
                assert isinstance(meter.value + meter.detail, str)


def test_every_meter_is_there_when_everything_is_measured(make_world):
    world = make_world()
    labels = [meter.label for meter in meters.meters(world.engine.state, every=False)]
    assert labels[:5] == ["CPU", "load", "memory", "swap", "disk"]
    assert {"disk read", "net in", "cpu PSI", "io PSI", "mem PSI", "files", "heat"} <= set(labels)
    assert len(meters.meters(world.engine.state, every=True)) > len(labels) + 10


def told_of(values, *, steps=2, step_s=2.0):
    """The rows of a state of some series, by label; a list is one value a step."""
    definitions = tuple(SeriesDef(name, (("mountpoint", labels),) if labels else ()) for name, labels in values)
    state = State()
    tick = Tick(1, START, 1.0, key=True, stream=Stream("h", "s", "b", "0"))
    state.apply(msgspec.structs.replace(tick, groups=[Group(1, "system", "host", step_s, definitions)]))
    for step in range(steps):
        numbers = [value[step] if isinstance(value, list) else value for value in values.values()]
        state.apply(Tick(2 + step, START + step_s * step, 1.0, readings=[Reading(1, START + step_s * step, numbers)]))
    return {meter.label: meter for meter in meters.meters(state, every=False)}


def test_who_runs_and_who_waits_is_told_where_it_is_a_crowd():
    load = {("system.load.1m", ""): 1.0, ("system.load.5m", ""): 1.0, ("system.load.15m", ""): 1.0, ("system.cpu.logical.count", ""): 4.0}
    tasks = lambda runnable, blocked: load | {("system.tasks.runnable", ""): runnable, ("system.tasks.blocked", ""): blocked}  # noqa: E731
    assert told_of(load)["load"].detail == "5m 1.00  15m 1.00  4 CPUs"
    assert told_of(tasks(8.0, 0.0))["load"].detail == "5m 1.00  15m 1.00  4 CPUs"
    assert told_of(tasks(9.0, 0.0))["load"].detail == "9 run  0 blocked  5m 1.00  15m 1.00  4 CPUs"
    assert told_of(tasks(1.0, 2.0))["load"].detail.startswith("1 run  2 blocked  ")
    assert told_of(tasks(nan, nan))["load"].detail == "5m 1.00  15m 1.00  4 CPUs"


def test_the_filesystem_that_is_full_soonest_is_told_beside_the_fullest():
    disks = {("system.filesystem.utilization", "/"): 0.9, ("system.filesystem.utilization", "/var"): 0.5}
    assert "full in" not in told_of(disks)["disk"].detail
    filling = {("system.filesystem.time_to_full", "/"): nan, ("system.filesystem.time_to_full", "/var"): 2520.0}
    assert told_of(disks | filling)["disk"].detail.startswith("/var full in 42m  / ")


def test_a_full_queue_and_a_full_table_have_rows_when_they_matter():
    drops = {("system.tcp.listen.drops", ""): [7.0, 7.0, 7.0], ("system.tcp.time_wait", ""): 300.0}
    tracked = {("system.conntrack.utilization", ""): 0.49, ("system.conntrack.entries", ""): 100.0}
    assert told_of(drops | tracked, steps=3) == {}
    drops["system.tcp.listen.drops", ""] = [7.0, 9.0, 9.0]
    tracked["system.conntrack.utilization", ""] = 0.5
    rows = told_of(drops | tracked, steps=3)
    assert rows["refused"].detail == "a full accept queue  TIME_WAIT 300"
    assert rows["conntrack"].value == "50%"
    drops["system.tcp.listen.drops", ""] = [7.0, 9.0, *[9.0] * 8]
    assert told_of(drops, steps=10, step_s=20.0) == {}  # three minutes ago is history


# What a terminal can do -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "ascii_only", "colours"),
    [
        ({"TERM": "xterm-256color", "LANG": "en_US.UTF-8"}, False, 256),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "en_US.UTF-8"}, False, 1 << 24),
        ({"TERM": "xterm-256color", "COLORTERM": "24bit", "NO_COLOR": "1", "LANG": "en_US.UTF-8"}, False, 0),
        ({"TERM": "xterm-256color", "NO_COLOR": "", "LANG": "en_US.UTF-8"}, False, 256),
        ({"TERM": "linux", "LANG": "en_US.UTF-8"}, True, 16),
        ({"TERM": "vt100", "LANG": "en_US.UTF-8"}, True, 16),
        ({"TERM": "xterm", "LANG": "en_US.UTF-8"}, False, 16),
        ({"TERM": "screen", "LANG": "C.UTF-8"}, False, 16),
        ({"TERM": "tmux-256color", "LANG": "de_DE.utf8"}, False, 256),
        ({"TERM": "xterm-kitty", "LANG": "en_US.UTF-8"}, False, 256),
        ({"TERM": "xterm-256color", "LANG": "C"}, True, 256),
        ({"TERM": "xterm-256color", "LANG": "C", "LC_CTYPE": "C.UTF-8"}, True, 256),
        ({"TERM": "xterm-256color", "LC_CTYPE": "C.UTF-8"}, False, 256),
        ({"TERM": "xterm-256color", "LANG": "en_US.UTF-8", "LC_ALL": "POSIX"}, True, 256),
        ({"TERM": "xterm-256color", "LANG": "en_US.ISO-8859-1"}, True, 256),
        ({"TERM": "xterm-256color"}, False, 256),
        ({}, False, 256),
    ],
)
def test_what_a_terminal_can_show(env, ascii_only, colours):
    assert abilities(env) == Abilities(ascii_only, colours)
    assert abilities(env, ascii_only=True).ascii
    assert not abilities(env, ascii_only=False).ascii


def test_ascii_glyphs_are_ascii_and_as_wide():
    for unicode, plain in zip(UNICODE, ASCII, strict=True):
        if isinstance(plain, dict):
            assert plain.keys() == unicode.keys()
            assert all(text.isascii() and len(text) == 1 for text in plain.values())
        else:
            assert plain.isascii()
            assert len(plain) == len(unicode)


# Moments as people write them -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "clock"),
    [
        ("03:00", "2026-03-04 03:00:00"), ("3:00:30", "2026-03-04 03:00:30"), (" 23:50 ", "2026-03-03 23:50:00"),
        ("15:11", "2026-03-04 15:11:00"), ("15:13", "2026-03-03 15:13:00"), ("2025-12-31 23:59", "2025-12-31 23:59:00"),
        ("2025-12-31T23:59:58", "2025-12-31 23:59:58"), ("-5m", "2026-03-04 03:07:00"), ("+30s", "2026-03-04 03:12:30"),
        ("- 1h30m", "2026-03-04 01:42:00"),
    ],
)  # fmt: skip
def test_a_moment_is_the_nearest_that_is_meant(typed, clock):
    assert time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(read_time(typed, START))) == clock


@pytest.mark.parametrize(
    "typed", ["", "noon", "25:00", "03:60", "2026-02-30 10:00", "-5", "+", "3", "03:00 04:00", "-5m ago", "2026-03-04"]
)
def test_what_is_no_moment_is_said_to_be_none(typed):
    with pytest.raises(ValueError, match=r"not a (time|duration)"):
        read_time(typed, START)


def test_a_ring_holds_what_the_widest_window_shows():
    assert HELD_S >= 1800.0


def test_sessions_of_a_recording_say_how_long_ago_they_were_seen_unless_the_server_says_why():
    state = State()
    state.apply(Tick(1, 144.0, 1.0, key=True))
    assert long_ago(state, "orders", 143.0) == []
    (said,) = long_ago(state, "orders", 100.0)
    assert said.startswith("seen 44")
    state.apply(Tick(2, 145.0, 2.0, health=[Health("postgres", "orders", "error", 145.0, 100.0, 0.0, "down", "start it")]))
    assert long_ago(state, "orders", 100.0) == []


@pytest.mark.parametrize(
    ("room", "shown"),
    [(60, "16 run  2 blocked  5m 12.52  15m 8.42"), (30, "16 run  2 blocked  5m 12.52"), (20, "16 run  2 blocked"), (4, "16 run")],
)
def test_of_the_words_beside_a_value_the_last_ones_go_whole(room, shown):
    assert fitting("16 run  2 blocked  5m 12.52  15m 8.42", room) == shown
