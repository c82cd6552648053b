"""Alerts in words: one by one, in a storm, overdue, on their way; and what somebody writes to silence them."""

from math import inf, isnan, nan

import pytest
from msgspec import structs

from perfconsole.core import alert_words
from perfconsole.core.tick import Ack, Alert, Rule, Silence

NOW = 1_000_000.0
CHECKED = (("endpoint", "checkout"), ("service", "shop"))


def alert(rule="memory-usage-critical", metric="system.memory.utilization", labels=(), **fields):
    usual = {
        "severity": "critical", "state": "firing", "before": "pending", "at": NOW - 60, "since": NOW - 400, "value": 0.95, "limit": 0.9,
        "fired_at": NOW - 60,
    } | fields  # fmt: skip
    return Alert(f"{rule}{labels}", rule, metric, labels, **usual)


DOWN = alert("service-down-critical", "httpcheck.up", CHECKED, value=0.0, limit=0.5, above=False)


def test_a_subject_has_level_and_sentence():
    assert alert_words.subject(DOWN) == "CRIT checkout is down"
    assert alert_words.subject(DOWN, "checkout is down (dns)") == "CRIT checkout is down (dns)"
    assert alert_words.subject(structs.replace(DOWN, severity="info")) == "INFO checkout is down"


@pytest.mark.parametrize(
    ("one", "thing", "measure", "decided", "threshold", "statistic"),
    [
        (DOWN, "checkout", "checkout", "down", "down", "last sample"),
        (structs.replace(DOWN, n=3), "checkout", "checkout", "down", "down", "last, 3 in a row"),
        (alert(), "memory", "memory", "95%", "> 90%", "last sample"),
        (alert(stat="avg", over_s=60.0, n=30), "memory", "memory", "95%", "> 90%", "avg over 1m n 30"),
        (
            alert("disk", "system.filesystem.utilization", (("mountpoint", "/var"),)),
            "/var", "disk /var", "95%", "> 90%", "last sample",
        ),
        (
            alert("error-rate-critical", "httpcheck.up", CHECKED, stat="ratio", value=0.125, limit=0.01, over_s=60.0, n=8),
            "checkout", "errors of checkout", "12.5%", "> 1.0%", "ratio over 1m n 8",
        ),
        (
            alert("slow", "httpcheck.duration", CHECKED, value=0.812, limit=0.5, stat="p50", over_s=300.0, n=30),
            "checkout", "checkout latency", "812ms", "> 500ms", "p50 over 5m n 30",
        ),
        (alert("cache", "postgresql.cache.hit_ratio", (("server", "orders"),), above=False), "orders", "cache hits of orders",
         "95%", "< 90%", "last sample"),
        (alert("failed", "system.filesystem.failed", (("mountpoint", "/var"),), value=1.0, limit=0.5), "/var", "filesystem /var",
         "read-only", "read-only", "last sample"),
    ],
)  # fmt: skip
def test_what_an_alert_is_about_and_what_decided(one, thing, measure, decided, threshold, statistic):
    told = (alert_words.thing(one), alert_words.measure(one), alert_words.decided(one), alert_words.threshold(one))
    assert told == (thing, measure, decided, threshold)
    assert alert_words.statistic(one) == statistic


def test_what_is_over_is_said_to_be_well():
    assert alert_words.ended(structs.replace(DOWN, state="resolved")) == "checkout is up again"
    assert alert_words.ended(alert(state="resolved", value=0.72)) == "memory 72%, was > 90%"
    mended = alert("failed", "system.filesystem.failed", (("mountpoint", "/var"),), state="resolved", value=0.0, limit=0.5)
    assert alert_words.ended(mended) == "filesystem /var is writable again"
    orders = alert("database-down", "postgresql.up", (("server", "orders"),), state="resolved", value=1.0, limit=0.5, above=False)
    assert alert_words.ended(orders) == "server orders is up again"
    assert not alert_words.either_or(structs.replace(orders, stat="ratio"))
    gone = alert(state="resolved", text="it is not measured any more")
    assert alert_words.ended(gone) == "memory: it is not measured any more"


