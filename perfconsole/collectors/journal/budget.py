"""What may be spent on lines, and what share of them was read. Pure: the time is an argument."""

from collections import deque
from typing import Final

WINDOW_S: Final = 60.0
"""The share is that of the last minute."""

_LATE_S: Final = 5.0
"""A line that is no older counts as read when it came."""


class Budget:
    """So much a second, and at once what was saved up: a bucket of tokens.

    Args:
        rate: Lines a second.
        burst: Lines at most at once.
    """

    __slots__ = ("_burst", "_left", "_rate", "_then")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._left, self._then = burst, float("-inf")

    def fill(self, now: float) -> None:
        """Add what has become free since the last time; `now` is of a monotonic clock."""
        self._left = min(self._burst, self._left + (now - self._then) * self._rate)
        self._then = now

    def spend(self) -> bool:
        """Whether one more line may be read; it is paid for then."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Share:
    """The share of the lines that was read over the last minute: of those that came, and, where reading fell behind, of the time.

    Reading that falls behind by half a second each second knows nothing of half the lines; it is not known how many they were.
    """

    __slots__ = ("_buckets", "_late_s")

    def __init__(self) -> None:
        self._buckets: deque[list[float]] = deque()
        self._late_s = 0.0

    def count(self, now: float, read: int, came: int, late_s: float) -> None:
        """Take note.

        Args:
            now: Of a monotonic clock.
            read: Lines that were read.
            came: Lines that came, read or not.
            late_s: How old the last of them is.
        """
        late_s = max(0.0, late_s - _LATE_S)
        if not self._buckets or self._buckets[-1][0] != int(now):
            self._buckets.append([int(now), 0, 0, 0.0])
        bucket = self._buckets[-1]
        bucket[1] += read
        bucket[2] += came
        bucket[3] += late_s - self._late_s
        self._late_s = late_s

    def jump(self) -> None:
        """What was not read yet is given up: the next line is not late."""
        self._late_s = 0.0

    def ratio(self, now: float) -> float:
        """The share, 0 to 1; 1 where nothing came."""
        while self._buckets and self._buckets[0][0] < now - WINDOW_S:
            self._buckets.popleft()
        read, came, lost_s = (sum(bucket[part] for bucket in self._buckets) for part in (1, 2, 3))
        if not came:
            return 1.0
        return read / came * (1 - min(1.0, max(0.0, lost_s) / WINDOW_S))
