"""A loop that was held up: what came of checks meanwhile is not the targets' doing, and what they did themselves still is."""

import asyncio

import pytest
from laps import check, run
from test_checker import Bench

from perfconsole.collectors.http.checking.held import Held


def bench(work, **how):
    async def whole(loop):
        made = Bench(loop, **how)
        try:
            return await work(made)
        finally:
            made.checker.close()

    return run(whole)


async def stopped(made, after_s, for_s):
    """Let a time pass, and hold the loop."""
    await asyncio.sleep(after_s)
    made.loop.burn(for_s)
    await asyncio.sleep(0)


def test_a_limit_that_passed_while_it_was_stopped_says_nothing():
    """The answer may have been there: nobody looked."""

    async def work(made):
        made.checker.configure([check("a", timeout_s=2.0, interval_s=100)])
        await stopped(made, 0.5, 3.0)
        await made.until(1)
        return made.outcomes[0]

    outcome = bench(work, a={"answers_s": 10})
    assert outcome.unmeasured
    assert outcome.error.startswith("checking was stopped or held up for ")
    assert outcome.error.endswith(" s meanwhile")
    assert outcome.scheduled == pytest.approx(outcome.at - 3.5, abs=0.1)


def test_one_that_hangs_longer_than_that_hangs():
    async def work(made):
        made.checker.configure([check("a", timeout_s=6.0, interval_s=100)])
        await stopped(made, 0.5, 3.0)
        await made.until(1)
        return made.outcomes[0]

    outcome = bench(work, a={"answers_s": 10})
    assert (outcome.cause, outcome.at_least) == ("timeout", True)


def test_what_was_answered_is_an_answer():
    async def work(made):
        made.checker.configure([check("a", interval_s=100)])
        await stopped(made, 0.5, 3.0)
        await made.until(1)
        return made.outcomes[0]

    outcome = bench(work, a={"answers_s": 1.0, "script": ["status"]})
    assert outcome.cause == "status"


def test_a_latency_that_may_be_ours_is_doubted_and_one_that_is_not_is_not():
    async def work(made):
        made.checker.configure([check("a", interval_s=100), check("b", interval_s=2)])
        await stopped(made, 0.5, 3.0)
        await made.until(4)
        return made.of("a")[0], made.of("b")[-1]

    during, after = bench(work, a={"answers_s": 1.0}, b={})
    assert during.ok
    assert 2.9 < during.doubt_s <= during.total_s
    assert (after.ok, after.doubt_s) == (True, 0.0)


def test_short_waits_are_no_holds():
    async def work(loop):
        held = Held()
        held.begin()
        began = loop.time()
        for _ in range(20):
            loop.burn(0.4)
            await asyncio.sleep(0.1)
        assert held.since(began) == 0.0
        loop.burn(2.0)
        assert held.since(began) == pytest.approx(2.0, abs=0.3)  # seen before the beat comes
        assert held.since(loop.time()) == 0.0
        held.end()
        held.end()
        loop.burn(5.0)
        await asyncio.sleep(1)
        assert held.seconds < 2.3  # nobody looked

    run(work)
