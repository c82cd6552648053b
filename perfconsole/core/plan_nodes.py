"""Nodes of a plan in words: what each does and to what, its conditions, and what of it deserves a look."""

from collections.abc import Iterator, Mapping, Sequence
from math import isnan, nan
from typing import Final

from perfconsole.core import units
from perfconsole.core.plan_steps import Node, Step, Table, loops, number
from perfconsole.core.requests import PlanNode
from perfconsole.core.text import safe

_BIG_ROWS: Final = 10_000.0
"""A table from which on an index pays: below, reading it whole takes about a millisecond."""

_MOST: Final = 0.1
"""A filter that keeps less than a tenth discards most: from there on an index is cheaper by the planner's usual costs."""

_OFF: Final = 10.0
"""An estimate this many times wrong leads to another plan more often than not; and of fewer than `_FEW_ROWS` rows it does not matter."""

_FEW_ROWS: Final = 100.0
_MANY_LOOPS: Final = 10_000.0
_TEXT: Final = 2000
_DETAILS: Final = (
    "Subplan Name", "Function Call", "Table Function Call", "Index Cond", "Recheck Cond", "TID Cond", "Order By", "Filter",
    "One-Time Filter", "Hash Cond", "Merge Cond", "Join Filter", "Sort Key", "Presorted Key", "Group Key", "Cache Key", "Run Condition",
    "Conflict Filter", "Sampling Parameters", "Remote SQL", "Workers Planned", "Workers Launched", "Rows Removed by Filter",
    "Rows Removed by Join Filter", "Rows Removed by Index Recheck", "Heap Fetches", "Sort Method", "Disabled",
)  # fmt: skip
_TARGETS: Final = ("Relation Name", "Function Name", "CTE Name", "Table Function Name", "Tuplestore Name")
_BUFFERS: Final = (
    ("Shared Hit Blocks", "hit"), ("Shared Read Blocks", "read"), ("Local Read Blocks", "local read"), ("Temp Read Blocks", "temp read"),
    ("Temp Written Blocks", "temp written"),
)  # fmt: skip
_JOINS: Final = frozenset({"Nested Loop", "Hash Join", "Merge Join"})
_AGGREGATES: Final = {"Plain": "Aggregate", "Sorted": "GroupAggregate", "Hashed": "HashAggregate", "Mixed": "MixedAggregate"}


def drawn(step: Step, table_rows: Mapping[Table, float]) -> PlanNode:
    """A node as it is shown."""
    node = step.node
    return PlanNode(
        step.depth, safe(name(node), 300), number(node, "Total Cost"), step.own_cost, number(node, "Plan Rows"),
        number(node, "Plan Width"),
        number(node, "Actual Rows"), step.seconds, step.own_s, number(node, "Actual Loops"), tuple(_details(node)),
        tuple(_findings(step, table_rows)),
    )  # fmt: skip


def name(node: Node) -> str:
    """What a node does and to what, as EXPLAIN's text has it: ``Parallel Index Scan using orders_pkey on shop.orders o``."""
    target = _target(node)
    using = f" using {_index(node)}" if node.get("Index Name") else ""
    on = f" on {target}" if target else ""
    return f"{'Parallel ' if node.get('Parallel Aware') else ''}{_kind(node)}{using}{on}"


def _kind(node: Node) -> str:
    kind = str(node["Node Type"])
    join = node.get("Join Type", "Inner")
    if kind in _JOINS and join != "Inner":
        return f"Nested Loop {join} Join" if kind == "Nested Loop" else kind.replace("Join", f"{join} Join")
    if kind == "Aggregate":
        partial = node.get("Partial Mode", "Simple")
        return f"{'' if partial == 'Simple' else partial + ' '}{_AGGREGATES.get(node.get('Strategy', ''), kind)}"
    if kind == "ModifyTable":
        return str(node.get("Operation", kind))
    if kind == "SetOp":
        return f"{'Hash' if node.get('Strategy') == 'Hashed' else ''}SetOp {node.get('Command', '')}".rstrip()
    back = " Backward" if node.get("Scan Direction") == "Backward" else ""
    return str(node.get("Custom Plan Provider") or kind) + back


