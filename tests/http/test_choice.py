"""Where checks are carried out, and what becomes of questions and outcomes on the way: with fakes, in a time of their own."""

import asyncio
from math import nan

import pytest
from laps import EPOCH, check, outcome, run

from perfconsole import __version__
from perfconsole.collectors.http import HttpCollector
from perfconsole.collectors.http.apart import pipe, remote_checker
from perfconsole.collectors.http.apart.choice import AGAIN_S, FEW, MANY, Chosen
from perfconsole.collectors.http.apart.remote_checker import RemoteChecker
from perfconsole.core.checks import Expect
from perfconsole.core.ports import Slot

# On the loop, or in a process ------------------------------------------------------------------------------------------------------


class Place:
    """One who checks; counts how often it was configured, and answers every question when it is told to."""

    def __init__(self, *, is_process=False):
        self.is_process = is_process
        self.names, self.configured, self.closed, self.asked, self.soons = [], 0, 0, {}, []

    def configure(self, checks):
        self.names = [one.name for one in checks]
        self.configured += 1

    def soon(self, name):
        self.soons.append(name)

    async def now(self, name):
        if name not in self.names:
            raise KeyError(name)
        self.asked[name] = asyncio.get_running_loop().create_future()
        return await self.asked[name]

    def close(self):
        self.closed += 1
        for question in self.asked.values():
            if not question.done():
                question.set_exception(KeyError("closed"))


class Choice:
    """What is chosen, and every place that was made."""

    def __init__(self):
        self.places, self.said = [], []
        self.chosen = Chosen([].append, self.said.append, here=self.here, there=self.there)

    def here(self, deliver):
        self.places.append(Place())
        return self.places[-1]

    def there(self, deliver, say, ready, failed):
        self.places.append(Place(is_process=True))
        self.ready, self.failed = ready, failed
        return self.places[-1]

    def configure(self, count):
        self.chosen.configure(some(count))

    @property
    def open(self):
        """Those that check, or are on their way."""
        return [place for place in self.places if not place.closed]


def some(count):
    return [check(f"e{i}") for i in range(count)]


def chosen(work):
    async def whole(loop):
        made = Choice()
        try:
            return await work(made)
        finally:
            made.chosen.close()
            assert made.open == []

    return run(whole)


def test_few_are_checked_here_and_more_than_fifty_there():
    async def work(made):
        made.configure(50)
        made.configure(1)
        assert [place.is_process for place in made.places] == [False]

    chosen(work)

    async def more(made):
        made.configure(51)
        assert [place.is_process for place in made.places] == [True]  # nothing is checked here while it starts
        made.ready()
        assert [place.is_process for place in made.open] == [True]

    chosen(more)


def test_at_the_line_nothing_flaps():
    async def work(made):
        made.configure(51)
        made.ready()
        for count in (50, 51, 45, 60, 41, 50):
            made.configure(count)
        assert [place.is_process for place in made.places] == [True]
        made.configure(40)
        for count in (41, 50, 40, 50):
            made.configure(count)
        assert [place.is_process for place in made.places] == [True, False]
        made.configure(51)
        made.ready()
        assert [place.is_process for place in made.open] == [True]

    chosen(work)


def test_checks_go_on_here_until_the_process_is_there_as_far_as_they_still_are():
    async def work(made):
        before = [check(f"e{i}", expect=Expect(max_latency_s=nan)) for i in range(50)]
        made.chosen.configure(before)
        after = [check(f"e{i}", expect=Expect(max_latency_s=nan)) for i in range(10, 50)]
        after += [check("e5", interval_s=7), *(check(f"n{i}") for i in range(30))]
        made.chosen.configure(after)
        here, there = made.places
        assert here.names == [f"e{i}" for i in range(10, 50)]
        assert there.names == [one.name for one in after]
        made.ready()
        assert (here.closed, there.closed) == (1, 0)

    chosen(work)


def test_a_question_goes_along():
    async def work(made):
        made.configure(50)
        asked = asyncio.create_task(made.chosen.now("e7"))
        await asyncio.sleep(0.1)
        made.configure(60)
        new = asyncio.create_task(made.chosen.now("e59"))  # only there, which is on its way
        await asyncio.sleep(0.1)
        made.ready()
        await asyncio.sleep(0.1)
        there = made.places[1]
        for name in ("e7", "e59"):
            there.asked[name].set_result(name)
        assert await asyncio.gather(asked, new) == ["e7", "e59"]
        with pytest.raises(KeyError):
            await made.chosen.now("e60")
        gone = asyncio.create_task(made.chosen.now("e8"))
        await asyncio.sleep(0.1)
        made.chosen.configure([])
        with pytest.raises(KeyError):
            await gone

    chosen(work)