def test_a_rule_is_named_without_the_severity_that_stands_beside_it():
    assert alert_words.rule_name(DOWN) == "service-down"
    assert alert_words.rule_name(structs.replace(DOWN, rule="gateway")) == "gateway"
    assert alert_words.rule_name(structs.replace(DOWN, rule="-critical")) == "-critical"


def test_only_what_fires_and_is_told_counts():
    assert alert_words.counts(DOWN)
    assert not alert_words.counts(structs.replace(DOWN, colour=True))
    assert not alert_words.counts(structs.replace(DOWN, state="pending"))
    silenced, muted = structs.replace(DOWN, silence="5f00aa01"), structs.replace(DOWN, muted="inhibited by other")
    assert [alert_words.counts(one) for one in (silenced, muted)] == [False, False]
    assert [alert_words.quiet(one) for one in (DOWN, silenced, muted)] == ["", "silenced", "inhibited by other"]
    assert alert_words.tally([DOWN, silenced, muted, structs.replace(DOWN, ack=Ack("ops", NOW))]) == "1 silenced, 1 muted, 1 acked"
    assert alert_words.tally([DOWN]) == ""
    by_ops, both = structs.replace(silenced, muted="silenced by ops: deploy"), structs.replace(muted, silence="5f00aa01")
    assert alert_words.tally([silenced, by_ops, both, muted]) == "3 silenced, 1 muted", "each is counted once"
    assert [alert_words.only_silenced(one) for one in (DOWN, silenced, by_ops, both, muted)] == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("after_s", "told"), [(299.0, ""), (300.0, ""), (301.0, "overdue"), (361.0, "overdue 1m"), (3900.0, "overdue 1h"), (nan, "")]
)
def test_what_nobody_has_answered_in_time_is_overdue_by_whole_minutes(after_s, told):
    one = structs.replace(DOWN, fired_at=NOW - after_s)
    assert alert_words.overdue(one, 300.0, NOW) == told
    assert alert_words.overdue(one, nan, NOW) == ""
    for calm in (structs.replace(one, ack=Ack("ops", NOW)), structs.replace(one, silence="1"), structs.replace(one, state="pending")):
        assert alert_words.overdue(calm, 300.0, NOW) == ""


def test_what_was_kept_of_an_earlier_run_is_known_exactly():
    began = NOW - 100
    assert alert_words.lasting(alert(since=NOW - 400), NOW, began) == "for 6m40s"
    assert alert_words.lasting(alert(since=NOW - 99), NOW, began) == "for over 1m39s"
    assert alert_words.lasting(alert(since=NOW - 400, colour=True), NOW, began) == "for over 6m40s"
    assert alert_words.lasting(alert(since=NOW - 50), NOW, began) == "for 50s"


@pytest.mark.parametrize(
    ("due", "for_s", "ratio", "left_s"),
    [
        (NOW + 150, 600.0, 0.75, 150.0),
        (NOW + 900, 600.0, 0.0, 900.0),  # time that nobody observed has moved it on
        (NOW - 1, 600.0, 1.0, 0.0),
        (NOW + 400, nan, 0.5, 400.0),  # no rule: from its beginning to its end
        (inf, 600.0, nan, nan),
        (nan, 600.0, nan, nan),
    ],
)
def test_how_far_a_pending_alert_is(due, for_s, ratio, left_s):
    found = alert_words.progress(alert(state="pending", since=NOW - 400, due=due), for_s, NOW)
    for told, right in zip(found, (ratio, left_s), strict=True):
        assert (isnan(told) and isnan(right)) or told == pytest.approx(right)


@pytest.mark.parametrize(
    ("seconds", "text"), [(5.0, "5s"), (0.5, "0.5s"), (300.0, "5m"), (372.0, "6m12s"), (7500.0, "2h05m"), (7200.0, "2h"), (nan, "-")]
)
def test_durations_without_parts_that_are_nothing(seconds, text):
    assert alert_words.short(seconds) == text


# In a storm -------------------------------------------------------------------------------------------------------------------------


def storm(count):
    return [structs.replace(DOWN, id=str(i), labels=(("endpoint", f"e{i}"), ("service", "shop"))) for i in range(count)]


