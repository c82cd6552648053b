"""The Queries screen: both tables, every key of it, its windows and its mark, what is ended and what is only offered."""

from math import isnan, nan

import pytest
from msgspec import structs
from postgres_world import (
    CART,
    NESTED,
    ORDERS,
    REPORT,
    SERVER,
    STOCK,
    WINDOWS_S,
    Postgres,
    make_postgres_world,
    postgres_world,
    queries_screen,
    session,
    sessions,
    statement,
    statements,
)
from world import START

from perfconsole.core.errors import RequestError
from perfconsole.core.ports import Result
from perfconsole.core.requests import POSTGRES_CANCEL, POSTGRES_CONNECT, POSTGRES_MARK, POSTGRES_TERMINATE, SessionArgs
from perfconsole.core.state import State
from perfconsole.core.tables import WINDOWS, SessionRow, SessionTable
from perfconsole.core.tick import Alert, Health, Stream, Tick
from perfconsole.ui.look import ASCII, UNICODE
from perfconsole.ui.screens.queries import QueriesScreen
from perfconsole.ui.screens.session_dialog import SessionDialog, end_session
from perfconsole.ui.screens.statement import StatementScreen
from perfconsole.ui.widgets.header import clock
from perfconsole.ui.widgets.places import server_severity
from perfconsole.ui.widgets.queries import COLUMNS, QueriesPane, flight_text, load_text, moment
from perfconsole.ui.widgets.sessions import SessionsPane, arranged, waits_text
from perfconsole.ui.widgets.table import wrapped

__all__ = ["make_postgres_world", "postgres_world"]

LOW, TALL = (80, 24), (160, 48)


def pane(console):
    return console.app.front.query_one(QueriesPane)


def below(console):
    return console.app.front.query_one(SessionsPane)


def queryids(console):
    return [item.row.queryid for item in pane(console)._items]


def footer(console):
    return console.lines[-1]


def args(row):
    return SessionArgs(SERVER, *row.key)


# The two tables -------------------------------------------------------------------------------------------------------------------


async def test_local_and_remote_sources_draw_the_same(make_postgres_world):
    pictures = []
    for kind in ("local", "remote"):
        async with queries_screen(make_postgres_world(20), kind, size=TALL) as console:
            await console.press("j", "tab", "j")
            pictures.append(console.picture)
    assert pictures[0] == pictures[1]


async def test_on_a_low_screen_tab_turns_from_one_table_to_the_other(postgres_world, kind):
    async with queries_screen(postgres_world, kind, size=LOW) as console:
        assert "▸QUERIES" in console.lines[2]
        assert not below(console).display
        assert "expand" not in {action.id for action in console.app.actions()}
        await console.press("tab")
        assert "▸SESSIONS" in console.lines[2]
        assert (pane(console).display, below(console).display, below(console).has_focus) == (False, True, True)
        assert "idle in xact" in console.text
        await console.press("tab")
        assert pane(console).has_focus
        assert "SELECT o.id" in console.text


@pytest.mark.parametrize("size", [LOW, TALL])
async def test_what_is_typed_right_after_tab_is_meant_for_the_other_table(postgres_world, size):
    """Widget.focus takes effect a turn later: typed in one go, the keys behind Tab went to the table that was left."""
    async with queries_screen(postgres_world, size=size) as console:
        await console.app.action_press("tab")
        await console.app.action_press("j")
        assert pane(console).selected is None
        assert below(console).row.pid == 4100  # also where it was hidden until now, and never drawn
        await console.settled()
        assert below(console).has_focus


async def test_with_room_both_are_there_and_one_can_have_it_all(postgres_world):
    async with queries_screen(postgres_world, size=TALL) as console:
        assert pane(console).display
        assert below(console).display
        assert "Sessions" not in console.lines[2]
        await console.press("e")
        assert not below(console).display
        await console.press("tab")
        assert below(console).display
        assert not pane(console).display
        await console.press("escape")
        assert pane(console).display
        assert console.app.current_mode == "queries"
        await console.press("escape")
        assert console.app.current_mode == "operations"


async def test_a_click_brings_a_table_to_the_front_and_selects(postgres_world):
    async with queries_screen(postgres_world, size=TALL) as console:
        await console.pilot.click(SessionsPane, offset=(10, 3))
        await console.settled()
        assert below(console).has_class("-front")
        assert below(console).row.pid == 4101
        await console.pilot.click(QueriesPane, offset=(40, 2 + len(queryids(console)) + 3))  # below the last row
        assert pane(console).selected is None


