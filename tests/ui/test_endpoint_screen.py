"""The screen of one endpoint: opened, asked for, refused, checked now, copied, in the past, in a terminal without a dot."""

import asyncio
import re
from math import nan

import pytest
from http_world import (
    CHECKOUT,
    DETAIL,
    FAILURE,
    LEGACY,
    PARTNER,
    SCRIPTS,
    TARGET,
    endpoints_screen,
    http_world,
    make_http_world,
    row,
)
from msgspec import structs
from world import START, Console, Told, console_app

from perfconsole.core.endpoints import EndpointTable
from perfconsole.core.errors import RequestError
from perfconsole.core.requests import Done, EndpointArgs, EndpointDetail
from perfconsole.core.shipped import SHIPPED
from perfconsole.core.tick import Event, Group, Reading, SeriesDef, Stream, Tick
from perfconsole.ui.screens.endpoint import EndpointScreen
from perfconsole.ui.screens.endpoints import EndpointsScreen

__all__ = ["http_world", "make_http_world"]

SIZES = [(60, 16), (80, 24), (120, 36), (160, 48), (200, 60)]


def script_of(name):
    return next(script for script in SCRIPTS if script.name == name)


async def opened(console, name=CHECKOUT):
    """An endpoint's screen, with what is read of it there."""
    await console.app.push_screen(EndpointScreen(row(script_of(name))))
    await answered(console)
    return console.screen


async def answered(console):
    """Wait until nothing is asked for any more."""
    await console.settled()
    await console.until(lambda: not console.app.front.detail.waiting and not console.app.front.checking)
    await console.settled()


async def front(console, name):
    """Bring a section to the front by its key."""
    for _ in range(6):
        if name == console.pane.NAME:
            return
        await console.press("tab")
    raise AssertionError(name)


def asked(world, op):
    return [args for name, args in world.http.asked if name == f"http.{op}"]


# Opening ----------------------------------------------------------------------------------------------------------------------------


async def test_it_is_opened_from_the_table_and_left_again(http_world, kind):
    async with endpoints_screen(http_world, kind) as console:
        table = console.screen.table
        while table.endpoint is None or table.endpoint.name != CHECKOUT:
            await console.press("j")
        await console.press("enter")
        await answered(console)
        assert isinstance(console.screen, EndpointScreen)
        assert "ENDPOINT checkout  ■ down for" in console.text
        assert asked(http_world, "detail") == [EndpointArgs(CHECKOUT)]
        await console.press("escape")
        assert isinstance(console.screen, EndpointsScreen)
        assert table.endpoint.name == CHECKOUT


@pytest.mark.parametrize("size", SIZES)
async def test_every_size_says_what_is_the_matter_and_since_when(http_world, kind, size):
    async with endpoints_screen(http_world, kind, size) as console:
        await opened(console)
        shown = console.text
        for words in (
            "ENDPOINT checkout  ■ down for 2m",
            "since 03:09:48",
            "https://shop.example/checkout",
            "timeout: no first byte within 5.0s",
            ">=5.0s",
            "status  502",
            "502 Bad Gateway, expected 200 to 399",
            "Esc back",
        ):
            assert words in shown, words
        assert len(console.lines) == size[1]
        large = size[0] >= 120 and size[1] >= 42
        for words in ("PHASES", "PERCENTILES", "HISTORY", "CERTIFICATES", "HOW"):
            assert (words in shown) == large, words


async def test_tab_goes_through_the_sections_and_back(http_world):
    async with endpoints_screen(http_world, size=(80, 24)) as console:
        await opened(console)
        names = []
        for _ in range(6):
            names.append(console.pane.NAME)
            await console.press("tab")
        assert names == ["Failure", "Phases", "Percentiles", "History", "Certificates", "How"]
        await console.press("shift+tab")
        assert console.pane.NAME == "How"
        assert "▸How" in console.text


