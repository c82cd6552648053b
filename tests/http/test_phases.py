"""Whose time it was: every delay in its own phase, close to what the server's clock says, and none of the console's own in any."""

import asyncio
import socket
import time
from contextlib import suppress
from math import nan

import pytest
from engines import ENGINES, probed
from quiet import measuring

from perfconsole.collectors.http.attempts.shared import Shared
from perfconsole.collectors.http.network import stamps
from perfconsole.collectors.http.network.names import Resolver
from perfconsole.core.checks import Tls

LONG_S = 0.8
STALL_S = 0.4

pytestmark = pytest.mark.parametrize("engine", ENGINES)


async def spent_by_dns(engine, lab, _monkeypatch):
    def looks_long(*_):
        time.sleep(LONG_S)
        return [(socket.AF_INET, 1, 6, "", ("127.0.0.1", 0))]

    return await probed(engine, lab.url("/ok", host="slow.example"), shared=Shared(Resolver(looks_long)))


async def spent_by_connect(engine, _lab, _monkeypatch):
    """A full backlog, from which nobody is accepted at first: the kernel knocks again after a second."""

    async def answers(reader, writer):
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await reader.read()
        writer.close()

    listening = socket.create_server(("127.0.0.1", 0), backlog=0)
    before = [socket.socket() for _ in range(3)]
    for one in before:
        one.setblocking(False)
        one.connect_ex(listening.getsockname())
    probing = asyncio.ensure_future(probed(engine, f"http://127.0.0.1:{listening.getsockname()[1]}/", timeout_s=200))
    await asyncio.sleep(0.5)
    async with await asyncio.start_server(answers, sock=listening):
        outcome = await probing
        for one in before:
            one.close()
        await asyncio.sleep(0.05)
    return outcome


async def spent_by_tls(engine, lab, monkeypatch):
    monkeypatch.setattr(lab, "tls_slow_s", LONG_S)
    return await probed(engine, f"https://127.0.0.1:{lab.port('tls_slow')}/ok", tls=Tls(ca=str(lab.ca)))


async def spent_by_send(engine, _lab, _monkeypatch):
    """A server that does not read."""

    async def reads_late(reader, writer):
        await asyncio.sleep(LONG_S)
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(30_000_000)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(reads_late, "127.0.0.1", 0) as server:
        place = "{}:{}".format(*server.sockets[0].getsockname())
        outcome = await probed(engine, f"http://{place}/", method="POST", body="x" * 30_000_000, timeout_s=200)
        await asyncio.sleep(0.05)
    return outcome


async def spent_by_wait(engine, lab, _monkeypatch):
    return await probed(engine, lab.url(f"/slow?ms={1000 * LONG_S:.0f}"))


async def spent_by_transfer(engine, lab, _monkeypatch):
    return await probed(engine, lab.url(f"/drip?n=8&ms={1000 * LONG_S / 8:.0f}"))


@pytest.mark.parametrize("spent", [spent_by_dns, spent_by_connect, spent_by_tls, spent_by_send, spent_by_wait, spent_by_transfer])
@measuring
async def test_the_same_delay_is_told_apart_by_who_made_it(lab, monkeypatch, engine, spent):
    outcome = await spent(engine, lab, monkeypatch)
    assert outcome.ok, outcome.error
    assert outcome.total_s >= LONG_S
    theirs = getattr(outcome.phases, spent.__name__.removeprefix("spent_by_"))
    assert theirs >= 0.9 * LONG_S
    assert outcome.total_s - theirs < 0.9 * LONG_S


@pytest.mark.parametrize("listener", ["plain", "good"])
@measuring
async def test_what_is_told_is_what_the_server_took(lab, engine, listener):
    outcome = await probed(engine, lab.url("/slow?ms=300", listener), tls=Tls(ca=str(lab.ca)))
    (seen,) = lab.settled("/slow")
    truth_s = seen.answered - seen.began
    assert 0.98 * truth_s <= outcome.phases.wait <= 1.3 * truth_s
    dripped = await probed(engine, lab.url("/drip?n=6&ms=50", listener), tls=Tls(ca=str(lab.ca)))
    (seen,) = lab.settled("/drip")
    truth_s = seen.answered - seen.began
    assert 0.98 * truth_s <= dripped.phases.wait + dripped.phases.transfer <= 1.3 * truth_s
    assert dripped.phases.transfer >= 0.9 * truth_s


@measuring
async def test_hops_add_up(lab, engine):
    outcome = await probed(engine, lab.url("/redirect?n=3&ms=50"))
    assert [hop.status for hop in outcome.hops] == [302, 302, 302, 200]
    assert outcome.phases.wait >= 0.15
    assert all(hop.seconds >= 0.05 for hop in outcome.hops[:3])
    assert sum(hop.seconds for hop in outcome.hops) == pytest.approx(outcome.total_s, rel=0.1)


# A loop that is held up -----------------------------------------------------------------------------------------------------------


