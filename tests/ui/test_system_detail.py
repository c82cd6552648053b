"""The screen of this machine: what was read of it on request, who tried to get in, and why there is nothing."""

import pytest
from units_world import SYSTEM, Units, breached, logins, make_units_world, units_world
from world import Scripted

from perfconsole.core.errors import RequestError
from perfconsole.core.ports import Result
from perfconsole.core.requests import SYSTEM_DETAIL, Fact, FactSection, SystemDetail
from perfconsole.core.tick import Health
from perfconsole.ui.logins import ACCESS
from perfconsole.ui.screens.operations import OperationsScreen
from perfconsole.ui.screens.system import SystemScreen, open_system

__all__ = ["make_units_world", "units_world"]


async def opened(console, first=""):
    await open_system(console.app, first)
    await console.settled()
    assert isinstance(console.screen, SystemScreen)
    await console.until(lambda: not console.screen.answer.waiting)
    await console.step()


def tabs(console):
    return [part.NAME for part in console.screen.parts]


def asked(world):
    return [op for op, _ in world.units.asked if op == SYSTEM_DETAIL.name]


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (160, 48)])
async def test_findings_come_first_and_every_section_is_reached_by_tab(units_world, kind, open_console, size):
    async with open_console(units_world, kind, size) as console:
        await opened(console)
        for sign, words in (("■", "127.0.0.1:8080"), ("▲", "/var"), ("?", "cannot be read")):
            assert f"{sign} {words}" in console.text
        assert sorted(tabs(console)) == sorted(["Findings", ACCESS, "Listeners", "Writers", "Deleted files"])
        for name in tabs(console):
            assert f"▸{name}" in console.text
            await console.press("tab")
        assert asked(units_world) == [SYSTEM_DETAIL.name]


async def test_what_is_selected_is_told_whole_below_and_y_copies_the_fix(units_world, open_console, monkeypatch):
    async with open_console(units_world) as console:
        copied = []
        monkeypatch.setattr(console.app, "copy_to_clipboard", copied.append)
        await opened(console)
        assert "raise the backlog once its workers answer again" in "\n".join(console.lines[-8:])
        assert "web-3.example  read 03:12" in console.text
        await console.press("y")
        assert copied == [SYSTEM.sections[0].facts[1].fix]


async def test_d_opens_it_enter_reads_again_and_esc_leads_back(units_world, open_console):
    async with open_console(units_world) as console:
        await console.until(lambda: console.app.offers(SYSTEM_DETAIL.name))
        await console.press("d")
        assert isinstance(console.screen, SystemScreen)
        await console.until(lambda: not console.screen.answer.waiting)
        units_world.units.answers[SYSTEM_DETAIL.name] = SystemDetail([FactSection("Ports", [Fact("in use", "91%", severity="critical")])])
        await console.press("enter")
        await console.until(lambda: "■ in use" in console.text)
        assert "127.0.0.1:8080" not in console.text
        assert asked(units_world) == [SYSTEM_DETAIL.name] * 2
        await console.press("escape")
        assert isinstance(console.screen, OperationsScreen)


async def test_a_refusal_stands_where_the_answer_would(make_world, open_console):
    units = Units()
    world = make_world(more=(units,))
    units.answers[SYSTEM_DETAIL.name] = RequestError("/proc/net/tcp may not be read", "run as root")
    async with open_console(world) as console:
        await opened(console)
        assert "/proc/net/tcp may not be read" in console.text
        assert "run as root" in console.text


async def test_who_gets_in_is_told_even_where_the_rest_is_refused(units_world, open_console):
    units_world.logins.table = breached
    units_world.units.answers[SYSTEM_DETAIL.name] = RequestError("refused", "run as root")
    async with open_console(units_world) as console:
        await opened(console)
        assert "■ 203.0.113.7" in console.text
        assert " refused: run as root" in console.text, "that there is more is told, and why it is not there"
        await console.press("slash", *"zzz", "enter")
        assert "nothing matches zzz" in console.text


