"""Nothing secret leaves a check: not in its outcome whatever came of it, not in an error, not in a log, though a server sends it back."""

import asyncio
import base64
import json
import logging
import traceback
from urllib.parse import quote

import msgspec
import pytest
from engines import ENGINES, nameless, probed

from perfconsole.collectors.http.attempts.request import message_of
from perfconsole.collectors.http.attempts.trial import Trial
from perfconsole.core.checks import Check, Expect, JsonTest, Tls

SECRETS = {
    "USER_PASSWORD": 'p@ss"w<ö/rd',
    "QUERY_TOKEN": "qu3ry tök&en=1",
    "HEADER_KEY": "h3ader-k€y",
    "BODY_SECRET": "b0dy\tsecret",
    "SESSION": "c00kie-s3ssion",
    "TENANT": "t3nant",
    "PROXY_PASSWORD": "pr0xy/pa:ss",
    "BEARER": "b34rer+tok/en==",
    "LONG_TOKEN": "l0ng-" + "0123456789abcde" * 33,
}
LITERAL = "l1teral-but-secret"


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def settings(**more):
    return {
        "method": "POST",
        "headers": (
            ("X-Key", "${HEADER_KEY}"),
            ("Cookie", "session=${SESSION}; more=1"),
            ("Proxy-Authorization", f"Bearer {LITERAL}"),
            ("X-Long", "${LONG_TOKEN}"),
        ),
        "body": '{"secret": "${BODY_SECRET}"}',
        "expect": Expect(status=((299, 299),)),
        "timeout_s": 30.0,
    } | more


def target(lab, path, listener="plain"):
    scheme, _, rest = lab.url(path, listener).partition("://")
    return f"{scheme}://ann:${{USER_PASSWORD}}@{rest}{'&' if '?' in path else '?'}token=${{QUERY_TOKEN}}&tenant=${{TENANT}}"


def leaks(text):
    """Which secrets are in a text, in whichever shape."""
    found = set()
    for name, value in {**SECRETS, "LITERAL": LITERAL}.items():
        raw = value.encode()
        shapes = {
            value, json.dumps(value)[1:-1], quote(value), quote(value, safe=""), repr(value)[1:-1], repr(raw)[2:-1],
            value.encode().decode("latin-1"), base64.b64encode(raw).decode().rstrip("="),
        }  # fmt: skip
        if any(shape in text for shape in shapes) or (len(value) > 100 and value[:40] in text):  # also one that was cut
            found.add(name)
    pairs = [("ann", "USER_PASSWORD"), ("proxyuser", "PROXY_PASSWORD")]
    found |= {name for user, name in pairs if base64.b64encode(f"{user}:{SECRETS[name]}".encode()).decode().rstrip("=") in text}
    return found


def told(outcome):
    return f"{outcome!r} {msgspec.json.encode(outcome).decode()}"


PATHS = [
    "/ok", "/echo", "/auth", "/cookie", "/hostile", "/garbage", "/close", "/rst", "/truncated", "/headers_endless", "/hang",
    "/status/500", "/redirect?n=2&secret=s", "/redirect?n=-1", "/redirect?to=http%3A%2F%2F%5Bx",
]  # fmt: skip


def test_the_search_for_leaks_finds_them():
    assert leaks("") == set()
    for name, value in {**SECRETS, "LITERAL": LITERAL}.items():
        assert leaks(f"x{value}y") == leaks(repr(value.encode())) == leaks(json.dumps([value])) == leaks(quote(value)) == {name}
    assert leaks("Basic " + base64.b64encode(f"ann:{SECRETS['USER_PASSWORD']}".encode()).decode()) == {"USER_PASSWORD"}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("path", PATHS)
async def test_no_outcome_tells_a_secret(lab, engine, path):
    limits = {"timeout_s": 0.5} if path == "/hang" else {}
    outcome = await probed(engine, target(lab, path), **settings(**limits))
    assert not outcome.ok
    assert leaks(told(outcome)) == set()
    if path != "/redirect?to=http%3A%2F%2F%5Bx":
        assert "tenant=***" in told(outcome) or not outcome.hops


@pytest.mark.parametrize("engine", ENGINES)
async def test_they_were_sent_all_the_same(lab, engine):
    await probed(engine, target(lab, "/echo"), **settings())
    seen = lab.last("/echo")
    assert seen.header("x-key") == [SECRETS["HEADER_KEY"].encode().decode("latin-1")]
    assert seen.body.decode() == f'{{"secret": "{SECRETS["BODY_SECRET"]}"}}'
    assert quote(SECRETS["QUERY_TOKEN"], safe="") in seen.target
    assert seen.header("authorization") == ["Basic " + base64.b64encode(f"ann:{SECRETS['USER_PASSWORD']}".encode()).decode()]


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_was_found_instead_is_no_secret(lab, engine):
    """An assertion tells what stands where something else was expected; that may be what was sent."""
    tests = tuple(JsonTest(f"$.headers[{at}][1]", "==", "x") for at in range(13))
    expect = Expect(json=(*tests, JsonTest("$.target", "==", "x"), JsonTest("$.body", "==", "x")), header=(("content-type", "nothing"),))
    outcome = await probed(engine, target(lab, "/echo"), **settings(expect=expect))
    assert sum(not one.ok for one in outcome.assertions) >= 10
    assert leaks(told(outcome)) == set()
    expect = Expect(header=(("x-you-sent", "nothing"),), status=((401, 401),))
    outcome = await probed(engine, target(lab, "/auth"), **settings(expect=expect))
    assert outcome.assertions[1].found
    assert leaks(told(outcome)) == set()


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_host_that_is_a_secret(engine):
    outcome = await probed(engine, "http://${TENANT}.example/", shared=nameless())
    assert (outcome.cause, outcome.error) == ("dns", "***.example: there is no such name")


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_bearer_token_comes_back_masked(lab, engine):
    outcome = await probed(engine, lab.url("/auth?bearer=other"), auth=("bearer", "${BEARER}"))
    assert outcome.status == 401
    assert outcome.body == "not with Bearer ***"
    assert leaks(told(outcome)) == set()


