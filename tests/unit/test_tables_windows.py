"""Tables over several windows at once: what one reader looks at is nothing to another."""

from math import isnan, nan

import pytest

from perfconsole.core.segment import recorded
from perfconsole.core.state import WINDOW_HELD_S, State
from perfconsole.core.tables import SessionRow, StatementRow, StatementTable, View, cut, select
from perfconsole.core.tick import Stream, Tick, merge


def statement(queryid=1, **fields):
    return StatementRow(**{
        "userid": 10, "dbid": 5, "queryid": queryid, "toplevel": True, "user": "app", "database": "shop", "calls": 4.0, "exec_s": 2.0,
        "load": 0.4, "share": 1.0, "mean_s": 0.5, **fields,
    })  # fmt: skip


def table(window, at=100.0, target="orders", queryid=1):
    return StatementTable(target, at, window, 5.0, 1, 0, 0.0, 8192, [statement(queryid)])


def told(*ticks):
    state = State()
    for seq, tables in enumerate(ticks, 1):
        at = max(table.at for table in tables)
        state.apply(Tick(seq, at, at, key=seq == 1, tables=list(tables), stream=Stream("box", "s", "b", "0")))
    return state


def test_a_state_holds_a_table_a_window_and_gives_the_one_asked_for():
    state = told((table("1m"), table("5m")), (table("1m", 105.0),))
    assert state.table(StatementTable, "orders", "5m").at == 100.0
    assert state.table(StatementTable, "orders", "1m").at == 105.0
    assert state.table(StatementTable, "orders").window == "1m"  # the one told last
    assert state.table(StatementTable, "orders", "open") is None
    assert state.table(StatementTable, "elsewhere", "1m") is None


def test_a_window_that_nobody_looks_at_any_more_is_forgotten():
    late = 101.0 + WINDOW_HELD_S
    state = told((table("1m"), table("5m"), table("1m", target="other")), (table("1m", late),))
    assert state.table(StatementTable, "orders", "5m") is None
    assert state.table(StatementTable, "other") is not None  # another server's is nothing to it


def test_a_keyframe_and_a_merged_tick_carry_every_window():
    state, other = told((table("1m"), table("5m")), (table("1m", 105.0, queryid=7),)), State()
    other.apply(state.keyframe())
    assert {window: other.table(StatementTable, "orders", window).at for window in ("1m", "5m")} == {"1m": 105.0, "5m": 100.0}
    assert other.table(StatementTable, "orders").window == "1m"
    ticks = [Tick(1, 1.0, 1.0, tables=[table("1m"), table("5m")]), Tick(2, 2.0, 2.0, tables=[table("1m", 105.0)])]
    assert [(each.window, each.at) for each in merge(ticks).tables] == [("1m", 105.0), ("5m", 100.0)]


def test_a_reader_is_sent_only_the_window_that_it_looks_at():
    assert cut(table("5m"), [View("statement", "orders", window="1m")]) is None
    assert cut(table("1m"), [View("statement", "orders", window="1m")]).rows
    assert cut(table("1m"), [View("statement", "", window="5m"), View("statement", "", window="1m")]).rows


def test_who_names_no_window_keeps_the_last_tick():
    view = View("statement", "orders")
    assert cut(table("tick"), [view]).rows
    assert cut(table("1m"), [view]) is None
    assert recorded(Tick(1, 1.0, 1.0, tables=[table("1m")])).tables == []


@pytest.mark.parametrize(
    ("match", "found"),
    [
        ("user:app", {1, 2}),
        ("user:report", {3}),
        ("db:shop app", {1, 2}),
        ("database:SHOP user:re", {3}),
        ("report", {2, 3}),
        ("text:report", {2}),
        ("load:0.4", set()),
        ("id::int", {1}),
        ("user:", set()),
    ],
)
def test_a_filter_looks_in_all_texts_or_in_the_one_it_names(match, found):
    rows = [
        statement(1, query="SELECT id::int FROM shop"),
        statement(2, query="SELECT report"),
        statement(3, user="report", query="SELECT 1"),
    ]
    assert {row.queryid for row in select(rows, View("statement", match=match))} == found


def test_what_is_made_of_two_columns_can_be_sorted_by():
    slow = statement(1, baseline_s=0.1, shared_hit=150.0, shared_read=50.0, io_s=1.0, rows=8.0)
    same = statement(2, baseline_s=0.5, shared_hit=20.0, shared_read=5.0, rows=80.0)
    new = statement(3, shared_hit=400.0, shared_read=0.0)
    assert (slow.change, slow.hit_ratio, slow.io_ratio, slow.rows_per_call) == (5.0, 0.75, 0.5, 2.0)
    assert isnan(same.hit_ratio)
    assert isnan(new.change)
    assert isnan(statement(calls=0.0, rows=0.0).rows_per_call)
    rows = [new, same, slow]
    assert [row.queryid for row in select(rows, View("statement", sort="change"))] == [1, 2, 3]
    assert [row.queryid for row in select(rows, View("statement", sort="hit_ratio"))] == [3, 1, 2]
    assert [row.queryid for row in select(rows, View("statement", sort="rows_per_call", reverse=True))] == [1, 2, 3]


def session(pid, state, **fields):
    return SessionRow(pid, 1.0, "client backend", "d", "u", "a", "c", state, "", "", nan, 50.0 + pid, nan, **fields)


def test_of_many_sessions_a_blocking_tree_is_kept_as_a_whole():
    idle = [session(pid, "idle") for pid in range(1, 300)]
    rows = [*idle, session(900, "idle in transaction", blocks=2), session(901, "active", blocked_by=(900,)), session(902, "active")]
    kept = select(rows, View("session", sort="urgency", limit=3))
    assert [row.pid for row in kept] == [900, 901, 902]
