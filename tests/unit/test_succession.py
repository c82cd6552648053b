"""A source that outlives the engines it reads from: real sockets, the far ends played by hand."""

import asyncio
import os
import socket
import threading
import time
from itertools import pairwise

import msgspec
import pytest

from perfconsole.core import wire
from perfconsole.core.errors import RequestError
from perfconsole.core.ports import Watch
from perfconsole.core.requests import PROCESS_SIGNAL, Done, SignalArgs
from perfconsole.core.tables import View
from perfconsole.core.tick import Stream, Tick
from perfconsole.sources import succession
from perfconsole.sources.remote import RemoteSource
from perfconsole.sources.succession import Succession

LOOK = Watch((View("process", limit=5),))
KILL = SignalArgs(5, 50, 15)


class Far:
    """An engine at the other end."""

    def __init__(self, session, silence_s):
        near, self.sock = socket.socketpair()
        self.sock.settimeout(60)
        self.source = RemoteSource(near, silence_s)
        self.session = session
        self._heard = wire.Splitter()
        self._messages = []

    def tell(self, seq, *, key=False):
        stream = Stream("box", self.session, "boot", "0") if key else None
        self.sock.sendall(wire.encode(Tick(seq, 1.7e9 + seq, float(seq), key=key, stream=stream)))

    def hear(self):
        while not self._messages:
            data = self.sock.recv(65536)
            assert data, "it hung up"
            self._messages += self._heard.feed(data)
        return self._messages.pop(0)

    def end(self):
        self.sock.close()


@pytest.fixture
def far():
    made = []

    def make(session, silence_s=None):
        made.append(Far(session, silence_s))
        return made[-1]

    yield make
    for one in made:
        one.end()
        one.source.close()


class Followed:
    """Who comes next, as a test says: what is put in is given in turn, None where there is nothing; counts the questions."""

    def __init__(self):
        self.asked, self.threads, self.turns = [], set(), []

    def __call__(self):
        self.asked.append(time.monotonic())
        self.threads.add(threading.current_thread())
        turn = self.turns.pop(0) if self.turns else None
        if isinstance(turn, Exception):
            raise turn
        return turn


