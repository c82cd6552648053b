"""One run of a program, in a thread: fed, read, and killed with all it started when its time is up.

Not by asyncio: up to Python 3.12 that waits for the pipes of a process to be closed as well as for its end, and what a hook leaves
running in the background holds those open.
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from threading import Lock
from typing import Final

OUTPUT_BYTES: Final = 4096
"""What is kept of its output, the beginning; the rest is read all the same, so that it is never held up by us."""

_LOOK_S: Final = 0.02
_LEFT_S: Final = 0.3
"""For how long what it left running is read from, once it has ended itself."""


class Run:
    """A program that is to be run once.

    Args:
        command: Program and arguments; no shell reads them.
        env: All of its environment.
        body: Its standard input.
        timeout_s: The most it may take.

    Attributes:
        output: What it wrote to its standard output and error.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str], body: bytes, timeout_s: float) -> None:
        self._command, self._env, self._body, self._timeout_s = command, env, memoryview(body), timeout_s
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._over = False
        self.output = b""

    def __call__(self) -> int | None:
        """Run it, in a thread of its own.

        Returns:
            Its exit status, negative for a signal; None where it was killed because its time was up.

        Raises:
            OSError: When it cannot be started.
        """
        with self._lock:
            if self._over:
                return None
            self._process = process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self._env, cwd="/",
                start_new_session=True,
            )  # fmt: skip
        try:
            return self._talk(process)
        finally:
            self.end()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    assert pipe
                    pipe.close()
            with suppress(subprocess.TimeoutExpired):  # one that waits for a dead disk takes no signal
                process.wait(1.0)

    def end(self) -> None:
        """Kill it if it runs, and whatever it started that is in its group still."""
        with self._lock:
            self._over = True
            if self._process is not None and self._process.poll() is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def _talk(self, process: "subprocess.Popen[bytes]") -> int | None:
        assert process.stdin
        assert process.stdout
        deadline = time.monotonic() + self._timeout_s
        with DefaultSelector() as selector:
            for pipe, event in ((process.stdin, EVENT_WRITE), (process.stdout, EVENT_READ)):
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, event)
            while selector.get_map() and time.monotonic() < deadline:
                if process.poll() is not None:
                    deadline = min(deadline, time.monotonic() + _LEFT_S)
                for found, _ in selector.select(_LOOK_S):
                    self._step(selector, found)
        while process.poll() is None and time.monotonic() < deadline:  # it has closed its pipes, and goes on
            time.sleep(_LOOK_S)
        return process.poll()

    def _step(self, selector: DefaultSelector, found: selectors.SelectorKey) -> None:
        try:
            done = self._write(found.fd) if found.events & EVENT_WRITE else self._read(found.fd)
        except BlockingIOError:
            return
        except OSError:  # it need not read what it is told
            done = True
        if done:
            selector.unregister(found.fileobj)
            with suppress(OSError):
                found.fileobj.close()  # type: ignore[union-attr]  # a pipe of ours

    def _write(self, descriptor: int) -> bool:
        self._body = self._body[os.write(descriptor, self._body[:65536]) :]
        return not self._body

    def _read(self, descriptor: int) -> bool:
        piece = os.read(descriptor, 65536)
        self.output += piece[: OUTPUT_BYTES - len(self.output)]
        return not piece
