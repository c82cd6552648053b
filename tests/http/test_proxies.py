"""Checks that go through a proxy: whose fault a failure is, what each side gets to see, and what of it is the target's time."""

import asyncio
import sys

import pytest
from engines import entered, nameless, probed
from misbehaving import GUARD
from quiet import measuring
from vacant import closed_port

from perfconsole.collectors.http.attempts.shared import Shared
from perfconsole.collectors.http.checking.probers import prober_of, warm_up
from perfconsole.collectors.http.httpx_engine import http_client
from perfconsole.collectors.http.httpx_engine.http_client import HttpxProber
from perfconsole.collectors.http.lean_engine.lean import LeanProber
from perfconsole.core.checks import Check, Expect, Timeouts, Tls

GUARDED = f"{GUARD[0]}:{GUARD[1]}@"


async def through(proxy, target, **settings):
    return await probed("httpx", target, proxy=proxy, **settings)


def proxy(lab, listener="plain", who="", scheme="http"):
    return f"{scheme}://{who}127.0.0.1:{lab.port(listener)}"


# Who carries it out ---------------------------------------------------------------------------------------------------------------


def test_the_check_alone_chooses_the_engine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    def chosen(**settings):
        return type(prober_of(Check(name="x", service="s", kind="http", target="http://a/", **settings), Shared()))

    assert chosen() is LeanProber
    assert chosen(method="POST", body="b", auth=("bearer", "t"), connect_to="unix:/a", tls=Tls(insecure=True)) is LeanProber
    assert chosen(proxy="http://127.0.0.1:3128") is HttpxProber


async def test_it_is_loaded_by_a_check_that_needs_it_and_warmed_up_without_a_network(tmp_path):
    program = """
import asyncio, socket, sys
from perfconsole.collectors.http.checking.probers import prober_of, warm_up
from perfconsole.collectors.http.attempts.shared import Shared
from perfconsole.core.checks import Check

def check(**settings):
    return Check(name="x", service="s", kind="http", target="http://127.0.0.1:9/", **settings)

async def main():
    shared = Shared()
    checks = [check(), check(proxy="http://127.0.0.1:9")]
    probers = [prober_of(one, shared) for one in checks]
    await warm_up(checks[:1], shared)
    assert "h11" in sys.modules and "httpx" not in sys.modules, "too early"
    made = []
    socket.socket.connect = socket.socket.connect_ex = made.append
    await warm_up(checks, shared)
    assert "httpx" in sys.modules, "too late"
    assert "anyio._backends._asyncio" in sys.modules, "not warmed up"
    assert not made, "connected to somebody"
    first = shared.compatible
    await warm_up(checks, shared)
    assert shared.compatible is first, "done twice"

asyncio.run(main())
"""
    running = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stderr=asyncio.subprocess.PIPE)
    _, said = await running.communicate()
    assert running.returncode == 0, said.decode()


async def test_where_httpx_is_missing_the_check_says_so(monkeypatch):
    for name in list(sys.modules):
        if name in {"httpx", "perfconsole.collectors.http.httpx_engine.transport"}:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "httpx", None)
    shared = Shared()
    check = Check(name="x", service="s", kind="http", target="http://a/", proxy="http://b/")
    await warm_up([check], shared)
    outcome = await HttpxProber(check, shared).probe()
    assert (outcome.cause, outcome.unmeasured) == ("unmeasured", True)
    assert outcome.error.startswith("httpx cannot be loaded here")


async def test_loading_it_takes_none_but_the_checks_own_time(lab, monkeypatch):
    ready = asyncio.Event()
    load = http_client._load

    async def slow():
        await ready.wait()
        return await load()

    monkeypatch.setattr(http_client, "_load", slow)
    shared = Shared()
    outcome = await asyncio.wait_for(through(proxy(lab), lab.url("/ok"), shared=shared, timeout_s=0.1), 60)
    assert (outcome.cause, outcome.at_least) == ("unmeasured", False)
    assert outcome.error.startswith("httpx was not loaded within 0.1 s")
    assert lab.connections["plain"] == 0
    ready.set()
    assert (await through(proxy(lab), lab.url("/ok"), shared=shared)).ok


