"""When checks begin, in whose way they are, and what their outcomes are told to have waited: with fake probers, in a time of their own."""

import asyncio
from functools import partial
from itertools import pairwise

import pytest
from laps import EPOCH, Fake, check, run

from perfconsole.collectors.http.checking.checker import Checker
from perfconsole.collectors.http.checking.schedule import next_start
from perfconsole.collectors.http.checking.turns import APART_S, MANY, Turns
from perfconsole.core.checks import Outcome


class Bench:
    """A checker with fake probers, and what it delivered.

    Attributes:
        how: Options of `laps.Fake` by the name of a check; ``""`` for all others.
    """

    def __init__(self, loop, **how):
        self.loop, self.how = loop, how
        self.outcomes, self.probers, self.closed = [], {}, []
        self.checker = Checker(self.outcomes.append, object(), make=self.make, clock=loop.clock)

    def make(self, of, shared):
        self.probers[of.name] = Fake(of, shared, **self.how.get(of.name, self.how.get("others", {})))
        return self.probers[of.name]

    def of(self, name):
        return [outcome for outcome in self.outcomes if outcome.name == name]

    async def until(self, count):
        while len(self.outcomes) < count:  # noqa: ASYNC110  no time passes but this
            await asyncio.sleep(0.01)


def bench(work, **how):
    """Run a piece of work with a bench, which is closed afterwards."""

    async def whole(loop):
        made = Bench(loop, **how)
        try:
            return await work(made)
        finally:
            made.checker.close()

    return run(whole)


# Rhythm ---------------------------------------------------------------------------------------------------------------------------


def test_the_first_round_begins_at_once():
    async def work(made):
        made.checker.configure([check("a", interval_s=60), check("b", interval_s=60)])
        await made.until(2)
        return made.loop.time()

    assert bench(work) < 1_000.1


def test_later_rounds_come_once_an_interval_at_a_moment_of_their_own():
    async def work(made):
        made.checker.configure([check(f"e{i}", interval_s=10) for i in range(100)])
        await asyncio.sleep(200)
        return made.probers

    probers = bench(work)
    for prober in probers.values():
        gaps = [after - before for before, after in pairwise(prober.begun[1:])]
        assert 8.9 < min(gaps) <= max(gaps) < 11.1
        assert len(set(gaps)) > len(gaps) // 2  # never in step
    second = sorted(prober.begun[5] % 10 for prober in probers.values())
    assert max(after - before for before, after in pairwise(second)) < 1.0  # 100 in 10 s, hashed


def test_the_moment_is_the_same_at_every_start():
    of = check("shop", interval_s=10)
    assert next_start(of, 1_003.0, failing=False) == next_start(of, 1_003.5, failing=False)


@pytest.mark.parametrize("began", [0.0, 999.9, 12_345.678, 1e6])
def test_a_start_is_never_more_than_an_interval_and_a_tenth_away(began):
    for i in range(300):
        gap = next_start(check(f"e{i}", interval_s=10), began, failing=False) - began
        assert 1.0 < gap <= 12.0
        again = next_start(check(f"e{i}", interval_s=10), began + gap, failing=False) - began - gap
        assert 9.0 <= again <= 11.0


def test_what_fails_is_checked_again_sooner():
    async def work(made):
        made.checker.configure([check("a", interval_s=60, failing_s=5)])
        await asyncio.sleep(13)
        return made.probers["a"].begun

    begun = bench(work, a={"script": ["connect", "connect", "connect"]})
    assert [round(time - begun[0]) for time in begun] == [0, 5, 10]


def test_a_failing_recheck_is_never_slower_than_the_interval():
    assert next_start(check("a", interval_s=1, failing_s=5), 0, failing=True) < 1.06


def test_one_that_outlasts_its_interval_is_followed_at_once_and_is_not_late():
    async def work(made):
        made.checker.configure([check("a", interval_s=1, failing_s=1, timeout_s=3)])
        await asyncio.sleep(10)
        return made.of("a")

    outcomes = bench(work, a={"answers_s": 100})
    assert len(outcomes) == 3
    assert all(outcome.late_s < 0.005 and outcome.at_least for outcome in outcomes)


# In whose way ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("burns_s", [0.0013, 0.003], ids=["as the lean engine", "as httpx"])
@pytest.mark.parametrize("answers_s", [0.001, 0.05, 0.3])
def test_500_at_a_cold_start_are_done_in_two_seconds_and_none_seems_slower_than_it_is(burns_s, answers_s):
    async def work(made):
        made.checker.configure([check(f"e{i}", interval_s=1_000) for i in range(500)])
        await made.until(500)
        return made.loop.time() - 1_000

    outcomes = []

    async def kept(made):
        took_s = await work(made)
        outcomes.extend(made.outcomes)
        return took_s

    assert bench(kept, others={"burns_s": burns_s, "answers_s": answers_s}) < 2.0
    assert max(outcome.total_s for outcome in outcomes) < answers_s + burns_s + 0.010
    assert max(outcome.slot_wait_s for outcome in outcomes) > 0.5  # it is told where it belongs


