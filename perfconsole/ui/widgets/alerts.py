"""The table of alerts: what fires first, then what is kept quiet, what is under way, what is over, and the silences."""

from collections.abc import Sequence
from math import isnan, nan
from typing import Any, ClassVar, Final

from rich.cells import cell_len

from perfconsole.core import alert_words, units
from perfconsole.core.state import State
from perfconsole.core.tables import Key, View
from perfconsole.core.tick import Alert, Silence
from perfconsole.ui import alerts
from perfconsole.ui.alert_markdown import group_markdown, markdown, silence_markdown
from perfconsole.ui.alerts import FIRING, MUTED, PENDING, RESOLVED, AlertTable, Entry
from perfconsole.ui.arrange import Item
from perfconsole.ui.columns import Column, fitting
from perfconsole.ui.line import Line
from perfconsole.ui.look import WORDS
from perfconsole.ui.spark import Track, bar, put_spark, scale_top
from perfconsole.ui.verdict import began, borders, overdue, present, rules, said
from perfconsole.ui.widgets.header import clock, recorder_text
from perfconsole.ui.widgets.table import TablePane

_BAR: Final = 8
_WIDE: Final = 110
"""Cells of the pane from which on notes are given more room than they need at the least."""


_WIDEST: Final = 120
"""And from which on the title says who records."""


