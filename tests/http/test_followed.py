"""Endpoints followed through outages, reloads and set clocks: outcomes are the test's own; what is told is folded as an engine does."""

import asyncio
import itertools
import subprocess
import sys
from math import isnan, nan

import msgspec
import pytest
from laps import EPOCH, check, outcome, run

from perfconsole.collectors.http import HttpCollector
from perfconsole.core import windows
from perfconsole.core.alerts import AlertStage
from perfconsole.core.checks import Certificate, Phases, Tls, TlsFacts, Window, same
from perfconsole.core.endpoints import TARGET, EndpointTable
from perfconsole.core.ports import Slot
from perfconsole.core.state import State
from perfconsole.core.tick import Rule, Stream, Tick
from perfconsole.engine.intake import Intake
from perfconsole.outputs.snapshot import snapshot

DOWN = Rule("down", "critical", "httpcheck.up", 0.5, above=False, match=(("endpoint", "*"), ("service", "*")), colour=False)


class Nobody:
    """Carries nothing out."""

    def __init__(self, deliver):
        self.deliver = deliver
        self.checks, self.hurried = (), []

    def configure(self, checks):
        self.checks = checks

    def soon(self, name):
        self.hurried.append(name)

    def close(self):
        pass


class Desk:
    """A collector whose outcomes are said by the test, and an engine's fold of what it tells.

    Attributes:
        at: Wall-clock time, epoch seconds; `boot` goes on when that is set.
        events: Texts of all events so far, without their reasons.
        alerts: All transitions of the one rule there is.
    """

    def __init__(self, *checks):
        self.checks = {of.name: of for of in checks}
        self.collector = HttpCollector(checks, checking=self._made)
        self.at, self.boot, self.seq = EPOCH, 0.0, 0
        self.intake, self.state, self.stage = Intake(), State(), AlertStage([DOWN])
        self.state.apply(Tick(0, EPOCH, 0.0, key=True, stream=Stream("h", "s", "b", "", read_only=False)))
        self.events, self.alerts, self.health = [], [], []

    def _made(self, deliver):
        self.checker = Nobody(deliver)
        return self.checker

    def deliver(self, name, cause="", **fields):
        """Something came of a check, and is not told yet."""
        phases = fields.pop("phases", Phases())
        found = outcome(self.checks[name], self.at, cause=cause, **({"scheduled": self.at - 0.01} | fields))
        self.checker.deliver(msgspec.structs.replace(found, phases=phases))

    async def beat(self, after_s=0.5):
        """Half a second later, or more: what the run told."""
        self.at, self.boot, self.seq = self.at + after_s, self.boot + after_s, self.seq + 1
        result = await self.collector.run("checks", Slot(self.at, self.boot, self.boot + 5), ())
        self.intake.take(self.collector, result, self.at)
        tick = self.intake.close(self.seq, self.at, self.boot)
        alerts = self.stage.step(tick)
        self.state.apply(msgspec.structs.replace(tick, alerts=alerts))
        self.alerts += [alert.state for alert in alerts]
        self.events += [event.text.partition(",")[0] for event in result.events]
        self.health += result.health
        return result

    async def take(self, name, *causes, after_s=10.0, **fields):
        """Outcomes of an endpoint, each told."""
        for cause in causes:
            self.deliver(name, cause, **fields)
            result = await self.beat(after_s)
        return result

    async def configure(self, *checks):
        self.checks = {of.name: of for of in checks}
        await self.collector.configure(checks)

    def series(self, metric="up", name="a", **labels):
        return self.state.find(f"httpcheck.{metric}", endpoint=name, service="shop", **labels)

    def endpoint(self, name="a"):
        return self.collector._followed[name].endpoint

    async def row(self, name="a"):
        table = await self.collector._table(self.at)
        return next(row for row in table.rows if row.name == name)


def desk(work, *checks):
    async def whole(_loop):
        made = Desk(*checks)
        await made.beat()
        return await work(made)

    return run(whole)


# Events ---------------------------------------------------------------------------------------------------------------------------


def test_the_last_word_is_always_true():
    async def work(made):
        await made.take("gateway", "")
        await made.take("a", "", "connect", "connect")
        await made.take("gateway", "connect")
        await made.take("a", "connect")  # suppressed
        assert made.endpoint().state == "suppressed"
        await made.take("gateway", "")
        await made.take("a", "connect")
        assert made.endpoint().state == "down"
        await made.take("a", "")
        return made.events

    assert desk(work, check("a", depends_on=("http:gateway",)), check("gateway")) == ["a: down", "a: up"]


