"""The upper part of a statement's screen: whose it is, its numbers over a window in words, and what of it is drawn."""

from collections.abc import Iterator, Sequence
from math import isnan, nan
from typing import Final

from perfconsole.core import units
from perfconsole.core.state import State
from perfconsole.ui.line import Line
from perfconsole.ui.statement import CALLS, LOAD, MEAN, Statement
from perfconsole.ui.widgets.facts import FactsGrid, Told
from perfconsole.ui.widgets.measures import Measure
from perfconsole.ui.widgets.queries import LEAST_LOAD, SPOKEN, load_text, regressed

_LEAST_MEAN_S, _LEAST_CALLS = 0.001, 1.0

_SHORT: Final = 20
_SHORT_LINES: Final = 3
"""Lines of numbers on a screen with fewer rows than that."""


def over(window: str, word: str = "over") -> str:
    """``over 1m``, ``since mark``."""
    name = SPOKEN.get(window, window)
    return name if name.startswith("since") else f"{word} {name}"


def measures() -> tuple[Measure[Statement], Measure[Statement], Measure[Statement]]:
    """Load, mean and calls a second."""
    return (
        Measure("load", LOAD, LEAST_LOAD, lambda subject: subject.row.load, load_text),
        Measure("mean", MEAN, _LEAST_MEAN_S, lambda subject: subject.row.mean_s, units.latency),
        Measure("calls/s", CALLS, _LEAST_CALLS, lambda subject: subject.calls_s, units.count),
    )


class StatementFacts(FactsGrid[Statement]):
    """Whose it is, and its numbers."""

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:
        """The title, the numbers in a grid, and what limits them."""
        limit = self._limit(state)
        wanted = 1 + bool(limit) + (self.deep(12, width) if self.screen.size.height >= _SHORT else _SHORT_LINES)
        if self.size.height != wanted:
            self.styles.height = wanted
        numbers = self.grid(list(self._facts(state)), width, height - 1 - bool(limit))
        return [self._title(), *numbers, *([self.line().gap().put(*limit, width - 2)] if limit else ())]

    def _title(self) -> Line:
        subject, row = self._subject, self._subject.row
        line = self.line("panel").gap().put("STATEMENT", "title").gap().put(str(row.queryid), "dim").gap(2)
        line.put(f"{row.user or units.UNKNOWN} in {row.database or units.UNKNOWN}", "accent")
        if not row.toplevel:
            line.put(" inside of a function", "dim")
        if row.new:
            line.gap(2).put("new", "warning")
        if not subject.live:
            return line.gap(2).put(f"{self.look.glyph('stale')} not executed {over(subject.window, 'within')}", "stale")
        window = over(subject.window)
        told = next((text for text in (f"{subject.server}  {window}", window) if line.left > len(text) + 2), "")
        return line.to(line.width - len(told) - 1).put(told, "dim")

    def _limit(self, state: State) -> tuple[str, str] | None:
        """What is the matter with the numbers, in words, and its role."""
        subject = self._subject
        health = state.health.get(("postgres", subject.server))
        if health and health.state not in {"ok", "off"}:
            return f"{self.look.glyph('stale')} {health.error}  {health.fix}".rstrip(), "stale"
        table = subject.table
        if table is not None and table.notes:
            return table.notes[0], "warning_bar"
        if table is not None and table.window != subject.window:
            return f"what is known here is {over(table.window)}, not {over(subject.window)}", "dim"
        return None

    def _facts(self, state: State) -> Iterator[Told]:
        """Label, value and role of each, the most telling ones first."""
        subject, row = self._subject, self._subject.row
        table = subject.table
        window_s = table.window_s if table else nan
        block = float(table.block_bytes) if table else nan
        worse = regressed(row)
        yield "load", f"{load_text(row.load)} ({units.percent(row.share)})", "foreground"
        yield "mean", units.latency(row.mean_s), "warning" if worse else "foreground"
        sign = self.look.glyph("warning") if worse else ""
        times = "" if isnan(row.change) else f" ({sign}{row.change:.1f}x)"
        yield "usually", f"{units.latency(row.baseline_s)}{times}", "warning" if worse else "foreground"
        yield "calls", f"{units.count(subject.calls_s)}/s", "foreground"
        longest = "" if isnan(row.longest_s) else f", for {units.duration(row.longest_s)}"
        yield "runs now", f"{row.in_flight}{longest}", "accent" if row.in_flight else "foreground"
        yield "hit", units.percent(row.hit_ratio), "foreground"
        yield "I/O", f"{units.percent(row.io_ratio)} of time", "foreground"
        yield "rows", f"{units.count(row.rows_per_call)} a call", "foreground"
        over = units.duration(state.at - row.max_since) if row.max_since < state.at else ""
        yield "longest", f"{units.latency(row.max_s)}{f' in {over}' if over else ''}", "foreground"
        yield "spread", units.latency(row.stddev_s), "foreground"
        yield "temp", units.rate(_a_second(row.temp_written * block, window_s)), "foreground"
        yield "WAL", units.rate(_a_second(row.wal_bytes, window_s)), "foreground"


def _a_second(amount: float, seconds: float) -> float:
    return amount / seconds if seconds > 0 else nan
