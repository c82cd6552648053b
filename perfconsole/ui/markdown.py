"""What is copied, as Markdown: an issue or a chat shows it as it was meant, whatever a server answered. Pure."""

import re
from collections.abc import Iterable, Sequence
from math import isnan
from time import gmtime, strftime
from typing import Final

_TICKS: Final = re.compile("`+")
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<|~])")


def plain(text: str) -> str:
    """Foreign text as it is: nothing in it means anything to Markdown."""
    return _SPECIAL.sub(r"\\\1", text)


def fenced(text: str) -> str:
    """Foreign text as a block, fenced by more backticks than it has in a row."""
    fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(text)), default=0))
    return f"{fence}\n{text}\n{fence}"


def table_of(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are foreign text."""
    lines = [head, ["---"] * len(head), *([plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def moment(at: float) -> str:
    """A time for people elsewhere: date, time and zone."""
    return "at an unknown time" if isnan(at) else strftime("%Y-%m-%d %H:%M:%S UTC", gmtime(at))
