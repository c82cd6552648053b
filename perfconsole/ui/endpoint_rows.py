"""Endpoints as tables list them: their columns, their order, the lines of their services, and how many are in which state. Pure."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from perfconsole.core import units
from perfconsole.core.endpoints import EndpointRow, EndpointTable, ServiceRow, identity
from perfconsole.core.tables import Key
from perfconsole.ui import endpoints
from perfconsole.ui.arrange import Item
from perfconsole.ui.columns import Column, by_pane

NAME_LEAST, NAME_MOST = 8, 24
HISTORY_LEAST, HISTORY_MOST = 12, 90
DETAIL_LEAST, DETAIL_MOST = 24, 72


def _columns(**ranks: int) -> tuple[Column, ...]:
    """The columns that have a rank, in their order; see `Column.rank`."""
    return tuple(column._replace(rank=ranks[column.id]) for column in _ALL if column.id in ranks)


_ALL: Final = (
    Column("state", "STATE", "urgency", 13, 0, by_pane, right=False),
    Column("name", "NAME", "name", NAME_LEAST, 0, by_pane, right=False),
    Column("code", "CODE", "status", 7, 0, endpoints.code_text, right=False),
    Column("last", "LAST", "last_s", 7, 0, endpoints.last_text),
    Column("history", "HISTORY", "", HISTORY_LEAST, 0, by_pane, right=False),
    Column("p50", "P50", "p50_s", 5, 0, lambda row: endpoints.bound_text(row.p50_s, row.cut_s)),
    Column("p95", "P95", "p95_s", 5, 0, lambda row: endpoints.bound_text(row.p95_s, row.cut_s)),
    Column("p99", "P99", "p99_s", 5, 0, lambda row: endpoints.bound_text(row.p99_s, row.cut_s)),
    Column("n", "N", "n", 4, 0, lambda row: units.count(row.n) if row.n else ""),
    Column("error", "ERR%", "error_ratio", 4, 0, lambda row: endpoints.error_text(row.error_ratio)),
    Column("availability", "AVAIL%", "availability", 6, 0, lambda row: endpoints.availability_text(row.availability)),
    Column("certificate", "CERT", "expires", 6, 0, by_pane),
    Column("since", "FOR", "since", 6, 0, by_pane),
    Column("detail", "WHY, OR WHERE", "", 0, 0, by_pane, right=False),
)

EVERY: Final = _columns(
    state=0, name=0, code=1, last=1, history=3, p50=9, p95=1, p99=8, n=7, error=2, availability=5, certificate=6, since=4, detail=10
)
BRIEF: Final = _columns(state=0, name=0, code=8, last=1, history=2, p95=3, n=3, error=4, availability=7, certificate=5, since=6, detail=0)
"""Where few rows are shown: why an endpoint fails comes before numbers."""


_COUNTED: Final = ("down", "failing", "stale", "unknown", "up", "suppressed", "maintenance")
"""The order in which states are counted: those that ask for nothing after those that are well."""


class Service(NamedTuple):
    """The line above the endpoints of a service.

    Attributes:
        row: What is known of it as a whole.
        worst: The most urgent state of its endpoints.
        hidden: How many of them are not listed below it.
    """

    row: ServiceRow
    worst: str
    hidden: int

    @property
    def key(self) -> Key:
        """Identity: of no endpoint's form."""
        return (*identity(self.row.name), 0)


def by_service(items: Sequence[Item], services: Sequence[ServiceRow], folded: Collection[str], now: float) -> list[Item]:
    """Endpoints with their services, which stand where the first of their endpoints does.

    Args:
        items: Endpoints in their order.
        services: All services; one with a single endpoint is no line of its own.
        folded: Names of those whose endpoints are not listed.
        now: Epoch seconds.
    """
    several = {service.name: service for service in services if service.endpoints > 1}
    members: dict[str, list[Item]] = {}
    for item in items:
        service = item.row.service
        members.setdefault(service if service in several else f"\0{item.row.name}", []).append(item)
    out: list[Item] = []
    for service, group in members.items():
        if service in several:
            worst = min((endpoints.state_of(item.row, now) for item in group), key=_place)
            shown = 0 if service in folded else len(group)
            out.append(Item(Service(several[service], worst, several[service].endpoints - shown)))
        if service not in folded:
            out += group
    return out


def _place(state: str) -> int:
    """The worst first; a state that another version tells of comes last."""
    return _COUNTED.index(state) if state in _COUNTED else len(_COUNTED)


def counts(table: EndpointTable, now: float, most: int) -> list[tuple[str, int]]:
    """States and how many endpoints are in each, the worst first, those that count for nothing last.

    Args:
        table: All endpoints, or a part of them.
        now: Epoch seconds.
        most: As many of the most urgent ones were asked for. Where fewer are known, others are (those that match, those of another screen).
    """
    found = Counter(endpoints.state_of(row, now) for row in table.rows)
    known = len(table.rows)
    if known < min(most, table.total) or (known < table.total and sum(row.state != "up" for row in table.rows) >= most):
        down = sum(service.down for service in table.services)
        return [("down", down)] if down else []  # there may be more of all the others
    found["up"] += table.total - known
    return [(state, found[state]) for state in _COUNTED if found[state]]


def slowest(table: EndpointTable) -> EndpointRow | ServiceRow | None:
    """Whose probes are the slowest, by their 95th percentile: an endpoint; a service where not all endpoints are known."""
    candidates: Sequence[EndpointRow | ServiceRow] = table.rows if len(table.rows) >= table.total else table.services
    return max((row for row in candidates if row.p95_s > 0), key=lambda row: row.p95_s, default=None)
