"""What an endpoint's screen is made of, without a screen: checks out of series, buckets, bars, windows, Markdown."""

from math import inf, isnan, nan

import pytest
from http_world import CHECKOUT, FAILURE, LAST, SCRIPTS, TARGET, row
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from rich.cells import cell_len
from world import START

from perfconsole.config import themes
from perfconsole.config.abilities import Abilities
from perfconsole.core.checks import PHASES
from perfconsole.core.endpoints import EndpointRow, EndpointTable, ServiceRow
from perfconsole.core.state import State
from perfconsole.core.tick import Group, Reading, SeriesDef, Tick
from perfconsole.ui import endpoints
from perfconsole.ui.arrange import Item
from perfconsole.ui.endpoint import Checked, Endpoint, columns, last_phases, least_cut, usual_phases, windows, within
from perfconsole.ui.endpoint_rows import BRIEF, EVERY, by_service, counts
from perfconsole.ui.look import Look
from perfconsole.ui.markdown import fenced, plain, table_of
from perfconsole.ui.subject import ENDED, LIVE, UNSEEN
from perfconsole.ui.widgets.chart import Plot, chart_lines
from perfconsole.ui.widgets.failure import chopped, failure_text, ours, worded
from perfconsole.ui.widgets.latency import top_of
from perfconsole.ui.widgets.phases import LETTERS, stacked

LOOK = Look(themes.load_theme("midnight", env={}).spec, Abilities(ascii=False, colours=1 << 24))
ASCII = Look(themes.load_theme("mono", env={}).spec, Abilities(ascii=True, colours=0))
ROW = row(next(script for script in SCRIPTS if script.name == CHECKOUT))
LABELS = (("endpoint", ROW.name), ("service", ROW.service))
NAMES = ("up", "duration", "status")
SHIPPED = ((0.5, "warning"), (1.0, "critical"))


def held(*checks, phases=()):
    """A state that holds checks: (at, up, latency, status) and perhaps one value a phase."""
    series = [SeriesDef(f"httpcheck.{name}", LABELS) for name in NAMES]
    series += [SeriesDef("httpcheck.phase.duration", (LABELS[0], ("phase", phase), LABELS[1])) for phase in PHASES if phases]
    state = State()
    readings = [Reading(1, at, [*values, *(phases[i] if phases else ())]) for i, (at, *values) in enumerate(checks)]
    state.apply(Tick(1, checks[-1][0], 0.0, key=True, groups=[Group(1, "http", ROW.name, 10.0, tuple(series))], readings=readings))
    return state


def table(*rows, total=None):
    return EndpointTable(TARGET, START, len(rows) if total is None else total, list(rows))


def told(*tables):
    state = State()
    state.apply(Tick(1, START, 0.0, key=True, tables=list(tables)))
    return state


# Following --------------------------------------------------------------------------------------------------------------------------


def test_one_that_is_missing_is_gone_only_where_all_are_known():
    subject, other = Endpoint(ROW), structs.replace(ROW, name="other")
    subject.follow(State())
    assert subject.status == LIVE  # nothing was told yet
    subject.follow(told(table(other, total=2)))
    assert subject.status == UNSEEN
    subject.follow(told(table(other)))
    assert (subject.status, subject.ended_at) == (ENDED, START)
    subject.follow(told(table(other, structs.replace(ROW, state="up"))))
    assert (subject.status, subject.row.state) == (LIVE, "up")
    assert isnan(subject.ended_at)


def test_a_failed_check_with_a_latency_and_no_status_was_given_up():
    state = held((START, 1.0, 0.1, 200.0), (START + 10, 0.0, 5.0, nan), (START + 20, 0.0, 0.3, 503.0), (START + 30, 0.0, nan, nan))
    checks = Endpoint(structs.replace(ROW, at_least=False)).checks(state)
    assert [check.at_least for check in checks] == [False, True, False, False]
    assert [check.at for check in Endpoint(ROW).checks(state, START + 15)] == [START + 20, START + 30]


