"""Endpoints on the command line: `snapshot` and `doctor` with them, against a server with every fault."""

import base64
import json
import shutil
import tempfile
from pathlib import Path

import pytest
from misbehaving import Lab

from perfconsole.core.endpoints import EndpointTable
from perfconsole.sources.segments import index, ticks

SECRET = "hunter2hunter2"


@pytest.fixture(scope="module")
def lab():
    place = Path(tempfile.mkdtemp(prefix="perfconsole-cli-"))  # short: the path of a unix socket has at most 107 bytes
    try:
        with Lab(place) as lab:
            yield lab
    finally:
        shutil.rmtree(place, ignore_errors=True)


def http(name, url, keys=""):
    return f'[[http]]\nname = "{name}"\nurl = "{url}"\n{keys}\n'


def endpoints(ran):
    return {row["name"]: row for row in json.loads(ran.out)["endpoints"]}


def test_a_url_is_enough(perfconsole, lab):
    ran = perfconsole("snapshot", "--url", lab.url("/ok"), "--json")
    assert (ran.code, ran.err) == (0, "")
    (row,) = json.loads(ran.out)["endpoints"]
    assert (row["state"], row["status"], row["class"], row["http_version"], row["bytes"]) == ("up", 200, None, "1.1", 2)
    assert (row["n"], row["checks"], row["failed"], row["error_ratio"]) == (1, 1, 0, 0.0)
    assert row["p50_s"] is None  # of one check there is none
    assert 0 < row["last_s"] < 5
    assert row["kind"] == "http"
    assert row["service"] == "127.0.0.1"
    metrics = {(metric["name"], *metric["labels"].values()): metric["value"] for metric in json.loads(ran.out)["metrics"]}
    assert metrics["httpcheck.up",] == metrics["httpcheck.up", "127.0.0.1"] == metrics["httpcheck.up", row["name"], "127.0.0.1"] == 1


def test_every_state_is_told_as_what_it_is(perfconsole, lab, config_file):
    config_file(
        http("well", lab.url("/ok"), 'group = "shop"')
        + http("hangs", lab.url("/hang"), 'timeout = "300ms"')
        + http("broken", lab.url("/status/503"))
        + http("wrong", lab.url("/json"), """expect = { json = '$.status == "DOWN"' }""")
        + http("ours", lab.url("/ok?token=${NOT_SET}"))
        + http("child", lab.url("/status/500"), 'depends_on = ["http:gate"]')
        + '[[tcp]]\nname = "gate"\naddress = "127.0.0.1:1"\n[[dns]]\nname = "resolver"\nquery = "localhost"\n'
    )
    ran = perfconsole("snapshot", "--json")
    found = endpoints(ran)
    assert ran.code == 3  # one could not be measured
    assert {name: (row["state"], row["class"]) for name, row in found.items()} == {
        "well": ("up", None), "hangs": ("failing", "timeout"), "broken": ("failing", "status"), "wrong": ("failing", "assertion"),
        "ours": ("unknown", "unmeasured"), "child": ("suppressed", "status"), "gate": ("failing", "connect"), "resolver": ("up", None),
    }  # fmt: skip
    assert found["hangs"]["at_least"]
    assert 0.2 < found["hangs"]["last_s"] < 3  # what was spent between the phases is not the endpoint's
    assert found["gate"]["last_s"] is None  # a refusal is no quick answer
    assert found["child"]["blocked_by"] == "http:gate"
    assert found["ours"]["availability"] is None
    (source,) = [source for source in json.loads(ran.out)["sources"] if source["name"] == "http:ours"]
    assert (source["state"], source["error"]) == ("error", "${NOT_SET} is not set in the environment")
    assert source["fix"] == "export NOT_SET before perfconsole is started"
    text = perfconsole("snapshot").out
    assert "HTTP     failing   503" in text
    assert "TCP      failing   connect: connection refused by 127.0.0.1:1  gate:  127.0.0.1:1" in text
    assert "HTTP     suppressed" in text


@pytest.mark.parametrize(
    ("path", "args", "code"),
    [("/ok", ("--fail-on", "warning"), 0), ("/status/503", ("--fail-on", "critical"), 2), ("/status/503", ("--fail-on", "warning"), 2),
     ("/status/503", (), 0)],
)  # fmt: skip
def test_what_fails_its_check_is_down_to_a_script_that_asks(perfconsole, lab, path, args, code):
    """As with `probe`; an alert would have to last for a minute first."""
    assert perfconsole("snapshot", "--url", lab.url(path), *args).code == code


def test_a_refused_connection_is_down_to_a_script_that_asks(perfconsole, config_file):
    assert perfconsole("snapshot", "--url", "http://127.0.0.1:1/", "--fail-on", "critical").code == 2
    window = '{ begin = "2020-01-01T00:00", end = "2099-01-01T00:00" }'
    config_file(f'[[tcp]]\nname = "gate"\naddress = "127.0.0.1:1"\nmaintenance = [{window}]\n')
    assert perfconsole("snapshot", "--fail-on", "warning").code == 0  # in maintenance it counts for nothing


