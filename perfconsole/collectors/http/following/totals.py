"""Endpoints together: the series of each service, and those of all. Made every 2 s at most, or at once when one goes up or down."""

from collections.abc import Iterable, Sequence
from math import inf, isnan, nan
from typing import Final

from perfconsole.collectors.http.following.followed import SERVICE, Followed
from perfconsole.core.endpoints import TARGET, EndpointRow, ServiceRow
from perfconsole.core.ports import Measured
from perfconsole.core.tick import SeriesDef

EVERY_S: Final = 2.0

_OF_ALL: Final = tuple(SeriesDef(f"httpcheck.{name}") for name in ("up", "duration", "error.ratio", "tls.expiry"))


class Total:
    """The endpoints of one service.

    Attributes:
        members: They.
        changed: Whether one of them was checked since the last reading.
        listed: Its row, and the rows of which it was made.
    """

    def __init__(self, service: str, members: Sequence[Followed]) -> None:
        self.members = members
        self.changed = True
        self.listed: tuple[list[EndpointRow], ServiceRow] | None = None
        self._place = SERVICE + service
        labels = (("service", service),)
        self._series = (SeriesDef("httpcheck.up", labels), SeriesDef("httpcheck.error.ratio", labels))
        self._interval_s = max(EVERY_S, min(member.endpoint.check.interval_s for member in members))
        self._timeout_s = max(member.endpoint.check.timeout_s for member in members)
        self._told_at = -inf
        self._up = nan

    def measured(self, at: float, boot: float) -> Measured | None:
        """A reading, if one is due."""
        if not self.changed:
            return None
        up = _up(self.members)
        if up == self._up and boot - self._told_at < EVERY_S:
            return None
        self._up, self._told_at, self.changed = up, boot, False
        values = [up, _error_ratio(self.members)]
        return Measured(self._place, self._series, values, interval_s=self._interval_s, at=at, timeout_s=self._timeout_s)

    def ended(self) -> Measured:
        """The end of its group."""
        return Measured(self._place, (), [])


def of_all(members: Sequence[Followed], at: float) -> Measured:
    """The reading of all endpoints: up when all are, the slowest, the share of failures, the certificate that ends first."""
    slowest = max((_latency(member) for member in members if not isnan(_latency(member))), default=nan)
    expires = min((member.endpoint.expires for member in members if not isnan(member.endpoint.expires)), default=nan)
    return Measured(TARGET, _OF_ALL, [_up(members), slowest, _error_ratio(members), expires - at], interval_s=EVERY_S, at=at)


def _latency(member: Followed) -> float:
    last = member.endpoint.last
    return nan if last is None or isnan(member.endpoint.up) else last.latency_s


def _up(members: Iterable[Followed]) -> float:
    return min((member.endpoint.up for member in members if not isnan(member.endpoint.up)), default=nan)


def _error_ratio(members: Iterable[Followed]) -> float:
    checks = failed = 0
    for member in members:
        checks += member.minute.checks
        failed += member.minute.failed
    return failed / checks if checks else nan
