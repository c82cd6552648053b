"""The Units tab beside Processes: list, tree, what is out of the ordinary, what is not known and why; then one unit, and a process."""

from functools import partial

import pytest
from msgspec.structs import replace
from units_world import DETAIL, Units, make_units_world, numbered, unit, units_world
from world import START, Told

from perfconsole.core.change_requests import UnitDetail
from perfconsole.core.errors import CollectorError, RequestError
from perfconsole.core.requests import UNIT_DETAIL
from perfconsole.core.tick import Alert, Stream, Tick
from perfconsole.core.unit_rows import REST
from perfconsole.ui.screens.alert_target import go_to_target, open_unit, target_name
from perfconsole.ui.screens.endpoints import EndpointsScreen
from perfconsole.ui.screens.operations import OperationsScreen
from perfconsole.ui.screens.process import ProcessScreen
from perfconsole.ui.screens.processes import ProcessesScreen
from perfconsole.ui.screens.queries import QueriesScreen
from perfconsole.ui.screens.system import SystemScreen
from perfconsole.ui.screens.unit import UnitScreen
from perfconsole.ui.widgets.section import Section
from perfconsole.ui.widgets.units import UnitsPane

__all__ = ["make_units_world", "units_world"]


@pytest.fixture
def open_console(open_console):
    """Consoles that begin with processes: Operations would have to be made first, and is none of this."""
    return partial(open_console, screen="processes")


def names(console):
    return [item.row.name for item in console.screen.query_one(UnitsPane)._items]


def row_of(console, name):
    return next(line for line in console.lines if name in line)


def styled(console, text):
    """The colours in which a text stands on the screen."""
    return {style for row in console.picture for part, style in row if text in part}


async def on_units(console, *keys):
    await console.press("U", *keys)
    await console.step()


async def chosen(console, name):
    """The unit, selected."""
    pane = console.screen.query_one(UnitsPane)
    pane.selected = next(item.row.key for item in pane._items if item.row.name == name)
    pane.repaint_rows()
    await console.settled()


async def opened(console, name):
    await on_units(console)
    await chosen(console, name)
    await console.press("enter")
    assert isinstance(console.screen, UnitScreen)
    await console.until(lambda: not console.screen.answer.waiting)
    await console.settled()


# The tab ----------------------------------------------------------------------------------------------------------------------------


async def test_u_turns_to_units_and_back_and_so_does_esc(units_world, kind, open_console):
    async with open_console(units_world, kind) as console:
        assert "▸PROCESSES  UNITS" in console.lines[2]
        assert "U units" in console.lines[-1]
        await console.press("U")
        await console.step()
        assert " PROCESSES ▸UNITS" in console.lines[2]
        assert "U processes" in console.lines[-1]
        assert isinstance(console.pane, UnitsPane)
        await console.press("U")
        assert "▸PROCESSES  UNITS" in console.lines[2]
        assert console.pane is console.table
        await console.press("U", "escape")
        assert "▸PROCESSES" in console.lines[2]
        await console.press("escape")
        assert isinstance(console.screen, OperationsScreen)


async def test_a_click_on_a_title_turns_to_it(units_world, open_console):
    async with open_console(units_world) as console:
        await console.pilot.click(console.table, offset=(14, 0))
        await console.settled()
        assert "▸UNITS" in console.lines[2]
        await console.pilot.click(console.screen.query_one(UnitsPane), offset=(14, 0))
        await console.settled()
        assert "▸UNITS" in console.lines[2]
        await console.pilot.click(console.screen.query_one(UnitsPane), offset=(3, 0))
        await console.settled()
        assert "▸PROCESSES" in console.lines[2]


async def test_units_are_measured_closely_only_while_somebody_looks(units_world, open_console):
    async with open_console(units_world) as console:
        await console.step()
        assert units_world.units.looked[-1] == []
        await console.press("U")
        await console.step()
        (view,) = units_world.units.looked[-1]
        assert (view.target, view.columns, view.match) == ("", ("live",), "")
        assert all(view.table != "process" for view in console.screen.views())
        await console.press("1")
        await console.step()
        assert units_world.units.looked[-1] == []