def test_what_is_no_http_is_given_up_after_the_time_that_is_known():
    state = held((START, 0.0, 2.0, nan), (START + 10, 0.0, 0.2, nan))
    subject = Endpoint(structs.replace(ROW, kind="dns", at_least=False))
    assert [check.at_least for check in subject.checks(state)] == [False, False]
    subject.learn((None, structs.replace(LAST, total_s=1.0), structs.replace(LAST, total_s=2.0), structs.replace(FAILURE, total_s=9.0)))
    assert [check.at_least for check in subject.checks(state)] == [True, False]


def test_without_series_there_are_no_checks_and_no_phases():
    subject, state = Endpoint(ROW), State()
    assert subject.checks(state) == []
    assert isnan(subject.held(state)[0])
    assert all(isnan(seconds) for seconds in last_phases(subject, state).values())
    assert usual_phases(subject, state, 0.0)[1] == 0


# Over time --------------------------------------------------------------------------------------------------------------------------


def test_buckets_keep_the_highest_and_a_quick_failure_is_a_gap():
    checks = [
        Checked(100.0, 0.1, 1.0, False), Checked(101.0, 0.4, 1.0, False), Checked(110.0, nan, 0.0, False), Checked(120.0, 5.0, 0.0, True),
        Checked(130.0, 0.2, nan, False),
    ]  # fmt: skip
    found = columns(checks, 139.0, 8, 5.0, 10.0)
    assert [None if isnan(value) else value for value in found.values] == [0.4, None, None, 5.0, 5.0, None, None, None]
    assert found.failed == {2, 4}  # where they happened, not where a later one stands for the time before it
    assert found.rising == {3, 4}


def test_no_check_for_long_is_a_gap():
    found = columns([Checked(100.0, 0.1, 1.0, False), Checked(160.0, 0.1, 1.0, False)], 164.0, 13, 5.0, 10.0)
    assert [isnan(value) for value in found.values] == [False, *[True] * 11, False]


@given(
    st.lists(st.tuples(st.floats(0, 600), st.sampled_from([0.0, 1.0, nan]), st.sampled_from([0.1, 5.0, nan])), max_size=40),
    st.integers(1, 120),
)
def test_buckets_hold_nothing_that_was_not_measured(made, count):
    checks = [Checked(at, latency, up, up == 0 and latency == 5.0) for at, up, latency in sorted(made, key=lambda one: one[0])]
    found = columns(checks, 600.0, count, 600.0 / count, 10.0)
    assert len(found.values) == count
    assert {value for value in found.values if not isnan(value)} <= {0.1, 5.0}
    assert all(found.values[at] == 5.0 for at in found.rising)
    assert bool(found.failed) <= any(check.up == 0 for check in checks)


@pytest.mark.parametrize(
    ("held_s", "names"),
    [(5, ["<1m"]), (70, ["1m"]), (200, ["1m", "3m"]), (295, ["1m", "5m"]), (720, ["1m", "5m", "12m"]), (1795, ["1m", "5m", "15m", "30m"])],
)
def test_windows_are_those_that_are_held(held_s, names):
    assert [name for name, _ in windows(held_s, 10.0)] == names


def test_what_is_checked_once_an_hour_is_not_held_for_minutes_already():
    assert [name for name, _ in windows(30.0, 3600.0)] == ["<1m"]


def test_a_window_begins_at_its_first_check():
    checks = [Checked(float(at), 0.1, 1.0, at == 30) for at in range(0, 60, 10)]
    assert [check.at for check in within(checks, 25.0)] == [30.0, 40.0, 50.0]
    assert least_cut(checks) == 0.1
    assert isnan(least_cut(within(checks, 35.0)))


@pytest.mark.parametrize(
    ("values", "top"),
    [
        ([0.088, nan, 0.2], 0.6),  # the warning can be drawn, the critical one would flatten
        ([0.004], 0.005),  # neither can
        ([0.3, 5.0], 5.0),
        ([], 0.05),
    ],
)
def test_the_scale_reaches_over_what_was_measured_and_a_threshold_that_is_near(values, top):
    assert top_of(values, SHIPPED) == pytest.approx(top)