def _index(node: Node) -> str:
    index = str(node["Index Name"])
    return "the tried index" if index.startswith("<") else index  # hypopg calls its own <number>btree_table_columns


def _target(node: Node) -> str:
    target = next((str(node[key]) for key in _TARGETS if key in node), "")
    if not target:
        return ""
    alias = str(node.get("Alias", target))
    schema = node.get("Schema", "public")
    prefix = "" if schema in {"public", "pg_catalog"} else f"{schema}."
    return f"{prefix}{target}" + (f" {alias}" if alias != target else "")


def _details(node: Node) -> Iterator[tuple[str, str]]:
    for title in _DETAILS:
        value = node.get(title)
        if value is not None and value is not False and value != 0:
            text = ", ".join(map(str, value)) if isinstance(value, list) else "yes" if value is True else str(value)
            yield title, safe(text, _TEXT)
    used = ", ".join(f"{word} {node[key]}" for key, word in _BUFFERS if node.get(key))
    if used:
        yield "Buffers", used


# Judging -----------------------------------------------------------------------------------------------------------------------


def _findings(step: Step, table_rows: Mapping[Table, float]) -> Iterator[str]:
    yield from _filtered(step, table_rows)
    yield from _estimated(step)
    yield from _spilled(step.node)
    yield from _looped(step.node)
    if step.node.get("Actual Loops") == 0:
        yield "never run"


def _filtered(step: Step, table_rows: Mapping[Table, float]) -> Iterator[str]:
    """A table read whole for a few of its rows; and, where it was measured, an index that finds far more than is kept."""
    node = step.node
    if "Filter" not in node or "Relation Name" not in node:
        return
    loops = max(1.0, number(node, "Actual Loops", 1.0))
    removed = number(node, "Rows Removed by Filter") * loops
    kept = number(node, "Actual Rows") * loops
    known = table_rows.get((node.get("Schema", ""), node["Relation Name"]), nan)
    if isnan(removed):
        kept, of = number(node, "Plan Rows") * step.workers, known
    else:
        of = kept + removed
    if not (of >= _BIG_ROWS and kept < of * _MOST):
        return
    said = f"keeps {units.count(kept)} of {units.count(of)} rows"
    if node["Node Type"] == "Seq Scan":
        yield f"filter without an index: {said}"
    elif not isnan(removed):
        yield f"filter after the index: {said}"


def _estimated(step: Step) -> Iterator[str]:
    planned, actual = number(step.node, "Plan Rows"), number(step.node, "Actual Rows")
    loops = number(step.node, "Actual Loops", 0.0)
    if not loops or isnan(actual) or max(planned, actual) * loops < _FEW_ROWS:
        return
    if actual > planned * _OFF:
        yield f"estimate {units.count(actual / max(planned, 1.0))}x too low"
    elif planned > max(actual, 1.0) * _OFF and not step.stopped:
        yield f"estimate {units.count(planned / max(actual, 1.0))}x too high"


def _spilled(node: Node) -> Iterator[str]:
    if node.get("Sort Space Type") == "Disk":
        yield f"sort spilled {units.size(number(node, 'Sort Space Used') * 1024)} to disk"
    if node["Node Type"] == "Hash" and number(node, "Hash Batches", 1.0) > 1:
        yield f"hash spilled to disk in {node['Hash Batches']} batches"
    if number(node, "Disk Usage", 0.0) > 0:
        yield f"spilled {units.size(number(node, 'Disk Usage') * 1024)} to disk"


def _looped(node: Node) -> Iterator[str]:
    if node["Node Type"] != "Nested Loop":
        return
    below: Sequence[Node] = node.get("Plans", ())
    inner = next((one for one in below if one.get("Parent Relationship") == "Inner"), None)
    if inner is None:
        return
    times = number(inner, "Actual Loops", loops(node, inner, below))
    if times >= _MANY_LOOPS:
        yield f"its inner side runs {units.count(times)} times"
