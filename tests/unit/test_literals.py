"""Literals of SQL are hidden: whatever stands in one, and wherever the text was cut, nothing of it is left."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfconsole.core.literals import LIMIT, REST, hide
from perfconsole.core.redact import MASK, redact

SECRET = "zq"
"""Stands in every literal that is made here, and nowhere else."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("SELECT * FROM t1 WHERE a = 'Anna O''Hara' AND b=42", "SELECT * FROM t1 WHERE a = ? AND b=?"),
        ("SELECT E'it\\'s', $$Anna$$, $q$a $$ b$q$, 1.5e3, \"col 7\"", 'SELECT ?, ?, ?, ?, "col 7"'),
        ("SELECT a -- Anna\n, b /* 42 /* nested */ x */ FROM t WHERE c = $1", "SELECT a  \n, b   FROM t WHERE c = $1"),
        ("SELECT x'1F', B'01', n'a', U&'d\\0061t', U&\"d\\0061t\"", 'SELECT ?, ?, ?, ?, U&"d\\0061t"'),
        ("SELECT -.5, 1e-5, 0x1F, 1_000, c1, a$b$c", "SELECT -?, ?, ?, ?, c1, a$b$c"),
        ("SELECT date '2024-01-01' - interval '1 day'", "SELECT date ? - interval ?"),
        ("INSERT INTO t VALUES ('cut in the mid", "INSERT INTO t VALUES (?"),
        ("SELECT $tag$cut in the $tag", "SELECT ?"),
        ("SELECT /* cut", "SELECT  "),
        ('SELECT "cut', f"SELECT {REST}"),
        ("SELECT 'a\nb' -- 'c", "SELECT ?  "),
        ("SELECT größe, 'Ä' FROM straße", "SELECT größe, ? FROM straße"),
        # In one setting of the server the string ends here, in the other it does not.
        ("SELECT 'C:\\', 'Anna'", f"SELECT {REST}"),
        (f"SELECT * FROM t WHERE token={MASK} AND a = ' AND b = Anna", f"SELECT * FROM t WHERE token={REST}"),
        ("", ""),
    ],
)
def test_what_is_said_is_taken_out_and_what_is_asked_stays(text, shown):
    assert hide(text) == shown


words = st.sampled_from(
    ["SELECT", "a", "größe", "t1", "x$y", '"col 7"', '"a""b"', "*", "(", ")", ",", "=", "->>", "::", "$1", "?", ";", "-", "/"]
)
inside = st.text(st.sampled_from("ab1 '\"\\$-/*é\n\x00;?E"), max_size=8).map(lambda text: SECRET + text + SECRET)


def doubled(text):
    return text.replace("'", "''")


literals = st.one_of(
    # A backslash before a quote is for the test of what is ambiguous.
    inside.map(lambda text: f"'{doubled(text).replace(chr(92), '')}'"),
    st.tuples(st.sampled_from("bBxXnN"), inside).map(lambda both: f"{both[0]}'{doubled(both[1]).replace(chr(92), '')}'"),
    inside.map(lambda text: "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"),
    inside.map(lambda text: "e'" + doubled(text.replace("\\", "\\\\")) + "'"),
    inside.map(lambda text: f"$${text.replace('$', '')}$$"),
    inside.map(lambda text: f"$tag${text.replace('$tag$', '')}$tag$"),
    inside.map(lambda text: f"--{text.replace(chr(10), '')}\n"),
    inside.map(lambda text: f"/*{text.replace('/', '')}*/"),
    inside.map(lambda text: f"/* /*{text.replace('/', '')}*/{SECRET}*/"),
)
statements = st.lists(st.one_of(words, literals), max_size=12).map(" ".join)


@given(statements, st.integers(0, 300))
def test_nothing_of_a_literal_survives_wherever_the_text_is_cut(statement, cut):
    for text in (statement, statement[:cut]):
        assert SECRET not in hide(text), text


@given(statements)
def test_nor_behind_what_hides_passwords(statement):
    assert SECRET not in hide(redact(f"SELECT password = 'a''{SECRET}' , " + statement))


@given(st.lists(st.one_of(words, st.from_regex(r"[0-9]{1,12}(\.[0-9]{1,5})?(e[+-]?[0-9]{1,3})?", fullmatch=True)), max_size=12))
def test_no_number_survives_that_is_no_name(parts):
    shown = hide(" ".join(parts))
    assert not re.search(r"(?<![\w$\"?é])(?<!\w )[0-9]", shown.replace('"col 7"', ""))


@given(st.text(st.sampled_from("aE1'\"\\$-/*\n. …?n&U"), max_size=40))
def test_any_text_is_taken_and_once_is_enough(text):
    once = hide(text)
    assert hide(once) == once


@given(st.text(max_size=60), st.integers(LIMIT - 30, LIMIT + 30))
def test_a_long_text_is_cut_and_cut_once(text, size):
    long = (text + " ") * (size // (len(text) + 1) + 1)
    once = hide(long[:size])
    assert hide(once) == once
    assert len(once) <= LIMIT + len(REST)


@pytest.mark.parametrize("piece", ["'", '"', "$", "/*", "'\\", "e'\\", "1e+", "1,", "a", "$a", "-", "\n--"])
def test_a_megabyte_takes_no_time(piece):
    began = time.process_time()
    hide(piece * (1_000_000 // len(piece)))
    assert time.process_time() - began < 5  # what is quadratic takes hours
