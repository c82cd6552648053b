"""Alerts inside the engine: what can be asked and done, near and far, and what is kept for the next run."""

import asyncio
from math import nan
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from perfconsole.core.alert_requests import AckArgs, AlertArgs, SilenceArgs, UnsilenceArgs
from perfconsole.core.errors import RequestError
from perfconsole.core.notices import Notice, Saved
from perfconsole.core.ports import Measured, Result
from perfconsole.core.requests import ALERT_ACK, ALERT_HISTORY, ALERT_SILENCE, ALERT_UNSILENCE
from perfconsole.core.shipped import SHIPPED
from perfconsole.core.state import State
from perfconsole.core.tick import Group, Reading, Rule, SeriesDef, Tick
from perfconsole.engine.alerting import Alerting
from perfconsole.engine.clock import Moment
from perfconsole.engine.intake import Intake

WALL = 1.7e9
BUSY = Rule("busy", "critical", "system.cpu.utilization", 0.9, for_s=60.0, keep_s=5.0, colour=False)
HOUR = Rule("hour", "warning", "system.cpu.utilization", 0.7, stat="avg", over_s=1200.0, for_s=60.0, min_samples=80, colour=False)
AT_ONCE = Rule("at-once", "critical", "system.cpu.utilization", 0.9, colour=False)


class Clock:
    """Stands where a test puts it."""

    boot = 0.0

    def now(self):
        return Moment(WALL + self.boot, self.boot)


class Store:
    """Keeps in memory, at once or when a test says so; `error` as it would be."""

    def __init__(self):
        self.changes, self.error, self.closed = [], "", False

    def put(self, changes, kept=None):
        self.changes.append(changes)
        if kept:
            kept()

    def close(self):
        self.closed = True

    @property
    def saved(self):
        standings = next((change.standings for change in reversed(self.changes) if change.standings is not None), ())
        silences = next((change.silences for change in reversed(self.changes) if change.silences is not None), ())
        return Saved(standings, silences)

    @property
    def told(self):
        return [(alert.at - WALL, alert.before, alert.state) for change in self.changes for alert in change.told]


class Outbox:
    """Owes one notice of whatever fires; says what it was asked to send."""

    def __init__(self):
        self.resumed, self.sent, self.closed, self.error = [], [], False, ""

    def resume(self, alerts, at):
        self.resumed.append([alert.id for alert in alerts])
        return []

    def take(self, alerts, at):
        return [Notice(alert.id, "ops", "firing", alert, at) for alert in alerts if alert.state == "firing" != alert.before]

    def send(self, notices):
        self.sent += [notice.key for notice in notices]

    def health(self):
        return [("ops", "error", self.error)] if self.error else [("ops", "ok", "")]

    def close(self):
        self.closed = True


class Run:
    """One run of an engine's alerting, beat by beat."""

    def __init__(self, *rules, boot=0.0, boot_id="b1", store=None, outbox=None, saved=Saved()):  # noqa: B008  it is frozen
        self.clock, self.state, self.seq, self.store = Clock(), State(), 0, store
        self.alerting = Alerting(rules, boot_id, self.clock)
        if store:
            self.alerting.keep(store, saved, self.history, outbox)
        self.tick(boot, key=True, groups=[Group(1, "c", "host", 10.0, (SeriesDef("system.cpu.utilization"),))])

    async def history(self, alert_id, limit):
        return [alert for change in self.store.changes for alert in change.told if alert.id == alert_id][:limit], []

    def tick(self, boot, value=None, **parts):
        self.seq, self.clock.boot = self.seq + 1, boot
        readings = [] if value is None else [Reading(1, WALL + boot, [value])]
        tick = Tick(self.seq, WALL + boot, boot, readings=readings, **parts)
        self.state.apply(tick)
        return self.alerting.step(tick, self.state)

    def ask(self, spec, args):
        operation = next(operation for operation in self.alerting.operations if operation.spec is spec)
        return asyncio.run(operation.run(args))

    @property
    def alert(self):
        return self.state.alerts["busy{}"]


