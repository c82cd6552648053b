"""Every behaviour of a server, by both engines: one outcome. What it has to be is said here, too: both could be wrong alike."""

import os
import socket
import time
from urllib.parse import quote

import pytest
from engines import ENGINES, alike, entered, nameless, probed, told
from quiet import measuring
from vacant import closed_port

from perfconsole.collectors.http.attempts.shared import Shared
from perfconsole.collectors.http.judging import expect as judge
from perfconsole.collectors.http.network.names import Resolver
from perfconsole.core.checks import Expect, JsonTest, Timeouts, Tls, expiry

PLAIN = ["connect", "send", "wait", "transfer"]
SECURE = ["connect", "tls", "send", "wait", "transfer"]


def leading(lab, to, listener="plain", host=""):
    """The address of a redirect to a place."""
    path = f"/redirect?to={quote(to, safe='')}"
    return f"http://{host}{path}" if host else lab.url(path, listener)


def trusted(lab, **settings):
    return Tls(ca=str(lab.ca), **settings)


# Answers --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "size", "protocol"),
    [
        ("/ok", 200, 2, "HTTP/1.1"),
        ("/slow?ms=20", 200, 2, "HTTP/1.1"),
        ("/status/204", 204, 0, "HTTP/1.1"),
        ("/status/304", 304, 0, "HTTP/1.1"),
        ("/headers_slow?n=3&ms=10", 200, 2, "HTTP/1.1"),
        ("/early?ms=10", 200, 2, "HTTP/1.1"),
        ("/drip?n=5&ms=5", 200, 5, "HTTP/1.1"),
        ("/big?kb=300", 200, 307_200, "HTTP/1.1"),
        ("/until_closed", 200, 8, "HTTP/1.0"),
    ],
)
async def test_an_answer(lab, path, status, size, protocol):
    outcome = await alike(lab.url(path))
    assert (outcome.ok, outcome.cause, outcome.error) == (True, "", "")
    assert (outcome.status, outcome.size_bytes, outcome.protocol) == (status, size, protocol)
    assert outcome.address == f"127.0.0.1:{lab.port()}"
    assert entered(outcome) == PLAIN  # an address needs no DNS
    assert (outcome.headers, outcome.body, outcome.hops, outcome.tls) == ((), "", (), None)


@pytest.mark.parametrize("code", [400, 404, 500, 503])
async def test_a_status_that_is_not_expected(lab, code):
    outcome = await alike(lab.url(f"/status/{code}"))
    assert (outcome.ok, outcome.cause, outcome.status) == (False, "status", code)
    assert outcome.error == f"status {code}, expected status 200-399"
    assert outcome.body == "as asked"
    assert ("Content-Length", "8") in outcome.headers
    assert outcome.latency_s != outcome.latency_s  # an error page in no time is no fast answer


@pytest.mark.parametrize("engine", ENGINES)
@measuring
async def test_a_failure_of_the_latency_is_one_whatever_else_failed(lab, engine):
    expect = Expect(status=((204, 204),), max_latency_s=0.02)
    outcome = await probed(engine, lab.url("/slow?ms=60"), expect=expect)
    assert (outcome.cause, outcome.slow, outcome.latency_s) == ("status", True, outcome.total_s)
    assert outcome.total_s >= 0.06
    quick = await probed(engine, lab.url("/ok"), expect=Expect(body="absent", max_latency_s=5))
    assert (quick.cause, quick.slow, quick.latency_s != quick.latency_s) == ("assertion", False, True)


@pytest.mark.parametrize("method", ["HEAD", "GET", "OPTIONS", "DELETE"])
async def test_methods(lab, method):
    outcome = await alike(lab.url("/ok"), method=method)
    assert (outcome.ok, outcome.size_bytes) == (True, 0 if method == "HEAD" else 2)
    assert [seen.method for seen in lab.seen("/ok")] == [method, method]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("body", ["", "grüße", "x" * 300_000])