async def test_where_it_could_not_be_loaded_once_it_is_tried_again(lab, monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    shared = Shared()
    with monkeypatch.context() as without_threads:
        without_threads.setattr(http_client, "ask", refuse)
        outcome = await through(proxy(lab), lab.url("/ok"), shared=shared)
    assert (outcome.cause, outcome.error) == ("unmeasured", "httpx cannot be loaded here: RuntimeError: can't start new thread")
    assert (await through(proxy(lab), lab.url("/ok"), shared=shared)).ok


# What passes ----------------------------------------------------------------------------------------------------------------------


async def test_plain_http_is_asked_for_by_its_whole_url(lab):
    outcome = await through(proxy(lab), lab.url("/ok?q=%41"), headers=(("X-A", "1"),))
    assert (outcome.ok, outcome.engine, outcome.status, outcome.size_bytes) == (True, "httpx", 200, 2)
    assert outcome.address == f"127.0.0.1:{lab.port()}"
    asked, relayed = lab.seen("/ok")
    assert (asked.target, relayed.target) == (lab.url("/ok?q=%41"), "/ok?q=%41")
    assert [name for name, _ in asked.headers] == ["Host", "User-Agent", "Accept", "Accept-Encoding", "Connection", "X-A"]
    assert asked.header("host") == [f"127.0.0.1:{lab.port()}"]
    assert entered(outcome) == ["connect", "send", "wait", "transfer"]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_tls_goes_through_a_tunnel(lab, scheme):
    """Also one within another: the proxy is spoken to in TLS, and through that the target in its own."""
    by = proxy(lab) if scheme == "http" else proxy(lab, "near", scheme="https")
    outcome = await through(by, lab.url("/ok", "good"), tls=Tls(ca=str(lab.ca)))
    assert (outcome.ok, outcome.status, outcome.tls.verified) == (True, 200, True)
    assert [one.subject for one in outcome.tls.chain] == ["CN=good", "CN=middle"]  # the target's, not the proxy's
    assert entered(outcome) == ["connect", "tls", "send", "wait", "transfer"]
    connect, asked = lab.requests
    assert (connect.method, connect.target) == ("CONNECT", f"127.0.0.1:{lab.port('good')}")
    assert (asked.listener, asked.target, asked.header("proxy-authorization")) == ("good", "/ok", [])


async def test_plain_http_by_a_proxy_that_speaks_tls(lab):
    outcome = await through(proxy(lab, "good", scheme="https"), lab.url("/ok"), tls=Tls(ca=str(lab.ca)))
    assert (outcome.ok, outcome.tls) == (True, None)
    assert [seen.listener for seen in lab.seen("/ok")] == ["good", "plain"]


async def test_a_large_body_through_tls_within_tls(lab):
    target = lab.url("/big?kb=500", "good")
    outcome = await through(proxy(lab, "near", scheme="https"), target, tls=Tls(ca=str(lab.ca)), method="POST", body="y" * 200_000)
    assert (outcome.ok, outcome.size_bytes) == (True, 512_000)
    assert lab.last("/big").body == b"y" * 200_000


async def test_an_ipv6_target(lab):
    if "good" not in lab.ports6:
        pytest.skip("this machine has no IPv6")
    outcome = await through(proxy(lab), lab.url("/ok", "good", host="::1"), tls=Tls(ca=str(lab.ca)))
    assert outcome.ok
    assert lab.requests[0].target == f"[::1]:{lab.port('good')}"
    assert (await through(proxy(lab), lab.url("/ok", host="::1"))).ok


async def test_a_guarded_proxy_lets_in_who_it_knows(lab, monkeypatch):
    monkeypatch.setenv("PROXY_PASSWORD", GUARD[1])
    by = proxy(lab, "guarded", f"{GUARD[0]}:${{PROXY_PASSWORD}}@")
    assert (await through(by, lab.url("/ok"))).ok
    assert (await through(by, lab.url("/ok", "good"), tls=Tls(ca=str(lab.ca)))).ok
    at_proxy = [seen.header("proxy-authorization") for seen in lab.requests if seen.listener == "guarded"]
    at_target = [seen.header("proxy-authorization") for seen in lab.requests if seen.listener != "guarded"]
    assert at_proxy == [["Basic cHJveHl1c2VyOnByb3h5LXBhNTU="]] * 2
    assert at_target == [[], []]
    assert lab.requests[0].headers[0][0] == "Host"


async def test_a_proxy_named_in_a_file_or_in_the_environment(lab, monkeypatch, tmp_path):
    secret = tmp_path / "proxy"
    secret.write_text(proxy(lab, "guarded", GUARDED) + "\n")
    assert (await through(f"file:{secret}", lab.url("/ok"))).ok
    monkeypatch.setenv("BY", secret.read_text().strip())
    assert (await through("${BY}", lab.url("/ok"))).ok
    outcome = await through("${NOT_SET_AT_ALL}", lab.url("/ok"))
    assert (outcome.cause, outcome.error.partition(" ")[0]) == ("unmeasured", "${NOT_SET_AT_ALL}")
    monkeypatch.setenv("BY", "socks5://127.0.0.1:1080")
    assert (await through("${BY}", lab.url("/ok"))).cause == "unmeasured"


async def test_redirects_go_through_it_too(lab):
    outcome = await through(proxy(lab, "guarded", GUARDED), lab.url("/redirect?n=2"), expect=Expect(body="OK"))
    assert (outcome.ok, [hop.status for hop in outcome.hops]) == (True, [302, 302, 200])
    assert lab.connections["guarded"] == 3


async def test_no_client_certificate_is_shown_to_it(lab):
    client = lab.pairs["client"]
    tls = Tls(ca=str(lab.ca), cert=str(client.cert), key=str(client.key))
    outcome = await through(proxy(lab, "mutual", scheme="https"), lab.url("/ok"), tls=tls)
    assert (outcome.ok, outcome.cause, outcome.error) == (False, "tls", "the proxy: the server wants a client certificate")


# What does not --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("who", "words"), [("", "wants a user and a password"), ("a:b@", "does not take this user and password")])
async def test_a_guarded_proxy_turns_others_away(lab, who, words):
    outcome = await through(proxy(lab, "guarded", who), lab.url("/ok", "good"), tls=Tls(ca=str(lab.ca)))
    assert (outcome.cause, outcome.error) == ("connect", f"the proxy answered 407: it {words}")
    assert (outcome.status, outcome.tls, entered(outcome)) == (0, None, ["connect"])
    outcome = await through(proxy(lab, "guarded", who), lab.url("/ok"))
    assert (outcome.cause, outcome.status, outcome.body) == ("status", 407, "who are you?")


async def test_a_proxy_that_cannot_connect(lab):
    port = closed_port()
    outcome = await through(proxy(lab), f"https://127.0.0.1:{port}/")
    assert (outcome.cause, outcome.error) == ("connect", f"the proxy answered 502: it did not connect to 127.0.0.1:{port}")


async def test_a_proxy_that_is_not_there():
    port = closed_port()
    for target in ("http://shop.example/", "https://shop.example/"):
        outcome = await through(f"http://127.0.0.1:{port}", target)
        assert (outcome.cause, outcome.error) == ("connect", f"the proxy: connection refused by 127.0.0.1:{port}")
        outcome = await through("http://proxy.example:3128", target, shared=nameless())
        assert (outcome.cause, outcome.error) == ("dns", "the proxy: proxy.example: there is no such name")


async def test_a_proxy_whose_certificate_is_not_accepted(lab):
    outcome = await through(proxy(lab, "expired", scheme="https"), lab.url("/ok", "good"), tls=Tls(ca=str(lab.ca)))
    assert (outcome.cause, outcome.error) == ("tls", "the proxy: certificate not accepted: expired")
    assert (outcome.tls, entered(outcome)) == (None, ["connect"])


async def test_a_target_whose_certificate_is_not_accepted(lab):
    outcome = await through(proxy(lab), lab.url("/ok", "expired"), tls=Tls(ca=str(lab.ca)))
    assert (outcome.cause, outcome.tls.chain[0].subject) == ("tls", "CN=expired")
    assert outcome.error.startswith("certificate not accepted: expired 3 days ago")


async def test_a_proxy_that_speaks_no_tls(lab):
    outcome = await through(proxy(lab, scheme="https"), lab.url("/ok"))
    assert (outcome.cause, outcome.error) == ("tls", "the proxy: this port does not speak TLS")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", "the proxy: the server closed the connection while a connection was being made"),
        (b"220 mail ready\r\n\r\n", "the proxy: what was answered is no HTTP: illegal status line"),
    ],
)
async def test_a_proxy_that_is_none(lab, answer, error):
    async def answers(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(answers, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        outcome = await through(f"http://127.0.0.1:{port}", lab.url("/ok", "good"), tls=Tls(ca=str(lab.ca)))
        await asyncio.sleep(0.01)
    assert (outcome.cause, outcome.error) == ("protocol", error)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(("limits", "seconds"), [({"timeout_s": 0.5}, 0.5), ({"timeouts": Timeouts(connect=0.15)}, 0.15)])
@measuring
async def test_a_proxy_that_never_answers(lab, scheme, limits, seconds):
    """Neither the handshake with it, nor what it is asked then: both are a part of connecting."""
    by = proxy(lab, "tls_hang", scheme=scheme)
    outcome = await through(by, lab.url("/ok", "good"), tls=Tls(ca=str(lab.ca)), **limits)
    assert (outcome.cause, outcome.error) == ("timeout", f"timeout of {seconds:g} s while a connection was being made")
    assert entered(outcome) == ["connect"]
    assert outcome.phases.connect >= 0.5 * seconds


@measuring
async def test_the_limit_of_connecting_is_for_all_of_it(lab, monkeypatch):
    """A handshake that takes half of it, and then a target to which the proxy does not get through."""
    monkeypatch.setattr(lab, "tls_slow_s", 0.3)
    target = f"https://127.0.0.1:{lab.port('full')}/"
    outcome = await through(proxy(lab, "tls_slow", scheme="https"), target, tls=Tls(ca=str(lab.ca)), timeouts=Timeouts(connect=0.6))
    assert outcome.error == "timeout of 0.6 s while a connection was being made"
    assert 0.55 <= outcome.phases.connect <= 0.85


# Whose time it is -----------------------------------------------------------------------------------------------------------------


@measuring
async def test_what_a_proxy_takes_is_a_part_of_connecting(lab):
    class Slow:
        """Takes half a second to let somebody through."""

        def __init__(self):
            self.talks = []

        async def __call__(self, reader, writer):
            self.talks.append(asyncio.current_task())
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.5)
            writer.write(b"HTTP/1.1 200 Go ahead\r\n\r\n")
            await lab._join(reader, writer, *await asyncio.open_connection("127.0.0.1", lab.port("good")))

    slow = Slow()
    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        outcome = await through(f"http://127.0.0.1:{port}", lab.url("/slow?ms=500", "good"), tls=Tls(ca=str(lab.ca)))
        await asyncio.gather(*slow.talks)
    assert outcome.ok
    assert 0.45 <= outcome.phases.connect <= 0.6 * outcome.total_s
    assert 0.45 <= outcome.phases.wait <= 0.6 * outcome.total_s
