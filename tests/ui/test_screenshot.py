"""A screenshot shows what is asked, and not what is said: literals are the users' data. The screen itself shows them."""

from html import unescape

from msgspec import structs
from postgres_world import PLAN, make_postgres_world, postgres_world, queries_screen

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


def test_nor_are_the_values_of_a_plan():
    node = structs.replace(PLAN.nodes[0], details=(("Filter", "(name = 'Anna'::text)"),))
    (shown,) = _without_values(structs.replace(PLAN, how="live", nodes=[node])).nodes
    assert shown.details == (("Filter", "(name = ?::text)"),)