async def test_bodies_are_sent(lab, method, body):
    assert (await alike(lab.url("/ok"), method=method, body=body)).ok
    for seen in lab.seen("/ok"):
        assert seen.body == body.encode()
        assert seen.header("content-length") == [str(len(body.encode()))]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("user=ann&password=p%3Aw%C3%B6", ("basic", "ann", "p:wö")),
        ("user=t0ken&password=", ("basic", "t0ken", "")),
        ("bearer=t0ken", ("bearer", "t0ken")),
    ],
)
async def test_credentials(lab, asked, given):
    assert (await alike(lab.url(f"/auth?{asked}"), auth=given, expect=Expect(body="welcome"))).ok
    outcome = await alike(lab.url(f"/auth?{asked}"))
    assert (outcome.cause, outcome.status) == ("status", 401)
    assert ("WWW-Authenticate", 'Basic realm="lab"') in outcome.headers


@pytest.mark.parametrize("limit", [0, 1, 8, 65_536])
async def test_a_body_is_cut_at_the_limit(lab, limit):
    assert (await alike(lab.url("/endless"), body_limit_bytes=limit)).size_bytes == limit


async def test_a_body_of_exactly_the_limit_is_whole(lab):
    outcome = await alike(lab.url("/big?kb=1"), body_limit_bytes=1024, expect=Expect(body="absent"))
    assert outcome.assertions[1].found == "not in 1024 bytes"
    outcome = await alike(lab.url("/big?kb=1"), body_limit_bytes=1023, expect=Expect(body="absent"))
    assert outcome.assertions[1].found == "not in 1023 bytes, the rest was not read"


async def test_a_body_that_came_packed_is_tested_unpacked_and_counted_packed(lab):
    outcome = await alike(lab.url("/gzipped"), expect=Expect(body="unpacked text"))
    assert outcome.ok
    assert outcome.size_bytes == 33


async def test_a_body_that_bursts_is_unpacked_no_further_than_the_limit(lab):
    outcome = await alike(lab.url("/bomb"), body_limit_bytes=100_000, expect=Expect(body="absent"))
    assert outcome.assertions[1].found == "not in 100000 bytes, the rest was not read"
    assert len(outcome.body) < 3000


async def test_what_would_take_over_a_terminal(lab):
    outcome = await alike(lab.url("/hostile"))
    assert outcome.body == "␛]0;owned␇␛[2Jsecond line\nthird\ufffd line"
    assert ("X-Bad", "␛[31mred") in outcome.headers


async def test_expectations(lab):
    expect = Expect(
        status=((200, 200),), body='"UP"', not_body="DOWN", regex=r'"version": "1\.\d', header=(("content-type", "json"),),
        json=(JsonTest("$.db.pool.used", "<", 9), JsonTest("$.items", "len", 2)),
    )  # fmt: skip
    outcome = await alike(lab.url("/json"), expect=expect)
    assert [one.ok for one in outcome.assertions] == [True] * 7
    wrong = await alike(lab.url("/json"), expect=Expect(json=(JsonTest("$.db.pool.used", ">", 9),)))
    assert (wrong.ok, wrong.cause) == (False, "assertion")
    assert wrong.error == "8, expected $.db.pool.used > 9"


@measuring
async def test_an_expectation_that_takes_longer_than_the_check_may(lab):
    outcome = await alike(lab.url("/big?kb=64"), expect=Expect(regex="(b|bb)+c"), timeout_s=0.15)
    assert (outcome.cause, outcome.status, outcome.size_bytes) == ("unmeasured", 200, 65_536)
    assert outcome.error == "what is expected of the answer was not tested within 0.15 s of the check: that takes too long"


