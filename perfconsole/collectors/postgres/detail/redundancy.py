"""Which indexes another one makes superfluous. Pure: knows no server.

Compared are the catalog's own columns (pg_index), texts of expressions as they are stored: asking for them as SQL would wait for whoever
holds the table.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

_PLACES: Final = re.compile(r":(?:location|stmt_location|stmt_len|list_start|list_end) -?\d+")
"""Where in its statement something stood: two texts of one expression differ there."""


class Index(NamedTuple):
    """An index, as pg_index has it.

    Attributes:
        name: Its whole name.
        columns: Numbers of its columns, those merely included as well; 0 is an expression.
        keys: How many of them it is ordered by.
        classes: Operator classes of the keys; `collations` and `options` (order, nulls) likewise.
        expressions: As stored; empty without. `predicate` likewise.
        unique: It rejects duplicates; `needed` says that a constraint or a replica identity rests on it.
        usable: Valid, and kept up.
        one_null: Of a unique one: two NULLs are duplicates to it (NULLS NOT DISTINCT, from 15 on).
    """

    oid: int
    table: int
    name: bytes | str
    method: str
    columns: tuple[int, ...]
    keys: int
    classes: tuple[int, ...]
    collations: tuple[int, ...]
    options: tuple[int, ...]
    expressions: str
    predicate: str
    unique: bool
    needed: bool
    usable: bool
    one_null: bool = False

    @property
    def shape(self) -> tuple[object, ...]:
        """What two indexes have in common that answer the same questions."""
        return (self.method, self.columns, self.keys, self.classes, self.collations, self.options,
                _stripped(self.expressions), _stripped(self.predicate))  # fmt: skip


class Redundant(NamedTuple):
    """An index, and the one that does its work; `exact` when both are the same."""

    which: Index
    by: Index
    exact: bool


def redundant(indexes: Iterable[Index]) -> Iterator[Redundant]:
    """Those that can go: one of each two that are alike, and those that are the beginning of another.

    What a constraint rests on never can; a unique one only for another unique one that is alike.
    """
    by_table: dict[int, list[Index]] = {}
    for index in indexes:
        if index.usable:
            by_table.setdefault(index.table, []).append(index)
    for group in by_table.values():
        if len(group) > 1:
            yield from _in_table(group)


def _in_table(group: list[Index]) -> Iterator[Redundant]:
    # The one that stays comes first: what is needed, then what is unique, then what is oldest.
    kept: list[Index] = []
    for index in sorted(group, key=lambda index: (-len(index.columns), not index.needed, not index.unique, index.oid)):
        cover = None if index.needed else next((other for other in kept if _covers(other, index)), None)
        if cover is None:
            kept.append(index)
        else:
            yield Redundant(index, cover, cover.shape == index.shape)


def _covers(wide: Index, index: Index) -> bool:
    """Whether `wide` does all that `index` does."""
    if index.unique:
        return wide.unique and wide.one_null == index.one_null and wide.shape == index.shape
    if wide.shape == index.shape:
        return True
    if index.method != "btree" or wide.method != "btree" or index.expressions or wide.expressions:
        return False
    if _stripped(wide.predicate) != _stripped(index.predicate):
        return False
    n = index.keys
    same_start = (
        wide.keys >= n
        and wide.columns[:n] == index.columns[:n]
        and (wide.classes[:n], wide.collations[:n], wide.options[:n]) == (index.classes, index.collations, index.options)
    )
    return same_start and set(index.columns[n:]) <= set(wide.columns)


def _stripped(tree: str) -> str:
    return _PLACES.sub("", tree)