async def test_what_is_well_begins_with_where_its_time_goes(http_world):
    async with endpoints_screen(http_world, size=(80, 24)) as console:
        await opened(console, "api")
        assert console.pane.NAME == "Phases"
        assert "● up for 3d0h, since 01 Mar" in console.text
        assert "last check: 200 in" in console.text
        await console.press("shift+tab", "tab", "shift+tab")
        await front(console, "Failure")
        assert "no check has failed since this endpoint is checked" in console.text


# What is shown ----------------------------------------------------------------------------------------------------------------------


async def test_the_chart_marks_failures_and_what_is_at_least_so_long(make_http_world):
    world = make_http_world(120)
    async with endpoints_screen(world, size=(80, 24)) as console:
        await opened(console)
        lines = console.lines
        title = next(line for line in lines if "LATENCY" in line)
        assert "LATENCY >=5.0s  ▲ over 500ms ■ over 1.0s" in title
        assert "failed  last 4m" in title
        marks = next(line for line in lines if line.startswith("failed"))
        assert marks.rstrip("─").endswith("×")
        assert marks.count("×") >= 10
        assert "▲" in next(line for line in lines if line.lstrip().startswith("5.0s│"))
        await console.press(",", ",")
        assert "last 2m" in console.text


async def test_a_quick_failure_is_a_mark_over_a_gap(make_http_world):
    world = make_http_world(120)
    async with endpoints_screen(world, size=(80, 24)) as console:
        await opened(console, LEGACY)
        bottom = next(i for i, line in enumerate(console.lines) if line.lstrip().startswith("0│"))
        assert set(console.lines[bottom].split("│")[1][-20:]) == {"·"}
        assert console.lines[bottom + 1].count("×") > 20
        await front(console, "Phases")
        assert "no phases are known" in console.text


async def test_percentiles_say_over_what_and_of_how_many(make_http_world):
    world = make_http_world(360)  # 12 minutes
    async with endpoints_screen(world, size=(160, 48)) as console:
        await opened(console)
        table = [line[54 + 53 :].split() for line in console.lines if line[54 + 53 :].strip()[:2] in {"1m", "5m", "12"}]
        assert [cells[0] for cells in table] == ["1m", "5m", "12m"]
        minute = table[0]
        assert minute[2] == ">=5.0s"  # all were given up
        assert minute[-1] == "100"
        assert table[2][2].endswith("ms")
        assert table[2][5] == "-"  # 72 are too few for a 99th
        assert ">= given up: the truth is longer" in console.text


async def test_phases_read_without_colour(make_http_world):
    world = make_http_world(60)
    async with endpoints_screen(world, size=(80, 24), theme="terminal", ascii_only=True, colours=0) as console:
        await opened(console, "api")
        shown = console.text
        assert shown.isascii()
        last = next(line for line in console.lines if line.startswith(" last   ") and "=" in line)
        assert "W====" in last
        order = [last.rindex(letter) for letter in "DCTSWX"]
        assert order == sorted(order)
        for words in ("D dns", "C connect", "T tls", "S send", "W wait", "X transfer", "70%"):
            assert words in shown, words


async def test_the_failure_is_shown_as_it_was_sent(http_world):
    async with endpoints_screen(http_world, size=(110, 60)) as console:
        await opened(console)
        shown = console.text
        for words in (
            "hop      301  12ms  http://shop.example/checkout",
            "expected × status 200 to 399  found: 502",
            "expected ● header content-type ~ html",
            "server: nginx",
            "set-cookie: ***",
            "x-hostile: ␛[31m[bold]",
            "<body>␛[2J[red]nginx[/red]</body>",
        ):
            assert words in shown, words


async def test_a_body_that_was_not_made_safe_is_not_obeyed(http_world):
    hostile = structs.replace(FAILURE, body="a\x1b[2J\nsecond line", headers=(("x\x9b", "\x07"),))
    http_world.http.answers["http.detail"] = structs.replace(DETAIL, failure=hostile)
    async with endpoints_screen(http_world, size=(80, 60)) as console:
        await opened(console)
        assert "a␛[2J" in console.text
        assert "\n second line" in console.text
        assert not {"\x1b", "\x9b", "\x07"} & set(console.text)


