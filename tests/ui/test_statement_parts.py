"""What a statement's screen is made of, without a screen: SQL laid out, plans as trees, a statement followed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from postgres_world import HOSTILE, ORDERS, PLAN, SERVER, TEXTS, node, statement
from rich.cells import cell_len
from world import START

from perfconsole.config import themes
from perfconsole.config.abilities import Abilities
from perfconsole.core.state import State
from perfconsole.core.tables import SessionTable, StatementTable
from perfconsole.core.tick import Tick
from perfconsole.ui.look import Look
from perfconsole.ui.plan import branches, plan_lines
from perfconsole.ui.sql import Uncut, laid_out, plain, wrapped
from perfconsole.ui.statement import LOAD, Statement, reads
from perfconsole.ui.subject import LIVE, UNSEEN

LOOK = Look(themes.load_theme("midnight", env={}).spec, Abilities(ascii=False, colours=1 << 24))
ASCII = Look(themes.load_theme("mono", env={}).spec, Abilities(ascii=True, colours=0))


def said(lines):
    return "".join(text for line in lines for text, *_ in line)


# SQL --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_laying_out_loses_and_invents_nothing_but_blanks(text):
    assert "".join(said(laid_out(text)).split()) == "".join(text.split())


def test_words_have_roles_by_what_they_are():
    roles = {text.strip(): role for line in laid_out("SELECT 'a', 12, $1 FROM t -- why\nWHERE x") for text, role in line}
    assert (roles["SELECT"], roles["'a'"], roles["12"], roles["$1"], roles["-- why"]) == (
        "accent",
        "ok_bar",
        "ok_bar",
        "warning_bar",
        "dim",
    )


@pytest.mark.parametrize("text", ["SELECT " + "a, " * 50_000, "(" * 5000], ids=["long", "nested"])
def test_what_cannot_be_laid_out_is_shown_as_it_is(text):
    assert laid_out(text) == plain(text)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400), st.integers(4, 60))
def test_lines_are_never_wider_than_there_is_room(text, width):
    lines = wrapped(plain(text), width)
    assert max(cell_len("".join(part for part, _ in line)) for line in lines) <= width
    shown = "".join(char for char in said(lines) if char.isalnum())
    assert shown == "".join(char for char in text if char.isalnum() and char.isprintable())


@given(st.lists(st.text("ab 在庫", max_size=90), min_size=1, max_size=9), st.integers(4, 60))
def test_a_long_text_is_cut_where_it_is_looked_at(lines, width):
    text = "\n".join(lines)
    cut = Uncut(text, width)
    rows = [said([row]) for row in cut]
    assert len(rows) == len(cut)
    assert "".join(rows) == text.replace("\n", "")
    assert all(cell_len(row) <= width for row in rows)
    assert [said([row]) for row in cut[1:3]] == rows[1:3]


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ("SELECT 1", True), ("  (select 1) union (select 2)", True), ("WITH a AS (SELECT 1) SELECT * FROM a", True), ("VALUES ($1)", True),
        ("WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", False), ("UPDATE t SET a = $1", False), ("", False), ("VACUUM", False),
    ],
)  # fmt: skip
def test_what_only_reads_is_told_by_its_words(text, only):
    assert reads(text) == only


# Plans ------------------------------------------------------------------------------------------------------------------------------


def test_branches_hang_on_the_node_above():
    drawn = branches([0, 1, 2, 2, 1, 2], LOOK)
    assert [branch.own for branch in drawn] == ["", "├─", "│ ├─", "│ └─", "└─", "  └─"]
    assert [branch.below for branch in drawn] == ["│ ", "│ │ ", "│ │   ", "│     ", "  │ ", "      "]
    assert branches([0, 1], ASCII)[1].own == "`-"
    assert branches([], LOOK) == []


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_every_tree_has_one_last_child_a_parent(steps):
    depths = [0]
    for step in steps:
        depths.append(max(1, min(depths[-1] + 1, depths[-1] + 2 - step)))
    drawn = branches(depths, LOOK)
    children = {}
    for at, depth in enumerate(depths[1:], 1):
        parent = max(i for i in range(at) if depths[i] == depth - 1)
        children.setdefault(parent, []).append(drawn[at].own)
    assert all(own[-1].endswith("└─") and all(each.endswith("├─") for each in own[:-1]) for own in children.values())


@pytest.mark.parametrize("width", [20, 40, 60, 120])
def test_long_conditions_go_over_three_lines_and_are_cut(width):
    long = node(0, "Seq Scan on t", 1.0, 1.0, 1, details=(("Filter", "a = ANY(ARRAY[" + "1, " * 5000 + "1])"),))
    lines = plan_lines(structs.replace(PLAN, nodes=[long]), LOOK, width)
    assert sum("1, 1" in said([line]) for line in lines) <= 3
    assert "…" in said(lines)


def test_a_plan_without_costs_divides_by_nothing():
    assert "Result" in said(plan_lines(structs.replace(PLAN, nodes=[node(0, "Result", 0.0, 0.0, 1)]), LOOK, 80))
    assert plan_lines(structs.replace(PLAN, nodes=[]), LOOK, 80)


# Following --------------------------------------------------------------------------------------------------------------------------


def state_of(rows, at=0.0, window="1m", sessions=None):
    state = State()
    tables = [StatementTable(SERVER, START + at, window, 60.0, len(rows), 0, 0.0, 8192, rows)]
    if sessions is not None:
        tables.append(SessionTable(SERVER, START + at, START + at, len(sessions), sessions))
    state.apply(Tick(1, START + at, at, key=True, tables=tables))
    return state


def test_what_was_seen_is_a_history_once_a_table():
    subject = Statement(statement(HOSTILE), SERVER, "1m")
    for at in (0.0, 5.0, 5.0, 10.0):
        subject.follow(state_of([statement(HOSTILE, load=at)], at))
    times, values = subject.series(State(), LOAD).points()
    assert (list(times), list(values)) == ([START, START + 5.0, START + 10.0], [0.0, 5.0, 10.0])
    subject.turn("5m")
    assert len(subject.series(State(), LOAD).ring) == 0


def test_another_user_s_statement_of_the_same_text_is_another():
    subject = Statement(statement(ORDERS), SERVER, "1m")
    subject.follow(state_of([statement(ORDERS, userid=11)]))
    assert subject.status == UNSEEN
    subject.follow(state_of([statement(ORDERS, load=7.0)]))
    assert (subject.status, subject.row.load) == (LIVE, 7.0)


def test_a_text_that_was_let_go_stays():
    subject = Statement(statement(ORDERS), SERVER, "1m")
    subject.follow(state_of([statement(ORDERS, query="")]))
    assert subject.text == TEXTS[ORDERS]
