"""The alert stage against an oracle that knows a whole history and asks of every moment anew, looking back: how long has this lasted?

No state but whether it fires is carried from one moment to the next. All times are multiples of `STEP`, so that no transition lies between
two moments of the grid; all values are eighths, so that sums are exact.
"""

from bisect import bisect_right
from collections import Counter
from math import fsum, inf, isnan, nan
from random import Random
from typing import NamedTuple

import pytest

from perfconsole.core.alerts import AlertStage
from perfconsole.core.tick import Group, Reading, Rule, SeriesDef, Tick

METRIC = "system.load.1m"
WALL = 1.7e9
STEP = 0.5
HISTORIES = 5000


class Sample(NamedTuple):
    at: float
    began: float
    value: float


class Said(NamedTuple):
    """What a sample says of a rule: of a breach, of quiet, or neither (between `clear` and the limit).

    One that is `weak` (above the limit by too few events) says nothing of a breach; of what fires it says that it is not quiet.
    """

    at: float
    began: float
    bad: bool
    quiet: bool
    value: float
    weak: bool = False


# The oracle -------------------------------------------------------------------------------------------------------------------------------


def statistic(rule, samples, at):
    """The value of a rule's statistic at a sample, how many it is of, how many count: from all samples there are."""
    known = [sample for sample in samples if sample.at <= at and not isnan(sample.value)]
    window = known[-1:] if rule.stat == "last" else [sample for sample in known if sample.at > at - rule.over_s or sample is known[-1]]
    values = sorted(sample.value for sample in window)
    n = len(values)
    if rule.stat == "ratio":
        bad = sum(value < 1 for value in values)
        return bad / n, n, bad
    percentile = {"p50": (3, 0.5), "p90": (10, 0.9)}.get(rule.stat)
    if percentile:
        least, share = percentile
        rank = next(rank for rank in range(1, n + 1) if rank >= share * n)
        return values[rank - 1] if n >= least else nan, n, n
    return {"last": values[-1], "avg": fsum(values) / n, "min": values[0], "max": values[-1]}[rule.stat], n, n


def sayings(rule, samples):
    out = []
    for sample in samples:
        if isnan(sample.value):
            continue
        value, n, events = statistic(rule, samples, sample.at)
        if isnan(value) or n < rule.min_samples:
            continue
        enough = rule.stat == "last" or events >= rule.min_events
        bad = rule.breached(value) and enough
        clear = rule.limit if isnan(rule.clear) else rule.clear
        quiet = not bad and (value <= clear if rule.above else value >= clear)
        out.append(Said(sample.at, sample.began, bad, quiet, value, weak=rule.breached(value) and not enough))
    return out


class Span(NamedTuple):
    """A while in which one thing was said, and how much of it counts; `anew`: what follows it is counted from there."""

    said: Said
    counts: float
    anew: bool = False


class Oracle:
    def __init__(self, rule, samples, max_gap):
        self.rule, self.gap = rule, max_gap
        self.every = sayings(rule, samples)
        self.hear(inf)
        self.silence = Said(nan, nan, rule.no_data == "alert", rule.no_data == "ok", nan)

    def hear(self, fired_at):
        """Leave out what says nothing: weak ones, but for those since it fires."""
        self.said = [said for said in self.every if not said.weak or said.at > fired_at]

    def _spans(self, now, silent):
        """What was said until a moment, newest first, as it counts at that moment."""
        end = None
        for said in reversed(self.said[: bisect_right(self.said, now, key=lambda said: said.at)]):
            between = now - said.at if end is None else end - said.at
            if not (silent if end is None else between > self.gap):
                yield Span(said, between)
            elif self.rule.no_data == "keep":
                yield Span(said, 0.0, between > 2 * self.rule.for_s)
            else:
                yield Span(self.silence, between - self.gap)
                yield Span(said, self.gap)
            end = said.at

    def lasted(self, now, silent, what):
        """How long there has been a breach, or quiet, at a moment; None where there is none. Looks back from there."""
        total, first, self.enough = None, None, False
        for samples, span in enumerate(self._spans(now, silent), 1):
            if not getattr(span.said, what) or (span.anew and what == "bad" and first):
                break
            total, first = (total or 0.0) + span.counts, span.said
            self.enough = self.enough or samples >= self.rule.min_events or self.rule.stat != "last" or span.said is self.silence
        begun_before = what == "bad" and first and first is not self.silence
        return total + first.at - first.began if begun_before else total

    def transitions(self, until):
        out, turns, state = [], [], "inactive"
        held = self.rule.keep_s
        for k in range(int(until / STEP) + 1):
            now = k * STEP
            for silent in self._silences(now):
                after = state
                quiet = self.lasted(now, silent, "quiet")
                bad = self.lasted(now, silent, "bad")
                if state == "firing":
                    if quiet is not None and quiet >= held:
                        after = "inactive"
                elif bad is None:
                    after = "inactive"
                else:
                    unheard = silent and self.rule.no_data == "keep"
                    after = "firing" if bad >= self.rule.for_s and self.enough and not unheard else "pending"
                if after != state:
                    out.append((now, state, "resolved" if state == "firing" else after))
                    if "firing" in (state, after):
                        self.hear(now if after == "firing" else inf)
                        turns.append(now)
                        flapping = len([turn for turn in turns if turn > now - 3600]) >= 4
                        held = max(self.rule.keep_s, 2 * self.rule.for_s) if flapping and self.rule.keep_s else self.rule.keep_s
                state = after
        return out

    def _silences(self, now):
        """Whether it is silent at a moment; first not and then so at the one at which silence begins."""
        last = max((said.at for said in self.said if said.at <= now), default=inf)
        if now - last == self.gap and self.rule.no_data != "keep":
            return (False, True)
        return (now - last > self.gap,)