def test_an_endpoint_is_told_with_what_it_belongs_to_and_its_service(perfconsole, lab, config_file):
    keys = 'group = "shop"\nlabels = { team = "a=b c", tier = "1" }\nunit = "shop.service"\ninterval = "7s"'
    hanging = http("b", lab.url("/hang"), 'group = "shop"\ntimeout = "300ms"')
    config_file(http("a", lab.url("/ok?1"), keys) + hanging + http("c", lab.url("/ok?2")))
    ran = perfconsole("snapshot", "--json")
    row = endpoints(ran)["a"]
    assert (row["group"], row["labels"], row["unit"], row["database"], row["interval_s"]) == (
        "shop", {"team": "a=b c", "tier": "1"}, "shop.service", None, 7,
    )  # fmt: skip
    hung = endpoints(ran)["b"]
    assert (hung["failures"], hung["bound_s"]) == ({"timeout": 1}, hung["last_s"])
    assert (row["failures"], row["bound_s"], endpoints(ran)["c"]["group"]) == ({}, None, None)
    alone, shop = json.loads(ran.out)["services"]
    assert (alone["name"], alone["endpoints"], alone["checks"], alone["failed"]) == ("127.0.0.1", 1, 1, 0)
    assert (shop["name"], shop["endpoints"], shop["checks"], shop["failed"], shop["n"]) == ("shop", 2, 2, 1, 2)
    assert (shop["bound_s"], shop["availability"]) == (hung["bound_s"], pytest.approx((1 + hung["availability"]) / 2))


def test_certificates_are_told(perfconsole, lab, config_file):
    config_file(
        http("good", lab.url("/ok", "good"), f'tls = {{ ca = "{lab.authority.root.cert}" }}')
        + http("expired", lab.url("/ok", "expired"), f'tls = {{ ca = "{lab.authority.root.cert}" }}')
    )
    found = endpoints(perfconsole("snapshot", "--json"))
    assert (found["good"]["verified"], found["expired"]["verified"]) == (True, False)
    assert found["good"]["not_after"] > found["expired"]["not_after"]
    assert found["expired"]["class"] == "tls"


def test_nothing_secret_is_printed(perfconsole, lab, config_file):
    path = config_file(
        http("query", lab.url("/status/500?token=${SECRET}"))
        + http("header", lab.url("/echo"), 'headers = { Authorization = "Bearer ${SECRET}" }\nexpect = { not_body = "Bearer" }')
        + http("who", lab.url("/status/404").replace("://", "://me:${SECRET}@"))
        + http("literal", lab.url(f"/ok?token={SECRET}"))
    )
    path.chmod(0o600)
    for args in (("snapshot", "--json"), ("snapshot",), ("doctor", "--json"), ("config", "show")):
        ran = perfconsole(*args, SECRET=SECRET)
        assert SECRET not in ran.out + ran.err, args
    path.chmod(0o644)
    ran = perfconsole("snapshot")
    assert ran.code == 64
    assert "a secret stands in it, and others can read this file" in ran.err
    assert SECRET not in ran.err


def test_a_recording_holds_no_secret(perfconsole, lab, config_file, tmp_path):
    """Not in rows, errors, events or labels, though servers send it back and redirect with it."""
    keys = 'interval = "1s"\nfailures = 1\n'
    config_file(
        http("query", lab.url("/status/500?token=${SECRET}"), keys)
        + http("header", lab.url("/echo"), keys + "headers = { X-Api-Key = \"${SECRET}\" }\nexpect = { json = '$.headers len 1' }")
        + http("who", lab.url("/status/404").replace("://", "://me:${SECRET}@"), keys)
        + http("bearer", lab.url("/auth?bearer=other"), keys + 'auth = { bearer = "${SECRET}" }')
        + http("body", lab.url("/echo"), keys + 'method = "POST"\nbody = "key=${SECRET}"\nexpect = { json = \'$.body == "x"\' }')
        + http("lost", "http://${SECRET}.invalid/", keys)
        + http("led", lab.url("/redirect?n=-1&secret=${SECRET}"), keys + "redirects = 2")
    )
    path = tmp_path / "night.rec"
    ran = perfconsole("record", str(path), "--for", "5s", SECRET=SECRET)
    assert ran.code in {0, 3}, ran.err  # something of a test's machine may not be readable
    told = [tick for place in index(path) for tick in ticks(place)]
    rows = {row.name: row for tick in told for table in tick.tables if isinstance(table, EndpointTable) for row in table.rows}
    assert {name: row.cause for name, row in rows.items()} == {
        "query": "status", "header": "assertion", "who": "status", "bearer": "status", "body": "assertion", "lost": "dns",
        "led": "protocol",
    }  # fmt: skip
    assert {event.scope for tick in told for event in tick.events if event.kind == "endpoint"} == rows.keys()
    texts = "".join(map(repr, told)) + ran.out + ran.err
    shapes = {SECRET, base64.b64encode(f"me:{SECRET}".encode()).decode(), SECRET[:10]}
    assert {shape for shape in shapes if shape in texts} == set()