async def test_the_line_on_top_says_how_the_server_does(postgres_world):
    async with queries_screen(postgres_world, size=TALL) as console:
        assert [word in console.lines[2] for word in (SERVER, "▲ WARN", "■ 2 blocked", "time in: CPU 50% Lock 30% IO 20%")] == [True] * 4
        postgres_world.postgres.fault = None
        postgres_world.postgres.health = [("postgres", SERVER, "error", START, 0.0, 0.0, "db1:5432: down: connection refused", "start it")]
        await console.step()
        assert "■ CRIT" in console.lines[2]
        assert "connection refused" in console.lines[2]
        assert "SELECT o.id" in console.text  # what was known stays


async def test_who_is_blocked_is_counted_once(postgres_world):
    async with queries_screen(postgres_world, size=TALL) as console:
        rows = sessions(0)
        postgres_world.postgres.sessions = lambda step: [row for row in rows if row.pid != 4102]
        await console.step()  # the number of the server, read less often, is 2 still
        assert "■ 1 blocked" in console.lines[2]
        assert "1 blocked  1 idle in transaction" in console.text


async def test_what_is_no_longer_so_says_so_in_full_on_a_low_screen(postgres_world, kind):
    down = "/var/run/postgresql:5432: down: connection refused"
    async with queries_screen(postgres_world, kind, size=LOW) as console:
        fix = "start it, or see that host and port are right"
        postgres_world.postgres.health = [("postgres", SERVER, "error", START, 0.0, 0.0, down, fix)]
        postgres_world.postgres._tables = lambda target, at, views: ()
        await console.step(3)
        for _ in range(2):
            told = " ".join(" ".join(console.lines[-4:]).split())
            assert f"{down}: {fix}: shown is what was known 6.0s ago" in told
            await console.press("tab")


@pytest.mark.parametrize("size", [(60, 16), LOW, (120, 36), TALL, (200, 60)])
@pytest.mark.parametrize("ascii_only", [False, True])
async def test_it_fits_every_size_and_every_terminal(postgres_world, size, ascii_only):
    async with queries_screen(postgres_world, size=size, theme="terminal", colours=16, ascii_only=ascii_only) as console:
        for key in ("tab", "j", "x", "escape", "tab", "j", "s", "r"):
            await console.press(key)
            assert len(console.lines) == size[1]
            assert "LOAD" in console.text or "PID" in console.text or "Cancel" in console.text
            if ascii_only:
                assert all(ord(char) < 128 or char.isalpha() for char in console.text if char not in "在庫品番数量報告")


# Statements -----------------------------------------------------------------------------------------------------------------------


async def test_every_column_can_be_sorted_by_and_is_then_shown(postgres_world):
    async with queries_screen(postgres_world, size=LOW) as console:
        fields = [column.field for column in COLUMNS if column.field]
        assert pane(console).sort == fields[0]
        for field in (*fields[1:], fields[0]):
            await console.press("s")
            assert pane(console).sort == field
            assert field in {column.field for column in pane(console).columns()}
            first = pane(console)._items[0].row
            known = [getattr(item.row, field) for item in pane(console)._items]
            if isinstance(getattr(first, field), float):
                numbers = [value for value in known if not isnan(value)]
                assert numbers == sorted(numbers, reverse=True)
        before = queryids(console)
        await console.press("r")
        assert queryids(console) != before
        await console.press("r")
        assert queryids(console) == before


async def test_a_head_sorts_by_its_column_and_a_drawing_by_none(postgres_world):
    async with queries_screen(postgres_world, size=TALL) as console:
        at = console.lines[4].index("MEAN")
        await console.pilot.click(QueriesPane, offset=(at, 1))
        assert pane(console).sort == "mean_s"
        at = console.lines[4].index("TREND")
        await console.pilot.click(QueriesPane, offset=(at, 1))
        assert pane(console).sort == "mean_s"


async def test_what_is_regressed_new_nested_and_in_flight_stands_out(postgres_world):
    async with queries_screen(postgres_world, size=TALL) as console:
        lines = {line[-60:]: line for line in console.lines}
        (orders,) = [line for line in lines.values() if "▲3.1x" in line]
        assert "SELECT o.id" in orders
        assert "2x14s" in orders
        assert any("new" in line and "INSERT INTO" in line for line in lines.values())
        assert any("└─SELECT price" in line for line in lines.values())
        assert set(orders) & set("▁▂▃▄▅▆▇█")


