"""What EXPLAIN (FORMAT JSON) says: a whole plan for a tree, the tables in it, and its shape."""

from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from typing import Final, NamedTuple

from msgspec.structs import replace

from perfconsole.core.plan_nodes import drawn
from perfconsole.core.plan_steps import Node, Table, number, steps
from perfconsole.core.requests import PlanNode

_SHAPE: Final = (
    "Node Type", "Parent Relationship", "Join Type", "Strategy", "Partial Mode", "Schema", "Relation Name", "Index Name", "Scan Direction",
    "Operation", "Function Name", "CTE Name",
)  # fmt: skip


class Picture(NamedTuple):
    """A whole plan; see `core.requests.Plan`."""

    nodes: list[PlanNode]
    hash: str
    planning_s: float
    execution_s: float


def picture(document: Sequence[Node], table_rows: Mapping[Table, float] | None = None) -> Picture:
    """The plan that a document tells.

    Args:
        document: What EXPLAIN (FORMAT JSON) returned, decoded; of a statement that rules rewrite to several, the first.
        table_rows: Rows of the tables in it, where they are known: a filter is judged by how much it discards.
    """
    top = document[0]
    walked = list(steps(top["Plan"]))
    nodes = [drawn(step, table_rows or {}) for step in walked]
    if len(nodes) > 1:
        at = max(range(len(walked)), key=lambda i: (0.0 if isnan(walked[i].own_s) else walked[i].own_s, walked[i].own_cost))
        nodes[at] = replace(nodes[at], findings=("costliest", *nodes[at].findings))
    return Picture(nodes, shape(top["Plan"]), number(top, "Planning Time") / 1e3, number(top, "Execution Time") / 1e3)


def tables(document: Sequence[Node]) -> list[Table]:
    """Tables that a plan touches, in the order of the walk; schemas are known where it was asked for VERBOSE."""
    found = (step.node for top in document if "Plan" in top for step in steps(top["Plan"]))
    return list(dict.fromkeys((node.get("Schema", ""), node["Relation Name"]) for node in found if "Relation Name" in node))


def kinds(document: Sequence[Node]) -> frozenset[str]:
    """Node types in a plan."""
    return frozenset(step.node["Node Type"] for top in document if "Plan" in top for step in steps(top["Plan"]))


def texts(document: Sequence[Node]) -> Iterator[str]:
    """Every text in a plan: names, conditions, output."""
    for top in document:
        for step in steps(top["Plan"]):
            for value in step.node.values():
                if isinstance(value, str):
                    yield value
                elif isinstance(value, list):
                    yield from (one for one in value if isinstance(one, str))


def shape(root: Node) -> str:
    """A hash of what a plan does and to what; numbers, conditions and output do not count."""
    from hashlib import blake2b  # noqa: PLC0415  only where there is a plan

    lines = (f"{step.depth}|{'|'.join(_named(str(step.node.get(part, ''))) for part in _SHAPE)}" for step in steps(root))
    return blake2b("\n".join(lines).encode("utf-8", "replace"), digest_size=6).hexdigest()


def _named(said: str) -> str:
    """The name that hypopg gives a tried index begins with a number that is another each time."""
    return said.partition(">")[2] if said.startswith("<") else said
