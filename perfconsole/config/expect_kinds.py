"""Kinds of expectations: status codes, patterns, places in a JSON body, answers.

What a pattern or a path is, the libraries say that will follow it; they are loaded by the first file that has one.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from msgspec import msgpack

from perfconsole.config.check_kinds import TABLE_OF_TEXTS, of_names, of_text, one_line
from perfconsole.config.kinds import TEXT, Kind, Wrong
from perfconsole.config.wording import shown
from perfconsole.core.checks import JsonTest
from perfconsole.core.text import safe

_OPERATORS: Final = ("==", "!=", "<=", ">=", "<", ">", "~", "in", "len", "has")
_SPLIT: Final = re.compile(r"\s+(==|!=|<=|>=|<|>|~|in|len|has)\s+")
_JSON_TEST: Final = """a path of RFC 9535, an operator (== != < <= > >= ~ in len has) and a JSON value, as in '$.status == "ok"'"""


def _status(value: Any) -> tuple[tuple[int, int], ...]:
    items = value if isinstance(value, list) else [value]
    if not items:
        raise ValueError
    return tuple(_range(item, *([number] if isinstance(value, list) else [])) for number, item in enumerate(items))


def _range(item: Any, *at: int) -> tuple[int, int]:
    low = high = 0
    text = str(item) if isinstance(item, int | str) and not isinstance(item, bool) else ""
    if re.fullmatch(r"[1-5]xx", text):
        low, high = int(text[0]) * 100, int(text[0]) * 100 + 99
    elif found := re.fullmatch(r"([1-9]\d\d)(?:\s*-\s*([1-9]\d\d))?", text, re.ASCII):
        low, high = int(found[1]), int(found[2] or found[1])
    if not 100 <= low <= high <= 599:
        raise Wrong(f"found {shown(item)}", f"accepted: {STATUS.accepts}, from 100 to 599", *at)
    return low, high


def _status_written(value: tuple[tuple[int, int], ...]) -> Any:
    written = [_range_written(*one) for one in value]
    return written[0] if len(written) == 1 else written


def _range_written(low: int, high: int) -> str | int:
    if low == high:
        return low
    return f"{low // 100}xx" if low % 100 == 0 and high == low + 99 else f"{low}-{high}"


def _pattern(text: str) -> str:
    import regex  # noqa: PLC0415  # 10 ms that only a file with a pattern should cost

    try:
        regex.compile(text)
    except (regex.error, RecursionError) as error:
        why = safe(str(error), 120) if isinstance(error, regex.error) else "it is nested too deeply"
        raise Wrong(f"found {shown(text)}, which is no pattern: {why}", "accepted: a regular expression") from None
    return text


def _header_patterns(value: Any) -> dict[str, str]:
    for name, pattern in of_names(value).items():
        try:
            _pattern(pattern)
        except Wrong as wrong:
            raise Wrong(wrong.found, wrong.fix, name) from None
    return dict(value)


def _json_tests(value: Any) -> tuple[JsonTest, ...]:
    items = value if isinstance(value, list) else [value]
    if not items:
        raise ValueError
    return tuple(_json_test(item, *([number] if isinstance(value, list) else [])) for number, item in enumerate(items))


def _json_test(item: Any, *at: int) -> JsonTest:
    """``$.items len 3``; a path alone means that something is there.

    A filter in the path may have operators too: where the value begins is where what precedes is a whole path.
    """
    if not isinstance(item, str):
        raise Wrong(f"found {shown(item)}", f"accepted: {_JSON_TEST}", *at)
    fault = _path_fault(item.strip())
    if not fault:
        return JsonTest(item.strip(), "has")
    for found in _SPLIT.finditer(item):
        path = item[: found.start()].strip()
        if not _path_fault(path):
            return JsonTest(path, found[1], _json_value(item, found[1], item[found.end() :], at))
    first = _SPLIT.search(item)
    reason = _path_fault(item[: first.start()].strip()) if first else fault
    raise Wrong(f"found {shown(item)}, whose path is none: {reason}", f"accepted: {_JSON_TEST}", *at)


def _path_fault(path: str) -> str:
    """Why a text is no JSON path; empty when it is one."""
    import jsonpath_rfc9535  # noqa: PLC0415  # 30 ms that only a file with such a test should cost

    try:
        jsonpath_rfc9535.compile(path)
    except (jsonpath_rfc9535.JSONPathError, RecursionError) as error:
        return safe(str(error).partition("\n")[0], 120) or "it cannot be read"
    return ""


def _json_value(item: str, operator: str, text: str, at: tuple[int, ...]) -> Any:
    try:
        value = json.loads(text, parse_constant=_no_constant)
        msgpack.encode(value)  # it travels: no number of more than 64 bits, no half of a pair of surrogates
    except (ValueError, RecursionError, OverflowError):
        accepted = 'accepted: "text" in double quotes, 3, true, null, or ["a", "b"] after in'
        raise Wrong(f"found {shown(item)}, whose value is no JSON", accepted, *at) from None
    accepted = _unfit(operator, value)
    if accepted:
        raise Wrong(f"found {shown(item)}", f"accepted: after {operator} {accepted}", *at)
    if operator == "~":
        try:
            _pattern(value)
        except Wrong as wrong:
            raise Wrong(wrong.found, wrong.fix, *at) from None
    return tuple(value) if isinstance(value, list) else value


def _no_constant(_name: str) -> Any:
    """NaN and Infinity, which Python reads and JSON does not know."""
    raise ValueError


def _unfit(operator: str, value: Any) -> str:
    """What an operator takes, where that is something else."""
    plain = not isinstance(value, list | dict)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    takes = {
        "in": ("a list of plain values", isinstance(value, list) and not any(isinstance(one, list | dict) for one in value)),
        "~": ("a pattern in double quotes", isinstance(value, str)),
        "len": ("a whole number, not negative", number and isinstance(value, int) and value >= 0),
        "has": ("a text, a number, true (it is there) or false (it is not)", plain and value is not None),
    }
    bounds = ("a number or a text", number or isinstance(value, str))
    accepted, fits = takes.get(operator, bounds if operator[0] in "<>" else ("a plain value", plain))
    return "" if fits else accepted


def _json_written(tests: tuple[JsonTest, ...]) -> list[str]:
    return [_json_test_written(test) for test in tests]


def _json_test_written(test: JsonTest) -> str:
    if test.operator == "has" and test.value is None:
        return test.path
    return f"{test.path} {test.operator} {json.dumps(test.value, ensure_ascii=False)}"


def _addresses(value: Any) -> tuple[str, ...]:
    items: Sequence[Any] = value if isinstance(value, list) else [value]
    if not items:
        raise ValueError
    return tuple(one_line(TEXT.read(item)) for item in items)


_ONE_OR_MORE: Final = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
_TEXT: Final = {"type": "string", "minLength": 1}

STATUS: Final = Kind(
    'a code, a class or a range, or a list of them: 200, "2xx", "200-299", [200, "3xx"]', _status, _status_written,
    {"anyOf": [{"type": ["integer", "string"]}, {"type": "array", "items": {"type": ["integer", "string"]}, "minItems": 1}]},
)  # fmt: skip
PATTERN: Final = Kind("a regular expression in quotes", of_text(_pattern), lambda value: value, _TEXT)
HEADER_PATTERNS: Final = Kind('a table of patterns such as { Content-Type = "^text/" }', _header_patterns, dict, TABLE_OF_TEXTS)
JSON_TESTS: Final = Kind(f"a text, or a list of texts, each {_JSON_TEST}", _json_tests, _json_written, _ONE_OR_MORE)
ANSWERS: Final = Kind('a text, or a list of texts such as ["192.0.2.7"]', _addresses, list, _ONE_OR_MORE)
