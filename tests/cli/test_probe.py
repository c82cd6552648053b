"""`perfconsole probe` as it is typed, against a server with every fault: what it says, where, and its exit code."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from laps import Fake, check, run
from misbehaving import Lab

from perfconsole.cli import probe
from perfconsole.collectors.http.checking import checker

SECRET = "hunter2hunter2"
PHASES = ["dns_s", "connect_s", "tls_s", "send_s", "wait_s", "transfer_s"]


@pytest.fixture(scope="module")
def _lab():
    place = Path(tempfile.mkdtemp(prefix="perfconsole-probe-"))  # short: the path of a unix socket has at most 107 bytes
    try:
        with Lab(place) as lab:
            yield lab
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def lab(_lab):
    _lab.forget()
    return _lab


def http(name, url, keys=""):
    return f'[[http]]\nname = "{name}"\nurl = "{url}"\n{keys}\n'


def trusted(lab):
    return f'tls = {{ ca = "{lab.ca}" }}'


def document(ran):
    return json.loads(ran.out)


# What is said ---------------------------------------------------------------------------------------------------------------------


def test_json_holds_what_the_contract_says(perfconsole, lab):
    ran = perfconsole("probe", lab.url("/slow?ms=20"), "--json")
    found = document(ran)
    assert (ran.code, ran.err) == (0, "")
    assert list(found) == [
        "schema", "generated_at", "host", "name", "url", "severity", "up", "class", "error", "status", "phases", "total_s", "at_least",
        "address", "http_version", "bytes", "doubt_s", "slot_wait_s", "late_s", "tls", "redirects", "assertions", "headers", "body",
        "warnings", "latency", "attempts",
    ]  # fmt: skip
    assert (found["schema"], found["host"], found["url"]) == ("perfconsole.probe/1", os.uname().nodename, lab.url("/slow?ms=20"))
    assert (found["up"], found["class"], found["error"], found["status"], found["severity"]) == (True, None, None, 200, "ok")
    assert (found["address"], found["http_version"], found["bytes"]) == (f"127.0.0.1:{lab.port()}", "1.1", 2)
    assert found["assertions"] == [{"expected": "status 200-399", "ok": True, "found": "status 200"}]
    assert (found["tls"], found["redirects"], found["warnings"], found["headers"], found["body"]) == (None, [], [], [], None)
    assert list(found["phases"]) == PHASES
    assert [found["phases"][phase] is None for phase in PHASES] == [True, False, True, False, False, False]  # an address, no TLS
    assert sum(filter(None, found["phases"].values())) == pytest.approx(found["total_s"])
    assert found["phases"]["wait_s"] >= 0.02
    assert found["latency"] == {
        "n": 1, "min_s": found["total_s"], "p50_s": None, "p90_s": None, "p95_s": None, "p99_s": None, "max_s": found["total_s"],
        "bound_s": None,
    }  # fmt: skip
    (attempt,) = found["attempts"]
    assert attempt.pop("at") <= found["generated_at"]
    assert attempt == {name: found[name] for name in attempt}


def test_text_reads_from_the_top(perfconsole, lab):
    ran = perfconsole("probe", lab.url("/ok"))
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0].startswith("● UP  200  ")
    assert lines[1] == f"  {lab.url('/ok')}"
    assert f"  address    127.0.0.1:{lab.port()}  HTTP/1.1  2B" in lines
    begin = lines.index("phases") + 1
    rows = [line.split() for line in lines[begin : begin + 7]]
    assert [row[0] for row in rows] == ["dns", "connect", "tls", "send", "wait", "transfer", "total"]
    assert [len(row) for row in rows] == [2, 3, 2, 3, 3, 3, 2]  # what was not entered has no bar
    assert rows[0][1] == rows[2][1] == "-"
    assert "  ● ok       status 200-399  found: status 200" in lines
    assert max(map(len, lines)) <= 80
    assert not any(char in ran.out for char in "\x1b\t")


def test_redirects_are_told_hop_by_hop(perfconsole, lab):
    ran = perfconsole("probe", lab.url("/redirect?n=2&ms=20"), "--json")
    hops = document(ran)["redirects"]
    assert [(hop["status"], hop["url"]) for hop in hops] == [
        (302, lab.url("/redirect?n=2&ms=20")), (302, lab.url("/redirect?n=1&ms=20")), (200, lab.url("/ok?ms=20"))
    ]  # fmt: skip
    assert all(hop["total_s"] >= 0.02 for hop in hops[:2])
    assert sum(hop["total_s"] for hop in hops) == pytest.approx(document(ran)["total_s"])
    text = perfconsole("probe", lab.url("/redirect?n=2")).out
    listed = text.partition("redirects\n")[2].splitlines()[:3]
    assert [(line.split()[0], line.split()[2]) for line in listed] == [
        ("302", lab.url("/redirect?n=2")), ("302", lab.url("/redirect?n=1")), ("200", lab.url("/ok"))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "cause", "says"),
    [("/status/503", "status", "status 503, expected status 200-399"), ("/close", "protocol", "closed the connection"),
     ("/garbage", "protocol", "no HTTP"), ("/redirect?n=-1", "protocol", "redirected more than 10 times"),
     ("/hang", "timeout", "timeout of 0.3 s while the answer was awaited")],
)  # fmt: skip
def test_down_is_2_and_says_why(perfconsole, lab, path, cause, says):
    args = ("probe", lab.url(path), "--timeout", "300ms" if cause == "timeout" else "30s")
    ran = perfconsole(*args, "--json")
    found = document(ran)
    assert (ran.code, ran.err, found["up"], found["class"], found["severity"]) == (2, "", False, cause, "critical")
    assert says in found["error"]
    text = perfconsole(*args)
    assert text.code == 2
    assert text.out.startswith(f"■ DOWN  {cause}  ")
    assert says in " ".join(text.out.split())


def test_a_refused_connection_and_a_port_that_speaks_no_tls_are_down(perfconsole, lab):
    ran = perfconsole("probe", "http://127.0.0.1:1/")
    assert (ran.code, ran.out.splitlines()[2]) == (2, "  connection refused by 127.0.0.1:1")
    ran = perfconsole("probe", lab.url("/ok", "not_tls"), "--json")
    assert (ran.code, document(ran)["class"], document(ran)["error"]) == (2, "tls", "this port does not speak TLS")


def test_a_timeout_is_at_least_what_it_lasted(perfconsole, lab):
    found = document(perfconsole("probe", lab.url("/hang"), "--timeout", "250ms", "--json"))
    assert found["at_least"]
    assert 0.1 < found["total_s"] == pytest.approx(sum(filter(None, found["phases"].values())))
    assert found["latency"]["max_s"] == found["total_s"]
    text = perfconsole("probe", lab.url("/hang"), "--timeout", "250ms").out
    assert text.startswith("■ DOWN  timeout  at least ")
    waited = next(line.split() for line in text.splitlines() if line.startswith("  wait"))
    assert waited[1].startswith(">=")


def test_a_failure_has_its_headers_and_the_start_of_its_body(perfconsole, lab):
    ran = perfconsole("probe", lab.url("/hostile"))
    assert "response headers\n  X-Bad: ␛[31mred\n" in ran.out
    assert "start of the body\n  ␛]0;owned␇␛[2Jsecond line\n" in ran.out
    assert not any(char in ran.out for char in "\x1b\x07\u202e")
    found = document(perfconsole("probe", lab.url("/hostile"), "--json"))
    assert found["headers"][0] == {"name": "X-Bad", "value": "␛[31mred"}
    assert "second line" in found["body"]


# Certificates ---------------------------------------------------------------------------------------------------------------------


def test_the_chain_is_told_with_names_and_days(perfconsole, lab, config_file):
    config_file(http("good", lab.url("/ok", "good"), trusted(lab)))
    ran = perfconsole("probe", "good", "--json")
    tls = document(ran)["tls"]
    assert (ran.code, tls["verified"], tls["error"]) == (0, True, None)
    assert [(one["subject"], one["issuer"]) for one in tls["chain"]] == [("CN=good", "CN=middle"), ("CN=middle", "CN=root")]
    assert "localhost" in tls["chain"][0]["names"]
    assert tls["not_after"] == min(one["not_after"] for one in tls["chain"])
    days = (datetime.fromisoformat(tls["not_after"]) - datetime.fromisoformat(document(ran)["generated_at"])).days
    assert days == 89
    text = perfconsole("probe", "good").out
    assert "  verdict    verified\n" in text
    assert "CN=good  ends in 89d\n" in text
    assert "for localhost, 127.0.0.1, 0:0:0:0:0:0:0:1  by CN=middle\n" in text


@pytest.mark.parametrize(
    ("listener", "says"),
    [
        ("expired", "expired 3 days ago"),
        ("future", "begins in 1d23h"),
        ("wrong_name", "CN=wrong_name"),
        ("self_signed", "by CN=self_signed"),
    ],
)
def test_a_certificate_that_was_not_accepted_is_told_all_the_same(perfconsole, lab, config_file, listener, says):
    config_file(http("it", lab.url("/ok", listener), trusted(lab)))
    ran = perfconsole("probe", "it")
    assert ran.code == 2
    assert ran.out.startswith("■ DOWN  tls  ")
    assert "  verdict    not verified\n" in ran.out
    assert says in ran.out
    tls = document(perfconsole("probe", "it", "--json"))["tls"]
    assert (tls["verified"], tls["chain"][0]["subject"]) == (False, f"CN={listener}")
    assert tls["error"]


OWN_RULE = """
[[alert]]
name = "mine"
severity = "critical"
metric = "httpcheck.tls.expiry"
below = "20d"
match = { endpoint = "n*", service = "*" }
"""


@pytest.mark.parametrize(
    ("rules", "code", "severity"), [("", 1, "warning"), ("[alerts]\ndefaults = false\n", 0, "ok"), (OWN_RULE, 2, "critical")]
)
def test_a_certificate_that_is_about_to_end_is_as_severe_as_the_threshold_in_force(perfconsole, lab, config_file, rules, code, severity):
    config_file(rules + http("near", lab.url("/ok", "near"), trusted(lab)))
    ran = perfconsole("probe", "near", "--json")
    assert (ran.code, document(ran)["up"], document(ran)["severity"]) == (code, True, severity)
    assert len(document(ran)["warnings"]) == (code > 0)
    text = perfconsole("probe", "near")
    assert text.code == code
    assert text.out.startswith("● UP  200  ")
    assert ("a certificate ends in 4d23h" in text.out) == (code > 0)


# What could not be measured, and what cannot be asked -----------------------------------------------------------------------------


def test_our_own_failure_is_3_and_unknown(perfconsole, lab, config_file):
    config_file(http("ca", lab.url("/ok", "good"), 'tls = { ca = "/nowhere.pem" }'))
    for args, says in (((lab.url("/ok?token=${NOT_SET}"),), "${NOT_SET} is not set"), (("ca",), "/nowhere.pem cannot be read")):
        ran = perfconsole("probe", *args, "--json")
        found = document(ran)
        assert (ran.code, found["up"], found["class"], found["severity"]) == (3, None, "unmeasured", "unknown")
        assert says in found["error"]
        text = perfconsole("probe", *args)
        assert (text.code, text.out.splitlines()[0]) == (3, "? NOT MEASURED")
    assert not lab.requests


@pytest.mark.parametrize(
    ("args", "says"),
    [(("http://127.0.0.1:1/", "--count", "0"), "--count: found 0: accepted: 1 to 1000"),
     (("http://127.0.0.1:1/", "--count", "1001"), "--count: found 1001"),
     (("http://127.0.0.1:1/", "--timeout", "5"), "--timeout: found '5': accepted: a duration such as 250ms"),
     (("http://127.0.0.1:1/", "--timeout", "2m"), "10ms to 1m"),
     (("127.0.0.1:1/x",), 'did you mean "http://127.0.0.1:1/x"?'),
     (("chekout",), 'or the endpoint "checkout"?'),
     (("",), "URL: found"),
     ((f"http://me:{SECRET}@127.0.0.1:1/",), "can be read by every user of this machine"),
     ((f"http://127.0.0.1:1/?token={SECRET}",), "can be read by every user of this machine"),
     ((f"ftp://me:{SECRET}@127.0.0.1/",), "accepted: http://"),
     ((f"https:/me:{SECRET}@127.0.0.1/",), 'found "***@127.0.0.1/", without'),
     ((f"http//me:and/{SECRET}@127.0.0.1",), 'found "***@127.0.0.1", without'),
     (("http://127.0.0.1:1/", f"http://me:{SECRET}@127.0.0.1:1/"), "unrecognized arguments: http://")],
)  # fmt: skip
def test_a_mistake_is_64_in_one_line_without_the_secret(perfconsole, config_file, args, says):
    config_file(http("checkout", "http://127.0.0.1:1/checkout"))
    ran = perfconsole("probe", *args)
    assert (ran.code, ran.out) == (64, "")
    assert says in ran.err
    assert ran.err.startswith("perfconsole: ")
    assert ran.err.count("\n") == 1
    assert SECRET not in ran.err


def test_a_wrong_configuration_is_64(perfconsole, config_file):
    path = config_file("[console]\nmouse = 3\n")
    ran = perfconsole("probe", "http://127.0.0.1:1/")
    assert ran.code == 64
    assert ran.err.startswith(f"perfconsole: {path}:2: console.mouse: found 3")


# Configured endpoints -------------------------------------------------------------------------------------------------------------


def test_a_configured_endpoint_is_probed_with_all_its_settings(perfconsole, lab, config_file):
    url = lab.url("/echo?one=1")
    sent = 'method = "POST"\nbody = "{}"\nheaders = { X-Api-Key = "${KEY}" }\nauth = { user = "me", password = "${KEY}" }\n'
    config_file(
        http("checkout", url, sent + """expect = { json = '$.method == "POST"', not_body = "nothing", max_latency = "4s" }""")
    )  # fmt: skip
    for asked in ("checkout", url):
        ran = perfconsole("probe", asked, "--json", KEY=SECRET)
        assert (ran.code, ran.err, document(ran)["name"]) == (0, "", "checkout")
        assert [one["expected"] for one in document(ran)["assertions"]] == [
            "status 200-399", "latency at most 4.0s", 'body does not contain "nothing"', '$.method == "POST"',
        ]  # fmt: skip
        seen = lab.last("/echo?one=1")
        assert (seen.method, seen.body, seen.header("x-api-key")) == ("POST", b"{}", [SECRET])
        assert seen.header("authorization")[0].startswith("Basic ")
    assert perfconsole("probe", lab.url("/echo?one=2"), KEY=SECRET).code == 0
    other = lab.last("/echo?one=2")  # another URL is none of its business
    assert (other.method, other.header("x-api-key"), other.header("authorization")) == ("GET", [], [])


def test_an_expectation_that_does_not_hold_is_down_with_all_that_was_found(perfconsole, lab, config_file):
    config_file(http("wrong", lab.url("/json"), """expect = { json = ['$.status == "DOWN"', "$.items len 2"], body = "nope" }"""))
    ran = perfconsole("probe", "wrong")
    assert ran.code == 2
    assert ran.out.startswith("■ DOWN  assertion  200  ")
    assert '  ■ failed   body contains "nope"  found: not in 109 bytes\n' in ran.out
    assert '  ■ failed   $.status == "DOWN"  found: "UP"\n' in ran.out
    assert "  ● ok       $.items len 2  found: length 2\n" in ran.out
    assert f"  wrong  {lab.url('/json')}\n" in ran.out


def test_the_command_lines_timeout_stands_in_for_the_configured_one(perfconsole, lab, config_file):
    config_file(http("slow", lab.url("/slow?ms=400"), 'timeout = "200ms"'))
    assert "timeout of 0.2 s" in perfconsole("probe", "slow").out
    assert perfconsole("probe", "slow", "--timeout", "20s").code == 0


def test_ports_and_names_are_probed_by_their_names(perfconsole, lab, config_file):
    config_file(
        f'[[tcp]]\nname = "port"\naddress = "127.0.0.1:{lab.port()}"\n[[tcp]]\nname = "closed"\naddress = "127.0.0.1:1"\n'
        f'[[tls]]\nname = "ldap"\naddress = "127.0.0.1:{lab.port("good")}"\n{trusted(lab)}\n'
        '[[dns]]\nname = "resolver"\nquery = "localhost"\n'
    )
    assert {name: perfconsole("probe", name).code for name in ("port", "closed", "ldap", "resolver")} == {
        "port": 0, "closed": 2, "ldap": 0, "resolver": 0
    }  # fmt: skip
    found = document(perfconsole("probe", "ldap", "--json"))
    assert (found["url"], found["http_version"], found["status"]) == (f"127.0.0.1:{lab.port('good')}", None, None)
    assert len(found["tls"]["chain"]) == 2


def test_what_is_reached_by_another_way_is_probed_that_way(perfconsole, lab, config_file):
    config_file(
        http("proxied", lab.url("/ok?proxied"), f'proxy = "{lab.url("", "guarded").replace("://", "://proxyuser:${PROXY}@")}"')
        + http("local", "http://shop.example/ok?local", f'connect_to = "unix:{lab.unix}"')
    )
    proxied = document(perfconsole("probe", "proxied", "--json", PROXY="proxy-pa55"))
    assert (proxied["up"], proxied["address"]) == (True, f"127.0.0.1:{lab.port('guarded')}")
    assert [seen.listener for seen in lab.seen("/ok?proxied")] == ["guarded", "plain"]
    local = document(perfconsole("probe", "local", "--json"))
    assert (local["up"], local["address"], local["phases"]["dns_s"]) == (True, f"unix:{lab.unix}", None)
    assert lab.last("/ok?local").header("host") == ["shop.example"]


def test_too_slow_is_down(perfconsole, lab, config_file):
    config_file(http("slow", lab.url("/slow?ms=60"), 'expect = { max_latency = "50ms" }'))
    ran = perfconsole("probe", "slow", "--json")
    assert (ran.code, document(ran)["class"], document(ran)["status"]) == (2, "assertion", 200)
    assert [one["ok"] for one in document(ran)["assertions"]] == [True, False]


def test_of_two_with_one_url_the_first_is_taken_and_that_is_said(perfconsole, lab, config_file):
    config_file(http("first", lab.url("/ok")) + http("second", lab.url("/ok")))
    ran = perfconsole("probe", lab.url("/ok"), "--json")
    assert document(ran)["name"] == "first"
    assert ran.err == "perfconsole: 2 endpoints have this URL: taken is first; probe another by its name\n"


def test_nothing_secret_is_printed(perfconsole, lab, config_file):
    """Not even where the server sends it back, in headers and body."""
    config_file(
        http("query", lab.url("/status/500?token=${SECRET}"))
        + http("bearer", lab.url("/auth?bearer=another"), 'auth = { bearer = "${SECRET}" }')
        + http("basic", lab.url("/auth?user=x"), 'auth = { user = "me", password = "${SECRET}" }')
        + http("header", lab.url("/echo"), 'headers = { Cookie = "session=${SECRET}" }\nexpect = { not_body = "Cookie" }')
        + http("userinfo", lab.url("/status/404").replace("://", "://me:${SECRET}@"))
        + http("hops", lab.url("/redirect?n=2&secret=${SECRET}"))
        + http("cookie", lab.url("/cookie"), 'expect = { body = "no such" }')
    )
    for name in ("query", "bearer", "basic", "header", "userinfo", "hops", "cookie"):
        for args in (("--json",), ("--count", "2") if name == "bearer" else ()):
            ran = perfconsole("probe", name, *args, SECRET=SECRET)
            assert ran.code == (0 if name == "hops" else 2), ran
            assert SECRET not in ran.out + ran.err, (name, args)
            assert "c00kie-of-lab" not in ran.out
    assert lab.last("/status/500").target.endswith(SECRET)  # it was sent


# Several --------------------------------------------------------------------------------------------------------------------------


def rhythm(monkeypatch, count, **how):
    """When probes began, in a time of their own, and what came of them."""
    made, outcomes = [], []

    def prober(of, shared):
        made.append(Fake(of, shared, **how))
        return made[-1]

    monkeypatch.setattr(checker, "_prober_of", prober)
    run(lambda loop: probe.repeat(check("a", timeout_s=5), count, outcomes.append))
    (only,) = made
    assert only.closed == 1
    return [round(at - only.begun[0], 1) for at in only.begun], outcomes


def test_probes_begin_a_second_apart(monkeypatch):
    begun, outcomes = rhythm(monkeypatch, 4, answers_s=0.3)
    assert begun == [0, 1, 2, 3]
    assert [outcome.ok for outcome in outcomes] == [True] * 4


def test_one_that_takes_longer_is_followed_at_once(monkeypatch):
    begun, outcomes = rhythm(monkeypatch, 3, answers_s=60)
    assert begun == [0, 5, 10]
    assert [outcome.at_least for outcome in outcomes] == [True] * 3


def test_failures_change_nothing_of_that(monkeypatch):
    begun, outcomes = rhythm(monkeypatch, 4, script=["connect", "", "status"])
    assert begun == [0, 1, 2, 3]
    assert [outcome.cause for outcome in outcomes] == ["connect", "", "status", ""]


def test_several_are_told_one_by_one_and_then_together(perfconsole, lab):
    ran = perfconsole("probe", lab.url("/slow?ms=20"), "--count", "3")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == f"{lab.url('/slow?ms=20')}  3 probes, a second apart"
    assert [line.split()[:4] for line in lines[1:4]] == [[str(number), "●", "up", "200"] for number in (1, 2, 3)]
    assert "● OK  3 probes: 3 up" in lines
    assert "the last, number 3" in lines
    table = next(line for line in lines if line.startswith("probe percentiles"))
    assert table.split() == ["probe", "percentiles", "n", "min", "p50", "p90", "p95", "p99", "max"]
    total = lines[lines.index(table) + 1].split()
    assert (total[:2], total[4:7]) == (["total", "3"], ["-", "-", "-"])  # of three there is a median, and no more
    chart = lines[lines.index("latency") + 1 :]
    assert sum(line.count("●") for line in chart) == 3
    assert lab.counts["/slow"] == 3


def test_two_have_no_chart(perfconsole, lab):
    lines = perfconsole("probe", lab.url("/ok"), "--count", "2").out.splitlines()
    assert "● OK  2 probes: 2 up" in lines
    assert "latency" not in lines


def test_json_of_several_has_each_attempt(perfconsole, lab):
    found = document(perfconsole("probe", lab.url("/ok"), "--count", "2", "--json"))
    assert [attempt["up"] for attempt in found["attempts"]] == [True, True]
    assert found["total_s"] == found["attempts"][1]["total_s"]
    assert found["latency"]["n"] == 2
    assert found["latency"]["min_s"] == min(attempt["total_s"] for attempt in found["attempts"])


# How it ends ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def begun(environment, tmp_path):
    """Start `perfconsole probe ARGS` and leave it running."""

    def start(*args, **options):
        return subprocess.Popen(
            [sys.executable, "-m", "perfconsole", "probe", *args],
            **{"cwd": tmp_path, "env": environment, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            | options,
        )  # fmt: skip

    return start


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "that never came"
        time.sleep(0.01)


def test_ctrl_c_prints_what_is_known_so_far(begun, lab):
    for args in ((), ("--json",)):
        lab.forget()
        child = begun(lab.url("/ok"), "--count", "500", *args)
        until(lambda: len(lab.seen("/ok")) >= 2)  # the first is known by then
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=120)
        assert (child.returncode, err) == (130, b"")
        if args:
            assert 1 <= len(json.loads(out)["attempts"]) < 500
        else:
            assert "● OK  interrupted after " in out.decode()
            assert " of 500 probes: " in out.decode()
            assert "probe percentiles" in out.decode()


def test_ctrl_c_before_anything_is_known_says_nothing(begun, lab):
    child = begun(lab.url("/hang"), "--timeout", "50s")
    until(lambda: lab.seen("/hang"))
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=120) == (b"", b"")
    assert child.returncode == 130


@pytest.mark.parametrize("args", [(), ("--json",), ("--count", "2")])
def test_a_closed_pipe_is_no_error(begun, lab, args):
    reading, writing = os.pipe()
    os.close(reading)  # nobody will ever read: the first write fails
    child = begun(lab.url("/status/503"), *args, stdout=writing)
    os.close(writing)
    assert child.communicate(timeout=120)[1] == b""
    assert child.returncode == 0


def in_terminal(begun, lab, **changes):
    """What is written to a terminal."""
    master, slave = os.openpty()
    child = begun(lab.url("/status/503"), stdout=slave, stderr=slave, env=changes.pop("env") | changes)
    os.close(slave)
    written = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # EIO: nobody has it open any more
            break
        if not part:
            break
        written += part
    os.close(master)
    assert child.wait(120) == 2
    return written.decode()


def test_a_terminal_has_colours_unless_they_are_not_wanted(begun, lab, environment):
    told = partial(in_terminal, begun, lab, env=environment)
    coloured, plain = told(), told(NO_COLOR="1")
    assert coloured.startswith("\x1b[1;31m■ DOWN\x1b[0m  status  503  ")
    assert "\x1b" not in plain
    assert plain.startswith("■ DOWN  status  503  ")
    assert "█" in plain


@pytest.mark.parametrize("extra", [{"LANG": "C", "LC_ALL": "C"}, {"TERM": "dumb"}, {"PYTHONIOENCODING": "ascii"}])
def test_where_only_ascii_can_be_shown_there_is_nothing_else(perfconsole, lab, extra):
    several = "TERM" in extra
    args = (lab.url("/hang"), "--count", "3", "--timeout", "200ms") if several else (lab.url("/hostile"),)
    ran = perfconsole("probe", *args, **extra)
    assert ran.out.isascii()
    assert ("X DOWN  timeout" if several else "X DOWN  status  500") in ran.out
    assert "####" in ran.out
    chart = ran.out.partition("latency   x failed\n")[2]
    assert chart.count("x") == 3 * several


def test_a_plain_url_loads_no_client_that_it_does_not_need(lab, environment, tmp_path):
    code = (
        "import sys\nfrom perfconsole.__main__ import main\ncode = main()\n"
        "unwanted = {'textual', 'rich', 'httpx', 'httpcore', 'asyncpg', 'sqlite3', 'plotext', 'psutil', 'dns', 'regex'}\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & unwanted), file=sys.stderr)\nsys.exit(code)"
    )
    for args in ((), ("--json",)):
        done = subprocess.run([sys.executable, "-c", code, "probe", lab.url("/ok"), *args], cwd=tmp_path, env=environment,
                              capture_output=True, timeout=120, check=False)  # fmt: skip
        assert (done.returncode, done.stderr) == (0, b"[]\n")
