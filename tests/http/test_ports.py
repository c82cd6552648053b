"""Checks of ports and of TLS: each fault in its class and its phase, and nothing left open."""

import asyncio
import os
import socket
import threading
import time
from math import isnan

import pytest
from quiet import measuring
from vacant import closed_port

from perfconsole.collectors.http.attempts.shared import Shared
from perfconsole.collectors.http.checking.probers import prober_of
from perfconsole.collectors.http.network import stamps
from perfconsole.collectors.http.network.names import Resolver
from perfconsole.core.checks import Check, Expect, Timeouts, Tls


async def probed(kind, target, *, shared=None, **settings):
    prober = prober_of(Check(name="x", service="s", kind=kind, target=target, **settings), shared or Shared())
    outcome = await prober.probe()
    prober.close()
    return outcome


def descriptors():
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # the directory's own descriptor counts each time


async def closed(before):
    """What was opened since is closed again, in the next turns of the loop and of the server's."""
    for _ in range(1000):
        if descriptors() <= before:
            return
        await asyncio.sleep(0.01)
    assert descriptors() <= before


def entered(outcome):
    return [name for name in outcome.phases.__struct_fields__ if not isnan(getattr(outcome.phases, name))]


def here(lab, listener="plain", host="127.0.0.1"):
    return f"{host}:{lab.port(listener)}"


@measuring
async def test_a_port_that_listens_is_up(lab):
    before = time.time()
    outcome = await probed("tcp", here(lab))
    assert (outcome.name, outcome.ok, outcome.cause, outcome.error) == ("x", True, "", "")
    assert entered(outcome) == ["connect"]  # an address needs no DNS
    assert outcome.address == here(lab)
    assert before <= outcome.at <= time.time()
    assert outcome.total_s == pytest.approx(outcome.phases.connect)
    assert outcome.latency_s < 0.05


async def test_by_name_the_lookup_is_a_phase(lab):
    outcome = await probed("tcp", here(lab, host="localhost"), family=4)
    assert outcome.ok
    assert entered(outcome) == ["dns", "connect"]
    assert outcome.total_s == pytest.approx(outcome.phases.dns + outcome.phases.connect)


async def test_ipv6(lab):
    if "plain" not in lab.ports6:
        pytest.skip("this machine has no IPv6")
    outcome = await probed("tcp", here(lab, host="[::1]"))
    assert (outcome.ok, outcome.address) == (True, here(lab, host="[::1]"))
    assert (await probed("tcp", here(lab, host="[::1%1]"))).ok


async def test_a_refused_port():
    port = closed_port()
    outcome = await probed("tcp", f"127.0.0.1:{port}")
    assert (outcome.ok, outcome.cause, outcome.error) == (False, "connect", f"connection refused by 127.0.0.1:{port}")
    assert isnan(outcome.latency_s)  # failed at once is not fast
    assert not outcome.at_least


@pytest.mark.parametrize(("limits", "seconds"), [({"timeout_s": 0.2}, 0.2), ({"timeouts": Timeouts(connect=0.15)}, 0.15)])
@measuring
async def test_a_port_that_drops_packets(lab, limits, seconds):
    outcome = await probed("tcp", here(lab, "full"), **limits)
    assert (outcome.cause, outcome.error) == ("timeout", f"timeout of {seconds:g} s while a connection was being made")
    assert outcome.at_least
    assert seconds <= outcome.latency_s < seconds + 0.1
    assert outcome.phases.connect == pytest.approx(outcome.total_s, abs=0.02)


async def test_a_name_that_is_none():
    outcome = await probed("tcp", "no-such.invalid:80")
    assert (outcome.cause, outcome.error) == ("dns", "no-such.invalid: there is no such name")
    assert outcome.address == ""


@pytest.mark.parametrize(("limits", "seconds"), [({"timeout_s": 0.2}, 0.2), ({"timeouts": Timeouts(dns=0.15)}, 0.15)])
@measuring
async def test_a_resolver_that_hangs(limits, seconds):
    shared = Shared(Resolver(lambda *_: time.sleep(1)))
    outcome = await probed("tcp", "hang.example:80", shared=shared, **limits)
    assert (outcome.cause, outcome.at_least) == ("timeout", True)
    assert outcome.error == f"timeout of {seconds:g} s while the name was being looked up"
    assert entered(outcome) == ["dns"]


async def test_elsewhere(lab):
    assert (await probed("tcp", "no-such.invalid:80", connect_to=here(lab))).ok
    outcome = await probed("tcp", "no-such.invalid:80", connect_to=f"unix:{lab.unix}")
    assert (outcome.ok, outcome.address) == (True, f"unix:{lab.unix}")
    assert (await probed("tcp", "x:80", connect_to="unix:/no/such")).error == "there is no such socket: unix:/no/such"


async def test_a_latency_that_is_expected(lab):
    outcome = await probed("tcp", here(lab), expect=Expect(max_latency_s=0.00001))
    assert (outcome.ok, outcome.cause) == (False, "assertion")
    assert outcome.error.endswith("expected latency at most 10us")
    assert not isnan(outcome.latency_s)
    assert (await probed("tcp", here(lab), expect=Expect(max_latency_s=5))).assertions[0].ok


