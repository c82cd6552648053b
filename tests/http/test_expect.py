"""Expectations held against answers: what is found, in which words, and what a hostile body may cost."""

import asyncio
import json
import random
import sys
import threading
import time

import pytest

from perfconsole.collectors.http.judging import bodies
from perfconsole.collectors.http.judging import expect as judge
from perfconsole.collectors.http.judging.bodies import VALUES, text_of
from perfconsole.collectors.http.judging.expect import Answer, assertions, judged, verdict
from perfconsole.collectors.http.judging.json_tests import worded
from perfconsole.collectors.http.network.prober import Failure
from perfconsole.core.checks import Assertion, Expect, JsonTest

DOCUMENT = b"""{"status": "ok", "version": "1.2.3", "up": true, "nothing": null, "used": 8, "ratio": 0.5, "at": "2026-11-24T05:00:00Z",
 "tags": ["a", "b"], "items": [{"id": 1, "ok": true}, {"id": 2, "ok": true}, {"id": 3, "ok": false}], "empty": []}"""


def answer(body=b"", status=200, headers=(), encoding="", total_s=0.1, cut=False):
    return Answer(status, headers, body, encoding, total_s, cut)


def last(expect, given):
    return assertions(expect, given)[-1]


@pytest.mark.parametrize(
    ("ranges", "status", "ok", "words"),
    [
        ((), 200, True, "status 200-399"),
        ((), 304, True, "status 200-399"),
        ((), 400, False, "status 200-399"),
        ((), 199, False, "status 200-399"),
        (((200, 299),), 204, True, "status 2xx"),
        (((200, 299), (401, 401)), 401, True, "status 2xx or 401"),
        (((200, 299), (401, 401)), 300, False, "status 2xx or 401"),
        (((500, 503),), 503, True, "status 500-503"),
    ],
)
def test_status(ranges, status, ok, words):
    (found,) = assertions(Expect(status=ranges), answer(status=status))
    assert found == Assertion(words, ok, f"status {status}")


def test_the_verdict_is_the_first_that_did_not_hold():
    expect = Expect(status=((200, 299),), body="fine", max_latency_s=0.05)
    assert verdict(assertions(expect, answer(b"fine", total_s=0.01))) == ("", "")
    assert verdict(assertions(expect, answer(b"fine"))) == ("assertion", "latency 100ms, expected latency at most 50ms")
    assert verdict(assertions(expect, answer(status=503))) == ("status", "status 503, expected status 2xx")
    assert verdict(assertions(expect, answer(b"no", total_s=0.01))) == ("assertion", 'not in 2 bytes, expected body contains "fine"')
    assert verdict([Assertion("something", ok=False)]) == ("assertion", "not so, expected something")


def test_what_is_not_known_is_no_failure_unless_another_is():
    unknown = Assertion("body matches x", ok=False, found="not known: it takes too long to find out")
    fine, wrong = Assertion("status 2xx", ok=True, found="status 200"), Assertion("status 2xx", ok=False, found="status 500")
    assert verdict([fine, unknown]) == ("unmeasured", "not known: it takes too long to find out, expected body matches x")
    assert verdict([unknown, wrong]) == ("status", "status 500, expected status 2xx")


def test_bodies():
    assert last(Expect(body="öl"), answer("Heizöl".encode())) == Assertion('body contains "öl"', ok=True)
    assert last(Expect(body="öl"), answer("Heizöl".encode("latin-1"), encoding="ISO-8859-1")).ok
    assert last(Expect(body="ok"), answer(b"no")) == Assertion('body contains "ok"', ok=False, found="not in 2 bytes")
    assert last(Expect(body="ok"), answer(b"no", cut=True)).found == "not in 2 bytes, the rest was not read"
    assert last(Expect(not_body="error"), answer(b"fine")) == Assertion('body does not contain "error"', ok=True)
    assert last(Expect(not_body="error"), answer(b"an error")).found == "it does"
    assert last(Expect(regex=r"v\d+"), answer(b"is v12")) == Assertion(r'body matches "v\d+"', ok=True)
    assert last(Expect(regex=r"^v\d+"), answer(b"is v12")).found == "not in 6 bytes"
    assert last(Expect(body="\x1b[31m"), answer(b"")).expected == 'body contains "␛[31m"'


