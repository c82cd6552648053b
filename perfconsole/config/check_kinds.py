"""Kinds of values that checks of endpoints have: status codes, patterns, JSON paths, hosts, times of maintenance, zones.

What a pattern or a path is, the libraries say that will follow it; they are loaded by the first file that has one.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct

from perfconsole.config import urls
from perfconsole.config.kinds import TEXT, Kind, Wrong, choice, choices
from perfconsole.config.wording import shown, suggestion
from perfconsole.core.checks import JsonTest
from perfconsole.core.text import safe

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
RECORDS: Final = ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT")
FOLLOWED: Final = 10
"""Redirects that are followed unless a number is given: as many as browsers' least patient ancestors, and no honest site needs them."""

_NAME_CHARS: Final = 100
_MOST_FOLLOWED: Final = 20
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
"""A name of a header or a method (RFC 9110, 5.6.2)."""

_OPERATORS: Final = ("==", "!=", "<=", ">=", "<", ">", "~", "in", "len", "has")
_SPLIT: Final = re.compile(r"\s+(==|!=|<=|>=|<|>|~|in|len|has)\s+")
_JSON_TEST: Final = """a path of RFC 9535, an operator (== != < <= > >= ~ in len has) and a JSON value, as in '$.status == "ok"'"""


def nested(table: type[Struct], accepts: str, *, many: bool = False) -> Kind:
    """A table of keys of its own, or a list of such tables; the keys are checked by whoever checks the table around it."""

    def unread(value: Any) -> Any:
        expected = list if many else dict
        if not isinstance(value, expected) or (many and not all(isinstance(item, dict) for item in value)):
            raise ValueError
        return value

    return Kind(accepts, unread, lambda value: value, {}, table=table, many=many)


def whole(least: int, most: int) -> Kind:
    """A whole number within bounds."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError
        return value

    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Kind(f"a whole number, {least} to {most}", read, lambda value: value, schema)


def _of_text(check: Callable[[str], str]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        return check(TEXT.read(value))

    return read


def _one_line(text: str, most: int = 4096) -> str:
    if not text.isprintable() or len(text) > most:
        raise ValueError
    return text


def _name(text: str) -> str:
    return _one_line(text, _NAME_CHARS)


def _method(text: str) -> str:
    if not _TOKEN.fullmatch(text) or text != text.upper() or text in {"CONNECT", "TRACE"}:
        raise ValueError
    return text


def _headers(value: Any) -> dict[str, str]:
    found = _of_names(value)
    for name, text in found.items():
        if any(char < " " and char != "\t" for char in text):
            raise Wrong("found a control character in a header", "accepted: one line", name)
    return found


def _of_names(value: Any) -> dict[str, str]:
    """A table of texts whose keys are names of headers."""
    if not isinstance(value, dict):
        raise ValueError  # noqa: TRY004  every reader says "not this kind" in the same way
    for name, text in value.items():
        if not _TOKEN.fullmatch(name):
            raise Wrong("not a name of a header", "accepted: letters, digits and -", name)
        if not isinstance(text, str) or not text:
            raise Wrong(f"found {shown(text)}", "accepted: a text in quotes, not empty", name)
    return dict(value)


def _headers_shown(value: dict[str, str]) -> dict[str, str]:
    return {name: urls.MASK if header_is_secret(name, text) else text for name, text in value.items()}


def header_is_secret(name: str, text: str) -> bool:
    """Whether a header holds a secret itself, not as a reference."""
    return "${" not in text and not text.startswith("file:/") and urls.holds_secret(f"{name}: {text}")


def _text_shown(text: str) -> str:
    return urls.MASK if urls.holds_secret(text) else text


def _secret_shown(text: str) -> str:
    return text if "${" in text or text.startswith("file:/") else urls.MASK


# Expectations ---------------------------------------------------------------------------------------------------------------------


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
    except regex.error as error:
        raise Wrong(f"found {shown(text)}, which is no pattern: {safe(str(error), 120)}", "accepted: a regular expression") from None
    return text


def _header_patterns(value: Any) -> dict[str, str]:
    for name, pattern in _of_names(value).items():
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
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Wrong(f"found {shown(item)}, whose value is no JSON", 'accepted: "text" in double quotes, 3, true, null, or ["a", "b"] after in',
                    *at) from None  # fmt: skip
    accepted = _unfit(operator, value)
    if accepted:
        raise Wrong(f"found {shown(item)}", f"accepted: after {operator} {accepted}", *at)
    if operator == "~":
        try:
            _pattern(value)
        except Wrong as wrong:
            raise Wrong(wrong.found, wrong.fix, *at) from None
    return tuple(value) if isinstance(value, list) else value


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


# How, and whom --------------------------------------------------------------------------------------------------------------------


def _redirects(value: Any) -> int:
    if isinstance(value, bool):
        return FOLLOWED if value else 0
    if not isinstance(value, int) or not 0 <= value <= _MOST_FOLLOWED:
        raise ValueError
    return value


def _redirects_written(value: int) -> bool | int:
    return {FOLLOWED: True, 0: False}.get(value, value)


def _family(value: Any) -> int:
    if value == "any":
        return 0
    if isinstance(value, bool) or value not in {4, 6} or not isinstance(value, int):
        raise ValueError
    return value


def _host(text: str) -> str:
    if not urls.is_host(text):
        raise ValueError
    return text


def _queried(text: str) -> str:
    name = text.removeprefix("*.")
    if not urls.is_host(name):
        raise ValueError
    return text


def _header_host(text: str) -> str:
    if "${" in text:
        return _one_line(text)
    return urls.check_address(text, 0).removesuffix(":0") if text else text


# Maintenance ----------------------------------------------------------------------------------------------------------------------


def _moment(value: Any) -> str:
    """``2026-12-24T22:00`` or ``22:00``, as a text or as TOML's own; whether it is the one or the other is judged with the days."""
    from datetime import date, datetime, time  # noqa: PLC0415  only where there are windows

    if isinstance(value, time | datetime):
        return value.isoformat("minutes") if isinstance(value, time) else value.isoformat()
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00"
    text = TEXT.read(value)
    if re.fullmatch(r"\d\d:\d\d", text, re.ASCII):
        return time.fromisoformat(text).isoformat("minutes")
    return datetime.fromisoformat(text).isoformat()