class AlertsPane(TablePane):
    """All alerts, and the silences."""

    TITLE = "Alerts"
    KIND = "alert"
    _FIELDS: ClassVar[Sequence[str]] = ("urgency", "since", "what", "rule")

    def __init__(self, id: str | None = None) -> None:  # noqa: A002  Textual's word
        super().__init__("ALERTS", alerts.COLUMNS, "urgency", detailed=True, id=id)
        self._expanded: set[Key] = set()
        self._tracks: dict[Key, Track] = {}
        self._what_cells = alerts.WHAT_LEAST
        self._note_cells = alerts.NOTE_LEAST
        self._spills = False
        self._count_of: tuple[object, tuple[int, int]] = (None, (0, 0))

    def table(self, state: State) -> Any:
        """What there is; `AlertTable`, which no engine tells."""
        return alerts.table(state) if state.stream else None

    def waiting(self, state: State) -> str:  # noqa: ARG002  nothing is known yet
        """Nothing was told yet."""
        return f"collecting{self.look.glyphs.ellipsis}"

    def views(self) -> list[View]:
        """Alerts are told anyway."""
        return []

    def _watch_rows(self, room: int) -> None:
        """Likewise."""

    # What is selected -------------------------------------------------------------------------------------------------------------

    @property
    def entry(self) -> Entry | None:
        """The selected line."""
        found = self.row
        return found if isinstance(found, Entry) else None

    @property
    def alert(self) -> Alert | None:
        """The selected alert; of several that are told together none."""
        return self.entry.alert if self.entry else None

    def step(self, steps: int) -> None:
        """Go to the next line that is an alert, round the end."""
        if not self._items:
            self.move(1)
        places = [i for i, item in enumerate(self._items) if item.row.members]
        if not places:
            return
        at = self._selected_at if self.selected is not None else -1 if steps > 0 else len(self._items)
        ahead = [i for i in places if i > at] if steps > 0 else [i for i in reversed(places) if i < at]
        self._select(ahead[0] if ahead else places[0 if steps > 0 else -1])
        self.repaint_rows()

    def choose(self, key: Key) -> None:
        """Select a line by what it is about."""
        self.selected = key
        self.repaint_rows()

    def fold(self, key: Key) -> None:
        """List the members of a group below it, or not."""
        self._expanded ^= {key}
        self.repaint_rows()

    # Arranging --------------------------------------------------------------------------------------------------------------------

    def sorts(self) -> list[str]:
        """Within the sections."""
        return list(self._FIELDS)

    def arranged(self, rows: Sequence[Any], room: int) -> list[Item]:
        """By section, and in that as it is sorted. How wide words and notes are depends on those that are about to be shown."""
        items = alerts.arranged(rows, self.sort, self._expanded, reverse=self.reverse, match=self.match)
        kept, state = {item.row.key for item in items}, self.console_app.state
        self._tracks = {key: track for key, track in self._tracks.items() if key in kept}
        shown = [item.row for item in items[self._first : self._first + room]]
        self._what_cells = max([alerts.WHAT_LEAST, *(cell_len(self._what_here(entry, state)) for entry in shown)])
        self._note_cells = max([alerts.NOTE_LEAST, *(cell_len(self._note(entry, state)[0]) for entry in shown)])
        return items

    def columns(self) -> list[Column]:
        """Those that fit: words get what they need, then notes, then histories."""
        width = max(self.size.width - 2, 1)
        note = min(self._note_cells, alerts.NOTE_MOST if width >= _WIDE else max(alerts.NOTE_LEAST, width // 3))
        wanted = min(max(self._what_cells, alerts.WHAT_LEAST), alerts.WHAT_MOST)
        columns = fitting(self._wanted, width, note)
        spare = self._spare(columns, width, note)
        if wanted > alerts.WHAT_LEAST + spare:  # in a storm its one line says more than histories do
            columns = [column for column in columns if column.id != "history"]
            spare = self._spare(columns, width, note)
        what = min(alerts.WHAT_LEAST + spare, wanted)
        history = alerts.HISTORY_LEAST + max(0, min(spare - (what - alerts.WHAT_LEAST), alerts.HISTORY_MOST - alerts.HISTORY_LEAST))
        sizes = {"what": what, "history": history}
        return [column._replace(width=sizes.get(column.id, column.width)) for column in columns]

    def _spare(self, columns: Sequence[Column], width: int, note: int) -> int:
        """Cells that are left when each column has the least it needs."""
        return max(width - sum((column.width or note) + 1 for column in columns), 0)

    # Words ------------------------------------------------------------------------------------------------------------------------

    def heading(self, state: State, table: Any) -> Line:
        """How many fire, of which severity, and how many do not but are to be known of."""
        line = self.title_line(self._title).gap(2)
        verdict = table.verdict
        if self.match:
            line.put(f"{len(self._items)} of {table.total}  filter {self.match!r}", "dim").gap(2)
        for severity, number in alerts.counted(verdict):
            line.put(f"{self.look.glyph(severity)} {number} {WORDS[severity]}", severity).gap(2)
        taken = sum(alert.ack is not None for alert in verdict.alerts)
        late = sum(bool(overdue(state, alert)) for alert in verdict.alerts)
        counts = (
            (late, "overdue", "critical_bar"), (taken, "acked", "foreground"), (len(verdict.muted), "muted", "warning_bar"),
            (len(verdict.pending), "pending", "dim"), (len(state.silences), "silences", "dim"),
        )  # fmt: skip
        for number, name, role in counts:
            text = f"{number} {name[:-1] if name == 'silences' and number == 1 else name}"
            if number and line.left > len(text) + 3:
                line.put(text, role).gap(2)
        note = self._moment(state) or f"{self._watching(state)[0]} rules"
        if self.size.width >= _WIDEST:
            note = "  ".join(filter(None, (recorder_text(state, self.look, line.left - len(note) - 4), note)))
        return line.to(max(line.x, line.width - cell_len(note) - 1)).put(note, "dim") if line.left > cell_len(note) + 1 else line

    def _moment(self, state: State) -> str:
        """That this is not the present."""
        return f"as it was {clock(state.at)}" if self.console_app.pump.past else ""

    def _watching(self, state: State) -> tuple[int, int]:
        of = (state.stream, tuple(state.groups))
        if self._count_of[0] != of:
            self._count_of = (of, alerts.watched(state))
        return self._count_of[1]

    def empty(self, table: Any) -> str:
        """That all is well, and what is looked at for it to be so."""
        state = self.console_app.state
        of_rules, series = self._watching(state)
        if not of_rules:
            return "no alert can fire: no rule is in force ([alerts] defaults = true brings the shipped ones, [[alert]] adds one)"
        if self.console_app.silent_s() or state.stale("system"):
            return f"no alert was firing when there was data last; {of_rules} rules wait for more"
        verb = "was" if self.console_app.pump.past else "is"
        over = len(table.verdict.thresholds)
        told = f", though {over} {'value is' if over == 1 else 'values are'} over a threshold: that has to last" if over else ""
        watch = "watched" if verb == "was" else "watch"
        return f"no alert {verb} firing{told}; {of_rules} rules {watch} {series} series"

    def remarks(self, state: State, table: Any) -> Sequence[str]:
        """That nothing is known of now: what fires goes on firing."""
        silent_s = self.console_app.silent_s()
        if silent_s:
            return [f"no data since {units.duration(silent_s)}: what fires goes on firing until it is seen to be well"]
        gone = sum(not present(state, alert) for alert in table.verdict.alerts)
        return [f"no samples now of {gone} that {'fires' if gone == 1 else 'fire'}: none ends of silence"] if gone else []

    def foot(self, state: State, table: Any) -> list[Line]:
        """Where there is no column for it, what the selected line is about in full, and its rule."""
        below = super().foot(state, table)
        entry = self.entry
        if entry is None or any(column.id == "rule" for column in self.columns()):
            return below
        line = self.line("panel").gap()
        if entry.silence:
            line.put(entry.silence.reason or "no reason", "foreground")
        elif entry.chief:
            rule = entry.chief.rule
            line.put(self._what(entry, state), "foreground", min(cell_len(self._what(entry, state)), line.left - len(rule) - 3))
            line.to(max(line.x + 2, line.width - len(rule) - 1)).put(rule, "dim")
        return [line, *below]

    def _what(self, entry: Entry, state: State) -> str:
        indent = "  " if entry.within else ""
        if entry.silence:
            return alert_words.matcher(entry.silence.match)
        if len(entry.members) > 1:
            return alert_words.group_line(entry.members)
        alert = entry.members[0]
        return indent + (alert_words.ended(alert) if entry.section == RESOLVED else said(state, alert))

    def _what_here(self, entry: Entry, state: State) -> str:
        """The same, where there is little room without the number of samples: the line at the bottom has it."""
        return self._what(entry, state) if self.size.width >= _WIDE else alert_words.without_n(self._what(entry, state))

    def _since(self, entry: Entry, state: State) -> str:
        if entry.silence:
            return f"{alerts.until(max(0.0, entry.silence.until - state.at))} left"
        alert = entry.members[0]
        if entry.section == RESOLVED:
            return f"{alerts.ago(max(0.0, state.at - alert.at))} ago"
        if entry.section == PENDING:
            left_s = self._progress(alert, state).left_s
            return "" if isnan(left_s) else f"in {alerts.until(left_s)}"
        return alert_words.lasting(alert, state.at, began(state)).removeprefix("for ").replace("over ", ">")

    def _progress(self, alert: Alert, state: State) -> alert_words.Progress:
        rule = rules(state).get(alert.rule)
        return alert_words.progress(alert, rule.for_s if rule else nan, state.at)

    def _note(self, entry: Entry, state: State) -> tuple[str, str]:
        """What has become of it, and the role of that."""
        if entry.silence:
            return self._of_silence(entry.silence, state), "dim"
        if len(entry.members) > 1:
            many_late = sum(bool(overdue(state, alert)) for alert in entry.members)
            told = ", ".join(filter(None, (f"{many_late} overdue" if many_late else "", alert_words.tally(entry.members))))
            return told, "critical_bar" if many_late else "dim"
        alert = entry.members[0]
        if entry.section == RESOLVED:
            lasted = alert.at - alert.since
            return f"lasted {alert_words.short(round(lasted))}" if lasted >= 1 else "", "dim"
        if entry.section == PENDING:
            return self._course(alert, state), "dim"
        late = overdue(state, alert)
        fate = [late, alert.muted or self._silenced(alert, state), alert_words.acked(alert), "flapping" * alert.flapping]
        fate += [] if present(state, alert) else ["no samples now"]
        return ", ".join(filter(None, fate)), "critical_bar" if late else "foreground"

    def _silenced(self, alert: Alert, state: State) -> str:
        if not alert.silence:
            return ""
        found = next((silence for silence in state.silences if silence.id == alert.silence), None)
        return f"silenced by {found.by}: {found.reason}" if found else "silenced"

    def _of_silence(self, silence: Silence, state: State) -> str:
        under = len(alert_words.covered(silence, state.alerts))
        return f"{silence.by}: {silence.reason}" + (f" ({under} under it)" if under else "")

    def _course(self, alert: Alert, state: State) -> str:
        """A bar to when it fires."""
        rule, ratio = rules(state).get(alert.rule), self._progress(alert, state).ratio
        if isnan(ratio):
            return "pending"
        drawn = bar(self.look, ratio, _BAR)
        blank = self.look.glyphs.dot
        return f"{drawn}{blank * (_BAR - len(drawn))} {units.percent(ratio)}" + (f" of {alert_words.short(rule.for_s)}" if rule else "")

    # Cells ------------------------------------------------------------------------------------------------------------------------

    def cell(self, item: Item, column: Column, state: State) -> tuple[str, str]:
        """What counts stands out; what does not is dimmed."""
        entry: Entry = item.row
        if column.id == "note":
            text, role = self._note(entry, state)
            return text, "stale" if entry.section == MUTED else role
        texts = {"what": self._what_here, "since": self._since, "rule": self._rule, "value": self._value}
        text = texts[column.id](entry, state)
        faint = entry.section != FIRING
        quiet = "stale" if entry.section == MUTED else "dim"
        return text, quiet if faint and (column.id != "what" or entry.section == MUTED) else "dim" if column.id == "rule" else "foreground"

    def _rule(self, entry: Entry, state: State) -> str:  # noqa: ARG002  as its siblings
        return entry.chief.rule if entry.chief else ""

    def _value(self, entry: Entry, state: State) -> str:
        """The newest sample against the threshold; of what is up or down that."""
        alert = entry.alert
        if alert is None or alert.stat == "ratio":
            return ""
        value = state.value(alert.metric, **dict(alert.labels))
        shown = alert_words.shown(alert, value)
        return shown if alert_words.either_or(alert) else f"{shown} {alert_words.threshold(alert)}"

    def _row(self, item: Item, columns: Sequence[Column], state: State) -> Line:
        """Of what there is no note, the words may have the room of that, where it is beside them."""
        beside = [column.id for column in columns][-2:] == ["what", "note"]
        self._spills = beside and not self._note(item.row, state)[0]
        return super()._row(item, columns, state)

    def _put(self, line: Line, item: Item, column: Column, state: State) -> None:
        """A history has a style a cell; a state is no block of its colour."""
        entry: Entry = item.row
        start = line.x
        if column.id == "state":
            alert = entry.chief
            glyph = self.look.glyph("ok" if entry.section == RESOLVED else alert.severity) if alert else " "
            firing = entry.section == FIRING and alert is not None
            role = alert.severity if firing and alert else "ok_bar" if entry.section == RESOLVED else "dim"
            if alert and entry.section == PENDING:
                role = f"{alert.severity}_bar"
            text = f"{glyph} {alerts.state_word(entry)}"
            line.put(text, role, min(cell_len(text), column.width))
        elif len(entry.members) > 1 and column.id == "what":  # it has no value of its own: its words take that room too
            beside = next((other.width + 1 for other in self.columns() if other.id == "value"), 0)
            line.put(self._what(entry, state), "foreground" if entry.section == FIRING else "stale", column.width + beside).gap()
            return
        elif len(entry.members) > 1 and column.id == "value":
            return
        elif self._spills and column.id in {"what", "note"}:
            if column.id == "what":
                line.put(*self.cell(item, column, state), line.left - 1)
            return
        elif column.id == "history":
            if entry.alert and entry.section != RESOLVED:
                self._put_history(line, entry.alert, entry.key, column.width, state)
        else:
            super()._put(line, item, column, state)
            return
        line.to(start + column.width).gap()

    def _put_history(self, line: Line, alert: Alert, key: Key, cells: int, state: State) -> None:
        series, window_s = state.find(alert.metric, **dict(alert.labels)), self.console_app.window_s
        if series is None:
            return
        track = self._tracks.get(key)
        if track is None or (track.cells, track.width_s) != (cells, window_s / cells):
            track = self._tracks[key] = Track(cells, window_s)
        values = track.values(series, state.at)
        limits, floors = borders(alert)
        put_spark(line, self.look, values, scale_top([*values, alert.limit if limits else nan], 1e-9), limits, floors)

    def copied(self) -> str:
        """The selected line as Markdown."""
        entry, state = self.entry, self.console_app.state
        if entry is None:
            return ""
        if entry.silence:
            return silence_markdown(entry.silence)
        return markdown(state, entry.alert) if entry.alert else group_markdown(state, entry.members)


__all__ = ["AlertTable", "AlertsPane"]
