"""What may be told of a request and its answer: nothing secret, nothing that a terminal would obey, and no more than one reads.

A secret that was looked up is hidden verbatim and in every shape in which a server may send it back; of headers that carry secrets only
the name remains; what looks like a secret is hidden by `core.redact`.
"""

import base64
import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final
from urllib.parse import quote, quote_plus, urlsplit

from perfconsole.collectors.http.judging.bodies import text_of
from perfconsole.core.redact import MASK, redact
from perfconsole.core.text import safe

BODY_BYTES: Final = 2048
"""Kept of the body of a failure: an error page's first screen."""

_HEADERS: Final = 40
_VALUE_CHARS: Final = 300
_LINES: Final = 60
_LOOKED_AT: Final = 1200
"""Characters of a header that are looked at, of which `_VALUE_CHARS` are shown: a URL loses what is masked in it."""

_PRIVATE: Final = frozenset({
    "authorization", "proxy-authorization", "authentication-info", "proxy-authentication-info",
    "cookie", "set-cookie", "cookie2", "set-cookie2",
})  # fmt: skip
"""Headers whose whole value is a secret, or may be."""


class Secrets:
    """The secrets of one request, and how to hide them."""

    __slots__ = ("_shapes",)

    def __init__(self, values: Iterable[str] = (), pairs: Iterable[tuple[str, str]] = ()) -> None:
        """Take what must not be seen.

        Args:
            values: Secrets as they are.
            pairs: User and password of basic authentication, which are sent as one.
        """
        shapes = {shape for value in values if value for shape in _shapes(value)}
        shapes |= {_basic(user, password).rstrip("=") for user, password in pairs if password}
        self._shapes = sorted(shapes, key=len, reverse=True)

    def hide(self, text: str) -> str:
        """The text without them."""
        for shape in self._shapes:
            if shape in text:
                text = text.replace(shape, MASK)
        return text

    def line(self, text: str, limit: int = _VALUE_CHARS) -> str:
        """One safe line without secrets, neither those known nor what looks like one."""
        return safe(redact(self.hide(text)), limit)

    @property
    def longest(self) -> int:
        """Characters of the longest one: so much more must be read than is shown, or half of it would be."""
        return len(self._shapes[0]) if self._shapes else 0


def basic(user: str, password: str) -> str:
    """The value of an ``Authorization`` header (RFC 7617)."""
    return f"Basic {_basic(user, password)}"


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode("utf-8", "surrogateescape")).decode()


def _shapes(value: str) -> set[str]:
    """A secret as it is, as JSON, HTML and URLs write it, and as it is read where it comes back among what is no UTF-8."""
    raw = value.encode("utf-8", "surrogateescape")
    encoded = base64.b64encode(raw).decode().rstrip("=")
    return {
        value,
        raw.decode("latin-1"),
        raw.decode("utf-8", "replace"),
        value.strip() or value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        escape(value),
        quote(value, errors="replace"),
        quote(value, safe="", errors="replace"),
        quote_plus(value, errors="replace"),
        *((encoded,) if len(value) > 2 else ()),
    }


def shown_headers(headers: Sequence[tuple[str, str]], secrets: Secrets) -> tuple[tuple[str, str], ...]:
    """Headers of an answer for reading: names as they came, values masked where they carry secrets; only the first 40."""
    return tuple((secrets.line(name, 80), _value(name, value, secrets)) for name, value in headers[:_HEADERS])


def _value(name: str, value: str, secrets: Secrets) -> str:
    lowered = name.lower()
    if lowered in _PRIVATE:
        return MASK
    value = value[: _LOOKED_AT + secrets.longest]  # hiding takes time with the length, and 95 KB of it held the loop for 130 ms
    if lowered in {"location", "content-location", "refresh", "link"}:
        return secrets.line(shown_url(value, secrets))
    # With its name before it: "X-Api-Key: abc" is one to who knows the name only.
    whole = redact(f"{lowered}: {secrets.hide(value)}")
    return safe(whole.partition(": ")[2], _VALUE_CHARS)


def shown_url(url: str, secrets: Secrets) -> str:
    """A URL for reading: no userinfo, no fragment, values of its query only where their names tell of no secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return secrets.line(url.partition("?")[0])
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="", query=_query(parts.query))
    return secrets.line(bare.geturl(), 500)


def _query(query: str) -> str:
    return "&".join(_pair(pair) for pair in query.split("&")) if query else ""


def _pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    # As a URL's: the same name in a text may be harmless (`key=`), in a query it seldom is.
    return f"{name}={MASK}" if equals and redact(f"?{pair}") != f"?{pair}" else pair


def shown_body(body: bytes, encoding: str, secrets: Secrets) -> str:
    """The start of a body for reading: several safe lines, no secrets.

    Args:
        body: Unpacked; of what stands beyond some 2 KiB nothing is looked at.
        encoding: Its charset; what it cannot decode is replaced.
        secrets: To be hidden, also those that are cut where the start ends.
    """
    text = redact(secrets.hide(text_of(body[: BODY_BYTES + 4 * secrets.longest], encoding)))
    cut = len(body) > BODY_BYTES or len(text) > BODY_BYTES
    lines = text[:BODY_BYTES].splitlines()[:_LINES]
    return "\n".join([*map(safe, lines), *(("…",) if cut else ())])
