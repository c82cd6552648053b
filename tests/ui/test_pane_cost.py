"""What a pane does not do: keep what it need not, and make again what has not changed."""

from perfconsole.ui.widgets.pane import Pane
from perfconsole.ui.widgets.processes import ProcessPane


def held(app):
    """How many regions are kept for panes, in all."""
    return sum(len(pane._dirty_regions) + len(pane._repaint_regions) for pane in app.screen.query(Pane))


async def test_nothing_piles_up_with_what_was_painted(world, open_console):
    async with open_console(world, size=(160, 48)) as console:
        await console.step(2)
        before = held(console.app)
        for _ in range(6):
            await console.step()
        assert held(console.app) <= before


async def test_a_line_that_says_what_it_said_is_the_same_strip(world, open_console):
    async with open_console(world, size=(160, 48)) as console:
        await console.step(2)
        panes = list(console.app.screen.query(Pane))
        before = [list(pane._strips) for pane in panes]
        for pane in panes:
            pane.show(console.app.state)
        assert all(old is new for pane, strips in zip(panes, before, strict=True) for old, new in zip(strips, pane._strips, strict=True))


async def test_a_process_that_did_nothing_keeps_its_line(world, open_console):
    async with open_console(world, size=(160, 48)) as console:
        table = console.app.screen.query_one(ProcessPane)
        state = console.app.state
        lines = table.lines(state, *table.size)[2:]
        again = table.lines(state, *table.size)[2:]
        assert all(one is other for one, other in zip(lines, again, strict=True))
        table.selected = table._items[3].row.key
        chosen = table.lines(state, *table.size)[2:]
        assert [i for i, (one, other) in enumerate(zip(again, chosen, strict=True)) if one is not other] == [3]
