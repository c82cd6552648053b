"""Who tried to get in, in one line: how many failed, from where, whom they tried to be; in red where one got in after failures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.events import Click

from perfconsole.core.login_rows import LoginTable
from perfconsole.core.state import State
from perfconsole.ui.line import Line
from perfconsole.ui.logins import parts, visible, worst
from perfconsole.ui.widgets.pane import Pane

if TYPE_CHECKING:
    from perfconsole.ui.screens.base import ConsoleScreen


def login_table(state: State) -> LoginTable | None:
    """The table of logins, where it says anything of what happened; what cannot be seen is told where there is room for it."""
    table = state.table(LoginTable)
    return table if table and visible(table) else None


def have_line(screen: "ConsoleScreen", state: State, before: str) -> None:
    """Have the line on a screen, above what a selector finds, from when there is something to tell; to be asked with every state.

    The screen has to look at `ui.logins.VIEW`.
    """
    if login_table(state) is not None and not screen.query(LoginsLine):
        screen.mount(LoginsLine(), before=before)


class LoginsLine(Pane):
    """One line; never focused."""

    def on_mount(self) -> None:
        """One line, wherever it stands."""
        self.styles.height = 1

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002  always one
        """The most telling first, as much as there is room for."""
        line = self.line("panel").gap().put("ACCESS", "title").gap(2)
        table = login_table(state)
        if table is None:
            return [line.put("nothing is known of logins at this moment", "dim")]
        if worst(table.rows):
            line.put(f"{self.look.glyph('critical')} ", "critical_bar")
        for place, (text, role) in enumerate(parts(table)):
            if not place or line.left > len(text) + 1:  # the first says the most, even cut short
                line.put(text, role).gap(2)
        return [line]

    async def on_click(self, event: Click) -> None:
        """All of it."""
        from perfconsole.ui.logins import ACCESS  # noqa: PLC0415  only when asked
        from perfconsole.ui.screens.system import open_system  # noqa: PLC0415  likewise

        event.stop()
        await open_system(self.console_app, ACCESS)
