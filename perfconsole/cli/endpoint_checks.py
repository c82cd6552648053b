"""The findings of ``doctor`` about endpoints: whether each can be measured from here, what it answers, and how exact latencies are."""

from typing import TYPE_CHECKING, Final

from perfconsole.cli.checks import Finding
from perfconsole.config.schema import Config

if TYPE_CHECKING:
    from perfconsole.collectors.http.attempts.shared import Shared
    from perfconsole.collectors.http.checking.turns import Turns
    from perfconsole.core.checks import Check, Outcome

AREA: Final = "endpoints"
_TOLD: Final = 40
"""Endpoints that are told one by one when they are as they should be; of more only what is not."""


def every(config: Config) -> list[Finding]:
    """Check each endpoint once; none configured is none checked, and nothing imported for it."""
    if not (config.http or config.tcp or config.tls or config.dns):
        return []
    import asyncio

    from perfconsole.config.endpoints import checks

    made = checks(config)
    outcomes = asyncio.run(_checked(made))
    found = [_finding(check, outcome) for check, outcome in zip(made, outcomes, strict=True)]
    well = sum(one.state == "ok" for one in found)
    if len(found) > _TOLD:
        found = [Finding(AREA, "all", "ok", f"{well} of {len(found)} are as expected"), *(one for one in found if one.state != "ok")]
    return [_stamps(), *found]


async def _checked(checks: "tuple[Check, ...]") -> "list[Outcome]":
    """Their outcomes, in the same order; begun one after the other as the console does."""
    import asyncio

    from perfconsole.collectors.http.apart.descriptors import allow_many
    from perfconsole.collectors.http.attempts.shared import Shared
    from perfconsole.collectors.http.checking.checker import CAP
    from perfconsole.collectors.http.checking.turns import Turns

    allow_many()
    turns, shared = Turns(CAP), Shared()
    return await asyncio.gather(*(_outcome(check, shared, turns) for check in checks))


async def _outcome(check: "Check", shared: "Shared", turns: "Turns") -> "Outcome":
    from perfconsole.collectors.http.checking.probers import prober_of

    prober = prober_of(check, shared)
    place = await turns.place(well=True)
    try:
        return await prober.probe()
    finally:
        place.give_back()
        prober.close()


def _finding(check: "Check", outcome: "Outcome") -> Finding:
    from perfconsole.collectors.http.following.account import said
    from perfconsole.collectors.http.following.followed import parted

    words = said(outcome).removeprefix(f"{outcome.name}: ")
    if outcome.unmeasured:
        error, fix = parted(outcome.error)
        return Finding(AREA, check.name, "error", f"not measured: {error}", fix)
    if not outcome.ok:
        return Finding(AREA, check.name, "limited", words, f"`perfconsole probe {check.name}` shows where its time goes")
    return Finding(AREA, check.name, "ok", words)


def _stamps() -> Finding:
    from perfconsole.collectors.http.network.stamps import available

    if available():
        return Finding(AREA, "latencies", "ok", "by the kernel's own stamps, however busy the console is")
    return Finding(
        AREA, "latencies", "limited", "by the console's clock: a busy console adds to them, and says how much", "Linux has stamps"
    )
