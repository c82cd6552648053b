"""A screenshot shows what is asked, and not what is said: literals are the users' data. The screen itself shows them."""

from html import unescape

from msgspec import structs
from postgres_world import PLAN, SERVER, TEXTS, VACUUM, make_postgres_world, postgres_world, queries_screen, statement

from perfconsole.ui.screens.statement import StatementScreen
from perfconsole.ui.widgets.statement_sections import _without_values

__all__ = ["make_postgres_world", "postgres_world"]


async def pictured(console, path):
    """Take one; its text."""
    await console.press("ctrl+s")
    (svg,) = path.glob("*.svg")
    return unescape(svg.read_text(encoding="utf-8")).replace("\xa0", " ")


async def test_what_sessions_say_is_not_in_it(postgres_world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with queries_screen(postgres_world, size=(200, 60)) as console:
        said = "UPDATE shop.carts SET note = 'x' WHERE id = 7"
        assert said in console.text
        text = await pictured(console, tmp_path)
        assert "UPDATE shop.carts SET note = ? WHERE id = ?" in text
        assert "note = 'x'" not in text
        assert said in console.text
        assert "screenshot: " in console.lines[-1]


async def test_nor_are_the_literals_that_a_server_keeps(postgres_world, tmp_path, monkeypatch):
    """Of what is no query pg_stat_statements keeps the text of one call (F.32.1)."""
    monkeypatch.chdir(tmp_path)
    kept = "ALTER ROLE app SET a.b = 'Anna'"
    monkeypatch.setitem(TEXTS, VACUUM, kept)
    async with queries_screen(postgres_world, size=(200, 60)) as console:
        assert kept in console.text
        text = await pictured(console, tmp_path)
        assert "Anna" not in text
        assert "SET a.b = ?" in text
        next(tmp_path.glob("*.svg")).unlink()
        await console.app.push_screen(StatementScreen(statement(VACUUM), SERVER, "1m"))
        await console.until(lambda: "'Anna'" in console.text and not console.screen.detail.waiting)
        text = await pictured(console, tmp_path)
        assert "Anna" not in text
        assert "'Anna'" in console.text


def test_nor_are_the_values_of_a_plan():
    node = structs.replace(PLAN.nodes[0], details=(("Filter", "(name = 'Anna'::text)"),))
    (shown,) = _without_values(structs.replace(PLAN, how="live", nodes=[node])).nodes
    assert shown.details == (("Filter", "(name = ?::text)"),)
