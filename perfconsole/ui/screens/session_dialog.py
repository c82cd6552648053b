"""The dialog that ends what a PostgreSQL session does, or the session: cancel first, terminate where that did not help.

Bound to the pid and backend start that the session had when it opened: the server compares both in the very statement that acts. It stays
open after a cancel, until it is seen to have helped; where it has not, terminating is what it offers next.
"""

from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING, Final, NamedTuple

from textual.events import Click

from perfconsole.core import units
from perfconsole.core.requests import POSTGRES_CANCEL, POSTGRES_TERMINATE, Done, SessionArgs
from perfconsole.core.state import State
from perfconsole.core.tables import SessionRow, SessionTable
from perfconsole.ui.line import Line
from perfconsole.ui.screens.dialogs import Dialog

if TYPE_CHECKING:
    from perfconsole.ui.app import ConsoleApp

_HELPS_WITHIN_S: Final = 2.0
"""A cancelled statement looks up within milliseconds; one that has not after this long sits where it cannot, or does not want to."""

_QUERY_LINES: Final = 3
_CONTENT: Final = 3
_WIDTH: Final = 76
"""As it stands in the style sheet."""


class Way(NamedTuple):
    """A way to end it: the operation, its name, and what it does in words."""

    op: str
    name: str
    text: str


CANCEL: Final = Way(POSTGRES_CANCEL.name, "cancel", "the statement fails, its session goes on")
TERMINATE: Final = Way(POSTGRES_TERMINATE.name, "terminate", "the connection ends, its work rolled back")


async def end_session(app: "ConsoleApp", server: str, row: SessionRow) -> None:
    """Have it chosen how exactly this session is ended; returns when the dialog is open, or where it cannot be, says why.

    Args:
        app: The console.
        server: The name of its server.
        row: The session, or the prepared transaction, as it stands on the screen.
    """
    if row.pid == 0:
        app.tell("a prepared transaction that is not known any more: SELECT * FROM pg_prepared_xacts", "warning")
    elif not row.prepared and not any(app.offers(way.op) for way in (CANCEL, TERMINATE)):
        app.tell("nothing can be ended from here: it is not the present, or the source is read-only", "warning")
    elif isnan(row.backend_start):
        app.tell(f"session {row.pid} is another role's: GRANT pg_monitor shows it, GRANT pg_signal_backend ends it", "warning")
    else:
        await app.push_screen(SessionDialog(app, server, row))


