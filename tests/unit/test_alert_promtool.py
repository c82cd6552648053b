"""Plain rules are Prometheus rules: of the same gapless series, `promtool test rules` finds the same alerts at every evaluation.

Plain is what both have: the last sample, read once a step, no `keep_firing_for`. Between two evaluations Prometheus sees nothing, and an
alert here may fire in between, and be over again: at the evaluations themselves they agree.
"""

import json
import shutil
import subprocess
from random import Random

import pytest

from perfconsole.core.alerts import AlertStage
from perfconsole.core.tick import Group, Reading, Rule, SeriesDef, Tick

PROMTOOL = shutil.which("promtool")
pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (it comes with the package prometheus)")

WALL = 1.7e9
STEP_S = 15
STEPS = 60
METRICS = ("system.load.1m", "system.load.5m", "system.load.15m", "system.tcp.established", "process.count", "httpcheck.duration")
FORS_S = (0, 1, 15, 20, 30, 45, 60, 100, 300)
LIMIT = 1.0


def prometheus_name(metric):
    return metric.replace(".", "_")


def some_rules():
    """Each duration above and below, at each metric."""
    for metric in METRICS:
        for for_s in FORS_S:
            for above in (True, False):
                name = f"{prometheus_name(metric)}_{'above' if above else 'below'}_{for_s}"
                yield Rule(name, "critical", metric, LIMIT, above=above, for_s=float(for_s), colour=False)


def some_series(random):
    """Values around the limit, the limit itself among them, in moods that last."""
    out = {}
    for metric in METRICS:
        sticks, value, values = random.choice((0.5, 0.8, 0.95)), 0.5, []
        for _ in range(STEPS):
            if random.random() > sticks:
                value = random.choice((0.0, 0.5, 0.999, 1.0, 1.001, 2.0))
            values.append(value)
        out[metric] = values
    return out


def standing(rules, series):
    """The states of the stage after each sample: for every step, which rules are pending and which fire."""
    stage, states, out = AlertStage(rules), {}, []
    groups = [Group(1, "c", "host", float(STEP_S), tuple(SeriesDef(metric) for metric in series))]
    for step in range(STEPS):
        boot = float(step * STEP_S)
        reading = Reading(1, WALL + boot, [values[step] for values in series.values()])
        for alert in stage.step(Tick(step, WALL + boot, boot, groups=groups, readings=[reading])):
            states[alert.rule] = alert.state
        out.append({rule: state for rule, state in states.items() if state in ("pending", "firing")})
        groups = []
    return out


def expected_by(rules, states):
    """The alerts that promtool is to find at every step, and what ALERTS has of those that are pending. YAML is JSON."""
    alerts, pending = [], []
    for step, standing_now in enumerate(states):
        moment = f"{step * STEP_S}s"
        for rule in rules:
            labels = {"severity": rule.severity}
            fires = [{"exp_labels": labels}] if standing_now.get(rule.name) == "firing" else []
            alerts.append({"eval_time": moment, "alertname": rule.name, "exp_alerts": fires})
        samples = [
            {"labels": f'ALERTS{{alertname="{name}",alertstate="pending",severity="critical"}}', "value": 1}
            for name, state in standing_now.items()
            if state == "pending"
        ]
        pending.append({"expr": 'ALERTS{alertstate="pending"}', "eval_time": moment, "exp_samples": samples})
    return alerts, pending


def promtool(directory, rules, series, states):
    alerts, pending = expected_by(rules, states)
    comparison = {True: ">", False: "<"}
    written = [
        {
            "alert": rule.name,
            "expr": f"{prometheus_name(rule.metric)} {comparison[rule.above]} {rule.limit}",
            "for": f"{rule.for_s:.0f}s",
            "labels": {"severity": rule.severity},
        }
        for rule in rules
    ]
    (directory / "rules.yml").write_text(json.dumps({"groups": [{"name": "plain", "interval": f"{STEP_S}s", "rules": written}]}))
    inputs = [{"series": prometheus_name(metric), "values": " ".join(map(str, values))} for metric, values in series.items()]
    test = {"interval": f"{STEP_S}s", "input_series": inputs, "alert_rule_test": alerts, "promql_expr_test": pending}
    (directory / "test.yml").write_text(json.dumps({"rule_files": ["rules.yml"], "evaluation_interval": f"{STEP_S}s", "tests": [test]}))
    return subprocess.run([PROMTOOL, "test", "rules", "test.yml"], cwd=directory, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("seed", range(5))
def test_prometheus_finds_the_same_alerts(tmp_path, seed):
    rules, series = list(some_rules()), some_series(Random(seed))
    states = standing(rules, series)
    ran = promtool(tmp_path, rules, series, states)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert sum(state == "firing" for now in states for state in now.values()) > 500
    assert sum(state == "pending" for now in states for state in now.values()) > 100


@pytest.mark.parametrize("change", [{"firing": "pending"}, {"pending": "firing"}])
def test_promtool_would_have_told_of_one_that_differs(tmp_path, change):
    rules, series = list(some_rules()), some_series(Random(1))
    states = standing(rules, series)
    ((was, other),) = change.items()
    now, name = next((now, name) for now in reversed(states) for name, state in now.items() if state == was)
    now[name] = other
    ran = promtool(tmp_path, rules, series, states)
    assert ran.returncode != 0
    assert name in ran.stdout + ran.stderr
