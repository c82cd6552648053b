"""The screen of one statement: numbers, text, plan, sessions and tables; asked for, refused, in the past, in a terminal without a dot."""

import pytest
from msgspec import structs
from postgres_world import (
    CART,
    DETAIL,
    HOSTILE,
    MEASURED,
    NESTED,
    ORDERS,
    PLAN,
    REPORT,
    SERVER,
    TEXTS,
    VACUUM,
    make_postgres_world,
    node,
    postgres_world,
    queries_screen,
    session,
    statement,
)
from textual.widgets import Input
from world import START, Console, Told, console_app

from perfconsole.core.errors import RequestError
from perfconsole.core.requests import BY_HAND, MEASURED_S, ExplainArgs, StatementArgs
from perfconsole.core.tables import StatementTable
from perfconsole.core.tick import Stream, Tick
from perfconsole.ui.screens.measure import MeasureDialog
from perfconsole.ui.screens.prompt import Prompt
from perfconsole.ui.screens.queries import QueriesScreen
from perfconsole.ui.screens.session_dialog import SessionDialog
from perfconsole.ui.screens.statement import StatementScreen, values_of

__all__ = ["make_postgres_world", "postgres_world"]

WHO = StatementArgs(SERVER, 10, 5, ORDERS, True)
NO_VALUES = RequestError("no session runs it now, and none ran it last", f"try again while it runs, or {BY_HAND}")


def asked(world, op):
    """Arguments of all requests of a kind so far."""
    return [args for name, args in world.postgres.asked if name == f"postgres.{op}"]


async def opened(console, queryid=ORDERS, first=""):
    """A statement's screen, with what is read of it there."""
    row = statement(queryid)
    await console.app.push_screen(StatementScreen(row, SERVER, "1m", first))
    await answered(console)
    return console.screen


async def answered(console):
    """Wait until nothing is asked for any more."""
    await console.settled()
    screen = console.app.front
    await console.until(lambda: not screen.detail.waiting and not screen.plan.waiting)
    await console.settled()


# Opening ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "front"), [("enter", "text"), ("p", "plan"), ("V", "plan")])
async def test_a_statement_is_opened_from_the_table_and_left_again(postgres_world, kind, key, front):
    async with queries_screen(postgres_world, kind) as console:
        await console.press("j", key)
        await answered(console)
        assert isinstance(console.screen, StatementScreen)
        assert console.pane.id == front
        assert str(ORDERS) in console.text
        await console.press("escape")
        assert isinstance(console.screen, QueriesScreen)
        assert "▸QUERIES" in console.text
        assert console.pane.selected == statement(ORDERS).key


async def test_a_key_opens_it_with_the_plan_of_its_kind(postgres_world):
    async with queries_screen(postgres_world) as console:
        await console.press("j", "V")
        await answered(console)
        assert [args.how for args in asked(postgres_world, "explain")] == ["live"]
        await console.press("escape", "A")
        await console.until(lambda: isinstance(console.app.screen, MeasureDialog))
        assert "analyze" not in [args.how for args in asked(postgres_world, "explain")]


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (120, 36), (160, 48)])
async def test_every_size_shows_the_numbers_their_history_and_the_text(postgres_world, kind, size):
    async with queries_screen(postgres_world, kind, size) as console:
        await opened(console)
        shown = console.text
        for words in (
            "STATEMENT",
            "app in shop",
            "load",
            "(66%)",
            "310ms",
            "100ms (▲3.1x)",
            "hit",
            "71%",
            "FROM shop.orders o",
            "Esc back",
        ):
            assert words in shown, words
        assert len(console.lines) == size[1]
        wide = size[0] >= 120
        assert ("PLAN" in shown) == wide  # side by side where there is room, behind each other where there is not
        assert ("⣿" in shown) == wide
        assert wide or "▄" in shown


async def test_what_is_on_view_is_asked_for_once(postgres_world, kind):
    async with queries_screen(postgres_world, kind, (80, 24)) as console:
        await opened(console)
        await console.step(2)
        assert asked(postgres_world, "statement") == [WHO]
        assert asked(postgres_world, "explain") == []  # nobody has looked at a plan yet
        await console.press("tab")
        await answered(console)
        await console.step(2)
        assert asked(postgres_world, "explain") == [ExplainArgs(WHO)]


