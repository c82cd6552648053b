"""Secrets in foreign text: passwords, tokens and keys in command lines, configuration and recordings become `MASK`.

Rather too much than too little: what follows a name that ends in password, token, api key and the like is hidden whatever it is. Three
things tell a secret: the program that takes it (`core.programs`), the name it follows, and its own shape. Every pattern is bounded,
because the text is hostile: no input of n characters takes more than a multiple of n steps.
"""

import re
from collections.abc import Sequence
from typing import Final

from perfconsole.core.programs import MASK, PROGRAMS, Command, hide

__all__ = ["MASK", "redact", "redact_command"]

_TRIGGERS: Final = (
    "pass", "pwd", "secret", "token", "key", "credential", "sig", "auth", "bearer", "cookie", "jwt", "pin", "psk", "://",
    "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "akia", "asia", "eyj", "sk-", "k_live_", "k_test_", "sg.",
    "hooks.slack.com", "aiza", "npm_", "hvs.", "private",
)  # fmt: skip
"""Text that holds none of these, and no program of the table, is returned as it is: 3 us for a usual command line, the rest takes 40."""

_WORDS: Final = str.maketrans(dict.fromkeys("/;|&()'\"`$=\n\t", " "))
"""Parts programs from what may stand beside them."""

_NAME: Final = (
    r"(?:passwo?r?d|passphrase|passcode|(?:(?<![a-z])|store|key|require|user|db|admin|root|smtp|ldap|bind|rpc)pass|masterauth"
    r"|pwd|psk|secret|token|credentials?|signature|jwt|(?<![a-z])cookie"
    # -auth is a file to Xorg, and cpu-pin no PIN
    r"|(?<!no[-_])(?:(?<=--)|(?<=\w[-_.])|(?<![\w-])|o)auth|(?:(?<![\w.][-_.])(?<![a-z0-9])|(?:so|user|card|sim)[-_]?)pin"
    r"|(?<=[?&])(?:key|sig)"
    r"|(?:api|access|secret|private|auth|account|shared|encryption|encrypt|licen[sc]e|master|signing|wep|subscription)[_-]?key)\d{0,2}"
)
_VALUE: Final = r"""(?:\\?"[^"]{0,4096}"?|\\?'[^']{0,4096}'?|\S+?(?=&[\w.-]{1,40}=|\s|$))"""
_MASKED: Final = r"""\*\*\*(?:[\s,;}&"']|$)"""
_SCHEME: Final = r"(?:bearer|basic|digest|negotiate|ntlm|token|oauth|hawk|mac|bot|(?:api|genie|shared)?[-_]?key(?:lite)?|aws4-hmac-sha256)"

_NAMED: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (rf"""(authorization\\?["']?\s{{0,4}}[:=]\s{{0,4}}["']?(?:{_SCHEME}\s{{1,4}})?)[^\s"']+""", rf"\1{MASK}"),
        (r"""(cookie2?\\?["']?\s{0,4}:\s{0,4}["']?)[^\s"';]{1,4096}(?:;\s{0,4}[^\s"';=]{1,256}=[^\s"';]{0,4096}){0,99}""", rf"\1{MASK}"),
        (r"(\bbearer\s{1,4})[\w.~+/=-]{8,}", rf"\1{MASK}"),
        (rf"""({_NAME}\\?["']?\s{{0,4}}[=:]\s{{0,4}})(?!\s|//|{_MASKED}){_VALUE}""", rf"\1{MASK}"),
        (rf"((?<!\S)-{{1,2}}[\w.-]{{0,40}}{_NAME}\s{{1,4}})(?![-\s])\S+", rf"\1{MASK}"),
    )
)
"""What is secret because of the name before it."""

