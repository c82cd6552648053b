"""Untrusted text. Whatever comes from outside (names, SQL, bodies, labels, log lines) passes `safe` at the collector boundary."""

import unicodedata
from typing import Final

LIMIT: Final = 4096
"""Characters kept of one text: more than any screen shows, far less than a hostile argv can carry (128 KiB a string)."""

_MARKS: Final = 2
"""Combining marks kept per base character: enough for every living script, not enough to paint over the line above."""

_MARK_CATEGORIES: Final = frozenset({"Mn", "Me"})


def safe(text: str | bytes, limit: int = LIMIT) -> str:
    """Make foreign text printable: one line, no control or format characters, no lone surrogates, bounded.

    C0 controls become their Unicode control pictures (so that an escape sequence is seen, not obeyed), line breaks and tabs become
    spaces, and C1, bidirectional and other invisible characters become U+FFFD. The result always encodes to UTF-8.

    Args:
        text: Any string, also one made with ``surrogateescape``; bytes are decoded as UTF-8.
        limit: The number of characters kept; a cut is marked with an ellipsis.

    Returns:
        Text for which ``str.isprintable`` holds.
    """
    if isinstance(text, bytes):
        text = text[: limit * 4 + 4].decode("utf-8", "replace")
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii():
        return text if text.isprintable() else "".join(map(_printable, text))
    shown = text if text.isprintable() else "".join(map(_printable, text))
    return _bounded_marks(shown)


def _printable(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    if char in "\t\n\r\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029" or unicodedata.category(char) == "Zs":
        return " "
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def _bounded_marks(text: str) -> str:
    """Drop combining marks beyond `_MARKS` in a row, and enclosing ones: terminals disagree about the width of such piles."""
    # By category, not by combining class: U+034F and the variation selectors are marks of class 0, and as stackable as any.
    if _MARK_CATEGORIES.isdisjoint(map(unicodedata.category, text)):
        return text
    kept: list[str] = []
    run = 0
    for char in text:
        category = unicodedata.category(char)
        if category == "Me":
            continue
        run = run + 1 if category == "Mn" else 0
        if run <= _MARKS:
            kept.append(char)
    return "".join(kept)