async def test_no_key_means_anything_to_processes_while_units_are_in_front(units_world, open_console):
    async with open_console(units_world, size=(160, 30)) as console:
        await on_units(console, "j")
        ids = {action.id for action in console.app.actions()}
        assert ids.isdisjoint({"process.signal", "process.renice", "process.sort_pid", "process.group_program", "process.group_unit"})
        assert {"process.units", "process.tree", "process.sort_memory", "process.sort_cpu"} <= ids
        await console.press("x", "w", "P", "b", "u")
        assert isinstance(console.screen, ProcessesScreen)
        assert console.table.shape == "list"


# The table --------------------------------------------------------------------------------------------------------------------------


async def test_the_list_is_by_cpu_without_sums_and_the_rest_last(units_world, kind, open_console):
    async with open_console(units_world, kind) as console:
        await on_units(console)
        found = names(console)
        assert found[:2] == ["postgresql.service", "api.service"]
        assert found[-2:] == ["backup.service", REST]
        assert "system.slice" not in found
        assert "user.slice" not in found
        assert "user-1000.slice" in found  # it has a limit of its own
        assert f"{len(found) - 1} of 212" in console.lines[2]
        await console.press("r")
        assert names(console)[-1] == REST
        assert names(console)[-2] == "backup.service"  # what is not known is not the least


async def test_by_name_they_are_a_tree_and_t_turns_to_it_and_back(units_world, open_console):
    async with open_console(units_world, size=(100, 30)) as console:
        await on_units(console, "t")
        assert "tree" in console.lines[2]
        found = names(console)
        assert found[0] == "backup.service"
        assert found[found.index("system.slice") + 1] == "api.service"
        assert found.index("user.slice") + 2 == found.index("session-4.scope")
        assert found[-1] == REST
        assert "├─api.service" in console.text
        assert "└─sync.service" in console.text
        assert "  └─session-4.scope" in console.text
        await console.press("escape")
        assert "tree" not in console.lines[2]
        await console.press("t", "t")
        assert names(console)[0] == "postgresql.service"


async def test_in_the_tree_a_group_is_called_by_the_end_of_its_path(units_world, open_console):
    units_world.units.rows = lambda step: [unit("/jobs", "group", name="jobs"), unit("/jobs/night", "group", name="jobs/night")]
    async with open_console(units_world) as console:
        await on_units(console)
        assert row_of(console, "night").startswith(" jobs/night ")
        await console.press("t")
        assert row_of(console, "night").startswith(" └─night ")


@pytest.mark.parametrize(("keys", "first"), [("M", "docker-9f31c2.scope"), ("s", "api.service"), ("MC", "postgresql.service")])
async def test_keys_sort(units_world, open_console, keys, first):
    async with open_console(units_world) as console:
        await on_units(console, *keys)
        assert names(console)[0] == first


async def test_by_state_what_failed_comes_first(units_world, open_console):
    async with open_console(units_world) as console:
        await on_units(console)
        console.screen.query_one(UnitsPane).order_by("state")
        await console.settled()
        assert names(console)[0] == "backup.service"
        assert names(console)[-1] == REST


@pytest.mark.parametrize(("width", "heads"), [
    (60, ["UNIT", "STATE", "CPU%▼", "LIMIT%"]),
    (80, ["UNIT", "STATE", "CPU%▼", "THR%", "MEM", "LIMIT%", "OOM", "TASKS"]),
    (160, ["UNIT", "STATE", "CPU%▼", "OF", "QUOTA", "THR%", "MEM", "OF", "LIMIT", "OOM", "PSI", "CPU", "PSI", "MEM", "PSI", "IO", "READ/s",
           "WRITE/s", "TASKS", "RST"]),
])  # fmt: skip
async def test_the_columns_fit_the_width(units_world, open_console, width, heads):
    async with open_console(units_world, size=(width, 24)) as console:
        await on_units(console)
        assert console.lines[3].split() == heads


async def test_numbers_stand_against_their_own_limits(units_world, open_console):
    async with open_console(units_world, size=(160, 30)) as console:
        await on_units(console)
        assert "93% of 1.5G" in row_of(console, "postgresql.service")
        assert "% of 0.5" in row_of(console, "api.service")
        assert "failed exit-code" in row_of(console, "backup.service")
        cells = row_of(console, "backup.service").split()
        assert cells.count("-") >= 9  # what is not known is not zero
        assert "0" not in cells


