"""The door of an engine: who is let in, who is not, and what lies in the file system before, during and after."""

import gc
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress

import msgspec
import pytest

from perfconsole.config.places import ADDRESS_BYTES
from perfconsole.core import wire
from perfconsole.core.errors import RequestError
from perfconsole.core.requests import SignalArgs
from perfconsole.engine import listen
from perfconsole.engine.listen import MOST_PEERS, Listener, ListenError
from perfconsole.engine.local import LocalSource, actor
from perfconsole.sources.connect import ConnectError, connect

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "engine.sock"


@pytest.fixture
def open_door(make_engine, scripted, path):
    made = []

    def open_door(at=path, **options):
        engine = make_engine(scripted, audit=options.pop("audit", lambda *_: None))
        made.append(Listener(engine, at, **options))
        return engine

    open_door.made = made
    yield open_door
    for listener in made:
        listener.close()


def refused(path, **options):
    with pytest.raises(ConnectError) as told:
        connect(path, **options)
    return told.value


def come_in(path, within_s=60.0):
    """Connect once there is room."""
    end = time.monotonic() + within_s
    while True:
        try:
            return connect(path)
        except ConnectError as error:
            if not error.passing or time.monotonic() > end:
                raise
            time.sleep(0.01)


def raw(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(str(path))
    return sock


# Being let in -------------------------------------------------------------------------------------------------------------------------


def test_a_peer_reads_what_the_engine_tells_from_a_socket_that_is_its_owners_alone(open_door, path, follow):
    before = os.umask(0)
    try:
        engine = open_door()
    finally:
        os.umask(before)
    reader = follow(connect(path))
    reader.until(lambda: reader.state.value("system.cpu.utilization") == 0.1)
    assert reader.state.stream.session == engine.stream.session
    mode = path.lstat().st_mode
    assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)


def test_a_path_longer_than_an_address(open_door, tmp_path, follow):
    directory = tmp_path / ("d" * 120)
    directory.mkdir(0o700)
    path = directory / "engine.sock"
    assert len(str(path)) > ADDRESS_BYTES
    open_door(path)
    reader = follow(connect(path))
    reader.until(lambda: reader.state.stream is not None)
    open_door.made[0].close()
    assert list(directory.iterdir()) == []


async def test_the_audit_file_is_told_who_acts(open_door, path, follow):
    told = []
    open_door(audit=lambda *line: told.append(line))
    source = connect(path)
    follow(source).until(lambda: True)
    await source.request("process.signal", SignalArgs(5, 50, 15))
    assert {peer for peer, *_ in told} == {f"{actor()} (pid {os.getpid()})"}


@pytest.mark.parametrize("who", ["peer", "door"])
async def test_who_may_not_act_is_offered_nothing_and_refused(open_door, path, scripted, follow, who):
    open_door(read_only=who == "door")
    source = connect(path, read_only=who == "peer")
    reader = follow(source)
    reader.until(lambda: reader.state.stream is not None)
    assert "process.signal" not in reader.state.stream.ops
    assert reader.state.stream.read_only
    with pytest.raises(RequestError, match="read-only"):
        await source.request("process.signal", SignalArgs(5, 50, 15))
    assert scripted.signalled == []


def test_a_request_that_is_no_text_is_answered_and_nothing_comes_upon_the_screen(open_door, path, capfd):
    open_door()
    peer = raw(path)
    peer.sendall(wire.greeting() + wire.encode(wire.Request(7, "alert.ack", msgspec.Raw(b"\x93\xa1\xff\x00\xa0"))))
    heard, splitter = [], wire.Splitter()
    assert peer.recv(wire.GREETING_BYTES) == wire.greeting()
    patience = time.monotonic() + 60
    while not any(isinstance(message, wire.Response) for message in heard):
        assert time.monotonic() < patience, "no answer"
        data = peer.recv(65536)
        assert data, "it hung up"
        heard += splitter.feed(data)
    (answer,) = (message for message in heard if isinstance(message, wire.Response))
    assert answer.id == 7
    assert answer.error.startswith("alert.ack: ")
    peer.close()
    gc.collect()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("frame", [b"\x00\x10\x00\x01Q", b"\0\0\0\x06Q\x93\x01\xa1\xff\xc0"])
def test_who_says_too_much_or_nonsense_is_hung_up_on(open_door, path, capfd, frame):
    open_door()
    peer = raw(path)
    peer.sendall(wire.greeting() + frame)
    patience = time.monotonic() + 60
    with suppress(ConnectionResetError):
        while peer.recv(65536):
            assert time.monotonic() < patience, "it is still listened to"
    peer.close()
    come_in(path).close()
    gc.collect()
    assert capfd.readouterr().err == ""


# Not being let in ---------------------------------------------------------------------------------------------------------------------


def test_the_seventeenth_is_turned_away_until_somebody_leaves(open_door, path, follow):
    open_door()
    readers = [follow(connect(path)) for _ in range(MOST_PEERS)]
    for reader in readers:
        reader.until(lambda reader=reader: reader.state.stream is not None)
    assert refused(path).passing
    readers[0].source.close()
    reader = follow(come_in(path))
    reader.until(lambda: reader.state.stream is not None)


