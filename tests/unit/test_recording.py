"""The recorder: nothing is lost, nobody waits, the ring keeps its size, and a full disk is survived."""

import contextlib
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from perfconsole.core.errors import RecordingError
from perfconsole.core.segment import HEADER_BYTES, Header
from perfconsole.core.tables import ProcessRow, ProcessTable
from perfconsole.core.tick import Tick
from perfconsole.history.recording import BOUND, FLUSH_S, FileRecordingSink, RecordingSink
from perfconsole.history.segments import Ring
from perfconsole.sources.playback import Playback


@contextlib.contextmanager
def recording(directory, **options):
    sink = RecordingSink(directory, **options)
    try:
        yield sink
    finally:
        sink.close()


def names(directory):
    return sorted(path.name for path in directory.glob("*.pcr"))


def replayed(path):
    playback = Playback(path)
    playback.seek(None)
    return playback.state


def flushed_until(directory):
    headers = [path.read_bytes()[:HEADER_BYTES] for path in directory.glob("*.pcr")]
    return max((Header.decode(header).end for header in headers if header), default=0.0)


def test_a_clean_close_writes_everything(tmp_path, machine, told):
    box = machine()
    with recording(tmp_path / "r") as sink:
        box.feed(sink, 30)
    assert told(replayed(tmp_path / "r")) == told(box.state)


def test_segments_of_ten_minutes_lose_nothing_between_them(tmp_path, machine, told, eventually):
    box = machine()
    with recording(tmp_path, flush_s=0.01) as sink:
        for _ in range(90):
            box.feed(sink, 20)
            at = box.state.at
            eventually(lambda at=at: flushed_until(tmp_path) == at)
    assert len(names(tmp_path)) == 3
    assert told(replayed(tmp_path)) == told(box.state)


def test_a_segment_begins_with_a_keyframe_and_can_be_read_alone(tmp_path, machine, eventually):
    box = machine()
    with recording(tmp_path, keep_s=600, flush_s=0.01) as sink:
        while len(names(tmp_path)) < 2:
            box.feed(sink, 20)
            at = box.state.at
            eventually(lambda at=at: flushed_until(tmp_path) == at)
    state = replayed(tmp_path / names(tmp_path)[-1])
    assert state.value("system.disk.io") == 20.0
    assert state.at == box.state.at


def test_a_full_segment_is_followed_by_another(tmp_path, machine, eventually):
    box = machine()
    with recording(tmp_path, size_bytes=10**6, flush_s=0.01) as sink:
        for _ in range(40):
            box.feed(sink, 2)
            sink(noise(box.state, 20_000))
            at = box.state.at + 0.25
            eventually(lambda at=at: flushed_until(tmp_path) == at)
            assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 10**6
    assert len(names(tmp_path)) > 3


def noise(state, size):
    """A tick that does not compress."""
    rows = [ProcessRow(1, 1, 1, random.randbytes(size // 2).hex(), "root", "S", 0.0, 0.0, 0.0, 1, 0, 0.0)]
    return Tick(state.seq, state.at + 0.25, state.boot, tables=[ProcessTable("noise", 1.0, 1, rows)])


def test_files_are_the_callers_alone_whatever_the_umask(tmp_path, machine):
    before = os.umask(0)
    try:
        with recording(tmp_path / "state" / "perfconsole" / "recording") as sink:
            machine().feed(sink, 2)
        FileRecordingSink(tmp_path / "one.pcr").close()
    finally:
        os.umask(before)
    directory = tmp_path / "state" / "perfconsole" / "recording"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (directory, *directory.parents[:2])} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    assert stat.S_IMODE((tmp_path / "one.pcr").stat().st_mode) == 0o600


def test_a_directory_that_is_there_is_left_as_it_is_and_what_is_written_there_is_private(tmp_path):
    """It is somebody's: to close it to others could break a machine. One that others may write to is refused."""
    (tmp_path / "r").mkdir(0o755)
    sink = RecordingSink(tmp_path / "r")
    sink(Tick(1, 1e6, 1.0, key=True))
    sink.close()
    assert stat.S_IMODE((tmp_path / "r").stat().st_mode) == 0o755
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "r").iterdir()} == {0o600}
    (tmp_path / "w").mkdir()
    (tmp_path / "w").chmod(0o777)
    with pytest.raises(RecordingError, match="others may write to"):
        RecordingSink(tmp_path / "w")
    assert stat.S_IMODE((tmp_path / "w").stat().st_mode) == 0o777


