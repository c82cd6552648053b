"""select(): the one place where rows are filtered, sorted and limited."""

from itertools import pairwise
from math import isnan, nan

from hypothesis import given
from hypothesis import strategies as st

from perfconsole.core.tables import ProcessRow, View, select

NUMBERS = st.sampled_from((0.0, 0.5, 1.0)) | st.just(nan)


@st.composite
def tables(draw):
    pids = sorted(draw(st.sets(st.integers(1, 60), max_size=15)))
    return [
        ProcessRow(
            pid, draw(st.integers(0, 3)), draw(st.integers(0, 3)), draw(st.sampled_from(("bash", "Init", "nginx"))),
            draw(st.sampled_from(("root", "www", ""))), "S", draw(NUMBERS), draw(NUMBERS), draw(NUMBERS), draw(st.integers(1, 3)),
            draw(st.integers(-2, 2)), draw(NUMBERS), command=draw(st.sampled_from(("", "sh -c x", "worker"))), read_bytes_s=draw(NUMBERS),
        )
        for pid in pids
    ]  # fmt: skip


VIEWS = st.builds(
    View,
    table=st.just("process"),
    sort=st.sampled_from((*ProcessRow.__struct_fields__, "nonsense")),
    reverse=st.booleans(),
    match=st.sampled_from(("", "bash", "ROOT sh", "nobody")),
    limit=st.integers(0, 20),
    keys=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 3)), max_size=5).map(tuple),
)


@given(tables(), VIEWS)
def test_selecting_again_changes_nothing(rows, view):
    before = list(rows)
    once = select(rows, view)
    assert [row.key for row in select(once, view)] == [row.key for row in once]
    assert [row.key for row in select(rows, view)] == [row.key for row in once]
    assert all(a is b for a, b in zip(rows, before, strict=True))


@given(tables(), VIEWS)
def test_what_is_kept(rows, view):
    found = select(rows, view)
    fitting = [row for row in rows if all(word in row.text().lower() for word in view.match.lower().split())]
    assert len(set(found)) == len(found)
    assert set(found) <= set(fitting)
    assert {row.key for row in fitting} & set(view.keys) <= {row.key for row in found}
    assert len(found) >= min(view.limit, len(fitting))


@given(tables(), st.sampled_from(("cpu", "memory_bytes", "read_bytes_s", "started", "cpu_s")), st.booleans())
def test_unknown_numbers_come_last_both_ways(rows, sort, reverse):
    values = [getattr(row, sort) for row in select(rows, View("process", sort=sort, reverse=reverse))]
    known = [value for value in values if not isnan(value)]
    assert all(isnan(value) for value in values[len(known) :])
    assert known == sorted(known, reverse=(sort != "started") != reverse)


@given(tables(), st.booleans())
def test_unknown_texts_come_last_both_ways(rows, reverse):
    users = [row.user for row in select(rows, View("process", sort="user", reverse=reverse))]
    known = [user for user in users if user]
    assert users == sorted(known, reverse=reverse) + [""] * (len(users) - len(known))


@given(tables(), st.sampled_from(("cpu", "user", "threads", "state")), st.booleans())
def test_ties_are_ordered_by_memory_then_pid(rows, sort, reverse):
    found = select(rows, View("process", sort=sort, reverse=reverse))
    for above, below in pairwise(found):
        if getattr(above, sort) == getattr(below, sort):
            assert not above.memory_bytes < below.memory_bytes
            if above.memory_bytes == below.memory_bytes:
                assert above.pid < below.pid


def test_text_sorts_without_case():
    rows = [ProcessRow(pid, 0, 0, name, "", "S", 0.0, 0.0, 0.0, 1, 0, 0.0) for pid, name in enumerate(("b", "A", "C"))]
    assert [row.name for row in select(rows, View("process", sort="name"))] == ["A", "b", "C"]
