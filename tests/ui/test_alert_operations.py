"""Alerts on Operations and in the header: alerts before thresholds, each counted once, what is muted always seen; opened from there."""

import re
import time

import pytest
from alert_world import ALERTS, CPU, DISK, DOWN, RULES, SOON, AlertWorld, alert, alert_world, checked, crowd, make_alert_world
from http_world import CHECKOUT, SCRIPTS, many
from msgspec import structs
from world import START

from perfconsole.core.state import State
from perfconsole.core.tick import Stream, Tick
from perfconsole.ui import verdict
from perfconsole.ui.screens.alert import AlertScreen
from perfconsole.ui.screens.alerts import AlertsScreen
from perfconsole.ui.screens.system import SystemScreen
from perfconsole.ui.widgets.header import recorder_text
from perfconsole.ui.widgets.over import OverPane

__all__ = ["alert_world", "make_alert_world"]

LOW, LARGE = (80, 24), (160, 48)


def pane(console):
    return console.screen.query_one(OverPane)


def listed(console):
    """The lines of the list, as they stand on the screen."""
    found = pane(console)
    return [strip.text.strip() for strip in found._strips if strip.text.strip()]


def threshold(metric="system.memory.utilization", severity="critical", **fields):
    return alert("t", metric, severity=severity, colour=True, **fields)


def judged(*alerts):
    state = State()
    state.apply(Tick(1, START, 0.0, key=True, alerts=list(alerts)))
    return verdict.judge(state)


# What counts ------------------------------------------------------------------------------------------------------------------------


def test_an_alert_and_a_threshold_about_the_same_are_told_once():
    firing = structs.replace(SOON, state="firing", fired_at=START)
    assert judged(firing, threshold()).over == [firing]
    milder, worse = structs.replace(firing, severity="warning"), threshold()
    assert judged(milder, worse).over == [milder, worse], "what is worse than the alert says is news"
    assert judged(milder, threshold(severity="warning")).over == [milder]
    assert judged(SOON, threshold()).over == [threshold()], "what is pending says nothing yet"


def test_a_silenced_alert_hides_its_threshold_from_the_list_and_not_the_state_of_the_machine():
    silenced = structs.replace(SOON, state="firing", silence="1", muted="silenced by ops: deploy")
    found = judged(silenced, threshold())
    assert (found.alerts, found.muted, found.thresholds) == ([], [silenced], [])
    assert verdict.worst_of(found.matter) == "critical"
    for silence in ("", "1"):
        inhibited = structs.replace(silenced, silence=silence, muted="inhibited by x")
        assert verdict.worst_of(judged(inhibited).matter) == ""


@pytest.mark.parametrize("kind", ["local", "remote"])
async def test_a_silence_makes_no_endpoint_well(make_alert_world, open_console, kind):
    silenced = structs.replace(DOWN, silence="5f00aa01", muted="silenced by ops: deploy")
    alone = [script for script in SCRIPTS if script.name == CHECKOUT]
    async with open_console(make_alert_world(4, alone, alerts=[silenced]), kind, LARGE) as console:
        assert "HTTP ■ CRIT" in console.lines[0]
        assert "1 muted" in console.lines[0]
        assert " 1 CRIT" not in console.lines[0]


async def test_what_is_in_maintenance_makes_none_ill_though_it_is_silenced_too(make_alert_world, open_console):
    (search,) = [script for script in SCRIPTS if script.state == "maintenance"]
    labels = checked(search.name, search.service)
    planned = structs.replace(DOWN, labels=labels, silence="5f00aa01", muted="silenced by ops: deploy")
    async with open_console(make_alert_world(4, [search], alerts=[planned]), size=LARGE) as console:
        assert "HTTP ● OK" in console.lines[0]
        assert "1 muted" in console.lines[0]


async def test_that_somebody_records_is_told_at_80_columns_too(make_alert_world, open_console):
    for recorder, screens in (("/var/lib/perfconsole", "17"), ("", "1")):
        world = make_alert_world(4, scripts=(), alerts=[], silences=())
        world.engine.stream = structs.replace(world.engine.stream, recorder=recorder)
        world.say(rules=RULES)
        for size in ((80, 24), (60, 16)):
            async with open_console(world, size=size) as console:
                for screen in screens:
                    await console.press(screen)
                    assert ("  rec  03:1" in console.lines[0]) == bool(recorder), console.lines[0]


