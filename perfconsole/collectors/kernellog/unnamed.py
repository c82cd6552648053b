"""Kills that only a counter tells of, until it is clear whether somebody names the unit they were in. Pure: the time is an argument."""

from collections import deque
from typing import Final, NamedTuple

WAIT_S: Final = 15.0
"""Units are looked at every 10 s: who was killed in one of them is named by then."""

_LONGEST_S: Final = 60.0
"""Where they are looked at less often it may be told twice, but not this late."""


class Unnamed(NamedTuple):
    """So many processes were killed, from `lo` to `hi` (epoch seconds)."""

    killed: int
    lo: float
    hi: float


class Waiting:
    """Sets kills that are counted against those that are named: one that is in both is told once, by who names it.

    Args:
        every_s: How often units are looked at.
    """

    def __init__(self, every_s: float = 0.0) -> None:
        self._wait_s = min(max(WAIT_S, every_s + 5.0), _LONGEST_S)
        self._kills: deque[Unnamed] = deque()
        self._named: deque[tuple[float, int]] = deque()
        self._total = 0

    def counted(self, kills: Unnamed) -> None:
        """Have kills wait."""
        self._kills.append(kills)

    def named(self, total: int, now: float) -> None:
        """Take up what others have told.

        Args:
            total: Kills that they named since the start.
            now: Epoch seconds.
        """
        if total > self._total:
            self._named.append((now, total - self._total))
        self._total = total
        while self._named and self._kills:
            (at, told), first = self._named.popleft(), self._kills.popleft()
            if told > first.killed:
                self._named.appendleft((at, told - first.killed))
            elif told < first.killed:
                self._kills.appendleft(first._replace(killed=first.killed - told))
        while self._named and not 0 <= now - self._named[0][0] < self._wait_s:  # of a kill that was not counted here
            self._named.popleft()

    def due(self, now: float) -> list[Unnamed]:
        """Those that nobody named in time."""
        found = []
        while self._kills and not 0 <= now - self._kills[0].hi < self._wait_s:
            found.append(self._kills.popleft())
        return found