@pytest.mark.parametrize(("look", "arrow"), [(LOOK, "▲"), (ASCII, "^")])
def test_an_arrow_tops_what_is_at_least_so_high(look, arrow):
    plot = Plot([nan, nan, 1.0, 1.0, 0.2, 0.2], 1.0, str, 120.0, rising=frozenset({2, 3}))
    rows = [line.strip().text for line in chart_lines(look, 6 + 3, 4, plot)]
    assert rows[0].strip().endswith(f" {arrow}") or rows[0].rstrip().endswith(arrow)
    assert [row.count(arrow) for row in rows] == [1, 0, 0, 0]
    assert all(cell_len(row) == 9 for row in rows)
    low = Plot([0.2, 0.2, 1.0], 1.0, str, 120.0, rising=frozenset({0}))  # fewer values than columns: they stand at the right
    assert [line.strip().text.count(arrow) for line in chart_lines(look, 6 + 3, 4, low)] == [0, 0, 1, 0]


# Phases -----------------------------------------------------------------------------------------------------------------------------


def test_every_phase_that_took_time_is_in_the_bar_and_begins_with_its_letter():
    parts = stacked(LOOK, {"dns": 1e-6, "connect": 0.1, "tls": nan, "send": 0.0, "wait": 0.9, "transfer": 1e-6}, 1.0, 40)
    assert "".join(text[0] for text, _, _ in parts) == LETTERS["dns"] + LETTERS["connect"] + LETTERS["wait"] + LETTERS["transfer"]
    assert sum(len(text) for text, _, _ in parts) == 40
    assert len(parts[2][0]) > 30
    assert "".join(text for text, _, _ in stacked(ASCII, {"dns": 0.5, "wait": 0.5}, 1.0, 8)) == "D===W==="
    assert stacked(LOOK, dict.fromkeys(PHASES, nan), 1.0, 40) == []


@given(st.lists(st.sampled_from([nan, 0.0, 1e-5, 0.01, 0.4, 5.0]), min_size=6, max_size=6), st.integers(6, 80))
def test_a_bar_is_never_longer_than_its_room(seconds, cells):
    phases = dict(zip(PHASES, seconds, strict=True))
    longest = sum(value for value in seconds if not isnan(value))
    assert sum(len(text) for text, _, _ in stacked(LOOK, phases, longest, cells)) <= cells


def test_the_usual_phases_are_of_good_checks():
    checks = [(START + 10 * i, 0.0 if i == 2 else 1.0, 0.1, 200.0) for i in range(5)]
    phases = [[nan, 0.01 * (i + 1), nan, 0.001, 9.0 if i == 2 else 0.1, 0.002] for i in range(5)]
    usual, n = usual_phases(Endpoint(ROW), held(*checks, phases=phases), 0.0)
    assert n == 4
    assert (usual["connect"], usual["wait"]) == (0.02, 0.1)
    assert isnan(usual["tls"])
    assert last_phases(Endpoint(ROW), held(*checks, phases=phases))["connect"] == 0.05


# Words ------------------------------------------------------------------------------------------------------------------------------


def test_foreign_text_is_chopped_and_nothing_of_it_lost():
    text = "a" * 30 + "  在庫" * 9
    assert "".join(chopped(text, 20)) == text
    assert all(cell_len(part) <= 20 for part in chopped(text, 20))
    assert chopped("a\n\n\x1b[2J", 20) == ["a", "", "␛[2J"]
    assert worded("words that are broken between words", 16) == ["words that are", "broken between", "words"]
    assert all(cell_len(part) <= 16 for part in worded("在庫" * 20, 16))


def test_delays_of_our_own_are_told_where_they_matter():
    assert ours(LAST) == ""
    late = structs.replace(LAST, late_s=1.2, slot_wait_s=0.3, doubt_s=0.05)
    assert ours(late) == "started 1.2s late, waited 300ms for its turn, up to 50ms of it may be the console's"