@measuring
async def test_an_expectation_of_which_it_is_not_known_whether_it_holds(lab, monkeypatch):
    monkeypatch.setattr(judge, "BUDGET_S", 60.0)  # of all of them; a pattern's own limit stands
    expect = Expect(regex="(b|bb)+c")
    outcome = await alike(lab.url("/big?kb=1"), expect=expect, timeout_s=100)
    assert (outcome.ok, outcome.cause) == (False, "unmeasured")
    assert outcome.error == 'not known: it takes too long to find out, expected body matches "(b|bb)+c"'
    outcome = await alike(lab.url("/big?kb=1"), expect=Expect(regex="(b|bb)+c", json=(JsonTest("$", "has"),)))
    assert (outcome.cause, outcome.error.partition(":")[0]) == ("assertion", "the body is no JSON")  # that one is known


# Failures -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "error", "phases"),
    [
        ("/close", "the server closed the connection while the answer was awaited", PLAIN[:-1]),
        ("/rst", "connection reset by the server while the answer was awaited", PLAIN[:-1]),
        ("/garbage", "what was answered is no HTTP: illegal status line", PLAIN),
        ("/headers_endless", "more than 1000 headers: no server means that", PLAIN),
        ("/status/101", "the server went over to another protocol, which nobody asked for", PLAIN),
    ],
)
async def test_an_answer_that_is_none(lab, path, error, phases):
    outcome = await alike(lab.url(path))
    assert (outcome.ok, outcome.cause, outcome.error, outcome.status) == (False, "protocol", error, 0)
    assert entered(outcome) == phases
    assert outcome.latency_s != outcome.latency_s  # failed at once is not fast


async def test_a_body_that_breaks_off(lab):
    outcome = await alike(lab.url("/truncated"))
    assert (outcome.cause, outcome.status, outcome.size_bytes, outcome.body) == ("protocol", 200, 9, "only this")
    assert outcome.error == "the server closed the connection before the body was complete (received 9 bytes, expected 1000)"


@pytest.mark.parametrize(("limits", "seconds"), [({"timeout_s": 0.15}, 0.15), ({"timeouts": Timeouts(wait=0.1)}, 0.1)])
@measuring
async def test_a_server_that_never_answers(lab, limits, seconds):
    outcome = await alike(lab.url("/hang"), **limits)
    assert (outcome.cause, outcome.error) == ("timeout", f"timeout of {seconds:g} s while the answer was awaited")
    assert outcome.at_least
    assert outcome.latency_s >= 0.9 * seconds
    assert outcome.phases.wait >= 0.9 * outcome.total_s


@measuring
async def test_a_body_that_never_ends_in_time(lab):
    outcome = await alike(lab.url("/drip?n=5&ms=60000"), timeout_s=0.15)
    assert (outcome.cause, outcome.error) == ("timeout", "timeout of 0.15 s while the answer was being received")
    assert (outcome.status, outcome.size_bytes) == (200, 0)
    assert outcome.phases.transfer >= 0.8 * outcome.total_s


@measuring
async def test_the_limit_of_the_wait_is_for_the_first_byte(lab):
    assert (await alike(lab.url("/drip?n=4&ms=100"), timeouts=Timeouts(wait=0.3))).ok


@measuring
async def test_the_limit_of_the_wait_is_for_the_answer_and_no_hint_of_one(lab):
    outcome = await alike(lab.url("/early?ms=400"), timeouts=Timeouts(wait=0.2))
    assert (outcome.cause, outcome.error) == ("timeout", "timeout of 0.2 s while the answer was awaited")
    assert entered(outcome) == PLAIN[:-1]
    assert 0.18 <= outcome.phases.wait <= 0.35


@pytest.mark.parametrize(("limits", "seconds"), [({"timeout_s": 0.15}, 0.15), ({"timeouts": Timeouts(connect=0.1)}, 0.1)])
@measuring
async def test_a_port_that_drops_packets(lab, limits, seconds):
    outcome = await alike(f"http://127.0.0.1:{lab.port('full')}/ok", **limits)
    assert (outcome.cause, outcome.error) == ("timeout", f"timeout of {seconds:g} s while a connection was being made")
    assert entered(outcome) == ["connect"]