async def test_the_engine_is_told_to_look_at_this_statement_and_at_sessions(postgres_world):
    async with queries_screen(postgres_world) as console:
        await opened(console, REPORT)
        views = {view.table: view for view in console.app._watch.views}
        assert views["statement"].keys == (statement(REPORT).key,)
        assert (views["statement"].target, views["statement"].window, views["session"].target) == (SERVER, "1m", SERVER)


# Numbers ----------------------------------------------------------------------------------------------------------------------------


async def test_one_that_is_not_executed_keeps_its_last_numbers_and_comes_back(postgres_world, kind):
    async with queries_screen(postgres_world, kind, (80, 24)) as console:
        await opened(console)
        every = postgres_world.postgres.statements
        postgres_world.postgres.statements = lambda step, window_s: [row for row in every(step, window_s) if row.queryid != ORDERS]
        await console.step()
        assert "◌ not executed within 1m" in console.text
        assert "310ms" in console.text
        postgres_world.postgres.statements = every
        await console.step()
        assert "not executed" not in console.text


async def test_history_is_the_engines_where_there_is_one_and_begins_now_where_there_is_none(make_postgres_world):
    world = make_postgres_world(40)
    async with queries_screen(world, size=(160, 48)) as console:
        await opened(console)
        await console.step()
        heads = next(line for line in console.lines if "calls/s" in line)
        assert heads.count("since 03:10:4") == 2  # load and mean, since the engine began
        assert "since 03:12:02" in heads  # calls, since this was opened
        await console.press("escape")
        await opened(console, NESTED)
        await console.step(2)
        heads = next(line for line in console.lines if "calls/s" in line)
        assert heads.count("since 03:12:0") == 3


async def test_another_window_is_another_history(postgres_world, kind):
    async with queries_screen(postgres_world, kind, (80, 24)) as console:
        screen = await opened(console, NESTED)
        for _ in range(3):
            await console.step()
        assert len(screen.subject._seen) >= 3
        await console.press("full_stop")
        assert "over 5m" in console.text
        await console.step()
        assert console.app._watch.views[0].window == "5m"
        assert len(screen.subject._seen) <= 2
        assert f"{statement(NESTED, window_s=300.0).calls / 300:.0f}/s"[:1] in console.text
        await console.press("full_stop", "full_stop")
        assert "since mark" in console.lines[2]


async def test_a_server_that_is_gone_is_told_with_the_last_numbers(postgres_world):
    async with queries_screen(postgres_world, size=(80, 24)) as console:
        await opened(console)
        from perfconsole.core.errors import CollectorError

        postgres_world.postgres.fault = CollectorError("shop: connection refused", "is it running?")
        await console.step()
        assert "connection refused  is it running?" in console.text
        assert "310ms" in console.text


# Text -------------------------------------------------------------------------------------------------------------------------------


async def test_the_text_is_laid_out_and_coloured_and_copied_as_it_is(postgres_world, kind):
    async with queries_screen(postgres_world, kind, (80, 24)) as console:
        await opened(console)
        await console.until(lambda: " ORDER BY total DESC" in console.text)
        assert "   AND o.placed > $2" in console.lines
        styles = {text.strip(): style for row in console.picture for text, style in row}
        assert styles["FROM"] != styles["shop.orders o"]
        await console.press("y")
        assert console.app.clipboard == TEXTS[ORDERS]


async def test_before_it_is_read_the_text_of_the_table_is_shown(postgres_world):
    postgres_world.postgres.answers["postgres.statement"] = RequestError("the statement is not in pg_stat_statements any more", "evicted")
    async with queries_screen(postgres_world, size=(80, 24)) as console:
        await opened(console)
        assert "FROM shop.orders o" in console.text
        assert "the statement is not in pg_stat_statements any more: evicted" in console.text


async def test_a_hostile_text_is_shown_and_obeyed_by_nobody(postgres_world, kind):
    async with queries_screen(postgres_world, kind, (80, 24)) as console:
        await opened(console, HOSTILE)
        assert "'␛[31m[bold]$1[/bold]'" in console.text
        assert "\x1b" not in console.text


