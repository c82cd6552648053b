"""The Alerts screen: its table in every state and size, grouped, sorted and filtered; what is copied, opened, taken on and kept quiet."""

import re

import pytest
from alert_world import (
    ALERTS,
    CPU,
    DISK,
    DOWN,
    HISTORY_OF_DOWN,
    KEPT,
    RULES,
    RUNBOOK,
    SOON,
    alert,
    alert_world,
    alerts_screen,
    make_alert_world,
    storm,
)
from msgspec import structs
from test_screens import first_difference
from world import START, Console, Told, console_app

from perfconsole.core.alert_requests import UnsilenceArgs
from perfconsole.core.errors import CollectorError
from perfconsole.core.requests import ALERT_ACK, ALERT_SILENCE, ALERT_UNSILENCE
from perfconsole.core.tick import Stream, Tick
from perfconsole.ui.screens.alert import AlertScreen
from perfconsole.ui.screens.alert_dialogs import AckDialog, EndSilenceDialog, SilenceDialog
from perfconsole.ui.screens.alerts import AlertsScreen
from perfconsole.ui.screens.endpoint import EndpointScreen
from perfconsole.ui.screens.operations import OperationsScreen
from perfconsole.ui.screens.processes import ProcessesScreen

__all__ = ["alert_world", "make_alert_world"]

SIZES = [(60, 16), (80, 24), (120, 36), (160, 48), (200, 60)]
LOW, LARGE = (80, 24), (160, 48)


def pane(console):
    return console.app.front.table


def listed(console):
    """The sections of the lines, in order."""
    return [item.row.section for item in pane(console)._items]


def rows(console):
    """The lines of the table."""
    return console.lines[4 : 4 + len(pane(console)._items)]


async def select(console, rule):
    await console.press("g")
    while pane(console).alert is None or pane(console).alert.rule != rule:
        await console.press("j")


# The table --------------------------------------------------------------------------------------------------------------------------

WALK = {
    "as it opens": (),
    "a row selected": ("j", "j"),
    "a muted one": ("j",),
    "to the end": ("G",),
    "by age": ("s",),
    "by what": ("s",),
    "reversed": ("r",),
    "a filter is being typed": ("slash", *"check"),
    "filtered": ("enter",),
    "without the filter": ("escape", "s", "s"),
    "the next alert": ("g", "n", "n"),
    "acknowledging": ("a",),
    "silencing": ("escape", "z"),
    "frozen": ("escape", "space"),
}


@pytest.mark.parametrize("size", [LOW, LARGE])
async def test_near_and_far_engines_make_the_same_pictures(make_alert_world, size):
    near, far = {}, {}
    for kind, pictures in (("local", near), ("remote", far)):
        async with alerts_screen(make_alert_world(100), kind, size) as console:
            for scene, keys in WALK.items():
                for key in keys:
                    await console.press(key)
                await console.step()
                pictures[scene] = console.picture
    assert {scene: found for scene in near if (found := first_difference(near[scene], far[scene]))} == {}
    assert len({str(picture) for picture in near.values()}) == len(near), "each is a scene of its own"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ascii_only", [False, True])
async def test_every_size_tells_the_worst_first_with_sign_and_word(alert_world, size, ascii_only):
    async with alerts_screen(alert_world, size=size, theme="terminal", colours=16, ascii_only=ascii_only) as console:
        assert len(console.lines) == size[1]
        crit, warn, ok = ("X", "!", ".") if ascii_only else ("■", "▲", "●")
        found = rows(console)
        for line, start, words in zip(
            found,
            (f"{crit} CRIT", f"{warn} WARN", f"{warn} silenced", f"{warn} muted", f"{crit} pending", f"{ok} resolved", "  silence"),
            ("checkout is down (time", "CPU avg 93% > 80% over", "disk /var 91% > 85%", "cart probe p50", "memory avg 92% > 9",
             "api is up again", "rule=disk-usage-warning"),
            strict=True,
        ):  # fmt: skip
            assert line.startswith(f" {start}"), line
            assert words in line, line
        assert " 2m12s " in found[0]
        assert "acked by o" in found[1]
        assert f"{crit} 1 CRIT" in console.lines[2]
        assert "2 muted" in console.lines[2]
        assert "? help" in console.lines[-1]
        assert "q quit" in console.lines[-1]
        if ascii_only:
            assert console.text.isascii()