def test_that_it_is_known_again_is_told_though_it_failed_once_between():
    async def work(made):
        await made.take("a", "", "unmeasured", "connect", "")
        return made.events

    assert desk(work, check("a")) == ["a: unknown", "a: up"]


def test_one_that_is_well_from_the_first_is_no_news():
    async def work(made):
        await made.take("a", "connect", "", "", "connect", "")
        return made.events

    assert desk(work, check("a")) == []


# Dependence -----------------------------------------------------------------------------------------------------------------------


def test_a_parent_excuses_until_it_cannot_be_measured():
    async def work(made):
        await made.take("gateway", "connect")
        await made.take("a", "connect", "connect")
        assert made.endpoint().state == "suppressed"
        await made.take("gateway", "unmeasured")
        assert made.checker.hurried == ["a"]
        await made.take("a", "connect", "connect")
        assert made.endpoint().state == "down"
        await made.take("gateway", "connect")
        return made.endpoint().state

    assert desk(work, check("a", depends_on=("http:gateway",)), check("gateway")) == "suppressed"


def test_windows_that_begin_together_are_looked_up_once():
    """A thousand at 40 us each would be in the way of everything else."""

    async def work(made):
        for name in made.checks:
            made.deliver(name)
        await made.beat()
        windows.until.cache_clear()
        await made.beat(3_600)
        assert {made.endpoint(name).state for name in made.checks} == {"maintenance"}
        return windows.until.cache_info().misses  # of the moment, and of what comes after the window

    names = [f"e{i}" for i in range(60)]
    assert desk(work, *(check(name, maintenance=(Window("2027-01-15T08:30", "2027-01-15T23:00"),)) for name in names)) == 2


# Told as a source -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interval_s", [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 3_600.0])
def test_a_healthy_endpoint_is_never_a_stale_source(interval_s):
    """With starts as far apart as they get, told with the beat after; and no oftener said than every other time where that is enough."""

    async def work(made):
        checks = stale = 0
        due = made.at
        while checks < 60:
            if made.at >= due:
                made.deliver("a")
                due, checks = due + interval_s * (1.1 if checks % 2 else 0.9), checks + 1
            await made.beat(min(0.5, interval_s) if interval_s < 60 else max(0.5, due - made.at))
            stale += made.state.stale("http", "a")
        return stale, sum(health.target == "a" for health in made.health) / checks

    stale, told = desk(work, check("a", interval_s=interval_s))
    assert stale == 0
    assert told <= (1.0 if interval_s == 0.5 else 0.6)


def test_one_that_is_not_checked_any_more_is_a_stale_source():
    async def work(made):
        await made.take("a", "", "", "")
        assert not made.state.stale("http", "a")
        await made.beat(25)
        assert made.state.stale("http", "a")
        (source,) = [source for source in snapshot(made.state)["sources"] if source["name"] == "http:a"]
        return source["state"]

    assert desk(work, check("a", interval_s=10.0)) == "stale"


def test_that_it_cannot_be_measured_is_said_with_the_next_beat_and_that_it_can_again():
    async def work(made):
        await made.take("a", "", "unmeasured", "")
        return [(health.state, health.last_ok - EPOCH) for health in made.health if health.target == "a"]

    assert desk(work, check("a")) == [("ok", 0.5), ("error", 0.5), ("ok", 20.5)]


# Another thing under an old name --------------------------------------------------------------------------------------------------

ANOTHER = [
    {"target": "http://elsewhere/"}, {"kind": "tcp"}, {"connect_to": "192.0.2.1:80"}, {"host": "other.example"}, {"record": "MX"},
    {"server": "192.0.2.1:53"}, {"tls": Tls(server_name="other.example")},
]  # fmt: skip


@pytest.mark.parametrize("change", ANOTHER, ids=lambda change: next(iter(change)))
def test_another_thing_under_an_old_name_begins_anew(change):
    async def work(made):
        await made.take("a", "", "connect", "connect")
        assert (made.alerts, len(made.series().points()[0])) == (["firing"], 3)
        made.deliver("a", "connect")  # of the old one, and not told yet
        await made.configure(check("a", **change))
        await made.beat()
        assert made.endpoint().last is None
        assert made.series() is None
        assert made.alerts[1:] == ["resolved"]
        await made.take("a", "")
        assert made.series().points()[1].tolist() == [1.0]
        return (await made.row()).checks

    assert desk(work, check("a")) == 1