def test_hints_go_to_whoever_checks():
    async def work(made):
        made.chosen.soon("e1")
        made.configure(10)
        made.chosen.soon("e1")
        made.configure(60)
        made.chosen.soon("e2")
        made.ready()
        made.chosen.soon("e3")
        assert [place.soons for place in made.places] == [["e1", "e2"], ["e3"]]

    chosen(work)


def test_where_no_process_is_to_be_had_it_is_said_once_and_tried_again():
    async def work(made):
        made.configure(60)
        made.failed("no memory")
        assert [place.is_process for place in made.open] == [False]
        assert made.open[0].names == [f"e{i}" for i in range(60)]
        assert made.said == ["no memory; the console itself carries the checks out, and may be late with them"]
        for attempt in range(3):
            await asyncio.sleep(AGAIN_S + 1)
            assert [place.is_process for place in made.open] == [False, True]  # checks go on meanwhile
            assert len(made.places) == 3 + attempt
            made.failed("no memory")
        assert len(made.said) == 1
        made.configure(70)  # which is an occasion, too
        assert [place.is_process for place in made.open] == [False, True]
        made.ready()
        assert [place.is_process for place in made.open] == [True]
        assert made.said[1:] == ["checks are carried out by a process of their own again"]
        await asyncio.sleep(2 * AGAIN_S)
        assert [place.is_process for place in made.open] == [True]
        made.ready()  # another life of it
        assert len(made.said) == 2

    chosen(work)


def test_once_closed_nothing_is_tried_any_more():
    async def work(made):
        made.configure(60)
        made.failed("no memory")
        made.chosen.close()
        await asyncio.sleep(2 * AGAIN_S)
        assert made.open == []

    chosen(work)


def test_the_line_is_where_it_is_promised():
    assert (MANY, FEW) == (50, 40)


# The console's end of the pipe ------------------------------------------------------------------------------------------------------


class Process:
    """A process that only does what it is told to."""

    def __init__(self, heard):
        self.heard, self.orders, self.hints, self.pid = heard, [], [], 4711
        self.over = asyncio.get_running_loop().create_future()

    def send(self, order, *, hint=False):
        self.orders.append(order)
        self.hints.append(hint)

    def end(self, why=""):
        if not self.over.done():
            self.over.set_result(why or "was ended by SIGKILL")

    def hello(self):
        self.heard(pipe.Hello(__version__))

    def tell(self, *outcomes, serial=1, **batch):
        self.heard(pipe.Batch(tuple(pipe.Told(one, serial) for one in outcomes), **batch))


class Remote:
    def __init__(self, loop):
        self.loop, self.outcomes, self.said, self.refused, self.processes = loop, [], [], [], []
        self.checker = RemoteChecker(self.outcomes.append, self.said.append, lambda: None, self.refused.append, start=self.start)

    def start(self, heard):
        self.processes.append(Process(heard))
        return self.processes[-1]

    @property
    def process(self):
        return self.processes[-1]


def remote(work):
    async def whole(loop):
        made = Remote(loop)
        try:
            return await work(made)
        finally:
            made.checker.close()

    return run(whole)


def test_orders_wait_for_the_first_word_and_hints_are_given_as_such():
    async def work(made):
        made.checker.configure(some(2))
        await asyncio.sleep(0.1)
        made.checker.soon("e0")
        asked = asyncio.create_task(made.checker.now("e1"))
        await asyncio.sleep(0.1)
        assert made.process.orders == []
        made.process.hello()
        assert made.process.orders == [pipe.Configure(1, tuple(some(2))), pipe.Now(1, "e1")]
        made.checker.soon("e0")
        assert (made.process.orders[-1], made.process.hints[-1]) == (pipe.Soon("e0"), True)
        made.process.heard(pipe.Batch((pipe.Told(outcome(check("e1"), EPOCH), 1, (1,)),)))
        assert await asked is made.outcomes[0]

    remote(work)


def test_a_check_that_cannot_be_sent_is_said_and_holds_up_no_other():
    async def work(made):
        made.checker.configure([check("a"), check("odd", labels=(("number", 2**70),)), check("b")])
        await asyncio.sleep(0.1)
        made.process.hello()
        assert made.process.orders == [pipe.Configure(1, (check("a"), check("b")))]
        return [(one.name, one.cause, one.error) for one in made.outcomes]

    assert remote(work) == [("odd", "unmeasured", "OverflowError on the way to the checker: it cannot carry this check out")]


def test_what_is_on_its_way_counts_for_what_is_unchanged_only():
    async def work(made):
        made.checker.configure([check("kept"), check("changed"), check("gone")])
        await asyncio.sleep(0.1)
        made.process.hello()
        made.checker.configure([check("kept"), check("changed", target="http://elsewhere/"), check("new")])
        late = [outcome(check(name), EPOCH) for name in ("kept", "changed", "gone", "new")]
        made.process.tell(*late, serial=1)
        assert [one.name for one in made.outcomes] == ["kept"]
        made.process.tell(*late, serial=2)
        assert [one.name for one in made.outcomes] == ["kept", "kept", "changed", "new"]

    remote(work)


