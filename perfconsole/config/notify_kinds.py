"""Kinds of values that notification channels have: addresses of receivers that are secrets themselves, commands, mail addresses."""

import re
from typing import Any, Final

from perfconsole.config import secrets, urls
from perfconsole.config.check_kinds import HEADERS, LINE, NAME, PROXY, SECRET, is_literal, of_text, one_line
from perfconsole.config.kinds import Kind, Wrong, duration
from perfconsole.config.wording import shown
from perfconsole.core.redact import MASK, redact_command
from perfconsole.core.text import safe

__all__ = ["HEADERS", "LINE", "NAME", "PROXY", "SECRET", "TIMEOUT"]

TIMEOUT: Final = duration(0.1, 60.0)

_TOKEN_CHARS: Final = 16
_MAILBOX: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_NAMED: Final = re.compile(r'([^<>"]*)<([^<>]*)>')
_APPRISE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.+")
_SECRET_TEXT: Final = {"type": "string", "minLength": 1}


# Where to -------------------------------------------------------------------------------------------------------------------------


def holds_token(url: str) -> bool:
    """Whether a secret stands in the URL of a receiver itself: a name tells of one, or a part of the path looks like one."""
    if secrets.is_file(url):
        return False
    rest = secrets.without(url, "").partition("://")[2].partition("/")[2]
    return urls.holds_secret(url) or any(map(_is_token, re.split(r"[/?&=]", rest)))


def _is_token(part: str) -> bool:
    """``T0AbCd9...``, ``8f14e45f-ceea-467f-...``: long, with letters and digits mixed. Words joined with hyphens are none."""
    if re.fullmatch(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?:@.*)?", part):
        return True
    return any(
        len(word) >= _TOKEN_CHARS and re.search(r"\d", word) and re.search(r"[A-Za-z]", word) for word in re.split(r"[^A-Za-z0-9]", part)
    )


def shown_url(url: str) -> str:
    """The URL of a receiver for reading: of a path that holds a token, nothing; references stay."""
    if not holds_token(url):
        return url
    scheme, separator, rest = urls.shown_url(url).partition("://")
    return f"{scheme}{separator}{rest.partition('/')[0].partition('?')[0]}/{MASK}"


def shown_secret_url(url: str) -> str:
    """Likewise of one that is a secret as a whole: whoever has it may post there."""
    if not is_literal(url):
        return url
    scheme, separator, rest = urls.shown_url(url).partition("://")
    return f"{scheme}{separator}{rest.partition('/')[0].partition('?')[0]}/{MASK}"


# What is run, and who writes ------------------------------------------------------------------------------------------------------


def _command(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise Wrong("found a single text", 'accepted: a list of texts, each an argument of its own: ["/usr/local/bin/page", "--loud"]')
    if not isinstance(value, list) or not value or not all(isinstance(part, str) for part in value):
        raise ValueError
    for number, part in enumerate(value):
        if "\0" in part or not (part or number):
            raise Wrong(f"found {shown(part)}", "accepted: a text without null characters, the first one a program", number)
    return tuple(value)


def command_holds_secret(command: tuple[str, ...]) -> bool:
    """Whether a secret stands in a command: other users of the machine can read it anyway, once it runs."""
    return redact_command(command) != " ".join(command)


def _command_shown(command: tuple[str, ...]) -> list[str]:
    return [command[0], MASK] if command_holds_secret(command) else list(command)


def _mailbox(text: str) -> str:
    named = _NAMED.fullmatch(text)
    if one_line(text) and not _MAILBOX.fullmatch(named[2] if named else text):
        raise ValueError
    return text


def _mailboxes(value: Any) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found:
        raise ValueError
    for number, text in enumerate(found):
        try:
            MAILBOX.read(text)
        except ValueError:
            raise Wrong(f"found {shown(text)}", f"accepted: {MAILBOX.accepts}", *([number] if isinstance(value, list) else [])) from None
    return tuple(found)


def _mail_host(text: str) -> str:
    try:
        urls.check_address(text, 25)
    except Wrong as wrong:
        raise Wrong(wrong.found, "accepted: HOST or HOST:PORT") from None
    return text


def _apprise(value: Any) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found:
        raise ValueError
    for number, text in enumerate(found):
        good = isinstance(text, str) and text.isprintable() and "${" not in secrets.without(text, "")
        if not good or not (secrets.is_file(text) or text.startswith("${") or _APPRISE.fullmatch(text)):
            raise Wrong("found what is no URL of Apprise", 'accepted: such as "${TEAMS_URL}" or "mailto://..."', number)
    return tuple(found)


def shown_apprise(url: str) -> str:
    """Its kind alone, unless it is a reference: any part of one may be a secret."""
    return f"{safe(url.partition('://')[0], 40)}://{MASK}" if is_literal(url) else url


URL: Final = Kind("a URL in quotes: http://HOST:PORT/PATH or https://...", of_text(urls.check_url), shown_url, _SECRET_TEXT, private="URL")
SECRET_URL: Final = Kind(
    'a URL by reference, "${ENV}" or "file:/run/secrets/x", or itself: https://...', of_text(urls.check_url), shown_secret_url,
    _SECRET_TEXT, private="URL",
)  # fmt: skip
COMMAND: Final = Kind(
    'a list of texts such as ["/usr/local/bin/page", "--loud"]; no shell reads it', _command, _command_shown,
    {"type": "array", "items": {"type": "string"}, "minItems": 1}, private="command",
)  # fmt: skip
MAILBOX: Final = Kind('an address such as "ops@example.org" or "Ops <ops@example.org>"', of_text(_mailbox), str, _SECRET_TEXT)
MAILBOXES: Final = Kind(
    'a list of addresses such as ["ops@example.org"]', _mailboxes, list,
    {"anyOf": [_SECRET_TEXT, {"type": "array", "items": _SECRET_TEXT, "minItems": 1}]},
)  # fmt: skip
MAIL_HOST: Final = Kind("HOST or HOST:PORT in quotes", of_text(_mail_host), str, _SECRET_TEXT)
APPRISE: Final = Kind(
    'a list of URLs of Apprise, by reference: ["${TEAMS_URL}"]', _apprise, lambda found: [shown_apprise(url) for url in found],
    {"anyOf": [_SECRET_TEXT, {"type": "array", "items": _SECRET_TEXT, "minItems": 1}]}, private="list of URLs",
)  # fmt: skip
