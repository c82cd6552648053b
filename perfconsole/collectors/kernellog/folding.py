"""The same thing again and again is one event, and then a count of the rest: a storm of lines costs nothing downstream. Pure."""

from math import ceil
from typing import Final

from perfconsole.collectors.kernellog.meanings import Finding
from perfconsole.core.tick import Event

WINDOW_S: Final = 60.0
"""The first; as long as it goes on each is twice as long as the one before."""

_LONGEST_S: Final = 600.0
"""A disk that dies slowly, a bus that corrects errors all night: fifty events until the morning, or nothing else would be left to see."""

_MOST: Final = 200
"""Things told apart at a time; beyond that only by kind and severity: a fork bomb of crashing processes with names of their own."""

SOURCE: Final = "kernel log"


class _Window:
    """What came of one thing since its event."""

    __slots__ = ("count", "finding", "hi", "length_s", "lo", "opened")

    def __init__(self, at: float, length_s: float = WINDOW_S) -> None:
        self.opened = at
        self.length_s = length_s
        self.count = 0
        self.lo = self.hi = at
        self.finding: Finding | None = None


class Folding:
    """Which findings become events, and when."""

    def __init__(self) -> None:
        """Nothing has been found yet."""
        self._windows: dict[tuple[str, str, str], _Window] = {}

    def add(self, lo: float, hi: float, finding: Finding) -> list[Event]:
        """A finding, at a time between two: an event at once when it is the first for a while, else counted.

        Args:
            lo: Epoch seconds.
            hi: Epoch seconds.
            finding: What a line said.
        """
        key = finding.kind, finding.scope, finding.subject
        if key not in self._windows and len(self._windows) >= _MOST:
            key = finding.kind, "", finding.severity
        events: list[Event] = []
        while (window := self._windows.get(key)) and hi - window.opened >= window.length_s:
            events += self._ended(key, window)
        if window is None:
            self._windows[key] = _Window(hi)
            return [*events, Event(lo, hi, finding.kind, finding.scope, finding.text, SOURCE, finding.severity)]
        window.lo = window.lo if window.count else lo
        window.hi = max(window.hi, hi)
        window.count += 1
        window.finding = finding
        return events

    def due(self, now: float) -> list[Event]:
        """What came in windows that are over by now (epoch seconds)."""
        events: list[Event] = []
        for key in list(self._windows):
            while (window := self._windows.get(key)) and not 0 <= now - window.opened < window.length_s:
                if now < window.opened:  # the clock was set back
                    del self._windows[key]
                else:
                    events += self._ended(key, window)
        return events

    def _ended(self, key: tuple[str, str, str], window: _Window) -> list[Event]:
        """What a window has to tell; after one that had something the next follows, and is longer.

        The next begins with its end, whoever asks when: the same lines read again after a start become the same events.
        """
        finding = window.finding
        if finding is None:
            del self._windows[key]
            return []
        self._windows[key] = _Window(window.opened + window.length_s, min(2 * window.length_s, _LONGEST_S))
        took_s = max(1, ceil(window.hi - min(window.lo, window.opened)))
        text = f"{finding.text} (and {window.count - 1} more in {took_s} s)" if window.count > 1 else finding.text
        return [Event(window.lo, window.hi, finding.kind, finding.scope, text, SOURCE, finding.severity)]
