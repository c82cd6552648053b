"""One endpoint as the engine hears of it: its series, its health, and its row, each made anew only when an outcome changes it."""

from collections import Counter
from datetime import UTC, datetime
from math import inf, isnan, nan
from typing import Final

from msgspec.structs import astuple

from perfconsole.core.checks import PHASES, Certificate, Check, Outcome
from perfconsole.core.endpoint_history import Endpoint
from perfconsole.core.endpoint_samples import LATE, Counts
from perfconsole.core.endpoints import TARGET, EndpointRow, identity
from perfconsole.core.percentiles import bucketed
from perfconsole.core.ports import Measured
from perfconsole.core.series import STALE
from perfconsole.core.text import safe
from perfconsole.core.tick import Health, SeriesDef

NAME: Final = "http"

SERVICE: Final = "service:"
"""What the target of a service's group begins with."""

_ALWAYS: Final = ("up", "duration", "error.ratio", "lateness", "slot_wait")
_IF_KNOWN: Final = ("status", "size", "tls.expiry")

_SHOWN: Final = 8
"""Certificates of one endpoint that are remembered."""

_LATER_S: Final = 0.6
"""How much later than it came about an outcome may be told: a beat, and a little."""


class Followed:
    """One endpoint.

    Attributes:
        endpoint: What is known of it.
        key: Of its row.
        place: The target of its group and its health.
        announced: The state that was told as an event last; empty before the first.
        minute: Its checks of the last minute, as its last outcome found them.
        row: Its row; `stale` when it has to be made anew.
    """

    __slots__ = (
        "_buckets", "_columns", "_labels", "_leaf", "_made_at", "_said", "_said_at", "_series", "_shown", "_url", "announced", "endpoint",
        "key", "minute", "place", "row", "stale",
    )  # fmt: skip

    def __init__(self, check: Check) -> None:
        name = check.name
        self.key = identity(name)
        # Nothing hinders anybody to call an endpoint what the group of all is called.
        self.place = f"endpoint:{name}" if name == TARGET or name.startswith((SERVICE, "endpoint:")) else name
        self.endpoint = Endpoint(check)
        self.announced = ""
        self.minute = Counts(0, 0)
        self._leaf: Certificate | None = None
        self._shown: frozenset[Certificate] = frozenset()
        self._columns: tuple[str, ...] = ()
        self._describe(check)

    def _describe(self, check: Check) -> None:
        self._labels = (("endpoint", check.name), ("service", check.service))
        self._url = ""
        self._series: tuple[SeriesDef, ...] = ()
        self._said = ""
        self._said_at = -inf
        self.row: EndpointRow = self.endpoint.row(nan, "")
        self._made_at = -inf
        self._buckets: Counter[int] | None = None
        self.stale = True

    def configure(self, check: Check) -> None:
        """Go on with another check of the same target: what is known of that stays."""
        self.endpoint.configure(check)
        self._describe(check)

    def measured(self, outcome: Outcome) -> Measured:
        """The reading of an outcome that the endpoint has taken.

        A column that was never known is none: a server without TLS has no handshake, and a thousand endpoints are 11 KB a column and hour.
        """
        endpoint = self.endpoint
        self.minute = endpoint.samples.last_minute(outcome.at)
        counts = not isnan(endpoint.up)
        values = {
            "up": endpoint.up,
            "duration": outcome.latency_s if counts else nan,
            "error.ratio": self.minute.failed / self.minute.checks if self.minute.checks else nan,
            "lateness": outcome.late_s,
            "slot_wait": outcome.slot_wait_s,
            "status": float(outcome.status or nan),
            "size": outcome.size_bytes,
            "tls.expiry": endpoint.expires - outcome.at,
            **dict(zip(PHASES, astuple(outcome.phases), strict=True)),
        }
        columns = tuple(name for name, value in values.items() if name in _ALWAYS or name in self._columns or not isnan(value))
        if columns != self._columns or not self._series:
            self._columns, self._series = columns, tuple(self._definition(column) for column in columns)
        began = None if isnan(outcome.scheduled) else outcome.scheduled
        check, known = endpoint.check, [values[name] for name in columns]
        return Measured(self.place, self._series, known, began, check.interval_s, outcome.at, check.timeout_s, check.failures)

    def _definition(self, column: str) -> SeriesDef:
        if column in PHASES:
            return SeriesDef("httpcheck.phase.duration", (self._labels[0], ("phase", column), self._labels[1]))
        return SeriesDef(f"httpcheck.{column}", self._labels)

    def health(self, outcome: Outcome) -> Health | None:
        """Whether it can be measured, where that is to be said: a change, or what was said would be stale before more can be told."""
        said = outcome.error if outcome.unmeasured else "ok"
        lasts_s = (STALE - LATE) * self.endpoint.check.interval_s - _LATER_S
        if said == self._said and 0 <= outcome.at - self._said_at < lasts_s:
            return None
        self._said, self._said_at = said, outcome.at
        if not outcome.unmeasured:
            return Health(NAME, self.place, "ok", outcome.at, outcome.at)
        error, fix = parted(said)
        return Health(NAME, self.place, "error", outcome.at, self.endpoint.measured_at, 0.0, error, fix)

    def certificate(self, outcome: Outcome) -> str:
        """That it shows another certificate, in words; empty when it does not.

        Several servers behind one name may each show their own, in turns: one that was shown before is no news.
        """
        leaf = outcome.tls.chain[0] if outcome.tls and outcome.tls.chain else None
        if leaf is None or leaf == self._leaf:
            return ""
        before, self._leaf = self._leaf, leaf
        known = leaf in self._shown or before is None
        if len(self._shown) >= _SHOWN:
            self._shown = frozenset({before} if before else ())
        self._shown |= {leaf}
        return "" if known or before is None else f"another certificate: {_told(leaf)}, {_told(before)} before"

    def refresh(self, now: float, older_s: float) -> None:
        """Make its row anew where something happened, or time alone has made more of it than so many seconds."""
        if self.stale or not 0 <= now - self._made_at <= older_s:  # before: the clock was set back
            self._url = self._url or shown(self.endpoint.check)  # not before: 0.05 ms each
            self.row, self._made_at, self.stale = self.endpoint.row(now, self._url), now, False
            self._buckets = None

    def buckets(self) -> Counter[int]:
        """Its latencies as `core.percentiles` pools them; as old as its row."""
        if self._buckets is None:
            self._buckets = bucketed(self.endpoint.samples.latencies)
        return self._buckets


def _told(certificate: Certificate) -> str:
    """``CN=shop.example until 2027-03-01``."""
    try:
        until = datetime.fromtimestamp(certificate.not_after, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):  # a certificate may say anything
        until = "?"
    return f"{certificate.subject} until {until}"


def same_subject(one: Check, other: Check) -> bool:
    """Whether two checks look at the same thing, each in its way: what is known of it stays."""
    return _subject(one) == _subject(other)


def _subject(check: Check) -> tuple[str, ...]:
    return (check.kind, check.target, check.connect_to, check.host, check.tls.server_name, check.record, check.server)


def parted(text: str) -> tuple[str, str]:
    """What is wrong, and what to do about it, which our own failures end with."""
    for sign in ("; ", ": "):
        error, found, fix = text.rpartition(sign)
        if found:
            return error, fix
    return text, ""


def shown(check: Check) -> str:
    """What is checked, for reading: no user, no password, no secret in a query."""
    if check.kind != "http":
        return safe(check.target, 300)
    from perfconsole.collectors.http.judging.wording import Secrets, shown_url  # noqa: PLC0415  ports and names need none of it

    return shown_url(check.target, Secrets())
