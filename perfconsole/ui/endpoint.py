"""One endpoint followed through states, and its checks as they are held: latencies, what failed, phases, numbers over a window. Pure."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from math import isnan, nan
from typing import Final, NamedTuple

from perfconsole.core.checks import PHASES, Outcome
from perfconsole.core.endpoints import TARGET, EndpointRow, EndpointTable
from perfconsole.core.percentiles import percentiles
from perfconsole.core.state import Series, State
from perfconsole.ui.endpoints import moved_on
from perfconsole.ui.spark import begun, bridged
from perfconsole.ui.subject import ENDED, LIVE, UNSEEN, Followed
from perfconsole.ui.ticks import About, of_endpoint

_ANSWERED: Final = 100
"""The lowest status: a failed check of HTTP with a latency and without one was given up."""

_AS_LONG: Final = 0.98
"""What took so much of the time after which a check is known to be given up, was."""

_WINDOWS_S: Final = (60.0, 300.0, 900.0, 1800.0)


class Checked(NamedTuple):
    """What the series hold of one check.

    Attributes:
        at: When it ended, epoch seconds.
        latency_s: NaN where it gave none.
        up: 1, 0, or NaN for one that told nothing.
        at_least: It was given up after its latency: the truth is longer.
    """

    at: float
    latency_s: float
    up: float
    at_least: bool


class Endpoint(Followed[EndpointRow]):
    """An endpoint, by its name. One that is not checked any more keeps what was last known of it.

    Args:
        row: As it was when it was chosen.

    Attributes:
        given_up_s: The longest time after which a check of it is known to have been given up; NaN while none was.
    """

    def __init__(self, row: EndpointRow) -> None:
        super().__init__(row)
        self.given_up_s = row.last_s if row.at_least else nan
        self._held: list[Checked] = []
        self._of: tuple[object, ...] = ()

    def follow(self, state: State) -> None:
        """Take what a state says of it; among a part of the rows it need not be."""
        table = state.table(EndpointTable, TARGET)
        if table is None:
            return
        found = next((row for row in table.rows if row.name == self.row.name), None)
        if found is not None:
            self.row, self.status, self.ended_at = moved_on(state, found), LIVE, nan
            if found.at_least:
                self._give_up(found.last_s)
        elif len(table.rows) >= table.total:
            if self.status != ENDED:
                self.ended_at = table.at
            self.status = ENDED
        else:
            self.status = UNSEEN

    def learn(self, outcomes: Iterable[Outcome | None]) -> None:
        """Take from outcomes that were read after what time a check is given up."""
        for outcome in outcomes:
            if outcome and outcome.at_least:
                self._give_up(outcome.total_s)

    def _give_up(self, seconds: float) -> None:
        if seconds > self.given_up_s or isnan(self.given_up_s):
            self.given_up_s = seconds

    @property
    def about(self) -> About:
        """What changed with it."""
        return of_endpoint(self.row.name, self.row.unit, self.row.database)

    def series(self, state: State, metric: str, **labels: str) -> Series | None:
        """The history of one of its values."""
        return state.find(metric, **labels, endpoint=self.row.name, service=self.row.service)

    def checks(self, state: State, since: float = 0.0) -> Sequence[Checked]:
        """Its checks from a time on, as far as they are held. Several panes ask for them with every paint: they are put together once."""
        up, took = self.series(state, "httpcheck.up"), self.series(state, "httpcheck.duration")
        if up is None or took is None:
            return []
        of = (up.ring, up.ring.last, len(up.ring), self.given_up_s)
        if self._of != of:
            (times, ups), (_, latencies) = up.points(), took.points()  # of one group: they share a time axis
            answered = self.series(state, "httpcheck.status")
            codes = answered.points()[1] if answered else [nan] * len(times)
            rows = zip(times, latencies, ups, codes, strict=True)
            self._held = [Checked(at, latency, ok, ok < 1 and self._cut(latency, code)) for at, latency, ok, code in rows]
            self._of = of
        return within(self._held, since) if since else self._held

    def _cut(self, latency_s: float, code: float) -> bool:
        """Whether a failed check was given up: no series says so."""
        if self.row.kind == "http" and not code >= _ANSWERED:
            return not isnan(latency_s)
        return latency_s >= self.given_up_s * _AS_LONG

    def held(self, state: State) -> tuple[float, float]:
        """When its history begins, epoch seconds (NaN: there is none), and the seconds between two checks."""
        found = self.series(state, "httpcheck.up")
        return (found.ring.first, found.ring.interval_s) if found else (nan, self.row.interval_s)


# Over time ------------------------------------------------------------------------------------------------------------------------


class Columns(NamedTuple):
    """Checks in buckets of time.

    Attributes:
        values: The highest latency of each; NaN for a gap, and where no check gave one.
        failed: Buckets in which a check failed.
        rising: Buckets of which the highest latency is of a check that was given up.
    """

    values: list[float]
    failed: frozenset[int]
    rising: frozenset[int]


def columns(checks: Sequence[Checked], now: float, count: int, width_s: float, interval_s: float) -> Columns:
    """Checks in `count` buckets aligned to the clock, the last one containing `now`; those in which none was due are filled."""
    first = int(now // width_s) - count + 1
    values, met = [nan] * count, [nan] * count
    failed: set[int] = set()
    rising: set[int] = set()
    for check in checks:
        k = int(check.at // width_s) - first
        if not 0 <= k < count:
            continue
        met[k] = float(k)
        if check.up < 1:
            failed.add(k)
        if not isnan(check.up) and not values[k] >= check.latency_s and not isnan(check.latency_s):
            values[k] = check.latency_s
            (rising.add if check.at_least else rising.discard)(k)
    # A check without a latency is a gap as well: which check a bucket belongs to is bridged, not the latencies.
    whose = bridged(met, width_s, interval_s, begun=bool(checks) and begun(checks[-1].at, now, width_s, interval_s))
    shown = [nan if isnan(k) else values[int(k)] for k in whose]
    return Columns(shown, frozenset(failed), frozenset(at for at, k in enumerate(whose) if not isnan(k) and int(k) in rising))


# Phases ---------------------------------------------------------------------------------------------------------------------------


def last_phases(subject: Endpoint, state: State) -> dict[str, float]:
    """Seconds of each phase of its last check; NaN for one that was not entered."""
    return {phase: found.value if (found := _phase(subject, state, phase)) else nan for phase in PHASES}


def usual_phases(subject: Endpoint, state: State, since: float) -> tuple[dict[str, float], int]:
    """The median of each phase over the checks from a time on that found what is expected, and how many those are."""
    checks = subject.checks(state, since)
    good = [i for i, check in enumerate(checks) if check.up == 1]
    medians = {}
    for phase in PHASES:
        found = _phase(subject, state, phase)
        values = found.points(since)[1] if found else []
        medians[phase] = percentiles(values[i] for i in good if i < len(values)).p50
    return medians, len(good)


def own_delays(subject: Endpoint, state: State) -> list[tuple[str, float]]:
    """What the console itself had to do with the last check, in seconds, where that is known.

    How late it was started and how long it waited for its turn, which are in no latency; and how much of that may not be the target's.
    """
    late, turn = subject.series(state, "httpcheck.lateness"), subject.series(state, "httpcheck.slot_wait")
    known = [("late", late.value if late else nan), ("turn", turn.value if turn else nan), ("doubt", subject.row.doubt_s)]
    return [(name, seconds) for name, seconds in known if not isnan(seconds)]


def _phase(subject: Endpoint, state: State, phase: str) -> Series | None:
    return subject.series(state, "httpcheck.phase.duration", phase=phase)


# Windows --------------------------------------------------------------------------------------------------------------------------


def windows(held_s: float, interval_s: float) -> list[tuple[str, float]]:
    """The windows that are held, with their names; what is held beyond them under its own length."""
    found: list[tuple[str, float]] = []
    for window_s in _WINDOWS_S:
        if held_s < window_s - min(interval_s, window_s / 10):
            name = f"{(held_s + interval_s) // 60:.0f}m" if held_s >= 60 else "<1m"
            if not found or found[-1][0] != name:
                found.append((name, held_s + interval_s))
            break
        found.append((f"{window_s / 60:.0f}m", window_s))
    return found


def within(checks: Sequence[Checked], since: float) -> Sequence[Checked]:
    """Those from a time on."""
    return checks[bisect_left(checks, since, key=lambda check: check.at) :]


def least_cut(checks: Iterable[Checked]) -> float:
    """The shortest latency after which one of them was given up: a percentile from there on is at least what it says; NaN for none."""
    return min((check.latency_s for check in checks if check.at_least), default=nan)