async def test_a_refused_port():
    port = closed_port()
    outcome = await alike(f"http://127.0.0.1:{port}/")
    assert (outcome.cause, outcome.error) == ("connect", f"connection refused by 127.0.0.1:{port}")
    assert outcome.address == f"127.0.0.1:{port}"


@pytest.mark.parametrize("host", ["shop.example", "a_b.example", "1.2.3.999", "xn--bcher-kva.example", "bücher.example"])
async def test_names_that_do_not_resolve(host):
    outcome = await alike(f"http://{host}/", shared=nameless())
    assert (outcome.cause, outcome.error) == ("dns", f"{host.replace('bücher', 'xn--bcher-kva')}: there is no such name")
    assert (entered(outcome), outcome.address) == (["dns"], "")


async def test_a_resolver_that_hangs():
    near, far = socket.socketpair()

    def hangs(*_):
        near.recv(1)
        return []

    with near, far:
        outcome = await alike("http://hang.example/", shared=Shared(Resolver(hangs)), timeouts=Timeouts(dns=0.1))
        far.send(b"an")
    assert (outcome.cause, outcome.error) == ("timeout", "timeout of 0.1 s while the name was being looked up")


async def test_by_name_and_by_family(lab):
    outcome = await alike(lab.url("/ok", host="localhost"), family=4)
    assert entered(outcome) == ["dns", *PLAIN]
    assert outcome.address == f"127.0.0.1:{lab.port()}"
    if "plain" in lab.ports6:
        assert (await alike(lab.url("/ok", host="::1"))).address == f"[::1]:{lab.port()}"
        assert lab.last("/ok").header("host") == [f"[::1]:{lab.port()}"]
    assert (await alike("http://[::1]/", family=4)).error == "::1 is an IPv6 address, and IPv4 is asked for"


async def test_only_the_first_address_is_tried():
    port = closed_port()
    two = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", 0)), (socket.AF_INET, 1, 6, "", ("192.0.2.1", 0))]
    outcome = await alike(f"http://two.example:{port}/", shared=Shared(Resolver(lambda *_: two)))
    assert outcome.error == f"connection refused by 127.0.0.1:{port}, the first of 2 addresses"


# Redirects ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@measuring
async def test_redirects_are_followed(lab, status):
    outcome = await alike(lab.url(f"/redirect?n=3&status={status}"))
    assert (outcome.ok, outcome.status) == (True, 200)
    assert [hop.status for hop in outcome.hops] == [status, status, status, 200]
    assert outcome.hops[3].url == lab.url(f"/ok?status={status}")
    assert sum(hop.seconds for hop in outcome.hops) == pytest.approx(outcome.total_s, rel=0.2)


@pytest.mark.parametrize(
    ("status", "method", "after"),
    [(301, "POST", "GET"), (302, "PUT", "GET"), (303, "POST", "GET"), (307, "POST", "POST"), (308, "PUT", "PUT"), (302, "HEAD", "HEAD")],
)
async def test_what_a_redirect_makes_of_a_method(lab, status, method, after):
    assert (await alike(lab.url(f"/redirect?status={status}"), method=method, body="" if method == "HEAD" else "kept")).ok
    for seen in lab.seen("/ok"):
        assert (seen.method, seen.body) == (after, b"kept" if after in {"POST", "PUT"} else b"")
        assert bool(seen.header("content-length")) == (after in {"POST", "PUT"})


async def test_a_loop_of_redirects_ends(lab):
    outcome = await alike(lab.url("/redirect?n=-1"), redirects=4)
    assert (outcome.cause, outcome.status) == ("protocol", 302)
    assert outcome.error == f"redirected more than 4 times, at last from {lab.url('/redirect?n=-1')}"
    assert len(outcome.hops) == 5
    assert len(lab.seen("/redirect")) == 10