# What can be asked and done -----------------------------------------------------------------------------------------------------------


async def test_near_and_far_alike_an_alert_is_acknowledged_silenced_and_told(scripted, make_engine, connect, follow):
    scripted.value = 0.95
    written = []
    source = connect(make_engine(scripted, rules=[AT_ONCE], audit=lambda *entry: written.append(entry)))
    reader = follow(source)
    reader.until(lambda: "at-once{}" in reader.state.alerts)
    alert = reader.state.alerts["at-once{}"]
    done = await source.request(ALERT_ACK.name, AckArgs(alert.id, alert.since, "anna", "looking"))
    assert done.text == "acknowledged by anna"
    reader.until(lambda: reader.state.alerts["at-once{}"].ack is not None)
    assert reader.state.alerts["at-once{}"].ack.text == "looking"
    done = await source.request(ALERT_SILENCE.name, SilenceArgs((("rule", "at-*"),), 3600.0, "anna", "known"))
    assert ": 1 of the alerts that stand now, for 1h" in done.text
    reader.until(lambda: reader.state.silences)
    (silence,) = reader.state.silences
    assert reader.state.alerts["at-once{}"].silence == silence.id
    history = await source.request(ALERT_HISTORY.name, AlertArgs("at-once{}"))
    assert [one.state for one in history.told] == ["firing"] * 3
    assert history.told[-1].before == "inactive"
    await source.request(ALERT_UNSILENCE.name, UnsilenceArgs(silence.id, "anna"))
    reader.until(lambda: not reader.state.silences)
    reader.until(lambda: not reader.state.alerts["at-once{}"].muted)
    assert {entry[1] for entry in written} == {"alert.ack", "alert.silence", "alert.unsilence"}


