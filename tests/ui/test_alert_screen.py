"""The screen of one alert: what is drawn of it, its course, rule, relatives and notices; left for others, copied, in the past."""

from math import isnan

import pytest
from alert_world import (
    ALERTS,
    CPU,
    DOWN,
    HISTORY_OF_DOWN,
    OVER,
    OWN,
    RULES,
    RUNBOOK,
    SOON,
    alert,
    alert_world,
    alerts_screen,
    checked,
    make_alert_world,
)
from msgspec import structs
from test_screens import first_difference
from world import START, Console, Told, console_app

from perfconsole.core.alert_requests import AlertArgs, AlertHistory
from perfconsole.core.errors import RequestError
from perfconsole.core.requests import ALERT_HISTORY
from perfconsole.core.tick import Stream, Tick
from perfconsole.ui.alert import course
from perfconsole.ui.screens.alert import AlertScreen
from perfconsole.ui.screens.alerts import AlertsScreen
from perfconsole.ui.screens.endpoint import EndpointScreen

__all__ = ["alert_world", "make_alert_world"]

SIZES = [(60, 16), (80, 24), (120, 36), (160, 48), (200, 60)]
LARGE = (160, 48)


async def opened(console, one=DOWN):
    await console.app.push_screen(AlertScreen(one))
    await answered(console)
    return console.screen


async def answered(console):
    await console.settled()
    await console.until(lambda: not console.app.front.history.waiting)
    await console.settled()


async def front(console, name):
    for _ in range(4):
        if name == console.app.front.pane.NAME:
            return
        await console.press("tab")
    raise AssertionError(name)


@pytest.mark.parametrize("size", SIZES)
async def test_every_size_says_what_is_the_matter_since_when_and_who_is_on_it(alert_world, kind, size):
    async with alerts_screen(alert_world, kind, size) as console:
        await opened(console)
        for words in (
            "ALERT service-down-critical  ■ CRIT firing for 2m12s",
            "checkout is down (timeout)",
            "nobody has taken it on, an answer is due in 3m48s",
            "decided  down",
            "03:10:48 ■ firing   fired",
            "03:11:30            acknowledged by kim: rolling back",
            "Esc back",
        ):
            assert words in console.text, words
        large = size[0] >= 120 and size[1] >= 30
        for words in ("TIMELINE", "RULE", "RELATED", "NOTIFIED"):
            assert (words in console.text) == large, words
        assert len(console.lines) == size[1]


@pytest.mark.parametrize("size", [(80, 24), LARGE])
async def test_near_and_far_engines_make_the_same_pictures(make_alert_world, size):
    near, far = [], []
    for kind, pictures in (("local", near), ("remote", far)):
        async with alerts_screen(make_alert_world(100), kind, size) as console:
            for one in ALERTS:
                screen = await opened(console, one)
                for _ in screen.sections:
                    pictures.append(console.picture)
                    await console.press("tab")
                await console.press("escape")
    assert [found for one, other in zip(near, far, strict=True) if (found := first_difference(one, other))] == []


async def test_the_chart_has_the_threshold_and_marks_when_it_was_pending_and_firing(make_alert_world):
    cpu = structs.replace(CPU, since=START - 350, fired_at=START - 50, at=START - 50, ack=None)
    async with alerts_screen(make_alert_world(450), size=LARGE) as console:
        screen = await opened(console, cpu)
        console.world.keeper.answers[ALERT_HISTORY.name] = AlertHistory()
        console.world.say(cpu)
        await console.press("enter")
        await answered(console)
        shown = console.lines
        assert any(line.startswith("CPU  avg over 1m  ▲ > 80%", 1) for line in shown)
        (states,) = [line for line in shown if line.startswith("fires")]
        (dashed,) = [line for line in shown if "⠤ ⠤ ⠤" in line]
        assert "⣿" in dashed, "it rises above its threshold"
        cells = states[6:]
        assert (cells.count("╌"), cells.count("━")) == (51, 10)  # 300 s and 50 s of 900 in 154 cells, begun ones included
        assert [span.state for span in screen._chart.spans] == ["pending", "firing"]


