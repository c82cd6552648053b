"""The sender with real threads and real time: channels that hang, raise, answer late; the end; a process killed while it sends."""

import asyncio
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
from outbox_desk import FakeChannel, alert, rule

from perfconsole.core.notices import Notice
from perfconsole.notify import outbox_lane, sender
from perfconsole.notify.channel import SendError
from perfconsole.notify.outbox import Outbox


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(outbox_lane, "GATHER_S", 0.02)


def eventually(condition, within_s=60.0):
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
    return found


class Store:
    def __init__(self):
        self.notices, self.lock = {}, threading.Lock()

    def __call__(self, notices, kept=None):
        with self.lock:
            self.notices.update((notice.key, notice) for notice in notices)
        if kept:
            kept()

    def states(self, channel):
        with self.lock:
            return [notice.state for notice in self.notices.values() if notice.channel == channel]


def rules(*channels):
    return {"slow": rule(notify=channels)}


class Office:
    """An outbox that really sends."""

    def __init__(self, *channels):
        self.store = Store()
        self.outbox = Outbox(channels, rules(*(channel.name for channel in channels)), self.store, host="db1")

    def tell(self, *alerts):
        notices = self.outbox.take(alerts, time.time())
        self.store(notices)
        self.outbox.send(notices)

    def sent(self, channel):
        return self.store.states(channel) == ["sent"]


@pytest.fixture
def office():
    offices = []

    def open_one(*channels):
        offices.append(Office(*channels))
        return offices[-1]

    yield open_one
    for one in offices:
        one.outbox.close()
    eventually(lambda: not threads())


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "notify"]


class Slow(FakeChannel):
    """Answers after so many seconds."""

    def __init__(self, name, seconds, **given):
        super().__init__(name, **given)
        self.seconds, self.closed, self.broken_off = seconds, 0, 0

    async def send(self, message):
        self.got.append(message)
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.broken_off += 1
            raise
        return "late"

    async def close(self):
        self.closed += 1


def now(name="a"):
    return alert(name, at=time.time(), fired_at=time.time())


def test_no_thread_before_there_is_something_to_send(office):
    one = office(FakeChannel())
    for _ in range(3):
        one.tell()
    one.outbox.resume([], time.time())
    assert not threads()
    one.tell(now())
    assert threads()
    eventually(lambda: one.sent("ops"))


def test_a_channel_that_hangs_delays_no_other_and_not_the_caller(office, monkeypatch):
    monkeypatch.setattr(sender, "LIMIT_S", 0.3)
    hung, other = Slow("hung", 60), FakeChannel("other")
    one = office(hung, other)
    before = time.monotonic()
    one.tell(now())
    assert time.monotonic() - before < 30  # it hangs for a minute
    eventually(lambda: one.sent("other"))
    assert one.store.states("hung") == ["waiting"]
    name, state, text = eventually(lambda: next((one for one in one.outbox.health() if one[1] != "ok"), None))
    assert (name, state) == ("hung", "error")
    assert "no answer within 0.3 s; 1 notice waits" in text
    eventually(lambda: hung.broken_off)


def test_a_channel_may_say_that_it_takes_longer(office, monkeypatch):
    monkeypatch.setattr(sender, "LIMIT_S", 0.05)
    slow = Slow("slow", 0.3)
    slow.limit_s = 5.0
    one = office(slow)
    one.tell(now())
    eventually(lambda: one.sent("slow"))
    assert len(slow.got) == 1


def test_one_that_swallows_its_cancellation_is_left_alone(office, monkeypatch):
    monkeypatch.setattr(sender, "LIMIT_S", 0.1)

    class Stubborn(FakeChannel):
        async def send(self, message):
            self.got.append(message)
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(0.3)
                raise ValueError("too late for anybody to ask") from None

    stubborn, other = Stubborn("stubborn"), FakeChannel("other")
    one = office(stubborn, other)
    one.tell(now())
    eventually(lambda: one.sent("other") and one.outbox.health()[0][1] == "error")
    one.tell(alert("b", severity="critical", fired_at=time.time()))
    eventually(lambda: one.store.states("other") == ["sent", "sent"])


