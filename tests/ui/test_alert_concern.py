"""Whom `a` and `z` are about on screens of one thing: its own alerts, whatever else fires, and never the worst of others."""

import pytest
from alert_world import ALERTS, CPU, DOWN, alert, alert_world, alerts_screen, checked, make_alert_world
from http_world import CHECKOUT, LOGIN, SCRIPTS, row
from msgspec import structs
from units_world import unit
from world import START

from perfconsole.core.alert_requests import AckArgs
from perfconsole.core.endpoints import EndpointRow
from perfconsole.core.requests import ALERT_ACK
from perfconsole.core.tick import Ack
from perfconsole.ui.endpoint_rows import Service
from perfconsole.ui.screens.alert_dialogs import AckDialog, SilenceDialog
from perfconsole.ui.screens.endpoint import EndpointScreen
from perfconsole.ui.screens.server import ServerScreen
from perfconsole.ui.screens.unit import UnitScreen

__all__ = ["alert_world", "make_alert_world"]

LOGIN_DOWN = alert("service-down-critical", "httpcheck.up", checked(LOGIN, "api"), value=0.0, limit=0.5, above=False, ago=90.0)
LOGIN_WORST = alert("login-slow", "httpcheck.duration", checked(LOGIN, "api"), ago=8_000.0)
POOL = alert("connections-warning", "postgresql.connections.utilization", (("server", "shop"),), "warning", ago=90.0)
OOM = alert("oom-warning", "cgroup.oom_kills", (("unit", "web.service"),), "warning", ago=90.0)


def script(name):
    return next(one for one in SCRIPTS if one.name == name)


async def on(console, screen):
    await console.app.push_screen(screen)
    await console.settled()


async def on_table(console, name):
    await console.press("5")
    await console.step()
    await selected(console, console.screen.table, lambda row: isinstance(row, EndpointRow) and row.name == name)


async def selected(console, pane, wanted):
    """Go down from the first line to one."""
    await console.press("g")
    for _ in range(40):
        if pane.row is not None and wanted(pane.row):
            return
        await console.press("j")
    raise AssertionError([item.row for item in pane._items])


def about(console):
    return [one.id for one in console.screen.alerts]


@pytest.mark.parametrize("key", ["a", "z"])
async def test_on_an_endpoints_screen_it_is_about_that_one(make_alert_world, kind, key):
    async with alerts_screen(make_alert_world(4, alerts=[*ALERTS, LOGIN_DOWN]), kind) as console:
        await on(console, EndpointScreen(row(script(LOGIN))))
        await console.press(key)
        assert isinstance(console.screen, AckDialog if key == "a" else SilenceDialog)
        assert about(console) == [LOGIN_DOWN.id]
        assert "login" in console.text
        if key == "z":
            assert "endpoint=login" in console.text
            return
        await console.press("enter")
        await console.until(lambda: console.world.keeper.asked_for(ALERT_ACK))
        assert console.world.keeper.asked_for(ALERT_ACK) == [AckArgs(LOGIN_DOWN.id, LOGIN_DOWN.since, "kim", "")]


@pytest.mark.parametrize("key", ["a", "z"])
async def test_where_none_of_its_own_fires_that_is_said(alert_world, key):
    async with alerts_screen(alert_world) as console:
        screen = EndpointScreen(row(script(LOGIN)))
        await on(console, screen)
        await console.press(key)
        assert console.screen is screen
        assert "no alert of login is firing" in console.lines[-1]


async def test_of_several_it_is_the_gravest_that_nobody_is_on(make_alert_world):
    worst = structs.replace(LOGIN_WORST, ack=Ack("ops", START - 60, "on it"))
    async with alerts_screen(make_alert_world(4, alerts=[worst, LOGIN_DOWN])) as console:
        await on(console, EndpointScreen(row(script(LOGIN))))
        await console.press("a")
        assert about(console) == [LOGIN_DOWN.id]
        await console.press("escape")
        console.world.say(structs.replace(worst, ack=None))
        await console.settled()
        await console.press("a")
        assert about(console) == [LOGIN_WORST.id]


@pytest.mark.parametrize("key", ["a", "z"])
async def test_in_the_table_it_is_about_the_selected_one(make_alert_world, key):
    async with alerts_screen(make_alert_world(4, alerts=[*ALERTS, LOGIN_DOWN])) as console:
        await on_table(console, LOGIN)
        await console.press(key)
        assert about(console) == [LOGIN_DOWN.id]
        await console.press("escape")
        await on_table(console, CHECKOUT)
        await console.press(key)
        assert about(console) == [DOWN.id]


async def test_of_a_muted_one_it_is_known_that_it_fires(alert_world):
    async with alerts_screen(alert_world) as console:
        await on_table(console, "cart")
        await console.press("a")
        assert [one.partition("{")[0] for one in about(console)] == ["response-time-warning"]


async def test_of_a_selected_service_it_is_about_its_endpoints(make_alert_world):
    cart = structs.replace(DOWN, id="other", labels=checked("cart"))
    async with alerts_screen(make_alert_world(4, alerts=[DOWN, cart, CPU, LOGIN_DOWN])) as console:
        await console.press("5")
        await console.step()
        table = console.screen.table
        await selected(console, table, lambda row: isinstance(row, Service) and row.row.name == "shop")
        await console.press("a")
        assert set(about(console)) == {DOWN.id, "other"}


async def test_with_nothing_selected_it_is_what_the_header_tells(make_alert_world):
    async with alerts_screen(make_alert_world(4, alerts=[*ALERTS, LOGIN_DOWN])) as console:
        await console.press("5")
        await console.step()
        console.screen.table.selected = None
        await console.press("a")
        assert about(console) == [DOWN.id]


async def test_on_operations_it_is_about_the_endpoint_that_has_the_keys(make_alert_world):
    async with alerts_screen(make_alert_world(4, alerts=[*ALERTS, LOGIN_DOWN])) as console:
        await console.press("1")
        await console.step()
        await console.press("a")
        assert about(console) == [DOWN.id]  # the worst, which the header tells
        await console.press("escape")
        pane = console.screen.query_one("#http")
        pane.focus()
        await selected(console, pane, lambda row: isinstance(row, EndpointRow) and row.name == LOGIN)
        await console.press("a")
        assert about(console) == [LOGIN_DOWN.id]


@pytest.mark.parametrize(("screen", "found"), [(lambda: ServerScreen("shop"), POOL), (lambda: UnitScreen(unit("/web.service")), OOM)])
async def test_on_other_screens_of_one_thing(make_alert_world, screen, found):
    async with alerts_screen(make_alert_world(4, alerts=[*ALERTS, found])) as console:
        await on(console, screen())
        await console.press("a")
        assert about(console) == [found.id]
        await console.press("escape")
        console.world.say(structs.replace(found, state="resolved", before="firing", at=START))
        await console.settled()
        await console.press("a")
        assert f"no alert of {found.labels[0][1]} is firing" in console.lines[-1]
