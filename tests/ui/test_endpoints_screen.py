"""The Endpoints screen: its table in every state and size, sorted, filtered, grouped and folded; what is checked, copied and opened."""

import re
from math import isnan, nan

import pytest
from http_world import CHECKOUT, LEGACY, LOGIN, PARTNER, SCRIPTS, TARGET, WELL, endpoints_screen, http_world, make_http_world, many, row
from msgspec import structs
from test_screens import first_difference
from textual.command import CommandPalette
from world import START, Console, Told, console_app

from perfconsole.core.endpoints import EndpointRow, EndpointTable
from perfconsole.core.errors import CollectorError, RequestError
from perfconsole.core.requests import EndpointArgs
from perfconsole.core.shipped import SHIPPED
from perfconsole.core.tick import Group, Health, Reading, SeriesDef, Stream, Tick
from perfconsole.ui.endpoint_rows import EVERY, Service
from perfconsole.ui.screens.endpoint import EndpointScreen
from perfconsole.ui.screens.endpoints import EndpointsScreen
from perfconsole.ui.screens.operations import OperationsScreen
from perfconsole.ui.screens.prompt import Prompt

__all__ = ["http_world", "make_http_world"]

SIZES = [(60, 16), (80, 24), (120, 36), (160, 48), (200, 60)]
LOW, LARGE = (80, 24), (160, 48)


def pane(console):
    return console.app.front.table


def items(console):
    return [item.row for item in pane(console)._items]


def names(console):
    """The names of the endpoints that are listed, in order."""
    return [row.name for row in items(console) if not isinstance(row, Service)]


def line_of(console, name):
    """The line of an endpoint; that of a service has a number in place of a state."""
    states = "down|failing|stale|unknown|suppressed|maintenance|up"
    (found,) = [line for line in console.lines[4:] if re.match(rf"[▸ ]\S ({states}) +{re.escape(name)} .*  ", f"{line}  ")]
    return found


async def select(console, name):
    await console.press("g")
    while pane(console).endpoint is None or pane(console).endpoint.name != name:
        await console.press("j")


def asked(world, op):
    return [args for name, args in world.http.asked if name == f"http.{op}"]


# The table --------------------------------------------------------------------------------------------------------------------------

WALK = {
    "as it opens": (),
    "a row selected": ("j", "j"),
    "a service folded": ("g", "enter"),
    "unfolded again": ("enter",),
    "not by service": ("b",),
    "to the end": ("G",),
    "by name": ("s",),
    "reversed": ("r",),
    "a filter is being typed": ("slash", *"shop"),
    "filtered": ("enter",),
    "without the filter": ("escape",),
    "a narrower window": ("comma",),
    "frozen": ("space",),
}


@pytest.mark.parametrize("size", [LOW, LARGE])
async def test_near_and_far_engines_make_the_same_pictures(make_http_world, size):
    near, far = {}, {}
    for kind, pictures in (("local", near), ("remote", far)):
        async with endpoints_screen(make_http_world(100), kind, size) as console:
            for scene, keys in WALK.items():
                for key in keys:
                    await console.press(key)
                await console.step()
                pictures[scene] = console.picture
    assert {scene: found for scene in near if (found := first_difference(near[scene], far[scene]))} == {}
    assert len({str(picture) for picture in near.values()}) == len(near), "each is a scene of its own"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ascii_only", [False, True])
async def test_every_size_lists_the_worst_first_with_sign_and_word(http_world, size, ascii_only):
    async with endpoints_screen(http_world, size=size, theme="terminal", colours=16, ascii_only=ascii_only) as console:
        assert len(console.lines) == size[1]
        sign = "X" if ascii_only else "■"
        assert f"{sign} 4 down" in console.lines[2]
        assert console.lines[4].startswith(f" {sign} 2/6 down    shop")
        assert console.lines[5].startswith(f" {sign} down         checkout")
        assert "timeout" in console.lines[5]
        assert ">=5.0s" in console.lines[5]
        assert "? help" in console.lines[-1]
        assert "q quit" in console.lines[-1]
        if ascii_only:
            assert console.text.isascii()


