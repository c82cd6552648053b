"""The two rows on top of every screen: worst state and count, which host and subsystem, is it live; and the worst thing in words."""

from collections.abc import Mapping, Sequence
from math import isnan
from time import localtime, strftime
from typing import NamedTuple

from rich.cells import cell_len

from perfconsole.core import alert_words, units
from perfconsole.core.endpoints import TARGET
from perfconsole.core.state import State
from perfconsole.core.tick import Alert
from perfconsole.ui.line import Line
from perfconsole.ui.look import WORDS, Look
from perfconsole.ui.verdict import (
    HTTP,
    Verdict,
    began,
    database_severity,
    http_severity,
    judge,
    overdue,
    present,
    said,
    system_severity,
    worst_of,
)
from perfconsole.ui.widgets.pane import Pane

LEAST_WIDTH, LEAST_HEIGHT = 60, 16
"""Smaller than this nothing useful fits: the header alone is shown."""

_ROOMY = 76
"""Cells from which on there is room for more than the time, and between the counts."""

_WIDE = 120
"""And from which on for what can be done without."""

_RECORDS = "recorder "
_RECORDER, _RECORDER_LEAST = 48, 12
"""Cells of who records, at most, and of the name at least: less of one tells nothing."""

_RECORDED = "rec"
"""That somebody does, where there is no room to say who: help has it in full."""


def clock(at: float) -> str:
    """Local time of day."""
    return "--:--:--" if isnan(at) else strftime("%H:%M:%S", localtime(at))


def limits_text(state: State) -> str:
    """``container: 2 of 16 CPUs, 512M`` where less may be used than there is; else empty."""
    parts = []
    cpus, limit = state.value("system.cpu.logical.count"), state.value("system.cpu.limit")
    if limit < cpus:
        parts.append(f"{limit:g} of {cpus:g} CPUs")
    memory, total = state.value("system.memory.limit"), state.value("system.memory.total")
    if memory < total:
        parts.append(f"{units.size(memory)} of {units.size(total)}")
    return "container: " + ", ".join(parts) if parts else ""


def recorder_text(state: State, look: Look, room: int) -> str:
    """Who records: ``recorder /var/lib/perfconsole``; of a long name the end, which tells it from others. Empty where nobody does.

    Args:
        state: What is known.
        look: How it is drawn.
        room: Cells; with too few of them to say whom, nothing is said.
    """
    name, room = state.stream.recorder if state.stream else "", min(room, _RECORDER) - len(_RECORDS)
    name, cut = name[-4 * _RECORDER :], len(name) > 4 * _RECORDER  # to measure ten thousand signs again and again takes a second
    if not name or room < min(cell_len(name), _RECORDER_LEAST):
        return ""
    if cell_len(name) <= room and not cut:
        return _RECORDS + name
    while cell_len(name) >= room:
        name = name[1:]
    return _RECORDS + look.glyphs.ellipsis + name


class Count(NamedTuple):
    """A part of the counts: texts and roles; `needed` ones are shown before anything else gets room."""

    needed: bool
    texts: list[tuple[str, str]]


def _of(alerts: Sequence[Alert], severity: str) -> int:
    return sum(alert.severity == severity for alert in alerts)


