"""The list of all that changed: as far back as is looked at, with the selected one in full below it."""

from collections.abc import Sequence
from math import inf, isnan
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from perfconsole.core import units
from perfconsole.core.changes import rank
from perfconsole.core.state import State
from perfconsole.core.tables import Key, View
from perfconsole.core.tick import Event
from perfconsole.ui import changes
from perfconsole.ui.arrange import Item
from perfconsole.ui.changes import Change
from perfconsole.ui.columns import Column, by_pane, fitting
from perfconsole.ui.line import Line
from perfconsole.ui.look import WORDS
from perfconsole.ui.unseen import unseen
from perfconsole.ui.widgets.table import TablePane

if TYPE_CHECKING:
    from perfconsole.ui.screens.changes import ChangesScreen

_SCOPE, _SOURCE = 20, 18
_WORDS: Final = 60
"""Cells that words keep before it is said of what they are, which is said below of the selected one anyway."""

COLUMNS: Final = (
    Column("when", "WHEN", "time", 5, 0, by_pane, right=False),
    Column("state", "", "urgency", 1, 0, by_pane, right=False),
    Column("kind", "KIND", "", 8, 0, lambda row: changes.title(row.event), right=False),
    Column("scope", "ABOUT", "", _SCOPE, 1, lambda row: row.event.scope, right=False),
    Column("source", "SOURCE", "", _SOURCE, 2, lambda row: row.event.source, right=False),
    Column("text", "WHAT HAPPENED", "", 0, 0, lambda row: row.event.text, right=False),
)

_LOW: Final = 18
"""Rows of a screen below which there is a single line for the selected one."""


class ChangeTable(NamedTuple):
    """What the list is made of: no engine tells it, it is made here of what was learnt."""

    at: float
    rows: list[Change]

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self.rows)


_TELLING: Final = frozenset({"kernel log", "journal", "changes"})
"""Observers without whom much of what happened is missing here; why, and what would help, stands with the machine's details."""


