"""The screen of one PostgreSQL server: what was read of it on request, what mends it, and why there is nothing."""

import pytest
from postgres_world import SERVER, make_postgres_world, postgres_world, queries_screen
from world import Scripted

from perfconsole.core.errors import RequestError
from perfconsole.core.ports import Measured, Result
from perfconsole.core.requests import POSTGRES_DETAIL, Fact, FactSection, ServerDetail
from perfconsole.core.tick import Health, SeriesDef
from perfconsole.ui.screens.queries import QueriesScreen
from perfconsole.ui.screens.server import ServerScreen

__all__ = ["make_postgres_world", "postgres_world"]

DROP = "DROP INDEX CONCURRENTLY shop.orders_note_again"
GRANT = 'GRANT pg_monitor TO "app"'
FOUND = ServerDetail(
    [
        FactSection(
            "Connections",
            [Fact("in use", "92 of 97 (95%): max_connections 100 less 3 reserved", "ALTER SYSTEM SET max_connections = 200", "critical"),
             Fact("shop", "80: 78 idle, 2 active")],
        ),
        FactSection(
            "Tables",
            [Fact(f"shop.t{number}", f" {40 - number}.0M  table  1.0M  TOAST  8.0K  indexes  1.0M") for number in range(40)],
            "the largest of 2000 tables in shop",
        ),
        FactSection("Maintenance", []),
        FactSection("Replication", [Fact("standby b", "its lag cannot be seen", GRANT, "unknown")]),
        FactSection(
            "Advice",
            [Fact("redundant index shop.orders_note_again", "the same as shop.orders_note  ~40M", DROP, "warning", "read the plans first"),
             Fact("unused index shop.orders_old", "not used in 41d  on orders", "DROP INDEX CONCURRENTLY shop.orders_old")],
            "look at the standbys before dropping",
        ),
        FactSection("Settings", [Fact("track_io_timing", "on")]),
    ]
)  # fmt: skip


@pytest.fixture
def shop(postgres_world):
    postgres_world.postgres.answers[POSTGRES_DETAIL.name] = FOUND
    return postgres_world


@pytest.fixture
def fleet(make_postgres_world):
    world = make_postgres_world(4, "shop", "billing")
    world.postgres.answers[POSTGRES_DETAIL.name] = FOUND
    return world


async def read(console):
    await console.press("d")
    assert isinstance(console.screen, ServerScreen)
    await console.until(lambda: not console.screen.answer.waiting)
    await console.settled()


async def turned_to(console, name):
    """The screen with a section in front."""
    for _ in console.screen.parts:
        if name == console.screen.front_part.NAME:
            return
        await console.press("tab")
    raise AssertionError(name)


def asked(world):
    return [args.server for op, args in world.postgres.asked if op == POSTGRES_DETAIL.name]


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (160, 48)])
async def test_findings_come_first_and_every_section_is_reached_by_tab(shop, kind, size):
    async with queries_screen(shop, kind, size) as console:
        await read(console)
        lines = console.lines
        where = [next(i for i, line in enumerate(lines) if words in line) for words in ("in use", "redundant index", "standby b")]
        assert where == sorted(where)
        assert "■ in use" in console.text
        assert "▲ redundant index" in console.text
        assert "? standby b" in console.text
        seen = []
        for _ in range(7):
            seen.append(console.screen.front_part.NAME)
            assert f"{console.app.look.glyphs.marker}{seen[-1]}" in console.text
            await console.press("tab")
        assert seen == ["Findings", "Connections", "Tables", "Maintenance", "Replication", "Advice", "Settings"]
        assert asked(shop) == [SERVER]


async def test_what_is_selected_is_told_whole_below_with_its_fix_and_the_caveat(shop):
    async with queries_screen(shop, size=(80, 24)) as console:
        await read(console)
        below = "\n".join(console.lines[-8:])
        assert "Connections: in use" in below
        assert "max_connections = 200" in below
        await console.press("j")
        below = "\n".join(console.lines[-8:])
        assert "Advice: redundant index" in below
        assert DROP in below
        assert "read the plans first" in below
        assert "look at the standbys before dropping" in below
        await turned_to(console, "Maintenance")
        await console.until(lambda: "none" in console.text)
        await turned_to(console, "Settings")
        await console.until(lambda: "Settings: track_io_timing" in "\n".join(console.lines[-8:]))


async def test_y_copies_the_fix_and_without_one_what_is_said(shop, monkeypatch):
    async with queries_screen(shop, size=(80, 24)) as console:
        copied = []
        monkeypatch.setattr(console.app, "copy_to_clipboard", copied.append)
        await read(console)
        await console.press("j", "y")
        await turned_to(console, "Settings")
        await console.press("y")
        await turned_to(console, "Maintenance")
        await console.press("y")
        assert copied == [DROP, "track_io_timing: on"]


async def test_a_long_section_scrolls_and_a_filter_holds_in_every_section(shop):
    async with queries_screen(shop, size=(80, 24)) as console:
        await read(console)
        await turned_to(console, "Tables")
        assert "shop.t39" not in console.text
        await console.press("G")
        assert "shop.t39" in console.text
        await console.press("slash", *"t3", "enter")
        assert "shop.t3 " in console.text
        assert "shop.t4 " not in console.text
        await turned_to(console, "Findings")
        assert "nothing matches t3" in console.text
        await console.press("escape")
        assert "in use" in console.text
        await console.press("escape")
        assert isinstance(console.screen, QueriesScreen)


