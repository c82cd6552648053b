"""Checks of HTTP, ports, TLS and names: the collector that follows each endpoint from outcome to outcome, and what carries checks out.

Carrying out is one thing (`apart`, `checking`, and below them `attempts` with both engines, `judging`, `network`), following another
(`following`, `core.endpoint_history`); outcomes are all that passes.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from graphlib import TopologicalSorter
from math import inf, isnan, nan
from time import perf_counter
from typing import Final

from perfconsole.collectors.http.checking.checker import Checking, Deliver
from perfconsole.collectors.http.following import listing
from perfconsole.collectors.http.following.followed import NAME, Followed, same_subject
from perfconsole.collectors.http.following.totals import EVERY_S, Total, of_all
from perfconsole.collectors.loop import ask, paced
from perfconsole.core.checks import Check, Outcome, same
from perfconsole.core.endpoints import TARGET, EndpointTable
from perfconsole.core.errors import RequestError
from perfconsole.core.ports import Measured, Operation, Result, Slot
from perfconsole.core.requests import HTTP_CHECK, HTTP_DETAIL, Done, EndpointArgs, EndpointChange, EndpointDetail
from perfconsole.core.segment import VIEWS
from perfconsole.core.tables import Table, View
from perfconsole.core.tick import Event, Health

__all__ = ["NAME", "HttpCollector"]

_BEAT_S: Final = 0.5
_LOOKED_AT_S: Final = 2.0
_RECORDED_S: Final = 30.0
"""Between two tables while nobody looks; a change of state is told within `_LOOKED_AT_S` all the same."""

_TOGETHER_S: Final = 2.0
"""Outcomes that came about within it are looked at together; a run brings those of half a second."""

_HTTP: Final = "http:"

_SILENT: Final = frozenset({"failing", "suppressed"})
"""States that are no event, nor is their end: one failure is none yet, and what others bring about is theirs. The detail has them all."""

Up = Callable[[str], float]


def _unknown(_name: str) -> float:
    return nan


class _News:
    """What one run has to tell."""

    def __init__(self) -> None:
        self.measured: list[Measured] = []
        self.events: list[Event] = []
        self.health: list[Health] = []


class HttpCollector:
    """The collector of all endpoints (`core.ports.Collector`): its runs tell what checks have brought since the last.

    Args:
        checks: What is checked, by unique names.
        up: Whether what is no endpoint (``host``, ``postgres:NAME``) is up: 1, 0, or NaN when that is not known.
        first_after_s: Seconds after the start before the first round of checks.
        checking: Makes who carries out checks, given to whom outcomes are delivered; None for whom `choice` chooses.
    """

    name = NAME
    interval_s = _BEAT_S
    targets: Sequence[str] = (TARGET,)

    def __init__(
        self,
        checks: Sequence[Check],
        *,
        up: Up = _unknown,
        first_after_s: float = 0.2,
        checking: Callable[[Deliver], Checking] | None = None,
    ) -> None:
        self.first_after_s = first_after_s
        self._up = up
        self._checking = checking or self._chosen
        self._checker: Checking | None = None
        self._checks: tuple[Check, ...] = ()
        self._outcomes: list[Outcome] = []
        self._said: list[str] = []
        self._followed: dict[str, Followed] = {}
        self._totals: dict[str, Total] = {}
        self._ranks: dict[str, int] = {}
        self._listed: list[Followed] = []
        self._settled: list[Followed] = []
        self._ended: list[Measured] = []
        self._told_boot = self._summed_boot = -inf
        self._changed = self._first = True
        self._busy = asyncio.Lock()
        self.operations: Sequence[Operation] = (Operation(HTTP_DETAIL, self._detail), Operation(HTTP_CHECK, self._check))
        self._follow(checks, {check.name: Followed(check) for check in checks})
        self._join()

    async def configure(self, checks: Sequence[Check]) -> None:
        """Check these from now on. What is known of what stays is kept; of what goes, and of what is another under its name, all ends.

        On the engine's loop, in slices; not in the midst of a run.
        """
        async with self._busy:
            if self._checker is not None:
                await self._load(checks)
            followed: dict[str, Followed] = {}
            changed: list[Check] = []
            async for check in paced(checks, perf_counter):
                before = self._followed.get(check.name)
                stays = before is not None and same_subject(before.endpoint.check, check)
                followed[check.name] = before if before and stays else Followed(check)
                if before and stays and not same(before.endpoint.check, check):
                    changed.append(check)
            kept = {name for name, one in followed.items() if self._followed.get(name) is one} - {check.name for check in changed}
            async for check in paced(changed, perf_counter):
                followed[check.name].configure(check)
            await asyncio.sleep(0)
            self._follow(checks, followed)
            await asyncio.sleep(0)
            self._join()
            await asyncio.sleep(0)
            # What was found by a check that is no more, and not told yet, is nothing its successor did.
            self._outcomes[:] = [outcome for outcome in self._outcomes if outcome.name in kept]
            if self._checker is not None:
                self._checker.configure(self._checks)

    def _follow(self, checks: Sequence[Check], followed: dict[str, Followed]) -> None:
        before, self._checks, self._followed = self._followed, tuple(checks), followed
        self._ended += [Measured(one.place, (), []) for name, one in before.items() if followed.get(name) is not one]
        self._listed = sorted(followed.values(), key=lambda one: one.key)
        self._settled = [one for one in self._listed if one.endpoint.check.maintenance or one.endpoint.check.depends_on]
        self._ranks = _ranks(self._checks)

    def _join(self) -> None:
        """Put together those of one service."""
        by_service: dict[str, list[Followed]] = {}
        for one in self._listed:
            by_service.setdefault(one.endpoint.check.service, []).append(one)
        self._ended += [total.ended() for service, total in self._totals.items() if service not in by_service]
        self._totals = {service: Total(service, by_service[service]) for service in sorted(by_service)}
        self._changed = self._first = True

    async def run(self, target: str, slot: Slot, views: Sequence[View]) -> Result:
        """Tell what checks have brought since the last run. The first one begins them."""
        del target  # there is one
        async with self._busy:
            if self._checker is None:
                self._checker = await self._begun()
            return await self._tell(slot, views)

    async def _begun(self) -> Checking:
        """Who carries out the checks. Whoever refuses them is given them again with the next run."""
        await self._load(self._checks)
        checker = self._checking(self._outcomes.append)
        try:
            checker.configure(self._checks)
        except Exception:
            checker.close()
            raise
        return checker

    async def _load(self, checks: Sequence[Check]) -> None:
        if self._checking == self._chosen:
            from perfconsole.collectors.http.apart.choice import load  # noqa: PLC0415  as below

            with suppress(Exception):  # no thread, no module: who needs it will say so
                await ask(lambda: load(checks), "http-load")

    async def _tell(self, slot: Slot, views: Sequence[View]) -> Result:
        news = _News()
        news.measured, self._ended = self._ended, []
        news.events = [Event(slot.at - _BEAT_S, slot.at, "checker", "host", text, NAME) for text in self._said]
        self._said.clear()
        outcomes = self._in_order(self._outcomes)
        self._outcomes.clear()
        async for outcome in paced(outcomes, perf_counter):
            if outcome.name in self._followed:
                self._take(self._followed[outcome.name], outcome, news)
        await self._settle(slot.at, news)
        self._sum_up(slot, news)
        table = await self._table_if_due(slot, views)
        return Result(news.measured, [table] if table else [], news.events, news.health)

    def _chosen(self, deliver: Deliver) -> Checking:
        from perfconsole.collectors.http.apart.choice import Chosen  # noqa: PLC0415  tests have others

        return Chosen(deliver, self._said.append)

    def _in_order(self, outcomes: Iterable[Outcome]) -> list[Outcome]:
        """Those first that others depend on: a failure of both in one beat is the fault of the first.

        What waited while the console stood still is many beats: each is looked at by itself, or the end of an outage would come before it.
        """
        window, first, placed = 0, nan, []
        for outcome in outcomes:
            first = outcome.at if isnan(first) else first
            window = max(window, int((outcome.at - first) / _TOGETHER_S))
            placed.append((window, self._ranks.get(outcome.name, 0), outcome))
        return [outcome for *_, outcome in sorted(placed, key=lambda one: one[:2])]

    def _take(self, one: Followed, outcome: Outcome, news: _News) -> None:
        endpoint = one.endpoint
        before = endpoint.last
        self._first = self._first or before is None
        change = endpoint.take(outcome, self._blocker(endpoint.check) if not outcome.ok else "")
        one.stale = True
        self._totals[endpoint.check.service].changed = True
        news.measured.append(one.measured(outcome))
        if health := one.health(outcome):
            news.health.append(health)
        if shown := one.certificate(outcome):
            name, since = endpoint.check.name, outcome.at if before is None else before.at
            news.events.append(Event(min(since, outcome.at), outcome.at, "certificate", name, f"{name}: {shown}", NAME))
        self._note(one, change, outcome.at if before is None else before.at, outcome.at, news)

    async def _settle(self, at: float, news: _News) -> None:
        """What time, and the outages of others, make of endpoints between two checks of their own."""
        async for one in paced(self._settled, perf_counter):
            endpoint = one.endpoint
            blocked_by = self._blocker(endpoint.check)
            if endpoint.over(at, blocked_by) and self._checker is not None:
                self._checker.soon(endpoint.check.name)
            self._note(one, endpoint.settle(at, blocked_by), at - _BEAT_S, at, news)

    def _note(self, one: Followed, change: EndpointChange | None, low: float, high: float, news: _News) -> None:
        if change is None:
            return
        name = one.endpoint.check.name
        one.stale = self._changed = self._totals[one.endpoint.check.service].changed = True
        if change.state in _SILENT or change.state == (one.announced or "up"):  # what was between is not told either
            return
        one.announced = change.state
        text = f"{name}: {change.state}" + (f", {change.text}" if change.text else "")
        news.events.append(Event(min(low, high), high, "endpoint", name, text, NAME))

    def _blocker(self, check: Check) -> str:
        """What it depends on that does not do its work; empty for nothing. One failure is enough: two fail together, and take turns."""
        return next((parent for parent in check.depends_on if self._fails(parent)), "")

    def _fails(self, parent: str) -> bool:
        if not parent.startswith(_HTTP):
            return self._up(parent) == 0.0
        found = self._followed.get(parent.removeprefix(_HTTP))
        return found is not None and found.endpoint.failing

    def _sum_up(self, slot: Slot, news: _News) -> None:
        news.measured += [told for total in self._totals.values() if (told := total.measured(slot.at, slot.boot))]
        due = slot.boot - self._summed_boot >= EVERY_S - _BEAT_S / 2
        if self._listed and (due or self._changed or self._first):
            self._summed_boot = slot.boot
            news.measured.append(of_all(self._listed, slot.at))

    async def _table_if_due(self, slot: Slot, views: Sequence[View]) -> EndpointTable | None:
        looked_at = self._changed or any(_looks(view) and view not in VIEWS for view in views)
        due_s = 0.0 if self._first else _LOOKED_AT_S if looked_at else _RECORDED_S
        if slot.boot - self._told_boot < due_s - _BEAT_S / 2:
            return None
        self._told_boot = slot.boot
        self._changed = self._first = False
        return await self._table(slot.at)

    async def _table(self, at: float) -> EndpointTable:
        return await listing.table(self._listed, self._totals, at)

    async def look(self, views: Sequence[View]) -> Sequence[Table]:
        """The table, as the last outcomes left it, for who looks anew."""
        told = max((one.endpoint.last.at for one in self._listed if one.endpoint.last is not None), default=nan)
        return [await self._table(told)] if told == told and any(map(_looks, views)) else []  # noqa: PLR0124  NaN is not itself

    def close(self) -> None:
        """Stop checking."""
        if self._checker is not None:
            self._checker.close()

    async def _detail(self, args: EndpointArgs) -> EndpointDetail:
        from perfconsole.collectors.http.following.account import facts  # noqa: PLC0415  only when asked

        endpoint = self._named(args.endpoint).endpoint
        return EndpointDetail(facts(endpoint.check), endpoint.last, endpoint.failure, tuple(endpoint.changes))

    async def _check(self, args: EndpointArgs) -> Done:
        from perfconsole.collectors.http.following.account import said  # noqa: PLC0415  only when asked

        self._named(args.endpoint)
        if self._checker is None:
            raise RequestError(f"{args.endpoint}: checks have not begun yet", "ask again in a moment")
        try:
            return Done(said(await self._checker.now(args.endpoint)))
        except KeyError:
            raise RequestError(f"{args.endpoint} is not checked any more") from None

    def _named(self, name: str) -> Followed:
        found = self._followed.get(name)
        if found is None:
            raise RequestError(f"no endpoint is called {name!r}", f"there are: {' '.join(list(self._followed)[:20])}")
        return found


def _ranks(checks: Sequence[Check]) -> dict[str, int]:
    """Endpoints by name, those first that others depend on."""
    edges = {check.name: [one.removeprefix(_HTTP) for one in check.depends_on if one.startswith(_HTTP)] for check in checks}
    return {name: rank for rank, name in enumerate(TopologicalSorter(edges).static_order())}


def _looks(view: View) -> bool:
    return view.table == "endpoint" and view.target in {"", TARGET}
