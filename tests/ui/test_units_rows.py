"""Units in order, as a tree, without sums; and which processes are in one. Pure."""

from hypothesis import given
from hypothesis import strategies as st
from units_world import unit, units
from world import START, rows

from perfconsole.core.state import State
from perfconsole.core.tables import ProcessTable
from perfconsole.core.tick import Tick
from perfconsole.core.unit_rows import REST, UnitRow, UnitTable
from perfconsole.ui.look import UNICODE
from perfconsole.ui.subject import ENDED, LIVE, UNSEEN
from perfconsole.ui.unit_rows import Unit, ailing, limit_text, listed, quota_text, severities, tree, without_sums

SLICE = unit("/a.slice", "slice")
SERVICE = unit("/a.slice/b.slice/c.service")
INSIDE = unit("/", "container", name="(this container)")


def state(table, processes=()):
    known = State()
    known.apply(Tick(1, START, 1.0, key=True, tables=[table, ProcessTable("host", START, len(processes), list(processes))]))
    return known


def shown(found):
    return [item.prefix + item.row.name for item in found]


def test_a_unit_stands_below_the_nearest_ancestor_there_is():
    assert shown(tree([SERVICE, SLICE], UNICODE)) == ["a.slice", "└─c.service"]
    assert shown(tree([SERVICE], UNICODE)) == ["c.service"]


def test_all_stand_below_the_root_of_a_container_that_sees_no_more():
    assert shown(tree([SERVICE, SLICE, INSIDE], UNICODE)) == ["(this container)", "└─a.slice", "  └─c.service"]


def test_a_name_that_begins_alike_is_no_parent():
    assert shown(tree([unit("/a"), unit("/ab")], UNICODE)) == ["a", "ab"]


PATHS = st.lists(st.sampled_from(["a", "b", "c.slice"]), max_size=5).map(lambda parts: "/" + "/".join(parts))


@given(st.lists(PATHS, unique=True, max_size=30))
def test_a_tree_shows_each_once_and_parents_first(paths):
    found = [item.row.path for item in tree([unit(path, name=path) for path in paths], UNICODE)]
    assert sorted(found) == sorted(paths)
    for at, path in enumerate(found):
        above = [other for other in paths if other != path and path.startswith(other.rstrip("/") + "/")]
        assert all(found.index(other) < at for other in above)


def test_sums_are_left_out_where_their_members_are_there_and_nothing_is_the_matter_with_them():
    assert without_sums([SLICE, SERVICE]) == [SERVICE]
    assert without_sums([SLICE]) == [SLICE]
    for fields in ({"memory_limit": 1.0}, {"cpu_limit": 1.0}, {"oom_kills": 1.0}, {"state": "failed"}):
        limited = unit("/a.slice", "slice", **fields)
        assert without_sums([limited, SERVICE]) == [limited, SERVICE]
    assert without_sums([INSIDE, SERVICE]) == [SERVICE]


def test_the_rest_is_last_whatever_the_order():
    for field in ("cpu", "name", "state", "memory_bytes"):
        for reverse in (False, True):
            assert listed(units(0), field, reverse=reverse)[-1].name == REST
    assert listed(units(0), "state", reverse=False)[0].state == "failed"


def test_what_is_unknown_ails_nobody_and_limits_are_exact():
    assert severities(UnitRow("/a", "a", "service")) == {}
    assert severities(unit("/a", throttled=0.25, memory=0.9)) == {}
    assert severities(unit("/a", throttled=0.26, memory=0.91)) == {"throttled": "warning", "memory": "warning"}
    assert ailing([unit("/a", state="failed"), unit("/b", state="failed"), UnitRow("", REST, "rest", oom_kills=9.0)]) == [
        ("2 failed", "critical")
    ]


def test_use_against_limits_in_words():
    nothing = UnitRow("/a", "a", "service")
    assert (quota_text(nothing), limit_text(nothing)) == ("", "")
    assert quota_text(unit("/a", cpu=0.46, cpu_limit=0.5)) == "92% of 0.5"
    assert limit_text(unit("/a", memory=0.88, memory_limit=512.0 * (1 << 20))) == "88% of 512M"
    assert (quota_text(UnitRow("/a", "a", "service", cpu_limit=2.0)), limit_text(UnitRow("/a", "a", "service", memory_limit=1024.0))) == (
        "- of 2", "- of 1.0K",
    )  # fmt: skip


def processes_of(row, table_rows):
    processes = [*rows(0), *(process for process in rows(0)[:1])]
    return {found.unit for found in Unit(row).processes(state(UnitTable("host", START, 99, table_rows), processes))}


def test_a_slice_has_the_processes_of_what_is_in_it_and_nobody_has_those_of_nothing():
    table = units(0)
    by_name = {row.name: row for row in table}
    assert processes_of(by_name["api.service"], table) == {"api.service"}
    assert processes_of(by_name["system.slice"], table) >= {"api.service", "nginx.service", "ssh.service"}
    assert processes_of(by_name["user.slice"], table) == set()
    assert processes_of(by_name["backup.service"], table) == set()
    assert "" in {process.unit for process in rows(0)}
    assert "" in processes_of(INSIDE, [INSIDE, *table])


def test_a_group_is_known_to_processes_by_its_path():
    group = unit("/batch/night", "group", name="batch/night")
    assert "batch/night" in Unit(group).names(state(UnitTable("host", START, 1, [group])))


def test_one_that_is_gone_is_told_from_one_that_is_not_shown():
    subject, other = Unit(SERVICE), unit("/x.service")
    rest = UnitRow("", REST, "rest")
    for table_rows, total, status in (
        ([SERVICE], 1, LIVE), ([other, rest], 9, UNSEEN), ([other], 9, UNSEEN), ([other], 1, ENDED), ([SERVICE], 1, LIVE),
    ):  # fmt: skip
        subject.follow(state(UnitTable("host", START, total, table_rows)))
        assert subject.status == status


def test_a_service_that_stopped_and_was_started_again_is_the_same_by_its_name():
    subject = Unit(SERVICE)
    down = unit("", name="c.service", state="failed")
    subject.follow(state(UnitTable("host", START, 1, [down])))
    assert (subject.status, subject.row) == (LIVE, down)
    subject.follow(state(UnitTable("host", START, 1, [SERVICE])))
    assert subject.row == SERVICE
    subject.follow(state(UnitTable("host", START, 1, [unit("/other/c.service")])))
    assert subject.status == ENDED  # another user's of that name
