"""``perfconsole record``, as a process of its own."""

import re
import signal
import subprocess
import sys

import pytest

from perfconsole.core.tables import ProcessTable
from perfconsole.sources.playback import Playback

COMMAND = [sys.executable, "-m", "perfconsole", "--interval", "500ms", "record"]


def record(*args, **options):
    return subprocess.run([*COMMAND, *args], capture_output=True, text=True, timeout=300, check=False, **options)


def test_for_a_while(tmp_path):
    done = record("night.rec", "--for", "1500ms", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, last = done.stderr.splitlines()
    assert first.endswith("to night.rec for 1500ms")
    assert re.search(r"perfconsole: recorded \d+\.?\d*", last)
    assert "perfconsole replay night.rec" in last
    playback = Playback(tmp_path / "night.rec")
    playback.seek(None)
    assert playback.state.value("system.memory.utilization") > 0
    assert playback.state.value("system.cpu.utilization") >= 0
    assert playback.state.table(ProcessTable).rows
    start, end = playback.recorded
    assert 0.5 <= end - start <= 100


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_until_interrupted(tmp_path, number):
    child = subprocess.Popen([*COMMAND, tmp_path / "night.rec"], stderr=subprocess.PIPE, text=True)
    with child:
        assert "until interrupted" in child.stderr.readline()
        child.send_signal(number)
        assert "recorded" in child.stderr.read()
    assert child.returncode == 0


def test_what_cannot_be_begun(tmp_path):
    (tmp_path / "mine").write_text("precious")
    done = record("mine", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (64, 1)
    assert "mine exists already: name a new file" in done.stderr
    assert (tmp_path / "mine").read_text() == "precious"
    done = record("nowhere/file", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        3, "perfconsole: cannot record to nowhere/file: No such file or directory: name a file in a directory you can write to\n"
    )  # fmt: skip
    for wrong in ("soon", "0s"):
        done = record("new", "--for", wrong, cwd=tmp_path)
        assert (done.returncode, done.stderr.count("\n")) == (64, 1)
        assert "--for" in done.stderr
    assert not (tmp_path / "new").exists()
