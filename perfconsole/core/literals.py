"""SQL without what is said in it: literals are the users' data, and leave this project as question marks or not at all.

A lexer of PostgreSQL's tokens (documentation, section 4.1), no parser: it need not know what a statement means, only where a literal ends.
Where that cannot be told, everything from there on is left out.
"""

import re
from typing import Final

from perfconsole.core.redact import MASK

LIMIT: Final = 16384
"""Characters that are looked at: four times what any screen shows."""

REST: Final = "?…"
"""Stands for all that follows."""

# Letters are all that is not ASCII, too, as in PostgreSQL's own lexer.
_LETTER: Final = r"A-Za-z_\u0080-\U0010ffff"
_TOKEN: Final = re.compile(
    rf"""
      (?P<comment> --[^\n\r]* | /\* )
    | (?P<escaped> [eE]'(?:[^'\\]|''|\\.)*(?P<escaped_end>')? )
    | (?P<string> (?:[bBxXnN]|[uU]&)?'(?:[^'\\]|''|\\(?!'))*(?P<string_end>')? )
    | (?P<dollar> \$(?P<tag>(?:[{_LETTER}][{_LETTER}0-9]*)?)\$ )
    | (?P<number> (?:[0-9]|\.[0-9])(?:[eE][+-]|[{_LETTER}0-9.])* )
    | (?P<kept> \$[0-9]+ | [{_LETTER}][{_LETTER}0-9$]* | "(?:[^"]|"")*" )
    | (?P<open> " )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")


def hide(sql: str) -> str:
    """A statement without its literals and comments.

    Args:
        sql: Any text, also one that was cut, or in which passwords were masked.

    Returns:
        Each literal a ``?``, each comment a blank; names, keywords, operators and parameters (``$1``) as they stand. `REST` where the
        text is longer than `LIMIT`, or where literals cannot be told from the rest: behind a mask, and behind a backslash that may or
        may not quote the end of a string (``standard_conforming_strings``). Applying it again changes nothing.
    """
    whole = sql.removesuffix(REST)
    known, masked, _ = whole[:LIMIT].partition(MASK)
    cut = bool(masked) or len(whole) > LIMIT or len(whole) < len(sql)
    out: list[str] = []
    at = 0
    while at < len(known):
        found = _TOKEN.match(known, at)
        assert found is not None  # any character is a token
        shown, at = _shown(found, known)
        out.append(shown)
        if shown == REST:
            return "".join(out)
    if cut:
        out.append(REST)
    return "".join(out)


def _shown(found: re.Match[str], sql: str) -> tuple[str, int]:
    """What is shown of a token, and where the next one begins."""
    kind, end = found.lastgroup, found.end()
    if found["comment"]:
        return " ", _after_comment(sql, end) if found["comment"] == "/*" else end
    if found["dollar"]:
        close = sql.find(found["dollar"], end)
        return "?", len(sql) if close < 0 else close + len(found["dollar"])
    if found["escaped"] or found["string"]:
        ambiguous = not (found["escaped_end"] or found["string_end"]) and end < len(sql)
        return (REST if ambiguous else "?"), end
    if found["open"]:
        return REST, len(sql)
    return ("?" if kind == "number" else found[0]), end


def _after_comment(sql: str, at: int) -> int:
    """Where a comment ends that began before `at`: they nest."""
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(sql, at)
        if edge is None:
            return len(sql)
        depth += 1 if edge[0] == "/*" else -1
        at = edge.end()
    return at
