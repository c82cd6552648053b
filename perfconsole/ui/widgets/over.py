"""The alerts, worst first, and since when; then what is merely over its threshold; and what could not be measured, with the fix."""

from collections.abc import Sequence
from math import isnan, nan
from typing import Final, NamedTuple

from textual.events import Click

from perfconsole.core import alert_words, units
from perfconsole.core.endpoints import TARGET
from perfconsole.core.state import State
from perfconsole.core.tick import Alert, Health
from perfconsole.ui.line import Line
from perfconsole.ui.look import WORDS
from perfconsole.ui.spark import Track, put_spark, scale_top
from perfconsole.ui.unseen import is_unseen
from perfconsole.ui.verdict import HTTP, Verdict, began, borders, judge, overdue, present, rules, said
from perfconsole.ui.widgets.header import clock
from perfconsole.ui.widgets.pane import Pane

_ROOMY: Final = 50
_SPARK_WIDTH: Final = 100
"""Cells of the pane from which on there is room for histories; and of a history."""
_SPARK_CELLS: Final = 16
_APART: Final = 7
"""Lines from which on thresholds have a heading of their own."""

_TROUBLE = {"error": "critical", "denied": "warning", "stale": "stale"}

Told = tuple[str, str]
"""A text and its role."""

THRESHOLDS: Final = "OVER THRESHOLD NOW"


def troubles(state: State) -> list[Health]:
    """Collectors that fail, and parts of them; what is merely not there (``off``), or kept from an observer's sight, is none."""
    return [health for health in state.health.values() if health.state in _TROUBLE and not is_unseen(health)]


class Entry(NamedTuple):
    """A line: alerts that are told together, most often one; `present` says whether what it says is known of now."""

    members: tuple[Alert, ...]
    present: bool

    @property
    def alert(self) -> Alert:
        """The worst of them."""
        return self.members[0]


