"""Whose turn it is to begin: checks that are due at the same time begin one after the other, as fast as the loop can bear it.

500 checks begun at once report 4.6 s for answers that took 1 ms, because each waits for the Python of all others. A cap alone makes hanging
peers hold up the rest: ten places, 5 s each, and a hundred that hang are a queue of 50 s. A check that waits for its peer costs nothing,
so a place is held for a check's first `YOUNG_S` only, and then given on.
"""

import asyncio
from collections import deque
from typing import Final

YOUNG_S: Final = 0.010
"""How long a check holds its place: what answers sooner gives it back at once, what does not is no burden any more."""

APART_S: Final = 0.002
"""Between two beginnings when others wait: 500 a second. At 3 ms of Python a check, as httpx takes, and whatever the peers take to answer,
500 are done in 1.8 s and none seems more than 4 ms slower than it is; with 1 ms it would be 21 ms."""

MANY: Final = 500
"""For every so many that wait, one more begins at a time: a thousand that are checked every second do not fall further behind."""

OTHERS: Final = 4
"""So many places for those that were well have one among them for those that were not, when both wait."""

BUSY_S: Final = 0.003
"""A timer that comes later than this found the loop at work: one that is on time is up to 1 ms late, by the grain of epoll."""


class Place:
    """Leave to work, until its holder is done; it has no hold on it any more when it has been at it for `YOUNG_S`.

    Attributes:
        until: When that is, by the loop's clock.
    """

    __slots__ = ("_turns", "until")

    def __init__(self, turns: "Turns", until: float) -> None:
        self._turns: Turns | None = turns
        self.until = until

    def give_back(self) -> None:
        """Give it on; doing so again changes nothing."""
        if self._turns is not None:
            turns, self._turns = self._turns, None
            turns.returned()


class Turns:
    """Places: those first whose last check was well, then first come, first served.

    A thousand that fail together are in no other's way, nor do they wait for ever: every `OTHERS`-th place is theirs.

    Args:
        cap: Most that may be held at a time.
    """

    def __init__(self, cap: int) -> None:
        self._free = cap  # less than none where somebody came between one who was let in and their beginning
        self._well: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()
        self._young: deque[Place] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._begun = -1.0
        self._skipped = False
        self._served = 0

    @property
    def _waiting(self) -> int:
        return len(self._well) + len(self._others)

    async def place(self, *, well: bool) -> Place:
        """A place; at once, unless others wait, began this very moment, or hold all there are.

        Args:
            well: Whether the last check was: the first round of all is another's.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._take_back(now)
        if self._waiting or self._free <= 0 or now - self._begun < APART_S:
            turn: asyncio.Future[None] = loop.create_future()
            (self._well if well else self._others).append(turn)
            self._rouse()
            await turn
            now = loop.time()
        self._free -= 1
        self._begun = now
        place = Place(self, now + YOUNG_S)
        self._young.append(place)
        return place

    def _take_back(self, now: float) -> None:
        """Those held for long enough. No timer each: it matters only while somebody waits."""
        while self._young and self._young[0].until <= now:
            self._young.popleft().give_back()

    def returned(self) -> None:
        """A place was given back."""
        self._free += 1
        self._rouse()

    def _rouse(self) -> None:
        if not self._waiting:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = (now if self._free > 0 else max(now, self._young[0].until)) + APART_S
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = loop.call_at(due, self._next, due)

    def _next(self, due: float) -> None:
        """Let one begin, unless the loop is busy: but not twice in a row, or a loop that always is would check nothing."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        self._take_back(now)
        busy = now - due > BUSY_S
        if busy and not self._skipped:
            self._skipped = True
        else:
            self._skipped = False
            self._admit(min(max(self._free, 0), 1 + self._waiting // MANY))
        self._rouse()

    def _admit(self, count: int) -> None:
        while self._waiting and count:
            self._served += 1
            theirs = self._others and (not self._well or self._served % OTHERS == 0)
            turn = (self._others if theirs else self._well).popleft()
            if not turn.done():  # who was cancelled is passed over
                turn.set_result(None)
                count -= 1