@pytest.mark.parametrize("size", SIZES)
async def test_percentiles_are_said_to_be_of_probes_and_of_how_many(http_world, size):
    async with endpoints_screen(http_world, size=size) as console:
        await select(console, "stock")
        assert "probe" in console.lines[2] + console.lines[-2]
        assert "P95" in console.lines[3]
        told = line_of(console, "stock") if size[0] >= 120 else console.lines[-2]
        assert "72" in told.split(), "checks of one endpoint in twelve minutes"


@pytest.mark.parametrize(
    ("rare", "note"),
    [
        (("api",), "probe percentiles over the last 12m, of rare checks over 100 of them"),
        ((), "probe percentiles over the last 12m"),
        (tuple(script.name for script in SCRIPTS), "probe percentiles over up to 4d4h"),
    ],
)
async def test_the_time_that_is_told_is_that_of_most(http_world, rare, note):
    for name in rare:
        http_world.http.changed[name] = {"interval_s": 3600.0, "held_s": 360_000.0}
    async with endpoints_screen(http_world, size=(200, 60)) as console:
        title = next(line for line in console.lines if "ENDPOINTS" in line)
        assert title.endswith(note)


async def test_percentiles_that_are_lower_bounds_say_so_and_have_room_for_it(http_world):
    async with endpoints_screen(http_world, size=(160, 48)) as console:
        heads = next(line for line in console.lines if " P95 " in line)
        http_world.http.changed["cart"] = {"p50_s": 0.81, "p95_s": 0.25, "p99_s": nan, "cut_s": 0.25}
        await console.step()
        cart = next(line for line in console.lines if "cart" in line and "WHY" not in line)
        assert ">=810ms" in cart
        assert ">=250ms" in cart
        wider = next(line for line in console.lines if " P95 " in line)
        assert wider.index("P95") - wider.index("P50") == heads.index("P95") - heads.index("P50") + 2


async def test_every_state_has_its_words(http_world):
    async with endpoints_screen(http_world, size=(200, 60)) as console:
        for name, words in (
            (CHECKOUT, "■ down"),
            (CHECKOUT, "timeout: no first byte within 5.0s"),
            ("stock", "▲ failing"),
            ("stock", "status: 503 Service Unavailable, expected 200 to 399"),
            ("reports", "· suppressed"),
            ("reports", "by postgres:shop; status: 500 Internal Server Error"),
            ("search", "· maintenance"),
            ("search", "planned: counts for nothing"),
            (PARTNER, "? unknown"),
            (PARTNER, "not measured: ${PARTNER_TOKEN} is not set"),
            ("new", "? unknown"),
            ("new", "not checked yet"),
            ("cart", "● up"),
            ("cart", "https://shop.example/cart"),
            (LOGIN, "dns: login.example: no such name"),
            ("ready", "assertion: body has no 'ready': ␛[31m[bold]503[/bold]"),
            ("在庫", "http://10.0.0.9:8080/在庫"),
        ):
            assert words in line_of(console, name), name
        assert "■ 4 down  ▲ 1 failing  ? 2 unknown  ● 5 up  · 1 suppressed  · 1 maintenance" in console.lines[2]


async def test_numbers_of_an_endpoint_and_of_its_service(http_world):
    async with endpoints_screen(http_world, size=LARGE) as console:
        heads = console.lines[3]

        def cells(line):
            """What stands below the heads of numbers."""
            ends = [heads.index(head) + len(head) for head in ("P50", "P95", "P99", "N ERR%", "AVAIL%", "CERT", "FOR")]
            ends.insert(3, heads.index("N ERR%") + 1)
            return [line[start:end].strip() for start, end in zip([ends[0] - 5, *ends], ends, strict=False)]

        assert cells(line_of(console, "stock")) == ["12ms", "19ms", "-", "72", "0.0", "99.4", "79d", "<1m"]
        assert cells(line_of(console, "api")) == ["88ms", "141ms", "220ms", "180", "0.0", "100", "▲12d", "3d0h"]
        assert cells(line_of(console, LEGACY)) == ["-", "-", "-", "", "100", "0.0", "■-2d!", "2d0h"]
        assert cells(console.lines[4])[:6] == ["6.7ms", "1.3s", "-", "395", "8.6", "90.9"]
        assert "■ 2/6 down    shop" in console.lines[4]