class SessionDialog(Dialog[None]):
    """Cancel or terminate one session; dismissed when that helped, was refused, or nobody wants it any more."""

    TITLE_TEXT = "Cancel or terminate"

    def __init__(self, app: "ConsoleApp", server: str, row: SessionRow) -> None:
        super().__init__()
        self._main = app
        self._server = server
        self._args = SessionArgs(server, *row.key)
        self.row = row
        self._gone = False
        self._way = next((way.name for way in self._ways()), "")
        self._sure = False
        self._sending = False
        self._cancelled: tuple[float, float] | None = None
        """When, by the stream's clock, and since when the statement ran that was cancelled."""
        self._note = ""
        self.wanted_height = 6 + _CONTENT + len(_wrapped(_flat(row.query), _WIDTH - 4, _QUERY_LINES))

    # What is known ----------------------------------------------------------------------------------------------------------------

    def _table(self, state: State) -> SessionTable | None:
        return state.table(SessionTable, self._server)

    def _follow(self, state: State) -> None:
        table = self._table(state)
        if table is None:
            return
        found = next((row for row in table.rows if row.key == self.row.key), None)
        self._gone = found is None and len(table.rows) >= table.total
        self.row = found or self.row
        if self._cancelled:
            self._judge(table, *self._cancelled)
        names = [way.name for way in self._ways()]
        if self._way not in names:
            self._way, self._sure = names[0] if names else "", False

    def _judge(self, table: SessionTable, at: float, query_start: float) -> None:
        """Whether the cancel helped."""
        passed_s = table.at - at
        if passed_s <= 0:
            return
        if self._gone or self.row.state != "active" or self.row.query_start != query_start:
            if self.is_current:
                self.dismiss(None)
        elif passed_s >= _HELPS_WITHIN_S:
            self._note = f"it still runs {units.duration(passed_s)} after the cancel: terminating ends it"
            if self._way == CANCEL.name:
                self._way = TERMINATE.name

    def _ways(self) -> list[Way]:
        """What helps, of what is offered: a session that runs nothing has nothing to cancel."""
        if self.row.prepared:
            return []
        idle = self.row.state.startswith("idle")
        return [way for way in (CANCEL, TERMINATE) if self._main.offers(way.op) and not (idle and way is CANCEL)]

    # Drawing ----------------------------------------------------------------------------------------------------------------------

    def who(self, state: State, *, brief: bool) -> list[Line]:
        """Who it is, what it does and for how long, who waits for it, and its statement."""
        self._follow(state)
        row, box = self.row, self.box
        first = box.inner().put(f"{'prepared transaction' if row.prepared else row.pid} ", "title").put(row.user or units.UNKNOWN, "accent")
        first.put(" on ", "dim").put(row.database or units.UNKNOWN)
        for title, text in (("  application ", row.application), ("  from ", row.client)):
            if text:
                first.put(title, "dim").put(text)
        if self._gone:
            first.gap(2).put(f"{box.look.glyph('stale')} it has ended", "stale")
        lines = [first, self._doing(state)]
        if brief:
            return [*lines, box.inner().put(_flat(row.query), "dim")]
        texts = _wrapped(_flat(row.query), box.size.width - 4, _QUERY_LINES)
        return [*lines, *(box.inner().put(text, "dim") for text in texts), box.inner()]

    def _doing(self, state: State) -> Line:
        row, line, table = self.row, self.box.inner(), self._table(state)
        now = table.server_at if table else state.at
        since = row.query_start if row.state == "active" else row.state_change
        line.put("prepared" if row.prepared else row.state or units.UNKNOWN, "foreground" if row.state == "active" else "warning")
        line.put(" for ", "dim").put(units.duration(now - since))
        waiting = "nobody waits for it" if not row.blocks else f"{row.blocks} wait{'s' if row.blocks == 1 else ''} for it"
        line.gap(2).put(waiting, "critical" if row.blocks else "dim")
        if row.wait and row.state == "active":
            line.put("  waits for ", "dim").put(row.wait)
        if not isnan(row.xact_start) and not row.prepared:
            line.put("  transaction ", "dim").put(units.duration(now - row.xact_start))
        return line

    def content(self, height: int) -> list[Line]:
        """What helps, and what does not."""
        inner = self.box.inner
        if self.row.prepared:
            lines = [
                inner().put("no session holds it, so none can be ended. In its database, as its owner or a superuser:"),
                inner().gap(2).put(self.row.query, "accent"),
                inner().put("or COMMIT PREPARED, where its coordinator decided so. perfconsole does neither.", "dim"),
            ]
            return lines[:height]
        lines = [self._line(way) for way in self._ways()]
        lines.append(inner().put(self._said(), "warning_bar"))
        return [*lines, *(inner() for _ in range(_CONTENT - len(lines)))][:height]

    def _line(self, way: Way) -> Line:
        chosen = way.name == self._way
        line = self.box.inner("selection" if chosen else "background")
        line.put(self.box.look.glyphs.marker if chosen else " ", "accent").put(way.name, "foreground", 10)
        if chosen and self._sure:
            return line.put("press Enter again to terminate", "critical")
        return line.put(way.text, "foreground" if chosen else "dim")

    def _said(self) -> str:
        if self._note:
            return self._note
        if self.row.state.startswith("idle in transaction"):
            return "it runs nothing that could be cancelled: only terminating it helps"
        return "it runs nothing" if self.row.state == "idle" else ""

    def keys(self) -> str:
        """What Enter would do now."""
        if self.row.prepared:
            return "y copy the statement   Esc close"
        return f"Enter {self._way}   Esc leave it alone" if self._way else "Esc close"

    # Acting -----------------------------------------------------------------------------------------------------------------------

    def move(self, steps: int) -> None:
        """The other way; what was confirmed half is not."""
        names = [way.name for way in self._ways()]
        if names:
            self._way = names[max(0, min(len(names) - 1, names.index(self._way) + steps))]
        self._sure = False

    def accept(self) -> None:
        """Do it; what cannot be taken back, at the second time."""
        if self._sending or not self._way:
            return
        if self._way == TERMINATE.name and not self._sure:
            self._sure = True
            return
        self._sending, self._sure = True, False
        self._main.run_worker(self._send(CANCEL if self._way == CANCEL.name else TERMINATE))

    async def _send(self, way: Way) -> None:
        at, began = self._main.state.at, self.row.query_start
        done = await self._main.ask(way.op, self._args)
        self._sending = False
        if isinstance(done, Done):
            self._main.tell(done.text)
        if not self.is_current:
            return
        if way is CANCEL and isinstance(done, Done) and self._table(self._main.state):
            self._cancelled, self._note = (at, began), f"{done.text}: waiting for it to end"
            self.redraw()
        else:
            self.dismiss(None)

    def press(self, key: str, character: str | None) -> None:  # noqa: ARG002  whatever it was
        """``y`` copies what would end a prepared transaction; any other key takes the half confirmation back."""
        self._sure = False
        if key == "y" and self.row.prepared:
            self._main.copy_to_clipboard(self.row.query)
            self._main.tell(f"copied: {self.row.query}")

    def on_click(self, event: Click) -> None:
        """A click chooses, and never ends anything."""
        ways = self._ways()
        if event.widget is self.box and ways:
            at = event.y - 1 - len(self.who(self._main.state, brief=self.box.size.height < self.wanted_height))
            if 0 <= at < len(ways):
                self._way, self._sure = ways[at].name, False
                self.redraw()


def _flat(query: str) -> str:
    return " ".join(query.split())


def _wrapped(text: str, width: int, most: int) -> Sequence[str]:
    """The first lines of a text; what is left is hinted at by the last one being cut."""
    if width < 1:
        return []
    starts = range(0, min(len(text), most * width), width)
    return [text[at : at + width] if at // width < most - 1 else text[at:] for at in starts]
