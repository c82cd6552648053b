"""Channels by HTTP against real servers: the payloads to the letter, the answers of bad days, and no secret in anything that is told."""

import asyncio
import hashlib
import hmac
import json
import re
import socket
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from pathlib import Path

import pytest
from authority import Authority
from quiet import measuring
from receivers import Receiver, T, alert, down, message, notice, over

from perfconsole.config.load import parse_text
from perfconsole.notify.channel import SendError
from perfconsole.notify.making import channels

KEY = "R0123456789abcdef0123456789abcde"
ENV = {"TOKEN": "hush-token/1", "SECRET": "hush-secret", "KEY": KEY, "PW": "hush@p:w/d"}


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


def channel(keys, kind="webhook", env=ENV, more=""):
    (made,) = channels(parse_text(f'[[notify]]\nname = "ops"\ntype = "{kind}"\n{keys}\n{more}', env={}), env)
    return made


def webhook(receiver, keys="", path="/hook", **more):
    return channel(f'url = "{receiver.url}{path}"\n{keys}', **more)


def sent(channel, told):
    async def once():
        try:
            return await channel.send(told)
        finally:
            await channel.close()

    return asyncio.run(once())


def refusal(channel, told=None):
    with pytest.raises(SendError) as caught:
        sent(channel, told or message(alert()))
    assert str(caught.value).isprintable()
    return caught.value


# The webhook ----------------------------------------------------------------------------------------------------------------------

RUNBOOK = """
[[alert]]
name = "memory-critical"
severity = "critical"
metric = "system.memory.utilization"
above = "90%"
for = "10m"
runbook = "https://wiki.example/memory"
[alerts]
defaults = false
"""


def test_a_webhook_is_sent_what_alertmanager_sends(receiver):
    told = message(notice(alert()), over(down("cart")))
    assert sent(webhook(receiver, more=RUNBOOK), told) == "200 ok"
    first, second = receiver.last.json["alerts"]
    assert receiver.last.json == {
        "version": "4",
        "groupKey": '{}:{host="db1"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "ops",
        "groupLabels": {"host": "db1"},
        "commonLabels": {"host": "db1", "severity": "critical"},
        "commonAnnotations": {},
        "externalURL": "",
        "alerts": [first, second],
    }
    assert first == {
        "status": "firing",
        "labels": {"alertname": "memory-critical", "severity": "critical", "host": "db1"},
        "annotations": {
            "summary": "memory avg 92% > 90% over 1m, for 10m",
            "description": first["annotations"]["description"],
            "value": "92% (avg over 1m, n 30)",
            "threshold": "> 90%",
            "runbook_url": "https://wiki.example/memory",
        },
        "startsAt": "2026-02-02T02:40:00.000Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": first["fingerprint"],
    }
    assert first["annotations"]["description"].splitlines()[0] == "CRIT  memory avg 92% > 90% over 1m, for 10m"
    assert len(first["fingerprint"]) == 16
    assert int(first["fingerprint"], 16)
    assert second["status"] == "resolved"
    assert second["endsAt"] == "2026-02-02T02:55:00.000Z"
    assert second["labels"] == {"alertname": "service-down", "severity": "critical", "endpoint": "cart", "service": "shop", "host": "db1"}
    assert "runbook_url" not in second["annotations"]


def test_the_request_itself(receiver):
    sent(webhook(receiver), message(alert()))
    (request,) = receiver.requests
    assert request.path == "/hook"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Idempotency-Key"] == "key-1"
    assert request.headers["User-Agent"].startswith("perfconsole/")
    assert "X-Perfconsole-Signature" not in request.headers


def test_one_rule_is_a_group_of_its_name_and_all_over_is_resolved(receiver):
    sent(webhook(receiver), message(over(down("a")), over(down("b"))))
    told = receiver.last.json
    assert (told["status"], told["groupKey"]) == ("resolved", '{}:{alertname="service-down", host="db1"}')
    assert told["groupLabels"] == {"alertname": "service-down", "host": "db1"}
    assert told["commonLabels"] == {"alertname": "service-down", "host": "db1", "service": "shop", "severity": "critical"}


