"""``perfconsole alerts`` as it is typed: the rules in force, and rules tried on samples, with real files and pipes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

T = 1_770_000_000  # 2026-02-02T02:40:00Z
RULES = """
[alerts]
defaults = false

[[alert]]
name = "service-down"
severity = "critical"
metric = "httpcheck.up"
match = { endpoint = "*", service = "*" }
below = 0.5
for = "1m"

[[alert]]
name = "slow"
severity = "warning"
metric = "httpcheck.duration"
match = { endpoint = "*", service = "*" }
above = "500ms"
stat = "p50"
over = "1m"
for = "2m"
clear = "250ms"
keep_firing_for = "0s"

[[alert]]
name = "off"
severity = "info"
metric = "httpcheck.up"
above = 0
for = "1m"
enabled = false

[[alert]]
name = "busy"
severity = "warning"
metric = "system.cpu.utilization"
above = "0.5%"
"""
HEADER = "time,metric,endpoint,service,value"


def samples():
    """An outage of `web` from 100 s to 220 s, `api` that is slow from 50 s on, and a busy machine."""
    lines = [HEADER]
    for at in range(0, 400, 10):
        slow = 0.8 if at >= 50 else 0.1
        lines += [f"{T + at},httpcheck.up,web,shop,{int(not 100 <= at < 220)}", f"{T + at},httpcheck.duration,api,,{slow}",
                  f"{T + at},system.cpu.utilization,,,0.008"]  # fmt: skip
    return "\n".join(lines) + "\n"


@pytest.fixture
def kept(config_file, tmp_path):
    config_file(RULES)
    path = tmp_path / "week.csv"
    path.write_text(samples())
    return path


def turns(document):
    return [
        (one["time"][11:-1], one["rule"], one["labels"], one["from"], one["to"], one["value"], one["n"]) for one in document["transitions"]
    ]


WEB, API = {"endpoint": "web", "service": "shop"}, {"endpoint": "api"}
OUTAGE = [
    ("02:41:40.000", "service-down", WEB, "inactive", "pending", 0.0, 1),
    ("02:42:40.000", "service-down", WEB, "pending", "firing", 0.0, 1),
    ("02:44:00.000", "service-down", WEB, "firing", "resolved", 1.0, 1),  # up from 03:40 on, for a third of a minute
]


def test_every_transition_in_json(perfconsole, kept):
    ran = perfconsole("alerts", "backtest", "--samples", str(kept), "--json")
    assert (ran.code, ran.err) == (0, "")
    document = json.loads(ran.out)
    assert list(document) == ["schema", "generated_at", "host", "transitions", "warnings"]
    assert (document["schema"], document["host"]) == ("perfconsole.backtest/1", os.uname().nodename)
    assert list(document["transitions"][0]) == ["time", "rule", "labels", "from", "to", "value", "n"]
    assert turns(document) == OUTAGE
    assert document["transitions"][0]["time"] == "2026-02-02T02:41:40.000Z"
    assert document["warnings"] == [
        "slow: httpcheck.duration has samples labelled endpoint, and the rule is about those labelled endpoint service: it was not tried"
    ]


def test_a_statistic_and_what_still_stands(perfconsole, kept):
    kept.write_text(samples().replace("api,,", "api,shop,"))
    ran = perfconsole("alerts", "backtest", "--samples", str(kept), "--rule", "slow", TZ="UTC")
    lines = ran.out.splitlines()
    assert lines[0] == (
        "2026-02-02 02:41:20+00:00          slow  inactive -> pending   p50 over 1m of httpcheck.duration endpoint=api service=shop"
        "  800ms > 500ms  (n=6)"
    )
    assert lines[1].startswith("2026-02-02 02:43:20+00:00  ▲ WARN  slow  pending  -> firing ")
    assert lines[3] == (
        "▲ WARN  slow  still firing at the end, since 2026-02-02 02:41:20+00:00, fired 2026-02-02 02:43:20+00:00 endpoint=api service=shop"
    )
    span = "from 2026-02-02 02:40:00+00:00 to 2026-02-02 02:46:30+00:00 (6m30s)"
    assert lines[5:] == [
        f"1 rule on 120 samples, {span}, 1 series that they are about: 2 transitions",
        "        slow  fired 1 time, 3m10s in all",
    ]


def test_a_share_is_rounded_neither_to_nothing_nor_to_its_limit(perfconsole, config_file, tmp_path):
    config_file(RULES.replace('"0.5%"', '"90%"'))
    (tmp_path / "f.csv").write_text(f"time,metric,value\n{T},system.cpu.utilization,0.904\n{T + 10},system.cpu.utilization,0.004\n")
    first, second, *_ = perfconsole("alerts", "backtest", "--samples", "f.csv", "--rule", "busy").out.splitlines()
    assert first.endswith("inactive -> firing    system.cpu.utilization  90.4% > 90%")
    assert second.endswith("firing   -> inactive  system.cpu.utilization  0.4%")


def test_thresholds_are_tried_where_they_are_asked_for(perfconsole, kept):
    def rules(*more):
        ran = perfconsole("alerts", "backtest", "--samples", str(kept), "--json", *more)
        return {one["rule"] for one in json.loads(ran.out)["transitions"]}

    assert rules() == {"service-down"}
    assert rules("--thresholds") == {"service-down", "busy"}
    assert rules("--rule", "busy") == {"busy"}
    assert rules("--rule", "busy", "--rule", "service-down") == {"service-down", "busy"}


def test_csv_with_rfc3339_json_lines_and_pipes_come_to_the_same(environment, kept, tmp_path):
    rows = [line.split(",") for line in samples().splitlines()[1:]]
    objects = [
        {"t": int(at), "metric": metric, "labels": {"service": service, "endpoint": endpoint}, "value": float(value)}
        for at, metric, endpoint, service, value in rows
    ]
    told = "\n".join(f"2026-02-02T02:{40 + (int(row[0]) - T) // 60}:{(int(row[0]) - T) % 60:02}Z,{','.join(row[1:])}" for row in rows)
    for given in (samples(), HEADER + "\n" + told, "\n".join(map(json.dumps, objects))):
        done = subprocess.run(
            [sys.executable, "-m", "perfconsole", "alerts", "backtest", "--samples", "-", "--json"], input=given.encode(),
            env=environment, cwd=tmp_path, capture_output=True, timeout=120, check=True,
        )  # fmt: skip
        assert turns(json.loads(done.stdout)) == OUTAGE


def test_a_recording_is_tried(perfconsole, config_file, tmp_path):
    config_file('[alerts]\ndefaults = false\n[[alert]]\nname = "on"\nseverity = "info"\nmetric = "system.memory.utilization"\nabove = 0\n'
                'for = "2s"\n')  # fmt: skip
    assert perfconsole("record", "now.rec", "--for", "4s").code == 0
    ran = perfconsole("alerts", "backtest", "--samples", "now.rec", "--json")
    document = json.loads(ran.out)
    assert [(one["from"], one["to"]) for one in document["transitions"]] == [("inactive", "pending"), ("pending", "firing")]
    assert document["warnings"] == []
    (tmp_path / "ring").mkdir()
    (tmp_path / "now.rec").rename(tmp_path / "ring" / "1.pcr")
    again = json.loads(perfconsole("alerts", "backtest", "--samples", "ring", "--json").out)
    assert again["transitions"] == document["transitions"]
    with (tmp_path / "ring" / "1.pcr").open("rb") as piped:
        done = subprocess.run(
            [sys.executable, "-m", "perfconsole", "alerts", "backtest", "--samples", "-"],
            stdin=piped, capture_output=True, timeout=120, check=False, env={**os.environ, "HOME": str(tmp_path)}, cwd=tmp_path,
        )  # fmt: skip
    assert (done.returncode, done.stderr.count(b"\n")) == (64, 1)
    assert b"standard input: found a recording: name its file" in done.stderr


def test_what_cannot_be_read_is_one_line_and_64(perfconsole, kept, tmp_path):
    for text, expected in (
        (samples() + f"{T},httpcheck.up,web,shop,1\n", "week.csv:122: found a time before that of line 121"),
        (samples() + "later,httpcheck.up,web,shop,1\n", 'week.csv:122: found the time "later": expected RFC 3339'),
        (samples() + f"{T + 500},httpcheck.up,web,shop,down\n", 'week.csv:122: found the value "down": expected a number'),
        ("when,what\n", 'week.csv:1: found "when,what": expected the header time,metric,<label>...,value'),
    ):
        kept.write_text(text)
        for more in ((), ("--json",)):
            ran = perfconsole("alerts", "backtest", "--samples", "week.csv", *more)
            assert (ran.code, ran.out, ran.err.count("\n")) == (64, "", 1)
            assert ran.err.startswith(f"perfconsole: {expected}")
    for args, expected in (
        (["--samples", "nothing.csv"], "--samples: cannot read nothing.csv: no such file or directory"),
        (["--samples", "week.csv", "--rule", "servicedown"], '--rule: no rule is called "servicedown": did you mean "service-down"?'),
        (["--samples", "week.csv", "--rule", "off"], "--rule: off is not in force: it says enabled = false"),
    ):
        ran = perfconsole("alerts", "backtest", *args)
        assert (ran.code, ran.out, ran.err) == (64, "", f"perfconsole: {ran.err[13:]}")
        assert expected in ran.err
    (tmp_path / "old.rec").write_bytes(b"\x93perfrec\xff\xff" + bytes(26))
    ran = perfconsole("alerts", "backtest", "--samples", "old.rec")
    assert (ran.code, ran.err.count("\n")) == (3, 1)


def test_no_rule_to_try_is_said(perfconsole, config_file, kept):
    config_file("[alerts]\ndefaults = false\n")
    ran = perfconsole("alerts", "backtest", "--samples", str(kept))
    assert ran.code == 0
    assert "? no rule was tried: there is none, or only thresholds, which --thresholds tries" in ran.out


def test_ascii_where_the_locale_has_no_more(perfconsole, kept):
    ran = perfconsole("alerts", "backtest", "--samples", str(kept), LANG="C", LC_ALL="C")
    assert ran.out.isascii()
    assert "X CRIT  service-down  pending  -> firing" in ran.out


def test_a_reader_that_has_seen_enough_is_no_error(environment, kept):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run([sys.executable, "-m", "perfconsole", "alerts", "backtest", "--samples", kept, "--json"], env=environment,
                              stdout=pipe, stderr=subprocess.PIPE, timeout=120, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")


# The rules ------------------------------------------------------------------------------------------------------------------------


def test_the_rules_for_people(perfconsole, config_file):
    path = config_file(RULES)
    ran = perfconsole("alerts", "rules")
    assert (ran.code, ran.err) == (0, "")
    heading, *rows = [line.split("  ") for line in ran.out.splitlines()]
    assert [cell.strip() for cell in heading if cell] == ["NAME", "SEVERITY", "KIND", "SERIES", "BREACHED", "FOR", "KEPT", "WRITTEN"]
    assert [[cell.strip() for cell in row if cell] for row in rows[:3]] == [
        ["service-down", "critical", "alert", "httpcheck.up{endpoint=*,service=*}", "< 0.5", "1m", "20s", f"{path}:5"],
        ["slow", "warning", "alert", "httpcheck.duration{endpoint=*,service=*}", "p50 over 1m > 500ms, until <= 250ms", "2m", "0s",
         f"{path}:13"],
        ["busy", "warning", "threshold", "system.cpu.utilization", "> 0.5%", "0s", "0s", f"{path}:33"],
    ]  # fmt: skip
    assert "2 alerts, 1 threshold" in ran.out


def test_the_rules_for_programs(perfconsole, config_file):
    path = config_file(RULES)
    document = json.loads(perfconsole("alerts", "rules", "--json").out)
    assert document["schema"] == "perfconsole.rules/1"
    assert [rule["name"] for rule in document["rules"]] == ["service-down", "slow", "busy"]
    assert document["rules"][1] == {
        "name": "slow", "severity": "warning", "kind": "alert", "metric": "httpcheck.duration", "unit": "s", "per_second": False,
        "match": {"endpoint": "*", "service": "*"}, "stat": "p50", "over_s": 60.0, "limit": 0.5, "above": True, "for_s": 120.0,
        "only": [], "clear": 0.25, "keep_firing_for_s": 0.0, "max_gap_s": None, "min_samples": 1, "min_events": 0, "no_data": "keep",
        "depends_on": [], "respond_within_s": 3600.0, "runbook": None, "notify": [], "source": f"{path}:13",
    }  # fmt: skip


def test_shipped_rules_say_that_they_are(perfconsole):
    document = json.loads(perfconsole("alerts", "rules", "--json").out)
    assert {rule["source"] for rule in document["rules"]} == {"shipped"}
    assert {"cpu-warning", "endpoint-down"} <= {rule["name"] for rule in document["rules"]}


def test_a_wrong_configuration_is_64(perfconsole, config_file):
    config_file(RULES.replace('for = "2m"', 'for = "2 moons"'))
    for verb in (["rules"], ["backtest", "--samples", "-"]):
        ran = perfconsole("alerts", *verb)
        assert (ran.code, ran.out, ran.err.count("\n")) == (64, "", 1)
        assert 'config.toml:21: alert[2].for: found "2 moons"' in ran.err


# Size -----------------------------------------------------------------------------------------------------------------------------


_MEASURED = """
import atexit, os, re, sys
from pathlib import Path
peak = lambda: re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
atexit.register(lambda: print(sum(os.times()[:2]), peak(), file=sys.stderr))
from perfconsole.__main__ import main
sys.exit(main())
"""


def cost(environment, path):
    """CPU seconds and peak memory (KiB) of one run over a file, by its own account: rusage would count the memory of this process."""
    command = [sys.executable, "-c", _MEASURED, "alerts", "backtest", "--samples", path, "--json"]
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True, timeout=300)
    cpu_s, peak_kib = done.stderr.split()
    return float(cpu_s), int(peak_kib)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured as Linux tells it")
def test_a_million_samples(environment, kept, tmp_path, capsys):
    """In seconds, of the processor, because others are at work here too; and no more memory than a tenth of them takes."""

    def write(name, moments):
        path = tmp_path / name
        with path.open("w") as file:
            file.write(HEADER + "\n")
            for number in range(moments):
                at, value = T + number * 10, 0.9 if number // 100 % 5 == 0 else 0.1
                file.writelines(f"{at},httpcheck.duration,web{endpoint},shop,{value}\n" for endpoint in range(20))
        return path

    _, few_kib = cost(environment, write("tenth.csv", 5_000))
    cpu_s, many_kib = cost(environment, write("million.csv", 50_000))
    with capsys.disabled():
        print(f"\n  a backtest of 1,000,000 samples: {cpu_s:.1f} s of CPU, {many_kib / 1024:.0f} MiB; of 100,000: {few_kib / 1024:.0f} MiB")
    assert cpu_s < 100  # 6 on a quiet machine; what is not linear in them takes hours
    assert many_kib < few_kib + 12 * 1024  # what is held before the temporary file is on a disk
