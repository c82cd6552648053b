"""Tests of places in a JSON body: ``$.status == "ok"``. A path that leads to several places holds when every one of them does."""

import json
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Final

from perfconsole.collectors.http.judging.bodies import Unread
from perfconsole.collectors.http.judging.patterns import LIMIT_S, is_found
from perfconsole.core.checks import Assertion, JsonTest
from perfconsole.core.text import safe

Hide = Callable[[str], str]

NOWHERE: Final = "nothing at this path"
_CHARS: Final = 120
_NONE: Final = object()
_PLACES: Final = 10_000
"""Most that are looked at for one test."""


@lru_cache(256)
def _compiled(path: str) -> Any:
    return _environment().compile(path)


@cache
def _environment() -> Any:
    """RFC 9535 with functions that come to an end: those of the library run patterns, which a document may bring along, without a limit."""
    import jsonpath_rfc9535  # noqa: PLC0415  # 30 ms, which no console without such a check waits for
    from jsonpath_rfc9535 import function_extensions  # noqa: PLC0415  # as above

    class Search(function_extensions.Search):
        def __call__(self, string: object, pattern: object) -> bool:
            return _matches(pattern, string)

    class Match(function_extensions.Match):
        def __call__(self, string: object, pattern: object) -> bool:
            return _matches(rf"\A(?:{pattern})\Z" if isinstance(pattern, str) else pattern, string)

    made = jsonpath_rfc9535.JSONPathEnvironment()
    made.function_extensions |= {"search": Search(), "match": Match()}
    return made


def _matches(pattern: object, string: object) -> bool:
    if not isinstance(pattern, str) or not isinstance(string, str):
        return False
    try:
        return is_found(pattern, string, LIMIT_S)
    except ValueError:
        return False


def tested(test: JsonTest, document: Any, within_s: float, hide: Hide) -> Assertion:
    """One test of a JSON document.

    Args:
        test: The test.
        document: What `json.loads` gave.
        within_s: The time for its pattern.
        hide: Takes secrets out of a text, before it is cut to what is shown of it.

    Raises:
        TimeoutError: When a pattern took longer than `within_s`.
    """
    expected = worded(test)
    try:
        found = _found(test.path, document)
    except Unread as unread:
        return Assertion(expected, ok=False, found=str(unread))
    if test.operator == "has" and (test.value is None or isinstance(test.value, bool)):
        there = bool(found)
        return Assertion(expected, there is (test.value is not False), _shown(found[0], hide) if there else NOWHERE)
    if not found:
        return Assertion(expected, ok=False, found=NOWHERE)
    try:
        wrong = next((value for value in found if not _holds(test, value, within_s)), _NONE)
    except ValueError as error:
        return Assertion(expected, ok=False, found=safe(str(error), _CHARS))
    if wrong is not _NONE:
        return Assertion(expected, ok=False, found=_measured(test, wrong, hide))
    return Assertion(expected, ok=True, found=_measured(test, found[0], hide))


def worded(test: JsonTest) -> str:
    """A test as it is written: ``$.status == "ok"``."""
    if test.operator == "has" and (test.value is None or isinstance(test.value, bool)):
        return f"{safe(test.path, _CHARS)} is {'not ' if test.value is False else ''}there"
    return f"{safe(test.path, _CHARS)} {test.operator} {safe(json.dumps(_literal(test.value), ensure_ascii=False), _CHARS)}"


def _literal(value: Any) -> Any:
    """A number as it was written: on a wire ``3`` became ``3.0``."""
    if isinstance(value, tuple):
        return [_literal(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _found(path: str, document: Any) -> list[Any]:
    import jsonpath_rfc9535  # noqa: PLC0415  # as above

    try:
        query = _compiled(path)
    except jsonpath_rfc9535.JSONPathError as error:
        raise Unread(f"this is no JSON path: {safe(str(error), _CHARS)}") from None
    found = []
    try:
        for place in query.finditer(document):
            found.append(place.value)
            if len(found) > _PLACES:
                raise Unread(f"more than {_PLACES} places: so many are not tested")
    except (jsonpath_rfc9535.JSONPathRecursionError, RecursionError):
        raise Unread("JSON that is nested too deeply for this path") from None
    return found


def _holds(test: JsonTest, value: Any, within_s: float) -> bool:
    if test.operator == "~":
        return isinstance(value, (str, int, float)) and is_found(str(test.value), _plain(value), within_s)
    return _OPERATORS[test.operator](value, test.value)


def _same(value: Any, wanted: Any) -> bool:
    """As JSON compares: ``1`` is ``1.0``, but neither ``true`` nor ``"1"``."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    return bool(value == wanted)


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(value, str):
        return isinstance(wanted, str) and wanted in value
    if isinstance(value, dict):
        return wanted in value
    return isinstance(value, list) and any(_same(one, wanted) for one in value)


def _comparable(value: Any, wanted: Any) -> bool:
    """Numbers are by size, and texts by their characters (so are ISO dates in order); one of each never are."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return False
    return (isinstance(value, (int, float)) and isinstance(wanted, (int, float))) or (isinstance(value, str) and isinstance(wanted, str))


_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": _same,
    "!=": lambda value, wanted: not _same(value, wanted),
    "<": lambda value, wanted: _comparable(value, wanted) and value < wanted,
    "<=": lambda value, wanted: _comparable(value, wanted) and value <= wanted,
    ">": lambda value, wanted: _comparable(value, wanted) and value > wanted,
    ">=": lambda value, wanted: _comparable(value, wanted) and value >= wanted,
    "in": lambda value, wanted: isinstance(wanted, tuple) and any(_same(value, one) for one in wanted),
    "has": _contains,
    "len": lambda value, wanted: isinstance(value, (str, list, dict)) and _same(len(value), wanted),
}


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _measured(test: JsonTest, value: Any, hide: Hide) -> str:
    return f"length {len(value)}" if test.operator == "len" and isinstance(value, (str, list, dict)) else _shown(value, hide)


def _shown(value: Any, hide: Hide) -> str:
    """A value in a few words; only its start is written down, or a list of a megabyte would be."""
    if isinstance(value, dict):
        return f"an object of {len(value)} keys"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return safe(json.dumps(hide(value)[:_CHARS], ensure_ascii=False), _CHARS)
    return safe(hide(json.dumps(value)), _CHARS)
