"""What the engine hears of checks: readings, health, events, tables, and what can be asked; with fake probers, in a time of their own."""

import asyncio
from math import isnan, nan

import pytest
from laps import EPOCH, Fake, check, outcome, run

from perfconsole.collectors.http import HttpCollector
from perfconsole.collectors.http.checking.checker import Checker
from perfconsole.core.checks import Certificate, Phases, TlsFacts, Window
from perfconsole.core.endpoints import EndpointRow
from perfconsole.core.errors import RequestError
from perfconsole.core.ports import Slot
from perfconsole.core.requests import EndpointArgs
from perfconsole.core.segment import VIEWS
from perfconsole.core.state import State
from perfconsole.core.tables import View
from perfconsole.core.tick import Group, Reading, Tick
from perfconsole.core.wire import encode

SCREEN = View("endpoint", target="", sort="urgency", limit=50)
BEAT_S = 0.5


class Console:
    """A collector run every half second, as the engine does, and what it told.

    Attributes:
        told: Every `Result`.
        up: What assembly knows of what is no endpoint.
    """

    def __init__(self, loop, *checks, views=(SCREEN,), **how):
        self.loop, self.views, self.how, self.up = loop, views, how, {}
        self.told, self.probers = [], {}
        self.state = State()
        self.checker = None
        self.collector = HttpCollector(checks, up=lambda name: self.up.get(name, nan), checking=self.checking)

    def checking(self, deliver):
        self.checker = Checker(deliver, object(), make=self.make, clock=self.loop.clock)
        return self.checker

    def make(self, of, shared):
        self.probers[of.name] = Fake(of, shared, **self.how.get(of.name, {}))
        return self.probers[of.name]

    async def pass_s(self, seconds):
        """Let time pass; the results of the runs in it."""
        first = len(self.told)
        for _ in range(round(seconds / BEAT_S)):
            at, boot = self.loop.clock()
            self.told.append(await self.collector.run("checks", Slot(at, boot, boot + 5), self.views))
            await asyncio.sleep(BEAT_S)
        return self.told[first:]

    def values(self, results, place):
        """Readings of a group, each as a dict of short names."""
        return [
            {_short(series): value for series, value in zip(measured.series, measured.values, strict=True)} | {"at": measured.at}
            for result in results
            for measured in result.measured
            if measured.target == place and measured.series
        ]

    def ask(self, name, endpoint):
        return next(op for op in self.collector.operations if op.spec.name == name).run(EndpointArgs(endpoint))


def _short(series):
    return dict(series.labels).get("phase") or series.name.removeprefix("httpcheck.")


def console(work, *checks, **how):
    async def whole(loop):
        made = Console(loop, *checks, **how)
        try:
            return await work(made)
        finally:
            made.collector.close()

    return run(whole)


def tables(results):
    return [table for result in results for table in result.tables]


# Readings -------------------------------------------------------------------------------------------------------------------------


def test_each_outcome_is_a_reading_of_when_it_came_about():
    async def work(made):
        results = await made.pass_s(31)
        readings = [measured for result in results for measured in result.measured if measured.target == "a"]
        assert len(readings) >= 3
        for reading in readings:
            assert [(series.name, series.labels[:1]) for series in reading.series[:3]] == [
                (f"httpcheck.{name}", (("endpoint", "a"),)) for name in ("up", "duration", "error.ratio")
            ]
            assert all(dict(series.labels)["service"] == "shop" for series in reading.series)
            assert reading.series is readings[0].series  # compared by identity first
            assert reading.began < reading.at
            assert reading.interval_s == 10
        values = made.values(results, "a")[-1]
        assert (values["up"], values["error.ratio"]) == (1.0, 0.0)
        assert values["duration"] == values["wait"] > 0

    console(work, check("a"))


def test_a_column_comes_with_its_first_value():
    """No TLS, no handshake: fourteen columns of a thousand endpoints would be a third more memory."""

    async def work(made):
        first = made.values(await made.pass_s(1), "a")[0]
        assert "tls" not in first
        assert "status" not in first
        chain = TlsFacts((Certificate("CN=a", "CN=b", (), 0, EPOCH + 90_000),), verified=True)

        async def probe():
            found = outcome(check("a"), made.loop.clock().at, status=200, size_bytes=5.0, tls=chain)
            return type(found)(**{name: getattr(found, name) for name in found.__struct_fields__} | {"phases": Phases(tls=0.02, wait=0.01)})

        made.probers["a"].probe = probe
        await made.checker.now("a")
        second = made.values(await made.pass_s(1), "a")[0]
        assert (second["status"], second["size"], second["tls"], second["up"]) == (200.0, 5.0, 0.02, 1.0)
        assert second["tls.expiry"] == pytest.approx(90_000 - 1_000, abs=5)

    console(work, check("a"))