@pytest.mark.parametrize("hanging", [100, 1_000])
def test_those_that_hang_are_in_nobodys_way(hanging):
    """Ten places of 5 s each would be a queue of 50 s."""

    async def work(made):
        made.checker.configure([*(check(f"h{i}") for i in range(hanging)), check("well", interval_s=0.5)])
        await asyncio.sleep(60)
        return made.of("well")

    outcomes = bench(work, others={"answers_s": 100}, well={})
    assert len(outcomes) > 100
    after_the_first_round = [outcome for outcome in outcomes if outcome.at > EPOCH + 1_003]
    waits = sorted(outcome.late_s + outcome.slot_wait_s for outcome in after_the_first_round)
    assert waits[-1] < 0.010
    assert max(outcome.total_s for outcome in outcomes) < 0.011


def test_at_most_ten_are_in_their_first_moments():
    most = [0]

    async def work(made):
        young = []

        async def probe(of):
            now = made.loop.time()
            young[:] = [time for time in young if now - time < 0.0095] + [now]
            most[0] = max(most[0], len(young))
            await asyncio.sleep(1)
            return Outcome(of.name, made.loop.clock().at, ok=True, total_s=1.0)

        made.checker._make = lambda of, _shared: type("P", (), {"probe": staticmethod(partial(probe, of)), "close": lambda self: None})()
        made.checker.configure([check(f"e{i}") for i in range(2_000)])
        await asyncio.sleep(5)

    bench(work)
    assert most[0] <= 10


def test_a_loop_that_is_always_busy_still_checks():
    async def work(made):
        async def burn():
            while True:
                made.loop.burn(0.02)
                await asyncio.sleep(0)

        burning = asyncio.create_task(burn())
        made.checker.configure([check(f"e{i}", interval_s=1_000) for i in range(50)])
        await made.until(50)
        burning.cancel()
        return made.loop.time() - 1_000

    assert bench(work) < 5.0


def test_a_stall_of_the_console_is_lateness():
    async def work(made):
        made.checker.configure([check("a", interval_s=1)])
        await asyncio.sleep(5)
        before = len(made.outcomes)
        made.loop.burn(0.7)
        await made.until(before + 1)
        return made.outcomes[before]

    outcome = bench(work)
    assert 0.0 < outcome.late_s <= 0.7
    assert outcome.total_s < 0.01
    assert outcome.scheduled == pytest.approx(outcome.at - outcome.total_s - outcome.late_s - outcome.slot_wait_s, abs=0.003)


# What comes of it -----------------------------------------------------------------------------------------------------------------


def test_a_check_over_a_suspend_tells_nothing():
    async def work(made):
        made.checker.configure([check("slept", interval_s=100), check("before", interval_s=100)])
        await made.until(1)
        made.loop.asleep += 3_600
        await made.until(2)
        return made.of("slept")[0], made.of("before")[0]

    slept, before = bench(work, slept={"answers_s": 1.0})
    assert slept.unmeasured
    assert "suspended" in slept.error
    assert before.ok


def test_a_prober_that_raises_ends_no_round():
    async def work(made):
        made.checker.configure([check("a", interval_s=1)])
        made.probers["a"].probe = fail
        await asyncio.sleep(3.5)
        return made.outcomes

    async def fail():
        raise RuntimeError("Bearer abc")

    outcomes = bench(work)
    assert len(outcomes) >= 3
    assert outcomes[0].unmeasured
    assert outcomes[0].error == "RuntimeError in the checker itself"


def test_now_checks_at_once_and_waits():
    async def work(made):
        made.checker.configure([check("a", interval_s=100)])
        await made.until(1)
        outcome = await made.checker.now("a")
        assert made.outcomes[-1] is outcome
        with pytest.raises(KeyError):
            await made.checker.now("b")
        return made.probers["a"].begun, made.loop.time()

    begun, _ = bench(work)
    assert len(begun) == 2


def test_now_joins_a_check_that_is_under_way():
    async def work(made):
        made.checker.configure([check("a", interval_s=100)])
        await asyncio.sleep(0.5)
        first, second = await asyncio.gather(made.checker.now("a"), made.checker.now("a"))
        assert first is second
        return made.probers["a"].begun

    assert len(bench(work, a={"answers_s": 1.0})) == 1


