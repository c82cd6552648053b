"""Names to addresses: what a resolver says, what it does not say, and who waits for it."""

import asyncio
import socket
import threading
from math import nan

import pytest

from perfconsole.collectors.http.network.names import Resolver, ascii_name, literal_family, plain, server_name
from perfconsole.collectors.http.network.prober import Failure


def found(*addresses):
    return [(socket.AF_INET6 if ":" in one else socket.AF_INET, 1, 6, "", (one, 0)) for one in addresses]


class Slow:
    """A resolver that answers when it is let go; counts who asked for what."""

    def __init__(self):
        self.asked = []
        self.go = threading.Event()

    def __call__(self, host, port, family, kind):
        self.asked.append((host, family))
        if host.startswith("hang"):
            self.go.wait(60)
        return found("192.0.2.1")


@pytest.fixture
def slow():
    slow = Slow()
    yield slow
    slow.go.set()


@pytest.mark.parametrize(
    ("host", "kind", "bare"),
    [
        ("192.0.2.1", 4, "192.0.2.1"),
        ("::1", 6, "::1"),
        ("[2001:db8::1]", 6, "2001:db8::1"),
        ("fe80::1%lo", 6, "fe80::1%lo"),
        ("[fe80::1%lo]", 6, "fe80::1%lo"),
        ("192.0.2.1%lo", 0, "192.0.2.1%lo"),
        ("fe80::1%", 0, "fe80::1%"),
        ("127.1", 0, "127.1"),
        ("example.org", 0, "example.org"),
        ("", 0, ""),
        ("a\0b", 0, "a\0b"),
    ],
)
def test_literals(host, kind, bare):
    assert literal_family(host) == kind
    assert plain(host) == bare


def test_the_name_for_a_certificate_has_neither_zone_nor_brackets_nor_last_dot():
    assert [server_name(name) for name in ("[fe80::1%lo]", "example.org.", "example.org")] == ["fe80::1", "example.org", "example.org"]


async def test_an_address_is_nobodys_question(slow):
    resolver = Resolver(slow)
    assert (await resolver.addresses("[::1]", 0, 1)).addresses == ["::1"]
    assert (await resolver.addresses("192.0.2.7", 4, nan)).addresses == ["192.0.2.7"]
    with pytest.raises(Failure, match="is an IPv4 address, and IPv6 is asked for") as failed:
        await resolver.addresses("192.0.2.7", 6, 1)
    assert failed.value.cause == "dns"
    assert slow.asked == []


async def test_the_machine_knows_itself():
    assert "127.0.0.1" in (await Resolver().addresses("localhost", 4, 5)).addresses


async def test_who_asks_for_the_same_at_the_same_time_shares_one_lookup(slow):
    resolver = Resolver(slow)
    asked = [asyncio.ensure_future(resolver.addresses("hang.example", 0, 5)) for _ in range(20)]
    asked.append(asyncio.ensure_future(resolver.addresses("hang.example", 4, 5)))
    await asyncio.sleep(0.02)
    asked[3].cancel()  # giving up takes the answer from nobody
    slow.go.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(answers.pop(3), asyncio.CancelledError)
    assert [answer.addresses for answer in answers] == [["192.0.2.1"]] * 20
    assert sorted(slow.asked) == [("hang.example", socket.AF_UNSPEC), ("hang.example", socket.AF_INET)]
    await resolver.addresses("hang.example", 0, 5)
    assert len(slow.asked) == 3  # nothing is kept


async def test_a_resolver_that_hangs_is_a_timeout_and_delays_no_other_name(slow):
    resolver = Resolver(slow)
    hanging = [asyncio.ensure_future(resolver.addresses(f"hang{number}.example", 0, 1)) for number in range(20)]
    await asyncio.sleep(0.01)
    assert (await resolver.addresses("fine.example", 0, 60)).addresses == ["192.0.2.1"]
    assert not any(one.done() for one in hanging)
    for failed in await asyncio.gather(*hanging, return_exceptions=True):
        assert (failed.cause, failed.at_least) == ("timeout", True)
        assert failed.text == "timeout of 1 s while the name was being looked up"