def test_of_a_storm_as_many_as_are_wanted(receiver):
    sent(webhook(receiver, "max_alerts = 3"), message(*(down(f"s{number}") for number in range(500))))
    assert receiver.last.json["truncatedAlerts"] == 497
    assert [one["labels"]["endpoint"] for one in receiver.last.json["alerts"]] == ["s0", "s1", "s2"]


def test_of_a_storm_all_unless_it_is_said(receiver):
    """Who is not told that it fires must not be told that it is over."""
    sent(webhook(receiver), message(*(down(f"s{number}") for number in range(500))))
    assert (receiver.last.json["truncatedAlerts"], len(receiver.last.json["alerts"])) == (0, 500)


def test_it_is_signed(receiver):
    made = webhook(receiver, 'secret = "${SECRET}"')
    sent(made, message(alert()))
    expected = hmac.new(b"hush-secret", receiver.last.body, hashlib.sha256).hexdigest()
    assert receiver.last.headers["X-Perfconsole-Signature"] == f"sha256={expected}"
    assert "X-Perfconsole-Signature: sha256=***" in made.preview(message(alert()))


def test_secrets_arrive_and_are_seen_nowhere(receiver):
    made = webhook(
        receiver, 'headers = { Authorization = "Bearer ${TOKEN}", X-Api-Key = "file:/nowhere" }', path="/in?key=${TOKEN}&x=1"
    )  # fmt: skip
    assert "file:/nowhere cannot be read" in str(refusal(made))
    made = webhook(receiver, 'headers = { Authorization = "Bearer ${TOKEN}" }', path="/in?key=${TOKEN}&x=1")
    receiver.text = None  # the server sends back what it was sent
    told = sent(made, message(alert()))
    assert receiver.last.path == "/in?key=hush-token%2F1&x=1"
    assert receiver.last.headers["Authorization"] == "Bearer hush-token/1"
    receiver.status = 400
    for text in (told, str(refusal(made)), repr(made), made.preview(message(alert()))):
        assert "hush" not in text
    assert "POST " + receiver.url + "/in?key=${TOKEN}&x=1" in made.preview(message(alert()))
    assert "Authorization: Bearer ${TOKEN}" in made.preview(message(alert()))


def test_literal_secrets_are_seen_nowhere_either(receiver):
    receiver.text = None
    receiver.status = 400
    token = "8f14e45fceea467f9a0b"
    made = webhook(receiver, 'headers = { Authorization = "Bearer hush-literal-1" }', path=f"/services/{token}")
    for text in (str(refusal(made)), repr(made), made.preview(message(alert()))):
        assert "hush" not in text
        assert token not in text
    assert receiver.last.path == f"/services/{token}"


def test_user_and_password_of_a_url(receiver):
    made = channel(f'url = "{receiver.url.replace("//", "//me:${PW}@")}/x"')
    sent(made, message(alert()))
    assert receiver.last.headers["Authorization"] == "Basic bWU6aHVzaEBwOncvZA=="


def test_a_secret_that_is_not_there_may_come(receiver):
    found = refusal(webhook(receiver, 'headers = { Authorization = "${GONE}" }'))
    assert (str(found), found.final) == ("${GONE} is not set in the environment: export GONE before perfconsole is started", False)
    assert receiver.requests == []


QUOTED = {
    "path": ("Cannot POST {path}", "/services/T0AAAA/B0BBBB/s3cr3tTOKENs3cr3t"),
    "one part of it": ("no hook s3cr3tTOKENs3cr3t", "/services/T0AAAA/B0BBBB/s3cr3tTOKENs3cr3t"),
    "escaped": (r'{{"path": "\/services\/T0AAAA\/B0BBBB\/s3cr3t\/x"}}', "/services/T0AAAA/B0BBBB/s3cr3t/x"),
    "encoded": ("at %2fservices%2FT0AAAA%252FB0BBBB/s3cr3t", "/services/T0AAAA/B0BBBB/s3cr3t"),
    "in HTML": ("<p>/in?a=1&amp;key=s3cr3t&#x2F;T0AAAA</p>", "/in?a=1&key=s3cr3t/T0AAAA"),
    "a value of the query": ("the key s3cr3t/x is unknown", "/in?key=s3cr3t%2Fx&b=T0AAAA"),
    "user and password": ("you are T0AAAA:s3cr3t, or VDBBQUFBOnMzY3IzdA==", "/in"),
    "cut off": ("x" * 150 + " s3cr3tTOK", "/services/s3cr3tTOKENs3cr3t"),
}


