"""The two rows on top of every screen: worst state and count, which host and subsystem, is it live; and the worst thing in words."""

from collections.abc import Mapping, Sequence
from math import isnan
from time import localtime, strftime

from perfconsole.core import units, words
from perfconsole.core.endpoints import TARGET
from perfconsole.core.state import State
from perfconsole.core.tick import Alert
from perfconsole.ui.line import Line
from perfconsole.ui.look import WORDS
from perfconsole.ui.verdict import HTTP, firing, http_severity, present, said, system_severity
from perfconsole.ui.widgets.pane import Pane

LEAST_WIDTH, LEAST_HEIGHT = 60, 16
"""Smaller than this nothing useful fits: the header alone is shown."""


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


class Header(Pane):
    """Two rows; never focused."""

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002  always two
        """Status above, the worst thing below."""
        alerts = firing(state)
        places = self._places(state, alerts)
        stale = "stale" in places.values()
        now = [alert for alert in alerts if not stale or (present(state, alert) and not self.console_app.silent_s())]
        size = self.screen.size
        if size.width < LEAST_WIDTH or size.height < LEAST_HEIGHT:
            too_small = f" too small ({size.width}x{size.height}): {LEAST_WIDTH}x{LEAST_HEIGHT} is needed"
            return [self._status(state, places, now), self.line().put(too_small, "warning")]
        worst = self._silence(state, places, now, alerts) if stale else self._worst(state, places["SYS"], alerts)
        return [self._status(state, places, now), self._put_limits(worst, state)]

    def _places(self, state: State, alerts: Sequence[Alert]) -> dict[str, str]:
        """Where something may be the matter, and how each of them does."""
        places = {"SYS": system_severity(state, alerts), "HTTP": http_severity(state, alerts)}
        silent = bool(self.console_app.silent_s())
        return {name: "stale" if silent else severity for name, severity in places.items() if severity}

    def _status(self, state: State, places: Mapping[str, str], alerts: Sequence[Alert]) -> Line:
        line = self.line("panel")
        right = self._right(state)
        host = state.stream.host if state.stream else self.console_app.host
        line.gap().put(host, "title", min(len(host), max(8, line.width - len(right) - 34))).gap(2)
        if places["SYS"] == "stale":
            self._put_places(line, places)
        counts = [(name, sum(alert.severity == name for alert in alerts)) for name in ("critical", "warning")]
        for name, number in counts:
            if number:
                line.put(f"{self.look.glyph(name)} {number} {WORDS[name]}", name).gap(2)
        if places["SYS"] != "stale":
            self._put_places(line, places, spared=len(right) + 1)
        banner = self.console_app.banner()
        if banner:
            line.put(banner, "accent")
            return self._put_live(line)
        silent_s = self.console_app.silent_s()
        if silent_s:
            line.put(f"no data since {units.duration(silent_s)}", "stale")
        return line.to(max(line.x, line.width - len(right) - 1)).put(right, "dim")

    def _put_places(self, line: Line, places: Mapping[str, str], spared: int = 0) -> None:
        """How each of them does; without the words where there is no room for those beside `spared` cells: the signs tell enough."""
        signs = [(name, severity, f"{self.look.glyph(severity)} {WORDS[severity]}") for name, severity in places.items()]
        brief = line.left < spared + sum(len(name) + len(text) + 3 for name, _, text in signs)
        for name, severity, text in signs:
            line.put(f"{name} ", "dim").put(text[:1] if brief else text, severity).gap(2)

    def _put_live(self, line: Line) -> Line:
        """While the past is looked at, what is the matter now."""
        now = firing(self.console_app.pump.live)
        if self.console_app.frozen and self.console_app.pump.silent_s():
            line.gap(2).put(f"now {self.look.glyph('stale')} {WORDS['stale']}", "stale")
        elif now:
            line.gap(2).put(f"now {self.look.glyph(now[0].severity)} {len(now)}", now[0].severity)
        return line

    def _right(self, state: State) -> str:
        uptime = state.value("system.uptime")
        own = state.value("perfconsole.cpu.utilization")
        parts = [clock(state.at), f"up {units.duration(uptime)}", f"self {units.percent(own, 1)}"]
        if self.size.width >= 120:
            used = state.value("perfconsole.memory.usage")
            parts[2] += f" {units.size(used)}"
        if self.size.width < 76:
            parts = parts[:1] if self.size.width >= LEAST_WIDTH else []
        return "  ".join(parts)

    def _worst(self, state: State, severity: str, alerts: Sequence[Alert]) -> Line:
        line = self.line().gap()
        if alerts:
            return self._put_alert(line, state, alerts, state.at)
        if severity == "unknown":
            return line.put(self._trouble(state) or f"collecting{self.look.glyphs.ellipsis}", "dim")
        return line.put(self.look.glyph("ok"), "ok").put(" nothing is over its threshold", "dim")

    def _silence(self, state: State, places: Mapping[str, str], now: Sequence[Alert], alerts: Sequence[Alert]) -> Line:
        """That there is no news comes before what was the matter while there was."""
        line = self.line().gap().put(self.look.glyph("stale"), "stale").gap()
        if not self.console_app.silent_s():
            if places["SYS"] == "stale":
                line.put(f"no system data since {units.duration(state.age_s('system'))}", "stale").gap(2)
            if places.get("HTTP") == "stale":
                line.put(f"no checks since {units.duration(state.age_s(HTTP, TARGET))}", "stale").gap(2)
        if now:
            self._put_alert(line, state, now, state.at)
        elif alerts:
            series = state.find(alerts[0].metric, **dict(alerts[0].labels))
            self._put_alert(line.put("was ", "stale"), state, alerts, series.ring.last if series else state.at, was=True)
        elif self.console_app.silent_s():
            line.put("nothing was over its threshold", "stale")
        return line.put(f"  {self._trouble(state)}", "dim")

    def _put_alert(self, line: Line, state: State, alerts: Sequence[Alert], at: float, *, was: bool = False) -> Line:
        """The worst of some alerts as it stood at a time, and how many there are beside it."""
        worst = alerts[0]
        lasting = words.lasting(worst, at, state.stream.began if state.stream else 0.0)
        line.put(f"{self.look.glyph(worst.severity)} {WORDS[worst.severity]}", "stale" if was else worst.severity).gap(2)
        line.put(said(state, worst), "stale" if was else "foreground").put(f"  {lasting}" if lasting else "", "dim")
        return line.put(f"  and {len(alerts) - 1} more", "dim") if len(alerts) > 1 else line

    def _put_limits(self, line: Line, state: State) -> Line:
        note = limits_text(state)
        return line.to(line.width - len(note) - 1).put(note, "dim") if note and line.left > len(note) + 2 else line

    def _trouble(self, state: State) -> str:
        of = (state.health.get(place) for place in (("system", "host"), (HTTP, TARGET)))
        return next((health.error for health in of if health and health.error), "")