@pytest.mark.parametrize("said", [b"perfconsole-wire/999 rw\n"[: wire.GREETING_BYTES], b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, b"perf"])
def test_another_version_is_told_ours_and_no_frame(open_door, path, said, follow):
    engine = open_door()
    peer = raw(path)
    peer.sendall(said)
    got = b""
    try:
        while data := peer.recv(65536):
            got += data
    except ConnectionResetError:  # what it said beyond a greeting was not read
        pass
    peer.close()
    assert got == wire.greeting()
    reader = follow(LocalSource(engine))
    reader.until(lambda: reader.state.seq > 0)


def test_who_says_nothing_is_not_waited_for(open_door, path, monkeypatch):
    monkeypatch.setattr(listen, "_GREETING_S", 0.05)
    open_door()
    peers = [raw(path) for _ in range(MOST_PEERS)]
    for peer in peers:
        while peer.recv(65536):
            pass
        peer.close()
    come_in(path).close()


@needs_root
def test_another_user_is_turned_away(open_door, path):
    """By what the kernel says of him, although the modes would let him in."""
    path.parent.chmod(0o711)
    open_door()
    path.chmod(0o666)
    script = "import os, socket; s = socket.socket(socket.AF_UNIX); os.setuid(65534); s.connect('engine.sock'); print(s.recv(100))"
    done = subprocess.run([sys.executable, "-c", script], cwd=path.parent, capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.stderr) == ("b''\n", "")


@needs_root
def test_a_door_that_another_user_made_is_not_gone_through(path):
    path.parent.chmod(0o777)
    script = (
        "import os, socket; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.bind('engine.sock'); s.listen(); print(flush=True);"
        "c, _ = s.accept(); print(c.recv(100))"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=path.parent, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        error = refused(path)
        assert "uid 65534" in str(error)
        assert not error.passing
        assert other.stdout.read() == b"b''\n"  # nothing was said to him


# What is there before, and after ------------------------------------------------------------------------------------------------------


def test_the_socket_of_one_that_was_killed_is_replaced(open_door, path, follow):
    script = "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('engine.sock'); s.listen(); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], cwd=path.parent, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        other.send_signal(signal.SIGKILL)
    assert path.is_socket()
    assert refused(path).passing
    open_door()
    reader = follow(connect(path))
    reader.until(lambda: reader.state.stream is not None)


def test_what_is_no_socket_is_left_alone(open_door, path):
    path.write_text("mine")
    with pytest.raises(ListenError, match="no socket"):
        open_door()
    assert path.read_text() == "mine"


def test_nobody_listens_where_others_may_write(open_door, path):
    path.parent.chmod(0o770)
    with pytest.raises(ListenError, match=f"chmod 700 {path.parent}"):
        open_door()
    assert not path.exists()


def test_closing_hangs_up_and_takes_the_socket_away(open_door, path, follow):
    engine = open_door()
    source = connect(path)
    hung_up = threading.Event()
    source.ended = hung_up.set
    follow(source).until(lambda: True)
    open_door.made[0].close()
    assert hung_up.wait(60)
    assert not path.exists()
    assert refused(path).passing
    reader = follow(LocalSource(engine))  # which goes on
    reader.until(lambda: reader.state.seq > 0)


def test_closing_after_the_engine_takes_the_socket_away_too(open_door, path):
    engine = open_door()
    engine.stop()
    began = time.monotonic()
    open_door.made[0].close()
    assert time.monotonic() - began < 20  # whoever would take the socket away has ended: it could be waited for without end
    assert not path.exists()


def test_a_successors_socket_is_not_taken_away(open_door, path, follow):
    open_door()
    open_door()
    first, _ = open_door.made
    first.close()
    reader = follow(connect(path))
    reader.until(lambda: reader.state.stream is not None)


# Who knocks ---------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def mute(path):
    """A socket that lets in and says what it is told to."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    peers = []

    def say(text):
        def answer():
            peers.append(sock.accept()[0])
            peers[0].sendall(text)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        return thread

    yield say
    sock.close()
    for peer in peers:
        peer.close()


def test_an_engine_that_does_not_answer_costs_a_bounded_time(mute, path):
    began = time.monotonic()
    error = refused(path, within_s=0.1)
    assert time.monotonic() - began < 20  # it never answers
    assert not error.passing
    assert "no answer within 0.1 s" in str(error)


@pytest.mark.parametrize("said", [b"perfconsole-wire/0 rw\n", b"perfconsole-wire/12 rw\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\0\0\0\2T\x90"])
def test_an_engine_of_another_version_is_not_read(mute, path, said):
    thread = mute(said)
    error = refused(path)
    thread.join(60)
    assert not error.passing
    assert f"version {wire.VERSION}" in str(error)
    assert str(path) in str(error)


def test_a_door_that_is_not_there_may_come_yet(path):
    assert refused(path).passing