SHAPES = {
    "megabyte": "x" * 1_000_000,
    "wide": "在庫 " * 300_000,
    "nested": "(" * 9000,
    "comments": "/*" * 4000,
    "quotes": "'" * 5000,
    "lines": "SELECT 1;\n" * 20_000,
}


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
async def test_a_text_of_any_size_and_shape_is_scrolled_to_its_end(postgres_world, text):
    postgres_world.postgres.answers["postgres.statement"] = structs.replace(DETAIL, query=text)
    async with queries_screen(postgres_world, size=(80, 24)) as console:
        screen = await opened(console)
        await console.until(lambda: screen.text_section._of == (text, 80))
        await console.press("G")
        rows = len(screen.text_section._lines)
        assert f"-{rows} of {rows}" in console.text
        assert ("shown as it was sent" in console.text) == (len(text) > 10_000)
        await console.press("y")
        assert console.app.clipboard == text


# Plans ------------------------------------------------------------------------------------------------------------------------------


async def test_a_plan_is_a_tree_with_what_deserves_a_look_on_top(postgres_world, kind):
    async with queries_screen(postgres_world, kind, (160, 48)) as console:
        await opened(console)
        await console.until(lambda: "NODE" in console.text)  # it is on view at once, and so asked for
        shown = console.text
        assert "generic plan  a1b2c3d4  cost 18k  as for any values" in shown
        top = shown.index("▲ 50% Seq Scan on items i  costliest")
        assert top < shown.index("▲ 35% Seq Scan on orders o  filter without an index") < shown.index("NODE")
        for line in (
            "0%    10  Limit", "0%   24k  └─Sort", "├─Seq Scan on items i", "└─Hash", "  │   Filter: (placed > $2)",
            "    └─Index Scan using customers_name on customers c", "Index Cond: (name = $1)",
            "$1 text, $2 timestamp with time zone, $3 bigint",
        ):  # fmt: skip
            assert line in shown, line


async def test_a_plan_that_changed_since_the_last_look_says_so(postgres_world, kind):
    explain = postgres_world.postgres.answers["postgres.explain"]
    async with queries_screen(postgres_world, kind, (80, 24)) as console:
        await opened(console, first="query.plan")
        assert "not the plan of the last look" not in console.text
        await console.press("escape")
        postgres_world.postgres.answers["postgres.explain"] = lambda args: structs.replace(
            explain(args), hash="beefbeef", changed=args.last_hash not in {"", "beefbeef"}
        )
        await opened(console, first="query.plan")
        assert "▲ not the plan of the last look  beefbeef" in console.text
        await console.press("p")
        await answered(console)
        assert "not the plan of the last look" not in console.text
        assert [args.last_hash for args in asked(postgres_world, "explain")] == ["", "a1b2c3d4", "beefbeef"]


async def test_a_refusal_stands_in_place_with_its_fix_and_the_plan_before_it_stays(postgres_world, kind):
    async with queries_screen(postgres_world, kind, (80, 24)) as console:
        await opened(console, first="query.plan")
        postgres_world.postgres.answers["postgres.explain"] = RequestError(
            "permission denied for table orders", "GRANT SELECT ON shop.orders"
        )
        await console.press("p")
        await answered(console)
        assert "▲ permission denied for table orders" in console.text
        assert "GRANT SELECT ON shop.orders" in console.text
        assert "generic plan" in console.text
        postgres_world.postgres.answers["postgres.explain"] = PLAN
        await console.press("p")
        await answered(console)
        assert "permission denied" not in console.text


async def test_values_are_asked_for_where_no_session_has_them(postgres_world, kind):
    explain = postgres_world.postgres.answers["postgres.explain"]
    postgres_world.postgres.answers["postgres.explain"] = lambda args: (
        NO_VALUES if args.how == "live" and not args.values else explain(args)
    )
    async with queries_screen(postgres_world, kind) as console:
        await console.press("j", "V")
        await console.until(lambda: isinstance(console.app.screen, Prompt))
        assert console.screen.query_one(Input).placeholder == "values: $1 text, $2 timestamp with time zone, $3 bigint"
        console.screen.query_one(Input).value = 'ada, 2026-01-01, "1, 2"'
        await console.press("enter")
        await answered(console)
        assert [(args.how, args.values) for args in asked(postgres_world, "explain")] == [
            ("live", ()), ("generic", ()), ("live", ("ada", "2026-01-01", "1, 2")),
        ]  # fmt: skip
        assert "plan for one call" in console.text
        assert "with ada, 2026-01-01, 1, 2" in console.text
        await console.press("V")  # they can be changed
        assert console.screen.query_one(Input).value == 'ada, 2026-01-01, "1, 2"'


