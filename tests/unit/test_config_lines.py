"""The scanner that knows on which line each key stands, against the parser that knows what TOML is."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfconsole.config.lines import Lines

TRICKY = '''\
# [not.a.table] x = 1
top = """
fake = 1
[fake]
\\""" still "" text"""
'quoted key' = 'a # no comment'
literal = \'\'\'
fake = 2\'\'\'\'\'
a.b . "c.d" = 3   # dotted
[ table ] # comment
inline = { one = 1, two = { three = [1, 2,
  { four = "}" },
] } }
list = [
  "x", # comment ]
  # another
  "]",
]
[[many]]
name = "first"
[many.sub]
deep = 1
[[many.inner]]
x = 1
[[many.inner]]
x = 2
[[many]]
name = "second"
[[many.inner]]
x = 3
["esc\\u0061pe"]
key = 2026-01-01T00:00:00Z
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("quoted key",), 6),
        (("literal",), 7),
        (("a",), 9),
        (("a", "b", "c.d"), 9),
        (("table",), 10),
        (("table", "inline", "two", "three"), 11),
        (("table", "inline", "two", "three", 2), 12),
        (("table", "inline", "two", "three", 2, "four"), 12),
        (("table", "list", 1), 17),
        (("many",), 19),
        (("many", 0, "name"), 20),
        (("many", 0, "sub", "deep"), 22),
        (("many", 0, "inner", 0, "x"), 24),
        (("many", 0, "inner", 1, "x"), 26),
        (("many", 1), 27),
        (("many", 1, "name"), 28),
        (("many", 1, "inner", 0, "x"), 30),
        (("escape", "key"), 32),
        (("table", "not there"), 10),
        (("nowhere",), 0),
    ],
)
def test_finds_the_line_of_every_key(path, line):
    assert Lines(TRICKY).of(path) == line


def _paths(value, at=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*at, key)
        yield from _paths(inner, (*at, key))


def test_knows_every_path_that_the_parser_knows_and_no_other():
    known = set(_paths(tomllib.loads(TRICKY)))
    assert set(Lines(TRICKY)._found) == known


def test_crlf_counts_as_one_line():
    assert Lines("a = 1\r\nb = 2\r\n".replace("\r\n", "\n")).of(("b",)) == 2


@pytest.mark.parametrize(
    ("text", "path", "first", "line"),
    [
        ("a = 1\nb = 2\na = 3\n", ("a",), 1, 3),
        ("[t]\nx = 1\n[u]\n[t]\n", ("t",), 1, 4),
        ("[t]\nx = { y = 1, y = 2 }\n", ("t", "x", "y"), 2, 2),
        ("[[t]]\nx = 1\n[[t]]\nx = 1\nx = 2\n", ("t", 1, "x"), 4, 5),
    ],
)
def test_notes_what_is_written_twice(text, path, first, line):
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(text)
    assert Lines(text).twice == [(path, first, line)]


@given(st.text(alphabet="ab=[]{}\"'\\\n#.,1 \t", max_size=60))
def test_ends_on_any_text_and_agrees_with_the_parser_where_it_is_toml(text):
    lines = Lines(text)
    try:
        values = tomllib.loads(text)
    except ValueError:
        return
    assert lines.twice == []
    assert all(1 <= lines.of(path) <= text.count("\n") + 1 for path in _paths(values))