async def test_what_is_out_of_the_ordinary_is_coloured_and_counted(units_world, open_console):
    async with open_console(units_world, size=(160, 30)) as console:
        await on_units(console)
        assert "■ 1 failed  ▲ 1 OOM  ▲ 1 throttled  ▲ 1 near limit" in console.lines[2]
        look = console.app.look
        for text, role in (("▲93% of 1.5G", "warning"), ("■ failed exit-code", "critical_bar"), (" 66% of 3.0G", "foreground")):
            assert str(look.style(role)) in styled(console, text), text


async def test_cpu_is_of_the_machine_or_of_one_core_as_configured(units_world, open_console):
    for per_core, told, most in ((False, "% of the machine", 40.0), (True, "% of one core", 130.0)):
        async with open_console(units_world, per_core=per_core) as console:
            await on_units(console)
            assert told in console.lines[2]
            first = float(row_of(console, "postgresql.service").split()[2])
            assert most / 4 < first < most


async def test_a_filter_finds_kinds_and_paths_and_sums_too(units_world, open_console):
    async with open_console(units_world) as console:
        await on_units(console, "slash", *"slice", "enter")
        assert {"system.slice", "user.slice", "api.service"} <= set(names(console))
        assert "filter 'slice'" in console.lines[2]
        await console.press("slash", *["backspace"] * 5, *"zzz", "enter")
        assert "nothing matches 'zzz'" in console.text
        await console.press("escape", "escape")
        assert "▸PROCESSES" in console.lines[2]


async def test_y_copies_the_name_and_the_rest_has_none(units_world, open_console, monkeypatch):
    async with open_console(units_world) as console:
        copied = []
        monkeypatch.setattr(console.app, "copy_to_clipboard", copied.append)
        await on_units(console, "j", "y", "G", "y", "enter")
        assert copied == ["postgresql.service"]
        assert isinstance(console.screen, ProcessesScreen)
        assert "the sum of those" in console.lines[-1]


async def test_a_selection_sticks_to_its_unit(units_world, open_console):
    async with open_console(units_world) as console:
        await on_units(console, "j", "j")
        assert console.screen.front.row.name == "api.service"
        units_world.units.rows = lambda step: list(reversed(Units().rows(step)))
        await console.press("r")
        await console.step()
        assert console.screen.front.row.name == "api.service"


async def test_nothing_changed_is_nothing_painted(units_world, open_console):
    fixed = units_world.units.rows(3)
    units_world.units.rows = lambda step: fixed
    async with open_console(units_world) as console:
        await on_units(console, "j")
        await console.step()
        pane = console.screen.query_one(UnitsPane)
        painted = []
        pane.refresh = lambda *regions, **options: painted.append(regions)
        await console.step(3)
        assert painted == []


async def test_many_are_scrolled_through(units_world, kind, open_console):
    units_world.units.rows, units_world.units.total = numbered, None
    async with open_console(units_world, kind) as console:
        await on_units(console, "G")
        assert "worker079.service" in console.text
        assert console.screen.front.row.name == "worker079.service"


# What is not there ------------------------------------------------------------------------------------------------------------------


async def test_notes_stand_below(units_world, open_console):
    units_world.units.notes = ("memory.events may not be read: OOM kills are unknown: join group adm",)
    async with open_console(units_world) as console:
        await on_units(console)
        assert "join group adm" in console.lines[-2]


async def test_without_a_cgroup_filesystem_that_is_said(units_world, open_console):
    units_world.units.rows, units_world.units.total, units_world.units.layout = (lambda step: []), 0, ""
    async with open_console(units_world) as console:
        await on_units(console)
        assert "no cgroup filesystem is mounted here" in console.text


async def test_before_the_first_run_it_is_collecting(make_units_world, open_console):
    async with open_console(make_units_world(0)) as console:
        await console.press("U")
        assert "collecting" in console.text
        await console.press("j", "G", "enter", "s", "r", "t", "y", "M")
        assert isinstance(console.screen, ProcessesScreen)


async def test_an_error_says_what_and_how_to_mend_it(make_units_world, open_console):
    world = make_units_world(0)
    world.units.fault = CollectorError("/sys/fs/cgroup may not be read", "run it with the host's cgroup namespace")
    world.advance()
    async with open_console(world) as console:
        await console.press("U")
        await console.step()
        assert "/sys/fs/cgroup may not be read: run it with the host's cgroup namespace" in console.text