async def test_where_there_is_room_it_says_everything(alert_world):
    async with alerts_screen(alert_world, size=(200, 60)) as console:
        down, cpu, disk, cart, memory, api, silence = rows(console)
        for line, words in (
            (down, ("down", "service-down-critical")),
            (cpu, ("> 80%", "cpu-busy-warning", "acked by ops")),
            (disk, ("91% > 85%", "silenced by ops: growing it tonight")),
            (cart, ("inhibited by response-time-critical", "> 500ms")),
            (memory, ("in 6m00s", "40% of 10m", "memory-usage-critical")),
            (api, ("2m ago", "lasted 12m50s", "up")),
            (silence, ("50m left", "rule=disk-usage-warning mountpoint=/var", "ops: growing it tonight (1 under it)")),
        ):
            for word in words:
                assert word in line, word


async def test_the_bar_of_a_pending_alert_fills_up(alert_world):
    async with alerts_screen(alert_world, size=LARGE) as console:
        before = rows(console)[4]
        await console.step(60)
        after = rows(console)[4]
        assert ("in 6m00s" in before, "in 4m00s" in after) == (True, True)
        assert (before.count("█"), after.count("█")) != (0, 0)
        assert "60% of 10m" in after


async def test_nobody_has_answered_in_time(alert_world):
    async with alerts_screen(alert_world, size=LARGE) as console:
        assert "overdue" not in console.text
        await console.step(150)  # five minutes after it fired, of which 72 s had passed
        assert "overdue 1m" in rows(console)[0]
        assert "1 overdue" in console.lines[2]
        assert "overdue 1m" in console.lines[1]
        alert_world.say(structs.replace(DOWN, before="firing", ack=ALERTS[1].ack))
        await console.settled()
        assert "overdue" not in console.text


async def test_thresholds_are_no_alerts(make_alert_world):
    world = make_alert_world(100, alerts=[], silences=())
    async with alerts_screen(world, size=LARGE) as console:
        assert listed(console) == []
        assert "over ■" in console.lines[0]
        assert "CRIT" not in console.lines[0].replace("SYS ■ CRIT", "").replace("HTTP ■ CRIT", "")
        alerts = sum(not rule.colour for rule in RULES)
        told = rf"no alert is firing, though \d values are over a threshold: that has to last; {alerts} rules watch \d+ series"
        assert re.search(told, console.text)


@pytest.mark.parametrize(
    ("rules", "words"),
    [((), "no alert can fire: no rule is in force"), (RULES[:11], "no alert can fire"), (RULES, "no alert is firing")],
)
async def test_nothing_to_show_has_its_words(make_alert_world, rules, words):
    async with alerts_screen(make_alert_world(4, alerts=[], silences=(), rules=rules), size=LARGE) as console:
        assert words in console.text


async def test_before_anything_is_told_it_is_being_collected():
    app = console_app(Told())
    async with app.run_test(size=LOW) as pilot:
        console = Console(app, pilot)
        await console.press("7")
        assert "collecting…" in console.text
        await console.press("j", "n", "N", "G", "enter", "a", "z", "s", "r", "y", "w", "o", "escape")
        assert app.is_running


async def test_without_samples_what_fires_goes_on_firing(alert_world, monkeypatch):
    async with alerts_screen(alert_world, size=LARGE) as console:
        alert_world.system.fault = CollectorError("no /proc", "mount it")
        alert_world.http.fault = CollectorError("too many open files", "raise ulimit -n")
        await console.step(20)
        assert "no samples now of 2 that fire: none ends of silence" in console.text
        assert "no samples now" in rows(console)[0]
        monkeypatch.setattr(console.app, "silent_s", lambda: 12.0)
        console.app.show_state(True)
        await console.settled()
        assert "no data since 12s: what fires goes on firing until it is seen to be well" in console.text


async def test_a_held_moment_is_said_to_be_one(alert_world):
    async with alerts_screen(alert_world, size=LARGE) as console:
        await console.press("space")
        assert "as it was 03:12:00" in console.lines[2]
        assert "a acknowledge" not in console.lines[-1]
        await console.press("j", "a", "z")
        assert isinstance(console.screen, AlertsScreen)


async def test_a_silence_that_is_over_is_not_listed(make_alert_world):
    world = make_alert_world(4, silences=(structs.replace(KEPT, until=START + 3), KEPT))
    async with alerts_screen(world, size=LARGE) as console:
        assert listed(console).count("silence") == 2
        await console.step(2)
        assert listed(console).count("silence") == 1


# In a storm -------------------------------------------------------------------------------------------------------------------------


