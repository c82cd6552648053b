"""Windows over the intervals of one server: the last tick, minutes, since it was opened, since a mark. Pure.

A ledger adds intervals up, so that a reset or an eviction inside of a window neither loses nor doubles what was counted before it. What a
window began with is kept only of the statements that changed since: most of thousands do not.
"""

from collections.abc import Generator, Iterable
from itertools import islice
from math import exp, isnan, nan
from typing import Final, NamedTuple

from perfconsole.core.statements import CALLS, COUNTERS, EXEC, NOTHING, Interval, Sample, Sums, minus, plus, sliced
from perfconsole.core.tables import Key

SPANS: Final = {"1m": 60.0, "5m": 300.0}

OTHERS: Final[Key] = (0, 0, 0, 1)
"""Stands for all statements that left the table long ago."""

_FINE_S: Final = 5.0
_COARSE_S: Final = 30.0
"""Seconds between two moments at which a window may begin, within the last minute and before it."""

_HELD: Final = 40_000
"""Rows held of the past (some 20 MB) before it is held coarser: down to `_FEWEST` moments, however many statements change."""

_FEWEST: Final = 4
_MEMORY_S: Final = 3600.0
_BASELINE_S: Final = 300.0
_BASELINE_CALLS: Final = 20.0
"""A statement has a mean of its own past once it was seen for so long and called so often."""

_SLICE: Final = 2000
_FORGOTTEN: Final = 500


class Window(NamedTuple):
    """What was executed in a span of the server's time.

    Attributes:
        name: Which one it is: another than was asked for where that one has not begun.
        since: When it began, epoch seconds; NaN when the server does not say (reset, before extension 1.9).
        sums: Increments of the statements that were executed.
        dealloc: Evictions; NaN where the server does not say.
        vanished: Entries that left the table.
    """

    name: str
    since: float
    until: float
    sums: dict[Key, Sums]
    dealloc: float = nan
    vanished: int = 0

    @property
    def seconds(self) -> float:
        """Its length; NaN when that is not known, or nothing."""
        return self.until - self.since if self.until > self.since else nan


class _Past:
    """What the totals were at one moment, of everything that changed after it; `others` is what those added since that were forgotten."""

    __slots__ = ("before", "dealloc", "others", "since", "vanished")

    def __init__(self, since: float, dealloc: float, vanished: int) -> None:
        self.since = since
        self.before: dict[Key, Sums | None] = {}
        self.dealloc = dealloc
        self.vanished = vanished
        self.others = NOTHING


_Mean = tuple[float, float, float, float]
"""Execution time (ms) and calls, older ones fading; when they were last added to, and when first."""


def _later(mean: _Mean | None, grown: Sums, at: float) -> _Mean:
    if mean is None:
        return (grown[EXEC], grown[CALLS], at, at)
    exec_ms, calls, last, first = mean
    kept = exp((last - at) / _MEMORY_S)
    return (exec_ms * kept + grown[EXEC], calls * kept + grown[CALLS], at, first)


