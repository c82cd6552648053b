"""A short-lived child whose output is read by the loop: no thread, no waiting, and an end for one that never answers."""

import asyncio
import os
import time
from asyncio import AbstractEventLoop
from contextlib import suppress
from subprocess import DEVNULL, PIPE, STDOUT, Popen, TimeoutExpired
from typing import Final

_MOST: Final = 8 << 20
"""Bytes of an answer: 10,000 units."""

_CHUNK: Final = 65536
_REAP_S: Final = 0.2


class Child:
    """One command.

    Args:
        arguments: Its argument vector, with the whole path of what is run; there is no shell.
        environment: All of it.

    Attributes:
        took_s: How long its answer took; 0 before it is complete.

    Raises:
        OSError: When it cannot be started.
    """

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self._began = time.monotonic()
        self._loop: AbstractEventLoop = asyncio.get_running_loop()
        # Both outputs as one: what is an answer has a form, and what is left is the complaint.
        self._process = Popen(arguments, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, env=environment, start_new_session=True)
        self.took_s = 0.0
        self._output = bytearray()
        self._open = True
        stdout = self._process.stdout
        if stdout is None:  # never, with PIPE
            raise OSError("no pipe")
        self._fd = stdout.fileno()
        os.set_blocking(self._fd, False)
        self._loop.add_reader(self._fd, self._take)

    @property
    def output(self) -> bytes:
        """What it has said so far."""
        return bytes(self._output)

    @property
    def code(self) -> int | None:
        """Its exit status; None until it has ended and all was read."""
        return None if self._open else self._process.poll()

    def _take(self) -> None:
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._output += data
        if not data or len(self._output) > _MOST:
            self._shut()

    def _shut(self) -> None:
        if self._open:
            self._open = False
            self.took_s = time.monotonic() - self._began
            self._loop.remove_reader(self._fd)
            if self._process.stdout:
                self._process.stdout.close()

    def kill(self) -> None:
        """End it, whatever it does, and forget it."""
        self._shut()
        if self._process.poll() is None:
            self._process.kill()
            with suppress(TimeoutExpired):
                self._process.wait(_REAP_S)
