"""The Changes pane, the Changes screen, marks and notes: what is shown, asked, set and gone to, through both kinds of source."""

import re

import pytest
from alert_world import alert, make_alert_world
from changes_world import (
    ALL,
    DEPLOY,
    DOWN,
    FOUND,
    LOGIN,
    OOM,
    TIMER,
    changes_screen,
    event,
    make_changes_world,
    tell,
)
from http_world import CHECKOUT, SCRIPTS, Http, endpoints_screen, make_http_world, row
from postgres_world import SERVER, make_postgres_world, queries_screen
from textual.widgets import Input
from world import START, Scripted

from perfconsole.core.change_requests import EventList, EventsArgs, MarkArgs
from perfconsole.core.errors import RequestError
from perfconsole.core.ports import Operation
from perfconsole.core.requests import EVENT_LIST, EVENT_MARK, POSTGRES_MARK, Done
from perfconsole.ui.screens.changes import ChangesScreen
from perfconsole.ui.screens.endpoint import EndpointScreen
from perfconsole.ui.screens.operations import OperationsScreen
from perfconsole.ui.screens.prompt import Prompt
from perfconsole.ui.screens.queries import QueriesScreen
from perfconsole.ui.screens.statement import StatementScreen
from perfconsole.ui.widgets.changes import ChangesPane

__all__ = ["make_alert_world", "make_changes_world", "make_http_world", "make_postgres_world"]

SMALL, USUAL, WIDE, LARGE, HUGE = (60, 16), (80, 24), (120, 36), (160, 48), (200, 60)


class Asked(Scripted):
    """Answers in place of the engine's timeline, and keeps what it was asked."""

    def __init__(self, answer):
        super().__init__("asked")
        self.answer = answer
        self.asked = []
        self.operations = (Operation(EVENT_LIST, self._run), Operation(EVENT_MARK, self._run))

    async def _run(self, args):
        self.asked.append(args)
        found = self.answer(args)
        if isinstance(found, Exception):
            raise found
        return found


def pane(console):
    return console.screen.query_one(ChangesPane)


def footer(console):
    return console.lines[-1]


def of_pane(console):
    """The lines of the pane."""
    region = pane(console).region
    return [line[region.x : region.right].rstrip() for line in console.lines[region.y : region.bottom]]


# On Operations -----------------------------------------------------------------------------------------------------------------------


async def test_while_nothing_changes_there_is_no_pane(make_changes_world, open_console):
    world = make_changes_world(events=())
    async with open_console(world, size=LARGE) as console:
        assert not console.screen.query(ChangesPane)
        assert "CHANGES" not in console.text
        world.tell(event(0, "unit", "api.service started"))
        await console.settled()
        assert "api.service started" in console.text


async def test_alerts_alone_have_a_list_of_their_own(make_changes_world, open_console):
    async with open_console(make_changes_world(events=(event(9, "alert", "x fired", "critical"),)), size=LARGE) as console:
        assert "CHANGES" not in console.text


async def test_the_pane_shows_the_most_telling_newest_first(make_changes_world, open_console, kind):
    async with open_console(make_changes_world(), kind, size=LARGE) as console:
        assert of_pane(console) == [
            " CHANGES                             last 2h  +5 more",
            " 03:08 ◆ note     the batch job was started by hand",
            " 03:07 ■ endpoint checkout: 200 became 503",
            " 03:06 ■ oom      java (1041) of docker-9f31c2.scope …",
            " 03:04   postgres work_mem is 64MB, was 4MB",
            " 03:02 ▲ unit     api.service failed: exit status 1",
            " 03:02 ◆ mark     deploy 1.4.2",
        ]


@pytest.mark.parametrize(("size", "lines"), [(SMALL, 0), (USUAL, 1), ((80, 30), 5), (WIDE, 5), (LARGE, 7), (HUGE, 7), ((100, 44), 7)])
async def test_it_takes_the_room_a_screen_has_for_it(make_changes_world, open_console, size, lines):
    async with open_console(make_changes_world(), size=size) as console:
        assert pane(console).display is bool(lines)
        assert pane(console).size.height == lines or not lines
        assert "PROCESSES" in console.text
        assert console.table.size.height >= 5