async def test_it_is_run_only_when_confirmed_and_no_is_the_default(postgres_world, kind):
    async with queries_screen(postgres_world, kind, (80, 24)) as console:
        await opened(console, first="query.plan")
        for keys in (("A", "enter"), ("A", "escape"), ("A", "y", "enter"), ("A", "down", "up", "enter")):
            await console.press(keys[0])
            await console.until(lambda: isinstance(console.app.screen, MeasureDialog))
            await console.press(*keys[1:])
            assert isinstance(console.screen, StatementScreen)
        await console.press("A")
        for words in ("as asked on shop", f"at most {MEASURED_S} s", "read-only", "rolled back", "▸no", "Enter no"):
            assert words in console.text, words
        assert [args.how for args in asked(postgres_world, "explain")] == ["generic"]
        await console.press("down", "enter")
        await answered(console)
        assert [args.how for args in asked(postgres_world, "explain")] == ["generic", "analyze"]
        assert "measured plan" in console.text
        assert "OWN TIME" in console.text
        await console.press("G")
        assert MEASURED.notes[0] in console.text


@pytest.mark.parametrize("queryid", [CART, VACUUM])
async def test_what_writes_cannot_be_run(postgres_world, queryid):
    async with queries_screen(postgres_world, size=(80, 24)) as console:
        await opened(console, queryid, "query.plan")
        assert not console.app.can("query.analyze")
        await console.press("A")
        assert isinstance(console.screen, StatementScreen)
        assert "A measure" not in console.lines[-1]


async def test_an_index_is_tried_and_what_would_make_it_copied(postgres_world, kind):
    ddl = "CREATE INDEX CONCURRENTLY ON shop.orders (placed)"
    effect = "cost 18k to 900: a Bitmap Heap Scan uses it"
    postgres_world.postgres.answers["postgres.explain"] = lambda args: structs.replace(
        PLAN, index=effect if args.index else "", ddl=ddl if args.index else ""
    )
    async with queries_screen(postgres_world, kind, (80, 24)) as console:
        await opened(console, first="query.plan")
        await console.press("enter")
        console.screen.query_one(Input).value = "shop.orders (placed)"
        await console.press("enter")
        await answered(console)
        assert effect in console.text
        await console.press("y")
        assert console.app.clipboard == ddl
        assert [args.index for args in asked(postgres_world, "explain")] == ["", "shop.orders (placed)"]
        console.app.tell("")
        await console.pilot.resize_terminal(160, 48)
        await console.until(lambda: "Enter try an index" in console.lines[-1])
        await console.press("tab")
        assert "Enter read again" in console.lines[-1]
        await console.press("tab", "tab", "tab")
        assert console.pane is console.screen.plan_section
        await console.press("p")
        await answered(console)
        assert [args.last_hash for args in asked(postgres_world, "explain")] == [
            "",
            "",
            PLAN.hash,
        ]  # not that of a plan with an index that is not there
        await console.press("y")
        assert console.app.clipboard.startswith("Limit\n  Sort\n")


async def test_a_plan_of_any_depth_keeps_room_for_names(postgres_world):
    deep = structs.replace(PLAN, nodes=[node(depth, f"Nested Loop {depth}", 1e6, 10.0, 1) for depth in range(300)])
    postgres_world.postgres.answers["postgres.explain"] = deep
    async with queries_screen(postgres_world, size=(60, 16)) as console:
        await opened(console, first="query.plan")
        await console.press("G", "pageup")
        assert "└─Nested Loop 29" in console.text
        assert "…" in console.text


# Sessions and tables ----------------------------------------------------------------------------------------------------------------


async def test_the_sessions_that_run_it_now_can_be_ended(postgres_world, kind):
    async with queries_screen(postgres_world, kind, (120, 36)) as console:
        await opened(console, CART)
        await console.press("tab", "tab")
        assert console.pane.id == "now"
        rows = [line for line in console.lines if "held by" in line]
        assert ["4101" in rows[0], "held by 4100" in rows[0], "held by 4101" in rows[1]] == [True, True, True]  # the longest first
        assert len(rows) == 2  # not 4100: it is idle: its transaction's last statement was this, and has ended
        await console.press("j", "x")
        await console.until(lambda: isinstance(console.app.screen, SessionDialog))
        assert console.screen._args.pid == 4102
        await console.press("escape")
        assert isinstance(console.screen, StatementScreen)