def test_error_ratio_is_of_the_last_minute_and_a_quick_failure_is_no_latency():
    async def work(made):
        readings = made.values(await made.pass_s(100), "a")
        assert readings[1]["up"] == 0.0
        assert isnan(readings[1]["duration"])
        assert readings[1]["error.ratio"] == 0.5
        assert readings[-1]["error.ratio"] == 0.0

    console(work, check("a"), a={"script": ["", "connect"]})


def test_a_service_is_up_when_all_of_it_is_and_its_errors_are_pooled():
    async def work(made):
        results = await made.pass_s(5)
        assert made.values(results, "service:shop")[-1] == {"up": 0.0, "error.ratio": 0.5, "at": pytest.approx(EPOCH + 1_000, abs=5)}
        assert made.values(results, "service:other")[-1]["up"] == 1.0
        whole = made.values(results, "checks")[-1]
        assert (whole["up"], whole["error.ratio"]) == (0.0, pytest.approx(1 / 3))
        assert whole["duration"] == pytest.approx(0.2, abs=0.01)  # the slowest that did what is expected

    console(
        work, check("a"), check("b"), check("c", service="other"),
        a={"answers_s": 0.2}, b={"script": ["status"], "answers_s": 0.3}, views=(),
    )  # fmt: skip


def test_a_state_of_the_engine_takes_all_of_it():
    """Whatever sets of series the endpoints go through, a state folds them."""

    async def work(made):
        state, groups = State(), {}
        for beat, result in enumerate(await made.pass_s(30)):
            tick = _tick(beat, result, groups)
            encode(tick)
            state.apply(tick)
        assert state.value("httpcheck.up", endpoint="a", service="shop") == 1.0
        assert state.value("httpcheck.up") == 1.0
        assert len(state.every("httpcheck.up")) == 4  # two, their service, all

    console(work, check("a"), check("checks"))


def _tick(beat, result, groups):
    defined, readings = [], []
    for measured in result.measured:
        before = groups.get(measured.target)
        if before is None or before.series != measured.series:
            before = groups[measured.target] = Group(len(groups) * 1_000 + beat + 1, "http", measured.target, 10, measured.series)
            defined.append(before)
        readings.append(Reading(before.id, measured.at, measured.values, measured.began))
    return Tick(beat + 1, EPOCH + beat, beat, key=beat == 0, groups=defined, readings=readings, health=list(result.health))


# Health and events ----------------------------------------------------------------------------------------------------------------


def test_what_is_down_is_measured_and_what_cannot_be_is_said_with_its_fix():
    async def work(made):
        said = [health for result in await made.pass_s(12) for health in result.health]
        assert [(health.target, health.state) for health in said if health.target == "down"] == [("down", "ok")]
        error = next(health for health in said if health.target == "secret")
        assert (error.state, error.error, error.fix, error.last_ok) == ("error", "${TOKEN} is not set", "set it", 0.0)

    async def unmeasured(made):
        at = made.loop.clock().at
        return outcome(check("secret"), at, cause="unmeasured", error="${TOKEN} is not set: set it")

    def prepared(made):
        make = made.make

        def making(of, shared):
            prober = make(of, shared)
            if of.name == "secret":
                prober.probe = lambda: _secret(made)
            return prober

        made.make = making
        return work(made)

    async def _secret(made):
        found = outcome(check("secret"), made.loop.clock().at, cause="unmeasured")
        return type(found)(**{name: getattr(found, name) for name in found.__struct_fields__} | {"error": "${TOKEN} is not set: set it"})

    console(prepared, check("down"), check("secret"), down={"script": ["connect"] * 9})


def test_changes_of_state_are_events_and_single_failures_are_none():
    async def work(made):
        events = [event for result in await made.pass_s(60) for event in result.events]
        assert [(event.kind, event.scope, event.text) for event in events] == [
            ("endpoint", "a", "a: down, connect: connect in words"),
            ("endpoint", "a", "a: up"),
        ]
        assert all(event.time_lo < event.time_hi for event in events)

    console(work, check("a"), a={"script": ["", "connect", "", "connect", "connect", ""]})


