"""What is sent, byte for byte: the same from both engines, once, and to nobody who is not meant."""

import asyncio
import ssl
import threading
from contextlib import suppress
from urllib.parse import quote

import pytest
from engines import ENGINES, alike, probed

from perfconsole import __version__
from perfconsole.collectors.http.attempts.request import message_of
from perfconsole.config.secrets import resolve
from perfconsole.core.checks import Check, Timeouts, Tls

OWN = [f"User-Agent: perfconsole/{__version__}", "Accept: */*", "Accept-Encoding: identity", "Connection: close"]


class Scribe:
    """A server that writes down every byte, and answers what it is told to.

    Attributes:
        said: What each connection said.
    """

    def __init__(self, *answers):
        self.answers = list(answers or [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"])
        self.said = []
        self._talks = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._listen, "127.0.0.1", 0)
        self.place = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        await asyncio.wait_for(asyncio.gather(*self._talks), 5)

    async def _listen(self, reader, writer):
        self._talks.append(asyncio.current_task())
        said = bytearray()
        self.said.append(said)
        with suppress(OSError):
            while not self._whole(said) and (more := await reader.read(65536)):
                said += more
            writer.write(self.answers[min(len(self.said), len(self.answers)) - 1])
            while more := await reader.read(65536):
                said += more
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    @staticmethod
    def _whole(said):
        head, end, body = said.partition(b"\r\n\r\n")
        length = next((int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: ")), 0)
        return bool(end) and len(body) >= length


async def sent(settings, *answers, path="/"):
    """What each engine sends for a check, in pieces by connection; found to be the same."""
    said = {}
    async with Scribe(*answers) as scribe:
        for engine in ENGINES:
            scribe.said.clear()
            await probed(engine, f"http://{scribe.place}{path}", **settings)
            said[engine] = [bytes(one) for one in scribe.said]
        assert said["httpx"] == said["lean"]
        return [one.replace(scribe.place.encode(), b"HERE").decode() for one in said["lean"]]


def lines(*parts, body=""):
    return "\r\n".join([*parts, "", ""]) + body


async def test_the_plainest_request():
    assert await sent({}) == [lines("GET / HTTP/1.1", "Host: HERE", *OWN)]


async def test_a_request_with_everything(monkeypatch):
    monkeypatch.setenv("TOKEN", " s3cret ")
    settings = {
        "method": "POST",
        "headers": (("x-lower", "1"), ("X-Upper", "${TOKEN}"), ("Accept", "text/html"), ("user-agent", "me"), ("X-Umlaut", "grün")),
        "auth": ("basic", "ann", "pa:ss"),
        "host": "shop.example:81",
        "body": '{"a": "ä"}',
    }
    assert await sent(settings, path="/a%20b/ü?q=1&q=2 3#part") == [
        lines(
            "POST /a%20b/%C3%BC?q=1&q=2%203 HTTP/1.1", "Host: shop.example:81", "Accept-Encoding: identity", "Connection: close",
            "Authorization: Basic YW5uOnBhOnNz", "x-lower: 1", "X-Upper: s3cret", "Accept: text/html", "user-agent: me",
            "X-Umlaut: grün", "Content-Length: 11", body='{"a": "ä"}',
        )
    ]  # fmt: skip


async def test_a_host_header_of_ones_own_comes_first():
    assert await sent({"headers": (("X-A", "1"), ("host", "b"))}) == [lines("GET / HTTP/1.1", "host: b", *OWN, "X-A: 1")]


async def test_headers_that_are_given_twice_are_sent_twice():
    assert await sent({"headers": (("X-A", "1"), ("X-A", "2"))}) == [lines("GET / HTTP/1.1", "Host: HERE", *OWN, "X-A: 1", "X-A: 2")]


async def test_credentials_of_a_url(monkeypatch):
    monkeypatch.setenv("PASSWORD", "p@ss/word")
    async with Scribe() as scribe:
        for engine in ENGINES:
            assert (await probed(engine, f"http://ann:${{PASSWORD}}@{scribe.place}/?k=1")).ok
        first, second = (bytes(one) for one in scribe.said)
    assert first == second
    assert b"GET /?k=1 HTTP/1.1\r\nHost: 127.0.0.1:" in first
    assert b"\r\nAuthorization: Basic YW5uOnBAc3Mvd29yZA==\r\n" in first


async def test_a_redirect_to_the_same_place_gets_the_same_request():
    away = b"HTTP/1.1 307 Away\r\nLocation: /b?c\r\nContent-Length: 0\r\n\r\n"
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    first, second = await sent({"method": "PUT", "body": "x", "auth": ("bearer", "t0ken")}, away, ok)
    assert second == first.replace("PUT / ", "PUT /b?c ")
    assert "Authorization: Bearer t0ken" in second


async def test_secrets_go_to_no_other_place(lab, monkeypatch):
    monkeypatch.setenv("KEY", "k3y")
    settings = {"headers": (("X-Key", "${KEY}"), ("Cookie", "a=b"), ("X-Plain", "1")), "auth": ("basic", "ann", "pw")}
    other = f"http://localhost:{lab.port()}/ok"
    assert (await alike(lab.url(f"/redirect?to={quote(other, safe='')}"), family=4, **settings)).ok
    for seen in lab.seen("/redirect"):
        assert (seen.header("x-key"), seen.header("cookie"), len(seen.header("authorization"))) == (["k3y"], ["a=b"], 1)
    for seen in lab.seen("/ok"):
        assert (seen.header("x-key"), seen.header("cookie"), seen.header("authorization")) == ([], [], [])
        assert seen.header("x-plain") == ["1"]
        assert seen.header("host") == [f"localhost:{lab.port()}"]


async def test_a_client_certificate_is_shown_to_no_other_place(lab):
    """Whoever a check leads to may ask for one: it gets none. The same place does, and so does the same host once it speaks TLS."""
    shown = []

    async def asks(reader, writer):
        shown.append(bool(writer.get_extra_info("peercert")))
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            again = b"HTTP/1.1 302 Here\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"
            writer.write(again if b"GET / " in head else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await reader.read()
        writer.close()

    context = lab.pairs["good"].server_context(lab.authority.root)
    context.verify_mode = ssl.CERT_OPTIONAL
    client = lab.pairs["client"]
    settings = {"tls": Tls(ca=str(lab.ca), cert=str(client.cert), key=str(client.key)), "family": 4}
    async with await asyncio.start_server(asks, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        assert (await alike(f"https://127.0.0.1:{port}/", **settings)).ok
        assert shown == [True] * 4
        shown.clear()
        there = quote(f"https://localhost:{port}/other", safe="")
        assert (await alike(lab.url(f"/redirect?to={there}", "good"), **settings)).ok
        assert shown == [False] * 2
        await asyncio.sleep(0.05)


async def test_a_body_in_chunks_has_no_length_beside():
    settings = {"method": "POST", "headers": (("Transfer-Encoding", "chunked"),), "body": "0\r\n\r\nGET /other"}
    (said,) = await sent(settings)
    assert "content-length" not in said.lower()
    assert said.endswith("\r\n\r\nf\r\n0\r\n\r\nGET /other\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("url", "place", "header"),
    [
        ("http://[fe80::1%25lo]/", "[fe80::1%lo]:80", "[fe80::1]"),  # as RFC 6874 has it
        ("http://[fe80::1%lo]:81/", "[fe80::1%lo]:81", "[fe80::1]:81"),  # as people write it
        ("http://[fe80::1%25]/", "[fe80::1%25]:80", "[fe80::1]"),
        ("http://stra\u00dfe.example/", "xn--strae-oqa.example:80", "xn--strae-oqa.example"),
        ("http://a_b.B\u00dcCHER.example/", "a_b.xn--bcher-kva.example:80", "a_b.xn--bcher-kva.example"),
    ],
)
def test_who_is_connected_to_and_what_it_is_called(url, place, header):
    message, _ = message_of(Check(name="x", service="s", kind="http", target=url), {})
    assert (message.origin.place, dict(message.headers)["Host"]) == (place, header)


@pytest.mark.parametrize("name", ["host", "proxy"])
async def test_a_file_is_read_in_a_thread_whatever_names_it(lab, monkeypatch, tmp_path, name):
    """The disk that it is on may not answer."""
    file = tmp_path / "named"
    file.write_text("shop.example" if name == "host" else f"http://127.0.0.1:{lab.port()}")
    threads = []

    def noted(*given):
        threads.append(threading.current_thread())
        return resolve(*given)

    monkeypatch.setattr("perfconsole.collectors.http.attempts.request.resolve", noted)
    assert (await probed("httpx", lab.url("/ok"), **{name: f"file:{file}"})).ok
    assert threads
    assert threading.main_thread() not in threads


# Once -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("path", ["/ok", "/close", "/rst", "/garbage", "/truncated", "/headers_endless", "/status/503", "/status/408"])
async def test_a_request_is_sent_once_whatever_comes_of_it(lab, engine, path):
    await probed(engine, lab.url(path))
    assert lab.counts[path] == 1
    assert lab.connections["plain"] == 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("listener", "cause"), [("tls_hang", "timeout"), ("not_tls", "tls"), ("tls_slow", "tls")])
async def test_a_handshake_is_tried_once(lab, engine, listener, cause):
    outcome = await probed(engine, f"https://127.0.0.1:{lab.port(listener)}/ok", timeouts=Timeouts(tls=1.0))
    assert outcome.cause == cause  # the slow one has a certificate that is not trusted
    assert lab.connections[listener] == 1


@pytest.mark.parametrize("engine", ENGINES)
async def test_each_check_makes_a_connection_of_its_own(lab, engine):
    for _ in range(3):
        assert (await probed(engine, lab.url("/ok"))).ok
    assert lab.connections["plain"] == 3


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_environment_is_never_asked(lab, monkeypatch, tmp_path, engine):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", str(lab.ca))
    keys, netrc = tmp_path / "keys", tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ann password pw\n")
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    monkeypatch.setenv("NETRC", str(netrc))
    assert (await probed(engine, lab.url("/ok"))).ok
    assert (await probed(engine, lab.url("/ok", "good"), tls=Tls(ca=str(lab.ca)))).ok
    monkeypatch.setenv("SSL_CERT_DIR", str(lab.ca.parent))
    outcome = await probed(engine, lab.url("/ok", "good"))  # whom to trust is said in the configuration, or it is the system's
    assert (outcome.cause, outcome.error.startswith("certificate not accepted: unknown issuer")) == ("tls", True)
    assert [seen.header("authorization") for seen in lab.seen("/ok")] == [[], []]
    assert not keys.exists()
