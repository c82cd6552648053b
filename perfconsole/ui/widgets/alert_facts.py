"""The upper part of an alert's screen: what is the matter in words, the facts of it, and the chart of what its rule looks at."""

from collections.abc import Iterator, Sequence
from math import isnan, nan
from typing import Final

from perfconsole.core import alert_words, units, words
from perfconsole.core.metrics import METRICS
from perfconsole.core.state import State
from perfconsole.ui import alert as alert_course
from perfconsole.ui.alert import Span, Subject
from perfconsole.ui.line import Line
from perfconsole.ui.look import WORDS
from perfconsole.ui.screens.alert_target import target_name
from perfconsole.ui.spark import Limits, fitting_window, put_cells, put_spark, scale_top
from perfconsole.ui.ticks import of_labels, ticks
from perfconsole.ui.verdict import began, overdue, present, runbook, said
from perfconsole.ui.widgets import chart
from perfconsole.ui.widgets.detail import day_and_time
from perfconsole.ui.widgets.facts import FactsGrid, Told
from perfconsole.ui.widgets.header import clock
from perfconsole.ui.widgets.pane import Pane

_DAY_S: Final = 86_400.0
_OVER: Final = 1.2
"""How far the scale goes beyond the threshold."""


def moment(at: float, now: float) -> str:
    """``03:12:10``; of another day with that."""
    return units.UNKNOWN if isnan(at) else day_and_time(at) if now - at > _DAY_S else clock(at)


class AlertFacts(FactsGrid[Subject]):
    """What is the matter, and what is known of it."""

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """The title, the sentence, who is on it, and facts in a grid."""
        facts = list(self._facts(state))
        return [self._title(state), self._sentence(state), self._fate(state), *self.grid(facts, width, height - 3)]

    def _title(self, state: State) -> Line:
        alert = self._subject.alert
        line = self.line("panel").gap().put("ALERT ", "title").put(alert.rule, "accent").gap(2)
        if not self._subject.live:
            return line.put(f"{self.look.glyph('stale')} not known at this moment, what was known last is shown", "stale")
        if alert.state == "firing":
            line.put(f"{self.look.glyph(alert.severity)} {WORDS[alert.severity]}", alert.severity).gap()
            line.put(f"firing {alert_words.lasting(alert, state.at, began(state))}".rstrip(), "foreground")
            return line.put(f", since {moment(alert.since, state.at)}", "dim")
        glyph = "ok" if alert.state == "resolved" else alert.severity
        line.put(f"{self.look.glyph(glyph)} {alert.state}", f"{glyph}_bar")
        if alert.state == "pending":
            found = self._progress(state)
            left = "" if isnan(found.left_s) else f" for {units.percent(found.ratio)} of its time, fires in {units.duration(found.left_s)}"
            return line.put(left, "foreground")
        return line.put(f" {moment(alert.at, state.at)}, after {alert_words.short(round(alert.at - alert.since))}", "foreground")

    def _progress(self, state: State) -> alert_words.Progress:
        rule = self._subject.rule
        return alert_words.progress(self._subject.alert, rule.for_s if rule else nan, state.at)

    def _sentence(self, state: State) -> Line:
        alert = self._subject.alert
        line = self.line().gap()
        if alert.state == "resolved":
            return line.put(alert_words.ended(alert))
        line.put(said(state, alert), "foreground" if not self.faded else "stale")
        if alert.state == "firing" and not present(state, alert):
            series = self._subject.series(state)
            age = f" for {units.duration(state.at - series.ring.last)}" if series and len(series.ring) else ""
            line.put(f"  no samples{age}: it does not end of silence", "stale")
        return line

    def _fate(self, state: State) -> Line:
        """Whether somebody is on it, and why it may be quiet."""
        alert, line = self._subject.alert, self.line().gap()
        late = overdue(state, alert)
        if late:
            line.put(f"{late}: nobody has taken it on", "critical_bar").gap(2)
        elif alert.ack:
            line.put(alert_words.acked(alert), "accent").put(f" {moment(alert.ack.at, state.at)}", "dim")
            line.put(f": {alert.ack.text}" if alert.ack.text else "").gap(2)
        elif alert.state == "firing" and not alert_words.quiet(alert):
            line.put("nobody has taken it on", "dim").put(self._within(state), "dim").gap(2)
        silence, alone = next((one for one in state.silences if one.id == alert.silence), None), alert_words.only_silenced(alert)
        if silence:
            line.put("silenced", "warning_bar").put(f" by {silence.by} until {clock(silence.until)[:5]}: {silence.reason}").gap(2)
        elif alert.silence:
            line.put((alone and alert.muted) or "silenced", "warning_bar").gap(2)
        if alert.muted and not alone:
            line.put(f"quiet: {alert.muted}", "warning_bar").gap(2)
        return line.put("flapping", "warning_bar") if alert.flapping else line

    def _within(self, state: State) -> str:
        rule, alert = self._subject.rule, self._subject.alert
        if rule is None or isnan(rule.respond_s) or isnan(alert.fired_at):
            return ""
        return f", an answer is due in {units.duration(max(0.0, alert.fired_at + rule.respond_s - state.at))}"

    def _facts(self, state: State) -> Iterator[Told]:
        """Label, value and role of each, the most telling ones first."""
        alert, rule = self._subject.alert, self._subject.rule
        yield "decided", alert_words.decided(alert), "foreground"
        if alert_words.threshold(alert) != alert_words.decided(alert):
            yield "limit", alert_words.threshold(alert), "foreground"
        yield "by", alert_words.statistic(alert), "foreground"
        now = state.value(alert.metric, **dict(alert.labels))
        if not alert_words.either_or(alert):
            yield "now", words.measured(alert.metric, now), "foreground"
        yield "fired", moment(alert.fired_at, state.at), "foreground"
        if rule:
            yield "lasts", f"for {alert_words.short(rule.for_s)}" if rule.for_s else "at once", "foreground"
        yield "where", target_name(alert), "foreground"
        if rule and rule.depends_on:
            yield "needs", ", ".join(rule.depends_on), "foreground"
        address = runbook(state, alert)
        yield "runbook", address or "none", "foreground" if address else "dim"