async def test_the_statistic_over_time_is_that_of_the_stage(make_alert_world):
    async with alerts_screen(make_alert_world(450), size=LARGE) as console:
        screen = await opened(console, CPU)
        state = console.app.state
        times, values = screen.subject.points(state)
        series = screen.subject.series(state)
        raw_times, raw = series.points()
        at = len(times) - 1
        window = [value for when, value in zip(raw_times, raw, strict=True) if times[at] - OWN.over_s < when <= times[at]]
        assert values[at] == pytest.approx(sum(window) / len(window))
        assert all(map(isnan, values[: OWN.min_samples - 1]))  # of fewer samples it is not known


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (CPU, ("acked by ops 03:02:00: looking at the batch job", "needs    http:gateway", "where    Processes")),
        (ALERTS[2], ("silenced by ops until 04:02: growing it tonight", "DISK /VAR", "> 85%")),
        (ALERTS[3], ("quiet: inhibited by response-time-critical", "CART LATENCY  p50 over 1m", "where    cart")),
        (SOON, ("pending for 40% of its time, fires in 6m00s", "avg over 1m n 30", "MEMORY  avg over 1m")),
        (OVER, ("● resolved 03:09:50, after 12m50s", "api is up again")),
    ],
)
async def test_every_state_has_its_words(alert_world, one, words):
    async with alerts_screen(alert_world, size=LARGE) as console:
        await opened(console, one)
        for word in words:
            assert word in console.text, word


async def test_the_rule_stands_there_as_it_is_written(alert_world):
    async with alerts_screen(alert_world, size=LARGE) as console:
        await opened(console, CPU)
        await front(console, "Rule")
        await console.press("pagedown")
        rule = console.app.front.sections[1]
        text = ["".join(part for part, _, _ in row) for row in rule.rows(console.app.state, 80)]
        assert text == [
            "# perfconsole.toml:12", "[[alert]]", 'name = "cpu-busy-warning"', 'severity = "warning"', 'metric = "system.cpu.utilization"',
            'stat = "avg"', 'over = "1m"', 'above = "80%"', 'for = "5m"', "min_samples = 5", 'depends_on = ["http:gateway"]',
            'respond_within = "10m"', f'runbook = "{RUNBOOK}"', 'notify = ["slack"]',
        ]  # fmt: skip
        assert "perfconsole.toml:12" in console.text
        await opened(console, DOWN)
        assert "shipped" in console.text


async def test_a_rule_that_is_gone_is_said_to_be(make_alert_world):
    async with alerts_screen(make_alert_world(4, rules=()), size=LARGE) as console:
        await opened(console)
        assert "not in force any more: the alert ends when it is seen to be well" in console.text


async def test_who_was_told_and_what_came_of_it(alert_world):
    async with alerts_screen(alert_world, size=LARGE) as console:
        await opened(console)
        for words in (
            "pager          firing   waiting, 3 tries: timeout after 10s",
            "next attempt in 12s",
            "slack          firing   sent",
            "mail           resolved given up, 9 tries: 550 mailbox unavailable",
        ):
            assert words in console.text, words
        alert_world.keeper.answers[ALERT_HISTORY.name] = AlertHistory()
        await console.press("enter")
        await answered(console)
        assert "nobody is told: the rule names no channel" in console.text
        await opened(console, CPU)
        assert "nobody was told yet" in console.text
        await opened(console, ALERTS[3])
        assert "nobody was told: inhibited by response-time-critical" in console.text


