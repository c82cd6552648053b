"""One statement followed through states: its numbers over a window, its history, who runs it. Pure.

The heaviest statements have series of their own (``postgresql.statement.load`` and ``.mean``); of all others, and of how often they are
called, history begins when the screen is opened: what the table says from then on is kept here.
"""

from math import isnan, nan
from typing import Final

from msgspec import structs

from perfconsole.core.series import Ring
from perfconsole.core.state import Series, State
from perfconsole.core.tables import SessionRow, SessionTable, StatementRow, StatementTable
from perfconsole.core.tick import SeriesDef
from perfconsole.ui.subject import LIVE, UNSEEN, Followed
from perfconsole.ui.ticks import About, of_server

LOAD: Final = "postgresql.statement.load"
MEAN: Final = "postgresql.statement.mean"
CALLS: Final = "postgresql.statement.calls"
"""Calls a second: no series of an engine, only seen here."""

_SEEN: Final = (LOAD, MEAN, CALLS)
_LEAST_INTERVAL_S: Final = 2.0

_LOOKED_AT: Final = 4000
"""Characters of a text by which it is told whether it reads: asked with every paint, of a text of up to a megabyte."""

HIDDEN: Final = "<insufficient privilege>"
"""What pg_stat_statements shows in place of a text that may not be seen."""


class Statement(Followed[StatementRow]):
    """A statement of a server. One that was not executed within the window is not gone: it stays as it was last seen.

    Args:
        row: As it was when it was chosen.
        server: The server.
        window: What its numbers are taken over.

    Attributes:
        table: The table it was last looked for in.
    """

    def __init__(self, row: StatementRow, server: str, window: str) -> None:
        super().__init__(row)
        self.server = server
        self.window = window
        self.table: StatementTable | None = None
        self._seen = Ring(len(_SEEN), _LEAST_INTERVAL_S)

    @property
    def window_s(self) -> float:
        """Seconds of the window; NaN while there is none."""
        return self.table.window_s if self.table else nan

    @property
    def calls_s(self) -> float:
        """Calls a second."""
        return self.row.calls / self.window_s if self.window_s > 0 else nan

    @property
    def about(self) -> About:
        """What changed at its server."""
        return of_server(self.server)

    @property
    def text(self) -> str:
        """What is known of its text without asking; empty where that is nothing."""
        return self.row.query

    def turn(self, window: str) -> None:
        """Take its numbers over another window; averages over two windows are no one history."""
        self.window = window
        self._seen = Ring(len(_SEEN), _LEAST_INTERVAL_S)

    def follow(self, state: State) -> None:
        """Take what a state says of it; a recording has the window that was recorded, not the one that was asked for."""
        table = state.table(StatementTable, self.server, self.window) or state.table(StatementTable, self.server)
        if table is None:
            return
        self.table = table
        found = next((row for row in table.rows if row.key == self.row.key), None)
        if found is None:
            self.status = UNSEEN
            return
        # A text that was let go is asked for anew, and would flicker.
        self.row = found if found.query or not self.row.query else structs.replace(found, query=self.row.query)
        self.status = LIVE
        if not isnan(found.load) and table.at != self._seen.last:
            if table.at > self._seen.last:
                self._seen.interval_s = max(_LEAST_INTERVAL_S, table.at - self._seen.last)
            self._seen.append(table.at, (found.load, found.mean_s, self.calls_s))

    def series(self, state: State, metric: str, **labels: str) -> Series | None:
        """The engine's where there is one, else what was seen since this was opened."""
        row = self.row
        who = {"database": row.database, "queryid": str(row.queryid), "server": self.server, "user": row.user}
        found = state.find(metric, **labels, **(who if row.toplevel else who | {"toplevel": "false"}))
        return found or Series(SeriesDef(f"{metric} seen over {self.window}"), self._seen, _SEEN.index(metric), counter=False)

    def sessions(self, state: State) -> list[SessionRow]:
        """Who runs it now, the longest first."""
        table = state.table(SessionTable, self.server)
        rows = table.rows if table else []
        mine = [row for row in rows if row.queryid == self.row.queryid and row.state == "active" and row.database == self.row.database]
        return sorted(mine, key=lambda row: (isnan(row.query_start), row.query_start, row.pid))


def reads(text: str) -> bool:
    """Whether a statement does nothing but read, as far as its text tells; the server is the one to make sure."""
    words = text[:_LOOKED_AT].lower().replace("(", " ").split()
    first = next(iter(words), "")
    return first in {"select", "values", "table"} or (first == "with" and {"insert", "update", "delete", "merge"}.isdisjoint(words))