@pytest.mark.parametrize("size", [(60, 16), (80, 24), LARGE])
async def test_which_moment_is_held_is_never_crowded_out(make_alert_world, open_console, size):
    many = [structs.replace(CPU, id=str(i), rule=str(i), labels=(("cpu", str(i)),)) for i in range(12)]
    world = make_alert_world(4, alerts=[*ALERTS, *many])
    async with open_console(world, size=size) as console:
        await console.press("space")
        assert re.search(r"FROZEN 03:1\d:\d\d( |$)", console.lines[0]), console.lines[0]
        assert re.search("■ 1 CRIT  ?▲ 13 WARN", console.lines[0])
        assert ("live +" in console.lines[0]) == (size == LARGE)
        assert console.lines[-1].startswith(" L live again")
        await console.press("L")
        assert "live again" not in console.lines[-1]


async def test_the_worst_threshold_is_told_without_how_many_more_where_those_do_not_fit(make_alert_world, open_console):
    async with open_console(make_alert_world(4, scripts=(), alerts=[CPU], silences=()), size=(120, 36)) as console:
        assert " over: disk /var 91% > 85%" in console.lines[1], console.lines[1]


async def test_who_records_is_told_where_there_is_room(make_alert_world, open_console):
    for size, there in ((LOW, False), ((120, 36), False), (LARGE, True)):
        world = make_alert_world(4)
        world.engine.stream = structs.replace(world.engine.stream, recorder="/var/lib/perfconsole/a/very/long/way/recording")
        world.say(rules=RULES)
        async with open_console(world, size=size) as console:
            assert ("ay/recording  03:1" in console.lines[0]) == there, console.lines[0]
            assert ("recorder …" in console.lines[0]) == there
            await console.press("7")
            title = f"/a/very/long/way/recording  {sum(not rule.colour for rule in RULES)} rules"
            assert (title in console.lines[2]) == (size != LOW), console.lines[2]
            assert "recorder" not in console.lines[0], "it is told once"
    quiet = State()
    assert recorder_text(quiet, console.app.look, 99) == ""
    quiet.apply(Tick(1, START, 0.0, key=True, stream=Stream("h", "s", "b", "0", recorder="ops")))
    assert [recorder_text(quiet, console.app.look, room) for room in (12, 11)] == ["recorder ops", ""]
    quiet.apply(Tick(2, START, 0.0, key=True, stream=Stream("h", "s", "b", "0", recorder="字" * 200_000 + "end")))
    began = time.process_time()
    assert recorder_text(quiet, console.app.look, 30) == "recorder …" + "字" * 8 + "end"
    assert time.process_time() - began < 10  # a millisecond; measured sign by sign it takes minutes


def test_the_worst_is_first_then_the_oldest_and_thresholds_are_last():
    old, young = structs.replace(CPU, severity="critical", ack=None), DOWN
    found = judged(threshold("system.paging.utilization", ago=9000.0), young, CPU, structs.replace(old, id="x"))
    assert [one.id for one in found.over] == ["x", DOWN.id, CPU.id, "t{}"]


def test_an_answer_is_given_once_a_tick():
    state = State()
    state.apply(Tick(1, START, 0.0, key=True, alerts=[DOWN]))
    assert verdict.judge(state) is verdict.judge(state)
    state.apply(Tick(2, START + 1, 1.0, alerts=[CPU]))
    assert len(verdict.judge(state).alerts) == 2


# The header -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(60, 16), LOW, LARGE])
@pytest.mark.parametrize("key", ["1", "6", "5", "7"])
async def test_what_is_muted_and_acknowledged_is_seen_on_every_screen(alert_world, open_console, size, key):
    async with open_console(alert_world, size=size) as console:
        await console.press(key)
        for words in ("■ 1 CRIT", "▲ 1 WARN", "1 acked", "2 muted", "SYS ", "HTTP ■"):
            assert words in console.lines[0], words
        assert console.lines[1].startswith(" ■ CRIT  checkout is down (timeout)  for 2m12s  and 1 more")


async def test_who_is_on_the_worst_is_told(make_alert_world, open_console):
    world = make_alert_world(4, alerts=[structs.replace(CPU, severity="critical")])
    async with open_console(world, size=LARGE) as console:
        assert "for 1h06m  acked by ops" in console.lines[1]


async def test_where_all_that_fires_is_muted_the_header_says_so(make_alert_world, open_console):
    world = AlertWorld(0, scripts=(), alerts=[DISK])
    try:
        world.system.missing = frozenset({"system.filesystem.utilization"})
        world.advance(4)
        async with open_console(world, size=LARGE) as console:
            assert "1 muted" in console.lines[0]
            assert "nothing but what is muted is over its threshold" in console.lines[1]
    finally:
        world.close()


