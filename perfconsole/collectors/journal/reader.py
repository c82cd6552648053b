"""The one ``journalctl -f`` of this console: started, read as far as the budget goes, restarted where it stood, ended.

It ends by itself when its standard output is closed, since it waits for that too ("Standard output has been closed"); so it does not
outlive a console that is killed. What it writes is read without a thread, a quarter of a pipe at a time and not more than 40 times a
second: journalctl then waits, and costs little, instead of formatting 10,000 lines a second (0.23 of a core) for nobody.
"""

import asyncio
import os
import re
import subprocess
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Final

from perfconsole.collectors.journal.budget import Budget, Share
from perfconsole.collectors.journal.entry import Entry
from perfconsole.collectors.journal.lines import Splitter, entry_of
from perfconsole.collectors.journal.parts import FIELDS
from perfconsole.core.text import safe

RATE: Final = 200
"""Lines a second that are read at length, at 12 us each; who takes one needs twice that."""

BURST: Final = 2000
"""Lines at once: a boot, the restart of everything."""

READ_BYTES: Final = 16_384
"""At a time: some 35 lines, parsed and judged in 1.5 ms."""

PAUSE_S: Final = 0.025
"""Between two reads: 640 KiB a second at most, some 1,400 lines."""

LATE_S: Final = 15.0
"""What is read when lines come so late is the past: they are given up, and reading goes on at the end."""

MOST_BACK_OFF_S: Final = 60.0
MISSED_S: Final = 120.0
"""One that was read so lately is expected back, and nobody need look elsewhere for what it has to say."""

_STEADY_S: Final = 10.0
"""One that lived so long, or said something, is begun anew at once; another less and less often."""

_ROOTS: Final = re.compile(rb'"_UID" ?: ?"0"')
_MANAGERS: Final = re.compile(rb'"_PID" ?: ?"1"')
"""Have a quarter of the budget for themselves, each: what a user pours out hides nothing of root's, nor do logins that a unit failed.

These fields are journald's, and in a text of JSON the quotes would have backslashes. Before systemd 240 there were spaces.
"""

_REAP_S: Final = 1.0
_SAID_BYTES: Final = 1024