@pytest.mark.parametrize(("listener", "chain"), [("good", 2), ("near", 1)])
async def test_tls_that_is_accepted(lab, listener, chain):
    outcome = await probed("tls", here(lab, listener), tls=Tls(ca=str(lab.ca)))
    assert (outcome.ok, outcome.protocol, outcome.tls.verified, len(outcome.tls.chain)) == (True, "TLSv1.3", True, chain)
    assert entered(outcome) == ["connect", "tls"]
    assert outcome.total_s == pytest.approx(outcome.phases.connect + outcome.phases.tls)


@pytest.mark.parametrize("listener", ["expired", "future", "wrong_name", "self_signed"])
async def test_tls_that_is_refused_tells_its_certificates(lab, listener):
    outcome = await probed("tls", here(lab, listener), tls=Tls(ca=str(lab.ca)))
    assert (outcome.ok, outcome.cause) == (False, "tls")
    assert outcome.error == outcome.tls.error
    assert outcome.tls.chain[0].subject == f"CN={listener}"
    insecure = await probed("tls", here(lab, listener), tls=Tls(insecure=True))
    assert (insecure.ok, insecure.tls.verified, insecure.tls.chain) == (True, False, outcome.tls.chain)


async def test_where_the_library_keeps_no_refused_chain_a_second_handshake_reads_it(lab, monkeypatch):
    monkeypatch.setattr("perfconsole.collectors.http.network.contexts.sent_chain", lambda _: ())
    outcome = await probed("tls", here(lab, "expired"), tls=Tls(ca=str(lab.ca)))
    assert outcome.error == "certificate not accepted: expired"
    assert outcome.tls.chain[0].subject == "CN=expired"
    assert outcome.total_s == pytest.approx(outcome.phases.connect + outcome.phases.tls)  # without the second


async def test_another_name_for_the_handshake(lab):
    assert (await probed("tls", here(lab, "wrong_name"), tls=Tls(ca=str(lab.ca), server_name="other.example"))).ok
    assert (await probed("tls", "other.example:443", connect_to=here(lab, "wrong_name"), tls=Tls(ca=str(lab.ca)))).ok


@pytest.mark.parametrize("listener", ["plain", "not_tls"])
async def test_a_port_that_speaks_no_tls(lab, listener):
    outcome = await probed("tls", here(lab, listener))
    assert (outcome.cause, outcome.error, outcome.tls) == ("tls", "this port does not speak TLS", None)


@pytest.mark.parametrize(("limits", "seconds"), [({"timeout_s": 0.5}, 0.5), ({"timeouts": Timeouts(tls=0.15)}, 0.15)])
@measuring
async def test_a_handshake_that_hangs(lab, limits, seconds):
    outcome = await probed("tls", here(lab, "tls_hang"), **limits)
    assert (outcome.cause, outcome.error, outcome.at_least) == ("timeout", f"timeout of {seconds:g} s while TLS was being set up", True)
    assert outcome.total_s == pytest.approx(outcome.phases.connect + outcome.phases.tls)
    assert outcome.phases.tls > outcome.phases.connect


@measuring
async def test_a_slow_handshake_is_the_tls_phase(lab):
    outcome = await probed("tls", here(lab, "tls_slow"), tls=Tls(insecure=True))
    assert outcome.ok
    assert outcome.phases.tls >= 0.9 * lab.tls_slow_s
    assert outcome.phases.tls >= 0.9 * outcome.total_s


async def test_a_handshake_is_brought_to_its_end(lab):
    """A server would log a failure otherwise, with every check."""
    context, said = lab.pairs["good"].server_context(), []

    def serves(listening):
        talk, _ = listening.accept()
        talk.settimeout(60)
        try:
            with context.wrap_socket(talk, server_side=True) as secured:
                said.append(secured.recv(10))
        except OSError as error:
            said.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=serves, args=(listening,))
        serving.start()
        outcome = await probed("tls", f"127.0.0.1:{listening.getsockname()[1]}", tls=Tls(ca=str(lab.ca)))
        await asyncio.get_running_loop().run_in_executor(None, serving.join, 60)
    assert outcome.ok
    assert said == [b""]


@measuring
async def test_a_loop_that_is_held_up_makes_no_handshake_slow(lab, monkeypatch):
    monkeypatch.setattr(lab, "tls_slow_s", 0.05)
    shared = Shared()
    settings = {"shared": shared, "tls": Tls(ca=str(lab.ca))}
    assert (await probed("tls", here(lab, "tls_slow"), **settings)).ok  # certificates are loaded
    for stamped in (True, False):
        lab.forget()
        probing = asyncio.ensure_future(probed("tls", here(lab, "tls_slow"), **settings))
        while not lab.connections["tls_slow"]:  # noqa: ASYNC110  the server is in another thread
            await asyncio.sleep(0.001)
        time.sleep(0.4)  # noqa: ASYNC251  that is what it is about
        outcome = await probing
        assert outcome.ok
        if stamped:
            assert outcome.phases.tls <= 0.25
            assert outcome.doubt_s == 0
            monkeypatch.setattr(stamps, "wanted", lambda _: False)
        else:
            assert outcome.phases.tls - outcome.doubt_s <= 0.25