@pytest.mark.parametrize("path", ["/auth", "/echo", "/redirect?n=2"])
@pytest.mark.parametrize("listener", ["plain", "good"])
async def test_a_proxy_and_its_password(lab, path, listener):
    proxy = f"http://proxyuser:${{PROXY_PASSWORD}}@127.0.0.1:{lab.port('guarded')}"
    outcome = await probed("httpx", target(lab, path, listener), proxy=proxy, **settings())
    assert not outcome.ok  # it does not know this password
    assert lab.seen("")[0].header("proxy-authorization")
    assert leaks(told(outcome)) == set()
    open_one = f"http://proxyuser:${{PROXY_PASSWORD}}@127.0.0.1:{lab.port()}"
    outcome = await probed("httpx", target(lab, path), proxy=open_one, **settings())
    assert outcome.status
    assert leaks(told(outcome)) == set()


async def test_a_proxy_that_sends_back_all_it_was_sent(lab):
    async def echoes(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        words = b" ".join(head.split()[::-1])  # without the names before them, by which they would be known
        writer.write(b"HTTP/1.1 500 No\r\nX-Back: %b\r\nContent-Length: %d\r\n\r\n%b" % (words, len(words), words))
        await reader.read()
        writer.close()

    async with await asyncio.start_server(echoes, "127.0.0.1", 0) as server:
        proxy = f"http://proxyuser:${{PROXY_PASSWORD}}@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        outcome = await probed("httpx", target(lab, "/ok"), proxy=proxy, **settings(method="GET", body=""))
        await asyncio.sleep(0.02)
    assert outcome.body.startswith("*** Basic Proxy-Authorization: ")
    assert leaks(told(outcome)) == set()


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_secret_with_blanks_around_it_is_sent_and_hidden_without(lab, monkeypatch, engine):
    monkeypatch.setenv("PADDED", "  padded-s3cret\t")
    outcome = await probed(engine, lab.url("/echo"), headers=(("X-Key", "${PADDED}"),), expect=Expect(status=((299, 299),)))
    assert lab.last("/echo").header("x-key") == ["padded-s3cret"]
    assert '["X-Key", "***"]' in outcome.body


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("where", ["connected", "sent", "received"])
async def test_an_error_within_tells_none(lab, monkeypatch, engine, where):
    """What goes wrong in the program itself may be printed with all that led to it."""
    seen = []
    failure = Trial.failure

    def note(trial, error):
        seen.append("".join(traceback.format_exception(error)))
        return failure(trial, error)

    async def breaks(*_):
        raise RuntimeError("within")

    monkeypatch.setattr(Trial, where, breaks)
    monkeypatch.setattr(Trial, "failure", note)
    outcome = await probed(engine, target(lab, "/ok"), **settings())
    assert "RuntimeError: within" in seen[0]
    assert outcome.error.startswith("RuntimeError ")
    assert (outcome.cause == "unmeasured") == (where != "received")  # before anybody was waited for, it can be nobody else's fault
    assert leaks("".join(seen) + told(outcome)) == set()


def test_a_message_is_not_told_by_those_who_show_variables():
    check = Check(name="x", service="s", kind="http", target="http://ann:${USER_PASSWORD}@a.example/?token=${QUERY_TOKEN}",
                  proxy="http://proxyuser:${PROXY_PASSWORD}@b.example", **settings())  # fmt: skip
    message, hidden = message_of(check)
    assert repr(message) == "<Message POST to a.example:80>"
    assert leaks(f"{message!r} {message.proxy!r} {hidden!r}") == set()


@pytest.mark.parametrize("engine", ENGINES)
async def test_no_library_writes_them_to_a_log(lab, engine, caplog):
    caplog.set_level(logging.DEBUG)
    for path in ("/ok", "/redirect?n=2", "/garbage", "/auth"):  # the last sends back what it was sent, in a header
        await probed(engine, target(lab, path), **settings())
    assert lab.seen("/auth")
    assert leaks(caplog.text) == set()


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_host_that_is_a_secret_and_a_certificate_that_is_for_another(lab, engine):
    there = f"127.0.0.1:{lab.port('wrong_name')}"
    outcome = await probed(engine, "https://${TENANT}.example/", connect_to=there, tls=Tls(ca=str(lab.ca)))
    assert outcome.tls.error == outcome.error == "certificate not accepted: made for other.example, not for ***.example"
    assert leaks(told(outcome)) == set()


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_token_that_is_no_text_is_sent_and_hidden(monkeypatch, engine):
    monkeypatch.setenv("RAW", b"t0ken\xffof-bytes".decode("utf-8", "surrogateescape"))
    sent = []

    async def echoes(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        token = next(line for line in head.split(b"\r\n") if line.startswith(b"Authorization: ")).partition(b"Bearer ")[2]
        sent.append(token)
        writer.write(b"HTTP/1.1 500 No\r\nX-Back: %b\r\nContent-Length: %d\r\n\r\n%b" % (token, len(token), token))
        await reader.read()
        writer.close()

    async with await asyncio.start_server(echoes, "127.0.0.1", 0) as server:
        outcome = await probed(engine, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", auth=("bearer", "${RAW}"))
        await asyncio.sleep(0.02)
    assert sent == [b"t0ken\xffof-bytes"]
    assert (outcome.status, outcome.body, dict(outcome.headers)["X-Back"]) == (500, "***", "***")