def test_headers():
    headers = (("Content-Type", "text/html; charset=utf-8"), ("Via", "one"), ("via", "two"), ("Set-Cookie", "session=s3cr3t"))
    given = answer(headers=headers)
    assert last(Expect(header=(("content-type", "^text/"),)), given) == Assertion('header content-type matches "^text/"', ok=True)
    assert last(Expect(header=(("VIA", "two"),)), given).ok
    assert last(Expect(header=(("Via", "three"),)), given).found == "one"
    assert last(Expect(header=(("Age", "."),)), given).found == "no such header"
    assert "s3cr3t" not in last(Expect(header=(("set-cookie", "^x"),)), given).found


@pytest.mark.parametrize(
    ("path", "operator", "value", "ok", "found"),
    [
        ("$.status", "==", "ok", True, '"ok"'),
        ("$.status", "==", "OK", False, '"ok"'),
        ("$.status", "!=", "down", True, '"ok"'),
        ("$.status", "!=", "ok", False, '"ok"'),
        ("$.used", "==", 8, True, "8"),
        ("$.used", "==", 8.0, True, "8"),
        ("$.used", "==", "8", False, "8"),
        ("$.used", "<", 9, True, "8"),
        ("$.used", "<", 8, False, "8"),
        ("$.used", "<=", 8, True, "8"),
        ("$.used", ">", 8, False, "8"),
        ("$.used", ">=", 8.5, False, "8"),
        ("$.used", ">", "7", False, "8"),
        ("$.up", "==", True, True, "true"),
        ("$.up", "==", 1, False, "true"),
        ("$.up", ">=", 1, False, "true"),
        ("$.nothing", "==", None, True, "null"),
        ("$.at", ">", "2026-11-01", True, '"2026-11-24T05:00:00Z"'),
        ("$.version", "~", r"^1\.\d", True, '"1.2.3"'),
        ("$.version", "~", r"^2", False, '"1.2.3"'),
        ("$.used", "~", "^8$", True, "8"),
        ("$.tags", "~", "a", False, "a list of 2"),
        ("$.status", "in", ("ok", "fine"), True, '"ok"'),
        ("$.used", "in", ("8", None), False, "8"),
        ("$.tags", "len", 2, True, "length 2"),
        ("$.status", "len", 3, False, "length 2"),
        ("$.used", "len", 1, False, "8"),
        ("$.tags", "has", "a", True, "a list of 2"),
        ("$.tags", "has", "z", False, "a list of 2"),
        ("$.items[0]", "has", "id", True, "an object of 2 keys"),
        ("$.status", "has", "o", True, '"ok"'),
        ("$.used", "has", 8, False, "8"),
        ("$.status", "has", None, True, '"ok"'),
        ("$.status", "has", True, True, '"ok"'),
        ("$.missing", "has", True, False, "nothing at this path"),
        ("$.missing", "has", False, True, "nothing at this path"),
        ("$.nothing", "has", False, False, "null"),
        ("$.missing", "==", None, False, "nothing at this path"),
        ("$.missing", "!=", "x", False, "nothing at this path"),
        ("$.items[*].id", ">", 0, True, "1"),
        ("$.items[*].ok", "==", True, False, "false"),  # every one of them
        ("$..id", "<", 3, False, "3"),
        ("$.items[?@.ok == false].id", "==", 3, True, "3"),
    ],
)
def test_json(path, operator, value, ok, found):
    given = last(Expect(json=(JsonTest(path, operator, value),)), answer(DOCUMENT))
    assert (given.ok, given.found) == (ok, found)


@pytest.mark.parametrize(
    ("path", "value", "words"), [("$.version", "(", "it is no pattern: "), ("$.items[?(", "x", "this is no JSON path: ")]
)
def test_what_a_configuration_should_have_refused_fails_in_words(path, value, words):
    found = last(Expect(json=(JsonTest(path, "~", value),)), answer(DOCUMENT))
    assert not found.ok
    assert found.found.startswith(words)