async def test_what_was_known_before_an_error_is_shown_as_past(units_world, open_console):
    async with open_console(units_world) as console:
        await on_units(console)
        units_world.units.fault = CollectorError("/sys/fs/cgroup is gone", "mount it again")
        await console.step(10)
        assert "postgresql.service" in console.text
        assert "/sys/fs/cgroup is gone: mount it again: shown is what was known 20s ago" in " ".join(console.text.split())
        assert styled(console, "postgresql.service") == {str(console.app.look.style("stale"))}


async def test_a_recording_without_units_says_so(open_console):
    stream = Stream("box", "s", "b", "0")
    async with open_console(Told(Tick(1, START, 1.0, key=True, past=True, stream=stream))) as console:
        await console.press("U")
        await console.until(lambda: "no units are recorded at this moment" in console.text)


# One unit ---------------------------------------------------------------------------------------------------------------------------


async def test_the_section_in_front_has_the_keys_from_the_start(units_world, open_console, monkeypatch):
    """Another one that had them first would take what is typed right after Enter."""
    had = []
    monkeypatch.setattr(Section, "watch_has_focus", lambda section, has: had.append(section.NAME) if has else None)
    async with open_console(units_world) as console:
        await opened(console, "backup.service")
        await console.until(lambda: had)
    assert had == ["Journal"]


async def test_enter_leads_from_a_unit_to_its_processes_to_a_process_and_esc_back(units_world, kind, open_console):
    async with open_console(units_world, kind) as console:
        await opened(console, "api.service")
        assert "SERVICE api.service  active for" in console.text
        assert "3 restarts" in console.text
        pids = [row.pid for row in console.screen.processes._members]
        assert pids
        assert set(pids) == {row.pid for row in units_world.processes.rows(0) if row.unit == "api.service"}
        await console.press("j", "enter")
        assert isinstance(console.screen, ProcessScreen)
        assert console.screen.subject.row.unit == "api.service"
        await console.press("escape")
        assert isinstance(console.screen, UnitScreen)
        await console.press("escape")
        assert "▸UNITS" in console.lines[2]
        assert console.screen.front.row.name == "api.service"


async def test_a_slice_has_the_processes_of_all_that_is_in_it(units_world, open_console):
    async with open_console(units_world) as console:
        await on_units(console, "t")
        await chosen(console, "system.slice")
        await console.press("enter")
        await console.step()
        found = {row.unit for row in console.screen.processes._members}
        assert {"api.service", "postgresql.service", "nginx.service"} <= found
        assert "init.scope" not in found
        assert "of the units shown" in console.text


@pytest.mark.parametrize("size", [(60, 16), (80, 24)])
async def test_its_state_is_told_whatever_its_name_and_no_time_is_cut(units_world, open_console, size):
    name = f"systemd-{'x' * 80}.service"
    units_world.units.rows = lambda step: [unit("", name=name, state="failed", result="exit-code", restarts=5.0, since=START - 3600.0)]
    async with open_console(units_world, size=size) as console:
        await opened(console, name)
        title = row_of(console, "SERVICE")
        assert "… " in title
        assert "■ failed exit-code for 1h00m" in title
        assert "since" not in title


async def test_the_numbers_now_and_their_history(units_world, open_console):
    async with open_console(units_world, size=(80, 24)) as console:
        await opened(console, "api.service")
        words = " ".join(console.text.split())
        for said in ("% of 0.5", "% of periods", "OOM 0 killed", "PSI CPU 31%", "tasks 9 of 512", "no limit of its own to be a share of"):
            assert said in words, said
        units_world.advance(60)
        await console.step()
        assert any(line.startswith(" CPU") and "█" in line for line in console.lines)


async def test_what_has_no_history_says_why(units_world, open_console):
    async with open_console(units_world, size=(160, 48)) as console:
        await opened(console, "docker-9f31c2.scope")
        assert "no history: it is held of the busiest units" in console.text
        assert "no quota: it is never throttled" in console.text
        await console.press("escape")
        await chosen(console, "backup.service")
        await console.press("enter")
        assert "it does not run: it has no cgroup" in console.text
        assert "none" not in "".join(console.lines[3:6])


