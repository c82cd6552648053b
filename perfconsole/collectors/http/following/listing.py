"""The table of endpoints: rows of those that something happened to are made anew, and those of their services; in slices."""

from collections.abc import Iterable, Mapping, Sequence
from math import isnan, nan
from time import perf_counter
from typing import Final

from perfconsole.collectors.http.following.followed import Followed
from perfconsole.collectors.http.following.totals import Total
from perfconsole.collectors.loop import paced
from perfconsole.core.endpoints import TARGET, EndpointRow, EndpointTable, ServiceRow
from perfconsole.core.percentiles import Percentiles, bucketed, of_buckets, percentiles

_OLD_S: Final = 60.0
"""After which a row is made anew though nothing happened: what is checked once an hour is observed meanwhile."""

_EXACT: Final = 2000
"""Latencies that are sorted at once, in 0.4 ms; of more, each endpoint's are counted in buckets, which are added up."""


async def table(followed: Sequence[Followed], services: Mapping[str, Total], now: float) -> EndpointTable:
    """The table at a moment.

    Args:
        followed: All endpoints, in the order of their rows' keys.
        services: Each with its endpoints, by its name, in the order of names.
        now: Epoch seconds.
    """
    async for one in paced(followed, perf_counter):
        one.refresh(now, _OLD_S)
    told = [await _service(name, total) async for name, total in paced(services.items(), perf_counter)]
    return EndpointTable(TARGET, now, len(followed), [one.row for one in followed], tuple(told))


async def _service(name: str, total: Total) -> ServiceRow:
    """The row of a service: kept until a row of it is made anew, for sorting what 500 services hold takes 24 ms."""
    rows = [member.row for member in total.members]
    if total.listed is None or total.listed[0] != rows:
        total.listed = rows, await _made(name, total.members, rows)
    return total.listed[1]


async def _made(name: str, members: Sequence[Followed], rows: Sequence[EndpointRow]) -> ServiceRow:
    known = [row.availability for row in rows if not isnan(row.availability)]
    found = _alone(rows[0]) if len(rows) == 1 else await _pooled(members)
    return ServiceRow(
        name, len(rows), sum(row.state == "down" for row in rows), *found[1:], found.n,
        sum(row.checks for row in rows), sum(row.failed for row in rows), sum(known) / len(known) if known else nan,
        min((row.cut_s for row in rows if not isnan(row.cut_s)), default=nan),
    )  # fmt: skip


def _alone(row: EndpointRow) -> Percentiles:
    return Percentiles(row.n, row.p50_s, row.p90_s, row.p95_s, row.p99_s)


async def _pooled(members: Sequence[Followed]) -> Percentiles:
    if sum(len(member.endpoint.samples) for member in members) <= _EXACT:
        return percentiles(_latencies(members))
    counts = bucketed(())
    async for member in paced(members, perf_counter):
        counts.update(member.buckets())
    return of_buckets(counts)


def _latencies(members: Iterable[Followed]) -> Iterable[float]:
    return (latency for member in members for latency in member.endpoint.samples.latencies)