async def test_related_are_those_of_the_same_thing_then_of_the_same_rule(make_alert_world, kind):
    others = [
        alert("error-rate-critical", "httpcheck.up", checked("checkout"), stat="ratio", value=0.5, limit=0.01, over_s=60.0, n=6),
        alert("service-down-critical", "httpcheck.up", checked("login", "api"), value=0.0, limit=0.5, above=False, state="pending"),
        alert("response-time-critical", "httpcheck.duration", checked("pay"), value=2.0, limit=1.0, stat="p50"),
    ]
    async with alerts_screen(make_alert_world(4, alerts=[DOWN, CPU, OVER, *others]), kind, LARGE) as console:
        screen = await opened(console)
        await front(console, "Related")
        found = screen.related.members(console.app.state)
        assert [(one.alert.labels[0][1], one.why) for one in found] == [
            ("checkout", "same endpoint"),
            ("pay", "same service"),
            ("login", "same rule"),
            ("api", "same rule"),
        ]
        await console.press("enter")
        await answered(console)
        assert screen.subject.alert.rule == "error-rate-critical"
        assert console.world.keeper.asked_for(ALERT_HISTORY)[-1] == AlertArgs(others[0].id)


async def test_n_goes_to_the_next_alert_of_the_list(alert_world):
    async with alerts_screen(alert_world, size=LARGE) as console:
        screen = await opened(console)
        rules = []
        for _ in range(6):
            await console.press("n")
            await answered(console)
            rules.append(screen.subject.alert.rule)
        assert rules == [one.rule for one in (*ALERTS[1:], DOWN)]
        await console.press("N")
        assert screen.subject.alert.id == OVER.id


async def test_it_is_followed_and_read_again_when_something_comes_about(alert_world, kind):
    async with alerts_screen(alert_world, kind, LARGE) as console:
        await opened(console)
        assert len(alert_world.keeper.asked_for(ALERT_HISTORY)) == 1
        await console.step(3)
        assert len(alert_world.keeper.asked_for(ALERT_HISTORY)) == 1
        alert_world.say(structs.replace(DOWN, state="resolved", before="firing", at=START + 6, value=1.0))
        await answered(console)
        assert "● resolved 03:12:06, after 2m18s" in console.text
        assert "checkout is up again" in console.text
        assert len(alert_world.keeper.asked_for(ALERT_HISTORY)) == 2


async def test_what_nobody_tells_of_any_more_keeps_what_was_known(alert_world):
    async with alerts_screen(alert_world, size=LARGE) as console:
        await opened(console, SOON)
        alert_world.say(structs.replace(SOON, state="inactive", before="pending", at=START))
        await answered(console)
        assert "not known at this moment, what was known last is shown" in console.text


async def test_without_an_answer_what_is_told_now_is_its_course(alert_world):
    async with alerts_screen(alert_world, size=LARGE) as console:
        alert_world.keeper.answers[ALERT_HISTORY.name] = RequestError("the disk is full", "free some room")
        await opened(console)
        assert "03:10:48 ■ firing   fired" in console.text
        assert "03:09:48 ■ pending  the breach began" in console.text
        assert "the disk is full" in console.text
        assert "free some room" in console.text


async def test_in_a_recording_it_is_said_what_that_does_not_hold():
    stream = Stream("box", "s", "b", "0", began=START - 9000, recorded=(START - 900, START))
    app = console_app(Told(Tick(1, START, 9.0, key=True, past=True, stream=stream, alerts=[DOWN])))
    async with app.run_test(size=LARGE) as pilot:
        console = Console(app, pilot)
        await console.press("7", "j", "enter")
        await console.pilot.pause()
        assert isinstance(console.screen, AlertScreen)
        assert "read of the running engine, not of a recording" in " ".join(console.text.split())
        assert "acknowledge" not in console.lines[-1]
        assert "nothing is measured of it at this moment" in console.text
        await console.press("enter")
        assert "cannot be had here now" in console.lines[-1]


async def test_it_leads_to_its_target_and_back(alert_world):
    async with alerts_screen(alert_world) as console:
        await opened(console)
        await console.press("w")
        assert isinstance(console.screen, EndpointScreen)
        await console.press("escape")
        assert isinstance(console.screen, AlertScreen)
        await console.press("escape")
        assert isinstance(console.screen, AlertsScreen)