@pytest.mark.parametrize("given", ["itself", "${URL}", "file"])
@pytest.mark.parametrize("how", QUOTED)
def test_an_address_is_hidden_however_it_is_quoted(receiver, tmp_path, how, given):
    text, path = QUOTED[how]
    url = (receiver.url.replace("//", "//T0AAAA:s3cr3t@") if "password" in how else receiver.url) + path
    (tmp_path / "url").write_text(url + "\n")
    receiver.status, receiver.text = 404, text.format(path=path)
    written = {"itself": url, "${URL}": "${URL}", "file": f"file:{tmp_path}/url"}[given]
    for kind in ("webhook", "slack"):
        found = str(refusal(channel(f'url = "{written}"', kind, env={"URL": url})))
        assert found.startswith("answered 404 ")
        assert "***" in found
        for part in ("s3cr3t", "T0AAAA", "VDBB"):
            assert part not in found


@pytest.mark.parametrize(
    ("header", "echoed"),
    [
        ('Authorization = "Bearer hush/literal"', r"bad token hush\/literal"),
        ('Cookie = "session=hush%literal; a=b"', "no session hush%25literal"),
        ('Authorization = "Bearer ${T}"', r"bad token hush\/referred"),
        ('X-Api-Key = "hush-key-1"', "no such key: hush-key-1"),
    ],
)
def test_so_are_headers(receiver, header, echoed):
    receiver.status, receiver.text = 401, echoed
    found = str(refusal(webhook(receiver, f"headers = {{ {header} }}", env={"T": "hush/referred"})))
    assert "hush" not in found
    assert "***" in found


def test_what_is_no_secret_stays(receiver):
    receiver.status, receiver.text = 503, "the alerts queue is 100% full, try \\ later & again + again"
    found = str(refusal(channel(f'url = "{receiver.url}/api"', "alertmanager")))
    assert found == f"answered 503 {receiver.text}"


# Bad days -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "final"),
    [*((status, True) for status in (400, 410, 413, 422)), *((status, False) for status in (401, 403, 404, 405, 408, 425, 429, 500, 503))],
)
def test_which_answers_are_worth_another_try(receiver, status, final):
    receiver.status, receiver.text = status, "no\nsuch \x1b[2Jhook"
    found = refusal(webhook(receiver))
    assert found.final is final
    assert str(found).startswith(f"answered {status} no such ")


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after(receiver, status):
    receiver.status, receiver.headers = status, {"Retry-After": "17"}
    assert refusal(webhook(receiver)).after_s == 17
    receiver.headers = {"Retry-After": formatdate(time.time() + 100, usegmt=True)}
    assert 90 < refusal(webhook(receiver)).after_s <= 101
    for bounded, seconds in (("Mon, 02 Feb 2026 02:40:00 GMT", 0), ("99999999999", 86400)):
        receiver.headers = {"Retry-After": bounded}
        assert refusal(webhook(receiver)).after_s == seconds
    for odd in ("soon", "-3", "1e9", ""):
        receiver.headers = {"Retry-After": odd}
        assert refusal(webhook(receiver)).after_s is None


def test_no_redirect_is_followed(receiver):
    receiver.status, receiver.headers = 302, {"Location": f"{receiver.url}/elsewhere"}
    found = refusal(webhook(receiver))
    assert not found.final
    assert "a redirect, which is not followed" in str(found)
    assert [request.path for request in receiver.requests] == ["/hook"]


@pytest.mark.parametrize("mood", ["hang", "drip"])
@measuring
def test_no_answer_ends_in_time(receiver, mood):
    receiver.mood = mood
    made = webhook(receiver, 'timeout = "300ms"')
    began = time.monotonic()
    found = refusal(made)
    assert (str(found), found.final, found.unsure) == ("no answer within 0.3 s", False, True)
    assert time.monotonic() - began < 60  # it hangs for minutes


def test_an_endless_answer_ends(receiver):
    receiver.mood = "endless"
    assert sent(webhook(receiver, 'timeout = "5s"'), message(alert())).startswith("200 xxx")


