"""Alerts in words: subjects, what follows them, and what text of others may not do there."""

from math import nan

import pytest
from msgspec.structs import replace
from receivers import T, alert, down, message, notice, over

from perfconsole.core.tick import Ack
from perfconsole.notify.channels import words


def nowhere(_):
    return ""


def test_one_alert():
    assert words.subject(message(alert())) == "[CRIT] db1: memory avg 92% > 90% over 1m, for 10m"


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (notice(down("checkout", since=T - 60)), "[CRIT] db1: checkout is down, for 1m"),
        (notice(down("checkout", since=T)), "[CRIT] db1: checkout is down"),
        (notice(alert(severity="warning", flapping=True)), "[WARN] db1: memory avg 92% > 90% over 1m, for 10m (flapping)"),
        (notice(alert(severity="info"), "overdue", made_at=T + 300),
         "[INFO] db1: memory avg 92% > 90% over 1m, for 15m, still nobody on it"),
        (over(down("checkout", since=T - 73)), "[OK] db1: checkout is up again, resolved after 16m13s"),
        (over(alert(), value=0.71), "[OK] db1: memory 71%, was > 90%, resolved after 25m"),
        (over(alert(), value=nan, text="it is not measured any more"), "[OK] db1: memory: it is not measured any more, resolved after 25m"),
        (over(alert("errors", metric="httpcheck.up", labels=(("endpoint", "cart"),), stat="ratio", limit=0.01), value=0.002),
         "[OK] db1: errors of cart 0.2%, was > 1.0%, resolved after 25m"),
        (notice(alert("disk", metric="system.filesystem.utilization", labels=(("mountpoint", "/var"),), stat="last", over_s=0.0)),
         "[CRIT] db1: disk /var 92% > 90%, for 10m"),
        (notice(alert("soon", metric="httpcheck.tls.expiry", labels=(("endpoint", "x"), ("service", "s")), stat="last", value=86400.0)),
         "[CRIT] db1: certificate of x ends in 1d0h"),
        (notice(alert("slow", metric="httpcheck.duration", labels=(("endpoint", "x"), ("service", "s")), value=1.5, limit=1.0, stat="p95")),
         "[CRIT] db1: x probe p95 1.5s > 1.0s over 1m, for 10m"),
    ],
)  # fmt: skip
def test_subjects(one, expected):
    assert words.subject(message(one)) == expected


def test_a_storm_is_one_line():
    storm = message(*(down(f"shop{number}") for number in range(500)))
    assert words.subject(storm) == "[CRIT] db1: 500 alerts: service-down: 500 endpoints (shop0, shop1, ... and 498 more)"


def test_several_rules_and_ends_together():
    mixed = message(notice(alert()), notice(down("a"), made_at=T), notice(down("b")), over(alert("cpu", metric="system.cpu.utilization")))
    assert words.subject(mixed) == "[CRIT] db1: 3 alerts: service-down: 2 endpoints (a, b), memory-critical; 1 resolved: cpu"
    assert (words.severity(mixed), words.resolved(mixed)) == ("critical", False)


def test_rules_of_several_severities_are_told_apart():
    slow = [alert(f"slow-{severity}", severity=severity, labels=(("endpoint", name), ("service", "s")))
            for severity, names in (("critical", "ab"), ("warning", "cde")) for name in names]  # fmt: skip
    expected = "[CRIT] db1: 5 alerts: WARN slow: 3 endpoints (c, d, ... and 1 more), CRIT slow: 2 endpoints (a, b)"
    assert words.subject(message(*slow)) == expected


def test_what_fires_is_told_apart_from_what_nobody_has_taken_on():
    mixed = message(notice(alert()), notice(down("a"), "overdue"), notice(down("b"), "overdue"), over(down("c")))
    assert words.subject(mixed) == (
        "[CRIT] db1: 1 alert: memory-critical; 2 still nobody on: service-down: 2 endpoints (a, b); 1 resolved: service-down"
    )