async def test_redirects_that_are_not_followed_are_an_answer(lab):
    for location in ("/ok", "http://[broken", "http://1.2.3.999/"):
        outcome = await alike(leading(lab, location), redirects=0)
        assert (outcome.ok, outcome.status, outcome.size_bytes, outcome.hops) == (True, 302, 9, ())


@pytest.mark.parametrize("location", ["http://[broken", "ftp://127.0.0.1/", "http://127.0.0.1:99999/", "http://a b/"])
async def test_a_redirect_to_nowhere(lab, location):
    outcome = await alike(leading(lab, location))
    assert (outcome.cause, outcome.error) == ("protocol", "redirected to what is no address of a web page")
    assert outcome.headers


async def test_a_redirect_to_what_is_no_address(lab):
    outcome = await alike(leading(lab, "http://1.2.3.999/"), shared=nameless())
    assert (outcome.cause, outcome.error) == ("dns", "1.2.3.999: there is no such name")


async def test_a_redirect_to_another_place_fails_there(lab):
    port = closed_port()
    outcome = await alike(leading(lab, f"http://127.0.0.1:{port}/"))
    assert (outcome.cause, outcome.error) == ("connect", f"connection refused by 127.0.0.1:{port}")
    assert (outcome.status, outcome.address) == (0, f"127.0.0.1:{port}")
    assert [hop.status for hop in outcome.hops] == [302, 0]


async def test_a_redirect_to_tls(lab):
    outcome = await alike(leading(lab, lab.url("/ok", "good")), tls=trusted(lab))
    assert (outcome.ok, outcome.tls.verified) == (True, True)
    assert entered(outcome) == SECURE


def days_left(seconds):
    return round((seconds - time.time()) / 86_400)


async def test_the_certificate_of_a_hop_that_leads_on_is_watched_too(lab):
    outcome = await alike(leading(lab, lab.url("/ok", "good"), "near"), tls=trusted(lab))
    assert (outcome.ok, outcome.tls.chain[0].subject) == (True, "CN=good")
    assert [days_left(hop.expires) for hop in outcome.hops] == [5, 90]
    assert days_left(expiry(outcome)) == 5


async def test_a_redirect_from_tls_to_none_keeps_what_the_handshake_told(lab):
    outcome = await alike(leading(lab, lab.url("/ok"), "near"), tls=trusted(lab))
    assert (outcome.ok, outcome.tls.verified, outcome.tls.chain[0].subject) == (True, True, "CN=near")
    assert (days_left(outcome.hops[0].expires), outcome.hops[1].expires != outcome.hops[1].expires) == (5, True)
    assert days_left(expiry(outcome)) == 5


async def test_where_a_redirect_cannot_be_followed_it_has_no_handshake(lab):
    outcome = await alike(leading(lab, f"https://127.0.0.1:{closed_port()}/", "near"), tls=trusted(lab))
    assert (outcome.cause, outcome.tls, days_left(outcome.hops[0].expires)) == ("connect", None, 5)


async def test_no_cookie_is_kept(lab):
    assert (await alike(leading(lab, "/cookie"), expect=Expect(body="sent: "))).ok
    assert [seen.header("cookie") for seen in lab.requests] == [[]] * 4


# Elsewhere ------------------------------------------------------------------------------------------------------------------------


async def test_elsewhere(lab):
    outcome = await alike("http://shop.example/ok", connect_to=f"127.0.0.1:{lab.port()}")
    assert (outcome.ok, outcome.address) == (True, f"127.0.0.1:{lab.port()}")
    assert lab.last("/ok").header("host") == ["shop.example"]
    outcome = await alike("http://shop.example/ok?unix", connect_to=f"unix:{lab.unix}")
    assert (outcome.ok, outcome.address) == (True, f"unix:{lab.unix}")
    assert lab.last("/ok?unix").listener == "unix"
    outcome = await alike("http://shop.example/ok", connect_to="unix:/no/such")
    assert (outcome.cause, outcome.error) == ("connect", "there is no such socket: unix:/no/such")