def test_a_server_that_closes_or_is_not_there(receiver):
    receiver.mood = "close"
    found = refusal(webhook(receiver))
    assert ("closed the connection" in str(found), found.final, found.unsure) == (True, False, True)
    receiver.close()
    found = refusal(webhook(receiver))
    assert (str(found), found.final, found.unsure) == ("Connection refused", False, False)


@measuring
def test_a_connection_that_is_not_made_in_time():
    """Nothing was sent: that is known."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(8)]  # more than wait to be accepted: the kernel answers no further ones
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        found = refusal(channel(f'url = "http://127.0.0.1:{address[1]}/"\ntimeout = "2s"'))
        assert (str(found), found.final, found.unsure) == ("no connection in time", False, False)
        for one in waiting:
            one.close()


HANGS = """
import asyncio, socket, sys, threading
sys.path.insert(0, "tests/notify")
from receivers import alert, message
from perfconsole.config.load import parse_text
from perfconsole.notify.channel import SendError
from perfconsole.notify.making import channels

def hangs(*_, **__):
    threading.Event().wait(600)

socket.getaddrinfo = hangs
(made,) = channels(parse_text('[[notify]]\\nname = "x"\\ntype = "webhook"\\nurl = "http://hooks.example/"\\ntimeout = "500ms"', env={}), {})

async def once():
    try:
        await made.send(message(alert()))
    except SendError as error:
        print(error, flush=True)
    finally:
        await made.close()