def test_markdown_is_not_the_servers_to_write():
    assert plain("**x** <b> [y](z) a|b") == r"\*\*x\*\* \<b> \[y\](z) a\|b"
    assert fenced("a ``` b").startswith("````\n")
    assert table_of(["a"], [["x|y"]]) == "| a |\n| --- |\n| x\\|y |"


def test_a_failure_is_copied_whole():
    text = failure_text(ROW.url, FAILURE)
    for words in (
        "**checkout** failed 2026-03-04 03:10:00 UTC: status: 502 Bad Gateway, expected 200 to 399",
        "- to 192.0.2.7:443  HTTP/1.1  166B",
        "- took 312ms",
        "- hop: 301 in 12ms, http://shop.example/checkout",
        r"- [ ] status 200 to 399, found 502",
        r"- [x] header content-type \~ html",
        "| 2.0ms | 11ms | 24ms | 300us | 274ms | 1.0ms |",
        "```\nserver: nginx\ncontent-type: text/html\nset-cookie: ***\n",
        "[red]nginx[/red]</body></html>\n```",
    ):
        assert words in text, words
    assert "took >=5.0s" in failure_text(ROW.url, LAST).replace("\\", "")


def test_what_was_not_measured_is_copied_as_no_failure():
    text = failure_text(ROW.url, structs.replace(LAST, cause="unmeasured", error="TOKEN is not set", at_least=False))
    assert text.startswith("**checkout** was not measured 2026-03-04 03:12:00 UTC: TOKEN is not set\n\n- https")
    assert "took" not in text


def test_an_endless_threshold_is_no_scale():
    assert top_of([0.1], ((inf, "warning"),)) == pytest.approx(0.1)


# Rows of a table --------------------------------------------------------------------------------------------------------------------


def endpoint(name, state="up", **fields):
    return EndpointRow(name, "http", "shop", f"https://shop.example/{name}", state, at=START, **fields)


def test_a_service_is_as_bad_as_the_worst_of_its_endpoints_is_now():
    services = [ServiceRow("shop", 3, 1)]
    old = endpoint("a", "down")

    def worst(*rows, now=START):
        return by_service([Item(one) for one in rows], services, (), now)[0].row.worst

    assert worst(old, endpoint("b"), endpoint("c", "failing")) == "down"
    assert worst(endpoint("b"), endpoint("c", "maintenance")) == "up"
    assert worst(old, endpoint("b"), now=START + 60) == "stale"
    assert worst(endpoint("b"), endpoint("c", "of another version")) == "up"


def test_how_many_are_in_which_state_is_told_as_far_as_it_is_known():
    rows = [endpoint("a", "down"), endpoint("b", "suppressed"), endpoint("c"), endpoint("d", "of another version")]
    services = (ServiceRow("shop", 100, 40),)
    assert counts(EndpointTable(TARGET, START, 4, rows, services), START, 20) == [("down", 1), ("up", 1), ("suppressed", 1)]
    most_urgent = [endpoint(f"down-{i}", "down") for i in range(8)] + [endpoint(f"up-{i}") for i in range(12)]
    assert counts(EndpointTable(TARGET, START, 100, most_urgent, services), START, 20) == [("down", 8), ("up", 92)]
    more = [endpoint(f"down-{i}", "down") for i in range(20)]
    assert counts(EndpointTable(TARGET, START, 100, more, services), START, 20) == [("down", 40)]  # those that fail are not all known
    assert counts(EndpointTable(TARGET, START, 100, most_urgent[:5], services), START, 20) == [("down", 40)]  # these are others'
    assert counts(EndpointTable(TARGET, START, 100, [], ()), START, 20) == []


