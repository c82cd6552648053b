"""Reading SQL as far as asking for its plan needs it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfconsole.collectors.postgres.plans.sqltext import blanked, body, calls, first_word, literal, name_at, parameters, words

pieces = st.lists(
    st.sampled_from(
        ["'", "''", "E'", "\\", "$1", "$$", "$a$", "--", "\n", "/*", "*/", '"', " ", "x", "$", "interval ", "(", ")", ";", "é"]
    ),
    max_size=40,
).map("".join)


@given(pieces)
def test_nothing_moves_and_only_blanks_come_in(text):
    blank = blanked(text)
    assert len(blank) == len(text)
    assert all(now in (was, " ") for now, was in zip(blank, text, strict=True))
    assert all(text[start:].startswith(f"${number}") for start, number in parameters(text))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("a = $1 AND b = $12", [1, 12]),
        ("'$1' $2 E'\\'$3' $4", [2, 4]),
        ("'it''s $1' $2", [2]),
        ("$x$ $1 $$ $x$ $2 $$ $3 $$", [2]),
        ("-- $1\n$2 /* $3 /* $4 */ $5 */ $6", [2, 6]),
        ("\"$1\" $2 a$3 date'$4'", [2]),
        ("$1::text[$2]", [1, 2]),
    ],
)
def test_parameters_are_not_in_literals_names_and_comments(text, numbers):
    assert [number for _, number in parameters(text)] == numbers


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("select 1", "SELECT"),
        ("/* a /* b */ c */ -- d\n ( WITH x", "WITH"),
        ("", ""),
        ("'select'", ""),
        ("begin", "BEGIN"),
    ],
)  # fmt: skip
def test_what_a_text_begins_with(text, word):
    assert first_word(text) == word


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("PREPARE a AS SELECT $1", "SELECT $1"),
        ('prepare "a b" (int, text) as\nSELECT 1', "SELECT 1"),
        ("DECLARE c NO SCROLL CURSOR WITH HOLD FOR SELECT 2", "SELECT 2"),
        ('DECLARE "c" CURSOR FOR\nSELECT 3', "SELECT 3"),
        ("SELECT 'PREPARE a AS SELECT'", "SELECT 'PREPARE a AS SELECT'"),
    ],
)
def test_the_query_of_what_prepares_it_or_declares_a_cursor(text, query):
    assert body(text).strip() == query


def test_names_and_calls_are_found_wherever_they_stand():
    assert calls('f(1), "G h" (2), i /* ( */ (3), j -- x\n (4), k.l(5), M(6), n, "o", "p""q"(7)') >= {"f", "G h", "i", "j", "l", "m", 'p"q'}
    assert calls('SELECT n, "o" FROM t WHERE a = 1') == set()
    for text in ("f/*/**/*/(1)", "'/*', f/*/**/*/(1), '*/'", "'\"', f(1), '\"'", f"f{'/*' * 99}{'*/' * 99}(1)", "F\n\t("):
        assert "f" in calls(text)
    assert "F" in calls("""'"', "F"(1), '"'""")
    assert {"É", "x–☺", "straße"} <= calls("É(1), X–☺(2), STRAßE(3)")  # all of them letters to the server, which lowers A to Z
    assert {"orders", "Mixed"} <= words('SELECT * FROM ORDERS, "Mixed"')
    assert name_at('SELECT * FROM "a b".c x', 14) == '"a b".c'
    assert name_at("SELECT", 99) == ""


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_value_ends_where_its_literal_ends(value):
    quoted = literal(value)
    if value != "NULL":
        assert blanked(quoted + "x") == " " * len(quoted) + "x"


@pytest.mark.parametrize("unit", ["/*", "'", "$a$", '"', "--\n", "E'\\", "interval $1 ", "f(", "((((", "a/**/", "a /* ", "f/*x*/"])
def test_a_megabyte_of_anything_is_read_soon(unit):
    text = unit * (1_000_000 // len(unit))
    began = time.process_time()
    blanked(text), parameters(text), first_word(text), body(text), calls(text)
    assert time.process_time() - began < 20  # 2 s at the worst; what is quadratic takes hours
