"""What is expected of an answer, held against it: one assertion for each expectation, in words, whether it held or not."""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from math import isnan
from typing import Any, Final, NamedTuple

from perfconsole.collectors.http.judging.bodies import SMALL_BYTES, Unread, json_of, pausing, text_of
from perfconsole.collectors.http.judging.json_tests import tested, worded
from perfconsole.collectors.http.judging.patterns import is_found
from perfconsole.collectors.http.network.prober import UNMEASURED, Failure
from perfconsole.collectors.loop import ask
from perfconsole.core.checks import LATENCY, Assertion, Expect
from perfconsole.core.text import safe
from perfconsole.core.units import latency

BUDGET_S: Final = 2.0
"""For all expectations of one answer together; a mebibyte of JSON takes 0.1 to 1 s."""

_ANY: Final = ((200, 399),)
_LONG: Final = "not known: it takes too long to find out"


class Answer(NamedTuple):
    """An answer to be judged.

    Attributes:
        headers: In order, names as they came.
        body: What was received of it; `cut` when that is not all.
        encoding: The charset that the server names; empty for none.
        total_s: How long the check took.
        hide: Takes the check's secrets out of a text that a server may have sent back.
        packed: The content encoding of a body that cannot be read here; empty for one that can.
    """

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes
    encoding: str
    total_s: float
    cut: bool = False
    hide: Callable[[str], str] = str
    packed: str = ""


async def judged(expect: Expect, answer: Answer) -> tuple[Assertion, ...]:
    """As `assertions`; what may take long is done in a thread, and never delays the loop by more than a few milliseconds.

    Raises:
        Failure: ``unmeasured``, when no thread is to be had.
    """
    if not _heavy(expect, answer):
        return assertions(expect, answer)
    try:
        asked = ask(partial(assertions, expect, answer), "perfconsole-expect")
    except RuntimeError:
        raise Failure(UNMEASURED, "this machine allows no further thread to test an answer in") from None
    return await asked


def assertions(expect: Expect, answer: Answer) -> tuple[Assertion, ...]:
    """Every expectation, in the order in which a reader would ask: status, latency, headers, body.

    Takes up to `BUDGET_S` where there are patterns or large bodies: on a loop, await `judged`.
    """
    until = time.monotonic() + BUDGET_S
    found = [_status(expect.status, answer.status), *timely(expect, answer.total_s)]
    found += [_header(name, pattern, answer, until) for name, pattern in expect.header]
    if reads_body(expect):
        found += _of_body(expect, answer, until)
    return tuple(found)


def timely(expect: Expect, total_s: float) -> tuple[Assertion, ...]:
    """The expectation of the latency; none when there is no limit."""
    if isnan(expect.max_latency_s):
        return ()
    return (Assertion(f"{LATENCY}{latency(expect.max_latency_s)}", total_s <= expect.max_latency_s, f"latency {latency(total_s)}"),)


def verdict(found: Sequence[Assertion]) -> tuple[str, str]:
    """Cause and error of an outcome, from the first assertion that did not hold; both empty when all did.

    One of which that is not known tells nothing about the target, unless another did not hold.
    """
    failed = [one for one in found if not one.ok]
    if not failed:
        return "", ""
    first = next((one for one in failed if one.found != _LONG), failed[0])
    error = f"{first.found or 'not so'}, expected {first.expected}"
    if first.found == _LONG:
        return UNMEASURED, error
    return ("status" if first.expected.startswith("status ") else "assertion"), error


def reads_body(expect: Expect) -> bool:
    """Whether anything is expected of the body."""
    return bool(expect.body or expect.not_body or expect.regex or expect.json)


def _heavy(expect: Expect, answer: Answer) -> bool:
    if expect.regex or expect.header or any(test.operator == "~" for test in expect.json):
        return True
    if expect.json and any(".." in test.path or "?" in test.path for test in expect.json):
        return True
    return len(answer.body) > SMALL_BYTES and bool(expect.json or expect.body or expect.not_body)


@lru_cache(128)
def _status(expected: tuple[tuple[int, int], ...], status: int) -> Assertion:
    ranges = expected or _ANY
    ok = any(low <= status <= high for low, high in ranges)
    return Assertion(f"status {' or '.join(_range(*one) for one in ranges)}", ok, f"status {status}")


def _range(low: int, high: int) -> str:
    if low == high:
        return str(low)
    return f"{low // 100}xx" if low % 100 == 0 and high == low + 99 else f"{low}-{high}"


def _header(name: str, pattern: str, answer: Answer, until: float) -> Assertion:
    expected = f"header {safe(name, 80)} matches {_quoted(pattern)}"
    values = [value for key, value in answer.headers if key.lower() == name.lower()]
    if not values:
        return Assertion(expected, ok=False, found="no such header")
    from perfconsole.collectors.http.judging.wording import Secrets, shown_headers  # noqa: PLC0415  # 1 MiB, which no check of a port needs

    shown = shown_headers([(name, answer.hide(values[0]))], Secrets())[0][1]
    return _timed(expected, lambda: any(is_found(pattern, value, until - time.monotonic()) for value in values), shown)


def _of_body(expect: Expect, answer: Answer, until: float) -> list[Assertion]:
    text = text_of(answer.body, answer.encoding)
    size = f"{len(answer.body)} bytes" + (", the rest was not read" if answer.cut else "")
    found = []
    if expect.body:
        there = expect.body in text
        found.append(Assertion(f"body contains {_quoted(expect.body)}", there, "" if there else f"not in {size}"))
    if expect.not_body:
        there = expect.not_body in text
        found.append(Assertion(f"body does not contain {_quoted(expect.not_body)}", not there, "it does" if there else ""))
    if expect.regex:
        pattern = expect.regex
        expected = f"body matches {_quoted(pattern)}"
        found.append(_timed(expected, lambda: is_found(pattern, text, until - time.monotonic()), f"not in {size}"))
    if expect.json:
        found += _of_json(expect, text, until, answer)
    if answer.packed:  # whatever was found in what cannot be read, or was not
        why = f"packed as {safe(answer.packed, 40)}, which is not read here"
        return [Assertion(one.expected, ok=False, found=why) for one in found]
    return found


def _of_json(expect: Expect, text: str, until: float, answer: Answer) -> list[Assertion]:
    def all_tested() -> list[Assertion]:
        document: Any = json_of(text)
        return [tested(test, document, until - time.monotonic(), answer.hide) for test in expect.json]

    try:
        if not _heavy(expect, answer):
            return all_tested()
        with pausing(until):
            return all_tested()
    except Unread as unread:
        why = "the body is longer than what is read of it" if answer.cut else f"the body is {unread}"
    except TimeoutError:
        why = _LONG
    return [Assertion(worded(test), ok=False, found=why) for test in expect.json]


def _timed(expected: str, question: Callable[[], bool], otherwise: str) -> Assertion:
    try:
        ok = question()
    except TimeoutError:
        return Assertion(expected, ok=False, found=_LONG)
    except ValueError as error:
        return Assertion(expected, ok=False, found=safe(str(error), 120))
    return Assertion(expected, ok, "" if ok else otherwise)


def _quoted(text: str) -> str:
    return f'"{safe(text, 80)}"'