async def test_it_is_copied_with_its_course(alert_world):
    async with alerts_screen(alert_world) as console:
        await opened(console)
        await console.press("y")
        text = console.app.clipboard
        assert text.startswith("**CRIT** checkout is down (timeout)\n\n- state: firing for 2m12s\n- since: 2026-03-04 03:09:48 UTC\n")
        assert "- taken on: by nobody yet" in text
        assert "**service-down-critical**: what came about" in text
        assert "- 2026-03-04 03:11:30 UTC: acknowledged by kim: rolling back" in text
        await front(console, "Rule")
        await console.press("y")
        assert console.app.clipboard.endswith("min_events = 2\n```")
        await front(console, "Notified")
        await console.press("y")
        assert "- 2026-03-04 03:10:48 UTC: slack, firing, sent" in console.app.clipboard


async def test_its_runbook_is_copied_where_there_is_one(alert_world):
    async with alerts_screen(alert_world) as console:
        await opened(console, CPU)
        await console.press("o")
        assert console.app.clipboard == RUNBOOK
        await opened(console, SOON)
        assert "runbook  none" in console.text
        assert not console.app.can("alert.runbook")


async def test_the_runbook_of_the_endpoint_comes_before_that_of_the_rule(make_alert_world, kind):
    own = "https://wiki.example/runbooks/checkout"
    rules = [structs.replace(rule, runbook="https://wiki.example/down") if rule.name == DOWN.rule else rule for rule in RULES]
    async with alerts_screen(make_alert_world(4, rules=rules), kind, LARGE) as console:
        await opened(console, DOWN)
        await console.until(lambda: f"runbook  {own[:14]}" in console.text)
        await console.press("y")
        assert f"- runbook: {own}" in console.app.clipboard
        await console.press("o")
        assert console.app.clipboard == own
        await opened(console, structs.replace(DOWN, labels=checked("gone"), id="gone"))
        await console.press("o")
        assert console.app.clipboard == "https://wiki.example/down"


async def test_that_it_is_silenced_is_said_once(alert_world):
    disk = ALERTS[2]
    both = structs.replace(disk, muted="host is down")
    kept_ended = structs.replace(disk, id="x", silence="gone")
    async with alerts_screen(alert_world, size=LARGE) as console:
        for one, words, times in (
            (disk, "silenced by ops until 04:02: growing it tonight", 1),
            (kept_ended, "silenced by ops: growing it tonight", 1),
            (both, "quiet: host is down", 1),
        ):
            alert_world.say(structs.replace(one, ack=None))
            await opened(console, one)
            line = console.lines[4]
            assert words in line
            assert line.count("silenced by") == times
            assert ("quiet:" in line) == (one is both)
            await console.press("escape")


def test_what_a_silence_begins_and_ends_is_a_step_each():
    fired = structs.replace(ALERTS[2], silence="", muted="")
    silenced, over = structs.replace(ALERTS[2], before="firing", at=START - 600), structs.replace(fired, before="firing", at=START - 60)
    steps = [step.text for step in course(over, [fired, silenced])]
    assert steps[:2] == ["not silenced any more", "silenced by ops: growing it tonight"]
    assert not any(text.startswith(("quiet", "not kept quiet")) for text in steps)
    inhibited = structs.replace(silenced, muted="inhibited by other", at=START - 300)
    assert next(step.text for step in course(inhibited, [fired, silenced])) == "quiet: inhibited by other"


async def test_no_samples_is_no_end(make_alert_world):
    async with alerts_screen(make_alert_world(10), size=LARGE) as console:
        console.world.http.silent = frozenset({"checkout"})
        await console.step(30)
        await opened(console)
        assert "it does not end of silence" in console.text
        assert HISTORY_OF_DOWN.told