async def test_others_make_the_shares_add_up_when_some_are_not_listed(make_postgres_world):
    world = make_postgres_world(4)
    world.postgres.load = 5.0
    async with queries_screen(world, size=TALL) as console:
        (line,) = [line for line in console.lines if "others: statements that are not listed" in line]
        listed = sum(item.row.load for item in pane(console)._items)
        assert f"{5.0 - listed:.2f}" in line
        world.postgres.load = None
        await console.step()
        assert "others:" not in console.text
        await console.press("slash", *"stock", "enter")
        assert queryids(console) == [STOCK]
        assert "others: statements that do not match" in console.text


@pytest.mark.parametrize(
    ("match", "found"), [("user:postgres", 1), ("db:shop carts", 1), ("nobody", 0), ("USER:app select", 5), ("同期", 1)]
)
async def test_it_is_filtered_by_text_user_and_database(postgres_world, kind, match, found):
    async with queries_screen(postgres_world, kind) as console:
        pane(console).filter(match)
        await console.settled()
        assert len(queryids(console)) == found
        assert f"filter {match!r}" in console.text
        await console.press("escape")
        assert len(queryids(console)) == 8


async def test_the_selection_sticks_to_the_statement_also_where_it_was_not_executed(postgres_world):
    async with queries_screen(postgres_world) as console:
        await console.press("j", "j")
        chosen = pane(console).row.queryid
        postgres_world.postgres.statements = lambda step, window_s: [row for row in statements(step, window_s) if row.queryid != chosen]
        await console.step()
        row = pane(console).row
        assert (row.queryid, row.calls, row.load) == (chosen, 0.0, 0.0)
        postgres_world.postgres.statements = statements
        await console.step()
        assert pane(console).row.queryid == chosen
        assert pane(console).row.calls > 0


@pytest.mark.parametrize(("window_s", "said"), [(60.0, "no statement was executed in this window"), (nan, "collecting…: a rate needs two")])
async def test_no_rows_before_there_is_a_rate_are_no_statement_about_statements(postgres_world, monkeypatch, window_s, said):
    monkeypatch.setitem(WINDOWS_S, "1m", window_s)
    postgres_world.postgres.statements = lambda step, window_s: []
    async with queries_screen(postgres_world) as console:
        assert said in console.text


async def test_windows_turn_and_the_mark_is_set_and_shown(postgres_world, kind):
    async with queries_screen(postgres_world, kind, size=TALL) as console:
        assert "last 1m (1m00s)" in console.text
        await console.press("comma", "comma", "comma")
        assert pane(console).window == "tick"
        assert "last tick (5.0s)" in console.text
        for window in WINDOWS[1:]:
            await console.press("full_stop")
            assert pane(console).window == window
            assert pane(console).table(console.app.state).window == window
        assert "since reset 01 Mar 03:1" in console.text
        await console.press("full_stop", "1", "4", "m", "enter")
        assert postgres_world.postgres.asked[-1][0] == POSTGRES_MARK.name
        assert pane(console).window == "mark"
        for _ in range(2):  # a second mark, too, counts from the next look on, and says so at once
            assert f"since mark {clock(console.app.state.at)}: with the next look" in console.lines[3]
            await console.step()
            assert "since mark 03:1" in console.lines[3]
            assert "(2m00s)" in console.lines[3]
            await console.press("m", "enter")


@pytest.mark.parametrize("key", ["p", "V", "A", "x"])
async def test_a_key_that_needs_a_selection_says_so(postgres_world, key):
    async with queries_screen(postgres_world) as console:
        await console.press(key)
        assert isinstance(console.screen, QueriesScreen)
        assert "nothing is selected: j and k choose" in footer(console)


async def test_enter_without_a_choice_opens_what_is_on_top(postgres_world):
    async with queries_screen(postgres_world) as console:
        top = pane(console)._items[0].row.queryid
        await console.press("enter")
        assert isinstance(console.screen, StatementScreen)
        await console.press("escape")
        assert pane(console).row.queryid == top


@pytest.mark.parametrize("key", ["enter", "p"])
async def test_a_session_leads_to_what_it_executes(postgres_world, key):
    async with queries_screen(postgres_world) as console:
        await console.press("tab", "j")
        session = console.screen.pane.row
        await console.press(key)
        assert isinstance(console.screen, StatementScreen)
        assert console.screen.subject.row.queryid == session.queryid


