"""Trying rules on what was: ticks in, the transitions that an engine would have told, and what the rules could not have done. Pure.

The rules go through the very stage that they go through live. What is found out beside it is whether there was anything to decide by: a
rule that has told nothing is either well or blind, and which of the two has to be said.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from math import inf, isnan, nan
from typing import Final

from perfconsole.core import metrics
from perfconsole.core.alerts import AlertStage
from perfconsole.core.tick import Alert, Group, Rule, SeriesDef, Tick

Shapes = dict[str, set[tuple[str, ...]]]
"""The label names of the series that there are, by metric."""

_MOST_SHAPES: Final = 3


class _Window:
    """How many samples the last so many seconds held, and the most they ever did: as `alert_stats` counts them."""

    def __init__(self, over_s: float) -> None:
        self._over_s = over_s
        self._times: deque[float] = deque()
        self.needed = self.most = 0

    def take(self, at: float) -> None:
        """Count one more."""
        times, oldest = self._times, at - self._over_s
        times.append(at)
        while times[0] <= oldest and len(times) > 1:
            times.popleft()
        self.most = max(self.most, len(times))


class _Seen:
    """What was seen of a series that rules are about.

    Attributes:
        rules: Those rules, as they are for this series, by name.
        n: Samples whose value is known; of a counter one less than that, for the first has no rate.
        first: Since when what is known of it is so; `last` its newest known sample.
        shortest_s: The shortest time between two known samples.
    """

    def __init__(self, definition: SeriesDef, rules: Sequence[Rule], group: Group) -> None:
        self.definition, self.group = definition, group
        rules = [rule.fitted(group.interval_s, group.timeout_s, group.failures) for rule in rules]
        self.rules = {rule.name: rule for rule in rules}
        self.n = -1 if metrics.is_counter(definition.name) else 0
        self.first = self.last = nan
        self.shortest_s = inf
        self.windows = {rule.over_s: _Window(rule.over_s) for rule in rules if rule.over_s}
        for rule in rules:
            if rule.over_s:
                window = self.windows[rule.over_s]
                window.needed = max(window.needed, rule.needed)
        self._counting = list(self.windows.values())

    def take(self, at: float, began: float, value: float) -> None:
        """Take a sample."""
        if isnan(value):
            return
        self.n += 1
        if not self.n:
            return
        if self.n == 1:
            self.first = began
        elif at - self.last < self.shortest_s:
            self.shortest_s = at - self.last
        self.last = at
        for window in self._counting:
            window.take(at)
            if window.most >= window.needed:  # that there are enough is known for good
                self._counting = [other for other in self._counting if other is not window]


class Backtest:
    """Some rules, tried on some ticks.

    Args:
        rules: Which; thresholds as well, if they are to be tried.

    Attributes:
        standing: The alerts that are pending or firing at the end, in the order in which they came to be so.
        fired: How often each rule has fired, and for how many seconds in all, by name; what still fires counts up to the end.
        begin: The moment of the first tick, epoch seconds; `end` that of the last. NaN where there was none.
        series: How many series the rules are about.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self.standing: dict[str, Alert] = {}
        self.begin = self.end = nan
        self._stage = AlertStage(rules)
        self._columns: dict[int, list[tuple[int, _Seen]]] = {}
        self._seen: dict[SeriesDef, _Seen] = {}
        self._fired: dict[str, tuple[int, float]] = {}

    @property
    def series(self) -> int:
        """See the class."""
        return len(self._seen)

    @property
    def fired(self) -> dict[str, tuple[int, float]]:
        """See the class."""
        told = dict(self._fired)
        for alert in self.standing.values():
            if alert.state == "firing":
                times, lasted_s = told[alert.rule]
                told[alert.rule] = times, lasted_s + self.end - alert.fired_at
        return told

    def run(self, ticks: Iterable[Tick]) -> Iterator[Alert]:
        """The transitions, each as it comes about; what else is known is known once they were all taken."""
        for tick in ticks:
            if isnan(self.begin):
                self.begin = tick.at
            self.end = tick.at
            for group in tick.groups:
                self._define(group)
            for reading in tick.readings:
                for column, seen in self._columns.get(reading.group, ()):
                    seen.take(reading.at, reading.at if reading.began is None else reading.began, reading.values[column])
            for alert in self._stage.step(tick):
                if alert.state != alert.before:  # else it is only told anew, and whom it notifies is not what is tried
                    self._note(alert)
                    yield alert

    def _define(self, group: Group) -> None:
        columns = []
        for column, definition in enumerate(group.series):
            seen = self._seen.get(definition)
            if seen is None:
                rules = [rule for rule in self.rules if rule.covers(definition)]
                if not rules:
                    continue
                seen = self._seen[definition] = _Seen(definition, rules, group)
            columns.append((column, seen))
        self._columns[group.id] = columns

    def _note(self, alert: Alert) -> None:
        before = self.standing.pop(alert.id, None)
        times, lasted_s = self._fired.get(alert.rule, (0, 0.0))
        if alert.state == "firing":
            self._fired[alert.rule] = times + 1, lasted_s
        elif before is not None and before.state == "firing":
            self._fired[alert.rule] = times, lasted_s + alert.at - before.fired_at
        if alert.state in {"pending", "firing"}:
            self.standing[alert.id] = alert

    # What could not have been ------------------------------------------------------------------------------------------------------

    def warnings(self, shapes: Shapes) -> list[str]:
        """What the rules had nothing to decide by, a line each, with the arithmetic.

        Args:
            shapes: The label names of all series that there were.
        """
        about: dict[str, list[_Seen]] = {rule.name: [] for rule in self.rules}
        for seen in self._seen.values():
            for name in seen.rules:
                about[name].append(seen)
        told = list(self._unmeasured(shapes))
        for rule in self.rules:
            found = about[rule.name]
            if found:
                told += self._blind(rule, found)
            elif rule.metric in shapes:
                told.append(f"{rule.name}: {_mismatch(rule, shapes[rule.metric])}")
        return told

    def _unmeasured(self, shapes: Shapes) -> Iterator[str]:
        """Of each metric without samples, which rules have not been tried therefore."""
        missing: dict[str, list[str]] = {}
        for rule in self.rules:
            if rule.metric not in shapes:
                missing.setdefault(rule.metric, []).append(rule.name)
        for metric, names in missing.items():
            yield f"no samples of {metric}: {', '.join(names)} {'was' if len(names) == 1 else 'were'} not tried"

    def _blind(self, rule: Rule, found: list[_Seen]) -> list[str]:
        """That a rule could never have fired at some series or any, and why, of the first."""
        reasons = [(seen, why) for seen in found if (why := self._never(seen.rules[rule.name], seen))]
        if not reasons:
            return []
        seen, why = reasons[0]
        where = "" if len(reasons) == len(found) else f" at {len(reasons)} of {len(found)} series"
        return [f"{rule.name}: could never fire{where}: {_named(seen.definition)}: {why}"]

    def _never(self, rule: Rule, seen: _Seen) -> str:
        """Why a rule could never have fired at a series, whatever the values; empty where it could have."""
        needed = rule.needed
        if seen.n < 1:
            return "no value is known" if seen.n < 0 or not metrics.is_counter(rule.metric) else "of one sample there is no rate"
        most = seen.windows[rule.over_s].most if rule.over_s else 1
        if most < needed:
            step = f", one every {seen.group.interval_s:g} s" if seen.group.interval_s else ""
            return f"{rule.over_s:g} s held {most} sample{'s' * (most != 1)} at most{step}, and {needed} are needed"
        if rule.no_data == "alert":
            return ""  # silence may be what it fires of
        if self.end - seen.first < rule.for_s:
            return f"its first sample is {self.end - seen.first:g} s before the end, and for is {rule.for_s:g} s"
        gap_s = rule.gap_s(seen.group.interval_s, seen.group.timeout_s)
        if seen.shortest_s > gap_s and rule.for_s > gap_s:
            apart = f"its samples are {seen.shortest_s:g} s apart or more" if seen.shortest_s < inf else "it has one sample"
            return f"{apart}, max_gap is {gap_s:g} s, and time that nobody observed never counts: for is {rule.for_s:g} s"
        return ""


def _mismatch(rule: Rule, shapes: set[tuple[str, ...]]) -> str:
    """Why no series of a metric is what a rule is about."""
    names = tuple(name for name, _ in rule.match)
    if names in shapes:
        match = " ".join(f"{name}={glob}" for name, glob in rule.match)
        return f"{rule.metric} has samples, but none with {match}: it was not tried"
    found = sorted(shapes)
    others = "; ".join(_labelled(shape) for shape in found[:_MOST_SHAPES]) + ("; ..." if len(found) > _MOST_SHAPES else "")
    return f"{rule.metric} has samples {others}, and the rule is about those {_labelled(names)}: it was not tried"


def _labelled(names: tuple[str, ...]) -> str:
    return f"labelled {' '.join(names)}" if names else "without labels"


def _named(definition: SeriesDef) -> str:
    labels = ",".join(f"{name}={text}" for name, text in definition.labels)
    return f"{definition.name}{{{labels}}}" if labels else definition.name