def test_json_tests_are_worded_as_they_are_written():
    assert worded(JsonTest("$.a", "==", "x")) == '$.a == "x"'
    assert worded(JsonTest("$.a", "<", 3.0)) == "$.a < 3"
    assert worded(JsonTest("$.a", "in", ("x", 2.0, 2.5, None, True))) == '$.a in ["x", 2, 2.5, null, true]'
    assert worded(JsonTest("$.a", "has", None)) == "$.a is there"
    assert worded(JsonTest("$.a", "has", False)) == "$.a is not there"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", "the body is no JSON: Expecting value at character 0"),
        (b"<html>", "the body is no JSON: Expecting value at character 0"),
        (b'{"status": "ok"} x', "the body is no JSON: Extra data at character 17"),
        (b"[" * 30_000, "the body is JSON that is nested too deeply"),
        (b"[" * 60_000, "the body is JSON that is nested too deeply"),
        (b"1" * 30_000, "the body is JSON with a number of more than 4300 digits"),
        (b"[" + b"1," * VALUES + b"1]", f"the body is more than {VALUES} values: so much JSON is not tested"),
        (b'{"status": "' + b"x" * 1000 + b'"}', '"' + "x" * 118 + "…"),
        (b'{"status": "\\u001b[31m\\ud800"}', '"\\u001b[31m�"'),
    ],
)
def test_bodies_that_are_not_as_hoped(body, found):
    assert last(Expect(json=(JsonTest("$.status", "==", "ok"),)), answer(body)) == Assertion('$.status == "ok"', ok=False, found=found)


def test_deep_json_ends_a_search_for_a_key_at_any_depth():
    body = b'{"a":' * 400 + b"1" + b"}" * 400
    assert last(Expect(json=(JsonTest("$..status", "==", "ok"),)), answer(body)).found == "JSON that is nested too deeply for this path"


def test_of_a_cut_body_it_is_said_that_it_was_cut():
    found = last(Expect(json=(JsonTest("$.status", "==", "ok"),)), answer(DOCUMENT[:100], cut=True))
    assert found.found == "the body is longer than what is read of it"


def test_large_json_is_read_as_small_is():
    rows = ",".join(f'{{"id": {number}, "name": "n\\u00e4me", "ok": true, "v": [1.5e3, null]}}' for number in range(3000))
    found = assertions(
        Expect(json=(JsonTest("$[2999].id", "==", 2999), JsonTest("$[*].name", "==", "näme"), JsonTest("$[0].v[0]", "==", 1500))),
        answer(f"[{rows}]".encode()),
    )
    assert [one.ok for one in found] == [True] * 4


def documents(chance, depth):
    kind = chance.random()
    if depth <= 0 or kind < 0.35:
        plain = [
            1,
            -2.5e300,
            "x" * chance.randrange(300),
            '"\\ü\n😀' * chance.randrange(30),
            None,
            True,
            10 ** chance.randrange(300),
            {},
            [],
        ]
        return chance.choice(plain)
    if kind < 0.7:
        return [documents(chance, depth - 1) for _ in range(chance.randrange(12))]
    return {f"k{number}" * chance.randrange(1, 60): documents(chance, depth - 1) for number in range(chance.randrange(12))}


def read_by(decode, text):
    try:
        return decode(text)
    except json.JSONDecodeError as error:
        return f"{error.msg} at {error.pos}"


@pytest.mark.parametrize("piece", [8, 17, 64, 4096])
def test_json_in_pieces_is_read_as_json_is(monkeypatch, piece):
    monkeypatch.setattr(bodies, "_PIECE_CHARS", piece)
    chance = random.Random(piece)
    patient = bodies._Patient().decode
    for number in range(150):
        text = json.dumps(documents(chance, 5), indent=number % 2 or None, ensure_ascii=number % 3 == 0)
        assert patient(text) == json.loads(text)
        cut = chance.randrange(len(text))
        damaged = text[:cut] + (chance.choice('x,]}"[{:1.e- ') + text[cut + 1 :] if number % 4 else "")
        assert read_by(patient, damaged) == read_by(json.loads, damaged)