async def test_of_a_session_whose_statement_is_not_known_that_is_said(postgres_world):
    async with queries_screen(postgres_world) as console:
        await console.press("tab", "j")
        table = console.screen.pane
        at = next(i for i, item in enumerate(table._items) if not item.row.queryid)
        await console.press(*["j"] * at, "enter")
        assert isinstance(console.screen, QueriesScreen)
        assert "not among the statements of this window" in footer(console)


def test_a_server_that_answers_is_as_well_as_its_alerts_say():
    def blocked(severity, server, **fields):
        labels = (("server", server),)
        return Alert(server, server, "postgresql.sessions.blocked", labels, severity, "firing", "", START, START, 2.0, 0.0, **fields)

    state = State()
    alerts = [blocked("warning", SERVER), blocked("critical", "other")]
    state.apply(Tick(1, START, 0.0, key=True, alerts=alerts, stream=Stream("h", "s", "b", "0")))
    well = Health("postgres", SERVER, "ok", START, START)
    assert server_severity(state, well) == "warning"
    assert server_severity(state, structs.replace(well, target="other")) == "critical"
    assert server_severity(state, structs.replace(well, target="third")) == "ok"
    assert server_severity(state, structs.replace(well, state="stale")) == "stale", "of what cannot be asked nothing else is known"


async def test_a_mark_that_is_refused_changes_nothing(postgres_world):
    postgres_world.postgres.answers[POSTGRES_MARK.name] = RequestError("its statements were not read yet", "nothing was marked")
    async with queries_screen(postgres_world) as console:
        await console.press("m", "enter")
        assert pane(console).window == "1m"
        assert "not read yet" in footer(console)


async def test_what_limits_the_view_stands_in_full_below(postgres_world):
    fix = 'GRANT pg_monitor TO "somebody_with_a_long_name"'
    postgres_world.postgres.notes = (f"30 statements are hidden from this role, which sees only those of its own: {fix}",)
    async with queries_screen(postgres_world, size=LOW) as console:
        assert " ".join(fix.split()) in " ".join(console.text.split())


# Sessions -------------------------------------------------------------------------------------------------------------------------


def test_a_tree_has_its_root_on_top_and_everybody_below_the_one_they_wait_for():
    rows = [
        session(1, blocks=4), session(2, blocked_by=(1,), depth=1, blocks=1), session(3, blocked_by=(2,), depth=2),
        session(4, blocked_by=(1,), depth=1, blocks=1), session(5, blocked_by=(4, 1), depth=1), session(6, "idle"),
        session(7, "idle in transaction"), session(8, "active"), session(20, blocks=1), session(21, blocked_by=(20,), depth=1),
    ]  # fmt: skip
    assert [(item.row.pid, item.prefix) for item in arranged(rows, UNICODE)] == [
        (1, ""), (2, "├─"), (3, "│ └─"), (4, "├─"), (5, "└─"), (20, ""), (21, "└─"), (7, ""), (8, ""), (6, ""),
    ]  # fmt: skip


def test_a_busy_pool_stands_still_while_its_sessions_take_turns():
    def pids(*states):
        pool = [session(10 + i, state, query_age=0.1 * i, state_age=0.3 - 0.1 * i, xact_age=0.2) for i, state in enumerate(states)]
        slow, forgotten = session(30, query_age=40.0), session(20, "idle in transaction", state_age=11.0, xact_age=12.0)
        held = session(21, "idle in transaction", state_age=1.0, xact_age=12.0)
        unused = session(9, "idle", state_age=3600.0)
        return [item.row.pid for item in arranged([*pool, unused, held, forgotten, slow], UNICODE, START)]

    assert pids("active", "idle", "idle in transaction") == [20, 21, 30, 10, 11, 12, 9]
    assert pids("idle", "idle in transaction", "active") == [20, 21, 30, 10, 11, 12, 9]


def test_a_circle_that_is_not_yet_broken_is_shown_once():
    rows = [
        session(1, blocked_by=(2,), depth=1, blocks=1),
        session(2, blocked_by=(1,), depth=1, blocks=1),
        session(3, blocked_by=(99,), depth=1),
    ]
    assert sorted(item.row.pid for item in arranged(rows, ASCII)) == [1, 2, 3]


