"""Which files a pattern means, in bounded work: `glob` walks as far as there are directories, and cannot be stopped.

As in a shell: ``*`` and ``?`` match no leading dot, ``**`` any number of directories (down to 64 below the root: whoever may write there
could make them deeper than Python calls); symbolic links to directories are not followed by it.
"""

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Final

_MAGIC: Final = re.compile(r"[*?\[]")
_DEEPEST: Final = 64


class Walk:
    """What may be looked at for all patterns together.

    Attributes:
        left: Entries of directories that may still be looked at; at 0 nothing more is found.
        denied: Directories, and paths, that may not be looked into: nobody can say what is there.
    """

    def __init__(self, entries: int) -> None:
        """Begin with so many."""
        self.left = entries
        self.denied: list[str] = []

    def files(self, pattern: str) -> Iterator[str]:
        """Paths that match a pattern and exist, files or not.

        Args:
            pattern: A path with or without globs; ``~`` is the caller's home.
        """
        absolute = os.path.abspath(os.path.expanduser(pattern))  # noqa: PTH100, PTH111  # text, not a Path for each entry
        parts = [part for part in absolute.split("/") if part]
        yield from self._below("", parts)

    def _below(self, place: str, parts: list[str]) -> Iterator[str]:
        while parts and not _MAGIC.search(parts[0]):
            place, parts = f"{place}/{parts[0]}", parts[1:]
        if not parts:
            if self._is_there(place):
                yield place
            return
        part, rest = parts[0], parts[1:]
        if part == "**":
            yield from self._below(place, rest or ["*"])
        for entry in self._entries(place):
            if part == "**":
                if not entry.name.startswith(".") and entry.path.count("/") <= _DEEPEST and _is_directory(entry):
                    yield from self._below(entry.path, parts)
            elif fnmatchcase(entry.name, part) and (part.startswith(".") or not entry.name.startswith(".")):
                if rest:
                    yield from self._below(entry.path, rest)
                else:
                    yield entry.path

    def _is_there(self, place: str) -> bool:
        try:
            os.lstat(place)
        except PermissionError:
            self.denied.append(place)
        except (OSError, ValueError):
            return False
        else:
            return True
        return False

    def _entries(self, place: str) -> list["os.DirEntry[str]"]:
        entries = []
        try:
            with os.scandir(place or "/") as found:
                for entry in found:
                    if self.left <= 0:
                        break
                    self.left -= 1
                    entries.append(entry)
        except PermissionError:
            self.denied.append(place or "/")
        except (OSError, ValueError):  # or no path at all: it holds a NUL
            return entries
        return sorted(entries, key=lambda entry: entry.name)


def _is_directory(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