@pytest.mark.parametrize("error", [SendError("answered 500"), RuntimeError("the key is s3cret"), asyncio.CancelledError()])
def test_a_channel_that_raises_is_tried_again_and_no_foreign_words_are_told(office, monkeypatch, error):
    ops = FakeChannel()
    answers = [error]

    def answer(message):
        if answers:
            raise answers.pop()
        return "ok"

    ops.answer = answer
    one = office(ops)
    one.tell(now())
    eventually(lambda: one.outbox.health()[0][1] == "error")
    assert "s3cret" not in one.outbox.health()[0][2]
    eventually(lambda: one.sent("ops"))
    assert len(ops.got) == 2
    assert ops.got[0].key == ops.got[1].key
    assert one.outbox.health() == [("ops", "ok", "")]


def test_at_the_end_what_is_under_way_is_finished_and_what_hangs_is_left(office, monkeypatch):
    monkeypatch.setattr(sender, "CHANCE_S", 1.5)
    soon, hung = Slow("soon", 0.1), Slow("hung", 600)
    one = office(soon, hung)
    one.tell(now())
    eventually(lambda: soon.got and hung.got)
    before = time.monotonic()
    one.outbox.close()
    assert time.monotonic() - before < 100  # it hangs for ten minutes
    assert (one.store.states("soon"), one.store.states("hung")) == (["sent"], ["waiting"])
    eventually(lambda: (soon.closed, hung.closed, hung.broken_off) == (1, 1, 1))
    again = Outbox([hung2 := FakeChannel("hung")], rules("hung"), one.store, list(one.store.notices.values()))
    again.take([], time.time())
    eventually(lambda: hung2.got)
    assert hung2.got[0].key == hung.got[0].key
    again.close()


def test_the_end_is_bounded_when_a_channel_blocks_the_loop(office):
    released = threading.Event()

    class Blocking(FakeChannel):
        async def send(self, message):
            self.got.append(message)
            released.wait(600)
            return "ok"

    ops = Blocking()
    one = office(ops)
    one.tell(now())
    eventually(lambda: ops.got)
    one.outbox.close()
    assert threads()  # it was not waited for
    released.set()
    eventually(lambda: not threads())


def test_after_the_end_nothing_is_sent(office):
    ops = FakeChannel()
    one = office(ops)
    one.outbox.close()
    one.outbox.close()
    one.tell(now())
    time.sleep(0.1)
    assert (ops.got, one.store.states("ops"), threads()) == ([], ["waiting"], [])


def test_a_fault_of_its_own_is_said_and_ends_nothing(office, monkeypatch):
    monkeypatch.setattr(sender, "_AGAIN_S", 0.05)
    ops = FakeChannel()
    one = office(ops)
    due, faults = one.outbox._due, [KeyError("a"), KeyError("b")]

    def faulty():
        if faults:
            raise faults.pop()
        return due()

    one.outbox._sender._due = faulty
    one.tell(now())
    eventually(lambda: one.sent("ops"))
    assert one.outbox.health() == [("ops", "error", "the sender is at fault: KeyError")]


def test_many_threads_tell_and_ask_at_once(office):
    ops = FakeChannel("ops")
    one = office(ops)
    lock = threading.Lock()  # the engine tells from one thread; only keeping and asking are from others

    def work(number):
        for turn in range(50):
            with lock:
                notices = one.outbox.take([alert(f"e{number}-{turn}")], time.time())
            one.store(notices)
            one.outbox.send(notices)
            one.outbox.health()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    def all_sent():
        one.outbox._lanes["ops"]._last = one.outbox._lanes["ops"]._last_critical = -1e9  # what is held for a minute goes now
        one.outbox._sender.wake()
        return set(one.store.states("ops")) == {"sent"} and len(one.store.notices) == 200

    eventually(all_sent)
    told = [name for _, name in ops.told()]
    assert (len(told), len(set(told))) == (200, 200)


# Killed ---------------------------------------------------------------------------------------------------------------------------

CHILD = """
import asyncio, os, sys, time
import msgspec
from outbox_desk import FakeChannel, alert, rule
from perfconsole.core.notices import Notice
from perfconsole.notify import outbox_batch, outbox_lane
from perfconsole.notify.outbox import Outbox

outbox_lane.GATHER_S = 0.05
outbox_batch.RETRY_S = 0.05
path, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)

def keep(notices, kept=None):
    os.write(fd, msgspec.msgpack.encode(notices).hex().encode() + b"\\n")  # in one piece
    if kept:
        kept()

class Socket(FakeChannel):
    async def send(self, message):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write((message.key + " " + " ".join(notice.key for notice in message.notices) + "\\n").encode())
        await writer.drain()
        answer = await reader.readline()
        writer.close()
        if answer != b"ok\\n":
            raise OSError
        return "ok"

store = {}
with open(path, "rb") as file:
    for line in file:
        for notice in msgspec.msgpack.decode(bytes.fromhex(line.decode()), type=list[Notice]):
            store[notice.key] = notice
standing = [alert(f"e{number}") for number in range(count)]
saved = [notice for notice in store.values() if notice.state in ("waiting", "sent")]
outbox = Outbox([Socket()], {"slow": rule(notify=["ops"])}, keep, saved, host="db1")
notices = outbox.resume(standing, time.time())
keep(notices)
outbox.send(notices)
print("up", flush=True)
time.sleep(600)
"""


