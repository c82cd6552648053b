"""What is known of one endpoint from the outcomes of its checks: its state, since when, and its row in the table. Pure: no clock.

A state is not the last outcome: it takes several failures to be down, and what lies in a maintenance window, or is the fault of something
it depends on, counts for nothing.
"""

from collections.abc import Sequence
from math import inf, isnan, nan
from typing import Final

from msgspec import structs

from perfconsole.core.checks import Check, Outcome, Window, expiry
from perfconsole.core.endpoint_samples import LATE, OK, UNKNOWN, Samples, failure
from perfconsole.core.endpoints import EndpointRow
from perfconsole.core.percentiles import percentiles
from perfconsole.core.requests import EndpointChange

CHANGES_HELD: Final = 100

_ROW: Final = 2.0
"""How much longer than a result holds two may be apart that are in a row: one between them may count for nothing."""

_SPELLS: Final = 32
"""Windows that follow on one another: more than two a day for a week is for good, as far as anybody can be told when it ends."""

_OVER_S: Final = 1.0
"""What a check may take beyond its timeout before the one before it is no answer any more."""


class Endpoint:
    """One endpoint.

    Attributes:
        check: How it is checked.
        state: One of `endpoints.STATES`; `since` when it began, epoch seconds; NaN before the first outcome.
        blocked_by: What it depends on that is down, while it is suppressed; else empty.
        last: The last outcome; `failure` the last that was one, in words too.
        failing: Whether the last outcome was a failure, whoever's fault it was; what could not be measured is none.
        up: 1 or 0 as the last outcome told; NaN where it told nothing, in maintenance, and while suppressed.
        measured_at: End of the last check that told something of the target, epoch seconds; 0 when there was none.
        expires: When the first certificate of its chain that matters ends, as last seen, epoch seconds; `verified` whether it was found
            to be good.
    """

    __slots__ = (
        "_certain_until", "_changes", "_counted_at", "_down", "_failures", "_looked_at", "_maintained", "_planned_until", "_streak_since",
        "_successes", "blocked_by", "check", "expires", "failing", "failure", "last", "measured_at", "samples", "since", "state", "up",
        "verified",
    )  # fmt: skip

    def __init__(self, check: Check) -> None:
        self.check = check
        self.samples = Samples(*_held_s(check), check.interval_s)
        self.state, self.since, self.blocked_by = "unknown", nan, ""
        self.last: Outcome | None = None
        self.failure: Outcome | None = None
        self.failing, self.up, self.measured_at = False, nan, 0.0
        self.expires, self.verified = nan, True
        self._down = False
        self._failures = self._successes = 0
        self._streak_since = nan
        self._counted_at = inf
        self._changes: list[EndpointChange] = []
        self._maintained, self._looked_at, self._certain_until = False, inf, -inf
        self._planned_until = nan

    def configure(self, check: Check) -> None:
        """Go on with another check of the same target."""
        self.check = check
        self.samples.configure(*_held_s(check), check.interval_s)
        self._certain_until = -inf

    @property
    def changes(self) -> Sequence[EndpointChange]:
        """The last changes of its state, oldest first."""
        return self._changes

    def take(self, outcome: Outcome, blocked_by: str = "") -> EndpointChange | None:
        """Take the outcome of a check.

        Args:
            outcome: Its last one, unless the clock was set back.
            blocked_by: What it depends on that is down; empty for nothing.

        Returns:
            A change of its state, if that is what it brought.
        """
        began = outcome.at if isnan(outcome.scheduled) else outcome.scheduled
        self._follow_clock(began, outcome.at)
        self.last = outcome
        self._remember(outcome)
        # Before or after its run: work that began or ended meanwhile is as good an excuse.
        excused = self._in_maintenance(began) or self._in_maintenance(outcome.at)
        counts = not (outcome.unmeasured or excused or (self.failing and blocked_by))
        self.blocked_by = ""
        self.up = float(outcome.ok) if counts else nan
        verdict = (OK if outcome.ok else failure(outcome.cause, outcome.status)) if counts else UNKNOWN
        self.samples.append(began, verdict, outcome.latency_s if counts else nan)
        if counts:
            return self._become(self._judged(began, ok=outcome.ok), began, self._streak_since)
        if excused:
            self._excuse(outcome)
            return self._become("maintenance", began)
        if outcome.unmeasured:
            return self._become("unknown", began)
        self.blocked_by = blocked_by
        return self._become("suppressed", began)

    def settle(self, at: float, blocked_by: str) -> EndpointChange | None:
        """What the time, and what it depends on, make of its last outcome.

        What is over (a maintenance window, an outage of something else) is so for it with its next check: nobody knows before.
        """
        if self._in_maintenance(at):
            self.up, self.blocked_by = nan, ""
            return self._become("maintenance", at)
        if self.state == "suppressed" and blocked_by:
            self.blocked_by = blocked_by
        if self.state in {"failing", "down"} and self.failing and blocked_by:
            self.up, self.blocked_by = nan, blocked_by
            return self._become("suppressed", at)
        return None

    def over(self, at: float, blocked_by: str) -> bool:
        """Whether the reason why its checks did not count is gone: time for a check that does."""
        if self.state == "maintenance":
            return not self._in_maintenance(at)
        return self.state == "suppressed" and not blocked_by

    def _follow_clock(self, began: float, ended: float) -> None:
        """What began after this check has ended was told by a clock that has been set back."""
        if ended < self.since or ended < self._streak_since:
            self.since, self._streak_since = min(self.since, began), min(self._streak_since, began)

    def _remember(self, outcome: Outcome) -> None:
        self.failing = not outcome.ok and not outcome.unmeasured
        if not outcome.unmeasured:
            self.measured_at = outcome.at
        if not outcome.ok:
            self.failure = outcome
        if outcome.tls is not None and outcome.tls.chain:
            self.expires = expiry(outcome)
            self.verified = outcome.tls.verified or not outcome.tls.error

    def _in_maintenance(self, at: float) -> bool:
        if not self.check.maintenance:
            return False
        if not self._looked_at <= at < self._certain_until:
            from perfconsole.core import windows  # noqa: PLC0415  most have none

            self._maintained, self._certain_until = windows.until(self.check.maintenance, at)
            self._looked_at = at
            self._planned_until = _end(self.check.maintenance, self._certain_until) if self._maintained else nan
        return self._maintained

    def _judged(self, began: float, *, ok: bool) -> str:
        """The state after one more outcome that counts. A row ends with maintenance, and with any long time in which nothing counted."""
        if self.state == "maintenance" or began - self._counted_at > _ROW * max(_held_s(self.check)):
            self._failures = self._successes = 0
        self._counted_at = began
        if not (self._successes if ok else self._failures):
            self._streak_since = began
        self._count(ok=ok)
        return "down" if self._down else "up" if ok else "failing"

    def _count(self, *, ok: bool) -> None:
        if ok:
            self._failures, self._successes = 0, self._successes + 1
            self._down = self._down and self._successes < self.check.successes
        else:
            self._failures, self._successes = self._failures + 1, 0
            self._down = self._down or self._failures >= self.check.failures

    def _excuse(self, outcome: Outcome) -> None:
        """In maintenance a failure says nothing; what is well then is not down any more."""
        if outcome.ok:
            self._count(ok=True)
        elif not outcome.unmeasured:
            self._successes = 0

    def _become(self, state: str, at: float, since: float = nan) -> EndpointChange | None:
        if state == self.state and not isnan(self.since):
            if state == "failing":
                self.since = since  # in a row of its own: the one before it has ended
            return None
        known, self.state = not isnan(self.since), state
        self.since = at if isnan(since) else since
        change = EndpointChange(at, state, self._why())
        self._changes.append(change)
        del self._changes[:-CHANGES_HELD]
        return change if known or state != "up" else None  # that it is up when it is first looked at is no news

    def _why(self) -> str:
        if self.state in {"up", "maintenance"} or self.last is None:
            return ""
        if self.state == "suppressed":
            return f"{self.blocked_by} is down"
        return self.last.error if self.last.cause in {"", "unmeasured"} else f"{self.last.cause}: {self.last.error}"

    def row(self, now: float, url: str) -> EndpointRow:
        """Its row of the table.

        Args:
            now: Epoch seconds.
            url: What is checked, without secrets.
        """
        check, last = self.check, self.last
        row = EndpointRow(
            check.name, check.kind, check.service, url, self.state,
            since=min(self.since, now), limit_s=check.expect.max_latency_s, interval_s=check.interval_s, group=check.group,
            labels=" ".join(f"{name}={value}" for name, value in check.labels),
            critical=check.critical, api=check.api, runbook=check.runbook, unit=check.unit, database=check.database, pairs=check.labels,
        )  # fmt: skip
        if self.state == "maintenance" and now < self._planned_until:
            row = structs.replace(row, until=self._planned_until)
        return row if last is None else self._with_numbers(row, last, now)

    def _with_numbers(self, row: EndpointRow, last: Outcome, now: float) -> EndpointRow:
        found, counts = percentiles(self.samples.latencies), self.samples.counts()
        failures = self.samples.failures() if counts.failed else ()
        return structs.replace(
            row,
            cause=last.cause, error=last.error, blocked_by=self.blocked_by,
            at=last.at, status=last.status, last_s=last.latency_s, at_least=last.at_least,
            p50_s=found.p50, p90_s=found.p90, p95_s=found.p95, p99_s=found.p99, n=found.n,
            checks=counts.checks, failed=counts.failed, availability=self.samples.availability(now), held_s=self.samples.held_s(now),
            expires=self.expires, verified=self.verified, address=last.address, protocol=last.protocol, size_bytes=last.size_bytes,
            cut_s=self.samples.cut_s, failures=failures, doubt_s=last.doubt_s,
        )  # fmt: skip


def _end(maintenance: tuple[Window, ...], certain: float) -> float:
    """When maintenance ends that lasts until a moment at the least; NaN where it is for good."""
    from perfconsole.core import windows  # noqa: PLC0415  as above

    for _ in range(_SPELLS):  # one may begin before another has ended
        inside, until = windows.until(maintenance, certain)
        if not inside:
            return certain
        certain = until
    return nan


def _held_s(check: Check) -> tuple[float, float]:
    """How long a good and a bad result hold at most."""
    longest_s = check.timeout_s + _OVER_S
    return max(LATE * check.interval_s, longest_s), max(LATE * check.failing_s, longest_s)