def _zone(text: str) -> str:
    from zoneinfo import TZPATH, ZoneInfo, available_timezones  # noqa: PLC0415  only where there are windows

    try:
        ZoneInfo(text)
    except (OSError, ValueError, KeyError):  # a directory, a way out of the directory, none of that name
        known = sorted(available_timezones())
        if not known:
            raise Wrong(f"found {shown(text)}, but this machine has no time zones", f"install tzdata: looked into {' '.join(TZPATH)}") from None
        near = suggestion(text, known)
        raise Wrong(f"found {shown(text)}, which is no time zone", near or "accepted: such as UTC Europe/Berlin America/New_York") from None
    return text


def _addresses(value: Any) -> tuple[str, ...]:
    items: Sequence[Any] = value if isinstance(value, list) else [value]
    if not items:
        raise ValueError
    return tuple(_one_line(TEXT.read(item)) for item in items)


_TABLE_OF_TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}}
_ONE_OR_MORE: Final = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
_TEXT: Final = {"type": "string", "minLength": 1}


def _kept(value: Any) -> Any:
    return value


NAME: Final = Kind(f"a text in quotes, one line of at most {_NAME_CHARS} characters", _of_text(_name), _kept, _TEXT)
LINE: Final = Kind("a text in quotes, one line", _of_text(_one_line), _kept, _TEXT)
URL: Final = Kind("a URL in quotes: http://HOST:PORT/PATH or https://...", _of_text(urls.check_url), urls.shown_literal, _TEXT)
PROXY: Final = Kind("a URL in quotes: http://HOST:PORT or https://HOST:PORT", _of_text(urls.check_proxy), urls.shown_literal, _TEXT)
ADDRESS: Final = Kind("HOST:PORT in quotes", _of_text(urls.check_address), _kept, _TEXT)
DNS_SERVER: Final = Kind("HOST or HOST:PORT in quotes", _of_text(lambda text: urls.check_address(text, 53)), _kept, _TEXT)
ROUTE: Final = Kind("HOST:PORT or unix:/PATH in quotes", _of_text(urls.check_route), _kept, _TEXT)
HOST: Final = Kind("the name or address of a host in quotes, without a port", _of_text(_host), _kept, _TEXT)
HEADER_HOST: Final = Kind("HOST or HOST:PORT in quotes", _of_text(_header_host), _kept, _TEXT)
QUERY: Final = Kind("a name in quotes such as example.org", _of_text(_queried), _kept, _TEXT)
RECORD: Final = choice(*RECORDS)
METHOD: Final = Kind("a method in capitals such as GET HEAD POST PUT, not CONNECT or TRACE", _of_text(_method), _kept,
                     {"type": "string", "pattern": "^[A-Z]+$"})  # fmt: skip
HEADERS: Final = Kind('a table of texts such as { Accept = "text/html" }', _headers, _headers_shown, _TABLE_OF_TEXTS)
BODY: Final = Kind("a text in quotes, not empty", TEXT.read, _text_shown, _TEXT)
SECRET: Final = Kind('a secret by reference: "${ENV}" or "file:/run/secrets/x"', _of_text(_one_line), _secret_shown, _TEXT)
STATUS: Final = Kind(
    'a code, a class or a range, or a list of them: 200, "2xx", "200-299", [200, "3xx"]', _status, _status_written,
    {"anyOf": [{"type": ["integer", "string"]}, {"type": "array", "items": {"type": ["integer", "string"]}, "minItems": 1}]},
)  # fmt: skip
PATTERN: Final = Kind("a regular expression in quotes", _of_text(_pattern), _kept, _TEXT)
HEADER_PATTERNS: Final = Kind('a table of patterns such as { Content-Type = "^text/" }', _header_patterns, dict, _TABLE_OF_TEXTS)
JSON_TESTS: Final = Kind(f"a text, or a list of texts, each {_JSON_TEST}", _json_tests, _json_written, _ONE_OR_MORE)
ANSWERS: Final = Kind('a text, or a list of texts such as ["192.0.2.7"]', _addresses, list, _ONE_OR_MORE)
REDIRECTS: Final = Kind(f"true, false, or how many: 0 to {_MOST_FOLLOWED}", _redirects, _redirects_written,
                        {"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0, "maximum": _MOST_FOLLOWED}]})  # fmt: skip
FAMILY: Final = Kind('4, 6 or "any"', _family, lambda value: value or "any", {"enum": [4, 6, "any"]})
MOMENT: Final = Kind('a local time in quotes: "2026-12-24T22:00", or with days "22:00"', _moment, _kept, _TEXT)
WEEKDAYS: Final = choices(DAYS)
ZONE: Final = Kind("the name of a time zone in quotes, such as Europe/Berlin", _of_text(_zone), _kept, _TEXT)
