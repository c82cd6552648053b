"""HTTP on the Operations screen: where nothing is checked, at every size, in every state; what opens; and what the header makes of it."""

import subprocess
import sys
from math import nan

import pytest
from http_world import CHECKOUT, LEGACY, PARTNER, SCRIPTS, TARGET, WELL, HttpWorld, http_world, make_http_world, many
from test_screens import first_difference
from textual.screen import Screen
from world import START

from perfconsole.core.endpoints import EndpointTable
from perfconsole.core.errors import CollectorError
from perfconsole.core.requests import HTTP_DETAIL
from perfconsole.core.shipped import SHIPPED
from perfconsole.core.state import State
from perfconsole.core.tables import View
from perfconsole.core.tick import Alert, Group, Health, Reading, SeriesDef, Stream, Tick
from perfconsole.ui import verdict
from perfconsole.ui.screens.endpoint import EndpointScreen
from perfconsole.ui.screens.endpoints import EndpointsScreen
from perfconsole.ui.screens.operations import OperationsScreen
from perfconsole.ui.widgets.http import HttpPane, room

__all__ = ["http_world", "make_http_world"]

SIZES = [(60, 16), (80, 24), (120, 36), (160, 48), (200, 60)]
LOW, LARGE = (80, 24), (160, 48)


def pane(console):
    return console.app.front.query_one(HttpPane)


def top(console):
    """Where the pane begins."""
    return pane(console).region.y


def shown(console):
    return console.lines[pane(console).region.y : pane(console).region.bottom]


def names(console):
    return [item.row.name for item in pane(console)._items]


async def focused(console):
    while console.pane is not pane(console):
        await console.press("tab")


# Where nothing is checked -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES[1:])
async def test_without_endpoints_a_line_says_how_to_have_some(world, open_console, size):
    async with open_console(world, size=size) as console:
        assert not console.screen.query(HttpPane)
        assert "HTTP        no endpoints: [[http]] in config.toml, or --url https://host/" in console.text
        assert "HTTP" not in console.lines[0]