async def held_up(probing, lab, path):
    """The outcome of a check during which the loop did nothing else for a time, once its request had been read."""
    probing = asyncio.ensure_future(probing)
    while not lab.seen(path):  # noqa: ASYNC110  the server is in another thread
        await asyncio.sleep(0.001)
    time.sleep(STALL_S)  # noqa: ASYNC251  that is what it is about
    return await probing


@pytest.mark.parametrize("listener", ["plain", "good"])
@pytest.mark.parametrize("path", ["/slow?ms=50", "/headers_slow?n=1&ms=50", "/drip?n=2&ms=25"])
@measuring
async def test_an_answer_is_no_later_than_it_was(lab, engine, listener, path):
    probing = probed(engine, lab.url(path, listener), tls=Tls(ca=str(lab.ca)))
    outcome = await held_up(probing, lab, path.partition("?")[0])
    (seen,) = lab.settled(path)
    truth_s = seen.answered - seen.began
    told_s = outcome.phases.wait + outcome.phases.transfer
    assert outcome.ok
    assert outcome.doubt_s == 0
    assert truth_s - 0.01 <= told_s <= truth_s + STALL_S / 2  # it would be 350 ms more by the loop's clock


@measuring
async def test_where_the_kernel_stamps_nothing_the_doubt_is_told(lab, monkeypatch, engine):
    monkeypatch.setattr(stamps, "wanted", lambda _: False)
    outcome = await held_up(probed(engine, lab.url("/slow?ms=50")), lab, "/slow")
    (seen,) = lab.settled("/slow")
    told_s = outcome.phases.wait + outcome.phases.transfer
    assert told_s >= STALL_S
    assert outcome.doubt_s >= 0.3
    assert told_s - outcome.doubt_s <= seen.answered - seen.began + STALL_S / 2


@measuring
async def test_a_body_that_ends_with_the_connection_is_in_doubt_by_as_much(lab, engine):
    """The end has no stamp: it may have come at any time since the last byte did."""
    outcome = await held_up(probed(engine, lab.url("/until_closed")), lab, "/until_closed")
    assert outcome.ok
    assert outcome.total_s - outcome.doubt_s <= STALL_S / 2


@measuring
async def test_a_body_that_ends_with_the_connection_is_in_no_doubt_where_nobody_was_late(lab, engine):
    outcome = await probed(engine, lab.url("/until_closed?ms=500"))
    assert outcome.phases.transfer >= 0.45
    assert outcome.doubt_s <= 0.5 * outcome.phases.transfer  # it was all of it, once


@measuring
async def test_a_stamp_that_does_not_come_leaves_a_doubt(lab, monkeypatch, engine):
    """Where a kernel takes the option, and stamps nothing: of the first answer all is in doubt, of others what the loop was late by."""
    monkeypatch.setattr(stamps, "arrived", lambda _: nan)
    shared = Shared()
    outcome = await held_up(probed(engine, lab.url("/slow?ms=50"), shared=shared), lab, "/slow")
    assert outcome.ok
    assert 0.3 <= outcome.doubt_s <= outcome.total_s
    lab.forget()
    outcome = await held_up(probed(engine, lab.url("/slow?ms=50"), shared=shared), lab, "/slow")
    assert outcome.doubt_s >= 0.3
    outcome = await probed(engine, lab.url("/slow?ms=500"), shared=shared)
    assert outcome.doubt_s <= 0.5 * outcome.total_s


@measuring
async def test_what_a_server_says_before_it_answers_is_a_part_of_the_wait(lab, engine):
    outcome = await probed(engine, lab.url("/early?ms=300"))
    assert outcome.ok
    assert outcome.phases.wait >= 0.29
    assert outcome.phases.wait >= 0.8 * outcome.total_s


@measuring
async def test_a_lookup_is_no_later_than_it_was(lab, engine):
    def looks(*_):
        time.sleep(0.05)
        return [(socket.AF_INET, 1, 6, "", ("127.0.0.1", 0))]

    shared = Shared(Resolver(looks))
    probing = asyncio.ensure_future(probed(engine, lab.url("/ok", host="slow.example"), shared=shared))
    while not shared.resolver._running:  # noqa: ASYNC110  it is begun by the check
        await asyncio.sleep(0.001)
    time.sleep(STALL_S)  # noqa: ASYNC251  as above
    outcome = await probing
    assert 0.05 <= outcome.phases.dns <= 0.05 + STALL_S / 2


@measuring
async def test_a_handshake_is_no_later_than_it_was(lab, monkeypatch, engine):
    monkeypatch.setattr(lab, "tls_slow_s", 0.05)
    target = f"https://127.0.0.1:{lab.port('tls_slow')}/ok"
    shared = Shared()
    assert (await probed(engine, target, tls=Tls(ca=str(lab.ca)), shared=shared)).ok  # certificates are loaded
    lab.forget()
    probing = asyncio.ensure_future(probed(engine, target, tls=Tls(ca=str(lab.ca)), shared=shared))
    while not lab.connections["tls_slow"]:  # noqa: ASYNC110  as above
        await asyncio.sleep(0.001)
    time.sleep(STALL_S)  # noqa: ASYNC251  as above
    outcome = await probing
    assert outcome.ok
    assert outcome.phases.tls <= 0.05 + STALL_S / 2