def test_a_percentile_with_a_timeout_in_it_is_told_as_a_lower_bound():
    cut = endpoint("hang", last_s=2.0, at_least=True, p50_s=0.1, p95_s=2.0, p99_s=3.0, n=120, cut_s=2.0, checks=120)
    cells = {column.id: column.text(cut) for column in EVERY if column.id in {"last", "p50", "p95", "p99"}}
    assert cells == {"last": ">=2.0s", "p50": "100ms", "p95": ">=2.0s", "p99": ">=3.0s"}
    assert {column.text(ServiceRow("shop", 2, 1, p95_s=2.0, cut_s=1.5)) for column in BRIEF if column.id == "p95"} == {">=2.0s"}
    assert endpoints.numbers(cut, START).startswith("p95 >=2.0s n 120")
    assert "probe p50 100ms p95 >=2.0s p99 >=3.0s (n 120)" in endpoints.copied(cut, START)


def test_planned_work_says_when_it_ends():
    def words(until):
        return endpoints.why(endpoint("a", "maintenance", until=until), START)

    assert words(nan) == "planned: counts for nothing"
    assert words(START + 1_680) == "planned until 03:40: counts for nothing"
    assert words(START + 3 * 86_400) == "planned until Sat 07 Mar 03:12: counts for nothing"
    failing = endpoint("a", "maintenance", until=START + 1_680, cause="connect", error="connection refused")
    assert endpoints.why(failing, START) == "planned until 03:40; connection refused"


def test_why_checks_failed_is_told_by_how_often():
    failing = endpoint("a", failures=(("timeout", 25), ("503", 5)))
    assert endpoints.failures_text(failing) == "25x timeout, 5x 503"
    assert "failed 25x timeout, 5x 503" in endpoints.copied(failing, START)
    assert "failed" not in endpoints.copied(endpoint("b"), START)


def test_a_name_of_any_kind_has_a_key():
    keys = {endpoint(name).key for name in ("shop", "在庫", "", "\udc80\udcff", "\ud800", "pohs")}
    assert len(keys) == 6


def checked_since(row, later, up, took):
    """A state whose table, with a row, was told at the start, and whose series know of one check since, a second ago."""
    labels = (("endpoint", row.name), ("service", row.service))
    group = Group(1, "http", row.name, 2.0, tuple(SeriesDef(f"httpcheck.{name}", labels) for name in ("up", "duration")))
    state = State()
    readings = [Reading(1, later - 1, [up, took])]
    state.apply(Tick(1, later, 0.0, key=True, groups=[group], readings=readings, tables=[EndpointTable(TARGET, START, 1, [row])]))
    return state


def test_what_was_checked_since_the_table_was_told_makes_a_row_that_is_overdue_present():
    later = START + 9.0
    state = checked_since(endpoint("a", interval_s=2.0, last_s=0.1), later, 1.0, 0.3)
    (found,) = endpoints.table(state).rows
    assert (found.at, found.last_s, endpoints.state_of(found, later)) == (later - 1, 0.3, "up")
    state.apply(Tick(2, later + 8, 8.0))
    assert endpoints.state_of(endpoints.table(state).rows[0], later + 8) == "stale"


@pytest.mark.parametrize(("up", "took", "text"), [(1.0, 0.3, "300ms"), (0.0, 5.0, ">=5.0s"), (nan, nan, "-")])
def test_a_check_since_then_was_given_up_only_if_it_failed(up, took, text):
    state = checked_since(endpoint("a", interval_s=2.0, last_s=5.0, at_least=True), START + 20.0, up, took)
    (found,) = endpoints.table(state).rows
    assert endpoints.last_text(found) == text


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("status: status 503, expected 200 to 399", "status 503, expected 200 to 399"),
        ("connect: connection refused", "connection refused"),
        ("timeout: no first byte within 5.0s", "timeout: no first byte within 5.0s"),
        ("assertion: body has no 'ready'", "assertion: body has no 'ready'"),
        ("planned", "planned"),
        (": ", ": "),
        ("", ""),
    ],
)
def test_a_cause_is_not_said_twice(told, said):
    assert endpoints.once(told) == said