# The stage --------------------------------------------------------------------------------------------------------------------------------


def staged(rule, samples, until, random):
    """The transitions of the stage, with ticks closed at random moments, and the wall clock set between some of them."""
    stage, out, offset, boot = AlertStage([rule]), [], WALL, 0.0
    waiting = list(samples)
    groups = [Group(1, "c", "host", 2.0, (SeriesDef(METRIC),))]
    while boot < until:
        boot = min(until, boot + random.choice((STEP, STEP, 2.0, 7.25, 40.0)))
        due = [sample for sample in waiting if sample.at <= boot]
        del waiting[: len(due)]
        readings = [Reading(1, sample.at + offset, [sample.value], sample.began + offset) for sample in due]
        random.shuffle(readings)
        told = stage.step(Tick(1, boot + offset, boot, groups=groups, readings=readings))
        out += [(alert.at - offset, alert.before, alert.state) for alert in told if alert.before != alert.state]
        groups = []
        if random.random() < 0.1:
            offset += random.choice((3600.0, -3600.0, 0.75))
    return out


def a_rule(random):
    stat = random.choice(("last", "last", "last", "avg", "ratio", "max", "min", "p50", "p90"))
    above = random.random() < 0.8
    limit = random.choice((0.25, 0.5)) if stat == "ratio" else 1.0
    back = random.choice((nan, nan, 0.25))
    return Rule(
        "r", "critical", METRIC, limit, above=above,
        stat=stat, over_s=0.0 if stat == "last" else random.choice((0.0, 3.0, 6.0, 10.0, 60.0)),
        for_s=random.choice((0.0, 0.5, 3.0, 5.0, 8.0, 20.0)), clear=limit - back if above else limit + back,
        keep_s=random.choice((0.0, 0.0, 1.5, 4.0, 10.0)), max_gap_s=random.choice((0.5, 2.0, 3.0, 4.5, 30.0)),
        min_samples=random.choice((1, 1, 1, 3)), min_events=random.choice((0, 2, 3)) if stat in {"ratio", "last"} else 0,
        no_data=random.choice(("keep", "keep", "alert", "ok")), colour=False,
    )  # fmt: skip


def a_history(random):
    """Samples with moods that last, gaps short and long, unknown ones, some of which began a while before."""
    at, out, mood = 0.0, [], random.choice((0.5, 1.5))
    for _ in range(random.randint(2, 30)):
        before = at
        at += random.choice((1, 1, 2, 2, 2, 3, 4, 6, 9, 17, 45)) * STEP
        if random.random() < 0.25:
            mood = random.choice((0.25, 0.5, 0.75, 1.0, 1.5))
        value = random.choice((mood, mood, mood, mood + 0.125, mood - 0.125, nan))
        began = random.choice((at, at, max(before, at - random.randint(0, 4) * STEP)))
        out.append(Sample(at, began, value))
    return out


def test_five_thousand_histories():
    kinds, paths = Counter(), Counter()
    for seed in range(HISTORIES):
        random = Random(seed)
        rule, samples = a_rule(random), a_history(random)
        until = samples[-1].at + 50.0
        expected = Oracle(rule, samples, rule.max_gap_s).transitions(until)
        found = staged(rule, samples, until, random)
        assert found == expected, f"history {seed}: {rule}\n{samples}"
        kinds.update((before, after) for _, before, after in expected)
        paths.update((rule.no_data, rule.stat) for _ in expected)
    assert min(kinds.values()) > 500, kinds
    assert len(kinds) == 5  # of firing it is told that it is resolved, never that it is inactive
    assert len(paths) == 3 * 7
    assert min(paths.values()) > 20, paths


@pytest.mark.parametrize("edge", [0.0, STEP])
def test_the_oracle_itself_knows_what_is_written(edge):
    """Where it is wrong, all the histories prove nothing: the definition's own examples, in plain numbers."""
    rule = Rule("r", "critical", METRIC, 1.0, for_s=10.0, keep_s=3.0, max_gap_s=4.0, colour=False)
    samples = [Sample(at, at, 2.0) for at in (0.0, 4.0, 8.0)] + [Sample(10.0 + edge, 10.0 + edge, 0.0)]
    told = [(0.0, "inactive", "pending"), (10.0, "pending", "inactive")]
    if edge:
        told = [*told[:1], (10.0, "pending", "firing"), (13.5, "firing", "resolved")]  # three seconds after it was well
    assert Oracle(rule, samples, 4.0).transitions(50.0) == told