async def test_sessions_can_be_sorted_and_the_tree_comes_back(postgres_world):
    async with queries_screen(postgres_world, size=TALL) as console:
        await console.press("tab")
        tree = [item.row.pid for item in below(console)._items]
        assert tree[:3] == [4100, 4101, 4102]
        for _ in below(console).sorts():
            await console.press("s")
        assert [item.row.pid for item in below(console)._items] == tree
        assert below(console).sort == ""


async def test_ages_and_the_oldest_transaction_stand_out(postgres_world):
    async with queries_screen(postgres_world, size=TALL) as console:
        (idle,) = [line for line in console.lines if " 4100 " in line]
        assert "5m2" in idle
        (oldest,) = [line for line in console.lines if " 4120 " in line]
        assert "▲10m" in oldest
        assert sum("▲" in line for line in console.lines[-25:]) == 1


PREPARED = SessionRow(-725, START - 600.0, "prepared transaction", "shop", "app", "", "", "prepared", "", "", *[START - 600.0] * 3,
                      blocks=1, query="ROLLBACK PREPARED 'order 7'")  # fmt: skip


async def test_a_prepared_transaction_is_a_root_that_no_key_ends(postgres_world):
    waiter = session(5000, blocked_by=(-725,), depth=1)
    postgres_world.postgres.sessions = lambda step: [PREPARED, waiter, *sessions(step)]
    async with queries_screen(postgres_world, size=TALL) as console:
        await console.press("tab", "g")
        while not below(console).row.prepared:
            await console.press("j")
        assert "2PC" in console.text
        assert "ended by ROLLBACK PREPARED 'order 7'" in console.text
        await console.press("x")
        assert "no session holds it" in console.text
        await console.press("y")
        assert console.app.clipboard == "ROLLBACK PREPARED 'order 7'"
        await console.press("enter", "enter")
        assert console.app.screen.is_modal
        await console.press("escape")
        assert postgres_world.postgres.asked == []


# Ending -----------------------------------------------------------------------------------------------------------------------------


async def choose(console, pid):
    await console.press("tab", "g")
    while below(console).row.pid != pid:
        await console.press("j")


async def test_cancel_is_bound_to_the_session_that_was_chosen(postgres_world, kind):
    async with queries_screen(postgres_world, kind) as console:
        await choose(console, 4101)
        row = below(console).row
        await console.press("x")
        for text in ("4101 app", "on shop", "application api", "from 10.0.0.9", "active", "1 waits for it", "UPDATE shop.carts"):
            assert text in console.text, text
        postgres_world.postgres.sessions = lambda step: [structs.replace(each, backend_start=1.0) for each in sessions(step)]
        await console.step()
        console.app.screen.redraw()
        await console.press("enter")
        await console.until(lambda: postgres_world.postgres.asked)
        assert postgres_world.postgres.asked == [(POSTGRES_CANCEL.name, args(row))]


async def test_what_each_way_does_is_told_on_the_smallest_screen_too(postgres_world):
    async with queries_screen(postgres_world, size=(60, 16)) as console:
        await choose(console, 4101)
        await console.press("x")
        for text in ("the statement fails, its session goes on", "the connection ends, its work rolled back", "1 waits for it"):
            assert text in console.text, text


async def test_no_letter_ends_anything_and_escape_leaves(postgres_world):
    async with queries_screen(postgres_world) as console:
        await choose(console, 4120)
        await console.press("x")
        for key in "abcdefghilmnopqrstuvwxyzACGKTX0123456789":
            await console.pilot.press(key)
        assert isinstance(console.app.screen, SessionDialog)
        await console.press("escape")
        assert not console.app.screen.is_modal
        assert postgres_world.postgres.asked == []


async def test_an_idle_transaction_is_only_terminated_and_only_at_the_second_enter(postgres_world):
    async with queries_screen(postgres_world) as console:
        await choose(console, 4100)
        await console.press("x")
        assert "only terminating it helps" in console.text
        assert "its session goes on" not in console.text
        await console.press("enter")
        assert "press Enter again to terminate" in console.text
        await console.press("down", "enter")  # a move takes it back
        assert postgres_world.postgres.asked == []
        await console.press("enter")
        await console.until(lambda: postgres_world.postgres.asked)
        assert postgres_world.postgres.asked[0][0] == POSTGRES_TERMINATE.name
        await console.until(lambda: "terminated session 4100" in footer(console))
        assert not console.app.screen.is_modal


