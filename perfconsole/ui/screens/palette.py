"""The palette: every action that can be done here and now, and every theme, found by a few letters."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from textual.command import CommandPalette, DiscoveryHit, Hit, Provider
from textual.types import IgnoreReturnCallbackType

if TYPE_CHECKING:
    from perfconsole.ui.app import ConsoleApp


class _Command(NamedTuple):
    title: str
    note: str
    run: IgnoreReturnCallbackType


def _commands(app: "ConsoleApp") -> Iterator[_Command]:
    for action in app.actions():
        if action.id != "palette":
            yield _Command(action.title, app.keymap.signs(action.id), partial(app.perform, action.id))
    for name in app.settings.themes:
        yield _Command(f"Theme {name}", "", partial(app.use_theme, name))


class ConsoleCommands(Provider):
    """The console's commands for Textual's palette."""

    async def discover(self) -> AsyncIterator[DiscoveryHit]:
        """All of them, while nothing is typed."""
        from perfconsole.ui.app import ConsoleApp  # noqa: PLC0415  the app opens the palette

        assert isinstance(self.app, ConsoleApp)
        for command in _commands(self.app):
            yield DiscoveryHit(command.title, command.run, help=command.note or None)

    async def search(self, query: str) -> AsyncIterator[Hit]:
        """Those that match."""
        from perfconsole.ui.app import ConsoleApp  # noqa: PLC0415  likewise

        assert isinstance(self.app, ConsoleApp)
        matcher = self.matcher(query)
        for command in _commands(self.app):
            score = matcher.match(command.title)
            if score > 0:
                yield Hit(score, matcher.highlight(command.title), command.run, help=command.note or None)


async def open_palette(app: "ConsoleApp") -> None:
    """Show the palette."""
    await app.push_screen(CommandPalette(providers=[ConsoleCommands], placeholder="what to do"))
