"""Secrets in foreign text: passwords, tokens and keys in command lines, configuration and recordings become `MASK`.

Rather too much than too little: what follows a name that ends in password, token, api key and the like is hidden whatever it is. Every
pattern is bounded, because the text is hostile: no input of n characters takes more than a multiple of n steps.
"""

import re
from collections.abc import Sequence
from typing import Final

MASK: Final = "***"

_TRIGGERS: Final = (
    "pass", "pwd", "secret", "token", "key", "credential", "signature", "authori", "bearer", "://",
    "mysql", "mariadb", "redis", "curl", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xox", "akia", "asia", "eyj",
)  # fmt: skip
"""Text that holds none of these is returned as it is: 1 us for a usual command line, where the patterns take 30."""

_NAME: Final = (
    r"(?:passwo?r?d|passphrase|(?:(?<![a-z])|store|key)pass|pwd|secret|token|credentials?|signature"
    r"|(?:api|access|secret|private|auth|account|shared)[_-]?key)\d{0,2}"
)
_VALUE: Final = r"""(?:\\?"[^"]{0,4096}"?|\\?'[^']{0,4096}'?|\S+?(?=&[\w.-]{1,40}=|\s|$))"""

_MASKED: Final = r"""\*\*\*(?:[\s,;}&"']|$)"""

_RULES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # user:password@ in a URL; a number after the colon that ends the authority is a port, not a password
        (r"(://[^\s:/?#@\[]{0,256}:)(?!\d+(?:[/?#\s]|$))[^\s@][^\s]{0,1024}@", rf"\1{MASK}@"),
        (r"""(authorization\\?["']?\s{0,4}[:=]\s{0,4}["']?(?:(?:bearer|basic|digest|negotiate)\s{1,4})?)[^\s"']+""", rf"\1{MASK}"),
        (r"(\bbearer\s{1,4})[\w.~+/=-]{8,}", rf"\1{MASK}"),
        (rf"""({_NAME}\\?["']?\s{{0,4}}[=:]\s{{0,4}})(?!\s|//|{_MASKED}){_VALUE}""", rf"\1{MASK}"),
        (rf"((?<!\S)-{{1,2}}[\w.-]{{0,40}}{_NAME}\s{{1,4}})(?![-\s])\S+", rf"\1{MASK}"),
        (r"(\b(?:mysql|mariadb)[\w-]{0,20}\s(?:[^|;&]{0,400}?\s)?-p)[^\s|;&]+", rf"\1{MASK}"),
        (r"(?<!\w)(?:gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}(?!\w))", MASK),
        (r"(?<!\w)eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{0,4096}", MASK),
    )
)  # fmt: skip

_FLAG: Final = re.compile(rf"-{{1,2}}[\w.-]{{0,40}}{_NAME}", re.IGNORECASE)
_SETTING: Final = re.compile(rf"([\w./-]{{0,60}}{_NAME}=).+", re.IGNORECASE | re.DOTALL)

_SCRIPT: Final = re.compile(r"-[a-z]{0,4}c")
"""The option before a shell's script: what follows is text, not one value."""

_JOINED: Final = {"mysql": "-p", "mariadb": "-p", "sshpass": "-p"}
"""Programs, by how their name begins, whose short option carries a password in the same argument: ``-pSECRET``."""

_APART: Final = {"sshpass": ("-p",), "redis-cli": ("-a",), "curl": ("-u", "--user", "-U", "--proxy-user")}
"""Programs whose short option is followed by a password, or by user:password."""


def redact(text: str) -> str:
    """Hide secrets in free text: a shell line, a setting, a header, a URL.

    Args:
        text: Any text; of one that was cut inside a secret the rest is hidden just the same.

    Returns:
        The text with each secret replaced by `MASK`; the same object when there is none. Applying it again changes nothing.
    """
    if not _suspicious(text):
        return text
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def redact_command(arguments: Sequence[str]) -> str:
    """A command line as one text, its secrets hidden.

    Better than `redact` of the joined line: an argument with blanks in it is one value, and some programs' short options are known.

    Args:
        arguments: The argument vector.

    Returns:
        The arguments joined with blanks.
    """
    line = " ".join(arguments)
    if not _suspicious(line):
        return line
    program = arguments[0].rpartition("/")[2].lower()
    joined = next((option for name, option in _JOINED.items() if program.startswith(name)), None)
    apart = _APART.get(program, ())
    shown: list[str] = []
    previous = ""
    for argument in arguments:
        hidden = _value(previous, argument, apart)
        if not hidden and not _SCRIPT.fullmatch(previous):
            hidden = _setting(argument, joined)
        hidden = hidden or redact(argument)
        shown.append(hidden)
        previous = argument
    return " ".join(shown)


def _suspicious(text: str) -> bool:
    lowered = text.lower()
    return any(trigger in lowered for trigger in _TRIGGERS)


def _value(option: str, argument: str, apart: Sequence[str]) -> str:
    """The argument hidden as the value of the option before it; empty when it is none."""
    if option in apart:
        user, colon, _ = argument.partition(":")
        return f"{user}:{MASK}" if colon else MASK
    if not argument.startswith("-") and _FLAG.fullmatch(option):
        return MASK
    return ""


def _setting(argument: str, joined: str | None) -> str:
    """``NAME=value`` and ``-pVALUE`` hidden; empty when it is neither."""
    if joined and len(argument) > len(joined) and argument.startswith(joined):
        return joined + MASK
    found = _SETTING.fullmatch(argument)
    return found[1] + MASK if found else ""