async def test_elsewhere_is_for_the_target_and_not_for_where_it_leads(lab):
    settings = {"connect_to": f"unix:{lab.unix}", "host": "shop.example"}
    outcome = await alike(leading(lab, lab.url("/ok"), host="first.example"), **settings)
    assert (outcome.ok, outcome.address) == (True, f"127.0.0.1:{lab.port()}")
    assert lab.last("/redirect").header("host") == ["shop.example"]
    assert lab.last("/ok").header("host") == [f"127.0.0.1:{lab.port()}"]
    same = await alike(leading(lab, "/ok?same", host="first.example"), **settings)
    assert (same.ok, lab.last("/ok?same").header("host")) == (True, ["shop.example"])


# TLS ------------------------------------------------------------------------------------------------------------------------------


async def test_tls_that_is_accepted(lab):
    outcome = await alike(lab.url("/ok", "good"), tls=trusted(lab))
    assert (outcome.ok, outcome.tls.verified, outcome.tls.error, outcome.tls.version) == (True, True, "", "TLSv1.3")
    assert [one.subject for one in outcome.tls.chain] == ["CN=good", "CN=middle"]
    assert entered(outcome) == SECURE


@pytest.mark.parametrize(
    ("listener", "words"),
    [
        ("expired", "expired 3 days ago"),
        ("future", "not valid before"),
        ("wrong_name", "made for other.example, not for 127.0.0.1"),
        ("self_signed", "self-signed"),
    ],
)
async def test_tls_that_is_refused_tells_its_certificates(lab, listener, words):
    outcome = await alike(lab.url("/ok", listener), tls=trusted(lab))
    assert (outcome.ok, outcome.cause, outcome.status) == (False, "tls", 0)
    assert outcome.error.startswith(f"certificate not accepted: {words}")
    assert outcome.tls.error == outcome.error
    assert outcome.tls.chain[0].subject == f"CN={listener}"
    assert entered(outcome) == ["connect", "tls"]
    insecure = await alike(lab.url("/ok", listener), tls=Tls(insecure=True))
    assert (insecure.ok, insecure.tls.verified, insecure.tls.error, insecure.tls.chain) == (True, False, "", outcome.tls.chain)


async def test_an_authority_that_is_not_trusted(lab):
    outcome = await alike(lab.url("/ok", "good"))
    assert (outcome.ok, outcome.cause) == (False, "tls")
    assert outcome.error.startswith("certificate not accepted: unknown issuer")


async def test_where_the_library_keeps_no_refused_chain_a_second_handshake_reads_it(lab, monkeypatch):
    monkeypatch.setattr("perfconsole.collectors.http.network.contexts.sent_chain", lambda _: ())
    outcome = await alike("https://127.0.0.1:1/ok", connect_to=f"127.0.0.1:{lab.port('expired')}", tls=trusted(lab))
    assert outcome.error == "certificate not accepted: expired"
    assert outcome.tls.chain[0].subject == "CN=expired"


async def test_another_name_for_the_handshake(lab):
    assert (await alike(lab.url("/ok", "wrong_name"), tls=trusted(lab, server_name="other.example"))).ok
    there = f"127.0.0.1:{lab.port('wrong_name')}"
    assert (await alike("https://other.example/ok", connect_to=there, tls=trusted(lab))).ok
    assert (await alike("https://shop.example/ok", connect_to=there, tls=trusted(lab))).error.endswith("not for shop.example")


async def test_the_name_for_the_handshake_is_not_for_where_it_leads(lab):
    there = leading(lab, lab.url("/ok", "good", host="localhost"), "wrong_name")
    outcome = await alike(there, tls=trusted(lab, server_name="other.example"), family=4)
    assert (outcome.ok, outcome.tls.chain[0].subject) == (True, "CN=good")