async def test_enter_reads_again_and_keeps_what_is_known_meanwhile(shop):
    async with queries_screen(shop, size=(80, 24)) as console:
        await read(console)
        await console.press("j")
        better = ServerDetail([*FOUND.sections[1:], FactSection("Pools", [Fact("waiting", "3 clients", severity="warning")])])
        shop.postgres.answers[POSTGRES_DETAIL.name] = better
        await console.press("enter")
        await console.until(lambda: not console.screen.answer.waiting)
        await console.settled()
        assert asked(shop) == [SERVER, SERVER]
        assert "in use" not in console.text
        assert console.screen.front_part.chosen.fact.fix == DROP  # by what it is, not by its line
        await turned_to(console, "Pools")
        assert "3 clients" in console.text
        await turned_to(console, "Connections")
        assert "none" in console.text


async def test_a_refusal_stands_where_the_answer_would_and_later_below_the_last_one(shop):
    shop.postgres.answers[POSTGRES_DETAIL.name] = RequestError("shop:5432: down: connection refused", "start it")
    async with queries_screen(shop, size=(80, 24)) as console:
        await read(console)
        assert "shop:5432: down: connection refused" in console.text
        assert "start it" in console.text
        shop.postgres.answers[POSTGRES_DETAIL.name] = FOUND
        await console.press("enter")
        await console.until(lambda: not console.screen.answer.waiting)
        await console.settled()
        assert "■ in use" in console.text
        shop.postgres.answers[POSTGRES_DETAIL.name] = RequestError("shop:5432: no answer within 2.5 s", "the server hangs")
        await console.press("enter")
        await console.until(lambda: not console.screen.answer.waiting)
        await console.settled()
        assert "■ in use" in console.text
        assert "not read again: shop:5432: no answer within 2.5 s" in console.text


async def test_a_held_moment_is_read_when_it_ends(shop):
    async with queries_screen(shop, size=(80, 24)) as console:
        app = console.app
        await console.press("space")
        await app.push_screen(ServerScreen(SERVER))
        await console.settled()
        assert "not read while a moment is held" in console.text
        assert not asked(shop)
        await console.press("space")
        await console.until(lambda: console.screen.answer.result is not None)
        await console.settled()
        assert "■ in use" in console.text


async def test_it_is_the_server_that_is_looked_at(fleet):
    async with queries_screen(fleet, size=(80, 24)) as console:
        await console.press("S")
        await read(console)
        assert asked(fleet) == ["shop"]  # after billing, by name


async def test_texts_that_are_not_safe_do_not_reach_the_terminal(shop):
    hostile = ServerDetail([FactSection("Bad \x1b[31m title", [Fact("na\x1b]0;me", "te\nxt", "fi\x1bx", "weird")], "no\x1bte")])
    shop.postgres.answers[POSTGRES_DETAIL.name] = hostile
    async with queries_screen(shop, size=(80, 24)) as console:
        await read(console)
        await console.press("tab")
        assert all(line.isprintable() for line in console.lines)


async def test_ascii_without_colours_shows_the_same(shop):
    async with queries_screen(shop, size=(80, 24), theme="mono", ascii_only=True, colours=0) as console:
        await read(console)
        assert console.text.isascii()
        assert "X in use" in console.text


class Waiting(Scripted):
    """A pooler of which so many clients wait, the first for so long."""

    targets = ("pool",)

    def __init__(self, waiting, longest_s):
        super().__init__("postgres")
        self.waiting, self.longest_s = waiting, longest_s

    def measure(self, target, slot):
        of = (("server", "pool"),)
        values = {
            "up": 1.0,
            "pool.waiting": self.waiting,
            "pool.max_wait": self.longest_s,
            "connections": 40.0,
            "transactions": 100.0 * self.step,
        }
        series = tuple(SeriesDef(f"postgresql.{name}", of) for name in values)
        return Result([Measured(target, series, list(values.values()))], health=[Health("postgres", "pool", "ok", slot.at, slot.at)])


@pytest.mark.parametrize(("waiting", "longest_s", "said"), [(0.0, 0.0, "clients waiting 0  "), (3.0, 4.2, "clients waiting 3 (4.2s)  ")])
async def test_a_pooler_says_who_waits_on_operations_and_queries(open_console, make_world, waiting, longest_s, said):
    world = make_world(more=(Waiting(waiting, longest_s),))
    async with open_console(world, size=(120, 36)) as console:
        assert said + "connections 40  tps 50" in console.text
        await console.press("4")
        await console.step()
        assert said in console.text
        assert "a pooler: it has no statements of its own" in console.text


async def test_what_is_typed_right_after_tab_is_meant_for_the_section_it_leads_to(shop):
    async with queries_screen(shop, size=(80, 24)) as console:
        await read(console)
        before = console.screen.pane
        await console.app.perform("pane.next")  # the focus follows when Textual comes to it
        after = console.screen.pane
        assert after is not before
        await console.app.perform("pane.next")
        assert console.screen.pane not in {before, after}
        await console.app.perform("nav.down")  # in a section that was never drawn
        assert console.screen.pane.chosen == console.screen.pane.members(console.app.state)[1]