async def test_it_is_no_higher_than_it_needs_to_be(make_changes_world, open_console):
    world = make_changes_world(events=(DEPLOY,))
    async with open_console(world, size=LARGE) as console:
        assert of_pane(console) == [" CHANGES                                      last 2h", " 03:02 ◆ mark deploy 1.4.2"]
        world.tell(FOUND)
        await console.settled()
        assert len(of_pane(console)) == 3


async def test_alerts_that_fire_above_it_come_before_it(make_changes_world, make_alert_world, open_console):
    firing = [alert(f"rule-{i}", "system.load.1m", (), "critical") for i in range(12)]
    world = make_alert_world(10, (), alerts=firing[:7])
    tell(world, *ALL)
    async with open_console(world, size=LARGE) as console:
        assert len(of_pane(console)) == 6
        world.say(alerts=firing)
        await console.step()
        assert len(of_pane(console)) == 3
        assert sum("■ CRIT" in line for line in console.lines[3:14]) == 9  # what is merely over a threshold has a line and its heading


async def test_in_one_line_the_most_telling_and_how_many(make_changes_world, open_console):
    async with open_console(make_changes_world()) as console:
        (line,) = of_pane(console)
        assert line == " CHANGES  03:06 ■ oom java (1041) of docker-9f31c2.scope was killed:…  11 in 2h"
        await console.press("tab", "tab", "tab")
        while console.pane is not pane(console):
            await console.press("tab")
        await console.press("j", "j")
        assert "login deploy logged in" in of_pane(console)[0]
        await console.press("enter")
        assert console.screen.table.row.event == LOGIN


async def test_what_is_selected_is_opened_expanded_and_copied(make_changes_world, open_console):
    async with open_console(make_changes_world(), size=LARGE) as console:
        pane(console).focus()
        await console.press("j", "j", "j")
        assert of_pane(console)[3].startswith("▸03:06")
        await console.press("y")
        assert "copied: - 2026-03-04 03:06:00 UTC: critical **oom** java" in footer(console)
        await console.press("e")
        assert len(of_pane(console)) > 40
        assert "logrotate.timer fired" in console.text
        assert "SYSTEM" not in console.text
        assert "ALERTS" not in console.text
        await console.press("g", "k")
        assert of_pane(console)[1].startswith("▸03:11")
        await console.press("escape")
        assert len(of_pane(console)) == 7
        assert "SYSTEM" in console.text
        await console.press("g", "j", "enter")
        assert isinstance(console.screen, ChangesScreen)
        assert console.screen.table.row.event == DOWN
        await console.press("escape")
        assert isinstance(console.screen, OperationsScreen)


async def test_a_key_typed_right_after_expanding_means_what_will_be_shown(make_changes_world, open_console):
    async with open_console(make_changes_world(), size=LARGE) as console:
        pane(console).focus()
        await console.settled()
        console.screen.do_expand()
        console.screen.do_nav_down()
        assert pane(console).selected == TIMER, "the first of all, which is not among the few"


async def test_expanding_the_alerts_beside_it_hides_it(make_changes_world, open_console):
    async with open_console(make_changes_world(), size=LARGE) as console:
        console.screen.query_one("#over").focus()
        await console.press("e")
        assert "CHANGES" not in console.text
        assert console.screen.query_one("#over").size.height > 40
        await console.press("e")
        assert "CHANGES" in console.text
        console.screen.query_one("#system").focus()
        await console.press("e")
        assert "CHANGES" not in console.text
        assert console.screen.query_one("#system").size == (160, 45)


async def test_a_click_selects_and_a_second_opens(make_changes_world, open_console):
    async with open_console(make_changes_world(), size=LARGE) as console:
        await console.pilot.click(pane(console), offset=(12, 2))
        assert pane(console).chosen == DOWN
        await console.pilot.click(pane(console), offset=(12, 2))
        await console.until(lambda: isinstance(console.screen, ChangesScreen))
        assert console.screen.table.row.event == DOWN


