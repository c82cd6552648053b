"""What cannot be seen any more is told to somebody; what is down, was never to be seen, or slept, is not."""

import json
import time

import pytest
from msgspec.structs import replace

from perfconsole import assembly
from perfconsole.collectors import blindness
from perfconsole.collectors.blindness import EVERY_S, METRIC, Blindness
from perfconsole.collectors.own import OwnCollector
from perfconsole.config.load import parse_text
from perfconsole.core import alert_words, words
from perfconsole.core.alerts import AlertStage
from perfconsole.core.errors import CollectorError
from perfconsole.core.ports import Measured, Result
from perfconsole.core.shipped import SHIPPED
from perfconsole.core.state import State
from perfconsole.core.tick import Group, Health, Reading, SeriesDef, Stream, Tick
from perfconsole.engine.engine import Engine
from perfconsole.notify import outbox_lane

WALL = 1.7e9
RULE = next(rule for rule in SHIPPED if rule.metric == METRIC)
DB, SHOP = ("postgres", "orders"), ("http", "shop")


class World:
    """Collectors that tell how they do every 2 s, and the rule that ships."""

    def __init__(self, configured=()):
        self.state, self.stage, self.boot, self.told, self.group = State(), AlertStage([RULE]), 1000.0, [], None
        self.up = 1.0
        self.said = {}
        self.blindness = Blindness(lambda: self.state, lambda: frozenset(configured))
        series = (SeriesDef("postgresql.up", (("server", "orders"),)),)
        self.groups = [Group(1, *DB, 2.0, series), Group(2, *SHOP, 10.0, (SeriesDef("httpcheck.up", (("endpoint", "shop"),)),))]
        self._tick(groups=self.groups)

    def _tick(self, **what):
        tick = Tick(self.state.seq + 1, self.boot + WALL, self.boot, **what)
        self.state.apply(tick)
        alerts = self.stage.step(tick)
        self.told += alerts
        self.state.tell(alerts, None)

    def live(self, seconds, **said):
        """Let time pass while places are as they are said to be: a state, or None where nothing is heard of it."""
        places = {"db": DB, "shop": SHOP, "kernel": ("kernel", "host"), "notify": ("notify", "ops"), "part": ("system", "/proc/x")}
        end = self.boot + seconds
        while self.boot < end:
            self.boot += 2.0
            at, health, defined, readings = self.boot + WALL, [], [], []
            for name, state in said.items():
                if state:
                    self.said[name] = at if state == "ok" else self.said.get(name, 0.0)
                    health.append(Health(*places[name], state, at, self.said[name], error="" if state == "ok" else "why"))
            if said.get("db"):
                readings.append(Reading(1, at, [self.up]))
            found = self.blindness.measured(self.boot, 2.0)
            if found:
                if self.group is None or self.group.series != found.series:
                    self.group = Group(
                        (self.group.id if self.group else 2) + 1, "perfconsole", found.target, found.interval_s, found.series
                    )
                    defined.append(self.group)
                readings.append(Reading(self.group.id, at, found.values))
            self._tick(health=health, groups=defined, readings=readings if not found or found.series else readings[:-1])

    @property
    def turns(self):
        return [(alert.state, round(alert.at - WALL - 1000.0)) for alert in self.told if alert.before != alert.state]


@pytest.mark.parametrize("how", ["error", "denied", "stale", None])
def test_what_was_seen_and_is_not_any_more_fires_after_five_minutes(how):
    world = World()
    world.live(100, db="ok", shop="ok")
    world.live(280, db=how, shop="ok")
    assert [state for state, _ in world.turns] == ["pending"]
    world.live(60, db=how, shop="ok")
    (_, (state, at)) = world.turns
    assert (state, 400 <= at <= 100 + 300 + 2 * EVERY_S) == ("firing", True)
    assert words.breach(world.told[-1], 1.0) == "monitoring of postgres orders is blind"
    world.live(160, db="ok", shop="ok")
    assert world.turns[-1][0] == "resolved"
    assert alert_words.ended(world.told[-1]) == "monitoring of postgres orders is well again"
    assert {alert.labels for alert in world.told} == {(("collector", "postgres"), ("target", "orders"))}


def test_what_is_configured_is_blind_from_the_first_moment():
    world = World(configured=[DB, SHOP])
    world.live(400, db="denied", shop="error")
    assert sorted(state for state, _ in world.turns) == ["firing", "firing", "pending", "pending"]


def test_what_this_user_may_not_see_is_not_blind():
    world = World(configured=[SHOP])
    world.live(40, kernel="ok", db="ok", shop="ok")  # what it may not it finds out when it has begun
    world.live(2000, kernel="denied", db="denied", part="denied", shop="ok")
    assert world.told == []
    assert METRIC not in {series.definition.name for series in world.state.all_series()}


def test_what_is_switched_off_is_not_blind():
    world = World(configured=[DB])
    world.live(100, db="ok", kernel="ok")
    world.live(2000, db="off", kernel="off")
    assert world.told == []