@pytest.mark.parametrize("change", [{"interval_s": 20.0}, {"failures": 3}, {"service": "shop", "critical": True}, {"timeout_s": 1.0}])
def test_another_way_of_checking_keeps_what_is_known(change):
    async def work(made):
        await made.take("a", "", "connect", "connect")
        await made.configure(check("a", **change))
        await made.take("a", "connect")
        assert len(made.series().points()[0]) == 4
        return made.endpoint().state, (await made.row()).checks, made.alerts

    assert desk(work, check("a")) == ("down", 4, ["firing"])


def test_what_was_found_in_the_old_way_is_not_taken_for_the_new():
    async def work(made):
        await made.take("a", "")
        made.deliver("a", "assertion")
        made.deliver("kept")
        await made.configure(check("a", failures=1), check("kept"))
        await made.beat()
        return made.endpoint().state, made.endpoint("kept").state

    assert desk(work, check("a"), check("kept")) == ("up", "up")


def test_a_reload_waits_for_the_run_that_is_under_way(monkeypatch):
    """Otherwise what a run has in hand would be taken for what has just come in its place."""
    monkeypatch.setattr("perfconsole.collectors.http.perf_counter", itertools.count().__next__)  # each step takes a second

    async def work(made):
        for name in made.checks:
            made.deliver(name, "connect")
        running = asyncio.create_task(made.beat())
        await asyncio.sleep(0)
        await made.configure(check("e29", target="http://elsewhere/"))
        assert running.done()
        assert made.events == [f"e{i}: down" for i in range(30)]
        return made.endpoint("e29").last

    assert desk(work, *(check(f"e{i}", failures=1) for i in range(30))) is None


def test_a_reload_gives_the_loop_back():
    async def work(made):
        turns = 0

        async def count():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        await asyncio.sleep(0)
        await made.configure(*(check(f"e{i}", interval_s=20.0) for i in range(100)))
        counting.cancel()
        return turns

    assert desk(work, *(check(f"e{i}") for i in range(100))) >= 6


def test_columns_stay_through_a_reload():
    chain = TlsFacts((Certificate("CN=a", "CN=b", (), 0.0, EPOCH + 90_000),), verified=True)

    async def work(made):
        await made.take("a", "", "", status=200, size_bytes=5.0, tls=chain, phases=Phases(tls=0.02, wait=0.1))
        await made.configure(check("a", interval_s=20.0))
        await made.take("a", "dns")  # which has no phases, no status, no size
        columns = [made.series(metric) for metric in ("status", "size")]
        columns += [made.series("phase.duration", phase=phase) for phase in ("tls", "wait")]
        return [column.points()[1].tolist()[:2] for column in columns], [isnan(column.value) for column in columns]

    assert desk(work, check("a")) == ([[200.0, 200.0], [5.0, 5.0], [0.02, 0.02], [0.1, 0.1]], [True] * 4)


# Clocks ---------------------------------------------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_leaves_no_row_ahead_of_its_time():
    async def work(made):
        await made.take("a", "", "")
        await made.row()
        made.at -= 3_600
        row = await made.row()
        assert (row.since, row.held_s) == (made.at, 0.0)
        assert isnan(row.availability) or 0 <= row.availability <= 1
        await made.take("a", "", after_s=0.5)
        row = await made.row()
        return row.since < made.at, made.at - row.since < 1

    assert desk(work, check("a", interval_s=3_600.0)) == (True, True)


def test_the_row_of_what_is_seldom_checked_grows_older_all_the_same():
    async def work(made):
        await made.take("a", "")
        began = made.at
        for _ in range(20):
            await made.beat(30)
            row = await made.row()
            assert made.at - began - 61 <= row.held_s - 10 <= made.at - began + 1
        return row.availability

    assert desk(work, check("a", interval_s=3_600.0)) == 1.0


# Rows of services -----------------------------------------------------------------------------------------------------------------


def test_the_row_of_a_service_is_kept_until_something_happens_in_it():
    async def work(made):
        for name in "abcd":
            await made.take(name, "", after_s=0.5)
        first = await made.collector._table(made.at)
        second = await made.collector._table(made.at + 1)
        assert all(one is other for one, other in zip(first.services, second.services, strict=True))
        await made.take("a", "connect", "connect", after_s=0.5)
        third = await made.collector._table(made.at)
        assert third.services[1] is first.services[1]
        return [(row.name, row.down, row.checks, row.failed) for row in third.services]

    services = {"a": "one", "b": "one", "c": "two", "d": "two"}
    assert desk(work, *(check(name, service=service) for name, service in services.items())) == [("one", 1, 4, 2), ("two", 0, 2, 0)]


# What counts for nothing ----------------------------------------------------------------------------------------------------------


