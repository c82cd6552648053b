"""Rows of the table of endpoints: what `perfconsole.core.tables` tells of each check, beside its series."""

from math import isnan, nan
from typing import ClassVar, Final
from zlib import crc32

from msgspec import Struct

STATES: Final = ("down", "failing", "unknown", "suppressed", "maintenance", "up")
"""From what asks for a look to what does not. Failing: not yet often enough to be down. Suppressed: what it depends on is down."""

CALM: Final = frozenset({"suppressed", "maintenance"})
"""States in which what a check finds counts for nothing."""

TARGET: Final = "checks"
"""What the table of all endpoints is of: a checker looks after them together."""

_URGENCY: Final = {state: float(len(STATES) - rank) for rank, state in enumerate(STATES)}


def identity(name: str) -> tuple[int, ...]:
    """The key of the row of an endpoint: of its name, which is all that stays when it is configured anew."""
    encoded = name.encode(errors="surrogatepass")  # a peer's name may be anything
    return (crc32(encoded), len(encoded), crc32(encoded[::-1]))


class EndpointRow(Struct, frozen=True, array_like=True, gc=False):
    """One endpoint: what its checks told so far. NaN where that is not known; every statistic is over `held_s`.

    Attributes:
        url: What is checked, without secrets.
        state: One of `STATES`; `since` when it began, epoch seconds.
        cause: Why the last check failed (`checks.CLASSES`), `error` in words; empty when it did not.
        blocked_by: What it depends on that is down; empty unless it is suppressed.
        at: End of the last check, epoch seconds; `last_s` its latency, `at_least` whether that is a timeout.
        p50_s, ...: Probe percentiles of the latency over `n` checks; NaN where n is too small for one.
        checks: Those that told something; `failed` among them.
        availability: Share of the time observed in which it was up; what is unknown is left out of both.
        expires: When the first certificate of its chain that matters ends, epoch seconds; `verified` whether it was found to be good.
        limit_s: The latency that is expected of it; NaN for none.
        unit, database: What serves it, and the server that it works with, as configured; empty for none.
        cut_s: The shortest latency after which a check was given up: a percentile from there on is at least so long; NaN for none.
        until: When its maintenance ends, epoch seconds; NaN while it is in none.
        pairs: Its labels, which `labels` words.
        doubt_s: How much of `last_s` may be the console's own delay; NaN where there was no check.
        failures: Why those that failed did, by class or status, and how often; the most frequent first.
    """

    TEXTS: ClassVar[frozenset[str]] = frozenset({"name", "service", "kind", "url", "state", "cause", "error", "group", "address", "labels"})
    DERIVED: ClassVar[frozenset[str]] = frozenset({"urgency", "error_ratio"})
    ASCENDING: ClassVar[frozenset[str]] = frozenset({"expires", "availability", "since"})
    FIRST: ClassVar[str] = "urgency"
    TIES: ClassVar[str] = "error_ratio"

    name: str
    kind: str
    service: str
    url: str
    state: str
    since: float = nan
    cause: str = ""
    error: str = ""
    blocked_by: str = ""
    at: float = nan
    status: int = 0
    last_s: float = nan
    at_least: bool = False
    p50_s: float = nan
    p90_s: float = nan
    p95_s: float = nan
    p99_s: float = nan
    n: int = 0
    checks: int = 0
    failed: int = 0
    availability: float = nan
    held_s: float = 0.0
    expires: float = nan
    verified: bool = True
    limit_s: float = nan
    interval_s: float = 10.0
    address: str = ""
    protocol: str = ""
    size_bytes: float = nan
    group: str = ""
    labels: str = ""
    critical: bool = False
    api: bool = False
    runbook: str = ""
    unit: str = ""
    database: str = ""
    cut_s: float = nan
    failures: tuple[tuple[str, int], ...] = ()
    doubt_s: float = nan
    pairs: tuple[tuple[str, str], ...] = ()
    until: float = nan

    @property
    def key(self) -> tuple[int, ...]:
        """Identity."""
        return identity(self.name)

    @property
    def urgency(self) -> float:
        """By state, the critical ones of each first."""
        return _URGENCY.get(self.state, 0.0) + (0.5 if self.critical else 0.0)

    @property
    def error_ratio(self) -> float:
        """Share of the checks that failed."""
        return self.failed / self.checks if self.checks else nan

    def text(self) -> str:
        """Everything a filter looks at."""
        return f"{self.name} {self.service} {self.group} {self.url} {self.state} {self.cause} {self.error} {self.labels}"


class ServiceRow(Struct, frozen=True, array_like=True, gc=False):
    """Several endpoints as one: counts by state, and statistics over all their checks together.

    Attributes:
        availability: The mean of its endpoints'.
        cut_s: As that of a row: of theirs the shortest.
    """

    name: str
    endpoints: int
    down: int
    p50_s: float = nan
    p90_s: float = nan
    p95_s: float = nan
    p99_s: float = nan
    n: int = 0
    checks: int = 0
    failed: int = 0
    availability: float = nan
    cut_s: float = nan

    @property
    def error_ratio(self) -> float:
        """Share of the checks that failed."""
        return self.failed / self.checks if self.checks else nan


class EndpointTable(Struct, frozen=True, array_like=True, tag="endpoint"):
    """The endpoints at one moment; `services` in the order of their names. `total` counts those that exist, whatever `rows` keeps."""

    window: ClassVar[str] = ""

    target: str
    at: float
    total: int
    rows: list[EndpointRow]
    services: tuple[ServiceRow, ...] = ()

    @property
    def unchecked(self) -> int:
        """Rows of which no check has come to an end yet."""
        return sum(isnan(row.at) for row in self.rows)

    @property
    def worst(self) -> EndpointRow | None:
        """The row that asks for a look first."""
        known = [row for row in self.rows if not isnan(row.urgency)]
        return max(known, key=lambda row: row.urgency, default=None)