def test_a_database_that_is_down_is_told_by_its_own_alert_alone():
    world = World(configured=[DB])
    world.live(100, db="ok")
    world.up = 0.0
    world.live(2000, db="error")
    assert world.told == []
    world.up = 1.0  # it answers, and lets nobody in
    world.live(400, db="denied")
    assert [state for state, _ in world.turns] == ["pending", "firing"]


def test_who_is_told_and_where_it_is_kept_is_no_measuring():
    world = World()
    world.live(100, notify="ok")
    world.live(1000, notify="error")
    assert world.told == []


def test_a_machine_that_slept_is_not_blind():
    world = World(configured=[DB, SHOP])
    world.live(200, db="ok", shop="ok")
    for _ in range(20):
        world.boot += 8 * 3600.0
        world._tick()  # time has passed, and nothing is measured yet
        world.live(400, db="ok", shop="ok")
    assert world.told == []


def test_sleep_is_no_part_of_the_five_minutes():
    world = World()
    world.live(100, db="ok")
    world.live(200, db="error")
    world.boot += 8 * 3600.0
    world.live(20, db="ok")
    world.live(200, db="ok")
    assert [state for state, _ in world.turns] == ["pending", "inactive"]


def test_what_is_not_configured_any_more_is_over():
    world = World(configured=[SHOP])
    world.live(400, shop="error")
    world._tick(groups=[Group(9, *SHOP, 10.0, ())])
    world.live(60)
    assert [state for state, _ in world.turns] == ["pending", "firing", "resolved"]
    assert not [series for series in world.state.all_series() if series.definition.name == METRIC]


@pytest.mark.parametrize(("now", "after"), [("error", ["firing"]), ("ok", ["firing", "resolved"])])
def test_the_next_run_of_the_engine_goes_on_with_what_fires(now, after):
    first = World(configured=[DB])
    first.live(400, db="error")
    standings = first.stage.standings("boot")
    assert [standing.alert.state for standing in standings] == ["firing"]
    second = World(configured=[DB])
    left = second.stage.restore(standings, "boot", Tick(1, second.boot + WALL, second.boot))
    second.state.tell(left, None)
    second.live(400, db=now)
    assert [alert.state for alert in left] == ["firing"]
    assert [state for state, _ in second.turns] == after[1:]


def test_where_all_is_well_there_is_no_series_and_a_thousand_are_looked_at_in_no_time():
    state = State()
    groups = [Group(1 + number, "http", f"e{number}", 10.0, (SeriesDef("x", (("e", str(number)),)),)) for number in range(1000)]
    health = [Health("http", f"e{number}", "ok", WALL, WALL) for number in range(1000)]
    state.apply(Tick(1, WALL, 0.0, key=True, groups=groups, health=health))
    blindness = Blindness(lambda: state, lambda: frozenset(("http", f"e{number}") for number in range(1000)))
    best = 1.0
    for look in range(1, 30):
        began = time.perf_counter()
        assert blindness.measured(look * EVERY_S, 2.0) is None
        best = min(best, time.perf_counter() - began)
    assert best < 0.02, "3 ms are what the loop may be held; a slow machine is five times slower"


class Fickle:
    """A collector that may look as long as it may."""

    name, interval_s, first_after_s, targets, operations = "fickle", 0.5, 0.0, ("orders",), ()
    may = True

    async def run(self, target, slot, views):
        if not self.may:
            raise CollectorError("permission denied", "GRANT pg_monitor", state="denied")
        return Result([Measured(target, (SeriesDef("system.load.1m"),), [1.0])])

    async def look(self, views):
        return []

    def close(self):
        pass


def test_whoever_is_on_call_is_told_by_a_real_engine_with_the_reason_and_of_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(blindness, "EVERY_S", 0.5)
    monkeypatch.setattr(blindness, "_WELL_S", 0.5)
    monkeypatch.setattr(outbox_lane, "GATHER_S", 0.05)
    file = tmp_path / "told"
    config = parse_text(
        f"[history]\ndir = '{tmp_path}'\n[alerts]\nnotify = ['ops']\n"
        f"[[notify]]\nname = 'ops'\ntype = 'hook'\ncommand = ['/bin/sh', '-c', 'cat >> {file}; echo >> {file}']\n",
        env={},
    )
    rule = replace(RULE, for_s=1.0, keep_s=0.5, notify=("ops",))
    collector = Fickle()
    own = OwnCollector(0.5, lambda: 0.0, lambda: 0.0, Blindness(lambda: engine.state, frozenset))
    engine = Engine([collector, own], Stream("box", "s", "b", "0"), rules=[rule])
    engine.start()

    def told():
        lines = file.read_text().splitlines() if file.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def until(true):
        deadline = time.monotonic() + 60
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    try:
        assert assembly.keep_alerts(engine, config) == ""
        until(lambda: ("fickle", "orders") in own._blindness._seen)
        collector.may = False
        until(lambda: len(told()) == 1)
        collector.may = True
        until(lambda: len(told()) == 2)
    finally:
        engine.stop()
    fires, ended = (one["text"] for one in told())
    assert "monitoring of fickle orders is blind" in fires
    assert "why: permission denied: GRANT pg_monitor" in fires
    assert "monitoring of fickle orders is well again" in ended
