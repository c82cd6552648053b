"""Why an alert notifies nobody, and who has taken it on: what is said beside its transitions, as long as it is so and no longer."""

from math import nan

import pytest
from msgspec.structs import replace

from perfconsole.core.endpoints import EndpointRow, EndpointTable
from perfconsole.core.muting import LOOK_S, Muting
from perfconsole.core.state import State
from perfconsole.core.tick import Ack, Alert, Group, Reading, Rule, SeriesDef, Silence, Tick

WALL = 1.7e9
ENDPOINT = (("endpoint", "shop"), ("service", "web"))
ANNA = Ack("anna", WALL, "on it")


def alert(rule="memory", state="firing", before="pending", **keys):
    given = {"metric": "system.memory.utilization", "labels": (), "severity": "critical", "at": WALL, "since": WALL - 60, "value": 1.0}
    given |= {"limit": 0.9, "stat": "avg"} | keys
    labels = ",".join("=".join(label) for label in given["labels"])
    return Alert(id=f"{rule}{{{labels}}}", rule=rule, state=state, before=before, **given)


def of_endpoint(rule, metric="httpcheck.duration", **keys):
    return alert(rule, metric=metric, labels=ENDPOINT, **keys)


def silence(seconds=3600.0, **match):
    return Silence("0a1b2c3d", tuple(sorted(match.items())), WALL, WALL + seconds, "anna", "known")


class Bench:
    """A muting that follows a state, tick by tick."""

    def __init__(self, *rules):
        self.muting, self.state, self.seq = Muting(rules), State(), 0
        self.tick(0.0, key=True)

    def tick(self, boot, *alerts, **parts):
        self.seq += 1
        self.state.apply(Tick(self.seq, WALL + boot, boot, **parts))
        return self.muting.step(self.state, alerts)

    def up(self, boot, value, metric="httpcheck.up", labels=ENDPOINT, number=1):
        group = Group(number, "c", f"t{number}", 10.0, (SeriesDef(metric, labels),))
        return self.tick(boot, groups=[group], readings=[Reading(number, WALL + boot, [value])])


def said(told):
    return [(one.rule, one.state, one.before, one.muted) for one in told]


# Silences -----------------------------------------------------------------------------------------------------------------------------


def test_a_silence_mutes_what_stands_and_what_comes_until_it_ends():
    bench = Bench()
    bench.tick(1.0, alert())
    assert bench.muting.silence(silence(10.0, rule="mem*")) == 1
    (told,) = bench.tick(1.5)
    assert (told.muted, told.silence, told.before) == ("silenced by anna: known", "0a1b2c3d", "firing")
    assert bench.tick(2.0, alert("cpu"))[0].muted == ""
    assert [(one.rule, one.silence) for one in bench.tick(3.0, alert("memory-buffer"))] == [("memory-buffer", "0a1b2c3d")]
    assert said(bench.tick(9.5)) == []
    ended = bench.tick(10.0)
    assert {(one.rule, one.muted, one.silence) for one in ended} == {("memory", "", ""), ("memory-buffer", "", "")}


def test_of_several_the_one_that_lasts_longest_is_told_and_then_the_next():
    bench = Bench()
    bench.tick(1.0, alert())
    long, short, other = (
        Silence(name, (("rule", glob),), WALL, WALL + seconds, name, "known")
        for name, glob, seconds in (("long", "mem*", 20.0), ("short", "*", 10.0), ("other", "cpu", 99.0))
    )
    for one in (short, other, long):
        bench.muting.silence(one)
    assert [one.silence for one in bench.tick(1.5)] == ["long"]
    assert bench.tick(10.5) == []  # the short one is over
    bench.muting.silence(replace(short, until=WALL + 30.0))
    assert [one.silence for one in bench.tick(11.0)] == ["short"]
    assert bench.muting.unsilence("short")
    assert [one.silence for one in bench.tick(11.5)] == ["long"]
    assert [one.silence for one in bench.tick(20.0)] == [""]


def test_all_its_globs_have_to_match_and_a_series_own_labels_count():
    one = of_endpoint("slow", severity="warning")
    for match, covers in (
        ({"endpoint": "sh*"}, True), ({"endpoint": "sh*", "severity": "critical"}, False), ({"server": "*"}, False),
        ({"metric": "httpcheck.*", "rule": "slow", "service": "web"}, True), ({"endpoint": "SHOP"}, False),
    ):  # fmt: skip
        assert silence(**match).covers(one) == covers, match


def test_silences_are_told_when_they_change_and_only_then():
    bench = Bench()
    assert bench.muting.told_silences() is None
    bench.muting.silence(silence(10.0, rule="x"))
    assert bench.muting.told_silences() == (silence(10.0, rule="x"),)
    assert bench.muting.told_silences() is None
    bench.tick(11.0)
    assert bench.muting.told_silences() == ()
    assert bench.muting.unsilence("0a1b2c3d") is None


# Acknowledgements ---------------------------------------------------------------------------------------------------------------------