async def test_a_storm_is_one_line_that_enter_unfolds(make_alert_world, kind):
    world = make_alert_world(4, alerts=[*ALERTS, *storm(500)])
    async with alerts_screen(world, kind, LARGE) as console:
        assert listed(console) == ["firing", "firing", "muted", "muted", "pending", "resolved", "silence"]
        assert "service-down: 501 endpoints (endpoint-499, endpoint-498, ... and 499 more)" in rows(console)[0]
        assert "■ CRIT  service-down: 501 endpoints" in console.lines[1]
        assert "■ 501 CRIT" in console.lines[0]
        await console.press("g", "enter")
        assert len(listed(console)) == 508
        assert "  endpoint-499 is down" in rows(console)[1]
        await console.press("j", "enter")
        assert isinstance(console.screen, AlertScreen)
        assert console.screen.subject.alert.labels[0] == ("endpoint", "endpoint-499")
        await console.press("escape", "k", "enter")
        assert len(listed(console)) == 7


async def test_what_is_silenced_in_a_storm_is_one_line_of_its_own(make_alert_world):
    every = [*storm(20), *(structs.replace(one, id=f"{one.id}x", silence=KEPT.id) for one in storm(30))]
    async with alerts_screen(make_alert_world(4, alerts=every), size=LARGE) as console:
        assert listed(console) == ["firing", "muted", "silence"]
        assert "20 endpoints" in rows(console)[0]
        assert rows(console)[1].startswith(" ■ silenced")
        assert "30 silenced" in rows(console)[1]
        assert "30 muted" in console.lines[0]


async def test_eight_are_told_one_by_one(make_alert_world):
    async with alerts_screen(make_alert_world(4, alerts=storm(8)), size=LARGE) as console:
        assert listed(console) == ["firing"] * 8 + ["silence"]


# Moving, sorting, filtering ---------------------------------------------------------------------------------------------------------


async def test_sorted_within_what_they_are(make_alert_world):
    world = make_alert_world(4, alerts=[*ALERTS, *storm(3)])
    async with alerts_screen(world, size=LARGE) as console:
        sections = listed(console)

        def ages():
            return [item.row.alert.since for item in pane(console)._items if item.row.section == "firing"]

        assert rows(console)[0].split()[1] == "CRIT"
        await console.press("s")
        assert ages() == sorted(ages())
        await console.press("r")
        assert ages() == sorted(ages(), reverse=True)
        assert listed(console) == sections
        await console.press("s", "s")
        rules = [item.row.alert.rule for item in pane(console)._items if item.row.section == "firing"]
        assert rules == sorted(rules)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("checkout", ["firing"]),
        ("state:pending", ["pending"]),
        ("state:silence", ["muted", "silence"]),
        ("severity:critical", ["firing", "pending", "resolved"]),
        ("rule:down", ["firing", "resolved"]),
        ("endpoint:cart", ["muted"]),
        ("acked ops", ["firing"]),
        ("growing", ["muted", "silence"]),
        ("mountpoint:/var", ["muted"]),
        ("nobody", []),
    ],
)
async def test_a_filter_looks_in_everything_that_is_told(alert_world, typed, found):
    async with alerts_screen(alert_world, size=LARGE) as console:
        await console.press("slash", *["space" if char == " " else char for char in typed], "enter")
        assert listed(console) == found
        assert f"filter {typed!r}" in console.lines[2]
        assert found or f"nothing matches {typed!r}" in console.text
        await console.press("escape")
        assert len(listed(console)) == 7


async def test_n_goes_from_alert_to_alert_and_round(alert_world):
    async with alerts_screen(alert_world, size=LARGE) as console:
        rules = []
        for _ in range(7):
            await console.press("n")
            rules.append(pane(console).alert.rule)
        assert len(set(rules[:6])) == 5  # two by one rule: one fires, one is over
        assert rules[6] == rules[0] == DOWN.rule
        await console.press("N")
        assert pane(console).alert.state == "resolved"


async def test_the_selection_sticks_to_the_alert_whatever_becomes_of_it(alert_world):
    async with alerts_screen(alert_world, size=LARGE) as console:
        await select(console, SOON.rule)
        alert_world.say(structs.replace(SOON, state="firing", before="pending", at=START, fired_at=START))
        await console.settled()
        assert (pane(console).alert.rule, pane(console).entry.section) == (SOON.rule, "firing")
        alert_world.say(structs.replace(SOON, state="resolved", before="firing", at=START))
        await console.settled()
        assert (pane(console).alert.rule, pane(console).entry.section) == (SOON.rule, "resolved")