async def test_journal_and_facts_are_read_once_and_again_by_enter(units_world, kind, open_console):
    async with open_console(units_world, kind, (80, 24)) as console:
        await opened(console, "api.service")
        await console.press("tab")
        assert "GET /health 200" in console.text
        assert "connection pool" in console.text
        await console.press("tab")
        assert "/etc/systemd/system/api.service" in console.text
        assert "run as root" in console.text
        asked = [args for op, args in units_world.units.asked if op == UNIT_DETAIL.name]
        assert [(args.name, args.path) for args in asked] == [("api.service", "/system.slice/api.service")]
        await console.press("enter")
        await console.until(lambda: len(units_world.units.asked) == 2)


async def test_one_begins_to_read_at_the_newest_line_after_reading_again_too(units_world, open_console):
    many = [replace(DETAIL.lines[0], at=DETAIL.lines[0].at + number, text=f"line {number}") for number in range(20)]
    units_world.units.answers[UNIT_DETAIL.name] = UnitDetail([], many, [])
    async with open_console(units_world) as console:
        await opened(console, "api.service")
        await console.press("tab")
        assert "line 19" in console.text
        assert "line 0" not in console.text
        await console.press("g")
        assert "line 19" not in console.text
        await console.press("enter")
        await console.until(lambda: not console.screen.answer.waiting)
        await console.settled()
        assert "line 19" in console.text


async def test_what_failed_begins_with_its_journal_and_what_may_not_be_read_is_said_there(units_world, open_console):
    denied = ["log: the journal may not be read: join group systemd-journal", "limits: only root sees them: run as root"]
    units_world.units.answers[UNIT_DETAIL.name] = UnitDetail(DETAIL.facts, [], denied)
    async with open_console(units_world) as console:
        await opened(console, "backup.service")
        assert "■ failed exit-code for 1h" in console.text
        assert "▸Journal" in console.text
        assert "join group systemd-journal" in console.text
        assert "only root sees them" not in console.text
        await console.press("tab")
        assert "only root sees them" in console.text
        assert "join group systemd-journal" not in console.text
        await console.press("tab")
        assert "none that is known" in console.text


async def test_a_refusal_stands_where_the_answer_would_and_later_above_the_last_one(units_world, open_console):
    units_world.units.answers[UNIT_DETAIL.name] = RequestError("systemd does not answer", "is it running?")
    async with open_console(units_world) as console:
        await opened(console, "api.service")
        await console.press("tab")
        assert "systemd does not answer" in console.text
        assert "is it running?" in console.text
        units_world.units.answers[UNIT_DETAIL.name] = DETAIL
        await console.press("enter")
        await console.until(lambda: not console.screen.answer.waiting)
        await console.settled()
        assert "GET /health 200" in console.text
        units_world.units.answers[UNIT_DETAIL.name] = RequestError("systemd does not answer", "")
        await console.press("enter")
        await console.until(lambda: not console.screen.answer.waiting)
        await console.press("g")
        assert "not read again: systemd does not answer" in console.text


async def test_y_copies_the_process_the_journal_and_the_facts(units_world, open_console, monkeypatch):
    async with open_console(units_world) as console:
        copied = []
        monkeypatch.setattr(console.app, "copy_to_clipboard", copied.append)
        await opened(console, "api.service")
        for _ in range(3):
            await console.press("y", "tab")
        assert "gunicorn" in copied[0]
        assert "2026-03-04 03:11:40 gunicorn: GET /health 200" in copied[1].splitlines()
        assert "main process: 4711 gunicorn" in copied[2].splitlines()


async def test_a_unit_that_is_gone_keeps_its_last_numbers(units_world, open_console):
    async with open_console(units_world) as console:
        await opened(console, "api.service")
        rows, others = units_world.units.rows, ("api.service", REST)
        units_world.units.rows = lambda step: [row for row in rows(step) if row.name != "api.service"]
        await console.step()
        assert "not among the busiest now" in console.text
        units_world.units.rows, units_world.units.total = (lambda step: [row for row in rows(step) if row.name not in others]), None
        await console.step()
        assert "◌ gone 03:12" in console.text
        assert "180M" in console.text
        units_world.units.rows = rows
        await console.step()
        assert "gone" not in console.text


async def test_one_that_fails_loses_its_cgroup_and_stays_the_same(units_world, open_console):
    async with open_console(units_world) as console:
        await opened(console, "api.service")
        rows = units_world.units.rows
        failed = next(row for row in rows(0) if row.name == "backup.service")
        units_world.units.rows = lambda step: [
            *(row for row in rows(step) if row.name != "api.service"), replace(failed, name="api.service")
        ]  # fmt: skip
        await console.step()
        assert "■ failed exit-code" in console.text


