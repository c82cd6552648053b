"""The terminal from before Textual until after it: the first frame, and whatever happens, the way back.

Imports next to nothing: it runs first.
"""

import atexit
import os
import signal
import sys
import termios
from contextlib import suppress
from types import FrameType, TracebackType
from typing import ClassVar, Self, TextIO

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J"
_LEAVE = (
    "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l\x1b[?1004l\x1b[?2004l\x1b[?2026l\x1b[?2048l"
    "\x1b[<u\x1b[?7h\x1b[?1049l\x1b[?25h"
)
"""All that Textual or we may have switched on, off again: mouse, focus, paste, synchronised output, resizing, keys, wrapping, screen."""

_LOCAL_FLAGS = 3


class Terminal:
    """The terminal this program was started on, in the alternate screen with echo off while open.

    Attributes:
        current: The one that is open.
    """

    current: ClassVar["Terminal | None"] = None

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._before = termios.tcgetattr(fd)
        self._left = False

    @classmethod
    def open(cls) -> Self | None:
        """Take over the terminal and show the first frame; None where input or output is not a terminal."""
        try:
            if not (os.isatty(0) and os.isatty(1) and os.isatty(2)):
                return None
            terminal = cls(0)
        except (OSError, termios.error):
            return None
        return terminal

    def __enter__(self) -> Self:
        atexit.register(self.leave)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, self._ended)
        quiet = termios.tcgetattr(self._fd)
        quiet[_LOCAL_FLAGS] &= ~termios.ECHO
        termios.tcsetattr(self._fd, termios.TCSANOW, quiet)
        self._write(_ENTER + self._frame())
        Terminal.current = self
        self._stderr, sys.stderr = sys.stderr, _Leaving(self, sys.stderr)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.leave()
        sys.stderr = self._stderr
        Terminal.current = None

    def _frame(self) -> str:
        """Host name and a word, where the header will have them."""
        host = os.uname().nodename
        shown = "".join(char if char.isprintable() and char.isascii() else "?" for char in host)[:40]
        return f" \x1b[1m{shown}\x1b[0m\r\n collecting..."

    def leave(self) -> None:
        """Give the terminal back as it was; once, and without waiting for one that does not read."""
        if self._left:
            return
        self._left = True
        self._write(_LEAVE)
        with suppress(termios.error):  # it is gone: there is nothing left to give back to
            termios.tcsetattr(self._fd, termios.TCSANOW, self._before)

    def _write(self, text: str) -> None:
        with suppress(OSError):  # closed, or stalled: whoever reads it again finds the attributes restored
            blocking = os.get_blocking(2)
            os.set_blocking(2, False)
            try:
                os.write(2, text.encode())
            finally:
                os.set_blocking(2, blocking)

    def _ended(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  a signal handler's arguments
        """A signal before Textual listens: nothing is recorded yet, so there is nothing to finish.

        Not SystemExit: one in a hundred is raised where it goes nowhere (a callback, a finaliser), and taking the interpreter down in the
        middle of an import, with threads about, can end in SIGSEGV.
        """
        self.leave()
        os._exit(128 + number)


class _Leaving:
    """Standard error while the alternate screen is shown: whatever is said there is said after leaving it, where it can be read."""

    def __init__(self, terminal: Terminal, stream: TextIO) -> None:
        self._terminal = terminal
        self._stream = stream

    def write(self, text: str) -> int:
        self._terminal.leave()
        return self._stream.write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
