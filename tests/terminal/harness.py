"""A terminal to test in: a pty of a size with a program in it, what it wrote, what that looks like, and what it cost. Linux.

Nothing here knows perfconsole's inside: it sees bytes, a screen (by pyte, an independent terminal emulator), exit codes and /proc.
Times are seconds from the moment the program was started.
"""

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import NamedTuple

import pyte

ROOT = Path(__file__).parents[2]
CONSOLE = (sys.executable, "-m", "perfconsole")

PATIENCE_S = 30.0
"""What is waited for comes within a second; where much else runs beside, in several. In this time it comes, or never does."""

HANG_S = 10.0
"""How long an end may take. The console promises half a second, of which a busy machine makes three (see what `tell` tells); whatever
waits for a terminal that does not read, or a thread that hangs, waits for ever."""

ESCAPE = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    rb"|\x1b[\]PX^_].*?(?:\x07|\x1b\\)"  # OSC, DCS, SOS, PM, APC
    rb"|\x1b[ -/]*[0-~]",
    re.DOTALL,
)
_MODE = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")
_QUERY = re.compile(rb"\x1b\[\?([0-9]+)\$p")
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*)?\Z")
_UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[[<=>][0-9;:]*[@-~]|\x1b\[\?[0-9;]*\$p")
_ALTERNATE = re.compile(rb"(\x1b\[\?1049[hl])")
_SWITCHES = (b"\x1b[?1049h", b"\x1b[?1049l")
"""pyte knows no alternate screen; here every one begins empty, and the main one is found as it was left."""
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_TO_BE_OFF = ("47", "1000", "1002", "1003", "1004", "1006", "1015", "1016", "1047", "1049", "2004", "2026", "2048")


class Cost(NamedTuple):
    """What a program used over a window: CPU as a ratio of one core, bytes a second to the terminal, over so many seconds."""

    cpu_ratio: float
    bytes_s: float
    seconds: float


def environment(home, **changes):
    """A user's environment with nothing configured: home and state under `home`, a good terminal. None takes a variable away."""
    keep = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    own = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": f"{home}/config",
        "XDG_STATE_HOME": f"{home}/state",
        "XDG_CACHE_HOME": f"{home}/cache",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "PYTHONSAFEPATH": "1",  # the working directory is not searched: a test may run anywhere
    }
    return {name: value for name, value in (keep | own | changes).items() if value is not None}


def figure(node, name, ours, floor="", promise=""):
    """Have a figure printed with all others at the end of the run: see `tests/conftest.py`."""
    node.user_properties.append(("figure", ("perf", (name, ours, floor, promise))))


class Pty:
    """A program in a terminal of its own; read only when told to, so that it can also be a terminal that does not read.

    Args:
        argv: The program.
        env: Its whole environment.
        size: Columns and rows.
        answers: Answer the queries for modes as a modern terminal does (synchronised output, in-band resize: supported, off).

    Attributes:
        raw: Everything it wrote.
        first_byte_s: When the first of it came; None before.
    """

    def __init__(self, argv, env, size=(80, 24), *, answers=False, cwd=None, stdout=None):
        self.size = size
        self.raw = bytearray()
        self.first_byte_s = None
        self.answers = answers
        self.ended_s = None
        self._fed = self._answered = 0
        self._main = self._emulator = _emulator(size)
        self.master, self.slave = os.openpty()
        self._set_size(size)
        os.set_blocking(self.master, False)
        self.attributes = termios.tcgetattr(self.slave)
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            argv, env=env, cwd=cwd or env.get("HOME"), stdin=self.slave, stdout=stdout or self.slave, stderr=self.slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  nothing else makes it the controlling terminal
        )  # fmt: skip
        self.pid = self.process.pid

    # The terminal -----------------------------------------------------------------------------------------------------------------

    @property
    def now_s(self):
        """Seconds since the start."""
        return time.perf_counter() - self.began

    def _set_size(self, size):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def resize(self, size):
        """Another size; the kernel tells the program with SIGWINCH."""
        self.size = size
        self._draw()
        for emulator in {self._main, self._emulator}:
            emulator.listener.resize(size[1], size[0])
        self._set_size(size)

    def send(self, keys):
        """Type."""
        os.write(self.master, keys.encode() if isinstance(keys, str) else keys)

    def read(self, seconds):
        """Read what comes for so long, or until the program has ended and all is read."""
        self.until(lambda: False, seconds)

    def until(self, condition, within_s=PATIENCE_S):
        """Read until a condition holds; whether it does. Tried after every read, and every 20 ms."""
        end = time.perf_counter() + within_s
        while not condition():
            left = end - time.perf_counter()
            if left <= 0:
                return False
            if not self._take(min(left, 0.02)) and self._ended():
                while self._take(0):
                    pass
                return condition()
        return True

    def _take(self, wait_s):
        poll = select.poll()  # not select(2): a test run has more than 1024 descriptors open now and then
        poll.register(self.master, select.POLLIN)
        if not poll.poll(wait_s * 1000):
            return False
        try:
            data = os.read(self.master, 1 << 16)
        except OSError:
            return False
        if self.first_byte_s is None and data:
            self.first_byte_s = self.now_s
        self.raw += data
        if self.answers:
            for query in _QUERY.finditer(self.raw, self._answered):
                self._answered = query.end()
                self.send(b"\x1b[?%s;2$y" % query[1])
        return bool(data)

    def wait_text(self, pattern, within_s=PATIENCE_S):
        """Read until the screen matches; the time. Fails with the screen when it does not."""
        found = re.compile(pattern)
        assert self.until(lambda: found.search(self.screen()), within_s), f"no {pattern!r} within {within_s} s on:\n{self.screen()}"
        return self.now_s

    def wait_stream(self, pattern, within_s=PATIENCE_S, start=0):
        """Read until the stream from byte `start` on matches once escapes are taken out; the time."""
        found = re.compile(pattern)
        assert self.until(lambda: found.search(self.text(start)), within_s), f"no {pattern!r} in {bytes(self.raw[start:][-2000:])!r}"
        return self.now_s

    def screen(self):
        """What a person sees, one line a row."""
        self._draw()
        screen = self._emulator.listener  # not its own `display`, which falls over half a wide character: one that was painted over
        rows = ((screen.buffer[y][x].data for x in range(screen.columns)) for y in range(screen.lines))
        return "\n".join("".join(row).rstrip() for row in rows)

    def cells(self):
        """Character, colours and attributes of every cell."""
        self._draw()
        screen = self._emulator.listener
        return [[screen.buffer[y][x] for x in range(screen.columns)] for y in range(screen.lines)]

    def steady(self, shown, for_s=0.6, within_s=PATIENCE_S):
        """Read until something of the screen has been the same for so long; that."""
        last, since = shown(), self.now_s
        end = since + within_s
        while self.now_s - since < for_s:
            assert self.now_s < end, f"never the same for {for_s} s:\n{self.screen()}"
            self.read(for_s / 10)
            now = shown()
            if now != last:
                last, since = now, self.now_s
        return last

    def wipe(self):
        """Blank the screen, of which the program knows nothing: what is on it afterwards was painted afterwards."""
        self._draw()
        self._emulator.listener.erase_in_display(2)

    @property
    def is_full(self):
        """Whether whoever writes to the terminal has to wait until it is read."""
        poll = select.poll()
        poll.register(self.slave, select.POLLOUT)
        return not poll.poll(0)

    def _draw(self):
        fresh = bytes(self.raw[self._fed :])
        unfinished = _UNFINISHED.search(fresh)
        if unfinished:
            fresh = fresh[: unfinished.start()]
        self._fed += len(fresh)
        for part in _ALTERNATE.split(_UNKNOWN_TO_PYTE.sub(b"", fresh)):
            if part in _SWITCHES:
                self._emulator = self._main if part.endswith(b"l") else _emulator(self.size)
            elif part:
                self._emulator.feed(part)

    def text(self, start=0):
        """The stream from byte `start` on without its escapes."""
        return ESCAPE.sub(b"", bytes(self.raw[start:])).decode("utf-8", "replace")

    def modes(self):
        """The private modes as the stream leaves them: number to whether it is on."""
        last = {}
        for numbers, letter in _MODE.findall(self.raw):
            for number in numbers.decode().split(";"):
                last[number] = letter == b"h"
        return last

    def unrestored(self):
        """What of the terminal is not as it was: empty when everything is."""
        modes = self.modes()
        wrong = [f"mode {number} is still on" for number in _TO_BE_OFF if modes.get(number)]
        wrong += [f"{what} is still off" for number, what in (("25", "the cursor"), ("7", "line wrap")) if modes.get(number) is False]
        if self.raw.count(b"\x1b[<u") < len(re.findall(rb"\x1b\[>[0-9]+u", self.raw)):
            wrong.append("the keyboard protocol is still on")
        if termios.tcgetattr(self.slave) != self.attributes:
            wrong.append("attributes (echo, line mode) differ")
        return wrong

    # The program ------------------------------------------------------------------------------------------------------------------

    def _ended(self):
        if self.process.poll() is None:
            return False
        if self.ended_s is None:
            self.ended_s = self.now_s
        return True

    def kill(self, number):
        """Send a signal."""
        os.kill(self.pid, number)

    def wait_exit(self, within_s=HANG_S):
        """Read until it has ended; the exit code as a shell shows it (128 + n for signal n)."""
        assert self.until(self._ended, within_s), f"did not end within {within_s} s; screen:\n{self.screen()}"
        while self._take(0):  # its last words may have come with its end
            pass
        code = self.process.returncode
        return code if code >= 0 else 128 - code

    def leave(self, keys="q", within_s=HANG_S):
        """Quit by key; the exit code, and the seconds it took."""
        began = self.now_s
        self.send(keys)
        code = self.wait_exit(within_s)
        return code, self.ended_s - began

    def close(self):
        """End it, if it has not, and give the terminal back."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for fd in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(fd)

    def hang_up(self):
        """Close the terminal, as a window or a broken link does."""
        os.close(self.slave)
        os.close(self.master)

    def wait_gone(self, within_s=HANG_S):
        """Wait for the end without reading; the seconds, and the exit code as a shell shows it."""
        began = time.perf_counter()
        code = self.process.wait(within_s)
        return time.perf_counter() - began, code if code >= 0 else 128 - code

    # Its cost ---------------------------------------------------------------------------------------------------------------------

    def cpu_s(self):
        """User and system seconds so far, of it and of what it started (proc_pid_stat(5): fields 14 to 17)."""
        total = 0.0
        for pid in _tree(self.pid):
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
                total += sum(map(int, fields[11:15])) / _TICKS_PER_S
        return total

    def pss_bytes(self):
        """Proportional set size of it and of what it started (proc_pid_smaps(5))."""
        total = 0
        for pid in _tree(self.pid):
            with contextlib.suppress(OSError):
                found = re.search(rb"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_bytes(), re.MULTILINE)
                total += int(found[1]) * 1024 if found else 0
        return total

    def own_bytes(self):
        """Anonymous memory of it and of what it started: of the rest its share depends on who else runs the same Python."""
        total = 0
        for pid in _tree(self.pid):
            with contextlib.suppress(OSError):
                found = dict(re.findall(rb"^(\w+): +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_bytes(), re.MULTILINE))
                total += int(found.get(b"Pss_Anon", found[b"Private_Dirty"])) * 1024
        return total

    def cost(self, seconds):
        """Read for so long, and say what it used meanwhile."""
        began, cpu_s, written = self.now_s, self.cpu_s(), len(self.raw)
        self.read(seconds)
        took_s = self.now_s - began
        return Cost((self.cpu_s() - cpu_s) / took_s, (len(self.raw) - written) / took_s, took_s)

    def key_to_paint_s(self, key, within_s=1.0):
        """Seconds from a key to the first byte painted after it."""
        while self._take(0):
            pass
        began, written = time.perf_counter(), len(self.raw)
        self.send(key)
        self.until(lambda: len(self.raw) > written, within_s)
        return time.perf_counter() - began


def _emulator(size):
    """An empty screen, with the stream that paints it: it keeps the beginning of a character whose end has not come yet."""
    return pyte.ByteStream(pyte.Screen(*size))


def _tree(pid):
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))


SIGNALS = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 130}
"""Signals that end the console, with the exit code a shell shows."""
