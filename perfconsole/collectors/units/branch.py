"""The directories of one cgroup hierarchy, followed cheaply: one ``stat`` each, and a listing only of those whose subdirectories changed.

The kernel keeps in a cgroup directory's link count how many subdirectories it has (kernfs: two and one each), and a group that was made
anew under the same name has another inode. So of 300 groups at rest nothing is listed: 0.9 ms, where listing them all takes 15.
"""

import os
from collections.abc import Iterator
from errno import EACCES, EPERM
from typing import Final, NamedTuple

from perfconsole.collectors.units.hierarchies import Hierarchy
from perfconsole.collectors.units.names import ROOT, Place, is_followed, place

MOST: Final = 3000
"""Directories that are looked at: ten times what promises are made for, and a bound on what a runaway may cost."""

_DEEPEST: Final = 16
_NO_CHILDREN: Final = 2
"""Links of a directory without subdirectories: its own name and its ``.``."""

_NEVER: Final = -1


class Known(NamedTuple):
    """A directory as it was last seen.

    Attributes:
        inode: Which group it is.
        links: Its link count.
        below: Its subdirectories that are followed.
    """

    inode: int
    links: int
    below: tuple[Place, ...]


def _same(before: Known | None, now: Known) -> Known:
    """The same object while nothing changed."""
    return before if before == now and before is not None else now


class Branch:
    """One hierarchy.

    Args:
        hierarchy: Which.
        places: What groups are by their path, shared with other hierarchies: v1 has six of each.

    Attributes:
        known: Its directories by path, as of the last walk.
        changed: Whether the last walk found others than the one before.
        cut: Whether there were more than are looked at.
        denied: Directories that may not be listed.
    """

    def __init__(self, hierarchy: Hierarchy, places: dict[str, Place]) -> None:
        self._top = hierarchy.top
        self._places = places
        self._counts = True
        self.known: dict[str, Known] = {}
        self.changed = False
        self.cut = False
        self.denied: set[str] = set()

    def walk(self, *, whole: bool = True) -> Iterator[None]:
        """Look again, a directory a step; unless `whole`, at those alone that have others below, which show who came and went."""
        before, self.known = self.known, {}
        self.changed, self.cut = False, False
        self.denied.clear()
        listed: set[str] = set()
        todo: list[tuple[Place, Place]] = [(ROOT, ROOT)]
        while todo:
            here, above = todo.pop()
            found = before.get(here.path)
            if whole or found is None or found.below or not self._counts:
                found = self._look(here, found, listed)
            if found is not None:
                self.known[here.path] = found
                todo += [(below, here) for below in reversed(found.below)]
            elif above.path in self.known and above.path not in listed:
                # Gone, and yet the one above has as many: another came in its place.
                old = self.known[above.path]
                self.known[above.path] = new = self._listed(above, old, listed) or old
                todo += [(below, above) for below in new.below if below not in old.below]
            room = max(0, MOST - len(self.known))
            self.cut = self.cut or len(todo) > room
            del todo[: max(0, len(todo) - room)]
            yield
        self.changed = len(self.known) != len(before) or any(before.get(path) is not found for path, found in self.known.items())

    def _look(self, here: Place, before: Known | None, listed: set[str]) -> Known | None:
        """A directory as it is now: the same object while nothing changed; None when it is gone."""
        try:
            status = os.stat(self._top + here.path)  # noqa: PTH116  the house reads the kernel's trees with os
        except OSError:
            return None
        same = before is not None and before.inode == status.st_ino and before.links == status.st_nlink
        if same and self._counts:
            return before
        if self._counts and status.st_nlink == _NO_CHILDREN:
            return Known(status.st_ino, status.st_nlink, ())
        return self._listed(here, before, listed, status)

    def _listed(self, here: Place, before: Known | None, listed: set[str], status: os.stat_result | None = None) -> Known | None:
        listed.add(here.path)
        try:
            status = status or os.stat(self._top + here.path)  # noqa: PTH116  likewise
            names = self._list(here.path)
            again = os.stat(self._top + here.path)  # noqa: PTH116  likewise
        except OSError as error:
            if status is None or not os.access(self._top + here.path, os.F_OK):
                return None
            if error.errno in (EACCES, EPERM):
                self.denied.add(here.path)
            # Go on with those that were known, and list it next time, whatever its links say.
            below = before.below if before and before.inode == status.st_ino else ()
            return _same(before, Known(status.st_ino, _NEVER, below))
        if again.st_nlink == status.st_nlink != _NO_CHILDREN + len(names):
            self._counts = False  # a filesystem of another kind (gVisor, a copy in a test): list every time
        below = () if here.path.count("/") >= _DEEPEST else tuple(self._followed(here, names))
        return _same(before, Known(status.st_ino, status.st_nlink, below))

    def _list(self, path: str) -> list[str]:
        with os.scandir(self._top + path) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))

    def _followed(self, here: Place, names: list[str]) -> Iterator[Place]:
        for name in names:
            path = f"{here.path}/{name}"
            below = self._places.get(path) or place(path)
            if is_followed(here, below):
                yield self._places.setdefault(path, below)