def test_one_recorder_at_a_time(tmp_path):
    with recording(tmp_path), pytest.raises(RecordingError, match=f"recorded by pid {os.getpid()} already"):
        RecordingSink(tmp_path)
    RecordingSink(tmp_path).close()


def test_a_directory_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RecordingError, match=r"cannot record in .*file/r: Not a directory: set another \[history\] dir"):
        RecordingSink(tmp_path / "file" / "r")


def test_the_ring_lets_go_what_is_too_old_and_nothing_else(tmp_path):
    (tmp_path / "notes.txt").write_text("not ours")
    (tmp_path / "abc.pcr").write_text("not ours")
    ring = Ring(tmp_path, keep_s=3600, size_bytes=10**8)
    for start in range(0, 9000, 600):
        segment = ring.begin(1e6 + start)
        segment.add(Tick(1, 1e6 + start + 599, 1.0, key=True))
        segment.flush(finish=True)
        ring.end(segment)
    ring.close()
    starts = [int(name[:-4]) / 1000 - 1e6 for name in names(tmp_path) if name != "abc.pcr"]
    assert starts == [float(start) for start in range(4800, 9000, 600)]  # 4800 ended at 5399, the newest began at 8400
    assert (tmp_path / "notes.txt").exists()
    assert (tmp_path / "abc.pcr").exists()


def test_when_the_clock_was_set_back_the_future_goes_first(tmp_path):
    ring = Ring(tmp_path, keep_s=1e9, size_bytes=800_000)
    for start in (9e6, 1e6, 2e6, 3e6):
        segment = ring.begin(start)
        segment.add(Tick(1, start, 1.0, key=True, tables=noise_tables(300_000)))
        segment.flush(finish=True)
        ring.end(segment)
    ring.close()
    assert names(tmp_path) == ["2000000000.pcr", "3000000000.pcr"]


def noise_tables(size):
    rows = [ProcessRow(1, 1, 1, random.randbytes(size).hex(), "root", "S", 0.0, 0.0, 0.0, 1, 0, 0.0)]
    return [ProcessTable("noise", 1.0, 1, rows)]


def test_two_segments_of_the_same_moment(tmp_path):
    ring = Ring(tmp_path, 3600, 10**7)
    for _ in range(2):
        segment = ring.begin(1e6)
        segment.add(Tick(1, 1e6, 1.0, key=True))
        segment.flush()
        ring.end(segment)
    ring.close()
    assert names(tmp_path) == ["1000000000.pcr", "1000000001.pcr"]


def test_a_recording_that_was_removed_begins_anew(tmp_path, machine, eventually):
    box = machine()
    directory = tmp_path / "r"
    with recording(directory, keep_s=60, flush_s=0.01) as sink:
        box.feed(sink, 2)
        eventually(lambda: names(directory))
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()
        eventually(lambda: box.feed(sink, 2) or (directory.exists() and names(directory)))
        assert sink.error == ""


CHILD = """
import sys, time
sys.path[:0] = [sys.argv[1]]
from perfconsole.core.tick import Reading, SeriesDef, Group, Stream, Tick
from perfconsole.history.recording import RecordingSink
from perfconsole.history.segments import Segment
sink = RecordingSink(sys.argv[2], flush_s=0.2)
start = time.time()
sink(Tick(0, start, 0.0, key=True, groups=[Group(1, "system", "host", 0.01, (SeriesDef("x"),))], stream=Stream("h", "s", "b", "0")))
seq = 0
flush = Segment.flush
def flushed(segment):
    newest = segment._end
    flush(segment)
    print("kept", newest, flush=True)
Segment.flush = flushed
while True:
    seq += 1
    at = time.time()
    sink(Tick(seq, at, 0.0, readings=[Reading(1, at, [float(seq)])]))
    time.sleep(0.05)
"""


