"""Checks of DNS, against a server with every fault and against the machine's own resolver."""

import asyncio
import contextlib
import socket
import struct
import sys
import threading
import time
from math import isnan

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
import pytest_asyncio
from quiet import measuring
from vacant import vacant_port

from perfconsole.collectors.http.attempts.shared import Shared
from perfconsole.collectors.http.checking.probers import prober_of
from perfconsole.collectors.http.network import stamps
from perfconsole.collectors.http.network.names import Resolver
from perfconsole.core.checks import Check, Expect, Timeouts

RECORDS = {
    ("one.example.", "A"): ["192.0.2.1"],
    ("two.example.", "A"): ["192.0.2.1", "192.0.2.2"],
    ("two.example.", "AAAA"): ["2001:db8::1"],
    ("two.example.", "MX"): ["10 mail.example.", "20 spare.example."],
    ("two.example.", "NS"): ["ns1.example."],
    ("two.example.", "TXT"): ['"v=spf1 " "-all"'],
    ("two.example.", "CAA"): ['0 issue "ca.example"'],
    ("two.example.", "SOA"): ["ns1.example. admin.example. 1 2 3 4 5"],
    ("_sip._tcp.example.", "SRV"): ["1 2 5060 sip.example."],
    ("7.2.0.192.in-addr.arpa.", "PTR"): ["host.example."],
    ("www.example.", "CNAME"): ["one.example."],
    ("hostile.example.", "TXT"): ['"\\027[31mred\\010line"'],
    ("big.example.", "A"): [f"10.{number >> 8}.{number & 255}.1" for number in range(3000)],
}


def answered(question):
    """What the server says, by the first label of the name asked for."""
    asked = question.question[0]
    reply = dns.message.make_response(question)
    kind = asked.name.labels[0].decode()
    if kind in {"nxdomain", "servfail", "refused", "notimp", "yxdomain"}:
        reply.set_rcode(dns.rcode.from_text(kind))
        return reply
    name, record = asked.name.to_text(), dns.rdatatype.to_text(asked.rdtype)
    texts = RECORDS.get((name, record))
    if texts:
        reply.answer.append(dns.rrset.from_text_list(asked.name, 60, "IN", record, texts))
    if name == "www.example." and record == "A":
        reply.answer.append(dns.rrset.from_text(asked.name, 60, "IN", "CNAME", "one.example."))
        reply.answer.append(dns.rrset.from_text("one.example.", 60, "IN", "A", "192.0.2.1"))
    return reply


class Server(asyncio.DatagramProtocol):
    def __init__(self):
        self.asked = []
        self.by_tcp = 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        question = dns.message.from_wire(data)
        self.asked.append(question.question[0].to_text())
        for wire in self.wires(data, question):
            self.transport.sendto(wire, address)

    def wires(self, data, question):
        kind = question.question[0].name.labels[0].decode()
        other = dns.message.make_query("x.example", "A", id=question.id)
        odd = {"hang": [], "garbage": [data[:2] + b"\xff" * 40], "short": [data[:2]], "other": [dns.message.make_response(other).to_wire()]}
        if kind in odd:
            return odd[kind]
        right = answered(question)
        if kind == "forged":  # somebody guesses, before the answer comes
            right.answer.append(dns.rrset.from_text(question.question[0].name, 60, "IN", "A", "192.0.2.1"))
            return [b"", struct.pack("!H", (question.id + 1) % 65536) + right.to_wire()[2:], right.to_wire()]
        if kind in {"big", "cutoff", "tcphang"}:
            right = dns.message.make_response(question)
            right.flags |= dns.flags.TC
        return [right.to_wire()]

    async def talk(self, reader, writer):
        self.by_tcp += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            size = struct.unpack("!H", await reader.readexactly(2))[0]
            question = dns.message.from_wire(await reader.readexactly(size))
            wire = answered(question).to_wire(max_size=65535)
            kind = question.question[0].name.labels[0]
            if kind == b"tcphang":
                await reader.read()
            if kind == b"cutoff":
                writer.write(struct.pack("!H", 500) + b"x" * 100)
            else:
                writer.write(struct.pack("!H", len(wire)) + wire)
            await writer.drain()
        writer.close()


@pytest_asyncio.fixture
async def server():
    server = Server()
    tcp = await asyncio.start_server(server.talk, "127.0.0.1", 0)
    where = tcp.sockets[0].getsockname()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: server, local_addr=where)
    server.where = f"127.0.0.1:{where[1]}"
    yield server
    transport.close()
    tcp.close()