class AlertChart(Pane):
    """The statistic over time, its threshold, and below it when the alert was pending and firing; in one line a sparkline of it.

    Args:
        subject: The alert.
    """

    def __init__(self, subject: Subject) -> None:
        super().__init__(id="chart")
        self._subject = subject
        self.spans: Sequence[Span] = ()

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """A title, the area, when it was in which state, and the times; where there is no room for these a line."""
        subject = self._subject
        times, _ = subject.points(state)
        if not times:
            words = "nothing is measured of it at this moment" if self._subject.series(state) is None else "no samples are held of it"
            return [self._title(""), self.line().gap().put(words, "dim")] if height > 1 else [self.line().gap().put(words, "dim")]
        window_s = fitting_window(state.at - times[0], self.console_app.window_s)
        if height < 4:
            return [self._strip(state, width, window_s)]
        count = chart.columns(width)
        width_s = max(window_s / max(count, 1), 1e-3)
        alert = subject.alert
        values = alert_course.columns(subject, state, count, width_s)
        limits: Limits = ((alert.limit, alert.severity),) if alert.limit > 0 else ()
        above = alert.above
        if self._of_up and not above:  # what matters is when it was down: that is drawn, and nothing while it was up
            values, above = [1 - value for value in values], True
        top, edge = self._top(values), clock(state.at) if self.console_app.pump.past else "now"
        plot = chart.Plot(
            values, top, self._scale, window_s, edge, limits if above else (), "chart" if subject.live else "stale_bar",
            floors=() if above else limits, ticks=ticks(state.events, of_labels(dict(alert.labels)), state.at, count // 2, width_s, 2),
        )  # fmt: skip
        drawn = chart.chart_lines(self.look, width, height - 2, plot)
        title = self._title(f"last {chart.ago(window_s)}")
        return [title, *drawn[:-1], self._states(state, count // 2, width_s * 2), *drawn[-1:]] if drawn else [title]

    @property
    def _of_up(self) -> bool:
        alert = self._subject.alert
        return alert.metric.endswith(".up") and alert.stat == "last"

    def _scale(self, value: float) -> str:
        alert = self._subject.alert
        if self._of_up:
            return "" if value < 1 else "up" if alert.above else "down"
        return alert_course.scale_text(alert, value)

    def _top(self, values: Sequence[float]) -> float:
        """The top of the scale: of shares and of what is up or down all there is, unless that flattens them; else a round one."""
        alert = self._subject.alert
        known = [value for value in values if not isnan(value)]
        metric = METRICS.get(alert.metric)
        if self._of_up:
            return 1.0
        if metric and metric.unit == "1" and alert.stat != "ratio" and max([*known, alert.limit]) <= 1 and alert.limit >= 0.2:
            return 1.0
        return scale_top([*known, alert.limit * _OVER], 1e-6)

    def _title(self, note: str) -> Line:
        alert = self._subject.alert
        line = self.line("panel").gap().put(alert_words.measure(alert).upper(), "title").gap(2)
        stat = "" if alert.stat == "last" else f"{alert.stat} over {alert_words.short(alert.over_s)}  "
        line.put(stat, "foreground").put(f"{self.look.glyph(alert.severity)} {alert_words.threshold(alert)}", "dim")
        return line.to(max(line.x + 1, line.width - len(note) - 1)).put(note, "dim")

    def _states(self, state: State, cells: int, width_s: float) -> Line:
        """When it was pending, and when firing."""
        alert, ascii_only = self._subject.alert, self.look.ascii
        marks = {"": (self.look.glyphs.rule, "border"), "pending": ("-" if ascii_only else "╌", "warning_bar"),
                 "firing": ("=" if ascii_only else "━", f"{alert.severity}_bar")}  # fmt: skip
        first = int(state.at // width_s) - cells + 1
        found = [""] * cells
        for span in self.spans:
            for at in range(max(0, int(span.start // width_s) - first), min(cells, int(span.end // width_s) - first + 1)):
                found[at] = span.state if found[at] != "firing" else "firing"
        now = next((span.state for span in reversed(self.spans) if span.end >= state.at), "")
        line = self.line().put({"firing": "fires", "pending": "pend"}.get(now, ""), marks[now][1] if now else "dim", chart.AXIS)
        put_cells(line, [marks[name] for name in found])
        return line

    def _strip(self, state: State, width: int, window_s: float) -> Line:
        span, alert = f"last {chart.ago(window_s)}", self._subject.alert
        cells = max(1, width - len(span) - 4)
        values = alert_course.columns(self._subject, state, cells, window_s / cells)
        line = self.line().gap()
        limit = ((alert.limit, alert.severity),)
        put_spark(line, self.look, values, self._top(values), limit if alert.above else (), () if alert.above else limit)
        return line.gap().put(span, "dim")