async def test_no_picture_takes_along_what_was_answered(http_world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with endpoints_screen(http_world, size=(110, 60)) as console:
        await opened(console)
        await console.press("ctrl+s")
        (picture,) = tmp_path.glob("*.svg")
        assert "checkout" in picture.read_text()
        assert "nginx" not in picture.read_text()
        assert "server: nginx" in console.text  # and it is there again


async def test_changes_of_its_state_newest_first_with_how_long_each_lasted(http_world):
    async with endpoints_screen(http_world, size=(120, 36)) as console:
        await opened(console)
        await front(console, "History")
        rows = [line for line in console.lines if any(f" {word} " in line for word in ("down ", "up ", "failing ")) and line[3:4] == ":"]
        assert ["■ down" in rows[0], "● up" in rows[1], "▲ failing" in rows[2], "● up" in rows[3]] == [True] * 4
        assert "4m18s" in rows[1]
        assert "10s     timeout: no first byte within 5.0s" in rows[2]
        assert "43m20s" in rows[3]


async def test_certificates_with_days_and_why_one_is_not_good(http_world):
    bad = structs.replace(DETAIL.last.tls, verified=False, error="certificate has expired")
    chain = (structs.replace(bad.chain[0], not_after=START + 2.5 * 86_400), bad.chain[1])
    async with endpoints_screen(http_world, size=(80, 24)) as console:
        await opened(console)
        await front(console, "Certificates")
        for words in ("● verified", "TLSv1.3", "CN=shop.example", "(80d)", "issuer CN=R11", "names shop.example, www.shop.example"):
            assert words in console.text.replace("(79d)", "(80d)"), words
        http_world.http.answers["http.detail"] = structs.replace(
            DETAIL, last=structs.replace(DETAIL.last, tls=structs.replace(bad, chain=chain))
        )
        await console.press("enter")
        await answered(console)
        assert "× not verified: certificate has expired" in console.text
        assert "■ ends 06 Mar 2026 (2d)" in console.text


async def test_how_it_is_checked_holds_references_and_no_secrets(http_world):
    async with endpoints_screen(http_world, size=(80, 24)) as console:
        await opened(console)
        await front(console, "How")
        assert "auth      bearer ${SHOP_TOKEN}" in console.text
        assert "runbook   https://wiki.example/runbooks/checkout" in console.text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("reports", ("· suppressed for", "suppressed by postgres:shop; status: 500 Internal Server Error")),
        ("search", ("· maintenance for", "maintenance planned: counts for nothing")),
        (
            PARTNER,
            ("? unknown for", "not measured: ${PARTNER_TOKEN} is not set", "told nothing", "set it in the environment of perfconsole"),
        ),
        ("new", ("? unknown", "not checked yet", "no phases are known")),
        ("orders-db", ("last check: ok in", "avail    100%")),
        ("在庫", ("ENDPOINT 在庫", "http://10.0.0.9:8080/在庫")),
    ],
)
async def test_states_are_told_in_words(http_world, name, words):
    async with endpoints_screen(http_world, size=(80, 24)) as console:
        await opened(console, name)
        for told in words:
            assert told in console.text, told


async def test_when_checks_cease_it_is_stale(http_world):
    async with endpoints_screen(http_world, size=(80, 24)) as console:
        await opened(console, "api")
        http_world.http.silent.add("api")
        await console.step(12)
        assert "◌ stale" in console.text
        assert "no check for" in console.text


async def test_one_that_is_removed_keeps_what_was_last_known(http_world):
    async with endpoints_screen(http_world, size=(80, 24)) as console:
        await opened(console)
        http_world.http.scripts = tuple(script for script in SCRIPTS if script.name != CHECKOUT)
        await console.step()
        assert "◌ not checked any more, what was last known is shown" in console.text
        assert "502 Bad Gateway" in console.text
        assert not console.app.can("endpoint.check")


