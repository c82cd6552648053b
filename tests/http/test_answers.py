"""Answers of which every byte is chosen: what a hostile server may send, and what of a check must not be sent or told. Both engines."""

import asyncio
import contextlib
import gc
import os
import socket
import threading
import time
from contextlib import asynccontextmanager

import pytest
from engines import ENGINES, alike, probed
from quiet import measuring

from perfconsole.collectors.http.attempts.shared import Shared
from perfconsole.collectors.http.judging import unpacking
from perfconsole.core.checks import Expect, JsonTest, Tls

LONG = "long-secret-" + "x7" * 250


@asynccontextmanager
async def answering(*answers):
    """A server that gives one answer a connection, the last one again and again; its address, and the requests it saw."""
    seen, writers, tasks = [], [], []

    async def accept(reader, writer):
        writers.append(writer)
        tasks.append(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answers[min(len(seen), len(answers)) - 1])
            await writer.drain()
            await reader.read()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


def answer(status="200 OK", headers=(), body=b"OK"):
    lines = [f"HTTP/1.1 {status}".encode(), *headers, b"Content-Length: %d" % len(body), b"", body]
    return b"\r\n".join(lines)


@pytest.mark.parametrize("charset", [b"undefined", b"idna", b"punycode", b"zlib", b"no-such-thing", b"utf-8", b"mbcs"])
async def test_no_charset_that_a_server_names_keeps_its_failure_from_being_told(charset):
    async with answering(answer("500 No", [b"Content-Type: text/html; charset=" + charset], b"it broke")) as (url, _):
        outcome = await alike(url)
    assert (outcome.cause, outcome.status, outcome.body) == ("status", 500, "it broke")


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_long_secret_is_hidden_before_what_is_told_is_cut(monkeypatch, engine):
    monkeypatch.setenv("TOK", LONG)
    echoed = answer(headers=[b"X-Back: " + LONG.encode()], body=f'{{"back": "{LONG}"}}'.encode())
    expect = Expect(header=(("X-Back", "^nothing$"),), json=(JsonTest("$.back", "==", "nothing"),))
    async with answering(echoed) as (url, seen):
        outcome = await probed(engine, url, headers=(("X-Tok", "${TOK}"),), expect=expect)
    assert LONG.encode() in seen[0]
    assert outcome.cause == "assertion"
    assert "x7x7" not in repr(outcome)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_secret_that_is_not_ascii_is_hidden_in_a_header_too(monkeypatch, engine):
    monkeypatch.setenv("TOK", "pässwörd-of-mine")
    async with answering(answer("500 No", [b"X-Back: " + "pässwörd-of-mine".encode()])) as (url, _):
        outcome = await probed(engine, url, headers=(("X-Tok", "${TOK}"),))
    assert dict(outcome.headers)["X-Back"] == "***"


async def test_a_location_that_is_not_ascii_is_followed():
    async with answering(answer("302 Found", ["Location: /grün".encode()]), answer()) as (url, seen):
        assert (await probed("lean", url)).ok
        assert b"GET /gr%C3%BCn HTTP/1.1" in seen[1]
    async with answering(answer("302 Found", ["Location: /grün".encode()]), answer()) as (url, seen):
        assert (await probed("httpx", url)).ok
        assert b"GET /gr%C3%BCn HTTP/1.1" in seen[1]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_key_that_stands_in_the_configuration_goes_to_no_other_place(engine):
    async with answering(answer()) as (other, seen), answering(answer("307 There", [b"Location: " + other.encode()])) as (url, first):
        outcome = await probed(engine, url, headers=(("X-Api-Key", "literal-key-123456"), ("X-Plain", "yes")))
    assert outcome.ok
    assert b"literal-key-123456" in first[0]
    assert b"literal-key-123456" not in seen[0]
    assert b"X-Plain: yes" in seen[0]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_body_with_a_secret_goes_to_no_other_place(monkeypatch, engine):
    monkeypatch.setenv("TOK", "body-secret-1")
    async with answering(answer()) as (other, seen), answering(answer("307 There", [b"Location: " + other.encode()])) as (url, _):
        outcome = await probed(engine, url, method="POST", body="tok=${TOK}")
        assert (outcome.cause, seen) == ("protocol", [])
        assert "does not follow" in outcome.error
        assert (await probed(engine, url, method="POST", body="nothing secret")).ok


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_host_by_reference_is_that_of_the_first_place_alone(monkeypatch, engine):
    monkeypatch.setenv("TENANT", "t1")
    async with answering(answer()) as (other, seen), answering(answer("302 There", [b"Location: " + other.encode()])) as (url, first):
        assert (await probed(engine, url, headers=(("Host", "${TENANT}.example"),))).ok
    assert b"Host: t1.example" in first[0]
    assert b"Host: 127.0.0.1:" in seen[0]


