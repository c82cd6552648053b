"""What comes before a body, looked through before it is read: when the answer begins that counts, and whether reading it is bearable.

What a server says before it answers (RFC 9110, 15.2) is no answer: the wait for that goes on.
"""

import re
from typing import Final

from perfconsole.collectors.http.network.prober import Failure

INFORMED: Final = 32
"""Informational answers before the one that counts; servers send one or two. A flood of 64 KiB of them held the loop for 180 ms."""

LINES: Final = 1000
"""Of a status line and headers: the 19,000 that fit into 100 KiB took 50 ms to read."""

_END: Final = re.compile(rb"\n\r?\n")


class Heads:
    """Those of one connection.

    Attributes:
        heard: Whether anything came in.
    """

    __slots__ = ("_ended", "_held", "_informed", "_lines", "heard")

    def __init__(self) -> None:
        self._held = b""
        self._informed = self._lines = 0
        self._ended = self.heard = False

    def begun(self, data: bytes) -> bool:
        """Whether the answer that counts has begun, with what came in now."""
        self.heard = self.heard or bool(data)
        if self._ended:
            return True
        self._held += data
        while self._informed <= INFORMED:
            end = _END.search(self._held)
            self._lines = self._held.count(b"\n", 0, end.start() if end else len(self._held))
            if not _informs(self._held):
                self._ended = end is not None
                return bool(self._held)
            if end is None:
                break
            self._informed += 1
            self._held = self._held[end.end() :]
        return False

    def check(self) -> None:
        """Go on, or not.

        Raises:
            Failure: ``protocol``, when there is more of something than any server means.
        """
        if self._informed > INFORMED:
            raise Failure("protocol", f"more than {INFORMED} informational answers, and none that counts")
        if self._lines > LINES:
            raise Failure("protocol", f"more than {LINES} headers: no server means that")


def _informs(said: bytes) -> bool:
    """101 is an answer: to who asked for another protocol."""
    return said.startswith(b"HTTP/1.") and said[8:10] == b" 1" and said[9:12] != b"101"
