"""A plan and the tables it touches, as the JSON object ``perfconsole.explain/1`` and as a tree for people. Pure."""

from collections.abc import Iterator
from math import isfinite, isnan
from typing import Any, Final, NamedTuple

from perfconsole.core import units
from perfconsole.core.requests import Plan, PlanNode, Relation, StatementDetail
from perfconsole.core.tables import StatementRow
from perfconsole.outputs.snapshot import heading, rfc3339

SCHEMA: Final = "perfconsole.explain/1"
_KINDS: Final = {"generic": "for any values", "live": "with these values", "analyze": "measured, and rolled back"}


class Explained(NamedTuple):
    """What is known of one statement.

    Attributes:
        at: When, epoch seconds; `host` from where.
        server: The server's name.
    """

    at: float
    host: str
    server: str
    row: StatementRow
    plan: Plan
    detail: StatementDetail | None


def explain(what: Explained) -> dict[str, Any]:
    """The plan for programs.

    Returns:
        Base units; None for what is unknown; 64-bit ids as strings. Costs are the planner's units.
    """
    plan, row = what.plan, what.row
    return {
        **heading(SCHEMA, what.at, what.host),
        "server": what.server,
        "queryid": str(row.queryid),
        "database": row.database,
        "user": row.user,
        "toplevel": row.toplevel,
        "query": what.detail.query if what.detail else None,
        "how": plan.how,
        "hash": plan.hash,
        "parameter_types": list(plan.types),
        "planning_s": _known(plan.planning_s),
        "execution_s": _known(plan.execution_s),
        "nodes": [_node(node) for node in plan.nodes],
        "hypopg": plan.can_try,
        "index": {"effect": plan.index, "ddl": plan.ddl} if plan.index else None,
        "relations": [_relation(relation) for relation in what.detail.relations] if what.detail else [],
        "warnings": [*plan.notes, *(what.detail.notes if what.detail else ())],
    }


def _node(node: PlanNode) -> dict[str, Any]:
    return {
        "depth": node.depth,
        "name": node.name,
        "cost": _known(node.cost),
        "own_cost": _known(node.own_cost),
        "rows": _known(node.rows),
        "width_bytes": _known(node.width),
        "actual_rows": _known(node.actual_rows),
        "actual_s": _known(node.actual_s),
        "own_s": _known(node.own_s),
        "loops": _known(node.loops),
        "details": dict(node.details),
        "findings": list(node.findings),
    }


def _relation(relation: Relation) -> dict[str, Any]:
    return {
        "schema": relation.schema,
        "name": relation.name,
        "size_bytes": _known(relation.size_bytes),
        "index_bytes": _known(relation.index_bytes),
        "rows": _known(relation.rows),
        "dead_rows": _known(relation.dead),
        "seq_scans": _known(relation.seq_scans),
        "index_scans": _known(relation.index_scans),
        "last_vacuum": rfc3339(relation.vacuumed),
        "last_analyze": rfc3339(relation.analyzed),
        "indexes": list(relation.indexes),
    }


def text(what: Explained) -> str:
    """The same for a person: a line a node, its conditions below it."""
    plan, row = what.plan, what.row
    lines = [f"{what.server}  {row.database}  {row.user}  queryid {row.queryid}"]
    if what.detail and what.detail.query:
        lines += ["", *(f"  {line}" for line in what.detail.query.splitlines())]
    typed = ", ".join(f"${i + 1} {kind}" for i, kind in enumerate(plan.types))
    lines += ["", f"plan {plan.hash} {_KINDS.get(plan.how, plan.how)}{_times(plan)}" + (f"  ({typed})" if typed else "")]
    lines += [f"note: {note}" for note in plan.notes]
    lines += ["", *_tree(plan)]
    if plan.index:
        lines += ["", f"tried index: {plan.index}", f"  {plan.ddl}"]
    if what.detail:
        lines += ["", *_tables(what.detail, what.at)]
    return "\n".join(lines).rstrip() + "\n"


def _times(plan: Plan) -> str:
    parts = [f"{word} in {units.latency(value)}" for word, value in (("planned", plan.planning_s), ("run", plan.execution_s))
             if not isnan(value)]  # fmt: skip
    return "".join(f", {part}" for part in parts)


def _tree(plan: Plan) -> Iterator[str]:
    measured = any(not isnan(node.actual_s) for node in plan.nodes)
    whole = (plan.nodes[0].actual_s if measured else plan.nodes[0].cost) if plan.nodes else 0.0
    yield (
        f"{'TIME' if measured else 'COST':>7} {'OWN':>5} {'ROWS':>6} {'ACTUAL':>6}  NODE"
        if measured
        else f"{'COST':>7} {'OWN':>5} {'ROWS':>6}  NODE"
    )
    for node in plan.nodes:
        total, own = (units.latency(node.actual_s), node.own_s) if measured else (units.count(node.cost), node.own_cost)
        share = units.percent(own / whole) if whole else units.UNKNOWN
        actual = f" {units.count(node.actual_rows):>6}" if measured else ""
        found = f"  <- {', '.join(node.findings)}" if node.findings else ""
        indent = "  " * node.depth
        yield f"{total:>7} {share:>5} {units.count(node.rows):>6}{actual}  {indent}{node.name}{found}"
        for title, said in node.details:
            yield f"{'':>{27 if measured else 20}}  {indent}  {title}: {said}"


def _tables(detail: StatementDetail, at: float) -> Iterator[str]:
    if detail.relations:
        yield f"{'SIZE':>6} {'INDEX':>6} {'ROWS':>6} {'DEAD':>6} {'VACUUM':>7} {'ANALYZE':>7}  TABLE"
    for table in detail.relations:
        vacuum, analyze = units.duration(at - table.vacuumed), units.duration(at - table.analyzed)
        sizes = f"{units.size(table.size_bytes):>6} {units.size(table.index_bytes):>6}"
        rows = f"{units.count(table.rows):>6} {units.count(table.dead):>6}"
        yield f"{sizes} {rows} {vacuum:>7} {analyze:>7}  {table.schema}.{table.name}"
        for index in table.indexes:
            yield f"{'':>45}{index}"
    yield from (f"note: {note}" for note in detail.notes)


def _known(value: float) -> float | None:
    return value if isfinite(value) else None