class Stalls:
    """The longest that the running loop was held up."""

    def __init__(self):
        self.worst_s = 0.0

    async def __aenter__(self):
        async def look():
            while True:
                before = time.thread_time()
                await asyncio.sleep(0.001)
                self.worst_s = max(self.worst_s, time.thread_time() - before)

        gc.collect()
        gc.disable()  # what hundreds of other tests left takes long to go through, and is no answer's fault
        self._task = asyncio.create_task(look())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_):
        await asyncio.sleep(0.01)  # what held the loop last is seen, too
        self._task.cancel()
        gc.enable()


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n.\r\n" * 40_000 + b"0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000 + answer(),
        answer("500 No", [b"X-Long: " + b"key://a:" * 11_000]),
        answer("500 No", [b"Link: " + b"<http://a:b@c/>, " * 5_000]),
    ],
    ids=["chunks", "continue", "header", "link"],
)
@pytest.mark.parametrize("engine", ENGINES)
@measuring
async def test_no_answer_holds_the_loop(sent, engine):
    """By the CPU that the thread used meanwhile: how busy the machine is changes nothing. It is 5 ms at most, and was 130 to 200."""
    shared = Shared()
    async with answering(sent) as (url, _):
        await probed(engine, url, shared=shared)  # what is loaded by the first
        async with Stalls() as stalls:
            await probed(engine, url, shared=shared)
    assert stalls.worst_s < 0.03


async def test_informational_answers_come_to_an_end():
    async with answering(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3 + answer()) as (url, _):
        assert (await alike(url)).ok
    async with answering(b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + answer()) as (url, _):
        outcome = await alike(url)
    assert (outcome.cause, outcome.error) == ("protocol", "more than 32 informational answers, and none that counts")


async def test_headers_come_to_an_end():
    async with answering(answer(headers=[b"a: b"] * 900)) as (url, _):
        assert (await alike(url)).ok
    async with answering(answer(headers=[b"a: b"] * 1100)) as (url, _):
        outcome = await alike(url)
    assert (outcome.cause, outcome.error) == ("protocol", "more than 1000 headers: no server means that")
    async with answering(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200_000) as (url, _):
        assert (await alike(url)).error == "headers of more than 100 KiB: no server means that"


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_what_is_around_a_body_comes_to_an_end():
    """Sixty KiB of a chunk's header for each byte of the body: it is read as far as a body of that size may take, and tested so."""
    sent = CHUNKED + (b"1;" + b"e" * 60_000 + b"\r\n.\r\n") * 40 + b"0\r\n\r\n"
    async with answering(sent) as (url, _):
        outcome = await alike(url, body_limit_bytes=1000, expect=Expect(body="absent"))
    assert 1 <= outcome.size_bytes <= 8
    assert outcome.assertions[1].found.endswith(", the rest was not read")
    async with answering(CHUNKED + b"1\r\n.\r\n" * 40 + b"0\r\n\r\n") as (url, _):
        assert (await alike(url, body_limit_bytes=1000)).size_bytes == 40