def test_what_was_under_way_is_told_and_what_was_not_is_not():
    async def work(made):
        made.checker.configure(some(4))
        await asyncio.sleep(0.1)
        made.process.hello()
        made.process.tell(begun=("e0", "e1", "e2", "unknown"))
        made.process.tell(outcome(check("e1"), EPOCH))
        made.checker.configure(some(4)[:2])
        made.process.tell(begun=("e0",))  # it tells them anew
        made.process.end()
        await asyncio.sleep(0.01)
        assert [(one.name, one.cause) for one in made.outcomes] == [("e1", ""), ("e0", "unmeasured")]
        await asyncio.sleep(1)
        made.process.hello()
        assert made.process.orders == [pipe.Configure(2, tuple(some(2)))]
        made.process.end()
        await asyncio.sleep(0.1)
        assert len(made.outcomes) == 2
        assert len(made.said) == 2

    remote(work)


def test_pauses_double_to_half_a_minute_and_begin_anew_after_a_steady_life():
    async def work(made):
        made.checker.configure(some(1))
        for life in range(12):
            while len(made.processes) == life:  # noqa: ASYNC110  no time passes but this
                await asyncio.sleep(0.05)
            made.process.hello()
            for _ in range(15 if life == 10 else 1):
                await asyncio.sleep(5)
                made.process.tell()
            made.process.end()
            await asyncio.sleep(0.01)
        return [words.rpartition(" ")[2] for words in made.said]

    pauses = remote(work)
    assert pauses == ["0.2s", "0.4s", "0.8s", "1.6s", "3.2s", "6.4s", "13s", "26s", "30s", "30s", "0.2s", "0.4s"]


def test_silence_is_counted_in_looks():
    """A console that stood still for an hour has heard nothing either, and there may be much to hear."""

    async def work(made):
        made.checker.configure(some(1))
        await asyncio.sleep(0.1)
        made.process.hello()
        await asyncio.sleep(remote_checker.LOOK_S)
        made.loop.burn(3_600)
        await asyncio.sleep(0.1)
        made.process.tell()
        await asyncio.sleep(2 * remote_checker.LOOK_S)
        assert made.said == []
        await asyncio.sleep(2 * remote_checker.LOOK_S)
        assert made.said == ["the process that carries out checks said nothing for 30 s; it is started again in 0.2s"]

    remote(work)


# What the collector makes of it -----------------------------------------------------------------------------------------------------


def collector(*checks):
    made = HttpCollector(checks, checking=lambda deliver: Place())
    return made, made._outcomes.append


async def result_of(made, at):
    return await made.run("checks", Slot(at, at - EPOCH, at - EPOCH + 5), ())


def test_what_waited_for_a_minute_is_looked_at_beat_by_beat():
    """A gateway that failed and is well again meanwhile: what depends on it failed with it, and was not down."""

    async def work(loop):
        gateway, child = check("gateway"), check("child", depends_on=("http:gateway",))
        made, deliver = collector(gateway, child)
        await result_of(made, EPOCH)
        for second in range(60):
            cause = "connect" if 20 <= second < 40 else ""
            deliver(outcome(child, EPOCH + second, cause=cause))
            deliver(outcome(gateway, EPOCH + second + 0.1, cause=cause))
        result = await result_of(made, EPOCH + 61)
        assert len([one for one in result.measured if one.target == "child"]) == 60
        states = {name: [change.state for change in made._followed[name].endpoint.changes] for name in ("gateway", "child")}
        assert states["gateway"] == ["up", "failing", "down", "up"]
        assert "down" not in states["child"]
        assert states["child"][-1] == "up"

    run(work)


def test_the_order_of_one_endpoint_stays_when_the_clock_is_set_back():
    async def work(loop):
        made, deliver = collector(check("a"), check("b"))
        await result_of(made, EPOCH)
        for at, cause in ((10, "connect"), (13, "connect"), (-3_600, ""), (-3_597, "connect"), (-3_590, "")):
            deliver(outcome(check("a"), EPOCH + at, cause=cause))
        await result_of(made, EPOCH + 20)
        assert [change.state for change in made._followed["a"].endpoint.changes] == ["failing", "down", "up", "failing", "up"]

    run(work)


def test_what_is_said_is_an_event():
    async def work(loop):
        made, _ = collector(check("a"))
        made._said.append("the process that carries out checks was ended by SIGKILL; it is started again in 0.2s")
        told = [await result_of(made, EPOCH + i) for i in range(3)]
        events = [event for result in told for event in result.events]
        assert [(event.kind, event.scope, event.source, event.text[:37]) for event in events] == [
            ("checker", "host", "http", "the process that carries out checks w")
        ]

    run(work)