def test_now_ends_when_its_check_is_configured_away():
    async def work(made):
        made.checker.configure([check("a", interval_s=100)])
        asked = asyncio.create_task(made.checker.now("a"))
        await asyncio.sleep(0.1)
        made.checker.configure([])
        with pytest.raises(KeyError):
            await asked

    bench(work, a={"answers_s": 1.0})


def test_a_failure_has_what_it_depends_on_checked_once():
    async def work(made):
        made.checker.configure([
            check("gateway", interval_s=100),
            *(check(f"child{i}", interval_s=20, depends_on=("http:gateway", "host", "http:gone")) for i in range(30)),
        ])  # fmt: skip
        await made.until(31)
        await asyncio.sleep(3)
        assert len(made.probers["gateway"].begun) == 1
        for i in range(30):
            made.probers[f"child{i}"].script = ["status"]
        await asyncio.gather(*(made.checker.now(f"child{i}") for i in range(30)))
        await asyncio.sleep(0.5)
        return made.probers["gateway"].begun

    assert len(bench(work)) == 2


def test_the_first_failure_of_a_child_has_its_parent_checked_at_once():
    """However lately another's has: two seconds of doubt are enough to be told as down."""

    async def work(made):
        children = [check(name, interval_s=1_000, failing_s=1_000, depends_on=("http:parent",)) for name in ("one", "other")]
        made.checker.configure([check("parent", interval_s=1_000, failing_s=30), *children])
        await asyncio.sleep(40)
        for name, after_s in (("one", 2), ("other", 2), ("one", 20), ("other", 20)):
            made.probers[name].script = ["status"]
            await made.checker.now(name)
            await asyncio.sleep(after_s)
        return [time - 1_040 for time in made.probers["parent"].begun]

    begun = bench(work)
    assert [round(time) for time in begun] == [-40, 0, 2]
    assert begun[1] < 0.05


def test_what_was_checked_just_now_is_not_checked_again_for_another_child():
    async def work(made):
        children = [check(name, interval_s=1_000, failing_s=1_000, depends_on=("http:parent",)) for name in ("one", "other")]
        made.checker.configure([check("parent", interval_s=1_000, failing_s=30), *children])
        await asyncio.sleep(40)
        for name in ("one", "other"):
            made.probers[name].script = ["status"]
            await made.checker.now(name)
            await asyncio.sleep(0.9)
        return made.probers["parent"].begun

    assert len(bench(work)) == 2


def test_what_fails_is_not_driven_by_its_children_either():
    async def work(made):
        children = [check(f"c{i}", interval_s=10, failing_s=5, depends_on=("http:parent",)) for i in range(30)]
        made.checker.configure([check("parent", interval_s=3_600, failing_s=20), *children])
        await asyncio.sleep(200)
        return made.probers["parent"].begun

    begun = bench(work, others={"script": ["connect"] * 100})
    assert 10 <= len(begun) <= 12


def test_what_cannot_be_measured_is_not_checked_as_if_it_failed():
    async def work(made):
        made.checker.configure([check("a", interval_s=60, failing_s=5)])
        await asyncio.sleep(200)
        return made.probers["a"].begun

    assert len(bench(work, a={"script": ["unmeasured"] * 9})) <= 5


def test_a_check_that_cannot_be_encoded_is_carried_out_and_goes_on():
    async def work(made):
        odd = [check("a", labels=(("number", number),), interval_s=100) for number in (2**70, 2**70, 2**71)]
        for of in odd:
            made.checker.configure([of])
            await asyncio.sleep(1)
        return made.of("a")

    assert len(bench(work)) == 2  # the second is the first


# Turns ----------------------------------------------------------------------------------------------------------------------------


def waiting(count, work):
    """Places for ten, one of them given out this moment, and so many who wait; `begun` has the times at which they got theirs."""

    async def whole(loop):
        turns, begun = Turns(10), []

        async def wait():
            place = await turns.place(well=True)
            begun.append(loop.time())
            place.give_back()

        (await turns.place(well=True)).give_back()
        tasks = [asyncio.create_task(wait()) for _ in range(count)]
        await asyncio.sleep(0)
        result = await work(loop, begun)
        for task in tasks:
            task.cancel()
        return result

    return run(whole)


def test_nobody_begins_while_the_loop_is_busy_but_not_for_ever():
    async def work(loop, begun):
        counts = []
        for _ in range(4):
            loop.burn(0.02)  # the timer comes late: whoever would begin now would seem slow
            await asyncio.sleep(0.0001)
            counts.append(len(begun))
        return counts

    assert waiting(10, work) == [0, 1, 1, 2]


