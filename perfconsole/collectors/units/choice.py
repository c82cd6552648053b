"""Which units are shown, where not all are: those of the highest use, whatever is in trouble, and what somebody looks for. Pure."""

from collections.abc import Callable, Iterable, Sequence
from math import isnan, nan
from typing import Final, NamedTuple

from perfconsole.collectors.units.node import Node
from perfconsole.core.tables import Key, View
from perfconsole.core.unit_rows import REST, UnitRow

ROWS: Final = 50
"""Rows of units, those above them included; the sum of the others comes on top, and so does trouble beyond."""

LIVE: Final = "live"
"""A screen that shows units names this column: a recorder, who watches the same table, does not, and is served at leisure."""

NEAR: Final = 0.9
"""Of a limit: a unit beyond is always shown."""

_TABLE: Final = "unit"
_MOST_URGENT: Final = 200
_FINE: Final = 3
"""Decimals of a core by which use is ranked: below a thousandth, memory decides."""


class Wish(NamedTuple):
    """What somebody looks at.

    Attributes:
        live: Whether a screen does.
        keys: Rows on a screen.
        words: Of each filter, the words that have all to be in a row's texts.
        by_memory: Whether somebody sorts by memory.
    """

    live: bool = False
    keys: frozenset[Key] = frozenset()
    words: tuple[tuple[str, ...], ...] = ()
    by_memory: bool = False


def wish(views: Sequence[View]) -> Wish | None:
    """What of the units is looked at; None when nobody does."""
    mine = [view for view in views if view.table == _TABLE]
    if not mine:
        return None
    words = (tuple(view.match.lower().split()) for view in mine if view.match)
    return Wish(
        any(LIVE in view.columns for view in mine),
        frozenset(key for view in mine for key in view.keys),
        tuple(dict.fromkeys(words)),
        any(view.sort.startswith("memory") for view in mine),
    )


def choose(nodes: Sequence[Node], wanted: Wish, is_urgent: Callable[[Node], bool]) -> list[Node]:
    """The nodes to show, in the order of the tree.

    Args:
        nodes: All that are known, each after the one above it.
        wanted: What is looked at.
        is_urgent: Whether one has to be shown whatever it uses.
    """
    all_nodes = [node for node in nodes if node.chosen]
    leaves = [node for node in all_nodes if not node.below]
    urgent = [node for node in all_nodes if is_urgent(node)]
    shown: set[Node] = set()
    for node in urgent[:_MOST_URGENT]:
        shown.update(_missing(node, shown))
    orders = [sorted(leaves, key=_use, reverse=True)]
    if wanted.by_memory:
        orders.append(sorted(leaves, key=_memory, reverse=True))
    if wanted.words:
        orders.append([node for node in all_nodes if any(_matches(node, words) for words in wanted.words)])
    for order in orders:
        room = max(ROWS - len(shown), ROWS // 2)
        for node in order:
            new = _missing(node, shown)
            if len(new) > room:
                break
            shown.update(new)
            room -= len(new)
    if wanted.keys:
        for node in all_nodes:
            if node not in shown and node.key in wanted.keys:
                shown.update(_missing(node, shown))
    return [node for node in nodes if node in shown]


def _missing(node: Node | None, shown: set[Node]) -> list[Node]:
    """A node and those above it that are not yet shown; the machine's own root never is."""
    new = []
    while node is not None and node not in shown and (node.depth or node.chosen):
        new.append(node)
        node = node.above
    return new


def _use(node: Node) -> tuple[float, float]:
    cpu = node.use.cpu
    return (-1.0 if isnan(cpu) else round(cpu, _FINE), _memory(node))


def _memory(node: Node) -> float:
    return -1.0 if isnan(node.memory_bytes) else node.memory_bytes


def _matches(node: Node, words: tuple[str, ...]) -> bool:
    whole = f"{node.place.name} {node.place.kind} {node.place.shown_path}".lower()
    return all(word in whole or (word.startswith(("name:", "kind:", "path:")) and word[5:] in whole) for word in words)


def rest(nodes: Iterable[Node], shown: Sequence[Node]) -> UnitRow | None:
    """The sum of those without a row; None when all have one. Only of leaves: what is above them contains them."""
    seen = set(shown)
    others = [node for node in nodes if node.chosen and not node.below and node not in seen and node.depth]
    if not others:
        return None
    return UnitRow(
        "",
        REST,
        "rest",
        cpu=_sum(node.use.cpu for node in others),
        memory_bytes=_sum(node.memory_bytes for node in others),
        oom_kills=_sum(node.oom for node in others),
    )


def _sum(values: Iterable[float]) -> float:
    known = [value for value in values if not isnan(value)]
    return sum(known) if known else nan