async def test_why_nobody_runs_it_is_said(postgres_world):
    async with queries_screen(postgres_world, size=(80, 24)) as console:
        await opened(console, HOSTILE)
        await console.press("tab", "tab")
        await answered(console)
        assert "no session runs it at this moment" in console.text
        assert not console.app.can("postgres.end")
        postgres_world.postgres.sessions = lambda step: [session(7, step=step), session(8, "idle", step)]
        await console.step()
        assert "the server does not say which statement a session runs" in console.text


async def test_tables_say_how_they_are_kept(postgres_world, kind):
    async with queries_screen(postgres_world, kind, (160, 48)) as console:
        await opened(console)
        shown = console.text
        for words in (
            "shop.items  812M + 310M indexes  4.8M rows  12k dead",
            "scanned 18k times whole, 3 by index",
            "items_pkey unique btree (id)",
        ):
            assert words in shown, words
        assert "vacuumed never, analyzed never" in shown
        styles = {text.strip(): style for row in console.picture for text, style in row}
        assert styles["41k dead"] != styles["12k dead"]  # a quarter of its rows, against a four-hundredth


async def test_notes_on_what_could_not_be_read_stand_in_its_place(postgres_world):
    note = "tables unknown: permission denied for schema shop"
    postgres_world.postgres.answers["postgres.statement"] = structs.replace(DETAIL, relations=[], notes=(note,))
    async with queries_screen(postgres_world, size=(80, 24)) as console:
        await opened(console)
        await console.press("shift+tab")
        assert note in console.text
        await console.press("enter")  # read again
        await answered(console)
        assert len(asked(postgres_world, "statement")) == 2


# Other times, other sources ---------------------------------------------------------------------------------------------------------


async def test_a_held_moment_is_read_when_it_ends(postgres_world):
    async with queries_screen(postgres_world, size=(80, 24)) as console:
        await console.press("j", "space", "enter")
        await console.press("tab")
        assert "not read while a moment is held" in console.text
        assert not console.app.can("query.plan")
        await console.press("space")
        await answered(console)
        assert "generic plan" in console.text


@pytest.mark.parametrize(("past", "why"), [(True, "a recording does not hold this"), (False, "this source does not offer it")])
async def test_what_cannot_be_had_is_said_and_the_numbers_stay(past, why):
    table = StatementTable(SERVER, START, "tick", 30.0, 1, 0, 0.0, 8192, [statement(ORDERS, window_s=30.0)])
    source = Told(Tick(1, START, 0.0, key=True, past=past, tables=[table], stream=Stream("box", "s", "b", "0")))
    app = console_app(source)
    async with app.run_test(size=(80, 24)) as pilot:
        console = Console(app, pilot)
        await pilot.pause()
        await app.push_screen(StatementScreen(statement(ORDERS), SERVER, "1m"))
        await console.until(lambda: "FROM shop.orders o" in console.text)
        assert "310ms" in console.text
        assert "what is known here is over last tick, not over 1m" in console.text
        for _ in range(2):
            await console.press("tab")
            shown = console.text
            assert why in shown or "not recorded" in shown or "collecting" in shown
        await console.press("shift+tab", "V", "A", "p", "x")
        assert isinstance(console.screen, StatementScreen)


@pytest.mark.parametrize("theme", ["mono", "terminal"])
async def test_ascii_without_colours_shows_the_same(postgres_world, theme):
    async with queries_screen(postgres_world, size=(160, 48), theme=theme, ascii_only=True, colours=0) as console:
        await opened(console, first="query.plan")
        assert console.text.isascii()
        assert "`-Hash Join" in console.text
        assert "! 50% Seq Scan on items i  costliest" in console.text
        await console.press("A")
        await console.until(lambda: isinstance(console.app.screen, MeasureDialog))
        assert console.text.isascii()


@pytest.mark.parametrize(
    ("text", "values"), [("a, b", ("a", "b")), ('"a, b", c', ("a, b", "c")), ("", ()), ("'x'", ("'x'",)), ('"say ""hi"""', ('say "hi"',))]
)
def test_values_are_written_on_one_line(text, values):
    assert values_of(text) == values
