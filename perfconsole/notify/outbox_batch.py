"""A message and its attempts, and how many messages are allowed. Pure: `now` is seconds of a clock that is never set."""

from collections.abc import Sequence
from math import inf
from typing import Final

from perfconsole.notify.channel import SendError
from perfconsole.notify.outbox_owed import Owed

RETRY_S: Final = 1.0
RETRY_MOST_S: Final = 300.0
AFTER_MOST_S: Final = 3600.0
"""The longest that a receiver may put off by Retry-After: a wrong one must not silence a channel for days."""

GIVE_UP_S: Final = 86400.0
TRIES: Final = 9 + round(GIVE_UP_S / RETRY_MOST_S)
"""Attempts that take about as long as that. Over several runs they count on, where time cannot: in between nobody tried."""

_TOKEN: Final = 1.0 - 1e-6
"""As good as one: the difference of two large numbers is not exact."""


class Batch:
    """A message: the same at every attempt.

    Attributes:
        name: Its idempotency key.
        owed: What is in it, in order.
        due: When it is tried next.
        tries: How often it was tried.
        refresh: Whether it only says again what was said: then nothing depends on it.
        running: Whether an attempt is under way.
    """

    __slots__ = ("_first", "due", "name", "owed", "refresh", "running", "tries")

    def __init__(self, name: str, owed: Sequence[Owed], due: float, *, refresh: bool = False) -> None:
        self.name, self.owed, self.due, self.refresh = name, tuple(owed), due, refresh
        self.tries = max((one.notice.tries for one in owed), default=0)
        self.running = False
        self._first = inf  # when it was first tried in this run

    @property
    def failed(self) -> bool:
        """Whether it was tried, and not taken."""
        return self.tries > self.running

    def begin(self, now: float) -> None:
        """Try it."""
        self.running = True
        self.tries += 1
        self._first = min(self._first, now)

    def put_off(self, error: SendError, now: float, chance: float) -> bool:
        """An attempt failed: say when the next one is.

        Args:
            error: Why.
            now: The moment.
            chance: From 0 to 1: messages that failed together are not tried again together.

        Returns:
            Whether there is a next one.
        """
        self.running = False
        for one in self.owed:
            one.doubt = one.doubt or error.unsure
        pause_s = min(RETRY_S * 2.0 ** min(self.tries - 1, 20), RETRY_MOST_S) * (0.75 + 0.5 * chance)
        self.due = now + max(pause_s, asked_s(error))
        return not (error.final or self.tries >= TRIES or now - self._first >= GIVE_UP_S)


def asked_s(error: SendError) -> float:
    """For how long the receiver asked to be left alone."""
    return min(error.after_s or 0.0, AFTER_MOST_S)


class Bucket:
    """How many messages are allowed: a few at once, and then one in so many seconds.

    Args:
        burst: How many at once.
        rate_s: Seconds a message.
    """

    __slots__ = ("_at", "_burst", "_rate_s", "_tokens")

    def __init__(self, burst: int, rate_s: float) -> None:
        self._burst, self._rate_s = burst, rate_s
        self._tokens, self._at = float(burst), -inf

    def ready(self) -> float:
        """From when on one is allowed."""
        missing = _TOKEN - self._tokens
        return self._at + missing * self._rate_s if missing > 0 else -inf

    def take(self, now: float) -> bool:
        """Use one up, if one is allowed."""
        if self._at > -inf:
            self._tokens = min(self._burst, self._tokens + (now - self._at) / self._rate_s)
        self._at = now
        allowed = self._tokens >= _TOKEN
        self._tokens -= allowed
        return allowed
