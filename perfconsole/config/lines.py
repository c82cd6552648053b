"""On which line of a TOML text each key stands: the parser gives values without places, and an error must name its line.

A scanner, not a second parser: it trusts that the text is TOML, and where it is not it keeps what it found so far.
"""

from bisect import bisect_right
from contextlib import suppress
from typing import Final, NamedTuple

Path = tuple[str | int, ...]
"""A key path; a number counts the tables of an array, or the items of a list."""

_MOST_PARTS: Final = 64
"""Of one dotted key: the TOML parser takes the square of their number, 30 s for 60 KB of ``a.a.a...``."""


class Twice(NamedTuple):
    """A key or table that is there two times."""

    path: Path
    first: int
    line: int


class Lines:
    """The lines of a TOML text by key path.

    Attributes:
        twice: Keys and tables that are written more than once, which TOML forbids.
        endless: The line of a key with more parts than any has, which the parser had better not see; 0 when there is none.
    """

    def __init__(self, text: str) -> None:
        self.twice: list[Twice] = []
        self.endless = 0
        self._text = text + "\n"
        self._breaks = [position for position, char in enumerate(text) if char == "\n"]
        self._at = 0
        self._found: dict[Path, int] = {}
        self._set: set[Path] = set()
        self._arrays: dict[Path, int] = {}
        with suppress(IndexError, RecursionError):  # not TOML after all, or nested beyond reason: what precedes is still worth having
            self._document()

    def of(self, path: Path) -> int:
        """The line (from 1) of a key, or of the nearest table around it that has one; 0 when there is none."""
        for end in range(len(path), 0, -1):
            if path[:end] in self._found:
                return self._found[path[:end]]
        return 0

    def _document(self) -> None:
        prefix: Path = ()
        self._skip()
        while self._at < len(self._text) - 1:
            prefix = self._header() if self._text[self._at] == "[" else self._assignment(prefix)
            self._skip()

    def _header(self) -> Path:
        """``[a.b]`` or ``[[a.b]]``: the prefix of what follows."""
        array = self._text.startswith("[[", self._at)
        start = self._at
        self._at += 2 if array else 1
        written = self._key()
        self._at += 2 if array else 1
        path = self._placed(written)
        if array:
            self._arrays[written] = self._arrays.get(written, -1) + 1
            path = (*path, self._arrays[written])
            self._found.setdefault(path[:-1], self._line(start))
            self._forget(written)
        self._record(path, start)
        return path

    def _placed(self, written: Path) -> Path:
        """A written key path with the numbers of the arrays of tables that it passes through."""
        path: Path = ()
        for end, part in enumerate(written, 1):
            path = (*path, part)
            if end < len(written) and written[:end] in self._arrays:
                path = (*path, self._arrays[written[:end]])
        return path

    def _forget(self, written: Path) -> None:
        """A new table of an array begins the arrays inside it anew."""
        for inner in [path for path in self._arrays if len(path) > len(written) and path[: len(written)] == written]:
            del self._arrays[inner]

    def _assignment(self, prefix: Path) -> Path:
        """``a.b = value``: gives the prefix back, so that it reads like a header to the caller."""
        start = self._at
        written = self._key()
        for end in range(1, len(written)):
            self._found.setdefault(prefix + written[:end], self._line(start))
        path = prefix + written
        self._record(path, start)
        if self._text[self._at] != "=":
            raise IndexError
        self._at += 1
        self._blanks()
        self._value(path)
        return prefix

    def _record(self, path: Path, start: int) -> None:
        line = self._line(start)
        if path in self._set:
            self.twice.append(Twice(path, self._found[path], line))
        self._set.add(path)
        self._found.setdefault(path, line)

    def _line(self, position: int) -> int:
        return bisect_right(self._breaks, position - 1) + 1

    def _key(self) -> Path:
        """A dotted key, up to what follows it."""
        parts: list[str] = []
        while True:
            self._blanks()
            char = self._text[self._at]
            start = self._at
            if char in "\"'":
                self._string()
                parts.append(_unquoted(self._text[start : self._at]))
            else:
                while self._text[self._at] not in " \t.=]\n#,{}[":
                    self._at += 1
                if self._at == start:
                    raise IndexError
                parts.append(self._text[start : self._at])
            self._blanks()
            if self._text[self._at] != ".":
                return tuple(parts)
            if len(parts) >= _MOST_PARTS:
                self.endless = self._line(start)
                raise IndexError
            self._at += 1

    def _value(self, path: Path) -> None:
        char = self._text[self._at]
        if char in "\"'":
            self._string()
        elif char == "[":
            self._list(path)
        elif char == "{":
            self._inline(path)
        else:
            start = self._at
            while self._text[self._at] not in ",]}#\n":
                self._at += 1
            if self._at == start:
                raise IndexError

    def _list(self, path: Path) -> None:
        self._at += 1
        number = 0
        self._skip()
        while self._text[self._at] != "]":
            self._found.setdefault((*path, number), self._line(self._at))
            self._value((*path, number))
            number += 1
            self._separator()
        self._at += 1

    def _inline(self, path: Path) -> None:
        self._at += 1
        self._skip()
        while self._text[self._at] != "}":
            self._assignment(path)
            self._separator()
        self._at += 1

    def _separator(self) -> None:
        self._skip()
        if self._text[self._at] == ",":
            self._at += 1
            self._skip()

    def _string(self) -> None:
        """Past a string of any of the four kinds."""
        quote = self._text[self._at]
        mark = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        self._at += len(mark)
        while not self._text.startswith(mark, self._at):
            if len(mark) == 1 and self._text[self._at] == "\n":
                raise IndexError
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
            if self._at >= len(self._text):
                raise IndexError
        self._at += len(mark)
        while len(mark) == 3 and self._text[self._at] == quote:  # up to two quotes may stand before the three that end it
            self._at += 1

    def _blanks(self) -> None:
        while self._text[self._at] in " \t\r":
            self._at += 1

    def _skip(self) -> None:
        """Past blanks, line ends and comments, but not past the end."""
        while self._at < len(self._text) - 1 and self._text[self._at] in " \t\r\n#":
            if self._text[self._at] == "#":
                self._at = self._text.index("\n", self._at)
            else:
                self._at += 1


def _unquoted(written: str) -> str:
    """The key that a quoted part means."""
    if written[0] == "'" or "\\" not in written:
        return written[1:-1]
    import tomllib  # noqa: PLC0415  only for a key with escapes in it

    try:
        return str(tomllib.loads("key = " + written)["key"])
    except tomllib.TOMLDecodeError as error:
        raise IndexError from error