async def test_a_client_certificate(lab):
    client = lab.pairs["client"]
    outcome = await alike(lab.url("/ok", "mutual"), tls=trusted(lab, cert=str(client.cert), key=str(client.key)))
    assert (outcome.ok, outcome.status) == (True, 200)
    outcome = await alike(lab.url("/ok", "mutual"), tls=trusted(lab))
    assert (outcome.cause, outcome.error) == ("tls", "the server wants a client certificate")
    assert outcome.tls.verified


@pytest.mark.parametrize("listener", ["plain", "not_tls"])
async def test_a_port_that_speaks_no_tls(lab, listener):
    outcome = await alike(f"https://127.0.0.1:{lab.port(listener)}/ok")
    assert (outcome.cause, outcome.error, outcome.tls) == ("tls", "this port does not speak TLS", None)


async def test_a_port_that_speaks_tls_only(lab):
    outcome = await alike(f"http://127.0.0.1:{lab.port('good')}/ok")
    assert outcome.cause == "protocol"


@pytest.mark.parametrize(("limits", "seconds"), [({"timeout_s": 0.15}, 0.15), ({"timeouts": Timeouts(tls=0.1)}, 0.1)])
@measuring
async def test_a_handshake_that_hangs(lab, limits, seconds):
    outcome = await alike(f"https://127.0.0.1:{lab.port('tls_hang')}/ok", tls=Tls(insecure=True), **limits)
    assert (outcome.cause, outcome.error) == ("timeout", f"timeout of {seconds:g} s while TLS was being set up")
    assert outcome.at_least
    assert outcome.phases.tls >= 0.8 * outcome.total_s


# What is ours ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"tls": Tls(ca="/no/such/ca.pem")}, "/no/such/ca.pem cannot be read"),
        ({"headers": (("X-Token", "${NOT_SET_AT_ALL}"),)}, "${NOT_SET_AT_ALL} is not set in the environment"),
        ({"auth": ("bearer", "file:/no/such/token")}, "file:/no/such/token cannot be read"),
        ({"host": "${NOT_SET_AT_ALL}"}, "${NOT_SET_AT_ALL} is not set in the environment"),
        ({"headers": (("Transfer-Encoding", "gzip"),)}, "what is configured makes no HTTP request"),
        ({"headers": (("Content-Length", "7"),)}, "what is configured makes no HTTP request"),
        ({"headers": (("X-Token", "a\x01b"),)}, "the header X-Token cannot be sent"),
    ],
)
async def test_what_is_ours_says_nothing_about_the_target_and_connects_to_nobody(lab, settings, error):
    outcome = await alike(lab.url("/ok", "good"), **settings)
    assert (outcome.cause, outcome.unmeasured) == ("unmeasured", True)
    assert outcome.error.startswith(error)
    assert (outcome.address, entered(outcome)) == ("", [])
    assert lab.connections["good"] == 0


@measuring
async def test_a_file_on_a_disk_that_does_not_answer(lab, tmp_path):
    pipe = tmp_path / f"pipe{time.monotonic_ns()}"
    os.mkfifo(pipe)
    outcome = await alike(lab.url("/ok", "good"), tls=Tls(ca=str(pipe)), timeout_s=0.1)
    assert (outcome.cause, outcome.at_least) == ("unmeasured", False)
    assert outcome.error == "its files were not read within 0.1 s: the disk that they are on does not answer"
    outcome = await alike(leading(lab, lab.url("/ok", "good")), tls=Tls(ca=str(pipe)), timeout_s=0.3)
    # Also on the way, when the first hop did its work.
    assert outcome.error == "its files were not read within 0.3 s: the disk that they are on does not answer"
    os.close(os.open(pipe, os.O_RDWR))  # lets go the threads that wait for somebody to write


async def test_two_outcomes_of_one_thing_are_told_apart(lab):
    """The comparison itself sees a difference."""
    good, bad = await probed("lean", lab.url("/ok")), await probed("httpx", lab.url("/status/500"))
    differ = {name for name, value in told(good).items() if told(bad)[name] != value}
    assert differ == {"verdict", "answer", "assertions"}
