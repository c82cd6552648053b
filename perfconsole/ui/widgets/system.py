"""The system pane: a row a resource with its history, its value and what it is made of; all of them when expanded."""

from collections.abc import Sequence
from math import isnan

from perfconsole.core import units
from perfconsole.core.state import State
from perfconsole.core.tick import Rule, SeriesDef
from perfconsole.ui.line import Line
from perfconsole.ui.meters import Meter, meters
from perfconsole.ui.spark import Limits, Track, fitting_window, put_spark, scale_top
from perfconsole.ui.ticks import MACHINE, Label, put_axis, spread, ticks
from perfconsole.ui.verdict import worst_of
from perfconsole.ui.widgets.pane import Pane

_LABEL, _VALUE = 12, 8


class SystemPane(Pane, can_focus=True):
    """Rows of `Meter`s; scrolls when expanded."""

    TITLE = "System"

    def __init__(self, id: str | None = None) -> None:  # noqa: A002  Textual's word
        super().__init__(id=id)
        self._tracks: dict[SeriesDef, Track] = {}
        self._rules: Sequence[Rule] = ()
        self._known_limits: dict[SeriesDef, Limits] = {}
        self._first = 0
        self.expanded = False

    def move(self, rows: int) -> None:
        """Scroll by some rows."""
        self._first = max(0, self._first + rows)
        self.show(self.console_app.state)

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """The title, then as many rows as there is room for, the most telling ones when it is short."""
        rows = meters(state, every=self.expanded)
        if self.expanded:
            self._first = max(0, min(self._first, len(rows) - height + 1))
            rows = rows[self._first : self._first + height - 1]
        elif len(rows) > height - 1:
            kept = {id(meter) for meter in sorted(rows, key=lambda meter: meter.rank)[: height - 1]}
            rows = [meter for meter in rows if id(meter) in kept]
        window_s = fitting_window(state.held_s, self.console_app.window_s)
        title = self._title(state, width, window_s)
        if not rows:
            return [title, self.line().gap().put(f"collecting{self.look.glyphs.ellipsis}", "dim")]
        return [title, *(self._row(state, meter, width, window_s) for meter in rows)]

    def _title(self, state: State, width: int, window_s: float) -> Line:
        """The name, and over the histories how far they reach back, and where something changed."""
        title = self.title_line("SYSTEM")
        cells, start = self._cells(width), title.x + 1
        end = _LABEL + cells
        window = f"last {units.duration(window_s).removesuffix('00s')}"
        label = Label(end - len(window), window, reach=end)
        told = [(at + _LABEL, event) for at, event in ticks(state.events, MACHINE, state.at, cells, window_s / max(cells, 1))]
        put_axis(title, self.look, told, spread([label], {at for at, _ in told}, start, end), above=True)
        return title.to(end).put("now", "dim", _VALUE, right=True)

    def _cells(self, width: int) -> int:
        """Cells of a sparkline."""
        return width - _LABEL - _VALUE - 2 - _detail(width)

    def _row(self, state: State, meter: Meter, width: int, window_s: float) -> Line:
        cells = self._cells(width)
        definition = meter.series.definition
        severity = self._severity(state, definition)
        stale = meter.series.ring.stale(state.at)
        line = self.line().gap().put(meter.label, "dim", _LABEL - 1)
        track = self._tracks.get(definition)
        if track is None or track.cells != cells or track.width_s != window_s / cells:
            track = self._tracks[definition] = Track(cells, window_s)
        values = track.values(meter.series, state.at)
        top = scale_top(values, meter.least) if isnan(meter.top) else meter.top
        put_spark(line, self.look, values, top, self._limits(state, definition))
        sign = self.look.glyph(severity) + " " if severity else ""
        value = f"{sign}{meter.value}"
        line.put(value, "stale" if stale else f"{severity}" if severity else "foreground", _VALUE, right=True)
        if _detail(width):
            room = _detail(width) - 1
            line.gap(2).put(fitting(meter.detail, room), "dim", room)
        return line

    def _severity(self, state: State, definition: SeriesDef) -> str:
        of = (definition.name, definition.labels)  # what is pending, or over, has no colour
        return worst_of(alert for alert in state.alerts.values() if alert.state == "firing" and (alert.metric, alert.labels) == of)

    def _limits(self, state: State, definition: SeriesDef) -> Limits:
        """Thresholds of a series; worked out once for the rules that are in force."""
        rules = state.stream.rules if state.stream else ()
        if rules is not self._rules:
            self._rules, self._known_limits = rules, {}
        found = self._known_limits.get(definition)
        if found is None:
            covering = [rule for rule in rules if rule.above and rule.covers(definition)]
            found = tuple((rule.limit, rule.severity) for rule in sorted(covering, key=lambda rule: rule.limit))
            self._known_limits[definition] = found
        return found


def fitting(detail: str, room: int) -> str:
    """As many of its parts as there is room for, two spaces apart: the last ones go whole. Of the first as much as fits."""
    while len(detail) > room and "  " in detail:
        detail = detail.rpartition("  ")[0]
    return detail


def _detail(width: int) -> int:
    """Cells for the words beside a value."""
    return 44 if width >= 116 else 31 if width >= 72 else 0
