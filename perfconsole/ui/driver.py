"""The terminal driver: Textual's, with an outlet that a stalled terminal cannot block, and that knows what it wrote.

Textual hands its output to a thread through a queue of 30 with a blocking put: when the terminal stops reading (a frozen SSH link, a
scrolled tmux), the whole event loop stops with it. Here output that finds no room is dropped, and the screen is painted anew once the
terminal reads again.
"""

import os
import select
import sys
import threading
from codecs import getincrementaldecoder
from collections import deque
from contextlib import suppress
from queue import SimpleQueue
from selectors import EVENT_READ, PollSelector, SelectSelector
from typing import Any, Final

from textual import constants
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

ROOM: Final = 64
"""Writes that may wait: two full paints and the escape sequences around them."""

BUSY: Final = 3
"""Waiting writes past which a new paint would only queue up behind the last."""

_CLOSE_S: Final = 0.1
"""Textual itself takes 0.2 s to end; together they must stay well under half a second even where nobody reads."""
_ENTER: Final = "\x1b[?1049h"

_READ_BYTES: Final = 4096
_SETTLED: Final = 3
"""Times that nothing came after which what was typed stands: an Esc may have been the beginning of a longer key until then."""


_Selector: Final = PollSelector if sys.platform == "linux" else SelectSelector
"""select(2) takes no descriptor from 1024 on; elsewhere poll(2) may take no terminal."""


class Outlet(threading.Thread):
    """Writes to a descriptor on a thread of its own; `write` never blocks.

    Attributes:
        written: Bytes the terminal has taken.
        lost: Something was dropped: what is on the screen is no longer what was painted.
        stopped: It writes no more than what waits.
    """

    def __init__(self, fd: int, encoding: str, written: int = 0) -> None:
        super().__init__(name="terminal", daemon=True)
        self._fd = fd
        self._encoding = encoding
        self._waiting: deque[str] = deque()
        self._bell: SimpleQueue[None] = SimpleQueue()  # of all that wakes a thread the one a signal handler may use amid its own use
        self.stopped = False
        self.written = written
        self.lost = False

    @property
    def depth(self) -> int:
        """Writes that wait."""
        return len(self._waiting)

    def write(self, text: str) -> None:
        """Hand over text, unless there is no room for it."""
        if len(self._waiting) >= ROOM:
            self.lost = True
            return
        self._waiting.append(text)
        self._bell.put(None)

    def run(self) -> None:
        """Write until stopped; a terminal that is gone ends it quietly."""
        while True:
            self._bell.get()
            try:
                data = self._waiting[0].encode(self._encoding, "replace")
            except IndexError:
                if self.stopped:
                    return
                continue
            try:
                while data and self._waiting:
                    taken = os.write(self._fd, data)
                    self.written += taken
                    data = data[taken:]
            except OSError:
                self.stopped = True
                self._waiting.clear()
                return
            with suppress(IndexError):  # meanwhile discarded
                self._waiting.popleft()

    def stop(self) -> None:
        """Write what waits, for a bounded time: a terminal that does not read must not keep the program."""
        self.stopped = True
        self._bell.put(None)
        self.join(_CLOSE_S)

    def after(self) -> "Outlet":
        """One to go on with after a stop. What still waits is not written any more: it would come amid what comes next."""
        self._waiting.clear()
        heir = Outlet(self._fd, self._encoding, self.written)
        heir.lost = True  # the shell has had the screen: what was painted is not there any more
        return heir


class Told(threading.Event):
    """An event that one can wait for beside a descriptor: `fd` can be read from while it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.fd, self._teller = os.pipe()

    def set(self) -> None:
        """Set it."""
        if not self.is_set():
            super().set()
            os.write(self._teller, b".")

    def clear(self) -> None:
        """Reset it."""
        if self.is_set():
            super().clear()
            os.read(self.fd, 1)


class ConsoleDriver(LinuxDriver):
    """Textual's Linux driver with an `Outlet` in place of its writer."""

    entered = False
    """The alternate screen was entered before Textual was imported: entering it again would clear the first frame."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        stream = sys.__stderr__
        assert stream is not None
        self.outlet = Outlet(stream.fileno(), stream.encoding)
        self.outlet.start()
        self.exit_event: Told = Told()

    @property
    def is_hung_up(self) -> bool:
        """Whether the terminal is gone: the kernel tells only who leads its session, and Textual would read of it for ever."""
        gone = select.poll()
        gone.register(self.fileno, 0)
        return any(event & (select.POLLHUP | select.POLLNVAL) for _, event in gone.poll(0))

    def start_application_mode(self) -> None:
        """Take the terminal; again after a stop (ctrl+z), for which the outlet had been closed."""
        if self.outlet.stopped:  # it may be alive: a terminal that did not read kept it
            self.outlet = self.outlet.after()
            self.outlet.start()
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual annotates no return

    def _sigcont_application(self, *args: Any) -> None:
        """Resume, unless in the background: taking the terminal there would stop the process again, and with it a SIGTERM it was sent.

        Whoever was stopped by SIGSTOP had no chance to give the terminal up: that comes first, lest a second thread reads what is typed,
        and the one that reads in vain never ends.
        """
        with suppress(OSError):  # it has hung up, of which the kernel tells with SIGHUP and SIGCONT
            if os.tcgetpgrp(self.fileno) == os.getpgrp():
                if self._auto_restart and self._key_thread is not None and self._key_thread.is_alive():
                    self.suspend_application_mode()
                super()._sigcont_application(*args)

    def run_input_thread(self) -> None:
        """Wait for keys. Textual's own way is to look ten times a second whether it is to end, which costs more than the keys do."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        settled = _SETTLED
        with _Selector() as selector:
            selector.register(self.fileno, EVENT_READ)
            selector.register(self.exit_event.fd, EVENT_READ)
            while True:
                ready = selector.select(None if settled >= _SETTLED else constants.ESCAPE_DELAY)
                if self.exit_event.is_set():
                    return
                settled = settled + 1
                if ready:
                    settled, data = 0, os.read(self.fileno, _READ_BYTES)
                    if not data:
                        return  # nothing will ever be typed again
                    text = decode(data)
                    for message in parser.feed(text) if text else ():  # half a character is no text yet, which to the parser is the end
                        self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)

    def write(self, data: str) -> None:
        """Write without ever blocking the event loop."""
        if data == _ENTER and ConsoleDriver.entered:
            ConsoleDriver.entered = False
            return
        self.outlet.write(data)

    def close(self) -> None:
        """Give up the terminal."""
        super().close()
        self.outlet.stop()