async def test_a_click_selects_and_opens(alert_world):
    async with alerts_screen(alert_world, size=LARGE) as console:
        await console.pilot.click(pane(console), offset=(30, 2))
        await console.settled()
        assert pane(console).alert.rule == DOWN.rule
        await console.pilot.click(pane(console), offset=(30, 2))
        await console.until(lambda: isinstance(console.screen, AlertScreen))


# What is done -----------------------------------------------------------------------------------------------------------------------


async def test_enter_opens_an_alert_and_esc_comes_back(alert_world, kind):
    async with alerts_screen(alert_world, kind) as console:
        await select(console, DISK.rule)
        await console.press("enter")
        assert isinstance(console.screen, AlertScreen)
        assert console.screen.subject.alert.rule == DISK.rule
        await console.press("escape")
        assert pane(console).alert.rule == DISK.rule
        await console.press("escape")
        assert isinstance(console.screen, OperationsScreen)


async def test_where_there_is_no_note_words_have_its_room(make_alert_world, monkeypatch):
    monkeypatch.setattr("perfconsole.ui.widgets.alerts.present", lambda *_: True)
    long = {"value": 4.0, "limit": 1.0, "stat": "max", "over_s": 60.0}
    noted = structs.replace(DOWN, ack=CPU.ack)
    slow = alert("slow-query-ended-warning", "postgresql.statement.slowest", (("server", "orders"),), "warning", **long)
    world = make_alert_world(4, scripts=(), alerts=[noted, slow], silences=())
    async with alerts_screen(world, size=(80, 24)) as console:
        (told,) = [line for line in console.lines[4:] if "slowest" in line]
        assert "slowest finished statement of orders max 4.0s > 1.0s" in told
        assert any("acked by ops" in line for line in console.lines[4:])


async def test_enter_without_a_choice_opens_the_worst(alert_world):
    async with alerts_screen(alert_world) as console:
        await console.press("enter")
        assert isinstance(console.screen, AlertScreen)
        assert console.screen.subject.alert.rule == DOWN.rule


async def test_enter_where_there_is_none_says_so(make_alert_world):
    async with alerts_screen(make_alert_world(4, scripts=(), alerts=[], silences=())) as console:
        await console.press("enter")
        assert "there is no alert to open" in console.lines[-1]


async def test_enter_and_z_on_a_silence_offer_to_end_it(alert_world, kind):
    for key in ("enter", "z"):
        async with alerts_screen(alert_world, kind) as console:
            await console.press("G", key)
            assert isinstance(console.screen, EndSilenceDialog)
            assert "rule=disk-usage-warning mountpoint=/var" in console.text
            assert "1 alert under it; ends by itself in 50m00s" in console.text
            await console.press("escape")
            assert alert_world.keeper.asked_for(ALERT_UNSILENCE) == []
            await console.press(key, "enter")
            await console.until(lambda: alert_world.keeper.asked_for(ALERT_UNSILENCE))
            assert alert_world.keeper.asked_for(ALERT_UNSILENCE) == [UnsilenceArgs(KEPT.id, "kim")]
        alert_world.keeper.asked.clear()


async def test_a_and_z_open_the_dialog_about_the_selected_one(alert_world):
    async with alerts_screen(alert_world) as console:
        await select(console, "cpu-busy-warning")
        await console.press("a")
        assert isinstance(console.screen, AckDialog)
        assert console.screen.alerts[0].rule == "cpu-busy-warning"
        await console.press("escape", "z")
        assert isinstance(console.screen, SilenceDialog)
        assert console.screen.fields[0].text == "rule=cpu-busy-warning"


async def test_from_any_screen_they_are_about_what_the_header_tells(alert_world):
    async with alerts_screen(alert_world) as console:
        for key in ("1", "6", "5"):
            await console.press(key, "a")
            assert isinstance(console.screen, AckDialog)
            assert console.screen.alerts == (DOWN,)
            await console.press("escape", "z")
            assert isinstance(console.screen, SilenceDialog)
            assert console.screen.alerts == (DOWN,)
            await console.press("escape")


async def test_a_source_that_offers_neither_has_no_such_keys():
    stream = Stream("box", "s", "b", "0", began=START - 9, rules=RULES)
    app = console_app(Told(Tick(1, START, 9.0, key=True, stream=stream, alerts=[DOWN])))
    async with app.run_test(size=LARGE) as pilot:
        console = Console(app, pilot)
        await console.press("7", "j", "a", "z")
        assert isinstance(console.screen, AlertsScreen)
        assert not app.can("alert.ack")
        assert not app.can("alert.silence")
        assert "acknowledge" not in console.lines[-1]
        assert "checkout is down" in console.text