async def test_a_cancel_that_does_not_help_offers_to_terminate(postgres_world):
    async with queries_screen(postgres_world) as console:
        await choose(console, 4120)
        postgres_world.postgres.sessions = lambda step: sessions(0)  # it goes on with the same statement
        await console.step()
        await console.press("x", "enter")
        await console.until(lambda: console.app.screen._cancelled is not None)
        await console.step(2)
        console.app.screen.redraw()
        assert "it still runs" in console.text
        assert "Enter terminate" in console.text
        await console.press("enter", "enter")
        await console.until(lambda: len(postgres_world.postgres.asked) == 2)
        assert postgres_world.postgres.asked[1][0] == POSTGRES_TERMINATE.name


async def test_a_cancel_that_helped_closes_the_dialog(postgres_world):
    async with queries_screen(postgres_world) as console:
        await choose(console, 4120)
        await console.press("x", "enter")
        await console.until(lambda: console.app.screen._cancelled is not None)
        assert "cancelled what session 4120" in console.text
        postgres_world.postgres.sessions = lambda step: [each for each in sessions(step) if each.pid != 4120]
        await console.step()
        console.app.screen.redraw()
        await console.until(lambda: not console.app.screen.is_modal)


async def test_a_refusal_is_told(postgres_world):
    postgres_world.postgres.answers[POSTGRES_CANCEL.name] = RequestError("not allowed: session 4120", 'GRANT pg_signal_backend TO "app"')
    async with queries_screen(postgres_world) as console:
        await choose(console, 4120)
        await console.press("x", "enter")
        await console.until(lambda: not console.app.screen.is_modal)
        assert "GRANT pg_signal_backend" in footer(console)


async def test_from_a_statement_the_session_is_ended_that_has_run_it_for_longest(postgres_world):
    async with queries_screen(postgres_world) as console:
        await console.press("x")
        assert "nothing is selected" in footer(console)
        await console.press("j")
        assert pane(console).row.queryid == ORDERS
        await console.press("x")
        assert console.app.screen.row.pid == 4110
        await console.press("escape")
        while pane(console).row.queryid != NESTED:
            await console.press("j")
        await console.press("x")
        assert "no session that can be seen runs it now" in footer(console)


async def test_nothing_is_ended_in_a_held_moment_or_where_it_is_not_offered(make_postgres_world):
    async with queries_screen(make_postgres_world(4, read_only=True)) as console:
        await console.press("tab", "j", "x")
        assert not console.app.screen.is_modal
        assert "postgres.end" not in {action.id for action in console.app.actions()}
        await end_session(console.app, SERVER, below(console).row)
        assert "read-only" in footer(console)
    async with queries_screen(make_postgres_world(4)) as console:
        await console.press("tab", "j", "space", "x")
        assert not console.app.screen.is_modal
        await console.press("m")
        assert pane(console).window == "1m"


async def test_another_roles_session_says_which_grant_would_end_it(postgres_world):
    async with queries_screen(postgres_world) as console:
        await end_session(console.app, SERVER, session(9, backend_start=nan))
        assert "pg_signal_backend" in footer(console)
        await end_session(console.app, SERVER, structs.replace(PREPARED, pid=0))
        assert "pg_prepared_xacts" in footer(console)
        assert not console.app.screen.is_modal


# Servers --------------------------------------------------------------------------------------------------------------------------


async def test_servers_stand_in_one_order_and_are_told_apart(make_postgres_world):
    names = ("10.0.0.7:5432/orders", "10.0.0.7:5432/audit")
    async with queries_screen(make_postgres_world(4, *names), size=LOW) as console:
        assert " 10.0.0.7:5432/audit 1/2 ▲ WARN" in console.lines[2]
        assert "S server" in footer(console)
        await console.press("1")
        audit, orders = (next(line for line in reversed(console.lines) if f" {name} " in line) for name in sorted(names))
        assert audit.index("▲ WARN") == orders.index("▲ WARN")


async def test_why_there_is_nothing_is_told_in_full(postgres_world):
    down = ("postgres", SERVER, "error", START, 0.0, 0.0, "10.0.0.7:5432: down: connection refused", "start " * 12)
    postgres_world.postgres.health = [down]
    postgres_world.postgres._tables = lambda target, at, views: ()
    async with queries_screen(postgres_world, size=LOW) as console:
        assert " ".join(console.text.split()).count("start") == 12
        await console.press("tab")
        assert " ".join(console.text.split()).count("start") == 12