@pytest.mark.parametrize("sent", [b"1;" + b"e" * 200_000, b"0\r\n" + b"A: b\r\n" * 40_000], ids=["extension", "trailers"])
async def test_what_is_too_long_in_a_body_is_not_said_of_its_headers(sent):
    async with answering(CHUNKED + sent) as (url, _):
        outcome = await alike(url)
    assert (outcome.cause, outcome.error) == ("protocol", "around a chunk of the body more than 100 KiB: no server means that")
    assert outcome.status == 200


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_failure_is_told_though_what_was_answered_cannot_be(monkeypatch, engine):
    def mistaken(*_):
        raise ValueError

    monkeypatch.setattr("perfconsole.collectors.http.attempts.trial.shown_headers", mistaken)
    async with answering(answer("500 No")) as (url, _):
        outcome = await probed(engine, url)
    assert (outcome.ok, outcome.cause) == (False, "status")
    assert outcome.error == "ValueError in the checker itself, when what came of it was to be told"
    assert outcome.total_s > 0


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_secret_is_hidden_in_a_header_that_is_no_utf8(monkeypatch, engine):
    monkeypatch.setenv("TOK", "pässwörd-of-mine")
    async with answering(answer("500 No", [b"X-Back: \xff " + "pässwörd-of-mine".encode()])) as (url, _):
        outcome = await probed(engine, url, headers=(("X-Tok", "${TOK}"),))
    assert dict(outcome.headers)["X-Back"] == "ÿ ***"


@asynccontextmanager
async def secured(lab, behave):
    """A server that speaks TLS in a thread, with a socket that it may mistreat: `behave` is given that and the one below; its address."""
    context = lab.pairs["good"].server_context()

    def serve():
        with contextlib.suppress(OSError):
            while True:
                talk, _ = listening.accept()
                talk.settimeout(60)
                with contextlib.suppress(OSError), talk, context.wrap_socket(talk, server_side=True) as within:
                    below = socket.socket(fileno=os.dup(within.fileno()))
                    with below:
                        below.settimeout(60)
                        within.recv(4096)
                        behave(within, below)

    listening = socket.create_server(("127.0.0.1", 0))
    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    try:
        yield f"https://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        await asyncio.get_running_loop().run_in_executor(None, serving.join, 10)


async def test_tls_that_ends_without_a_word_in_a_body_without_a_length_cut_it_off(lab):
    tls = Tls(ca=str(lab.ca))

    def cuts(within, below):
        within.sendall(b"HTTP/1.0 200 OK\r\n\r\nhalf of it")
        below.shutdown(socket.SHUT_WR)
        below.recv(4096)

    async with secured(lab, cuts) as url:
        outcome = await alike(url, tls=tls)
    assert (outcome.cause, outcome.status, outcome.size_bytes) == ("protocol", 200, 10)
    assert outcome.error.startswith("TLS ended in the middle of the body")
    assert (await alike(lab.url("/until_closed", "good"), tls=tls)).ok  # that one says goodbye

    def cuts_after(within, below):
        within.sendall(answer())
        below.shutdown(socket.SHUT_WR)
        below.recv(4096)

    async with secured(lab, cuts_after) as url:
        assert (await alike(url, tls=tls)).ok  # it was all there


async def test_tls_that_breaks_in_a_body(lab):
    def breaks(within, below):
        within.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        below.sendall(b"\x17\x03\x03\x00\x20" + b"z" * 32)
        below.recv(4096)

    async with secured(lab, breaks) as url:
        outcome = await alike(url, tls=Tls(ca=str(lab.ca)))
    assert (outcome.cause, outcome.status) == ("tls", 200)
    assert outcome.error == "TLS broke while the answer was being received: decryption failed or bad record mac"


