"""Changing a rule from the screen: what the form shows, what of it is sent, what is refused, and where it is not offered."""

import asyncio

import pytest
from alert_world import ALERTS, CPU, DOWN, OWN, RULES, RUNBOOK, alert_world, alerts_screen, make_alert_world, storm
from msgspec import structs
from world import Console, console_app

from perfconsole.core.alert_requests import RuleArgs
from perfconsole.core.errors import ConfigError
from perfconsole.core.requests import RULE_EDIT, Done
from perfconsole.ui.screens.alert import AlertScreen
from perfconsole.ui.screens.alerts import AlertsScreen
from perfconsole.ui.screens.rule_dialog import RuleDialog, written

__all__ = ["alert_world", "make_alert_world"]

REFUSED = "/etc/perfconsole/config.toml:14: alert[2].for: not a duration: 'moons' (accepted: 250ms 10s 5m 24h 30d)"


async def select(console, rule):
    await console.press("g")
    while console.app.front.table.alert is None or console.app.front.table.alert.rule != rule:
        await console.press("j")


async def form(console, rule=CPU.rule):
    await select(console, rule)
    await console.press("E")
    assert isinstance(console.screen, RuleDialog)
    return console.screen


async def asked(console):
    await console.until(lambda: console.world.keeper.asked_for(RULE_EDIT))
    await console.settled()
    return console.world.keeper.asked_for(RULE_EDIT)


def told(console):
    return " ".join(console.text.replace("│", " ").split())


async def test_it_shows_the_rule_as_written_and_sends_what_was_changed(alert_world, kind):
    alert_world.keeper.answers[RULE_EDIT.name] = Done("perfconsole.toml: endpoints: as they were; rules: 1 changed")
    async with alerts_screen(alert_world, kind) as console:
        screen = await form(console)
        assert {field.name: field.text for field in screen.fields} == {
            "severity": "warning", "above": "80%", "for": "5m", "clear": "", "keep_firing_for": "", "respond_within": "10m",
            "runbook": RUNBOOK, "enabled": "true",
        }  # fmt: skip
        for words in ("cpu-busy-warning system.cpu.utilization avg over 1m", "written in perfconsole.toml:12"):
            assert words in told(console)
        await console.press("ctrl+u", *"85%", "tab", "ctrl+u", *"10m", "up", "up", "left")
        assert "to be written: severity, above, for" in told(console)
        await console.press("enter")
        assert await asked(console) == [RuleArgs(OWN.name, (("severity", "critical"), ("above", "85%"), ("for", "10m")))]
        assert isinstance(console.screen, AlertsScreen)
        assert "cpu-busy-warning is changed  perfconsole.toml: endpoints: as they were; rules: 1 changed" in console.lines[-1]


async def test_an_empty_key_is_taken_away_and_spaces_are_none(alert_world):
    async with alerts_screen(alert_world) as console:
        await form(console)
        await console.press(*["up"] * 4, "ctrl+u", "down", "ctrl+u", "space", "enter")
        assert await asked(console) == [RuleArgs(OWN.name, (("respond_within", ""), ("runbook", "")))]


async def test_a_rule_that_ships_is_said_to_become_a_copy(alert_world, kind):
    async with alerts_screen(alert_world, kind) as console:
        screen = await form(console, DOWN.rule)
        assert "ships: a copy will be written to the configuration" in told(console)
        assert [field.text for field in screen.fields if field.name == "below"] == ["0.5"]
        await console.press("tab", "ctrl+u", *"2m", "enter")
        assert await asked(console) == [RuleArgs(DOWN.rule, (("for", "2m"),))]


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (120, 36)])
async def test_what_is_refused_stands_in_the_form_and_nothing_is_lost(alert_world, kind, size):
    alert_world.keeper.answers[RULE_EDIT.name] = ConfigError(f"{REFUSED}\nand another") if kind == "local" else ConfigError(REFUSED)
    async with alerts_screen(alert_world, kind, size) as console:
        screen = await form(console)
        await console.press("tab", "ctrl+u", *"moons", "enter")
        await asked(console)
        await console.until(lambda: screen.trouble)
        await console.settled()
        assert console.screen is screen
        shown = told(console).replace("/ etc", "/etc")
        assert "alert[2].for: not a duration: 'moons'" in shown
        assert screen.trouble == REFUSED + ("  (and 1 more)" if kind == "local" else "")
        assert "for moons_" in shown
        assert all(field.name in shown for field in screen.fields)
        alert_world.keeper.answers[RULE_EDIT.name] = Done("rules: 1 changed")
        await console.press("ctrl+u", *"7m")
        assert "not a duration" not in told(console)
        await console.press("enter")
        await console.until(lambda: isinstance(console.screen, AlertsScreen))
        assert alert_world.keeper.asked_for(RULE_EDIT)[-1] == RuleArgs(OWN.name, (("for", "7m"),))