def test_the_command_line_holds_no_secret(perfconsole):
    ran = perfconsole("snapshot", "--url", f"http://me:{SECRET}@127.0.0.1:1/")
    assert ran.code == 64
    assert SECRET not in ran.err
    assert "can be read by every user of this machine" in ran.err


def test_two_of_one_name_are_told_apart_and_the_same_twice_is_refused(perfconsole, config_file):
    config_file(http("127.0.0.1:1/x", "http://127.0.0.1:1/y"))
    ran = perfconsole("snapshot", "--json", "--url", "http://127.0.0.1:1/x", "--url", "http://127.0.0.1:1/x?page=2")
    assert set(endpoints(ran)) == {"127.0.0.1:1/x", "http://127.0.0.1:1/x", "http://127.0.0.1:1/x?page=2"}
    ran = perfconsole("snapshot", "--url", "http://127.0.0.1:1/x", "--url", "http://127.0.0.1:1/x")
    assert (ran.code, ran.out) == (64, "")
    assert "two endpoints would be called 'http://127.0.0.1:1/x'" in ran.err


def test_of_many_the_text_lists_those_that_ask_for_a_look(perfconsole, lab, config_file):
    config_file("".join(http(f"e{number}", lab.url(f"/ok?{number}")) for number in range(70)) + http("broken", lab.url("/status/503")))
    ran = perfconsole("snapshot")
    lines = [line for line in ran.out.splitlines() if line.startswith("HTTP")]
    assert (ran.code, len(lines)) == (0, 20)
    assert "broken:" in lines[0]
    assert "         and 51 more: 51 up" in ran.out.splitlines()


def test_doctor_checks_each_once(perfconsole, lab, config_file):
    config_file(
        http("well", lab.url("/ok"))
        + http("broken", lab.url("/status/503"))
        + http("ours", lab.url("/ok"), 'tls = { ca = "/nowhere.pem" }').replace("http://", "https://")
    )
    lab.forget()
    ran = perfconsole("doctor", "--json")
    assert ran.code == 0
    found = {check["name"]: check for check in json.loads(ran.out)["checks"] if check["area"] == "endpoints"}
    assert list(found) == ["latencies", "well", "broken", "ours"]
    assert found["well"]["state"] == "ok"
    assert found["well"]["found"].startswith("up, 200 in ")
    assert found["broken"]["state"] == "limited"
    assert "status 503" in found["broken"]["found"]
    assert found["ours"]["state"] == "error"
    assert "/nowhere.pem cannot be read" in found["ours"]["found"]
    assert lab.counts["/ok"] == lab.counts["/status/503"] == 1


def test_doctor_tells_of_many_only_what_is_wrong(perfconsole, lab, config_file):
    config_file("".join(http(f"e{number}", lab.url(f"/ok?{number}")) for number in range(60)) + http("broken", lab.url("/status/503")))
    found = [check for check in json.loads(perfconsole("doctor", "--json").out)["checks"] if check["area"] == "endpoints"]
    assert [(check["name"], check["state"]) for check in found] == [("latencies", "ok"), ("all", "ok"), ("broken", "limited")]
    assert found[1]["found"] == "60 of 61 are as expected"


def test_an_option_that_a_command_has_no_use_for_is_a_mistake(perfconsole):
    for args in (("--url", "http://127.0.0.1:1/", "queries"), ("--url", "http://127.0.0.1:1/", "themes"), ("--dsn", "host=x", "keys")):
        ran = perfconsole(*args)
        assert (ran.code, ran.out) == (64, "")
        assert f"{args[0]} is for the console, `{args[2]}` does not take it" in ran.err


def test_thresholds_agree_with_the_states(perfconsole, lab, config_file):
    """One failure is no outage yet; what fails by the fault of another does not count."""
    config_file(
        http("once", lab.url("/status/503"))
        + http("down", lab.url("/status/500"), "failures = 1")
        + http("child", lab.url("/status/502"), 'depends_on = ["http:gate"]')
        + '[[tcp]]\nname = "gate"\naddress = "127.0.0.1:1"\nfailures = 1\n'
    )
    ran = perfconsole("snapshot")
    assert "▲ WARN  once has failed a check (status)  (endpoint-down)" in ran.out
    assert "■ CRIT  down is down (status)  (endpoint-down)" in ran.out
    assert "child is down" not in ran.out
    thresholds = json.loads(perfconsole("snapshot", "--json").out)["thresholds"]
    found = {one["labels"]["endpoint"]: one["severity"] for one in thresholds if one["name"] == "endpoint-down"}
    assert found == {"once": "warning", "down": "critical", "gate": "critical"}