async def test_a_latency_over_its_threshold_and_a_bad_certificate_stand_out(http_world):
    async with endpoints_screen(http_world, size=LARGE) as console:
        look = console.app.look
        styles = {text.strip(): style for line in console.strips for text, style, _ in line}
        assert styles["918ms"] == look.style("warning")  # over 500 ms
        assert styles[">=5.0s"] == look.style("critical")
        assert styles["▲12d"] == look.style("warning")
        assert styles["■-2d!"] == look.style("critical")


async def test_a_history_marks_failures_and_gaps_and_what_was_slow(make_http_world):
    async with endpoints_screen(make_http_world(450), size=LARGE) as console:

        def drawn(name):
            start = console.lines[3].index("HISTORY")
            return line_of(console, name)[start : start + 24]

        assert set(drawn(LEGACY)) == {"×"}
        assert drawn(CHECKOUT).endswith("××")
        assert set(drawn(CHECKOUT)[:18]) <= set("▁▂▃▄▅▆▇█")
        assert drawn("reports").endswith("·····")
        assert set(drawn(PARTNER)) == {"·"}
        slow = [style for text, style, _ in console.strips[8] if set(text) & set("▁▂▃▄▅▆▇█")]
        assert console.app.look.style("warning_bar") in slow
        assert console.app.look.style("critical_bar") in slow


async def test_below_the_rows_stands_what_changed_last(make_http_world):
    world = make_http_world(450)
    async with endpoints_screen(world, size=LARGE) as console:
        at = console.lines.index(" CHANGED LAST")
        assert [line.split()[:4] for line in console.lines[at + 1 : at + 5]] == [
            ["03:10:59", "■", "down", "ready"], ["03:09:48", "■", "down", "checkout"], ["03:03:00", "●", "up", "api"],
            ["03:02:00", "■", "down", "api"],
        ]  # fmt: skip
        await console.press("slash", *"api", "enter")
        assert "CHANGED LAST" in console.text
        assert "03:10:59" not in console.text
    async with endpoints_screen(world, size=LOW) as console:
        assert "CHANGED LAST" not in console.text  # there is no room for it


# Sorting, filtering, services -------------------------------------------------------------------------------------------------------


async def test_every_column_can_be_sorted_by_and_is_then_shown(http_world):
    async with endpoints_screen(http_world, size=LOW) as console:
        await console.press("b")
        fields = [column.field for column in EVERY if column.field]
        assert pane(console).sort == fields[0]
        for field in (*fields[1:], fields[0]):
            await console.press("s")
            assert pane(console).sort == field
            assert field in {column.field for column in pane(console).columns()}
            values = [getattr(row, field) for row in items(console)]
            if field != "urgency":  # of two in one state the slow one comes first
                known = [value for value in values if value and not (isinstance(value, float) and isnan(value))]
                turned = field in {"expires", "availability", "since"} or isinstance(values[0], str)
                assert known == sorted(known, reverse=not turned), field
        before = names(console)
        await console.press("r")
        assert names(console) != before


async def test_what_is_up_but_slow_comes_before_what_is_merely_up(http_world):
    async with endpoints_screen(http_world, size=LARGE) as console:
        await console.press("b")
        listed = names(console)
        assert listed[0] == CHECKOUT, "configured to be critical"
        assert set(listed[:4]) == {CHECKOUT, LEGACY, LOGIN, "ready"}
        assert listed[4:6] == ["stock", PARTNER]
        assert set(listed[6:8]) == {"api", "cart"}  # a certificate that ends soon, and over 500 ms
        assert listed[8] == "reports"


