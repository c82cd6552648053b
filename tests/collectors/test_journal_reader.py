"""The child that follows the journal: real processes that say what journalctl says, die, flood, hang, and are killed."""

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from perfconsole.collectors.journal.budget import Budget
from perfconsole.collectors.journal.reader import RATE, Reader

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0

HEAD = """#!{python} -IS
import json, os, signal, sys, time
own = os.path.dirname(os.path.abspath(__file__))
with open(own + "/calls", "a") as calls:
    calls.write(json.dumps([os.getpid(), *sys.argv[1:]]) + "\\n")
with open(own + "/calls") as calls:
    turn = sum(1 for _ in calls)
def line(number, **fields):
    now = str(int(time.time() * 1e6))
    return json.dumps({{"__CURSOR": "c%d" % number, "__REALTIME_TIMESTAMP": now, "MESSAGE": "m%d" % number, **fields}}, separators=",:")
def say(number, **fields):
    print(line(number, **fields), flush=True)
def follow():
    import select
    poll = select.poll()
    poll.register(1, 0)
    poll.poll()  # until nobody reads any more, as journalctl does
    sys.exit(1)
"""


class Fake:
    """A program in journalctl's place, and a reader of it with a clock that can be put forward."""

    def __init__(self, directory, body, **options):
        self.directory = directory
        self.program = directory / "journalctl"
        self.program.write_text(HEAD.format(python=sys.executable) + textwrap.dedent(body))
        self.program.chmod(0o755)
        self.entries = []
        self.ahead_s = 0.0
        self.reader = Reader(self.entries.append, ["_PID=1"], str(self.program), clock=lambda: time.monotonic() + self.ahead_s, **options)

    @property
    def calls(self):
        path = self.directory / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def messages(self):
        return [entry.message for entry in self.entries]

    async def until(self, condition, tend=True):
        """Poll."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, (self.messages[-3:], self.reader.error, self.calls)
            if tend:
                self.reader.tend()
            await asyncio.sleep(0.01)


@pytest.fixture
def fake(tmp_path):
    made = []

    def make(body, **options):
        made.append(Fake(tmp_path, body, **options))
        return made[-1]

    yield make
    for each in made:
        each.reader.close()
        assert not [call for call in each.calls if alive(call[0])], "a process was left"


def descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_lines_arrive_as_they_are_written(fake):
    it = fake("for n in range(3): say(n)\nfollow()")
    it.reader.tend()
    await it.until(lambda: it.messages == ["m0", "m1", "m2"])
    assert it.reader.reading
    assert it.reader.sampled == 1.0
    (call,) = it.calls
    assert call[0] == it.reader.pid
    assert {"--follow", "--output=json", "--lines=0", "--quiet", "_PID=1"} <= set(call)
    assert next(word for word in call[1:] if word.startswith("--output-fields=")).count(",") > 10


async def test_killed_it_is_restarted_after_what_was_read_last_and_nothing_is_lost_or_told_twice(fake):
    it = fake(
        """
        start = next(int(word[len("--after-cursor=c"):]) for word in sys.argv if word.startswith("--after-cursor=")) if turn > 1 else -1
        for n in range(start, start + 6):  # the line of the cursor once more, which an old journalctl may do
            if n >= 0:
                say(n)
        sys.stdout.write(line(start + 6)[:20])  # the beginning of a line
        sys.stdout.flush()
        follow()
        """
    )
    for turn in range(1, 4):
        await it.until(lambda turn=turn: len(it.calls) == turn and len(it.messages) >= 5 * turn)
        os.kill(it.reader.pid, signal.SIGKILL)
        await it.until(lambda: it.reader.pid == 0)
        assert "signal 9" in it.reader.error
        assert it.reader.reading, "what it did not read yet it will"
        it.ahead_s += 2.0
    assert it.messages == [f"m{n}" for n in range(15)]
    it.ahead_s += 121.0
    assert not it.reader.reading
    assert "--no-tail" in it.calls[1]
    assert "--after-cursor=c4" in it.calls[1]


async def test_one_that_dies_before_it_says_anything_is_followed_from_where_it_began(fake):
    it = fake("if turn == 1: sys.exit(3)\nsay(1)\nfollow()", now=lambda: 1700000000.25)
    await it.until(lambda: "exit code 3" in it.reader.error)
    it.ahead_s += 1.1
    await it.until(lambda: it.messages == ["m1"])
    assert "--lines=0" in it.calls[0]
    assert "--since=@1700000000.250000" in it.calls[1]
    assert it.reader.error == ""


async def test_what_it_complains_of_is_told_and_it_is_tried_less_and_less_often(fake):
    it = fake(
        """
        print("No journal files were opened due to insufficient permissions.", file=sys.stderr)
        print("Hint: You are \\033[1mnot\\033[0m seeing messages.", file=sys.stderr)
        sys.exit(1)
        """
    )
    waits = []
    for turn in range(1, 9):
        await it.until(lambda turn=turn: len(it.calls) == turn and it.reader.pid == 0)
        assert it.reader.error.endswith("ended (exit code 1: Hint: You are \u241b[1mnot\u241b[0m seeing messages.)")
        waits.append(it.reader._retry_at - it.reader._clock())
        it.ahead_s += waits[-1] - 0.5
        it.reader.tend()
        assert it.reader.pid == 0, "too early"
        it.ahead_s += 0.6
    assert [round(wait) for wait in waits] == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_there_is_one_at_most(fake):
    """One that closes its output and does not end is killed, and no other is begun before it is reaped."""
    it = fake("signal.signal(15, signal.SIG_IGN)\nos.close(1)\nos.close(2)\ntime.sleep(600)")
    await it.until(lambda: it.reader.pid and it.reader._out < 0)
    first = it.reader.pid
    it.ahead_s += 100.0
    most = 0

    def second():
        nonlocal most
        most = max(most, sum(alive(call[0]) for call in it.calls))
        return len(it.calls) > 1

    await it.until(second)
    assert most == 1
    assert not alive(first)


async def test_garbage_is_passed_over(fake):
    it = fake(
        """
        os.write(1, b"-- Logs begin at --\\n{}\\n\\xff\\xfe\\x00garbage\\n[1,2]\\n")
        say(1)
        os.write(1, b"{" * 200_000)
        os.write(1, b"\\n")
        say(2, MESSAGE=[27, 91, 50, 74])
        say(3, MESSAGE=None)
        follow()
        """
    )
    await it.until(lambda: len(it.messages) == 3)
    assert it.messages == ["m1", "\u241b[2J", "(a message too long to be read)"]


async def test_an_endless_line_costs_no_memory(fake):
    it = fake("say(1)\nwhile True: os.write(1, b'x' * 65536)")
    await it.until(lambda: it.messages == ["m1"] and it.reader._splitter.oversized == 1)
    for _ in range(20):
        await asyncio.sleep(0.02)
        assert len(it.reader._splitter._rest) == 0


async def test_a_burst_is_read_whole(fake):
    """2,000 lines at once: whole, though more slowly than they come."""
    it = fake("for n in range(1900): sys.stdout.write(line(n) + '\\n')\nsys.stdout.flush()\nfollow()")
    await it.until(lambda: len(it.messages) == 1900)
    assert it.messages == [f"m{n}" for n in range(1900)]
    assert it.reader.unread == 0


FLOOD = """
    n = 0
    began = time.monotonic()
    while True:  # some 10,000 a second, unless nobody reads
        while n < (time.monotonic() - began) * 10_000:
            fields = {"_PID": "1", "MESSAGE": "unit"} if n % 1000 == 999 else {"_PID": "7", "_UID": "1000", "MESSAGE": "x" * 200}
            sys.stdout.write(line(n, **fields) + "\\n")
            n += 1
        sys.stdout.flush()
        time.sleep(0.01)