async def test_patterns_within_json_paths_come_to_an_end():
    body = b'{"a": [{"v": "' + b"a" * 60 + b'!", "p": "(a|aa)+$"}]}'
    expect = Expect(json=(JsonTest("$.a[?search(@.v, @.p)]", "has"), JsonTest("$.a[?match(@.v, 'a+!')]", "has")))
    async with answering(answer(body=body)) as (url, _):
        before = time.monotonic()
        outcome = await probed("lean", url, expect=expect, timeout_s=200.0)
    assert time.monotonic() - before < 60  # it is given two seconds, and needs years
    assert not outcome.ok


async def test_packed_bodies_are_read_whole_or_said_not_to_be():
    import gzip

    expect = Expect(body="second", not_body="DOWN")
    two = gzip.compress(b"first ") + gzip.compress(b"second")
    async with answering(answer(headers=[b"Content-Encoding: gzip"], body=two)) as (url, _):
        assert (await alike(url, expect=expect)).ok
    twice = gzip.compress(gzip.compress(b"it is DOWN"))
    async with answering(answer(headers=[b"Content-Encoding: gzip, gzip"], body=twice)) as (url, _):
        outcome = await alike(url, expect=Expect(not_body="DOWN"))
    assert (outcome.cause, outcome.assertions[-1].found) == ("assertion", "packed as gzip, gzip, which is not read here")
    async with answering(answer(headers=[b"Content-Encoding: br"], body=b"?")) as (url, _):
        assert (await alike(url)).ok  # nobody asked what is in it
    half = gzip.compress(b"it is UP" * 100)[:-8]
    async with answering(answer(headers=[b"Content-Encoding: gzip"], body=half)) as (url, _):
        outcome = await alike(url, expect=Expect(body="DOWN"))
    assert outcome.assertions[-1].found == "not in 800 bytes, the rest was not read"


@pytest.mark.parametrize("kind", ["bomb", "members"])
async def test_no_packed_body_holds_the_loop(monkeypatch, kind):
    """64 MiB in 64 KiB; and 50,000 members with nothing in them, of which each would copy what follows: another thread unpacks them."""
    import gzip

    unpack, here, there = unpacking._members, [], []

    def noted(body, bits, limit):
        plain, whole = unpack(body, bits, limit)
        (here if threading.current_thread() is threading.main_thread() else there).append(len(plain))
        return plain, whole

    monkeypatch.setattr(unpacking, "_members", noted)
    packed = gzip.compress(bytes(64 << 20)) if kind == "bomb" else gzip.compress(b"") * 50_000
    settings = {"body_limit_bytes": 64 << 20, "expect": Expect(status=((500, 500),), json=(JsonTest("$", "has"),))}
    async with answering(answer("500 No", [b"Content-Encoding: gzip"], packed)) as (url, _):
        outcome = await probed("lean", url, **settings)
    assert outcome.cause == "assertion"
    assert there
    assert max(here, default=0) <= unpacking._QUICK_BYTES


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_mistake_of_the_program_is_no_outage(monkeypatch, engine):
    def mistaken(*_):
        raise NameError("oops")

    async with answering(answer()) as (url, _):
        assert (await probed(engine, url)).ok  # what is imported by the first
        monkeypatch.setattr("perfconsole.collectors.http.network.line.stamps.received", mistaken)
        outcome = await probed(engine, url)
    assert (outcome.cause, outcome.error) == ("unmeasured", "NameError in the checker itself")


@pytest.mark.parametrize("engine", ENGINES)
@measuring
async def test_a_unix_socket_that_takes_nobody_is_waited_for(tmp_path_factory, engine):
    path = str(tmp_path_factory.mktemp("u") / "s")
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        listening.bind(path)
        listening.listen(0)
        for one in (first, second):
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect(path)
        outcome = await probed(engine, "http://local/", connect_to=f"unix:{path}", timeout_s=0.2)
    assert (outcome.cause, outcome.error) == ("timeout", "timeout of 0.2 s while a connection was being made")
