"""The process that carries out checks, as the console holds it: started, spoken with over a socket, ended and reaped.

A session of its own keeps what is meant for the console from it: ctrl+c, ctrl+z, a terminal that is closed. It inherits the environment,
where it looks up secrets, and the descriptors of nobody; what it might print in distress goes nowhere near the screen.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Final

from msgspec import MsgspecError, Struct

from perfconsole.collectors.http.apart import pipe
from perfconsole.collectors.loop import ask

PROGRAM: Final = ("-P", "-m", "perfconsole.collectors.http.apart.worker")
"""-P: what lies in the working directory is not imported."""

HINT_BYTES: Final = 65_536
"""What may wait to be sent before orders that are no more than hints are left out: a process that is stopped reads nothing."""

_READ_BYTES: Final = 32_768
"""At a time, between two turns of the loop: read and decoded in 1 ms."""

_REAP_S: Final = 1.0
"""A process that was killed is gone in a millisecond, unless a dead disk has it."""

Heard = Callable[[pipe.Report], None]


class Child:
    """One process, which is started at once.

    Args:
        heard: Called with everything it tells.
        program: Arguments of the interpreter.

    Attributes:
        pid: Its number.
        over: Done when nothing more will be heard; its result is why, in words: ``was ended by SIGKILL``.

    Raises:
        OSError: When it cannot be started.
    """

    def __init__(self, heard: Heard, program: Sequence[str] = PROGRAM) -> None:
        if not sys.executable:
            raise OSError("it is not known which program runs Python here")
        self._loop = asyncio.get_running_loop()
        self._heard = heard
        self._splitter = pipe.Splitter()
        self._unsent = bytearray()
        self._fault = ""
        self.over: asyncio.Future[str] = self._loop.create_future()
        self._socket, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [sys.executable, *program],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
            )
        except BaseException:
            self._socket.close()
            raise
        finally:
            theirs.close()
        self.pid = self._process.pid
        self._socket.setblocking(False)
        self._loop.add_reader(self._socket, self._read)

    def send(self, order: Struct, *, hint: bool = False) -> None:
        """Tell it something; it may take a while to listen.

        Args:
            order: A `pipe.Order`.
            hint: It may be left out when too much waits already.
        """
        if self._socket.fileno() < 0 or (hint and len(self._unsent) > HINT_BYTES):
            return
        waiting = bool(self._unsent)
        self._unsent += pipe.frame(order)
        if not waiting:
            self._write()

    def end(self, why: str = "") -> None:
        """End it, at once, and reap it; `over` is done then.

        Args:
            why: In words; empty for how it ends.
        """
        self._hang_up()
        self._process.kill()
        try:
            self._process.wait(_REAP_S)
        except subprocess.TimeoutExpired:
            Thread(target=self._process.wait, name="perfconsole-reap", daemon=True).start()
        self._is_over(why or self._how())

    def _hang_up(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()

    def _is_over(self, why: str) -> None:
        if not self.over.done():
            self.over.set_result(why)

    def _how(self) -> str:
        code = self._process.returncode
        if self._fault:
            return f"failed with {self._fault}"
        if code is None:
            return "does not end"
        return f"ended with exit code {code}" if code >= 0 else f"was ended by {_signal(-code)}"

    def _write(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent[:_READ_BYTES])]
        except BlockingIOError:
            self._loop.add_writer(self._socket, self._write)
        except OSError:  # it is gone: reading tells
            self._unsent.clear()
        if not self._unsent and self._socket.fileno() >= 0:
            self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._gone()
            return
        try:
            for body in self._splitter.feed(data):
                self._take(pipe.report_of(body))
        except (ValueError, MsgspecError):
            self.end("does not speak the console's language: another version was installed meanwhile")

    def _take(self, report: pipe.Report) -> None:
        if isinstance(report, pipe.Fault):
            self._fault = report.text
        elif self._socket.fileno() >= 0:  # not after `end`, which what was heard may bring about
            self._heard(report)

    def _gone(self) -> None:
        """It closed its end: it has ended, or is about to. In a thread: a process that dies may take its time over it."""
        self._hang_up()
        self._process.kill()
        try:
            ask(self._process.wait, "perfconsole-reap").add_done_callback(lambda _: self._is_over(self._how()))
        except RuntimeError:  # this machine allows no further thread
            self.end()


def _environment() -> dict[str, str]:
    """The console's own, and its way to modules: it may have been started from a place that the interpreter does not know by itself."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(os.path.isabs, sys.path))}


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