def test_of_many_that_wait_several_begin_at_a_time():
    async def work(_loop, begun):
        await asyncio.sleep(APART_S)
        await asyncio.sleep(0)
        return len(begun)

    assert waiting(3 * MANY, work) == 4
    assert waiting(MANY // 2, work) == 1


def test_who_comes_between_a_turn_and_its_beginning_lets_no_others_in():
    async def whole(loop):
        turns, held = Turns(1), []

        async def hold():
            held.append(await turns.place(well=True))

        first = await turns.place(well=True)
        await asyncio.sleep(APART_S)
        tasks = [asyncio.create_task(hold())]
        await asyncio.sleep(0)
        loop.call_at(loop.time() + APART_S - 1e-9, lambda: tasks.append(asyncio.create_task(hold())))  # amid the next turn
        first.give_back()
        await asyncio.sleep(APART_S)
        await asyncio.sleep(0)
        both = len(held)
        tasks += [asyncio.create_task(hold()) for _ in range(20)]
        await asyncio.sleep(2 * APART_S)
        for task in tasks:
            task.cancel()
        return both, len(held)

    assert run(whole) == (2, 2)


# Configured anew ------------------------------------------------------------------------------------------------------------------


def test_what_is_unchanged_goes_on_and_what_is_gone_is_closed():
    async def work(made):
        kept, changed, gone = check("kept", interval_s=10), check("changed", interval_s=10), check("gone", interval_s=10)
        made.checker.configure([kept, changed, gone])
        await made.until(3)
        before = dict(made.probers)
        made.checker.configure([check("kept", interval_s=10), check("changed", interval_s=20), check("new")])
        await made.until(5)
        assert made.probers["kept"] is before["kept"]
        assert len(before["kept"].begun) == 1  # an equal check is not begun anew
        assert [before[name].closed for name in ("kept", "changed", "gone")] == [0, 1, 1]
        assert made.probers["changed"] is not before["changed"]
        await asyncio.sleep(60)
        assert len(made.of("gone")) == 1

    bench(work)


def test_closing_ends_what_is_under_way():
    async def work(made):
        made.checker.configure([check("a")])
        await asyncio.sleep(0.1)
        made.checker.close()
        await asyncio.sleep(0.1)
        assert (made.probers["a"].closed, made.probers["a"].running) == (1, 0)
        await asyncio.sleep(60)
        return made.outcomes

    assert bench(work, a={"answers_s": 1.0}) == []


def test_those_that_wait_for_a_turn_can_be_taken_away():
    async def work(made):
        made.checker.configure([check(f"e{i}", interval_s=100) for i in range(300)])
        await asyncio.sleep(0.05)
        made.checker.configure([check("e299", interval_s=100)])
        await asyncio.sleep(1)
        assert made.of("e299")
        made.checker.configure([check("other", interval_s=100)])
        await asyncio.sleep(0.1)
        return made.of("other")

    assert bench(work)


def test_the_first_round_waits_for_the_warm_up():
    async def work(made):
        warmed = []

        async def warm_up(checks, shared):
            await asyncio.sleep(0.2)
            warmed.append([of.name for of in checks])

        made.checker._warm_up = warm_up
        made.checker.configure([check("a", interval_s=100)])
        await asyncio.sleep(0.1)
        made.checker.configure([check("a", interval_s=100), check("b", interval_s=100)])
        await asyncio.sleep(0.05)
        assert made.outcomes == []
        await made.until(2)
        return warmed

    assert bench(work) == [["a"]]


def test_children_do_not_drive_their_parent():
    children = [check(f"c{number}", depends_on=("http:parent",), interval_s=10, failing_s=5) for number in range(30)]

    async def work(made):
        made.checker.configure([check("parent", interval_s=3600, failing_s=5), *children])
        await asyncio.sleep(60)
        return made.probers["parent"].begun

    begun = bench(work, others={"script": ["connect"] * 100}, parent={})
    assert len(begun) <= 14
    assert min(after - before for before, after in pairwise(begun[1:])) > 4.9


def test_those_that_fail_are_not_starved_by_those_that_are_well():
    """600 that are checked every second take all places there are; ten that fail get theirs among them."""

    async def work(made):
        made.checker.configure(
            [*(check(f"w{i}", interval_s=1.0) for i in range(600)), *(check(f"f{i}", interval_s=1.0, failing_s=1.0) for i in range(10))]
        )
        await asyncio.sleep(60)
        return [len(made.probers[f"f{i}"].begun) for i in range(10)]

    begun = bench(work, **{f"f{i}": {"script": ["connect"] * 200} for i in range(10)})
    assert min(begun) > 15