async def test_few_facts_are_those_that_tell_how_it_does(http_world):
    async with endpoints_screen(http_world, size=(80, 24)) as console:
        await opened(console, "api")
        facts = " ".join(console.lines[5:9])
        for label in ("last", "error", "avail", "cert     12d", "p95", "checked"):
            assert f" {label} " in facts, label
        assert " every " not in facts


async def test_what_is_the_consoles_own_is_told_of_a_good_check_as_well(http_world):
    http_world.http.changed["api"] = {"doubt_s": 0.002}
    async with endpoints_screen(http_world, size=(80, 24)) as console:
        await opened(console, "api")
        await console.step()
        assert console.pane.NAME == "Phases"
        assert "ours: late 400us  turn 0us  doubt 2.0ms" in console.text


async def test_classes_of_failures_are_counted(http_world):
    http_world.http.changed[CHECKOUT] = {"failures": (("timeout", 25), ("503", 5))}
    async with endpoints_screen(http_world, size=(80, 24)) as console:
        await opened(console)
        await console.step()
        await front(console, "Percentiles")
        assert "failed in 12m: 25x timeout, 5x 503" in console.text
        await console.press("y")
        assert "failed: 25x timeout, 5x 503" in console.app.clipboard


async def test_what_is_checked_rarely_has_percentiles_of_its_hundred_checks(http_world):
    rare = {"interval_s": 3600.0, "held_s": 360_000.0, "n": 101, "p95_s": 1.5, "p99_s": 2.0, "cut_s": 2.0, "failed": 0}
    http_world.http.changed["api"] = rare
    async with endpoints_screen(http_world, size=(120, 42)) as console:
        await opened(console, "api")
        await console.step()
        (line,) = [line for line in console.lines if "4d4h" in line and ">=2.0s" in line]
        assert [cell for cell in line.split() if cell in {"101", "1.5s", ">=2.0s"}] == ["101", "1.5s", ">=2.0s"]
        assert "1.5s (n 101, 4d4h)" in console.text


async def test_the_certificates_of_hops_are_told_beside_the_last_ones(http_world):
    hops = (structs.replace(FAILURE.hops[0], url="https://shop.example/", expires=START + 2.5 * 86_400), FAILURE.hops[1])
    http_world.http.answers["http.detail"] = structs.replace(DETAIL, last=structs.replace(DETAIL.last, hops=hops))
    async with endpoints_screen(http_world, size=(80, 40)) as console:
        await opened(console)
        await front(console, "Certificates")
        at = next(number for number, line in enumerate(console.lines) if "on the way: https://shop.example/" in line)
        assert "■ ends 06 Mar 2026 (2d)" in console.lines[at + 1]


# Asking -----------------------------------------------------------------------------------------------------------------------------


async def test_it_is_read_again_when_it_fails_and_when_it_fails_in_another_way(http_world):
    failures = [
        {"state": "up", "cause": "protocol", "error": "server closed"}, {"state": "down", "cause": "protocol", "error": "server closed"},
        {"state": "down", "cause": "status", "error": "503", "status": 503},
        {"state": "down", "cause": "status", "error": "504", "status": 504},
        {"state": "down", "cause": "status", "error": "504 db pool full", "status": 504}, {},
    ]  # fmt: skip
    async with endpoints_screen(http_world, size=(80, 24)) as console:
        await opened(console, "api")
        await console.step(2)
        assert len(asked(http_world, "detail")) == 1
        for count, fields in enumerate(failures, 2):
            http_world.http.changed["api"] = fields
            await console.step()
            await answered(console)
            assert len(asked(http_world, "detail")) == count
            await console.step(2)
            assert len(asked(http_world, "detail")) == count  # it goes on as it is


async def test_while_it_fails_as_before_it_is_read_again_every_ten_seconds(http_world, kind):
    latest = structs.replace(DETAIL.failure, body="db pool full")
    async with endpoints_screen(http_world, kind, (110, 60)) as console:
        await opened(console)
        http_world.http.answers["http.detail"] = structs.replace(DETAIL, failure=latest)
        await console.step(4)
        assert len(asked(http_world, "detail")) == 1
        await console.step()
        await answered(console)
        assert len(asked(http_world, "detail")) == 2
        assert "db pool full" in console.text
        http_world.http.changed[CHECKOUT] = {"state": "up", "cause": "", "error": ""}
        await console.step()
        await answered(console)
        await console.step(12)
        assert len(asked(http_world, "detail")) == 3  # what is well stays as it was read


