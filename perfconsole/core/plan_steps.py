"""The walk through a plan, from the root down: what of its cost and its time each node has by itself.

Keys are those of EXPLAIN (FORMAT JSON) of PostgreSQL 13 to 18 (src/backend/commands/explain.c).
"""

from collections.abc import Iterator, Mapping, Sequence
from math import isnan, nan
from typing import Any, NamedTuple

Node = Mapping[str, Any]
Table = tuple[str, str]
"""Schema and name."""


class Step(NamedTuple):
    """One node on the walk.

    Attributes:
        own_cost: Its part of the root's cost.
        seconds, own_s: Wall time over all loops, of parallel workers their mean; NaN where nothing was measured.
        workers: That share its work, as planned or launched, itself included.
        stopped: Something above may have stopped it before it was done.
    """

    node: Node
    depth: int
    own_cost: float
    seconds: float
    own_s: float
    workers: float
    stopped: bool


def steps(root: Node) -> Iterator[Step]:
    """The nodes from the root down, each before what is below it.

    A node's cost holds that of all below it, but of what runs once a row (the inner side of a nested loop, a correlated subquery) the cost
    of one run. So the cost is shared out from the root: each node keeps what those below it, times their expected loops, leave over.
    """
    queries = _queries(root)
    waiting = [(root, 0, number(root, "Total Cost", 0.0), 1.0, False)]
    while waiting:
        node, depth, budget, workers, stopped = waiting.pop()
        below: Sequence[Node] = node.get("Plans", ())
        parts = _parts(node, below, budget)
        beneath = workers
        if "Workers Planned" in node:
            beneath = number(node, "Workers Launched", number(node, "Workers Planned", 0.0)) + 1.0
        seconds = _seconds(node, workers)
        spent = [_seconds(one, beneath) for one in below if _common(one) is None] + [queries.get(node.get("CTE Name"), 0.0)]
        own_s = max(0.0, seconds - sum(0.0 if isnan(kid) else kid for kid in spent))
        yield Step(node, depth, max(0.0, budget - sum(parts)), seconds, nan if isnan(seconds) else own_s, workers, stopped)
        for one, part in reversed(list(zip(below, parts, strict=True))):
            waiting.append((one, depth + 1, part, beneath, stopped or _stops(node, one)))


def _queries(root: Node) -> dict[str | None, float]:
    """Seconds of each WITH query: it hangs below one node, and runs within those that scan it."""
    found: dict[str | None, float] = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if (name := _common(node)) is not None:
            found[name] = _seconds(node, 1.0)
        waiting += node.get("Plans", ())
    return found


def _common(node: Node) -> str | None:
    called = str(node.get("Subplan Name", ""))
    return called.removeprefix("CTE ") if called.startswith("CTE ") else None


# Sharing out -----------------------------------------------------------------------------------------------------------------------


def _parts(node: Node, below: Sequence[Node], budget: float) -> list[float]:
    total = number(node, "Total Cost", 0.0)
    scale = budget / total if total > 0 else 0.0
    raw = [max(0.0, number(one, "Total Cost", 0.0)) * scale * loops(node, one, below) for one in below]
    often = [_runs_often(node, one) for one in below]
    once = sum(part for part, many in zip(raw, often, strict=True) if not many)
    # Less than what is below is planned to be paid where a Limit stops it; what is kept between loops (Memoize, Materialize) costs less.
    first = budget / once if once > budget else 1.0
    many = sum(part for part, many in zip(raw, often, strict=True) if many)
    left = max(0.0, budget - once * first)
    rest = left / many if many > left else 1.0
    return [part * (rest if again else first) for part, again in zip(raw, often, strict=True)]


def _runs_often(node: Node, below: Node) -> bool:
    relation = below.get("Parent Relationship")
    return relation == "SubPlan" or (relation == "Inner" and node["Node Type"] == "Nested Loop")


def loops(node: Node, below: Node, beside: Sequence[Node]) -> float:
    """How often the planner expects a node to run for one run of the node above it; `beside` are that node's others."""
    if not _runs_often(node, below):
        return 1.0
    outer = next((one for one in beside if one.get("Parent Relationship") == "Outer"), node)
    return max(1.0, number(node if below.get("Parent Relationship") == "SubPlan" else outer, "Plan Rows", 1.0))


def _seconds(node: Node, workers: float) -> float:
    """Wall time over all loops: those of parallel workers pass at the same time."""
    loops = number(node, "Actual Loops")
    return number(node, "Actual Total Time") * loops / 1e3 / max(1.0, min(workers, loops))


def _stops(node: Node, below: Node) -> bool:
    if node["Node Type"] == "Limit":
        return True
    return node["Node Type"] == "Merge Join" or (node["Node Type"] == "Nested Loop" and below.get("Parent Relationship") == "Inner")


def number(node: Node, key: str, default: float = nan) -> float:
    """A number of a node; the default where it says none."""
    value = node.get(key)
    return float(value) if isinstance(value, int | float) else default