@pytest.mark.parametrize(
    "charset", ["utf-8", "UTF8", "", "no-such", "rot13", "idna", "punycode", "unicode_escape", "base64", "zlib", "../../x", "\0"]
)
def test_charsets_that_are_none_are_utf8(charset):
    assert text_of("\ufeffä\\n".encode(), charset) == "ä\\n"


@pytest.mark.parametrize(
    ("charset", "codec"), [("latin1", "latin-1"), ("windows-1252", "cp1252"), ("Shift_JIS", "shift_jis"), ("UTF-16", "utf-16")]
)
def test_charsets(charset, codec):
    text = "日本" if codec in {"shift_jis", "utf-16"} else "Ä"
    assert text_of(text.encode(codec), charset) == text


def test_what_is_no_text_in_its_charset_is_replaced():
    assert text_of(b"a\xff", "utf-8") == "a\ufffd"
    assert text_of(b"a\x81", "cp1252") == "a\ufffd"


HOSTILE = Expect(regex=r"(a|aa)+$", header=(("x", r"(a|aa)+$"),), json=(JsonTest("$", "~", r"(a|aa)+$"),))


async def test_a_pattern_that_never_ends_is_a_failure_that_says_so_and_holds_up_nobody():
    text = "a" * 60 + "b"
    turns = asyncio.ensure_future(turned())
    await asyncio.sleep(0)
    found = await judged(HOSTILE, answer(f'"{text}"'.encode(), headers=(("x", text),)))
    assert [one.ok for one in found] == [True, False, False, False]
    assert {one.found for one in found[1:]} == {"not known: it takes too long to find out"}
    assert await stopped(turns) > 10  # hundreds on an idle machine; one for each pattern, where it held the interpreter


async def turned():
    """How often the loop came round meanwhile."""
    turns = 0
    try:
        while True:
            await asyncio.sleep(0.001)
            turns += 1
    except asyncio.CancelledError:
        return turns


async def stopped(task):
    task.cancel()
    return await task


class Pauses:
    """How often a thread paused for others."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self):
        self.count = 0

    def sleep(self, seconds):
        self.count += 1
        time.sleep(seconds)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "least"),
    [
        (b"[" + b",".join([b'{"id":1,"name":"user","v":[1,2.5]}'] * 30_000) + b"]", 50),
        (b"[" + b",".join([b"1e308"] * 170_000) + b"]", 50),
        (b"{" + b",".join(b'"%x":{}' % number for number in range(90_000)) + b"}", 50),
        (b'"' + b"x" * 1_048_576 + b'"', 1),
    ],
    ids=["ordinary", "exponents", "keys", "text"],
)
async def test_a_mebibyte_of_json_holds_up_nobody(monkeypatch, body, least):
    """It is read in pieces, between which others have their turn: every millisecond of work. In one go it would be some 50 of them."""
    pauses = Pauses()
    monkeypatch.setattr(bodies, "time", pauses)
    found = await judged(Expect(json=(JsonTest("$..status", "==", "ok"),)), answer(body))
    assert not found[-1].ok
    assert pauses.count >= least


async def test_tests_that_take_too_long_end(monkeypatch):
    monkeypatch.setattr(judge, "BUDGET_S", 0.05)
    body = b"[" + b",".join([b'{"id":1}'] * 50_000) + b"]"
    found = await judged(Expect(json=(JsonTest("$..status", "==", "ok"),)), answer(body))
    assert found[-1] == Assertion('$..status == "ok"', ok=False, found="not known: it takes too long to find out")
    assert sys.gettrace() is None or "coverage" in repr(sys.gettrace())


async def test_a_plain_answer_needs_no_thread(monkeypatch):
    monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("a thread"))
    expect = Expect(body="ok", json=(JsonTest("$.status", "==", "ok"),), max_latency_s=1)
    assert all(one.ok for one in await judged(expect, answer(DOCUMENT)))


async def test_a_machine_without_threads_says_so(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(Failure) as failed:
        await judged(Expect(regex="x"), answer(b"x"))
    assert failed.value.cause == "unmeasured"
