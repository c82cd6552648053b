"""Plans as nodes: of documents that servers 13 to 18 gave (`real_plans.json`), and of any that could be."""

import json
import sys
import time
from math import isclose, isnan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfconsole.core import plans
from perfconsole.core.plan_nodes import name
from perfconsole.core.plan_steps import steps

REAL = json.loads((Path(__file__).parent / "real_plans.json").read_text())
ROWS = {("public", "big"): 30_000.0, ("public", "small"): 200.0}
VERSIONS = sorted(REAL)


def drawn(version, which):
    return plans.picture(REAL[version][which], ROWS).nodes


def found(version, which):
    return {node.name: node.findings for node in drawn(version, which) if node.findings}


# Real ones -------------------------------------------------------------------------------------------------------------------------


def test_all_versions_are_there():
    assert VERSIONS == ["13", "14", "15", "16", "17", "18"]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_deserves_a_look_is_said_of_every_version(version):
    assert found(version, "filter") == {"Seq Scan on big": ("filter without an index: keeps 30 of 30k rows",)}
    assert found(version, "spill") == {"Sort": ("costliest", "sort spilled 1.5M to disk")}
    assert any("hash spilled to disk in" in said for node in drawn(version, "hash") for said in node.findings)
    assert found(version, "loops")["Nested Loop"][-1] == "its inner side runs 30k times"
    assert "estimate 16x too low" in found(version, "parallel")["Parallel Seq Scan on big"]
    (said,) = found(version, "nested").values()
    assert said == ("costliest", "filter after the index: keeps 200 of 180k rows")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_limit_that_stops_a_scan_is_no_wrong_estimate(version):
    assert [node.name for node in drawn(version, "limit")] == ["Limit", "Index Scan using big_pkey on big"]
    assert all(not said.startswith("estimate") for node in drawn(version, "limit") for said in node.findings)


@pytest.mark.parametrize("version", VERSIONS)
def test_nodes_are_called_what_explain_calls_them(version):
    assert [(node.depth, node.name) for node in drawn(version, "write")] == [
        (0, "Aggregate"), (1, "Delete on big"), (2, "Index Scan using big_pkey on big"), (1, "CTE Scan on gone"),
    ]  # fmt: skip
    names = [node.name for node in drawn(version, "parallel")]
    assert names[:2] == ["GroupAggregate", "Gather Merge"]
    assert "Parallel Seq Scan on big" in names


@pytest.mark.parametrize("version", VERSIONS)
def test_a_with_query_is_not_paid_by_who_scans_it(version):
    by_name = {node.name: node for node in drawn(version, "write")}
    assert by_name["CTE Scan on gone"].own_s < by_name["Delete on big"].actual_s
    assert "costliest" not in by_name["CTE Scan on gone"].findings


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("which", sorted(REAL["13"]))
def test_own_costs_and_times_of_real_plans_add_up(version, which):
    nodes = drawn(version, which)
    assert isclose(sum(node.own_cost for node in nodes), nodes[0].cost, rel_tol=1e-9)
    # Times of nodes are rounded to a microsecond, times 30,000 loops.
    assert isclose(sum(node.own_s for node in nodes), nodes[0].actual_s, rel_tol=0.35)


def test_conditions_and_buffers_are_told():
    (node,) = drawn("15", "filter")
    details = dict(node.details)
    assert details["Filter"] == "(big.kind = 7)"
    assert details["Rows Removed by Filter"] == "29970"
    assert details["Buffers"].startswith("hit ")


def test_tables_and_kinds_of_a_plan():
    assert plans.tables(REAL["16"]["nested"]) == [("public", "small"), ("public", "big")]
    assert {"ModifyTable", "Index Scan"} <= plans.kinds(REAL["16"]["write"])
    assert "(big.kind = 7)" in set(plans.texts(REAL["16"]["filter"]))


# The shape -------------------------------------------------------------------------------------------------------------------------


def edited(change):
    document = json.loads(json.dumps(REAL["17"]["limit"]))
    change(document[0]["Plan"]["Plans"][0])
    return plans.picture(document).hash