"""


async def test_a_flood_is_sampled_at_little_cost_and_units_are_heard_above_it(fake):
    it = fake(FLOOD)
    it.reader._any = Budget(RATE, 300)  # less is saved up than the usual, which takes a second to spend
    it.reader.tend()
    await it.until(lambda: it.reader.unread > 500 and "unit" in it.messages)
    unread, used, began = it.reader.unread, time.process_time(), time.monotonic()
    await asyncio.sleep(1.2)
    await it.until(lambda: it.reader.unread > unread + 100)
    share = (time.process_time() - used) / (time.monotonic() - began)
    assert share < 0.2, f"{share:.1%} of a core"  # 1.3 % on a quiet machine; all that comes is read at 40
    assert it.reader.sampled < 0.9
    numbers = [int(entry.cursor[1:]) for entry in it.entries if entry.message == "unit"]
    assert len(numbers) >= 1
    assert numbers == [999 + 1000 * turn for turn in range(len(numbers))], "one of a unit was passed over"
    came = len(it.messages) + it.reader.unread
    assert it.reader._cursor in {f"c{came - 1}", f"c{came - 2}"}, "it would go on elsewhere"


@pytest.mark.parametrize("colon", [":", " : "])
def test_what_is_poured_out_hides_nothing_of_roots(fake, colon):
    it = fake("")
    it.reader._any = Budget(0.0, 2.0)
    lines = [{"_UID": "1000", "MESSAGE": 'x "_PID":"1" "_UID":"0"', "__CURSOR": f"c{n}", "__REALTIME_TIMESTAMP": "5"} for n in range(9)] + [
        {"_UID": "0", "_PID": "10", "MESSAGE": "root", "__CURSOR": "c10", "__REALTIME_TIMESTAMP": "5"},
        {"_UID": "0", "_PID": "1", "MESSAGE": "manager", "__CURSOR": "c11", "__REALTIME_TIMESTAMP": "5"},
    ]
    it.reader._take(b"".join(json.dumps(line, separators=(",", colon)).encode() + b"\n" for line in lines))
    assert it.messages[2:] == ["root", "manager"]
    assert it.reader.unread == 7
    it.reader._take(json.dumps(lines[0] | {"__CURSOR": "c12"}).encode() + b"\n")
    assert it.reader._cursor == "c12"  # where it stands is known without reading what it says


async def test_what_falls_behind_is_given_up_and_reading_goes_on_at_the_end(fake):
    it = fake(
        """
        number = 1000
        while turn == 1:
            number += 1
            sys.stdout.write(line(number, MESSAGE="old", __REALTIME_TIMESTAMP=str(int((time.time() - 100) * 1e6))) + "\\n")
        say(7)
        follow()
        """
    )
    it.reader.tend()
    await it.until(lambda: len(it.messages) > 500, tend=False)
    assert it.reader.given_up == 0  # it has just begun: that may be the time since the last one died
    it.ahead_s += 40.0
    await it.until(lambda: it.reader.given_up == 1 and "m7" in it.messages)
    assert "--lines=0" in it.calls[1]
    assert it.reader.error == ""
    assert it.reader.sampled < 0.5  # what was given up was not read


async def test_it_ends_with_the_reader_though_it_never_would(fake):
    it = fake("signal.signal(15, signal.SIG_IGN)\nsignal.signal(13, signal.SIG_IGN)\nsay(1)\ntime.sleep(600)")
    before = descriptors()
    it.reader.tend()
    await it.until(lambda: it.messages == ["m1"])
    pid, began = it.reader.pid, time.monotonic()
    it.reader.close()
    assert time.monotonic() - began < 60  # it would go on for ten minutes
    assert not alive(pid)
    it.reader.close()  # once more is no fault
    assert descriptors() == before


async def test_restarts_leave_no_descriptors(fake):
    it = fake("say(turn)\nsys.exit(0)")
    await it.until(lambda: it.reader.error != "")
    before = descriptors()
    for turn in range(2, 6):
        it.ahead_s += 61.0
        await it.until(lambda turn=turn: len(it.calls) == turn and it.reader.pid == 0)
    assert descriptors() == before


async def test_without_descriptors_none_is_kept_and_it_is_tried_again(fake, monkeypatch):
    it = fake("say(1)\nfollow()")
    before, real, made = descriptors(), os.pipe, []

    def pipe():
        if len(made) % 2:
            made.append(None)
            raise OSError(errno.EMFILE, "Too many open files")
        made.append(real())
        return made[-1]

    monkeypatch.setattr(os, "pipe", pipe)
    for _ in range(3):
        it.ahead_s += 61.0
        it.reader.tend()
    assert it.reader.error.endswith("cannot be started: Too many open files")
    assert (len(made), descriptors()) == (6, before)
    monkeypatch.undo()
    it.ahead_s += 61.0
    await it.until(lambda: len(it.messages) == 1)
    assert it.reader.error == ""


async def test_a_program_that_is_not_there_is_a_fault_in_words(fake):
    it = fake("")
    it.program.unlink()
    it.reader.tend()
    assert it.reader.error.endswith("cannot be started: No such file or directory")
    assert not it.reader.reading
    it.program.mkdir()
    it.ahead_s += 5.0
    it.reader.tend()
    assert it.reader.error.endswith("cannot be started: Permission denied")


CONSOLE = """
import asyncio, sys
from perfconsole.collectors.journal.budget import Budget
from perfconsole.collectors.journal.reader import RATE, Reader
async def main():
    reader = Reader(lambda entry: None, ["_PID=1"], sys.argv[1])
    reader.tend()
    print(reader.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def journalctl_follows():
    """Whether there is a journalctl here that waits for lines, journal or not; some end at once in a container."""
    try:
        child = subprocess.Popen(["journalctl", "-f", "-n0", "-q", "_PID=1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return False
    with child:
        try:
            child.wait(0.4)
        except subprocess.TimeoutExpired:
            return True
        finally:
            child.kill()
    return False


def test_journalctl_ends_when_the_console_is_killed():
    if not journalctl_follows():
        pytest.skip("no journalctl that waits for lines")
    console = subprocess.Popen([sys.executable, "-c", CONSOLE, "journalctl"], stdout=subprocess.PIPE, cwd=ROOT)
    with console:
        pid = int(console.stdout.readline())
        time.sleep(0.3)
        assert alive(pid)
        console.kill()
    deadline = time.monotonic() + PATIENCE_S
    while alive(pid):
        assert time.monotonic() < deadline, "journalctl outlives the console"
        time.sleep(0.01)
