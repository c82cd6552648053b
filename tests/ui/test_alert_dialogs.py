"""Acknowledging, silencing and ending silences: what is asked of the engine, what is refused before, and to whom it is bound."""

import pytest
from alert_world import ALERTS, CPU, DISK, DOWN, KEPT, alert_world, alerts_screen, make_alert_world, storm
from msgspec import structs
from textual.events import Paste
from world import START

from perfconsole.core.alert_requests import AckArgs, SilenceArgs
from perfconsole.core.errors import RequestError
from perfconsole.core.requests import ALERT_ACK, ALERT_SILENCE, ALERT_UNSILENCE, Done
from perfconsole.core.tick import Ack
from perfconsole.ui.screens.alert_dialogs import AckDialog, EndSilenceDialog, SilenceDialog, common
from perfconsole.ui.screens.alerts import AlertsScreen

__all__ = ["alert_world", "make_alert_world"]


async def dialog(console, key, rule=DOWN.rule):
    table = console.app.front.table
    await console.press("g")
    while table.alert is None or table.alert.rule != rule:
        await console.press("j")
    await console.press(key)
    return console.screen


def typed(text):
    return ["space" if char == " " else char for char in text]


async def asked(console, spec, count=1):
    await console.until(lambda: len(console.world.keeper.asked_for(spec)) >= count)
    await console.settled()
    return console.world.keeper.asked_for(spec)


# Acknowledging ----------------------------------------------------------------------------------------------------------------------


async def test_it_is_taken_on_with_a_word(alert_world, kind):
    alert_world.keeper.answers[ALERT_ACK.name] = Done("acknowledged by kim")
    async with alerts_screen(alert_world, kind) as console:
        assert isinstance(await dialog(console, "a"), AckDialog)
        assert "taken on by kim" in console.text
        await console.press(*typed("jk on it"), "enter")
        assert await asked(console, ALERT_ACK) == [AckArgs(DOWN.id, DOWN.since, "kim", "jk on it")]
        assert "acknowledged by kim" in console.lines[-1]
        assert isinstance(console.screen, AlertsScreen)


async def test_esc_asks_nothing(alert_world):
    async with alerts_screen(alert_world) as console:
        await dialog(console, "a")
        await console.press(*typed("x"), "escape")
        assert isinstance(console.screen, AlertsScreen)
        assert alert_world.keeper.asked == []


async def test_ones_own_is_given_back(make_alert_world):
    mine = structs.replace(DOWN, ack=Ack("kim", START - 60, "on it"))
    async with alerts_screen(make_alert_world(4, alerts=[mine])) as console:
        screen = await dialog(console, "a")
        assert screen.fields == []
        assert "taken on by you 03:11:00: on it" in console.text
        assert "Enter give it back" in console.text
        await console.press("j", "x", "enter")
        assert await asked(console, ALERT_ACK) == [AckArgs(DOWN.id, DOWN.since, "", "")]


async def test_that_of_another_is_taken_over(alert_world):
    async with alerts_screen(alert_world) as console:
        await dialog(console, "a", CPU.rule)
        assert "taken on by ops 03:02:00: looking at the batch job" in console.text
        assert "Enter take it over" in console.text
        await console.press("enter")
        assert await asked(console, ALERT_ACK) == [AckArgs(CPU.id, CPU.since, "kim", "")]


async def test_it_is_bound_to_the_occurrence_that_was_shown(alert_world):
    async with alerts_screen(alert_world) as console:
        await dialog(console, "a")
        alert_world.say(structs.replace(DOWN, since=START + 1, at=START + 61, fired_at=START + 61))
        await console.settled()
        console.screen.redraw()
        await console.settled()
        assert "it is over" in console.text
        await console.press("enter")
        assert await asked(console, ALERT_ACK) == [AckArgs(DOWN.id, DOWN.since, "kim", "")]


async def test_a_refusal_is_told(alert_world):
    alert_world.keeper.answers[ALERT_ACK.name] = RequestError("it does not stand any more")
    async with alerts_screen(alert_world) as console:
        await dialog(console, "a")
        await console.press("enter")
        await asked(console, ALERT_ACK)
        assert "it does not stand any more" in console.lines[-1]


async def test_what_is_coming_can_be_taken_on_what_is_over_cannot(alert_world):
    async with alerts_screen(alert_world) as console:
        await dialog(console, "a", "memory-usage-critical")
        assert isinstance(console.screen, AckDialog)
        await console.press("escape")
        await console.press("g")
        while console.app.front.table.alert is None or console.app.front.table.alert.state != "resolved":
            await console.press("j")
        await console.press("a")
        assert isinstance(console.screen, AlertsScreen)
        assert "what is over cannot be acknowledged" in console.lines[-1]


async def test_a_storm_is_taken_on_at_once(make_alert_world):
    every = storm(12)
    async with alerts_screen(make_alert_world(4, alerts=every)) as console:
        await console.press("g", "a")
        assert "service-down: 12 endpoints" in console.text
        assert "Enter acknowledge all 12" in console.text
        await console.press("enter")
        found = await asked(console, ALERT_ACK, 12)
        assert {args.id for args in found} == {one.id for one in every}
        assert "12 alerts: done" in console.lines[-1]