# Dependence and maintenance -------------------------------------------------------------------------------------------------------


def states(made):
    return {row.name: row.state for row in tables(made.told)[-1].rows}


def test_one_gateway_down_is_one_thing_down():
    async def work(made):
        results = await made.pass_s(40)
        assert states(made) == {"gateway": "down", "child": "suppressed", "grandchild": "suppressed", "other": "up"}
        assert all(isnan(reading["up"]) for reading in made.values(results, "child")[2:])
        row = next(row for row in tables(made.told)[-1].rows if row.name == "grandchild")
        assert row.blocked_by == "http:child"
        assert [event.scope for result in results for event in result.events] == ["gateway"]
        for prober in made.probers.values():
            prober.script.clear()
        await made.pass_s(12)
        assert set(states(made).values()) == {"up"}

    down = {"script": ["", *["connect"] * 99]}
    console(
        work,
        check("grandchild", depends_on=("http:child",)), check("child", depends_on=("http:gateway",)), check("gateway"), check("other"),
        gateway=down, child=down, grandchild=down,
    )  # fmt: skip


def test_what_is_no_endpoint_is_asked_about():
    async def work(made):
        await made.pass_s(11)
        assert states(made) == {"a": "down", "b": "down"}
        made.up["postgres:shop"] = 0.0
        await made.pass_s(3)
        assert states(made) == {"a": "suppressed", "b": "down"}
        made.up["postgres:shop"] = 1.0
        before = len(made.probers["a"].begun)
        await made.pass_s(2)
        assert len(made.probers["a"].begun) > before  # asked again at once
        assert states(made) == {"a": "down", "b": "down"}

    down = {"script": ["connect"] * 99}
    console(work, check("a", depends_on=("postgres:shop",)), check("b", depends_on=("host",)), a=down, b=down)


def test_maintenance_begins_and_ends_on_time():
    async def work(made):
        await made.pass_s(9)
        assert states(made)["a"] == "up"
        await made.pass_s(4)
        assert states(made)["a"] == "maintenance"
        before = len(made.probers["a"].begun)
        await made.pass_s(12)
        assert states(made)["a"] == "up"
        assert len(made.probers["a"].begun) == before + 1  # at the end of the window, not an hour later

    begin, end = (f"2027-01-15T08:16:{second:02}" for second in (50, 59))  # EPOCH is 08:00:00, and loops begin 16:40 later
    console(work, check("a", interval_s=3_600, maintenance=(Window(begin, end),)))


# Tables ---------------------------------------------------------------------------------------------------------------------------


def test_the_table_is_told_at_once_and_then_every_two_seconds_while_looked_at():
    async def work(made):
        results = await made.pass_s(0.5)
        assert [row.state for row in tables(results)[0].rows] == ["unknown", "unknown"]
        results = await made.pass_s(0.5)
        assert [row.state for row in tables(results)[0].rows] == ["up", "up"]
        assert len(tables(await made.pass_s(20))) == 10

    console(work, check("a"), check("b"))


@pytest.mark.parametrize("views", [(), VIEWS], ids=["nobody", "a recorder"])
def test_the_table_is_told_every_half_minute_while_nobody_looks(views):
    async def work(made):
        await made.pass_s(5)
        assert 3 <= len(tables(await made.pass_s(100))) <= 4
        made.probers["a"].script = ["connect"] * 2
        told = tables(await made.pass_s(20))
        assert [table.rows[0].state for table in told if table.rows[0].state != "up"][:2] == ["failing", "down"]

    console(work, check("a"), views=views)


def test_rows_are_in_the_order_of_their_keys_and_services_of_their_names():
    async def work(made):
        await made.pass_s(2)
        (table,) = await made.collector.look([SCREEN])
        assert [row.key for row in table.rows] == sorted(row.key for row in table.rows)
        assert [(row.name, row.endpoints) for row in table.services] == [("a", 20), ("b", 20)]
        assert (table.target, table.total) == ("checks", 40)
        assert await made.collector.look([View("process")]) == []

    console(work, *(check(f"e{i}", service="ab"[i % 2]) for i in range(40)))


