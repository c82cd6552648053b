"""The one stream: what a source tells its readers. These types are also the wire and the recording format.

Structs are array-like (no field names travel) and frozen. Every value is in a base unit: seconds, bytes, ratios 0-1; NaN is unknown.
NaN is never equal to itself: compare ticks by their encoded bytes, not with ``==``. Every ``str`` has passed `core.text.safe`.
"""

from fnmatch import fnmatchcase
from math import isnan, nan
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from perfconsole.core.percentiles import LEAST
from perfconsole.core.tables import Table

SEVERITIES: Final = ("info", "warning", "critical")
"""From mild to severe: the index is the rank."""

TIMEOUT_S: Final = 5.0
"""What a measurement may take beyond its interval before it is missing, where its group says nothing else."""


_SLACK: Final = 1.05
"""A window for so many samples is a little longer than their intervals: some come late, and none may be missing for it."""


_LONG_S: Final = 1800.0
_MOST: Final = 0.8
"""Of an average over so long, so much of it has to have been observed."""


class SeriesDef(Struct, frozen=True, array_like=True, gc=False):
    """A series: a metric name and its labels, sorted by label name."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()


class Group(Struct, frozen=True, array_like=True):
    """A set of series that are always measured together, defined once; readings then refer to it by `id` and position.

    A later group with the same collector and target replaces this one (columns of series in both are carried over); one without
    series ends it. Another set of series has another id, a later one a greater: readings of both may stand in one merged tick.

    Attributes:
        at: Since when it holds, epoch seconds, that of its first reading if it has any; 0 where nobody said.
        timeout_s: After what time a measurement is given up; 0 where nobody said: `TIMEOUT_S`.
        failures: How many failures in a row make its target down; 0 where nobody said.
    """

    id: int
    collector: str
    target: str
    interval_s: float
    series: tuple[SeriesDef, ...]
    at: float = 0.0
    timeout_s: float = 0.0
    failures: int = 0


class Reading(Struct, frozen=True, array_like=True):
    """One collector run at one target: the values of a group, by position.

    Attributes:
        at: Wall-clock time of completion, epoch seconds; after the tick before, and not after the tick that tells of it.
        began: The scheduled start where it differs in meaning from `at` (an HTTP check); only ever used for "since".
    """

    group: int
    at: float
    values: list[float]
    began: float | None = None


class Health(Struct, frozen=True, array_like=True):
    """How a collector does at a target: `state` is ``ok``, ``stale``, ``error``, ``denied`` or ``off``.

    `fix` is the exact grant, group or setting that mends it. `last_ok` is the time of its last success, 0 when there was none.
    """

    collector: str
    target: str
    state: str
    at: float
    last_ok: float
    cost_s: float = 0.0
    error: str = ""
    fix: str = ""


class Ack(Struct, frozen=True, array_like=True):
    """Somebody has taken an alert on: who, when (epoch seconds), and what was said."""

    by: str
    at: float
    text: str = ""


class Silence(Struct, frozen=True, array_like=True):
    """What matches it notifies nobody until a moment; it is evaluated, shown and counted as ever.

    Attributes:
        id: Eight hexadecimal digits.
        match: Label name to glob, all of which have to match; ``rule``, ``severity`` and ``metric`` stand beside a series' own labels.
        at: When it was made; `until`, epoch seconds like it, when it ends.
        by: Who made it; `reason` why.
    """

    id: str
    match: tuple[tuple[str, str], ...]
    at: float
    until: float
    by: str
    reason: str

    def covers(self, alert: "Alert") -> bool:
        """Whether it is about an alert."""
        known = {**dict(alert.labels), "rule": alert.rule, "severity": alert.severity, "metric": alert.metric}
        return all(name in known and fnmatchcase(known[name], glob) for name, glob in self.match)


class Alert(Struct, frozen=True, array_like=True):
    """An alert after a transition, or after a change of what is said of it (`before` is then `state`).

    A threshold (`colour` true) is a rule without duration and notification: it colours a value and never counts as an alert.

    Attributes:
        id: Of rule and series; the same whenever it fires.
        state: ``inactive pending firing resolved``. One that recovers is firing still, until it has been quiet for long enough.
        at: When this came about, epoch seconds: a deadline exactly, whenever it was taken.
        since: When the breach began.
        value: What decided; `n` of how many samples, `limit` the threshold.
        due: Of a pending one, when it fires unless it recovers; moves on with time that nobody observed. NaN for others.
        fired_at: When it fired; NaN before.
        muted: Why it notifies nobody, in words: inhibited by another, what it depends on is down; empty when it does.
        flapping: Whether it fired and ended again and again.
        text: Why it ended where no value says so.
        stat: What of the series' samples `value` is (`alert_stats.STATS`), over the last `over_s`.
        ack: Who has taken it on; None as long as nobody has. It ends with the alert.
        silence: The id of the silence it lies under; empty without.
    """

    id: str
    rule: str
    metric: str
    labels: tuple[tuple[str, str], ...]
    severity: str
    state: str
    before: str
    at: float
    since: float
    value: float
    limit: float
    above: bool = True
    colour: bool = False
    n: int = 1
    due: float = nan
    fired_at: float = nan
    muted: str = ""
    flapping: bool = False
    text: str = ""
    stat: str = "last"
    over_s: float = 0.0
    ack: Ack | None = None
    silence: str = ""


class Event(Struct, frozen=True, array_like=True):
    """Something that changed, at a time known to lie between `time_lo` and `time_hi` (epoch seconds).

    Attributes:
        kind: One of `changes.KINDS`.
        scope: What it is about: ``host``, a unit, an endpoint, ``postgres:NAME``, a path.
        text: What happened, in words that need no scope beside them.
        source: Who says so: ``kernel log``, ``systemd``, ``/var/log/dpkg.log``, whoever set a mark.
        severity: One of `SEVERITIES`; empty for what is neither good nor bad.
    """

    time_lo: float
    time_hi: float
    kind: str
    scope: str
    text: str
    source: str
    severity: str = ""


class Backlog(Struct, frozen=True, array_like=True):
    """The samples held of one group, for keyframes: native-endian float64 arrays as bytes, one time axis, one column a series."""

    group: int
    times: bytes
    columns: list[bytes]


class Rule(Struct, frozen=True, array_like=True):
    """When a metric's values are an alert; without duration and notification a threshold, which colours a value.

    Attributes:
        match: Label name to glob. A rule means the series with exactly these label names: without any, the unlabelled series, which is
            the binding total.
        limit: Breached when the statistic (of a counter's rate per second) is above it, or below it where `above` is false.
        stat: One of `alert_stats.STATS`, over the samples of the last `over_s`; with 0 the sample alone.
        for_s: How long it has to be breached.
        clear: How far it has to come back; NaN: to the limit.
        keep_s: How long it has to stay there.
        max_gap_s: The longest time between two samples that counts; NaN: two intervals, and the timeout of what is measured.
        min_samples: Of fewer, the statistic is not known.
        min_events: Of a ratio, so many must count against it; of ``last``, so many samples in a row must breach before it fires.
        no_data: What silence is: ``keep`` nothing, ``alert`` a breach, ``ok`` a recovery.
        depends_on: ``host``, ``http:NAME`` or ``postgres:NAME``: while one is down, this notifies nobody.
        respond_s: Within what time somebody should answer.
        colour: Whether it is a threshold.
        source: Where it is written, as ``file:line``; empty for one that ships.
        only: Of the endpoints that match, those with these names; empty: all.
        stretches: Of a series that is measured seldom, `over_s` is longer: as long as the samples take that are needed. And what takes
            several failures in a row takes as many as make the target down.
    """

    name: str
    severity: str
    metric: str
    limit: float
    above: bool = True
    match: tuple[tuple[str, str], ...] = ()
    stat: str = "last"
    over_s: float = 0.0
    for_s: float = 0.0
    clear: float = nan
    keep_s: float = 0.0
    max_gap_s: float = nan
    min_samples: int = 1
    min_events: int = 0
    no_data: str = "keep"
    depends_on: tuple[str, ...] = ()
    respond_s: float = nan
    runbook: str = ""
    notify: tuple[str, ...] = ()
    colour: bool = True
    source: str = ""
    only: frozenset[str] = frozenset()
    stretches: bool = False

    def gap_s(self, interval_s: float, timeout_s: float = 0.0) -> float:
        """The longest time between two samples that counts, of a series that is measured at an interval; see `Group` for both."""
        return 2 * interval_s + (timeout_s or TIMEOUT_S) if isnan(self.max_gap_s) else self.max_gap_s

    def covers(self, definition: SeriesDef) -> bool:
        """Whether this rule is about a series."""
        if definition.name != self.metric or len(definition.labels) != len(self.match):
            return False
        globs = dict(self.match)
        if not all(name in globs and fnmatchcase(value, globs[name]) for name, value in definition.labels):
            return False
        return not self.only or dict(definition.labels).get("endpoint") in self.only

    @property
    def needed(self) -> int:
        """How many samples its window has to hold for it to know anything, or to be breached."""
        return max(self.decisive, self.min_samples)

    @property
    def decisive(self) -> int:
        """How many bad samples its window has to hold for it to be breached by them, if they are all that it holds."""
        percentile = LEAST.get(int(self.stat[1:]), 1) if self.stat[0] == "p" else 1
        return max(percentile, self.min_events if self.stat == "ratio" else 1)

    def fitted(self, interval_s: float, timeout_s: float = 0.0, failures: int = 0) -> "Rule":
        """This rule for a series of a group; see there. A window that stretches reaches over as many samples as it takes.

        Of a share three times as many as must count against it: not only what always fails is to be found. Those that a rule must have to
        decide at all lie in it too where each is given up only after the timeout. And the average of an hour is that of most of it.
        """
        if not self.stretches:
            return self
        if self.stat == "last":
            counts = failures and self.min_events and failures != self.min_events
            return replace(self, min_events=failures) if counts else self
        wished = 3 * self.min_events if self.stat == "ratio" else 1
        step_s = interval_s + timeout_s if timeout_s > interval_s else interval_s
        over_s = max(self.over_s, self.needed * interval_s * _SLACK, self.decisive * step_s * _SLACK, wished * interval_s)
        least = int(over_s * _MOST / interval_s) if self.stat == "avg" and over_s >= _LONG_S else self.min_samples
        return self if (over_s, least) == (self.over_s, self.min_samples) else replace(self, over_s=over_s, min_samples=max(1, least))

    def breached(self, value: float) -> bool:
        """Whether a known value is on the wrong side."""
        return value > self.limit if self.above else value < self.limit


class Stream(Struct, frozen=True, array_like=True):
    """What a stream is about: one host as seen by one engine. Sent in keyframes.

    Attributes:
        session: Identifies one run of one engine; ticks of the same session with consecutive `Tick.seq` belong together.
        ops: Names of the operations this source offers; a screen binds no key for one that is missing.
        recorded: First and last moment that can be looked at with `Watch.at`; None when only the present is known.
        recorder: In words, who records: empty when nobody does.
        began: When the engine was started, epoch seconds: what it found already so began before that.
        rules: The thresholds in force.
    """

    host: str
    session: str
    boot_id: str
    version: str
    ops: frozenset[str] = frozenset()
    read_only: bool = False
    recorded: tuple[float, float] | None = None
    recorder: str = ""
    interval_s: float = 2.0
    began: float = 0.0
    rules: tuple[Rule, ...] = ()


class Tick(Struct, frozen=True, array_like=True):
    """Everything learnt since the last beat; may be empty, and is then still the clock for alerts, freshness and link loss.

    Attributes:
        at: Wall-clock time at which it was closed, epoch seconds.
        boot: CLOCK_BOOTTIME at that moment; elapsed time is counted with this, so a step of the wall clock completes no duration.
        key: A keyframe: replaces everything known.
        past: Not the present, but a moment looked at in a recording.
        silences: All that are in force, when they changed and in keyframes; else None.
    """

    seq: int
    at: float
    boot: float
    key: bool = False
    past: bool = False
    groups: list[Group] = []
    readings: list[Reading] = []
    tables: list[Table] = []
    alerts: list[Alert] = []
    events: list[Event] = []
    health: list[Health] = []
    backlog: list[Backlog] = []
    stream: Stream | None = None
    silences: tuple[Silence, ...] | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing but time has passed."""
        told = self.readings or self.tables or self.alerts or self.events or self.health or self.groups
        return not (self.key or told or self.silences is not None)


def merge(ticks: list[Tick]) -> Tick:
    """One tick that leaves a state as the given ones, applied in order, would.

    Args:
        ticks: Consecutive ticks of one source, at least one. What precedes the last keyframe is dropped.
    """
    last = ticks[-1]
    start = max((i for i, tick in enumerate(ticks) if tick.key), default=0)
    run = ticks[start:]
    tables = {(type(table), table.target, table.window): table for tick in run for table in tick.tables}
    return Tick(
        seq=last.seq,
        at=last.at,
        boot=last.boot,
        key=run[0].key,
        past=last.past,
        groups=[group for tick in run for group in tick.groups],
        readings=[reading for tick in run for reading in tick.readings],
        tables=list(tables.values()),
        alerts=[alert for tick in run for alert in tick.alerts],
        events=[event for tick in run for event in tick.events],
        health=_healths(run),
        backlog=[part for tick in run for part in tick.backlog],
        stream=next((tick.stream for tick in reversed(run) if tick.stream), None),
        silences=next((tick.silences for tick in reversed(run) if tick.silences is not None), None),
    )


def _healths(run: list[Tick]) -> list[Health]:
    """What is still true of health at the end: a group that ends takes the health of its place along."""
    kept: list[Health] = []
    for tick in run:
        ended = {(group.collector, group.target) for group in tick.groups if not group.series}
        if ended:
            kept = [health for health in kept if (health.collector, health.target) not in ended]
        kept += tick.health
    return kept