def test_why_it_fires_is_told_where_more_is_known_than_a_value():
    blind = alert("blind", metric="perfconsole.collector.blind", labels=(("collector", "postgres"), ("target", "orders")), stat="last",
                  value=1.0, limit=0.5, text="password authentication failed: see pg_hba.conf", severity="warning")  # fmt: skip
    assert words.subject(message(notice(blind))) == "[WARN] db1: monitoring of postgres orders is blind, for 10m"
    assert ("why", "password authentication failed: see pg_hba.conf") in words.facts(notice(blind), "db1", nowhere)
    assert words.subject(message(over(blind, text=""))) == "[OK] db1: monitoring of postgres orders is well again, resolved after 25m"
    assert "why" not in dict(words.facts(over(blind), "db1", nowhere))


def test_what_is_up_or_down_is_no_number():
    told = words.annotations(notice(down("x")), "db1", nowhere)
    assert (told["value"], told["threshold"]) == ("down", "down")


def test_what_is_over_counts_for_the_severity_only_where_nothing_fires():
    assert words.severity(message(alert(severity="warning"), over(alert()))) == "warning"
    ended = message(over(alert()), over(down("x")))
    assert words.severity(ended) == "critical"
    assert words.subject(ended).startswith("[OK] db1: 2 resolved: ")


def test_the_body_tells_each_fact_on_a_line():
    one = replace(alert(), ack=Ack("ann", T + 1, "looking"))
    assert words.body(message(one), lambda _: "https://wiki.example/memory").splitlines() == [
        "CRIT  memory avg 92% > 90% over 1m, for 10m",
        "      rule: memory-critical (critical)",
        "      host: db1",
        "      since: 2026-02-02 02:30:00 UTC",
        "      value: 92% (avg over 1m, n 30)",
        "      threshold: > 90%",
        "      acknowledged: ann, 2026-02-02 02:40:01 UTC: looking",
        "      runbook: https://wiki.example/memory",
    ]


def test_overdue_says_that_nobody_has_it():
    assert "      acknowledged: by nobody, and that is overdue" in words.body(message(notice(alert(), "overdue")), nowhere)


def test_an_end_has_its_time():
    assert "      resolved: 2026-02-02 02:55:00 UTC" in words.body(message(over(alert())), nowhere)


def test_of_many_the_worst_are_told_and_the_rest_counted():
    text = words.body(message(*(down(f"s{number}") for number in range(45))), nowhere)
    assert text.count("CRIT  ") == words.WORST
    assert text.rstrip().endswith("... and 25 more: service-down: 25 endpoints (s20, s21, ... and 23 more)")


def test_no_text_breaks_out_of_its_line():
    bad = "x\r\nBcc: all@example.org\x1b[2J\u202e\x00"
    one = down(bad)
    one = replace(one, ack=Ack(bad, T, bad))
    for text in (words.subject(message(one, host=bad)), *words.body(message(one, host=bad), lambda _: bad).split("\n")):
        assert text.isprintable()
        assert not text.startswith("Bcc")


def test_a_subject_has_an_end():
    assert len(words.subject(message(down("x" * 4000)))) <= 250


def test_labels_of_ours_go_before_those_of_a_series():
    odd = alert(labels=(("host", "other"), ("alertname", "x"), ("mount.point", "/")))
    assert words.labels(odd, "db1") == {"alertname": "memory-critical", "severity": "critical", "host": "db1", "mount_point": "/"}


def test_an_occurrence_is_the_same_until_it_is_over_and_another_the_next_time():
    first, later = alert(), alert(fired_at=T + 9999)
    assert words.occurrence(first, "db1") == words.occurrence(over(first).alert, "db1")
    assert len({words.occurrence(first, "db1"), words.occurrence(later, "db1"), words.occurrence(first, "db2")}) == 3
    assert words.fingerprint(first, "db1") == words.fingerprint(later, "db1") != words.fingerprint(first, "db2")