class Reader:
    """Follows the journal on the running loop.

    Args:
        heard: Called with every entry that is read.
        matches: What is asked for (`parts.matches`).
        program: journalctl.
        since: Where to begin, epoch seconds; 0 is at its end.
        clock: A monotonic clock; `now` that of the wall, epoch seconds.

    Attributes:
        error: Why nothing is read at the moment, in words; empty while it is.
        given_up: How often lines were given up because there were more than could be read; `unread` lines that came and were not read.
    """

    def __init__(
        self,
        heard: Callable[[Entry], None],
        matches: Sequence[str],
        program: str = "journalctl",
        *,
        since: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._heard, self._matches, self._program = heard, tuple(matches), program
        self._clock, self._now = clock, now
        self._loop: AbstractEventLoop | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._resume: asyncio.TimerHandle | None = None
        self._out = self._err = -1
        self._cursor, self._since = "", since
        self._began = self._retry_at = self._good_at = float("-inf")
        self._back_off_s = 1.0
        self._said = b""
        self._jumping = False
        self._splitter = Splitter()
        self._share, self._any = Share(), Budget(RATE, BURST)
        self._reserved = {mark: Budget(RATE / 4, BURST / 4) for mark in (_ROOTS, _MANAGERS)}
        self.error = ""
        self.given_up = self.unread = 0

    @property
    def pid(self) -> int:
        """Of the process; 0 while there is none."""
        return self._process.pid if self._process else 0

    @property
    def reading(self) -> bool:
        """Whether it is being read, or was until just now: what is written meanwhile is read after the restart."""
        return (self._out >= 0 and not self.error) or self._clock() - self._good_at < MISSED_S

    @property
    def sampled(self) -> float:
        """Share of the lines that was read over the last minute."""
        return self._share.ratio(self._clock())

    def tend(self) -> None:
        """Begin, or begin again when it is time to, and hear what it complains of; called every run."""
        self._listen()
        if self._process and self._out < 0:
            self._bury()
        if self._process is None and self._clock() >= self._retry_at:
            self._start()
        elif self._out >= 0 and self._clock() - self._began > _STEADY_S:
            self._is_well()

    def close(self) -> None:
        """End it, at once, and reap it."""
        self._hang_up()
        self._good_at = float("-inf")
        if (process := self._process) is None:
            return
        self._process = None
        process.kill()
        try:
            process.wait(_REAP_S)
        except subprocess.TimeoutExpired:  # it waits for a dead disk
            Thread(target=process.wait, name="perfconsole-reap", daemon=True).start()

    def _arguments(self) -> list[str]:
        """Where to go on: after what was read last; where nothing was, since it was first begun; the first time at the end."""
        if self._cursor:
            start = [f"--after-cursor={self._cursor}", "--no-tail"]
        else:
            start = [f"--since=@{self._since:.6f}", "--no-tail"] if self._since else ["--lines=0"]
        fixed = ["--follow", "--output=json", f"--output-fields={','.join(FIELDS)}", "--no-pager", "--quiet"]
        return [self._program, *fixed, *start, *self._matches]

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        began, arguments = self._now(), self._arguments()
        try:
            self._process, self._out, self._err = _spawn(arguments)
        except OSError as error:
            self._later(f"{self._program} cannot be started: {error.strerror}")
            return
        self._since = self._since or began
        self._began, self._said, self._splitter = self._clock(), b"", Splitter()
        self._loop.add_reader(self._out, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._out, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up()
            return
        self._take(data)
        if self._out >= 0 and self._loop:  # whoever was told may have closed it
            self._loop.remove_reader(self._out)
            self._resume = self._loop.call_later(PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        self._resume = None
        if self._out >= 0 and self._loop:
            self._loop.add_reader(self._out, self._read)

    def _take(self, data: bytes) -> None:
        """Read what the budget is for; of the rest only the last line, for where it stands."""
        now = self._clock()
        for budget in (self._any, *self._reserved.values()):
            budget.fill(now)
        read = came = 0
        last: Entry | None = None
        oversized = self._splitter.oversized
        unread = b""
        for line in self._splitter.feed(data):
            came += 1
            if not self._may_read(line):
                unread = line
                continue
            unread = b""
            entry = entry_of(line)
            read += 1
            if entry and entry.cursor != self._cursor:
                self._cursor, last = entry.cursor, entry
                self._heard(entry)
        if unread and (skipped := entry_of(unread)):
            self._cursor, last = skipped.cursor, skipped
        came += self._splitter.oversized - oversized
        self.unread += came - read
        # Where little is left to be read, nothing is behind, however old its stamps are: the clock may have been set.
        late_s = self._now() - last.at if last and len(data) > READ_BYTES // 2 else 0.0
        self._share.count(now, read, came, late_s)
        if last:
            self._is_well()
        if late_s > LATE_S and now - self._began > LATE_S:
            self._jump()

    def _is_well(self) -> None:
        self.error, self._back_off_s, self._good_at = "", 1.0, self._clock()

    def _may_read(self, line: bytes) -> bool:
        return self._any.spend() or any(mark.search(line) and budget.spend() for mark, budget in self._reserved.items())

    def _jump(self) -> None:
        """Give up what was not read, and go on at the end."""
        self.given_up += 1
        self._share.jump()
        self._cursor, self._since = "", 0.0
        self._hang_up()
        if self._process:
            self._process.kill()
        self._jumping = True

    def _listen(self) -> None:
        """What it complained of, the end of it."""
        while self._err >= 0:
            try:
                data = os.read(self._err, 4096)
            except OSError:  # nothing, for now
                return
            if not data:
                os.close(self._err)
                self._err = -1
            self._said = (self._said + data)[-_SAID_BYTES:]

    def _bury(self) -> None:
        """It closed its end: it has ended, or is made to. There is no other before it is reaped."""
        process = self._process
        assert process
        if process.poll() is None:
            process.kill()
            return
        self._process = None
        if self._jumping:
            self._jumping = False
            return
        lines = self._said.decode("utf-8", "replace").strip().splitlines()
        said = safe(lines[-1], 200) if lines else ""
        code = process.returncode
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        if self._clock() - self._began > _STEADY_S:
            self._back_off_s = 1.0
        self._later(f"{self._program} ended ({how}{': ' + said if said else ''})")

    def _later(self, why: str) -> None:
        self.error = why
        self._retry_at = self._clock() + self._back_off_s
        self._back_off_s = min(MOST_BACK_OFF_S, self._back_off_s * 2)

    def _hang_up(self) -> None:
        if self._resume:
            self._resume.cancel()
            self._resume = None
        if self._out >= 0 and self._loop:
            self._loop.remove_reader(self._out)
            os.close(self._out)
            self._out = -1
        self._listen()
        if self._err >= 0:
            os.close(self._err)
            self._err = -1


def _spawn(arguments: Sequence[str]) -> tuple["subprocess.Popen[bytes]", int, int]:
    """A process, and what is read of its output and its complaints: plain descriptors, nothing is buffered but here.

    Raises:
        OSError: When it cannot be started.
    """
    out, its_out = os.pipe()
    try:
        err, its_err = os.pipe()
    except OSError:
        os.close(out)
        os.close(its_out)
        raise
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=its_out,
            stderr=its_err,
            env=os.environ | {"LC_ALL": "C", "SYSTEMD_COLORS": "0"},
            start_new_session=True,  # ctrl+c is meant for the console
        )
    except BaseException:
        os.close(out)
        os.close(err)
        raise
    finally:
        os.close(its_out)
        os.close(its_err)
    os.set_blocking(out, False)
    os.set_blocking(err, False)
    return process, out, err
