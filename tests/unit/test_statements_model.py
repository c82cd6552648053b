"""A model of a server that executes, resets, evicts and crashes: whatever polls see of it, what was executed comes out, never more."""

from collections import Counter
from math import nan
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfconsole.core.ledger import Ledger
from perfconsole.core.statements import CALLS, EXEC, MAX, ROWS, Identity, Sample, delta

KEYS = [(10, 5, n, True) for n in range(4)]


class Entry:
    """One entry from its creation to its end."""

    def __init__(self, born):
        self.born, self.calls, self.exec_ms, self.squares, self.max = born, 0, 0.0, 0.0, 0.0
        self.max_since = born
        self.polled = None
        self.since_poll = 0.0

    def execute(self, calls, ms):
        self.calls += calls
        self.exec_ms += calls * ms
        self.squares += calls * ms * ms
        self.max, self.since_poll = max(self.max, ms), max(self.since_poll, ms)

    def set_back(self, at):
        self.max, self.max_since = 0.0, at

    def row(self, births):
        mean = self.exec_ms / self.calls
        deviation = max(self.squares / self.calls - mean * mean, 0.0) ** 0.5
        since = self.born if births else None
        max_since = self.max_since if births else None
        return (self.calls, self.exec_ms, 0.0, self.calls * 2, 0, 0, 0.0, 0, 0.0, deviation, self.max, since, max_since)


class Server:
    """pg_stat_statements. `lost` is what no poll can know of: executed by an entry after its last poll, and before it went."""

    def __init__(self, births, resets):
        self.births, self.resets = births, resets
        self.now, self.reset_at, self.dealloc = 1000.0, 900.0, 0
        self.entries = {}
        self.executed, self.lost, self.excused = Counter(), Counter(), Counter()
        self.longest, self.seen = {}, {}
        self.polling = False
        self._ended = {}

    def execute(self, key, calls, ms):
        self.now += 0.1
        self.entries.setdefault(key, Entry(self.now)).execute(calls, ms)
        if self.polling:
            self.executed[key] += calls

    def _end(self, key):
        entry = self.entries.pop(key)
        if not self.polling:
            return
        self.lost[key] += entry.calls - (entry.polled or 0)
        if entry.polled is not None:
            self._ended[key] = entry

    def forget(self, key):
        self.now += 0.1
        if key in self.entries:
            self._end(key)

    def evict(self, key):
        if key in self.entries:
            self.dealloc += 1
        self.forget(key)

    def set_back(self, key):
        """pg_stat_statements_reset with minmax_only: from 17 on."""
        self.now += 0.1
        if key in self.entries and self.births:
            self.entries[key].set_back(self.now)

    def reset(self, *_):
        self.now += 0.1
        for key in list(self.entries):
            self._end(key)
        self.reset_at, self.dealloc = self.now, 0

    def poll(self):
        self.now += 0.1
        began, self.now = self.now, self.now + 0.01
        rows = {key: entry.row(self.births) for key, entry in self.entries.items()}
        for key, entry in self.entries.items():
            old = self._ended.get(key)
            if old is not None and not self.births and entry.polled is None and self._hidden_by_growth(old, entry):
                self.excused[key] += old.polled
            entry.polled = entry.calls
        self.longest = {key: entry.since_poll for key, entry in self.entries.items()}
        for entry in self.entries.values():
            entry.since_poll = 0.0
        self._ended = {}
        self.polling = True
        identity = Identity(self.reset_at if self.resets else None, 1.0)
        return Sample(began, self.now, rows, identity, self.dealloc if self.resets else nan)

    @staticmethod
    def _hidden_by_growth(old, entry):
        """Before 17 an entry that has outgrown what it was at the last poll cannot be told from one that was never reset."""
        return entry.calls >= old.polled


class Step(NamedTuple):
    act: str
    key: tuple
    calls: int
    ms: float


steps = st.lists(
    st.builds(
        Step,
        st.sampled_from(["execute"] * 6 + ["poll"] * 5 + ["forget", "evict", "reset", "set_back"]),
        st.sampled_from(KEYS),
        st.integers(1, 50),
        st.sampled_from([0.5, 1.0, 3.25, 700.0]),
    ),
    max_size=60,
)
generations = st.sampled_from([(False, False), (False, True), (True, True)])
"""Extensions 1.8, 1.9 to 1.10, and from 1.11: whether births and resets are told."""


def run(generation, schedule, each):
    server = Server(*generation)
    for step in schedule:
        if step.act == "poll":
            each(server.poll(), server)
        elif step.act == "execute":
            server.execute(step.key, step.calls, step.ms)
        else:
            getattr(server, step.act)(step.key)
    each(server.poll(), server)
    return server


@settings(deadline=None, max_examples=150)
@given(generations, steps)
def test_the_sum_of_intervals_is_what_was_executed_less_what_the_server_forgot_and_never_more(generation, schedule):
    counted = Counter()
    last = []

    def poll(sample, server):
        if last:
            interval = delta(last.pop(), sample)
            for key, sums in interval.changes.items():
                assert all(value >= 0 for value in sums)
                assert sums[ROWS] == 2 * sums[CALLS]
                counted[key] += sums[CALLS]
                truly = server.longest[key]
                assert 0 <= interval.longest[key] <= truly * (1 + 1e-6)
                if sums[CALLS] == 1 or sample.rows[key][MAX] > server.seen.get(key, 0.0):
                    assert interval.longest[key] == pytest.approx(truly)
            assert interval.longest.keys() == interval.changes.keys()
        server.seen = {key: row[MAX] for key, row in sample.rows.items()}
        last.append(sample)

    server = run(generation, schedule, poll)
    for key in KEYS:
        known = server.executed[key] - server.lost[key]
        assert counted[key] <= server.executed[key]
        assert known - server.excused[key] <= counted[key] <= known
        if generation == (True, True):
            assert counted[key] == known


@settings(deadline=None, max_examples=100)
@given(generations, steps, st.integers(0, 8))
def test_every_window_of_a_ledger_is_the_sum_of_the_intervals_in_it(generation, schedule, mark_after):
    ledger, intervals = Ledger(), []
    marked = []

    def poll(sample, _):
        interval = finish(ledger.take(sample))
        if interval:
            intervals.append(interval)
        if len(intervals) == mark_after and not marked:
            ledger.mark()
            marked.append(sample.at)

    run(generation, schedule, poll)
    for name in ("tick", "1m", "5m", "open", "mark"):
        window = ledger.window(name)
        expected = Counter()
        for interval in intervals:
            if interval.since >= window.since:
                expected.update({key: sums[CALLS] for key, sums in interval.changes.items()})
        assert {key: sums[CALLS] for key, sums in window.sums.items() if sums[CALLS]} == {k: n for k, n in expected.items() if n}
    if marked:
        assert ledger.window("mark").since == marked[0]
    cumulative = ledger.window("reset").sums
    assert {key: sums[EXEC] for key, sums in cumulative.items()} == {key: row[EXEC] for key, row in ledger.sample.rows.items()}


def finish(steps):
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value