def test_what_does_not_count_has_no_duration():
    async def work(made):
        await made.take("a", "", total_s=0.2)
        await made.take("a", "timeout", total_s=5.0, at_least=True, after_s=1)
        assert made.series("duration").value == 5.0
        await made.take("gateway", "connect", after_s=1)
        await made.take("a", "timeout", total_s=5.0, at_least=True, after_s=1)
        assert made.endpoint().state == "suppressed"
        assert isnan(made.series("duration").value)
        await made.beat(10)
        return made.state.value("httpcheck.duration")

    assert isnan(desk(work, check("a", depends_on=("http:gateway",)), check("gateway")))


def test_without_a_certificate_nothing_is_verified_or_not():
    async def work(made):
        good = TlsFacts((Certificate("CN=a", "CN=b", (), 0.0, EPOCH + 90_000),), verified=True)
        insecure, refused = msgspec.structs.replace(good, verified=False), msgspec.structs.replace(good, verified=False, error="expired")
        for name, tls in (("none", None), ("good", good), ("insecure", insecure), ("refused", refused)):
            await made.take(name, "", tls=tls, after_s=0.5)
        made.state._hold(await made.collector._table(made.at))
        assert made.state.table(EndpointTable, TARGET).total == 4
        return {row["name"]: row["verified"] for row in snapshot(made.state)["endpoints"]}

    found = desk(work, *(check(name) for name in ("none", "good", "insecure", "refused")))
    assert found == {"none": None, "good": True, "insecure": True, "refused": False}


def test_another_certificate_is_told_once_and_those_that_take_turns_are_not():
    def shown(subject, until=90_000.0):
        return TlsFacts((Certificate(subject, "CN=b", (), 0.0, until),), verified=True)

    async def work(made):
        for tls in (None, shown("CN=a"), shown("CN=a"), None, shown("CN=a", 86_400.0 * 365), shown("CN=a"), shown("CN=a", 86_400.0 * 365)):
            await made.take("a", "", tls=tls, after_s=5.0)
        for number in range(20):
            await made.take("a", "", tls=shown(f"CN={number}"), after_s=5.0)
        await made.take("a", "", tls=shown("CN=far", 1e30), after_s=5.0)
        return [event for event in made.state.events if event.kind == "certificate"]

    first, *rest = desk(work, check("a"))
    assert first.text == "a: another certificate: CN=a until 1971-01-01, CN=a until 1970-01-02 before"
    assert first.scope == "a"
    assert first.time_hi - first.time_lo == 5.0
    assert [event.text.split(",")[0].removeprefix("a: another certificate: ") for event in rest] == [
        *(f"CN={number} until 1970-01-02" for number in range(20)),
        "CN=far until ?",
    ]


# Checks that are alike ------------------------------------------------------------------------------------------------------------


def test_checks_are_alike_by_what_they_say():
    assert same(check("a", expect=msgspec.structs.replace(check("a").expect, max_latency_s=nan)), check("a"))
    assert not same(check("a", labels=(("tier", 1),)), check("a", labels=(("tier", True),)))
    odd = check("a", labels=(("tier", 2**70),))  # which cannot travel
    assert same(odd, check("a", labels=(("tier", 2**70),)))
    assert not same(odd, check("a", labels=(("tier", 2**71),)))
    assert not same(check("\ud800"), check("\ud801"))


# What is loaded where -------------------------------------------------------------------------------------------------------------

LOADING = """
import asyncio, sys, threading
from perfconsole.collectors.http import HttpCollector
from perfconsole.core.checks import Check
from perfconsole.core.ports import Slot

class Watch:
    seen = {}
    def find_spec(self, name, path=None, target=None):
        self.seen.setdefault(name.rpartition(".")[2], threading.current_thread().name)

async def main():
    checks = [Check(name="a", kind="http", target="http://127.0.0.1:1/", service="s")]
    collector = HttpCollector(checks)
    sys.meta_path.insert(0, Watch())
    await collector.run("checks", Slot(0.0, 0.0, 5.0), ())
    await collector.configure([*checks, Check(name="b", kind="tcp", target="127.0.0.1:1", service="s")])
    collector.close()
    print(Watch.seen["lean"], Watch.seen["shared"], Watch.seen["tcp_client"], "httpx" in sys.modules)

asyncio.run(main())
"""


def test_what_checks_need_is_loaded_in_a_thread():
    """15 ms with what is read already, 50 with what is not: the loop would stand still for them."""
    done = subprocess.run([sys.executable, "-c", LOADING], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["http-load", "http-load", "http-load", "False"]