async def test_lookups_that_hang_do_not_pile_up_threads(slow):
    resolver = Resolver(slow, lookups=3)
    asked = [resolver.addresses(f"hang{number}.example", 0, 0.5) for number in range(10)]
    failed = await asyncio.gather(*asked, return_exceptions=True)
    assert len(slow.asked) == 3  # each in a thread that still hangs
    assert sorted(one.cause for one in failed) == ["timeout"] * 3 + ["unmeasured"] * 7  # who was never asked for is not down
    # Asked for again, a name whose lookup still hangs joins it, and a further one is still not begun.
    with pytest.raises(Failure) as again:
        await resolver.addresses("hang0.example", 0, 0.05)
    assert again.value.cause == "timeout"
    slow.go.set()
    assert (await resolver.addresses("hang9.example", 0, 5)).addresses == ["192.0.2.1"]  # the threads are free again


async def test_who_waited_for_a_turn_is_served_by_the_lookup_that_another_began(slow):
    resolver = Resolver(slow, lookups=1)
    first = asyncio.ensure_future(resolver.addresses("hang.example", 0, 5))
    both = [asyncio.ensure_future(resolver.addresses("fine.example", 0, 5)) for _ in range(2)]
    await asyncio.sleep(0.02)
    slow.go.set()
    assert [answer.addresses for answer in await asyncio.gather(first, *both)] == [["192.0.2.1"]] * 3
    assert [host for host, _ in slow.asked] == ["hang.example", "fine.example"]


async def test_a_machine_without_threads_says_so(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(Failure, match="allows no further thread") as failed:
        await Resolver().addresses("x.example", 0, 1)
    assert failed.value.cause == "unmeasured"


@pytest.mark.parametrize(
    ("number", "cause", "words"),
    [
        (socket.EAI_NONAME, "dns", "x.example: there is no such name"),
        (socket.EAI_NODATA, "dns", "x.example: the name has no address"),
        (socket.EAI_AGAIN, "dns", "x.example: the resolver failed, for now: its servers did not answer, or said SERVFAIL"),
        (socket.EAI_FAIL, "dns", "x.example: the resolver failed"),
        (socket.EAI_MEMORY, "unmeasured", "x.example: this machine has no memory left"),
    ],
)
async def test_what_a_resolver_says_no_with(number, cause, words):
    def refuse(*_):
        raise socket.gaierror(number, "whatever")

    with pytest.raises(Failure) as failed:
        await Resolver(refuse).addresses("x.example", 0, 1)
    assert (failed.value.cause, failed.value.text, failed.value.at_least) == (cause, words, False)


async def test_no_answer_at_all_is_no_address():
    with pytest.raises(Failure, match="the name has no address"):
        await Resolver(lambda *_: []).addresses("x.example", 0, 1)


@pytest.mark.parametrize(
    ("host", "written"),
    [
        ("straße.example", "xn--strae-oqa.example"),  # not strasse.example, which is another's
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("a_b.bücher。example", "a_b.xn--bcher-kva.example"),
        ("日本.example.", "xn--wgv71a.example."),
        ("A.example", "A.example"),
    ],
)
def test_names_are_written_as_browsers_write_them(host, written):
    assert ascii_name(host) == written


async def test_international_names_are_asked_for_in_ascii():
    asked = []

    def remember(host, *_):
        asked.append(host)
        return found("2001:db8::1", "2001:db8::1")

    assert (await Resolver(remember).addresses("münchen.example", 6, 1)).addresses == ["2001:db8::1"]
    assert asked == ["xn--mnchen-3ya.example"]


@pytest.mark.parametrize("host", ["ä..example", "ä" * 80, "a\0b", "a" * 300 + ".example", "\x1b[31mä..x"])
async def test_what_cannot_be_a_name_is_told_in_words(host):
    with pytest.raises(Failure) as failed:
        await Resolver().addresses(host, 0, 5)
    assert failed.value.cause == "dns"
    assert failed.value.text.isprintable()


async def test_a_link_local_address_keeps_its_zone():
    resolver = Resolver(lambda *_: [(socket.AF_INET6, 1, 6, "", ("fe80::1", 0, 0, 2))])
    assert (await resolver.addresses("router.local", 6, 1)).addresses == ["fe80::1%2"]