class ChangesTable(TablePane):
    """All changes, newest first.

    Attributes:
        window_s: How far back it reaches from the moment that is looked at; infinity for as far as anything is known.
    """

    TITLE = "Changes"
    KIND = "change"
    _SORTS: ClassVar[Sequence[str]] = ("time", "urgency")

    def __init__(self, id: str | None = None) -> None:  # noqa: A002  Textual's word
        super().__init__("CHANGES", COLUMNS, "time", detailed=True, id=id)
        self.window_s = changes.RECENT_S
        self._when_cells = 5

    @property
    def changes_screen(self) -> "ChangesScreen":
        """The screen, by its own type: it knows what may still be had."""
        from perfconsole.ui.screens.changes import ChangesScreen  # noqa: PLC0415  the screen mounts the table

        assert isinstance(self.screen, ChangesScreen)
        return self.screen

    # What there is ----------------------------------------------------------------------------------------------------------------

    def table(self, state: State) -> Any:
        """Those within the window; in a recording also what is known to come after the moment that is looked at."""
        if state.stream is None:
            return None
        return ChangeTable(state.at, [one for one in self.console_app.timeline.changes if one.event.time_hi > state.at - self.window_s])

    def waiting(self, state: State) -> str:  # noqa: ARG002  nothing is known yet
        """Nothing was told yet."""
        return f"collecting{self.look.glyphs.ellipsis}"

    def empty(self, table: Any) -> str:  # noqa: ARG002  the window is ours
        """Which time was looked at, and how there may be more."""
        wider = self.console_app.keymap.sign("time.wider")
        return f"nothing known has changed in the last {changes.window_text(self.window_s)}: {wider} looks further back"

    def notes(self, state: State, table: Any) -> list[str]:  # noqa: ARG002  that is asked of the screen
        """The window, whether there is more, and who may tell nothing here."""
        window = "all that is known" if self.window_s == inf else f"last {changes.window_text(self.window_s)}"
        hidden = ", ".join(dict.fromkeys(health.collector for health in unseen(state) if health.collector in _TELLING))
        return [*filter(None, (self.changes_screen.reading,)), window, *([f"not seen: {hidden}"] if hidden else [])]

    def views(self) -> list[View]:
        """What changed is told anyway."""
        return []

    def _watch_rows(self, room: int) -> None:
        """Likewise."""

    # Arranging --------------------------------------------------------------------------------------------------------------------

    def sorts(self) -> list[str]:
        """Newest first, or most telling first."""
        return list(self._SORTS)

    def arranged(self, rows: Sequence[Any], room: int) -> list[Item]:
        """Those that match, in order; how wide times are depends on those that are about to be shown."""
        kept = [one for one in reversed(rows) if not self.match or changes.matches(one.event, self.match)]
        if self.sort == "urgency":
            kept.sort(key=lambda one: rank(one.event), reverse=True)
        if self.reverse:
            kept.reverse()
        now = self.console_app.state.at
        self._when_cells = max([5, *(len(changes.when(one.event, now)) for one in kept[self._first : self._first + room])])
        return [Item(one) for one in kept]

    def columns(self) -> list[Column]:
        """Those that fit: words get what they need before it is said where, and who says so."""
        columns = fitting(self._wanted, max(self.size.width - 2, 1), _WORDS)
        return [column._replace(width=self._when_cells) if column.id == "when" else column for column in columns]

    def cell(self, item: Item, column: Column, state: State) -> tuple[str, str]:
        """What lies after the moment that is looked at is dimmed: it is not of then."""
        event: Event = item.row.event
        if column.id == "when":
            return changes.when(event, state.at), self._ink(event, state, "dim")
        if column.id == "state":
            glyph, role = changes.sign(self.look, event)
            return glyph, self._ink(event, state, role)
        return column.text(item.row), self._ink(event, state, "foreground" if column.id == "text" else "dim")

    def _ink(self, event: Event, state: State, role: str) -> str:
        return "stale" if event.time_hi - changes.AFTER_S > state.at else role

    def _follow_selection(self, room: int) -> None:
        """Something is always selected: what it is in full stands below."""
        if self.selected is None and self._items:
            self._select(0)
        super()._follow_selection(room)
        self.changes_screen.reached(self._selected_at >= len(self._items) - 1)

    def choose(self, key: Key) -> None:
        """Select a line."""
        self.selected = key
        self.repaint_rows()

    def step(self, steps: int) -> Event | None:
        """Select the next alert, mark, note or warning up (1: later) or down the list; None where there is none."""
        places = [i for i, item in enumerate(self._items) if changes.notable(item.row.event)]
        at, later = self._selected_at, (steps > 0) == (not self.reverse)
        found = max((i for i in places if i < at), default=None) if later else min((i for i in places if i > at), default=None)
        if found is None:
            return None
        self._select(found)
        self.repaint_rows()
        event: Event = self._items[found].row.event
        return event

    # The selected one -------------------------------------------------------------------------------------------------------------

    def foot(self, state: State, table: Any) -> list[Line]:  # noqa: ARG002  the selected one is known
        """When exactly, about what, who says so, and the words in full; on a low screen what there is a line for."""
        one = self.row
        if one is None:
            one = self._items[0].row if self._items else None
        if one is None:
            return []
        event: Event = one.event
        line = self.line("panel").gap().put(*changes.sign(self.look, event)).gap()
        line.put(f"{WORDS.get(event.severity, event.severity)} " if event.severity else "", f"{event.severity}_bar")
        line.put(changes.title(event), "title").gap(2).put(changes.moments(event, state.at), "foreground")
        age = state.at - event.time_hi
        line.gap(2).put("" if isnan(age) else f"{_roughly(abs(age))} {'ago' if age >= 0 else 'later'}", "dim")
        told = self._told(event.text, "foreground")
        if self.screen.size.height < _LOW:
            return [line, *told[:1]]
        who = self.line().gap().put("about ", "dim").put(event.scope or units.UNKNOWN).gap(2)
        return [line, who.put("source ", "dim").put(event.source or units.UNKNOWN), *told]

    def copied(self) -> str:
        """The selected line as Markdown."""
        return changes.markdown(self.row.event) if self.row else ""


def _roughly(seconds: float) -> str:
    """Without seconds: the line is not painted anew with every tick."""
    return f"{seconds // 60:.0f}m" if 60 <= seconds < 3600 else units.duration(round(seconds)).replace(".0s", "s")