async def probed(target, record="A", server="", shared=None, **settings):
    where = server.where if isinstance(server, Server) else server
    check = Check(name="x", service="s", kind="dns", target=target, record=record, server=where, **settings)
    return await prober_of(check, shared or Shared()).probe()


@pytest.mark.parametrize(
    ("name", "record", "found"),
    [
        ("one.example", "A", "192.0.2.1"),
        ("two.example", "A", "192.0.2.1, 192.0.2.2"),
        ("two.example.", "AAAA", "2001:db8::1"),
        ("two.example", "MX", "10 mail.example., 20 spare.example."),
        ("two.example", "NS", "ns1.example."),
        ("two.example", "TXT", "v=spf1 -all"),
        ("two.example", "CAA", '0 issue "ca.example"'),
        ("two.example", "SOA", "ns1.example. admin.example. 1 2 3 4 5"),
        ("_sip._tcp.example", "SRV", "1 2 5060 sip.example."),
        ("7.2.0.192.in-addr.arpa", "PTR", "host.example."),
        ("192.0.2.7", "PTR", "host.example."),
        ("www.example", "CNAME", "one.example."),
        ("www.example", "A", "192.0.2.1"),  # behind an alias
        ("hostile.example", "TXT", "␛[31mred line"),
    ],
)
async def test_records(server, name, record, found):
    outcome = await probed(name, record, server)
    assert (outcome.ok, outcome.error) == (True, "")
    assert outcome.assertions[0].found == found
    assert (outcome.address, outcome.protocol) == (server.where, "UDP")
    assert outcome.size_bytes > 12
    assert not isnan(outcome.phases.wait)
    assert isnan(outcome.phases.dns)
    assert outcome.total_s == pytest.approx(outcome.phases.send + outcome.phases.wait)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("name", "cause", "words"),
    [
        ("nxdomain.example", "dns", "there is no such name (NXDOMAIN)"),
        ("servfail.example", "dns", "the server could not find out (SERVFAIL)"),
        ("refused.example", "dns", "the server refuses to answer this (REFUSED)"),
        ("notimp.example", "dns", "the server does not know such questions (NOTIMP)"),
        ("yxdomain.example", "dns", "the server answered YXDOMAIN"),
        ("nothing.example", "dns", "the name has no A record"),
        ("garbage.example", "protocol", "the answer is no DNS message, or to another question"),
        ("short.example", "protocol", "the answer is no DNS message, or to another question"),
        ("other.example", "protocol", "the answer is no DNS message, or to another question"),
        ("cutoff.example", "protocol", "the server closed the connection while the answer was being received"),
    ],
)
async def test_what_a_server_says_no_with(server, name, cause, words):
    outcome = await probed(name, "A", server)
    assert (outcome.ok, outcome.cause, outcome.error, outcome.at_least) == (False, cause, words, False)


@pytest.mark.parametrize("name", ["hang.example", "tcphang.example"])
@pytest.mark.parametrize(("limits", "seconds"), [({"timeout_s": 0.2}, 0.2), ({"timeouts": Timeouts(wait=0.15)}, 0.15)])
@measuring
async def test_a_server_that_hangs(server, name, limits, seconds):
    outcome = await probed(name, "A", server, **limits)
    assert (outcome.cause, outcome.error, outcome.at_least) == ("timeout", f"timeout of {seconds:g} s while the answer was awaited", True)
    assert outcome.latency_s >= 0.9 * seconds
    assert len(server.asked) == 1  # nothing is asked twice


async def test_a_port_where_nobody_listens():
    port = vacant_port(socket.SOCK_DGRAM)
    outcome = await probed("one.example", "A", f"127.0.0.1:{port}")
    assert (outcome.cause, outcome.error) == ("connect", "connection refused: no server listens on that port")


async def test_a_network_that_is_not_reached():
    outcome = await probed("one.example", "A", "[fe80::1]:53")  # link-local without a zone leads nowhere
    assert (outcome.ok, outcome.cause) == (False, "connect") or outcome.unmeasured  # the second without IPv6
    outcome = await probed("one.example", "A", "[fe80::1%no-such]:53")
    assert (outcome.cause, outcome.error) == ("unmeasured", "this machine has no network interface no-such")


async def test_an_answer_to_another_question_is_not_taken_for_this_ones(server):
    outcome = await probed("forged.example", "A", server)
    assert (outcome.ok, outcome.assertions[0].found) == (True, "192.0.2.1")


