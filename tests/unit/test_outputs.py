"""A state as JSON and as text: what is unknown stays unknown, and nothing hostile gets out."""

import json
from math import inf, nan

from perfconsole.core.endpoints import TARGET, EndpointRow, EndpointTable
from perfconsole.core.state import State
from perfconsole.core.tables import ProcessRow, ProcessTable
from perfconsole.core.tick import Alert, Group, Health, Reading, SeriesDef, Stream, Tick
from perfconsole.core.unit_rows import UnitRow, UnitTable
from perfconsole.outputs.snapshot import encode, rfc3339, snapshot
from perfconsole.outputs.text import text

AT = 1_700_000_000.0


def series(name, **labels):
    return SeriesDef(name, tuple(sorted(labels.items())))


def state(**changes):
    defined = (
        series("system.cpu.utilization"),
        series("system.disk.io", direction="read"),
        series("system.load.1m"),
        series("made.up"),
        series("system.filesystem.utilization", mountpoint="/var"),
    )
    row = ProcessRow(1, 7, 0, "x", "root", "S", nan, 1.0, 4096.0, 1, 0, AT - 60, command='sh -c "é ␛[31m"')
    made = State()
    made.apply(
        Tick(
            **{
                "seq": 1, "at": AT, "boot": 100.0, "key": True,
                "stream": Stream("box", "s", "b", "0"),
                "groups": [Group(1, "system", "host", 2.0, defined)],
                "readings": [Reading(1, AT - 2, [0.5, 1000.0, nan, 1.0, 0.9]), Reading(1, AT, [0.42, 5000.0, inf, 1.0, 0.9])],
                "tables": [ProcessTable("host", AT, 3, [row], hidden=True)],
                **changes,
            }
        )
    )  # fmt: skip
    return made


def test_values_are_in_base_units_and_unknown_is_null():
    document = json.loads(encode(snapshot(state())))
    cpu, disk, load, other, mount = document["metrics"]
    assert cpu == {"name": "system.cpu.utilization", "labels": {}, "unit": "1", "kind": "gauge", "value": 0.42}
    assert (disk["kind"], disk["unit"], disk["value"], disk["rate"]) == ("counter", "By", 5000.0, 2000.0)
    assert load["value"] is None
    assert (other["unit"], other["kind"]) == ("", "gauge")
    assert mount["labels"] == {"mountpoint": "/var"}
    (process,) = document["processes"]
    assert (process["cpu_ratio"], process["read_bytes_s"], process["start_time"]) == (None, None, "2023-11-14T22:12:20.000Z")
    assert process["command"] == 'sh -c "é ␛[31m"'
    assert (document["generated_at"], document["host"]) == ("2023-11-14T22:13:20.000Z", "box")


def test_a_unit_is_told_as_it_is_and_what_is_not_known_is_null():
    row = UnitRow("/system.slice/shop.service", "shop.service", "service", 1, "/system.slice", cpu=0.5, memory_bytes=1e6, state="failed")
    found = state(tables=[UnitTable("host", AT, 1, [row], "v2")])
    (unit,) = json.loads(encode(snapshot(found)))["units"]
    known = {name: value for name, value in unit.items() if value is not None and name != "pressure"}
    assert known == {
        "name": "shop.service", "kind": "service", "path": "/system.slice/shop.service", "parent": "/system.slice", "state": "failed",
        "cpu_cores": 0.5, "memory_bytes": 1e6,
    }  # fmt: skip
    assert unit["pressure"] == {"cpu": None, "memory": None, "io": None}


def test_nothing_known_is_still_an_object():
    document = json.loads(encode(snapshot(State())))
    assert document == {"schema": "perfconsole.snapshot/1", "generated_at": None, "host": "", "metrics": [], "processes": [], "units": [],
                        "endpoints": [], "services": [], "sources": [], "alerts": [], "thresholds": []}  # fmt: skip
    assert text(State()).startswith("?")
    assert rfc3339(nan) is None


def test_a_source_is_stale_three_intervals_after_its_last_success():
    def health(last_ok, kind="ok"):
        found = state(health=[Health("system", "host", kind, AT, last_ok, error="e", fix="f")])
        return snapshot(found)["sources"][0]

    assert health(AT - 5.9)["state"] == "ok"
    assert health(AT - 6.1)["state"] == "stale"
    assert health(AT - 60, "denied") == {"name": "system", "state": "denied", "age_s": 60.0, "error": "e", "fix": "f"}
    assert health(nan)["age_s"] is None
    part = state(health=[Health("filesystems", "/mnt", "error", AT, nan)])
    assert snapshot(part)["sources"][0]["name"] == "filesystems:/mnt"


def test_a_source_that_never_worked_has_no_age():
    known = state(health=[Health("system", "host", "denied", AT, 0.0)])
    (source,) = snapshot(known)["sources"]
    assert (source["state"], source["age_s"]) == ("denied", None)


def test_thresholds_stand_apart_from_alerts():
    labels = (("mountpoint", "/var"),)
    rule = Alert("a", "full", "system.filesystem.utilization", labels, "critical", "firing", "inactive", AT, AT - 5, 0.8, 0.85, colour=True)
    alert = Alert("b", "real", "system.load.1m", (), "warning", "pending", "inactive", AT, AT, 1.0, 0.5)
    document = snapshot(state(alerts=[rule, alert]))
    assert [found["name"] for found in document["alerts"]] == ["real"]
    (threshold,) = document["thresholds"]
    assert (threshold["value"], threshold["limit"], threshold["above"]) == (0.9, 0.85, True)  # the value now, not the one at the crossing
    assert "■ CRIT  disk /var 90% > 85%  (full)" in text(state(alerts=[rule, alert]))


def test_text_says_what_is_unknown_hidden_and_broken():
    broken = state(health=[Health("filesystems", "/mnt", "error", AT, nan, error="does not answer", fix="umount -l /mnt")])
    lines = text(broken).splitlines()
    assert "CPU      42%  of - CPUs" in lines
    assert any("3 processes, some hidden from this user" in line for line in lines)
    assert "? filesystems:/mnt error: does not answer: umount -l /mnt" in lines
    assert any(line.startswith("I/O") and "read 2.0K/s" in line for line in lines)


def test_what_was_given_up_is_told_in_ascii_for_a_locale_may_have_no_other_sign():
    row = EndpointRow(
        "hang", "http", "shop", "http://shop/", "failing", at=AT, cause="timeout", error="no answer", last_s=0.3, at_least=True
    )
    told = state()
    told.apply(Tick(2, AT, 0.0, tables=[EndpointTable(TARGET, AT, 1, [row])]))
    (line,) = [line for line in text(told).splitlines() if line.startswith("HTTP")]
    assert "  >=300ms  timeout: no answer  " in line
    assert line.isascii()