async def test_a_refusal_stands_where_the_answer_would(http_world, kind):
    http_world.http.answers["http.detail"] = RequestError("no endpoint of that name", "it was removed: reload")
    async with endpoints_screen(http_world, kind, (80, 24)) as console:
        await opened(console)
        assert "no endpoint of that name" in console.text
        assert "it was removed: reload" in console.text
        assert "the last check, at 03:12:00, failed: timeout: no first byte" in console.text
        http_world.http.answers["http.detail"] = DETAIL
        await console.press("enter")
        await answered(console)
        assert "status  502" in console.text
        http_world.http.answers["http.detail"] = RequestError("busy", "")
        await console.press("enter")
        await answered(console)
        assert "busy" in console.text  # what was read before stays
        assert "status  502" in console.text


async def test_a_check_now_is_told_and_what_came_of_it_read(http_world, kind):
    async with endpoints_screen(http_world, kind, (80, 24)) as console:
        await opened(console)
        await console.press("c")
        await answered(console)
        assert asked(http_world, "check") == [EndpointArgs(CHECKOUT)]
        assert "checkout: up, 200 in 88ms" in console.lines[-1]
        assert len(asked(http_world, "detail")) == 2
        http_world.http.answers["http.check"] = RequestError("checkout is in maintenance", "wait")
        await console.press("c")
        await answered(console)
        assert "checkout is in maintenance" in console.lines[-1]
        assert len(asked(http_world, "detail")) == 2


class Slow(Told):
    """A source whose answers come when a test says so."""

    def __init__(self, *ticks):
        super().__init__(*ticks)
        self.asked, self.free = [], asyncio.Event()

    async def request(self, op, args):
        self.asked.append(op)
        await self.free.wait()
        return Done("late news") if op == "http.check" else DETAIL


def stream(past=False, ops=()):
    """What is told of one endpoint: its row, and three minutes of its series."""
    made = row(script_of(CHECKOUT))
    labels = (("endpoint", CHECKOUT), ("service", made.service))
    group = Group(1, "http", CHECKOUT, 10.0, tuple(SeriesDef(f"httpcheck.{name}", labels) for name in ("up", "duration", "status")))
    readings = [Reading(1, START - 10 * i, [1.0, 0.3, 200.0] if i > 3 else [0.0, 5.0, nan]) for i in reversed(range(18))]
    about = Stream("box", "s", "b", "0", ops=frozenset(ops), rules=SHIPPED)
    table = EndpointTable(TARGET, START, 1, [made])
    news = [(START - 600, "up"), (START - 132, "down, timeout: no first byte within 5.0s")]
    events = [Event(at - 10, at, "endpoint", CHECKOUT, f"{CHECKOUT}: {text}", "http") for at, text in news]
    return Tick(1, START, 0.0, key=True, past=past, groups=[group], readings=readings, tables=[table], events=events, stream=about)


async def test_what_arrives_after_it_was_closed_is_dropped():
    source = Slow(stream(ops=("http.detail", "http.check")))
    app = console_app(source)
    async with app.run_test(size=(80, 24)) as pilot:
        console = Console(app, pilot)
        await pilot.pause()
        screen = EndpointScreen(row(script_of(CHECKOUT)))
        await app.push_screen(screen)
        await console.press("c", "c")
        assert "checkout is being checked" in console.lines[-1]
        await console.until(lambda: source.asked == ["http.detail", "http.check"])
        assert "reading…" in console.text
        await console.press("escape")
        source.free.set()
        await pilot.pause()
        assert screen.detail.result is None
        assert "late news" not in console.text