def test_the_hash_is_of_the_shape_alone():
    same = edited(lambda node: None)
    assert edited(lambda node: node.update({"Total Cost": 1.0, "Actual Rows": 9, "Filter": "(x = 1)", "Alias": "o"})) == same
    assert edited(lambda node: node.update({"Index Name": "other"})) != same
    assert edited(lambda node: node.update({"Node Type": "Seq Scan"})) != same
    assert edited(lambda node: node.update({"Relation Name": "other"})) != same


def test_a_tried_index_has_another_number_each_time_and_the_same_hash():
    one = edited(lambda node: node.update({"Index Name": "<13556>btree_big_kind"}))
    assert one == edited(lambda node: node.update({"Index Name": "<99>btree_big_kind"}))
    assert (
        name({"Node Type": "Index Scan", "Index Name": "<99>btree_big_kind", "Relation Name": "big"})
        == "Index Scan using the tried index on big"
    )


# Any -------------------------------------------------------------------------------------------------------------------------------

numbers = st.floats(0, 1e9) | st.integers(0, 10**9)
kinds = st.sampled_from(["Seq Scan", "Nested Loop", "Limit", "Gather", "Hash", "Sort", "CTE Scan", "New Node"])
leaf = st.fixed_dictionaries(
    {"Node Type": kinds, "Total Cost": numbers},
    optional={
        "Plan Rows": numbers, "Actual Rows": numbers, "Actual Loops": st.integers(0, 10**6), "Actual Total Time": numbers,
        "Parent Relationship": st.sampled_from(["Outer", "Inner", "SubPlan", "InitPlan", "Member"]),
        "Relation Name": st.text(max_size=8), "Schema": st.text(max_size=4), "Filter": st.text(max_size=20),
        "Rows Removed by Filter": numbers, "Workers Planned": st.integers(0, 8), "Workers Launched": st.integers(0, 8),
        "Subplan Name": st.sampled_from(["CTE x", "SubPlan 1"]), "CTE Name": st.just("x"), "Hash Batches": st.integers(0, 99),
        "Sort Space Type": st.sampled_from(["Disk", "Memory"]), "Sort Space Used": numbers,
        "Sort Key": st.lists(st.text(max_size=9), max_size=3), "Disabled": st.booleans(),
    },
)  # fmt: skip


def above(below):
    return st.tuples(leaf, st.lists(below, max_size=4)).map(lambda made: made[0] | {"Plans": made[1]})


trees = st.recursive(leaf, above, max_leaves=20)


@given(trees)
def test_costs_are_shared_out_and_nothing_is_lost(tree):
    walked = list(steps(tree))
    assert all(step.own_cost >= 0 for step in walked)
    assert isclose(sum(step.own_cost for step in walked), float(tree["Total Cost"]), rel_tol=1e-6, abs_tol=1e-6)
    assert all(isnan(step.own_s) or 0 <= step.own_s <= step.seconds for step in walked)


@given(trees)
def test_any_tree_can_be_drawn_and_every_text_of_it_is_safe(tree):
    picture = plans.picture([{"Plan": tree}], {("", ""): 1e6})
    assert len(picture.hash) == 12
    assert sum("costliest" in node.findings for node in picture.nodes) == (len(picture.nodes) > 1)
    for node in picture.nodes:
        assert all(text.isprintable() for text in (node.name, *node.findings, *(part for pair in node.details for part in pair)))


def test_a_plan_deeper_than_the_interpreter_may_recurse():
    node = {"Node Type": "Seq Scan", "Total Cost": 1.0}
    for _ in range(sys.getrecursionlimit() * 3):
        node = {"Node Type": "Append", "Total Cost": 1.0, "Plans": [node]}
    began = time.perf_counter()
    assert len(plans.picture([{"Plan": node}]).nodes) == sys.getrecursionlimit() * 3 + 1
    assert time.perf_counter() - began < 30  # 0.1 s; where each part is gone through for every one above it, minutes
