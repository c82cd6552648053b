"""Kinds of values that checks of endpoints have: URLs, addresses, headers, secrets, times of maintenance, zones."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from perfconsole.config import secrets, urls
from perfconsole.config.kinds import TEXT, Kind, Wrong, choice, choices
from perfconsole.config.wording import shown, suggestion
from perfconsole.core.checks import DAYS
from perfconsole.core.redact import MASK
from perfconsole.core.text import safe

if TYPE_CHECKING:
    from datetime import datetime, time

RECORDS: Final = ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT")
FOLLOWED: Final = 10
"""Redirects that are followed unless a number is given: as many as browsers' least patient ancestors, and no honest site needs them."""

_NAME_CHARS: Final = 100
_MOST_FOLLOWED: Final = 20
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
"""A name of a header or a method (RFC 9110, 5.6.2)."""


def of_text(check: Callable[[str], str]) -> Callable[[Any], str]:
    """Reads a text that passes a check."""

    def read(value: Any) -> str:
        return check(TEXT.read(value))

    return read


def one_line(text: str, most: int = 4096) -> str:
    """A text of one line.

    Raises:
        ValueError: When it is none, or longer than so many characters.
    """
    if not text.isprintable() or safe(text, most) != text:
        raise ValueError
    return text


def _name(text: str) -> str:
    return one_line(text, _NAME_CHARS)


def _method(text: str) -> str:
    if not _TOKEN.fullmatch(text) or text != text.upper() or text in {"CONNECT", "TRACE"}:
        raise ValueError
    return text


def _headers(value: Any) -> dict[str, str]:
    found = of_names(value)
    for name, text in found.items():
        if any(char < " " and char != "\t" for char in text):
            raise Wrong("found a control character in a header", "accepted: one line", name)
    return found


def of_names(value: Any) -> dict[str, str]:
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
    return {name: MASK if header_is_secret(name, text) else text for name, text in value.items()}


def header_is_secret(name: str, text: str) -> bool:
    """Whether a header holds a secret itself, not as a reference."""
    rest = secrets.without(text, "")
    if name.lower() in {"cookie", "authorization", "proxy-authorization"}:  # names of cookies, and of ways to authenticate, are none
        rest = re.sub(r"[^=;]*=\s*(?=;|$)|^\s*[A-Za-z]+\s*$", "", rest)
    return bool(rest.strip("; ")) and urls.holds_secret(f"{name}: {rest}")


def _text_shown(text: str) -> str:
    return MASK if urls.holds_secret(text) else text


def is_literal(text: str) -> bool:
    """Whether a secret, or a part of one, stands in a text itself."""
    return bool(secrets.without(text, ""))


def _secret(text: str) -> str:
    if "${" in secrets.without(text, ""):
        raise Wrong("found a ${ that begins no reference", 'accepted: "${NAME}" of letters, digits and _, or "file:/run/secrets/x"')
    return one_line(text)


def _secret_shown(text: str) -> str:
    return MASK if is_literal(text) else text


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


def _file(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError
    return one_line(text)


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
    if secrets.is_file(text):
        raise ValueError
    if "${" in text:
        return one_line(text)
    return urls.check_address(text, 0).removesuffix(":0") if text else text


# Maintenance ----------------------------------------------------------------------------------------------------------------------


def _moment(value: Any) -> str:
    """``2026-12-24T22:00`` or ``22:00``, as a text or as TOML's own; whether it is the one or the other is judged with the days."""
    from datetime import date, datetime, time  # noqa: PLC0415  only where there are windows

    if isinstance(value, time | datetime):
        return _local(value)
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00"
    text = TEXT.read(value)
    if re.fullmatch(r"\d\d:\d\d(:\d\d)?", text, re.ASCII):
        return _local(time.fromisoformat(text))
    return _local(datetime.fromisoformat(text))


def _local(moment: "time | datetime") -> str:
    if moment.tzinfo is not None:
        raise Wrong(f"found {moment.isoformat()}, with an offset", 'accepted: a local time; zone = "Europe/Berlin" stands beside it')
    return moment.isoformat() if moment.second or hasattr(moment, "year") else moment.isoformat("minutes")


def _zone(text: str) -> str:
    from zoneinfo import TZPATH, ZoneInfo, available_timezones  # noqa: PLC0415  only where there are windows

    try:
        ZoneInfo(text)
    except (OSError, ValueError, KeyError):  # a directory, a way out of the directory, none of that name
        known = sorted(available_timezones())
        if not known:
            raise Wrong(
                f"found {shown(text)}, but this machine has no time zones", f"install tzdata: looked into {' '.join(TZPATH)}"
            ) from None
        near = suggestion(text, known)
        raise Wrong(f"found {shown(text)}, which is no time zone", near or "accepted: such as UTC Europe/Berlin America/New_York") from None
    return text


TABLE_OF_TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}}
_TEXT: Final = {"type": "string", "minLength": 1}