async def test_a_file_of_ours_that_is_missing_says_nothing_about_the_target(lab):
    outcome = await probed("tls", here(lab, "good"), tls=Tls(ca="/no/such/ca.pem"))
    assert (outcome.cause, outcome.unmeasured) == ("unmeasured", True)
    assert outcome.error.startswith("/no/such/ca.pem cannot be read")
    assert isnan(outcome.latency_s)


@measuring
async def test_a_file_on_a_disk_that_does_not_answer(lab, tmp_path):
    pipe = tmp_path / f"pipe{time.monotonic_ns()}"
    os.mkfifo(pipe)
    outcome = await probed("tls", here(lab, "good"), tls=Tls(ca=str(pipe)), timeout_s=0.1)
    assert (outcome.cause, outcome.at_least) == ("unmeasured", False)
    assert outcome.error == "its files were not read within 0.1 s: the disk that they are on does not answer"
    os.close(os.open(pipe, os.O_WRONLY))


@measuring
async def test_a_loop_that_is_held_up_makes_no_target_slow(lab):
    async def hold():
        await asyncio.sleep(0)
        time.sleep(0.3)  # noqa: ASYNC251  # that is what it is about

    holding = asyncio.ensure_future(hold())
    outcome = await probed("tcp", here(lab))
    await holding
    assert outcome.total_s < 0.02


async def test_nothing_stays_open_and_none_delays_another(lab):
    shared = Shared()
    await probed("tls", here(lab, "good"), shared=shared, tls=Tls(ca=str(lab.ca)))
    await asyncio.sleep(0.05)
    before = descriptors()
    bad = [
        probed("tls", here(lab, "tls_hang"), shared=shared, timeout_s=0.3),
        probed("tcp", here(lab, "full"), shared=shared, timeout_s=0.3),
        probed("tls", here(lab, "not_tls"), shared=shared),
        probed("tls", here(lab, "expired"), shared=shared),
    ]
    good = [probed("tls", here(lab, "good"), shared=shared, tls=Tls(ca=str(lab.ca))) for _ in range(5)]
    outcomes = await asyncio.gather(*bad, *good)
    assert [one.ok for one in outcomes] == [False] * 4 + [True] * 5
    await closed(before)


async def test_a_check_that_is_cancelled_leaves_nothing_open(lab):
    before = descriptors()
    probing = asyncio.ensure_future(probed("tls", here(lab, "tls_hang"), tls=Tls(insecure=True)))
    await asyncio.sleep(0.1)
    probing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probing
    await closed(before)


async def test_an_error_that_nobody_thought_of_is_this_checks_alone():
    def broken(*_):
        raise LookupError("secret")

    outcome = await probed("tcp", "x.example:80", shared=Shared(Resolver(broken)))
    assert (outcome.cause, outcome.error) == ("dns", "x.example: LookupError while the name was being looked up")


def resolving(*addresses):
    """Shared settings in which every name has these addresses, in this order."""
    found = [(socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in addresses]
    return Shared(Resolver(lambda *_: found))


async def test_this_machine_is_one_place_whichever_of_its_addresses_answers():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        outcome = await probed("tcp", f"localhost:{port}", shared=resolving("::1", "127.0.0.2", "127.0.0.1"))
    assert (outcome.ok, outcome.address) == (True, f"127.0.0.1:{port}")
    outcome = await probed("tcp", f"localhost:{port}", shared=resolving("127.0.0.2", "127.0.0.1"))
    assert outcome.error == f"connection refused by 127.0.0.1:{port} and 127.0.0.2:{port}"


async def test_another_machine_is_asked_at_its_first_address_alone():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        outcome = await probed("tcp", f"two.example:{port}", shared=resolving("127.0.0.2", "192.0.2.1", "127.0.0.1"))
    assert (outcome.ok, outcome.error) == (False, f"connection refused by 127.0.0.2:{port}, the first of 3 addresses")


@measuring
async def test_a_lookup_that_was_never_begun_is_no_fault_of_its_target():
    """Neither by the limit of its own phase nor by that of the whole check."""
    released = threading.Event()

    def hangs(*_):
        released.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    shared = Shared(Resolver(hangs, lookups=1))
    try:
        first = asyncio.create_task(probed("tcp", "one.example:1", shared=shared, timeout_s=0.5))
        await asyncio.sleep(0.05)
        second = await probed("tcp", "two.example:1", shared=shared, timeout_s=0.1)
        assert (second.cause, second.at_least) == ("unmeasured", False)
        assert second.error.startswith("the name was not looked up within 0.1 s: too many other lookups hang")
        third = await probed("dns", "three.example", shared=shared, timeout_s=0.1)
        assert (third.cause, third.error) == (second.cause, second.error)
        assert (await first).cause == "timeout"
    finally:
        released.set()