@pytest.mark.parametrize(("past", "why"), [(True, "a recording does not hold this"), (False, "this source does not offer it")])
async def test_what_cannot_be_read_is_said_and_the_rest_is_there(past, why):
    app = console_app(Told(stream(past)))
    async with app.run_test(size=(80, 24)) as pilot:
        console = Console(app, pilot)
        await pilot.pause()
        await app.push_screen(EndpointScreen(row(script_of(CHECKOUT))))
        await console.until(lambda: "LATENCY" in console.text)
        assert "■ down for 2m12s" in console.text
        assert "4 of 18 failed" in console.text
        assert "failed: timeout: no first byte within 5.0s" in console.text
        for name in ("Failure", "History", "Certificates", "How"):
            await front(console, name)
            assert why in console.text, name
        assert "https://wiki.example/runbooks/checkout" in console.text
        await front(console, "History")
        assert re.search(r"03:09:48 ■ down +2m12s +timeout: no first byte", console.text)  # what was told as it happened is known
        assert re.search(r"03:02:00 ● up +7m48s", console.text)
        await front(console, "Percentiles")
        assert ">=5.0s" in console.text
        assert not console.app.can("endpoint.check")
        await console.press("c", "enter")
        assert "cannot be had here now" in console.lines[-1]


async def test_a_held_moment_is_read_when_it_ends(http_world):
    async with endpoints_screen(http_world, size=(80, 24)) as console:
        await console.press("space")
        await console.app.push_screen(EndpointScreen(row(script_of(CHECKOUT))))
        await console.settled()
        assert "not read while a moment is held" in console.text
        await console.press("space")
        await answered(console)
        assert "status  502" in console.text


# Copying ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("Failure", ("**checkout** failed 2026-03-04 03:10:00 UTC: status: 502 Bad Gateway", "```\nserver: nginx", "[red]nginx[/red]")),
        ("Phases", ("**checkout**: phases\n\n| phase | last check | median", "| wait | ")),
        ("Percentiles", ("| over | n | p50 | p90 | p95 | p99 | max | error % |", "| \\<1m | ")),
        ("History", ("- 2026-03-04 03:09:48 UTC: down for ", "- 2026-03-04 03:05:20 UTC: failing for 10s, timeout: no first byte")),
        ("Certificates", ("**checkout**: verified", "- CN=shop.example: until 2026-05-23 03:12:00 UTC")),
        ("How", ("**checkout** is checked so:", "- auth: bearer ${SHOP\\_TOKEN}")),
    ],
)
async def test_every_section_is_copied_as_markdown(http_world, section, words):
    async with endpoints_screen(http_world, size=(80, 24)) as console:
        await opened(console)
        await front(console, section)
        await console.press("y")
        for part in words:
            assert part in console.app.clipboard, part
        assert "copied: " in console.lines[-1]


async def test_before_it_was_read_what_the_table_says_is_copied(http_world):
    http_world.http.answers["http.detail"] = RequestError("busy", "")
    async with endpoints_screen(http_world, size=(80, 24)) as console:
        await opened(console)
        await console.press("y")
        assert console.app.clipboard.startswith("**checkout** failed 2026-03-04 03:12:")
        assert console.app.clipboard.endswith("timeout: no first byte within 5.0s\n\n- https://shop.example/checkout")


async def test_the_runbooks_address_is_copied_where_there_is_one(http_world):
    async with endpoints_screen(http_world, size=(160, 48)) as console:
        await opened(console)
        assert "o runbook" in console.lines[-1]
        await console.press("o")
        assert console.app.clipboard == "https://wiki.example/runbooks/checkout"
        await console.press("escape")
        await opened(console, "api")
        assert not console.app.can("endpoint.runbook")


async def test_an_endpoint_of_which_nothing_is_told_says_so(http_world):
    http_world.http.answers["http.detail"] = EndpointDetail([])
    async with endpoints_screen(http_world, size=(80, 24)) as console:
        await opened(console, "api")
        for name, words in (("History", "its state has not changed"), ("Certificates", "no handshake has told of any"), ("How", "none")):
            await front(console, name)
            assert words in console.text, name