def _kept(value: Any) -> Any:
    return value


NAME: Final = Kind(f"a text in quotes, one line of at most {_NAME_CHARS} characters", of_text(_name), _kept, _TEXT)
FILE: Final = Kind("a path in quotes that begins with /", of_text(_file), _kept, {"type": "string", "pattern": "^/"})
LINE: Final = Kind("a text in quotes, one line", of_text(one_line), _kept, _TEXT)
URL: Final = Kind(
    "a URL in quotes: http://HOST:PORT/PATH or https://...", of_text(urls.check_url), urls.shown_literal, _TEXT, private="URL"
)
PROXY: Final = Kind(
    "a URL in quotes: http://HOST:PORT or https://HOST:PORT", of_text(urls.check_proxy), urls.shown_literal, _TEXT, private="URL"
)
ADDRESS: Final = Kind("HOST:PORT in quotes", of_text(urls.check_address), _kept, _TEXT)
DNS_SERVER: Final = Kind("HOST or HOST:PORT in quotes", of_text(lambda text: urls.check_address(text, 53)), _kept, _TEXT)
ROUTE: Final = Kind("HOST:PORT or unix:/PATH in quotes", of_text(urls.check_route), _kept, _TEXT)
HOST: Final = Kind("the name or address of a host in quotes, without a port", of_text(_host), _kept, _TEXT)
HEADER_HOST: Final = Kind("HOST or HOST:PORT in quotes", of_text(_header_host), _kept, _TEXT)
QUERY: Final = Kind("a name in quotes such as example.org", of_text(_queried), _kept, _TEXT)
RECORD: Final = choice(*RECORDS)
METHOD: Final = Kind("a method in capitals such as GET HEAD POST PUT, not CONNECT or TRACE", of_text(_method), _kept,
                     {"type": "string", "pattern": "^[A-Z]+$"})  # fmt: skip
HEADERS: Final = Kind(
    'a table of texts such as { Accept = "text/html" }', _headers, _headers_shown, TABLE_OF_TEXTS, private="table of headers"
)
BODY: Final = Kind("a text in quotes, not empty", TEXT.read, _text_shown, _TEXT, private="text")
SECRET: Final = Kind(
    'a secret by reference: "${ENV}" or "file:/run/secrets/x"', of_text(_secret), _secret_shown, _TEXT, private="secret by reference"
)
REDIRECTS: Final = Kind(f"true, false, or how many: 0 to {_MOST_FOLLOWED}", _redirects, _redirects_written,
                        {"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 0, "maximum": _MOST_FOLLOWED}]})  # fmt: skip
FAMILY: Final = Kind('4, 6 or "any"', _family, lambda value: value or "any", {"enum": [4, 6, "any"]})
MOMENT: Final = Kind('a local time in quotes: "2026-12-24T22:00", or with days "22:00"', _moment, _kept, _TEXT)
WEEKDAYS: Final = choices(DAYS)
ZONE: Final = Kind("the name of a time zone in quotes, such as Europe/Berlin", of_text(_zone), _kept, _TEXT)