_SHAPES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # a token where the user belongs; over ssh and to databases a user stands there
        (r"(https?://)(?!git@)[^\s:/?#@\[]{1,256}(?::(?:x-oauth-basic)?)?@", rf"\1{MASK}@"),
        # user:password@ in a URL; a number after the colon that ends the authority is a port, not a password
        (r"(://[^\s:/?#@\[]{0,256}:)(?!\d+(?:[/?#\s]|$))[^\s@][^\s]{0,512}@", rf"\1{MASK}@"),
        (r"(hooks\.slack\.com/[a-z]{1,20}/)[\w/-]+", rf"\1{MASK}"),
        ((r"(?<!\w)(?:gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}(?!\w)"
         r"|sk-[\w-]{16,}|[sr]k_(?:live|test)_\w{8,}|AIza[\w-]{30,}|npm_\w{30,}|hvs\.[\w-]{16,}|SG\.[\w-]{12,}\.[\w-]{12,})"), MASK),
        (r"(?<!\w)eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{0,4096}", MASK),
        (r"(-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----)[^-]{1,16384}", rf"\1{MASK}"),
    )
)  # fmt: skip
"""What is secret because of how it looks."""

_BARE: Final = re.compile(rf"[\w./:@-]{{0,80}}{_NAME}", re.IGNORECASE)
"""A whole word that names a secret: an option, a variable, a setting."""

_HEADER: Final = re.compile(
    rf"([\w-]{{0,20}}(?:authorization:\s{{0,4}}(?:{_SCHEME}\s{{1,4}})?|cookie2?:\s{{0,4}})).+", re.IGNORECASE | re.DOTALL
)
"""A whole argument that is a header with secrets: blanks in it are the value's."""

_SCRIPT: Final = re.compile(r"-[a-z]{0,4}c")
"""The option before a shell's script: what follows is text, not one value."""


def redact(text: str) -> str:
    """Hide secrets in free text: a shell line, a setting, a header, a URL.

    Args:
        text: Any text; of one that was cut inside a secret the rest is hidden just the same.

    Returns:
        The text with each secret replaced by `MASK`; the same object when there is none. Applying it again changes nothing.
    """
    named, programs = _suspicions(text)
    if not (named or programs):
        return text
    shown = hide(text, _BARE) if programs else text
    for pattern, replacement in (*_SHAPES, *_NAMED) if named else ():
        shown = pattern.sub(replacement, shown)
    return shown if shown != text else text


def redact_command(arguments: Sequence[str]) -> str:
    """A command line as one text, its secrets hidden.

    Better than `redact` of the joined line: an argument with blanks in it is one value.

    Args:
        arguments: The argument vector.

    Returns:
        The arguments joined with blanks.
    """
    line = " ".join(arguments)
    if not any(_suspicions(line)):
        return line
    command = Command(_BARE)
    shown: list[str] = []
    previous = ""
    for argument in arguments:
        hidden = command.hidden(argument)
        if not hidden and not _SCRIPT.fullmatch(previous):
            hidden = _named(previous, argument)
        shown.append(hidden or _inside(argument))
        previous = argument
    return " ".join(shown)


def _suspicions(text: str) -> tuple[bool, bool]:
    """Whether a name or shape may be in a text, and whether a program of the table is."""
    lowered = text.lower()
    named = any(trigger in lowered for trigger in _TRIGGERS)
    return named, not PROGRAMS.keys().isdisjoint(lowered.translate(_WORDS).split())


def _named(previous: str, argument: str) -> str:
    """The argument hidden as the value of the option before it, as a setting or a header; empty when it is none of them."""
    if previous[:1] == "-" and argument[:1] != "-" and _BARE.fullmatch(previous):
        return MASK
    name, equals, value = argument.partition("=")
    if value and _BARE.fullmatch(name):
        return name + equals + MASK
    header = _HEADER.fullmatch(argument)
    return header[1] + MASK if header else ""


def _inside(argument: str) -> str:
    """An argument with the secrets in it hidden; a short plain word holds none, and most arguments are that."""
    plain = len(argument) < 12 and " " not in argument and "=" not in argument and ":" not in argument
    return argument if plain else redact(argument)
