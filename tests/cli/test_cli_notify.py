"""``perfconsole notify`` as it is typed: who is told, and a channel that is tried against a real server."""

import json
import os
import sys

import pytest
from receivers import Receiver


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def configured(config_file, receiver):
    path = config_file(f"""
[alerts]
defaults = false
notify = ["ops"]
[[notify]]
name = "ops"
type = "webhook"
url = "{receiver.url}/hook?key=${{HOOK_KEY}}"
headers = {{ Authorization = "Bearer ${{HOOK_TOKEN}}" }}
[[notify]]
name = "pager"
type = "hook"
command = ["{sys.executable}", "-c", "import json, sys; print(json.load(sys.stdin)['test'])"]
severities = ["critical"]
resolved = false
[[alert]]
name = "busy"
severity = "warning"
metric = "system.load.1m"
above = 1
for = "1m"
[[alert]]
name = "full"
severity = "critical"
metric = "system.memory.utilization"
above = "90%"
for = "1m"
notify = ["ops", "pager"]
[[alert]]
name = "low"
severity = "info"
metric = "system.load.5m"
above = 1
for = "1m"
""")
    path.chmod(0o600)


SECRETS = {"HOOK_KEY": "hush-key", "HOOK_TOKEN": "hush-token"}


def test_the_list(perfconsole, configured):
    ran = perfconsole("notify", "list")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "NAME   TYPE     SEVERITIES        RESOLVED  IS TOLD OF",
        "ops    webhook  critical warning  yes       2 rules: busy full",
        "pager  hook     critical          no        1 rule: full",
    ]


def test_the_list_for_programs(perfconsole, configured):
    told = json.loads(perfconsole("notify", "list", "--json").out)
    assert told["schema"] == "perfconsole.notify/1"
    assert told["channels"][1] == {
        "name": "pager", "type": "hook", "severities": ["critical"], "resolved": False, "timeout_s": 10.0, "rules": ["full"],
    }  # fmt: skip


def test_a_bare_console_notifies_nobody(perfconsole):
    ran = perfconsole("notify", "list")
    assert ran.out == "nobody is told of alerts: [[notify]] makes a channel, [alerts] notify names those that are told\n"


def test_a_channel_that_nobody_names_is_told_by_whoever_checks_the_configuration(perfconsole, config_file):
    path = config_file('[[notify]]\nname = "ops"\ntype = "hook"\ncommand = ["/bin/true"]\n')
    path.chmod(0o600)
    checked = perfconsole("config", "check", str(path))
    assert checked.code == 0
    assert '[[notify]] "ops" is told of nothing: neither [alerts] notify nor an [[alert]] names it' in checked.err
    assert "no faults" in checked.out


def test_a_channel_is_tried(perfconsole, configured, receiver):
    ran = perfconsole("notify", "test", "ops", **SECRETS)
    assert (ran.code, ran.err) == (0, "")
    request, body = ran.out.split("\n\n")[:2]
    assert request.splitlines()[0] == f"POST {receiver.url}/hook?key=${{HOOK_KEY}}"
    assert "Authorization: Bearer ${HOOK_TOKEN}" in request
    assert ran.out.endswith("\n\ntaken: 200 ok\n")
    assert "hush" not in ran.out
    (got,) = receiver.requests
    assert got.json == json.loads(body)
    assert got.path == "/hook?key=hush-key"
    assert got.headers["Authorization"] == "Bearer hush-token"
    assert got.headers["Idempotency-Key"] in request
    assert got.json["alerts"][0]["labels"] == {"alertname": "perfconsole-test", "severity": "warning", "host": os.uname().nodename}
    assert got.json["alerts"][0]["annotations"]["summary"] == "this tries the channel, nothing is wrong"


def test_nothing_is_sent_when_it_is_dry(perfconsole, configured, receiver):
    ran = perfconsole("notify", "test", "ops", "--dry-run")
    assert (ran.code, ran.err, receiver.requests) == (0, "", [])
    assert ran.out.endswith("\n\nnot sent: --dry-run\n")


def test_what_is_not_taken_is_told(perfconsole, configured, receiver):
    receiver.status, receiver.text = 403, "bad hush-token"
    ran = perfconsole("notify", "test", "ops", **SECRETS)
    assert ran.code == 3
    assert ran.err == "perfconsole: ops was not told: answered 403 bad ***\n"
    ran = perfconsole("notify", "test", "ops")
    assert (ran.code, ran.err.startswith("perfconsole: ops was not told: ${HOOK_")) == (3, True)


def test_for_programs(perfconsole, configured, receiver):
    told = json.loads(perfconsole("notify", "test", "ops", "--json", **SECRETS).out)
    assert (told["schema"], told["channel"], told["sent"], told["answer"], told["error"]) == (
        "perfconsole.notify/1", "ops", True, "200 ok", None,
    )  # fmt: skip
    receiver.status = 500
    ran = perfconsole("notify", "test", "ops", "--json", **SECRETS)
    assert (ran.code, json.loads(ran.out)["error"]) == (3, "answered 500 ok")


def test_a_hook_is_tried(perfconsole, configured):
    ran = perfconsole("notify", "test", "pager")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith("\n\ntaken: exit status 0: True\n")


@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--json",)])
def test_a_channel_that_cannot_be_made_is_told_at_once(perfconsole, config_file, tmp_path, more):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['apprise'] = None\n")  # as where it is not installed
    config_file('[[notify]]\nname = "others"\ntype = "apprise"\nurls = "${URL}"\n')
    ran = perfconsole("notify", "test", "others", *more, PYTHONPATH=f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    assert (ran.code, ran.out) == (64, "")
    assert ran.err == "perfconsole: [[notify]] others: apprise is not installed: pip install 'perfconsole[apprise]'\n"


def test_no_such_channel(perfconsole, configured):
    ran = perfconsole("notify", "test", "opz")
    assert (ran.code, ran.err) == (64, 'perfconsole: no channel is called "opz": did you mean "ops"?\n')
    assert perfconsole("notify").code == 64


def test_there_are_none(perfconsole):
    ran = perfconsole("notify", "test", "ops")
    assert (ran.code, ran.err) == (64, 'perfconsole: no channel is called "ops": there are none: [[notify]] makes one\n')