@pytest.mark.parametrize(
    ("spec", "args", "why"),
    [
        (ALERT_ACK, AckArgs("busy{}", WALL, "anna"), "does not stand any more"),
        (ALERT_SILENCE, SilenceArgs((), 60.0, "anna", "x"), "a silence of everything"),
        (ALERT_SILENCE, SilenceArgs((("rule", "x"),), 0.0, "anna", "x"), "has to end"),
        (ALERT_SILENCE, SilenceArgs((("rule", "x"),), nan, "anna", "x"), "has to end"),
        (ALERT_SILENCE, SilenceArgs((("rule", "x"),), 31 * 86400.0, "anna", "x"), "has to end"),
        (ALERT_SILENCE, SilenceArgs((("rule", "x"),), 60.0, "anna", "  "), "needs a reason"),
        (ALERT_UNSILENCE, UnsilenceArgs("12345678", "anna"), "no silence is called 12345678"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(spec, args, why):
    run = Run(BUSY)
    with pytest.raises(RequestError, match=why):
        run.ask(spec, args)
    assert not run.state.silences


def test_what_people_say_is_made_safe():
    run = Run(AT_ONCE)
    run.tick(1.0, 1.0)
    alert = run.state.alerts["at-once{}"]
    run.ask(ALERT_ACK, AckArgs(alert.id, alert.since, "an\x1b[31mna", "x" * 5000))
    run.ask(ALERT_SILENCE, SilenceArgs((("rule", "a\nb"),), 60.0, "\x07", "\x1b]0;owned\x07"))
    run.tick(1.5)
    ack, (silence,) = run.state.alerts["at-once{}"].ack, run.state.silences
    assert ack.by.isprintable()
    assert len(ack.text) <= 300
    assert all(text.isprintable() for text in (silence.by, silence.reason, *silence.match[0]))


# From one run to the next -------------------------------------------------------------------------------------------------------------


def test_where_alerts_stand_is_kept_as_they_go_on():
    store = Store()
    run = Run(BUSY, store=store)
    assert store.changes == []
    run.tick(10.0, 0.5)
    assert store.changes == []  # nothing is written while all is well
    run.tick(20.0, 1.0)
    assert store.told == [(20.0, "inactive", "pending")]
    run.tick(20.5)
    assert len(store.changes) == 1
    run.tick(22.0)
    assert len(store.changes) == 2  # a later run is to know until when it was looked at
    run.tick(30.0, 1.0)
    assert [standing.last for standing in store.saved.standings] == [30.0]
    run.tick(40.0, 0.5)
    assert store.told[-1] == (40.0, "pending", "inactive")
    assert store.saved.standings == []


def test_what_fired_is_not_told_as_news_and_its_silence_and_acknowledgement_go_on():
    store, outbox = Store(), Outbox()
    run = Run(AT_ONCE, store=store, outbox=outbox)
    run.tick(10.0, 1.0)
    assert outbox.sent == ["at-once{}"]
    run.ask(ALERT_ACK, AckArgs("at-once{}", WALL + 10, "anna"))
    run.ask(ALERT_SILENCE, SilenceArgs((("rule", "at-once"),), 3600.0, "bert", "known"))
    run.tick(10.5)
    run.alerting.close()
    assert store.closed
    assert outbox.closed
    later, outbox = Store(), Outbox()
    again = Run(AT_ONCE, boot=20.0, store=later, outbox=outbox, saved=store.saved)
    alert = again.state.alerts["at-once{}"]
    assert (alert.state, alert.before, alert.ack.by, alert.since) == ("firing", "firing", "anna", WALL + 10)
    assert alert.muted == "silenced by bert: known"
    assert [silence.by for silence in again.state.silences] == ["bert"]
    assert later.told == []
    assert outbox.resumed == [["at-once{}"]]
    assert outbox.sent == []
    again.tick(21.0, 1.0)
    again.tick(22.0, 0.5)
    assert later.told == [(22.0, "firing", "resolved")]


def test_a_kill_between_counts_for_nothing():
    """No `close`: what was kept as it went has to do."""
    store = Store()
    run = Run(BUSY, store=store)
    for boot in (10.0, 20.0, 30.0, 40.0):
        run.tick(boot, 1.0)
    later = Store()
    again = Run(BUSY, boot=55.0, store=later, saved=store.saved)
    again.tick(56.0, 1.0)
    for boot in range(57, 75):
        again.tick(float(boot))
    assert later.told == [(70.0, "pending", "firing")]
    assert again.alert.since == WALL + 10


def windows(store):
    """The names of the long windows that are kept, and how many samples each holds."""
    return {one.alert.rule: (len(one.window) - 4) // 12 for one in store.saved.standings if one.alert.state == "inactive"}


def test_a_long_window_is_kept_every_five_minutes_and_goes_on_after_a_kill():
    store = Store()
    run = Run(HOUR, store=store)
    for boot in range(10, 1500, 10):
        run.tick(float(boot), 0.5)
    assert len(store.changes) == 4  # all is well: nothing else is written
    assert windows(store) == {"hour": 120}
    later = Store()
    again = Run(HOUR, boot=1500.0, store=later, saved=store.saved)
    assert not again.state.alerts
    for boot in range(1510, 2400, 10):
        again.tick(float(boot), 1.0)
    assert later.told[0][1:] == ("inactive", "pending")
    assert 1500.0 + 360 <= later.told[0][0] < 1500.0 + 390  # when of 90 that are known 37 are bad: not with the first of them


def test_a_window_that_nobody_measured_yet_is_not_lost_with_the_next_kill():
    store = Store()
    run = Run(HOUR, store=store)
    for boot in range(10, 1500, 10):
        run.tick(float(boot), 0.5)
    run.alerting.close()
    assert windows(store) == {"hour": 120}
    later = Store()
    again = Run(HOUR, AT_ONCE, store=later, boot=1500.0, saved=store.saved)
    again.tick(1501.0, 1.0)  # one that fires at once has everything written that stands
    assert windows(later) == {"hour": 120}
    third = Run(HOUR, boot=1502.0, saved=later.saved, store=Store())
    third.tick(1510.0, 0.5)
    third.alerting.close()
    assert windows(third.store) == {"hour": 119}  # one has left it


def test_very_many_long_windows_are_gathered_and_taken_some_at_a_time():
    rules = [replace(HOUR, name=f"hour-{number}") for number in range(200)]
    store = Store()
    run = Run(*rules, store=store)
    for boot in range(10, 310, 10):
        run.tick(float(boot), 0.5)
    at = 310.0
    while not windows(store):
        at += 0.5
        run.tick(at)
    assert 1 <= (at - 310.0) / 0.5 <= 5  # 6000 samples, 4000 with a tick
    assert set(windows(store).values()) == {30}
    again = Run(*rules, boot=at + 1, store=Store(), saved=store.saved)
    held = []
    for beat in range(1, 8):
        again.tick(at + 1 + beat / 2)
        kept = list(again.alerting._stage.windows("b1"))
        held.append(len(again.alerting._stage._windows._claimed))
        assert len(kept) == 200
    assert held == sorted(held, reverse=True)
    assert held[-1] == 0
    assert held[0] > 0


def test_an_error_rate_that_pends_fires_when_it_is_due_though_it_was_killed_half_way():
    rule = next(rule for rule in SHIPPED if rule.name == "error-rate-critical")
    series = (SeriesDef(rule.metric, (("endpoint", "shop"), ("service", "web"))),)
    store, later = Store(), Store()
    first = Run(rule, store=store)
    first.tick(1.0, groups=[Group(1, "c", "host", 10.0, series)])
    for boot in range(10, 171, 10):
        first.tick(float(boot), 0.0)
    again = Run(rule, boot=172.0, store=later, saved=store.saved)
    again.tick(172.5, groups=[Group(1, "c", "host", 10.0, series)])
    for boot in range(180, 400, 10):
        again.tick(float(boot), 0.0)
    assert store.told == [(20.0, "inactive", "pending")]
    assert [one for one in later.told if one[1] != one[2]] == [(320.0, "pending", "firing")]


def test_an_outage_that_an_earlier_run_told_of_is_not_told_again_by_a_window_that_still_holds_it():
    up = (SeriesDef("httpcheck.up", (("endpoint", "shop"), ("service", "web"))),)
    down, pooled = (
        next(rule for rule in SHIPPED if rule.name == name) for name in ("service-down-critical", "intermittent-errors-warning")
    )
    store = Store()
    first = Run(down, pooled, store=store)
    first.tick(1.0, groups=[Group(1, "c", "host", 10.0, up)])
    for boot in range(10, 251, 10):
        first.tick(float(boot), 0.0 if 10 < boot <= 150 else 1.0)
    over = first.state.alerts["service-down-critical{endpoint=shop,service=web}"]
    assert over.state == "resolved"
    again = Run(down, pooled, boot=252.0, saved=store.saved._replace(told=[over]), store=Store())
    again.tick(252.5, groups=[Group(1, "c", "host", 10.0, up)])
    for boot in range(260, 500, 10):
        again.tick(float(boot), 1.0)
    alert = again.state.alerts["intermittent-errors-warning{endpoint=shop,service=web}"]
    assert (alert.state, alert.muted) == ("firing", "of an outage that service-down-critical told of")


def test_what_a_rule_judges_by_comes_with_the_group_and_another_of_it_is_another_group():
    intake, found = Intake(), []
    http = SimpleNamespace(name="http", interval_s=1.0)
    for seq, (timeout_s, failures) in enumerate([(5.0, 2), (5.0, 2), (30.0, 2), (30.0, 9)]):
        intake.take(
            http, Result([Measured("shop", (SeriesDef("httpcheck.up"),), [1.0], None, 10.0, None, timeout_s, failures)]), WALL + seq
        )
        found += [(group.interval_s, group.timeout_s, group.failures) for group in intake.close(seq, WALL + seq, float(seq)).groups]
    assert found == [(10.0, 5.0, 2), (10.0, 30.0, 2), (10.0, 30.0, 9)]


def test_what_was_over_before_is_shown_and_not_kept_twice():
    store = Store()
    run = Run(AT_ONCE, store=store)
    run.tick(10.0, 1.0)
    run.tick(11.0, 0.5)
    over = run.state.alerts["at-once{}"]
    assert over.state == "resolved"
    later = Store()
    again = Run(AT_ONCE, boot=20.0, store=later, saved=Saved(told=[over]))
    assert again.state.alerts == {"at-once{}": over}
    assert later.told == []


def test_a_store_that_cannot_write_is_said_by_the_engine(scripted, make_engine, connect, follow):
    engine = make_engine(scripted)
    reader, store, outbox = follow(connect(engine)), Store(), Outbox()
    engine.keep_alerts(store, Saved(), None, outbox)
    store.error = "events.db: no space left on device"
    reader.until(lambda: ("alerts", "host") in reader.state.health and reader.state.health["alerts", "host"].state == "error")
    assert reader.state.health["alerts", "host"].error == store.error
    store.error = ""
    outbox.error = "failing for 5m: 503"
    reader.until(lambda: reader.state.health["alerts", "host"].state == "ok")
    reader.until(lambda: reader.state.health["notify", "ops"].error == outbox.error)
    engine.stop()
    assert store.closed


async def test_without_a_store_what_is_held_in_memory_is_the_history():
    run = Run(AT_ONCE)
    for boot in range(300):
        run.tick(float(boot + 1), 1.0 if boot % 2 else 0.5)
    operation = next(operation for operation in run.alerting.operations if operation.spec is ALERT_HISTORY)
    told = (await operation.run(AlertArgs(""))).told
    assert len(told) == 200
    assert [one.at for one in told] == sorted((one.at for one in told), reverse=True)
    assert (await operation.run(AlertArgs("nothing"))).told == ()


def test_the_very_tick_that_goes_on_from_the_last_run_brings_the_next_failure():
    """It is neither a new occurrence, nor the end of the one that fires: nobody is told anything, and who has it on keeps it."""
    store, outbox = Store(), Outbox()
    run = Run(BUSY, store=store, outbox=outbox)
    for boot in range(10, 80, 10):
        run.tick(float(boot), 1.0)
    run.ask(ALERT_ACK, AckArgs("busy{}", run.alert.since, "anna"))
    run.tick(79.5)
    later, outbox = Store(), Outbox()
    again = Run(BUSY, boot=81.0)
    again.tick(81.5, 1.0)  # which seems to be a beginning, until it is known what was before
    again.store = later
    again.alerting.keep(later, store.saved, again.history, outbox)
    again.tick(82.0, 1.0)
    assert (again.alert.state, again.alert.ack.by, again.alert.fired_at) == ("firing", "anna", WALL + 70)
    assert later.told == []
    assert outbox.sent == []
    again.tick(90.0, 0.5)
    for boot in range(91, 100):
        again.tick(float(boot))
    assert later.told == [(95.0, "firing", "resolved")]


def test_what_fired_before_there_was_anybody_to_keep_it_is_kept_and_no_old_end_covers_it():
    old = Store()
    run = Run(AT_ONCE, store=old)
    run.tick(10.0, 1.0)
    run.tick(11.0, 0.5)
    over = run.state.alerts["at-once{}"]
    again = Run(AT_ONCE, boot=20.0)
    again.tick(21.0, 1.0)
    again.store = Store()
    again.alerting.keep(again.store, Saved(told=[over]), again.history, None)
    again.tick(21.5)
    assert again.state.alerts["at-once{}"].state == "firing"
    assert again.store.told == [(21.0, "inactive", "firing")]
    assert [standing.alert.state for standing in again.store.saved.standings] == ["firing"]


def test_who_had_it_on_is_told_though_it_begins_again_in_the_same_tick():
    run = Run(AT_ONCE)
    run.tick(10.0, 1.0)
    run.ask(ALERT_ACK, AckArgs("at-once{}", WALL + 10, "anna"))
    run.tick(10.5)
    run.seq += 1
    tick = Tick(run.seq, WALL + 12, 12.0, readings=[Reading(1, WALL + 11, [0.5]), Reading(1, WALL + 12, [1.0])])
    run.state.apply(tick)
    told = run.alerting.step(tick, run.state).alerts
    assert [(alert.state, alert.ack and alert.ack.by) for alert in told] == [("resolved", "anna"), ("firing", None)]