async def test_the_worst_is_told_below_until_another_one_is_chosen(units_world, open_console):
    """Who got in may be known only after the rest was read."""
    async with open_console(units_world) as console:
        await opened(console)
        assert "Listeners: 127.0.0.1:8080" in console.text
        units_world.logins.table = breached
        await console.step()
        assert "Access: 203.0.113.7" in console.text
        await console.press("j")
        assert "Listeners: 127.0.0.1:8080" in console.text
        units_world.logins.table = logins
        await console.step()
        units_world.logins.table = breached
        await console.step()
        assert "Listeners: 127.0.0.1:8080" in console.text


async def test_who_gets_in_goes_on_while_what_was_read_stays(units_world, open_console):
    async with open_console(units_world, size=(120, 36)) as console:
        await opened(console, ACCESS)
        assert "9 failed" in console.text
        units_world.logins.table = breached
        await console.step()
        assert "412 failed" in console.text
        assert "■" in next(line for line in console.lines if "412 failed" in line)
        assert asked(units_world) == [SYSTEM_DETAIL.name]


class Blind(Scripted):
    """Who may not read what tells of logins."""

    def __init__(self):
        super().__init__("journal")

    def measure(self, target, slot):
        return Result((), health=[Health("journal", "host", "denied", slot.at, 0.0, 0.0, "the journal may not be read", "join group adm")])


async def test_where_nobody_may_look_at_logins_that_is_a_finding_with_its_fix(make_world, open_console, monkeypatch):
    async with open_console(make_world(more=(Units(), Blind())), size=(120, 36)) as console:
        copied = []
        monkeypatch.setattr(console.app, "copy_to_clipboard", copied.append)
        await opened(console, "Not seen")
        assert "? journal  the journal may not be read" in console.text
        await console.press("y")
        assert copied == ["join group adm"]


async def test_the_list_of_changes_says_who_may_tell_nothing_there(make_world, open_console):
    async with open_console(make_world(more=(Units(), Blind())), size=(80, 24)) as console:
        await console.step()
        await console.press("8")
        assert "last 2h  not seen: journal" in console.text


async def test_a_source_that_does_not_offer_it_says_so(make_world, open_console):
    async with open_console(make_world(), "remote") as console:
        await open_system(console.app)
        await console.settled()
        assert "this source does not offer it" in console.text
        await console.press("enter")
        assert "cannot be had here now" in console.lines[-1]


async def test_a_held_moment_is_read_when_it_ends(units_world, open_console):
    async with open_console(units_world) as console:
        await console.press("space")
        await open_system(console.app)
        await console.settled()
        assert "not read while a moment is held" in console.text
        assert asked(units_world) == []
        await console.press("space")
        await console.until(lambda: "127.0.0.1:8080" in console.text)


async def test_a_filter_holds_in_every_section(units_world, open_console):
    async with open_console(units_world) as console:
        await opened(console)
        await console.press("slash", *"nginx", "enter")
        assert "nothing matches nginx" in console.text
        await console.press("tab")
        while console.screen.front_part.NAME != "Listeners":
            await console.press("tab")
        assert "*:443" in console.text
        await console.press("escape")
        assert isinstance(console.screen, SystemScreen)
        assert "127.0.0.1:8080" in console.text


async def test_the_section_that_was_asked_for_is_in_front(units_world, kind, open_console):
    async with open_console(units_world, kind) as console:
        await opened(console, ACCESS)
        assert console.screen.front_part.NAME == ACCESS
        assert "203.0.113.7" in console.text
        assert "observations, not intrusion detection" in console.text


async def test_hostile_words_stay_words_and_ascii_shows_the_same(units_world, open_console):
    hostile = SystemDetail([FactSection("Sockets", [Fact("\x1b[31m[b]", "x\r\n\x1b]0;" + "y" * 900, "\x07", "warning", "\x1b")], "\x1b")])
    units_world.units.answers[SYSTEM_DETAIL.name] = hostile
    async with open_console(units_world, theme="mono", ascii_only=True, colours=0) as console:
        await opened(console)
        assert all(line.isprintable() for line in console.lines)
        assert console.text.isascii()