class Receiver(socketserver.ThreadingTCPServer):
    """Notes what comes, and answers while it may."""

    allow_reuse_address = daemon_threads = True

    def __init__(self):
        self.lines, self.answering = [], threading.Event()

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                line = self.rfile.readline().split()
                if not line:  # who sent it was killed before it had
                    return
                self.server.lines.append(line)
                if self.server.answering.wait(300):
                    self.wfile.write(b"ok\n")

        super().__init__(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()


@pytest.fixture
def receiver():
    server = Receiver()
    yield server
    server.answering.set()
    server.shutdown()
    server.thread.join()
    server.server_close()


@pytest.fixture
def run(tmp_path, receiver):
    started = []

    def start(count=3):
        root = Path(__file__).parents[2]
        env = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(Path(__file__).parent)])}
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / "store"), str(receiver.server_address[1]), str(count)], env=env,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        started.append(child)
        return child

    yield start
    for child in started:
        end(child)


def end(child):
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()


def stored(path):
    store = {}
    for line in path.read_bytes().splitlines():
        store.update((notice.key, notice) for notice in msgspec.msgpack.decode(bytes.fromhex(line.decode()), type=list[Notice]))
    return list(store.values())


def test_killed_while_it_sends_the_same_message_goes_in_the_next_run_and_then_never_again(run, receiver, tmp_path):
    first = run()
    eventually(lambda: receiver.lines)
    end(first)
    receiver.answering.set()
    second = run()
    eventually(lambda: len(receiver.lines) == 2)
    eventually(lambda: {notice.state for notice in stored(tmp_path / "store")} == {"sent"})
    end(second)
    assert receiver.lines[0] == receiver.lines[1]
    assert len(receiver.lines[0]) == 4
    third = run()
    third.stdout.readline()
    time.sleep(0.4)
    end(third)
    assert len(receiver.lines) == 2


def test_killed_at_any_moment_nothing_is_lost_and_no_notice_goes_in_two_messages(run, receiver, tmp_path):
    receiver.answering.set()
    for delay in (0.0, 0.01, 0.03, 0.05, 0.055, 0.06, 0.07):
        child = run(20)
        child.stdout.readline()
        time.sleep(delay)
        end(child)
    last = run(20)
    eventually(lambda: [notice.state for notice in stored(tmp_path / "store")] == ["sent"] * 20)
    end(last)
    told = {key for line in receiver.lines for key in line[1:]}
    assert len(told) == 20
    assert len({line[0] for line in receiver.lines}) == 1


# Other channels -------------------------------------------------------------------------------------------------------------------


class Closable(FakeChannel):
    """Says when it was closed, and how many messages were under way in it then."""

    def __init__(self, name="ops"):
        super().__init__(name)
        self.may_answer, self.under_way, self.closed = threading.Event(), 0, []

    async def send(self, message):
        self.under_way += 1
        try:
            while not self.may_answer.is_set():  # noqa: ASYNC110  it is another thread that sets it
                await asyncio.sleep(0.005)
            return await super().send(message)
        finally:
            self.under_way -= 1

    async def close(self):
        self.closed.append(self.under_way)


def test_a_channel_that_is_gone_is_closed_when_nothing_is_under_way_in_it(office):
    old, new = Closable(), Closable()
    new.may_answer.set()
    one = office(old)
    one.tell(alert("a"))
    eventually(lambda: old.under_way)
    one.outbox.use([new])
    one.tell(alert("b", severity="critical"))
    eventually(lambda: len(new.got) == 1)
    assert (old.closed, new.closed) == ([], [])
    old.may_answer.set()
    eventually(lambda: old.closed)
    assert (old.closed, len(old.got)) == ([0], 1)
    eventually(lambda: one.store.states("ops") == ["sent", "sent"])
    one.outbox.close()
    eventually(lambda: new.closed)
    assert (len(old.closed), len(new.closed)) == (1, 1)
