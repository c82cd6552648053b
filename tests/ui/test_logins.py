"""Who tried to get in: the line in words, the section of facts, and the line on a screen."""

from math import nan

import pytest
from msgspec import structs
from units_world import breached, logins, make_units_world, units_world
from world import START

from perfconsole.core.login_rows import LoginRow, LoginTable
from perfconsole.ui.logins import ACCESS, HONEST, VIEW, parts, section, tried, visible
from perfconsole.ui.screens.system import SystemScreen
from perfconsole.ui.widgets.logins import LoginsLine, have_line, login_table

__all__ = ["make_units_world", "units_world"]

TABLE = logins(START)
UNSEEN = LoginTable("host", START, START - 100.0, 3600.0, 0, [], notes=("the journal may not be read: join group systemd-journal",))


@pytest.fixture(autouse=True)
def in_utc(still):
    return still


def said(table):
    return [text for text, _ in parts(table)]


def test_an_ordinary_night_in_one_line():
    assert said(TABLE) == ["12 failed logins/h from 3 sources", "top 203.0.113.7 (root, admin +5)", "last success bob 03:02"]


def test_a_success_after_failures_comes_first_and_is_critical():
    assert next(parts(breached(START))) == ("login after 412 failures from 203.0.113.7 at 03:11", "critical")
    assert "top" not in " ".join(said(breached(START)))  # it is the top one itself


def test_where_nothing_failed_that_is_said_of_the_time_that_was_looked_at():
    calm = LoginTable("host", START, START - 1200.0, 3600.0, 1, [LoginRow("sshd", "10.0.0.9", ("bob",), 0, 0, 2, START, START)], 0, 2)
    assert said(calm) == ["no failed logins seen in 20m", "last success bob 03:12"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"since": START - 240.0}, "12 failed logins in 4m from 3 sources"),
        ({"failed": 1, "since": START - 240.0}, "1 failed login in 4m from 3 sources"),
        ({"span_s": 86_400.0, "since": START - 86_400.0}, "0.5 failed logins/h from 3 sources"),
        ({"total": 40}, "12 failed logins/h from 3+ sources"),
        ({"since": nan}, "12 failed logins/h from 3 sources"),
        ({"failed": 250_000}, "250k failed logins/h from 3 sources"),
    ],
)
def test_a_rate_is_of_an_hour_at_least_else_the_number_is_told(changes, text):
    assert said(structs.replace(TABLE, **changes))[0] == text


def test_a_part_of_the_lines_is_called_that():
    assert said(structs.replace(TABLE, sampled=0.1))[-1] == "of 10% of the lines"
    assert any(fact.name == "sampled" and "10%" in fact.text for fact in section(structs.replace(TABLE, sampled=0.1)).facts)


def test_the_last_success_is_of_who_only_ever_succeeded():
    mixed = structs.replace(TABLE, rows=[row for row in TABLE.rows if row.source != "10.0.0.9"])
    assert not any("last success" in text for text in said(mixed))  # deploy failed once, too: nobody knows which was the last


def test_users_beyond_those_shown_are_counted():
    row = LoginRow("sshd", "x", ("a", "b", "c", "d"), 5)
    assert (tried(row), tried(row, 1), tried(row, 4), tried(LoginRow("sshd", "x"))) == ("a, b, c +6", "a +8", "a, b, c, d +5", "")


def test_the_section_has_a_fact_a_source_the_breached_first():
    made = section(breached(START))
    assert made.title == ACCESS
    assert HONEST in made.note
    assert "looked at since 01:12" in made.note
    sources = [fact for fact in made.facts if fact.name not in {"failed", "succeeded", "names tried"}]
    assert [fact.name for fact in sources] == ["203.0.113.7", "198.51.100.20", "deploy", "10.0.0.9"]
    assert [fact.severity for fact in sources] == ["critical", "", "", ""]
    words = sources[0].text.split()
    assert words == ["sshd", "412", "failed", "1", "in", "02:15", "to", "03:11", "root,", "admin,", "test,", "oracle", "+3"]


def test_where_nothing_may_be_seen_nothing_is_claimed():
    assert not visible(UNSEEN)
    made = section(UNSEEN)
    assert [(fact.name, fact.severity) for fact in made.facts] == [("note", "unknown")]
    assert "join group systemd-journal" in made.facts[0].text
    assert visible(structs.replace(TABLE, notes=UNSEEN.notes))
    assert visible(structs.replace(UNSEEN, notes=()))


def test_other_sources_are_counted():
    assert section(structs.replace(TABLE, total=44)).facts[-1].text == "40 more sources, of fewer failures"


# On a screen ------------------------------------------------------------------------------------------------------------------------


async def watched(console):
    """The screen, which has the line as Operations has it."""
    screen = console.app.screen
    views, show = screen.views, screen.show

    def shown(state):
        have_line(screen, state, "#top")
        show(state)

    screen.views, screen.show = (lambda: [*views(), VIEW]), shown
    console.app.look_at()
    await console.step(2)
    return screen


async def mounted(console):
    """The line, once it has its place: on a busy machine that comes after it is there, and a click goes elsewhere until then."""
    line = (await watched(console)).query_one(LoginsLine)
    await console.until(lambda: line.size.height == 1)
    await console.settled()
    return line


def line_of(console):
    return next(line for line in console.lines if line.startswith(" ACCESS"))


async def test_the_line_is_one_line_and_goes_on(units_world, kind, open_console):
    async with open_console(units_world, kind, (120, 36)) as console:
        line = await mounted(console)
        assert line.size.height == 1
        assert "12 failed logins/h from 3 sources  top 203.0.113.7 (root, admin +5)  last success bob" in line_of(console)
        assert login_table(console.app.state).failed == 12
        units_world.logins.table = breached
        await console.step()
        assert "■ login after 412 failures from 203.0.113.7" in line_of(console)
        assert any("412" in text and "reverse" in style for row in console.picture for text, style in row)


@pytest.mark.parametrize("width", [60, 80, 160])
async def test_the_most_telling_fits(units_world, open_console, width):
    async with open_console(units_world, size=(width, 24), theme="mono", ascii_only=True, colours=0) as console:
        await mounted(console)
        assert "12 failed logins/h from 3 sources" in line_of(console)
        assert line_of(console).isascii()
        assert not line_of(console).endswith("~")


async def test_a_click_leads_to_all_of_it(units_world, open_console):
    async with open_console(units_world) as console:
        line = await mounted(console)
        await console.pilot.click(line, offset=(5, 0))
        await console.until(lambda: isinstance(console.screen, SystemScreen))
        await console.step()
        assert console.screen.front_part.NAME == ACCESS


async def test_there_is_no_line_until_there_is_something_to_tell(units_world, kind, open_console):
    units_world.logins.table = lambda at: structs.replace(UNSEEN, at=at)
    async with open_console(units_world, kind) as console:
        screen = await watched(console)
        assert login_table(console.app.state) is None
        assert "ACCESS" not in console.text
        units_world.logins.table = logins
        await console.step(2)
        assert "12 failed logins/h" in line_of(console)
        units_world.logins.table = lambda at: structs.replace(UNSEEN, at=at)
        await console.step()
        assert "nothing is known of logins" in line_of(console)
        assert len(screen.query(LoginsLine)) == 1