@pytest.mark.parametrize(
    ("match", "found"),
    [
        ("state:down", {CHECKOUT, "ready", LEGACY, LOGIN}),
        ("service:shop", {CHECKOUT, "cart", "stock", "ready", "reports", "在庫"}),
        ("cause:timeout", {CHECKOUT}),
        ("shop.example stock", {"stock"}),
        ("team=payments", {CHECKOUT}),
        ("PARTNER_TOKEN", {PARTNER}),
        ("在庫", {"在庫"}),
        ("nobody", set()),
    ],
)
async def test_it_is_filtered_by_words_state_service_and_cause(http_world, kind, match, found):
    async with endpoints_screen(http_world, kind) as console:
        pane(console).filter(match)
        await console.settled()
        assert set(names(console)) == found
        assert f"{len(found)} of 14  filter {match!r}" in console.lines[2]
        assert found or f"nothing matches {match!r}" in console.text
        await console.press("escape")
        assert len(names(console)) == 14
        await console.press("escape")
        assert isinstance(console.screen, OperationsScreen)


async def test_a_filter_shows_while_it_is_typed_and_esc_takes_it_back(http_world):
    async with endpoints_screen(http_world) as console:
        await console.press("slash")
        assert isinstance(console.screen, Prompt)
        await console.press(*"cart")
        assert names(console) == ["cart"]
        await console.press("escape")
        assert isinstance(console.screen, EndpointsScreen)
        assert len(names(console)) == 14


async def test_a_service_of_several_is_a_line_of_its_own_and_can_be_folded(http_world):
    async with endpoints_screen(http_world, size=LARGE) as console:
        services = [row.row.name for row in items(console) if isinstance(row, Service)]
        assert services == ["shop", "api"]
        await console.press("g", "enter")
        assert "cart" not in names(console)
        assert "6 not shown" in console.lines[4]
        assert CHECKOUT not in console.text[console.text.index("ENDPOINTS") :]
        await console.step()
        assert "6 not shown" in console.lines[4]
        await console.press("enter")
        assert "cart" in names(console)
        await console.press("b")
        assert not any(isinstance(row, Service) for row in items(console))
        assert len(names(console)) == 14


async def test_the_selection_sticks_to_the_endpoint(http_world, kind):
    async with endpoints_screen(http_world, kind) as console:
        await select(console, "cart")
        http_world.http.changed["cart"] = {"state": "down", "cause": "status", "error": "500", "critical": True}
        await console.step()
        assert pane(console).endpoint.name == "cart"
        assert line_of(console, "cart").startswith("▸■ down")
        http_world.http.scripts = tuple(script for script in SCRIPTS if script.name != "cart")
        await console.step()
        assert pane(console).endpoint is not None
        assert "cart" not in names(console)


@pytest.mark.parametrize("kind", ["remote"])
async def test_of_a_thousand_the_most_urgent_are_held_until_somebody_goes_on(make_http_world, kind):
    world = make_http_world(2, many(1000))
    async with endpoints_screen(world, kind) as console:
        assert re.search(r"2\d\d of 1000 held", console.lines[2])
        assert "■ 143 down" in console.lines[2]
        assert "● 857 up" in console.lines[2]  # all that are down are held: so are all that are not up
        assert len(console.app.state.table(EndpointTable, TARGET).rows) < 300
        await console.press("G")
        assert " held" not in console.lines[2]
        assert len(names(console)) == 1000
        assert pane(console)._items[-1].row.key == pane(console).selected


async def test_how_many_are_up_is_not_said_where_it_is_not_known(make_http_world):
    broken = tuple(script._replace(state="down", fails_at=START - 60, cause="connect", error="refused") for script in many(300))
    async with endpoints_screen(make_http_world(2, broken), "remote") as console:
        assert re.search(r"2\d\d of 300 held  ■ 300 down   ", console.lines[2])
        assert " up" not in console.lines[2]


# When there is nothing, or nothing new ----------------------------------------------------------------------------------------------


async def test_before_the_first_outcome_it_is_collecting(make_http_world, kind):
    world = make_http_world(0)
    async with endpoints_screen(world, kind) as console:
        assert "■" in console.text  # the helper went a step on
    empty = make_http_world(0)
    app = console_app(empty.connect(kind))
    async with app.run_test(size=LOW) as pilot:
        console = Console(app, pilot, empty)
        await console.until(lambda: app.pump.live.stream is not None)
        await console.press("5")
        assert "ENDPOINTS" in console.lines[2]
        assert console.lines[4] == " collecting…"
        assert "HTTP ? UNKNOWN" in console.lines[0]