def test_a_service_counts_all_the_checks_of_its_endpoints():
    async def work(made):
        await made.pass_s(120)
        table = tables(made.told)[-1]
        one, other = table.services
        (alone,) = [row for row in table.rows if row.service == "one"]
        assert (one.name, one.n, one.checks, one.failed, one.down) == ("one", alone.n, alone.checks, 0, 0)
        assert alone.n > 10
        assert (one.p50_s, one.p90_s, one.availability) == (alone.p50_s, alone.p90_s, 1.0)
        rows = [row for row in table.rows if row.service == "two"]
        assert (other.checks, other.failed) == (sum(row.checks for row in rows), 2)
        assert other.p50_s == pytest.approx(0.2, abs=0.01)
        assert other.availability == pytest.approx(sum(row.availability for row in rows) / 3)

    console(
        work, check("a", service="one"), *(check(name, service="two") for name in "bcd"),
        b={"answers_s": 0.1}, c={"answers_s": 0.2}, d={"answers_s": 0.3, "script": ["", "status", "status"]},
    )  # fmt: skip


def test_of_a_great_service_percentiles_are_within_a_hundredth():
    async def work(made):
        await made.pass_s(120)
        (service,) = tables(made.told)[-1].services
        assert service.n > 2_000
        assert service.p50_s == pytest.approx(0.2, rel=0.02)
        assert service.p99_s == pytest.approx(0.4, rel=0.02)

    slow = {f"e{i}": {"answers_s": 0.4 if i % 20 == 0 else 0.2} for i in range(200)}
    console(work, *(check(name, interval_s=5) for name in slow), **slow)


# Configured anew ------------------------------------------------------------------------------------------------------------------


def test_what_stays_keeps_its_history_and_what_goes_ends():
    async def work(made):
        await made.pass_s(35)
        before = {row.name: row for row in tables(made.told)[-1].rows}
        await made.collector.configure(
            [check("kept"), check("slower", interval_s=60), check("moved", target="http://elsewhere/"), check("new", service="n")]
        )
        results = await made.pass_s(1)
        ended = {measured.target for measured in results[0].measured if not measured.series}
        assert ended == {"gone", "moved", "service:leaving"}  # of another target under an old name no series goes on
        rows = {row.name: row for row in tables(made.told)[-1].rows}
        assert set(rows) == {"kept", "slower", "moved", "new"}
        assert rows["kept"].checks == before["kept"].checks
        assert rows["slower"].checks == before["slower"].checks + 1  # and was checked at once
        assert (rows["slower"].interval_s, rows["slower"].since) == (60, before["slower"].since)
        assert (rows["moved"].checks, rows["new"].checks) == (1, 1)

    console(work, check("kept"), check("slower"), check("moved"), check("gone", service="leaving"))


def test_what_is_under_way_when_its_target_changes_comes_to_nothing():
    async def work(made):
        await made.pass_s(0.5)
        assert made.probers["a"].running == 1
        old = made.probers["a"]
        made.how["a"] = {}
        await made.collector.configure([check("a", target="http://elsewhere/")])
        await made.pass_s(5)
        assert (old.running, old.closed) == (0, 1)
        (row,) = tables(made.told)[-1].rows
        return row.state, row.checks, row.failed

    assert console(work, check("a", interval_s=60.0), a={"answers_s": 2.0, "script": ["status"]}) == ("up", 1, 0)


def test_an_outcome_of_what_is_gone_is_dropped():
    async def work(made):
        await made.pass_s(0.5)
        await made.collector.configure([])
        results = await made.pass_s(3)
        assert made.values(results, "a") == []
        assert tables(made.told)[-1].rows == []

    console(work, check("a"))


# Asked ----------------------------------------------------------------------------------------------------------------------------


def test_detail_tells_how_it_is_checked_and_what_came_of_it():
    async def work(made):
        await made.pass_s(25)
        detail = await made.ask("http.detail", "a")
        facts = dict(detail.facts)
        assert facts["url"] == "http://a.example/?token=***"
        assert (facts["auth"], facts["header X-Key"], facts["body"]) == ("basic ${USER} ***", "***", "17 characters")
        assert facts["depends on"] == "host"
        assert (detail.last.ok, detail.failure.cause) == (True, "connect")
        assert [change.state for change in detail.changes] == ["up", "failing", "up"]
        assert "hunter2" not in repr(detail)

    console(
        work,
        check(
            "a", target="http://me:hunter2@a.example/?token=hunter2", auth=("basic", "${USER}", "hunter2"), headers=(("X-Key", "hunter2"),),
            body="password=hunter2x", depends_on=("host",),
        ),
        a={"script": ["", "connect"]},
    )  # fmt: skip


