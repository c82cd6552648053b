"""Reading SQL as far as asking for its plan needs it: where its parameters are, what it begins with, which names it calls.

This is no parser: the server is. What is judged by it here is only what to ask, never what is safe to run.
"""

import re
from collections.abc import Iterator
from typing import Final

_START: Final = re.compile(r"""--|/\*|"|(?<![\w$])[eE]'|'|(?<![\w$])\$(?:[^\W\d]\w*)?\$""")
_PLAIN: Final = re.compile(r"[^']*+(?:''[^']*+)*+(?:'|$)")
_ESCAPED: Final = re.compile(r"(?:[^'\\]|\\.|'')*+(?:'|$)", re.DOTALL)
_COMMENT: Final = re.compile(r"/\*|\*/")
_PARAMETER: Final = re.compile(r"(?<![\w$])\$(\d{1,5})(?!\w)")
_FIRST: Final = re.compile(r"[\s(;]*([A-Za-z]+)")
_BODY: Final = re.compile(
    r"""[\s;]*(?:PREPARE\s+[\w$]*\s*(?:\([^)]*\)\s*)?AS
    |DECLARE\s+[\w$]*\s*(?:(?:BINARY|ASENSITIVE|INSENSITIVE|NO|SCROLL)\s+)*CURSOR\s+(?:WITH(?:OUT)?\s+HOLD\s+)?FOR)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_HEAD: Final = 16384
"""Characters in which a command is looked for: what stands before it is a comment."""

# Each consumes what it looks at, or looks no further than the next quote: a text of a megabyte is read in one go, whatever is in it.
_BEFORE: Final = r"\s*+(?:\(|/\*|--)"
_LETTER: Final = r"A-Za-z_\u0080-\U0010ffff"
"""As the server's own lexer has it: all that is not ASCII is a letter, be it a dash or a smile."""

_PLAIN_NAME: Final = re.compile(rf"([{_LETTER}][{_LETTER}0-9$]*+)({_BEFORE})?")
_ASCII_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_QUOTED_NAME: Final = re.compile(rf'(?="([^"]++)"({_BEFORE})?)')
_DOUBLED_NAME: Final = re.compile(rf'"((?:[^"]|"")*+)"({_BEFORE})?')
_NAME: Final = re.compile(r'((?:"(?:[^"]|"")+"|[^\W\d][\w$]*)(?:\s*\.\s*(?:"(?:[^"]|"")+"|[^\W\d][\w$]*))*)')


def blanked(text: str) -> str:
    """The text with literals, quoted names and comments blank, every other character where it was."""
    kept: list[str] = []
    at = 0
    while found := _START.search(text, at):
        end = _end(text, found[0], found.end())
        kept += text[at : found.start()], " " * (end - found.start())
        at = end
    return "".join([*kept, text[at:]])


def _end(text: str, mark: str, at: int) -> int:
    if mark == "/*":
        return _end_of_comment(text, at)
    if mark in {"'", "e'", "E'"}:
        closed = (_PLAIN if mark == "'" else _ESCAPED).match(text, at)
        return closed.end() if closed else len(text)
    close = "\n" if mark == "--" else mark
    end = text.find(close, at)
    return len(text) if end < 0 else end + len(close)


def _end_of_comment(text: str, at: int) -> int:
    depth = 1
    for found in _COMMENT.finditer(text, at):
        depth += 1 if found[0] == "/*" else -1
        if not depth:
            return found.end()
    return len(text)


def parameters(text: str) -> list[tuple[int, int]]:
    """Where the parameters are (0-based), and their numbers, in the order of the text."""
    return [(found.start(), int(found[1])) for found in _PARAMETER.finditer(blanked(text))]


def first_word(text: str) -> str:
    """The command, in capitals; empty where there is none."""
    found = _FIRST.match(blanked(text[:_HEAD]))
    return found[1].upper() if found else ""


def body(text: str) -> str:
    """The query in a text: of one that prepares it, or declares a cursor for it, what follows."""
    found = _BODY.match(blanked(text[:_HEAD]))
    return text[found.end() :] if found else text


def literal(value: str) -> str:
    """A value as a literal of any type, or the word NULL; no setting of the server changes how it is read."""
    if value == "NULL":
        return value
    doubled = value.replace("'", "''")
    return f"E'{doubled.replace(chr(92), chr(92) * 2)}'" if "\\" in value else f"'{doubled}'"


def name_at(text: str, position: int) -> str:
    """The name, with its schema if it has one, that stands at a 0-based position; empty where none does."""
    found = _NAME.match(text, position)
    return found[1] if found else ""


def words(text: str) -> set[str]:
    """All names that could stand in a text, as the catalog spells them; literals and comments are not told apart."""
    return {name for name, _ in _names(text)}


def calls(text: str) -> set[str]:
    """Those that could be called: before a parenthesis, or before a comment that may have one behind it."""
    return {name for name, before in _names(text) if before}


def _names(text: str) -> Iterator[tuple[str, str]]:
    for name, before in _PLAIN_NAME.findall(text):
        yield name.lower(), before
        if not name.isascii():
            yield name.translate(_ASCII_LOWER), before  # a server in UTF-8 leaves other capitals as they are
    yield from _QUOTED_NAME.findall(text)
    if '""' in text:
        for name, before in _DOUBLED_NAME.findall(text):
            yield name.replace('""', '"'), before