@pytest.fixture
def followed(monkeypatch):
    monkeypatch.setattr(succession, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(succession, "MOST_PAUSE_S", 0.04)
    return Followed()


@pytest.fixture
def begin(followed):
    made = []

    def begin(first):
        source = Succession(first, followed)
        source.ticks, source.wakes = [], 0
        made.append(source)

        def wake():
            source.wakes += 1
            source.ticks += source.drain()

        source.subscribe(wake)
        return source

    yield begin
    for source in made:
        source.close()


def test_it_relays_and_goes_on_with_who_follows_from_a_keyframe(far, followed, begin, eventually):
    first, second = far("a"), far("b")
    source = begin(first.source)
    first.tell(1, key=True)
    first.tell(2)
    eventually(lambda: len(source.ticks) == 2)
    followed.turns.append(second.source)
    first.end()
    eventually(lambda: followed.asked)
    second.tell(70, key=True)
    second.tell(71)
    eventually(lambda: len(source.ticks) == 4)
    assert [(tick.seq, tick.key) for tick in source.ticks] == [(1, True), (2, False), (70, True), (71, False)]
    assert source.ticks[2].stream.session == "b"
    assert threading.current_thread() not in followed.threads
    eventually(lambda: (first.source._thread.is_alive(), first.source._open) == (False, False))


def test_who_follows_is_told_what_is_looked_at(far, followed, begin):
    first, second, third = far("a"), far("b"), far("c")
    source = begin(first.source)
    source.watch(Watch())
    source.watch(LOOK)
    assert [first.hear(), first.hear()] == [Watch(), LOOK]
    followed.turns += [second.source, third.source]
    first.end()
    assert second.hear() == LOOK
    second.end()
    assert third.hear() == LOOK


def test_what_is_looked_at_meanwhile_is_told_to_who_follows(far, followed, begin, eventually):
    first, second = far("a"), far("b")
    source = begin(first.source)
    source.watch(Watch())
    first.end()
    eventually(lambda: len(followed.asked) > 1)
    source.watch(LOOK)
    followed.turns.append(second.source)
    assert second.hear() == LOOK


def test_nobody_at_first(far, followed, begin, eventually):
    second = far("b")
    source = begin(None)
    assert source.drain() == []
    source.watch(LOOK)
    eventually(lambda: followed.asked)
    followed.turns.append(second.source)
    assert second.hear() == LOOK
    second.tell(1, key=True)
    eventually(lambda: source.ticks)


def test_it_asks_again_with_longer_pauses_whatever_the_answer(far, followed, begin, eventually):
    followed.turns += [None, OSError("no"), None, RequestError("no"), None, far("b").source]
    begin(None)
    eventually(lambda: len(followed.asked) == 6)
    pauses = [later - earlier for earlier, later in zip(followed.asked, followed.asked[1:], strict=False)]
    assert [pause >= least for pause, least in zip(pauses, (0.01, 0.02, 0.04, 0.04, 0.04), strict=True)] == [True] * 5
    time.sleep(0.1)
    assert len(followed.asked) == 6


async def test_requests_reach_who_is_there(far, followed, begin, eventually):
    first, second = far("a"), far("b")
    source = begin(first.source)

    async def answered(one):
        asking = asyncio.create_task(source.request(PROCESS_SIGNAL.name, KILL))
        request = await asyncio.to_thread(one.hear)
        one.sock.sendall(wire.encode(wire.Response(request.id, wire.pack(Done(one.session)))))
        return (await asking).text

    assert await answered(first) == "a"
    followed.turns.append(second.source)
    first.end()
    second.tell(1, key=True)
    await asyncio.to_thread(eventually, lambda: source.ticks)
    assert await answered(second) == "b"


async def test_a_refusal_stays_what_it_is(far, begin):
    first = far("a")
    source = begin(first.source)
    asking = asyncio.create_task(source.request(PROCESS_SIGNAL.name, KILL))
    request = await asyncio.to_thread(first.hear)
    first.sock.sendall(wire.encode(wire.Response(request.id, error="not yours", fix="ask root")))
    with pytest.raises(RequestError) as told:
        await asking
    assert (told.value.message, told.value.fix) == ("not yours", "ask root")


async def test_a_request_under_way_fails_with_its_engine(far, begin):
    first = far("a")
    source = begin(first.source)
    asking = asyncio.create_task(source.request(PROCESS_SIGNAL.name, KILL))
    await asyncio.to_thread(first.hear)
    first.end()
    with pytest.raises(RequestError, match=r"ended before it answered.*whether it was done"):
        await asyncio.wait_for(asking, 60)


async def test_a_request_that_is_handed_over_while_the_link_ends_fails_with_it(far, begin):
    """Between the last byte read and the end of the connection's thread nobody looks for requests any more."""
    first = far("one")
    loop, read, asked = asyncio.get_running_loop(), first.source._read, []

    async def read_and_be_asked():
        await read()
        asked.append(asyncio.run_coroutine_threadsafe(first.source.request(PROCESS_SIGNAL.name, KILL), loop))
        time.sleep(0.1)  # noqa: ASYNC251  it is the window: the request comes to its loop meanwhile, which does not go on

    first.source._read = read_and_be_asked
    await asyncio.to_thread(begin, first.source)
    first.end()
    await asyncio.to_thread(first.source._thread.join, 60)
    async with asyncio.timeout(60):
        with pytest.raises(RequestError, match="the connection has ended"):
            await asyncio.wrap_future(asked[0])


async def test_an_answer_that_is_no_text_is_an_error_of_the_request(far, begin):
    first = far("one")
    source = await asyncio.to_thread(begin, first.source)
    asking = asyncio.create_task(source.request(PROCESS_SIGNAL.name, KILL))
    heard = await asyncio.to_thread(first.hear)
    first.sock.sendall(wire.encode(wire.Response(heard.id, msgspec.Raw(b"\x91\xa1\xff"))))
    with pytest.raises(RequestError, match="an answer that cannot be read"):
        await asking


async def test_a_request_while_nobody_is_there_fails_at_once(far, followed, begin, eventually):
    first = far("a")
    source = begin(first.source)
    first.end()
    await asyncio.to_thread(eventually, lambda: followed.asked)
    for one in (source, begin(None)):
        with pytest.raises(RequestError, match="no engine to ask"):
            await asyncio.wait_for(one.request(PROCESS_SIGNAL.name, KILL), 60)


def test_an_end_that_comes_with_the_beginning(far, followed, begin, eventually):
    """Who follows is gone before it was listened to: the next one is."""
    dead, third = far("b"), far("c")
    dead.end()
    followed.turns += [dead.source, third.source]
    source = begin(None)
    third.tell(1, key=True)
    eventually(lambda: source.ticks)
    assert source.ticks[0].stream.session == "c"


def test_an_engine_that_falls_silent_counts_as_ended(far, followed, begin, eventually):
    first, second = far("a", silence_s=0.6), far("b")
    followed.turns.append(second.source)
    source = begin(first.source)
    told = [time.monotonic()]
    while told[-1] - told[0] < 1.0:
        first.tell(1, key=True)
        time.sleep(0.02)
        told.append(time.monotonic())
    # A machine that stood still for that long proves nothing.
    assert followed.asked == [] or max(later - earlier for earlier, later in pairwise(told)) > 0.2
    eventually(lambda: followed.asked)
    second.tell(7, key=True)
    eventually(lambda: source.ticks[-1].seq == 7)


def test_no_wake_after_close(far, followed, begin):
    """Whoever closed it may have a loop that is closed: while engines tell without a pause, and come and go."""
    for _ in range(20):
        first, second = far("a"), far("b")
        followed.turns = [second.source]
        source = begin(first.source)

        def tell(first=first, second=second):
            try:
                for seq in range(200):
                    first.tell(seq, key=True)
                first.end()
                for seq in range(10_000):
                    second.tell(seq, key=True)
            except OSError:  # it was closed, and hung up
                pass

        telling = threading.Thread(target=tell, daemon=True)
        telling.start()
        time.sleep(int.from_bytes(os.urandom(1)) / 255 * 0.02)
        source.close()
        wakes = source.wakes
        second.source.close()  # which was perhaps never its turn
        telling.join(60)
        assert source.wakes == wakes
        assert source.drain() == []


def test_what_is_found_after_close_is_closed(far, followed, begin, eventually):
    second = far("b")
    finding = threading.Event()

    def find():
        followed.asked.append(0)
        finding.wait(100)
        return second.source

    source = Succession(None, find)
    source.subscribe(lambda: None)
    eventually(lambda: followed.asked)
    began = time.monotonic()
    source.close()
    assert time.monotonic() - began < 20  # who looks takes five times as long
    finding.set()
    assert second.sock.recv(1) == b""


def test_closing_ends_the_search(followed, begin, eventually):
    source = begin(None)
    eventually(lambda: len(followed.asked) > 2)
    source.close()
    asked = len(followed.asked)
    time.sleep(0.1)
    assert len(followed.asked) <= asked + 1
    eventually(lambda: not any(thread.is_alive() for thread in followed.threads))


def test_an_end_of_our_own_is_none(far, followed, begin):
    first = far("a")
    source = begin(first.source)
    ended = []
    first.source.ended = lambda: ended.append(1)
    source.close()
    assert first.sock.recv(1) == b""
    first.source._thread.join(60)
    assert (ended, followed.asked) == ([], [])