asyncio.run(once())
"""


def test_a_name_server_that_is_dead_does_not_keep_the_process():
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", HANGS], cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() in {"no connection in time\n", "no answer within 0.5 s\n"}
            assert process.wait(100) == 0
        finally:
            process.kill()


def test_the_name_is_what_a_certificate_is_verified_by(tmp_path, monkeypatch):
    """Though it is an address that is connected to."""
    asked = []

    def found(host, port, *more, **_):
        asked.append((host, threading.current_thread().name))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    authority = Authority(tmp_path)
    server = Receiver(authority.issue("leaf", names=("DNS:hooks.example",)).bundle().server_context())
    try:
        for name, expected in (("hooks.example", "200 ok"), ("other.example", None)):
            made = channel(f'url = "https://{name}:{server.port}/"\nca = "{authority.root.cert}"')
            if expected:
                assert sent(made, message(alert())) == expected
            else:
                assert "the certificate is not accepted" in str(refusal(made))
        assert [(name.decode() if isinstance(name, bytes) else name, thread) for name, thread in asked] == [
            ("hooks.example", "perfconsole-names"), ("other.example", "perfconsole-names"),
        ]  # fmt: skip
    finally:
        server.close()


def test_a_name_that_there_is_not():
    found = refusal(channel('url = "http://nowhere.invalid/x"'))
    assert not found.final
    assert "invalid" not in str(found)


def test_what_a_secret_makes_of_a_url_or_a_header(receiver):
    env = {"TOKEN": "not a url hush", "BAD": "a\nb hush", "ODD": "hush é"}
    for keys in ('url = "${TOKEN}"', f'url = "{receiver.url}"\nheaders = {{ X = "${{BAD}}" }}',
                 f'url = "{receiver.url}"\nheaders = {{ X = "${{ODD}}" }}'):  # fmt: skip
        found = refusal(channel(keys, env=env))
        assert "hush" not in str(found)
        assert "with its secrets looked up" in str(found)


def test_certificates_are_verified(tmp_path):
    authority = Authority(tmp_path)
    server = Receiver(authority.issue("leaf").bundle().server_context())
    try:
        assert "the certificate is not accepted" in str(refusal(webhook(server)))
        assert server.requests == []
        assert sent(webhook(server, f'ca = "{authority.root.cert}"'), message(alert())) == "200 ok"
        assert "cannot be read: No such file" in str(refusal(webhook(server, f'ca = "{tmp_path}/none"')))
    finally:
        server.close()


def test_the_environment_names_no_proxy(receiver, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert sent(webhook(receiver), message(alert())) == "200 ok"


def test_the_configuration_does(receiver):
    made = channel(f'url = "http://shop.invalid/hook"\nproxy = "{receiver.url}"')
    assert sent(made, message(alert())) == "200 ok"
    assert receiver.last.path == "http://shop.invalid/hook"


def test_one_connection_for_several_messages(receiver):
    made = webhook(receiver)

    async def twice():
        try:
            return [await made.send(message(alert())), await made.send(message(alert(), key="key-2"))]
        finally:
            await made.close()

    assert asyncio.run(twice()) == ["200 ok", "200 ok"]
    assert [request.headers["Idempotency-Key"] for request in receiver.requests] == ["key-1", "key-2"]


# Slack ----------------------------------------------------------------------------------------------------------------------------


def slack(receiver, path="/services/T000/B000/hushtoken"):
    return channel(f'url = "{receiver.url}{path}"', "slack")


def test_slack(receiver):
    assert sent(slack(receiver), message(alert())) == "200 ok"
    told = receiver.last.json
    (block,) = told["attachments"][0]["blocks"]
    text = block["text"]["text"]
    assert text.startswith("*CRIT  memory avg 92% &gt; 90% over 1m, for 10m*\nrule: memory-critical (critical)\nhost: db1\n")
    assert block == {"type": "section", "text": {"type": "mrkdwn", "verbatim": True, "text": text}}
    fallback = "[CRIT] db1: memory avg 92% &gt; 90% over 1m, for 10m"
    assert told == {"text": fallback, "attachments": [{"color": "danger", "fallback": fallback, "blocks": [block]}]}


@pytest.mark.parametrize(
    ("one", "colour"),
    [(alert(severity="warning"), "warning"), (over(alert()), "good"), (alert(severity="info"), "#439FE0")],
    ids=["warning", "over", "info"],
)
def test_colours_of_slack(receiver, one, colour):
    sent(slack(receiver), message(one))
    assert receiver.last.json["attachments"][0]["color"] == colour


def test_nobody_is_called_by_text_of_others(receiver):
    sent(slack(receiver), message(down("<!channel> & <https://evil.example|here>")))
    assert "<" not in receiver.last.body.decode()
    assert "&lt;!channel&gt; &amp; &lt;https://evil.example|here&gt;" in receiver.last.json["text"]


@pytest.mark.parametrize("name", ["@channel", "@all down", "(@here)", "ops@all"])
def test_nor_does_mattermost_call_them(receiver, name):
    sent(slack(receiver), message(down(name)))
    told = receiver.last.json
    for text in (told["text"], told["attachments"][0]["fallback"], told["attachments"][0]["blocks"][0]["text"]["text"]):
        assert re.search(r"@(?!\u2060)", text) is None
        assert "@" in text


def test_slack_takes_so_much_and_no_more(receiver):
    sent(slack(receiver), message(*(down("<" * 3000) for _ in range(60))))
    blocks = receiver.last.json["attachments"][0]["blocks"]
    assert len(blocks) == 21
    assert blocks[-1]["text"]["text"] == "... and 40 more"
    assert all(0 < len(block["text"]["text"]) <= 3000 for block in blocks)


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_it_is_cut_between_two_escapes(receiver, before):
    sent(slack(receiver), message(down(before + "<" * 3000)))
    text = receiver.last.json["attachments"][0]["blocks"][0]["text"]["text"]
    assert 2990 < len(text) <= 3000
    assert re.search(r"&(?!lt;)", text) is None


def test_the_address_of_slack_is_the_secret(receiver):
    receiver.text, receiver.status = None, 403
    made = slack(receiver)
    for text in (str(refusal(made)), repr(made), made.preview(message(alert()))):
        assert "hushtoken" not in text
    assert f"POST {receiver.url}/***\n" in made.preview(message(alert()))
    assert "POST ${URL}\n" in channel('url = "${URL}"', "slack").preview(message(alert()))


def test_slack_says_when_it_is_too_much(receiver):
    receiver.status, receiver.headers = 429, {"Retry-After": "30"}
    found = refusal(slack(receiver))
    assert (found.final, found.after_s) == (False, 30)


# PagerDuty ------------------------------------------------------------------------------------------------------------------------


def pagerduty(receiver, key="${KEY}", **more):
    return channel(f'routing_key = "{key}"\nurl = "{receiver.url}/v2/enqueue"', "pagerduty", **more)


def test_pagerduty_begins_an_incident(receiver):
    receiver.status, receiver.text = 202, '{"status":"success","message":"Event processed","dedup_key":"abc"}'
    assert sent(pagerduty(receiver, more=RUNBOOK), message(alert())) == "202 Event processed, dedup_key abc"
    told = receiver.last.json
    assert told == {
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": told["dedup_key"],
        "client": "perfconsole",
        "payload": {
            "summary": "[CRIT] db1: memory avg 92% > 90% over 1m, for 10m",
            "source": "db1",
            "severity": "critical",
            "timestamp": "2026-02-02T02:40:00.000Z",
            "component": "memory",
            "class": "memory-critical",
            "custom_details": {
                "rule": "memory-critical (critical)",
                "host": "db1",
                "since": "2026-02-02 02:30:00 UTC",
                "value": "92% (avg over 1m, n 30)",
                "threshold": "> 90%",
                "runbook": "https://wiki.example/memory",
            },
        },
        "links": [{"href": "https://wiki.example/memory", "text": "Runbook"}],
    }
    assert receiver.last.path == "/v2/enqueue"


def test_and_ends_the_same_one(receiver):
    receiver.status = 202
    made = pagerduty(receiver)
    for one in (notice(alert()), notice(alert(), "overdue"), over(alert()), notice(alert(fired_at=T + 5000))):
        sent(made, message(one))
    told = [request.json for request in receiver.requests]
    assert [one["event_action"] for one in told] == ["trigger", "trigger", "resolve", "trigger"]
    assert told[0]["dedup_key"] == told[1]["dedup_key"] == told[2]["dedup_key"] != told[3]["dedup_key"]
    assert set(told[2]) == {"routing_key", "event_action", "dedup_key", "client"}
    assert made.each


def test_several_together_are_one_incident_of_their_own(receiver):
    receiver.status = 202
    sent(pagerduty(receiver), message(*(down(f"s{number}" * 200) for number in range(500)), key="k" * 300))
    told = receiver.last.json
    assert told["dedup_key"] == "k" * 255
    assert len(told["payload"]["summary"]) <= 1024
    assert len(receiver.last.body) < 512 * 1024


def test_and_end_as_one(receiver):
    receiver.status = 202
    made = pagerduty(receiver)
    both = (down("a"), down("b"))
    sent(made, message(*both, key="g1")._replace(thread="gabc"))
    sent(made, message(*map(over, both), key="g2")._replace(thread="gabc"))
    assert [(one.json["event_action"], one.json["dedup_key"]) for one in receiver.requests] == [("trigger", "gabc"), ("resolve", "gabc")]


def test_what_is_wrong_with_an_event_is_told_without_its_key(receiver):
    receiver.status, receiver.text = 400, json.dumps({"status": "invalid event", "errors": [f"'routing_key' {KEY} is invalid"]})
    made = pagerduty(receiver)
    found = refusal(made)
    assert found.final
    assert "invalid event" in str(found)
    for text in (str(found), repr(made), made.preview(message(alert())), pagerduty(receiver, KEY).preview(message(alert()))):
        assert KEY not in text
    assert '"routing_key": "${KEY}"' in made.preview(message(alert()))
    assert '"routing_key": "***"' in pagerduty(receiver, KEY).preview(message(alert()))


# What they say of themselves ------------------------------------------------------------------------------------------------------


def test_what_the_outbox_reads():
    made = channel('url = "http://x.example/"\nseverities = ["info", "critical"]\nresolved = false')
    assert (made.name, made.wants, made.send_resolved, made.each, made.refresh_s) == ("ops", {"info", "critical"}, False, False, 0)
    usual = channel('url = "http://x.example/"')
    assert (usual.wants, usual.send_resolved) == ({"critical", "warning"}, True)


def test_an_endpoints_own_runbook_goes_before_its_rules(receiver):
    made = webhook(receiver, more="""
[[http]]
name = "cart"
url = "http://cart.example/"
runbook = "https://wiki.example/cart"
[[alert]]
name = "service-down"
severity = "critical"
metric = "httpcheck.up"
match = { endpoint = "*", service = "*" }
below = 0.5
for = "1m"
runbook = "https://wiki.example/down"
[alerts]
defaults = false
""")  # fmt: skip
    sent(made, message(down("cart"), down("other")))
    assert [one["annotations"].get("runbook_url") for one in receiver.last.json["alerts"]] == [
        "https://wiki.example/cart", "https://wiki.example/down",
    ]  # fmt: skip