class Ledger:
    """Everything executed on one server since the first sample.

    Attributes:
        sample: The last one; None before the first.
        last: The interval that ended with it; None before the second.
    """

    def __init__(self) -> None:
        self.sample: Sample | None = None
        self.last: Interval | None = None
        self._since = nan
        self._ahead_s = 0.0
        self._totals: dict[Key, Sums] = {}
        self._born: dict[Key, float] = {}
        self._means: dict[Key, _Mean] = {}
        self._others = NOTHING
        self._dealloc = 0.0
        self._vanished = 0
        self._steps: list[_Past] = []
        self._mark: _Past | None = None

    # Adding up --------------------------------------------------------------------------------------------------------------------

    def take(self, sample: Sample) -> Generator[None, None, Interval | None]:
        """Add the interval since the last sample, giving way every few thousand rows.

        The first sample gives none, and neither does one after the server's clock was set back: how long it was, nobody knows. From then
        on its time is told from where it had been.
        """
        before = self.sample
        if before is None:
            self.sample, self._since = sample, sample.at
            return None
        sample = sample._replace(began=sample.began + self._ahead_s, at=sample.at + self._ahead_s)
        if sample.at <= before.at:
            set_back_s = before.at - sample.at
            self._ahead_s += set_back_s
            self.sample = sample._replace(began=sample.began + set_back_s, at=before.at)
            return None
        interval = yield from sliced(before, sample)
        step = self._step(interval.since)
        self._dealloc += 0.0 if isnan(interval.dealloc) else interval.dealloc
        self._vanished += interval.vanished
        left = iter(interval.changes.items())
        while chunk := list(islice(left, _SLICE)):
            self._add(chunk, step, interval)
            yield
        self.sample, self.last = sample, interval
        if len(self._totals) > 2 * len(sample.rows) + _SLICE:
            yield from self._forget(sample, step)
        return interval

    def _add(self, chunk: Iterable[tuple[Key, Sums]], step: _Past, interval: Interval) -> None:
        totals, means, at = self._totals, self._means, interval.until
        begun = [step.before] + ([self._mark.before] if self._mark else [])
        for key, grown in chunk:
            old = totals.get(key)
            for before in begun:
                before.setdefault(key, old)
            if old is None and key in interval.new:
                self._born[key] = interval.until
            totals[key] = plus(old, grown)
            means[key] = _later(means.get(key), grown, at)

    def _step(self, since: float) -> _Past:
        """The moment that the windows ending now may begin at."""
        if not self._steps or since - self._steps[-1].since >= 0.9 * _FINE_S:  # a late look or an early one
            self._thin(since)
            self._steps.append(self._past(since))
        return self._steps[-1]

    def _past(self, since: float) -> _Past:
        return _Past(since, self._dealloc, self._vanished)

    def _thin(self, now: float) -> None:
        steps = self._steps
        while len(steps) > 1 and steps[1].since <= now - max(SPANS.values()):
            del steps[0]
        i = 0
        while i + 2 < len(steps):
            if steps[i + 2].since <= now - SPANS["1m"] and steps[i + 2].since - steps[i].since <= _COARSE_S:
                _join(steps, i)
            else:
                i += 1
        while len(steps) > _FEWEST and sum(len(step.before) for step in steps) > _HELD:
            _join(steps, min(range(len(steps) - 1), key=lambda i: len(steps[i].before) + len(steps[i + 1].before)))

    def _forget(self, sample: Sample, step: _Past) -> Generator[None, None, None]:
        """Statements that left the table, and not just now, become one: a table that thrashes must not fill this one.

        Gives way every few hundred: 25,000 that leave 50,000 within 5 s take 0.1 s.
        """
        left = iter(self._totals.keys() - sample.rows.keys() - step.before.keys())
        while chunk := list(islice(left, _FORGOTTEN)):
            for key in chunk:
                self._forget_one(key)
            yield

    def _forget_one(self, key: Key) -> None:
        total = self._totals.pop(key)
        self._others = plus(self._others, total)
        since: Sums | None = None
        for past in reversed(self._steps):
            if key in past.before:
                since = minus(total, past.before.pop(key))
            if since is not None:
                past.others = plus(past.others, since)
        if self._mark and key in self._mark.before:
            self._mark.others = plus(self._mark.others, minus(total, self._mark.before.pop(key)))
        self._born.pop(key, None)
        self._means.pop(key, None)

    # Reading ----------------------------------------------------------------------------------------------------------------------

    def mark(self) -> None:
        """From here on the window ``mark`` counts."""
        if self.sample:
            self._mark = self._past(self.sample.at)

    def window(self, name: str) -> Window:
        """One of `tables.WINDOWS`; without a mark, the one called ``mark`` is ``open``."""
        steps = self.windowed(name)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                window: Window = done.value
                return window

    def windowed(self, name: str) -> Generator[None, None, Window]:
        """As `window`, giving way every few thousand rows."""
        if self.sample is None:
            return Window(name, nan, nan, {})
        until = self.sample.at
        if name == "reset":
            return (yield from self._cumulative(self.sample))
        if name == "tick" and self.last:
            return Window(name, self.last.since, until, self.last.changes, self.last.dealloc, self.last.vanished)
        if name == "mark" and self._mark:
            return (yield from self._after(name, self._mark, self._mark.before, self._mark.others))
        if name in SPANS and self._steps:
            return (yield from self._span(name, until - SPANS[name]))
        whole = _Past(self._since, 0.0, 0)
        return (yield from self._after("open" if name == "mark" else name, whole, dict.fromkeys(self._totals), self._others))

    def _span(self, name: str, begin: float) -> Generator[None, None, Window]:
        before: dict[Key, Sums | None] = {}
        step = self._steps[-1]
        for step in reversed(self._steps):
            before |= step.before
            if step.since <= begin:
                break
            yield
        return (yield from self._after(name, step, before, step.others))

    def _after(self, name: str, past: _Past, before: dict[Key, Sums | None], others: Sums) -> Generator[None, None, Window]:
        sample, totals = self.sample, self._totals
        assert sample is not None
        sums: dict[Key, Sums] = {}
        left = iter(list(before.items()))
        while chunk := list(islice(left, _SLICE)):
            sums |= {key: totals[key] if old is None else minus(totals[key], old) for key, old in chunk}
            yield
        if others != NOTHING:
            sums[OTHERS] = others
        dealloc = nan if isnan(sample.dealloc) else self._dealloc - past.dealloc
        return Window(name, past.since, sample.at, sums, dealloc, self._vanished - past.vanished)

    def _cumulative(self, sample: Sample) -> Generator[None, None, Window]:
        """All that the server has counted: the one window that needs no second sample, and has no squares."""
        reset = sample.identity.reset
        sums: dict[Key, Sums] = {}
        left = iter(sample.rows.items())
        while chunk := list(islice(left, _SLICE)):
            sums |= {key: (*row[:COUNTERS], nan) for key, row in chunk}
            yield
        return Window("reset", nan if reset is None else reset + self._ahead_s, sample.at, sums, sample.dealloc)

    def baseline_s(self, key: Key) -> float:
        """The mean execution time of a statement over the last hour; NaN until it has a past."""
        if self.sample is None or key not in self._means:
            return nan
        exec_ms, calls, _, first = self._means[key]
        return exec_ms / calls / 1e3 if self.sample.at - first >= _BASELINE_S and calls >= _BASELINE_CALLS else nan

    def new_since(self, key: Key, moment: float) -> bool:
        """Whether a statement was first seen after a moment."""
        return self._born.get(key, -1.0) > moment


def _join(steps: list[_Past], i: int) -> None:
    """Make one step of two: what the older one began with."""
    older, newer = steps[i], steps.pop(i + 1)
    older.before = newer.before | older.before