async def test_a_collector_that_fails_says_why_and_since_when_the_rows_are(http_world, kind):
    async with endpoints_screen(http_world, kind, LOW) as console:
        http_world.http.fault = CollectorError("too many open files", "raise ulimit -n")
        await console.step(60)
        told = " ".join(line.strip() for line in console.lines[-4:])
        assert "too many open files: raise ulimit -n: shown is what was known 2m ago" in " ".join(told.split())
        assert "HTTP ◌ STALE" in console.lines[0]
        assert console.lines[1].startswith(" ◌ no checks since 2m00s  ▲ WARN  disk /var")
        assert console.lines[4].startswith(" ◌ 2/6 down    shop")
        assert line_of(console, "api").startswith(" ◌ stale")
        assert "◌ 11 stale" in console.lines[2]


async def test_a_collector_that_never_worked_says_why(make_http_world):
    world = make_http_world(0)
    world.http.fault = CollectorError("no sockets here", "allow them")
    async with endpoints_screen(world, size=LOW) as console:
        assert console.lines[4] == " no sockets here allow them"


async def test_where_checks_cease_rows_are_stale_and_those_that_do_not_count_are_not(http_world):
    async with endpoints_screen(http_world, size=(200, 60)) as console:
        http_world.http.silent |= {"api", CHECKOUT, "search"}
        await console.step(40)
        assert "◌ stale" in line_of(console, "api")
        assert "no check for 1m" in line_of(console, "api")
        assert "◌ stale" in line_of(console, CHECKOUT)
        assert "· maintenance" in line_of(console, "search")
        assert "◌ 2 stale" in console.lines[2]


def keyframe(rows, told_at, checked_at, *, ops=()):
    """What is known at `checked_at` of endpoints of which a table was told at `told_at`, and whose series went on."""
    groups, readings = [], []
    for i, one in enumerate(rows, 1):
        labels = (("endpoint", one.name), ("service", one.service))
        groups.append(Group(i, "http", one.name, 10.0, tuple(SeriesDef(f"httpcheck.{name}", labels) for name in ("up", "duration"))))
        readings += [Reading(i, checked_at - 10 * k, [1.0, 0.08]) for k in reversed(range(6))]
    about = Stream("box", "s", "b", "0", ops=frozenset(ops), rules=SHIPPED)
    table = EndpointTable(TARGET, told_at, len(rows), list(rows))
    health = [Health("http", TARGET, "ok", checked_at, checked_at)]
    return Tick(1, checked_at, 0.0, key=True, past=True, groups=groups, readings=readings, tables=[table], health=health, stream=about)


async def test_in_a_recording_a_table_of_half_a_minute_ago_makes_nothing_stale():
    script = next(script for script in SCRIPTS if script.name == "api")
    one = structs.replace(row(script), interval_s=2.0)
    app = console_app(Told(keyframe([one], START, START + 29.0)))
    async with app.run_test(size=LOW) as pilot:
        console = Console(app, pilot)
        await pilot.pause()
        await console.press("5")
        assert "● 1 up" in console.lines[2]
        assert console.lines[4].startswith(" ● up")
        await console.press("j", "enter")
        assert "● up" in console.text
        assert "stale" not in console.text
        assert "checked 03:12:29" in " ".join(console.text.split())


# Where there are none ---------------------------------------------------------------------------------------------------------------


async def test_without_endpoints_its_key_is_not_shown_and_says_how_to_have_some(world, open_console):
    async with open_console(world, size=(160, 60)) as console:
        assert not console.app.can("screen.endpoints")
        assert "Endpoints" not in console.lines[-1]
        await console.press("question_mark")
        assert "Endpoints screen" not in console.text
        await console.press("escape", "colon", *"endpoints")
        assert "Endpoints screen" not in console.text
        await console.press("escape", "escape", "5")
        assert isinstance(console.screen, OperationsScreen)
        assert console.lines[-1].strip() == "no endpoints: [[http]] in config.toml, or --url https://host/"


