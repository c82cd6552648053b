"""Rows in an order one can read: steady while values tremble, as a tree, or added up by program or unit. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import fsum, isnan, nan
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from perfconsole.core.tables import Key, ProcessRow, Row
from perfconsole.ui.look import Glyphs

_CLEARLY: Final = 1.25
_CPU_STEP: Final = 0.01
"""A row passes its neighbour when it beats it by a quarter and by one clock tick in a hundred: below that it would come back at once."""


R = TypeVar("R", bound=Row)


class Item(NamedTuple):
    """A line of a table: a row, or the sum of `members` of them; `prefix` draws the tree."""

    row: Any
    prefix: str = ""
    members: int = 1


def settle(previous: Sequence[Key], rows: list[R], field: str) -> list[R]:
    """Keep rows where they were unless one clearly beats its upper neighbour.

    Args:
        previous: The order on the screen, by identity.
        rows: The rows in their true order, biggest first.
        field: The numeric field they are ordered by.

    Returns:
        The same rows. New ones stand where they belong.
    """
    place = {key: i for i, key in enumerate(previous)}
    if not place:
        return rows
    value = attrgetter(field)
    known = sorted((row for row in rows if row.key in place), key=lambda row: place[row.key])
    fresh = {row.key for row in rows} - place.keys()
    out: list[R] = []
    for row in known:
        at = len(out)
        while at and _beats(value(row), value(out[at - 1])):
            at -= 1
        out.insert(at, row)
    for row in rows:
        if row.key in fresh:
            at = next((i for i, other in enumerate(out) if not value(other) >= value(row)), len(out))
            out.insert(at, row)
    return out


def _beats(challenger: float, holder: float) -> bool:
    if isnan(challenger):
        return False
    return isnan(holder) or (challenger > holder * _CLEARLY and challenger - holder >= _CPU_STEP)


def tree(rows: Sequence[ProcessRow], glyphs: Glyphs) -> list[Item]:
    """Parents before children; siblings in the order of `rows`. A process whose parent is not among them is a root."""
    children: dict[int, list[ProcessRow]] = defaultdict(list)
    pids = {row.pid for row in rows}
    for row in rows:
        children[row.ppid if row.ppid in pids and row.ppid != row.pid else 0].append(row)
    out: list[Item] = []
    # An explicit stack: a fork chain may be deeper than Python's own. `seen` ends loops that a changing /proc can show.
    stack = [(row, "", "") for row in reversed(children.pop(0, []))]
    seen: set[int] = set()
    while stack:
        row, prefix, trunk = stack.pop()
        if row.pid in seen:
            continue
        seen.add(row.pid)
        out.append(Item(row, prefix))
        below = children.get(row.pid, [])
        for i, child in enumerate(reversed(below)):
            last = i == 0
            stack.append((child, trunk + (glyphs.last_branch if last else glyphs.branch), trunk + ("  " if last else glyphs.trunk)))
    return out


def grouped(rows: Iterable[ProcessRow], by: str) -> list[Item]:
    """Processes added up by a text field (``name`` or ``unit``): one item a group, with its biggest member's identity."""
    groups: dict[str, list[ProcessRow]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, by) or f"({'no unit' if by == 'unit' else 'no name'})"].append(row)
    return [Item(_sum(name, members), members=len(members)) for name, members in groups.items()]


def _sum(name: str, members: list[ProcessRow]) -> ProcessRow:
    chief = max(members, key=attrgetter("memory_bytes"))
    users = {row.user for row in members}

    def total(field: str) -> float:
        return _added([getattr(row, field) for row in members])

    return msgspec.structs.replace(
        chief,
        name=name,
        command=f"{name}  x{len(members)}",
        user=users.pop() if len(users) == 1 else f"{len(users)} users",
        state="R" if any(row.state == "R" for row in members) else chief.state,
        cpu=total("cpu"),
        cpu_s=total("cpu_s"),
        memory_bytes=total("memory_bytes"),
        pss_bytes=total("pss_bytes"),
        threads=sum(row.threads for row in members),
        read_bytes_s=total("read_bytes_s"),
        write_bytes_s=total("write_bytes_s"),
        fds=total("fds"),
        started=min(row.started for row in members),
    )


def _added(values: list[float]) -> float:
    """The sum of what is known; NaN when nothing is."""
    known = [value for value in values if not isnan(value)]
    return fsum(known) if known else nan