class Header(Pane):
    """Two rows; never focused."""

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002  always two
        """Status above, the worst thing below."""
        judged = judge(state)
        places = self._places(state, judged)
        stale = "stale" in places.values()
        now = self._present(state, judged) if stale else judged
        size = self.screen.size
        if size.width < LEAST_WIDTH or size.height < LEAST_HEIGHT:
            too_small = f" too small ({size.width}x{size.height}): {LEAST_WIDTH}x{LEAST_HEIGHT} is needed"
            return [self._status(state, places, now), self.line().put(too_small, "warning")]
        worst = self._silence(state, places, now, judged) if stale else self._worst(state, places["SYS"], judged)
        return [self._status(state, places, now), self._put_limits(worst, state)]

    def _present(self, state: State, judged: Verdict) -> Verdict:
        """Of what is the matter, what is known to be so now."""

        def known(alerts: Sequence[Alert]) -> list[Alert]:
            return [alert for alert in alerts if present(state, alert) and not self.console_app.silent_s()]

        return judged._replace(alerts=known(judged.alerts), thresholds=known(judged.thresholds), pending=[])

    def _places(self, state: State, judged: Verdict) -> dict[str, str]:
        """Where something may be the matter, and how each of them does."""
        matter = judged.matter
        places = {"SYS": system_severity(state, matter), "HTTP": http_severity(state, matter), "DB": database_severity(matter)}
        silent = bool(self.console_app.silent_s())
        return {name: "stale" if silent else severity for name, severity in places.items() if severity}

    def _status(self, state: State, places: Mapping[str, str], judged: Verdict) -> Line:
        line = self.line("panel")
        right = self._right(state)
        host = state.stream.host if state.stream else self.console_app.host
        banners = self.console_app.banners()
        kept = cell_len(banners[-1]) + 2 if banners else 0
        counts = self._counts(judged)
        taken = sum(len(text) + 1 for part in counts if part.needed for text, _ in part.texts)
        line.gap().put(host, "title", min(len(host), max(8, line.width - len(right[-1]) - taken - 14))).gap(2)
        if places["SYS"] == "stale":
            self._put_places(line, places)
        spared = len(right[0]) + 3
        if places["SYS"] != "stale":
            spared += sum(len(name) + len(WORDS[severity]) + 5 for name, severity in places.items())
        for part in counts:
            cells = sum(len(text) + 1 for text, _ in part.texts)
            if line.left > cells + (kept if part.needed else spared) or (part.needed and not kept):
                for text, role in part.texts:
                    line.put(text, role).gap()
                line.gap(int(line.width >= _ROOMY))
        if places["SYS"] != "stale":
            spared = cell_len(banners[-2]) if banners else len(right[-1])
            self._put_places(line, places, spared=spared + 1, kept=kept)  # words before how long it is up
        if banners:
            return self._put_banner(line, banners)
        silent_s = self.console_app.silent_s()
        if silent_s:
            line.put(f"no data since {units.duration(silent_s)}", "stale")
        told = next((text for text in right if line.left > len(text)), "")
        told = "  ".join(filter(None, (self._recorder(state, line.left - len(told) - 4), told)))
        return line.to(max(line.x, line.width - cell_len(told) - 1)).put(told, "dim")

    def _recorder(self, state: State, room: int) -> str:
        """Who records, or, where there is less room, that somebody does."""
        if not state.stream or not state.stream.recorder:
            return ""
        brief = _RECORDED if room >= len(_RECORDED) else ""
        if self.size.width < _WIDE:
            return brief
        front = self.console_app.front
        return "" if front is None or front.SCOPE == "alerts" else recorder_text(state, self.look, room) or brief  # its own title says so

    def _counts(self, judged: Verdict) -> list[Count]:
        """How many alerts of which severity, how many somebody has taken on, how many notify nobody; then thresholds and pending."""
        glyph, found = self.look.glyph, []
        for name in ("critical", "warning", "info"):
            number = _of(judged.alerts, name)
            found.append(Count(bool(number), [(f"{glyph(name)} {number} {WORDS[name]}", name)] if number else []))
        acked, muted = sum(alert.ack is not None for alert in judged.alerts), len(judged.muted)
        told = [*([(f"{acked} acked", "foreground")] if acked else []), *([(f"{muted} muted", "warning_bar")] if muted else [])]
        found.append(Count(bool(told), told))
        over = [(f"{glyph(name)} {number}", f"{name}_bar") for name in ("critical", "warning") if (number := _of(judged.thresholds, name))]
        found.append(Count(bool(over) and not judged.alerts, [("over", "dim"), *over] if over else []))
        found.append(Count(False, [(f"{len(judged.pending)} pending", "dim")] if judged.pending else []))
        return [part for part in found if part.texts]

    def _put_places(self, line: Line, places: Mapping[str, str], spared: int = 0, kept: int = 0) -> None:
        """How each of them does; without the words where there is no room for those beside `spared` cells: the signs tell enough.

        And only those that leave the `kept` cells.
        """
        signs = [(name, severity, f"{self.look.glyph(severity)} {WORDS[severity]}") for name, severity in places.items()]
        brief = line.left < spared + sum(len(name) + len(text) + 3 for name, _, text in signs)
        for name, severity, text in signs:
            if line.left > len(name) + 2 + (kept and kept + 2):  # a name without its sign says nothing
                line.put(f"{name} ", "dim").put(text[:1] if brief else text, severity).gap(2)

    def _put_banner(self, line: Line, banners: Sequence[str]) -> Line:
        """Which moment this is, as much of it as there is room for; and what is the matter now."""
        now, told, role = judge(self.console_app.pump.live).over, "", "stale"
        if self.console_app.frozen and self.console_app.pump.silent_s():
            told = f"  now {self.look.glyph('stale')} {WORDS['stale']}"
        elif now:
            role = worst_of(now)
            told = f"  now {self.look.glyph(role)} {len(now)}"
        banner = next((text for text in banners if line.left > cell_len(text) + len(told)), banners[-1])
        line.put(banner, "accent")
        return line.gap(2).put(told.strip(), role) if told and line.left > len(told) else line

    def _right(self, state: State) -> list[str]:
        """What stands at the right, from all of it to as little as there may be room for."""
        uptime = state.value("system.uptime")
        own = state.value("perfconsole.cpu.utilization")
        parts = [clock(state.at), f"up {units.duration(uptime)}", f"self {units.percent(own, 1)}"]
        if self.size.width >= _WIDE:
            used = state.value("perfconsole.memory.usage")
            parts[2] += f" {units.size(used)}"
        if self.size.width < _ROOMY:
            parts = parts[:1] if self.size.width >= LEAST_WIDTH else []
        return ["  ".join(parts[:most]) for most in range(len(parts), 0, -1)] or [""]

    def _worst(self, state: State, severity: str, judged: Verdict) -> Line:
        line = self.line().gap()
        if judged.over:
            return self._put_worst(line, state, judged, state.at)
        if severity == "unknown":
            return line.put(self._trouble(state) or f"collecting{self.look.glyphs.ellipsis}", "dim")
        but = " but what is muted" if judged.muted else ""
        return line.put(self.look.glyph("ok"), "ok").put(f" nothing{but} is over its threshold", "dim")

    def _silence(self, state: State, places: Mapping[str, str], now: Verdict, judged: Verdict) -> Line:
        """That there is no news comes before what was the matter while there was."""
        line = self.line().gap().put(self.look.glyph("stale"), "stale").gap()
        if not self.console_app.silent_s():
            if places["SYS"] == "stale":
                line.put(f"no system data since {units.duration(state.age_s('system'))}", "stale").gap(2)
            if places.get("HTTP") == "stale":
                line.put(f"no checks since {units.duration(state.age_s(HTTP, TARGET))}", "stale").gap(2)
        if now.over:
            self._put_worst(line, state, now, state.at)
        elif judged.over:
            worst = judged.over[0]
            series = state.find(worst.metric, **dict(worst.labels))
            self._put_worst(line.put("was ", "stale"), state, judged, series.ring.last if series else state.at, was=True)
        elif self.console_app.silent_s():
            line.put("nothing was over its threshold", "stale")
        return line.put(f"  {self._trouble(state)}", "dim")

    def _put_worst(self, line: Line, state: State, judged: Verdict, at: float, *, was: bool = False) -> Line:
        """The worst as it stood at a time, alerts before thresholds, and how many there are beside it."""
        alerts = judged.alerts or judged.thresholds
        crowd = next(iter(alert_words.gathered(alerts)))
        worst = crowd[0]
        role = "stale" if was else worst.severity if judged.alerts else f"{worst.severity}_bar"
        lasting = alert_words.lasting(worst, at, began(state))
        text = alert_words.group_line(crowd) if len(crowd) > 1 else said(state, worst)
        line.put(f"{self.look.glyph(worst.severity)} {WORDS[worst.severity]}", role).gap(2)
        line.put(text, "stale" if was else "foreground").put(f"  {lasting}" if lasting else "", "dim")
        if not was and len(crowd) == 1 and judged.alerts:
            late = overdue(state, worst)
            line.put(f"  {late or alert_words.acked(worst)}".rstrip(), "critical_bar" if late else "dim")
        more = len(alerts) - len(crowd)
        line.put(f"  and {more} more" if more else "", "dim")
        return self._put_over(line, state, judged) if judged.alerts and judged.thresholds and not was else line

    def _put_over(self, line: Line, state: State, judged: Verdict) -> Line:
        """After the alerts, the worst of what is merely over its threshold, if there is room to say what; how many more likewise."""
        worst, *others = judged.thresholds
        text = f"over: {said(state, worst)}"
        for told in (f"{text} and {len(others)} more" if others else text, text):
            if line.left > cell_len(told) + 4:
                return line.gap(2).put(self.look.glyph(worst.severity), f"{worst.severity}_bar").put(f" {told}", "dim")
        return line

    def _put_limits(self, line: Line, state: State) -> Line:
        note = limits_text(state)
        return line.to(line.width - len(note) - 1).put(note, "dim") if note and line.left > len(note) + 2 else line

    def _trouble(self, state: State) -> str:
        of = (state.health.get(place) for place in (("system", "host"), (HTTP, TARGET)))
        return next((health.error for health in of if health and health.error), "")