def test_an_acknowledgement_is_of_one_occurrence_and_ends_with_it():
    bench = Bench()
    bench.tick(1.0, alert())
    assert not bench.muting.acknowledge("memory{}", WALL - 61, ANNA)
    assert not bench.muting.acknowledge("other{}", WALL - 60, ANNA)
    assert bench.muting.acknowledge("memory{}", WALL - 60, ANNA)
    assert [one.ack for one in bench.tick(1.5)] == [ANNA]
    assert [one.ack for one in bench.tick(2.0, alert(state="firing", before="firing"))] == [ANNA]
    (over,) = bench.tick(3.0, alert(state="resolved", before="firing"))
    assert over.ack == ANNA  # who had it when it ended
    (again,) = bench.tick(4.0, alert(since=WALL + 3))
    assert again.ack is None


def test_one_that_pends_can_be_acknowledged_and_given_back():
    bench = Bench()
    bench.tick(1.0, alert(state="pending", before="inactive"))
    assert bench.muting.acknowledge("memory{}", WALL - 60, ANNA)
    assert [one.ack for one in bench.tick(2.0, alert())] == [ANNA]
    assert bench.muting.acknowledge("memory{}", WALL - 60, None)
    assert [one.ack for one in bench.tick(2.5)] == [None]


def test_another_run_goes_on_with_both():
    bench = Bench()
    bench.muting.resume([alert(ack=ANNA)], [silence(rule="memory")])
    (told,) = bench.tick(1.0, alert(before="firing"))
    assert (told.ack, told.silence) == (ANNA, "0a1b2c3d")


# What lies elsewhere ------------------------------------------------------------------------------------------------------------------


def test_of_an_endpoint_that_is_down_nobody_is_told_that_it_is_slow():
    bench = Bench()
    down = of_endpoint("service-down", "httpcheck.up", stat="last")
    bench.tick(1.0, of_endpoint("slow"), of_endpoint("failing", "httpcheck.up", stat="ratio"), of_endpoint("ends", "httpcheck.tls.expiry"))
    told = bench.tick(2.0, down)
    assert {one.rule: one.muted for one in told} == {
        "service-down": "", "slow": "inhibited by service-down", "failing": "inhibited by service-down",
    }  # fmt: skip
    (up,) = bench.tick(3.0, of_endpoint("service-down", "httpcheck.up", stat="last", state="resolved", before="firing"))[:1]
    assert up.muted == ""
    assert {one.rule for one in bench.muting.standing.values() if one.muted} == set()


def test_a_milder_one_does_not_mute_a_graver():
    bench = Bench()
    told = bench.tick(1.0, of_endpoint("down", "httpcheck.up", stat="last", severity="warning"), of_endpoint("slow"))
    assert [one.muted for one in told] == ["", ""]


@pytest.mark.parametrize(
    ("state", "blocked", "muted"), [("maintenance", "", "in maintenance"), ("suppressed", "http:gate", "http:gate is down")]
)
def test_maintenance_and_the_fault_of_another_are_told_by_the_endpoints_row(state, blocked, muted):
    bench = Bench()
    bench.tick(1.0, of_endpoint("service-down", "httpcheck.up", stat="last"))
    row = EndpointRow("shop", "http", "web", "http://shop", state, WALL, blocked_by=blocked, at=WALL)
    assert said(bench.tick(1.0 + LOOK_S, tables=[EndpointTable("checks", WALL + 1, 1, [row])])) == [
        ("service-down", "firing", "firing", muted)
    ]
    row = EndpointRow("shop", "http", "web", "http://shop", "down", WALL, at=WALL)
    assert said(bench.tick(2.0 + 2 * LOOK_S, tables=[EndpointTable("checks", WALL + 2, 1, [row])])) == [
        ("service-down", "firing", "firing", "")
    ]


def test_a_rule_is_mute_while_what_it_depends_on_is_down():
    rule = Rule("memory", "critical", "system.memory.utilization", 0.9, depends_on=("host", "http:shop", "postgres:db"), colour=False)
    bench = Bench(rule)
    bench.tick(1.0, alert())
    bench.up(1.5, 0.0)
    assert said(bench.tick(1.5 + LOOK_S)) == [("memory", "firing", "firing", "http:shop is down")]
    bench.up(4.0, nan)  # nothing new is known of it
    assert said(bench.tick(4.5 + LOOK_S)) == []
    bench.up(8.0, 1.0)
    bench.up(8.0, 0.0, "postgresql.up", (("server", "db"),), number=2)
    assert said(bench.tick(8.5 + LOOK_S)) == [("memory", "firing", "firing", "postgres:db is down")]
    bench.up(12.0, 1.0, "postgresql.up", (("server", "db"),), number=2)
    assert said(bench.tick(12.5 + LOOK_S)) == [("memory", "firing", "firing", "")]


