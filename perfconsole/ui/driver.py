"""The terminal driver: Textual's, with an outlet that a stalled terminal cannot block, and that knows what it wrote.

Textual hands its output to a thread through a queue of 30 with a blocking put: when the terminal stops reading (a frozen SSH link, a
scrolled tmux), the whole event loop stops with it. Here output that finds no room is dropped, and the screen is painted anew once the
terminal reads again.
"""

import os
import sys
import threading
from collections import deque
from contextlib import suppress
from typing import Any, Final

from textual.drivers.linux_driver import LinuxDriver

ROOM: Final = 64
"""Writes that may wait: two full paints and the escape sequences around them."""

BUSY: Final = 3
"""Waiting writes past which a new paint would only queue up behind the last."""

_CLOSE_S: Final = 0.1
"""Textual itself takes 0.2 s to end; together they must stay well under half a second even where nobody reads."""
_ENTER: Final = "\x1b[?1049h"


class Outlet(threading.Thread):
    """Writes to a descriptor on a thread of its own; `write` never blocks.

    Attributes:
        written: Bytes the terminal has taken.
        lost: Something was dropped: what is on the screen is no longer what was painted.
    """

    def __init__(self, fd: int, encoding: str, written: int = 0) -> None:
        super().__init__(name="terminal", daemon=True)
        self._fd = fd
        self._encoding = encoding
        self._waiting: deque[str] = deque()
        self._bell = threading.Semaphore(0)
        self._stopped = False
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
        self._bell.release()

    def run(self) -> None:
        """Write until stopped; a terminal that is gone ends it quietly."""
        while True:
            self._bell.acquire()
            if not self._waiting:
                if self._stopped:
                    return
                continue
            data = self._waiting[0].encode(self._encoding, "replace")
            try:
                while data:
                    taken = os.write(self._fd, data)
                    self.written += taken
                    data = data[taken:]
            except OSError:
                self._stopped = True
                self._waiting.clear()
                return
            self._waiting.popleft()

    def stop(self) -> None:
        """Write what waits, for a bounded time: a terminal that does not read must not keep the program."""
        self._stopped = True
        self._bell.release()
        self.join(_CLOSE_S)


class ConsoleDriver(LinuxDriver):
    """Textual's Linux driver with an `Outlet` in place of its writer."""

    entered = False
    """The alternate screen was entered before Textual was imported: entering it again would clear the first frame."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        stream = sys.__stderr__
        assert stream is not None
        self._place = (stream.fileno(), stream.encoding)
        self.outlet = Outlet(*self._place)
        self.outlet.start()

    def start_application_mode(self) -> None:
        """Take the terminal; again after a stop (ctrl+z), for which the outlet had been closed."""
        if not self.outlet.is_alive():
            self.outlet = Outlet(*self._place, self.outlet.written)
            self.outlet.lost = True  # the shell has had the screen: what was painted is not there any more
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