async def test_hostile_lines_stay_lines(units_world, open_console):
    evil = "\x1b[31m[bold]x[/bold]\r\n" + "w" * 3000
    hostile = UnitDetail([("\x1bstate", evil)], [replace(DETAIL.lines[0], who="\x1b[2J" * 9, text=evil)], [evil])
    units_world.units.answers[UNIT_DETAIL.name] = hostile
    async with open_console(units_world) as console:
        await opened(console, "api.service")
        for _ in range(3):
            await console.press("tab")
            assert all(line.isprintable() for line in console.lines)


async def test_a_far_source_without_the_operation_says_so(make_world, open_console):
    class OnlyUnits(Units):
        def __init__(self):
            super().__init__()
            self.operations = ()

    world = make_world(more=(OnlyUnits(),))
    async with open_console(world, "remote") as console:
        await on_units(console)
        await chosen(console, "api.service")
        await console.press("enter", "tab")
        assert "this source does not offer it" in console.text
        await console.press("enter")
        assert "cannot be had here now" in console.lines[-1]


@pytest.mark.parametrize("size", [(60, 16), (200, 60)])
async def test_every_size_shows_units_and_one_of_them_in_ascii_too(units_world, open_console, size):
    async with open_console(units_world, size=size, theme="mono", ascii_only=True, colours=0) as console:
        await opened(console, "api.service")
        assert console.text.isascii()
        assert "gunicorn" in console.text
        assert "throttle !" in " ".join(console.text.split())
        await console.press("escape")
        assert "X failed" in row_of(console, "backup.service")


async def test_no_layout_while_nothing_but_numbers_changes(units_world, open_console):
    async with open_console(units_world) as console:
        await opened(console, "api.service")
        layouts = []
        console.screen._refresh_layout, was = (lambda *args, **options: layouts.append(args)), console.screen._refresh_layout
        await console.step(3)
        console.screen._refresh_layout = was
        assert layouts == []


# From elsewhere -----------------------------------------------------------------------------------------------------------------------


async def test_a_unit_that_an_event_or_an_alert_names_is_found(units_world, kind, open_console):
    async with open_console(units_world, kind) as console:
        for name, path in (
            ("api.service", "/system.slice/api.service"),
            ("postgresql.service (system.slice)", "/system.slice/postgresql.service"),
            ("pod:1a2b3c4d5e6f", "/kubepods.slice/pod1a2b"),
        ):
            await open_unit(console.app, name)
            await console.until(lambda path=path: console.screen.subject.row.path == path)
            await console.press("escape")
            assert isinstance(console.screen, ProcessesScreen)


@pytest.mark.parametrize(
    ("metric", "labels", "where", "screen"),
    [
        ("cgroup.memory.utilization", {"unit": "api.service"}, "api.service", UnitScreen),
        ("system.array.degraded", {"device": "md0"}, "this machine: Arrays", SystemScreen),
        ("system.filesystem.utilization", {"mountpoint": "/var"}, "this machine: Writers now", SystemScreen),
        ("system.logins.breached", {}, "this machine: Access", SystemScreen),
        ("system.cpu.utilization", {}, "Processes", ProcessesScreen),
        ("system.units.failed", {}, "Units", ProcessesScreen),
        ("postgresql.xid.age", {"server": "orders"}, "Queries of orders", QueriesScreen),
        ("perfconsole.collector.blind", {"collector": "postgres", "target": "orders"}, "Queries of orders", QueriesScreen),
        ("perfconsole.collector.blind", {"collector": "http", "target": "checkout"}, "checkout", EndpointsScreen),
        ("perfconsole.collector.blind", {"collector": "journal", "target": "host"}, "this machine: Not seen", SystemScreen),
    ],
)
async def test_the_way_from_an_alert_leads_where_its_cause_is_seen(units_world, open_console, metric, labels, where, screen):
    alert = Alert("x", "rule", metric, tuple(labels.items()), "warning", "firing", "pending", START, START, 1.0, 0.5)
    async with open_console(units_world) as console:
        assert target_name(alert) == where
        await go_to_target(console.app, alert)
        await console.settled()
        assert isinstance(console.screen, screen)
        assert bool(console.screen.query(UnitsPane)) == (metric == "system.units.failed")
