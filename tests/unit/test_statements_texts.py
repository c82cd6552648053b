"""Texts of statements: what may be shown of them, when they are asked for, and what happens when they are too dear."""

import pytest

from perfconsole.collectors.postgres.faults import ENDED, ServerError
from perfconsole.collectors.postgres.statements import texts as statement_texts
from perfconsole.collectors.postgres.statements.rows import MOST, SEARCHED
from perfconsole.collectors.postgres.statements.texts import EVERY_S, MARKER, Names, Texts, lines

KEY = (10, 5, 77, True)


def test_lines_are_kept_and_safe():
    assert lines("  SELECT 1 -- one\r\n\n\tFROM t\x1b[2J\x00 ") == "SELECT 1 -- one\n FROM t\u241b[2J\u2400"
    assert len(lines("x" * 1_000_000)) < 5000
    assert lines("a\n" * 10_000).count("\n") < 200


class Server:
    """Answers with texts, or with a fault."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def fetch(self, sql, *args, **_):
        self.asked.append(args)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_a_text_is_asked_for_once_and_one_that_is_gone_not_again_soon():
    texts, server = Texts(), Server([(10, 5, 77, "SELECT $1")], [])
    other = (10, 5, 88, True)
    assert texts.wanted([KEY, KEY, other], 100.0) == [KEY[:3], other[:3]]
    await texts.load(server, "", [KEY, other], 100.0)
    assert texts.get(KEY) == "SELECT $1"
    assert texts.wanted([(10, 5, 99, True)], 100.0 + EVERY_S - 1) == []
    assert texts.wanted([KEY, other], 100.0 + EVERY_S) == []
    assert texts.wanted([KEY, other], 200.0) == [other[:3]]
    assert server.asked == [("77 88",)]


async def test_a_password_that_was_set_is_not_shown():
    texts, server = Texts(), Server([(10, 5, 77, "ALTER ROLE app PASSWORD 'hunter2' VALID UNTIL '2030-01-01'")])
    await texts.load(server, "", [KEY], 100.0)
    assert texts.get(KEY) == "ALTER ROLE app PASSWORD ? VALID UNTIL ?"


async def test_texts_that_take_too_long_are_said_and_asked_for_ever_more_seldom():
    slow = ServerError("statement timeout", code="57014")
    texts, server = Texts(), Server(slow, slow, [(10, 5, 77, "SELECT $1")])
    await texts.load(server, "", [KEY], 100.0)
    assert "too costly" in texts.problem
    assert texts.wanted([KEY], 139.0) == []
    assert texts.wanted([KEY], 140.0) == [KEY[:3]]
    await texts.load(server, "", [KEY], 140.0)
    assert texts.wanted([KEY], 299.0) == []
    await texts.load(server, "", [KEY], 300.0)
    assert (texts.problem, texts.get(KEY)) == ("", "SELECT $1")


async def test_a_lost_connection_is_not_taken_for_a_dear_text():
    with pytest.raises(ServerError):
        await Texts().load(Server(ServerError("lost", cause=ENDED)), "", [KEY], 100.0)


def test_a_live_text_serves_until_the_real_one_is_known_and_one_of_many_statements_does_not():
    texts = Texts()
    texts.overhear(KEY, "SELECT 1; SELECT 2")
    assert texts.get(KEY) == ""
    texts.overhear(KEY, "SELECT 1;")
    assert texts.get(KEY) == "SELECT ?;"
    assert texts.wanted([KEY], 0.0) == []
    cut = (10, 5, 88, True)
    texts.overhear(cut, "SELECT " + "a" * 2000)
    assert texts.get(cut)
    assert texts.wanted([cut], 0.0) == [cut[:3]]


async def test_no_more_texts_are_held_than_a_screen_needs_and_our_own_are_known_by_their_mark():
    texts = Texts()
    for first in range(0, 4000, 500):
        found = [(10, 5, n, f"SELECT {MARKER if n == 3999 else ''} {n}") for n in range(first, first + 500)]
        await texts.load(Server(found), "", [(10, 5, n, True) for n in range(first, first + 500)], first * 100.0)
    assert SEARCHED + MOST <= len(texts._texts) < 4000
    assert texts.own == {(10, 5, 3999)}


async def test_what_was_asked_for_once_is_not_remembered_for_ever(monkeypatch):
    monkeypatch.setattr(statement_texts, "_SUSPECTS", 100)
    texts = Texts()
    for n in range(1000):
        await texts.load(Server([(10, 5, n, "SELECT $1")]), "", [(10, 5, n, True)], n * 100.0)
    assert len(texts._read) <= 100


@pytest.mark.parametrize("text", ["EXECUTE fetch_user(1)", "explain select 1", " Prepare x AS SELECT 1"])
def test_a_text_that_only_names_the_statement_serves_until_the_real_one_is_known(text):
    texts = Texts()
    texts.overhear(KEY, text)
    assert texts.get(KEY)
    assert texts.wanted([KEY], 0.0) == [KEY[:3]]


@pytest.mark.parametrize("order", [1, -1])
async def test_a_statement_that_was_planned_from_here_is_not_ours_and_keeps_its_own_text(order):
    planned = f"PREPARE {MARKER} perfconsole_plan (unknown, text) AS SELECT a AS b FROM t WHERE c = $1"
    texts = Texts()
    await texts.load(Server([(10, 5, 77, planned), (10, 5, 77, "select a AS b")][::order]), "", [KEY], 100.0)
    await texts.load(Server([(10, 5, 78, planned)]), "", [(10, 5, 78, False)], 200.0)
    assert (texts.own, texts.planned) == (set(), {(10, 5, 77), (10, 5, 78)})
    assert texts.get(KEY) == "select a AS b"
    assert texts.get((10, 5, 78, False)) == "SELECT a AS b FROM t WHERE c = $1"


async def test_names_are_asked_for_when_unknown_and_what_has_none_is_a_number():
    names, server = Names(), Server([(True, 5, "shop"), (False, 10, "an\x1bna")])
    await names.load(server, [KEY, (11, 6, 1, True)], 100.0)
    assert (names.database(5), names.user(10)) == ("shop", "an\u241bna")
    assert (names.database(6), names.user(11), names.user(0)) == ("oid 6", "oid 11", "")
    await names.load(server, [KEY], 150.0)
    await names.load(server, [(12, 5, 1, True)], 105.0)
    assert len(server.asked) == 1