class OverPane(Pane, can_focus=True):
    """A list; empty is good news and takes one line.

    Attributes:
        selected: The id of the selected alert, or of the first of several that are told together; empty for none.
    """

    TITLE = "Alerts, and what is over its threshold"

    def __init__(self, id: str | None = None) -> None:  # noqa: A002  Textual's word
        super().__init__(id=id)
        self.selected = ""
        self._first = 0
        self._shown: list[Entry] = []
        self._ids: list[str] = []
        self._sparks: dict[str, Track] = {}

    @property
    def entry(self) -> Entry | None:
        """The selected line."""
        return next((entry for entry in self._entries(self.console_app.state) if entry.alert.id == self.selected), None)

    @property
    def alert(self) -> Alert | None:
        """The selected alert; of several that are told together, and of a threshold, none."""
        entry = self.entry
        return entry.alert if entry and len(entry.members) == 1 and not entry.alert.colour else None

    def move(self, rows: int) -> None:
        """Move the selection."""
        entries = self._entries(self.console_app.state)
        if entries:
            at = next((i for i, entry in enumerate(entries) if entry.alert.id == self.selected), -1 if rows > 0 else 0)
            self.selected = entries[max(0, min(len(entries) - 1, at + rows))].alert.id
            self.show(self.console_app.state)

    # Showing ----------------------------------------------------------------------------------------------------------------------

    def _entries(self, state: State, judged: Verdict | None = None) -> list[Entry]:
        """Alerts, those that notify nobody, then thresholds; what is known of now before what was."""
        judged = judged or judge(state)
        out: list[Entry] = []
        for alerts in (judged.alerts, judged.muted, judged.thresholds):
            out += [Entry(members, any(present(state, alert) for alert in members)) for members in alert_words.gathered(alerts)]
        out.sort(key=lambda entry: not entry.present)
        return out

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """The title with the count, then a line each."""
        judged = judge(state)
        entries, failing = self._entries(state, judged), troubles(state)
        apart = bool(judged.thresholds) and any(not entry.alert.colour for entry in entries) and height >= _APART
        room = max(1, height - 1 - apart)
        total = len(entries) + len(failing)
        rows = room if total <= room or height <= 2 else room - 1  # with one line beside the title the worst says more than a number
        self._follow(entries, rows)
        self._shown = entries[self._first : self._first + rows]
        listed = self._listed(state, width, apart=apart)
        listed += [self._trouble(health) for health in failing[: max(0, rows - len(self._shown))]]
        listed += self._pending(state, width, judged, height - 2 - len(listed)) if self._shown else []
        if not total:
            listed.append(self.line().gap().put("nothing", "dim"))
        if total > rows and height > 2:
            listed = [*listed[: rows + apart], self.line().gap().put(f"and {total - rows} more", "dim")]
        return [self._heading(judged, entries), *listed]

    def _pending(self, state: State, width: int, judged: Verdict, room: int) -> list[Line]:
        """With room left, what may fire next; what is over a threshold stands there already."""
        over = {(alert.metric, alert.labels) for alert in judged.over}
        coming = [alert for alert in judged.pending if (alert.metric, alert.labels) not in over]
        made = [Entry(members, present=True) for members in alert_words.gathered(coming)]
        return [self._breach(state, entry, width) for entry in made[: max(0, room)]]

    def _follow(self, entries: Sequence[Entry], rows: int) -> None:
        at = next((i for i, entry in enumerate(entries) if entry.alert.id == self.selected), -1)
        if at < 0:
            self.selected = ""
        self._first = 0 if at < 0 else max(at - rows + 1, min(self._first, at))
        self._first = max(0, min(self._first, len(entries) - rows))

    def _heading(self, judged: Verdict, entries: Sequence[Entry]) -> Line:
        told = next(iter(entries), None)
        severity = "ok" if told is None else told.alert.severity if told.present else "stale"
        if told is None or told.alert.colour:
            return self.title_line(THRESHOLDS, "since" if judged.thresholds else "", severity)
        counts = [(len(judged.alerts), "firing"), (len(judged.muted), "muted"), (len(judged.pending), "pending")]
        note = ", ".join(f"{number} {name}" for number, name in counts if number)
        return self.title_line("ALERTS", note, "ok" if not judged.alerts else severity)

    def _listed(self, state: State, width: int, *, apart: bool) -> list[Line]:
        self._ids = []
        lines: list[Line] = []
        for entry in self._shown:
            if apart and entry.alert.colour:
                lines.append(self.line("panel").gap().put(THRESHOLDS, "dim"))
                self._ids.append("")
                apart = False
            self._ids.append(entry.alert.id)
            lines.append(self._breach(state, entry, width))
        self._sparks = {key: track for key, track in self._sparks.items() if key in {entry.alert.id for entry in self._shown}}
        return lines

    def _breach(self, state: State, entry: Entry, width: int) -> Line:
        alert = entry.alert
        chosen = alert.id == self.selected and self.has_focus
        line = self.line("selection" if chosen else "background").put(self.look.glyphs.marker if chosen else " ", "accent")
        word = "pend" if alert.state == "pending" else "mute" if not alert.colour and alert_words.quiet(alert) else WORDS[alert.severity]
        faint = not entry.present or alert.state == "pending" or bool(alert_words.quiet(alert))
        role = "stale" if not entry.present else f"{alert.severity}_bar" if alert.colour or faint else alert.severity
        line.put(f"{self.look.glyph(alert.severity)} {word}", role, 6).gap()
        what = alert_words.group_line(entry.members) if len(entry.members) > 1 else said(state, alert)
        notes, since = self._notes(state, entry, width)
        what = what if entry.present else f"was: {what}"
        ink = "stale" if faint else "dim" if alert.colour and self._mixed else "foreground"
        if width >= _SPARK_WIDTH:  # histories stand below each other
            alone = len(entry.members) == 1
            line.put(what, ink, max(0, width // 2 - line.x + (0 if alone else _SPARK_CELLS + 2)))
            if alone:
                self._put_spark(line.gap(2), state, alert)
            self._put_notes(line, notes, max(0, line.left - len(since[0]) - 3))
            return line.to(line.width - len(since[0]) - 1).put(*since)
        told = [*notes, since]
        line.put(what, ink, max(0, line.left - sum(len(text) + 2 for text, _ in told if text) - 1))
        for text, role in told:
            line.gap(2 * bool(text)).put(text, role)
        return line

    def _put_notes(self, line: Line, notes: Sequence[Told], room: int) -> None:
        """As many as there is room for."""
        end = line.x + room
        for text, role in notes:
            if line.x + len(text) + 2 <= end:
                line.gap(2).put(text, role)

    @property
    def _mixed(self) -> bool:
        """Whether thresholds stand beside alerts."""
        return any(not entry.alert.colour for entry in self._shown)

    def _notes(self, state: State, entry: Entry, width: int) -> tuple[list[Told], Told]:
        """What has become of it; and for how long it has been so."""
        alert = entry.alert
        rule = None if alert.colour else rules(state).get(alert.rule)
        if alert.state == "pending":
            left_s = alert_words.progress(alert, rule.for_s if rule else nan, state.at).left_s
            return [], ("pending" if isnan(left_s) else f"fires in {units.duration(left_s)}", "dim")
        if not entry.present:
            return [], ("", "dim")
        roomy = width >= _SPARK_WIDTH
        late = overdue(state, alert)
        quiet = "silenced" if alert_words.only_silenced(alert) and not roomy else alert_words.quiet(alert)  # by whom, its screen tells
        fate = late or quiet or alert_words.acked(alert) if not alert.colour else ""
        if len(entry.members) > 1:
            fate = alert_words.tally(entry.members)
        most = max(8, width // 3)
        fate = fate if len(fate) <= most else fate[: most - 1] + self.look.glyphs.ellipsis
        notes = [(fate, "critical_bar" if late else "dim")] if fate else []
        if roomy and rule and rule.depends_on:
            notes.append((f"depends on {', '.join(rule.depends_on)}", "dim"))
        since = alert_words.lasting(alert, state.at, began(state)).removeprefix("for ")
        if since and width >= _ROOMY:  # else what is over its threshold matters more than the hour at which it began
            since = f"{since}  {clock(alert.since)}" if not fate or roomy else since.replace("over ", ">")
        return notes, (since, "dim")

    def _put_spark(self, line: Line, state: State, alert: Alert) -> None:
        """Its history, with what is over the threshold in its severity."""
        series = state.find(alert.metric, **dict(alert.labels))
        track = self._sparks.get(alert.id)
        window_s = self.console_app.window_s
        if track is None or track.width_s != window_s / _SPARK_CELLS:
            track = self._sparks[alert.id] = Track(_SPARK_CELLS, window_s)
        if series is None:
            line.gap(_SPARK_CELLS)
            return
        values = track.values(series, state.at)
        limits, floors = borders(alert)
        put_spark(line, self.look, values, scale_top([*values, alert.limit], 1e-9), limits, floors)

    def _trouble(self, health: Health) -> Line:
        # Of one endpoint: it is the console that cannot measure it, and nothing is the matter with it as far as is known.
        severity = "unknown" if health.collector == HTTP and health.target != TARGET else _TROUBLE[health.state]
        line = self.line().gap().put(self.look.glyph(severity), f"{severity}_bar").gap()
        what = health.collector if health.target in {"host", TARGET} else f"{health.collector} {health.target}"
        line.put(what, "title").put(f"  {health.error}", "foreground")
        return line.put(f"  {health.fix}" if health.fix else "", "dim")

    # Mouse and clipboard ----------------------------------------------------------------------------------------------------------

    def on_click(self, event: Click) -> None:
        """Select one, open it when it was selected."""
        at = event.y - 1
        if 0 <= at < len(self._ids) and self._ids[at]:
            again = self._ids[at] == self.selected
            self.selected = self._ids[at]
            self.show(self.console_app.state)
            if again:
                self.post_message(self.Opened(self, self.selected))