async def test_what_is_long_ago_is_gone_and_the_pane_with_the_last(make_changes_world, open_console):
    world = make_changes_world(events=(DEPLOY, TIMER))
    async with open_console(world, size=LARGE) as console:
        world.beat(6700.0)
        await console.step()
        assert len(of_pane(console)) == 2
        world.beat(600.0)
        await console.step()
        assert "CHANGES" not in console.text


async def test_nothing_is_painted_while_nothing_changes(make_changes_world, open_console, monkeypatch):
    async with open_console(make_changes_world(), size=LARGE) as console:
        painted = []
        monkeypatch.setattr(type(pane(console)), "refresh", lambda self, *regions, **how: painted.append(regions))
        for _ in range(5):
            await console.step()
        assert painted == []
        console.world.tell(event(0, "mark", "deploy 1.4.3"))
        await console.settled()
        assert painted


async def test_the_machines_histories_show_where_something_changed(make_changes_world, open_console):
    told = (event(0, "login", "x"), event(1, "endpoint", "x", "critical", "cart"))  # neither is of the machine's histories
    async with open_console(make_changes_world(450, events=(*told, DEPLOY, OOM)), size=LARGE) as console:
        title, cpu = console.lines[2], console.lines[3]
        start, end = 12, title.index("now") - 8 + 3
        width_s = 900.0 / (end - start)
        columns = {one.kind: end - 1 - int(START // width_s - one.time_hi // width_s) for one in (DEPLOY, OOM)}
        marks = {at: char for at, char in enumerate(title[:end]) if char in "◆▾"}
        assert marks.pop(columns["mark"]) == "◆"
        assert marks.pop(columns["oom"]) == "▾"
        assert not marks  # that the disk's alert fired four seconds later is not seen beside the mark
        assert "last 15m" in title
        assert cpu[end - 1] in "▁▂▃▄▅▆▇█"


# The screen --------------------------------------------------------------------------------------------------------------------------


async def test_the_screen_lists_all_and_tells_the_selected_in_full(make_changes_world, kind):
    async with changes_screen(make_changes_world(), kind, LARGE) as console:
        rows = [" ".join(line.split()) for line in console.lines[4:20] if line.strip()]
        assert rows[0] == "▸03:11 timer logrotate.timer systemd logrotate.timer fired"
        assert rows[3] == "03:07 ■ endpoint checkout checks checkout: 200 became 503"
        assert rows[9].startswith("02:52-55 file /etc/nginx/nginx.co… files")
        assert len(rows) == 11
        assert re.search(r"11 +last 2h", console.lines[2].replace("  ", " "))
        await console.press("G", "k")
        assert "between 02:52:00 and 02:55:20 (3m20s)" in console.text
        assert "about /etc/nginx/nginx.conf  source files" in console.text


async def test_windows_reach_further_back_and_are_named(make_changes_world):
    async with changes_screen(make_changes_world()) as console:
        seen = []
        for _ in range(5):
            seen.append((console.lines[2].split()[-1], len(console.screen.table._items)))
            await console.press("full_stop")
        assert seen == [("2h", 11), ("6h", 12), ("24h", 12), ("known", 13), ("known", 13)]
        assert "03 Mar 02:12" in console.text
        await console.press("comma")
        assert "03 Mar 02:12" not in console.text


async def test_of_a_filter_that_was_left_nothing_more_is_shown(make_changes_world):
    """Of what was typed one may hear only after Esc."""
    async with changes_screen(make_changes_world()) as console:
        await console.press("slash", *"login")
        prompt = console.screen
        late = Input.Changed(prompt.query_one(Input), "logi")
        await console.press("escape")
        prompt.on_input_changed(late)
        assert console.screen.table.match == ""


async def test_a_filter_sorts_and_reverses(make_changes_world):
    async with changes_screen(make_changes_world()) as console:
        await console.press("slash", *"kind:unit", "enter")
        assert len(console.screen.table._items) == 2
        assert "2 of 11  filter 'kind:unit'" in console.text
        await console.press("escape")
        assert len(console.screen.table._items) == 11
        await console.press("slash", *"nothing such", "enter")
        assert "nothing matches" in console.text
        await console.press("escape", "s", "g")
        assert console.screen.table.row.event in {DOWN, OOM}
        assert console.screen.table._items[0].row.event == OOM
        await console.press("s", "r", "g")
        assert console.screen.table.row.event.text.startswith("libssl3")
        await console.press("escape")
        assert isinstance(console.screen, OperationsScreen)


async def test_the_selected_one_is_copied_as_markdown(make_changes_world):
    async with changes_screen(make_changes_world()) as console:
        await console.press("j", "j", "y")
        assert "copied: - 2026-03-04 03:08:00 UTC: **note** the batch job was started by hand (host, kim)" in footer(console)


async def test_a_new_change_leaves_the_selection_where_it_is(make_changes_world):
    async with changes_screen(make_changes_world()) as console:
        await console.press("j", "j")
        console.world.tell(event(0, "unit", "nginx.service restarted"))
        await console.settled()
        assert console.screen.table.row.event == FOUND
        assert "nginx.service restarted" in console.lines[4]


async def test_steps_go_from_one_alert_mark_or_warning_to_the_next(make_changes_world):
    async with changes_screen(make_changes_world()) as console:
        told = []
        for _ in range(6):
            await console.press("N")
            told.append(console.screen.table.row.event.kind)
        assert told == ["note", "endpoint", "oom", "unit", "mark", "mark"]
        assert "no earlier alert or mark is listed" in footer(console)
        await console.press("n")
        assert console.screen.table.row.event.kind == "unit"
        await console.press("r", "n")
        assert console.screen.table.row.event.kind == "oom"


async def test_nothing_known_is_said_with_how_far_was_looked(make_changes_world):
    async with changes_screen(make_changes_world(events=())) as console:
        assert "nothing known has changed in the last 2h: . looks further back" in console.text
        await console.press("enter")
        assert "nothing has changed that is known" in footer(console)


# Older ones --------------------------------------------------------------------------------------------------------------------------


def kept(*events):
    """Answers as a store does: the newest of those asked for."""

    def answer(args):
        if not isinstance(args, EventsArgs):
            return Done("done")
        found = [one for one in sorted(events, key=lambda one: one.time_hi) if args.since <= one.time_hi and one.time_lo <= args.until]
        return EventList(found[-args.limit :], len(found) > args.limit)

    return answer


async def test_what_was_kept_of_earlier_runs_is_asked_for_window_by_window(make_changes_world):
    old = [event(3600, "unit", "old in the window"), event(40_000, "unit", "yesterday evening")]
    asked = Asked(kept(*old))
    world = make_changes_world(events=(DEPLOY,), more=(asked,))
    async with changes_screen(world) as console:
        await console.until(lambda: "old in the window" in console.text)
        now = console.app.state.at
        assert asked.asked == [EventsArgs(now - 7200.0, now, 1000)]
        await console.step(3)
        assert len(asked.asked) == 1  # time that passes is no reason to ask again
        await console.press("full_stop", "full_stop")
        await console.until(lambda: "yesterday evening" in console.text)
        assert [args.until for args in asked.asked[1:]] == [args.since for args in asked.asked[:-1]]
        await console.press("1", "8")
        assert "yesterday evening" in console.text


async def test_a_page_more_is_read_at_the_end_of_the_list(make_changes_world, monkeypatch):
    monkeypatch.setattr("perfconsole.ui.screens.changes._PAGE", 10)
    asked = Asked(kept(*[event(100 + i, "timer", f"tick {i}") for i in range(25)]))
    async with changes_screen(make_changes_world(events=(), more=(asked,))) as console:
        await console.until(lambda: "older ones below the last" in console.text)
        assert len(console.screen.table._items) == 10
        await console.press("G")
        await console.until(lambda: len(console.screen.table._items) == 19)  # the page begins with the last one that is known
        await console.press("G")
        await console.until(lambda: len(console.screen.table._items) == 25)
        assert "older" not in console.lines[2]
        asks = len(asked.asked)
        await console.press("G", "g", "G")
        assert len(asked.asked) == asks


async def test_what_came_and_went_while_nobody_looked_is_asked_for(make_changes_world, monkeypatch):
    """A state holds the newest alone."""
    monkeypatch.setattr("perfconsole.core.state.EVENTS_HELD", 3)
    came = [event(20 - 2 * i, "timer", f"tick {i}") for i in range(1, 9)]
    asked = Asked(lambda args: kept(*came)(args) if len(asked.asked) > 1 else EventList([]))
    world = make_changes_world(events=(DEPLOY,), more=(asked,))
    async with changes_screen(world) as console:
        await console.until(lambda: len(asked.asked) == 1)
        await console.press("1")
        for one in came:
            world.tell(one)
        await console.settled()
        await console.press("8")
        await console.until(lambda: "tick 1" in console.text)
        assert [item.row.event.text for item in console.screen.table._items] == [*(f"tick {i}" for i in range(8, 0, -1)), "deploy 1.4.2"]
        assert len(asked.asked) == 2


async def test_a_page_that_brings_nothing_new_is_the_last(make_changes_world):
    asked = Asked(lambda args: EventList([DEPLOY], more=True) if isinstance(args, EventsArgs) else Done(""))
    async with changes_screen(make_changes_world(events=(), more=(asked,))) as console:
        await console.press("G", "G", "G", "k", "G")
        assert len(asked.asked) <= 3


async def test_a_refusal_is_told_in_its_place_and_not_repeated(make_changes_world):
    asked = Asked(lambda args: RequestError("the disk does not answer", "see it"))
    async with changes_screen(make_changes_world(more=(asked,))) as console:
        await console.until(lambda: "older ones cannot be had: the disk does not answer" in console.text)
        await console.step(3)
        assert len(asked.asked) == 1
        assert "deploy 1.4.2" in console.text
        await console.press("full_stop")
        assert len(asked.asked) == 2  # another window is another try


# Where Enter leads -------------------------------------------------------------------------------------------------------------------


async def test_of_the_present_enter_leads_to_what_it_is_about(make_changes_world):
    http = Http(SCRIPTS)
    world = make_changes_world(events=(event(5, "endpoint", "checkout down", "critical", CHECKOUT),), more=(http,))
    async with changes_screen(world) as console:
        await console.step()
        await console.press("slash", *"checkout down", "enter", "enter")
        assert isinstance(console.screen, EndpointScreen)
        assert console.screen.subject.row.name == CHECKOUT


async def test_or_to_its_server(make_postgres_world):
    world = make_postgres_world(4)
    tell(world, event(0, "postgres", "work_mem is 64MB", scope=f"postgres:{SERVER}"))
    async with changes_screen(world) as console:
        await console.press("enter")
        assert isinstance(console.screen, QueriesScreen)
        assert console.screen.server == SERVER


@pytest.mark.parametrize(
    ("one", "screen"),
    [
        (("unit", "shop.service failed", "shop.service"), "UnitScreen"),
        (("oom", "python3 was killed", "shop.service"), "UnitScreen"),
        (("oom", "a process was killed", "host"), "ChangesScreen"),
        (("login", "anna logged in", "sshd"), "SystemScreen"),
    ],
)
async def test_or_to_its_unit_or_to_what_is_known_of_access(make_changes_world, one, screen):
    kind, text, scope = one
    async with changes_screen(make_changes_world(events=(event(0, kind, text, "warning", scope),))) as console:
        await console.press("slash", *text, "enter", "enter")
        await console.settled()
        assert type(console.screen).__name__ == screen
        if screen == "UnitScreen":
            assert console.screen.subject.row.name == scope


async def test_or_says_that_only_a_recording_goes_back(make_changes_world):
    async with changes_screen(make_changes_world()) as console:
        await console.press("enter")
        assert "perfconsole replay goes back to that moment" in footer(console)
        assert isinstance(console.screen, ChangesScreen)


async def test_a_click_on_the_selected_row_opens_it(make_changes_world):
    async with changes_screen(make_changes_world()) as console:
        await console.pilot.click(console.screen.table, offset=(40, 4))
        assert console.screen.table.row.event == FOUND
        await console.pilot.click(console.screen.table, offset=(40, 4))
        await console.until(lambda: "perfconsole replay" in footer(console))


# Marks and notes ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "key", "kind"), [((), "m", "mark"), (("6",), "i", "note"), (("7",), "m", "mark"), (("8",), "i", "note")])
async def test_marks_and_notes_are_set_from_anywhere(make_changes_world, open_console, place, key, kind):
    asked = Asked(lambda args: Done(f"set: {args.text}") if isinstance(args, MarkArgs) else EventList([]))
    async with open_console(make_changes_world(events=(), more=(asked,)), size=WIDE, user="kim") as console:
        await console.press(*place, key)
        assert isinstance(console.screen, Prompt)
        assert console.screen.query_one(Input).placeholder == {"mark": "mark: what was done", "note": "note: what was found out"}[kind]
        await console.press(*"deploy 1.4.2".replace(" ", "_"), "enter")
        await console.until(lambda: "set: deploy_1.4.2" in footer(console))
        (args,) = [args for args in asked.asked if isinstance(args, MarkArgs)]
        assert args.at != args.at
        assert (args.text, args.kind, args.by) == ("deploy_1.4.2", kind, "kim")
        await console.press(key, "escape", key, "space", "enter")
        assert len([args for args in asked.asked if isinstance(args, MarkArgs)]) == 1  # neither Esc nor nothing is a mark


async def test_a_mark_is_seen_as_soon_as_it_is_set(make_changes_world, open_console, kind):
    async with open_console(make_changes_world(40, events=()), kind, size=LARGE, user="kim") as console:
        await console.press("m", *"deploy", "enter")
        await console.until(lambda: "mark: deploy" in footer(console))
        console.world.beat(0.5)
        await console.settled()
        assert of_pane(console)[1].split() == ["03:12", "◆", "mark", "deploy"]
        assert "◆" in console.lines[2]
        assert console.world.engine.state.events[-1].source == "kim"


async def test_what_is_held_is_marked_at_its_own_time(make_changes_world, open_console):
    asked = Asked(lambda args: Done("set"))
    async with open_console(make_changes_world(events=(), more=(asked,)), size=WIDE) as console:
        await console.press("space")
        await console.step(30)
        await console.press("i")
        assert console.screen.query_one(Input).placeholder == "note at 03:12:00: what was found out"
        await console.press(*"here", "enter")
        await console.until(lambda: asked.asked)
        assert (asked.asked[0].at, asked.asked[0].kind) == (START, "note")


async def test_what_comes_of_a_mark_is_told_on_a_screen_that_is_just_being_made(make_changes_world, open_console):
    async with open_console(make_changes_world(), size=WIDE) as console:
        console.app.push_screen(ChangesScreen())  # not awaited: it has no footer yet
        console.app.tell("mark: x")
        await console.until(lambda: "mark: x" in console.text)
        assert isinstance(console.screen, ChangesScreen)


async def test_a_refused_mark_is_told(make_changes_world, open_console):
    asked = Asked(lambda args: RequestError("more than 200 marks within a minute"))
    async with open_console(make_changes_world(events=(), more=(asked,)), size=WIDE) as console:
        await console.press("m", "x", "enter")
        await console.until(lambda: "more than 200 marks" in footer(console))


async def test_a_read_only_source_takes_no_marks(make_changes_world, open_console):
    async with open_console(make_changes_world(read_only=True), size=(200, 50)) as console:
        for key in "mi":
            await console.press(key)
            assert isinstance(console.screen, OperationsScreen)
        ids = {action.id for action in console.app.actions()}
        assert ids.isdisjoint({"mark", "note", "alert.next"})
        assert "screen.changes" in ids


async def test_a_mark_has_statements_counted_from_it(make_postgres_world):
    world = make_postgres_world(4)
    async with queries_screen(world, user="kim") as console:
        await console.press("m")
        assert console.screen.query_one(Input).placeholder == "mark: what was done (Enter: only count from here)"
        await console.press(*"deploy", "enter")
        await console.until(lambda: world.engine.timeline._marks or world.engine.state.events)
        assert [op for op, _ in world.postgres.asked].count(POSTGRES_MARK.name) == 1
        assert console.screen.query_one("QueriesPane").window == "mark"
        await console.press("1", "m", "enter")
        assert [op for op, _ in world.postgres.asked].count(POSTGRES_MARK.name) == 2
        await console.press("space", "m", "enter")  # of what is held nothing is counted
        assert [op for op, _ in world.postgres.asked].count(POSTGRES_MARK.name) == 2


async def test_while_a_moment_is_held_steps_tell_and_select(make_changes_world, open_console):
    async with open_console(make_changes_world(), size=LARGE) as console:
        await console.press("N")
        assert "03:0" not in footer(console)  # of the present there is nothing to step through here
        await console.press("space", "N")
        assert "03:08:00 note the batch job was started by hand (5 of 5), held at 03:12:00: only a recording goes there" in footer(console)
        assert of_pane(console)[1].startswith("▸03:08")
        await console.press("N")
        assert "03:07:00 endpoint checkout: 200 became 503 (4 of 5)" in footer(console)
        await console.press("n", "n")
        assert "no later alert or mark is known" in footer(console)
        assert console.app.frozen


async def test_help_and_footer_tell_of_the_keys(make_changes_world):
    async with changes_screen(make_changes_world(), size=(200, 60)) as console:
        for hint in ("Enter open", "/ filter", ". further back", "i note", "m mark", "n next alert or mark", "y copy"):
            assert hint in footer(console)
        await console.press("question_mark")
        for title in ("Changes screen", "Mark: say what was done", "Note: say what was found out", "Next alert or mark"):
            assert title in console.text


# On charts ---------------------------------------------------------------------------------------------------------------------------


async def ticked(console, selector, *told):
    """How many ticks of either kind charts have on their time axis, after something changed."""
    tell(console.world, *told)
    await console.settled()
    region = console.screen.query_one(selector).region
    times = console.lines[region.bottom - 1][region.x : region.right]
    assert "now" in times
    return times.count("▴"), times.count("◆")


async def test_an_endpoints_latency_shows_when_something_was_done(make_http_world):
    async with endpoints_screen(make_http_world(100), size=LARGE) as console:
        await console.app.push_screen(EndpointScreen(row(next(script for script in SCRIPTS if script.name == CHECKOUT))))
        others = [event(20, "endpoint", "x", "critical", "cart"), event(30, "login", "x"), event(40, "unit", "x started")]
        before, _ = await ticked(console, "#latency", *others)
        assert before  # that it went down
        assert await ticked(console, "#latency", event(100, "mark", "deploy")) == (before, 1)
        assert await ticked(console, "#latency", event(10, "endpoint", "slow", "warning", CHECKOUT)) == (before + 1, 1)


async def test_an_endpoints_latency_shows_what_became_of_what_serves_it(make_http_world):
    """Its unit, with or without what systemd adds to the name, and the database that it works with."""
    world = make_http_world(100)
    async with endpoints_screen(world, size=LARGE) as console:
        script = next(script for script in SCRIPTS if script.name == CHECKOUT)
        await console.app.push_screen(EndpointScreen(row(script)))
        told = [event(20, "unit", "x restarted", scope="shop.service"), event(40, "postgres", "work_mem", scope="postgres:orders")]
        before, _ = await ticked(console, "#latency", *told)
        world.http.changed[CHECKOUT] = {"unit": "shop", "database": "orders"}
        await console.step()
        assert await ticked(console, "#latency") == (before + 2, 0)


async def test_statements_show_what_changed_at_their_server(make_postgres_world):
    async with queries_screen(make_postgres_world(60), size=LARGE) as console:
        await console.press("j", "enter")
        assert isinstance(console.screen, StatementScreen)
        before, _ = await ticked(console, "#charts", event(30, "postgres", "x", scope="postgres:other"))
        told = event(20, "postgres", "work_mem", scope=f"postgres:{SERVER}"), event(40, "note", "x")
        assert await ticked(console, "#charts", *told) == (before + 3, 3)  # load, mean and calls


async def test_processes_show_what_changed_on_the_machine(make_changes_world, open_console):
    async with open_console(make_changes_world(60, events=()), size=LARGE) as console:
        await console.press("6", "j", "enter")
        for _ in range(30):  # a history of its own, which begins when it is opened
            await console.step()
        assert await ticked(console, "#charts", event(-20, "endpoint", "x", "critical", "cart")) == (0, 0)
        assert await ticked(console, "#charts", event(-30, "unit", "x started"), event(-40, "mark", "x")) == (2, 2)
