"""What is secret in a request, and cutting it out again of what a server answers to that: servers like to quote what they were sent.

It is found however it is quoted: percent-encoded, escaped as in JSON or HTML. Nothing but text may enter; nothing here asks anybody.
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from perfconsole.config import secrets
from perfconsole.config.check_kinds import header_is_secret
from perfconsole.core.redact import MASK

_SHORTEST: Final = 4
"""Shorter ones would be found everywhere. What a reference holds is hidden all the same: somebody called it a secret."""

_PART_CHARS: Final = 6
_WORDS: Final = frozenset({"alerts", "enqueue", "incoming", "services", "webhook", "webhooks", "workflows"})
"""Parts of paths that hold no secret, and stand in honest answers."""

_QUOTED: Final = re.compile(
    rb"\\u(?P<unit>[0-9A-Fa-f]{4})|\\(?P<escaped>[/\"'\\])|%(?:25)*(?P<byte>[0-9A-Fa-f]{2})"
    rb"|(?P<entity>&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|amp|lt|gt|quot|apos);)|(?P<blank>\+)|(?P<one>.)",
    re.DOTALL,
)


class Secrets:
    """Texts with their references looked up, and whatever was found by that hidden again in what is told."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = _Noted(env)
        self._values: set[str] = set()

    def text(self, template: str) -> str:
        """A text with its references looked up.

        Raises:
            ConfigError: When one cannot be.
        """
        return self._looked_up(template, None)

    def header(self, name: str, template: str) -> str:
        """Likewise a header; what is secret in it is hidden, also where it is no reference.

        Raises:
            ConfigError: As above.
        """
        found = self.text(template)
        if header_is_secret(name, found):
            self.hide(found, found.partition(" ")[2], *re.findall(r"=\s*\"?([^;,\s\"]+)", found))
        return found

    def url(self, template: str) -> str:
        """Likewise a URL: what a secret holds is encoded where it would have a meaning, unless it is the URL's beginning.

        Path, query and user information are hidden: of many receivers the address is the secret.

        Raises:
            ConfigError: As above.
        """
        if secrets.is_file(template) or template.startswith("${"):
            found = self._looked_up(template, None)
        else:
            scheme, separator, netloc, path, query = _parted(template)
            userinfo, at, host = netloc.rpartition("@")
            parts = ((userinfo, ""), (at + host, None), (path, "/"), (query, ""))
            found = f"{scheme}{separator}{''.join(self._looked_up(part, allowed) for part, allowed in parts)}"
        self.hide_url(found)
        return found

    def hide_url(self, url: str) -> None:
        """Hide what may be secret in a URL without references."""
        _, _, netloc, path, query = _parted(url)
        userinfo = netloc.rpartition("@")[0]
        user, _, password = userinfo.partition(":")
        self.hide(userinfo, user, password, b64encode(unquote_to_bytes(f"{user}:{password}")).decode() if userinfo else "")
        self.hide(path + query if len(path) > 1 else query, path.rstrip("/"), query[1:])
        self.hide(*(part for part in path.split("/") if len(part) >= _PART_CHARS and part.lower() not in _WORDS))
        self.hide(*(pair.partition("=")[2] or pair for pair in query[1:].partition("#")[0].split("&")))

    def hide(self, *values: str) -> None:
        """Hide these too, short ones apart."""
        self._values.update(value for value in values if len(value) >= _SHORTEST)

    def hidden(self, text: str) -> str:
        """A text in which nothing stands that is secret, nor at its end the beginning of it: that is where an answer was cut off."""
        data = text.encode("utf-8", "replace")
        plain, spans = _undone(data)
        covered = bytearray(len(data))
        for value in self._values | self._env.seen:
            sought = _undone(value.encode("utf-8", "replace"))[0]
            for first, last in _places(plain, sought):
                start, end = spans[first][0], spans[last][1]
                covered[start:end] = b"\x01" * (end - start)
        runs = re.finditer(rb"\x01+|\x00+", bytes(covered))
        return "".join(MASK if covered[run.start()] else data[run.start() : run.end()].decode("utf-8", "replace") for run in runs)

    def _looked_up(self, template: str, allowed: str | None) -> str:
        self._env.allowed = allowed
        found = secrets.resolve(template, self._env)
        if secrets.is_file(template):
            self.hide(found)
        return found


class _Noted(Mapping[str, str]):
    """An environment that notes what was looked up in it, and encodes it for a place in a URL."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.seen: set[str] = set()
        self.allowed: str | None = None

    def __getitem__(self, name: str) -> str:
        value = self._env[name]
        if value:
            self.seen.add(value)
        return value if self.allowed is None else quote(value, safe=self.allowed)

    def __iter__(self) -> Iterator[str]:
        return iter(self._env)

    def __len__(self) -> int:
        return len(self._env)


def _parted(url: str) -> tuple[str, str, str, str, str]:
    """Scheme, ``://``, user information with host and port, path, and the rest from ``?`` on. Of any text, which urlsplit refuses."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    end = min((rest.find(mark) for mark in "/?#" if mark in rest), default=len(rest))
    path, mark, query = rest[end:].partition("?")
    return scheme, separator, rest[:end], path, mark + query


def _undone(data: bytes) -> tuple[bytes, list[tuple[int, int]]]:
    """Text without the ways it may be quoted in, and of each of its bytes the place in the original, as start and end."""
    plain, spans = bytearray(), []
    for found in _QUOTED.finditer(data):
        one = _meant(found)
        plain += one
        spans += [found.span()] * len(one)
    return bytes(plain), spans


def _meant(found: re.Match[bytes]) -> bytes:
    kind, text = found.lastgroup, found[found.lastgroup or 0]
    if kind == "unit":
        return chr(int(text, 16)).encode("utf-8", "replace")
    if kind == "byte":
        return bytes([int(text, 16)])
    if kind == "entity":
        return unescape(text.decode()).encode("utf-8", "replace")
    return b" " if kind == "blank" else text


def _places(plain: bytes, sought: bytes) -> Iterator[tuple[int, int]]:
    """Where it stands, as first and last index; its beginning at the very end counts."""
    if not sought:
        return
    at = plain.find(sought)
    while at >= 0:
        yield at, at + len(sought) - 1
        at = plain.find(sought, at + 1)
    for length in range(min(len(sought) - 1, len(plain)), _PART_CHARS - 1, -1):
        if plain.endswith(sought[:length]):
            yield len(plain) - length, len(plain) - 1
            return
