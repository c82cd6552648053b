"""SQL to read: laid out and coloured by what its words are; long texts as they are. Pure, and slow: to be called in a thread.

sqlparse takes 0.25 s for 10 kB and gives up at 10,000 tokens; it recurses with the nesting of a text, which anybody who may run a statement
chooses. So what is longer than `_MOST` is not given to it, and whatever it makes of the rest that is not a text leaves the text as it was.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, Final, overload

from rich.cells import cell_len

from perfconsole.core.text import safe
from perfconsole.ui.line import Parts

Run = tuple[str, str]
"""Text and its role."""

_MOST: Final = 10_000
_LINE: Final = 60
"""Columns after which a list goes on in the next line: one name a line is a screen of names."""

_PLAIN: Final = "foreground"
_ROLES: Final = (
    ("Keyword", "accent"), ("Comment", "dim"), ("Literal.String", "ok_bar"), ("Literal.Number", "ok_bar"),
    ("Name.Placeholder", "warning_bar"),
)  # fmt: skip
"""Kinds of tokens and their roles; the first that a kind begins with."""


class Uncut(Sequence[Parts]):
    """A text too long to be laid out, cut into lines only where it is looked at: a megabyte would be 13,000 of them, made for nothing.

    Args:
        text: Lines of safe text.
        width: Cells.
    """

    def __init__(self, text: str, width: int) -> None:
        self._lines = text.split("\n")
        # A character takes two cells at most: half as many always fit, and need not be measured one by one.
        self._step = max(1, width if text.isascii() else width // 2)
        self._starts = [0, *accumulate(max(1, -(-len(line) // self._step)) for line in self._lines)]

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, at: int) -> Parts: ...
    @overload
    def __getitem__(self, at: slice) -> list[Parts]: ...
    def __getitem__(self, at: int | slice) -> Parts | list[Parts]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        if not 0 <= at < len(self):
            raise IndexError(at)
        line = bisect_right(self._starts, at) - 1
        start = (at - self._starts[line]) * self._step
        return [(self._lines[line][start : start + self._step], 0, _PLAIN)]


def long(text: str) -> bool:
    """Whether a text is too long to be laid out."""
    return len(text) > _MOST


def laid_out(text: str) -> list[list[Run]]:
    """A statement as lines of coloured runs, safe; one that is too long or too odd to be understood as its own lines, in one colour.

    Args:
        text: Lines of safe text.
    """
    if long(text):
        return plain(text)
    import sqlparse  # noqa: PLC0415  30 ms, and only when a statement is opened

    try:
        pretty = sqlparse.format(text, reindent=True, indent_width=2, wrap_after=_LINE)
        return list(_lines(_runs(pretty))) or plain(text)
    except Exception:  # noqa: BLE001  a parser of foreign texts: SQLParseError, RecursionError, whatever it has not thought of
        return plain(text)


def plain(text: str) -> list[list[Run]]:
    """A text as its own lines, in one colour."""
    return [[(line, _PLAIN)] for line in text.split("\n")]


def _runs(pretty: str) -> Iterator[Run]:
    from sqlparse import lexer  # noqa: PLC0415  as above

    kinds: dict[Any, str] = {}
    for kind, text in lexer.tokenize(pretty):  # type: ignore[no-untyped-call]  # it has no types
        role = kinds.get(kind)
        if role is None:
            name = str(kind).removeprefix("Token.")
            role = kinds[kind] = next((role for start, role in _ROLES if name.startswith(start)), _PLAIN)
        yield text, role


def _lines(runs: Iterator[Run]) -> Iterator[list[Run]]:
    """Runs line by line: a comment or a string may go over several. Neighbours of one role are joined, and lines without words left out."""
    line: list[Run] = []
    for text, role in runs:
        for i, part in enumerate(text.split("\n")):
            if i:
                if any(said.strip() for said, _ in line):
                    yield line
                line = []
            if line and line[-1][1] == role:
                line[-1] = (line[-1][0] + part, role)
            elif part:
                line.append((part, role))
    if any(said.strip() for said, _ in line):
        yield line


def wrapped(lines: Sequence[Sequence[Run]], width: int) -> list[list[Run]]:
    """Lines cut to a width; what goes on is indented by two."""
    width = max(4, width)
    out: list[list[Run]] = []
    for line in lines:
        out += _cut(line, width)
    return out


def _cut(line: Sequence[Run], width: int) -> Iterator[list[Run]]:
    row: list[Run] = []
    used = 0
    for text, role in line:
        shown = text if text.isprintable() else safe(text, len(text))
        step = max(1, width - 2 if shown.isascii() else (width - 2) // 2)
        for start in range(0, len(shown), step):
            for part in _parts(shown[start : start + step], width - used):
                if used + cell_len(part) > width:
                    yield row
                    row, used = [("  ", _PLAIN)], 2
                row.append((part, role))
                used += cell_len(part)
    yield row


def _parts(text: str, left: int) -> Iterator[str]:
    """A text in one piece where it fits; else so that what is left of a line is used, by words where there are any."""
    if len(text) <= left and cell_len(text) <= left:
        yield text
        return
    words = text.split(" ")
    for i, word in enumerate(words):
        yield word if i == len(words) - 1 else f"{word} "
