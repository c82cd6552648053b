"""How a fault is put: the value that was found, and the nearest of what is accepted."""

from collections.abc import Sequence
from typing import Any

from perfconsole.core.text import safe


def suggestion(word: str, words: Sequence[str]) -> str:
    """``did you mean "x"?`` for the nearest of some words; empty when none is near."""
    import difflib  # noqa: PLC0415  6 ms that only a mistake should cost

    near = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return f'did you mean "{near[0]}"?' if near else ""


def shown(value: Any) -> str:
    """A found value, printable and short."""
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else _literal(value)
    return safe(text, 60)


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "[" + ", ".join(map(shown, value[:6])) + (", ...]" if len(value) > 6 else "]")
    return f'"{safe(value)}"' if isinstance(value, str) else str(value)