async def test_a_storm_is_one_line_in_header_and_list(make_alert_world, open_console, kind):
    world = make_alert_world(4, many(500), alerts=crowd(500))
    async with open_console(world, kind, LARGE) as console:
        told = "service-down: 500 endpoints (endpoint-0499, endpoint-0498, ... and 498 more)"
        assert f"■ CRIT  {told}  for 3m20s" in console.lines[1]
        assert listed(console)[1].startswith("■ CRIT service-down: 500 endpoints")
        assert "500 firing" in listed(console)[0]


# The list ---------------------------------------------------------------------------------------------------------------------------


async def test_alerts_come_before_thresholds_under_their_own_heading(alert_world, open_console, kind):
    async with open_console(alert_world, kind, LARGE) as console:
        title, *lines = listed(console)
        assert title.startswith("ALERTS  ■")
        assert title.endswith("2 firing, 2 muted, 1 pending")
        assert [line[:6] for line in lines[:4]] == ["■ CRIT", "▲ WARN", "▲ mute", "▲ mute"]
        assert "acked by ops" in lines[1]
        assert "silenced" in lines[2]
        assert lines[4] == "OVER THRESHOLD NOW"
        assert "legacy is down" in lines[5]


async def test_with_the_whole_screen_it_says_what_they_depend_on_and_draws_their_past(make_alert_world, open_console):
    async with open_console(make_alert_world(100), size=LARGE) as console:
        await console.press("tab", "tab", "e")
        shown = listed(console)
        assert "depends on http:gateway" in shown[2]
        assert "×" in shown[1]
        starts = {line.index(next(char for char in line if char in "▁▂▃▄▅▆▇█")) for line in shown[2:5]}
        assert len(starts) == 1, "histories stand below each other"
        assert any(line.startswith("■ pend memory") and line.endswith("fires in 6m00s") for line in shown)


async def test_overdue_is_said(alert_world, open_console):
    async with open_console(alert_world, size=LARGE) as console:
        await console.step(150)
        assert "overdue 1m" in listed(console)[1]


async def test_enter_opens_what_is_selected(alert_world, open_console, kind):
    async with open_console(alert_world, kind, LARGE) as console:
        await console.press("tab", "tab", "j", "enter")
        assert isinstance(console.screen, AlertScreen)
        assert console.screen.subject.alert.id == DOWN.id
        await console.press("escape")
        assert pane(console).alert.id == DOWN.id
        await console.press(*["j"] * 6, "enter")  # a threshold leads to what it is about
        assert not isinstance(console.screen, AlertScreen)
        assert console.screen.subject.row.name == "ready"


async def test_enter_on_a_storm_leads_to_the_list(make_alert_world, open_console):
    async with open_console(make_alert_world(4, many(30), alerts=crowd(30)), size=LARGE) as console:
        await console.press("tab", "tab", "j", "enter")
        assert isinstance(console.screen, AlertsScreen)


async def test_a_and_z_are_about_the_selected_one(alert_world, open_console):
    async with open_console(alert_world, size=LARGE) as console:
        await console.press("tab", "tab", "j", "j", "a")
        assert console.screen.alerts == (CPU,)
        await console.press("escape", "z")
        assert console.screen.alerts == (CPU,)


async def test_a_click_selects_and_opens(alert_world, open_console):
    async with open_console(alert_world, size=LARGE) as console:
        await console.pilot.click(pane(console), offset=(8, 1))
        await console.settled()
        assert pane(console).alert.id == DOWN.id
        await console.pilot.click(pane(console), offset=(8, 5))  # the heading of thresholds is nothing to select
        await console.settled()
        assert pane(console).alert.id == DOWN.id
        await console.pilot.click(pane(console), offset=(8, 1))
        await console.until(lambda: isinstance(console.screen, AlertScreen))


async def test_the_threshold_of_a_filesystem_leads_to_the_machine_in_detail(make_alert_world, open_console):
    world = make_alert_world(4, scripts=(), alerts=[], silences=())
    async with open_console(world, size=LARGE) as console:
        assert listed(console)[0].startswith("OVER THRESHOLD NOW  ▲")
        await console.press("tab", "tab", "j", "enter")
        assert isinstance(console.screen, SystemScreen)


async def test_a_value_has_the_colour_of_what_fires_and_not_of_what_is_pending_or_over(make_alert_world, open_console):
    over = structs.replace(SOON, id="over", rule="other", state="resolved", at=START - 5)
    async with open_console(make_alert_world(4, alerts=[*ALERTS, over]), size=LARGE) as console:
        (memory,) = [line for line in console.lines if line.startswith(" memory")]
        assert "■" not in memory
        console.world.say(structs.replace(SOON, state="firing", before="pending", fired_at=START, at=START))
        await console.settled()
        (memory,) = [line for line in console.lines if line.startswith(" memory")]
        assert "■" in memory
