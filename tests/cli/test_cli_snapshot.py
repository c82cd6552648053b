"""``snapshot`` on this machine: against the kernel, as JSON, and with its exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ALWAYS = '[alerts]\ndefaults = false\n[[alert]]\nname = "up"\nseverity = "{}"\nmetric = "system.uptime"\nabove = "1s"\n'
NEVER = "[alerts]\ndefaults = false\n"


@pytest.fixture
def snapshot(perfconsole):
    return lambda *args: perfconsole("snapshot", *args)


def test_json_holds_what_the_contract_says(snapshot, config_file):
    config_file(NEVER)
    ran = snapshot("--json")
    document = json.loads(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert (document["schema"], document["host"], document["alerts"]) == ("perfconsole.snapshot/1", os.uname().nodename, [])
    assert document["generated_at"].endswith("Z")
    metrics = {(metric["name"], *metric["labels"].values()): metric for metric in document["metrics"]}
    uptime = metrics["system.uptime",]
    assert (uptime["unit"], uptime["kind"]) == ("s", "gauge")
    assert 0 <= float(Path("/proc/uptime").read_text().split()[0]) - uptime["value"] < 200
    idle = metrics["system.cpu.time", "idle"]
    assert idle["kind"] == "counter"
    assert idle["rate"] >= 0
    assert 0 <= metrics["system.cpu.utilization",]["value"] <= 1
    assert {source["name"] for source in document["sources"]} >= {"system", "processes"}
    assert all(source["state"] == "ok" for source in document["sources"] if source["name"] in {"system", "processes"})


def test_units_are_those_of_the_cgroup_tree_with_their_use_where_it_can_be_had(snapshot, config_file):
    config_file(NEVER)
    document = json.loads(snapshot("--json").out)
    units, (source,) = document["units"], [source for source in document["sources"] if source["name"] == "units"]
    assert source["state"] == "ok" or (source["fix"] and not units)
    for unit in units:
        assert unit["kind"] in {"service", "scope", "slice", "pod", "container", "group", "rest"} or not unit["path"]
        assert unit["memory_bytes"] is None or unit["memory_bytes"] >= 0


def test_every_metric_has_the_unlabelled_series_that_a_rule_without_match_means(snapshot, config_file):
    config_file(NEVER)
    measured = json.loads(snapshot("--json").out)["metrics"]
    bare = {metric["name"] for metric in measured if not metric["labels"]}
    own = {"system.network.speed"}  # a link's: there is none of all of them
    assert {metric["name"] for metric in measured} - bare <= own


def test_a_busy_process_is_seen_with_its_share_of_a_core(snapshot):
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            document = json.loads(snapshot("--json").out)
        finally:
            busy.kill()
    (process,) = [process for process in document["processes"] if process["pid"] == busy.pid]
    assert set(process) == {"pid", "start_time", "name", "user", "state", "cpu_ratio", "memory_bytes", "threads", "read_bytes_s",
                            "write_bytes_s", "unit", "command"}  # fmt: skip
    assert 0 < process["cpu_ratio"] < 1.5
    assert process["memory_bytes"] > 2**20
    assert "while True" in process["command"]


@pytest.mark.parametrize(
    ("severity", "word", "args"),
    [("critical", "CRIT", ()), ("critical", "CRIT", ("--fail-on", "warning")), ("warning", "WARN", ("--fail-on", "warning"))],
)
def test_a_threshold_is_shown_but_never_enters_the_exit_code(snapshot, config_file, severity, word, args):
    config_file(ALWAYS.format(severity))
    ran = snapshot(*args)
    assert ran.code == 0
    assert f"{word}  uptime" in ran.out


@pytest.mark.parametrize(
    ("severity", "fail_on", "code"),
    [("critical", None, 0), ("critical", "warning", 2), ("critical", "critical", 2), ("warning", "warning", 1), ("warning", "critical", 0),
     ("info", "warning", 0)],
)  # fmt: skip
def test_the_exit_code_is_the_severity_of_alerts_only_when_asked(severity, fail_on, code):
    from perfconsole.cli.snapshot import _code
    from perfconsole.core.state import State
    from perfconsole.core.tick import Alert, Group, SeriesDef, Tick

    alert = Alert("a", "a", "system.uptime", (), severity, "firing", "inactive", 1.0, 1.0, 1.0, 0.0)
    state = State()
    state.apply(Tick(1, 1.0, 1.0, groups=[Group(1, "system", "host", 2.0, (SeriesDef("system.uptime"),))], alerts=[alert]))
    assert _code(state, fail_on) == code


def test_text_reads_from_the_top(snapshot, config_file):
    config_file(NEVER)
    lines = snapshot().out.splitlines()
    assert lines[0].startswith(os.uname().nodename)
    words = [line.split()[0] for line in lines if line]
    assert words.index("CPU") < words.index("Load") < words.index("Memory") < words.index("Disk") < words.index("PID")
    assert not any(char in line for line in lines for char in "\x1b\t")
