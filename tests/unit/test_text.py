"""Untrusted text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfconsole.core.text import LIMIT, safe

HOSTILE = st.text(
    st.characters()
    | st.sampled_from("\x1b\x07\x9b\x9d\r\n\t\x7f\u202e\u2066\u200b\u200d\ufeff\u2028\u20dd\u034f\ufe0f\u0301")
    | st.integers(0xD800, 0xDFFF).map(chr)
)


@given(HOSTILE, st.integers(1, 40))
def test_always_printable_bounded_encodable_and_settled(text, limit):
    shown = safe(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit
    assert shown.encode().decode() == shown
    assert safe(shown, limit) == shown
    assert all(unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp", "Me"} for char in shown)


@given(st.binary(max_size=300), st.integers(1, 40))
def test_bytes_too(data, limit):
    shown = safe(data, limit)
    assert shown.isprintable()
    assert len(shown) <= limit
    assert safe(shown, limit) == shown


@given(st.text(st.characters(categories=("L", "N", "P", "S"))))
def test_printable_text_is_left_alone(text):
    assert safe(text) == text


@given(st.text(st.sampled_from("e\u0301\u034f\ufe0f\u20dd"), max_size=200))
def test_marks_do_not_pile_up(text):
    run = longest = 0
    for char in safe(text):
        run = run + 1 if unicodedata.category(char) in {"Mn", "Me"} else 0
        longest = max(longest, run)
    assert longest <= 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred", "␛[31mred"),
        ("a\nb\tc\r\n", "a b c  "),
        ("\x9b31m", "\ufffd31m"),
        ("\u202egnp.exe", "\ufffdgnp.exe"),
        ("del\x7f", "del␡"),
        ("\udc80", "\ufffd"),
        ("Köln 東京", "Köln 東京"),
        (b"caf\xc3\xa9 \xff", "café \ufffd"),
        ("a\u00a0b", "a b"),
    ],
)
def test_examples(text, shown):
    assert safe(text) == shown


def test_a_cut_is_marked():
    assert safe("x" * 5000) == "x" * (LIMIT - 1) + "…"
    assert safe(b"x" * 5000) == "x" * (LIMIT - 1) + "…"
    assert safe("é" * 10, 4) == "ééé…"
    assert safe("é".encode() * 10, 4) == "ééé…"