def test_a_storm_is_one_line():
    (crowd,) = alert_words.gathered(storm(500))
    assert alert_words.group_line(crowd) == "service-down: 500 endpoints (e0, e1, ... and 498 more)"
    assert alert_words.group_line(crowd[:2]) == "service-down: 2 endpoints (e0, e1)"
    mounts = [
        alert("disk-usage-warning", "system.filesystem.utilization", (("mountpoint", f"/{i}"),), severity="warning") for i in range(9)
    ]
    assert alert_words.group_line(mounts) == "disk-usage: 9 filesystems (/0, /1, ... and 7 more)"
    odd = [alert("odd", "system.odd", (("colour", str(i)),)) for i in range(9)]
    assert alert_words.group_line(odd) == "odd: 9 series (0, 1, ... and 7 more)"


def test_few_of_a_rule_are_told_one_by_one_and_a_group_stands_where_its_first_does():
    assert [len(members) for members in alert_words.gathered(storm(8))] == [1] * 8
    other = alert()
    assert [len(members) for members in alert_words.gathered([*storm(4), other, *storm(9)[4:]])] == [9, 1]
    assert [members[0] for members in alert_words.gathered([other, *storm(9)])] == [other, storm(9)[0]]
    assert alert_words.gathered([]) == []


def test_the_worst_and_oldest_is_first():
    mild, young, old = alert(severity="warning", since=0.0), alert(since=NOW - 1), alert(since=NOW - 9)
    assert alert_words.in_order([mild, young, old]) == [old, young, mild]


# Rules and silences -----------------------------------------------------------------------------------------------------------------


def test_where_a_rule_is_written():
    rule = Rule("r", "warning", "m", 1.0)
    assert [alert_words.written(one) for one in (rule, structs.replace(rule, source="p.toml:12"), None)] == [
        "shipped",
        "p.toml:12",
        "not in force any more",
    ]
    assert alert_words.by_name([rule]) == {"r": rule}


def test_an_alert_is_matched_by_its_rule_and_labels_and_nothing_else_is():
    odd = structs.replace(DOWN, labels=(("endpoint", "a b*[x]?"),))
    text = alert_words.matcher(alert_words.about(odd))
    assert text == 'rule=service-down-critical endpoint="a b[*][[]x][?]"'
    made = Silence("1", alert_words.read_matcher(text), NOW, NOW + 1, "ops", "why")
    assert made.covers(odd)
    assert not made.covers(structs.replace(odd, labels=(("endpoint", "a bz[x]y"),)))
    assert not made.covers(structs.replace(odd, rule="other"))


@pytest.mark.parametrize("match", [(("rule", "a"), ("endpoint", "shop-*")), (("reason", "x y"),), (("a", "b=c"),)])
def test_what_is_written_is_read_as_it_was_meant(match):
    assert alert_words.read_matcher(alert_words.matcher(match)) == match


def test_commas_are_as_good_as_spaces():
    assert alert_words.read_matcher("rule=a, endpoint=b") == (("rule", "a"), ("endpoint", "b"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "nothing to match"),
        ("checkout", "'checkout' is no label=glob"),
        ("endpoint=", "no label=glob"),
        ("=x", "no label=glob"),
        ("endpoint=a endpoint=b", "endpoint stands there twice"),
        ("rule=*", "silence everything"),
        ("severity=** metric=*", "silence everything"),
        ('endpoint="a', "a quote is opened"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(text, why):
    with pytest.raises(ValueError, match=why) as refused:
        alert_words.read_matcher(text, ("endpoint",))
    assert "\n" not in str(refused.value)


def test_a_refusal_names_the_labels_there_are():
    with pytest.raises(ValueError, match="labels: rule, severity, metric, mountpoint"):
        alert_words.read_matcher("x", ("mountpoint", "rule"))


def test_what_lies_under_a_silence():
    every = {one.id: one for one in (DOWN, alert(), alert("t", colour=True), alert("p", state="pending"), alert("o", state="resolved"))}
    silence = Silence("1", (("severity", "critical"),), NOW, NOW + 1, "ops", "why")
    assert [one.rule for one in alert_words.covered(silence, every)] == ["service-down-critical", "memory-usage-critical", "p"]