async def test_what_is_stale_is_said_once(postgres_world):
    async with queries_screen(postgres_world, size=TALL) as console:
        late = ("postgres", SERVER, "stale", START, 0.0, 0.0, "db1:5432: no answer yet, after 0.9 s", "what was known before is shown")
        postgres_world.postgres.health = [late]
        postgres_world.postgres._tables = lambda target, at, views: ()
        await console.step(3)
        assert "no answer yet, after 0.9 s: shown is what was known 6.0s ago" in console.text


async def test_on_the_smallest_screen_who_is_blocked_comes_before_who_works(make_postgres_world):
    async with queries_screen(make_postgres_world(4, "127.0.0.1:5601/shop"), size=(60, 16)) as console:
        assert console.lines[2].endswith("■ 2 blocked")


@pytest.mark.parametrize("keys", [("4",), ("4", "j", "enter"), ("4", "d")], ids=" ".join)
async def test_a_terminal_that_is_too_small_says_nothing_else(postgres_world, keys):
    async with queries_screen(postgres_world, size=LOW) as console:
        await console.press(*keys)
        await console.pilot.resize_terminal(40, 8)
        await console.until(lambda: "too small (40x8)" in console.lines[1])
        assert not any(line.strip() for line in console.lines[2:])
        await console.pilot.resize_terminal(*LOW)
        await console.until(lambda: any(line.strip() for line in console.lines[2:]))


async def test_the_next_server_has_tables_of_its_own(make_postgres_world, kind):
    async with queries_screen(make_postgres_world(4, "one", "two"), kind) as console:
        assert " one " in console.lines[2]
        await console.press("j", "S")
        assert " two " in console.lines[2]
        assert pane(console).selected is None
        assert {view.target for view in console.app.front.views()} == {"two"}
        await console.press("S")
        assert console.app.front.server == "one"


async def test_a_server_that_was_found_is_offered_and_connected_to_when_asked(make_postgres_world, monkeypatch, kind):
    async def stand_by(collector, target, slot, views):
        health = Health("postgres", target, "off", slot.at, 0.0, 0.0, "/var/run/postgresql:5432", "connect to it")
        return Result(health=[health])

    monkeypatch.setattr(Postgres, "run", stand_by)
    world = make_postgres_world(4)
    async with queries_screen(world, kind, size=TALL) as console:
        assert "a PostgreSQL server was found at /var/run/postgresql:5432: press c to connect" in console.text
        assert "not connected" in console.lines[2]
        assert "c connect" in footer(console)
        assert "postgres.end" not in {action.id for action in console.app.actions()}
        assert not console.app.counted()  # of what is not connected to nothing is counted
        await console.press("1")
        assert "found at /var/run/postgresql:5432: press 4, then c to connect" in console.text
        await console.press("4", "c")
        await console.until(lambda: world.postgres.asked)
        assert world.postgres.asked[0][0] == POSTGRES_CONNECT.name
        monkeypatch.undo()
        await console.step(2)
        assert "SELECT o.id" in console.text
        assert "postgres.connect" not in {action.id for action in console.app.actions()}


# Words ----------------------------------------------------------------------------------------------------------------------------


def test_words():
    assert flight_text(statement(ORDERS)) == "2x14s"
    assert flight_text(statement(REPORT)) == "10m12s"
    assert flight_text(statement(ORDERS, in_flight=5, longest_s=933.0)) == "5x15m"
    assert flight_text(statement(ORDERS, in_flight=12, longest_s=90_000.0)) == "12x1d1h"
    assert flight_text(statement(CART)) == ""
    assert [load_text(value) for value in (nan, 0.004, 99.99, 1234.56)] == ["-", "0.00", "99.99", "1235"]
    assert flight_text(statement(CART, in_flight=1)) == "1"
    assert moment(START - 60, START) == "03:11:00"
    assert moment(START - 86_400.0 * 3, START) == "01 Mar 03:12"
    table = SessionTable(SERVER, 1.0, 1.0, 0, [], waits=(("Lock", 0.61), ("CPU", 0.388), ("IO", 0.002)))
    assert waits_text(table) == "Lock 61% CPU 39%"
    assert wrapped("a bb ccc dddd", 4) == ["a bb", "ccc", "dddd"]
    assert wrapped("a b c d e", 1) == ["a", "b", "c d e"]