def test_without_endpoints_nothing_of_them_is_imported():
    code = """
import sys
sys.path[:0] = {paths!r}
import asyncio
from world import Console, World, console_app
async def main():
    world = World(3)
    app = console_app(world.connect("local"))
    async with app.run_test(size=(160, 48)) as pilot:
        console = Console(app, pilot, world)
        await console.until(lambda: app.pump.live.stream is not None)
        await console.step()
        assert "TOP PROCESSES" in console.text
    world.close()
asyncio.run(main())
print(sorted(name for name in sys.modules if name.startswith("perfconsole.ui") and ("endpoint" in name or name.endswith(".http"))))
"""
    paths = [path for path in sys.path if path.endswith(("tests/ui", "tests/http", "tests/terminal"))]
    done = subprocess.run([sys.executable, "-c", code.format(paths=paths)], check=False, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


# At every size ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ascii_only", [False, True])
async def test_every_size_names_the_worst_and_how_many_are_well(make_http_world, open_console, size, ascii_only):
    look = {"theme": "terminal", "colours": 16, "ascii_only": ascii_only}
    async with open_console(make_http_world(450), size=size, **look) as console:
        crit, warn, well = ("X", "!", ".") if ascii_only else ("■", "▲", "●")
        assert len(console.lines) == size[1]
        title, *rows = shown(console)
        for words in (f"HTTP  {crit} 4 down", f"{warn} 1 failing", f"{well} 5 up"):
            assert words in title, words
        first = rows[len(rows) - room(size[1])]
        assert first.split()[:2] == [crit, "down"]
        assert CHECKOUT in first
        assert "timeout: no first byte wi" in first
        assert "2m" in first.split()
        assert f"HTTP {crit}" in console.lines[0]
        assert f"{crit} CRIT  legacy is down (tls)" in console.lines[1]
        assert "5 Endpoints" in console.lines[-1]
        assert len(names(console)) == 14
        assert "TOP PROCESSES" in console.text
        assert console.lines[2].startswith(" SYSTEM")
        if ascii_only:
            assert "\n".join(shown(console)).isascii()


@pytest.mark.parametrize("size", [LOW, LARGE])
async def test_near_and_far_engines_make_the_same_pictures(make_http_world, open_console, size):
    walk = {
        "as it opens": (), "focused": ("tab",) * 3, "selected": ("j", "j"), "expanded": ("e",), "sorted": ("s",), "reversed": ("r",),
        "back": ("escape",), "a narrower window": ("comma",), "processes": ("6",),
    }  # fmt: skip
    near, far = {}, {}
    for kind, pictures in (("local", near), ("remote", far)):
        async with open_console(make_http_world(100), kind, size) as console:
            for scene, keys in walk.items():
                for key in keys:
                    await console.press(key)
                await console.step()
                pictures[scene] = console.picture
    assert {scene: found for scene in near if (found := first_difference(near[scene], far[scene]))} == {}


async def test_the_title_sums_up_what_all_of_them_measured(make_http_world, open_console):
    async with open_console(make_http_world(4, WELL), size=LARGE) as console:
        title = shown(console)[0]
        assert title.split("  ")[1] == "● 4 up"
        assert title.endswith("worst probe p95 141ms api n 180  errors 0.0% in 1m  cert api ends in 12d")
    async with open_console(make_http_world(4, WELL), size=LOW) as console:
        assert shown(console)[0].endswith("probe p95 141ms api n 180  errors 0.0% in 1m")
        assert "p95 30ms n 72  err 0.0%" in shown(console)[2]


async def test_a_certificate_that_ended_is_said_to_have(make_http_world, open_console):
    lapsed = tuple(script for script in SCRIPTS if script.name in {LEGACY, "api"})
    async with open_console(make_http_world(4, lapsed), size=LARGE) as console:
        assert "cert legacy ended 2d ago" in shown(console)[0]


async def test_with_column_heads_where_there_is_room_and_since_when_in_any_case(http_world, open_console):
    async with open_console(http_world, size=LOW) as console:
        assert "■ down 2m     checkout" in shown(console)[1]
        assert "■ down 2d0h   legacy" in shown(console)[2]
    async with open_console(http_world, size=LARGE) as console:
        assert shown(console)[1].split()[:2] == ["STATE▼", "NAME"]
        assert "■ down        checkout" in shown(console)[2]


async def test_it_has_a_share_of_the_screen_and_processes_keep_theirs(make_http_world, open_console):
    for size, lines in (((60, 16), 2), (LOW, 4), ((120, 36), 8), (LARGE, 12), ((200, 60), 16)):
        async with open_console(make_http_world(2, many(40)), size=size) as console:
            assert pane(console).size.height == lines
            assert console.table.size.height >= 4
    async with open_console(make_http_world(2, WELL[:1]), size=LARGE) as console:
        assert pane(console).size.height == 2  # one endpoint needs no more than a title and its line


# In every state ---------------------------------------------------------------------------------------------------------------------


async def test_every_state_has_its_words(http_world, open_console):
    async with open_console(http_world, size=(200, 80)) as console:
        told = "\n".join(shown(console))
        for words in (
            "▲ failing     stock", "· suppressed  reports", "by postgres:shop; status: 500 Internal Server Error", "· maintenance search",
            "planned: counts for nothing", "? unknown     partner", "not measured: ${PARTNER_TOKEN} is not set", "not checked yet",
        ):  # fmt: skip
            assert words in told, words
        assert "? http partner  ${PARTNER_TOKEN} is not set" in console.text
        assert "1 suppressed  · 1 maintenance" in shown(console)[0]


async def test_before_the_first_outcome_it_is_collecting(make_http_world, open_console, kind):
    async with open_console(make_http_world(0), kind, LOW) as console:
        assert shown(console) == [" HTTP", " collecting…"]
        assert "SYS ? UNKNOWN  HTTP ? UNKNOWN" in console.lines[0]
        await console.step()
        assert "■ 4 down" in shown(console)[0]


async def test_what_is_no_longer_so_says_so(make_http_world, open_console, kind):
    world = make_http_world(4, WELL)
    async with open_console(world, kind, LARGE) as console:
        world.http.fault = CollectorError("too many open files", "raise ulimit -n")
        await console.step(60)
        title, _, *rows = shown(console)
        assert "HTTP  ◌ 4 stale" in title
        assert "◌ too many open files: raise ulimit -n: shown is what was known 2m ago" in title
        assert all(row.startswith(" ◌ stale") for row in rows)
        assert "no check for 2m" in rows[0]
        assert "HTTP ◌ STALE" in console.lines[0]
        assert "no checks since 2m00s  ▲ WARN  disk /var 91% > 85%" in console.lines[1]
        assert console.lines[1].endswith("too many open files")


async def test_what_was_the_matter_before_checks_ceased_is_told_as_past(make_http_world, open_console):
    world = make_http_world(0)
    world.system.missing = frozenset({"system.filesystem.utilization"})
    world.advance(4)
    async with open_console(world, size=LARGE) as console:
        world.http.fault = CollectorError("too many open files", "raise ulimit -n")
        await console.step(20)
        assert console.lines[1].startswith(" ◌ no checks since 40s  was ■ CRIT  checkout is down (timeout)")
        assert " CRIT" not in console.lines[0]
        assert "SYS ● OK  HTTP ◌ STALE" in console.lines[0]
        assert "OVER THRESHOLD NOW  ◌" in console.text
        assert "■ CRIT was: checkout is down" in console.text


async def test_an_endpoint_that_cannot_be_measured_is_the_consoles_own_fault(make_http_world, open_console):
    own = (*WELL[1:], next(script for script in SCRIPTS if script.name == PARTNER))
    async with open_console(make_http_world(4, own), size=LARGE) as console:
        assert "HTTP ? UNKNOWN" in console.lines[0]
        assert "SYS ▲ WARN" in console.lines[0]  # a disk: nothing of it is an endpoint's
        assert shown(console)[2].startswith(" ? unknown     partner")


async def test_endpoints_come_and_go_with_the_configuration(make_http_world, open_console, kind):
    world = make_http_world(4, WELL)
    async with open_console(world, kind, LOW) as console:
        assert "5 Endpoints" in console.lines[-1]
        world.http.scripts = ()
        await console.step(2)
        assert not pane(console).display
        assert "no endpoints: [[http]] in config.toml" in console.text
        assert "HTTP" not in console.lines[0]
        assert "5 Endpoints" not in console.lines[-1]
        world.http.scripts = WELL
        await console.step(2)
        assert "● 4 up" in shown(console)[0]
        assert "no endpoints" not in console.text


async def test_a_far_engine_sends_the_worst_and_those_that_are_over_a_threshold(make_http_world, open_console):
    world = make_http_world(3, many(1000))
    async with open_console(world, "remote", LOW) as console:
        assert "■ 143 down" in shown(console)[0]
        assert len(console.app.state.table(EndpointTable, TARGET).rows) <= 40
        assert " up" not in shown(console)[0]  # more may be failing than are known here
        await focused(console)
        await console.press("G")
        assert len(names(console)) == 1000
        assert "● 857 up" in shown(console)[0]


async def test_the_slowest_of_endpoints_of_which_not_all_are_known_is_a_service(make_http_world, open_console):
    async with open_console(make_http_world(3, many(100)), "remote", LARGE) as console:
        assert "worst probe p95 656ms service-9" in shown(console)[0]


# Opening it -------------------------------------------------------------------------------------------------------------------------


async def test_enter_opens_the_endpoints_or_the_one_that_is_selected(http_world, open_console, kind):
    async with open_console(http_world, kind, LOW) as console:
        await focused(console)
        await console.press("enter")
        assert isinstance(console.screen, EndpointsScreen)
        await console.press("escape")
        await focused(console)
        await console.press("j", "enter")
        assert isinstance(console.screen, EndpointScreen)
        assert console.screen.subject.row.name == CHECKOUT
        await console.press("escape")
        assert isinstance(console.screen, OperationsScreen)
        assert console.pane is pane(console)


async def test_a_click_selects_a_row_and_opens_it(http_world, open_console):
    async with open_console(http_world, size=LOW) as console:
        await console.pilot.click(pane(console), offset=(20, 1))
        await console.settled()
        assert pane(console).row.name == CHECKOUT
        await console.pilot.click(pane(console), offset=(20, 1))
        await console.until(lambda: isinstance(console.screen, EndpointScreen))


async def test_it_can_have_the_whole_screen(make_http_world, open_console):
    async with open_console(make_http_world(450), size=LOW) as console:
        await focused(console)
        await console.press("e")
        assert pane(console).size.height == 21
        assert [other for other in console.screen.panes if other.TITLE and other.size.height] == [pane(console)]
        assert shown(console)[1].split()[:2] == ["STATE▼", "NAME"]
        assert "CHANGED LAST" in console.text
        await console.press("escape")
        assert pane(console).size.height == 4


async def test_what_is_sorted_is_the_table_with_the_keys(http_world, open_console):
    async with open_console(http_world, size=LARGE) as console:
        await console.press("s")
        assert (console.table.sort, pane(console).sort) == ("memory_bytes", "urgency")
        await focused(console)
        await console.press("s", "r")
        assert (console.table.sort, console.table.reverse) == ("memory_bytes", False)
        assert (pane(console).sort, pane(console).reverse) == ("name", True)
        assert names(console) == sorted(names(console), key=str.lower, reverse=True)


async def test_nothing_is_laid_out_while_nothing_comes_or_goes(http_world, open_console, monkeypatch):
    laid_out = []
    lay_out = Screen._refresh_layout
    monkeypatch.setattr(Screen, "_refresh_layout", lambda screen, *args, **options: laid_out.append(1) or lay_out(screen, *args, **options))
    async with open_console(http_world, size=LARGE) as console:
        assert laid_out
        for key in ("1", "5"):
            await console.press(key)
            await console.step()
            laid_out.clear()
            await console.step(30)
            assert laid_out == []


# What the header makes of it --------------------------------------------------------------------------------------------------------

ENDPOINT = (("endpoint", "cart"), ("service", "shop"))


def told(*ups, metric="httpcheck.up", value=0.0, rows=(), health=(), since=START - 60):
    """A state in which an alert about an endpoint is firing; `ups` is what its last checks told."""
    group = Group(1, "http", "cart", 10.0, (SeriesDef("httpcheck.up", ENDPOINT), SeriesDef("httpcheck.tls.expiry", ENDPOINT)))
    readings = [Reading(1, START - 10 * (len(ups) - 1 - i), [up, value]) for i, up in enumerate(ups)]
    alert = Alert(
        f"rule{{{metric}}}", "rule", metric, ENDPOINT, "critical", "firing", "inactive", since, since, 0.0, 0.5, above=False, colour=True
    )
    state = State()
    tables = [EndpointTable(TARGET, START, len(rows), list(rows))] if rows else []
    about = Stream("box", "s", "b", "0", ops=frozenset({HTTP_DETAIL.name}), rules=SHIPPED)
    state.apply(
        Tick(1, START, 0.0, key=True, groups=[group], readings=readings, alerts=[alert], tables=tables, health=list(health), stream=about)
    )
    return state


def words(state):
    return [(alert.severity, verdict.said(state, alert)) for alert in verdict.firing(state)]


def endpoint(state, cause=""):
    from perfconsole.core.endpoints import EndpointRow

    return EndpointRow("cart", "http", "shop", "https://shop.example/", state, cause=cause, at=START)


@pytest.mark.parametrize(
    ("state", "cause", "said"),
    [
        ("down", "timeout", [("critical", "cart is down (timeout)")]),
        ("failing", "status", [("warning", "cart has failed 2 checks (status)")]),
        ("unknown", "unmeasured", [("critical", "cart is down (unmeasured)")]),
        ("suppressed", "status", []),
        ("maintenance", "", []),
    ],
)
def test_what_an_alert_counts_for_is_the_states_business(state, cause, said):
    assert words(told(0.0, 0.0, rows=[endpoint(state, cause)])) == said


def test_where_no_row_was_told_its_checks_let_conclude_it():
    assert words(told(1.0, 0.0, since=START)) == [("warning", "cart has failed a check")]
    assert words(told(1.0, 0.0, 0.0, since=START - 10)) == [("critical", "cart is down")]
    assert words(told(0.0, 0.0, nan)) == []  # in maintenance, or another's fault
    own = [Health("http", "cart", "error", START, 0.0, error="no descriptors")]
    assert words(told(0.0, 0.0, nan, health=own)) == [("critical", "cart is down")]  # that it is not is not known
    old = endpoint("maintenance")
    state = told(0.0, 0.0, rows=[old])
    state.apply(Tick(2, START + 61, 61.0))
    assert words(state) == [("critical", "cart is down")]


def test_a_certificate_that_ended_with_the_endpoint_is_told_once():
    up = SeriesDef("httpcheck.up", ENDPOINT)
    state = told(0.0, 0.0, value=-3600.0)
    expiry = Alert(
        "e", "e", "httpcheck.tls.expiry", ENDPOINT, "critical", "firing", "inactive", START, START, -3600.0, 86_400.0, above=False
    )
    state.apply(Tick(2, START, 0.0, alerts=[expiry]))
    assert words(state) == [("critical", "cart is down")]
    assert state.find(up.name, **dict(up.labels)) is not None
    state = told(0.0, 0.0, value=7200.0)  # ends soon: that is another matter
    state.apply(Tick(2, START, 0.0, alerts=[expiry]))
    assert sorted(words(state)) == [("critical", "cart is down"), ("critical", "certificate of cart ends in 2h00m")]


def test_an_endpoint_is_not_the_machines_fault_and_the_other_way_round():
    state = told(0.0, 0.0)
    for collector, target in (("system", "host"), ("http", TARGET)):
        state.apply(Tick(2, START, 0.0, health=[Health(collector, target, "ok", START, START)]))
    alerts = verdict.firing(state)
    assert verdict.system_severity(state, alerts) == "ok"
    assert verdict.http_severity(state, alerts) == "critical"
    assert verdict.http_severity(state, []) == "ok"
    assert verdict.system_severity(state, []) == "ok"


@pytest.mark.parametrize(
    ("health", "severity"),
    [
        ([], "unknown"),
        ([Health("http", TARGET, "ok", START, START)], "ok"),
        ([Health("http", TARGET, "error", START, START - 60, error="no descriptors")], "stale"),
        ([Health("http", TARGET, "error", START, 0.0, error="no descriptors")], "unknown"),
        ([Health("http", TARGET, "ok", START, START), Health("http", "cart", "error", START, 0.0, error="unset")], "unknown"),
    ],
)
def test_how_all_endpoints_do_together(health, severity):
    state = State()
    about = Stream("box", "s", "b", "0", ops=frozenset({HTTP_DETAIL.name}))
    state.apply(Tick(1, START, 0.0, key=True, health=health, stream=about))
    assert verdict.http_severity(state, []) == severity


def test_of_those_with_an_alert_the_rows_are_looked_at_wherever_one_is():
    state = told(0.0, 0.0)
    assert verdict.views(state) == [View("endpoint", TARGET, limit=0, keys=(endpoint("down").key,))]
    assert verdict.views(told(0.0, 0.0, rows=[endpoint("maintenance")])) == []


async def test_on_every_screen_of_a_far_engine_the_header_says_why(make_http_world, open_console):
    async with open_console(make_http_world(60), "remote", LOW) as console:
        await console.press("6")
        await console.step(2)
        assert "checkout is down (timeout)" in console.lines[1] or "legacy is down (tls)" in console.lines[1]
        assert " 3 CRIT" in console.lines[0]
        assert "SYS ▲" in console.lines[0]
        assert "HTTP ■" in console.lines[0]


async def test_while_the_past_is_looked_at_what_is_the_matter_now_is_told(http_world, open_console):
    async with open_console(http_world, size=LARGE) as console:
        await console.press("space")
        assert "FROZEN" in console.lines[0]
        assert "now ■" in console.lines[0]


def test_worlds_are_as_real_as_their_rows():
    """The rows that these tests go by are made of the same script as the series: nothing is down that was up when it was last checked."""
    world = HttpWorld(4)
    try:
        state = world.engine.state
        for found in world.http.rows():
            up = state.value("httpcheck.up", endpoint=found.name, service=found.service)
            assert (found.state in {"down", "failing"}) == (up == 0), found.name
    finally:
        world.close()