def test_a_recorder_that_is_killed_loses_two_flushes_at_most(tmp_path, machine):
    """What one wrote is there, whenever it ends: at most what came since the one before it began is not."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, Path.cwd(), tmp_path], stdout=subprocess.PIPE, text=True)
    with child:
        lines = [child.stdout.readline() for _ in range(4)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.read().splitlines()
    kept = [float(line.split()[1]) for line in lines if line.endswith("\n")]
    state = replayed(tmp_path)
    assert state.at >= kept[-1] > kept[0]
    assert len(next(state.all_series()).ring) == state.seq
    assert FLUSH_S * 2 <= 10.0
    box = machine(start=time.time())
    with recording(tmp_path) as sink:  # the lock died with its holder
        box.feed(sink, 5)
    assert replayed(tmp_path).at == box.state.at
    assert len(names(tmp_path)) == 2


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 512 KiB."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", place], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_is_said_and_survived(small_disk, machine, eventually):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(300_000))
    box = machine()
    with recording(small_disk / "r", flush_s=0.01, retry_s=0.05) as sink:
        box.feed(sink, 10)
        eventually(lambda: flushed_until(small_disk / "r") == box.state.at)
        before = box.state.at
        eventually(lambda: sink(noise(box.state, 40_000)) or sink.error)
        assert sink.error == f"not recording: No space left on device ({small_disk / 'r'})"
        assert Playback(small_disk / "r").recorded[1] >= before
        ballast.unlink()
        eventually(lambda: box.feed(sink, 2) or not sink.error)
        box.feed(sink, 10)
    state = replayed(small_disk / "r")
    assert state.at == box.state.at
    assert next(state.all_series()).ring.points(0)[0][0] < before


def test_a_disk_that_hangs_holds_up_nobody(tmp_path, machine, eventually, monkeypatch):
    released = threading.Event()
    begin = Ring.begin
    monkeypatch.setattr(Ring, "begin", lambda ring, start: released.wait() and begin(ring, start))
    box = machine()
    with recording(tmp_path, flush_s=0.01) as sink:
        box.feed(sink, 1)
        eventually(lambda: not sink._queue)
        started = time.thread_time()
        for _ in range(20):
            box.feed(sink, BOUND / 10)
            assert len(sink._queue) <= BOUND
        assert time.thread_time() - started < 1.0
        released.set()
        eventually(lambda: sink.wants_keyframe)
        box.feed(sink, 3)
    assert replayed(tmp_path).at == box.state.at


def test_a_fault_of_any_kind_is_said(tmp_path, machine, eventually):
    box = machine()
    with recording(tmp_path, flush_s=0.01) as sink:
        sink(box.state.keyframe())
        sink(Tick(1, 1.0, 1.0, tables=[ProcessTable("host", 1.0, 1, [None])]))
        eventually(lambda: sink.error)
        assert sink.error.startswith("not recording: AttributeError")


def test_one_file_holds_a_whole_recording(tmp_path, machine, told, eventually):
    box = machine()
    path = tmp_path / "one.pcr"
    sink = FileRecordingSink(path, flush_s=0.01)
    for _ in range(70):
        box.feed(sink, 20)
        eventually(lambda: not sink._queue)
    sink.close()
    assert told(replayed(path)) == told(box.state)
    assert len(Playback(path)._places) >= 2


def test_a_file_that_exists_is_not_written_to(tmp_path):
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(RecordingError, match="mine exists already: name a new file"):
        FileRecordingSink(tmp_path / "mine")
    with pytest.raises(RecordingError, match=r"cannot record to .*: No such file or directory"):
        FileRecordingSink(tmp_path / "nowhere" / "file")
    assert (tmp_path / "mine").read_text() == "precious"


def test_closing_twice_and_without_a_tick(tmp_path):
    sink = RecordingSink(tmp_path)
    sink.close()
    sink.close()
    assert names(tmp_path) == []