@pytest.mark.parametrize(("state", "mute"), [("failing", False), ("down", True), ("suppressed", True), ("up", False)])
def test_what_is_depended_on_is_down_when_its_row_says_so_and_not_with_one_failed_check(state, mute):
    rule = Rule("memory", "critical", "system.memory.utilization", 0.9, depends_on=("http:shop",), colour=False)
    bench = Bench(rule)
    bench.tick(1.0, alert())
    bench.up(1.5, 0.0)
    row = EndpointRow("shop", "http", "web", "http://shop", state, WALL, at=WALL)
    bench.tick(1.6, tables=[EndpointTable("checks", WALL + 1.6, 1, [row])])
    bench.tick(1.6 + 2 * LOOK_S)
    assert [one.muted for one in bench.muting.standing.values()] == ["http:shop is down" if mute else ""]


def test_where_no_row_is_known_so_many_checks_in_a_row_have_to_fail_as_make_it_down():
    rule = Rule("memory", "critical", "system.memory.utilization", 0.9, depends_on=("http:shop",), colour=False)
    bench = Bench(rule)
    bench.tick(1.0, alert())
    group = Group(1, "c", "t1", 10.0, (SeriesDef("httpcheck.up", ENDPOINT),), failures=3)
    muted = []
    for count, value in enumerate((1.0, 0.0, 0.0, nan, 0.0, 1.0), 1):
        at = 10.0 * count
        bench.tick(at, groups=[group] if count == 1 else [], readings=[Reading(1, WALL + at, [value])])
        bench.tick(at + LOOK_S)
        muted.append(bool(bench.muting.standing["memory{}"].muted))
    assert muted == [False, False, False, False, True, False]


def test_of_a_database_that_is_down_nothing_else_is_told():
    bench = Bench()
    db, other = (("server", "db"),), (("server", "spare"),)
    lag = alert("lag", metric="postgresql.replication.lag", labels=db, severity="warning")
    hit = alert("hit", metric="postgresql.cache.hit_ratio", labels=(("database", "shop"), *db), severity="warning")
    elsewhere = alert("lag", metric="postgresql.replication.lag", labels=other, severity="warning")
    bench.tick(1.0, lag, hit, elsewhere, alert("memory"))
    told = bench.tick(2.0, alert("database-down", metric="postgresql.up", labels=db, stat="last"))
    assert {one.id: one.muted for one in told} == {
        "database-down{server=db}": "", lag.id: "inhibited by database-down", hit.id: "inhibited by database-down",
    }  # fmt: skip
    bench.tick(3.0, alert("database-down", metric="postgresql.up", labels=db, stat="last", state="resolved", before="firing"))
    assert {one.muted for one in bench.muting.standing.values()} == {""}


def test_how_a_database_was_for_an_hour_does_not_hide_that_it_is_down_now():
    bench = Bench()
    db = {"metric": "postgresql.up", "labels": (("server", "db"),)}
    bench.tick(1.0, alert("database-down", "pending", "inactive", stat="last", **db))
    bench.tick(1.5, alert("uptime", stat="ratio", over_s=3600.0, **db))
    told = bench.tick(2.0, alert("database-down", stat="last", **db))
    assert {one.rule: one.muted for one in told} == {"database-down": "", "uptime": "inhibited by database-down"}


POOLED = {"metric": "httpcheck.up", "stat": "ratio", "over_s": 1800.0, "severity": "warning"}


@pytest.mark.parametrize(
    ("began", "severity", "muted"),
    [(30.0, "warning", True), (-5.0, "warning", False), (130.0, "warning", False), (30.0, "critical", False)],
)
def test_an_outage_is_told_once_and_not_again_by_a_window_that_still_holds_it(began, severity, muted):
    bench = Bench()
    down = {"metric": "httpcheck.up", "stat": "last", "since": WALL, "severity": "warning"}
    bench.tick(60.0, of_endpoint("down", at=WALL + 60, **down))
    bench.tick(120.0, of_endpoint("down", state="resolved", before="firing", at=WALL + 120, **down))
    (told,) = bench.tick(400.0, of_endpoint("now-and-then", **(POOLED | {"since": WALL + began, "severity": severity})))
    assert told.muted == ("of an outage that down told of" if muted else "")
    bench.tick(120.0 + 1800.0 + 300.0)
    assert [one.muted for one in bench.muting.standing.values()] == [""]  # what fails still does so by itself


def test_another_run_knows_of_the_outage_as_well():
    bench = Bench()
    down = of_endpoint("down", "httpcheck.up", stat="last", since=WALL, at=WALL + 120, state="resolved", before="firing")
    bench.muting.recall([down])
    assert bench.tick(400.0, of_endpoint("now-and-then", **(POOLED | {"since": WALL + 30})))[0].muted == "of an outage that down told of"


def test_what_the_stage_says_goes_first_and_thresholds_are_nobodys_business():
    bench = Bench()
    bench.muting.silence(silence(metric="*"))
    colour = alert("hot", colour=True)
    told = bench.tick(1.0, alert(muted="inhibited by graver"), colour)
    assert [(one.muted, one.silence) for one in told] == [("inhibited by graver", "0a1b2c3d"), ("", "")]
    assert list(bench.muting.standing) == ["memory{}"]