async def test_read_only_a_silence_cannot_be_ended(make_alert_world):
    async with alerts_screen(make_alert_world(4, read_only=True)) as console:
        await console.press("G", "enter")
        assert "cannot be ended from here" in console.lines[-1]
        await console.press("a", "z")
        assert isinstance(console.screen, AlertsScreen)


async def test_what_is_copied_is_for_the_channel_of_the_incident(alert_world):
    async with alerts_screen(alert_world) as console:
        await select(console, "cpu-busy-warning")
        await console.press("y")
        assert console.app.clipboard.splitlines() == [
            "**WARN** CPU avg 93% > 80% over 1m (n 30)",
            "",
            "- state: firing for 1h06m",
            "- since: 2026-03-04 02:05:20 UTC",
            f"- value: 93%, threshold > 80%; newest sample {console.app.clipboard.split('sample ')[1].split()[0]}",
            "- statistic: avg over 1m n 30",
            "- rule: cpu-busy-warning, for 5m (perfconsole.toml:12)",
            "- depends on: http:gateway",
            f"- runbook: {RUNBOOK}",
            "- taken on: by ops, 2026-03-04 03:02:00 UTC: looking at the batch job",
            "- host: web-3.example",
        ]
        await console.press("G", "y")
        assert console.app.clipboard.startswith("**silence** rule=disk-usage-warning mountpoint=/var")
        assert "- until: 2026-03-04 04:02:00 UTC" in console.app.clipboard


async def test_a_storm_is_copied_in_a_few_lines(make_alert_world):
    async with alerts_screen(make_alert_world(4, alerts=storm(50)), size=LARGE) as console:
        await console.press("g", "y")
        lines = console.app.clipboard.splitlines()
        assert lines[0] == "**CRIT** service-down: 50 endpoints (endpoint-049, endpoint-048, ... and 48 more)"
        assert lines[2] == "- endpoint-049 is down, since 2026-03-04 03:08:39 UTC"
        assert lines[-2:] == ["- and 30 more", "- host: web-3.example"]


async def test_w_leads_to_what_it_is_about(alert_world, kind):
    async with alerts_screen(alert_world, kind) as console:
        await select(console, DOWN.rule)
        await console.press("w")
        assert isinstance(console.screen, EndpointScreen)
        assert console.screen.subject.row.name == "checkout"
        await console.press("escape")
        await select(console, "memory-usage-critical")
        await console.press("w")
        assert isinstance(console.screen, ProcessesScreen)


async def test_a_runbook_is_copied_or_how_to_have_one(alert_world):
    async with alerts_screen(alert_world) as console:
        await console.press("o")
        assert "no alert is selected" in console.lines[-1]
        await select(console, "cpu-busy-warning")
        await console.press("o")
        assert console.app.clipboard == RUNBOOK
        await select(console, DOWN.rule)
        await console.press("o")
        assert console.app.clipboard == "https://wiki.example/runbooks/checkout", "the endpoint has one of its own"
        await select(console, DISK.rule)
        await console.press("o")
        assert 'disk-usage-warning has no runbook: runbook = "https://..." in its [[alert]]' in console.lines[-1]


async def test_hostile_words_are_drawn_not_obeyed(make_alert_world):
    harm = structs.replace(KEPT, reason="[bold red]x[/] \x1b[2J", by="\x1b]52;c;x\a")
    async with alerts_screen(make_alert_world(4, silences=(harm,)), size=LARGE) as console:
        await console.press("G")
        assert "[bold red]x[/] ␛[2J" in console.text
        await console.press("z")
        assert "\x1b" not in console.text


async def test_nothing_is_painted_while_nothing_changes(make_alert_world, monkeypatch):
    """Alerts of more than ten minutes ago: what is younger is told to the second."""
    old = [structs.replace(one, since=START - 4000 - i, fired_at=START - 3900) for i, one in enumerate(storm(3))]
    world = make_alert_world(4, alerts=old, silences=())
    async with alerts_screen(world, size=LARGE) as console:
        painted = []
        monkeypatch.setattr(type(pane(console)), "refresh", lambda self, *regions, **options: painted.append(regions))
        for _ in range(4):
            world.beat(0.5)
            await console.settled()
        assert painted == []


def test_the_history_that_tests_go_by_is_of_one_alert():
    assert {one.id for one in HISTORY_OF_DOWN.told} == {DOWN.id}
    assert ALERT_ACK.changes
    assert ALERT_SILENCE.changes
