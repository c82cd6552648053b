"""What is read of this machine on demand, really: a stopped listener, ports that wait, a deleted file, a writer; and as nobody."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from quiet import measuring

from perfconsole.collectors.system import SystemCollector, detail
from perfconsole.collectors.system.detail_sockets import LISTEN, read_sockets
from perfconsole.core.requests import Nothing

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads procfs")


@pytest.fixture(autouse=True)
def short_window(monkeypatch):
    """What is written in a tenth of a second is enough to be seen here."""
    monkeypatch.setattr(detail, "_WINDOW_S", 0.1)


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """On a busy machine it is read on: what becomes of what is not read in time is asked elsewhere."""
    monkeypatch.setattr(detail, "_WALK_S", 60.0)
    monkeypatch.setattr(detail, "_ASK_S", 30.0)
    monkeypatch.setattr(detail.DetailReader.read, "__defaults__", (120.0,))


def sections():
    collector = SystemCollector()
    (operation,) = collector.operations
    answer = asyncio.run(operation.run(Nothing()))
    collector.close()
    return {section.title: section for section in answer.sections}


def until(done, give_up_s=30.0):
    """Look until there is something to be seen."""
    end = time.monotonic() + give_up_s
    while not (found := done()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


STOPPED = """
import signal, socket
server = socket.create_server(("127.0.0.1", 0), backlog=1)
print(server.getsockname()[1], flush=True)
signal.pause()
"""


def test_a_stopped_listener_is_named_with_its_full_queue():
    with subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True) as child:
        clients = []
        try:
            port = int(child.stdout.readline())
            child.send_signal(signal.SIGSTOP)
            for _ in range(6):
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
                clients.append(client)

            def full():
                return [fact for fact in sections()["Listeners"].facts if fact.name == f"127.0.0.1:{port}" and "queue 2" in fact.text]

            (fact,) = until(full) or [None]
            assert fact is not None
            assert f"({child.pid})  stopped  queue 2" in fact.text
            assert "descriptors" in fact.text
            if "queue 2 of" in fact.text:  # over netlink; /proc/net/tcp does not say how long the queue may get
                assert "queue 2 of 1 " in fact.text
                assert fact.severity == "critical"
                assert "accept" in fact.note
        finally:
            for client in clients:
                client.close()
            child.kill()


def test_both_ways_tell_of_the_same_listeners():
    """Netlink, and the text of procfs."""

    def listening(*, netlink):
        found, complete = read_sockets("/proc", range(0), float("inf"), netlink=netlink)
        assert complete
        return {(each.address, each.port, each.inode) for each in found if each.state == LISTEN}

    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET6) as other:
        try:
            other.bind(("::1", 0))
            other.listen(7)
        except OSError:
            pytest.skip("this machine has no IPv6")
        ports = {server.getsockname()[1], other.getsockname()[1]}
        ours = lambda found: {each for each in found if each[1] in ports}  # noqa: E731
        assert ours(listening(netlink=True)) == ours(listening(netlink=False))
        assert len(ours(listening(netlink=True))) == 2


def test_ports_that_wait_are_counted_to_their_peer():
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        peer = server.getsockname()
        for _ in range(30):
            with socket.create_connection(peer) as client:
                accepted, _ = server.accept()
                client.close()  # who closes first waits
                accepted.close()
        with socket.create_connection(peer):
            section = sections()["Ports by peer"]
    (fact,) = [fact for fact in section.facts if fact.name == f"127.0.0.1:{peer[1]}"] or [None]
    if fact is None and len(section.facts) == 10:
        pytest.skip("this machine has ten peers with more connections")
    assert fact.text.startswith("31 ports")
    assert "30 time wait" in fact.text
    assert "1 established" in fact.text
    assert f"({os.getpid()})" in fact.text


def test_a_deleted_file_that_is_open_is_found_with_its_size(tmp_path):
    name = tmp_path / "gone.log"
    with name.open("wb") as file:
        for block in [os.urandom(2**22)] * 8:  # larger than what else lies about
            file.write(block)
        file.flush()
        name.unlink()
        section = sections()["Deleted, still open"]
    found = [fact for fact in section.facts if str(name) in fact.text]
    if not found and len(section.facts) == 20:
        pytest.skip("this machine has twenty larger ones")
    (fact,) = found
    assert fact.name == "32M"
    assert f"({os.getpid()})" in fact.text
    assert " on /" in fact.text


WRITER = """
import sys, time
with open(sys.argv[1], "ab", buffering=0) as file:
    print(flush=True)
    while True:
        file.write(bytes(500_000))
        if file.tell() > 200_000_000:
            file.truncate(0)
        time.sleep(0.02)
"""


def test_who_writes_is_found_with_the_file(tmp_path):
    name = tmp_path / "app.log"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(name)], stdout=subprocess.PIPE) as child:
        try:
            child.stdout.readline()
            found = until(
                lambda: [fact for fact in sections()["Writers now"].facts if f"({child.pid})" in fact.text and str(name) in fact.text]
            )
        finally:
            child.kill()
    assert found
    assert found[0].name.startswith("/")
    assert not found[0].text.startswith("0B")


AS_NOBODY = textwrap.dedent("""
    import asyncio, ctypes, json, os
    from perfconsole.collectors.system import SystemCollector, condition, detail
    from perfconsole.core.requests import Nothing
    detail._WINDOW_S = 0.1
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    (operation,) = SystemCollector().operations
    answer = asyncio.run(operation.run(Nothing()))
    facts = lambda section: [[fact.name, fact.text, fact.severity] for fact in section.facts]
    print(json.dumps({section.title: [section.note, facts(section)] for section in answer.sections}))
""")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_as_nobody_it_says_what_cannot_be_seen_and_what_would_show_it():
    import json

    with socket.create_server(("127.0.0.1", 0)) as server:
        done = subprocess.run([sys.executable, "-c", AS_NOBODY], capture_output=True, text=True, check=True, timeout=60)
        port = server.getsockname()[1]
    found = json.loads(done.stdout)
    for title in ("Listeners", "Deleted, still open", "Writers now"):
        note, _ = found[title]
        assert "run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH" in note or "hidepid" in note, title
    (mine,) = [text for name, text, _ in found["Listeners"][1] if name == f"127.0.0.1:{port}"]
    assert mine.startswith("not seen whose  queue 0")
    assert all(not text.startswith("unknown") for _, facts in found.values() for _, text, _ in facts)


@measuring
def test_a_reading_ends_in_time_and_holds_the_loop_for_no_moment(monkeypatch):
    monkeypatch.setattr(detail, "_WINDOW_S", 1.0)

    async def read():
        collector = SystemCollector()
        (operation,) = collector.operations
        longest, last, began = 0.0, time.thread_time(), time.monotonic()
        task = asyncio.ensure_future(operation.run(Nothing()))
        while not task.done():
            await asyncio.sleep(0.005)
            longest, last = max(longest, time.thread_time() - last), time.thread_time()
        return longest, time.monotonic() - began

    longest, took_s = asyncio.run(read())
    print(f"detail of the machine: {took_s:.2f} s, the loop's own work {longest * 1e3:.2f} ms at most")
    assert took_s < 60  # a second
    assert longest < 0.02  # of this thread: what the reading does is another's


def test_nothing_is_left_open():
    before = len(list(Path("/proc/self/fd").iterdir()))
    sections()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