async def test_nothing_changed_is_nothing_to_ask(alert_world):
    async with alerts_screen(alert_world) as console:
        screen = await form(console)
        await console.press("enter")
        assert console.screen is screen
        assert "nothing is changed" in told(console)
        await console.press("escape")
        assert isinstance(console.screen, AlertsScreen)
        assert alert_world.keeper.asked == []


@pytest.mark.parametrize("answer", [Done("rules: 1 changed"), ConfigError("it cannot be written")])
async def test_while_it_is_written_nothing_is_typed_and_esc_leaves_it_to_be_told(alert_world, answer):
    async with alerts_screen(alert_world) as console:
        go_on = asyncio.Event()

        async def late(op, args):
            asked.append((op, args))
            await go_on.wait()
            if isinstance(answer, Exception):
                raise answer
            return answer

        asked, console.app.source.request = [], late
        screen = await form(console)
        await console.press("ctrl+u", *"85%", "enter", "9", "enter")
        assert asked == [(RULE_EDIT.name, RuleArgs(OWN.name, (("above", "85%"),)))]
        assert "writing" in told(console)
        assert screen.fields[1].text == "85%"
        await console.press("escape")
        assert isinstance(console.screen, AlertsScreen)
        go_on.set()
        await console.until(lambda: str(getattr(answer, "text", answer)) in console.lines[-1])


async def test_one_alert_and_a_storm_lead_to_their_rule(make_alert_world):
    async with alerts_screen(make_alert_world(4, alerts=[CPU, *storm(12)])) as console:
        await console.press("g", "E")
        assert isinstance(console.screen, RuleDialog)
        assert console.screen.rule.name == DOWN.rule
        await console.press("escape")
        await console.app.push_screen(AlertScreen(CPU))
        await console.settled()
        await console.press("E")
        assert console.screen.rule == OWN


async def test_that_it_was_changed_meanwhile_is_said(alert_world):
    async with alerts_screen(alert_world) as console:
        await form(console)
        for rules, words in (((*RULES[:-1], structs.replace(OWN, limit=0.5)), "it was changed meanwhile"), (RULES[:-1], "not in force")):
            alert_world.say(rules=rules)
            await console.settled()
            console.screen.redraw()
            assert words in told(console)


async def test_it_is_offered_only_where_there_is_a_rule_that_may_be_changed(make_alert_world):
    world = make_alert_world(4, rules=[rule for rule in RULES if rule.name != DOWN.rule])
    async with alerts_screen(world) as console:
        app = console.app
        assert not app.can("alert.edit"), "nothing is selected"
        await select(console, CPU.rule)
        assert app.can("alert.edit")
        assert "E change the rule" in " ".join(f"{key} {title}" for key, title in app.hints())
        await console.press("space")
        assert not app.can("alert.edit"), "the past is not changed"
        await console.press("L")
        await select(console, DOWN.rule)
        assert not app.can("alert.edit"), "its rule is not in force any more"
        await console.press("E")
        assert isinstance(console.screen, AlertsScreen)
        await console.press("G")
        assert not app.can("alert.edit"), "a silence has no rule"


async def test_read_only_it_is_not_offered(make_alert_world):
    world = make_alert_world(4)
    world.say(alerts=ALERTS)
    world.engine.stream = world.engine._intake.stream = structs.replace(world.engine.stream, read_only=True)
    app = console_app(world.connect("local"))
    async with app.run_test(size=(120, 36)) as pilot:
        console = Console(app, pilot, world)
        await console.until(lambda: app.pump.live.stream is not None)
        world.say(rules=RULES)
        await console.press("7", "g")
        await console.settled()
        assert app.state.stream.read_only
        assert not app.can("alert.edit")


def test_a_rule_is_taken_apart_as_it_is_written():
    rule = structs.replace(OWN, runbook='C:\\a "b" = c', source="a = b.toml:3", match=(("cpu", "*"),))
    assert written(rule)["runbook"] == 'C:\\a "b" = c'
    assert written(structs.replace(OWN, metric="system.load.1m", limit=4.0))["above"] == "4"
    assert not any(name.startswith("#") for name in written(rule))
