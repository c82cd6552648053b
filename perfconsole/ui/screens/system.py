"""This machine in detail: what is read of it on request (sockets, listeners, writers, devices), and who tried to get in."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from perfconsole.core.login_rows import LoginTable
from perfconsole.core.requests import SYSTEM_DETAIL, FactSection, Nothing
from perfconsole.core.state import State
from perfconsole.core.tables import View
from perfconsole.ui import logins, unseen
from perfconsole.ui.screens.facts import FactsScreen

if TYPE_CHECKING:
    from perfconsole.ui.app import ConsoleApp


class SystemScreen(FactsScreen):
    """The machine: its sections behind each other, the selected fact below.

    Args:
        host: Its name.
        first: The title of the section to begin with; empty for the findings.
    """

    SCOPE = "operations"
    SPEC = SYSTEM_DETAIL
    ONLY_LIVE = "a recording does not hold this: it is read of a live machine only"

    def __init__(self, host: str, first: str = "") -> None:
        super().__init__(host, Nothing())
        self._begin_with = first
        self._logins: tuple[LoginTable, FactSection] | None = None

    def views(self) -> list[View]:
        """Who tried to get in."""
        return [logins.VIEW]

    @property
    def detail_sections(self) -> Sequence[FactSection]:
        """Who tried to get in, which goes on; what was read; and what nobody here may see."""
        state = self.console_app.state
        table, hidden = state.table(LoginTable), unseen.section(state)
        read = [*super().detail_sections, *([hidden] if hidden else [])]
        if table is None:
            return read
        if self._logins is None or self._logins[0] is not table:  # every tab asks, with every tick
            self._logins = (table, logins.section(table))
        return [self._logins[1], *read]

    def show(self, state: State) -> None:
        """Begin with the section that was asked for, once it is there."""
        super().show(state)
        wanted = next((part for part in self.parts if self._begin_with == part.NAME), None) if self._begin_with else None
        if wanted is not None:
            self._begin_with = ""
            self.bring(wanted)


async def open_system(app: "ConsoleApp", first: str = "") -> None:
    """Open it, with a section in front."""
    stream = app.state.stream
    await app.push_screen(SystemScreen(stream.host if stream else app.host, first))