async def test_of_several_it_is_told_how_many_were_done(make_alert_world):
    world = make_alert_world(4, alerts=storm(12))
    world.keeper.answers[ALERT_ACK.name] = lambda args: RequestError("it is over") if "003" in args.id else Done("yes")
    async with alerts_screen(world) as console:
        await console.press("g", "a", "enter")
        await asked(console, ALERT_ACK, 12)
        await console.until(lambda: "11 of 12 done: it is over" in console.lines[-1])


# Silencing --------------------------------------------------------------------------------------------------------------------------


async def test_it_is_silenced_for_a_time_and_a_reason(alert_world, kind):
    async with alerts_screen(alert_world, kind) as console:
        screen = await dialog(console, "z")
        assert isinstance(screen, SilenceDialog)
        assert "covers 1 of 5 that fire or are pending" in console.text
        assert "until 04:12, by kim" in console.text
        await console.press(*typed("deploy"), "up", "right", "enter")
        (args,) = await asked(console, ALERT_SILENCE)
        assert args == SilenceArgs((("rule", DOWN.rule), ("endpoint", "checkout"), ("service", "shop")), 4 * 3600.0, "kim", "deploy")


async def test_everything_can_be_written(alert_world):
    async with alerts_screen(alert_world) as console:
        screen = await dialog(console, "z", DISK.rule)
        assert screen.fields[0].text == "rule=disk-usage-warning mountpoint=/var"
        await console.press("tab", "ctrl+u", *typed("severity=warning rule=disk-*"), "tab", *typed("90m"), "tab", *typed("why"))
        assert "covers 1 of 5" in console.text
        screen.post_message(Paste("not\n\x1b[31m now"))
        await console.settled()
        await console.press("backspace", "ctrl+w", *typed("today"), "enter")
        (args,) = await asked(console, ALERT_SILENCE)
        assert args == SilenceArgs((("severity", "warning"), ("rule", "disk-*")), 5400.0, "kim", "whynot ␛[31m today")


@pytest.mark.parametrize(
    ("keys", "words", "field"),
    [
        ((), "a reason is needed: whoever finds it silent wants to know why", "reason"),
        (("r", "up", "ctrl+u", *typed("soon")), "not a duration: 'soon'", "for"),
        (("r", "up", *typed("90d")), "90d: from 10s to 30d", "for"),
        (("r", "up", *typed("1s")), "1s: from 10s to 30d", "for"),
        (("r", "tab", "ctrl+u", *typed("checkout")), "'checkout' is no label=glob", "match"),
        (("r", "tab", "ctrl+u"), "nothing to match", "match"),
        (("r", "tab", "ctrl+u", *typed("rule=*")), "this would silence everything there is", "match"),
    ],
)
async def test_bad_input_gets_a_line_and_stays(alert_world, keys, words, field):
    async with alerts_screen(alert_world) as console:
        screen = await dialog(console, "z")
        await console.press(*keys, "enter")
        assert isinstance(console.screen, SilenceDialog)
        assert words in " ".join(console.text.split())
        assert screen.field.name == field
        assert alert_world.keeper.asked == []
        await console.press("x")
        assert words not in " ".join(console.text.split()), "until something is typed"


@pytest.mark.parametrize("size", [(60, 16), (80, 24)])
async def test_it_fits_on_every_screen_with_its_trouble(alert_world, size):
    async with alerts_screen(alert_world, size=size) as console:
        await dialog(console, "z")
        await console.press("enter")
        assert "a reason is needed" in console.text
        assert "Enter silence" in console.text or "Tab next field" in console.text


async def test_presets_go_round(alert_world):
    async with alerts_screen(alert_world) as console:
        screen = await dialog(console, "z")
        await console.press("up")
        found = []
        for _ in range(5):
            await console.press("right")
            found.append(screen.fields[1].text)
        assert found == ["4h", "1d", "15m", "1h", "4h"]
        await console.press("left")
        assert screen.fields[1].text == "1h"


async def test_a_storm_is_silenced_by_what_it_has_in_common(make_alert_world):
    async with alerts_screen(make_alert_world(4, alerts=storm(30))) as console:
        await console.press("g", "z")
        assert console.screen.fields[0].text == "rule=service-down-critical service=shop"
        assert "covers 30 of 30" in console.text


async def test_what_nothing_lies_under_is_said(alert_world):
    async with alerts_screen(alert_world) as console:
        await dialog(console, "z")
        await console.press("tab", "ctrl+u", *typed("endpoint=nobody"))
        assert "covers nothing that fires now" in console.text


def test_what_several_have_in_common():
    assert common([DOWN]) == (("rule", DOWN.rule), ("endpoint", "checkout"), ("service", "shop"))
    assert common([DOWN, ALERTS[3]]) == (("service", "shop"),)
    assert common([DOWN, CPU]) == ()


# Ending a silence -------------------------------------------------------------------------------------------------------------------


async def test_one_that_has_ended_meanwhile_is_said_to_have(alert_world):
    async with alerts_screen(alert_world) as console:
        await console.press("G", "z")
        assert isinstance(console.screen, EndSilenceDialog)
        assert "by ops  03:02:00  growing it tonight" in console.text
        alert_world.say(silences=())
        await console.settled()
        console.screen.redraw()
        await console.settled()
        assert "it has ended" in console.text
        await console.press("enter")
        assert (await asked(console, ALERT_UNSILENCE))[0].id == KEPT.id