def test_check_now_says_what_came_of_it_and_is_in_the_next_tick():
    async def work(made):
        with pytest.raises(RequestError, match="not begun"):
            await made.ask("http.check", "a")
        await made.pass_s(1)
        assert (await made.ask("http.check", "a")).text == "a: up, in 1.0ms"
        made.probers["a"].script = ["connect"]
        assert (await made.ask("http.check", "a")).text == "a: failed, connect: connect in words"
        assert [reading["up"] for reading in made.values(await made.pass_s(0.5), "a")] == [1.0, 0.0]
        with pytest.raises(RequestError, match="no endpoint is called 'b'"):
            await made.ask("http.check", "b")
        with pytest.raises(RequestError):
            await made.ask("http.detail", "b")

    console(work, check("a"))


def test_a_row_of_the_screen_is_that_of_the_name():
    """The key is of the name alone, also where the row was made before the first check."""

    async def work(made):
        await made.pass_s(1)
        assert tables(made.told)[0].rows[0].key == EndpointRow("a", "http", "", "", "").key == tables(made.told)[-1].rows[0].key

    console(work, check("a"))


# Faults of its own, and of others -------------------------------------------------------------------------------------------------


def test_a_check_that_nobody_can_carry_out_is_said_and_holds_up_no_other():
    class Odd(Console):
        def make(self, of, shared):
            if of.name == "odd":
                raise TypeError("this cannot be")
            return super().make(of, shared)

    async def whole(loop):
        made = Odd(loop, check("a"), check("odd"))
        results = await made.pass_s(11)
        made.collector.close()
        rows = {row.name: row for row in tables(results)[-1].rows}
        assert (rows["a"].state, rows["odd"].state) == ("up", "unknown")
        assert rows["odd"].error == "TypeError in the checker itself: it cannot carry this check out"

    run(whole)


def test_a_warm_up_that_fails_keeps_nobody_from_being_checked():
    async def fails(_checks, _shared):
        raise RuntimeError("no further thread")

    async def whole(loop):
        outcomes = []
        checker = Checker(outcomes.append, object(), make=Fake, clock=loop.clock, warm_up=fails)
        checker.configure([check("a")])
        await asyncio.sleep(1)
        checker.close()
        assert [outcome.ok for outcome in outcomes] == [True]

    run(whole)


def test_what_refused_its_checks_is_given_them_again():
    async def whole(loop):
        made = Console(loop, check("a"))
        refusals, closed = [OverflowError("too much")], []

        class Refusing(Checker):
            def configure(self, checks):
                if refusals:
                    raise refusals.pop()
                super().configure(checks)

            def close(self):
                closed.append(self)
                super().close()

        made.collector._checking = lambda deliver: Refusing(deliver, object(), make=made.make, clock=loop.clock)
        at, boot = loop.clock()
        with pytest.raises(OverflowError):  # which the engine shows as the collector's fault
            await made.collector.run("checks", Slot(at, boot, boot + 5), made.views)
        assert len(closed) == 1
        assert tables(await made.pass_s(11))[-1].rows[0].state == "up"
        made.collector.close()

    run(whole)


class Idle:
    """Carries nothing out: what comes of checks is said by the test."""

    def configure(self, checks):
        self.checks = checks

    def soon(self, name):
        pass

    def close(self):
        pass


def test_that_it_is_up_again_is_told_whatever_was_between():
    async def whole(loop):
        child, parent = check("child", depends_on=("http:parent",)), check("parent")
        collector = HttpCollector([child, parent], checking=lambda _: Idle())
        told, at = [], EPOCH
        for of, cause in (
            (parent, ""), (child, ""), (child, "connect"), (child, "connect"), (parent, "connect"), (parent, ""), (child, ""), (child, ""),
        ):  # fmt: skip
            at += 10
            collector._outcomes.append(outcome(of, at, cause=cause, scheduled=at))
            result = await collector.run("checks", Slot(at, at - EPOCH, at - EPOCH + 5), ())
            told += [event.text.partition(",")[0] for event in result.events if event.scope == "child"]
        return told

    assert run(whole) == ["child: down", "child: up"]


def test_a_parent_that_cannot_be_measured_excuses_nobody():
    async def work(made):
        results = await made.pass_s(60)
        return {row.name: row.state for row in tables(results)[-1].rows}

    states = console(
        work, check("parent"), check("child", depends_on=("http:parent",)),
        parent={"script": ["connect", *["unmeasured"] * 50]}, child={"script": ["status"] * 50},
    )  # fmt: skip
    assert states == {"parent": "unknown", "child": "down"}
