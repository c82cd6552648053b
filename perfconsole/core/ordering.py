"""Rows in an order: by one field, unknown values last, ties by another. Pure."""

from collections.abc import Sequence
from math import isnan
from operator import attrgetter
from typing import Any, TypeVar

R = TypeVar("R", bound=Any)


def ordered(rows: Sequence[R], field: str, *, reverse: bool) -> list[R]:
    """Rows of one kind sorted by a field; see `tables.select`.

    Args:
        rows: Structs that say of themselves which fields are texts, which rise, what is sorted by where `field` is none of theirs, and
            what ties are ordered by (``TEXTS``, ``ASCENDING``, ``FIRST``, ``TIES``; ``DERIVED`` for properties).
        field: What to sort by.
        reverse: The other way round.
    """
    # Stable sorts one after the other, each by a single value that is compared in C: 0.5 ms for 2,000 rows, where a key function
    # written in Python takes 3. NaN has no order, so that rows with one are taken out before each.
    if not rows:
        return []
    kind = rows[0]
    field = field if field in kind.__struct_fields__ or field in kind.DERIVED else kind.FIRST
    tied = _descending(rows, kind.TIES)
    if field in kind.TEXTS:
        known = [row for row in tied if getattr(row, field)]
        unknown = [row for row in tied if not getattr(row, field)]
        return sorted(known, key=lambda row: str(getattr(row, field)).lower(), reverse=reverse) + unknown
    return _descending(tied, field, reverse=(field in kind.ASCENDING) == reverse)


def _descending(rows: Sequence[R], field: str, *, reverse: bool = True) -> list[R]:
    value = attrgetter(field)
    known = [row for row in rows if not isnan(value(row))]
    unknown = [row for row in rows if isnan(value(row))] if len(known) < len(rows) else []
    known.sort(key=value, reverse=reverse)
    return known + unknown