async def test_with_endpoints_its_key_is_shown_in_footer_help_and_palette(http_world, open_console):
    async with open_console(http_world, size=(160, 60)) as console:
        assert "5 Endpoints" in console.lines[-1]
        await console.press("question_mark")
        assert "Endpoints screen" in console.text
        await console.press("escape", "colon", *"endpoints s")
        await console.until(lambda: "Endpoints screen" in console.text)
        await console.press("enter")
        await console.until(lambda: isinstance(console.screen, (EndpointsScreen, CommandPalette)))
        if isinstance(console.screen, CommandPalette):
            await console.press("enter")
        await console.until(lambda: isinstance(console.screen, EndpointsScreen))
        await console.press("question_mark")
        for title in ("Check now", "Group by service", "Copy the runbook's address"):
            assert title in console.text


async def test_opened_on_it_without_any_it_says_how_to_have_some(world, open_console):
    async with open_console(world, size=LOW, screen="endpoints") as console:
        await console.step()
        told = " ".join(" ".join(console.lines[4:6]).split())
        assert told == 'no endpoints: [[http]] url = "https://host/" in config.toml, or --url https://host/'


# Doing ------------------------------------------------------------------------------------------------------------------------------


async def test_a_check_now_is_told(http_world, kind):
    async with endpoints_screen(http_world, kind) as console:
        await console.press("c")
        assert "no endpoint is selected: j and k choose" in console.lines[-1]
        await select(console, "cart")
        await console.press("c")
        await console.until(lambda: "cart: up, 200 in 88ms" in console.lines[-1])
        assert asked(http_world, "check") == [EndpointArgs("cart")]
        http_world.http.answers["http.check"] = RequestError("cart is not checked any more")
        await console.press("c")
        await console.until(lambda: "cart is not checked any more" in console.lines[-1])
        await console.press("space", "c")
        assert len(asked(http_world, "check")) == 2  # a moment is held: nothing is checked in it


async def test_enter_without_a_choice_opens_the_first_endpoint_and_folds_nothing(http_world):
    async with endpoints_screen(http_world) as console:
        assert not isinstance(console.screen.table._items[0].row, EndpointRow), "the line of a service is on top"
        await console.press("enter")
        assert isinstance(console.screen, EndpointScreen)
        await console.press("escape")
        assert isinstance(console.screen.table._items[1].row, EndpointRow)


async def test_a_runbook_is_copied_or_said_to_be_missing(http_world):
    async with endpoints_screen(http_world) as console:
        await select(console, CHECKOUT)
        await console.press("o")
        assert console.app.clipboard == "https://wiki.example/runbooks/checkout"
        await select(console, "cart")
        await console.press("o")
        assert 'cart has no runbook: runbook = "https://..." where it is configured' in console.lines[-1]


async def test_what_a_line_tells_is_copied(http_world):
    async with endpoints_screen(http_world) as console:
        await select(console, CHECKOUT)
        await console.press("y")
        told = console.app.clipboard
        for words in (
            "checkout down for 2m",
            "timeout: no first byte",
            "https://shop.example/checkout",
            "last >=5.0s",
            "(n 59)",
            "error 18.1%",
        ):
            assert words in told, words
        await console.press("g", "y")
        assert console.app.clipboard == "shop: 2 of 6 down"


async def test_the_mouse_selects_opens_and_sorts(http_world):
    async with endpoints_screen(http_world, size=LARGE) as console:
        await console.pilot.click(pane(console), offset=(20, 3))
        assert pane(console).endpoint.name == CHECKOUT
        await console.pilot.click(pane(console), offset=(20, 3))
        await console.until(lambda: isinstance(console.screen, EndpointScreen))
        await console.press("escape")
        await console.pilot.click(pane(console), offset=(console.lines[3].index("P95") + 1, 1))
        assert pane(console).sort == "p95_s"
        await console.pilot.click(pane(console), offset=(console.lines[3].index("HISTORY") + 1, 1))
        assert pane(console).sort == "p95_s"


async def test_all_well_is_said_in_one_line(make_http_world):
    async with endpoints_screen(make_http_world(4, WELL), size=LOW) as console:
        assert "ENDPOINTS  4  ● 4 up" in console.lines[2]
        assert "HTTP ▲ WARN" in console.lines[0]  # a certificate ends in 12 days