async def test_a_long_answer_comes_by_tcp(server):
    outcome = await probed("big.example", "A", server)
    assert (outcome.ok, outcome.protocol, server.by_tcp) == (True, "TCP", 1)
    assert outcome.size_bytes > 40_000
    assert outcome.assertions[0].found.endswith(" and 248 more")
    assert not isnan(outcome.phases.connect)
    assert not isnan(outcome.phases.transfer)


@pytest.mark.parametrize(
    ("name", "record", "wanted", "ok"),
    [
        ("two.example", "A", ("192.0.2.2",), True),
        ("two.example", "A", ("192.0.2.9", "192.0.2.1"), True),
        ("two.example", "A", ("192.0.2.9",), False),
        ("two.example", "AAAA", ("2001:0DB8:0::1",), True),
        ("two.example", "MX", ("Mail.Example",), True),
        ("two.example", "MX", ("20 spare.example.",), True),
        ("two.example", "MX", ("ail.example",), False),
        ("two.example", "NS", ("ns1.example",), True),
        ("two.example", "TXT", ("v=spf1 -all",), True),
        ("two.example", "CAA", ("ca.example",), True),
    ],
)
async def test_answers_that_are_expected(server, name, record, wanted, ok):
    outcome = await probed(name, record, server, expect=Expect(answers=wanted))
    assert outcome.ok is ok
    if not ok:
        assert outcome.cause == "assertion"
        assert outcome.error == f"{outcome.assertions[0].found}, expected an answer among {wanted[0]}"


@pytest.mark.parametrize(
    ("name", "record"), [("a..example", "A"), ("x" * 64 + ".example", "A"), ("one.example", "NONSENSE"), ("ä..x", "A")]
)
async def test_what_cannot_be_asked_for(server, name, record):
    outcome = await probed(name, record, server)
    assert not outcome.ok
    assert outcome.error
    assert server.asked == []


async def test_a_server_by_name(server):
    port = server.where.rpartition(":")[2]
    outcome = await probed("one.example", "A", f"localhost:{port}", family=4)
    assert outcome.ok
    assert not isnan(outcome.phases.dns)
    outcome = await probed("one.example", "A", f"no-such.invalid:{port}")
    assert (outcome.cause, outcome.error) == ("dns", "no-such.invalid: there is no such name")


async def test_the_machines_own_resolver():
    outcome = await probed("localhost", expect=Expect(answers=("127.0.0.1",), max_latency_s=5))
    assert outcome.ok
    assert [one.ok for one in outcome.assertions] == [True] * 3
    assert outcome.total_s == pytest.approx(outcome.phases.dns)
    asked = []

    def remember(host, port, family, kind):
        asked.append(family)
        return [(family, 1, 6, "", ("2001:db8::1", 0, 0, 0))]

    assert (await probed("x.example", "AAAA", shared=Shared(Resolver(remember)))).assertions[0].found == "2001:db8::1"
    assert asked == [socket.AF_INET6]
    outcome = await probed("no-such.invalid")
    assert (outcome.cause, outcome.error) == ("dns", "no-such.invalid: there is no such name")
    outcome = await probed("localhost", "MX")
    assert (outcome.cause, outcome.error) == ("unmeasured", "the machine's resolver tells addresses only: asking for MX needs a server")


@pytest.mark.parametrize("stamped", [True, False])
@measuring
async def test_a_loop_that_is_held_up_makes_no_name_server_slow(monkeypatch, stamped):
    """The kernel's stamp is the answer's time: it came after 50 ms, and was read after 600. Without one that is in doubt."""
    if stamped and sys.platform != "linux":
        pytest.skip("this kernel stamps nothing")
    if not stamped:
        monkeypatch.setattr(stamps, "wanted", lambda _: False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        took = []

        def serve():
            data, address = listening.recvfrom(4096)
            began = time.monotonic()
            time.sleep(0.05)
            listening.sendto(answered(dns.message.from_wire(data)).to_wire(), address)
            took.append(time.monotonic() - began)

        serving = threading.Thread(target=serve)
        serving.start()
        probing = asyncio.create_task(probed("one.example", server=f"127.0.0.1:{listening.getsockname()[1]}"))
        while not probing.done() and serving.is_alive():
            await asyncio.sleep(0.005)
            if not took:
                time.sleep(0.6)  # noqa: ASYNC251  the loop is held up: that is the point
        outcome = await probing
        serving.join()
    assert outcome.ok
    assert outcome.total_s - outcome.doubt_s < took[0] + 0.2
    assert (outcome.doubt_s == 0) is stamped
